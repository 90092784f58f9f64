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
from connector.domain.prediction.survival import Survival, again
from connector.domain.prediction.timeline import (
    FAR,
    PRIOR_WEIGHT,
    STRENGTH,
    Days,
    Flags,
    Floats,
    History,
    OwnRate,
    bits,
    ordered,
    shrunk,
)

NEWEST = 160  # a customer's latest invoices that are looked at
HALF_LIFE = 120.0  # days after which one weighs half
PLACE = 8  # bits that number the columns beside a row: NEWEST, POINTS and PRIOR_DAYS
CHUNK = 512  # rows at a time, for memory's sake
# Days late in the prior, one for each tenth of all invoices; about its 45 % and 8 % (timeline.py).
PRIOR_DAYS = np.array([-10, -5, -2, 0, 0, 0, 4, 9, 18, 35])
POINTS = np.linspace(0.05, 0.95, 10)  # of the book's remaining times, where they stand in for a customer


@dataclass(frozen=True, slots=True)
class Look:
    """Rows asked about, each at the end of its `day`, and the customer's past invoices beside each: NEWEST columns."""

    at: Days
    day: Days
    waits: Days  # seven columns: from each weekday
    past: Days  # due dates
    gap: Days  # days late, replayed on the row's due date; FAR while open
    wait: Days
    recent: Floats  # weight by age; 0 where there is none
    alike: Floats  # weight by age and amount
    same_day: Flags


