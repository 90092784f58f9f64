"""Who is here, and what they may see: sessions live in the database, the cookie holds only their key.

There are no passwords: signing in is the ledger's own (OpenID Connect), through `connect`.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import MutableMapping
from typing import Any, NoReturn
from urllib.parse import urlsplit

from flask import Blueprint, abort, current_app, flash, g, redirect, render_template, request, session
from sqlalchemy.engine import Engine
from werkzeug.wrappers import Response

from connector import db
from connector.config import Config
from connector.connecting import connections
from connector.platforms import Identity, find, names
from connector.practice import people
from web import words

blueprint = Blueprint("sign_in", __name__)
OPEN = ("static", "sign_in.start", "health.", "webhooks.", "connect.", "about.", "openapi.")


def engine() -> Engine:
    found: Engine = current_app.config["ENGINE"]
    return found


def config() -> Config:
    found: Config = current_app.config["FORBEAR"]
    return found


def recognize() -> Response | None:
    """Before every request: the person behind the cookie, and CSRF on whatever changes something."""
    g.person = None
    g.locale = words.locale_of("", request.accept_languages.best or "")
    endpoint = request.endpoint or ""
    if endpoint == "static" or endpoint.startswith(("webhooks.", "health.", "customer.")):
        return None
    if key := session.get("key"):
        g.person = _person_behind(key)
    if request.method == "POST" and not hmac.compare_digest(
        request.form.get("csrf") or request.headers.get("X-CSRF-Token", ""), csrf_token()
    ):
        abort(400, "This page was open too long, or came from elsewhere. Go back, reload it, and try again.")
    if g.person is None and endpoint and not endpoint.startswith(OPEN):
        if request.method == "GET":
            session["next"] = request.full_path
        else:
            session["next"] = _page_before()
            flash("Your session had ended, so nothing was done. Sign in, then press again.", "look")
        return redirect("/sign-in")
    return None


def _page_before() -> str:
    """The page of ours on which the button was pressed, or the first one."""
    before = urlsplit(request.referrer or "")
    return before.path if before.netloc == request.host and before.path else "/"


def way_back(kept: MutableMapping[str, Any]) -> str:
    """Where somebody wanted to go before signing in: a path of ours, or the first page. Forgotten with this."""
    wanted = str(kept.pop("next", None) or "/")
    ours = wanted.startswith("/") and wanted[1:2] not in ("/", "\\")
    return wanted if ours else "/"


def _person_behind(key: str) -> people.Person | None:
    """Whose session it is. A person's own clicks keep it open; a page that looks for news by itself does not."""
    with db.reading(engine()) as tx:
        found = people.session(tx, key, db.now())
    if found is None:
        return None
    if not request.headers.get("X-Live") and time.time() - session.get("seen", 0) > 60:
        session["seen"] = int(time.time())
        with db.transaction(engine()) as tx:
            people.seen(tx, found.id, db.now())
    return found.person


def csrf_token() -> str:
    if "csrf" not in session:
        session["csrf"] = secrets.token_urlsafe(24)
    token: str = session["csrf"]
    return token


def enter(identity: Identity) -> people.Person:
    """Sign this person in: a new session key every time, so that a key from before is worth nothing.

    Somebody who is signed in already keeps their session; a second ledger's identity is linked to them.
    """
    with db.transaction(engine()) as tx:
        if g.get("person"):
            people.link(tx, g.person.id, identity, db.now())
            return g.person  # type: ignore[no-any-return]
        person = people.sign_in(tx, identity, db.now())
        key = people.start_session(tx, person.id, db.now(), client=request.user_agent.string[:120])
    after = session.get("next")
    session.clear()
    session["key"] = key
    if after:
        session["next"] = after
    g.person = person
    return person


def role_in(connection_id: str) -> str:
    """The signed-in person's role, or 404: an organization that is not yours does not exist for you."""
    with db.reading(engine()) as tx:
        role = people.role(tx, g.person.id, connection_id) if g.person else None
    if role is None:
        abort(404)
    return role


def need(connection_id: str, role: str) -> None:
    """403 with a sentence unless the person may do this here."""
    if not people.may(role_in(connection_id), role):
        refuse(f"This needs the right to {role}. Ask whoever connected this organization.")


def refuse(sentence: str) -> NoReturn:
    abort(403, sentence)


@blueprint.get("/sign-in")
def start() -> str | Response:
    if g.person:
        return redirect("/")
    platforms = [find(n, config()) for n in names() if getattr(config(), n).configured]
    return render_template("sign_in.html", platforms=platforms)


@blueprint.get("/account")
def account() -> str:
    with db.reading(engine()) as tx:
        roles = people.connections_of(tx, g.person.id)
        found = [(connections.get(tx, c), r) for c, r in roles.items()]
    mine = [(c, find(c.platform, config()).label, r) for c, r in found]
    return render_template(
        "account.html",
        mine=mine,
        platforms=[find(n, config()) for n in names() if getattr(config(), n).configured],
        here="account",
    )


@blueprint.post("/sign-out")
def leave() -> Response:
    with db.transaction(engine()) as tx:
        if request.form.get("everywhere"):
            people.sign_out_everywhere(tx, g.person.id, db.now())
        elif key := session.get("key"):
            people.end_session(tx, key, db.now())
    session.clear()
    flash("You are signed out.", "good")
    return redirect("/sign-in")


@blueprint.post("/theme")
def theme() -> Response:
    answer = redirect(
        request.referrer if (request.referrer or "").startswith(request.host_url) else "/account"
    )
    chosen = request.form.get("theme", "")
    answer.set_cookie(
        "theme",
        chosen if chosen in ("light", "dark") else "",
        max_age=31536000,
        samesite="Lax",
        httponly=True,
        secure=current_app.config["SESSION_COOKIE_SECURE"],
    )
    return answer
