"""How a customer comes to a plan on their own page: chooses one, asks for another, or agrees to the bookkeeper's.

A yes is kept with the exact text that was read, its fingerprint, the typed name, time, address and agent; the same
text is the agreement from then on, as a PDF and in the ledger.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from connector.customer_page import customer_answers, offering
from connector.customer_page.answering import NOTE, Wrong, hear, rest
from connector.customer_page.customer_answers import CUSTOMER, DONE, ON_THE_PAGE, WAITS, Answer, From
from connector.customer_page.customer_view import Doc, View
from connector.domain import offers as rules
from connector.domain import page_words, rails
from connector.domain.agreement import Agreement
from connector.domain.calendar import Rhythm
from connector.domain.offers import Asker
from connector.domain.plan import Plan
from connector.domain.propose import Wish
from connector.planning import drafting, plans
from connector.planning.plans import PlanProblem, Record

FIRST_WITHIN = dt.timedelta(days=62)
POLICY = "the policy, with the customer's yes"


@dataclass(frozen=True, slots=True)
class Offer:
    """One plan to choose. `waits` are the bookkeeper's reasons to look first; () when it is agreed with the yes."""

    count: int
    first: dt.date
    plan: Plan
    waits: tuple[str, ...]


# ---------------------------------------------------------------- plans to choose from


def offers(tx: Connection, view: View, monthly: int, first: dt.date | None = None) -> list[Offer]:
    """Plans for somebody who can manage `monthly` minor units; [] when none stays within the rails."""
    docs = view.spreadable
    if not docs:
        return []
    policy, balance = view.decided.policy.plan, sum(d.open for d in docs)
    most = rules.consumer_most(view.country) if view.customer.is_person else None
    found = []
    for count in rules.counts(balance, docs[0].currency, monthly, policy, most):
        try:
            found.append(offer(tx, view, count, first))
        except (PlanProblem, Wrong):
            continue
    return found


def offer(tx: Connection, view: View, count: int, first: dt.date | None = None) -> Offer:
    """One plan of `count` monthly payments, not stored. Raises PlanProblem, Wrong."""
    if first is not None and not view.today <= first <= view.today + FIRST_WITHIN:
        raise Wrong("wrong_day")
    docs = view.spreadable
    if not docs or not 1 <= count <= rails.LONGEST:
        raise Wrong("wrong_choice")
    wish = Wish(installments=count, rhythm=Rhythm.MONTHLY, first=first)
    ids, ours = [d.id for d in docs], _draft_of_ours(tx, view, docs)
    plan = drafting.sketch(
        tx,
        view.organization.id,
        view.customer.id,
        ids,
        today=view.today,
        wish=wish,
        but=ours.id if ours else "",
    )
    policy = view.decided.policy
    if rails.problems(plan, view.today, policy.plan):
        raise Wrong("wrong_choice")
    asker = Asker(view.country, view.customer.is_person)
    return Offer(
        count, plan.rows[0].due, plan, tuple(rules.waits(plan, asker, policy.page, policy.plan, view.today))
    )


def text_of(view: View, plan: Plan) -> Agreement:
    """What the customer would agree to, in their language."""
    parties = page_words.Parties(
        view.organization.organization,
        view.customer.name,
        view.person,
        view.decided.policy.letters.how_to_pay,
    )
    return page_words.agreement(plan, parties, view.words)


def agree(
    tx: Connection, view: View, whence: From, chosen: Offer, *, name: str, read: str, now: dt.datetime
) -> Answer:
    """The customer says yes to a plan whose text has the fingerprint `read`.

    Stored with exact text, name, time, address and agent. Approved where nothing makes it wait. Raises Wrong when
    the text is no longer the one that was read.
    """
    agreed, data = _read(view, whence, chosen.plan, name, read, now)
    data["waits"] = list(chosen.waits)
    record = _stored(tx, view, chosen, agreed, data["name"], now)
    approved = False
    if record is not None and not chosen.waits:
        try:
            plans.approve(tx, record.id, who=POLICY, now=now, today=view.today)
            approved = True
        except PlanProblem as problem:
            data["waits"] = [problem.sentence]
    if not approved:
        rest(tx, view, whence, view.spreadable, now)
    hear(tx, view, whence, "replied" if approved else "extension_asked", now)
    return customer_answers.keep(
        tx,
        whence,
        "plan",
        state=DONE if approved else WAITS,
        data=data,
        now=now,
        plan_id=record.id if record else None,
    )


