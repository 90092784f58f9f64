"""The books' documents as Xero's JSON objects, and the facts about them that Xero derives.

Rows with `lines` are full (a single document, or a page); without they carry no line items. `places` is 2 or 4
decimals for unit amounts (`unitdp`). What a document is in Xero's words (Status, AmountPaid, ...) is read from
the ledger each time: nothing here is stored.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

from sandbox.documents import (
    Advance,
    Allocation,
    CreditNote,
    Invoice,
    Line,
    Payment,
    Ref,
    Refund,
    Sale,
)
from sandbox.ledger import Ledger
from sandbox.money import exponent, to_decimal
from sandbox.tables import Table
from sandbox.xero.envelope import Json, day, day_string, decimal, moment, moment_string

T = TypeVar("T")
LINE_MODES = {"exclusive": "Exclusive", "inclusive": "Inclusive", "none": "NoTax"}
ADVANCE_NAMES = {"overpayment": "Overpayment", "prepayment": "Prepayment"}
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_STATUSES = {"draft": "DRAFT", "submitted": "SUBMITTED", "void": "VOIDED", "deleted": "DELETED"}
_RATE_PLACES = 10
_PAR = Decimal("1.000000")


class Settled(NamedTuple):
    """How an invoice came to be settled so far, in minor units of its currency."""

    paid: int
    credited: int
    last: dt.date | None


def status(document: Sale | Advance) -> str:
    """DRAFT, SUBMITTED, AUTHORISED, PAID, VOIDED or DELETED. Xero itself calls an empty balance PAID."""
    if document.status != "open":
        return _STATUSES[document.status]
    return "AUTHORISED" if document.balance else "PAID"


def amount_due(document: Sale) -> int:
    """Minor units still to be paid; a draft owes its total, a voided or deleted document nothing."""
    return document.total if document.status in ("draft", "submitted") else document.balance


def settled(ledger: Ledger, invoice: Invoice) -> Settled:
    """Payments count as paid; credit notes, overpayments and prepayments as credited."""
    paid = credited = 0
    last: dt.date | None = None
    for allocation in ledger.allocations_to(Ref("invoice", invoice.id)):
        if allocation.source.kind == "payment":
            paid += allocation.amount
        else:
            credited += allocation.amount
        last = allocation.date if last is None else max(last, allocation.date)
    return Settled(paid, credited, last)


def currency_rate(document: Sale | Payment | Advance | Refund) -> Decimal:
    """Xero states foreign units for one home unit; what an app sent is given back as sent."""
    sent = document.extra.get("CurrencyRate")
    if document.rate == 1 and sent is None:
        return _PAR
    if sent is not None:
        return decimal(sent, max(6, min(_RATE_PLACES, -int(Decimal(sent).as_tuple().exponent))))
    return decimal(1 / document.rate, _RATE_PLACES)


# documents


def invoice_row(ledger: Ledger, invoice: Invoice, *, lines: bool = True, places: int = 2) -> Json:
    """One sales invoice."""
    done = settled(ledger, invoice)
    code = invoice.currency
    row: Json = {
        "Type": "ACCREC",
        "InvoiceID": invoice.id,
        "InvoiceNumber": invoice.number,
        "Reference": invoice.reference,
        **_settlements(ledger, invoice),
        "AmountDue": money(amount_due(invoice), code),
        "AmountPaid": money(done.paid, code),
        "AmountCredited": money(done.credited, code),
        "CurrencyRate": currency_rate(invoice),
        "HasErrors": False,
        "IsDiscounted": any(
            "DiscountRate" in line.extra or "DiscountAmount" in line.extra for line in invoice.lines
        ),
        "HasAttachments": Ref("invoice", invoice.id) in attached(ledger),
        **_sale(ledger, invoice, lines, places),
    }
    if invoice.extra.get("SentToContact") or invoice.emailed_at:
        row["SentToContact"] = True
    if invoice.due:
        row["DueDateString"], row["DueDate"] = day_string(invoice.due), day(invoice.due)
    if invoice.expected:
        row["ExpectedPaymentDate"] = day(invoice.expected)
    for name in ("Url", "BrandingThemeID", "RepeatingInvoiceID"):
        if invoice.extra.get(name):
            row[name] = invoice.extra[name]
    if invoice.status == "open" and invoice.balance == 0:
        row["FullyPaidOnDate"] = day(done.last or invoice.date)
    return row


def credit_note_row(ledger: Ledger, note: CreditNote, *, lines: bool = True, places: int = 2) -> Json:
    """One customer credit note."""
    code = note.currency
    ref = Ref("credit_note", note.id)
    allocations = applied_to_invoices(ledger, ref)
    row: Json = {
        "CreditNoteID": note.id,
        "CreditNoteNumber": note.number,
        "ID": note.id,
        "Type": "ACCRECCREDIT",
        "Reference": note.reference,
        "Payments": [_payment_stub(ledger, refund) for refund in refunds_of(ledger, ref)],
        "Allocations": [allocation_row(ledger, allocation) for allocation in allocations],
        "RemainingCredit": money(amount_due(note), code),
        "CurrencyRate": currency_rate(note),
        "HasErrors": False,
        "HasAttachments": ref in attached(ledger),
        **_sale(ledger, note, lines, places),
    }
    if note.extra.get("BrandingThemeID"):
        row["BrandingThemeID"] = note.extra["BrandingThemeID"]
    if note.status == "open" and note.balance == 0:
        row["FullyPaidOnDate"] = day(max((allocation.date for allocation in allocations), default=note.date))
    return row


def advance_row(ledger: Ledger, advance: Advance, *, lines: bool = True, places: int = 2) -> Json:
    """One overpayment or prepayment received."""
    code = advance.currency
    name = ADVANCE_NAMES[advance.type]
    ref = Ref("advance", advance.id)
    row: Json = {
        f"{name}ID": advance.id,
        "ID": advance.id,
        "Type": f"RECEIVE-{name.upper()}",
        "Reference": advance.reference,
        "RemainingCredit": money(advance.balance, code),
        "Allocations": [allocation_row(ledger, found) for found in applied_to_invoices(ledger, ref)],
        "Payments": [_payment_stub(ledger, refund) for refund in refunds_of(ledger, ref)],
        "CurrencyRate": currency_rate(advance),
        "HasAttachments": False,
        "Contact": contact_stub(ledger, advance.customer),
        "DateString": day_string(advance.date),
        "Date": day(advance.date),
        "Status": status(advance),
        "LineAmountTypes": "NoTax" if advance.type == "overpayment" else "Exclusive",
        "LineItems": [line_row(ledger, line, code, "exclusive", places) for line in advance.lines]
        if lines
        else [],
        "SubTotal": money(advance.amount - sum(line.tax for line in advance.lines), code),
        "TotalTax": money(sum(line.tax for line in advance.lines), code),
        "Total": money(advance.amount, code),
        **_updated(advance.updated),
        "CurrencyCode": code,
    }
    return row


def line_row(ledger: Ledger, line: Line, currency: str, mode: str, places: int) -> Json:
    """One line item. `LineAmount` includes tax when the document was entered that way."""
    amount = line.net + line.tax if mode == "inclusive" else line.net
    row: Json = {"Description": line.description}
    if line.account:
        quantity = Decimal(1) if line.quantity is None else line.quantity
        unit = (
            line.unit_price if line.unit_price is not None else to_decimal(amount, currency) / (quantity or 1)
        )
        account = ledger.accounts[line.account]
        row |= {
            "UnitAmount": decimal(unit, places),
            "TaxType": line.tax_code or "NONE",
            "TaxAmount": money(line.tax, currency),
            "LineAmount": money(amount, currency),
            **({"AccountCode": account.code} if account.code else {}),
            "AccountID": account.id,
            "Quantity": decimal(quantity, 4),
        }
    row["Tracking"] = line.extra.get("Tracking", [])
    if line.id:
        row["LineItemID"] = line.id
    for name in ("ItemCode", "DiscountRate", "DiscountAmount"):
        if name in line.extra:
            row[name] = line.extra[name]
    return row


# payments


def payment_row(ledger: Ledger, payment: Payment | Refund, *, strings: bool = False) -> Json:
    """One payment of an invoice, or refund of a credit. `strings`: batch totals and flags as texts."""
    target = target_of(payment)
    account = ledger.accounts.get(payment.account) or ledger.account_by_role("bank")
    amount = money(payment.amount, payment.currency)
    row: Json = {
        "PaymentID": payment.id,
        "Date": day(payment.date),
        "BankAmount": amount,
        "Amount": amount,
        "Reference": payment.reference,
        "CurrencyRate": currency_rate(payment),
        "PaymentType": payment_type(ledger, payment),
        "Status": "AUTHORISED" if payment.live else "DELETED",
        **_updated(payment.updated),
        "HasAccount": True,
        "IsReconciled": isinstance(payment, Payment) and payment.reconciled,
        "Account": {"AccountID": account.id, "Code": account.code},
        **_payment_target(ledger, target),
        "HasValidationErrors": False,
    }
    if isinstance(payment, Payment) and payment.batch:
        batch = batch_id(ledger, payment)
        row["BatchPaymentID"] = batch
        row["BatchPayment"] = _batch(ledger, batch, batches(ledger)[batch], strings)
    return row


def target_of(payment: Payment | Refund) -> Ref | None:
    """The one document that a payment is for."""
    if isinstance(payment, Refund):
        return payment.source
    return payment.links[0].ref if payment.links else None


def payment_type(ledger: Ledger, payment: Payment | Refund) -> str:
    """Xero's word for what the money did."""
    if isinstance(payment, Payment):
        return "ACCRECPAYMENT"
    if payment.source.kind == "credit_note":
        return "ARCREDITPAYMENT"
    return f"AR{ledger.advances[payment.source.id].type.upper()}PAYMENT"


