"""The log keeps everything in order, and shows any change made behind its back."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from connector import db
from connector.record import audit
from tests.connector.conftest import NOON


def three_lines(engine: Engine, connection_id: str) -> None:
    for n in (1, 2, 3):
        with db.transaction(engine) as tx:
            audit.record(
                tx,
                who="Ann Lee",
                what="approved a plan",
                connection_id=connection_id,
                subject=f"plan PP-000{n}",
                before={"state": "proposed"},
                after={"state": "approved", "installments": [28333, 28333, 28334]},
                now=NOON,
            )


def test_a_whole_log_verifies_and_reads_newest_first(engine: Engine, connection_id: str) -> None:
    three_lines(engine, connection_id)
    with db.reading(engine) as tx:
        assert audit.verify(tx) == []
        lines = audit.of_connection(tx, connection_id)
    assert [line.subject for line in lines] == ["plan PP-0003", "plan PP-0002", "plan PP-0001"]
    assert lines[0].at == NOON
    assert lines[0].after == {"state": "approved", "installments": [28333, 28333, 28334]}


@pytest.mark.parametrize(
    ("tampering", "words"),
    [
        (sa.update(db.audit).where(db.audit.c.seq == 2).values(who="Bob"), "Line 2 was changed"),
        (sa.delete(db.audit).where(db.audit.c.seq == 2), "Line 3 does not follow"),
        (sa.update(db.audit).where(db.audit.c.seq == 3).values(after={"state": "x"}), "Line 3 was changed"),
    ],
)
def test_a_changed_or_missing_line_is_found(
    engine: Engine, connection_id: str, tampering: sa.sql.dml.DMLWhereBase, words: str
) -> None:
    three_lines(engine, connection_id)
    with db.transaction(engine) as tx:
        tx.execute(tampering)  # type: ignore[call-overload]
        problems = audit.verify(tx)
    assert len(problems) == 1
    assert problems[0].startswith(words)


def test_a_long_transaction_keeps_nobody_waiting_until_its_end(store: Engine) -> None:
    def line(tx: sa.Connection, who: str) -> None:
        audit.record(tx, who=who, what="drafted a plan", now=NOON)

    with db.transaction(store) as long, audit.at_the_end(long):
        line(long, "Forbear")
        if store.dialect.name == "postgresql":  # SQLite has one writer at a time anyway
            with db.transaction(store) as short:
                short.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
                line(short, "Ann Lee")
        line(long, "Forbear again")
    with db.reading(store) as tx:
        assert audit.verify(tx) == []
        told = [entry.who for entry in audit.of_connection(tx)]
    assert told[:2] == ["Forbear again", "Forbear"]
    assert told[2:] == (["Ann Lee"] if store.dialect.name == "postgresql" else [])


def test_what_failed_leaves_no_line(store: Engine) -> None:
    def fail() -> None:
        with db.transaction(store) as tx, audit.at_the_end(tx):
            audit.record(tx, who="Forbear", what="drafted a plan", now=NOON)
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    with db.reading(store) as tx:
        assert audit.of_connection(tx) == []


def test_one_organizations_words_are_erased_and_no_others(engine: Engine, connection_id: str) -> None:
    ours = (connection_id, "customer 58"), (connection_id, "customer 59"), (None, "customer 58")
    with db.transaction(engine) as tx:
        for whose, subject in ours:
            audit.record(tx, who="Ann", what="a", why="w", connection_id=whose, subject=subject, now=NOON)
        assert audit.erase_about(tx, connection_id, "customer 58", who="Ann", now=NOON) == 1
        assert [e.subject for e in audit.of_connection(tx, connection_id)] == ["", "customer 59", ""]
        audit.erase(tx, connection_id, who="Ann", now=NOON)
    with db.reading(engine) as tx:
        words = [(e.connection_id, e.why, e.subject) for e in audit.of_connection(tx)]
        assert (
            words
            == [(connection_id, "", "")] * 2 + [(None, "w", "customer 58")] + [(connection_id, "", "")] * 2
        )
        assert audit.verify(tx) == []
