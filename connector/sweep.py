"""The sweep: finds in the database whatever waits and nobody works on, and wakes it.

It runs every few seconds, whoever was killed, lost or flushed meanwhile.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass

import redis
import sqlalchemy as sa
from rq import Worker
from rq.job import Job
from rq.serializers import JSONSerializer

from connector import db, embedded, failures, jobs, leases, waking
from connector.config import Config
from connector.connecting import connections
from connector.customer_page import notices
from connector.mirroring import inbox
from connector.writing import writeback

SLACK = 5  # seconds between the clocks of the machines that enqueue
ROOM = 200  # a sweep fills the queue up to here only: news and people never wait behind thousands of sweeps,
ROOM_A_WORKER = 20  # or so far, where many workers would find it empty before the next sweep

SYNC_EVERY = dt.timedelta(hours=1)  # what no webhook tells: lost ones, and Xero's payments
PROVE_EVERY = dt.timedelta(hours=20)
PROVE_AT_LATEST = dt.timedelta(hours=28)
NIGHT = range(1, 6)  # hours of the organization's own night


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
        untold = notices.pending(tx, now) if settings.smtp_url else []
    resting = {id for id, c in connected.items() if c.retry_at and c.retry_at > now}
    retries = {id for id, c in connected.items() if c.retry_at and c.retry_at <= now}
    first_syncs = {id for id, c in connected.items() if c.last_sync_at is None}
    asked = {id for id, c in connected.items() if c.review_asked_at}
    pressing = [("deliver_connection", "write", id) for id in due]
    pressing += [("sync_connection", "sync", id) for id in sorted(first_syncs)]
    pressing += [("sync_connection", "sync", id) for id in sorted((news | retries) - first_syncs)]
    pressing += [("review_connection", "review", id) for id in sorted((changed | asked) - first_syncs)]
    pressing += [("tell_connection", "tell", id) for id in untold]
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
    return sum(waking.wake(settings, function, [id], again=True) for function, id in [*first, *later])


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
        elif jobs.review_due(c, settings, now):
            found.append(("review_connection", "review", id))
    return found


@dataclass(frozen=True, slots=True)
class _Line:
    """The queue as a sweep sees it. `oldest`: when what waits longest was enqueued, seconds since 1970.
    `room`: for so many more."""

    oldest: float
    room: int


def _line(settings: Config) -> _Line | None:
    """None when the queue's server does not answer."""
    try:
        waiting = waking.queue(settings)
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
    names = [name for each in wanted for name in (waking.note(*each), waking.resting(*each))]
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
