"""Due dates, business days and quiet hours. The rules are those of docs/accounting.md, "Schedules" and "Contact".

A country is ISO 3166-1 alpha-2, or ISO 3166-2 with a region ("GB-SCT"). A country whose holidays are not
known, or "", has Saturdays and Sundays off.
"""

from __future__ import annotations

import datetime as dt
from calendar import monthrange
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import holidays


class Rhythm(StrEnum):
    """How often a plan's installments fall due."""

    WEEKLY = "week"
    TWO_WEEKLY = "2weeks"
    MONTHLY = "month"


@dataclass(frozen=True, slots=True)
class DueDate:
    """`nominal` is the date by the calendar; `adjusted` is the business day that counts: paid by then is on time."""

    nominal: dt.date
    adjusted: dt.date


@lru_cache(maxsize=64)
def _holidays(country: str) -> holidays.HolidayBase | None:
    code, _, region = country.upper().partition("-")
    for subdivision in dict.fromkeys((region or None, None)):
        try:
            return holidays.country_holidays(code, subdiv=subdivision)
        except NotImplementedError:
            continue
    return None


def is_holiday(day: dt.date, country: str) -> bool:
    """A public holiday in the country (weekends are not holidays)."""
    calendar = _holidays(country)
    return calendar is not None and day in calendar


@lru_cache(maxsize=16_384)
def is_business_day(day: dt.date, country: str) -> bool:
    """Neither the country's weekend nor one of its public holidays."""
    calendar = _holidays(country)
    if calendar is None:
        return day.weekday() < 5
    return bool(calendar.is_working_day(day))


@lru_cache(maxsize=16_384)  # books have few different days, on many invoices
def next_business_day(day: dt.date, country: str) -> dt.date:
    """`day` itself when it is one, else the next."""
    while not is_business_day(day, country):
        day += dt.timedelta(1)
    return day


def business_day(day: dt.date, country: str) -> dt.date:
    """Modified following: the next business day, unless that leaves the month; then the one before.

    Sunday 2027-02-21 → Monday 22 February; Sunday 2027-02-28 → Friday 26 February.
    """
    following = next_business_day(day, country)
    if following.month == day.month:
        return following
    while not is_business_day(day, country):
        day -= dt.timedelta(1)
    return day


def add_business_days(day: dt.date, count: int, country: str) -> dt.date:
    """The business day that is `count` (not negative) business days after `day`; 0 means the next one from `day`."""
    day = next_business_day(day, country)
    for _ in range(count):
        day = next_business_day(day + dt.timedelta(1), country)
    return day


def nominal_date(anchor: dt.date, rhythm: Rhythm, k: int) -> dt.date:
    """The k-th date (0 is the anchor), always counted from the anchor so that it never drifts.

    A month-end anchor stays on month-ends (31 Jan, 28 Feb, 31 Mar, 30 Apr); any other keeps its day where
    the month has it (30 Jan, 28 Feb, 30 Mar).
    """
    if rhythm is not Rhythm.MONTHLY:
        return anchor + dt.timedelta(weeks=k * (2 if rhythm is Rhythm.TWO_WEEKLY else 1))
    year, month = divmod(anchor.year * 12 + anchor.month - 1 + k, 12)
    last = monthrange(year, month + 1)[1]
    at_month_end = anchor.day == monthrange(anchor.year, anchor.month)[1]
    return dt.date(year, month + 1, last if at_month_end else min(anchor.day, last))


def due_dates(first: dt.date, rhythm: Rhythm, count: int, country: str) -> list[DueDate]:
    """`count` due dates from the anchor `first`, strictly increasing after adjustment, never before `first`
    when `first` is a business day.

    Two dates in one long holiday would fall on the same day; the later one then takes the next business day.
    """
    dates: list[DueDate] = []
    for k in range(count):
        nominal = nominal_date(first, rhythm, k)
        adjusted = business_day(nominal, country)
        if dates and adjusted <= dates[-1].adjusted:
            adjusted = next_business_day(dates[-1].adjusted + dt.timedelta(1), country)
        dates.append(DueDate(nominal, adjusted))
    return dates


def add_months(day: dt.date, months: int) -> dt.date:
    """The same day `months` later, or the month's last day where it has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return dt.date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def is_quiet(
    moment: dt.datetime, weekdays: frozenset[int], from_hour: int, to_hour: int, country: str
) -> str:
    """Why no message may leave at `moment` (the customer's local time), or "" when it may.

    `weekdays` are the allowed days, Monday is 0; hours are allowed from `from_hour` up to before `to_hour`.
    """
    day = moment.date()
    if is_holiday(day, country):
        return f"{day} is a public holiday where the customer is."
    if not is_business_day(day, country):
        return f"{day} is a weekend where the customer is."
    if day.weekday() not in weekdays:
        return f"The policy sends nothing on a {day:%A}."
    if not from_hour <= moment.hour < to_hour:
        return f"The policy sends only between {from_hour}:00 and {to_hour}:00 customer time."
    return ""


def next_sending_day(day: dt.date, weekdays: frozenset[int], country: str) -> dt.date:
    """The first day from `day` on which the policy lets messages leave."""
    for _ in range(366):
        if day.weekday() in weekdays and is_business_day(day, country):
            return day
        day += dt.timedelta(1)
    raise ValueError("the policy leaves no day for messages")
