"""Every way in which the pretend Xero says no, with the bodies that the real one sends."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

from sandbox.xero.envelope import JSON_TYPE, Json, encode

PLAIN = "text/plain; charset=utf-8"
OFFLINE = "The Organisation is offline"
MAINTENANCE = "The Xero API is currently offline for maintenance"
UNAVAILABLE = "The Xero API is temporarily unavailable"


class Refused(Exception):
    """The reply to a request that is not carried out."""

    def __init__(
        self, status: int, body: bytes, content_type: str = JSON_TYPE, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {body[:200]!r}")
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers or {}


class Invalid(Exception):
    """One element breaks a rule of the books; `messages` are Xero's sentences."""

    def __init__(self, *messages: str) -> None:
        super().__init__("; ".join(messages))
        self.messages = messages


def validation(elements: Sequence[Json]) -> Refused:
    """400: nothing was created; each element carries its own ValidationErrors."""
    return Refused(
        400,
        encode(
            {
                "ErrorNumber": 10,
                "Type": "ValidationException",
                "Message": "A validation exception occurred",
                "Elements": list(elements),
            }
        ),
    )


def problems(messages: Sequence[str]) -> list[Json]:
    """Sentences as Xero lists them."""
    return [{"Message": message} for message in messages]


def bad_request(message: str, number: int = 17, kind: str = "NoDataProcessedException") -> Refused:
    """400 without elements: the request as a whole makes no sense."""
    return Refused(400, encode({"ErrorNumber": number, "Type": kind, "Message": message}))


def bad_query(message: str) -> Refused:
    """400 for a `where` or `order` that cannot be used."""
    return bad_request(message, 16, "QueryParseException")


def key_reused(key: str) -> Refused:
    """400: the Idempotency-Key came with another request before."""
    return bad_request(f"Idempotency Key: {key} is used with a different request.", 10, "ValidationException")


def token_expired(at: dt.datetime) -> Refused:
    """401 for an access token past its 30 minutes."""
    return _unauthorized(f"TokenExpired: token expired at {at.astimezone(dt.UTC):%m/%d/%Y %H:%M:%S}")


def token_unknown() -> Refused:
    """401 for a missing, revoked or garbage access token."""
    return _unauthorized("AuthenticationUnsuccessful")


def missing_scope(status: int) -> Refused:
    """The token's consent does not cover this endpoint; Xero's own papers say 401 and 403."""
    title = "Unauthorized" if status == 401 else "Forbidden"
    body = _problem(title, status, "AuthorizationUnsuccessful")
    return Refused(status, body, headers={"WWW-Authenticate": "insufficent_scope"} if status == 401 else {})


def wrong_tenant() -> Refused:
    """403: the tenant is not (or no longer) connected to this token."""
    return Refused(403, _problem("Forbidden", 403, "AuthenticationUnsuccessful"))


def not_found(as_json: bool = False) -> Refused:
    """404, plain text unless the switch says otherwise."""
    text = "The resource you're looking for cannot be found"
    if as_json:
        return Refused(404, _problem("NotFound", 404, text))
    return Refused(404, text.encode(), PLAIN)


def not_implemented(what: str) -> Refused:
    """501: this part of Xero is not here."""
    body = {"ErrorNumber": 20, "Type": "ApiMethodNotImplementedException", "Message": what}
    return Refused(501, encode(body))


def too_many(problem: str, retry_after: int | None) -> Refused:
    """429; `problem` is concurrent, minute, day or appminute. The body is empty."""
    headers = {"X-Rate-Limit-Problem": problem}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return Refused(429, b"", PLAIN, headers)


def out_of_service(text: str = OFFLINE) -> Refused:
    """503, always plain text."""
    return Refused(503, text.encode(), PLAIN)


def broken(status: int = 500) -> Refused:
    """500 (or another failure of Xero's own) as the platform words it."""
    body = {"ErrorNumber": 500, "Type": "InternalServerException", "Message": "An error occurred in Xero."}
    return Refused(status, encode(body))


def of_status(status: int, variant: str) -> Refused:
    """The refusal that a test asked for by status; see `fault_response`."""
    if status == 429:
        problem = variant if variant in ("concurrent", "minute", "day", "appminute") else "minute"
        return too_many(problem, {"concurrent": None, "day": 66975}.get(problem, 7))
    if status == 503:
        return out_of_service({"maintenance": MAINTENANCE, "unavailable": UNAVAILABLE}.get(variant, OFFLINE))
    if status == 401 and variant == "expired":
        return token_expired(dt.datetime(2020, 1, 23, 18, 21, 16, tzinfo=dt.UTC))
    if variant == "scope":
        return missing_scope(status)
    if status == 401:
        return token_unknown()
    if status == 403:
        return wrong_tenant()
    if status == 404:
        return not_found(as_json=variant == "json")
    if status == 501:
        return not_implemented("This method is not implemented.")
    if variant == "html":
        return Refused(status, b"<html><body>Service error</body></html>", "text/html; charset=utf-8")
    if variant == "empty":
        return Refused(status, b"", PLAIN)
    return broken(status)


def _unauthorized(detail: str) -> Refused:
    return Refused(401, _problem("Unauthorized", 401, detail))


def _problem(title: str, status: int, detail: str) -> bytes:
    body: dict[str, Any] = {
        "Type": None,
        "Title": title,
        "Status": status,
        "Detail": detail,
        "Instance": str(uuid.uuid4()),
        "Extensions": {},
    }
    return encode(body)
