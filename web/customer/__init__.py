"""The customer's own page: no account, no cookie, no script, nothing from elsewhere; one address, its documents.

Whatever is wrong with an address (a guess, ended, revoked, another installation's) gets the same words and costs
the same look-up. Forms carry a token of their own, bound to the address.
"""

from __future__ import annotations

import base64
import hashlib
import logging

from flask import Blueprint, Response, abort, current_app, g, render_template, request
from markupsafe import Markup
from werkzeug.exceptions import HTTPException

from connector.customer_page.customer_files import LARGEST as LARGEST_FILE
from connector.domain import page_words
from connector.domain.letters import variant_for
from connector.domain.page_policy import INK
from connector.domain.page_words import PageWords
from web.customer.style import CSS
from webhooks.limit import PerMinute

log = logging.getLogger(__name__)
blueprint = Blueprint("customer", __name__)

READS, WRITES, MISSES = 240, 60, 30  # a minute from one address: a whole office may stand behind it
FORM, UPLOAD = 32_000, LARGEST_FILE + 32_000  # bytes of a request
MEGABYTES = LARGEST_FILE // 1_000_000


class Limits:
    """Counts of one web process; made anew with each application."""

    def __init__(self) -> None:
        self.reads, self.writes, self.misses = PerMinute(READS), PerMinute(WRITES), PerMinute(MISSES)


@blueprint.record_once
def _limits(state) -> None:  # type: ignore[no-untyped-def]
    state.app.extensions["customer_limits"] = Limits()


def limits() -> Limits:
    found: Limits = current_app.extensions["customer_limits"]
    return found


@blueprint.before_request
def _not_too_often() -> None:
    """Before a byte of a form is read: how large it may be, and how often."""
    posted = request.method == "POST"
    request.max_content_length = UPLOAD if request.path.endswith("/dispute") else FORM
    request.max_form_memory_size = FORM
    if posted and (request.content_length or 0) > request.max_content_length:
        abort(413)
    counted = limits().writes if posted else limits().reads
    if counted.exceeded(request.remote_addr):
        abort(429)


@blueprint.after_request
def _headers(response: Response) -> Response:
    rules = f"style-src '{g.style_hash}'; form-action 'self'; " if "style_hash" in g else "sandbox; "
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; {rules}base-uri 'none'; frame-ancestors 'none'"
    )
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Permissions-Policy"] = "interest-cohort=()"
    return response


def style(color: str) -> Markup:
    """The page's whole style, in it; the content policy allows exactly these bytes."""
    text = CSS.replace("ACCENT", color)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    g.style_hash = f"sha256-{digest}"
    return Markup("<style>{}</style>").format(Markup(text))  # noqa: S704 - our own, and a checked color


def readers_words() -> PageWords:
    """For a page that knows no customer: the browser's language."""
    asked = request.accept_languages.best or "en-US"
    return page_words.words(variant_for(asked, "", ""))


def message(name: str, status: int, person: str = "") -> tuple[str, int]:
    said = readers_words()
    fields = {"size": MEGABYTES, "person": person or "us"}
    page = render_template(
        "customer_page/message.html",
        w=said,
        style=style(INK),
        title=said.say(f"{name}_title"),
        text=said.say(name, **fields),
    )
    return page, status


@blueprint.errorhandler(HTTPException)
def _plain(error: HTTPException) -> tuple[str, int]:
    if error.code == 429:
        return message("slow", 429)
    if error.code == 413:
        return message("large", 413)
    return message("gone", 404)


@blueprint.errorhandler(Exception)
def _unexpected(error: Exception) -> tuple[str, int]:
    log.exception("unexpected error on %s", request.endpoint)
    return message("failed", 500)


from web.customer import feed, pages  # noqa: E402, F401
