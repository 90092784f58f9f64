"""Both pretend ledgers over HTTP, with the same small company on each, connected as a browser would."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import pytest
import requests

from adapters import oauth
from connector import config, platforms
from connector.demo.installing import pointed_at
from connector.platforms import Call, Grant, OpenGate, OrganizationRef, Token
from sandbox import books
from sandbox.clock import Clock
from sandbox.ledger import Ledger as PretendLedger
from sandbox.server import Server
from sandbox.world import World

TODAY = date(2026, 11, 21)
REDIRECT = "http://localhost:8000/connect/callback"
NONCE = "nonce-of-this-test"
VERIFIER = "verifier-" + "v" * 50

COMPANY: dict[str, Any] = {
    "format": "books/1",
    "company": {
        "id": "harbour",
        "name": "Harbour Supplies",
        "country": "US",
        "home_currency": "USD",
        "timezone": "America/New_York",
        "basis": "accrual",
        "as_of": "2026-11-21",
    },
    "customers": [
        {"id": "c1", "name": "Rose & Daughters", "currency": "USD", "terms_days": 30, "email": "ap@rose.example"},
        {"id": "c2", "name": "O'Neill Boats", "currency": "USD", "terms_days": 30, "email": "pay@oneill.example"},
        {"id": "c3", "name": "Quiet Quay", "currency": "USD", "terms_days": 14},
    ],
    "invoices": [
        {
            "id": "i1", "number": "1001", "customer_id": "c1", "issue_date": "2026-08-01", "due_date": "2026-08-31",
            "currency": "USD", "total_cents": 115000, "kind": "invoice",
            "lines": [{"description": "Rope", "net_cents": 100000, "tax_cents": 15000}],
        },
        {
            "id": "i2", "number": "1002", "customer_id": "c1", "issue_date": "2026-10-01", "due_date": "2026-10-31",
            "currency": "USD", "total_cents": 40000, "kind": "invoice",
        },
        {
            "id": "i3", "number": "1003", "customer_id": "c2", "issue_date": "2026-09-05", "due_date": "2026-10-05",
            "currency": "USD", "total_cents": 25050, "kind": "invoice",
        },
        {
            "id": "i4", "number": "1004", "customer_id": "c2", "issue_date": "2026-11-10", "due_date": "2026-12-10",
            "currency": "USD", "total_cents": 9999, "kind": "invoice",
        },
    ],
    "payments": [
        {
            "id": "p1", "customer_id": "c1", "date": "2026-09-20", "currency": "USD", "amount_cents": 30000,
            "allocations": [{"invoice_id": "i1", "amount_cents": 30000}], "unapplied_cents": 0,
        },
        {
            "id": "p2", "customer_id": "c2", "date": "2026-10-12", "currency": "USD", "amount_cents": 30050,
            "allocations": [{"invoice_id": "i3", "amount_cents": 25050}], "unapplied_cents": 5000,
        },
    ],
    "credits": [
        {
            "id": "k1", "customer_id": "c1", "date": "2026-10-15", "currency": "USD", "total_cents": 10000,
            "allocations": [{"invoice_id": "i2", "amount_cents": 6000}],
        },
    ],
}  # fmt: skip


class Meter(OpenGate):
    """Remembers every call of one opened ledger."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def after(self, call: Call) -> None:
        self.calls.append(call)


@dataclass
class Held:
    """The newest token of one connection, as `connections` keeps it for the product."""

    platform: platforms.Platform
    now: Token
    renewals: int = 0

    def token(self) -> str:
        return self.now.access_token

    def renew(self, rejected: str) -> str:
        if self.now.access_token == rejected:
            self.now = self.platform.refresh(self.now)
            self.renewals += 1
        return self.now.access_token


