"""Voided payments and money that is set against nothing are found without a walk over all payments."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

FEW = sa.text("unapplied <> 0 OR void")


def upgrade() -> None:
    op.create_index(
        "ix_payments_apart", "payments", ["connection_id"], sqlite_where=FEW, postgresql_where=FEW
    )
