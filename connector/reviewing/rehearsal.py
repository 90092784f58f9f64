"""What a policy would do on the next day that messages may leave: worked out as the review would, and not kept.

A person changes a policy and sees who would hear what, who would not and why, and which plans would be drafted,
before anything counts. Nothing is stored, and no ledger is asked.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from sqlalchemy.engine import Connection

from connector.connecting.connections import Connection as Organization
from connector.contact import guarding, reminders, reminding
from connector.contact.guarding import Scene
from connector.domain import calendar
from connector.domain.plan import Plan
from connector.domain.policy import Policy
from connector.domain.progress import Progress
from connector.mirroring import books
from connector.planning import plans, policy_drafts
from connector.planning.plans import Record
from connector.practice.settings import Settings
from connector.reviewing import conclusions, judging, overview
from connector.reviewing.conclusions import Conclusion

# Customers, the most overdue first: a person waits for the answer, about a millisecond for each
LOOKED_AT = 200
STANDING = ("running", "broken")


class What(StrEnum):
    """What would become of one customer."""

    MESSAGE = "message"
    HELD = "held"
    PERSON = "person"  # the step is one that a person takes
    DRAFT = "draft"


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One customer. `level` is the step of the ladder and `numbers` the documents it speaks of; `because` why it
    would be held; `plan` what would be drafted."""

    customer_id: str
    name: str
    what: What
    level: str = ""
    numbers: tuple[str, ...] = ()
    because: tuple[str, ...] = ()
    plan: Plan | None = None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """One policy on `day`, over `looked_at` of the `open` customers who owe something."""

    day: dt.date
    foreseen: tuple[Foreseen, ...]
    looked_at: int
    open: int

    def of(self, what: What) -> list[Foreseen]:
        return [f for f in self.foreseen if f.what is what]


def rehearse(
    tx: Connection,
    organization: Organization,
    decided: Settings,
    policies: Sequence[Policy],
    *,
    now: dt.datetime,
    today: dt.date,
) -> list[Rehearsal]:
    """Each of these policies on the first day after `today` on which it lets messages leave, as if live."""
    id = organization.id
    ids, count = overview.most_overdue(tx, id, today, LOOKED_AT)
    pictures = list(books.each_customer(tx, id, ids))
    records = _by_customer(plans.of_customers(tx, id, ids))
    concluded = {c.customer_id: c for c in conclusions.of_customers(tx, id, ids)}
    contacts: dict[str, list[reminders.Reminder]] = {}
    for earlier in reminders.of_customers(tx, id, ids):
        contacts.setdefault(earlier.customer_id, []).append(earlier)
    days = {p: _next_day(p, organization, today) for p in policies}
    told = {day: guarding.told(tx, id, ids, day) for day in set(days.values())}
    found = []
    for policy in policies:
        day = days[policy]
        supposed = replace(decided, policy=policy, live=True)
        foreseen: list[Foreseen] = []
        for picture in pictures:
            scene = Scene(
                organization,
                supposed,
                picture.customer,
                picture.invoices,
                picture.payments,
                picture.credits,
                records.get(picture.customer.id, ()),
                now,
                day,
                told[day],
            )
            who = picture.customer.id
            foreseen += _foresee(tx, scene, picture, contacts.get(who, ()), concluded.get(who))
        found.append(Rehearsal(day, tuple(foreseen), len(pictures), count))
    return found


def _next_day(policy: Policy, organization: Organization, today: dt.date) -> dt.date:
    country = policy.country or organization.country
    return calendar.next_sending_day(today + dt.timedelta(1), policy.reminders.weekdays, country)


def _foresee(
    tx: Connection,
    scene: Scene,
    picture: books.Receivables,
    earlier: Collection[reminders.Reminder],
    concluded: Conclusion | None,
) -> list[Foreseen]:
    id, name = scene.customer.id, scene.customer.name
    wanted = list(
        policy_drafts.wanted(
            tx,
            scene.organization,
            scene.decided,
            picture,
            scene.records,
            scene.today,
            segment=concluded.kind if concluded else "",
            findings=concluded.findings if concluded else (),
        )
    )
    found = [Foreseen(id, name, What.DRAFT, plan=plan) for plan in wanted]
    if wanted and scene.decided.policy.reminders.proposal_rest_days:
        return found  # a plan that waits for an answer rests the messages
    standing = [(r, _stand(r, scene)) for r in scene.records if r.state in STANDING]
    due = reminding.decide(tx, scene, standing, reminders.contacts(list(earlier)))
    if due is None:
        return found
    what = What.HELD if due.held_because else What.PERSON if due.needs_person else What.MESSAGE
    numbers = tuple(d.invoice.number for d in due.listed)
    return [*found, Foreseen(id, name, what, due.level, numbers, due.held_because)]


def _stand(record: Record, scene: Scene) -> Progress:
    ids = {row.n: row.invoice_id for row in record.installments if row.invoice_id}
    return judging.stand(record.plan, ids, scene.invoices, scene.payments, scene.credits, scene.today)


def _by_customer(records: Sequence[Record]) -> Mapping[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.plan.customer_id, []).append(record)
    return found
