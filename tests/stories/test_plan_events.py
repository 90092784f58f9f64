"""What people do to a plan's documents by hand, what a plan may not be, and what a person is told to do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from connector import db
from connector.contact import reminders
from connector.domain.calendar import Rhythm
from connector.domain.policy import Mode
from connector.domain.propose import Wish
from connector.planning import agreements, ending, plans, renegotiating, todos
from sandbox import acts
from sandbox.documents import Ref
from tests.stories.lives import (
    APPROVAL,
    DAY,
    Company,
    Practice,
    assert_gone,
    assert_written,
    drift,
)


def owing(practice: Practice, platform: str, *, paid: int = 30000, **facts: object) -> tuple[Company, str]:
    """A customer who owes 850.00 of 1,150.00 on invoice 1001; returns the company and the customer."""
    company = practice.company(platform, **facts)
    customer = company.customer()
    company.bill(customer, "1001", DAY(2026, 8, 1), DAY(2026, 8, 31), 100000, 15000)
    if paid:
        company.pay("1001", paid, DAY(2026, 9, 20))
    company.answer()
    company.sync()
    return company, customer


def running(practice: Practice, platform: str, count: int = 3, mode: str = "split") -> tuple[Company, str]:
    company, customer = owing(practice, platform)
    plan = company.propose(customer, ["1001"], count, mode=mode)
    company.approve(plan.id)
    assert_written(company, company.plan(plan.id))
    return company, plan.id


# ---------------------------------------------------------------- changed by hand in the ledger

Change = Callable[[Company], None]


def void_installment(company: Company) -> None:
    company.void("1001-P1.3")


def delete_installment(company: Company) -> None:
    ref = Ref("invoice", company.invoice("1001-P1.3").id)
    company.pretend.delete(ref) if company.platform == "quickbooks" else company.pretend.void(ref)


def edit_installment(company: Company) -> None:
    acts.edit(company.pretend, Ref("invoice", company.invoice("1001-P1.3").id), {"total": 30000})


def take_the_credit_off(company: Company) -> None:
    credit = next(c for c in company.pretend.credit_notes if c.number == "1001-P1C")
    if company.platform == "xero":
        (allocation,) = company.pretend.allocations_from(Ref("credit_note", credit.id))
        company.pretend.deallocate(allocation.id)
    else:
        bridge = next(p for p in company.pretend.payments if not p.amount)
        company.pretend.delete(Ref("payment", bridge.id))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (void_installment, "Installment 3 was voided in the ledger. Draft the plan again"),
        (delete_installment, "Installment 3"),
        (edit_installment, "Installment 3 was changed to 300.00"),
        (take_the_credit_off, "Invoice 1001 is open again with 850.00"),
    ],
)
def test_what_is_changed_by_hand_is_met_with_a_proposal(
    practice: Practice, platform: str, change: Change, told: str
) -> None:
    company, plan_id = running(practice, platform)
    change(company)
    company.look()
    record = company.plan(plan_id)
    assert record.state == "running"
    assert told in record.attention
    assert "again" in record.attention


@pytest.mark.parametrize("terms", ["first", "other"])
def test_nobody_is_asked_twice_for_a_sale_whose_credit_was_deleted(
    practice: Practice, platform: str, terms: str
) -> None:
    company, plan_id = running(practice, platform)
    if terms == "other":
        with db.transaction(practice.engine) as tx:
            wish = Wish(installments=4)
            how = {"why": "longer", "now": company.now(), "today": company.today, "wish": wish}
            renegotiating.renegotiation(tx, plan_id, who="J. Doe", **how)
        company.approve(plan_id)
    take_the_credit_off(company)
    credit = next(c for c in company.pretend.credit_notes if c.number == "1001-P1C")
    acts.void(company.pretend, Ref("credit_note", credit.id))
    practice.pass_to(company.plan(plan_id).installments[0].due + dt.timedelta(10))
    company.look()
    assert company.open_("1001") == 85000
    with db.reading(practice.engine) as tx:
        listed = {
            about.number for r in reminders.of_connection(tx, company.connection_id) for about in r.invoices
        }
        assert company.invoice("1001").id in plans.planned(plans.of_connection(tx, company.connection_id))
    assert len(listed) == 1
    assert "1001" not in listed


def test_a_sale_voided_behind_its_plan_is_told(practice: Practice) -> None:
    """QuickBooks lets a settled invoice be voided; its installments would go on asking for the sale."""
    company, plan_id = running(practice, "quickbooks")
    company.void("1001")
    company.look()
    told = company.plan(plan_id).attention
    assert "Invoice 1001 was voided in the ledger, and its installments still ask for it" in told


def test_a_credit_by_hand_counts_as_paid(practice: Practice, platform: str) -> None:
    company, plan_id = running(practice, platform)
    acts.credit(company.pretend, invoice=company.invoice("1001-P1.1").id)
    company.look()
    assert [r.open for r in company.plan(plan_id).installments] == [0, 28333, 28334]
    with db.reading(practice.engine) as tx:
        (asked,) = todos.waiting(tx, company.connection_id)
    assert "took 283.33" in asked.what
    assert "off 1001-P1.1 in the ledger. Look at its account" in asked.what


def test_paid_at_the_bank_short_early_and_out_of_order(practice: Practice, platform: str) -> None:
    company, plan_id = running(practice, platform)
    company.pay("1001-P1.2", 20000)
    company.look()
    assert [r.open for r in company.plan(plan_id).installments] == [28333, 8333, 28334]
    company.pay("1001-P1.1", 28333 - 80)  # short by less than the tolerance of 1.00
    company.look()
    assert [r.state for r in company.plan(plan_id).installments] == ["paid", "partly_paid", "open"]
    assert company.plan(plan_id).progress == "on_track"


def test_voided_installment_is_renegotiated_from_what_is_open(practice: Practice, platform: str) -> None:
    """What the void left on the clearing account no new terms can take back: somebody is asked to, by name and sum."""
    company, plan_id = running(practice, platform)
    company.void("1001-P1.3")
    company.look()
    assert company.watch is not None
    company.watch.begin()
    before = company.movements()
    with db.transaction(practice.engine) as tx:
        renegotiating.renegotiation(
            tx,
            plan_id,
            who="J. Doe",
            why="longer",
            now=company.now(),
            today=company.today,
            wish=Wish(installments=5),
        )
    company.approve(plan_id)
    record = company.plan(plan_id)
    assert (record.state, record.plan.version, record.plan.principal) == ("running", 2, 56666)
    assert company.prove(plan_id).differences == ()
    assert drift(before, company.movements()) == 0
    assert company.balances()["clearing"] == 28334
    with db.reading(practice.engine) as tx:
        (asked,) = todos.waiting(tx, company.connection_id)
    assert "1001-P1.3 of 283.34" in asked.what
    assert "stands on the clearing account" in asked.what


def test_an_end_after_a_payment_asks_about_a_voided_installment(practice: Practice, platform: str) -> None:
    """Its documents stay where they are, and so does what a void left on the clearing account: then, or later."""
    company, plan_id = running(practice, platform)
    company.pay("1001-P1.1")
    company.void("1001-P1.3")
    company.look()
    with db.transaction(practice.engine) as tx:
        plans.cancel(tx, plan_id, who="J. Doe", now=company.now(), today=company.today)
    company.settle()
    assert company.plan(plan_id).state == "cancelled"
    assert company.balances()["clearing"] == 28334
    acts.edit(company.pretend, Ref("invoice", company.invoice("1001-P1.2").id), {"total": 20000})
    company.look()
    company.look()
    with db.reading(practice.engine) as tx:
        first, second = todos.waiting(tx, company.connection_id)
    assert "1001-P1.3 of 283.34" in first.what
    assert "1001-P1.2 of 283.33" in second.what
    assert "was changed to 200.00" in second.what
    assert "so 83.33" in second.what
    assert "stands on the clearing account" in first.what


def test_more_at_a_time_needs_the_customers_yes(practice: Practice, platform: str) -> None:
    company, plan_id = running(practice, platform)
    with db.transaction(practice.engine) as tx:
        renegotiating.renegotiation(
            tx, plan_id, who="J.", why="", now=company.now(), today=company.today, wish=Wish(installments=2)
        )
    with pytest.raises(plans.PlanProblem, match="425.00 .*, more than the 283.33") as refused:
        company.approve(plan_id)
    assert refused.value.code == "CONSENT_NEEDED"
    with db.transaction(practice.engine) as tx:
        text = agreements.agreed(tx, plans.get(tx, plan_id)).sha256
        plans.record_acceptance(
            tx, plan_id, accepted_by="M. Fern", how="signed", on=APPROVAL, document_hash=text, who="J.",
            now=company.now(),
        )  # fmt: skip
    company.approve(plan_id)
    assert_written(company, company.plan(plan_id))


# ---------------------------------------------------------------- ended on a later day


def test_cancelled_later_only_what_lies_ahead_ends(practice: Practice, platform: str) -> None:
    company, plan_id = running(practice, platform)
    practice.pass_to(APPROVAL + dt.timedelta(90))
    company.look()
    assert company.plan(plan_id).state == "broken"
    before = company.movements()
    with db.transaction(practice.engine) as tx:
        (removal,) = ending.removals(tx, company.connection_id, today=company.today)
        assert (removal.taken_back, "not rewound" in removal.stays) == ((), True)
        plans.cancel(tx, plan_id, who="J. Doe", now=company.now(), today=company.today)
    company.settle()
    assert company.plan(plan_id).state == "cancelled"
    assert drift(before, company.movements()) == 0
    assert company.open_("1001-P1.1") == 28333


def test_everything_of_an_organization_is_removed_the_same_day(practice: Practice, platform: str) -> None:
    company, customer = owing(practice, platform)
    other = company.customer("Quiet Quay")
    company.bill(other, "1002", DAY(2026, 9, 1), DAY(2026, 9, 30), 40000)
    company.sync()
    before = {basis: company.movements(basis) for basis in ("accrual", "cash")}
    for who, number in ((customer, "1001"), (other, "1002")):
        company.approve(company.propose(who, [number], 2).id)
    with db.transaction(practice.engine) as tx:
        found = ending.removals(tx, company.connection_id, today=company.today)
        assert [len(r.taken_back) for r in found] == [4, 4]  # credit, two installments, link
        for removal in found:
            plans.cancel(tx, removal.plan.id, who="J. Doe", now=company.now(), today=company.today)
    company.settle()
    for removal in found:
        assert_gone(company, removal.plan.id)
    assert {basis: company.movements(basis) for basis in ("accrual", "cash")} == before


# ---------------------------------------------------------------- notes mode


def test_a_date_that_the_ledger_refuses_becomes_a_todo_with_its_link(
    practice: Practice, platform: str
) -> None:
    company, plan_id = running(practice, platform, mode="notes")
    with db.reading(practice.engine) as tx:
        asked = todos.waiting(tx, company.connection_id)
    id = company.invoice("1001").id
    if platform == "xero":
        assert [t.what.startswith("The ledger does not let an app edit invoice 1001") for t in asked] == [
            True
        ]
        assert id in asked[0].link
    else:
        assert asked == []
    attached = [a for a in company.pretend.attachments_of(Ref("invoice", id)) if a.file_name]
    assert [a.file_name for a in attached] == [f"{plan_id}-v1.pdf"]
    assert attached[0].content.startswith(b"%PDF")


def test_a_due_date_moves_where_the_policy_wants_it_and_the_note_stays_in_front(
    practice: Practice, platform: str
) -> None:
    company = practice.company(platform)
    customer = company.customer()
    company.bill(
        customer, "1001", DAY(2026, 8, 1), DAY(2026, 8, 31), 100000, 15000, private_note="Ask for Bo."
    )
    company.answer("cash", "cash")
    company.policy(move_due_date=True)
    company.sync()
    plan = company.propose(customer, ["1001"], 3, first=DAY(2026, 12, 21))
    before = {basis: company.movements(basis) for basis in ("accrual", "cash")}
    with db.transaction(practice.engine) as tx:
        plans.approve(tx, plan.id, who="J. Doe", now=company.now(), today=company.today)
    company.deliver()
    assert company.plan(plan.id).state == "running", company.plan(plan.id).attention
    assert company.invoice("1001").due == DAY(2026, 12, 21)
    assert company.invoice("1001").private_note.startswith("Ask for Bo.")
    assert {basis: company.movements(basis) for basis in ("accrual", "cash")} == before


# ---------------------------------------------------------------- refused, with nothing written


def test_the_proof_says_what_a_cash_report_of_the_ledger_says(practice: Practice, platform: str) -> None:
    """The effect per account and month on both bases, against the ledger's own trial balance."""
    company, customer = owing(practice, platform)
    before = {basis: company.movements(basis) for basis in ("accrual", "cash")}
    plan = company.propose(customer, ["1001"], 3, rhythm=Rhythm.WEEKLY)
    company.approve(plan.id)
    effect = company.prove(plan.id).effect
    names = {"Receivable": "receivable", "Tax": "tax", "Clearing": "clearing", "Bank": "bank"}
    for basis in ("accrual", "cash"):
        after = company.movements(basis)
        for row in effect.periods(basis):
            account = names.get(row.account, "sales")
            moved = after.get(account, {}).get(row.period, 0) - before[basis].get(account, {}).get(
                row.period, 0
            )
            assert row.change == moved, (basis, row)
    assert (effect.early_income, effect.early_tax) == (73913, 11087)
    assert company.plan(plan.id).plan.mode is Mode.SPLIT
