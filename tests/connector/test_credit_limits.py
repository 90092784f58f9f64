"""A credit limit that a person entered counts before the ledger's, wherever a customer is judged."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from sqlalchemy.engine import Engine

from connector import db
from connector.contact import credit_limits
from connector.domain.receivables import Customer
from connector.mirroring import books
from connector.record import audit, personal
from connector.reviewing import conclusions, review
from tests.connector.plan_story import Story
from tests.connector.test_reminders import AT_TEN, TUESDAY, story

__all__ = ["story"]


def enter(
    story: Story, amount: int, currency: str = "USD", customer_id: str = "58", who: str = "Ann"
) -> None:
    with db.transaction(story.engine) as tx:
        credit_limits.enter(tx, story.connection_id, customer_id, amount, currency, who=who, now=story.now)
        books.note_changed(tx, story.connection_id, [customer_id], story.now)


def said(story: Story, *, whole_book: bool = False) -> list[str]:
    """What the finding says; 400.00 USD is open."""
    chosen = None if whole_book else ["58"]
    review.review(story.engine, story.connection_id, now=story.now, today=story.today, customer_ids=chosen)
    with db.reading(story.engine) as tx:
        found = conclusions.of_customer(tx, story.connection_id, "58")
    return [f.text for f in found.findings if f.kind == "over_credit_limit"] if found else []


@pytest.mark.parametrize("whole_book", [False, True])
def test_where_the_ledger_tells_none(story: Story, whole_book: bool) -> None:
    """As on Xero: no limit, and often no currency of the customer's own."""
    assert said(story, whole_book=whole_book) == []
    enter(story, 30000)
    assert said(story, whole_book=whole_book) == ["400.00 USD is owed, over the credit limit of 300.00 USD."]
    enter(story, 50000)
    assert said(story, whole_book=whole_book) == []


@pytest.mark.parametrize("whole_book", [False, True])
def test_it_counts_before_the_ledgers_own_until_it_is_taken_back(story: Story, whole_book: bool) -> None:
    story.ledger.customers["58"] = replace(story.ledger.customers["58"], currency="USD", credit_limit=10000)
    story.sync()
    assert said(story, whole_book=whole_book) == ["400.00 USD is owed, over the credit limit of 100.00 USD."]
    enter(story, 50000)
    story.sync()  # a reading of the ledger changes nothing
    assert said(story, whole_book=whole_book) == []
    with db.transaction(story.engine) as tx:
        for _ in range(2):
            credit_limits.take_back(tx, story.connection_id, "58", who="Ben", now=AT_TEN)
        customer = books.customer(tx, story.connection_id, "58")
        lines = audit.of_connection(tx, story.connection_id, subject="customer 58")
    assert customer is not None
    assert customer.credit_limit == 10000  # the mirror had it all the time
    assert said(story, whole_book=whole_book) == ["400.00 USD is owed, over the credit limit of 100.00 USD."]
    kept = [(e.who, e.what, e.before, e.after) for e in lines if "limit" in e.what]
    assert sorted(kept, key=lambda line: line[1]) == [
        ("Ann", "entered a credit limit", None, {"limit": "500.00 USD"}),
        ("Ben", "took a credit limit back", {"limit": "500.00 USD", "by": "Ann"}, None),
    ]


def test_one_in_a_currency_that_is_no_longer_theirs_says_nothing(story: Story) -> None:
    enter(story, 30000)
    story.ledger.customers["58"] = replace(story.ledger.customers["58"], currency="EUR")
    story.sync()
    assert said(story) == []


def test_it_is_of_one_organization_and_above_zero(story: Story, engine: Engine) -> None:
    with db.transaction(engine) as tx:
        with pytest.raises(ValueError, match="above zero"):
            credit_limits.enter(tx, story.connection_id, "58", 0, "USD", who="Ann", now=AT_TEN)
        assert credit_limits.entered(tx, "another", ["58"]) == {}
    someone = Customer("58", "Brook", currency="USD")
    assert credit_limits.laid_over([someone], {}) == [someone]


def test_it_goes_when_the_customer_is_erased_and_is_in_their_file(story: Story) -> None:
    enter(story, 30000)
    with db.transaction(story.engine) as tx:
        file = personal.export(tx, story.connection_id, "58", today=TUESDAY)
        assert file["credit_limit"] == {
            "amount": 30000,
            "currency": "USD",
            "entered_by": "Ann",
            "at": AT_TEN.isoformat(),
        }
        personal.erase(tx, story.connection_id, "58", who="Ann", now=AT_TEN + dt.timedelta(1))
        assert credit_limits.entered(tx, story.connection_id) == {}


def test_everything_on_record_is_in_their_file_however_long_it_is(story: Story) -> None:
    with db.transaction(story.engine) as tx:
        for n in range(201):
            audit.record(
                tx,
                who="Ann",
                what=f"line {n}",
                connection_id=story.connection_id,
                subject="customer 58",
                now=AT_TEN,
            )
        log = personal.export(tx, story.connection_id, "58", today=TUESDAY)["log"]
    assert "line 0" in [line["what"] for line in log]
