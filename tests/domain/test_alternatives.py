"""Two or three lengths side by side: total cost, and a chance of completion that is a range and an estimate."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from connector.domain.alternatives import alternatives, chance, spare
from connector.domain.plan import Installment, Plan
from connector.domain.policy import Mode, PlanPolicy
from connector.domain.propose import Wish, propose, sources
from connector.domain.receivables import Allocation, Invoice, Payment, Status

TODAY = date(2026, 11, 2)
POLICY = PlanPolicy()


def rows(*amounts, first=7, every=30):
    days = [TODAY + timedelta(first + every * n) for n in range(len(amounts))]
    return tuple(Installment(n, d, d, a) for n, (d, a) in enumerate(zip(days, amounts, strict=True), 1))


def received(*amounts, parts=()):
    """One payment a month for invoices of their own, oldest first, the last a fortnight ago; `parts` on the debt."""
    old = TODAY - timedelta(360)
    debt = Invoice("debt", "77", "a", old, old + timedelta(30), "USD", 900000, 600000, Status.PARTLY_PAID)
    payments = []
    for back, amount in enumerate(reversed(amounts)):
        day = TODAY - timedelta(14 + 30 * back)
        payments.append(Payment(f"p{back}", "a", day, "USD", amount, 0, (Allocation(f"i{back}", amount),)))
    for back, amount in enumerate(reversed(parts)):
        day = TODAY - timedelta(14 + 30 * back)
        payments.append(Payment(f"d{back}", "a", day, "USD", amount, 0, (Allocation("debt", amount),)))
    return [debt], payments


def test_what_could_be_spared_is_a_share_of_receipts_and_all_of_part_payments():
    invoices, payments = received(*[400000] * 12, parts=[50000] * 3)
    assert spare(invoices, payments, "USD", POLICY, TODAY) == [100000] * 9 + [150000] * 3
    assert spare(invoices, payments, "EUR", POLICY, TODAY) == []


def test_a_void_payment_and_money_of_the_day_after_show_nothing():
    invoices, payments = received(*[400000] * 12)
    gone = [replace(p, void=True) for p in payments[:1]]
    later = [Payment("x", "a", TODAY + timedelta(1), "USD", 999999, 0)]
    assert spare(invoices, [*gone, *payments[1:], *later], "USD", POLICY, TODAY) == [100000] * 11 + [0]


def test_who_could_always_spare_more_than_is_asked_is_likely_to_keep_it_but_never_surely():
    found = chance(rows(90000, 90000, 90000), [100000] * 12, TODAY)
    assert (found.low, found.high, found.months) == (90, 95, 12)  # 13 of 14


def test_who_could_never_spare_it_is_unlikely_to_keep_it_but_not_surely():
    found = chance(rows(200000, 200000, 200000), [100000] * 12, TODAY)
    assert (found.low, found.high) == (5, 10)  # 1 of 14


def test_uneven_months_make_the_range_wide():
    uneven = [200000, 0] * 6  # enough over two months, nothing in every other
    found = chance(rows(90000, 90000, 90000), uneven, TODAY)
    assert (found.low, found.high) == (50, 95)  # 7 of 14 on time, 13 of 14 with one a month behind
    assert found.words == "kept to the end: 50 to 95 % (an estimate)"


def test_a_short_history_says_nothing():
    assert chance(rows(100), [100] * 3, TODAY) is None


def test_lengths_side_by_side_longer_is_easier_and_costs_no_less():
    invoices, payments = received(*[400000, 240000] * 6)
    drawn = propose(invoices, POLICY, TODAY, invoices=invoices, payments=payments, wish=Wish(installments=6))
    plan = Plan("PP-0001", 1, "a", "USD", Mode.SPLIT, sources(invoices), drawn.rows, TODAY, drawn.terms)
    found = alternatives(plan, POLICY, "US", invoices=invoices, payments=payments, today=TODAY)
    assert [(a.count, a.each, a.total, a.interest) for a in found] == [
        (4, 150000, 600000, 0),
        (6, 100000, 600000, 0),
        (8, 75000, 600000, 0),
    ]
    assert [(a.chance.low, a.chance.high) for a in found] == [(5, 10), (5, 10), (50, 95)]
    assert found[1].until == plan.rows[-1].due


def test_interest_makes_the_longer_one_dearer():
    invoices, payments = received(*[400000] * 12)
    wish = Wish(installments=6, annual_percent=Decimal(12))
    drawn = propose(invoices, POLICY, TODAY, invoices=invoices, payments=payments, wish=wish)
    plan = Plan("PP-0001", 1, "a", "USD", Mode.NOTES, sources(invoices), drawn.rows, TODAY, drawn.terms)
    found = alternatives(plan, POLICY, "US", invoices=invoices, payments=payments, today=TODAY)
    assert 0 < found[0].interest < found[1].interest < found[2].interest
    assert all(a.total == 600000 + a.interest for a in found)


def test_paying_more_in_the_past_never_lowers_the_chance():
    asked = rows(90000, 90000, 90000)
    before = chance(asked, [80000, 100000, 60000, 120000, 90000, 90000], TODAY)
    for month in range(6):
        months = [80000, 100000, 60000, 120000, 90000, 90000]
        months[month] += 40000
        after = chance(asked, months, TODAY)
        assert after.low >= before.low
        assert after.high >= before.high
