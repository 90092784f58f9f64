"""An upgrade from each earlier release with its data in it, and old processes that go on while it happens.

`releases/<migration>.jsonl.gz` is what that version's own demo left in its database, a row a line, cut to a few
customers; without tokens and with a short file in place of the written agreements. Add one for each release.
"""

from __future__ import annotations

import ast
import base64
import datetime as dt
import gzip
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from connector import config, db
from connector.config import Config
from connector.connecting import connections
from connector.record import audit, export
from connector.reviewing import review
from tests.connector import servers

TODAY = dt.date(2026, 11, 21)
RELEASES = sorted((Path(__file__).parent / "releases").glob("*.jsonl.gz"))
MIGRATIONS = sorted((db.MIGRATIONS / "versions").glob("[0-9]*.py"))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with servers.postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Config]:
    if request.param == "postgresql":
        name = f"t{abs(hash(request.node.name))}"
        made = a_database(request.getfixturevalue("server"), name, tmp_path)
    else:
        made = config.load({"FORBEAR_DATA_DIR": str(tmp_path)})
    yield made
    db.engine(made).dispose()


def a_database(server: str, name: str, folder: Path) -> Config:
    maker = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with maker.connect() as tx:
        tx.exec_driver_sql(f"CREATE DATABASE {name}")
    maker.dispose()
    url = sa.make_url(server).set(database=name).render_as_string(hide_password=False)
    return config.load({"FORBEAR_DATA_DIR": str(folder), "FORBEAR_DATABASE_URL": url})


def rows_of(release: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for line in gzip.decompress(release.read_bytes()).splitlines():
        one = json.loads(line)
        found.setdefault(one["table"], []).append(one["row"])
    return found


def value(column: sa.Column[Any], stored: Any) -> Any:
    """SQLite's way of writing a value, as the column's own type takes it."""
    if stored is None:
        return None
    if isinstance(stored, dict):
        return base64.b64decode(stored["bytes"])
    match column.type:
        case sa.DateTime():
            return dt.datetime.fromisoformat(stored).replace(tzinfo=dt.UTC)
        case sa.Date():
            return dt.date.fromisoformat(stored)
        case sa.JSON():
            return json.loads(stored)
        case sa.Boolean():
            return bool(stored)
    return stored


def fill(settings: Config, rows: dict[str, list[dict[str, Any]]]) -> sa.MetaData:
    """As the old version wrote them: with the columns that it knew, into the tables as they are now."""
    tables = sa.MetaData()
    with db.transaction(db.engine(settings)) as tx:
        tables.reflect(tx)
        for table in tables.sorted_tables:
            for row in rows.get(table.name, []) if table.name != "alembic_version" else []:
                tx.execute(sa.insert(table), {k: value(table.c[k], v) for k, v in row.items()})
            if tx.dialect.name == "postgresql" and isinstance(table.c.get("id", sa.null()).type, sa.Integer):
                tx.exec_driver_sql(  # its numbers go on behind those that were given here
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), max(id)) FROM {table.name}"
                )
    return tables


def kept(settings: Config, rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[str]]:
    """What is in those tables and columns now."""
    tables, found = sa.MetaData(), {}
    with db.reading(db.engine(settings)) as tx:
        tables.reflect(tx, only=list(rows))
        for name, lines in rows.items():
            columns = [tables.tables[name].c[k] for k in lines[0]]
            found[name] = sorted(repr(tuple(row)) for row in tx.execute(sa.select(*columns)))
    return found


@pytest.mark.parametrize("release", RELEASES, ids=lambda file: file.name[:4])
def test_an_upgrade_keeps_every_value_and_the_new_version_works_with_them(
    empty: Config, release: Path
) -> None:
    rows = rows_of(release)
    rows.pop("alembic_version")
    with db.transaction(db.engine(empty)) as tx:
        command.upgrade(db._alembic(tx), release.name[:4])
    fill(empty, rows)
    before = kept(empty, rows)
    db.migrate(empty)
    engine = db.engine(empty)
    assert db.is_migrated(engine)
    assert kept(empty, rows) == before
    with db.reading(engine) as tx:
        assert audit.verify(tx) == []
        everyone = connections.every(tx)
        state = export.export(tx, today=lambda _: TODAY)
    assert len(everyone) == len(rows["connections"])
    numbers = {p["id"] for c in state["connections"] for p in c["plans"]}
    assert numbers == {f"PP-{p['number']:04}" for p in rows["plans"] if p["state"] != "withdrawn"}
    for one in everyone:
        reviewed = review.review(engine, one.id, now=db.now(), today=TODAY)
        assert reviewed.customers == sum(r["connection_id"] == one.id for r in rows["customers"])


