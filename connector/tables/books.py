"""The books: our mirror of a ledger. Disposable, rebuilt by a full sync."""

from __future__ import annotations

import sqlalchemy as sa

from connector.tables.columns import Minor, Moment, Text, flag, metadata, money, of, text

__all__ = (
    "BOOKS",
    "allocations",
    "credits",
    "customers",
    "invoices",
    "payments",
)

customers = sa.Table(
    "customers",
    metadata,
    of(primary=True),
    sa.Column("id", Text, primary_key=True),
    text("name"),
    text("email"),
    text("phone"),
    text("currency"),
    text("country"),
    text("language"),
    sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
    text("parent_id"),
    text("merged_into"),
    flag("erasure_requested"),
    sa.Column("is_person", sa.Boolean),
    sa.Column("terms_days", sa.Integer),
    sa.Column("credit_limit", Minor),
    sa.Column("ledger_balance", Text),  # JSON text: books write it in bulk, past SQLAlchemy's types
    sa.Column("updated_at", Moment),
    sa.Column("seen", sa.Integer, nullable=False),  # the sync generation that last brought it
    sa.Index(
        "ix_customers_merged",
        "connection_id",
        sqlite_where=sa.text("merged_into <> ''"),
        postgresql_where=sa.text("merged_into <> ''"),
    ),
)

invoices = sa.Table(
    "invoices",
    metadata,
    of(primary=True),
    sa.Column("id", Text, primary_key=True),
    text("number"),
    text("customer_id", None),
    sa.Column("date", sa.Date, nullable=False),
    sa.Column("due", sa.Date, nullable=False),
    text("currency", None),
    money("total"),
    money("balance"),
    text("status", None),
    money("tax"),
    sa.Column("rate", Text),
    text("marker"),
    text("reference"),
    text("note"),
    sa.Column("expected_payment", sa.Date),
    sa.Column("emailed", sa.Boolean),
    text("pay_link"),
    text("version"),
    sa.Column("updated_at", Moment),
    sa.Column("seen", sa.Integer, nullable=False),
    sa.Index("ix_invoices_customer", "connection_id", "customer_id"),
    sa.Index(  # what is owed, without a walk over what was paid
        "ix_invoices_open",
        "connection_id",
        "currency",
        "due",
        "balance",
        "status",
        sqlite_where=sa.text("balance > 0"),
        postgresql_where=sa.text("balance > 0"),
    ),
    sa.Index(  # the same by customer
        "ix_invoices_owing",
        "connection_id",
        "customer_id",
        "currency",
        "due",
        "balance",
        "status",
        sqlite_where=sa.text("balance > 0"),
        postgresql_where=sa.text("balance > 0"),
    ),
    sa.Index("ix_invoices_number", "connection_id", "number"),
)

payments = sa.Table(
    "payments",
    metadata,
    of(primary=True),
    sa.Column("id", Text, primary_key=True),
    text("customer_id", None),
    sa.Column("date", sa.Date, nullable=False),
    text("currency", None),
    money("amount"),
    money("unapplied"),
    text("flavor", "payment"),
    flag("void"),
    text("marker"),
    text("reference"),
    text("version"),
    sa.Column("updated_at", Moment),
    sa.Column("seen", sa.Integer, nullable=False),
    sa.Index("ix_payments_customer", "connection_id", "customer_id"),
    sa.Index(  # what was voided, or is set against nothing, without a walk over all payments
        "ix_payments_apart",
        "connection_id",
        sqlite_where=sa.text("unapplied <> 0 OR void"),
        postgresql_where=sa.text("unapplied <> 0 OR void"),
    ),
)

credits = sa.Table(
    "credits",
    metadata,
    of(primary=True),
    sa.Column("id", Text, primary_key=True),
    text("number"),
    text("customer_id", None),
    sa.Column("date", sa.Date, nullable=False),
    text("currency", None),
    money("total"),
    money("remaining"),
    flag("void"),
    text("marker"),
    text("version"),
    sa.Column("updated_at", Moment),
    sa.Column("seen", sa.Integer, nullable=False),
    sa.Index("ix_credits_customer", "connection_id", "customer_id"),
)

allocations = sa.Table(  # parts of payments and credits set against invoices
    "allocations",
    metadata,
    of(primary=True),
    sa.Column("source", Text, primary_key=True),  # payment | credit
    sa.Column("source_id", Text, primary_key=True),
    sa.Column("n", sa.Integer, primary_key=True),  # order within the source
    text("customer_id", None),  # the source's: one customer's picture is read without a join
    text("invoice_id", None),
    money("amount"),
    sa.Column("date", sa.Date),
    text("id"),  # the ledger's own, where it has one
    sa.Index("ix_allocations_customer", "connection_id", "customer_id", "source"),
)

BOOKS = (customers, invoices, payments, credits, allocations)
