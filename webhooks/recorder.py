"""Group commit: deliveries that arrive together are stored together, in one durable transaction.

A commit waits for the disk, and SQLite has one writer; hundreds of deliveries a second would stand in line for
it. So whoever gets the turn stores everything that waits, and the others find theirs done. Nobody returns before
the commit that holds their own delivery.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from connector import db, inbox
from connector.inbox import Change

LARGEST = 200  # deliveries in one transaction


@dataclass
class Delivery:
    """What one signed body says; `unread` is why it could not be read, "" when it could."""

    platform: str
    changes: Sequence[Change]
    body: bytes = b""
    unread: str = ""
    done: bool = False
    wake: list[str] = field(default_factory=list)  # connections for this request to wake
    problem: SQLAlchemyError | None = None


class Recorder:
    """One per process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: list[Delivery] = []
        self._list, self._turn = Lock(), Lock()

    def record(self, delivery: Delivery) -> list[str]:
        """Store it durably; returns connections to wake, perhaps those of others, perhaps none because another
        request wakes ours. Raises SQLAlchemyError when it is not stored."""
        with self._list:
            self._waiting.append(delivery)
        with self._turn:
            while not delivery.done:
                with self._list:
                    group, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
                self._store(group)
        if delivery.problem:
            raise delivery.problem
        return delivery.wake

    def _store(self, group: list[Delivery]) -> None:
        try:
            group[0].wake = self._commit(group)
        except SQLAlchemyError as problem:
            if len(group) > 1:  # one of them may be at fault: it must not take the others with it
                for delivery in group:
                    self._store([delivery])
                return
            group[0].problem = problem
        for delivery in group:
            delivery.done = True

    def _commit(self, group: Sequence[Delivery]) -> list[str]:
        now = db.now()
        with db.transaction(self._engine) as tx:
            for delivery in group:
                if delivery.unread:
                    inbox.record_unread(tx, delivery.platform, delivery.body, delivery.unread, now)
            return inbox.record(tx, [c for delivery in group for c in delivery.changes], now)
