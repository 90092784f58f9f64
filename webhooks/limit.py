"""So many a minute from one address, counted in this process: enough to make trying things out slow."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv6Address, ip_network
from threading import Lock

# Leading bits of an IPv6 address that its provider gives; the others a sender changes at will
ONE_HOUSEHOLD = 64


class PerMinute:
    """Counts by sender, from minute to minute; forgets everything when a minute begins, so it cannot grow."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._clock = limit, clock
        self._minute = 0
        self._counts: Counter[str] = Counter()
        self._lock = Lock()

    def exceeded(self, sender: str | None) -> bool:
        """Count one more from this sender; whether that is too many."""
        sender = _household(sender or "")
        with self._lock:
            minute = int(self._clock() // 60)
            if minute != self._minute:
                self._minute = minute
                self._counts.clear()
            self._counts[sender] += 1
            return self._counts[sender] > self._limit


def _household(sender: str) -> str:
    """Whom an address stands for: itself, or all of its IPv6 network. Some proxies tell the port too."""
    if sender.startswith("["):
        sender = sender[1:].partition("]")[0]
    elif sender.count(":") == 1:
        sender = sender.partition(":")[0]
    try:
        address = IPv6Address(sender.partition("%")[0])
    except ValueError:
        return sender
    return str(address.ipv4_mapped or ip_network((address, ONE_HOUSEHOLD), strict=False))
