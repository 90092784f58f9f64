"""STEP 1: pull what changed from a ledger into the books.

Many webhook events become one pull: it drains the inbox by asking once, per organization, what changed since
the cursor. Each page is stored with its cursor, its progress and the customers it changed in one transaction;
between the pages, while the ledger is asked, no transaction is open.
"""

from __future__ import annotations

import datetime as dt
import gc
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection as Transaction
from sqlalchemy.engine import Engine

from connector import db, leases
from connector.config import Config
from connector.connecting import access, connections
from connector.connecting.connections import Connection
from connector.contact import contacts
from connector.domain.receivables import Document, Kind
from connector.mirroring import books, inbox, merging, mirror
from connector.mirroring.book_rows import parts_of_ids
from connector.platforms import (
    Batch,
    Ledger,
    OutOfDate,
    PlatformError,
    Reconnect,
    Refused,
    TryLater,
    Unreadable,
)

log = logging.getLogger(__name__)

LEASE_SECONDS = 60  # after a kill -9 another worker may start within a minute
PATIENCE = 65  # seconds that one call may wait: a pull cannot go on from its middle
AT_FIRST = 5  # seconds that a sweep's first call may wait: the worker has other organizations to serve
_LONG_AGO = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
BEHIND = dt.timedelta(minutes=1)  # by so much an event may be later than the change that it tells of
BEHIND_AT_ONCE = 40  # invoices; the night finds what is beyond
FACTS_LAST = dt.timedelta(hours=20)  # so that a disconnect made inside the ledger is noticed within a day


@dataclass
class Synced:
    """What one sync brought. `changed` are ids of customers whose picture is different now."""

    connection_id: str
    full: bool
    changed: set[str] = field(default_factory=set)
    records: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))
    removed: int = 0
    set_aside: int = 0
    events: int = 0  # webhook events that this one pull answered
    unfinished: bool = False  # a first reading that stopped after its share of pages; the next call goes on


def sync(
    engine: Engine,
    config: Config,
    connection_id: str,
    *,
    full: bool = False,
    thorough: bool = False,
    pages: int | None = None,
    say: Callable[[str], None] | None = None,
    ledger: Ledger | None = None,
) -> Synced | None:
    """Bring one organization's books up to date; None when another process is doing so right now.

    Full when asked, and when there is no cursor yet; a full pull that was interrupted goes on where the ledger
    allows. `thorough` also reads what an ordinary pull leaves for later to save calls. `pages`: stop a
    full pull after so many, where the ledger lets it go on from there. Raises the four errors; before that it has stored what
    to show the bookkeeper: the status (Reconnect), when to try again (TryLater), the sentence (others).
    """
    with leases.hold(engine, lease_name(connection_id), LEASE_SECONDS) as lease:
        if lease is None:
            return None
        try:
            return _Sync(engine, config, connection_id, lease, say, ledger, pages).run(full, thorough)
        except Reconnect as problem:
            access.lost(engine, connection_id, str(problem))
            raise
        except TryLater as problem:
            wait = dt.timedelta(seconds=problem.after or 60)
            _stopped(engine, connection_id, str(problem), db.now() + wait)
            raise
        except PlatformError as problem:
            _stopped(engine, connection_id, str(problem), None)
            raise


def lease_name(connection_id: str) -> str:
    return f"sync:{connection_id}"


def _stopped(engine: Engine, connection_id: str, sentence: str, retry_at: dt.datetime | None) -> None:
    c = db.connections.c
    progress = {"step": "sync", "error": sentence, "at": db.now().isoformat()}
    with db.transaction(engine) as tx:
        tx.execute(
            sa.update(db.connections)
            .where(c.id == connection_id)
            .values(progress=progress, retry_at=retry_at)
        )


