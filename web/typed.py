"""Amounts as people type them, on either side of the Atlantic: 1,234.50 and 1.234,50 are the same sum."""

from __future__ import annotations

import re

from connector.domain.money import exponent, to_minor

_AMOUNT = re.compile(
    r"[1-9]\d{0,2}(?:[.,'’\s]\d{3})+(?:[.,]\d{1,2})?|\d+(?:[.,]\d{1,2})?"
)  # 0.500 is not 500
_THOUSANDTHS = re.compile(r"\d+\.\d{3}")  # of currencies that have them, as our own pages write these
MOST = 10**12


def amount(text: str, currency: str) -> int:
    """Minor units of 150, 150.50, 150,50, 1,234.50, 1.234,50, 1 234,50. Raises ValueError, also for zero.

    One or two digits after the last sign are cents; three are thousands, unless the currency has thousandths.
    """
    text = text.strip().replace("\u00a0", " ").replace("\u202f", " ")
    if exponent(currency) == 3 and _THOUSANDTHS.fullmatch(text):
        minor = to_minor(text, currency)
    elif _AMOUNT.fullmatch(text):
        point = re.search(r"[.,](\d{1,2})$", text)
        whole = re.sub(r"\D", "", text[: point.start()] if point else text)
        minor = to_minor(f"{whole}.{point[1]}" if point else whole, currency)
    else:
        raise ValueError(f"{text!r} is no amount")
    if not 0 < minor < MOST:
        raise ValueError(f"{text!r} is no amount that anybody owes")
    return minor
