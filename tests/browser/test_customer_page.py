"""The customer's own page in a real browser, phone first: everything it offers, in every language, down to the ledger.

The bookkeeper's part (switch it on, make an address, answer) goes through their own pages. No script runs on the
customer's side: the phone has none switched on but for the accessibility check.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request, expect

from connector import db
from connector.connecting import connections
from connector.contact import holds
from connector.customer_page import customer_answers
from connector.domain.letters import variants
from connector.domain.page_words import words
from connector.planning import drafting, plans
from connector.practice import settings
from tests.browser.books import harbor_and_pine
from tests.browser.conftest import World, connect, reviewed, until

NAME = "Alder Landscaping"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
PHONE = {
    "viewport": {"width": 320, "height": 700},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}


@dataclass
class Office:
    """One client on one ledger, with a signed-in bookkeeper."""

    world: World
    platform: str
    id: str
    page: Page

    def trial_balance(self) -> object:
        company = self.world.company(self.platform, NAME)
        return {
            a["name"]: a["months"]
            for a in self.world.control(f"companies/{company}/trial-balance?basis=accrual")["accounts"]
            if any(a["months"].values())
        }

    def address(self, customer: str) -> str:
        """Made by the bookkeeper for everything that this customer has open."""
        self.page.goto(f"/organizations/{self.id}/customers/{customer}")
        self.page.get_by_text(re.compile("^Addresses of the page")).click()
        self.page.get_by_role("button", name="Make an address for what is open").click()
        told = self.page.get_by_role("status").filter(has_text="/c/")
        said = told.inner_text()  # waits for the answer
        found = re.search(r"http://\S+/c/[\w.-]+", said)
        assert found, said
        return found[0]

    def customer(self, name: str) -> str:
        with db.reading(self.world.engine) as tx:
            c = db.customers.c
            query = db.customers.select().where(c.connection_id == self.id, c.name == name)
            return str(tx.execute(query).one().id)


@pytest.fixture(scope="module", params=["quickbooks", "xero"])
def office(request: pytest.FixtureRequest, chromium: Browser, world: World) -> Iterator[Office]:
    platform = str(request.param)
    if NAME not in {c["name"] for c in world.control("companies")}:
        world.control("companies?platform=both", harbor_and_pine(NAME, "USD", "US"))
    context = chromium.new_context(base_url=world.url, viewport={"width": 1280, "height": 1000})
    context.set_default_timeout(30_000)
    page = context.new_page()
    id = connect(page, world, platform, name=NAME)
    until(lambda: reviewed(world, id), "the first review")
    with db.transaction(world.engine) as tx:
        settings.answer(tx, id, income_basis="accrual", sales_tax_basis="accrual", who="Dana", now=db.now())
    page.goto(f"/organizations/{id}/customer-page")
    page.get_by_label("Customers have a page of their own.").check()
    page.get_by_label("A plan within your limits is agreed").check()
    page.get_by_label("Only where the ledger says that the customer is a company.").uncheck()
    page.get_by_label("Up to").fill("9000")
    page.get_by_role("button", name="Keep this").click()
    expect(page.locator(".opening")).to_contain_text("The customer's page is on.")
    yield Office(world, platform, id, page)
    context.close()


@pytest.fixture
def phone(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(**PHONE)  # type: ignore[arg-type]
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


def _check(page: Page, found: list[str]) -> None:
    """Nothing barred from anybody, nothing wider than the phone."""
    page.locator("details").evaluate_all("all => all.forEach(d => d.open = true)")
    for violation in Axe().run(page, options=RULES).response["violations"]:
        nodes = [n["target"] for n in violation["nodes"]][:2]
        found.append(f"{page.url[-20:]}: {violation['id']}: {violation['help']} {nodes}")
    if page.evaluate("document.documentElement.scrollWidth") > 320:
        found.append(f"{page.url[-20:]}: wider than a phone")
    page.locator("details").evaluate_all("all => all.forEach(d => d.open = false)")


def test_from_the_tap_to_the_ledger(office: Office, phone: Page) -> None:
    before, wrong, asked = office.trial_balance(), list[str](), list[str]()
    address = office.address(office.customer("Kim's Bakery"))
    came: list[Request] = []
    phone.on("request", lambda r: asked.append(r.url))
    phone.on("requestfinished", lambda r: came.append(r))
    phone.goto(address, wait_until="networkidle")
    assert len(asked) == 1, asked  # one round trip, and nothing from elsewhere
    assert sum(r.sizes()["responseBodySize"] for r in came) <= 60_000
    assert phone.context.cookies() == []
    _check(phone, wrong)

    # A date: reminders about it rest at once.
    _open(phone, "I will pay on a date")
    phone.locator("#pd").fill("2026-11-30")
    phone.get_by_role("button", name="Note this day").click()
    expect(phone.locator("#told")).to_contain_text("You will pay on November 30, 2026.")
    with db.reading(office.world.engine) as tx:
        promised = holds.promised(tx, office.id, office.customer("Kim's Bakery"))
    assert promised
    assert {p.promised_on.isoformat() for p in promised} == {"2026-11-30"}

    # Spread it: three plans at most, the words, a name; agreed and written by the worker.
    phone.reload()
    _open(phone, "I need to spread it")
    phone.locator("#sa").fill("900")
    phone.get_by_role("button", name="Show me plans").click()
    offered = phone.get_by_role("button", name=re.compile("Read and choose"))
    expect(offered.first).to_be_visible()
    _check(phone, wrong)
    assert 2 <= offered.count() <= 3
    offered.first.click()
    expect(phone.locator(".letter")).to_contain_text("Total payable")
    _check(phone, wrong)
    phone.get_by_label("Your name").fill("Kim Park")
    phone.get_by_label("I have read this and agree to it.").check()
    phone.get_by_role("button", name="Agree to this plan").click()
    expect(phone.locator("#told")).to_contain_text("Your plan is agreed.")
    until(lambda: _running(office), "the plan in the ledger", 150)
    assert office.trial_balance() == before
    until(lambda: "Installment 1" in _text(phone, address), "the installments on the page", 90)
    _check(phone, wrong)
    expect(phone.locator("main")).to_contain_text("Next:")
    assert wrong == []


def _open(page: Page, name: str) -> None:
    page.locator("summary", has_text=name).first.click()


def _text(page: Page, address: str) -> str:
    page.goto(address)
    return page.locator("main").inner_text()


def _running(office: Office) -> bool:
    with db.reading(office.world.engine) as tx:
        found = plans.of_customer(tx, office.id, office.customer("Kim's Bakery"))
    return any(p.state == "running" for p in found)


def test_object_call_change_and_the_bookkeepers_answer(office: Office, phone: Page) -> None:
    customer = office.customer("Lakeshore Diner Group")
    address = office.address(customer)
    before = office.trial_balance()
    phone.goto(address)
    _open(phone, "Something is wrong with it")
    if phone.locator("#dw").count():
        phone.locator("#dw").select_option(index=0)
    phone.locator("#dr").select_option("goods")
    phone.get_by_label("In your words").first.fill("Two boxes <b>were</b> missing")
    phone.locator("#df").set_input_files(
        {"name": "box.jpg", "mimeType": "image/jpeg", "buffer": b"\xff\xd8\xff\xe0" + b"0" * 900}
    )
    phone.get_by_role("button", name="Tell us").click()
    expect(phone.locator("#told")).to_contain_text("You told us that something is wrong with invoice")
    with db.reading(office.world.engine) as tx:
        mine = holds.active(
            tx,
            office.id,
            customer,
            today=connections.today(connections.get(tx, office.id), office.world.config),
        )
    assert [h.reason for h in mine] == ["disputed"]
    _open(phone, "Talk to a person")
    phone.locator("#cr").fill("+1 555 0100")
    phone.get_by_role("button", name="Please get in touch").click()
    expect(phone.locator("#told")).to_contain_text("You asked for a call.")

    page = office.page
    page.goto(f"/queue?organization={office.id}")
    expect(page.locator("main")).to_contain_text("Customers answered, 2")
    expect(page.locator("main")).to_contain_text("Two boxes <b>were</b> missing")
    page.get_by_label("Words for their page, if you like").first.fill("A corrected invoice is on its way.")
    page.get_by_role("button", name="Settled: reminders go on").click()
    expect(page.get_by_role("status")).to_contain_text("The customer's page says so")
    page.get_by_role("button", name="Called back").click()
    expect(page.locator("main")).not_to_contain_text("Called back")
    phone.goto(address)
    expect(phone.locator("#told")).to_contain_text("answered: A corrected invoice is on its way.")
    with db.reading(office.world.engine) as tx:
        assert customer_answers.waiting(tx, [office.id]) == []
    assert office.trial_balance() == before

    # None of the plans fits: something else is asked for.
    wrong = list[str]()
    _open(phone, "I need to spread it")
    phone.locator("#sa").fill("400")
    phone.get_by_role("button", name="Show me plans").click()
    phone.locator("#oa").fill("250")
    phone.get_by_role("button", name="Ask for this").click()
    expect(phone.locator("#told")).to_contain_text("You asked for payments of 250.00 USD a month.")

    # The bookkeeper shows a draft of their own; the yes is enough, and the worker writes it.
    plan_id = _draft(office, customer)
    page.goto(f"/plans/{plan_id}")
    page.get_by_text("Ask for their yes on their own page").click()
    page.get_by_label("Their yes is enough: approve it in my name and write it then.").check()
    page.get_by_role("button", name="Show it on their page").click()
    told = page.get_by_role("status").filter(has_text="/c/")
    expect(told).to_be_visible()
    found = re.search(r"http://\S+/c/[\w.-]+", told.inner_text())
    assert found
    phone.goto(found[0])
    expect(phone.locator("#offered")).to_contain_text("suggests this plan")
    _check(phone, wrong)
    phone.get_by_role("button", name="Read this plan").click()
    expect(phone.locator(".letter")).to_contain_text("Total payable")
    phone.get_by_label("Your name").fill("Lee Shore")
    phone.get_by_label("I have read this and agree to it.").check()
    phone.get_by_role("button", name="Agree to this plan").click()
    expect(phone.locator("#told")).to_contain_text("Your plan is agreed.")
    until(lambda: _state(office, plan_id) == "running", "the plan in the ledger", 150)
    assert office.trial_balance() == before

    # While it runs: a change is asked for, and no more messages.
    until(lambda: "Next:" in _text(phone, found[0]), "the plan on the page", 90)
    _open(phone, "I need to change the plan")
    phone.get_by_label("A later date for the next payment").check()
    phone.get_by_role("button", name="Ask for a change").click()
    expect(phone.locator("#told")).to_contain_text("You asked to change your plan.")
    _open(phone, "Send me no more messages")
    phone.get_by_role("button", name="End the messages").click()
    expect(phone.locator("#told")).to_contain_text("None will be sent.")
    assert wrong == []


def _draft(office: Office, customer: str) -> str:
    """A draft for this customer: the policy's own, or one that a person asks for."""
    with db.transaction(office.world.engine) as tx:
        for record in plans.of_customer(tx, office.id, customer):
            if record.state == "proposed":
                return record.id
        today = connections.today(connections.get(tx, office.id), office.world.config)
        made = drafting.propose_plan(tx, office.id, customer, who="Dana", now=db.now(), today=today)
    return made.id


def _state(office: Office, plan_id: str) -> str:
    with db.reading(office.world.engine) as tx:
        return plans.get(tx, plan_id).state


def test_every_language_reads_on_a_phone(office: Office, phone: Page) -> None:
    half = variants()[::2] if office.platform == "quickbooks" else variants()[1::2]
    address, wrong = office.address(office.customer("Lakeshore Diner Group")), list[str]()
    for variant in half:
        with db.transaction(office.world.engine) as tx:
            kept = settings.load(tx, office.id)
            policy = replace(kept.policy, letters=replace(kept.policy.letters, language=variant))
            settings.save_policy(tx, office.id, policy, revision=kept.revision, who="Dana", now=db.now())
        phone.emulate_media(color_scheme="dark" if variant in ("de", "fr") else "light")
        phone.goto(address)
        expect(phone.locator("h2").filter(has_text=words(variant).say("choose"))).to_have_count(1)
        assert phone.locator("html").get_attribute("lang") == variant
        _check(phone, wrong)
    assert wrong == []


def test_a_preview_sends_nothing(office: Office) -> None:
    office.page.goto(f"/organizations/{office.id}/customers/{office.customer('Elm Street Deli')}/page")
    assert office.page.locator("button:enabled").count() == 0
