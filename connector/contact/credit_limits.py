"""Credit limits that a person entered. One counts before the ledger's own until it is taken back.

Xero tells apps of no limit, so there it is the only one; QuickBooks' stands in the mirror and comes back with the next
reading when the entry goes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from connector.db import credit_limits
from connector.domain.money import Money
from connector.domain.receivables import Customer
from connector.record import audit


@dataclass(frozen=True, slots=True)
class Entered:
    """`amount` is minor units of `currency`."""

    amount: int
    currency: str
    who: str
    at: dt.datetime


def enter(
    tx: Connection,
    connection_id: str,
    customer_id: str,
    amount: int,
    currency: str,
    *,
    who: str,
    now: dt.datetime,
) -> None:
    """From now on this is the limit. Raises ValueError for one that is not above zero."""
    if amount <= 0:
        raise ValueError("A credit limit is above zero.")
    before = entered(tx, connection_id, [customer_id]).get(customer_id)
    values = {"amount": amount, "currency": currency, "set_by": who, "set_at": now}
    insert = (postgresql if tx.dialect.name == "postgresql" else sqlite).insert(credit_limits)
    row = insert.values(connection_id=connection_id, customer_id=customer_id, **values)
    tx.execute(row.on_conflict_do_update(index_elements=["connection_id", "customer_id"], set_=values))
    after = {"limit": str(Money(amount, currency))}
    _record(tx, connection_id, customer_id, "entered a credit limit", before, after, who, now)


def take_back(tx: Connection, connection_id: str, customer_id: str, *, who: str, now: dt.datetime) -> None:
    """The ledger's own limit counts again, where it has one. Harmless when nothing was entered."""
    before = entered(tx, connection_id, [customer_id]).get(customer_id)
    if before is not None:
        c = credit_limits.c
        mine = sa.and_(c.connection_id == connection_id, c.customer_id == customer_id)
        tx.execute(sa.delete(credit_limits).where(mine))
        _record(tx, connection_id, customer_id, "took a credit limit back", before, None, who, now)


def _record(
    tx: Connection,
    connection_id: str,
    customer_id: str,
    what: str,
    before: Entered | None,
    after: dict[str, str] | None,
    who: str,
    now: dt.datetime,
) -> None:
    audit.record(
        tx,
        who=who,
        what=what,
        connection_id=connection_id,
        subject=f"customer {customer_id}",
        before={"limit": str(Money(before.amount, before.currency)), "by": before.who} if before else None,
        after=after,
        now=now,
    )


def entered(
    tx: Connection, connection_id: str, customer_ids: Collection[str] | None = None
) -> dict[str, Entered]:
    """By customer; of all, or of some (few enough for one statement)."""
    whose = {"connection": connection_id}
    rows = (
        tx.execute(_ALL, whose)
        if customer_ids is None
        else tx.execute(_SOME, {**whose, "ids": list(customer_ids)})
    )
    return {row.customer_id: Entered(row.amount, row.currency, row.set_by, row.set_at) for row in rows}


# Made once: each look at a customer asks.
_ALL = sa.select(credit_limits).where(credit_limits.c.connection_id == sa.bindparam("connection"))
_SOME = _ALL.where(credit_limits.c.customer_id.in_(sa.bindparam("ids", expanding=True)))


def laid_over(customers: Iterable[Customer], limits: dict[str, Entered]) -> list[Customer]:
    """The customers with the limits that people entered; one in a currency that is no longer theirs says nothing."""
    if not limits:
        return list(customers)
    return [under(customer, limits.get(customer.id)) for customer in customers]


def under(customer: Customer, limit: Entered | None) -> Customer:
    """The customer with the limit that somebody entered for them."""
    if limit is None or customer.currency not in ("", limit.currency):
        return customer
    return replace(customer, credit_limit=limit.amount, currency=limit.currency)
