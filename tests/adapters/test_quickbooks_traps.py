"""What trips up a client of QuickBooks, one by one: each was seen at the ledger itself or in its SDK."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest

from adapters.quickbooks import transport
from connector.domain.receivables import Kind
from connector.domain.writes import NoteDraft, RemoveDraft
from connector.platforms import PlatformError, Reconnect, Refused, TryLater
from tests.adapters.quickbooks_scripted import Answer, Asked, quickbooks
from tests.adapters.test_quickbooks_faults import fault
from tests.adapters.test_quickbooks_reading import NOW, PREFERENCES, Books, an_invoice

MARK = "plan=PP-0007 v=1 role=installment n=1 src=147 h=0123456789abcdef"


def test_every_call_names_the_minor_version() -> None:
    with quickbooks(Books(Invoice=[an_invoice(1)])) as books:
        list(books.ledger().pull(None))
    assert {asked.query.get("minorversion") for asked in books.asked} == {"75"}
    assert {asked.path for asked in books.asked} >= {"preferences", "batch", "query"}


def test_a_ledger_that_does_not_answer_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "TIMEOUT", (1, 0.1))

    def slow(asked: Asked) -> Answer:
        time.sleep(0.3)
        return 200, {"time": NOW}

    with quickbooks(slow) as books:
        with pytest.raises(TryLater) as read:
            books.ledger().accounts()
        with pytest.raises(TryLater) as written:
            books.ledger().add_note(NoteDraft(Kind.INVOICE, "1", "Reminder", ""), "n-1")
    assert (read.value.uncertain, written.value.uncertain) == (False, True)


@pytest.mark.parametrize(
    "answered",
    [
        {"BatchItemResponse": [], "time": NOW},
        {"Invoice": an_invoice(9) | {"PrivateNote": MARK}, "time": NOW},
        fault("10000", "System Failure Error"),
    ],
)
def test_a_void_that_only_looks_like_success_is_not_taken_for_one(answered: Any) -> None:
    def answer(asked: Asked) -> Answer:
        if asked.path == "preferences":
            return 200, PREFERENCES
        if asked.query.get("operation") == "void":
            return 200, answered
        return 200, {"Invoice": an_invoice(9) | {"PrivateNote": MARK}, "time": NOW}

    with quickbooks(answer) as books, pytest.raises(PlatformError):
        books.ledger().remove(RemoveDraft("invoice", "9", MARK), "r-1")


@pytest.mark.parametrize(
    ("total", "note", "goes"), [(0, MARK, True), (0, "", False), (5, MARK, False), ("0.00", MARK, True)]
)
def test_a_link_of_ours_that_lost_its_invoice_can_be_taken_back(total: Any, note: str, goes: bool) -> None:
    """The invoice was voided by hand: the payment of zero is left with the credit alone."""
    half = {
        "Id": "60",
        "SyncToken": "1",
        "CustomerRef": {"value": "23"},
        "TxnDate": "2026-11-22",
        "TotalAmt": total,
        "UnappliedAmt": 800,
        "PrivateNote": note,
        "Line": [{"Amount": 800, "LinkedTxn": [{"TxnId": "56", "TxnType": "CreditMemo"}]}],
    }

    def answer(asked: Asked) -> Answer:
        if asked.path == "preferences":
            return 200, PREFERENCES
        return 200, {"Payment": {"Id": "60", "status": "Deleted"} if asked.query.get("operation") else half}

    with quickbooks(answer) as books:
        with contextlib.nullcontext() if goes else pytest.raises(Refused, match="real payment"):
            books.ledger().remove(RemoveDraft("link", "147", MARK, link_id="60"), "r-1")
        assert [a.query.get("operation") for a in books.asked if a.method == "POST"] == ["delete"] * goes


@pytest.mark.parametrize("made", [{}, {"Id": ""}, {"Id": None, "Note": 7}])
def test_a_write_whose_answer_names_nothing_is_looked_up_before_it_is_repeated(made: Any) -> None:
    def answer(asked: Asked) -> Answer:
        return (200, PREFERENCES) if asked.path == "preferences" else (200, {"Attachable": made, "time": NOW})

    with quickbooks(answer) as books, pytest.raises(TryLater) as caught:
        books.ledger().add_note(NoteDraft(Kind.INVOICE, "9", "Reminded.", MARK), "n-1")
    assert caught.value.uncertain


def test_the_change_feed_is_asked_with_an_offset_and_read_in_every_block() -> None:
    def answer(asked: Asked) -> Answer:
        blocks = [{"Invoice": [an_invoice(1)]}, {}, {"Invoice": [an_invoice(2)]}]
        return 200, {"CDCResponse": [{"QueryResponse": blocks}], "time": NOW}

    since = dict.fromkeys(("Invoice",), "2026-11-20T11:30:00-08:00")
    with quickbooks(answer) as books:
        batches = list(books.ledger().pull({"since": since, "home": "USD"}, frozenset({Kind.INVOICE})))
    [asked] = books.asked
    assert asked.query["changedSince"] == "2026-11-20T19:28:00+00:00"  # two minutes earlier, the same clock
    assert [i.id for b in batches for i in b.invoices] == ["1", "2"]


def test_the_address_for_paying_comes_only_when_it_is_asked_for() -> None:
    def answer(asked: Asked) -> Answer:
        link = {"InvoiceLink": "https://pay.example/1"} if asked.query.get("include") == "invoiceLink" else {}
        return 200, {"Invoice": an_invoice(1) | link, "time": NOW}

    with quickbooks(answer) as books:
        assert books.ledger().pay_link("1") == "https://pay.example/1"


def test_quotes_and_backslashes_in_a_number_stay_inside_it() -> None:
    with quickbooks(lambda asked: (200, {"QueryResponse": {}, "time": NOW})) as books:
        books.ledger().find(Kind.INVOICE, ["O'Neill\\7"])
    assert "DocNumber IN ('O\\'Neill\\\\7')" in books.asked[0].body


def test_text_of_any_alphabet_is_asked_for_as_it_is() -> None:
    with quickbooks(lambda asked: (200, {"QueryResponse": {}, "time": NOW})) as books:
        books.ledger().find(Kind.INVOICE, ["Ж-7"])
    assert "'Ж-7'" in books.asked[0].body


@pytest.mark.parametrize(
    ("status", "body", "error", "code"),
    [
        (403, "<html>Blocked</html>", TryLater, "403"),
        (401, "<html>Unauthorized</html>", Reconnect, "401"),
        (408, "", TryLater, "408"),
        (502, "<html>Bad gateway</html>", TryLater, "502"),
    ],
)
def test_answers_without_a_fault_go_by_their_number(
    status: int, body: str, error: type[PlatformError], code: str
) -> None:
    with quickbooks(lambda asked: (status, body)) as books, pytest.raises(PlatformError) as caught:
        books.ledger().accounts()
    assert (type(caught.value), caught.value.code) == (error, code)


def test_of_several_errors_the_one_that_is_known_decides() -> None:
    several = {"Fault": {"Error": [{"Message": "?", "code": "77777"}, {"Message": "Stale", "code": "5010"}]}}
    with quickbooks(lambda asked: (400, several)) as books, pytest.raises(PlatformError) as caught:
        books.ledger().accounts()
    assert caught.value.code == "5010"


def test_a_row_of_a_page_that_does_not_fit_is_set_aside_with_its_own_text() -> None:
    odd = an_invoice(2) | {"TotalAmt": [1], "Strange": {"kept": "as it came"}}
    lacking = {name: value for name, value in an_invoice(3).items() if name != "Balance"} | {"Note": "ü"}
    with quickbooks(Books(Invoice=[an_invoice(1), odd, lacking, an_invoice(4)])) as books:
        batches = list(books.ledger().pull(None))
    assert [i.id for b in batches for i in b.invoices] == ["1", "4"]
    aside = {u.id: u for b in batches for u in b.unreadable}
    assert set(aside) == {"2", "3"}
    assert "as it came" in aside["2"].raw
    assert aside["3"].reason == "QuickBooks gave no Balance"


@pytest.mark.parametrize(("written", "minor"), [(0, 0), (75, 7500), (337.5, 33750), ("100.10", 10010)])
def test_an_amount_may_come_whole_with_decimals_or_as_text(written: Any, minor: int) -> None:
    with quickbooks(Books(Invoice=[an_invoice(1, written, written)])) as books:
        [invoice] = [i for b in books.ledger().pull(None) for i in b.invoices]
    assert (invoice.total, invoice.balance) == (minor, minor)


def test_numbers_where_texts_are_usual_do_no_harm() -> None:
    raw = an_invoice(1) | {"Id": 1, "SyncToken": 3, "DocNumber": 1001, "CustomerRef": {"value": 58}}
    with quickbooks(Books(Invoice=[raw])) as books:
        [invoice] = [i for b in books.ledger().pull(None) for i in b.invoices]
    assert (invoice.id, invoice.version, invoice.number, invoice.customer_id) == ("1", "3", "1001", "58")


def test_oddities_in_what_is_only_told_do_no_harm() -> None:
    odd = {
        "Id": "58",
        "DisplayName": "Rose & Daughters",
        "Active": "true",
        "MetaData": {"LastUpdatedTime": 7},
        "PrimaryEmailAddr": {"Address": None},
        "PrimaryPhone": {"FreeFormNumber": 5551234},
        "BillAddr": {"Country": ["US"]},
    }
    with quickbooks(Books(Customer=[odd])) as books:
        batches = list(books.ledger().pull(None))
    [customer] = [c for b in batches for c in b.customers]
    assert (customer.name, customer.active, customer.email, customer.phone) == (
        *("Rose & Daughters", True),
        *("", ""),
    )
    assert not [u for b in batches for u in b.unreadable]
