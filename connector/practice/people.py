"""Who may see and do what: people, the ledger identities they sign in with, their roles, their sessions.

A person is known by issuer and subject of the ledger's sign-in, never by an e-mail address: addresses move
between people. Sessions live here, not in the cookie, so that signing out ends them everywhere.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector.db import identities, memberships, people, sessions
from connector.platforms import Identity

ROLES = ("read", "act", "configure")  # each may do what the ones before it may
SESSION_LENGTH = dt.timedelta(hours=12)
SESSION_IDLE = dt.timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Person:
    id: int
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Session:
    """One signed-in browser. `id` is the hash of the cookie's value; the value itself is stored nowhere."""

    id: str
    person: Person
    created_at: dt.datetime
    expires_at: dt.datetime


def sign_in(tx: Connection, identity: Identity, now: dt.datetime) -> Person:
    """The person behind a ledger's sign-in, made on the first visit; name and address follow the ledger."""
    where = sa.and_(identities.c.issuer == identity.issuer, identities.c.subject == identity.subject)
    person_id = tx.scalar(sa.select(identities.c.person_id).where(where))
    seen = {"email": identity.email, "email_verified": bool(identity.email_verified), "seen_at": now}
    if person_id is None:
        inserted = sa.insert(people).values(
            name=identity.name or identity.email, email=identity.email, created_at=now
        )
        person_id = tx.execute(inserted).inserted_primary_key[0]  # type: ignore[index]
        tx.execute(
            sa.insert(identities).values(
                issuer=identity.issuer, subject=identity.subject, person_id=person_id, **seen
            )
        )
    else:
        tx.execute(sa.update(identities).where(where).values(**seen))
        known = {k: v for k, v in (("name", identity.name), ("email", identity.email)) if v}
        if known:
            tx.execute(sa.update(people).where(people.c.id == person_id).values(**known))
    return person(tx, person_id)


def link(tx: Connection, person_id: int, identity: Identity, now: dt.datetime) -> None:
    """A signed-in person shows another ledger's sign-in: theirs from now on. One that is somebody's stays theirs."""
    where = sa.and_(identities.c.issuer == identity.issuer, identities.c.subject == identity.subject)
    if tx.scalar(sa.select(identities.c.person_id).where(where)) is None:
        tx.execute(
            sa.insert(identities).values(
                issuer=identity.issuer,
                subject=identity.subject,
                person_id=person_id,
                email=identity.email,
                email_verified=bool(identity.email_verified),
                seen_at=now,
            )
        )


def person(tx: Connection, person_id: int) -> Person:
    """Raises LookupError for an unknown id."""
    row = tx.execute(sa.select(people).where(people.c.id == person_id)).one_or_none()
    if row is None:
        raise LookupError(f"There is no person {person_id}.")
    return Person(row.id, row.name or row.email or "somebody", row.email)


def grant(
    tx: Connection, person_id: int, connection_id: str, role: str, *, by: str, now: dt.datetime
) -> None:
    """Give a person a role in an organization, or change it."""
    if role not in ROLES:
        raise ValueError(f"{role!r} is not a role; there are {', '.join(ROLES)}")
    where = sa.and_(memberships.c.person_id == person_id, memberships.c.connection_id == connection_id)
    values = {"role": role, "granted_by": by, "granted_at": now}
    if not tx.execute(sa.update(memberships).where(where).values(**values)).rowcount:
        tx.execute(sa.insert(memberships).values(person_id=person_id, connection_id=connection_id, **values))


def ungrant(tx: Connection, person_id: int, connection_id: str) -> None:
    """Take a person's role in an organization away; their next page is refused."""
    tx.execute(
        sa.delete(memberships).where(
            memberships.c.person_id == person_id, memberships.c.connection_id == connection_id
        )
    )


def role(tx: Connection, person_id: int, connection_id: str) -> str | None:
    """The person's role there; None: they may not even know that it exists."""
    return tx.scalar(
        sa.select(memberships.c.role).where(
            memberships.c.person_id == person_id, memberships.c.connection_id == connection_id
        )
    )


def may(role: str | None, needed: str) -> bool:
    """Is `role` enough for something that needs `needed`?"""
    return role is not None and ROLES.index(role) >= ROLES.index(needed)


def connections_of(tx: Connection, person_id: int) -> dict[str, str]:
    """The organizations a person may see, with their role in each."""
    query = sa.select(memberships.c.connection_id, memberships.c.role).where(
        memberships.c.person_id == person_id
    )
    return {row.connection_id: row.role for row in tx.execute(query)}


def members(tx: Connection, connection_id: str) -> list[tuple[Person, str]]:
    """Everyone with a role in an organization, by name."""
    query = (
        sa.select(people, memberships.c.role)
        .join(memberships, memberships.c.person_id == people.c.id)
        .where(memberships.c.connection_id == connection_id)
        .order_by(people.c.name)
    )
    return [(Person(row.id, row.name, row.email), row.role) for row in tx.execute(query)]


def start_session(tx: Connection, person_id: int, now: dt.datetime, client: str = "") -> str:
    """A new session; returns the secret for the cookie. Only its hash is kept."""
    secret = secrets.token_urlsafe(32)
    tx.execute(
        sa.insert(sessions).values(
            id=_hash(secret),
            person_id=person_id,
            client=client[:200],
            created_at=now,
            seen_at=now,
            expires_at=now + SESSION_LENGTH,
        )
    )
    return secret


def session(tx: Connection, secret: str, now: dt.datetime) -> Session | None:
    """The session a cookie stands for; None when it ended, ran out or rested too long."""
    row = tx.execute(sa.select(sessions).where(sessions.c.id == _hash(secret))).one_or_none()
    if row is None or row.ended_at is not None or row.expires_at <= now:
        return None
    if row.seen_at is not None and row.seen_at + SESSION_IDLE <= now:
        return None
    return Session(row.id, person(tx, row.person_id), row.created_at, row.expires_at)


def seen(tx: Connection, session_id: str, now: dt.datetime) -> None:
    """Somebody used the session just now; call it at most once a minute or so."""
    tx.execute(sa.update(sessions).where(sessions.c.id == session_id).values(seen_at=now))


def end_session(tx: Connection, secret: str, now: dt.datetime) -> None:
    tx.execute(sa.update(sessions).where(sessions.c.id == _hash(secret)).values(ended_at=now))


def sign_out_everywhere(tx: Connection, person_id: int, now: dt.datetime) -> int:
    """End every session of a person; returns how many there were."""
    running = sa.and_(sessions.c.person_id == person_id, sessions.c.ended_at.is_(None))
    return tx.execute(sa.update(sessions).where(running).values(ended_at=now)).rowcount


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
