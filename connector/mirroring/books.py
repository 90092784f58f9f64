"""The organization's receivables as our mirror of its ledger has them, read back as domain records.

`mirror` keeps them; here one reads, and sees which customers changed since the last review.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter, itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection as Transaction

from connector import db
from connector.contact import credit_limits
from connector.domain.receivables import (
    Allocation,
    CreditNote,
    Customer,
    Invoice,
    Kind,
    Payment,
    Status,
)
from connector.mirroring.book_rows import SHAPES, Shape, columns, day, maker, mark, parts_of_ids

Key = tuple[str, str]  # connection, customer
_STATUS = {s.value: s for s in Status}


@dataclass(frozen=True, slots=True)
class Receivables:
    """One customer's whole picture, with the history of customers merged into it. Each list is by date, then id."""

    customer: Customer
    invoices: tuple[Invoice, ...]
    payments: tuple[Payment, ...]
    credits: tuple[CreditNote, ...]


# ---------------------------------------------------------------- what a review has yet to look at


def note_changed(tx: Transaction, connection_id: str, ids: Collection[str], now: dt.datetime) -> None:
    """Remember which customers changed, in the transaction that changed them."""
    if ids:
        named = db.wanted(tx, [(connection_id, id) for id in sorted(ids)])
        rows = sa.select(*named.c, sa.literal(now, db.Moment())).where(sa.true())  # or SQLite misreads the ON
        insert = (postgresql if tx.dialect.name == "postgresql" else sqlite).insert(db.changed_customers)
        insert = insert.from_select(["connection_id", "customer_id", "changed_at"], rows)
        upsert = insert.on_conflict_do_update(
            index_elements=["connection_id", "customer_id"], set_={"changed_at": insert.excluded.changed_at}
        )
        tx.execute(upsert)
        tx.execute(sa.update(db.connections).where(db.connections.c.id == connection_id).values(news_at=now))


def changed(tx: Transaction, connection_id: str) -> dict[str, dt.datetime]:
    """Customers that changed and were not reviewed since, with the moment of the change."""
    c = db.changed_customers.c
    query = sa.select(c.customer_id, c.changed_at).where(c.connection_id == connection_id)
    return {row.customer_id: row.changed_at for row in tx.execute(query)}


def changed_of(tx: Transaction, connection_ids: Collection[str]) -> set[Key]:
    """The same of several organizations, without the moments."""
    c = db.changed_customers.c
    query = sa.select(c.connection_id, c.customer_id).where(c.connection_id.in_(list(connection_ids)))
    return {(row[0], row[1]) for row in tx.execute(query)}


def changing(tx: Transaction) -> set[str]:
    """The organizations with customers that changed and were not reviewed since."""
    return set(tx.scalars(sa.select(db.changed_customers.c.connection_id).distinct()))


def news(tx: Transaction, connection_id: str) -> dt.datetime | None:
    """When something last changed of which predictions know nothing yet."""
    return tx.scalar(sa.select(db.connections.c.news_at).where(db.connections.c.id == connection_id))


def learned(tx: Transaction, connection_id: str, seen: dt.datetime | None) -> None:
    """Predictions know what `news` told; what came meanwhile stays news."""
    if seen is not None:
        c = db.connections.c
        known = sa.update(db.connections).where(c.id == connection_id, c.news_at <= seen)
        tx.execute(known.values(news_at=None))


def reviewed(tx: Transaction, connection_id: str, seen: dict[str, dt.datetime]) -> None:
    """Strike out what `changed` gave, except customers that changed again during the review."""
    c = db.changed_customers.c
    moments: dict[dt.datetime, list[str]] = defaultdict(list)
    for id, moment in seen.items():
        moments[moment].append(id)
    for moment, ids in moments.items():
        for part in parts_of_ids(ids):
            tx.execute(
                sa.delete(db.changed_customers).where(
                    c.connection_id == connection_id, c.customer_id.in_(part), c.changed_at <= moment
                )
            )


# ---------------------------------------------------------------- read


