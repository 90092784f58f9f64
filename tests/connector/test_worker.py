"""What a worker has ready before it forks."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
import redis
import sqlalchemy as sa
from rq import Callback, Worker
from rq.executions import Execution
from sqlalchemy.engine import Engine

from connector import config, db, failures, jobs, waking, worker
from connector.domain import wording_tone
from tests.connector.json_ledger import Ledgers


def test_forked_jobs_find_the_patterns_of_every_language_compiled(
    settings_of_installation: config.Config,
) -> None:
    worker.warm(settings_of_installation)
    before = wording_tone.tone.cache_info()
    for language in wording_tone.languages():
        wording_tone.tone(language)
    assert wording_tone.tone.cache_info().misses == before.misses
    assert before.currsize >= 4


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_a_forked_job_finds_its_statements_compiled(
    installation: config.Config, store: Engine, connected: str, ledgers: Ledgers
) -> None:
    ledgers.customer("c1", "Kea Couriers")
    ledgers.invoice("i1", "c1", 10_000)
    jobs.sync_connection(connected)
    store.clear_compiled_cache()
    cold = _compiled_in_a_fork(installation, connected)
    worker.warm(installation)
    assert _compiled_in_a_fork(installation, connected) < cold / 2


def _compiled_in_a_fork(installation: config.Config, connection_id: str) -> int:
    """How many statements one whole review had to compile."""
    with db.transaction(db.engine(installation)) as tx:
        tx.exec_driver_sql("UPDATE connections SET last_review_on = NULL")
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        engine, compiled = db.engine(installation), [0]

        @sa.event.listens_for(engine, "before_cursor_execute")
        def count(*of: object) -> None:
            compiled[0] += getattr(of[4], "cache_hit", None) is sa.engine.interfaces.CacheStats.CACHE_MISS

        try:
            jobs.review_connection(connection_id)
        finally:
            os.write(writer, bytes([compiled[0]]))
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader, "rb") as said:
        return said.read(1)[0]


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_a_job_that_goes_on_where_a_worker_was_killed_may_succeed(installation: config.Config) -> None:
    waking.sync(installation, "c1")
    queue = waking.queue(installation)
    [id] = queue.get_job_ids()
    job = worker.OurJob.fetch(id, queue.connection, serializer=queue.serializer)
    with queue.connection.pipeline() as together:
        killed, own = (Execution.create(job, ttl=60, pipeline=together) for _ in range(2))
        together.execute()
    queue.connection.delete(killed.key)  # after the minute in which nobody heard of it
    assert job.get_executions() == [own]
    with queue.connection.pipeline() as together:  # what RQ does when a job is done
        job.cleanup(0, pipeline=together, remove_from_queue=False)
        together.execute()
    assert not queue.connection.exists(job.key, own.key)


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_a_job_under_way_outlives_the_queue_s_server(installation: config.Config, tmp_path: Path) -> None:
    waking.sync(installation, "c1")
    queue = waking.queue(installation)
    [id] = queue.get_job_ids()
    job = worker.OurJob.fetch(id, queue.connection, serializer=queue.serializer)
    watching = worker.JobWorker([queue], connection=queue.connection, serializer=queue.serializer)
    watching.prepare_execution(job)
    watching.connection = redis.Redis(unix_socket_path=str(tmp_path / "nobody"))
    with pytest.raises(redis.ConnectionError):
        watching.heartbeat()
    watching.set_current_job_working_time(5.0)
    watching.maintain_heartbeats(job)
    assert watching.current_job_working_time == 5.0


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_a_worker_makes_itself_known_again_to_a_server_that_was_flushed(installation: config.Config) -> None:
    queue = waking.queue(installation)
    watching = worker.JobWorker([queue], connection=queue.connection, serializer=queue.serializer)
    watching.register_birth()
    queue.connection.flushall()
    assert Worker.count(queue=queue) == 0
    watching.heartbeat()
    assert Worker.count(queue=queue) == 1
    watching.heartbeat()
    watching.register_death()
    assert Worker.count(queue=queue) == 0


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_a_job_whose_worker_ended_with_it_is_counted(
    installation: config.Config, store: Engine, connected: str
) -> None:
    """A platform that ends the whole worker for its memory leaves nobody who saw the job's process die."""
    waking.sync(installation, connected)
    queue = waking.queue(installation)
    [id] = queue.get_job_ids()
    job = worker.OurJob.fetch(id, queue.connection, serializer=queue.serializer)
    worker.abandoned(job, ValueError, ValueError(), [])
    with db.reading(store) as tx:
        assert failures.of(tx, connected) == []
    with queue.connection.pipeline() as together:  # it was under way, and nobody has heard of it for a minute
        queue.started_job_registry.add_execution(
            Execution.create(job, ttl=60, pipeline=together), together, 1
        )
        together.execute()
    queue.connection.lpop(queue.key)
    queue.started_job_registry.cleanup(timestamp=4_000_000_000, exception_handlers=[worker.abandoned])
    with db.reading(store) as tx:
        assert [(f.job, f.reason) for f in failures.of(tx, connected)] == [
            ("sync_connection", "the worker ended")
        ]


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_only_our_jobs_are_run_whoever_can_write_to_the_queue(
    installation: config.Config, tmp_path: Path
) -> None:
    queue, made = waking.queue(installation), tmp_path / "made"
    command = f"touch {made}"
    foreign = [
        queue.enqueue(name, command)
        for name in ("os.system", "connector.jobs.os.system", "connector.jobs.wraps")
    ]
    ours = queue.enqueue(
        "connector.jobs.sync_connection",
        "c1",
        on_success=Callback("os.abort"),
        on_failure=Callback("os.abort"),
    )
    read = [
        worker.OurJob.fetch(j.id, queue.connection, serializer=queue.serializer) for j in (*foreign, ours)
    ]
    for job in read[:-1]:
        with pytest.raises(worker.NotOurs):
            job.perform()
    assert not made.exists()
    assert read[-1].func is jobs.sync_connection
    assert (read[-1]._success_callback_name, read[-1]._failure_callback_name, read[-1].webhooks) == (
        None,
        None,
        [],
    )


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_a_worker_that_is_ahead_of_the_tables_waits_for_them(
    installation: config.Config,
    store: Engine,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(worker, "TABLES_SECONDS", 0.01)
    with db.transaction(store) as tx:
        newest = tx.scalar(sa.text("SELECT version_num FROM alembic_version"))
        tx.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    waiting = threading.Thread(target=worker.wait_for_tables, args=(installation,), daemon=True)
    waiting.start()
    while waiting.is_alive() and "waiting for `forbear migrate`" not in caplog.text:
        waiting.join(0.01)
    assert waiting.is_alive()
    with db.transaction(store) as tx:
        tx.execute(sa.text("UPDATE alembic_version SET version_num = :v"), {"v": newest})
    waiting.join(60)
    assert not waiting.is_alive()
