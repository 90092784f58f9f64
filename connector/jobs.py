"""The RQ functions, and how to wake them. A job is a wake-up: ids in, nothing out, safe to run twice.

The database is the truth: what a lost job, a flushed Redis or a killed worker left behind is still pending
there, and the sweep finds it. So every wake-up may be lost, and none is refused because another one is on its
way: surplus jobs find the lease taken or nothing to do, and end.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import redis
import sqlalchemy as sa
from rq import Queue, Retry, Worker, get_current_job
from rq.serializers import JSONSerializer
from sqlalchemy.engine import Engine

from connector import (
    books,
    completeness,
    config,
    connections,
    db,
    embedded,
    expecting,
    history,
    inbox,
    leases,
    logs,
    platforms,
    review,
    sync,
    writeback,
)
from connector.config import Config
from connector.platforms import PlatformError, Reconnect, TryLater

log = logging.getLogger(__name__)

QUEUE = "forbear"
LONGEST = 3600  # seconds one job may take: the first sync of a large organization within a ledger's limits
WOKEN = 180  # seconds for which a sweep trusts that an earlier wake-up is still in the queue
ROOM = 200  # a sweep fills the queue up to here only: news and people never wait behind thousands of sweeps

SYNC_EVERY = dt.timedelta(hours=1)  # what no webhook tells: lost ones, and Xero's payments
PROVE_EVERY = dt.timedelta(hours=20)
PROVE_AT_LATEST = dt.timedelta(hours=28)
FULL_EVERY = dt.timedelta(days=7)
NIGHT = range(1, 6)  # hours of the organization's own night


# ---------------------------------------------------------------- waking


def queue(settings: Config) -> Queue:
    """The one queue: a worker that listens to two can lose a job between pop and start."""
    return Queue(
        QUEUE,
        connection=embedded.redis(settings),
        serializer=JSONSerializer,
        default_timeout=LONGEST,
    )


def wake_sync(settings: Config, connection_id: str, *, full: bool = False, first: bool = False) -> None:
    """Have a worker pull what changed. `first`: ahead of the queue, when a person waits for it."""
    _wake(settings, "sync_connection", connection_id, *([True] if full else []), first=first)


def wake_for_news(settings: Config, connection_ids: Sequence[str]) -> None:
    """Webhooks told of changes. One job answers all that arrive before it starts: it is noted in the queue's
    server, the job strikes the note out first of all, and what arrives after that wakes another one."""
    try:
        with embedded.redis(settings).pipeline(transaction=False) as notes:
            for id in connection_ids:
                notes.set(_woken("sync_connection", id), "1", ex=WOKEN, nx=True)
            new = [id for id, noted in zip(connection_ids, notes.execute(), strict=True) if noted]
    except redis.RedisError as problem:
        log.warning("news of %d connections not enqueued (%s)", len(connection_ids), type(problem).__name__)
        return
    for id in new:
        _wake(settings, "sync_connection", id)


def wake_review(settings: Config, connection_id: str, *, all_customers: bool = False) -> None:
    """Have a worker look at the customers that changed; at all, e.g. after a change of the policy."""
    _wake(settings, "review_connection", connection_id, *([True] if all_customers else []))


def wake_deliver(settings: Config, connection_id: str) -> None:
    """Have a worker perform the writes that are due."""
    _wake(settings, "deliver_connection", connection_id)


def _wake(settings: Config, function: str, connection_id: str, *more: Any, first: bool = False) -> bool:
    """Enqueue after the commit. Never fails the caller: without Redis the sweep finds the work later."""
    try:
        waiting = queue(settings)
        waiting.enqueue_call(
            f"connector.jobs.{function}",
            args=(connection_id, *more),
            timeout=LONGEST,
            result_ttl=0,
            failure_ttl=7 * 86_400,
            meta={"cause": logs.current("cause") or logs.current("request")},
            retry=Retry(max=3),  # for a worker that was killed; what a job cannot do it notes and ends
            at_front=first,
        )
        waiting.connection.set(_woken(function, connection_id), "1", ex=WOKEN)
    except redis.RedisError as problem:
        log.warning("%s of %s not enqueued (%s)", function, connection_id, type(problem).__name__)
        return False
    return True


def _woken(function: str, connection_id: str) -> str:
    return f"forbear:woken:{function}:{connection_id}"


# ---------------------------------------------------------------- the jobs


def _job(function: Callable[..., None]) -> Callable[..., None]:
    """Open the installation, say whose job it is in every log line, and end quietly on an expected no.

    An unexpected failure is logged and left to the sweep: raising would make RQ repeat it at once.
    """

    @wraps(function)
    def run(connection_id: str, *more: Any) -> None:
        with logs.about(**_job_ids(), step=function.__name__, connection=connection_id):
            open_and_run(connection_id, *more)

    def open_and_run(connection_id: str, *more: Any) -> None:
        settings = config.load()
        engine = db.engine(settings)
        name = function.__name__
        try:
            embedded.redis(settings).delete(_woken(name, connection_id))
        except redis.RedisError:
            log.warning("%s of %s: the queue's server is away", name, connection_id)
        try:
            log.info("begins")
            began = time.monotonic()
            function(settings, engine, connection_id, *more)
            log.info("is done", extra=logs.facts(ms=round(1000 * (time.monotonic() - began))))
        except TryLater as problem:
            log.info("waits", extra=logs.facts(seconds=problem.after, reference=problem.reference))
        except (Reconnect, leases.Lost) as problem:
            log.info("ends: %s", type(problem).__name__)
        except PlatformError as problem:
            log.warning(
                "ends: %s",
                type(problem).__name__,
                extra=logs.facts(code=problem.code, reference=problem.reference),
            )
        except LookupError:
            log.info("ends: this connection does not exist any more")
        except Exception:
            log.exception("%s of %s failed; the sweep tries again", name, connection_id)
            _note_failure(engine, connection_id, name)
            _rest(settings, name, connection_id, 5 * WOKEN)

    return run


def _job_ids() -> dict[str, str]:
    """The queue's own id of this job, and the request that caused it; nothing when called by hand."""
    job = get_current_job()
    return {"job": job.id, "cause": job.get_meta(refresh=False).get("cause", "")} if job else {}


