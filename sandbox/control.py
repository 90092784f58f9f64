"""The JSON control interface under /control/, for demos, tests and benchmarks. Amounts are minor units.

Errors are {"error": sentence} with 400 (not understood), 404 (not there) or 409 (the ledger refuses).
"""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, cast

import flask
from flask import Blueprint, Response, request

from sandbox import acts, books
from sandbox.documents import Ref
from sandbox.faults import Fault
from sandbox.grants import USERS
from sandbox.ledger import Ledger
from sandbox.limits import Window
from sandbox.organization import Basis, Platform
from sandbox.posting import all_postings, postings_of
from sandbox.refusals import NotFound, Refusal
from sandbox.reports import aged_receivables, tax_boxes, trial_balance_by_month
from sandbox.world import World

KINDS = ("invoice", "credit_note", "payment", "advance", "refund", "deposit", "journal")


class Misunderstood(Exception):
    """The request is wrong; `str()` says how to put it right."""


def blueprint(world: World) -> Blueprint:
    """To be mounted at /control."""
    pages = Blueprint("control", __name__)

    @pages.errorhandler(Refusal)
    def refused(refusal: Refusal) -> tuple[Response, int]:
        status = 404 if isinstance(refusal, NotFound) else 409
        return flask.jsonify(error=str(refusal), refusal=type(refusal).__name__), status

    @pages.errorhandler(Misunderstood)
    @pages.errorhandler(books.WrongBooks)
    @pages.errorhandler(ValueError)
    @pages.errorhandler(TypeError)
    @pages.errorhandler(KeyError)
    @pages.errorhandler(AttributeError)
    def misunderstood(error: Exception) -> tuple[Response, int]:
        return flask.jsonify(error=f"{error}" or type(error).__name__), 400

    for routes in (_company_routes, _book_routes, _world_routes, _access_routes):
        routes(pages, world)
    return pages


def _company(world: World, id: str) -> Ledger:
    if id not in world.companies:
        raise NotFound(f"There is no company {id}.")
    return world.companies[id]


def _company_routes(pages: Blueprint, world: World) -> None:
    """Which companies there are, their switches, and what customers and bookkeepers do in them."""
    of = partial(_company, world)

    @pages.get("/companies")
    def companies() -> Response:
        return flask.jsonify([_summary(x) for x in world.companies.values()])

    @pages.post("/companies")
    def add_company() -> tuple[Response, int]:
        """One books/1 object (or {"path": file}) with ?platform=quickbooks|xero|both."""
        given = json.loads(request.get_data(), parse_float=Decimal)
        wanted = request.args.get("platform", "both")
        platforms = ("quickbooks", "xero") if wanted == "both" else (wanted,)
        if "path" in given:
            ledgers = books.read(Path(given["path"]), world.clock, cast(Any, platforms))
        else:
            ledgers = [books.load(given, cast(Platform, platform), world.clock) for platform in platforms]
        for ledger in ledgers:
            world.add(ledger)
        return flask.jsonify([_summary(x) for x in ledgers]), 201

    @pages.get("/companies/<id>")
    def company(id: str) -> Response:
        ledger = of(id)
        with ledger.lock:
            facts = {**_summary(ledger), **plain(ledger.organization)}
            facts["accounts"] = [plain(a) for a in ledger.accounts]
            facts["tax_codes"] = [plain(c) for c in ledger.tax_codes]
            facts["items"] = [plain(i) for i in ledger.items]
        return flask.jsonify(facts)

    @pages.post("/companies/<id>/rules")
    def rules(id: str) -> Response:
        """Set switches of this company: rules (see Rules) or facts (closed_until, own_reminders, active …)."""
        organization = of(id).organization
        for name, value in _body().items():
            target: Any = organization.rules if hasattr(organization.rules, name) else organization
            if not hasattr(target, name):
                raise Misunderstood(f"There is no rule or fact called {name}.")
            if name in ("closed_until", "year_closed_until"):
                value = date.fromisoformat(value) if value else None
            setattr(target, name, value)
        return flask.jsonify(plain(organization))

    @pages.post("/companies/<id>/act")
    def act(id: str) -> tuple[Response, int]:
        ledger = of(id)
        given = _body()
        name = given.pop("act", "")
        if name not in ACTS:
            raise Misunderstood(f"There is no act {name!r}. There are: {', '.join(sorted(ACTS))}.")
        found = ACTS[name](ledger, **_typed(given))
        made = found if isinstance(found, list) else [found]
        return flask.jsonify([plain(m) for m in made if m is not None]), 200

    @pages.get("/companies/<id>/meter")
    def meter(id: str) -> Response:
        """QuickBooks: successful calls by price class, as its layer counted them."""
        face = importlib.import_module("sandbox.quickbooks")
        return flask.jsonify(dict(face.memory_of(world, of(id).organization.id).meter))

    @pages.get("/companies/<id>/deletions")
    def deletions(id: str) -> Response:
        return flask.jsonify([plain(d) for d in of(id).deletions])


