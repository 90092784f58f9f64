"""Every refusal of the double-entry law, on both ledgers: its sentence, and not one write before it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
import sqlalchemy as sa

from connector import db
from connector.contact import holds
from connector.domain.policy import Mode
from connector.planning import drafting, plans, previewing, todos
from connector.practice import settings
from connector.writing import outbox
from sandbox import acts
from sandbox.documents import Advance, Journal, JournalLine, Payment, Ref
from tests.stories.lives import APPROVAL, DAY, Company, Metered, Practice, drift
from tests.stories.test_plan_events import owing, running


def writes(company: Company) -> list[str]:
    return [c.operation for c in company.calls if c.writes]


def sent_back(company: Company, plan_id: str) -> str:
    """Approve, deliver: nothing is written, the plan waits again. Returns why."""
    company.approve(plan_id)
    record = company.plan(plan_id)
    assert (record.state, writes(company), company.ours()) == ("proposed", [], [])
    return record.attention


def test_what_cannot_be_a_plan_is_refused_in_a_sentence(practice: Practice, platform: str) -> None:
    company, customer = owing(practice, platform)
    for count, first, code in (
        (0, None, "NO_INSTALLMENTS"),
        (400, None, "TOO_MANY_INSTALLMENTS"),
        (3, APPROVAL - dt.timedelta(3), "PAST_DATE"),
    ):
        with pytest.raises(plans.PlanProblem) as refused:
            company.propose(customer, ["1001"], count, first=first)
        assert refused.value.code == code
        assert len(str(refused.value)) > 20
    plan = company.propose(customer, ["1001"], 3)
    with pytest.raises(plans.PlanProblem) as refused:
        company.propose(customer, ["1001"], 3)
    assert refused.value.code == "ALREADY_PLANNED"
    rows = plan.plan.rows
    over = replace(plan.plan, rows=(replace(rows[0], principal=rows[0].principal + 1), *rows[1:]))
    zero = replace(plan.plan, rows=(replace(rows[0], principal=0), *rows[1:]))
    for wrong, code in ((over, "AMOUNT_OVER_BALANCE"), (zero, "ROW_NOT_POSITIVE")):
        company.edit(company.plan(plan.id), wrong)
        with pytest.raises(plans.PlanProblem) as refused:
            company.approve(plan.id)
        assert refused.value.code == code
    with pytest.raises(plans.EditedMeanwhile):
        company.edit(plan, plan.plan)  # from a page that is older than the last edit
    assert company.ours() == []


def test_a_closed_period_refuses_before_the_first_write(practice: Practice, platform: str) -> None:
    company, customer = owing(practice, platform)
    plan = company.propose(customer, ["1001"], 3)
    company.pretend.organization.closed_until = APPROVAL  # closed after the last sync
    company.approve(plan.id)
    record = company.plan(plan.id)
    assert record.state == "proposed"
    assert "Books are closed to 2026-11-21" in record.attention
    assert writes(company) == []


def test_an_unapplied_payment_is_named_before_the_first_write(practice: Practice, platform: str) -> None:
    company, customer = owing(practice, platform)
    plan = company.propose(customer, ["1001"], 3)
    acts.pay(company.pretend, customer=customer, amount=97000)  # 120.00 too much
    company.approve(plan.id)
    said = company.plan(plan.id).attention
    assert "changed since the plan was drawn up" in said
    assert "Apply the 120.00" in said
    assert company.ours() == []
    assert writes(company) == []


def waiving(company: Company, customer: str, net: int, tax: int) -> plans.Record:
    """A plan over 1001 that takes back a fee with tax on it."""
    fee = company.bill(customer, "LF-9", DAY(2026, 9, 1), DAY(2026, 9, 15), net, tax, role="late_fees")
    company.sync()
    plan = company.propose(customer, ["1001"], 3)
    with db.transaction(company.practice.engine) as tx:
        return drafting.waive(
            tx, plan.id, fee, why="kindness", revision=plan.revision, who="J. Doe", now=company.now()
        )


def test_a_waived_fee_gives_back_its_tax_under_its_own_code(practice: Practice, platform: str) -> None:
    """33.31 at 15 % is 4.9965: the ledger's own rounding of the fee is what comes back."""
    company, customer = owing(practice, platform)
    plan = waiving(company, customer, 3331, 500)
    with db.reading(practice.engine) as tx:
        shown = previewing.preview(tx, plan.id, today=company.today)
    assert shown.effect.only_waives(3831)
    before = company.movements()
    company.approve(plan.id)
    record = company.plan(plan.id)
    assert (record.state, record.attention) == ("running", "")
    after = company.movements()
    assert {account for account in before | after if before.get(account) != after.get(account)} == {
        "receivable", "late_fees", "tax",
    }  # fmt: skip
    moved = {a: after[a].get("2026-11", 0) - before[a].get("2026-11", 0) for a in ("late_fees", "tax")}
    assert moved == {"late_fees": 3331, "tax": 500}
    assert company.open_("LF-9") == 0
    proven = company.prove(plan.id)
    assert proven.differences == ()
    assert proven.effect.only_waives(3831)


