"""A practice with real processes: web, worker and clock beside both pretend ledgers, and what they wrote down."""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Engine

from adapters import oauth
from connector import config, db
from connector.browser import Browser, Page
from connector.config import Config
from connector.connecting import connections
from connector.connecting.connections import Connection
from connector.demo.installing import pointed_at
from connector.supervisor import Installation
from sandbox import books
from sandbox.clock import Clock
from sandbox.ledger import Ledger as PretendLedger
from sandbox.server import Server
from sandbox.world import World
from tests.connector.servers import answers, free_port

ROOT = Path(__file__).parents[2]
TODAY = date(2026, 11, 18)  # a Wednesday: reminders may leave
WEBHOOK_KEY = "sandbox-webhook-key"
LEDGERS = ("quickbooks", "xero")


@dataclass
class Practice:
    """One installation with all its processes, and the pretend world around it."""

    config: Config
    engine: Engine
    world: World
    server: Server
    installation: Installation
    folder: Path
    browser: Browser

    def add(self, platform: str, company: Mapping[str, Any]) -> PretendLedger:
        made = books.load(copy.deepcopy(dict(company)), platform, self.world.clock)  # type: ignore[arg-type]
        self.world.add(made)
        self.world.delivery.listen(platform, f"{self.config.public_url}/webhooks/{platform}")  # type: ignore[arg-type]
        return made

    def connect(self, platform: str, pretend: PretendLedger, browser: Browser | None = None) -> str:
        """Through the consent page, as a bookkeeper does. Returns the connection's id."""
        by = browser or self.browser
        page = by.get(f"{self.config.public_url}/connect/{platform}")
        page = by.submit(page.form("decision"), {"decision": "allow", "company": [pretend.organization.id]})
        assert page.status == 200, page.sentence
        with db.reading(self.engine) as tx:
            made = connections.of(tx, platform, pretend.organization.id)
        assert made is not None
        return made.id

    def connection(self, id: str) -> Connection:
        with db.reading(self.engine) as tx:
            return connections.get(tx, id)

    def until(self, done: Callable[[], object], what: str, seconds: float = 240) -> None:
        end = time.monotonic() + seconds
        while not done():
            self.installation.look()
            assert time.monotonic() < end, f"{what} never came; the log ends:\n{self.log()[-3000:]}"
            time.sleep(0.1)

    def press(self, path: str, **values: str) -> Page:
        """Send one of our forms, with the token that a page of ours carries."""
        return self.browser._page(
            self.browser.session.post(
                self.config.public_url + path, data={"csrf": self.csrf(), **values}, timeout=60
            )
        )

    def csrf(self) -> str:
        page = self.browser.get(f"{self.config.public_url}/account")
        return str(page.form("csrf").values["csrf"])

    def log(self) -> str:
        return (self.folder / "forbear.log").read_text()

    def lines(self) -> list[dict[str, Any]]:
        """The log's lines; whatever is not one of ours fails the test."""
        return [json.loads(line) for line in self.log().splitlines() if not _from_the_queue(line)]


def _from_the_queue(line: str) -> bool:
    """The embedded queue's server has its own form: "12316:M 22 Nov 2026 ..."."""
    return line[:1].isdigit()


def environment(folder: Path, sandbox: str, port: int, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FORBEAR_")}
    ours = {
        "DATA_DIR": str(folder / "data"),
        "PUBLIC_URL": f"http://localhost:{port}",
        "TODAY": TODAY.isoformat(),
        "BUDGETS": "off",
        **more,
    }
    return {
        **kept,
        **pointed_at(sandbox),
        **{f"FORBEAR_{name}": value for name, value in ours.items()},
        "PORT": str(port),
        "PYTHONPATH": str(ROOT),
    }


@contextmanager
def a_practice(folder: Path, *, workers: int = 1, **settings: str) -> Iterator[Practice]:
    """Everything runs when this begins and is gone when it ends."""
    oauth.forget_documents()
    world = World(Clock(TODAY), unthrottled=True)
    world.set_switch("webhooks.gather_seconds", 0.02)
    world.set_switch("webhooks.time_scale", 0.001)
    with Server(world) as server:
        env = environment(folder, server.url, free_port(), **settings)
        loaded = config.load(env)
        with (
            (folder / "forbear.log").open("ab") as out,
            Installation(loaded, workers=workers, environment=env, output=out) as installation,
        ):
            practice = Practice(loaded, db.engine(loaded), world, server, installation, folder, Browser())
            practice.until(lambda: answers(f"{loaded.public_url}/readyz"), "the pages")
            yield practice
            practice.browser.session.close()
        db.engine(loaded).dispose()
