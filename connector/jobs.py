"""The RQ functions. A job is a wake-up: ids in, nothing out, safe to run twice.

The database is the truth: what a lost job, a flushed Redis or a killed worker left behind is still pending
there, and the sweep finds it.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import redis
import sqlalchemy as sa
from rq import get_current_job
from sqlalchemy.engine import Connection as Transaction
from sqlalchemy.engine import Engine

from connector import bulk, config, db, embedded, failures, leases, logs, platforms, tracing, waking
from connector.config import Config
from connector.connecting import connections
from connector.customer_page import customer_links, mailing, notices
from connector.mirroring import books, completeness, inbox, sync
from connector.platforms import PlatformError, Reconnect, TryLater
from connector.record import retention
from connector.reviewing import expecting, history, review
from connector.writing import writeback

log = logging.getLogger(__name__)

TOGETHER = 200  # organizations whose night is one piece of work
FEW = 5  # in the first of them: the day of the week on which all learn, or a new version, may make them slow
QUICK = 3  # seconds: a piece that took less is followed by a larger one, if there may be, another by a smaller one
A_WHILE = 15  # seconds after which a job begins no further piece, so that nobody waits long behind it
SLICE = 20  # pages of a first reading in one job: about as long as a small organization's whole one
FULL_EVERY = dt.timedelta(days=7)
A_MINUTE = 60  # seconds until the sweep asks again of a ledger that did not say how long to wait
REFUSED = 900  # seconds until the sweep tries again what a ledger refused: each time costs calls


JOBS: dict[str, Callable[..., None]] = {}
"""All that a worker does, by name: nothing else in the queue is run."""


def _job(function: Callable[..., bool]) -> Callable[..., None]:
    """Open the installation, say whose job it is in every log line, and end quietly on an expected no.

    An unexpected failure is logged and left to the sweep: raising would make RQ repeat it at once. `function` says
    whether it did its work. False: somebody else is at it, or was killed a moment ago and still holds the lease.
    Earlier failures stay counted then; RQ runs the job of a killed process again at once, which would forget them.
    """

    @wraps(function)
    def run(connection_id: str, *more: Any) -> None:
        name, ordered = function.__name__, _ordered()
        about = logs.about(job=ordered.id, cause=ordered.cause, step=name, connection=connection_id)
        with about, tracing.span(name, kind="CONSUMER", parent=ordered.trace):
            open_and_run(connection_id, *more)
        tracing.flush()

    def open_and_run(connection_id: str, *more: Any) -> None:
        settings = config.load()
        engine = db.engine(settings)
        name = function.__name__
        try:
            # The rest goes too: where this job is killed, the sweep is to find its work at once.
            noted = waking.note(name, connection_id, *more), waking.resting(name, connection_id)
            embedded.redis(settings).delete(*noted)
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
            done = function(settings, engine, connection_id, *more)
            took = logs.facts(ms=round(1000 * (time.monotonic() - began)))
            log.info("is done" if done else "leaves it to another", extra=took)
            if failed and done:
                with db.transaction(engine) as tx:
                    failures.forget(tx, connection_id, name)
        except TryLater as problem:
            log.info("waits", extra=logs.facts(seconds=problem.after, reference=problem.reference))
            waking.rest(settings, name, connection_id, problem.after or A_MINUTE)
        except leases.Stopping:
            log.info("stops with its worker; another one goes on")
            waking.wake(settings, name, [connection_id], *more, first=True)
        except leases.Lost:
            log.info("ends: Lost")
        except Reconnect:
            log.info("ends: Reconnect")
            waking.rest(settings, name, connection_id, REFUSED)
        except PlatformError as problem:
            tracing.failed(problem)
            log.warning(
                "ends: %s",
                type(problem).__name__,
                extra=logs.facts(code=problem.code, reference=problem.reference),
            )
            waking.rest(settings, name, connection_id, REFUSED)
        except Exception as problem:
            if isinstance(problem, LookupError) and _is_gone(engine, connection_id):
                log.info("ends: this connection does not exist any more")
                return
            tracing.failed(problem)
            log.exception("%s of %s failed; the sweep tries again", name, connection_id)
            note_failure(engine, connection_id, name, logs.short(problem))

    JOBS[function.__name__] = run
    return run


def _is_gone(engine: Engine, connection_id: str) -> bool:
    """A mistake of ours may raise the same error as a missing row."""
    try:
        with db.reading(engine) as tx:
            connections.get(tx, connection_id)
    except LookupError:
        return True
    return False


@dataclass(frozen=True, slots=True)
class _Ordered:
    """What the queue says of this job: its own id, the request that caused it, and that one's trace."""

    id: str = ""
    cause: str = ""
    trace: Mapping[str, str] = field(default_factory=dict)


