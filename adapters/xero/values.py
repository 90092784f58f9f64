"""Xero's dates, amounts and words as values. A row that says something we must not guess about is `Unusable`."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from functools import lru_cache
from typing import Any

from adapters.xero import shapes
from connector.domain.money import to_minor


class Unusable(ValueError):
    """A row says something that we must not guess about. `str()` names the field, not its value's owner."""


_MS_DATE = re.compile(r"^/Date\((-?\d+)(?:([+-])(\d\d)(\d\d))?\)/$")
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def moment(text: str | None) -> dt.datetime | None:
    """`/Date(1539993600000+0000)/` or ISO 8601 (UTC unless it says otherwise) as an aware UTC moment."""
    if not text:
        return None
    if match := _MS_DATE.match(text):
        return dt.datetime.fromtimestamp(int(match[1]) / 1000, dt.UTC)
    found = dt.datetime.fromisoformat(text)
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)


@lru_cache(maxsize=4096)  # a page names few different days many times
def day(text: str | None) -> dt.date | None:
    """A calendar date: Xero writes it as midnight of that date, without a zone of its own."""
    if not text:
        return None
    if match := _MS_DATE.match(text):
        at = EPOCH + dt.timedelta(milliseconds=int(match[1]))
        if match[2]:  # the offset says whose midnight it was
            shift = dt.timedelta(hours=int(match[3]), minutes=int(match[4]))
            at += shift if match[2] == "+" else -shift
        return at.date()
    return dt.date.fromisoformat(text[:10])


def version(changed: dt.datetime | None, *more: object) -> str:
    """When a record last changed, and `more` that Xero may change without moving that moment.

    What an update compares with what was approved; equal means unchanged, nothing else may be read from it.
    """
    return " ".join([changed.isoformat(timespec="milliseconds") if changed else "", *map(str, more)])


def minor(amount: Decimal | None, currency: str) -> int:
    return to_minor(amount, currency) if amount else 0


def must(value: Any, field: str) -> Any:
    if value is None or value == "":
        raise Unusable(f"{field} is missing")
    return value


def whole(amount: Decimal | None, field: str, currency: str) -> int:
    """An amount that decides what is owed: one that is missing is not zero."""
    return to_minor(must(amount, field), currency)


def yes(value: Any) -> bool:
    """A yes or no that some answers write as text."""
    return str(value).lower() == "true"


def said(value: Any) -> str:
    return value if isinstance(value, str) else ""


def own_id(value: str | None) -> str:
    return str(must(value, "the id"))


def contact_id(contact: shapes.ContactRef | None) -> str:
    return str(must(contact.ContactID if contact else None, "Contact"))
