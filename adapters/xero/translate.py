"""Xero's records to ours, as a pull reads them by the thousand. Pure.

With `shapes`, `values`, `facts`, `documents` and `bodies`, the only files with Xero's field names. Sources: Xero's
OpenAPI 16.1.0 and its pages on invoices, credit notes, payments and history.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal

import msgspec

from adapters.xero import shapes
from adapters.xero.values import (
    Unusable,
    contact_id,
    day,
    minor,
    moment,
    must,
    own_id,
    said,
    version,
    whole,
    yes,
)
from connector.domain.receivables import (
    Allocation,
    CreditNote,
    Customer,
    Invoice,
    Payment,
    Status,
    builder,
)

_Invoice, _Payment, _Allocation = builder(Invoice), builder(Payment), builder(Allocation)


def customer(row: msgspec.Raw, home_currency: str = "") -> Customer:
    """A contact. Its balance is in the organization's own currency; "" leaves it out."""
    c = shapes.read(row, shapes.Contact)
    owed = c.Balances.AccountsReceivable if c.Balances else None
    balance = None
    if home_currency:
        balance = {home_currency: minor(owed.Outstanding if owed else None, home_currency)}
    return Customer(
        id=must(c.ContactID, "ContactID"),
        name=c.Name or "",
        email=c.EmailAddress or "",
        phone=_phone(c.Phones or []),
        currency=c.DefaultCurrency or "",
        country=_country(c.Addresses or []),
        active=c.ContactStatus not in ("ARCHIVED", "GDPRREQUEST"),
        merged_into=c.MergedToContactID or "",
        erasure_requested=c.ContactStatus == "GDPRREQUEST",
        is_person=False if c.CompanyNumber else None,
        terms_days=_terms_days(c.PaymentTerms),
        ledger_balance=balance,
        updated_at=moment(c.UpdatedDateUTC),
    )


def contact_outstanding(row: msgspec.Raw, home_currency: str) -> tuple[str, int]:
    """(contact id, what Xero says it owes in the organization's own currency)."""
    found = customer(row, home_currency)
    return found.id, (found.ledger_balance or {})[home_currency]


def _phone(phones: list[shapes.Phone]) -> str:
    for wanted in ("MOBILE", "DEFAULT", "DDI", "OFFICE"):
        for p in phones:
            if p.PhoneType == wanted and said(p.PhoneNumber):
                parts = map(said, (p.PhoneCountryCode, p.PhoneAreaCode, p.PhoneNumber))
                return " ".join(part for part in parts if part)
    return ""


def _country(addresses: list[shapes.Address]) -> str:
    """Two letters as they stand; Xero takes any text here, and a guess would choose a wrong law."""
    for address in addresses:
        text = said(address.Country).strip()
        if len(text) == 2 and text.isalpha():
            return text.upper()
    return ""


def _terms_days(terms: shapes.Terms | None) -> int | None:
    """Only "days after the bill date" is a number of days; the other kinds depend on the month."""
    sales = terms.Sales if terms else None
    days = str(sales.Day) if sales and sales.Type == "DAYSAFTERBILLDATE" else ""
    return int(days) if days.isdigit() else None


RECEIVABLE = "ACCREC"
CREDIT = "ACCRECCREDIT"
INVOICE_PAYMENT = "ACCRECPAYMENT"
_CUSTOMER_MONEY = ("RECEIVE-OVERPAYMENT", "AROVERPAYMENT", "RECEIVE-PREPAYMENT", "ARPREPAYMENT")
MARKER = re.compile(r"\bplan=(?:PP|LF)-\d+ v=\d+ ")


def status_of(document: shapes.Document, total: int, open_: int) -> Status:
    if document.Status in ("DRAFT", "SUBMITTED"):
        return Status.DRAFT
    if document.Status == "VOIDED":
        return Status.VOID
    if document.Status == "PAID":
        return Status.PAID
    if document.Status == "AUTHORISED":
        return Status.PARTLY_PAID if 0 < open_ < total else Status.OPEN
    raise Unusable(f"Status {document.Status!r} is not known")


