"""Every table, the engine, and the two ways in: `transaction()` to write, `reading()` to read one snapshot.

Two kinds of data, never mixed in a table. BOOKS are our mirror of a ledger: disposable, rebuilt by a full sync.
Everything else is OURS and precious. Amounts are whole minor units beside a currency. Dates are calendar
dates in the organization's zone; moments are UTC. JSON columns hold plain JSON (dates as ISO text).
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.types import TypeDecorator

from connector import logs
from connector.config import Config

MIGRATIONS = Path(__file__).with_name("migrations")
BUSY_SECONDS = 30

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Moment(TypeDecorator[dt.datetime]):
    """A point in time, UTC. Refuses a naive datetime: nobody could say which zone it means."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        return value.astimezone(dt.UTC)

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
Minor = sa.BigInteger()
Text = sa.Text()
Id = sa.Integer()  # SQLite counts up only for INTEGER; 2 billion rows are enough for each of these


def _key() -> sa.Column[Any]:
    return sa.Column("id", Id, primary_key=True, autoincrement=True)


def _of(*, primary: bool = False, null: bool = False, index: bool = False) -> sa.Column[Any]:
    """The connection a row belongs to: every row about an organization names it."""
    return sa.Column(
        "connection_id",
        sa.ForeignKey("connections.id"),
        primary_key=primary,
        nullable=null,
        index=index or None,
    )


def _text(name: str, default: str | None = "") -> sa.Column[Any]:
    """A text column; `default=None` makes it required, "" optional and never NULL."""
    if default is None:
        return sa.Column(name, Text, nullable=False)
    return sa.Column(name, Text, nullable=False, server_default=default)


def _flag(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false())


def _count(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")


def _money(name: str) -> sa.Column[Any]:
    return sa.Column(name, Minor, nullable=False, server_default="0")


# ---------------------------------------------------------------- who is connected

# One consent at a ledger. Several Xero organizations share one token, so the token cannot live on a connection:
# refreshing it for one organization would take it from the others.
grants = sa.Table(
    "grants",
    metadata,
    _key(),
    _text("platform", None),
    sa.Column("token", Text),  # encrypted JSON of platforms.Token; NULL once forgotten
    sa.Column("token_expires_at", Moment),
    sa.Column("refresh_expires_at", Moment),
    sa.Column("token_version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("refreshed_at", Moment),
    # Set while a refresh is under way: when it stays, the answer to one never arrived.
    sa.Column("lost_answer_at", Moment),
    _text("issuer"),
    _text("subject"),
    sa.Column("created_at", Moment, nullable=False),
)

connections = sa.Table(
    "connections",
    metadata,
    sa.Column("id", Text, primary_key=True),  # made by us, unguessable: it stands in addresses
    _text("platform", None),
    _text("external_id", None),  # realmId, tenantId
    _text("connection_ref"),
    sa.Column("grant_id", sa.ForeignKey("grants.id"), index=True),
    _text("organization"),  # its name, as the ledger says it
    _text("status", "connected"),  # connected | needs_reconnecting | disconnected
    _text("status_reason"),  # plain words
    sa.Column("facts", Json),  # receivables.Organization
    sa.Column("facts_at", Moment),
    _text("timezone", "UTC"),
    _text("home_currency"),
    _text("country"),
    sa.Column("cursor", Json),
    sa.Column("generation", sa.Integer, nullable=False, server_default="0"),  # of the last full pull
    sa.Column("last_sync_at", Moment),
    sa.Column("last_full_at", Moment),
    sa.Column("last_review_on", sa.Date),  # organization's day of the last whole review
    sa.Column("review_asked_at", Moment),  # somebody changed a rule: look at all customers again; NULL: done
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
    _of(primary=True),
    sa.Column("policy", Json, nullable=False),  # domain.policy
    sa.Column("income_basis", Text),
    sa.Column("income_basis_by", Text),
    sa.Column("income_basis_at", Moment),
    sa.Column("sales_tax_basis", Text),
    sa.Column("sales_tax_basis_by", Text),
    sa.Column("sales_tax_basis_at", Moment),
    _text("clearing", "auto"),  # auto, or the account's code or id
    sa.Column("clearing_found", Json),  # platforms.Clearing as the ledger last confirmed it
    _flag("live"),
    sa.Column("live_by", Text),
    sa.Column("live_at", Moment),
    sa.Column(
        "ledger_reminders", Text
    ),  # on | off | NULL: what the bookkeeper said of the ledger's own reminders
    sa.Column("revision", sa.Integer, nullable=False, server_default="0"),
    sa.Column("updated_by", Text),
    sa.Column("updated_at", Moment),
)

people = sa.Table(
    "people",
    metadata,
    _key(),
    _text("name"),
    _text("email"),
    _text("locale"),
    sa.Column("facts", Json),
    sa.Column("created_at", Moment, nullable=False),
)

identities = sa.Table(
    "identities",
    metadata,
    sa.Column("issuer", Text, primary_key=True),
    sa.Column("subject", Text, primary_key=True),
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False, index=True),
    _text("email"),
    _flag("email_verified"),
    sa.Column("seen_at", Moment),
)

memberships = sa.Table(
    "memberships",
    metadata,
    sa.Column("person_id", sa.ForeignKey("people.id"), primary_key=True),
    sa.Column("connection_id", sa.ForeignKey("connections.id"), primary_key=True, index=True),
    _text("role", None),  # read | act | configure
    _text("granted_by"),
    sa.Column("granted_at", Moment),
)

invitations = sa.Table(
    "invitations",
    metadata,
    sa.Column("id", Text, primary_key=True),  # SHA-256 of the link's secret, never the secret
    _of(index=True),
    _text("role", None),
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
    _text("client"),
    sa.Column("data", Json),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("seen_at", Moment),
    sa.Column("expires_at", Moment, nullable=False, index=True),
    sa.Column("ended_at", Moment),
)

# ---------------------------------------------------------------- work

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", Text, primary_key=True),
    _text("owner", None),
    sa.Column("until", Moment, nullable=False),
    sa.Column("taken_at", Moment, nullable=False),
)

