"""Money is whole minor units with a currency; the parts of a sum always add up to the sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

# ISO 4217 exponents that are not 2.
_EXPONENTS = dict.fromkeys(
    [
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ],
    0,
) | dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3)


def exponent(currency: str) -> int:
    """How many decimals the currency has (ISO 4217): 0 for JPY, 3 for KWD, else 2."""
    return _EXPONENTS.get(currency, 2)


def to_minor(amount: Decimal | int | str, currency: str) -> int:
    """A ledger's decimal amount in whole minor units of `currency`.

    Raises ValueError for a float (the ledgers' SDKs hand those out; convert by `str` first), for one
    that is not finite, and for one finer than the currency's minor unit: rounding would hide a misread field.
    """
    if isinstance(amount, float):
        raise ValueError("a float is not money; parse the ledger's text as Decimal")
    exact = amount if type(amount) is Decimal else Decimal(amount)
    try:
        minor, parts = exact.scaleb(exponent(currency)).as_integer_ratio()
    except OverflowError:
        raise ValueError(f"{amount} is no amount") from None
    if parts != 1:
        raise ValueError(f"{amount} {currency} is finer than the currency's minor unit")
    return minor


def to_decimal(minor: int, currency: str) -> Decimal:
    """Whole minor units as the decimal amount that ledgers speak: 28333 USD → 283.33."""
    places = exponent(currency)
    return Decimal(minor).scaleb(-places).quantize(Decimal(1).scaleb(-places))


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """`minor` whole minor units of `currency`. Adding or comparing two currencies raises ValueError."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int:
            raise TypeError("money is a whole number of minor units")

    def _same(self, other: Money) -> int:
        if other.currency != self.currency:
            raise ValueError(f"{self.currency} and {other.currency} cannot be mixed")
        return other.minor

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same(other), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.minor < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.minor <= self._same(other)

    @property
    def decimal(self) -> Decimal:
        return to_decimal(self.minor, self.currency)

    def __str__(self) -> str:
        places = exponent(self.currency)
        whole, rest = divmod(abs(self.minor), 10**places)
        decimals = f".{rest:0{places}}" if places else ""
        return f"{'-' if self.minor < 0 else ''}{whole:,}{decimals} {self.currency}"


def step(currency: str, *amounts: int) -> int:
    """The minor units in which these amounts are parted: one, or ten where the currency has thousandths and none of
    the amounts does. Ledgers keep two decimals of every currency, and would round a thousandth of ours away."""
    return 10 if exponent(currency) == 3 and not any(amount % 10 for amount in amounts) else 1


def split(total: int, parts: int) -> list[int]:
    """`total` minor units in `parts` that differ by at most one; the odd units go to the last parts.

    850.00 / 3 → 283.33, 283.33, 283.34. Raises ValueError when a part would be empty.
    """
    if parts < 1 or total < parts:
        raise ValueError(f"{total} minor units cannot be split into {parts} payments")
    share, odd = divmod(total, parts)
    return [share + (i >= parts - odd) for i in range(parts)]


def split_weighted(total: int, weights: Sequence[int]) -> list[int]:
    """`total` minor units in proportion to whole weights: largest remainder, ties to the latest part.

    100.01 by 1/2/3 → 16.67, 33.34, 50.00.
    """
    if total < 0 or not weights or min(weights) < 0 or sum(weights) == 0:
        raise ValueError("weights must be whole, not negative, and not all zero")
    whole = sum(weights)
    parts = [total * w // whole for w in weights]
    odd = total - sum(parts)
    latest_largest = sorted(range(len(weights)), key=lambda i: (total * weights[i] % whole, i), reverse=True)
    for i in latest_largest[:odd]:
        parts[i] += 1
    return parts
