"""The kept weeks of aging agree with what the books said on those Sundays."""

from __future__ import annotations

import datetime as dt

from sqlalchemy.engine import Engine

from connector import db
from connector.domain.receivables import Allocation, Customer, Invoice, Payment, Status
from connector.mirroring import mirror
from connector.platforms import Batch
from connector.reviewing import history, overview
from tests.web.office import CONNECTION, TODAY


def _store(engine: Engine, *, paid: int) -> None:
    invoice = Invoice(
        "1", "1001", "c1", dt.date(2026, 8, 1), dt.date(2026, 8, 31), "USD", 100_00, 100_00 - paid,
        Status.PARTLY_PAID if paid else Status.OPEN,
    )  # fmt: skip
    late = dt.date(2026, 11, 17)  # the Tuesday of the week that runs on Saturday the 21st
    money = (Payment("p", "c1", late, "USD", paid, 0, (Allocation("1", paid, late),)),) if paid else ()
    with db.transaction(engine) as tx:
        mirror.store(tx, CONNECTION, Batch((Customer("c1", "Kim's Bakery"),), (invoice,), money), 1)


def test_weeks_end_on_the_sundays_before_today() -> None:
    assert history.sundays(TODAY, 2) == [dt.date(2026, 11, 8), dt.date(2026, 11, 15)]
    assert history.sundays(dt.date(2026, 11, 22), 1) == [dt.date(2026, 11, 15)]  # a Sunday is still running


def test_a_payment_of_this_week_was_still_owed_last_sunday(engine: Engine) -> None:
    _store(engine, paid=40_00)
    with db.reading(engine) as tx:
        weeks = history.missing(tx, CONNECTION, TODAY)
    with db.transaction(engine) as tx:
        history.keep(tx, weeks)
    with db.reading(engine) as tx:
        kept = history.of_connection(tx, CONNECTION, TODAY)["USD"]
        now = overview.aged(tx, [CONNECTION], {CONNECTION: TODAY})[CONNECTION]["USD"]
    assert len(kept) == 26
    assert kept[-1] == (
        dt.date(2026, 11, 15),
        {"current": 0, "1-30": 0, "31-60": 0, "61-90": 100_00, "90+": 0},
    )
    assert kept[12] == (
        dt.date(2026, 8, 16),
        {"current": 100_00, "1-30": 0, "31-60": 0, "61-90": 0, "90+": 0},
    )
    assert now == {"current": 0, "1-30": 0, "31-60": 0, "61-90": 60_00, "90+": 0}


def test_what_is_kept_is_not_worked_out_again(engine: Engine) -> None:
    _store(engine, paid=0)
    with db.transaction(engine) as tx:
        history.keep(tx, history.missing(tx, CONNECTION, TODAY))
        assert history.missing(tx, CONNECTION, TODAY) == []
        next_week = history.missing(tx, CONNECTION, TODAY + dt.timedelta(weeks=1))
    assert [w["day"] for w in next_week] == [dt.date(2026, 11, 22)]