def batch_row(ledger: Ledger, batch: str, members: list[Payment], strings: bool) -> Json:
    """One batch of payments, as BatchPayments lists it."""
    first = members[0]
    return {
        **_batch(ledger, batch, members, strings),
        "Reference": first.reference,
        "DateString": day_string(first.date),
        "Payments": [
            {
                "PaymentID": payment.id,
                "Amount": money(payment.amount, payment.currency),
                "BankAmount": money(payment.amount, payment.currency),
                **_payment_target(ledger, target_of(payment)),
            }
            for payment in members
        ],
    }


def _batch(ledger: Ledger, batch: str, members: list[Payment], strings: bool) -> Json:
    first = members[0]
    account = ledger.accounts.get(first.account) or ledger.account_by_role("bank")
    live = [payment for payment in members if payment.live]
    total = money(sum(payment.amount for payment in live or members), first.currency)
    reconciled = all(payment.reconciled for payment in members)
    return {
        "Account": {"AccountID": account.id},
        "BatchPaymentID": batch,
        "Date": day(first.date),
        "Type": "RECBATCH",
        "Status": "AUTHORISED" if live else "DELETED",
        "TotalAmount": f"{total}" if strings else total,
        "UpdatedDateUTC": moment(max(payment.updated for payment in members)),
        "IsReconciled": str(reconciled).lower() if strings else reconciled,
    }


