"""Named leases in the database: one worker at a time per connection and step, one clock per installation.

A lease runs out by itself, so a worker that was killed blocks nobody for long. A lease says who may *start*;
what makes a late holder harmless is that every step may run twice.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Engine

from connector import db


class Lost(Exception):
    """The lease ran out and somebody else has it: stop, and leave the rest to them."""


@dataclass(frozen=True, slots=True)
class Lease:
    name: str
    owner: str
    seconds: float
    _engine: Engine

    def keep(self) -> None:
        """Hold on for another `seconds` from now. Raises Lost when somebody took over meanwhile."""
        if not take(self._engine, self.name, self.owner, self.seconds):
            raise Lost(self.name)


def new_owner() -> str:
    """A name for one holder, which tells an operator where it runs."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def take(engine: Engine, name: str, owner: str, seconds: float, now: dt.datetime | None = None) -> bool:
    """Take a free or run-out lease, or extend our own, in one statement. False: somebody else holds it."""
    now = now or db.now()
    row = {"name": name, "owner": owner, "until": now + dt.timedelta(seconds=seconds), "taken_at": now}
    with db.transaction(engine) as tx:
        insert = (postgresql if tx.dialect.name == "postgresql" else sqlite).insert(db.leases).values(row)
        free = sa.or_(db.leases.c.owner == owner, db.leases.c.until <= now)
        upsert = insert.on_conflict_do_update(
            index_elements=["name"], set_={"owner": owner, "until": row["until"], "taken_at": now}, where=free
        )
        return tx.execute(upsert).rowcount == 1


def drop(engine: Engine, name: str, owner: str) -> None:
    """Give the lease back, if it still is ours."""
    with db.transaction(engine) as tx:
        tx.execute(sa.delete(db.leases).where(db.leases.c.name == name, db.leases.c.owner == owner))


@contextmanager
def hold(
    engine: Engine, name: str, seconds: float = 60, *, owner: str | None = None
) -> Iterator[Lease | None]:
    """The lease for the length of the block, or None when somebody else has it. Call `keep()` in long work."""
    owner = owner or new_owner()
    if not take(engine, name, owner, seconds):
        yield None
        return
    try:
        yield Lease(name, owner, seconds, engine)
    finally:
        drop(engine, name, owner)
