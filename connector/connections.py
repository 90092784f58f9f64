"""Who is connected: permissions encrypted at rest, refreshed one at a time, and the ledgers opened with them.

A permission (grant) may reach several organizations: one Xero consent covers all that the user ticked, with
one token. So the token belongs to the grant, and a refresh holds the grant's lease:
1. Take the lease.  2. Read the token again; it may be fresh by now.  3. Refresh.  4. Store before using.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import logging
import os
import secrets
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy.engine import Connection as Transaction
from sqlalchemy.engine import Engine, Row

from connector import budget, db, inbox, leases, logs, platforms
from connector.config import Config, WrongSetting
from connector.domain.receivables import Organization
from connector.platforms import Grant, OrganizationRef, PlatformError, Reconnect, Token, TryLater

log = logging.getLogger(__name__)

EARLY = dt.timedelta(seconds=120)  # refresh this long before a token ends, so that it lasts through a call
REFRESH_SECONDS = 90  # longer than any refresh may take; then another process may try
WAIT_SECONDS = 60  # for another process's refresh


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


# ---------------------------------------------------------------- keys


@dataclass(frozen=True, slots=True)
class Keys:
    """The installation's secrets. The first token key encrypts; all decrypt."""

    secret_key: str
    token_keys: tuple[str, ...]


def keys(config: Config) -> Keys:
    """From the settings, or made once and kept in the data folder, readable by its owner only."""
    if config.secret_key and config.token_keys:
        return Keys(config.secret_key, config.token_keys)
    made = _kept_keys(config.data_dir / "keys.json")
    return Keys(config.secret_key or made.secret_key, config.token_keys or made.token_keys)


def _kept_keys(file: Path) -> Keys:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = {"secret_key": secrets.token_urlsafe(32), "token_keys": [Fernet.generate_key().decode()]}
        draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as out:
            json.dump(made, out)
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(draft, file)  # two processes may start at once: the first one's keys count
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    kept = json.loads(file.read_text())
    logs.hide(kept["secret_key"], *kept["token_keys"])
    return Keys(kept["secret_key"], tuple(kept["token_keys"]))


def _cipher(config: Config) -> MultiFernet:
    raw = [base64.urlsafe_b64decode(key) for key in keys(config).token_keys]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in raw])


def _encrypt(config: Config, token: Token) -> str:
    logs.hide(token.access_token, token.refresh_token)
    plain = {
        "access_token": token.access_token,
        "refresh_token": token.refresh_token,
        "expires_at": token.expires_at.isoformat(),
        "refresh_expires_at": token.refresh_expires_at.isoformat() if token.refresh_expires_at else None,
        "scope": token.scope,
    }
    return _cipher(config).encrypt(json.dumps(plain).encode()).decode()


def _decrypt(config: Config, stored: str) -> Token:
    try:
        plain = json.loads(_cipher(config).decrypt(stored.encode()))
    except InvalidToken:
        raise WrongSetting(
            "A stored permission cannot be read with the keys of this installation. Put the earlier key back "
            "as the last one in FORBEAR_TOKEN_KEYS (or restore keys.json in the data folder), or reconnect."
        ) from None
    logs.hide(plain["access_token"], plain["refresh_token"])
    ends = plain["refresh_expires_at"]
    return Token(
        access_token=plain["access_token"],
        refresh_token=plain["refresh_token"],
        expires_at=dt.datetime.fromisoformat(plain["expires_at"]),
        refresh_expires_at=dt.datetime.fromisoformat(ends) if ends else None,
        scope=plain["scope"],
    )


