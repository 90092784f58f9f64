"""Answers as they go over the wire: bodies with their `time`, headers, JSON or XML, and faults to order."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import msgspec
from flask import Response, has_request_context, request

from sandbox.quickbooks import faults, native
from sandbox.quickbooks.faults import Fault
from sandbox.quickbooks.native import Json

JSON = "application/json;charset=UTF-8"
XML = "application/xml;charset=UTF-8"
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_NO_STORE = "max-age=0, no-cache, no-store, must-revalidate, private"


def encode(body: Any) -> bytes:
    """JSON with money as number literals: Decimal("100.00") goes out as 100.00."""
    return _ENCODER.encode(body)


def answer(body: Json, now: datetime, *, status: int = 200, xml: bool = False) -> Response:
    """`body` with the top-level `time` every answer carries."""
    if xml:
        return Response(_xml(body, native.stamp_now(now)), status, content_type=XML)
    return Response(encode(body | {"time": native.stamp_now(now)}), status, content_type=JSON)


def fault_answer(fault: Fault, now: datetime, *, xml: bool = False) -> Response:
    if xml:
        return Response(faults.xml(fault, native.stamp_now(now)), fault.status, content_type=XML)
    return answer({"Fault": fault.body()}, now, status=fault.status)


def unauthorized(token: str) -> Response:
    """The 401, with the token quoted in its body."""
    response = Response(encode(faults.unauthorized(token)), 401, content_type=JSON)
    response.headers["WWW-Authenticate"] = 'Bearer realm="Intuit", error="invalid_token"'
    return response


def forbidden() -> Response:
    return Response(encode(faults.forbidden()), 403, content_type=JSON)


def add_headers(response: Response, seconds: float) -> Response:
    """What every answer of the real service carries."""
    response.headers["intuit_tid"] = f"1-{secrets.token_hex(4)}-{secrets.token_hex(12)}"
    response.headers["QBO-Version"] = "1985.164"
    response.headers["Service-Time"] = f"total={max(1, int(seconds * 1000))}, db=1"
    response.headers.setdefault("Cache-Control", _NO_STORE)
    return response


def fault_response(status: int, variant: str = "json") -> Response:
    """A failure to order, for tests that need the service to be ill.

    | status | variants |
    | --- | --- |
    | 200 | json: a Fault 10000 at the top · nested: inside QueryResponse · empty_errors: a Fault without errors |
    | 400 | json: 6000 · no_code: a Fault without `code` · lowercase: the gateway's spelling · word_code: a code that is no number |
    | 401, 403 | json: the gateway's body |
    | 429 | json · xml |
    | 5xx | html, and whatever is not named here · fault: JSON, Fault 10000 · empty |
    """
    return add_headers(_ill(status, variant), 0.0)


def _ill(status: int, variant: str) -> Response:
    now = datetime.now(UTC)
    if variant == "empty":
        return Response(b"", status, content_type=JSON)
    if status == 401:
        sent = request.headers.get("Authorization", "") if has_request_context() else ""
        return unauthorized(sent.partition(" ")[2])
    if status == 403:
        return forbidden()
    if status == 429:
        return fault_answer(faults.throttled(), now, xml=variant == "xml")
    if status >= 500 and variant != "fault":
        return Response(_OUTAGE.format(status=status), status, content_type="text/html")
    fault = faults.system_failure(status) if status != 400 else faults.business("Please try again later.")
    body = fault.body()
    if variant == "no_code":
        del body["Error"][0]["code"]
    elif variant == "word_code":
        body["Error"][0]["code"] = "SYSTEM-ERROR"
    elif variant == "empty_errors":
        body["Error"] = []
    elif variant == "nested":
        return answer({"QueryResponse": {"Fault": body}}, now, status=status)
    elif variant == "lowercase":
        lower = faults.gateway("ValidationFault", fault.code, status, fault.detail, "ValidationFault")
        return Response(encode(lower), status, content_type=JSON)
    return answer({"Fault": body}, now, status=status)


_OUTAGE = (
    "<html><head><title>{status} Service Unavailable</title></head>"
    "<body><center><h1>{status} Service Unavailable</h1></center><hr></body></html>"
)


def _xml(body: Json, time: str) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
        f'<IntuitResponse xmlns="http://schema.intuit.com/finance/v3" time={quoteattr(time)}>'
        f"{''.join(_element(name, value) for name, value in body.items())}</IntuitResponse>"
    )


def _element(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "".join(_element(name, one) for one in value)
    if not isinstance(value, dict):
        return f"<{name}>{escape(_plain(value))}</{name}>"
    attributes = {k: v for k, v in value.items() if k in _ATTRIBUTES and not isinstance(v, (dict, list))}
    if "value" in value and name.endswith("Ref"):
        attributes.pop("value", None)
        inside = escape(_plain(value["value"]))
        attributes |= {k: value[k] for k in ("name", "type") if k in value}
    else:
        inside = "".join(_element(k, v) for k, v in value.items() if k not in attributes)
    listed = "".join(f" {k}={quoteattr(_plain(v))}" for k, v in attributes.items())
    return f"<{name}{listed}>{inside}</{name}>"


_ATTRIBUTES = {"domain", "sparse", "status", "startPosition", "maxResults", "totalCount"}


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
