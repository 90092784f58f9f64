"""The processes as a hosting platform runs them, and the life of an installation: backed up, restored, rotated."""

from __future__ import annotations

import collections
import datetime as dt
import itertools
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa
from cryptography.fernet import Fernet
from sqlalchemy.engine import Engine

from connector import clock, config, db
from connector.config import Config, WrongSetting
from connector.connecting import connections, keys
from connector.platforms import Grant, Identity, OrganizationRef, Token
from tests.connector import servers
from tests.connector.servers import free_port
from web.slow import Worker

ROOT = Path(__file__).parents[2]
GRACE = 20  # seconds; Heroku's router and dynos allow 30


@pytest.fixture
def env(tmp_path: Path) -> Iterator[dict[str, str]]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FORBEAR_")}
    with servers.valkey(tmp_path / "queue") as queue:
        yield {
            **kept,
            "PORT": str(free_port()),
            "FORBEAR_DATA_DIR": str(tmp_path / "data"),
            "FORBEAR_REDIS_URL": queue,
            "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}",
            "PYTHONPATH": str(ROOT),
        }


def procfile() -> dict[str, list[str]]:
    lines = [line.partition(":") for line in (ROOT / "Procfile").read_text().splitlines() if line]
    # `forbear` is the installed command; run as the module it calls, so that this checkout is what runs.
    return {name: [sys.executable, "-m", "connector", *shlex.split(words)[1:]] for name, _, words in lines}


@contextmanager
def running(command: list[str], env: dict[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, env=env, cwd=folder, stdout=log, stderr=log)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def until(done: object, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not done():  # type: ignore[operator]
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)


def ready(port: str) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200
    except requests.RequestException:
        return False


def test_the_procfile_s_processes_start_serve_and_end_when_asked(env: dict[str, str], tmp_path: Path) -> None:
    lines = procfile()
    assert subprocess.run(lines["release"], env=env, cwd=tmp_path, timeout=120).returncode == 0
    with (
        running(lines["web"], env, tmp_path) as web,
        running(lines["worker"], env, tmp_path) as worker,
        running(lines["clock"], env, tmp_path) as clock,
    ):
        until(lambda: ready(env["PORT"]))
        figures = f"http://127.0.0.1:{env['PORT']}/metrics"
        until(lambda: "forbear_queue_workers 1.0" in requests.get(figures, timeout=120).text)
        until(lambda: "forbear_clock_lease_seconds -" not in requests.get(figures, timeout=120).text)
        for process in (web, worker, clock):
            process.send_signal(signal.SIGTERM)
        for process in (web, worker, clock):
            assert process.wait(GRACE) == 0


@dataclass(frozen=True)
class Connection:
    sock: socket.socket


def test_a_sender_that_stops_in_the_middle_loses_its_thread() -> None:
    worker, (ours, theirs) = Worker.__new__(Worker), socket.socketpair()
    quick, theirs_too = socket.socketpair()
    late, early = Connection(ours), Connection(quick)
    worker.pending_conns = collections.deque()
    worker._until = {late: time.monotonic() - 1, early: time.monotonic() + 60}
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(ours.recv(10)), daemon=True)
    reader.start()
    worker.murder_pending()
    reader.join(20)
    assert got == [b""]
    theirs.settimeout(20)
    ours.sendall(b"an answer under way is not touched")
    assert theirs.recv(100).startswith(b"an answer")
    theirs_too.sendall(b"in time")
    assert quick.recv(10) == b"in time"
    for end in (ours, theirs, quick, theirs_too):
        end.close()


def test_a_wrong_setting_stops_a_process_with_a_sentence(env: dict[str, str], tmp_path: Path) -> None:
    said = subprocess.run(
        procfile()["worker"], env={**env, "FORBEAR_PUBLIC_URL": "example.org"}, cwd=tmp_path, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert said.returncode == 2
    assert said.stderr.startswith("forbear: FORBEAR_PUBLIC_URL is 'example.org'. Set it to")


# ---------------------------------------------------------------- backup and restore


@pytest.fixture(params=["sqlite", "postgresql"])
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Config]:
    """A migrated installation with one connection and its token."""
    settings = {"FORBEAR_DATA_DIR": str(tmp_path / "data")}
    if request.param == "sqlite":
        yield _filled(settings)
        return
    with servers.postgres() as url:
        yield _filled({**settings, "FORBEAR_DATABASE_URL": url})


def _filled(settings: dict[str, str]) -> Config:
    loaded = config.load(settings)
    db.migrate(loaded)
    token = Token("access-1", "refresh-1", db.now() + dt.timedelta(minutes=30))
    identity = Identity("https://issuer.example", "s-1", "a@b.example", True, "A. B.")
    connections.save_grant(
        db.engine(loaded), loaded, "xero", Grant(token, identity, (OrganizationRef("t-1", "Harbor Supply"),))
    )
    return loaded


def _environment(settings: Config) -> dict[str, str]:
    url = settings.database_url.replace("postgresql+psycopg", "postgresql")
    binaries = servers.postgres_binaries()
    return {
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "FORBEAR_DATA_DIR": str(settings.data_dir),
        "FORBEAR_DATABASE_URL": url,
    }


