"""The worked example of docs/accounting.md as a story: one connected organization, one part-paid invoice."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from connector import db
from connector.connecting import connections
from connector.domain import installments, propose
from connector.domain.calendar import Rhythm, due_dates
from connector.domain.plan import Plan
from connector.domain.policy import Mode
from connector.domain.receivables import Organization
from connector.mirroring import books, mirror
from connector.planning import plans
from connector.planning.plans import Record
from connector.practice import settings
from connector.writing import outbox, writeback
from connector.writing.writeback import Delivered
from tests.connector.conftest import NOON, TODAY
from tests.connector.fake_ledger import HARBOR, FakeLedger

DAY = dt.date


@dataclass
class Story:
    engine: Engine
    connection_id: str
    ledger: FakeLedger
    now: dt.datetime = NOON
    today: dt.date = TODAY

    def sync(self) -> None:
        """What the ledger has into the mirror."""
        calls, fault, self.ledger.fault = self.ledger.calls, self.ledger.fault, ""
        self.ledger.calls = []
        for batch in self.ledger.pull(None):
            with db.transaction(self.engine) as tx:
                mirror.store(tx, self.connection_id, batch, 1)
        self.ledger.calls, self.ledger.fault = calls, fault

    def answer(self, income: str = "accrual", tax: str = "accrual") -> None:
        with db.transaction(self.engine) as tx:
            settings.answer(
                tx, self.connection_id, income_basis=income, sales_tax_basis=tax, who="J. Doe", now=NOON
            )

    def propose(self, *invoice_ids: str, count: int = 3, mode: Mode = Mode.SPLIT) -> Record:
        with db.transaction(self.engine) as tx:
            found = [books.invoice(tx, self.connection_id, i) for i in invoice_ids]
            invoices = [i for i in found if i]
            dates = due_dates(DAY(2026, 12, 21), Rhythm.MONTHLY, count, "US")
            rows = installments.draft_rows(sum(i.balance for i in invoices), dates, start=TODAY)
            plan = Plan(
                id="",
                version=1,
                customer_id=invoices[0].customer_id,
                currency="USD",
                mode=mode,
                sources=propose.sources(invoices),
                rows=rows,
                drafted_on=TODAY,
            )
            return plans.add(tx, self.connection_id, plan, who="Forbear", now=self.now)

    def approve(self, plan_id: str) -> Record:
        with db.transaction(self.engine) as tx:
            return plans.approve(tx, plan_id, who="J. Doe", now=self.now, today=self.today)

    def cancel(self, plan_id: str) -> Record:
        with db.transaction(self.engine) as tx:
            return plans.cancel(tx, plan_id, who="J. Doe", now=self.now, today=self.today)

    def deliver(self) -> Delivered:
        return writeback.deliver(
            self.engine,
            self.connection_id,
            lambda: self.ledger,
            now=lambda: self.now,
            today=lambda: self.today,
        )

    def deliver_until_done(self, rounds: int = 20) -> None:
        """As the sweep would: again and again, each time late enough for the next attempt."""
        for _ in range(rounds):
            result = self.deliver()
            if not result.waiting and not result.retry_at and not self.waiting():
                return
            self.now += dt.timedelta(minutes=20)
        raise AssertionError("the delivery never came to an end")

    def waiting(self) -> list[str]:
        with db.reading(self.engine) as tx:
            return plans.to_deliver(tx, self.connection_id)

    def plan(self, plan_id: str) -> Record:
        with db.reading(self.engine) as tx:
            return plans.get(tx, plan_id)

    def writes(self, plan_id: str) -> list[outbox.Write]:
        with db.reading(self.engine) as tx:
            return outbox.of_plan(tx, plan_id)


def a_ledger(facts: Organization = HARBOR) -> FakeLedger:
    """Invoice 1001 of 1,150.00 (tax 150.00), 300.00 paid; another open invoice stands by."""
    ledger = FakeLedger(facts)
    ledger.an_invoice("147", "58", DAY(2026, 8, 1), DAY(2026, 8, 31), 100000, 15000, number="1001")
    ledger.an_invoice("160", "58", DAY(2026, 11, 2), DAY(2026, 12, 2), 20000, 3000, number="1010")
    ledger.pay("147", 30000, DAY(2026, 9, 20))
    return ledger


def a_story(engine: Engine, connection_id: str, facts: Organization = HARBOR) -> Story:
    ledger = a_ledger(facts)
    with db.transaction(engine) as tx:
        tx.execute(sa.update(db.connections).values(facts=connections.dump_facts(facts)))
    story = Story(engine, connection_id, ledger)
    story.sync()
    story.answer()
    return story


def locked(story: Story, until: dt.date) -> None:
    story.ledger.facts = replace(story.ledger.facts, closed_until=until)