@dataclass(frozen=True, slots=True)
class Gone:
    """A record that was deleted: Xero may still list it, the books no longer have it."""

    id: str


class NotOurs:
    """A record of the suppliers' side, or a refund: not a receivable and not money received."""


def invoice(row: msgspec.Raw) -> Invoice | Gone | NotOurs:
    """A sales invoice; a voided one keeps its total and owes nothing.

    Like all readers here: raises msgspec.ValidationError for a field of another type, and ValueError
    (Unusable) for a field that is missing or that we must not guess about.
    """
    i = shapes.read(row, shapes.Invoice)
    if must(i.Type, "Type") != RECEIVABLE:
        return NotOurs()
    return Gone(own_id(i.InvoiceID)) if i.Status == "DELETED" else sales_invoice(i)


def sales_invoice(i: shapes.Invoice) -> Invoice:
    currency = must(i.CurrencyCode, "CurrencyCode")
    total, due_amount = whole(i.Total, "Total", currency), minor(i.AmountDue, currency)
    status = status_of(i, total, due_amount)
    if status in (Status.OPEN, Status.PARTLY_PAID):
        must(i.AmountDue, "AmountDue")
    date = date_of(i)
    due = day(i.DueDateString or i.DueDate) or date  # a draft may have none yet
    changed = moment(i.UpdatedDateUTC)
    return _Invoice(
        id=own_id(i.InvoiceID),
        number=i.InvoiceNumber or "",
        customer_id=contact_id(i.Contact),
        date=date,
        due=due,
        currency=currency,
        total=total,
        balance=due_amount if status in (Status.OPEN, Status.PARTLY_PAID) else 0,
        status=status,
        tax=minor(i.TotalTax, currency),
        rate=rate_of(i),
        marker=marker(i.Reference),
        reference=i.Reference or "",
        expected_payment=day(i.ExpectedPaymentDate),
        emailed=yes(i.SentToContact),  # absent when false
        version=version(changed, due, due_amount),
        updated_at=changed,
    )


def set_against(row: msgspec.Raw) -> set[str]:
    """Which other lists changed together with this invoice: those of the credits set against it."""
    i = shapes.read(row, shapes.Invoice)
    lists = {"CreditNotes": i.CreditNotes, "Overpayments": i.Overpayments, "Prepayments": i.Prepayments}
    return {name for name, records in lists.items() if records}


def date_of(document: shapes.Document) -> dt.date:
    found: dt.date = must(day(document.DateString or document.Date), "Date")
    return found


_RATE_DIGITS = Context(prec=16)


def rate_of(document: shapes.Document) -> str | None:
    """Xero says how many foreign units one home unit buys; we say what one foreign unit costs."""
    rate = document.CurrencyRate
    return format(_RATE_DIGITS.divide(Decimal(1), rate).normalize(), "f") if rate else None


def marker(reference: str | None) -> str:
    """Our machine marker, when the reference is one."""
    return reference if reference and MARKER.match(reference) else ""


def _allocations(given: list[shapes.Allocation] | None, currency: str) -> tuple[Allocation, ...]:
    return tuple(
        Allocation(
            invoice_id=must(a.Invoice.InvoiceID if a.Invoice else None, "Allocation.Invoice"),
            amount=minor(a.AppliedAmount if a.Amount is None else a.Amount, currency),
            date=day(a.Date),
            id=a.AllocationID or "",
        )
        for a in given or []
        if not yes(a.IsDeleted)
    )


def _remaining(c: shapes.Credit, currency: str) -> int:
    """What is left of a credit. Only one that nobody can use any more may leave it out."""
    if c.RemainingCredit is None and c.Status == "AUTHORISED":
        raise Unusable("RemainingCredit is missing")
    return minor(c.RemainingCredit, currency)


def credit_note(row: msgspec.Raw) -> CreditNote | Gone | NotOurs:
    """A credit note to a customer. A draft counts as void: it reduces nothing."""
    c = shapes.read(row, shapes.Credit)
    if must(c.Type, "Type") != CREDIT:
        return NotOurs()
    return Gone(own_id(c.CreditNoteID)) if c.Status == "DELETED" else customer_credit(c)


