"""A running sandbox on a free port, and a browser's way through its consent page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from sandbox.books import own_rules
from sandbox.clock import Clock
from sandbox.documents import Customer, Invoice, Line
from sandbox.ledger import Ledger
from sandbox.organization import Organization, Platform
from sandbox.server import Server
from sandbox.world import World
from tests.sandbox.quickbooks_company import Company, found, new_world, running

TODAY = date(2026, 11, 21)
REDIRECT = "http://localhost:8000/callback"
SCOPES = {
    "quickbooks": "openid profile email com.intuit.quickbooks.accounting",
    "xero": "openid profile email offline_access accounting.invoices accounting.payments "
    "accounting.contacts accounting.settings",
}
PATHS = {"quickbooks": "/quickbooks/connect/oauth2", "xero": "/xero/identity/connect/authorize"}
TOKENS = {"quickbooks": "/quickbooks/oauth2/v1/tokens/bearer", "xero": "/xero/connect/token"}
APP = ("sandbox-app", "sandbox-secret")


def a_company(world: World, platform: Platform, id: str = "", name: str = "Corner Bakery") -> Ledger:
    """One company with one customer who owes 1,150.00 since 2026-08-31."""
    quickbooks = platform == "quickbooks"
    ledger = Ledger(
        Organization(
            id=id or ("9130000000000001" if quickbooks else "5d7e0000-0000-4000-a000-000000000001"),
            platform=platform, name=name, home_currency="USD" if quickbooks else "GBP", tax_rate="15",
            country="US" if quickbooks else "GB", timezone="America/New_York" if quickbooks else "Europe/London",
            rules=own_rules(platform),
        ),
        world.clock,
    )  # fmt: skip
    customer = ledger.add_customer(Customer(name="Corner Cafe", email="pay@corner.example")).id
    line = Line(net=100000, tax=15000, account=ledger.account_by_role("sales").id)
    line.tax_code = "TAX" if quickbooks else "OUTPUT2"
    ledger.add_invoice(
        Invoice(number="1001", customer=customer, date=date(2026, 8, 1), due=date(2026, 8, 31), lines=[line])
    )
    return world.add(ledger)


@pytest.fixture
def world() -> World:
    found = World(Clock(TODAY))
    found.switches["webhooks.gather_seconds"] = 0.02
    return found


@pytest.fixture
def server(world: World) -> Iterator[Server]:
    with Server(world) as running:
        yield running


@pytest.fixture(scope="module")
def base_and_world() -> Iterator[tuple[World, str]]:
    """A running sandbox without limits for all tests of a module, and its address."""
    world = new_world()
    with running(world) as base:
        yield world, base


@pytest.fixture
def company(base_and_world: tuple[World, str]) -> Iterator[Company]:
    """A QuickBooks company of its own in that sandbox, which is left as it was."""
    world, base = base_and_world
    yield found(world, base)
    world.clock.set_today(TODAY)
    world.switches.clear()
    world.faults.clear()
    world.limits.unthrottled = True


@pytest.fixture
def diner(company: Company) -> str:
    return company.customer("Red Rock Diner")


def ask(server: Server, platform: Platform, **more: str) -> requests.Response:
    """GET the consent page."""
    query = {
        "client_id": "sandbox-app", "redirect_uri": REDIRECT, "response_type": "code", "state": "state-1",
        "scope": SCOPES[platform], **more,
    }  # fmt: skip
    return requests.get(server.url + PATHS[platform], params=query, timeout=120, allow_redirects=False)


def fill(page: requests.Response) -> dict[str, list[str]]:
    """The fields of the consent form as a browser would send them, untouched."""
    fields: dict[str, list[str]] = {}
    for tag in re.findall(r"<input[^>]*>", page.text):
        found = {k: unescape(v) for k, v in re.findall(r'(\w+)="([^"]*)"', tag)}
        if found.get("type") == "hidden" or " checked" in tag:
            fields.setdefault(found["name"], []).append(found["value"])
    return fields


def answer(
    server: Server, platform: Platform, page: requests.Response, decision: str = "allow", **chosen: list[str]
) -> dict[str, str]:
    """Press Allow or Deny; what the redirect back says."""
    form = {**fill(page), **chosen, "decision": [decision]}
    back = requests.post(server.url + PATHS[platform], data=form, timeout=120, allow_redirects=False)
    assert back.status_code == 302, back.text
    location = back.headers["Location"]
    assert location.startswith(REDIRECT)
    return {k: v[0] for k, v in parse_qs(urlsplit(location).query).items()}


def redeem(server: Server, platform: Platform, **form: str) -> requests.Response:
    """POST to the token endpoint with Basic authentication."""
    return requests.post(server.url + TOKENS[platform], data=form, auth=APP, timeout=120)


def connect(server: Server, platform: Platform, *companies: str, **more: str) -> dict[str, str]:
    """All the way to a token answer."""
    page = ask(server, platform, **more)
    chosen = {"company": list(companies)} if companies else {}
    back = answer(server, platform, page, **chosen)
    token = redeem(
        server, platform, grant_type="authorization_code", code=back["code"], redirect_uri=REDIRECT
    )
    assert token.status_code == 200, token.text
    found: dict[str, str] = {**token.json(), "realm": back.get("realmId", "")}
    return found
