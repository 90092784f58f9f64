"""Holds and promises: set, seen, lifted, and over by themselves on their day."""

from __future__ import annotations

import datetime as dt

import pytest
from sqlalchemy.engine import Engine

from connector import db
from connector.contact import holds
from connector.record import audit
from tests.connector.conftest import NOON, TODAY


def test_a_hold_counts_until_it_is_lifted(engine: Engine, connection_id: str) -> None:
    with db.transaction(engine) as tx:
        hold = holds.put(tx, connection_id, "58", "disputed", invoice_id="147", who="Ann", now=NOON)
        again = holds.put(tx, connection_id, "58", "disputed", invoice_id="147", who="Bo", now=NOON)
        assert again.id == hold.id
        assert [h.words for h in holds.active(tx, connection_id, "58", today=TODAY)] == [
            "the invoice is in dispute"
        ]
        assert holds.active(tx, connection_id, "59", today=TODAY) == []
        holds.lift(tx, hold.id, who="Ann", now=NOON)
        holds.lift(tx, hold.id, who="Ann", now=NOON)
        assert holds.active(tx, connection_id, today=TODAY) == []
        said = [(e.what, e.why) for e in audit.of_connection(tx, connection_id)]
    assert said == [("lifted a hold", ""), ("set a hold", "the invoice is in dispute")]


def test_a_hold_with_a_day_ends_after_it(engine: Engine, connection_id: str) -> None:
    until = dt.date(2026, 12, 1)
    with db.transaction(engine) as tx:
        holds.put(tx, connection_id, "58", "breathing_space", until=until, who="Ann", now=NOON)
        assert len(holds.active(tx, connection_id, today=until)) == 1
        assert holds.active(tx, connection_id, today=until + dt.timedelta(days=1)) == []


def test_an_unknown_reason_is_refused(engine: Engine, connection_id: str) -> None:
    with db.transaction(engine) as tx, pytest.raises(ValueError, match="not a reason for a hold"):
        holds.put(tx, connection_id, "58", "grumpy", who="Ann", now=NOON)


def test_a_promise_stands_until_it_is_withdrawn(engine: Engine, connection_id: str) -> None:
    with db.transaction(engine) as tx:
        day = dt.date(2026, 12, 4)
        made = holds.promise(tx, connection_id, "58", day, amount=30000, currency="USD", who="Ann", now=NOON)
        assert [p.promised_on for p in holds.promised(tx, connection_id, "58")] == [day]
        holds.withdraw_promise(tx, made.id, who="Ann", now=NOON)
        holds.withdraw_promise(tx, made.id, who="Ann", now=NOON)
        assert holds.promised(tx, connection_id) == []
        assert len(audit.of_connection(tx, connection_id)) == 2  # what is done already is no second line


def test_what_is_said_in_the_evening_is_said_on_that_day(engine: Engine, connection_id: str) -> None:
    """It is the 19th already in UTC: a payment of the 18th would not count for the promise."""
    evening = dt.datetime(2026, 11, 19, 1, tzinfo=dt.UTC)  # eight o'clock in New York
    with db.transaction(engine) as tx:
        made = holds.promise(tx, connection_id, "58", TODAY, who="Ann", now=evening)
        held = holds.put(tx, connection_id, "58", "disputed", who="Ann", now=evening)
        assert holds.judgeable(made).made_on == dt.date(2026, 11, 18)
        [said] = holds.promised(tx, connection_id)
        assert holds.judgeable(said).made_on == dt.date(2026, 11, 18)
        [found] = holds.active(tx, connection_id, today=TODAY)
        assert (found.set_at, found.set_at.date(), held.set_at.date()) == (
            evening,
            dt.date(2026, 11, 18),
            dt.date(2026, 11, 18),
        )
