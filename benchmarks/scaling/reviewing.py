"""The nightly review on PostgreSQL: how many invoices a second, and how that grows with workers."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import os
import time
from random import Random
from typing import Any

import sqlalchemy as sa

from connector import books, config, connections, db, review
from connector.config import Config
from connector.domain.receivables import Allocation, Customer, Invoice, Organization, Payment, Status
from connector.platforms import Batch
from tests.connector import servers

TODAY = dt.date(2026, 11, 18)
NOW = dt.datetime(2026, 11, 18, 8, tzinfo=dt.UTC)
INVOICES = 300  # of one organization: 3 million over 10,000


def figures(quick: bool) -> dict[str, Any]:
    organizations = 6 if quick else 1_000
    found: dict[str, Any] = {"review_invoices": organizations * INVOICES}
    with servers.postgres() as url:
        settings = config.load({"FORBEAR_DATABASE_URL": url})
        db.migrate(settings)
        ids = _fill(settings, organizations)
        for workers in (1, 2, 4):
            _forget(settings)
            seconds = _run(url, ids, workers)
            found[f"review_invoices_per_s_{workers}w"] = round(organizations * INVOICES / seconds)
        db.engine(settings).dispose()
    return found


def _fill(settings: Config, organizations: int) -> list[str]:
    chance = Random(3)
    ids = []
    for n in range(organizations):
        id = f"org{n:06}"
        facts = Organization(id, f"Organization {n}", "US", "USD", "UTC")
        with db.transaction(db.engine(settings)) as tx:
            tx.execute(
                sa.insert(db.connections).values(
                    id=id, platform="xero", external_id=id, organization=facts.name, country="US", home_currency="USD",
                    facts=connections.dump_facts(facts), created_at=NOW, last_sync_at=NOW,
                )
            )  # fmt: skip
            books.store(tx, id, _books(chance), 1)
        ids.append(id)
    return ids


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


def _forget(settings: Config) -> None:
    with db.transaction(db.engine(settings)) as tx:
        names = "findings, assessments, predictions, installments, plan_versions, writes, reminders, todos, audit, plans"
        tx.exec_driver_sql(f"TRUNCATE {names} CASCADE")


def _run(url: str, ids: list[str], workers: int) -> float:
    began = time.perf_counter()
    spawn = multiprocessing.get_context("spawn")
    parts = [spawn.Process(target=_review, args=(url, ids[n::workers])) for n in range(workers)]
    for part in parts:
        part.start()
    for part in parts:
        part.join()
        assert part.exitcode == 0
    return time.perf_counter() - began


def _review(url: str, ids: list[str]) -> None:
    os.environ.pop("FORBEAR_DATA_DIR", None)
    engine = db.engine(config.load({"FORBEAR_DATABASE_URL": url}))
    for id in ids:
        review.review(engine, id, now=NOW, today=TODAY)