def _note_failure(engine: Engine, connection_id: str, step: str) -> None:
    """Tell the bookkeeper, in the database, what the log tells whoever runs the installation."""
    progress = {
        "step": step,
        "error": "Something went wrong on our side. Nothing is lost; it is tried again by itself. If it stays "
        "so for a day, tell whoever runs Forbear: the log says more.",
        "at": db.now().isoformat(),
    }
    c = db.connections.c
    try:
        with db.transaction(engine) as tx:
            tx.execute(sa.update(db.connections).where(c.id == connection_id).values(progress=progress))
    except sa.exc.SQLAlchemyError:
        log.exception("the failure of %s of %s could not be noted", step, connection_id)


def _rest(settings: Config, function: str, connection_id: str, seconds: float) -> None:
    """Keep the sweep from waking a job that cannot go on yet at every turn."""
    try:
        embedded.redis(settings).set(_woken(function, connection_id), "1", ex=max(1, int(seconds)))
    except redis.RedisError:
        return


@_job
def sync_connection(settings: Config, engine: Engine, connection_id: str, full: bool = False) -> None:
    """Pull what changed, then wake the review of whom it concerns."""
    sync.sync(engine, settings, connection_id, full=full)
    with db.reading(engine) as tx:
        # An event that arrived during the pull found the lease taken: its own job ended without it.
        late = bool(inbox.pending(tx, connection_id))
        busy = sync.lease_name(connection_id) in leases.held(tx, db.now())
        connection = connections.get(tx, connection_id)
        concerned = bool(books.changed(tx, connection_id)) or _review_due(connection, settings)
    if late and not busy:
        wake_sync(settings, connection_id)
    if concerned:
        wake_review(settings, connection_id)


def _review_due(
    connection: connections.Connection | connections.Due, settings: Config, now: dt.datetime | None = None
) -> bool:
    day = connections.today(connection, settings, now)
    return connection.last_sync_at is not None and connection.last_review_on != day


@_job
def review_connection(
    settings: Config, engine: Engine, connection_id: str, all_customers: bool = False
) -> None:
    """Look at the customers that changed, once a day at all; then wake the writing of what follows."""
    with leases.hold(engine, f"review:{connection_id}") as lease:
        if lease is None:
            return
        with db.reading(engine) as tx:
            connection = connections.get(tx, connection_id)
            changed = books.changed(tx, connection_id)
            pulling = sync.lease_name(connection_id) in leases.held(tx, db.now())
        if connection.status == "disconnected" or connection.last_sync_at is None or pulling:
            return  # half a pull is no picture: an invoice may be there and its payment not yet
        today = connections.today(connection, settings)
        whole = all_customers or connection.last_review_on != today
        if whole or changed:
            review.review(
                engine,
                connection_id,
                now=db.now(),
                today=today,
                customer_ids=None if whole else frozenset(changed),
            )
        weeks, expected = [], None
        if whole:
            with db.reading(engine) as tx:
                weeks = history.missing(tx, connection_id, today)
        with db.transaction(engine) as tx:
                expected = expecting.worked_out_later(tx, connection_id, today)
            books.reviewed(tx, connection_id, changed)
            if whole:
                history.keep(tx, weeks)
                c = db.connections.c
                if expected is not None:
                    expecting.keep_later(tx, connection_id, expected, today=today)
                tx.execute(
                    sa.update(db.connections).where(c.id == connection_id).values(last_review_on=today)
                )
            due = connection_id in writeback.pending_connections(tx, db.now())
            again = bool(books.changed(tx, connection_id))
    if due:
        wake_deliver(settings, connection_id)
    if again:
        wake_review(settings, connection_id)


