"""POST /webhooks/<platform>: raw body → verify → record → wake → an empty answer without a cookie.

    front.py       stands before the pages: a delivery passes none of what a browser's request does
    signature.py   the one check, over the raw bytes
    recorder.py    deliveries that arrive together are stored in one durable transaction
    shapes.py      what to do with a signed body that we cannot read
    quickbooks.py, xero.py   header name, body → changes; pure

Both ledgers want their answer within seconds (Intuit 3, Xero 5): nothing here talks to a ledger. A ledger
that gets 503 repeats the delivery, so nothing is lost while the database is away.
"""

from __future__ import annotations

import logging
import secrets
import time
from types import ModuleType
from typing import NoReturn, cast

from flask import Blueprint, Flask, abort
from flask.blueprints import BlueprintSetupState
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from connector import logs, tracing, waking
from connector.config import Config
from webhooks import front, quickbooks, signature, xero
from webhooks.front import Posted
from webhooks.limit import PerMinute
from webhooks.recorder import Delivery, Recorder
from webhooks.shapes import UnknownShape

# Wrong signatures a minute from one address. Right ones always pass, or a forger could stop the ledger's.
REFUSALS = 60
BODY_LIMIT = 1024 * 1024  # bytes; both ledgers send ids only, a few hundred bytes for each change

_RECEIVERS: dict[str, ModuleType] = {"quickbooks": quickbooks, "xero": xero}
_log = logging.getLogger(__name__)


def signature_headers() -> dict[str, str]:
    """The header that holds each platform's signature."""
    return {name: receiver.SIGNATURE_HEADER for name, receiver in _RECEIVERS.items()}


def blueprint(config: Config, engine: Engine) -> Blueprint:
    """The receiving addresses. Outside sign-in, forms' tokens and the session: the signature is the proof."""
    pages = Blueprint("webhooks", __name__)

    @pages.record_once
    def stand_in_front(state: BlueprintSetupState) -> None:
        app, receiver = cast(Flask, state.app), Receiver(config, engine)
        app.wsgi_app = front.Front(app.wsgi_app, receiver.answer, _RECEIVERS, BODY_LIMIT)  # type: ignore[method-assign, assignment]

    @pages.post("/webhooks/<platform>")
    def receive(platform: str) -> NoReturn:
        """Of a platform that nobody knows; the others do not come this far."""
        abort(404)

    return pages


class Receiver:
    """One per process."""

    def __init__(self, config: Config, engine: Engine) -> None:
        self._config = config
        self._recorder, self._refusals = Recorder(engine), PerMinute(REFUSALS)
        self._keys = {"quickbooks": config.quickbooks.webhook_key, "xero": config.xero.webhook_key}

    def answer(self, posted: Posted) -> int:
        """The status to answer with. 200 only when the delivery is stored."""
        began = time.monotonic()
        logs.begin(request=secrets.token_hex(6))
        woken = 0
        try:
            with tracing.span(f"POST webhooks.{posted.platform}", kind="SERVER"):
                status, woken = self._receive(posted)
                tracing.note(status=status)
        except Exception:
            _log.exception("unexpected error in a webhook from %s", posted.platform)
            status = 500
        if status != 200 or woken:  # the others of a group are told of by the one that stored it
            ms = round(1000 * (time.monotonic() - began), 1)
            facts = logs.facts(page="webhooks.receive", method="POST", status=status, woken=woken, ms=ms)
            _log.info("answered", extra=facts)
        return status

    def _receive(self, posted: Posted) -> tuple[int, int]:
        if posted.refused:
            return posted.refused, 0
        receiver, key = _RECEIVERS[posted.platform], self._keys[posted.platform]
        if not signature.valid(posted.body, posted.header(receiver.SIGNATURE_HEADER), key):
            return (429 if self._refusals.exceeded(posted.sender) else 401), 0
        delivery = _read(posted.platform, receiver, posted.body)
        try:
            woken = self._recorder.record(delivery) if delivery.changes or delivery.unread else []
        except SQLAlchemyError as problem:
            _log.error("webhook from %s not recorded: %s", posted.platform, type(problem).__name__)
            return 503, 0
        if woken:
            waking.for_news(self._config, woken)
        return 200, len(woken)


def _read(platform: str, receiver: ModuleType, body: bytes) -> Delivery:
    try:
        return Delivery(platform, receiver.changes(body))
    except UnknownShape as problem:
        _log.error("webhook from %s could not be read: %s; kept in the inbox", platform, problem)
        return Delivery(platform, problem.readable, body, str(problem))
