"""Take a plan version back: after a failure halfway, or because a person cancelled on the day of posting.

Order: installments, links, credits, note. Afterwards the books are read back and must be
as they were. On a later day, or once anybody paid, a plan is not rewound: its documents stay, and only what
lies ahead of it ends.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy.engine import Connection

from connector import db
from connector.domain import codec, plan_writes
from connector.domain.plan_writes import Written
from connector.domain.policy import Mode
from connector.domain.receivables import Document, Kind
from connector.domain.writes import CreditDraft, Draft, InvoiceDraft, LinkDraft, NoteDraft, RemoveDraft
from connector.mirroring import mirror
from connector.planning import plans, todos
from connector.planning.plans import Record
from connector.writing import outbox, proving
from connector.writing.outbox import Write
from connector.writing.perform import Performer, Stopped, groups


def take_back(p: Performer, record: Record) -> None:
    """Bring an undo as far as it goes now; it goes on from there next time."""
    undo, end = f"{record.batch} undo", f"{record.batch} undo end"
    if not p.writes(undo):
        if not _settle(p, record):
            return
        if _must_stay(p, record):
            _lay_out_end(p, record, undo)
        else:
            drafts = _removing(p, record)
            with db.transaction(p.engine) as tx:
                _lay_out(tx, p, record, undo, drafts)
    writes = p.writes(end) or p.writes(undo)
    if any(w.state == "failed" for w in writes):
        return  # waits for a person, who sees why
    if any(w.not_before and w.not_before > p.clock() for w in writes if w.state in outbox.OPEN):
        return
    try:
        for group in groups([w for w in writes if w.state in outbox.OPEN]):
            p.say(f"{record.id}: {group[0].what}")
            p.perform(group)
    except Stopped as stop:
        if _overtaken(p, record, p.writes(undo)):
            _lay_out_end(p, record, end)
            take_back(p, record)
            return
        sentence = f"Plan {record.id} is half written and could not be taken back: {stop.sentence}"
        with db.transaction(p.engine) as tx:
            plans.attend(tx, record.id, sentence, p.clock())
        return
    _finish(p, record)
    removed = any(isinstance(w.draft, RemoveDraft) for w in writes)
    p.say(f"{record.id}: {'taken back' if removed else 'ended'}")


def _overtaken(p: Performer, record: Record, writes: Sequence[Write]) -> bool:
    """Whether the ledger refused the very first removal because somebody has just paid: nothing is undone yet, so the
    documents stay after all."""
    removed = any(w.state == "done" for w in writes)
    refused = any(w.state == "failed" and isinstance(w.draft, RemoveDraft) for w in writes)
    return refused and not removed and _must_stay(p, record)


def _lay_out_end(p: Performer, record: Record, batch: str) -> None:
    """The documents stay: what was to remove them is given up, and notes say that the plan ended."""
    staying = _installments(p, record)
    drafts = _ending(p, record, staying)
    with db.transaction(p.engine) as tx:
        outbox.drop(tx, p.connection_id, f"{record.batch} undo", p.clock(), refused=True)
        _ask_about_lost(tx, p, record, staying)
        _lay_out(tx, p, record, batch, drafts)


def _lay_out(tx: Connection, p: Performer, record: Record, batch: str, drafts: Sequence[Draft]) -> None:
    number, version = plans.number_of(record.id), record.plan.version
    outbox.lay_out(tx, p.connection_id, batch, drafts, now=p.clock(), plan=number, version=version)


def stays(record: Record, written: Sequence[Write], paid: bool, today: dt.date) -> str:
    """Why the documents of a plan would stay if it were cancelled today; "" when they would be taken back."""
    if not any(w.state == "done" for w in written) or record.plan.mode is not Mode.SPLIT:
        return ""
    if record.posted_on != today:
        return f"posted on {record.posted_on}: the books are not rewound, only what lies ahead ends"
    return "something was paid on it already" if paid else ""


def _settle(p: Performer, record: Record) -> bool:
    """No write of the version may be in doubt: look each up, and give up what was not begun or was refused.

    False while the ledger may still carry one out.
    """

    for write in (*_of_version(p, record), *_discount(p, record)):
        if write.state == "sending":
            p.settle(write)
    now = _of_version(p, record)
    if any(write.state == "sending" for write in (*now, *_discount(p, record))):
        return False
    with db.transaction(p.engine) as tx:
        for batch in dict.fromkeys(write.batch for write in now):
            outbox.drop(tx, p.connection_id, batch, p.clock(), refused=True)
    return True


def _of_version(p: Performer, record: Record) -> list[Write]:
    """The version's own writes; and where the plan ends, what bills its interest."""
    billed = _interest(p, record) if record.progress == "cancelling" else []
    return [*p.writes(record.batch), *billed]


def _discount(p: Performer, record: Record) -> list[Write]:
    """What grants the settlement discount of a plan that is to end."""
    if record.progress != "cancelling":
        return []
    with db.reading(p.engine) as tx:
        return [w for w in outbox.of_plan(tx, record.id) if w.batch.startswith(f"{record.batch} discount")]


