"""Sums and counts that pages show, grouped in the database.

A page costs the same with 1,000 and with 200,000 invoices: sums come from what the database keeps by itself
(`connector.tables.sums`) or the last review left, lists from an index in their order.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector import db
from connector.customer_page import customer_answers
from connector.domain.aging import BUCKETS
from connector.domain.receivables import Status
from connector.planning import plan_records

Ids = Collection[str]
Aged = dict[str, dict[str, int]]  # currency → bucket → minor units

_OPEN = (Status.OPEN.value, Status.PARTLY_PAID.value)


def aged(tx: Connection, connection_ids: Ids, today: dict[str, dt.date]) -> dict[str, Aged]:
    """What is open by age, per organization and currency; `today` is each organization's own day."""
    d = db.open_days.c
    found: dict[str, Aged] = {id: {} for id in connection_ids}
    for id in connection_ids:
        bucket = _bucket(d.due, today[id])
        query = sa.select(d.currency, bucket, sa.func.sum(d.amount)).where(d.connection_id == id)
        for currency, name, minor in tx.execute(query.group_by(d.currency, bucket)):
            found[id].setdefault(currency, dict.fromkeys(BUCKETS, 0))[name] = int(minor)
    return found


def _bucket(due: Any, today: dt.date) -> sa.Case[Any]:
    """The aging bucket as the domain draws it: overdue is strictly after the due date."""
    ends = [today - dt.timedelta(days=n) for n in (0, 30, 60, 90)]
    return sa.case(
        *((due >= end, name) for end, name in zip(ends, BUCKETS[:4], strict=True)), else_=BUCKETS[4]
    )


@dataclass(frozen=True, slots=True)
class Owes:
    """What one customer owes in one currency, minor units; `oldest` is the earliest due date of it."""

    customer_id: str
    currency: str
    open: int
    overdue: int
    oldest: dt.date


def owing(
    tx: Connection, connection_id: str, today: dt.date, customer_ids: Ids | None = None
) -> dict[str, list[Owes]]:
    """Every customer with something open, or those named."""
    i = db.invoices.c
    late = sa.func.sum(sa.case((i.due < today, i.balance), else_=0))
    query = (
        sa.select(i.customer_id, i.currency, sa.func.sum(i.balance), late, sa.func.min(i.due, type_=sa.Date))
        .where(i.connection_id == connection_id, i.balance > 0, i.status.in_(_OPEN))
        .group_by(i.customer_id, i.currency)
    )
    if customer_ids is not None:
        query = query.where(i.customer_id.in_(sorted(customer_ids)))
    found: dict[str, list[Owes]] = defaultdict(list)
    for customer_id, currency, minor, overdue, oldest in tx.execute(query):
        found[customer_id].append(Owes(customer_id, currency, int(minor), int(overdue), oldest))
    return dict(found)


def most_overdue(tx: Connection, connection_id: str, today: dt.date, limit: int) -> tuple[list[str], int]:
    """Customers with something open, the most overdue first (in any one currency), and how many there are.

    From the books as they are: walks over everything that is open.
    """
    i = db.invoices.c
    late = sa.func.sum(sa.case((i.due < today, i.balance), else_=0)).label("late")
    open_ = sa.and_(i.connection_id == connection_id, i.balance > 0, i.status.in_(_OPEN))
    sums = sa.select(i.customer_id, late).where(open_).group_by(i.customer_id, i.currency).subquery()
    query = (
        sa.select(sums.c.customer_id)
        .group_by(sums.c.customer_id)
        .order_by(sa.func.max(sums.c.late).desc(), sums.c.customer_id)
    )
    found = list(tx.scalars(query))
    return found[:limit], len(found)


def by_overdue(tx: Connection, connection_id: str, limit: int, offset: int = 0) -> tuple[list[str], int]:
    """A page of the same list as the last review of each customer left it: every night, and soon after something
    about them changed."""
    a = db.assessments.c
    owes = sa.and_(a.connection_id == connection_id, a.overdue.is_not(None))
    count = tx.scalar(sa.select(sa.func.count()).where(owes)) or 0
    query = sa.select(a.customer_id).where(owes).order_by(a.overdue.desc(), a.customer_id.desc())
    return list(tx.scalars(query.limit(limit).offset(offset))), count


