"""Charges that a person approved: late fees, interest and discounts, each event at most once among those that stand.

approved → posted | failed; waiving → waived; withdrawn. What the ledger has of a charge, the states of its writes say.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector.db import charges
from connector.domain import charges as rules
from connector.domain.charges import Offer
from connector.domain.money import Money
from connector.writing import outbox

WORDS = {
    rules.LATE_FEE: "Late fee",
    rules.INTEREST: "Interest for late payment",
    rules.FIXED_SUM: "Fixed sum for late payment",
    rules.DISCOUNT: "Discount for early payment",
}
BATCH = "charge "


@dataclass(frozen=True, slots=True)
class Charge:
    """`amount` is minor units; interest runs up to `until`; `why` is the reason of a waiver or withdrawal."""

    id: int
    connection_id: str
    customer_id: str
    invoice_id: str
    kind: str
    currency: str
    amount: int
    until: dt.date
    rule: str
    number: str
    state: str
    approved_by: str
    approved_at: dt.datetime
    waived_by: str
    why: str
    attention: str

    @property
    def what(self) -> str:
        return f"{WORDS[self.kind]} of {Money(self.amount, self.currency)}"

    @property
    def batch(self) -> str:
        return f"{BATCH}{self.id}"


def add(
    tx: Connection, connection_id: str, customer_id: str, offer: Offer, *, who: str, now: dt.datetime
) -> int:
    """Store an offer that a person approved; returns its id. Raises IntegrityError when its event is charged already."""
    spans = [
        {
            "from": s.start.isoformat(),
            "days": s.days,
            "on": s.open,
            "rate": str(s.rate),
            "source": s.source,
        }
        for s in offer.spans
    ]
    inserted = tx.execute(
        sa.insert(charges).values(
            connection_id=connection_id,
            customer_id=customer_id,
            invoice_id=offer.invoice.id,
            kind=offer.kind,
            key=offer.key,
            currency=offer.invoice.currency,
            amount=offer.amount,
            until_day=offer.until,
            balance=offer.invoice.balance,
            rule=offer.rule,
            spans=spans,
            state="approved",
            approved_by=who,
            approved_at=now,
        )
    )
    return int(inserted.inserted_primary_key[0])  # type: ignore[index]


def change(tx: Connection, charge_id: int, **values: Any) -> None:
    """Store another state, number or reason."""
    tx.execute(sa.update(charges).where(charges.c.id == charge_id).values(**values))


def get(tx: Connection, charge_id: int) -> Charge:
    """Raises LookupError for an unknown id."""
    row = tx.execute(sa.select(charges).where(charges.c.id == charge_id)).one_or_none()
    if row is None:
        raise LookupError(f"There is no charge {charge_id}.")
    return _charge(tx, row)


def of_customer(tx: Connection, connection_id: str, customer_id: str) -> list[Charge]:
    """Oldest first."""
    query = sa.select(charges).where(
        charges.c.connection_id == connection_id, charges.c.customer_id == customer_id
    )
    return [_charge(tx, row) for row in tx.execute(query.order_by(charges.c.id)).all()]


def of_event(tx: Connection, connection_id: str, customer_id: str, key: str) -> Charge | None:
    """The newest charge of one event (Offer.key)."""
    c = charges.c
    query = sa.select(charges).where(
        c.connection_id == connection_id, c.customer_id == customer_id, c.key == key
    )
    row = tx.execute(query.order_by(c.id.desc()).limit(1)).one_or_none()
    return _charge(tx, row) if row else None


def of_connection(tx: Connection, connection_id: str, limit: int = 200) -> list[Charge]:
    """The newest first."""
    query = sa.select(charges).where(charges.c.connection_id == connection_id)
    rows = tx.execute(query.order_by(charges.c.id.desc()).limit(limit)).all()
    return [_charge(tx, row) for row in rows]


def _charge(tx: Connection, row: Any) -> Charge:
    """A charge with the state of its writes: they are the truth about what the ledger has."""
    batch = f"{BATCH}{row.id}" + (" back" if row.state == "waived" else "")
    writes = outbox.of_batch(tx, row.connection_id, batch)
    state = row.state
    if any(w.state == "failed" for w in writes):
        state = "failed"
    elif state == "approved" and writes and all(w.state == "done" for w in writes):
        state = "posted"
    elif state == "waived" and any(w.state in outbox.OPEN for w in writes):
        state = "waiving"
    return Charge(
        id=row.id,
        connection_id=row.connection_id,
        customer_id=row.customer_id,
        invoice_id=row.invoice_id,
        kind=row.kind,
        currency=row.currency,
        amount=row.amount,
        until=row.until_day,
        rule=row.rule,
        number=row.number,
        state=state,
        approved_by=row.approved_by,
        approved_at=row.approved_at,
        waived_by=row.waived_by,
        why=row.why,
        attention=" ".join(w.error for w in writes if w.state == "failed"),
    )


def balance_seen(tx: Connection, charge_id: int) -> int:
    """The invoice's balance that the person saw, in minor units."""
    return int(tx.scalar(sa.select(charges.c.balance).where(charges.c.id == charge_id)) or 0)


def numbers(tx: Connection, connection_id: str) -> set[str]:
    """Every document number that a charge of this organization has taken."""
    return set(tx.scalars(sa.select(charges.c.number).where(charges.c.connection_id == connection_id)))
