"""Group commit: deliveries that arrive together are stored together, in one durable transaction.

A commit waits for the disk, and SQLite has one writer; hundreds of deliveries a second would stand in line for
it. So the first that comes stores; what arrives meanwhile waits, and the first of it then stores all of it. Each is
told by itself that it is done: nobody stands in line to learn it. Nobody returns before the commit that holds their
own delivery.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event, Lock

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from connector import db
from connector.mirroring import inbox
from connector.mirroring.inbox import Change

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
    problem: Exception | None = None
    called: Event = field(default_factory=Event)  # it is done, or its turn to store


class Recorder:
    """One per process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: list[Delivery] = []
        self._storing = False
        self._lock = Lock()

    def record(self, delivery: Delivery) -> list[str]:
        """Store it durably; returns connections to wake, perhaps those of others, perhaps none because another
        request wakes ours. Raises SQLAlchemyError when it is not stored."""
        with self._lock:
            self._waiting.append(delivery)
            first, self._storing = not self._storing, True
        if not first:
            delivery.called.wait()
        if not delivery.done:
            self._take_turn()
        if delivery.problem:
            raise delivery.problem
        return delivery.wake

    def _take_turn(self) -> None:
        """Store what waits, our own first, and call whoever is first of those that came meanwhile."""
        with self._lock:
            group, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
        try:
            self._store(group)
        except Exception as problem:
            for delivery in group:
                delivery.problem = None if delivery.done else problem
        with self._lock:
            following = self._waiting[:1]
            self._storing = bool(following)
        for delivery in group:
            delivery.done = True
        for delivery in following + group:
            delivery.called.set()

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