def rotate(engine: Engine, config: Config) -> int:
    """Encrypt what older keys encrypted anew with the first one, so that those can be dropped. Safe while
    others work: a token that was refreshed meanwhile is left as it is. Returns how many were changed."""
    cipher = _cipher(config)
    g = db.grants.c
    done = 0
    for id, token in _on_older_keys(engine, config):
        try:
            again = cipher.rotate(token.encode()).decode()
        except InvalidToken:
            log.error("grant %s cannot be read with the keys of this installation", id)
            continue
        with db.transaction(engine) as tx:
            done += tx.execute(
                sa.update(db.grants).where(g.id == id, g.token == token).values(token=again)
            ).rowcount
    return done


def on_older_keys(engine: Engine, config: Config) -> int:
    """How many stored tokens the first key alone cannot read: 0 means that the others can be dropped."""
    return len(_on_older_keys(engine, config))


def _on_older_keys(engine: Engine, config: Config) -> list[tuple[int, str]]:
    newest = Fernet(keys(config).token_keys[0])
    g = db.grants.c
    with db.reading(engine) as tx:
        stored = tx.execute(sa.select(g.id, g.token).where(g.token.is_not(None))).all()
    return [(id, token) for id, token in stored if not _reads(newest, token)]


def _reads(cipher: Fernet, token: str) -> bool:
    try:
        cipher.decrypt(token.encode())
    except InvalidToken:
        return False
    return True


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
    encrypted = _encrypt(config, grant.token)
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
    inbox.adopt(tx, id, platform, ref.external_id)
    return id


def _forget_unused(tx: Transaction) -> None:
    c, g = db.connections.c, db.grants.c
    used = sa.select(c.grant_id).where(c.grant_id.is_not(None))
    tx.execute(sa.delete(db.grants).where(g.id.not_in(used)))


def lost(engine: Engine, connection_id: str, reason: str) -> None:
    """The permission is gone: stop work on this organization until a bookkeeper reconnects it."""
    c = db.connections.c
    with db.transaction(engine) as tx:
        tx.execute(
            sa.update(db.connections)
            .where(c.id == connection_id, c.status == "connected")
            .values(status="needs_reconnecting", status_reason=reason)
        )
    log.warning("connection %s needs reconnecting", connection_id)


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
        except PlatformError as problem:
            log.warning("connection %s: revoking failed (%s)", connection.id, type(problem).__name__)
    return done


