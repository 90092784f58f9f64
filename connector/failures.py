"""Jobs that fail for a reason that nobody expected: counted, tried again ever more rarely, then set aside.

One poisoned organization must cost neither the others nor the log. A job that fails the same way at `ENOUGH` tries
rests until a person tries it again; a job that succeeds, or fails in another way, is counted anew.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection as Transaction

from connector import db

ENOUGH = 5
SOON = dt.timedelta(minutes=1)  # after the first failure: mostly a process that was ended
REST = dt.timedelta(minutes=15)  # after the next ones: five tries outlast most troubles of a machine

WORDS = {
    "sync_connection": "reading the books",
    "prove_connection": "the nightly check against the ledger",
    "review_connection": "looking at the customers",
    "deliver_connection": "writing into the ledger",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """`reason` is the type and place of the error. `again_at` None: set aside until a person tries it."""

    connection_id: str
    job: str
    reason: str
    times: int
    first_at: dt.datetime
    last_at: dt.datetime
    again_at: dt.datetime | None

    @property
    def set_aside(self) -> bool:
        return self.again_at is None

    @property
    def sentence(self) -> str:
        """For the bookkeeper."""
        what = WORDS.get(self.job, "a step")
        if not self.set_aside:
            return f"Something went wrong on our side while {what}. Nothing is lost; it is tried again by itself."
        return (
            f"Something went wrong on our side while {what}, {self.times} times in the same way, so it was set "
            "aside. Nothing is lost. Try it again, and if it stays so, give whoever runs Forbear this line: "
            f"{self.reason}"
        )


def note(tx: Transaction, connection_id: str, job: str, reason: str, now: dt.datetime) -> Failure:
    """Count one more failure. Tries that follow at once (a storm of webhooks) count as one."""
    before = get(tx, connection_id, job)
    same = before is not None and before.reason == reason
    times, first, again = 1, now, now + SOON
    if same and before:
        rested = before.again_at is None or now >= before.again_at
        times, first = before.times + rested, before.first_at
        again = now + REST if rested else before.again_at  # type: ignore[assignment]
    found = Failure(connection_id, job, reason, times, first, now, None if times >= ENOUGH else again)
    row = {f.name: getattr(found, f.name) for f in fields(Failure)}
    insert = (postgresql if tx.dialect.name == "postgresql" else sqlite).insert(db.failures).values(row)
    tx.execute(insert.on_conflict_do_update(index_elements=["connection_id", "job"], set_=row))
    return found


def get(tx: Transaction, connection_id: str, job: str) -> Failure | None:
    c = db.failures.c
    row = tx.execute(
        sa.select(db.failures).where(c.connection_id == connection_id, c.job == job)
    ).one_or_none()
    return _failure(row._mapping) if row else None


def of(tx: Transaction, connection_id: str) -> list[Failure]:
    """Every job of one organization that failed at its last try."""
    query = sa.select(db.failures).where(db.failures.c.connection_id == connection_id)
    return [_failure(row._mapping) for row in tx.execute(query.order_by(db.failures.c.job))]


def resting(tx: Transaction, now: dt.datetime) -> set[tuple[str, str]]:
    """(job, connection id) of what a sweep leaves alone for now: it failed a moment ago, or is set aside."""
    c = db.failures.c
    query = sa.select(c.job, c.connection_id).where(sa.or_(c.again_at.is_(None), c.again_at > now))
    return {(row.job, row.connection_id) for row in tx.execute(query)}


def counted(tx: Transaction, job: str) -> set[str]:
    """The connections at which this job failed at its last try, whether it is tried again or set aside."""
    c = db.failures.c
    return set(tx.scalars(sa.select(c.connection_id).where(c.job == job)))


def forget(tx: Transaction, connection_id: str, job: str | None = None) -> list[str]:
    """It went well, or a person wants it tried: the jobs that were counted."""
    c = db.failures.c
    which = [c.connection_id == connection_id, *([c.job == job] if job else [])]
    return sorted(tx.scalars(sa.delete(db.failures).where(*which).returning(c.job)))


def set_aside(tx: Transaction, connection_ids: list[str] | None = None) -> dict[str, int]:
    """How many jobs are set aside, by connection."""
    c = db.failures.c
    query = sa.select(c.connection_id, sa.func.count()).where(c.again_at.is_(None))
    if connection_ids is not None:
        query = query.where(c.connection_id.in_(connection_ids))
    return {row[0]: row[1] for row in tx.execute(query.group_by(c.connection_id))}


def _failure(row: Mapping[Any, Any]) -> Failure:
    return Failure(*(row[f.name] for f in fields(Failure)))
