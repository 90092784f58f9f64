"""Figures for Prometheus, from the database and the queue: every process and machine is counted, whoever is asked.

Counts, ages and sizes only: no name, no amount, no organization. deploy/alerts.yaml and deploy/dashboard.json use
these names.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from sqlalchemy.engine import Connection as Transaction
from sqlalchemy.engine import Engine

from connector import db, failures, waking
from connector.config import Config
from connector.connecting import budget

PREFIX = "forbear_"
STALE = dt.timedelta(hours=24)  # older books hold back reminders
HELD = (  # a phrase of the reason's sentence → its label; see domain.dunning
    ("in preview", "preview"),
    ("reminders of its own", "ledger_reminds"),
    ("A plan", "plan"),
    ("heard from us", "heard_already"),
    ("Messages leave on", "quiet_day"),
    ("policy lets no", "policy"),
    ("dispute", "dispute"),
    ("promised", "promise"),
    ("not read within", "stale_books"),
    ("our copy", "difference"),
    ("on record", "hold"),
    ("has died", "hold"),
    ("not to be contacted", "hold"),
    ("data protection", "hold"),
    ("n hold", "hold"),
    ("no longer in the", "gone"),
    ("not matched", "money_in_sight"),
    ("payment", "money_in_sight"),
    ("credit", "money_in_sight"),
)
# What nobody can do before somebody connects again waits without being late.
CONNECTED = sa.select(db.connections.c.id).where(db.connections.c.status == "connected")


class Figures:
    """A collector: reads everything when it is asked."""

    def __init__(self, engine: Engine, config: Config) -> None:
        self._engine, self._config = engine, config

    def collect(self) -> Iterator[Metric]:
        now = db.now()
        with db.reading(self._engine) as tx:
            yield from _connections(tx, now)
            yield from _inbox(tx, now)
            yield from _ledger_calls(tx, now, self._config.xero_tier)
            yield from _work(tx, now)
            yield from _trouble(tx)
            yield _seconds(
                "clock_lease_seconds", "Until the clock's lease ends; negative: no clock", _clock(tx, now)
            )
        yield from _queue(self._config)


def _gauge(name: str, what: str, labels: tuple[str, ...], rows: Any) -> GaugeMetricFamily:
    family = GaugeMetricFamily(PREFIX + name, what, labels=labels)
    for *values, figure in rows:
        family.add_metric([str(v) for v in values], float(figure or 0))
    return family


def _seconds(name: str, what: str, figure: float) -> GaugeMetricFamily:
    return _gauge(name, what, (), [(figure,)])


def _age(now: dt.datetime, moment: dt.datetime | None) -> float:
    return max(0.0, (now - moment).total_seconds()) if moment else 0.0


def _connections(tx: Transaction, now: dt.datetime) -> Iterator[Metric]:
    c = db.connections.c
    count = sa.func.count()
    query = sa.select(c.platform, c.status, count).group_by(c.platform, c.status)
    yield _gauge("connections", "Connections", ("platform", "status"), tx.execute(query))
    mine = sa.select(c.platform, count).where(c.status == "connected").group_by(c.platform)
    stale = mine.where(c.last_sync_at < now - STALE)
    yield _gauge("connections_stale", "Connected, not read for a day", ("platform",), tx.execute(stale))
    unread = mine.where(c.last_sync_at.is_(None))
    yield _gauge("connections_unread", "Connected, first sync not done", ("platform",), tx.execute(unread))
    oldest = (
        sa.select(c.platform, sa.type_coerce(sa.func.min(c.last_sync_at), db.Moment()))
        .where(c.status == "connected")
        .group_by(c.platform)
    )
    yield _gauge(
        "sync_lag_seconds",
        "Age of the books that were read longest ago",
        ("platform",),
        [(platform, _age(now, moment)) for platform, moment in tx.execute(oldest)],
    )


def _inbox(tx: Transaction, now: dt.datetime) -> Iterator[Metric]:
    i = db.inbox.c
    first = sa.type_coerce(sa.func.min(i.received_at), db.Moment())
    waiting = (i.drained_at.is_(None), i.connection_id.in_(CONNECTED))
    count, oldest = tx.execute(sa.select(sa.func.count(), first).where(*waiting)).one()
    yield _seconds("inbox_waiting", "Webhook changes that no sync has answered", count)
    yield _seconds("inbox_oldest_seconds", "Age of the oldest of them", _age(now, oldest))


def _ledger_calls(tx: Transaction, now: dt.datetime, xero_tier: str) -> Iterator[Metric]:
    k, c = db.calls.c, db.connections.c
    joined = db.calls.join(db.connections, k.connection_id == c.id)
    sums = (
        sa.select(
            c.platform, k.operation, sa.func.sum(k.calls), sa.func.sum(k.failed), sa.func.sum(k.bytes_in),
            sa.func.sum(k.bytes_out), sa.func.sum(k.seconds),
        )
        .select_from(joined)
        .group_by(c.platform, k.operation)
    )  # fmt: skip
    calls = CounterMetricFamily(PREFIX + "ledger_calls", "Calls", labels=("platform", "operation"))
    failed = CounterMetricFamily(
        PREFIX + "ledger_calls_failed", "Refused or lost", labels=("platform", "operation")
    )
    size = CounterMetricFamily(PREFIX + "ledger_bytes", "Bytes on the wire", labels=("platform", "direction"))
    spent = CounterMetricFamily(PREFIX + "ledger_seconds", "Seconds waited", labels=("platform",))
    total: Counter[tuple[str, str]] = Counter()
    for platform, operation, n, bad, into, out, seconds in tx.execute(sums):
        calls.add_metric([platform, operation], float(n))
        failed.add_metric([platform, operation], float(bad))
        total[platform, "in"] += int(into)
        total[platform, "out"] += int(out)
        total[platform, "seconds"] += seconds
    for (platform, what), figure in sorted(total.items()):
        if what == "seconds":
            spent.add_metric([platform], figure)
        else:
            size.add_metric([platform, what], figure)
    yield from (calls, failed, size, spent)
    today = (
        sa.select(c.platform, k.connection_id, sa.func.sum(k.calls).label("calls"))
        .select_from(joined)
        .where(k.day == now.date())
        .group_by(c.platform, k.connection_id)
        .subquery()
    )
    most = sa.select(today.c.platform, sa.func.max(today.c.calls)).group_by(today.c.platform)
    busiest = tx.execute(most).all()
    yield _gauge("ledger_calls_today_most", "Calls today of the busiest organization", ("platform",), busiest)
    limits = [(name, day) for name, _ in busiest if (day := budget.limits_of(name, xero_tier).day)]
    yield _gauge("ledger_calls_day_limit", "What the ledger allows one organization", ("platform",), limits)


def _work(tx: Transaction, now: dt.datetime) -> Iterator[Metric]:
    for name, table in (("writes", db.writes), ("plans", db.plans), ("reminders", db.reminders)):
        query = sa.select(table.c.state, sa.func.count()).group_by(table.c.state)
        yield _gauge(name, f"{name.capitalize()} by state", ("state",), tx.execute(query))
    w = db.writes.c
    due = (
        w.state.in_(("pending", "sending")),
        sa.or_(w.not_before.is_(None), w.not_before <= now),
        w.connection_id.in_(CONNECTED),
    )
    oldest = tx.scalar(sa.select(sa.type_coerce(sa.func.min(w.created_at), db.Moment())).where(*due))
    yield _seconds("writes_oldest_seconds", "Age of the oldest write that is due", _age(now, oldest))
    reasons: Counter[str] = Counter()
    for because in tx.scalars(sa.select(db.reminders.c.held_because).where(db.reminders.c.state == "held")):
        reasons.update({_label(sentence) for sentence in because or ()})
    yield _gauge("reminders_held", "Held reminders by reason", ("reason",), sorted(reasons.items()))


def _label(sentence: str) -> str:
    return next((label for phrase, label in HELD if phrase in sentence), "other")


def _trouble(tx: Transaction) -> Iterator[Metric]:
    for name, what, table in (
        ("records_set_aside", "Ledger records that could not be read", db.set_aside),
        ("balances_differing", "Balances that mirror and ledger do not agree on", db.differences),
        ("webhooks_unread", "Signed webhooks that could not be read", db.unread),
    ):
        yield _seconds(name, what, tx.scalar(sa.select(sa.func.count()).select_from(table)) or 0)
    stuck = sum(failures.set_aside(tx).values())
    yield _seconds("jobs_set_aside", "Jobs that wait for a person, because they failed every time", stuck)


def _clock(tx: Transaction, now: dt.datetime) -> float:
    until = tx.scalar(sa.select(db.leases.c.until).where(db.leases.c.name == "clock"))
    return (until - now).total_seconds() if until else -1.0


def _queue(config: Config) -> Iterator[Metric]:
    backlog = waking.backlog(config)
    yield _seconds("queue_up", "Whether the queue's server answers", backlog is not None)
    if backlog is not None:
        yield _seconds("queue_waiting", "Jobs that wait for a worker", backlog.waiting)
        yield _seconds(
            "queue_oldest_seconds", "How long the first of them has waited", backlog.oldest_seconds
        )
        yield _seconds("queue_workers", "Workers that were heard of lately", backlog.workers)
