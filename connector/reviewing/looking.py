"""A look at some customers, of one organization or of many: read what is known of them, decide, store what follows.

Everything about all of them is read at once and stored at once; what is decided of each rests on nobody else.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from sqlalchemy.engine import Connection

from connector.connecting.connections import Connection as Organization
from connector.contact import charging, contacts, guarding, reminders, reminding
from connector.contact.contacts import Heard
from connector.contact.reminders import Due, Reminder
from connector.domain import aging, stillness
from connector.domain.aging import Debt
from connector.domain.findings import Event, Receivables, Share
from connector.domain.policy import Mode
from connector.domain.progress import Progress
from connector.mirroring import books
from connector.mirroring.books import Key
from connector.planning import ending, plan_records, plans, policy_drafts
from connector.planning.plans import Record
from connector.planning.policy_drafts import Drafted
from connector.practice.settings import Settings
from connector.reviewing import conclusions, judging
from connector.reviewing.conclusions import Conclusion
from connector.writing import outbox

_Row = TypeVar("_Row")
REMINDED = ("running", "broken")
LIVING = ("running", "broken", "finished")  # a finished plan may open again when a payment bounces


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What one review found. Counts."""

    customers: int = 0
    findings: int = 0
    plans_drafted: int = 0
    plans_moved: int = 0
    reminders_due: int = 0
    reminders_held: int = 0

    def __add__(self, other: Reviewed) -> Reviewed:
        return Reviewed(
            self.customers + other.customers,
            self.findings + other.findings,
            self.plans_drafted + other.plans_drafted,
            self.plans_moved + other.plans_moved,
            self.reminders_due + other.reminders_due,
            self.reminders_held + other.reminders_held,
        )


@dataclass(frozen=True, slots=True)
class Circle:
    """What counts for all customers of one organization. `rules` is a fingerprint of it (`conclusions.to_review`).

    `known` is what the books alone say of customers, where somebody has just asked them. `spoken`: something is on
    record about its customers beside documents, plans and reminders; of which `speaking` are such that any day may make
    something else of it. `ahead`: look for the day on which something
    else may follow; whoever changed just now may change again today, so the coming night is soon enough for that.
    """

    organization: Organization
    decided: Settings
    today: dt.date
    rules: str
    known: Mapping[str, Conclusion]
    spoken: bool = True
    speaking: frozenset[str] = frozenset()
    ahead: bool = True


@dataclass(frozen=True, slots=True)
class _Seen:
    conclusion: Conclusion
    due: Due | None
    drafted: int
    moved: int


@dataclass(frozen=True, slots=True)
class _OnRecord:
    """About one customer."""

    picture: books.Receivables
    plans: Sequence[Record]
    reminders: Sequence[Reminder]
    events: Sequence[Event]
    told: guarding.Told
    book: Mapping[str, Share]
    same_rules: bool
    judged: str  # the kind that a person chose; "" leaves it to the books


def look(tx: Connection, circles: Mapping[str, Circle], keys: Collection[Key], now: dt.datetime) -> Reviewed:
    """In one transaction."""
    pictures = books.pictures(tx, keys)
    records = grouped(
        (r.connection_id, r.plan.customer_id, r) for r in plan_records.of_these(tx, list(pictures))
    )
    since = {key: reminding.remembered(p.invoices, circles[key[0]].today) for key, p in pictures.items()}
    sent = grouped((r.connection_id, r.customer_id, r) for r in reminders.that_count_of(tx, since))
    before = conclusions.before(tx, pictures)
    whose = defaultdict(list)
    for connection_id, customer_id in sorted(pictures):
        whose[connection_id].append(customer_id)
    owed = conclusions.owed_of(tx, whose)
    seen: dict[Key, _Seen] = {}
    for connection_id, ids in whose.items():
        circle = circles[connection_id]
        told = told_of(tx, circle, ids)
        heard = contacts.heard(tx, connection_id, ids) if circle.spoken else []
        mine = {id: records.get((connection_id, id), []) for id in ids}
        events = _events(heard, told, mine)
        for id in ids:
            key = (connection_id, id)
            known = _OnRecord(
                pictures[key],
                mine[id],
                sent.get(key, []),
                events.get(id, ()),
                told,
                owed.get(connection_id, {}),
                key in before and before[key].rules == circle.rules,
                conclusions.judged_otherwise(before.get(key)),
            )
            seen[key] = _one(tx, circle, known, now)
    today = {id: circle.today for id, circle in circles.items()}
    kept = reminders.keep_of(tx, {key: s.due for key, s in seen.items()}, sent, today=today, now=now)
    rules = {id: circle.rules for id, circle in circles.items()}
    concluded = {key: s.conclusion for key, s in seen.items()}
    conclusions.store_of(tx, concluded, today=today, now=now, rules=rules, known=before)
    return Reviewed(
        customers=len(seen),
        findings=sum(len(c.findings) for c in concluded.values()),
        plans_drafted=sum(s.drafted for s in seen.values()),
        plans_moved=sum(s.moved for s in seen.values()),
        reminders_due=sum(d.state == "due" for d in kept),
        reminders_held=sum(d.state == "held" for d in kept),
    )


