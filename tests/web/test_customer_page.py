"""The customer's page: a person's own judgement, and what to say on a call."""

from __future__ import annotations

import datetime as dt

import pytest

from connector import db
from connector.domain.findings import Evidence, Finding
from connector.domain.policy import PlanPolicy
from connector.domain.receivables import Invoice, Status
from connector.reviewing import conclusions
from connector.reviewing.conclusions import Conclusion
from tests.web.office import Browser, Office
from web.pages import talking

TODAY = dt.date(2026, 11, 21)


@pytest.fixture
def at_work(office: Office) -> tuple[Browser, str, str]:
    """A signed-in bookkeeper, their organization, and the customer with a drafted plan."""
    browser = office.browser()
    browser.connect("quickbooks")
    id = office.connection("quickbooks")
    office.read(id)
    return browser, id, office.plan(id).plan.customer_id


def _conclusion(office: Office, id: str, customer_id: str) -> Conclusion:
    with db.reading(office.engine) as tx:
        found = conclusions.of_customer(tx, id, customer_id)
    assert found
    return found


def test_a_person_judges_otherwise_with_a_reason_and_takes_it_back(
    office: Office, at_work: tuple[Browser, str, str]
) -> None:
    browser, id, customer_id = at_work
    page = f"/organizations/{id}/customers/{customer_id}"
    browser.post(f"{page}/kind", page, kind="chronic", reason="")
    assert _conclusion(office, id, customer_id).override is None
    assert "write one line of reason" in browser.get(page).text

    browser.post(f"{page}/kind", page, kind="chronic", reason="Third owner in two years <b>")
    text = browser.get(page).text
    assert "Chronic, set by" in text
    assert "Third owner in two years &lt;b&gt;" in text
    assert "The books alone say: " in text
    assert ", set by" in browser.get(f"/organizations/{id}/customers").text
    office.read(id)  # another review leaves a person's judgement alone
    assert _conclusion(office, id, customer_id).kind == "chronic"

    browser.post(f"{page}/kind", page, kind="")
    assert _conclusion(office, id, customer_id).override is None
    assert "Chronic, set by" not in browser.get(page).text


def test_a_reader_sees_the_judgement_and_cannot_change_it(
    office: Office, at_work: tuple[Browser, str, str]
) -> None:
    browser, id, customer_id = at_work
    page = f"/organizations/{id}/customers/{customer_id}"
    reader = office.browser().sign_in("rita", "Rita Reader")
    office.role(reader, id, "read")
    assert "What kind of payer" in reader.get(page).text
    assert "You know them better?" not in reader.get(page).text
    refused = reader.post(f"{page}/kind", kind="chronic", reason="Because")
    assert refused.status_code == 403
    assert "needs the right to act" in refused.text
    assert _conclusion(office, id, customer_id).override is None


def _invoice(number: str, due: dt.date = dt.date(2026, 10, 1), balance: int = 120_000) -> Invoice:
    return Invoice(
        id=f"i{number}", number=number, customer_id="c1", date=due - dt.timedelta(30), due=due,
        currency="USD", total=balance, balance=balance, status=Status.OPEN,
    )  # fmt: skip


def _talk(*kinds: str, segment: str = "", unapplied: bool = False) -> talking.Talk:
    evidence = (Evidence("i2207", TODAY, 120_000),)
    found = tuple(Finding(kind, TODAY, evidence, "USD", f"They {kind}.") for kind in kinds)
    return talking.points(
        Conclusion("c1", found, segment), [_invoice("2207")], {"i2207": "2207"}, PlanPolicy(), unapplied=unapplied, today=TODAY
    )  # fmt: skip


def test_questions_fit_what_was_noticed() -> None:
    shrinking = _talk("overdue", "shrinking_payments", segment="squeezed")
    assert "without it hurting" in shrinking.ask[0]
    assert any("6 monthly payments, about $200.00 each, no interest" in line for line in shrinking.offer)
    assert any(line.startswith("Pressing for the full sum") for line in shrinking.avoid)

    disputing = _talk("overdue", "disputed", segment="disputing")
    assert disputing.ask[0] == "“What would make invoice 2207 right for you?”"
    assert not any("monthly payments" in line for line in disputing.offer)

    first = _talk("first_miss", segment="reliable")
    assert first.ask == ("“This is unlike you. Did invoice 2207 reach the right person?”",)
    assert not any("monthly payments" in line for line in first.offer)


def test_money_that_may_be_here_is_asked_about_first() -> None:
    assert _talk("overdue", "unapplied").ask[0].startswith("“We have a payment of yours")


def test_every_kind_of_finding_has_words_or_is_left_out_on_purpose() -> None:
    assert set(talking._SAID) >= {
        "overdue", "partly_paid", "broken_promise", "disputed", "bounced", "asks_for_time", "details_changed", "silent",
        "repeatedly_short", "shrinking_payments", "slowing", "first_miss", "over_credit_limit",
        "concentration", "unapplied",
    }  # fmt: skip
    assert _talk().ask == ("“Is anything missing or wrong with invoice 2207?”",)
