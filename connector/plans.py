"""Installment plans: the only place where a plan's state changes.

proposed → approved → running → finished | broken | cancelled. A plan keeps every version with its author and
reason; the version that counts is `Record.plan`, a newer one that waits for approval is `Record.draft`.
While an undo is under way the state stays and `progress` says "undoing" or "cancelling".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector import audit, books, connections, holds
from connector import settings as decisions
from connector.db import installments, plan_versions, plans, todos
from connector.domain import plan as terms_of
from connector.domain import rails
from connector.domain import refusals as rules
from connector.domain.money import Money
from connector.domain.plan import Plan, Source
from connector.domain.plan_words import next_version
from connector.domain.receivables import Document, Invoice, Kind
from connector.domain.refusals import Facts, Refusal
from connector.outbox import plan_id as shown
from connector.outbox import plan_number as number_of
from connector.settings import EditedMeanwhile

__all__ = ["EditedMeanwhile", "PlanProblem", "Record", "Row", "number_of", "shown"]

ACTIVE = ("approved", "running")
COVERING = ("proposed", *ACTIVE, "broken")
UNDER_WAY = ("cancelling", "undoing")


class PlanProblem(Exception):
    """What was asked of a plan cannot be done. `str()` says why and what to do; `code` as in accounting.md 1.7."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code, self.sentence = code, sentence


@dataclass(frozen=True, slots=True)
class Row:
    """One installment as it stands. `invoice_id` is None until written, and always in notes mode."""

    n: int
    due: dt.date
    nominal_due: dt.date | None
    amount: int
    principal: int
    interest: int
    invoice_id: str | None
    open: int
    state: str


@dataclass(frozen=True, slots=True)
class Record:
    """A stored plan. `attention` is a sentence for a person, "" when nothing is wanted."""

    plan: Plan
    connection_id: str
    state: str
    revision: int
    progress: str
    paused_at: dt.datetime | None
    attention: str
    created_at: dt.datetime
    created_by: str
    approved_by: str
    approved_at: dt.datetime | None
    posted_on: dt.date | None
    acceptance: dict[str, Any] | None
    proof: dict[str, Any] | None
    installments: tuple[Row, ...]
    draft: Plan | None = None

    @property
    def id(self) -> str:
        return self.plan.id

    @property
    def batch(self) -> str:
        """The outbox's name for the writes of the current version."""
        return batch(self.plan)


@dataclass(frozen=True, slots=True)
class Version:
    """One version with who made it and why."""

    plan: Plan
    author: str
    why: str
    created_at: dt.datetime
    approved_by: str
    approved_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Todo:
    """Something that only a person can do in the ledger."""

    id: int
    connection_id: str
    plan: str | None
    customer_id: str
    what: str
    link: str


def waits_since(of_one_customer: Iterable[Record]) -> dt.date | None:
    """Since when a plan waits for a person's answer; None when none does.

    Our own drafts come and go with the books: one that nobody touched counts from the first draft for any of the
    same invoices, or each new one would begin the wait anew.
    """
    records = list(of_one_customer)
    found = [r.draft.drafted_on for r in records if r.draft]
    for record in records:
        if record.state == "proposed":
            found.append(record.plan.drafted_on)
            ids = {s.invoice_id for s in record.plan.sources}
            if record.created_by == audit.SYSTEM and record.revision == 1:
                found += [
                    r.plan.drafted_on
                    for r in records
                    if r.state == "withdrawn" and ids & {s.invoice_id for s in r.plan.sources}
                ]
    return min(found, default=None)


def batch(plan: Plan) -> str:
    return f"{plan.id} v{plan.version}"


# ---------------------------------------------------------------- reading


def get(tx: Connection, plan_id: str) -> Record:
    """Raises LookupError for an unknown number."""
    found = _records(tx, plans.c.number == number_of(plan_id))
    if not found:
        raise LookupError(f"There is no plan {plan_id}. `forbear plan list` shows them.")
    return found[0]


