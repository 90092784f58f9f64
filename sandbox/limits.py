"""Rate limits of both ledgers: fixed windows that start at a different second for each organization."""

from __future__ import annotations

import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sandbox.organization import Platform


class Window(NamedTuple):
    """`limit` calls in `seconds`. `scope`: company (all apps), app (company and app), or all (the whole app)."""

    problem: str
    limit: int
    seconds: int
    scope: str = "company"
    batch_only: bool = False


class Limited(NamedTuple):
    """Which limit was hit, and in how many seconds its window ends (None: the ledger does not say)."""

    problem: str
    retry_after: int | None


WINDOWS: dict[Platform, list[Window]] = {
    "quickbooks": [
        Window("minute", 500, 60),
        Window("second", 10, 1, "app"),
        Window("batch", 40, 60, "app", batch_only=True),
        Window("batch", 120, 60, batch_only=True),
    ],
    "xero": [
        Window("minute", 60, 60),
        Window("day", 5000, 86400),
        Window("appminute", 10000, 60, "all"),
    ],
}
CONCURRENT = {"xero": 5}


class Limits:
    def __init__(self, *, unthrottled: bool = False) -> None:
        self.unthrottled = unthrottled
        self.now: Callable[[], float] = time.time  # tests may stop it
        self.windows = {platform: list(windows) for platform, windows in WINDOWS.items()}
        self._used: dict[tuple[str, ...], tuple[int, int]] = {}
        self._running: dict[tuple[str, str], int] = defaultdict(int)
        self._lock = threading.Lock()

    def take(
        self, platform: Platform, company: str, *, batch: bool = False, client: str = ""
    ) -> Limited | None:
        """Count one call; None to go on, else the limit it hit. A refused call uses nothing up."""
        if self.unthrottled:
            return None
        with self._lock:
            if self._running[(platform, company)] >= CONCURRENT.get(platform, 1 << 30):
                return Limited("concurrent", None)
            now, taken = self.now(), []
            for window in self.windows[platform]:
                if window.batch_only and not batch:
                    continue
                key, number, left = self._place(platform, company, client, window, now)
                if self._count(key, number) >= window.limit:
                    return Limited(window.problem, left)
                taken.append((key, number))
            for key, number in taken:
                self._used[key] = (number, self._count(key, number) + 1)
        return None

    @contextmanager
    def slot(self, platform: Platform, company: str) -> Iterator[None]:
        """Counts as one of the organization's running calls while inside."""
        key = (platform, company)
        with self._lock:
            self._running[key] += 1
        try:
            yield
        finally:
            with self._lock:
                self._running[key] -= 1

    def remaining(self, platform: Platform, company: str, client: str = "") -> dict[str, str]:
        """Xero's headers that say what is left; {} when unthrottled or on QuickBooks."""
        if platform != "xero":
            return {}
        names = {"minute": "X-MinLimit-Remaining", "day": "X-DayLimit-Remaining"}
        names["appminute"] = "X-AppMinLimit-Remaining"
        left = {}
        with self._lock:
            for window in self.windows[platform]:
                key, number, _ = self._place(platform, company, client, window, self.now())
                used = 0 if self.unthrottled else self._count(key, number)
                left[names[window.problem]] = str(max(0, window.limit - used))
        return left

    def reset(self) -> None:
        """Forget all counts."""
        with self._lock:
            self._used.clear()

    def _count(self, key: tuple[str, ...], number: int) -> int:
        at, used = self._used.get(key, (number, 0))
        return used if at == number else 0

    @staticmethod
    def _place(
        platform: str, company: str, client: str, window: Window, now: float
    ) -> tuple[tuple[str, ...], int, int]:
        """(counter, number of its present window, seconds until that ends)."""
        who = {"company": (company,), "app": (company, client), "all": ()}[window.scope]
        key = (platform, window.problem, str(window.batch_only), window.scope, *who)
        shift = zlib.crc32("/".join(key).encode()) % window.seconds if window.scope != "all" else 0
        number, gone = divmod(now + shift, window.seconds)
        return key, int(number), max(1, int(window.seconds - gone + 0.999))
