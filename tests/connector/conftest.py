"""An empty installation: a database of its own, and one connected organization."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from connector import config, db, embedded, platforms
from connector.connecting import connections
from tests.conftest import migrate
from tests.connector import json_ledger, servers

NOON = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)
TODAY = dt.date(2026, 11, 21)


@pytest.fixture
def settings_of_installation(tmp_path: Path) -> config.Config:
    return config.load({"FORBEAR_DATA_DIR": str(tmp_path)})


@pytest.fixture
def engine(settings_of_installation: config.Config) -> Engine:
    migrate(settings_of_installation)
    return db.engine(settings_of_installation)


@pytest.fixture
def connection_id(engine: Engine) -> str:
    with db.transaction(engine) as tx:
        tx.execute(
            sa.insert(db.connections).values(
                id="c1",
                platform="fake",
                external_id="books-1",
                organization="Harbor Supply",
                timezone="America/New_York",
                home_currency="USD",
                country="US",
                created_at=NOON,
                last_sync_at=NOON,
            )
        )
    return "c1"


# ---------------------------------------------------------------- whole installations, on each database


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with servers.postgres() as url:
        db.migrate(config.load({"FORBEAR_DATABASE_URL": url}))
        yield url


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.valkey(tmp_path_factory.mktemp("q")) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def installation(
    request: pytest.FixtureRequest, tmp_path: Path, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[config.Config]:
    """A migrated, empty installation on either database, with a queue, and the pretend ledger plugged in."""
    monkeypatch.setenv("FORBEAR_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("FORBEAR_REDIS_URL", valkey_url)
    monkeypatch.setenv("JSON_LEDGER", str(tmp_path / "ledger.json"))
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "plugin"))
    platforms._entries.cache_clear()  # what is installed does not change while the product runs; here it does
    if request.param == "postgresql":
        monkeypatch.setenv("FORBEAR_DATABASE_URL", request.getfixturevalue("postgres_url"))
    settings = config.load()
    embedded.redis(settings).flushall()
    if request.param == "postgresql":
        with db.transaction(db.engine(settings)) as tx:
            names = ", ".join(f'"{table.name}"' for table in db.metadata.sorted_tables)
            tx.exec_driver_sql(f"TRUNCATE {names} RESTART IDENTITY CASCADE")
    else:
        migrate(settings)
    yield settings
    db.engine(settings).dispose()
    platforms._entries.cache_clear()


@pytest.fixture
def store(installation: config.Config) -> Engine:
    return db.engine(installation)


@pytest.fixture
def ledgers(installation: config.Config) -> json_ledger.Ledgers:
    """The pretend provider, with its books empty."""
    return json_ledger.Ledgers()


@pytest.fixture
def connected(store: Engine, installation: config.Config) -> str:
    """The id of one connected organization of the pretend ledger."""
    [connection] = connections.save_grant(store, installation, "json", json_ledger.grant())
    return connection.id
