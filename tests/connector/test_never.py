"""Attempts to make a reminder reach somebody who has paid, be one too many, come at night, or against a wish."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from connector import db
from connector.connecting import connections
from connector.contact import contacts, credit_limits, customer_time, holds, reminders
from connector.domain.receivables import Allocation, Customer
from connector.mirroring import books
from connector.practice import settings
from connector.writing import writeback
from tests.connector.plan_story import Story
from tests.connector.test_reminders import AT_TEN, DAY, TUESDAY, kept, reviewed, story

__all__ = ["story"]


def merge(story: Story, old: str = "58", into: str = "59") -> None:
    """As both ledgers do it: every document goes over, the old name stays behind empty."""
    ledger = story.ledger
    ledger.customers.setdefault(into, Customer(into, "Brook Cafe"))
    ledger.customers[old] = replace(ledger.customers[old], merged_into=into, active=False)
    for id, document in ledger.documents.items():
        if document.customer_id == old:
            ledger.documents[id] = replace(document, customer_id=into)
    story.sync()


def said(story: Story) -> int:
    return sum(map(len, story.ledger.remarks.values()))


def go(story: Story, days: int) -> None:
    story.today += dt.timedelta(days)
    story.now += dt.timedelta(days)


def deliver_with_a_clock_that_runs(story: Story) -> None:
    """No two looks at it give the same moment."""

    def tick() -> dt.datetime:
        story.now += dt.timedelta(microseconds=1)
        return story.now

    writeback.deliver(
        story.engine, story.connection_id, lambda: story.ledger, now=tick, today=lambda: story.today
    )


def why(story: Story) -> str:
    return " ".join(because for r in kept(story) for because in r.held_because)


# ---------------------------------------------------------------- merged customers


def _no_messages(tx: sa.Connection, id: str) -> None:
    holds.put(tx, id, "58", "opt_out", who="Ann", now=AT_TEN)


def _disputed(tx: sa.Connection, id: str) -> None:
    holds.put(tx, id, "58", "disputed", invoice_id="201", who="Ann", now=AT_TEN)


def _promised(tx: sa.Connection, id: str) -> None:
    holds.promise(tx, id, "58", TUESDAY + dt.timedelta(9), who="Ann", now=AT_TEN)


def _called(tx: sa.Connection, id: str) -> None:
    contacts.record(tx, id, "58", "call", on=TUESDAY, who="Ann", now=AT_TEN)


@pytest.mark.parametrize(
    ("happened", "words"),
    [
        (_no_messages, "asked not to be contacted"),
        (_disputed, "Invoice 2001: the invoice is in dispute"),
        (_promised, "promised to pay on 2026-12-03"),
        (_called, "heard from us today already"),
    ],
)
def test_what_holds_a_customer_goes_with_them_when_they_are_merged(
    story: Story, happened: Callable[[sa.Connection, str], None], words: str
) -> None:
    with db.transaction(story.engine) as tx:
        happened(tx, story.connection_id)
    merge(story)
    reviewed(story)
    story.deliver()
    assert said(story) == 0
    assert words in why(story)
    assert [r.customer_id for r in kept(story)] == ["59"]  # where a person finds it, and can lift what holds


def test_a_merged_customer_hears_no_level_twice_and_a_chain_ends_at_its_end(story: Story) -> None:
    reviewed(story)
    story.deliver()
    merge(story)
    merge(story, "59", "60")
    for _ in range(2):
        go(story, 1)
        reviewed(story)
        story.deliver()
    assert said(story) == 1
    assert [(r.customer_id, r.level, r.state) for r in kept(story)] == [("60", "check", "noted")]


def test_a_merge_between_the_review_and_the_message(story: Story) -> None:
    with db.transaction(story.engine) as tx:
        holds.put(tx, story.connection_id, "59", "insolvency", who="Ann", now=AT_TEN)
    reviewed(story)
    merge(story)  # read by the hourly sync; the review comes later
    story.deliver()
    assert said(story) == 0


def test_a_plan_goes_on_under_the_name_that_lives_on(story: Story) -> None:
    story.answer()
    plan = story.propose("201")
    story.approve(plan.id)
    story.deliver_until_done()
    story.sync()
    merge(story)
    story.today, story.now = DAY(2026, 12, 29), AT_TEN + dt.timedelta(35)
    reviewed(story)
    assert story.plan(plan.id).plan.customer_id == "59"
    assert story.plan(plan.id).progress == "late"  # judged by the documents that went over
    assert {(r.customer_id, r.level) for r in kept(story)} == {
        ("59", "installment_missed")
    }  # the plan's own words


def test_where_both_heard_the_same_both_stay_on_record(story: Story) -> None:
    """As an earlier release may have left it: the level was said once under each name."""
    reviewed(story)
    story.deliver()
    with db.transaction(story.engine) as tx:
        row = dict(tx.execute(sa.select(db.reminders)).mappings().one())
        del row["id"]
        tx.execute(sa.insert(db.reminders).values(**row | {"customer_id": "59"}))
        credit_limits.enter(tx, story.connection_id, "58", 100, "USD", who="Ann", now=AT_TEN)
        credit_limits.enter(tx, story.connection_id, "59", 200, "USD", who="Ann", now=AT_TEN)
    for _ in range(2):
        merge(story)
    with db.reading(story.engine) as tx:
        assert len(reminders.of_customer(tx, story.connection_id, "59")) == 2
        picture = books.of_customer(tx, story.connection_id, "58")
    assert picture is not None
    assert (picture.customer.id, picture.customer.credit_limit) == ("59", 200)


# ---------------------------------------------------------------- clocks, days and zones


def test_a_clock_that_was_ahead_leaves_no_room_for_more(story: Story) -> None:
    """A week ahead for an hour: what was said then counts when the clock is right again."""
    go(story, 7)
    reviewed(story)
    story.deliver()
    story.ledger.an_invoice("202", "58", DAY(2026, 10, 18), DAY(2026, 11, 17), 5000, number="2002")
    go(story, -6)
    story.sync()
    reviewed(story)
    story.deliver()
    assert said(story) == 1
    assert "heard from us today already" in why(story)


@pytest.mark.parametrize("seconds", [-1, 0, 1, 1200])
def test_around_midnight_it_is_night(seconds: int) -> None:
    """One clock is read before midnight and the other after it: that is no pretend day."""
    home = ZoneInfo("America/New_York")
    midnight = dt.datetime(2026, 11, 25, 5, tzinfo=dt.UTC)
    moment = midnight + dt.timedelta(seconds=seconds)
    for day in (DAY(2026, 11, 24), DAY(2026, 11, 25)):
        assert customer_time.local(moment, day, home, home, 10).hour in (23, 0)
    assert customer_time.local(midnight, DAY(2026, 11, 27), home, home, 10).hour == 10  # this is one


def test_the_customers_own_day_holds_one_message_although_ours_ends_in_it(story: Story) -> None:
    """Midnight in New York is half past ten in the morning in Delhi, within the hours of the policy."""
    story.ledger.customers["58"] = Customer("58", "Delhi Spices", country="IN")
    story.ledger.documents["201"] = replace(story.ledger.documents["201"], due=DAY(2026, 11, 13))
    story.ledger.an_invoice("202", "58", DAY(2026, 10, 20), DAY(2026, 11, 21), 5000, number="2002")
    story.sync()
    for day, hour, minute in ((17, 4, 30), (18, 5, 10)):  # both are the morning of the 18th in Delhi
        story.today = DAY(2026, 11, day)
        story.now = dt.datetime(2026, 11, 18, hour, minute, tzinfo=dt.UTC)
        reviewed(story)
        deliver_with_a_clock_that_runs(story)
    assert said(story) == 1
    story.today, story.now = DAY(2026, 11, 19), dt.datetime(2026, 11, 19, 5, 10, tzinfo=dt.UTC)
    reviewed(story)
    story.deliver()
    assert len(story.ledger.remarks["202"]) == 1  # the next morning


def test_over_the_date_line_the_customers_weekend_and_night_count(story: Story) -> None:
    """Thursday noon in New York is Friday morning in Auckland: no day of the policy."""
    story.ledger.customers["58"] = Customer("58", "Kiwi Foods", country="NZ")
    story.sync()
    story.today = DAY(2026, 12, 3)
    reviewed(story)
    for hour in range(0, 24, 2):
        story.now = dt.datetime(2026, 12, 3, hour, 30, tzinfo=dt.UTC) + dt.timedelta(hours=5)
        story.deliver()
        local = story.now.astimezone(ZoneInfo("Pacific/Auckland"))
        assert said(story) == 0, local
    assert kept(story)[0].state in reminders.OPEN


# ---------------------------------------------------------------- what changes while messages leave


def test_switched_off_while_many_leave(story: Story) -> None:
    story.ledger.an_invoice("202", "60", DAY(2026, 10, 20), DAY(2026, 11, 20), 5000, number="2002")
    story.sync()
    reviewed(story)

    def stop(_: str) -> None:
        if said(story):
            with db.transaction(story.engine) as tx:
                settings.set_live(tx, story.connection_id, False, who="Ann", now=AT_TEN)

    story.ledger.after_call = stop
    story.deliver()
    assert said(story) == 1
    assert "in preview" in why(story)


def test_switched_off_while_the_ledger_answers(story: Story) -> None:
    reviewed(story)

    def stop(_: str) -> None:
        with db.transaction(story.engine) as tx:
            settings.set_live(tx, story.connection_id, False, who="Ann", now=AT_TEN)

    story.ledger.after_call = stop
    story.deliver()
    assert said(story) == 0
    assert "in preview" in why(story)


@pytest.mark.parametrize("on", [True, False])
def test_the_ledgers_own_reminders_are_asked_about_right_before(story: Story, on: bool) -> None:
    """Xero tells. Somebody switches them on a minute before ours would leave."""
    with db.transaction(story.engine) as tx:
        facts = replace(story.ledger.facts, reminders_on=False)
        tx.execute(sa.update(db.connections).values(facts=connections.dump_facts(facts)))
    story.ledger.facts = replace(story.ledger.facts, reminders_on=on)
    assert [r.state for r in reviewed(story)] == ["due"]
    story.deliver()
    assert said(story) == (0 if on else 1)
    assert ("sends reminders of its own" in why(story)) == on


# ---------------------------------------------------------------- money in parts and currencies, wishes, old books


def test_a_statement_payers_one_payment_over_three_invoices(story: Story) -> None:
    """Matched to two of them, and the rest is still unapplied: nobody is asked for the third."""
    for n, amount in ((202, 5000), (203, 7000)):
        story.ledger.an_invoice(str(n), "58", DAY(2026, 10, 20), DAY(2026, 11, 20), amount, number=f"2{n}")
    for n, amount in ((201, 40000), (202, 5000)):
        story.ledger.pay(str(n), amount, TUESDAY)
    story.ledger.pay(None, 7000, TUESDAY, "58")
    story.sync()
    reviewed(story)
    story.deliver()
    assert said(story) == 0
    assert "70.00 USD is in the books but not matched" in why(story)


def test_a_part_in_another_currency_asks_each_for_what_is_open_in_it(story: Story) -> None:
    story.ledger.an_invoice(
        "202", "58", DAY(2026, 10, 20), DAY(2026, 11, 20), 9000, number="2002", currency="EUR"
    )
    story.ledger.pay("202", 4000, TUESDAY)
    paid = story.ledger.received["p1"]
    story.ledger.received["p1"] = replace(
        paid, currency="EUR", allocations=(Allocation("202", 4000, TUESDAY),)
    )
    story.sync()
    reviewed(story)
    story.deliver()
    (found,) = kept(story)
    assert sorted((a.number, a.amount, a.currency) for a in found.invoices) == [
        ("2001", 40000, "USD"),
        ("2002", 5000, "EUR"),
    ]
    assert "440" not in found.text
    assert "450" not in found.text


def test_a_wish_for_no_messages_outlives_a_plan(story: Story) -> None:
    story.answer()
    with db.transaction(story.engine) as tx:
        holds.put(tx, story.connection_id, "58", "opt_out", who="Ann", now=AT_TEN)
    story.approve(story.propose("201").id)  # agreed on the telephone
    story.deliver_until_done()
    for _ in range(3):  # before, on and after the first installment's day
        go(story, 14)
        story.sync()
        reviewed(story)
        story.deliver()
    assert [r.state for r in kept(story)] == ["held"]
    assert "asked not to be contacted" in why(story)


def test_books_that_grew_old_since_the_review_hold(story: Story) -> None:
    reviewed(story)
    with db.transaction(story.engine) as tx:
        tx.execute(sa.update(db.connections).values(last_sync_at=story.now - dt.timedelta(hours=25)))
    story.deliver()
    assert said(story) == 0
    assert "not read within the last 24 hours" in why(story)


@pytest.mark.parametrize("country", ["JP", "NZ", "IN"])
def test_an_address_filled_in_a_minute_ago_counts_by_its_own_clock(story: Story, country: str) -> None:
    """By our copy the customer is at home, where it is ten; the ledger knows better by now."""
    assert [r.state for r in reviewed(story)] == ["due"]
    story.ledger.customers["58"] = replace(story.ledger.customers["58"], country=country)
    story.deliver()
    assert said(story) == 0


def test_hours_that_end_while_the_ledger_answers(story: Story) -> None:
    reviewed(story)

    def slow(_: str) -> None:
        story.now = AT_TEN + dt.timedelta(hours=3)

    story.ledger.after_call = slow
    story.deliver()
    assert said(story) == 0
