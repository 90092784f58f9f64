"""Our mirror of each organization's receivables: stored in bulk, read back as domain records.

Disposable: a full sync rebuilds it. Writers compare before they write, so that a pull which repeats what we
have costs one read per page, and the customers that really changed are known (a review looks at those only).
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter, itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection as Transaction

from connector import db
from connector.domain.receivables import (
    Allocation,
    CreditNote,
    Customer,
    Document,
    Invoice,
    Kind,
    Payment,
    Status,
)
from connector.platforms import Batch

PART = 500  # ids in one statement, and customers read at once
_STATUS = {s.value: s for s in Status}


@dataclass(frozen=True, slots=True)
class Receivables:
    """One customer's whole picture, with the history of customers merged into it. Each list is by date, then id."""

    customer: Customer
    invoices: tuple[Invoice, ...]
    payments: tuple[Payment, ...]
    credits: tuple[CreditNote, ...]


# ---------------------------------------------------------------- how records become rows

Encode = Callable[[Any], Any]


def _day_text(value: dt.date | None) -> str | None:
    return None if value is None else value.isoformat()


def _moment_text(value: dt.datetime | None) -> str | None:
    """As SQLAlchemy's own DateTime writes it to SQLite, so that both ways in agree."""
    if value is None:
        return None
    if value.tzinfo is not dt.UTC:
        value = value.astimezone(dt.UTC)
    return value.isoformat(" ", "microseconds").removesuffix("+00:00")


def _json_text(value: dict[str, int] | None) -> str | None:
    return None if value is None else json.dumps(value, sort_keys=True)


_FOR_SQLITE: dict[str, Encode] = {"day": _day_text, "moment": _moment_text}


def _moment(value: str) -> dt.datetime:
    return dt.datetime.fromisoformat(value).replace(tzinfo=dt.UTC)


# What the database gives for a value that is there → what a record holds. SQLite keeps days and moments as text.
_READ_ALWAYS: dict[str, Encode] = {"json": json.loads, "status": {s.value: s for s in Status}.__getitem__}
_READ_SQLITE: dict[str, Encode] = {"day": dt.date.fromisoformat, "moment": _moment, "flag": bool}
_READ_POSTGRESQL: dict[str, Encode] = {"moment": lambda value: value.astimezone(dt.UTC)}


@dataclass(frozen=True)
class _Shape:
    """How one kind of record lies in its table: columns in the record's own order, then connection and `seen`."""

    table: sa.Table
    names: tuple[str, ...]
    special: tuple[tuple[int, str], ...]  # position → what needs encoding there
    owner: int  # position of the customer's id
    flags: tuple[int, ...]  # positions of yes or no

    def rows(self, records: Sequence[Any], dialect: str) -> list[list[Any]]:
        get = attrgetter(*self.names)
        encoders = [(i, e) for i, what in self.special if (e := _encoder(what, dialect))]
        made = [list(get(record)) for record in records]
        for row in made:
            for i, encode in encoders:
                row[i] = encode(row[i])
        return made

    def read(self, rows: Iterable[Sequence[Any]], dialect: str) -> list[list[Any]]:
        """Raw rows with the values as the records hold them."""
        decode = _READ_ALWAYS | (_READ_SQLITE if dialect == "sqlite" else _READ_POSTGRESQL)
        wanted = [*self.special, *((i, "flag") for i in self.flags)]
        decoders = [(i, decode[what]) for i, what in wanted if what in decode]
        made = [list(row) for row in rows]
        for i, read in decoders:
            for row in made:
                if row[i] is not None:
                    row[i] = read(row[i])
        return made


def _encoder(what: str, dialect: str) -> Encode | None:
    if what == "json":
        return _json_text
    if what == "status":
        return str.__str__
    return _FOR_SQLITE[what] if dialect == "sqlite" else None


def _shape(record: type[Any], table: sa.Table, owner: str) -> _Shape:
    names = tuple(f.name for f in fields(record) if f.name != "allocations")
    special = []
    for i, name in enumerate(names):
        kind = table.c[name].type
        if name == "status":
            special.append((i, "status"))
        elif name == "ledger_balance":
            special.append((i, "json"))
        elif isinstance(kind, sa.Date):
            special.append((i, "day"))
        elif isinstance(kind, db.Moment):
            special.append((i, "moment"))
    flags = [i for i, name in enumerate(names) if isinstance(table.c[name].type, sa.Boolean)]
    return _Shape(table, names, tuple(special), names.index(owner), tuple(flags))


