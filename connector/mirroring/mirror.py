"""Keep the mirror of an organization's receivables: one page of a pull after another, and what a write gave back.

Disposable: a full sync rebuilds it. Writers compare before they write, so that a pull which repeats what we
have costs one read per page, and the customers that really changed are known (a review looks at those only).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection as Transaction

from connector import db
from connector.domain.receivables import (
    CreditNote,
    Customer,
    Document,
    Invoice,
    Kind,
    Status,
)
from connector.mirroring import books, merging
from connector.mirroring.book_rows import ALLOCATION_NAMES, SHAPES, Shape, day_text, mark, parts_of_ids, quote
from connector.platforms import Batch

_PAY_LINK = SHAPES[Kind.INVOICE].names.index("pay_link")


def store(
    tx: Transaction,
    connection_id: str,
    batch: Batch,
    seen: int,
    *,
    unsettled: set[str] | None = None,
    moved: set[str] | None = None,
    handed: dict[str, set[str]] | None = None,
) -> set[str]:
    """Put one page of a pull into the books; return the ids of customers whose picture changed.

    `seen` is the sync's generation (see `remove_unseen`). Storing the same page twice changes nothing.
    `unsettled` collects invoices that some payment or credit settled before and now settles by less: not
    every ledger reports such an invoice as changed. `moved` collects customers whose e-mail or telephone is another,
    `handed` those whose documents are another one's now, with that one.
    """
    changed: set[str] = set()
    unsettled = set() if unsettled is None else unsettled
    # Removals first: a record that is both removed and present in one page is present.
    for kind in Kind:
        id = SHAPES[kind].table.c.id
        for part in parts_of_ids([gone for k, gone in batch.removed if k == kind]):
            # A ledger entry that touches several customers is several records of ours: "9", "9/2", "9/3".
            split = [id.startswith(f"{one}/", autoescape=True) for one in part]
            changed |= _remove(tx, connection_id, kind, sa.or_(id.in_(part), *split), unsettled)
    for kind, records in (
        (Kind.CUSTOMER, batch.customers),
        (Kind.INVOICE, batch.invoices),
        (Kind.PAYMENT, batch.payments),
        (Kind.CREDIT, batch.credits),
    ):
        if kind is Kind.CUSTOMER and moved is not None:
            moved |= _moved(tx, connection_id, batch.customers)
        if records:
            changed |= _store_kind(tx, connection_id, kind, list(records), seen, unsettled, handed)
        if kind is Kind.CUSTOMER and any(c.merged_into for c in batch.customers):
            merging.follow(tx, connection_id, books.survivors(tx, connection_id))
    changed.discard("")
    return changed


def _moved(tx: Transaction, connection_id: str, customers: Iterable[Customer]) -> set[str]:
    """Customers whose e-mail or telephone, once known, is another or gone. A first address is no change."""
    now = {c.id: (c.email, c.phone) for c in customers if not c.erasure_requested}
    c, found = db.customers.c, set()
    for part in parts_of_ids(list(now)):
        known = sa.select(c.id, c.email, c.phone).where(c.connection_id == connection_id, c.id.in_(part))
        for id, *before in tx.execute(known):
            if any(old and old != new for old, new in zip(before, now[id], strict=True)):
                found.add(id)
    return found


def _store_kind(
    tx: Transaction,
    connection_id: str,
    kind: Kind,
    records: list[Any],
    seen: int,
    unsettled: set[str],
    handed: dict[str, set[str]] | None,
) -> set[str]:
    shape = SHAPES[kind]
    last = {record.id: record for record in records}  # a page may repeat a record: its last word counts
    rows = dict(zip(last, shape.rows(list(last.values()), tx.dialect.name), strict=True))
    before = _existing(tx, connection_id, shape, list(last))
    if kind is Kind.INVOICE:  # no list tells where an invoice is paid: what was asked for stays
        for id, known in before.items():
            rows[id][_PAY_LINK] = rows[id][_PAY_LINK] or known[_PAY_LINK]
    parts = _parts_of(tx, connection_id, kind, last)
    parts_before = _parts_before(tx, connection_id, kind, list(last)) if parts is not None else {}
    changed: set[str] = set()
    different = []
    for id, row in rows.items():
        old = before.get(id)
        moved_money = parts is not None and parts.get(id, []) != parts_before.get(id, [])
        if old is None or old != row or moved_money:
            different.append(id)
            changed.add(row[shape.owner])
            if old is not None:
                changed.add(old[shape.owner])  # a document may have moved to another customer
                if handed is not None and old[shape.owner] != row[shape.owner]:
                    handed.setdefault(old[shape.owner], set()).add(row[shape.owner])
            if kind is Kind.CUSTOMER and last[id].merged_into:
                changed.add(last[id].merged_into)
    if different:
        _upsert(tx, connection_id, shape, [rows[id] for id in different], seen)
        if parts is not None:
            owners = {id: rows[id][shape.owner] for id in different}
            _replace_parts(tx, connection_id, kind, owners, parts, parts_before)
            for id in parts_before.keys() & set(different):
                unsettled |= _lost_money(parts_before[id], parts.get(id, []))
    same = sorted(rows.keys() - set(different))
    for part in parts_of_ids(same):
        c = shape.table.c
        tx.execute(
            sa.update(shape.table)
            .where(c.connection_id == connection_id, c.id.in_(part), c.seen < seen)
            .values(seen=seen)
        )
    return changed


def _existing(tx: Transaction, connection_id: str, shape: Shape, ids: list[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for part in parts_of_ids(ids):
        sql = (
            f"SELECT {quote(shape.names)} FROM {shape.table.name}"  # noqa: S608 - our own names
            f" WHERE connection_id = {mark(tx, 1)} AND id IN ({mark(tx, len(part))})"
        )
        for row in tx.exec_driver_sql(sql, (connection_id, *part)):
            found[row[0]] = list(row)
    return found


def _upsert(tx: Transaction, connection_id: str, shape: Shape, rows: list[list[Any]], seen: int) -> None:
    names = (*shape.names, "connection_id", "seen")
    updates = ", ".join(f'"{n}" = excluded."{n}"' for n in names if n not in ("id", "connection_id"))
    sql = (
        f"INSERT INTO {shape.table.name} ({quote(names)}) VALUES ({mark(tx, len(names))})"  # noqa: S608
        f" ON CONFLICT (connection_id, id) DO UPDATE SET {updates}"
    )
    tx.exec_driver_sql(sql, [(*row, connection_id, seen) for row in rows])


Parts = dict[str, list[tuple[Any, ...]]]  # source id → (invoice_id, amount, date, id), in the ledger's order


def _parts_of(tx: Transaction, connection_id: str, kind: Kind, records: dict[str, Any]) -> Parts | None:
    if kind not in (Kind.PAYMENT, Kind.CREDIT):
        return None
    encode = day_text if tx.dialect.name == "sqlite" else (lambda day: day)
    return {
        id: [(a.invoice_id, a.amount, encode(a.date), a.id) for a in record.allocations]
        for id, record in records.items()
        if record.allocations
    }


def _lost_money(before: list[tuple[Any, ...]], now: list[tuple[Any, ...]]) -> set[str]:
    """The invoices that get less of one payment or credit than before."""
    sums: dict[str, int] = defaultdict(int)
    for sign, parts in ((1, before), (-1, now)):
        for invoice_id, amount, *_ in parts:
            sums[invoice_id] += sign * amount
    return {id for id, less in sums.items() if less > 0}


def _parts_before(tx: Transaction, connection_id: str, kind: Kind, ids: list[str]) -> Parts:
    found: Parts = defaultdict(list)
    for part in parts_of_ids(ids):
        sql = (
            "SELECT source_id, invoice_id, amount, date, id FROM allocations"  # noqa: S608
            f" WHERE connection_id = {mark(tx, 1)} AND source = {mark(tx, 1)}"
            f" AND source_id IN ({mark(tx, len(part))}) ORDER BY source_id, n"
        )
        for row in tx.exec_driver_sql(sql, (connection_id, kind.value, *part)):
            found[row[0]].append(tuple(row[1:]))
    return found


def _replace_parts(
    tx: Transaction, connection_id: str, kind: Kind, owners: dict[str, str], parts: Parts, before: Parts
) -> None:
    _forget_parts(tx, connection_id, kind, [id for id in owners if id in before])
    rows = [
        (connection_id, kind.value, id, owner, n, *part)
        for id, owner in owners.items()
        for n, part in enumerate(parts.get(id, []))
    ]
    if rows:
        sql = (
            f"INSERT INTO allocations ({quote(ALLOCATION_NAMES)})"  # noqa: S608
            f" VALUES ({mark(tx, len(ALLOCATION_NAMES))})"
        )
        tx.exec_driver_sql(sql, rows)


def _forget_parts(tx: Transaction, connection_id: str, kind: Kind, ids: list[str]) -> None:
    c = db.allocations.c
    for part in parts_of_ids(ids):
        tx.execute(
            sa.delete(db.allocations).where(
                c.connection_id == connection_id, c.source == kind.value, c.source_id.in_(part)
            )
        )


def _remove(
    tx: Transaction,
    connection_id: str,
    kind: Kind,
    which: sa.ColumnElement[bool],
    unsettled: set[str] | None = None,
) -> set[str]:
    shape = SHAPES[kind]
    c = shape.table.c
    gone = sa.delete(shape.table).where(c.connection_id == connection_id, which)
    rows = tx.execute(gone.returning(c.id, c[shape.names[shape.owner]])).all()
    if kind in (Kind.PAYMENT, Kind.CREDIT):
        ids = [row[0] for row in rows]
        if unsettled is not None:
            for parts in _parts_before(tx, connection_id, kind, ids).values():
                unsettled |= _lost_money(parts, [])
        _forget_parts(tx, connection_id, kind, ids)
    return {row[1] for row in rows}


def remove_unseen(
    tx: Transaction,
    connection_id: str,
    kinds: Iterable[Kind],
    seen: int,
    *,
    unsettled: set[str] | None = None,
) -> set[str]:
    """After a complete pull of `kinds`: drop what it did not bring, for the ledger no longer has it.

    Returns the customers concerned. `unsettled`: see `store`.
    """
    changed: set[str] = set()
    for kind in kinds:
        changed |= _remove(tx, connection_id, kind, SHAPES[kind].table.c.seen < seen, unsettled)
    return changed


def put_pay_link(tx: Transaction, connection_id: str, invoice_id: str, link: str) -> None:
    """Keep where an invoice is paid online, as the ledger said when it was asked for it."""
    c = db.invoices.c
    mine = (c.connection_id == connection_id, c.id == invoice_id)
    tx.execute(sa.update(db.invoices).where(*mine).values(pay_link=link))


def put_document(tx: Transaction, connection_id: str, document: Document) -> set[str]:
    """Take one document that was just read from the ledger into the mirror, ahead of the next sync."""
    return put_documents(tx, connection_id, [document])


def put_documents(tx: Transaction, connection_id: str, documents: Iterable[Document]) -> set[str]:
    """The same with several: the last word on each counts. Returns the customers concerned."""
    last = {(document.kind, document.id): document for document in documents}
    invoices = [d for d in last.values() if d.kind is Kind.INVOICE]
    credits = [d for d in last.values() if d.kind is Kind.CREDIT]
    if not invoices and not credits:
        return set()
    c = db.connections.c
    seen = tx.scalar(sa.select(c.generation).where(c.id == connection_id)) or 0
    old = books.invoices(tx, connection_id, ids=[d.id for d in invoices]) if invoices else []
    before = {invoice.id: invoice for invoice in old}
    known = {
        credit.id: credit
        for owner in sorted({d.customer_id for d in credits})
        for credit in books.credits(tx, connection_id, owner)
    }
    batch = Batch(
        invoices=tuple(_invoice(d, before.get(d.id)) for d in invoices),
        credits=tuple(_credit(d, known.get(d.id)) for d in credits),
    )
    return store(tx, connection_id, batch, seen)


def _invoice(document: Document, old: Invoice | None) -> Invoice:
    """The document as a record; what only a list tells stays as it was."""
    base = old or Invoice(
        document.id,
        document.number,
        document.customer_id,
        document.date,
        document.due or document.date,
        document.currency,
        0,
        0,
        document.status,
    )
    same = ("number", "customer_id", "date", "currency", "total", "balance", "status", "tax")
    more = ("marker", "note", "rate", "version")
    values = {name: getattr(document, name) for name in (*same, *more)}
    return replace(base, due=document.due or base.due, **values)


def _credit(document: Document, old: CreditNote | None) -> CreditNote:
    return CreditNote(
        id=document.id,
        number=document.number,
        customer_id=document.customer_id,
        date=document.date,
        currency=document.currency,
        total=document.total,
        remaining=document.balance,
        allocations=old.allocations if old else (),
        void=document.status is Status.VOID,
        marker=document.marker,
        version=document.version,
        updated_at=old.updated_at if old else None,
    )


def drop(tx: Transaction, connection_id: str, kind: Kind, id: str) -> set[str]:
    """The ledger has this document no more. Returns the customer concerned."""
    return _remove(tx, connection_id, kind, SHAPES[kind].table.c.id == id)