class Alike:
    """Ready to be asked about any invoice of the history (by index) at the end of any day."""

    def __init__(self, history: History, own: OwnRate) -> None:
        self.history, self.own = history, own
        h = history
        # By what the invoices are, never by how they are called or stored.
        order = _by_what_they_are(h)
        self.key = (h.customer * FAR + h.due)[order]
        self.due, self.settled = h.due[order], h.settled[order]
        self.size = _size(h.amount[order])
        self.book = Book(h)

    def late(self, at: Days, day: Days) -> tuple[Floats, Floats]:
        """The chances to be paid late at all, and more than 30 days after the due date."""
        found = [(self.late_of(look, 0), self.late_of(look, 30)) for look in self.looks(at, day)]
        late, late_30 = ([both[which] for both in found] for which in (0, 1))
        return together(late), together(late_30)

    def late_of(self, look: Look, limit: int, *, newly: bool = False) -> Floats:
        """The chance, of rows that are in view, to be paid more than `limit` (0 or 30) days after the due date.

        `newly`: as if it were not known yet that it has been open until now.
        """
        day, due = look.day, self.history.due[look.at]
        elapsed = np.full(len(day), -FAR) if newly else day - due
        if limit:
            shared = self.own.shared(day, limit)
            book = shared / np.maximum(self.book.still_open(day, elapsed), shared)
        else:
            book = self.book.late(day, look.waits[np.arange(len(day)), due % 7], elapsed)
        certain = (look.past + np.maximum(look.wait, limit) < day[:, None]) | (look.gap < FAR)
        certain &= look.gap > elapsed[:, None]  # and today does not rule it out
        late = look.gap > limit

        def rate(weight: Floats, towards: Floats) -> Floats:
            return shrunk((weight * late).sum(axis=1), weight.sum(axis=1), towards)

        own = rate(look.recent * certain, book)
        near = look.alike * certain
        amount = rate(near, own)
        both = rate(near * look.same_day, amount)
        return np.where(elapsed > limit, 1.0, both)

    def remaining(self, at: Days, day: Days, lasting: Survival) -> Floats:
        """Days from `day` until payment, one row each: a tenth, half and nine tenths of the cases are paid by then."""
        found = [self.remaining_of(look, lasting) for look in self.looks(at, day)]
        return np.concatenate(found) if found else np.zeros((0, 3))

    def remaining_of(self, look: Look, lasting: Survival) -> Floats:
        """The same of rows that are in view."""
        day = look.day
        elapsed = day - self.history.due[look.at]
        age = np.maximum(day[:, None] - look.past, elapsed[:, None])
        # What is open still lasts as long as the book's do from there.
        middle = age + lasting.remaining(age.ravel(), 0.5).reshape(age.shape)
        own = np.where(look.gap < FAR // 2, look.gap, middle) - elapsed[:, None]
        possible = (look.past < day[:, None]) & (look.gap > elapsed[:, None])
        weight = look.alike * possible * np.where(look.same_day, STRENGTH, 1.0)
        others, standing_in = _others(elapsed, lasting)
        weights = np.concatenate([weight, STRENGTH * standing_in], axis=1)
        # By days, with the column in the last bits: one sort of whole numbers is quicker than one of places.
        both = np.concatenate([own, others], axis=1) << PLACE
        both |= np.arange(weights.shape[1])
        both.sort(axis=1)
        days = both >> PLACE
        places = both & ((1 << PLACE) - 1)
        sums = np.cumsum(np.take_along_axis(weights, places, axis=1), axis=1)
        rows = np.arange(len(day))
        found = []
        for share in (0.1, 0.5, 0.9):
            at = (sums >= sums[:, -1:] * share).argmax(axis=1)
            said, column = days[rows, at], places[rows, at]
            if share != 0.5:  # what is open stood at its middle, for the whole stretch of its days
                mine = np.flatnonzero(column < NEWEST)
                mine = mine[look.gap[mine, column[mine]] >= FAR // 2]
                lasts = age[mine, column[mine]]
                said[mine] = lasts + lasting.remaining(lasts, share) - elapsed[mine]
            found.append(said)
        return np.stack(found, axis=1).astype(float)

    def looks(self, at: Days, day: Days) -> Iterator[Look]:
        """The rows and what lies beside them, a part at a time."""
        return (self.look(at[part], day[part]) for part in parts(len(at)))

    def look(self, at: Days, day: Days) -> Look:
        """The customer's invoices that had fallen due."""
        h, waits = self.history, self.book.waits(day)
        who, due = h.customer[at], h.due[at]
        start = np.searchsorted(self.key, who * FAR, side="left")
        end = np.searchsorted(self.key, who * FAR + day, side="left")
        rows = end[:, None] - 1 - np.arange(NEWEST)[None, :]
        there = rows >= start[:, None]
        rows = np.maximum(rows, 0)
        past, settled = self.due[rows], self.settled[rows]
        weekday = past % 7
        wait = np.take_along_axis(waits, weekday, axis=1)
        wait_now = waits[np.arange(len(at)), due % 7][:, None]
        gap = np.where(settled <= day[:, None], settled - past, FAR)
        gap = np.where((gap >= 0) & (gap <= wait), wait_now, gap)
        recent = np.exp2((past - day[:, None]) / HALF_LIFE) * there
        near = np.exp(-np.abs(self.size[rows] - _size(h.amount[at])[:, None]))  # the smaller by the larger
        return Look(at, day, waits, past, gap, wait, recent, recent * near, weekday == (due % 7)[:, None])


def parts(count: int) -> Iterator[slice]:
    """Of so many rows: some at a time."""
    return (slice(start, start + CHUNK) for start in range(0, count, CHUNK))


def _by_what_they_are(h: History) -> Days:
    """The rows by customer, due, issued, settled and amount; the amounts are looked at where all else is alike."""
    columns = (h.customer, h.due, h.issued, h.settled)
    order = ordered(*columns)
    alike = np.ones(max(len(order) - 1, 0), bool)
    for column in columns:
        sorted_ = column[order]
        alike &= sorted_[1:] == sorted_[:-1]
    twins = np.flatnonzero(np.append(alike, False) | np.append(False, alike))
    group = np.cumsum(~np.append(False, alike)[: len(order)])[twins]
    order[twins] = order[twins][ordered(group, bits(h.amount[order[twins]]))]
    return order


def _others(elapsed: Days, lasting: Survival) -> tuple[Days, Floats]:
    """Remaining days of other people's invoices, and the weight of each: of the book, and of the prior while the
    book is young."""
    book = np.stack([lasting.remaining(elapsed, float(share)) for share in POINTS], axis=1)
    share = lasting.seen / (lasting.seen + PRIOR_WEIGHT) if len(lasting.ages) else 0.0
    ahead = PRIOR_DAYS[None, :] - elapsed[:, None]
    stuck: Flags = np.all(ahead <= 0, axis=1, keepdims=True)  # as long again
    longer = again(elapsed)[:, None] * (POINTS / (1 - POINTS))
    prior = np.where(ahead > 0, ahead, np.round(longer).astype(np.int64))
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


def together(parts: list[Floats]) -> Floats:
    return np.concatenate(parts) if parts else np.zeros(0)