def test_tax_that_comes_back_otherwise_takes_the_plan_back(practice: Practice, platform: str) -> None:
    """QuickBooks computes tax anew: at another rate nothing may stay. Xero keeps the tax that it is told."""
    company, customer = owing(practice, platform)
    plan = waiving(company, customer, 5000, 700)  # charged at 14 %
    before = company.movements()
    company.approve(plan.id)
    company.settle()
    record = company.plan(plan.id)
    if platform == "xero":
        assert record.state == "running"
        assert drift(before, company.movements()) == 2 * 5700
        return
    assert record.state == "proposed"
    assert "tax came back as 7.50 USD instead of 7.00 USD" in record.attention
    assert "Your books are as they were" in record.attention
    assert drift(before, company.movements()) == 0
    assert company.ours() == []


def test_a_fee_of_two_accounts_is_credited_by_a_person(practice: Practice, platform: str) -> None:
    company, customer = owing(practice, platform)
    plan = waiving(company, customer, 5000, 750)
    fee = company.invoice("LF-9")
    fee.lines.append(replace(fee.lines[0], account=company.account("sales"), net=0, tax=0))
    fee.lines[1].net, fee.lines[0].net = 1000, 4000
    company.approve(plan.id)
    assert "Credit it in the ledger itself" in company.plan(plan.id).attention
    assert company.ours() == []


def test_a_number_that_somebody_else_uses_is_not_used_twice(practice: Practice, platform: str) -> None:
    """QuickBooks may allow a number twice, so it is looked for first; Xero refuses it, and then it is looked at."""
    company, customer = owing(practice, platform)
    if platform == "quickbooks":
        company.pretend.organization.rules.unique_numbers = False
    theirs = company.bill(
        company.customer("Oak Hotel"), "1001-P1.2", DAY(2026, 11, 1), DAY(2026, 12, 1), 9900
    )
    company.sync()
    plan = company.propose(customer, ["1001"], 3)
    before = company.movements()
    company.approve(plan.id)
    company.settle()
    record = company.plan(plan.id)
    assert record.state == "proposed"
    assert "has a document 1001-P1.2 that is not this one" in record.attention
    assert (company.ours(), drift(before, company.movements())) == ([], 0)
    assert company.pretend.invoices[theirs].balance == 9900


def test_invoices_of_two_customers_with_one_number_have_plans_of_their_own(practice: Practice) -> None:
    """QuickBooks may give a number twice; both plans were drafted before either was written."""
    company, first = owing(practice, "quickbooks")
    company.pretend.organization.rules.unique_numbers = False
    second = company.customer("Oak Hotel")
    theirs = company.bill(second, "1001", DAY(2026, 8, 1), DAY(2026, 8, 31), 60000)
    company.sync()
    drafts = [company.propose(first), company.propose(second, count=2)]
    for plan in drafts:
        company.approve(plan.id)
        company.settle()
        assert (company.plan(plan.id).state, company.plan(plan.id).attention) == ("running", "")
    assert {d.number for d in company.ours() if d.customer == second} == {
        f"1001.{theirs}-P1C",
        f"1001.{theirs}-P1.1",
        f"1001.{theirs}-P1.2",
    }


def insolvent(company: Company) -> None:
    with db.transaction(company.practice.engine) as tx:
        [customer] = [c.id for c in company.pretend.customers]
        holds.put(tx, company.connection_id, customer, "insolvency", who="J. Doe", now=company.now())


def mandated(company: Company) -> None:
    company.pretend.organization.country = "BE"


def applies_credits(company: Company) -> None:
    company.pretend.organization.rules.auto_apply_credits = True


def files_on_cash(company: Company) -> None:
    """Xero's own setting for sales tax, QuickBooks' accounting method; the answers still say accrual."""
    if company.platform == "xero":
        company.pretend.organization.tax_basis = "cash"
    else:
        company.pretend.organization.income_basis = "cash"


def edited(company: Company) -> None:
    acts.edit(company.pretend, Ref("invoice", company.invoice("1001").id), {"due": DAY(2026, 9, 5)})


