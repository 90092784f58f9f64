"""How right predictions would have been is kept, and the days between which money is expected."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "track_records",
        sa.Column("connection_id", sa.Text(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("record", JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name=op.f("fk_track_records_connection_id")
        ),
        sa.PrimaryKeyConstraint("connection_id", name=op.f("pk_track_records")),
    )
    op.add_column("predictions", sa.Column("earliest", sa.Date(), nullable=True))
    op.add_column("predictions", sa.Column("latest", sa.Date(), nullable=True))
    op.add_column("predictions", sa.Column("stays_open", sa.Float(), nullable=True))
