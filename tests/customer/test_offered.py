"""A bookkeeper's own draft, and new terms for a running plan, on the customer's page: read, agreed to, written."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from html import unescape

import pytest
import sqlalchemy as sa

from connector import db
from connector.contact import holds
from connector.customer_page import customer_answers, offering
from connector.domain.propose import Wish
from connector.planning import agreements, plans, renegotiating
from connector.planning.plans import PlanProblem, Record
from connector.reviewing import overview
from tests.customer.desk import TODAY, Customer, Desk, a_customer, deliver, switch_on
from tests.stories.lives import Company, Watch


def _fern(company: Company) -> str:
    return next(c.id for c in company.pretend.customers if c.name == "Fern Foods")


def _offer(company: Company, plan_id: str, *, alone: bool = False) -> Record:
    with db.transaction(company.practice.engine) as tx:
        revision = plans.get(tx, plan_id).revision
        return offering.offer(
            tx, plan_id, alone=alone, revision=revision, who="Dana Reed", now=db.now(), today=TODAY
        )


def _read(customer: Customer, plan_id: str) -> tuple[str, str]:
    """The page with the words, and their fingerprint."""
    shown = customer.send("offered", plan=plan_id)
    assert shown.status_code == 200, shown.text
    found = re.search(r'name="read" value="([0-9a-f]{64})"', shown.text)
    assert found
    return shown.text, found[1]


def _agree(customer: Customer, plan_id: str) -> str:
    text, read = _read(customer, plan_id)
    sent = customer.send("accept", text, plan=plan_id, read=read, name="Fern Moss", agreed="yes")
    assert sent.status_code == 303, sent.text
    return read


def _waiting(company: Company) -> list[customer_answers.Answer]:
    with db.reading(company.practice.engine) as tx:
        return customer_answers.waiting(tx, [company.connection_id])


def test_a_draft_is_shown_only_when_the_bookkeeper_says_so_and_agreed_to_there(
    desk: Desk, platform: str
) -> None:
    company = desk.company(platform)
    switch_on(company)
    before = company.movements("accrual")
    draft = company.propose(_fern(company), ["1001", "1002"], 4)
    customer = a_customer(desk, company)
    forwarded = a_customer(desk, company, numbers=["1001"])
    assert "A plan for you" not in customer.page()
    _offer(company, draft.id)
    assert "A plan for you" in customer.page()
    assert "A plan for you" not in forwarded.page()  # it names more than this address does
    assert customer.get(f"{customer.path}/agreement-{draft.id}.pdf").status_code == 404

    text, read = _read(customer, draft.id)
    assert "Dana Reed looks at it and answers by" in unescape(text)
    assert "Total payable: 1,840.00" in text
    for wrong in (
        {"name": "", "agreed": "yes", "read": read},
        {"name": "Fern Moss", "agreed": "", "read": read},
        {"name": "Fern Moss", "agreed": "yes", "read": "0" * 64},
    ):
        assert customer.send("accept", text, plan=draft.id, **wrong).status_code == 422
    assert company.plan(draft.id).acceptance is None
    assert _agree(customer, draft.id) == read

    [answer] = _waiting(company)
    assert (answer.kind, answer.plan, answer.data["name"]) == ("accept", draft.id, "Fern Moss")
    assert (answer.data["address"], answer.data["agent"]) == (customer.remote, "Phone/1.0")
    with db.reading(
        desk.practice.engine
    ) as tx:  # the draft stands in the queue, and its yes not a second time
        assert customer_answers.beside_drafts(tx, [company.connection_id]) == []
        counts = overview.waiting(tx, [company.connection_id])[company.connection_id]
        assert (counts.proposed, counts.answers) == (1, 0)
    assert hashlib.sha256(answer.data["text"].encode()).hexdigest() == read
    page = customer.page()
    assert "You agreed to the plan that we suggested." in page
    assert "You agreed to this plan." in page
    assert "A plan for you" not in page
    with db.reading(desk.practice.engine) as tx:
        resting = {h.invoice_id for h in holds.active(tx, company.connection_id, today=TODAY)}
    assert resting == {company.invoice("1001").id, company.invoice("1002").id}

    company.watch = Watch(company)
    company.approve(draft.id, deliver=False)
    assert _waiting(company) == []
    deliver(company)
    company.settle()
    company.sync()
    plan = company.plan(draft.id)
    assert plan.state == "running"
    assert plan.acceptance is not None
    assert (plan.acceptance["document"], plan.acceptance["by"]) == (read, "Fern Moss")
    assert company.movements("accrual") == before
    page = customer.page()
    assert "Your plan is agreed. Thank you." in page
    assert "Next: 460.00" in page
    with db.reading(desk.practice.engine) as tx:
        assert agreements.agreed(tx, plan).text == answer.data["text"]
    assert customer.get(f"{customer.path}/agreement-{draft.id}.pdf").data.startswith(b"%PDF-")

    i, p = db.invoices, db.plans
    rows = [r.invoice_id for r in plan.installments]
    with db.transaction(desk.practice.engine) as tx:  # somebody voids the installments in the ledger
        mine = sa.and_(i.c.connection_id == company.connection_id, i.c.id.in_(rows))
        tx.execute(sa.update(i).where(mine).values(total=0, balance=0, status="void"))
    assert "Every payment has come" not in customer.page()
    with db.transaction(
        desk.practice.engine
    ) as tx:  # or the bookkeeper ends the plan, and it is being taken back
        tx.execute(sa.update(p).where(p.c.number == plans.number_of(plan.id)).values(progress="cancelling"))
    assert "in 4 payments, from" not in (page := customer.page())
    assert "received, thank you" not in page


def test_where_the_bookkeeper_says_so_the_yes_is_enough(desk: Desk) -> None:
    company = desk.company("xero")
    switch_on(company)
    draft = company.propose(_fern(company), ["1001"], 2)
    _offer(company, draft.id, alone=True)
    customer = a_customer(desk, company, numbers=["1001"])
    assert "When you agree, this counts." in _read(customer, draft.id)[0]
    _agree(customer, draft.id)
    plan = company.plan(draft.id)
    assert (plan.state, plan.approved_by) == ("approved", "Dana Reed, with the customer's yes")
    assert _waiting(company) == []
    assert "Your plan is agreed. Thank you." in customer.page()


def _run(company: Company, count: int) -> str:
    plan = company.propose(_fern(company), ["1001", "1002"], count)
    company.approve(plan.id)
    company.settle()
    company.sync()
    return plan.id


def _renegotiate(company: Company, plan_id: str, count: int) -> Record:
    with db.transaction(company.practice.engine) as tx:
        return renegotiating.renegotiation(
            tx,
            plan_id,
            who="Dana Reed",
            why="fewer",
            now=db.now(),
            today=TODAY,
            wish=Wish(installments=count),
        )


def test_new_terms_that_ask_for_more_count_once_the_customer_agreed(desk: Desk, platform: str) -> None:
    company = desk.company(platform)
    switch_on(company)
    plan_id = _run(company, 4)
    before = company.movements("accrual")
    customer = a_customer(desk, company)
    pdf = customer.get(f"{customer.path}/agreement-{plan_id}.pdf").data
    _renegotiate(company, plan_id, 2)
    with db.transaction(desk.practice.engine) as tx, pytest.raises(PlanProblem) as refused:
        plans.approve(tx, plan_id, who="Dana Reed", now=db.now(), today=TODAY)
    assert refused.value.code == "CONSENT_NEEDED"
    assert "A plan for you" not in customer.page()

    _offer(company, plan_id)
    page = customer.page()
    assert "in place of your plan. Until you agree, your plan stays as it is." in page
    assert "Next: 460.00" in page  # the plan that runs
    assert len(customer.get(f"{customer.path}/agreement-{plan_id}.pdf").data) == len(pdf)  # still of that one
    text, _ = _read(customer, plan_id)
    assert "This takes the place of the earlier plan once both sides have agreed." in text
    read = _agree(customer, plan_id)
    assert "You agreed to new terms." in customer.page()
    assert customer.get(f"{customer.path}/agreement-{plan_id}.pdf?of=new").data.startswith(b"%PDF-")
    assert [a.plan for a in _waiting(company)] == [plan_id]

    company.approve(plan_id)
    company.settle()
    company.sync()
    plan = company.plan(plan_id)
    assert (plan.state, plan.plan.version, [r.total for r in plan.plan.rows]) == (
        "running",
        2,
        [92000, 92000],
    )
    assert plan.acceptance is not None
    assert plan.acceptance["document"] == read
    assert company.movements("accrual") == before
    assert _waiting(company) == []
    page = customer.page()
    assert "Next: 920.00" in page
    assert "You agreed to new terms." not in page


def test_a_change_of_the_draft_ends_the_offer_and_the_yes(desk: Desk) -> None:
    company = desk.company("quickbooks")
    switch_on(company)
    plan_id = _run(company, 4)
    _renegotiate(company, plan_id, 2)
    _offer(company, plan_id)
    customer = a_customer(desk, company)
    text, read = _read(customer, plan_id)
    other_tab, _ = _read(customer, plan_id)
    sent = {"plan": plan_id, "read": read, "name": "Fern Moss", "agreed": "yes"}
    assert customer.send("accept", text, **sent).status_code == 303
    assert customer.send("accept", other_tab, **sent).status_code == 303  # a second tab: one yes
    assert len(_waiting(company)) == 1
    _renegotiate(company, plan_id, 3)
    assert _waiting(company) == []
    page = customer.page()
    assert "You agreed to a plan that has changed since." in page
    assert "A plan for you" not in page
    assert customer.send("accept", other_tab, **sent).status_code == 422
    assert company.plan(plan_id).draft_acceptance is None


def test_what_the_books_have_overtaken_is_not_agreed_to(desk: Desk) -> None:
    company = desk.company("xero")
    switch_on(company)
    draft = company.propose(_fern(company), ["1001", "1002"], 3)
    _offer(company, draft.id)
    customer = a_customer(desk, company)
    text, read = _read(customer, draft.id)
    company.pay("1001", 50000)
    company.sync()
    page = customer.page()
    assert "What is open has changed since this was drawn up. Dana Reed looks at it again" in page
    assert "Read this plan" not in page
    late = customer.send("accept", text, plan=draft.id, read=read, name="Fern Moss", agreed="yes")
    assert late.status_code == 422
    assert company.plan(draft.id).acceptance is None


def test_the_customer_asks_for_something_else_instead(desk: Desk) -> None:
    company = desk.company("quickbooks")
    switch_on(company)
    draft = company.propose(_fern(company), ["1001"], 2)
    _offer(company, draft.id)
    customer = a_customer(desk, company, numbers=["1001"])
    assert (
        customer.send("change", plan=draft.id, what="smaller", note="200 is what I can do").status_code == 303
    )
    [answer] = _waiting(company)
    assert (answer.kind, answer.plan, answer.data["what"]) == ("change", draft.id, "smaller")
    assert "You asked to change your plan." in customer.page()
    with db.transaction(desk.practice.engine) as tx:
        plans.cancel(tx, draft.id, who="Dana Reed", now=db.now(), today=TODAY)
    assert "A plan for you" not in customer.page()


def test_only_what_could_be_approved_is_offered(desk: Desk) -> None:
    company = desk.company("quickbooks")
    draft = company.propose(_fern(company), ["1001"], 2)
    with pytest.raises(PlanProblem, match="Switch the customer's page on"):
        _offer(company, draft.id)
    switch_on(company)
    company.pay("1001", 1000, TODAY - dt.timedelta(days=1))
    company.sync()
    with pytest.raises(PlanProblem):
        _offer(company, draft.id)
    running = company.propose(_fern(company), ["1002"], 2)
    company.approve(running.id, deliver=False)
    with pytest.raises(PlanProblem, match="there is nothing to show"):
        _offer(company, running.id)
