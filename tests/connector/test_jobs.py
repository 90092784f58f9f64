"""Jobs are wake-ups: lost ones are found again, surplus ones end, and the database says what is due."""

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from connector import books, completeness, config, connections, db, embedded, inbox, jobs, leases, sync
from connector.connections import Connection
from connector.domain.receivables import Kind
from connector.inbox import Change
from tests.connector.json_ledger import Ledgers, grant

ROOT = Path(__file__).parents[2]
BURST = "from connector import config, worker; worker.main(config.load(), burst=True)"
FOREVER = "from connector import config, worker; worker.main(config.load())"


def start_worker(code: str) -> "subprocess.Popen[bytes]":
    path = os.pathsep.join([str(Path(__file__).parent / "plugin"), str(ROOT)])
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code], env={**os.environ, "PYTHONPATH": path}
    )


def work() -> None:
    """A worker process that does everything that is in the queue, and what follows from it."""
    assert start_worker(BURST).wait(120) == 0


def get(store: Engine, connection_id: str) -> Connection:
    with db.reading(store) as tx:
        return connections.get(tx, connection_id)


def queued(installation: config.Config) -> list[str]:
    return [job.func_name.removeprefix("connector.jobs.") for job in jobs.queue(installation).jobs]


def empty_queue(installation: config.Config) -> None:
    jobs.queue(installation).empty()


def an_event(store: Engine, key: str = "e1") -> None:
    with db.transaction(store) as tx:
        inbox.record(tx, [Change("json", "books-1", Kind.INVOICE, "i1", "updated", db.now(), key)], db.now())


def set_connection(store: Engine, connection_id: str, **values: object) -> None:
    with db.transaction(store) as tx:
        tx.execute(sa.update(db.connections).where(db.connections.c.id == connection_id).values(**values))


@pytest.fixture
def owing(ledgers: Ledgers) -> Ledgers:
    for id in ("1", "2", "3"):
        ledgers.customer(id)
        ledgers.invoice(f"i{id}", id, 10_000)
    return ledgers


@pytest.fixture
def settled(store: Engine, connected: str, owing: Ledgers, installation: config.Config) -> Ledgers:
    """Synced, reviewed and proved a moment ago: nothing is due."""
    jobs.sync_connection(connected)
    jobs.review_connection(connected)
    set_connection(store, connected, last_proof_at=db.now())
    embedded.redis(installation).flushall()
    assert jobs.sweep(installation) == 0
    return owing


# ---------------------------------------------------------------- with a real worker


def test_a_wake_up_leads_to_a_sync_and_a_review(
    store: Engine, installation: config.Config, connected: str, owing: Ledgers
) -> None:
    jobs.wake_sync(installation, connected, first=True)
    work()
    now = get(store, connected)
    assert now.last_sync_at is not None
    assert now.last_review_on == connections.today(now, installation)
    with db.reading(store) as tx:
        assert [i.id for i in books.invoices(tx, connected)] == ["i1", "i2", "i3"]
        assert books.changed(tx, connected) == {}
    assert jobs.queue(installation).failed_job_registry.count == 0


def test_a_worker_killed_in_the_middle_loses_nothing_and_leaves_no_orphan(
    store: Engine, installation: config.Config, connected: str, owing: Ledgers
) -> None:
    owing.set(slow=1.0)
    jobs.wake_sync(installation, connected)
    worker = start_worker(FOREVER)
    try:
        for _ in range(300):
            with db.reading(store) as tx:
                if books.customers(tx, connected):
                    break
            time.sleep(0.1)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    time.sleep(0.3)
    calls = len(owing.get("calls"))
    time.sleep(1.5)
    assert len(owing.get("calls")) == calls
    assert get(store, connected).last_sync_at is None
    with db.transaction(store) as tx:  # a minute later
        tx.execute(sa.update(db.leases).values(until=db.now()))
    embedded.redis(installation).flushall()
    owing.set(slow=0.0)
    assert jobs.sweep(installation) == 1
    work()
    assert get(store, connected).last_sync_at is not None
    with db.reading(store) as tx:
        assert len(books.invoices(tx, connected)) == 3