def told_of(tx: Connection, circle: Circle, customer_ids: Collection[str]) -> guarding.Told:
    """What is on record about these customers beside their documents; nothing is asked where nothing is spoken."""
    if not circle.spoken:
        return guarding.Told()
    return guarding.told(tx, circle.organization.id, customer_ids, circle.today)


def _one(tx: Connection, circle: Circle, known: _OnRecord, now: dt.datetime) -> _Seen:
    organization, decided, today = circle.organization, circle.decided, circle.today
    picture, mine, told = known.picture, known.plans, known.told
    who = picture.customer.id
    standing = [(r, _stand(r, picture, today)) for r in mine if r.state in LIVING]
    receivables = judging.receivables(
        picture.customer,
        picture.invoices,
        picture.payments,
        picture.credits,
        decided.policy,
        today,
        country=organization.country,
        running=[(r.plan, p) for r, p in standing if r.state == "running"],
        events=known.events,
        book=known.book,
    )
    of_books = circle.known.get(who) if not mine and not known.events else None
    conclusion = of_books or judging.concluded(
        receivables, decided.policy, today, contract=_contract(standing)
    )
    moved = sum(_move(tx, r, p, now) for r, p in standing)
    for record, _ in standing:
        ending.bill_interest(tx, record, decided.policy.plan, now=now, today=today)
        ending.ask_about_credits(tx, record, picture.credits, now)
    for record in mine:
        if record.state == "cancelled":
            ending.ask_about_lost(tx, record, picture.invoices, now)
    charging.grant_earned(tx, organization.id, who, decided.policy.charges, now=now, today=today)
    rests = told.holds.get(who, ())
    segment = known.judged or conclusion.segment
    drafted = policy_drafts.draft_by_policy(
        tx,
        organization,
        decided,
        picture,
        mine,
        now=now,
        today=today,
        rests=rests,
        segment=segment,
        findings=conclusion.findings,
    )
    mine = plan_records.of_these(tx, [(organization.id, who)]) if moved else drafted.plans
    due = reminding.draw_up(
        tx,
        organization,
        decided,
        picture,
        [(r, s) for r, s in standing if r.state in REMINDED],
        mine,
        known.reminders,
        now=now,
        today=today,
        told=told,
        segment=segment,
        same_rules=known.same_rules,
    )
    judge_on, next_on = _next_days(
        circle, replace(known, plans=mine), due, drafted, receivables, of_books.next_on if of_books else None
    )
    return _Seen(replace(conclusion, judge_on=judge_on, next_on=next_on), due, drafted.new, moved)