def _payment_target(ledger: Ledger, target: Ref | None) -> Json:
    if target is None:
        return {}
    if target.kind == "advance":
        advance = ledger.advances[target.id]
        name = ADVANCE_NAMES[advance.type]
        return {
            name: {
                f"{name}ID": advance.id,
                "ID": advance.id,
                "Contact": contact_stub(ledger, advance.customer),
            }
        }
    sale: Sale = ledger.invoices[target.id] if target.kind == "invoice" else ledger.credit_notes[target.id]
    # A refunded credit note stands under Invoice too, with the credit note's own type and number.
    return {
        "Invoice": {
            "Type": "ACCREC" if target.kind == "invoice" else "ACCRECCREDIT",
            "InvoiceID": sale.id,
            "InvoiceNumber": sale.number,
            "Payments": [],
            "CreditNotes": [],
            "Prepayments": [],
            "Overpayments": [],
            "HasErrors": False,
            "IsDiscounted": False,
            "Contact": contact_stub(ledger, sale.customer),
            "LineItems": [],
            "CurrencyCode": sale.currency,
        }
    }


def _payment_stub(ledger: Ledger, payment: Payment | Refund) -> Json:
    row: Json = {
        "PaymentID": payment.id,
        "Date": day(payment.date),
        "Amount": money(payment.amount, payment.currency),
        "Reference": payment.reference,
        "CurrencyRate": currency_rate(payment),
        "HasAccount": False,
        "HasValidationErrors": False,
    }
    if isinstance(payment, Payment) and payment.batch:
        row["BatchPaymentID"] = batch_id(ledger, payment)
    return row


# allocations


def applied_to_invoices(ledger: Ledger, credit: Ref) -> list[Allocation]:
    """Where a credit note or advance was used, oldest first; money given back is not among them."""
    return [found for found in ledger.allocations_from(credit) if found.target.kind == "invoice"]


def refunds_of(ledger: Ledger, credit: Ref) -> list[Refund]:
    """Money given back from a credit note or advance, oldest first."""
    targets = (found.target for found in ledger.allocations_from(credit))
    return [ledger.refunds[target.id] for target in targets if target.kind == "refund"]


def attached(ledger: Ledger) -> frozenset[Ref]:
    """Every document with a file."""
    return kept(
        ledger,
        "attached",
        ledger.attachments,
        lambda: frozenset(r for a in ledger.attachments for r in a.refs),
    )


