"""The bookkeeper's pages. `create_app()` builds them; the webhooks are mounted beside, without session or cookie.

A page reads the database and never a ledger; whatever talks to a ledger (connecting, approving, disconnecting)
goes through the port and the steps of `connector`.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, render_template, request
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import IntegerConverter

import webhooks
from connector import config as settings
from connector import db, tracing
from connector.config import Config
from connector.connecting import keys
from connector.practice import people
from connector.reviewing import overview
from connector.writing import outbox
from web import about, connect, customer, health, limits, openapi, pages, sign_in, words
from web import log as web_log

log = logging.getLogger(__name__)
STATIC = Path(__file__).parent / "static"


def create_app(config: Config | None = None, engine: Engine | None = None) -> Flask:
    """The WSGI application. Without arguments it reads the environment; raises WrongSetting."""
    config = config or settings.load()
    https = config.public_url.startswith("https://")
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=keys.of(config).secret_key,
        FORBEAR=config,
        ENGINE=engine or db.engine(config),
        SESSION_COOKIE_NAME="__Host-forbear"
        if https
        else "forbear",  # no neighbor of the same domain can set this one
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=https,
        MAX_CONTENT_LENGTH=1_000_000,
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    for name in (
        *(
            "amount",
            "money",
            "about",
            "cell",
            "figure",
            "change",
            "day",
            "days",
            "many",
            "clock",
            "local_day",
            "ago",
            "moment",
            "age",
            "kind",
            "said",
            "step",
        ),
    ):
        app.jinja_env.globals[name] = getattr(words, name)
    app.jinja_env.globals["describe"] = outbox.describe
    app.jinja_env.globals["static"] = _stamped(app)
    app.url_map.converters["int"] = _RowId
    app.register_blueprint(webhooks.blueprint(config, app.config["ENGINE"]))
    if (
        hops := config.proxies
    ):  # each adds the address that it saw; what stands before those, anybody can write
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=1, x_host=1)  # type: ignore[method-assign]
    app.register_blueprint(health.blueprint)
    app.register_blueprint(sign_in.blueprint)
    app.register_blueprint(connect.blueprint)
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(about.blueprint)
    app.register_blueprint(openapi.blueprint)
    app.register_blueprint(customer.blueprint)
    tracing.configure(config.traces_url, "web")
    web_log.follow(app)
    limits.guard(app)
    app.before_request(sign_in.recognize)
    app.context_processor(_around_every_page)
    app.after_request(_headers)
    app.after_request(_zip)
    app.register_error_handler(HTTPException, _plain_error)
    app.register_error_handler(OperationalError, _away)
    app.register_error_handler(Exception, _unexpected)
    return app


class _RowId(IntegerConverter):
    """A number in an address is a row's; one that no database could hold leads to no page."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **{"max": 2**31 - 1, **more})


def _stamped(app: Flask):  # type: ignore[no-untyped-def]
    """Addresses of static files with a digest, so that they may be kept for ever and still change."""
    digests = {p.name: hashlib.sha256(p.read_bytes()).hexdigest()[:10] for p in STATIC.iterdir()}

    def address(name: str) -> str:
        return f"/static/{name}?v={digests[name]}"

    return address


def _around_every_page() -> dict[str, object]:
    person = g.get("person")
    around: dict[str, object] = {
        "person": person,
        "theme": request.cookies.get("theme", ""),
        "csrf": sign_in.csrf_token,
        "locale": words.reader(),
        "in_queue": 0,
        "printed": db.now(),
    }
    if person:
        with db.reading(sign_in.engine()) as tx:
            mine = people.connections_of(tx, person.id)
            around["in_queue"] = sum(w.total for w in overview.waiting(tx, mine).values())
    return around


def _zip(response: Response) -> Response:
    """Smaller over a phone's network. The cookie is SameSite=Lax, so no other page can probe our lengths."""
    done = response.status_code != 200 or "Content-Encoding" in response.headers
    if done or not request.accept_encodings.best_match(["gzip"]) or not _is_text(response):
        return response
    response.direct_passthrough = False  # style and script are small files
    plain = response.get_data()
    if len(plain) > 800:
        response.set_data(gzip.compress(plain, compresslevel=5, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
        response.headers.add("Vary", "Accept-Encoding")
    return response


def _is_text(response: Response) -> bool:
    return response.mimetype in (
        "text/html",
        "text/css",
        "text/javascript",
        "application/javascript",
        "text/csv",
    )


def _headers(response: Response) -> Response:
    """Nothing from elsewhere, nothing framed, nothing with books in it kept by a browser."""
    if request.path.startswith("/webhooks/"):
        return response
    response.headers.setdefault(
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; script-src 'self'; "
        "connect-src 'self'; form-action 'self' https: http://localhost:* http://127.0.0.1:*; "
        "base-uri 'none'; frame-ancestors 'none'",
    )
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if request.path.startswith("/static/"):
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    else:
        response.headers["Cache-Control"] = "no-cache, no-store"
    return response


def _plain_error(error: HTTPException) -> tuple[str, int]:
    sentences = {
        400: ("That did not work", error.description or ""),
        401: ("Please sign in", "Your session has ended, or you have not signed in yet."),
        403: ("Not with your rights", error.description or "Ask whoever connected this organization."),
        404: (
            "Nothing here",
            "There is no such page, or it belongs to an organization that you may not see.",
        ),
        405: ("Not this way", "That address cannot be used like this."),
        413: ("Too large", "That was more than Forbear takes at once."),
        429: ("Too fast", "Please wait a minute, then try again."),
    }
    title, text = sentences.get(error.code or 500, ("That did not work", error.description or ""))
    return render_template("message.html", title=title, text=text), error.code or 500


def _away(error: OperationalError) -> tuple[str, int, dict[str, str]]:
    """503 while the database is restarted or another machine takes over; what it refuses is our own mistake."""
    page, status = _unexpected(error)
    unreachable = error.connection_invalidated or getattr(error.orig, "sqlstate", "") is None
    return (page, 503, {"Retry-After": "30"}) if unreachable else (page, status, {})


def _unexpected(error: Exception) -> tuple[str, int]:
    log.exception("unexpected error on %s", request.endpoint)
    g.person = None  # the page that says so must not ask the database again
    return render_template(
        "message.html",
        title="Something went wrong on our side",
        text="Nothing was written to a ledger by this page. Try again in a minute; if it stays, tell whoever runs this "
        "installation the time.",
    ), 500
