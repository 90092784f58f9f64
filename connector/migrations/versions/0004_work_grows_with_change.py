"""Quiet customers wait for their day, and what is owed is read from indexes alone."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("assessments", sa.Column("next_on", sa.Date(), nullable=True))
    op.add_column("assessments", sa.Column("rules", sa.Text(), nullable=False, server_default=""))
    open_only = sa.text("balance > 0")
    op.drop_index("ix_invoices_open", table_name="invoices")
    for name, columns in (
        ("ix_invoices_open", ["connection_id", "currency", "due", "balance", "status"]),
        ("ix_invoices_owing", ["connection_id", "customer_id", "currency", "due", "balance", "status"]),
    ):
        op.create_index(name, "invoices", columns, sqlite_where=open_only, postgresql_where=open_only)
