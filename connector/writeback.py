"""STEP 3: bring what was approved into the ledger, and take it back when that fails.

A plan version is one ordered set: preflight against the ledger, before the first write → credit, installments,
link → read everything back and prove it → notes. Killed anywhere, it goes on where it stopped. What cannot go
on is taken back (`undoing`), so that the books are as they were; what cannot is said in plain words.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.engine import Connection, Engine

from connector import (
    agreements,
    books,
    charging,
    db,
    leases,
    mirror,
    objections,
    outbox,
    perform,
    plans,
    printing,
    proving,
    reminders,
    reminding,
    settings,
    todos,
    undoing,
)
from connector.customer_links import Maker
from connector.domain import page_words, plan_writes
from connector.domain import refusals as rules
from connector.domain.letters import variant_for
from connector.domain.plan import Plan
from connector.domain.plan_words import Words
from connector.domain.plan_writes import Attachment, WriteSet
from connector.domain.policy import Mode
from connector.domain.receivables import Document, Kind, Line
from connector.domain.refusals import Facts, Refusal
from connector.outbox import Write
from connector.perform import Performer, Stopped, Taken, groups
from connector.plans import Record
from connector.platforms import Clearing, Ledger, Refused, TryLater

LEASE_SECONDS = 90.0  # outlasts a call and its reading back; a killed worker blocks the next no longer
AFTER_PROOF = ("note", "attach")  # kinds that wait until the money is proven


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one delivery did. `busy`: another worker is at it. `retry_at`: when waiting writes may be tried."""

    done: int = 0
    failed: int = 0
    waiting: int = 0
    retry_at: dt.datetime | None = None
    busy: bool = False


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
        with db.reading(engine) as tx:
            return Delivered(
                done=outbox.count(tx, connection_id, ["done"]) - before,
                failed=outbox.count(tx, connection_id, ["failed"]),
                waiting=outbox.count(tx, connection_id, outbox.OPEN),
                retry_at=outbox.next_at(tx, connection_id, now()) or again,
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
    due = reminders.of_connection(tx, connection_id, ["due"]) if reminding.waiting(tx, connection_id) else []
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
        or reminding.waiting(tx, connection_id)
    )


def _run(p: Performer) -> None:
    """Plans first, in order; then whatever else is laid out; then the reminders that are due."""
    with db.reading(p.engine) as tx:
        waiting = plans.to_deliver(tx, p.connection_id)
    for plan_id in waiting:
        _plan(p, plan_id)
    with db.reading(p.engine) as tx:
        batches = outbox.open_batches(tx, p.connection_id, p.clock())
    for batch in batches:
        if batch.startswith("reminder "):  # those have a last look of their own first
            continue
        if not batch.startswith(charging.BATCH) or charging.still(p, batch):
            _batch(p, batch)
    reminding.deliver(p)


# ---------------------------------------------------------------- a plan


def _plan(p: Performer, plan_id: str) -> None:
    record = _record(p, plan_id)
    batch = _writes(p, record.batch)
    if record.progress in plans.UNDER_WAY:
        undoing.take_back(p, record)
    elif not batch:
        refused, seen = _preflight(p, record)
        if refused:
            p.say(f"{plan_id}: {refused}")
            with db.transaction(p.engine) as tx:
                _still(tx, record)
                plans.send_back(tx, plan_id, refused, now=p.clock(), tried=False)
            return
        _forward(p, plan_id, seen)
    elif failed := [w for w in batch if w.state == "failed"]:  # we were killed before we could take it back
        _stopped(p, plan_id, Stopped(failed[0].error_code, failed[0].error))
    elif not any(w.not_before and w.not_before > p.clock() for w in batch if w.state in outbox.OPEN):
        _forward(p, plan_id)


def _forward(p: Performer, plan_id: str, seen: Sequence[Document] = ()) -> None:
    """Write, prove, note. Each round looks again: a person may have cancelled meanwhile.

    `seen`: the plan's invoices as the preflight of this very delivery read them.
    """
    try:
        while True:
            record = _record(p, plan_id)
            if record.progress in plans.UNDER_WAY:
                undoing.take_back(p, record)
                return
            group = _next(_writes(p, record.batch))
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
    with db.transaction(p.engine) as tx:
        plans.undo(tx, plan_id, stop.sentence, p.clock())
    undoing.take_back(p, _record(p, plan_id))


def _next(batch: list[Write]) -> list[Write]:
    """What to perform next, in one call; [] when nothing is left."""
    return next(iter(groups([w for w in batch if w.state in outbox.OPEN])), [])


