"""Addresses of the customer's own page: signed, for the documents named and nothing else, ending and revocable.

The secret in an address stands nowhere in the database, only its hash, and every address carries a signature by
the installation's token keys: the first signs, all verify, so keys rotate as for tokens. Whoever has an address can
see its documents; whoever has only the database, or only a key, can make none that works.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import sqlalchemy as sa
from itsdangerous import BadSignature, Signer, URLSafeTimedSerializer
from sqlalchemy.engine import Connection, Row

from connector.config import LOCAL_HOSTS, Config
from connector.connecting import connections, keys
from connector.db import customer_links as links
from connector.practice import settings
from connector.record import audit

PAGE, FEED = "page", "feed"
SECRET_BYTES = 16  # 128 bits: nobody guesses one
FORM_SECONDS = 12 * 3600
FEED_DAYS = 3650
_PATHS = {PAGE: "c", FEED: "feed"}


@dataclass(frozen=True, slots=True)
class Link:
    """One address. `documents` are ids of invoices; `level` is that of the reminder that carries it."""

    id: int
    connection_id: str
    customer_id: str
    kind: str
    documents: tuple[str, ...]
    origin: str  # reminder | plan | person
    level: str
    created_by: str
    created_at: dt.datetime
    expires_at: dt.datetime
    revoked_at: dt.datetime | None
    first_seen_at: dt.datetime | None
    last_seen_at: dt.datetime | None

    def works(self, now: dt.datetime) -> bool:
        return self.revoked_at is None and now < self.expires_at


def is_public(config: Config) -> bool:
    """Whether customers can reach this installation: https from outside, or everything pretends on this machine."""
    ledgers = (config.quickbooks.api_url, config.xero.api_url)
    pretend = all(urlsplit(url).hostname in LOCAL_HOSTS for url in ledgers)
    outside = urlsplit(config.public_url)
    return pretend or (outside.scheme == "https" and outside.hostname not in LOCAL_HOSTS)


def make(
    tx: Connection,
    config: Config,
    connection_id: str,
    customer_id: str,
    documents: Iterable[str],
    *,
    origin: str,
    who: str,
    now: dt.datetime,
    days: int,
    level: str = "",
    kind: str = PAGE,
) -> tuple[Link, str]:
    """A new link and its whole address. The address is told here only once."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    named = sorted(set(documents))
    values = {
        "connection_id": connection_id,
        "customer_id": customer_id,
        "kind": kind,
        "digest": _digest(secret),
        "documents": named,
        "origin": origin,
        "level": level,
        "created_by": who,
        "created_at": now,
        "expires_at": now + dt.timedelta(days=days),
    }
    link_id: int = tx.execute(sa.insert(links).values(**values)).inserted_primary_key[0]  # type: ignore[index]
    audit.record(
        tx,
        who=who,
        what="made an address of the customer's page" if kind == PAGE else "made a news feed",
        connection_id=connection_id,
        subject=f"customer {customer_id}" if customer_id else "settings",
        after={"link": link_id, "documents": named, "days": days},
        now=now,
    )
    token = _signer(config).sign(secret).decode()
    return get(tx, link_id), f"{config.public_url}/{_PATHS[kind]}/{token}"


def find(tx: Connection, config: Config, token: str, now: dt.datetime, kind: str = PAGE) -> Link | None:
    """The link behind an address, if it works and its page is on. A guess costs the same look-up as the real one."""
    secret = token.rpartition(".")[0]
    query = sa.select(links).where(links.c.digest == _digest(secret))
    row = tx.execute(query).one_or_none()
    try:
        signed = _signer(config).unsign(token).decode("ascii", "replace") == secret
    except BadSignature:
        signed = False
    if row is None or not signed:
        return None
    link = _link(row)
    if link.kind != kind or not link.works(now):
        return None
    if connections.get(tx, link.connection_id).status == "disconnected":
        return None
    return link if settings.load(tx, link.connection_id).policy.page.on else None


