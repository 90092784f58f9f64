"""One request on its way in: token, organisation, limits, consent, repeated keys; then the endpoint; then the reply."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any
from xml.sax.saxutils import escape

import flask

from sandbox.ledger import Ledger
from sandbox.world import BadToken, Caller, World
from sandbox.xero import errors
from sandbox.xero.envelope import JSON_TYPE, Json, encode, envelope
from sandbox.xero.errors import Refused
from sandbox.xero.idempotency import KeptReplies, Reply, fingerprint
from sandbox.xero.scopes import allowed
from sandbox.xero.switches import assumed

LARGEST_BODY = 10 * 1024 * 1024
STARTER_CALLS_A_DAY = 1000
_REPEATABLE = ("PUT", "POST", "PATCH")


@dataclass
class Call:
    """A request that has been let in, and whose books it is about."""

    world: World
    ledger: Ledger
    caller: Caller
    request: flask.Request

    def switch(self, name: str) -> Any:
        """How an unverified point is played; see `switches`."""
        return self.world.switch(f"xero.{name}", assumed(name))

    @property
    def today(self) -> dt.date:
        return self.ledger.today()

    @property
    def places(self) -> int:
        """Decimals of unit amounts: 2, or 4 with unitdp=4."""
        return 4 if self.request.args.get("unitdp") == "4" else 2

    @property
    def summarizes(self) -> bool:
        """Whether one bad element refuses the whole request (the default)."""
        return self.flag("summarizeErrors", default=True)

    def flag(self, name: str, default: bool = False) -> bool:
        """A query parameter that is true or false, in any case."""
        text = self.request.args.get(name)
        return default if text is None else text.strip().lower() == "true"

    def listed(self, name: str) -> frozenset[str] | None:
        """A comma-separated query parameter; None when it is not there."""
        texts = self.request.args.getlist(name)
        found = {part.strip().strip('"') for text in texts for part in text.split(",")} - {""}
        return frozenset(found) if found else None

    @cached_property
    def body(self) -> Any:
        """The JSON body with exact numbers. Raises Refused (400) when it is none."""
        if len(self.request.get_data()) > LARGEST_BODY:
            raise Refused(413, b"", errors.PLAIN)
        try:
            return json.loads(self.request.get_data() or b"null", parse_float=Decimal)
        except (ValueError, InvalidOperation):
            raise errors.bad_request(
                "JSON for post data was invalid", 14, "PostDataInvalidException"
            ) from None

    def elements(self, plural: str) -> list[Json]:
        """The objects sent: in their plural wrapper, bare, or as a bare list. Raises Refused (400) without any."""
        body = self.body
        if isinstance(body, dict):
            body = body.get(plural, [body] if body and plural not in body else [])
        if not isinstance(body, list) or not body or not all(isinstance(element, dict) for element in body):
            raise errors.bad_request(
                "No data has been processed for this endpoint. This endpoint is expecting "
                f"{plural} data to be specifed in the request body."
            )
        return body

    def reply(self, key: str, found: list[Any], **extra: Any) -> Reply:
        """A successful answer in the envelope."""
        return Reply(200, encode(envelope(key, found, self.world.clock.now(), **extra)), JSON_TYPE)

    def not_found(self) -> Refused:
        """404 in the shape that the switch says."""
        return errors.not_found(as_json=self.switch("not_found_json"))


View = Callable[..., Reply]


def serve(world: World, resource: str, view: View, **path: str) -> flask.Response:
    """Answer one request to `resource` with `view`."""
    headers: dict[str, str] = {"Xero-Correlation-Id": str(uuid.uuid4())}
    try:
        reply = _answer(world, resource, view, headers, path)
    except Refused as no:
        reply = _refusal(no)
    return _respond(reply, headers)


def not_an_endpoint(world: World, anything: str) -> flask.Response:
    """404 for an address that Xero does not have (or this one leaves out)."""
    as_json = bool(world.switch("xero.not_found_json", assumed("not_found_json")))
    return refusal_response(errors.not_found(as_json))


def refusal_response(no: Refused) -> flask.Response:
    """A refusal as an answer of its own."""
    return _respond(_refusal(no), {"Xero-Correlation-Id": str(uuid.uuid4())})


def _answer(world: World, resource: str, view: View, headers: dict[str, str], path: dict[str, str]) -> Reply:
    request = flask.request
    if request.url_rule:
        flask.g.operation = f"{request.method} {request.url_rule.rule}"
    caller = _caller(world)
    tenant = request.headers.get("xero-tenant-id", "").strip().lower()
    ledger = world.ledger("xero", tenant)
    if ledger is None or tenant not in caller.companies:
        raise errors.wrong_tenant()
    flask.g.company = tenant
    if not ledger.organization.active:
        raise errors.out_of_service()
    _allow_by_plan(world)
    limited = world.limits.take("xero", tenant, client=caller.client_id)
    if limited:
        raise errors.too_many(limited.problem, limited.retry_after)
    with world.limits.slot("xero", tenant):
        headers.update(world.limits.remaining("xero", tenant, caller.client_id))
        call = Call(world, ledger, caller, request)
        if not allowed(caller.scopes, resource, request.method != "GET"):
            raise errors.missing_scope(call.switch("missing_scope"))
        return _once(call, view, path)


def _allow_by_plan(world: World) -> None:
    """Apps on the Starter plan may make fewer calls a day."""
    if world.switch("xero.starter_app", assumed("starter_app")):
        windows = world.limits.windows["xero"]
        windows[:] = [w._replace(limit=STARTER_CALLS_A_DAY) if w.problem == "day" else w for w in windows]


def _caller(world: World) -> Caller:
    try:
        return world.authenticate("xero", flask.request)
    except BadToken as bad:
        if bad.reason == "expired":
            raise errors.token_expired(world.clock.now()) from None
        raise errors.token_unknown() from None


def _once(call: Call, view: View, path: dict[str, str]) -> Reply:
    """Run the view; a repeated Idempotency-Key gets the earlier answer, an error too."""
    request = call.request
    key = request.headers.get("Idempotency-Key")
    with call.ledger.lock:
        if key is None or request.method not in _REPEATABLE:
            return _perform(call, view, path)
        if not key.strip():
            raise errors.bad_request("Idempotency Key cannot be empty.")
        name = f"keys of {call.ledger.organization.id}"
        kept: KeptReplies = call.world.memory("xero").setdefault(name, KeptReplies())
        now = call.world.clock.now().timestamp()
        same = fingerprint(request.method, request.full_path, request.get_data())
        earlier = kept.find(key, same, now)
        if earlier is not None:
            return earlier
        try:
            reply = _perform(call, view, path)
        except Refused as no:
            reply = _refusal(no)
        kept.keep(key, same, reply, now)
        return reply


def _perform(call: Call, view: View, path: dict[str, str]) -> Reply:
    """Run the view; an adviser may write before the period lock date, when the switch says so."""
    organization = call.ledger.organization
    if call.request.method == "GET" or not call.switch("lock_date_bypass"):
        return view(call, **path)
    locked, organization.closed_until = organization.closed_until, None
    try:
        return view(call, **path)
    finally:
        organization.closed_until = locked


def _refusal(no: Refused) -> Reply:
    return Reply(no.status, no.body, no.content_type, tuple(no.headers.items()))


def _respond(reply: Reply, headers: dict[str, str]) -> flask.Response:
    body, content_type = reply.body, reply.content_type
    accepted = flask.request.headers.get("Accept", "*/*")
    if reply.status == 200 and content_type == JSON_TYPE and "json" not in accepted:
        body, content_type = _xml(body), "text/xml; charset=utf-8"
    response = flask.Response(body, reply.status)
    response.headers["Content-Type"] = content_type
    if reply.status == 204:
        del response.headers["Content-Type"]
    response.headers.update({**headers, **dict(reply.headers)})
    return response


def _xml(body: bytes) -> bytes:
    """What a client gets that does not ask for JSON: the older format, roughly."""
    return b"<Response>" + _element(json.loads(body)).encode() + b"</Response>"


def _element(value: Any, singular: str = "") -> str:
    if isinstance(value, dict):
        return "".join(f"<{name}>{_element(inner, name)}</{name}>" for name, inner in value.items())
    if isinstance(value, list):
        name = singular[:-1] if singular.endswith("s") else "Item"
        return "".join(f"<{name}>{_element(inner)}</{name}>" for inner in value)
    return "" if value is None else escape(str(value))
