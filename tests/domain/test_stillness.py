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


def who_owes(chance):
    """Invoices at regular intervals, paid by some habit, in parts or not; a few of them never."""
    step, late = chance.choice([5, 14, 30, 60]), chance.choice([0, 5, 12, 35, 60])
    in_parts, never = chance.choice([0, 0, 0.3, 0.8]), chance.choice([0.05, 0.05, 0.3])
    nearly = chance.random() < 0.15  # all but a trifle
    invoices, payments = [], []
    for n in range(chance.randint(1, 30)):
        day = TODAY - timedelta(n * step + chance.randint(0, 4))
        due, total = day + timedelta(chance.choice([0, 14, 30])), chance.randint(1, 9) * 10_000
        last = due + timedelta(80 if chance.random() < 0.05 else late + chance.randint(-5, 8))
        parts = [(last, total)]
        if chance.random() < in_parts:
            parts = [(last - timedelta(10), total // 2), (last + timedelta(20), total - total // 2)]
        if nearly and chance.random() < 0.5:
            last_day, amount = parts.pop()
            parts += [(last_day, amount - 50), (last_day + timedelta(30), 50)]
        if chance.random() < never:
            parts = parts[:-1]
        parts = [(when, amount) for when, amount in parts if day <= when <= TODAY]
        balance, currency = total - sum(a for _, a in parts), "EUR" if chance.random() < 0.05 else "USD"
        status = Status.PAID if balance == 0 else Status.PARTLY_PAID if parts else Status.OPEN
        marker = "plan=PP-0001" if chance.random() < 0.02 else ""
        invoices.append(
            Invoice(f"i{n}", f"{n}", "ann", day, due, currency, total, balance, status, marker=marker)
        )
        for k, (when, amount) in enumerate(parts):
            split = (Allocation(f"i{n}", amount, when),)
            payments.append(Payment(f"p{n}{k}", "ann", when, currency, amount, 0, split))
    return invoices, payments


def kinds(made):
    """What of a conclusion is more than a count."""
    sums = [(b.currency, b.open) for b in made.balances]
    return [(f.kind, f.currency) for f in made.findings], made.segment, made.path, sums


def test_between_the_days_that_are_named_only_counts_grow_for_whoever_owes():
    chance = random.Random(7)
    owing = moved = quiet_for_a_week = 0
    for _ in range(120):
        invoices, payments = who_owes(chance)
        now, until = concluded(invoices, payments, TODAY)
        assert until > TODAY
        if not any(i.balance for i in invoices):
            continue
        owing += 1
        for ahead in range(1, (until - TODAY).days):
            day = TODAY + timedelta(ahead)
            assert kinds(concluded(invoices, payments, day)[0]) == kinds(now), day
        quiet_for_a_week += (until - TODAY).days > 7
        moved += kinds(concluded(invoices, payments, until)[0]) != kinds(now)
    assert owing > 60
    assert moved > owing / 3  # the days named are worth naming
    assert quiet_for_a_week > owing / 4  # and far enough away to be worth it


def test_whoever_was_heard_of_is_looked_at_every_day():
    tomorrow = TODAY + timedelta(1)
    said = Event("bounced", date(2026, 10, 1))
    assert stillness.next_change(Receivables(ANN, events=(said,)), Policy(), TODAY) == tomorrow
    later = Event("promise", date(2026, 11, 9), promised=date(2026, 12, 1))
    judged = judging.judge(ANN, [], [], [], Policy(), TODAY, events=[later])
    assert judged.next_on == tomorrow


def test_an_invoice_that_is_not_due_is_waited_for():
    open_ = Invoice("i", "1", "ann", TODAY, date(2026, 11, 20), "USD", 900, 900, Status.OPEN)
    assert stillness.next_change(Receivables(ANN, (open_,)), Policy(), TODAY) == date(2026, 11, 21)
    far = replace(open_, due=date(2027, 3, 1))  # nobody who owes is left alone longer than four weeks
    assert stillness.next_change(Receivables(ANN, (far,)), Policy(), TODAY) == date(2026, 11, 30)


def test_the_silence_after_a_trifle_begins_with_what_is_missed():
    def invoice(id, ago, balance):
        due = TODAY - timedelta(ago)
        status = Status.PARTLY_PAID if balance < 90_000 else Status.OPEN
        return Invoice(id, id, "ann", due - timedelta(30), due, "USD", 90_000, balance, status)

    trifle, missed = invoice("1", 70, 50), invoice("2", 40, 90_000)
    paid = Payment("p", "ann", trifle.due, "USD", 89_950, 0, (Allocation("1", 89_950),))
    made, until = concluded([trifle, missed], [paid], TODAY)
    assert until == TODAY + timedelta(5)
    assert "silent" not in {f.kind for f in made.findings}
    assert "silent" in {f.kind for f in concluded([trifle, missed], [paid], until)[0].findings}


def test_a_customer_without_anything_is_left_alone_and_a_payment_dated_ahead_is_waited_for():
    assert stillness.next_change(Receivables(ANN), Policy(), TODAY) == stillness.NEVER
    ahead = Payment("p", "ann", date(2026, 11, 20), "USD", 500, 500)
    assert stillness.next_change(Receivables(ANN, payments=(ahead,)), Policy(), TODAY) == date(2026, 11, 20)
