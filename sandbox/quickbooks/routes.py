"""The HTTP side: who may come in, what each address does, request ids, limits, the meter."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, g, request

from sandbox.documents import Attachment
from sandbox.organization import Platform
from sandbox.quickbooks import (
    answers,
    attachables,
    batch,
    company,
    faults,
    printed,
    reading,
    schema,
    summaries,
    writes,
)
from sandbox.quickbooks.answers import answer, fault_answer
from sandbox.quickbooks.entities import BY_PATH, ENTITIES, find, singleton
from sandbox.quickbooks.faults import Fault
from sandbox.quickbooks.memory import Answer, Memory, Meter
from sandbox.quickbooks.native import Json
from sandbox.world import BadToken

if TYPE_CHECKING:
    from sandbox.ledger import Ledger
    from sandbox.world import World

PLATFORM: Platform = "quickbooks"
ACCOUNTING = "com.intuit.quickbooks.accounting"
Action = Callable[["Ledger"], Json | Response]
_HOME = "/v3/company/<realm>"


def memory_of(world: World, realm: str) -> Memory:
    """What is remembered of one company: answers by request id, and its meter."""
    memory: Memory = world.memory(PLATFORM).setdefault(realm, Memory())
    return memory


class Desk:
    """Takes every request through the same gates: token, company, limits, request id, the books' lock."""

    def __init__(self, world: World) -> None:
        self.world = world

    def switch(self, name: str, default: Any) -> Any:
        return self.world.switch(f"{PLATFORM}.{name}", default)

    def read(self, realm: str, what: str, action: Action) -> Response:
        """Data out: metered."""
        return self._serve(realm, what, action, lambda meter: meter.read())

    def write(self, realm: str, what: str, action: Action, *, keyed: bool = True) -> Response:
        """Data in: free. `keyed`: a request id makes it repeatable."""
        return self._serve(realm, what, action, lambda meter: meter.write(), keyed=keyed)

    def batch(self, realm: str, action: Action, count: Callable[[Meter], None]) -> Response:
        """Several at once, with limits of their own."""
        return self._serve(realm, "batch", action, count, keyed=True, batched=True)

    def _serve(
        self,
        realm: str,
        what: str,
        action: Action,
        count: Callable[[Meter], None],
        *,
        keyed: bool = False,
        batched: bool = False,
    ) -> Response:
        g.operation, g.company = what, realm
        refused = self._admit(realm, batched)
        if refused is not None:
            return refused
        ledger = self.world.companies[realm]
        with ledger.lock:
            try:
                request_id = self._request_id(batched) if keyed else ""
                memory = memory_of(self.world, realm)
                earlier = memory.answers.get(request_id) if request_id else None
                if earlier is not None and self.switch("request_ids", "remember") == "remember":
                    return Response(earlier.body, earlier.status, content_type=earlier.content_type)
                done = action(ledger)
            except Fault as fault:
                return fault_answer(fault, self.world.clock.now(), xml=_wants_xml())
            if not isinstance(done, Response):
                done = answer(done, self.world.clock.now(), xml=_wants_xml())
            if request_id:
                kept = Answer(done.status_code, done.get_data(), str(done.content_type))
                memory.remember(request_id, kept)
            count(memory.meter)
        return done

    def _admit(self, realm: str, batched: bool) -> Response | None:
        try:
            caller = self.world.authenticate(PLATFORM, request)
        except BadToken as bad:
            return answers.unauthorized(bad.token)
        known = self.world.ledger(PLATFORM, realm) is not None and realm in caller.companies
        if not known or ACCOUNTING not in caller.scopes:
            return answers.forbidden()
        if self.world.limits.take(PLATFORM, realm, batch=batched, client=caller.client_id) is not None:
            xml = _wants_xml() or self.switch("throttled_as", "json") == "xml"
            return fault_answer(faults.throttled(), self.world.clock.now(), xml=xml)
        return None

    @staticmethod
    def _request_id(batched: bool) -> str:
        request_id = request.args.get("requestid", "")
        limit = 36 if batched else 50
        if len(request_id) > limit:
            raise faults.too_long("requestid", limit, len(request_id))
        return request_id


