"""Findings: facts about one customer that a bookkeeper would want to know, with their evidence. No forecasts.

`detect` asks each detector in turn. A detector gets the customer's receivables, the policy and today, and
returns findings per currency; add one to `DETECTORS`. The same facts give the same findings in any order.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from connector.domain.aging import days_overdue
from connector.domain.calendar import next_business_day
from connector.domain.money import Money
from connector.domain.policy import Policy, minor
from connector.domain.receivables import CreditNote, Customer, Invoice, Payment, Status


@dataclass(frozen=True, slots=True)
class Evidence:
    """One dated amount on one invoice (the ledger's id) that shows the finding."""

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
class Receivables:
    """Everything the books hold about one customer.

    `agreed` overrides an invoice's due date where a plan in notes mode agreed another (invoice id → date).
    `country` is the customer's, for weekends and holidays.
    """

    customer: Customer
    invoices: tuple[Invoice, ...] = ()
    payments: tuple[Payment, ...] = ()
    credits: tuple[CreditNote, ...] = ()
    agreed: Mapping[str, dt.date] = field(default_factory=dict)
    country: str = ""

    def due(self, invoice: Invoice) -> dt.date:
        """The day by which this invoice is to be paid."""
        return self.agreed.get(invoice.id, invoice.due)

    def open(self) -> list[Invoice]:
        """Open invoices, the oldest due date first."""
        live = (Status.OPEN, Status.PARTLY_PAID)
        found = [i for i in self.invoices if i.balance > 0 and i.status in live]
        return sorted(found, key=lambda i: (self.due(i), i.date, i.number, i.id))


Detector = Callable[[Receivables, Policy, dt.date], list[Finding]]


def detect(receivables: Receivables, policy: Policy, today: dt.date) -> list[Finding]:
    """All findings about this customer today."""
    return [f for detector in DETECTORS for f in detector(receivables, policy, today)]


def is_overdue(receivables: Receivables, invoice: Invoice, policy: Policy, today: dt.date) -> bool:
    """Past the due date, the weekend or holiday that it fell on, and the policy's grace."""
    last = next_business_day(receivables.due(invoice), receivables.country)
    return today > last + dt.timedelta(policy.findings.grace_days)


def _by_currency(invoices: Iterable[Invoice]) -> dict[str, list[Invoice]]:
    found: dict[str, list[Invoice]] = {}
    for invoice in invoices:
        found.setdefault(invoice.currency, []).append(invoice)
    return dict(sorted(found.items()))


def overdue(receivables: Receivables, policy: Policy, today: dt.date) -> list[Finding]:
    """Open invoices whose due date has passed."""
    late = [
        i
        for i in receivables.open()
        if is_overdue(receivables, i, policy, today)
        and i.balance >= minor(policy.findings.minimum_balance, i.currency)
    ]
    findings = []
    for currency, invoices in _by_currency(late).items():
        oldest = receivables.due(invoices[0])
        sum_ = Money(sum(i.balance for i in invoices), currency)
        days = _days(days_overdue(oldest, today))
        name = invoices[0].number or invoices[0].id
        if len(invoices) == 1:
            text = f"{sum_} is overdue on invoice {name}, {days} past its due date."
        else:
            text = f"{sum_} is overdue on {len(invoices)} invoices; the oldest, {name}, fell due {days} ago."
        evidence = tuple(Evidence(i.id, receivables.due(i), i.balance) for i in invoices)
        findings.append(Finding("overdue", oldest + dt.timedelta(1), evidence, currency, text))
    return findings


def partly_paid(receivables: Receivables, policy: Policy, today: dt.date) -> list[Finding]:
    """Open invoices on which some money came, but not all. A credit note alone is no part-payment."""
    received: dict[str, list[Evidence]] = {}
    for payment in receivables.payments:
        for part in () if payment.void else payment.allocations:
            date = part.date or payment.date
            if date <= today and part.amount > 0:
                received.setdefault(part.invoice_id, []).append(Evidence(part.invoice_id, date, part.amount))
    credited: dict[str, int] = {}
    for credit in receivables.credits:
        for part in () if credit.void else credit.allocations:
            credited[part.invoice_id] = credited.get(part.invoice_id, 0) + part.amount
    parts: dict[str, list[Evidence]] = {}
    for invoice in receivables.open():
        unexplained = invoice.total - invoice.balance - credited.get(invoice.id, 0)
        if invoice.balance < invoice.total and invoice.id in received:
            parts[invoice.id] = sorted(received[invoice.id], key=lambda e: (e.date, e.amount))
        elif unexplained > 0 and invoice.id not in received:  # the ledger says so without saying when
            parts[invoice.id] = [Evidence(invoice.id, invoice.date, unexplained)]
    partly = [i for i in receivables.open() if i.id in parts]
    findings = []
    for currency, invoices in _by_currency(partly).items():
        evidence = sorted(
            (e for i in invoices for e in parts[i.id]), key=lambda e: (e.date, e.invoice, e.amount)
        )
        paid = Money(sum(e.amount for e in evidence), currency)
        whole = Money(sum(i.total for i in invoices), currency)
        rest = Money(sum(i.balance for i in invoices), currency)
        if len(invoices) == 1:
            where = f"invoice {invoices[0].number or invoices[0].id}"
        else:
            where = f"{len(invoices)} invoices"
        text = f"{paid} of {whole} was paid on {where}; {rest} is still open."
        findings.append(Finding("partly_paid", evidence[0].date, tuple(evidence), currency, text))
    return findings


DETECTORS: tuple[Detector, ...] = (overdue, partly_paid)


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"