@dataclass
class Connected:
    """One organization on one pretend ledger, connected. `pretend` is the other side of the wire."""

    office: Office
    platform: platforms.Platform
    pretend: PretendLedger
    grant: Grant
    access: Held
    meter: Meter = field(default_factory=Meter)

    @property
    def organization(self) -> OrganizationRef:
        (mine,) = [o for o in self.grant.organizations if o.external_id == self.pretend.organization.id]
        return mine

    def open(self) -> platforms.Ledger:
        """The books, freshly opened: nothing is remembered from before."""
        return self.platform.open(self.organization, self.access, self.meter, "America/New_York")

    def customer(self, name: str) -> str:
        """A customer's id at the ledger."""
        return next(c.id for c in self.pretend.customers if c.name == name)

    def invoice(self, number: str) -> str:
        """An invoice's id at the ledger."""
        return next(i.id for i in self.pretend.invoices if i.number == number)

    def act(self, act: str, **what: Any) -> Any:
        """Do something in the ledger's own pages, as the customer or another bookkeeper."""
        return self.office.control(f"companies/{self.pretend.organization.id}/act", {"act": act, **what})


class Office:
    """The running sandbox and the settings that point the product at it."""

    def __init__(self, server: Server, world: World) -> None:
        self.server, self.world = server, world
        self.config = config.load(pointed_at(server.url))

    def control(self, path: str, body: Any) -> Any:
        answer = requests.post(f"{self.server.url}/control/{path}", json=body, timeout=120)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def ask(self, path: str) -> Any:
        answer = requests.get(f"{self.server.url}/control/{path}", timeout=120)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def platform(self, name: str) -> platforms.Platform:
        return platforms.find(name, self.config)

    def add(self, platform: str, name: str = "Harbour Supplies", **facts: Any) -> PretendLedger:
        """One more company on a ledger."""
        data = copy.deepcopy(COMPANY)
        data["company"] |= {"id": name, "name": name} | facts
        return self.world.add(books.load(data, platform, self.world.clock))  # type: ignore[arg-type]

    def consent(
        self,
        platform: platforms.Platform,
        companies: list[str],
        *,
        decision: str = "allow",
        state: str = "s-1",
    ) -> dict[str, str]:
        """Walk the consent page like a browser; what the ledger sends back in the callback's query."""
        url = platform.authorization_url(redirect_uri=REDIRECT, state=state, nonce=NONCE, verifier=VERIFIER)
        browser = requests.Session()
        page = browser.get(url, timeout=120)
        assert page.status_code == 200, page.text
        form = _Form(page.text)
        data = [*form.hidden, ("decision", decision), *(("company", c) for c in companies)]
        answer = browser.post(urljoin(page.url, form.action), data=data, allow_redirects=False, timeout=120)
        browser.close()
        assert answer.status_code in (302, 303), answer.text
        back = answer.headers["Location"]
        assert back.startswith(REDIRECT)
        return dict(parse_qsl(urlsplit(back).query))

    def exchange(self, platform: platforms.Platform, answer: Mapping[str, str]) -> Grant:
        return platform.exchange(answer, redirect_uri=REDIRECT, nonce=NONCE, verifier=VERIFIER)

    def connect(self, name: str, pretend: PretendLedger) -> Connected:
        """Consent for one company and open it."""
        platform = self.platform(name)
        grant = self.exchange(platform, self.consent(platform, [pretend.organization.id]))
        return Connected(self, platform, pretend, grant, Held(platform, grant.token))


class _Form(HTMLParser):
    """The first form of a page that is posted."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action, self.hidden, self._inside = "", [], False
        self.feed(page)

    hidden: list[tuple[str, str]]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {k: v or "" for k, v in attrs}
        if tag == "form" and given.get("method", "").lower() == "post" and not self._inside:
            self.action, self._inside = given.get("action", ""), True
        elif tag == "input" and self._inside and given.get("type") == "hidden" and given.get("name"):
            self.hidden.append((given["name"], given.get("value", "")))


@pytest.fixture
def office() -> Iterator[Office]:
    """A sandbox of its own for each test, without companies."""
    oauth.forget_documents()
    world = World(Clock(TODAY), unthrottled=True)
    with Server(world) as server:
        yield Office(server, world)


@pytest.fixture(params=platforms.names())
def connected(request: pytest.FixtureRequest, office: Office) -> Connected:
    """The small company, connected; once on each platform that this installation knows."""
    return office.connect(request.param, office.add(request.param))


def as_json(value: Any) -> str:
    """Everything in a value as text, to look for what must not be there."""
    return json.dumps(value, default=str)
