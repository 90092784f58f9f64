"""The whole book in columns says the same as the customers' pictures, one by one."""

import datetime as dt

import pytest
from sqlalchemy.engine import Engine

from connector import db
from connector.domain.prediction.history import learnable
from connector.domain.prediction.outlook import learn, outlooks
from connector.mirroring import books, bookwide
from connector.reviewing import conclusions, review
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
