"""STEP 3: bring what was approved into the ledger, and take it back when that fails.

A plan version is one ordered set: preflight against the ledger, before the first write → credit, installments,
link → read everything back and prove it → notes. Killed anywhere, it goes on where it stopped. What cannot go
on is taken back (`undoing`), so that the books are as they were; what cannot is said in plain words.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.engine import Connection, Engine

from connector import db, leases
from connector.contact import charges, charging, delivering, reminders
from connector.customer_page.customer_links import Maker
from connector.domain import codec
from connector.domain.policy import Mode
from connector.domain.receivables import Document
from connector.domain.writes import CreditDraft, RemoveDraft
from connector.mirroring import mirror
from connector.planning import plans
from connector.planning.plans import Record
from connector.platforms import Ledger, OutOfDate, Refused, TryLater
from connector.practice import settings
from connector.writing import outbox, perform, preflight, proving, undoing
from connector.writing.outbox import Write
from connector.writing.perform import Performer, Stopped, Taken, groups

LEASE_SECONDS = 90.0  # outlasts a call and its reading back; a killed worker blocks the next no longer
AFTER_PROOF = ("note", "attach")  # kinds that wait until the money is proven
OF_ONE_PLAN = (Refused, OutOfDate, LookupError)  # reasons that need not stop the others


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one delivery did. `busy`: another worker is at it. `retry_at`: when waiting writes may be tried.
    `behind`: a plan came back because the ledger had moved on, so our books are to be read."""

    done: int = 0
    failed: int = 0
    waiting: int = 0
    retry_at: dt.datetime | None = None
    busy: bool = False
    behind: bool = False


def deliver(
    engine: Engine,
    connection_id: str,
    open_ledger: Callable[[], Ledger],
    *,
    now: Callable[[], dt.datetime],
    today: Callable[[], dt.date],
    credit_word: str = "credit note",
    say: Callable[[str], None] | None = None,
    page: Maker | None = None,
) -> Delivered:
    """Perform everything of one organization that may be performed now. Safe to run twice, or at once.
    `page` names the customer's own page in what is written; None: nothing is named.

    `open_ledger` is called only when there is something to do. Raises Reconnect; TryLater ends the delivery
    with `retry_at` set.
    """
    with leases.hold(engine, f"write:{connection_id}", LEASE_SECONDS) as lease:
        if lease is None:
            return Delivered(busy=True)
        with db.reading(engine) as tx:
            work = _work(tx, connection_id, now())
            before = outbox.count(tx, connection_id, ["done"])
        again: dt.datetime | None = None
        behind = False
        if work:
            performer = Performer(
                engine,
                connection_id,
                open_ledger(),
                lease,
                now,
                today,
                credit_word,
                say or (lambda text: None),
                page,
            )
            try:
                _run(performer)
            except TryLater as wait:  # a write that waits says so itself; this is for the reads around it
                again = now() + dt.timedelta(seconds=wait.after or perform.FIRST_WAIT)
            except (Taken, leases.Lost):
                return Delivered(busy=True)
            behind = bool(performer.came_back)
        with db.reading(engine) as tx:
            return Delivered(
                done=outbox.count(tx, connection_id, ["done"]) - before,
                failed=outbox.count(tx, connection_id, ["failed"]),
                waiting=outbox.count(tx, connection_id, outbox.OPEN),
                retry_at=outbox.next_at(tx, connection_id, now()) or again,
                behind=behind,
            )


def pending_connections(tx: Connection, now: dt.datetime) -> list[str]:
    """The organizations with something to deliver now: for the sweep."""
    return sorted(
        {
            *outbox.pending_connections(tx, now),
            *plans.waiting_connections(tx),
            *(id for id in reminders.waiting_connections(tx) if settings.load(tx, id).live),
        }
    )


def waiting(tx: Connection, connection_id: str, now: dt.datetime) -> frozenset[str]:
    """What could be delivered now, each by a name that changes when somebody decides anew."""
    plans_ = [plans.get(tx, id) for id in plans.to_deliver(tx, connection_id)]
    due = reminders.of_connection(tx, connection_id, ["due"]) if delivering.waiting(tx, connection_id) else []
    return frozenset(
        [
            *(f"{record.id} {record.revision}" for record in plans_),
            *outbox.open_batches(tx, connection_id, now),
            *(f"reminder {reminder.id}" for reminder in due),
        ]
    )


def _work(tx: Connection, connection_id: str, now: dt.datetime) -> bool:
    return bool(
        plans.to_deliver(tx, connection_id)
        or outbox.open_batches(tx, connection_id, now)
        or delivering.waiting(tx, connection_id)
    )


def _run(p: Performer) -> None:
    """Plans first, in order; then whatever else is laid out; then the reminders that are due."""
    with db.reading(p.engine) as tx:
        waiting = plans.to_deliver(tx, p.connection_id)
    for plan_id in waiting:
        try:
            _plan(p, plan_id)
        except OF_ONE_PLAN as problem:
            p.say(f"{plan_id}: {problem}")
            with db.transaction(p.engine) as tx:
                plans.attend(tx, plan_id, str(problem), p.clock())
    with db.reading(p.engine) as tx:
        batches = outbox.open_batches(tx, p.connection_id, p.clock())
    for batch in batches:
        if batch.startswith("reminder "):  # those have a last look of their own first
            continue
        if not batch.startswith(charges.BATCH) or charging.still(p, batch):
            _batch(p, batch)
    delivering.deliver(p)


# ---------------------------------------------------------------- a plan


