"""What is owed by age, ready for a page: the five buckets of one currency."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from connector.domain import aging
from connector.domain.receivables import Invoice
from connector.reviewing import overview


@dataclass(frozen=True, slots=True)
class Aged:
    """Minor units of one currency, by days after the due date."""

    buckets: tuple[int, ...]

    @classmethod
    def of(cls, row: Mapping[str, int]) -> Aged:
        return cls(tuple(row[name] for name in aging.BUCKETS))

    @property
    def total(self) -> int:
        return sum(self.buckets)

    @property
    def overdue(self) -> int:
        return sum(self.buckets[1:])


Sums = dict[str, Aged]  # by currency


def of_organizations(
    tx: Connection, today: Mapping[str, dt.date], main: Mapping[str, str]
) -> dict[str, Sums]:
    """By organization and currency, its home currency first. `today` and `main` are by organization."""
    return {
        id: {c: Aged.of(sums[c]) for c in sorted(sums, key=lambda c: (c != main.get(id), c))}
        for id, sums in overview.aged(tx, list(today), dict(today)).items()
    }


def of_invoices(invoices: Iterable[Invoice], today: dt.date) -> Sums:
    """By currency, what these invoices owe today."""
    return {c: Aged.of(row) for c, row in aging.buckets(aging.debts(invoices), today).items()}
