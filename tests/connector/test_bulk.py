"""Many rows in one statement say what one statement for each of them would."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from connector import bulk, db

NOW = dt.datetime(2026, 11, 22, 9, 30, tzinfo=dt.timezone(dt.timedelta(hours=-5)))
WORDS = 'They said "50 % now" — naïve\\n %s\n{}'


@pytest.fixture
def organization(store: Engine) -> Engine:
    with db.transaction(store) as tx:
        row = {
            "id": "org",
            "platform": "xero",
            "external_id": "org",
            "organization": "Org",
            "created_at": NOW,
        }
        tx.execute(sa.insert(db.connections).values(row))
    return store


def reminder(who: str, **more: object) -> dict[str, object]:
    common = {"connection_id": "org", "level": "check", "cycle": "i1", "due_on": NOW.date(), "invoices": []}
    return {**common, "customer_id": who, "state": "held", "held_because": [], "updated_at": NOW, **more}


def test_what_is_added_and_changed_reads_as_it_was_given(organization: Engine) -> None:
    r = db.reminders.c
    about = [{"key": "i1", "amount": 12345678901234, "number": WORDS}]
    with db.transaction(organization) as tx:
        bulk.insert(
            tx, db.reminders, [reminder("ann", text=WORDS, invoices=about), reminder("bob", text=None)]
        )
        bulk.insert(
            tx, db.reminders, [reminder("bob", text="again"), reminder("eve", text="")], unless_there=True
        )
        bulk.insert(tx, db.reminders, [])
        rows = tx.execute(sa.select(r.id, r.customer_id, r.text, r.invoices, r.due_on, r.updated_at)).all()
        ids = {row.customer_id: row.id for row in rows}
        noted = {"text": "left", "reached_on": NOW.date(), "held_because": [WORDS]}
        still = {"text": None, "reached_on": None, "held_because": []}
        tx.execute(sa.update(db.reminders).where(r.id == ids["eve"]).values(state="noted"))
        rest = [{"id": ids["bob"], **still}, {"id": ids["eve"], **noted}]
        changed = [{"id": ids["ann"], **noted}, *rest]
        bulk.update(tx, db.reminders, ("id",), changed, where="reminders.state IN ('due', 'held')")
        bulk.update(tx, db.reminders, ("id",), [])
        found = sa.select(r.customer_id, r.text, r.reached_on, r.held_because).order_by(r.customer_id)
        after = [tuple(row) for row in tx.execute(found)]
    assert {(row.customer_id, row.text, row.due_on) for row in rows} == {
        ("ann", WORDS, NOW.date()),
        ("bob", None, NOW.date()),
        ("eve", "", NOW.date()),
    }
    assert {row.updated_at for row in rows} == {NOW}
    assert next(row.invoices for row in rows if row.customer_id == "ann") == about
    assert after == [
        ("ann", "left", NOW.date(), [WORDS]),
        ("bob", None, None, []),
        ("eve", "", None, []),  # it left meanwhile
    ]


def test_a_row_is_found_by_several_columns_and_numbers_stay_exact(organization: Engine) -> None:
    a = db.assessments.c
    key = {"connection_id": "org", "customer_id": "ann"}
    row = {**key, "segment": "reliable", "priority": 0.1 + 0.2, "data": {"path": "none"}, "overdue": None}
    with db.transaction(organization) as tx:
        bulk.insert(tx, db.assessments, [row])
        first = tx.execute(sa.select(a.priority, a.data, a.overdue)).one()
        change = {**key, "priority": 1e-9, "data": None, "overdue": 2**53 + 1}
        bulk.update(tx, db.assessments, ("connection_id", "customer_id"), [change])
        then = tx.execute(sa.select(a.priority, a.data, a.overdue, a.segment)).one()
        nothing = tx.scalar(sa.select(a.customer_id).where(a.data.is_(None)))
    assert tuple(first) == (0.1 + 0.2, {"path": "none"}, None)
    assert tuple(then) == (1e-9, None, 2**53 + 1, "reliable")
    assert nothing == "ann"  # NULL, not a JSON null
