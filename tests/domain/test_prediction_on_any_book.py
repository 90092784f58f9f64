"""Whatever the book is like, a prediction is a chance, its days are in order and ahead, and nothing breaks."""

import datetime as dt
import math
from collections.abc import Callable
from random import Random

import pytest

from connector.domain.prediction.history import history, learnable
from connector.domain.prediction.model import fit
from connector.domain.prediction.outlook import answers, expected_weeks
from connector.domain.receivables import Allocation, Invoice, Payment, Status

TODAY = dt.date(2026, 11, 20)


def book(
    count: int = 60,
    *,
    late: Callable[[Random, int], int | None] = lambda chance, n: chance.randint(-5, 20),
    issued: Callable[[int], dt.date] = lambda n: TODAY - dt.timedelta(6 * n + 1),
    paid_on: Callable[[dt.date], dt.date] = lambda day: day,
    terms: int = 30,
    customers: int = 6,
    amount: Callable[[Random], int] = lambda chance: chance.randint(1, 10**7),
    currency: str = "USD",
) -> tuple[list[Invoice], list[Payment]]:
    chance = Random(count + customers)
    invoices, payments = [], []
    for n in range(count):
        who, id, total = f"c{n % customers}", f"i{n}", amount(chance)
        day = issued(n)
        due, lateness = day + dt.timedelta(terms), late(chance, n)
        paid = paid_on(max(day, due + dt.timedelta(lateness))) if lateness is not None else None
        if paid and paid <= TODAY:
            payments.append(Payment(f"p{n}", who, paid, currency, total, 0, (Allocation(id, total, paid),)))
            invoices.append(Invoice(id, id, who, day, due, currency, total, 0, Status.PAID))
        else:
            invoices.append(Invoice(id, id, who, day, due, currency, total, total, Status.OPEN))
    return invoices, payments


def fridays(day: dt.date) -> dt.date:
    return day + dt.timedelta((4 - day.weekday()) % 7)


def month_ends(day: dt.date) -> dt.date:
    return (day.replace(day=28) + dt.timedelta(4)).replace(day=1) - dt.timedelta(1)


BOOKS: dict[str, tuple[list[Invoice], list[Payment]]] = {
    "nothing": ([], []),
    "one open": book(1, late=lambda chance, n: None),
    "one paid": book(1, issued=lambda n: TODAY - dt.timedelta(80), late=lambda chance, n: 0),
    "thirty": book(30),
    "one customer": book(customers=1),
    "everybody new": book(40, customers=40),
    "paid every Friday": book(paid_on=fridays),
    "by statement at the end of the month": book(paid_on=month_ends),
    "all early": book(late=lambda chance, n: -chance.randint(5, 25)),
    "all late": book(late=lambda chance, n: chance.randint(40, 90)),
    "nothing ever settled": book(late=lambda chance, n: None),
    "all on one day": book(issued=lambda n: TODAY - dt.timedelta(50), late=lambda chance, n: 3 if n % 2 else None),
    "all amounts alike": book(amount=lambda chance: 10_000),
    "enormous and tiny": book(amount=lambda chance: chance.choice([1, 10**14])),
    "yen only": book(currency="JPY"),
    "due before it was issued": book(terms=-10),
    "due in years": book(terms=1500),
    "a hundred years old": book(issued=lambda n: dt.date(1926, 1, 1) + dt.timedelta(n)),
    "old and open": book(issued=lambda n: dt.date(1996, 1, 1) + dt.timedelta(n), late=lambda chance, n: None),
    "issued ahead": book(issued=lambda n: TODAY + dt.timedelta(5 - n)),
}  # fmt: skip


@pytest.mark.parametrize("name", BOOKS)
def test_a_prediction_is_a_chance_and_days_in_order(name: str) -> None:
    invoices, payments = BOOKS[name]
    columns, ids = history(*learnable(invoices, payments, []), TODAY)
    model = fit(columns, TODAY.toordinal())
    said = answers(model, ids)
    assert said.keys() == {i.id for i in invoices if i.balance}
    for invoice in invoices:
        if one := said.get(invoice.id):
            assert 0 <= one.late_30 <= one.late <= 1
            assert one.stays_open is None or 0 <= one.stays_open <= 1
            assert TODAY < one.earliest <= one.expected <= one.latest <= TODAY + dt.timedelta(5 * 365)
            for limit, chance in ((0, one.late), (30, one.late_30)):  # the day says what the chance says
                edge = invoice.due + dt.timedelta(limit)
                assert (
                    one.expected > edge
                    if chance > 0.5
                    else one.expected <= max(edge, TODAY + dt.timedelta(1))
                )
            if TODAY - invoice.due > dt.timedelta(60):
                assert one.earliest < one.latest
            assert one.basis in ("history", "pooled", "none")
            assert (one.late == 1) or invoice.due >= TODAY
    assert all(amount >= 0 for weeks in expected_weeks(invoices, said, TODAY).values() for _, amount in weeks)
    for compared in (model.record.late, model.record.late_30):
        figures = (compared.error, compared.error_of_own_rate, compared.error_of_one_rate)
        assert all(math.isfinite(f) and 0 <= f <= 1 for f in figures)
        assert compared.flagged_late <= min(compared.flagged, compared.happened)


def test_who_pays_early_always_is_not_expected_late_and_who_pays_late_is() -> None:
    early, late = (
        answers(fit(columns, TODAY.toordinal()), ids)
        for name in ("all early", "all late")
        for columns, ids in [history(*learnable(*BOOKS[name], []), TODAY)]
    )
    assert all(one.late < 0.5 for one in early.values())
    assert all(one.late > 0.5 for one in late.values())