inbox = sa.Table(
    "inbox",
    metadata,
    _key(),
    _text("platform", None),
    _text("external_id", None),
    sa.Column("event_key", Text, nullable=False, unique=True),
    _text("kind"),  # receivables.Kind, or "" for "something changed"
    _text("record_id"),
    _text("verb"),  # created | updated | deleted | merged | voided | emailed
    _of(null=True),  # NULL: an organization we do not know (yet)
    sa.Column("occurred_at", Moment),
    sa.Column("received_at", Moment, nullable=False),
    sa.Column("drained_at", Moment),
    sa.Index("ix_inbox_pending", "connection_id", "drained_at"),
    sa.Index("ix_inbox_unknown", "platform", "external_id"),
)

failures = sa.Table(  # of jobs, for reasons that nobody expected; a job that succeeds drops its row
    "failures",
    metadata,
    _of(primary=True),
    sa.Column("job", Text, primary_key=True),  # sync_connection | review_connection | …
    _text("reason"),  # type and place of the error, never its words
    _count("times"),  # in a row, for the same reason
    sa.Column("first_at", Moment, nullable=False),
    sa.Column("last_at", Moment, nullable=False),
    sa.Column("again_at", Moment),  # NULL: set aside until a person tries it again
)

changed_customers = sa.Table(  # by a sync, not yet reviewed: kept with the data, so that no crash loses them
    "changed_customers",
    metadata,
    _of(primary=True),
    sa.Column("customer_id", Text, primary_key=True),
    sa.Column("changed_at", Moment, nullable=False),
)

unread = sa.Table(  # signed webhook bodies that we could not read, kept for `forbear doctor`
    "unread",
    metadata,
    _key(),
    _text("platform", None),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("digest", Text, nullable=False, unique=True),  # the ledger repeats itself; we keep one
    _text("why"),
    sa.Column("received_at", Moment, nullable=False),
)

