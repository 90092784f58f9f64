"""What a bookkeeper prints: trial balance on either basis and by month, aged receivables, the tax return's boxes.

Amounts are home currency minor units, debit positive, unless a row says its currency.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from sandbox.documents import Invoice
from sandbox.posting import all_postings

if TYPE_CHECKING:
    from sandbox.ledger import Ledger
    from sandbox.organization import Basis

BUCKETS = ("current", "1-30", "31-60", "61-90", "90+")


def trial_balance_by_month(ledger: Ledger, basis: Basis = "accrual") -> dict[str, dict[str, int]]:
    """Month ("2026-08") → account id → movement. Cached until the books change; do not change it."""

    def build() -> dict[str, dict[str, int]]:
        months: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for posting in all_postings(ledger, basis):
            months[posting.date.isoformat()[:7]][posting.account] += posting.amount
        return {
            month: {a: v for a, v in sorted(moved.items()) if v} for month, moved in sorted(months.items())
        }

    return ledger.cached(("trial balance", basis), build)


def trial_balance(
    ledger: Ledger, basis: Basis = "accrual", *, start: date | None = None, until: date | None = None
) -> dict[str, int]:
    """Account id → balance; accounts at zero are left out. Movements from `start` to `until`, both included."""
    totals: dict[str, int] = defaultdict(int)
    if start or until:
        for posting in all_postings(ledger, basis):
            if (not start or posting.date >= start) and (not until or posting.date <= until):
                totals[posting.account] += posting.amount
    else:
        for moved in trial_balance_by_month(ledger, basis).values():
            for account, amount in moved.items():
                totals[account] += amount
    return {account: amount for account, amount in totals.items() if amount}


def tax_boxes(ledger: Ledger, basis: Basis = "accrual") -> dict[str, dict[str, tuple[int, int]]]:
    """Month → tax code id → (sales, tax) as a return would show them, positive; codes off the return are absent."""

    def build() -> dict[str, dict[str, tuple[int, int]]]:
        boxes: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
        for posting in all_postings(ledger, basis):
            if posting.tax_code:
                boxes[posting.date.isoformat()[:7]][posting.tax_code][posting.is_tax] -= posting.amount
        return {m: {c: (v[0], v[1]) for c, v in codes.items()} for m, codes in sorted(boxes.items())}

    return ledger.cached(("tax boxes", basis), build)


@dataclass(slots=True)
class Aged:
    """What one customer owes in one currency, by days past due. `total` = `open` − `unapplied` is the AR balance.

    `unapplied`: credits and money not yet set against an invoice. Minor units of `currency`.
    """

    customer: str
    currency: str
    open: int = 0
    overdue: int = 0
    unapplied: int = 0
    buckets: dict[str, int] = field(default_factory=lambda: dict.fromkeys(BUCKETS, 0))

    @property
    def total(self) -> int:
        return self.open - self.unapplied


def bucket(days: int) -> str:
    """Days past due → its bucket; not yet due and due today are current."""
    if days <= 0:
        return BUCKETS[0]
    return BUCKETS[min(4, 1 + (days - 1) // 30)]


def aged_receivables(ledger: Ledger, as_of: date) -> list[Aged]:
    """By due date, from today's balances; customers who owe nothing and are owed nothing are left out."""
    rows: dict[tuple[str, str], Aged] = {}

    def row(document: Any) -> Aged:
        key = (document.customer, document.currency)
        return rows.setdefault(key, Aged(*key))

    def owe(document: Any, due: date) -> None:
        aged = row(document)
        aged.open += document.balance
        aged.overdue += document.balance if due < as_of else 0
        aged.buckets[bucket((as_of - due).days)] += document.balance

    for invoice in ledger.invoices:
        if isinstance(invoice, Invoice) and invoice.balance:
            owe(invoice, invoice.due or invoice.date)
    for journal in ledger.journals:
        if journal.balance and journal.receivable > 0:
            owe(journal, journal.date)
        elif journal.balance:
            row(journal).unapplied += journal.balance
    for credit in (*ledger.credit_notes, *ledger.payments, *ledger.advances):
        if credit.balance:
            row(credit).unapplied += credit.balance
    return sorted(rows.values(), key=lambda r: (ledger.customers[r.customer].name, r.currency))
