"""Webhooks reach a real receiver over HTTP: signed, shaped as each ledger's, retried, and misbehaving on demand."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sandbox import acts
from sandbox.documents import Ref
from sandbox.ledger import Ledger
from sandbox.organization import Platform
from sandbox.server import Server
from sandbox.world import World
from tests.sandbox.conftest import a_company, connect

KEY = b"sandbox-webhook-key"
REALM = "9130000000000001"


class Receiver:
    """Keeps what arrives and answers as told. A wrong signature gets 401."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.refused = 0
        self.answers: list[int] = []
        self.says = b""
        kept = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                given = self.headers.get("intuit-signature") or self.headers.get("x-xero-signature") or ""
                status = 200
                if not hmac.compare_digest(given, kept.signature(body)):
                    kept.refused += 1
                    status = 401
                elif kept.answers:
                    status = kept.answers.pop(0)
                if status == 200:
                    kept.bodies.append(json.loads(body))
                    kept.headers.append(dict(self.headers))
                self.send_response(status)
                self.send_header("Content-Length", str(len(kept.says)))
                self.end_headers()
                self.wfile.write(kept.says)

            def log_message(self, format: str, *args: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/webhooks"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def signature(body: bytes) -> str:
        return base64.b64encode(hmac.new(KEY, body, hashlib.sha256).digest()).decode()

    def events(self) -> list[dict[str, Any]]:
        """All events in order of arrival, whatever the body's form."""
        found: list[dict[str, Any]] = []
        for body in self.bodies:
            found += body if isinstance(body, list) else body["events"]
        return found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.server.shutdown()
    found.server.server_close()


def connected(world: World, server: Server, platform: Platform, receiver: Receiver) -> Ledger:
    ledger = a_company(world, platform)
    connect(server, platform, ledger.organization.id)
    world.delivery.listen(platform, receiver.url)
    return ledger


def only_invoice(ledger: Ledger) -> str:
    return ledger.invoices.in_order()[0].id


def test_a_payment_at_intuit_comes_as_signed_cloud_events(
    world: World, server: Server, receiver: Receiver
) -> None:
    ledger = connected(world, server, "quickbooks", receiver)
    acts.pay(ledger, invoice=only_invoice(ledger), amount=30000)
    assert world.delivery.settle()
    [body] = receiver.bodies
    assert [(e["type"], e["intuitentityid"]) for e in body] == [
        ("qbo.payment.created.v1", "2"), ("qbo.invoice.updated.v1", "1"),
    ]  # fmt: skip
    assert {e["intuitaccountid"] for e in body} == {REALM}
    assert all(
        e["specversion"] == "1.0" and e["source"].startswith("intuit.") and e["data"] == {} for e in body
    )
    assert receiver.headers[0]["Content-Type"] == "application/cloudevents+json"


def test_one_post_may_mix_realms(world: World, server: Server, receiver: Receiver) -> None:
    ledger = connected(world, server, "quickbooks", receiver)
    other = a_company(world, "quickbooks", "9130000000000002", "Second Bakery")
    connect(server, "quickbooks", "9130000000000002")
    with ledger.lock:  # nothing is sent in the middle of an act
        for books in (ledger, other):
            acts.edit(books, Ref("invoice", only_invoice(books)), {"due": "2026-12-01"})
    assert world.delivery.settle()
    [body] = receiver.bodies
    assert [e["intuitaccountid"] for e in body] == [REALM, "9130000000000002"]


def test_the_older_form_and_the_other_spelling(world: World, server: Server, receiver: Receiver) -> None:
    ledger = connected(world, server, "quickbooks", receiver)
    world.set_switch("quickbooks.void_verb", "void")
    acts.void(ledger, Ref("invoice", only_invoice(ledger)))
    assert world.delivery.settle()
    assert receiver.bodies[0][0]["type"] == "qbo.invoice.void.v1"
    world.set_switch("webhooks.legacy", True)
    acts.add_customer(ledger, name="New Cafe")
    assert world.delivery.settle()
    [company] = receiver.bodies[1]["eventNotifications"]
    [entity] = company["dataChangeEvent"]["entities"]
    assert (company["realmId"], entity["name"], entity["operation"]) == (REALM, "Customer", "Create")


def test_a_merge_names_who_vanished(world: World, server: Server, receiver: Receiver) -> None:
    ledger = connected(world, server, "quickbooks", receiver)
    twin = acts.add_customer(ledger, name="Corner Café").id
    ledger.merge_customers(twin, "1")
    assert world.delivery.settle()
    merged = next(e for e in receiver.events() if e["type"] == "qbo.customer.merged.v1")
    assert (merged["intuitentityid"], merged["data"]) == ("1", {"deletedid": twin})


def test_xero_checks_the_receiver_first_then_numbers_its_events(
    world: World, server: Server, receiver: Receiver
) -> None:
    ledger = connected(world, server, "xero", receiver)
    acts.pay(ledger, invoice=only_invoice(ledger), amount=30000)
    assert world.delivery.settle()
    check, second_check, body = receiver.bodies
    assert check["events"] == second_check["events"] == []
    assert receiver.refused == 2
    [event] = body["events"]
    assert (event["eventCategory"], event["eventType"]) == ("INVOICE", "UPDATE")
    assert event["tenantId"] == ledger.organization.id
    assert (body["firstEventSequence"], body["lastEventSequence"]) == (1, 1)
    acts.credit(ledger, invoice=only_invoice(ledger), amount=1000)
    assert world.delivery.settle()
    data = [e.get("data") for e in receiver.events() if e["eventCategory"] == "CREDITNOTE"]
    assert data[0] == {"Type": "ACCRECCREDIT", "Status": "AUTHORISED"}


def test_xero_sends_nothing_to_a_receiver_that_fails_the_check(
    world: World, server: Server, receiver: Receiver
) -> None:
    receiver.says = b"OK"
    ledger = connected(world, server, "xero", receiver)
    world.switches["webhooks.time_scale"] = 0.0
    acts.pay(ledger, invoice=only_invoice(ledger), amount=30000)
    assert world.delivery.settle()
    assert receiver.events() == []
    assert world.delivery.disabled["xero"] == "no good answer for 24 hours"
    assert world.delivery.attempts[0].why == "the answer has a body"


def test_retries_repeat_the_same_event_and_hold_later_ones_back(
    world: World, server: Server, receiver: Receiver
) -> None:
    ledger = connected(world, server, "quickbooks", receiver)
    receiver.answers = [500, 503]
    world.switches["webhooks.time_scale"] = 0.001
    acts.add_customer(ledger, name="One")
    time.sleep(0.1)
    acts.add_customer(ledger, name="Two")
    assert world.delivery.settle()
    tries = [(a.status, a.attempt) for a in world.delivery.attempts]
    assert tries[:3] == [(500, 1), (503, 2), (200, 3)]
    assert [e["intuitentityid"] for e in receiver.events()] == ["2", "3"]


def test_lost_doubled_and_wrongly_signed_ones(world: World, server: Server, receiver: Receiver) -> None:
    ledger = connected(world, server, "quickbooks", receiver)
    world.set_switch("webhooks.lose", 1)
    acts.add_customer(ledger, name="One")
    assert world.delivery.settle()
    assert receiver.events() == []
    world.set_switch("webhooks.lose", None)
    world.set_switch("webhooks.duplicate", 1)
    acts.add_customer(ledger, name="Two")
    assert world.delivery.settle()
    first, second = receiver.events()
    assert first["id"] == second["id"]
    world.set_switch("webhooks.duplicate", None)
    world.set_switch("webhooks.wrong_signature", 1)
    acts.add_customer(ledger, name="Three")
    assert world.delivery.settle()
    assert receiver.refused == 1
    world.set_switch("webhooks.off", True)
    acts.add_customer(ledger, name="Four")
    assert world.delivery.settle()
    assert len(receiver.events()) == 2


def test_a_company_that_nobody_connected_is_silent(world: World, server: Server, receiver: Receiver) -> None:
    ledger = a_company(world, "quickbooks")
    world.delivery.listen("quickbooks", receiver.url)
    acts.add_customer(ledger, name="One")
    assert world.delivery.settle()
    assert receiver.bodies == []


def test_a_payment_need_not_announce_its_invoice(world: World, server: Server, receiver: Receiver) -> None:
    ledger = connected(world, server, "xero", receiver)
    world.set_switch("xero.payment_raises_invoice_update", False)
    acts.pay(ledger, invoice=only_invoice(ledger), amount=30000)
    assert world.delivery.settle()
    assert receiver.events() == []