calls = sa.Table(
    "calls",
    metadata,
    _of(primary=True),
    sa.Column("day", sa.Date, primary_key=True),  # UTC, as both ledgers count
    sa.Column("operation", Text, primary_key=True),
    _flag("writes"),
    _count("calls"),
    _count("failed"),
    _count("bytes_in"),
    _count("bytes_out"),
    sa.Column("seconds", sa.Float, nullable=False, server_default="0"),
)

set_aside = sa.Table(
    "set_aside",
    metadata,
    _of(primary=True),
    sa.Column("kind", Text, primary_key=True),
    sa.Column("id", Text, primary_key=True),
    _text("reason", None),
    _text("raw"),
    sa.Column("seen", sa.Integer, nullable=False),  # the sync generation that last met it
    sa.Column("first_seen_at", Moment, nullable=False),
    sa.Column("seen_at", Moment, nullable=False),
)

differences = sa.Table(
    "differences",
    metadata,
    _of(primary=True),
    sa.Column("customer_id", Text, primary_key=True),
    sa.Column("currency", Text, primary_key=True),
    sa.Column("ours", Minor, nullable=False),
    sa.Column("theirs", Minor, nullable=False),
    sa.Column("first_seen_at", Moment, nullable=False),
    sa.Column("seen_at", Moment, nullable=False),
    sa.Column("our_invoices", sa.Integer, nullable=False, server_default="0"),  # how many are open
    sa.Column("their_invoices", sa.Integer, nullable=False, server_default="0"),
)

# ---------------------------------------------------------------- plans and what a person said

plans = sa.Table(
    "plans",
    metadata,
    sa.Column("number", Id, primary_key=True, autoincrement=True),  # shown as PP-0001
    _of(),
    _text("customer_id", None),
    _text("currency", None),
    _text("mode", None),  # split | notes
    _text("state", None),  # proposed | approved | running | finished | broken | cancelled
    sa.Column("version", sa.Integer, nullable=False),  # the one that counts now
    sa.Column("revision", sa.Integer, nullable=False),  # optimistic lock of edits
    sa.Column("progress", Text),
    sa.Column("paused_at", Moment),
    sa.Column("attention", Text),  # a sentence for a person, "" when none
    sa.Column("created_at", Moment),
    sa.Column("created_by", Text),
    sa.Column("updated_at", Moment),
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
    _text("digest", None),
    sa.Column("reasons", Json),
    _text("mode", None),
    sa.Column("author", Text),
    sa.Column("why", Text),
    sa.Column("created_at", Moment),
    sa.Column("approved_by", Text),
    sa.Column("approved_at", Moment),
    sa.Column("posted_on", sa.Date),
    sa.Column("acceptance", Json),
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
    _money("interest"),
    sa.Column("invoice_id", Text, index=True),  # the ledger's id, NULL until written (or notes mode)
    sa.Column("open", Minor, nullable=False),
    sa.Column("state", Text),
    sa.ForeignKeyConstraint(["plan", "version"], ["plan_versions.plan", "plan_versions.version"]),
)

promises = sa.Table(
    "promises",
    metadata,
    _key(),
    _of(),
    _text("customer_id", None),
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
    _key(),
    _of(),
    _text("customer_id", None),
    sa.Column("invoice_id", Text),  # NULL: the whole customer
    _text("reason", None),
    sa.Column("note", Text),
    sa.Column("until", sa.Date),
    sa.Column("set_by", Text),
    sa.Column("set_at", Moment),
    sa.Column("lifted_by", Text),
    sa.Column("lifted_at", Moment),
    sa.Index("ix_holds_customer", "connection_id", "customer_id"),
)

disputes = sa.Table(
    "disputes",
    metadata,
    _key(),
    _of(),
    _text("customer_id", None),
    sa.Column("invoice_id", Text),
    sa.Column("amount", Minor),
    sa.Column("currency", Text),
    _text("reason"),
    _text("note"),
    sa.Column("opened_on", sa.Date, nullable=False),
    sa.Column("opened_by", Text),
    sa.Column("closed_on", sa.Date),
    sa.Column("closed_by", Text),
    _text("outcome"),
    sa.Index("ix_disputes_customer", "connection_id", "customer_id"),
)

