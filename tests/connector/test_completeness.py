"""The proof that our mirror and the ledger say the same, customer by customer."""

import datetime as dt

import pytest
from sqlalchemy.engine import Engine

from connector import config, db
from connector.domain import dunning
from connector.domain.policy import ReminderPolicy
from connector.domain.receivables import Invoice, Status
from connector.mirroring import books, completeness, sync
from tests.connector.json_ledger import Ledgers

TODAY = dt.date(2026, 11, 21)


@pytest.fixture
def synced(store: Engine, installation: config.Config, connected: str, ledgers: Ledgers) -> Ledgers:
    for id in ("1", "2"):
        ledgers.customer(id)
        ledgers.invoice(f"i{id}", id, 10_000)
    ledgers.payment("p1", "1", 4_000)
    sync.sync(store, installation, connected)
    with db.transaction(store) as tx:
        books.reviewed(tx, connected, books.changed(tx, connected))
    return ledgers


def test_equal_books_have_no_differences(
    store: Engine, installation: config.Config, connected: str, synced: Ledgers
) -> None:
    synced.set(calls=[])
    assert completeness.compare(store, installation, connected) == []
    assert synced.calls() == ["balances", "open_invoices"]


def test_a_difference_is_named_per_customer_until_it_is_gone(
    store: Engine, installation: config.Config, connected: str, synced: Ledgers
) -> None:
    synced.set(balances={"1": {"USD": 6_000}, "2": {"USD": 10_001, "EUR": 5}, "9": {"USD": 300}})
    found = completeness.compare(store, installation, connected)
    assert [(d.customer_id, d.currency, d.ours, d.theirs) for d in found] == [
        ("9", "USD", 0, 300),
        ("2", "EUR", 0, 5),
        ("2", "USD", 10_000, 10_001),
    ]
    with db.reading(store) as tx:
        assert [d.currency for d in completeness.differences(tx, connected, "2")] == ["EUR", "USD"]
        assert set(books.changed(tx, connected)) == {"2", "9"}
        first = completeness.differences(tx, connected, "9")[0].first_seen_at
    synced.set(balances={"1": {"USD": 6_000}, "2": {"USD": 10_000}, "9": {"USD": 301}})
    [left] = completeness.compare(store, installation, connected)
    assert (left.customer_id, left.theirs, left.first_seen_at) == ("9", 301, first)
    synced.set(balances=None)
    assert completeness.compare(store, installation, connected) == []


def test_mistakes_that_cancel_out_in_the_sum_show_in_the_count_and_hold_the_customer(
    store: Engine, installation: config.Config, connected: str, synced: Ledgers
) -> None:
    synced.set(open_invoices={"1": {"USD": 1}, "2": {"USD": 2}})
    [found] = completeness.compare(store, installation, connected)
    assert (found.customer_id, found.ours, found.theirs) == ("2", 10_000, 10_000)
    assert (found.our_invoices, found.their_invoices) == (1, 2)
    facts = dunning.Guard(
        live=True, ledger_reminders_on=False, hours_since_sync=1, open_invoices={"USD": (2, 1)}
    )
    invoice = Invoice("i2", "1", "2", TODAY, TODAY, "USD", 10_000, 10_000, Status.OPEN)
    [reason] = dunning.guard(facts, [dunning.Open(invoice, TODAY, 10_000)], ReminderPolicy(), TODAY)
    assert reason.startswith("The ledger lists 2 open invoices, our copy 1.")
    synced.set(open_invoices=None)
    assert completeness.compare(store, installation, connected) == []


def test_a_head_offices_payment_of_a_branchs_invoice_may_stay_in_the_head_offices_balance(
    store: Engine, installation: config.Config, connected: str, synced: Ledgers
) -> None:
    """No contract says whose balance it lowers: the branch's, as its invoice, or the payer's. Both are in order."""
    synced.invoice("i3", "2", 5_000, 2_000)
    synced.payment("p2", "1", 3_000, ("i3", 3_000))
    sync.sync(store, installation, connected)
    assert completeness.compare(store, installation, connected) == []  # with the invoice
    synced.set(balances={"1": {"USD": 3_000}, "2": {"USD": 15_000}})  # with the payer
    assert completeness.compare(store, installation, connected) == []
    synced.set(
        balances={"1": {"USD": 6_000}, "2": {"USD": 15_000}}
    )  # a payment that was voided without our notice
    [found] = completeness.compare(store, installation, connected)
    assert (found.customer_id, found.ours, found.theirs) == ("2", 12_000, 15_000)


def test_a_change_made_between_the_pull_and_the_proof_is_no_difference(
    store: Engine, installation: config.Config, connected: str, synced: Ledgers
) -> None:
    synced.invoice("i2", "2", 10_000, 0)
    assert completeness.compare(store, installation, connected) == []
    with db.reading(store) as tx:
        assert [i.balance for i in books.invoices(tx, connected, "2")] == [0]