def test_an_upgrade_keeps_since_when_a_draft_waits(empty: Config) -> None:
    """Releases up to 0016 withdrew an unanswered draft, and drafted it anew under another number, each week."""
    with db.transaction(db.engine(empty)) as tx:
        command.upgrade(db._alembic(tx), "0016")
    plan = {"connection_id": "c1", "customer_id": "58", "currency": "USD", "mode": "notes", "version": 1}
    terms = {
        "id": "PP-0001",
        "version": 1,
        "customer_id": "58",
        "currency": "USD",
        "mode": "notes",
        "rows": [],
    }
    rows: dict[str, list[dict[str, Any]]] = {
        "connections": [
            {"id": "c1", "platform": "xero", "external_id": "b", "created_at": "2026-09-01 12:00:00"}
        ],
        "plans": [],
        "plan_versions": [],
    }
    for number, state, revision, day, invoice in (
        (1, "withdrawn", 2, "2026-09-01", "147"),
        (2, "withdrawn", 2, "2026-09-08", "160"),
        (3, "withdrawn", 2, "2026-09-15", "147"),
        (4, "proposed", 1, "2026-09-22", "147"),
        (5, "proposed", 2, "2026-09-22", "147"),
    ):
        one = {"number": number, "state": state, "revision": revision, "created_by": "Forbear"}
        rows["plans"].append(plan | one)
        said = json.dumps(terms | {"drafted_on": day, "sources": [{"invoice_id": invoice}]})
        kept = {"plan": number, "version": 1, "terms": said, "sources": "[]", "digest": "", "mode": "notes"}
        rows["plan_versions"].append(kept)
    fill(empty, rows)
    db.migrate(empty)
    with db.reading(db.engine(empty)) as tx:
        p = db.plans.c
        since = {row.number: row.waits_since for row in tx.execute(sa.select(p.number, p.waits_since))}
    assert since == {1: None, 2: None, 3: None, 4: dt.date(2026, 9, 1), 5: None}


# ---------------------------------------------------------------- every version on the way


def tables_of(settings: Config) -> sa.MetaData:
    """The tables as this version has them, read from the database itself."""
    tables = sa.MetaData()
    with db.reading(db.engine(settings)) as tx:
        tables.reflect(tx)
    tables.remove(tables.tables["alembic_version"])
    return tables


def new_shapes(tables: sa.MetaData, before: sa.MetaData) -> list[sa.Table]:
    """The tables that got columns, and those that their rows refer to; what is referred to first."""
    found = {
        table.name
        for table in tables.sorted_tables
        if table.name not in before.tables or set(table.c.keys()) != set(before.tables[table.name].c.keys())
    }
    for table in reversed(tables.sorted_tables):
        if table.name in found:
            found |= {key.column.table.name for key in table.foreign_keys}
    return [table for table in tables.sorted_tables if table.name in found]


def filled(number: int, column: sa.Column[Any]) -> Any:
    """A value of the column's own type that no other row has; a reference names the row with the same number."""
    for reference in column.foreign_keys:
        return filled(number, reference.column)
    match column.type:
        case sa.DateTime():
            zone = dt.UTC if column.type.timezone else None
            return dt.datetime(2026, 1, 1, 12, 30, 0, 1, tzinfo=zone) + dt.timedelta(days=number)
        case sa.Date():
            return dt.date(2026, 1, 1) + dt.timedelta(days=number)
        case sa.Boolean():
            return number % 2 == 0
        case sa.Integer():
            return 1_000 + number
        case sa.Float():
            return number + 0.25
        case sa.LargeBinary():
            return f"{column} {number}".encode()
        case sa.JSON():
            return {"number": number, "column": str(column)}
    return f"{column} {number} é"


