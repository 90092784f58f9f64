"""The clock: one loop that sweeps every few seconds. Several may run; a lease lets one of them act.

What is due is computed from the database each time, so a missed turn, a restart or a take-over by another
clock loses nothing and does nothing twice.
"""

from __future__ import annotations

import datetime as dt
import logging
import signal
import threading
from types import FrameType

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
KEEP_DRAINED = dt.timedelta(days=14)  # both ledgers stop repeating an event long before


def main(settings: Config, stop: threading.Event | None = None) -> int:
    """Run until SIGTERM or Ctrl-C (or until `stop` is set)."""
    stop = stop or _stop_on_signal()
    owner = leases.new_owner()
    engine = db.engine(settings)
    last_tidy: dt.datetime | None = None
    try:
        while not stop.is_set():
            try:
                if leases.take(engine, "clock", owner, LEASE_SECONDS):
                    sweep.sweep(settings)
                    if last_tidy is None or db.now() - last_tidy > TIDY_EVERY:
                        last_tidy = db.now()
                        tidy(settings, last_tidy)
            except Exception:
                log.exception("the sweep failed; the next one tries again")
            stop.wait(TURN)
    finally:
        leases.drop(engine, "clock", owner)
    return 0


def tidy(settings: Config, now: dt.datetime) -> None:
    """Drop old drained changes; ask again where a ledger did not confirm a disconnect; end a key's rotation; let old
    records go where no review does because nobody reads the books any more."""
    engine = db.engine(settings)
    with db.transaction(engine) as tx:
        inbox.forget_drained(tx, now - KEEP_DRAINED)
    connections.revoke_leftovers(engine, settings)
    rotate(engine, settings)
    with db.reading(engine) as tx:
        left = connections.every(tx, "disconnected") + connections.every(tx, "needs_reconnecting")
    for one in left:
        with db.transaction(engine) as tx:
            retention.let_go(tx, one.id, today=connections.today(one, settings, now), now=now)


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return stop
