"""A customer's story as a list."""

from __future__ import annotations

import datetime as dt

from connector.domain.plan import Plan
from connector.domain.policy import Mode
from connector.domain.receivables import Customer
from connector.mirroring.books import Receivables
from connector.planning.plans import Record
from tests.web.office import CONNECTION, TODAY
from web.pages import story


def test_a_plan_stands_on_the_day_of_its_approval_where_the_organization_is() -> None:
    evening = dt.datetime(2026, 11, 20, 3, 30, tzinfo=dt.UTC)  # the 19th, 22:30 in New York
    agreed = Record(
        Plan("PP-0001", 1, "c1", "USD", Mode.NOTES, sources=(), rows=(), drafted_on=TODAY),
        CONNECTION,
        state="running",
        revision=1,
        progress="",
        paused_at=None,
        attention="",
        created_at=evening,
        created_by="Anna Vega",
        approved_by="Anna Vega",
        approved_at=evening,
        posted_on=None,
        acceptance=None,
        proof=None,
        installments=(),
    )
    nothing = Receivables(Customer("c1", "Kim's Bakery"), (), (), ())
    [entry] = story.entries(nothing, [agreed], [], [], TODAY, "America/New_York")
    assert (entry.day, entry.what) == (dt.date(2026, 11, 19), "Plan")
    [entry] = story.entries(nothing, [agreed], [], [], TODAY, "Europe/Berlin")
    assert entry.day == dt.date(2026, 11, 20)
