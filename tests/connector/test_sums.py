"""The sums that the database keeps by itself are those of a walk over all rows, whoever writes and however."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from sqlalchemy.engine import Connection, Engine

from connector import config, db
from connector.domain.receivables import Invoice, Status
from connector.mirroring import mirror
from connector.platforms import Batch
from connector.reviewing import overview
from tests.connector.conftest import NOON, TODAY

OPEN = ("open", "partly_paid")


def test_what_is_open_follows_every_kind_of_write(store: Engine, connected: str) -> None:
    dice = random.Random(7)
    for _ in range(12):
        with db.transaction(store) as tx:
            mirror.store(tx, connected, Batch(invoices=tuple(some(dice) for _ in range(8))), 1)
            mirror.store(
                tx, connected, Batch(invoices=(one := some(dice), one)), 1
            )  # a page may repeat itself
            by_hand(tx, connected, dice)
        with db.reading(store) as tx:
            assert overview.aged(tx, [connected], {connected: TODAY})[connected] == walked(tx, connected)
    with db.transaction(store) as tx:
        i = db.invoices.c
        tx.execute(
            sa.update(db.invoices).where(i.connection_id == connected).values(balance=0, status="paid")
        )
    with db.reading(store) as tx:
        assert tx.execute(sa.select(db.open_days)).all() == []  # no day is left behind with nothing on it


def some(dice: random.Random) -> Invoice:
    """One of twenty invoices as it is now: open, paid, void; of one or the other currency; due on some day."""
    n, due = dice.randrange(20), TODAY - dt.timedelta(days=dice.choice((-5, 0, 1, 30, 31, 61, 91)))
    status = dice.choice((Status.OPEN, Status.PARTLY_PAID, Status.PAID, Status.VOID))
    left = dice.choice((0, 400, 10_000)) if status in OPEN else dice.choice((0, 0, 300))
    return Invoice(f"i{n}", f"{n}", "c1", due, due, dice.choice(("USD", "CAD")), 10_000, left, status)


def by_hand(tx: Connection, connection_id: str, dice: random.Random) -> None:
    """Single rows removed and paid, past the mirror."""
    i = db.invoices.c
    gone, paid = f"i{dice.randrange(20)}", f"i{dice.randrange(20)}"
    tx.execute(sa.delete(db.invoices).where(i.connection_id == connection_id, i.id == gone))
    tx.execute(sa.update(db.invoices).where(i.connection_id == connection_id, i.id == paid).values(balance=0))


def walked(tx: Connection, connection_id: str) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    i = db.invoices.c
    for row in tx.execute(sa.select(db.invoices).where(i.connection_id == connection_id, i.balance > 0)):
        if row.status in OPEN:
            late = (TODAY - row.due).days
            names = list(overview.BUCKETS)
            name = names[0] if late <= 0 else names[min(4, 1 + (late - 1) // 30)]
            sums = found.setdefault(row.currency, dict.fromkeys(names, 0))
            sums[name] += row.balance
    return found


def test_what_is_held_is_counted_by_its_reason_until_it_leaves(store: Engine, connected: str) -> None:
    rows: list[dict[str, Any]] = [
        {
            "connection_id": connected, "customer_id": f"c{n}", "level": "check", "cycle": "i1", "due_on": TODAY,
            "invoices": [], "state": "held", "held_because": because, "created_at": NOON, "updated_at": NOON,
        }
        for n, because in enumerate([["A promise runs."], ["A promise runs.", "In dispute."], ["A promise runs."]])
    ]  # fmt: skip
    with db.transaction(store) as tx:
        tx.execute(sa.insert(db.reminders), rows)
        assert overview.held(tx, connected) == Counter({"A promise runs.": 3, "In dispute.": 1})
        assert overview.held_count(tx, connected) == 3
        c = db.reminders.c
        tx.execute(sa.update(db.reminders).where(c.customer_id == "c1").values(held_because=["In dispute."]))
        tx.execute(
            sa.update(db.reminders).where(c.customer_id == "c0").values(state="noted", held_because=[])
        )
        assert overview.held(tx, connected) == Counter({"A promise runs.": 1, "In dispute.": 1})
        tx.execute(sa.delete(db.reminders))
        assert overview.held(tx, connected) == Counter()
        assert tx.execute(sa.select(db.tallies)).all() == []


def test_an_installation_of_before_gets_its_sums_with_the_update(tmp_path: Path) -> None:
    settings = config.load({"FORBEAR_DATA_DIR": str(tmp_path)})
    engine = db.engine(settings)
    with db.transaction(engine) as tx:
        command.upgrade(db._alembic(tx), "0013")
        for statement in (
            "INSERT INTO connections (id, platform, external_id, organization, created_at) VALUES ('c', 'fake', 'x', 'Harbor', '2026-11-21')",
            "INSERT INTO assessments (connection_id, customer_id, segment, as_of) VALUES ('c', 'kim', 'squeezed', '2026-11-21'), ('c', 'elm', 'reliable', '2026-11-21')",
            "INSERT INTO invoices (connection_id, id, customer_id, date, due, currency, total, balance, status, seen) VALUES"
            " ('c', 'a', 'kim', '2026-09-01', '2026-10-12', 'USD', 900, 700, 'partly_paid', 1),"
            " ('c', 'b', 'kim', '2026-09-01', '2026-10-12', 'USD', 500, 500, 'open', 1),"
            " ('c', 'd', 'kim', '2026-09-01', '2026-11-24', 'USD', 500, 500, 'open', 1),"
            " ('c', 'e', 'elm', '2026-09-01', '2026-10-12', 'USD', 500, 0, 'paid', 1)",
        ):
            tx.exec_driver_sql(statement)
    db.migrate(settings)
    with db.reading(engine) as tx:
        days = tx.execute(sa.select(db.open_days.c.due, db.open_days.c.invoices, db.open_days.c.amount)).all()
        assert sorted(days) == [(dt.date(2026, 10, 12), 2, 1200), (dt.date(2026, 11, 24), 1, 500)]
        a = db.assessments.c
        assert dict(tx.execute(sa.select(a.customer_id, a.overdue)).all()) == {"kim": 1200, "elm": None}
        assert overview.by_overdue(tx, "c", 10) == (["kim"], 1)
    engine.dispose()