def customer_credit(c: shapes.Credit) -> CreditNote:
    currency = must(c.CurrencyCode, "CurrencyCode")
    total, remaining = whole(c.Total, "Total", currency), _remaining(c, currency)
    void = status_of(c, total, remaining) in (Status.VOID, Status.DRAFT)
    changed = moment(c.UpdatedDateUTC)
    return CreditNote(
        id=own_id(c.CreditNoteID),
        number=c.CreditNoteNumber or "",
        customer_id=contact_id(c.Contact),
        date=date_of(c),
        currency=currency,
        total=total,
        remaining=0 if void else remaining,
        allocations=() if void else _allocations(c.Allocations, currency),
        void=void,
        marker=marker(c.Reference),
        version=version(changed),
        updated_at=changed,
    )


def advance(row: msgspec.Raw) -> Payment | Gone | NotOurs:
    """An over- or prepayment: money received that is set against invoices later."""
    c = shapes.read(row, shapes.Credit)
    kind = str(must(c.Type, "Type"))
    if kind not in _CUSTOMER_MONEY:
        return NotOurs()
    id = own_id(c.OverpaymentID or c.PrepaymentID or c.ID)
    if c.Status == "DELETED":
        return Gone(id)
    currency = must(c.CurrencyCode, "CurrencyCode")
    total, remaining = whole(c.Total, "Total", currency), _remaining(c, currency)
    void = status_of(c, total, remaining) is Status.VOID
    changed = moment(c.UpdatedDateUTC)
    return _Payment(
        id=id,
        customer_id=contact_id(c.Contact),
        date=date_of(c),
        currency=currency,
        amount=total,
        unapplied=0 if void else remaining,
        allocations=() if void else _allocations(c.Allocations, currency),
        flavor="overpayment" if "OVERPAYMENT" in kind else "prepayment",
        void=void,
        reference=c.Reference or "",
        version=version(changed),
        updated_at=changed,
    )


def payment(
    row: msgspec.Raw | shapes.Payment,
    home: str,
    currencies: Mapping[str, str],
    customers: Mapping[str, str] | None = None,
) -> Payment | Gone | NotOurs:
    """A payment of one sales invoice, in the invoice's currency and of its customer.

    Lists may leave out both: `currencies` knows the one by invoice id, for all that is not in `home`, and
    `customers` the other.
    """
    p = shapes.payment(row)
    if must(p.PaymentType, "PaymentType") != INVOICE_PAYMENT:
        return NotOurs()
    id = own_id(p.PaymentID)
    if p.Status == "DELETED":
        return Gone(id)
    if p.Status != "AUTHORISED":
        raise Unusable(f"Status {p.Status!r} is not known")
    target = p.Invoice or shapes.InvoiceRef()
    invoice_id = own_id(target.InvoiceID)
    currency = target.CurrencyCode or currencies.get(invoice_id, home)
    amount = whole(p.Amount, "Amount", currency)
    date: dt.date = must(day(p.Date), "Date")
    changed = moment(p.UpdatedDateUTC)
    return _Payment(
        id=id,
        customer_id=(customers or {}).get(invoice_id) or contact_id(target.Contact),
        date=date,
        currency=currency,
        amount=amount,
        unapplied=0,
        allocations=(_Allocation(invoice_id, amount, date, id),),
        reference=p.Reference or "",
        version=version(changed),
        updated_at=changed,
    )


@dataclass(frozen=True, slots=True)
class Paid:
    """What a payment says about the invoice it pays, and what must be asked for: its currency, its customer."""

    invoice_id: str
    foreign: bool
    nameless: bool


def paid(row: msgspec.Raw | shapes.Payment) -> Paid | None:
    """The sales invoice that a payment pays or, when deleted, paid."""
    p = shapes.payment(row)
    target = p.Invoice
    if p.PaymentType != INVOICE_PAYMENT or target is None or not target.InvoiceID:
        return None
    foreign = not target.CurrencyCode and p.CurrencyRate not in (None, 1)
    return Paid(target.InvoiceID, foreign, nameless=not (target.Contact and target.Contact.ContactID))
