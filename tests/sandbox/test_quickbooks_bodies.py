"""Whatever an application sends, the pretend QuickBooks answers with a fault, never by falling over."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import reports
from tests.sandbox.quickbooks_company import Company, found, new_world, payment, running, sale

ODD: list[Any] = [
    None,
    "",
    0,
    -1,
    1.5,
    "x",
    "999",
    [],
    {},
    [{}],
    [None],
    True,
    {"value": "1"},
    {"value": None},
]
ODD += ["2026-01-01", 1e30, "\N{SNOWMAN}", {"a": {"b": 1}}]


@pytest.fixture
def company() -> Iterator[Company]:
    world = new_world()
    with running(world) as base:
        yield found(world, base, multicurrency=True)


def bodies(company: Company) -> list[tuple[str, dict]]:
    customer = company.customer()
    invoice, credit = company.invoice(customer, "100"), company.credit(customer, "50")
    ref = {"value": customer}
    links = (("Invoice", invoice["Id"], "1"), ("CreditMemo", credit["Id"], "1"))
    entity = {"Type": "Customer", "EntityRef": ref}
    journal = [
        {"Amount": 5, "JournalEntryLineDetail": {"PostingType": "Debit", "AccountRef": {"value": "7"}}},
        {
            "Amount": 5,
            "JournalEntryLineDetail": {
                "PostingType": "Credit",
                "AccountRef": {"value": "2"},
                "Entity": entity,
            },
        },
    ]
    deposit = [
        {"Amount": 5, "LinkedTxn": [{"TxnId": "1", "TxnType": "Payment", "TxnLineId": "0"}]},
        {"Amount": 5, "DepositLineDetail": {"AccountRef": {"value": "7"}}},
    ]
    attached = [{"EntityRef": {"type": "Invoice", "value": invoice["Id"]}}]
    return [
        (
            "invoice",
            sale(customer, "5", SalesTermRef={"value": "1"}, BillEmail={"Address": "a@b.example"}, Deposit=1),
        ),
        ("creditmemo", sale(customer, "5")),
        ("refundreceipt", sale(customer, "5")),
        ("payment", payment(customer, "5", *links)),
        ("customer", {"DisplayName": "N", "BillAddr": {"Line1": "x"}, "ParentRef": ref, "CreditLimit": 5}),
        ("item", {"Name": "I", "Type": "Service", "IncomeAccountRef": {"value": "7"}, "UnitPrice": 5}),
        ("account", {"Name": "A", "AccountType": "Income"}),
        ("term", {"Name": "T", "DueDays": 5, "DayOfMonthDue": 3}),
        ("deposit", {"DepositToAccountRef": {"value": "1"}, "Line": deposit}),
        ("journalentry", {"Line": journal}),
        ("attachable", {"Note": "x", "AttachableRef": attached}),
        ("preferences", {"SyncToken": "0", "OtherPrefs": {"NameValue": [{"Name": "x", "Value": "y"}]}}),
        (
            "batch",
            {"BatchItemRequest": [{"bId": "1", "operation": "create", "Invoice": sale(customer, "1")}]},
        ),
    ]


def places(value: Any, path: tuple = ()) -> list[tuple]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([path] if path else []), *(found for key, one in inside for found in places(one, (*path, key)))]


@pytest.mark.parametrize("seed", range(4))
def test_no_body_makes_it_fall_over(company: Company, seed: int):
    chance = random.Random(seed)
    whole = bodies(company)
    operations = [{}, {}, {"operation": "delete"}, {"operation": "update", "include": "void"}]
    for _ in range(150):
        path, body = copy.deepcopy(chance.choice(whole))
        *above, last = chance.choice(places(body))
        inside: Any = body
        for key in above:
            inside = inside[key]
        inside[last] = copy.deepcopy(chance.choice(ODD))
        if chance.random() < 0.3:
            body |= {"Id": str(chance.randint(1, 20)), "SyncToken": "0", "sparse": chance.random() < 0.5}
        answer = company.post(path, body, **chance.choice(operations))
        assert answer.status_code in (200, 400), (path, body, answer.text[:500])
    assert sum(reports.trial_balance(company.books).values()) == 0
