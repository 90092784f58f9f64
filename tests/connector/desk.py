"""A bookkeeper's desk: the command line, one installation, and a pretend ledger over HTTP behind it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from adapters import oauth
from connector import cli, config, db
from connector.connecting import connections
from connector.demo.installing import pointed_at
from sandbox import books
from sandbox.clock import Clock
from sandbox.ledger import Ledger as PretendLedger
from sandbox.server import Server
from sandbox.world import World
from tests.adapters.conftest import Office

TODAY = date(2026, 11, 18)  # a Wednesday: reminders may leave

COMPANY: dict[str, Any] = {
    "format": "books/1",
    "company": {
        "id": "harbor",
        "name": "Harbor Supply",
        "country": "US",
        "home_currency": "USD",
        "timezone": "America/New_York",
        "as_of": "2026-11-18",
    },
    "customers": [
        {"id": "c1", "name": "Fern Foods", "currency": "USD"},
        {"id": "c2", "name": "Quiet Quay", "currency": "USD"},
        {"id": "c3", "name": "Prompt Parts", "currency": "USD"},
    ],
    "invoices": [
        {
            "id": "i1", "number": "1001", "customer_id": "c1", "issue_date": "2026-08-01", "due_date": "2026-08-31",
            "total_cents": 115000, "lines": [{"description": "Goods", "net_cents": 100000, "tax_cents": 15000}],
        },
        {
            "id": "i2", "number": "1002", "customer_id": "c2", "issue_date": "2026-10-01", "due_date": "2026-11-13",
            "total_cents": 40000,
        },
        {
            "id": "i3", "number": "1003", "customer_id": "c3", "issue_date": "2026-09-05", "due_date": "2026-10-05",
            "total_cents": 25050,
        },
    ],
    "payments": [
        {
            "id": "p1", "customer_id": "c1", "date": "2026-09-20", "amount_cents": 30000,
            "allocations": [{"invoice_id": "i1", "amount_cents": 30000}],
        },
        {
            "id": "p3", "customer_id": "c3", "date": "2026-10-05", "amount_cents": 25050,
            "allocations": [{"invoice_id": "i3", "amount_cents": 25050}],
        },
    ],
}  # fmt: skip


@dataclass
class Desk:
    """A bookkeeper's command line beside a pretend ledger."""

    office: Office
    pretend: PretendLedger
    capture: pytest.CaptureFixture[str]

    def run(self, *words: str, code: int = 0) -> str:
        """Run `forbear` with these words; returns what it printed, or its sentence when it refused."""
        self.capture.readouterr()
        assert cli.main(list(words)) == code, self.capture.readouterr()
        printed = self.capture.readouterr()
        assert "Traceback" not in printed.err
        return printed.out if code == 0 else printed.err

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json"))

    def customer(self, name: str) -> str:
        return next(c.id for c in self.pretend.customers if c.name == name)

    def invoice(self, number: str) -> str:
        return next(i.id for i in self.pretend.invoices if i.number == number)

    def act(self, act: str, **what: Any) -> Any:
        return self.office.control(f"companies/{self.pretend.organization.id}/act", {"act": act, **what})

    def trial_balance(self, basis: str) -> dict[str, dict[str, int]]:
        """Account → month → movement, zeros left out."""
        id = self.pretend.organization.id
        rows = self.office.ask(f"companies/{id}/trial-balance?basis={basis}")["accounts"]
        found = {r["name"]: {m: v for m, v in r["months"].items() if v} for r in rows}
        return {name: months for name, months in found.items() if months}

    def balances(self) -> dict[str, int]:
        return {i.number: i.balance for i in self.pretend.invoices if i.status != "void"}


@contextmanager
def a_desk(
    platform_name: str,
    folder: Path,
    patch: pytest.MonkeyPatch,
    capture: pytest.CaptureFixture[str],
    company: Mapping[str, Any] = COMPANY,
) -> Iterator[Desk]:
    """The sandbox runs, the company is connected, nothing is synced yet."""
    oauth.forget_documents()
    world = World(Clock(TODAY), unthrottled=True)
    with Server(world) as server:
        office = Office(server, world)
        platform = office.platform(platform_name)
        ours = {"FORBEAR_DATA_DIR": str(folder), "FORBEAR_TODAY": TODAY.isoformat(), **pointed_at(server.url)}
        for name, value in ours.items():
            patch.setenv(name, value)
        pretend = world.add(books.load(copy.deepcopy(dict(company)), platform_name, world.clock))  # type: ignore[arg-type]
        grant = office.exchange(platform, office.consent(platform, [pretend.organization.id]))
        settings = config.load()
        db.migrate(settings)
        connections.save_grant(db.engine(settings), settings, platform_name, grant)
        yield Desk(office, pretend, capture)
