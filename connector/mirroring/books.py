"""The organization's receivables as our mirror of its ledger has them, read back as domain records.

`mirror` keeps them; here one reads, and sees which customers changed since the last review.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection as Transaction

from connector import db
from connector.contact import credit_limits
from connector.domain.on_account import Held, Part, held
from connector.domain.receivables import (
    Allocation,
    CreditNote,
    Customer,
    Invoice,
    Kind,
    Payment,
    Status,
)
from connector.mirroring.book_rows import SHAPES, Shape, columns, maker, mark, parts_of_ids, read

Key = tuple[str, str]  # connection, customer
_STATUS = {s.value: s for s in Status}
_OF_MONEY = (Kind.PAYMENT, Kind.CREDIT)


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
    query = sa.select(c.connection_id, c.customer_id).where(db.among(tx, c.connection_id, connection_ids))
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


def _select(shape: Shape, connection_id: str, *where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    c = shape.table.c
    return sa.select(*(c[n] for n in shape.names)).where(c.connection_id == connection_id, *where)


def _reader(kind: Kind, record: type[Any], names: Sequence[str] = ()) -> _Reader:
    shape = SHAPES[kind].only(*names) if names else SHAPES[kind]
    parted = ("allocations",) if kind in (Kind.PAYMENT, Kind.CREDIT) else ()
    return shape, maker(record, *shape.names, *parted)


_Reader = tuple[Shape, Callable[..., list[Any]]]
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
# The invoices of a picture: how which of them are read.
_OPEN = [(_WHOLE, " AND balance > 0")]
_BRIEF = [*_OPEN, (_CLOSED, " AND balance <= 0")]
_ALL = [(_WHOLE, "")]
_INVOICE_STATUS = SHAPES[Kind.INVOICE].names.index("status")
# The parts of payments or credits; `n` tells their order.
_PARTS = Shape(db.allocations, ("source_id", "n", "invoice_id", "amount", "date", "id"), ((4, "day"),), 0, ())
_make_part = maker(Allocation)
_LIMITS = Shape(
    db.credit_limits, ("customer_id", "amount", "currency", "set_by", "set_at"), ((4, "moment"),), 0, ()
)
_make_limit = maker(credit_limits.Entered)


def customers(tx: Transaction, connection_id: str, ids: Collection[str] | None = None) -> list[Customer]:
    """The organization's customers by name (all, or those of `ids`), inactive and merged ones included."""
    shape, make = _PERSON
    if ids is None:
        found = make(*shape.read(tx, f"WHERE connection_id = {mark(tx, 1)}", connection_id))
    else:
        parts = ([(connection_id, id) for id in part] for part in parts_of_ids(sorted(ids)))
        found = [c for part in parts for c in make(*read(tx, (shape, *_these(tx, part, "id")))[0])]
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
    found = list(zip(*tx.execute(query), strict=True))
    if not found:
        return []
    found[_INVOICE_STATUS] = tuple(map(_STATUS.__getitem__, found[_INVOICE_STATUS]))
    return _WHOLE[1](*found)


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
    wanted = sorted({n for n in numbers.values() if n})
    bearing: dict[str, set[str]] = defaultdict(set)
    if wanted:
        mine = f"connection_id = {mark(tx, 1)} AND number IN ({mark(tx, len(wanted))}) AND status <> 'void'"
        query = f"SELECT number, id FROM invoices WHERE {mine}"  # noqa: S608 - marks
        for number, id in tx.exec_driver_sql(query, (connection_id, *wanted)):
            bearing[number].add(id)
    return {id for id, number in numbers.items() if bearing[number] - {id}}


def payments(tx: Transaction, connection_id: str, customer_id: str | None = None) -> list[Payment]:
    """Payments with their allocations, by date."""
    return _money(tx, connection_id, Kind.PAYMENT, customer_id)


def credits(tx: Transaction, connection_id: str, customer_id: str | None = None) -> list[CreditNote]:
    """Credit notes with their allocations, by date."""
    return _money(tx, connection_id, Kind.CREDIT, customer_id)


_id, _date = attrgetter("id"), attrgetter("date")


def _money(tx: Transaction, connection_id: str, kind: Kind, customer_id: str | None) -> list[Any]:
    rest, values = f"WHERE connection_id = {mark(tx, 1)}", [connection_id]
    if customer_id is not None:
        rest, values = f"{rest} AND customer_id = {mark(tx, 1)}", [*values, customer_id]
    shape, make = _MONEY[kind]
    found = read(tx, (shape, rest, values), _parts_of(kind, rest, values))
    money, parts = (([connection_id] * len(columns[0]), columns) for columns in found)
    return sorted(sorted(make(*money[1], _parted(money, parts)), key=_id), key=_date)


