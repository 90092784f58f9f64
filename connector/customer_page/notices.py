"""Bookkeepers who want an e-mail when a customer answered: off until they ask, to their confirmed address alone.

A message says how many answers came and where they stand: no name, no amount, no words of a customer.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector.db import customer_answers as answers
from connector.db import identities, memberships, notices
from connector.record import audit

REST = dt.timedelta(minutes=15)  # between two messages to one person about one organization
LONGEST = dt.timedelta(hours=6)  # between two tries


@dataclass(frozen=True, slots=True)
class Notice:
    """One message that is due."""

    connection_id: str
    person_id: int
    to: str
    count: int
    newest: int  # id of the last answer that it speaks of

    @property
    def key(self) -> str:
        return f"answers.{self.connection_id}.{self.person_id}.{self.newest}"


def address(tx: Connection, person_id: int) -> str:
    """The newest address that a ledger's sign-in confirmed as theirs; "" for none."""
    i = identities.c
    query = sa.select(i.email).where(i.person_id == person_id, i.email_verified, i.email != "")
    return tx.scalar(query.order_by(i.seen_at.desc()).limit(1)) or ""


def wanted(tx: Connection, connection_id: str, person_id: int) -> bool:
    return tx.scalar(sa.select(sa.exists().where(_mine(connection_id, person_id)))) or False


def switch(
    tx: Connection, connection_id: str, person_id: int, on: bool, *, who: str, now: dt.datetime
) -> None:
    """Tell this person of answers from now on, or no more. Twice is harmless."""
    if on == wanted(tx, connection_id, person_id):
        return
    if on:
        newest = sa.select(sa.func.max(answers.c.id)).where(answers.c.connection_id == connection_id)
        tx.execute(
            sa.insert(notices).values(
                connection_id=connection_id, person_id=person_id, told=tx.scalar(newest) or 0, since=now
            )
        )
    else:
        tx.execute(sa.delete(notices).where(_mine(connection_id, person_id)))
    what = "asked for e-mails about answers" if on else "ended e-mails about answers"
    audit.record(tx, who=who, what=what, connection_id=connection_id, subject="settings", now=now)


def pending(tx: Connection, now: dt.datetime) -> list[str]:
    """The organizations with somebody to tell."""
    n = notices.c
    newer = sa.exists().where(answers.c.connection_id == n.connection_id, answers.c.id > n.told)
    return sorted(tx.scalars(sa.select(n.connection_id).where(newer, _may(now)).distinct()))


def due(tx: Connection, connection_id: str, now: dt.datetime) -> list[Notice]:
    """The messages to send now. Whoever lost their role or their confirmed address gets none."""
    n = notices.c
    newer = sa.and_(answers.c.connection_id == n.connection_id, answers.c.id > n.told)
    query = (
        sa.select(n.person_id, sa.func.count(answers.c.id), sa.func.max(answers.c.id))
        .join(answers, newer)
        .where(n.connection_id == connection_id, _may(now))
        .group_by(n.person_id)
        .order_by(n.person_id)
    )
    return [
        Notice(connection_id, person_id, address(tx, person_id), count, newest)
        for person_id, count, newest in tx.execute(query).all()
    ]


def words(notice: Notice, public_url: str) -> tuple[str, str]:
    """Subject and text."""
    one = notice.count == 1
    subject = "A customer answered on their page" if one else "Customers answered on their pages"
    waits = "One answer is there to read" if one else f"{notice.count} answers are there to read"
    page = f"{public_url}/organizations/{notice.connection_id}/customer-page"
    return subject, (
        f"{waits}:\n{public_url}/queue?organization={notice.connection_id}\n\n"
        f"This message names nobody. End such messages here:\n{page}\n"
    )


def told(tx: Connection, notice: Notice, now: dt.datetime) -> None:
    values = {"told": notice.newest, "failed": 0, "again_at": now + REST}
    tx.execute(sa.update(notices).where(_mine(notice.connection_id, notice.person_id)).values(**values))


def failed(tx: Connection, notice: Notice, now: dt.datetime) -> None:
    """Try again later, and later each time."""
    where = _mine(notice.connection_id, notice.person_id)
    times = tx.scalar(sa.select(notices.c.failed).where(where)) or 0
    wait = min(LONGEST, dt.timedelta(minutes=2 ** min(times, 9)))
    tx.execute(sa.update(notices).where(where).values(failed=times + 1, again_at=now + wait))


def failing(tx: Connection) -> int:
    """How many people could not be told at the last three tries."""
    return tx.scalar(sa.select(sa.func.count()).select_from(notices).where(notices.c.failed >= 3)) or 0


def _may(now: dt.datetime) -> sa.ColumnElement[bool]:
    """Still somebody's books, still a confirmed address, and not told a moment ago."""
    n, m, i = notices.c, memberships.c, identities.c
    return sa.and_(
        sa.or_(n.again_at.is_(None), n.again_at <= now),
        sa.exists().where(m.person_id == n.person_id, m.connection_id == n.connection_id),
        sa.exists().where(i.person_id == n.person_id, i.email_verified, i.email != ""),
    )


def _mine(connection_id: str, person_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(notices.c.connection_id == connection_id, notices.c.person_id == person_id)
