"""A plan in the books: the golden figures, the refusals before the first write, undo, and every crash."""

from __future__ import annotations

import contextlib
import datetime as dt
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from connector import db
from connector.domain.policy import InterestPolicy, Mode, PlanPolicy, Policy
from connector.domain.propose import Wish
from connector.domain.receivables import Customer, Document, Kind, Status
from connector.domain.writes import CreditDraft
from connector.mirroring import books, merging
from connector.planning import drafting, ending, plans, renegotiating
from connector.planning.plan_records import Record
from connector.platforms import Refused, Standing, TryLater
from connector.practice import settings
from connector.reviewing import review
from connector.writing import outbox, proving, writeback
from tests.connector.conftest import TODAY
from tests.connector.fake_ledger import HARBOR, FakeLedger, Killed
from tests.connector.plan_story import Story, a_ledger, a_story, locked

BEFORE = {"AR": 108000, "Bank": 30000, "Sales": -120000, "Tax": -18000}
DAY = dt.date


@pytest.fixture
def story(engine: Engine, connection_id: str) -> Story:
    return a_story(engine, connection_id)


def money_documents(ledger: FakeLedger) -> list[tuple[str, int, int]]:
    """Number, total and balance of every live plan document."""
    found = ledger.live(Kind.CREDIT, "plan=") + ledger.live(Kind.INVOICE, "plan=")
    return sorted((d.number, d.total, d.balance) for d in found)


SPLIT = [
    ("1001-P1.1", 28333, 28333),
    ("1001-P1.2", 28333, 28333),
    ("1001-P1.3", 28334, 28334),
    ("1001-P1C", 85000, 0),
]


