"""How much of a credit to tax, so that QuickBooks' own rounding gives back exactly a share of the sale's tax."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from adapters.quickbooks import bodies
from connector.domain.writes import CreditDraft

CREDIT = CreditDraft(
    number="1001-P1D",
    customer_id="58",
    date=dt.date(2027, 1, 21),
    currency="USD",
    amount=2833,
    account_id="90",
    description="Settlement discount",
    message="",
    marker="",
    item_id="7",
    tax_code="TAX",
    source_invoice_id="147",
    tax=370,
)


def taxed(*rates: tuple[object, int], percent_based: bool = True) -> dict[str, Any]:
    """An invoice with these rates, each on a base."""
    lines = [
        {"TaxLineDetail": {"TaxPercent": rate, "NetAmountTaxable": base, "PercentBased": percent_based}}
        for rate, base in rates
    ]
    return {"TotalAmt": 1150, "TxnTaxDetail": {"TotalTax": 150, "TaxLine": lines}}


@pytest.mark.parametrize(
    ("source", "part"),
    [
        (taxed((15, 1000)), 2467),  # 15 % of 24.63 is 3.69; of 24.67 it is 3.70
        (taxed((15, 500)), 2467),  # half of the invoice was not taxed: the share of tax says so
        (taxed((10, 1000), (5, 1000)), 2467),  # 2.47 and 1.23
        (taxed(("8.875", 1000)), 4169),
        (taxed((20, 600), (5, 400)), None),  # two bases: which of them a discount lowers is not said
        (taxed((15, 1000), percent_based=False), None),
        (taxed((0, 1000)), None),
        ({}, None),
    ],
)
def test_the_part_to_tax(source: dict[str, Any], part: int | None) -> None:
    assert bodies.taxed_part(CREDIT, source) == part


def test_the_rest_is_a_line_that_is_on_no_return() -> None:
    lines = bodies.credit_memo(CREDIT, taxed((15, 1000)), "NON")["Line"]
    assert [(str(line["Amount"]), line["SalesItemLineDetail"]["TaxCodeRef"]["value"]) for line in lines] == [
        ("24.67", "TAX"),
        ("-0.04", "NON"),
    ]
    assert {line["SalesItemLineDetail"]["ItemRef"]["value"] for line in lines} == {"7"}
