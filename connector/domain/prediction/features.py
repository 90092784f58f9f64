"""What was known about an invoice and its customer at the end of a day, in columns. Nothing later gets in.

A row is an invoice on a day on which it was open. Its columns come from running sums over the customer's dated
events. An invoice is *resolved* on the day it is paid, or on the day after its due date when it is not, so a
slow payer's open invoices count against them at once. Amounts enter only as ratios, dates only as differences,
weekdays and days of the month.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Days = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FAR = 10**7  # the day of what has not happened
CAP = 120  # days late count no further: one forgotten invoice is no habit
HALF_LIFE = 45.0  # days after which an outcome weighs half

# The documented prior (docs/judgement.md): about half of invoices between businesses are paid late, about a
# tenth more than a month late. It weighs as much as `PRIOR_WEIGHT` invoices against a book, and the book as
# much as `STRENGTH` invoices against a customer.
PRIOR_LATE = 0.45
PRIOR_LATE_30 = 0.08
PRIOR_WEIGHT = 10.0
STRENGTH = 3.0


@dataclass(frozen=True, slots=True)
class History:
    """Invoices in columns. Days are proleptic ordinals; `settled` is FAR while open. `amount` is relative to the
    middle invoice of its currency; `parted` is the day of a first payment that was not the whole, or FAR."""

    customer: Days
    issued: Days
    due: Days
    settled: Days
    parted: Days
    amount: Floats


class Stream:
    """Dated events of customers, summed: how much had happened to a customer by a day."""

    def __init__(self, customer: Days, day: Days, *values: Floats) -> None:
        kept = np.flatnonzero(day < FAR)
        key = customer[kept] * FAR + day[kept]
        order = np.argsort(key, kind="stable")  # events of one day stay in the order in which they are given
        self.key = key[order]
        self.values = [v[kept[order]] for v in values]
        self.sums = [np.concatenate(([0.0], np.cumsum(v))) for v in self.values]

    def by(self, customer: Days, day: Days) -> list[Floats]:
        """The sums over the customer's events dated on or before `day`."""
        start = np.searchsorted(self.key, customer * FAR, side="left")
        end = np.searchsorted(self.key, customer * FAR + day, side="right")
        return [s[end] - s[start] for s in self.sums]

    def last(self, customer: Days, day: Days, column: int, back: int, otherwise: float) -> Floats:
        """A value of the customer's latest event but `back`, dated on or before `day`."""
        if not len(self.key):
            return np.full(len(customer), otherwise)
        start = np.searchsorted(self.key, customer * FAR, side="left")
        at = np.searchsorted(self.key, customer * FAR + day, side="right") - 1 - back
        return np.where(at >= start, self.values[column][np.maximum(at, 0)], otherwise)


@dataclass(frozen=True, slots=True)
class Rows:
    """`columns` for the trees; beside them what the customer's own record says, shrunk to the book."""

    columns: Floats
    late: Floats  # chance
    late_30: Floats  # chance
    days: Floats  # usual days late
    settled: Floats  # how many invoices of the customer were settled by then


