"""What the demo starts: the pretend ledgers as a process, and the environment of everything else."""

from __future__ import annotations

import datetime as dt
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connector import config as environment
from connector import embedded
from connector.config import Config
from connector.demo.waiting import PATIENCE, DemoFailed, answers
from connector.mirroring import books_file


def free_port(wanted: int = 0) -> int:
    """`wanted` when nobody has it, else any free one."""
    for port in (wanted, 0):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(trial.getsockname()[1])
    raise DemoFailed("No port is free on this machine.")


def pretend_day(file: Path | None) -> dt.date:
    """The day the demo plays on: the books' own last day, else the last Tuesday to Thursday, when messages leave."""
    if asked := os.environ.get("FORBEAR_TODAY"):
        return dt.date.fromisoformat(asked)
    if file:
        last = [c.company.as_of or c.company.last_date for c in books_file.companies(file)]
        return max(day for day in last if day)
    day = dt.date.today()  # noqa: DTZ011  the machine's own day is the natural one for a demo
    while day.weekday() not in (1, 2, 3):
        day -= dt.timedelta(days=1)
    return day


@contextmanager
def sandbox(folder: Path, file: Path | None, today: dt.date, web_port: int) -> Iterator[str]:
    """The pretend ledgers as a process of their own; yields their address."""
    kept = folder / "sandbox-port"  # the same address again, so that what was kept still fits
    port = free_port(int(kept.read_text()) if kept.exists() else 0)
    kept.write_text(str(port))
    command = [sys.executable, "-m", "sandbox", "--port", str(port), "--today", today.isoformat()]
    command += ["--state", str(folder / "sandbox"), "--unthrottled"]
    if file:
        command += ["--books", str(file)]
    for platform in ("quickbooks", "xero"):
        command += ["--webhooks", f"{platform}=http://localhost:{web_port}/webhooks/{platform}"]
    parent = os.getpid()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: embedded.die_with_parent(parent=parent),  # noqa: PLW1509  single-threaded here
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + PATIENCE
        while not answers(f"{url}/control/companies"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise DemoFailed("The pretend ledgers did not start; their own message stands above.")
            time.sleep(0.1)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def pointed_at(sandbox: str) -> dict[str, str]:
    """The settings that point an installation at the pretend ledgers of this address, with the app they know."""
    found = {}
    for name, page, key in (
        ("quickbooks", "openid_configuration", "WEBHOOK_TOKEN"),
        ("xero", "openid-configuration", "WEBHOOK_KEY"),
    ):
        prefix = f"FORBEAR_{name.upper()}"
        found[f"{prefix}_DISCOVERY_URL"] = f"{sandbox}/{name}/.well-known/{page}"
        found[f"{prefix}_API_URL"] = f"{sandbox}/{name}"
        found[f"{prefix}_CLIENT_ID"] = "sandbox-app"
        found[f"{prefix}_CLIENT_SECRET"] = "sandbox-secret"
        found[f"{prefix}_{key}"] = "sandbox-webhook-key"
    return found


def settings_of(folder: Path, sandbox: str, web_port: int, today: dt.date) -> Config:
    """The environment of every process of the demo, ours included."""
    ours = {
        "FORBEAR_DATA_DIR": str(folder),
        "FORBEAR_PUBLIC_URL": f"http://localhost:{web_port}",
        "PORT": str(web_port),
        "FORBEAR_TODAY": today.isoformat(),
        "FORBEAR_BUDGETS": "off",  # this sandbox knows no limits, and nobody should wait for them
        **pointed_at(sandbox),
    }
    for name in [n for n in os.environ if n.startswith("FORBEAR_")]:
        del os.environ[name]  # a real ledger's keys have no business in a demo
    os.environ.update(ours)
    return environment.load()
