"""100,000 organizations on paper: calls, bytes, cost, workers and recovery, by discrete events.

`.venv/bin/python benchmarks/capacity.py` (about two minutes); QUICK=1 simulates 5,000 organizations and scales up.
What the product decides (how often it looks, how the sweep fills the queue, what the ledgers allow) is read from its
code; what the world does is assumed, in the table that is printed first. The last line is one JSON object.
"""

from __future__ import annotations

import heapq
import json
import os
import sys
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from connector import clock, sweep  # noqa: E402
from connector.connecting import budget  # noqa: E402

QUICK = bool(os.environ.get("QUICK"))
WORLD = 100_000
ORGANIZATIONS = 5_000 if QUICK else WORLD
DAY, HOUR, MONTH = 86_400, 3_600, 30
OUTAGE = (15 * HOUR, 16 * HOUR)  # UTC: while North America works
LOOK, PROOF = sweep.SYNC_EVERY.total_seconds(), sweep.PROVE_EVERY.total_seconds()


@dataclass(frozen=True)
class Ledger:
    """What one ledger costs. `*_reads` are the calls that it meters; a write answers with the whole document."""

    name: str
    share: float  # of all organizations
    look: int  # calls of one pull, whatever changed: measured by benchmarks/ledgers.py
    proof: int  # calls of the nightly check, beyond a pull
    plan_reads: int  # of one plan's write-back with three installments: docs/reliability.md counts them
    plan_writes: int
    reminder_reads: int
    reminder_writes: int
    bytes_row: int  # one invoice or payment, gzip: measured by benchmarks/ledgers.py
    bytes_call: int  # an empty answer with its headers
    seconds_call: float


LEDGERS = (
    Ledger("quickbooks", 0.5, 1, 2, 2, 4, 2, 1, 109, 500, 0.35),
    Ledger("xero", 0.5, 3, 8, 4, 4, 5, 1, 235, 700, 0.30),
)
CHANGES = (60.0, 1.3)  # invoices and payments made, changed or paid in a month: median, sigma of a log-normal
BATCH = 3.0  # changes that are made together, on average
AT_WORK = (8, 18, 0.85)  # hours of the organization's own day in which this share of changes is made
ZONES = ((-5, 0.25), (-8, 0.15), (0, 0.25), (10, 0.25), (13, 0.10))  # hours from UTC, share
PLANS, REMINDERS, FIRST = 1.0, 20.0, 0.05  # in a month; first readings of 3,000 records in a month
OPEN_INVOICES = 80  # read again every night at Xero, whose time of change misses some edits
JOB_SECONDS = 0.30  # of our own: fork, database, review; measured below 0.4 s on a busy machine
BUSY = 0.7  # the share of the busiest hour that workers may be busy

# Price lists as collected; those marked (u) are not confirmed by the ledgers' own pages.
QUICKBOOKS_TIERS = (
    (0.0, 500_000, None),
    (300.0, 1e6, 3.5),
    (1700.0, 10e6, 3.5),
    (4500.0, 75e6, 0.25),
)  # USD (u)
XERO_TIERS = ((35.0, 50, 10), (245.0, 1_000, 50), (1445.0, 10_000, 250))  # AUD a month, connections, GB
XERO_GB = 2.40  # AUD for each more


