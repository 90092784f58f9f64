"""What the customer's own past invoices say about this one: each past outcome, replayed on this due date.

Somebody who pays on the due date pays an invoice due on a Saturday on Monday: late in the ledger, though
nothing has changed. So a past payment is read in days on which the book receives money at all, and set against
the new due date. Outcomes that today has already ruled out are left out. The rest are averaged, the newer and
the more alike in amount and weekday the heavier, and shrunk step by step: to all of the customer's, and to the
book. Nothing is fitted, so a small book is judged like a large one.

An outcome counts once it is certain whoever it was: an unpaid invoice too, no early payer sooner than others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from connector.domain.prediction.book import Book
from connector.domain.prediction.survival import Survival
from connector.domain.prediction.timeline import (
    FAR,
    PRIOR_WEIGHT,
    STRENGTH,
    Days,
    Flags,
    Floats,
    History,
    OwnRate,
    shrunk,
)

NEWEST = 160  # a customer's latest invoices that are looked at
HALF_LIFE = 120.0  # days after which one weighs half
CHUNK = 2048  # rows at a time, for memory's sake
# Days late in the prior, one for each tenth of all invoices; about its 45 % and 8 % (timeline.py).
PRIOR_DAYS = np.array([-10, -5, -2, 0, 0, 0, 4, 9, 18, 35])
POINTS = np.linspace(0.05, 0.95, 10)  # of the book's remaining times, where they stand in for a customer


@dataclass(frozen=True, slots=True)
class _Past:
    """Past invoices beside each row asked about: one row, NEWEST columns."""

    due: Days
    gap: Days  # days late, replayed on the row's due date; FAR while open
    wait: Days
    alike: Floats  # weight by age and amount; 0 where there is none or where today rules it out
    same_day: Flags


class Alike:
    """Ready to be asked about any invoice of the history (by index) at the end of any day."""

    def __init__(self, history: History, own: OwnRate) -> None:
        self.history, self.own = history, own
        h = history
        # By what the invoices are, never by how they are called or stored.
        order = np.lexsort((h.amount, h.settled, h.issued, h.due, h.customer))
        self.key = (h.customer * FAR + h.due)[order]
        self.due, self.settled = h.due[order], h.settled[order]
        self.size = _size(h.amount[order])
        self.book = Book(h)

    def late(self, at: Days, day: Days, limit: int = 0, *, newly: bool = False) -> Floats:
        """The chance to be paid more than `limit` (0 or 30) days after the due date.

        `newly`: as if it were not known yet that it has been open until now.
        """
        return _together([self._late(at[part], day[part], limit, newly) for part in _parts(len(at))])

    def _late(self, at: Days, day: Days, limit: int, newly: bool) -> Floats:
        waits = self.book.waits(day)
        elapsed = np.full(len(at), -FAR) if newly else day - self.history.due[at]
        if limit:
            shared = self.own.shared(day, limit)
            book = shared / np.maximum(self.book.still_open(day, elapsed), shared)
        else:
            wait = waits[np.arange(len(at)), self.history.due[at] % 7]
            book = self.book.late(day, wait, elapsed)
        past, recent = self._past(at, day, waits, elapsed)
        certain = (past.due + np.maximum(past.wait, limit) < day[:, None]) | (past.gap < FAR)
        late = past.gap > limit

        def rate(weight: Floats, towards: Floats) -> Floats:
            return shrunk((weight * late).sum(axis=1), weight.sum(axis=1), towards)

        own = rate(recent * certain, book)
        amount = rate(past.alike * certain, own)
        both = rate(past.alike * certain * past.same_day, amount)
        return np.where(elapsed > limit, 1.0, both)

    def remaining(self, at: Days, day: Days, lasting: Survival) -> Floats:
        """Days from `day` until payment, one row each: a tenth, half and nine tenths of the cases are paid by then."""
        found = [self._remaining(at[part], day[part], lasting) for part in _parts(len(at))]
        return np.concatenate(found) if found else np.zeros((0, 3))

    def _remaining(self, at: Days, day: Days, lasting: Survival) -> Floats:
        elapsed = day - self.history.due[at]
        past, _ = self._past(at, day, self.book.waits(day), elapsed)
        age = np.maximum(day[:, None] - past.due, elapsed[:, None])
        # What is open still lasts as long as the book's do from there.
        middle = age + lasting.remaining(age.ravel(), 0.5).reshape(age.shape)
        own = np.where(past.gap < FAR // 2, past.gap, middle) - elapsed[:, None]
        weight = past.alike * np.where(past.same_day, STRENGTH, 1.0) * (past.due < day[:, None])
        others, standing_in = _others(elapsed, lasting)
        days = np.concatenate([own, others], axis=1)
        weights = np.concatenate([weight, STRENGTH * standing_in], axis=1)
        order = np.argsort(days, axis=1, kind="stable")
        days = np.take_along_axis(days, order, axis=1)
        sums = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
        rows = np.arange(len(at))
        return np.stack(
            [days[rows, (sums >= sums[:, -1:] * share).argmax(axis=1)] for share in (0.1, 0.5, 0.9)], axis=1
        ).astype(float)

    def _past(self, at: Days, day: Days, waits: Days, elapsed: Days) -> tuple[_Past, Floats]:
        """The customer's invoices that had fallen due, and their weight by age alone."""
        h = self.history
        who, due = h.customer[at], h.due[at]
        start = np.searchsorted(self.key, who * FAR, side="left")
        end = np.searchsorted(self.key, who * FAR + day, side="left")
        rows = end[:, None] - 1 - np.arange(NEWEST)[None, :]
        there = rows >= start[:, None]
        rows = np.maximum(rows, 0)
        past, settled = self.due[rows], self.settled[rows]
        wait = np.take_along_axis(waits, past % 7, axis=1)
        wait_now = waits[np.arange(len(at)), due % 7][:, None]
        gap = np.where(settled <= day[:, None], settled - past, FAR)
        gap = np.where((gap >= 0) & (gap <= wait), wait_now, gap)
        possible = there & (gap > elapsed[:, None])
        recent = np.exp2((past - day[:, None]) / HALF_LIFE) * possible
        near = np.exp(-np.abs(self.size[rows] - _size(h.amount[at])[:, None]))  # the smaller by the larger
        return _Past(past, gap, wait, recent * near, past % 7 == (due % 7)[:, None]), recent