def _ordered() -> _Ordered:
    """Nothing when called by hand."""
    job = get_current_job()
    if job is None:
        return _Ordered()
    meta = job.get_meta(refresh=False)
    return _Ordered(job.id, meta.get("cause", ""), meta.get("trace", {}))


def note_failure(engine: Engine, connection_id: str, job: str, reason: str) -> None:
    """Count it in the database, where the bookkeeper's page and `forbear doctor` find it."""
    try:
        with db.transaction(engine) as tx:
            noted = failures.note(tx, connection_id, job, reason, db.now())
        if noted.set_aside:
            log.error("%s of %s is set aside after %d tries: %s", job, connection_id, noted.times, reason)
    except sa.exc.SQLAlchemyError:
        log.exception("the failure of %s of %s could not be noted", job, connection_id)


@_job
def sync_connection(settings: Config, engine: Engine, connection_id: str, full: bool = False) -> bool:
    """Pull what changed, then wake the review of whom it concerns.

    A long first reading takes turns with the rest of the queue: `SLICE` pages at a time.
    """
    done = sync.sync(engine, settings, connection_id, full=full, pages=SLICE)
    if done and done.unfinished:
        waking.sync(settings, connection_id)
        return True
    with db.reading(engine) as tx:
        # An event that arrived during the pull found the lease taken: its own job ended without it.
        late = bool(inbox.pending(tx, connection_id))
        busy = sync.lease_name(connection_id) in leases.held(tx, db.now())
        connection = connections.get(tx, connection_id)
        concerned = bool(books.changed(tx, connection_id)) or review_due(connection, settings)
    if late and not busy:
        waking.sync(settings, connection_id)
    if concerned:
        waking.review(settings, connection_id)
    return done is not None


def review_due(
    connection: connections.Connection | connections.Due, settings: Config, now: dt.datetime | None = None
) -> bool:
    day = connections.today(connection, settings, now)
    due = connection.last_review_on != day or connection.review_asked_at is not None
    return connection.last_sync_at is not None and due


@_job
def review_connection(
    settings: Config, engine: Engine, connection_id: str, all_customers: bool = False
) -> bool:
    """Look at the customers that changed, once a day at all; then wake the writing of what follows."""
    with leases.hold(engine, f"review:{connection_id}") as lease:
        if lease is None:
            return False  # whoever has it looks once more when it is done
        with db.reading(engine) as tx:
            connection = connections.get(tx, connection_id)
            changed = books.changed(tx, connection_id)
            pulling = sync.lease_name(connection_id) in leases.held(tx, db.now())
        if connection.status == "disconnected" or connection.last_sync_at is None or pulling:
            return not pulling  # half a pull is no picture: an invoice may be there and its payment not yet
        today = connections.today(connection, settings)
        all_customers = all_customers or connection.review_asked_at is not None
        a_new_day = connection.last_review_on != today
        if all_customers or connection.last_review_on is None:
            review.look(engine, connection_id, now=db.now(), today=today)
            _learn(engine, connection_id, today)
        elif a_new_day:
            _night(engine, {connection_id: today})
        elif changed:
            review.review(engine, connection_id, now=db.now(), today=today, customer_ids=frozenset(changed))
        with db.transaction(engine) as tx:
            books.reviewed(tx, connection_id, changed)
            if all_customers or a_new_day:
                retention.let_go(tx, connection_id, today=today, now=db.now())
                _reviewed(tx, connection, today)
    with db.reading(engine) as tx:  # after the lease: who found it taken meanwhile has ended
        due = bool(writeback.waiting(tx, connection_id, db.now()))
        asked = connections.get(tx, connection_id).review_asked_at is not None
        again = asked or bool(books.changed(tx, connection_id))
    if due:
        waking.deliver(settings, connection_id)
    if again:
        waking.review(settings, connection_id)
    if a_new_day and not all_customers:
        _others_too(settings, engine, connection_id)
    return True


