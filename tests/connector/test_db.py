"""Tables, transactions and migrations, on both databases."""

import datetime as dt
import multiprocessing
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import Engine

from connector import config, db

NOON = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)


def test_the_migrations_make_exactly_the_tables_that_the_code_uses(store: Engine) -> None:
    with db.transaction(store) as tx:
        context = MigrationContext.configure(tx, opts={"compare_type": True})
        assert compare_metadata(context, db.metadata) == []


def test_the_migrations_make_the_same_indexes_with_their_conditions(tmp_path: Path) -> None:
    migrated = config.load({"FORBEAR_DATA_DIR": str(tmp_path / "migrated")})
    db.migrate(migrated)
    made = config.load({"FORBEAR_DATA_DIR": str(tmp_path / "made")})
    with db.transaction(db.engine(made)) as tx:
        db.metadata.create_all(tx)

    def indexes(settings: config.Config) -> set[tuple[str, str]]:
        engine = db.engine(settings)
        with db.reading(engine) as tx:
            rows = tx.exec_driver_sql(
                "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql <> ''"
            )
            found = {(row[0], row[1]) for row in rows}
        engine.dispose()
        return found

    assert indexes(migrated) == indexes(made) != set()


def test_migrating_twice_changes_nothing_and_says_so(installation: config.Config) -> None:
    db.migrate(installation)
    assert db.is_migrated(db.engine(installation))


def test_an_empty_database_is_not_migrated(tmp_path: Path) -> None:
    assert not db.is_migrated(db.engine(config.load({"FORBEAR_DATA_DIR": str(tmp_path)})))


def _migrate(folder: str, url: str) -> None:
    db.migrate(config.load({"FORBEAR_DATA_DIR": folder, "FORBEAR_DATABASE_URL": url}))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_processes_that_start_together_may_all_migrate(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = ""
    if kind == "postgresql":
        url = request.getfixturevalue("postgres_url")
        engine = db.engine(config.load({"FORBEAR_DATABASE_URL": url}))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as tx:
            tx.exec_driver_sql("DROP DATABASE IF EXISTS together")
            tx.exec_driver_sql("CREATE DATABASE together TEMPLATE template0")
        url = url.replace("/postgres?", "/together?")
    spawn = multiprocessing.get_context("spawn")
    several = [spawn.Process(target=_migrate, args=(str(tmp_path), url)) for _ in range(3)]
    for process in several:
        process.start()
    for process in several:
        process.join(240)
    assert [process.exitcode for process in several] == [0, 0, 0]
    made = db.engine(config.load({"FORBEAR_DATA_DIR": str(tmp_path), "FORBEAR_DATABASE_URL": url}))
    assert db.is_migrated(made)
    made.dispose()


def test_a_database_that_was_made_without_a_locale_keeps_every_name(postgres_url: str) -> None:
    maker = db.engine(config.load({"FORBEAR_DATABASE_URL": postgres_url}))
    with maker.connect().execution_options(isolation_level="AUTOCOMMIT") as tx:
        tx.exec_driver_sql("DROP DATABASE IF EXISTS plain")
        as_c = "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
        tx.exec_driver_sql(f"CREATE DATABASE plain {as_c} TEMPLATE template0")
    url = postgres_url.replace("/postgres?", "/plain?")
    engine = db.engine(config.load({"FORBEAR_DATABASE_URL": url}))
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE one (name text)"))
        connection.execute(sa.text("INSERT INTO one VALUES (:name)"), {"name": "Łódź 株式会社"})
        assert connection.scalar(sa.text("SELECT name FROM one")) == "Łódź 株式会社"
    engine.dispose()


def test_a_failed_transaction_leaves_nothing(store: Engine) -> None:
    def begin_and_fail() -> None:
        with db.transaction(store) as tx:
            tx.execute(sa.insert(db.people).values(name="Ada", created_at=NOON))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        begin_and_fail()
    with db.reading(store) as tx:
        assert tx.scalar(sa.select(sa.func.count()).select_from(db.people)) == 0


def test_a_moment_comes_back_as_it_went_in_and_a_naive_one_is_refused(store: Engine) -> None:
    in_tokyo = NOON.astimezone(dt.timezone(dt.timedelta(hours=9)))
    with db.transaction(store) as tx:
        tx.execute(sa.insert(db.people).values(name="Ada", created_at=in_tokyo))
    with db.reading(store) as tx:
        kept = tx.scalar(sa.select(db.people.c.created_at))
    assert kept == NOON
    assert kept.tzinfo is dt.UTC
    with pytest.raises(sa.exc.StatementError, match="time zone"), db.transaction(store) as tx:
        tx.execute(sa.insert(db.people).values(name="Bob", created_at=NOON.replace(tzinfo=None)))


def test_writers_that_meet_wait_for_each_other(store: Engine) -> None:
    """Read, then write: two that start as readers would fail in SQLite, or lose an update."""
    with db.transaction(store) as tx:
        tx.execute(sa.insert(db.people).values(id=1, name="0", created_at=NOON))
    problems: list[Exception] = []

    def count_up() -> None:
        try:
            for _ in range(20):
                with db.transaction(store) as tx:
                    query = sa.select(db.people.c.name).where(db.people.c.id == 1).with_for_update()
                    number = int(tx.scalar(query) or 0)
                    tx.execute(sa.update(db.people).values(name=str(number + 1)))
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    with db.reading(store) as tx:
        assert tx.scalar(sa.select(db.people.c.name)) == "80"


def test_a_reader_sees_one_snapshot_while_another_writes(store: Engine) -> None:
    with db.reading(store) as tx:
        before = tx.scalar(sa.select(sa.func.count()).select_from(db.people))
        with db.transaction(store) as other:
            other.execute(sa.insert(db.people).values(name="Ada", created_at=NOON))
        assert tx.scalar(sa.select(sa.func.count()).select_from(db.people)) == before
        assert db.in_transaction()
    assert not db.in_transaction()


def test_sqlite_keeps_every_commit_through_a_power_cut(tmp_path: Path) -> None:
    engine = db.engine(config.load({"FORBEAR_DATA_DIR": str(tmp_path)}))
    with db.transaction(engine) as tx:
        assert tx.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert tx.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert tx.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    engine.dispose()


def test_only_what_can_be_had_again_ends_without_waiting_for_the_disk(store: Engine) -> None:
    def waits(*, repeatable: bool) -> bool:
        with db.transaction(store, repeatable=repeatable) as tx:
            if store.dialect.name == "sqlite":
                return tx.exec_driver_sql("PRAGMA synchronous").scalar() == 2
            return tx.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"

    assert [waits(repeatable=r) for r in (False, True, False, True, True, False)] == [
        *(True, False, True, False, False, True)
    ]


def test_sqlite_keeps_a_large_journal_only_while_much_is_stored(tmp_path: Path) -> None:
    engine = db.engine(config.load({"FORBEAR_DATA_DIR": str(tmp_path)}))

    def pages(*, repeatable: bool) -> int:
        with db.transaction(engine, repeatable=repeatable) as tx:
            return tx.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar()  # type: ignore[no-any-return]

    assert [pages(repeatable=r) for r in (False, True, False)] == [1000, 8000, 1000]
    engine.dispose()
