"""Reading without gaps and without misses: pages that move, counts that differ, change data that is cut."""

from __future__ import annotations

import random
import re
from datetime import date
from typing import Any

import pytest

from adapters.quickbooks import rows
from adapters.quickbooks.transport import Transport
from connector.domain.receivables import Kind
from connector.platforms import Batch, Refused, TryLater
from tests.adapters.quickbooks_scripted import Answer, Asked, quickbooks

NOW = "2026-11-20T12:00:00.000-08:00"
PREFERENCES = {"Preferences": {"CurrencyPrefs": {"HomeCurrency": {"value": "USD"}}}, "time": NOW}
META = {"LastUpdatedTime": "2026-11-20T11:00:00-08:00"}


def an_invoice(id: int, total: Any = 100, balance: Any = 100) -> dict[str, Any]:
    return {
        "Id": str(id),
        "SyncToken": "0",
        "MetaData": META,
        "TxnDate": "2026-10-01",
        "DueDate": "2026-10-31",
        "CustomerRef": {"value": "58"},
        "TotalAmt": total,
        "Balance": balance,
    }


def a_payment(id: int, total: Any, *lines: tuple[Any, str, str]) -> dict[str, Any]:
    return {
        "Id": str(id),
        "MetaData": META,
        "TxnDate": "2026-10-05",
        "CustomerRef": {"value": "58"},
        "TotalAmt": total,
        "UnappliedAmt": 0,
        "Line": [{"Amount": a, "LinkedTxn": [{"TxnId": i, "TxnType": k}]} for a, k, i in lines],
    }


class Books:
    """Some records that answer queries by position; a test may change them between two pages."""

    def __init__(self, **records: list[dict[str, Any]]) -> None:
        self.records = records
        self.changes: dict[str, list[dict[str, Any]]] = {}
        self.before_page = lambda entity, start: None
        self.hidden: set[str] = set()

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "preferences":
            return 200, PREFERENCES
        if asked.path == "batch":
            items = asked.json["BatchItemRequest"]
            answers = [{"bId": i["bId"], "QueryResponse": self._query(i["Query"])} for i in items]
            return 200, {"BatchItemResponse": answers[::-1], "time": NOW}
        if asked.path == "cdc":
            wanted = asked.query["entities"].split(",")
            blocks = [{e: self.changes[e]} for e in wanted if e in self.changes]
            return 200, {"CDCResponse": [{"QueryResponse": blocks or [{}]}], "time": NOW}
        return 200, {"QueryResponse": self._query(asked.body), "time": NOW}

    def _query(self, statement: str) -> dict[str, Any]:
        entity = re.search(r"FROM (\w+)", statement)[1]  # type: ignore[index]
        rows = sorted(self.records.get(entity, []), key=lambda row: int(row["Id"]))
        if "count(*)" in statement:
            return {"totalCount": len(rows)}
        if ids := re.search(r"Id IN \((.*?)\)", statement):
            rows = [r for r in rows if f"'{r['Id']}'" in ids[1]]
        start = int(re.search(r"STARTPOSITION (\d+)", statement)[1])  # type: ignore[index]
        self.before_page(entity, start)
        rows = sorted(self.records.get(entity, []), key=lambda row: int(row["Id"])) if not ids else rows
        page = [r for r in rows[start - 1 : start + 999] if r["Id"] not in self.hidden]
        return {entity: page, "startPosition": start, "maxResults": len(page)} if page else {}


def pulled(batches: list[Batch]) -> list[str]:
    return [i.id for b in batches for i in b.invoices]


def test_a_full_pull_reads_everything_in_few_calls_and_ends_with_a_cursor() -> None:
    books = Books(Invoice=[an_invoice(n) for n in range(1, 2501)])
    with quickbooks(books) as server:
        batches = list(server.ledger().pull(None))
    assert sorted(pulled(batches), key=int) == [str(n) for n in range(1, 2501)]
    assert [b.cursor is None for b in batches] == [False] * 4
    assert batches[-1].complete == frozenset(Kind)
    assert batches[-1].cursor is not None
    assert batches[-1].cursor["since"]["Payment"] == NOW
    # preferences, counts, three pages of invoices
    assert len(server.asked) == 5


