"""A worker killed in the middle of a reminder's note: the ledger says whether it is there, and it is said once."""

from __future__ import annotations

import datetime as dt

import pytest

from connector import db
from connector.contact.reminders import Reminder
from connector.platforms import Refused
from connector.writing import outbox
from tests.connector.fake_ledger import Killed
from tests.connector.plan_story import Story
from tests.connector.test_reminders import TUESDAY, kept, reviewed, story

__all__ = ("story",)  # the fixture
SAID = ["2026-11-24 Reminder (check): 400.00 USD due 2026-11-20."]


def killed(story: Story, when: str) -> Reminder:
    """The first delivery ends in the call that writes the note, before or after the ledger took it."""
    (due,) = reviewed(story)
    story.ledger.refuse["add_note"] = Killed()  # type: ignore[assignment]  # raised, as a refusal is
    if when == "after":
        story.ledger.refuse.clear()
        story.ledger.after_call = _kill
    with pytest.raises(Killed):
        story.deliver()
    story.ledger.refuse.clear()
    story.ledger.after_call = None
    assert states(story, due) == ["sending"]
    return due


def _kill(call: str) -> None:
    if call == "add_note":
        raise Killed


def states(story: Story, reminder: Reminder) -> list[str]:
    with db.reading(story.engine) as tx:
        batch = outbox.of_batch(tx, story.connection_id, f"reminder {reminder.id}")
        return [write.state for write in batch]


def test_a_note_that_the_ledger_took_counts_though_the_customer_paid_meanwhile(story: Story) -> None:
    due = killed(story, "after")
    story.ledger.pay("201", 10000, TUESDAY)
    story.deliver()
    assert (states(story, due), story.ledger.remarks["201"]) == (["done"], SAID)
    assert [r.state for r in kept(story)] == ["noted"]


def test_a_note_that_the_ledger_never_took_is_given_up_once_that_is_sure(story: Story) -> None:
    due = killed(story, "before")
    story.ledger.pay("201", 10000, TUESDAY)
    story.deliver()
    assert (states(story, due), [r.state for r in kept(story)]) == (["sending"], ["due"])  # it may still come
    story.now += dt.timedelta(minutes=4)
    story.deliver()
    assert (states(story, due), [r.state for r in kept(story)]) == (["cancelled"], ["held"])
    assert not story.ledger.remarks.get("201")


@pytest.mark.parametrize(("when", "left"), [("before", []), ("after", ["noted"])])
def test_a_review_in_between_leaves_no_note_in_doubt(story: Story, when: str, left: list[str]) -> None:
    due = killed(story, when)
    story.ledger.pay("201", 40000, TUESDAY)
    story.sync()
    reviewed(story)  # nothing is due any more
    story.now += dt.timedelta(minutes=4)
    story.deliver()
    assert states(story, due) == (["done"] if left else ["cancelled"])
    assert [r.state for r in reviewed(story)] == left
    assert story.ledger.remarks.get("201", []) == (SAID if left else [])


def test_what_a_ledger_refused_is_forgotten_with_its_reminder_and_else_tried_anew(story: Story) -> None:
    (due,) = reviewed(story)
    story.ledger.refuse["add_note"] = Refused("The note is too long.")
    story.deliver()
    assert [r.held_because for r in kept(story)] == [("The note is too long.",)]
    reviewed(story)
    story.deliver()
    assert [r.state for r in kept(story)] == ["held"]  # and not taken for written
    story.ledger.pay("201", 40000, TUESDAY)
    story.sync()
    assert (reviewed(story), states(story, due)) == ([], [])


def test_what_a_ledger_refused_once_is_written_later(story: Story) -> None:
    reviewed(story)
    story.ledger.refuse["add_note"] = Refused("Not now.")
    story.deliver()
    story.ledger.refuse.clear()
    reviewed(story)
    story.deliver()
    assert ([r.state for r in kept(story)], story.ledger.remarks["201"]) == (["noted"], SAID)


def test_a_person_has_a_refused_note_tried_again(story: Story) -> None:
    (due,) = reviewed(story)
    story.ledger.refuse["add_note"] = Refused("Not now.")
    story.deliver()
    story.ledger.refuse.clear()
    with db.transaction(story.engine) as tx:
        (write,) = outbox.of_batch(tx, story.connection_id, f"reminder {due.id}")
        outbox.retry(tx, write.id, who="Ann", now=story.now)
    story.deliver()
    assert ([r.state for r in kept(story)], story.ledger.remarks["201"]) == (["noted"], SAID)
