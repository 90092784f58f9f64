"""What is held about one customer as a person: all of it as a file, and erased on request.

What the law wants kept stays: plans, charges, amounts, dates and what was written into the ledger, without words about
the person. The mirror follows the ledger: what is erased there is gone here at the next sync.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Collection
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector import db
from connector.contact import credit_limits, evidence, holds, reminders
from connector.customer_page import customer_answers, customer_files, customer_links
from connector.domain import codec
from connector.mirroring import books
from connector.record import audit
from connector.reviewing import current

Json = dict[str, Any]
KEPT = (
    "Plans, charges, amounts, dates and what was written into the ledger are accounting records and stay, without "
    "words about the person. Erase the customer in the ledger, too: our copy of its records follows."
)


def export(tx: Connection, connection_id: str, customer_id: str, *, today: dt.date) -> Json:
    """Everything about one customer as plain JSON. Raises LookupError."""
    pack = evidence.pack(tx, connection_id, customer_id, today=today)
    customer = books.customer(tx, connection_id, customer_id)
    concluded = current.of_customer(tx, connection_id, customer_id)
    mine = _records(tx, connection_id, customer_id)
    said = [a for id in mine for a in customer_answers.of_customer(tx, connection_id, id)]
    files = customer_files.of_answers(tx, [a.id for a in said])
    return {
        "record": codec.to_json(customer),
        "on_record": pack,
        "credit_limit": _limit(tx, connection_id, customer_id),
        "judged": {
            "kind": concluded.kind if concluded else None,
            "reasons": list(concluded.reasons) if concluded else [],
            "findings": [f.text for f in concluded.findings] if concluded else [],
        },
        "answers": [
            {
                "at": a.at.isoformat(),
                "kind": a.kind,
                "said": a.data,
                "reply": a.reply,
                "files": [_file(tx, f.id) for f in files.get(a.id, [])],
            }
            for a in said
        ],
        "log": [
            {**asdict(e), "at": e.at.isoformat()}
            for e in audit.of_connection(tx, connection_id, subject=f"customer {customer_id}", limit=None)
        ],
    }


def _limit(tx: Connection, connection_id: str, customer_id: str) -> Json | None:
    """The one that a person entered."""
    found = credit_limits.entered(tx, connection_id, [customer_id]).get(customer_id)
    if found is None:
        return None
    when = found.at.isoformat()
    return {"amount": found.amount, "currency": found.currency, "entered_by": found.who, "at": when}


def _records(tx: Connection, connection_id: str, customer_id: str) -> list[str]:
    """The customer and the records that were merged into it: one person to us."""
    merged = books.survivors(tx, connection_id)
    return [customer_id, *sorted(old for old, now in merged.items() if now == customer_id)]


def _addresses(tx: Connection, connection_id: str, mine: Collection[str]) -> list[int]:
    """Every address of the customer's page for these records, or for a document of theirs, whoever had it before."""
    theirs = {i.id for id in mine if (p := books.of_customer(tx, connection_id, id)) for i in p.invoices}
    return [
        link.id
        for link in customer_links.of_connection(tx, connection_id)
        if link.customer_id in mine or theirs & set(link.documents)
    ]


def _file(tx: Connection, file_id: int) -> Json:
    about, content = customer_files.get(tx, file_id)
    return {"name": about.name, "type": about.type, "content": base64.b64encode(content).decode()}


def erase(
    tx: Connection, connection_id: str, customer_id: str, *, who: str, now: dt.datetime
) -> dict[str, int]:
    """Empty every word about the customer and stop all messages. Returns how many rows lost theirs, by table.

    Raises LookupError for a customer who is not in the books.
    """
    if books.customer(tx, connection_id, customer_id) is None:
        raise LookupError(f"No customer {customer_id} is in the books.")
    mine = _records(tx, connection_id, customer_id)
    for id in mine:
        reminders.clear(tx, connection_id, id)
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
        where = sa.and_(table.c.connection_id == connection_id, key.in_(mine))
        emptied[table.name] = tx.execute(sa.update(table).where(where).values(**values)).rowcount
    entered = db.credit_limits.c
    whose = sa.and_(entered.connection_id == connection_id, entered.customer_id.in_(mine))
    emptied["credit_limits"] = tx.execute(sa.delete(db.credit_limits).where(whose)).rowcount
    answers, files = db.customer_answers.c, db.customer_files.c
    theirs = sa.select(answers.id).where(
        answers.connection_id == connection_id, answers.customer_id.in_(mine)
    )
    sent = sa.delete(db.customer_files).where(files.answer_id.in_(theirs))
    emptied["customer_files"] = tx.execute(sent).rowcount
    links = db.customer_links.c
    named = _addresses(tx, connection_id, mine)
    tx.execute(
        sa.update(db.customer_links)
        .where(links.id.in_(named), links.revoked_at.is_(None))
        .values(revoked_at=now, revoked_by=who)
    )
    emptied["audit"] = sum(
        audit.erase_about(tx, connection_id, f"customer {id}", who=who, now=now) for id in mine
    )
    holds.put(tx, connection_id, customer_id, "data_request", who=who, now=now)
    books.note_changed(tx, connection_id, [customer_id], now)
    return emptied
