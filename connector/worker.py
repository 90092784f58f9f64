"""One worker process: our own entry, because `rq worker` cannot be told to look after lost jobs quickly.

One queue per process (two lose jobs), short heartbeats, so that the jobs of a killed machine are back in
minutes; JSON, so that whoever can write to the queue cannot run code; the ledgers' SDKs imported once, before
forking (a job would pay half a second for them).
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import time
from typing import Any

import redis
import sqlalchemy as sa
from rq import Queue, Worker
from rq.exceptions import AbandonedJobError
from rq.executions import Execution, ExecutionRegistry
from rq.job import Job
from rq.serializers import JSONSerializer
from sqlalchemy.engine import Engine

from connector import config, db, embedded, failures, jobs, leases, platforms, tracing, waking
from connector.config import Config
from connector.connecting import connections
from connector.contact import contacts, guarding, reminders
from connector.domain import fingerprint, wording_tone
from connector.mirroring import books, bookwide, inbox
from connector.planning import plans
from connector.practice import settings
from connector.reviewing import conclusions, expecting, history, review
from connector.writing import writeback

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 30
MONITORING_SECONDS = 5
MAINTENANCE_SECONDS = 10
TABLES_SECONDS = 2


class NotOurs(Exception):
    """Something in the queue is none of our jobs."""


class Executions(ExecutionRegistry):
    """Of a worker that was killed RQ forgets the record of the execution a minute before its name, and in that minute
    takes every other worker's success with the job for a failure."""

    def get_executions(self, start: int = 0, end: int = -1) -> list[Execution]:
        found = []
        for id in self.get_execution_ids(start, end):
            with contextlib.suppress(ValueError):
                found.append(Execution.fetch(id, self.job_id, self.connection))
        return found


class OurJob(Job):
    """RQ imports whatever name a job carries, so that whoever can write to the queue's server could have any function
    run, or any address called. Ours have a name of `jobs.JOBS`, and nothing to do afterwards."""

    @property
    def func(self) -> Any:
        module, _, name = (self.func_name or "").rpartition(".")
        if module != waking.JOBS_IN or name not in jobs.JOBS or self.instance is not None:
            raise NotOurs(self.id)
        return jobs.JOBS[name]

    @property
    def execution_registry(self) -> Executions:
        return Executions(self.id, self.connection)

    def restore(self, raw_data: Any) -> Any:
        super().restore(raw_data)
        self._success_callback_name = self._failure_callback_name = self._stopped_callback_name = None
        self.webhooks = []


class JobWorker(Worker):
    """RQ's forking worker, whose work horse ends with it: an orphan would work beside its successor.

    Asked to end, it asks its horse to stop at the next safe place, so that both end within a platform's grace. That
    the queue's server does not hear how a job is doing is no reason to end the job: it may be back before its end.
    """

    def heartbeat(self, *timeout_and_pipeline: Any, **more: Any) -> None:
        """A server that was flushed knows no worker any more; RQ tells it of one at its birth alone."""
        if not self.connection.exists(self.key):
            self.register_birth()  # type: ignore[no-untyped-call]
        super().heartbeat(*timeout_and_pipeline, **more)

    def set_current_job_working_time(self, *time: Any, **more: Any) -> None:
        with contextlib.suppress(redis.RedisError):
            super().set_current_job_working_time(*time, **more)

    def maintain_heartbeats(self, job: Job) -> None:
        with contextlib.suppress(redis.RedisError):
            super().maintain_heartbeats(job)

    def main_work_horse(self, *job_and_queue: Any) -> None:
        embedded.die_with_parent(signal.SIGKILL)
        signal.signal(signal.SIGUSR1, lambda *_: leases.stopping.set())
        tracing.configure(config.load().traces_url, "worker")
        super().main_work_horse(*job_and_queue)

    def handle_warm_shutdown_request(self) -> None:
        super().handle_warm_shutdown_request()  # type: ignore[no-untyped-call]
        if self.horse_pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.horse_pid, signal.SIGUSR1)

    def handle_work_horse_killed(self, job: Job, _pid: Any, status: Any, _usage: Any) -> None:
        """The job took its process with it (memory, a crash in a library): it cannot count that itself, nor give back
        its leases, which RQ's immediate repetition needs."""
        number = os.WTERMSIG(status) if status and os.WIFSIGNALED(status) else 0
        log.error("the process of job %s ended (signal %s)", job.id, number)
        engine = db.engine(config.load())
        _count(engine, job, f"the process ended (signal {number})")
        _free_dead(engine)
        engine.dispose()  # the next horse inherits no connection


