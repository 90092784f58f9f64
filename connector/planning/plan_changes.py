"""How a change of a plan is stored: its row, once for each revision, its versions with their installments, and the
line in the record. What changes, and when it may, is decided in connector.planning.plans alone.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector.db import installments, plan_versions, plans
from connector.domain.plan import Plan
from connector.planning import plan_rows
from connector.planning.plan_records import Record, Row
from connector.practice.settings import EditedMeanwhile
from connector.record import audit
from connector.writing.outbox import plan_number as number_of

_AS_READ = sa.update(plans).where(
    plans.c.number == sa.bindparam("its_number"), plans.c.revision == sa.bindparam("as_read")
)


def bump(
    tx: Connection, record: Record, now: dt.datetime, *, revision: int | None = None, **values: Any
) -> None:
    """Change the plan's row if it still is at the revision that was read. Raises EditedMeanwhile."""
    if revision is not None and revision != record.revision:
        raise EditedMeanwhile(
            f"Somebody else changed plan {record.id} while you were looking at it. Look at their version first."
        )
    read = {"its_number": number_of(record.id), "as_read": record.revision}
    changed = tx.execute(_AS_READ, {**read, "revision": record.revision + 1, "updated_at": now, **values})
    if changed.rowcount != 1:
        raise EditedMeanwhile(f"Plan {record.id} changed a moment ago. Look at it again.")


def keep_version(tx: Connection, plan: Plan, *, who: str, why: str, now: dt.datetime) -> dict[str, Any]:
    """A new version with its rows, all of them open. Returns its terms as they are stored."""
    terms = plan.to_json()
    number = number_of(plan.id)
    version = {
        "plan": number,
        "version": plan.version,
        "terms": terms,
        "sources": terms["sources"],
        "digest": plan.digest,
        "reasons": list(plan.reasons),
        "mode": str(plan.mode),
        "author": who,
        "why": why,
        "created_at": now,
    }
    rows = [
        {
            "plan": number,
            "version": plan.version,
            "n": row.n,
            "due": row.due,
            "nominal_due": row.nominal_due,
            "amount": row.amount,
            "principal": row.principal,
            "interest": row.interest,
            "open": row.open,
            "state": row.state,
        }
        for row in all_open(plan)
    ]
    plan_rows.keep(tx, version, rows)
    return terms


def all_open(plan: Plan) -> tuple[Row, ...]:
    """The rows of a version that nobody has paid any of."""
    return tuple(
        Row(r.n, r.due, r.nominal, r.total, r.principal, r.interest, None, r.total, "open") for r in plan.rows
    )


def forget_version(tx: Connection, plan: Plan) -> None:
    """Only for a version that nobody approved."""
    plan_rows.forget(tx, number_of(plan.id), plan.version)


def set_version(tx: Connection, plan: Plan, **values: Any) -> None:
    """Change columns of this version: who approved it, its proof, the customer's yes."""
    plan_rows.stored(tx)
    where = sa.and_(plan_versions.c.plan == number_of(plan.id), plan_versions.c.version == plan.version)
    tx.execute(sa.update(plan_versions).where(where).values(**values))


def set_installment(tx: Connection, plan: Plan, n: int, **values: Any) -> None:
    """Change columns of one row of this version."""
    plan_rows.stored(tx)
    where = sa.and_(
        installments.c.plan == number_of(plan.id),
        installments.c.version == plan.version,
        installments.c.n == n,
    )
    tx.execute(sa.update(installments).where(where).values(**values))


def log(
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
    """A line about the plan in the record."""
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
