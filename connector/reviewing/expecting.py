"""What money was expected, week by week, and when we said so: kept, because it cannot be said afterwards.

One set of weeks is kept for each week in which it was said; a whole review replaces the one of the running
week and leaves earlier ones as they were, so that pages can show whether we changed our mind, and whether we
were right. Where nothing was said four weeks ago, because nobody had installed Forbear yet, it is worked out
from what the books held on that day, and marked so.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector import bulk, db
from connector.domain import expected, on_account
from connector.domain.expected import Coming, Week, monday
from connector.domain.on_account import Held
from connector.domain.policy import Mode
from connector.domain.prediction import outlook
from connector.domain.prediction.history import history
from connector.domain.receivables import Invoice, Status
from connector.mirroring import books
from connector.planning import plans
from connector.planning.plans import Record
from connector.reviewing.conclusions import Prediction

WEEKS = 12  # said each time: eight ahead of today, four weeks later still
BACK = dt.timedelta(weeks=4)  # the comparison
KEPT = dt.timedelta(weeks=26)
_LATE = dt.timedelta(days=21)  # an installment is expected on its day and seldom later than this
_OPEN = (Status.OPEN.value, Status.PARTLY_PAID.value)


@dataclass(frozen=True, slots=True)
class Said:
    """What was expected on one day. `told`: really said then; otherwise worked out later from the books of it."""

    on: dt.date
    told: bool
    weeks: tuple[Week, ...]

    def between(self, first: dt.date, last: dt.date) -> tuple[Week, ...]:
        return tuple(w for w in self.weeks if first <= w.monday <= last)


@dataclass(frozen=True, slots=True)
class Expectation:
    """One currency: what is said now, what was said four weeks ago, and what came since of what was known then."""

    now: Said
    before: Said | None
    came: int | None


# ---------------------------------------------------------------- what is said


def coming(
    tx: Connection,
    connection_id: str,
    predicted: Mapping[str, Prediction],
    edge: dt.date,
    held: Held = on_account.NOTHING,
) -> list[Coming]:
    """Every open sum with the days on which it may come: predictions, and the dates of running plans.

    What money on account is `held` against has come already. What was known on the day `edge` counts as older.
    """
    running = plans.of_connection(tx, connection_id, states=("running", "broken"))
    noted = [r for r in running if r.plan.mode is Mode.NOTES]
    planned = {s.invoice_id for r in noted for s in r.plan.sources}
    i = db.invoices.c
    query = sa.select(i.id, i.currency, i.balance, i.date, i.due, i.marker).where(
        i.connection_id == connection_id, i.balance > 0, i.status.in_(_OPEN)
    )
    found = [_rows(record) for record in noted]
    single = []
    for row in tx.execute(query):
        said = predicted.get(row.id)
        missing = row.balance - on_account.covered(held.get(row.id, ()))
        if row.id in planned or missing <= 0:
            continue
        if row.marker:
            single.append(_installment(row.currency, missing, row.due))
        elif said and said.expected_payment and said.earliest and said.latest:
            single.append(
                Coming(row.currency, missing, said.earliest, said.expected_payment, said.latest, row.date <= edge)
            )  # fmt: skip
    return [*single, *(c for rows in found for c in rows)]


def _before(tx: Connection, connection_id: str, today: dt.date) -> tuple[dt.date, dict[str, int | None]]:
    """The day, four weeks ago, whose expectation today's is compared with, and what is kept as come since then.

    The second is by currency, and empty where nothing was said.
    """
    c = db.expected_weeks.c
    mine = sa.and_(c.connection_id == connection_id, c.said_in == monday(today) - BACK)
    rows = tx.execute(sa.select(c.said_on, c.currency, c.came).where(mine).distinct()).all()
    return (rows[0].said_on if rows else monday(today) - BACK), {r.currency: r.came for r in rows}


def _rows(record: Record) -> list[Coming]:
    return [_installment(record.plan.currency, r.open, r.due) for r in record.installments if r.open > 0]


def _installment(currency: str, amount: int, due: dt.date) -> Coming:
    """A plan re-dates money that was owed before: it counts as older."""
    return Coming(currency, amount, due - dt.timedelta(days=3), due, due + _LATE, older=True)


def keep(tx: Connection, connection_id: str, predicted: Mapping[str, Prediction], *, today: dt.date) -> None:
    """Say what is expected now, in place of what was said earlier in this week."""
    edge, known = _before(tx, connection_id, today)
    _, held = books.on_account(tx, connection_id, today)
    said = expected.weeks(coming(tx, connection_id, predicted, edge, held), today, WEEKS)
    _store(tx, connection_id, today, said)
    _count_what_came(tx, connection_id, today, edge, known)


def _store(
    tx: Connection, connection_id: str, on: dt.date, said: Mapping[str, Iterable[Week]], *, told: bool = True
) -> None:
    """In place of what was said in the same week; what is too old to show goes."""
    c = db.expected_weeks.c
    over = sa.or_(c.said_in == monday(on), c.said_in < on - KEPT)
    tx.execute(sa.delete(db.expected_weeks).where(c.connection_id == connection_id, over))
    rows = [
        {
            "connection_id": connection_id, "said_in": monday(on), "said_on": on, "told": told, "currency": currency,
            "week": w.monday, "amount": w.amount, "low": w.low, "high": w.high, "older": w.older,
        }
        for currency, weeks in said.items()
        for w in weeks
    ]  # fmt: skip
    bulk.insert(tx, db.expected_weeks, rows)


# ---------------------------------------------------------------- what was not said in time


def worked_out_later(tx: Connection, connection_id: str, today: dt.date) -> dict[str, list[Week]] | None:
    """What the books of four weeks ago let expect; None when something was said then. Walks over all invoices."""
    day, c = monday(today) - BACK, db.expected_weeks.c
    known = sa.select(c.said_in).where(c.connection_id == connection_id, c.said_in == day).limit(1)
    if tx.scalar(known) is not None:
        return None
    settlements = books.settlements(tx, connection_id)
    since: dict[str, int] = {}
    for id, on, amount in settlements:
        if on > day:
            since[id] = since.get(id, 0) + amount
    then = [
        replace(i, balance=min(i.total, i.balance + since.get(i.id, 0)))
        for i in books.invoices(tx, connection_id)
        if i.date <= day and i.status not in (Status.VOID, Status.DRAFT) and not i.marker and i.total > 0
    ]
    columns, ids = history(then, [s for s in settlements if s[1] <= day], day)
    by_id: dict[str, Invoice] = {i.id: i for i in then}
    sums = [
        Coming(by_id[id].currency, by_id[id].balance, o.earliest, o.expected, o.latest, older=True)
        for id, o in outlook.learn(columns, ids, day).items()
    ]
    return expected.weeks(sums, day, WEEKS)


def keep_later(
    tx: Connection, connection_id: str, said: Mapping[str, Iterable[Week]], *, today: dt.date
) -> None:
    """Keep what `worked_out_later` found, marked as not said at the time."""
    _store(tx, connection_id, monday(today) - BACK, said, told=False)
    _count_what_came(tx, connection_id, today, *_before(tx, connection_id, today))


# ---------------------------------------------------------------- how it went


def _count_what_came(
    tx: Connection, connection_id: str, today: dt.date, first: dt.date, known: Mapping[str, int | None]
) -> None:
    """What came from the day of the earlier expectation to last Sunday, of invoices that were known then.

    Money only, no credits; an installment stands for the invoice that it re-dates. `first` and `known`: see `_before`.
    """
    if not known:
        return
    last = monday(today) - dt.timedelta(days=1)
    a, p, i = db.allocations.c, db.payments.c, db.invoices.c
    on = sa.func.coalesce(a.date, p.date, type_=sa.Date)
    query = (
        sa.select(i.currency, sa.func.sum(a.amount))
        .select_from(db.allocations)
        .join(db.payments, sa.and_(p.connection_id == a.connection_id, p.id == a.source_id))
        .join(db.invoices, sa.and_(i.connection_id == a.connection_id, i.id == a.invoice_id))
        .where(
            a.connection_id == connection_id,
            a.source == "payment",
            p.void.is_(False),
            on > first,
            on <= last,
            sa.or_(i.date <= first, i.marker != ""),
        )
        .group_by(i.currency)
    )
    c = db.expected_weeks.c
    said_then = sa.and_(c.connection_id == connection_id, c.said_in == monday(first))
    came = dict.fromkeys(known, 0) | {row[0]: int(row[1]) for row in tx.execute(query)}
    for currency, kept in known.items():
        if came[currency] != kept:
            mine = sa.update(db.expected_weeks).where(said_then, c.currency == currency)
            tx.execute(mine.values(came=came[currency]))


# ---------------------------------------------------------------- for the pages


def of_connection(tx: Connection, connection_id: str, today: dt.date) -> dict[str, Expectation]:
    """By currency, from the last whole review of this week; a page reads these few rows alone."""
    c = db.expected_weeks.c
    first = monday(today)
    query = (
        sa.select(db.expected_weeks)
        .where(c.connection_id == connection_id, c.said_in.in_([first, first - BACK]))
        .order_by(c.currency, c.said_in, c.week)
    )
    rows: dict[tuple[str, dt.date], list[Any]] = {}
    for row in tx.execute(query):
        rows.setdefault((row.currency, row.said_in), []).append(row)
    return {
        currency: Expectation(
            _said(kept),
            _said(earlier) if (earlier := rows.get((currency, first - BACK))) else None,
            earlier[0].came if earlier else None,
        )
        for (currency, said_in), kept in rows.items()
        if said_in == first
    }


def _said(rows: list[Any]) -> Said:
    weeks = tuple(Week(r.week, r.amount, r.low, r.high, r.older) for r in rows)
    return Said(rows[0].said_on, rows[0].told, weeks)
