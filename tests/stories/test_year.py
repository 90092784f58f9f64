"""A scripted year on each ledger, with everything that goes wrong in one; the mirror ends up as a fresh look.

`make bench NAME=ledgers` lives ten such years of 20,000 changes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from benchmarks.ledger import year
from connector import platforms
from connector.domain.receivables import Invoice, Status

CHANGES = 300


@pytest.mark.slow
@pytest.mark.parametrize("platform", platforms.names())
@pytest.mark.parametrize("seed", [1, 2])
def test_after_a_bad_year_the_mirror_equals_a_fresh_look(platform: str, seed: int) -> None:
    lived = year.live(platform, seed, CHANGES)
    assert lived.changes == CHANGES
    assert lived.killed == 2
    assert lived.webhooks > CHANGES / 2
    assert lived.failed["TryLater"] > 5
    assert lived.struck["token expired"] > 0
    assert lived.records > 200
    assert lived.differences == []


def test_a_difference_is_named_by_record_and_field() -> None:
    due = date(2026, 8, 31)
    one = Invoice("1", "1001", "c", due, due, "USD", 500, 500, Status.OPEN)
    assert year.differences({("invoice", "1"): one}, {}) == ["invoice 1: should be gone"]
    assert year.differences({}, {("invoice", "1"): one}) == ["invoice 1: missing"]
    paid = replace(one, balance=0)
    assert year.differences({("invoice", "1"): paid}, {("invoice", "1"): one}) == [
        "invoice 1: balance is 0, a fresh look says 500"
    ]
