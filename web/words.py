"""How figures and dates read on a page: the reader's locale, muted cents, a real minus sign."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date as babel_date
from babel.dates import format_time as babel_time
from babel.numbers import format_decimal, get_currency_symbol, get_decimal_symbol
from markupsafe import Markup, escape

from connector.domain.money import exponent, to_decimal

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


def amount(minor: int, currency: str, locale: str = "en_US") -> str:
    """Digits only, grouped by locale, the currency's own decimals: 128412600 JPY → 128,412,600."""
    places = exponent(currency)
    pattern = "#,##0" + ("." + "0" * places if places else "")
    return format_decimal(to_decimal(minor, currency), format=pattern, locale=locale).replace("-", "−")


def money(minor: int, currency: str, locale: str = "en_US") -> str:
    """With the currency's sign once: $1,490.00, for sentences."""
    sign = get_currency_symbol(currency, locale=locale)
    digits = amount(abs(minor), currency, locale)
    gap = "\N{NO-BREAK SPACE}" if sign.isalpha() else ""
    return ("−" if minor < 0 else "") + sign + gap + digits


def cell(minor: int | None, currency: str, locale: str = "en_US") -> Markup:
    """An amount for a table: cents muted, one text run for screen readers. None is said, never drawn as 0."""
    if minor is None:
        return Markup("not known")
    text = amount(minor, currency, locale)
    point = get_decimal_symbol(locale)
    whole, _, cents = text.rpartition(point) if exponent(currency) else (text, "", "")
    if minor == 0:
        return Markup('<span class="cents">{}</span>').format(text)
    if not cents:
        return escape(text)
    return Markup('{}<span class="cents">{}{}</span>').format(whole, point, cents)


def change(minor: int, currency: str, locale: str = "en_US") -> Markup:
    """A change per account: zero in full ink and bold, anything else named as moved."""
    text = ("+" if minor > 0 else "") + amount(minor, currency, locale)
    if minor == 0:
        return Markup('<b class="zero">{}</b>').format(text)
    return Markup('<span class="moved">{}</span>').format(text)


def day(value: date | str | None, today: date | None = None, locale: str = "en_US") -> str:
    """Mon 30 Nov, with the year when it is not `today`'s."""
    if not value:
        return "not known"
    when = date.fromisoformat(value) if isinstance(value, str) else value
    pattern = "EEE d MMM" if today and when.year == today.year else "EEE d MMM y"
    return babel_date(when, format=pattern, locale=locale)


def clock(value: datetime | None, timezone: str = "UTC", locale: str = "en_US") -> str:
    """The time of day in the organization's zone: 8:52."""
    if value is None:
        return "never"
    return babel_time(value.astimezone(ZoneInfo(timezone)), format="H:mm", locale=locale)


def days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def many(count: int, one: str, more: str | None = None) -> str:
    """`1 invoice`, `6 invoices`."""
    return f"{count} {one if count == 1 else (more or one + 's')}"