class Facts:
    """Running sums over one history, ready to be asked about any invoice on any day."""

    def __init__(self, history: History) -> None:
        self.history = history
        h = _ordered(history)
        one, zero = np.ones(len(h.due)), np.zeros(len(h.due), np.int64)
        late = (h.settled > h.due).astype(float)
        late_30 = (h.settled > h.due + 30).astype(float)
        resolved = np.where(h.settled <= h.due, h.settled, h.due + 1)
        resolved_30 = np.where(h.settled <= h.due + 30, h.settled, h.due + 31)
        days = np.clip(h.settled - h.due, -CAP, CAP).astype(float)
        self.base = int(h.issued.min()) if len(h.issued) else 0
        self.end = int(h.due.max()) + 400 if len(h.due) else 0
        grown = self._growth(resolved)
        paid = self._growth(np.minimum(h.settled, self.end))
        weekday, term = h.due % 7, np.clip(h.due - h.issued, 0, 400)
        was_due = np.where(late > 0, h.due + 1, FAR)
        was_cured = np.where(late > 0, h.settled, FAR)
        due = h.due.astype(float)
        self.resolutions = Stream(h.customer, resolved, one, late, grown, grown * late)
        self.resolutions_30 = Stream(h.customer, resolved_30, one, late_30)
        self.payments = Stream(h.customer, h.settled, one, days, days**2, paid, paid * days)
        self.latest = Stream(h.customer, h.settled, days, h.settled.astype(float))
        self.issues = Stream(h.customer, h.issued, one, h.amount)
        self.overdue = Stream(h.customer, was_due, one, h.amount, due)
        self.cured = Stream(h.customer, was_cured, one, h.amount)
        self.weekdays = Stream(h.customer * 8 + weekday, resolved, one, late)
        self.terms = Stream(h.customer * 512 + term, resolved, one, late)
        self.parts = Stream(h.customer, h.parted, one)
        self.book = Stream(zero, resolved, one, late)
        self.book_30 = Stream(zero, resolved_30, one, late_30)
        self.book_days = Stream(zero, h.settled, one, days)

    def _growth(self, day: Days) -> Floats:
        return np.exp2((np.minimum(day, self.end) - self.base) / HALF_LIFE)

    def rows(self, at: Days, day: Days) -> Rows:
        """One row for each invoice (index) `at` on its `day`."""
        h = self.history
        who, due, term = h.customer[at], h.due[at], np.clip(h.due[at] - h.issued[at], 0, 400)
        zero = np.zeros(len(at), np.int64)
        weekday, fade = due % 7, self._growth(day)

        book_n, book_late = self.book.by(zero, day)
        book = _shrunk(book_late, book_n, PRIOR_LATE, PRIOR_WEIGHT)
        n, late, weight, weight_late = self.resolutions.by(who, day)
        rate = _shrunk(late, n, book, STRENGTH)
        recent = _shrunk(weight_late / fade, weight / fade, book, STRENGTH)
        windows = []
        for span in (30, 90):
            before_n, before_late, _, _ = self.resolutions.by(who, day - span)
            windows.append(_shrunk(late - before_late, n - before_n, rate, STRENGTH))
        book_n, book_late = self.book_30.by(zero, day)
        n_30, late_30 = self.resolutions_30.by(who, day)
        rate_30 = _shrunk(late_30, n_30, _shrunk(book_late, book_n, PRIOR_LATE_30, PRIOR_WEIGHT), STRENGTH)
        same_n, same_late = self.weekdays.by(who * 8 + weekday, day)
        same_term_n, same_term_late = self.terms.by(who * 512 + term, day)

        book_n, book_days = self.book_days.by(zero, day)
        paid, days, squares, paid_weight, paid_days = self.payments.by(who, day)
        usual_days = _shrunk(days, paid, book_days / (book_n + PRIOR_WEIGHT), STRENGTH)
        recent_days = _shrunk(paid_days / fade, paid_weight / fade, usual_days, 1.0)
        mean = days / np.maximum(paid, 1)
        spread = np.sqrt(np.maximum(squares / np.maximum(paid, 1) - mean**2, 0))
        last = [self.latest.last(who, day, 0, back, 0.0) for back in range(3)]

        issued, billed = self.issues.by(who, day)
        due_n, due_amount, _ = self.overdue.by(who, day)
        cured_n, cured_amount = self.cured.by(who, day)
        overdue = due_n - cured_n
        stuck = np.maximum(due_amount - cured_amount, 0) / np.maximum(billed, 1e-9)
        newest = np.where(overdue > 0, np.minimum(day - self.overdue.last(who, day, 2, 0, 0.0), 365), 0)
        last_paid = self.latest.last(who, day, 1, 0, -FAR)
        gap = last_paid - self.latest.last(who, day, 1, 1, -FAR)
        month = (issued - self.issues.by(who, day - 60)[0]) / 2
        same_day = issued - self.issues.by(who, day - 1)[0]
        size = h.amount[at] / np.maximum(billed / np.maximum(issued, 1), 1e-9)
        columns = [
            due - day, term, weekday, _day_of_month(due), np.log1p(h.amount[at]), size,
            n, rate, recent, *windows, rate_30, usual_days, recent_days, *last, spread,
            issued - paid, overdue, stuck, newest, np.minimum(day - last_paid, 365), np.minimum(gap, 365),
            month, same_day, self.parts.by(who, day)[0], (h.parted[at] <= day).astype(float),
            _shrunk(same_late, same_n, rate, STRENGTH), _shrunk(same_term_late, same_term_n, rate, STRENGTH),
        ]  # fmt: skip
        return Rows(np.stack(columns, axis=1).astype(float), (rate + recent) / 2, rate_30, recent_days, paid)


def _ordered(h: History) -> History:
    """By what the invoices are, never by how they are called or stored."""
    order = np.lexsort((h.parted, h.settled, h.amount, h.issued, h.due))
    return History(
        h.customer[order],
        h.issued[order],
        h.due[order],
        h.settled[order],
        h.parted[order],
        h.amount[order],
    )


def _shrunk(count: Floats, of: Floats, towards: Floats | float, weight: float) -> Floats:
    found: Floats = (count + weight * towards) / (of + weight)
    return found


def _day_of_month(day: Days) -> Days:
    date = (day - 719163).astype("datetime64[D]")  # 719163 is the ordinal of 1970-01-01
    found: Days = (date - date.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64)
    return found
