"""What commands share: the database opened, the organizations meant, arguments read, work carried out."""

from __future__ import annotations

import argparse
import datetime as dt
import getpass
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from connector.config import Config
    from connector.connecting.connections import Connection

Command = Callable[[argparse.Namespace], int]
Commands = Any  # argparse's sub-parsers: their type has no public name
EVERY = ("month", "week", "2weeks")
# Seconds that a command waits for a busy worker or ledger before it leaves the rest to the sweep
PATIENCE = 120.0


class Wrong(Exception):
    """What was asked for makes no sense; exit code 2."""


def command(commands: Commands, name: str, run: Command, help: str) -> argparse.ArgumentParser:
    """A new command; returns its parser, for its options."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help, description=help)
    parser.set_defaults(command=run)
    return parser


def connection_option(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--connection", metavar="ID", help="one organization; otherwise all")
    return parser


def user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a name for its user
        return "the command line"


def date(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date; write one as 2026-11-21") from None


def amount(text: str) -> Decimal:
    try:
        return _finite(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount; write one as 150.00") from None


def percent(text: str) -> Decimal:
    try:
        return _finite(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage; write one as 5 or 2.5") from None


def _finite(text: str) -> Decimal:
    """Decimal also reads NaN and Infinity. Raises InvalidOperation."""
    number = Decimal(text)
    if not number.is_finite():
        raise InvalidOperation
    return number


def opened() -> tuple[Config, Engine]:
    """The settings and the database; an embedded database gets its tables on the way."""
    from connector import config, db

    settings = config.load()
    engine = db.engine(settings)
    if not db.is_migrated(engine):
        if engine.dialect.name != "sqlite":
            raise LookupError("The database lacks this version's tables. Run `forbear migrate` first.")
        db.migrate(settings)
    return settings, engine


def connections_meant(engine: Engine, wanted: str | None, *, connected: bool = True) -> list[Connection]:
    from connector import db
    from connector.connecting import connections

    with db.reading(engine) as tx:
        if wanted is not None:
            return [connections.get(tx, wanted)]
        found = connections.every(tx, "connected" if connected else None)
    if not found:
        raise LookupError("No organization is connected. Open the pages and connect one first.")
    return found


def of_customer(engine: Engine, customer_id: str, wanted: str | None) -> Connection:
    """The one organization that has this customer."""
    from connector import db
    from connector.mirroring import books

    found = connections_meant(engine, wanted, connected=False)
    with db.reading(engine) as tx:
        having = [c for c in found if books.customer(tx, c.id, customer_id)]
    if not having:
        raise LookupError(f"No organization has a customer {customer_id}. Sync first, or check the id.")
    if len(having) > 1:
        listed = "; ".join(f"{c.id} is {c.organization} ({c.platform})" for c in having)
        raise Wrong(f"Several organizations have a customer {customer_id}. Say --connection: {listed}.")
    return having[0]


def each(options: argparse.Namespace) -> Iterator[tuple[Config, Engine, Connection]]:
    settings, engine = opened()
    for connection in connections_meant(engine, options.connection):
        yield settings, engine, connection


def delivered(settings: Config, engine: Engine, connection: Connection) -> int:
    """Deliver until nothing waits, or patience ends. Returns how many writes wait for a person."""
    from connector import db, platforms
    from connector.connecting import connections
    from connector.customer_page import customer_links
    from connector.writing import writeback

    word = platforms.find(connection.platform, settings).credit_word
    end = time.monotonic() + PATIENCE
    while True:
        result = writeback.deliver(
            engine,
            connection.id,
            lambda: connections.open_ledger(engine, settings, connection.id, patience=20, urgent=True),
            now=db.now,
            today=lambda: connections.today(connection, settings),
            credit_word=word,
            say=say,
            page=customer_links.Maker(settings),
        )
        pause = 1.0 if result.busy else _seconds_until(result.retry_at)
        if pause is None:
            break
        if time.monotonic() + pause > end:
            print(f"{connection.organization}: the rest waits for the ledger and goes on by itself.")
            break
        time.sleep(pause)
    print(
        f"{connection.organization}: {result.done} writes done, {result.failed} refused, {result.waiting} waiting."
    )
    return result.failed


def _seconds_until(moment: dt.datetime | None) -> float | None:
    from connector import db

    return max(0.1, (moment - db.now()).total_seconds()) if moment else None


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