def _book_routes(pages: Blueprint, world: World) -> None:
    """What the books of a company say."""
    of = partial(_company, world)

    @pages.get("/companies/<id>/trial-balance")
    def trial(id: str) -> Response:
        ledger, basis = of(id), _basis()
        with ledger.lock:
            months = trial_balance_by_month(ledger, basis)
            moved: dict[str, dict[str, int]] = defaultdict(dict)
            for month, accounts in months.items():
                for account, amount in accounts.items():
                    moved[account][month] = amount
            rows = [
                {
                    "id": a.id, "code": a.code, "name": a.name, "type": a.type, "role": a.role,
                    "balance": sum(moved[a.id].values()), "months": moved[a.id],
                }
                for a in ledger.accounts
                if a.id in moved
            ]  # fmt: skip
        home = ledger.organization.home_currency
        return flask.jsonify(company=id, basis=basis, currency=home, accounts=rows)

    @pages.get("/companies/<id>/tax")
    def tax(id: str) -> Response:
        found = tax_boxes(of(id), _basis())
        return flask.jsonify(
            {m: {c: {"sales": v[0], "tax": v[1]} for c, v in codes.items()} for m, codes in found.items()}
        )

    @pages.get("/companies/<id>/aged")
    def aged(id: str) -> Response:
        ledger = of(id)
        as_of = date.fromisoformat(request.args["as_of"]) if "as_of" in request.args else ledger.today()
        with ledger.lock:
            rows = [
                {**plain(row), "name": ledger.customers[row.customer].name, "total": row.total}
                for row in aged_receivables(ledger, as_of)
            ]
        totals: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for row in rows:
            for name in ("open", "overdue", "unapplied", "total"):
                totals[row["currency"]][name] += row[name]
        return flask.jsonify(as_of=as_of.isoformat(), customers=rows, totals=totals)

    @pages.get("/companies/<id>/customers")
    def customers(id: str) -> Response:
        ledger = of(id)
        with ledger.lock:
            rows = [{**plain(c), "balances": ledger.balances(c.id)} for c in ledger.customers]
        return flask.jsonify(rows)

    @pages.get("/companies/<id>/documents")
    def documents(id: str) -> Response:
        """?kind= &customer= &number= ; all kinds by default, in order of entry."""
        ledger, asked = of(id), request.args
        with ledger.lock:
            rows = [
                summary_of(ledger, Ref(kind, document.id))
                for kind in ([asked["kind"]] if "kind" in asked else KINDS)
                for document in ledger.table(kind)
                if asked.get("customer") in (None, getattr(document, "customer", ""))
                and asked.get("number") in (None, getattr(document, "number", ""))
            ]
        return flask.jsonify(rows)

    @pages.get("/companies/<id>/documents/<kind>/<document>")
    def one(id: str, kind: str, document: str) -> Response:
        ledger, ref = of(id), Ref(kind, document)
        with ledger.lock:
            found = summary_of(ledger, ref)
            found["postings"] = [plain(p._asdict()) for p in postings_of(ledger, ref, _basis())]
        return flask.jsonify(found)

    @pages.get("/companies/<id>/journal")
    def journal(id: str) -> Response:
        """Every posting; ?account= or ?month= narrow it."""
        ledger, asked = of(id), request.args
        with ledger.lock:
            rows = [
                plain(p._asdict())
                for p in all_postings(ledger, _basis())
                if asked.get("account") in (None, p.account)
                and p.date.isoformat().startswith(asked.get("month", ""))
            ]
        return flask.jsonify(sorted(rows, key=lambda r: r["date"]))


def _cancel(ledger: Ledger, kind: str, id: str) -> Any:
    return acts.void(ledger, Ref(kind, id))


