"""What is held about one customer as a person: all of it as a file, and erased on request.

What the law wants kept stays: plans, charges, amounts, dates and what was written into the ledger, without words about
the person. The mirror follows the ledger: what is erased there is gone here at the next sync.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector import audit, books, conclusions, db, evidence, holds, reminders
from connector.domain import codec

Json = dict[str, Any]
KEPT = (
    "Plans, charges, amounts, dates and what was written into the ledger are accounting records and stay, without "
    "words about the person. Erase the customer in the ledger, too: our copy of its records follows."
)


def export(tx: Connection, connection_id: str, customer_id: str, *, today: dt.date) -> Json:
    """Everything about one customer as plain JSON. Raises LookupError."""
    pack = evidence.pack(tx, connection_id, customer_id, today=today)
    customer = books.customer(tx, connection_id, customer_id)
    concluded = conclusions.of_customer(tx, connection_id, customer_id)
    a = db.customer_answers.c
    said = tx.execute(
        sa.select(a.at, a.kind, a.data, a.reply).where(
            a.connection_id == connection_id, a.customer_id == customer_id
        )
    )
    return {
        "record": codec.to_json(customer),
        "on_record": pack,
        "judged": {
            "kind": concluded.kind if concluded else None,
            "reasons": list(concluded.reasons) if concluded else [],
            "findings": [f.text for f in concluded.findings] if concluded else [],
        },
        "answers": [
            {"at": row.at.isoformat(), "kind": row.kind, "said": row.data, "reply": row.reply} for row in said
        ],
        "log": [
            {**asdict(e), "at": e.at.isoformat()}
            for e in audit.of_connection(tx, connection_id, subject=f"customer {customer_id}")
        ],
    }


def erase(
    tx: Connection, connection_id: str, customer_id: str, *, who: str, now: dt.datetime
) -> dict[str, int]:
    """Empty every word about the customer and stop all messages. Returns how many rows lost theirs, by table.

    Raises LookupError for a customer who is not in the books.
    """
    if books.customer(tx, connection_id, customer_id) is None:
        raise LookupError(f"No customer {customer_id} is in the books.")
    reminders.clear(tx, connection_id, customer_id)
    emptied = {}
    for table, values in (
        (db.reminders, {"text": ""}),
        (db.holds, {"note": ""}),
        (db.disputes, {"note": "", "reason": ""}),
        (db.charges, {"why": ""}),
        (db.customer_answers, {"data": {}, "reply": "", "address": "", "agent": ""}),
        (db.customers, {"email": "", "phone": ""}),
    ):
        key = table.c.id if table is db.customers else table.c.customer_id
        where = sa.and_(table.c.connection_id == connection_id, key == customer_id)
        emptied[table.name] = tx.execute(sa.update(table).where(where).values(**values)).rowcount
    answers, files = db.customer_answers.c, db.customer_files.c
    theirs = sa.select(answers.id).where(
        answers.connection_id == connection_id, answers.customer_id == customer_id
    )
    sent = sa.delete(db.customer_files).where(files.answer_id.in_(theirs))
    emptied["customer_files"] = tx.execute(sent).rowcount
    links = db.customer_links.c
    tx.execute(
        sa.update(db.customer_links)
        .where(
            links.connection_id == connection_id, links.customer_id == customer_id, links.revoked_at.is_(None)
        )
        .values(revoked_at=now, revoked_by=who)
    )
    emptied["audit"] = audit.erase_about(tx, connection_id, f"customer {customer_id}", who=who, now=now)
    holds.put(tx, connection_id, customer_id, "data_request", who=who, now=now)
    books.note_changed(tx, connection_id, [customer_id], now)
    return emptied