def put(settings: Config, tables: list[sa.Table], number: int) -> None:
    """One row in each table, in every column that its version knows."""
    with db.transaction(db.engine(settings)) as tx:
        for table in tables:
            tx.execute(sa.insert(table), {c.name: filled(number, c) for c in table.columns})


def changed(settings: Config, tables: list[sa.Table], number: int) -> list[str]:
    """The tables in which that row does not stand as it was written."""
    found = []
    with db.reading(db.engine(settings)) as tx:
        for table in tables:
            wanted = {c.name: filled(number, c) for c in table.columns}
            where = [c == wanted[c.name] for c in table.primary_key]
            row = tx.execute(sa.select(table).where(*where)).one_or_none()
            if row is None or dict(row._mapping) != wanted:
                found.append(table.name)
    return found


def test_what_any_version_wrote_is_kept_up_to_the_newest_and_its_old_processes_may_go_on(
    empty: Config,
) -> None:
    """One walk through all versions: each writes a row by its own schema into every table that it made or widened.
    At the newest all are found, and each version writes once more, as a process of it that still runs would."""
    wrote: dict[int, list[sa.Table]] = {}
    known = sa.MetaData()
    for number, file in enumerate(MIGRATIONS, 1):
        with db.transaction(db.engine(empty)) as tx:
            command.upgrade(db._alembic(tx), file.name[:4])
        before, known = known, tables_of(empty)
        wrote[number] = new_shapes(known, before)
        put(empty, wrote[number], number)
    assert db.is_migrated(db.engine(empty))
    assert {t.name for tables in wrote.values() for t in tables} == set(db.metadata.tables)
    for number, tables in wrote.items():
        assert changed(empty, tables, number) == []
        put(empty, tables, 500 + number)
        assert changed(empty, tables, 500 + number) == []
    with db.transaction(db.engine(empty)) as tx:
        tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    assert db.is_migrated(db.engine(empty))  # a later version came here first: this one may still be started
    db.migrate(empty)
    with db.transaction(db.engine(empty)) as tx:
        tx.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    assert not db.is_migrated(db.engine(empty))


