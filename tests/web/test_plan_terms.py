"""Terms of a plan on its page: interest, deposit, discount, a waived fee; what follows; removing it all."""

from __future__ import annotations

import pytest
import requests
import sqlalchemy as sa

from connector import db
from connector.planning import todos
from connector.practice import settings
from tests.web.office import Browser, Office
from tests.web.test_deciding import COMPANY


@pytest.fixture
def at_work(office: Office) -> tuple[Browser, str]:
    browser = office.browser()
    browser.connect("quickbooks")
    id = office.connection("quickbooks")
    office.answer(id)
    office.read(id)
    return browser, id


def _allow_charges(office: Office, browser: Browser, id: str, **more: str) -> None:
    with db.reading(office.engine) as tx:
        revision = settings.load(tx, id).revision
    here = f"/organizations/{id}/settings"
    form = {"clause": "Terms of 2025-01, section 7", "cap": "30", "revision": str(revision)} | more
    browser.post(f"{here}/plan-charges", here, **form)


def _bill_fee(office: Office, customer: str) -> str:
    answer = requests.post(
        f"{office.sandbox.url}/control/companies/{COMPANY['quickbooks']}/act",
        json={"act": "bill", "customer": customer, "net": 5000, "number": "LF-1001", "taxed": False},
        timeout=120,
    )
    assert answer.ok, answer.text
    [made] = [d for d in answer.json() if d["number"] == "LF-1001"]
    return str(made["id"])


def _change(browser: Browser, office: Office, id: str, **form: str) -> str:
    plan = office.plan(id)
    browser.post(f"/plans/{plan.id}/change", f"/plans/{plan.id}", revision=str(plan.revision), **form)
    return browser.get(f"/plans/{plan.id}").text


def test_interest_deposit_and_discount_are_terms_of_a_draft(
    office: Office, at_work: tuple[Browser, str]
) -> None:
    browser, id = at_work
    page = _change(browser, office, id, installments="3", first="2026-12-21", percent="12")
    assert "Interest needs the clause of the contract that allows it" in page
    assert office.plan(id).plan.interest == 0
    _allow_charges(office, browser, id)
    page = _change(browser, office, id, installments="3", first="2026-12-21", percent="12", deposit="150")
    rows = office.plan(id).plan.rows
    assert [(r.principal, r.interest) for r in rows] == [
        (15000, 0),
        (33333, 1000),
        (33333, 667),
        (33334, 333),
    ]
    assert "Interest $20.00 in all" in page
    assert "% a year" in page
    page = _change(browser, office, id, settlement="5")
    assert "no account for discounts is named" in page
    _allow_charges(office, browser, id, discount_account="79", discount_item="1")
    page = _change(browser, office, id, settlement="5")
    assert "Settled today it costs you" in page
    assert office.plan(id).plan.rows == rows  # what a form leaves out stays as it was
    text = browser.get(f"/plans/{office.plan(id).id}/agreement.txt").text
    assert "The total cost of this plan is 20.00 USD" in text
    assert "5 % of the open balance is taken off" in text
    for wrong, sentence in (
        ("1150", "The deposit must be"),
        ("-1", "The deposit must be"),
        ("x", "Nothing was changed"),
    ):
        assert sentence in _change(browser, office, id, deposit=wrong)  # fmt: skip
    assert "less than 100 percent" in _change(browser, office, id, settlement="100")
    assert "between 0 and 100 percent" in _change(browser, office, id, percent="-3")
    assert "the cap is 30" in _change(browser, office, id, percent="31")
    assert office.plan(id).plan.rows == rows


def test_the_agreement_is_handed_over_and_the_yes_recorded_with_its_hash(
    office: Office, at_work: tuple[Browser, str]
) -> None:
    browser, id = at_work
    plan = office.plan(id)
    pdf = browser.get(f"/plans/{plan.id}/agreement.pdf")
    assert pdf.data.startswith(b"%PDF")
    assert pdf.headers["Content-Disposition"] == f'attachment; filename="{plan.id}-v1.pdf"'
    text = browser.get(f"/plans/{plan.id}/agreement.txt").text
    browser.post(f"/plans/{plan.id}/accepted", f"/plans/{plan.id}", by="Mia", how="signed", on="2026-11-23")
    assert office.plan(id).acceptance is None  # a day to come
    browser.post(f"/plans/{plan.id}/accepted", f"/plans/{plan.id}", by="Mia", how="signed", on="2026-11-20")
    accepted = office.plan(id).acceptance
    assert accepted
    assert (accepted["by"], accepted["how"], accepted["on"]) == ("Mia", "signed", "2026-11-20")
    assert accepted["document"] in text
    assert "Mia, signed, Fri 20 Nov" in browser.get(f"/plans/{plan.id}").text
    stranger = office.browser().sign_in("zoe", "Zoe")
    assert stranger.get(f"/plans/{plan.id}/agreement.pdf").status_code == 404


