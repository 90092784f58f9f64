"""The running sandbox: its log, faults, gzip, limits, control interface, what it keeps on disk, its command."""

from __future__ import annotations

import gzip
import json
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import pytest
import requests

from sandbox.clock import Clock
from sandbox.faults import Fault
from sandbox.limits import Limits, Window
from sandbox.organization import Platform
from sandbox.server import Server
from sandbox.world import World
from tests.sandbox.conftest import TODAY, a_company, connect

REALM = "9130000000000001"
TENANT = "5d7e0000-0000-4000-a000-000000000001"
COMPANIES = {"quickbooks": REALM, "xero": TENANT}
BOTH: tuple[Platform, ...] = ("quickbooks", "xero")


@pytest.fixture(autouse=True)
def companies(world: World) -> None:
    for platform in BOTH:
        a_company(world, platform)


def read_invoices(
    server: Server, platform: Platform, token: dict[str, str], **headers: str
) -> requests.Response:
    headers = {"Authorization": f"Bearer {token['access_token']}", "Accept": "application/json", **headers}
    if platform == "quickbooks":
        return requests.get(
            f"{server.url}/quickbooks/v3/company/{REALM}/query",
            params={"query": "select * from Invoice"}, headers=headers, timeout=120,
        )  # fmt: skip
    return requests.get(
        f"{server.url}/xero/api.xro/2.0/Invoices", headers={**headers, "xero-tenant-id": TENANT}, timeout=120
    )


