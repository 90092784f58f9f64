"""What customers answered on their own page, the files they sent, and what came of it. What follows is in `answering`."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector import audit
from connector.db import customer_answers as answers
from connector.db import customer_files as files
from connector.db import plans
from connector.outbox import plan_id as shown
from connector.outbox import plan_number as number_of

CUSTOMER = "the customer"  # who, in the record
DONE, WAITS, SETTLED = "done", "waits", "settled"
KINDS = {
    "promise": "named a day",
    "plan": "asked for a plan",
    "wish": "asked for other payments",
    "dispute": "disputed an invoice",
    "call": "asked for a call",
    "change": "asked to change the plan",
    "stop": "asked for no more messages",
    "data": "asked about their data",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """`done`: it took effect by itself. `waits`: a person answers. `settled`: they did, and `reply` is for the customer."""

    id: int
    connection_id: str
    customer_id: str
    link_id: int
    kind: str
    invoice_id: str | None
    plan: str | None
    state: str
    data: dict[str, Any]
    reply: str
    at: dt.datetime
    settled_by: str
    settled_at: dt.datetime | None

    @property
    def words(self) -> str:
        return KINDS[self.kind]


@dataclass(frozen=True, slots=True)
class From:
    """Where an answer came from, for the record of an acceptance."""

    connection_id: str
    customer_id: str
    link_id: int
    key: str
    address: str
    agent: str


@dataclass(frozen=True, slots=True)
class File:
    """Without its content."""

    id: int
    connection_id: str
    answer_id: int
    name: str
    type: str
    size: int
    digest: str


def sent(tx: Connection, key: str) -> Answer | None:
    """What was answered with this form already."""
    row = tx.execute(sa.select(answers).where(answers.c.key == key)).one_or_none()
    return _answer(row) if row else None


def keep(
    tx: Connection,
    whence: From,
    kind: str,
    *,
    state: str,
    data: dict[str, Any],
    now: dt.datetime,
    invoice_id: str | None = None,
    plan_id: str | None = None,
) -> Answer:
    """Store an answer, with a line in the record that holds none of its free words."""
    inserted = tx.execute(
        sa.insert(answers).values(
            connection_id=whence.connection_id,
            customer_id=whence.customer_id,
            link_id=whence.link_id,
            key=whence.key,
            kind=kind,
            invoice_id=invoice_id,
            plan=number_of(plan_id) if plan_id else None,
            state=state,
            data=data,
            at=now,
            address=whence.address[:64],
            agent=whence.agent[:200],
        )
    )
    audit.record(
        tx,
        who=CUSTOMER,
        what=f"{KINDS[kind]} on their page",
        connection_id=whence.connection_id,
        subject=f"customer {whence.customer_id}",
        after={"state": state, "invoice": invoice_id, "plan": plan_id, "link": whence.link_id},
        now=now,
    )
    return get(tx, inserted.inserted_primary_key[0])  # type: ignore[index]


def get(tx: Connection, answer_id: int) -> Answer:
    """Raises LookupError for an unknown id."""
    row = tx.execute(sa.select(answers).where(answers.c.id == answer_id)).one_or_none()
    if row is None:
        raise LookupError(f"There is no answer {answer_id}.")
    return _answer(row)


def of_customer(tx: Connection, connection_id: str, customer_id: str) -> list[Answer]:
    """Newest first."""
    mine = sa.and_(answers.c.connection_id == connection_id, answers.c.customer_id == customer_id)
    return [_answer(r) for r in tx.execute(sa.select(answers).where(mine).order_by(answers.c.id.desc()))]


def waiting(tx: Connection, connection_ids: Collection[str]) -> list[Answer]:
    """What waits for a person, oldest first. A plan that somebody approved or put aside waits no more."""
    decided = sa.and_(answers.c.kind == "plan", plans.c.state != "proposed")
    query = (
        sa.select(answers)
        .join(plans, plans.c.number == answers.c.plan, isouter=True)
        .where(
            answers.c.connection_id.in_(sorted(connection_ids)),
            answers.c.state == WAITS,
            sa.not_(sa.func.coalesce(decided, sa.false())),
        )
    )
    return [_answer(r) for r in tx.execute(query.order_by(answers.c.id))]


def latest(tx: Connection, connection_id: str, limit: int) -> list[Answer]:
    """The newest first."""
    query = sa.select(answers).where(answers.c.connection_id == connection_id)
    return [_answer(r) for r in tx.execute(query.order_by(answers.c.id.desc()).limit(limit))]


def count_since(tx: Connection, link_id: int, since: dt.datetime) -> int:
    where = sa.and_(answers.c.link_id == link_id, answers.c.at >= since)
    return tx.scalar(sa.select(sa.func.count()).select_from(answers).where(where)) or 0


def answered_links(tx: Connection, connection_id: str) -> frozenset[int]:
    """The links through which somebody answered."""
    return frozenset(
        tx.scalars(sa.select(answers.c.link_id).where(answers.c.connection_id == connection_id).distinct())
    )


def settle(tx: Connection, answer_id: int, *, who: str, now: dt.datetime, what: str, reply: str = "") -> None:
    """A person dealt with it. Twice is harmless: the first one counts."""
    answer = get(tx, answer_id)
    where = sa.and_(answers.c.id == answer_id, answers.c.state == WAITS)
    values = {"state": SETTLED, "reply": reply, "settled_by": who, "settled_at": now}
    if tx.execute(sa.update(answers).where(where).values(**values)).rowcount:
        audit.record(
            tx,
            who=who,
            what=what,
            connection_id=answer.connection_id,
            subject=f"customer {answer.customer_id}",
            why=reply,
            after={"answer": answer_id},
            now=now,
        )


# ---------------------------------------------------------------- files


def keep_file(tx: Connection, answer: Answer, name: str, type: str, content: bytes, now: dt.datetime) -> None:
    """Store a file as it came. Its type was found from its content; nothing here ever opens it."""
    tx.execute(
        sa.insert(files).values(
            connection_id=answer.connection_id,
            answer_id=answer.id,
            name=name[:100],
            type=type,
            size=len(content),
            digest=hashlib.sha256(content).hexdigest(),
            content=content,
            created_at=now,
        )
    )


def files_of(tx: Connection, answer_ids: Sequence[int]) -> dict[int, list[File]]:
    """By answer, in the order they came."""
    f = files.c
    query = sa.select(f.id, f.connection_id, f.answer_id, f.name, f.type, f.size, f.digest)
    found: dict[int, list[File]] = {}
    for row in tx.execute(query.where(f.answer_id.in_(list(answer_ids))).order_by(f.id)):
        found.setdefault(row.answer_id, []).append(File(*row))
    return found


def file(tx: Connection, file_id: int) -> tuple[File, bytes]:
    """Raises LookupError for an unknown id."""
    row = tx.execute(sa.select(files).where(files.c.id == file_id)).one_or_none()
    if row is None:
        raise LookupError(f"There is no file {file_id}.")
    about = File(row.id, row.connection_id, row.answer_id, row.name, row.type, row.size, row.digest)
    return about, row.content


def _answer(row: Any) -> Answer:
    return Answer(
        id=row.id,
        connection_id=row.connection_id,
        customer_id=row.customer_id,
        link_id=row.link_id,
        kind=row.kind,
        invoice_id=row.invoice_id,
        plan=shown(row.plan) if row.plan else None,
        state=row.state,
        data=row.data,
        reply=row.reply,
        at=row.at,
        settled_by=row.settled_by or "",
        settled_at=row.settled_at,
    )
