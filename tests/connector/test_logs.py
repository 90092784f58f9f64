"""A log line carries ids to follow one piece of work by, and never a secret or a customer."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connector import config, db, logs
from connector.platforms import Refused


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What a logger called `connector.test` writes, as in a process of ours."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logs.Lines(as_json=True))
    loggers = [logging.getLogger(name) for name in ("connector.test", "somebody.else", "rq.worker")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    yield out
    for logger in loggers:
        logger.removeHandler(handler)


OURS = logging.getLogger("connector.test")
THEIRS = logging.getLogger("somebody.else")
QUEUE = logging.getLogger("rq.worker")


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_ids_stand_on_every_line_of_the_block_and_on_none_after_it(written: io.StringIO) -> None:
    with logs.about(job="j1", connection="c1", cause=""):
        with logs.about(write="7"):
            OURS.info("called the ledger", extra=logs.facts(status=200, reference="tid-9", limit=None))
        OURS.info("is done")
    OURS.info("later")
    first, second, third = lines(written)
    assert {k: first[k] for k in ("job", "connection", "write", "status", "reference", "message")} == {
        "job": "j1", "connection": "c1", "write": "7", "status": 200, "reference": "tid-9",
        "message": "called the ledger",
    }  # fmt: skip
    assert "cause" not in first
    assert "limit" not in first
    assert (second["job"], "write" in second) == ("j1", False)
    assert "job" not in third


def test_an_exception_is_told_by_type_and_place_and_not_by_its_words(written: io.StringIO) -> None:
    def read_ridgeway_university() -> None:
        raise Refused("Ridgeway University owes 12.00", code="6240", words="Ridgeway", reference="tid-3")

    try:
        try:
            int("Ridgeway University")
        except ValueError as problem:
            raise KeyError("Ridgeway University") from problem
    except KeyError:
        OURS.exception("it failed")
    try:
        read_ridgeway_university()
    except Refused:
        OURS.exception("it failed")
    first, second = lines(written)
    assert first["error"]["type"] == "KeyError"
    assert first["error"]["cause"]["type"] == "ValueError"
    assert first["error"]["at"][0].startswith("tests/connector/test_logs.py:"), first
    assert (second["error"]["code"], second["error"]["reference"]) == ("6240", "tid-3")
    assert second["error"]["at"][-1].endswith(" read_ridgeway_university")
    assert "Ridgeway" not in written.getvalue()


def test_what_ends_a_process_or_a_thread_is_a_line_without_its_words() -> None:
    code = (
        "import threading; from connector import logs; logs.configure()\n"
        "def fail(): raise ValueError('Ridgeway University owes 12.00')\n"
        "thread = threading.Thread(target=fail); thread.start(); thread.join()\n"
        "fail()"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 1
    of_thread, of_process = (json.loads(line) for line in ended.stderr.splitlines())
    for line in (of_thread, of_process):
        assert (line["level"], line["message"]) == ("critical", "ended by an error that nobody caught")
        assert line["error"]["type"] == "ValueError"
    assert "Ridgeway" not in ended.stderr


def test_a_database_error_does_not_quote_the_row(written: io.StringIO, tmp_path: Any) -> None:
    settings = config.load({"FORBEAR_DATA_DIR": str(tmp_path)})
    db.migrate(settings)
    row = {
        "id": "c",
        "platform": "xero",
        "external_id": "t",
        "created_at": db.now(),
        "organization": "Ridgeway",
    }
    for _ in range(2):
        try:
            with db.transaction(db.engine(settings)) as tx:
                tx.execute(sa.insert(db.connections).values(row))
        except sa.exc.IntegrityError:
            OURS.exception("not stored")
    [line] = lines(written)
    assert line["error"]["type"] == "IntegrityError"
    assert "Ridgeway" not in written.getvalue()
    db.engine(settings).dispose()


def test_another_library_is_heard_by_its_fixed_words_only(written: io.StringIO) -> None:
    THEIRS.warning("retrying %s after %r", "/Invoices?where=Name=='Ridgeway'", OSError("x"))
    OURS.warning("retrying %s", "/Invoices")
    QUEUE.error("job %s: raised\n%s", "j1", "Traceback:\n  File x\nLookupError: Ridgeway University\n")
    assert [line["message"] for line in lines(written)] == [
        "retrying %s after %r",
        "retrying /Invoices",
        "job j1: raised ... LookupError",
    ]


@pytest.mark.parametrize(
    "said",
    [
        "Authorization: Bearer abcdef0123456789",
        "authorization=Basic c2FuZGJveC1hcHA6c2VjcmV0",
        'answer {"access_token": "abcdef0123456789", "x": 1}',
        "POST refresh_token=abcdef0123456789&grant_type=refresh_token",
        "GET /connect/xero/callback?code=abcdef0123456789&state=abcdef0123456789",
        "token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
        "postgresql://forbear:abcdef0123456789@db/forbear",
        "told robin.hale@harbourbooks.example",
        "key sandbox-webhook-key-42",
    ],
)
def test_whatever_looks_like_a_secret_or_an_address_is_masked(said: str, written: io.StringIO) -> None:
    logs.hide("sandbox-webhook-key-42")
    OURS.error("it said %s", said)
    for secret in (
        "abcdef0123456789", "c2FuZGJveC1hcHA6c2VjcmV0", "eyJ", "harbourbooks", "sandbox-webhook-key-42",
    ):  # fmt: skip
        assert secret not in written.getvalue()
    assert logs.MASK in written.getvalue()


def test_passwords_in_addresses_are_masked_wherever_they_turn_up(tmp_path: Path) -> None:
    settings = config.load(
        {
            "FORBEAR_DATA_DIR": str(tmp_path), "FORBEAR_MAIL_FROM": "forbear@office.example",
            "FORBEAR_DATABASE_URL": f"sqlite:///{tmp_path / 'new.sqlite3'}",
            "FORBEAR_SMTP_URL": "smtps://office:canary%40of-mail@mail.example.org",
            "FORBEAR_REDIS_URL": "redis://:canary-of-queue@queue.example.org:6379/0",
        }
    )  # fmt: skip
    db.engine(settings).dispose()
    assert logs.masked("535 for canary@of-mail, NOAUTH for canary-of-queue") == "535 for ***, NOAUTH for ***"
    assert (tmp_path / "new.sqlite3").stat().st_mode & 0o077 == 0  # the books are its owner's only


def test_only_the_latest_secrets_are_remembered_and_short_ones_never() -> None:
    logs.hide("abc")
    assert logs.masked("abc of it") == "abc of it"
    logs.hide("first-secret", *(f"secret-number-{n}" for n in range(logs.REMEMBERED)))
    assert logs.masked("first-secret secret-number-0") == f"first-secret {logs.MASK}"


def test_an_error_report_holds_no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []

    def breaks(report: dict[str, Any]) -> None:
        raise RuntimeError

    monkeypatch.setattr(logs, "_reporters", lambda: (breaks, told.append))
    reporter = logs.Reporter()
    OURS.addHandler(reporter)
    try:
        with logs.about(job="j1"):
            try:
                int("Ridgeway University")
            except ValueError:
                OURS.exception("sync failed for robin@harbourbooks.example")
        OURS.warning("not an error")
    finally:
        OURS.removeHandler(reporter)
    [report] = told
    assert (report["ids"]["job"], report["error"]["type"]) == ("j1", "ValueError")
    assert "Ridgeway" not in json.dumps(report)
    assert "harbourbooks" not in json.dumps(report)