def _delete(ledger: Ledger, kind: str, id: str) -> Any:
    return ledger.delete(Ref(kind, id))


def _edit(ledger: Ledger, kind: str, id: str, changes: dict[str, Any]) -> Any:
    return acts.edit(ledger, Ref(kind, id), changes)


def _close(ledger: Ledger, until: date | None = None, year_end: bool = False) -> None:
    acts.close_period(ledger, until, year_end=year_end)


def _merge(ledger: Ledger, loser: str, survivor: str) -> Any:
    return ledger.merge_customers(loser, survivor)


def _note(ledger: Ledger, kind: str, id: str, text: str) -> Any:
    return ledger.add_note(Ref(kind, id), text, user="Bookkeeper")


def _apply_money(ledger: Ledger, kind: str, id: str, invoice: str, amount: int | None = None) -> None:
    acts.apply_money(ledger, source=Ref(kind, id), invoice=invoice, amount=amount)


def _deallocate(ledger: Ledger, id: str) -> Any:
    return ledger.deallocate(id)


ACTS: dict[str, Any] = {
    "pay": acts.pay, "bill": acts.bill, "credit": acts.credit, "apply_credit": acts.apply_credit,
    "apply_money": _apply_money, "void": _cancel, "delete": _delete, "edit": _edit, "close": _close,
    "write_off": acts.write_off, "merge": _merge, "note": _note, "customer": acts.add_customer,
    "journal": acts.journal, "deallocate": _deallocate,
}  # fmt: skip


def _world_routes(pages: Blueprint, world: World) -> None:
    """The clock, switches, faults, and the calls that came in."""

    @pages.route("/clock", methods=["GET", "POST"])
    def clock() -> Response:
        """POST {"today": "2026-11-21"} | {"now": ISO, "frozen": false} | {"advance_days": n, "advance_seconds": n}"""
        if request.method == "POST":
            given = _body()
            if "today" in given:
                world.clock.set_today(date.fromisoformat(given["today"]))
            if "now" in given:
                now = datetime.fromisoformat(given["now"])
                world.clock.set(
                    now if now.tzinfo else now.replace(tzinfo=UTC), frozen=given.get("frozen", False)
                )
            world.clock.advance(days=given.get("advance_days", 0), seconds=given.get("advance_seconds", 0))
        return flask.jsonify(now=world.clock.now().isoformat(), today=world.clock.today().isoformat())

    @pages.route("/switches", methods=["GET", "POST"])
    def switches() -> Response:
        """POST {"name": value}; null puts a switch back to its default."""
        if request.method == "POST":
            for name, value in _body().items():
                world.set_switch(name, value)
        return flask.jsonify(world.switches)

    @pages.route("/faults", methods=["GET", "POST", "DELETE"])
    def faults() -> Response:
        """POST one fault (the fields of Fault) or a list of them; DELETE forgets all."""
        if request.method == "POST":
            given = _body(list_too=True)
            for fault in given if isinstance(given, list) else [given]:
                world.faults.add(Fault(**fault))
        elif request.method == "DELETE":
            world.faults.clear()
        return flask.jsonify(waiting=[plain(f) for f in world.faults.waiting], struck=world.faults.struck)

    @pages.route("/requests", methods=["GET", "DELETE"])
    def requests_log() -> Response:
        """?platform= &company= &since=<position>: the calls, and totals by operation."""
        if request.method == "DELETE":
            world.calls.clear()
        asked = request.args
        calls = [
            c
            for c in list(world.calls)[int(asked.get("since", 0)) :]
            if asked.get("platform") in (None, c.platform) and asked.get("company") in (None, c.company)
        ]
        totals: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for call in calls:
            total = totals[call.operation]
            total["calls"] += 1
            for name in ("bytes_in", "bytes_out", "bytes_plain"):
                total[name] += getattr(call, name)
        shown = [] if asked.get("totals_only") else [plain(c) for c in calls]
        return flask.jsonify(position=len(world.calls), calls=shown, totals=totals)


