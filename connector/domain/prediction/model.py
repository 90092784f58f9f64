"""The chance that an open invoice is paid late, and when it is likely to be paid; learned from one book alone.

Three answers for an invoice that is open at the end of a day: late at all, more than 30 days late, and the
middle day of payment with a range in which four of five fall. Each begins with the customer's own record, shrunk to the
book and the book to a documented prior (`features`); boosted trees correct it where the book's latest quarter
shows that the correction helps, and no further.

Censoring: an invoice teaches only once its answer is certain whoever it was (its due date has passed, or 30
days more), and then it teaches paid or not. Every invoice teaches as it looked on several days of its life.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from connector.domain.prediction.boosting import Floats, Forest, chances, middles
from connector.domain.prediction.features import FAR, Days, Facts, Flags, History, Rows
from connector.domain.prediction.survival import Survival, survival

LEAST_ROWS = 60  # fewer certain answers than this teach trees nothing
MOST_ROWS = 7000  # the latest; more cost time and say little new
TREES_LATE, TREES_LATE_30, TREES_DAYS = 100, 40, 80
STUCK = 14  # days overdue after which the book's survival says more than the customer's usual day
A_YEAR = 365
FEWEST_PARTS = 30  # invoices paid in part before the book says how such invoices end
KNOWN = 3  # settled invoices of a customer before their own history is called a basis
LEAST = 10  # invoices with a certain answer before a book says more than the documented prior


Spread = tuple[float, float, float]  # days, for invoices that are hardly, perhaps and surely late


@dataclass(frozen=True, slots=True)
class Predicted:
    """Columns, one entry for each invoice asked about. Days are ordinals."""

    late: Floats
    late_30: Floats
    earliest: Days
    expected: Days
    latest: Days
    settled: Floats  # how many settled invoices of the customer it rests on
    stays_open: Floats  # part-paid: the chance to be open a year after the first part; NaN where unknown


@dataclass(frozen=True, slots=True)
class _Part:
    """One answer: the trees, and how far they are believed (0 to 1): for customers with a history, and for new ones."""

    forest: Forest | None = None
    belief: float = 0.0
    belief_new: float = 0.0

    def corrected(self, rows: Rows, start: Floats) -> Floats:
        if self.forest is None:
            return start
        belief = np.where(rows.settled >= KNOWN, self.belief, self.belief_new)
        return start + belief * (self.forest.scores(rows.columns, start) - start)


@dataclass(frozen=True, slots=True)
class Model:
    """What one book taught by `day`. `taught` counts the invoices with a certain answer."""

    day: int
    facts: Facts
    late: _Part
    late_30: _Part
    days: _Part
    before: Spread  # how many days earlier than expected one in ten pays
    after: Spread  # and how many days later
    lasting: Survival  # from the due date, of all invoices
    unfinished: Survival | None  # from a first payment in part, None below FEWEST_PARTS of them
    taught: int

    def answers(self, rows: Rows) -> tuple[Floats, Floats, Floats]:
        """(late at all, more than 30 days late, days late in the middle case), whatever has happened since."""
        late = _chance(self.late.corrected(rows, _odds(rows.late)))
        late_30 = _chance(self.late_30.corrected(rows, _odds(rows.late_30)))
        return np.maximum(late, late_30), late_30, self.days.corrected(rows, rows.days)

    def predict(self, at: Days) -> Predicted:
        """For the invoices (indices into the history) that are open at the end of `day`."""
        h = self.facts.history
        rows = self.facts.rows(at, np.full(len(at), self.day))
        overdue = self.day - h.due[at]
        late, late_30, middle = self.answers(rows)
        late = np.where(overdue > 0, 1.0, late)
        late_30 = np.where(overdue > 30, 1.0, late_30)
        band = np.searchsorted((0.25, 0.75), late)
        tomorrow = self.day + 1
        expected = np.maximum(h.due[at] + np.round(middle).astype(np.int64), tomorrow)
        low = expected - np.round(np.array(self.before)[band]).astype(np.int64)
        high = expected + np.round(np.array(self.after)[band]).astype(np.int64)
        # Long overdue, the usual day of payment is past: how long the book's other such invoices lasted.
        stuck = overdue > STUCK
        low, expected, high = (
            np.where(stuck, self.day + self.lasting.remaining(overdue, share), usual)
            for share, usual in ((0.1, low), (0.5, expected), (0.9, high))
        )
        since_part = self.day - h.parted[at]
        stays_open = np.full(len(at), np.nan)
        if self.unfinished is not None:
            known = since_part >= 0
            stays_open[known] = self.unfinished.stays(since_part[known], A_YEAR)
        return Predicted(late, late_30, np.maximum(low, tomorrow), expected, high, rows.settled, stays_open)


def fit(history: History, day: int) -> Model:
    """Learn from what is known at the end of `day`; nothing in `history` may be dated later."""
    facts = Facts(history)
    at, when = _moments(history, day)
    certain = history.due[at] < day
    before_due = certain & (when <= history.due[at])
    a_month_on = history.due[at] + 30 < day
    rows = _Taught(facts, at, when)
    late = rows.chance(before_due, history.settled > history.due, "late", TREES_LATE)
    late_30 = rows.chance(a_month_on, history.settled > history.due + 30, "late_30", TREES_LATE_30)
    days, before, after = rows.middle(a_month_on, np.minimum(history.settled, day) - history.due)
    known = (history.settled < FAR) | (history.due < day)
    end = np.minimum(history.settled, day)
    paid = history.settled < FAR
    lasting = survival((end - history.due)[known], paid[known])
    parted = history.parted < FAR
    lately = parted & (history.parted > day - 2 * A_YEAR)
    if lately.sum() >= FEWEST_PARTS:
        parted = lately  # how such cases end changes with how they are followed up
    unfinished = None
    if parted.sum() >= FEWEST_PARTS:
        unfinished = survival((end - history.parted)[parted], paid[parted])
    taught = int((history.due < day).sum())
    return Model(day, facts, late, late_30, days, before, after, lasting, unfinished, taught)


def _moments(history: History, day: int) -> tuple[Days, Days]:
    """The days on which each invoice is looked at: when issued, half way, just before due, and while overdue."""
    term = np.maximum(history.due - history.issued, 0)
    index = np.arange(len(history.due))
    looks = [
        (history.issued, index >= 0),
        (history.issued + term // 2, term >= 6),
        (history.due - 2, term >= 12),
        (history.due + 3, index >= 0),
        (history.due + 12, index >= 0),
    ]
    at = np.concatenate([index[wanted & (when < history.settled) & (when < day)] for when, wanted in looks])
    days = np.concatenate([when[wanted & (when < history.settled) & (when < day)] for when, wanted in looks])
    return at, days


class _Taught:
    def __init__(self, facts: Facts, at: Days, when: Days) -> None:
        self.facts, self.at, self.when = facts, at, when

    def _choose(self, wanted: Flags) -> tuple[Days, Rows, Floats]:
        h = self.facts.history
        kept = np.flatnonzero(wanted)
        at, when = self.at[kept], self.when[kept]
        order = np.lexsort((h.settled[at], h.amount[at], h.issued[at], when, h.due[at]))[-MOST_ROWS:]
        at, when = at[order], when[order]
        rows = self.facts.rows(at, when)
        return at, rows, _weights(h.customer[at])

    def chance(self, wanted: Flags, happened: Flags, name: str, trees: int) -> _Part:
        at, rows, weight = self._choose(wanted)
        outcome = happened[at].astype(float)
        start = _odds(getattr(rows, name))
        old, new = _parted(self.facts.history.due[at])
        if len(at) < LEAST_ROWS or not len(new) or outcome[old].min() == outcome[old].max():
            return _Part()
        trial = chances(rows.columns[old], outcome[old], start[old], weight[old], trees)
        step = trial.scores(rows.columns[new], start[new]) - start[new]
        known = rows.settled[new] >= KNOWN

        def best(chosen: Flags) -> float:
            happened, begin, more = outcome[new][chosen], start[new][chosen], step[chosen]
            losses = [_surprise(happened, begin + b * more, weight[new][chosen]) for b in BELIEFS]
            return BELIEFS[int(np.argmin(np.round(losses, 9)))]

        belief = best(known) if known.any() else 0.0
        belief_new = best(~known) if (~known).sum() >= LEAST_ROWS else min(belief, 0.5)
        if not belief and not belief_new:
            return _Part()
        forest = chances(rows.columns, outcome, start, weight, trees)
        return _Part(forest, belief, belief_new)

    def middle(self, wanted: Flags, days_late: Days) -> tuple[_Part, Spread, Spread]:
        at, rows, weight = self._choose(wanted)
        outcome = np.clip(days_late[at], -120, 120).astype(float)
        old, new = _parted(self.facts.history.due[at])
        if len(at) < LEAST_ROWS or not len(new):
            return _Part(), (10.0,) * 3, (30.0,) * 3
        trial = middles(rows.columns[old], outcome[old], rows.days[old], weight[old], TREES_DAYS)
        step = trial.scores(rows.columns[new], rows.days[new]) - rows.days[new]
        misses = [outcome[new] - rows.days[new] - belief * step for belief in BELIEFS]
        best = int(np.argmin([round(float(np.abs(m).mean()), 9) for m in misses]))
        band = np.searchsorted((0.25, 0.75), rows.late[new])
        before, after = [], []
        for b in range(3):
            miss = misses[best][band == b] if (band == b).sum() >= 20 else misses[best]
            before.append(max(0.0, -float(np.quantile(miss, 0.1))))
            after.append(max(0.0, float(np.quantile(miss, 0.9))))
        part = _Part()
        if BELIEFS[best]:
            forest = middles(rows.columns, outcome, rows.days, weight, TREES_DAYS)
            part = _Part(forest, BELIEFS[best], BELIEFS[best])
        return part, (before[0], before[1], before[2]), (after[0], after[1], after[2])


BELIEFS = (0.0, 0.25, 0.5, 0.75, 1.0)


def _parted(due: Days) -> tuple[Days, Days]:
    """The older three quarters and the latest quarter, parted between days. Empty when all is one day."""
    edge = np.sort(due)[len(due) * 3 // 4] if len(due) else 0
    return np.flatnonzero(due < edge), np.flatnonzero(due >= edge) if (due < edge).any() else due[:0]


def _weights(customer: Days) -> Floats:
    """A customer with many rows counts for more than one with few, but not in proportion."""
    if not len(customer):
        return np.ones(0)
    weight = np.bincount(customer)[customer] ** -0.4
    return np.asarray(weight / weight.mean())


def _surprise(outcome: Floats, odds: Floats, weight: Floats) -> float:
    return float((weight * (np.logaddexp(0, odds) - outcome * odds)).sum() / weight.sum())


def _odds(chance: Floats) -> Floats:
    chance = np.clip(chance, 0.002, 0.998)
    found: Floats = np.log(chance / (1 - chance))
    return found


def _chance(odds: Floats) -> Floats:
    found: Floats = 1 / (1 + np.exp(-odds))
    return found
