"""One piece with everything on record: what was said in which words, what was held and why, what was promised."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa

from connector import db
from connector.contact import contacts, demanding, evidence, holds, sheets
from connector.domain.policy import Policy, ReminderPolicy
from tests.connector.plan_story import Story
from tests.connector.test_contact import set_policy
from tests.connector.test_reminders import AT_TEN, DAY, TUESDAY, reviewed, story

__all__ = ["story"]


def test_the_pack_holds_words_holds_promises_and_plans(story: Story) -> None:
    set_policy(story, Policy(reminders=ReminderPolicy(proposal_rest_days=30)))
    reviewed(story)
    story.deliver()
    plan = story.propose("201")
    with db.transaction(story.engine) as tx:
        contacts.record(tx, story.connection_id, "58", "call", on=TUESDAY, note="Will look", who="Ann", now=AT_TEN)  # fmt: skip
        holds.promise(tx, story.connection_id, "58", DAY(2026, 11, 27), who="Ann", now=AT_TEN)
    story.today, story.now = DAY(2026, 12, 1), AT_TEN + dt.timedelta(days=7)
    reviewed(story)
    with db.reading(story.engine) as tx:
        pack = evidence.pack(tx, story.connection_id, "58", today=story.today)
    assert [(c["level"], c["channel"], c["state"]) for c in pack["contacts"]] == [
        ("check", "note", "noted"),
        ("contact", "call", "sent"),
        ("direct", "note", "held"),
    ]
    assert "Invoice 2001: 400.00 USD" in pack["contacts"][0]["words"]
    assert pack["contacts"][1]["words"] == "Will look"
    assert any("A plan is proposed" in reason for reason in pack["contacts"][2]["held_because"])
    assert [p["state"] for p in pack["promises"]] == ["broken"]
    assert [p["id"] for p in pack["plans"]] == [plan.id]
    assert [(i["number"], i["open"]) for i in pack["invoices"]] == [("2001", 40000)]
    printed = evidence.text(pack)
    assert "  held: A plan is proposed and not yet answered." in printed
    assert "  | Dear Customer 58," in printed
    assert "- for 2026-11-27, recorded 2026-11-24 by Ann: broken" in printed


def test_an_unknown_customer(story: Story) -> None:
    with db.reading(story.engine) as tx, pytest.raises(LookupError, match="No customer 99"):
        evidence.pack(tx, story.connection_id, "99", today=TUESDAY)


def test_pack_and_demand_letter_are_small_tagged_files(story: Story) -> None:
    with db.transaction(story.engine) as tx:
        tx.execute(sa.update(db.connections).values(last_sync_at=story.now))
        drawn = demanding.draw_up(tx, story.connection_id, "58", today=TUESDAY, now=AT_TEN)
        pack = evidence.pack(tx, story.connection_id, "58", today=TUESDAY)
    assert "We ask you to pay 400.00 USD by December 8, 2026." in drawn.text
    for made in (
        sheets.pdf(drawn.title, drawn.blocks, TUESDAY, paper=drawn.paper),
        sheets.pdf(evidence.title(pack), evidence.blocks(pack), TUESDAY),
    ):
        assert made.startswith(b"%PDF")
        assert b"StructTreeRoot" in made
        assert len(made) < 60_000


def test_no_demand_while_anything_speaks_against_it(story: Story) -> None:
    def why() -> str:
        with db.transaction(story.engine) as tx, pytest.raises(demanding.NoDemand) as no:
            demanding.draw_up(tx, story.connection_id, "58", today=TUESDAY, now=AT_TEN)
        return str(no.value)

    assert why() == "The books were not read within the last 24 hours. Sync first."
    with db.transaction(story.engine) as tx:
        tx.execute(sa.update(db.connections).values(last_sync_at=story.now))
        holds.promise(tx, story.connection_id, "58", DAY(2026, 11, 27), who="Ann", now=AT_TEN)
        holds.put(tx, story.connection_id, "58", "disputed", invoice_id="201", who="Ann", now=AT_TEN)
    story.propose("201")
    assert why() == (
        "On hold: the invoice is in dispute. A payment is promised for 2026-11-27. "
        "Plan PP-0001 is proposed. Approve it, or turn it down, first."
    )
