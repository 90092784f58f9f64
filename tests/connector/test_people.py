"""People are known by the ledger's sign-in; roles and sessions decide what they see."""

from __future__ import annotations

import datetime as dt

from sqlalchemy.engine import Engine

from connector import db
from connector.platforms import Identity
from connector.practice import people
from tests.connector.conftest import NOON

ANN = Identity("https://issuer.example", "a-1", "ann@example.org", True, "Ann Lee")


def test_the_same_sign_in_is_the_same_person_even_when_the_address_changes(engine: Engine) -> None:
    with db.transaction(engine) as tx:
        first = people.sign_in(tx, ANN, NOON)
        moved = Identity("https://issuer.example", "a-1", "lee@example.org", True, "Ann Lee")
        assert people.sign_in(tx, moved, NOON).id == first.id
        assert people.person(tx, first.id).email == "lee@example.org"


def test_the_same_address_at_another_subject_is_another_person(engine: Engine) -> None:
    with db.transaction(engine) as tx:
        first = people.sign_in(tx, ANN, NOON)
        other = people.sign_in(tx, Identity("https://issuer.example", "b-2", ANN.email, True, "Bo"), NOON)
    assert other.id != first.id


def test_roles(engine: Engine, connection_id: str) -> None:
    with db.transaction(engine) as tx:
        ann = people.sign_in(tx, ANN, NOON)
        assert people.role(tx, ann.id, connection_id) is None
        people.grant(tx, ann.id, connection_id, "act", by="the ledger", now=NOON)
        people.grant(tx, ann.id, connection_id, "configure", by="the ledger", now=NOON)
        assert people.connections_of(tx, ann.id) == {connection_id: "configure"}
        assert [(p.name, role) for p, role in people.members(tx, connection_id)] == [("Ann Lee", "configure")]
    assert people.may("configure", "act")
    assert not people.may("read", "act")
    assert not people.may(None, "read")


def test_signing_out_everywhere_ends_every_session(engine: Engine) -> None:
    with db.transaction(engine) as tx:
        ann = people.sign_in(tx, ANN, NOON)
        desk, phone = people.start_session(tx, ann.id, NOON), people.start_session(tx, ann.id, NOON)
        assert people.session(tx, desk, NOON) is not None
        assert people.sign_out_everywhere(tx, ann.id, NOON) == 2
        assert people.session(tx, desk, NOON) is None
        assert people.session(tx, phone, NOON) is None


def test_a_session_runs_out_and_its_secret_is_stored_nowhere(engine: Engine) -> None:
    with db.transaction(engine) as tx:
        ann = people.sign_in(tx, ANN, NOON)
        secret = people.start_session(tx, ann.id, NOON)
        hour = dt.timedelta(hours=1)
        session = people.session(tx, secret, NOON + hour)
        assert session is not None
        people.seen(tx, session.id, NOON + hour)
        assert people.session(tx, secret, NOON + 2.5 * hour) is not None
        assert people.session(tx, secret, NOON + 3.5 * hour) is None  # rested two hours and more
        people.seen(tx, session.id, NOON + 12 * hour)
        assert people.session(tx, secret, NOON + 12 * hour) is None  # a working day is over
        rows = tx.execute(db.sessions.select()).all()
    assert secret not in repr(rows)
