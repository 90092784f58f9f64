"""What one machine carries: webhooks in, work out, nightly reviews; and what must never happen, counted.

`make bench NAME=scale`; QUICK=1 for a form of about a minute; ONLY="intake soak" for some parts; SOAK_MINUTES=0 for no
soak (default 30, and 0.15 when quick). Method and last figures: docs/performance.md.
The last line is one JSON object; a figure that was not measured is null.
"""

from __future__ import annotations

import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from benchmarks.scaling import fuzz, reviewing, soak  # noqa: E402
from benchmarks.scaling.load import KEY, Load  # noqa: E402
from benchmarks.scaling.office import Office, free_port, open_office  # noqa: E402
from connector import db, supervisor  # noqa: E402
from sandbox import acts  # noqa: E402

QUICK = bool(os.environ.get("QUICK"))
KEYS = (
    "intake_rps", "bare_rps", "intake_ratio", "intake_p99_ms_half_load", "burst_events", "burst_reads",
    "webhook_to_consequence_p50_s", "webhook_to_consequence_p95_s", "review_invoices_per_s_1w",
    "review_invoices_per_s_2w", "review_invoices_per_s_4w", "tryton_ratio", "soak_minutes", "soak_lost",
    "soak_doubled", "tenant_probes", "tenant_leaks", "canary_leaks", "fuzz_cases", "fuzz_5xx",
)  # fmt: skip


def main() -> None:
    logging.disable(logging.CRITICAL)  # what is tried here is refused ten thousand times
    figures: dict[str, Any] = dict.fromkeys(KEYS)
    figures["load_average"] = os.getloadavg()[0]
    figures["quick"] = QUICK
    parts = {
        "intake": intake,
        "work": work,
        "review": reviewing.figures,
        "guards": guards,
        "soak": soaked,
    }
    chosen = os.environ.get("ONLY", "").split() or list(parts)
    if QUICK and {"guards", "soak"} <= {*chosen}:  # neither measures a speed
        chosen.remove("guards")
        parts["soak"] = guards_and_soak
    for name, part in parts.items():
        if name not in chosen:
            continue
        say(f"--- {name}")
        try:
            found = part(QUICK)
        except Exception as problem:  # one part must not cost the figures of the others
            say(f"{name} was not measured: {type(problem).__name__}: {problem}")
            continue
        figures |= found
        for key, value in found.items():
            say(f"{key:32} {value}")
    say("\nFor docs/performance.md:\n\n| figure | value |\n| --- | --- |")
    for key, value in figures.items():
        say(f"| {key} | {'not measured' if value is None else value} |")
    print(json.dumps(figures))


def say(text: str) -> None:
    print(text, flush=True)


# ---------------------------------------------------------------- intake


def intake(quick: bool) -> dict[str, Any]:
    """The whole product's web process against a bare durable route, same server, same client, in turns."""
    count, rounds = (1_000, 2) if quick else (20_000, 5)
    organizations = 50 if quick else 2_000
    rates: dict[str, list[float]] = {"ours": [], "bare": []}
    with (
        tempfile.TemporaryDirectory() as folder,
        open_office(Path(folder), organizations, workers=0) as office,
    ):
        with _bare(Path(folder)) as bare_port:
            start = 0
            for _ in range(rounds):
                for name, port in (("ours", office.port), ("bare", bare_port)):
                    load = _send(Path(folder), port, count, organizations, start=start)
                    assert not load.bad, f"{name}: {load.bad} answers were not 200"
                    rates[name].append(load.rate)
                    start += count
        half = _send(
            Path(folder),
            office.port,
            count,
            organizations,
            start=start,
            rate=statistics.median(rates["ours"]) / 2,
        )
    ours, bare = statistics.median(rates["ours"]), statistics.median(rates["bare"])
    ratios = [a / b for a, b in zip(rates["ours"], rates["bare"], strict=True)]
    return {
        "intake_rps": round(ours), "bare_rps": round(bare), "intake_ratio": round(statistics.median(ratios), 3),
        "intake_p99_ms_half_load": round(1000 * half.percentile(0.99), 1),
    }  # fmt: skip


@contextmanager
def _bare(folder: Path) -> Iterator[int]:
    port = free_port()
    settings = supervisor.config.load({"PORT": str(port), "FORBEAR_DATA_DIR": str(folder)})
    command = [
        word.replace("web:create_app()", "benchmarks.scaling.bare:app")
        for word in supervisor.web_command(settings)
    ]
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "BARE_DATABASE": str(folder / "bare.sqlite3"),
        "FORBEAR_XERO_WEBHOOK_KEY": KEY,
    }
    with (folder / "bare.log").open("ab") as log:
        server = subprocess.Popen([sys.executable, "-m", *command], env=env, stdout=log, stderr=log)
    try:
        for _ in range(200):
            try:
                requests.get(f"http://127.0.0.1:{port}/", timeout=1)
                break
            except requests.RequestException:
                time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        server.wait(20)


