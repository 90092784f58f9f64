"""Whole companies behind the pretend Xero: every list fits Xero's contract and the sums are the ledger's own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from sandbox.books import read
from sandbox.clock import Clock
from sandbox.company import sample_companies
from sandbox.ledger import Ledger
from sandbox.money import to_decimal
from sandbox.reports import aged_receivables
from tests.conftest import shared
from tests.sandbox.xero_office import Office, office

KINDS = ("Contacts", "Invoices", "Payments", "CreditNotes", "Overpayments", "Prepayments")
ORDERS = {
    "Contacts": "ContactID",
    "Invoices": "InvoiceID",
    "Payments": "PaymentID",
    "CreditNotes": "CreditNoteID",
}


def everything(xero: Office, kind: str, size: int = 100) -> list[dict[str, Any]]:
    """All rows of a kind, page by page."""
    found: list[dict[str, Any]] = []
    page = 1
    while True:
        reply = xero.get(f"/{kind}", page=page, pageSize=size, includeArchived="true")
        found += reply[kind]
        if page >= reply["pagination"]["pageCount"]:
            assert len(found) == reply["pagination"]["itemCount"]
            return found
        page += 1


def open_by_currency(xero: Office, size: int = 100) -> dict[str, Decimal]:
    """What is owed by the API's rows, less the credit that waits."""
    owed: dict[str, Decimal] = defaultdict(Decimal)
    for row in everything(xero, "Invoices", size):
        if row["Status"] in ("AUTHORISED", "PAID"):
            owed[row["CurrencyCode"]] += row["AmountDue"]
            assert row["AmountDue"] + row["AmountPaid"] + row["AmountCredited"] == row["Total"]
    for kind in ("CreditNotes", "Overpayments", "Prepayments"):
        for row in everything(xero, kind, size):
            if row["Status"] == "AUTHORISED":
                owed[row["CurrencyCode"]] -= row["RemainingCredit"]
    return {currency: amount for currency, amount in owed.items() if amount}


def aged_by_currency(ledger: Ledger) -> dict[str, Decimal]:
    """The same from the ledger's own aged receivables."""
    owed: dict[str, Decimal] = defaultdict(Decimal)
    for row in aged_receivables(ledger, ledger.today()):
        owed[row.currency] += to_decimal(row.total, row.currency)
    return {currency: amount for currency, amount in owed.items() if amount}


@pytest.fixture(params=[0, 1])
def sample(request: pytest.FixtureRequest) -> Iterator[Office]:
    clock = Clock(date(2026, 11, 21))
    companies = [found for found in sample_companies(clock) if found.organization.platform == "xero"]
    with office(ledger=companies[request.param]) as found:
        yield found


def test_every_list_of_a_sample_company_fits_the_contract(sample: Office) -> None:
    rows = {kind: everything(sample, kind) for kind in KINDS}

    assert len(rows["Contacts"]) == len(sample.ledger.customers)
    assert len(rows["Invoices"]) == len(sample.ledger.invoices)
    assert len(rows["Payments"]) == len(sample.ledger.payments) + len(sample.ledger.refunds)
    for kind, name in ORDERS.items():
        keys = [(row["UpdatedDateUTC"], row[name]) for row in rows[kind]]
        assert keys == sorted(keys, key=lambda key: (int(key[0][6:19]), key[1]))
    for path in (
        "/Organisation",
        "/Accounts",
        "/TaxRates",
        "/Currencies",
        "/BatchPayments",
        "/Reports/TrialBalance",
    ):
        assert sample.call("GET", path).status_code == 200


def test_the_api_owes_what_the_ledger_owes(sample: Office) -> None:
    assert open_by_currency(sample) == aged_by_currency(sample.ledger)
    contacts = sum(
        row["Balances"]["AccountsReceivable"]["Outstanding"]
        for row in everything(sample, "Contacts")
        if "Balances" in row
    )
    assert contacts == sum(aged_by_currency(sample.ledger).values())


@pytest.mark.parametrize("name", ["highradius_until_cut", "ibm_generated"])
def test_real_receivables_come_through_to_the_cent(name: str) -> None:
    path = shared(f"data/{name}.jsonl.gz")
    clock = Clock(date(2026, 11, 21))
    for ledger in read(path, clock, ("xero",)):
        with office(ledger=ledger) as xero:
            assert open_by_currency(xero, 1000) == aged_by_currency(ledger)
            assert len(everything(xero, "Payments", 1000)) == len(ledger.payments)
            assert all(len(payment.links) == 1 for payment in ledger.payments)
