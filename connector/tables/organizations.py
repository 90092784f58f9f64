"""Who is connected: permissions, organizations and what was set for each."""

from __future__ import annotations

import sqlalchemy as sa

from connector.tables.columns import Json, Moment, Text, flag, key, metadata, of, text

__all__ = (
    "connections",
    "grants",
    "settings",
)

# One consent at a ledger. Several Xero organizations share one token, so the token cannot live on a connection:
# refreshing it for one organization would take it from the others.
grants = sa.Table(
    "grants",
    metadata,
    key(),
    text("platform", None),
    sa.Column("token", Text),  # encrypted JSON of platforms.Token; NULL once forgotten
    sa.Column("token_expires_at", Moment),
    sa.Column("refresh_expires_at", Moment),
    sa.Column("token_version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("refreshed_at", Moment),
    # Set while a refresh is under way: when it stays, the answer to one never arrived.
    sa.Column("lost_answer_at", Moment),
    text("issuer"),
    text("subject"),
    sa.Column("created_at", Moment, nullable=False),
)

connections = sa.Table(
    "connections",
    metadata,
    sa.Column("id", Text, primary_key=True),  # made by us, unguessable: it stands in addresses
    text("platform", None),
    text("external_id", None),  # realmId, tenantId
    text("connection_ref"),
    sa.Column("grant_id", sa.ForeignKey("grants.id"), index=True),
    text("organization"),  # its name, as the ledger says it
    text("status", "connected"),  # connected | needs_reconnecting | disconnected
    text("status_reason"),  # plain words
    sa.Column("facts", Json),  # receivables.Organization
    sa.Column("facts_at", Moment),
    text("timezone", "UTC"),
    text("home_currency"),
    text("country"),
    sa.Column("cursor", Json),
    sa.Column("generation", sa.Integer, nullable=False, server_default="0"),  # of the last full pull
    sa.Column("last_sync_at", Moment),
    sa.Column("last_full_at", Moment),
    sa.Column("last_review_on", sa.Date),  # organization's day of the last whole review
    sa.Column("review_asked_at", Moment),  # somebody changed a rule: look at all customers again; NULL: done
    sa.Column("news_at", Moment),  # something changed of which predictions know nothing yet; NULL: nothing
    sa.Column("last_proof_at", Moment),  # completeness compared
    sa.Column("progress", Json),  # {"step","what","done","expected","at","error"}
    sa.Column("retry_at", Moment),  # a ledger said wait: not before this
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("disconnected_at", Moment),
    sa.UniqueConstraint("platform", "external_id"),
)

settings = sa.Table(  # made on the first save
    "settings",
    metadata,
    of(primary=True),
    sa.Column("policy", Json, nullable=False),  # domain.policy
    sa.Column("income_basis", Text),
    sa.Column("income_basis_by", Text),
    sa.Column("income_basis_at", Moment),
    sa.Column("sales_tax_basis", Text),
    sa.Column("sales_tax_basis_by", Text),
    sa.Column("sales_tax_basis_at", Moment),
    text("clearing", "auto"),  # auto, or the account's code or id
    sa.Column("clearing_found", Json),  # platforms.Clearing as the ledger last confirmed it
    flag("live"),
    sa.Column("live_by", Text),
    sa.Column("live_at", Moment),
    sa.Column(
        "ledger_reminders", Text
    ),  # on | off | NULL: what the bookkeeper said of the ledger's own reminders
    sa.Column("revision", sa.Integer, nullable=False, server_default="0"),
    sa.Column("updated_by", Text),
    sa.Column("updated_at", Moment),
)
