"""Who is connected: made by a consent, ended by a disconnect, and the ledgers opened with their permissions."""

from __future__ import annotations

import datetime as dt
import logging
import secrets
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, fields
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa
from sqlalchemy.engine import Connection as Transaction
from sqlalchemy.engine import Engine, Row

from connector import db, platforms
from connector.config import Config, WrongSetting
from connector.connecting import budget, keys
from connector.connecting.access import StoredAccess
from connector.domain.receivables import Organization
from connector.mirroring import inbox
from connector.platforms import Grant, OrganizationRef, PlatformError, Reconnect

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Connection:
    """One organization that we may (or might) read. `status_reason` is a sentence for its bookkeeper."""

    id: str
    platform: str
    external_id: str
    connection_ref: str
    grant_id: int | None
    organization: str
    status: str  # connected | needs_reconnecting | disconnected
    status_reason: str
    facts: Organization | None
    timezone: str
    home_currency: str
    country: str
    cursor: dict[str, Any] | None
    generation: int
    last_sync_at: dt.datetime | None
    last_full_at: dt.datetime | None
    last_review_on: dt.date | None
    review_asked_at: dt.datetime | None
    last_proof_at: dt.datetime | None
    facts_at: dt.datetime | None
    progress: dict[str, Any] | None
    retry_at: dt.datetime | None
    created_at: dt.datetime
    disconnected_at: dt.datetime | None

    @property
    def ref(self) -> OrganizationRef:
        return OrganizationRef(self.external_id, self.organization, self.connection_ref)


# ---------------------------------------------------------------- read


def _connection(row: Row[Any]) -> Connection:
    values = {f.name: row._mapping[f.name] for f in fields(Connection)}
    values["facts"] = load_facts(values["facts"]) if values["facts"] else None
    return Connection(**values)


def load_facts(stored: dict[str, Any]) -> Organization:
    """An Organization back from the connection's JSON."""
    known = {f.name for f in fields(Organization)}
    values = {k: v for k, v in stored.items() if k in known}
    if values.get("closed_until"):
        values["closed_until"] = dt.date.fromisoformat(values["closed_until"])
    return Organization(**values)


def dump_facts(facts: Organization) -> dict[str, Any]:
    """An Organization as plain JSON."""
    return {k: v.isoformat() if isinstance(v, dt.date) else v for k, v in asdict(facts).items()}


def get(tx: Transaction, connection_id: str) -> Connection:
    """Raises LookupError for an id that does not exist."""
    row = tx.execute(sa.select(db.connections).where(db.connections.c.id == connection_id)).one_or_none()
    if row is None:
        raise LookupError(f"There is no connection {connection_id!r}.")
    return _connection(row)


def some(tx: Transaction, connection_ids: Collection[str]) -> list[Connection]:
    """These, by id; without those that do not exist."""
    c = db.connections.c
    query = sa.select(db.connections).where(db.among(tx, c.id, connection_ids)).order_by(c.id)
    return [_connection(row) for row in tx.execute(query)]


def of(tx: Transaction, platform: str, external_id: str) -> Connection | None:
    """The connection of a ledger's organization."""
    c = db.connections.c
    query = sa.select(db.connections).where(c.platform == platform, c.external_id == external_id)
    row = tx.execute(query).one_or_none()
    return _connection(row) if row else None


def every(tx: Transaction, status: str | None = None) -> list[Connection]:
    """All connections by name, or those of one status."""
    c = db.connections.c
    query = sa.select(db.connections).order_by(sa.func.lower(c.organization), c.id)
    if status is not None:
        query = query.where(c.status == status)
    return [_connection(row) for row in tx.execute(query)]


@dataclass(frozen=True, slots=True)
class Due:
    """What a sweep has to know of a connected organization: little, because there may be ten thousand."""

    id: str
    timezone: str
    created_at: dt.datetime
    last_sync_at: dt.datetime | None
    last_proof_at: dt.datetime | None
    last_review_on: dt.date | None
    review_asked_at: dt.datetime | None
    retry_at: dt.datetime | None


def connected(tx: Transaction) -> dict[str, Due]:
    """All organizations that we may read now, by id."""
    c = db.connections.c
    query = sa.select(*(c[f.name] for f in fields(Due))).where(c.status == "connected").order_by(c.id)
    return {row.id: Due(*row) for row in tx.execute(query)}


def today(connection: Connection | Due, config: Config, now: dt.datetime | None = None) -> dt.date:
    """The organization's calendar day: an invoice is overdue by their midnight. Or the pretend day."""
    if config.today:
        return config.today
    return (now or db.now()).astimezone(zone(connection.timezone)).date()


