"""So many a minute from one address, counted in this process: enough to make trying things out slow."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from threading import Lock


class PerMinute:
    """Counts by sender, from minute to minute; forgets everything when a minute begins, so it cannot grow."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._clock = limit, clock
        self._minute = 0
        self._counts: Counter[str] = Counter()
        self._lock = Lock()

    def exceeded(self, sender: str | None) -> bool:
        """Count one more from this sender; whether that is too many."""
        with self._lock:
            minute = int(self._clock() // 60)
            if minute != self._minute:
                self._minute = minute
                self._counts.clear()
            self._counts[sender or ""] += 1
            return self._counts[sender or ""] > self._limit