def test_a_fee_is_waived_with_its_reason_and_nothing_else_moves(
    office: Office, at_work: tuple[Browser, str]
) -> None:
    browser, id = at_work
    plan = office.plan(id)
    fee = _bill_fee(office, plan.plan.customer_id)
    office.read(id)
    here = f"/plans/{plan.id}"
    browser.post(f"{here}/waive", here, fee=fee, why=" ", revision=str(plan.revision))
    assert "Say why the fee is waived" in browser.get(here).text
    browser.post(f"{here}/waive", here, fee=fee, why="A friendly start", revision=str(plan.revision))
    browser.post(f"{here}/waive", here, charge=fee, revision=str(office.plan(id).revision))
    assert office.plan(id).plan.waivers == ()
    browser.post(f"{here}/waive", here, fee=fee, why="A friendly start", revision=str(plan.revision))
    assert "Somebody else changed plan" in browser.get(here).text  # another tab was faster
    browser.post(
        f"{here}/waive", here, fee=fee, why="A friendly start", revision=str(office.plan(id).revision)
    )
    page = _change(browser, office, id, installments="2")
    assert "A friendly start" in page  # other terms leave the waiver in
    assert "Only the waived fee moves:</b> $50.00" in page
    browser.post(f"{here}/approve", here, revision=str(office.plan(id).revision))
    office.write(id)
    page = browser.get(here).text
    assert "Only the waived fee moves:</b> $50.00" in page
    assert office.plan(id).state == "running"
    assert "LF-1001-W" in page


def test_what_follows_on_a_running_plan(office: Office, at_work: tuple[Browser, str]) -> None:
    browser, id = at_work
    _allow_charges(office, browser, id, discount_account="79", discount_item="1")
    plan = office.plan(id)
    here = f"/plans/{plan.id}"
    _change(browser, office, id, installments="3", percent="12", first="2026-12-21")
    browser.post(f"{here}/approve", here, revision=str(office.plan(id).revision))
    office.write(id)
    office.read(id)
    page = browser.get(here).text
    assert "$0.00 of $1,173.00</b> has come in" in page
    page = browser.get(f"{here}?settle=5").text
    assert "−$57.50" in page
    assert "$1,092.50" in page
    browser.post(f"{here}/write-off", here, why="They closed")
    with db.reading(office.engine) as tx:
        [asked] = todos.waiting(tx, id)
    assert "Decide on writing off 1,150.00 USD" in asked.what
    assert "Decide on writing off" in browser.get("/queue").text
    browser.post(f"{here}/accelerate", here, why="")
    assert "Write why the plan ends" in browser.get(here).text
    browser.post(f"{here}/accelerate", here, why="Nothing came in")
    office.write(id)
    assert office.plan(id).state == "broken"
    browser.post(f"{here}/settle", here, percent="five")
    assert "Write the discount in percent" in browser.get(here).text
    browser.post(f"{here}/settle", here, percent="5", why="They borrowed it")
    assert "$1,092.50 settles the plan" in browser.get(here).text
    office.role(browser.sign_in("ray", "Ray"), id, "read")
    for step in ("settle", "accelerate", "write-off", "waive", "accepted"):
        assert browser.post(f"{here}/{step}", percent="5", why="x").status_code in (302, 403)
    assert "Record their yes" not in browser.get(here).text
    for attention, calm in (("Installment 3 was voided in the ledger.", False), ("", True)):
        with db.transaction(office.engine) as tx:
            tx.execute(sa.update(db.plans).values(state="finished", attention=attention))
        page = browser.get(here).text
        assert ("has come in.</b> Nothing for you to do" in page, "✓ Finished" in page) == (calm, calm)