def overdue_customers(tx: Connection, connection_id: str, until: dt.date) -> int:
    """How many customers have something open that fell due on `until` or before."""
    i = db.invoices.c
    query = sa.select(sa.func.count(sa.distinct(i.customer_id))).where(
        i.connection_id == connection_id, i.balance > 0, i.status.in_(_OPEN), i.due <= until
    )
    return tx.scalar(query) or 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for a person at one organization, and where its plans stand."""

    plans: Counter[str]
    late: int
    failed: int
    todos: int
    answers: int = 0  # of customers on their own page; a draft that one wants is among the plans
    looks: int = 0  # plans under way about which a person must decide something

    @property
    def proposed(self) -> int:
        return self.plans["proposed"]

    @property
    def total(self) -> int:
        return self.proposed + self.failed + self.todos + self.answers + self.looks


def waiting(tx: Connection, connection_ids: Ids) -> dict[str, Waiting]:
    """Counts per organization, of plans by state, of failed writes and of open to-dos."""
    ids = sorted(connection_ids)
    states: dict[str, Counter[str]] = defaultdict(Counter)
    t, p = db.tallies.c, db.plans.c
    for id, state, count in tx.execute(
        sa.select(t.connection_id, t.name, t.n).where(t.connection_id.in_(ids), t.what == "plans")
    ):
        states[id][state] = count
    late = _counts(tx, db.plans, ids, p.state == "running", p.progress == "late")
    failed = _counts(tx, db.writes, ids, db.writes.c.state == "failed")
    todos = _counts(tx, db.todos, ids, db.todos.c.done_at.is_(None))
    looks = _counts(tx, db.plans, ids, plan_records.to_look_at())
    answers = customer_answers.count_beside_drafts(tx, ids)
    more = (late, failed, todos, answers, looks)
    return {id: Waiting(states[id], *(each.get(id, 0) for each in more)) for id in connection_ids}


def _counts(tx: Connection, table: sa.Table, ids: Sequence[str], *where: Any) -> dict[str, int]:
    c = table.c.connection_id
    query = sa.select(c, sa.func.count()).where(c.in_(ids), *where).group_by(c)
    return {row[0]: row[1] for row in tx.execute(query)}


def still_to_come(tx: Connection, connection_ids: Ids) -> dict[str, dict[str, tuple[int, int]]]:
    """Per organization and currency: (open, agreed) over its running plans, in minor units."""
    p, n = db.plans.c, db.installments.c
    query = (
        sa.select(p.connection_id, p.currency, sa.func.sum(n.open), sa.func.sum(n.amount))
        .select_from(db.plans.join(db.installments, sa.and_(n.plan == p.number, n.version == p.version)))
        .where(p.connection_id.in_(sorted(connection_ids)), p.state.in_(["running", "broken"]))
        .group_by(p.connection_id, p.currency)
    )
    found: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
    for id, currency, left, agreed in tx.execute(query):
        found[id][currency] = (int(left), int(agreed))
    return dict(found)


def pressing(tx: Connection, connection_id: str, limit: int) -> tuple[list[str], int]:
    """The customers with findings, the most pressing first, and how many there are in all."""
    a = db.assessments.c
    # The zero is written out: an index with a condition is not used for a value that comes later.
    found = sa.and_(a.connection_id == connection_id, a.findings > sa.literal_column("0"))
    count = tx.scalar(sa.select(sa.func.count()).where(found)) or 0
    query = sa.select(a.customer_id).where(found).order_by(a.priority.desc(), a.customer_id.desc())
    return list(tx.scalars(query.limit(limit))), count


def held(tx: Connection, connection_id: str) -> Counter[str]:
    """How many reminders each reason holds back now."""
    found: Counter[str] = Counter()
    for text, count in tx.execute(_HELD, {"id": connection_id}):
        for reason in json.loads(text):
            found[reason] += count
    return found


def held_count(tx: Connection, connection_id: str) -> int:
    """How many reminders are held back now."""
    return sum(count for _, count in tx.execute(_HELD, {"id": connection_id}))


_HELD = sa.select(db.tallies.c.name, db.tallies.c.n).where(  # by the list of what holds them, as JSON
    db.tallies.c.connection_id == sa.bindparam("id"), db.tallies.c.what == "held"
)


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that a search found: `what` is customer, invoice or plan."""

    what: str
    connection_id: str
    id: str
    label: str
    customer_id: str


def search(tx: Connection, connection_ids: Ids, words: str, limit: int = 30) -> list[Hit]:
    """Customers whose name holds these words, invoices with this number, a plan of this number."""
    ids, asked = sorted(connection_ids), words.strip()
    if not asked or not ids:
        return []
    c, i, p = db.customers.c, db.invoices.c, db.plans.c
    named = sa.select(c.connection_id, c.id, c.name).where(
        c.connection_id.in_(ids), sa.func.lower(c.name).contains(asked.lower(), autoescape=True)
    )
    found = [
        Hit("customer", row.connection_id, row.id, row.name, row.id)
        for row in tx.execute(named.order_by(c.name).limit(limit))
    ]
    numbered = sa.select(i.connection_id, i.id, i.number, i.customer_id).where(
        i.connection_id.in_(ids), i.number == asked
    )
    found += [
        Hit("invoice", row.connection_id, row.id, row.number, row.customer_id)
        for row in tx.execute(numbered.limit(limit))
    ]
    if asked.upper().startswith("PP-") and asked[3:].isdigit():
        one = sa.select(p.connection_id, p.number, p.customer_id).where(
            p.connection_id.in_(ids), p.number == int(asked[3:])
        )
        found += [
            Hit("plan", row.connection_id, f"PP-{row.number:04d}", f"PP-{row.number:04d}", row.customer_id)
            for row in tx.execute(one)
        ]
    return found