def _wants_xml() -> bool:
    """The service answers in XML unless JSON is asked for; a client that takes anything gets JSON here."""
    accepted = request.headers.get("Accept", "*/*")
    return not any(kind in accepted for kind in ("json", "*/*", "pdf", "octet-stream"))


def _body() -> Json:
    try:
        body = json.loads(request.get_data(), parse_float=Decimal)
    except ValueError:
        raise faults.malformed("failed to parse json object; a property specified is unsupported or invalid")
    if not isinstance(body, dict):
        raise faults.malformed("a json object is expected")
    return body


def _name(path: str) -> str:
    name = schema.entity_named(path)
    if name is None:
        raise faults.unsupported()
    return name


def blueprint(world: World) -> Blueprint:
    """The v3 API of every QuickBooks company of the world; mount it where the API base is."""
    routes = Blueprint(PLATFORM, __name__)
    desk = Desk(world)

    @routes.before_request
    def start() -> None:
        g.quickbooks_start = time.perf_counter()

    @routes.after_request
    def finish(response: Response) -> Response:
        return answers.add_headers(response, time.perf_counter() - g.get("quickbooks_start", 0.0))

    _add_reading(routes, desk)
    _add_documents(routes, desk)
    _add_writing(routes, desk)

    @routes.route(f"{_HOME}/<path:rest>", methods=["GET", "POST"])
    def elsewhere(realm: str, rest: str) -> Response:
        def refuse(ledger: Ledger) -> Json:
            raise faults.unsupported()

        return desk.read(realm, "unknown path", refuse)

    return routes


def _add_reading(routes: Blueprint, desk: Desk) -> None:
    @routes.route(f"{_HOME}/query", methods=["GET", "POST"])
    def query(realm: str) -> Response:
        text = request.args.get("query") or request.get_data(as_text=True)
        words = text.split()
        after = [word.upper() for word in words].index("FROM") + 1 if "FROM" in text.upper().split() else 0
        what = words[after] if 0 < after < len(words) else ""
        return desk.read(
            realm, f"query {what}".strip(), lambda ledger: {"QueryResponse": reading.run_query(ledger, text)}
        )

    @routes.get(f"{_HOME}/cdc")
    def changes(realm: str) -> Response:
        def captured(ledger: Ledger) -> Json:
            for name in ("entities", "changedSince"):
                if not request.args.get(name):
                    raise faults.missing(name)
            beyond = desk.switch("cdc_beyond_30_days", "honor")
            entities, since = request.args["entities"], request.args["changedSince"]
            found = reading.captured(ledger, entities, since, beyond=beyond, now=desk.world.clock.now())
            return {"CDCResponse": [found]}

        return desk.read(realm, "cdc", captured)

    @routes.get(f"{_HOME}/companyinfo/<id>")
    def company_info(realm: str, id: str) -> Response:
        def render(ledger: Ledger) -> Json:
            if id not in (realm, "1"):
                raise faults.not_found()
            return {"CompanyInfo": company.render_company(ledger)}

        return desk.read(realm, "GET CompanyInfo", render)

    @routes.get(f"{_HOME}/preferences")
    def preferences(realm: str) -> Response:
        return desk.read(
            realm, "GET Preferences", lambda ledger: {"Preferences": company.render_preferences(ledger)}
        )

    @routes.get(f"{_HOME}/exchangerate")
    def exchange_rate(realm: str) -> Response:
        def render(ledger: Ledger) -> Json:
            source = request.args.get("sourcecurrencycode")
            if not source:
                raise faults.missing("sourcecurrencycode")
            day = summaries.day_of(request.args.get("asofdate")) or ledger.today()
            return {"ExchangeRate": company.render_rate(ledger, source, day)}

        return desk.read(realm, "GET ExchangeRate", render)

    @routes.get(f"{_HOME}/reports/<report>")
    def reports(realm: str, report: str) -> Response:
        return desk.read(
            realm,
            f"report {report}",
            lambda ledger: summaries.report(ledger, report, request.args, desk.world.clock.now()),
        )


