"""Late fees, interest and early-payment discounts that a person approved."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    text, moment = sa.Text(), sa.DateTime(timezone=True)
    op.create_table(
        "charges",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("connection_id", text, nullable=False),
        *(sa.Column(name, text, nullable=False) for name in ("customer_id", "invoice_id", "kind", "key", "currency")),
        sa.Column("amount", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("until_day", sa.Date(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("rule", text, nullable=False, server_default=""),
        sa.Column("spans", JSON, nullable=True),
        sa.Column("number", text, nullable=False, server_default=""),
        sa.Column("state", text, nullable=False),
        sa.Column("approved_by", text, nullable=False, server_default=""),
        sa.Column("approved_at", moment, nullable=False),
        sa.Column("waived_by", text, nullable=False, server_default=""),
        sa.Column("waived_at", moment, nullable=True),
        sa.Column("why", text, nullable=False, server_default=""),
        sa.ForeignKeyConstraint(["connection_id"], ["connections.id"], name=op.f("fk_charges_connection_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charges")),
    )  # fmt: skip
    op.create_index("ix_charges_customer", "charges", ["connection_id", "customer_id"])
    standing = sa.text("state <> 'withdrawn'")
    op.create_index(
        "uq_charges_event",
        "charges",
        ["connection_id", "key"],
        unique=True,
        sqlite_where=standing,
        postgresql_where=standing,
    )
