"""The company pages: what they show, and that their buttons do what a customer or a bookkeeper would."""

from __future__ import annotations

from html import unescape

import pytest
import requests

from sandbox.organization import Platform
from sandbox.server import Server
from sandbox.world import World
from tests.sandbox.conftest import a_company

REALM = "9130000000000001"
TENANT = "5d7e0000-0000-4000-a000-000000000001"
BOTH: tuple[Platform, ...] = ("quickbooks", "xero")


@pytest.fixture(params=BOTH)
def books(request: pytest.FixtureRequest, world: World) -> str:
    return a_company(world, request.param).organization.id


def page(server: Server, path: str) -> str:
    found = requests.get(server.url + path, timeout=120)
    assert found.status_code == 200, found.text
    return unescape(found.text)


def press(server: Server, books: str, **form: str) -> str:
    done = requests.post(f"{server.url}/companies/{books}/act", data=form, timeout=120)
    assert done.status_code == 200
    return unescape(done.text)


def test_every_page_shows_its_figures(server: Server, world: World, books: str) -> None:
    ledger = world.companies[books]
    invoice = ledger.invoices.in_order()[0]
    base = f"/companies/{books}"
    assert "Corner Bakery" in page(server, "/")
    for path in (
        "",
        "/documents",
        "/aged",
        f"/customers/{invoice.customer}",
        f"/documents/invoice/{invoice.id}",
    ):
        assert "1,150.00" in page(server, base + path), path
    assert "\N{MINUS SIGN}1,000.00" in page(server, base + "/trial-balance")
    assert "150.00" in page(server, base + "/journal")
    assert "Nothing is posted" in page(server, base + "/journal?basis=cash")
    missing = [
        f"{base}/documents/invoice/none",
        f"{base}/documents/unicorn/1",
        f"{base}/customers/none",
        "/companies/none",
    ]
    for path in missing:
        assert requests.get(server.url + path, timeout=120).status_code == 404


def test_the_customer_pays_short_and_then_in_full(server: Server, world: World, books: str) -> None:
    invoice = world.companies[books].invoices.in_order()[0]
    back = f"/companies/{books}/documents/invoice/{invoice.id}"
    told = press(server, books, act="pay", invoice=invoice.id, amount="300.00", back=back)
    assert "850.00" in told
    assert "Paid." in told
    assert invoice.balance == 85000
    press(server, books, act="pay", invoice=invoice.id, back=back)
    assert invoice.balance == 0


def test_the_bookkeeper_edits_credits_notes_and_closes(server: Server, world: World, books: str) -> None:
    ledger = world.companies[books]
    invoice = ledger.invoices.in_order()[0]
    press(
        server,
        books,
        act="edit",
        kind="invoice",
        id=invoice.id,
        due="2026-12-24",
        private_note="spoke to Ann",
    )
    assert (str(invoice.due), invoice.private_note) == ("2026-12-24", "spoke to Ann")
    press(server, books, act="credit", invoice=invoice.id, amount="115.00")
    assert invoice.balance == 103500
    [note] = ledger.credit_notes.in_order()
    assert (note.net, note.tax, note.balance) == (10000, 1500, 0)
    told = press(
        server, books, act="note", kind="invoice", id=invoice.id, text="Called.",
        back=f"/companies/{books}/documents/invoice/{invoice.id}",
    )  # fmt: skip
    assert "Called." in told
    press(server, books, act="close", until="2026-08-31")
    refused = press(server, books, act="void", kind="invoice", id=invoice.id)
    assert "The ledger refuses: The books are closed to 2026-08-31" in refused
    press(server, books, act="close", until="")
    assert ledger.organization.closed_until is None


def test_voiding_follows_the_platform(server: Server, world: World, books: str) -> None:
    ledger = world.companies[books]
    invoice = ledger.invoices.in_order()[0]
    press(server, books, act="pay", invoice=invoice.id, amount="1")
    told = press(server, books, act="void", kind="invoice", id=invoice.id)
    quickbooks = ledger.organization.platform == "quickbooks"
    assert ("Voided." in told) == quickbooks
    assert ("Payments or credits are allocated" in told) == (not quickbooks)


@pytest.mark.parametrize("amount", ["", "abc", "-5", "99999999"])
def test_an_amount_that_makes_no_sense_changes_nothing(
    server: Server, world: World, books: str, amount: str
) -> None:
    ledger = world.companies[books]
    invoice = ledger.invoices.in_order()[0]
    told = press(
        server, books, act="credit" if amount == "99999999" else "pay", invoice=invoice.id, amount=amount
    )
    if amount:
        assert "refuses" in told
        assert invoice.balance == 115000


def test_a_page_never_leads_elsewhere_nor_runs_what_it_shows(
    server: Server, world: World, books: str
) -> None:
    invoice = world.companies[books].invoices.in_order()[0]
    done = requests.post(
        f"{server.url}/companies/{books}/act", timeout=120, allow_redirects=False,
        data={"act": "pay", "invoice": invoice.id, "amount": "1", "back": "https://evil.example/"},
    )  # fmt: skip
    assert done.headers["Location"].startswith(f"/companies/{books}?")
    press(server, books, act="note", kind="invoice", id=invoice.id, text="<script>alert(1)</script>")
    raw = requests.get(f"{server.url}/companies/{books}/documents/invoice/{invoice.id}", timeout=120).text
    assert "<script>" not in raw
