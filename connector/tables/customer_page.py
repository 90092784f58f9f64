"""The customer's own page: its addresses, and what customers answered and sent."""

from __future__ import annotations

import sqlalchemy as sa

from connector.tables.columns import Json, Moment, Text, count, key, metadata, of, text

__all__ = (
    "customer_answers",
    "customer_files",
    "customer_links",
    "notices",
)

customer_links = sa.Table(  # addresses of the customer's page, and of the bookkeeper's news feed
    "customer_links",
    metadata,
    key(),
    of(),
    text("customer_id"),  # "" for a news feed
    text("kind", "page"),  # page | feed
    sa.Column(
        "digest", Text, nullable=False, unique=True
    ),  # SHA-256 of the address's secret, never the secret
    sa.Column("documents", Json, nullable=False),  # the invoices that it shows, and no others
    text("origin", None),  # reminder | plan | person
    text("level"),  # of the reminder that carries it
    text("created_by"),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
    sa.Column("revoked_at", Moment),
    text("revoked_by"),
    sa.Column("first_seen_at", Moment),
    sa.Column("last_seen_at", Moment),
    sa.Index("ix_customer_links_customer", "connection_id", "customer_id"),
)

customer_answers = sa.Table(
    "customer_answers",
    metadata,
    key(),
    of(),
    text("customer_id", None),
    sa.Column("link_id", sa.ForeignKey("customer_links.id"), nullable=False, index=True),
    sa.Column("key", Text, nullable=False, unique=True),  # of the form: sent twice is one answer
    text("kind", None),  # promise | plan | dispute | call | change | stop | data
    sa.Column("invoice_id", Text),
    sa.Column("plan", sa.ForeignKey("plans.number"), index=True),
    text("state", None),  # done | waits | settled
    sa.Column("data", Json, nullable=False),
    text("reply"),  # what the customer reads
    sa.Column("at", Moment, nullable=False),
    text("address"),
    text("agent"),
    sa.Column("settled_by", Text),
    sa.Column("settled_at", Moment),
    sa.Index("ix_customer_answers_customer", "connection_id", "customer_id"),
    sa.Index("ix_customer_answers_state", "connection_id", "state"),
)

customer_files = sa.Table(  # what customers sent: kept and handed out as it came, never opened here
    "customer_files",
    metadata,
    key(),
    of(),
    sa.Column("answer_id", sa.ForeignKey("customer_answers.id"), nullable=False, index=True),
    text("name"),
    text("type", None),
    sa.Column("size", sa.Integer, nullable=False),
    text("digest", None),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)

notices = sa.Table(  # who wants an e-mail when a customer answered
    "notices",
    metadata,
    of(primary=True),
    sa.Column("person_id", sa.ForeignKey("people.id"), primary_key=True),
    count("told"),  # the newest answer that they were told of
    count("failed"),  # tries in a row
    sa.Column("again_at", Moment),  # not before this
    sa.Column("since", Moment, nullable=False),
)
