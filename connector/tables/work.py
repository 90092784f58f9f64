"""Work under way: leases, webhooks that came in, jobs that failed, calls, records set aside, the proof's differences."""

from __future__ import annotations

import sqlalchemy as sa

from connector.tables.columns import Minor, Moment, Text, count, flag, key, metadata, of, text

__all__ = (
    "calls",
    "changed_customers",
    "differences",
    "failures",
    "inbox",
    "leases",
    "set_aside",
    "unread",
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", Text, primary_key=True),
    text("owner", None),
    sa.Column("until", Moment, nullable=False),
    sa.Column("taken_at", Moment, nullable=False),
)

inbox = sa.Table(
    "inbox",
    metadata,
    key(),
    text("platform", None),
    text("external_id", None),
    sa.Column("event_key", Text, nullable=False, unique=True),
    text("kind"),  # receivables.Kind, or "" for "something changed"
    text("record_id"),
    text("verb"),  # created | updated | deleted | merged | voided | emailed
    of(null=True),  # NULL: an organization we do not know (yet)
    sa.Column("occurred_at", Moment),
    sa.Column("received_at", Moment, nullable=False),
    sa.Column("drained_at", Moment),
    sa.Index("ix_inbox_pending", "connection_id", "drained_at"),
    sa.Index("ix_inbox_unknown", "platform", "external_id"),
)

failures = sa.Table(  # of jobs, for reasons that nobody expected; a job that succeeds drops its row
    "failures",
    metadata,
    of(primary=True),
    sa.Column("job", Text, primary_key=True),  # sync_connection | review_connection | …
    text("reason"),  # type and place of the error, never its words
    count("times"),  # in a row, for the same reason
    sa.Column("first_at", Moment, nullable=False),
    sa.Column("last_at", Moment, nullable=False),
    sa.Column("again_at", Moment),  # NULL: set aside until a person tries it again
)

changed_customers = sa.Table(  # by a sync, not yet reviewed: kept with the data, so that no crash loses them
    "changed_customers",
    metadata,
    of(primary=True),
    sa.Column("customer_id", Text, primary_key=True),
    sa.Column("changed_at", Moment, nullable=False),
)

unread = sa.Table(  # signed webhook bodies that we could not read, kept for `forbear doctor`
    "unread",
    metadata,
    key(),
    text("platform", None),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("digest", Text, nullable=False, unique=True),  # the ledger repeats itself; we keep one
    text("why"),
    sa.Column("received_at", Moment, nullable=False),
)

calls = sa.Table(
    "calls",
    metadata,
    of(primary=True),
    sa.Column("day", sa.Date, primary_key=True),  # UTC, as both ledgers count
    sa.Column("operation", Text, primary_key=True),
    flag("writes"),
    count("calls"),
    count("failed"),
    count("bytes_in"),
    count("bytes_out"),
    sa.Column("seconds", sa.Float, nullable=False, server_default="0"),
)

set_aside = sa.Table(
    "set_aside",
    metadata,
    of(primary=True),
    sa.Column("kind", Text, primary_key=True),
    sa.Column("id", Text, primary_key=True),
    text("reason", None),
    text("raw"),
    sa.Column("seen", sa.Integer, nullable=False),  # the sync generation that last met it
    sa.Column("first_seen_at", Moment, nullable=False),
    sa.Column("seen_at", Moment, nullable=False),
)

differences = sa.Table(
    "differences",
    metadata,
    of(primary=True),
    sa.Column("customer_id", Text, primary_key=True),
    sa.Column("currency", Text, primary_key=True),
    sa.Column("ours", Minor, nullable=False),
    sa.Column("theirs", Minor, nullable=False),
    sa.Column("first_seen_at", Moment, nullable=False),
    sa.Column("seen_at", Moment, nullable=False),
    sa.Column("our_invoices", sa.Integer, nullable=False, server_default="0"),  # how many are open
    sa.Column("their_invoices", sa.Integer, nullable=False, server_default="0"),
)
