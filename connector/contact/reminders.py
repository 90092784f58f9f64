"""Reminders that are due: each at most once for a customer, level and cycle, with what holds it.

due → held | noted | sent. The text is what the customer would read; the note in the ledger is short.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector import bulk, db
from connector.db import reminders
from connector.domain.dunning import Contact
from connector.record import audit

Key = tuple[str, str]  # connection, customer
OPEN = ("due", "held")
REACHED = ("noted", "sent")
NEEDS_PERSON = "This step needs a person"
BY_PERSON = "person"  # the channel of a step that needs a person, once a person let it go
OURS = sa.not_(reminders.c.level.in_(("contact", "heard")))  # the others are `contacts`


@dataclass(frozen=True, slots=True)
class About:
    """One document that a reminder speaks of. `key` as dunning.Open.key; `amount` is minor units."""

    key: str
    invoice_id: str
    number: str
    amount: int
    currency: str
    due: dt.date
    level: str  # the step of its ladder that it takes with this reminder; "" when it is only listed


@dataclass(frozen=True, slots=True)
class Reminder:
    """`cycle` is the oldest document that moves with it; `due_on` the day it became due."""

    id: int
    connection_id: str
    customer_id: str
    level: str
    cycle: str
    due_on: dt.date
    reached_on: dt.date | None
    invoices: tuple[About, ...]
    text: str
    state: str
    held_because: tuple[str, ...]
    created_at: dt.datetime
    updated_at: dt.datetime
    released: bool = False  # a person let a step go that needs one

    @property
    def for_a_person(self) -> bool:
        """Whether it waits until a person lets it go."""
        return self.state == "held" and any(because.startswith(NEEDS_PERSON) for because in self.held_because)


@dataclass(frozen=True, slots=True)
class Due:
    """The one message that a customer is due for, with what holds it; not stored yet."""

    customer_id: str
    level: str
    about: tuple[About, ...]
    text: str
    held_because: tuple[str, ...]
    unfit: bool = False  # its words may not be sent as they are

    @property
    def state(self) -> str:
        return "held" if self.held_because else "due"


def keep(
    tx: Connection,
    connection_id: str,
    found: Mapping[str, Due | None],
    earlier: Mapping[str, Sequence[Reminder]],
    *,
    today: dt.date,
    now: dt.datetime,
) -> list[Due]:
    """Keep what is due for some customers, in place of what was due and has not left; None: nothing is due.

    `earlier` are all their reminders, as read a moment ago: what leaves meanwhile stays as it left, and what is
    stored already is not written again. Returns what is kept, without what left already.
    """
    return keep_of(
        tx,
        {(connection_id, id): due for id, due in found.items()},
        {(connection_id, id): mine for id, mine in earlier.items()},
        today={connection_id: today},
        now=now,
    )


def keep_of(
    tx: Connection,
    found: Mapping[Key, Due | None],
    earlier: Mapping[Key, Sequence[Reminder]],
    *,
    today: Mapping[str, dt.date],
    now: dt.datetime,
) -> list[Due]:
    """The same for customers of any organizations, each on its own day."""
    new, changed, kept, stay = [], [], [], set[int]()
    for (connection_id, customer_id), due in found.items():
        if due is None:
            continue
        cycle = cycle_of(due.about)
        mine = earlier.get((connection_id, customer_id), ())
        old = next((r for r in mine if (r.level, r.cycle) == (due.level, cycle)), None)
        values = {
            "invoices": [_dump(a) for a in due.about],
            "text": due.text,
            "state": due.state,
            "held_because": list(due.held_because),
        }
        if old is None:
            who = {"connection_id": connection_id, "customer_id": customer_id, "due_on": today[connection_id]}
            new.append({**who, "level": due.level, "cycle": cycle, **values})
        elif old.state not in OPEN:
            continue
        elif (old.state, old.invoices, old.text, old.held_because) != (
            due.state,
            due.about,
            due.text,
            due.held_because,
        ):
            changed.append({"id": old.id, "updated_at": now, **values})
        if old is not None:
            stay.add(old.id)
        kept.append(due)
    gone = [r.id for id in found for r in earlier.get(id, ()) if r.state in OPEN and r.id not in stay]
    if gone:
        _forget(tx, reminders.c.id.in_(gone))
    bulk.update(tx, reminders, ("id",), changed, where="reminders.state IN ('due', 'held')")
    always = {"channel": "note", "created_at": now, "updated_at": now}
    bulk.insert(tx, reminders, [always | row for row in new], unless_there=True)
    return kept


def clear(tx: Connection, connection_id: str, customer_id: str) -> None:
    """Forget what was due for a customer and never left: it is due no more."""
    mine = sa.and_(reminders.c.connection_id == connection_id, reminders.c.customer_id == customer_id)
    _forget(tx, mine)


def _forget(tx: Connection, which: sa.ColumnElement[bool]) -> None:
    """What waits, with the writes that came to nothing. One that a ledger has, or may have, stays: it counts."""
    w = db.writes.c
    begun = sa.select(w.id).where(w.reminder_id == reminders.c.id, w.state.in_(("sending", "done")))
    open_ = sa.and_(which, reminders.c.state.in_(OPEN), ~begun.exists())
    tx.execute(sa.delete(db.writes).where(w.reminder_id.in_(sa.select(reminders.c.id).where(open_))))
    tx.execute(sa.delete(reminders).where(open_))


def retext(tx: Connection, reminder_id: int, text: str) -> None:
    """Its words as of the day on which it leaves."""
    _set(tx, reminder_id, text=text)


def release(tx: Connection, reminder_id: int, *, who: str, now: dt.datetime) -> Reminder:
    """A person lets a step go that needs one. Everything else that holds it still does. Raises LookupError."""
    reminder = get(tx, reminder_id)
    _set(tx, reminder_id, channel=BY_PERSON, updated_at=now)
    audit.record(
        tx,
        who=who,
        what="let a reminder go",
        connection_id=reminder.connection_id,
        subject=f"customer {reminder.customer_id}",
        after={"level": reminder.level, "reminder": reminder_id},
        now=now,
    )
    return reminder


def cycle_of(about: Sequence[About]) -> str:
    """Which round of reminders a message belongs to: the oldest document that takes a step with it."""
    return next(a.key for a in about if a.level)


def hold(tx: Connection, reminder_id: int, because: Sequence[str], now: dt.datetime) -> None:
    """The last look before it left found something."""
    _set(tx, reminder_id, state="held", held_because=list(because), updated_at=now)


def reached(tx: Connection, reminder_id: int, state: str, on: dt.date, now: dt.datetime) -> None:
    """It is in the ledger ("noted") or with the customer ("sent") since the organization's day `on`."""
    _set(tx, reminder_id, state=state, held_because=[], reached_on=on, updated_at=now)


