"""Reading a pretend Xero over HTTP: facts, everything, what changed, and what cannot be read."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from connector.domain.receivables import Kind, Status
from connector.platforms import Batch, Cursor, Ledger
from sandbox import acts
from tests.adapters.xero_books import HARBOUR, Xero, xero


@pytest.fixture
def ledgers(tmp_path: Path) -> Iterator[Xero]:
    with xero(tmp_path) as running:
        yield running


def bill(running: Xero, customer: str, net: int, due: date = date(2026, 10, 20), number: str = "") -> str:
    """An invoice of 20 September with GST; its id."""
    return acts.bill(
        running.books,
        customer=running.customer(customer),
        net=net,
        day=date(2026, 9, 20),
        due=due,
        number=number,
    ).id


def pull(ledger: Ledger, cursor: Cursor | None = None, kinds: frozenset[Kind] | None = None) -> list[Batch]:
    return list(ledger.pull(cursor, kinds))


def test_the_facts_of_an_organization(ledgers: Xero):
    ledgers.books.organization.closed_until = date(2026, 6, 30)
    ledgers.books.organization.own_reminders = True
    found = ledgers.open().organization()
    assert (found.id, found.name, found.country, found.home_currency) == (
        HARBOUR,
        "Harbour Bikes",
        "NZ",
        "NZD",
    )
    assert (found.timezone, found.closed_until) == ("Pacific/Auckland", date(2026, 6, 30))
    assert (found.reminders_on, found.auto_apply_credits) == (True, False)


def test_everything_comes_once_with_its_money(ledgers: Xero):
    first = bill(ledgers, "Kea Couriers", 100_000, number="INV-1")
    acts.pay(ledgers.books, invoice=first, amount=15_000)
    second = bill(ledgers, "Tui School", 40_000, number="INV-2")
    acts.credit(ledgers.books, invoice=second, amount=6_000)
    acts.pay(ledgers.books, customer=ledgers.customer("Tui School"), amount=50_000)

    batches = pull(ledgers.open())

    invoices = {i.number: i for b in batches for i in b.invoices}
    assert (invoices["INV-1"].total, invoices["INV-1"].balance, invoices["INV-1"].tax) == (
        115_000,
        100_000,
        15_000,
    )
    assert invoices["INV-1"].status is Status.PARTLY_PAID
    assert invoices["INV-2"].status is Status.PAID
    payments = [p for b in batches for p in b.payments]
    assert sorted((p.flavor, p.amount, p.unapplied) for p in payments) == [
        ("overpayment", 10_000, 10_000),
        ("payment", 15_000, 0),
        ("payment", 40_000, 0),
    ]
    (credit,) = [c for b in batches for c in b.credits]
    assert (credit.total, credit.remaining) == (6_000, 0)
    assert [(a.invoice_id, a.amount) for a in credit.allocations] == [(second, 6_000)]
    customers = {c.name: c for b in batches for c in b.customers}
    assert (customers["Kea Couriers"].terms_days, customers["Sydney Fit-outs"].currency) == (30, "AUD")
    assert batches[-1].complete == frozenset(Kind)
    assert all(b.cursor for b in batches)
    assert not [u for b in batches for u in b.unreadable]


def test_a_quiet_sweep_takes_three_calls_and_brings_nothing(ledgers: Xero):
    bill(ledgers, "Kea Couriers", 100_000)
    ledgers.world.clock.advance(seconds=600)
    ledger = ledgers.open()
    cursor = pull(ledger)[-1].cursor
    ledgers.world.clock.advance(seconds=600)
    seen_in_turn = set()
    for _ in range(4):
        mark = len(ledgers.meter.calls)
        batches = pull(ledger, cursor)
        calls = ledgers.meter.since(mark)
        assert len(calls) == 3
        assert calls[:2] == ["GET Invoices", "GET Payments"]
        seen_in_turn.add(calls[2])
        assert not [r for b in batches for r in (*b.customers, *b.invoices, *b.payments, *b.credits)]
        cursor = batches[-1].cursor
        ledgers.world.clock.advance(seconds=600)
    assert seen_in_turn == {"GET CreditNotes", "GET Overpayments", "GET Prepayments", "GET Contacts"}


def test_a_payment_and_its_invoice_come_with_one_sweep_of_three_calls(ledgers: Xero):
    invoice = bill(ledgers, "Kea Couriers", 100_000, number="INV-1")
    ledger = ledgers.open()
    cursor = pull(ledger)[-1].cursor
    ledgers.world.clock.advance(seconds=600)
    acts.pay(ledgers.books, invoice=invoice, amount=15_000)
    mark = len(ledgers.meter.calls)

    batches = pull(ledger, cursor)

    assert len(ledgers.meter.since(mark)) == 3
    assert [(i.id, i.balance) for b in batches for i in b.invoices] == [(invoice, 100_000)]
    assert [(p.amount, p.allocations[0].invoice_id) for b in batches for p in b.payments] == [
        (15_000, invoice)
    ]


def test_a_webhook_for_an_invoice_reads_invoices_and_payments_only(ledgers: Xero):
    bill(ledgers, "Kea Couriers", 100_000)
    ledger = ledgers.open()
    cursor = pull(ledger)[-1].cursor
    for kind, calls in (
        (Kind.INVOICE, ["GET Invoices", "GET Payments"]),
        (Kind.CUSTOMER, ["GET Contacts"]),
        (Kind.CREDIT, ["GET Invoices", "GET CreditNotes"]),
        (Kind.PAYMENT, ["GET Invoices", "GET Payments", "GET Overpayments", "GET Prepayments"]),
    ):
        ledgers.world.clock.advance(seconds=600)
        mark = len(ledgers.meter.calls)
        cursor = pull(ledger, cursor, frozenset({kind}))[-1].cursor
        assert ledgers.meter.since(mark) == calls


def test_a_credit_on_a_changed_invoice_is_read_in_the_same_sweep(ledgers: Xero):
    invoice = bill(ledgers, "Kea Couriers", 100_000)
    ledger = ledgers.open()
    cursor = pull(ledger)[-1].cursor
    ledgers.world.clock.advance(seconds=600)
    acts.credit(ledgers.books, invoice=invoice, amount=5_000)
    mark = len(ledgers.meter.calls)

    batches = pull(ledger, cursor)

    assert ledgers.meter.since(mark) == ["GET Invoices", "GET Payments", "GET CreditNotes"]
    assert [c.total for b in batches for c in b.credits] == [5_000]


def test_deleted_payments_leave_and_voided_invoices_stay_as_void(ledgers: Xero):
    paid = bill(ledgers, "Kea Couriers", 100_000)
    void = bill(ledgers, "Tui School", 20_000)
    (payment,) = acts.pay(ledgers.books, invoice=paid)
    ledger = ledgers.open()
    cursor = pull(ledger)[-1].cursor
    ledgers.world.clock.advance(seconds=600)
    ledgers.books.delete(payment_ref(payment.id))
    acts.void(ledgers.books, invoice_ref(void))

    batches = pull(ledger, cursor)

    assert (Kind.PAYMENT, payment.id) in [r for b in batches for r in b.removed]
    found = {i.id: i for b in batches for i in b.invoices}
    assert (found[paid].status, found[paid].balance) == (Status.OPEN, 115_000)
    assert (found[void].status, found[void].balance) == (Status.VOID, 0)


def payment_ref(id: str):
    from sandbox.documents import Ref

    return Ref("payment", id)


def invoice_ref(id: str):
    from sandbox.documents import Ref

    return Ref("invoice", id)