def of_connection(
    tx: Connection, connection_id: str, states: Collection[str] | None = None, limit: int | None = None
) -> list[Record]:
    """Oldest first; the oldest `limit` of them."""
    where = plans.c.connection_id == connection_id
    if states is not None:
        where = sa.and_(where, plans.c.state.in_(list(states)))
    return _records(tx, where, limit)


def of_customer(tx: Connection, connection_id: str, customer_id: str) -> list[Record]:
    return of_customers(tx, connection_id, [customer_id])


def of_customers(tx: Connection, connection_id: str, customer_ids: Collection[str]) -> list[Record]:
    """Oldest first."""
    mine = sa.and_(plans.c.connection_id == connection_id, plans.c.customer_id.in_(list(customer_ids)))
    return _records(tx, mine)


def to_deliver(tx: Connection, connection_id: str) -> list[str]:
    """The plans that the ledger should have or lose, oldest first."""
    where = sa.and_(plans.c.connection_id == connection_id, _undelivered())
    return [shown(n) for n in tx.scalars(sa.select(plans.c.number).where(where).order_by(plans.c.number))]


def waiting_connections(tx: Connection) -> list[str]:
    """The organizations with such a plan."""
    return sorted(tx.scalars(sa.select(plans.c.connection_id).where(_undelivered()).distinct()))


def _undelivered() -> sa.ColumnElement[bool]:
    return sa.or_(plans.c.state == "approved", plans.c.progress.in_(UNDER_WAY))


def versions(tx: Connection, plan_id: str) -> list[Version]:
    """Every version, first to last."""
    query = sa.select(plan_versions).where(plan_versions.c.plan == number_of(plan_id))
    return [
        Version(
            plan=terms_of.load(row.terms),
            author=row.author or "",
            why=row.why or "",
            created_at=row.created_at,
            approved_by=row.approved_by or "",
            approved_at=row.approved_at,
        )
        for row in tx.execute(query.order_by(plan_versions.c.version))
    ]


def planned(records: Iterable[Record], *, but: str = "") -> frozenset[str]:
    """Ids of the invoices that these plans cover: approved, running or waiting for approval; `but` leaves one out.

    Includes the installments' own invoices, so that nobody plans a plan.
    """
    covered: set[str] = set()
    for record in records:
        if record.id != but and record.state in COVERING:
            covered |= {s.invoice_id for s in record.plan.sources}
            covered |= {row.invoice_id for row in record.installments if row.invoice_id}
    return frozenset(covered)


def _records(tx: Connection, where: sa.ColumnElement[bool], limit: int | None = None) -> list[Record]:
    rows = tx.execute(sa.select(plans).where(where).order_by(plans.c.number).limit(limit)).all()
    numbers = [row.number for row in rows]
    kept: dict[int, list[Any]] = {n: [] for n in numbers}
    for row in tx.execute(
        sa.select(plan_versions).where(plan_versions.c.plan.in_(numbers)).order_by(plan_versions.c.version)
    ):
        kept[row.plan].append(row)
    parts: dict[tuple[int, int], list[Row]] = {}
    for row in tx.execute(
        sa.select(installments).where(installments.c.plan.in_(numbers)).order_by(installments.c.n)
    ):
        parts.setdefault((row.plan, row.version), []).append(_row(row))
    return [_record(row, kept[row.number], parts) for row in rows]


def _record(row: Any, kept: list[Any], parts: dict[tuple[int, int], list[Row]]) -> Record:
    current = next(v for v in kept if v.version == row.version)
    newest = kept[-1]
    return Record(
        plan=terms_of.load(current.terms),
        connection_id=row.connection_id,
        state=row.state,
        revision=row.revision,
        progress=row.progress or "",
        paused_at=row.paused_at,
        attention=row.attention or "",
        created_at=row.created_at,
        created_by=row.created_by or "",
        approved_by=current.approved_by or "",
        approved_at=current.approved_at,
        posted_on=current.posted_on,
        acceptance=current.acceptance,
        proof=current.proof,
        installments=tuple(parts.get((row.number, row.version), ())),
        draft=terms_of.load(newest.terms)
        if newest.version > row.version and newest.approved_at is None
        else None,
    )


