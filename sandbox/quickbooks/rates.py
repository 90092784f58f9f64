"""Exchange rates of the pretend world: home units for one foreign unit, drifting a little from day to day."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_UP, Decimal

_DOLLARS = {
    "USD": "1",
    "EUR": "1.16",
    "GBP": "1.31",
    "CAD": "0.71",
    "AUD": "0.65",
    "NZD": "0.57",
    "CHF": "1.24",
    "JPY": "0.0064",
    "INR": "0.0113",
    "KWD": "3.26",
}


def rate_on(source: str, target: str, day: date) -> Decimal:
    """Units of `target` for one `source` on a day; 1 for a currency nobody here knows."""
    if source == target:
        return Decimal(1)
    one, other = Decimal(_DOLLARS.get(source, "1")), Decimal(_DOLLARS.get(target, "1"))
    drift = 1 + Decimal(day.toordinal() % 61 - 30) / 2000
    return (one / other * drift).quantize(Decimal("0.000001"), ROUND_HALF_UP)
