"""For whoever runs the installation: is the process up, are its parts reachable, what are its figures."""

from __future__ import annotations

import redis
from flask import Blueprint, Response, current_app
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from sqlalchemy.exc import SQLAlchemyError

from connector import db, embedded
from web.metrics import Figures

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
    """Figures that the database and the queue know. No customer data."""
    registry = CollectorRegistry()
    registry.register(Figures(current_app.config["ENGINE"], current_app.config["FORBEAR"]))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
