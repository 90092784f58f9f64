"""How right we would have been over the last twelve months of this very book, beside the customer's own rate.

Every invoice that was issued in that time and whose answer is certain today is asked about on its issue day,
from what was known by then alone. Nothing was fitted to these invoices, so the comparison is fair.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np

from connector.domain.prediction.alike import Alike
from connector.domain.prediction.timeline import Days, Flags, Floats, bits, ordered

A_YEAR = 365
EPOCH = dt.date(1970, 1, 1).toordinal()  # numpy counts days from here
MOST = 4000  # invoices looked at; of more, an even choice by date
FEWEST = 30  # below this, a comparison says nothing
BANDS = 5


@dataclass(frozen=True, slots=True)
class Band:
    """Invoices whose chance was said to lie in one fifth of the scale."""

    said: float  # the mean chance
    was: float  # the share that was late
    invoices: int


@dataclass(frozen=True, slots=True)
class Month:
    """Invoices issued in one month: how many, how many late, how many flagged, and how many of those late."""

    month: str  # YYYY-MM
    invoices: int
    happened: int
    flagged: int
    flagged_late: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """`error` is the mean squared difference between the chance said and what happened (Brier); less is better."""

    limit: int  # days after the due date
    invoices: int
    happened: int
    error: float
    error_of_own_rate: float
    error_of_one_rate: float  # when saying the year's share for everybody, known only afterwards
    flagged: int  # said to be more likely late than not
    flagged_late: int
    bands: tuple[Band, ...]
    months: tuple[Month, ...]

    @property
    def enough(self) -> bool:
        return self.invoices >= FEWEST

    @property
    def better(self) -> bool:
        return self.error < self.error_of_own_rate


@dataclass(frozen=True, slots=True)
class Record:
    """`late` at all, and more than 30 days; `since` and `until` bound the issue days."""

    since: dt.date
    until: dt.date
    issued: int  # invoices issued in that time with a certain answer; of many, MOST were looked at
    late: Comparison
    late_30: Comparison

    def falls_back(self, limit: int) -> bool:
        """Whether the customer's own rate is shown instead, because over the year it was as good or better."""
        compared = self.late_30 if limit else self.late
        return compared.enough and not compared.better


def record(alike: Alike, day: int) -> Record:
    """As of the end of `day`."""
    h = alike.history
    recent = np.flatnonzero((h.issued > day - A_YEAR) & (h.due < day))
    order = ordered(h.issued[recent], h.due[recent], bits(h.amount[recent]), h.settled[recent])
    chosen = recent[order][:: -(-len(recent) // MOST) or 1]
    said = alike.late(chosen, h.issued[chosen])
    certain = h.due[chosen] + 30 < day
    late, late_30 = (
        _compared(alike, chosen, said[0], 0),
        _compared(alike, chosen[certain], said[1][certain], 30),
    )
    since, until = dt.date.fromordinal(day - A_YEAR + 1), dt.date.fromordinal(day)
    return Record(since, until, len(recent), late, late_30)


def _compared(alike: Alike, at: Days, said: Floats, limit: int) -> Comparison:
    h = alike.history
    when = h.issued[at]
    was = h.settled[at] > h.due[at] + limit
    rate = alike.own.late(h.customer[at], when, limit)
    flagged = said > 0.5
    return Comparison(
        limit=limit,
        invoices=len(at),
        happened=int(was.sum()),
        error=_error(said, was),
        error_of_own_rate=_error(rate, was),
        error_of_one_rate=_error(np.full(len(at), was.mean() if len(at) else 0.0), was),
        flagged=int(flagged.sum()),
        flagged_late=int((flagged & was).sum()),
        bands=_bands(said, was),
        months=_months(when, was, flagged),
    )


def _error(said: Floats, was: Flags) -> float:
    return round(float(((said - was) ** 2).mean()), 6) if len(said) else 0.0


def _bands(said: Floats, was: Flags) -> tuple[Band, ...]:
    band = np.minimum((said * BANDS).astype(int), BANDS - 1)
    rows = [band == b for b in range(BANDS)]
    return tuple(
        Band(round(float(said[r].mean()), 4), round(float(was[r].mean()), 4), int(r.sum()))
        for r in rows
        if r.any()
    )


def _months(when: Days, was: Flags, flagged: Flags) -> tuple[Month, ...]:
    days = (when - EPOCH).astype("datetime64[D]")
    months, row = np.unique(days.astype("datetime64[M]"), return_inverse=True)
    counted = (slice(None), was, flagged, flagged & was)
    columns = (np.bincount(row[rows], minlength=len(months)).tolist() for rows in counted)
    return tuple(Month(str(name), *counts) for name, *counts in zip(months, *columns, strict=True))