@pytest.mark.parametrize("size", [2500, 12000])
def test_pages_in_a_new_order_each_time_end_in_a_sentence_and_not_never(size: int) -> None:
    asked = []

    def page(start: int) -> list[tuple[str, int]]:
        """As of a ledger that overlooks ORDERBY: each page is drawn anew."""
        asked.append(start)
        assert len(asked) < 1000
        drawn = random.Random(len(asked)).sample(range(size), size)
        return [(str(n), n) for n in drawn[start - 1 : start + 999]]

    place = rows.Place(size)
    with pytest.raises(TryLater, match="another order each time") as stopped:
        list(rows._once(page, place))
    assert not stopped.value.uncertain
    assert not place.ended  # the next try reads on, or anew
    assert len(asked) < 100


def test_most_rows_vanish_while_they_are_read() -> None:
    """The reading falls back to the beginning, and counts anew from there: it does not end before the last row."""
    there = [str(n) for n in range(1, 5001)]

    def page(start: int) -> list[tuple[str, str]]:
        if start == 2998 and len(there) == 5000:
            del there[:3700]
        return [(id, id) for id in there[start - 1 : start + 999]]

    place = rows.Place(3998)  # counted before the last thousand were added
    found = {id for part in rows._once(page, place) for id in part}
    assert found >= {(id, id) for id in there}


def test_a_row_deleted_between_two_pages_hides_no_other_row() -> None:
    books = Books(Invoice=[an_invoice(n) for n in range(1, 2501)])

    def delete_some(entity: str, start: int) -> None:
        if start == 1000:
            books.records["Invoice"] = [
                r for r in books.records["Invoice"] if int(r["Id"]) not in (3, 4, 1000)
            ]

    books.before_page = delete_some
    with quickbooks(books) as server:
        found = pulled(list(server.ledger().pull(None)))
    assert set(found) >= {str(n) for n in range(1, 2501)} - {"3", "4", "1000"}


def test_rows_that_pages_keep_hiding_are_an_error_and_no_silence() -> None:
    books = Books(Invoice=[an_invoice(n) for n in range(1, 11)])
    books.hidden = {"7"}
    with quickbooks(books) as server, pytest.raises(TryLater):
        list(server.ledger().pull(None))


def test_a_quiet_sweep_is_one_call() -> None:
    books = Books()
    with quickbooks(books) as server:
        cursor = list(server.ledger().pull(None))[-1].cursor
        server.asked.clear()
        batches = list(server.ledger().pull(cursor))
    assert [a.path for a in server.asked] == ["cdc"]
    assert [(b.invoices, b.complete) for b in batches] == [((), frozenset())]
    since = server.asked[0].query["changedSince"]
    assert since == "2026-11-20T19:58:00+00:00"  # with its offset, and a little before the last time


def test_one_changed_invoice_is_one_call() -> None:
    books = Books()
    with quickbooks(books) as server:
        cursor = list(server.ledger().pull(None))[-1].cursor
        server.asked.clear()
        books.changes = {"Invoice": [an_invoice(5)]}
        batches = list(server.ledger().pull(cursor))
    assert len(server.asked) == 1
    assert pulled(batches) == ["5"]


@pytest.mark.parametrize("told", [None, frozenset({Kind.PAYMENT})], ids=["a sweep", "one event"])
def test_a_changed_payment_reads_the_invoice_that_it_settled(told: frozenset[Kind] | None) -> None:
    books = Books(Invoice=[an_invoice(1, balance=0), an_invoice(2)])
    with quickbooks(books) as server:
        cursor = list(server.ledger().pull(None))[-1].cursor
        server.asked.clear()
        books.changes = {"Payment": [a_payment(70, 100, (100, "Invoice", "1"))]}
        batches = list(server.ledger().pull(cursor, told))
    assert pulled(batches) == ["1"]
    assert len(server.asked) == 2


