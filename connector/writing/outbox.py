"""The writes we intend, in order, before any of them is made: the memory that survives a crash.

A batch ("PP-0007 v1", "reminder 12") is performed by position, one write or one run of invoices at a time.
States: pending → sending → done | failed; a write that failed waits for a person, or for the batch that
undoes it. `sending` without a worker means that nobody knows whether the ledger has it: it is looked up
before anything is repeated.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector.db import plans, reminders, writes
from connector.domain import writes as drafts
from connector.domain.money import Money
from connector.domain.writes import Draft
from connector.platforms import PlatformError
from connector.record import audit

OPEN = ("pending", "sending")
KEY_LENGTH = 50  # the shorter of the ledgers' limits
_MARKER = re.compile(
    r"plan=(?P<plan>\S+) v=(?P<version>\d+) role=(?P<role>\S+)(?: n=(?P<n>\d+))?.* h=(?P<h>\w+)"
)


@dataclass(frozen=True, slots=True)
class Write:
    """One intended change to a ledger. `name` is what "@name" in a later write of the plan stands for."""

    id: int
    connection_id: str
    plan: str | None  # PP-0007
    plan_version: int | None
    reminder_id: int | None
    batch: str
    position: int
    role: str
    name: str
    kind: str
    key: str
    draft: Draft
    state: str
    attempts: int
    not_before: dt.datetime | None
    external_id: str | None
    answer: dict[str, Any] | None
    error: str
    error_code: str
    error_words: str
    reference: str
    created_at: dt.datetime
    updated_at: dt.datetime

    @property
    def what(self) -> str:
        """The write in a bookkeeper's words."""
        return describe(self.draft)


def describe(draft: Draft) -> str:
    """What a draft would do, in a bookkeeper's words."""
    match draft:
        case drafts.CreditDraft():
            return f"Credit {draft.number} of {Money(draft.amount, draft.currency)}"
        case drafts.InvoiceDraft():
            return f"Invoice {draft.number} of {Money(draft.amount, draft.currency)}, due {_day(draft.due)}"
        case drafts.LinkDraft():
            return f"Set {Money(draft.amount, draft.currency)} of the credit against the invoice"
        case drafts.NoteDraft():
            return f"Note on the {draft.kind}: {draft.text}"
        case drafts.DueDateDraft():
            return f"Move the due date to {_day(draft.due)}"
        case drafts.AttachmentDraft():
            return f"Attach {draft.filename} to the {draft.kind}"
        case drafts.SendDraft():
            return "Have the ledger e-mail the invoice"
        case drafts.RemoveDraft():
            return f"Take back the {draft.what} that Forbear wrote"


def _day(day: dt.date) -> str:
    return f"{day.day} {day:%b %Y}"


def lay_out(
    tx: Connection,
    connection_id: str,
    batch: str,
    ordered: Sequence[Draft],
    *,
    now: dt.datetime,
    plan: int | None = None,
    version: int | None = None,
    reminder_id: int | None = None,
) -> bool:
    """Store a batch of intents. False: it is there already, nothing was added."""
    same = sa.and_(writes.c.connection_id == connection_id, writes.c.batch == batch)
    if tx.scalar(sa.select(sa.exists().where(same))):
        return False
    keys = _keys(batch, ordered)
    rows = []
    for position, (draft, key) in enumerate(zip(ordered, keys, strict=True)):
        number = getattr(draft, "number", "")
        rows.append(
            {
                "connection_id": connection_id,
                "plan": plan,
                "plan_version": version,
                "reminder_id": reminder_id,
                "batch": batch,
                "position": position,
                "role": _role(draft),
                "name": number,
                "kind": drafts.kind_of(draft),
                "key": key,
                "number": number,
                "marker": draft.marker,
                "payload": drafts.dump(draft),
                "state": "pending",
                "attempts": 0,
                "created_at": now,
                "updated_at": now,
            }
        )
    if rows:
        tx.execute(sa.insert(writes), rows)
    return True


def _keys(batch: str, ordered: Iterable[Draft]) -> list[str]:
    """The ledger's idempotency key of each draft, e.g. PP-0007-1-inst-2-9c01aa42; at most 50 characters."""
    stem = batch.replace(" v", "-").replace(" ", "-")
    keys: list[str] = []
    for draft in ordered:
        found = _MARKER.search(draft.marker)
        n = f"-{found['n']}" if found and found["n"] else ""
        digest = found["h"] if found else hashlib.sha256(repr(draft).encode()).hexdigest()[:8]
        start, k = f"{stem}-{_role(draft)}{n}", 1
        while (key := f"{start}{f'.{k}' if k > 1 else ''}-{digest}") in keys:
            k += 1
        keys.append(key[-KEY_LENGTH:])
    return keys


