"""A delivery over HTTP: signed or refused, recorded once, answered empty."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

import webhooks
from connector import config, db
from tests.conftest import migrate
from webhooks.signature import sign

KEY = "sandbox-webhook-key"
TENANT = "4e3eef5b-31cd-45fa-bec2-55c777be0c8a"
EVENT = (
    b'{"events": [{"resourceId": "fc5b5e11-d99a-4f9e-baaa-3c648c2300f3", "eventCategory": "INVOICE",'
    b' "tenantId": "4e3eef5b-31cd-45fa-bec2-55c777be0c8a", "tenantType": "ORGANISATION",'
    b' "eventType": "UPDATE", "eventDateUtc": "2026-11-01T14:32:04.198"}],'
    b' "firstEventSequence": 215, "lastEventSequence": 215, "entropy": "IMGUUTDRSVUYMBYKJHVJ"}'
)


@pytest.fixture
def settings(tmp_path: Path) -> config.Config:
    return config.load({"FORBEAR_DATA_DIR": str(tmp_path), "FORBEAR_XERO_WEBHOOK_KEY": KEY})


@pytest.fixture
def engine(settings: config.Config) -> Iterator[sa.Engine]:
    migrate(settings)
    engine = db.engine(settings)
    yield engine
    engine.dispose()


@pytest.fixture
def client(settings: config.Config, engine: sa.Engine) -> FlaskClient:
    app = Flask(__name__)
    app.secret_key = "for the session cookie that must not come"
    app.register_blueprint(webhooks.blueprint(settings, engine))
    return app.test_client()


def deliver(client: FlaskClient, body: bytes, signature: str | None = None, to: str = "xero"):
    headers = {"x-xero-signature": sign(body, KEY) if signature is None else signature}
    return client.post(f"/webhooks/{to}", data=body, headers=headers, content_type="application/json")


def recorded(engine: sa.Engine) -> list[tuple[str, str, str]]:
    with db.reading(engine) as tx:
        c = db.inbox.c
        return [tuple(row) for row in tx.execute(sa.select(c.external_id, c.kind, c.verb).order_by(c.id))]


def kept_unread(engine: sa.Engine) -> list[bytes]:
    with db.reading(engine) as tx:
        return list(tx.scalars(sa.select(db.unread.c.body)))


def test_a_signed_delivery_is_recorded_and_answered_empty(client: FlaskClient, engine: sa.Engine):
    answer = deliver(client, EVENT)
    assert (answer.status_code, answer.data) == (200, b"")
    assert "Set-Cookie" not in answer.headers
    assert recorded(engine) == [(TENANT, "invoice", "updated")]


def test_a_delivery_wakes_a_sync_of_the_organization_it_names(
    client: FlaskClient, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
):
    woken: list[str] = []
    monkeypatch.setattr(
        webhooks.waking, "for_news", lambda settings, connection_ids: woken.extend(connection_ids)
    )
    with db.transaction(engine) as tx:
        for id, tenant, status in (("c1", TENANT, "connected"), ("c2", "another", "disconnected")):
            row = {
                "id": id,
                "platform": "xero",
                "external_id": tenant,
                "status": status,
                "created_at": db.now(),
            }
            tx.execute(sa.insert(db.connections).values(row))
    assert deliver(client, EVENT).status_code == 200
    assert woken == ["c1"]
    assert deliver(client, EVENT.replace(TENANT.encode(), b"another")).status_code == 200
    assert deliver(client, EVENT.replace(TENANT.encode(), b"unheard of")).status_code == 200
    assert woken == ["c1"]
    assert len(recorded(engine)) == 3


def test_a_repeated_delivery_is_recorded_once(client: FlaskClient, engine: sa.Engine):
    assert [deliver(client, EVENT).status_code for _ in range(3)] == [200, 200, 200]
    assert len(recorded(engine)) == 1


@pytest.mark.parametrize("signature", ["", "bm90IHRoZSBzaWduYXR1cmU=", sign(EVENT + b" ", KEY)])
def test_a_wrong_signature_gets_401_and_leaves_no_trace(
    client: FlaskClient, engine: sa.Engine, signature: str
):
    answer = deliver(client, EVENT, signature)
    assert (answer.status_code, answer.data) == (401, b"")
    assert "Set-Cookie" not in answer.headers
    assert recorded(engine) == []


def test_the_intent_to_receive_is_answered_by_signature_alone(client: FlaskClient, engine: sa.Engine):
    for events in (b"[]", b"null"):
        body = b'{"events":' + events + b',"firstEventSequence":0,"lastEventSequence":0,"entropy":"FMLH"}'
        assert deliver(client, body).status_code == 200
        assert deliver(client, body, sign(body, "wrong")).status_code == 401
    assert recorded(engine) == []


def test_without_a_key_in_the_settings_nobody_gets_in(tmp_path: Path):
    settings = config.load({"FORBEAR_DATA_DIR": str(tmp_path)})
    migrate(settings)
    app = Flask(__name__)
    app.register_blueprint(webhooks.blueprint(settings, db.engine(settings)))
    assert deliver(app.test_client(), EVENT, sign(EVENT, "")).status_code == 401
    db.engine(settings).dispose()


def test_an_unreadable_body_is_kept_and_told_without_its_contents(
    client: FlaskClient, engine: sa.Engine, caplog: pytest.LogCaptureFixture
):
    body = b'{"events": {"customer": "Ridgeway University"}}'
    with caplog.at_level(logging.ERROR):
        assert deliver(client, body).status_code == 200
    assert kept_unread(engine) == [body]
    assert "could not be read" in caplog.text
    assert "Ridgeway" not in caplog.text


def test_the_readable_part_of_an_odd_body_is_recorded_too(client: FlaskClient, engine: sa.Engine):
    body = EVENT.replace(b'"events": [', b'"events": [{"resourceId": "7"}, ')
    assert deliver(client, body).status_code == 200
    assert recorded(engine) == [(TENANT, "invoice", "updated")]
    assert kept_unread(engine) == [body]


def test_a_body_beyond_the_limit_is_refused_unread(client: FlaskClient, engine: sa.Engine):
    body = b'{"events":[' + b" " * webhooks.BODY_LIMIT + b"]}"
    answer = deliver(client, body)
    assert (answer.status_code, answer.data) == (413, b"")
    assert kept_unread(engine) == []


def test_while_the_database_is_away_the_ledger_is_told_to_come_back(
    client: FlaskClient, engine: sa.Engine, caplog: pytest.LogCaptureFixture
):
    with db.transaction(engine) as tx:
        tx.execute(sa.text("ALTER TABLE inbox RENAME TO elsewhere"))
    answer = deliver(client, EVENT)
    assert (answer.status_code, answer.data) == (503, b"")
    assert TENANT not in caplog.text
    with db.transaction(engine) as tx:
        tx.execute(sa.text("ALTER TABLE elsewhere RENAME TO inbox"))
    assert deliver(client, EVENT).status_code == 200
    assert len(recorded(engine)) == 1


def test_only_posts_to_known_ledgers_are_received(client: FlaskClient):
    assert deliver(client, EVENT, to="otherbooks").status_code == 404
    assert client.get("/webhooks/xero").status_code == 405
