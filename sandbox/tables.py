"""Records of one kind: found by id, listed by id or by time of change without walking everything each time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import datetime
from typing import Generic, TypeVar

from sandbox.documents import Record
from sandbox.refusals import NotFound

R = TypeVar("R", bound=Record)


class Table(Generic[R]):
    """Insertion order is id order on QuickBooks (a counter). Sorted lists are kept until the next change."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._rows: dict[str, R] = {}
        self._in_order: list[R] | None = None
        self._by_change: list[R] | None = None
        self._times: list[datetime] = []

    def __getitem__(self, id: str) -> R:
        """The record. Raises NotFound."""
        try:
            return self._rows[id]
        except KeyError:
            raise NotFound(f"There is no {self.kind} {id}.", kind=self.kind, id=id) from None

    def get(self, id: str) -> R | None:
        return self._rows.get(id)

    def __contains__(self, id: object) -> bool:
        return id in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[R]:
        return iter(self.in_order())

    def in_order(self) -> list[R]:
        """All, oldest id first. Do not change the list."""
        if self._in_order is None:
            self._in_order = list(self._rows.values())
        return self._in_order

    def by_change(
        self, since: datetime | None = None, *, inclusive: bool = True, until: datetime | None = None
    ) -> list[R]:
        """Ordered by (updated, id): all, or those changed from `since` on (and before `until`)."""
        if self._by_change is None:
            self._by_change = sorted(self._rows.values(), key=lambda r: (r.updated, r.id))
            self._times = [r.updated for r in self._by_change]
        start = 0
        if since is not None:
            start = (bisect_left if inclusive else bisect_right)(self._times, since)
        if start == 0 and until is None:
            return self._by_change
        end = len(self._times) if until is None else bisect_left(self._times, until)
        return self._by_change[start:end]

    def put(self, record: R) -> None:
        """Insert, or note that `record` changed."""
        if record.id not in self._rows:
            self._rows[record.id] = record
            self._in_order = None
        self._by_change = None

    def remove(self, id: str) -> None:
        del self._rows[id]
        self._in_order = self._by_change = None