def _others_too(settings: Config, engine: Engine, connection_id: str) -> None:
    """The night of other organizations along with this one: together they cost a small part of what each does alone.

    Those that wait longest come first, and none in whose books something changed: that has a job of its own.
    """
    with db.reading(engine) as tx:
        taken, busy, due = leases.held(tx, db.now()), books.changing(tx), connections.connected(tx)
        failed = failures.counted(tx, review_connection.__name__)
    days = {
        id: connections.today(one, settings)
        for id, one in due.items()
        if one.last_sync_at and one.last_review_on and one.review_asked_at is None
    }
    waits = [
        id
        for id, day in sorted(days.items(), key=lambda each: (due[each[0]].last_review_on, each[0]))
        if due[id].last_review_on != day
        and id not in busy
        and id not in failed  # it would take the others' night with it each time
        and id != connection_id
        and sync.lease_name(id) not in taken
        and f"review:{id}" not in taken
    ]
    began, size = time.monotonic(), FEW
    while waits and _since(began) < A_WHILE:
        part, waits, start = waits[:size], waits[size:], time.monotonic()
        with leases.hold_some(engine, [f"review:{id}" for id in part]) as (lease, mine):
            with db.reading(engine) as tx:  # since then it was done, disconnected, or is pulled just now
                still, taken = connections.connected(tx), leases.held(tx, db.now())
                if _news(tx, still, taken):
                    return  # they wait behind this job; the others have jobs of their own
            got = {
                id: days[id]
                for id in part
                if f"review:{id}" in mine
                and sync.lease_name(id) not in taken
                and id in still
                and still[id].last_review_on != days[id]
            }
            if not got:
                continue
            try:
                _night(engine, got)
            except Exception as problem:  # each has a job of its own, where it is noted whose it is
                log.warning("the night of %d others stopped (%s)", len(got), type(problem).__name__)
                return
            lease.keep()
            with db.transaction(engine) as tx:
                done = [{"id": id, "last_review_on": day} for id, day in got.items()]
                bulk.update(tx, db.connections, ("id",), done)
        size = min(TOGETHER, 2 * size) if _since(start) < QUICK else max(FEW, size // 2)


def _news(tx: Transaction, connected: Mapping[str, connections.Due], taken: Collection[str]) -> set[str]:
    """The organizations of which a webhook told something that nobody pulls yet, though it could be pulled."""
    failed, now = failures.counted(tx, sync_connection.__name__), db.now()
    return {
        id
        for id in inbox.pending_connections(tx)
        if id in connected
        and id not in failed
        and sync.lease_name(id) not in taken
        and not ((retry := connected[id].retry_at) and retry > now)
    }


def _since(began: float) -> float:
    return time.monotonic() - began


def _night(engine: Engine, days: Mapping[str, dt.date]) -> None:
    review.look_by_night(engine, days, now=db.now())
    with db.reading(engine) as tx:
        learning = review.to_learn(tx, days)
    for connection_id in learning:
        _learn(engine, connection_id, days[connection_id])


def _learn(engine: Engine, connection_id: str, today: dt.date) -> None:
    """What rests on the whole book: predictions, and the weeks that are over."""
    review.predict(engine, connection_id, today=today)
    with db.reading(engine) as tx:
        weeks = history.missing(tx, connection_id, today)
        expected = expecting.worked_out_later(tx, connection_id, today)
    with db.transaction(engine) as tx:
        history.keep(tx, weeks)
        if expected is not None:
            expecting.keep_later(tx, connection_id, expected, today=today)
        retention.let_go(tx, connection_id, today=today, now=db.now())


def _reviewed(tx: Transaction, connection: connections.Connection, today: dt.date) -> None:
    """The whole was looked at; a wish for it that came meanwhile stands."""
    c = db.connections.c
    mine = sa.update(db.connections).where(c.id == connection.id)
    tx.execute(mine.values(last_review_on=today))
    if connection.review_asked_at is not None:
        answered = c.review_asked_at <= connection.review_asked_at
        tx.execute(mine.where(answered).values(review_asked_at=None))


@_job
def deliver_connection(settings: Config, engine: Engine, connection_id: str) -> bool:
    """Perform the writes that are due, then pull their consequences, or what a plan came back for."""
    with db.reading(engine) as tx:
        connection = connections.get(tx, connection_id)
        before = writeback.waiting(tx, connection_id, db.now())
    if connection.status != "connected":
        return True
    delivered = writeback.deliver(
        engine,
        connection_id,
        lambda: connections.open_ledger(
            engine,
            settings,
            connection_id,
            patience=20,
            needed=lambda: waking.anybody_waits(
                settings
            ),  # what waits is stored, and goes on where it stopped
            urgent=True,
        ),
        now=db.now,
        today=lambda: connections.today(connection, settings),
        credit_word=platforms.find(connection.platform, settings).credit_word,
        page=customer_links.Maker(settings),
    )
    if delivered.done or delivered.behind:
        waking.sync(settings, connection_id)
    if delivered.retry_at is not None:
        wait = (delivered.retry_at - db.now()).total_seconds()
        waking.rest(settings, "deliver_connection", connection_id, wait)
    if not delivered.busy:
        with db.reading(engine) as tx:
            left = writeback.waiting(tx, connection_id, db.now())
        # What was tried and is left waits for a person, and each try costs calls.
        if left & before and delivered.retry_at is None:
            waking.rest(settings, "deliver_connection", connection_id, REFUSED)
        if left - before:  # what came while we wrote found the lease taken
            waking.deliver(settings, connection_id)
    return not delivered.busy


@_job
def tell_connection(settings: Config, engine: Engine, connection_id: str) -> bool:
    """E-mail whoever asked for it that customers answered. Sent first, noted after: at worst it comes twice."""
    if not settings.smtp_url:
        return True
    with leases.hold(engine, f"tell:{connection_id}") as lease:
        if lease is None:
            return False
        with db.reading(engine) as tx:
            due = notices.due(tx, connection_id, db.now())
        for notice in due:
            lease.keep()
            try:
                mailing.send(settings, notice.to, *notices.words(notice, settings.public_url), key=notice.key)
                outcome = notices.told
            except mailing.Unsent as problem:
                log.warning("a message about answers waits: %s", problem)
                outcome = notices.failed
            with db.transaction(engine) as tx:
                outcome(tx, notice, db.now())
    return True


@_job
def prove_connection(settings: Config, engine: Engine, connection_id: str) -> bool:
    """The nightly proof: sync, compare with the ledger's own balances, and mend by reading everything.

    Everything is read again when a difference is left, and once a week in any case.
    """
    with db.reading(engine) as tx:
        connection = connections.get(tx, connection_id)
    if connection.status != "connected":
        return True
    last = connection.last_full_at
    full = last is None or db.now() - last > FULL_EVERY
    if sync.sync(engine, settings, connection_id, full=full, thorough=True) is None:
        return False  # somebody pulls just now; the sweep comes back
    if completeness.compare(engine, settings, connection_id) and not full:
        sync.sync(engine, settings, connection_id, full=True)
        completeness.compare(engine, settings, connection_id)
    waking.review(settings, connection_id)
    return True
