"""Predictions: from one book as known on a day, and from nothing later."""

import random
from datetime import date, timedelta

from connector.domain.prediction.outlook import Outlook, expected_weeks, outlooks
from connector.domain.receivables import Allocation, CreditNote, Invoice, Payment, Status

TODAY = date(2026, 11, 2)  # a Monday


def books(customers, weeks=30, today=TODAY):
    """One weekly invoice at 14 days for each customer; `customers` maps a name to days late (or None: never)."""
    invoices, payments = [], []
    for name, late in customers.items():
        for week in range(weeks):
            day = today - timedelta(weeks=weeks - week)
            due = day + timedelta(14)
            id = f"{name}-{week}"
            paid = None if late is None else due + timedelta(late(week) if callable(late) else late)
            settled = paid is not None and paid <= today
            invoices.append(
                Invoice(
                    id,
                    id,
                    name,
                    day,
                    due,
                    "USD",
                    10000,
                    0 if settled else 10000,
                    Status.PAID if settled else Status.OPEN,
                )
            )
            if settled:
                payments.append(Payment(f"p{id}", name, paid, "USD", 10000, 0, (Allocation(id, 10000),)))
    return invoices, payments


def test_each_customer_is_expected_to_pay_as_they_did():
    invoices, payments = books({"prompt": -2, "slow": 12, "prompt-too": -4, "slow-too": 9})
    found = outlooks(invoices, payments, [], TODAY)
    prompt, slow = found["prompt-29"], found["slow-29"]
    assert prompt.late < 0.1
    assert slow.late > 0.9
    assert prompt.basis == slow.basis == "history"
    assert prompt.expected == date(2026, 11, 7)
    assert slow.expected == date(2026, 11, 21)
    assert prompt.earliest <= prompt.expected <= prompt.latest


def test_what_is_overdue_is_late_and_what_was_paid_is_not_predicted():
    invoices, payments = books({"slow": 12, "never": None})
    found = outlooks(invoices, payments, [], TODAY)
    assert set(found) == {i.id for i in invoices if i.balance}
    assert found["slow-27"].late == 1.0
    assert found["never-0"].late_30 == 1.0
    assert found["never-0"].expected > TODAY + timedelta(150)  # nothing says that it comes at all


def test_an_invoice_that_is_never_paid_counts_as_late_although_nothing_was_received():
    invoices, payments = books({"never": None, "prompt": -1})
    found = outlooks(invoices, payments, [], TODAY)
    assert found["never-29"].late > 0.8
    assert found["never-29"].basis == "pooled"  # the customer never settled anything


def test_a_book_without_a_past_says_so():
    fresh = Invoice("1", "1", "a", date(2026, 11, 1), date(2026, 11, 15), "USD", 10000, 10000, Status.OPEN)
    (only,) = outlooks([fresh], [], [], TODAY).values()
    assert (only.basis, only.late, only.late_30) == ("none", 0.45, 0.08)
    assert (only.earliest, only.expected, only.latest) == (
        date(2026, 11, 5),
        date(2026, 11, 15),
        date(2026, 12, 3),
    )


def test_a_new_customer_borrows_from_the_book():
    invoices, payments = books({"a": 10, "b": 11, "c": 12})
    new = Invoice("new", "new", "d", date(2026, 11, 1), date(2026, 11, 15), "USD", 10000, 10000, Status.OPEN)
    found = outlooks([*invoices, new], payments, [], TODAY)["new"]
    assert found.basis == "pooled"
    assert found.late > 0.8


def test_the_order_of_records_and_the_names_change_nothing():
    invoices, payments = books(
        {"a": 3, "b": lambda week: week % 9 - 4, "c": -2, "d": lambda week: week % 4 * 6}
    )
    before = outlooks(invoices, payments, [], TODAY)
    random.Random(1).shuffle(invoices)
    random.Random(2).shuffle(payments)
    assert outlooks(invoices, payments, [], TODAY) == before


def test_our_own_installments_and_voided_invoices_teach_nothing():
    invoices, payments = books({"a": 3})
    before = outlooks(invoices, payments, [], TODAY)
    old = date(2026, 8, 1)
    extra = [
        Invoice("v", "v", "a", old, old, "USD", 500, 0, Status.VOID),
        Invoice("p", "p", "a", old, old, "USD", 500, 500, Status.OPEN, marker="forbear PP-0001"),
        Invoice("s", "s", "a", old, old, "USD", 500, 0, Status.PAID),
    ]
    split = CreditNote("c", "c", "a", TODAY, "USD", 500, 0, (Allocation("s", 500),), marker="forbear PP-0001")
    assert outlooks([*invoices, *extra], payments, [split], TODAY) == before


def test_expected_money_by_week():
    invoice = Invoice(
        "1", "1", "a", date(2026, 11, 1), date(2026, 11, 15), "USD", 10000, 4000, Status.PARTLY_PAID
    )
    day = date(2026, 11, 18)
    weeks = expected_weeks([invoice], {"1": Outlook("1", 0.5, 0.1, day, day, day, "none")}, TODAY, weeks=3)
    assert weeks == {"USD": [(date(2026, 11, 2), 0), (date(2026, 11, 9), 0), (date(2026, 11, 16), 4000)]}