reminders = sa.Table(
    "reminders",
    metadata,
    _key(),
    _of(),
    _text("customer_id", None),
    _text("level", None),
    _text("cycle", None),  # which round of dunning this level belongs to
    sa.Column("due_on", sa.Date, nullable=False),
    sa.Column("reached_on", sa.Date),  # the organization's day on which it was noted or sent
    sa.Column("invoices", Json, nullable=False),
    sa.Column("text", Text),
    sa.Column("channel", Text),
    _text("state", None),  # due | held | noted | sent …
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
    _key(),
    _of(),
    sa.Column("plan", sa.ForeignKey("plans.number"), index=True),
    sa.Column("plan_version", sa.Integer),
    sa.Column("reminder_id", sa.ForeignKey("reminders.id"), index=True),
    _text("batch", None),  # "PP-0007 v1" or "reminder 12": ordered by position inside
    sa.Column("position", sa.Integer, nullable=False),
    _text("role"),
    _text("name"),  # what "@name" in a later write of the batch stands for
    _text("kind", None),  # domain.writes.KINDS
    _text("key", None),  # the ledger's idempotency key
    _text("number"),
    _text("marker"),
    sa.Column("payload", Json, nullable=False),
    _text("state", None),  # pending | sending | done | failed | held | cancelled
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
    _key(),
    _of(),
    _text("customer_id", None),
    _text("invoice_id", None),
    _text("kind", None),
    _text("key", None),  # the event: posted at most once
    _text("currency", None),
    _money("amount"),
    sa.Column("until_day", sa.Date, nullable=False),  # interest is charged up to this day
    _money("balance"),  # what was open on the invoice when it was approved
    _text("rule"),
    sa.Column("spans", Json),
    _text("number"),
    _text("state", None),  # approved | waived | withdrawn; what the ledger has, its writes say
    _text("approved_by"),
    sa.Column("approved_at", Moment, nullable=False),
    _text("waived_by"),
    sa.Column("waived_at", Moment),
    _text("why"),
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
    _key(),
    _of(),
    sa.Column("plan", sa.ForeignKey("plans.number"), index=True),
    sa.Column("customer_id", Text),
    _text("what", None),
    sa.Column("link", Text),
    _text("key", None),
    sa.Column("created_at", Moment),
    sa.Column("done_by", Text),
    sa.Column("done_at", Moment),
    sa.UniqueConstraint("connection_id", "key"),
)

# ---------------------------------------------------------------- the customer's own page

customer_links = sa.Table(  # addresses of the customer's page, and of the bookkeeper's news feed
    "customer_links",
    metadata,
    _key(),
    _of(),
    _text("customer_id"),  # "" for a news feed
    _text("kind", "page"),  # page | feed
    sa.Column(
        "digest", Text, nullable=False, unique=True
    ),  # SHA-256 of the address's secret, never the secret
    sa.Column("documents", Json, nullable=False),  # the invoices that it shows, and no others
    _text("origin", None),  # reminder | plan | person
    _text("level"),  # of the reminder that carries it
    _text("created_by"),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
    sa.Column("revoked_at", Moment),
    _text("revoked_by"),
    sa.Column("first_seen_at", Moment),
    sa.Column("last_seen_at", Moment),
    sa.Index("ix_customer_links_customer", "connection_id", "customer_id"),
)

customer_answers = sa.Table(
    "customer_answers",
    metadata,
    _key(),
    _of(),
    _text("customer_id", None),
    sa.Column("link_id", sa.ForeignKey("customer_links.id"), nullable=False, index=True),
    sa.Column("key", Text, nullable=False, unique=True),  # of the form: sent twice is one answer
    _text("kind", None),  # promise | plan | dispute | call | change | stop | data
    sa.Column("invoice_id", Text),
    sa.Column("plan", sa.ForeignKey("plans.number"), index=True),
    _text("state", None),  # done | waits | settled
    sa.Column("data", Json, nullable=False),
    _text("reply"),  # what the customer reads
    sa.Column("at", Moment, nullable=False),
    _text("address"),
    _text("agent"),
    sa.Column("settled_by", Text),
    sa.Column("settled_at", Moment),
    sa.Index("ix_customer_answers_customer", "connection_id", "customer_id"),
    sa.Index("ix_customer_answers_state", "connection_id", "state"),
)