def _set(tx: Connection, reminder_id: int, **values: Any) -> None:
    tx.execute(sa.update(reminders).where(reminders.c.id == reminder_id).values(**values))


def get(tx: Connection, reminder_id: int) -> Reminder:
    """Raises LookupError for an unknown id."""
    row = tx.execute(sa.select(reminders).where(reminders.c.id == reminder_id)).one_or_none()
    if row is None:
        raise LookupError(f"There is no reminder {reminder_id}.")
    return _reminder(row)


def of_connection(
    tx: Connection, connection_id: str, states: Collection[str] | None = None
) -> list[Reminder]:
    """Oldest first."""
    query = sa.select(reminders).where(reminders.c.connection_id == connection_id, OURS)
    if states is not None:
        query = query.where(reminders.c.state.in_(list(states)))
    return [_reminder(row) for row in tx.execute(query.order_by(reminders.c.id))]


def waiting_connections(tx: Connection) -> list[str]:
    """The organizations with a reminder that is due and not held."""
    return list(tx.scalars(sa.select(reminders.c.connection_id).where(reminders.c.state == "due").distinct()))


def latest(tx: Connection, connection_id: str, limit: int, offset: int = 0) -> list[Reminder]:
    """The newest first, at most `limit` after leaving out `offset`."""
    query = sa.select(reminders).where(reminders.c.connection_id == connection_id)
    newest = query.order_by(reminders.c.id.desc()).limit(limit).offset(offset)
    return [_reminder(row) for row in tx.execute(newest)]


