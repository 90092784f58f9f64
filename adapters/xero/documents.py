"""One document of Xero in full, what stands beside it, and what a write answered. Pure."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from adapters.xero import shapes
from adapters.xero.translate import (
    CREDIT,
    MARKER,
    RECEIVABLE,
    customer_credit,
    rate_of,
    sales_invoice,
    status_of,
)
from adapters.xero.values import (
    EPOCH,
    minor,
    moment,
    own_id,
    said,
    yes,
)
from connector.domain.receivables import (
    Document,
    Kind,
    Line,
    Link,
    Payment,
    Status,
)

ZERO_ID = "00000000-0000-0000-0000-000000000000"


def invoice_document(row: msgspec.Raw, url: Callable[[Kind, str], str]) -> Document | None:
    """An invoice in full, with its lines and what is set against it; None for a deleted one or a bill."""
    i = shapes.read(row, shapes.Invoice)
    if i.Type != RECEIVABLE or i.Status == "DELETED":
        return None
    fact = sales_invoice(i)

    def link(kind: str, id: str | None, amount: Decimal | None, link_id: str = "") -> Link:
        return Link(kind, own_id(id), minor(amount, fact.currency), link_id)

    links = [
        link("payment", p.PaymentID, p.Amount, p.PaymentID or "")
        for p in i.Payments or []
        if p.Status != "DELETED"
    ]
    links += [link("credit", c.CreditNoteID or c.ID, c.AppliedAmount) for c in i.CreditNotes or []]
    links += [link("payment", o.OverpaymentID or o.ID, o.AppliedAmount) for o in i.Overpayments or []]
    links += [link("payment", p.PrepaymentID or p.ID, p.AppliedAmount) for p in i.Prepayments or []]
    flags = {"cis": i.CISDeduction, "discount": yes(i.IsDiscounted), "repeating": i.RepeatingInvoiceID}
    return Document(
        kind=Kind.INVOICE,
        id=fact.id,
        number=fact.number,
        customer_id=fact.customer_id,
        date=fact.date,
        due=fact.due,
        currency=fact.currency,
        total=fact.total,
        balance=fact.balance,
        tax=fact.tax,
        status=fact.status,
        lines=_lines(i, fact.currency),
        links=tuple(links),
        marker=fact.marker,
        rate=fact.rate,
        version=fact.version,
        url=url(Kind.INVOICE, fact.id),
        flags=frozenset(name for name, present in flags.items() if present),
    )


def credit_document(row: msgspec.Raw, url: Callable[[Kind, str], str]) -> Document | None:
    """A credit note in full; `balance` is what can still be set against invoices."""
    c = shapes.read(row, shapes.Credit)
    if c.Type != CREDIT or c.Status == "DELETED":
        return None
    fact = customer_credit(c)
    return Document(
        kind=Kind.CREDIT,
        id=fact.id,
        number=fact.number,
        customer_id=fact.customer_id,
        date=fact.date,
        due=None,
        currency=fact.currency,
        total=fact.total,
        balance=fact.remaining,
        tax=minor(c.TotalTax, fact.currency),
        status=status_of(c, fact.total, fact.remaining),
        lines=_lines(c, fact.currency),
        links=tuple(Link("invoice", a.invoice_id, a.amount, a.id) for a in fact.allocations),
        marker=fact.marker,
        rate=rate_of(c),
        version=fact.version,
        url=url(Kind.CREDIT, fact.id),
    )


def payment_document(fact: Payment, url: Callable[[Kind, str], str]) -> Document:
    """A payment, over- or prepayment as a document: its links are what it pays."""
    status = Status.VOID if fact.void else Status.OPEN if fact.unapplied else Status.PAID
    return Document(
        kind=Kind.PAYMENT,
        id=fact.id,
        number="",
        customer_id=fact.customer_id,
        date=fact.date,
        due=None,
        currency=fact.currency,
        total=fact.amount,
        balance=fact.unapplied,
        tax=0,
        status=status,
        links=tuple(Link("invoice", a.invoice_id, a.amount, a.id) for a in fact.allocations),
        version=fact.version,
        url=url(Kind.PAYMENT, fact.id),
    )


def _lines(document: shapes.Document, currency: str) -> tuple[Line, ...]:
    """`LineAmount` is net, except where the document's amounts include tax."""
    inclusive = document.LineAmountTypes == "Inclusive"
    lines = []
    for item in document.LineItems or []:
        tax = minor(item.TaxAmount, currency)
        amount = minor(item.LineAmount, currency)
        lines.append(
            Line(
                account_id=item.AccountCode or item.AccountID or "",
                description=item.Description or "",
                net=amount - tax if inclusive else amount,
                tax=tax,
                tax_code=item.TaxType or "",
                item_id=item.ItemCode or "",
            )
        )
    return tuple(lines)


_REMARK = "Note"


def history(records: list[msgspec.Raw]) -> list[str]:
    """What people and we wrote about a document, newest last; not what Xero notes by itself."""
    found = [shapes.read(record, shapes.History) for record in records]
    found.sort(key=lambda r: moment(r.DateUTC) or EPOCH)
    remarks = [r for r in found if (r.Changes or _REMARK) == _REMARK or MARKER.search(r.Details or "")]
    return [r.Details for r in remarks if r.Details]


def online(row: msgspec.Raw) -> str:
    return said(shapes.read(row, shapes.Online).OnlineInvoiceUrl)


def attachment_id(row: msgspec.Raw) -> str:
    return shapes.read(row, shapes.Attachment).AttachmentID or ""


def attached(row: msgspec.Raw) -> list[msgspec.Raw]:
    """The files that a whole document names."""
    return shapes.read(row, shapes.WithFiles).Attachments or []


def attachment_name(row: msgspec.Raw) -> str:
    return shapes.read(row, shapes.Attachment).FileName or ""


def carried_out(row: msgspec.Raw) -> bool:
    """Whether one element of a write took effect, where the ledger answers each element by itself.

    `ValidationErrors` alone do not say so: Xero's own example of a success carries some.
    """
    o = shapes.read(row, shapes.Outcome)
    return not (
        (o.StatusAttributeString or "").upper() == "ERROR"
        or yes(o.HasErrors)
        or yes(o.HasValidationErrors)
        or ZERO_ID in (o.InvoiceID, o.CreditNoteID, o.AllocationID, o.AccountID)
    )


def number_of(row: msgspec.Raw) -> str:
    """The invoice number that one element of a write names, also a failed one."""
    return said(shapes.read(row, shapes.Outcome).InvoiceNumber)


def allocation(row: msgspec.Raw) -> tuple[str, str]:
    """(allocation id or "", invoice id) of a freshly made allocation."""
    a = shapes.read(row, shapes.Allocation)
    return a.AllocationID or "", (a.Invoice.InvoiceID or "") if a.Invoice else ""