def _parts_of(kind: Kind, whose: str, values: Sequence[Any]) -> _Asked:
    return _PARTS, f"{whose} AND source = '{kind.value}'", values


_Asked = tuple[Shape, str, Sequence[Any]]
_Table = tuple[list[str], list[list[Any]]]  # the connection of each row, and the columns


def _keys(table: _Table) -> Iterator[Key]:
    """By connection and first column."""
    return zip(table[0], table[1][0], strict=True)


def _parted(documents: _Table, parts: _Table) -> list[tuple[Allocation, ...]]:
    """The parts of each payment or credit, in the ledger's order. (Asked for it, SQLite would walk all of the
    organization's.)"""
    _, place, *more = parts[1]
    made = _make_part(*more)
    if documents[0] == parts[0] and documents[1][0] == parts[1][0]:  # one each, as most have
        return list(zip(made, strict=True))
    found: Iterable[tuple[Key, int, Allocation]] = zip(_keys(parts), place, made, strict=True)
    if any(place):
        found = sorted(found, key=itemgetter(0, 1))
    whose: dict[Key, tuple[Allocation, ...]] = {}
    for key, _, part in found:
        whose[key] = (*whose.get(key, ()), part)
    return [whose.get(key, ()) for key in _keys(documents)]


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
    for part in parts_of_ids(wanted):
        yield from _pictures(
            tx, [(connection_id, id) for id in part], {connection_id: survivor}, _BRIEF if brief else _ALL
        ).values()


def _pictures(
    tx: Transaction,
    wanted: Iterable[Key],
    survivors: Mapping[str, Mapping[str, str]],
    ways: Sequence[tuple[_Reader, str]],
) -> dict[Key, Receivables]:
    """Of those who live on, with the history of those who became them; in one statement."""
    owner = {key: key for key in sorted(wanted)}
    for one, into in survivors.items():
        owner |= {(one, old): (one, now) for old, now in into.items() if (one, now) in owner}
    if not owner:
        return {}
    (paid, pay), (given, give) = ((_MONEY if ways is _ALL else _MONEY_BRIEF)[kind] for kind in _OF_MONEY)
    whose, values = _these(tx, owner, "customer_id")
    asked: list[_Asked] = [
        (_PERSON[0], *_these(tx, owner, "id")),
        *((shape, whose, values) for shape in (_LIMITS, paid, given)),
        *(_parts_of(kind, whose, values) for kind in _OF_MONEY),
        *((shape, whose + which, values) for (shape, _), which in ways),
    ]
    person, limit, payment, credit, of_payments, of_credits, *tables = _tables(tx, owner, asked)
    invoices = [(table[0], make(*table[1])) for table, ((_, make), _) in zip(tables, ways, strict=True)]
    payments = [(payment[0], pay(*payment[1], _parted(payment, of_payments)))]
    credits = [(credit[0], give(*credit[1], _parted(credit, of_credits)))]
    lists = [_by_owner(owner, records) for records in (invoices, payments, credits)]
    people = dict(zip(_keys(person), _PERSON[1](*person[1]), strict=True))
    limits = dict(zip(_keys(limit), _make_limit(*limit[1][1:]), strict=True))
    return {
        key: Receivables(
            credit_limits.under(people[key], limits.get(key)), *(tuple(of.get(key, ())) for of in lists)
        )
        for key, lives in owner.items()
        if key == lives and key in people
    }


def _tables(tx: Transaction, owner: Mapping[Key, Key], asked: Sequence[_Asked]) -> list[_Table]:
    """Of one organization the connection need not be asked for, of one customer neither who it is."""
    connection_id, *more = {one for one, _ in owner}
    if more:
        many = read(tx, *((shape.of_many, rest, values) for shape, rest, values in asked))
        return [(columns[0], columns[1:]) for columns in many]
    if len(owner) > 1:
        return [([connection_id] * len(columns[0]), columns) for columns in read(tx, *asked)]
    found = []
    [(_, customer_id)] = owner
    every = read(tx, *((shape.of_one, rest, values) for shape, rest, values in asked))
    for (shape, _, _), table in zip(asked, every, strict=True):
        count = len(table[0])
        if shape is not shape.of_one:
            table.insert(shape.owner, [customer_id] * count)
        found.append(([connection_id] * count, table))
    return found


