"""How figures and dates read on a page: the reader's locale, muted cents, a real minus sign."""

from __future__ import annotations

import re
from datetime import date, datetime
from functools import cache, lru_cache

from babel import Locale, UnknownLocaleError
from babel.dates import format_date as babel_date
from babel.dates import format_time as babel_time
from babel.numbers import format_decimal, get_currency_symbol, get_decimal_symbol, get_group_symbol
from flask import g, has_request_context
from markupsafe import Markup, escape

from connector.connecting import connections
from connector.domain import aging
from connector.domain.money import exponent, to_minor

_LOCALE_OF_COUNTRY = {
    "US": "en_US",
    "CA": "en_CA",
    "GB": "en_GB",
    "AU": "en_AU",
    "NZ": "en_NZ",
    "IE": "en_IE",
}


def locale_of(country: str, asked: str = "") -> str:
    """The reader's locale: what the browser asked for, else that of the organization's country, else US."""
    for wanted in (asked.replace("-", "_"), _LOCALE_OF_COUNTRY.get(country, ""), "en_US"):
        try:
            return str(Locale.parse(wanted)) if wanted else ""
        except (UnknownLocaleError, ValueError):
            continue
    return "en_US"


def reader() -> str:
    """The locale of whoever reads the page that is being made; US English outside a request."""
    found: str = g.get("locale", "en_US") if has_request_context() else "en_US"
    return found


def _spoken(locale: str) -> str:
    """Pages are in English, so dates are too: the reader's English, or British for the rest of the world."""
    return locale if locale.startswith("en") else "en_GB"


def amount(minor: int, currency: str, locale: str = "") -> str:
    """Digits only, grouped by locale, the currency's own decimals: 128412600 JPY → 128,412,600."""
    group, point = _symbols(locale or reader())
    places = exponent(currency)
    whole, cents = divmod(abs(minor), 10**places)
    text = f"{whole:,}".replace(",", group) + (f"{point}{cents:0{places}}" if places else "")
    return "−" + text if minor < 0 else text


@cache
def _symbols(locale: str) -> tuple[str, str]:
    """What stands between thousands, and before cents."""
    return get_group_symbol(locale), get_decimal_symbol(locale)


def money(minor: int, currency: str, locale: str = "") -> str:
    """With the currency's sign once: $1,490.00, for sentences."""
    locale = locale or reader()
    sign = get_currency_symbol(currency, locale=locale)
    digits = amount(abs(minor), currency, locale)
    gap = "\N{NO-BREAK SPACE}" if sign.isalpha() else ""
    return ("−" if minor < 0 else "") + sign + gap + digits


def about(minor: int, currency: str) -> str:
    """For expectations only: $61,400, rounded to two or three figures, without cents."""
    unit = 10 ** exponent(currency)
    whole = abs(minor) / unit
    step = 10 ** max(0, len(str(int(whole))) - 3)
    rounded = round(whole / step) * step
    text = money(rounded * unit, currency)
    point = get_decimal_symbol(reader())
    return ("−" if minor < 0 and rounded else "") + (
        text.rpartition(point)[0] if exponent(currency) else text
    )


def cell(minor: int | None, currency: str, locale: str = "") -> Markup:
    """An amount for a table: cents muted, one text run for screen readers. None is said, never drawn as 0."""
    return Markup("not known") if minor is None else _cell(minor, currency, locale or reader())


@lru_cache(maxsize=4096)  # a page of a list has hundreds, and shows most of them again in a moment
def _cell(minor: int, currency: str, locale: str) -> Markup:
    text = amount(minor, currency, locale)
    _, point = _symbols(locale)
    whole, _, cents = text.rpartition(point) if exponent(currency) else (text, "", "")
    if minor == 0:
        return Markup('<span class="cents">{}</span>').format(text)
    if not cents:
        return escape(text)
    return Markup('{}<span class="cents">{}{}</span>').format(whole, point, cents)


def figure(minor: int, currency: str) -> Markup:
    """Like `cell` with the currency's sign, for a figure that stands alone."""
    sign = get_currency_symbol(currency, locale=reader())
    return Markup("{}{}{}").format("−" if minor < 0 else "", sign, cell(abs(minor), currency))


def change(minor: int, currency: str, locale: str = "") -> Markup:
    """A change per account: zero in full ink and bold, anything else named as moved."""
    text = ("+" if minor > 0 else "") + amount(minor, currency, locale)
    if minor == 0:
        return Markup('<b class="zero">{}</b>').format(text)
    return Markup('<span class="moved">{}</span>').format(text)


