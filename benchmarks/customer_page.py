"""The customer's own page: journeys on a phone in every language on both ledgers, an outsider's attempts, weight, time.

`make bench NAME=customer_page`, eight minutes on a quiet machine; QUICK=1 for a form of two. A whole installation (web, worker, clock) beside
the pretend ledgers without limits; Debian's Chromium as the phone. The last line is one JSON object.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

import requests  # noqa: E402
from axe_playwright_python.sync_playwright import Axe  # noqa: E402
from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402
from requests.adapters import HTTPAdapter  # noqa: E402

from benchmarks.ledger.consent import consent  # noqa: E402
from connector import config, db, waking  # noqa: E402
from connector.connecting import connections  # noqa: E402
from connector.customer_page import customer_links, offering  # noqa: E402
from connector.demo.installing import pointed_at  # noqa: E402
from connector.domain.letters import variants  # noqa: E402
from connector.domain.page_words import PageWords, words  # noqa: E402
from connector.mirroring import books  # noqa: E402
from connector.planning import drafting, plans  # noqa: E402
from connector.practice import settings  # noqa: E402
from connector.supervisor import Installation  # noqa: E402
from tests.browser.conftest import CHROMIUM, FLAGS, until  # noqa: E402
from tests.connector.servers import answers, free_port  # noqa: E402
from tests.customer import attacks  # noqa: E402
from tests.customer.desk import TODAY as ATTACK_DAY  # noqa: E402
from tests.customer.desk import Desk, switch_on  # noqa: E402
from tests.stories.lives import a_practice  # noqa: E402

PLATFORMS = ("quickbooks", "xero")
TODAY = dt.date(2026, 11, 18)
NAME = "Alder Landscaping"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
PHONE = {"viewport": {"width": 320, "height": 700}, "is_mobile": True, "has_touch": True}


@dataclass(frozen=True)
class Form:
    languages: tuple[str, ...]
    timed: int  # plans on each ledger whose way into the ledger is timed, beside those of the journeys


FULL = Form(variants(), 40)
QUICK = Form(("en-US", "de"), 4)


@dataclass
class Tally:
    passed: int = 0
    total: int = 0
    languages: set[str] = field(default_factory=set)
    violations: int = 0
    page_bytes: int = 0
    seconds: list[float] = field(default_factory=list)
    tried: int = 0
    succeeded: int = 0

    def journey(self, name: str, walk: Callable[[], None]) -> None:
        self.total += 1
        try:
            walk()
            self.passed += 1
        except Exception as problem:
            say(f"{name}: {type(problem).__name__} {str(problem).splitlines()[:1]}")


def say(sentence: str) -> None:
    print(f"{dt.datetime.now():%H:%M:%S} {sentence}", flush=True)


def company(customers: int) -> dict[str, Any]:
    """Each customer owes two invoices since September and October."""
    owed = []
    for n in range(customers):
        for number, due, cents in ((f"A{n}", "2026-09-15", 60_000), (f"B{n}", "2026-10-15", 30_000)):
            owed.append(
                {
                    "id": number, "number": number, "customer_id": f"c{n}", "issue_date": "2026-08-15", "due_date": due,
                    "currency": "USD", "total_cents": cents, "kind": "invoice",
                }
            )  # fmt: skip
    return {
        "format": "books/1",
        "company": {
            "id": "alder", "name": NAME, "country": "US", "home_currency": "USD", "timezone": "America/New_York",
            "basis": "accrual", "as_of": TODAY.isoformat(),
        },
        "customers": [{"id": f"c{n}", "name": f"Customer {n:03}", "terms_days": 30} for n in range(customers)],
        "invoices": owed,
        "payments": [],
    }  # fmt: skip


@dataclass
class Installed:
    url: str
    sandbox: str
    config: config.Config
    engine: Any

    def control(self, path: str, body: Any = None) -> Any:
        send = requests.get if body is None else requests.post
        answer = send(
            f"{self.sandbox}/control/{path}", timeout=60, **({} if body is None else {"json": body})
        )
        answer.raise_for_status()
        return answer.json()


@contextmanager
def installation(folder: Path, customers: int) -> Iterator[Installed]:
    sandbox_port, port = free_port(), free_port()
    sandbox, url = f"http://localhost:{sandbox_port}", f"http://localhost:{port}"
    file = folder / "books.jsonl"
    small = company(1)  # instead of the large sample companies
    small["company"] |= {"id": "else", "name": "Somebody Else"}
    file.write_text(json.dumps(small) + "\n")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FORBEAR_")} | {
        "FORBEAR_DATA_DIR": str(folder / "data"), "FORBEAR_PUBLIC_URL": url, "PORT": str(port),
        "FORBEAR_TODAY": TODAY.isoformat(), "FORBEAR_BUDGETS": "off", **pointed_at(sandbox),
    }  # fmt: skip
    kept = config.load(environment)
    with (folder / "log").open("wb") as log:
        ledgers = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "--port", str(sandbox_port), "--unthrottled", "--today"]
            + [TODAY.isoformat(), "--books", str(file)],
            stdout=log,
            stderr=log,
        )
        try:
            with Installation(kept, environment=environment, output=log):
                until(lambda: answers(f"{url}/readyz") and answers(f"{sandbox}/"), "the installation")
                made = Installed(url, sandbox, kept, db.engine(kept))
                made.control("companies?platform=both", company(customers))
                yield made
        finally:
            ledgers.terminate()
            ledgers.wait(10)


class Pace:
    """The page slows one reader down after sixty forms a minute, and the phone is one reader: four walks a minute."""

    def __init__(self) -> None:
        self._minute, self._walks = -1, 0

    def wait(self) -> None:
        if self._walks >= 4 and self._minute == int(time.monotonic() // 60):
            time.sleep(60.5 - time.monotonic() % 60)

    def walked(self) -> None:
        minute = int(time.monotonic() // 60)
        self._walks = self._walks + 1 if minute == self._minute else 1
        self._minute = minute


class Office:
    """One client on one ledger, connected, answered, with the page switched on."""

    def __init__(self, world: Installed, platform: str) -> None:
        self.world, self.platform = world, platform
        found = next(c for c in world.control("companies") if (c["platform"], c["name"]) == (platform, NAME))
        grant = consent(world.config, platform, str(found["id"]))
        self.id = connections.save_grant(world.engine, world.config, platform, grant)[0].id
        waking.sync(world.config, self.id, first=True)
        until(lambda: self._reviewed(), "the first review", 120)
        with db.transaction(world.engine) as tx:
            settings.answer(
                tx, self.id, income_basis="accrual", sales_tax_basis="accrual", who="Dana", now=db.now()
            )
            kept = settings.load(tx, self.id)
            page = replace(kept.policy.page, on=True, plans_alone=True, business_only=False)
            policy = replace(kept.policy, page=page)
            settings.save_policy(tx, self.id, policy, revision=kept.revision, who="Dana", now=db.now())

    def _reviewed(self) -> bool:
        with db.reading(self.world.engine) as tx:
            return connections.get(tx, self.id).last_review_on is not None

    def speak(self, variant: str) -> None:
        with db.transaction(self.world.engine) as tx:
            kept = settings.load(tx, self.id)
            policy = replace(kept.policy, letters=replace(kept.policy.letters, language=variant))
            settings.save_policy(tx, self.id, policy, revision=kept.revision, who="Dana", now=db.now())

    def address(self, number: int) -> tuple[str, str]:
        """(customer id, address) of the customer with this number."""
        with db.transaction(self.world.engine) as tx:
            name = f"Customer {number:03}"
            who = next(c for c in books.customers(tx, self.id) if c.name == name)
            picture = books.of_customer(tx, self.id, who.id)
            assert picture is not None
            ids = [i.id for i in picture.invoices if i.balance > 0]
            _, made = customer_links.make(
                tx,
                self.world.config,
                self.id,
                who.id,
                ids,
                origin="person",
                who="Dana",
                now=db.now(),
                days=60,
            )
        return who.id, made

    def offer(self, number: int) -> tuple[str, str]:
        """(customer id, address) of a customer whom the bookkeeper shows a draft; their yes is enough."""
        who, address = self.address(number)
        with db.transaction(self.world.engine) as tx:
            mine = [p for p in plans.of_customer(tx, self.id, who) if p.state == "proposed"]
            draft = (
                mine[0]
                if mine  # by the policy
                else drafting.propose_plan(tx, self.id, who, who="Dana", now=db.now(), today=TODAY)
            )
            offering.offer(
                tx, draft.id, alone=True, revision=draft.revision, who="Dana", now=db.now(), today=TODAY
            )
        return who, address

    def written(self, customer_id: str) -> bool:
        """Whether the customer's plan is in the ledger, note and all."""
        with db.reading(self.world.engine) as tx:
            found = [
                p for p in plans.of_customer(tx, self.id, customer_id) if p.state in ("approved", "running")
            ]
            if not found or found[-1].state != "running":
                return False
            w = db.writes.c
            query = db.writes.select().where(w.plan == plans.number_of(found[-1].id))
            rows = tx.execute(query).all()
        return any(r.kind == "note" for r in rows) and all(r.state == "done" for r in rows)

    def balances(self) -> Any:
        found = next(
            c for c in self.world.control("companies") if (c["platform"], c["name"]) == (self.platform, NAME)
        )
        rows = self.world.control(f"companies/{found['id']}/trial-balance?basis=accrual")["accounts"]
        return {
            r["name"]: {m: v for m, v in r["months"].items() if v} for r in rows if any(r["months"].values())
        }