def test_an_invoice_that_an_event_says_is_void_sets_its_money_free() -> None:
    books = Books(Payment=[a_payment(70, 100) | {"UnappliedAmt": 100}])
    with quickbooks(books) as server:
        cursor = list(server.ledger().pull(None))[-1].cursor
        books.changes = {"Invoice": [an_invoice(1, 0, 0) | {"PrivateNote": "Voided"}]}
        batches = list(server.ledger().pull(cursor, frozenset({Kind.INVOICE})))
    assert [(p.id, p.unapplied) for b in batches for p in b.payments] == [("70", 10_000)]


def test_deleted_records_are_removed_and_never_look_paid() -> None:
    gone = {"domain": "QBO", "status": "Deleted", "Id": "979", "MetaData": META}
    books = Books()
    with quickbooks(books) as server:
        cursor = list(server.ledger().pull(None))[-1].cursor
        books.changes = {"Invoice": [an_invoice(5), gone], "JournalEntry": [gone]}
        batches = list(server.ledger().pull(cursor))
    assert batches[0].removed == ((Kind.INVOICE, "979"), (Kind.PAYMENT, "JournalEntry:979"))
    assert pulled(batches) == ["5"]
    assert not [u for b in batches for u in b.unreadable]


def test_an_answer_of_a_thousand_is_taken_as_cut_and_the_kind_read_in_full() -> None:
    books = Books(Invoice=[an_invoice(n) for n in range(1, 1501)])
    with quickbooks(books) as server:
        cursor = list(server.ledger().pull(None))[-1].cursor
        books.changes = {"Invoice": books.records["Invoice"][:1000], "Payment": [a_payment(2000, 5)]}
        batches = list(server.ledger().pull(cursor))
    assert batches[-1].complete == {Kind.INVOICE}
    assert len(set(pulled(batches))) == 1500
    assert [p.id for b in batches for p in b.payments] == ["2000"]


def test_a_thousand_over_several_kinds_is_asked_kind_by_kind() -> None:
    books = Books()
    with quickbooks(books) as server:
        cursor = list(server.ledger().pull(None))[-1].cursor
        books.changes = {
            "Invoice": [an_invoice(n) for n in range(1, 601)],
            "Payment": [a_payment(n, 5) for n in range(601, 1101)],
        }
        batches = list(server.ledger().pull(cursor))
    assert batches[-1].complete == frozenset()
    assert len(pulled(batches)) == 600
    assert sum(len(b.payments) for b in batches) == 500


def test_a_cursor_of_last_month_is_not_trusted() -> None:
    books = Books(Invoice=[an_invoice(1)])
    with quickbooks(books) as server:
        cursor = list(server.ledger().pull(None))[-1].cursor
        assert cursor is not None
        cursor["since"] = dict.fromkeys(cursor["since"], "2026-10-20T12:00:00-08:00")
        batches = list(server.ledger().pull(cursor))
    assert batches[-1].complete == frozenset(Kind)
    assert pulled(batches) == ["1"]


def test_a_record_that_cannot_be_read_is_set_aside_and_the_rest_goes_on() -> None:
    broken = an_invoice(2, total=None)
    books = Books(Invoice=[an_invoice(1), broken, an_invoice(3)])
    with quickbooks(books) as server:
        batches = list(server.ledger().pull(None))
    assert pulled(batches) == ["1", "3"]
    (aside,) = [u for b in batches for u in b.unreadable]
    assert (aside.kind, aside.id) == (Kind.INVOICE, "2")
    assert "TotalAmt" in aside.reason
    assert '"CustomerRef"' in aside.raw


