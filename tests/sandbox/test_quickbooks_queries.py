"""The query language of the pretend QuickBooks, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from sandbox.documents import Ref
from tests.sandbox.quickbooks_company import Company, fault, found, new_world, running


@pytest.fixture(scope="module")
def company() -> Iterator[Company]:
    """Two customers, 105 invoices of 1.00 to 105.00 on 1 October to one, three to the other."""
    world = new_world()
    with running(world) as base:
        company = found(world, base)
        many, few = company.customer("Red Rock Diner"), company.customer("O'Brien & Sons")
        for n in range(1, 106):
            company.invoice(many, f"{n}.00", TxnDate="2026-10-01", PrivateNote=f"note {n}")
        for n, day in ((1, "2026-09-01"), (2, "2026-09-15"), (3, "2026-10-20")):
            company.invoice(few, "50.50", DocNumber=f"OB-{n}", TxnDate=day, DueDate=day)
        yield company


def refusal(company: Company, text: str) -> tuple[str, str]:
    answer = company.get("query", query=text)
    assert answer.status_code == 400, answer.text
    return fault(answer)["code"], fault(answer)["Detail"]


def test_a_page_has_100_rows_and_newest_ids_first_when_nothing_is_said(company: Company):
    found = company.query("select * from Invoice")
    assert (found["startPosition"], found["maxResults"]) == (1, 100)
    assert "totalCount" not in found
    assert [row["Id"] for row in found["Invoice"]][:3] == ["108", "107", "106"]
    assert found["Invoice"][-1]["Id"] == "9"


def test_pages_by_id_meet_without_gap_or_overlap(company: Company):
    first = company.ids("SELECT * FROM Invoice ORDERBY Id STARTPOSITION 1 MAXRESULTS 60")
    second = company.ids("select * from invoice order by id asc startposition 61 maxresults 1000")
    assert first + second == [str(n) for n in range(1, 109)]


def test_pages_of_the_default_order_meet_too(company: Company):
    first = company.ids("select * from Invoice startposition 1 maxresults 7")
    second = company.ids("select * from Invoice startposition 8 maxresults 3")
    assert first + second == [str(n) for n in range(108, 98, -1)]


def test_count_answers_only_the_total(company: Company):
    assert company.query("select count(*) from Invoice where Balance > '100'") == {"totalCount": 5}


def test_nothing_found_is_an_empty_query_response(company: Company):
    assert company.query("select * from Invoice where TxnDate > '2026-11-01'") == {}
    assert company.query("select * from Invoice startposition 500") == {}


def test_a_query_can_be_posted(company: Company):
    answer = company.call(
        "POST",
        "query",
        data=b"select * from Invoice where DocNumber = 'OB-2'",
        headers={"Content-Type": "application/text"},
    )
    assert [row["Id"] for row in answer.json()["QueryResponse"]["Invoice"]] == ["107"]


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ("DocNumber = 'OB-2'", ["107"]),
        ("DocNumber IN ('OB-1', 'OB-3')", ["108", "106"]),
        ("DocNumber LIKE 'ob-%'", ["108", "107", "106"]),
        ("TxnDate >= '2026-09-15' AND TxnDate < '2026-10-01'", ["107"]),
        ("DueDate <= '2026-09-15' and Balance > '0'", ["107", "106"]),
        ("Id IN ('3', '107', '999')", ["107", "3"]),
        ("CustomerRef = '2' AND TxnDate = '2026-10-20'", ["108"]),
        ("TotalAmt = 50.50", ["108", "107", "106"]),
        ("Balance > '103' AND Balance <= 104", ["104"]),
    ],
)
def test_conditions(company: Company, where: str, ids: list[str]):
    assert company.ids(f"select * from Invoice where {where}") == ids


def test_order_by_several_properties(company: Company):
    order = company.ids("select * from Invoice where CustomerRef = '2' orderby TotalAmt, TxnDate desc")
    assert order == ["108", "107", "106"]
    assert company.ids("select * from Invoice where CustomerRef = '2' orderby TxnDate") == [
        "106",
        "107",
        "108",
    ]


def test_an_apostrophe_is_escaped_with_a_backslash(company: Company):
    assert company.ids(r"select * from Customer where DisplayName = 'O\'Brien & Sons'") == ["2"]


def test_inactive_names_hide_unless_active_is_asked_for(company: Company):
    gone = company.customer("Closed Cafe")
    company.books.edit(Ref("customer", gone), active=False)
    assert gone not in company.ids("select * from Customer")
    assert gone in company.ids("select * from Customer where Active IN (true, false)")
    assert company.ids("select * from Customer where Active = false") == [gone]
    shown = company.query("select * from Customer where Active = false")["Customer"][0]
    assert shown["DisplayName"] == "Closed Cafe (deleted)"


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("select * from Custmoer", "4001", "QueryValidationError: invalid context declaration: Custmoer"),
        ("select * from Invoice startposition 0", "4001", "value 0 is too small. Min allowed value is 1"),
        ("select * from Invoice maxresults 1001", "4001", "value 1001 is too large"),
        ("select * from Invoice where PrivateNote = 'x'", "4001", "property 'PrivateNote' is not queryable"),
        (
            "select * from Payment where UnappliedAmt > '0'",
            "4001",
            "property 'UnappliedAmt' is not queryable",
        ),
        ("select * from Invoice where Colour = 'x'", "4001", "Property Colour not found"),
        ("select * from Invoice orderby PrivateNote", "4001", "not queryable"),
        ("select * from Invoice where Id > '5'", "4001", "operator > is not supported"),
        ("select * from Invoice where TxnDate = 'soon'", "4001", "invalid value"),
        ("select * from Invoice where Balance = '1' OR Balance = '2'", "4000", 'Encountered " "OR"'),
        ("select * from Invoice group by TxnDate", "4000", "QueryParserError"),
        ("select * from Invoice where DocNumber != '1'", "4000", "Lexical error"),
        ('select * from Invoice where DocNumber = "1"', "4000", "Lexical error"),
        ("select * Invoice", "4000", "FROM"),
        ("", "4000", "QueryParserError"),
    ],
)
def test_what_the_language_refuses(company: Company, text: str, code: str, words: str):
    assert refusal(company, text)[0] == code
    assert words in refusal(company, text)[1]


def test_a_moment_without_offset_is_pacific_time(company: Company):
    """20:00 in Los Angeles on 1 December is 04:00 UTC on 2 December."""
    with company.books.at(datetime(2026, 12, 2, 3, 59, 59, tzinfo=UTC)):
        company.books.edit(Ref("invoice", "1"), private_note="just before")
    with company.books.at(datetime(2026, 12, 2, 4, 0, 1, tzinfo=UTC)):
        company.books.edit(Ref("invoice", "2"), private_note="just after")
    query = "select * from Invoice where MetaData.LastUpdatedTime > '{}'"
    assert company.ids(query.format("2026-12-01T20:00:00")) == ["2"]
    assert company.ids(query.format("2026-12-02T04:00:00Z")) == ["2"]
    assert company.ids(query.format("2026-12-01T20:00:00-08:00")) == ["2"]
    assert company.ids(query.format("2026-12-02T03:00:00+00:00")) == ["2", "1"]
    assert company.ids(
        "select * from Invoice where Metadata.LastUpdatedTime >= '2026-12-02T03:59:59Z' order by metadata.lastupdatedtime"
    ) == ["1", "2"]


def test_times_compare_in_whole_seconds_as_they_are_shown(company: Company):
    with company.books.at(datetime(2026, 12, 3, 12, 0, 0, 500_000, tzinfo=UTC)):
        company.books.edit(Ref("invoice", "3"), private_note="half past the second")
    query = "select * from Invoice where MetaData.LastUpdatedTime {} '2026-12-03T12:00:00Z'"
    assert company.ids(query.format(">")) == []
    assert company.ids(query.format("=")) == ["3"]


def test_deleted_rows_never_appear(company: Company):
    spare = company.invoice("1", "7.77", TxnDate="2026-10-02")
    company.save("Invoice", {"Id": spare["Id"], "SyncToken": "0"}, operation="delete")
    assert company.ids("select * from Invoice where TxnDate = '2026-10-02'") == []


def test_the_two_singletons_can_be_queried(company: Company):
    assert company.query("select * from CompanyInfo")["CompanyInfo"][0]["CompanyName"] == "Harbour Supplies"
    assert company.query("select * from Preferences")["Preferences"][0]["CurrencyPrefs"]["HomeCurrency"] == {
        "value": "USD"
    }


def test_paging_two_hundred_thousand_by_id_walks_no_table(company: Company, monkeypatch: pytest.MonkeyPatch):
    """No row outside the page is rendered or compared."""
    from sandbox.quickbooks import reading

    monkeypatch.setattr(reading, "_fitting", lambda *_: pytest.fail("walked the whole table"))
    assert company.ids("select * from Invoice orderby Id startposition 3 maxresults 2") == ["3", "4"]
    assert len(company.ids("select * from Invoice maxresults 2")) == 2
    assert company.query("select count(*) from Invoice")["totalCount"] == 108