# ---------------------------------------------------------------- what the sweep finds


def test_with_the_queue_away_nobody_fails_and_the_sweep_finds_it_later(
    store: Engine,
    installation: config.Config,
    settled: Ledgers,
    connected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    an_event(store)
    monkeypatch.setenv("FORBEAR_REDIS_URL", "unix:///nowhere/s")
    away = config.load()
    jobs.wake_sync(away, connected)
    jobs.wake_review(away, connected)
    jobs.wake_deliver(away, connected)
    assert jobs.sweep(away) == 0
    assert jobs.sweep(installation) == 1
    assert queued(installation) == ["sync_connection"]


def test_an_event_is_woken_once_until_the_queue_forgets(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    an_event(store)
    assert jobs.sweep(installation) == 1
    assert jobs.sweep(installation) == 0
    embedded.redis(installation).flushall()
    assert jobs.sweep(installation) == 1
    jobs.sync_connection(connected)
    jobs.review_connection(connected)
    empty_queue(installation)
    embedded.redis(installation).flushall()
    assert jobs.sweep(installation) == 0


def test_a_running_sync_is_not_woken_beside_itself(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    an_event(store)
    with leases.hold(store, sync.lease_name(connected)):
        assert jobs.sweep(installation) == 0
    assert jobs.sweep(installation) == 1


def test_an_event_that_arrives_during_a_sync_is_looked_at_after_it(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    settled.invoice("i1", "1", 10_000, 4_000)
    settled.set(slow=0.5)
    running = threading.Thread(target=jobs.sync_connection, args=(connected,))
    running.start()
    while not any(call.startswith("pull") for call in settled.calls()[-1:]):
        time.sleep(0.01)
    settled.set(slow=0.0)
    an_event(store)
    jobs.sync_connection(connected)  # its own job finds the lease taken, and ends
    running.join()
    assert queued(installation).count("sync_connection") == 1


def test_what_a_ledger_asked_to_wait_for_is_done_when_it_said(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    an_event(store)
    settled.fail("TryLater", "Wait.", after=600)
    jobs.sync_connection(connected)
    now = db.now()
    assert jobs.sweep(installation, now + dt.timedelta(seconds=590)) == 0
    assert jobs.sweep(installation, now + dt.timedelta(seconds=605)) == 1


def test_customers_whose_review_was_lost_are_reviewed(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    with db.transaction(store) as tx:
        books.note_changed(tx, connected, {"1"}, db.now())
    assert jobs.sweep(installation) == 1
    assert queued(installation) == ["review_connection"]


def test_half_a_pull_is_not_reviewed(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    with db.transaction(store) as tx:
        books.note_changed(tx, connected, {"1"}, db.now())
    with leases.hold(store, sync.lease_name(connected)):
        jobs.review_connection(connected)
    with db.reading(store) as tx:
        assert set(books.changed(tx, connected)) == {"1"}
    jobs.review_connection(connected)
    with db.reading(store) as tx:
        assert books.changed(tx, connected) == {}


def test_a_stale_organization_is_pulled_and_at_night_it_is_proved(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    noon_in_new_york = dt.datetime(2026, 11, 21, 17, 0, tzinfo=dt.UTC)
    night_in_new_york = dt.datetime(2026, 11, 21, 8, 0, tzinfo=dt.UTC)

    def woken(now: dt.datetime, *, synced_hours: float, proved_hours: float) -> list[str]:
        set_connection(
            store,
            connected,
            last_sync_at=now - dt.timedelta(hours=synced_hours),
            last_proof_at=now - dt.timedelta(hours=proved_hours),
        )
        embedded.redis(installation).flushall()
        jobs.sweep(installation, now)
        return queued(installation)

    assert woken(noon_in_new_york, synced_hours=0.9, proved_hours=21) == []
    assert woken(noon_in_new_york, synced_hours=1.1, proved_hours=21) == ["sync_connection"]
    assert woken(noon_in_new_york, synced_hours=0.9, proved_hours=29) == ["prove_connection"]
    assert woken(night_in_new_york, synced_hours=0.9, proved_hours=19) == []
    assert woken(night_in_new_york, synced_hours=0.9, proved_hours=21) == ["prove_connection"]


def test_a_new_day_is_reviewed_even_if_nothing_changed(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    set_connection(store, connected, last_review_on=dt.date(2026, 1, 1))
    assert jobs.sweep(installation) == 1
    jobs.review_connection(connected)
    now = get(store, connected)
    assert now.last_review_on == connections.today(now, installation)


def test_routine_waits_while_the_queue_is_full_and_news_do_not(
    store: Engine,
    installation: config.Config,
    settled: Ledgers,
    connected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "ROOM", 0)
    set_connection(store, connected, last_sync_at=db.now() - dt.timedelta(hours=5))
    assert jobs.sweep(installation) == 0
    an_event(store)
    assert jobs.sweep(installation) == 1


def test_nothing_is_woken_for_an_organization_that_is_not_connected(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    an_event(store)
    connections.lost(store, connected, "Gone.")
    assert jobs.sweep(installation) == 0
    jobs.sync_connection(connected)
    jobs.deliver_connection(connected)
    jobs.prove_connection(connected)
    assert queued(installation) == []


# ---------------------------------------------------------------- the jobs themselves


def test_the_night_mends_a_difference_by_reading_everything(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    settled.remove("invoice", "i3", silently=True)
    jobs.prove_connection(connected)
    with db.reading(store) as tx:
        assert [i.id for i in books.invoices(tx, connected)] == ["i1", "i2"]
        assert completeness.differences(tx, connected) == []
    assert get(store, connected).last_proof_at is not None
    assert queued(installation) == ["review_connection"]


def test_once_a_week_everything_is_read_again(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    jobs.prove_connection(connected)
    before = get(store, connected).last_full_at
    set_connection(store, connected, last_full_at=db.now() - dt.timedelta(days=8))
    jobs.prove_connection(connected)
    after = get(store, connected).last_full_at
    assert before is not None
    assert after is not None
    assert after > before


def test_a_job_that_fails_unexpectedly_rests_before_the_sweep_tries_again(
    store: Engine,
    installation: config.Config,
    settled: Ledgers,
    connected: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    an_event(store)
    settled.put("invoice", "i9", customer_id="1", total=1, balance=1, date="not a date")
    jobs.sync_connection(connected)
    assert f"sync_connection of {connected} failed" in caplog.text
    progress = get(store, connected).progress
    assert progress is not None
    assert progress["error"].startswith("Something went wrong on our side.")
    assert jobs.sweep(installation) == 0
    embedded.redis(installation).flushall()  # as time would
    assert jobs.sweep(installation) == 1


def test_a_job_for_a_connection_that_is_gone_ends_quietly(
    installation: config.Config, ledgers: Ledgers
) -> None:
    jobs.sync_connection("gone")
    jobs.review_connection("gone")
    jobs.deliver_connection("gone")
    jobs.prove_connection("gone")


def test_a_new_organization_goes_ahead_of_the_queue(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    jobs.wake_review(installation, connected)
    [new] = connections.save_grant(store, installation, "json", grant())
    jobs.wake_sync(installation, new.id, first=True)
    assert queued(installation) == ["sync_connection", "review_connection"]


def test_many_events_of_one_organization_wake_one_job_until_it_starts(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    for n in range(50):
        an_event(store, f"e{n}")
        jobs.wake_for_news(installation, [connected])
    assert queued(installation) == ["sync_connection"]
    before = len(settled.calls())
    jobs.sync_connection(connected)
    assert [call for call in settled.calls()[before:] if call.startswith("pull")] == ["pull invoice"]
    empty_queue(installation)
    an_event(store, "later")
    jobs.wake_for_news(installation, [connected])
    assert queued(installation) == ["sync_connection"]
