"""For whoever runs the installation: is the process up, are its parts reachable, what are its figures."""

from __future__ import annotations

import redis
from flask import Blueprint, Response, current_app
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from connector import db, embedded

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def process() -> tuple[dict[str, str], int]:
    return {"status": "up"}, 200


@blueprint.get("/readyz")
def parts() -> tuple[dict[str, str], int]:
    """Database, its migrations, and Redis; 503 names what is missing."""
    state = {}
    engine = current_app.config["ENGINE"]
    try:
        state["database"] = "ok" if db.is_migrated(engine) else "needs `forbear migrate`"
    except SQLAlchemyError:
        state["database"] = "not reachable"
    try:
        embedded.redis(current_app.config["FORBEAR"]).ping()
        state["redis"] = "ok"
    except (redis.RedisError, OSError):
        state["redis"] = "not reachable"
    return state, 200 if set(state.values()) == {"ok"} else 503


@blueprint.get("/metrics")
def metrics() -> Response:
    """Figures that the database knows, so that every process and machine is counted. No customer data."""
    registry = CollectorRegistry()
    connected = Gauge(
        "forbear_connections", "Connections by status", ["platform", "status"], registry=registry
    )
    writes = Gauge("forbear_writes", "Intended writes by state", ["state"], registry=registry)
    plans = Gauge("forbear_plans", "Plans by state", ["state"], registry=registry)
    held = Gauge("forbear_reminders", "Reminders by state", ["state"], registry=registry)
    waiting = Gauge("forbear_inbox_waiting", "Webhook changes not yet read", registry=registry)
    calls = Gauge("forbear_ledger_calls", "Ledger calls by operation", ["operation"], registry=registry)
    size = Gauge("forbear_ledger_bytes", "Bytes from and to the ledgers", ["direction"], registry=registry)
    with db.reading(current_app.config["ENGINE"]) as tx:
        c = db.connections.c
        for platform, status, count in tx.execute(
            select(c.platform, c.status, func.count()).group_by(c.platform, c.status)
        ):
            connected.labels(platform, status).set(count)
        for gauge, table in ((writes, db.writes), (plans, db.plans), (held, db.reminders)):
            for state, count in tx.execute(select(table.c.state, func.count()).group_by(table.c.state)):
                gauge.labels(state).set(count)
        waiting.set(
            tx.scalar(select(func.count()).select_from(db.inbox).where(db.inbox.c.drained_at.is_(None))) or 0
        )
        sums = select(db.calls.c.operation, func.sum(db.calls.c.calls)).group_by(db.calls.c.operation)
        for operation, count in tx.execute(sums):
            calls.labels(operation).set(count)
        into, out = tx.execute(select(func.sum(db.calls.c.bytes_in), func.sum(db.calls.c.bytes_out))).one()
        size.labels("in").set(into or 0)
        size.labels("out").set(out or 0)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