def abandoned(job: Job, kind: type[BaseException], *_: Any) -> None:
    """RQ found a job whose worker is gone, too: the machine's memory, or its end, may be that job's doing."""
    if kind is AbandonedJobError:
        engine = db.engine(config.load())
        _count(engine, job, "the worker ended")
        engine.dispose()


def _count(engine: Engine, job: Job, reason: str) -> None:
    function = (job.func_name or "").rpartition(".")[2]
    if function in jobs.JOBS and job.args:
        jobs.note_failure(engine, str(job.args[0]), function, reason)


def _free_dead(engine: Engine) -> None:
    with contextlib.suppress(sa.exc.SQLAlchemyError):  # away: they run out
        leases.free_dead(engine)


def warm(config: Config) -> None:
    """Compile once what each forked job would else compile for itself: the patterns of the wording check, and the
    statements that every job begins with, asked about nobody."""
    for language in wording_tone.languages():
        wording_tone.tone(language)
    for package in review.CODE:
        fingerprint.of_source(package)
    engine = db.engine(config)
    with contextlib.suppress(sa.exc.SQLAlchemyError):  # away, or not migrated: the jobs will say so
        _ask_about_nobody(engine)
    engine.dispose()


def _ask_about_nobody(engine: Engine) -> None:
    id, whom, now = "nobody", ["nobody"], db.now()
    key, day = (id, id), now.date()
    with db.reading(engine) as tx:
        for job in failures.WORDS:
            failures.get(tx, id, job)
        leases.held(tx, now)
        inbox.pending(tx, id)
        writeback.pending_connections(tx, now)
        writeback.waiting(tx, id, now)
        with contextlib.suppress(LookupError):
            connections.get(tx, id)
        settings.load(tx, id)
        books.changed(tx, id)
        books.survivors(tx, id)
        list(books.each_customer(tx, id, whom))
        list(books.each_customer(tx, id, whom, brief=True))
        plans.of_customers(tx, id, whom)
        reminders.of_customers(tx, id, whom)
        contacts.heard(tx, id, whom)
        guarding.told(tx, id, whom, day)
        conclusions.owed(tx, id)
        connections.some(tx, whom)
        connections.connected(tx)
        books.pictures(tx, [key])
        books.briefly(tx, id)
        books.changing(tx)
        books.news(tx, id)
        bookwide.rows(tx, id, day)
        conclusions.every(tx, id)
        conclusions.before(tx, [key])
        reminders.that_count_of(tx, {key: day})
        history.missing(tx, id, day)
        expecting.worked_out_later(tx, id, day)
        expecting.coming(tx, id, {}, day)


def wait_for_tables(config: Config) -> None:
    """A worker that is ahead of `forbear migrate` would fail at every job, and each failure is counted."""
    engine = db.engine(config)
    while True:
        try:
            if db.is_migrated(engine):
                return
            log.warning("the database lacks this version's tables; waiting for `forbear migrate`")
        except sa.exc.SQLAlchemyError as problem:
            log.warning("the database is away (%s); waiting for it", type(problem).__name__)
        time.sleep(TABLES_SECONDS)


def main(config: Config, *, burst: bool = False) -> int:
    """Work until SIGTERM (the job under way is finished first); `burst` ends when the queue is empty."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # until the horse listens to it
    embedded.wait_until_ready(config)
    if not burst:
        wait_for_tables(config)
    for name in platforms.names():
        platforms.find(name, config)
    warm(config)
    _free_dead(db.engine(config))
    db.engine(config).dispose()
    tracing.prepare(config.traces_url)
    gc.collect()
    gc.freeze()  # what is loaded now is shared with the forked jobs for good
    server = embedded.redis(config, waits=True)
    worker = JobWorker(
        [Queue(waking.QUEUE, connection=server, serializer=JSONSerializer, job_class=OurJob)],
        connection=server,
        serializer=JSONSerializer,
        job_class=OurJob,
        worker_ttl=HEARTBEAT_SECONDS,
        job_monitoring_interval=MONITORING_SECONDS,
        maintenance_interval=MAINTENANCE_SECONDS,
        exception_handlers=[abandoned],
    )
    worker.work(burst=burst, logging_level="WARNING")
    return 0