def _preflight(p: Performer, record: Record) -> tuple[str, Sequence[Document]]:
    """Ask the ledger everything that could stand against the plan, then lay out its writes.

    Returns why not, "" when they are laid out, and the plan's invoices as they stand now. Nothing is written while anything stands against it; the
    clearing account, which may have to be created, is asked for last.
    """
    plan, today = record.plan, p.today()
    facts, waived = _facts(p, plan, today)
    found = rules.refusals(facts, plan.mode, plan) + rules.changed(plan, facts.invoices)
    plan, fees, unfit = _with_fees(plan, facts, waived)
    found += unfit
    if found:
        return " ".join(dict.fromkeys(f.sentence for f in found)), ()
    with db.reading(p.engine) as tx:
        decided = settings.load(tx, p.connection_id)
        agreed = agreements.agreed(tx, record)
    clearing: Clearing | None = None
    if plan.mode is Mode.SPLIT:
        try:
            choice = None if decided.clearing == settings.AUTO else decided.clearing
            clearing = p.ledger.clearing(choice, today)
        except Refused as refusal:
            return f"The clearing account cannot be used: {refusal}", ()
        with db.reading(p.engine) as tx:
            if occupied := settings.occupied(tx, p.connection_id, clearing):
                return occupied, ()
    words = Words(p.credit_word, facts.organization.country)
    where = plan_writes.Books(words)
    sentence, address = _page(p, record, facts)
    attachment: Attachment | None = None
    if clearing:
        where = plan_writes.Books(words, clearing.account_id, clearing.item_id, clearing.tax_code)
    elif plan.mode is Mode.NOTES:
        movable, by_hand = _dates(p, facts, decided.policy.plan.move_due_date)
        where = plan_writes.Books(words, movable=movable, by_hand=by_hand)
        pdf = printing.agreement(agreed, today, foot=sentence)
        attachment = Attachment(f"{plan.id}-v{plan.version}.pdf", base64.b64encode(pdf).decode())
    laid = plan_writes.approve(
        plan, where, posted_on=today, approved_by=record.approved_by, attachment=attachment
    )
    if address:
        laid = plan_writes.with_page(laid, sentence, address)
    with db.transaction(p.engine) as tx:
        _still(tx, record)
        if clearing:
            settings.clearing_confirmed(tx, p.connection_id, clearing, p.clock())
        before = proving.starting(tx, p.connection_id, plan.customer_id, (*facts.invoices, *fees))
        plans.begun(tx, plan.id, posted_on=today, proof=before, now=p.clock())
        _lay_out(tx, p, record, laid)
    return "", facts.invoices


def _page(p: Performer, record: Record, facts: Facts) -> tuple[str, str]:
    """The sentence and the address of the customer's own page for this plan; "" where there is none."""
    if p.page is None:
        return "", ""
    plan = record.plan
    documents = [s.invoice_id for s in (plan.originals or plan.sources)]
    with db.transaction(p.engine) as tx:
        address = p.page.address(
            tx, p.connection_id, plan.customer_id, documents, origin="plan", now=p.clock()
        )
        policy = settings.load(tx, p.connection_id).policy
    country = facts.customer.country or policy.country or facts.organization.country
    variant = variant_for(facts.customer.language, policy.letters.language, country)
    return (page_words.words(variant).say("letter", link=address), address) if address else ("", "")


def _still(tx: Connection, record: Record) -> None:
    """Raises Taken when the plan moved on while we asked the ledger: what we saw may be another worker's writing."""
    if plans.get(tx, record.id).revision != record.revision:
        raise Taken


def _dates(p: Performer, facts: Facts, wanted: bool) -> tuple[frozenset[str], frozenset[str]]:
    """Notes mode: the invoices whose due date we may move, and those that only a person can move.

    An invoice of a closed period is neither: its date stays for everybody.
    """
    closed = facts.organization.closed_until
    open_ = [d for d in facts.invoices if closed is None or d.date > closed]
    frozen = {d.id for d in open_ if p.ledger.freezes_settled and (d.links or d.balance != d.total)}
    return frozenset(d.id for d in open_ if wanted and d.id not in frozen), frozenset(frozen)


def _with_fees(
    plan: Plan, facts: Facts, read: Mapping[str, Document]
) -> tuple[Plan, list[Document], list[Refusal]]:
    """Waived fees go back to the account and tax code that they were charged on: read from the fee itself.

    One credit line can do that only for a fee of one account and one code; for others a person makes the credit.
    """
    waivers, fees, found = [], [], []
    for waiver in plan.waivers:
        fee = read.get(waiver.invoice_id)
        lines = [line for line in fee.lines if line.net] if fee else []
        if fee is None or fee.customer_id != facts.customer.id or fee.balance != waiver.amount:
            sentence = f"The fee on {waiver.number} is not open with that amount any more. Review the waiver."
            found.append(Refusal("BALANCE_CHANGED", sentence))
        elif not _one_line_returns(fee, lines):
            sentence = (
                f"The fee on {waiver.number} has several accounts or tax codes, or none that the ledger tells. "
                "Credit it in the ledger itself, then take the waiver out of the plan."
            )
            found.append(Refusal("WAIVER_TAX", sentence))
        else:
            line = lines[0]
            fees.append(fee)
            waivers.append(
                replace(
                    waiver,
                    account_id=line.account_id,
                    item_id=line.item_id,
                    tax_code=line.tax_code,
                    tax=fee.tax,
                )
            )
    return replace(plan, waivers=tuple(waivers)), fees, found


