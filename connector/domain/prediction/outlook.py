"""Predictions as records: one for each open invoice, and the money to expect in the coming weeks."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from connector.domain import on_account
from connector.domain.on_account import Held
from connector.domain.prediction.history import history, learnable
from connector.domain.prediction.model import KNOWN, LEAST, Model, fit
from connector.domain.prediction.timeline import FAR, History
from connector.domain.receivables import CreditNote, Invoice, Payment


@dataclass(frozen=True, slots=True)
class Outlook:
    """One open invoice. Chances from 0 to 1. Four of five are expected between `earliest` and `latest`.

    `basis` says what it rests on: `history` (the customer's own, at least three settled invoices), `pooled`
    (the rest of the book) or `none` (the book itself is too young: only the documented prior). `on_account` is no
    estimate: money on account covers the invoice since the expected day, and only the matching is left to do.
    """

    invoice_id: str
    late: float
    late_30: float
    expected: dt.date
    earliest: dt.date
    latest: dt.date
    basis: str
    stays_open: float | None = None  # part-paid: the chance to be open a year after the first part


def outlooks(
    invoices: Iterable[Invoice], payments: Iterable[Payment], credits: Iterable[CreditNote], today: dt.date
) -> dict[str, Outlook]:
    """By invoice id, for everything open at the end of `today`. Nothing may be dated later than `today`."""
    invoices, payments, credits = list(invoices), list(payments), list(credits)
    held = on_account.of_book(invoices, payments, credits, today)
    columns, ids = history(*learnable(invoices, payments, credits, held), today)
    return learn(columns, ids, today) | there(invoices, held)


def learn(columns: History, ids: Sequence[str], today: dt.date) -> dict[str, Outlook]:
    """As `outlooks`, from columns; `ids` are the rows' invoices."""
    if not (columns.settled == FAR).any():
        return {}
    return answers(fit(columns, today.toordinal()), ids)


def answers(model: Model, ids: Sequence[str]) -> dict[str, Outlook]:
    """What a model says of everything that is open in its history; `ids` are the rows' invoices."""
    at = np.flatnonzero(model.alike.history.settled == FAR)
    if not len(at):
        return {}
    said = model.predict(at)
    day = cache(dt.date.fromordinal)
    columns = (
        [ids[row] for row in at.tolist()],
        np.round(said.late, 4).tolist(),
        np.round(said.late_30, 4).tolist(),
        *(list(map(day, days.tolist())) for days in (said.expected, said.earliest, said.latest)),
        [_basis(model, settled) for settled in said.settled.tolist()],
        [None if math.isnan(share) else round(share, 4) for share in said.stays_open.tolist()],
    )
    return {id: Outlook(id, *more) for id, *more in zip(*columns, strict=True)}


def there(invoices: Iterable[Invoice], held: Held) -> dict[str, Outlook]:
    """Of open invoices that money on account covers: late or not is no question any more."""
    found = {}
    for invoice in invoices if held else ():
        since = on_account.whole_since(invoice, held.get(invoice.id, ()))
        if since and not invoice.marker:
            late = (since - invoice.due).days
            days = (since, since, since)
            found[invoice.id] = Outlook(invoice.id, float(late > 0), float(late > 30), *days, "on_account")
    return found


def _basis(model: Model, settled: float) -> str:
    if settled >= KNOWN:
        return "history"
    return "pooled" if model.taught >= LEAST else "none"


def expected_weeks(
    invoices: Iterable[Invoice],
    outlooks: Mapping[str, Outlook],
    today: dt.date,
    weeks: int = 8,
    held: Held = on_account.NOTHING,
) -> dict[str, list[tuple[dt.date, int]]]:
    """Per currency: (Monday, minor units) of the open balances by the week of their expected day; what money on account
    is `held` against them has come already.

    An estimate of the middle case; what is expected later than `weeks` ahead is left out.
    """
    monday = today - dt.timedelta(today.weekday())
    starts = [monday + dt.timedelta(weeks=n) for n in range(weeks)]
    sums: dict[str, dict[dt.date, int]] = {}
    for invoice in invoices:
        if outlook := outlooks.get(invoice.id):
            row = sums.setdefault(invoice.currency, dict.fromkeys(starts, 0))
            start = outlook.expected - dt.timedelta(outlook.expected.weekday())
            if start in row:
                row[start] += invoice.balance - on_account.covered(held.get(invoice.id, ()))
    return {currency: list(row.items()) for currency, row in sorted(sums.items())}
