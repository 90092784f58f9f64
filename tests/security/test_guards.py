"""The threats that docs/security.md names, each with the guard seen at work. Tenant mix-up has a file of its own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.engine import Engine

import web
import webhooks
from connector import config, db
from connector.config import Config, WrongSetting
from connector.connecting import keys
from connector.practice import people
from tests.conftest import migrate
from tests.security import tenants
from tests.security.tenants import Tenant
from web import connect, limits
from webhooks.limit import PerMinute
from webhooks.signature import sign

KEY = "webhook-key-of-this-test"
NOWHERE = "http://127.0.0.1:9"
SETTINGS = {
    "FORBEAR_TODAY": tenants.TODAY.isoformat(),
    "FORBEAR_XERO_CLIENT_ID": "app", "FORBEAR_XERO_CLIENT_SECRET": "app-secret", "FORBEAR_XERO_WEBHOOK_KEY": KEY,
    **{f"FORBEAR_{n}_{k}": NOWHERE for n in ("QUICKBOOKS", "XERO") for k in ("DISCOVERY_URL", "API_URL")},
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """No minute begins in the middle of a test that counts to a limit."""
    monkeypatch.setattr(PerMinute.__init__, "__defaults__", (lambda: 0.0,))


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    loaded = config.load({"FORBEAR_DATA_DIR": str(tmp_path), **SETTINGS})
    migrate(loaded)
    return loaded


@pytest.fixture
def engine(settings: Config) -> Iterator[Engine]:
    opened = db.engine(settings)
    yield opened
    opened.dispose()


@pytest.fixture
def app(settings: Config, engine: Engine) -> Flask:
    return web.create_app(settings, engine)


@pytest.fixture
def tenant(settings: Config, engine: Engine, app: Flask) -> Tenant:
    return tenants._tenant(engine, app, "Albatross")


# ---------------------------------------------------------------- forged, replayed, oversized


def deliver(client: FlaskClient, body: bytes, signature: str | None = None) -> int:
    headers = {"x-xero-signature": sign(body, KEY) if signature is None else signature}
    return client.post("/webhooks/xero", data=body, headers=headers).status_code


def body_for(tenant: Tenant, n: int = 1) -> bytes:
    return (
        f'{{"events":[{{"resourceId":"r{n}","eventCategory":"INVOICE","tenantId":"ext-{tenant.connection_id}",'
        f'"tenantType":"ORGANISATION","eventType":"UPDATE","eventDateUtc":"2026-11-01T14:32:04.198"}}]}}'
    ).encode()


def test_a_replayed_webhook_wakes_nobody(app: Flask, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[str] = []
    monkeypatch.setattr(webhooks.waking, "for_news", lambda settings, ids: woken.extend(ids))
    client = app.test_client()
    assert [deliver(client, body_for(tenant)) for _ in range(20)] == [200] * 20
    assert woken == [tenant.connection_id]


def test_guessing_signatures_is_slowed_down_and_the_ledger_still_gets_through(
    app: Flask, tenant: Tenant
) -> None:
    client = app.test_client()
    answers = [deliver(client, body_for(tenant), "guess") for _ in range(webhooks.REFUSALS + 5)]
    assert answers == [401] * webhooks.REFUSALS + [429] * 5
    assert deliver(client, body_for(tenant)) == 200


def test_beginning_to_sign_in_again_and_again_is_slowed_down(app: Flask) -> None:
    client = app.test_client()
    answers = [
        client.get("/connect/xero/callback?code=1&state=2").status_code for _ in range(limits.SIGN_INS + 3)
    ]
    assert answers[-4:] == [302, 429, 429, 429]
    other = client.get("/connect/xero/callback?code=1&state=2", environ_base={"REMOTE_ADDR": "10.1.2.3"})
    assert other.status_code == 302


@pytest.mark.parametrize(
    ("proxies", "forwarded"),
    [("0", "10.{n}.0.1"), ("1", "10.{n}.0.1, 192.0.2.7"), ("2", "10.{n}.0.1, 192.0.2.7, 192.0.2.1")],
)
def test_what_a_sender_writes_into_a_forwarded_header_makes_nobody_else_of_them(
    settings: Config, engine: Engine, proxies: str, forwarded: str
) -> None:
    """Each proxy adds the address that it saw behind what came; only as many as stand there are believed."""
    env = {"FORBEAR_DATA_DIR": str(settings.data_dir), "FORBEAR_PROXIES": proxies, **SETTINGS}
    client = web.create_app(config.load(env), engine).test_client()

    def tried(n: int) -> int:
        headers = {"X-Forwarded-For": forwarded.format(n=n)}
        return client.get("/connect/xero/callback?code=1&state=2", headers=headers).status_code

    assert [tried(n) for n in range(limits.SIGN_INS + 1)] == [302] * limits.SIGN_INS + [429]
    other = {"X-Forwarded-For": forwarded.format(n=1).replace("192.0.2.7", "192.0.2.8")}
    answer = client.get("/connect/xero/callback?code=1&state=2", headers=other)
    assert answer.status_code == (429 if proxies == "0" else 302)


def test_a_stranger_who_knows_an_organization_s_id_spends_none_of_its_calls(
    app: Flask, engine: Engine, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[str] = []
    monkeypatch.setattr(connect.waking, "wake", lambda _settings, _job, ids, **_more: woken.extend(ids))
    client, path = app.test_client(), f"/disconnected/xero?tenantId=ext-{tenant.connection_id}"
    c = db.connections.c
    for minutes, wakes in ((1, []), (6, [tenant.connection_id])):
        with db.transaction(engine) as tx:
            read = db.now() - dt.timedelta(minutes=minutes)
            tx.execute(
                sa.update(db.connections).where(c.id == tenant.connection_id).values(last_sync_at=read)
            )
        assert client.get(path).status_code == 200
        assert woken == wakes
    assert {client.get(path).status_code for _ in range(limits.SIGN_INS)} == {200, 429}


def test_a_minute_later_it_begins_anew() -> None:
    now = [0.0]
    limit = PerMinute(2, clock=lambda: now[0])
    assert [limit.exceeded("a") for _ in range(3)] == [False, False, True]
    assert limit.exceeded("b") is False
    now[0] = 60.0
    assert limit.exceeded("a") is False


def test_an_address_that_its_owner_can_change_at_will_is_one_sender() -> None:
    limit = PerMinute(1)
    same = ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "[2001:db8:1:2::3]:4711", "2001:db8:1:2::1%eth0")
    assert [limit.exceeded(one) for one in same] == [False, True, True, True]
    assert [limit.exceeded(one) for one in ("192.0.2.7:4711", "192.0.2.7:4712", "::ffff:192.0.2.7")] == [
        False,
        True,
        True,
    ]
    assert not limit.exceeded("2001:db8:1:3::1")
    assert not limit.exceeded("192.0.2.8")
    assert not limit.exceeded("unknown")


def test_while_the_database_is_away_a_ledger_and_a_browser_are_told_to_come_again(
    settings: Config, tenant: Tenant
) -> None:
    app = web.create_app(settings, sa.create_engine("postgresql+psycopg://nobody@/nothing?host=/nowhere"))
    client = app.test_client()
    assert deliver(client, body_for(tenant)) == 503
    with client.session_transaction() as session:
        session["key"] = "somebody's"
    for path in ("/", "/sign-in", "/queue"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
        assert "Try again in a minute" in answer.get_data(as_text=True)
    assert [client.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 503]


def test_bodies_beyond_their_limit_are_refused(app: Flask, tenant: Tenant) -> None:
    client = tenant.people["configure"]
    path = f"/organizations/{tenant.connection_id}/settings/clearing"
    assert (
        client.post(path, data={"csrf": tenant.csrf["configure"], "clearing": "x" * 1_100_000}).status_code
        == 413
    )
    assert deliver(app.test_client(), b" " * (webhooks.BODY_LIMIT + 1)) == 413


# ---------------------------------------------------------------- CSRF, headers, cookies


def test_every_form_needs_its_token(app: Flask, engine: Engine, tenant: Tenant) -> None:
    client = tenant.people["configure"]
    before = tenants._kept(engine, tenant.connection_id)
    tried = 0
    for rule in app.url_map.iter_rules():
        own = (
            "webhooks.",
            "customer.",
        )  # no session there: tests/webhooks and tests/customer try their tokens
        if "POST" not in (rule.methods or set()) or rule.endpoint.startswith(own):
            continue
        with app.test_request_context():
            path = app.url_for(rule.endpoint, **{n: tenant.ids.get(n, ["1"])[0] for n in rule.arguments})
        for token in ({}, {"csrf": "guess"}, {"csrf": ""}):
            assert client.post(path, data=token).status_code == 400, path
        tried += 1
    assert tried >= 15
    assert tenants._kept(engine, tenant.connection_id) == before


def test_pages_carry_the_headers_and_no_inline_script(app: Flask, tenant: Tenant) -> None:
    client = tenant.people["read"]
    for path in (
        "/",
        f"/organizations/{tenant.connection_id}",
        f"/plans/{tenant.ids['plan_id'][0]}",
        "/nowhere",
    ):
        answer = client.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-cache, no-store"
        page = answer.get_data(as_text=True)
        assert "<script>" not in page
        assert " onclick=" not in page
        assert " style=" not in page


def test_over_https_the_cookie_is_for_https_only_and_the_browser_is_told_to_stay(tmp_path: Path) -> None:
    loaded = config.load(
        {"FORBEAR_DATA_DIR": str(tmp_path), "FORBEAR_PUBLIC_URL": "https://books.example.org"}
    )
    db.migrate(loaded)
    client = web.create_app(loaded).test_client()
    answer = client.get(
        "/account", headers={"X-Forwarded-Proto": "https", "X-Forwarded-Host": "books.example.org"}
    )
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-forbear=")  # a browser takes it from this very host only
    assert "Path=/;" in f"{cookie};"
    assert "Domain" not in cookie
    assert "Secure" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")
    db.engine(loaded).dispose()


def test_a_session_lives_in_the_database_and_ends_there(app: Flask, engine: Engine, tenant: Tenant) -> None:
    client = tenant.people["read"]
    with client.session_transaction() as session:
        key = session["key"]
    with db.reading(engine) as tx:
        assert key not in str(tx.execute(sa.select(db.sessions)).all())  # a stolen database opens no session
    with db.transaction(engine) as tx:
        people.end_session(tx, key, db.now())
    assert client.get("/").headers["Location"] == "/sign-in"


def test_a_session_that_rested_too_long_is_over(app: Flask, engine: Engine, tenant: Tenant) -> None:
    with db.transaction(engine) as tx:
        rested = db.now() - people.SESSION_IDLE - dt.timedelta(minutes=1)
        tx.execute(sa.update(db.sessions).values(seen_at=rested))
    assert tenant.people["read"].get("/").headers["Location"] == "/sign-in"


# ---------------------------------------------------------------- redirects and the consent


@pytest.mark.parametrize(
    "path", ["//evil.example/", "/\\evil.example", "///evil.example", "/%2F%2Fevil.example"]
)
def test_the_way_back_after_signing_in_never_leaves_this_address(app: Flask, path: str) -> None:
    client = app.test_client()
    client.get(path)
    with client.session_transaction() as session:
        assert "next" not in session  # kept for pages of ours only, and those begin with one stroke
    client.get("/queue?next=//evil.example")
    with client.session_transaction() as session:
        assert session["next"] == "/queue?next=//evil.example"


def test_the_theme_form_leads_back_to_our_own_pages_only(app: Flask, tenant: Tenant) -> None:
    client = tenant.people["read"]
    for elsewhere in ("https://evil.example/", "http://localhost.evil.example/"):
        answer = client.post(
            "/theme", data={"csrf": tenant.csrf["read"], "theme": "dark"}, headers={"Referer": elsewhere}
        )
        assert answer.headers["Location"] == "/account"


def test_an_answer_to_another_ledger_s_question_is_not_taken(app: Flask) -> None:
    """The mix-up of issuers: a consent begun at one ledger ends only at its own callback, and once."""
    client = app.test_client()

    def begun(platform: str) -> None:
        with client.session_transaction() as session:
            session["consent"] = {"platform": platform, "state": "s1", "nonce": "n1", "verifier": "v" * 43}

    for platform, query in (("quickbooks", "state=s1"), ("xero", "state=s2"), ("xero", "")):
        begun("xero")
        answer = client.get(f"/connect/{platform}/callback?code=c&{query}")
        assert answer.headers["Location"] == f"/connect/{platform}/not-connected"
        said = client.get(answer.headers["Location"]).get_data(as_text=True)
        assert "does not belong to a question of ours" in said
        with client.session_transaction() as session:
            assert "consent" not in session


def test_the_callback_s_code_stays_in_no_page(app: Flask) -> None:
    answer = app.test_client().get("/connect/xero/callback?code=canary-code&state=canary-state")
    assert answer.status_code == 302
    assert "canary" not in answer.get_data(as_text=True) + answer.headers["Location"]


# ---------------------------------------------------------------- addresses in settings, text in documents


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest",
        "ftp://x.example",
        "file:///etc/passwd",
        "http://intranet/api",
        "https://",
    ],
)
def test_a_setting_cannot_point_us_at_an_unprotected_address(tmp_path: Path, address: str) -> None:
    for name in ("XERO_API_URL", "XERO_DISCOVERY_URL", "QUICKBOOKS_API_URL", "PUBLIC_URL"):
        with pytest.raises(WrongSetting, match=name):
            config.load({"FORBEAR_DATA_DIR": str(tmp_path), f"FORBEAR_{name}": address})


def test_a_customer_s_name_is_text_on_every_page(app: Flask, engine: Engine, tenant: Tenant) -> None:
    name = "<script>alert(1)</script>{{7777*7777}}"
    with db.transaction(engine) as tx:
        tx.execute(sa.update(db.customers).values(name=name))
        tx.execute(sa.update(db.connections).values(organization=name))
    client = tenant.people["configure"]
    base = f"/organizations/{tenant.connection_id}"
    for path in (
        "/",
        base,
        f"{base}/customers",
        f"{base}/customers/77",
        f"{base}/settings",
        "/queue",
        "/record",
    ):
        page = client.get(path).get_data(as_text=True)
        assert "<script>alert" not in page, path
        assert "60481729" not in page, path
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{7777*7777}}" in client.get(
        f"{base}/customers/77"
    ).get_data(as_text=True)


def test_the_queue_cannot_run_code_from_whoever_can_write_to_it(settings: Config) -> None:
    from rq.serializers import JSONSerializer

    from connector import waking

    assert waking.queue(settings).serializer is JSONSerializer


def test_tokens_are_encrypted_with_a_key_that_is_not_in_the_database(settings: Config) -> None:
    made = keys.of(settings)
    assert made.token_keys[0] not in (settings.data_dir / "forbear.sqlite3").read_bytes().decode("latin-1")
    assert (settings.data_dir / "keys.json").stat().st_mode & 0o077 == 0
