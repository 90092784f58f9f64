"""What each organization's ledger calls cost: calls and bytes, by day (UTC) and kind of call."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection as Transaction

from connector import db
from connector.platforms import Call


@dataclass(frozen=True, slots=True)
class Use:
    """What one kind of call cost on one day."""

    day: dt.date
    operation: str
    writes: bool
    calls: int
    failed: int
    bytes_in: int
    bytes_out: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Total:
    calls: int
    bytes_in: int
    bytes_out: int


def record(tx: Transaction, connection_id: str, call: Call, day: dt.date) -> None:
    """Add one call to the day's figures. A call without an answer counts as failed."""
    row = {
        "connection_id": connection_id,
        "day": day,
        "operation": call.operation,
        "writes": call.writes,
        "calls": 1,
        "failed": int(not 200 <= call.status < 400),
        "bytes_in": call.bytes_in,
        "bytes_out": call.bytes_out,
        "seconds": call.seconds,
    }
    insert = (postgresql if tx.dialect.name == "postgresql" else sqlite).insert(db.calls).values(row)
    added = {
        name: db.calls.c[name] + insert.excluded[name]
        for name in ("calls", "failed", "bytes_in", "bytes_out", "seconds")
    }
    tx.execute(insert.on_conflict_do_update(index_elements=["connection_id", "day", "operation"], set_=added))


def uses(tx: Transaction, connection_id: str, since: dt.date) -> list[Use]:
    """The figures of each day and kind of call from `since` on, latest day first."""
    c = db.calls.c
    query = (
        sa.select(c.day, c.operation, c.writes, c.calls, c.failed, c.bytes_in, c.bytes_out, c.seconds)
        .where(c.connection_id == connection_id, c.day >= since)
        .order_by(c.day.desc(), c.operation)
    )
    return [Use(*row) for row in tx.execute(query)]


def total(tx: Transaction, connection_id: str, since: dt.date) -> Total:
    """All calls from `since` on."""
    found = uses(tx, connection_id, since)
    return Total(sum(u.calls for u in found), sum(u.bytes_in for u in found), sum(u.bytes_out for u in found))
