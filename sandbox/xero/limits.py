"""Xero's request limits: fixed windows per organisation and per app, and five requests at a time."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sandbox.xero.errors import too_many

MINUTE = 60
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one organisation, and the whole app, may ask for. Starter apps get 1,000 a day."""

    concurrent: int = 5
    minute: int = 60
    day: int = 5_000
    app_minute: int = 10_000


@dataclass(slots=True)
class _Window:
    """A count that starts again at fixed times; `shift` makes them differ from tenant to tenant."""

    seconds: int
    shift: int
    number: int = -1
    used: int = 0

    def left(self, limit: int, now: float) -> int:
        number = int(now + self.shift) // self.seconds
        if number != self.number:
            self.number, self.used = number, 0
        return limit - self.used

    def resets_in(self, now: float) -> int:
        return self.seconds - int(now + self.shift) % self.seconds


@dataclass(slots=True)
class _Tenant:
    minute: _Window
    day: _Window
    running: int = 0


@dataclass(slots=True)
class Limits:
    """The counters of every organisation of one app. Safe to use from many threads."""

    app_minute: _Window = field(default_factory=lambda: _Window(MINUTE, 0))
    tenants: dict[str, _Tenant] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def admitted(self, tenant: str, allowance: Allowance, now: float) -> Iterator[dict[str, str]]:
        """Count one request and hold its place while it runs; gives the headers that say what is left.

        `now` is in seconds. Raises Refused (429) when a limit is reached; such a request is not counted.
        """
        with self.lock:
            counters = self._tenant(tenant)
            headers = self._count(counters, allowance, now)
            counters.running += 1
        try:
            yield headers
        finally:
            with self.lock:
                counters.running -= 1

    def _tenant(self, tenant: str) -> _Tenant:
        if tenant not in self.tenants:
            shift = zlib.crc32(tenant.encode())
            self.tenants[tenant] = _Tenant(_Window(MINUTE, shift % MINUTE), _Window(DAY, shift % DAY))
        return self.tenants[tenant]

    def _count(self, counters: _Tenant, allowance: Allowance, now: float) -> dict[str, str]:
        app = self.app_minute.left(allowance.app_minute, now)
        day = counters.day.left(allowance.day, now)
        minute = counters.minute.left(allowance.minute, now)
        if counters.running >= allowance.concurrent:
            raise too_many("concurrent", None)
        if app <= 0:
            raise too_many("appminute", self.app_minute.resets_in(now))
        if day <= 0:
            raise too_many("day", counters.day.resets_in(now))
        if minute <= 0:
            raise too_many("minute", counters.minute.resets_in(now))
        for window in (self.app_minute, counters.day, counters.minute):
            window.used += 1
        return {
            "X-AppMinLimit-Remaining": str(app - 1),
            "X-DayLimit-Remaining": str(day - 1),
            "X-MinLimit-Remaining": str(minute - 1),
        }
