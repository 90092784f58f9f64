"""Invitations by link: one organization, one role, one person, three days. Forbear sends no mail.

The link holds a secret of which only the hash is kept. Whoever opens it signs in with their own ledger account.
It ends when it was used, when it is taken back, and when whoever made it may no longer invite.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector import db
from connector.practice import people
from connector.record import audit

GOOD_FOR = dt.timedelta(days=3)


class NotUsable(Exception):
    """The link gives nothing. `str()` says why and what to do."""


@dataclass(frozen=True, slots=True)
class Invitation:
    id: str
    connection_id: str
    role: str
    made_by: str  # name
    expires_at: dt.datetime


def make(tx: Connection, connection_id: str, role: str, *, by: people.Person, now: dt.datetime) -> str:
    """The secret for the link."""
    if role not in people.ROLES:
        raise ValueError(f"{role!r} is not a role; there are {', '.join(people.ROLES)}")
    secret = secrets.token_urlsafe(32)
    tx.execute(
        sa.insert(db.invitations).values(
            id=_hash(secret),
            connection_id=connection_id,
            role=role,
            made_by=by.id,
            made_at=now,
            expires_at=now + GOOD_FOR,
        )
    )
    audit.record(tx, who=by.name, what=f"made an invitation to {role}", connection_id=connection_id, now=now)
    return secret


def find(tx: Connection, secret: str, now: dt.datetime) -> Invitation:
    """Raises NotUsable with a sentence."""
    row = tx.execute(_query().where(db.invitations.c.id == _hash(secret))).one_or_none()
    if row is None:
        raise NotUsable("The link is not complete, or was changed. Copy all of it, or ask for a new one.")
    if row.used_at is not None:
        raise NotUsable("Somebody has used this link already; each is for one person. Ask for a new one.")
    if row.withdrawn_at is not None:
        raise NotUsable("It was taken back. Ask for a new one.")
    if row.expires_at <= now:
        raise NotUsable("It was good for three days. Ask for a new one.")
    if not people.may(people.role(tx, row.made_by, row.connection_id), "configure"):
        raise NotUsable("Whoever made it may no longer invite. Ask for a new one.")
    return _invitation(row)


def use(tx: Connection, secret: str, person: people.Person, now: dt.datetime) -> Invitation:
    """Give the person the role; the link is spent. Raises NotUsable. A right that somebody has stays theirs."""
    found = find(tx, secret, now)
    c = db.invitations.c
    spent = tx.execute(
        sa.update(db.invitations)
        .where(c.id == found.id, c.used_at.is_(None))
        .values(used_at=now, used_by=person.id)
    )
    if not spent.rowcount:  # another browser was faster, on a database that lets two write at once
        raise NotUsable("Somebody has used this link already; each is for one person. Ask for a new one.")
    if not people.may(people.role(tx, person.id, found.connection_id), found.role):
        people.grant(tx, person.id, found.connection_id, found.role, by="invitation", now=now)
    audit.record(
        tx, who=person.name, what=f"joined, to {found.role}", connection_id=found.connection_id, now=now
    )
    return found


def open_ones(tx: Connection, connection_id: str, now: dt.datetime) -> list[Invitation]:
    """Links that still give something, the newest first."""
    c = db.invitations.c
    query = _query().where(
        c.connection_id == connection_id, c.used_at.is_(None), c.withdrawn_at.is_(None), c.expires_at > now
    )
    return [_invitation(row) for row in tx.execute(query.order_by(c.made_at.desc()))]


def withdraw(tx: Connection, connection_id: str, invitation_id: str, *, who: str, now: dt.datetime) -> None:
    """Take a link back; one that was used already gave what it gave."""
    c = db.invitations.c
    done = tx.execute(
        sa.update(db.invitations)
        .where(c.id == invitation_id, c.connection_id == connection_id, c.used_at.is_(None))
        .values(withdrawn_at=now)
    )
    if done.rowcount:
        audit.record(tx, who=who, what="took an invitation back", connection_id=connection_id, now=now)


def _query() -> sa.Select[tuple[object, ...]]:
    joined = db.invitations.join(db.people, db.people.c.id == db.invitations.c.made_by)
    return sa.select(db.invitations, db.people.c.name).select_from(joined)


def _invitation(row: sa.Row[tuple[object, ...]]) -> Invitation:
    return Invitation(row.id, row.connection_id, row.role, row.name, row.expires_at)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
