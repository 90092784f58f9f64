"""An organization's whole book in columns, read in one pass: what is learned from all customers at once.

Rows become whole numbers as they come, so a million invoices need some hundred bytes each and no objects.
"""

from __future__ import annotations

import datetime as dt
import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import compress, repeat
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector.db import allocations, credits, payments
from connector.domain.glance import Rows
from connector.domain.on_account import Held
from connector.domain.prediction.history import from_columns
from connector.domain.prediction.timeline import Days, History
from connector.mirroring import books
from connector.mirroring.book_rows import UNDATED, Ordinals, columns, mark


def history(
    tx: Connection, connection_id: str, today: dt.date, account: Held | None = None
) -> tuple[History, list[str]]:
    """The invoices that show how customers pay, as known at the end of `today`, and each row's invoice id. `account`:
    what money on account is held against, where that was read (`books.on_account`)."""
    return learned(rows(tx, connection_id, today, account), today)


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
    return made, list(map(rows.ids.__getitem__, kept.tolist()))


def rows(tx: Connection, connection_id: str, today: dt.date, account: Held | None = None) -> Rows:
    """The invoices that show how customers pay, and what was set against them.

    Left out, as everywhere in prediction: voided invoices and drafts, our own installments, and originals
    that our own credit note closed. Money on account counts as matched (`on_account`). A customer merged into another counts as that other. `apart` are customers
    of whom the columns do not tell everything.
    """
    with without_collecting():
        return _rows(tx, connection_id, today, account)


def _rows(tx: Connection, connection_id: str, today: dt.date, account: Held | None) -> Rows:
    owners, currencies = _Codes(), _Codes()
    apart, *void = _apart(tx, connection_id)
    closed, into = _ours(tx, connection_id), books.survivors(tx, connection_id)
    whole = f"FROM invoices WHERE connection_id = {mark(tx, 1)}"
    (mostly,) = columns(tx, ("currency",), f"FROM (SELECT currency {whole} LIMIT 1) one", connection_id)
    usual = mostly[0] if mostly else ""
    others = f"WHERE currency <> {mark(tx, 1)}"  # few in most books: told apart from the rest
    wanted = (*_OF_INVOICES, f"id {others}", f"currency {others}")
    live = f"{whole} AND status NOT IN ('void', 'draft')"
    found = columns(tx, wanted, live, usual, usual, connection_id)
    with ThreadPoolExecutor(1) as ahead:  # the database gathers the payments while we count the invoices
        ids = next(found)
        index = dict(zip(ids, range(len(ids)), strict=True))
        customer = _coded(owners, next(found))
        gathered = ahead.submit(_parts, tx, connection_id, payments, void[0])  # not sooner, for memory's sake
        issued, due = next(found), next(found)
        total, balance = (np.array(next(found), np.int64) for _ in range(2))
        left_out = (total <= 0) | (issued > today.toordinal())
        left_out[[index[id] for id in (*next(found), *closed) if id in index]] = True
        currency = np.full(len(ids), currencies[usual])
        foreign = [index[id] for id in next(found)]
        currency[foreign] = _coded(currencies, next(found))
        settled = [_settled(gathered.result(), void[0], index, owners)]
    settled.append(_settled(_parts(tx, connection_id, credits, void[1]), void[1], index, owners))
    for table, gone, dated in zip((payments, credits), void, list(settled), strict=True):
        if (dated[1] == UNDATED).any():  # the document's own day then
            parts = _parts(tx, connection_id, table, gone, undated=True)
            settled.append(_settled(parts, gone, index, owners))
    paid = [np.concatenate(columns) for columns in zip(*settled, strict=True)]
    if len(settled) > 2:  # instead of those without a day
        paid = [column[paid[1] != UNDATED] for column in paid]
    if account is None:
        _, account = books.on_account(tx, connection_id, today)
    paid_invoice, paid_day, paid_amount, payer = _on_account(account, index, balance, paid, customer)
    strange = customer[paid_invoice] != payer  # somebody else's money: each sees their half of it
    later = paid_day > today.toordinal()
    odd = [customer[left_out | (balance < 0)], payer[strange | later], customer[paid_invoice][strange]]
    names = list(owners)
    apart |= {names[code] for code in np.unique(np.concatenate(odd)).tolist()}
    if into:
        customer = np.array([owners[into.get(name, name)] for name in names], np.int64)[customer]
        apart |= set(into.values())
    if left_out.any():
        kept = ~left_out
        place, counts = np.cumsum(kept) - 1, kept[paid_invoice]
        paid_invoice, paid_day, paid_amount = (
            place[paid_invoice[counts]],
            paid_day[counts],
            paid_amount[counts],
        )
        ids = list(compress(ids, kept.tolist()))
        of_invoices = (customer, currency, issued, due, total, balance)
        customer, currency, issued, due, total, balance = (column[kept] for column in of_invoices)
    return Rows(
        ids,
        tuple(owners),
        tuple(currencies),
        customer,
        currency,
        issued,
        due,
        total,
        balance,
        paid_invoice,
        paid_day,
        paid_amount,
        frozenset(apart),
    )


