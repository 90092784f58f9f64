"""A customer who owes nothing is left alone until the day that is named; nothing is concluded otherwise before it."""

import random
from dataclasses import replace
from datetime import date, timedelta

from connector.domain import stillness
from connector.domain.findings import Event, Receivables
from connector.domain.policy import Policy
from connector.domain.receivables import Allocation, Customer, Invoice, Payment, Status
from connector.reviewing import judging

TODAY = date(2026, 11, 2)
ANN = Customer("ann", "Ann", currency="USD")


def paid_up(chance, worst):
    """Some invoices over two years, all paid by TODAY: on time or up to `worst` days late, some in two parts."""
    invoices, payments = [], []
    for n in range(chance.randint(1, 14)):
        day = TODAY - timedelta(chance.randint(20, 700))
        due = day + timedelta(chance.choice([0, 14, 30]))
        last = min(TODAY, due + timedelta(chance.randint(-5, worst)))
        invoices.append(Invoice(f"i{n}", f"{n}", "ann", day, due, "USD", 900, 0, Status.PAID))
        parts = [(last, 900)] if chance.random() < 0.7 else [(day, 300), (last, 600)]
        for k, (when, amount) in enumerate(parts):
            payments.append(
                Payment(f"p{n}{k}", "ann", when, "USD", amount, 0, (Allocation(f"i{n}", amount),))
            )
    return invoices, payments


def with_a_bad_time(chance):
    """Every two weeks or month an invoice; for a time each was paid very late, before and after it on the day."""
    step, start = chance.choice([14, 30, 60]), chance.randint(150, 500)
    bad = range(start, start + chance.choice([60, 130, 240]))
    invoices, payments = [], []
    for n, ago in enumerate(range(chance.choice([90, 130, 200]), chance.choice([400, 700, 900]), step)):
        due = TODAY - timedelta(ago)
        paid = due + timedelta(chance.choice([40, 75]) if ago in bad else 0)
        total = 100_000 if ago in bad and chance.random() < 0.2 else 900
        day = due - timedelta(14)
        invoices.append(Invoice(f"i{n}", f"{n}", "ann", day, due, "USD", total, 0, Status.PAID))
        payments.append(Payment(f"p{n}", "ann", paid, "USD", total, 0, (Allocation(f"i{n}", total),)))
    return invoices, payments


def concluded(invoices, payments, day):
    made = judging.judge(ANN, invoices, payments, [], Policy(), day, country="US")
    return replace(made, as_of=None), made.next_on


def test_nothing_changes_before_the_day_that_is_named():
    chance = random.Random(11)
    moved = quiet_for_long = 0
    for turn in range(300):
        late = chance.choice([0, 10, 70])
        invoices, payments = paid_up(chance, late) if turn % 2 else with_a_bad_time(chance)
        now, until = concluded(invoices, payments, TODAY)
        assert until > TODAY
        last = min(until - timedelta(1), TODAY + timedelta(800))
        span = (last - TODAY).days
        days = {last} | {TODAY + timedelta(chance.randint(0, span)) for _ in range(4)}
        assert all(concluded(invoices, payments, day)[0] == now for day in days)
        quiet_for_long += span > 30
        moved += until < date.max and concluded(invoices, payments, until)[0] != now
    assert moved > 20  # the days named are worth naming
    assert quiet_for_long > 20  # and far enough away to be worth it


def test_whoever_owes_or_was_heard_of_is_looked_at_every_day():
    tomorrow = TODAY + timedelta(1)
    open_ = Invoice("i", "1", "ann", TODAY, date(2026, 12, 2), "USD", 900, 900, Status.OPEN)
    assert stillness.next_change(Receivables(ANN, (open_,)), TODAY) == tomorrow
    assert concluded([open_], [], TODAY)[1] == tomorrow
    said = Event("bounced", date(2026, 10, 1))
    assert stillness.next_change(Receivables(ANN, events=(said,)), TODAY) == tomorrow
    later = Event("promise", date(2026, 11, 9), promised=date(2026, 12, 1))
    judged = judging.judge(ANN, [], [], [], Policy(), TODAY, events=[later])
    assert judged.next_on == tomorrow


def test_a_customer_without_anything_is_left_alone_and_a_payment_dated_ahead_is_waited_for():
    assert stillness.next_change(Receivables(ANN), TODAY) == stillness.NEVER
    ahead = Payment("p", "ann", date(2026, 11, 20), "USD", 500, 500)
    assert stillness.next_change(Receivables(ANN, payments=(ahead,)), TODAY) == date(2026, 11, 20)