def get(tx: Connection, link_id: int) -> Link:
    """Raises LookupError for an unknown id."""
    row = tx.execute(sa.select(links).where(links.c.id == link_id)).one_or_none()
    if row is None:
        raise LookupError(f"There is no link {link_id}.")
    return _link(row)


def of_customer(tx: Connection, connection_id: str, customer_id: str) -> list[Link]:
    """Newest first."""
    mine = sa.and_(links.c.connection_id == connection_id, links.c.customer_id == customer_id)
    query = sa.select(links).where(mine, links.c.kind == PAGE).order_by(links.c.id.desc())
    return [_link(row) for row in tx.execute(query)]


def of_connection(tx: Connection, connection_id: str, kind: str = PAGE) -> list[Link]:
    """Oldest first."""
    mine = sa.and_(links.c.connection_id == connection_id, links.c.kind == kind)
    return [_link(row) for row in tx.execute(sa.select(links).where(mine).order_by(links.c.id))]


def revoke(tx: Connection, link_ids: Sequence[int], *, who: str, now: dt.datetime) -> None:
    """These addresses show nothing any more. Twice is harmless."""
    for link_id in link_ids:
        link = get(tx, link_id)
        if link.revoked_at is not None:
            continue
        tx.execute(sa.update(links).where(links.c.id == link_id).values(revoked_at=now, revoked_by=who))
        audit.record(
            tx,
            who=who,
            what="revoked an address of the customer's page" if link.kind == PAGE else "ended a news feed",
            connection_id=link.connection_id,
            subject=f"customer {link.customer_id}" if link.customer_id else "settings",
            before={"link": link_id},
            now=now,
        )


def seen(tx: Connection, link_id: int, now: dt.datetime) -> None:
    """Somebody opened it."""
    first = sa.func.coalesce(links.c.first_seen_at, now)
    tx.execute(sa.update(links).where(links.c.id == link_id).values(first_seen_at=first, last_seen_at=now))


# ---------------------------------------------------------------- forms


def form_token(config: Config, link_id: int) -> str:
    """For one form on one link's page: what is sent twice with it is one answer."""
    return str(_forms(config).dumps([link_id, secrets.token_urlsafe(12)]))


def form_key(config: Config, token: str, link_id: int) -> str | None:
    """The form's own key, if it is this link's and not too old."""
    try:
        theirs, key = _forms(config).loads(token, max_age=FORM_SECONDS)
    except (BadSignature, ValueError, TypeError):
        return None
    return f"{link_id} {key}" if theirs == link_id else None


# ---------------------------------------------------------------- for the steps that write


@dataclass(frozen=True, slots=True)
class Maker:
    """Puts addresses into letters, notes and documents. Made once per delivery."""

    config: Config

    def address(
        self,
        tx: Connection,
        connection_id: str,
        customer_id: str,
        documents: Iterable[str],
        *,
        origin: str,
        now: dt.datetime,
        level: str = "",
    ) -> str:
        """A new address, or "" where the policy or the installation has no page for customers."""
        page = settings.load(tx, connection_id).policy.page
        if not page.on or not is_public(self.config):
            return ""
        _, made = make(
            tx,
            self.config,
            connection_id,
            customer_id,
            documents,
            origin=origin,
            who=audit.SYSTEM,
            now=now,
            days=page.link_days,
            level=level,
        )
        return made


def _keys(config: Config) -> list[bytes]:
    """Ours begin with the newest; the signer takes the newest last."""
    return [key.encode() for key in reversed(keys.of(config).token_keys)]


def _signer(config: Config) -> Signer:
    return Signer(_keys(config), salt="forbear customer page")


def _forms(config: Config) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(_keys(config), salt="forbear customer form")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _link(row: Row[tuple[object, ...]]) -> Link:
    return Link(
        id=row.id,
        connection_id=row.connection_id,
        customer_id=row.customer_id,
        kind=row.kind,
        documents=tuple(row.documents),
        origin=row.origin,
        level=row.level,
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        first_seen_at=row.first_seen_at,
        last_seen_at=row.last_seen_at,
    )
