"""Installment plans: the only place where a plan's state changes.

proposed → approved → running → finished | broken | cancelled. A plan keeps every version with its author and
reason; the version that counts is `Record.plan`, a newer one that waits for approval is `Record.draft`.
While an undo is under way the state stays and `progress` says "undoing" or "cancelling".
How plans are read is in connector.planning.plan_records, and offered here too; how a change is stored, in plan_changes.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector.db import plan_versions, plans
from connector.domain.plan import Plan
from connector.domain.plan_words import next_version
from connector.domain.refusals import already_planned
from connector.mirroring import books
from connector.planning import objections
from connector.planning.plan_changes import (
    all_open,
    bump,
    forget_version,
    keep_version,
    log,
    set_installment,
    set_version,
)
from connector.planning.plan_records import (
    ACTIVE,
    UNDER_WAY,
    PlanProblem,
    Record,
    Row,
    Version,
    get,
    listed,
    of_connection,
    of_customer,
    of_customers,
    planned,
    revision,
    to_deliver,
    versions,
    waiting_connections,
    waits_since,
    why_of,
    with_installments,
)
from connector.practice.settings import EditedMeanwhile
from connector.record import audit
from connector.writing.outbox import plan_id as shown
from connector.writing.outbox import plan_number as number_of

__all__ = [
    "ACTIVE",
    "UNDER_WAY",
    "EditedMeanwhile",
    "PlanProblem",
    "Record",
    "Row",
    "Version",
    "get",
    "number_of",
    "listed",
    "of_connection",
    "of_customer",
    "of_customers",
    "planned",
    "revision",
    "shown",
    "to_deliver",
    "versions",
    "waiting_connections",
    "waits_since",
    "why_of",
    "with_installments",
]


_ANY = sa.text(
    "SELECT 1 FROM plans WHERE connection_id = :connection_id AND customer_id = :customer_id LIMIT 1"
)


def add(
    tx: Connection,
    connection_id: str,
    plan: Plan,
    *,
    who: str,
    now: dt.datetime,
    picture: books.Receivables | None = None,
) -> Record:
    """Store a proposed plan; its number is given here, whatever `plan.id` says.

    `picture` are the customer's books, where they were read in this transaction.
    Raises PlanProblem ALREADY_PLANNED when another plan covers one of its invoices.
    """
    whose = {"connection_id": connection_id, "customer_id": plan.customer_id}
    mine = of_customer(tx, **whose) if tx.scalar(_ANY, whose) else []  # most have none
    taken = objections.covering(mine)
    for source in plan.sources:
        if source.invoice_id in taken:
            refusal = already_planned(source.number, taken[source.invoice_id])
            raise PlanProblem(refusal.code, refusal.sentence)
    picture = picture or books.of_customer(tx, connection_id, plan.customer_id)
    plan = replace(plan, version=_free_version(picture, plan))
    gone = [r for r in mine if r.state == "withdrawn" and share(r.plan, plan)]
    since = min([plan.drafted_on, *(r.waits_since or r.plan.drafted_on for r in gone)])
    waits = since if who == audit.SYSTEM else None
    row = {
        **whose,
        "currency": plan.currency,
        "mode": str(plan.mode),
        "state": "proposed",
        "version": plan.version,
        "revision": 1,
        "created_at": now,
        "created_by": who,
        "updated_at": now,
        "waits_since": waits,
    }
    inserted = tx.execute(sa.insert(plans), row)
    plan = replace(plan, id=shown(inserted.inserted_primary_key[0]))  # type: ignore[index]
    terms = keep_version(tx, plan, who=who, why="", now=now)
    record = Record(
        plan=plan,
        connection_id=connection_id,
        state="proposed",
        revision=1,
        progress="",
        paused_at=None,
        attention="",
        created_at=now.astimezone(dt.UTC),
        created_by=who,
        approved_by="",
        approved_at=None,
        posted_on=None,
        acceptance=None,
        proof=None,
        installments=all_open(plan),
        waits_since=waits,
    )
    log(tx, record, who, "proposed a plan", now, after=terms)
    return record


def edit(
    tx: Connection, plan_id: str, plan: Plan, *, revision: int, who: str, why: str = "", now: dt.datetime
) -> Record:
    """Replace what is proposed. `revision` is the one it was edited from. Raises EditedMeanwhile, PlanProblem."""
    record = get(tx, plan_id)
    before = record.draft or (record.plan if record.state == "proposed" else None)
    if before is None:
        raise PlanProblem(
            "NOT_PROPOSED",
            f"Plan {plan_id} is {record.state} and cannot be edited. Renegotiate it to change what is left.",
        )
    plan = replace(plan, id=before.id, version=before.version, supersedes=before.supersedes)
    bump(tx, record, now, revision=revision, mode=str(plan.mode))
    why = why or why_of(tx, before)
    forget_version(tx, before)
    keep_version(tx, plan, who=who, why=why, now=now)
    log(tx, record, who, "edited a plan", now, why=why, before=before.to_json(), after=plan.to_json())
    return get(tx, plan_id)


def approve(
    tx: Connection, plan_id: str, *, who: str, now: dt.datetime, today: dt.date, revision: int | None = None
) -> Record:
    """A person said yes. Approving twice is harmless.

    Raises PlanProblem with the code of a refusal, EditedMeanwhile when the plan shown was another.
    """
    record = get(tx, plan_id)
    if record.state in (*ACTIVE, "finished") and record.draft is None:
        return record
    if record.state not in ("proposed", "running", "broken"):
        raise PlanProblem("NOT_PROPOSED", f"Plan {plan_id} is {record.state}; there is nothing to approve.")
    if record.progress in UNDER_WAY:
        raise PlanProblem(
            "UNDER_WAY", f"Plan {plan_id} is being taken back just now. Wait until that is done."
        )
    found = objections.refusals(tx, plan_id, today)
    if found:
        raise PlanProblem(found[0].code, " ".join(f.sentence for f in found))
    plan = record.draft or record.plan
    known = objections.facts(
        tx, record.connection_id, plan.customer_id, [s.invoice_id for s in plan.sources], today, but=plan.id
    )
    plan = objections.with_versions(plan, known.invoices)
    bump(
        tx,
        record,
        now,
        revision=revision,
        state="approved",
        version=plan.version,
        mode=str(plan.mode),
        attention="",
        progress="",
    )
    tx.execute(
        sa.update(plan_versions)
        .where(plan_versions.c.plan == number_of(plan.id), plan_versions.c.version == plan.version)
        .values(
            approved_by=who,
            approved_at=now,
            terms=plan.to_json(),
            sources=plan.to_json()["sources"],
            digest=plan.digest,
        )
    )
    log(tx, record, who, "approved a plan", now, after={"version": plan.version, "digest": plan.digest})
    return get(tx, plan_id)


def begun(
    tx: Connection, plan_id: str, *, posted_on: dt.date, proof: dict[str, Any], now: dt.datetime
) -> None:
    """The writes of the current version are laid out, all dated `posted_on`; `proof` is how the books stood."""
    record = get(tx, plan_id)
    set_version(tx, record.plan, posted_on=posted_on, proof=proof)
    bump(tx, record, now)


def written(
    tx: Connection,
    plan_id: str,
    *,
    invoice_ids: dict[int, str],
    proof: dict[str, Any],
    attention: str,
    now: dt.datetime,
) -> Record:
    """The ledger has the current version, read back and proven."""
    record = get(tx, plan_id)
    set_version(tx, record.plan, proof=proof)
    for n, invoice_id in invoice_ids.items():
        set_installment(tx, record.plan, n, invoice_id=invoice_id)
    progress = record.progress if record.progress in UNDER_WAY else "on_track"
    bump(tx, record, now, state="running", progress=progress, attention=attention)
    # Notes move no document, so no change of the ledger's would bring a review: pages would go on saying that
    # reminders rest because a plan waits for an answer.
    books.note_changed(tx, record.connection_id, [record.plan.customer_id], now)
    log(tx, record, audit.SYSTEM, "wrote a plan into the ledger", now, after={"version": record.plan.version})
    return get(tx, plan_id)


def send_back(tx: Connection, plan_id: str, sentence: str, *, now: dt.datetime, tried: bool) -> Record:
    """The ledger's books stand against it: back to a proposal, with the reason.

    `tried`: something was written and taken back, so the next attempt is a new version: its documents get
    numbers and keys that the ledger has never seen.
    """
    record = get(tx, plan_id)
    plan = record.plan
    if tried:
        plan = replace(plan, version=plan.version + 1)
        keep_version(tx, plan, who=audit.SYSTEM, why=sentence, now=now)
        if record.acceptance:  # the terms are the same: nobody asks the customer for the same yes again
            set_version(tx, plan, acceptance=record.acceptance)
    else:
        set_version(tx, plan, approved_by=None, approved_at=None)
    if plan.supersedes is None:
        bump(tx, record, now, state="proposed", version=plan.version, progress="", attention=sentence)
    else:  # the version before still stands in the ledger; the attempt to replace it becomes a draft
        bump(
            tx,
            record,
            now,
            state="running",
            version=plan.supersedes,
            progress="on_track",
            attention=sentence,
        )
    log(tx, record, audit.SYSTEM, "sent a plan back to review", now, why=sentence)
    return get(tx, plan_id)


def attend(tx: Connection, plan_id: str, sentence: str, now: dt.datetime) -> None:
    """Say on the plan what a person must look at; "" when it is settled."""
    record = get(tx, plan_id)
    if record.attention != sentence:
        bump(tx, record, now, attention=sentence)


def renew(tx: Connection, record: Record, plan: Plan, picture: books.Receivables, now: dt.datetime) -> Record:
    """Put `plan`, drafted for later days, in the place of a draft of our own that nobody touched or answered: under the
    same number, waiting as long as before. Whoever looks at the terms before cannot approve these (EditedMeanwhile)."""
    if not record.untouched:
        raise PlanProblem("NOT_PROPOSED", f"Plan {record.id} is {record.state}, and no draft of ours alone.")
    plan = replace(plan, id=record.id, version=_free_version(picture, plan))
    times = record.renewed + 1
    bump(tx, record, now, mode=str(plan.mode), version=plan.version, renewed=times)
    forget_version(tx, record.plan)
    terms = keep_version(tx, plan, who=audit.SYSTEM, why="", now=now)
    why = f"Nobody had answered it by its first payment day, {record.plan.rows[0].due}."
    log(tx, record, audit.SYSTEM, "moved the days of a draft on", now, why=why, after=terms)
    revision = record.revision + 1
    return replace(record, plan=plan, installments=all_open(plan), revision=revision, renewed=times)


def _free_version(picture: books.Receivables | None, plan: Plan) -> int:
    """The first version whose documents get numbers that the books do not know."""
    taken = [i.number for i in picture.invoices] if picture else []
    taken += [c.number for c in picture.credits] if picture else []
    return next_version(taken, plan.sources)


def share(one: Plan, other: Plan) -> bool:
    """Whether an invoice is in both."""
    return not {s.invoice_id for s in one.sources}.isdisjoint(s.invoice_id for s in other.sources)


def withdraw(tx: Connection, plan_id: str, now: dt.datetime) -> None:
    """Drop a draft of our own that the books have overtaken; it leaves no trace but its line in the log."""
    record = get(tx, plan_id)
    if record.state != "proposed" or record.approved_at is not None:
        raise PlanProblem("NOT_PROPOSED", f"Plan {plan_id} is {record.state} and stays.")
    bump(tx, record, now, state="withdrawn")
    log(tx, record, audit.SYSTEM, "withdrew a draft that the books had overtaken", now)


def undo(tx: Connection, plan_id: str, why: str, now: dt.datetime) -> None:
    """What was written of the current version is to be taken back, because of `why`."""
    record = get(tx, plan_id)
    if record.progress not in UNDER_WAY:
        bump(tx, record, now, progress="undoing", attention=why)
        log(tx, record, audit.SYSTEM, "began to take a plan back", now, why=why)


def cancel(
    tx: Connection, plan_id: str, *, who: str, now: dt.datetime, today: dt.date, why: str = ""
) -> Record:
    """End a plan. What was never written is simply cancelled; on the day of posting everything is taken back.

    Later the documents stay and only what lies ahead ends. Cancelling twice is harmless.
    """
    record = get(tx, plan_id)
    if record.state in ("cancelled", "withdrawn") or record.progress == "cancelling":
        return record
    if record.state == "finished":
        raise PlanProblem("FINISHED", f"Plan {plan_id} is finished; there is nothing to cancel.")
    if record.state == "approved" and record.posted_on is None and record.plan.supersedes is not None:
        # Nothing of these other terms was written yet: what is to end is the version that stands in the ledger.
        set_version(tx, record.plan, approved_by=None, approved_at=None)
        bump(tx, record, now, state="running", version=record.plan.supersedes, progress="on_track")
        record = get(tx, plan_id)
    if record.draft is not None and record.state != "proposed":
        forget_version(tx, record.draft)  # an unapproved renegotiation goes with it
    begun_writing = record.posted_on is not None and record.state != "proposed"
    if begun_writing:
        bump(tx, record, now, progress="cancelling")
    else:
        bump(tx, record, now, state="cancelled", progress="", attention="")
        # Reminders waited for the draft.
        books.note_changed(tx, record.connection_id, [record.plan.customer_id], now)
    log(tx, record, who, "cancelled a plan", now, why=why, before={"state": record.state})
    return get(tx, plan_id)


def cancelled(tx: Connection, plan_id: str, now: dt.datetime) -> Record:
    """The undo is written and read back."""
    record = get(tx, plan_id)
    bump(tx, record, now, state="cancelled", progress="", attention="")
    books.note_changed(tx, record.connection_id, [record.plan.customer_id], now)
    return get(tx, plan_id)


def moved(
    tx: Connection,
    plan_id: str,
    *,
    state: str,
    progress: str,
    attention: str,
    open_by_row: dict[int, tuple[int, str]],
    now: dt.datetime,
) -> bool:
    """Store how a written plan stands by the books: (open amount, state) of each row. False: nothing changed."""
    record = get(tx, plan_id)
    changed = False
    for row in record.installments:
        stands = open_by_row.get(row.n)
        if stands and stands != (row.open, row.state):
            set_installment(tx, record.plan, row.n, open=stands[0], state=stands[1])
            changed = True
    if (record.state, record.progress, record.attention) != (state, progress, attention):
        bump(tx, record, now, state=state, progress=progress, attention=attention)
        changed = True
    if record.state != state:
        log(
            tx,
            record,
            audit.SYSTEM,
            f"found a plan {state}",
            now,
            before={"state": record.state},
            after={"state": state},
        )
    return changed


def renegotiate(
    tx: Connection,
    plan_id: str,
    plan: Plan,
    *,
    who: str,
    why: str,
    now: dt.datetime,
    revision: int | None = None,
) -> Record:
    """Propose a new version for what is left of a running or broken plan; `plan` says the new rows and sources.

    Raises PlanProblem, EditedMeanwhile when a `revision` is given and the plan is no longer at it.
    """
    record = get(tx, plan_id)
    if record.state not in ("running", "broken") or record.progress in UNDER_WAY:
        raise PlanProblem(
            "NOT_RUNNING", f"Plan {plan_id} is {record.state}; only a running plan can be renegotiated."
        )
    if record.draft is not None:
        forget_version(tx, record.draft)
    number = record.plan.version + 1
    plan = replace(plan, id=record.id, version=number, supersedes=record.plan.version)
    keep_version(tx, plan, who=who, why=why, now=now)
    bump(tx, record, now, revision=revision)
    log(tx, record, who, "proposed to renegotiate a plan", now, why=why, after=plan.to_json())
    return get(tx, plan_id)


def accelerated(tx: Connection, plan_id: str, *, who: str, why: str, now: dt.datetime) -> None:
    """A person made everything fall due at once after a default."""
    record = get(tx, plan_id)
    bump(tx, record, now, state="broken", progress="broken")
    log(tx, record, who, "made the rest of a plan fall due", now, why=why)


def pause(tx: Connection, plan_id: str, *, who: str, now: dt.datetime) -> Record:
    """Rest a running plan: no reminders, never late or broken, until it is resumed. The due dates stay."""
    record = get(tx, plan_id)
    if record.state not in (*ACTIVE, "broken"):
        raise PlanProblem("NOT_RUNNING", f"Plan {plan_id} is {record.state}; only a running plan can rest.")
    if record.paused_at is None:
        bump(tx, record, now, paused_at=now)
        log(tx, record, who, "paused a plan", now)
    return get(tx, plan_id)


def resume(tx: Connection, plan_id: str, *, who: str, now: dt.datetime) -> Record:
    record = get(tx, plan_id)
    if record.paused_at is not None:
        bump(tx, record, now, paused_at=None)
        log(tx, record, who, "resumed a plan", now)
    return get(tx, plan_id)


def record_acceptance(
    tx: Connection,
    plan_id: str,
    *,
    accepted_by: str,
    how: str,
    on: dt.date,
    document_hash: str,
    who: str,
    now: dt.datetime,
    text: str = "",
) -> Record:
    """Record that the customer agreed: who of them, how (signed, e-mail, by phone), when, and to which text.

    `text` is kept where it is another than ours: in the customer's own language, from their own page.
    """
    record = get(tx, plan_id)
    acceptance = {
        "by": accepted_by,
        "how": how,
        "on": on.isoformat(),
        "document": document_hash,
        "recorded_by": who,
    }
    if text:
        acceptance["text"] = text
    set_version(tx, record.draft or record.plan, acceptance=acceptance)
    bump(tx, record, now)
    shown = {name: value for name, value in acceptance.items() if name != "text"}
    log(tx, record, who, "recorded the customer's acceptance", now, after=shown)
    return get(tx, plan_id)


def offered(
    tx: Connection, plan_id: str, offer: dict[str, Any] | None, *, revision: int, who: str, now: dt.datetime
) -> Record:
    """Show the version that waits for approval on the customer's page; None: no more. A change of it ends that, too."""
    record = get(tx, plan_id)
    plan = record.draft or record.plan
    bump(tx, record, now, revision=revision)
    set_version(tx, plan, offered=offer)
    said = "showed a plan to the customer" if offer else "took a plan off the customer's page"
    log(tx, record, who, said, now, after={"version": plan.version, **(offer or {})})
    return get(tx, plan_id)
