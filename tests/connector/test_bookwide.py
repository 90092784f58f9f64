"""The whole book in columns says the same as the customers' pictures, one by one."""

import datetime as dt

import pytest
from sqlalchemy.engine import Engine

from connector import db
from connector.domain import on_account
from connector.domain.prediction.history import learnable
from connector.domain.prediction.outlook import learn, outlooks
from connector.domain.prediction.timeline import FAR
from connector.domain.receivables import CreditNote, Customer, Invoice, Payment, Status
from connector.mirroring import books, bookwide, mirror
from connector.platforms import Batch
from connector.reviewing import conclusions, expecting, review
from tests.connector.plan_story import Story, a_story

TODAY = dt.date(2026, 11, 21)


@pytest.fixture
def story(engine: Engine, connection_id: str) -> Story:
    return a_story(engine, connection_id)


def test_columns_and_pictures_predict_the_same(story: Story) -> None:
    with db.reading(story.engine) as tx:
        pictures = list(books.each_customer(tx, story.connection_id))
        columns, ids = bookwide.history(tx, story.connection_id, TODAY)
    invoices = [i for p in pictures for i in p.invoices]
    payments = [x for p in pictures for x in p.payments]
    credits = [c for p in pictures for c in p.credits]
    expected = outlooks(invoices, payments, credits, TODAY)
    assert expected
    assert set(ids) <= {i.id for i in learnable(invoices, payments, credits)[0]}
    assert learn(columns, ids, TODAY) == expected


def test_a_whole_review_predicts_what_is_open(story: Story) -> None:
    review.review(story.engine, story.connection_id, now=story.now, today=TODAY)
    with db.reading(story.engine) as tx:
        found = conclusions.predicted(tx, story.connection_id)
    assert found["147"].late == 1.0
    assert found["147"].basis == "none"


def test_money_on_account_counts_as_matched_in_columns_too(story: Story) -> None:
    """A customer and the one merged into them pay a month in one sum that nobody matches."""
    day = dt.date(2026, 6, 1)
    invoices = [
        Invoice(f"x{n}", f"X{n}", "old" if n < 4 else "now", day, day + dt.timedelta(7 * n), "USD", 900, 900, Status.OPEN)
        for n in range(8)
    ]  # fmt: skip
    money = [Payment("xp", "old", day + dt.timedelta(60), "USD", 4000, 4000)]
    given = [CreditNote("xc", "XC", "now", day + dt.timedelta(70), "USD", 900, 900)]
    people = (
        Customer("now", "Now", currency="USD"),
        Customer("old", "Old", currency="USD", merged_into="now"),
    )
    with db.transaction(story.engine) as tx:
        batch = Batch(people, tuple(invoices), tuple(money), tuple(given))
        mirror.store(tx, story.connection_id, batch, 9)
    with db.reading(story.engine) as tx:
        [picture] = books.each_customer(tx, story.connection_id, ["now"])
        open_, held = books.on_account(tx, story.connection_id, TODAY)
        columns, ids = bookwide.history(tx, story.connection_id, TODAY)
    assert held == on_account.held(picture.invoices, picture.payments, picture.credits, TODAY)
    assert {i.id for i in open_} == {i.id for i in invoices}
    settled = {id: int(day) for id, day in zip(ids, columns.settled, strict=True) if id.startswith("x")}
    when = (day + dt.timedelta(60)).toordinal(), (day + dt.timedelta(70)).toordinal()
    assert [settled[f"x{n}"] for n in range(8)] == [when[1], *[when[0]] * 4, *[FAR] * 3]
    review.review(story.engine, story.connection_id, now=story.now, today=TODAY)
    with db.reading(story.engine) as tx:
        found = conclusions.predicted(tx, story.connection_id)
        expected = expecting.of_connection(tx, story.connection_id, TODAY)
        assert not conclusions.unpredicted(tx, story.connection_id, ["now", "old"], TODAY)
    assert [found[f"x{n}"].basis == "on_account" for n in range(8)] == [True] * 5 + [False] * 3
    assert expected
    with db.transaction(story.engine) as tx:
        said = expecting.coming(tx, story.connection_id, found, TODAY, held)
    assert sum(c.amount for c in said if c.amount in (900, 500)) == 500 + 2 * 900