def walk(office: Office, page: Page, said: PageWords, number: int, tally: Tally) -> None:
    """Everything that the page offers, for one customer in one language."""
    customer, address = office.address(number)
    sizes: list[int] = []

    def weigh(request: Any) -> None:
        sizes.append(request.sizes()["responseBodySize"])

    page.on("requestfinished", weigh)
    page.goto(address, wait_until="networkidle")
    page.remove_listener("requestfinished", weigh)
    tally.page_bytes = max(tally.page_bytes, sum(sizes))
    tally.violations += barriers(page)
    label = f"{office.platform} {said.variant}"

    def open_(name: str) -> None:
        page.goto(address)
        page.locator("summary", has_text=said.say(name)).first.click()

    def press(name: str) -> None:
        page.get_by_role("button", name=said.say(name), exact=True).first.click()

    def told(sentence: str) -> None:
        page.locator("#told").get_by_text(sentence[:25]).first.wait_for(timeout=10_000)

    def promise() -> None:
        open_("promise")
        page.locator("#pd").fill("2026-12-01")
        press("promise_send")
        told(said.say("told_promise", day=said.day(dt.date(2026, 12, 1))))

    def spread() -> None:
        open_("spread")
        page.locator("#sa").fill("300")
        press("spread_send")
        tally.violations += barriers(page)
        page.locator("form[action$='/terms']").nth(1).locator("button").click()
        sign(customer)

    def sign(who: str) -> None:
        tally.violations += barriers(page)
        page.locator("#n").fill("Kim Park")
        page.locator("input[name=agreed]").check()
        began = time.monotonic()
        press("agree_send")
        told(said.say("told_plan"))
        while not office.written(who):
            assert time.monotonic() - began < 60, "not in the ledger within a minute"
            time.sleep(0.02)
        tally.seconds.append(time.monotonic() - began)

    def accept() -> None:
        third, theirs = office.offer(number + 2)
        page.goto(theirs)
        tally.violations += barriers(page)
        press("offered_read")
        sign(third)

    def change() -> None:
        open_("change")
        page.locator("input[name=what][value=later]").check()
        press("change_send")
        page.locator("#told p").first.wait_for()

    def dispute() -> None:
        other, theirs = office.address(number + 1)
        page.goto(theirs)
        page.locator("summary", has_text=said.say("dispute")).first.click()
        page.locator("#dr").select_option("goods")
        page.locator("#df").set_input_files(
            {"name": "a.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7 x"}
        )
        press("dispute_send")
        page.locator("#told p").first.wait_for()
        assert page.get_by_text(said.say("rests_dispute")).count() == 1

    def call() -> None:
        open_("call")
        page.locator("#cr").fill("+1 555 0100")
        press("call_send")
        page.locator("#told p").first.wait_for()

    for act in (promise, spread, accept, change, dispute, call):
        tally.journey(f"{label} {act.__name__}", act)
    tally.languages.add(said.variant)


