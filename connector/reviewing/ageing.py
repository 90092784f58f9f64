"""What grows older by itself: of customers whom a night leaves alone, the few stored things that lists are ordered and
counted by. A few statements for as many organizations as there are.

How pressing a customer is rises with every day, and so does what of it is overdue; a reminder waits for a day of the week; and what one customer owes may
become much of everything because another one paid. The words are counted when somebody looks (`current`).
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector import bulk, db
from connector.contact import guarding, reminders
from connector.db import assessments, customers, findings, invoices
from connector.domain import assessment, dunning
from connector.domain.assessment import Owed
from connector.domain.findings.owed import is_much
from connector.reviewing.looking import Circle

_OPEN = ("open", "partly_paid")

_PLACE = itemgetter(6, 7, 8, 9)  # due, date, number, id: the order of `Receivables.open`

Key = tuple[str, str]  # connection, customer


@dataclass(frozen=True, slots=True)
class Standing:
    """What one customer has open, as the books say; `as_of` None: not reviewed by themselves."""

    segment: str | None
    priority: float | None
    overdue: int | None
    as_of: dt.date | None
    owed: tuple[Owed, ...]


def standing(tx: Connection, connection_ids: Iterable[str]) -> dict[Key, Standing]:
    """Every customer of these organizations who owes."""
    i, a = invoices.c, assessments.c
    same = sa.and_(a.connection_id == i.connection_id, a.customer_id == i.customer_id)
    query = (
        sa.select(
            i.connection_id, i.customer_id, a.segment, a.priority, a.overdue, a.as_of,
            i.due, i.date, i.number, i.id, i.balance, i.currency, i.rate,
        )
        .outerjoin(assessments, same)
        .where(db.among(tx, i.connection_id, connection_ids), i.balance > 0, i.status.in_(_OPEN))
    )  # fmt: skip
    found: dict[Key, list[Any]] = defaultdict(list)
    for row in tx.execute(query).all():
        found[row[0], row[1]].append(row)
    return {key: _standing(rows) for key, rows in found.items()}


def _standing(rows: list[Any]) -> Standing:
    _, _, segment, priority, overdue, as_of, *_ = rows[0]
    owed = tuple((r.due, r.balance, r.currency, float(r.rate or 1)) for r in sorted(rows, key=_PLACE))
    return Standing(segment, priority, overdue, as_of, owed)


def shifted(tx: Connection, connection_ids: Iterable[str], known: Mapping[Key, Standing]) -> set[Key]:
    """Whoever owes much of everything now and did not, or the other way round: others paid, or were billed."""
    f = findings.c
    query = sa.select(f.connection_id, f.customer_id, f.key).where(
        db.among(tx, f.connection_id, connection_ids), f.kind == "concentration", f.closed_on.is_(None)
    )
    before = {(row[0], row[1], row[2]) for row in tx.execute(query)}
    sums: dict[tuple[str, str, str], int] = defaultdict(int)
    for (connection_id, customer_id), each in known.items():
        for _, minor, currency, _ in each.owed:
            sums[connection_id, customer_id, currency] += minor
    books: dict[tuple[str, str], list[int]] = defaultdict(list)
    for (connection_id, _, currency), minor in sums.items():
        books[connection_id, currency].append(minor)
    much = {
        key for key, minor in sums.items()
        if is_much(minor, sum(books[key[0], key[2]]), len(books[key[0], key[2]]))
    }  # fmt: skip
    return {key[:2] for key in before ^ much}


def keep(
    tx: Connection,
    circles: Mapping[str, Circle],
    known: Mapping[Key, Standing],
) -> None:
    """Bring whom nobody looked at up to the day of their organization."""
    rows = []
    for (connection_id, customer_id), each in known.items():
        today = circles[connection_id].today
        if each.as_of is None or each.segment is None or each.as_of > today:
            continue
        priority = assessment.at_risk(each.owed, each.segment, today)
        overdue = _overdue(each.owed, today)
        if (priority, overdue) != (each.priority, each.overdue):
            key = {"connection_id": connection_id, "customer_id": customer_id}
            rows.append({**key, "priority": priority, "overdue": overdue})
    bulk.update(tx, assessments, ("connection_id", "customer_id"), rows)
    _on_this_day(tx, circles, known)


def _overdue(owed: Iterable[Owed], today: dt.date) -> int:
    """In the currency in which it is most."""
    sums: dict[str, int] = {}
    for due, minor, currency, _ in owed:
        sums[currency] = sums.get(currency, 0) + (minor if due < today else 0)
    return max(sums.values())


def _on_this_day(tx: Connection, circles: Mapping[str, Circle], known: Mapping[Key, Standing]) -> None:
    r, c = db.reminders.c, customers.c
    who = sa.and_(c.connection_id == r.connection_id, c.id == r.customer_id)
    query = (
        sa.select(r.id, r.connection_id, r.customer_id, r.held_because, c.country)
        .select_from(db.reminders.join(customers, who))
        .where(db.among(tx, r.connection_id, circles), r.state.in_(reminders.OPEN))
    )
    changed = []
    for id, connection_id, customer_id, because, country in tx.execute(query).all():
        if (connection_id, customer_id) not in known:
            continue  # somebody looked at them just now, or nothing is open any more
        circle = circles[connection_id]
        decided, today = circle.decided, circle.today
        where = country or guarding.home(circle.organization, decided)
        held = dunning.on_this_day(because, reminders.NEEDS_PERSON, decided.policy.reminders, today, where)
        if held != because:
            changed.append({"id": id, "held_because": held, "state": "held" if held else "due"})
    bulk.update(tx, db.reminders, ("id",), changed)
