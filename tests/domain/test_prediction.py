"""Predictions: from one book as known on a day, and from nothing later."""

import random
from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from connector.domain.prediction.outlook import Outlook, expected_weeks, outlooks
from connector.domain.prediction.timeline import ordered
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


def test_a_customer_who_pays_small_ones_on_time_and_large_ones_late_is_told_apart():
    invoices, payments = [], []
    for week in range(40):
        day, amount = TODAY - timedelta(weeks=40 - week), 400000 if week % 2 else 5000
        due = day + timedelta(14)
        paid = due + timedelta(9 if week % 2 else -1)
        done = paid <= TODAY
        id = f"i{week}"
        invoices.append(
            Invoice(
                id,
                id,
                "a",
                day,
                due,
                "USD",
                amount,
                0 if done else amount,
                Status.PAID if done else Status.OPEN,
            )
        )
        if done:
            payments.append(Payment(f"p{week}", "a", paid, "USD", amount, 0, (Allocation(id, amount),)))
    due = date(2026, 11, 16)
    small, large = (
        Invoice(name, name, "a", TODAY, due, "USD", amount, amount, Status.OPEN)
        for name, amount in (("small", 4000), ("large", 500000))
    )
    found = outlooks([*invoices, small, large], payments, [], TODAY)
    assert found["small"].late < 0.15
    assert found["large"].late > 0.85
    assert found["small"].expected < due < found["large"].expected


def test_what_today_has_ruled_out_no_longer_counts():
    """Half of theirs come ten days early, half five days late; two days before the due date it is the second kind."""
    habits = {"a": lambda week: -10 if week % 2 else 5, "b": lambda week: 5 if week % 2 else -10}
    invoices, payments = books(habits, weeks=40)
    fresh, ripe = (
        Invoice(name, name, "a", due - timedelta(14), due, "USD", 10000, 10000, Status.OPEN)
        for name, due in (("fresh", TODAY + timedelta(14)), ("ripe", TODAY + timedelta(2)))
    )
    found = outlooks([*invoices, fresh, ripe], payments, [], TODAY)
    assert 0.4 < found["fresh"].late < 0.6
    assert found["ripe"].late > 0.9
    assert found["ripe"].expected == TODAY + timedelta(7)


def test_a_year_later_and_in_another_size_of_money_the_same_is_said():
    habits = {"a": lambda week: week % 9 - 4, "b": 12, "c": lambda week: week % 4 * 6}
    invoices, payments = books(habits)
    before = outlooks(invoices, payments, [], TODAY)
    year = timedelta(364)  # whole weeks: weekdays are part of what is known
    later = [
        replace(i, date=i.date + year, due=i.due + year, total=i.total * 7, balance=i.balance * 7)
        for i in invoices
    ]
    paid = [
        replace(
            p,
            date=p.date + year,
            amount=p.amount * 7,
            allocations=tuple(replace(a, amount=a.amount * 7) for a in p.allocations),
        )
        for p in payments
    ]
    after = outlooks(later, paid, [], TODAY + year)
    assert after == {
        id: replace(o, expected=o.expected + year, earliest=o.earliest + year, latest=o.latest + year)
        for id, o in before.items()
    }


def test_a_book_of_two_months_expects_what_is_days_overdue_within_weeks():
    invoices, payments = books({"a": -2, "b": 3, "c": 0, "d": 5, "new": None}, weeks=4)
    found = outlooks(invoices, payments, [], TODAY)["new-0"]  # due two weeks ago
    assert found.late_30 < 0.5
    assert TODAY < found.earliest < found.expected <= TODAY + timedelta(30)
    assert found.latest > found.expected + timedelta(14)


def test_where_everybody_paid_on_one_day_nobody_who_has_not_is_expected_tomorrow():
    invoices, payments = books({f"c{n}": 12 for n in range(9)})
    open_ = Invoice("x", "x", "c1", date(2026, 8, 10), date(2026, 8, 24), "USD", 10000, 10000, Status.OPEN)
    found = outlooks([*invoices, open_], payments, [], TODAY)["x"]
    assert found.expected > TODAY + timedelta(30)
    assert found.latest > found.expected > found.earliest


def test_rows_are_ordered_by_any_number_of_columns_of_any_width():
    chance = np.random.default_rng(5)
    for _ in range(40):
        count, width = int(chance.integers(0, 50)), int(chance.integers(1, 63))
        wide, few = chance.integers(0, 2**width, count), chance.integers(-2, 3, count)
        columns = (few, wide, wide[::-1], few[::-1], chance.integers(0, 2**62, count))
        for n in range(1, len(columns) + 1):
            assert ordered(*columns[:n]).tolist() == np.lexsort(columns[:n][::-1]).tolist()
