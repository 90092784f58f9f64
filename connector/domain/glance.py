"""A whole book at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connector.domain.prediction.timeline import Days


@dataclass(frozen=True, slots=True)
class Rows:
    """The invoices that show how customers pay, one a row; what was set against them, one a `paid_` row.

    Days are proleptic ordinals, amounts minor units. `customer` and `currency` count in `customers` and
    `currencies`, `paid_invoice` in the rows. Of the customers `apart` there is more to know than is here.
    """

    ids: Sequence[str]
    customers: tuple[str, ...]
    currencies: tuple[str, ...]
    customer: Days
    currency: Days
    issued: Days
    due: Days
    total: Days
    balance: Days
    paid_invoice: Days
    paid_day: Days
    paid_amount: Days
    apart: frozenset[str]
