"""What a customer typed, read and checked: plain text, days, counts, amounts, and whose form it was."""

from __future__ import annotations

import datetime as dt
import hashlib
import re

from flask import request

from connector.customer_page import customer_links
from connector.customer_page.answering import Wrong
from connector.customer_page.customer_answers import From
from connector.customer_page.customer_links import Link
from connector.customer_page.customer_view import View
from web import typed
from web.sign_in import config


def whence(link: Link, shown: View) -> From:
    """Who sends, with the form's key; the same words sent twice from one form are one answer. Raises Wrong."""
    key = customer_links.form_key(config(), request.form.get("t", ""), link.id)
    if key is None:
        raise Wrong("wrong_old")
    said = sorted((k, v) for k, v in request.form.items(multi=True) if k != "t")
    digest = hashlib.sha256(repr(said).encode()).hexdigest()[:16]
    return From(
        link.connection_id,
        shown.customer.id,
        link.id,
        f"{key} {digest}",
        request.remote_addr or "",
        request.user_agent.string,
    )


def field(name: str) -> str:
    """One line or more of plain text; control characters are nobody's words."""
    text = request.form.get(name, "").strip()
    return "".join(c for c in text if c.isprintable() or c in "\n\t")


def day(name: str) -> dt.date:
    try:
        return dt.date.fromisoformat(field(name))
    except ValueError:
        raise Wrong("wrong_day") from None


def count() -> int:
    text = field("count")
    if not re.fullmatch(r"[1-9]\d?", text):
        raise Wrong("wrong_choice")
    return int(text)


def currency(shown: View) -> str:
    docs = shown.spreadable
    if not docs:
        raise Wrong("wrong_choice")
    return docs[0].currency


def amount(name: str, currency: str) -> int:
    """Minor units of what somebody typed, as `typed.amount` reads it. Raises Wrong."""
    try:
        return typed.amount(field(name), currency)
    except ValueError:
        raise Wrong("wrong_amount") from None


def signed() -> None:
    """A name and the tick that says that the text was read. Raises Wrong."""
    if not field("name"):
        raise Wrong("wrong_name")
    if field("agreed") != "yes":
        raise Wrong("wrong_box")
