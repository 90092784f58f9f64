"""What customers answered on their own page, and what came of it. What follows is in `answering` and `agreeing`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector.db import customer_answers as answers
from connector.db import plan_versions, plans
from connector.record import audit
from connector.writing.outbox import plan_id as shown
from connector.writing.outbox import plan_number as number_of

CUSTOMER = "the customer"  # who, in the record
ON_THE_PAGE = "customer page"  # how they agreed, in the record of a yes
DONE, WAITS, SETTLED = "done", "waits", "settled"
KINDS = {
    "promise": "named a day",
    "plan": "asked for a plan",
    "accept": "agreed to your plan",
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


def of_link(tx: Connection, link_id: int) -> list[Answer]:
    """Newest first."""
    query = sa.select(answers).where(answers.c.link_id == link_id).order_by(answers.c.id.desc())
    return [_answer(r) for r in tx.execute(query)]


def _of_those_that_wait(*columns: Any) -> sa.Select[Any]:
    """A plan that somebody approved, changed or put aside waits no more."""
    v = plan_versions.c
    agreed = sa.and_(v.plan == plans.c.number, v.approved_at.is_(None), v.acceptance.is_not(sa.null()))
    stands = sa.and_(plans.c.state.in_(("proposed", "running", "broken")), sa.exists().where(agreed))
    decided = sa.or_(
        sa.and_(answers.c.kind == "plan", plans.c.state != "proposed"),
        sa.and_(answers.c.kind == "accept", sa.not_(stands)),
    )
    return (
        sa.select(*columns)
        .select_from(answers.join(plans, plans.c.number == answers.c.plan, isouter=True))
        .where(answers.c.state == WAITS, sa.not_(sa.func.coalesce(decided, sa.false())))
    )


# A draft that a customer asked for, or said yes to, stands among the drafts: it waits for one decision, not for two.
_AMONG_THE_DRAFTS = sa.and_(
    answers.c.kind.in_(("plan", "accept")), sa.func.coalesce(plans.c.state, "") == "proposed"
)


def waiting(tx: Connection, connection_ids: Collection[str]) -> list[Answer]:
    """What waits for a person, oldest first."""
    query = _of_those_that_wait(answers).where(answers.c.connection_id.in_(sorted(connection_ids)))
    return [_answer(r) for r in tx.execute(query.order_by(answers.c.id))]


def beside_drafts(tx: Connection, connection_ids: Collection[str]) -> list[Answer]:
    """What waits for a decision of its own, oldest first."""
    query = _of_those_that_wait(answers).where(
        answers.c.connection_id.in_(sorted(connection_ids)), sa.not_(_AMONG_THE_DRAFTS)
    )
    return [_answer(r) for r in tx.execute(query.order_by(answers.c.id))]


def count_beside_drafts(tx: Connection, connection_ids: Collection[str]) -> dict[str, int]:
    """How many of them each organization has; none for one that has none."""
    query = _of_those_that_wait(answers.c.connection_id, sa.func.count()).where(
        answers.c.connection_id.in_(sorted(connection_ids)), sa.not_(_AMONG_THE_DRAFTS)
    )
    return {row[0]: row[1] for row in tx.execute(query.group_by(answers.c.connection_id))}


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


def agreed_texts(tx: Connection, plan_ids: Collection[str]) -> dict[str, str]:
    """Fingerprint of each text that the customer agreed to → agreed (a person or the policy said yes, too) or waits."""
    v = plan_versions.c
    mine = v.plan.in_([number_of(p) for p in plan_ids])
    query = sa.select(v.acceptance, v.approved_at).where(mine, v.acceptance.is_not(sa.null()))
    return {
        acceptance["document"]: "agreed" if approved_at else "waits"
        for acceptance, approved_at in tx.execute(query)
    }


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
