"""Every page, found through the addresses of the application itself: no accessibility violation in either theme,
nothing wider than a phone, readable from right to left and in print, no error in the console, little weight.

Each page is opened once and looked at in every way; the tests below each read their part of what was seen.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlencode

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, Request, expect

from connector import db
from connector.mirroring import books
from connector.planning import plans
from connector.practice import people
from tests.browser.conftest import COMPANIES, Hand, Home, World, clicks_by_task

COLORS = {
    "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
    "resultTypes": ["violations"],
}  # a theme changes nothing but colors
RULES = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}

NO_PAGES = {  # answers that are no page of ours; addresses of files (with a dot) are left out by themselves
    "static", "health.process", "health.parts", "health.metrics", "connect.start", "connect.callback",
    "pages.open_in_ledger", "pages.answer_file",
}  # fmt: skip
OTHERWISE_SEEN = ("customer.",)  # the customer's own page has tests of its own
QUERIES = {"pages.find": {"q": "e"}, "pages.customers": {"q": ""}}
AXE_RUN = """async rules => (await axe.run(document, rules)).violations
    .map(v => [v.id, v.help, v.nodes.slice(0, 2).map(n => n.target)])"""  # all else it found stays in the page
STILL = "window.setInterval = () => 0"  # a page that renews itself while it is measured is no measure
WEIGHED = ("/", "/queue")  # and the organization, a customer and a draft, below


@pytest.fixture(scope="module")
def addresses(world: World, home: Home) -> dict[str, str]:
    """Every page of the firm's one client, by its endpoint."""
    known = {
        "connection_id": home.id, "customer_id": home.customer, "plan_id": home.draft, "token": home.token,
        "name": "xero",
    }  # fmt: skip
    return _addresses(world, known) | {"nothing": "/no-such-page"}


def _addresses(world: World, known: dict[str, str]) -> dict[str, str]:
    """Every page that the application has. A new one is looked at by itself; a new kind of parameter is asked for."""
    found = {}
    for rule in world.app.url_map.iter_rules():
        if (
            "GET" not in (rule.methods or ())
            or rule.endpoint in NO_PAGES
            or rule.endpoint.startswith(OTHERWISE_SEEN)
            or "." in rule.rule
        ):
            continue
        unknown = rule.arguments - known.keys()
        assert not unknown, (
            f"{rule.rule}: say in test_pages.addresses what {unknown} stands for, or that it is no page"
        )
        with world.app.test_request_context(base_url=world.url):
            address = world.app.url_for(
                rule.endpoint, **{a: known[a] for a in rule.arguments}, _external=False
            )
        query = urlencode(QUERIES.get(rule.endpoint, {}))
        found[rule.endpoint] = f"{address}?{query}" if query else address
    return found


@dataclass
class Seen:
    """What was noticed on all pages, by what it concerns."""

    problems: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    pages: int = 0


@pytest.fixture(scope="module")
def seen(chromium: Browser, world: World, home: Home, addresses: dict[str, str]) -> Seen:
    """Look at every page once. Scripts run; every folded part is open while axe looks."""
    found = Seen()
    context = home.browser(chromium, world, viewport={"width": 1280, "height": 1000})
    context.add_init_script(STILL)
    page = context.new_page()
    here = ""
    page.on(
        "console",
        lambda m: (
            found.problems["console"].append(f"{here}: {m.text}")
            if m.type == "error" and here != "nothing"
            else None
        ),
    )
    page.on("pageerror", lambda e: found.problems["console"].append(f"{here}: {e}"))
    page.on(
        "request",
        lambda r: (
            found.problems["elsewhere"].append(f"{here}: {r.url}")
            if not r.url.startswith((world.url, "data:"))
            else None
        ),
    )
    for name, address in addresses.items():
        here = name
        page.set_viewport_size({"width": 1280, "height": 1000})
        page.emulate_media(color_scheme="light", media="screen", reduced_motion="reduce")
        answer = page.goto(address)
        if not answer or answer.status != (404 if name == "nothing" else 200):
            found.problems["broken"].append(f"{name}: {answer.status if answer else 'no answer'}")
        expect(page.locator("[data-first]")).to_have_count(0)  # what a page fetches after it came
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        _axe(page, RULES, f"{name}, light", found)
        page.emulate_media(color_scheme="dark")
        _axe(page, COLORS, f"{name}, dark", found)
        page.emulate_media(color_scheme="light")
        for width in (320, 390):
            page.set_viewport_size({"width": width, "height": 800})
            _narrow(page, width, f"{name} at {width}", found)
        page.evaluate("document.documentElement.dir = 'rtl'")
        _narrow(page, 390, f"{name} from right to left", found)
        page.set_viewport_size({"width": 794, "height": 1123})  # A4 at 96 dots an inch
        page.evaluate("document.documentElement.dir = 'ltr'")
        page.emulate_media(media="print")
        _narrow(page, 794, f"{name} in print", found, "print")
        if page.locator("nav[aria-label=Main]").is_visible() or page.locator("h1, .opening").count() == 0:
            found.problems["print"].append(f"{name}: the navigation is printed, or there is nothing to read")
        found.pages += 1
    context.close()
    return found


