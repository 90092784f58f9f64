"""What rests a customer or an invoice: holds that a person set, disputes, and promises to pay.

A hold stops every reminder and every new plan until it is lifted or its day has passed. A promise only
rests reminders until the promised day (with the policy's grace); whether it was kept is judged from the books.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector import db
from connector.connecting import connections
from connector.db import holds, promises
from connector.domain import promises as rules
from connector.record import audit

# reason → the words after "Held:". The first three are refusal codes of the accounting rules.
REASONS = {
    "disputed": "the invoice is in dispute",
    "insolvency": "the customer is insolvent",
    "breathing_space": "the customer is in a breathing space",
    "opt_out": "the customer asked not to be reminded",
    "data_request": "a data-protection request is open",
    "deceased": "the customer has died",
    "manual": "somebody here set a hold",
}


@dataclass(frozen=True, slots=True)
class Hold:
    """`invoice_id` None: the whole customer. `until` is the last day it holds, None: until lifted."""

    id: int
    connection_id: str
    customer_id: str
    invoice_id: str | None
    reason: str
    note: str
    until: dt.date | None
    set_by: str
    set_at: dt.datetime

    @property
    def words(self) -> str:
        return REASONS[self.reason]


@dataclass(frozen=True, slots=True)
class Promise:
    """The customer named a day. `invoice_id` None: for all that is open; `amount` None: the whole of it."""

    id: int
    connection_id: str
    customer_id: str
    invoice_id: str | None
    promised_on: dt.date
    amount: int | None
    currency: str
    recorded_by: str
    recorded_at: dt.datetime


def put(
    tx: Connection,
    connection_id: str,
    customer_id: str,
    reason: str,
    *,
    who: str,
    now: dt.datetime,
    invoice_id: str | None = None,
    until: dt.date | None = None,
    note: str = "",
) -> Hold:
    """Hold a customer or one invoice. The same hold twice is one hold. Raises ValueError for an unknown reason."""
    if reason not in REASONS:
        raise ValueError(f"{reason!r} is not a reason for a hold; there are {', '.join(REASONS)}.")
    for hold in active(tx, connection_id, customer_id, today=now.date()):
        if (hold.reason, hold.invoice_id, hold.until) == (reason, invoice_id, until):
            return hold
    values = {
        "connection_id": connection_id,
        "customer_id": customer_id,
        "invoice_id": invoice_id,
        "reason": reason,
        "note": note,
        "until": until,
        "set_by": who,
        "set_at": now,
    }
    hold_id = tx.execute(sa.insert(holds).values(**values)).inserted_primary_key[0]  # type: ignore[index]
    audit.record(
        tx,
        who=who,
        what="set a hold",
        connection_id=connection_id,
        subject=f"customer {customer_id}",
        why=note or REASONS[reason],
        after={"reason": reason, "invoice": invoice_id, "until": until.isoformat() if until else None},
        now=now,
    )
    return _hold(tx.execute(_rows_of(holds).where(holds.c.id == hold_id)).one())


def lift(tx: Connection, hold_id: int, *, who: str, now: dt.datetime) -> None:
    """End a hold; lifting it twice is harmless. Raises LookupError for an unknown id."""
    row = tx.execute(sa.select(holds).where(holds.c.id == hold_id)).one_or_none()
    if row is None:
        raise LookupError(f"There is no hold {hold_id}.")
    if row.lifted_at is not None:
        return
    tx.execute(sa.update(holds).where(holds.c.id == hold_id).values(lifted_by=who, lifted_at=now))
    audit.record(
        tx,
        who=who,
        what="lifted a hold",
        connection_id=row.connection_id,
        subject=f"customer {row.customer_id}",
        before={"reason": row.reason, "invoice": row.invoice_id},
        now=now,
    )


def active(
    tx: Connection,
    connection_id: str,
    customer_id: str | None = None,
    *,
    today: dt.date,
    among: Collection[str] | None = None,
) -> list[Hold]:
    """The holds that count on `today`, oldest first; of one customer, or of some."""
    query = _rows_of(holds).where(
        holds.c.connection_id == connection_id,
        holds.c.lifted_at.is_(None),
        sa.or_(holds.c.until.is_(None), holds.c.until >= today),
    )
    if customer_id is not None:
        query = query.where(holds.c.customer_id == customer_id)
    if among is not None:
        query = query.where(holds.c.customer_id.in_(list(among)))
    return [_hold(row) for row in tx.execute(query.order_by(holds.c.id))]


def promise(
    tx: Connection,
    connection_id: str,
    customer_id: str,
    promised_on: dt.date,
    *,
    who: str,
    now: dt.datetime,
    invoice_id: str | None = None,
    amount: int | None = None,
    currency: str = "",
) -> Promise:
    """Record that the customer named a day. `amount` is minor units of `currency`."""
    values = {
        "connection_id": connection_id,
        "customer_id": customer_id,
        "invoice_id": invoice_id,
        "promised_on": promised_on,
        "amount": amount,
        "currency": currency,
        "recorded_by": who,
        "recorded_at": now,
    }
    promise_id = tx.execute(sa.insert(promises).values(**values)).inserted_primary_key[0]  # type: ignore[index]
    audit.record(
        tx,
        who=who,
        what="recorded a promise to pay",
        connection_id=connection_id,
        subject=f"customer {customer_id}",
        after={"promised_on": promised_on.isoformat(), "invoice": invoice_id, "amount": amount},
        now=now,
    )
    return _promise(tx.execute(_rows_of(promises).where(promises.c.id == promise_id)).one())


def withdraw_promise(tx: Connection, promise_id: int, *, who: str, now: dt.datetime) -> None:
    """The promise was recorded by mistake, or taken back. Twice is harmless."""
    row = tx.execute(sa.select(promises).where(promises.c.id == promise_id)).one_or_none()
    if row is None:
        raise LookupError(f"There is no promise {promise_id}.")
    if row.withdrawn_at is None:
        tx.execute(sa.update(promises).where(promises.c.id == promise_id).values(withdrawn_at=now))
        audit.record(
            tx,
            who=who,
            what="withdrew a promise",
            connection_id=row.connection_id,
            subject=f"customer {row.customer_id}",
            before={"promised_on": row.promised_on.isoformat()},
            now=now,
        )


def promised(
    tx: Connection,
    connection_id: str,
    customer_id: str | None = None,
    *,
    among: Collection[str] | None = None,
) -> list[Promise]:
    """The promises that stand, whatever their day, oldest first; of one customer, or of some.

    `recorded_at` is in the organization's time zone, as a hold's `set_at`.
    """
    query = _rows_of(promises).where(
        promises.c.connection_id == connection_id, promises.c.withdrawn_at.is_(None)
    )
    if customer_id is not None:
        query = query.where(promises.c.customer_id == customer_id)
    if among is not None:
        query = query.where(promises.c.customer_id.in_(list(among)))
    return [_promise(row) for row in tx.execute(query.order_by(promises.c.id))]


def judgeable(promise: Promise) -> rules.Promise:
    """The promise as the domain judges it."""
    return rules.Promise(
        made_on=promise.recorded_at.date(),
        promised_on=promise.promised_on,
        invoice_id=promise.invoice_id or "",
        amount=promise.amount,
        currency=promise.currency,
    )


def _rows_of(table: sa.Table) -> sa.Select[Any]:
    """With the organization's time zone: what was promised in its evening was promised on that day, not on UTC's next."""
    c = db.connections.c
    return sa.select(table, c.timezone).join(db.connections, c.id == table.c.connection_id)


def _hold(row: sa.Row[tuple[object, ...]]) -> Hold:
    return Hold(
        id=row.id,
        connection_id=row.connection_id,
        customer_id=row.customer_id,
        invoice_id=row.invoice_id,
        reason=row.reason,
        note=row.note or "",
        until=row.until,
        set_by=row.set_by or "",
        set_at=row.set_at.astimezone(connections.zone(row.timezone)),
    )


def _promise(row: sa.Row[tuple[object, ...]]) -> Promise:
    return Promise(
        id=row.id,
        connection_id=row.connection_id,
        customer_id=row.customer_id,
        invoice_id=row.invoice_id,
        promised_on=row.promised_on,
        amount=row.amount,
        currency=row.currency or "",
        recorded_by=row.recorded_by or "",
        recorded_at=row.recorded_at.astimezone(connections.zone(row.timezone)),
    )
