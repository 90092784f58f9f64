"""Decisions as data: what Forbear intends to write into a ledger. Nothing here performs anything.

Amounts are whole minor units of `currency`. `marker` is our machine marker (see `marker()`); it goes into
the document's private or reference field and, with the number, finds the document again before any retry.
An id that starts with "@" stands for the document that an earlier write of the same plan creates; the
outbox puts the ledger's id in its place.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

from connector.domain.receivables import Kind


@dataclass(frozen=True, slots=True)
class CreditDraft:
    """A credit note to `account_id`, not yet applied; without tax but for a price reduction."""

    number: str
    customer_id: str
    date: dt.date
    currency: str
    amount: int
    account_id: str
    description: str
    message: str  # what the customer would read on it
    marker: str
    item_id: str = ""
    tax_code: str = ""  # the mapped out-of-scope code where the ledger insists on one
    source_invoice_id: str = ""
    tax: int = 0  # the part of `amount` that is tax by `tax_code`; only a discount or a waiver has one


@dataclass(frozen=True, slots=True)
class InvoiceDraft:
    """An invoice to `account_id`: an installment (no tax), or an interest or fee document of its own."""

    number: str
    customer_id: str
    date: dt.date
    due: dt.date
    currency: str
    amount: int
    account_id: str
    description: str
    message: str
    marker: str
    item_id: str = ""
    tax_code: str = ""
    source_invoice_id: str = ""
    form: str = ""  # the ledger's own layout to print it in, where it has several; "" for its usual one


@dataclass(frozen=True, slots=True)
class LinkDraft:
    """Apply a credit note to an invoice. No ledger entry results."""

    credit_id: str
    invoice_id: str
    customer_id: str
    date: dt.date
    currency: str
    amount: int
    marker: str


@dataclass(frozen=True, slots=True)
class NoteDraft:
    """A remark on one document, written once; the user's own text is never replaced."""

    kind: Kind
    document_id: str
    text: str
    marker: str


@dataclass(frozen=True, slots=True)
class DueDateDraft:
    """Move an open invoice's due (or expected payment) date, if it still is at `version`."""

    invoice_id: str
    due: dt.date
    version: str
    note: str
    marker: str


@dataclass(frozen=True, slots=True)
class AttachmentDraft:
    """A small file on one document. `content` is base64."""

    kind: Kind
    document_id: str
    filename: str
    content: str
    marker: str


@dataclass(frozen=True, slots=True)
class SendDraft:
    """Ask the ledger to e-mail an invoice with the organization's own template and sender."""

    invoice_id: str
    marker: str


@dataclass(frozen=True, slots=True)
class RemoveDraft:
    """Undo one thing that we wrote: void an invoice, take back a link, void or delete a credit note."""

    what: str  # invoice | link | credit
    document_id: str
    marker: str
    link_id: str = ""
    credit_id: str = ""


Draft = (
    CreditDraft
    | InvoiceDraft
    | LinkDraft
    | NoteDraft
    | DueDateDraft
    | AttachmentDraft
    | SendDraft
    | RemoveDraft
)

KINDS: dict[str, type[Draft]] = {
    "credit": CreditDraft,
    "create_invoice": InvoiceDraft,
    "link": LinkDraft,
    "note": NoteDraft,
    "due_date": DueDateDraft,
    "attach": AttachmentDraft,
    "send": SendDraft,
    "remove": RemoveDraft,
}


def kind_of(draft: Draft) -> str:
    """The word the outbox and the export use for this kind of write."""
    return next(kind for kind, cls in KINDS.items() if type(draft) is cls)


def dump(draft: Draft) -> dict[str, Any]:
    """A draft as plain JSON values, for the outbox."""
    return {k: v.isoformat() if isinstance(v, dt.date) else v for k, v in asdict(draft).items()}


def load(kind: str, payload: dict[str, Any]) -> Draft:
    """The draft back from the outbox; the reverse of `dump`."""
    cls = KINDS[kind]
    values = dict(payload)
    for f in fields(cls):
        if f.type == "dt.date":
            values[f.name] = dt.date.fromisoformat(values[f.name])
        elif f.type == "Kind":
            values[f.name] = Kind(values[f.name])
    return cls(**values)


def fingerprint(rows: Iterable[tuple[dt.date, int]]) -> str:
    """Eight hex digits over a schedule's dates and amounts: two different plans never share a marker."""
    text = json.dumps([[d.isoformat(), a] for d, a in rows])
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def marker(plan: str, version: int, role: str, source: str, digest: str, n: int | None = None) -> str:
    """Our machine marker: `plan=PP-0007 v=1 role=inst n=1 src=147 h=9c01aa42` (docs/accounting.md, "Numbers, marks and words")."""
    middle = f" n={n}" if n is not None else ""
    return f"plan={plan} v={version} role={role}{middle} src={source} h={digest}"