def paid_without_a_word(company: Company) -> None:
    """Money came that names no invoice, so no invoice changed."""
    [customer] = [c.id for c in company.pretend.customers]
    money = {"customer": customer, "date": APPROVAL, "amount": 12000, "currency": "USD"}
    if company.platform == "xero":
        company.pretend.add_advance(Advance(type="overpayment", **money | {"currency": "GBP"}))  # type: ignore[arg-type]
    else:
        company.pretend.add_payment(Payment(links=[], **money))  # type: ignore[arg-type]


def archived(company: Company) -> None:
    [customer] = list(company.pretend.customers)
    company.pretend.edit(Ref("customer", customer.id), active=False)


def asks_for_erasure(company: Company) -> None:
    [customer] = list(company.pretend.customers)
    customer.gdpr_requested = True


BOTH = ("quickbooks", "xero")


@pytest.mark.parametrize(
    ("platform", "change", "words"),
    [
        *((p, insolvent, "No plan or reminder may go out while this is set") for p in BOTH),
        *((p, mandated, "must travel its e-invoicing network") for p in BOTH),
        *((p, edited, "changed since the plan was drawn up") for p in BOTH),
        ("quickbooks", applies_credits, "would apply the plan credit to another invoice by itself"),
        *((p, files_on_cash, "Crediting the invoice would show its unpaid") for p in BOTH),
        *((p, paid_without_a_word, "Apply the 120.00") for p in BOTH),
        ("xero", archived, "The customer is inactive in the ledger"),
        ("xero", asks_for_erasure, "marks a data protection request for this customer"),
    ],
)
def test_what_changed_in_the_ledger_since_the_last_reading_stops_the_first_write(
    practice: Practice, platform: str, change: Callable[[Company], None], words: str
) -> None:
    company, customer = owing(practice, platform, paid=0)
    plan = company.propose(customer, ["1001"], 3)
    assert plan.plan.mode is Mode.SPLIT
    with db.transaction(practice.engine) as tx:
        plans.approve(tx, plan.id, who="J. Doe", now=company.now(), today=company.today)
    change(company)
    company.deliver()
    record = company.plan(plan.id)
    assert words in record.attention
    assert (record.state, writes(company), company.ours()) == ("proposed", [], [])


def choose(company: Company, clearing: str) -> None:
    with db.transaction(company.practice.engine) as tx:
        settings.set_clearing(tx, company.connection_id, clearing, who="J. Doe", now=company.now())


def test_a_clearing_account_that_cannot_serve_is_named_before_the_first_write(
    practice: Practice, platform: str
) -> None:
    """Unknown, archived, and (where the ledger tells) not at zero before the first plan."""
    company, customer = owing(practice, platform, paid=0)
    plan = company.propose(customer, ["1001"], 3)
    choose(company, "4711")
    assert "has no account 4711" in sent_back(company, plan.id)
    choose(company, "auto")
    made = company.open().clearing(None, company.today)
    [account] = [a for a in company.pretend.accounts if a.name == made.name]
    account.active = False
    assert "cannot be" in sent_back(company, plan.id)
    account.active = True
    if platform == "quickbooks":  # Xero's list of accounts tells no balance
        company.pretend.add_journal(
            Journal(
                date=APPROVAL,
                lines=[
                    JournalLine(account=account.id, amount=1200),
                    JournalLine(account=company.account("sales"), amount=-1200),
                ],
            )
        )
        assert "before the first plan" in sent_back(company, plan.id)


def test_where_the_ledger_tells_no_balance_a_person_is_asked_to_look_once(practice: Practice) -> None:
    company, customer = owing(practice, "xero")
    account = company.open().clearing(None, company.today)
    choose(company, account.account_id)
    company.approve(company.propose(customer, ["1001"], 3).id)
    other = company.customer("Oak Hotel")
    company.bill(other, "2001", DAY(2026, 8, 1), DAY(2026, 8, 31), 60000)
    company.sync()
    company.approve(company.propose(other, ["2001"], 2).id)
    with db.reading(practice.engine) as tx:
        asked = [t.what for t in todos.waiting(tx, company.connection_id)]
    assert [("stood at zero" in what, account.name in what) for what in asked] == [(True, True)]


