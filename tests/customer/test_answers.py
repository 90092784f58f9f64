"""What follows from each answer, through the pages and the real ledgers' interfaces, on both ledgers."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import io
from dataclasses import replace

import pytest
import sqlalchemy as sa

from connector import db
from connector.contact import holds, reminders
from connector.customer_page import customer_answers, customer_effect, customer_files
from connector.domain import shares
from connector.planning import plans
from connector.practice import settings
from connector.record import audit, export, personal
from connector.reviewing import review
from sandbox import acts
from tests.customer.desk import TODAY, Customer, Desk, a_customer, deliver, switch_on
from tests.stories.lives import Company, Watch


def _id(company: Company, number: str) -> str:
    return company.invoice(number).id


def _answers(company: Company, customer: str = "Fern Foods") -> list[customer_answers.Answer]:
    with db.reading(company.practice.engine) as tx:
        return customer_answers.latest(tx, company.connection_id, 50)


def _due(company: Company) -> dict[str, str]:
    """Number → what holds today's reminder about that invoice; only those of which one would speak."""
    company.review()
    with db.reading(company.practice.engine) as tx:
        found = reminders.of_connection(tx, company.connection_id)
    return {a.number: "; ".join(r.held_because) for r in found for a in r.invoices}


def test_the_page_says_what_is_open_what_was_paid_and_whom_to_ask(desk: Desk, platform: str) -> None:
    company = desk.company(platform)
    company.pay("1001", 30000, TODAY - dt.timedelta(days=3))
    company.sync()
    switch_on(company)
    customer = a_customer(desk, company)
    page = customer.page()
    currency = company.pretend.organization.home_currency
    assert f"1,540.00 {currency} is open on 2 invoices." in page
    assert f"850.00 {currency} of 1,150.00 {currency}" in page
    assert f"Thank you for 300.00 {currency}" in page
    assert "Dana Reed, dana@firm.example" in page
    assert "2001" not in page
    answer = customer.get()
    assert answer.headers["Cache-Control"] == "no-cache, no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "noindex" in answer.headers["X-Robots-Tag"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "Set-Cookie" not in answer.headers
    assert "<script" not in page


# ---------------------------------------------------------------- a date


def test_a_promise_rests_reminders_about_its_documents_at_once(desk: Desk, platform: str) -> None:
    company = desk.company(platform)
    switch_on(company)
    customer = a_customer(desk, company, numbers=["1001"])
    assert set(_due(company)) == {"1001", "1002", "2001"}
    day = TODAY + dt.timedelta(days=12)
    sent = customer.send("promise", day=day.isoformat(), invoice=_id(company, "1001"), amount="")
    assert sent.status_code == 303
    assert sent.location == f"{customer.path}#told"
    page = customer.page()
    said = "6 December 2026" if platform == "xero" else "December 6, 2026"
    assert f"You will pay on {said}." in page
    assert f"You named {said}." in page
    with db.reading(desk.practice.engine) as tx:
        [promise] = holds.promised(tx, company.connection_id)
        assert (promise.invoice_id, promise.promised_on) == (_id(company, "1001"), day)
        assert promise.recorded_by == "the customer"
        assert customer_answers.waiting(tx, [company.connection_id]) == []
    assert set(_due(company)) == {"1002", "2001"}


def test_a_day_beyond_the_policy_waits_for_a_person_and_rests_meanwhile(desk: Desk, platform: str) -> None:
    company = desk.company(platform)
    switch_on(company, promise_days=14)
    customer = a_customer(desk, company)
    day = TODAY + dt.timedelta(days=15)
    assert customer.send("promise", day=day.isoformat(), invoice="").status_code == 303
    [answer] = _answers(company)
    assert answer.state == "waits"
    assert "You asked for time until" in customer.page()
    with db.reading(desk.practice.engine) as tx:
        assert holds.promised(tx, company.connection_id) == []
        found = holds.active(tx, company.connection_id, today=TODAY)
    assert sorted(h.invoice_id or "" for h in found) == sorted([_id(company, "1001"), _id(company, "1002")])
    answered_by = 27 if platform == "quickbooks" else 26  # two business days; Thanksgiving is none
    assert {h.until for h in found} == {dt.date(2026, 11, answered_by)}


