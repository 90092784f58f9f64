"""Around one customer on the pages: two presses for what was heard, files to take, fees, and their data as a person."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from connector import db
from connector.contact import charges, charging, contacts, holds, reminders
from connector.domain.policy import load
from connector.mirroring import sync
from connector.practice import settings
from connector.record import audit
from tests.web.office import TODAY, Browser, Office


@pytest.fixture
def page(office: Office) -> tuple[Browser, str, str]:
    """A bookkeeper at Corner Cafe, who owes 1,150.00; nothing is judged yet."""
    browser = office.browser()
    browser.connect("quickbooks")
    id = office.connection("quickbooks")
    sync.sync(office.engine, office.config, id)
    with db.reading(office.engine) as tx:
        c = db.customers.c
        customer = tx.scalar(sa.select(c.id).where(c.name == "Corner Cafe"))
    return browser, id, f"/organizations/{id}/customers/{customer}"


def test_what_was_heard_is_kept_with_one_press(office: Office, page: tuple[Browser, str, str]) -> None:
    browser, id, address = page
    shown = browser.get(address).text
    assert "asked for time" in shown
    browser.post(f"{address}/heard", address, what="extension_asked", note="until the 5th")
    browser.post(f"{address}/heard", address, what="call")
    assert browser.post(f"{address}/heard", address, what="sulked").status_code == 400
    with db.reading(office.engine) as tx:
        [signal] = contacts.heard(tx, id)
        assert (signal.what, signal.note, signal.who) == ("extension_asked", "until the 5th", "Robin Hale")
        kept = reminders.contacts(reminders.of_customer(tx, id, signal.customer_id))
    assert len(kept) == 1  # the call counts against the cap, what was heard does not


def test_a_credit_limit_is_entered_and_taken_back(page: tuple[Browser, str, str]) -> None:
    browser, _, address = page
    assert "No credit limit is known." in browser.get(address).text
    for amount, answer in (
        ("a lot", "write the limit as a number"),
        ("1.000,00", "It counts before the ledger"),
    ):
        browser.post(f"{address}/limit", address, amount=amount)
        assert answer in browser.get(address).text
    shown = browser.get(address).text
    assert "Limit <b>$1,000.00</b>, entered by Robin Hale on" in shown
    assert "$1,150.00 of a limit of $1,000.00 is open." in shown
    browser.post(f"{address}/limit", address, back="yes")
    assert "No credit limit is known." in browser.get(address).text
    assert browser.post(f"{address}0/limit", address, amount="5").status_code == 404


def test_everything_on_record_as_a_file(page: tuple[Browser, str, str]) -> None:
    browser, _, address = page
    assert browser.get(f"{address}/evidence.pdf").data.startswith(b"%PDF")
    assert "Corner Cafe" in browser.get(f"{address}/evidence.txt").text
    assert json.loads(browser.get(f"{address}/evidence.json").text)["customer"]["name"] == "Corner Cafe"
    assert browser.get(f"{address}/evidence.exe").status_code == 404


def test_the_demand_letter_is_looked_at_then_taken(office: Office, page: tuple[Browser, str, str]) -> None:
    browser, id, address = page
    shown = browser.get(f"{address}/demand").text
    assert "We ask you to pay 1,150.00 USD by December 5, 2026." in shown
    taken = browser.post(f"{address}/demand", f"{address}/demand", **{"as": "pdf"})
    assert taken.data.startswith(b"%PDF")
    with db.transaction(office.engine) as tx:
        agreed = load({"charges": {"clause": "Terms, 7", "fee_amount": "20"}})
        settings.save_policy(tx, id, agreed, revision=settings.load(tx, id).revision, who="Ann", now=db.now())
    assert "Late fee: as agreed in Terms, 7." in browser.get(f"{address}/demand").text
    assert "We ask you to pay 1,150.00 USD by" in browser.get(f"{address}/demand?alone=yes").text
    with db.transaction(office.engine) as tx:
        assert "drew up a demand letter" in [e.what for e in audit.of_connection(tx, id, limit=2)]
        holds.put(tx, id, address.rpartition("/")[2], "insolvency", who="Ann", now=db.now())
    assert "On hold: the customer is insolvent." in browser.get(f"{address}/demand").text


def test_a_fee_is_charged_and_waived_on_the_page(office: Office, page: tuple[Browser, str, str]) -> None:
    browser, id, address = page
    rules = f"/organizations/{id}/charges"
    form = {
        "revision": "0",
        "clause": "Terms, 7",
        "fee_amount": "20",
        "fee_after_days": "14",
        "early_days": "10",
    }
    form |= {"late_fee.account": "1", "late_fee.item": "1", "late_fee.tax_code": "NON"}
    assert "needs the clause" in _said(browser, rules, **form | {"clause": ""})
    assert "Kept. It counts from now on." in _said(browser, rules, **form)
    shown = browser.get(f"{address}/charges").text
    assert "20.00 USD, once," in shown
    customer = address.rpartition("/")[2]
    with db.reading(office.engine) as tx:
        [offer] = charging.offered(tx, id, customer, today=TODAY)
    _said(browser, f"{address}/charges", key=offer.key, amount="1")  # not what was shown
    with db.reading(office.engine) as tx:
        assert charges.of_customer(tx, id, customer) == []
    _said(browser, f"{address}/charges", key=offer.key, amount=str(offer.amount))
    with db.reading(office.engine) as tx:
        [charge] = charges.of_customer(tx, id, customer)
    assert charge.state == "approved"
    assert "Write down why" in _said(browser, f"{address}/charges", waive=str(charge.id), why="")
    assert "Waived." in _said(browser, f"{address}/charges", waive=str(charge.id), why="a slip of ours")
    with db.reading(office.engine) as tx:
        assert charges.get(tx, charge.id).state == "waived"


def test_a_rate_is_entered_with_its_source(office: Office, page: tuple[Browser, str, str]) -> None:
    browser, id, _ = page
    with db.transaction(office.engine) as tx:
        policy = load({"country": "DE"})
        settings.save_policy(tx, id, policy, revision=0, who="Ann", now=db.now())
    rules = f"/organizations/{id}/charges"
    assert "Gazzetta Ufficiale 15 of 20 January 2026" in browser.get(rules).text
    rate = {
        "revision": "1",
        "rate_from": "2026-07-01",
        "rate_percent": "2.15",
        "rate_source": "our accountant",
    }
    _said(browser, rules, **rate)
    with db.reading(office.engine) as tx:
        [own] = settings.load(tx, id).policy.charges.own_rates
    assert (own.regime, own.source) == ("EU", "our accountant")


def test_personal_data_as_a_file_and_erased(office: Office, page: tuple[Browser, str, str]) -> None:
    browser, id, address = page
    customer = address.rpartition("/")[2]
    browser.post(f"{address}/heard", address, what="replied", note="is moving house")
    held = json.loads(browser.get(f"{address}/personal.json").text)
    assert held["on_record"]["contacts"][0]["words"] == "is moving house"
    assert "write the customer" in _said(browser, f"{address}/personal", name="Corner")
    _said(browser, f"{address}/personal", name="Corner Cafe")
    held = json.loads(browser.get(f"{address}/personal.json").text)
    assert "moving house" not in json.dumps(held)
    assert held["record"]["email"] == ""
    assert [i["number"] for i in held["on_record"]["invoices"]] == ["1001"]  # accounting records stay
    with db.reading(office.engine) as tx:
        assert [h.reason for h in holds.active(tx, id, customer, today=TODAY)] == ["data_request"]
        assert audit.verify(tx) == []


def _said(browser: Browser, address: str, **form: str) -> str:
    """What the page says after posting this form."""
    page = address if not address.endswith("/personal") else address.removesuffix("/personal")
    browser.post(address, page, **form)
    return browser.get(page).text
