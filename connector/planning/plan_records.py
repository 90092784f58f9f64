"""Plans as they are stored: read, never changed here. connector.planning.plans changes them and offers these names too."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector import db
from connector.db import installments, plan_versions, plans, tallies, writes
from connector.domain import plan as terms_of
from connector.domain.plan import Plan
from connector.planning import plan_rows
from connector.record import audit
from connector.writing.outbox import plan_id as shown
from connector.writing.outbox import plan_number as number_of

ACTIVE = ("approved", "running")
COVERING = ("proposed", *ACTIVE, "broken")
UNDER_WAY = ("cancelling", "undoing")


class PlanProblem(Exception):
    """What was asked of a plan cannot be done. `str()` says why and what to do; `code` is for programs and the record."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code, self.sentence = code, sentence


@dataclass(frozen=True, slots=True)
class Row:
    """One installment as it stands. `invoice_id` is None until written, and always in notes mode."""

    n: int
    due: dt.date
    nominal_due: dt.date | None
    amount: int
    principal: int
    interest: int
    invoice_id: str | None
    open: int
    state: str


@dataclass(frozen=True, slots=True)
class Record:
    """A stored plan. `attention` is a sentence for a person, "" when nothing is wanted."""

    plan: Plan
    connection_id: str
    state: str
    revision: int
    progress: str
    paused_at: dt.datetime | None
    attention: str
    created_at: dt.datetime
    created_by: str
    approved_by: str
    approved_at: dt.datetime | None
    posted_on: dt.date | None
    acceptance: dict[str, Any] | None
    proof: dict[str, Any] | None
    installments: tuple[Row, ...]
    draft: Plan | None = None
    draft_acceptance: dict[str, Any] | None = None
    offered: dict[str, Any] | None = None  # the version that waits is shown on the customer's page
    waits_since: dt.date | None = (
        None  # a draft of our own: since when anybody could answer it or one before it
    )
    renewed: int = 0  # how often we moved the days of our own draft

    @property
    def id(self) -> str:
        return self.plan.id

    @property
    def untouched(self) -> bool:
        """A draft of our own that no person has changed or shown to the customer."""
        return (self.state, self.created_by, self.revision) == ("proposed", audit.SYSTEM, 1 + self.renewed)

    @property
    def batch(self) -> str:
        """The outbox's name for the writes of the current version."""
        return batch(self.plan)


@dataclass(frozen=True, slots=True)
class Version:
    """One version with who made it and why."""

    plan: Plan
    author: str
    why: str
    created_at: dt.datetime
    approved_by: str
    approved_at: dt.datetime | None


def batch(plan: Plan) -> str:
    return f"{plan.id} v{plan.version}"


def get(tx: Connection, plan_id: str) -> Record:
    """Raises LookupError for an unknown number."""
    found = _records(tx, plans.c.number == number_of(plan_id))
    if not found:
        raise LookupError(f"There is no plan {plan_id}. `forbear plan list` shows them.")
    return found[0]


def revision(tx: Connection, plan_id: str) -> int | None:
    """How often the plan was changed; None for an unknown number. Whoever holds a record of the same has all of it."""
    return tx.scalar(sa.select(plans.c.revision).where(plans.c.number == number_of(plan_id)))


def of_connection(
    tx: Connection, connection_id: str, states: Collection[str] | None = None, limit: int | None = None
) -> list[Record]:
    """Oldest first; the oldest `limit` of them."""
    return of_connections(tx, [connection_id], states, limit)


def of_connections(
    tx: Connection,
    connection_ids: Collection[str],
    states: Collection[str] | None = None,
    limit: int | None = None,
) -> list[Record]:
    """Those of several organizations, oldest first."""
    where: sa.ColumnElement[bool] = plans.c.connection_id.in_(list(connection_ids))
    if states is not None:
        where = sa.and_(where, plans.c.state.in_(list(states)))
    return _records(tx, where, limit)


LISTED = ("proposed", "broken", "approved", "running", "finished", "cancelled")


