"""Honest shares of small numbers, and the customers whose contact waits so that an effect can be measured."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

_Z = 1.959963984540054  # 95 in 100


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `whole`; the true share lies between `low` and `high` in 95 of 100 such cases (Wilson, 1927)."""

    count: int
    whole: int
    low: float
    high: float


def share(count: int, whole: int) -> Share:
    """Wilson's interval: it never leaves 0 to 1 and stays wide where little is known. Raises ValueError."""
    if not 0 <= count <= whole:
        raise ValueError("a share counts some of a whole")
    if whole == 0:
        return Share(0, 0, 0.0, 1.0)
    p, z2 = count / whole, _Z * _Z
    middle = (p + z2 / (2 * whole)) / (1 + z2 / whole)
    half = _Z * sqrt(p * (1 - p) / whole + z2 / (4 * whole * whole)) / (1 + z2 / whole)
    low = 0.0 if count == 0 else max(0.0, middle - half)
    high = 1.0 if count == whole else min(1.0, middle + half)
    return Share(count, whole, low, high)


@dataclass(frozen=True, slots=True)
class Difference:
    """How much larger the first share is than the second, with its range (Newcombe's method 10)."""

    by: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether the range leaves zero out."""
        return self.low > 0 or self.high < 0


def difference(first: Share, second: Share) -> Difference | None:
    """None where either side counted nobody."""
    if not first.whole or not second.whole:
        return None
    a, b = first.count / first.whole, second.count / second.whole
    down = sqrt((a - first.low) ** 2 + (second.high - b) ** 2)
    up = sqrt((first.high - a) ** 2 + (b - second.low) ** 2)
    return Difference(a - b, a - b - down, a - b + up)


WAITS = 7  # days by which the first contact of a customer in the hold-out share is late


def held_out(connection_id: str, customer_id: str, percent: int) -> bool:
    """Whether this customer's contact waits: the same customer always, whoever asks and whenever."""
    if percent <= 0:
        return False
    digest = hashlib.sha256(f"hold-out {connection_id} {customer_id}".encode()).digest()
    return int.from_bytes(digest[:8]) % 10_000 < percent * 100


def counted(paid: Iterable[bool]) -> Share:
    """The share of those that are true."""
    found = list(paid)
    return share(sum(found), len(found))
