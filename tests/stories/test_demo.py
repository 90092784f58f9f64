"""The demo, as a newcomer runs it: real processes, real HTTP, real SDKs, a real queue. One run serves all tests.

1. Both ledgers connect, every invoice and balance agrees, one plan each is written and moves nothing.
2. A customer pays in the pretend ledger: a signed webhook arrives, and the plan moves by itself.
3. Ctrl-C ends everything that was started; `--keep` goes on where it ended.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from tests.connector.servers import alive, free_port

PATIENCE = 240


@dataclass
class Demo:
    process: subprocess.Popen[bytes]
    folder: Path
    report: dict[str, Any]
    port: int

    @property
    def sandbox(self) -> str:
        return f"http://127.0.0.1:{(self.folder / 'demo' / 'sandbox-port').read_text()}"

    def rows(self, query: str, **values: Any) -> list[Any]:
        engine = sa.create_engine(f"sqlite:///{self.folder / 'demo' / 'forbear.sqlite3'}")
        try:
            with engine.connect() as connection:
                return list(connection.execute(sa.text(query), values))
        finally:
            engine.dispose()

    def company(self, platform: str, mode: str) -> dict[str, Any]:
        return next(
            c for c in self.report["companies"] if c["platform"] == platform and c["plan"].get("mode") == mode
        )


def _start(folder: Path, port: int, *more: str) -> subprocess.Popen[bytes]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FORBEAR_")}
    environment |= {"FORBEAR_DATA_DIR": str(folder), "PORT": str(port), "PYTHONUNBUFFERED": "1"}
    with (folder / "report.json").open("wb") as out, (folder / "said.txt").open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "connector", "demo", "--json", *more],
            env=environment,
            stdout=out,
            stderr=said,
            start_new_session=True,
        )


def _report(process: subprocess.Popen[bytes], folder: Path) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            found: dict[str, Any] = json.loads((folder / "report.json").read_text())
            return found
        except ValueError:
            if process.poll() is not None:
                break
            time.sleep(0.3)
    raise AssertionError(f"no report; it said: {(folder / 'said.txt').read_text()[-2000:]}")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder, port = tmp_path_factory.mktemp("demo"), free_port()
    process = _start(folder, port)
    try:
        yield Demo(process, folder, _report(process, folder), port)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(120)


def _eventually(what: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def test_every_invoice_and_balance_agrees_with_both_ledgers(demo: Demo) -> None:
    assert demo.report["agrees"]
    assert {c["platform"] for c in demo.report["companies"]} == {"quickbooks", "xero"}
    for company in demo.report["companies"]:
        assert company["documents"]["served"] > 50
        assert company["documents"]["equal"], company
        assert company["balances"]["equal"], company
        assert company["findings"].get("overdue", 0) >= 1
        assert company["findings"].get("partly_paid", 0) >= 1


@pytest.mark.parametrize("platform", ["quickbooks", "xero"])
def test_a_plan_is_written_and_nothing_moves(demo: Demo, platform: str) -> None:
    for mode in ("split", "notes"):  # the accrual company and the one on cash
        plan = demo.company(platform, mode)["plan"]
        assert plan["written"], plan
        assert plan["drift"] == []
        assert plan["installments"] >= 2


@pytest.mark.parametrize("platform", ["quickbooks", "xero"])
def test_a_reminder_is_written_as_a_note(demo: Demo, platform: str) -> None:
    company = demo.company(platform, "split")
    assert company["reminders"].get("noted", 0) >= 1
    url = f"{demo.sandbox}/control/companies/{company['external_id']}/documents?kind=invoice"
    # Xero keeps notes as history, QuickBooks as attachments without a file.
    remarks = [r for d in requests.get(url, timeout=60).json() for r in (*d["notes"], *d["attachments"])]
    assert any("Reminder (" in json.dumps(remark) for remark in remarks)


@pytest.mark.parametrize("platform", ["quickbooks", "xero"])
def test_a_payment_in_the_ledger_moves_the_plan_by_itself(demo: Demo, platform: str) -> None:
    plan = demo.company(platform, "split")["plan"]
    number = int(plan["id"].removeprefix("PP-"))
    query = (
        "select invoice_id, amount, open from installments where plan = :p and n = 1 order by version desc"
    )
    invoice, amount, still_open = demo.rows(query, p=number)[0]
    assert still_open == amount
    act = {"act": "pay", "invoice": invoice}
    company = demo.company(platform, "split")["external_id"]
    answer = requests.post(f"{demo.sandbox}/control/companies/{company}/act", json=act, timeout=120)
    assert answer.ok, answer.text
    assert _eventually(lambda: demo.rows(query, p=number)[0][2] == 0), "the plan did not move"


def test_webhooks_are_answered_as_the_ledgers_want(demo: Demo) -> None:
    """Forged: 401, no body, no cookie."""
    for platform, header in (("quickbooks", "intuit-signature"), ("xero", "x-xero-signature")):
        url = f"http://localhost:{demo.port}/webhooks/{platform}"
        answer = requests.post(url, data=b'{"events":[]}', headers={header: "forged"}, timeout=120)
        assert (answer.status_code, answer.content, dict(answer.cookies)) == (401, b"", {})
        assert "set-cookie" not in answer.headers


def test_the_installation_says_that_it_is_well(demo: Demo) -> None:
    base = f"http://localhost:{demo.port}"
    assert requests.get(f"{base}/healthz", timeout=120).ok
    assert requests.get(f"{base}/readyz", timeout=120).json() == {"database": "ok", "redis": "ok"}
    assert "forbear_connections" in requests.get(f"{base}/metrics", timeout=120).text


def _family(root: int) -> set[int]:
    """Every process that the demo started, by the parents that the system tells."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
    found = {root}
    while more := {p for p, parent in parents.items() if parent in found} - found:
        found |= more
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc, as Linux has it")
def test_ctrl_c_ends_everything_and_keep_goes_on(demo: Demo) -> None:
    started = _family(demo.process.pid)
    assert len(started) >= 6  # sandbox, queue, web, two workers, clock
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(120) == 0
    assert _eventually(lambda: not [p for p in started if alive(p)], 20)

    before = demo.rows("select number, state from plans where state = 'running' order by number")
    again = _start(demo.folder, demo.port, "--keep", "--once")
    assert again.wait(PATIENCE) == 0, (demo.folder / "said.txt").read_text()[-2000:]
    after = demo.rows("select number, state from plans where state = 'running' order by number")
    assert after == before
    assert json.loads((demo.folder / "report.json").read_text())["agrees"]