def main() -> None:
    say("Assumptions", assumptions())
    chance = np.random.default_rng(8)
    world = World(chance, ORGANIZATIONS)
    per = {ledger.name: month(ledger, world, n) for n, ledger in enumerate(LEDGERS)}
    say(
        "One organization and month (average; 99 of 100 below; most)",
        [row for p in per.values() for row in p.rows],
    )
    scale = WORLD / ORGANIZATIONS
    load = Day(world, workers=10**9).run()
    needed = max(1, int(np.ceil(load.busiest_hour / HOUR / BUSY)))
    rows = [("busiest hour, seconds of work", f"{load.busiest_hour * scale:,.0f}")]
    figures: dict[str, float | int | bool | None] = {"organizations": WORLD, "quick": QUICK}
    for times in (1.0, 1.5, 2.0):
        run = Day(world, workers=int(np.ceil(needed * times)), outage=OUTAGE).run()
        rows.append(
            (
                f"{run.workers * scale:,.0f} workers",
                f"news read after {run.wait(50):.0f} s (p50), {run.wait(95):.0f} s (p95) on an ordinary hour; "
                f"an hour's outage is made up in {run.recovery_words()}",
            )
        )
        figures |= {f"recovery_minutes_{times:g}x": run.recovery and round(run.recovery / 60, 1)}
        if times == 1.0:
            figures |= {"workers": round(run.workers * scale), "news_wait_p95_s": round(run.wait(95), 1)}
    say(f"Workers for {WORLD:,} organizations", rows)
    say("Cost a month", cost(per))
    for ledger in LEDGERS:
        p = per[ledger.name]
        figures |= {
            f"{ledger.name}_reads_month": round(p.reads), f"{ledger.name}_writes_month": round(p.writes, 1),
            f"{ledger.name}_mb_month": round(p.bytes / 1e6, 2), f"{ledger.name}_calls_day_worst": round(p.worst_day),
            f"{ledger.name}_cost_month": round(price(ledger.name, p, WORLD * ledger.share) / (WORLD * ledger.share), 4),
        }  # fmt: skip
    print(json.dumps(figures))


def assumptions() -> list[tuple[str, str]]:
    q, x = LEDGERS
    xero, quickbooks = budget.XERO, budget.QUICKBOOKS
    return [
        ("organizations", f"{WORLD:,}, half at each ledger; zones {', '.join(f'{z:+d} h {s:.0%}' for z, s in ZONES)}"),
        ("changes of receivables a month", f"log-normal, median {CHANGES[0]:.0f}, sigma {CHANGES[1]}; together by {BATCH:.0f}"),
        ("when", f"{AT_WORK[2]:.0%} between {AT_WORK[0]} and {AT_WORK[1]} h of the organization's day"),
        ("calls of a pull", f"QuickBooks {q.look}, Xero {x.look} (measured)"),
        ("nightly check beyond a pull", f"QuickBooks {q.proof}, Xero {x.proof}"),
        ("a plan; a reminder: reads + writes", f"{q.plan_reads}+{q.plan_writes} / {x.plan_reads}+{x.plan_writes}; {q.reminder_reads}+{q.reminder_writes}"),
        ("plans, reminders, first readings a month", f"{PLANS:g}, {REMINDERS:g}, {FIRST:g} (3,000 records)"),
        ("bytes a record, gzip", f"QuickBooks {q.bytes_row}, Xero {x.bytes_row} (measured); a call {q.bytes_call}, {x.bytes_call}"),
        ("a call's time; our own per job", f"{q.seconds_call} / {x.seconds_call} s; {JOB_SECONDS} s"),
        ("looked at without news (code)", f"every {LOOK / 60:.0f} minutes; checked every {PROOF / HOUR:.0f} h; sweep every {clock.TURN} s"),
        ("limits (code)", "; ".join(f"{w.limit} in {w.seconds:g} s" for w in (*quickbooks.windows[:2], *xero.windows)) + f"; Xero {xero.day:,} a day"),
    ]  # fmt: skip


class World:
    """Who there is, and what each changes in a day."""

    def __init__(self, chance: np.random.Generator, count: int) -> None:
        self.count, self.chance = count, chance
        self.ledger = (np.arange(count) % 2).astype(np.int8)
        self.changes = chance.lognormal(np.log(CHANGES[0]), CHANGES[1], count)  # a month
        hours, shares = zip(*ZONES, strict=True)
        self.zone = chance.choice(hours, count, p=shares)

    def news(self) -> tuple[np.ndarray, np.ndarray]:
        """When webhooks come in one working day, in seconds UTC, and for whom; sorted."""
        batches = self.chance.poisson(self.changes / 22 / BATCH)
        who = np.repeat(np.arange(self.count), batches)
        first, last, share = AT_WORK
        working = self.chance.random(len(who)) < share
        local = np.where(
            working,
            self.chance.uniform(first * HOUR, last * HOUR, len(who)),
            self.chance.uniform(0, DAY, len(who)),
        )
        at = (local - self.zone[who] * HOUR) % DAY
        order = np.argsort(at)
        return at[order], who[order]


