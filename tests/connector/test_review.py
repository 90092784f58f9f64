"""What a review concludes from the books, dated: findings, drafts, where plans stand."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy.engine import Engine

from connector import db
from connector.contact import holds
from connector.domain.plan import Plan
from connector.domain.policy import Mode, PlanPolicy, Policy
from connector.domain.propose import Wish
from connector.domain.receivables import Kind
from connector.domain.writes import RemoveDraft
from connector.mirroring import mirror
from connector.planning import drafting, plans, previewing, renegotiating, todos
from connector.platforms import Refused
from connector.practice import settings
from connector.record import audit
from connector.reviewing import conclusions, overview, review
from tests.connector.conftest import NOON, TODAY
from tests.connector.plan_story import Story, a_story

DAY = dt.date
PASSED = "Nobody had answered it by its first payment day, {}."
FIRST = [(DAY(2026, 11, 30), 28333), (DAY(2026, 12, 28), 28333), (DAY(2027, 1, 28), 28334)]
LATER = [
    (DAY(2026, 12, 22), 27000),
    (DAY(2027, 1, 22), 27000),
    (DAY(2027, 2, 22), 27000),
    (DAY(2027, 3, 22), 27000),
]  # with 1010, late by then


@pytest.fixture
def story(engine: Engine, connection_id: str) -> Story:
    return a_story(engine, connection_id)


def reviewed(story: Story, today: dt.date = TODAY) -> review.Reviewed:
    return review.review(story.engine, story.connection_id, now=story.now, today=today)


def all_plans(story: Story) -> list[plans.Record]:
    with db.reading(story.engine) as tx:
        return plans.of_connection(tx, story.connection_id)


def test_findings_balances_and_a_drafted_plan(story: Story) -> None:
    result = reviewed(story)
    assert (result.customers, result.findings, result.plans_drafted) == (1, 3, 1)
    with db.reading(story.engine) as tx:
        found = conclusions.of_customer(tx, story.connection_id, "58")
    assert found is not None
    assert [(f.kind, f.since) for f in found.findings] == [
        ("overdue", DAY(2026, 9, 1)),
        ("partly_paid", DAY(2026, 9, 20)),
        ("silent", DAY(2026, 11, 4)),
    ]
    balance = found.balances[0]
    assert (balance.currency, balance.open, balance.overdue) == ("USD", 108000, 85000)
    assert balance.buckets["61-90"] == 85000
    plan = all_plans(story)[0]
    assert (plan.state, plan.plan.mode, plan.plan.principal) == ("proposed", Mode.SPLIT, 85000)
    assert [s.invoice_id for s in plan.plan.sources] == ["147"]


@pytest.mark.parametrize("everybody", [True, False])
def test_nothing_is_concluded_about_a_customer_who_left_the_books(story: Story, everybody: bool) -> None:
    """QuickBooks deletes a customer who was merged into another one: the list would name them by their id, with
    money that the other one owes."""
    reviewed(story)
    with db.transaction(story.engine) as tx:
        mirror.drop(tx, story.connection_id, Kind.CUSTOMER, "58")
    ids = None if everybody else {"58"}
    review.look(story.engine, story.connection_id, now=story.now, today=TODAY, customer_ids=ids)
    with db.reading(story.engine) as tx:
        assert conclusions.of_customer(tx, story.connection_id, "58") is None
        assert overview.pressing(tx, story.connection_id, 10) == ([], 0)


@pytest.mark.parametrize(
    ("newer_due", "state"), [(DAY(2026, 12, 2), "approved"), (DAY(2026, 11, 18), "proposed")]
)
def test_no_plan_approves_itself_while_newer_invoices_go_unpaid_too(
    story: Story, newer_due: dt.date, state: str
) -> None:
    policy = Policy(plan=PlanPolicy(auto_approve_up_to=Decimal(1000)))
    with db.transaction(story.engine) as tx:
        revision = settings.load(tx, story.connection_id).revision
        settings.save_policy(tx, story.connection_id, policy, revision=revision, who="Ann", now=story.now)
    newer = story.ledger.documents["160"]
    story.ledger.documents["160"] = replace(newer, due=newer_due)
    story.sync()
    reviewed(story)
    assert [p.state for p in all_plans(story)] == [state]


def test_reviewing_twice_drafts_and_finds_nothing_twice(story: Story) -> None:
    reviewed(story)
    assert reviewed(story).plans_drafted == 0
    assert len(all_plans(story)) == 1
    with db.reading(story.engine) as tx:
        rows = tx.execute(db.findings.select()).all()
    assert len(rows) == 3


def test_what_one_payment_settles_needs_no_plan(story: Story) -> None:
    story.ledger.pay("147", 84000, DAY(2026, 11, 20))  # 10.00 is left, below the least a payment should be
    story.sync()
    assert reviewed(story).plans_drafted == 0
    assert all_plans(story) == []


def test_a_draft_follows_the_books_and_a_finding_is_closed(story: Story) -> None:
    reviewed(story)
    story.ledger.pay("147", 20000, DAY(2026, 11, 22))
    story.sync()
    reviewed(story, DAY(2026, 11, 23))
    assert [(p.state, p.plan.principal) for p in all_plans(story)] == [
        ("withdrawn", 85000),
        ("proposed", 65000),
    ]
    story.ledger.pay("147", 65000, DAY(2026, 11, 24))
    story.sync()
    reviewed(story, DAY(2026, 11, 25))
    assert [p.state for p in all_plans(story)] == ["withdrawn", "withdrawn"]
    with db.reading(story.engine) as tx:
        assert conclusions.of_connection(tx, story.connection_id)[0].findings == ()
        closed = {row.closed_on for row in tx.execute(db.findings.select())}
    assert closed == {DAY(2026, 11, 23), DAY(2026, 11, 25)}  # the silence ended with the first payment


def test_a_draft_that_nobody_answers_keeps_its_number_and_moves_its_days(story: Story) -> None:
    reviewed(story)
    (first,) = all_plans(story)
    assert [(r.due, r.total) for r in first.plan.rows] == FIRST
    reviewed(story, DAY(2026, 11, 30))  # its first payment day is no day too late
    assert all_plans(story) == [first]
    for day in (DAY(2026, 12, 1), DAY(2026, 12, 2), DAY(2026, 12, 15)):
        reviewed(story, day)
    (now,) = all_plans(story)
    assert (now.id, now.state, now.plan.version, now.renewed) == (first.id, "proposed", 1, 2)
    assert [(r.due, r.total) for r in now.plan.rows] == LATER
    assert [(r.due, r.amount) for r in now.installments] == LATER
    with db.reading(story.engine) as tx:
        assert plans.waits_since([now]) == TODAY
        lines = audit.of_connection(tx, story.connection_id, subject=f"plan {first.id}")
        told = [(e.who, e.what, e.why) for e in reversed(lines)]
    assert told == [
        ("Forbear", "proposed a plan", ""),
        ("Forbear", "moved the days of a draft on", PASSED.format("2026-11-30")),
        ("Forbear", "moved the days of a draft on", PASSED.format("2026-12-08")),
    ]
    day, before = DAY(2026, 12, 15), first.revision  # of a page on which the days before stand
    with db.transaction(story.engine) as tx, pytest.raises(plans.EditedMeanwhile):
        plans.approve(tx, first.id, who="Ann", now=NOON, today=day, revision=before)


@pytest.mark.parametrize(
    ("kind", "rows"),
    [("squeezed", [14166, 14166, 14167, 14167, 14167, 14167]), ("chronic", [17000, *[13600] * 5])],
)
def test_a_draft_goes_by_the_kind_of_payer_that_a_person_sees(
    story: Story, kind: str, rows: list[int]
) -> None:
    story.ledger.an_invoice("301", "59", DAY(2026, 8, 1), DAY(2026, 8, 31), 100000, number="3001")
    story.ledger.pay("301", 15000, DAY(2026, 10, 1))
    story.sync()
    for days in (200, 30):
        policy = Policy(plan=PlanPolicy(propose_after_days=days))
        with db.transaction(story.engine) as tx:
            revision = settings.load(tx, story.connection_id).revision
            settings.save_policy(tx, story.connection_id, policy, revision=revision, who="Ann", now=NOON)
        reviewed(story)
        with db.transaction(story.engine) as tx:
            key = (story.connection_id, "59")
            conclusions.override(tx, *key, kind, reason="I know them.", who="Ann", now=NOON)
    (drafted,) = [p.plan for p in all_plans(story) if p.plan.customer_id == "59"]
    with db.reading(story.engine) as tx:
        asked = drafting.sketch(tx, *key, ["301"], today=TODAY, wish=Wish(), but=drafted.id)
    assert [r.total for r in drafted.rows] == rows
    assert [r.total for r in asked.rows] == rows


def test_a_draft_takes_in_what_fell_due_while_nobody_answered(story: Story) -> None:
    reviewed(story)
    reviewed(story, DAY(2027, 1, 4))  # 1010 fell due on 2 December
    (now,) = all_plans(story)
    assert (now.id, now.plan.principal) == ("PP-0001", 108000)
    assert [s.number for s in now.plan.sources] == ["1001", "1010"]


def test_a_draft_that_a_person_changed_stays_as_it_is_and_says_that_its_day_passed(story: Story) -> None:
    reviewed(story)
    (ours,) = all_plans(story)
    with db.transaction(story.engine) as tx:
        wish = Wish(installments=4)
        theirs = drafting.redraft(
            tx, ours.id, wish=wish, revision=ours.revision, who="Ann", now=NOON, today=TODAY
        )
    reviewed(story, DAY(2026, 12, 15))
    assert all_plans(story) == [theirs]
    with db.reading(story.engine) as tx:
        seen = previewing.preview(tx, ours.id, today=DAY(2026, 12, 15))
    assert [r.sentence for r in seen.refusals] == [
        "Installment 1 is due 2026-11-30, which has passed. Choose a later date."
    ]


def test_a_draft_shown_to_the_customer_does_not_move(story: Story) -> None:
    reviewed(story)
    (ours,) = all_plans(story)
    with db.transaction(story.engine) as tx:
        shown = plans.offered(tx, ours.id, {"by": "2026-12-05"}, revision=ours.revision, who="Ann", now=NOON)
    reviewed(story, DAY(2026, 12, 15))
    assert all_plans(story) == [shown]


def test_a_draft_with_passed_days_is_withdrawn_where_none_is_wanted_any_more(story: Story) -> None:
    reviewed(story)
    with db.transaction(story.engine) as tx:
        holds.put(tx, story.connection_id, "58", "disputed", invoice_id="147", who="Ann", now=NOON)
    reviewed(story, DAY(2026, 12, 15))
    assert [p.state for p in all_plans(story)] == ["withdrawn"]


def test_a_plan_that_a_person_turned_down_does_not_come_back(story: Story) -> None:
    reviewed(story)
    story.cancel(all_plans(story)[0].id)
    reviewed(story, DAY(2026, 11, 22))
    assert [p.state for p in all_plans(story)] == ["cancelled"]


def test_a_running_plan_moves_with_the_money(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.deliver()
    story.sync()
    first, second, third = [row.invoice_id or "" for row in story.plan(plan.id).installments]
    reviewed(story)
    assert story.plan(plan.id).progress == "on_track"

    story.ledger.pay(first, 28333, DAY(2026, 12, 20))
    story.ledger.pay(second, 10000, DAY(2027, 1, 20))
    story.sync()
    reviewed(story, DAY(2027, 1, 24))
    assert [(r.open, r.state) for r in story.plan(plan.id).installments] == [
        (0, "paid"),
        (18333, "partly_paid"),
        (28334, "open"),
    ]
    reviewed(story, DAY(2027, 1, 25))  # the tolerance of three days is over
    assert story.plan(plan.id).progress == "late"
    reviewed(story, DAY(2027, 2, 1))
    assert (story.plan(plan.id).state, story.plan(plan.id).progress) == ("broken", "broken")

    story.ledger.pay(second, 18333, DAY(2027, 2, 1))
    story.ledger.pay(third, 28334, DAY(2027, 2, 1))
    story.sync()
    reviewed(story, DAY(2027, 2, 2))
    assert story.plan(plan.id).state == "finished"


def test_a_split_does_not_make_the_debt_look_younger(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.deliver()
    story.sync()
    reviewed(story)
    with db.reading(story.engine) as tx:
        balance = conclusions.of_connection(tx, story.connection_id)[0].balances[0]
    assert balance.buckets["61-90"] == 0
    assert balance.contract["61-90"] == 85000
    assert sum(balance.contract.values()) == sum(balance.buckets.values()) == balance.open == 108000


def test_a_paused_plan_is_never_late(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.deliver()
    story.sync()
    with db.transaction(story.engine) as tx:
        plans.pause(tx, plan.id, who="J. Doe", now=NOON)
    reviewed(story, DAY(2027, 3, 1))
    assert (story.plan(plan.id).state, story.plan(plan.id).progress) == ("running", "paused")


def test_somebody_voids_an_installment_in_the_ledger(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.deliver()
    second = story.plan(plan.id).installments[1].invoice_id or ""
    story.ledger.remove(RemoveDraft("invoice", second, ""), "")
    story.sync()
    reviewed(story)
    assert "Installment 2 was voided in the ledger" in story.plan(plan.id).attention


# ---------------------------------------------------------------- what people ask for


def proposed(story: Story, *invoice_ids: str, **asked: object) -> Plan:
    with db.transaction(story.engine) as tx:
        return drafting.propose_plan(
            tx,
            story.connection_id,
            "58",
            invoice_ids,
            who="J. Doe",
            now=NOON,
            today=TODAY,
            wish=Wish(**asked),  # type: ignore[arg-type]
        ).plan


def test_a_person_asks_for_four_installments_over_two_invoices(story: Story) -> None:
    plan = proposed(story, "147", "160", installments=4)
    assert [r.total for r in plan.rows] == [27000, 27000, 27000, 27000]
    assert plan.mode is Mode.SPLIT


@pytest.mark.parametrize(
    ("invoices", "count", "words"),
    [
        (["147"], 0, "at least one installment"),
        (["147"], 400, "400 installments are too many"),
        (["999"], 3, "has no invoice 999"),
    ],
)
def test_bad_requests_are_refused_with_a_sentence(
    story: Story, invoices: list[str], count: int, words: str
) -> None:
    with pytest.raises((plans.PlanProblem, LookupError), match=words):
        proposed(story, *invoices, installments=count)
    assert all_plans(story) == []


def test_the_preview_shows_the_zeros(story: Story) -> None:
    plan = proposed(story, "147", installments=3)
    with db.reading(story.engine) as tx:
        shown = previewing.preview(tx, plan.id, today=TODAY)
    assert shown.refusals == ()
    assert shown.effect.neutral
    assert shown.effect.early_income == 73913
    assert [r.change for r in shown.effect.totals("accrual")] == [0] * len(shown.effect.totals("accrual"))
    assert shown.message.startswith("Installment request 1 of 3 for invoice 1001. Not a tax invoice.")
    assert shown.alternatives[0].mode is Mode.NOTES


def test_without_answers_there_are_only_notes(engine: Engine, connection_id: str) -> None:
    story = a_story(engine, connection_id)
    with db.transaction(engine) as tx:
        tx.execute(db.settings.delete())
    plan = proposed(story, "147")
    assert plan.mode is Mode.NOTES
    assert "Tell us how you report" in plan.reasons[-1]


def test_two_people_edit_the_same_plan(story: Story) -> None:
    plan = proposed(story, "147")
    with db.transaction(story.engine) as tx:
        seen = plans.get(tx, plan.id)
        plans.edit(tx, plan.id, seen.plan, revision=seen.revision, who="Ann", now=NOON)
        with pytest.raises(plans.EditedMeanwhile, match="Somebody else changed plan"):
            plans.edit(tx, plan.id, seen.plan, revision=seen.revision, who="Bo", now=NOON)
        with pytest.raises(plans.EditedMeanwhile):
            plans.approve(tx, plan.id, who="Bo", now=NOON, today=TODAY, revision=seen.revision)


def test_a_renegotiated_plan_credits_its_own_installments(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.deliver()
    first = story.plan(plan.id).installments[0].invoice_id or ""
    story.ledger.pay(first, 28333, DAY(2026, 12, 20))
    story.sync()
    story.today, story.now = DAY(2027, 1, 22), dt.datetime(2027, 1, 22, 12, tzinfo=dt.UTC)
    before = story.ledger.trial_balance()
    with db.transaction(story.engine) as tx:
        drafted = renegotiating.renegotiation(
            tx,
            plan.id,
            who="J. Doe",
            why="Two more months",
            now=story.now,
            today=story.today,
            wish=Wish(installments=4),
        )
    assert drafted.draft is not None
    assert [r.total for r in drafted.draft.rows] == [14166, 14167, 14167, 14167]
    assert story.plan(plan.id).plan.version == 1
    with db.transaction(story.engine) as tx:
        with pytest.raises(plans.PlanProblem, match="cannot be drafted anew. Renegotiate it"):
            drafting.redraft(tx, plan.id, revision=drafted.revision, who="Ann", now=NOON, today=TODAY)
        said = {"who": "Ann", "why": "", "now": story.now, "today": story.today, "wish": Wish(installments=5)}
        renegotiating.renegotiation(tx, plan.id, revision=drafted.revision, **said)
        kept = plans.versions(tx, plan.id)[-1]
        assert (kept.author, kept.why, len(kept.plan.rows)) == ("Ann", "Two more months", 5)
        with pytest.raises(plans.EditedMeanwhile, match="Somebody else changed plan"):
            renegotiating.renegotiation(tx, plan.id, revision=drafted.revision, **said)
    with db.transaction(story.engine) as tx:
        again = {"who": "J. Doe", "why": "", "now": story.now, "today": story.today}
        renegotiating.renegotiation(tx, plan.id, wish=Wish(installments=4), **again)
    story.approve(plan.id)
    story.deliver()
    assert story.ledger.trial_balance() == before
    now = story.plan(plan.id)
    assert (now.state, now.plan.version, now.attention) == ("running", 2, "")
    open_ = [d for d in story.ledger.documents.values() if d.balance and "role=inst" in d.marker]
    assert [(d.balance, "v=2" in d.marker) for d in open_] == [
        (14166, True),
        (14167, True),
        (14167, True),
        (14167, True),
    ]


def test_a_renegotiation_that_the_ledger_refuses_leaves_the_plan_running_as_it_was(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.deliver()
    story.sync()
    before = story.ledger.trial_balance()
    wish = Wish(installments=4)
    with db.transaction(story.engine) as tx:
        renegotiating.renegotiation(tx, plan.id, who="J. Doe", why="", now=NOON, today=TODAY, wish=wish)
    story.approve(plan.id)
    story.ledger.refuse["link"] = Refused("Not today.")
    story.deliver()
    back = story.plan(plan.id)
    assert (back.state, back.plan.version, back.draft.version if back.draft else None) == ("running", 1, 3)
    assert "Not today" in back.attention
    assert story.ledger.trial_balance() == before
    assert [row.open for row in back.installments] == [28333, 28333, 28334]
    assert all(story.ledger.documents[row.invoice_id or ""].balance == row.open for row in back.installments)


def test_a_draft_made_before_the_answers_is_made_anew_as_a_split(story: Story) -> None:
    with db.transaction(story.engine) as tx:
        tx.execute(db.settings.delete())
    reviewed(story)
    assert [p.plan.mode for p in all_plans(story)] == [Mode.NOTES]
    story.answer()
    reviewed(story)
    assert [(p.state, p.plan.mode) for p in all_plans(story)] == [
        ("withdrawn", Mode.NOTES),
        ("proposed", Mode.SPLIT),
    ]


def test_a_proposal_is_drafted_anew_as_a_person_wishes(story: Story) -> None:
    plan = proposed(story, "147")
    with db.transaction(story.engine) as tx:
        seen = plans.get(tx, plan.id)
        wish = Wish(installments=5)
        again = drafting.redraft(
            tx, plan.id, wish=wish, revision=seen.revision, who="Ann", now=NOON, today=TODAY
        )
        assert [r.total for r in again.plan.rows] == [17000] * 5
        with pytest.raises(plans.EditedMeanwhile):
            drafting.redraft(tx, plan.id, wish=wish, revision=seen.revision, who="Bo", now=NOON, today=TODAY)


def test_after_a_default_the_rest_falls_due_and_nothing_is_posted(story: Story) -> None:
    plan = story.propose("147")
    story.approve(plan.id)
    story.deliver()
    _, second, third = [row.invoice_id or "" for row in story.plan(plan.id).installments]
    story.ledger.pay(second, 5000, DAY(2026, 12, 30))
    story.sync()
    before = story.ledger.trial_balance()
    story.today, story.now = DAY(2027, 1, 5), dt.datetime(2027, 1, 5, 12, tzinfo=dt.UTC)
    with db.transaction(story.engine) as tx:
        renegotiating.accelerate(
            tx, plan.id, who="J. Doe", why="missed twice", now=story.now, today=story.today
        )
    story.deliver()
    assert story.ledger.trial_balance() == before
    assert story.ledger.documents[third].due == DAY(2027, 1, 5)
    assert story.ledger.documents[second].due == DAY(2027, 1, 21)  # money is set against it
    with db.reading(story.engine) as tx:
        (todo,) = todos.waiting(tx, story.connection_id)
    assert todo.what == "Set the due date of 1001-P1.2 to 2027-01-05 in the ledger."
    first = story.plan(plan.id).installments[0].invoice_id
    story.ledger.pay(first, 28333, DAY(2027, 1, 5))
    story.sync()
    reviewed(story, DAY(2027, 1, 6))
    assert story.plan(plan.id).state == "broken"


def test_a_first_slip_of_a_good_payer_is_reminded_and_not_offered_a_plan(story: Story) -> None:
    for n in range(6):  # on time, month after month; then one is forgotten
        due = DAY(2026, 3 + n, 20)
        story.ledger.an_invoice(f"g{n}", "61", due - dt.timedelta(30), due, 90000)
        story.ledger.pay(f"g{n}", 90000, due)
    story.ledger.an_invoice("slip", "61", DAY(2026, 9, 10), DAY(2026, 10, 10), 90000)
    story.ledger.an_invoice("next", "61", DAY(2026, 10, 1), DAY(2026, 10, 31), 90000)
    story.ledger.pay("next", 90000, DAY(2026, 10, 30))
    story.sync()
    reviewed(story)
    assert {p.plan.customer_id for p in all_plans(story)} == {"58"}
    reviewed(story, DAY(2026, 12, 1))
    assert {p.plan.customer_id for p in all_plans(story)} == {"58"}
    reviewed(story, DAY(2026, 12, 11))  # two months late is more than a slip
    assert {p.plan.customer_id for p in all_plans(story) if p.state == "proposed"} == {"58", "61"}