def test_an_amount_goes_to_the_oldest_document_first(desk: Desk) -> None:
    company = desk.company("quickbooks")
    switch_on(company)
    customer = a_customer(desk, company)
    customer.send("promise", day="2026-12-01", invoice="", amount="1,200.50")
    with db.reading(desk.practice.engine) as tx:
        made = holds.promised(tx, company.connection_id)
    assert [(p.invoice_id, p.amount) for p in made] == [
        (_id(company, "1001"), None),
        (_id(company, "1002"), 5050),
    ]


# ---------------------------------------------------------------- spread it


def test_a_plan_within_the_rails_is_agreed_and_written_with_nothing_moved(desk: Desk, platform: str) -> None:
    company = desk.company(platform)
    switch_on(company, plans_alone=True, business_only=False, plan_soft_cap_months=6)
    before = company.movements("accrual")
    company.watch = Watch(company)
    customer = a_customer(desk, company)
    terms, hidden = customer.choose("500", count=4)
    assert "When you agree, this counts." in terms.text
    text = terms.text.split('class="letter"', 1)[1]
    assert "Total payable: 1,840.00" in text
    agreed = customer.send("agree", terms.text, **hidden, name="Fern Moss", agreed="yes")
    assert agreed.status_code == 303
    [answer] = _answers(company)
    assert answer.state == "done"
    assert hashlib.sha256(answer.data["text"].encode()).hexdigest() == answer.data["sha256"] == hidden["read"]
    assert answer.data["name"] == "Fern Moss"
    assert answer.data["address"] == customer.remote
    assert answer.data["agent"] == "Phone/1.0"
    assert "Your plan is agreed." in customer.page()

    deliver(company)
    company.settle()
    company.sync()
    plan = company.plan(answer.plan or "")
    assert plan.state == "running"
    assert plan.acceptance is not None
    assert plan.acceptance["document"] == hidden["read"]
    assert _without_zero(company.movements("accrual")) == _without_zero(before)
    installments = [d for d in company.ours() if "-P1." in d.number]
    assert [d.total for d in installments] == [46000] * 4
    page = customer.page()
    assert "Installment 1" in page or "Instalment 1" in page
    assert "Next: 460.00" in page
    pdf = customer.get(f"{customer.path}/agreement-{plan.id}.pdf")
    assert pdf.data.startswith(b"%PDF-")
    assert "attachment" in pdf.headers["Content-Disposition"]


