"""The rows of plans' versions and installments on their way into the database: of many drafts in a few statements.

A statement for each is most of what a draft costs. Inside `together` rows wait until it is over, or until somebody
reads or changes any (`stored`), so that nobody ever misses them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector import bulk
from connector.bulk import Row
from connector.db import installments, plan_versions


@dataclass(slots=True)
class _Waiting:
    """Of one transaction, by number and version. What is forgotten goes before anything new comes."""

    tx: Connection
    forgotten: set[tuple[int, int]] = field(default_factory=set)
    versions: dict[tuple[int, int], Row] = field(default_factory=dict)
    installments: list[Row] = field(default_factory=list)

    def store(self) -> None:
        for table in (installments, plan_versions) if self.forgotten else ():
            these = sa.tuple_(table.c.plan, table.c.version).in_(sorted(self.forgotten))
            self.tx.execute(sa.delete(table).where(these))
        bulk.insert(self.tx, plan_versions, list(self.versions.values()))
        bulk.insert(self.tx, installments, self.installments)
        self.forgotten, self.versions, self.installments = set(), {}, []


_waiting: ContextVar[_Waiting | None] = ContextVar("_waiting", default=None)


@contextmanager
def together(tx: Connection) -> Iterator[None]:
    """Store what is kept and forgotten inside as late as can be."""
    waiting = _Waiting(tx)
    before = _waiting.set(waiting)
    try:
        yield
        waiting.store()
    finally:
        _waiting.reset(before)


def stored(tx: Connection) -> None:
    """From now on nothing waits. For whoever reads or changes these tables."""
    with _of(tx) as waiting:
        waiting.store()


def keep(tx: Connection, version: Row, rows: Sequence[Row]) -> None:
    """A version and its installments."""
    with _of(tx) as waiting:
        waiting.versions[version["plan"], version["version"]] = version
        waiting.installments += rows


def forget(tx: Connection, number: int, version: int) -> None:
    """That version with its installments."""
    with _of(tx) as waiting:
        if (number, version) in waiting.versions:
            waiting.store()
        waiting.forgotten.add((number, version))


@contextmanager
def _of(tx: Connection) -> Iterator[_Waiting]:
    """What waits of this transaction; what is added where nothing may wait is stored at once."""
    waiting = _waiting.get()
    if waiting is not None and waiting.tx is tx:
        yield waiting
    else:
        waiting = _Waiting(tx)
        yield waiting
        waiting.store()
