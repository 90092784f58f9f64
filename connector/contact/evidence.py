"""Everything on record about one customer in one piece: for the bookkeeper, the customer, or whoever must judge later.

Plans with their terms and acceptance, invoices and payments, promises and whether they were kept, every contact with
its exact words and time, and every message that was held and why.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector import db
from connector.connecting import connections
from connector.contact import charges, holds
from connector.contact.contacts import HEARD
from connector.domain import promises
from connector.domain.demand import Block
from connector.domain.money import Money
from connector.mirroring import books
from connector.planning import plans
from connector.practice import settings

Json = dict[str, Any]


def pack(tx: Connection, connection_id: str, customer_id: str, *, today: dt.date) -> Json:
    """Plain JSON, oldest first; money is minor units beside a currency. Raises LookupError."""
    picture = books.of_customer(tx, connection_id, customer_id)
    if picture is None:
        raise LookupError(f"No customer {customer_id} is in the books.")
    organization = connections.get(tx, connection_id)
    policy = settings.load(tx, connection_id).policy
    return {
        "organization": organization.organization,
        "customer": {"id": customer_id, "name": picture.customer.name},
        "as_of": today.isoformat(),
        "invoices": [
            {
                "number": i.number,
                "date": i.date.isoformat(),
                "due": i.due.isoformat(),
                "currency": i.currency,
                "total": i.total,
                "open": i.balance,
            }
            for i in sorted(picture.invoices, key=lambda i: (i.date, i.id))
        ],
        "payments": [
            {
                "date": p.date.isoformat(),
                "currency": p.currency,
                "amount": p.amount,
                "unmatched": p.unapplied,
                "void": p.void,
            }
            for p in sorted(picture.payments, key=lambda p: (p.date, p.id))
        ],
        "plans": [_plan(tx, r) for r in plans.of_customer(tx, connection_id, customer_id)],
        "promises": [
            {
                "made": p.recorded_at.isoformat(),
                "by": p.recorded_by,
                "for": p.promised_on.isoformat(),
                "invoice": p.invoice_id,
                "amount": p.amount,
                "currency": p.currency,
                "state": promises.state(
                    holds.judgeable(p), picture.invoices, picture.payments, today, policy
                ),
            }
            for p in holds.promised(tx, connection_id, customer_id)
        ],
        "rests": [
            {
                "since": h.set_at.isoformat(),
                "by": h.set_by,
                "why": h.words,
                "note": h.note,
                "invoice": h.invoice_id,
            }
            for h in holds.active(tx, connection_id, customer_id, today=today)
        ],
        "contacts": _contacts(tx, connection_id, customer_id),
        "charges": [
            {
                "number": c.number,
                "what": c.what,
                "rule": c.rule,
                "state": c.state,
                "by": c.approved_by,
                "waived_by": c.waived_by,
                "why": c.why,
            }
            for c in charges.of_customer(tx, connection_id, customer_id)
        ],
    }


def _plan(tx: Connection, record: plans.Record) -> Json:
    return {
        "id": record.id,
        "state": record.state,
        "versions": [
            {
                "version": v.plan.version,
                "author": v.author,
                "why": v.why,
                "approved_by": v.approved_by,
                "currency": v.plan.currency,
                "total": v.plan.total,
                "rows": [{"due": r.due.isoformat(), "amount": r.total} for r in v.plan.rows],
            }
            for v in plans.versions(tx, record.id)
        ],
        "acceptance": record.acceptance,
    }


def _contacts(tx: Connection, connection_id: str, customer_id: str) -> list[Json]:
    r = db.reminders.c
    query = (
        sa.select(db.reminders)
        .where(r.connection_id == connection_id, r.customer_id == customer_id)
        .order_by(r.id)
    )
    return [
        {
            "at": row.updated_at.isoformat(),
            "on": (row.reached_on or row.due_on).isoformat(),
            "level": row.level,
            "channel": row.channel or "note",
            "state": row.state,
            "held_because": [] if row.level == HEARD else list(row.held_because or ()),
            "words": row.text or "",
        }
        for row in tx.execute(query)
    ]


def title(pack: Json) -> str:
    return f"{pack['customer']['name']}, for {pack['organization']}, as of {pack['as_of']}"


def blocks(pack: Json) -> list[Block]:
    """The same for a PDF: what stands alone on a line before a list is its heading."""
    found = [Block(title(pack), heading=True)]
    for part in text(pack).split("\n\n")[1:]:
        heading, _, rest = part.partition("\n")
        found += [Block(heading, heading=True), Block(rest or "None.")]
    return found


def text(pack: Json) -> str:
    """The same for people to read and print."""
    lines = [title(pack), "", "Invoices"]
    for i in pack["invoices"]:
        total, open_ = Money(i["total"], i["currency"]), Money(i["open"], i["currency"])
        lines.append(f"- {i['number']} of {i['date']}, due {i['due']}: {total}, open {open_}")
    lines += ["", "Payments"]
    for p in pack["payments"]:
        void = ", void" if p["void"] else ""
        lines.append(f"- {p['date']}: {Money(p['amount'], p['currency'])}{void}")
    lines += ["", "Plans"]
    for plan in pack["plans"]:
        lines.append(f"- {plan['id']}, {plan['state']}")
        for v in plan["versions"]:
            rows = ", ".join(f"{r['due']} {Money(r['amount'], v['currency'])}" for r in v["rows"])
            lines.append(f"  version {v['version']} by {v['author']}: {rows}")
    lines += ["", "Promises"]
    lines += [
        f"- for {p['for']}, recorded {p['made'][:10]} by {p['by']}: {p['state']}" for p in pack["promises"]
    ]
    lines += ["", "Fees, interest and discounts"]
    lines += [
        f"- {c['number']}: {c['what']}, {c['state']}. {c['rule']} {c['why']}".rstrip()
        for c in pack["charges"]
    ]
    lines += ["", "Contacts"]
    for c in pack["contacts"]:
        lines.append(f"- {c['on']} {c['level'].replace('_', ' ')} ({c['channel']}, {c['state']})")
        lines += [f"  held: {reason}" for reason in c["held_because"]]
        lines += [f"  | {line}" for line in c["words"].splitlines()]
    return "\n".join(lines) + "\n"
