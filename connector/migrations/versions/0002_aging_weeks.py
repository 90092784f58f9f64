"""Kept aging of past weeks, and the open invoices by an index of their own."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "aging_weeks",
        sa.Column("connection_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("buckets", JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name=op.f("fk_aging_weeks_connection_id")
        ),
        sa.PrimaryKeyConstraint("connection_id", "day", "currency", name=op.f("pk_aging_weeks")),
    )
    open_only = sa.text("balance > 0")
    op.create_index(
        "ix_invoices_open",
        "invoices",
        ["connection_id", "currency", "due"],
        sqlite_where=open_only,
        postgresql_where=open_only,
    )
    op.create_index("ix_invoices_number", "invoices", ["connection_id", "number"])
