"""What webhooks said: kept once, woken once, drained once."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from connector import config, db
from connector.connecting import access, connections
from connector.domain.receivables import Kind
from connector.mirroring import inbox
from connector.mirroring.inbox import Change
from tests.connector import json_ledger

NOON = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)


def a_change(
    key: str, organization: str = "books-1", kind: Kind | None = Kind.INVOICE, id: str = "147"
) -> Change:
    return Change("json", organization, kind, id, "updated", NOON, key)


def test_an_event_that_the_ledger_repeats_is_kept_once(store: Engine, connected: str) -> None:
    with db.transaction(store) as tx:
        assert inbox.record(tx, [a_change("e1"), a_change("e1"), a_change("e2")], NOON) == [connected]
        assert inbox.record(tx, [a_change("e1")], NOON) == []  # sent again: nobody is woken for it
        assert [p.record_id for p in inbox.pending(tx, connected)] == ["147", "147"]
        assert inbox.pending_connections(tx) == [connected]


def test_two_ledgers_may_use_the_same_key(store: Engine, connected: str) -> None:
    with db.transaction(store) as tx:
        other = Change("other", "books-1", Kind.INVOICE, "9", "updated", NOON, "e1")
        inbox.record(tx, [a_change("e1"), other], NOON)
        assert tx.scalar(sa.select(sa.func.count()).select_from(db.inbox)) == 2
        assert len(inbox.pending(tx, connected)) == 1


def test_drained_changes_are_not_pending_but_later_ones_are(store: Engine, connected: str) -> None:
    with db.transaction(store) as tx:
        inbox.record(tx, [a_change("e1")], NOON)
        seen = inbox.pending(tx, connected)
        inbox.record(tx, [a_change("e2", kind=None)], NOON)
        inbox.drained(tx, [p.id for p in seen], NOON)
        assert [p.kind for p in inbox.pending(tx, connected)] == [None]
        assert inbox.forget(tx, NOON + dt.timedelta(days=1)) == 1


def test_changes_of_an_unknown_organization_wait_until_it_is_connected(
    store: Engine, installation: config.Config
) -> None:
    with db.transaction(store) as tx:
        assert inbox.record(tx, [a_change("e1")], NOON) == []
    [connection] = connections.save_grant(store, installation, "json", json_ledger.grant())
    with db.reading(store) as tx:
        assert [p.record_id for p in inbox.pending(tx, connection.id)] == ["147"]


def test_changes_of_whom_nobody_connects_go_and_who_comes_back_is_read_anew(
    store: Engine, installation: config.Config, connected: str
) -> None:
    """Kept for two weeks, then let go. Those of a connected organization stay until they are read, however long."""
    two_weeks = NOON + dt.timedelta(days=14)

    def left() -> list[str]:
        with db.transaction(store) as tx:
            inbox.forget(tx, two_weeks)
            return list(tx.scalars(sa.select(db.inbox.c.record_id).order_by(db.inbox.c.id)))

    def cursor(value: object = None) -> object:
        with db.transaction(store) as tx:
            if value:
                tx.execute(sa.update(db.connections).values(cursor=value))
            return connections.get(tx, connected).cursor

    cursor({"at": 9})
    with db.transaction(store) as tx:
        inbox.record(tx, [a_change("e1"), a_change("e2", "nobody's", id="148")], NOON)
        inbox.record(tx, [a_change("e3", "nobody's", id="149")], two_weeks)
    assert left() == ["147", "149"]
    access.lost(store, connected, "Gone.")
    with db.transaction(store) as tx:
        inbox.record(tx, [a_change("e4", id="150")], two_weeks)
    assert cursor() == {"at": 9}
    assert left() == ["149", "150"]
    assert cursor() is None
    cursor({"at": 9})
    assert left() == ["149", "150"]
    assert cursor() == {"at": 9}


def test_a_disconnected_organization_is_not_woken(
    store: Engine, installation: config.Config, connected: str, ledgers: json_ledger.Ledgers
) -> None:
    connections.disconnect(store, installation, connected)
    with db.transaction(store) as tx:
        assert inbox.record(tx, [a_change("e1")], NOON) == []
        assert inbox.pending_connections(tx) == []


def test_a_body_that_nobody_understands_is_kept_once(store: Engine, installation: config.Config) -> None:
    with db.transaction(store) as tx:
        inbox.record_unread(tx, "json", b"\xff{", "not JSON", NOON)
        inbox.record_unread(tx, "json", b"\xff{", "not JSON", NOON)
        kept = tx.execute(sa.select(db.unread.c.body, db.unread.c.why)).all()
    assert [(bytes(row.body), row.why) for row in kept] == [(b"\xff{", "not JSON")]
