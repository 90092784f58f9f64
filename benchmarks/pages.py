"""What the bookkeeper's pages cost and whether they work: server time by size of the books, weight, a throttled
phone, Lighthouse, the browser tests' journeys, accessibility, checkpoints shown.

Ends with one line of JSON. A figure that was not measured on this machine is null.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa
from flask.sessions import SecureCookieSessionInterface

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from benchmarks.browsing import journeys, lighthouse, phone  # noqa: E402
from connector import config, db  # noqa: E402
from connector.connecting import connections  # noqa: E402
from connector.platforms import Identity  # noqa: E402
from connector.practice import people  # noqa: E402
from connector.reviewing import history, review  # noqa: E402
from web import create_app  # noqa: E402

TODAY = dt.date(2026, 11, 18)
SMALL, LARGE = 1_000, 20_000 if os.environ.get("QUICK") else 200_000
OPEN_SHARE = 40  # one invoice in so many is open: 5,000 of 200,000
ROUNDS = 7
DOCS = ROOT / "docs"
CHROMIUM = "/usr/bin/chromium"


def books(tx: sa.Connection, count: int, open_share: int = OPEN_SHARE) -> None:
    """An organization with `count` invoices, one in `open_share` open, 40 to a customer."""
    tx.execute(
        sa.insert(db.connections).values(
            id="bench", platform="quickbooks", external_id="bench", organization="Bench Provisions",
            home_currency="USD", country="US", timezone="America/New_York", created_at=db.now(),
            last_sync_at=db.now(), last_review_on=TODAY,
            facts={"id": "bench", "name": "Bench Provisions", "country": "US", "home_currency": "USD", "timezone": "America/New_York"},
        )
    )  # fmt: skip
    people_ = [
        {"connection_id": "bench", "id": f"c{n}", "name": f"Customer {n}", "seen": 1}
        for n in range(count // 40)
    ]
    tx.execute(sa.insert(db.customers), people_)
    rows: list[dict[str, Any]] = []
    for n in range(count):
        due = TODAY - dt.timedelta(days=n % 700 - 20)
        unpaid = n % open_share == 0
        rows.append(
            {
                "connection_id": "bench", "id": f"i{n}", "number": str(n), "customer_id": f"c{n // 40}",
                "date": due - dt.timedelta(days=30), "due": due, "currency": "USD", "total": 10_000,
                "balance": 10_000 if unpaid else 0, "status": "open" if unpaid else "paid", "seen": 1,
            }
        )  # fmt: skip
    for start in range(0, count, 20_000):
        tx.execute(sa.insert(db.invoices), rows[start : start + 20_000])


def measure(count: int) -> tuple[float, float]:
    """(p95 in milliseconds over all pages and rounds, the largest page in KB as sent)."""
    with tempfile.TemporaryDirectory() as folder:
        settings = config.load({"FORBEAR_DATA_DIR": folder, "FORBEAR_TODAY": TODAY.isoformat()} | _LOCAL)
        db.migrate(settings)
        engine = db.engine(settings)
        with db.transaction(engine) as tx:
            books(tx, count)
            person = people.sign_in(tx, Identity("bench", "1", "bench@firm.example", True, "Bench"), db.now())
            people.grant(tx, person.id, "bench", "configure", by="bench", now=db.now())
            key = people.start_session(tx, person.id, db.now())
        review.review(engine, "bench", now=db.now(), today=TODAY)  # of everyone: findings and drafts grow too
        with db.transaction(engine) as tx:
            history.keep(tx, history.missing(tx, "bench", TODAY))
            assert connections.get(tx, "bench").organization
        client = create_app(settings, engine).test_client()
        with client.session_transaction() as session:
            session["key"] = key
        times, largest = [], 0.0
        for name, page in _pages().items():
            own = []
            for _ in range(ROUNDS):
                began = time.perf_counter()
                answer = client.get(page, headers={"Accept-Encoding": "gzip"})
                own.append(1000 * (time.perf_counter() - began))
                assert answer.status_code == 200, (page, answer.status_code)
            times += own[1:]  # the first fills caches
            largest = max(largest, len(answer.data) / 1000)
            print(f"  {count:>7} invoices  {name:<14} {statistics.median(own[1:]):7.1f} ms")
        engine.dispose()
    return statistics.quantiles(times, n=20)[-1], largest


def in_browser() -> dict[str, float | None]:
    """The organization's page with 5,000 open invoices, from a server of its own, in Chromium."""
    nothing: dict[str, float | None] = dict.fromkeys(
        ("first_render_ms", "blocking_ms", "shift", "first_visit_kb")
    )
    if not Path(CHROMIUM).exists():
        return nothing | dict.fromkeys(lighthouse.CATEGORIES)
    with tempfile.TemporaryDirectory() as folder, socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
        trial.close()
        environment = {
            "FORBEAR_DATA_DIR": folder,
            "FORBEAR_TODAY": TODAY.isoformat(),
            "PORT": str(port),
        } | _LOCAL
        settings = config.load(environment)
        db.migrate(settings)
        engine = db.engine(settings)
        with db.transaction(engine) as tx:
            books(tx, 20_000, open_share=4)
            person = people.sign_in(tx, Identity("bench", "1", "bench@firm.example", True, "Bench"), db.now())
            people.grant(tx, person.id, "bench", "configure", by="bench", now=db.now())
            key = people.start_session(tx, person.id, db.now())
        review.review(engine, "bench", now=db.now(), today=TODAY)
        with db.transaction(engine) as tx:
            history.keep(tx, history.missing(tx, "bench", TODAY))
        app = create_app(settings, engine)
        signer = SecureCookieSessionInterface().get_signing_serializer(app)
        assert signer
        cookie = f"forbear={signer.dumps({'key': key})}"
        kept = {k: v for k, v in os.environ.items() if not k.startswith("FORBEAR_")}
        server = subprocess.Popen(
            [sys.executable, "-m", "connector", "web"], env=kept | environment, cwd=ROOT,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            url = f"http://localhost:{port}/organizations/bench"
            _wait(port)
            return {**phone.measure(url, cookie, CHROMIUM), **lighthouse.scores(url, cookie, CHROMIUM)}
        finally:
            server.terminate()
            server.wait(10)
            engine.dispose()


def _wait(port: int) -> None:
    for _ in range(100):
        try:
            if requests.get(f"http://localhost:{port}/healthz", timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.2)
    raise SystemExit("The pages did not come up.")


_LOCAL = {
    f"FORBEAR_{name}_{part}": "http://localhost:1"
    for name in ("QUICKBOOKS", "XERO")
    for part in ("API_URL", "DISCOVERY_URL")
}


def _pages() -> dict[str, str]:
    home = "/organizations/bench"
    return {
        "practice": "/", "organization": home, "customers": f"{home}/customers", "customer": f"{home}/customers/c1",
        "plans": f"{home}/plans", "written": f"{home}/written", "settings": f"{home}/settings", "queue": "/queue",
        "record": "/record",
    }  # fmt: skip


def checkpoints(title: str) -> tuple[int, int]:
    """(shown by a test or page, in all) of one marketplace's table in docs/marketplace.md."""
    text = (DOCS / "marketplace.md").read_text().split(f"## {title}")[1].split("\n## ")[0]
    rows = [line for line in text.splitlines() if re.match(r"\| [A-Z0-9]", line) and "asked for" not in line]
    return sum("by hand" not in r or "page" in r or "test" in r.lower() for r in rows), len(rows)


def clicks() -> int:
    rows = re.findall(r"^\| \d+ \|.*\| (\d+) \|$", (DOCS / "usability.md").read_text(), re.MULTILINE)
    return max(int(r) for r in rows)


def main() -> None:
    print("Server time per page, in this process, SQLite, one reader.")
    small, _ = measure(SMALL)
    large, weight = measure(LARGE)
    intuit, xero = checkpoints("Intuit app store"), checkpoints("Xero app store")
    print(
        "The organization's page with 5,000 open invoices, in Chromium; first a throttled phone, then Lighthouse."
    )
    seen = in_browser()
    print(f"  {seen}")
    print("The browser tests.")
    passed, total, violations = journeys.count()
    figures = {
        "journeys_passed": passed, "journeys_total": total, "axe_violations": violations,
        "lighthouse_performance": seen["performance"], "lighthouse_accessibility": seen["accessibility"],
        "lighthouse_best_practices": seen["best-practices"], "first_render_ms": seen["first_render_ms"],
        "first_visit_kb": seen["first_visit_kb"],
        "largest_page_kb": round(weight, 1), "server_p95_ms_1k": round(small, 1),
        "server_p95_ms_200k": round(large, 1) if LARGE == 200_000 else None, "tasks_clicks_max": clicks(),
        "checkpoints_shown_intuit": intuit[0], "checkpoints_total_intuit": intuit[1],
        "checkpoints_shown_xero": xero[0], "checkpoints_total_xero": xero[1],
    }  # fmt: skip
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
