"""Plans, promises, holds, disputes, reminders, and the outbox that writes them to the ledger."""

from __future__ import annotations

import sqlalchemy as sa

from connector.tables.columns import Id, Json, Minor, Moment, Text, count, key, metadata, money, of, text

__all__ = (
    "charges",
    "credit_limits",
    "disputes",
    "holds",
    "installments",
    "plan_versions",
    "plans",
    "promises",
    "reminders",
    "todos",
    "writes",
)

plans = sa.Table(
    "plans",
    metadata,
    sa.Column("number", Id, primary_key=True, autoincrement=True),  # shown as PP-0001
    of(),
    text("customer_id", None),
    text("currency", None),
    text("mode", None),  # split | notes
    text("state", None),  # proposed | approved | running | finished | broken | cancelled
    sa.Column("version", sa.Integer, nullable=False),  # the one that counts now
    sa.Column("revision", sa.Integer, nullable=False),  # optimistic lock of edits
    sa.Column("progress", Text),
    sa.Column("paused_at", Moment),
    sa.Column("attention", Text),  # a sentence for a person, "" when none
    sa.Column("created_at", Moment),
    sa.Column("created_by", Text),
    sa.Column("updated_at", Moment),
    sa.Column(
        "waits_since", sa.Date
    ),  # a draft of our own: since when anybody could answer it or one before it
    count("renewed"),  # how often we moved the days of our own draft, each time one revision
    sa.Index("ix_plans_customer", "connection_id", "customer_id"),
    sa.Index("ix_plans_state", "connection_id", "state"),
)

