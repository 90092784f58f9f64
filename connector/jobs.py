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
from rq.job import Job
from rq.queue import EnqueueData
from rq.serializers import JSONSerializer
from sqlalchemy.engine import Connection as Transaction
from sqlalchemy.engine import Engine

from connector import (
    books,
    completeness,
    config,
    connections,
    customer_links,
    db,
    embedded,
    expecting,
    failures,
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
SLICE = 20  # pages of a first reading in one job: about as long as a small organization's whole one
SLACK = 5  # seconds between the clocks of the machines that enqueue
ROOM = 200  # a sweep fills the queue up to here only: news and people never wait behind thousands of sweeps,
ROOM_A_WORKER = 20  # or so far, where many workers would find it empty before the next sweep

SYNC_EVERY = dt.timedelta(hours=1)  # what no webhook tells: lost ones, and Xero's payments
PROVE_EVERY = dt.timedelta(hours=20)
PROVE_AT_LATEST = dt.timedelta(hours=28)
FULL_EVERY = dt.timedelta(days=7)
NIGHT = range(1, 6)  # hours of the organization's own night


# ---------------------------------------------------------------- waking


_queues: dict[str, Queue] = {}


def queue(settings: Config) -> Queue:
    """The one queue: a worker that listens to two can lose a job between pop and start."""
    where = embedded.address(settings)
    if where not in _queues:  # a new one asks its server for the version, at each first use
        _queues[where] = Queue(
            QUEUE, connection=embedded.redis(settings), serializer=JSONSerializer, default_timeout=LONGEST
        )
    return _queues[where]


def wake_sync(settings: Config, connection_id: str, *, full: bool = False, first: bool = False) -> None:
    """Have a worker pull what changed. `first`: ahead of the queue, when a person waits for it."""
    _wake(settings, "sync_connection", [connection_id], *([True] if full else []), first=first)


def wake_for_news(settings: Config, connection_ids: Sequence[str]) -> None:
    """Webhooks told of changes: one round trip for all of them, one job for all events of an organization."""
    _wake(settings, "sync_connection", connection_ids, news=True)


def wake_review(settings: Config, connection_id: str, *, all_customers: bool = False) -> None:
    """Have a worker look at the customers that changed; at all, e.g. after a change of the policy.

    The wish for all is kept in the database: it outlives the queue, and a review that is under way.
    """
    if all_customers:
        c = db.connections.c
        with db.transaction(db.engine(settings)) as tx:
            wish = sa.update(db.connections).where(c.id == connection_id).values(review_asked_at=db.now())
            tx.execute(wish)
    _wake(settings, "review_connection", [connection_id])


def wake_deliver(settings: Config, connection_id: str) -> None:
    """Have a worker perform the writes that are due."""
    _wake(settings, "deliver_connection", [connection_id])


def try_again(settings: Config, connection_id: str) -> list[str]:
    """A person wants what was set aside to be tried again. Returns the jobs."""
    with db.transaction(db.engine(settings)) as tx:
        found = failures.forget(tx, connection_id)
    for function in found:
        _wake(settings, function, [connection_id], first=True)
    return found


def _wake(
    settings: Config,
    function: str,
    connection_ids: Sequence[str],
    *more: Any,
    first: bool = False,
    again: bool = False,
    news: bool = False,
) -> int:
    """Enqueue after the commit; how many. Never fails the caller: without Redis the sweep finds the work later.

    A job that waits in the queue answers every wake-up until it starts. So each is noted in the queue's server,
    in one step with the job itself; a job strikes its note out first of all, and what comes after that wakes
    another one. `again`: the note is known to be stale. What a person asks for on a page gets a
    job of its own, so that the log shows what came of it.
    """
    line = queue(settings)
    own = first or again or (logs.current("request") and not news)
    try:
        if not own and (noted := _notes(settings, function, connection_ids, *more)):
            connection_ids = [id for id, at in zip(connection_ids, noted, strict=True) if at is None]
        if not connection_ids:
            return 0
        with line.connection.pipeline() as together:
            for id in connection_ids:
                together.set(_note(function, id, *more), str(time.time()), ex=LONGEST)
            line.enqueue_many(
                [_data(function, (id, *more), first) for id in connection_ids], pipeline=together
            )
            together.execute()
    except redis.RedisError as problem:
        log.warning(
            "%s of %d connections not enqueued (%s)", function, len(connection_ids), type(problem).__name__
        )
        return 0
    return len(connection_ids)


def _data(function: str, ids: tuple[Any, ...], first: bool) -> EnqueueData:
    return Queue.prepare_data(
        f"connector.jobs.{function}",
        args=ids,
        timeout=LONGEST,
        result_ttl=0,
        failure_ttl=7 * 86_400,
        meta={"cause": logs.current("cause") or logs.current("request")},
        retry=Retry(max=3),  # for a worker that was killed; what a job cannot do it notes and ends
        at_front=first,
    )


def _note(function: str, connection_id: str, *more: Any) -> str:
    return ":".join(["forbear", "woken", function, connection_id, *map(str, more)])


def _notes(settings: Config, function: str, connection_ids: Sequence[str], *more: Any) -> list[bytes | None]:
    """When each of these jobs was enqueued, None for those that do not wait in the queue."""
    names = [_note(function, id, *more) for id in connection_ids]
    return list(embedded.redis(settings).mget(names)) if names else []  # type: ignore[arg-type]


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
            embedded.redis(settings).delete(_note(name, connection_id, *more))
        except redis.RedisError:
            log.warning("%s of %s: the queue's server is away", name, connection_id)
        try:
            with db.reading(engine) as tx:
                failed = failures.get(tx, connection_id, name)
            if failed and failed.set_aside:
                log.info("is set aside until a person tries it again")
                return
            log.info("begins")
            began = time.monotonic()
            function(settings, engine, connection_id, *more)
            log.info("is done", extra=logs.facts(ms=round(1000 * (time.monotonic() - began))))
            if failed:
                with db.transaction(engine) as tx:
                    failures.forget(tx, connection_id, name)
        except TryLater as problem:
            log.info("waits", extra=logs.facts(seconds=problem.after, reference=problem.reference))
        except leases.Stopping:
            log.info("stops with its worker; another one goes on")
            _wake(settings, name, [connection_id], *more, first=True)
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
        except Exception as problem:
            log.exception("%s of %s failed; the sweep tries again", name, connection_id)
            note_failure(engine, connection_id, name, logs.short(problem))

    return run


def _job_ids() -> dict[str, str]:
    """The queue's own id of this job, and the request that caused it; nothing when called by hand."""
    job = get_current_job()
    return {"job": job.id, "cause": job.get_meta(refresh=False).get("cause", "")} if job else {}


def note_failure(engine: Engine, connection_id: str, job: str, reason: str) -> None:
    """Count it in the database, where the bookkeeper's page and `forbear doctor` find it."""
    try:
        with db.transaction(engine) as tx:
            noted = failures.note(tx, connection_id, job, reason, db.now())
        if noted.set_aside:
            log.error("%s of %s is set aside after %d tries: %s", job, connection_id, noted.times, reason)
    except sa.exc.SQLAlchemyError:
        log.exception("the failure of %s of %s could not be noted", job, connection_id)


def _rest(settings: Config, function: str, connection_id: str, seconds: float) -> None:
    """Keep the sweep from waking a job that cannot go on yet at every turn."""
    try:
        embedded.redis(settings).set(_resting(function, connection_id), "1", ex=max(1, int(seconds)))
    except redis.RedisError:
        return


def _resting(function: str, connection_id: str) -> str:
    return f"forbear:resting:{function}:{connection_id}"


@_job
def sync_connection(settings: Config, engine: Engine, connection_id: str, full: bool = False) -> None:
    """Pull what changed, then wake the review of whom it concerns.

    A long first reading takes turns with the rest of the queue: `SLICE` pages at a time.
    """
    done = sync.sync(engine, settings, connection_id, full=full, pages=SLICE)
    if done and done.unfinished:
        wake_sync(settings, connection_id)
        return
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
    due = connection.last_review_on != day or connection.review_asked_at is not None
    return connection.last_sync_at is not None and due


@_job
def review_connection(
    settings: Config, engine: Engine, connection_id: str, all_customers: bool = False
) -> None:
    """Look at the customers that changed, once a day at all; then wake the writing of what follows."""
    with leases.hold(engine, f"review:{connection_id}") as lease:
        if lease is None:
            return  # whoever has it looks once more when it is done
        with db.reading(engine) as tx:
            connection = connections.get(tx, connection_id)
            changed = books.changed(tx, connection_id)
            pulling = sync.lease_name(connection_id) in leases.held(tx, db.now())
        if connection.status == "disconnected" or connection.last_sync_at is None or pulling:
            return  # half a pull is no picture: an invoice may be there and its payment not yet
        today = connections.today(connection, settings)
        all_customers = all_customers or connection.review_asked_at is not None
        whole = all_customers or connection.last_review_on != today
        if whole or changed:
            review.review(
                engine,
                connection_id,
                now=db.now(),
                today=today,
                customer_ids=None if whole else frozenset(changed),
                quiet_too=all_customers,
            )
        weeks, expected = [], None
        if whole:
            with db.reading(engine) as tx:
                weeks = history.missing(tx, connection_id, today)
                expected = expecting.worked_out_later(tx, connection_id, today)
        with db.transaction(engine) as tx:
            books.reviewed(tx, connection_id, changed)
            if whole:
                history.keep(tx, weeks)
                if expected is not None:
                    expecting.keep_later(tx, connection_id, expected, today=today)
                _reviewed(tx, connection, today)
    with db.reading(engine) as tx:  # after the lease: who found it taken meanwhile has ended
        due = connection_id in writeback.pending_connections(tx, db.now())
        asked = connections.get(tx, connection_id).review_asked_at is not None
        again = asked or bool(books.changed(tx, connection_id))
    if due:
        wake_deliver(settings, connection_id)
    if again:
        wake_review(settings, connection_id)


def _reviewed(tx: Transaction, connection: connections.Connection, today: dt.date) -> None:
    """The whole was looked at; a wish for it that came meanwhile stands."""
    c = db.connections.c
    mine = sa.update(db.connections).where(c.id == connection.id)
    tx.execute(mine.values(last_review_on=today))
    if connection.review_asked_at is not None:
        answered = c.review_asked_at <= connection.review_asked_at
        tx.execute(mine.where(answered).values(review_asked_at=None))


@_job
def deliver_connection(settings: Config, engine: Engine, connection_id: str) -> None:
    """Perform the writes that are due, then pull their consequences."""
    with db.reading(engine) as tx:
        connection = connections.get(tx, connection_id)
        before = writeback.waiting(tx, connection_id, db.now())
    if connection.status != "connected":
        return
    delivered = writeback.deliver(
        engine,
        connection_id,
        lambda: connections.open_ledger(engine, settings, connection_id, patience=20, urgent=True),
        now=db.now,
        today=lambda: connections.today(connection, settings),
        credit_word=platforms.find(connection.platform, settings).credit_word,
        page=customer_links.Maker(settings),
    )
    if delivered.done:
        wake_sync(settings, connection_id)
    if delivered.retry_at is not None:
        wait = (delivered.retry_at - db.now()).total_seconds()
        _rest(settings, "deliver_connection", connection_id, wait)
    if not delivered.busy:
        with db.reading(engine) as tx:  # what came while we wrote found the lease taken
            late = writeback.waiting(tx, connection_id, db.now()) - before
        if late:
            wake_deliver(settings, connection_id)


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
        news = set(inbox.pending_connections(tx))
        failed = failures.resting(tx, now)
        c = db.changed_customers.c
        changed = set(tx.scalars(sa.select(c.connection_id).distinct()))
    resting = {id for id, c in connected.items() if c.retry_at and c.retry_at > now}
    retries = {id for id, c in connected.items() if c.retry_at and c.retry_at <= now}
    first_syncs = {id for id, c in connected.items() if c.last_sync_at is None}
    asked = {id for id, c in connected.items() if c.review_asked_at}
    pressing = [("deliver_connection", "write", id) for id in due]
    pressing += [("sync_connection", "sync", id) for id in sorted(first_syncs)]
    pressing += [("sync_connection", "sync", id) for id in sorted((news | retries) - first_syncs)]
    pressing += [("review_connection", "review", id) for id in sorted((changed | asked) - first_syncs)]
    routine = _routine(connected, settings, now, failed)

    def may(function: str, step: str, id: str) -> bool:
        waits = f"{step}:{id}" in taken or (step == "sync" and id in resting)
        return id in connected and not waits and (function, id) not in failed

    line = _line(settings)
    if line is None:
        return 0
    wanted = [(f, id) for f, step, id in pressing if may(f, step, id)]
    first = _lost(settings, wanted, line)
    pressed = set(pressing)
    wanted = [(f, id) for f, step, id in routine if (f, step, id) not in pressed and may(f, step, id)]
    later = _lost(settings, wanted, line)[: max(0, line.room - len(first))]
    return sum(_wake(settings, function, [id], again=True) for function, id in [*first, *later])


def _routine(
    connected: dict[str, connections.Due],
    settings: Config,
    now: dt.datetime,
    failed: set[tuple[str, str]],
) -> list[tuple[str, str, str]]:
    """What is due by the clock alone. A check that fails must not keep an organization from being read."""
    found = []
    for id, c in connected.items():
        if c.last_sync_at is None:
            continue
        proved = c.last_proof_at or c.created_at
        night = now.astimezone(connections.zone(c.timezone)).hour in NIGHT
        due = now - proved > PROVE_AT_LATEST or (night and now - proved > PROVE_EVERY)
        if due and ("prove_connection", id) not in failed:
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


@dataclass(frozen=True, slots=True)
class _Line:
    """The queue as a sweep sees it. `oldest`: when what waits longest was enqueued, seconds since 1970.
    `room`: for so many more."""

    oldest: float
    room: int


def _line(settings: Config) -> _Line | None:
    """None when the queue's server does not answer."""
    try:
        waiting = queue(settings)
        # Who was let in first may be younger than who stands behind: look at a few.
        ahead = Job.fetch_many(waiting.get_job_ids(0, 20), waiting.connection, serializer=JSONSerializer)
        since = [
            job.enqueued_at.replace(tzinfo=dt.UTC).timestamp() for job in ahead if job and job.enqueued_at
        ]
        room = max(ROOM, ROOM_A_WORKER * Worker.count(queue=waiting))
        return _Line(min(since, default=time.time()), room - waiting.count)
    except redis.RedisError:
        return None


def _lost(settings: Config, wanted: Sequence[tuple[str, str]], line: _Line) -> list[tuple[str, str]]:
    """Those of (job, connection) for which no wake-up is on its way.

    A note that is older than everything in the queue is one whose job was taken out and never began.
    """
    names = [name for each in wanted for name in (_note(*each), _resting(*each))]
    try:
        found = iter(embedded.redis(settings).mget(names) if names else [])
    except redis.RedisError:
        return []
    lost = []
    for each in wanted:
        noted, resting = next(found), next(found)
        if resting is None and (noted is None or float(noted) < line.oldest - SLACK):
            lost.append(each)
    return lost
