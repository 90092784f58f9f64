"""How long invoices stay open once they are overdue, over a whole book, counting those that are still open.

The product-limit (Kaplan-Meier) estimate: on each day late, what share of the invoices still open was paid.
Invoices that are open today count in every day that they have lived through.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from connector.domain.prediction.timeline import Days, Flags, Floats

FEWEST = 8  # invoices still open at an age, below which the estimate ends


@dataclass(frozen=True, slots=True)
class Survival:
    """`open_` is the share still open after `ages` days late."""

    ages: Days
    open_: Floats
    seen: int  # invoices that it rests on

    def remaining(self, overdue: Days, share: float) -> Days:
        """Days from today until `share` of the invoices that are now `overdue` days late are paid.

        Where the book cannot say, as long again as they are overdue already, and half a year at the least.
        """
        first, last = int(overdue.min(initial=0)), int(overdue.max(initial=0))
        if last - first < overdue.size // 2:  # each number of days once
            return self._remaining(np.arange(first, last + 1), share)[overdue - first]
        return self._remaining(overdue, share)

    def _remaining(self, overdue: Days, share: float) -> Days:
        now = np.concatenate(([1.0], self.open_))[np.searchsorted(self.ages, overdue, side="right")]
        wanted = now * (1 - share)
        at = np.searchsorted(-self.open_, -wanted, side="left")
        ages = np.append(self.ages, 0)
        known = at < len(self.ages)
        found: Days = np.where(known, ages[at] - overdue, np.maximum(overdue, 180))
        return np.maximum(found, 1)

    def stays(self, age: Days, until: int) -> Floats:
        """The chance to be open at age `until` for what is open at `age`; where the book ends, its last word."""
        curve = np.concatenate(([1.0], self.open_))
        now, then = (
            curve[np.searchsorted(self.ages, a, side="right")] for a in (age, np.maximum(age, until))
        )
        return np.asarray(then / np.maximum(now, 1e-9), float)


def survival(days_late: Days, settled: Flags) -> Survival:
    """From each invoice's days late: on its settlement, or by today where it is still open (`settled` False)."""
    ages, first = np.unique(days_late[settled], return_inverse=True)
    paid = np.bincount(first, minlength=len(ages))
    everyone = np.sort(days_late)
    alive = len(everyone) - np.searchsorted(everyone, ages, side="left")
    kept = alive >= FEWEST
    return Survival(ages[kept], np.cumprod(1 - paid[kept] / alive[kept]).astype(float), len(everyone))