def batch_id(ledger: Ledger, payment: Payment) -> str:
    """The BatchPaymentID: the books' own name for the remittance, as a GUID."""
    if _GUID.fullmatch(payment.batch):
        return payment.batch
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{ledger.organization.id}/batch/{payment.batch}"))


def batches(ledger: Ledger) -> dict[str, list[Payment]]:
    """The payments of every batch, by BatchPaymentID."""

    def gather() -> dict[str, list[Payment]]:
        found: dict[str, list[Payment]] = {}
        for payment in ledger.payments:
            if payment.batch:
                found.setdefault(batch_id(ledger, payment), []).append(payment)
        return found

    return kept(ledger, "batches", ledger.payments, gather)


def kept(ledger: Ledger, name: str, table: Table[Any], make: Callable[[], T]) -> T:
    """What `make` says about `table`, worked out again only when the table has changed."""
    state = table.by_change()  # the same list until something changes
    before = ledger.revision_cache.get(("xero", name))
    if before is not None and before[1][0] is state:
        return before[1][1]  # type: ignore[no-any-return]
    made = make()
    ledger.revision_cache["xero", name] = (ledger.revision, (state, made))
    return made


def allocation_row(ledger: Ledger, allocation: Allocation) -> Json:
    """One use of a credit, as its credit note or advance lists it."""
    invoice = ledger.invoices[allocation.target.id]
    return {
        "AllocationID": allocation.id,
        "Amount": money(allocation.amount, invoice.currency),
        "Date": day(allocation.date),
        "Invoice": {
            "InvoiceID": invoice.id,
            "InvoiceNumber": invoice.number,
            "Payments": [],
            "CreditNotes": [],
            "Prepayments": [],
            "Overpayments": [],
            "HasErrors": False,
            "IsDiscounted": False,
            "LineItems": [],
        },
    }


def _settlements(ledger: Ledger, invoice: Invoice) -> Json:
    """The four arrays that say what an invoice was settled with."""
    rows: dict[str, list[Json]] = {"Payments": [], "CreditNotes": [], "Prepayments": [], "Overpayments": []}
    for allocation in ledger.allocations_to(Ref("invoice", invoice.id)):
        kind, identity = allocation.source
        applied = money(allocation.amount, invoice.currency)
        if kind == "payment":
            rows["Payments"].append(_payment_stub(ledger, ledger.payments[identity]) | {"Amount": applied})
        elif kind == "credit_note":
            note = ledger.credit_notes[identity]
            rows["CreditNotes"].append(
                _credit_stub("CreditNote", note, note.total, applied) | {"CreditNoteNumber": note.number}
            )
        elif kind == "advance":
            advance = ledger.advances[identity]
            name = ADVANCE_NAMES[advance.type]
            rows[f"{name}s"].append(_credit_stub(name, advance, advance.amount, applied))
    return dict(rows)


def _credit_stub(name: str, document: CreditNote | Advance, total: int, applied: Decimal) -> Json:
    return {
        f"{name}ID": document.id,
        "ID": document.id,
        "HasErrors": False,
        "AppliedAmount": applied,
        "DateString": day_string(document.date),
        "Date": day(document.date),
        "LineItems": [],
        "Total": money(total, document.currency),
    }


# shared


def contact_stub(ledger: Ledger, customer: str) -> Json:
    """The contact as documents mention it."""
    return {
        "ContactID": customer,
        "Name": ledger.customers[customer].name,
        "Addresses": [],
        "Phones": [],
        "ContactGroups": [],
        "ContactPersons": [],
        "HasValidationErrors": False,
    }


def money(minor: int, currency: str) -> Decimal:
    """Minor units as Xero prints them: two decimals, more only where the currency has more."""
    amount = to_decimal(minor, currency)
    return amount if exponent(currency) >= 2 else decimal(amount, 2)


def _sale(ledger: Ledger, sale: Sale, lines: bool, places: int) -> Json:
    code = sale.currency
    return {
        "Contact": contact_stub(ledger, sale.customer),
        "DateString": day_string(sale.date),
        "Date": day(sale.date),
        "Status": status(sale),
        "LineAmountTypes": LINE_MODES[sale.tax_mode],
        "LineItems": [line_row(ledger, line, code, sale.tax_mode, places) for line in sale.lines]
        if lines
        else [],
        "SubTotal": money(sale.total if sale.tax_mode == "inclusive" else sale.net, code),
        "TotalTax": money(sale.tax, code),
        "Total": money(sale.total, code),
        **_updated(sale.updated),
        "CurrencyCode": code,
    }


def _updated(at: dt.datetime) -> Json:
    return {"UpdatedDateUTC": moment(at), "UpdatedDateUTCString": moment_string(at)}
