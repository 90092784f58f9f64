"""A policy is tried before it counts: who would hear what, who would not and why, and which plans would be drafted."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from connector import db
from connector.connecting import connections
from connector.domain.policy import Policy
from connector.domain.receivables import Customer, Invoice, Payment, Status
from connector.mirroring import mirror
from connector.platforms import Batch
from connector.practice import settings
from connector.reviewing import rehearsal, review
from connector.reviewing.rehearsal import Rehearsal, What
from tests.connector.conftest import NOON

MONDAY, TUESDAY = dt.date(2026, 11, 23), dt.date(2026, 11, 24)
NOW = NOON + dt.timedelta(days=2)
FACTS = {
    "id": "books-1", "name": "Harbor Supply", "country": "US", "home_currency": "USD", "timezone": "America/New_York",
}  # fmt: skip


def _owes(number: str, who: str, due: dt.date, amount: int = 400_00) -> Invoice:
    return Invoice(number, number, who, due - dt.timedelta(30), due, "USD", amount, amount, Status.OPEN)


@pytest.fixture
def organization(engine: Engine, connection_id: str) -> str:
    """Monday. Ada is 4 days late, Bo 40 days, Cy 4 days with money unmatched, Dee not due before December."""
    people = tuple(Customer(id, name) for id, name in [("a", "Ada"), ("b", "Bo"), ("c", "Cy"), ("d", "Dee")])
    invoices = (
        _owes("1", "a", dt.date(2026, 11, 20)),
        _owes("2", "b", dt.date(2026, 10, 15), 900_00),
        _owes("3", "c", dt.date(2026, 11, 20)),
        _owes("4", "d", dt.date(2026, 12, 20)),
    )
    money = (Payment("p", "c", dt.date(2026, 11, 21), "USD", 100_00, 100_00),)
    with db.transaction(engine) as tx:
        mirror.store(tx, connection_id, Batch(people, invoices, money), 1)
        tx.execute(sa.update(db.connections).values(last_sync_at=NOW, facts=FACTS))
        settings.set_ledger_reminders(tx, connection_id, "off", who="Ann", now=NOW)
    return connection_id


def _rehearse(engine: Engine, id: str, *changes: Policy, today: dt.date = MONDAY) -> list[Rehearsal]:
    with db.reading(engine) as tx:
        decided = settings.load(tx, id)
        return rehearsal.rehearse(
            tx, connections.get(tx, id), decided, changes or [decided.policy], now=NOW, today=today
        )


def _seen(found: Rehearsal) -> list[tuple[str, What, str]]:
    return sorted((f.name, f.what, f.level) for f in found.foreseen)


def test_the_next_day_customer_by_customer(engine: Engine, organization: str) -> None:
    (found,) = _rehearse(engine, organization)
    assert (found.day, found.looked_at, found.open) == (TUESDAY, 4, 4)
    assert _seen(found) == [
        ("Ada", What.MESSAGE, "check"),
        ("Bo", What.DRAFT, ""),  # the answer to it comes first, so no message beside it
        ("Cy", What.HELD, "check"),
    ]
    (draft,) = found.of(What.DRAFT)
    assert draft.plan is not None
    assert draft.plan.total == 900_00
    (held,) = found.of(What.HELD)
    assert held.because == (
        "100.00 USD is in the books but not matched to an invoice. It goes on when it is matched.",
    )


def test_an_edited_policy_is_tried_beside_the_one_that_counts(engine: Engine, organization: str) -> None:
    policy = Policy()
    later = replace(policy, plan=replace(policy.plan, propose_after_days=60))
    tried, kept = _rehearse(engine, organization, later, policy)
    assert ("Bo", What.MESSAGE, "check") in _seen(tried)  # no plan now, so the ladder begins
    assert ("Bo", What.DRAFT, "") in _seen(kept)
    silent = replace(policy, reminders=replace(policy.reminders, per_week=0))
    (none,) = _rehearse(engine, organization, silent)
    assert none.of(What.MESSAGE) == []


def test_on_a_friday_it_speaks_of_the_next_day_on_which_messages_leave(
    engine: Engine, organization: str
) -> None:
    (found,) = _rehearse(engine, organization, today=dt.date(2026, 11, 20))
    assert found.day == TUESDAY


def test_the_review_then_does_what_was_rehearsed_and_nothing_was_kept(
    engine: Engine, organization: str
) -> None:
    before = _everything(engine)
    (found,) = _rehearse(engine, organization)
    assert _everything(engine) == before
    with db.transaction(engine) as tx:
        settings.set_live(tx, organization, True, who="Ann", now=NOW)
    done = review.review(engine, organization, now=NOW, today=TUESDAY)
    assert done.reminders_due == len(found.of(What.MESSAGE)) == 1
    assert done.plans_drafted == len(found.of(What.DRAFT)) == 1


def _everything(engine: Engine) -> dict[str, int]:
    with db.reading(engine) as tx:
        return {
            t.name: tx.scalar(sa.select(sa.func.count()).select_from(t)) or 0
            for t in db.metadata.sorted_tables
        }
