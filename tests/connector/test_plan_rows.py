"""What is known of a draft when it is made is what the tables say of it, however late its rows get there."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from connector import db
from connector.domain.plan import Plan
from connector.mirroring import books
from connector.planning import drafting, plan_rows, plans
from connector.planning.plans import Record
from tests.connector.conftest import NOON, TODAY
from tests.connector.plan_story import Story, a_story

LATER = dt.timedelta(days=9)


@pytest.fixture
def story(engine: Engine, connection_id: str) -> Story:
    return a_story(engine, connection_id)


def drafted(story: Story, tx: sa.Connection) -> Record:
    """As a review drafts it."""
    picture = books.of_customer(tx, story.connection_id, "58")
    assert picture
    plan = drafting.draft(tx, story.connection_id, picture, [i for i in picture.invoices if i.balance], TODAY)
    return plans.add(tx, story.connection_id, plan, who="Forbear", now=NOON, picture=picture)


def moved(story: Story, tx: sa.Connection, record: Record) -> Record:
    picture = books.of_customer(tx, story.connection_id, "58")
    assert picture
    return plans.renew(tx, record, later(record.plan), picture, NOON + LATER)


def later(plan: Plan) -> Plan:
    rows = tuple(replace(r, due=r.due + LATER, nominal=r.nominal + LATER) for r in plan.rows)
    return replace(plan, rows=rows, drafted_on=TODAY + LATER)


def counts(tx: sa.Connection) -> list[int]:
    tables = (db.plans, db.plan_versions, db.installments)
    return [tx.scalar(sa.select(sa.func.count()).select_from(t)) or 0 for t in tables]


def test_drafts_of_one_night_are_stored_together_when_it_is_over(story: Story) -> None:
    with db.transaction(story.engine) as tx:
        with plan_rows.together(tx):
            first = drafted(story, tx)
            assert counts(tx) == [1, 0, 0]
        assert counts(tx) == [1, 1, 4]
        assert plans.get(tx, first.id) == first
        with plan_rows.together(tx):
            second = moved(story, tx, first)
            assert counts(tx) == [1, 1, 4]
        assert counts(tx) == [1, 1, 4]
        assert plans.get(tx, first.id) == second != first


def test_whoever_reads_or_changes_a_plan_meanwhile_misses_nothing(story: Story) -> None:
    with db.transaction(story.engine) as tx, plan_rows.together(tx):
        first = drafted(story, tx)
        assert plans.of_customer(tx, story.connection_id, "58") == [first]
        second = moved(story, tx, first)
        assert [v.plan for v in plans.versions(tx, first.id)] == [second.plan]
        third = moved(story, tx, second)
        fourth = moved(story, tx, third)  # takes back what waits itself
        approved = plans.approve(tx, first.id, who="Ann", now=NOON, today=TODAY)
    assert approved.plan.rows == fourth.plan.rows
    assert story.plan(first.id) == approved
