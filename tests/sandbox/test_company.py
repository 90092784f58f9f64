"""The sample companies: always the same, varied like a real small business, and with the stories that are promised."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from sandbox.clock import Clock
from sandbox.company import sample_companies
from sandbox.documents import Ref
from sandbox.ledger import Ledger
from sandbox.reports import aged_receivables, trial_balance

TODAY = date(2026, 11, 21)


@pytest.fixture(scope="module")
def companies() -> list[Ledger]:
    return sample_companies(Clock(TODAY))


@pytest.fixture(params=[0, 2], ids=["quickbooks", "xero"])
def supplier(request: pytest.FixtureRequest, companies: list[Ledger]) -> Ledger:
    return companies[request.param]


def named(ledger: Ledger, quickbooks: str, xero: str) -> str:
    name = quickbooks if ledger.organization.platform == "quickbooks" else xero
    found = ledger.customer_by_name(name)
    assert found is not None
    return found.id


def invoices(ledger: Ledger, customer: str) -> list[object]:
    return ledger.documents_of(customer, "invoice")


def test_there_is_an_accrual_and_a_cash_company_on_each_ledger(companies: list[Ledger]) -> None:
    facts = [
        (x.organization.platform, x.organization.income_basis, x.organization.home_currency)
        for x in companies
    ]
    assert facts == [
        ("quickbooks", "accrual", "USD"), ("quickbooks", "cash", "USD"), ("xero", "accrual", "NZD"), ("xero", "cash", "GBP"),
    ]  # fmt: skip


def test_a_supplier_has_about_sixty_customers_over_two_years(supplier: Ledger) -> None:
    assert 55 <= len(supplier.customers) <= 65
    dates = [i.date for i in supplier.invoices]
    assert min(dates) < TODAY - timedelta(days=700)
    assert max(dates) >= TODAY - timedelta(days=7)
    assert max(dates) <= TODAY
    assert sum(trial_balance(supplier).values()) == sum(trial_balance(supplier, "cash").values()) == 0
    assert all(r.updated.date() <= TODAY for r in supplier.invoices)


def test_the_worked_example_is_among_them(companies: list[Ledger]) -> None:
    for ledger in companies:
        number = "1001" if ledger.organization.platform == "quickbooks" else "INV-1001"
        [invoice] = ledger.by_number("invoice", number)
        [fee] = ledger.by_number("invoice", "LF-1001")
        assert (invoice.date, invoice.due) == (date(2026, 8, 1), date(2026, 8, 31))
        assert (invoice.net, invoice.tax, invoice.balance) == (100000, 15000, 85000)
        assert (fee.total, fee.due, fee.balance) == (5000, date(2026, 10, 1), 5000)
        [row] = [r for r in aged_receivables(ledger, TODAY) if r.customer == invoice.customer]
        assert (row.overdue, row.buckets["31-60"], row.buckets["61-90"]) == (90000, 5000, 85000)


def test_the_squeezed_one_pays_in_parts_that_shrink(supplier: Ledger) -> None:
    customer = named(supplier, "Marigold Patisserie", "Tui Lane Patisserie")
    firsts = []
    for invoice in invoices(supplier, customer):
        made = supplier.allocations_to(Ref("invoice", invoice.id))  # type: ignore[attr-defined]
        if made and made[0].amount < invoice.total:  # type: ignore[attr-defined]
            firsts.append(made[0].amount / invoice.total)  # type: ignore[attr-defined]
    assert len(firsts) >= 4
    assert firsts[0] > 0.5 > firsts[-1]
    assert all(later < earlier + 0.02 for earlier, later in zip(firsts, firsts[1:], strict=False))


def test_a_slow_payer_always_pays_in_the_end(supplier: Ledger) -> None:
    customer = named(supplier, "Isle of Pies", "Ivy Lane Supper Club")
    old = [i for i in invoices(supplier, customer) if i.due < TODAY - timedelta(days=45)]  # type: ignore[attr-defined]
    assert len(old) > 10
    assert all(i.balance == 0 for i in old)  # type: ignore[attr-defined]


def test_money_waits_disputes_stand_and_promises_were_broken(supplier: Ledger) -> None:
    waiting = named(supplier, "Saffron Street Food", "Wadestown Wholefoods")
    [row] = [r for r in aged_receivables(supplier, TODAY) if r.customer == waiting]
    assert row.unapplied >= 25000
    disputing = named(supplier, "Castle Court Events", "Te Aro Events")
    flagged = [i for i in invoices(supplier, disputing) if i.flags]  # type: ignore[attr-defined]
    assert flagged
    assert all(i.balance for i in flagged)  # type: ignore[attr-defined]
    broken = named(supplier, "Blue Heron Grill", "Miramar Studio Catering")
    words = [
        n.text
        for i in invoices(supplier, broken)
        if i.balance  # type: ignore[attr-defined]
        for n in supplier.notes(Ref("invoice", i.id))  # type: ignore[attr-defined]
    ]
    assert any(text.startswith("Promised to pay in full on") for text in words)
    returns = named(supplier, "Tollgate Tearooms", "Khandallah Cake Club")
    assert len(supplier.documents_of(returns, "credit_note")) >= 5
    assert any(not c.active for c in supplier.customers)


def test_they_are_the_same_every_time_and_follow_today() -> None:
    first, again = sample_companies(Clock(TODAY)), sample_companies(Clock(TODAY))
    for one, two in zip(first, again, strict=True):
        assert [(i.number, i.total, i.date, i.balance) for i in one.invoices] == [
            (i.number, i.total, i.date, i.balance) for i in two.invoices
        ]
        assert [i.id for i in one.invoices] == [i.id for i in two.invoices]
    later = sample_companies(Clock(date(2027, 3, 3)))[0]
    [invoice] = later.by_number("invoice", "1001")
    assert invoice.date == date(2027, 3, 3) - timedelta(days=112)
