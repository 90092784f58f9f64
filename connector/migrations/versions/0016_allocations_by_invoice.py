"""Nobody looks for allocations by their invoice: one index less to keep with every payment."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_allocations_invoice", table_name="allocations")