def listed(tx: Connection, connection_id: str, limit: int, offset: int = 0) -> tuple[list[Record], int]:
    """One page of all plans but the withdrawn, those that wait for a person first; and how many there are."""
    t = tallies.c
    kept = sa.select(t.name, t.n).where(t.connection_id == connection_id, t.what == "plans")
    counts = {row.name: row.n for row in tx.execute(kept)}
    numbers: list[int] = []
    skip = offset
    for state in LISTED:  # state by state along the index, instead of sorting all of them
        count = counts.get(state, 0)
        if skip < count and len(numbers) < limit:
            mine = sa.select(plans.c.number).where(
                plans.c.connection_id == connection_id, plans.c.state == state
            )
            page = mine.order_by(plans.c.number).limit(limit - len(numbers)).offset(skip)
            numbers += tx.scalars(page)
        skip = max(0, skip - count)
    found = {number_of(r.id): r for r in _records(tx, plans.c.number.in_(numbers))}
    return [found[n] for n in numbers], sum(counts.get(state, 0) for state in LISTED)


def to_look_at() -> sa.ColumnElement[bool]:
    """Plans under way about which a person must decide something; a write that was refused stands for itself."""
    w = writes.c
    refused = sa.select(w.id).where(w.plan == plans.c.number, w.state == "failed").exists()
    return sa.and_(plans.c.state.in_(("running", "broken")), plans.c.attention != "", ~refused)


def that_need_a_look(tx: Connection, connection_id: str) -> list[Record]:
    """Oldest first."""
    return _records(tx, sa.and_(plans.c.connection_id == connection_id, to_look_at()))


def of_customer(tx: Connection, connection_id: str, customer_id: str) -> list[Record]:
    return of_customers(tx, connection_id, [customer_id])


def of_customers(tx: Connection, connection_id: str, customer_ids: Collection[str]) -> list[Record]:
    """Oldest first."""
    mine = sa.and_(plans.c.connection_id == connection_id, plans.c.customer_id.in_(list(customer_ids)))
    return _records(tx, mine)


def of_these(tx: Connection, keys: Collection[tuple[str, str]]) -> list[Record]:
    """Of customers of any organizations (connection, customer), all but the withdrawn. Oldest first."""
    those = sa.select(plans.c.number).select_from(db.of_these(tx, plans, keys))
    numbers = list(tx.scalars(those.where(plans.c.state != "withdrawn")))
    return _records(tx, plans.c.number.in_(numbers)) if numbers else []


def to_deliver(tx: Connection, connection_id: str) -> list[str]:
    """The plans that the ledger should have or lose, oldest first."""
    where = sa.and_(plans.c.connection_id == connection_id, _undelivered())
    return [shown(n) for n in tx.scalars(sa.select(plans.c.number).where(where).order_by(plans.c.number))]


def waiting_connections(tx: Connection) -> list[str]:
    """The organizations with such a plan."""
    return sorted(tx.scalars(sa.select(plans.c.connection_id).where(_undelivered()).distinct()))


def _undelivered() -> sa.ColumnElement[bool]:
    return sa.or_(plans.c.state == "approved", plans.c.progress.in_(UNDER_WAY))


def versions(tx: Connection, plan_id: str) -> list[Version]:
    """Every version, first to last."""
    plan_rows.stored(tx)
    query = sa.select(plan_versions).where(plan_versions.c.plan == number_of(plan_id))
    return [
        Version(
            plan=terms_of.load(row.terms),
            author=row.author or "",
            why=row.why or "",
            created_at=row.created_at,
            approved_by=row.approved_by or "",
            approved_at=row.approved_at,
        )
        for row in tx.execute(query.order_by(plan_versions.c.version))
    ]


def why_of(tx: Connection, plan: Plan) -> str:
    """The reason that was given for this version."""
    plan_rows.stored(tx)
    where = sa.and_(plan_versions.c.plan == number_of(plan.id), plan_versions.c.version == plan.version)
    return tx.scalar(sa.select(plan_versions.c.why).where(where)) or ""


def planned(records: Iterable[Record], *, but: str = "") -> frozenset[str]:
    """Ids of the invoices that these plans cover: approved, running or waiting for approval; `but` leaves one out.

    Includes the installments' own invoices, so that nobody plans a plan.
    """
    covered: set[str] = set()
    for record in records:
        if record.id != but and record.state in COVERING:
            covered |= {s.invoice_id for s in (*record.plan.sources, *record.plan.originals)}
            covered |= {row.invoice_id for row in record.installments if row.invoice_id}
    return frozenset(covered)


