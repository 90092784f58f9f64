"""Loading a books/1 file: the same facts on both ledgers, and a clear refusal of what cannot be used."""

from __future__ import annotations

import gzip
import json
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from sandbox.books import WrongBooks, external_id, load, read
from sandbox.clock import Clock
from sandbox.documents import Ref
from sandbox.ledger import Ledger
from sandbox.organization import Platform
from sandbox.reports import aged_receivables, trial_balance
from tests.conftest import shared

TODAY = date(2026, 11, 21)
BOTH: tuple[Platform, ...] = ("quickbooks", "xero")
COMPANY: dict[str, Any] = {
    "format": "books/1",
    "company": {"id": "c1", "name": "Mill Lane Foods", "home_currency": "USD", "country": "US", "closed_until": "2026-06-30"},
    "customers": [
        {"id": "a", "name": "Anna", "currency": "USD", "terms_days": 14, "email": "anna@example.org"},
        {"id": "b", "name": "anna", "currency": "JPY"},
    ],
    "invoices": [
        {"id": "i1", "number": "1", "customer_id": "a", "issue_date": "2026-05-01", "due_date": "2026-05-15", "currency": "USD",
         "total_cents": 11500, "lines": [{"description": "Bread", "net_cents": 10000, "tax_cents": 1500}], "surprise": True},
        {"id": "i2", "number": "2", "customer_id": "a", "issue_date": "2026-10-01", "due_date": "2026-10-15", "currency": "USD",
         "total_cents": 5000, "state": [{"date": "2026-10-05", "what": "disputed"}]},
        {"id": "i3", "number": "3", "customer_id": "a", "issue_date": "2026-10-02", "due_date": "2026-10-16", "currency": "USD",
         "total_cents": 700, "kind": "late_fee", "parent_id": "i2", "state": [{"date": "2026-10-20", "what": "voided"}]},
        {"id": "i4", "number": "4", "customer_id": "b", "issue_date": "2026-11-01", "due_date": "2026-12-01", "currency": "JPY",
         "total_cents": 500000},
    ],
    "payments": [
        {"id": "p1", "customer_id": "a", "date": "2026-10-20", "currency": "USD", "amount_cents": 14000,
         "allocations": [{"invoice_id": "i1", "amount_cents": 11500}, {"invoice_id": "i2", "amount_cents": 2000}],
         "unapplied_cents": 500},
        {"id": "p2", "customer_id": "a", "date": "2026-09-30", "currency": "USD", "amount_cents": 300,
         "allocations": [{"invoice_id": "i2", "amount_cents": 300}]},
    ],
    "credits": [
        {"id": "k1", "customer_id": "a", "date": "2026-10-25", "currency": "USD", "total_cents": 1000,
         "allocations": [{"invoice_id": "i2", "amount_cents": 400}]},
    ],
    "events": [{"type": "promise", "customer_id": "a", "invoice_id": "i2", "date": "2026-10-28", "promised": "2026-11-05"}],
}  # fmt: skip


def loaded(platform: Platform, **changes: Any) -> Ledger:
    return load({**deepcopy(COMPANY), **changes}, platform, Clock(TODAY))


@pytest.mark.parametrize("platform", BOTH)
def test_the_same_facts_stand_on_both_ledgers(platform: Platform) -> None:
    ledger = loaded(platform)
    by_number = {i.number: i for i in ledger.invoices}
    assert {n: i.balance for n, i in by_number.items()} == {"1": 0, "2": 2300, "3": 0, "4": 5000}
    assert by_number["3"].status == "void"
    assert (by_number["1"].net, by_number["1"].tax) == (10000, 1500)
    anna = by_number["1"].customer
    assert ledger.balances(anna) == {"USD": 2300 - 500 - 600}
    [row] = [r for r in aged_receivables(ledger, TODAY) if r.customer == anna]
    assert (row.open, row.overdue, row.unapplied, row.buckets["31-60"]) == (2300, 2300, 1100, 2300)
    assert by_number["2"].flags == [(date(2026, 10, 5), "disputed")]
    texts = [n.text for n in ledger.notes(Ref("invoice", by_number["2"].id))]
    assert texts == ["Disputed on 2026-10-05.", "Promise: payment promised for 2026-11-05."]
    assert ledger.organization.closed_until == date(2026, 6, 30)
    assert sum(trial_balance(ledger).values()) == 0
    assert by_number["1"].updated.date() == date(2026, 5, 1)


def test_one_remittance_is_one_payment_on_quickbooks_and_several_on_xero() -> None:
    quickbooks, xero = loaded("quickbooks"), loaded("xero")
    [first, second] = [p for p in quickbooks.payments if p.amount]
    assert sorted((first.amount, second.amount)) == [300, 14000]
    assert max(first, second, key=lambda p: p.amount).unapplied == 500
    assert sorted((p.amount, p.batch) for p in xero.payments) == [(300, ""), (2000, "p1"), (11500, "p1")]
    [left] = xero.advances.in_order()
    assert (left.type, left.balance, left.reference) == ("overpayment", 500, "p1")


