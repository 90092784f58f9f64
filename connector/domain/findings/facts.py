"""What one customer's findings and assessment are drawn from, and the shape of a finding."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from connector.domain import on_account
from connector.domain.calendar import next_business_day
from connector.domain.on_account import Held
from connector.domain.policy import Policy
from connector.domain.receivables import CreditNote, Customer, Invoice, Payment, Status


@dataclass(frozen=True, slots=True)
class Evidence:
    """One dated amount on one invoice (the ledger's id, "" for none in particular) that shows the finding."""

    invoice: str
    date: dt.date
    amount: int


@dataclass(frozen=True, slots=True)
class Finding:
    """`since` is the first day on which it was so. `text` is one sentence a bookkeeper would say aloud."""

    kind: str
    since: dt.date
    evidence: tuple[Evidence, ...]
    currency: str
    text: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was said or happened beside the documents.

    `kind` is promise, extension_asked, replied, disputed, dispute_closed, bounced or plan_kept. `amount` is
    minor units of the invoice's currency; None: the whole of it. `promised` is the day a promise names.
    """

    kind: str
    date: dt.date
    invoice_id: str = ""
    promised: dt.date | None = None
    amount: int | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """All that an organization is owed in one currency, in minor units, and by how many customers."""

    open: int
    customers: int


@dataclass(frozen=True, slots=True)
class Receivables:
    """Everything the books hold about one customer.

    `agreed` overrides an invoice's due date where a plan in notes mode agreed another (invoice id → date).
    `country` is the customer's, for weekends and holidays. `book` is what all customers owe, by currency.
    """

    customer: Customer
    invoices: tuple[Invoice, ...] = ()
    payments: tuple[Payment, ...] = ()
    credits: tuple[CreditNote, ...] = ()
    agreed: Mapping[str, dt.date] = field(default_factory=dict)
    country: str = ""
    events: tuple[Event, ...] = ()
    book: Mapping[str, Share] = field(default_factory=dict)
    memory: dict[object, Any] = field(default_factory=dict, compare=False, repr=False)  # worked out once

    def due(self, invoice: Invoice) -> dt.date:
        """The day by which this invoice is to be paid."""
        return self.agreed.get(invoice.id, invoice.due)

    def open(self) -> list[Invoice]:
        """Open invoices, the oldest due date first."""
        if "open" not in self.memory:
            live = (Status.OPEN, Status.PARTLY_PAID)
            found = [i for i in self.invoices if i.balance > 0 and i.status in live]
            if len(found) > 1:
                found.sort(key=lambda i: (self.due(i), i.date, i.number, i.id))
            self.memory["open"] = found
        return list(self.memory["open"])

    def received(self, today: dt.date) -> dict[str, list[tuple[dt.date, int]]]:
        """By invoice id: the payments set against it up to `today`, oldest first."""
        if ("received", today) in self.memory:
            remembered: dict[str, list[tuple[dt.date, int]]] = self.memory["received", today]
            return remembered
        found: dict[str, list[tuple[dt.date, int]]] = {}
        for payment in self.payments:
            for part in () if payment.void else payment.allocations:
                date = part.date or payment.date
                if date <= today and part.amount > 0:
                    found.setdefault(part.invoice_id, []).append((date, part.amount))
        for parts in found.values():
            if len(parts) > 1:
                parts.sort()
        self.memory["received", today] = found
        return found

    def held(self, today: dt.date) -> Held:
        """What money on account covers of the open invoices. What is in dispute is not what it was sent for."""
        if ("held", today) not in self.memory:
            found = on_account.NOTHING
            if any(p.unapplied for p in self.payments) or any(c.remaining for c in self.credits):
                rest = self.disputed(today)
                asked = [i for i in self.open() if i.id not in rest]
                found = on_account.held(asked, self.payments, self.credits, today, self.agreed)
            self.memory["held", today] = found
        known: Held = self.memory["held", today]
        return known

    def owed(self, invoice: Invoice, today: dt.date) -> int:
        """What is missing of an open invoice: its balance, less what money on account covers."""
        return invoice.balance - on_account.covered(self.held(today).get(invoice.id, ()))

    def missing(self, today: dt.date) -> list[Invoice]:
        """The open invoices that money on account does not cover, the oldest due date first."""
        return [i for i in self.open() if self.owed(i, today) > 0] if self.held(today) else self.open()

    def said(self, *kinds: str) -> list[Event]:
        """The events of these kinds, oldest first."""
        found = [e for e in self.events if e.kind in kinds]
        return sorted(found, key=lambda e: (e.date, e.invoice_id, e.promised or e.date, e.amount or 0))

    def disputed(self, today: dt.date) -> dict[str, dt.date]:
        """The invoices in dispute on `today`, and since when. One that names none is about all that were open."""
        found: dict[str, dt.date] = {}
        for event in self.said("disputed", "dispute_closed"):
            if event.date <= today:
                named = (event.invoice_id,)
                about = named if event.invoice_id else [i.id for i in self.open() if i.date <= event.date]
                for id in about:
                    if event.kind == "disputed":
                        found.setdefault(id, event.date)
                    else:
                        found.pop(id, None)
        return found


def is_overdue(receivables: Receivables, invoice: Invoice, policy: Policy, today: dt.date) -> bool:
    """Past the due date, the weekend or holiday that it fell on, and the policy's grace."""
    due = receivables.due(invoice)
    if today <= due:
        return False
    return today > next_business_day(due, receivables.country) + dt.timedelta(policy.findings.grace_days)


class _HasCurrency(Protocol):
    @property
    def currency(self) -> str: ...


_Record = TypeVar("_Record", bound=_HasCurrency)


def by_currency(records: Iterable[_Record]) -> dict[str, list[_Record]]:
    """The records of each currency, in their order; currencies by name."""
    found: dict[str, list[_Record]] = {}
    for record in records:
        found.setdefault(record.currency, []).append(record)
    return dict(sorted(found.items())) if len(found) > 1 else found


def name(invoice: Invoice) -> str:
    """What people call the invoice."""
    return invoice.number or invoice.id


def days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def spoken(day: dt.date) -> str:
    """10 November 2026."""
    return f"{day.day} {day:%B %Y}"
