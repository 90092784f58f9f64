"""Payments and refunds by API, and setting credits against invoices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from sandbox.documents import Account, Advance, CreditNote, Invoice, Link, Payment, Ref, Refund
from sandbox.money import to_minor
from sandbox.xero import errors, rows
from sandbox.xero.elements import (
    Perform,
    account_named,
    carry_out,
    check_open,
    date,
    identity,
    inner,
    number,
    text,
)
from sandbox.xero.envelope import JSON_TYPE, Json, day, encode
from sandbox.xero.errors import Invalid
from sandbox.xero.idempotency import Reply
from sandbox.xero.reading import find_payment
from sandbox.xero.request import Call

EXCEEDS = "Payment amount exceeds the amount outstanding on this document"
NOT_AUTHORISED = "Payments can only be made against Authorised documents"
_TARGETS = ("Invoice", "CreditNote", "Prepayment", "Overpayment")
_SOURCES = {
    "credit_note": ("Credit Note", "CreditNote", "CreditNoteID"),
    "overpayment": ("Overpayment", "Overpayment", "OverpaymentID"),
    "prepayment": ("Prepayment", "Prepayment", "PrepaymentID"),
}


def save_payments(call: Call) -> Reply:
    """PUT or POST /Payments: money for an invoice, or given back from a credit."""
    spent: dict[str, int] = defaultdict(int)
    elements = call.elements("Payments")
    if call.request.method == "POST" and elements[0].get("PaymentID"):
        return change_payment(call, str(elements[0]["PaymentID"]))
    return carry_out(call, "Payments", "PaymentID", elements, lambda element: _prepare(call, element, spent))


def _prepare(call: Call, element: Json, spent: dict[str, int]) -> Perform:
    target = _target(call, element)
    if not target.live or not target.balance:
        raise Invalid(NOT_AUTHORISED)
    stated = number(element, "Amount")
    if stated is None or stated <= 0:
        raise Invalid("The payment amount must be greater than zero.")
    amount = to_minor(stated, target.currency)
    spent[target.id] += amount
    if spent[target.id] > target.balance:
        raise Invalid(EXCEEDS)
    account = _account(call, element)
    on = date(element, "Date") or call.today
    check_open(call, on)
    rate = number(element, "CurrencyRate")
    common: dict[str, Any] = {
        "customer": target.customer,
        "date": on,
        "amount": amount,
        "currency": target.currency,
        "rate": 1 / rate if rate and target.rate != 1 else target.rate,
        "account": account.id,
        "reference": text(element, "Reference", 255),
        "extra": {"app": call.caller.client_id},
    }

    def perform() -> Json:
        made: Payment | Refund
        if isinstance(target, Invoice):
            links = [Link(Ref("invoice", target.id), amount)]
            reconciled = element.get("IsReconciled") is True
            made = call.ledger.add_payment(Payment(**common, links=links, reconciled=reconciled))
        else:
            kind = "credit_note" if isinstance(target, CreditNote) else "advance"
            made = call.ledger.add_refund(Refund(**common, source=Ref(kind, target.id)))
        return rows.payment_row(call.ledger, made, strings=call.switch("batch_strings"))

    return perform


def _target(call: Call, element: Json) -> Invoice | CreditNote | Advance:
    """The one document that the money is for. Raises Invalid."""
    named = {name: inner(element, name) for name in _TARGETS if inner(element, name)}
    for name in ("Invoice", "CreditNote"):
        if element.get(f"{name}Number") and name not in named:
            named[name] = {f"{name}Number": element[f"{name}Number"]}
    if len(named) != 1:
        raise Invalid("A payment must be for exactly one Invoice, CreditNote, Prepayment or Overpayment.")
    ((name, stated),) = named.items()
    ledger = call.ledger
    found: Any
    if name in ("Invoice", "CreditNote"):
        kind = "invoice" if name == "Invoice" else "credit_note"
        same = ledger.by_number(kind, str(stated.get(f"{name}Number") or "\0"))
        found = ledger.table(kind).get(identity(stated, f"{name}ID")) or next(iter(same[-1:]), None)
    else:
        found = ledger.advances.get(identity(stated, f"{name}ID"))
    if found is None:
        raise Invalid(f"The {name} of the payment could not be found.")
    document: Invoice | CreditNote | Advance = found
    return document


def _account(call: Call, element: Json) -> Account:
    """Where the money goes: a bank account, or one that takes payments. Raises Invalid."""
    account = account_named(call.ledger, inner(element, "Account") or {"Code": element.get("Code")})
    if account is None:
        raise Invalid("Account could not be found")
    if not account.active:
        raise Invalid(f"The account {account.code} has been archived.")
    if account.type != "bank" and not account.takes_payments:
        raise Invalid(f"The account {account.code} is no bank account and payments to it are not enabled.")
    return account


def change_payment(call: Call, identity: str) -> Reply:
    """POST /Payments/{id}: the only change is {"Status": "DELETED"}."""
    payment: Payment | Refund = find_payment(call, identity)
    body = call.elements("Payments")[0]

    def prepare(element: Json) -> Perform:
        if element.get("Status") != "DELETED":
            raise Invalid("A payment cannot be changed, only deleted.")
        if not payment.live:
            raise Invalid("The payment has already been deleted.")
        if isinstance(payment, Payment) and payment.batch:
            raise Invalid("A payment that is part of a batch cannot be deleted by itself.")
        check_open(call, payment.date)

        def perform() -> Json:
            kind = "payment" if isinstance(payment, Payment) else "refund"
            call.ledger.delete(Ref(kind, payment.id))
            return rows.payment_row(call.ledger, payment, strings=call.switch("batch_strings"))

        return perform

    return carry_out(call, "Payments", "PaymentID", [{**body, "PaymentID": payment.id}], prepare)


# allocations


def allocate(kind: str) -> Callable[..., Reply]:
    """PUT /{CreditNotes|Overpayments|Prepayments}/{id}/Allocations."""

    def view(call: Call, identity: str) -> Reply:
        word, name, id_field = _SOURCES[kind]
        elements = call.elements("Allocations")
        source = _source(call, kind, identity)
        if source is None:
            message = f"An existing {word} with the specified {id_field} could not be found"
            raise errors.validation([{**e, "ValidationErrors": errors.problems([message])} for e in elements])
        given: dict[str, int] = defaultdict(int)
        return carry_out(
            call,
            "Allocations",
            "AllocationID",
            elements,
            lambda element: _prepare_allocation(call, name, source, element, given),
        )

    return view


def _source(call: Call, kind: str, identity: str) -> CreditNote | Advance | None:
    if kind == "credit_note":
        return call.ledger.credit_notes.get(identity.lower())
    advance = call.ledger.advances.get(identity.lower())
    return advance if advance is not None and advance.type == kind else None


def _prepare_allocation(
    call: Call, name: str, source: CreditNote | Advance, element: Json, given: dict[str, int]
) -> Perform:
    named = inner(element, "Invoice")
    invoice = call.ledger.invoices.get(identity(named, "InvoiceID"))
    if invoice is None and named.get("InvoiceNumber"):
        invoice = next(iter(call.ledger.by_number("invoice", str(named["InvoiceNumber"]))), None)
    if invoice is None:
        raise Invalid("An existing Invoice with the specified InvoiceID could not be found")
    on = date(element, "Date")
    if on is None and call.switch("allocation_date") == "required":
        raise Invalid("The Date of the allocation must be specified.")
    stated = number(element, "Amount")
    if stated is None or stated <= 0:
        raise Invalid("The allocation amount must be greater than zero.")
    amount = to_minor(stated, invoice.currency)
    _check_pair(name, source, invoice)
    for document in (source, invoice):
        given[document.id] += amount
        if given[document.id] > document.balance:
            raise Invalid("The amount to allocate exceeds the amount outstanding on this document")
    # Xero works the date out: never before either document.
    taken_on = max(source.date, invoice.date)
    if call.switch("allocation_date") == "required" and on is not None:
        taken_on = max(on, taken_on)
    check_open(call, taken_on)

    def perform() -> Json:
        ref = Ref("credit_note" if isinstance(source, CreditNote) else "advance", source.id)
        made = call.ledger.allocate(ref, Ref("invoice", invoice.id), amount, taken_on)
        row = rows.allocation_row(call.ledger, made)
        return row | {name: {f"{name}ID": source.id, "ID": source.id, "LineItems": []}}

    return perform


def _check_pair(name: str, source: CreditNote | Advance, invoice: Invoice) -> None:
    for word, document in ((name, source), ("Invoice", invoice)):
        if not document.live:
            raise Invalid(f"The {word} must be authorised before it can be allocated.")
        if not document.balance:
            raise Invalid("The amount to allocate exceeds the amount outstanding on this document")
    if source.customer != invoice.customer:
        raise Invalid(f"The {name} and the Invoice must be for the same contact.")
    if source.currency != invoice.currency:
        raise Invalid(f"The {name} and the Invoice must be in the same currency.")


def deallocate(kind: str) -> Callable[..., Reply]:
    """DELETE .../Allocations/{AllocationID}: the answer stands bare, without envelope and without Amount."""

    def view(call: Call, identity: str, allocation: str) -> Reply:
        source = _source(call, kind, identity)
        found = call.ledger.allocations.get(allocation.lower())
        if source is None or found is None or found.source.id != source.id or found.target.kind != "invoice":
            raise call.not_found()
        try:
            check_open(call, found.date)
        except Invalid as invalid:
            raise errors.validation(
                [{"AllocationID": found.id, "ValidationErrors": errors.problems(invalid.messages)}]
            ) from None
        call.ledger.deallocate(found.id)
        row = {
            "AllocationID": found.id,
            "Date": day(found.date),
            "Invoice": {"InvoiceID": found.target.id},
            "IsDeleted": True,
        }
        return Reply(200, encode(row), JSON_TYPE)

    return view
