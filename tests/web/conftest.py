"""An installation, the pretend ledgers with one small company each, and an empty database beside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from connector import config, db
from sandbox.clock import Clock
from sandbox.server import Server
from sandbox.world import World
from tests.sandbox.conftest import a_company
from tests.web.office import CONNECTION, TODAY, Office, environment


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """A migrated database with one organization in it, and nobody's ledger behind."""
    settings = config.load({"FORBEAR_DATA_DIR": str(tmp_path / "alone")})
    db.migrate(settings)
    made = db.engine(settings)
    with db.transaction(made) as tx:
        tx.execute(
            sa.insert(db.connections).values(
                id=CONNECTION,
                platform="quickbooks",
                external_id="books-1",
                organization="Harbor Supply",
                timezone="America/New_York",
                home_currency="USD",
                country="US",
                created_at=db.now(),
            )
        )
    return made


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty database: copied for each test, because migrating takes a second."""
    folder = tmp_path_factory.mktemp("template")
    settings = config.load({"FORBEAR_DATA_DIR": str(folder)})
    db.migrate(settings)
    db.engine(settings).dispose()
    return folder / "forbear.sqlite3"


@pytest.fixture
def office(tmp_path: Path, template: Path) -> Iterator[Office]:
    world = World(Clock(TODAY), unthrottled=True)
    a_company(world, "quickbooks")
    a_company(world, "xero")
    (tmp_path / "forbear.sqlite3").write_bytes(template.read_bytes())
    with Server(world) as sandbox:
        settings = config.load(environment(sandbox.url, tmp_path))
        made = Office(settings, db.engine(settings), sandbox)
        yield made
        made.engine.dispose()
