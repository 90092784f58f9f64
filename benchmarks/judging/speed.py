"""What a full pass over a large book costs, beside plain SQL and beside customer by customer. Invented books."""

from __future__ import annotations

import datetime as dt
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.judging.by_object import ByObject, customer
from connector import config, db
from connector.domain.glance import Rows
from connector.domain.policy import Policy
from connector.domain.prediction import outlook
from connector.domain.prediction.model import Model, fit
from connector.domain.prediction.outlook import Outlook
from connector.mirroring import books, bookwide
from connector.reviewing import conclusions, full_pass, judging
from connector.reviewing.conclusions import Conclusion

TODAY = dt.date(2026, 11, 20)
CONNECTION = "bench"
CUSTOMERS_A_MILLION = 20_000
SAMPLE = 200  # customers judged one by one, from which the rest is reckoned
RUNS, DAYS = 360, 60  # of one customer: so many, on so many days in turn; the first round is left out

AGING = """
select customer_id, currency, sum(balance),
  sum(case when julianday('2026-11-20') - julianday(due) <= 0 then balance else 0 end),
  sum(case when julianday('2026-11-20') - julianday(due) between 1 and 30 then balance else 0 end),
  sum(case when julianday('2026-11-20') - julianday(due) between 31 and 60 then balance else 0 end),
  sum(case when julianday('2026-11-20') - julianday(due) between 61 and 90 then balance else 0 end),
  sum(case when julianday('2026-11-20') - julianday(due) > 90 then balance else 0 end)
from invoices where connection_id = 'bench' and status in ('open', 'partly_paid', 'paid') group by 1, 2
"""


@dataclass(frozen=True)
class Speed:
    """`object_s` is reckoned from a sample of customers, and knows one core only."""

    invoices: int
    full_pass: Pass
    one_core: Pass
    sql_aging_s: float
    object_s: float
    one_customer_p95_ms: float


@dataclass(frozen=True)
class Pass:
    """Seconds of a full pass, those of them in which the model learns (which by-object is given), peak megabytes."""

    seconds: float
    learning: float
    peak_mb: float

    def ratio(self, object_s: float) -> float:
        """How many times as long the same work takes by object: without the learning, which is done here alone."""
        return object_s / (self.seconds - self.learning)