def _one_line_returns(fee: Document, lines: Sequence[Line]) -> bool:
    """Whether a credit of one line takes back all of the fee, its tax under its own code."""
    ways = {(x.account_id, x.item_id, x.tax_code) for x in lines}
    if len(ways) != 1 or not lines[0].account_id or (fee.tax and not lines[0].tax_code):
        return False
    return sum(x.net for x in lines) == fee.total - fee.tax


def _lay_out(tx: Connection, p: Performer, record: Record, laid: WriteSet) -> None:
    plan = record.plan
    outbox.lay_out(
        tx,
        p.connection_id,
        record.batch,
        laid.drafts,
        now=p.clock(),
        plan=plans.number_of(plan.id),
        version=plan.version,
    )
    for n, task in enumerate(laid.tasks):
        key = f"{record.batch} task {n}"
        todos.ask(
            tx,
            p.connection_id,
            key,
            task,
            now=p.clock(),
            plan_id=plan.id,
            customer_id=plan.customer_id,
            link=p.ledger.deep_link(Kind.INVOICE, laid.about[n]) if laid.about else "",
        )


def _facts(p: Performer, plan: Plan, today: dt.date) -> tuple[Facts, dict[str, Document]]:
    """Read now, from the ledger: the organization, the plan's invoices, the customer's open money.

    Beside them the fees to be waived, by id. What numbers are free is remembered.
    """
    asked = {s.invoice_id: s.number for s in plan.sources}
    numbers = plan_writes.numbers(plan)
    stands = p.ledger.standing(
        plan.customer_id, asked | {w.invoice_id: w.number for w in plan.waivers}, numbers
    )
    p.free.update({(kind, number) for kind, given in numbers.items() for number in given} - stands.taken)
    documents = [d for d in stands.invoices if d.id in asked]
    unapplied = sum(x.unapplied for x in stands.payments if not x.void and x.currency == plan.currency)
    unapplied += sum(x.remaining for x in stands.credits if not x.void and x.currency == plan.currency)
    ids = [s.invoice_id for s in plan.sources]
    with db.reading(p.engine) as tx:
        customer = books.customer(tx, p.connection_id, plan.customer_id)
        if customer is None:
            raise LookupError(f"customer {plan.customer_id} left the books")
        facts = Facts(
            organization=stands.organization,
            answers=settings.load(tx, p.connection_id).answers,
            customer=customer,
            invoices=tuple(documents),
            today=today,
            unapplied=unapplied,
            holds=objections.holds_on(tx, p.connection_id, plan.customer_id, ids, today),
            planned=plans.planned(plans.of_customer(tx, p.connection_id, plan.customer_id), but=plan.id)
            | objections.marked_elsewhere(tx, p.connection_id, documents),
        )
    return facts, {d.id: d for d in stands.invoices if d.id not in asked}


def _prove(p: Performer, record: Record, seen: Sequence[Document]) -> None:
    """Read back what was written and compare it, before anybody is told that the plan runs."""
    p.lease.keep()
    with db.reading(p.engine) as tx:
        drafts = proving.drafts_of(tx, record)
    proven = proving.prove(p.ledger, record, drafts, just_written=True, seen=seen)
    if proven.differences:
        raise Stopped("NOT_AS_MEANT", " ".join(d.sentence for d in proven.differences))
    with db.transaction(p.engine) as tx:
        rows = proving.installment_ids(record.plan, proven.written)
        plans.written(
            tx, record.id, invoice_ids=rows, proof=proven.to_json(p.clock()), attention="", now=p.clock()
        )
        for document in (*proven.sources, *proven.written):
            mirror.put_document(tx, p.connection_id, document)
    p.say(f"{record.id}: read back and proven")


# ---------------------------------------------------------------- any other batch


def _batch(p: Performer, batch: str) -> None:
    """Notes of a running plan, reminders, due dates: each on its own; a refusal stops only this batch."""
    try:
        while group := _next(_writes(p, batch)):
            p.say(group[0].what)
            p.perform(group)
    except Stopped as stop:
        p.say(stop.sentence)


def _record(p: Performer, plan_id: str) -> Record:
    with db.reading(p.engine) as tx:
        return plans.get(tx, plan_id)


def _writes(p: Performer, batch: str) -> list[Write]:
    with db.reading(p.engine) as tx:
        return outbox.of_batch(tx, p.connection_id, batch)