def _by_owner(owner: Mapping[Key, Key], found: Sequence[tuple[list[str], list[Any]]]) -> dict[Key, list[Any]]:
    """Whose records these are, in order; they come with their connections."""
    whose = defaultdict[Key, list[Any]](list)
    for connections, records in found:
        if len(owner) == 1:
            whose[next(iter(owner))] += records
        else:
            for one, record in zip(connections, records, strict=True):
                whose[owner[one, record.customer_id]].append(record)
    for mine in whose.values():
        mine.sort(key=_id)  # twice by one thing each: half the time of once by both
        mine.sort(key=_date)
    return whose


def merging(tx: Transaction, connection_ids: Collection[str]) -> list[str]:
    """Those of these organizations in which customers were merged."""
    c = db.customers.c
    query = sa.select(c.connection_id).where(
        db.among(tx, c.connection_id, connection_ids), c.merged_into != ""
    )
    return list(tx.scalars(query.distinct()))


def pictures(tx: Transaction, keys: Collection[Key], *, open_only: bool = False) -> dict[Key, Receivables]:
    """Customers of any organizations, briefly: two statements for all of them. `open_only`: without paid invoices."""
    whose = {one for one, _ in keys}
    into = {one: survivors(tx, one) for one in (whose if len(whose) == 1 else merging(tx, whose))}
    return _pictures(
        tx, {(one, into.get(one, {}).get(id, id)) for one, id in keys}, into, _OPEN if open_only else _BRIEF
    )


def _these(tx: Transaction, keys: Collection[Key], by: str) -> tuple[str, tuple[Any, ...]]:
    """Which rows are about these customers; of many organizations in a statement that is as short for many as for one."""
    if len(whose := {one for one, _ in keys}) == 1:
        ids = [id for _, id in keys]
        return f"WHERE connection_id = {mark(tx, 1)} AND {by} IN ({mark(tx, len(ids))})", (*whose, *ids)
    if tx.dialect.name == "sqlite":
        pairs = "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)"
        return f"WHERE (connection_id, {by}) IN ({pairs})", (json.dumps(list(keys)),)
    pairs = "SELECT * FROM unnest(CAST(%s AS TEXT[]), CAST(%s AS TEXT[]))"
    return f"WHERE (connection_id, {by}) IN ({pairs})", tuple([key[n] for key in keys] for n in (0, 1))


def briefly(tx: Transaction, connection_id: str) -> list[Customer]:
    """All customers, with nothing but their name, currency, country and credit limit."""
    shape, make = _BRIEFLY
    found = make(*shape.read(tx, f"WHERE connection_id = {mark(tx, 1)}", connection_id))
    return credit_limits.laid_over(found, credit_limits.entered(tx, connection_id))


def owing(tx: Transaction, connection_id: str) -> list[Invoice]:
    """Everything open, of all customers, with what those who judge ask for."""
    shape, make = _OWING
    rest = f"WHERE connection_id = {mark(tx, 1)} AND balance > 0 AND status IN ('open', 'partly_paid')"
    return make(*shape.read(tx, rest, connection_id))


def on_account(tx: Transaction, connection_id: str, today: dt.date) -> tuple[list[Invoice], Held]:
    """Money that is matched with no invoice: the open invoices of those who have some, and what it is held against."""
    into, sums = survivors(tx, connection_id), defaultdict[str, tuple[list[Any], list[Any]]](lambda: ([], []))
    for n, kind in enumerate(_OF_MONEY):
        (shape, make), waits = _MONEY_BRIEF[kind], _WAITS[kind]
        columns = shape.read(tx, f"WHERE connection_id = {mark(tx, 1)} AND {waits}", connection_id)
        for one in make(*columns, [()] * len(columns[0])):
            sums[into.get(one.customer_id, one.customer_id)][n].append(one)
    if not sums:
        return [], {}
    shape, make = _OWING
    mine: dict[str, list[Invoice]] = defaultdict(list)
    rest = f"WHERE connection_id = {mark(tx, 1)} AND balance > 0 AND status IN ('open', 'partly_paid')"
    for part in parts_of_ids([*sums, *(old for old, now in into.items() if now in sums)]):
        named = f"{rest} AND customer_id IN ({mark(tx, len(part))})"
        for invoice in make(*shape.read(tx, named, connection_id, *part)):
            mine[into.get(invoice.customer_id, invoice.customer_id)].append(invoice)
    found: dict[str, tuple[Part, ...]] = {}
    for who, money in sums.items():
        found |= held(mine[who], *money, today)
    return [i for invoices in mine.values() for i in invoices], found


_WAITS = {  # the first word for word as in the index that makes it quick
    Kind.PAYMENT: "(unapplied <> 0 OR void) AND NOT void",
    Kind.CREDIT: "remaining <> 0 AND NOT void",
}


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
