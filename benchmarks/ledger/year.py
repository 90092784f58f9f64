"""A scripted year on one ledger: random changes, everything that can go wrong on the way, then the proof.

The mirror is kept by the product's own receiver and sync. Webhooks come twice, in another order, or not at
all; the ledger answers 429, 500, 503, nonsense or nothing; tokens end; two workers are killed in the middle
of a call. At the end of the year the nightly sync runs once, and every field of every record must equal a
first sync into an empty database. The seed decides all but the threads' timing.

`python -m benchmarks.ledger.year CONNECTION_ID full|changes` is the worker that gets killed.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from pathlib import Path
from typing import Any, cast

import flask
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from werkzeug.serving import make_server

import webhooks
from adapters import oauth
from adapters.quickbooks import transport as quickbooks_transport
from adapters.xero import transport as xero_transport
from benchmarks.ledger import company
from benchmarks.ledger.changes import Changes
from benchmarks.ledger.consent import consent
from connector import config, db, platforms
from connector.config import Config
from connector.connecting import connections
from connector.connecting.access import StoredAccess
from connector.demo.installing import pointed_at
from connector.mirroring import books
from connector.mirroring.sync import lease_name, sync
from connector.platforms import Ledger, OpenGate, TryLater
from sandbox import books as pretend_books
from sandbox.clock import Clock
from sandbox.faults import Fault
from sandbox.organization import Platform
from sandbox.server import Server
from sandbox.world import World

ROOT = Path(__file__).resolve().parents[2]
FIRST_DAY = date(2025, 11, 21)
ROUNDS = 120  # looks at the ledger in a year, most of them after some days
PATIENCE = (5, 3)  # seconds a call may take here, so that a timeout need not last two minutes
AT_LEISURE = (30, 300)  # the fresh look must not fail because the machine is busy
BOOKS_PATH = {"quickbooks": "/v3/company/", "xero": "/api.xro/2.0/"}


@dataclass
class Year:
    """What happened, and how the mirror differs from a fresh look (nothing, when all is well)."""

    platform: str
    seed: int
    changes: int = 0
    refused: int = 0
    syncs: int = 0
    failed: Counter[str] = field(default_factory=Counter)  # syncs that had to be repeated, by the error
    struck: Counter[str] = field(default_factory=Counter)  # what went wrong at the ledger
    killed: int = 0
    webhooks: int = 0
    done: dict[str, int] = field(default_factory=dict)
    records: int = 0
    differences: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.differences


def live(platform: str, seed: int, changes: int, *, kills: int = 2) -> Year:
    """One year with this many changes on one ledger."""
    with tempfile.TemporaryDirectory(prefix="forbear-year-") as folder, _patience(PATIENCE), _quiet():
        return _Living(platform, seed, changes, Path(folder), kills).run()


@contextmanager
def _quiet() -> Iterator[None]:
    """The queue's server is away on purpose, which would be said at every change."""
    noisy = [logging.getLogger(name) for name in ("connector", "werkzeug")]
    before = [logger.level for logger in noisy]
    for logger in noisy:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(noisy, before, strict=True):
            logger.setLevel(level)


@contextmanager
def _patience(limits: tuple[int, int]) -> Iterator[None]:
    before = quickbooks_transport.TIMEOUT, xero_transport.TIMEOUT
    quickbooks_transport.TIMEOUT = xero_transport.TIMEOUT = limits
    try:
        yield
    finally:
        quickbooks_transport.TIMEOUT, xero_transport.TIMEOUT = before