customer_files = sa.Table(  # what customers sent: kept and handed out as it came, never opened here
    "customer_files",
    metadata,
    _key(),
    _of(),
    sa.Column("answer_id", sa.ForeignKey("customer_answers.id"), nullable=False, index=True),
    _text("name"),
    _text("type", None),
    sa.Column("size", sa.Integer, nullable=False),
    _text("digest", None),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)

audit = sa.Table(  # append-only; each row's hash covers the one before it
    "audit",
    metadata,
    sa.Column("seq", Id, primary_key=True, autoincrement=True),
    _of(null=True),
    _text("at", None),  # ISO text exactly as hashed
    _text("who", None),
    _text("what", None),
    sa.Column("subject", Text),
    sa.Column("why", Text),
    sa.Column("before", Json),
    sa.Column("after", Json),
    sa.Column("previous", Text, nullable=False, unique=True),  # two writers cannot fork the chain
    sa.Column("hash", Text, nullable=False, unique=True),
    sa.Index("ix_audit_newest", "connection_id", "seq"),
    sa.Index("ix_audit_subject", "connection_id", "subject", "seq"),
)

# ---------------------------------------------------------------- what a review concluded

findings = sa.Table(
    "findings",
    metadata,
    _key(),
    _of(),
    _text("customer_id", None),
    _text("kind", None),
    _text("key"),  # tells two open findings of a kind apart: an invoice id, a currency
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
    _of(primary=True),
    sa.Column("customer_id", Text, primary_key=True),
    _text("segment", None),
    sa.Column("reasons", Json),
    sa.Column("priority", sa.Float, nullable=False, server_default="0"),
    sa.Column("balances", Json),
    sa.Column("data", Json),
    sa.Column("since", sa.Date),  # in this segment since
    sa.Column("as_of", sa.Date),
    sa.Column("reviewed_at", Moment),
    # While nothing happens, the same is concluded until the day before; NULL: every day may say something else.
    sa.Column("next_on", sa.Date),
    _text("rules"),  # a fingerprint of the code and policy that concluded it
    sa.Index("ix_assessments_priority", "connection_id", "priority"),
)

track_records = sa.Table(  # how right predictions would have been over twelve months: rebuilt from the books
    "track_records",
    metadata,
    _of(primary=True),
    sa.Column("as_of", sa.Date, nullable=False),
    sa.Column("record", Json, nullable=False),
)