def waits_since(of_one_customer: Iterable[Record]) -> dt.date | None:
    """Since when a plan waits for a person's answer; None when none does.

    Our own drafts come and go with the books, and their days move on: one that nobody touched counts from the first
    draft for any of the same invoices (`plans.add`), or each new one would begin the wait anew.
    """
    found = []
    for record in of_one_customer:
        if record.draft:
            found.append(record.draft.drafted_on)
        if record.state == "proposed":
            since = record.waits_since if record.untouched else None
            found.append(since or record.plan.drafted_on)
    return min(found, default=None)


def with_installments(
    tx: Connection, plan_ids: Collection[str], invoice_ids: Collection[str]
) -> frozenset[str]:
    """Those of the plans that had one of the invoices as an installment's own, in this version or an earlier one."""
    plan_rows.stored(tx)
    query = sa.select(installments.c.plan).where(
        installments.c.plan.in_([number_of(id) for id in plan_ids]),
        installments.c.invoice_id.in_(list(invoice_ids)),
    )
    return frozenset(shown(n) for n in tx.scalars(query.distinct()))


_OF_VERSION = [
    plan_versions.c[name]
    for name in (
        *("plan", "version", "terms", "approved_by", "approved_at", "posted_on"),
        *("acceptance", "proof", "offered"),
    )
]


def _records(tx: Connection, where: sa.ColumnElement[bool], limit: int | None = None) -> list[Record]:
    rows = tx.execute(sa.select(plans).where(where).order_by(plans.c.number).limit(limit)).all()
    if not rows:
        return []
    plan_rows.stored(tx)
    numbers = [row.number for row in rows]
    kept: dict[int, list[Any]] = {n: [] for n in numbers}
    versions = (
        sa.select(*_OF_VERSION).where(plan_versions.c.plan.in_(numbers)).order_by(plan_versions.c.version)
    )
    for row in tx.execute(versions).all():
        kept[row.plan].append(row)
    parts: dict[tuple[int, int], list[Row]] = {}
    open_ = sa.select(installments).where(installments.c.plan.in_(numbers)).order_by(installments.c.n)
    for row in tx.execute(open_).all():
        parts.setdefault((row.plan, row.version), []).append(_row(row))
    return [_record(row, kept[row.number], parts) for row in rows]


def _record(row: Any, kept: list[Any], parts: dict[tuple[int, int], list[Row]]) -> Record:
    current = next(v for v in kept if v.version == row.version)
    newest = kept[-1]
    waits = newest.version > row.version and newest.approved_at is None
    open_ = newest if waits else current if row.state == "proposed" else None
    return Record(
        plan=_of(row, current),
        connection_id=row.connection_id,
        state=row.state,
        revision=row.revision,
        progress=row.progress or "",
        paused_at=row.paused_at,
        attention=row.attention or "",
        created_at=row.created_at,
        created_by=row.created_by or "",
        approved_by=current.approved_by or "",
        approved_at=current.approved_at,
        posted_on=current.posted_on,
        acceptance=current.acceptance,
        proof=current.proof,
        installments=tuple(parts.get((row.number, row.version), ())),
        draft=_of(row, newest) if waits else None,
        draft_acceptance=newest.acceptance if waits else None,
        offered=open_.offered if open_ else None,
        waits_since=row.waits_since,
        renewed=row.renewed,
    )


def _of(row: Any, version: Any) -> Plan:
    """The terms, under whoever the customer is today: the ledger may have merged them into another."""
    plan = terms_of.load(version.terms)
    return plan if plan.customer_id == row.customer_id else replace(plan, customer_id=row.customer_id)


def _row(row: Any) -> Row:
    return Row(
        n=row.n,
        due=row.due,
        nominal_due=row.nominal_due,
        amount=row.amount,
        principal=row.principal,
        interest=row.interest,
        invoice_id=row.invoice_id,
        open=row.open,
        state=row.state or "",
    )
