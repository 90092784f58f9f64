"""How long invoices stay open once they are overdue, over a whole book, counting those that are still open.

The product-limit (Kaplan-Meier) estimate: on each day late, what share of the invoices still open was paid.
Invoices that are open today count in every day that they have lived through.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from connector.domain.prediction.timeline import Days, Flags, Floats

YOUNG = 13  # days until half is paid of what has just become late (the prior's, alike.py)
HALF_A_YEAR = 180  # the same of what is three months late
FARTHEST = 5 * 365  # days ahead of today that anything is said about
TABLE, MANY = np.arange(-200, 1201), 128  # days overdue of which many ask are worked out once
FEWEST = 8  # invoices still open at an age, below which the estimate ends


@dataclass(frozen=True, slots=True)
class Survival:
    """`open_` is the share still open after `ages` days late."""

    ages: Days
    open_: Floats
    seen: int  # invoices that it rests on
    memory: dict[float, Days] = field(default_factory=dict, compare=False, repr=False)  # worked out once

    def remaining(self, overdue: Days, share: float) -> Days:
        """Days from today until `share` of the invoices that are now `overdue` days late are paid.

        Where the book cannot say, half of them last as long again as they do already, and longer (`again`): of what
        has lasted n days, n / (n + m) last m more. Never more than FARTHEST.
        """
        inside = TABLE[0] <= overdue.min(initial=0) and overdue.max(initial=0) <= TABLE[-1]
        if not inside or (share not in self.memory and overdue.size < MANY):
            return self._remaining(overdue, share)
        if share not in self.memory:
            self.memory[share] = self._remaining(TABLE, share)
        known: Days = self.memory[share][overdue - TABLE[0]]
        return known

    def _remaining(self, overdue: Days, share: float) -> Days:
        now = np.concatenate(([1.0], self.open_))[np.searchsorted(self.ages, overdue, side="right")]
        wanted = now * (1 - share)
        at = np.searchsorted(-self.open_, -wanted, side="left")
        known = (at < len(self.ages)) & (now > 0)
        # Beyond what the book says: how long what is open at its end lasts.
        end = np.maximum(self.ages.max(initial=0), overdue)
        still = np.minimum(now, self.open_.min(initial=1.0))
        left = np.where(still > 0, wanted / np.maximum(still, 1e-9), 1 - share)
        more = end - overdue + np.round(again(end) * np.maximum(1 / left - 1, 0)).astype(np.int64)
        found: Days = np.where(known, np.append(self.ages, 0)[at] - overdue, more)
        return np.minimum(np.maximum(found, 1), FARTHEST)

    def stays(self, age: Days, until: int) -> Floats:
        """The chance to be open at age `until` for what is open at `age`; where the book ends, its last word."""
        curve = np.concatenate(([1.0], self.open_))
        now, then = (
            curve[np.searchsorted(self.ages, a, side="right")] for a in (age, np.maximum(age, until))
        )
        return np.asarray(then / np.maximum(now, 1e-9), float)


def again(age: Days) -> Days:
    """Days until half of what has been open for `age` days after its due date is paid, where no book says."""
    return np.maximum(age + YOUNG, np.minimum(2 * age, HALF_A_YEAR))


def survival(days_late: Days, settled: Flags) -> Survival:
    """From each invoice's days late: on its settlement, or by today where it is still open (`settled` False)."""
    ages, first = np.unique(days_late[settled], return_inverse=True)
    paid = np.bincount(first, minlength=len(ages))
    everyone = np.sort(days_late)
    alive = len(everyone) - np.searchsorted(everyone, ages, side="left")
    kept = alive >= FEWEST
    return Survival(ages[kept], np.cumprod(1 - paid[kept] / alive[kept]).astype(float), len(everyone))
