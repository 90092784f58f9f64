"""How old is what is owed: by the due date that the ledger shows, and by contract age.

Contract age counts from the original invoice's due date, so that rescheduling never makes a debt look younger
(docs/accounting.md, "Age", I11). Both views of the same debts have the same total.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from connector.domain.plan import Plan, open_by_source
from connector.domain.receivables import Invoice, Status

BUCKETS = ("current", "1-30", "31-60", "61-90", "90+")


class Debt(NamedTuple):  # made by the ten thousand: a frozen dataclass takes three times as long
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
    """Per row number: its open principal by the due dates of the invoices that it reschedules."""
    parts = open_by_source(plan, open_principal)
    return {
        row.n: [Debt(plan.currency, source.contract_due, amount) for source, amount in part]
        for row, part in zip(plan.rows, parts, strict=True)
    }


def weekly(
    invoices: Iterable[Invoice],
    settlements: Iterable[tuple[str, dt.date, int]],
    today: dt.date,
    weeks: int,
) -> dict[str, list[tuple[dt.date, dict[str, int]]]]:
    """Per currency: the buckets at the end of `weeks` days a week apart, oldest first, the last is `today`.

    `settlements` are (invoice id, date, amount) of payments and credits. Today's balance is the ledger's own;
    an earlier one is that plus what was settled since. Voided and draft invoices never count.
    """
    live = [i for i in invoices if i.status not in (Status.VOID, Status.DRAFT)]
    by_invoice: dict[str, list[tuple[dt.date, int]]] = {}
    for invoice_id, date, amount in settlements:
        by_invoice.setdefault(invoice_id, []).append((date, amount))
    table: dict[str, list[tuple[dt.date, dict[str, int]]]] = {}
    for back in reversed(range(weeks)):
        day = today - dt.timedelta(weeks=back)
        then = []
        for invoice in live:
            since = sum(a for date, a in by_invoice.get(invoice.id, ()) if date > day) if back else 0
            balance = min(invoice.total, invoice.balance + since)
            if invoice.date <= day and balance > 0:
                then.append(Debt(invoice.currency, invoice.due, balance))
        row = buckets(then, day)
        for currency in {i.currency for i in live}:
            table.setdefault(currency, []).append((day, row.get(currency, dict.fromkeys(BUCKETS, 0))))
    return table