_SHAPES: dict[Kind, _Shape] = {
    Kind.CUSTOMER: _shape(Customer, db.customers, "id"),
    Kind.INVOICE: _shape(Invoice, db.invoices, "customer_id"),
    Kind.PAYMENT: _shape(Payment, db.payments, "customer_id"),
    Kind.CREDIT: _shape(CreditNote, db.credits, "customer_id"),
}
_ALLOCATION_NAMES = (
    *("connection_id", "source", "source_id", "customer_id", "n"),
    *("invoice_id", "amount", "date", "id"),
)


def _mark(tx: Transaction, count: int) -> str:
    return ", ".join(["?" if tx.dialect.name == "sqlite" else "%s"] * count)


def _quote(names: Iterable[str]) -> str:
    return ", ".join(f'"{n}"' for n in names)


def _parts(ids: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), PART):
        yield list(ids[start : start + PART])


# ---------------------------------------------------------------- store


def store(
    tx: Transaction, connection_id: str, batch: Batch, seen: int, *, unsettled: set[str] | None = None
) -> set[str]:
    """Put one page of a pull into the books; return the ids of customers whose picture changed.

    `seen` is the sync's generation (see `remove_unseen`). Storing the same page twice changes nothing.
    `unsettled` collects invoices that some payment or credit settled before and now settles by less: not
    every ledger reports such an invoice as changed.
    """
    changed: set[str] = set()
    unsettled = set() if unsettled is None else unsettled
    # Removals first: a record that is both removed and present in one page is present.
    for kind in Kind:
        id = _SHAPES[kind].table.c.id
        for part in _parts([gone for k, gone in batch.removed if k == kind]):
            # A ledger entry that touches several customers is several records of ours: "9", "9/2", "9/3".
            split = [id.startswith(f"{one}/", autoescape=True) for one in part]
            changed |= _remove(tx, connection_id, kind, sa.or_(id.in_(part), *split), unsettled)
    for kind, records in (
        (Kind.CUSTOMER, batch.customers),
        (Kind.INVOICE, batch.invoices),
        (Kind.PAYMENT, batch.payments),
        (Kind.CREDIT, batch.credits),
    ):
        if records:
            changed |= _store_kind(tx, connection_id, kind, list(records), seen, unsettled)
    changed.discard("")
    return changed


def _store_kind(
    tx: Transaction, connection_id: str, kind: Kind, records: list[Any], seen: int, unsettled: set[str]
) -> set[str]:
    shape = _SHAPES[kind]
    last = {record.id: record for record in records}  # a page may repeat a record: its last word counts
    rows = dict(zip(last, shape.rows(list(last.values()), tx.dialect.name), strict=True))
    before = _existing(tx, connection_id, shape, list(last))
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
    for part in _parts(same):
        c = shape.table.c
        tx.execute(
            sa.update(shape.table)
            .where(c.connection_id == connection_id, c.id.in_(part), c.seen < seen)
            .values(seen=seen)
        )
    return changed