def _add_documents(routes: Blueprint, desk: Desk) -> None:
    @routes.get(f"{_HOME}/<entity>/<id>")
    def get(realm: str, entity: str, id: str) -> Response:
        def render(ledger: Ledger) -> Json:
            name = _name(entity)
            one = singleton(ledger, name)
            if one is not None:
                return {name: one}
            if name not in ENTITIES:
                raise faults.unsupported()
            record = find(ledger, ENTITIES[name], id)
            body = ENTITIES[name].render(ledger, record)
            if name == "Invoice" and request.args.get("include", "").lower() == "invoicelink":
                body = writes.with_link(ledger, record, body)
            return {name: body}

        return desk.read(realm, f"GET {_spelled(entity)}", render)

    @routes.get(f"{_HOME}/<entity>/<id>/pdf")
    def pdf(realm: str, entity: str, id: str) -> Response:
        def render(ledger: Ledger) -> Response:
            name = _name(entity)
            if name not in ("Invoice", "CreditMemo", "Payment", "RefundReceipt"):
                raise faults.unsupported()
            record = find(ledger, ENTITIES[name], id)
            title = f"{name} {getattr(record, 'number', '') or id}"
            return Response(printed.pdf(title), content_type="application/pdf")

        return desk.read(realm, f"PDF {_spelled(entity)}", render)

    @routes.get(f"{_HOME}/download/<id>")
    def download(realm: str, id: str) -> Response:
        def render(ledger: Ledger) -> Response:
            file: Attachment = find(ledger, ENTITIES["Attachable"], id)
            kind = file.mime_type or "application/octet-stream"
            return Response(file.content, content_type=kind)

        return desk.read(realm, "download", render)

    @routes.post(f"{_HOME}/<entity>/<id>/send")
    def send(realm: str, entity: str, id: str) -> Response:
        address = request.args.get("sendTo", "")
        return desk.write(
            realm,
            f"send {_spelled(entity)}",
            lambda ledger: writes.send(ledger, _name(entity), id, address),
            keyed=False,
        )


def _add_writing(routes: Blueprint, desk: Desk) -> None:
    @routes.post(f"{_HOME}/batch")
    def post_batch(realm: str) -> Response:
        def run(ledger: Ledger) -> Json:
            keyed = bool(request.args.get("requestid"))
            return {"BatchItemResponse": batch.run(ledger, _body(), desk.switch, keyed=keyed)}

        def count(meter: Meter) -> None:
            items = _body()["BatchItemRequest"]
            queries = sum("Query" in item for item in items)
            if queries:
                meter.read(queries)
            if queries < len(items):
                meter.write(len(items) - queries)

        return desk.batch(realm, run, count)

    @routes.post(f"{_HOME}/upload")
    def upload(realm: str) -> Response:
        return desk.write(
            realm,
            "upload",
            lambda ledger: {
                "AttachableResponse": [
                    _uploaded(ledger, *part)
                    for part in attachables.parts(request.content_type or "", request.get_data())
                ]
            },
        )

    @routes.post(f"{_HOME}/<entity>")
    def post(realm: str, entity: str) -> Response:
        operation = request.args.get("operation", "save")

        def save(ledger: Ledger) -> Json:
            if (entity.lower(), operation) == ("bill", "void"):
                raise faults.system_failure(200)  # that is how the real one says that bills cannot be voided
            return writes.post(ledger, _name(entity), _body(), request.args, desk.switch)

        return desk.write(realm, f"{operation} {_spelled(entity)}", save)


def _spelled(path: str) -> str:
    return BY_PATH[path.lower()].name if path.lower() in BY_PATH else path


def _uploaded(ledger: Ledger, metadata: Json, content: bytes, filename: str) -> Json:
    """Each file has its own outcome; a fault is nested in a 200."""
    try:
        writes.check_subscription(ledger)
        schema.check("Attachable", metadata)
        attachment = attachables.read(ledger, metadata, content, filename)
        made = writes.add(ledger, ENTITIES["Attachable"], attachment)
        return {"Attachable": attachables.render(ledger, made)}
    except Fault as fault:
        return {"Fault": fault.body()}
