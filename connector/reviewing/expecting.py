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
from connector.planning import plan_records
from connector.planning.plan_records import Record
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
    known = {connection_id: predicted}
    return _coming(tx, known, {connection_id: edge}, {connection_id: held})[connection_id]


def _coming(
    tx: Connection,
    predicted: Mapping[str, Mapping[str, Prediction]],
    edges: Mapping[str, dt.date],
    held: Mapping[str, Held],
) -> dict[str, list[Coming]]:
    """`coming` of each of these organizations."""
    running = plan_records.of_connections(tx, list(predicted), states=("running", "broken"))
    noted = [r for r in running if r.plan.mode is Mode.NOTES]
    planned = {(r.connection_id, s.invoice_id) for r in noted for s in r.plan.sources}
    i = db.invoices.c
    query = sa.select(i.connection_id, i.id, i.currency, i.balance, i.date, i.due, i.marker).where(
        i.connection_id.in_(list(predicted)), i.balance > 0, i.status.in_(_OPEN)
    )
    found: dict[str, list[Coming]] = {id: [] for id in predicted}
    for row in tx.execute(query):
        id, currency = row.connection_id, row.currency
        said = predicted[id].get(row.id)
        missing = row.balance - on_account.covered(held[id].get(row.id, ()))
        if (id, row.id) in planned or missing <= 0:
            continue
        if row.marker:
            found[id].append(_installment(currency, missing, row.due))
        elif said and said.expected_payment and said.earliest and said.latest:
            days = said.earliest, said.expected_payment, said.latest
            found[id].append(Coming(currency, missing, *days, row.date <= edges[id]))
    for record in noted:
        found[record.connection_id] += _rows(record)
    return found


_Earlier = tuple[dt.date, dict[str, int | None]]


def _before(tx: Connection, days: Mapping[str, dt.date]) -> dict[str, _Earlier]:
    """By organization the day, four weeks ago, whose expectation today's is compared with, and what is kept as come
    since then. The second is by currency, and empty where nothing was said.
    """
    c = db.expected_weeks.c
    weeks = {id: monday(today) - BACK for id, today in days.items()}
    query = sa.select(c.connection_id, c.said_in, c.said_on, c.currency, c.came).distinct()
    mine = query.where(c.connection_id.in_(list(days)), c.said_in.in_(set(weeks.values())))
    found: dict[str, _Earlier] = {id: (week, {}) for id, week in weeks.items()}
    for row in tx.execute(mine):
        if row.said_in == weeks[row.connection_id]:
            known = found[row.connection_id][1]
            found[row.connection_id] = row.said_on, known | {row.currency: row.came}
    return found


def _rows(record: Record) -> list[Coming]:
    return [_installment(record.plan.currency, r.open, r.due) for r in record.installments if r.open > 0]


def _installment(currency: str, amount: int, due: dt.date) -> Coming:
    """A plan re-dates money that was owed before: it counts as older."""
    return Coming(currency, amount, due - dt.timedelta(days=3), due, due + _LATE, older=True)


def keep(
    tx: Connection,
    predicted: Mapping[str, Mapping[str, Prediction]],
    held: Mapping[str, Held],
    days: Mapping[str, dt.date],
) -> None:
    """Say what these organizations can expect now, in place of what was said earlier in this week. `held` as in
    `coming`; `days` is the today of each."""
    earlier = _before(tx, days)
    open_ = _coming(tx, predicted, {id: edge for id, (edge, _) in earlier.items()}, held)
    _store(tx, days, {id: expected.weeks(sums, days[id], WEEKS) for id, sums in open_.items()})
    _count_what_came(tx, days, earlier)


def _store(
    tx: Connection,
    on: Mapping[str, dt.date],
    said: Mapping[str, Mapping[str, Iterable[Week]]],
    *,
    told: bool = True,
) -> None:
    """In place of what was said in the same week; what is too old to show goes."""
    c = db.expected_weeks.c
    for day in set(on.values()):
        over = sa.or_(c.said_in == monday(day), c.said_in < day - KEPT)
        mine = c.connection_id.in_([id for id, theirs in on.items() if theirs == day])
        tx.execute(sa.delete(db.expected_weeks).where(mine, over))
    rows = [
        {
            "connection_id": id, "said_in": monday(on[id]), "said_on": on[id], "told": told, "currency": currency,
            "week": w.monday, "amount": w.amount, "low": w.low, "high": w.high, "older": w.older,
        }
        for id, by_currency in said.items()
        for currency, weeks in by_currency.items()
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
    _store(tx, {connection_id: monday(today) - BACK}, {connection_id: said}, told=False)
    days = {connection_id: today}
    _count_what_came(tx, days, _before(tx, days))


# ---------------------------------------------------------------- how it went


def _count_what_came(tx: Connection, days: Mapping[str, dt.date], earlier: Mapping[str, _Earlier]) -> None:
    """What came from the day of the earlier expectation to last Sunday, of invoices that were known then.

    Money only, no credits; an installment stands for the invoice that it re-dates. `earlier`: see `_before`.
    """
    spans: dict[tuple[dt.date, dt.date], list[str]] = {}
    for id, (first, known) in earlier.items():
        if known:
            spans.setdefault((first, monday(days[id]) - dt.timedelta(days=1)), []).append(id)
    other = []
    for (first, last), ids in spans.items():
        came = _came(tx, ids, first, last)
        other += [
            {"connection_id": id, "said_in": monday(first), "currency": currency, "came": sum_}
            for id in ids
            for currency, kept in earlier[id][1].items()
            if (sum_ := came.get((id, currency), 0)) != kept
        ]
    bulk.update(tx, db.expected_weeks, ("connection_id", "said_in", "currency"), other)


def _came(
    tx: Connection, connection_ids: list[str], first: dt.date, last: dt.date
) -> dict[tuple[str, str], int]:
    a, p, i = db.allocations.c, db.payments.c, db.invoices.c
    on = sa.func.coalesce(a.date, p.date, type_=sa.Date)
    query = (
        sa.select(a.connection_id, i.currency, sa.func.sum(a.amount))
        .select_from(db.allocations)
        .join(db.payments, sa.and_(p.connection_id == a.connection_id, p.id == a.source_id))
        .join(db.invoices, sa.and_(i.connection_id == a.connection_id, i.id == a.invoice_id))
        .where(
            a.connection_id.in_(connection_ids),
            a.source == "payment",
            p.void.is_(False),
            on > first,
            on <= last,
            sa.or_(i.date <= first, i.marker != ""),
        )
        .group_by(a.connection_id, i.currency)
    )
    return {(row[0], row[1]): int(row[2]) for row in tx.execute(query)}


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
