"""A whole book at a glance: how every customer pays, counted in columns, and who needs a closer look.

The rules stand in `findings`, `assessment` and `stillness`, once. Here is only counted what they rest on. A
detector that looks at habits is asked about a customer only where the counts leave it a chance to say something;
those customers, and whoever there is more to know of than columns hold, are for a closer look: record by record.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from connector.domain.assessment import OUTSTANDING, RECENTLY, SEASON, SERIOUS, Habits, Tally, season
from connector.domain.findings.habits import GRACE, HABIT, KEPT_BACK, LONGEST_HOLIDAY, PAST, SLOWER, days_late
from connector.domain.findings.said import SILENCE
from connector.domain.policy import Policy, minor
from connector.domain.prediction.timeline import FAR, Days, Flags, Floats, ordered
from connector.domain.stillness import A_YEAR, AFTER_LATE
from connector.domain.trifles import SHORT


@dataclass(frozen=True, slots=True)
class Rows:
    """The invoices that show how customers pay, one a row; what was set against them, one a `paid_` row.

    Days are proleptic ordinals, amounts minor units. `customer` and `currency` count in `customers` and
    `currencies`, `paid_invoice` in the rows. Of the customers `apart` there is more to know than is here.
    """

    ids: Sequence[str]
    customers: tuple[str, ...]
    currencies: tuple[str, ...]
    customer: Days
    currency: Days
    issued: Days
    due: Days
    total: Days
    balance: Days
    paid_invoice: Days
    paid_day: Days
    paid_amount: Days
    apart: frozenset[str]


class Glance:
    """Asked about customers by their number in `Rows.customers`."""

    def __init__(self, rows: Rows, countries: Sequence[str], policy: Policy, today: dt.date) -> None:
        self.rows, self.day, self.size = rows, today.toordinal(), len(rows.customers)
        self.tolerance = np.array([minor(policy.plan.tolerance_amount, c) for c in rows.currencies], np.int64)
        self._receipts()
        self._lateness(countries)
        self.recent = self.counted & (self.day - rows.due <= RECENTLY)
        earlier = self.counted & ~self.recent
        recent_, earlier_ = self._tallies(self.recent), self._tallies(earlier)
        open_ = self.counted & ~self.settled
        self.waiting = self._longest(open_)
        counts = (recent_, earlier_, self.waiting, self._stuck())
        self.counts = list(zip(*(column.tolist() for column in counts), strict=True))
        few = earlier_[:, 0] < HABIT
        past = self.counted & (~self.recent | few[rows.customer])
        ago, (since, until) = self.day - rows.due, SEASON
        in_season = past & (ago >= since) & (ago <= until)
        self.in_season, self.between = self._count(in_season), self._tallies(past & ~in_season)
        self.unpaid = self._count(past & ~self.settled)
        self.owing = self._count(rows.balance > 0)
        self.closer = self._closer(open_)
        self.next_on = self._next_on()

    def habits(self, who: int) -> Habits:
        recent, earlier, waiting, stuck = self.counts[who]
        return Habits(Tally(*recent), Tally(*earlier), waiting, stuck, lambda: self._seasonal(who))

    def _seasonal(self, who: int) -> bool:
        between = Tally(*self.between[who].tolist())
        return season(int(self.in_season[who]), between, all_paid=not self.unpaid[who])

    def _count(self, which: Flags) -> Days:
        return np.bincount(self.rows.customer[which], minlength=self.size)

    def _longest(self, which: Flags) -> Days:
        found = np.zeros(self.size, np.int64)
        np.maximum.at(found, self.rows.customer[which], self.late[which])
        return found

    def _receipts(self) -> None:
        """Of each invoice: how many receipts, the first and last day, and what came within a week of the first."""
        r, count = self.rows, len(self.rows.ids)
        came = (r.paid_day <= self.day) & (r.paid_amount > 0)
        invoice, day, amount = r.paid_invoice[came], r.paid_day[came], r.paid_amount[came]
        self.parts = np.bincount(invoice, minlength=count)
        self.last = np.zeros(count, np.int64)
        np.maximum.at(self.last, invoice, day)
        first = np.full(count, FAR)
        np.minimum.at(first, invoice, day)
        self.first = first
        soon = day - first[invoice] <= 7
        self.soon = np.bincount(invoice[soon], amount[soon], count)

    def _lateness(self, countries: Sequence[str]) -> None:
        """The columns of `findings.habits.record`: which invoices count, which of them are settled, days late."""
        r = self.rows
        self.settled = (r.balance <= 0) & (self.parts > 0)
        gap = np.where(self.settled, self.last, self.day) - r.due
        late = np.where(gap > GRACE, gap, 0)
        unclear = np.flatnonzero((gap > GRACE) & (gap <= GRACE + LONGEST_HOLIDAY))
        if len(unclear):  # weekends and holidays: each day once
            names, code = np.unique(np.array(countries, dtype="U8"), return_inverse=True)
            key = (code[r.customer[unclear]] * FAR + r.due[unclear]) * 32 + gap[unclear]
            each, place = np.unique(key, return_inverse=True)
            said = []
            for one in each.tolist():
                where, due = divmod(one // 32, FAR)
                day = dt.date.fromordinal(due)
                said.append(days_late(day, day + dt.timedelta(one % 32), str(names[where])))
            late[unclear] = np.array(said, np.int64)[place]
        self.counted = self.settled | ((r.balance > 0) & (late > 0))
        self.late = late

    def _tallies(self, which: Flags) -> Days:
        """A row for each customer: the fields of a Tally."""
        who, late = self.rows.customer[which], self.late[which]
        worst = np.zeros(self.size, np.int64)
        np.maximum.at(worst, who, late)
        columns = [
            np.bincount(who, minlength=self.size),
            np.bincount(who[late > 0], minlength=self.size),
            np.bincount(who[late > SERIOUS], minlength=self.size),
            np.bincount(who, np.minimum(late, 2 * SERIOUS), self.size).astype(np.int64),
            worst,
            np.bincount(who[~self.settled[which]], minlength=self.size),
        ]
        return np.stack(columns, axis=1)

    def _stuck(self) -> Flags:
        """As `assessment._stuck`, in the same arithmetic."""
        r = self.rows
        serious = self.recent & (self.late > SERIOUS)
        year = self.counted & (self.day - r.due <= A_YEAR)
        pair, pairs = self._pairs()
        many = np.bincount(pair[year], minlength=pairs)
        money = np.bincount(pair[year], r.total[year], pairs)
        late = np.bincount(pair[serious], r.total[serious], pairs)
        largest = np.zeros(pairs, r.total.dtype)
        others = self.counted & ~serious
        np.maximum.at(largest, pair[others], r.total[others])
        at = np.flatnonzero((late > 0) & (late >= OUTSTANDING * largest))
        weight = np.bincount(at // len(r.currencies), late[at] * many[at] / money[at], self.size)
        stuck: Flags = (self._count(serious) > 0) & (2 * weight >= self._count(year))
        return stuck

    def _pairs(self) -> tuple[Days, int]:
        """Customer and currency as one number."""
        return self.rows.customer * len(self.rows.currencies) + self.rows.currency, self.size * len(
            self.rows.currencies
        )

    def _closer(self, open_: Flags) -> Flags:
        """Customers of whom a detector that looks at habits may have something to say."""
        closer = self.waiting >= SILENCE
        closer[self.rows.customer[self._trifling()]] = True
        closer |= (
            self._kept_back() | self._short() | self._slowing() | self._missed(open_) | self._recovered(open_)
        )
        number = {name: n for n, name in enumerate(self.rows.customers)}
        closer[[number[name] for name in self.rows.apart if name in number]] = True
        return closer

    def _trifling(self) -> Flags:
        """Invoices of which a trifle is open, or was before the last receipt (`trifles`): settled earlier than it seems."""
        r = self.rows
        limit = np.minimum(self.tolerance[r.currency], r.total * (100 - SHORT) // 100)
        found: Flags = (r.balance > 0) & (r.balance <= limit)
        small = r.paid_amount <= limit[r.paid_invoice]
        found[r.paid_invoice[small]] |= self.parts[r.paid_invoice[small]] > 1
        return found

    def _kept_back(self) -> Flags:
        """Who left at most a tenth open so often that it may be the same share each time (`habits.kept_back_of`)."""
        r = self.rows
        left = r.total - self.soon
        some = (self.parts > 0) & ((r.balance > 0) | (self.parts > 1)) & (left > 0)
        few: Flags = self._count(some & (left * KEPT_BACK[1] <= r.total * KEPT_BACK[0])) >= HABIT
        return few

    def _short(self) -> Flags:
        r = self.rows
        year = (r.issued >= self.day - A_YEAR) & (self.parts > 0)
        short = year & (self.soon * 100 < r.total * SHORT) & ((r.balance > 0) | (self.parts > 1))
        pair, pairs = self._pairs()
        many = np.bincount(pair[short], minlength=pairs)
        whole = year & ~short
        before = np.zeros(pairs, np.int64)  # the last first payment that was the whole
        np.maximum.at(before, pair[whole], self.first[whole])
        lately = short & (self.first > before[pair])
        often = (many >= HABIT) & (many > np.bincount(pair[whole], minlength=pairs))
        said = often | (np.bincount(pair[lately], minlength=pairs) >= HABIT)
        found = np.zeros(self.size, bool)
        found[np.flatnonzero(said) // max(len(self.rows.currencies), 1)] = True
        return found

    def _missed(self, open_: Flags) -> Flags:
        missed = self._count(open_ & (self.late > 7))
        before = self.counted & self.settled & (self.day - self.rows.due <= 2 * A_YEAR)
        ever = self._count(before & (self.late > 0))
        found: Flags = (missed == 1) & (self._count(before) >= 5) & (ever == 0)
        return found

    def _recovered(self, open_: Flags) -> Flags:
        due, who = self.rows.due, self.rows.customer
        bad = self._count(self.counted & (self.late > SERIOUS) & (self.day - due <= 540))
        last = np.zeros(self.size, np.int64)
        was_late = self.counted & (self.late > 0)
        np.maximum.at(last, who[was_late], due[was_late])
        since = self._count(self.counted & (self.late == 0) & (due >= last[who]))
        found: Flags = (bad >= 2) & (since >= 4) & (self._count(open_) == 0)
        return found

    def _slowing(self) -> Flags:
        """Whose latest invoices were ten days later, in the middle, than those before (`habits.latest`)."""
        found = np.zeros(self.size, bool)
        chosen = (
            self._count(self.counted & (self.late > SLOWER)) >= HABIT
        )  # their usual is no day at the least
        at = np.flatnonzero(self.counted & chosen[self.rows.customer])
        if not len(at):
            return found
        at = at[ordered(self.rows.customer[at], self.rows.due[at])]
        key = self.rows.customer[at] * FAR + self.rows.due[at]
        who = np.unique(self.rows.customer[at])
        start = np.searchsorted(key, who * FAR)
        end = np.append(start[1:], len(key))
        recent = np.searchsorted(key, who * FAR + self.day - RECENTLY)
        cut = np.maximum(np.minimum(recent, end - HABIT), start)
        cut = np.searchsorted(key, key[cut])  # whatever fell due on one day stays together
        usual = self._middle(at, start, cut)
        now = self._middle(at, cut, end)
        latest = np.arange(len(key)) >= np.repeat(cut, end - start)
        slower = latest & (self.late[at] > np.repeat(usual, end - start) + SLOWER)
        many = np.add.reduceat(slower, start, dtype=np.int64)
        enough = (end - cut >= HABIT) & (cut - start >= PAST) & (many >= HABIT)
        found[who[enough & (now >= usual + 10) & (many * 3 >= (end - cut) * 2)]] = True
        return found

    def _middle(self, at: Days, start: Days, end: Days) -> Floats:
        """The median of `late` over the rows `at`, from each start to its end."""
        size = end - start
        group = np.repeat(np.arange(len(start)), size)
        rows = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size) + np.repeat(start, size)
        late = self.late[at[rows]]
        late = late[ordered(group, late)]
        first = np.cumsum(size) - size
        low = np.minimum(first + np.maximum(size - 1, 0) // 2, len(late) - 1)
        high = np.minimum(first + size // 2, len(late) - 1)
        middle: Floats = (late[low] + late[high]) / 2 if len(late) else np.zeros(len(start))
        return middle

    def _next_on(self) -> Days:
        """As `stillness.next_change`, in ordinals; FAR for never."""
        r = self.rows
        found = np.full(self.size, FAR)
        found[self.owing > 0] = self.day + 1
        quiet = self.owing == 0
        ever_late = self._count(self.counted & (self.late > 0)) > 0
        parted = self._count(self.parts > 1) > 0
        windows = [(r.due, RECENTLY + 1, quiet), *((r.due, n, quiet & ever_late) for n in AFTER_LATE)]
        rest = np.flatnonzero(quiet[r.customer])
        for column, ahead, whom in (*windows, (r.issued, A_YEAR + 1, quiet & parted)):
            day, who = column[rest] + ahead, r.customer[rest]
            rows = (day > self.day) & whom[who]
            np.minimum.at(found, who[rows], day[rows])
        return found