def _role(draft: Draft) -> str:
    found = _MARKER.search(draft.marker)
    return found["role"] if found else drafts.kind_of(draft)


def claim(
    tx: Connection, group: Sequence[Write], worker: str, now: dt.datetime, seconds: float = 300
) -> bool:
    """Take these writes for one call. False: another worker got there first, and nothing was taken.

    One conditional update: a write is claimed only from the very attempt that we read.
    """
    for write in group:
        claimed = tx.execute(
            sa.update(writes)
            .where(
                writes.c.id == write.id, writes.c.state == write.state, writes.c.attempts == write.attempts
            )
            .where(writes.c.state.in_(OPEN))
            .values(
                state="sending",
                attempts=write.attempts + 1,
                claimed_by=worker,
                claimed_at=now,
                claimed_until=now + dt.timedelta(seconds=seconds),
                updated_at=now,
            )
        )
        if claimed.rowcount != 1:
            return False
    return True


def done(
    tx: Connection, write_id: int, external_id: str, now: dt.datetime, answer: dict[str, Any] | None = None
) -> None:
    """The ledger has it, read back and compared."""
    _set(
        tx,
        write_id,
        now,
        state="done",
        external_id=external_id,
        answer=answer,
        not_before=None,
        error=None,
        error_code=None,
        error_words=None,
    )


def later(
    tx: Connection, write_id: int, now: dt.datetime, at: dt.datetime, error: PlatformError, *, uncertain: bool
) -> None:
    """Not now. `uncertain`: the ledger may have it, so it stays `sending` and is looked up first."""
    state = "sending" if uncertain else "pending"
    _set(tx, write_id, now, state=state, not_before=at, **_words(error))


def rest(tx: Connection, write_id: int, until: dt.datetime) -> None:
    """Leave a write as it is, and look at it again then."""
    tx.execute(sa.update(writes).where(writes.c.id == write_id).values(not_before=until))


def failed(tx: Connection, write_id: int, now: dt.datetime, error: PlatformError) -> None:
    """A person must look: kept with our sentence and the ledger's own words."""
    _set(tx, write_id, now, state="failed", not_before=None, **_words(error))


def drop(tx: Connection, connection_id: str, batch: str, now: dt.datetime, *, refused: bool = False) -> int:
    """Give up what was not begun in a batch, and with `refused` what the ledger refused: nobody may try it again then.

    Returns how many. What is `sending` must be looked up first.
    """
    states = ("pending", "failed") if refused else ("pending",)
    where = sa.and_(
        writes.c.connection_id == connection_id, writes.c.batch == batch, writes.c.state.in_(states)
    )
    return tx.execute(sa.update(writes).where(where).values(state="cancelled", updated_at=now)).rowcount


def forget(tx: Connection, connection_id: str, batch: str) -> None:
    """Make room for the batch to be laid out anew. Only where no ledger has any of it, or may have."""
    tx.execute(sa.delete(writes).where(writes.c.connection_id == connection_id, writes.c.batch == batch))


def cancel(tx: Connection, write_id: int, now: dt.datetime) -> None:
    """It will not be made, and the ledger does not have it."""
    _set(tx, write_id, now, state="cancelled", not_before=None)


def retry(tx: Connection, write_id: int, *, who: str, now: dt.datetime) -> Write:
    """Put a failed write back in line; harmless for any other. One of a plan version that is no more is given up: its
    documents would stand beside those of the next. Raises LookupError for an unknown id."""
    write = get(tx, write_id)
    if write.state == "failed" and _overtaken(tx, write):
        cancel(tx, write_id, now)
        return get(tx, write_id)
    where = sa.and_(writes.c.id == write_id, writes.c.state == "failed")
    # `sending`, not `pending`: a refusal we misread may still have been carried out, so look first. A new key:
    # a ledger may answer the old one with its old refusal.
    key = f"{write.key[: KEY_LENGTH - 4]}-r{write.attempts}"
    again = {"state": "sending", "key": key, "not_before": None, "updated_at": now}
    if tx.execute(sa.update(writes).where(where).values(**again)).rowcount:
        r = reminders.c  # which its refusal held; the last look before it leaves is made again
        held = sa.update(reminders).where(r.id == write.reminder_id, r.state == "held")
        tx.execute(held.values(state="due", held_because=[], updated_at=now))
        audit.record(
            tx,
            who=who,
            what="tried a write again",
            connection_id=write.connection_id,
            subject=f"write {write.id}",
            before={"error": write.error, "words": write.error_words},
            now=now,
        )
    return get(tx, write_id)


