"""What the policy drafts by itself when a customer is looked at, and how its own drafts follow the books."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from connector.connecting.connections import Connection as Organization
from connector.contact.holds import Hold
from connector.domain import paying, propose, rails, refusals, regions
from connector.domain.calendar import Rhythm
from connector.domain.findings import Finding
from connector.domain.findings.habits import GRACE
from connector.domain.plan import Plan
from connector.domain.receivables import Customer, Invoice
from connector.domain.stillness import AHEAD
from connector.mirroring import books
from connector.planning import drafting, objections, plans
from connector.planning.plans import PlanProblem, Record
from connector.practice.settings import Settings
from connector.record import audit

GONE = ("cancelled", "withdrawn")  # plans that nothing follows from any more


@dataclass(frozen=True, slots=True)
class Drafted:
    """The customer's plans as they stand now; how many are new; whether the policy wants one that something stands
    against, so that any day may bring it."""

    plans: Sequence[Record] = ()
    new: int = 0
    refused: bool = False


def draft_by_policy(
    tx: Connection,
    organization: Organization,
    decided: Settings,
    picture: books.Receivables,
    records: Sequence[Record],
    *,
    now: dt.datetime,
    today: dt.date,
    rests: Sequence[Hold] | None = None,
    segment: str | None = None,
    findings: Sequence[Finding] = (),
) -> Drafted:
    """Draft what the policy wants for one customer, and keep earlier drafts true.

    `records` are the customer's plans, `rests` the holds where they have been read, `segment` and `findings` what is
    concluded of them. One plan for each currency;
    never for an invoice in a plan; never again what a person turned down.
    """
    policy = decided.policy
    left, passed = _refresh(tx, organization, decided, picture, records, now, today, rests)
    considered = list(
        _considered(
            tx, organization, decided, picture, left, today, rests, segment=segment, findings=findings
        )
    )
    wanted = [(plan, _earlier(passed, plan)) for plan, _ in considered if plan is not None]
    for record in passed:
        if record not in (earlier for _, earlier in wanted):
            plans.withdraw(tx, record.id, now=now)
    drafted = 0
    for plan, earlier in wanted:
        if earlier:
            record = plans.renew(tx, earlier, plan, picture, now)
        else:
            record = plans.add(tx, organization.id, plan, who=audit.SYSTEM, now=now, picture=picture)
            drafted += 1
        behind = _falls_behind(picture.invoices, record.plan, today)
        if rails.approves_itself(record.plan, today, policy.plan) and not behind:
            record = plans.approve(tx, record.id, who="the policy", now=now, today=today)
        left.append(record)
    return Drafted(left, drafted, any(why_not in (REFUSED, NUDGE) for _, why_not in considered))


def _earlier(passed: Iterable[Record], plan: Plan) -> Record | None:
    """The draft in whose place this one is."""
    mine = (r for r in passed if r.plan.currency == plan.currency and plans.share(r.plan, plan))
    return next(mine, None)


def _falls_behind(invoices: Sequence[Invoice], plan: Plan, today: dt.date) -> bool:
    """Whether something beside the plan is overdue too: then a person decides whether there should be one
    (docs/accounting.md, "Schedules")."""
    planned = {s.invoice_id for s in plan.sources}
    return any(
        i.balance > 0 and i.status in drafting.LIVE and i.due < today and i.id not in planned
        for i in invoices
    )


def wanted(
    tx: Connection,
    organization: Organization,
    decided: Settings,
    picture: books.Receivables,
    records: Sequence[Record],
    today: dt.date,
    rests: Sequence[Hold] | None = None,
    segment: str | None = None,
    findings: Sequence[Finding] = (),
) -> Iterator[Plan]:
    """The plans that the policy wants for one customer, not stored; none while one waits for an answer."""
    considered = _considered(
        tx, organization, decided, picture, records, today, rests, segment=segment, findings=findings
    )
    return (plan for plan, _ in considered if plan is not None)


TURNED_DOWN, SHORT, REFUSED = "a person turned it down", "one payment does", "something stands against it"
NUDGE = "a first slip needs a reminder, no plan"


def _considered(
    tx: Connection,
    organization: Organization,
    decided: Settings,
    picture: books.Receivables,
    records: Sequence[Record],
    today: dt.date,
    rests: Sequence[Hold] | None,
    *,
    segment: str | None,
    findings: Sequence[Finding],
) -> Iterator[tuple[Plan | None, str]]:
    """For each currency in which the policy looks for a plan: the plan, or why there is none."""
    if any(r.state == "proposed" for r in records):
        return
    policy, taken = decided.policy.plan, plans.planned(records)
    taken |= {e.invoice for f in findings if f.kind == "kept_back" for e in f.evidence}  # asked about first
    apart = frozenset(hold.invoice_id for hold in rests or () if hold.invoice_id)
    for group in propose.candidates(picture.invoices, policy, today, taken, apart).values():
        old = [i for i in group if propose.brings_a_plan(i, policy, today)]
        if any(_turned_down(r, old) for r in records):
            yield None, TURNED_DOWN
            continue
        if propose.a_nudge_does(findings, segment or "", today):
            yield None, NUDGE
            continue
        try:
            made = drafting.proposal(decided, organization, picture, group, today, None, segment or "")
            if len(made.rows) < 2:
                yield None, SHORT  # one payment is a later due date, not a plan: a reminder does for that
                continue
            plan = drafting.draft(
                tx,
                organization.id,
                picture,
                group,
                today,
                records=records,
                organization=organization,
                decided=decided,
                rests=rests,
                made=made,
            )
        except PlanProblem:
            yield None, REFUSED  # what it is stands on the customer's page; there is nothing to propose
            continue
        if rails.problems(plan, today, policy):
            yield None, REFUSED
        else:
            yield plan, ""


def are_under_way(customer: Customer, records: Iterable[Record]) -> bool:
    """Whether any of a customer's plans may stand elsewhere tomorrow: it runs, is being written or talked about, or
    waits for an answer where each day has its own rules for private persons."""
    for record in records:
        if record.state not in ("proposed", *GONE) or record.progress or record.draft:
            return True
        if record.state == "proposed" and (customer.is_person or record.plan.terms.private_person):
            return True
    return False


def next_day(
    organization: Organization,
    decided: Settings,
    picture: books.Receivables,
    records: Sequence[Record],
    drafted: Drafted,
    today: dt.date,
) -> dt.date:
    """The first day after `today` that may bring another draft of a plan though nothing happens and everything else
    concluded stays the same. Not of one whose plans `are_under_way`."""
    if drafted.refused:
        return today + dt.timedelta(1)
    policy, waits = decided.policy.plan, [r for r in records if r.state == "proposed"]
    days = {r.plan.rows[0].due + dt.timedelta(1) for r in waits if r.plan.rows}
    if not waits:
        ages = (GRACE + 1, policy.propose_after_days, propose.NUDGED + 1)
        days |= {
            i.due + dt.timedelta(age) for i in propose.possible(picture.invoices, policy) for age in ages
        }
        days.add(affords_otherwise(picture, decided, today, today + dt.timedelta(AHEAD)))
    if facts := organization.facts:
        days |= {facts.closed_until + dt.timedelta(1)} if facts.closed_until else set()
        mandate = regions.region(facts.country).einvoice_from
        days |= {mandate} if mandate else set()
    return min((day for day in days if day > today), default=dt.date.max)


def affords_otherwise(
    picture: books.Receivables, decided: Settings, today: dt.date, until: dt.date
) -> dt.date:
    """The first day up to `until` on which a policy that found one payment enough may find another number."""
    policy = decided.policy.plan
    groups = propose.candidates(picture.invoices, policy, today)
    ages = (paying.PARTS + 1, paying.PAID + 1, paying.LATELY + 1)
    days = sorted({p.date + dt.timedelta(age) for p in picture.payments for age in ages})

    def able(currency: str, day: dt.date) -> tuple[Rhythm, int] | None:
        own = paying.pay_days(picture.payments, currency, day)
        rhythm = own.rhythm if own else policy.rhythm
        found = paying.affordable(picture.invoices, picture.payments, currency, rhythm, policy, day)
        return (rhythm, found.amount) if found else None

    now = {currency: able(currency, today) for currency in groups}
    for day in days:
        if today < day < until and any(able(currency, day) != now[currency] for currency in groups):
            return day
    return until


def _turned_down(record: Record, old: Sequence[Invoice]) -> bool:
    """A person cancelled a plan over these balances: do not come back with it until another invoice brings one."""
    known = {(s.invoice_id, s.balance) for s in record.plan.sources}
    return record.state == "cancelled" and known >= {(i.id, i.balance) for i in old}


def _refresh(
    tx: Connection,
    organization: Organization,
    decided: Settings,
    picture: books.Receivables,
    records: Sequence[Record],
    now: dt.datetime,
    today: dt.date,
    rests: Sequence[Hold] | None,
) -> tuple[list[Record], list[Record]]:
    """Our own untouched drafts follow the books: one that no longer fits is withdrawn. Returns what is left, and apart
    from it the drafts of which only the first payment day has passed."""
    by_id = {i.id: i for i in picture.invoices}
    left, passed = list(records), []
    for record in records:
        if not record.untouched:
            continue
        still = [
            by_id[s.invoice_id]
            for s in record.plan.sources
            if s.invoice_id in by_id
            and by_id[s.invoice_id].status in drafting.LIVE
            and by_id[s.invoice_id].balance > 0
        ]
        same = [(i.id, i.balance) for i in still] == [(s.invoice_id, s.balance) for s in record.plan.sources]
        if same:
            ids = [i.id for i in still]
            who = picture.customer.id
            known = objections.facts(
                tx,
                organization.id,
                who,
                ids,
                today,
                but=record.id,
                picture=picture,
                plans=left,
                organization=organization,
                decided=decided,
                rests=rests,
            )
            choice = refusals.choose_mode(known, wanted=decided.policy.plan.mode, plan=record.plan)
            same = choice.mode in (None, record.plan.mode)  # the accountant may have answered meanwhile
        if not same:
            plans.withdraw(tx, record.id, now=now)
            left.remove(record)
        elif record.plan.rows[0].due < today:
            left.remove(record)
            passed.append(record)
    return left, passed
