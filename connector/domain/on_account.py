"""Money on account: it came, or was credited, and stands beside the invoices without being matched with one.

QuickBooks calls it an unapplied payment or credit memo, Xero an overpayment, a prepayment or a credit note. What it
covers is not missed: the customer has paid, and only the matching is left to do. So it is held against what the same
customer owes in the same currency, as a bookkeeper would match it: each sum with the oldest open invoice of exactly
that much, and whatever is left with the invoices due first. Nothing is written anywhere because of it.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from connector.domain.receivables import CreditNote, Invoice, Payment, Status


class Part(NamedTuple):
    """So much of one invoice, in its minor units, is there since `day`; `given` by a credit, which nobody paid."""

    day: dt.date
    amount: int
    given: bool


Held = Mapping[str, tuple[Part, ...]]  # by invoice id
NOTHING: Held = {}


def held(
    invoices: Iterable[Invoice],
    payments: Sequence[Payment],
    credits: Sequence[CreditNote],
    today: dt.date,
    agreed: Mapping[str, dt.date] | None = None,
) -> Held:
    """What one customer's money on account on `today` covers of their open `invoices`; `agreed` due dates count first."""
    sums = _on_account(payments, credits, today)
    if not sums:
        return NOTHING
    due = agreed or {}
    open_ = defaultdict[str, list[Invoice]](list)
    for invoice in invoices:
        if invoice.balance > 0 and invoice.status in (Status.OPEN, Status.PARTLY_PAID):
            open_[invoice.currency].append(invoice)
    found: dict[str, list[Part]] = defaultdict(list)
    for currency, parts in sums.items():
        # Names come last, so that two names never decide what two amounts could.
        owed = sorted(
            open_[currency], key=lambda i: (due.get(i.id, i.due), i.date, i.total, i.balance, i.number, i.id)
        )
        _hold(owed, parts, found)
    return {id: tuple(sorted(parts)) for id, parts in found.items()}


def of_book(
    invoices: Iterable[Invoice], payments: Iterable[Payment], credits: Iterable[CreditNote], today: dt.date
) -> Held:
    """The same of many customers, each by themselves."""
    mine = defaultdict[str, tuple[list[Payment], list[CreditNote]]](lambda: ([], []))
    for payment in payments:
        if payment.unapplied:
            mine[payment.customer_id][0].append(payment)
    for credit in credits:
        if credit.remaining:
            mine[credit.customer_id][1].append(credit)
    if not mine:
        return NOTHING
    open_ = defaultdict[str, list[Invoice]](list)
    for invoice in invoices:
        if invoice.customer_id in mine:
            open_[invoice.customer_id].append(invoice)
    found: dict[str, tuple[Part, ...]] = {}
    for who, money in mine.items():
        found |= held(open_[who], *money, today)
    return found


def covered(parts: Iterable[Part]) -> int:
    return sum([p.amount for p in parts])


def whole_since(invoice: Invoice, parts: Sequence[Part]) -> dt.date | None:
    """The day since which all of an invoice's balance is there, or None while some is missing."""
    return parts[-1].day if parts and covered(parts) >= invoice.balance else None


def _on_account(
    payments: Sequence[Payment], credits: Sequence[CreditNote], today: dt.date
) -> dict[str, list[Part]]:
    """By currency, the oldest first. What was taken back (less than nothing) is taken off the oldest."""
    found = defaultdict[str, list[Part]](list)
    for payment in payments:
        if payment.unapplied and not payment.void and payment.date <= today:
            found[payment.currency].append(Part(payment.date, payment.unapplied, given=False))
    for credit in credits:
        if credit.remaining and not credit.void and credit.date <= today:
            found[credit.currency].append(Part(credit.date, credit.remaining, given=True))
    return {currency: kept for currency, parts in sorted(found.items()) if (kept := _positive(parts))}


def _positive(parts: list[Part]) -> list[Part]:
    gone = -sum(min(0, p.amount) for p in parts)
    kept = []
    for part in sorted(p for p in parts if p.amount > 0):
        taken = min(gone, part.amount)
        gone -= taken
        if taken < part.amount:
            kept.append(part._replace(amount=part.amount - taken))
    return kept


def _hold(owed: Sequence[Invoice], parts: Iterable[Part], found: dict[str, list[Part]]) -> None:
    rest = []
    for part in parts:
        same = (i for i in owed if i.balance == part.amount and i.date <= part.day and i.id not in found)
        if one := next(same, None):
            found[one.id].append(part)
        else:
            rest.append(part)
    missing = {i.id: i.balance for i in owed if i.id not in found}
    for id in missing:
        while rest and missing[id]:
            day, left, given = rest.pop(0)
            taken = min(left, missing[id])
            missing[id] -= taken
            found[id].append(Part(day, taken, given))
            if left > taken:
                rest.insert(0, Part(day, left - taken, given))
