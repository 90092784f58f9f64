"""Tryton's dunning (`trytond-account-dunning`, a public package) on the same receivables and the same PostgreSQL.

Installed into an environment of its own under `var/peers`; nothing in this project depends on it. Tryton creates and
advances a dunning for each overdue line; it judges no customer, predicts nothing and writes no text.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import sqlalchemy as sa

from benchmarks.scaling import cpu
from connector import db

PACKAGES = ["trytond-account-dunning==8.2.0", "psycopg==3.3.9", "psycopg_pool==3.3.3"]
HOME = Path(__file__).resolve().parents[2] / "var" / "peers" / "tryton"
DATABASE = "tryton"


class NoPeer(Exception):
    """Tryton could not be installed or run; `str()` says why."""


def seconds(
    url: str, connection_ids: Sequence[str], nights: Sequence[dt.date]
) -> tuple[list[float], list[float]]:
    """How long Tryton takes for each night over all these organizations' invoices: by the clock, and CPU seconds of
    its process and the server's. Raises NoPeer."""
    python = _install()
    host = parse_qs(urlsplit(url).query)["host"][0]
    env = {k: v for k, v in os.environ.items() if not k.startswith("FORBEAR_")}
    env |= {"PGHOST": host, "PGUSER": "forbear", "TRYTOND_DATABASE_URI": "postgresql://"}
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as server:
        server.exec_driver_sql(f"DROP DATABASE IF EXISTS {DATABASE}")
        server.exec_driver_sql(f"CREATE DATABASE {DATABASE}")
    with tempfile.NamedTemporaryFile("w") as secret:
        secret.write("only-for-this-run")
        secret.flush()
        admin = [str(python.with_name("trytond-admin")), "-d", DATABASE, "-u", "account_dunning"]
        more = ["--activate-dependencies", "--email", "nobody@bench.example"]
        _run([*admin, *more], env | {"TRYTONPASSFILE": secret.name}, "")
    asked = {
        "invoices": _receivables(engine, connection_ids),
        "nights": [n.isoformat() for n in nights],
        "postmaster": cpu.postmaster(host),
    }
    engine.dispose()
    script = str(Path(__file__).with_name("tryton_run.py"))
    found: dict[str, Any] = json.loads(_run([str(python), script, DATABASE], env, json.dumps(asked)))
    return list(found["seconds"]), list(found["cpu_seconds"])


def _receivables(engine: sa.Engine, connection_ids: Sequence[str]) -> list[list[Any]]:
    i = db.invoices.c
    query = sa.select(i.connection_id, i.customer_id, i.date, i.due, i.total, i.balance)
    with engine.connect() as tx:
        return [
            [
                f"{r.connection_id} {r.customer_id}",
                r.date.isoformat(),
                r.due.isoformat(),
                r.total,
                not r.balance,
            ]
            for r in tx.execute(query.where(i.connection_id.in_(connection_ids)))
        ]


def _install() -> Path:
    python, done = HOME / "bin" / "python", HOME / ".complete"
    if not done.exists():
        venv.create(HOME, with_pip=True, clear=True)
        _run([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *PACKAGES], None, "")
        done.touch()
    return python


def _run(command: list[str], env: dict[str, str] | None, text: str) -> str:
    done = subprocess.run(command, env=env, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoPeer(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "it said nothing")
    return done.stdout
