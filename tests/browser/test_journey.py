"""From the marketplace to a plan that moves when the customer pays, in a real browser, on both ledgers."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from connector import db
from connector.planning import plans
from tests.browser.conftest import Hand, World, clicks_by_task, connect, reviewed, until


@pytest.fixture(scope="module", params=["quickbooks", "xero"])
def platform(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def person(chromium: Browser, world: World, platform: str) -> Iterator[BrowserContext]:
    """One bookkeeper's browser for the whole journey."""
    made = chromium.new_context(base_url=world.url, viewport={"width": 1280, "height": 1000})
    made.set_default_timeout(30_000)
    yield made
    made.close()


@pytest.fixture(scope="module")
def installed(person: BrowserContext, world: World, platform: str) -> str:
    """Installed from the marketplace, and read for the first time; the organization's id."""
    page = person.new_page()
    id = connect(page, world, platform, "install")
    expect(page.locator("h1")).to_contain_text("Getting started")
    # The page follows the first reading by itself.
    expect(page.locator("#seen")).to_contain_text("This is what Forbear sees", timeout=60_000)
    until(lambda: reviewed(world, id), "the first review")
    page.close()
    return id


def _has(world: World, id: str, state: str) -> bool:
    with db.reading(world.engine) as tx:
        return bool(plans.of_connection(tx, id, states=(state,)))


def _draft(world: World, id: str, state: str = "proposed") -> plans.Record:
    with db.reading(world.engine) as tx:
        return plans.of_connection(tx, id, states=(state,))[0]


def _is_split(world: World, id: str) -> bool:
    with db.reading(world.engine) as tx:
        waiting = plans.of_connection(tx, id, states=("proposed",))
    return bool(waiting) and all(p.plan.mode == "split" for p in waiting)


def _books(world: World, platform: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = world.control(f"companies/{world.company(platform)}/documents")
    return found


def _act(world: World, platform: str, **what: object) -> None:
    world.control(f"companies/{world.company(platform)}/act", what)


def _smaller_payments(page: Page, world: World, running: plans.Record) -> None:
    """The running plan, with one payment kept, gets smaller payments: a new version, approved and written."""
    hand = Hand(page)  # the eighth task of docs/usability.md
    hand.find(running.id)
    hand.click(page.locator("summary", has_text="smaller payments"))
    page.locator("#n").fill("8")
    page.locator("#why-new").fill("Fewer orders in winter")
    hand.click(hand.button("Renegotiate"))
    hand.click(page.get_by_role("button", name=re.compile("^Approve and write")))
    assert hand.clicks == clicks_by_task()[8]

    def second() -> bool:
        with db.reading(world.engine) as tx:
            now = plans.get(tx, running.id)
        return now.state == "running" and now.plan.version == 2 and now.draft is None

    until(second, "the second version to run")
    page.goto(f"/plans/{running.id}")
    expect(page.locator("main")).to_contain_text("Fewer orders in winter")


@pytest.mark.journey(
    "install", "first sync", "preview", "two questions", "approve a plan", "double click on approve", "two tabs",
    "the same documents in the ledger", "the plan moves when the customer pays", "renegotiate",
)  # fmt: skip
def test_the_journey(person: BrowserContext, installed: str, world: World, platform: str) -> None:
    page = person.new_page()
    # The two questions, then live.
    hand = Hand(page)
    page.goto(f"/organizations/{installed}/start")
    hand.click(page.get_by_role("radio", name=re.compile("^Accrual")))
    hand.click(page.get_by_role("radio", name=re.compile("^On invoices")))
    hand.click(hand.button("Keep the answers"))
    expect(page.get_by_role("status")).to_contain_text("Your answers are kept")
    page.wait_for_load_state()
    if page.locator("#own").count():
        hand.choose(page.locator("#own"), "off")
    hand.click(hand.button("Go live"))
    expect(page.locator("main")).to_contain_text("Live since")
    assert hand.clicks <= 5  # and Allow, on the ledger's own page: docs/usability.md

    # From the overview to the draft, as a person finds it.
    until(lambda: _is_split(world, installed), "the draft by the answers")
    page.goto("/queue")
    # The queue is of the whole firm: other tests' clients wait there as well.
    page.locator(f".list a[href*='item=plan-{_draft(world, installed).id}']").click()
    page.get_by_role("link", name="Review the plan").click()
    expect(page.locator("h1")).to_contain_text("A plan for")
    expect(page.locator("main")).to_contain_text("Nothing moves")
    plan_url = page.url

    # Two presses within a blink, and a second tab with the same button.
    other = person.new_page()
    other.goto(plan_url)
    before = len(_books(world, platform))
    page.get_by_role("button", name=re.compile("^Approve and write")).dblclick()
    expect(page.locator("h1")).to_contain_text("’s plan")
    other.get_by_role("button", name=re.compile("^Approve and write")).click()
    expect(other.locator("h1")).to_contain_text("’s plan")
    other.close()

    # Written and proven, without a reload.
    expect(page.locator("#live")).to_contain_text("Read back", timeout=60_000)
    expect(page.locator("#live")).to_contain_text("0.00 of", timeout=60_000)
    until(lambda: _has(world, installed, "running"), "the plan to run")
    running = _draft(world, installed, "running")
    numbers = [str(d.get("number", "")) for d in _books(world, platform)]
    ours = [n for n in numbers if "-P" in n]
    assert len(ours) == len(set(ours)), "no document twice"
    assert len(_books(world, platform)) > before

    # The same documents on the ledger's own page.
    first = running.installments[0]
    assert first.invoice_id
    theirs = person.new_page()
    theirs.goto(f"{world.sandbox}/companies/{world.company(platform)}/documents/invoice/{first.invoice_id}")
    expect(theirs.locator("body")).to_contain_text(running.plan.sources[0].number)
    theirs.close()

    # The customer pays in the ledger; a webhook arrives; the open page moves by itself.
    _act(world, platform, act="pay", invoice=first.invoice_id, amount=first.amount)
    expect(page.locator("#live table").first).to_contain_text("✓ Paid", timeout=60_000)
    if (
        platform == "quickbooks"
    ):  # the other ledger's calls of this minute are spent: it would wait for the next
        _smaller_payments(page, world, running)
    page.close()


@pytest.mark.journey("back button")
def test_going_back_after_approving_does_no_harm(
    person: BrowserContext, installed: str, world: World, platform: str
) -> None:
    draft = _draft(world, installed)
    page = person.new_page()
    page.goto(f"/plans/{draft.id}")
    page.goto(f"/organizations/{installed}")
    page.go_back()
    page.get_by_role("button", name="Not now").click()
    expect(page.get_by_role("status")).to_contain_text("put aside")
    page.go_back()
    page.reload()
    expect(page.locator("main")).not_to_contain_text("Approve and write")
    page.close()


@pytest.mark.journey("disconnect and reconnect")
def test_disconnect_and_reconnect(
    person: BrowserContext, installed: str, world: World, platform: str
) -> None:
    page = person.new_page()
    page.goto(f"/organizations/{installed}/settings")
    page.get_by_role("button", name=re.compile("^Disconnect")).click()
    expect(page.locator("main")).to_contain_text("Not connected.")
    again = connect(page, world, platform)
    assert again == installed
    page.goto(f"/organizations/{installed}")
    expect(page.locator("main")).not_to_contain_text("Not connected.")
    page.close()