def _send(
    folder: Path, port: int, count: int, organizations: int, *, start: int, events: int = 1, rate: float = 0
) -> Load:
    """From a process of its own."""
    out = folder / "load.json"
    words = [port, count, organizations, events, start, rate, out]
    subprocess.run(
        [sys.executable, "-m", "benchmarks.scaling.load", *map(str, words)],
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return Load(**json.loads(out.read_text()))


# ---------------------------------------------------------------- from the webhook to its consequence


def work(quick: bool) -> dict[str, Any]:
    organizations, events, payments = (50, 500, 5) if quick else (2_000, 50_000, 50)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_office(Path(folder), organizations, workers=2) as office,
    ):
        _listen(office)
        times = sorted(_consequence(office) for _ in range(payments))
        before = _pulls(office)
        per_delivery = 10
        load = _send(
            Path(folder), office.port, events // per_delivery, organizations, start=0, events=per_delivery
        )
        assert not load.bad, f"{load.bad} deliveries were refused"
        say(f"{events} events acknowledged in {load.seconds:.1f} s, the slowest in {max(load.times):.2f} s")
        _drained(office)
        return {
            "burst_events": events, "burst_reads": _pulls(office) - before,
            "burst_slowest_answer_s": round(max(load.times), 2),
            "webhook_to_consequence_p50_s": round(statistics.median(times), 3),
            "webhook_to_consequence_p95_s": round(times[int(0.95 * (len(times) - 1))], 3),
        }  # fmt: skip


def _listen(office: Office) -> None:
    """Once: the ledger checks an address with wrong signatures, of which we answer sixty a minute and no more."""
    office.world.set_switch("webhooks.gather_seconds", 0.02)
    office.world.delivery.listen("xero", f"{office.config.public_url}/webhooks/xero")


def _consequence(office: Office) -> float:
    """A customer pays; seconds until our review has seen the invoice as paid."""
    ledger = office.world.companies["tenant-0"]
    connection = office.ids["tenant-0"]
    invoice = next(i for i in ledger.invoices if i.balance)
    began = time.perf_counter()
    acts.pay(ledger, invoice=invoice.id)
    i, ch = db.invoices.c, db.changed_customers.c
    while True:
        with db.reading(office.engine) as tx:
            balance = tx.scalar(sa.select(i.balance).where(i.connection_id == connection, i.id == invoice.id))
            waiting = tx.scalar(sa.select(sa.func.count()).where(ch.connection_id == connection))
        if balance == 0 and not waiting:
            return time.perf_counter() - began
        if time.perf_counter() - began > 60:
            raise TimeoutError("the payment was not seen within a minute")
        time.sleep(0.01)


def _pulls(office: Office) -> int:
    k = db.calls.c
    with db.reading(office.engine) as tx:
        return int(tx.scalar(sa.select(sa.func.sum(k.calls)).where(k.operation.like("%Invoices"))) or 0)


def _drained(office: Office) -> None:
    i = db.inbox.c
    end = time.monotonic() + 900
    while time.monotonic() < end:
        with db.reading(office.engine) as tx:
            if not tx.scalar(
                sa.select(sa.func.count()).where(i.drained_at.is_(None), i.connection_id.is_not(None))
            ):
                return
        office.installation.look()
        time.sleep(0.2)
    raise TimeoutError("the burst was not read within 15 minutes")


# ---------------------------------------------------------------- what must never happen


def guards(quick: bool) -> dict[str, Any]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FORBEAR_", "PORT"))}
    found = fuzz.tenants(50 if quick else 10_000) | (
        fuzz.requests(1, 200) if quick else fuzz.requests(500, 20_000)
    )
    said = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/security/test_canaries.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=kept,
    )
    last = said.stdout.strip().splitlines()[-1]
    if said.returncode not in (0, 1) or "error" in last:
        say(f"the day of the canaries did not come to its end: {last}")
        return found
    words = last.split()
    leaks = sum(int(n) for n, what in zip(words, words[1:], strict=False) if what.startswith("failed"))
    return found | {"canary_leaks": leaks}


def guards_and_soak(quick: bool) -> dict[str, Any]:
    with subprocess.Popen(
        [sys.executable, __file__], env={**os.environ, "ONLY": "guards"}, stdout=subprocess.PIPE, text=True
    ) as beside:
        found = soaked(quick)
        said, _ = beside.communicate()
    *told, figures = said.splitlines()
    say("\n".join(line for line in told if not line.startswith(("|", "For docs"))))
    return {
        key: value for key, value in json.loads(figures).items() if key in KEYS and value is not None
    } | found


# ---------------------------------------------------------------- with kills


def soaked(quick: bool) -> dict[str, Any]:
    minutes = float(os.environ.get("SOAK_MINUTES", "0.15" if quick else "30"))
    return soak.figures(minutes, companies=1 if quick else 3) if minutes else {}


if __name__ == "__main__":
    main()