def _axe(page: Page, rules: dict[str, object], what: str, found: Seen) -> None:
    """Once in a page is enough for the program itself; the second theme asks it again."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE_SCRIPT)
    for id, help, nodes in page.evaluate(AXE_RUN, rules):
        found.problems["axe"].append(f"{what}: {id}: {help} {nodes}")


def _narrow(page: Page, width: int, what: str, found: Seen, kind: str = "wide") -> None:
    if (real := page.evaluate("document.documentElement.scrollWidth")) > width:
        found.problems[kind].append(f"{what}: {real} pixels wide")


@pytest.fixture
def page(chromium: Browser, world: World, home: Home) -> Iterator[Page]:
    context = home.browser(chromium, world)
    yield context.new_page()
    context.close()


def _none(seen: Seen, kind: str) -> None:
    assert seen.pages > 20
    assert not seen.problems[kind], "\n".join(seen.problems[kind])


def test_every_address_answers(seen: Seen) -> None:
    _none(seen, "broken")


def test_no_accessibility_violation_in_either_theme(
    seen: Seen, record_property: Callable[[str, object], None]
) -> None:
    record_property("axe_violations", len(seen.problems["axe"]))
    _none(seen, "axe")


def test_no_page_is_wider_than_a_phone_in_either_direction(seen: Seen) -> None:
    _none(seen, "wide")


def test_pages_can_be_printed(seen: Seen) -> None:
    _none(seen, "print")


def test_no_page_complains_in_the_console(seen: Seen) -> None:
    _none(seen, "console")


def test_no_page_asks_elsewhere(seen: Seen) -> None:
    _none(seen, "elsewhere")


@pytest.mark.journey("keyboard only")
def test_the_first_tab_leads_to_the_content_and_arrows_move_in_the_queue(page: Page) -> None:
    page.goto("/queue")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("To the content")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#main$"))
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    links = page.locator(".list li a")
    links.first.focus()
    page.keyboard.press("j")
    expect(links.nth(1)).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(links.first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".list a[aria-current]")).to_have_count(1)
    expect(page).to_have_url(re.compile("item="))


def test_the_queue_is_one_pane_on_a_phone(chromium: Browser, world: World, home: Home) -> None:
    context = home.browser(chromium, world, viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto("/queue")
    expect(page.locator(".detail")).to_be_hidden()
    page.locator(".list li a").first.click()
    expect(page.locator(".detail")).to_be_visible()
    expect(page.locator(".list")).to_be_hidden()
    page.get_by_role("link", name="Back to the list").click()
    expect(page.locator(".list")).to_be_visible()
    context.close()


@pytest.mark.journey("without scripts")
def test_without_scripts_everything_reads_and_decides(chromium: Browser, world: World, home: Home) -> None:
    context = home.browser(chromium, world, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"/plans/{home.draft}")
    expect(page.locator("main")).to_contain_text("What changes in the books")
    page.locator("button[name=choose]").first.click()
    expect(page.locator("h1")).to_contain_text("A plan for")
    context.close()


def test_a_page_weighs_little(chromium: Browser, world: World, home: Home) -> None:
    """At most 100 KB over the wire, fonts and all, on a first visit to the page."""
    own = f"/organizations/{home.id}"
    heavy = {}
    for address in (*WEIGHED, own, f"{own}/customers/{home.customer}", f"/plans/{home.draft}"):
        context = home.browser(chromium, world)
        context.add_init_script(STILL)
        page = context.new_page()
        came: list[Request] = []
        page.on("requestfinished", lambda r, came=came: came.append(r))
        page.goto(address, wait_until="networkidle")
        sizes = {r.url: r.sizes()["responseBodySize"] for r in came}  # the icon is asked for twice, and kept
        files = [url.split("?")[0] for url in sizes]
        context.close()
        if sum(sizes.values()) > 100_000:
            heavy[address] = sum(sizes.values())
        assert len(files) == len(set(files)), f"something was fetched twice: {sorted(files)}"
    assert not heavy


# ---------------------------------------------------------------- rights and sessions


@pytest.mark.journey("wrong rights")
def test_a_reader_sees_why_nothing_can_be_approved(chromium: Browser, world: World, home: Home) -> None:
    context = world.sign_in(chromium, "rita", {home.id: "read"})
    page = context.new_page()
    page.goto(f"/plans/{home.draft}")
    expect(page.get_by_role("region", name="Decision")).to_contain_text("Approving needs the right to act")
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    page.goto(f"/organizations/{home.id}/customers/{home.customer}")
    expect(page.get_by_role("button", name="Draft a plan")).to_have_count(0)
    page.goto(f"/organizations/{home.id}/settings")
    expect(page.get_by_role("button", name="Keep the policy")).to_be_disabled()
    stranger = world.sign_in(chromium, "stan", {})
    other = stranger.new_page()
    other.goto(f"/organizations/{home.id}")
    expect(other.locator("main")).to_contain_text("belongs to an organization that you may not see")
    stranger.close()
    context.close()


@pytest.mark.journey("expired session")
def test_a_press_after_the_session_ended_does_nothing_and_says_so(
    chromium: Browser, world: World, home: Home
) -> None:
    context = world.sign_in(chromium, "ada", {home.id: "act"})
    page = context.new_page()
    page.goto(f"/plans/{home.draft}")
    with db.transaction(world.engine) as tx:
        members = people.members(tx, home.id)
        people.sign_out_everywhere(tx, next(p.id for p, _ in members if p.name == "Ada"), db.now())
    page.get_by_role("button", name="Approve and write").click()
    expect(page.get_by_role("status")).to_contain_text("nothing was done")
    expect(page.get_by_role("link", name="Continue with QuickBooks")).to_be_visible()
    with db.reading(world.engine) as tx:
        assert plans.get(tx, home.draft).state == "proposed"
    context.close()


@pytest.mark.journey("sign out everywhere")
def test_signing_out_everywhere_ends_the_other_browser(chromium: Browser, world: World, home: Home) -> None:
    here = world.sign_in(chromium, "una", {home.id: "read"})
    there = world.sign_in(chromium, "una", {home.id: "read"})
    other = there.new_page()
    other.goto("/queue")
    page = here.new_page()
    page.goto("/account")
    page.get_by_role("button", name="Sign out everywhere").click()
    expect(page.get_by_role("status")).to_contain_text("You are signed out")
    other.goto("/queue")
    expect(other).to_have_url(re.compile("/sign-in$"))
    here.close()
    there.close()


@pytest.mark.journey("invitation")
def test_an_invitation_is_for_one_person(page: Page, chromium: Browser, world: World, home: Home) -> None:
    page.goto(f"/organizations/{home.id}/settings")
    page.locator("#invite-role").select_option("act")
    page.get_by_role("button", name="Make a link").click()
    link = page.locator("#link").input_value()
    guest, late = (world.sign_in(chromium, who, {}) for who in ("gus", "lea"))
    joining = guest.new_page()
    joining.goto(link)
    expect(joining.locator("main")).to_contain_text("approve plans")
    joining.get_by_role("button", name="Join").click()
    expect(joining.locator("h1")).to_contain_text(COMPANIES[1])
    second = late.new_page()
    second.goto(link)
    expect(second.locator("main")).to_contain_text("Somebody has used this link already")
    guest.close()
    late.close()


# ---------------------------------------------------------------- ten tasks, without a manual


def _tasks(hand: Hand, who: str, draft: str, client: str) -> Iterator[int]:
    """Walk each way of docs/usability.md; yields the task's number when it is done."""
    page = hand.page
    expect(page.locator("main table th a").first).to_be_visible()
    yield 1
    hand.find(who)
    expect(page.locator("main")).to_contain_text("Not sent:")
    yield 2
    hand.find(who)
    hand.click(hand.link("Review the plan"))
    hand.click(page.locator("button[name=choose]").first)
    hand.click(hand.button("Approve and write"), press=False)  # the journey presses it
    yield 3
    hand.find(who)
    hand.click(page.locator("summary", has_text="They dispute it"))
    hand.choose(page.locator("#reason"), "disputed")
    hand.click(hand.button("Let them rest"))
    expect(page.locator("main")).to_contain_text("Reminders rest")
    yield 4
    hand.find(who)
    hand.click(page.locator("summary", has_text="They named a day"))
    page.locator("#promised").fill("2026-12-01")
    hand.click(hand.button("Note the promise"))
    expect(page.locator("main")).to_contain_text("Promised for Tue 1 Dec")
    yield 5
    hand.click(page.get_by_role("link", name="Queue").first)
    expect(page.locator("main")).to_contain_text("a person")
    yield 6
    hand.click(page.locator("main").get_by_role("link", name=client).first)
    hand.click(hand.link("All plans"))
    hand.click(page.locator(f"main a[href$='/plans/{draft}']").first)
    expect(page.locator("main")).to_contain_text("What changes in the books")
    yield 7
    hand.click(hand.link("Settings"))
    hand.click(hand.button("Save for the ticked clients"))
    expect(page.get_by_role("status")).to_contain_text("Saved for")
    yield 9
    hand.click(page.locator("main").get_by_role("link", name=client).first)
    hand.click(hand.link("Policy and settings"))
    hand.click(hand.button("Make a link"))
    expect(page.locator("#link")).to_be_visible()
    yield 10


@pytest.mark.journey("tasks without a manual")
def test_tasks_take_as_many_clicks_as_the_table_says(page: Page, world: World, home: Home) -> None:
    table = clicks_by_task()
    assert len(table) == 10
    with db.reading(world.engine) as tx:
        customer = books.customer(tx, home.id, home.customer)
    assert customer
    hand = Hand(page)
    counted = {}
    for number in _tasks(hand, customer.name, home.draft, COMPANIES[1]):
        counted[number], hand.clicks = hand.clicks, 0
        page.goto("/")
    assert counted == {n: clicks for n, clicks in table.items() if n != 8}, (
        "8 needs a running plan: the journey"
    )
