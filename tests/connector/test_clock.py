"""The clock: one acts, another takes over, and no failure ends it."""

import datetime as dt
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from connector import clock, config, db, waking
from connector.connecting import connections
from connector.contact import contacts
from connector.domain.receivables import Kind
from connector.mirroring import inbox
from connector.mirroring.inbox import Change
from tests.connector.json_ledger import Ledgers

NOON = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def _quick_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "TURN", 0.05)


@contextmanager
def running(settings: config.Config) -> Iterator[threading.Event]:
    stop = threading.Event()
    thread = threading.Thread(target=clock.main, args=(settings, stop))
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join()


def owner(store: Engine) -> str | None:
    with db.reading(store) as tx:
        found: str | None = tx.scalar(sa.select(db.leases.c.owner).where(db.leases.c.name == "clock"))
        return found


def until(what: object, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def test_a_clock_wakes_what_is_due(store: Engine, installation: config.Config, connected: str) -> None:
    with running(installation):
        until(lambda: waking.queue(installation).count == 1)
    assert owner(store) is None


def test_a_second_clock_waits_and_takes_over(store: Engine, installation: config.Config) -> None:
    with running(installation) as first:
        until(lambda: owner(store))
        active = owner(store)
        with running(installation):
            time.sleep(0.3)
            assert owner(store) == active
            first.set()
            until(lambda: owner(store) not in (None, active))


def test_a_clock_goes_on_after_a_failure(
    store: Engine, installation: config.Config, connected: str, caplog: pytest.LogCaptureFixture
) -> None:
    with db.transaction(store) as tx:
        tx.exec_driver_sql("ALTER TABLE inbox RENAME TO away")
    with running(installation):
        until(lambda: "the sweep failed" in caplog.text)
        with db.transaction(store) as tx:
            tx.exec_driver_sql("ALTER TABLE away RENAME TO inbox")
        until(lambda: waking.queue(installation).count == 1)


def test_a_clock_that_is_ahead_of_the_tables_waits_for_them(
    store: Engine, installation: config.Config, connected: str, caplog: pytest.LogCaptureFixture
) -> None:
    with db.transaction(store) as tx:
        newest = tx.scalar(sa.text("SELECT version_num FROM alembic_version"))
        tx.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    with running(installation):
        until(lambda: "waiting for `forbear migrate`" in caplog.text)
        assert owner(store) is None
        with db.transaction(store) as tx:
            tx.execute(sa.text("UPDATE alembic_version SET version_num = :v"), {"v": newest})
        until(lambda: waking.queue(installation).count == 1)


def test_one_step_of_tidying_that_fails_keeps_none_of_the_others(
    store: Engine, installation: config.Config, connected: str, caplog: pytest.LogCaptureFixture
) -> None:
    with db.transaction(store) as tx:
        inbox.record(tx, [Change("json", "books-1", Kind.INVOICE, "1", "updated", NOON, "e1")], NOON)
        inbox.drained(tx, [p.id for p in inbox.pending(tx, connected)], NOON)
        contacts.hear(tx, connected, "1", "replied", on=NOON.date(), note="Pat", who="Ann", now=NOON)
        tx.execute(sa.update(db.connections).values(status="disconnected"))
        tx.execute(sa.update(db.grants).values(token="no key reads this"))
    assert clock.tidy(installation, NOON.replace(year=2090))
    with db.reading(store) as tx:
        assert contacts.heard(tx, connected) == []
        assert tx.scalar(sa.select(sa.func.count()).select_from(db.inbox)) == 0
    with db.transaction(store) as tx:
        contacts.hear(tx, connected, "1", "replied", on=NOON.date(), note="Pat", who="Ann", now=NOON)
        tx.exec_driver_sql("ALTER TABLE inbox RENAME TO away")
    try:
        assert not clock.tidy(installation, NOON.replace(year=2090))
    finally:
        with db.transaction(store) as tx:
            tx.exec_driver_sql("ALTER TABLE away RENAME TO inbox")
    with db.reading(store) as tx:
        assert contacts.heard(tx, connected) == []
    assert "tidying up stopped at _forget_changes" in caplog.text


def test_old_records_go_of_whoever_disconnected_too(
    store: Engine, installation: config.Config, connected: str
) -> None:
    with db.transaction(store) as tx:
        contacts.hear(tx, connected, "1", "replied", on=NOON.date(), note="Pat", who="Ann", now=NOON)
    later = NOON.replace(year=2090)
    for status, left in (("connected", 1), ("disconnected", 0)):
        with db.transaction(store) as tx:
            tx.execute(sa.update(db.connections).values(status=status))
        clock.tidy(installation, later)
        with db.reading(store) as tx:
            assert len(contacts.heard(tx, connected)) == left


def test_tidying_drops_old_changes_and_asks_again_for_a_revocation(
    store: Engine, installation: config.Config, connected: str, ledgers: Ledgers
) -> None:
    with db.transaction(store) as tx:
        inbox.record(tx, [Change("json", "books-1", Kind.INVOICE, "1", "updated", NOON, "e1")], NOON)
        inbox.drained(tx, [p.id for p in inbox.pending(tx, connected)], NOON)
        inbox.record_unread(tx, "json", b"{", "not JSON", NOON)
    ledgers.fail("TryLater", "Down.")
    connections.disconnect(store, installation, connected)
    clock.tidy(installation, NOON + dt.timedelta(days=13))
    with db.reading(store) as tx:
        assert tx.scalar(sa.select(sa.func.count()).select_from(db.inbox)) == 1
    assert len(ledgers.get("revoked")) == 1
    clock.tidy(installation, NOON + dt.timedelta(days=15))
    with db.reading(store) as tx:
        assert tx.scalar(sa.select(sa.func.count()).select_from(db.inbox)) == 0
        assert tx.scalar(sa.select(sa.func.count()).select_from(db.unread)) == 1
    clock.tidy(installation, NOON + dt.timedelta(days=91))
    with db.reading(store) as tx:
        assert tx.scalar(sa.select(sa.func.count()).select_from(db.unread)) == 0
