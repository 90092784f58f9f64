"""What calls cost, by day and kind of call."""

import datetime as dt

from sqlalchemy.engine import Engine

from connector import db
from connector.connecting import meter
from connector.platforms import Call

MONDAY, TUESDAY = dt.date(2026, 11, 16), dt.date(2026, 11, 17)


def test_calls_and_bytes_add_up_by_day_and_kind(store: Engine, connected: str) -> None:
    query = Call("query Invoice", False, 200, 1_000, 100, 0.5)
    with db.transaction(store) as tx:
        meter.record(tx, connected, query, MONDAY)
        meter.record(tx, connected, query, MONDAY)
        meter.record(tx, connected, Call("query Invoice", False, 0, 0, 100, 30.0), MONDAY)
        meter.record(tx, connected, Call("create Invoice", True, 400, 50, 900, 0.1), MONDAY)
        meter.record(tx, connected, query, TUESDAY)
        assert meter.uses(tx, connected, MONDAY) == [
            meter.Use(TUESDAY, "query Invoice", False, 1, 0, 1_000, 100, 0.5),
            meter.Use(MONDAY, "create Invoice", True, 1, 1, 50, 900, 0.1),
            meter.Use(MONDAY, "query Invoice", False, 3, 1, 2_000, 300, 31.0),
        ]
        assert meter.total(tx, connected, MONDAY) == meter.Total(5, 3_050, 1_300)
        assert meter.total(tx, connected, TUESDAY) == meter.Total(1, 1_000, 100)
        assert meter.total(tx, "other", MONDAY) == meter.Total(0, 0, 0)
