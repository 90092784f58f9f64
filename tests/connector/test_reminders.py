"""Reminders: kind, few, once, and never to somebody whose money is in the books."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from connector import db
from connector.contact import holds, reminders
from connector.contact.reminders import Reminder
from connector.planning import plans
from connector.platforms import Refused
from connector.practice import settings
from connector.reviewing import review
from tests.connector.fake_ledger import FakeLedger
from tests.connector.plan_story import Story, a_story

DAY = dt.date
TUESDAY = DAY(2026, 11, 24)
AT_TEN = dt.datetime(2026, 11, 24, 15, 0, tzinfo=dt.UTC)  # ten o'clock in New York


@pytest.fixture
def story(engine: Engine, connection_id: str) -> Story:
    """Invoice 2001 fell due on Friday; nothing else is open."""
    made = a_story(engine, connection_id)
    made.ledger = FakeLedger()
    made.ledger.an_invoice("201", "58", DAY(2026, 10, 20), DAY(2026, 11, 20), 40000, number="2001")
    with db.transaction(engine) as tx:
        for table in db.BOOKS:
            tx.execute(table.delete())
        settings.set_ledger_reminders(tx, connection_id, "off", who="Ann", now=AT_TEN)
        settings.set_live(tx, connection_id, True, who="Ann", now=AT_TEN)
    made.today, made.now = TUESDAY, AT_TEN
    made.sync()
    return made


def reviewed(story: Story) -> list[Reminder]:
    """Somebody read the ledger a moment ago, then the review ran."""
    with db.transaction(story.engine) as tx:
        tx.execute(sa.update(db.connections).values(last_sync_at=story.now))
    review.review(story.engine, story.connection_id, now=story.now, today=story.today)
    return kept(story)


def kept(story: Story) -> list[Reminder]:
    with db.reading(story.engine) as tx:
        return reminders.of_connection(tx, story.connection_id)


def test_a_reminder_becomes_a_note_once(story: Story) -> None:
    (due,) = reviewed(story)
    assert (due.level, due.state, due.held_because) == ("check", "due", ())
    assert due.text.startswith("Dear Customer 58,\n\nInvoice 2001: 400.00 USD, due November 20, 2026")
    for _ in range(3):
        story.deliver()
        reviewed(story)
    assert story.ledger.remarks["201"] == ["2026-11-24 Reminder (check): 400.00 USD due 2026-11-20."]
    (noted,) = kept(story)
    assert (noted.state, noted.reached_on) == ("noted", TUESDAY)


def test_nobody_is_reminded_of_a_trifle(story: Story) -> None:
    story.ledger.pay("201", 39_900, TUESDAY)
    story.sync()
    assert reviewed(story) == []
    story.ledger.an_invoice("202", "58", DAY(2026, 10, 20), DAY(2026, 11, 20), 40000, number="2002")
    story.ledger.pay("202", 39_899, TUESDAY)
    story.sync()
    (due,) = reviewed(story)
    assert [(about.number, about.amount) for about in due.invoices] == [("2002", 101)]


def test_a_missed_week_is_caught_up_one_level_at_a_time(story: Story) -> None:
    levels = []
    for day in (24, 25, 26, 27):
        story.today = DAY(2026, 11, day)
        story.now = AT_TEN + dt.timedelta(days=day - 24)
        reviewed(story)
        story.deliver()
        levels.append([r.level for r in kept(story) if r.state == "noted"])
    assert levels == [["check"]] * 4  # the next step is due four days after the first, not at once
    story.today, story.now = DAY(2026, 12, 2), AT_TEN + dt.timedelta(days=8)
    reviewed(story)
    story.deliver()
    assert [r.level for r in kept(story) if r.state == "noted"] == ["check", "direct"]


def test_nothing_leaves_in_preview(story: Story) -> None:
    with db.transaction(story.engine) as tx:
        settings.set_live(tx, story.connection_id, False, who="Ann", now=AT_TEN)
    (held,) = reviewed(story)
    story.deliver()
    assert held.state == "held"
    assert any("preview" in reason for reason in held.held_because)
    assert story.ledger.remarks == {}


@pytest.mark.parametrize("hour", [12, 17, 23])  # seven in the morning, noon, evening in New York
def test_nothing_leaves_outside_the_hours(story: Story, hour: int) -> None:
    reviewed(story)
    story.now = AT_TEN.replace(hour=hour)
    story.deliver()
    assert story.ledger.remarks == {}
    assert [r.state for r in kept(story)] == ["due"]


def last_look(story: Story, words: str) -> None:
    """The review found it due; what happened since holds it."""
    story.deliver()
    assert story.ledger.remarks == {}
    (held,) = kept(story)
    assert held.state == "held"
    assert any(words in reason for reason in held.held_because), held.held_because


def test_paid_a_moment_ago(story: Story) -> None:
    reviewed(story)
    story.ledger.pay("201", 40000, TUESDAY)
    last_look(story, "changed in the ledger just now")


def test_paid_in_part_a_moment_ago(story: Story) -> None:
    reviewed(story)
    story.ledger.pay("201", 10000, TUESDAY)
    last_look(story, "changed in the ledger just now")


def test_unmatched_money_a_moment_ago(story: Story) -> None:
    reviewed(story)
    story.ledger.pay(None, 40000, TUESDAY, "58")
    last_look(story, "400.00 USD is in the books but not matched")


def test_a_hold_a_moment_ago(story: Story) -> None:
    reviewed(story)
    with db.transaction(story.engine) as tx:
        holds.put(tx, story.connection_id, "58", "insolvency", who="Ann", now=AT_TEN)
    last_look(story, "An insolvency is on record")


def test_a_promise_a_moment_ago(story: Story) -> None:
    reviewed(story)
    with db.transaction(story.engine) as tx:
        holds.promise(tx, story.connection_id, "58", DAY(2026, 11, 27), who="Ann", now=AT_TEN)
    last_look(story, "promised to pay on 2026-11-27")


def test_the_books_were_not_read_for_a_day(story: Story) -> None:
    reviewed(story)
    with db.transaction(story.engine) as tx:
        tx.execute(sa.update(db.connections).values(last_sync_at=AT_TEN - dt.timedelta(hours=25)))
    last_look(story, "not read within the last 24 hours")


def test_a_plan_is_proposed(story: Story) -> None:
    reviewed(story)
    story.propose("201")
    last_look(story, "A plan is proposed")


def test_a_dispute_rests_its_invoice_and_not_the_others(story: Story) -> None:
    story.ledger.an_invoice("202", "58", DAY(2026, 10, 21), DAY(2026, 11, 20), 5000, number="2002")
    story.sync()
    with db.transaction(story.engine) as tx:
        holds.put(tx, story.connection_id, "58", "disputed", invoice_id="201", who="Ann", now=AT_TEN)
    reviewed(story)
    story.deliver()
    assert list(story.ledger.remarks) == ["202"]


def test_a_paid_invoice_is_no_longer_due(story: Story) -> None:
    reviewed(story)
    story.ledger.pay("201", 40000, TUESDAY)
    story.sync()
    assert reviewed(story) == []


def test_what_an_open_invoice_heard_years_ago_is_remembered_and_the_rest_is_not_read(story: Story) -> None:
    story.ledger.an_invoice("150", "58", DAY(2023, 1, 2), DAY(2023, 2, 1), 90000, number="1500")
    story.sync()
    known = {"connection_id": story.connection_id, "customer_id": "58", "state": "noted", "held_because": []}
    with db.transaction(story.engine) as tx:
        for day, about in ((DAY(2021, 5, 4), "90"), (DAY(2023, 2, 7), "150")):
            named = [
                {"key": about, "id": about, "number": "", "amount": 1, "currency": "USD", "due": "2023-02-01"}
            ]
            step = known | {"level": "check", "cycle": about, "due_on": day, "reached_on": day}
            tx.execute(
                sa.insert(db.reminders).values(**step, invoices=[n | {"level": "check"} for n in named])
            )
    assert reviewed(story)[-1].level == "direct"  # the older invoice's next step, with the new one's first
    with db.reading(story.engine) as tx:
        read = reminders.that_count(tx, story.connection_id, {"58": DAY(2022, 1, 2)})
    assert [r.cycle for r in read] == ["150", "150"]


def test_the_ledger_refuses_the_note(story: Story) -> None:
    reviewed(story)
    story.ledger.refuse["add_note"] = Refused("The note is too long.")
    last_look(story, "The note is too long.")


def test_a_kept_plan_on_an_old_debt_hears_only_friendly_words(story: Story) -> None:
    story.ledger.documents["201"] = replace(story.ledger.documents["201"], due=DAY(2026, 8, 20))
    story.sync()
    plan = story.propose("201")
    story.approve(plan.id)
    story.deliver()
    levels = set()
    for day in range(40):
        story.today = TUESDAY + dt.timedelta(days=day)
        story.now = AT_TEN + dt.timedelta(days=day)
        if story.today == DAY(2026, 12, 21):
            first = story.plan(plan.id).installments[0]
            story.ledger.pay(first.invoice_id, first.amount, story.today)
        story.sync()
        levels |= {r.level for r in reviewed(story)}
        story.deliver()
    assert levels <= {"installment_friendly", "installment_due"}
    assert levels


def test_what_stands_in_a_plan_is_not_asked_for_besides(story: Story) -> None:
    plan = story.propose("201")
    story.approve(plan.id)
    story.deliver()
    story.sync()
    assert [a.number for r in reviewed(story) for a in r.invoices] == []
    with db.reading(story.engine) as tx:
        assert plans.get(tx, plan.id).state == "running"


def test_every_customer_who_is_due_hears_in_one_delivery(story: Story) -> None:
    for n in (301, 302, 303):
        story.ledger.an_invoice(str(n), f"c{n}", DAY(2026, 10, 20), DAY(2026, 11, 20), 100, number=str(n))
    story.sync()
    reviewed(story)
    story.deliver()
    assert sorted(story.ledger.remarks) == ["201", "301", "302", "303"]
    assert {r.state for r in kept(story)} == {"noted"}