# ---------------------------------------------------------------- what a month takes


@dataclass
class Month:
    rows: list[tuple[str, str]]
    reads: float
    writes: float
    bytes: float
    worst_day: float


def month(ledger: Ledger, world: World, index: int) -> Month:
    """Per organization: news come in batches, one pull answers a batch, and the clock looks when none came."""
    changes = world.changes[world.ledger == index]
    pulls = changes / BATCH
    looks = MONTH * DAY / LOOK  # an hour without news has one; one with news counts from there
    reads = (pulls + looks) * ledger.look + MONTH * (ledger.proof + ledger.look)
    reads += PLANS * ledger.plan_reads + REMINDERS * ledger.reminder_reads + FIRST * 12
    writes = PLANS * ledger.plan_writes + REMINDERS * ledger.reminder_writes
    again = MONTH * OPEN_INVOICES if ledger.name == "xero" else 0
    size = reads * ledger.bytes_call + (changes + FIRST * 3_000 + again) * ledger.bytes_row
    day = reads / MONTH * (MONTH / 22)
    limit = budget.XERO.day if ledger.name == "xero" else 500 * 60 * 24

    def three(values: np.ndarray, unit: str = "") -> str:
        return (
            f"{values.mean():,.1f}{unit}; {np.percentile(values, 99):,.1f}{unit}; {values.max():,.1f}{unit}"
        )

    rows = [
        (f"{ledger.name}: reads", three(reads)),
        (f"{ledger.name}: writes", f"{writes:,.1f}"),
        (f"{ledger.name}: MB", three(size / 1e6)),
        (f"{ledger.name}: calls on a working day, of {limit:,}", three(day)),
    ]
    return Month(rows, float(reads.mean()), writes, float(size.mean()), float(day.max()))