def _row(row: Any) -> Row:
    return Row(
        n=row.n,
        due=row.due,
        nominal_due=row.nominal_due,
        amount=row.amount,
        principal=row.principal,
        interest=row.interest,
        invoice_id=row.invoice_id,
        open=row.open,
        state=row.state or "",
    )


# ---------------------------------------------------------------- what stands against a plan


def snapshot(invoice: Invoice) -> Source:
    """An invoice as the books have it now: what an approval will be about."""
    return Source(
        invoice_id=invoice.id,
        number=invoice.number,
        date=invoice.date,
        due=invoice.due,
        total=invoice.total,
        tax=invoice.tax,
        balance=invoice.balance,
        version=invoice.version,
        settled=invoice.balance != invoice.total,
    )


def facts(
    tx: Connection,
    connection_id: str,
    customer_id: str,
    invoice_ids: Iterable[str],
    today: dt.date,
    but: str = "",
) -> Facts:
    """What the mirror knows that could stand against a plan. Asked again of the ledger before the first write.

    Raises LookupError for an unknown customer or invoice.
    """
    connection = connections.get(tx, connection_id)
    picture = books.of_customer(tx, connection_id, customer_id)
    if picture is None or connection.facts is None:
        raise LookupError(f"There is no customer {customer_id} in these books. Sync, or check the id.")
    by_id = {i.id: i for i in picture.invoices}
    wanted = list(invoice_ids)
    for invoice_id in wanted:
        if invoice_id not in by_id:
            raise LookupError(f"Customer {customer_id} has no invoice {invoice_id}. Check the id.")
    chosen = tuple(document(by_id[i]) for i in wanted)
    currency = chosen[0].currency if chosen else connection.home_currency
    unapplied = sum(p.unapplied for p in picture.payments if not p.void and p.currency == currency)
    unapplied += sum(c.remaining for c in picture.credits if not c.void and c.currency == currency)
    return Facts(
        organization=connection.facts,
        answers=decisions.load(tx, connection_id).answers,
        customer=picture.customer,
        invoices=chosen,
        today=today,
        unapplied=unapplied,
        holds=holds_on(tx, connection_id, customer_id, wanted, today),
        planned=planned(of_customer(tx, connection_id, customer_id), but=but),
    )


def holds_on(
    tx: Connection, connection_id: str, customer_id: str, invoice_ids: Collection[str], today: dt.date
) -> frozenset[str]:
    """The reasons that hold this customer, or one of these invoices."""
    return frozenset(
        hold.reason
        for hold in holds.active(tx, connection_id, customer_id, today=today)
        if hold.invoice_id is None or hold.invoice_id in invoice_ids
    )


def document(invoice: Invoice) -> Document:
    """A mirrored invoice as the rules want it; its lines are not known."""
    return Document(
        kind=Kind.INVOICE,
        id=invoice.id,
        number=invoice.number,
        customer_id=invoice.customer_id,
        date=invoice.date,
        due=invoice.due,
        currency=invoice.currency,
        total=invoice.total,
        balance=invoice.balance,
        tax=invoice.tax,
        status=invoice.status,
        marker=invoice.marker,
        note=invoice.note,
        rate=invoice.rate,
        version=invoice.version,
    )


def refusals(tx: Connection, plan_id: str, today: dt.date) -> list[Refusal]:
    """What would stop the approval of the plan (or of its draft), as far as the mirror knows; [] when nothing."""
    record = get(tx, plan_id)
    plan = record.draft or record.plan
    known = facts(
        tx, record.connection_id, plan.customer_id, [s.invoice_id for s in plan.sources], today, but=plan.id
    )
    found = rules.refusals(known, plan.mode, plan)
    found += rules.changed(_with_versions(plan, known.invoices), known.invoices)
    found += _consent(tx, record, plan)
    policy = decisions.load(tx, record.connection_id).policy
    return found + rails.problems(plan, today, policy.plan, closed_until=known.organization.closed_until)


