"""POST /webhooks/<platform>: raw body → verify → record → wake → an empty answer without a cookie.

    signature.py   the one check, over the raw bytes
    recorder.py    deliveries that arrive together are stored in one durable transaction
    shapes.py      what to do with a signed body that we cannot read
    quickbooks.py, xero.py   header name, body → changes; pure

Both ledgers want their answer within seconds (Intuit 3, Xero 5): nothing here talks to a ledger. A ledger
that gets 503 repeats the delivery, so nothing is lost while the database is away.
"""

from __future__ import annotations

import logging
from types import ModuleType

from flask import Blueprint, Response, request
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from connector import jobs
from connector.config import Config
from webhooks import quickbooks, signature, xero
from webhooks.limit import PerMinute
from webhooks.recorder import Delivery, Recorder
from webhooks.shapes import UnknownShape

# Wrong signatures a minute from one address. Right ones always pass, or a forger could stop the ledger's.
REFUSALS = 60
BODY_LIMIT = 1024 * 1024  # bytes; both ledgers send ids only, a few hundred bytes for each change

_RECEIVERS: dict[str, ModuleType] = {"quickbooks": quickbooks, "xero": xero}
_log = logging.getLogger(__name__)


def blueprint(config: Config, engine: Engine) -> Blueprint:
    """The receiving pages. Outside sign-in, forms' tokens and the session: the signature is the proof."""
    pages = Blueprint("webhooks", __name__)
    recorder, refusals = Recorder(engine), PerMinute(REFUSALS)
    keys = {"quickbooks": config.quickbooks.webhook_key, "xero": config.xero.webhook_key}

    @pages.post("/webhooks/<platform>")
    def receive(platform: str) -> Response:
        receiver = _RECEIVERS.get(platform)
        if receiver is None:
            return _empty(404)
        request.max_content_length = BODY_LIMIT
        try:
            body = request.get_data(cache=False)
        except HTTPException as problem:  # too long, or cut off on the way
            return _empty(problem.code or 400)
        if not signature.valid(body, request.headers.get(receiver.SIGNATURE_HEADER, ""), keys[platform]):
            return _empty(429 if refusals.exceeded(request.remote_addr) else 401)
        delivery = _read(platform, receiver, body)
        try:
            woken = recorder.record(delivery) if delivery.changes or delivery.unread else []
        except SQLAlchemyError as problem:
            _log.error("webhook from %s not recorded: %s", platform, type(problem).__name__)
            return _empty(503)
        if woken:
            jobs.wake_for_news(config, woken)
        return _empty(200)

    return pages


def _read(platform: str, receiver: ModuleType, body: bytes) -> Delivery:
    try:
        return Delivery(platform, receiver.changes(body))
    except UnknownShape as problem:
        _log.error("webhook from %s could not be read: %s; kept in the inbox", platform, problem)
        return Delivery(platform, problem.readable, body, str(problem))


def _empty(status: int) -> Response:
    """No body and no cookie: Xero's check fails a receiver that sends either."""
    answer = Response(status=status)
    del answer.headers["Content-Type"]
    return answer
