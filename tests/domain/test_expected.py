"""Open sums spread over the weeks in which they may come."""

from __future__ import annotations

import datetime as dt

import pytest

from connector.domain.expected import Coming, weeks

TODAY = dt.date(2026, 11, 18)  # a Wednesday
MONDAY = dt.date(2026, 11, 16)


def _day(days: int) -> dt.date:
    return TODAY + dt.timedelta(days=days)


def test_weeks_begin_with_the_running_one_and_hold_the_whole_sum() -> None:
    found = weeks([Coming("USD", 100_000, _day(1), _day(8), _day(20))], TODAY, 12)["USD"]
    assert [w.monday for w in found[:2]] == [MONDAY, MONDAY + dt.timedelta(weeks=1)]
    assert sum(w.amount for w in found) == pytest.approx(100_000, abs=6)
    # Half of it is expected by the 26th, a Thursday: the second week brings the most.
    assert max(found, key=lambda w: w.amount) is found[1]
    assert found[0].amount + found[1].amount > 50_000


def test_nothing_comes_before_today_however_late_it_is() -> None:
    found = weeks([Coming("USD", 100_000, _day(-90), _day(-60), _day(-30))], TODAY, 2)["USD"]
    assert [w.amount for w in found] == [100_000, 0]


def test_many_sums_make_a_narrower_range_than_one() -> None:
    one = weeks([Coming("USD", 100_000, _day(1), _day(8), _day(20))], TODAY, 3)["USD"][1]
    many = weeks([Coming("USD", 1_000, _day(1), _day(8), _day(20))] * 100, TODAY, 3)["USD"][1]
    assert one.amount == pytest.approx(many.amount, abs=60)
    assert one.high - one.low > 5 * (many.high - many.low)
    assert one.low == 0


def test_currencies_and_what_was_known_before_stay_apart() -> None:
    old = Coming("USD", 50_000, _day(0), _day(2), _day(4), older=True)
    new = Coming("USD", 30_000, _day(0), _day(2), _day(4))
    other = Coming("EUR", 70_000, _day(0), _day(2), _day(4))
    found = weeks([old, new, other], TODAY, 3)
    assert set(found) == {"EUR", "USD"}
    assert sum(w.amount for w in found["USD"]) == pytest.approx(80_000, abs=2)
    assert sum(w.older for w in found["USD"]) == pytest.approx(50_000, abs=2)