@_job
def deliver_connection(settings: Config, engine: Engine, connection_id: str) -> None:
    """Perform the writes that are due, then pull their consequences."""
    with db.reading(engine) as tx:
        connection = connections.get(tx, connection_id)
    if connection.status != "connected":
        return
    delivered = writeback.deliver(
        engine,
        connection_id,
        lambda: connections.open_ledger(engine, settings, connection_id, patience=20, urgent=True),
        now=db.now,
        today=lambda: connections.today(connection, settings),
        credit_word=platforms.find(connection.platform, settings).credit_word,
    )
    if delivered.done:
        wake_sync(settings, connection_id)
    if delivered.retry_at is not None:
        wait = (delivered.retry_at - db.now()).total_seconds()
        _rest(settings, "deliver_connection", connection_id, wait)


@_job
def prove_connection(settings: Config, engine: Engine, connection_id: str) -> None:
    """The nightly proof: sync, compare with the ledger's own balances, and mend by reading everything.

    Everything is read again when a difference is left, and once a week in any case.
    """
    with db.reading(engine) as tx:
        connection = connections.get(tx, connection_id)
    if connection.status != "connected":
        return
    last = connection.last_full_at
    full = last is None or db.now() - last > FULL_EVERY
    if sync.sync(engine, settings, connection_id, full=full, thorough=True) is None:
        return  # somebody pulls just now; the sweep comes back
    if completeness.compare(engine, settings, connection_id) and not full:
        sync.sync(engine, settings, connection_id, full=True)
        completeness.compare(engine, settings, connection_id)
    wake_review(settings, connection_id)


# ---------------------------------------------------------------- the sweep


def sweep(settings: Config, now: dt.datetime | None = None) -> int:
    """Wake whatever the database says is waiting and nobody works on. Returns how many were woken.

    What came from people and webhooks goes first and always; routine (hourly pulls, nightly proofs) only as
    far as the queue has room.
    """
    now = now or db.now()
    engine = db.engine(settings)
    with db.reading(engine) as tx:
        taken = leases.held(tx, now)
        connected = connections.connected(tx)
        due = writeback.pending_connections(tx, now)
        news = inbox.pending_connections(tx)
        c = db.changed_customers.c
        changed = list(tx.scalars(sa.select(c.connection_id).distinct()))
    resting = {id for id, c in connected.items() if c.retry_at and c.retry_at > now}
    retries = [id for id, c in connected.items() if c.retry_at and c.retry_at <= now]
    first_syncs = {id for id, c in connected.items() if c.last_sync_at is None}
    pressing = [("deliver_connection", "write", id) for id in due]
    pressing += [("sync_connection", "sync", id) for id in {*news, *retries, *first_syncs} - resting]
    pressing += [("review_connection", "review", id) for id in changed if id not in first_syncs]
    routine = _routine(connected, settings, now)
    room = _room(settings)
    woken = 0
    for n, (function, step, id) in enumerate([*pressing, *routine]):
        if n >= len(pressing) and room <= 0:
            break
        if id not in connected or f"{step}:{id}" in taken or (step == "sync" and id in resting):
            continue
        if _is_new(settings, function, id) and _wake(settings, function, id):
            woken += 1
            room -= 1
    return woken


def _routine(
    connected: dict[str, connections.Due], settings: Config, now: dt.datetime
) -> list[tuple[str, str, str]]:
    found = []
    for id, c in connected.items():
        if c.last_sync_at is None:
            continue
        proved = c.last_proof_at or c.created_at
        night = now.astimezone(connections.zone(c.timezone)).hour in NIGHT
        if now - proved > PROVE_AT_LATEST or (night and now - proved > PROVE_EVERY):
            found.append(("prove_connection", "sync", id))
        elif now - c.last_sync_at > SYNC_EVERY:
            found.append(("sync_connection", "sync", id))
        elif _review_due(c, settings, now):
            found.append(("review_connection", "review", id))
    return found


@dataclass(frozen=True, slots=True)
class Backlog:
    """What the queue's server knows. `set_aside` are jobs that failed at each of their tries."""

    waiting: int
    oldest_seconds: float
    workers: int
    set_aside: int


def backlog(settings: Config) -> Backlog | None:
    """How much waits for a worker; None when the queue's server does not answer."""
    try:
        waiting = queue(settings)
        first = waiting.fetch_job(ids[0]) if (ids := waiting.get_job_ids(0, 1)) else None
        since = first.enqueued_at if first else None
        age = (db.now() - since.replace(tzinfo=dt.UTC)).total_seconds() if since else 0.0
        return Backlog(
            waiting.count, max(0.0, age), Worker.count(queue=waiting), waiting.failed_job_registry.count
        )
    except redis.RedisError:
        return None


def _room(settings: Config) -> int:
    try:
        return ROOM - queue(settings).count
    except redis.RedisError:
        return 0


def _is_new(settings: Config, function: str, connection_id: str) -> bool:
    """Whether no earlier wake-up is still on its way. A flushed Redis forgets both, so nothing stays lost."""
    try:
        mark = _woken(function, connection_id)
        return bool(embedded.redis(settings).set(mark, "1", ex=WOKEN, nx=True))
    except redis.RedisError:
        return False
