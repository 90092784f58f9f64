"""The nightly review on PostgreSQL: invoices a second by workers, and by the size of the whole installation.

`python -m benchmarks.scaling.reviewing [--invoices 300000,1000000,3000000] [--sample 200] [--no-tryton]` by itself;
`make bench NAME=scale` takes the smallest size. However large the installation, `--sample` organizations (`all`: every
one) are reviewed in full: their first night (everything is new), then a night for each number of workers (nothing
happened but that a day passed), then single customers that changed. Beside Tryton, `PEERS` others go through the same nights as it does.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import multiprocessing
import os
import statistics
import sys
import time
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

import sqlalchemy as sa

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmarks.scaling import cpu, tryton
from connector import config, db, jobs
from connector.config import Config
from connector.connecting import connections
from connector.domain.policy import Policy
from connector.domain.receivables import Allocation, Customer, Invoice, Organization, Payment, Status
from connector.mirroring import mirror
from connector.platforms import Batch
from connector.reviewing import review
from tests.connector import servers

TODAY = dt.date(2026, 11, 18)
NOW = dt.datetime(2026, 11, 18, 8, tzinfo=dt.UTC)
INVOICES = 300  # of one organization: 3 million over 10,000
KINDS = 20  # different books; the other organizations are copies of these
WORKERS = (1, 2, 4)
WEEK = 7  # nights
CHANGED = 100  # customers looked at one by one
FEW = 200  # organizations whose week, and whose changed customers, are looked at one by one
PEERS = 60  # organizations that Tryton gets, too


def figures(quick: bool) -> dict[str, Any]:
    return measure(3_000, 6, peer=False) if quick else measure(300_000, 200)


def measure(invoices: int, sample: int, peer: bool = True) -> dict[str, Any]:
    """Figures of one size. `review_…_per_s_Nw` are invoices of the reviewed organizations by N workers."""
    peers = min(sample, PEERS) if peer else 0
    organizations = max(sample + peers + max(WORKERS), invoices // INVOICES)
    found: dict[str, Any] = {"review_invoices": organizations * INVOICES}
    with servers.postgres() as url:
        settings = config.load({"FORBEAR_DATABASE_URL": url})
        db.migrate(settings)
        ids = _fill(settings, organizations)
        spare, rest = ids[: max(WORKERS)], Random(4).sample(ids[max(WORKERS) :], sample + peers)
        chosen, beside = rest[:sample], rest[sample:]
        count = len(chosen) * INVOICES
        first = _run(url, chosen, max(WORKERS[:2]), TODAY, spare)
        found["first_review_invoices_per_s_2w"] = round(count / first)
        nights = [TODAY + dt.timedelta(n) for n in range(1, len(WORKERS) + 1)]
        for workers, night in zip(WORKERS, nights, strict=True):
            rate = count / _run(url, chosen, workers, night, spare)
            found[f"review_invoices_per_s_{workers}w"] = round(rate)
        few = chosen[:FEW]
        found |= _nights(url, settings, few, nights[-1])
        found |= _changed(settings, few, nights[-1] + dt.timedelta(WEEK))
        if peer:
            found |= _compared(url, settings, beside)
        db.engine(settings).dispose()
    return found


def _nights(url: str, settings: Config, ids: list[str], last: dt.date) -> dict[str, Any]:
    """CPU of one process and of the server for an organization's night: each night of a week on which nothing
    happened but that a day passed, and once more when all of that is done and nobody is due."""
    engine, server = db.engine(settings), cpu.postmaster(parse_qs(urlsplit(url).query)["host"][0])
    spent, seen = [], []
    for ahead in [*range(1, WEEK + 1), WEEK]:
        began, total, day = cpu.spent(server), review.Reviewed(), last + dt.timedelta(ahead)
        for start in range(0, len(ids), jobs.TOGETHER):
            total += review.night(engine, dict.fromkeys(ids[start : start + jobs.TOGETHER], day), now=NOW)
        spent.append(1000 * (cpu.spent(server) - began) / len(ids))
        seen.append(total.customers / len(ids))
    *week, still = spent
    return {
        "night_cpu_ms_by_day": [round(ms, 2) for ms in week],
        "night_customers_by_day": [round(count, 2) for count in seen[:-1]],
        "night_cpu_ms_nobody_due": round(still, 2),
    }


def _compared(url: str, settings: Config, ids: list[str]) -> dict[str, Any]:
    """The same nights on the same receivables by both: the first, on which all is new, and a week after it.

    After each night what is due counts as sent, as Tryton's own second wizard takes it. `tryton_ratio` is by the clock,
    of the second night, the others by CPU time.
    """
    nights = [TODAY + dt.timedelta(n) for n in range(1 + WEEK)]
    took, used = _ours(url, settings, ids, nights)
    try:
        took_tryton, used_tryton = tryton.seconds(url, ids, nights)
    except tryton.NoPeer as no:
        print(f"Tryton was not measured: {no}", flush=True)
        return {"tryton_ratio": None}
    return {
        "beside_tryton_cpu_ms_by_night": [round(1000 * s / len(ids), 1) for s in used],
        "tryton_cpu_ms_by_night": [round(1000 * s / len(ids), 1) for s in used_tryton],
        "tryton_invoices_per_s": round(len(ids) * INVOICES / took_tryton[1]),
        "tryton_ratio": round(took_tryton[1] / took[1], 2),
        "tryton_cpu_ratio_first_night": round(used_tryton[0] / used[0], 2),
        "tryton_cpu_ratio": round(used_tryton[1] / used[1], 2),
        "tryton_cpu_ratio_of_week": round(sum(used_tryton[1:]) / sum(used[1:]), 2),
    }


def _ours(
    url: str, settings: Config, ids: list[str], nights: list[dt.date]
) -> tuple[list[float], list[float]]:
    """Seconds of each night by the clock and of CPU time, of organizations that are live."""
    engine, server = db.engine(settings), cpu.postmaster(parse_qs(urlsplit(url).query)["host"][0])
    with db.transaction(engine) as tx:
        live = {"policy": Policy().to_json(), "live": True, "ledger_reminders": "off", "revision": 1}
        tx.execute(sa.insert(db.settings), [{"connection_id": id, **live} for id in ids])
    r, took, used = db.reminders.c, [], []
    for day in nights:
        morning = dt.datetime.combine(day, NOW.timetz())
        with db.transaction(engine) as tx:  # the books were read; nothing is new
            tx.execute(sa.update(db.connections).values(last_sync_at=morning))
        began, before = time.perf_counter(), cpu.spent(server)
        for start in range(0, len(ids), jobs.TOGETHER):
            review.night(engine, dict.fromkeys(ids[start : start + jobs.TOGETHER], day), now=morning)
        took.append(time.perf_counter() - began)
        used.append(cpu.spent(server) - before)
        with db.transaction(engine) as tx:
            left = {"state": "noted", "reached_on": day, "updated_at": morning + dt.timedelta(hours=2)}
            tx.execute(sa.update(db.reminders).where(r.connection_id.in_(ids), r.state == "due").values(left))
    return took, used


def _changed(settings: Config, ids: list[str], today: dt.date) -> dict[str, Any]:
    """Customers that a webhook told of, one by one: read, judged, reminded, stored."""
    engine, chance = db.engine(settings), Random(9)
    times = []
    for _ in range(CHANGED):
        began = time.perf_counter()
        who = [f"c{chance.randrange(40)}"]
        review.review(engine, chance.choice(ids), now=NOW, today=today, customer_ids=who)
        times.append(1000 * (time.perf_counter() - began))
    return {
        "changed_customer_median_ms": round(statistics.median(times), 1),
        "changed_customer_p95_ms": round(statistics.quantiles(times, n=20)[-1], 1),
    }


# ---------------------------------------------------------------- the installation


def _fill(settings: Config, organizations: int) -> list[str]:
    """A few different books through the front door; the rest are copied inside the database."""
    chance, engine = Random(3), db.engine(settings)
    ids = [f"org{n:06}" for n in range(organizations)]
    for id in ids[:KINDS]:
        facts = Organization(id, f"Organization {id}", "US", "USD", "UTC")
        with db.transaction(engine) as tx:
            tx.execute(
                sa.insert(db.connections).values(
                    id=id, platform="xero", external_id=id, organization=facts.name, country="US", home_currency="USD",
                    facts=connections.dump_facts(facts), created_at=NOW, last_sync_at=NOW,
                )
            )  # fmt: skip
            mirror.store(tx, id, _books(chance), 1)
    for n in range(min(KINDS, organizations)):
        copies = ids[KINDS + n :: KINDS]
        if copies:
            with db.transaction(engine) as tx:
                for table, named in (
                    (db.connections, ("id", "external_id")),
                    *((t, ("connection_id",)) for t in db.BOOKS),
                ):
                    _copy(tx, table, named, ids[n], copies)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as server:
        server.exec_driver_sql("VACUUM ANALYZE")
    return ids


def _copy(tx: sa.Connection, table: sa.Table, named: tuple[str, ...], kind: str, copies: list[str]) -> None:
    ids = (
        sa.func.unnest(sa.bindparam("copies", copies, sa.ARRAY(sa.Text)))
        .table_valued("id", name="made")
        .render_derived()
    )
    columns = [ids.c.id if c.name in named else c for c in table.c]
    rows = sa.select(*columns).select_from(table).join(ids, sa.true()).where(table.c[named[0]] == kind)
    tx.execute(sa.insert(table).from_select([c.name for c in table.c], rows))


def _books(chance: Random) -> Batch:
    """40 customers with a few large ones; most pay late by some days, some in parts, a tenth of the money is open."""
    customers = [Customer(f"c{n}", f"Customer {n}", currency="USD", terms_days=30) for n in range(40)]
    invoices, payments = [], []
    for n in range(INVOICES):
        customer = customers[min(39, int(chance.paretovariate(0.8)) - 1)].id
        day = TODAY - dt.timedelta(chance.randint(1, 700))
        due, total = day + dt.timedelta(30), int(100 * chance.lognormvariate(6, 1))
        paid_on = due + dt.timedelta(int(chance.gauss(9, 20)))
        paid = 0 if paid_on > TODAY or paid_on <= day or chance.random() < 0.05 else total
        if paid and chance.random() < 0.06:
            paid = total // 2
        status = Status.PAID if paid == total else Status.PARTLY_PAID if paid else Status.OPEN
        invoices.append(Invoice(f"i{n}", f"{n}", customer, day, due, "USD", total, total - paid, status))
        if paid:
            payments.append(Payment(f"p{n}", customer, paid_on, "USD", paid, 0, (Allocation(f"i{n}", paid),)))
    return Batch(customers=tuple(customers), invoices=tuple(invoices), payments=tuple(payments))


# ---------------------------------------------------------------- the night


def _run(url: str, ids: list[str], workers: int, today: dt.date, spare: list[str]) -> float:
    """Seconds until all are reviewed. Each worker has reviewed a spare organization before the clock starts; forked, as
    workers are, because loading the product anew for each takes most of the short form's time."""
    fork = multiprocessing.get_context("fork")
    ready, start = fork.Semaphore(0), fork.Event()
    parts = [
        fork.Process(target=_review, args=(url, spare[n], ids[n::workers], today, ready, start))
        for n in range(workers)
    ]
    for part in parts:
        part.start()
    for _ in parts:
        ready.acquire()
    began = time.perf_counter()
    start.set()
    for part in parts:
        part.join()
        assert part.exitcode == 0
    return time.perf_counter() - began


def _review(url: str, spare: str, ids: list[str], today: dt.date, ready: Any, start: Any) -> None:
    os.environ.pop("FORBEAR_DATA_DIR", None)
    engine = db.engine(config.load({"FORBEAR_DATABASE_URL": url}))
    review.review(engine, spare, now=NOW, today=today)
    ready.release()
    start.wait()
    for start in range(0, len(ids), jobs.TOGETHER):
        review.night(engine, dict.fromkeys(ids[start : start + jobs.TOGETHER], today), now=NOW)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--invoices", default="300000", help="sizes of the installation, with commas between")
    asked.add_argument("--sample", default="200", help="organizations that are reviewed, or all")
    asked.add_argument("--no-tryton", action="store_true")
    given = asked.parse_args()
    for size in given.invoices.split(","):
        every = int(size) // INVOICES - max(WORKERS) - (0 if given.no_tryton else PEERS)
        sample = every if given.sample == "all" else int(given.sample)
        found = measure(int(size), sample, peer=not given.no_tryton)
        for key, value in found.items():
            print(f"{key:34} {value}", flush=True)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
