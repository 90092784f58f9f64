"""An empty installation: a database of its own, and one connected organization."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from connector import config, db

NOON = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)
TODAY = dt.date(2026, 11, 21)


@pytest.fixture
def settings_of_installation(tmp_path: Path) -> config.Config:
    return config.load({"FORBEAR_DATA_DIR": str(tmp_path)})


@pytest.fixture
def engine(settings_of_installation: config.Config) -> Engine:
    made = db.engine(settings_of_installation)
    db.metadata.create_all(made)
    return made


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