def of_customer(tx: Connection, connection_id: str, customer_id: str) -> list[Reminder]:
    return of_customers(tx, connection_id, [customer_id])


def of_customers(tx: Connection, connection_id: str, customer_ids: Collection[str]) -> list[Reminder]:
    query = sa.select(reminders).where(
        reminders.c.connection_id == connection_id, reminders.c.customer_id.in_(list(customer_ids))
    )
    # Sorted here: asked to, SQLite would walk down all reminders by their number.
    return [_reminder(row) for row in sorted(tx.execute(query), key=lambda row: row.id)]


def that_count(tx: Connection, connection_id: str, since: Mapping[str, dt.date]) -> list[Reminder]:
    """Of these customers what still waits, and what reached each of them on their day of `since` or later.

    Which those are is asked first, without their words: of a customer of many years most are long past.
    """
    r = reminders.c
    query = sa.select(r.id, r.connection_id, r.customer_id, r.state, r.reached_on).where(
        r.connection_id == connection_id, r.customer_id.in_(list(since))
    )
    return _that_count(tx, query, {(connection_id, id): day for id, day in since.items()})


def that_count_of(tx: Connection, since: Mapping[Key, dt.date]) -> list[Reminder]:
    """The same of customers of any organizations."""
    r = reminders.c
    query = sa.select(r.id, r.connection_id, r.customer_id, r.state, r.reached_on)
    return _that_count(tx, query.select_from(db.of_these(tx, reminders, since)), since)


def _that_count(tx: Connection, query: sa.Select[Any], since: Mapping[Key, dt.date]) -> list[Reminder]:
    r = reminders.c
    ids = [
        id
        for id, connection_id, customer_id, state, reached_on in tx.execute(query).all()
        if state not in REACHED or reached_on is None or reached_on >= since[connection_id, customer_id]
    ]
    if not ids:
        return []
    whole = sa.select(reminders).where(r.id.in_(ids)).order_by(r.id)
    return [_reminder(row) for row in tx.execute(whole).all()]


def count_reached(
    tx: Connection, connection_id: str, customer_ids: Collection[str], since: dt.datetime
) -> int:
    """How many messages, and contacts by hand, reached these customers since that moment."""
    r = reminders.c
    query = sa.select(sa.func.count()).where(
        r.connection_id == connection_id,
        r.customer_id.in_(list(customer_ids)),
        r.state.in_(REACHED),
        r.updated_at >= since,
        r.reached_on >= since.date() - dt.timedelta(1),  # not what was put on record of an earlier day
    )
    return tx.scalar(query) or 0


def contacts(of_one_customer: Sequence[Reminder]) -> list[Contact]:
    """What reached the customer, as the ladder wants it."""
    return [
        Contact(r.reached_on, {a.key: a.level for a in r.invoices if a.level})
        for r in of_one_customer
        if r.state in REACHED and r.reached_on
    ]


def _dump(about: About) -> dict[str, Any]:
    return {
        "key": about.key,
        "id": about.invoice_id,
        "number": about.number,
        "amount": about.amount,
        "currency": about.currency,
        "due": about.due.isoformat(),
        "level": about.level,
    }


def _reminder(row: Any) -> Reminder:
    return Reminder(
        id=row.id,
        connection_id=row.connection_id,
        customer_id=row.customer_id,
        level=row.level,
        cycle=row.cycle,
        due_on=row.due_on,
        reached_on=row.reached_on,
        invoices=tuple(
            About(
                a["key"],
                a["id"],
                a["number"],
                a["amount"],
                a["currency"],
                dt.date.fromisoformat(a["due"]),
                a["level"],
            )
            for a in row.invoices
            if "key" in a
        ),
        text=row.text or "",
        state=row.state,
        held_because=tuple(row.held_because or ()),
        created_at=row.created_at,
        updated_at=row.updated_at,
        released=row.channel == BY_PERSON,
    )