def test_a_clearing_account_archived_after_a_plan_stops_the_next_before_anything_is_posted(
    practice: Practice, platform: str
) -> None:
    """Xero's word for the account is believed for a day: there the ledger itself refuses the first document."""
    company, _ = running(practice, platform)
    other = company.customer("Oak Hotel")
    company.bill(other, "2001", DAY(2026, 8, 1), DAY(2026, 8, 31), 60000)
    company.sync()
    plan = company.propose(other, ["2001"], 2)
    [account] = [a for a in company.pretend.accounts if a.name == "Payment plan clearing"]
    before, ours = company.movements(), len(company.ours())
    account.active = False
    for _ in range(2):  # the second time it is asked for anew
        company.approve(plan.id)
        record = company.plan(plan.id)
        assert record.state == "proposed"
        assert "The clearing account cannot be used" in record.attention
        assert (len(company.ours()), drift(before, company.movements())) == (ours, 0)
    assert writes(company) == []
    account.active = True
    company.approve(plan.id)
    assert company.plan(plan.id).state == "running"


def test_a_plan_that_was_taken_back_can_be_approved_again_at_once(practice: Practice, platform: str) -> None:
    """2026-11-22: a credit that QuickBooks deletes stayed in our books until the next reading, as the customer's own
    open credit: "Apply the 850.00 USD credit first"."""
    company, customer = owing(practice, platform)
    company.open().clearing(None, company.today)
    plan = company.propose(customer, ["1001"], 3)
    begun: list[str] = []

    def close_at_the_second_write(when: str, at: int, operation: str, writes: bool) -> None:
        if when == "before" and writes:
            begun.append(operation)
            if len(begun) == 2:
                company.pretend.organization.closed_until = APPROVAL

    company.approve(plan.id, deliver=False)
    company.deliver(Metered(close_at_the_second_write))
    assert len(begun) > 1
    company.pretend.organization.closed_until = None
    with db.transaction(practice.engine) as tx:
        for write in outbox.of_plan(tx, plan.id):
            outbox.retry(tx, write.id, who="J. Doe", now=company.now())
    company.settle()
    assert (company.plan(plan.id).state, company.ours()) == ("proposed", [])
    company.approve(plan.id)
    assert company.plan(plan.id).state == "running"


def test_a_plan_from_before_a_reinstall_is_recognized_by_its_mark(practice: Practice, platform: str) -> None:
    company, plan_id = running(practice, platform)
    number = plans.number_of(plan_id)
    with db.transaction(practice.engine) as tx:  # a new installation knows nothing of the plan
        tx.execute(sa.delete(db.writes).where(db.writes.c.connection_id == company.connection_id))
        for table in (db.installments, db.plan_versions):
            tx.execute(sa.delete(table).where(table.c.plan == number))
        tx.execute(sa.delete(db.plans).where(db.plans.c.number == number))
    company.watch = None
    company.sync()
    customer = company.invoice("1001").customer
    with pytest.raises(plans.PlanProblem) as refused:
        company.propose(customer, ["1001-P1.1"], 2)
    assert refused.value.code == "ALREADY_PLANNED"


def test_a_plan_that_stands_in_the_ledger_after_a_backup_was_restored_is_named(
    practice: Practice, platform: str
) -> None:
    company, plan_id = running(practice, platform)
    number, ours = plans.number_of(plan_id), len(company.ours())
    with db.transaction(practice.engine) as tx:  # as the installation stood before the first write
        tx.execute(sa.delete(db.writes).where(db.writes.c.connection_id == company.connection_id))
        tx.execute(
            sa.update(db.plan_versions).where(db.plan_versions.c.plan == number).values(posted_on=None)
        )
        tx.execute(
            sa.update(db.plans).where(db.plans.c.number == number).values(state="approved", progress="")
        )
    company.watch = None
    company.deliver()
    record = company.plan(plan_id)
    assert record.state == "proposed"
    assert (
        "The ledger already holds 1001-P1.1, 1001-P1.2, 1001-P1.3, 1001-P1C of this very plan"
        in record.attention
    )
    assert (writes(company), len(company.ours())) == ([], ours)


def test_a_foreign_invoice_and_books_without_answers_get_notes_and_hear_why(
    practice: Practice, platform: str
) -> None:
    company = practice.company(platform, multicurrency=True)
    customer = company.customer("Rheinkontor", currency="EUR")
    company.bill(
        customer, "1001", DAY(2026, 8, 1), DAY(2026, 8, 31), 50000, currency="EUR", rate=Decimal("1.1")
    )
    company.sync()
    for answered, code in ((False, "BASIS_UNKNOWN"), (True, "FOREIGN_CURRENCY")):
        if answered:
            company.answer()
        with pytest.raises(plans.PlanProblem) as refused:
            company.propose(customer, ["1001"], 3, mode="split")
        assert refused.value.code == code
    assert company.propose(customer, ["1001"], 3).plan.mode is Mode.NOTES
