"""Amounts: whole minor units by the currency's own exponent. Decimals only at the edges, never floats."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

_EXPONENTS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF"), 0),
    **dict.fromkeys(("UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


def exponent(currency: str) -> int:
    """Decimal places of a currency (ISO 4217): 2 for most, 0 for the yen, 3 for the dinars."""
    return _EXPONENTS.get(currency, 2)


def to_decimal(minor: int, currency: str) -> Decimal:
    """1050, "USD" → Decimal("10.50")."""
    return Decimal(minor).scaleb(-exponent(currency))


def to_minor(amount: Decimal | int | str, currency: str) -> int:
    """Decimal("10.50"), "USD" → 1050; rounds half up, as both ledgers do."""
    return half_up(Decimal(amount).scaleb(exponent(currency)))


def half_up(value: Decimal) -> int:
    """The nearest whole number, halves away from zero."""
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def share(amount: int, part: int, whole: int) -> int:
    """`amount` × `part` ÷ `whole`, rounded half up once. `part` == `whole` gives exactly `amount`."""
    if whole == 0:
        return amount
    sign = -1 if (amount < 0) != ((part < 0) != (whole < 0)) else 1
    return sign * ((2 * abs(amount) * abs(part) + abs(whole)) // (2 * abs(whole)))


def spread(total: int, weights: list[int]) -> list[int]:
    """`total` in proportion to `weights`, by cumulative rounding: the parts add up to the whole."""
    whole, seen, given, parts = sum(weights), 0, 0, []
    for weight in weights:
        seen += weight
        upto = share(total, seen, whole) if whole else 0
        parts.append(upto - given)
        given = upto
    if parts and not whole:
        parts[-1] = total
    return parts