def barriers(page: Page) -> int:
    page.locator("details").evaluate_all("all => all.forEach(d => d.open = true)")
    found = Axe().run(page, options=RULES).response["violations"]
    for violation in found:
        say(f"axe: {violation['id']} {violation['help']}")
    page.locator("details").evaluate_all("all => all.forEach(d => d.open = false)")
    return len(found)


def timed(office: Office, first: int, count: int, tally: Tally) -> None:
    """From pressing the button to the note in the ledger, without a browser between."""
    for number in range(first, first + count):
        session = requests.Session()
        session.mount("http://", _From(f"127.0.1.{number % 250 + 1}"))
        customer, address = office.address(number)
        token = _hidden(session.get(address, timeout=20).text, "offers", "t")
        offers = session.post(f"{address}/offers", data={"t": token, "amount": "300"}, timeout=20).text
        fields = {n: _hidden(offers, "terms", n) for n in ("t", "count", "first")}
        terms = session.post(f"{address}/terms", data=fields, timeout=20).text
        fields = {n: _hidden(terms, "agree", n) for n in ("t", "count", "first", "read")}
        began = time.monotonic()
        answer = session.post(
            f"{address}/agree",
            data={**fields, "name": "Kim Park", "agreed": "yes"},
            timeout=20,
            allow_redirects=False,
        )
        assert answer.status_code == 303, answer.text[:300]
        while not office.written(customer):
            assert time.monotonic() - began < 60, "not in the ledger within a minute"
            time.sleep(0.02)
        tally.seconds.append(time.monotonic() - began)