def _others(elapsed: Days, lasting: Survival) -> tuple[Days, Floats]:
    """Remaining days of other people's invoices, and the weight of each: of the book, and of the prior while the
    book is young."""
    book = np.stack([lasting.remaining(elapsed, float(share)) for share in POINTS], axis=1)
    share = lasting.seen / (lasting.seen + PRIOR_WEIGHT) if len(lasting.ages) else 0.0
    ahead = PRIOR_DAYS[None, :] - elapsed[:, None]
    stuck: Flags = np.all(ahead <= 0, axis=1, keepdims=True)  # as long again
    prior = np.where(ahead > 0, ahead, np.maximum(elapsed, PRIOR_DAYS[-1])[:, None])
    possible = ((ahead > 0) | stuck).astype(float)
    weight = np.concatenate(
        [
            np.full(book.shape, share / len(POINTS)),
            (1 - share) * possible / possible.sum(axis=1, keepdims=True),
        ],
        axis=1,
    )
    return np.concatenate([book, prior], axis=1), weight


def _size(amount: Floats) -> Floats:
    return np.log(np.maximum(amount, 1e-6))


def _parts(length: int) -> Iterator[slice]:
    return (slice(start, start + CHUNK) for start in range(0, length, CHUNK))


def _together(parts: list[Floats]) -> Floats:
    return np.concatenate(parts) if parts else np.zeros(0)
