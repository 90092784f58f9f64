"""A night may look at a customer's messages without judging the customer again, while nothing else can be concluded."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("assessments", sa.Column("judged_on", sa.Date(), nullable=True))
    op.add_column("assessments", sa.Column("judge_on", sa.Date(), nullable=True))