def test_removing_shows_first_what_would_happen(office: Office, at_work: tuple[Browser, str]) -> None:
    browser, id = at_work
    plan = office.plan(id)
    browser.post(f"/plans/{plan.id}/approve", f"/plans/{plan.id}", revision=str(plan.revision))
    office.write(id)
    here = f"/organizations/{id}/remove"
    page = browser.get(f"{here}?plan={plan.id}").text
    assert "1 plan would end" in page
    assert "Invoice 1001-P1.1" in page
    assert office.plan(id).state == "running"
    browser.post(here, here, shown="what was shown before")
    assert "Something changed since" in browser.get(here).text
    shown = f"{plan.id} {office.plan(id).revision} {2 + len(plan.plan.rows)} False"
    browser.post(here, here, shown=shown)
    rows = [r.invoice_id for r in office.plan(id).installments]
    voided = sa.update(db.invoices).where(db.invoices.c.connection_id == id, db.invoices.c.id.in_(rows))
    with db.transaction(office.engine) as tx:  # a sync halfway: the ledger has voided the installments
        tx.execute(voided.values(total=0, balance=0, status="void"))
    page = browser.get(f"/plans/{plan.id}").text
    assert "The plan is being taken back" in page
    assert ">0.00 received<" in page
    assert "✓ Paid" not in page
    office.write(id)
    assert office.plan(id).state == "cancelled"
    left = requests.get(
        f"{office.sandbox.url}/control/companies/{COMPANY['quickbooks']}/documents", timeout=120
    )
    assert [d["number"] for d in left.json() if "-P1" in d.get("number", "") and d["balance"]] == []
    assert "There is nothing of Forbear to remove" in browser.get(here).text
    reader = office.browser().sign_in("ray", "Ray")
    office.role(reader, id, "act")
    assert reader.post(here, "/account", shown="").status_code == 403


def test_bad_input_is_answered_with_a_sentence_and_changes_nothing(
    office: Office, at_work: tuple[Browser, str]
) -> None:
    browser, id = at_work
    _change(browser, office, id, installments="3", first="2026-12-21")
    plan = office.plan(id)
    here, rows = f"/plans/{plan.id}", plan.plan.rows
    for form, sentence in (
        ({"installments": "0"}, "needs at least one installment"),
        ({"installments": "400"}, "400 installments are too many"),
        ({"installments": "two"}, "Write whole numbers of payments"),
        ({"first": "2026-11-01"}, "which has passed"),
        ({"each": "NaN"}, "Nothing was changed"),
        ({"every": "year"}, "Nothing was changed"),
        ({"mode": "mirror"}, "does not write mirror splits yet"),
    ):
        assert sentence in _change(browser, office, id, **form), form
    for form, sentence in (
        ({"amount1": "9000.00"}, "leave too little"),
        ({"amount1": "0"}, "must be more than zero"),
        ({"amount2": "-5"}, "must be more than zero"),
        ({"due1": "soon"}, "Write dates as"),
    ):
        browser.post(f"{here}/rows", here, revision=str(office.plan(id).revision), **form)
        assert sentence in browser.get(here).text, form
    assert office.plan(id).plan.rows == rows
    browser.post(f"{here}/rows", here, revision=str(office.plan(id).revision), due1="2026-11-02")
    assert "Installment 1 is due Mon 2 Nov, which has passed" in browser.get(here).text
    browser.post(f"{here}/approve", here, revision=str(office.plan(id).revision))
    assert office.plan(id).state == "proposed"


def test_a_plan_for_a_person_keeps_to_their_countrys_limits_or_names_who_checked_it(
    office: Office, at_work: tuple[Browser, str]
) -> None:
    browser, id = at_work
    page = _change(browser, office, id, installments="6", who="person")
    assert "may be regulated consumer credit" in page
    here = f"/plans/{office.plan(id).id}"
    browser.post(f"{here}/approve", here, revision=str(office.plan(id).revision))
    assert office.plan(id).state == "proposed"
    assert "may be regulated consumer credit" not in _change(browser, office, id, installments="4")
    assert "may be regulated consumer credit" in _change(browser, office, id, installments="6")
    page = _change(browser, office, id, installments="6", legal="R. Counsel, 2026-11-20")
    assert "may be regulated consumer credit" not in page
    browser.post(f"{here}/approve", here, revision=str(office.plan(id).revision))
    assert office.plan(id).state == "approved"
