"""STEP 2: run the rules over the books and store what follows. No network, nothing leaves.

books → findings, assessments, balances, where each plan stands → drafted plans → reminders that are due or
held. A part of the customers at a time, each part in one transaction. A whole review also predicts, because
that learns from all customers at once.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from sqlalchemy.engine import Connection, Engine

from connector import db
from connector.connecting import connections
from connector.connecting.connections import Connection as Organization
from connector.contact import charging, contacts, guarding, holds, reminders, reminding
from connector.contact.contacts import Heard
from connector.contact.reminders import Due, Reminder
from connector.domain import aging, fingerprint
from connector.domain.aging import Debt
from connector.domain.findings import Event
from connector.domain.policy import Mode
from connector.domain.prediction import outlook
from connector.domain.prediction.model import fit
from connector.domain.progress import Progress
from connector.domain.receivables import Kind
from connector.mirroring import books, bookwide
from connector.planning import ending, plans, policy_drafts
from connector.planning.plans import Record
from connector.practice import settings
from connector.practice.settings import Settings
from connector.record import audit
from connector.reviewing import conclusions, expecting, full_pass, judging, track_record
from connector.reviewing.conclusions import Conclusion
from connector.writing import outbox

PART = 200  # customers in one transaction
SMALL = 5_000  # invoices of a book that is read as a whole for the sake of one new invoice
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


def review(
    engine: Engine,
    connection_id: str,
    *,
    now: dt.datetime,
    today: dt.date,
    customer_ids: Collection[str] | None = None,
    quiet_too: bool = True,
) -> Reviewed:
    """Look at these customers, or at all. `today` is the organization's day. Safe to run twice.

    `quiet_too=False` leaves those alone about whom nothing else can be concluded than last time (`stillness`).
    """
    total = look(engine, connection_id, now=now, today=today, customer_ids=customer_ids, quiet_too=quiet_too)
    if customer_ids is None:
        predict(engine, connection_id, today=today)
    else:
        predict_new(engine, connection_id, customer_ids, today=today)
    return total


def look(
    engine: Engine,
    connection_id: str,
    *,
    now: dt.datetime,
    today: dt.date,
    customer_ids: Collection[str] | None = None,
    quiet_too: bool = True,
) -> Reviewed:
    """A review without the predictions: a part of the customers at a time."""
    with db.reading(engine) as tx:
        organization, decided = connections.get(tx, connection_id), settings.load(tx, connection_id)
        rules = _rules(organization, decided)
        survivor = books.survivors(tx, connection_id)
        if customer_ids is not None:
            wanted = {survivor.get(id, id) for id in customer_ids}
        else:
            due = conclusions.to_review(tx, connection_id, today, None if quiet_too else rules)
            heard_of = {*books.changed(tx, connection_id), *_spoken_of(tx, connection_id, today)}
            wanted = set(due) - survivor.keys() | {survivor.get(id, id) for id in heard_of}
        known = _at_once(tx, organization, decided, today) if customer_ids is None and quiet_too else {}
    total = Reviewed()
    rest = iter(sorted(wanted))
    while part := list(islice(rest, PART)):
        with db.transaction(engine, repeatable=True) as tx, audit.at_the_end(tx):
            total += _part(tx, organization, decided, part, now, today, rules, known)
    if survivor:
        with db.transaction(engine) as tx:
            conclusions.forget_merged(tx, connection_id, survivor, today)
    return total


def _at_once(
    tx: Connection, organization: Organization, decided: Settings, today: dt.date
) -> dict[str, Conclusion]:
    """What the books alone say of every customer. Who changes meanwhile is looked at again (`books.changed`)."""
    rows = bookwide.rows(tx, organization.id, today)
    found = full_pass.conclude(tx, organization.id, rows, decided.policy, today, country=organization.country)
    return {c.customer_id: c for c in found}


def predict(engine: Engine, connection_id: str, *, today: dt.date) -> int:
    """Predict every open invoice anew from the whole of the organization's books. Returns how many.

    With it comes how right that would have been over the last twelve months (`track_record`).
    """
    with db.reading(engine) as tx:
        columns, ids = bookwide.history(tx, connection_id, today)
    model = fit(columns, today.toordinal())
    found = [conclusions.prediction(o) for o in outlook.answers(model, ids).values()]
    with db.transaction(engine, repeatable=True) as tx:
        conclusions.store_predictions(tx, connection_id, found, today=today)
        track_record.keep(tx, connection_id, model.record, today=today)
        expecting.keep(tx, connection_id, {p.invoice_id: p for p in found}, today=today)
    return len(found)


def predict_new(engine: Engine, connection_id: str, customer_ids: Collection[str], *, today: dt.date) -> int:
    """Predict these customers' open invoices that the last whole review did not know yet. Returns how many.

    From the whole of a small book. From a larger one's customers by themselves: what the book would add is the
    documented prior until the next whole review.
    """
    with db.reading(engine) as tx:
        if track_record.of_connection(tx, connection_id) is None:
            return 0  # a whole review is still to come
        new = conclusions.unpredicted(tx, connection_id, customer_ids, today)
        if not new:
            return 0
        if books.counts(tx, connection_id)[Kind.INVOICE] <= SMALL:
            columns, ids = bookwide.history(tx, connection_id, today)
            found = outlook.learn(columns, ids, today)
        else:
            found = {}
            for one in books.each_customer(tx, connection_id, set(new.values()), brief=True):
                found |= outlook.outlooks(one.invoices, one.payments, one.credits, today)
    said = [conclusions.prediction(found[id]) for id in new if id in found]
    with db.transaction(engine, repeatable=True) as tx:
        conclusions.add_predictions(tx, connection_id, said, today=today)
    return len(said)


def _rules(organization: Organization, decided: Settings) -> str:
    """A fingerprint of everything beside a customer's own records that a conclusion rests on."""
    known = [fingerprint.of_source("connector.domain"), organization.country, decided.policy.to_json()]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]


