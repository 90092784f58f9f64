"""What passed between people and a customer beside our reminders: calls and letters by hand, and what was heard.

A contact by hand counts against the customer's caps as a reminder does. What was heard (asks for more time, a
reply, a payment that came back, changed contact details) is a signal for the judgement and takes no place.
Both stand in the table of reminders: one record of every contact, in one order.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from connector import db
from connector.db import reminders
from connector.record import audit

CONTACT, HEARD = "contact", "heard"  # the level of such a row
CHANNELS = ("call", "letter", "email", "message", "visit")
SIGNALS = {
    "extension_asked": "asked for more time",
    "replied": "replied",
    "bounced": "had a payment come back",
    "details_changed": "changed their contact details",
}


@dataclass(frozen=True, slots=True)
class Heard:
    """A signal from one customer; `invoice_id` "" when it concerns all that is open."""

    customer_id: str
    what: str
    on: dt.date
    invoice_id: str
    note: str
    who: str


def record(
    tx: Connection,
    connection_id: str,
    customer_id: str,
    how: str,
    *,
    on: dt.date,
    who: str,
    now: dt.datetime,
    note: str = "",
) -> None:
    """Somebody called or wrote by hand. Raises ValueError for an unknown way."""
    if how not in CHANNELS:
        raise ValueError(f"{how!r} is no way to contact somebody; there are {', '.join(CHANNELS)}.")
    did = f"contacted a customer by {how}"
    _keep(tx, connection_id, customer_id, CONTACT, how, did, on=on, who=who, now=now, note=note)


def hear(
    tx: Connection,
    connection_id: str,
    customer_id: str,
    what: str,
    *,
    on: dt.date,
    who: str,
    now: dt.datetime,
    invoice_id: str = "",
    note: str = "",
) -> None:
    """Record a signal. Never write reasons of health or family into `note`. Raises ValueError for an unknown one."""
    if what not in SIGNALS:
        raise ValueError(f"{what!r} is not a signal; there are {', '.join(SIGNALS)}.")
    did = f"noted that a customer {SIGNALS[what]}"
    _keep(
        tx, connection_id, customer_id, HEARD, what, did,
        on=on, who=who, now=now, note=note, invoice_id=invoice_id,
    )  # fmt: skip


def moved(
    tx: Connection, connection_id: str, customer_ids: Collection[str], *, on: dt.date, now: dt.datetime
) -> None:
    """The ledger has other contact details of these customers: a signal for those who owe something. No address is kept."""
    c = db.invoices.c
    owing = sa.select(c.customer_id).where(
        c.connection_id == connection_id, c.customer_id.in_(list(customer_ids)), c.balance > 0
    )
    for id in sorted(set(tx.scalars(owing))):
        note = "In the ledger"
        hear(tx, connection_id, id, "details_changed", on=on, who=audit.SYSTEM, now=now, note=note)


def heard(tx: Connection, connection_id: str, among: Collection[str] | None = None) -> list[Heard]:
    """Every signal of an organization's customers, or of some of them, oldest first."""
    r = reminders.c
    query = sa.select(reminders).where(r.connection_id == connection_id, r.level == HEARD).order_by(r.id)
    if among is not None:
        query = query.where(r.customer_id.in_(list(among)))
    return [
        Heard(
            row.customer_id,
            row.channel,
            row.due_on,
            next((a["id"] for a in row.invoices), ""),
            row.text or "",
            row.held_because[0] if row.held_because else "",
        )
        for row in tx.execute(query)
    ]


def _keep(
    tx: Connection,
    connection_id: str,
    customer_id: str,
    level: str,
    channel: str,
    did: str,
    *,
    on: dt.date,
    who: str,
    now: dt.datetime,
    note: str,
    invoice_id: str = "",
) -> None:
    insert = (postgresql if tx.dialect.name == "postgresql" else sqlite).insert(reminders)
    row = {
        "connection_id": connection_id,
        "customer_id": customer_id,
        "level": level,
        "due_on": on,
        "reached_on": on if level == CONTACT else None,
        "invoices": [{"id": invoice_id}] if invoice_id else [],
        "text": note,
        "channel": channel,
        "state": "sent" if level == CONTACT else HEARD,
        "held_because": [who] if level == HEARD else [],
        "created_at": now,
        "updated_at": now,
    }
    for more in ("", f" {uuid4().hex}"):  # two people at one moment: both stand
        kept = insert.values(**row, cycle=f"{channel} {now.isoformat()}{more}").on_conflict_do_nothing()
        if tx.execute(kept.returning(reminders.c.id)).first() is not None:
            break
    audit.record(
        tx,
        who=who,
        what=did,
        connection_id=connection_id,
        subject=f"customer {customer_id}",
        why=note,
        after={"on": on.isoformat(), "invoice": invoice_id or None},
        now=now,
    )
