"""How old is what is owed: by the due date that the ledger shows, and by contract age.

Contract age counts from the original invoice's due date, so that rescheduling never makes a debt look younger
(accounting.md 1.6, I11). Both views of the same debts have the same total.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from connector.domain.plan import Plan, portions
from connector.domain.receivables import Invoice, Status

BUCKETS = ("current", "1-30", "31-60", "61-90", "90+")


@dataclass(frozen=True, slots=True)
class Debt:
    """An open amount and the day it fell due. Negative amounts (credits) are no debts."""

    currency: str
    due: dt.date
    amount: int


def days_overdue(due: dt.date, today: dt.date) -> int:
    """Whole days after the due date; 0 up to and on it."""
    return max(0, (today - due).days)


def bucket(due: dt.date, today: dt.date) -> str:
    """The aging bucket: `current` up to the due date, then 1-30, 31-60, 61-90 and 90+ (91 and more) days."""
    days = days_overdue(due, today)
    if days == 0:
        return "current"
    return BUCKETS[min(4, 1 + (days - 1) // 30)]


def buckets(debts: Iterable[Debt], today: dt.date) -> dict[str, dict[str, int]]:
    """Per currency: minor units in each bucket, all five always present."""
    table: dict[str, dict[str, int]] = {}
    for debt in debts:
        row = table.setdefault(debt.currency, dict.fromkeys(BUCKETS, 0))
        row[bucket(debt.due, today)] += debt.amount
    return table


def debts(invoices: Iterable[Invoice], contract: Mapping[str, Sequence[Debt]] | None = None) -> list[Debt]:
    """What the open invoices owe, by their due dates; by contract age where `contract` knows the invoice id."""
    found: list[Debt] = []
    for invoice in invoices:
        if invoice.balance > 0 and invoice.status in (Status.OPEN, Status.PARTLY_PAID):
            if contract and invoice.id in contract:
                found.extend(contract[invoice.id])
            else:
                found.append(Debt(invoice.currency, invoice.due, invoice.balance))
    return found


def contract_debts(plan: Plan, open_principal: Mapping[int, int]) -> dict[int, list[Debt]]:
    """Per row: its open principal by the due dates of the invoices that it reschedules.

    Money pays the oldest part of a row first, so what is open is the latest part.
    """
    result = {}
    for row, parts in zip(plan.rows, portions(plan.sources, [r.principal for r in plan.rows]), strict=True):
        left = min(open_principal.get(row.n, 0), row.principal)
        found = []
        for source, amount in reversed(parts):
            take = min(left, amount)
            if take:
                found.append(Debt(plan.currency, source.contract_due, take))
            left -= take
        result[row.n] = found[::-1]
    return result