plan_versions = sa.Table(
    "plan_versions",
    metadata,
    sa.Column("plan", sa.ForeignKey("plans.number"), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("terms", Json, nullable=False),
    sa.Column("sources", Json, nullable=False),  # the invoices as they were: id, number, balance, version …
    text("digest", None),
    sa.Column("reasons", Json),
    text("mode", None),
    sa.Column("author", Text),
    sa.Column("why", Text),
    sa.Column("created_at", Moment),
    sa.Column("approved_by", Text),
    sa.Column("approved_at", Moment),
    sa.Column("posted_on", sa.Date),
    sa.Column("acceptance", Json),
    sa.Column("offered", Json),  # shown on the customer's page: {"by","on","alone"}; NULL: it is not
    sa.Column("proof", Json),
)

installments = sa.Table(
    "installments",
    metadata,
    sa.Column("plan", Id, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("due", sa.Date, nullable=False),
    sa.Column("nominal_due", sa.Date),
    sa.Column("amount", Minor, nullable=False),
    sa.Column("principal", Minor, nullable=False),
    money("interest"),
    sa.Column("invoice_id", Text, index=True),  # the ledger's id, NULL until written (or notes mode)
    sa.Column("open", Minor, nullable=False),
    sa.Column("state", Text),
    sa.ForeignKeyConstraint(["plan", "version"], ["plan_versions.plan", "plan_versions.version"]),
)

promises = sa.Table(
    "promises",
    metadata,
    key(),
    of(),
    text("customer_id", None),
    sa.Column("invoice_id", Text),
    sa.Column("promised_on", sa.Date, nullable=False),  # the day the customer named
    sa.Column("amount", Minor),
    sa.Column("currency", Text),
    sa.Column("recorded_by", Text),
    sa.Column("recorded_at", Moment),
    sa.Column("withdrawn_at", Moment),
    sa.Index("ix_promises_customer", "connection_id", "customer_id"),
)

holds = sa.Table(
    "holds",
    metadata,
    key(),
    of(),
    text("customer_id", None),
    sa.Column("invoice_id", Text),  # NULL: the whole customer
    text("reason", None),
    sa.Column("note", Text),
    sa.Column("until", sa.Date),
    sa.Column("set_by", Text),
    sa.Column("set_at", Moment),
    sa.Column("lifted_by", Text),
    sa.Column("lifted_at", Moment),
    sa.Index("ix_holds_customer", "connection_id", "customer_id"),
)

credit_limits = sa.Table(  # entered by a person; each counts before the ledger's own
    "credit_limits",
    metadata,
    of(primary=True),
    sa.Column("customer_id", Text, primary_key=True),
    sa.Column("amount", Minor, nullable=False),
    text("currency", None),
    text("set_by", None),
    sa.Column("set_at", Moment, nullable=False),
)

disputes = sa.Table(
    "disputes",
    metadata,
    key(),
    of(),
    text("customer_id", None),
    sa.Column("invoice_id", Text),
    sa.Column("amount", Minor),
    sa.Column("currency", Text),
    text("reason"),
    text("note"),
    sa.Column("opened_on", sa.Date, nullable=False),
    sa.Column("opened_by", Text),
    sa.Column("closed_on", sa.Date),
    sa.Column("closed_by", Text),
    text("outcome"),
    sa.Index("ix_disputes_customer", "connection_id", "customer_id"),
)

reminders = sa.Table(
    "reminders",
    metadata,
    key(),
    of(),
    text("customer_id", None),
    text("level", None),
    text("cycle", None),  # which round of dunning this level belongs to
    sa.Column("due_on", sa.Date, nullable=False),
    sa.Column("reached_on", sa.Date),  # the organization's day on which it was noted or sent
    sa.Column("invoices", Json, nullable=False),
    sa.Column("text", Text),
    sa.Column("channel", Text),
    text("state", None),  # due | held | noted | sent …
    sa.Column("held_because", Json, nullable=False),
    sa.Column("created_at", Moment),
    sa.Column("updated_at", Moment),
    sa.UniqueConstraint("connection_id", "customer_id", "level", "cycle"),
    sa.Index("ix_reminders_state", "connection_id", "state"),
    sa.Index("ix_reminders_newest", "connection_id", "id"),
)

writes = sa.Table(  # the outbox
    "writes",
    metadata,
    key(),
    of(),
    sa.Column("plan", sa.ForeignKey("plans.number"), index=True),
    sa.Column("plan_version", sa.Integer),
    sa.Column("reminder_id", sa.ForeignKey("reminders.id"), index=True),
    text("batch", None),  # "PP-0007 v1" or "reminder 12": ordered by position inside
    sa.Column("position", sa.Integer, nullable=False),
    text("role"),
    text("name"),  # what "@name" in a later write of the batch stands for
    text("kind", None),  # domain.writes.KINDS
    text("key", None),  # the ledger's idempotency key
    text("number"),
    text("marker"),
    sa.Column("payload", Json, nullable=False),
    text("state", None),  # pending | sending | done | failed | held | cancelled
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("not_before", Moment),
    sa.Column("claimed_by", Text),
    sa.Column("claimed_at", Moment),
    sa.Column("claimed_until", Moment),
    sa.Column("external_id", Text),
    sa.Column("answer", Json),
    sa.Column("error", Text),  # plain words
    sa.Column("error_code", Text),
    sa.Column("error_words", Text),  # the ledger's own, scrubbed
    sa.Column("reference", Text),
    sa.Column("created_at", Moment),
    sa.Column("updated_at", Moment),
    sa.UniqueConstraint("connection_id", "key"),
    sa.Index("ix_writes_state", "state", "not_before"),
    sa.Index("ix_writes_batch", "connection_id", "batch", "position"),
    sa.Index("ix_writes_external", "connection_id", "external_id"),
    sa.Index("ix_writes_newest", "connection_id", "id"),
)

charges = sa.Table(  # late fees, interest and early-payment discounts that a person approved
    "charges",
    metadata,
    key(),
    of(),
    text("customer_id", None),
    text("invoice_id", None),
    text("kind", None),
    text("key", None),  # the event: posted at most once
    text("currency", None),
    money("amount"),
    sa.Column("until_day", sa.Date, nullable=False),  # interest is charged up to this day
    money("balance"),  # what was open on the invoice when it was approved
    text("rule"),
    sa.Column("spans", Json),
    text("number"),
    text("state", None),  # approved | waived | withdrawn; what the ledger has, its writes say
    text("approved_by"),
    sa.Column("approved_at", Moment, nullable=False),
    text("waived_by"),
    sa.Column("waived_at", Moment),
    text("why"),
    sa.Index("ix_charges_customer", "connection_id", "customer_id"),
    sa.Index(
        "uq_charges_event",
        "connection_id",
        "key",
        unique=True,
        sqlite_where=sa.text("state <> 'withdrawn'"),
        postgresql_where=sa.text("state <> 'withdrawn'"),
    ),
)

todos = sa.Table(
    "todos",
    metadata,
    key(),
    of(),
    sa.Column("plan", sa.ForeignKey("plans.number"), index=True),
    sa.Column("customer_id", Text),
    text("what", None),
    sa.Column("link", Text),
    text("key", None),
    sa.Column("created_at", Moment),
    sa.Column("done_by", Text),
    sa.Column("done_at", Moment),
    sa.UniqueConstraint("connection_id", "key"),
)