def test_nobody_waits_behind_a_migration_that_waits_for_its_turn(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long reading of an old process keeps the migration from a table; a webhook that reads it must not stand behind."""
    settings = a_database(server, "patience", tmp_path)
    monkeypatch.setattr(db, "LOCK_SECONDS", 0.2)
    engine = db.engine(settings)
    with db.transaction(engine) as tx:
        command.upgrade(db._alembic(tx), "0001")
    migrating = threading.Thread(target=db.migrate, args=(settings,), daemon=True)
    waiting, passed = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted"), 0
    with db.reading(engine) as old, engine.connect() as other:
        old.execute(sa.text("SELECT count(*) FROM connections"))
        migrating.start()
        other.execute(sa.text("SET statement_timeout = '20s'"))
        other.commit()
        while passed < 3 and migrating.is_alive():
            if other.scalar(waiting):
                other.execute(sa.text("SELECT count(*) FROM connections"))
                passed += 1
            other.rollback()
        assert passed == 3
        assert migrating.is_alive()
    migrating.join(240)
    assert db.is_migrated(engine)
    engine.dispose()


def test_what_an_old_process_writes_while_the_sums_are_made_is_in_them(server: str, tmp_path: Path) -> None:
    settings = a_database(server, "sums", tmp_path)
    engine = db.engine(settings)
    with db.transaction(engine) as tx:
        command.upgrade(db._alembic(tx), "0013")
        for statement in (
            "INSERT INTO connections (id, platform, external_id, organization, created_at) VALUES ('c', 'fake', 'x', 'Harbor', now())",
            "INSERT INTO invoices (connection_id, id, customer_id, date, due, currency, total, balance, status, seen)"
            " VALUES ('c', 'a', 'kim', '2026-09-01', '2026-10-12', 'USD', 900, 900, 'open', 1)",
        ):
            tx.execute(sa.text(statement))
    migrating = threading.Thread(target=db.migrate, args=(settings,), daemon=True)
    waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    with db.transaction(engine) as old, engine.connect() as other:
        old.execute(sa.text("UPDATE invoices SET balance = 200"))
        migrating.start()
        while migrating.is_alive() and not other.scalar(waiting):
            other.rollback()
    migrating.join(240)
    with db.reading(engine) as tx:
        assert tx.execute(sa.select(db.open_days.c.invoices, db.open_days.c.amount)).all() == [(1, 200)]
    engine.dispose()


# ---------------------------------------------------------------- the rule that makes both true


# `op.f` only names a constraint; an index may go, because no statement names one that is not unique.
ADDITIVE = {"create_table", "create_index", "drop_index", "add_column", "f", "get_bind"}


def calls(file: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node


def adds(statement: str, columns: set[str]) -> bool:
    """Whether a statement makes something new, copies rows into it, or fills a column that this migration added."""
    if statement.startswith(("CREATE TRIGGER ", "CREATE FUNCTION ", "INSERT INTO ")):
        return True
    filled = re.match(r"UPDATE \w+ AS \w+ SET (\w+) = ", statement)
    return bool(filled and filled[1] in columns)


def trespasses(file: Path) -> list[str]:
    """What an old process that is still running would stumble over."""
    found = []
    new = {ast.unparse(c.args[0]) for c in calls(file) if c.func.attr == "create_table"}  # type: ignore[attr-defined]
    added = {ast.unparse(c.args[1].args[0]).strip("'") for c in calls(file) if c.func.attr == "add_column"}  # type: ignore[attr-defined]
    for call in calls(file):
        on, name = call.func.value, call.func.attr  # type: ignore[attr-defined]
        if not (isinstance(on, ast.Name) and on.id == "op"):
            continue
        if name == "execute" and adds(ast.unparse(call.args[0]).lstrip("f'\""), added):
            continue
        if name not in ADDITIVE:
            found.append(f"{file.name}:{call.lineno} op.{name}")
        if name == "add_column":
            given = {k.arg: k.value for k in call.args[1].keywords}  # type: ignore[attr-defined]
            optional = isinstance(given.get("nullable"), ast.Constant) and given["nullable"].value
            if not optional and "server_default" not in given:
                found.append(f"{file.name}:{call.lineno} a required column without a default")
        unique = any(k.arg == "unique" for k in call.keywords)
        if name == "create_index" and unique and ast.unparse(call.args[1]) not in new:
            found.append(f"{file.name}:{call.lineno} a rule that old processes do not keep")
    return found


@pytest.mark.parametrize("file", MIGRATIONS[1:], ids=lambda file: file.stem)
def test_a_migration_only_adds(file: Path) -> None:
    assert trespasses(file) == []


def test_the_rule_sees_what_is_forbidden(tmp_path: Path) -> None:
    bad = tmp_path / "0099_bad.py"
    bad.write_text(
        'op.drop_column("plans", "mode")\n'
        'op.add_column("plans", sa.Column("x", sa.Text(), nullable=False))\n'
        'op.add_column("plans", sa.Column("y", sa.Text(), server_default="", nullable=False))\n'
        'op.create_index("i", "plans", ["x"], unique=True)\n'
        'op.execute("DELETE FROM plans")\n'
        'op.execute("UPDATE plans AS p SET y = mode")\n'
        'op.execute("UPDATE plans AS p SET mode = y")\n'
    )
    assert [t.split(" ", 1)[0] for t in trespasses(bad)] == [f"0099_bad.py:{n}" for n in (1, 2, 4, 5, 7)]


def test_every_migration_follows_the_one_before() -> None:
    names = [file.name[:4] for file in MIGRATIONS]
    for number, file in zip(names[1:], MIGRATIONS[1:], strict=True):
        text = file.read_text()
        assert f'revision = "{number}"' in text
        assert f'down_revision = "{int(number) - 1:04}"' in text
    assert names[0] == "0001"
    assert len(set(names)) == len(names)
