"""Jobs are wake-ups: lost ones are found again, surplus ones end, and the database says what is due."""

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from connector import config, db, embedded, failures, jobs, leases, sweep, waking
from connector.connecting import access, budget, connections
from connector.connecting.connections import Connection
from connector.domain.receivables import Kind
from connector.domain.writes import NoteDraft
from connector.mirroring import books, completeness, inbox, sync
from connector.mirroring.inbox import Change
from connector.platforms import OrganizationRef
from connector.writing import outbox
from tests.connector.conftest import TODAY
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
    return [job.func_name.removeprefix("connector.jobs.") for job in waking.queue(installation).jobs]


def empty_queue(installation: config.Config) -> None:
    waking.queue(installation).empty()


def until(done: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


def an_event(store: Engine, key: str = "e1") -> None:
    with db.transaction(store) as tx:
        inbox.record(tx, [Change("json", "books-1", Kind.INVOICE, "i1", "updated", db.now(), key)], db.now())


def set_connection(store: Engine, connection_id: str, **values: object) -> None:
    with db.transaction(store) as tx:
        tx.execute(sa.update(db.connections).where(db.connections.c.id == connection_id).values(**values))


@pytest.fixture(autouse=True)
def _one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """No midnight comes in the middle of a test, which would want a review."""
    monkeypatch.setenv("FORBEAR_TODAY", TODAY.isoformat())
    for name in ("QUICKBOOKS", "XERO"):  # a pretend day is for pretend ledgers
        monkeypatch.setenv(f"FORBEAR_{name}_API_URL", "http://127.0.0.1:9")


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
    assert sweep.sweep(installation) == 0
    return owing


# ---------------------------------------------------------------- with a real worker


def test_a_wake_up_leads_to_a_sync_and_a_review(
    store: Engine, installation: config.Config, connected: str, owing: Ledgers
) -> None:
    waking.sync(installation, connected, first=True)
    work()
    now = get(store, connected)
    assert now.last_sync_at is not None
    assert now.last_review_on == connections.today(now, installation)
    with db.reading(store) as tx:
        assert [i.id for i in books.invoices(tx, connected)] == ["i1", "i2", "i3"]
        assert books.changed(tx, connected) == {}
    assert waking.queue(installation).failed_job_registry.count == 0


def test_a_worker_killed_in_the_middle_loses_nothing_and_leaves_no_orphan(
    store: Engine, installation: config.Config, connected: str, owing: Ledgers
) -> None:
    owing.set(slow=1.0)
    waking.sync(installation, connected)
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
    assert sweep.sweep(installation) == 1
    work()
    assert get(store, connected).last_sync_at is not None
    with db.reading(store) as tx:
        assert len(books.invoices(tx, connected)) == 3


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_a_crash_is_counted_and_a_worker_that_is_asked_to_end_hands_over(
    store: Engine, installation: config.Config, connected: str, owing: Ledgers
) -> None:
    owing.set(slow=1.5, resumable=True)
    waking.sync(installation, connected)
    worker = start_worker(FOREVER)

    def begun() -> list[str]:
        with db.reading(store) as tx:
            return [c.id for c in books.customers(tx, connected)]

    try:
        until(begun)
        [horse] = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
        os.kill(int(horse), signal.SIGKILL)

        def counted() -> list[str]:
            with db.reading(store) as tx:
                return [f.reason for f in failures.of(tx, connected)]

        until(counted)
        assert counted() == ["the process ended (signal 9)"]
        until(lambda: owing.calls().count("pull all") == 2)  # again at once: its lease went with it
        worker.terminate()
        assert worker.wait(120) == 0
    finally:
        worker.kill()
        worker.wait()
    with db.reading(store) as tx:
        assert leases.held(tx, db.now()) == set()
    assert get(store, connected).last_sync_at is None
    assert queued(installation)[0] == "sync_connection"


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
    waking.sync(away, connected)
    waking.review(away, connected)
    waking.deliver(away, connected)
    assert sweep.sweep(away) == 0
    assert sweep.sweep(installation) == 1
    assert queued(installation) == ["sync_connection"]


@pytest.mark.parametrize("installation", ["postgresql"], indirect=True)
def test_with_the_database_away_a_job_ends_and_the_sweep_finds_its_work_later(
    store: Engine,
    installation: config.Config,
    settled: Ledgers,
    connected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    an_event(store)
    waking.for_news(installation, [connected])
    empty_queue(installation)  # a worker took it
    with monkeypatch.context() as away:
        away.setenv("FORBEAR_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/nowhere")
        jobs.sync_connection(connected)
        with pytest.raises(sa.exc.OperationalError):
            sweep.sweep(config.load())  # the clock logs that, and turns again
        db.engine(config.load()).dispose()
    assert sweep.sweep(installation) == 1
    assert queued(installation) == ["sync_connection"]
    jobs.sync_connection(connected)
    with db.reading(store) as tx:
        assert inbox.pending(tx, connected) == []


def test_an_event_is_woken_once_until_the_queue_forgets(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    an_event(store)
    assert sweep.sweep(installation) == 1
    assert sweep.sweep(installation) == 0
    embedded.redis(installation).flushall()
    assert sweep.sweep(installation) == 1
    jobs.sync_connection(connected)
    jobs.review_connection(connected)
    empty_queue(installation)
    embedded.redis(installation).flushall()
    assert sweep.sweep(installation) == 0


def test_a_running_sync_is_not_woken_beside_itself(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    an_event(store)
    with leases.hold(store, sync.lease_name(connected)):
        assert sweep.sweep(installation) == 0
    assert sweep.sweep(installation) == 1


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
    embedded.redis(installation).flushall()  # it is the database that remembers
    now = db.now()
    assert sweep.sweep(installation, now + dt.timedelta(seconds=590)) == 0
    assert sweep.sweep(installation, now + dt.timedelta(seconds=605)) == 1


def test_a_note_of_a_job_that_is_not_in_the_queue_any_more_is_not_believed(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    """A worker can die between taking a job out and beginning it; or a note could be left by mistake."""
    an_event(store)
    waking.for_news(installation, [connected])
    queue = waking.queue(installation)
    queue.remove(queue.get_job_ids()[0])
    waking.review(installation, "another")  # enqueued later, and waiting
    assert sweep.sweep(installation) == 0  # it may be about to begin
    note = waking.note("sync_connection", connected)
    embedded.redis(installation).set(note, str(time.time() - 10))
    assert sweep.sweep(installation) == 1
    assert sweep.sweep(installation) == 0


def test_a_wish_for_a_review_outlives_the_queue_and_a_review_under_way(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    under_way = get(store, connected)
    waking.review(installation, connected, all_customers=True)
    embedded.redis(installation).flushall()
    with leases.hold(store, f"review:{connected}"):
        jobs.review_connection(connected)
    assert sweep.sweep(installation) == 1
    assert queued(installation) == ["review_connection"]
    first = get(store, connected)
    waking.review(installation, connected, all_customers=True)
    with db.transaction(store) as tx:  # reviews that began before the last wish end
        for begun in (under_way, first):
            jobs._reviewed(tx, begun, connections.today(begun, installation))
    assert get(store, connected).review_asked_at is not None
    jobs.review_connection(connected)
    assert get(store, connected).review_asked_at is None


def test_a_wish_to_read_now_outlives_the_queue_and_a_reading_under_way(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    empty_queue(installation)
    waking.read_now(installation, connected)
    assert queued(installation) == ["sync_connection"]
    embedded.redis(installation).flushall()
    with leases.hold(store, sync.lease_name(connected)):
        jobs.sync_connection(connected)  # somebody reads, perhaps since before the press
    assert sweep.sweep(installation) == 1
    assert queued(installation) == ["sync_connection"]
    pulls = len(settled.calls())
    jobs.sync_connection(connected)
    assert len(settled.calls()) > pulls
    embedded.redis(installation).flushall()
    assert sweep.sweep(installation) == 0


def test_who_reconnects_is_read_at_once_though_the_queue_forgot(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    empty_queue(installation)
    access.lost(store, connected, "Gone.")
    connections.save_grant(store, installation, "json", grant())
    assert sweep.sweep(installation) == 1
    assert queued(installation) == ["sync_connection"]


def test_a_long_first_reading_takes_turns_with_the_others(
    store: Engine,
    installation: config.Config,
    ledgers: Ledgers,
    connected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "SLICE", 3)
    ledgers.set(resumable=True)
    for n in range(20):
        ledgers.customer(str(n))
    [small] = connections.save_grant(store, installation, "json", grant(OrganizationRef("books-2", "Small")))
    waking.sync(installation, connected)
    waking.sync(installation, small.id)
    turns = []
    while job := waking.queue(installation).jobs[:1]:
        waking.queue(installation).remove(job[0])
        if job[0].func_name.endswith("sync_connection"):
            turns.append(job[0].args[0])
            jobs.sync_connection(*job[0].args)
    assert turns[:4] == [connected, small.id, connected, small.id]
    pages = [call for call in ledgers.calls() if call == "page"]
    assert len(turns) == 8
    assert len(pages) == 2 * 9  # of ten pages; the first comes with the pull's own call, and none twice
    with db.reading(store) as tx:
        assert len(books.customers(tx, connected)) == 20
    assert get(store, connected).last_sync_at is not None


def test_a_write_that_waits_for_its_ledger_lets_the_others_have_the_worker(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    note = NoteDraft(Kind.INVOICE, "i1", "Reminder sent.", "[forbear note]")
    with db.transaction(store) as tx:
        outbox.lay_out(tx, connected, "notes", [note], now=db.now())
    said = budget.SharedCounts(embedded.redis(installation))
    said.pause(connected, 15)  # less than a write waits where nobody else waits
    waking.sync(installation, "another")
    jobs.deliver_connection(connected)
    assert settled.get("notes") == []
    assert queued(installation) == ["sync_connection"]
    empty_queue(installation)
    said.pause(connected, 0.001)
    with db.reading(store) as tx:
        later = outbox.next_at(tx, connected, db.now())
    assert later is not None
    assert (
        sweep.sweep(installation, later + dt.timedelta(seconds=1)) == 0
    )  # it rests in the queue's server, too
    embedded.redis(installation).delete(waking.resting("deliver_connection", connected))
    assert sweep.sweep(installation, later + dt.timedelta(seconds=1)) == 1
    assert queued(installation) == ["deliver_connection"]
    with db.transaction(store) as tx:
        tx.execute(sa.update(db.writes).values(not_before=db.now()))
    jobs.deliver_connection(connected)
    jobs.deliver_connection(connected)
    assert settled.get("notes") == ["Reminder sent."]


def test_what_waits_for_a_person_is_not_tried_at_every_turn(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    """A plan that is half written, and on whose installment somebody paid meanwhile, was tried every ten seconds."""
    note = NoteDraft(Kind.INVOICE, "i1", "Kea wrote.", "[forbear note]")
    with db.transaction(store) as tx:
        outbox.lay_out(tx, connected, "reminder 99", [note], now=db.now())  # nobody performs that one
    assert sweep.sweep(installation) == 1
    jobs.deliver_connection(connected)
    empty_queue(installation)
    assert sweep.sweep(installation) == 0
    with db.transaction(store) as tx:
        outbox.lay_out(tx, connected, "notes", [note], now=db.now())
    waking.deliver(installation, connected)  # something new goes out at once
    jobs.deliver_connection(connected)
    assert settled.get("notes") == ["Kea wrote."]
    empty_queue(installation)
    sweep.sweep(installation)
    assert "deliver_connection" not in queued(installation)


def test_customers_whose_review_was_lost_are_reviewed(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    with db.transaction(store) as tx:
        books.note_changed(tx, connected, {"1"}, db.now())
    assert sweep.sweep(installation) == 1
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
            last_review_on=dt.date(2026, 11, 21),
        )
        embedded.redis(installation).flushall()
        sweep.sweep(installation, now)
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
    assert sweep.sweep(installation) == 1
    jobs.review_connection(connected)
    now = get(store, connected)
    assert now.last_review_on == connections.today(now, installation)


def test_one_job_takes_the_night_of_others_along_but_none_that_somebody_works_on(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    before = dt.date(2026, 1, 1)
    others = ["quiet", "changed", "asked", "taken", "pulled", "new"]
    with db.transaction(store) as tx:
        for id in others:
            values = {"organization": id, "created_at": db.now(), "last_sync_at": db.now(), "facts": None}
            late = None if id == "new" else before
            tx.execute(sa.insert(db.connections).values(id=id, platform="json", external_id=id, last_review_on=late, **values))  # fmt: skip
        books.note_changed(tx, "changed", ["1"], db.now())
        set_on = sa.update(db.connections).where(db.connections.c.id == "asked")
        tx.execute(set_on.values(review_asked_at=db.now()))
    set_connection(store, connected, last_review_on=before)
    assert leases.take(store, "review:taken", "somebody", 60)
    assert leases.take(store, sync.lease_name("pulled"), "somebody", 60)
    jobs.review_connection(connected)
    seen = {id: get(store, id) for id in (connected, *others)}
    done = {id for id, one in seen.items() if one.last_review_on == connections.today(one, installation)}
    assert done == {connected, "quiet"}
    with db.reading(store) as tx:
        assert leases.held(tx, db.now()) == {"review:taken", sync.lease_name("pulled")}


def test_an_organization_whose_night_fails_is_not_blamed_on_the_one_that_took_it_along(
    store: Engine, settled: Ledgers, connected: str
) -> None:
    before = dt.date(2026, 1, 1)
    broken = {
        "organization": "broken",
        "created_at": db.now(),
        "last_sync_at": db.now(),
        "last_review_on": before,
    }
    with db.transaction(store) as tx:
        tx.execute(
            sa.insert(db.connections).values(id="broken", platform="json", external_id="broken", **broken)
        )
        tx.execute(sa.insert(db.settings).values(connection_id="broken", policy={"reminders": "nonsense"}))
    set_connection(store, connected, last_review_on=before)
    jobs.review_connection(connected)
    with db.reading(store) as tx:
        assert failures.get(tx, connected, "review_connection") is None
        assert leases.held(tx, db.now()) == set()
    assert get(store, connected).last_review_on != before
    assert get(store, "broken").last_review_on == before
    jobs.review_connection("broken")
    with db.reading(store) as tx:
        assert failures.get(tx, "broken", "review_connection") is not None
    with db.transaction(store) as tx:  # once that is known, it keeps nobody else from being taken along
        tx.execute(
            sa.insert(db.connections).values(id="quiet", platform="json", external_id="quiet", **broken)
        )
    set_connection(store, connected, last_review_on=before)
    jobs.review_connection(connected)
    assert get(store, "quiet").last_review_on != before


def test_a_slow_night_of_others_does_not_keep_the_queue_waiting(
    store: Engine,
    installation: config.Config,
    settled: Ledgers,
    connected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = dt.date(2026, 1, 1)
    values = {"organization": "x", "created_at": db.now(), "last_sync_at": db.now(), "last_review_on": before}
    ids = [f"q{n}" for n in range(jobs.FEW + 2)]
    with db.transaction(store) as tx:
        for id in ids:
            tx.execute(sa.insert(db.connections).values(id=id, platform="json", external_id=id, **values))
    set_connection(store, connected, last_review_on=before)
    moments = iter([0, 0, jobs.A_WHILE + 1])
    monkeypatch.setattr(jobs, "_since", lambda began: next(moments))
    jobs.review_connection(connected)
    assert [get(store, id).last_review_on != before for id in ids] == [True] * jobs.FEW + [False] * 2
    monkeypatch.setattr(jobs, "_since", lambda began: 0)
    set_connection(store, connected, last_review_on=before)
    an_event(store)
    jobs.review_connection(connected)  # news wait behind it
    assert get(store, connected).last_review_on != before
    assert get(store, ids[-1]).last_review_on == before


def test_routine_waits_while_the_queue_is_full_and_news_do_not(
    store: Engine,
    installation: config.Config,
    settled: Ledgers,
    connected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sweep, "ROOM", 0)
    set_connection(store, connected, last_sync_at=db.now() - dt.timedelta(hours=5))
    assert sweep.sweep(installation) == 0
    an_event(store)
    assert sweep.sweep(installation) == 1


def test_nothing_is_woken_for_an_organization_that_is_not_connected(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    an_event(store)
    access.lost(store, connected, "Gone.")
    assert sweep.sweep(installation) == 0
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


def a_poisoned_book(settled: Ledgers, store: Engine) -> None:
    an_event(store)
    settled.put("invoice", "i9", customer_id="1", total=1, balance=1, date="not a date")


def read_again(installation: config.Config, minutes: float) -> bool:
    """Whether a sweep in so many minutes wakes a reading."""
    empty_queue(installation)
    sweep.sweep(installation, db.now() + dt.timedelta(minutes=minutes))
    woken = queued(installation)
    empty_queue(installation)
    return "sync_connection" in woken


def test_a_job_that_fails_unexpectedly_rests_before_the_sweep_tries_again(
    store: Engine,
    installation: config.Config,
    settled: Ledgers,
    connected: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    a_poisoned_book(settled, store)
    jobs.sync_connection(connected)
    assert f"sync_connection of {connected} failed" in caplog.text
    with db.reading(store) as tx:
        [failed] = failures.of(tx, connected)
    assert failed.sentence.startswith("Something went wrong on our side while reading the books.")
    assert failed.reason.startswith("ValueError in tests/connector/json_ledger.py:")
    assert sweep.sweep(installation) == 0
    embedded.redis(installation).flushall()  # it is the database that remembers
    assert not read_again(installation, 0.9)
    assert read_again(installation, 1.1)


def test_a_mistake_of_ours_is_not_taken_for_a_connection_that_is_gone(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    an_event(store)
    settled.put("invoice", "i9", total=1)
    jobs.sync_connection(connected)
    with db.reading(store) as tx:
        [failed] = failures.of(tx, connected)
    assert failed.reason.startswith("KeyError in tests/connector/json_ledger.py:")
    assert not read_again(installation, 0.9)


@pytest.mark.parametrize("error", ["Refused", "OutOfDate"])
def test_what_a_ledger_refused_is_not_asked_again_at_every_turn(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str, error: str
) -> None:
    """Six tries a minute would spend an organization's calls of a day; news, or a person, end the rest."""
    an_event(store)
    settled.fail(error)
    settled.fail(error)
    jobs.sync_connection(connected)
    assert sweep.sweep(installation) == 0
    rest = waking.resting("sync_connection", connected)
    assert 700 <= embedded.redis(installation).ttl(rest) <= 900
    waking.for_news(installation, [connected])
    assert not embedded.redis(installation).exists(rest)


@pytest.mark.parametrize(("error", "rests"), [("Refused", 900), ("TryLater", 60)])
def test_a_nightly_check_that_its_ledger_refuses_rests_too(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str, error: str, rests: int
) -> None:
    set_connection(store, connected, last_proof_at=db.now() - dt.timedelta(days=2))
    before = len(settled.calls())
    jobs.prove_connection(connected)
    asked = settled.calls()[before:].index("balances")
    set_connection(store, connected, last_proof_at=db.now() - dt.timedelta(days=2))
    embedded.redis(installation).flushall()
    settled.fail(error, after_calls=asked)
    jobs.prove_connection(connected)
    empty_queue(installation)
    assert sweep.sweep(installation) == 0
    left = embedded.redis(installation).ttl(waking.resting("prove_connection", connected))
    assert rests / 2 <= left <= rests


def test_a_job_that_is_killed_after_a_rest_was_ordered_is_found_at_once(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    """What waits for an hour, and what somebody approved since, are one organization's writes."""
    an_event(store)
    waking.rest(installation, "sync_connection", connected, 3600)
    assert sweep.sweep(installation) == 0
    assert leases.take(store, sync.lease_name(connected), "killed", 60)
    jobs.sync_connection(connected)
    leases.drop(store, sync.lease_name(connected), "killed")
    assert sweep.sweep(installation) == 1


def test_a_job_that_always_fails_is_set_aside_until_a_person_tries_it_again(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    a_poisoned_book(settled, store)
    for _ in range(20):  # a storm of webhooks is one try
        jobs.sync_connection(connected)
    for tries in range(2, 6):
        with db.transaction(store) as tx:  # a quarter of an hour later
            [failed] = failures.of(tx, connected)
            assert (failed.times, failed.set_aside) == (tries - 1, False)
            tx.execute(sa.update(db.failures).values(again_at=db.now()))
        jobs.sync_connection(connected)
    with db.reading(store) as tx:
        [failed] = failures.of(tx, connected)
    assert (failed.times, failed.set_aside) == (5, True)
    assert "5 times in the same way" in failed.sentence
    assert not read_again(installation, 59)
    calls = len(settled.calls())
    jobs.sync_connection(connected)
    assert len(settled.calls()) == calls
    settled.put("invoice", "i9", date="2026-09-01")
    assert waking.try_again(installation, connected) == ["sync_connection"]
    assert queued(installation) == ["sync_connection"]
    jobs.sync_connection(connected)
    with db.reading(store) as tx:
        assert failures.of(tx, connected) == []
        assert inbox.pending(tx, connected) == []


def test_a_job_that_succeeds_or_fails_otherwise_is_counted_anew(
    store: Engine, connected: str, settled: Ledgers
) -> None:
    with db.transaction(store) as tx:
        now = db.now()
        for n, reason in enumerate(["KeyError"] * 4 + ["ValueError"]):
            failed = failures.note(tx, connected, "sync_connection", reason, now + n * failures.REST)
        assert failed.times == 1
    jobs.sync_connection(connected)
    with db.reading(store) as tx:
        assert failures.of(tx, connected) == []


@pytest.mark.parametrize("step", ["sync", "prove", "review", "deliver"])
def test_a_job_that_finds_its_lease_taken_forgets_no_failure(
    store: Engine, connected: str, settled: Ledgers, step: str
) -> None:
    """RQ runs the job of a process that was killed again at once, while the lease of the killed one still stands."""
    job = f"{step}_connection"
    lease = {"prove": "sync", "deliver": "write"}.get(step, step)
    assert leases.take(store, f"{lease}:{connected}", "killed", 60)
    with db.transaction(store) as tx:
        failures.note(tx, connected, job, "the process ended (signal 9)", db.now())
    jobs.JOBS[job](connected)
    with db.reading(store) as tx:
        assert [f.job for f in failures.of(tx, connected)] == [job]
    leases.drop(store, f"{lease}:{connected}", "killed")
    jobs.JOBS[job](connected)
    with db.reading(store) as tx:
        assert failures.of(tx, connected) == []


def test_a_first_failure_rests_a_minute_and_the_next_ones_longer(store: Engine, connected: str) -> None:
    """Mostly it was a process that was ended in the middle: a plan half written must not wait for long."""
    now = db.now()
    job = "deliver_connection"
    with db.transaction(store) as tx:
        failures.note(tx, connected, job, "killed", now)
        assert (job, connected) in failures.resting(tx, now + dt.timedelta(seconds=59))
        second = now + dt.timedelta(seconds=61)
        assert failures.resting(tx, second) == set()
        failures.note(tx, connected, job, "killed", second)
        assert (job, connected) in failures.resting(tx, second + dt.timedelta(minutes=14))


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
    waking.review(installation, connected)
    [new] = connections.save_grant(store, installation, "json", grant())
    waking.sync(installation, new.id, first=True)
    assert queued(installation) == ["sync_connection", "review_connection"]


def test_many_events_of_one_organization_wake_one_job_until_it_starts(
    store: Engine, installation: config.Config, settled: Ledgers, connected: str
) -> None:
    for n in range(50):
        an_event(store, f"e{n}")
        waking.for_news(installation, [connected])
    assert queued(installation) == ["sync_connection"]
    before = len(settled.calls())
    jobs.sync_connection(connected)
    assert [call for call in settled.calls()[before:] if call.startswith("pull")] == ["pull invoice"]
    empty_queue(installation)
    an_event(store, "later")
    waking.for_news(installation, [connected])
    assert queued(installation) == ["sync_connection"]