class _Sync:
    """One run. Holds the lease; asks the ledger outside, stores inside transactions."""

    def __init__(
        self,
        engine: Engine,
        config: Config,
        connection_id: str,
        lease: leases.Lease,
        say: Callable[[str], None] | None,
        ledger: Ledger | None,
        pages: int | None,
    ) -> None:
        self._pages = pages
        self._engine, self._config, self._id, self._lease = engine, config, connection_id, lease
        self._say = say or (lambda sentence: None)
        self._ledger = ledger
        self._brought: set[str] = set()  # invoices that this pull brought itself
        self._gone: set[str] = set()  # customers that it took away
        self._handed: dict[str, set[str]] = {}  # customers whose documents are others' now

    def run(self, full: bool, thorough: bool) -> Synced:
        with db.reading(self._engine) as tx:
            connection = connections.get(tx, self._id)
            pending = [p for p in inbox.pending(tx, self._id) if p.verb != inbox.UNSETTLED]
        self._require_connected(connection)
        done = Synced(self._id, full or connection.cursor is None, events=len(pending))
        self._at_first = PATIENCE if done.full or thorough else AT_FIRST
        ledger = self._open(connection)
        # What changed while a reading in several parts was under way, the next pull brings: keep its events.
        goes_on = not done.full and connection.last_full_at is None
        kinds = None if done.full or goes_on else frozenset(Kind) if thorough else narrowed(pending)
        try:
            self._pull(ledger, connection, kinds, done)
        except OutOfDate:
            if done.full:
                raise
            log.info("connection %s: the cursor is too old; reading everything", self._id)
            done.full = True
            self._pull(ledger, connection, None, done)
        if done.unfinished:
            return done
        if not done.full and self._left_behind():
            log.info("connection %s: a customer is gone, what it owed is not; reading everything", self._id)
            done.full = True
            self._pull(ledger, connection, None, done)
        self._reread_unsettled(ledger, done)
        if not done.full:
            self._reread_behind(ledger, pending, done)
            self._meet_strangers(ledger, done)
        if any(p.verb == "merged" for p in pending):
            with db.transaction(self._engine) as tx:
                self._follow(tx, inbox.merges(tx, self._id))
        self._finish(done, [] if goes_on else [p.id for p in pending])
        return done

    def _require_connected(self, connection: Connection) -> None:
        if connection.status != "connected":
            raise Reconnect(
                connection.status_reason or f"{connection.organization} is not connected. Press Connect."
            )

    def _open(self, connection: Connection) -> Ledger:
        ledger = self._ledger or self._new_ledger()
        known = connection.facts_at
        if known is None or db.now() - known > FACTS_LAST:
            facts = connections.refresh_facts(self._engine, self._id, ledger)
            if facts.timezone != connection.timezone and self._ledger is None:
                ledger = self._new_ledger()  # dates are read in the organization's zone
        return ledger

    def _new_ledger(self) -> Ledger:
        return connections.open_ledger(
            self._engine, self._config, self._id, patience=PATIENCE, at_first=self._at_first
        )

    def _pull(
        self, ledger: Ledger, connection: Connection, kinds: frozenset[Kind] | None, done: Synced
    ) -> None:
        # An unfinished full pull may go on in this one, and what it brought so far must count as seen.
        begins = done.full or connection.last_full_at is not None
        generation = self._next_generation(done.full) if begins else connection.generation
        whole = done.full or connection.last_full_at is None
        with _rare_collections():
            pull = ledger.pull(None if done.full else connection.cursor, kinds)
            for page, batch in enumerate(pull, 1):
                self._lease.keep()
                self._store(batch, generation, done)
                enough = self._pages is not None and page >= self._pages
                if whole and enough and batch.cursor is not None and not batch.complete:
                    done.unfinished = True
                    return

    def _reread_unsettled(self, ledger: Ledger, done: Synced) -> None:
        """Read the invoices whose payment went away or shrank, where the ledger did not report them itself:
        in this sync, or in one that could not finish."""
        with db.reading(self._engine) as tx:
            waiting = [p for p in inbox.pending(tx, self._id) if p.verb == inbox.UNSETTLED]
        answered = {p.record_id for p in waiting} if done.full else self._brought
        for id in sorted({p.record_id for p in waiting} - answered):
            try:
                document = ledger.document(Kind.INVOICE, id)
            except Refused as refusal:
                self._unreadable(refusal, id)
                continue  # the next sync asks again; whatever else is new need not wait for it
            with db.transaction(self._engine) as tx:
                if document is None:
                    changed = mirror.drop(tx, self._id, Kind.INVOICE, id)
                else:
                    changed = mirror.put_document(tx, self._id, document)
                books.note_changed(tx, self._id, changed, db.now())
                inbox.drained(tx, [p.id for p in waiting if p.record_id == id], db.now())
            done.changed |= changed
        with db.transaction(self._engine) as tx:
            inbox.drained(tx, [p.id for p in waiting if p.record_id in answered], db.now())

    def _follow(self, tx: Transaction, survivors: Mapping[str, str]) -> None:
        """Where a customer is gone and another one has what it owed, what we keep of it goes there too. Not every
        ledger says that it merged the two."""
        named = {*survivors, *survivors.values()}
        there = {c.id for c in books.customers(tx, self._id, named)} if named else set()
        merged = {old: new for old, new in survivors.items() if old not in there and new in there}
        merged = {old: new for old, new in merged.items() if not _owing(tx, self._id, [old])}
        if merged:
            merging.follow(tx, self._id, merged)
            books.note_changed(tx, self._id, merged.values(), db.now())

    def _left_behind(self) -> bool:
        """Whether documents name a customer that this pull took away: merged into another one, by a ledger that
        does not report what moved."""
        with db.reading(self._engine) as tx:
            gone = sorted(self._gone - {c.id for c in books.customers(tx, self._id, self._gone)})
            return _owing(tx, self._id, gone)

    def _reread_behind(self, ledger: Ledger, pending: Sequence[inbox.Pending], done: Synced) -> None:
        """Read the invoices that events named and the pull did not bring, where our copy is older than the event.

        Not every edit moves the time by which a ledger lists what changed, and a list may come late.
        """
        told: dict[str, dt.datetime] = {}
        for p in pending:
            if p.kind is Kind.INVOICE and p.occurred_at and p.record_id not in self._brought:
                told[p.record_id] = max(p.occurred_at, told.get(p.record_id, p.occurred_at))
        with db.reading(self._engine) as tx:
            known = books.invoices(tx, self._id, ids=sorted(told)[:500]) if told else []
        behind = [i.number for i in known if i.updated_at and i.updated_at + BEHIND < told[i.id]]
        wanted = [number for number in behind if number][:BEHIND_AT_ONCE]
        for document in self._found(ledger, wanted) if wanted else ():
            if document.id in told:
                with db.transaction(self._engine) as tx:
                    changed = mirror.put_document(tx, self._id, document)
                    books.note_changed(tx, self._id, changed, db.now())
                done.changed |= changed

    def _found(self, ledger: Ledger, numbers: Sequence[str]) -> list[Document]:
        """The invoices with these numbers; one that cannot be read is left out, so that no other waits for it."""
        try:
            return ledger.find(Kind.INVOICE, numbers)
        except Refused as refusal:
            self._unreadable(refusal, "that an event named")
        return [d for n in numbers for d in self._found(ledger, [n])] if len(numbers) > 1 else []

    def _unreadable(self, refusal: Refused, which: str) -> None:
        if refusal.code != "UNREADABLE_RECORD":
            raise refusal
        log.warning("connection %s: an invoice %s cannot be read", self._id, which)

    def _meet_strangers(self, ledger: Ledger, done: Synced) -> None:
        """Ask for customers whom a document named before any list did: made a minute ago, or in a list that
        this pull did not read."""
        with db.reading(self._engine) as tx:
            named = done.changed | books.changed(tx, self._id).keys()  # also by a sync that could not finish
            known = {c.id for c in books.customers(tx, self._id, named)}
            known |= {one.id for one in set_aside(tx, self._id) if one.kind is Kind.CUSTOMER}
            generation = connections.get(tx, self._id).generation
        found = tuple(c for id in sorted(named - known) if (c := ledger.customer(id)) is not None)
        if found:
            self._store(Batch(customers=found), generation, done)

    def _next_generation(self, full: bool) -> int:
        """A number of its own for each pull that starts at the beginning. A sweep may have to read a kind in
        full too; what it then does not bring is gone as well."""
        c = db.connections.c
        values: dict[str, object] = {"generation": c.generation + 1}
        if full:
            values["last_full_at"] = None
        with db.transaction(self._engine) as tx:
            tx.execute(sa.update(db.connections).where(c.id == self._id).values(**values))
            return int(tx.scalar(sa.select(c.generation).where(c.id == self._id)) or 0)

    def _store(self, batch: Batch, generation: int, done: Synced) -> None:
        now = db.now()
        c = db.connections.c
        values: dict[str, object] = {
            "progress": {
                "step": "sync",
                "what": batch.what,
                "done": batch.done,
                "expected": batch.expected,
                "at": now.isoformat(),
            }
        }
        if batch.cursor is not None:
            values["cursor"] = batch.cursor
        with db.transaction(self._engine, repeatable=True) as tx:
            still = tx.execute(
                sa.update(db.connections).where(c.id == self._id, c.status == "connected").values(**values)
            )
            if still.rowcount != 1:
                raise Reconnect("The organization was disconnected meanwhile.")
            unsettled: set[str] = set()
            moved: set[str] = set()
            changed = mirror.store(
                tx, self._id, batch, generation, unsettled=unsettled, moved=moved, handed=self._handed
            )
            if moved:
                today = connections.today(connections.get(tx, self._id), self._config, now)
                contacts.moved(tx, self._id, moved, on=today, now=now)
            _set_aside(tx, self._id, batch, generation, now)
            if batch.complete:
                done.full = done.full or batch.complete == frozenset(Kind)
                changed |= mirror.remove_unseen(tx, self._id, batch.complete, generation, unsettled=unsettled)
                _forget_set_aside(tx, self._id, batch.complete, generation)
            self._follow(tx, {old: min(new) for old, new in self._handed.items() if len(new) == 1})
            if not done.full:
                connection = connections.get(tx, self._id)
                inbox.note_unsettled(
                    tx, self._id, connection.platform, connection.external_id, unsettled, now
                )
            books.note_changed(tx, self._id, changed, now)
        self._brought |= {invoice.id for invoice in batch.invoices} if not done.full else set()
        self._gone |= {id for kind, id in batch.removed if kind is Kind.CUSTOMER}
        done.changed |= changed
        done.removed += len(batch.removed)
        done.set_aside += len(batch.unreadable)
        for kind, records in _by_kind(batch):
            done.records[kind] += len(records)
        if batch.what:
            of = f" of {batch.expected:,}" if batch.expected else ""
            self._say(f"{batch.what}: {batch.done:,}{of}")

    def _finish(self, done: Synced, drained: list[int]) -> None:
        now = db.now()
        values: dict[str, object] = {"last_sync_at": now, "retry_at": None, "progress": None}
        if done.full:
            values["last_full_at"] = now
        else:  # a full pull that was broken off and cannot be resumed is under way no more, and still due
            values["last_full_at"] = sa.func.coalesce(
                db.connections.c.last_full_at, sa.literal(_LONG_AGO, db.Moment())
            )
        with db.transaction(self._engine) as tx:
            inbox.drained(tx, drained, now)
            tx.execute(sa.update(db.connections).where(db.connections.c.id == self._id).values(**values))