@pytest.mark.parametrize(
    "odd",
    [{"TotalAmt": [1]}, {"TxnDate": 7}, {"Balance": "much"}, {"Balance": 12.345}, {"CurrencyRef": "USD"}],
)
def test_what_is_asked_for_by_name_and_cannot_be_read_is_no_guess(odd: dict[str, Any]) -> None:
    books = Books(Invoice=[an_invoice(1) | odd])
    with quickbooks(books) as server:
        ledger = server.ledger()
        with pytest.raises(Refused, match="cannot read") as caught:
            ledger.customer_money("58")
        assert caught.value.code == "UNREADABLE_RECORD"
        assert list(ledger.pull(None))[-1].complete  # where it is set aside


def test_the_proof_goes_on_past_what_cannot_be_read() -> None:
    """The ledger's own balance of the customer still holds what we cannot read."""
    customers = [{"Id": "58", "Balance": 300}, {"Id": "59", "Balance": "much"}]
    books = Books(Invoice=[an_invoice(1), an_invoice(2, total=None), an_invoice(3)], Customer=customers)
    with quickbooks(books) as server:
        ledger = server.ledger()
        assert ledger.balances() == {"58": {"USD": 30000}}
        assert ledger.open_invoices() == {"58": {"USD": 2}}


def test_unknown_fields_are_no_matter() -> None:
    books = Books(Invoice=[an_invoice(1) | {"NewThing": {"a": [1, 2.5]}, "status": "Pending"}])
    with quickbooks(books) as server:
        assert pulled(list(server.ledger().pull(None))) == ["1"]


def test_a_credit_memo_knows_what_it_settled_also_after_a_change() -> None:
    memo = an_invoice(68, total=300) | {"RemainingCredit": 100, "Balance": 100}
    books = Books(
        CreditMemo=[memo],
        Invoice=[an_invoice(67, total=200, balance=0)],
        Payment=[a_payment(70, 0, (200, "Invoice", "67"), (200, "CreditMemo", "68"))],
    )
    with quickbooks(books) as server:
        full = list(server.ledger().pull(None))
        cursor = full[-1].cursor
        books.changes = {"Payment": books.records["Payment"]}
        changed = list(server.ledger().pull(cursor))
    (first,) = [c for b in full for c in b.credits]
    (again,) = [c for b in changed for c in b.credits]
    assert first == again
    assert (first.total, first.remaining) == (30000, 10000)
    assert [(a.invoice_id, a.amount, a.date, a.id) for a in first.allocations] == [
        ("67", 20000, date(2026, 10, 5), "70")
    ]
    assert not [p for b in full + changed for p in b.payments]


def test_money_that_became_a_mere_link_leaves_the_payments() -> None:
    books = Books(Payment=[a_payment(70, 100) | {"UnappliedAmt": 100}])
    with quickbooks(books) as server:
        cursor = list(server.ledger().pull(None))[-1].cursor
        books.changes = {"Payment": [a_payment(70, 0, (200, "Invoice", "67"), (200, "CreditMemo", "68"))]}
        batches = list(server.ledger().pull(cursor))
    assert (Kind.PAYMENT, "70") in [gone for b in batches for gone in b.removed]


def test_a_changed_journal_entry_takes_its_old_parts_away_first() -> None:
    """It may have named more customers before: all its parts go, then those of today come."""

    def line(customer: str) -> dict[str, Any]:
        entity = {"Type": "Customer", "EntityRef": {"value": customer}}
        detail = {"PostingType": "Credit", "AccountRef": {"value": "84"}, "Entity": entity}
        return {"Amount": 10, "JournalEntryLineDetail": detail}

    journal = {"Id": "12", "TxnDate": "2026-10-01", "MetaData": META, "Line": [line("58")]}
    books = Books(Account=[{"Id": "84"}])
    with quickbooks(books) as server:
        cursor = list(server.ledger().pull(None))[-1].cursor
        books.changes = {"JournalEntry": [journal]}
        first, second, _ = server.ledger().pull(cursor)
    assert first.removed == ((Kind.PAYMENT, "JournalEntry:12"),)
    assert [(p.id, p.amount) for p in second.payments] == [("JournalEntry:12", 1000)]


