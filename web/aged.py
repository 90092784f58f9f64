"""What is owed by age, ready for a page: the five buckets of one currency."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from connector.domain import aging
from connector.domain.receivables import Invoice


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


def aged(invoices: Iterable[Invoice], today: date) -> dict[str, Aged]:
    """By currency, what these invoices owe today."""
    return {c: Aged.of(row) for c, row in aging.buckets(aging.debts(invoices), today).items()}