class _From(HTTPAdapter):
    """Each reader has an address of its own: the page slows one down after so many forms a minute."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, source_address=(self._address, 0), **more)


def _hidden(page: str, act: str, name: str) -> str:
    form = page.split(f'/{act}"', 1)[1]
    found = re.search(rf'name="{name}" value="([^"]+)"', form)
    assert found, (act, name)
    return found[1]


def outsiders(folder: Path, tally: Tally) -> None:
    """The list of tests/customer/attacks.py, with either ledger's client as the one attacked."""
    with a_practice(folder, ATTACK_DAY) as practice:
        practice.settings = replace(practice.settings, today=ATTACK_DAY)
        desk = Desk(practice)
        for mine, other in (PLATFORMS, PLATFORMS[::-1]):
            pair = [desk.company(p) for p in (mine, other)]
            for one in pair:
                switch_on(one)
            scene = attacks.scene(desk, pair[0], pair[1])
            for attack in attacks.ATTACKS:
                tally.tried += 1
                if found := attack(scene):
                    tally.succeeded += 1
                    say(f"{attack.__name__} on {mine}: {found}")


def run(form: Form, browser: Browser, folder: Path) -> Tally:
    tally = Tally()
    each, pace = 3 * len(form.languages), Pace()
    some = -(-form.timed // len(form.languages))  # plans to time after each walk, while the phone rests
    with installation(folder, each + form.timed) as world:
        for platform in PLATFORMS:
            began = time.monotonic()
            office = Office(world, platform)
            before = office.balances()
            for n, variant in enumerate(form.languages):
                pace.wait()
                office.speak(variant)
                context = browser.new_context(**PHONE)  # type: ignore[arg-type]
                context.set_default_timeout(20_000)
                walk(office, context.new_page(), words(variant), 3 * n, tally)
                context.close()
                pace.walked()
                timed(office, each + n * some, min(some, form.timed - n * some), tally)
            if office.balances() != before:
                tally.passed = 0
                say(f"{platform}: the trial balance moved; no journey counts")
            say(f"{platform}: {tally.passed} of {tally.total} journeys, trial balance as it was")
            say(f"{platform}: {time.monotonic() - began:.0f} s")
    return tally


def main() -> None:
    logging.disable(logging.WARNING)  # nobody serves a queue to the attacked installation
    form = QUICK if os.environ.get("QUICK") else FULL
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        tally = run(form, browser, Path(folder))
        browser.close()
    with tempfile.TemporaryDirectory() as folder:
        outsiders(Path(folder), tally)
    spent = sorted(tally.seconds)
    p95 = spent[min(len(spent) - 1, int(0.95 * len(spent)))] if spent else None
    say(
        f"{len(spent)} plans from the tap to the note in the ledger; the middle took {spent[len(spent) // 2]:.2f} s"
    )
    print(
        json.dumps(
            {
                "journeys_passed": tally.passed,
                "journeys_total": tally.total,
                "languages": len(tally.languages),
                "axe_violations": tally.violations,
                "page_kb": round(tally.page_bytes / 1000, 1),
                "tap_to_ledger_p95_s": round(p95, 2) if p95 is not None else None,
                "attacks_tried": tally.tried,
                "attacks_succeeded": tally.succeeded,
            }
        )
    )


if __name__ == "__main__":
    main()
