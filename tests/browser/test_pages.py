"""Every page: no accessibility violation in either theme, nothing wider than a phone, no error in the console."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, expect

from connector import connections, db, plans
from tests.browser.conftest import COMPANIES, World, connect, until

COLORS = {
    "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
}  # a theme changes nothing but colors
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture(scope="module")
def signed_in(chromium: Browser, world: World) -> tuple[object, dict[str, str]]:
    """The cookies of a bookkeeper with one organization on each ledger, and the addresses of every page."""
    context = chromium.new_context(base_url=world.url)
    context.set_default_timeout(30_000)
    page = context.new_page()
    name = COMPANIES[1]  # another than the journey's, which may run beside
    ids = {platform: connect(page, world, platform, name=name) for platform in ("quickbooks", "xero")}
    until(lambda: all(_reviewed(world, id) for id in ids.values()), "the first reviews", 90)
    state = context.storage_state()
    context.close()
    return state, _addresses(world, ids["quickbooks"])


def _reviewed(world: World, id: str) -> bool:
    with db.reading(world.engine) as tx:
        return connections.get(tx, id).last_review_on is not None


def _addresses(world: World, id: str) -> dict[str, str]:
    with db.reading(world.engine) as tx:
        mine = plans.of_connection(tx, id)
    drafts = [p for p in mine if p.state == "proposed"] or mine
    running = [p for p in mine if p.state not in ("proposed", "withdrawn")]
    found = {
        "practice": "/",
        "organization": f"/organizations/{id}",
        "customers": f"/organizations/{id}/customers",
        "customer": f"/organizations/{id}/customers/{drafts[0].plan.customer_id}",
        "plans": f"/organizations/{id}/plans",
        "draft": f"/plans/{drafts[0].id}",
        "written": f"/organizations/{id}/written",
        "settings": f"/organizations/{id}/settings",
        "start": f"/organizations/{id}/start",
        "accounts": f"/organizations/{id}/accounts",
        "queue": "/queue",
        "record": "/record",
        "policy": "/policy",
        "find": "/find?q=e",
        "account": "/account",
        "privacy": "/privacy",
        "support": "/support",
        "not connected": "/connect/xero/not-connected",
        "disconnected": "/disconnected/quickbooks",
        "nothing": "/no-such-page",
    }
    if running:
        found["plan"] = f"/plans/{running[0].id}"
    return found


def _browser(chromium: Browser, world: World, state: object, **more: object) -> BrowserContext:
    made = chromium.new_context(base_url=world.url, storage_state=state, **more)  # type: ignore[arg-type]
    made.set_default_timeout(30_000)
    return made


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_accessibility_violation(
    chromium: Browser, world: World, signed_in: tuple[object, dict[str, str]], theme: str
) -> None:
    state, addresses = signed_in
    context = _browser(chromium, world, state, color_scheme=theme)
    page, axe, found = context.new_page(), Axe(), []
    for name, address in addresses.items():
        page.goto(address)
        for details in page.locator("details").all():
            details.evaluate("d => d.open = true")
        rules = RULES if theme == "light" else COLORS
        for violation in axe.run(page, options=rules).response["violations"]:
            nodes = [n["target"] for n in violation["nodes"]][:2]
            found.append(f"{name}: {violation['id']}: {violation['help']} {nodes}")
    context.close()
    assert not found, "\n".join(found)


@pytest.mark.parametrize("width", [320, 390])
def test_no_page_is_wider_than_a_phone(
    chromium: Browser, world: World, signed_in: tuple[object, dict[str, str]], width: int
) -> None:
    state, addresses = signed_in
    context = _browser(chromium, world, state, viewport={"width": width, "height": 800})
    page, wide = context.new_page(), []
    for name, address in addresses.items():
        page.goto(address)
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wide.append(name)
    context.close()
    assert not wide


def test_no_page_complains_in_the_console_or_asks_elsewhere(
    chromium: Browser, world: World, signed_in: tuple[object, dict[str, str]]
) -> None:
    state, addresses = signed_in
    context = _browser(chromium, world, state)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda r: said.append(r.url) if not r.url.startswith((world.url, "data:")) else None)
    for name, address in addresses.items():
        if name != "nothing":
            page.goto(address)
    context.close()
    assert not said


def test_the_first_tab_leads_to_the_content(
    chromium: Browser, world: World, signed_in: tuple[object, dict[str, str]]
) -> None:
    state, _ = signed_in
    context = _browser(chromium, world, state)
    page = context.new_page()
    page.goto("/queue")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("To the content")
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    context.close()


def test_without_scripts_everything_reads_and_decides(
    chromium: Browser, world: World, signed_in: tuple[object, dict[str, str]]
) -> None:
    state, addresses = signed_in
    context = _browser(chromium, world, state, java_script_enabled=False)
    page = context.new_page()
    page.goto(addresses["draft"])
    expect(page.locator("main")).to_contain_text("What changes in the books")
    page.locator("button[name=choose]").first.click()
    expect(page.locator("h1")).to_contain_text("A plan for")
    context.close()


def test_a_session_that_ended_leads_to_sign_in_and_back(
    chromium: Browser, world: World, signed_in: tuple[object, dict[str, str]]
) -> None:
    state, addresses = signed_in
    context = _browser(chromium, world, state)
    page = context.new_page()
    page.goto(addresses["settings"])
    context.clear_cookies()
    page.goto("/queue")
    assert page.url.endswith("/sign-in")
    expect(page.get_by_role("link", name="Continue with QuickBooks")).to_be_visible()
    context.close()


def test_a_page_weighs_little(
    chromium: Browser, world: World, signed_in: tuple[object, dict[str, str]]
) -> None:
    """At most 100 KB over the wire, fonts and all, on a first visit to the page."""
    state, addresses = signed_in
    heavy = {}
    for name in ("practice", "organization", "customer", "draft", "queue"):
        context = _browser(chromium, world, state)
        page = context.new_page()
        sizes = []
        page.on("requestfinished", lambda r, sizes=sizes: sizes.append(r.sizes()["responseBodySize"]))
        page.goto(addresses[name], wait_until="networkidle")
        context.close()
        if sum(sizes) > 100_000:
            heavy[name] = sum(sizes)
    assert not heavy
