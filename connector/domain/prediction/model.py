"""The chance that an open invoice is paid late, and when it is likely to be paid; from one book alone.

Three answers for an invoice that is open at the end of a day: late at all, more than 30 days late, and the
middle day of payment with a range. `alike` has the method, `record` compares it with the customer's own late
rate over the last year: where the method was not better, the rate is the answer.

Censoring: an invoice shows something once its answer is certain whoever it was (its due date has passed, or
30 days more), and then it counts paid or not.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from connector.domain.prediction.alike import Alike, Look, parts, together
from connector.domain.prediction.record import Record, record
from connector.domain.prediction.survival import FARTHEST, Survival, survival
from connector.domain.prediction.timeline import FAR, Days, Floats, History, OwnRate, ordered

A_YEAR = 365
FEWEST_PARTS = 30  # invoices paid in part before the book says how such invoices end
KNOWN = 3  # settled invoices of a customer before their own history is called a basis
LEAST = 10  # invoices with a certain answer before a book says more than the documented prior


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
class Model:
    """What one book shows by `day`. `taught` counts the invoices with a certain answer."""

    day: int
    alike: Alike
    lasting: Survival  # from the due date, of all invoices
    unfinished: Survival | None  # from a first payment in part, None below FEWEST_PARTS of them
    taught: int
    record: Record

    def chance(self, at: Days, day: Days, limit: int = 0) -> Floats:
        """Of the history's invoices `at`, each at the end of its `day`: more than `limit` (0 or 30) days late.

        An own rate knows nothing of the days since the invoice was issued: they move it as they move `alike`.
        """
        return together([self._chance(look, limit) for look in self.alike.looks(at, day)])

    def _chance(self, look: Look, limit: int) -> Floats:
        found = self.alike.late_of(look, limit)
        if not self.record.falls_back(limit):
            return found
        h, at, day = self.alike.history, look.at, look.day
        rate = self.alike.own.late(h.customer[at], day, limit)
        since = _odds(found) - _odds(self.alike.late_of(look, limit, newly=True))
        return np.where(day - h.due[at] > limit, 1.0, 1 / (1 + np.exp(-_odds(rate) - since)))

    def predict(self, at: Days) -> Predicted:
        """For the invoices (indices into the history) that are open at the end of `day`."""
        h, day = self.alike.history, np.full(len(at), self.day)

        by_customer = ordered(h.customer[at])  # what lies beside them lies together

        def ask(part: slice) -> Floats:
            look = self.alike.look(at[by_customer[part]], day[part])
            remaining = self.alike.remaining_of(look, self.lasting)
            return np.column_stack([self._chance(look, 0), self._chance(look, 30), remaining])

        pieces = list(parts(len(at)))
        with ThreadPoolExecutor(2) as pool:  # numpy needs no lock for most of it; one piece needs no thread
            each = pool.map if len(pieces) > 1 else map
            found = list(each(ask, pieces))
        answers = np.empty((len(at), 5))
        answers[by_customer] = np.concatenate(found) if found else 0.0
        late_30 = answers[:, 1]
        late = np.maximum(answers[:, 0], late_30)
        ahead = np.clip(np.round(answers[:, 2:]).astype(np.int64), 1, FARTHEST)
        earliest, expected, latest = likelier(self.day + ahead, h.due[at], self.day, late, late_30)
        since_part = self.day - h.parted[at]
        stays_open = np.full(len(at), np.nan)
        if self.unfinished is not None:
            known = since_part >= 0
            stays_open[known] = self.unfinished.stays(since_part[known], A_YEAR)
        settled = self.alike.own.count(h.customer[at], day)
        return Predicted(late, late_30, earliest, expected, latest, settled, stays_open)


def likelier(days: Days, due: Days, day: Days | int, late: Floats, late_30: Floats) -> Days:
    """(earliest, expected, latest), each a row: the middle on the side of the due date, and of 30 days after it, on
    which it is likelier to be; the range holds it."""
    earliest, expected, latest = days.T
    for limit, chance in ((0, late), (30, late_30)):
        edge = due + limit
        on_time = np.minimum(expected, np.maximum(edge, day + 1))
        expected = np.where(chance > 0.5, np.maximum(expected, edge + 1), on_time)
    return np.stack([np.minimum(earliest, expected), expected, np.maximum(latest, expected)])


def fit(history: History, day: int) -> Model:
    """What is known at the end of `day`; nothing in `history` may be dated later."""
    own = OwnRate(history)
    alike = Alike(history, own)
    paid = history.settled < FAR
    known = paid | (history.due < day)
    end = np.minimum(history.settled, day)
    lasting = survival((end - history.due)[known], paid[known])
    parted = history.parted < FAR
    lately = parted & (history.parted > day - 2 * A_YEAR)
    if lately.sum() >= FEWEST_PARTS:
        parted = lately  # how such cases end changes with how they are followed up
    unfinished = None
    if parted.sum() >= FEWEST_PARTS:
        unfinished = survival((end - history.parted)[parted], paid[parted])
    taught = int((history.due < day).sum())
    return Model(day, alike, lasting, unfinished, taught, record(alike, day))


def _odds(chance: Floats) -> Floats:
    chance = np.clip(chance, 0.002, 0.998)
    found: Floats = np.log(chance / (1 - chance))
    return found