def _part(
    tx: Connection,
    organization: Organization,
    decided: Settings,
    ids: list[str],
    now: dt.datetime,
    today: dt.date,
    rules: str,
    known: Mapping[str, Conclusion],
) -> Reviewed:
    """`known`: what the books alone say, where somebody has just asked them."""
    connection_id = organization.id
    records = _by_customer(plans.of_customers(tx, connection_id, ids))
    pictures = list(books.each_customer(tx, connection_id, ids, brief=True))
    since = {p.customer.id: reminding.remembered(p.invoices, today) for p in pictures}
    sent: dict[str, list[Reminder]] = {}
    for earlier in reminders.that_count(tx, connection_id, since):
        sent.setdefault(earlier.customer_id, []).append(earlier)
    told = guarding.told(tx, connection_id, ids, today)
    events = _events(contacts.heard(tx, connection_id, ids), told, records)
    book = conclusions.owed(tx, connection_id)
    same_rules = conclusions.by_rules(tx, connection_id, ids, rules)
    drafted = moves = 0
    concluded: list[Conclusion] = []
    due: dict[str, Due | None] = {}
    for picture in pictures:
        who = picture.customer.id
        mine = records.get(who, [])
        standing = [(r, _stand(r, picture, today)) for r in mine if r.state in LIVING]
        alone = not mine and who not in events
        conclusion = (known.get(who) if alone else None) or judging.judge(
            picture.customer,
            picture.invoices,
            picture.payments,
            picture.credits,
            decided.policy,
            today,
            country=organization.country,
            running=[(r.plan, p) for r, p in standing if r.state == "running"],
            contract=_contract(standing),
            events=events.get(who, ()),
            book=book,
        )
        moved = sum(_move(tx, r, p, now) for r, p in standing)
        for record, _ in standing:
            ending.bill_interest(tx, record, decided.policy.plan, now=now, today=today)
        for record in mine:
            if record.state == "cancelled":
                ending.ask_about_lost(tx, record, picture.invoices, now)
        charging.grant_earned(tx, connection_id, who, decided.policy.charges, now=now, today=today)
        rests = told.holds.get(who, ())
        new = policy_drafts.draft_by_policy(
            tx, organization, decided, picture, mine, now=now, today=today, rests=rests
        )
        due[who] = reminding.draw_up(
            tx,
            organization,
            decided,
            picture,
            [(r, s) for r, s in standing if r.state in REMINDED],
            plans.of_customer(tx, connection_id, who) if new or moved else mine,
            sent.get(who, []),
            now=now,
            today=today,
            told=told,
            segment=conclusion.kind,
            same_rules=who in same_rules,
        )
        concluded.append(replace(conclusion, next_on=None) if mine else conclusion)
        drafted += new
        moves += moved
    kept = reminders.keep(tx, connection_id, due, sent, today=today, now=now)
    conclusions.store(tx, connection_id, concluded, today=today, now=now, rules=rules)
    return Reviewed(
        customers=len(concluded),
        findings=sum(len(c.findings) for c in concluded),
        plans_drafted=drafted,
        plans_moved=moves,
        reminders_due=sum(d.state == "due" for d in kept),
        reminders_held=sum(d.state == "held" for d in kept),
    )


def _spoken_of(tx: Connection, connection_id: str, today: dt.date) -> set[str]:
    """The customers with something on record that `_events` makes an event of."""
    disputed = (h for h in holds.active(tx, connection_id, today=today) if h.reason == "disputed")
    return {
        *(s.customer_id for s in contacts.heard(tx, connection_id)),
        *(p.customer_id for p in holds.promised(tx, connection_id)),
        *(h.customer_id for h in disputed),
    }


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


def _by_customer(records: Iterable[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.plan.customer_id, []).append(record)
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
