"""The customer's own page: its addresses, what customers answered, and the files they sent."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def _moment(name: str, *, null: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=null)


def _text(name: str, default: str | None = "") -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def _of(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["connection_id"], ["connections.id"], name=op.f(f"fk_{table}_connection_id")
    )


def upgrade() -> None:
    op.create_table(
        "customer_links",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("connection_id", sa.Text(), nullable=False),
        _text("customer_id"),
        _text("kind", "page"),
        _text("digest", None),
        sa.Column("documents", JSON, nullable=False),
        _text("origin", None),
        _text("level"),
        _text("created_by"),
        _moment("created_at", null=False),
        _moment("expires_at", null=False),
        _moment("revoked_at"),
        _text("revoked_by"),
        _moment("first_seen_at"),
        _moment("last_seen_at"),
        _of("customer_links"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_links")),
        sa.UniqueConstraint("digest", name=op.f("uq_customer_links_digest")),
    )
    op.create_index("ix_customer_links_customer", "customer_links", ["connection_id", "customer_id"])
    op.create_table(
        "customer_answers",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("connection_id", sa.Text(), nullable=False),
        _text("customer_id", None),
        sa.Column("link_id", sa.Integer(), nullable=False),
        _text("key", None),
        _text("kind", None),
        sa.Column("invoice_id", sa.Text()),
        sa.Column("plan", sa.Integer()),
        _text("state", None),
        sa.Column("data", JSON, nullable=False),
        _text("reply"),
        _moment("at", null=False),
        _text("address"),
        _text("agent"),
        sa.Column("settled_by", sa.Text()),
        _moment("settled_at"),
        _of("customer_answers"),
        sa.ForeignKeyConstraint(["link_id"], ["customer_links.id"], name=op.f("fk_customer_answers_link_id")),
        sa.ForeignKeyConstraint(["plan"], ["plans.number"], name=op.f("fk_customer_answers_plan")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_answers")),
        sa.UniqueConstraint("key", name=op.f("uq_customer_answers_key")),
    )
    op.create_index("ix_customer_answers_customer", "customer_answers", ["connection_id", "customer_id"])
    op.create_index("ix_customer_answers_state", "customer_answers", ["connection_id", "state"])
    op.create_index(op.f("ix_customer_answers_link_id"), "customer_answers", ["link_id"])
    op.create_index(op.f("ix_customer_answers_plan"), "customer_answers", ["plan"])
    op.create_table(
        "customer_files",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("connection_id", sa.Text(), nullable=False),
        sa.Column("answer_id", sa.Integer(), nullable=False),
        _text("name"),
        _text("type", None),
        sa.Column("size", sa.Integer(), nullable=False),
        _text("digest", None),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        _moment("created_at", null=False),
        _of("customer_files"),
        sa.ForeignKeyConstraint(
            ["answer_id"], ["customer_answers.id"], name=op.f("fk_customer_files_answer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_files")),
    )
    op.create_index(op.f("ix_customer_files_answer_id"), "customer_files", ["answer_id"])
