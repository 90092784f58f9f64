"""A charge is one event: what forbids it, who posts it when two press at once, and the last look before it is written."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy.engine import Engine

from connector import db
from connector.contact import charges, charging, holds
from connector.domain import charges as rules
from connector.domain.policy import load
from connector.domain.receivables import Kind
from connector.domain.writes import NoteDraft
from connector.platforms import Refused
from connector.practice import settings
from connector.writing import outbox
from tests.connector.conftest import NOON, TODAY
from tests.connector.plan_story import Story, a_story

FEE = "late_fee:147"


@pytest.fixture
def story(engine: Engine, connection_id: str) -> Story:
    """850.00 is open on 1001 for 82 days; a late fee of 20.00 is agreed."""
    made = a_story(engine, connection_id)
    rules = {"clause": "Terms, 7", "fee_amount": "20", "late_fee": {"account": "4000"}}
    with db.transaction(engine) as tx:
        revision = settings.load(tx, connection_id).revision
        policy = load({"charges": rules})
        settings.save_policy(tx, connection_id, policy, revision=revision, who="Ann", now=NOON)
    return made


def approve(story: Story) -> charges.Charge:
    with db.transaction(story.engine) as tx:
        return charging.approve(
            tx, story.connection_id, "58", FEE, 2000, who="Ann", now=story.now, today=story.today
        )


def kept(story: Story) -> list[charges.Charge]:
    with db.reading(story.engine) as tx:
        return charges.of_customer(tx, story.connection_id, "58")


def test_paid_a_moment_before_nothing_is_charged_and_it_may_be_offered_again(story: Story) -> None:
    approve(story)
    story.ledger.pay("147", 85000, TODAY)  # nobody synced since
    story.deliver()
    assert "create_invoices" not in story.ledger.calls
    [charge] = kept(story)
    assert (charge.state, charge.why) == (
        "withdrawn",
        "The invoice changed in the ledger before it was charged.",
    )
    with db.reading(story.engine) as tx:  # by the mirror, which has not heard of the payment
        assert [o.key for o in charging.offered(tx, story.connection_id, "58", today=TODAY)] == [FEE]


def test_money_came_a_moment_before_and_is_not_matched_yet(story: Story) -> None:
    approve(story)
    story.ledger.pay(None, 85000, TODAY, "58")  # nobody synced since
    story.deliver()
    assert "create_invoices" not in story.ledger.calls
    assert [c.why for c in kept(story)] == [rules.UNMATCHED]
    story.sync()
    with pytest.raises(charging.ChargeProblem, match="not matched"):
        approve(story)


def test_an_invoice_that_cannot_be_read_gives_up_its_charge_and_stops_nothing_else(story: Story) -> None:
    approve(story)
    with db.transaction(story.engine) as tx:
        note = NoteDraft(Kind.INVOICE, "160", "Ring them.", "")
        outbox.lay_out(tx, story.connection_id, "some other note", [note], now=story.now)
    story.ledger.refuse["document"] = Refused("Forbear cannot read it.", code="UNREADABLE_RECORD")
    story.deliver()
    assert [(c.state, c.why) for c in kept(story)] == [("withdrawn", "Forbear cannot read it.")]
    assert story.ledger.remarks["160"] == ["Ring them."]


def test_what_forbids_it_is_said(story: Story) -> None:
    with db.transaction(story.engine) as tx:
        holds.promise(tx, story.connection_id, "58", TODAY, who="Ann", now=NOON)
        holds.put(tx, story.connection_id, "58", "disputed", invoice_id="147", who="Ann", now=NOON)
    story.propose("147")
    with pytest.raises(charging.ChargeProblem) as no:
        approve(story)
    assert str(no.value) == (
        f"On hold: the invoice is in dispute. A payment is promised for {TODAY}. The invoice is in a payment plan."
    )


def test_another_sum_than_the_one_shown_is_not_charged(story: Story) -> None:
    with db.transaction(story.engine) as tx, pytest.raises(charging.ChargeProblem, match="20.00 USD by now"):
        charging.approve(tx, story.connection_id, "58", FEE, 1999, who="Ann", now=NOON, today=TODAY)


def test_two_people_at_once_post_it_once(story: Story) -> None:
    people = [threading.Thread(target=approve, args=[story]) for _ in range(3)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    for _ in range(2):
        story.deliver()
    assert [c.state for c in kept(story)] == ["posted"]
    assert story.ledger.calls.count("create_invoices") == 1


def test_what_is_not_written_yet_is_waived_without_a_document(story: Story) -> None:
    charge = approve(story)
    with db.transaction(story.engine) as tx:
        with pytest.raises(charging.ChargeProblem, match="Write down why"):
            charging.waive(tx, charge.id, who="Ann", why=" ", now=NOON, today=TODAY)
        charging.waive(tx, charge.id, who="Ann", why="a slip", now=NOON, today=TODAY)
        charging.waive(tx, charge.id, who="Ann", why="twice is harmless", now=NOON, today=TODAY)
    story.deliver()
    assert "create_invoices" not in story.ledger.calls
    assert [(c.state, c.why) for c in kept(story)] == [("waived", "a slip")]


def test_what_the_ledger_refuses_is_shown_and_can_be_given_up(story: Story) -> None:
    charge = approve(story)
    story.ledger.refuse["create_invoices"] = Refused("The account is closed.", code="6000")
    story.deliver()
    [failed] = kept(story)
    assert (failed.state, failed.attention) == ("failed", "The account is closed.")
    with db.transaction(story.engine) as tx:
        charging.waive(tx, charge.id, who="Ann", why="not worth it", now=NOON, today=TODAY)
        assert outbox.failures(tx, story.connection_id) == []
    assert [c.state for c in kept(story)] == ["waived"]
