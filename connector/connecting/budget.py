"""Budgets of ledger calls, shared by all workers, so that we wait before the ledger has to say 429.

The counts live in Redis: sliding windows per organization and per app, calls under way, the day's use. One
script checks and takes all of them at once. Without Redis each process counts for itself, which is
stricter than nothing and never stops the work.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Protocol

import redis
from sqlalchemy.engine import Engine

from connector import db, embedded, leases, logs, tracing
from connector.config import Config
from connector.connecting import meter
from connector.platforms import Call, TryLater

log = logging.getLogger(__name__)

UNDER_WAY_SECONDS = 120  # a call whose end we never heard of stops counting after this
A_MOMENT = 2  # seconds: so long a call waits in place whoever else waits for this worker
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Window:
    """At most `limit` calls in any `seconds`. `kept` of them are kept back for urgent calls."""

    name: str
    limit: int
    seconds: float
    kept: int = 0
    only: str = ""  # counts only operations that start with this word
    app: bool = False  # over all organizations of the app


@dataclass(frozen=True, slots=True)
class Limits:
    """What one ledger allows. Sources: the ledgers' own limits pages."""

    windows: tuple[Window, ...]
    at_once: int
    day: int = 0  # 0: no daily limit
    day_kept: int = 0  # of it, kept back for write-backs and for reading balances again before a reminder
    pause: float = 60  # seconds to wait after a 429 that does not say how long


QUICKBOOKS = Limits(
    windows=(
        Window("minute", 500, 60, kept=20),
        Window("second", 10, 1),
        Window("batch", 40, 60, only="batch"),
    ),
    at_once=10,
)
XERO = Limits(
    windows=(Window("minute", 60, 60, kept=3), Window("app-minute", 10_000, 60, app=True)),
    at_once=5,
    day=5_000,
    day_kept=250,
    pause=2,  # Xero says how long, except when too many calls are under way at once
)
XERO_STARTER = Limits(XERO.windows, XERO.at_once, day=1_000, day_kept=100, pause=XERO.pause)
UNLIMITED = Limits((), at_once=100)


def limits_of(platform: str, xero_tier: str) -> Limits:
    """The limits of each organization; at Xero they go by the tier of our app, not by what the client pays for."""
    if platform == "quickbooks":
        return QUICKBOOKS
    if platform == "xero":
        return XERO_STARTER if xero_tier == "starter" else XERO
    return UNLIMITED


@dataclass(frozen=True, slots=True)
class Answer:
    """`wait` 0: go ahead. Else seconds until it is worth asking again, and what is spent."""

    wait: float
    spent: str = ""


class Counts(Protocol):
    def take(
        self, place: str, app: str, limits: Limits, operation: str, urgent: bool, slot: str
    ) -> Answer: ...
    def give_back(self, place: str, slot: str) -> None: ...
    def pause(self, place: str, seconds: float) -> None: ...
    def left(self, place: str, calls: int) -> None: ...


# KEYS: pause, under way, day's hours, day's rest as the ledger says it, one per window.
# ARGV: slot, at once, hold seconds, day limit (less what is kept), urgent, then limit and seconds per window.
_TAKE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local paused = redis.call('PTTL', KEYS[1])
if paused > 0 then return {tostring(paused / 1000), 'pause'} end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - tonumber(ARGV[3]))
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[2]) then return {'0.05', 'at once'} end
local hour = math.floor(now / 3600)
if tonumber(ARGV[4]) > 0 then
  local used = 0
  local hours = redis.call('HGETALL', KEYS[3])
  for i = 1, #hours, 2 do
    if tonumber(hours[i]) <= hour - 24 then redis.call('HDEL', KEYS[3], hours[i])
    else used = used + tonumber(hours[i + 1]) end
  end
  if used >= tonumber(ARGV[4]) then return {'3600', 'day'} end
end
local rest = redis.call('GET', KEYS[4])
if rest and tonumber(rest) <= tonumber(ARGV[5]) then return {'3600', 'day'} end
for i = 5, #KEYS do
  local limit, seconds = tonumber(ARGV[2 * i - 4]), tonumber(ARGV[2 * i - 3])
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now - seconds)
  if redis.call('ZCARD', KEYS[i]) >= limit then
    local oldest = redis.call('ZRANGE', KEYS[i], 0, 0, 'WITHSCORES')
    return {tostring(tonumber(oldest[2]) + seconds - now), 'window'}
  end