@pytest.mark.parametrize("platform", BOTH)
def test_calls_are_logged_with_their_bytes_before_and_after_gzip(
    server: Server, world: World, platform: Platform
) -> None:
    token = connect(server, platform, COMPANIES[platform])
    requests.delete(server.url + "/control/requests", timeout=120)
    plain = read_invoices(server, platform, token, **{"Accept-Encoding": "identity"})
    zipped = read_invoices(server, platform, token, **{"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert "1001" in zipped.text
    log = requests.get(server.url + "/control/requests", timeout=120).json()
    first, second = log["calls"]
    assert (first["status"], first["company"], first["gzip"]) == (200, COMPANIES[platform], False)
    assert first["bytes_out"] == first["bytes_plain"] == len(plain.content)
    assert second["gzip"] is True
    assert second["bytes_out"] == int(zipped.headers["Content-Length"]) < second["bytes_plain"]
    [total] = log["totals"].values()
    assert total["calls"] == 2


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_dropped_before_or_after_the_commit(
    server: Server, world: World, platform: Platform, when: str
) -> None:
    token = connect(server, platform, COMPANIES[platform])
    world.faults.add(Fault(action="drop", when=when, platform=platform, method="POST", contains="Late Cafe"))  # type: ignore[arg-type]
    headers = {"Authorization": f"Bearer {token['access_token']}", "Accept": "application/json"}
    if platform == "quickbooks":
        path, body = f"/quickbooks/v3/company/{REALM}/customer", {"DisplayName": "Late Cafe"}
    else:
        path, body = "/xero/api.xro/2.0/Contacts", {"Contacts": [{"Name": "Late Cafe"}]}  # type: ignore[dict-item]
        headers["xero-tenant-id"] = TENANT
    with pytest.raises(requests.ConnectionError):
        requests.post(server.url + path, json=body, headers=headers, timeout=120)
    ledger = world.companies[COMPANIES[platform]]
    assert (ledger.customer_by_name("Late Cafe") is not None) == (when == "after")
    assert read_invoices(server, platform, token).status_code == 200


@pytest.mark.parametrize("platform", BOTH)
def test_statuses_strike_in_the_platforms_own_words_after_some_pass(
    server: Server, world: World, platform: Platform
) -> None:
    token = connect(server, platform, COMPANIES[platform])
    fault = {"action": "status", "status": 503, "platform": platform, "skip": 1, "times": 2}
    requests.post(server.url + "/control/faults", json=fault, timeout=120)
    statuses = [read_invoices(server, platform, token).status_code for _ in range(4)]
    assert statuses == [200, 503, 503, 200]
    body = {"action": "body", "body": "<html>proxy</html>", "platform": platform}
    requests.post(server.url + "/control/faults", json=body, timeout=120)
    strange = read_invoices(server, platform, token)
    assert (strange.status_code, strange.text) == (200, "<html>proxy</html>")


def test_limits_refuse_by_their_windows_and_say_what_is_left() -> None:
    limits = Limits()
    limits.now = lambda: 1_800_000_000.0
    limits.windows["xero"] = [
        Window("minute", 3, 60),
        Window("day", 5000, 86400),
        Window("appminute", 10000, 60, "all"),
    ]
    assert [limits.take("xero", "t") for _ in range(3)] == [None, None, None]
    refused = limits.take("xero", "t")
    assert refused is not None
    assert refused.problem == "minute"
    assert refused.retry_after is not None
    assert 1 <= refused.retry_after <= 60
    assert limits.take("xero", "other") is None
    left = limits.remaining("xero", "t")
    assert (left["X-MinLimit-Remaining"], left["X-DayLimit-Remaining"]) == ("0", "4997")
    limits.reset()
    assert limits.take("xero", "t") is None
    with ExitStack() as running:
        for _ in range(5):
            running.enter_context(limits.slot("xero", "busy"))
        assert limits.take("xero", "busy") == ("concurrent", None)
    assert limits.take("xero", "busy") is None
    limits.unthrottled = True
    assert limits.take("xero", "busy") is None


def test_ten_calls_a_second_at_intuit(server: Server, world: World) -> None:
    token = connect(server, "quickbooks", REALM)
    world.limits.now = lambda: 1_800_000_000.0
    statuses = [read_invoices(server, "quickbooks", token).status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]


def test_control_reads_and_acts(server: Server, world: World) -> None:
    base = f"{server.url}/control/companies/{REALM}"
    [invoice] = requests.get(base + "/documents", params={"number": "1001"}, timeout=120).json()
    assert (invoice["kind"], invoice["balance"]) == ("invoice", 115000)
    paid = requests.post(
        base + "/act",
        json={"act": "pay", "invoice": invoice["id"], "amount": 30000, "day": "2026-09-20"},
        timeout=120,
    )
    assert paid.status_code == 200
    cash = requests.get(base + "/trial-balance", params={"basis": "cash"}, timeout=120).json()
    rows = {row["role"]: (row["balance"], row["months"]) for row in cash["accounts"]}
    assert rows["sales"] == (-26087, {"2026-09": -26087})
    assert rows["tax"] == (-3913, {"2026-09": -3913})
    aged = requests.get(base + "/aged", timeout=120).json()
    assert aged["totals"] == {"USD": {"open": 85000, "overdue": 85000, "unapplied": 0, "total": 85000}}
    too_much = requests.post(
        base + "/act", json={"act": "credit", "invoice": invoice["id"], "amount": 85001}, timeout=120
    )
    assert (too_much.status_code, too_much.json()["refusal"]) == (409, "WrongAmount")
    requests.post(base + "/act", json={"act": "close", "until": "2026-10-31"}, timeout=120)
    closed = requests.post(
        base + "/act", json={"act": "void", "kind": "invoice", "id": invoice["id"]}, timeout=120
    )
    assert closed.json()["refusal"] == "LockedPeriod"
    assert requests.post(base + "/act", json={"act": "dance"}, timeout=120).status_code == 400
    assert requests.get(f"{server.url}/control/companies/none/aged", timeout=120).status_code == 404
    assert world.companies[REALM].organization.closed_until == date(2026, 10, 31)


def test_a_books_file_can_be_handed_in_while_running(server: Server) -> None:
    books = {
        "format": "books/1", "company": {"id": "later", "name": "Later Ltd", "home_currency": "GBP"},
        "customers": [{"id": "a", "name": "Anna"}],
        "invoices": [{"id": "i", "number": "7", "customer_id": "a", "issue_date": "2026-10-01", "due_date": "2026-10-31", "currency": "GBP", "total_cents": 999}],
    }  # fmt: skip
    made = requests.post(f"{server.url}/control/companies?platform=both", json=books, timeout=120)
    assert made.status_code == 201
    assert [c["platform"] for c in made.json()] == ["quickbooks", "xero"]
    del books["company"]["name"]  # type: ignore[attr-defined]
    refused = requests.post(f"{server.url}/control/companies", json=books, timeout=120)
    assert refused.status_code == 400
    assert "company.name" in refused.json()["error"]


def test_the_clock_can_be_set_and_moved(server: Server, world: World) -> None:
    url = server.url + "/control/clock"
    assert requests.get(url, timeout=120).json()["today"] == "2026-11-21"
    assert requests.post(url, json={"advance_days": 31}, timeout=120).json()["today"] == "2026-12-22"
    requests.post(url, json={"now": "2027-02-28T23:30:00+00:00", "frozen": True}, timeout=120)
    assert world.clock.today("Europe/London") == date(2027, 2, 28)
    assert world.clock.today("Pacific/Auckland") == date(2027, 3, 1)
    first, second = world.clock.stamp(), world.clock.stamp()
    assert second > first


def test_everything_continues_from_disk(server: Server, world: World, tmp_path: Path) -> None:
    token = connect(server, "xero", TENANT)
    ledger = world.companies[TENANT]
    before = len(ledger.invoices)
    world.set_switch("xero.note_limit", 250)
    world.save(tmp_path)
    again = World(Clock(TODAY))
    assert again.restore(tmp_path)
    assert len(again.companies[TENANT].invoices) == before
    assert again.switch("xero.note_limit") == 250
    with Server(again) as continued:
        assert read_invoices(continued, "xero", token).status_code == 200
    assert not World().restore(tmp_path / "nothing")


def run(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_command_serves_keeps_and_ends(tmp_path: Path) -> None:
    for invoices in (None, "kept"):
        process = run("--today", "2026-11-21", "--state", str(tmp_path), "--unthrottled")
        assert process.stdout is not None
        found = re.match(r"sandbox: (http://127\.0\.0\.1:\d+)  \(4 companies\)", process.stdout.readline())
        assert found is not None
        companies = requests.get(found[1] + "/control/companies", timeout=120).json()
        act = f"{found[1]}/control/companies/{companies[0]['id']}/act"
        if invoices is None:
            requests.post(act, json={"act": "customer", "name": "Kept Cafe"}, timeout=120)
        else:
            again = requests.post(act, json={"act": "customer", "name": "Kept Cafe"}, timeout=120)
            assert again.json()["refusal"] == "DuplicateName"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=120) == 0
        process.communicate()


def test_the_command_refuses_what_it_cannot_use(tmp_path: Path) -> None:
    broken = tmp_path / "books.jsonl.gz"
    broken.write_bytes(gzip.compress(json.dumps({"format": "books/2"}).encode()))
    for arguments, words in (
        (("--books", str(broken)), "line 1.format"),
        (("--webhooks", "sage=http://x"), "write quickbooks=URL or xero=URL"),
    ):
        process = run(*arguments)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 2
        assert words in errors
        assert "Traceback" not in errors