def _overtaken(tx: Connection, write: Write) -> bool:
    """Whether the plan version whose own documents it belongs to was taken back, is being so, or was replaced; or the
    whole plan has ended, so that nothing of it may be billed any more."""
    if not write.plan or " undo" in write.batch:
        return False
    stands = sa.select(plans.c.version, plans.c.state, plans.c.progress)
    version, state, progress = tx.execute(stands.where(plans.c.number == plan_number(write.plan))).one()
    if write.batch != f"{write.plan} v{write.plan_version}":
        return str(state) == "cancelled"
    over = state in ("proposed", "cancelled", "withdrawn") or progress in ("undoing", "cancelling")
    return over or version != write.plan_version


def resolved(tx: Connection, write: Write) -> Draft:
    """The draft with each "@name" replaced by the ledger's id of what an earlier write of the plan made, and a
    plan's customer by the one into whom the ledger merged them meanwhile.

    Raises LookupError when that write is not done.
    """
    changes = {}
    if write.plan and hasattr(write.draft, "customer_id"):
        whose = sa.select(plans.c.customer_id).where(plans.c.number == plan_number(write.plan))
        changes["customer_id"] = str(tx.scalar(whose))
    for f in fields(write.draft):
        value = getattr(write.draft, f.name)
        if isinstance(value, str) and value.startswith("@") and f.name.endswith("_id"):
            changes[f.name] = _made(tx, write, value[1:])
    return cast(Draft, replace(cast(Any, write.draft), **changes)) if changes else write.draft


def _made(tx: Connection, write: Write, name: str) -> str:
    where = sa.and_(
        writes.c.connection_id == write.connection_id,
        writes.c.name == name,
        writes.c.state == "done",
        writes.c.plan == plan_number(write.plan) if write.plan else writes.c.batch == write.batch,
    )
    found = tx.scalar(sa.select(writes.c.external_id).where(where).order_by(writes.c.id.desc()).limit(1))
    if not found:
        raise LookupError(f"Write {write.id} needs {name}, which is not written yet.")
    return str(found)


def get(tx: Connection, write_id: int) -> Write:
    """Raises LookupError for an unknown id."""
    row = tx.execute(sa.select(writes).where(writes.c.id == write_id)).one_or_none()
    if row is None:
        raise LookupError(f"There is no write {write_id}.")
    return _write(row)


def of_batch(tx: Connection, connection_id: str, batch: str) -> list[Write]:
    query = sa.select(writes).where(writes.c.connection_id == connection_id, writes.c.batch == batch)
    return [_write(row) for row in tx.execute(query.order_by(writes.c.position))]


def of_plan(tx: Connection, plan_id: str) -> list[Write]:
    """Every write of every version, in the order they were laid out."""
    query = sa.select(writes).where(writes.c.plan == plan_number(plan_id))
    return [_write(row) for row in tx.execute(query.order_by(writes.c.id))]


def of_connection(
    tx: Connection, connection_id: str, limit: int | None = None, offset: int = 0
) -> list[Write]:
    """The newest first, leaving out `offset`."""
    query = sa.select(writes).where(writes.c.connection_id == connection_id).order_by(writes.c.id.desc())
    return [_write(row) for row in tx.execute(query.limit(limit).offset(offset) if limit else query)]


def customers_of(tx: Connection, found: Iterable[Write]) -> dict[int, str]:
    """Write → the customer whom its plan or reminder is about; none for a write of neither."""
    c = writes.c
    about = writes.outerjoin(plans, plans.c.number == c.plan).outerjoin(
        reminders, reminders.c.id == c.reminder_id
    )
    customer = sa.func.coalesce(plans.c.customer_id, reminders.c.customer_id)
    query = sa.select(c.id, customer).select_from(about).where(c.id.in_([w.id for w in found]))
    return {row[0]: row[1] for row in tx.execute(query) if row[1]}


