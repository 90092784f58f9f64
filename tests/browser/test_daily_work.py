"""What a bookkeeper does now and then, in a real browser: decide about a customer, words, fees, letters, permissions, data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from connector import db
from connector.connecting import connections
from connector.planning import plans
from tests.browser.conftest import COMPANIES, Home, World, choose, connect, reviewed, until

ELSEWHERE = "Somebody Else"  # a client of its own for what ends with nothing left


@pytest.fixture
def page(chromium: Browser, world: World, home: Home) -> Iterator[Page]:
    context = home.browser(chromium, world)
    yield context.new_page()
    context.close()


@pytest.fixture
def elsewhere(chromium: Browser, world: World) -> Iterator[Page]:
    """Somebody who is not signed in yet, and connects the client that ends with nothing left."""
    context = chromium.new_context(base_url=world.url)
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


def _customer(page: Page, home: Home, name: str) -> None:
    page.goto(f"/organizations/{home.id}/customers?q={name.replace(' ', '+')}")
    page.get_by_role("link", name=name).first.click()
    expect(page.locator("h1")).to_contain_text(name)


@pytest.mark.journey("kind override")
def test_a_person_who_knows_better_says_so_and_takes_it_back(page: Page, home: Home) -> None:
    _customer(page, home, "Golden Crust Pizzeria")
    kind = page.locator("#kind")
    page.get_by_text("You know them better?").click()
    page.get_by_label("They are").select_option("chronic")
    page.get_by_label("Why, in one line").fill("Their other supplier waits, too")
    page.get_by_role("button", name="See them so").click()
    expect(kind).to_contain_text("sees this otherwise")
    expect(page.locator("h1")).to_contain_text("Chronic, set by")
    page.get_by_role("button", name="Leave it to the books again").click()
    expect(page.locator("h1")).not_to_contain_text("set by")


@pytest.mark.journey("policy tried before it is kept")
def test_a_policy_shows_what_it_would_do_while_it_is_edited(page: Page, home: Home) -> None:
    page.goto(f"/organizations/{home.id}/settings")
    shown = page.locator("#tomorrow")
    expect(shown).to_contain_text("What it does next")
    page.locator("#per_week").fill("0")
    expect(shown).to_contain_text("What this would do")  # by itself, without a press
    expect(shown).to_contain_text("The policy lets no message leave.")
    page.locator("#per_week").fill("99")
    expect(shown).to_contain_text("That cannot be kept: should be between 0 and 7.")
    page.reload()
    expect(page.locator("#per_week")).to_have_value("2")  # nothing was kept


@pytest.mark.journey("policy tried at many clients")
def test_a_policy_for_many_is_shown_at_work_before_it_is_saved(page: Page, home: Home) -> None:
    page.goto("/policy")
    shown = page.locator("#tomorrow")
    page.locator("#per_week").fill("0")
    page.get_by_role("button", name="Show what it would do").click()
    expect(shown).to_contain_text("1 of 1 client")
    expect(shown).to_contain_text("differently")
    expect(page).to_have_url(re.compile("/policy$"))  # without a reload
    shown.locator("summary").first.click()
    expect(shown).to_contain_text("The policy lets no message leave.")
    page.locator("#per_week").fill("2")
    expect(shown).to_contain_text("Nobody fares differently")  # once begun, it follows by itself
    page.locator("input[name=client]").uncheck()
    expect(shown).to_contain_text("Tick at least one client.")
    page.reload()
    expect(page.locator("#per_week")).to_have_value("2")


def test_a_try_whose_answer_is_lost_is_answered_by_a_page(page: Page, home: Home) -> None:
    page.goto("/policy")
    page.route("**/*", lambda way: way.abort() if way.request.resource_type == "fetch" else way.continue_())
    page.get_by_role("button", name="Show what it would do").click()
    expect(page.locator("#tomorrow")).to_contain_text("1 of 1 client")


@pytest.mark.journey("texts: live preview, refused wording")
def test_a_harsh_text_is_seen_and_refused_and_a_kind_one_kept(page: Page, home: Home) -> None:
    page.goto(f"/organizations/{home.id}/texts")
    field, tried = page.locator("#text"), page.locator("#tried")
    shipped = field.input_value()
    expect(tried).to_contain_text("Nothing speaks against it")
    field.fill(f"{shipped} Pay today or we will call the police.")
    expect(tried).to_contain_text("It is not kept and never sent like this")
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("status")).to_be_visible()
    expect(field).to_have_value(re.compile("police"))  # what was written is not lost
    expect(page.locator(".opening")).to_contain_text("This is the shipped text.")
    field.fill(f"{shipped} Thank you.")
    expect(tried).to_contain_text("Nothing speaks against it")
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("status")).to_contain_text("Your text is kept")
    page.get_by_role("button", name="Back to the shipped text").click()
    expect(page.get_by_role("status")).to_contain_text("The shipped text counts again")


@pytest.mark.journey("charges")
def test_a_fee_is_offered_only_by_the_rules_and_never_posted_by_itself(page: Page, home: Home) -> None:
    page.goto(f"/organizations/{home.id}/charges")
    page.get_by_label("A late fee of").fill("25.00")
    page.get_by_role("button", name="Keep the rules").click()
    expect(page.get_by_role("status")).to_contain_text("Nothing was changed")  # without the clause
    page.get_by_label("Customers agreed to charges in").fill("Terms of 2025-01, section 7")
    page.get_by_label("A late fee of").fill("25.00")
    page.get_by_role("button", name="Keep the rules").click()
    expect(page.get_by_role("status")).not_to_contain_text("Nothing was changed")
    page.goto(f"/organizations/{home.id}/customers/{home.customer}/charges")
    expect(page.locator("main")).to_contain_text("Late fee, $25.00")
    expect(page.locator("main")).to_contain_text("Nothing is posted before you approve it")


@pytest.mark.journey("remove what Forbear wrote", "demand letter")
def test_a_plan_is_removed_after_a_look_and_then_a_demand_letter_can_be_drawn_up(
    elsewhere: Page, world: World
) -> None:
    page = elsewhere
    id = connect(page, world, "quickbooks", name=ELSEWHERE)
    until(lambda: reviewed(world, id), "the first review")
    with db.reading(world.engine) as tx:
        plan = plans.of_connection(tx, id, states=("proposed",))[0]
    page.goto(f"/plans/{plan.id}")
    page.get_by_role("button", name=re.compile("^Approve and write")).click()
    until(lambda: _state(world, plan.id) == "running", "the plan to run")
    page.goto(f"/organizations/{id}/remove?plan={plan.id}")
    expect(page.locator(".opening")).to_contain_text("1 plan would end.")
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_role("status")).to_contain_text("It is being removed")
    expect(page.locator("#live")).to_contain_text("This plan has ended.", timeout=60_000)

    page.goto(f"/organizations/{id}/customers/{plan.plan.customer_id}")
    page.get_by_role("link", name="Formal demand letter").click()
    expect(page.locator(".opening")).to_contain_text("Forbear never sends it.")
    with page.expect_download() as taken:
        page.get_by_role("button", name="Take it as PDF").click()
    assert Path(taken.value.path()).read_bytes().startswith(b"%PDF")


def _state(world: World, plan_id: str) -> str:
    with db.reading(world.engine) as tx:
        return plans.get(tx, plan_id).state


@pytest.mark.journey("deny on the consent page", "already installed")
def test_saying_no_and_installing_again_change_nothing(page: Page, world: World, home: Home) -> None:
    page.goto("/install/quickbooks")
    page.locator("button[value=deny]").click()
    expect(page.locator("h1")).to_have_text("QuickBooks was not connected.")
    expect(page.locator("main")).to_contain_text("Nothing was read and nothing was stored.")
    page.get_by_role("link", name="Connect to QuickBooks").click()
    choose(page, world, "quickbooks", COMPANIES[1])
    page.locator("button[value=allow]").click()
    expect(page.get_by_role("status")).to_contain_text("was connected already to QuickBooks")
    expect(page).to_have_url(re.compile(f"/organizations/{home.id}"))


@pytest.mark.journey("permission taken away", "reconnect", "data as a file", "erase")
def test_a_lost_permission_is_said_and_mended_and_in_the_end_nothing_is_left(
    elsewhere: Page, world: World
) -> None:
    page = elsewhere
    id = connect(page, world, "quickbooks", name=ELSEWHERE)
    until(lambda: _read(world, id), "the first reading")
    world.control("tokens", {"disconnect": world.company("quickbooks", ELSEWHERE)})
    page.goto(f"/organizations/{id}")
    page.get_by_role("button", name="Read QuickBooks now").click()
    expect(page.locator("#live")).to_contain_text("Not connected.", timeout=60_000)
    page.get_by_role("link", name="Reconnect to QuickBooks").click()
    choose(page, world, "quickbooks", ELSEWHERE)
    page.locator("button[value=allow]").click()
    expect(page.get_by_role("status")).to_contain_text("is connected to QuickBooks")
    expect(page).to_have_url(re.compile(f"/organizations/{id}"))  # the same client, with its history

    page.goto(f"/organizations/{id}/data")
    with page.expect_download() as taken:
        page.get_by_role("link", name="Download everything").click()
    assert ELSEWHERE in json.dumps(json.loads(Path(taken.value.path()).read_text()))
    expect(page.locator("#erase")).to_contain_text("First disconnect from QuickBooks")
    page.get_by_role("link", name="disconnect from QuickBooks").click()
    page.get_by_role("button", name="Disconnect from QuickBooks").click()
    expect(page.locator("main")).to_contain_text("Not connected.")
    page.goto(f"/organizations/{id}/data")
    name = page.get_by_label("Type the client's name")
    name.fill("Somebody")
    page.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_role("status")).to_contain_text("Nothing was erased")
    name.fill(ELSEWHERE)
    page.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_role("status")).to_contain_text("Forbear's data of Somebody Else is erased")
    page.goto(f"/organizations/{id}")
    expect(page.locator("main")).to_contain_text("There is no such page")


def _read(world: World, id: str) -> bool:
    with db.reading(world.engine) as tx:
        return connections.get(tx, id).last_sync_at is not None
