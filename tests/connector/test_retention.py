"""What is kept about people goes after the policy's years, and nothing that is still needed goes with it."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from connector import db
from connector.contact import contacts, credit_limits, holds, reminders
from connector.domain.codec import WrongValue
from connector.domain.policy import load
from connector.mirroring import merging
from connector.practice import settings
from connector.record import audit, retention
from tests.connector.plan_story import Story
from tests.connector.test_reminders import AT_TEN, DAY, kept, reviewed, story

__all__ = ["story"]

LATER = dt.timedelta(days=7 * 366)


def lived(story: Story) -> None:
    """A reminder with its note, a call, a promise, a hold that was lifted and one that was not, words in the record."""
    reviewed(story)
    story.deliver()
    with db.transaction(story.engine) as tx:
        id = story.connection_id
        contacts.record(tx, id, "58", "call", on=story.today, who="Ann", now=AT_TEN, note="Spoke with Pat")
        holds.promise(tx, id, "58", DAY(2026, 12, 1), who="Ann", now=AT_TEN)
        lifted = holds.put(tx, id, "58", "manual", note="Away in May", who="Ann", now=AT_TEN)
        holds.lift(tx, lifted.id, who="Ann", now=AT_TEN)
        holds.put(tx, id, "58", "opt_out", who="Ann", now=AT_TEN)


def let_go(story: Story, today: dt.date) -> dict[str, int]:
    with db.transaction(story.engine) as tx:
        return retention.let_go(tx, story.connection_id, today=today, now=AT_TEN + LATER)


def test_after_seven_years_it_goes_and_a_wish_stays(story: Story) -> None:
    lived(story)
    story.ledger.pay("201", 40000, DAY(2026, 12, 2))
    story.sync()
    assert let_go(story, DAY(2033, 11, 1)) == {}  # nothing is older than seven years
    gone = let_go(story, DAY(2033, 12, 3))
    assert gone.items() >= {"reminders": 2, "promises": 1, "holds": 1}.items()
    assert gone["audit"] >= 5
    assert kept(story) == []
    with db.reading(story.engine) as tx:
        assert reminders.of_customer(tx, story.connection_id, "58") == []
        assert [h.reason for h in holds.active(tx, story.connection_id, today=DAY(2033, 12, 3))] == [
            "opt_out"
        ]
        assert audit.verify(tx) == []
        lines = audit.of_connection(tx, story.connection_id)
        (about,) = [e for e in lines if e.what == retention.GONE]
    assert about.after["before"] == "2026-12-03"
    assert "Pat" not in repr(lines)
    assert let_go(story, DAY(2033, 12, 3)) == {}


def test_what_an_old_open_invoice_heard_stays(story: Story) -> None:
    """Or its ladder would begin anew."""
    lived(story)
    assert set(let_go(story, DAY(2035, 1, 1))) <= {"audit"}
    assert [r.level for r in kept(story)] == ["check"]


def test_the_policy_says_how_long(story: Story) -> None:
    lived(story)
    story.ledger.pay("201", 40000, DAY(2026, 12, 2))
    story.sync()
    with db.transaction(story.engine) as tx:
        revision = settings.load(tx, story.connection_id).revision
        longer = load({"record": {"keep_years": 10}})
        settings.save_policy(tx, story.connection_id, longer, revision=revision, who="Ann", now=AT_TEN)
    assert let_go(story, DAY(2033, 12, 3)) == {}
    assert let_go(story, DAY(2036, 12, 3))["reminders"] == 2
    with pytest.raises(WrongValue, match="between 3 and 30"):
        load({"record": {"keep_years": 1}})


def test_of_a_plan_that_ended_the_words_go_and_the_figures_stay(story: Story) -> None:
    plan = story.propose("201")
    with db.transaction(story.engine) as tx:
        tx.execute(
            sa.update(db.plan_versions).values(
                acceptance={"name": "Pat Fern"}, author="Ann", why="slow season"
            )
        )
    assert let_go(story, DAY(2035, 1, 1)).get("plans") is None
    with db.transaction(story.engine) as tx:
        tx.execute(sa.update(db.plans).values(state="finished", updated_at=AT_TEN))
    assert let_go(story, DAY(2035, 1, 1))["plans"] == 1
    found = story.plan(plan.id)
    assert found.acceptance is None
    assert [r.amount for r in found.installments] == [r.amount for r in plan.installments]
    with db.reading(story.engine) as tx:
        assert tx.execute(sa.select(db.plan_versions.c.author, db.plan_versions.c.why)).one() == ("", "")


def test_on_either_database(store: Engine, connected: str) -> None:
    """What was heard twice at once follows a merge, an entered limit too, and then its years are over."""
    with db.transaction(store) as tx:
        for _ in range(2):
            contacts.hear(tx, connected, "58", "replied", on=AT_TEN.date(), who="Ann", now=AT_TEN)
        for amount in (100, 200):
            credit_limits.enter(tx, connected, "58", amount, "USD", who="Ann", now=AT_TEN)
        merging.follow(tx, connected, {"58": "59"})
        assert len(contacts.heard(tx, connected, ["59"])) == 2
        assert credit_limits.entered(tx, connected)["59"].amount == 200
        assert reminders.count_reached(tx, connected, ["59"], AT_TEN) == 0  # they spoke, not we
        gone = retention.let_go(tx, connected, today=DAY(2040, 1, 1), now=AT_TEN + LATER)
        assert gone["reminders"] == 2
        assert audit.verify(tx) == []