def _existing(tx: Transaction, connection_id: str, shape: _Shape, ids: list[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for part in _parts(ids):
        sql = (
            f"SELECT {_quote(shape.names)} FROM {shape.table.name}"  # noqa: S608 - our own names
            f" WHERE connection_id = {_mark(tx, 1)} AND id IN ({_mark(tx, len(part))})"
        )
        for row in tx.exec_driver_sql(sql, (connection_id, *part)):
            found[row[0]] = list(row)
    return found


def _upsert(tx: Transaction, connection_id: str, shape: _Shape, rows: list[list[Any]], seen: int) -> None:
    names = (*shape.names, "connection_id", "seen")
    updates = ", ".join(f'"{n}" = excluded."{n}"' for n in names if n not in ("id", "connection_id"))
    sql = (
        f"INSERT INTO {shape.table.name} ({_quote(names)}) VALUES ({_mark(tx, len(names))})"  # noqa: S608
        f" ON CONFLICT (connection_id, id) DO UPDATE SET {updates}"
    )
    tx.exec_driver_sql(sql, [(*row, connection_id, seen) for row in rows])


Parts = dict[str, list[tuple[Any, ...]]]  # source id → (invoice_id, amount, date, id), in the ledger's order


def _parts_of(tx: Transaction, connection_id: str, kind: Kind, records: dict[str, Any]) -> Parts | None:
    if kind not in (Kind.PAYMENT, Kind.CREDIT):
        return None
    encode = _day_text if tx.dialect.name == "sqlite" else (lambda day: day)
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
    for part in _parts(ids):
        sql = (
            "SELECT source_id, invoice_id, amount, date, id FROM allocations"  # noqa: S608
            f" WHERE connection_id = {_mark(tx, 1)} AND source = {_mark(tx, 1)}"
            f" AND source_id IN ({_mark(tx, len(part))}) ORDER BY source_id, n"
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
            f"INSERT INTO allocations ({_quote(_ALLOCATION_NAMES)})"  # noqa: S608
            f" VALUES ({_mark(tx, len(_ALLOCATION_NAMES))})"
        )
        tx.exec_driver_sql(sql, rows)


def _forget_parts(tx: Transaction, connection_id: str, kind: Kind, ids: list[str]) -> None:
    c = db.allocations.c
    for part in _parts(ids):
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
    shape = _SHAPES[kind]
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
        changed |= _remove(tx, connection_id, kind, _SHAPES[kind].table.c.seen < seen, unsettled)
    return changed


def put_document(tx: Transaction, connection_id: str, document: Document) -> set[str]:
    """Take one document that was just read from the ledger into the mirror, ahead of the next sync."""
    c = db.connections.c
    seen = tx.scalar(sa.select(c.generation).where(c.id == connection_id)) or 0
    if document.kind is Kind.INVOICE:
        old = invoice(tx, connection_id, document.id)
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
        made = replace(base, due=document.due or base.due, **values)
        return store(tx, connection_id, Batch(invoices=(made,)), seen)
    if document.kind is Kind.CREDIT:
        known = [c for c in credits(tx, connection_id, document.customer_id) if c.id == document.id]
        note = CreditNote(
            id=document.id,
            number=document.number,
            customer_id=document.customer_id,
            date=document.date,
            currency=document.currency,
            total=document.total,
            remaining=document.balance,
            allocations=known[0].allocations if known else (),
            void=document.status is Status.VOID,
            marker=document.marker,
            version=document.version,
            updated_at=known[0].updated_at if known else None,
        )
        return store(tx, connection_id, Batch(credits=(note,)), seen)
    return set()


# ---------------------------------------------------------------- what a review has yet to look at


def note_changed(tx: Transaction, connection_id: str, ids: Collection[str], now: dt.datetime) -> None:
    """Remember which customers changed, in the transaction that changed them."""
    if ids:
        insert = (postgresql if tx.dialect.name == "postgresql" else sqlite).insert(db.changed_customers)
        upsert = insert.on_conflict_do_update(
            index_elements=["connection_id", "customer_id"], set_={"changed_at": insert.excluded.changed_at}
        )
        rows = [{"connection_id": connection_id, "customer_id": id, "changed_at": now} for id in sorted(ids)]
        tx.execute(upsert, rows)


def changed(tx: Transaction, connection_id: str) -> dict[str, dt.datetime]:
    """Customers that changed and were not reviewed since, with the moment of the change."""
    c = db.changed_customers.c
    query = sa.select(c.customer_id, c.changed_at).where(c.connection_id == connection_id)
    return {row.customer_id: row.changed_at for row in tx.execute(query)}


def reviewed(tx: Transaction, connection_id: str, seen: dict[str, dt.datetime]) -> None:
    """Strike out what `changed` gave, except customers that changed again during the review."""
    c = db.changed_customers.c
    moments: dict[dt.datetime, list[str]] = defaultdict(list)
    for id, moment in seen.items():
        moments[moment].append(id)
    for moment, ids in moments.items():
        for part in _parts(ids):
            tx.execute(
                sa.delete(db.changed_customers).where(
                    c.connection_id == connection_id, c.customer_id.in_(part), c.changed_at <= moment
                )
            )


def drop_invoice(tx: Transaction, connection_id: str, invoice_id: str) -> set[str]:
    """The ledger has this invoice no more. Returns the customer concerned."""
    return _remove(tx, connection_id, Kind.INVOICE, db.invoices.c.id == invoice_id)


def forget(tx: Transaction, connection_id: str) -> None:
    """Drop the whole mirror of one organization. What is ours stays."""
    for table in db.BOOKS:
        tx.execute(sa.delete(table).where(table.c.connection_id == connection_id))


# ---------------------------------------------------------------- read


def _raw(tx: Transaction, sql: str, *values: Any) -> Sequence[Sequence[Any]]:
    """Rows past SQLAlchemy: making its own of them costs a picture as much time again as the database takes."""
    cursor = tx.exec_driver_sql(sql, values).cursor
    return cursor.fetchall() if cursor is not None else ()


def _rows_of(
    tx: Transaction, shape: _Shape, connection_id: str, ids: Sequence[str], by: str
) -> list[list[Any]]:
    """The rows whose column `by` is one of `ids`."""
    sql = (
        f"SELECT {_quote(shape.names)} FROM {shape.table.name}"  # noqa: S608 - our own names
        f" WHERE connection_id = {_mark(tx, 1)} AND {by} IN ({_mark(tx, len(ids))})"
    )
    return shape.read(_raw(tx, sql, connection_id, *ids), tx.dialect.name)


def _select(shape: _Shape, connection_id: str, *where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    c = shape.table.c
    return sa.select(*(c[n] for n in shape.names)).where(c.connection_id == connection_id, *where)


def _customer(row: Sequence[Any]) -> Customer:
    made = Customer(*row)
    return replace(made, ledger_balance=json.loads(row[_BALANCE])) if row[_BALANCE] else made


_BALANCE = _SHAPES[Kind.CUSTOMER].names.index("ledger_balance")
_by_day = itemgetter(_SHAPES[Kind.INVOICE].names.index("date"), 0)
_PARTS_AT = {
    kind: [f.name for f in fields(record)].index("allocations")
    for kind, record in ((Kind.PAYMENT, Payment), (Kind.CREDIT, CreditNote))
}
_INVOICE_STATUS = _SHAPES[Kind.INVOICE].names.index("status")


def _invoice(row: Sequence[Any]) -> Invoice:
    values: list[Any] = list(row)
    values[_INVOICE_STATUS] = _STATUS[row[_INVOICE_STATUS]]
    return Invoice(*values)


def customers(tx: Transaction, connection_id: str, ids: Collection[str] | None = None) -> list[Customer]:
    """The organization's customers by name (all, or those of `ids`), inactive and merged ones included."""
    shape = _SHAPES[Kind.CUSTOMER]
    if ids is None:
        found = [_customer(row) for row in tx.execute(_select(shape, connection_id))]
    else:
        parts = _parts(sorted(ids))
        found = [Customer(*row) for p in parts for row in _rows_of(tx, shape, connection_id, p, "id")]
    return sorted(found, key=lambda c: (c.name.casefold(), c.id))


def customer(tx: Transaction, connection_id: str, customer_id: str) -> Customer | None:
    found = customers(tx, connection_id, [customer_id])
    return found[0] if found else None


def invoices(
    tx: Transaction,
    connection_id: str,
    customer_id: str | None = None,
    *,
    open_only: bool = False,
    ids: Collection[str] | None = None,
) -> list[Invoice]:
    """Invoices as the ledger last stated them, by due date. `open_only`: those with a balance left."""
    c = db.invoices.c
    where: list[sa.ColumnElement[bool]] = []
    if customer_id is not None:
        where.append(c.customer_id == customer_id)
    if open_only:
        where += [c.balance != 0, c.status.in_([Status.OPEN, Status.PARTLY_PAID])]
    if ids is not None:
        where.append(c.id.in_(sorted(ids)))
    query = _select(_SHAPES[Kind.INVOICE], connection_id, *where).order_by(c.due, c.id)
    return [_invoice(row) for row in tx.execute(query)]


def invoice(tx: Transaction, connection_id: str, invoice_id: str) -> Invoice | None:
    found = invoices(tx, connection_id, ids=[invoice_id])
    return found[0] if found else None


def payments(tx: Transaction, connection_id: str, customer_id: str | None = None) -> list[Payment]:
    """Payments with their allocations, by date."""
    owners = None if customer_id is None else [customer_id]
    return list(_money(tx, connection_id, Kind.PAYMENT, owners))


def credits(tx: Transaction, connection_id: str, customer_id: str | None = None) -> list[CreditNote]:
    """Credit notes with their allocations, by date."""
    owners = None if customer_id is None else [customer_id]
    return list(_money(tx, connection_id, Kind.CREDIT, owners))


def _money(tx: Transaction, connection_id: str, kind: Kind, owners: list[str] | None) -> Iterator[Any]:
    shape, dialect = _SHAPES[kind], tx.dialect.name
    whose = f" AND customer_id IN ({_mark(tx, len(owners))})" if owners is not None else ""
    split = (
        "SELECT source_id, n, invoice_id, amount, date, id FROM allocations"  # noqa: S608 - our own names
        f" WHERE connection_id = {_mark(tx, 1)}{whose} AND source = {_mark(tx, 1)}"
    )
    whole = (
        f"SELECT {_quote(shape.names)} FROM {shape.table.name} WHERE connection_id = {_mark(tx, 1)}{whose}"  # noqa: S608
    )
    parts: dict[str, list[Allocation]] = defaultdict(list)
    read = dt.date.fromisoformat if dialect == "sqlite" else (lambda day: day)
    # Sorted here: asked for this order, SQLite would walk all allocations of the organization to have it.
    rows = sorted(_raw(tx, split, connection_id, *(owners or ()), kind.value), key=itemgetter(0, 1))
    for source_id, _, invoice_id, amount, date, id in rows:
        parts[source_id].append(Allocation(invoice_id, amount, read(date) if date else None, id))
    record: type[Payment | CreditNote] = Payment if kind is Kind.PAYMENT else CreditNote
    at = _PARTS_AT[kind]
    found = shape.read(_raw(tx, whole, connection_id, *(owners or ())), dialect)
    for values in sorted(found, key=itemgetter(shape.names.index("date"), 0)):
        values.insert(at, tuple(parts.get(values[0], ())))
        yield record(*values)


def of_customer(tx: Transaction, connection_id: str, customer_id: str) -> Receivables | None:
    """One customer's whole picture; of the survivor when it was merged away. None when unknown."""
    found = list(each_customer(tx, connection_id, [customer_id]))
    return found[0] if found else None


def each_customer(
    tx: Transaction, connection_id: str, ids: Collection[str] | None = None
) -> Iterator[Receivables]:
    """Every customer's whole picture, a few hundred at a time so that memory stays flat.

    Customers merged into another come as that other's history, not by themselves.
    """
    survivor = survivors(tx, connection_id)
    if ids is None:
        c = db.customers.c
        every = tx.scalars(sa.select(c.id).where(c.connection_id == connection_id).order_by(c.id)).all()
        wanted = [id for id in every if id not in survivor]
    else:
        wanted = sorted({survivor.get(id, id) for id in ids})
    merged: dict[str, list[str]] = defaultdict(list)
    for old, now in survivor.items():
        merged[now].append(old)
    for part in _parts(wanted):
        owner = {id: id for id in part} | {old: id for id in part for old in merged[id]}
        yield from _pictures(tx, connection_id, part, owner)


def _pictures(
    tx: Transaction, connection_id: str, ids: list[str], owner: dict[str, str]
) -> Iterator[Receivables]:
    people = {c.id: c for c in customers(tx, connection_id, ids)}
    of: dict[Kind, dict[str, list[Any]]] = {kind: defaultdict(list) for kind in Kind}
    rows = _rows_of(tx, _SHAPES[Kind.INVOICE], connection_id, list(owner), "customer_id")
    for row in sorted(rows, key=_by_day):
        made = Invoice(*row)
        of[Kind.INVOICE][owner[made.customer_id]].append(made)
    for kind in (Kind.PAYMENT, Kind.CREDIT):
        for record in _money(tx, connection_id, kind, list(owner)):
            of[kind][owner[record.customer_id]].append(record)
    for id in ids:
        if id in people:
            lists = (tuple(of[k].get(id, ())) for k in (Kind.INVOICE, Kind.PAYMENT, Kind.CREDIT))
            yield Receivables(people[id], *lists)


def survivors(tx: Transaction, connection_id: str) -> dict[str, str]:
    """Merged customer → the customer that lives on (a chain of merges followed to its end)."""
    sql = f"SELECT id, merged_into FROM customers WHERE connection_id = {_mark(tx, 1)} AND merged_into <> ''"  # noqa: S608
    into: dict[str, str] = {row[0]: row[1] for row in _raw(tx, sql, connection_id)}
    last: dict[str, str] = {}
    for id in into:
        end, steps = id, 0
        while end in into and steps <= len(into):
            end, steps = into[end], steps + 1
        if end not in into:  # a ring of merges makes no sense: leave such customers as they are
            last[id] = end
    return last


def settlements(tx: Transaction, connection_id: str) -> list[tuple[str, dt.date, int]]:
    """(invoice, day, amount) of everything set against invoices by live payments and credits, by day.

    The day is the allocation's own, or its payment's or credit's where the ledger gives none.
    """
    a = db.allocations.c
    found: list[tuple[str, dt.date, int]] = []
    for kind in (Kind.PAYMENT, Kind.CREDIT):
        table = _SHAPES[kind].table
        joined = sa.and_(
            a.connection_id == table.c.connection_id, a.source == kind.value, a.source_id == table.c.id
        )
        query = (
            sa.select(a.invoice_id, sa.func.coalesce(a.date, table.c.date, type_=sa.Date), a.amount)
            .select_from(table.join(db.allocations, joined))
            .where(table.c.connection_id == connection_id, ~table.c.void)
        )
        found += [(row[0], row[1], row[2]) for row in tx.execute(query)]
    return sorted(found, key=lambda s: (s[1], s[0], s[2]))


def open_invoices(tx: Transaction, connection_id: str) -> dict[str, dict[str, int]]:
    """How many invoices are open by our mirror: customer id → currency → count, for the completeness proof."""
    i = db.invoices.c
    live = i.status.in_([Status.OPEN, Status.PARTLY_PAID])
    query = (
        sa.select(i.customer_id, i.currency, sa.func.count())
        .where(i.connection_id == connection_id, live, i.balance != 0)
        .group_by(i.customer_id, i.currency)
    )
    survivor = survivors(tx, connection_id)
    total: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for customer_id, currency, count in tx.execute(query):
        total[survivor.get(customer_id, customer_id)][currency] += count
    return {id: dict(counts) for id, counts in total.items()}


def open_balances(tx: Transaction, connection_id: str) -> dict[str, dict[str, int]]:
    """What each customer owes by our mirror: open invoices less unapplied money and remaining credits.

    Customer id (the survivor's, after a merge) → currency → minor units; only what is not zero.
    """
    i, p, n = db.invoices.c, db.payments.c, db.credits.c
    live = i.status.in_([Status.OPEN, Status.PARTLY_PAID])
    queries = (
        (1, i.customer_id, i.currency, i.balance, sa.and_(i.connection_id == connection_id, live)),
        (-1, p.customer_id, p.currency, p.unapplied, sa.and_(p.connection_id == connection_id, ~p.void)),
        (-1, n.customer_id, n.currency, n.remaining, sa.and_(n.connection_id == connection_id, ~n.void)),
    )
    total: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    survivor = survivors(tx, connection_id)
    for sign, who, currency, amount, where in queries:
        query = sa.select(who, currency, sa.func.sum(amount)).where(where).group_by(who, currency)
        for customer_id, code, minor in tx.execute(query):
            total[survivor.get(customer_id, customer_id)][code] += sign * int(minor)
    return {id: kept for id, sums in total.items() if (kept := {code: m for code, m in sums.items() if m})}


def counts(tx: Transaction, connection_id: str) -> dict[Kind, int]:
    """How many records of each kind the mirror holds."""
    return {
        kind: tx.scalar(
            sa.select(sa.func.count()).select_from(s.table).where(s.table.c.connection_id == connection_id)
        )
        or 0
        for kind, s in _SHAPES.items()
    }
