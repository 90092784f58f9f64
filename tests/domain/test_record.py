"""How right we would have been over the year, and the customer's own rate where we would not."""

import random
from datetime import date

import numpy as np
import pytest

from connector.domain.prediction.history import history, learnable
from connector.domain.prediction.model import fit
from connector.domain.prediction.outlook import outlooks
from connector.domain.receivables import Allocation, Invoice, Payment, Status
from tests.domain.test_prediction import TODAY, books


def model(invoices, payments):
    return fit(history(*learnable(invoices, payments, []), TODAY)[0], TODAY.toordinal())


def on_the_due_date(weekend_shift, seed=0):
    """Two customers who pay on the due date; what falls due on a weekend is paid on Monday."""
    chance, invoices, payments = random.Random(seed), [], []
    for n in range(240):
        due = date.fromordinal(TODAY.toordinal() - 250 + n)
        day = date.fromordinal(due.toordinal() - 14)
        paid = date.fromordinal(
            due.toordinal() + (7 - due.weekday() if due.weekday() > 4 else weekend_shift(chance))
        )
        id, who = f"i{n}", "ab"[n % 2]
        invoices.append(Invoice(id, id, who, day, due, "USD", 10000, 0, Status.PAID))
        payments.append(Payment(f"p{n}", who, paid, "USD", 10000, 0, (Allocation(id, 10000),)))
    return invoices, payments


def test_who_pays_on_the_due_date_is_late_by_the_ledger_on_weekends_only():
    invoices, payments = on_the_due_date(lambda _: 0)
    friday, sunday = (
        Invoice(f"f{d}", "", "a", date(2026, 11, 1), date(2026, 11, d), "USD", 10000, 10000, Status.OPEN)
        for d in (13, 15)
    )
    found = outlooks([*invoices, friday, sunday], payments, [], TODAY)
    assert found[friday.id].late < 0.05
    assert found[sunday.id].late > 0.95
    assert found[friday.id].expected == date(2026, 11, 13)
    assert found[sunday.id].expected == date(2026, 11, 16)  # the Monday
    record = model(invoices, payments).record
    assert record.late.better
    assert not record.falls_back(0)
    assert record.late.error < record.late.error_of_own_rate / 2


def test_the_record_counts_every_invoice_of_the_year_once():
    invoices, payments = on_the_due_date(lambda _: 0)
    late = model(invoices, payments).record.late
    weekends = sum(i.due.weekday() > 4 for i in invoices)
    assert (late.invoices, late.happened) == (240, weekends)
    assert sum(b.invoices for b in late.bands) == sum(m.invoices for m in late.months) == 240
    assert sum(m.happened for m in late.months) == weekends
    assert late.flagged_late <= min(late.flagged, late.happened)


def test_where_it_was_not_better_the_customers_own_rate_is_the_answer():
    chance = random.Random(5)
    flips = {name: [chance.choice((-3, 6)) for _ in range(60)] for name in ("a", "b", "c")}
    invoices, payments = books({n: (lambda week, of=of: of[week]) for n, of in flips.items()}, weeks=50)
    learned = model(invoices, payments)
    assert not learned.record.late.better  # a coin has no weekday, no size and no memory
    assert learned.record.falls_back(0)
    rows = np.flatnonzero(learned.alike.history.settled > TODAY.toordinal())
    issued = learned.alike.history.issued[rows]
    own = learned.alike.own.late(learned.alike.history.customer[rows], issued)
    assert learned.chance(rows, issued) == pytest.approx(own, abs=0.01)  # on the day of issue
    day = np.full(len(rows), TODAY.toordinal())
    overdue = learned.alike.history.due[rows] < TODAY.toordinal()
    assert (learned.chance(rows, day)[overdue] == 1).all()


def test_a_small_book_compares_nothing_and_falls_back_to_nothing():
    invoices, payments = books({"a": 3}, weeks=12)
    record = model(invoices, payments).record
    assert not record.late.enough
    assert not record.falls_back(0)


def test_nothing_that_happened_later_changes_what_would_have_been_said():
    """The record of an earlier day, and the same invoices in the record of today, were said the same."""
    invoices, payments = books({"a": lambda week: 9 + week % 3, "b": -1}, weeks=40)
    whole = model(invoices, payments).alike
    then = date(2026, 7, 6)
    known = [i for i in invoices if i.date <= then]
    paid = [p for p in payments if p.date <= then]
    done = {p.allocations[0].invoice_id for p in paid}
    as_then = [
        i
        if i.id in done
        else Invoice(i.id, i.number, i.customer_id, i.date, i.due, "USD", 10000, 10000, Status.OPEN)
        for i in known
    ]
    columns, ids = history(*learnable(as_then, paid, []), then)
    earlier = fit(columns, then.toordinal()).alike
    all_ids = history(*learnable(invoices, payments, []), TODAY)[1]
    rows = np.array([ids.index(i) for i in ids])
    same = np.array([all_ids.index(i) for i in ids])
    for said, now in zip(earlier.late(rows, columns.issued), whole.late(same, columns.issued), strict=True):
        assert said == pytest.approx(now)