def _without_zero(movements: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    return {
        k: {m: v for m, v in months.items() if v} for k, months in movements.items() if any(months.values())
    }


def test_the_installments_carry_an_address_that_shows_the_plan(desk: Desk, platform: str) -> None:
    company = desk.company(platform)
    switch_on(company)
    plan = company.propose(_customer(company), ["1001"])
    company.approve(plan.id, deliver=False)
    deliver(company)
    company.settle()
    company.sync()
    written = next(d for d in company.ours() if d.number == "1001-P1.1")
    words = str(written)
    assert "http://localhost:8000/c/" in words
    address = words.split("http://localhost:8000/c/", 1)[1][:50]
    page = Customer(desk, f"http://localhost:8000/c/{address}").page()
    assert "Your plan" in page
    assert "1002" not in page


def _customer(company: Company) -> str:
    return next(c.id for c in company.pretend.customers if c.name == "Fern Foods")


def test_without_leave_a_plan_waits_in_the_queue_and_its_documents_rest(desk: Desk, platform: str) -> None:
    company = desk.company(platform)
    switch_on(company, plans_alone=False)
    customer = a_customer(desk, company)
    terms, hidden = customer.choose("700")
    assert "Dana Reed looks at it and answers by" in terms.text
    customer.send("agree", terms.text, **hidden, name="Fern Moss", agreed="yes")
    with db.reading(desk.practice.engine) as tx:
        [answer] = customer_answers.waiting(tx, [company.connection_id])
        [plan] = plans.of_connection(tx, company.connection_id, states=["proposed"])
    assert answer.plan == plan.id
    assert "You asked for a plan." in customer.page()
    company.approve(plan.id, deliver=False)
    with db.reading(desk.practice.engine) as tx:
        assert customer_answers.waiting(tx, [company.connection_id]) == []
    assert "Your plan is agreed." in customer.page()


def test_a_second_choice_takes_the_place_of_the_first_and_a_persons_draft_stays(desk: Desk) -> None:
    company = desk.company("quickbooks")
    switch_on(company)
    customer = a_customer(desk, company)
    for count in (3, 4):
        terms, hidden = customer.choose("500", count=count)
        customer.send("agree", terms.text, **hidden, name="Fern Moss", agreed="yes")
    with db.reading(desk.practice.engine) as tx:
        [theirs] = plans.of_connection(tx, company.connection_id, states=["proposed"])
    assert len(theirs.plan.rows) == 4
    with db.transaction(desk.practice.engine) as tx:
        plans.cancel(tx, theirs.id, who="Dana", now=db.now(), today=TODAY)
    assert "it is not going ahead as it was" in customer.page()
    ours = company.propose(_customer(company), ["1001"], 2)
    terms, hidden = customer.choose("500", count=3)
    customer.send("agree", terms.text, **hidden, name="Fern Moss", agreed="yes")
    with db.reading(desk.practice.engine) as tx:
        [kept] = plans.of_connection(tx, company.connection_id, states=["proposed"])
        [waiting] = [a for a in customer_answers.waiting(tx, [company.connection_id]) if not a.plan]
    assert kept.id == ours.id
    assert waiting.data["count"] == 3


def test_a_text_that_is_no_longer_true_is_not_agreed_to(desk: Desk) -> None:
    company = desk.company("quickbooks")
    switch_on(company, plans_alone=True, business_only=False)
    customer = a_customer(desk, company)
    terms, hidden = customer.choose("700")
    company.pay("1001", 50000)
    company.sync()
    again = customer.send("agree", terms.text, **hidden, name="Fern Moss", agreed="yes")
    assert again.status_code == 422
    assert "What is open changed a moment ago" in again.text
    assert _answers(company) == []


# ---------------------------------------------------------------- something is wrong


def test_a_dispute_rests_one_document_and_not_the_others(desk: Desk, platform: str) -> None:
    company = desk.company(platform)
    switch_on(company)
    customer = a_customer(desk, company)
    photo = b"\xff\xd8\xff\xe0" + b"0" * 5000
    sent = customer.send(
        "dispute", invoice=_id(company, "1001"), reason="goods", note="Two boxes were missing",
        file=(io.BytesIO(photo), "box.jpg"),
    )  # fmt: skip
    assert sent.status_code == 303
    with db.reading(desk.practice.engine) as tx:
        [hold] = holds.active(tx, company.connection_id, today=TODAY)
        [answer] = customer_answers.waiting(tx, [company.connection_id])
        [file] = customer_files.of_answers(tx, [answer.id])[answer.id]
        record = audit.of_connection(tx, company.connection_id)
    assert (hold.reason, hold.invoice_id) == ("disputed", _id(company, "1001"))
    assert (file.name, file.type, file.size) == ("box.jpg", "image/jpeg", 5004)
    with db.reading(desk.practice.engine) as tx:
        [whole] = export.export(tx, [company.connection_id], today=lambda _: TODAY)["connections"]
        theirs = personal.export(tx, company.connection_id, answer.customer_id, today=TODAY)
    assert not any("missing" in str(e) for e in record)  # free words stay out of the record
    [said] = whole["customer_answers"]
    assert (said["kind"], said["said"]["note"], said["files"]) == (
        "dispute",
        "Two boxes were missing",
        ["box.jpg"],
    )
    [kept] = theirs["answers"]
    assert base64.b64decode(kept["files"][0]["content"]) == photo
    page = customer.page()
    assert "You told us that something is wrong with invoice 1001." in page
    assert page.count("We look into that first") == 1
    company.review()
    with db.reading(desk.practice.engine) as tx:
        due = reminders.of_connection(tx, company.connection_id)
    spoken = [a.number for r in due if not any("dispute" in h for h in r.held_because) for a in r.invoices]
    assert "1002" in spoken
    assert "1001" not in spoken


def test_a_call_a_change_no_more_messages_and_data_rights(desk: Desk) -> None:
    company = desk.company("xero")
    switch_on(company)
    plan = company.propose(_customer(company), ["1001", "1002"], 3)
    company.approve(plan.id)
    company.settle()
    company.sync()
    customer = a_customer(desk, company, numbers=["1001", "1002"])
    for act, form in (
        ("call", {"reach": "+44 20 7946 0000", "when": "morning"}),
        ("change", {"plan": plan.id, "what": "later", "note": "The 15th suits better"}),
        ("data", {"what": "copy", "note": ""}),
        ("stop", {}),
    ):
        assert customer.send(act, **form).status_code == 303, act
    assert [a.kind for a in _answers(company)] == ["stop", "data", "change", "call"]
    with db.reading(desk.practice.engine) as tx:
        reasons = {h.reason for h in holds.active(tx, company.connection_id, today=TODAY)}
    assert "opt_out" in reasons
    page = customer.page()
    for sentence in ("You asked for a call.", "You asked to change your plan.", "None will be sent."):
        assert sentence in page


def test_a_reminder_carries_an_address_for_what_it_names(desk: Desk) -> None:
    company = desk.company("quickbooks")
    switch_on(company)
    company.policy(propose_after_days=365)
    morning = dt.datetime(2026, 11, 24, 15, 0, tzinfo=dt.UTC)  # ten o'clock in New York
    with db.transaction(desk.practice.engine) as tx:
        settings.set_ledger_reminders(tx, company.connection_id, "off", who="Dana", now=db.now())
        settings.set_live(tx, company.connection_id, True, who="Dana", now=db.now())
        c = db.connections.c
        tx.execute(db.connections.update().where(c.id == company.connection_id).values(last_sync_at=morning))
    review.review(desk.practice.engine, company.connection_id, now=morning, today=TODAY)
    deliver(company, morning)
    with db.reading(desk.practice.engine) as tx:
        said = reminders.of_connection(tx, company.connection_id)
    left = [r for r in said if r.state == "noted"]
    assert left, [(r.state, r.held_because) for r in said]
    address = left[0].text.split("at any hour: ")[1].split("\n")[0]
    page = Customer(desk, address).page()
    assert all(a.number in page for a in left[0].invoices)
    with db.reading(desk.practice.engine) as tx:
        payloads = str(tx.scalars(sa.select(db.writes.c.payload).where(db.writes.c.state == "done")).all())
    assert address in payloads


# ---------------------------------------------------------------- as of now, and the hold-out


def test_an_old_mirror_is_asked_for_news_and_the_page_says_as_of_when(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = desk.company("quickbooks")
    switch_on(company)
    customer = a_customer(desk, company)
    company.pay("1001")
    old = db.now() - dt.timedelta(minutes=10)
    with db.transaction(desk.practice.engine) as tx:
        c = db.connections.c
        tx.execute(db.connections.update().where(c.id == company.connection_id).values(last_sync_at=old))
    monkeypatch.setattr("web.customer.pages.PATIENCE", 0.05)
    page = customer.page()  # nobody is at work
    assert "We are asking for anything newer" in page
    assert "Invoice 1001" in page
    monkeypatch.setattr("web.customer.pages.PATIENCE", 5.0)
    monkeypatch.setattr("web.customer.pages.waking.sync", lambda *_, **more: company.sync())
    page = customer.page()  # a worker is
    assert "We are asking" not in page
    assert "690.00 USD is open on one invoice." in page
    assert "Thank you for 1,150.00 USD" in page


def test_the_hold_out_waits_a_week_and_its_effect_is_counted(desk: Desk) -> None:
    company = desk.company("quickbooks")
    names = [f"Customer {n}" for n in range(6)]
    ids = [company.customer(name) for name in names]
    due = TODAY - dt.timedelta(days=3)
    for n, id in enumerate(ids):
        company.bill(id, f"30{n}", due - dt.timedelta(days=30), due, 10000)
    company.sync()
    switch_on(company, holdout_percent=50, holdout_since=due)
    waiting = {id for id in ids if shares.held_out(company.connection_id, id, 50)}
    spoken = {number for number, why in _due(company).items() if "waits a week" in why}
    assert spoken == {f"30{n}" for n, id in enumerate(ids) if id in waiting}
    with db.reading(desk.practice.engine) as tx:
        page = settings.load(tx, company.connection_id).policy.page
        later = TODAY + dt.timedelta(days=8)
        effect = customer_effect.of_holdout(tx, company.connection_id, page, later)
    assert effect is not None
    assert effect.waited.whole == len(waiting)
    assert effect.contacted.whole == len(ids) - len(waiting)
    assert effect.difference is None or not effect.difference.known


def test_a_customer_counts_once_among_those_who_answered(desk: Desk) -> None:
    company = desk.company("quickbooks")
    switch_on(company)
    with db.reading(desk.practice.engine) as tx:
        assert customer_effect.by_wording(tx, company.connection_id) == []
    first, _, other = (a_customer(desk, company, n) for n in ("Fern Foods", "Fern Foods", "Quiet Quay"))
    first.send("call", reach="+1 555 0100", when="any")
    other.page()
    with db.reading(desk.practice.engine) as tx:
        [row] = customer_effect.by_wording(tx, company.connection_id)
        [day] = customer_effect.by_weekday(tx, company.connection_id)
    assert row == replace(day, label="made by hand")
    assert (row.opened.count, row.opened.whole) == (2, 2)
    assert (row.answered.count, row.answered.whole) == (1, 2)
    assert (round(row.answered.low, 2), round(row.answered.high, 2)) == (0.09, 0.91)  # little is known of two


def test_money_that_is_not_matched_yet_is_said_and_thanked_for(desk: Desk) -> None:
    company = desk.company("quickbooks")
    quay = next(c.id for c in company.pretend.customers if c.name == "Quiet Quay")
    acts.pay(company.pretend, customer=quay, amount=46000 + 5000, day=TODAY)  # 50.00 more than is open
    company.sync()
    switch_on(company)
    page = a_customer(desk, company, "Quiet Quay", numbers=["2001"]).page()
    assert "Nothing is open here. Thank you." in page
    assert "is still being matched to an invoice" in page


def test_in_an_insolvency_the_page_asks_for_nothing(desk: Desk) -> None:
    company = desk.company("xero")
    switch_on(company)
    customer = a_customer(desk, company)
    token = customer.token("promise")
    with db.transaction(desk.practice.engine) as tx:
        holds.put(tx, company.connection_id, _customer(company), "insolvency", who="Dana", now=db.now())
    page = customer.page()
    assert "I will pay on a date" not in page
    assert "I need to spread it" not in page
    assert "Talk to a person" in page
    assert customer.send("promise", token=token, day="2026-12-01", invoice="").status_code == 422
    assert customer.send("offers", token=token, amount="100").status_code == 422
