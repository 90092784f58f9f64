"""An organization's whole book in columns, read in one pass: what is learned from all customers at once.

Rows become whole numbers as they come, so a million invoices need some hundred bytes each and no objects.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector.db import allocations, credits, customers, invoices, payments
from connector.domain.prediction.history import from_columns
from connector.domain.prediction.timeline import Days, History

CHUNK = 50_000  # rows


def history(tx: Connection, connection_id: str, today: dt.date) -> tuple[History, list[str]]:
    """The invoices that show how customers pay, as known at the end of `today`, and each row's invoice id.

    Left out, as everywhere in prediction: voided invoices and drafts, our own installments, and originals
    that our own credit note closed. A customer merged into another counts as that other.
    """
    days = _Days()
    codes: dict[str, int] = {}
    currencies: dict[str, int] = {}
    survivor = _survivors(tx, connection_id)
    ours = _ours(tx, connection_id)
    ids: list[str] = []
    found = []
    i = invoices.c
    query = sa.select(i.id, i.customer_id, i.currency, i.date, i.due, i.total, i.balance).where(
        i.connection_id == connection_id,
        i.status.not_in(["void", "draft"]),
        i.total > 0,
        i.marker == "",
        i.date <= today,
    )
    for rows in _chunks(tx, query):
        kept = [r for r in rows if r[0] not in ours] if ours else rows
        ids += [r[0] for r in kept]
        found.append(
            np.array(
                [
                    (
                        codes.setdefault(survivor.get(who, who), len(codes)),
                        currencies.setdefault(currency, len(currencies)),
                        days[issued],
                        days[due],
                        total,
                        balance,
                    )
                    for _, who, currency, issued, due, total, balance in kept
                ],
                np.int64,
            ).reshape(-1, 6)
        )
    settled = _settlements(tx, connection_id, {id: n for n, id in enumerate(ids)}, days)
    columns = np.concatenate(found) if found else np.zeros((0, 6), np.int64)
    made, kept_rows = from_columns(*columns.T, *settled.T, today=today.toordinal())
    return made, [ids[n] for n in kept_rows.tolist()]


def _settlements(tx: Connection, connection_id: str, index: dict[str, int], days: _Days) -> Days:
    """(invoice index, day, amount) of everything set against an invoice by a payment or credit that counts."""
    a = allocations.c
    found = [np.zeros((0, 3), np.int64)]
    for source, table in (("payment", payments), ("credit", credits)):
        mine = sa.and_(a.connection_id == connection_id, a.source == source)
        void = sa.select(table.c.id).where(table.c.connection_id == connection_id, table.c.void)
        dated = sa.select(a.invoice_id, a.date, a.amount).where(
            mine, a.date.is_not(None), a.source_id.not_in(void)
        )
        undated = (
            sa.select(a.invoice_id, table.c.date, a.amount)
            .join(table, sa.and_(table.c.connection_id == a.connection_id, table.c.id == a.source_id))
            .where(mine, a.date.is_(None), table.c.void.is_(False))
        )
        for query in (dated, undated):
            for rows in _chunks(tx, query):
                known = [(index[id], days[day], amount) for id, day, amount in rows if id in index]
                found.append(np.array(known, np.int64).reshape(-1, 3))
    return np.concatenate(found)


def _survivors(tx: Connection, connection_id: str) -> dict[str, str]:
    c = customers.c
    query = sa.select(c.id, c.merged_into).where(c.connection_id == connection_id, c.merged_into != "")
    into = {row.id: row.merged_into for row in tx.execute(query)}

    def end(id: str) -> str:
        seen = {id}
        while id in into and into[id] not in seen:
            id = into[id]
            seen.add(id)
        return id

    return {id: end(id) for id in into}


def _ours(tx: Connection, connection_id: str) -> set[str]:
    """Invoices that our own credit note closed."""
    a, c = allocations.c, credits.c
    query = (
        sa.select(a.invoice_id)
        .join(credits, sa.and_(c.connection_id == a.connection_id, c.id == a.source_id))
        .where(a.connection_id == connection_id, a.source == "credit", c.marker != "", c.void.is_(False))
    )
    return set(tx.scalars(query))


def _chunks(tx: Connection, query: sa.Select[Any]) -> Iterator[Sequence[Any]]:
    """Raw rows, some ten thousand at a time, past SQLAlchemy's types: dates come as the database keeps them."""
    cursor = tx.execute(query).cursor
    while cursor is not None and (rows := cursor.fetchmany(CHUNK)):
        yield rows


class _Days(dict[Any, int]):
    """A date, or its ISO text, as an ordinal. Books have few thousand different days."""

    def __missing__(self, day: Any) -> int:
        date = dt.date.fromisoformat(day[:10]) if isinstance(day, str) else day
        self[day] = found = date.toordinal()
        return found
