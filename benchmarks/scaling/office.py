"""A practice of thousands of organizations at the pretend Xero, connected without 2,000 consents and first syncs."""

from __future__ import annotations

import datetime as dt
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from benchmarks.scaling.load import KEY
from connector import config, db, jobs, waking
from connector.config import Config
from connector.connecting import connections
from connector.platforms import Grant, Identity, OrganizationRef, Token
from connector.supervisor import Installation
from sandbox import acts
from sandbox.clock import Clock
from sandbox.documents import Customer
from sandbox.grants import USERS
from sandbox.ledger import Ledger
from sandbox.organization import RULES, Organization
from sandbox.server import Server
from sandbox.world import World

ROOT = Path(__file__).parents[2]
SCOPES = frozenset(
    {"offline_access", "openid", "accounting.transactions", "accounting.contacts", "accounting.settings"}
)


@dataclass
class Office:
    config: Config
    engine: Engine
    world: World
    installation: Installation
    port: int
    ids: dict[str, str]  # tenant → our connection


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


@contextmanager
def open_office(folder: Path, organizations: int, *, workers: int) -> Iterator[Office]:
    """Everything runs; every organization is connected, read, reviewed and proved a moment ago."""
    world = World(Clock(dt.date(2026, 11, 18)), unthrottled=True)
    with Server(world) as server:
        port = free_port()
        env = {k: v for k, v in os.environ.items() if not k.startswith("FORBEAR_")} | {
            "FORBEAR_DATA_DIR": str(folder), "FORBEAR_PUBLIC_URL": f"http://localhost:{port}", "PORT": str(port),
            "FORBEAR_BUDGETS": "off", "FORBEAR_TODAY": "2026-11-18",
            "FORBEAR_XERO_DISCOVERY_URL": f"{server.url}/xero/.well-known/openid-configuration",
            "FORBEAR_XERO_API_URL": f"{server.url}/xero", "FORBEAR_XERO_CLIENT_ID": "sandbox-app",
            "FORBEAR_XERO_CLIENT_SECRET": "sandbox-secret", "FORBEAR_XERO_WEBHOOK_KEY": KEY,
            "FORBEAR_QUICKBOOKS_API_URL": server.url, "FORBEAR_QUICKBOOKS_DISCOVERY_URL": server.url,
            "PYTHONPATH": str(ROOT), "PYTHON": sys.executable,
        }  # fmt: skip
        os.environ.update({k: v for k, v in env.items() if k.startswith(("FORBEAR_", "PORT"))})
        loaded = config.load(env)
        db.migrate(loaded)
        engine = db.engine(loaded)
        ids = _connect(world, server.url, loaded, engine, organizations)
        with (
            (folder / "log").open("ab") as log,
            Installation(loaded, workers=workers, environment=env, output=log) as installation,
        ):
            _until_up(port, loaded, workers)
            yield Office(loaded, engine, world, installation, port, ids)
        engine.dispose()


def _until_up(port: int, settings: Config, workers: int) -> None:
    """The pages answer and every worker listens: what starts beside the first delivery would slow its answer."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            line = waking.backlog(settings)
            if (
                requests.get(f"http://127.0.0.1:{port}/healthz", timeout=1).ok
                and line
                and line.workers >= workers
            ):
                return
        except requests.RequestException:
            pass
        time.sleep(0.05)
    raise TimeoutError("the processes did not come up")


def _connect(world: World, url: str, settings: Config, engine: Engine, count: int) -> dict[str, str]:
    tenants = [f"tenant-{n}" for n in range(count)]
    for n, tenant in enumerate(tenants):
        ledger = world.add(
            Ledger(
                Organization(
                    id=tenant, platform="xero", name=f"Practice {n}", home_currency="USD", rules=RULES["xero"]
                ),
                world.clock,
            )
        )
        if n == 0:
            customer = ledger.add_customer(Customer(name="Kea Couriers"))
            for _ in range(60):
                acts.bill(ledger, customer=customer.id, net=10_000)
    grants = world.grants
    code = grants.allow("xero", USERS[0], "sandbox-app", SCOPES, tuple(tenants), "http://localhost/back")
    consent = grants.exchange("xero", code, "sandbox-app", "http://localhost/back", "")
    access, refresh = grants.issue(consent, f"{url}/xero")
    grant = Grant(
        Token(access, refresh, db.now() + dt.timedelta(minutes=29)),
        Identity("bench", "1", "a@b.example", True, "A. B."),
        tuple(OrganizationRef(t, t) for t in tenants),
    )
    made = connections.save_grant(engine, settings, "xero", grant)
    first = next(c for c in made if c.external_id == tenants[0])
    jobs.sync_connection(first.id)
    jobs.review_connection(first.id)
    with db.transaction(engine) as tx:
        c = db.connections.c
        known = tx.execute(sa.select(db.connections).where(c.id == first.id)).one()
        assert known.last_sync_at is not None, known.progress
        same = (
            "facts",
            "facts_at",
            "cursor",
            "generation",
            "last_sync_at",
            "last_full_at",
            "last_review_on",
            "timezone",
        )
        values = {name: known._mapping[name] for name in (*same, "home_currency", "country")}
        tx.execute(sa.update(db.connections).values(**values, last_proof_at=db.now()))
    return {c.external_id: c.id for c in made}
