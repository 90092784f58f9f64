"""Long lists come a page at a time, and a page asks the database for a page's worth whatever the book holds."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy.engine import Engine

from connector import config, db
from connector.connecting import connections
from connector.domain.receivables import Customer, Invoice, Organization, Payment, Status
from connector.mirroring import mirror
from connector.platforms import Batch, Identity
from connector.practice import people, settings
from connector.record import audit
from connector.reviewing import review
from tests.web.office import CONNECTION, TODAY
from web import create_app
from web.pages.customer_acts import LEARNED

HOME = f"/organizations/{CONNECTION}"
LOCAL = {
    f"FORBEAR_{name}_{part}": "http://localhost:1"
    for name in ("QUICKBOOKS", "XERO")
    for part in ("API_URL", "DISCOVERY_URL")
}


def owing(first: int, count: int) -> Batch:
    """Customers with one invoice each, 40 days overdue; the higher their number, the more they owe."""
    numbers = range(first, first + count)
    due = TODAY - dt.timedelta(40)
    return Batch(
        customers=tuple(Customer(f"c{n}", f"Customer {n:03}", currency="USD") for n in numbers),
        invoices=tuple(
            Invoice(f"i{n}", f"{n}", f"c{n}", due, due, "USD", 50000 + n, 50000 + n, Status.OPEN)
            for n in numbers
        ),
    )


def store(engine: Engine, batch: Batch) -> None:
    with db.transaction(engine) as tx:
        mirror.store(tx, CONNECTION, batch, 1)
    review.look(engine, CONNECTION, now=db.now(), today=TODAY, customer_ids=[c.id for c in batch.customers])


@pytest.fixture
def browser(engine: Engine, tmp_path: Path) -> FlaskClient:
    installed = config.load({"FORBEAR_DATA_DIR": str(tmp_path), "FORBEAR_TODAY": TODAY.isoformat()} | LOCAL)
    facts = connections.dump_facts(Organization(CONNECTION, "Harbor Supply", "US", "USD", "America/New_York"))
    with db.transaction(engine) as tx:
        tx.execute(sa.update(db.connections).values(facts=facts, last_sync_at=db.now(), last_review_on=TODAY))
        person = people.sign_in(tx, Identity("test", "1", "j.doe@firm.example", True, "J. Doe"), db.now())
        people.grant(tx, person.id, CONNECTION, "configure", by="test", now=db.now())
        key = people.start_session(tx, person.id, db.now())
    client = create_app(installed, engine).test_client()
    with client.session_transaction() as session:
        session["key"] = key
    return client


def names(page: str) -> list[str]:
    return re.findall(r"<b>(Customer \d{3})</b>", page)


def test_customers_and_plans_come_fifty_at_a_time(engine: Engine, browser: FlaskClient) -> None:
    store(engine, owing(0, 120))
    first = browser.get(f"{HOME}/customers").text
    assert names(first) == [f"Customer {n:03}" for n in range(119, 69, -1)]
    assert "120 customers" in first
    assert "1 to 50 of 120" in first
    assert f"{HOME}/customers?start=50" in first
    last = browser.get(f"{HOME}/customers?start=100").text
    assert names(last) == [f"Customer {n:03}" for n in range(19, -1, -1)]
    assert "Next" not in last
    assert names(browser.get(f"{HOME}/customers?start=soon").text) == names(first)
    found = browser.get(f"{HOME}/customers?q=Customer+00").text
    assert "10 customers" in found
    assert "Next" not in found

    drafts = browser.get(f"{HOME}/plans").text
    assert "120 plans wait for your yes" in drafts
    assert len(names(drafts)) == 50
    assert len(names(browser.get(f"{HOME}/plans?start=100").text)) == 20


@contextmanager
def steps(engine: Engine) -> Iterator[list[int]]:
    """Counts what SQLite does, in tens of steps of its machine: the same on every computer. (In larger units a
    statement of 99 steps would count nothing, and one of 101 everything.)"""
    done = [0]

    def another() -> None:
        done[0] += 1

    def begin(connection: Any, *_: object) -> None:
        connection.set_progress_handler(another, 10)

    sa.event.listen(engine, "checkout", begin)
    try:
        yield done
    finally:
        sa.event.remove(engine, "checkout", begin)


PAGES = (
    "/",
    HOME,
    f"{HOME}/customers",
    f"{HOME}/customers/c1",
    f"{HOME}/plans",
    f"{HOME}/written",
    "/queue",
    "/record",
)


def work(engine: Engine, browser: FlaskClient) -> dict[str, int]:
    found = {}
    for page in PAGES:
        with steps(engine) as done:
            assert browser.get(page).status_code == 200
        found[page] = done[0]
    return found


def test_what_was_paid_long_ago_costs_a_page_nothing(engine: Engine, browser: FlaskClient) -> None:
    store(engine, owing(0, 60))
    before = work(engine, browser)
    paid = [
        Invoice(f"old{n}", f"old{n}", f"c{n % 600}", TODAY - dt.timedelta(400), TODAY - dt.timedelta(370), "USD", 900, 0, Status.PAID)
        for n in range(6000)
    ]  # fmt: skip
    more = tuple(Customer(f"c{n}", f"Customer {n:03}", currency="USD") for n in range(60, 600))
    with db.transaction(engine) as tx:
        mirror.store(tx, CONNECTION, Batch(customers=more, invoices=tuple(paid)), 1)
    after = work(engine, browser)
    one = f"{HOME}/customers/c1"
    grown = {
        page: (before[page], after[page])
        for page in PAGES
        if after[page] > 1.1 * before[page] + 10 and page != one
    }
    assert grown == {}
    assert before[HOME] > 100  # the measure counts at all
    assert after[one] < before[one] + 200  # their own ten old invoices, not the others' six thousand


def test_what_is_open_costs_a_page_hardly_more(engine: Engine, browser: FlaskClient) -> None:
    """Sums, counts and the order of lists are kept: with three times the open invoices a page reads the same. (The
    record shows more lines then.)"""
    store(engine, owing(0, 50))
    before = work(engine, browser)
    store(engine, owing(50, 100))
    after = work(engine, browser)
    pages = [page for page in PAGES if page != "/record"]
    assert {p: (before[p], after[p]) for p in pages if after[p] > 1.1 * before[p] + 12} == {}


def test_what_was_written_and_held_comes_fifty_at_a_time(engine: Engine, browser: FlaskClient) -> None:
    store(engine, owing(0, 60))  # each is due a reminder, and held because of the preview
    page = browser.get(f"{HOME}/written").text
    assert "<b>60 messages are held back</b>" in page
    assert page.count("<b>Not sent:</b>") == 50
    assert "Newer reminders" not in page
    older = browser.get(f"{HOME}/written?messages=50").text
    assert older.count("<b>Not sent:</b>") == 10
    assert "Newer reminders" in older
    assert "Older reminders" not in older


def test_the_record_goes_on_to_older_lines_and_finds_a_person_among_all(
    engine: Engine, browser: FlaskClient
) -> None:
    with db.transaction(engine) as tx:
        for n in range(120):
            who = "Robin" if n == 3 else "Forbear"
            audit.record(tx, who=who, what=f"did {n}", connection_id=CONNECTION, now=db.now())
    page = browser.get("/record").text
    assert "did 119" in page
    assert "did 3<" not in page
    (before,) = re.findall(r"before=(\d+)", page)
    older = browser.get(f"/record?before={before}").text
    assert "did 3<" in older
    assert "did 20<" not in older  # that was the last line of the first hundred
    assert "did 3<" in browser.get("/record?who=robin").text


# ---------------------------------------------------------------- a policy tried before it is kept


def test_a_policy_is_shown_at_work_and_not_kept(engine: Engine, browser: FlaskClient) -> None:
    store(engine, owing(0, 3))  # a draft waits for each
    shown = browser.get(f"{HOME}/settings").text
    csrf = re.findall(r'name="csrf" value="([^"]+)"', shown)[0]
    assert "What it does next" in shown  # worked out when asked for
    form = {"csrf": csrf, "reminders.proposal_rest_days": "0"}  # a draft rests nobody
    tried = browser.post(f"{HOME}/settings/try", data=form).text
    assert "3 customers fare</b> differently" in tried or "3 customers fare differently" in tried
    assert 'name="reminders.proposal_rest_days" value="0"' in tried  # what was typed stays
    with db.reading(engine) as tx:
        assert settings.load(tx, CONNECTION).policy.reminders.proposal_rest_days == 7
    wrong = browser.post(f"{HOME}/settings/try", data=form | {"reminders.per_week": "99"}).text
    assert "That cannot be kept: should be between 0 and 7." in wrong


@pytest.fixture
def another(engine: Engine, browser: FlaskClient) -> str:
    """A second client of the same person, with two customers who owe."""
    with db.transaction(engine) as tx:
        row = dict(
            tx.execute(sa.select(db.connections).where(db.connections.c.id == CONNECTION)).mappings().one()
        )
        named = {"id": "second", "external_id": "second", "organization": "Zephyr Cafe"}
        tx.execute(sa.insert(db.connections).values(row | named))
        mirror.store(tx, "second", owing(0, 2), 1)
        person, _ = people.members(tx, CONNECTION)[0]
        people.grant(tx, person.id, "second", "configure", by="test", now=db.now())
    review.look(engine, "second", now=db.now(), today=TODAY, customer_ids=["c0", "c1"])
    return "second"


def test_a_policy_for_many_is_shown_at_work_client_by_client_and_not_kept(
    engine: Engine, browser: FlaskClient, another: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(engine, owing(0, 3))
    csrf = re.findall(r'name="csrf" value="([^"]+)"', browser.get("/policy").text)[0]
    form: dict[str, Any] = {"csrf": csrf, "reminders.proposal_rest_days": "0", "start": "0"}
    both = {"client": [CONNECTION, another]}
    page = browser.post("/policy/try", data=form | both).text
    assert "2 of 2 clients" in page
    assert "5 customers fare differently" in page
    assert 'name="reminders.proposal_rest_days" value="0"' in page  # what was typed stays
    assert "1 of 1 client<" in browser.post("/policy/try", data=form | {"client": [another]}).text

    monkeypatch.setattr("web.pages.rehearsing.PATIENCE", 0)  # one client an answer
    first = browser.post("/policy/try", data=form | both).text
    assert "1 of 2 clients" in first
    assert "3 customers fare differently" in first
    (so_far,) = re.findall(r'name="so_far" value="([^"]+)"', first)
    last = browser.post("/policy/try", data=form | both | {"start": "1", "so_far": so_far}).text
    assert "2 of 2 clients" in last
    assert "5 customers fare differently" in last
    assert "Zephyr Cafe:" in last
    assert ", were it live" in last  # nothing leaves while a client is in preview
    with db.reading(engine) as tx:
        assert {
            settings.load(tx, id).policy.reminders.proposal_rest_days for id in (CONNECTION, another)
        } == {7}
    wrong = browser.post("/policy/try", data=form | both | {"reminders.per_week": "99"}).text
    assert "That cannot be kept: should be between 0 and 7." in wrong


def test_what_is_not_matched_is_a_sum_for_each_currency(engine: Engine, browser: FlaskClient) -> None:
    day = TODAY - dt.timedelta(3)
    money = tuple(
        Payment(id, "c1", day, currency, amount, amount)
        for id, currency, amount in (("p1", "USD", 50000), ("p2", "CAD", 20000), ("p3", "USD", 100))
    )
    gone = Payment("p4", "c1", day, "EUR", 700, 700, void=True)
    store(engine, replace(owing(1, 1), payments=(*money, gone)))
    page = browser.get(f"{HOME}/customers/c1").text
    [said] = re.findall(r"</span> ([^<]*) is in the books but not matched", page)
    assert said == "CA$200.00 and $501.00"


def test_what_was_learned_stays_on_the_page_whatever_is_done_later(
    engine: Engine, browser: FlaskClient
) -> None:
    store(engine, owing(1, 1))
    with db.transaction(engine) as tx:
        for what, why in [(LEARNED, "Their oven burned down"), *[("set a hold", "")] * 20]:
            audit.record(
                tx,
                who="Ann",
                what=what,
                why=why,
                connection_id=CONNECTION,
                subject="customer c1",
                now=db.now(),
            )
    assert "Their oven burned down" in browser.get(f"{HOME}/customers/c1").text
