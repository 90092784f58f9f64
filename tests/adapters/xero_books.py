"""A pretend Xero over HTTP for the adapter's tests, connected the way a bookkeeper connects.

"Harbour Bikes" keeps its books in NZD with 15 % GST. Tests act in its pages through `sandbox.acts` and read and
write through the adapter alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import requests

from adapters import oauth
from adapters.xero import platform
from connector import config
from connector.demo.installing import pointed_at
from connector.platforms import Call, Grant, Ledger, OpenGate, OrganizationRef, Platform, Token
from sandbox.clock import Clock
from sandbox.documents import Customer, Terms
from sandbox.grants import USERS, User
from sandbox.ledger import Ledger as Books
from sandbox.organization import RULES, Organization
from sandbox.server import Server
from sandbox.world import World

HARBOUR = "b2c885a9-4bb9-4a00-9b6e-6c2bf60b1a2b"
TOTARA = "c4d1f6a0-9f0b-4e43-8a57-0d3f4b1f7c11"
NOON = datetime(2026, 11, 21, 0, 0, tzinfo=UTC)  # 13:00 in Auckland
TODAY = date(2026, 11, 21)
REDIRECT = "http://localhost/connect/xero/callback"
VERIFIER = "v" * 64


class Meter(OpenGate):
    """No budget; remembers every call."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def after(self, call: Call) -> None:
        self.calls.append(call)

    def since(self, mark: int) -> list[str]:
        return [call.operation for call in self.calls[mark:]]


@dataclass
class Permission:
    """An Access that refreshes through the platform, as `connector.connecting.connections` does."""

    platform: Platform
    held: Token
    renewals: list[str] = field(default_factory=list)

    def token(self) -> str:
        return self.held.access_token

    def renew(self, rejected: str) -> str:
        self.renewals.append(rejected)
        if self.held.access_token == rejected:
            self.held = self.platform.refresh(self.held)
        return self.held.access_token


@dataclass
class Xero:
    """The running sandbox and our side of it."""

    world: World
    server: Server
    platform: Platform
    meter: Meter = field(default_factory=Meter)

    @property
    def books(self) -> Books:
        return self.world.companies[HARBOUR]

    def customer(self, name: str) -> str:
        found = self.books.customer_by_name(name)
        assert found is not None
        return found.id

    def consent(
        self, *companies: str, decision: str = "allow", nonce: str = "n-1", user: User = USERS[0]
    ) -> dict[str, str]:
        """Walk the consent page; the query that comes back."""
        url = self.platform.authorization_url(
            redirect_uri=REDIRECT, state="s-1", nonce=nonce, verifier=VERIFIER
        )
        parts = urlsplit(url)
        form: dict[str, Any] = {name: values[0] for name, values in parse_qs(parts.query).items()}
        page = urlunsplit(parts._replace(query=""))
        form |= {"decision": decision, "company": companies, "user": user.subject}
        answer = requests.post(page, data=form, allow_redirects=False, timeout=120)
        assert answer.status_code == 302, answer.text
        back = parse_qs(urlsplit(answer.headers["Location"]).query)
        return {name: values[0] for name, values in back.items()}

    def connect(self, *companies: str, user: User = USERS[0]) -> Grant:
        return self.exchange(self.consent(*(companies or (HARBOUR,)), user=user))

    def exchange(self, answer: Mapping[str, str], nonce: str = "n-1") -> Grant:
        return self.platform.exchange(answer, redirect_uri=REDIRECT, nonce=nonce, verifier=VERIFIER)

    def open(self, company: str = HARBOUR, access: Any = None, gate: Any = None) -> Ledger:
        access = access or Permission(self.platform, self.connect(company).token)
        return self.platform.open(OrganizationRef(company, ""), access, gate or self.meter)


@contextmanager
def xero(folder: Path, *, throttled: bool = False) -> Iterator[Xero]:
    world = World(Clock(), unthrottled=not throttled)
    world.clock.set(NOON)
    world.add(some_books(world.clock, HARBOUR, "Harbour Bikes"))
    world.add(some_books(world.clock, TOTARA, "Totara Tiles"))
    with Server(world) as server:
        settings = config.load({"FORBEAR_DATA_DIR": str(folder), **pointed_at(server.url)})
        oauth.forget_documents()
        yield Xero(world, server, platform(settings))


def some_books(clock: Clock, tenant: str, name: str) -> Books:
    organization = Organization(
        id=tenant,
        platform="xero",
        name=name,
        home_currency="NZD",
        country="NZ",
        timezone="Pacific/Auckland",
        tax_name="GST",
        tax_rate="15",
        rules=RULES["xero"],
    )
    books = Books(organization, clock)
    for customer, currency in (("Kea Couriers", ""), ("Tui School", ""), ("Sydney Fit-outs", "AUD")):
        email = customer.lower().replace(" ", ".") + "@example.com"
        books.add_customer(Customer(name=customer, email=email, currency=currency, terms=Terms(days=30)))
    return books
