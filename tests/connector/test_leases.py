"""Named leases: one holder at a time, renewed while it works, taken over when it vanished."""

import datetime as dt
import os
import subprocess
import sys
import time

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from connector import db, leases

NOON = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)


def until(store: Engine) -> dt.datetime:
    """When the only lease runs out."""
    with db.reading(store) as tx:
        found: dt.datetime = tx.execute(sa.select(db.leases.c.until)).scalar_one()
        return found


def test_one_holder_at_a_time(store: Engine) -> None:
    with leases.hold(store, "sync:c1") as first:
        assert first is not None
        with leases.hold(store, "sync:c1") as second:
            assert second is None
        with leases.hold(store, "sync:c2") as other:
            assert other is not None
    with leases.hold(store, "sync:c1") as again:
        assert again is not None


def test_a_lease_that_nobody_renews_is_taken_over_when_it_ran_out(store: Engine) -> None:
    assert leases.take(store, "clock", "old", 30, now=NOON)
    assert not leases.take(store, "clock", "new", 30, now=NOON + dt.timedelta(seconds=29))
    assert leases.take(store, "clock", "new", 30, now=NOON + dt.timedelta(seconds=30))
    assert not leases.take(store, "clock", "old", 30, now=NOON + dt.timedelta(seconds=31))


def test_a_holder_extends_its_own_and_gives_back_only_its_own(store: Engine) -> None:
    assert leases.take(store, "clock", "a", 30, now=NOON)
    assert leases.take(store, "clock", "a", 30, now=NOON + dt.timedelta(seconds=20))
    leases.drop(store, "clock", "b")
    assert not leases.take(store, "clock", "b", 30, now=NOON + dt.timedelta(seconds=45))
    leases.drop(store, "clock", "a")
    assert leases.take(store, "clock", "b", 30, now=NOON + dt.timedelta(seconds=46))


def test_a_lease_is_renewed_for_as_long_as_the_work_takes(store: Engine) -> None:
    with leases.hold(store, "sync:c1", seconds=0.6) as lease:
        assert lease is not None
        first = until(store)
        for _ in range(600):
            if until(store) - first > dt.timedelta(seconds=0.6):  # renewed twice at least
                break
            time.sleep(0.05)
        lease.keep()
        later = first + dt.timedelta(seconds=0.3)
        assert not leases.take(store, "sync:c1", "other", 1, now=later)
        with db.reading(store) as tx:
            assert leases.held(tx, later) == {"sync:c1"}


def test_a_holder_that_was_overtaken_is_told(store: Engine) -> None:
    with leases.hold(store, "sync:c1", seconds=0.3) as lease:
        assert lease is not None
        assert leases.take(store, "sync:c1", "thief", 30, now=db.now() + dt.timedelta(minutes=5))
        for _ in range(600):
            try:
                lease.keep()
            except leases.Lost:
                return
            time.sleep(0.05)
    raise AssertionError("the holder was never told")


def test_what_a_process_of_this_machine_held_is_free_when_it_is_gone(store: Engine) -> None:
    """But for what outlasts a call: the ledger may carry it out when nobody is left to hear of it."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    ended = subprocess.Popen([sys.executable, "-c", ""])  # nobody asks how, so its number stays
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    alive = leases.new_owner()
    here = alive.partition(":")[0]
    owners = {
        "sync:gone": f"{here}:{gone.pid}:1",
        "review:ended": f"{here}:{ended.pid}:1",
        "write:gone": f"{here}:{gone.pid}:2",
        "grant:gone": f"{here}:{gone.pid}:3",
        "sync:alive": alive,
        "sync:elsewhere": f"another/machine:{gone.pid}:1",
    }
    for name, owner in owners.items():
        assert leases.take(store, name, owner, 60)
    assert sorted(leases.free_dead(store)) == ["review:ended", "sync:gone"]
    ended.wait()
    with db.reading(store) as tx:
        assert leases.held(tx, db.now()) == owners.keys() - {"review:ended", "sync:gone"}