class _Living:
    def __init__(self, platform: str, seed: int, changes: int, folder: Path, kills: int) -> None:
        self.platform, self.changes, self.folder, self.kills = platform, changes, folder, kills
        self.chance = random.Random(f"{platform} {seed}")
        self.year = Year(platform, seed)

    def run(self) -> Year:
        oauth.forget_documents()
        self.world = World(Clock(FIRST_DAY), unthrottled=True)
        self.world.random.seed(self.chance.random())
        for name, share in (("lose", 0.15), ("duplicate", 0.2), ("reorder", 0.3)):
            self.world.set_switch(f"webhooks.{name}", share)
        self.world.set_switch("webhooks.gather_seconds", 0.005)
        self.world.set_switch("webhooks.time_scale", 0.001)
        small = company.company(60, f"year-{self.platform}", seed=self.year.seed)
        _shift(small, FIRST_DAY - company.TODAY)
        self.pretend = self.world.add(
            pretend_books.load(small, cast(Platform, self.platform), self.world.clock)
        )
        if self.platform == "quickbooks" and self.year.seed % 2 == 0:  # unverified, so both ways
            self.pretend.organization.rules.merge_touches_documents = False
        with Server(self.world) as server:
            self.settings, self.engine, self.connection = self._installed(server, "mirror")
            with _receiving(self.settings, self.engine) as address:
                self.world.delivery.listen(
                    cast(Platform, self.platform), f"{address}/webhooks/{self.platform}"
                )
                self._sync()
                self._live()
                self.world.delivery.settle(60)
                self._sync(thorough=True)  # the night
            self._compare(server)
            self.year.webhooks = sum(a.events for a in self.world.delivery.attempts if a.fine)
            self.engine.dispose()
        return self.year

    def _installed(self, server: Server, name: str) -> tuple[Config, Engine, str]:
        settings = config.load(environment(server.url, self.folder / name))
        db.migrate(settings)
        engine = db.engine(settings)
        grant = consent(settings, self.platform, self.pretend.organization.id)
        [connection] = connections.save_grant(engine, settings, self.platform, grant)
        connections.refresh_facts(engine, connection.id, opened(engine, settings, connection.id))
        return settings, engine, connection.id

    # ---- the year

    def _live(self) -> None:
        changes = Changes(self.pretend, self.chance)
        kills = set(self.chance.sample(range(5, ROUNDS - 5), self.kills))
        for n in range(ROUNDS):
            while self.year.changes < self.changes * (n + 1) // ROUNDS:
                changes.one()
                self.year.changes += 1
                if self.chance.random() < 0.3:
                    self.world.clock.advance(seconds=self.chance.randint(0, 90))
            self.world.clock.advance(days=365 / ROUNDS, seconds=self.chance.randint(0, 3))
            if n in kills:
                self._kill_one(full=self.year.killed == 0)
            elif self.chance.random() < 0.15:
                continue  # no worker is running
            self.world.delivery.settle(60)
            self._go_wrong()
            self._sync(thorough=self.chance.random() < 0.05)
            self.world.faults.clear()
        self.year.refused, self.year.done = changes.refused, changes.done

    def _go_wrong(self) -> None:
        """Something happens to the next calls, or to the token; often nothing."""
        what = self.chance.random()
        if what < 0.05:
            self.world.grants.expire(cast(Platform, self.platform))
            self.year.struck["token expired"] += 1
        elif what < 0.3:
            fault: dict[str, Any] = self.chance.choice(
                [
                    {"action": "status", "status": 429},
                    {"action": "status", "status": 500},
                    {
                        "action": "status",
                        "status": 503,
                        "variant": "html" if self.platform == "quickbooks" else "",
                    },
                    {"action": "drop"},
                    {"action": "drop", "when": "after"},
                    {"action": "body", "body": "<html>Please wait</html>"},
                ]
            )
            skip, times = self.chance.randint(0, 2), self.chance.randint(1, 2)
            self.world.faults.add(Fault(**fault, path=BOOKS_PATH[self.platform], skip=skip, times=times))
        elif what < 0.31:
            self.world.faults.add(
                Fault(action="slow", seconds=PATIENCE[1] + 1, path=BOOKS_PATH[self.platform])
            )

    def _sync(self, *, thorough: bool = False) -> None:
        """As a worker does: again after each TryLater, without the wait."""
        for _ in range(9):
            self.year.syncs += 1
            before = len(self.world.faults.struck)
            try:
                ledger = opened(self.engine, self.settings, self.connection)
                done = sync(self.engine, self.settings, self.connection, thorough=thorough, ledger=ledger)
                assert done is not None
            except TryLater as problem:
                self.year.failed[type(problem).__name__] += 1
                continue
            finally:
                for fault in self.world.faults.struck[before:]:
                    self.year.struck[f"{fault['action']} {fault['when']}"] += 1
            return
        raise AssertionError("nine syncs in a row did not get through")

    def _kill_one(self, *, full: bool) -> None:
        """Kill a worker process while it waits for the ledger; its lease ends a minute later."""
        deep = self.chance.randint(0, 4) if full else 0
        self.world.faults.add(Fault(action="slow", seconds=4, path=BOOKS_PATH[self.platform], skip=deep))
        struck = len(self.world.faults.struck)
        work = "full" if full else "changes"
        worker = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.ledger.year", self.connection, work],
            cwd=ROOT,
            env=os.environ | environment(self.pretend_url(), self.folder / "mirror"),
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + 60
        while len(self.world.faults.struck) == struck and worker.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        assert worker.poll() is None, "the worker was done before it could be killed"
        worker.send_signal(signal.SIGKILL)
        worker.wait(10)
        self.world.faults.clear()
        self.year.killed += 1
        with db.transaction(self.engine) as tx:  # the minute passes
            ended = db.now() - timedelta(seconds=1)
            stale = db.leases.c.name == lease_name(self.connection)
            assert tx.execute(sa.update(db.leases).where(stale).values(until=ended)).rowcount == 1

    def pretend_url(self) -> str:
        return self.settings.quickbooks.api_url.removesuffix("/quickbooks")

    # ---- the proof

    def _compare(self, server: Server) -> None:
        self.world.faults.clear()
        settings, engine, connection = self._installed(server, "fresh")
        with _patience(AT_LEISURE):
            assert sync(engine, settings, connection, ledger=opened(engine, settings, connection)) is not None
        with db.reading(self.engine) as ours, db.reading(engine) as fresh:
            mirror, wanted = contents(ours, self.connection), contents(fresh, connection)
            self.year.records = len(wanted)
            self.year.differences = differences(mirror, wanted)
            if books.open_balances(ours, self.connection) != books.open_balances(fresh, connection):
                self.year.differences.append("the balances by customer differ")
        engine.dispose()


