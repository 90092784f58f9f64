"""The sandbox's time: real time plus an offset that tests and the control page can set; never goes back by itself."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


class Clock:
    def __init__(self, today: date | None = None) -> None:
        self._offset = timedelta()
        self._frozen: datetime | None = None
        self._last = datetime.min.replace(tzinfo=UTC)
        self._lock = threading.Lock()
        if today:
            self.set_today(today)

    def now(self) -> datetime:
        """Aware UTC."""
        return self._frozen or datetime.now(UTC) + self._offset

    def stamp(self) -> datetime:
        """Like `now`, in whole milliseconds, and later than every stamp before it."""
        with self._lock:
            now = self.now()
            now = now.replace(microsecond=now.microsecond // 1000 * 1000)
            self._last = max(now, self._last + timedelta(milliseconds=1))
            return self._last

    def today(self, timezone: str = "UTC") -> date:
        """The calendar date in an organization's zone."""
        return self.now().astimezone(ZoneInfo(timezone)).date()

    def set(self, now: datetime, *, frozen: bool = False) -> None:
        """Pretend it is `now`; time runs on from there unless frozen. May go back (then stamps start there too)."""
        with self._lock:
            self._frozen = now if frozen else None
            self._offset = now - datetime.now(UTC)
            self._last = now - timedelta(milliseconds=1)

    def set_today(self, day: date) -> None:
        """Pretend it is 9:30 UTC of `day`: the same date everywhere from Alaska to New Zealand."""
        self.set(datetime.combine(day, time(9, 30), UTC))

    def advance(self, **more: float) -> None:
        """`advance(days=30)`: arguments of timedelta."""
        self.set(self.now() + timedelta(**more), frozen=self._frozen is not None)

    def __getstate__(self) -> dict[str, object]:
        return {"_offset": self._offset, "_frozen": self._frozen, "_last": self._last}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()
