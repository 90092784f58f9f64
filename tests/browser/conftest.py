"""A whole installation with both pretend ledgers, and Debian's Chromium in front of it.

One per test process: the sandbox and Forbear's own processes on free ports. Without Chromium the tests are
skipped visibly; on CI that is a failure, because `tests/prepare.sh` installs it there.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright
from sqlalchemy.engine import Engine

from connector import config, db
from connector.config import Config
from connector.connecting import connections
from connector.demo.installing import pointed_at
from connector.planning import plans
from connector.platforms import Identity
from connector.practice import invitations, people
from connector.supervisor import Installation
from tests.browser.books import TODAY, harbor_and_pine
from tests.connector.servers import answers, free_port
from web import create_app

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
COMPANIES = ("Harbor & Pine Provisions", "Northmoor Joinery")  # each on both ledgers


expect.set_options(timeout=20_000)  # a busy machine may take long; what holds is seen at once


@dataclass
class World:
    """Where everything is. `url` is Forbear, `sandbox` the pretend ledgers."""

    url: str
    sandbox: str
    engine: Engine
    config: Config

    @cached_property
    def app(self) -> Flask:
        """The same pages in this process, for what only they know: the list of addresses, the cookie's signature."""
        return create_app(self.config, self.engine)

    def sign_in(self, browser: Browser, who: str, roles: dict[str, str], **more: Any) -> BrowserContext:
        """A browser in which this person is signed in, with these rights; nobody walks through a consent page."""
        with db.transaction(self.engine) as tx:
            identity = Identity("https://issuer.example", who, f"{who}@firm.example", True, who.capitalize())
            person = people.sign_in(tx, identity, db.now())
            for id, role in roles.items():
                people.grant(tx, person.id, id, role, by="test", now=db.now())
            key = people.start_session(tx, person.id, db.now())
        signer = SecureCookieSessionInterface().get_signing_serializer(self.app)
        assert signer
        context = browser.new_context(base_url=self.url, **more)
        context.set_default_timeout(30_000)
        context.add_cookies([{"name": "forbear", "value": signer.dumps({"key": key}), "url": self.url}])
        return context

    def company(self, platform: str, name: str = COMPANIES[0]) -> str:
        """The ledger's id of a company."""
        found = [c for c in self.control("companies") if (c["platform"], c["name"]) == (platform, name)]
        return str(found[0]["id"])

    def control(self, path: str, body: Any = None) -> Any:
        """The ledgers' own view, past Forbear."""
        send = requests.get if body is None else requests.post
        more = {} if body is None else {"json": body}
        answer = send(f"{self.sandbox}/control/{path}", timeout=120, **more)
        assert answer.ok, answer.text
        return answer.json()