def _read(
    view: View, whence: From, plan: Plan, name: str, read: str, now: dt.datetime
) -> tuple[Agreement, dict[str, Any]]:
    """The text that was read and what is kept of the yes to it. Raises Wrong when it is another by now."""
    name = name.strip()[:100]
    if not name:
        raise Wrong("wrong_name")
    agreed = text_of(view, plan)
    if agreed.sha256 != read:
        raise Wrong("wrong_changed")
    return agreed, {
        "name": name,
        "text": agreed.text,
        "sha256": agreed.sha256,
        "language": view.words.variant,
        "at": now.isoformat(),
        "address": whence.address,
        "agent": whence.agent,
        "count": len(plan.rows),
        "total": plan.total,
        "currency": plan.currency,
        "by": view.by.isoformat(),
        "waits": [],
    }


def _accepted(
    tx: Connection, view: View, plan_id: str, agreed: Agreement, name: str, now: dt.datetime
) -> Record:
    return plans.record_acceptance(
        tx,
        plan_id,
        accepted_by=name,
        how=ON_THE_PAGE,
        on=view.today,
        document_hash=agreed.sha256,
        who=CUSTOMER,
        now=now,
        text=agreed.text,
    )


def _stored(
    tx: Connection, view: View, chosen: Offer, agreed: Agreement, name: str, now: dt.datetime
) -> Record | None:
    """The plan as a proposal with the customer's yes. None: a person is at a draft of their own; it stays."""
    docs = view.spreadable
    ours = _draft_of_ours(tx, view, docs)
    if ours is not None:
        theirs = (ours.created_by, ours.revision) == (CUSTOMER, 2)  # it carries their yes
        if not ours.untouched and not theirs:
            return None
        plans.withdraw(tx, ours.id, now=now)
    record = drafting.propose_plan(
        tx,
        view.organization.id,
        view.customer.id,
        [d.id for d in docs],
        who=CUSTOMER,
        now=now,
        today=view.today,
        wish=Wish(installments=chosen.count, rhythm=Rhythm.MONTHLY, first=chosen.plan.rows[0].nominal),
    )
    if [(r.due, r.total) for r in record.plan.rows] != [(r.due, r.total) for r in chosen.plan.rows]:
        raise Wrong("wrong_changed")
    return _accepted(tx, view, record.id, agreed, name, now)


def _draft_of_ours(tx: Connection, view: View, docs: Sequence[Doc]) -> Record | None:
    """A draft over some of these documents that waits for approval already."""
    ids = {d.id for d in docs}
    for record in plans.of_customer(tx, view.organization.id, view.customer.id):
        if record.state == "proposed" and ids & {s.invoice_id for s in record.plan.sources}:
            return record
    return None


def wish(tx: Connection, view: View, whence: From, monthly: int, note: str, now: dt.datetime) -> Answer:
    """None of the plans fits: what would, for a person to answer. `monthly` is minor units."""
    docs = view.spreadable
    if not docs:
        raise Wrong("wrong_choice")
    if not 0 < monthly <= sum(d.open for d in docs):
        raise Wrong("wrong_amount")
    rest(tx, view, whence, docs, now)
    hear(tx, view, whence, "extension_asked", now)
    data = {
        "monthly": monthly,
        "currency": docs[0].currency,
        "note": note.strip()[:NOTE],
        "by": view.by.isoformat(),
    }
    return customer_answers.keep(tx, whence, "wish", state=WAITS, data=data, now=now)


# ---------------------------------------------------------------- a draft that the bookkeeper shows


def accept(
    tx: Connection, view: View, whence: From, plan_id: str, *, name: str, read: str, now: dt.datetime
) -> Answer:
    """The customer says yes to a draft or to new terms that the bookkeeper shows on the page. Raises Wrong.

    Whoever showed it said whether the yes is enough: then the plan is approved in their name and written.
    """
    shown = next((o for o in view.offered if o.record.id == plan_id), None)
    if shown is None:
        raise Wrong("wrong_choice")
    agreed, data = _read(view, whence, shown.plan, name, read, now)
    if shown.agreed:  # in another tab: once is enough
        for earlier in view.answers:
            if earlier.data.get("sha256") == agreed.sha256:
                return earlier
        raise Wrong("wrong_choice")
    if not shown.stands:
        raise Wrong("wrong_changed")
    record = _accepted(tx, view, plan_id, agreed, data["name"], now)
    approved = False
    if shown.alone:
        try:
            plans.approve(tx, plan_id, who=f"{shown.by}, with the customer's yes", now=now, today=view.today)
            approved = True
        except PlanProblem as problem:
            data["waits"] = [problem.sentence]
    if not approved:
        ids = offering.documents(record)
        rest(tx, view, whence, [d for d in view.documents if d.id in ids], now)
    hear(tx, view, whence, "replied", now)
    state = DONE if approved else WAITS
    return customer_answers.keep(tx, whence, "accept", state=state, data=data, now=now, plan_id=plan_id)