aging_weeks = sa.Table(  # what was owed by age at the end of past weeks: rebuilt from the books
    "aging_weeks",
    metadata,
    _of(primary=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("currency", Text, primary_key=True),
    sa.Column("buckets", Json, nullable=False),
)

expected_weeks = sa.Table(  # what money was expected in which week, by the week in which it was said: kept
    "expected_weeks",
    metadata,
    _of(primary=True),
    sa.Column("said_in", sa.Date, primary_key=True),  # the Monday of that week
    sa.Column("currency", Text, primary_key=True),
    sa.Column("week", sa.Date, primary_key=True),  # the Monday of the week in which it would come
    sa.Column("said_on", sa.Date, nullable=False),
    sa.Column("told", sa.Boolean, nullable=False, server_default=sa.true()),  # False: worked out afterwards
    _money("amount"),
    _money("low"),
    _money("high"),
    _money("older"),  # the part from invoices that were known four weeks earlier
    sa.Column("came", Minor),  # in the four weeks after it was said, of what was known then
)

predictions = sa.Table(
    "predictions",
    metadata,
    _of(primary=True),
    sa.Column("invoice_id", Text, primary_key=True),
    sa.Column("late", sa.Float),
    sa.Column("late_30", sa.Float),
    sa.Column("expected_payment", sa.Date),
    _text("basis", "none"),
    sa.Column("earliest", sa.Date),  # four of five are expected between these two
    sa.Column("latest", sa.Date),
    sa.Column("stays_open", sa.Float),
    sa.Column("as_of", sa.Date),
)

# ---------------------------------------------------------------- the books: our disposable mirror

customers = sa.Table(
    "customers",
    metadata,
    _of(primary=True),
    sa.Column("id", Text, primary_key=True),
    _text("name"),
    _text("email"),
    _text("phone"),
    _text("currency"),
    _text("country"),
    _text("language"),
    sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
    _text("parent_id"),
    _text("merged_into"),
    _flag("erasure_requested"),
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
    _of(primary=True),
    sa.Column("id", Text, primary_key=True),
    _text("number"),
    _text("customer_id", None),
    sa.Column("date", sa.Date, nullable=False),
    sa.Column("due", sa.Date, nullable=False),
    _text("currency", None),
    _money("total"),
    _money("balance"),
    _text("status", None),
    _money("tax"),
    sa.Column("rate", Text),
    _text("marker"),
    _text("reference"),
    _text("note"),
    sa.Column("expected_payment", sa.Date),
    sa.Column("emailed", sa.Boolean),
    _text("pay_link"),
    _text("version"),
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
    _of(primary=True),
    sa.Column("id", Text, primary_key=True),
    _text("customer_id", None),
    sa.Column("date", sa.Date, nullable=False),
    _text("currency", None),
    _money("amount"),
    _money("unapplied"),
    _text("flavor", "payment"),
    _flag("void"),
    _text("marker"),
    _text("reference"),
    _text("version"),
    sa.Column("updated_at", Moment),
    sa.Column("seen", sa.Integer, nullable=False),
    sa.Index("ix_payments_customer", "connection_id", "customer_id"),
)

credits = sa.Table(
    "credits",
    metadata,
    _of(primary=True),
    sa.Column("id", Text, primary_key=True),
    _text("number"),
    _text("customer_id", None),
    sa.Column("date", sa.Date, nullable=False),
    _text("currency", None),
    _money("total"),
    _money("remaining"),
    _flag("void"),
    _text("marker"),
    _text("version"),
    sa.Column("updated_at", Moment),
    sa.Column("seen", sa.Integer, nullable=False),
    sa.Index("ix_credits_customer", "connection_id", "customer_id"),
)

allocations = sa.Table(  # parts of payments and credits set against invoices
    "allocations",
    metadata,
    _of(primary=True),
    sa.Column("source", Text, primary_key=True),  # payment | credit
    sa.Column("source_id", Text, primary_key=True),
    sa.Column("n", sa.Integer, primary_key=True),  # order within the source
    _text("customer_id", None),  # the source's: one customer's picture is read without a join
    _text("invoice_id", None),
    _money("amount"),
    sa.Column("date", sa.Date),
    _text("id"),  # the ledger's own, where it has one
    sa.Index("ix_allocations_customer", "connection_id", "customer_id", "source"),
    sa.Index("ix_allocations_invoice", "connection_id", "invoice_id"),
)

BOOKS = (customers, invoices, payments, credits, allocations)

# ---------------------------------------------------------------- engine and transactions

_in_transaction: ContextVar[bool] = ContextVar("_in_transaction", default=False)
_engines: dict[str, Engine] = {}


def engine(config: Config) -> Engine:
    """The process's engine for the configured database: one per address, made anew after a fork."""
    found = _engines.get(config.database_url)
    if found is None:
        _hide_secrets(config)
        found = _engines[config.database_url] = _create(config.database_url)
    return found


def _hide_secrets(config: Config) -> None:
    """Here, because no process of ours does anything before it opens the database."""
    apps = (config.quickbooks, config.xero)
    logs.hide(config.secret_key, *config.token_keys)
    logs.hide(*(app.client_secret for app in apps), *(app.webhook_key for app in apps))


def _create(url: str) -> Engine:
    address = sa.make_url(url)
    if address.get_backend_name() != "sqlite":
        # A server that vanished without a word must be noticed while a ledger still waits for its answer.
        patience = {"connect_timeout": 3, "tcp_user_timeout": 10_000, "keepalives_idle": 30}
        patience = {name: value for name, value in patience.items() if name not in address.query}
        return sa.create_engine(
            address, pool_pre_ping=True, pool_size=10, max_overflow=20, pool_timeout=5, hide_parameters=True,
            connect_args=patience if address.get_backend_name() == "postgresql" else {},
        )  # fmt: skip
    if address.database and address.database != ":memory:":
        Path(address.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = sa.create_engine(
        address, pool_size=20, max_overflow=20, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True
    )

    @sa.event.listens_for(made, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",  # a change acknowledged to a ledger must outlive a power cut
            "foreign_keys=ON",
            f"busy_timeout={BUSY_SECONDS * 1000}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(made, "begin")
    def _begin(connection: Connection) -> None:
        # A writer that starts as a reader cannot be upgraded once another wrote: take the write lock at once.
        options = connection.get_execution_options()
        wanted = "NORMAL" if options.get("forbear_repeatable") else "FULL"
        if connection.info.get("synchronous", "FULL") != wanted:
            connection.exec_driver_sql(f"PRAGMA synchronous={wanted}")
            connection.info["synchronous"] = wanted
        connection.exec_driver_sql("BEGIN" if options.get("forbear_reading") else "BEGIN IMMEDIATE")

    return made


def _forget_engines() -> None:
    for one in _engines.values():
        one.dispose(close=False)  # the parent's sockets and file locks are not the child's to close
    _engines.clear()


os.register_at_fork(after_in_child=_forget_engines)


@contextmanager
def transaction(engine: Engine, *, repeatable: bool = False) -> Iterator[Connection]:
    """One writing transaction: commits at the end, rolls back on any exception. Keep it short; no network.

    SQLite takes its write lock at once (BEGIN IMMEDIATE), so two writers wait instead of failing.
    `repeatable`: what it stores can be had again (a page of the mirror), so its end does not wait for the disk.
    A power cut may undo the last such transactions, whole and in their order, never one before a lasting one.
    """
    mark = _in_transaction.set(True)
    try:
        with engine.connect() as connection:
            if repeatable and engine.dialect.name == "sqlite":
                connection.execution_options(forbear_repeatable=True)
            with connection.begin():
                if repeatable and engine.dialect.name == "postgresql":
                    connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
                yield connection
    finally:
        _in_transaction.reset(mark)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Read one consistent snapshot. Never blocks a writer, is never blocked by one."""
    mark = _in_transaction.set(True)
    options: dict[str, Any] = {"forbear_reading": True}
    if engine.dialect.name == "postgresql":
        options["isolation_level"] = "REPEATABLE READ"
    try:
        with engine.connect().execution_options(**options) as tx:
            yield tx
    finally:
        _in_transaction.reset(mark)


def in_transaction() -> bool:
    """Whether this thread stands inside `transaction` or `reading`: the ledger gates refuse calls there."""
    return _in_transaction.get()


def now() -> dt.datetime:
    """The present moment in UTC. Only steps, jobs and stores ask; the domain never does."""
    return dt.datetime.now(dt.UTC)


# ---------------------------------------------------------------- migrations


def migrate(config: Config) -> None:
    """Bring the database to this version's tables. Safe to run twice, and by several processes at once."""
    from alembic import command

    with transaction(engine(config)) as tx:
        if tx.dialect.name == "postgresql":  # SQLite's write lock already keeps a second migrator out
            tx.exec_driver_sql("SELECT pg_advisory_xact_lock(70418)")
        command.upgrade(_alembic(tx), "head")


def is_migrated(engine: Engine) -> bool:
    """Whether the database stands at this version's newest migration."""
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    with reading(engine) as tx:
        script = ScriptDirectory.from_config(_alembic(tx))
        return set(MigrationContext.configure(tx).get_current_heads()) == set(script.get_heads())


def _alembic(connection: Connection) -> Any:
    from alembic.config import Config as AlembicConfig

    made = AlembicConfig()
    made.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made