def failures(tx: Connection, connection_id: str) -> list[Write]:
    """What waits for a person, oldest first."""
    query = sa.select(writes).where(writes.c.connection_id == connection_id, writes.c.state == "failed")
    return [_write(row) for row in tx.execute(query.order_by(writes.c.id))]


def open_batches(tx: Connection, connection_id: str, now: dt.datetime) -> list[str]:
    """The batches with something to perform now, in the order they were laid out.

    A batch with a failed write is not among them: it waits for a person.
    """
    mine = writes.c.connection_id == connection_id
    query = (
        sa.select(writes.c.batch)
        .where(mine)
        .group_by(writes.c.batch)
        .having(sa.func.sum(sa.case((writes.c.state.in_(OPEN), 1), else_=0)) > 0)
        .having(sa.func.sum(sa.case((writes.c.state == "failed", 1), else_=0)) == 0)
        .having(sa.func.sum(sa.case((_waiting(now), 1), else_=0)) == 0)
        .order_by(sa.func.min(writes.c.id))
    )
    return list(tx.scalars(query))


def next_at(tx: Connection, connection_id: str, now: dt.datetime) -> dt.datetime | None:
    """When the next waiting write may be tried, None when none waits."""
    where = sa.and_(writes.c.connection_id == connection_id, _waiting(now))
    at: dt.datetime | None = tx.scalar(sa.select(sa.func.min(writes.c.not_before)).where(where))
    return at


def pending_connections(tx: Connection, now: dt.datetime) -> list[str]:
    """The organizations with a write to perform now; the sweep wakes their delivery."""
    query = sa.select(writes.c.connection_id).where(
        writes.c.state.in_(OPEN), sa.or_(writes.c.not_before.is_(None), writes.c.not_before <= now)
    )
    return sorted(tx.scalars(query.distinct()))


def count(tx: Connection, connection_id: str, states: Collection[str]) -> int:
    where = sa.and_(writes.c.connection_id == connection_id, writes.c.state.in_(list(states)))
    return tx.scalar(sa.select(sa.func.count()).select_from(writes).where(where)) or 0


def ours(tx: Connection, connection_id: str, external_ids: Collection[str]) -> set[str]:
    """Which of these ledger ids are documents that we wrote."""
    query = sa.select(writes.c.external_id).where(
        writes.c.connection_id == connection_id, writes.c.external_id.in_(list(external_ids))
    )
    return {found for found in tx.scalars(query) if found}


def posted_through(tx: Connection, connection_id: str, account_id: str) -> bool:
    """Whether a plan of ours ever posted to this account."""
    where = sa.and_(
        writes.c.connection_id == connection_id, writes.c.state == "done", writes.c.role == "credit"
    )
    return any(
        payload.get("account_id") == account_id
        for payload in tx.scalars(sa.select(writes.c.payload).where(where))
    )


def plan_number(plan_id: str) -> int:
    """PP-0007 → 7. Raises LookupError for anything else."""
    if not re.fullmatch(r"PP-\d+", plan_id):
        raise LookupError(f"{plan_id!r} is not the number of a plan; one looks like PP-0007.")
    return int(plan_id[3:])


def plan_id(number: int) -> str:
    return f"PP-{number:04d}"


def _waiting(now: dt.datetime) -> sa.ColumnElement[bool]:
    return sa.and_(writes.c.state.in_(OPEN), writes.c.not_before > now)


def _set(tx: Connection, write_id: int, now: dt.datetime, **values: Any) -> None:
    values |= {"claimed_by": None, "claimed_at": None, "claimed_until": None, "updated_at": now}
    tx.execute(sa.update(writes).where(writes.c.id == write_id).values(**values))


def _words(error: PlatformError) -> dict[str, Any]:
    return {
        "error": str(error),
        "error_code": error.code or None,
        "error_words": error.words or None,
        "reference": error.reference or None,
    }


def _write(row: Any) -> Write:
    return Write(
        id=row.id,
        connection_id=row.connection_id,
        plan=plan_id(row.plan) if row.plan else None,
        plan_version=row.plan_version,
        reminder_id=row.reminder_id,
        batch=row.batch,
        position=row.position,
        role=row.role,
        name=row.name,
        kind=row.kind,
        key=row.key,
        draft=drafts.load(row.kind, row.payload),
        state=row.state,
        attempts=row.attempts,
        not_before=row.not_before,
        external_id=row.external_id,
        answer=row.answer,
        error=row.error or "",
        error_code=row.error_code or "",
        error_words=row.error_words or "",
        reference=row.reference or "",
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
