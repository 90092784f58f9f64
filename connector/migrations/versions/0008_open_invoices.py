"""The completeness proof counts open invoices too."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("our_invoices", "their_invoices"):
        op.add_column("differences", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
