"""How right predictions would have been over the last twelve months of an organization's own books, as kept.

A whole review works it out (`domain.prediction.record`) and keeps it here; pages and commands only read it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector.db import track_records
from connector.domain import codec
from connector.domain.prediction.record import Record


@dataclass(frozen=True, slots=True)
class Kept:
    """A record and the organization's day on which it was worked out."""

    as_of: dt.date
    record: Record


def keep(tx: Connection, connection_id: str, record: Record, *, today: dt.date) -> None:
    """In place of the one that was kept."""
    tx.execute(sa.delete(track_records).where(track_records.c.connection_id == connection_id))
    tx.execute(
        sa.insert(track_records).values(
            connection_id=connection_id, as_of=today, record=codec.to_json(record)
        )
    )


def of_connection(tx: Connection, connection_id: str) -> Kept | None:
    """None before the first whole review."""
    query = sa.select(track_records).where(track_records.c.connection_id == connection_id)
    row = tx.execute(query).first()
    return Kept(row.as_of, codec.from_json(Record, row.record)) if row else None