def _must_stay(p: Performer, record: Record) -> bool:
    """Whether the documents have to stay: a later day, a closed period, or somebody paid. Never after a failure."""
    if record.progress != "cancelling" or record.plan.mode is not Mode.SPLIT:
        return False
    if record.state not in ("running", "broken"):
        return False
    if record.posted_on != p.today():
        return True
    closed = p.ledger.organization(reminders=False).closed_until
    if closed and record.posted_on <= closed:
        return True
    return any(d.balance != d.total for d in (*_installments(p, record), *_billed(p, record)))


def _interest(p: Performer, record: Record) -> list[Write]:
    """The invoices for interest of this version, written or not."""
    with db.reading(p.engine) as tx:
        return [w for w in outbox.of_plan(tx, record.id) if w.batch.startswith(f"{record.batch} interest ")]


def _billed(p: Performer, record: Record) -> list[Document]:
    """Those that stand in the ledger."""
    numbers = [w.name for w in _interest(p, record) if w.state == "done"]
    return p.ledger.find(Kind.INVOICE, numbers) if numbers else []


def _installments(p: Performer, record: Record) -> list[Document]:
    numbers = [
        w.name for w in p.writes(record.batch) if isinstance(w.draft, InvoiceDraft) and w.state == "done"
    ]
    return p.ledger.find(Kind.INVOICE, numbers) if numbers else []


def _removing(p: Performer, record: Record) -> Sequence[Draft]:
    done = [w for w in p.writes(record.batch) if w.state == "done" and w.external_id]
    ids = {w.name: w.external_id or "" for w in done if w.name}
    links = {
        (w.draft.credit_id.lstrip("@"), w.draft.invoice_id): w.external_id or ""
        for w in done
        if isinstance(w.draft, LinkDraft)
    }
    drafts = plan_writes.cancel(record.plan, Written(ids, links), today=p.today()).drafts
    if record.progress == "cancelling" and record.posted_on == p.today():  # I17: nothing of today stays
        unpaid = [d for d in _billed(p, record) if d.balance == d.total]
        granted = _given_up(p, _discount(p, record))
        drafts = (*(RemoveDraft("invoice", d.id, d.marker) for d in unpaid), *drafts, *granted)
    if any(w.kind == "note" for w in done) or record.progress == "cancelling":
        return drafts
    return [
        d for d in drafts if not isinstance(d, NoteDraft)
    ]  # nobody was told, so there is nothing to retract


def _given_up(p: Performer, discount: Sequence[Write]) -> list[RemoveDraft]:
    """A discount goes with its plan: what is not written yet never is, and its credit, which nothing shows as set
    against an installment, is taken off."""
    with db.transaction(p.engine) as tx:
        for batch in dict.fromkeys(write.batch for write in discount):
            outbox.drop(tx, p.connection_id, batch, p.clock(), refused=True)
    made = [w for w in discount if w.state == "done" and isinstance(w.draft, CreditDraft)]
    return [RemoveDraft("credit", w.external_id or "", w.draft.marker) for w in made]


def _ending(p: Performer, record: Record, staying: Sequence[Document]) -> Sequence[Draft]:
    """Notes that say that the plan ended, on what is still open of it."""
    plan = record.plan
    text = (
        f"{p.today()} Payment plan {plan.id} v{plan.version} ended. "
        "What is open on its installments stays due on their dates."
    )
    ids = [s.invoice_id for s in plan.sources]
    ids += [d.id for d in staying if d.balance]
    return [NoteDraft(Kind.INVOICE, id, text, plan.marker("cancel", id)) for id in ids]


def _ask_about_lost(tx: Connection, p: Performer, record: Record, staying: Sequence[Document]) -> None:
    by_id = {d.id: d for d in staying}
    documents = {r.n: by_id[r.invoice_id] for r in record.installments if r.invoice_id in by_id}
    todos.ask_about_lost(tx, record, documents, "If it is still owed, bill it again", p.clock())


def _finish(p: Performer, record: Record) -> None:
    """Read the plan's invoices back, and give the plan its end: cancelled, or back to review."""
    plan = record.plan
    now = proving.read(p.ledger, Kind.INVOICE, {s.invoice_id: s.number for s in plan.sources})
    with db.transaction(p.engine) as tx:
        mirror.put_documents(tx, p.connection_id, now)
        if record.progress == "cancelling":
            plans.cancelled(tx, plan.id, p.clock())
        else:
            sentence = f"{record.attention} Your books are as they were."
            if not _as_before(record, now):
                sentence = (
                    f"{record.attention} What Forbear wrote was taken back; the invoice changed meanwhile."
                )
            plans.send_back(tx, plan.id, sentence, now=p.clock(), tried=True)


def _as_before(record: Record, now: Sequence[Document]) -> bool:
    before = [codec.from_json(Document, d) for d in (record.proof or {}).get("before", [])]
    balances = {d.id: d.balance for d in now}
    planned = {s.invoice_id for s in record.plan.sources}
    return all(balances.get(d.id) == d.balance for d in before if d.id in planned)
