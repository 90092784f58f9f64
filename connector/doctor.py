"""`forbear doctor`: is this installation well, and what to do where it is not. Reads; changes nothing."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib.metadata import version

import requests
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from connector import audit, config, connections, db, embedded, outbox, plans, platforms
from connector.config import Config, LedgerApp, WrongSetting

GOOD, LOOK, WRONG = "good", "look", "wrong"
SKEW = dt.timedelta(seconds=60)  # the ledgers refuse tokens from a clock that is much further off
TIMEOUT = 10
LITTLE_SPACE = 500 * 2**20  # bytes


@dataclass(frozen=True, slots=True)
class Check:
    """`state` is good, look or wrong; `sentence` says what is so and what to do."""

    name: str
    state: str
    sentence: str


def examine() -> list[Check]:
    """Every check, in the order in which trouble would have to be mended."""
    checks = [_versions()]
    try:
        settings = config.load()
    except WrongSetting as wrong:
        return [*checks, Check("settings", WRONG, str(wrong))]
    checks += _settings(settings)
    engine = db.engine(settings)
    database = _database(engine, settings)
    checks.append(database)
    checks.append(_queue(settings))
    for name in platforms.names():
        app: LedgerApp = getattr(settings, name)
        checks += list(_ledger(name, app))
    if database.state == GOOD:
        checks += list(_contents(engine, settings))
    return checks


def _versions() -> Check:
    parts = ", ".join(f"{name} {version(name)}" for name in ("forbear", "sqlalchemy", "rq", "xero-python"))
    return Check("versions", GOOD, f"{parts}, python-quickbooks {version('python-quickbooks')}.")


def _settings(settings: Config) -> Iterator[Check]:
    unknown = config.unknown_names()
    if unknown:
        yield Check(
            "settings",
            LOOK,
            f"{', '.join(unknown)} {'is' if len(unknown) == 1 else 'are'} not known; see docs/settings.md "
            "for a spelling mistake.",
        )
    else:
        yield Check("settings", GOOD, f"Pages at {settings.public_url}; data in {settings.data_dir}.")
    if settings.today:
        yield Check("today", LOOK, f"FORBEAR_TODAY pretends that it is {settings.today}.")
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    if not os.access(settings.data_dir, os.W_OK):
        yield Check("data folder", WRONG, f"{settings.data_dir} cannot be written. Give this user the right.")
    elif shutil.disk_usage(settings.data_dir).free < LITTLE_SPACE:
        yield Check("data folder", LOOK, f"Less than 500 MB are free in {settings.data_dir}. Make room.")
    else:
        yield Check("data folder", GOOD, f"{settings.data_dir} can be written.")
    made = "from the settings" if settings.token_keys else "kept in the data folder; back it up"
    yield Check("keys", GOOD, f"{len(connections.keys(settings).token_keys)} token key(s), {made}.")


def _database(engine: Engine, settings: Config) -> Check:
    where = sa.make_url(settings.database_url).render_as_string(hide_password=True)
    try:
        if not db.is_migrated(engine):
            return Check("database", WRONG, f"{where} lacks this version's tables. Run `forbear migrate`.")
    except SQLAlchemyError as problem:
        return Check(
            "database",
            WRONG,
            f"{where} does not answer ({type(problem).__name__}). Start it, or set FORBEAR_DATABASE_URL.",
        )
    return Check("database", GOOD, f"{where} answers and has this version's tables.")


def _queue(settings: Config) -> Check:
    where = settings.redis_url or "the embedded server in the data folder"
    try:
        embedded.redis(settings).ping()
    except Exception as problem:
        if not settings.redis_url:
            return Check("queue", LOOK, "The embedded server is not running; `forbear up` starts it.")
        return Check(
            "queue",
            WRONG,
            f"{where.rsplit('@', 1)[-1]} does not answer ({type(problem).__name__}). Start it, or set FORBEAR_REDIS_URL.",
        )
    return Check("queue", GOOD, "The queue's server answers.")


def _ledger(name: str, app: LedgerApp) -> Iterator[Check]:
    prefix = f"FORBEAR_{name.upper()}"
    if not app.configured:
        yield Check(
            name,
            LOOK,
            f"Not set up: {prefix}_CLIENT_ID and {prefix}_CLIENT_SECRET come from the ledger's developer portal.",
        )
        return
    if not app.webhook_key:
        word = "WEBHOOK_TOKEN" if name == "quickbooks" else "WEBHOOK_KEY"
        yield Check(
            f"{name} webhooks", LOOK, f"{prefix}_{word} is not set: changes arrive hourly, not at once."
        )
    try:
        answer = requests.get(app.discovery_url, timeout=TIMEOUT)
        answer.raise_for_status()
        answer.json()
    except (requests.RequestException, ValueError) as problem:
        yield Check(
            name,
            WRONG,
            f"{app.discovery_url} does not answer as it should ({type(problem).__name__}). Check the network "
            f"and {prefix}_DISCOVERY_URL.",
        )
        return
    yield Check(name, GOOD, "The ledger's sign-in address answers.")
    if skew := _skew(answer.headers.get("Date", "")):
        yield Check(
            "clock",
            WRONG,
            f"This machine's clock is {skew} away from the ledger's. Set it (NTP), or signing in will fail.",
        )


def _skew(header: str) -> dt.timedelta | None:
    """How far our clock is from theirs, None when close enough or unknown."""
    try:
        theirs = parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return None
    off = abs(db.now() - theirs)
    return off if off > SKEW else None


def _contents(engine: Engine, settings: Config) -> Iterator[Check]:
    now = db.now()
    with db.reading(engine) as tx:
        for connection in connections.every(tx):
            yield _connection(connection, now)
            failed = outbox.failures(tx, connection.id)
            if failed:
                yield Check(
                    connection.organization,
                    LOOK,
                    f"{len(failed)} write(s) were refused; the first says: {failed[0].error} "
                    "Look at them on the page, then try again.",
                )
            if half := [
                r.id for r in plans.of_connection(tx, connection.id) if r.progress in plans.UNDER_WAY
            ]:
                yield Check(
                    connection.organization,
                    LOOK,
                    f"{', '.join(half)} is being taken back. `forbear deliver` goes on with it.",
                )
        waiting = outbox.pending_connections(tx, now)
        yield Check(
            "pending work", GOOD, f"{len(waiting)} organization(s) have writes that could go out now."
        )
        unread = tx.scalar(sa.select(sa.func.count()).select_from(db.unread)) or 0
        if unread:
            yield Check(
                "webhooks",
                LOOK,
                f"{unread} signed message(s) could not be read and are kept. A newer version may read them.",
            )
        broken = audit.verify(tx)
    if broken:
        yield Check("audit log", WRONG, f"{broken[0]} Somebody changed the log behind Forbear's back.")
    else:
        yield Check("audit log", GOOD, "The log is whole.")


def _connection(connection: connections.Connection, now: dt.datetime) -> Check:
    name = connection.organization or connection.external_id
    if connection.status == "disconnected":
        return Check(name, GOOD, "Disconnected; its records are kept.")
    if connection.status != "connected":
        return Check(
            name, WRONG, connection.status_reason or "The permission ended. Reconnect it on its page."
        )
    if connection.last_sync_at is None:
        return Check(name, LOOK, "Connected, and not read yet. `forbear sync` reads it now.")
    age = now - connection.last_sync_at
    if age > dt.timedelta(hours=24):
        return Check(
            name,
            LOOK,
            f"Last read {connection.last_sync_at:%Y-%m-%d %H:%M} UTC; reminders rest. Is a worker running?",
        )
    return Check(name, GOOD, f"Connected, read {connection.last_sync_at:%Y-%m-%d %H:%M} UTC.")
