"""Connect and disconnect a ledger: any platform, through the port. Signing in is the same consent.

1. `/connect/<platform>` (or the marketplace's `/install/<platform>`) goes to the ledger's consent page with a
   state, a nonce and a PKCE verifier that only this browser's session knows.
2. The callback checks the state, exchanges the code, stores the grant, signs the person in, wakes the sync,
   and answers with a redirect, never a page: the address holds the code.
"""

from __future__ import annotations

import datetime as dt
import hmac
import secrets

from flask import Blueprint, abort, flash, g, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from connector import db, waking
from connector.connecting import connections
from connector.connecting.connections import Connection
from connector.platforms import Platform, PlatformError, TryLater, find, names
from connector.practice import people, settings
from web.sign_in import config, engine, enter, need, way_back

blueprint = Blueprint("connect", __name__)
LOOKED = dt.timedelta(
    minutes=5
)  # books that were read within are not read again because of a stranger's hint


def _platform(name: str) -> Platform:
    if name not in names():
        abort(404)
    return find(name, config())


def _callback(name: str) -> str:
    return f"{config().public_url}/connect/{name}/callback"


@blueprint.get("/install/<name>")
@blueprint.get("/connect/<name>")
def start(name: str) -> Response | tuple[str, int]:
    """To the ledger's consent page. Nothing in the launch address is trusted."""
    platform = _platform(name)
    if not getattr(config(), name).configured:
        return _sorry(
            platform,
            f"This installation has no {platform.label} app yet.",
            f"Whoever runs it sets FORBEAR_{name.upper()}_CLIENT_ID and FORBEAR_{name.upper()}_CLIENT_SECRET.",
        )
    # Only a random start of the verifier and nonce leaves the session; each attempt replaces the last.
    handshake = {k: secrets.token_urlsafe(48) for k in ("state", "nonce", "verifier")}
    session["consent"] = handshake | {"platform": name}
    try:
        return redirect(platform.authorization_url(redirect_uri=_callback(name), **handshake))
    except PlatformError as error:
        return _sorry(platform, f"{platform.label} did not answer.", str(error), 503)


@blueprint.get("/connect/<name>/callback")
def callback(name: str) -> Response:
    """Always a redirect, never a page: this address holds the code (Intuit's security requirement S9)."""
    platform = _platform(name)
    consent = session.pop("consent", None)
    state = request.args.get("state", "")
    if not consent or consent["platform"] != name or not hmac.compare_digest(consent["state"], state):
        return _not_connected(
            platform,
            "This answer does not belong to a question of ours.",
            "The page was open in another window, was reloaded, or came from elsewhere. Nothing was connected. "
            "Start again with the button below.",
        )
    if error := request.args.get("error"):
        return _refused(platform, error)
    try:
        grant = platform.exchange(
            request.args, redirect_uri=_callback(name), nonce=consent["nonce"], verifier=consent["verifier"]
        )
    except TryLater as error:
        return _not_connected(platform, f"{platform.label} did not answer.", str(error), status=503)
    except PlatformError as error:
        return _not_connected(platform, f"{platform.label} did not accept the consent.", str(error))
    if grant.identity is None or grant.identity.email_verified is False:
        return _not_connected(
            platform,
            "We could not tell who you are.",
            f"{platform.label} has not confirmed your e-mail address. Confirm it in your {platform.label} account, "
            "then start again.",
        )
    if not grant.organizations and not g.person:
        return _not_connected(
            platform, "No organization was chosen.", "Start again and choose at least one organization."
        )
    person = enter(grant.identity)
    with db.reading(engine()) as tx:
        refs = [connections.of(tx, name, ref.external_id) for ref in grant.organizations]
        known = {c.id for c in refs if c and c.status == "connected"}
    made = connections.save_grant(engine(), config(), name, grant)
    with db.transaction(engine()) as tx:
        for connection in made:
            people.grant(tx, person.id, connection.id, "configure", by=platform.label, now=db.now())
    for connection in made:
        waking.sync(config(), connection.id, first=True)  # somebody waits for it
    if made:
        flash(_connected(made, known, platform.label), "good")
    after = way_back(session)
    if len(made) == 1:
        with db.reading(engine()) as tx:
            live = settings.load(tx, made[0].id).live
        page = "pages.organization" if live else "pages.start"
        return redirect(url_for(page, connection_id=made[0].id))
    return redirect(after)


def _refused(platform: Platform, error: str) -> Response:
    """The ledger came back without a permission: somebody said no, may not say yes, or it failed there."""
    if error == "access_denied":
        text = (
            "You, or somebody with your screen, chose not to allow it. Nothing was read and nothing was stored. "
            "You can start again whenever you like."
        )
    else:
        text = f"{platform.label} ended it with the code “{error[:40]}”. Nothing was read and nothing was stored. Try again in a minute."
    rights = (
        f" If {platform.label} did not let you choose your company, you may not have the right to connect apps there: "
        "ask somebody who has it to connect, and to invite you here."
    )
    return _not_connected(platform, f"{platform.label} was not connected.", text + rights, status=200)


@blueprint.get("/connect/<name>/not-connected")
def not_connected(name: str) -> tuple[str, int]:
    platform = _platform(name)
    sorry = session.get("sorry") or {
        "title": f"{platform.label} is not connected.",
        "text": "Start with the button below.",
        "status": 200,
    }
    return _sorry(platform, sorry["title"], sorry["text"], sorry["status"])


def _not_connected(platform: Platform, title: str, text: str, *, status: int = 400) -> Response:
    session["sorry"] = {"title": title, "text": text, "status": status}
    return redirect(url_for("connect.not_connected", name=platform.name))


def _connected(made: list[Connection], known: set[str], label: str) -> str:
    """What the consent did: connected these, or renewed the permission of those that were connected."""
    said = []
    for names_, one, more in (
        ([c.organization for c in made if c.id not in known], "is connected to", "are connected to"),
        (
            [c.organization for c in made if c.id in known],
            "was connected already to",
            "were connected already to",
        ),
    ):
        if names_:
            said.append(f"{' and '.join(names_)} {one if len(names_) == 1 else more} {label}.")
    said.append(
        "Reading the books now."
        if len(known) < len(made)
        else "The permission is renewed; nothing else changed."
    )
    return " ".join(said)


@blueprint.post("/connections/<connection_id>/disconnect")
def disconnect(connection_id: str) -> Response:
    need(connection_id, "configure")
    flash(connections.disconnect(engine(), config(), connection_id), "good")
    return redirect(url_for("pages.organization", connection_id=connection_id))


@blueprint.get("/disconnected/<name>")
def disconnected(name: str) -> str:
    """Where the marketplace sends somebody who disconnected there. A hint only: each connection is checked.

    Nobody is signed in here and ids of organizations are no secret, so it must not cost many calls to a ledger.
    """
    platform = _platform(name)
    external_id = request.args.get("realmId", "") or request.args.get("tenantId", "")
    if external_id:
        with db.reading(engine()) as tx:
            known = connections.of(tx, name, external_id)
        read = known.last_sync_at if known and known.status == "connected" else None
        if known and read and db.now() - read > LOOKED:
            waking.for_news(config(), [known.id])
    return render_template("disconnected.html", platform=platform)


def _sorry(platform: Platform, title: str, text: str, status: int = 400) -> tuple[str, int]:
    return render_template("not_connected.html", platform=platform, title=title, text=text), status
