"""Both pretend ledgers deliver to our receiving pages over HTTP, signed, repeated and checked as they please."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import flask
import pytest
import sqlalchemy as sa
from werkzeug.serving import make_server

import webhooks
from connector import config, db
from sandbox import acts
from sandbox.clock import Clock
from sandbox.documents import Customer
from sandbox.grants import USERS
from sandbox.ledger import Ledger
from sandbox.organization import RULES, Organization, Platform
from sandbox.server import Server
from sandbox.world import World
from tests.conftest import migrate

KEY = "sandbox-webhook-key"
TODAY = date(2026, 11, 21)


@dataclass
class Received:
    """Our receiver and the pretend ledgers that write to it."""

    world: World
    engine: sa.Engine
    url: str

    def books(self, platform: Platform) -> Ledger:
        """A company that somebody has connected."""
        id = {"quickbooks": "9130357", "xero": "b2c885a9-4bb9-4a00-9b6e-6c2bf60b1a2b"}[platform]
        ledger = self.world.add(
            Ledger(
                Organization(
                    id=id, platform=platform, name="Harbour", home_currency="USD", rules=RULES[platform]
                ),
                self.world.clock,
            )
        )
        grants = self.world.grants
        code = grants.allow(platform, USERS[0], "sandbox-app", frozenset(), (id,), "http://localhost/back")
        grants.exchange(platform, code, "sandbox-app", "http://localhost/back", "")
        self.world.delivery.listen(platform, f"{self.url}/webhooks/{platform}")
        return ledger

    def recorded(self) -> list[tuple[str, str, str]]:
        assert self.world.delivery.settle()
        c = db.inbox.c
        with db.reading(self.engine) as tx:
            return [
                tuple(row) for row in tx.execute(sa.select(c.platform, c.kind, c.record_id).order_by(c.id))
            ]

    def pleased(self) -> bool:
        """Whether the ledgers got every answer that they wanted, in time."""
        return all(attempt.fine for attempt in self.world.delivery.attempts)


@pytest.fixture
def received(tmp_path: Path) -> Iterator[Received]:
    settings = config.load(
        {
            "FORBEAR_DATA_DIR": str(tmp_path),
            "FORBEAR_XERO_WEBHOOK_KEY": KEY,
            "FORBEAR_QUICKBOOKS_WEBHOOK_TOKEN": KEY,
        }
    )
    migrate(settings)
    engine = db.engine(settings)
    app = flask.Flask(__name__)
    app.secret_key = "for the session cookie that must not come"
    app.register_blueprint(webhooks.blueprint(settings, engine))
    ours = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=ours.serve_forever, daemon=True)
    thread.start()
    world = World(Clock(TODAY), unthrottled=True)
    world.set_switch("webhooks.gather_seconds", 0.02)
    world.set_switch("webhooks.time_scale", 0.001)
    try:
        with Server(world):
            yield Received(world, engine, f"http://127.0.0.1:{ours.server_port}")
    finally:
        ours.shutdown()
        thread.join(timeout=5)
        ours.server_close()
        engine.dispose()


def test_the_intent_to_receive_passes(received: Received):
    received.books("xero")
    assert received.world.delivery.check(received.world.delivery.urls["xero"])


@pytest.mark.parametrize("platform", ["quickbooks", "xero"])
def test_a_new_invoice_and_its_payment_are_told_once_each(received: Received, platform: Platform):
    books = received.books(platform)
    customer = books.add_customer(Customer(name="Kea Couriers"))
    invoice = acts.bill(books, customer=customer.id, net=10_000)
    found = received.recorded()
    assert (platform, "customer", customer.id) in found
    assert (platform, "invoice", invoice.id) in found
    before = len(found)
    acts.pay(books, invoice=invoice.id)
    after = received.recorded()
    assert len(after) > before
    assert received.pleased()


@pytest.mark.parametrize("platform", ["quickbooks", "xero"])
def test_repeated_and_shuffled_deliveries_leave_one_row_for_each_event(
    received: Received, platform: Platform
):
    received.world.set_switch("webhooks.duplicate", 1.0)
    received.world.set_switch("webhooks.reorder", 1.0)
    books = received.books(platform)
    customers = [books.add_customer(Customer(name=f"Customer {n}")) for n in range(12)]
    found = received.recorded()
    assert sorted(id for _, kind, id in found if kind == "customer") == sorted(c.id for c in customers)


@pytest.mark.parametrize("platform", ["quickbooks", "xero"])
def test_a_forged_delivery_is_refused_and_leaves_nothing(received: Received, platform: Platform):
    books = received.books(platform)
    books.add_customer(Customer(name="First"))
    before = received.recorded()
    received.world.set_switch("webhooks.wrong_signature", 1.0)
    books.add_customer(Customer(name="Second"))
    assert received.world.delivery.settle()
    assert 401 in {attempt.status for attempt in received.world.delivery.attempts}
    with db.reading(received.engine) as tx:
        assert tx.scalar(sa.select(sa.func.count(db.inbox.c.id))) == len(before)
