"""A book's invoices and what settled them, turned into the columns that prediction learns from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from connector.domain.on_account import NOTHING, Held, covered
from connector.domain.prediction.timeline import FAR, Days, History, ordered
from connector.domain.receivables import CreditNote, Invoice, Payment, Status

Settlement = tuple[str, dt.date, int]  # invoice id, day, minor units of the invoice's currency


def learnable(
    invoices: Iterable[Invoice],
    payments: Iterable[Payment],
    credits: Iterable[CreditNote],
    held: Held = NOTHING,
) -> tuple[list[Invoice], list[Settlement]]:
    """The invoices that show how customers pay, with their settlements; money on account counts as matched with what
    it is `held` against.

    Left out: what was voided or never posted, our own installments, and originals that our own credit note
    closed, because neither says how the customer pays an ordinary invoice.
    """
    settlements, ours = [], set()
    documents: list[Payment | CreditNote] = [*payments, *credits]
    for document in documents:
        for part in () if document.void else document.allocations:
            settlements.append((part.invoice_id, part.date or document.date, part.amount))
            if document.marker:
                ours.add(part.invoice_id)
    kept = [
        i
        for i in invoices
        if i.status not in (Status.VOID, Status.DRAFT) and i.total > 0 and not i.marker and i.id not in ours
    ]
    if held:
        settlements += [(id, part.day, part.amount) for id, parts in held.items() for part in parts]
        kept = [replace(i, balance=i.balance - covered(held[i.id])) if i.id in held else i for i in kept]
    return kept, settlements


def history(
    invoices: Sequence[Invoice], settlements: Iterable[Settlement], today: dt.date
) -> tuple[History, list[str]]:
    """The columns as known at the end of `today`, and the invoice id of each row."""
    index = {invoice.id: n for n, invoice in enumerate(invoices)}
    known = [(index[id], day.toordinal(), amount) for id, day, amount in settlements if id in index]
    paid = np.array(known, np.int64).reshape(-1, 3)
    customers: dict[str, int] = {}
    currencies: dict[str, int] = {}
    columns = np.array(
        [
            (
                customers.setdefault(i.customer_id, len(customers)),
                currencies.setdefault(i.currency, len(currencies)),
                i.date.toordinal(),
                i.due.toordinal(),
                i.total,
                i.balance,
            )
            for i in invoices
        ],
        np.int64,
    ).reshape(-1, 6)
    made, kept = from_columns(*columns.T, *paid.T, today=today.toordinal())
    return made, [invoices[int(n)].id for n in kept]


def from_columns(
    customer: Days,
    currency: Days,
    issued: Days,
    due: Days,
    total: Days,
    balance: Days,
    paid_invoice: Days,
    paid_day: Days,
    paid_amount: Days,
    *,
    today: int,
) -> tuple[History, Days]:
    """The columns, and which invoices they are of. The last three columns are settlements, by invoice index.

    An invoice that the ledger calls paid without saying when teaches nothing and is left out.
    """
    settled, parted = _closed(total, paid_invoice, paid_day, paid_amount, today)
    settled[balance > 0] = FAR
    kept = np.flatnonzero((balance > 0) | (settled < FAR))
    amount = total.astype(float)
    for code in np.unique(currency):
        same = currency == code
        amount[same] /= np.median(amount[same])
    made = History(customer[kept], issued[kept], due[kept], settled[kept], parted[kept], amount[kept])
    return made, kept


def _closed(total: Days, invoice: Days, day: Days, amount: Days, today: int) -> tuple[Days, Days]:
    """The day on which each invoice was settled, and that of a first payment that was not the whole; or FAR."""
    wanted = (day <= today) & (amount > 0)
    invoice, day, amount = invoice[wanted], day[wanted], amount[wanted]
    order = ordered(invoice, day)
    invoice, day, amount = invoice[order], day[order], amount[order]
    settled, parted = np.full(len(total), FAR), np.full(len(total), FAR)
    if not len(invoice):
        return settled, parted
    first = np.flatnonzero(np.concatenate(([True], invoice[1:] != invoice[:-1])))
    sums = np.cumsum(amount)
    before = np.repeat(sums[first] - amount[first], np.diff(np.append(first, len(invoice))))
    whole = np.flatnonzero(sums - before >= total[invoice])
    np.minimum.at(settled, invoice[whole], day[whole])
    short = first[amount[first] < total[invoice[first]]]
    parted[invoice[short]] = day[short]
    parted[parted >= settled] = FAR
    return settled, parted
