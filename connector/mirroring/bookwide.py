"""An organization's whole book in columns, read in one pass: what is learned from all customers at once.

Rows become whole numbers as they come, so a million invoices need some hundred bytes each and no objects.
"""

from __future__ import annotations

import datetime as dt
import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector.db import allocations, credits, invoices, payments
from connector.domain.glance import Rows
from connector.domain.prediction.history import from_columns
from connector.domain.prediction.timeline import Days, History
from connector.mirroring import books

CHUNK = 2_000  # rows that are turned into columns at once: few enough to stay in the processor's cache
_UNDATED = 0


def history(tx: Connection, connection_id: str, today: dt.date) -> tuple[History, list[str]]:
    """The invoices that show how customers pay, as known at the end of `today`, and each row's invoice id."""
    return learned(rows(tx, connection_id, today), today)


def learned(rows: Rows, today: dt.date) -> tuple[History, list[str]]:
    """`history`, of rows that have been read."""
    made, kept = from_columns(
        rows.customer,
        rows.currency,
        rows.issued,
        rows.due,
        rows.total,
        rows.balance,
        rows.paid_invoice,
        rows.paid_day,
        rows.paid_amount,
        today=today.toordinal(),
    )
    return made, [rows.ids[n] for n in kept.tolist()]


def rows(tx: Connection, connection_id: str, today: dt.date) -> Rows:
    """The invoices that show how customers pay, and what was set against them.

    Left out, as everywhere in prediction: voided invoices and drafts, our own installments, and originals
    that our own credit note closed. A customer merged into another counts as that other. `apart` are customers
    of whom the columns do not tell everything.
    """
    with _no_collecting():
        return _rows(tx, connection_id, today)


def _rows(tx: Connection, connection_id: str, today: dt.date) -> Rows:
    owners, currencies, days, parts = _Codes(), _Codes(), _Days(), list[Days]()
    ids: list[str] = []
    i = invoices.c
    query = sa.select(i.id, i.customer_id, i.currency, i.date, i.due, i.total, i.balance, i.marker)
    query = query.where(i.connection_id == connection_id, i.status.not_in(["void", "draft"]))
    for part in _chunks(tx, query):
        id, who, code, day, end, whole, rest, marker = zip(*part, strict=True)
        ids += id
        coded: Any = ((owners, who), (currencies, code), (days, day), (days, end))
        marked = np.fromiter(map(bool, marker), np.int64, len(part))
        money = (np.array(column, np.int64) for column in (whole, rest))
        parts.append(np.stack([*(_coded(codes, column) for codes, column in coded), *money, marked]))
    columns = np.concatenate([np.zeros((7, 0), np.int64), *parts], axis=1)
    customer, currency, issued, due, total, balance, ours = columns
    index = dict(zip(ids, range(len(ids)), strict=True))
    left_out = (ours > 0) | (total <= 0) | (issued > today.toordinal())
    left_out[[index[id] for id in _ours(tx, connection_id) if id in index]] = True
    apart, *void = _apart(tx, connection_id)
    settled = np.concatenate(
        [
            _settlements(tx, connection_id, table, gone, index, owners, days)
            for table, gone in zip((payments, credits), void, strict=True)
        ],
        axis=1,
    )
    strange = customer[settled[0]] != settled[3]  # somebody else's money: each sees their half of it
    later = settled[1] > today.toordinal()
    odd = [*(customer[left_out | (balance < 0)], settled[3][strange | later], customer[settled[0]][strange])]
    names = list(owners)
    apart |= {names[code] for code in np.unique(np.concatenate(odd)).tolist()}
    if into := books.survivors(tx, connection_id):
        customer = np.array([owners[into.get(name, name)] for name in names], np.int64)[customer]
        apart |= set(into.values())
    kept = np.flatnonzero(~left_out)
    place = np.cumsum(~left_out) - 1
    settled = settled[:, ~left_out[settled[0]]]
    return Rows(
        ids if len(kept) == len(ids) else [ids[n] for n in kept.tolist()],
        tuple(owners),
        tuple(currencies),
        customer[kept],
        currency[kept],
        issued[kept],
        due[kept],
        total[kept],
        balance[kept],
        place[settled[0]],
        settled[1],
        settled[2],
        frozenset(apart),
    )


def _settlements(
    tx: Connection,
    connection_id: str,
    table: sa.Table,
    void: set[str],
    index: dict[str, int],
    owners: _Codes,
    days: _Days,
) -> Days:
    """What a payment or credit that counts set against an invoice: rows of (invoice, day, amount, whose)."""
    a, of = allocations.c, table.c
    mine = sa.and_(
        a.connection_id == connection_id, a.source == ("payment" if table is payments else "credit")
    )
    wanted = [a.invoice_id, a.date, a.amount, a.customer_id, *([a.source_id] if void else [])]
    found = [np.zeros((4, 0), np.int64)]

    def read(query: sa.Select[Any]) -> None:
        for part in _chunks(tx, query):
            if rows := [r for r in part if r[4] not in void] if void else part:
                id, day, amount, who, *_ = zip(*rows, strict=True)
                at = np.fromiter(map(index.get, id, repeat(-1)), np.int64, len(rows))
                found.append(
                    np.stack([at, _coded(days, day), np.array(amount, np.int64), _coded(owners, who)])
                )

    read(sa.select(*wanted).where(mine))
    every = np.concatenate(found, axis=1)
    if (every[1] == _UNDATED).any():  # the document's own day then
        found[:] = [every[:, every[1] != _UNDATED]]
        wanted[1] = of.date
        same = sa.and_(of.connection_id == a.connection_id, of.id == a.source_id)
        read(sa.select(*wanted).join(table, same).where(mine, a.date.is_(None)))
        every = np.concatenate(found, axis=1)
    return every[:, every[0] >= 0]


def _apart(tx: Connection, connection_id: str) -> tuple[set[str], set[str], set[str]]:
    """Customers with credits or money that is set against nothing; payments that are void; credits that are."""
    p, c = payments.c, credits.c
    money = tx.execute(
        sa.select(p.id, p.customer_id, p.void).where(p.connection_id == connection_id, _FEW)
    ).all()
    given = tx.execute(sa.select(c.id, c.customer_id, c.void).where(c.connection_id == connection_id)).all()
    return (
        {row.customer_id for row in (*money, *given) if not row.void},
        {row.id for row in money if row.void},
        {row.id for row in given if row.void},
    )


_FEW = sa.text("(unapplied <> 0 OR void)")  # word for word as in the index that makes it quick


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
    """Raw rows, a few thousand at a time, past SQLAlchemy's types: dates come as the database keeps them."""
    cursor = tx.execute(query).cursor
    while cursor is not None and (rows := cursor.fetchmany(CHUNK)):
        yield rows


def _coded(codes: dict[Any, int], column: Sequence[Any]) -> Days:
    return np.fromiter(map(codes.__getitem__, column), np.int64, len(column))


class _Codes(dict[str, int]):
    """A number for each name, in the order in which they come."""

    def __missing__(self, name: str) -> int:
        self[name] = found = len(self)
        return found


class _Days(dict[Any, int]):
    """A date, or its ISO text, as an ordinal. Books have few thousand different days."""

    def __missing__(self, day: Any) -> int:
        date = dt.date.fromisoformat(day[:10]) if isinstance(day, str) else day
        self[day] = found = date.toordinal() if date else _UNDATED
        return found


@contextmanager
def _no_collecting() -> Iterator[None]:
    """Millions of rows make no cycles: looking for them among so many takes a sixth of the time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
