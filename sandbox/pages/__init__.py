"""The small pages of each company: what is in its books, and buttons to act as its customer or its bookkeeper."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

import flask
from flask import Blueprint, Response, redirect, render_template, request, url_for

from sandbox import acts
from sandbox.documents import Ref
from sandbox.ledger import Ledger
from sandbox.money import exponent, to_decimal, to_minor
from sandbox.organization import Basis
from sandbox.posting import all_postings, postings_of
from sandbox.refusals import Refusal
from sandbox.reports import BUCKETS, aged_receivables, trial_balance
from sandbox.world import World

KINDS = ("invoice", "credit_note", "payment", "advance", "refund", "deposit", "journal")
WORDS = {
    "quickbooks": {"credit_note": "credit memo", "customer": "customer", "advance": "advance"},
    "xero": {"credit_note": "credit note", "customer": "contact", "advance": "overpayment"},
}
PAGE = 100


def company_pages(world: World) -> Blueprint:
    """To be mounted at /."""
    pages = Blueprint("pages", __name__)

    def of(id: str) -> Ledger:
        if id not in world.companies:
            flask.abort(404)
        return world.companies[id]

    def show(template: str, ledger: Ledger, **more: Any) -> Response:
        organization = ledger.organization

        def words(kind: str) -> str:
            return WORDS[organization.platform].get(kind, kind.replace("_", " "))

        page = render_template(
            template, ledger=ledger, organization=organization, money=money, words=words, today=ledger.today(),
            told=request.args.get("told", ""), refused=request.args.get("refused", ""), **more,
        )  # fmt: skip
        return Response(page, content_type="text/html; charset=utf-8")

    @pages.get("/")
    def home() -> str:
        return render_template("home.html", world=world, companies=list(world.companies.values()))

    @pages.get("/companies/<id>")
    def company(id: str) -> Response:
        ledger = of(id)
        with ledger.lock:
            aged = {(r.customer, r.currency): r for r in aged_receivables(ledger, ledger.today())}
            rows = sorted(ledger.customers, key=lambda c: c.name.casefold())
            return show("company.html", ledger, customers=rows, aged=aged)

    @pages.get("/companies/<id>/customers/<customer>")
    def customer(id: str, customer: str) -> Response:
        ledger = of(id)
        with ledger.lock:
            person = _found(ledger, Ref("customer", customer))
            documents = [d for d in _documents(ledger) if getattr(d[1], "customer", "") == customer]
            return show(
                "customer.html", ledger, customer=person, documents=documents[::-1],
                notes=ledger.notes(Ref("customer", customer)), balances=ledger.balances(customer),
            )  # fmt: skip

    @pages.get("/companies/<id>/documents")
    def documents(id: str) -> Response:
        ledger = of(id)
        kind, page = request.args.get("kind", ""), max(1, request.args.get("page", 1, type=int))
        with ledger.lock:
            found = [d for d in _documents(ledger) if kind in ("", d[0])][::-1]
            return show(
                "documents.html", ledger, documents=found[(page - 1) * PAGE : page * PAGE], kind=kind, kinds=KINDS,
                page=page, pages=-(-len(found) // PAGE),
            )  # fmt: skip

    @pages.get("/companies/<id>/documents/<kind>/<document>")
    def document(id: str, kind: str, document: str) -> Response:
        ledger, ref = of(id), Ref(kind, document)
        with ledger.lock:
            return show(
                "document.html", ledger, kind=kind, ref=ref, document=_found(ledger, ref), notes=ledger.notes(ref),
                attachments=ledger.attachments_of(ref), to=ledger.allocations_to(ref),
                given=ledger.allocations_from(ref), postings=postings_of(ledger, ref),
                cash=postings_of(ledger, ref, "cash"),
            )  # fmt: skip

    @pages.get("/companies/<id>/journal")
    def journal(id: str) -> Response:
        ledger = of(id)
        basis: Basis = "cash" if request.args.get("basis") == "cash" else "accrual"
        with ledger.lock:
            found = sorted(all_postings(ledger, basis), key=lambda p: (p.date, p.ref), reverse=True)
            entries = [
                (key, list(lines)) for key, lines in groupby(found[:600], key=lambda p: (p.date, p.ref))
            ]
            return show("journal.html", ledger, basis=basis, entries=entries, whole=len(found))

    @pages.get("/companies/<id>/trial-balance")
    def trial(id: str) -> Response:
        ledger = of(id)
        with ledger.lock:
            both = trial_balance(ledger), trial_balance(ledger, "cash")
            rows = [(a, both[0].get(a.id, 0), both[1].get(a.id, 0)) for a in ledger.accounts]
            return show("trial_balance.html", ledger, rows=[r for r in rows if r[1] or r[2]])

    @pages.get("/companies/<id>/aged")
    def aged(id: str) -> Response:
        ledger = of(id)
        with ledger.lock:
            rows = aged_receivables(ledger, ledger.today())
            return show("aged.html", ledger, rows=rows, buckets=BUCKETS)

    @pages.post("/companies/<id>/act")
    def act(id: str) -> Response:
        """A button: does it and goes back to the page it stood on, saying what happened or why not."""
        ledger, form = of(id), request.form
        try:
            told = {"told": _BUTTONS[form.get("act", "")](ledger, form)}
        except Refusal as refusal:
            told = {"refused": str(refusal)}
        except (ValueError, KeyError, InvalidOperation):
            told = {"refused": "That could not be read. Check the amount and the date."}
        back = form.get("back", "")
        if not back.startswith(f"/companies/{id}"):
            back = url_for("pages.company", id=id)
        return flask.make_response(redirect(f"{back}?{urlencode(told)}", 303))

    return pages


def money(minor: int, currency: str) -> str:
    """-123456, "USD" → −1,234.56"""
    return f"{to_decimal(minor, currency):,.{exponent(currency)}f}".replace("-", "\N{MINUS SIGN}")


def _found(ledger: Ledger, ref: Ref) -> Any:
    try:
        return ledger.find(ref)
    except (Refusal, KeyError):
        flask.abort(404)


def _documents(ledger: Ledger) -> list[tuple[str, Any]]:
    """All documents, oldest date first."""
    found = [(kind, document) for kind in KINDS for document in ledger.table(kind)]
    return sorted(found, key=lambda d: (d[1].date, d[1].created))


def _amount(ledger: Ledger, form: Any, currency: str) -> int | None:
    given = form.get("amount", "").replace(",", "").strip()
    return to_minor(Decimal(given), currency) if given else None


def _day(form: Any, name: str) -> date | None:
    return date.fromisoformat(form[name]) if form.get(name) else None


def _pay(ledger: Ledger, form: Any) -> str:
    invoice = ledger.invoices[form["invoice"]]
    amount = _amount(ledger, form, invoice.currency)
    acts.pay(ledger, invoice=invoice.id, amount=amount, day=_day(form, "day"))
    return f"Paid. {money(invoice.balance, invoice.currency)} {invoice.currency} is still open."


def _pay_customer(ledger: Ledger, form: Any) -> str:
    currency = ledger.customers[form["customer"]].currency
    acts.pay(ledger, customer=form["customer"], amount=_amount(ledger, form, currency), day=_day(form, "day"))
    return "Paid, the oldest due first."


def _void(ledger: Ledger, form: Any) -> str:
    acts.void(ledger, Ref(form["kind"], form["id"]))
    return "Voided."


def _credit(ledger: Ledger, form: Any) -> str:
    invoice = ledger.invoices[form["invoice"]]
    acts.credit(ledger, invoice=invoice.id, amount=_amount(ledger, form, invoice.currency))
    return f"Credited. {money(invoice.balance, invoice.currency)} {invoice.currency} is still open."


def _edit(ledger: Ledger, form: Any) -> str:
    changes = {k: form[k] for k in ("due", "private_note", "customer_memo", "reference") if k in form}
    changes = {k: v.replace("\r\n", "\n") for k, v in changes.items()}
    acts.edit(ledger, Ref(form["kind"], form["id"]), changes)
    return "Saved."


def _close(ledger: Ledger, form: Any) -> str:
    until = _day(form, "until")
    acts.close_period(ledger, until)
    return f"The books are closed to {until}." if until else "The books are open."


def _note(ledger: Ledger, form: Any) -> str:
    if not form.get("text", "").strip():
        raise ValueError
    ledger.add_note(Ref(form["kind"], form["id"]), form["text"].strip(), user="Bookkeeper")
    return "Noted."


_BUTTONS: dict[str, Callable[[Ledger, Any], str]] = {
    "pay": _pay, "pay_customer": _pay_customer, "void": _void, "credit": _credit, "edit": _edit, "close": _close,
    "note": _note,
}  # fmt: skip