def _rows_of(
    tx: Transaction, shape: Shape, connection_id: str, ids: Sequence[str], by: str, more: str = ""
) -> list[list[Any]]:
    """The rows whose column `by` is one of `ids`, as columns."""
    rest = f"WHERE connection_id = {mark(tx, 1)} AND {by} IN ({mark(tx, len(ids))}){more}"
    return shape.read(tx, rest, connection_id, *ids)


def _select(shape: Shape, connection_id: str, *where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    c = shape.table.c
    return sa.select(*(c[n] for n in shape.names)).where(c.connection_id == connection_id, *where)


def _customer(row: Sequence[Any]) -> Customer:
    made = Customer(*row)
    return replace(made, ledger_balance=json.loads(row[_BALANCE])) if row[_BALANCE] else made


_make_allocation = maker(Allocation)


def _reader(kind: Kind, record: type[Any], names: Sequence[str] = ()) -> _Reader:
    shape = SHAPES[kind].only(*names) if names else SHAPES[kind]
    parted = ("allocations",) if kind in (Kind.PAYMENT, Kind.CREDIT) else ()
    return shape, maker(record, *shape.names, *parted)


_Reader = tuple[Shape, Callable[..., Any]]
_WHOLE = _reader(Kind.INVOICE, Invoice)
_PERSON = _reader(Kind.CUSTOMER, Customer)
_BRIEFLY = _reader(Kind.CUSTOMER, Customer, ("id", "name", "currency", "country", "credit_limit"))
_MONEY = {Kind.PAYMENT: _reader(Kind.PAYMENT, Payment), Kind.CREDIT: _reader(Kind.CREDIT, CreditNote)}
# What those who judge ask for: of paid invoices, and of money.
_CLOSED = _reader(
    Kind.INVOICE,
    Invoice,
    ("id", "number", "customer_id", "date", "due", "currency", "total", "balance", "status", "tax", "marker"),
)
_OWING = _reader(Kind.INVOICE, Invoice, (*_CLOSED[0].names, "rate"))
_MONEY_BRIEF = _MONEY | {
    Kind.PAYMENT: _reader(
        Kind.PAYMENT,
        Payment,
        ("id", "customer_id", "date", "currency", "amount", "unapplied", "flavor", "void", "marker"),
    )
}
_BALANCE = SHAPES[Kind.CUSTOMER].names.index("ledger_balance")
_INVOICE_STATUS = SHAPES[Kind.INVOICE].names.index("status")


def _invoice(row: Sequence[Any]) -> Invoice:
    values: list[Any] = list(row)
    values[_INVOICE_STATUS] = _STATUS[row[_INVOICE_STATUS]]
    return _WHOLE[1](*values)  # type: ignore[no-any-return]


def customers(tx: Transaction, connection_id: str, ids: Collection[str] | None = None) -> list[Customer]:
    """The organization's customers by name (all, or those of `ids`), inactive and merged ones included."""
    shape = SHAPES[Kind.CUSTOMER]
    if ids is None:
        found = [_customer(row) for row in tx.execute(_select(shape, connection_id))]
    else:
        parts = parts_of_ids(sorted(ids))
        found = [
            Customer(*row)
            for p in parts
            for row in zip(*_rows_of(tx, shape, connection_id, p, "id"), strict=True)
        ]
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
    query = _select(SHAPES[Kind.INVOICE], connection_id, *where).order_by(c.due, c.id)
    return [_invoice(row) for row in tx.execute(query)]


def invoice(tx: Transaction, connection_id: str, invoice_id: str) -> Invoice | None:
    found = invoices(tx, connection_id, ids=[invoice_id])
    return found[0] if found else None


GENERATIONS = 5  # a customer and four levels of sub-customers, as QuickBooks allows


def parents(tx: Transaction, connection_id: str, customer: Customer) -> list[str]:
    """The ids of the customers above a sub-customer, the nearest first."""
    c = db.customers.c
    found: list[str] = []
    above = customer.parent_id
    while above and above not in found and len(found) < GENERATIONS:
        found.append(above)
        of_it = sa.select(c.parent_id).where(c.connection_id == connection_id, c.id == above)
        above = tx.scalar(of_it) or ""
    return found


def families(tx: Transaction, connection_id: str, customer_ids: Collection[str]) -> dict[str, list[str]]:
    """Whoever belongs together with these customers, by customer: all above and below the one at the top, over all
    generations. Customers without any are left out."""
    c = db.customers.c
    mine = c.connection_id == connection_id
    top = {id: id for id in customer_ids}
    for _ in range(GENERATIONS):
        query = sa.select(c.id, c.parent_id).where(mine, c.parent_id != "", c.id.in_(set(top.values())))
        if not (above := {row.id: row.parent_id for row in tx.execute(query)}):
            break
        top = {id: above.get(one, one) for id, one in top.items()}
    heads = {one: one for one in top.values()}  # member → the one at the top
    newest = set(heads)
    for _ in range(GENERATIONS):
        query = sa.select(c.id, c.parent_id).where(mine, c.parent_id != "", c.parent_id.in_(newest))
        below = {row.id: heads[row.parent_id] for row in tx.execute(query) if row.id not in heads}
        if not below:
            break
        heads |= below
        newest = set(below)
    members: dict[str, set[str]] = defaultdict(set)
    for id, one in heads.items():
        members[one].add(id)
    return {id: sorted(members[one] - {id}) for id, one in top.items() if members[one] - {id}}


def shared_numbers(tx: Transaction, connection_id: str, numbers: Mapping[str, str]) -> set[str]:
    """Which of these invoices (id → number) bear a number that another live invoice bears too."""
    c = db.invoices.c
    mine = (c.connection_id == connection_id, c.number.in_(sorted({n for n in numbers.values() if n})))
    bearing: dict[str, set[str]] = defaultdict(set)
    for row in tx.execute(sa.select(c.number, c.id).where(*mine, c.status != Status.VOID)):
        bearing[row.number].add(row.id)
    return {id for id, number in numbers.items() if bearing[number] - {id}}


def payments(tx: Transaction, connection_id: str, customer_id: str | None = None) -> list[Payment]:
    """Payments with their allocations, by date."""
    owners = None if customer_id is None else [customer_id]
    return _money(tx, connection_id, Kind.PAYMENT, owners)


def credits(tx: Transaction, connection_id: str, customer_id: str | None = None) -> list[CreditNote]:
    """Credit notes with their allocations, by date."""
    owners = None if customer_id is None else [customer_id]
    return _money(tx, connection_id, Kind.CREDIT, owners)


def _money(
    tx: Transaction, connection_id: str, kind: Kind, owners: list[str] | None, brief: bool = False
) -> list[Any]:
    mine = f"WHERE connection_id = {mark(tx, 1)}"
    if owners is not None:
        mine += f" AND customer_id IN ({mark(tx, len(owners))})"
    shape, make = (_MONEY_BRIEF if brief else _MONEY)[kind]
    found = shape.read(tx, mine, connection_id, *(owners or ()))
    if not found[0]:
        return []
    parts = _allocations(tx, f"{mine} AND source = {mark(tx, 1)}", connection_id, *(owners or ()), kind.value)
    made = map(make, *found, [parts.get(id, ()) for id in found[0]])
    return sorted(made, key=attrgetter("date", "id"))


_PARTS = ("source_id", "n", "invoice_id", "amount", '"date"', "id")


def _allocations(tx: Transaction, rest: str, *values: Any) -> Mapping[str, tuple[Allocation, ...]]:
    """By payment or credit, in the ledger's order. (Asked for it, SQLite would walk all of the organization's.)"""
    source, place, invoice, amount, date, id = columns(tx, _PARTS, f"FROM allocations {rest}", *values)
    made = map(_make_allocation, invoice, amount, [day(d) if d else None for d in date], id)
    if not any(place):  # one each, as most have
        return dict(zip(source, zip(made, strict=True), strict=True))
    parts = defaultdict[str, list[Allocation]](list)
    for whose, _, part in sorted(zip(source, place, made, strict=True), key=itemgetter(0, 1)):
        parts[whose].append(part)
    return {whose: tuple(mine) for whose, mine in parts.items()}


def of_customer(tx: Transaction, connection_id: str, customer_id: str) -> Receivables | None:
    """One customer's whole picture; of the survivor when it was merged away. None when unknown.

    Here, and wherever customers are judged, a credit limit that a person entered counts before the ledger's.
    """
    found = list(each_customer(tx, connection_id, [customer_id]))
    return found[0] if found else None


def each_customer(
    tx: Transaction, connection_id: str, ids: Collection[str] | None = None, *, brief: bool = False
) -> Iterator[Receivables]:
    """Every customer's whole picture, a few hundred at a time so that memory stays flat.

    Customers merged into another come as that other's history, not by themselves. `brief` leaves empty what
    nobody who judges asks for: words, links and versions of paid invoices, and those of payments.
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
    for part in parts_of_ids(wanted):
        owner = {id: id for id in part} | {old: id for id in part for old in merged[id]}
        yield from _pictures(tx, connection_id, part, owner, brief)


def _pictures(
    tx: Transaction, connection_id: str, ids: list[str], owner: dict[str, str], brief: bool
) -> Iterator[Receivables]:
    limits = credit_limits.entered(tx, connection_id, ids)
    people = {c.id: c for c in credit_limits.laid_over(customers(tx, connection_id, ids), limits)}
    everyone, made = list(owner), list[Invoice]()
    ways = [(_WHOLE, " AND balance > 0"), (_CLOSED, " AND balance <= 0")] if brief else [(_WHOLE, "")]
    for (shape, make), which in ways:
        made += map(make, *_rows_of(tx, shape, connection_id, everyone, "customer_id", which))
    made.sort(key=attrgetter("date", "id"))
    money = (_money(tx, connection_id, kind, everyone, brief) for kind in (Kind.PAYMENT, Kind.CREDIT))
    lists = [_by_owner(records, owner) for records in (made, *money)]
    for id in ids:
        if id in people:
            yield Receivables(people[id], *(tuple(of.get(id, ())) for of in lists))


def _by_owner(records: list[Any], owner: Mapping[str, str]) -> dict[str, list[Any]]:
    """Whose records these are, in their order."""
    if len(owner) == 1:
        return dict.fromkeys(owner, records)
    found = defaultdict[str, list[Any]](list)
    for record in records:
        found[owner[record.customer_id]].append(record)
    return found


def merging(tx: Transaction, connection_ids: Collection[str]) -> list[str]:
    """Those of these organizations in which customers were merged."""
    c = db.customers.c
    query = sa.select(c.connection_id).where(c.connection_id.in_(list(connection_ids)), c.merged_into != "")
    return list(tx.scalars(query.distinct()))


def pictures(tx: Transaction, keys: Collection[Key]) -> dict[Key, Receivables]:
    """Customers of any organizations, briefly: a few statements for all of them."""
    whose = {connection_id for connection_id, _ in keys}
    merged = whose if len(whose) == 1 else set(merging(tx, whose))  # of one alone, its own way is quicker
    found: dict[Key, Receivables] = {}
    for connection_id in sorted(merged):
        mine = [id for one, id in keys if one == connection_id]
        for picture in each_customer(tx, connection_id, mine, brief=True):
            found[connection_id, picture.customer.id] = picture
    if apart := sorted(key for key in keys if key[0] not in merged):
        found |= _pictures_of(tx, apart)
    return found


def _pictures_of(tx: Transaction, keys: Sequence[Key]) -> dict[Key, Receivables]:
    of: dict[Kind, dict[Key, list[Any]]] = {kind: defaultdict(list) for kind in Kind}
    limits = credit_limits.everywhere(tx, {connection_id for connection_id, _ in keys})
    for id, customer in _each(tx, _PERSON, *_these(tx, keys, "id")):
        of[Kind.CUSTOMER][id, customer.id].append(
            credit_limits.under(customer, limits.get((id, customer.id)))
        )
    whose, values = _these(tx, keys, "customer_id")
    made = [*_each(tx, _WHOLE, f"{whose} AND balance > 0", values)]
    made += _each(tx, _CLOSED, f"{whose} AND balance <= 0", values)
    for id, invoice in sorted(made, key=lambda each: (each[1].date, each[1].id)):
        of[Kind.INVOICE][id, invoice.customer_id].append(invoice)
    for kind in (Kind.PAYMENT, Kind.CREDIT):
        parts = _allocations_of(tx, f"{whose} AND source = {mark(tx, 1)}", *values, kind.value)
        found = _each(tx, _MONEY_BRIEF[kind], whose, values, parts)
        for id, record in sorted(found, key=lambda each: (each[1].date, each[1].id)):
            of[kind][id, record.customer_id].append(record)
    order = (Kind.INVOICE, Kind.PAYMENT, Kind.CREDIT)
    return {
        key: Receivables(who, *(tuple(of[kind].get(key, ())) for kind in order))
        for key, [who] in of[Kind.CUSTOMER].items()
    }


def _these(tx: Transaction, keys: Sequence[Key], by: str) -> tuple[str, tuple[Any, ...]]:
    """Which rows are about these customers, in a statement that is as short for many as for one."""
    if tx.dialect.name == "sqlite":
        pairs = "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)"
        return f"WHERE (connection_id, {by}) IN ({pairs})", (json.dumps(keys),)
    pairs = "SELECT * FROM unnest(CAST(%s AS TEXT[]), CAST(%s AS TEXT[]))"
    return f"WHERE (connection_id, {by}) IN ({pairs})", tuple([key[n] for key in keys] for n in (0, 1))


def _each(
    tx: Transaction,
    reader: _Reader,
    rest: str,
    values: tuple[Any, ...],
    parts: Mapping[Key, Sequence[Allocation]] | None = None,
) -> Iterator[tuple[str, Any]]:
    """The connection of each record, and the record; with its `parts` where records of the kind have some."""
    shape, make = reader
    whose, *found = shape.of_many().read(tx, rest, *values)
    if parts is not None:
        found.append([tuple(parts.get(key, ())) for key in zip(whose, found[0], strict=True)])
    return zip(whose, map(make, *found), strict=True)


def _allocations_of(tx: Transaction, rest: str, *values: Any) -> dict[Key, list[Allocation]]:
    """By connection and payment or credit, in the ledger's order."""
    wanted = ("connection_id", *_PARTS)
    whose, source, place, *of, date, id = columns(tx, wanted, f"FROM allocations {rest}", *values)
    made = map(_make_allocation, *of, [day(d) if d else None for d in date], id)
    parts = defaultdict[Key, list[Allocation]](list)
    for connection_id, name, _, part in sorted(
        zip(whose, source, place, made, strict=True), key=itemgetter(0, 1, 2)
    ):
        parts[connection_id, name].append(part)
    return parts


def briefly(tx: Transaction, connection_id: str) -> list[Customer]:
    """All customers, with nothing but their name, currency, country and credit limit."""
    shape, make = _BRIEFLY
    found = map(make, *shape.read(tx, f"WHERE connection_id = {mark(tx, 1)}", connection_id))
    return credit_limits.laid_over(found, credit_limits.entered(tx, connection_id))


def owing(tx: Transaction, connection_id: str) -> list[Invoice]:
    """Everything open, of all customers, with what those who judge ask for."""
    shape, make = _OWING
    rest = f"WHERE connection_id = {mark(tx, 1)} AND balance > 0 AND status IN ('open', 'partly_paid')"
    return list(map(make, *shape.read(tx, rest, connection_id)))


def survivors(tx: Transaction, connection_id: str) -> dict[str, str]:
    """Merged customer → the customer that lives on (a chain of merges followed to its end)."""
    rest = f"FROM customers WHERE connection_id = {mark(tx, 1)} AND merged_into <> ''"
    into: dict[str, str] = dict(zip(*columns(tx, ("id", "merged_into"), rest, connection_id), strict=True))
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
        table = SHAPES[kind].table
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
        for kind, s in SHAPES.items()
    }
