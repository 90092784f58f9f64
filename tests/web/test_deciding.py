"""What a bookkeeper decides on the pages, carried through to the pretend ledgers."""

from __future__ import annotations

import csv
import io
import json

import pytest
import requests
import sqlalchemy as sa

from connector import db, failures
from connector.connecting import connections
from connector.contact import holds, reminders
from connector.domain.receivables import Kind
from connector.mirroring import books, mirror
from connector.planning import plans
from connector.platforms import Refused
from connector.practice import settings
from connector.reviewing import review
from connector.writing import outbox
from tests.web.office import TODAY, Browser, Office

COMPANY = {"quickbooks": "9130000000000001", "xero": "5d7e0000-0000-4000-a000-000000000001"}


@pytest.fixture(params=["quickbooks", "xero"])
def platform(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def at_work(office: Office, platform: str) -> tuple[Browser, str]:
    """A signed-in bookkeeper, and the id of their connected, answered and reviewed organization."""
    browser = office.browser()
    browser.connect(platform)
    id = office.connection(platform)
    office.answer(id)
    office.read(id)
    return browser, id


def _documents(office: Office, platform: str) -> list[str]:
    url = f"{office.sandbox.url}/control/companies/{COMPANY[platform]}/documents"
    return sorted(d["number"] for d in requests.get(url, timeout=120).json() if "-P" in d.get("number", ""))


def test_a_plan_from_draft_to_the_last_payment(
    office: Office, at_work: tuple[Browser, str], platform: str
) -> None:
    browser, id = at_work
    plan = office.plan(id)
    draft = plan
    with db.transaction(office.engine) as tx:
        plans.withdraw(tx, draft.id, db.now())  # as when the answers change what fits
    assert (
        browser.get(f"/plans/{draft.id}").location == f"/organizations/{id}/customers/{plan.plan.customer_id}"
    )
    office.read(id)
    plan = office.plan(id)
    assert browser.get(f"/plans/{draft.id}").location == f"/plans/{plan.id}"
    page = browser.get(f"/plans/{plan.id}").text
    assert "this one took its place" in page
    assert "A plan for Corner Cafe" in page
    assert "nothing written yet" in page
    assert "Nothing moves" in page
    assert "1,150.00" in page
    browser.post(f"/plans/{plan.id}/change", f"/plans/{plan.id}", installments="2", every="month")
    plan = office.plan(id)
    assert [row.total for row in plan.plan.rows] == [57500, 57500]
    browser.post(f"/plans/{plan.id}/approve", f"/plans/{plan.id}", revision=plan.revision)
    assert "Approved" in browser.get(f"/plans/{plan.id}").text
    office.write(id)
    page = browser.get(f"/plans/{plan.id}").text
    assert "0.00 of" in page
    assert "Read back" in page
    assert "Nothing moves" in page
    assert len([n for n in _documents(office, platform) if "1001-P1" in n]) == 3

    office.read(id)
    first = office.plan(id).installments[0]
    assert first.invoice_id
    office.pay(COMPANY[platform], first.invoice_id, "575.00")
    office.read(id)
    page = browser.get(f"/plans/{plan.id}").text
    assert "575.00 of" in page
    assert "✓ Paid" in page


def test_approving_twice_and_in_two_tabs_writes_once(
    office: Office, at_work: tuple[Browser, str], platform: str
) -> None:
    browser, id = at_work
    plan = office.plan(id)
    token = browser.token(f"/plans/{plan.id}")
    for _ in range(3):
        answer = browser.post(f"/plans/{plan.id}/approve", csrf=token, revision=plan.revision)
        assert answer.status_code == 302
    office.write(id)
    browser.post(f"/plans/{plan.id}/approve", csrf=token, revision=plan.revision)
    office.write(id)
    written = _documents(office, platform)
    assert len(written) == len(set(written)) == 1 + len(plan.plan.rows)


def test_what_was_not_on_the_page_is_not_approved(office: Office, at_work: tuple[Browser, str]) -> None:
    """Two tabs: one changes the draft, the other approves what it still shows."""
    browser, id = at_work
    plan = office.plan(id)
    browser.post(f"/plans/{plan.id}/change", f"/plans/{plan.id}", installments="2")
    page = browser.post(f"/plans/{plan.id}/approve", f"/plans/{plan.id}", revision=plan.revision)
    assert office.plan(id).state == "proposed"
    assert "Somebody else changed plan" in browser.get(page.location).text


def test_a_single_row_is_changed_and_the_rest_follow(office: Office, at_work: tuple[Browser, str]) -> None:
    browser, id = at_work
    plan = office.plan(id)
    browser.post(f"/plans/{plan.id}/change", f"/plans/{plan.id}", installments="3")
    browser.post(
        f"/plans/{plan.id}/rows", f"/plans/{plan.id}", revision=office.plan(id).revision, amount1="350.00"
    )
    assert [r.total for r in office.plan(id).plan.rows] == [35000, 40000, 40000]
    browser.post(
        f"/plans/{plan.id}/rows", f"/plans/{plan.id}", revision=office.plan(id).revision, amount1="9000.00"
    )
    assert [r.total for r in office.plan(id).plan.rows] == [35000, 40000, 40000]
    assert "say look" in browser.get(f"/plans/{plan.id}").text


def test_an_amount_a_month_becomes_the_number_of_payments(
    office: Office, at_work: tuple[Browser, str]
) -> None:
    browser, id = at_work
    plan = office.plan(id)
    browser.post(f"/plans/{plan.id}/change", f"/plans/{plan.id}", each="400.00", was_each="383.33")
    assert len(office.plan(id).plan.rows) == 3
    for wrong in ("four hundred", "-5", "0"):
        browser.post(f"/plans/{plan.id}/change", f"/plans/{plan.id}", each=wrong, was_each="1")
        assert "Nothing was changed" in browser.get(f"/plans/{plan.id}").text
    assert len(office.plan(id).plan.rows) == 3


def test_without_answers_a_plan_can_only_be_notes(office: Office) -> None:
    browser = office.browser()
    browser.connect("quickbooks")
    id = office.connection("quickbooks")
    office.read(id)
    plan = office.plan(id)
    assert plan.plan.mode == "notes"
    browser.post(f"/plans/{plan.id}/change", f"/plans/{plan.id}", mode="split")
    assert office.plan(id).plan.mode == "notes"
    assert "say look" in browser.get(f"/plans/{plan.id}").text


def test_renegotiate_pause_go_on_and_end(office: Office, at_work: tuple[Browser, str]) -> None:
    browser, id = at_work
    plan = office.plan(id)
    browser.post(f"/plans/{plan.id}/approve", f"/plans/{plan.id}", revision=plan.revision)
    office.write(id)
    office.read(id)
    browser.post(f"/plans/{plan.id}/pause", f"/plans/{plan.id}")
    assert "The plan rests" in browser.get(f"/plans/{plan.id}").text
    browser.post(f"/plans/{plan.id}/pause", f"/plans/{plan.id}")
    assert office.plan(id).paused_at is None
    answer = browser.post(
        f"/plans/{plan.id}/renegotiate", f"/plans/{plan.id}", installments="5", why="A slow winter"
    )
    assert answer.location == f"/plans/{plan.id}?version=new"
    assert "A slow winter" in browser.get(answer.location).text
    assert "A new version waits for your yes" in browser.get(f"/plans/{plan.id}").text
    browser.post(f"/plans/{plan.id}/cancel", f"/plans/{plan.id}", why="They paid in cash")
    office.write(id)
    assert "This plan has ended" in browser.get(f"/plans/{plan.id}").text


def test_a_draft_whose_invoice_left_the_books_can_be_read_and_turned_down(office: Office) -> None:
    browser = office.browser()
    browser.connect("quickbooks")
    id = office.connection("quickbooks")
    office.answer(id)
    office.read(id)
    plan = office.plan(id)
    with db.transaction(office.engine) as tx:
        mirror.drop(tx, id, Kind.INVOICE, plan.plan.sources[0].invoice_id)
    page = browser.get(f"/plans/{plan.id}")
    assert (page.status_code, "is no longer in the ledger. Turn this draft down" in page.text) == (200, True)
    browser.post(f"/plans/{plan.id}/approve", f"/plans/{plan.id}", revision=plan.revision)
    assert office.plan(id).state == "proposed"
    browser.post(f"/plans/{plan.id}/cancel", f"/plans/{plan.id}")
    assert office.plan(id).state == "cancelled"


def test_a_draft_that_was_turned_down_does_not_come_back(
    office: Office, at_work: tuple[Browser, str]
) -> None:
    browser, id = at_work
    plan = office.plan(id)
    with db.transaction(office.engine) as tx:
        books.reviewed(tx, id, books.changed(tx, id))
    browser.post(f"/plans/{plan.id}/cancel", f"/plans/{plan.id}")
    with db.reading(office.engine) as tx:  # the draft held this customer's reminders
        assert list(books.changed(tx, id)) == [plan.plan.customer_id]
    office.read(id)
    assert "Nothing for you to do" in browser.get("/queue").text


def test_rest_promise_and_note_on_the_customers_page(office: Office, at_work: tuple[Browser, str]) -> None:
    browser, id = at_work
    customer = office.plan(id).plan.customer_id
    here = f"/organizations/{id}/customers/{customer}"
    browser.post(f"{here}/hold", here, reason="disputed", note="Two crates were missing")
    page = browser.get(here).text
    assert "Reminders rest" in page
    assert "Two crates were missing" in page
    with db.reading(office.engine) as tx:
        [hold] = holds.active(tx, id, customer, today=db.now().date())
    browser.post(f"{here}/hold", here, lift=str(hold.id))
    browser.post(f"{here}/promise", here, day="2026-11-27", amount="200.00")
    assert "Promised for Fri 27 Nov" in browser.get(here).text
    for typed in ("200,50", "1.200,50", "1,200.50"):  # as people write on either side of the Atlantic
        browser.post(f"{here}/promise", here, day="2026-11-28", amount=typed)
    with db.reading(office.engine) as tx:
        assert [p.amount for p in holds.promised(tx, id, customer)] == [20000, 20050, 120050, 120050]
    browser.post(f"{here}/promise", here, day="2026-11-28", amount="two hundred")
    assert "Write the amount as a number" in browser.get(here).text
    browser.post(f"{here}/promise", here, day="2026-11-20")
    assert "cannot have passed" in browser.get(here).text
    browser.post(f"{here}/note", here, note="Money comes after the market on Saturdays")
    page = browser.get(here).text
    assert "after the market on Saturdays" in page
    assert "Reminders rest</b> since" not in page


def test_a_refused_note_is_shown_in_the_ledgers_words_and_can_be_kept_here(office: Office) -> None:
    browser = office.browser()
    browser.connect("quickbooks")
    id = office.connection("quickbooks")
    office.answer(id, "cash")
    office.read(id)
    plan = office.plan(id)
    browser.post(f"/plans/{plan.id}/approve", f"/plans/{plan.id}", revision=plan.revision)
    office.write(id)
    said = "The account period has closed and the account books cannot be updated."
    with db.transaction(office.engine) as tx:
        note = next(w for w in outbox.of_connection(tx, id) if w.kind == "note")
        outbox.failed(
            tx,
            note.id,
            db.now(),
            Refused("QuickBooks keeps closed months as they are.", code="6210", words=said),
        )
    page = browser.get("/queue").text
    assert "QuickBooks refused" in page
    assert "code 6210" in page
    assert said in page
    assert "This write changed nothing" in page
    with db.transaction(office.engine) as tx:  # of a reminder it counts as said, or it would be written again
        reminder = reminders.of_connection(tx, id, ["held"])[0].id
        tx.execute(sa.update(db.writes).where(db.writes.c.id == note.id).values(reminder_id=reminder))
    browser.post(f"/writes/{note.id}/keep", "/queue")
    with db.reading(office.engine) as tx:
        assert outbox.failures(tx, id) == []
        assert reminders.get(tx, reminder).state == "noted"
    assert "Nothing for you to do" in browser.get("/queue").text


def test_going_live_says_what_is_left(office: Office) -> None:
    browser = office.browser()
    browser.connect("quickbooks")
    id = office.connection("quickbooks")
    office.read(id)
    start = f"/organizations/{id}/start"
    browser.post(f"/organizations/{id}/settings/live", start, live="1", **{"from": "start"})
    assert "Not live yet" in browser.get(start).text
    browser.post(
        f"/organizations/{id}/settings/answers", start, income_basis="accrual", sales_tax_basis="none"
    )
    browser.post(
        f"/organizations/{id}/settings/live", start, live="1", ledger_reminders="off", **{"from": "start"}
    )
    with db.reading(office.engine) as tx:
        assert settings.load(tx, id).live
    assert "Live since" in browser.get(start).text


def test_two_people_change_the_policy_and_the_second_is_asked_to_look(
    office: Office, at_work: tuple[Browser, str]
) -> None:
    browser, id = at_work
    page = f"/organizations/{id}/settings"
    with db.reading(office.engine) as tx:
        revision = settings.load(tx, id).revision
    save = f"{page}/policy"
    browser.post(save, page, revision=revision, **{"plan.soft_cap_months": "7"})
    browser.post(save, page, revision=revision, **{"plan.soft_cap_months": "5"})
    with db.reading(office.engine) as tx:
        assert settings.load(tx, id).policy.plan.soft_cap_months == 7
    assert "Somebody else changed these settings" in browser.get(page).text
    browser.post(save, page, revision=revision + 1, **{"plan.hard_cap_months": "1"})
    assert "Nothing was changed" in browser.get(page).text


def test_one_policy_for_many_names_who_differs(office: Office) -> None:
    browser = office.browser()
    browser.connect("quickbooks")
    browser.connect("xero")
    ids = {p: office.connection(p) for p in ("quickbooks", "xero")}
    for id in ids.values():
        office.read(id)
    browser.post("/policy", "/policy", client=[ids["xero"]], **{"plan.soft_cap_months": "4"})
    page = browser.get("/policy").text
    assert "Differs: Plans usually end within" in page
    browser.post("/policy", "/policy", client=list(ids.values()), **{"plan.soft_cap_months": "5"})
    assert "Differs" not in browser.get("/policy").text
    with db.reading(office.engine) as tx:
        assert {settings.load(tx, id).policy.plan.soft_cap_months for id in ids.values()} == {5}


def test_the_record_is_exported_with_every_act(office: Office, at_work: tuple[Browser, str]) -> None:
    browser, id = at_work
    plan = office.plan(id)
    browser.post(f"/plans/{plan.id}/cancel", f"/plans/{plan.id}", why="=HYPERLINK(1)")
    answer = browser.get(f"/record.csv?organization={id}")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.mimetype == "text/csv"
    assert rows[0]["what"] == "cancelled a plan"
    assert rows[0]["about"] == f"plan {plan.id}"
    assert rows[0]["why"] == "'=HYPERLINK(1)"  # a spreadsheet must not run it
    assert browser.get(f"/record?about=plan+{plan.id}").text.count("<tr ") >= 2
    lines = json.loads(browser.get(f"/record.json?organization={id}").text)
    assert [(e["what"], e["why"]) for e in lines][-1] == ("cancelled a plan", "=HYPERLINK(1)")
    assert [e["seq"] for e in lines] == sorted(e["seq"] for e in lines)
    assert {e["hash"] for e in lines} == {row["hash"] for row in rows}


def test_open_in_the_ledger_goes_to_the_records_own_page(
    office: Office, at_work: tuple[Browser, str], platform: str
) -> None:
    browser, id = at_work
    source = office.plan(id).plan.sources[0].invoice_id
    answer = browser.get(f"/organizations/{id}/open/invoice/{source}")
    assert answer.status_code == 302
    assert source in answer.location
    assert browser.get(f"/organizations/{id}/open/nonsense/1").status_code == 404


def test_while_the_books_are_first_read_the_page_says_how_far(office: Office) -> None:
    browser = office.browser()
    browser.connect("quickbooks")
    id = office.connection("quickbooks")
    with db.transaction(office.engine) as tx:
        tx.execute(
            db.connections.update()
            .where(db.connections.c.id == id)
            .values(progress={"step": "sync", "what": "invoices", "done": 1000, "expected": 1770})
        )
        assert connections.get(tx, id).last_sync_at is None
    page = browser.get(f"/organizations/{id}").text
    assert "Reading invoices: 1000 of 1770" in page
    assert 'value="1000"' in page
    assert "0.00" not in page  # what is not known is not shown as nothing


def test_money_reads_in_the_readers_locale(office: Office, at_work: tuple[Browser, str]) -> None:
    browser, id = at_work
    german = browser.get(f"/organizations/{id}", headers={"Accept-Language": "de-DE"}).text
    assert "1.150,00" in german.replace('<span class="cents">', "").replace("</span>", "")


@pytest.mark.parametrize("platform", ["xero"], indirect=True)
def test_what_was_set_aside_is_said_and_tried_again(
    office: Office, at_work: tuple[Browser, str], platform: str
) -> None:
    browser, id = at_work
    with db.transaction(office.engine) as tx:
        for n in range(5):
            at = db.now() + n * failures.REST
            failures.note(tx, id, "review_connection", "KeyError in connector/reviewing/review.py:7", at)
    assert "something goes wrong on our side again and again" in browser.get("/").text
    page = browser.get(f"/organizations/{id}").text
    assert "while looking at the customers, 5 times in the same way" in page
    assert "KeyError in connector/reviewing/review.py:7" in page
    browser.post(f"/organizations/{id}/read-now", f"/organizations/{id}")
    assert "again and again" not in browser.get("/").text
    assert "in the same way" not in browser.get(f"/organizations/{id}").text


def test_a_running_plan_that_needs_a_person_waits_in_the_queue_until_it_is_settled(
    office: Office, at_work: tuple[Browser, str], platform: str
) -> None:
    browser, id = at_work
    plan = office.plan(id)
    browser.post(f"/plans/{plan.id}/approve", f"/plans/{plan.id}", revision=str(plan.revision))
    office.write(id)
    assert "Plans to look at" not in browser.get("/queue").text
    first, who = office.plan(id).installments[0].invoice_id, [plan.plan.customer_id]
    mine = sa.update(db.invoices).where(db.invoices.c.connection_id == id, db.invoices.c.id == first)

    def become(**values: object) -> None:
        with db.transaction(office.engine) as tx:
            tx.execute(mine.values(**values))
        review.look(office.engine, id, now=db.now(), today=TODAY, customer_ids=who)

    become(balance=0, status="void")  # somebody voided an installment in the ledger
    page = browser.get("/queue").text
    assert "Plans to look at, 1" in page
    assert "1 plan to look at" in page
    assert "1 plan to look at" in browser.get("/").text
    page = browser.get(f"/queue?item=plan-{plan.id}").text
    assert "Installment 1" in page
    assert "Review the plan" not in page  # there is nothing to approve
    become(balance=plan.plan.rows[0].total, status="open")
    assert "Plans to look at" not in browser.get("/queue").text
