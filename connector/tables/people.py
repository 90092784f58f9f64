"""People who sign in: who they are, what they may do where, and what was done (the audit)."""

from __future__ import annotations

import sqlalchemy as sa

from connector.tables.columns import Id, Json, Moment, Text, flag, key, metadata, of, text

__all__ = (
    "audit",
    "identities",
    "invitations",
    "memberships",
    "people",
    "sessions",
)

people = sa.Table(
    "people",
    metadata,
    key(),
    text("name"),
    text("email"),
    text("locale"),
    sa.Column("facts", Json),
    sa.Column("created_at", Moment, nullable=False),
)

identities = sa.Table(
    "identities",
    metadata,
    sa.Column("issuer", Text, primary_key=True),
    sa.Column("subject", Text, primary_key=True),
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False, index=True),
    text("email"),
    flag("email_verified"),
    sa.Column("seen_at", Moment),
)

memberships = sa.Table(
    "memberships",
    metadata,
    sa.Column("person_id", sa.ForeignKey("people.id"), primary_key=True),
    sa.Column("connection_id", sa.ForeignKey("connections.id"), primary_key=True, index=True),
    text("role", None),  # read | act | configure
    text("granted_by"),
    sa.Column("granted_at", Moment),
)

invitations = sa.Table(
    "invitations",
    metadata,
    sa.Column("id", Text, primary_key=True),  # SHA-256 of the link's secret, never the secret
    of(index=True),
    text("role", None),
    sa.Column("made_by", sa.ForeignKey("people.id"), nullable=False),
    sa.Column("made_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
    sa.Column("used_by", sa.ForeignKey("people.id")),
    sa.Column("used_at", Moment),
    sa.Column("withdrawn_at", Moment),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", Text, primary_key=True),  # SHA-256 of the cookie's value, never the value
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False, index=True),
    text("client"),
    sa.Column("data", Json),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("seen_at", Moment),
    sa.Column("expires_at", Moment, nullable=False, index=True),
    sa.Column("ended_at", Moment),
)

audit = sa.Table(  # append-only; each row's hash covers the one before it
    "audit",
    metadata,
    sa.Column("seq", Id, primary_key=True, autoincrement=True),
    of(null=True),
    text("at", None),  # ISO text exactly as hashed
    text("who", None),
    text("what", None),
    sa.Column("subject", Text),
    sa.Column("why", Text),
    sa.Column("before", Json),
    sa.Column("after", Json),
    sa.Column("previous", Text, nullable=False, unique=True),  # two writers cannot fork the chain
    sa.Column("hash", Text, nullable=False, unique=True),
    sa.Index("ix_audit_newest", "connection_id", "seq"),
    sa.Index("ix_audit_subject", "connection_id", "subject", "seq"),
)
