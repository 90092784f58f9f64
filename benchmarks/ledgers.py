"""Calls, bytes, speed and memory of the two ledgers' mirrors, the scripted year, and the peers beside them.

`make bench NAME=ledgers`; QUICK=1 for a form of about a minute. Method and last figures: docs/performance.md.
The last line is one JSON object. Piece by piece, each adding to what the others found in `var/ledgers.json`:

    python benchmarks/ledgers.py quickbooks        calls, bytes and speed beside the peer; the same for xero
    python benchmarks/ledgers.py memory            peak memory of both
    python benchmarks/ledgers.py years 1 2 3       scripted years with these seeds, on both; without seeds, all
    python benchmarks/ledgers.py contract          requests outside the contracts
    python benchmarks/ledgers.py figures           only what is known: the last line, null where nothing is
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import math
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from benchmarks.ledger import company, peers, year  # noqa: E402
from benchmarks.ledger.consent import consent  # noqa: E402
from connector import config, db  # noqa: E402
from connector.demo.installing import pointed_at  # noqa: E402
from connector.domain.receivables import Kind  # noqa: E402
from connector.mirroring import inbox  # noqa: E402
from connector.mirroring.sync import sync  # noqa: E402

PLATFORMS = ("quickbooks", "xero")
PAGE = 1000  # rows that either ledger gives in one answer


@dataclass(frozen=True)
class Form:
    """How much is measured. Invoices for calls and speed, for small and large memory; runs of each speed."""

    invoices: int = 100_000
    small: int = 10_000
    large: int = 200_000
    runs: int = 3
    peer_runs: int = 2  # it takes ten times as long, and varies less
    year_changes: int = 20_000
    year_seeds: int = 10
    gated: tuple[str, ...] = ("tests/adapters", "tests/webhooks", "tests/stories/test_plan_example.py")


FULL = Form()
QUICK = Form(
    invoices=2_000,
    small=1_000,
    large=4_000,
    runs=1,
    peer_runs=1,
    year_changes=200,
    year_seeds=1,
    gated=("tests/adapters/test_contract.py",),
)


def say(sentence: str) -> None:
    print(f"{dt.datetime.now():%H:%M:%S} {sentence}", flush=True)


# ---------------------------------------------------------------- the pretend ledger and our processes


@contextmanager
def process(*command: str) -> Iterator[str]:
    """A child that prints its address first; the address."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert child.stdout is not None
        yield next(word for word in child.stdout.readline().split() if word.startswith("http"))
    finally:
        child.terminate()
        child.wait(30)


@contextmanager
def ledger(folder: Path, platform: str, invoices: int) -> Iterator[tuple[str, dict[str, int]]]:
    """A sandbox with one company of this size, in a process of its own: its address and its records."""
    books = folder / f"{platform}-{invoices}.jsonl"
    records = _child("-m", "benchmarks.ledger.company", str(books), str(invoices))
    options = ["--books", str(books), "--platform", platform, "--unthrottled", "--today", str(company.TODAY)]
    with process(sys.executable, "-m", "sandbox", *options) as url:
        yield url, records
    books.unlink()


def environment(discovery: str, api: str, data: Path) -> dict[str, str]:
    """Settings that point the product at pretend ledgers."""
    there = {f"FORBEAR_{name.upper()}_API_URL": f"{api}/{name}" for name in ("quickbooks", "xero")}
    return {"FORBEAR_DATA_DIR": str(data), "FORBEAR_BUDGETS": "off", **pointed_at(discovery), **there}


def first_sync(
    folder: Path, platform: str, discovery: str, api: str, company_id: str
) -> tuple[dict[str, Any], Path]:
    """A first sync in a process of its own; its figures, and its data folder."""
    data = Path(tempfile.mkdtemp(dir=folder))
    command = ("-m", "benchmarks.ledger.first_sync", platform, company_id)
    return _child(*command, **environment(discovery, api, data)), data


