"""The engine, and the two ways in: `transaction()` to write, `reading()` to read one snapshot.

The tables stand in `connector.tables`, by topic; callers reach them from here: `db.invoices`.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from connector import logs
from connector.config import Config
from connector.tables.books import *  # noqa: F403
from connector.tables.columns import Moment as Moment
from connector.tables.columns import metadata as metadata
from connector.tables.conclusions import *  # noqa: F403
from connector.tables.customer_page import *  # noqa: F403
from connector.tables.organizations import *  # noqa: F403
from connector.tables.people import *  # noqa: F403
from connector.tables.plans import *  # noqa: F403
from connector.tables.sums import *  # noqa: F403
from connector.tables.work import *  # noqa: F403

MIGRATIONS = Path(__file__).with_name("migrations")
BUSY_SECONDS = 30
LOCK_SECONDS = 2.0  # a migration stands no longer before a table in use: whoever comes later stands behind it
MIGRATE_SECONDS = 600  # so long it tries again
# SQLite's settings: a change acknowledged to a ledger must outlive a power cut. What is stored in bulk spreads over
# many pages of each index: more of them (8 MB) stay in memory, and each goes home less often.
_LASTING = ("synchronous=FULL", "cache_size=-2000", "wal_autocheckpoint=1000")
_IN_BULK = ("synchronous=NORMAL", "cache_size=-8000", "wal_autocheckpoint=8000")
IN_USE = ("55P03", "40P01")  # PostgreSQL: no lock in time, deadlock

# ---------------------------------------------------------------- engine and transactions

_in_transaction: ContextVar[bool] = ContextVar("_in_transaction", default=False)
_engines: dict[str, Engine] = {}


def engine(config: Config) -> Engine:
    """The process's engine for the configured database: one per address. A forked process has connections of its own,
    and what its parent compiled."""
    found = _engines.get(config.database_url)
    if found is None:
        _hide_secrets(config)
        found = _engines[config.database_url] = _create(config.database_url)
    return found


def _hide_secrets(config: Config) -> None:
    """Here, because no process of ours does anything before it opens the database."""
    apps = (config.quickbooks, config.xero)
    logs.hide(config.secret_key, *config.token_keys)
    for address in (config.database_url, config.redis_url, config.smtp_url):
        with suppress(sa.exc.ArgumentError):  # whoever uses it says what is wrong with it
            logs.hide(str(sa.make_url(address).password or ""))
    logs.hide(*(app.client_secret for app in apps), *(app.webhook_key for app in apps))


def _create(url: str) -> Engine:
    address = sa.make_url(url)
    if address.get_backend_name() != "sqlite":
        # A server that vanished without a word must be noticed while a ledger still waits for its answer.
        options: dict[str, Any] = {"connect_timeout": 3, "tcp_user_timeout": 10_000, "keepalives_idle": 30}
        options["client_encoding"] = "utf8"  # also of a database that was made without a locale (SQL_ASCII)
        options = {name: value for name, value in options.items() if name not in address.query}
        return sa.create_engine(
            address, pool_pre_ping=True, pool_size=10, max_overflow=20, pool_timeout=5, hide_parameters=True,
            connect_args=options if address.get_backend_name() == "postgresql" else {},
            json_deserializer=msgspec.json.decode,  # JSONB holds nothing that it refuses
        )  # fmt: skip
    if address.database and address.database != ":memory:":
        Path(address.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(OSError):  # it is there, or cannot be made: the first use says so
            os.close(os.open(address.database, os.O_CREAT | os.O_EXCL, 0o600))  # its journals follow
    made = sa.create_engine(
        address, pool_size=20, max_overflow=20, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True
    )

    @sa.event.listens_for(made, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        for pragma in (
            "journal_mode=WAL",
            "foreign_keys=ON",
            f"busy_timeout={BUSY_SECONDS * 1000}",
            *_LASTING,
        ):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(made, "begin")
    def _begin(connection: Connection) -> None:
        # A writer that starts as a reader cannot be upgraded once another wrote: take the write lock at once.
        options = connection.get_execution_options()
        wanted = _IN_BULK if options.get("forbear_repeatable") else _LASTING
        if connection.info.get("settings", _LASTING) != wanted:
            for pragma in wanted:
                connection.exec_driver_sql(f"PRAGMA {pragma}")
            connection.info["settings"] = wanted
        connection.exec_driver_sql("BEGIN" if options.get("forbear_reading") else "BEGIN IMMEDIATE")

    return made


def _leave_connections() -> None:
    for one in _engines.values():
        one.dispose(close=False)  # the parent's sockets and file locks are not the child's to close


os.register_at_fork(after_in_child=_leave_connections)


@contextmanager
def transaction(engine: Engine, *, repeatable: bool = False) -> Iterator[Connection]:
    """One writing transaction: commits at the end, rolls back on any exception. Keep it short; no network.

    SQLite takes its write lock at once (BEGIN IMMEDIATE), so two writers wait instead of failing.
    `repeatable`: what it stores can be had again (a page of the mirror), so its end does not wait for the disk.
    A power cut may undo the last such transactions, whole and in their order, never one before a lasting one.
    """
    mark = _in_transaction.set(True)
    try:
        with engine.connect() as connection:
            if repeatable and engine.dialect.name == "sqlite":
                connection.execution_options(forbear_repeatable=True)
            with connection.begin():
                if repeatable and engine.dialect.name == "postgresql":
                    connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
                yield connection
    finally:
        _in_transaction.reset(mark)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Read one consistent snapshot. Never blocks a writer, is never blocked by one."""
    mark = _in_transaction.set(True)
    options: dict[str, Any] = {"forbear_reading": True}
    if engine.dialect.name == "postgresql":
        options["isolation_level"] = "REPEATABLE READ"
    try:
        with engine.connect().execution_options(**options) as tx:
            yield tx
    finally:
        _in_transaction.reset(mark)


