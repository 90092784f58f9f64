"""What is expected is kept when it is said, compared with what was said before, and with what came."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from connector import db
from connector.domain.receivables import Allocation, Customer, Invoice, Payment, Status
from connector.mirroring import mirror
from connector.platforms import Batch
from connector.reviewing import expecting
from connector.reviewing.conclusions import Prediction
from tests.web.office import CONNECTION

THEN, TODAY = (
    dt.date(2026, 10, 23),
    dt.date(2026, 11, 18),
)  # a Friday, and a Wednesday in the fourth week after
D = dt.timedelta


def _invoice(number: int, issued: dt.date, balance: int = 100_00, total: int = 100_00) -> Invoice:
    status = Status.PAID if not balance else Status.OPEN if balance == total else Status.PARTLY_PAID
    return Invoice(str(number), f"{number}", "c1", issued, issued + D(30), "USD", total, balance, status)


def _store(engine: Engine, invoices: list[Invoice], paid: dict[str, dt.date], seen: int) -> None:
    money = tuple(
        Payment(f"p{id}", "c1", on, "USD", 100_00, 0, (Allocation(id, 100_00, on),))
        for id, on in paid.items()
    )
    with db.transaction(engine) as tx:
        mirror.store(tx, CONNECTION, Batch((Customer("c1", "Kim's Bakery"),), tuple(invoices), money), seen)


def _say(engine: Engine, ids: list[str], today: dt.date) -> None:
    said = {id: Prediction(id, 0.5, 0.1, today + D(7), "history", today + D(3), today + D(14)) for id in ids}
    with db.transaction(engine) as tx:
        expecting.keep(tx, {CONNECTION: said}, {CONNECTION: {}}, {CONNECTION: today})


def test_the_present_is_compared_with_what_was_said_four_weeks_ago(engine: Engine) -> None:
    first, second = _invoice(1, dt.date(2026, 10, 1)), _invoice(2, dt.date(2026, 10, 5))
    _store(engine, [first, second], {}, 1)
    _say(engine, ["1", "2"], THEN)
    # The first is paid in time; a third was issued and paid meanwhile, a fourth is open.
    paid = {"1": dt.date(2026, 11, 3), "3": dt.date(2026, 11, 10)}
    now = [
        _invoice(1, first.date, 0),
        second,
        _invoice(3, dt.date(2026, 10, 28), 0),
        _invoice(4, dt.date(2026, 11, 2)),
    ]
    _store(engine, now, paid, 2)
    _say(engine, ["2", "4"], TODAY)
    with db.reading(engine) as tx:
        found = expecting.of_connection(tx, CONNECTION, TODAY)["USD"]
    assert found.now.on == TODAY
    assert len(found.now.weeks) == 12
    assert abs(sum(w.amount for w in found.now.weeks) - 200_00) < 10
    assert abs(sum(w.older for w in found.now.weeks) - 100_00) < 10, "invoice 4 was not known then"
    assert found.before
    assert (found.before.on, found.before.told) == (THEN, True)
    assert found.came == 100_00, "invoice 3 was not known then"


def test_saying_again_in_the_same_week_replaces_it_and_leaves_earlier_weeks(engine: Engine) -> None:
    _store(engine, [_invoice(1, dt.date(2026, 10, 1))], {}, 1)
    _say(engine, ["1"], THEN)
    _say(engine, ["1"], TODAY - D(2))
    _say(engine, ["1"], TODAY)
    c = db.expected_weeks.c
    with db.reading(engine) as tx:
        said = tx.execute(sa.select(c.said_on, sa.func.count()).group_by(c.said_on)).all()
    assert sorted(tuple(row) for row in said) == [(THEN, 12), (TODAY, 12)]


def test_what_nobody_said_is_worked_out_from_the_books_of_that_day_and_marked(engine: Engine) -> None:
    open_then = _invoice(1, dt.date(2026, 9, 25), 0)  # paid since
    later = _invoice(2, dt.date(2026, 11, 5))
    _store(engine, [open_then, later], {"1": dt.date(2026, 11, 3)}, 1)
    with db.transaction(engine) as tx:
        said = expecting.worked_out_later(tx, CONNECTION, TODAY)
        assert said
        expecting.keep_later(tx, CONNECTION, said, today=TODAY)
        assert expecting.worked_out_later(tx, CONNECTION, TODAY) is None, "only once"
    _say(engine, ["2"], TODAY)
    with db.reading(engine) as tx:
        found = expecting.of_connection(tx, CONNECTION, TODAY)["USD"]
    assert found.before
    assert (found.before.on, found.before.told) == (dt.date(2026, 10, 19), False)
    assert 90_00 < sum(w.amount for w in found.before.weeks) <= 100_00, (
        "only what was issued and open by then"
    )
    assert found.came == 100_00
