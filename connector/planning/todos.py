"""What only a person can do, in the ledger, by hand: asked once, kept until somebody says that it is done."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector.db import todos
from connector.domain.money import Money
from connector.domain.plan import Installment
from connector.domain.plan_words import installment_number
from connector.domain.receivables import Document, Status
from connector.planning.plan_records import Record
from connector.record import audit
from connector.writing.outbox import plan_id as shown
from connector.writing.outbox import plan_number as number_of


@dataclass(frozen=True, slots=True)
class Todo:
    """Something that only a person can do in the ledger."""

    id: int
    connection_id: str
    plan: str | None
    customer_id: str
    what: str
    link: str


def ask(
    tx: Connection,
    connection_id: str,
    key: str,
    what: str,
    *,
    now: dt.datetime,
    plan_id: str | None = None,
    customer_id: str = "",
    link: str = "",
) -> None:
    """Put something on the list of what a person must do by hand; the same `key` is asked once."""
    where = sa.and_(todos.c.connection_id == connection_id, todos.c.key == key)
    if not tx.scalar(sa.select(sa.exists().where(where))):
        tx.execute(
            sa.insert(todos).values(
                connection_id=connection_id,
                plan=number_of(plan_id) if plan_id else None,
                customer_id=customer_id,
                what=what,
                link=link,
                key=key,
                created_at=now,
            )
        )


def lost(record: Record, documents: Mapping[int, Document]) -> list[tuple[Installment, int]]:
    """The written rows that the ledger no longer holds as agreed, each with the total that stands there now."""
    written = {row.n for row in record.installments if row.invoice_id}
    found = []
    for row in record.plan.rows:
        document = documents.get(row.n)
        stands = 0 if document is None or document.status is Status.VOID else document.total
        if row.n in written and stands != row.principal:
            found.append((row, stands))
    return found


def ask_about_lost(
    tx: Connection, record: Record, documents: Mapping[int, Document], otherwise: str, now: dt.datetime
) -> None:
    """Ask about each written installment that a person voided, deleted or changed: its amount, or the difference, is
    left on the clearing account, and what comes next cannot take it back.

    `documents`: the installments as the ledger has them, by row; `otherwise`: how the sentence goes on when it is owed.
    """
    plan = record.plan
    for row, stands in lost(record, documents):
        number, meant = installment_number(plan, row.n), Money(row.principal, plan.currency)
        left, happened = Money(row.principal - stands, plan.currency), "voided or deleted"
        if stands:
            happened = f"changed to {Money(stands, plan.currency)}"
        what = f"{number} of {meant} was {happened} in the ledger, so {left} stands on the clearing account. "
        if left.minor > 0:
            what += f"{otherwise} to the clearing account; if not, let your accountant clear it."
        else:
            what += "Let your accountant say where it belongs."
        key = f"{record.batch} lost {row.n}"
        ask(tx, record.connection_id, key, what, now=now, plan_id=plan.id, customer_id=plan.customer_id)


def waiting(tx: Connection, connection_id: str) -> list[Todo]:
    """Oldest first."""
    query = sa.select(todos).where(todos.c.connection_id == connection_id, todos.c.done_at.is_(None))
    return [_todo(row) for row in tx.execute(query.order_by(todos.c.id))]


def get(tx: Connection, todo_id: int) -> Todo:
    """Raises LookupError for an unknown id."""
    row = tx.execute(sa.select(todos).where(todos.c.id == todo_id)).one_or_none()
    if row is None:
        raise LookupError(f"There is no to-do {todo_id}.")
    return _todo(row)


def finish(tx: Connection, todo_id: int, *, who: str, now: dt.datetime) -> None:
    """Somebody did it; twice is harmless."""
    found = get(tx, todo_id)
    where = sa.and_(todos.c.id == todo_id, todos.c.done_at.is_(None))
    if tx.execute(sa.update(todos).where(where).values(done_by=who, done_at=now)).rowcount:
        audit.record(
            tx,
            who=who,
            what="did by hand",
            connection_id=found.connection_id,
            subject=f"plan {found.plan}" if found.plan else "",
            why=found.what,
            now=now,
        )


def _todo(row: Any) -> Todo:
    return Todo(
        id=row.id,
        connection_id=row.connection_id,
        plan=shown(row.plan) if row.plan else None,
        customer_id=row.customer_id or "",
        what=row.what,
        link=row.link or "",
    )
