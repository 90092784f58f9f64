"""An installment plan: which invoices, how much, when, in which mode. Frozen; a change is a new version.

Amounts are minor units of `currency`. `date` fields are calendar dates in the organization's time zone.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from connector.domain import codec, writes
from connector.domain.calendar import Rhythm
from connector.domain.policy import Method, Mode


class BadPlan(ValueError):
    """What was asked for cannot be a plan. `sentence` says what is wrong and what to do; `code` is for programs."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Source:
    """One invoice of a plan as it stood when the plan was drafted: the snapshot that approval is about.

    When the source is itself an installment of an earlier version, `original_due` is the due date of the
    invoice behind it (contract age never gets younger) and `tax` is the original tax inside it.
    """

    invoice_id: str
    number: str
    date: dt.date
    due: dt.date
    total: int
    tax: int
    balance: int
    version: str = ""
    settled: bool = False  # some payment or credit is allocated already
    original_due: dt.date | None = None
    shared: bool = False  # another invoice of these books bears the same number

    @property
    def contract_due(self) -> dt.date:
        return self.original_due or self.due


@dataclass(frozen=True, slots=True)
class Installment:
    """One row. `due` is the business day that counts, `nominal` the date by the calendar."""

    n: int
    nominal: dt.date
    due: dt.date
    principal: int
    interest: int = 0

    @property
    def total(self) -> int:
        return self.principal + self.interest


@dataclass(frozen=True, slots=True)
class Waiver:
    """A fee document that is credited when the plan is approved: to the account and code it was charged on."""

    invoice_id: str
    number: str
    amount: int
    account_id: str
    reason: str
    item_id: str = ""
    tax_code: str = ""
    earlier: int = 0  # how many numbers for this fee's credit are taken already
    tax: int = 0  # the part of `amount` that was charged as tax, and goes back as tax


@dataclass(frozen=True, slots=True)
class Terms:
    """How the rows came about; `rows_edited` says that a person changed them afterwards."""

    rhythm: Rhythm = Rhythm.MONTHLY
    method: Method = Method.EQUAL
    annual_percent: Decimal = Decimal(0)
    flat_percent: Decimal = Decimal(0)
    deposit: int = 0
    settlement_percent: Decimal = Decimal(0)  # promised off the unpaid principal for paying all of it at once
    tolerance_days: int = 3
    tolerance_amount: int = 100
    broken_after_days: int = 10
    grace_days: int = 5
    rows_edited: bool = False
    private_person: bool = False  # a consumer, sole trader or small partnership, as a person here says
    legal_sign_off: str = ""  # who looked at it as consumer credit


@dataclass(frozen=True, slots=True)
class Plan:
    """One version of a plan. `id` is PP-0007; `drafted_on` the day of the snapshot."""

    id: str
    version: int
    customer_id: str
    currency: str
    mode: Mode
    sources: tuple[Source, ...]
    rows: tuple[Installment, ...]
    drafted_on: dt.date
    terms: Terms = Terms()
    waivers: tuple[Waiver, ...] = ()
    reasons: tuple[str, ...] = ()
    supersedes: int | None = None  # the version that this one renegotiates
    originals: tuple[Source, ...] = ()  # of a renegotiated split: the first version's invoices

    @property
    def principal(self) -> int:
        """The rescheduled balance: the rows' principal, equal to the sources' balance."""
        return sum(r.principal for r in self.rows)

    @property
    def interest(self) -> int:
        return sum(r.interest for r in self.rows)

    @property
    def total(self) -> int:
        """What the customer pays in all."""
        return sum(r.total for r in self.rows)

    @property
    def balance(self) -> int:
        return sum(s.balance for s in self.sources)

    @property
    def digest(self) -> str:
        """Eight hex digits over amounts and dates, part of every marker."""
        pairs = [(r.due, r.principal) for r in self.rows] + [(r.due, r.interest) for r in self.rows]
        return writes.fingerprint(pairs)

    def marker(self, role: str, source: str, n: int | None = None) -> str:
        """Our machine marker for one document of this version (roles: credit, inst, link, int, waiver, note, cancel)."""
        return writes.marker(self.id, self.version, role, source, self.digest, n)

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = codec.to_json(self)
        return data


def load(data: Mapping[str, Any]) -> Plan:
    """A plan from `Plan.to_json()`. Raises WrongValue."""
    return _loaded(json.dumps(data))


@lru_cache(maxsize=1024)
def _loaded(text: str) -> Plan:
    """Plans are frozen, and the same ones are read again and again: one for each text."""
    return codec.from_json(Plan, json.loads(text))


def portions(sources: Iterable[Source], principals: Iterable[int]) -> list[list[tuple[Source, int]]]:
    """Which part of which source each row pays: the oldest contract due date first, in row order.

    The parts of a row add up to its principal; over all rows each source is used up exactly.
    """
    order = sorted(sources, key=lambda s: (s.contract_due, s.date, s.number, s.invoice_id))
    queue = deque((s, s.balance) for s in order)
    result: list[list[tuple[Source, int]]] = []
    for principal in principals:
        parts: list[tuple[Source, int]] = []
        while principal and queue:
            source, left = queue.popleft()
            take = min(principal, left)
            parts.append((source, take))
            principal -= take
            if left > take:
                queue.appendleft((source, left - take))
        result.append(parts)
    return result


def open_by_source(plan: Plan, open_principal: Mapping[int, int]) -> list[list[tuple[Source, int]]]:
    """Per row: which part of which source is still open, given what is open on each row number.

    Money pays the oldest part of a row first, so what is open is its latest part.
    """
    result = []
    parts_of_rows = portions(plan.sources, [r.principal for r in plan.rows])
    for row, parts in zip(plan.rows, parts_of_rows, strict=True):
        left = min(open_principal.get(row.n, 0), row.principal)
        found: list[tuple[Source, int]] = []
        for source, amount in reversed(parts):
            take = min(left, amount)
            if take:
                found.append((source, take))
            left -= take
        result.append(found[::-1])
    return result
