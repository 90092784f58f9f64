"""Who did what, when, why, before and after. Append-only: each row's hash covers the row before it.

`verify` finds any row that was changed, taken out or put in between. It cannot see rows cut off at the very
end; compare the last hash with a printed or exported one for that.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector.db import audit

SYSTEM = "Forbear"  # who, when no person was at it
ERASED = "erased"  # what an emptied line says
_CHAIN_LOCK = 0x464F5242  # any fixed number: names the chain to PostgreSQL's advisory locks


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log. `at` is UTC; `what` is a verb phrase such as "approved a plan"."""

    seq: int
    connection_id: str | None
    at: dt.datetime
    who: str
    what: str
    subject: str  # "plan PP-0007", "customer 58", "write 12"
    why: str
    before: Any
    after: Any
    hash: str


def record(
    tx: Connection,
    *,
    who: str,
    what: str,
    now: dt.datetime,
    connection_id: str | None = None,
    subject: str = "",
    why: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Append one line, in the transaction that does the thing it tells of."""
    row = {
        "connection_id": connection_id,
        "at": now.astimezone(dt.UTC).isoformat(timespec="microseconds"),
        "who": who,
        "what": what,
        "subject": subject,
        "why": why,
        "before": before,
        "after": after,
    }
    waiting = _waiting.get()
    if waiting is not None and waiting[0] is tx:
        waiting[1].append(row)
    else:
        _append(tx, [row])


_waiting: ContextVar[tuple[Connection, list[dict[str, Any]]] | None] = ContextVar("_waiting", default=None)


@contextmanager
def at_the_end(tx: Connection) -> Iterator[None]:
    """Append what is recorded inside only when it is over: as the last thing that a long transaction does.

    Whoever appends keeps all others, of every organization, waiting until their own commit.
    """
    waiting = (tx, list[dict[str, Any]]())
    before = _waiting.set(waiting)
    try:
        yield
    finally:
        _waiting.reset(before)
    _append(tx, waiting[1])


def _append(tx: Connection, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    if tx.dialect.name == "postgresql":  # SQLite's write transactions already stand in one line
        tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_CHAIN_LOCK)))
    previous = tx.scalar(sa.select(audit.c.hash).order_by(audit.c.seq.desc()).limit(1)) or ""
    for row in rows:
        row["previous"] = previous
        row["hash"] = previous = _hash(previous, row)
    tx.execute(sa.insert(audit), rows)


def of_connection(
    tx: Connection,
    connection_id: str | None = None,
    *,
    subject: str | None = None,
    what: str | None = None,
    who: str = "",
    before: int | None = None,
    limit: int | None = 200,
) -> list[Entry]:
    """The newest lines first, all of them with `limit` None; of every organization when `connection_id` is None.

    `who` is a part of a name in any case; `before` asks for lines older than this `seq`.
    """
    query = sa.select(audit).order_by(audit.c.seq.desc()).limit(limit)
    if connection_id is not None:
        query = query.where(audit.c.connection_id == connection_id)
    if subject is not None:
        query = query.where(audit.c.subject == subject)
    if what is not None:
        query = query.where(audit.c.what == what)
    if who:
        query = query.where(sa.func.lower(audit.c.who).contains(who.lower(), autoescape=True))
    if before is not None:
        query = query.where(audit.c.seq < before)
    return [_entry(row) for row in tx.execute(query)]


def erase(tx: Connection, connection_id: str, *, who: str, now: dt.datetime) -> None:
    """Empty an organization's lines and say so in a new one. The lines stay in the chain, without their words."""
    emptied = tx.execute(
        sa.update(audit)
        .where(audit.c.connection_id == connection_id)
        .values(who="", what=ERASED, subject="", why="", before=None, after=None)
    ).rowcount
    record(
        tx,
        who=who,
        what="erased an organization's data",
        connection_id=connection_id,
        after={"lines": emptied},
        now=now,
    )


def erase_about(tx: Connection, connection_id: str, subject: str, *, who: str, now: dt.datetime) -> int:
    """Empty the lines about one subject ("customer 58") and say so in a new one. Returns how many."""
    mine = audit.c.connection_id == connection_id
    emptied = tx.execute(
        sa.update(audit)
        .where(mine, audit.c.subject == subject)
        .values(who="", what=ERASED, subject="", why="", before=None, after=None)
    ).rowcount
    what, after = (
        "erased a customer's personal data",
        {"lines": count_erased(tx, connection_id), "emptied": emptied},
    )
    record(tx, who=who, what=what, connection_id=connection_id, after=after, now=now)
    return emptied


def erase_before(
    tx: Connection,
    connection_id: str,
    moment: dt.datetime,
    *,
    but: Collection[str],
    nor: sa.Select[Any],
) -> int:
    """Empty an organization's older lines, but for some subjects, named or asked for; returns how many.

    Whoever calls it says so in a new line that carries `count_erased`: `verify` asks for that.
    """
    subject = sa.func.coalesce(audit.c.subject, "")
    old = sa.and_(
        audit.c.connection_id == connection_id,
        audit.c.at < moment.astimezone(dt.UTC).isoformat(timespec="microseconds"),
        audit.c.what != ERASED,
        subject.not_in(list(but)),
        subject.not_in(nor),
    )
    empty = sa.update(audit).where(old)
    return tx.execute(empty.values(who="", what=ERASED, subject="", why="", before=None, after=None)).rowcount


def count_erased(tx: Connection, connection_id: str) -> int:
    """How many of an organization's lines are empty."""
    mine = sa.and_(audit.c.connection_id == connection_id, audit.c.what == ERASED)
    return tx.scalar(sa.select(sa.func.count()).select_from(audit).where(mine)) or 0


def verify(tx: Connection) -> list[str]:
    """A sentence for each place where the chain does not hold; empty when the log is whole.

    Lines that `erase` emptied cannot be checked by themselves: there must be as many as somebody erased.
    """
    wrong, previous = [], ""
    emptied: Counter[str | None] = Counter()
    erased: dict[str | None, int] = {}
    for row in tx.execute(sa.select(audit).order_by(audit.c.seq)):
        fields = {name: getattr(row, name) for name in _HASHED}
        if row.previous != previous:
            wrong.append(
                f"Line {row.seq} does not follow the line before it: a line is missing or was added."
            )
        if row.what == ERASED:
            emptied[row.connection_id] += 1
        elif row.hash != _hash(row.previous, fields):
            wrong.append(f"Line {row.seq} was changed after it was written.")
        elif row.what in _EMPTYING:
            erased[row.connection_id] = row.after["lines"]
        previous = row.hash
    wrong += [
        f"{count} lines of organization {id} are empty, and nobody erased that many."
        for id, count in emptied.items()
        if erased.get(id, 0) != count
    ]
    return wrong


_EMPTYING = ("erased an organization's data", "erased a customer's personal data", "let old records go")
_HASHED = ("connection_id", "at", "who", "what", "subject", "why", "before", "after")


def _hash(previous: str, row: Mapping[str, Any]) -> str:
    text = json.dumps([previous, *(row[name] for name in _HASHED)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _entry(row: Any) -> Entry:
    return Entry(
        seq=row.seq,
        connection_id=row.connection_id,
        at=dt.datetime.fromisoformat(row.at),
        who=row.who,
        what=row.what,
        subject=row.subject or "",
        why=row.why or "",
        before=row.before,
        after=row.after,
        hash=row.hash,
    )
