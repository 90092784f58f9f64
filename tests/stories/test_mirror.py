"""A mirror built from a pretend ledger shows what its own reports show: control account and aged receivables.

Both ledgers, the sample companies and real receivables; to the cent, in each currency.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
import requests
from sqlalchemy.engine import Engine

from adapters import oauth
from benchmarks.ledger.consent import consent
from benchmarks.ledger.year import environment
from connector import config, db
from connector.config import Config
from connector.connecting import connections
from connector.domain import aging
from connector.domain.money import to_decimal, to_minor
from connector.domain.receivables import Invoice
from connector.mirroring import books, completeness
from connector.mirroring.sync import sync
from sandbox import books as books_files
from sandbox.clock import Clock
from sandbox.company import sample_companies
from sandbox.ledger import Ledger
from sandbox.organization import Platform
from sandbox.server import Server
from sandbox.world import World
from tests.conftest import shared

TODAY = dt.date(2026, 11, 21)
Table = dict[tuple[str, str], dict[str, int]]  # (customer, currency) → column → minor units


class Office:
    """One sandbox, one installation."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.settings: Config = config.load(environment(server.url, folder))
        db.migrate(self.settings)
        self.engine: Engine = db.engine(self.settings)

    def mirrored(self, pretend: Ledger) -> str:
        """Connect a company and read all of it; the connection's id."""
        self.server.world.add(pretend)
        platform, id = pretend.organization.platform, pretend.organization.id
        grant = consent(self.settings, platform, id)
        found = connections.save_grant(self.engine, self.settings, platform, grant)
        [connection] = [c.id for c in found if c.external_id == id]
        done = sync(self.engine, self.settings, connection)
        assert done is not None
        assert not done.set_aside
        return connection

    def report(self, pretend: Ledger, name: str) -> Any:
        answer = requests.get(
            f"{self.server.url}/control/companies/{pretend.organization.id}/{name}", timeout=120
        )
        answer.raise_for_status()
        return answer.json()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    oauth.forget_documents()
    with Server(World(Clock(TODAY), unthrottled=True)) as server:
        made = Office(server, tmp_path)
        yield made
        made.engine.dispose()


def aged_by_mirror(office: Office, connection: str) -> Table:
    """Open, unapplied and the five buckets of every customer, from our mirror alone."""
    found: Table = defaultdict(lambda: dict.fromkeys(("open", "unapplied", *aging.BUCKETS), 0))
    with db.reading(office.engine) as tx:
        for customer in books.each_customer(tx, connection):
            id = customer.customer.id
            for debt in aging.debts(customer.invoices):
                row = found[id, debt.currency]
                row["open"] += debt.amount
                row[aging.bucket(debt.due, TODAY)] += debt.amount
            for money in customer.payments:
                if not money.void:
                    found[id, money.currency]["unapplied"] += money.unapplied
            for credit in customer.credits:
                if not credit.void:
                    found[id, credit.currency]["unapplied"] += credit.remaining
    return {key: row for key, row in found.items() if any(row.values())}


def aged_by_ledger(office: Office, pretend: Ledger) -> Table:
    rows = office.report(pretend, f"aged?as_of={TODAY}")["customers"]
    return {
        (r["customer"], r["currency"]): {
            "open": r["open"],
            "unapplied": r["unapplied"],
            **{name: r["buckets"][name] for name in aging.BUCKETS},
        }
        for r in rows
    }


def control_account_by_mirror(office: Office, connection: str, home: str) -> int:
    """What the receivable account should stand at, in home currency: each document at its own rate."""
    total = 0
    with db.reading(office.engine) as tx:
        for customer in books.each_customer(tx, connection):
            for invoice in customer.invoices:
                if invoice.balance:
                    total += at_home(invoice, home)
            total -= sum(p.unapplied for p in customer.payments if not p.void)
            total -= sum(c.remaining for c in customer.credits if not c.void)
    return total


def at_home(invoice: Invoice, home: str) -> int:
    if invoice.currency == home:
        return invoice.balance
    assert invoice.rate is not None
    value = to_decimal(invoice.balance, invoice.currency) * Decimal(invoice.rate)
    return to_minor(value.quantize(Decimal("0.01")), home)


def control_account_by_ledger(office: Office, pretend: Ledger) -> int:
    accounts = office.report(pretend, "trial-balance")["accounts"]
    return sum(cast(int, a["balance"]) for a in accounts if a["role"] == "receivable")


def check(office: Office, pretend: Ledger) -> int:
    """Returns how many customers owe or are owed something."""
    connection = office.mirrored(pretend)
    ours, theirs = aged_by_mirror(office, connection), aged_by_ledger(office, pretend)
    assert ours == theirs
    home = pretend.organization.home_currency
    assert control_account_by_mirror(office, connection, home) == control_account_by_ledger(office, pretend)
    assert completeness.compare(office.engine, office.settings, connection) == []
    return len(theirs)


@pytest.mark.parametrize("number", range(4))
def test_a_sample_company_comes_through_to_the_cent(office: Office, number: int) -> None:
    assert check(office, sample_companies(office.server.world.clock)[number]) > 1


@pytest.mark.parametrize("platform", ["quickbooks", "xero"])
def test_real_receivables_come_through_to_the_cent(office: Office, platform: Platform) -> None:
    file = shared("data/highradius_until_cut.jsonl.gz")
    companies = books_files.read(file, office.server.world.clock, (platform,))
    assert sum(check(office, pretend) for pretend in companies) > 10
