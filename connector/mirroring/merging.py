"""A customer whom the ledger merged into another is the same people under another name: what we keep of them goes on there.

Neither ledger can take a merge back. Without this a wish not to be written to, a dispute or a promise would stay with a
name that nobody looks at any more, and what the customer heard yesterday would not count.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection as Transaction

from connector import db

_MOVES = (db.holds, db.promises, db.disputes, db.charges, db.plans, db.todos, db.customer_answers)


def follow(tx: Transaction, connection_id: str, survivors: Mapping[str, str]) -> None:
    """Move them: merged customer → the one that lives on. Harmless when it was done already."""
    for old, now in sorted(survivors.items()):
        for table in _MOVES:
            mine = sa.and_(table.c.connection_id == connection_id, table.c.customer_id == old)
            tx.execute(sa.update(table).where(mine).values(customer_id=now))
        _messages(tx, connection_id, old, now)
        _limit(tx, connection_id, old, now)


def _messages(tx: Transaction, connection_id: str, old: str, now: str) -> None:
    """Where both heard the same of one document, both stay on record."""
    r = db.reminders.c
    taken = sa.select(r.level, r.cycle).where(r.connection_id == connection_id, r.customer_id == now)
    theirs = sa.select(r.id, r.level, r.cycle).where(r.connection_id == connection_id, r.customer_id == old)
    moving = tx.execute(theirs).all()
    known = {tuple(row) for row in tx.execute(taken)} if moving else set()
    for row in moving:
        cycle = f"{row.cycle} of {old}" if (row.level, row.cycle) in known else row.cycle
        tx.execute(sa.update(db.reminders).where(r.id == row.id).values(customer_id=now, cycle=cycle))


def _limit(tx: Transaction, connection_id: str, old: str, now: str) -> None:
    """Whoever lives on keeps the limit that was entered for them."""
    c = db.credit_limits.c
    mine, theirs = (sa.and_(c.connection_id == connection_id, c.customer_id == id) for id in (now, old))
    if tx.scalar(sa.select(c.amount).where(mine)) is None:
        tx.execute(sa.update(db.credit_limits).where(theirs).values(customer_id=now))
