"""What all customers of a book together show by a day: on which weekdays money comes, and how late.

A payment is late or not by the ledger's calendar, but people pay on days on which money moves. `waits` are the
days from each weekday until the next such one; `late` replays everybody's invoices on a due date.
"""

from __future__ import annotations

import numpy as np

from connector.domain.prediction.timeline import (
    FAR,
    PRIOR_LATE,
    PRIOR_WEIGHT,
    Days,
    Floats,
    History,
    shrunk,
)

CLOSED = 0.02  # a weekday with a smaller share of the book's payments brings no money
LATELY = 30  # days
LONGEST_WAIT = 5
# Days late (negative: early) between which the book is counted.
STEPS = np.array([-90, -60, -45, -30, -21, -14, -10, -7, -5, -3, -2, -1, 0, 1, 2, 3, 4, 5, 10, 14, 21, 30])
_AFTER = np.maximum(STEPS, 0) + 1  # days after the due date until it is certain whether somebody was later
_EARLY = int(np.searchsorted(STEPS, -1))
_WEEKDAYS, _STEP = np.arange(7)[None, :, None], np.arange(len(STEPS))[None, None, :]


class Book:
    """Built once from a history; asked about days. Everything is kept by due day, not by invoice."""

    def __init__(self, h: History) -> None:
        known = h.settled[h.settled < FAR]
        first = int(min(h.due.min(initial=FAR), known.min(initial=FAR)))
        self.base = first - first % 7 if len(h.due) else 0
        last = int(max(h.due.max(initial=0), known.max(initial=0)))
        self.weeks = max((last - self.base) // 7 + 1, 1)
        size = self.weeks * 7
        due, gap = h.due - self.base, h.settled - h.due
        self.paid = self._sums(np.bincount(known - self.base, minlength=size))
        self.due = self._sums(np.bincount(due, minlength=size))
        passed = np.searchsorted(STEPS, gap)  # how many steps each invoice was later than
        table = np.bincount(due * (len(STEPS) + 1) + passed, minlength=size * (len(STEPS) + 1))
        beyond = np.cumsum(table.reshape(size, -1)[:, :0:-1], axis=1)[:, ::-1]
        self.later = np.stack([self._sums(daily) for daily in beyond.T], axis=2)

    def _sums(self, daily: Days) -> Days:
        """By week and weekday: how many up to then, from nothing."""
        weekly = np.cumsum(daily.reshape(self.weeks, 7), axis=0)
        return np.concatenate([np.zeros((1, 7), np.int64), weekly])

    def _week(self, day: Days, weekday: Days) -> Days:
        """Which row of the sums holds everything of that weekday dated on or before `day`."""
        found: Days = np.clip((day - self.base - weekday) // 7 + 1, 0, self.weeks)
        return found

    def waits(self, day: Days) -> Days:
        """For each `day` and weekday: the days until one on which the book receives money, as known then."""
        weekday = np.arange(7)[None, :]
        count = self.paid[self._week(day[:, None], weekday), weekday].astype(float)
        closed = shrunk(count, count.sum(axis=1, keepdims=True), 1 / 7, PRIOR_WEIGHT) < CLOSED
        waits = np.zeros((len(day), 7), np.int64)
        for first in range(7):
            still = np.ones(len(day), bool)
            for further in range(LONGEST_WAIT):
                still &= closed[:, (first + further) % 7]
                waits[:, first] += still
        return waits

    def late(self, day: Days, wait: Days, elapsed: Days) -> Floats:
        """To be paid late at all, for what is open `elapsed` days after its due date; `wait` is that of the due day.

        What fell due in the last thirty days counts more.
        """
        days, row = np.unique(day, return_inverse=True)
        waits = self.waits(days)[row]
        # A due date on a day without money makes late whoever pays on the day; else whoever pays after it.
        step = np.where((wait > 0)[:, None], _EARLY, _EARLY + 1 + waits)
        now, before = self._counts(days), self._counts(days - LATELY)
        at = (row[:, None], np.arange(7)[None, :], step)
        n, late = (table[at].sum(axis=1) for table in now)
        n_before, late_before = (table[at].sum(axis=1) for table in before)
        whole = shrunk(late, n, PRIOR_LATE, PRIOR_WEIGHT)
        lately = shrunk(late - late_before, n - n_before, whole, 2 * PRIOR_WEIGHT)
        return lately / np.maximum(_open(now, row, elapsed), lately)

    def still_open(self, day: Days, elapsed: Days) -> Floats:
        """The share of invoices that are open `elapsed` days after their due date (negative: before)."""
        days, row = np.unique(day, return_inverse=True)
        return _open(self._counts(days), row, elapsed)

    def _counts(self, days: Days) -> tuple[Floats, Floats]:
        """(how many were certain, how many of them were later), by day, weekday and step."""
        week = self._week(days[:, None, None] - _AFTER, _WEEKDAYS)
        n = self.due[week, np.broadcast_to(_WEEKDAYS, week.shape)]
        later = self.later[week, np.broadcast_to(_WEEKDAYS, week.shape), np.broadcast_to(_STEP, week.shape)]
        return n.astype(float), later.astype(float)


def _open(counts: tuple[Floats, Floats], row: Days, elapsed: Days) -> Floats:
    """`Book.still_open`, from the counts of days; `row` is each one's day."""
    seen = np.maximum(np.searchsorted(STEPS, elapsed, side="right") - 1, 0)
    n, open_ = (table.sum(axis=1)[row, seen] for table in counts)
    return np.where(elapsed < STEPS[0], 1.0, shrunk(open_, n, 1.0, PRIOR_WEIGHT))