def until(done: Any, what: str, seconds: float = 150) -> None:
    """Wait for a condition outside the browser."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"waited {seconds} seconds for {what}"
        time.sleep(0.2)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed; `sh tests/prepare.sh` installs it")
    folder = tmp_path_factory.mktemp("installation")
    sandbox_port, port = free_port(), free_port()
    sandbox, url = f"http://localhost:{sandbox_port}", f"http://localhost:{port}"
    books = folder / "books.jsonl"  # instead of the large sample companies
    books.write_text(json.dumps(harbor_and_pine("Somebody Else", "USD", "US")) + "\n")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FORBEAR_")} | {
        "FORBEAR_DATA_DIR": str(folder / "data"),
        "FORBEAR_PUBLIC_URL": url,
        "PORT": str(port),
        "FORBEAR_TODAY": TODAY.isoformat(),
        **pointed_at(sandbox),
    }
    settings = config.load(environment)
    with (folder / "log").open("wb") as log:
        ledgers = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "--port", str(sandbox_port), "--unthrottled"]
            + ["--today", TODAY.isoformat(), "--books", str(books)]
            + [
                "--webhooks",
                f"quickbooks={url}/webhooks/quickbooks",
                "--webhooks",
                f"xero={url}/webhooks/xero",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            with Installation(settings, environment=environment, output=log):
                until(lambda: answers(f"{url}/readyz") and answers(f"{sandbox}/"), "the installation")
                made = World(url, sandbox, db.engine(settings), settings)
                for name in COMPANIES:
                    made.control("companies?platform=both", harbor_and_pine(name, "USD", "US"))
                yield made
        finally:
            ledgers.terminate()
            ledgers.wait(120)
            db.engine(settings).dispose()


LONG = "مخبز النور للحلويات Feinbackwarengroßhandelsgesellschaft-und-" + "Konditorei" * 8


@dataclass
class Home:
    """A firm with one client, read and reviewed: its bookkeeper's cookies, a customer (with a very long name), the
    draft of a plan for them, and an invitation."""

    state: object
    id: str
    customer: str
    draft: str
    token: str

    def browser(self, chromium: Browser, world: World, **more: Any) -> BrowserContext:
        """A browser in which its bookkeeper is signed in."""
        made = chromium.new_context(base_url=world.url, storage_state=self.state, **more)  # type: ignore[arg-type]
        made.set_default_timeout(30_000)
        return made


@pytest.fixture(scope="session")
def home(chromium: Browser, world: World) -> Home:
    """Another company than the journey's, which may run beside."""
    context = chromium.new_context(base_url=world.url)
    context.set_default_timeout(30_000)
    id = connect(context.new_page(), world, "quickbooks", name=COMPANIES[1])
    until(lambda: reviewed(world, id), "the first review")
    with db.transaction(world.engine) as tx:
        draft = next(p for p in plans.of_connection(tx, id) if p.state == "proposed")
        c = db.customers.c
        theirs = sa.and_(c.connection_id == id, c.id == draft.plan.customer_id)
        tx.execute(sa.update(db.customers).where(theirs).values(name=LONG))  # on every page that names them
        person, _ = people.members(tx, id)[0]
        token = invitations.make(tx, id, "read", by=person, now=db.now())
    made = Home(context.storage_state(), id, draft.plan.customer_id, draft.id, token)
    context.close()
    return made


def reviewed(world: World, id: str) -> bool:
    """Whether every customer was looked at."""
    with db.reading(world.engine) as tx:
        return connections.get(tx, id).last_review_on is not None


@pytest.fixture(autouse=True)
def _named(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> None:
    """The journeys that a test walks go into the report, where `make bench NAME=pages` counts them."""
    for marker in request.node.iter_markers("journey"):
        for name in marker.args:
            record_property("journey", name)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser, world: World) -> Iterator[BrowserContext]:
    made = chromium.new_context(base_url=world.url, viewport={"width": 1280, "height": 1000})
    made.set_default_timeout(20_000)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


class Hand:
    """A person at the practice page who counts clicks; typing is none, a choice from a list is one."""

    def __init__(self, page: Page) -> None:
        self.page, self.clicks = page, 0
        page.goto("/")

    def click(self, target: Locator, press: bool = True) -> None:
        expect(target).to_be_visible()
        self.clicks += 1
        if press:
            target.click()

    def choose(self, target: Locator, value: str) -> None:
        self.clicks += 1
        target.select_option(value)

    def find(self, words: str) -> None:
        self.page.locator("#search").fill(words)
        self.page.keyboard.press("Enter")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name)

    def link(self, name: str) -> Locator:
        return self.page.get_by_role("link", name=name, exact=True).first


def clicks_by_task() -> dict[int, int]:
    """What docs/usability.md says of each task."""
    text = (Path(__file__).parents[2] / "docs" / "usability.md").read_text()
    return {int(n): int(clicks) for n, clicks in re.findall(r"(?m)^\| (\d+) \|.*\| (\d+) \|$", text)}


def choose(page: Page, world: World, platform: str, name: str = COMPANIES[0]) -> None:
    """Tick this company, and no other, on the consent page."""
    company = world.company(platform, name)
    if platform == "xero":
        for box in page.locator("input[name=company]").all():
            box.set_checked(box.get_attribute("value") == company)
    else:
        page.locator(f"input[name=company][value='{company}']").check()


def connect(page: Page, world: World, platform: str, path: str = "connect", name: str = COMPANIES[0]) -> str:
    """Through the consent page as a person does it; returns the organization's id."""
    page.goto(f"{world.url}/{path}/{platform}")
    choose(page, world, platform, name)
    page.locator("button[value=allow]").click()
    page.wait_for_url(f"{world.url}/organizations/**")
    return page.url.split("/organizations/")[1].split("/")[0]
