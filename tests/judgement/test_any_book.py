"""Whatever the book is like, every customer is judged: one known segment, findings in the past, a finite priority."""

import datetime as dt
import math

import pytest

from connector.domain.assessment import SEGMENTS
from connector.domain.policy import Policy
from connector.domain.receivables import Customer
from connector.reviewing import judging
from tests.domain.test_prediction_on_any_book import BOOKS, TODAY


@pytest.mark.parametrize("name", BOOKS)
@pytest.mark.parametrize("country", ["", "GB"])
def test_every_customer_is_judged(name: str, country: str) -> None:
    invoices, payments = BOOKS[name]
    whole = judging.owed(invoices)
    for who in {i.customer_id for i in invoices} | {"nobody"}:
        said = judging.judge(
            Customer(who, "Ada", currency="USD", country=country),
            [i for i in invoices if i.customer_id == who],
            [p for p in payments if p.customer_id == who],
            [],
            Policy(),
            TODAY,
            book=whole,
        )
        assert said.segment in SEGMENTS
        assert said.reasons
        assert math.isfinite(said.priority)
        assert said.priority >= 0
        assert said.next_on is not None
        assert said.next_on > TODAY
        assert all(f.since <= TODAY + dt.timedelta(1) and f.evidence and f.text for f in said.findings)
        assert all(b.open == sum(b.buckets.values()) >= b.overdue >= 0 for b in said.balances)
