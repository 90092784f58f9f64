"""A books file is read to the cent, as of any day; a wrong one is refused with the line and the field."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from connector.domain.receivables import Status
from connector.mirroring import books_file
from connector.mirroring.books_file import WrongBooks

DAY = dt.date


def a_company(**changes: Any) -> dict[str, Any]:
    """Two invoices; one paid in two parts, the first before the second invoice was issued."""
    company: dict[str, Any] = {
        "format": "books/1",
        "company": {"id": "c", "name": "Harbor Supply", "home_currency": "USD", "as_of": "2026-11-18"},
        "customers": [{"id": "58", "name": "Fern Foods", "created": "2026-09-01", "surprise": True}],
        "invoices": [
            {
                "id": "147",
                "number": "1001",
                "customer_id": "58",
                "issue_date": "2026-08-01",
                "due_date": "2026-08-31",
                "total_cents": 115000,
                "lines": [{"description": "Work", "net_cents": 100000, "tax_cents": 15000}],
                "state": [{"date": "2026-10-01", "what": "disputed"}],
            },
            {
                "id": "148",
                "customer_id": "58",
                "issue_date": "2026-10-05",
                "due_date": "2026-11-04",
                "total_cents": 20000,
            },
        ],
        "payments": [
            {
                "id": "p1",
                "customer_id": "58",
                "date": "2026-09-20",
                "amount_cents": 50000,
                "allocations": [
                    {"invoice_id": "147", "amount_cents": 30000},
                    {"invoice_id": "148", "amount_cents": 20000},
                ],
            }
        ],
        "events": [{"type": "dispute_closed", "invoice_id": "147", "date": "2026-10-20"}],
    }
    return company | changes


def read(company: dict[str, Any]) -> books_file.CompanyLine:
    return books_file.read_line(json.dumps(company))


def test_nothing_dated_later_is_known() -> None:
    books = read(a_company())
    august = books_file.known_on(books, DAY(2026, 8, 15))
    assert [(i.id, i.balance, i.status) for i in august.invoices] == [("147", 115000, Status.OPEN)]
    assert august.payments == ()
    assert [c.name for c in august.customers] == ["Fern Foods"]  # created later by mistake, but invoiced

    september = books_file.known_on(books, DAY(2026, 9, 20))
    assert [(i.id, i.balance) for i in september.invoices] == [("147", 85000)]
    assert september.payments[0].unapplied == 20000  # the invoice it will settle does not exist yet

    october = books_file.known_on(books, DAY(2026, 10, 5))
    assert {i.id: (i.balance, i.status) for i in october.invoices} == {
        "147": (85000, Status.PARTLY_PAID),
        "148": (0, Status.PAID),
    }
    assert october.payments[0].unapplied == 0
    assert october.invoices[0].tax == 15000


def test_a_dispute_opens_and_closes_on_its_days() -> None:
    books = read(a_company())
    assert books_file.known_on(books, DAY(2026, 9, 30)).disputed == frozenset()
    assert books_file.known_on(books, DAY(2026, 10, 1)).disputed == {"147"}
    assert books_file.known_on(books, DAY(2026, 10, 20)).disputed == frozenset()


@pytest.mark.parametrize(
    ("currency", "cents", "minor"), [("USD", 5000, 5000), ("JPY", 5000, 50), ("KWD", 5000, 50000)]
)
def test_hundredths_become_minor_units(currency: str, cents: int, minor: int) -> None:
    assert books_file.minor(cents, currency) == minor


def wrong(path: str, value: Any) -> dict[str, Any]:
    company = a_company()
    *parents, last = [int(p) if p.isdigit() else p for p in path.split(".")]
    place: Any = company
    for parent in parents:
        place = place[parent]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return company


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("format", "books/2", "field format: 'books/2'"),
        ("invoices.1.total_cents", 12.5, r"field invoices\[1\].total_cents"),
        ("invoices.1.total_cents", None, r"field invoices\[1\].total_cents: is missing"),
        ("invoices.0.due_date", "31/08/2026", r"field invoices\[0\].due_date"),
        ("invoices.1.id", "147", r"field invoices\[1\].id: '147' is there twice"),
        ("invoices.1.customer_id", "99", r"field invoices\[1\].customer_id: no customer has the id '99'"),
        ("invoices.0.total_cents", 100, r"field invoices\[0\].total_cents: 30000 is allocated"),
        ("payments.0.amount_cents", 100, r"field payments\[0\].allocations: they add up to 50000"),
        ("payments.0.amount_cents", -1, r"field payments\[0\].amount_cents: -1 is negative"),
        ("payments.0.allocations.1.invoice_id", "9", r"allocations\[1\].invoice_id: no invoice"),
        ("invoices.0.currency", "usd", r"field invoices\[0\].currency: 'usd'"),
        ("company.home_currency", "JPY", None),
        ("company.basis", "both", "field company.basis"),
        ("company", None, "field company: is missing"),
    ],
)
def test_a_wrong_line_is_refused_with_its_field(path: str, value: Any, words: str | None) -> None:
    text = json.dumps(wrong(path, value))
    if words is None:
        books_file.read_line(text)
        return
    with pytest.raises(WrongBooks, match=f"^Line 7, .*{words}"):
        books_file.read_line(text, 7)


def test_hundredths_finer_than_the_currency_are_refused() -> None:
    company = wrong("company.home_currency", "JPY")
    company["invoices"][1]["total_cents"] = 20050
    with pytest.raises(
        WrongBooks, match=r"invoices\[1\].total_cents: 20050 hundredths is finer than JPY has"
    ):
        read(company)


def test_plain_and_zipped_files(tmp_path: Path) -> None:
    lines = "\n".join(json.dumps(a_company(company=a_company()["company"] | {"id": n})) for n in "ab")
    (tmp_path / "plain.jsonl").write_text(lines + "\n\n")
    (tmp_path / "zipped.gz").write_bytes(gzip.compress(lines.encode()))
    for name in ("plain.jsonl", "zipped.gz"):
        assert [c.company.id for c in books_file.companies(tmp_path / name)] == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no company"),
        (b"not json", "Line 1 is not JSON"),
        (b"\x1f\x8bbroken", "cannot be read"),
        (json.dumps(a_company()).encode() + b"\n[]", "Line 2"),
        (json.dumps(a_company()).encode() + b"\n" + json.dumps(a_company()).encode(), "in the file twice"),
    ],
)
def test_unreadable_files_are_refused_with_a_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "books.jsonl"
    file.write_bytes(content)
    with pytest.raises(WrongBooks, match=words):
        list(books_file.companies(file))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(WrongBooks, match="There is no file"):
        list(books_file.companies(tmp_path / "none.jsonl"))
