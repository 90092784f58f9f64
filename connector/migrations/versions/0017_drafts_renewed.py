"""A draft that nobody answers keeps its number when its first payment day passes, and knows since when it waits."""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

TERMS = sa.JSON().with_variant(JSONB(), "postgresql")
PLANS = sa.table(
    "plans",
    *(sa.column(name) for name in ("number", "connection_id", "customer_id", "state", "version", "revision")),
    sa.column("created_by"),
    sa.column("waits_since", sa.Date()),
)
VERSIONS = sa.table("plan_versions", sa.column("plan"), sa.column("version"), sa.column("terms", TERMS))


def upgrade() -> None:
    op.add_column("plans", sa.Column("waits_since", sa.Date(), nullable=True))
    op.add_column("plans", sa.Column("renewed", sa.BigInteger(), server_default="0", nullable=False))
    fill()


def fill() -> None:
    """Our own drafts that nobody touched wait since the first of the withdrawn ones over the same invoices."""
    tx, p = op.get_bind(), PLANS.c
    ours = sa.and_(p.state == "proposed", p.created_by == "Forbear", p.revision == 1)
    for number, connection_id, customer_id, terms in list(drafts(tx, ours)):
        theirs = sa.and_(p.connection_id == connection_id, p.customer_id == customer_id)
        gone = [t for *_, t in drafts(tx, sa.and_(theirs, p.state == "withdrawn")) if ids(t) & ids(terms)]
        since = min(dt.date.fromisoformat(t["drafted_on"]) for t in (terms, *gone))
        tx.execute(sa.update(PLANS).where(p.number == number).values(waits_since=since))


def drafts(tx: sa.Connection, where: sa.ColumnElement[bool]) -> Iterator[Any]:
    p, v = PLANS.c, VERSIONS.c
    current = PLANS.join(VERSIONS, sa.and_(v.plan == p.number, v.version == p.version))
    yield from tx.execute(
        sa.select(p.number, p.connection_id, p.customer_id, v.terms).select_from(current).where(where)
    )


def ids(terms: Mapping[str, Any]) -> set[str]:
    return {source["invoice_id"] for source in terms["sources"]}
