"""Waking a worker: how a job gets into the queue. Every wake-up may be lost; the sweep finds its work again.

A wake-up is ids only. None is refused because another one is on its way: surplus jobs find the lease taken or
nothing to do, and end.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis
import sqlalchemy as sa
from rq import Queue, Retry, Worker
from rq.queue import EnqueueData
from rq.serializers import JSONSerializer

from connector import db, embedded, failures, logs, tracing
from connector.config import Config
from connector.mirroring import inbox

log = logging.getLogger(__name__)

QUEUE = "forbear"
JOBS_IN = "connector.jobs"
LONGEST = 3600  # seconds one job may take: the first sync of a large organization within a ledger's limits

_queues: dict[str, Queue] = {}


def queue(settings: Config) -> Queue:
    """The one queue: a worker that listens to two can lose a job between pop and start."""
    where = embedded.address(settings)
    if where not in _queues:  # a new one asks its server for the version, at each first use
        _queues[where] = Queue(
            QUEUE, connection=embedded.redis(settings), serializer=JSONSerializer, default_timeout=LONGEST
        )
    return _queues[where]


def sync(settings: Config, connection_id: str, *, full: bool = False, first: bool = False) -> None:
    """Have a worker pull what changed. `first`: ahead of the queue, when a person waits for it."""
    wake(settings, "sync_connection", [connection_id], *([True] if full else []), first=first)


def read_now(settings: Config, connection_id: str) -> None:
    """A person waits for these books: read them ahead of the queue.

    The wish is kept in the database: it outlives the queue, and a reading that is under way.
    """
    with db.transaction(db.engine(settings)) as tx:
        inbox.ask(tx, connection_id, db.now())
    sync(settings, connection_id, first=True)


def for_news(settings: Config, connection_ids: Sequence[str]) -> None:
    """Webhooks told of changes: one round trip for all of them, one job for all events of an organization."""
    wake(settings, "sync_connection", connection_ids, news=True)


def review(settings: Config, connection_id: str, *, all_customers: bool = False) -> None:
    """Have a worker look at the customers that changed; at all, e.g. after a change of the policy.

    The wish for all is kept in the database: it outlives the queue, and a review that is under way.
    """
    if all_customers:
        c = db.connections.c
        with db.transaction(db.engine(settings)) as tx:
            wish = sa.update(db.connections).where(c.id == connection_id).values(review_asked_at=db.now())
            tx.execute(wish)
    wake(settings, "review_connection", [connection_id])


def deliver(settings: Config, connection_id: str) -> None:
    """Have a worker perform the writes that are due."""
    wake(settings, "deliver_connection", [connection_id])


def tell(settings: Config, connection_id: str) -> None:
    """Have a worker e-mail whoever asked for it that a customer answered."""
    if settings.smtp_url:
        wake(settings, "tell_connection", [connection_id])


def try_again(settings: Config, connection_id: str) -> list[str]:
    """A person wants what was set aside to be tried again. Returns the jobs."""
    with db.transaction(db.engine(settings)) as tx:
        found = failures.forget(tx, connection_id)
    for function in found:
        wake(settings, function, [connection_id], first=True)
    return found


def wake(
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
                together.set(note(function, id, *more), str(time.time()), ex=LONGEST)
                together.delete(resting(function, id))  # there is something new to do
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
        f"{JOBS_IN}.{function}",
        args=ids,
        timeout=LONGEST,
        result_ttl=0,
        failure_ttl=7 * 86_400,
        meta={"cause": logs.current("cause") or logs.current("request"), "trace": tracing.carried()},
        retry=Retry(max=1),  # for a worker that was killed; what a job cannot do it notes and ends
        at_front=first,
    )


def note(function: str, connection_id: str, *more: Any) -> str:
    return ":".join(["forbear", "woken", function, connection_id, *map(str, more)])


def _notes(settings: Config, function: str, connection_ids: Sequence[str], *more: Any) -> list[bytes | None]:
    """When each of these jobs was enqueued, None for those that do not wait in the queue."""
    names = [note(function, id, *more) for id in connection_ids]
    return list(embedded.redis(settings).mget(names)) if names else []  # type: ignore[arg-type]


def rest(settings: Config, function: str, connection_id: str, seconds: float) -> None:
    """Keep the sweep from waking a job that cannot go on yet at every turn. Any other wake-up ends that."""
    try:
        embedded.redis(settings).set(resting(function, connection_id), "1", ex=max(1, int(seconds)))
    except redis.RedisError:
        return


def resting(function: str, connection_id: str) -> str:
    return f"forbear:resting:{function}:{connection_id}"


def anybody_waits(settings: Config) -> bool:
    """Whether a job waits for a worker."""
    try:
        return queue(settings).count > 0
    except redis.RedisError:
        return False


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