def among(tx: Connection, column: sa.ColumnElement[str], ids: Iterable[str]) -> sa.ColumnElement[bool]:
    """Whether a column is one of these: one parameter however many there are, where the database knows arrays."""
    if tx.dialect.name == "postgresql":
        return column == sa.any_(sa.literal(list(ids), sa.ARRAY(sa.Text)))
    return column.in_(list(ids))


def wanted(tx: Connection, keys: Collection[tuple[str, str]]) -> sa.FromClause:
    """Pairs of connection and customer as a table to join: one short statement however many there are."""
    if tx.dialect.name == "postgresql":
        ways = ([key[n] for key in keys] for n in (0, 1))
        arrays = (sa.cast(sa.literal(way, sa.ARRAY(sa.Text)), sa.ARRAY(sa.Text)) for way in ways)
        named = sa.func.unnest(*arrays).table_valued("connection_id", "customer_id", name="wanted")
        return named.render_derived()
    each = sa.func.json_each(json.dumps(list(keys))).table_valued("value", name="each")
    both = (sa.func.json_extract(each.c.value, f"$[{n}]", type_=sa.Text) for n in (0, 1))
    return sa.select(
        *(way.label(n) for way, n in zip(both, ("connection_id", "customer_id"), strict=True))
    ).subquery("wanted")


def of_these(tx: Connection, table: sa.Table, keys: Collection[tuple[str, str]]) -> sa.FromClause:
    """The rows of a table about these customers."""
    named, c = wanted(tx, keys), table.c
    same = sa.and_(c.connection_id == named.c.connection_id, c.customer_id == named.c.customer_id)
    return named.join(table, same)


def in_transaction() -> bool:
    """Whether this thread stands inside `transaction` or `reading`: the ledger gates refuse calls there."""
    return _in_transaction.get()


def now() -> dt.datetime:
    """The present moment in UTC. Only steps, jobs and stores ask; the domain never does."""
    return dt.datetime.now(dt.UTC)


# ---------------------------------------------------------------- migrations


def migrate(config: Config) -> None:
    """Bring the database to this version's tables. Safe to run twice, by several processes at once, and while the
    processes of the version before work: all of it happens or nothing, and nobody waits long for it."""
    from alembic import command

    last = time.monotonic() + MIGRATE_SECONDS
    while True:
        try:
            with transaction(engine(config)) as tx:
                if tx.dialect.name == "postgresql":  # SQLite's write lock already keeps a second migrator out
                    tx.exec_driver_sql("SELECT pg_advisory_xact_lock(70418)")
                    tx.exec_driver_sql(f"SET LOCAL lock_timeout = {round(1000 * LOCK_SECONDS)}")
                if not _is_newer(_stands_at(tx)):
                    command.upgrade(_alembic(tx), "head")
            return
        except sa.exc.OperationalError as problem:
            if getattr(problem.orig, "sqlstate", "") not in IN_USE or time.monotonic() > last:
                raise
        time.sleep(LOCK_SECONDS)


def is_migrated(engine: Engine) -> bool:
    """Whether the database has the tables of this version: it stands at its newest migration, or at a later version's.

    A migration only adds, so processes of the version before go on, and may be started again, after one.
    """
    with reading(engine) as tx:
        at = _stands_at(tx)
    return at == _versions()[-1] or _is_newer(at)


def _stands_at(tx: Connection) -> str:
    """The last migration that was applied; "" when none was."""
    from alembic.runtime.migration import MigrationContext

    return MigrationContext.configure(tx).get_current_revision() or ""


def _is_newer(at: str) -> bool:
    return bool(at) and at not in _versions()


@cache
def _versions() -> list[str]:
    """This version's migrations, in their order."""
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(MIGRATIONS))
    return [one.revision for one in script.walk_revisions()][::-1]


def _alembic(connection: Connection) -> Any:
    from alembic.config import Config as AlembicConfig

    made = AlembicConfig()
    made.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made
