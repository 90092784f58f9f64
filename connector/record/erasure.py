"""Erase what is held about one organization: books, conclusions, plans, promises, messages, people's rights.

The ledger is not touched: documents that were written there are the organization's own and stay. Kept here are
one nameless row, so that nothing else loses its footing, and the chain of the record with its lines emptied:
it still shows that lines were there, and who erased them when (`audit.verify` checks that).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector import db
from connector.connecting import connections
from connector.record import audit

_STAYS = {"connections", "audit"}
NAMELESS = "An erased organization"


class StillConnected(Exception):
    """Work must have stopped and the permission must be given back first. `str()` says what to do."""


def held(tx: Connection, connection_id: str) -> dict[str, int]:
    """How many customers, invoices, payments, plans and lines of the record there are of the organization."""
    return {
        table.name: _count(tx, table, connection_id)
        for table in (db.customers, db.invoices, db.payments, db.plans, db.reminders, db.audit)
    }


def erase(tx: Connection, connection_id: str, *, who: str, now: dt.datetime) -> int:
    """Erase for good, in one transaction. Returns how many rows went. Raises StillConnected."""
    connection = connections.get(tx, connection_id)
    if connection.status != "disconnected":
        raise StillConnected(
            "Disconnect the organization first: its data is only erased when all work has stopped."
        )
    if connection.grant_id is not None:
        raise StillConnected(
            "The ledger has not confirmed yet that our permission ended. Try again in some minutes."
        )
    gone = sum(tx.execute(query).rowcount for query in _deletions(connection_id))
    c = db.inbox.c
    gone += tx.execute(
        sa.delete(db.inbox).where(c.platform == connection.platform, c.external_id == connection.external_id)
    ).rowcount
    tx.execute(
        sa.update(db.connections)
        .where(db.connections.c.id == connection_id)
        .values(
            external_id=f"erased-{connection_id}", connection_ref="", organization=NAMELESS, grant_id=None,
            status="disconnected", status_reason="Its data was erased.", facts=None, facts_at=None, country="",
            timezone="UTC", home_currency="", cursor=None, progress=None, last_sync_at=None, last_review_on=None,
            last_proof_at=None, last_full_at=None,
        )
    )  # fmt: skip
    audit.erase(tx, connection_id, who=who, now=now)
    return gone


def _deletions(connection_id: str) -> Iterator[sa.Delete]:
    """Every table that names the organization, and those that hang on its plans; what others point to goes last."""
    p = db.plans.c
    mine = sa.select(p.number).where(p.connection_id == connection_id)
    for table in reversed(db.metadata.sorted_tables):
        if table.name in _STAYS:
            continue
        if "connection_id" in table.c:
            yield sa.delete(table).where(table.c.connection_id == connection_id)
        elif "plan" in table.c:
            yield sa.delete(table).where(table.c.plan.in_(mine))


def _count(tx: Connection, table: sa.Table, connection_id: str) -> int:
    query = sa.select(sa.func.count()).select_from(table).where(table.c.connection_id == connection_id)
    return tx.scalar(query) or 0