_OF_INVOICES = (
    *("id", "customer_id", Ordinals('"date"'), Ordinals("due")),
    *("total", "balance", "id WHERE marker <> ''"),
)


def _parts(
    tx: Connection, connection_id: str, table: sa.Table, void: set[str], *, undated: bool = False
) -> Iterator[Any]:
    """What payments or credits set against invoices: invoice, day, amount, whose; with `void` by which of them.

    `undated`: only parts without a day, each on the day of its payment or credit.
    """
    day = Ordinals('d."date"' if undated else 'a."date"')
    wanted = ["a.invoice_id", day, "a.amount", "a.customer_id", *(["a.source_id"] if void else [])]
    rest = "FROM allocations a"
    if undated:
        rest += f" JOIN {table.name} d ON d.connection_id = a.connection_id AND d.id = a.source_id AND a.date IS NULL"
    rest += f" WHERE a.connection_id = {mark(tx, 1)} AND a.source = {mark(tx, 1)}"
    return columns(tx, wanted, rest, connection_id, "payment" if table is payments else "credit")


def _settled(parts: Iterator[Any], void: set[str], index: dict[str, int], owners: _Codes) -> list[Days]:
    """Columns (invoice, day, amount, whose); what was voided, or is of an invoice that does not count, is left out."""
    at = _places(index, next(parts))
    more = next(parts), np.array(next(parts), np.int64), _coded(owners, next(parts))
    kept = at >= 0
    if void:
        kept &= np.fromiter((id not in void for id in next(parts)), bool, len(at))
    return [at, *more] if kept.all() else [column[kept] for column in (at, *more)]


def _on_account(
    account: Held,
    index: dict[str, int],
    balance: Days,
    paid: list[Days],
    customer: Days,
) -> list[Days]:
    """`paid` with what money on account covers; the balances are lowered in place."""
    more = [
        (index[id], part.day.toordinal(), part.amount)
        for id, parts in account.items()
        for part in parts
        if id in index
    ]
    if not more:
        return paid
    at, day, amount = np.array(more, np.int64).T
    np.subtract.at(balance, at, amount)
    every = zip(paid, (at, day, amount, customer[at]), strict=True)
    return [np.concatenate(both) for both in every]


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


def _places(index: dict[str, int], ids: list[str]) -> Days:
    """Where these stand; -1 for nowhere."""
    return np.fromiter(map(index.get, ids, repeat(-1)), np.int64, len(ids))


def _coded(codes: dict[Any, int], column: list[Any]) -> Days:
    return np.fromiter(map(codes.__getitem__, column), np.int64, len(column))


class _Codes(dict[str, int]):
    """A number for each name, in the order in which they come."""

    def __missing__(self, name: str) -> int:
        self[name] = found = len(self)
        return found


@contextmanager
def without_collecting() -> Iterator[None]:
    """Millions of rows make no cycles: looking for them among so many takes a sixth of the time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