def _access_routes(pages: Blueprint, world: World) -> None:
    """Webhooks, tokens, limits, and who can sign in."""

    @pages.route("/webhooks", methods=["GET", "POST"])
    def webhooks() -> Response:
        """POST {"quickbooks": URL, "xero": URL} ("" stops)."""
        if request.method == "POST":
            for platform, url in _body().items():
                world.delivery.listen(cast(Platform, platform), url)
        return flask.jsonify(
            urls=world.delivery.urls, disabled=world.delivery.disabled,
            attempts=[plain(a) for a in world.delivery.attempts],
        )  # fmt: skip

    @pages.post("/webhooks/settle")
    def settle() -> Response:
        """Wait (at most ?seconds=10) until everything queued is sent."""
        return flask.jsonify(settled=world.delivery.settle(float(request.args.get("seconds", 10))))

    @pages.post("/webhooks/check")
    def check() -> Response:
        """Run Xero's intent to receive against the present address."""
        return flask.jsonify(passed=world.delivery.check(world.delivery.urls["xero"]))

    @pages.post("/tokens")
    def tokens() -> Response:
        """{"expire": platform, "refresh": bool} | {"skip_seconds": n} | {"disconnect": company id}"""
        given, ended = _body(), 0
        if "expire" in given:
            world.grants.expire(given["expire"], refresh=bool(given.get("refresh")))
        world.grants.skip += float(given.get("skip_seconds", 0))
        if "disconnect" in given:
            platform = world.companies[given["disconnect"]].organization.platform
            ended = world.grants.disconnect(platform, given["disconnect"])
        return flask.jsonify(ended=ended)

    @pages.route("/limits", methods=["GET", "POST"])
    def limits() -> Response:
        """POST {"unthrottled": bool} | {"reset": true} | {"xero": [["minute", 60, 60, "company"], …]}"""
        if request.method == "POST":
            given = _body()
            world.limits.unthrottled = given.get("unthrottled", world.limits.unthrottled)
            if given.get("reset"):
                world.limits.reset()
            for platform in world.limits.windows:
                if platform in given:
                    world.limits.windows[platform] = [Window(*w) for w in given[platform]]
        return flask.jsonify(unthrottled=world.limits.unthrottled, **cast(Any, world.limits.windows))

    @pages.get("/users")
    def users() -> Response:
        return flask.jsonify([plain(u) for u in USERS])


def _summary(ledger: Ledger) -> dict[str, Any]:
    organization = ledger.organization
    return {
        "id": organization.id, "platform": organization.platform, "name": organization.name,
        "currency": organization.home_currency, "country": organization.country,
        "income_basis": organization.income_basis, "tax_basis": organization.tax_basis,
        "source_id": organization.extra.get("source_id", ""), "customers": len(ledger.customers),
        "invoices": len(ledger.invoices), "payments": len(ledger.payments), "revision": ledger.revision,
    }  # fmt: skip


def summary_of(ledger: Ledger, ref: Ref) -> dict[str, Any]:
    """A document with its derived figures, allocations, notes and attachments."""
    document = ledger.find(ref)
    found: dict[str, Any] = {"kind": ref.kind, **plain(document)}
    for name in ("total", "net", "tax", "balance"):
        if hasattr(document, name):
            found[name] = getattr(document, name)
    found["allocations_to"] = [plain(a) for a in ledger.allocations_to(ref)]
    found["allocations_from"] = [plain(a) for a in ledger.allocations_from(ref)]
    found["notes"] = [plain(n) for n in ledger.notes(ref)]
    found["attachments"] = [plain(a) for a in ledger.attachments_of(ref)]
    return found


def plain(value: Any) -> Any:
    """Anything of ours as JSON: dates ISO, Decimals text, Refs {"kind", "id"}, bytes their number."""
    if isinstance(value, Ref):
        return {"kind": value.kind, "id": value.id}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {k: plain(v) for k, v in value._asdict().items()}
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return len(value)
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _body(*, list_too: bool = False) -> Any:
    found = json.loads(request.get_data() or b"{}", parse_float=Decimal if not list_too else float)
    if not isinstance(found, dict) and not (list_too and isinstance(found, list)):
        raise Misunderstood("Send a JSON object.")
    return found


def _typed(given: dict[str, Any]) -> dict[str, Any]:
    dates = {"day", "due", "until"}
    return {
        k: date.fromisoformat(v) if k in dates and isinstance(v, str) and v else v for k, v in given.items()
    }


def _basis() -> Basis:
    basis = request.args.get("basis", "accrual")
    if basis not in ("accrual", "cash"):
        raise Misunderstood("basis must be accrual or cash.")
    return cast(Basis, basis)
