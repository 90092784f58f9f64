"""Records that are made by the thousand are the same as any other."""

from dataclasses import FrozenInstanceError
from datetime import date

import pytest

from connector.domain.receivables import Allocation, Invoice, Payment, Status, builder

DAY = date(2026, 3, 31)
PART = {"invoice_id": "i1", "amount": 28333}
PAYMENT = {
    "id": "p1",
    "customer_id": "c1",
    "date": DAY,
    "currency": "USD",
    "amount": 28333,
    "unapplied": 0,
    "allocations": (Allocation("i1", 28333),),
}
INVOICE = {
    "id": "i1",
    "number": "1001",
    "customer_id": "c1",
    "date": DAY,
    "due": DAY,
    "currency": "USD",
    "total": 85000,
    "balance": 56667,
    "status": Status.PARTLY_PAID,
}


@pytest.mark.parametrize(
    ("record", "values"), [(Invoice, INVOICE), (Payment, PAYMENT), (Allocation, PART | {"date": DAY})]
)
def test_a_built_record_equals_one_that_was_made_and_cannot_be_changed(record, values):
    built, made = builder(record)(**values), record(**values)
    assert type(built) is record
    assert (built, hash(built), repr(built)) == (made, hash(made), repr(made))
    with pytest.raises(FrozenInstanceError):
        setattr(built, next(iter(values)), "another")
    with pytest.raises(TypeError):
        builder(record)(**values, unheard_of=1)
