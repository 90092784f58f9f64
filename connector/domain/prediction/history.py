"""A book's invoices and what settled them, turned into the columns that prediction learns from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

import numpy as np

from connector.domain.prediction.features import FAR, Days, History
from connector.domain.receivables import CreditNote, Invoice, Payment, Status

Settlement = tuple[str, dt.date, int]  # invoice id, day, minor units of the invoice's currency


def learnable(
    invoices: Iterable[Invoice], payments: Iterable[Payment], credits: Iterable[CreditNote]
) -> tuple[list[Invoice], list[Settlement]]:
    """The invoices that show how customers pay, with their settlements.

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
    return kept, settlements


def history(
    invoices: Sequence[Invoice], settlements: Iterable[Settlement], today: dt.date
) -> tuple[History, list[Invoice]]:
    """The columns as known at the end of `today`, and the invoice of each row.

    An invoice that the ledger calls paid without saying when teaches nothing and is left out.
    """
    received: dict[str, list[tuple[int, int]]] = {}
    for invoice_id, day, amount in settlements:
        if day <= today and amount > 0:
            received.setdefault(invoice_id, []).append((day.toordinal(), amount))
    rows, settled, parted = [], [], []
    for invoice in invoices:
        closed, first = _closed(received.get(invoice.id, []), invoice.total)
        if invoice.balance > 0:
            closed = FAR
        elif closed == FAR:
            continue
        rows.append(invoice)
        settled.append(closed)
        parted.append(first)
    customers: dict[str, int] = {}
    who = [customers.setdefault(i.customer_id, len(customers)) for i in rows]
    middle = {
        c: float(np.median([i.total for i in rows if i.currency == c])) for c in {i.currency for i in rows}
    }
    return (
        History(
            customer=_days(who),
            issued=_days([i.date.toordinal() for i in rows]),
            due=_days([i.due.toordinal() for i in rows]),
            settled=_days(settled),
            parted=_days(parted),
            amount=np.array([i.total / middle[i.currency] for i in rows], float),
        ),
        rows,
    )


def _closed(received: list[tuple[int, int]], total: int) -> tuple[int, int]:
    """The day on which the invoice was settled, and that of a first payment that was not the whole; or FAR."""
    received.sort()
    sum_ = 0
    first = received[0][0] if received and received[0][1] < total else FAR
    for day, amount in received:
        sum_ += amount
        if sum_ >= total:
            return day, first if first < day else FAR
    return FAR, first


def _days(values: list[int]) -> Days:
    return np.array(values, np.int64)
