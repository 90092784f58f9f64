"""What is kept about people is kept for the years of the policy (`record.keep_years`), then it goes by itself.

Messages, contacts, promises, holds, disputes, answers and their files are deleted; of plans that ended the words and the
acceptance; of the record the lines are emptied, and the chain still shows that they were there. Amounts, dates and what
was written into the ledger stay. Nothing goes that is still needed: of customers with an old document open, of plans
that are not over, holds that nobody lifted.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector import db
from connector.domain.calendar import add_months
from connector.domain.policy import RecordPolicy
from connector.practice import settings
from connector.record import audit
from connector.writing.outbox import plan_id

STILL = dt.timedelta(366)  # reminders of a document count for a year before it (`reminding.remembered`)
OVER = ("finished", "cancelled", "withdrawn")
GONE = "let old records go"


def let_go(tx: Connection, connection_id: str, *, today: dt.date, now: dt.datetime) -> dict[str, int]:
    """Delete or empty what is older than the policy keeps. Returns how many rows, by table; {} when there was nothing."""
    if not _any_older(tx, connection_id, add_months(today, -12 * RecordPolicy.FEWEST)):
        return {}
    day = add_months(today, -12 * settings.load(tx, connection_id).policy.record.keep_years)
    moment = dt.datetime.combine(day, dt.time(), dt.UTC)
    i, p = db.invoices.c, db.plans.c
    owing = sa.select(i.customer_id).where(
        i.connection_id == connection_id, i.balance > 0, i.date < day + STILL
    )
    planned = sa.select(p.customer_id).where(p.connection_id == connection_id, p.state.not_in(OVER))
    needed = sa.union(owing, planned)  # a query, not a list: there may be many
    gone = {
        **_messages(tx, connection_id, day, needed),
        **_said(tx, connection_id, day, moment, needed),
        **_answers(tx, connection_id, moment, needed),
        **_plans(tx, connection_id, moment),
    }
    lines = _lines(tx, connection_id, moment, needed)
    if lines:
        gone["audit"] = lines
    gone = {name: count for name, count in gone.items() if count}
    if gone:
        total = audit.count_erased(tx, connection_id)
        after = {"before": day.isoformat(), **gone, "lines": total}
        audit.record(tx, who=audit.SYSTEM, what=GONE, connection_id=connection_id, after=after, now=now)
    return gone


def _any_older(tx: Connection, connection_id: str, day: dt.date) -> bool:
    """Asked every night of every organization: its first line is older than anything else that we keep of it."""
    first = sa.select(db.audit.c.at).where(db.audit.c.connection_id == connection_id)
    at = tx.scalar(first.order_by(db.audit.c.seq).limit(1))
    return at is not None and at < day.isoformat()


def _messages(
    tx: Connection, connection_id: str, day: dt.date, needed: sa.CompoundSelect[Any]
) -> dict[str, int]:
    r, w = db.reminders.c, db.writes.c
    old = sa.select(r.id).where(
        r.connection_id == connection_id,
        r.state.in_(("noted", "sent", "heard")),
        _day(r) < day,
        r.customer_id.not_in(needed),
    )
    ids = list(tx.scalars(old))
    for n in range(0, len(ids), 500):
        part = ids[n : n + 500]
        tx.execute(sa.delete(db.writes).where(w.connection_id == connection_id, w.reminder_id.in_(part)))
        tx.execute(sa.delete(db.reminders).where(r.id.in_(part)))
    return {"reminders": len(ids)}


def _day(c: sa.ColumnCollection[str, sa.Column[dt.date]]) -> sa.ColumnElement[dt.date]:
    return sa.func.coalesce(c.reached_on, c.due_on)


def _said(
    tx: Connection, connection_id: str, day: dt.date, moment: dt.datetime, needed: sa.CompoundSelect[Any]
) -> dict[str, int]:
    h, p, d = db.holds.c, db.promises.c, db.disputes.c
    over = {
        db.holds: sa.or_(h.lifted_at < moment, h.until < day),
        db.promises: sa.and_(p.promised_on < day, p.recorded_at < moment),
        db.disputes: d.closed_on < day,
    }
    gone = {}
    for table, old in over.items():
        mine = sa.and_(table.c.connection_id == connection_id, table.c.customer_id.not_in(needed), old)
        gone[table.name] = tx.execute(sa.delete(table).where(mine)).rowcount
    return gone


def _answers(
    tx: Connection, connection_id: str, moment: dt.datetime, needed: sa.CompoundSelect[Any]
) -> dict[str, int]:
    a, f, k = db.customer_answers.c, db.customer_files.c, db.customer_links.c
    old = sa.and_(
        a.connection_id == connection_id, a.customer_id.not_in(needed), a.at < moment, a.state != "waits"
    )
    tx.execute(sa.delete(db.customer_files).where(f.answer_id.in_(sa.select(a.id).where(old))))
    answers = tx.execute(sa.delete(db.customer_answers).where(old)).rowcount
    ended = sa.and_(
        k.connection_id == connection_id, k.expires_at < moment, k.id.not_in(sa.select(a.link_id))
    )
    links = tx.execute(sa.delete(db.customer_links).where(ended)).rowcount
    return {"customer_answers": answers, "customer_links": links}


def _plans(tx: Connection, connection_id: str, moment: dt.datetime) -> dict[str, int]:
    p, v = db.plans.c, db.plan_versions.c
    over = sa.select(p.number).where(
        p.connection_id == connection_id, p.state.in_(OVER), p.updated_at < moment
    )
    worded = sa.or_(v.why != "", v.author != "", v.approved_by != "")
    emptied = sa.update(db.plan_versions).where(v.plan.in_(over), worded)
    nothing = {"acceptance": sa.null(), "offered": sa.null(), "why": "", "author": "", "approved_by": ""}
    return {"plans": tx.execute(emptied.values(**nothing)).rowcount}


def _lines(tx: Connection, connection_id: str, moment: dt.datetime, needed: sa.CompoundSelect[Any]) -> int:
    p = db.plans.c
    mine = sa.select(p.number).where(p.connection_id == connection_id, p.state.not_in(OVER))
    running = [f"plan {plan_id(n)}" for n in tx.scalars(mine)]
    theirs = sa.select(sa.literal("customer ") + needed.subquery().c[0])
    return audit.erase_before(tx, connection_id, moment, but=running, nor=theirs)
