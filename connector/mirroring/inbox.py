"""What webhooks said changed: recorded once, drained by a sync. An event only wakes; it proves nothing."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection as Transaction

from connector import db
from connector.domain.receivables import Kind


@dataclass(frozen=True, slots=True)
class Change:
    """The ledger says: this record is different now. `event_key` is the same whenever the ledger repeats the event."""

    platform: str
    external_id: str  # realmId, tenantId
    kind: Kind | None  # None: something that we do not mirror by itself; an ordinary sync looks
    record_id: str
    verb: str  # created | updated | deleted | merged | voided | emailed
    occurred_at: dt.datetime | None
    event_key: str


UNSETTLED = "unsettled"  # the verbs of our own notes (see `note_unsettled` and `ask`); no ledger says these
ASKED = "asked"


@dataclass(frozen=True, slots=True)
class Pending:
    """One recorded change that no sync has looked at yet."""

    id: int
    kind: Kind | None
    record_id: str
    verb: str
    received_at: dt.datetime
    occurred_at: dt.datetime | None = None  # by the ledger's clock, where it said


# Ready made: deliveries come by the thousand, and building a statement takes longer than running it.
_ONCE = {
    (module.__name__.rpartition(".")[2], table.name): module.insert(table).on_conflict_do_nothing()
    for module in (postgresql, sqlite)
    for table in (db.inbox, db.unread)
}
_STORED = sa.select(db.inbox.c.event_key).where(
    db.inbox.c.event_key.in_(sa.bindparam("keys", expanding=True))
)
_KNOWN = sa.select(
    db.connections.c.platform, db.connections.c.external_id, db.connections.c.id, db.connections.c.status
).where(db.connections.c.external_id.in_(sa.bindparam("external_ids", expanding=True)))


def _insert_once(tx: Transaction, table: sa.Table, rows: list[dict[str, object]]) -> None:
    tx.execute(_ONCE[tx.dialect.name, table.name], rows)


def record(tx: Transaction, changes: Sequence[Change], received_at: dt.datetime) -> list[str]:
    """Keep each change once; return the connected organizations to wake: those with something new.

    Doubles are dropped by their key and wake nobody, so that a delivery that somebody recorded and sends again
    costs no call to a ledger. Changes of organizations that we do not know stay aside, without a
    connection, until one is connected (`adopt`).
    """
    if not changes:
        return []
    known = _connections(tx, {(c.platform, c.external_id) for c in changes})
    stored = _stored(tx, [_key(change) for change in changes])
    rows: list[dict[str, object]] = []
    wake: dict[str, None] = {}
    for change in changes:
        connection_id, status = known.get((change.platform, change.external_id), (None, ""))
        rows.append(
            {
                "platform": change.platform,
                "external_id": change.external_id,
                "kind": change.kind.value if change.kind else "",
                "record_id": change.record_id,
                "verb": change.verb,
                "occurred_at": change.occurred_at,
                "event_key": _key(change),
                "connection_id": connection_id,
                "received_at": received_at,
            }
        )
        if connection_id and status == "connected" and _key(change) not in stored:
            wake[connection_id] = None
    _insert_once(tx, db.inbox, rows)
    return list(wake)


def _key(change: Change) -> str:
    return f"{change.platform}:{change.event_key}"


def _stored(tx: Transaction, keys: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(keys), 500):
        found |= set(tx.scalars(_STORED, {"keys": keys[start : start + 500]}))
    return found


def _connections(tx: Transaction, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], tuple[str, str]]:
    ids = sorted({external_id for _, external_id in wanted})
    found = tx.execute(_KNOWN, {"external_ids": ids})
    return {(row.platform, row.external_id): (row.id, row.status) for row in found}


def record_unread(tx: Transaction, platform: str, body: bytes, why: str, received_at: dt.datetime) -> None:
    """Keep a signed body that we could not read, for `forbear doctor`. Repeats are kept once."""
    digest = hashlib.sha256(platform.encode() + b"\0" + body).hexdigest()
    row = {"platform": platform, "body": body, "digest": digest, "why": why, "received_at": received_at}
    _insert_once(tx, db.unread, [row])


def pending(tx: Transaction, connection_id: str) -> list[Pending]:
    """What a sync of this connection has to look at, oldest first."""
    c = db.inbox.c
    query = (
        sa.select(c.id, c.kind, c.record_id, c.verb, c.received_at, c.occurred_at)
        .where(c.connection_id == connection_id, c.drained_at.is_(None))
        .order_by(c.id)
    )
    return [
        Pending(r.id, Kind(r.kind) if r.kind else None, r.record_id, r.verb, r.received_at, r.occurred_at)
        for r in tx.execute(query)
    ]


def merges(tx: Transaction, connection_id: str) -> dict[str, str]:
    """Customer that vanished → the one that lives on in the end, as events say that no sync has looked at yet.

    One event tells of both: it is kept as the survivor's, and as a deletion whose key begins with that one's.
    """
    c = db.inbox.c
    query = sa.select(c.record_id, c.verb, c.event_key).where(
        c.connection_id == connection_id,
        c.drained_at.is_(None),
        c.kind == Kind.CUSTOMER.value,
        c.verb.in_(["merged", "deleted"]),
    )
    told = tx.execute(query).all()
    survivors = {t.event_key: t.record_id for t in told if t.verb == "merged"}
    keys = {t.record_id: t.event_key.removesuffix(f":{t.record_id}") for t in told if t.verb == "deleted"}
    into = {gone: survivors[key] for gone, key in keys.items() if key in survivors}
    for gone in into:
        passed = {gone}
        while (end := into[gone]) in into and end not in passed:  # merged again meanwhile
            passed.add(end)
            into[gone] = into[end]
    return into


def note_unsettled(
    tx: Transaction,
    connection_id: str,
    platform: str,
    external_id: str,
    invoices: Iterable[str],
    now: dt.datetime,
) -> None:
    """Remember that these invoices lost money and must be read again, in the transaction that took it away.

    Whatever happens before they are read: the books alone would no longer show that money was there.
    """
    rows = [
        _our_own(UNSETTLED, connection_id, platform, external_id, now, Kind.INVOICE.value, id)
        for id in sorted(invoices)
    ]
    if rows:
        _insert_once(tx, db.inbox, rows)


def _our_own(
    verb: str,
    connection_id: str,
    platform: str,
    external_id: str,
    now: dt.datetime,
    kind: str = "",
    record_id: str = "",
) -> dict[str, object]:
    return {
        "platform": platform,
        "external_id": external_id,
        "event_key": ":".join(filter(None, (verb, connection_id, record_id, now.isoformat()))),
        "kind": kind,
        "record_id": record_id,
        "verb": verb,
        "connection_id": connection_id,
        "occurred_at": None,
        "received_at": now,
    }


def ask(tx: Transaction, connection_id: str, now: dt.datetime) -> None:
    """Remember that a person wants these books read: an ordinary look, which a queue that is lost cannot lose.

    A wish of its own each time: the reading that is under way may have begun before what the person wants to see.
    """
    c = db.connections.c
    ledger = tx.execute(sa.select(c.platform, c.external_id).where(c.id == connection_id)).one()
    _insert_once(tx, db.inbox, [_our_own(ASKED, connection_id, ledger.platform, ledger.external_id, now)])


def pending_connections(tx: Transaction) -> list[str]:
    """Connected organizations with changes that no sync has looked at: what a sweep must wake again."""
    query = (
        sa.select(db.inbox.c.connection_id)
        .join(db.connections, db.connections.c.id == db.inbox.c.connection_id)
        .where(db.inbox.c.drained_at.is_(None), db.connections.c.status == "connected")
        .distinct()
    )
    return sorted(tx.scalars(query))


def drained(tx: Transaction, ids: Iterable[int], now: dt.datetime) -> None:
    """Mark changes as looked at: in the transaction that stores what the pull brought."""
    wanted = list(ids)
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        tx.execute(sa.update(db.inbox).where(db.inbox.c.id.in_(part)).values(drained_at=now))


def adopt(tx: Transaction, connection_id: str, platform: str, external_id: str) -> None:
    """Give a newly connected organization the changes that arrived before we knew it."""
    c = db.inbox.c
    tx.execute(
        sa.update(db.inbox)
        .where(c.connection_id.is_(None), c.platform == platform, c.external_id == external_id)
        .values(connection_id=connection_id)
    )


def forget(tx: Transaction, before: dt.datetime) -> int:
    """Drop what came before a moment and has no reader: changes that were drained before it (the ledgers stop
    repeating an event after a few days), and those of organizations that are not connected: never, or no more.

    Nothing is lost with the latter: such an organization is read from the beginning once it is connected, also one
    that needs reconnecting and would have gone on from its cursor. Returns how many changes went.
    """
    c, o = db.inbox.c, db.connections.c
    nobody = sa.or_(
        c.connection_id.is_(None),
        c.connection_id.in_(sa.select(o.id).where(o.status != "connected")),
    )
    old = sa.and_(c.drained_at.is_(None), c.received_at < before, nobody)
    theirs = sa.select(c.connection_id).where(old, c.connection_id.is_not(None))
    tx.execute(sa.update(db.connections).where(o.id.in_(theirs)).values(cursor=None))
    return tx.execute(sa.delete(db.inbox).where(sa.or_(c.drained_at < before, old))).rowcount


def forget_unread(tx: Transaction, before: dt.datetime) -> int:
    """Drop the bodies received before a moment that we could not read. Returns how many."""
    return tx.execute(sa.delete(db.unread).where(db.unread.c.received_at < before)).rowcount