def _next_days(
    circle: Circle,
    known: _OnRecord,
    due: Due | None,
    drafted: Drafted,
    receivables: Receivables,
    judged: dt.date | None,
) -> tuple[dt.date, dt.date]:
    """The days until which nothing else is concluded or drafted, and until which no other message is due either.

    `judged`: the former by the books alone, where somebody has just asked them."""
    tomorrow, picture = circle.today + dt.timedelta(1), known.picture
    drafts = message = stillness.NEVER
    if not circle.ahead or known.events:
        return tomorrow, tomorrow
    if known.plans or any(i.balance > 0 for i in picture.invoices):
        if reminding.may_change_tomorrow(circle.decided, picture, known.plans, due, known.told):
            return tomorrow, tomorrow
        drafts = policy_drafts.next_day(
            circle.organization, circle.decided, picture, known.plans, drafted, circle.today
        )
        message = reminding.next_day(
            circle.decided, picture, known.plans, known.reminders, due, today=circle.today
        )
    judged = judged or stillness.next_change(receivables, circle.decided.policy, circle.today, before=drafts)
    judge_on = min(judged, drafts)
    return judge_on, min(judge_on, message)


def _events(
    heard: Iterable[Heard], told: guarding.Told, records: Mapping[str, Iterable[Record]]
) -> dict[str, list[Event]]:
    """By customer: promises, disputes that a person holds reminders for, and plans kept to the end."""
    found: dict[str, list[Event]] = {}
    for signal in heard:
        found.setdefault(signal.customer_id, []).append(Event(signal.what, signal.on, signal.invoice_id))
    for customer_id, promises in told.promises.items():
        found.setdefault(customer_id, []).extend(
            Event("promise", p.recorded_at.date(), p.invoice_id or "", p.promised_on, p.amount)
            for p in promises
        )
    for customer_id, rests in told.holds.items():
        for hold in rests:
            if hold.reason == "disputed":
                disputed = Event("disputed", hold.set_at.date(), hold.invoice_id or "")
                found.setdefault(customer_id, []).append(disputed)
    for customer_id, mine in records.items():
        for record in mine:
            if record.state == "finished" and (rows := record.plan.rows):
                found.setdefault(customer_id, []).append(Event("plan_kept", max(r.due for r in rows)))
    return found


def _stand(record: Record, picture: books.Receivables, today: dt.date) -> Progress:
    ids = {row.n: row.invoice_id for row in record.installments if row.invoice_id}
    return judging.stand(record.plan, ids, picture.invoices, picture.payments, picture.credits, today)


def _move(tx: Connection, record: Record, stands: Progress, now: dt.datetime) -> bool:
    """Store where the plan stands. A paused plan is never late; one that is being taken back is left alone."""
    if record.progress in plans.UNDER_WAY:
        return False
    state, pace = stands.state, str(stands.pace)
    if record.paused_at is not None and state != "finished":
        state, pace = "running", "paused"
    elif record.state == "broken" and state == "running" and _accelerated(tx, record):
        state, pace = "broken", "broken"  # its rows say otherwise, but all of it is due now
    version = [w for w in outbox.of_plan(tx, record.id) if w.plan_version == record.plan.version]
    failed = [w.error for w in version if w.state == "failed"]
    attention = " ".join([*failed, *stands.attention])
    return plans.moved(
        tx,
        record.id,
        state=state,
        progress=pace,
        attention=attention,
        open_by_row={r.n: (r.open, str(r.state)) for r in stands.rows},
        now=now,
    )


def _accelerated(tx: Connection, record: Record) -> bool:
    return bool(outbox.of_batch(tx, record.connection_id, f"{record.batch} accelerate"))


def _contract(standing: Iterable[tuple[Record, Progress]]) -> dict[str, list[Debt]]:
    """The original due dates inside each open installment, by the installment's invoice."""
    found: dict[str, list[Debt]] = {}
    for record, stands in standing:
        if record.plan.mode is Mode.SPLIT:
            ids = {row.n: row.invoice_id for row in record.installments}
            open_ = {r.n: r.open for r in stands.rows}
            for n, debts in aging.contract_debts(record.plan, open_).items():
                if invoice_id := ids.get(n):
                    found[invoice_id] = debts
    return found


def grouped(rows: Iterable[tuple[str, str, _Row]]) -> dict[Key, list[_Row]]:
    found: dict[Key, list[_Row]] = defaultdict(list)
    for connection_id, customer_id, row in rows:
        found[connection_id, customer_id].append(row)
    return found
