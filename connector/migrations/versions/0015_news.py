"""Predictions are learned anew when something changed in the books, not each night."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("connections", sa.Column("news_at", sa.DateTime(timezone=True), nullable=True))