def test_one_kind_can_be_pulled_alone() -> None:
    books = Books(Invoice=[an_invoice(1)], Payment=[a_payment(70, 5)])
    with quickbooks(books) as server:
        batches = list(server.ledger().pull(None, frozenset({Kind.INVOICE})))
        assert batches[-1].complete == {Kind.INVOICE}
        assert not [p for b in batches for p in b.payments]
        both = list(server.ledger().pull(batches[-1].cursor))
    assert [p.id for b in both for p in b.payments] == ["70"]
    assert both[-1].complete == {Kind.CUSTOMER, Kind.PAYMENT, Kind.CREDIT}


def test_a_kind_that_this_edition_does_not_have_stops_nothing() -> None:
    books = Books(Invoice=[an_invoice(1)])
    refusal = {"Fault": {"Error": [{"Message": "Feature Not Supported", "code": "5030"}]}}

    def small_edition(asked: Asked) -> Answer:
        if asked.path == "batch":
            status, body = books(asked)
            for item, request in zip(
                body["BatchItemResponse"][::-1], asked.json["BatchItemRequest"], strict=True
            ):
                if "RefundReceipt" in request["Query"]:
                    item.pop("QueryResponse")
                    item |= refusal
            return status, body
        if "RefundReceipt" in asked.body:
            return 400, refusal
        return books(asked)

    with quickbooks(small_edition) as server:
        batches = list(server.ledger().pull(None))
        assert pulled(batches) == ["1"]
        assert batches[-1].complete == frozenset(Kind)
        assert batches[-1].cursor is not None
        list(server.ledger().pull(batches[-1].cursor))
    assert "RefundReceipt" not in server.asked[-1].query["entities"]
    assert "Deposit" in server.asked[-1].query["entities"]


# Several questions in one call


@pytest.mark.parametrize("batch", ["refused", "one answer missing", "cut at a thousand", "answered"])
def test_what_a_batch_of_questions_leaves_out_is_asked_alone(batch: str) -> None:
    """A ledger may refuse queries in a batch, or one of them, or cut them short: nothing may go missing."""
    books = Books(
        Invoice=[an_invoice(n) for n in range(1, 700)],
        Payment=[a_payment(n, 1) for n in range(1, 600 if batch == "cut at a thousand" else 20)],
    )

    def answer(asked: Asked) -> Answer:
        if asked.path != "batch":
            return books(asked)
        if batch == "refused":
            return 400, {"Fault": {"Error": [{"code": "2010", "Message": "no", "Detail": "no"}]}}
        status, body = books(asked)
        by_id = {item["bId"]: item for item in body["BatchItemResponse"]}
        if batch == "one answer missing":
            by_id["1"] = {"bId": "1", "Fault": {"Error": [{"code": "4000", "Message": "x", "Detail": "x"}]}}
        if batch == "cut at a thousand":
            by_id["1"]["QueryResponse"]["Payment"] = by_id["1"]["QueryResponse"]["Payment"][:301]
        return status, {"BatchItemResponse": list(by_id.values()), "time": NOW}

    with quickbooks(answer) as scripted:
        transport = Transport(scripted.address, "9130", scripted.tokens, scripted.meter)
        invoices, payments = rows.several(transport, [("Invoice", ""), ("Payment", "")])
    assert (len(invoices), len(payments)) == (699, len(books.records["Payment"]))
    assert len({row["Id"] for row in payments}) == len(payments)
    asked_alone = [a.body for a in scripted.asked if a.path == "query"]
    assert bool(asked_alone) == (batch != "answered")