def test_the_worked_example_in_split_mode(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.deliver()
    assert money_documents(story.ledger) == SPLIT
    assert story.ledger.trial_balance() == BEFORE
    assert story.ledger.documents["147"].balance == 0
    assert story.ledger.documents["160"].balance == 23000  # the bystander
    assert [d.due for d in story.ledger.live(Kind.INVOICE, "role=inst")] == [
        DAY(2026, 12, 21),
        DAY(2027, 1, 21),
        DAY(2027, 2, 22),
    ]
    assert story.ledger.remarks["147"] == [
        "2026-11-21 Payment plan PP-0001 v1: 283.33 on 2026-12-21, 283.33 on 2027-01-21, "
        "283.34 on 2027-02-22 (USD) (approved by J. Doe)."
    ]
    done = story.plan(plan.id)
    assert (done.state, done.progress, done.attention) == ("running", "on_track", "")
    assert [story.ledger.documents[r.invoice_id or ""].number for r in done.installments] == [
        "1001-P1.1",
        "1001-P1.2",
        "1001-P1.3",
    ]
    assert [w.key for w in story.writes(plan.id)][0] == f"PP-0001-1-credit-{plan.plan.digest}"


def test_delivering_a_finished_plan_again_writes_nothing(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.deliver()
    story.ledger.calls.clear()
    story.approve(plan.id)
    story.deliver()
    assert story.ledger.calls == []


def test_what_waits_has_another_name_when_somebody_decides_anew(story: Story) -> None:
    """So a job can tell what came while it wrote, and wake another one for it."""

    def waiting() -> frozenset[str]:
        with db.reading(story.engine) as tx:
            return writeback.waiting(tx, story.connection_id, story.now)

    plan = story.propose("147")
    assert waiting() == frozenset()
    story.approve(plan.id)
    first = waiting()
    with db.transaction(story.engine) as tx:
        plans.send_back(tx, plan.id, "The ledger said no.", now=story.now, tried=False)
    assert waiting() == frozenset()
    story.approve(plan.id)
    assert len(first) == len(waiting()) == 1
    assert waiting() - first == waiting()
    story.deliver()
    assert waiting() == frozenset()


def test_notes_mode_changes_no_document(story: Story) -> None:
    story.answer(income="cash", tax="cash")
    plan = story.propose("147", mode=Mode.NOTES)
    story.approve(plan.id)
    story.deliver()
    assert money_documents(story.ledger) == []
    assert story.ledger.trial_balance() == BEFORE
    assert story.ledger.documents["147"].balance == 85000
    assert len(story.ledger.remarks["147"]) == 1
    assert story.plan(plan.id).state == "running"
    with db.reading(story.engine) as tx:  # a review is to say what holds reminders now
        assert plan.plan.customer_id in books.changed(tx, story.connection_id)


def test_several_invoices_become_one_plan(story: Story) -> None:
    plan = story.propose("147", "160", count=2)
    story.approve(plan.id)
    story.deliver()
    assert money_documents(story.ledger) == [
        ("1001-P1.1", 54000, 54000),
        ("1001-P1.2", 54000, 54000),
        ("1001-P1C", 85000, 0),
        ("1010-P1C", 23000, 0),
    ]
    assert story.ledger.trial_balance() == BEFORE


# ---------------------------------------------------------------- refused before the first write


def refused_before_writing(story: Story, plan_id: str, words: str) -> None:
    assert story.deliver().behind  # so the books are read again, before anybody reviews the draft
    plan = story.plan(plan_id)
    assert plan.state == "proposed"
    assert words in plan.attention
    assert money_documents(story.ledger) == []
    assert not {"create_credit", "create_invoices", "link", "add_note"} & set(story.ledger.calls)


def test_the_invoice_changed_between_approval_and_posting(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.ledger.pay("147", 10000, DAY(2026, 11, 21))
    refused_before_writing(story, plan.id, "changed since the plan was drawn up")
    assert (
        "changed since the plan was drawn up" in drawn_again(story, plan.id).attention
    )  # by books that do not know it yet
    story.sync()
    drawn = drawn_again(story, plan.id)
    assert (drawn.plan.balance, drawn.attention) == (75000, "")


def drawn_again(story: Story, plan_id: str) -> Record:
    with db.transaction(story.engine) as tx:
        revision = plans.get(tx, plan_id).revision
        return drafting.redraft(
            tx, plan_id, revision=revision, who="Ann", now=story.now, today=DAY(2026, 11, 21)
        )


def test_somebody_edited_the_invoice_without_touching_its_money(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.ledger.documents["147"] = replace(story.ledger.documents["147"], version="99")
    refused_before_writing(story, plan.id, "changed since the plan was drawn up")


def test_unapplied_money(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.ledger.pay(None, 12000, DAY(2026, 11, 20), "58")
    refused_before_writing(story, plan.id, "Apply the 120.00 USD credit first")


def test_unapplied_money_of_the_customer_above(story: Story) -> None:
    story.ledger.customers["57"] = Customer("57", "Head office")
    story.ledger.customers["58"] = replace(story.ledger.customers["58"], parent_id="57")
    story.sync()
    plan = story.propose("147")
    story.approve(plan.id)
    story.ledger.pay(None, 12000, DAY(2026, 11, 20), "57")
    story.deliver()
    words = "Head office, to whom this customer belongs, has 120.00 USD that is set against nothing yet."
    assert story.plan(plan.id).attention.startswith(words)
    assert money_documents(story.ledger) == []
    story.sync()
    with pytest.raises(plans.PlanProblem, match=words):  # and before anybody is asked, once the books say so
        story.approve(plan.id)


def test_unapplied_money_that_the_ledgers_figure_of_what_is_owed_leaves_out(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.ledger.owed_without_credits = True
    story.ledger.pay(None, 12000, DAY(2026, 11, 20), "58")
    story.sync()
    refused_before_writing(story, plan.id, "Apply the 120.00 USD credit first")


def test_money_in_a_journal_entry_that_no_list_of_the_customers_shows(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.ledger.pay(None, 12000, DAY(2026, 11, 20), "58")
    [*_, (id, entry)] = story.ledger.received.items()
    story.ledger.received[id] = replace(entry, flavor="journal")
    story.sync()
    refused_before_writing(story, plan.id, "Apply the 120.00 USD credit first")


def test_a_date_that_passed_before_the_ledger_could_be_reached(story: Story) -> None:
    """I8: no installment falls due before the day on which it is posted."""
    plan = story.propose("147")
    story.approve(plan.id)
    story.today = DAY(2026, 12, 22)
    story.deliver()
    assert "Installment 1 is due 2026-12-21, which has passed" in story.plan(plan.id).attention
    assert money_documents(story.ledger) == []


def test_the_books_were_closed_meanwhile(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    locked(story, DAY(2026, 11, 30))
    refused_before_writing(story, plan.id, "Books are closed to 2026-11-30")


def test_the_ledger_applies_credits_by_itself(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.ledger.facts = replace(story.ledger.facts, auto_apply_credits=True)
    refused_before_writing(story, plan.id, "apply the plan credit to another invoice by itself")


def test_the_clearing_account_cannot_serve(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.ledger.refuse["clearing"] = Refused("Account 1190 is archived. Choose another.")
    refused_before_writing(story, plan.id, "Account 1190 is archived")


@pytest.mark.parametrize(
    ("income", "tax", "code"),
    [
        ("cash", "accrual", "CASH_BASIS_CLEARING"),
        ("accrual", "cash", "CASH_BASIS_CLEARING"),
    ],
)
def test_a_split_on_a_cash_basis_is_not_even_approved(story: Story, income: str, tax: str, code: str) -> None:
    plan = story.propose("147")
    story.answer(income=income, tax=tax)
    with pytest.raises(plans.PlanProblem, match="unpaid 850.00 USD as income") as problem:
        story.approve(plan.id)
    assert problem.value.code == code
    assert story.deliver().done == 0
    assert story.ledger.calls == []


def test_an_invoice_is_planned_once(story: Story) -> None:
    story.propose("147")
    with pytest.raises(plans.PlanProblem, match="in the draft PP-0001 already"):
        story.propose("147", "160")


# ---------------------------------------------------------------- undo


def test_cancelled_the_same_day_the_books_are_as_before(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.deliver()
    story.cancel(plan.id)
    story.deliver()
    assert story.plan(plan.id).state == "cancelled"
    assert money_documents(story.ledger) == []
    assert story.ledger.trial_balance() == BEFORE
    assert story.ledger.documents["147"].balance == 85000
    assert story.ledger.remarks["147"][-1].endswith("v1 cancelled; the invoice is due as before.")
    story.cancel(plan.id)
    story.ledger.calls.clear()
    story.deliver()
    assert story.ledger.calls == []


@pytest.mark.parametrize("written", [True, False])
def test_cancelled_the_same_day_with_its_interest(story: Story, written: bool) -> None:
    """I17, I14: the first payment was due at once, so its interest was billed on the day of the posting."""
    policy = Policy(
        plan=PlanPolicy(interest=InterestPolicy(clause="Terms, 7", cap=Decimal(99)), interest_account="4900")
    )
    proposed = story.propose("147").plan
    first = replace(proposed.rows[0], nominal=TODAY, due=TODAY, interest=1417)
    with db.transaction(story.engine) as tx:
        revision = settings.load(tx, story.connection_id).revision
        settings.save_policy(tx, story.connection_id, policy, revision=revision, who="Ann", now=story.now)
        edited = replace(proposed, rows=(first, *proposed.rows[1:]))
        plans.edit(tx, proposed.id, edited, revision=1, who="Ann", now=story.now)
    story.approve(proposed.id)
    story.deliver()
    review.review(story.engine, story.connection_id, now=story.now, today=TODAY)
    if written:
        story.deliver()
        assert story.ledger.trial_balance()["AR"] == BEFORE["AR"] + 1417
    story.cancel(proposed.id)
    story.deliver()
    assert story.plan(proposed.id).state == "cancelled"
    assert {a: b for a, b in story.ledger.trial_balance().items() if b} == BEFORE
    story.deliver()
    assert {a: b for a, b in story.ledger.trial_balance().items() if b} == BEFORE


def test_cancelled_before_anything_was_written(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.cancel(plan.id)
    story.deliver()
    assert story.plan(plan.id).state == "cancelled"
    assert story.ledger.calls == []


@pytest.mark.parametrize("why", ["later", "paid", "locked"])
def test_a_plan_that_cannot_be_rewound_only_ends(story: Story, why: str) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.deliver()
    before = story.ledger.trial_balance()
    if why == "later":
        story.today, story.now = DAY(2026, 11, 24), story.now + dt.timedelta(days=3)
    elif why == "paid":
        story.ledger.pay(story.plan(plan.id).installments[0].invoice_id, 10000, DAY(2026, 11, 21))
        before = story.ledger.trial_balance()
    else:
        locked(story, DAY(2026, 11, 21))
    story.cancel(plan.id)
    story.deliver()
    assert story.plan(plan.id).state == "cancelled"
    assert story.ledger.trial_balance() == before
    assert len(money_documents(story.ledger)) == 4
    assert "v1 ended" in story.ledger.remarks["147"][-1]


@pytest.mark.parametrize("credited", [False, True])
def test_a_discount_that_is_not_set_against_anything_yet_goes_with_its_plan(
    story: Story, credited: bool
) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.deliver()
    with db.transaction(story.engine) as tx:
        kept = settings.load(tx, story.connection_id)
        policy = replace(kept.policy, plan=replace(kept.policy.plan, discount_account="6100"))
        settings.save_policy(
            tx, story.connection_id, policy, revision=kept.revision, who="J. Doe", now=story.now
        )
        given = {"who": "J. Doe", "why": "", "now": story.now, "today": TODAY}
        ending.settle_early(tx, plan.id, Decimal(5), **given)
    if credited:  # and the link waits for the ledger
        story.ledger.refuse["link"] = TryLater("Wait.", after=60)
        story.deliver()
        story.ledger.refuse.clear()
        assert story.ledger.trial_balance() != BEFORE
    story.cancel(plan.id)
    story.now += dt.timedelta(minutes=5)
    story.deliver_until_done()
    assert (story.plan(plan.id).state, money_documents(story.ledger)) == ("cancelled", [])
    assert story.ledger.trial_balance() == BEFORE
    assert [w.state for w in story.writes(plan.id) if w.state in ("pending", "sending", "failed")] == []


def test_ended_before_its_other_terms_were_written_nothing_of_the_first_stays(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.deliver()
    with db.transaction(story.engine) as tx:
        wish = Wish(installments=5)
        renegotiating.renegotiation(tx, plan.id, who="J. Doe", why="", now=story.now, today=TODAY, wish=wish)
    story.approve(plan.id)
    story.cancel(plan.id)
    story.deliver_until_done()
    assert (story.plan(plan.id).state, money_documents(story.ledger)) == ("cancelled", [])
    assert story.ledger.trial_balance() == BEFORE


def test_paid_while_it_is_taken_back_the_plan_only_ends(story: Story) -> None:
    """The ledger refuses to remove what somebody has just paid; nothing was undone by then, so everything stays."""
    plan = story.propose("147")
    story.approve(plan.id)
    story.deliver()
    story.cancel(plan.id)
    first = story.plan(plan.id).installments[0].invoice_id

    def pays(call: str) -> None:
        if call == "find":  # the look whether anybody paid
            story.ledger.after_call = None
            story.ledger.pay(first, 10000, TODAY)

    story.ledger.after_call = pays
    story.deliver_until_done()
    ended = story.plan(plan.id)
    assert (ended.state, ended.attention) == ("cancelled", "")
    assert [(n, total) for n, total, _ in money_documents(story.ledger)] == [
        (n, total) for n, total, _ in SPLIT
    ]
    assert story.ledger.documents["147"].balance == 0
    assert "ended" in story.ledger.remarks["147"][-1]


def test_an_invoice_can_be_planned_again_after_a_cancelled_plan(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.deliver()
    story.cancel(plan.id)
    story.deliver()
    story.sync()
    again = story.propose("147")
    story.approve(again.id)
    story.deliver()
    assert [d[0] for d in money_documents(story.ledger)] == [
        "1001-P2.1",
        "1001-P2.2",
        "1001-P2.3",
        "1001-P2C",
    ]
    assert story.ledger.trial_balance() == BEFORE


# ---------------------------------------------------------------- half written


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("create_credit", "no such account"),
        ("create_invoices", "no such account"),
        ("1001-P1.2", "no such account"),
        ("link", "no such account"),
    ],
)
def test_what_the_ledger_refuses_halfway_is_taken_back(story: Story, method: str, words: str) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.ledger.refuse[method] = Refused("There is no such account.", code="2500", words="Invalid ref")
    story.deliver()
    back = story.plan(plan.id)
    assert (back.state, back.plan.version) == ("proposed", 2)
    assert words in back.attention
    assert back.attention.endswith("Your books are as they were.")
    assert money_documents(story.ledger) == []
    assert story.ledger.trial_balance() == BEFORE
    failed = [w for w in story.writes(plan.id) if w.error]
    assert (failed[0].error_code, failed[0].error_words) == ("2500", "Invalid ref")
    with db.reading(story.engine) as tx:
        assert outbox.failures(tx, story.connection_id) == []  # nobody is asked to try again what is no more

    story.ledger.refuse.clear()
    story.sync()
    story.approve(plan.id)
    story.deliver()
    with db.transaction(story.engine) as tx:
        for write in failed:  # as one of an earlier installation still stands
            tx.execute(sa.update(db.writes).where(db.writes.c.id == write.id).values(state="failed"))
            assert outbox.retry(tx, write.id, who="J. Doe", now=story.now).state == "cancelled"
    story.deliver()
    assert [d[0] for d in money_documents(story.ledger)] == [
        "1001-P2.1",
        "1001-P2.2",
        "1001-P2.3",
        "1001-P2C",
    ]
    assert story.ledger.trial_balance() == BEFORE


def test_the_customers_yes_outlives_an_attempt_that_was_taken_back(story: Story) -> None:
    plan = story.propose("147")
    with db.transaction(story.engine) as tx:
        plans.record_acceptance(
            tx, plan.id, accepted_by="M. Fern", how="phone", on=TODAY, document_hash="9c01", who="Ann", now=story.now
        )  # fmt: skip
    story.approve(plan.id)
    story.ledger.refuse["link"] = Refused("No.", code="620")
    story.deliver()
    back = story.plan(plan.id)
    assert (back.state, back.plan.version) == ("proposed", 2)
    assert back.acceptance is not None
    assert (back.acceptance["by"], back.acceptance["document"]) == ("M. Fern", "9c01")


def test_tax_that_the_ledger_adds_by_itself_is_taken_back(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.ledger.tax_surprise = 1
    story.deliver()
    assert "tax came back as 0.01 USD instead of 0.00 USD" in story.plan(plan.id).attention
    assert money_documents(story.ledger) == []
    assert story.ledger.trial_balance() == BEFORE


def test_an_installment_paid_before_the_plan_is_proven_is_no_reason_to_take_it_back(story: Story) -> None:
    """A worker that was killed may be late; taken back, the plan would hang: no ledger removes what is paid."""
    plan = story.propose("147")
    story.approve(plan.id)
    story.ledger.refuse["link"] = TryLater("Wait.", after=60)
    story.deliver()
    story.ledger.refuse.clear()
    first = next(d for d in story.ledger.live(Kind.INVOICE, "plan=") if d.number == "1001-P1.1")
    story.ledger.pay(first.id, 10000, TODAY)
    story.now += dt.timedelta(minutes=2)
    story.deliver_until_done()
    assert (story.plan(plan.id).state, story.plan(plan.id).attention) == ("running", "")
    assert ("1001-P1.1", 28333, 18333) in money_documents(story.ledger)


def test_the_customer_pays_while_the_plan_is_written(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)

    def pays(call: str) -> None:
        if call == "create_invoices":
            story.ledger.after_call = None
            story.ledger.pay("147", 5000, DAY(2026, 11, 21))

    story.ledger.after_call = pays
    story.deliver()
    assert story.plan(plan.id).state == "proposed"
    assert "changed" in story.plan(plan.id).attention
    assert money_documents(story.ledger) == []
    assert story.ledger.documents["147"].balance == 80000


def test_what_cannot_be_taken_back_is_said_and_waits(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)

    def closes(call: str) -> None:
        if call == "create_credit":
            locked(story, DAY(2026, 11, 30))

    story.ledger.after_call = closes
    story.deliver()
    stuck = story.plan(plan.id)
    assert stuck.progress == "undoing"
    assert "half written and could not be taken back" in stuck.attention
    tb = story.ledger.trial_balance()
    assert tb["AR"] + tb["1190"] == BEFORE["AR"]  # the saga's constant

    story.ledger.after_call, story.ledger.facts = None, HARBOR  # the bookkeeper opens the period again
    with db.transaction(story.engine) as tx:
        failed = [w for w in outbox.failures(tx, story.connection_id) if "undo" in w.batch]
        outbox.retry(tx, failed[0].id, who="J. Doe", now=story.now)
    story.deliver()
    assert story.plan(plan.id).state == "proposed"
    assert story.ledger.trial_balance() == BEFORE


def test_a_refused_note_leaves_the_plan_running_and_can_be_tried_again(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.ledger.refuse["add_note"] = Refused("The note is too long.")
    story.deliver()
    running = story.plan(plan.id)
    assert (running.state, running.attention) == ("running", "The note is too long.")
    assert money_documents(story.ledger) == SPLIT


def test_a_foreign_document_with_our_number_stops_the_plan(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    foreign = story.ledger.an_invoice("900", "58", DAY(2026, 11, 1), DAY(2026, 12, 1), 500)
    story.ledger.documents["900"] = replace(foreign, number="1001-P1.2")
    before = story.ledger.trial_balance()
    story.deliver()
    assert "has a document 1001-P1.2 that is not this one" in story.plan(plan.id).attention
    assert money_documents(story.ledger) == []
    assert story.ledger.trial_balance() == before
    assert story.ledger.documents["900"].status is Status.OPEN


def two_approved(story: Story) -> tuple[Any, Any]:
    """Plans of two customers, over 147 and over 170."""
    story.ledger.an_invoice("170", "59", DAY(2026, 8, 1), DAY(2026, 8, 31), 60000, number="1020")
    story.sync()
    both = story.propose("147"), story.propose("170")
    for plan in both:
        story.approve(plan.id)
    return both


def test_a_plan_that_the_ledger_cannot_be_asked_about_stops_no_other(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One record that nobody can read used to leave every plan of the organization waiting, without a word."""
    odd, sound = two_approved(story)
    standing = story.ledger.standing

    def one_is_odd(customer_id: str, *more: Any) -> Standing:
        if customer_id == "58":
            raise Refused("The ledger answered a record that Forbear cannot read.", code="UNREADABLE_RECORD")
        return standing(customer_id, *more)

    monkeypatch.setattr(story.ledger, "standing", one_is_odd)
    assert story.deliver().behind
    back = story.plan(odd.id)
    assert (back.state, back.attention) == (
        "proposed",
        "The ledger answered a record that Forbear cannot read.",
    )
    assert story.plan(sound.id).state == "running"


def test_a_plan_whose_proof_cannot_be_read_says_so_and_stops_no_other(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, sound = two_approved(story)
    together = story.ledger.find_together

    def one_is_odd(customer_id: str, *more: Any) -> list[Document]:
        if customer_id == "58":
            raise Refused("The ledger answered a record that Forbear cannot read.", code="UNREADABLE_RECORD")
        return together(customer_id, *more)

    with monkeypatch.context() as odd_for_now:
        odd_for_now.setattr(story.ledger, "find_together", one_is_odd)
        story.deliver()
    half = story.plan(odd.id)
    assert (half.state, half.attention) == (
        "approved",
        "The ledger answered a record that Forbear cannot read.",
    )
    assert story.plan(sound.id).state == "running"
    story.deliver()
    proven = story.plan(odd.id)
    assert (proven.state, proven.attention) == ("running", "")


def test_what_a_ledger_carries_out_after_the_connection_broke_is_taken_back_too(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.ledger.fault, story.ledger.fault_at = "dropped_before", len(story.ledger.calls) + 2
    story.deliver()
    (credit,) = [w for w in story.writes(plan.id) if w.state == "sending"]
    story.ledger.fault = ""
    story.cancel(plan.id)
    story.deliver()  # it is not there yet, and may still come
    assert (story.plan(plan.id).state, story.plan(plan.id).progress) == ("approved", "cancelling")
    assert isinstance(credit.draft, CreditDraft)
    story.ledger.create_credit(credit.draft, credit.key)
    story.now += dt.timedelta(minutes=4)
    story.deliver_until_done()
    assert story.plan(plan.id).state == "cancelled"
    assert (money_documents(story.ledger), story.ledger.trial_balance()) == ([], BEFORE)


def test_a_customer_who_was_merged_is_meant_under_the_new_name(story: Story) -> None:
    """Of a written plan, as its proof is read back, and of writes that still wait."""
    plan = story.propose("147")
    story.approve(plan.id)
    story.ledger.refuse["link"] = TryLater("Wait.", after=60)
    story.deliver()
    with db.transaction(story.engine) as tx:
        merging.follow(tx, story.connection_id, {"58": "61"})
    with db.reading(story.engine) as tx:
        meant = [outbox.resolved(tx, w) for w in story.writes(plan.id) if w.state == "done"]
        drafts = proving.drafts_of(tx, story.plan(plan.id))
    assert {d.customer_id for d in [*meant, *drafts] if hasattr(d, "customer_id")} == {"61"}


# ---------------------------------------------------------------- every crash


FAULTS = ["killed_before", "killed_after", "dropped_before", "dropped_after", "limited"]


@pytest.mark.parametrize("keys", ["remembered", "forgotten"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("mode", [Mode.SPLIT, Mode.NOTES])
def test_every_crash_ends_in_one_set_of_documents(
    engine: Engine, connection_id: str, mode: Mode, fault: str, keys: str
) -> None:
    story = a_story(engine, connection_id)
    for at in range(40):
        story.ledger = a_ledger()
        story.sync()
        plan = story.propose("147", mode=mode)
        story.approve(plan.id)
        story.ledger.fault, story.ledger.fault_at = fault, at
        with contextlib.suppress(Killed):
            story.deliver()
        reached = len(story.ledger.calls) > at
        story.ledger.fault = ""
        if keys == "forgotten":
            story.ledger.keys.clear()
            story.ledger.unique_numbers = False
        story.now += dt.timedelta(minutes=20)
        story.deliver_until_done()
        wrong = f"{mode} {fault} at call {at} ({story.ledger.calls[at] if reached else ''})"
        assert money_documents(story.ledger) == (SPLIT if mode is Mode.SPLIT else []), wrong
        assert story.ledger.trial_balance() == BEFORE, wrong
        assert len(story.ledger.remarks["147"]) == 1, wrong
        assert story.plan(plan.id).state == "running", wrong
        if not reached:
            break
        forget(story)
    else:
        raise AssertionError("the plan takes more calls than the matrix covers")


def forget(story: Story) -> None:
    """Make room for the next crash: the plan is over, the mirror empty."""
    with db.transaction(story.engine) as tx:
        tx.execute(db.plans.update().values(state="cancelled", progress=""))
        for table in db.BOOKS:
            tx.execute(table.delete())