def _consent(tx: Connection, record: Record, plan: Plan) -> list[Refusal]:
    """A renegotiation that asks for more at a time than was agreed needs the customer's recorded yes."""
    if record.draft is None or not record.plan.rows:
        return []
    highest = max(r.total for r in record.plan.rows)
    where = sa.and_(plan_versions.c.plan == number_of(plan.id), plan_versions.c.version == plan.version)
    if tx.scalar(sa.select(plan_versions.c.acceptance).where(where)):
        return []
    if not (risen := [r for r in plan.rows if r.total > highest]):
        return []
    row, now = Money(risen[0].total, plan.currency), Money(highest, plan.currency)
    return [
        Refusal(
            "CONSENT_NEEDED",
            f"Installment {risen[0].n} is {row}, more than the {now} that the customer agreed to. "
            "Record their acceptance first, or choose more installments.",
        )
    ]


def _with_versions(plan: Plan, documents: Sequence[Document]) -> Plan:
    """The plan with the snapshot's version marks of today; what the approver sees is what is compared later."""
    now = {d.id: d for d in documents}
    sources = tuple(
        replace(s, version=now[s.invoice_id].version) if s.invoice_id in now else s for s in plan.sources
    )
    return replace(plan, sources=sources)


# ---------------------------------------------------------------- changing


def add(
    tx: Connection,
    connection_id: str,
    plan: Plan,
    *,
    who: str,
    now: dt.datetime,
) -> Record:
    """Store a proposed plan; its number is given here, whatever `plan.id` says.

    Raises PlanProblem ALREADY_PLANNED when another plan covers one of its invoices.
    """
    taken = planned(of_customer(tx, connection_id, plan.customer_id))
    for source in plan.sources:
        if source.invoice_id in taken:
            raise PlanProblem(
                "ALREADY_PLANNED",
                f"Invoice {source.number} is in a plan already. Change or cancel that plan instead.",
            )
    picture = books.of_customer(tx, connection_id, plan.customer_id)
    taken_numbers = [i.number for i in picture.invoices] if picture else []
    taken_numbers += [c.number for c in picture.credits] if picture else []
    plan = replace(plan, version=next_version(taken_numbers, plan.sources))
    inserted = tx.execute(
        sa.insert(plans).values(
            connection_id=connection_id,
            customer_id=plan.customer_id,
            currency=plan.currency,
            mode=str(plan.mode),
            state="proposed",
            version=plan.version,
            revision=1,
            created_at=now,
            created_by=who,
            updated_at=now,
        )
    )
    plan = replace(plan, id=shown(inserted.inserted_primary_key[0]))  # type: ignore[index]
    _keep_version(tx, plan, who=who, why="", now=now)
    _log(tx, get(tx, plan.id), who, "proposed a plan", now, after=plan.to_json())
    return get(tx, plan.id)


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
    _bump(tx, record, now, revision=revision, mode=str(plan.mode))
    _forget_version(tx, before)
    _keep_version(tx, plan, who=who, why=why, now=now)
    _log(tx, record, who, "edited a plan", now, why=why, before=before.to_json(), after=plan.to_json())
    return get(tx, plan_id)


