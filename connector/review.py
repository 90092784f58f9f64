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

from connector import (
    audit,
    books,
    bookwide,
    charging,
    conclusions,
    connections,
    contacts,
    db,
    ending,
    expecting,
    guarding,
    holds,
    judging,
    outbox,
    plans,
    policy_drafts,
    reminders,
    reminding,
    settings,
    track_record,
)
from connector.domain import aging, fingerprint
from connector.domain.aging import Debt
from connector.domain.findings import Event
from connector.domain.policy import Mode
from connector.domain.prediction import outlook
from connector.domain.prediction.model import fit
from connector.domain.progress import Progress
from connector.plans import Record
from connector.reminders import Reminder

PART = 200  # customers in one transaction
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
        rules = _rules(tx, connection_id)
        survivor = books.survivors(tx, connection_id)
        if customer_ids is not None:
            wanted = {survivor.get(id, id) for id in customer_ids}
        else:
            due = conclusions.to_review(tx, connection_id, today, None if quiet_too else rules)
            heard_of = {*books.changed(tx, connection_id), *_events(tx, connection_id, {}, today)}
            wanted = set(due) - survivor.keys() | {survivor.get(id, id) for id in heard_of}
    total = Reviewed()
    rest = iter(sorted(wanted))
    while part := list(islice(rest, PART)):
        with db.transaction(engine) as tx, audit.at_the_end(tx):
            total += _part(tx, connection_id, part, now, today, rules)
    if survivor:
        with db.transaction(engine) as tx:
            conclusions.forget_merged(tx, connection_id, survivor, today)
    return total


def predict(engine: Engine, connection_id: str, *, today: dt.date) -> int:
    """Predict every open invoice anew from the whole of the organization's books. Returns how many.

    With it comes how right that would have been over the last twelve months (`track_record`).
    """
    with db.reading(engine) as tx:
        columns, ids = bookwide.history(tx, connection_id, today)
    model = fit(columns, today.toordinal())
    found = [conclusions.prediction(o) for o in outlook.answers(model, ids).values()]
    with db.transaction(engine) as tx:
        conclusions.store_predictions(tx, connection_id, found, today=today)
        track_record.keep(tx, connection_id, model.record, today=today)
        expecting.keep(tx, connection_id, {p.invoice_id: p for p in found}, today=today)
    return len(found)


def _rules(tx: Connection, connection_id: str) -> str:
    """A fingerprint of everything beside a customer's own records that a conclusion rests on."""
    policy = settings.load(tx, connection_id).policy
    country = connections.get(tx, connection_id).country
    text = json.dumps([fingerprint.of_source("connector.domain"), country, policy.to_json()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _part(
    tx: Connection, connection_id: str, ids: list[str], now: dt.datetime, today: dt.date, rules: str
) -> Reviewed:
    connection = connections.get(tx, connection_id)
    decided = settings.load(tx, connection_id)
    records = _by_customer(plans.of_customers(tx, connection_id, ids))
    sent: dict[str, list[Reminder]] = {}
    for earlier in reminders.of_customers(tx, connection_id, ids):
        sent.setdefault(earlier.customer_id, []).append(earlier)
    events = _events(tx, connection_id, records, today)
    book = conclusions.owed(tx, connection_id)
    told = guarding.told(tx, connection_id, ids, today)
    total = Reviewed()
    concluded = []
    for picture in books.each_customer(tx, connection_id, ids):
        mine = records.get(picture.customer.id, [])
        standing = [(r, _stand(r, picture, today)) for r in mine if r.state in LIVING]
        conclusion = judging.judge(
            picture.customer,
            picture.invoices,
            picture.payments,
            picture.credits,
            decided.policy,
            today,
            country=connection.country,
            running=[(r.plan, p) for r, p in standing if r.state == "running"],
            contract=_contract(standing),
            events=events.get(picture.customer.id, ()),
            book=book,
        )
        moved = sum(_move(tx, r, p, now) for r, p in standing)
        for record, _ in standing:
            ending.bill_interest(tx, record, decided.policy.plan, now=now, today=today)
        charging.grant_earned(
            tx, connection_id, picture.customer.id, decided.policy.charges, now=now, today=today
        )
        drafted = policy_drafts.draft_by_policy(tx, connection, decided, picture, mine, now=now, today=today)
        reminder = reminding.draw_up(
            tx,
            connection,
            decided,
            picture,
            [(r, s) for r, s in standing if r.state in REMINDED],
            plans.of_customer(tx, connection_id, picture.customer.id) if drafted or moved else mine,
            sent.get(picture.customer.id, []),
            now=now,
            today=today,
            told=told,
            segment=conclusion.kind,
        )
        concluded.append(replace(conclusion, next_on=None) if mine else conclusion)
        total += Reviewed(
            1,
            len(conclusion.findings),
            drafted,
            moved,
            int(reminder is not None and reminder.state == "due"),
            int(reminder is not None and reminder.state == "held"),
        )
    conclusions.store(tx, connection_id, concluded, today=today, now=now, rules=rules)
    return total


def _events(
    tx: Connection, connection_id: str, records: Mapping[str, Iterable[Record]], today: dt.date
) -> dict[str, list[Event]]:
    """By customer: promises, disputes that a person holds reminders for, and plans kept to the end."""
    found: dict[str, list[Event]] = {}
    for signal in contacts.heard(tx, connection_id):
        found.setdefault(signal.customer_id, []).append(Event(signal.what, signal.on, signal.invoice_id))
    for promise in holds.promised(tx, connection_id):
        found.setdefault(promise.customer_id, []).append(
            Event(
                "promise",
                promise.recorded_at.date(),
                promise.invoice_id or "",
                promise.promised_on,
                promise.amount,
            )
        )
    for hold in holds.active(tx, connection_id, today=today):
        if hold.reason == "disputed" and hold.invoice_id:
            found.setdefault(hold.customer_id, []).append(
                Event("disputed", hold.set_at.date(), hold.invoice_id)
            )
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