def day(value: date | str | None, today: date | None = None, locale: str = "") -> str:
    """Mon 30 Nov, with the year when it is not `today`'s."""
    if not value:
        return "not known"
    locale = _spoken(locale or reader())
    when = date.fromisoformat(value) if isinstance(value, str) else value
    return _day(when, "EEE d MMM" if today and when.year == today.year else "EEE d MMM y", locale)


@lru_cache(maxsize=4096)
def _day(when: date, pattern: str, locale: str) -> str:
    return babel_date(when, format=pattern, locale=locale)


def clock(value: datetime | None, timezone: str = "UTC", locale: str = "") -> str:
    """The time of day in the organization's zone: 8:52."""
    if value is None:
        return "never"
    spoken = _spoken(locale or reader())
    return babel_time(value.astimezone(connections.zone(timezone)), format="H:mm", locale=spoken)


def ago(value: datetime, now: datetime, timezone: str = "UTC") -> str:
    """How long ago: for lists of clients in several time zones, where times of day cannot be compared."""
    minutes = int((now - value).total_seconds() // 60)
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes} min ago"
    if minutes < 24 * 60:
        return f"{minutes // 60} h ago"
    return local_day(value, timezone)


def moment(value: datetime | str | None, timezone: str = "UTC") -> str:
    """Sat 21 Nov, 8:52, in the organization's zone; nothing for a moment that has not come."""
    if not value:
        return ""
    when = datetime.fromisoformat(value) if isinstance(value, str) else value
    here = when.astimezone(connections.zone(timezone))
    return f"{day(here.date(), here.date())}, {clock(when, timezone)}"


def local_day(value: datetime, timezone: str = "UTC", today: date | None = None) -> str:
    """`local_date` in words."""
    return day(local_date(value, timezone), today)


def local_date(value: datetime, timezone: str) -> date:
    """The organization's day on which a moment fell: an evening in New York is no longer that day in UTC."""
    return value.astimezone(connections.zone(timezone)).date()


def age(due: date, today: date) -> int:
    """Which of the five aging buckets a debt is in, 0 (not yet due) to 4 (over 90 days)."""
    return aging.BUCKETS.index(aging.bucket(due, today))


KINDS = {
    "reliable": ("●", "Reliable"),
    "forgetful": ("◐", "Forgetful"),
    "squeezed": ("▽", "Squeezed"),
    "chronic": ("■", "Chronic"),
    "disputing": ("⇄", "Disputing"),
    "not_enough_data": ("◌", "Too little history"),
}


def kind(segment: str) -> tuple[str, str]:
    """The shape and the word of a customer's kind. No color: it is a judgement, not an alarm."""
    return KINDS.get(segment, ("◌", segment.replace("_", " ").capitalize()))


def days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def many(count: int, one: str, more: str | None = None) -> str:
    """`1 invoice`, `6 invoices`."""
    digits = format_decimal(count, locale=reader()) if abs(count) > 999 else str(count)
    return f"{digits} {one if count == 1 else (more or one + 's')}"


STEPS = {
    "friendly": "Friendly word before the due date",
    "due": "Word on the due date",
    "check": "First question, did it arrive",
    "direct": "Clear reminder, with a plan offered",
    "firm": "Firm reminder, with a plan offered",
    "final": "Last reminder",
    "review": "Look by a person",
    "installment_friendly": "Friendly word before a payment",
    "installment_due": "Word on the day of a payment",
    "installment_missed": "Word about a missed payment",
    "installment_cure": "Last word before a plan breaks",
    "installment_review": "Look by a person at the plan",
}


def step(level: str) -> str:
    """A step of the ladder in a bookkeeper's words; one of the bookkeeper's own by its name."""
    return STEPS.get(level, level.replace("_", " ").capitalize())


_DAY = re.compile(r"\b\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])\b")
_SUM = re.compile(r"(?<![\w.,])-?\d{1,3}(?:,?\d{3})*(?:\.\d{2,3})? (?P<currency>[A-Z]{3})\b")


def said(text: str, today: date | None = None) -> str:
    """A sentence of ours that was kept in the record's plain form, with its days and sums as the reader writes them.

    2026-11-30 → Mon 30 Nov, 1,490.00 USD → $1,490.00. What is no day or no currency stays.
    """

    def one_day(found: re.Match[str]) -> str:
        try:
            return day(found[0], today)
        except ValueError:
            return found[0]

    def one_sum(found: re.Match[str]) -> str:
        currency = found["currency"]
        if currency not in _currencies():
            return found[0]
        try:
            minor = to_minor(found[0][: -len(currency) - 1].replace(",", ""), currency)
        except ValueError:
            return found[0]
        return money(minor, currency)

    return _DAY.sub(one_day, _SUM.sub(one_sum, text))


@cache
def _currencies() -> frozenset[str]:
    return frozenset(Locale.parse("en").currencies)