def _token(settings: Config) -> str:
    engine = db.engine(settings)
    with db.reading(engine) as tx:
        [stored] = tx.scalars(sa.select(db.grants.c.token))
        [organization] = tx.scalars(sa.select(db.connections.c.organization))
    assert organization == "Harbor Supply"
    return keys.decrypt(settings, stored).refresh_token


def test_a_backup_restores_everything_on_an_empty_machine(installed: Config, tmp_path: Path) -> None:
    env = _environment(installed)
    made = subprocess.run(
        ["sh", str(ROOT / "deploy/backup.sh"), str(tmp_path / "backups")],
        env=env, capture_output=True, text=True, timeout=120, check=True,
    ).stdout.strip()  # fmt: skip
    assert Path(made).stat().st_mode & 0o077 == 0
    db.engine(installed).dispose()
    db._engines.clear()
    _lose_everything(installed, env)
    again = Path(env["FORBEAR_DATA_DIR"])
    subprocess.run(
        ["sh", str(ROOT / "deploy/restore.sh"), made], env=env, timeout=120, check=True, capture_output=True
    )
    restored = config.load(env)
    db.migrate(restored)
    assert db.is_migrated(db.engine(restored))
    assert _token(restored) == "refresh-1"
    assert (again / "keys.json").stat().st_mode & 0o077 == 0
    db.engine(restored).dispose()


def test_a_backup_in_the_wrong_folder_is_no_backup_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    made = subprocess.run(
        ["sh", str(ROOT / "deploy/backup.sh"), str(tmp_path / "backups")],
        env={"PATH": os.environ["PATH"]}, cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert made.returncode == 1
    assert "There is no database var/forbear.sqlite3 here." in made.stderr
    assert not list((tmp_path / "var").iterdir())


def _lose_everything(settings: Config, env: dict[str, str]) -> None:
    subprocess.run(["rm", "-r", str(settings.data_dir)], check=True)
    if "sqlite" not in settings.database_url:
        engine = sa.create_engine(settings.database_url, isolation_level="AUTOCOMMIT")
        with engine.connect() as tx:
            tx.exec_driver_sql("DROP SCHEMA public CASCADE")
            tx.exec_driver_sql("CREATE SCHEMA public")
        engine.dispose()


def test_a_restore_does_not_run_over_what_is_there(installed: Config, tmp_path: Path) -> None:
    env = _environment(installed)
    made = subprocess.run(
        ["sh", str(ROOT / "deploy/backup.sh"), str(tmp_path / "backups")],
        env=env, capture_output=True, text=True, timeout=120, check=True,
    ).stdout.strip()  # fmt: skip
    said = subprocess.run(
        ["sh", str(ROOT / "deploy/restore.sh"), made], env=env, timeout=120, capture_output=True, text=True
    )
    assert said.returncode == 1
    assert "keys.json exists already" in said.stderr
    kept, away = installed.data_dir / "keys.json", tmp_path / "keys.json"
    kept.rename(away)
    said = subprocess.run(
        ["sh", str(ROOT / "deploy/restore.sh"), made], env=env, timeout=120, capture_output=True
    )
    assert said.returncode == 1
    assert not kept.exists()  # nothing is half restored
    away.rename(kept)
    assert list((tmp_path / "backups").iterdir()) == [Path(made)]
    assert _token(installed) == "refresh-1"
    db.engine(installed).dispose()


# ---------------------------------------------------------------- keys


def test_keys_rotate_step_by_step_and_at_no_step_is_a_token_unreadable(tmp_path: Path) -> None:
    """Processes are restarted one after another: while one has a step's keys, another has those of the step before."""
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    base = {"FORBEAR_DATA_DIR": str(tmp_path), "FORBEAR_SECRET_KEY": "s" * 32}
    steps = [
        config.load({**base, "FORBEAR_TOKEN_KEYS": given})
        for given in (old, f"{old},{new}", f"{new},{old}", new)
    ]
    _filled({**base, "FORBEAR_TOKEN_KEYS": old})
    engine = db.engine(steps[0])
    for before, after in itertools.pairwise(steps):
        if after is steps[-1]:  # `forbear doctor` says when
            clock.tidy(before, db.now())  # as the running clock does, a few times a day
            assert keys.on_older_keys(engine, before) == (0, 0)
        for writer, reader in ((before, after), (after, before)):
            stored = keys.encrypt(writer, keys.decrypt(writer, _stored(engine)))  # a refreshed token
            with db.transaction(engine) as tx:
                tx.execute(sa.update(db.grants).values(token=stored))
            assert _token(reader) == "refresh-1"
    with pytest.raises(WrongSetting, match="Put the earlier key back"):
        _token(steps[0])
    engine.dispose()


def _stored(engine: Engine) -> str:
    with db.reading(engine) as tx:
        [stored] = tx.scalars(sa.select(db.grants.c.token))
    return str(stored)
