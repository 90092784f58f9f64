"""The doctor names what is wrong with an installation and what to do, and finds nothing where nothing is."""

from __future__ import annotations

import datetime as dt
import http.server
import json
import threading
from collections.abc import Iterator
from email.utils import format_datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from sqlalchemy.engine import Engine

from connector import cli, config, db, doctor, failures, leases
from connector.connecting import connections, keys
from connector.doctor import GOOD, LOOK, WRONG
from connector.domain.receivables import Kind
from connector.mirroring import inbox
from connector.mirroring.inbox import Change
from tests.connector.json_ledger import grant


@pytest.fixture
def discovery(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dt.datetime]]:
    """A ledger's sign-in address; the list holds its clock."""
    clock = [db.now()]

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(200)
            self.send_header("Date", format_datetime(clock[0], usegmt=True))
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    for name in ("QUICKBOOKS", "XERO"):
        monkeypatch.setenv(f"FORBEAR_{name}_DISCOVERY_URL", f"http://127.0.0.1:{server.server_port}/d")
        monkeypatch.setenv(f"FORBEAR_{name}_CLIENT_ID", "app")
        monkeypatch.setenv(f"FORBEAR_{name}_CLIENT_SECRET", "app-secret")
    monkeypatch.setenv("FORBEAR_QUICKBOOKS_WEBHOOK_TOKEN", "k")
    monkeypatch.setenv("FORBEAR_XERO_WEBHOOK_KEY", "k")
    yield clock
    server.shutdown()
    thread.join()
    server.server_close()


def checks(*names: str) -> dict[str, str]:
    """Name → state: of these, or of all that are not good."""
    return {c.name: c.state for c in doctor.examine() if c.name in names or (not names and c.state != GOOD)}


def sentence(name: str) -> str:
    return next(c.sentence for c in doctor.examine() if c.name == name)


def test_nothing_is_wrong_where_nothing_is(
    installation: config.Config, discovery: list[dt.datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORBEAR_SECRET_KEY", "s" * 32)
    monkeypatch.setenv("FORBEAR_TOKEN_KEYS", Fernet.generate_key().decode())
    monkeypatch.delenv("JSON_LEDGER")
    found = {n: s for n, s in checks().items() if n != "json"}
    assert found == {}


def test_a_clock_that_is_off(installation: config.Config, discovery: list[dt.datetime]) -> None:
    discovery[0] = db.now() - dt.timedelta(minutes=5)
    assert checks("clock") == {"clock": WRONG}
    assert "Set it (NTP)" in sentence("clock")


def test_a_setting_with_a_typing_error(
    installation: config.Config, discovery: list[dt.datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORBEAR_PUBLC_URL", "https://x.example")
    assert checks("settings") == {"settings": LOOK}
    assert sentence("settings").startswith("FORBEAR_PUBLC_URL is not known")


def test_keys_made_on_this_machine_are_no_keys_for_a_server(
    installation: config.Config, discovery: list[dt.datetime]
) -> None:
    on_a_server = not installation.database_url.startswith("sqlite")
    assert checks("keys") == {"keys": LOOK if on_a_server else GOOD}
    assert ("FORBEAR_TOKEN_KEYS" in sentence("keys")) == on_a_server


def test_news_that_nobody_reads(
    installation: config.Config, store: Engine, connected: str, discovery: list[dt.datetime]
) -> None:
    assert sentence("pending work") == "Nothing waits."
    with db.transaction(store) as tx:
        change = Change("json", "books-1", Kind.INVOICE, "1", "updated", None, "e1")
        inbox.record(tx, [change], db.now() - dt.timedelta(hours=1))
    assert checks("pending work") == {"pending work": LOOK}
    assert "No clock runs" in sentence("pending work")
    leases.take(store, "clock", "me", 30)
    assert "Is a worker running?" in sentence("pending work")


def test_webhooks_that_could_not_be_read(
    installation: config.Config, store: Engine, discovery: list[dt.datetime]
) -> None:
    with db.transaction(store) as tx:
        inbox.record_unread(tx, "xero", b"{}", "odd", db.now())
    assert checks("webhooks") == {"webhooks": LOOK}


def test_a_job_that_fails_again_and_again(
    installation: config.Config, store: Engine, connected: str, discovery: list[dt.datetime]
) -> None:
    with db.transaction(store) as tx:
        now = db.now()
        failures.note(tx, connected, "prove_connection", "KeyError in connector/mirroring/sync.py:1", now)
        for n in range(5):
            failures.note(
                tx, connected, "sync_connection", "OSError in connector/x.py:2", now + n * failures.REST
            )
    said = {c.state: c.sentence for c in doctor.examine() if "failed" in c.sentence}
    assert said[LOOK].startswith("prove_connection failed 1 time(s)")
    assert said[LOOK].endswith("It is tried again by itself.")
    assert "sync_connection failed 5 time(s)" in said[WRONG]
    assert "OSError in connector/x.py:2" in said[WRONG]


def test_a_log_that_somebody_changed(
    installation: config.Config, store: Engine, connected: str, discovery: list[dt.datetime]
) -> None:
    from connector.record import audit

    with db.transaction(store) as tx:
        audit.record(tx, who="A", what="b", now=db.now(), connection_id=connected)
    assert checks("audit log") == {"audit log": GOOD}
    with db.transaction(store) as tx:
        tx.execute(sa.update(db.audit).values(who="C"))
    assert checks("audit log") == {"audit log": WRONG}


def test_a_rotation_under_way(
    installation: config.Config, store: Engine, discovery: list[dt.datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    monkeypatch.setenv("FORBEAR_TOKEN_KEYS", old)
    connections.save_grant(store, config.load(), "json", grant())
    monkeypatch.setenv("FORBEAR_TOKEN_KEYS", f"{new},{old}")
    assert sentence("rotation").startswith("1 permission(s) still need an older key.")
    assert checks("permissions") == {}
    monkeypatch.setenv("FORBEAR_TOKEN_KEYS", new)  # too early: nothing reads it any more
    assert checks("permissions") == {"permissions": WRONG}
    assert sentence("permissions").startswith("1 permission(s) cannot be read with the keys of this")
    monkeypatch.setenv("FORBEAR_TOKEN_KEYS", f"{new},{old}")
    keys.rotate(store, config.load())
    assert checks("rotation", "permissions") == {"rotation": GOOD}


def test_a_new_key_is_one_that_the_settings_take(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.main(["doctor", "--new-key"]) == 0
    key = capsys.readouterr().out.strip()
    assert config.load({"FORBEAR_TOKEN_KEYS": key, "FORBEAR_DATA_DIR": str(tmp_path)}).token_keys == (key,)


def test_without_a_database_the_doctor_still_answers(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    discovery: list[dt.datetime],
) -> None:
    monkeypatch.setenv("FORBEAR_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("FORBEAR_DATABASE_URL", "postgresql://nobody:canary-password@127.0.0.1:9/none")
    assert cli.main(["doctor", "--json"]) == 1
    printed = capsys.readouterr().out
    told = {c["name"]: c for c in json.loads(printed)}
    assert told["database"]["state"] == WRONG
    assert "does not answer" in told["database"]["sentence"]
    assert "canary-password" not in printed


def test_a_time_without_its_zone_is_read_as_utc() -> None:
    assert doctor._skew("Sat, 21 Nov 2020 09:30:00 -0000") is not None
    assert doctor._skew("Sat, 21 Nov 2020 09:30:00 GMT, Sat, 21 Nov 2020 09:30:00 GMT") is not None
    assert doctor._skew("yesterday") is None