def measure(folder: Path, invoices: int) -> Speed:
    """Builds the book in `folder` and measures; the full pass in a process of its own, for its peak memory."""
    settings = _settings(folder)
    db.migrate(settings)
    engine = db.engine(settings)
    customers = max(50, invoices * CUSTOMERS_A_MILLION // 1_000_000)
    _fill(engine, invoices, customers)
    full_pass, one_core = _alone(folder), _alone(folder, cores=1)
    with db.reading(engine) as tx:
        started = time.perf_counter()
        tx.exec_driver_sql(AGING).fetchall()
        aging = time.perf_counter() - started
    return Speed(invoices, full_pass, one_core, aging, _by_object(engine), _one(engine))


def _by_object(engine: db.Engine) -> float:
    """Seconds for the same work with plain objects, reckoned from a sample of customers by their invoices."""
    with db.reading(engine) as tx:
        rows, concluded, model, said, _ = passed(tx)
        whole = {c.customer_id: c for c in concluded}
        by = ByObject(model, float(np.median(rows.total)), conclusions.owed(tx, CONNECTION))
        some = random.Random(3).sample(rows.customers, min(SAMPLE, len(rows.customers)))
        seconds = count = 0.0
        for id in some:
            started = time.perf_counter()
            who, invoices, payments = customer(tx, CONNECTION, id)
            mine, days = by.conclude(who, invoices, payments), by.predict(invoices, payments)
            seconds += time.perf_counter() - started
            count += len(invoices)
            if mine.findings != whole[id].findings or mine.reasons != whole[id].reasons:
                raise AssertionError(f"Customer {id} is judged otherwise by object.")
            for invoice_id, (late, late_30, *_, latest) in days.items():
                one = said[invoice_id]
                near = max(abs(one.late - late), abs(one.late_30 - late_30)) < 0.0001
                if not near or one.latest.toordinal() != latest:
                    raise AssertionError(f"Invoice {invoice_id} is predicted otherwise by object.")
    return seconds * len(rows.ids) / max(count, 1)


def passed(tx: db.Connection) -> tuple[Rows, list[Conclusion], Model, dict[str, Outlook], float]:
    """The full pass: the book read, every customer judged, everything open predicted, and the year's record.

    With the seconds in which the model learns: the last step but one, and the record with it.
    """
    rows = bookwide.rows(tx, CONNECTION, TODAY)
    concluded = list(full_pass.conclude(tx, CONNECTION, rows, Policy(), TODAY))
    columns, ids = bookwide.learned(rows, TODAY)
    started = time.perf_counter()
    model = fit(columns, TODAY.toordinal())
    learning = time.perf_counter() - started
    return rows, concluded, model, outlook.answers(model, ids), learning


def _settings(folder: Path) -> config.Config:
    return config.load(
        {"FORBEAR_DATABASE_URL": f"sqlite:///{folder}/book.sqlite3", "FORBEAR_DATA_DIR": str(folder)}
    )


def _alone(folder: Path, cores: int = 0) -> Pass:
    code = f"import sys; sys.path.insert(0, {str(Path.cwd())!r}); from benchmarks.judging import speed; speed.alone({str(folder)!r}, {cores})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return Pass(*map(float, done.stdout.split()[-3:]))


def alone(folder: str, cores: int) -> None:
    """`passed`, as a `Pass`; on so many cores, 0 for all there are."""
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    engine = db.engine(_settings(Path(folder)))
    started = time.perf_counter()
    with db.reading(engine) as tx:
        *_, learning = passed(tx)
    seconds = time.perf_counter() - started
    print(seconds, learning, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _one(engine: db.Engine) -> float:
    """One customer with 200 invoices: read, judged, stored; the 95th percentile in milliseconds.

    On another day each time, so that something else is concluded and all of it must be stored. As a review after a
    webhook does it (`reviewing.looking`, without reminders and plans): no look ahead, which the coming night does;
    no search for cycles meanwhile; and its end does not wait for the disk, since what it stores can be had again.
    The first round is left out: in it statements are compiled, which a worker does once, before it forks (`worker.warm`).
    """
    times = []
    now = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
    for n in range(RUNS):
        today = TODAY + dt.timedelta(n % DAYS)
        started = time.perf_counter()
        with bookwide.without_collecting(), db.transaction(engine, repeatable=True) as tx:
            (picture,) = books.pictures(tx, [(CONNECTION, "c0")]).values()
            concluded = judging.judge(
                picture.customer,
                picture.invoices,
                picture.payments,
                picture.credits,
                Policy(),
                today,
                ahead=False,
            )
            conclusions.store(tx, CONNECTION, [concluded], today=today, now=now)
        times.append((time.perf_counter() - started) * 1000)
    return statistics.quantiles(times[DAYS:], n=20)[-1]


def _fill(engine: db.Engine, count: int, customers: int) -> None:
    """Customer c0 has 200 invoices; the others' numbers fall off, some having hundreds of times as many."""
    chance = random.Random(7)
    with db.transaction(engine) as tx:
        tx.execute(
            db.connections.insert(),
            [
                {
                    "id": CONNECTION,
                    "platform": "quickbooks",
                    "external_id": "1",
                    "organization": "Bench",
                    "status": "connected",
                    "created_at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
                }
            ],
        )
        tx.exec_driver_sql(
            "insert into customers (connection_id, id, name, currency, seen) values (?, ?, ?, 'USD', 1)",
            [(CONNECTION, f"c{n}", f"Customer {n}") for n in range(customers)],
        )
    usual = [max(0, round(chance.gauss(6, 12))) for _ in range(customers)]
    invoices, payments, allocations = [], [], []

    def flush() -> None:
        if not invoices:
            return
        with db.transaction(engine) as tx:
            tx.exec_driver_sql(
                "insert into invoices (connection_id, id, number, customer_id, date, due, currency, total, balance, status, tax, seen)"
                " values ('bench', ?, ?, ?, ?, ?, 'USD', ?, ?, ?, 0, 1)",
                invoices,
            )
            tx.exec_driver_sql(
                "insert into payments (connection_id, id, customer_id, date, currency, amount, unapplied, seen)"
                " values ('bench', ?, ?, ?, 'USD', ?, 0, 1)",
                payments,
            )
            tx.exec_driver_sql(
                "insert into allocations (connection_id, source, source_id, n, customer_id, invoice_id, amount, date)"
                " values ('bench', 'payment', ?, 0, ?, ?, ?, ?)",
                allocations,
            )
        for rows in (invoices, payments, allocations):
            rows.clear()

    for n in range(count):
        who = 0 if n < 200 else 1 + int((customers - 1) * chance.random() ** 3)
        issued = TODAY - dt.timedelta(chance.randint(0, 1095))
        due = issued + dt.timedelta(30)
        paid = due + dt.timedelta(max(-20, round(chance.gauss(usual[who], 8))))
        total = chance.randint(1000, 900000)
        parts = (
            [(paid, total)]
            if chance.random() > 0.2
            else [(paid - dt.timedelta(5), total // 2), (paid, total - total // 2)]
        )
        done = [(day, amount) for day, amount in parts if day <= TODAY]
        balance = total - sum(amount for _, amount in done)
        status = "paid" if not balance else "partly_paid" if done else "open"
        invoices.append(
            (f"i{n}", f"N{n}", f"c{who}", issued.isoformat(), due.isoformat(), total, balance, status)
        )
        for k, (day, amount) in enumerate(done):
            payments.append((f"p{n}-{k}", f"c{who}", day.isoformat(), amount))
            allocations.append((f"p{n}-{k}", f"c{who}", f"i{n}", amount, day.isoformat()))
        if len(invoices) == 50_000:
            flush()
    flush()
