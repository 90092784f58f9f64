"""The worked example of docs/accounting.md and its figures, exactly, on both ledgers.

The watch of `lives` has looked after every single write of these stories.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from itertools import groupby

import pytest

from connector import db
from connector.domain.policy import InterestPolicy, Method
from connector.domain.propose import Wish
from connector.planning import ending, plans, renegotiating, todos
from connector.writing import outbox
from sandbox.documents import Ref
from sandbox.posting import postings_of
from tests.stories.lives import (
    Company,
    Metered,
    Practice,
    assert_gone,
    assert_written,
    drift,
    example_plan,
    the_example,
)

BEFORE = {"receivable": 90000, "bank": 30000, "sales": -100000, "tax": -15000, "late_fees": -5000}
SPLIT = {"receivable": 85000, "bank": 30000, "sales": -100000, "tax": -15000}
FIRST_DUE = dt.date(2026, 12, 21)
DEFAULT = dt.date(2027, 1, 21)


def written(practice: Practice, platform: str) -> tuple[Company, str]:
    """The example after its approval."""
    example = the_example(practice, platform)
    plan = example_plan(example)
    example.company.approve(plan.id)
    return example.company, plan.id


def test_the_books_before(practice: Practice, platform: str) -> None:
    company = the_example(practice, platform).company
    assert company.balances("accrual") == BEFORE
    assert company.balances("cash") == {"bank": 30000, "sales": -26087, "tax": -3913}
    assert company.aged() == {"31-60": 5000, "61-90": 85000}


def test_waiver_and_split_step_by_step(practice: Practice, platform: str) -> None:
    example = the_example(practice, platform)
    company = example.company
    before = company.movements()
    plan = example_plan(example)
    assert [(r.total, r.principal, r.interest) for r in plan.plan.rows] == [
        (29750, 28333, 1417), (29750, 28333, 1417), (29750, 28334, 1416),
    ]  # fmt: skip
    assert [r.due.isoformat() for r in plan.plan.rows] == ["2026-12-21", "2027-01-21", "2027-02-22"]
    company.approve(plan.id)
    assert_written(company, company.plan(plan.id))
    assert company.watch is not None
    steps = [key for key, _ in groupby((s["receivable"], s["clearing"]) for s in company.watch.steps)]
    assert steps == [(90000, 0), (85000, 0), (0, 85000), (85000, 0)]  # fee, waiver, credit note, installments
    parts = [
        company.invoice(f"1001-P1.{n}") for n in (1, 2, 3)
    ]  # one call: its parts are seen in the journal
    posted = [postings_of(company.pretend, Ref("invoice", d.id)) for d in parts]
    moved = [{company.called(p.account): p.amount for p in entry} for entry in posted]
    assert [m["receivable"] for m in moved] == [28333, 28333, 28334]
    assert [m["clearing"] for m in moved] == [-28333, -28333, -28334]
    assert company.balances() == SPLIT
    assert company.aged() == {"current": 85000}
    assert drift(before, company.movements()) == 10000  # the waiver alone: late fee and receivable
    cash = company.balances("cash")  # on accrual books only a cash report shows it, and the proof names it
    assert (cash["sales"], cash["tax"]) == (-100000, -15000)
    effect = company.prove(plan.id).effect
    assert (effect.early_income, effect.early_tax) == (73913, 11087)


def test_cash_books_refuse_the_split_before_the_first_write(practice: Practice, platform: str) -> None:
    company = the_example(practice, platform).company
    company.answer(income="cash", tax="cash")
    customer = company.invoice("1001").customer
    with pytest.raises(plans.PlanProblem, match="would show its unpaid 850.00") as refused:
        company.propose(customer, ["1001"], 3, mode="split")
    assert refused.value.code == "CASH_BASIS_CLEARING"
    company.policy(method=Method.EQUAL, interest=InterestPolicy())
    plan = company.propose(customer, ["1001"], 3, first=FIRST_DUE)
    before = {basis: company.movements(basis) for basis in ("accrual", "cash")}
    company.approve(plan.id)
    assert_written(company, company.plan(plan.id))
    assert {basis: company.movements(basis) for basis in ("accrual", "cash")} == before
    assert company.ours() == []


def test_interest_when_it_is_earned_and_the_first_receipt(practice: Practice, platform: str) -> None:
    company, plan_id = written(practice, platform)
    name_accounts(company)
    practice.pass_to(FIRST_DUE - dt.timedelta(1))
    company.look()
    company.settle()
    assert company.balances() == SPLIT  # not a day too early
    earn_and_pay(practice, company)
    assert company.balances() == SPLIT | {"receivable": 56667, "bank": 59750, "interest": -1417}
    assert [row.open for row in company.plan(plan_id).installments] == [0, 28333, 28334]
    company.look()
    company.settle()
    assert company.balances()["interest"] == -1417


def test_default_posts_nothing(practice: Practice, platform: str) -> None:
    company, plan_id = written(practice, platform)
    name_accounts(company)
    earn_and_pay(practice, company)
    practice.pass_to(DEFAULT + dt.timedelta(20))
    broken(company, plan_id)
    before = company.movements()
    with db.transaction(practice.engine) as tx:
        renegotiating.accelerate(
            tx, plan_id, who="J. Doe", why="missed", now=company.now(), today=company.today
        )
    company.settle()
    assert drift(before, company.movements()) == 0
    assert company.plan(plan_id).state == "broken"
    assert company.invoice("1001-P1.3").due == company.today
    practice.pass_to(dt.date(2027, 3, 20))
    company.look()
    company.settle()
    assert company.balances().get("interest", 0) == -1417 - 1417  # the third row's never existed


def test_early_payoff(practice: Practice, platform: str) -> None:
    company, plan_id = written(practice, platform)
    name_accounts(company)
    earn_and_pay(practice, company)
    with db.reading(practice.engine) as tx:
        due = ending.payoff(tx, plan_id, today=company.today)
    assert (due.principal, due.interest, due.to_pay) == (56667, 0, 56667)
    company.pay("1001-P1.2")
    company.pay("1001-P1.3")
    company.look()
    assert company.plan(plan_id).state == "finished"
    practice.pass_to(dt.date(2027, 3, 20))
    company.look()
    company.settle()
    assert company.balances() == {
        "bank": 116417, "sales": -100000, "tax": -15000, "interest": -1417,
    }  # fmt: skip
    assert [d.number for d in company.ours() if d.balance] == []


def test_early_payoff_with_a_settlement_discount_of_five_percent(practice: Practice, platform: str) -> None:
    company, plan_id = written(practice, platform)
    name_accounts(company)
    earn_and_pay(practice, company)
    with db.transaction(practice.engine) as tx:
        due = ending.settle_early(
            tx, plan_id, Decimal(5), who="J. Doe", why="pays at once", now=company.now(), today=company.today
        )
    assert (due.discount, due.to_pay) == (2833, 53834)
    assert company.watch is not None
    company.settle()
    company.pay("1001-P1.2")
    company.pay("1001-P1.3")
    company.look()
    assert company.plan(plan_id).state == "finished"
    after = company.balances()
    assert (after.get("receivable", 0), after["bank"]) == (0, 113584)
    # QuickBooks computes tax itself: 15 % of 24.63 would be 3.69, so 24.67 is taxed and 0.04 taken off again.
    assert (after["discounts"], after["tax"]) == (2463, -14630)


def test_a_discount_on_a_sale_without_tax_has_none(practice: Practice, platform: str) -> None:
    """Whatever code stands in the settings for those that have."""
    company = practice.company(platform)
    company.answer()
    name_accounts(company)
    customer = company.customer()
    company.bill(customer, "1001", dt.date(2026, 8, 1), dt.date(2026, 8, 31), 60000)
    company.sync()
    plan = company.propose(customer, ["1001"], 3)
    company.approve(plan.id)
    with db.transaction(practice.engine) as tx:
        ending.settle_early(tx, plan.id, Decimal(5), who="J.", why="", now=company.now(), today=company.today)
    company.settle()
    assert (company.balances()["discounts"], company.balances().get("tax", 0)) == (3000, 0)
    assert company.open_("1001-P1.3") == 17000


def test_a_discount_that_the_ledger_refuses_may_be_granted_otherwise(practice: Practice) -> None:
    """Under a code that taxes nothing no tax can follow: the sentence says what to change, and then it goes."""
    company, plan_id = written(practice, "quickbooks")
    name_accounts(company)
    company.policy(discount_tax_code="NON")

    def settle() -> None:
        with db.transaction(practice.engine) as tx:
            ending.settle_early(
                tx, plan_id, Decimal(5), who="J.", why="", now=company.now(), today=company.today
            )
        company.deliver()

    settle()
    with db.reading(practice.engine) as tx:
        (refused,) = outbox.failures(tx, company.connection_id)
    assert "Let discounts not reduce tax in the settings" in refused.error
    assert "discounts" not in company.balances()
    company.policy(discount_reduces_tax=False)
    settle()
    with db.reading(practice.engine) as tx:
        assert outbox.failures(tx, company.connection_id) == []
    assert (company.balances()["discounts"], company.balances()["tax"]) == (4250, -15000)
    with pytest.raises(plans.PlanProblem, match="has its settlement discount already"):
        settle()


def test_a_discount_whose_tax_came_out_otherwise_is_taken_off_again(practice: Practice) -> None:
    """QuickBooks computes it at another rate than the invoice says: nothing is set against the credit, and it goes."""
    company, plan_id = written(practice, "quickbooks")
    name_accounts(company)
    before = company.movements()

    def another_rate(when: str, at: int, operation: str, writes: bool) -> None:
        company.pretend.tax_codes["TAX"].rate = Decimal(10 if operation == "POST creditmemo" else 15)

    for _ in range(2):
        with db.transaction(practice.engine) as tx:
            ending.settle_early(
                tx, plan_id, Decimal(5), who="J.", why="", now=company.now(), today=company.today
            )
        company.deliver(Metered(another_rate))
        with db.reading(practice.engine) as tx:
            (refused,) = outbox.failures(tx, company.connection_id)
        assert "tax came back as" in refused.error
        assert drift(before, company.movements()) == 0
    assert company.balances().get("discounts", 0) == 0


def test_renegotiation_into_four(practice: Practice, platform: str) -> None:
    company, plan_id = written(practice, platform)
    name_accounts(company)
    earn_and_pay(practice, company)
    company.policy(method=Method.EQUAL, interest=InterestPolicy())
    before = company.movements()
    paid = company.invoice("1001-P1.1").id
    with db.transaction(practice.engine) as tx:
        renegotiating.renegotiation(
            tx,
            plan_id,
            who="J. Doe",
            why="needs longer",
            now=company.now(),
            today=company.today,
            wish=Wish(installments=4, first=dt.date(2027, 1, 21)),
        )
    draft = company.plan(plan_id).draft
    assert draft is not None
    assert [r.principal for r in draft.rows] == [14166, 14167, 14167, 14167]
    company.approve(plan_id)
    record = company.plan(plan_id)
    assert record.plan.version == 2
    assert_written(company, record)
    assert drift(before, company.movements()) == 0
    assert company.balances()["receivable"] == 56667
    assert company.pretend.invoices[paid].balance == 0
    assert company.open_("1001") == 0
    with db.transaction(
        practice.engine
    ) as tx:  # a discount now follows the tax of the sale, not of an installment
        ending.settle_early(tx, plan_id, Decimal(5), who="J.", why="", now=company.now(), today=company.today)
    company.settle()
    assert (company.balances()["discounts"], company.balances()["tax"]) == (2463, -14630)


def test_write_off_is_proposed_with_its_tax(practice: Practice, platform: str) -> None:
    company, plan_id = written(practice, platform)
    name_accounts(company)
    earn_and_pay(practice, company)
    before = company.movements()
    with db.transaction(practice.engine) as tx:
        off = ending.propose_write_off(
            tx, plan_id, who="J. Doe", why="closed down", now=company.now(), today=company.today
        )
    assert (off.gross, off.net, off.tax) == (56667, 49276, 7391)
    with db.reading(practice.engine) as tx:
        (todo,) = todos.waiting(tx, company.connection_id)
    assert "492.76" in todo.what
    assert "73.91" in todo.what
    assert drift(before, company.movements()) == 0


def test_cancelled_on_the_same_day(practice: Practice, platform: str) -> None:
    example = the_example(practice, platform)
    company = example.company
    before = {basis: company.movements(basis) for basis in ("accrual", "cash")}
    aged = company.aged()
    plan = example_plan(example)
    company.approve(plan.id)
    with db.transaction(practice.engine) as tx:
        plans.cancel(tx, plan.id, who="J. Doe", now=company.now(), today=company.today)
    company.settle()
    assert company.plan(plan.id).state == "cancelled"
    assert_gone(company, plan.id)
    assert {basis: company.movements(basis) for basis in ("accrual", "cash")} == before
    assert company.aged() == aged
    assert company.open_("1001") == 85000
    assert company.open_("LF-1001") == 5000
    company.look()
    with db.reading(practice.engine) as tx:
        assert todos.waiting(tx, company.connection_id) == []  # what we took back ourselves is no loss


def name_accounts(company: Company) -> None:
    """The bookkeeper names where interest and discounts go; QuickBooks wants an item in front of each."""
    xero = company.platform == "xero"
    company.policy(
        interest_account=company.code("interest"),
        interest_item="" if xero else company.item("Interest", "interest"),
        interest_tax_code="NONE" if xero else "NON",
        discount_account=company.code("discounts"),
        discount_item="" if xero else company.item("Discounts", "discounts"),
        discount_tax_code="OUTPUT2" if xero else "TAX",
        discount_reduces_tax=True,
    )


def earn_and_pay(practice: Practice, company: Company) -> None:
    """The first due date: interest is billed, and the customer pays the installment with it."""
    practice.pass_to(FIRST_DUE)
    company.look()
    company.settle()
    company.pay("1001-P1.1")
    company.pay("1001-P1.1i")
    company.look()


def broken(company: Company, plan_id: str) -> None:
    company.look()
    company.settle()
    assert company.plan(plan_id).state == "broken"
