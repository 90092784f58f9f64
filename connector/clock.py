"""The clock: one loop that sweeps every few seconds. Several may run; a lease lets one of them act.

What is due is computed from the database each time, so a missed turn, a restart or a take-over by another
clock loses nothing and does nothing twice.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import signal
import threading
from types import FrameType

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from connector import db, leases, sweep
from connector.config import Config
from connector.connecting import connections
from connector.connecting.keys import rotate
from connector.mirroring import inbox
from connector.record import retention

log = logging.getLogger(__name__)

TURN = 10  # seconds between two sweeps
LEASE_SECONDS = 35  # another clock takes over this long after the active one vanished
TIDY_EVERY = dt.timedelta(hours=6)
TIDY_AGAIN = dt.timedelta(minutes=15)  # where something failed
KEEP_CHANGES = dt.timedelta(days=14)  # both ledgers stop repeating an event long before
KEEP_UNREAD = dt.timedelta(days=90)  # for whoever wants to know what the ledger sent


def main(settings: Config, stop: threading.Event | None = None) -> int:
    """Run until SIGTERM or Ctrl-C (or until `stop` is set)."""
    stop = stop or _stop_on_signal()
    owner = leases.new_owner()
    engine = db.engine(settings)
    ready, tidied = False, None
    try:
        while not stop.is_set():
            try:
                if not ready and not (ready := db.is_migrated(engine)):
                    log.warning("the database lacks this version's tables; waiting for `forbear migrate`")
                    stop.wait(TURN)
                    continue
                leases.free_dead(engine)
                if leases.take(engine, "clock", owner, LEASE_SECONDS):
                    sweep.sweep(settings)
                    if tidied is None or db.now() - tidied > TIDY_EVERY:
                        tidied = db.now()
                        if not tidy(settings, tidied):  # again in a while, not at every turn
                            tidied += TIDY_AGAIN - TIDY_EVERY
            except Exception:
                log.exception("the sweep failed; the next one tries again")
            stop.wait(TURN)
    finally:
        with contextlib.suppress(sa.exc.SQLAlchemyError):  # away: it runs out
            leases.drop(engine, "clock", owner)
    return 0


def tidy(settings: Config, now: dt.datetime) -> bool:
    """Drop old changes; ask again where a ledger did not confirm a disconnect; end a key's rotation; let old
    records go where no review does because nobody reads the books any more. Each goes on though another one fails;
    False when one did."""
    engine, well = db.engine(settings), True
    for step in (_forget_changes, _renew_encryption, _let_go, _revoke):
        try:
            step(engine, settings, now)
        except Exception:
            log.exception("tidying up stopped at %s; it is tried again", step.__name__)
            well = False
    return well


def _forget_changes(engine: Engine, _settings: Config, now: dt.datetime) -> None:
    with db.transaction(engine) as tx:
        inbox.forget(tx, now - KEEP_CHANGES)
        inbox.forget_unread(tx, now - KEEP_UNREAD)


def _renew_encryption(engine: Engine, settings: Config, _now: dt.datetime) -> None:
    rotate(engine, settings)


def _let_go(engine: Engine, settings: Config, now: dt.datetime) -> None:
    with db.reading(engine) as tx:
        left = connections.every(tx, "disconnected") + connections.every(tx, "needs_reconnecting")
    for one in left:
        with db.transaction(engine) as tx:
            retention.let_go(tx, one.id, today=connections.today(one, settings, now), now=now)


def _revoke(engine: Engine, settings: Config, _now: dt.datetime) -> None:
    connections.revoke_leftovers(engine, settings)


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return stop
