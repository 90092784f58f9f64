"""Records as plain JSON and back."""

import dataclasses
import math
import typing
from datetime import UTC, date, datetime

import pytest

from connector.domain import codec
from connector.domain.codec import WrongValue, from_json
from connector.domain.findings.facts import Evidence
from connector.domain.plan import Plan
from connector.domain.policy import Policy
from connector.domain.prediction.record import Band
from connector.domain.proof import Applied, Difference, Effect
from connector.domain.receivables import Customer, Document


def test_named_values_are_read_as_a_group():
    assert from_json(Customer, {"id": "1", "name": "A", "ledger_balance": {"USD": 5}}).ledger_balance == {
        "USD": 5
    }
    with pytest.raises(WrongValue, match="group of named values"):
        from_json(Customer, {"id": "1", "name": "A", "ledger_balance": 5})
    with pytest.raises(WrongValue, match="single value"):
        from_json(Customer, 5)
    assert codec.to_json(Customer("1", "A", ledger_balance={"USD": 5}))["ledger_balance"] == {"USD": 5}


@pytest.mark.parametrize(
    "record",
    [
        Customer("1", "A", updated_at=datetime(2026, 11, 21, 9, tzinfo=UTC)),
        Difference("1001-P1.1", "total", 1, 2, "…"),
        Applied("147", 5000, date(2026, 11, 21)),
    ],
)
def test_records_are_read_as_they_were_written(record):
    assert from_json(type(record), codec.to_json(record)) == record


def test_a_day_that_is_none_is_refused():
    with pytest.raises(WrongValue, match="a date such as 2026-11-21"):
        from_json(Applied, {"invoice_id": "147", "amount": 5000, "date": "soon"})


@pytest.mark.parametrize("amount", [50.0, "50.00", True, math.nan])
def test_an_amount_is_whole_minor_units_or_refused(amount):
    with pytest.raises(WrongValue, match="whole number"):
        from_json(Applied, {"invoice_id": "147", "amount": amount, "date": "2026-11-21"})


@pytest.mark.parametrize("chance", [math.nan, math.inf, "0.5", True, None])
def test_a_chance_is_a_finite_number(chance):
    stored = {"said": 0, "was": 0.5, "invoices": 2}
    assert from_json(Band, stored) == Band(0.0, 0.5, 2)
    with pytest.raises(WrongValue, match="was: should be a number"):
        from_json(Band, stored | {"was": chance})


@pytest.mark.parametrize("root", [Plan, Policy, Document, Effect, Applied, Evidence])
def test_no_record_that_holds_money_holds_a_float(root):
    assert float not in _kinds(root, set())


def _kinds(kind, seen):
    """Every type that a record is made of, through lists, groups and records in it."""
    if kind in seen:
        return seen
    seen.add(kind)
    inner = typing.get_type_hints(kind).values() if dataclasses.is_dataclass(kind) else typing.get_args(kind)
    for each in inner:
        _kinds(each, seen)
    return seen