def open_ledger(
    engine: Engine, config: Config, connection_id: str, *, patience: float = 5, urgent: bool = False
) -> platforms.Ledger:
    """The organization's books, with its token kept fresh and its budget guarded. One per thread.

    `patience` and `urgent`: see budget.Budget. Raises Reconnect when the organization is not connected,
    LookupError when there is no such connection.
    """
    with db.reading(engine) as tx:
        connection = get(tx, connection_id)
    if connection.status != "connected" or connection.grant_id is None:
        raise Reconnect(
            connection.status_reason or f"{connection.organization} is not connected. Press Connect."
        )
    platform = platforms.find(connection.platform, config)
    plan = connection.facts.plan if connection.facts else ""
    gate = budget.Budget(
        engine,
        config,
        connection_id,
        connection.platform,
        budget.limits_of(connection.platform, plan) if config.budgets else budget.UNLIMITED,
        patience=patience,
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


def confirm(engine: Engine, config: Config, connection_id: str) -> bool:
    """Whether the ledger still lets us in; if it does not, the status says so from now on. May raise TryLater."""
    try:
        refresh_facts(engine, connection_id, open_ledger(engine, config, connection_id))
    except Reconnect as problem:
        lost(engine, connection_id, str(problem))
        return False
    return True


# ---------------------------------------------------------------- the token


class StoredAccess:
    """platforms.Access over the stored grant. Not shared between threads; safe across processes."""

    def __init__(self, engine: Engine, config: Config, platform: platforms.Platform, grant_id: int) -> None:
        self._engine, self._config, self._platform, self._grant = engine, config, platform, grant_id
        self._known: Token | None = None

    def current(self) -> Token:
        """The stored token as it is, fresh or not. Raises Reconnect when it was forgotten."""
        with db.reading(self._engine) as tx:
            stored = tx.scalar(sa.select(db.grants.c.token).where(db.grants.c.id == self._grant))
        if stored is None:
            raise Reconnect("This organization was reconnected or disconnected meanwhile.")
        self._known = _decrypt(self._config, stored)
        return self._known

    def token(self) -> str:
        """A valid access token; refreshes first when it is about to end. Raises Reconnect, TryLater."""
        if self._known is None or _ends_soon(self._known):
            self.current()
        if self._known is None or _ends_soon(self._known):
            return self._renew(lambda token: not _ends_soon(token))
        return self._known.access_token

    def renew(self, rejected: str) -> str:
        """The ledger refused `rejected` with a 401: a newer token. Raises Reconnect, TryLater."""
        return self._renew(lambda token: token.access_token != rejected)

    def _renew(self, good: Any) -> str:
        """Refresh once over all processes. `good` says whether the stored token already serves."""
        if db.in_transaction():
            raise RuntimeError("no token refresh inside a database transaction")
        owner = leases.new_owner()
        end = time.monotonic() + WAIT_SECONDS
        while not leases.take(self._engine, self._lease, owner, REFRESH_SECONDS):
            if good(token := self.current()):
                return token.access_token
            if time.monotonic() > end:
                raise TryLater("The permission is being renewed by another process.", after=30)
            time.sleep(0.1)
        try:
            token = self.current()
            if not good(token):
                token = self._refresh(token)
            return token.access_token
        finally:
            leases.drop(self._engine, self._lease, owner)

    @property
    def _lease(self) -> str:
        return f"grant:{self._grant}"

    def _refresh(self, old: Token) -> Token:
        # Noted before the call: if we are killed, or the answer is lost, the ledger may have changed the
        # refresh token without our hearing, and whoever tries next can say so.
        earlier = self._begin_refresh()
        unheard = earlier is not None
        try:
            try:
                new = self._platform.refresh(old)
            except TryLater as problem:
                if not problem.uncertain:
                    self._end_refresh(lost_answer_at=earlier)
                    raise
                log.warning(
                    "grant %s: the answer to a refresh was lost; trying the old token again", self._grant
                )
                unheard = True
                new = self._platform.refresh(old)  # within the ledger's grace the old one still works
        except Reconnect as problem:
            self._give_up(_UNHEARD if unheard else str(problem))
            raise
        self._end_refresh(
            token=_encrypt(self._config, new),
            token_expires_at=new.expires_at,
            refresh_expires_at=new.refresh_expires_at or old.refresh_expires_at,
            token_version=db.grants.c.token_version + 1,
            refreshed_at=db.now(),
            lost_answer_at=None,
        )
        self._known = new
        return new

    def _begin_refresh(self) -> dt.datetime | None:
        g = db.grants.c
        with db.transaction(self._engine) as tx:
            earlier: dt.datetime | None = tx.scalar(sa.select(g.lost_answer_at).where(g.id == self._grant))
            tx.execute(
                sa.update(db.grants)
                .where(g.id == self._grant)
                .values(lost_answer_at=sa.func.coalesce(g.lost_answer_at, sa.literal(db.now(), db.Moment())))
            )
        return earlier

    def _end_refresh(self, **values: Any) -> None:
        with db.transaction(self._engine) as tx:
            tx.execute(sa.update(db.grants).where(db.grants.c.id == self._grant).values(**values))

    def _give_up(self, reason: str) -> None:
        c = db.connections.c
        with db.reading(self._engine) as tx:
            query = sa.select(c.id).where(c.grant_id == self._grant, c.status == "connected")
            concerned = tx.scalars(query).all()
        for id in concerned:
            lost(self._engine, id, reason)


_UNHEARD = (
    "The ledger renewed our permission, but its answer never arrived, so the permission is lost. "
    "Press Reconnect; your plans and history stay as they are."
)


def _ends_soon(token: Token) -> bool:
    return token.expires_at - db.now() <= EARLY
