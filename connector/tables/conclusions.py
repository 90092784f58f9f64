"""What a review concluded: rebuilt from the books, but for what was expected and said."""

from __future__ import annotations

import sqlalchemy as sa

from connector.tables.columns import Json, Minor, Moment, Text, key, metadata, money, of, text

__all__ = (
    "aging_weeks",
    "assessments",
    "expected_weeks",
    "findings",
    "predictions",
    "track_records",
)

findings = sa.Table(
    "findings",
    metadata,
    key(),
    of(),
    text("customer_id", None),
    text("kind", None),
    text("key"),  # tells two open findings of a kind apart: an invoice id, a currency
    sa.Column("position", sa.Integer, nullable=False, server_default="0"),
    sa.Column("since", sa.Date),
    sa.Column("evidence", Json),
    sa.Column("text", Text),
    sa.Column("opened_on", sa.Date, nullable=False),
    sa.Column("seen_on", sa.Date),
    sa.Column("closed_on", sa.Date),  # NULL: still so
    sa.Index("ix_findings_customer", "connection_id", "customer_id"),
    sa.Index(
        "uq_findings_open",
        "connection_id",
        "customer_id",
        "kind",
        "key",
        unique=True,
        sqlite_where=sa.text("closed_on IS NULL"),
        postgresql_where=sa.text("closed_on IS NULL"),
    ),
)

assessments = sa.Table(
    "assessments",
    metadata,
    of(primary=True),
    sa.Column("customer_id", Text, primary_key=True),
    text("segment", None),
    sa.Column("reasons", Json),
    sa.Column("priority", sa.Float, nullable=False, server_default="0"),
    sa.Column("balances", Json),
    sa.Column("data", Json),
    sa.Column("since", sa.Date),  # in this segment since
    sa.Column("judged_on", sa.Date),  # the day by which it is counted; NULL: `as_of`
    sa.Column("as_of", sa.Date),  # the day of the last look, at the messages at least
    sa.Column("reviewed_at", Moment),
    # While nothing happens, the same is concluded until the day before `judge_on`, and the same message is due until
    # the day before `next_on`, which is never later; NULL: every day may say something else.
    sa.Column("judge_on", sa.Date),
    sa.Column("next_on", sa.Date),
    text("rules"),  # a fingerprint of the code and policy that concluded it
    sa.Column("overdue", Minor),  # in the currency in which it is most; NULL: owes nothing
    sa.Column("findings", sa.Integer, nullable=False, server_default="0"),  # how many are open
    sa.Index(
        "ix_assessments_pressing",
        "connection_id",
        "priority",
        "customer_id",
        sqlite_where=sa.text("findings > 0"),
        postgresql_where=sa.text("findings > 0"),
    ),
    sa.Index(
        "ix_assessments_overdue",
        "connection_id",
        "overdue",
        "customer_id",
        sqlite_where=sa.text("overdue IS NOT NULL"),
        postgresql_where=sa.text("overdue IS NOT NULL"),
    ),
)

track_records = sa.Table(  # how right predictions would have been over twelve months: rebuilt from the books
    "track_records",
    metadata,
    of(primary=True),
    sa.Column("as_of", sa.Date, nullable=False),
    sa.Column("record", Json, nullable=False),
)

aging_weeks = sa.Table(  # what was owed by age at the end of past weeks: rebuilt from the books
    "aging_weeks",
    metadata,
    of(primary=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("currency", Text, primary_key=True),
    sa.Column("buckets", Json, nullable=False),
)

expected_weeks = sa.Table(  # what money was expected in which week, by the week in which it was said: kept
    "expected_weeks",
    metadata,
    of(primary=True),
    sa.Column("said_in", sa.Date, primary_key=True),  # the Monday of that week
    sa.Column("currency", Text, primary_key=True),
    sa.Column("week", sa.Date, primary_key=True),  # the Monday of the week in which it would come
    sa.Column("said_on", sa.Date, nullable=False),
    sa.Column("told", sa.Boolean, nullable=False, server_default=sa.true()),  # False: worked out afterwards
    money("amount"),
    money("low"),
    money("high"),
    money("older"),  # the part from invoices that were known four weeks earlier
    sa.Column("came", Minor),  # in the four weeks after it was said, of what was known then
)

predictions = sa.Table(
    "predictions",
    metadata,
    of(primary=True),
    sa.Column("invoice_id", Text, primary_key=True),
    sa.Column("late", sa.Float),
    sa.Column("late_30", sa.Float),
    sa.Column("expected_payment", sa.Date),
    text("basis", "none"),
    sa.Column("earliest", sa.Date),  # four of five are expected between these two
    sa.Column("latest", sa.Date),
    sa.Column("stays_open", sa.Float),
    sa.Column("as_of", sa.Date),
)