def test_yen_have_no_hundredths() -> None:
    ledger = loaded("xero")
    assert next(i for i in ledger.invoices if i.currency == "JPY").total == 5000
    broken = deepcopy(COMPANY["invoices"])
    broken[3]["total_cents"] = 500050
    with pytest.raises(WrongBooks, match="smallest unit"):
        loaded("xero", invoices=broken)


def test_a_file_may_be_plain_or_zipped_and_its_companies_alternate(tmp_path: Path) -> None:
    lines = "\n".join(
        json.dumps({**COMPANY, "company": {**COMPANY["company"], "id": id}}) for id in ("x", "y", "z")
    )
    plain, zipped = tmp_path / "books.jsonl", tmp_path / "books.jsonl.gz"
    plain.write_text(lines)
    zipped.write_bytes(gzip.compress(lines.encode()))
    for path in (plain, zipped):
        ledgers = read(path, Clock(TODAY))
        assert [x.organization.platform for x in ledgers] == ["quickbooks", "xero", "quickbooks"]
        assert [x.organization.id for x in ledgers] == [
            external_id("x", "quickbooks"), external_id("y", "xero"), external_id("z", "quickbooks"),
        ]  # fmt: skip


WRONG = [
    ("format", "books/2", r"line 1\.format: .*must be \"books/1\""),
    ("company", {"id": "c1", "name": "X", "home_currency": "Dollars"}, r"line 1\.company\.home_currency"),
    ("company", {"id": "c1", "home_currency": "USD"}, r"line 1\.company\.name"),
    ("customers", {}, r"line 1\.customers: .*must be a list"),
    ("customers", [{"id": "a"}], r"line 1\.customers\[0\]\.name"),
    ("customers", COMPANY["customers"][:1] * 2, r"line 1\.customers\[1\]\.id: .*unique"),
    ("payments", [{"id": "p", "customer_id": "a", "date": "2026-13-01", "amount_cents": 1}], r"payments\[0\]\.date"),
    ("payments", [{"id": "p", "customer_id": "q", "date": "2026-10-01", "amount_cents": 1}], r"payments\[0\]\.customer_id"),
    ("payments", [{"id": "p", "customer_id": "a", "date": "2026-10-01", "amount_cents": 1.5}], r"payments\[0\]\.amount_cents"),
    (
        "payments",
        [{"id": "p", "customer_id": "a", "date": "2026-10-09", "amount_cents": 1, "allocations": [{"invoice_id": "i2", "amount_cents": 2}]}],
        r"payments\[0\]\.amount_cents: .*sum of its allocations",
    ),
    (
        "payments",
        [{"id": "p", "customer_id": "a", "date": "2026-10-09", "amount_cents": 9, "allocations": [{"invoice_id": "i9", "amount_cents": 2}]}],
        r"payments\[0\]\.allocations\[0\]\.invoice_id",
    ),
    (
        "payments",
        [{"id": "p", "customer_id": "a", "date": "2026-10-09", "amount_cents": 9000, "allocations": [{"invoice_id": "i2", "amount_cents": 9000}]}],
        r"payments\[0\]: Only 5000 is open",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value", "words"), WRONG)
def test_a_wrong_key_is_refused_with_its_line_and_field(
    tmp_path: Path, key: str, value: Any, words: str
) -> None:
    path = tmp_path / "books.jsonl"
    path.write_text(json.dumps({**COMPANY, "credits": [], key: value}))
    with pytest.raises(WrongBooks, match=words):
        read(path, Clock(TODAY), ("quickbooks",))


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\x1f\x8bbroken", b"\xff\xfe"])
def test_an_unreadable_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "books.jsonl"
    path.write_bytes(content)
    with pytest.raises(WrongBooks):
        read(path, Clock(TODAY))
    with pytest.raises(WrongBooks, match="cannot be read"):
        read(tmp_path / "missing", Clock(TODAY))


def test_the_real_ledgers_load_and_agree_with_their_file() -> None:
    path = shared("data/highradius_until_cut.jsonl.gz")
    ledgers = read(path, Clock(TODAY))
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    assert len(ledgers) == len(rows) == 6
    for ledger, row in zip(ledgers, rows, strict=True):
        billed = sum(i["total_cents"] for i in row["invoices"])
        paid = sum(p["amount_cents"] for p in row["payments"])
        aged = aged_receivables(ledger, TODAY)
        assert len(ledger.invoices) == len(row["invoices"])
        assert sum(r.total for r in aged) == billed - paid
        receivable = ledger.account_by_role("receivable").id
        assert trial_balance(ledger).get(receivable, 0) == billed - paid