def approve(
    tx: Connection, plan_id: str, *, who: str, now: dt.datetime, today: dt.date, revision: int | None = None
) -> Record:
    """A person said yes. Approving twice is harmless.

    Raises PlanProblem with the code of accounting.md 1.7, EditedMeanwhile when the plan shown was another.
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
    found = refusals(tx, plan_id, today)
    if found:
        raise PlanProblem(found[0].code, " ".join(f.sentence for f in found))
    plan = record.draft or record.plan
    known = facts(
        tx, record.connection_id, plan.customer_id, [s.invoice_id for s in plan.sources], today, but=plan.id
    )
    plan = _with_versions(plan, known.invoices)
    _bump(
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
    _log(tx, record, who, "approved a plan", now, after={"version": plan.version, "digest": plan.digest})
    return get(tx, plan_id)


def begun(
    tx: Connection, plan_id: str, *, posted_on: dt.date, proof: dict[str, Any], now: dt.datetime
) -> None:
    """The writes of the current version are laid out, all dated `posted_on`; `proof` is how the books stood."""
    record = get(tx, plan_id)
    _version(tx, record.plan, posted_on=posted_on, proof=proof)
    _bump(tx, record, now)


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
    _version(tx, record.plan, proof=proof)
    for n, invoice_id in invoice_ids.items():
        _installment(tx, record.plan, n, invoice_id=invoice_id)
    progress = record.progress if record.progress in UNDER_WAY else "on_track"
    _bump(tx, record, now, state="running", progress=progress, attention=attention)
    _log(
        tx, record, audit.SYSTEM, "wrote a plan into the ledger", now, after={"version": record.plan.version}
    )
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
        _keep_version(tx, plan, who=audit.SYSTEM, why=sentence, now=now)
    else:
        _version(tx, plan, approved_by=None, approved_at=None)
    if plan.supersedes is None:
        _bump(tx, record, now, state="proposed", version=plan.version, progress="", attention=sentence)
    else:  # the version before still stands in the ledger; the attempt to replace it becomes a draft
        _bump(
            tx,
            record,
            now,
            state="running",
            version=plan.supersedes,
            progress="on_track",
            attention=sentence,
        )
    _log(tx, record, audit.SYSTEM, "sent a plan back to review", now, why=sentence)
    return get(tx, plan_id)


def attend(tx: Connection, plan_id: str, sentence: str, now: dt.datetime) -> None:
    """Say on the plan what a person must look at; "" when it is settled."""
    record = get(tx, plan_id)
    if record.attention != sentence:
        _bump(tx, record, now, attention=sentence)


def withdraw(tx: Connection, plan_id: str, now: dt.datetime) -> None:
    """Drop a draft of our own that the books have overtaken; it leaves no trace but its line in the log."""
    record = get(tx, plan_id)
    if record.state != "proposed" or record.approved_at is not None:
        raise PlanProblem("NOT_PROPOSED", f"Plan {plan_id} is {record.state} and stays.")
    _bump(tx, record, now, state="withdrawn")
    _log(tx, record, audit.SYSTEM, "withdrew a draft that the books had overtaken", now)


def undo(tx: Connection, plan_id: str, why: str, now: dt.datetime) -> None:
    """What was written of the current version is to be taken back, because of `why`."""
    record = get(tx, plan_id)
    if record.progress not in UNDER_WAY:
        _bump(tx, record, now, progress="undoing", attention=why)
        _log(tx, record, audit.SYSTEM, "began to take a plan back", now, why=why)


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
    if record.draft is not None and record.state != "proposed":
        _forget_version(tx, record.draft)  # an unapproved renegotiation goes with it
    begun_writing = record.posted_on is not None and record.state != "proposed"
    if begun_writing:
        _bump(tx, record, now, progress="cancelling")
    else:
        _bump(tx, record, now, state="cancelled", progress="", attention="")
    _log(tx, record, who, "cancelled a plan", now, why=why, before={"state": record.state})
    return get(tx, plan_id)


def cancelled(tx: Connection, plan_id: str, now: dt.datetime) -> Record:
    """The undo is written and read back."""
    _bump(tx, get(tx, plan_id), now, state="cancelled", progress="", attention="")
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
            _installment(tx, record.plan, row.n, open=stands[0], state=stands[1])
            changed = True
    if (record.state, record.progress, record.attention) != (state, progress, attention):
        _bump(tx, record, now, state=state, progress=progress, attention=attention)
        changed = True
    if record.state != state:
        _log(
            tx,
            record,
            audit.SYSTEM,
            f"found a plan {state}",
            now,
            before={"state": record.state},
            after={"state": state},
        )
    return changed


def renegotiate(tx: Connection, plan_id: str, plan: Plan, *, who: str, why: str, now: dt.datetime) -> Record:
    """Propose a new version for what is left of a running or broken plan; `plan` says the new rows and sources."""
    record = get(tx, plan_id)
    if record.state not in ("running", "broken") or record.progress in UNDER_WAY:
        raise PlanProblem(
            "NOT_RUNNING", f"Plan {plan_id} is {record.state}; only a running plan can be renegotiated."
        )
    if record.draft is not None:
        _forget_version(tx, record.draft)
    number = record.plan.version + 1
    plan = replace(plan, id=record.id, version=number, supersedes=record.plan.version)
    _keep_version(tx, plan, who=who, why=why, now=now)
    _bump(tx, record, now)
    _log(tx, record, who, "proposed to renegotiate a plan", now, why=why, after=plan.to_json())
    return get(tx, plan_id)


def accelerated(tx: Connection, plan_id: str, *, who: str, why: str, now: dt.datetime) -> None:
    """A person made everything fall due at once after a default."""
    record = get(tx, plan_id)
    _bump(tx, record, now, state="broken", progress="broken")
    _log(tx, record, who, "made the rest of a plan fall due", now, why=why)


def pause(tx: Connection, plan_id: str, *, who: str, now: dt.datetime) -> Record:
    """Rest a running plan: no reminders, never late or broken, until it is resumed. The due dates stay."""
    record = get(tx, plan_id)
    if record.state not in (*ACTIVE, "broken"):
        raise PlanProblem("NOT_RUNNING", f"Plan {plan_id} is {record.state}; only a running plan can rest.")
    if record.paused_at is None:
        _bump(tx, record, now, paused_at=now)
        _log(tx, record, who, "paused a plan", now)
    return get(tx, plan_id)


def resume(tx: Connection, plan_id: str, *, who: str, now: dt.datetime) -> Record:
    record = get(tx, plan_id)
    if record.paused_at is not None:
        _bump(tx, record, now, paused_at=None)
        _log(tx, record, who, "resumed a plan", now)
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
) -> Record:
    """Record that the customer agreed: who of them, how (signed, e-mail, by phone), when, and to which text."""
    record = get(tx, plan_id)
    acceptance = {
        "by": accepted_by,
        "how": how,
        "on": on.isoformat(),
        "document": document_hash,
        "recorded_by": who,
    }
    _version(tx, record.draft or record.plan, acceptance=acceptance)
    _bump(tx, record, now)
    _log(tx, record, who, "recorded the customer's acceptance", now, after=acceptance)
    return get(tx, plan_id)


# ---------------------------------------------------------------- to-dos


def ask(
    tx: Connection,
    connection_id: str,
    key: str,
    what: str,
    *,
    now: dt.datetime,
    plan_id: str | None = None,
    customer_id: str = "",
    link: str = "",
) -> None:
    """Put something on the list of what a person must do by hand; the same `key` is asked once."""
    where = sa.and_(todos.c.connection_id == connection_id, todos.c.key == key)
    if not tx.scalar(sa.select(sa.exists().where(where))):
        tx.execute(
            sa.insert(todos).values(
                connection_id=connection_id,
                plan=number_of(plan_id) if plan_id else None,
                customer_id=customer_id,
                what=what,
                link=link,
                key=key,
                created_at=now,
            )
        )


def open_todos(tx: Connection, connection_id: str) -> list[Todo]:
    """Oldest first."""
    query = sa.select(todos).where(todos.c.connection_id == connection_id, todos.c.done_at.is_(None))
    return [_todo(row) for row in tx.execute(query.order_by(todos.c.id))]


def todo(tx: Connection, todo_id: int) -> Todo:
    """Raises LookupError for an unknown id."""
    row = tx.execute(sa.select(todos).where(todos.c.id == todo_id)).one_or_none()
    if row is None:
        raise LookupError(f"There is no to-do {todo_id}.")
    return _todo(row)


def finish_todo(tx: Connection, todo_id: int, *, who: str, now: dt.datetime) -> None:
    """Somebody did it; twice is harmless."""
    found = todo(tx, todo_id)
    where = sa.and_(todos.c.id == todo_id, todos.c.done_at.is_(None))
    if tx.execute(sa.update(todos).where(where).values(done_by=who, done_at=now)).rowcount:
        audit.record(
            tx,
            who=who,
            what="did by hand",
            connection_id=found.connection_id,
            subject=f"plan {found.plan}" if found.plan else "",
            why=found.what,
            now=now,
        )


def _todo(row: Any) -> Todo:
    return Todo(
        id=row.id,
        connection_id=row.connection_id,
        plan=shown(row.plan) if row.plan else None,
        customer_id=row.customer_id or "",
        what=row.what,
        link=row.link or "",
    )


# ---------------------------------------------------------------- rows


def _bump(
    tx: Connection, record: Record, now: dt.datetime, *, revision: int | None = None, **values: Any
) -> None:
    """Change the plan's row if it still is at the revision that was read. Raises EditedMeanwhile."""
    if revision is not None and revision != record.revision:
        raise EditedMeanwhile(
            f"Somebody else changed plan {record.id} while you were looking at it. Look at their version first."
        )
    where = sa.and_(plans.c.number == number_of(record.id), plans.c.revision == record.revision)
    changed = tx.execute(
        sa.update(plans).where(where).values(revision=record.revision + 1, updated_at=now, **values)
    )
    if changed.rowcount != 1:
        raise EditedMeanwhile(f"Plan {record.id} changed a moment ago. Look at it again.")