def _plan(p: Performer, plan_id: str) -> None:
    record = _record(p, plan_id)
    batch = p.writes(record.batch)
    if record.progress in plans.UNDER_WAY:
        undoing.take_back(p, record)
    elif not batch:
        refused, seen = _asked(p, record)
        if refused:
            p.say(f"{plan_id}: {refused}")
            with db.transaction(p.engine) as tx:
                preflight.still(tx, record)
                plans.send_back(tx, plan_id, refused, now=p.clock(), tried=False)
            p.came_back.append(plan_id)
            return
        _forward(p, plan_id, seen)
    elif failed := [w for w in batch if w.state == "failed"]:  # we were killed before we could take it back
        _stopped(p, plan_id, Stopped(failed[0].error_code, failed[0].error))
    elif not any(w.not_before and w.not_before > p.clock() for w in batch if w.state in outbox.OPEN):
        _forward(p, plan_id)


def _asked(p: Performer, record: Record) -> tuple[str, Sequence[Document]]:
    """The preflight. What the ledger cannot be asked about this plan sends this plan back, and no other."""
    try:
        return preflight.ask(p, record)
    except OF_ONE_PLAN as problem:
        return str(problem), ()


def _forward(p: Performer, plan_id: str, seen: Sequence[Document] = ()) -> None:
    """Write, prove, note. Each round looks again: a person may have cancelled meanwhile.

    `seen`: the plan's invoices as the preflight of this very delivery read them.
    """
    record = _record(p, plan_id)
    try:
        while True:
            record = _now(p, record)
            if record.progress in plans.UNDER_WAY:
                undoing.take_back(p, record)
                return
            group = _next(p.writes(record.batch))
            if record.state != "running" and (not group or group[0].kind in AFTER_PROOF):
                _prove(p, record, seen)
            elif group:
                p.say(f"{plan_id}: {group[0].what}" + (f" and {len(group) - 1} more" if group[1:] else ""))
                p.perform(group)
            else:
                return
    except Stopped as stop:
        _stopped(p, plan_id, stop)


def _stopped(p: Performer, plan_id: str, stop: Stopped) -> None:
    """Money that is proven stays, and a person hears of the note; anything less is taken back."""
    record = _record(p, plan_id)
    p.say(f"{plan_id}: {stop.sentence}")
    if record.state == "running":
        with db.transaction(p.engine) as tx:
            plans.attend(tx, plan_id, stop.sentence, p.clock())
        return
    sentence = stop.sentence
    if record.plan.mode is Mode.SPLIT and not any(w.state == "done" for w in p.writes(record.batch)):
        sentence = preflight.unfit_clearing(p) or sentence  # the first write itself was refused
    with db.transaction(p.engine) as tx:
        settings.clearing_doubted(tx, p.connection_id)
        plans.undo(tx, plan_id, sentence, p.clock())
    undoing.take_back(p, _record(p, plan_id))


def _next(batch: list[Write]) -> list[Write]:
    """What to perform next, in one call; [] when nothing is left."""
    return next(iter(groups([w for w in batch if w.state in outbox.OPEN])), [])


def _prove(p: Performer, record: Record, seen: Sequence[Document]) -> None:
    """Read back what was written and compare it, before anybody is told that the plan runs."""
    p.lease.keep()
    with db.reading(p.engine) as tx:
        drafts = proving.drafts_of(tx, record)
    proven = proving.prove(p.ledger, record, drafts, just_written=True, seen=seen, made=p.made)
    if proven.differences:
        raise Stopped("NOT_AS_MEANT", " ".join(d.sentence for d in proven.differences))
    with db.transaction(p.engine) as tx:
        rows = proving.installment_ids(record.plan, proven.written)
        plans.written(
            tx, record.id, invoice_ids=rows, proof=proven.to_json(p.clock()), attention="", now=p.clock()
        )
        mirror.put_documents(tx, p.connection_id, (*proven.sources, *proven.written))
    p.say(f"{record.id}: read back and proven")


# ---------------------------------------------------------------- any other batch


def _batch(p: Performer, batch: str) -> None:
    """Notes of a running plan, reminders, due dates: each on its own; a refusal stops only this batch."""
    try:
        while (group := _next(p.writes(batch))) and not _wrong_credit(p, batch):
            p.say(group[0].what)
            p.perform(group)
    except Stopped as stop:
        p.say(stop.sentence)
    if wrong := _wrong_credit(p, batch):
        _take_off(p, *wrong)


def _wrong_credit(p: Performer, batch: str) -> tuple[Write, Stopped] | None:
    """A credit of this batch that the ledger made otherwise than meant, tax above all, and why."""
    for write in p.writes(batch):
        if write.state != "done" or not isinstance(write.draft, CreditDraft) or not write.answer:
            continue
        if wrong := perform.unlike(write.draft, codec.from_json(Document, write.answer)):
            return write, wrong
    return None


def _take_off(p: Performer, credit: Write, why: Stopped) -> None:
    """Nothing is set against a credit that came out wrong: it is taken off again, and a person hears why."""
    removal = RemoveDraft("credit", credit.external_id or "", credit.draft.marker)
    undo = f"{credit.batch} undo {credit.attempts}"  # it may be tried again, and come out wrong again
    plan = plans.number_of(credit.plan) if credit.plan else None
    with db.transaction(p.engine) as tx:
        outbox.lay_out(
            tx, p.connection_id, undo, [removal], now=p.clock(), plan=plan, version=credit.plan_version
        )
        outbox.failed(tx, credit.id, p.clock(), Refused(why.sentence, code=why.code))
    _batch(p, undo)


def _record(p: Performer, plan_id: str) -> Record:
    with db.reading(p.engine) as tx:
        return plans.get(tx, plan_id)


def _now(p: Performer, record: Record) -> Record:
    """The plan as it stands now; read anew only where somebody changed it."""
    with db.reading(p.engine) as tx:
        return record if plans.revision(tx, record.id) == record.revision else plans.get(tx, record.id)
