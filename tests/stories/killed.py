"""A worker process of its own that is killed with SIGKILL at one call. Run by `test_killed_worker`.

Forked from a server without threads, so that a worker starts in milliseconds and shares nothing with the test.
"""

from __future__ import annotations

import datetime as dt
import os
import signal
from pathlib import Path

from connector import config, db, platforms
from connector.connecting import connections
from connector.connecting.access import StoredAccess
from connector.writing import writeback
from tests.stories.lives import Metered, environment


def deliver(url: str, folder: Path, connection_id: str, today: dt.date, at: int, when: str) -> None:
    """Deliver, and die "after" the answer to call `at` came and nothing was stored yet, or "before" write `at` leaves."""
    written = 0

    def strike(moment: str, number: int, operation: str, writes: bool) -> None:
        nonlocal written
        here = number if when == "after" else written
        if (moment, here) == (when, at) and (writes or when == "after"):
            os.kill(os.getpid(), signal.SIGKILL)
        written += writes and moment == "before"

    kept = config.load(environment(url, folder))
    engine = db.engine(kept)
    with db.reading(engine) as tx:
        connection = connections.get(tx, connection_id)
    face = platforms.find(connection.platform, kept)
    access = StoredAccess(engine, kept, face, connection.grant_id or 0)
    writeback.deliver(
        engine,
        connection_id,
        lambda: face.open(connection.ref, access, Metered(strike), connection.timezone),
        now=db.now,
        today=lambda: today,
        credit_word=face.credit_word,
    )