def _keep_version(tx: Connection, plan: Plan, *, who: str, why: str, now: dt.datetime) -> None:
    data = plan.to_json()
    number = number_of(plan.id)
    tx.execute(
        sa.insert(plan_versions).values(
            plan=number,
            version=plan.version,
            terms=data,
            sources=data["sources"],
            digest=plan.digest,
            reasons=list(plan.reasons),
            mode=str(plan.mode),
            author=who,
            why=why,
            created_at=now,
        )
    )
    rows = [
        {
            "plan": number,
            "version": plan.version,
            "n": row.n,
            "due": row.due,
            "nominal_due": row.nominal,
            "amount": row.total,
            "principal": row.principal,
            "interest": row.interest,
            "open": row.total,
            "state": "open",
        }
        for row in plan.rows
    ]
    if rows:
        tx.execute(sa.insert(installments), rows)


def _forget_version(tx: Connection, plan: Plan) -> None:
    """Only for a version that nobody approved."""
    for table in (installments, plan_versions):
        tx.execute(
            sa.delete(table).where(table.c.plan == number_of(plan.id), table.c.version == plan.version)
        )


def _version(tx: Connection, plan: Plan, **values: Any) -> None:
    where = sa.and_(plan_versions.c.plan == number_of(plan.id), plan_versions.c.version == plan.version)
    tx.execute(sa.update(plan_versions).where(where).values(**values))


def _installment(tx: Connection, plan: Plan, n: int, **values: Any) -> None:
    where = sa.and_(
        installments.c.plan == number_of(plan.id),
        installments.c.version == plan.version,
        installments.c.n == n,
    )
    tx.execute(sa.update(installments).where(where).values(**values))


def _log(
    tx: Connection,
    record: Record,
    who: str,
    what: str,
    now: dt.datetime,
    *,
    why: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    audit.record(
        tx,
        who=who,
        what=what,
        connection_id=record.connection_id,
        subject=f"plan {record.id}",
        why=why,
        before=before,
        after=after,
        now=now,
    )