def _child(*command: str, **more: str) -> dict[str, Any]:
    """Run one of our own modules; the JSON of its last line."""
    made = subprocess.run(
        [sys.executable, *command],
        env=os.environ | more,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{made.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(made.stdout.splitlines()[-1])
    return found


def control(url: str, path: str, body: Any = None) -> Any:
    if body is None:
        answer = requests.get(f"{url}/control/{path}", timeout=600)
    else:
        answer = requests.post(f"{url}/control/{path}", json=body, timeout=600)
    answer.raise_for_status()
    return answer.json()


def the_company(url: str) -> str:
    [only] = control(url, "companies")
    return str(only["id"])


@contextmanager
def counting(url: str) -> Iterator[dict[str, int]]:
    """How many calls on the books the ledger saw meanwhile, and the bytes of its answers on the wire."""
    requests.delete(f"{url}/control/requests", timeout=60)
    seen: dict[str, int] = {"calls": 0, "bytes": 0}
    yield seen
    for call in control(url, "requests")["calls"]:
        if "/v3/company/" in call["path"] or "/api.xro/" in call["path"]:
            seen["calls"] += 1
            seen["bytes"] += call["bytes_out"]


# ---------------------------------------------------------------- what is measured


def calls(folder: Path, platform: str, url: str, data: Path, connection: str) -> dict[str, int]:
    """Calls of a sync when one invoice was edited or paid (the worse of both), and when nothing was."""
    settings = config.load(environment(url, url, data))
    engine = db.engine(settings)
    id = the_company(url)
    invoice = next(
        d for d in control(url, f"companies/{id}/documents?kind=invoice") if d["balance"] == d["total"] > 0
    )

    def synced() -> int:
        with counting(url) as seen:
            assert sync(engine, settings, connection) is not None
        return seen["calls"]

    synced()  # what the first sync's own overlap brings again
    time.sleep(3)
    quiet = synced()
    control(
        url,
        f"companies/{id}/act",
        {"act": "edit", "kind": "invoice", "id": invoice["id"], "changes": {"due": "2026-12-24"}},
    )
    with db.transaction(engine) as tx:
        event = inbox.Change(platform, id, Kind.INVOICE, str(invoice["id"]), "updated", db.now(), "event-1")
        inbox.record(tx, [event], db.now())
    edited = synced()
    control(url, f"companies/{id}/act", {"act": "pay", "invoice": invoice["id"], "amount": 100})
    paid = synced()
    engine.dispose()
    say(
        f"  {platform}: {quiet} calls when nothing changed, {edited} for an edited, {paid} for a paid invoice"
    )
    return {"calls_quiet": quiet, "calls_one_change": max(edited, paid)}


def minimum_pages(records: dict[str, int]) -> int:
    return sum(math.ceil(count / PAGE) for count in records.values())


def rate(found: dict[str, Any]) -> float:
    return float(sum(found["records"].values()) / found["seconds"])


def speed(folder: Path, form: Form, platform: str, url: str) -> dict[str, Any]:
    """Our first sync and the peer's extraction of the same company, in turn, each on remembered answers."""
    id = the_company(url)
    found: dict[str, Any] = {"peer_records_per_second": None, "ratio_to_peer": None}
    with process(sys.executable, str(ROOT / "benchmarks/ledger/replaying.py"), url) as memory:
        first_sync(folder, platform, url, memory, id)
        token = consent(config.load(environment(url, url, folder)), platform, id).token.access_token
        try:
            python = peers.install(ROOT / "var/peers", platform)
            peers.run(python, platform, memory, id, token, folder / "peer")
        except peers.NoPeer as problem:
            say(f"  no peer for {platform}: {problem}")
            python = None
        ours, theirs = [], []
        for n in range(form.runs):
            result, data = first_sync(folder, platform, url, memory, id)
            shutil.rmtree(data)
            ours.append(result)
            say(f"  {platform}, ours:  {_figures(result)}")
            if python is not None and n < form.peer_runs:
                theirs.append(peers.run(python, platform, memory, id, token, folder / "peer"))
                say(f"  {platform}, peer:  {_figures(theirs[-1])}")
    found["records_per_second"] = round(statistics.median(map(rate, ours)))
    if theirs:
        found["peer_records_per_second"] = round(statistics.median(map(rate, theirs)))
        found["ratio_to_peer"] = round(found["records_per_second"] / found["peer_records_per_second"], 1)
    return found


def _figures(found: dict[str, Any]) -> str:
    return (
        f"{sum(found['records'].values()):,} records in {found['seconds']:.1f} s = {rate(found):,.0f}/s, "
        f"{found['cpu_seconds']:.1f} CPU seconds, peak {found['peak_mb']:.0f} MB"
    )


def memory(folder: Path, platform: str, invoices: int) -> int:
    """Peak megabytes of the process that makes a first sync of this many invoices."""
    with ledger(folder, platform, invoices) as (url, _):
        found, data = first_sync(folder, platform, url, url, the_company(url))
    shutil.rmtree(data)
    say(f"  {platform}, {invoices:,} invoices: {_figures(found)}")
    return int(round(found["peak_mb"]))


def measure(folder: Path, form: Form, platform: str) -> dict[str, Any]:
    """Calls, bytes and speed of one ledger."""
    say(f"{platform}: {form.invoices:,} invoices")
    with ledger(folder, platform, form.invoices) as (url, records):
        with counting(url) as seen:
            found, data = first_sync(folder, platform, url, url, the_company(url))
        held = {Kind.CUSTOMER: "customers", Kind.INVOICE: "invoices", Kind.PAYMENT: "payments"}
        for kind, name in held.items():
            assert found["records"][kind.value] == records[name], (kind, found["records"], records)
        result: dict[str, Any] = {
            "first_sync_calls": seen["calls"],
            "first_sync_minimum_pages": minimum_pages(records),
            **calls(folder, platform, url, data, found["connection"]),
            "bytes_per_invoice_gzip": round(seen["bytes"] / records["invoices"]),
        }
        shutil.rmtree(data)
        say(f"  {platform}: {json.dumps(result)}")
        return result | speed(folder, form, platform, url)


def peaks(folder: Path, form: Form, platform: str) -> dict[str, Any]:
    """The most memory that a small and a large first sync take."""
    small, large = memory(folder, platform, form.small), memory(folder, platform, form.large)
    return {"peak_mb_10k": small, "peak_mb_200k": large}


def years(form: Form, seeds: list[int]) -> Iterator[tuple[str, bool]]:
    """Scripted years of both ledgers: "quickbooks 3" and whether that mirror is as a fresh look is."""
    say(f"years of {form.year_changes:,} changes on each ledger, seeds {seeds}")
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=spawned) as pool:
        waiting = [
            pool.submit(year.live, platform, seed, form.year_changes)
            for seed in seeds
            for platform in PLATFORMS
        ]
        for one in as_completed(waiting):
            lived = one.result()
            say(
                f"  {lived.platform}, seed {lived.seed}: {lived.changes:,} changes, {lived.syncs} syncs of which "
                f"{sum(lived.failed.values())} were struck down, {lived.killed} workers killed, "
                f"{lived.webhooks:,} events; {lived.records:,} records, {len(lived.differences)} differences"
            )
            for difference in lived.differences[:5]:
                say(f"    {difference}")
            yield f"{lived.platform} {lived.seed}", lived.passed


def contract_violations(form: Form) -> int | None:
    """Requests outside the contracts, over the tests that write to ledgers; None without `../shared`."""
    if not (ROOT.parent / "shared/contracts").exists():
        say("contract: ../shared/contracts is not on this machine")
        return None
    found = _child("-m", "benchmarks.ledger.gate", *form.gated)
    say(f"contract: {found['tests']} tests, {found['violations']} violations")
    return int(found["violations"])


PER_LEDGER = (
    *("first_sync_calls", "first_sync_minimum_pages", "calls_one_change", "calls_quiet"),
    *("bytes_per_invoice_gzip", "records_per_second", "peer_records_per_second", "ratio_to_peer"),
    *("peak_mb_10k", "peak_mb_200k"),
)


class Found:
    """What was measured, kept after each part so that the next one, or the next process, adds to it."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.kept: dict[str, Any] = json.loads(path.read_text()) if path and path.exists() else {}

    def add(self, part: str, figures: dict[str, Any]) -> None:
        self.kept.setdefault(part, {}).update(figures)
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps(self.kept, indent=1))

    def line(self) -> dict[str, Any]:
        """Every figure of the benchmark; None for one that was not measured."""
        figures: dict[str, Any] = {
            platform: {name: self.kept.get(platform, {}).get(name) for name in PER_LEDGER}
            for platform in PLATFORMS
        }
        lived: dict[str, bool] = self.kept.get("years", {})
        seeds = {seed: [lived.get(f"{p} {seed}") for p in PLATFORMS] for _, seed in map(str.split, lived)}
        run = [outcomes for outcomes in seeds.values() if None not in outcomes]
        figures["year_seeds_passed"] = sum(map(all, run)) if run else None
        figures["year_seeds_run"] = len(run) if run else None
        figures["contract_violations"] = self.kept.get("contract", {}).get("violations")
        return figures


def main(arguments: list[str]) -> None:
    logging.disable(logging.WARNING)  # the queue's server is away on purpose
    form = QUICK if os.environ.get("QUICK") else FULL
    parts = [a for a in arguments if not a.isdigit()] or [*PLATFORMS, "memory", "contract", "years"]
    seeds = [int(a) for a in arguments if a.isdigit()] or list(range(1, form.year_seeds + 1))
    if unknown := set(parts) - {*PLATFORMS, "memory", "years", "contract", "figures"}:
        sys.exit(f"no such part: {', '.join(sorted(unknown))}. Parts: {__doc__}")
    kept = ROOT / "var" / ("ledgers-quick.json" if form is QUICK else "ledgers.json")
    found = Found(kept if arguments else None)
    say(f"load of this machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    folder = Path(tempfile.mkdtemp(prefix="forbear-bench-"))
    try:
        for part in parts:
            if part in PLATFORMS:
                found.add(part, measure(folder, form, part))
            elif part == "memory":
                for platform in PLATFORMS:
                    found.add(platform, peaks(folder, form, platform))
            elif part == "years":
                for lived, passed in years(form, seeds):
                    found.add("years", {lived: passed})
            elif part == "contract":
                found.add("contract", {"violations": contract_violations(form)})
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    say(f"load of this machine: {os.getloadavg()[0]:.1f}")
    print(json.dumps(found.line()))


if __name__ == "__main__":
    main(sys.argv[1:])