def price(name: str, month: Month, organizations: float) -> float:
    """The cheapest plan that carries them all, a month; USD for QuickBooks, AUD for Xero."""
    if name == "quickbooks":
        calls, best = month.reads * organizations, float("inf")
        for fee, included, more in QUICKBOOKS_TIERS:
            if calls <= included or more is not None:
                best = min(best, fee + max(0.0, calls - included) / 1000 * (more or 0))
        return best
    gigabytes = month.bytes * organizations / 1e9
    # Above 10,000 connections the price is agreed on: counted as so many Advanced plans.
    fee, connections, included = XERO_TIERS[-1]
    plans = -(-organizations // connections)
    return float(plans * fee + max(0.0, gigabytes - plans * included) * XERO_GB)


def cost(per: dict[str, Month]) -> list[tuple[str, str]]:
    rows = []
    for ledger in LEDGERS:
        for count in (100, 1_000, 10_000, WORLD):
            organizations = count * ledger.share
            total = price(ledger.name, per[ledger.name], organizations)
            unit = "USD (unconfirmed)" if ledger.name == "quickbooks" else "AUD"
            if ledger.name == "xero" and organizations <= 1_000:
                fee, _, included = next(t for t in XERO_TIERS if organizations <= t[1])
                gigabytes = per["xero"].bytes * organizations / 1e9
                total = fee + max(0.0, gigabytes - included) * XERO_GB
            rows.append(
                (
                    f"{ledger.name}, {organizations:,.0f} organizations",
                    f"{total:,.0f} {unit}, {total / organizations:.3f} each",
                )
            )
    return rows


# ---------------------------------------------------------------- a day of work, by discrete events


class Day:
    """One queue as the product keeps it: news as they come, routine as far as the sweep finds room."""

    def __init__(self, world: World, *, workers: int, outage: tuple[int, int] | None = None) -> None:
        self.world, self.workers, self.outage = world, workers, outage
        self.waits: list[float] = []
        self.work = np.zeros(25)  # seconds of work by hour
        self.recovery: float | None = None
        self._full, self._calls = 0, dict[int, int]()  # calls by minute; before `_full` no minute has room

    def run(self) -> Day:
        at, who = World.news(self.world)
        count = self.world.count
        rng = np.random.default_rng(3)
        last = rng.uniform(-LOOK, 0, count)
        proved = rng.uniform(-DAY, 0, count)
        due = [(t + LOOK, i) for i, t in enumerate(last.tolist())]
        heapq.heapify(due)
        waiting = bytearray(count)
        line: deque[tuple[float, int, bool]] = deque()
        busy: list[float] = []
        n, total = 0, len(at)
        room = max(sweep.ROOM, sweep.ROOM_A_WORKER * min(self.workers, 10**6))
        for now in range(DAY):
            while n < total and at[n] <= now:
                i = int(who[n])
                if not waiting[i]:
                    waiting[i] = 1
                    line.append((float(at[n]), i, True))
                n += 1
            if now % clock.TURN == 0:
                while due and due[0][0] <= now and len(line) < room:
                    _, i = heapq.heappop(due)
                    if last[i] + LOOK > now:
                        heapq.heappush(due, (last[i] + LOOK, i))
                    elif not waiting[i]:
                        waiting[i] = 1
                        line.append((float(now), i, False))
                    else:
                        heapq.heappush(due, (now + LOOK, i))
            while busy and busy[0] <= now:
                heapq.heappop(busy)
            down = self.outage is not None and self.outage[0] <= now < self.outage[1]
            while line and len(busy) < self.workers and not down:
                since, i, news = line.popleft()
                seconds = self._seconds(i, now, now - proved[i] > PROOF)
                if now - proved[i] > PROOF:
                    proved[i] = now
                heapq.heappush(busy, now + seconds)
                self.work[now // HOUR] += seconds
                waiting[i] = 0
                last[i] = now
                heapq.heappush(due, (now + LOOK, i))
                if news and not (self.outage and self.outage[0] <= now < self.outage[1] + HOUR):
                    self.waits.append(now + seconds - since)
            self._recovered(now, line, last)
        return self

    def _seconds(self, i: int, now: int, proof: bool) -> float:
        ledger = LEDGERS[self.world.ledger[i]]
        calls = ledger.look + (ledger.proof if proof else 0)
        wait = 0.0
        if (
            ledger.name == "xero"
        ):  # the calls of all organizations together have a limit: the next minute with room
            limit = next(w.limit for w in budget.XERO.windows if w.app) * self.world.count / WORLD
            minute = max(now // 60, self._full)
            while self._calls.get(minute, 0) + calls > limit:
                minute += 1
            self._full = minute
            self._calls[minute] = self._calls.get(minute, 0) + calls
            wait = max(0.0, minute * 60 - now)
        return JOB_SECONDS + calls * ledger.seconds_call + wait

    def _recovered(self, now: int, line: deque[tuple[float, int, bool]], last: np.ndarray) -> None:
        if self.outage is None or self.recovery is not None or now < self.outage[1]:
            return
        late = now % clock.TURN != 0 or bool((last < now - LOOK - 120).any())
        if not late and (not line or line[0][0] > now - 60):
            self.recovery = float(now - self.outage[1])

    @property
    def busiest_hour(self) -> float:
        return float(self.work.max())

    def wait(self, percent: float) -> float:
        return float(np.percentile(self.waits, percent)) if self.waits else 0.0

    def recovery_words(self) -> str:
        return "more than the day" if self.recovery is None else f"{self.recovery / 60:.0f} minutes"


def say(title: str, rows: list[tuple[str, str]]) -> None:
    print(f"\n### {title}\n\n| | |\n| --- | --- |")
    for name, text in rows:
        print(f"| {name} | {text} |")
    print(flush=True)


if __name__ == "__main__":
    main()