end
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('PEXPIRE', KEYS[2], math.ceil(tonumber(ARGV[3]) * 1000))
redis.call('HINCRBY', KEYS[3], hour, 1)
redis.call('EXPIRE', KEYS[3], 90000)
if rest then redis.call('DECR', KEYS[4]) end
for i = 5, #KEYS do
  redis.call('ZADD', KEYS[i], now, ARGV[1])
  redis.call('PEXPIRE', KEYS[i], math.ceil(tonumber(ARGV[2 * i - 3]) * 1000))
end
return {'0', ''}
"""


def _windows(limits: Limits, operation: str) -> list[Window]:
    return [w for w in limits.windows if operation.casefold().startswith(w.only)]


def _allowed(limit: int, kept: int, urgent: bool) -> int:
    return limit if urgent else max(1, limit - kept)


class SharedCounts:
    """The counts in Redis. Raises redis.RedisError when it cannot be reached."""

    def __init__(self, server: redis.Redis) -> None:
        self._server = server
        self._take = server.register_script(_TAKE)

    @staticmethod
    def _key(place: str, what: str) -> str:
        return f"forbear:budget:{{{place}}}:{what}"

    def take(self, place: str, app: str, limits: Limits, operation: str, urgent: bool, slot: str) -> Answer:
        windows = _windows(limits, operation)
        keys = [self._key(place, what) for what in ("pause", "under-way", "day", "left")]
        keys += [self._key(app if w.app else place, w.name) for w in windows]
        day = _allowed(limits.day, limits.day_kept, urgent) if limits.day else 0
        arguments: list[Any] = [
            slot,
            limits.at_once,
            UNDER_WAY_SECONDS,
            day,
            0 if urgent else limits.day_kept,
        ]
        for w in windows:
            arguments += [_allowed(w.limit, w.kept, urgent), w.seconds]
        wait, spent = self._take(keys=keys, args=arguments)
        return Answer(float(wait), spent.decode())

    def give_back(self, place: str, slot: str) -> None:
        self._server.zrem(self._key(place, "under-way"), slot)

    def pause(self, place: str, seconds: float) -> None:
        self._server.set(self._key(place, "pause"), "1", px=max(1, int(seconds * 1000)))

    def left(self, place: str, calls: int) -> None:
        self._server.set(self._key(place, "left"), calls, ex=3600)


@dataclass
class OwnCounts:
    """The same counts in this process alone: what is left when Redis is away."""

    _lock: Lock = field(default_factory=Lock)
    _times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _under_way: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    _until: dict[str, float] = field(default_factory=dict)
    _left: dict[str, int] = field(default_factory=dict)

    def take(self, place: str, app: str, limits: Limits, operation: str, urgent: bool, slot: str) -> Answer:
        now = time.monotonic()
        with self._lock:
            if (paused := self._until.get(place, 0) - now) > 0:
                return Answer(paused, "pause")
            busy = self._under_way[place]
            for old in [s for s, at in busy.items() if at < now - UNDER_WAY_SECONDS]:
                del busy[old]
            if len(busy) >= limits.at_once:
                return Answer(0.05, "at once")
            if self._left.get(place, DAY) <= (0 if urgent else limits.day_kept):
                return Answer(3600, "day")
            windows = _windows(limits, operation)
            if limits.day:
                windows.append(Window("day", limits.day, DAY, kept=limits.day_kept))
            for w in windows:
                times = self._times[f"{app if w.app else place}:{w.name}"]
                while times and times[0] <= now - w.seconds:
                    times.pop(0)
                if len(times) >= _allowed(w.limit, w.kept, urgent):
                    return Answer(times[0] + w.seconds - now, "day" if w.name == "day" else "window")
            for w in windows:
                self._times[f"{app if w.app else place}:{w.name}"].append(now)
            busy[slot] = now
            if place in self._left:
                self._left[place] -= 1
            return Answer(0)

    def give_back(self, place: str, slot: str) -> None:
        with self._lock:
            self._under_way[place].pop(slot, None)

    def pause(self, place: str, seconds: float) -> None:
        with self._lock:
            self._until[place] = time.monotonic() + seconds

    def left(self, place: str, calls: int) -> None:
        with self._lock:
            self._left[place] = calls


_own = OwnCounts()


class Budget:
    """The gate of one organization (platforms.Gate): asked before each call, told after it.

    `patience` is how many seconds one call may be kept waiting in place; beyond that TryLater says when to
    come back. `at_first` is the same for the first call, where nothing is begun yet that could be lost: a
    worker that waits is one that nobody else has. `needed` says whether others wait for this worker: then no call waits
    in place for more than a moment. `urgent` calls (write-backs, balances read again before a reminder) may use what is kept back.
    """

    def __init__(
        self,
        engine: Engine,
        config: Config,
        connection_id: str,
        platform: str,
        limits: Limits,
        *,
        patience: float = 5,
        at_first: float | None = None,
        needed: Callable[[], bool] = lambda: False,
        urgent: bool = False,
    ) -> None:
        self._engine, self._connection_id, self._limits = engine, connection_id, limits
        self._place, self._app = connection_id, f"app-{platform}"
        self._patience, self._urgent = patience, urgent
        self._at_first = patience if at_first is None else at_first
        self._needed = needed
        self._shared = SharedCounts(embedded.redis(config))
        self._slots: list[tuple[Counts, str]] = []
        self._begun = False

    def before(self, operation: str, *, writes: bool) -> None:
        """Wait a moment for a free place, or raise TryLater when the budget of the window is spent."""
        if db.in_transaction():
            raise RuntimeError(f"{operation}: no ledger call inside a database transaction")
        slot = secrets.token_hex(8)
        end = time.monotonic() + (self._patience if self._begun else self._at_first)
        urgent = self._urgent or writes
        while True:
            counts, answer = self._ask(operation, urgent, slot)
            if answer.wait <= 0:
                self._slots.append((counts, slot))
                self._begun = True
                return
            if time.monotonic() + answer.wait > end or (answer.wait > A_MOMENT and self._needed()):
                raise TryLater(_SENTENCE.get(answer.spent, _SENTENCE["window"]), after=max(1.0, answer.wait))
            if leases.stopping.wait(min(answer.wait, 1.0)):
                raise TryLater(_SENTENCE["stopping"], after=1.0)

    def _ask(self, operation: str, urgent: bool, slot: str) -> tuple[Counts, Answer]:
        asked = (self._place, self._app, self._limits, operation, urgent, slot)
        try:
            return self._shared, self._shared.take(*asked)
        except redis.RedisError as problem:
            log.warning("budget: counting in this process only (%s)", type(problem).__name__)
            return _own, _own.take(*asked)

    def after(self, call: Call) -> None:
        """Give the place back, obey what the ledger said about waiting, and meter the call. Never raises:
        the call has been made, and its outcome must reach the caller."""
        counts, slot = self._slots.pop() if self._slots else (_own, "")
        known = {
            "connection": self._connection_id,
            "operation": call.operation,
            "status": call.status,
            "ms": round(1000 * call.seconds),
            "bytes_in": call.bytes_in,
            "bytes_out": call.bytes_out,
            "reference": call.reference,
        }
        log.info("called the ledger", extra=logs.facts(**known))
        tracing.happened(call.operation, call.seconds, **known)
        try:
            counts.give_back(self._place, slot)
            if call.status in (429, 503) and (call.status == 429 or call.retry_after is not None):
                counts.pause(
                    self._place, self._limits.pause if call.retry_after is None else call.retry_after
                )
            if "day" in call.limits:
                counts.left(self._place, call.limits["day"])
        except redis.RedisError as problem:
            log.warning("budget: outcome not shared (%s)", type(problem).__name__)
        try:
            with db.transaction(self._engine, repeatable=True) as tx:  # not worth a wait for the disk
                meter.record(tx, self._connection_id, call, db.now().date())
        except Exception:
            log.exception("meter: call of %s not recorded", self._connection_id)


_SENTENCE = {
    "day": "The ledger's daily limit for this organization is used up. Work goes on by itself when it is free again.",
    "pause": "The ledger asked us to wait. Work goes on by itself.",
    "at once": "Too many calls to this ledger are under way. Work goes on by itself in a moment.",
    "stopping": "Forbear is stopping. Work goes on by itself when it runs again.",
    "window": "The ledger's limit per minute is used up. Work goes on by itself in a moment.",
}
