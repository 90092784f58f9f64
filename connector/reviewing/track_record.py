"""How right predictions would have been over the last twelve months of an organization's own books, as kept.

A whole review works it out (`domain.prediction.record`) and keeps it here; pages and commands only read it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector import bulk
from connector.db import track_records
from connector.domain import codec
from connector.domain.prediction.record import Record


@dataclass(frozen=True, slots=True)
class Kept:
    """A record and the organization's day on which it was worked out."""

    as_of: dt.date
    record: Record


def keep(tx: Connection, found: Mapping[str, Record], days: Mapping[str, dt.date]) -> None:
    """Of these organizations, in place of those that were kept."""
    tx.execute(sa.delete(track_records).where(track_records.c.connection_id.in_(list(found))))
    rows = [
        {"connection_id": id, "as_of": days[id], "record": codec.to_json(record)}
        for id, record in found.items()
    ]
    bulk.insert(tx, track_records, rows)


def of_connection(tx: Connection, connection_id: str) -> Kept | None:
    """None before the first whole review."""
    query = sa.select(track_records).where(track_records.c.connection_id == connection_id)
    row = tx.execute(query).first()
    return Kept(row.as_of, codec.from_json(Record, row.record)) if row else None
