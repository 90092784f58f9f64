"""`make screenshots`: the demo in a real browser, one picture per page, into docs/pictures/."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests
from playwright.sync_api import Locator, Page, sync_playwright

PICTURES = Path(__file__).parent / "pictures"
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
SHOWN = "Harbor Street Bakery Supply"  # the sample company of the pictures
STORY = "Marigold Patisserie"  # its customer with the most to tell
LARGEST = 300_000  # bytes


def main() -> int:
    """Exit code 1 when a picture came out too large."""
    PICTURES.mkdir(exist_ok=True)
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
        demo = subprocess.Popen(
            [sys.executable, "-m", "connector", "demo"],
            env={**os.environ, "FORBEAR_DATA_DIR": folder, "PORT": str(port), "FORBEAR_TODAY": "2026-11-18"},
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
        try:
            base = _wait(Path(log.name), demo)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
                page = browser.new_page(viewport={"width": 1200, "height": 900})
                _walk(page, base)
                browser.close()
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait(60)
    large = [p.name for p in PICTURES.glob("*.png") if p.stat().st_size > LARGEST]
    print("too large:", ", ".join(large)) if large else print(f"pictures in {PICTURES}")
    return 1 if large else 0


def _wait(log: Path, demo: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + 600
    while time.monotonic() < end and demo.poll() is None:
        found = re.search(r"Forbear's pages:\s+(http://\S+)", log.read_text())
        if found and requests.get(f"{found.group(1)}/healthz", timeout=5).ok:
            return found.group(1)
        time.sleep(1)
    raise SystemExit(f"The demo did not get as far as its pages. It said:\n{log.read_text()[-2000:]}")


def _walk(page: Page, base: str) -> None:
    for platform in ("xero", "quickbooks"):
        page.goto(f"{base}/connect/{platform}")
        for box in page.locator("input[type=checkbox][name=company]").all():
            box.check()
        page.locator("button[value=allow]").click()
        page.wait_for_url(f"{base}/**")
    page.goto(f"{base}/connect/quickbooks")  # one company a consent
    page.locator("input[name=company]").last.check()
    page.locator("button[value=allow]").click()
    page.wait_for_url(f"{base}/**")
    _shoot(page, f"{base}/", "practice")
    organization = base + _address(page, page.get_by_role("link", name=SHOWN)).split("/start")[0]
    _shoot(page, organization, "organization")
    _shoot(page, f"{organization}/settings", "settings")
    _shoot(page, f"{base}/queue", "queue")
    page.goto(f"{organization}/customers?q={STORY.replace(' ', '+')}")
    story = base + _address(page, page.get_by_role("link", name=STORY))
    _shoot(page, story, "customer")
    _customers_own(page, organization, story)
    page.goto(story)
    _shoot(page, base + _address(page, page.get_by_role("link", name="Review the plan")), "plan-draft")
    page.goto(f"{organization}/plans")
    running = page.locator("tr", has_text="On track").get_by_role("link")
    _shoot(page, base + _address(page, running), "plan")


def _address(page: Page, link: Locator) -> str:
    """Where the first of these links leads; the page is asked anew until it has one."""
    link.first.wait_for()
    found = link.first.get_attribute("href")
    assert found, page.url
    return found


def _customers_own(page: Page, organization: str, customer: str) -> None:
    """The customer's own page on a phone: switched on, an address made, and opened without the bookkeeper's cookies."""
    page.goto(f"{organization}/customer-page")
    page.get_by_label("Customers have a page of their own.").check()
    page.get_by_role("button", name="Keep this").click()
    page.goto(customer)
    page.get_by_text(re.compile("^Addresses of the page")).click()
    page.get_by_role("button", name="Make an address for what is open").click()
    told = page.get_by_role("status").filter(has_text="/c/")
    address = re.search(r"http://\S+/c/[\w.-]+", told.inner_text())
    assert address
    browser = page.context.browser
    assert browser
    phone = browser.new_page(viewport={"width": 390, "height": 844}, device_scale_factor=1.5)
    phone.goto(address[0], wait_until="networkidle")
    phone.screenshot(path=str(PICTURES / "customer-page.png"))
    phone.close()


def _shoot(page: Page, address: str, name: str) -> None:
    page.goto(address, wait_until="networkidle")
    height = min(1150, int(page.evaluate("document.documentElement.scrollHeight")))
    page.set_viewport_size({"width": 1200, "height": height})
    page.screenshot(path=str(PICTURES / f"{name}.png"))
    page.set_viewport_size({"width": 1200, "height": 900})


if __name__ == "__main__":
    raise SystemExit(main())