def zone(name: str) -> ZoneInfo:
    """A time zone by its IANA name; UTC for a name that nobody knows."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


# ---------------------------------------------------------------- connect and disconnect


def save_grant(
    engine: Engine, config: Config, platform: str, grant: Grant, now: dt.datetime | None = None
) -> list[Connection]:
    """Keep what one consent gave: a connection per organization, all on the new token.

    An organization that we know keeps its id, settings, plans and history, whoever reconnected it; after a
    disconnect its books are read anew. A permission that no connection uses any more is forgotten.
    """
    now = now or db.now()
    encrypted = keys.encrypt(config, grant.token)
    with db.transaction(engine) as tx:
        made = tx.execute(
            sa.insert(db.grants).values(
                platform=platform,
                token=encrypted,
                token_expires_at=grant.token.expires_at,
                refresh_expires_at=grant.token.refresh_expires_at,
                refreshed_at=now,
                issuer=grant.identity.issuer if grant.identity else "",
                subject=grant.identity.subject if grant.identity else "",
                created_at=now,
            )
        )
        grant_id = int(made.inserted_primary_key[0])  # type: ignore[index]  # an insert of one row has one
        saved = [_save(tx, platform, ref, grant_id, now) for ref in grant.organizations]
        _forget_unused(tx)
        return [get(tx, id) for id in saved]


def _save(tx: Transaction, platform: str, ref: OrganizationRef, grant_id: int, now: dt.datetime) -> str:
    values: dict[str, Any] = {
        "connection_ref": ref.connection_ref,
        "grant_id": grant_id,
        "status": "connected",
        "status_reason": "",
        "disconnected_at": None,
        "retry_at": None,
    }
    known = of(tx, platform, ref.external_id)
    if known is None:
        id = secrets.token_hex(6)
        tx.execute(
            sa.insert(db.connections).values(
                id=id,
                platform=platform,
                external_id=ref.external_id,
                organization=ref.name,
                created_at=now,
                **values,
            )
        )
    else:
        id = known.id
        if known.status == "disconnected":
            values["cursor"] = None
        if ref.name:
            values["organization"] = ref.name
        tx.execute(sa.update(db.connections).where(db.connections.c.id == id).values(**values))
        inbox.ask(tx, id, now)  # what a first reading is to a new one
    inbox.adopt(tx, id, platform, ref.external_id)
    return id


def _forget_unused(tx: Transaction) -> None:
    c, g = db.connections.c, db.grants.c
    used = sa.select(c.grant_id).where(c.grant_id.is_not(None))
    tx.execute(sa.delete(db.grants).where(g.id.not_in(used)))


def disconnect(engine: Engine, config: Config, connection_id: str) -> str:
    """Stop all work on an organization and take our permission back at the ledger; our records stay.

    Work stops first, and stays stopped when the ledger does not answer (`revoke_leftovers` asks again).
    Returns a sentence that says how it went.
    """
    c = db.connections.c
    with db.transaction(engine) as tx:
        connection = get(tx, connection_id)
        tx.execute(
            sa.update(db.connections)
            .where(c.id == connection_id, c.status != "disconnected")
            .values(status="disconnected", status_reason="", disconnected_at=db.now(), progress=None)
        )
    name = connection.organization or "The organization"
    try:
        _revoke(engine, config, connection)
    except PlatformError as problem:
        log.warning("connection %s: revoking failed (%s)", connection_id, type(problem).__name__)
        return (
            f"{name} is disconnected and all work on it has stopped. The ledger has not confirmed yet that "
            "our permission ended; we will ask again. You can also end it in the ledger's list of apps."
        )
    return f"{name} is disconnected. Nothing more is read or written there; your own records are kept."


def _revoke(engine: Engine, config: Config, connection: Connection) -> None:
    if connection.grant_id is not None:
        platform = platforms.find(connection.platform, config)
        access = StoredAccess(engine, config, platform, connection.grant_id)
        try:
            access.token()  # revoking needs a live token where one permission covers several organizations
            platform.revoke(access.current(), connection.ref)
        except Reconnect:
            log.info("connection %s: the permission was gone already", connection.id)
    c = db.connections.c
    with db.transaction(engine) as tx:
        tx.execute(
            sa.update(db.connections)
            .where(c.id == connection.id, c.status == "disconnected")
            .values(grant_id=None, connection_ref="")
        )
        _forget_unused(tx)


def revoke_leftovers(engine: Engine, config: Config) -> int:
    """Ask again where a ledger did not confirm a disconnect. Returns how many are confirmed now."""
    with db.reading(engine) as tx:
        waiting = [c for c in every(tx, "disconnected") if c.grant_id is not None]
    done = 0
    for connection in waiting:
        try:
            _revoke(engine, config, connection)
            done += 1
        except (PlatformError, WrongSetting) as problem:  # no key reads its token: the others go on
            log.warning("connection %s: revoking failed (%s)", connection.id, type(problem).__name__)
    return done


def open_ledger(
    engine: Engine,
    config: Config,
    connection_id: str,
    *,
    patience: float = 5,
    at_first: float | None = None,
    needed: Callable[[], bool] = lambda: False,
    urgent: bool = False,
) -> platforms.Ledger:
    """The organization's books, with its token kept fresh and its budget guarded. One per thread.

    `patience`, `at_first`, `needed` and `urgent`: see budget.Budget. Raises Reconnect when the organization is not connected,
    LookupError when there is no such connection.
    """
    with db.reading(engine) as tx:
        connection = get(tx, connection_id)
    if connection.status != "connected" or connection.grant_id is None:
        raise Reconnect(
            connection.status_reason or f"{connection.organization} is not connected. Press Connect."
        )
    platform = platforms.find(connection.platform, config)
    gate = budget.Budget(
        engine,
        config,
        connection_id,
        connection.platform,
        budget.limits_of(connection.platform, config.xero_tier) if config.budgets else budget.UNLIMITED,
        patience=patience,
        at_first=at_first,
        needed=needed,
        urgent=urgent,
    )
    access = StoredAccess(engine, config, platform, connection.grant_id)
    return platform.open(connection.ref, access, gate, connection.timezone)


def refresh_facts(engine: Engine, connection_id: str, ledger: platforms.Ledger) -> Organization:
    """Ask the ledger about the organization itself and keep the answer. Raises the four errors.

    Also how a disconnect made inside the ledger is noticed: there is no webhook for it, but this call is
    refused (Reconnect).
    """
    facts = ledger.organization()
    c = db.connections.c
    with db.transaction(engine) as tx:
        tx.execute(
            sa.update(db.connections)
            .where(c.id == connection_id)
            .values(
                facts=dump_facts(facts),
                facts_at=db.now(),
                organization=facts.name,
                timezone=facts.timezone,
                home_currency=facts.home_currency,
                country=facts.country,
            )
        )
    return facts
