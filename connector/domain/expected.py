"""Money to expect, week by week: each open sum spread over the days on which it may come.

A prediction gives three days: four of five payments come between `earliest` and `latest`, half of them by
`expected`. Between these the chance grows evenly; the last tenth takes as long again as the stretch before it.
A week's range (8 in 10) follows from the single sums, as if customers decided each for themselves; a
recession, in which they do not, is wider than it says.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

EIGHT_IN_TEN = 1.2816  # standard deviations to either side


@dataclass(frozen=True, slots=True)
class Coming:
    """An open sum in minor units, and when it may come. `older`: known already at the day compared with."""

    currency: str
    amount: int
    earliest: dt.date
    expected: dt.date
    latest: dt.date
    older: bool = False


@dataclass(frozen=True, slots=True)
class Week:
    """What one week from `monday` may bring, in minor units; `older` is the part of the older sums."""

    monday: dt.date
    amount: int
    low: int
    high: int
    older: int


def monday(day: dt.date) -> dt.date:
    return day - dt.timedelta(day.weekday())


def weeks(coming: Iterable[Coming], today: dt.date, count: int) -> dict[str, list[Week]]:
    """Per currency, `count` weeks from the one that holds `today`; what comes later is left out.

    Nothing can come before today: a sum whose days have passed is given the days that are left of its range.
    """
    starts = [monday(today) + dt.timedelta(weeks=n) for n in range(count)]
    ends = [(start - today).days + 6 for start in starts]
    found: dict[str, list[list[float]]] = {}
    for sum_ in coming:
        rows = found.setdefault(sum_.currency, [[0.0, 0.0, 0.0] for _ in starts])
        for row, share in zip(rows, _shares(sum_, today, ends), strict=False):
            row[0] += sum_.amount * share
            row[1] += sum_.amount**2 * share * (1 - share)
            row[2] += sum_.amount * share if sum_.older else 0
    return {
        currency: [_week(start, *row) for start, row in zip(starts, rows, strict=True)]
        for currency, rows in sorted(found.items())
    }


def _week(start: dt.date, mean: float, variance: float, older: float) -> Week:
    spread = EIGHT_IN_TEN * sqrt(variance)
    return Week(start, round(mean), max(0, round(mean - spread)), round(mean + spread), round(older))


def _shares(coming: Coming, today: dt.date, ends: Sequence[int]) -> Iterator[float]:
    """The chance of each week, by its last day from today; until all has come."""
    early = max(0, (coming.earliest - today).days)
    middle = max(early + 1, (coming.expected - today).days)
    late = max(middle + 1, (coming.latest - today).days)
    points = [(-1, 0.0), (early, 0.1), (middle, 0.5), (late, 0.9), (2 * late - middle, 1.0)]
    before = 0.0  # the week has begun; nothing came yet
    for end in ends:
        after = _chance(points, end)
        yield after - before
        if after == 1.0:
            return
        before = after


def _chance(points: Sequence[tuple[int, float]], day: int) -> float:
    """The chance that the sum has come by the end of `day`, on straight lines between the points."""
    if day <= points[0][0]:
        return 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        if day <= x1:
            return y0 + (y1 - y0) * (day - x0) / (x1 - x0)
    return 1.0
