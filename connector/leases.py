"""Named leases in the database: one worker at a time per connection and step, one clock per installation.

A holder renews its lease while it works; a lease that is not renewed runs out, so a worker that was killed
blocks nobody for long, and on its own machine nobody at all (`free_dead`). A lease says who may *start*; what makes a
late holder harmless is that every step may run twice.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import os
import secrets
import socket
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection as Transaction
from sqlalchemy.engine import Engine

from connector import db

log = logging.getLogger(__name__)

# A call of theirs may still be on its way to the ledger when their process is gone: they run out, and no sooner.
OUTLAST = ("write:", "grant:")


class Lost(Exception):
    """The lease ran out and somebody else has it: stop, and leave the rest to them."""


class Stopping(Exception):
    """This process was asked to end: stop here, where it is safe, and let another one go on."""


stopping = threading.Event()  # set in a worker that was asked to end


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that is being renewed in the background."""

    name: str
    owner: str
    _gone: threading.Event = field(default_factory=threading.Event)

    def keep(self) -> None:
        """Ask before each stretch of work. Raises Lost when somebody took over meanwhile, Stopping."""
        if stopping.is_set():
            raise Stopping(self.name)
        if self._gone.is_set():
            raise Lost(self.name)


def new_owner() -> str:
    """A name for one holder, which tells an operator where it runs."""
    return f"{_here()}:{os.getpid()}:{secrets.token_hex(4)}"


@cache
def _here() -> str:
    """This machine since its last start, or this container: where a process id means one process."""
    try:
        start = Path("/proc/sys/kernel/random/boot_id").read_text() + os.readlink("/proc/self/ns/pid")
    except OSError:  # no Linux: nobody can tell
        start = secrets.token_hex(8)
    return f"{socket.gethostname()}/{hashlib.sha256(start.encode()).hexdigest()[:12]}"


def free_dead(engine: Engine) -> list[str]:
    """Give back what processes of this machine held that are gone: killed, they could not do it. The names."""
    c = db.leases.c
    with db.reading(engine) as tx:
        theirs = c.owner.startswith(f"{_here()}:", autoescape=True)
        held = tx.execute(sa.select(c.name, c.owner).where(theirs, c.until > db.now())).all()
    dead = [
        (name, owner)
        for name, owner in held
        if not name.startswith(OUTLAST) and not _lives(int(owner.rsplit(":", 2)[1]))
    ]
    for name, owner in dead:
        drop(engine, name, owner)
        log.warning("lease %s is free: its process is gone", name)
    return [name for name, _ in dead]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat").read_text()
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's, or hidden: it is there
        return True
    return status.rpartition(")")[2].split()[0] not in "ZX"  # ended, and nobody asked how


def take(engine: Engine, name: str, owner: str, seconds: float, now: dt.datetime | None = None) -> bool:
    """Take a free or run-out lease, or extend our own. False: somebody else holds it."""
    return bool(take_some(engine, [name], owner, seconds, now))


def take_some(
    engine: Engine, names: Collection[str], owner: str, seconds: float, now: dt.datetime | None = None
) -> list[str]:
    """Take those of these leases that are free or run out, or extend our own, in one statement."""
    now = now or db.now()
    until = now + dt.timedelta(seconds=seconds)
    # In one order, or two who take the same ones could wait for each other.
    rows = [{"name": name, "owner": owner, "until": until, "taken_at": now} for name in sorted(names)]
    if not rows:
        return []
    with db.transaction(engine) as tx:
        insert = (postgresql if tx.dialect.name == "postgresql" else sqlite).insert(db.leases)
        free = sa.or_(db.leases.c.owner == owner, db.leases.c.until <= now)
        upsert = insert.values(rows).on_conflict_do_update(
            index_elements=["name"], set_={"owner": owner, "until": until, "taken_at": now}, where=free
        )
        return list(tx.scalars(upsert.returning(db.leases.c.name)))


def drop(engine: Engine, name: str, owner: str) -> None:
    """Give the lease back, if it still is ours."""
    with db.transaction(engine) as tx:
        tx.execute(sa.delete(db.leases).where(db.leases.c.name == name, db.leases.c.owner == owner))


def held(tx: Transaction, now: dt.datetime) -> set[str]:
    """The names of all leases that somebody holds at this moment."""
    return set(tx.scalars(sa.select(db.leases.c.name).where(db.leases.c.until > now)))


@contextmanager
def hold(
    engine: Engine, name: str, seconds: float = 60, *, owner: str | None = None
) -> Iterator[Lease | None]:
    """The lease for the length of the block, or None when somebody else has it.

    It is renewed every third of `seconds`; after a kill -9 it is free again within `seconds`, or sooner (`free_dead`).
    """
    owner = owner or new_owner()
    if not take(engine, name, owner, seconds):
        yield None
        return
    lease, over = Lease(name, owner), threading.Event()
    renewing = threading.Thread(
        target=_renew, args=(engine, lease, seconds, over, [name]), daemon=True, name=f"renew-{name}"
    )
    renewing.start()
    try:
        yield lease
    finally:
        over.set()
        renewing.join()
        drop(engine, name, owner)


@contextmanager
def hold_some(
    engine: Engine, names: Collection[str], seconds: float = 60
) -> Iterator[tuple[Lease, list[str]]]:
    """Those of these leases that nobody else has, for the length of the block. Losing one is losing all."""
    owner = new_owner()
    mine = take_some(engine, names, owner, seconds)
    lease, over = Lease("some", owner), threading.Event()
    renewing = threading.Thread(
        target=_renew, args=(engine, lease, seconds, over, mine), daemon=True, name="renew-some"
    )
    renewing.start()
    try:
        yield lease, mine
    finally:
        over.set()
        renewing.join()
        with db.transaction(engine) as tx:
            c = db.leases.c
            tx.execute(sa.delete(db.leases).where(c.name.in_(mine), c.owner == owner))


def _renew(engine: Engine, lease: Lease, seconds: float, over: threading.Event, names: Sequence[str]) -> None:
    while not over.wait(seconds / 3):
        try:
            if len(take_some(engine, names, lease.owner, seconds)) < len(names):
                lease._gone.set()
                return
        except (
            sa.exc.SQLAlchemyError
        ) as problem:  # the database is away: it may be back before the lease ends
            log.warning("lease %s not renewed (%s)", lease.name, type(problem).__name__)