@contextmanager
def _rare_collections() -> Iterator[None]:
    """A page of a thousand records is tens of thousands of objects without a cycle; looking for cycles after
    every 700 of them costs a fifth of a first sync."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def narrowed(pending: Iterable[inbox.Pending]) -> frozenset[Kind] | None:
    """The kinds that webhooks named; None (an ordinary look at all) when one named none.

    What moves together with them, such as a payment with its invoice, is each adapter's knowledge.
    """
    named = {p.kind for p in pending}
    return frozenset(kind for kind in named if kind) if named and None not in named else None


def _owing(tx: Transaction, connection_id: str, customers: Sequence[str]) -> bool:
    """Whether any document names one of these customers."""
    for c in (db.invoices.c, db.payments.c, db.credits.c):
        for part in parts_of_ids(list(customers)):
            mine = (c.connection_id == connection_id, c.customer_id.in_(part))
            if tx.scalar(sa.select(sa.literal(1)).where(*mine).limit(1)):
                return True
    return False


def _by_kind(batch: Batch) -> list[tuple[Kind, tuple[object, ...]]]:
    return [
        (Kind.CUSTOMER, batch.customers),
        (Kind.INVOICE, batch.invoices),
        (Kind.PAYMENT, batch.payments),
        (Kind.CREDIT, batch.credits),
    ]


# ---------------------------------------------------------------- records that we could not read


def _set_aside(tx: Transaction, connection_id: str, batch: Batch, generation: int, now: dt.datetime) -> None:
    """Keep what could not be read, and strike out what can be read again or is gone."""
    c = db.set_aside.c
    known = tx.execute(sa.select(c.kind, c.id).where(c.connection_id == connection_id)).all()
    if known:
        readable = {(kind, r.id) for kind, records in _by_kind(batch) for r in records}  # type: ignore[attr-defined]
        readable |= set(batch.removed)
        for kind, id in known:
            if (Kind(kind), id) in readable:
                tx.execute(
                    sa.delete(db.set_aside).where(
                        c.connection_id == connection_id, c.kind == kind, c.id == id
                    )
                )
    insert = (postgresql if tx.dialect.name == "postgresql" else sqlite).insert(db.set_aside)
    for one in batch.unreadable:
        row = {
            "connection_id": connection_id,
            "kind": one.kind.value,
            "id": one.id,
            "reason": one.reason,
            "raw": one.raw,
            "seen": generation,
            "first_seen_at": now,
            "seen_at": now,
        }
        tx.execute(
            insert.values(row).on_conflict_do_update(
                index_elements=["connection_id", "kind", "id"],
                set_={"reason": one.reason, "raw": one.raw, "seen": generation, "seen_at": now},
            )
        )


def _forget_set_aside(tx: Transaction, connection_id: str, kinds: Iterable[Kind], generation: int) -> None:
    c = db.set_aside.c
    tx.execute(
        sa.delete(db.set_aside).where(
            c.connection_id == connection_id, c.kind.in_([k.value for k in kinds]), c.seen < generation
        )
    )


def set_aside(tx: Transaction, connection_id: str) -> list[Unreadable]:
    """Records of the ledger that we could not read, for the bookkeeper to see."""
    c = db.set_aside.c
    query = (
        sa.select(c.kind, c.id, c.reason, c.raw)
        .where(c.connection_id == connection_id)
        .order_by(c.kind, c.id)
    )
    return [Unreadable(Kind(row.kind), row.id, row.reason, row.raw) for row in tx.execute(query)]
