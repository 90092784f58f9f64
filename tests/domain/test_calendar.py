"""Due dates as the market counts them."""

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain.calendar import (
    DueDate,
    Rhythm,
    add_business_days,
    add_months,
    business_day,
    due_dates,
    is_business_day,
    is_quiet,
    next_sending_day,
    nominal_date,
)

MONTHLY, WEEKLY, TWO_WEEKLY = Rhythm.MONTHLY, Rhythm.WEEKLY, Rhythm.TWO_WEEKLY


def test_a_sunday_moves_to_monday_but_never_out_of_its_month():
    assert business_day(date(2027, 2, 21), "US") == date(2027, 2, 22)
    assert business_day(date(2027, 2, 28), "US") == date(2027, 2, 26)


def test_a_month_end_anchor_stays_on_month_ends():
    days = [nominal_date(date(2027, 1, 31), MONTHLY, k) for k in range(4)]
    assert days == [date(2027, 1, 31), date(2027, 2, 28), date(2027, 3, 31), date(2027, 4, 30)]
    assert nominal_date(date(2027, 2, 28), MONTHLY, 1) == date(2027, 3, 31)


def test_any_other_anchor_keeps_its_day_where_the_month_has_it():
    days = [nominal_date(date(2027, 1, 30), MONTHLY, k) for k in range(3)]
    assert days == [date(2027, 1, 30), date(2027, 2, 28), date(2027, 3, 30)]


def test_weeks_are_seven_and_fourteen_days():
    assert nominal_date(date(2026, 11, 30), WEEKLY, 5) == date(2027, 1, 4)
    assert nominal_date(date(2026, 11, 30), TWO_WEEKLY, 2) == date(2026, 12, 28)


def test_the_worked_example_keeps_nominal_and_adjusted_dates():
    assert due_dates(date(2026, 12, 21), MONTHLY, 3, "US") == [
        DueDate(date(2026, 12, 21), date(2026, 12, 21)),
        DueDate(date(2027, 1, 21), date(2027, 1, 21)),
        DueDate(date(2027, 2, 21), date(2027, 2, 22)),
    ]


def test_holidays_are_those_of_the_country_and_of_its_region():
    assert not is_business_day(date(2026, 11, 26), "US")  # Thanksgiving
    assert is_business_day(date(2026, 11, 26), "GB")
    assert not is_business_day(date(2026, 1, 2), "GB-SCT")
    assert is_business_day(date(2026, 1, 2), "GB-ENG")
    assert is_business_day(date(2026, 11, 26), "GB-XX")  # an unknown region falls back to the country


def test_a_country_without_a_calendar_has_weekends_only():
    assert is_business_day(date(2026, 12, 25), "ZZ")
    assert not is_business_day(date(2026, 12, 26), "")


def test_two_dates_in_one_long_holiday_do_not_collide():
    dates = due_dates(date(2020, 10, 1), WEEKLY, 2, "CN")  # Golden Week, 1 to 8 October
    assert [d.nominal for d in dates] == [date(2020, 10, 1), date(2020, 10, 8)]
    assert dates[0].adjusted == date(2020, 10, 9)
    assert dates[1].adjusted > dates[0].adjusted


def test_business_days_are_counted_over_weekends_and_holidays():
    assert add_business_days(date(2026, 11, 25), 1, "US") == date(2026, 11, 27)
    assert add_business_days(date(2026, 11, 21), 0, "US") == date(2026, 11, 23)
    assert add_months(date(2026, 8, 31), 6) == date(2027, 2, 28)


@pytest.mark.parametrize(
    ("moment", "why"),
    [
        (datetime(2026, 11, 24, 10), ""),
        (datetime(2026, 11, 24, 8, 59), "only between 9:00 and 11:00"),
        (datetime(2026, 11, 24, 11), "only between 9:00 and 11:00"),
        (datetime(2026, 11, 23, 10), "nothing on a Monday"),
        (datetime(2026, 11, 22, 10), "weekend"),
        (datetime(2026, 11, 26, 10), "public holiday"),
    ],
)
def test_quiet_times_say_why(moment, why):
    said = is_quiet(moment, frozenset({1, 2, 3}), 9, 11, "US")
    assert why in said
    assert bool(said) == bool(why)


def test_the_next_sending_day_steps_over_a_holiday():
    assert next_sending_day(date(2026, 11, 26), frozenset({1, 2, 3}), "US") == date(2026, 12, 1)
    with pytest.raises(ValueError, match="leaves no day"):
        next_sending_day(date(2026, 11, 26), frozenset({5}), "US")


@given(
    st.dates(date(2000, 1, 1), date(2060, 1, 1)),
    st.sampled_from(list(Rhythm)),
    st.integers(1, 60),
    st.sampled_from(["US", "GB", "CN", "AE", ""]),
)
def test_due_dates_strictly_increase_on_business_days(first, rhythm, count, country):
    dates = due_dates(first, rhythm, count, country)
    assert len(dates) == count
    assert all(a.adjusted < b.adjusted for a, b in zip(dates, dates[1:], strict=False))
    assert all(is_business_day(d.adjusted, country) for d in dates)
