"""Deliveries that arrive together are stored together, and each is stored before it is answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from connector import config, db
from connector.domain.receivables import Kind
from connector.mirroring import inbox
from connector.mirroring.inbox import Change
from tests.conftest import migrate
from webhooks.recorder import Delivery, Recorder


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    settings = config.load({"FORBEAR_DATA_DIR": str(tmp_path)})
    migrate(settings)
    engine = db.engine(settings)
    with db.transaction(engine) as tx:
        for n in range(3):
            tx.execute(
                sa.insert(db.connections).values(
                    id=f"c{n}", platform="xero", external_id=f"t{n}", created_at=db.now()
                )
            )
    yield engine
    engine.dispose()


def delivery(n: int, tenant: str | None = None) -> Delivery:
    return Delivery(
        "xero", [Change("xero", tenant or f"t{n % 3}", Kind.INVOICE, "1", "updated", None, f"e{n}")]
    )


def stored(engine: sa.Engine) -> list[str]:
    with db.reading(engine) as tx:
        return sorted(tx.scalars(sa.select(db.inbox.c.event_key)))


def commits(engine: sa.Engine) -> list[int]:
    counted = [0]
    sa.event.listen(engine, "commit", lambda connection: counted.__setitem__(0, counted[0] + 1))
    return counted


def test_deliveries_that_wait_together_share_one_commit(engine: sa.Engine) -> None:
    recorder, counted = Recorder(engine), commits(engine)
    woken: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: woken.extend(recorder.record(delivery(n))))  # type: ignore[misc]
        for n in range(30)
    ]
    with db.transaction(engine):  # somebody writes just now, and the first of ours waits for the database
        for thread in threads:
            thread.start()
        while len(recorder._waiting) < 29:
            time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert stored(engine) == sorted(f"xero:e{n}" for n in range(30))
    assert counted[0] == 3  # somebody's, the first one, and all the others
    assert set(woken) == {"c0", "c1", "c2"}


def test_each_is_stored_before_it_is_answered(engine: sa.Engine) -> None:
    recorder = Recorder(engine)
    missing: list[int] = []

    def deliver(n: int) -> None:
        recorder.record(delivery(n))
        if f"xero:e{n}" not in stored(engine):
            missing.append(n)

    threads = [threading.Thread(target=deliver, args=(n,)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert missing == []


def test_one_that_cannot_be_stored_does_not_take_the_others_with_it(engine: sa.Engine) -> None:
    recorder = Recorder(engine)
    good, bad = delivery(1), Delivery("xero", [Change("xero", "t1", None, None, "updated", None, "e2")])  # type: ignore[arg-type]
    recorder._store([bad, good])
    assert stored(engine) == ["xero:e1"]
    assert (good.problem, bad.problem is None) == (None, False)
    with pytest.raises(sa.exc.SQLAlchemyError):
        recorder.record(bad)


def test_an_error_that_nobody_expected_leaves_nobody_waiting(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(engine)
    failing, came = threading.Event(), []

    def broken(*_: object) -> list[str]:
        failing.wait(30)
        raise ZeroDivisionError

    def deliver(n: int) -> None:
        try:
            recorder.record(delivery(n))
        except ZeroDivisionError:
            came.append(n)

    with monkeypatch.context() as during:
        during.setattr(inbox, "record", broken)
        threads = [threading.Thread(target=deliver, args=(n,)) for n in range(5)]
        for thread in threads:
            thread.start()
        failing.set()
        for thread in threads:
            thread.join(30)
    assert sorted(came) == [0, 1, 2, 3, 4]
    assert recorder.record(delivery(6)) == ["c0"]


def test_a_delivery_sent_again_wakes_nobody(engine: sa.Engine) -> None:
    recorder = Recorder(engine)
    assert recorder.record(delivery(1)) == ["c1"]
    assert recorder.record(delivery(1)) == []
    with db.transaction(engine) as tx:
        again = [*delivery(1).changes, *delivery(2).changes]
        assert inbox.record(tx, again, db.now()) == ["c2"]
