"""A person may judge a customer otherwise; reviews leave that alone and say what the books alone say."""

import datetime as dt

import pytest
from sqlalchemy.engine import Engine

from connector import db
from connector.record import export
from connector.reviewing import conclusions, review
from tests.connector.plan_story import Story, a_story

TODAY = dt.date(2026, 11, 21)


@pytest.fixture
def story(engine: Engine, connection_id: str) -> Story:
    return a_story(engine, connection_id)


def _reviewed(story: Story, day: dt.date = TODAY) -> conclusions.Conclusion:
    review.review(story.engine, story.connection_id, now=story.now, today=day)
    with db.reading(story.engine) as tx:
        found = conclusions.of_customer(tx, story.connection_id, "58")
    assert found is not None
    return found


def _judge(story: Story, segment: str | None, reason: str = "") -> None:
    with db.transaction(story.engine) as tx:
        conclusions.override(tx, story.connection_id, "58", segment, reason=reason, who="Dana", now=story.now)


def test_an_override_outlives_reviews_and_keeps_what_the_books_say(story: Story) -> None:
    assert _reviewed(story).kind == "not_enough_data"
    _judge(story, "squeezed", "Their roof burned down in August.")
    later = _reviewed(story, TODAY + dt.timedelta(1))
    assert (later.kind, later.segment) == ("squeezed", "not_enough_data")
    assert later.override == conclusions.Override(
        "squeezed", "Their roof burned down in August.", "Dana", story.now
    )
    with db.reading(story.engine) as tx:
        (out,) = export.export(tx, today=lambda _: TODAY)["connections"]
    said = next(c for c in out["customers"] if c["id"] == "58")["assessment"]
    assert said["segment"] == "squeezed"
    assert said["override"]["instead_of"] == "not_enough_data"


def test_an_override_can_be_taken_back(story: Story) -> None:
    _reviewed(story)
    _judge(story, "chronic", "Known for it.")
    _judge(story, None)
    assert _reviewed(story).kind == "not_enough_data"


def test_an_override_needs_a_known_kind_a_reason_and_a_review(story: Story) -> None:
    with pytest.raises(LookupError, match="not been reviewed"):
        _judge(story, "chronic", "Known for it.")
    _reviewed(story)
    with pytest.raises(ValueError, match="no kind of customer"):
        _judge(story, "nasty", "Known for it.")
    with pytest.raises(ValueError, match="why you see"):
        _judge(story, "chronic", " ")