def opened(engine: Engine, settings: Config, connection_id: str) -> Ledger:
    """The organization's books without a budget: it would obey a 429 for a minute each time."""
    with db.reading(engine) as tx:
        connection = connections.get(tx, connection_id)
    assert connection.grant_id is not None
    platform = platforms.find(connection.platform, settings)
    access = StoredAccess(engine, settings, platform, connection.grant_id)
    return platform.open(connection.ref, access, OpenGate(), connection.timezone)


def environment(url: str, data: Path) -> dict[str, str]:
    """Settings that point an installation at the sandbox."""
    return {"FORBEAR_DATA_DIR": str(data), "FORBEAR_BUDGETS": "off", **pointed_at(url)}


@contextmanager
def _receiving(settings: Config, engine: Engine) -> Iterator[str]:
    """Our receiver of webhooks on a free port: its address."""
    app = flask.Flask("receiver")
    app.register_blueprint(webhooks.blueprint(settings, engine))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


def _shift(made: dict[str, Any], by: timedelta) -> None:
    """Move a company's whole history."""
    for kind, names in (("invoices", ("issue_date", "due_date")), ("payments", ("date",))):
        for row in made[kind]:
            for name in names:
                row[name] = (date.fromisoformat(row[name]) + by).isoformat()
    made["company"]["as_of"] = FIRST_DAY.isoformat()


Contents = dict[tuple[str, str], Any]


def contents(tx: sa.Connection, connection_id: str) -> Contents:
    """Every record of a mirror by (kind, id)."""
    lists: dict[str, list[Any]] = {
        "customer": books.customers(tx, connection_id),
        "invoice": books.invoices(tx, connection_id),
        "payment": books.payments(tx, connection_id),
        "credit": books.credits(tx, connection_id),
    }
    return {(kind, record.id): record for kind, records in lists.items() for record in records}


def differences(mirror: Contents, fresh: Contents) -> list[str]:
    """Where a mirror is not as a fresh look is, field by field."""
    found = [f"{kind} {id}: missing" for kind, id in sorted(fresh.keys() - mirror.keys())]
    found += [f"{kind} {id}: should be gone" for kind, id in sorted(mirror.keys() - fresh.keys())]
    for key in sorted(mirror.keys() & fresh.keys()):
        ours, theirs = mirror[key], fresh[key]
        for one in fields(ours):
            here, there = getattr(ours, one.name), getattr(theirs, one.name)
            if here != there:
                found.append(f"{key[0]} {key[1]}: {one.name} is {here!r}, a fresh look says {there!r}")
    return found


if __name__ == "__main__":
    _settings = config.load()
    _engine = db.engine(_settings)
    sync(
        _engine,
        _settings,
        sys.argv[1],
        full=sys.argv[2] == "full",
        ledger=opened(_engine, _settings, sys.argv[1]),
    )
