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

from connector import config, db, embedded, failures, platforms, waking
from connector.config import Config, LedgerApp, WrongSetting
from connector.connecting import connections, keys
from connector.customer_page import notices
from connector.domain.letters import unusable
from connector.mirroring import inbox
from connector.planning import plans
from connector.record import audit
from connector.writing import outbox

GOOD, LOOK, WRONG = "good", "look", "wrong"
SKEW = dt.timedelta(seconds=60)  # the ledgers refuse tokens from a clock that is much further off
TIMEOUT = 10
LATE = dt.timedelta(minutes=15)  # news that waits longer than this has nobody who reads it
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
    checks += [Check("languages", LOOK, f"{problem} The language is not used.") for problem in unusable()]
    engine = db.engine(settings)
    database = _database(engine, settings)
    checks.append(database)
    checks.append(_queue(settings))
    for name in platforms.names():
        app: LedgerApp | None = getattr(settings, name, None)  # a plugged-in ledger has settings of its own
        checks += list(_ledger(name, app)) if app else []
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
    yield _keys(settings)


def _keys(settings: Config) -> Check:
    count = len(keys.of(settings).token_keys)
    if settings.token_keys and settings.secret_key:
        return Check("keys", GOOD, f"{count} token key(s), from the settings.")
    if settings.database_url.startswith("sqlite"):
        return Check("keys", GOOD, f"{count} token key(s), kept in the data folder; back it up.")
    return Check(
        "keys",
        LOOK,
        "The database is on a server, but the keys were made in this machine's data folder: another machine, or "
        "this one after a new start on a hosting platform, cannot read the permissions. Set FORBEAR_SECRET_KEY "
        "and FORBEAR_TOKEN_KEYS (`forbear doctor --new-key` makes one).",
    )


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
    off = abs(db.now() - (theirs if theirs.tzinfo else theirs.replace(tzinfo=dt.UTC)))
    return off if off > SKEW else None


def _contents(engine: Engine, settings: Config) -> Iterator[Check]:
    now = db.now()
    with db.reading(engine) as tx:
        for connection in connections.every(tx):
            yield _connection(connection, now)
            for failure in failures.of(tx, connection.id):
                yield _failure(connection, failure)
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
        yield _pending(tx, now)
        if settings.smtp_url and (untold := notices.failing(tx)):
            yield Check(
                "e-mail",
                LOOK,
                f"{untold} bookkeeper(s) could not be told of answers at three tries and more. The log says why; "
                "check FORBEAR_SMTP_URL and FORBEAR_MAIL_FROM.",
            )
        unread = tx.scalar(sa.select(sa.func.count()).select_from(db.unread)) or 0
        if unread:
            yield Check(
                "webhooks",
                LOOK,
                f"{unread} signed message(s) of the last 90 days could not be understood, and are kept. The hourly look "
                "finds what they told of. Look whether there is a newer version of Forbear.",
            )
        broken = audit.verify(tx)
    yield from _rotation(engine, settings)
    yield from _set_aside(settings)
    if broken:
        yield Check("audit log", WRONG, f"{broken[0]} Somebody changed the log behind Forbear's back.")
    else:
        yield Check("audit log", GOOD, "The log is whole.")


def _pending(tx: sa.engine.Connection, now: dt.datetime) -> Check:
    """What the database says is waiting, and whether anybody sweeps it up."""
    i, w, c = db.inbox.c, db.writes.c, db.leases.c
    due = outbox.pending_connections(tx, now)
    news = inbox.pending_connections(tx)
    first = sa.type_coerce(sa.func.min(i.received_at), db.Moment())
    oldest = tx.scalar(sa.select(first).where(i.drained_at.is_(None), i.connection_id.in_(news)))
    writes = tx.scalar(sa.select(sa.func.count()).where(w.state.in_(("pending", "sending")))) or 0
    said = f"{writes} write(s) of {len(due)} organization(s) to go out, news of {len(news)} to read."
    if not (due or news):
        return Check("pending work", GOOD, "Nothing waits.")
    until = tx.scalar(sa.select(c.until).where(c.name == "clock"))
    if until is None or until < now:
        return Check("pending work", LOOK, f"{said} No clock runs; start `forbear clock` or `forbear up`.")
    if oldest is not None and now - oldest > LATE:
        return Check(
            "pending work", LOOK, f"{said} The oldest news came at {oldest:%H:%M} UTC. Is a worker running?"
        )
    return Check("pending work", GOOD, said)


_ROTATED = (
    "The first token key reads everything. An older one behind it can be dropped; a new one goes first as soon as every "
    "process knows it."
)


def _rotation(engine: Engine, settings: Config) -> Iterator[Check]:
    several = len(keys.of(settings).token_keys) > 1
    left, lost = keys.on_older_keys(engine, settings)
    if lost:
        yield Check(
            "permissions",
            WRONG,
            f"{lost} permission(s) cannot be read with the keys of this installation, so their organizations stand still. "
            "Put the earlier key back as the last one in FORBEAR_TOKEN_KEYS (or restore keys.json in the data folder), "
            "or connect those organizations again.",
        )
    if several and left > lost:
        yield Check(
            "rotation",
            LOOK,
            f"{left - lost} permission(s) still need an older key. The clock renews them within hours; keep it until then.",
        )
    elif several and not left:
        yield Check("rotation", GOOD, _ROTATED)


def _failure(connection: connections.Connection, failure: failures.Failure) -> Check:
    what = f"{failure.job} failed {failure.times} time(s) since {failure.first_at:%Y-%m-%d %H:%M} UTC ({failure.reason})"
    what = f"{what}; the log says more."
    name = connection.organization or connection.external_id
    if not failure.set_aside:
        return Check(name, LOOK, f"{what} It is tried again by itself.")
    return Check(name, WRONG, f"{what} It is set aside: “Try again” on the organization's page starts it.")


def _set_aside(settings: Config) -> Iterator[Check]:
    backlog = waking.backlog(settings)
    if backlog and backlog.set_aside:
        yield Check(
            "jobs",
            LOOK,
            f"{backlog.set_aside} job(s) of the last week ended with their process at every try; the log says "
            "why. What they were for is found again by the sweep.",
        )


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
