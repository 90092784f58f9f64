"""One pretend QuickBooks company over real HTTP, as an application reaches it: the SDK, and plain requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import Any

import requests
from quickbooks import QuickBooks

from sandbox.clock import Clock
from sandbox.documents import Customer
from sandbox.grants import USERS
from sandbox.ledger import Ledger
from sandbox.organization import Organization
from sandbox.server import Server
from sandbox.world import World

TODAY = date(2026, 11, 21)
SCOPES = frozenset({"com.intuit.quickbooks.accounting", "openid"})


class Session:
    """What the SDK asks of a session: an access token, and one way to send a request."""

    def __init__(self, token: str) -> None:
        self.access_token = token
        self.http = _session()

    def request(self, method: str, url: str, **more: Any) -> requests.Response:
        return self.http.request(method, url, timeout=120, **more)


class Company:
    """A company on a running sandbox; `books` is its ledger, `qb` the SDK pointed at it."""

    def __init__(self, world: World, base: str, books: Ledger) -> None:
        self.world, self.base, self.books = world, base, books
        self.realm = books.organization.id
        self.token = token_for(world, self.realm)
        self.http = _session()
        self.qb = QuickBooks(company_id=self.realm, minorversion=75, use_decimal=True)
        self.qb.api_url_v3 = f"{base}/v3"
        self.qb.session = Session(self.token)

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Accept": "application/json",
            **more.pop("headers", {}),
        }
        url = f"{self.base}/v3/company/{self.realm}/{path}"
        return self.http.request(method, url, headers=headers, timeout=120, **more)

    def get(self, path: str, **params: str) -> requests.Response:
        return self.call("GET", path, params=params)

    def post(self, path: str, body: Any, **params: str) -> requests.Response:
        headers = {"Content-Type": "application/json"}
        return self.call("POST", path, params=params, data=json.dumps(body), headers=headers)

    def save(self, entity: str, body: Any, **params: str) -> dict[str, Any]:
        """Post and expect it to be taken; the entity of the answer."""
        answer = self.post(entity.lower(), body, **params)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = read(answer)[entity]
        return found

    def read(self, entity: str, id: str) -> dict[str, Any]:
        answer = self.get(f"{entity.lower()}/{id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = read(answer)[entity]
        return found

    def query(self, text: str) -> dict[str, Any]:
        answer = self.get("query", query=text)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = read(answer)["QueryResponse"]
        return found

    def ids(self, text: str) -> list[str]:
        found = self.query(text)
        rows = [value for value in found.values() if isinstance(value, list)]
        return [row["Id"] for row in rows[0]] if rows else []

    def refused(self, path: str, body: Any, **params: str) -> str:
        """Post and expect a fault with HTTP 400; its code."""
        answer = self.post(path, body, **params)
        assert answer.status_code == 400, answer.text
        return fault(answer)["code"]

    def switch(self, name: str, value: Any) -> None:
        self.world.set_switch(f"quickbooks.{name}", value)

    # ---- what tests need again and again

    def customer(self, name: str = "Red Rock Diner", **more: Any) -> str:
        return self.books.add_customer(Customer(name=name, **more)).id

    def invoice(self, customer: str, amount: str = "100.00", **more: Any) -> dict[str, Any]:
        return self.save("Invoice", sale(customer, amount, **more))

    def credit(self, customer: str, amount: str = "100.00", **more: Any) -> dict[str, Any]:
        return self.save("CreditMemo", sale(customer, amount, **more))

    def pay(self, customer: str, total: str, *links: tuple[str, str, str], **more: Any) -> dict[str, Any]:
        return self.save("Payment", payment(customer, total, *links, **more))


def read(answer: requests.Response) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(answer.text, parse_float=Decimal)
    return body


def fault(answer: requests.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["Fault"]["Error"][0]
    return error


def money(amount: str) -> float:
    """A literal for a request body; json writes it as it stands."""
    return float(amount)


def sale(customer: str, amount: str, *, tax: str = "NON", **more: Any) -> dict[str, Any]:
    """The smallest body of an invoice or credit memo."""
    detail = {"ItemRef": {"value": "2"}, "TaxCodeRef": {"value": tax}}
    line = {"Amount": money(amount), "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": detail}
    return {"CustomerRef": {"value": customer}, "Line": [line], **more}


def payment(customer: str, total: str, *links: tuple[str, str, str], **more: Any) -> dict[str, Any]:
    """A payment whose links are (TxnType, TxnId, amount)."""
    lines = [
        {"Amount": money(amount), "LinkedTxn": [{"TxnId": id, "TxnType": kind}]} for kind, id, amount in links
    ]
    return {"CustomerRef": {"value": customer}, "TotalAmt": money(total), "Line": lines, **more}


def token_for(world: World, realm: str) -> str:
    """An access token, without walking the consent page."""
    code = world.grants.allow(
        "quickbooks", USERS[0], "sandbox-app", SCOPES, (realm,), "http://localhost/back"
    )
    consent = world.grants.exchange("quickbooks", code, "sandbox-app", "http://localhost/back", "")
    return world.grants.issue(consent, "http://localhost")[0]


@contextmanager
def running(world: World) -> Iterator[str]:
    """The whole sandbox on a free port; the API base of its QuickBooks."""
    with Server(world) as server:
        yield f"{server.url}/quickbooks"
    for session in _sessions:
        session.close()
    _sessions.clear()


_sessions: list[requests.Session] = []


def _session() -> requests.Session:
    session = requests.Session()
    _sessions.append(session)
    return session


def new_world() -> World:
    return World(Clock(TODAY), unthrottled=True)


def found(world: World, base: str, **facts: Any) -> Company:
    """A new company of the world."""
    realm = str(4620816365000000000 + len(world.companies))
    facts = {"name": "Harbour Supplies", "home_currency": "USD", "multicurrency": False} | facts
    books = Ledger(Organization(id=realm, platform="quickbooks", **facts), world.clock)
    world.add(books)
    return Company(world, base, books)
