"""Each way QuickBooks says no, over HTTP through the SDK, and the one of four errors it becomes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from adapters.quickbooks import faults
from connector.domain.receivables import Kind
from connector.domain.writes import NoteDraft
from connector.platforms import OutOfDate, PlatformError, Reconnect, Refused, TryLater
from tests.adapters.quickbooks_scripted import quickbooks
from tests.conftest import ROOT

TOKEN = "eyJlbmMiOiJBMTI4Q0JDLUhTMjU2IiwiYWxnIjoiZGlyIn0..abcdefghijklmnop"


def fault(code: str, message: str = "Something", detail: str = "", kind: str = "ValidationFault") -> Any:
    error = {"Message": message, "Detail": detail, "code": code, "element": ""}
    return {"Fault": {"Error": [error], "type": kind}, "time": "2026-11-20T10:00:00.000-08:00"}


def gateway(code: str, message: str, detail: str) -> Any:
    error = {"message": message, "detail": detail, "code": code, "element": None}
    return {"warnings": None, "fault": {"error": [error], "type": "AUTHENTICATION"}, "report": None}


THROTTLED = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?><IntuitResponse time="2026-11-20T10:00:00.000-08:00">'
    '<Fault type="SERVICE"><Error code="003001"><Message>message=ThrottleExceeded; errorCode=003001; '
    "statusCode=429</Message></Error></Fault></IntuitResponse>"
)

TABLE = [
    (
        403,
        gateway("3100", "message=ApplicationAuthorizationFailed; errorCode=003100", "x"),
        Reconnect,
        "3100",
    ),
    (403, fault("120", "Authorization Failure", "You do not have permission"), Reconnect, "120"),
    (401, fault("100", "General Authentication Error"), Reconnect, "100"),
    (429, gateway("3001", "message=ThrottleExceeded; errorCode=003001", ""), TryLater, "3001"),
    (403, gateway("003001", "message=ThrottleExceeded; errorCode=003001", ""), TryLater, "3001"),
    (429, THROTTLED, TryLater, "3001"),
    (403, THROTTLED, TryLater, "3001"),
    (500, "<html><body>Internal Server Error</body></html>", TryLater, "500"),
    (503, "", TryLater, "503"),
    (504, "<html></html>", TryLater, "504"),
    (200, fault("10000", "An application error has occurred", kind="SystemFault"), TryLater, "10000"),
    (200, "<html>maintenance</html>", TryLater, "200"),
    (400, fault("5010", "Stale Object Error", "You and Ann Lee were working on this"), OutOfDate, "5010"),
    (
        400,
        fault("610", "Object Not Found", "Something you're trying to use has been made inactive."),
        OutOfDate,
        "610",
    ),
    (400, fault("620", "Transaction linking failed"), OutOfDate, "620"),
    (400, fault("6140", "Duplicate Document Number Error", "DocNumber=1001-P1C"), OutOfDate, "6140"),
    (400, fault("6240", "Duplicate Name Exists Error"), OutOfDate, "6240"),
    (400, fault("500", "Unsupported Operation"), Refused, "500"),
    (400, fault("2010", "Request has invalid or unsupported property"), Refused, "2010"),
    (400, fault("2020", "Required param missing"), Refused, "2020"),
    (400, fault("2030", "Invalid ID"), Refused, "2030"),
    (400, fault("2050", "String length is either shorter or longer"), Refused, "2050"),
    (400, fault("2080", "Invalid Number"), Refused, "2080"),
    (400, fault("2240", "Invalid amount"), Refused, "2240"),
    (400, fault("2390", "Item has no account"), Refused, "2390"),
    (400, fault("2500", "Invalid Reference Id"), Refused, "2500"),
    (400, fault("4000", "Error parsing query"), Refused, "4000"),
    (400, fault("4001", "Invalid query"), Refused, "4001"),
    (400, fault("5030", "Feature Not Supported"), Refused, "5030"),
    (400, fault("6070", "Amount is not equal to UnitPrice * Qty"), Refused, "6070"),
    (400, fault("6190", "Invalid Company Status", "Subscription period has ended"), Refused, "6190"),
    (400, fault("6200", "Account Period Closed"), Refused, "6200"),
    (400, fault("6210", "Account Period Closed"), Refused, "6210"),
    (400, fault("6430", "Invalid account type used"), Refused, "6430"),
    (400, fault("6540", "Deposited Transaction cannot be changed"), Refused, "6540"),
    (400, fault("9999", "A new rule of QuickBooks"), Refused, "9999"),
    (200, {"QueryResponse": {"Fault": fault("500")["Fault"], "Invoice": []}}, Refused, "500"),
    (200, {"CDCResponse": [{"QueryResponse": [{"Fault": fault("5030")["Fault"]}]}]}, Refused, "5030"),
    (
        400,
        {"Fault": {"Error": [{"Message": "Account Period Closed"}], "type": "ValidationFault"}},
        Refused,
        "6210",
    ),
    (400, {"Fault": {"Error": [{"Message": "stale object error", "code": "SOE"}]}}, OutOfDate, "5010"),
    (400, {"Fault": {"Error": [], "type": "SERVICE"}}, Refused, "400"),
    (400, "", Refused, "400"),
]


@pytest.mark.parametrize(("status", "body", "error", "code"), TABLE)
def test_every_fault_becomes_one_of_four_errors(
    status: int, body: Any, error: type[PlatformError], code: str
) -> None:
    with quickbooks(lambda asked: (status, body)) as books, pytest.raises(PlatformError) as caught:
        books.ledger().accounts()
    assert type(caught.value) is error
    assert caught.value.code == code
    assert caught.value.reference == "1-tid"
    assert str(caught.value).endswith((".", "!"))


def test_a_throttle_waits_a_minute_when_quickbooks_names_no_time() -> None:
    with quickbooks(lambda asked: (429, THROTTLED)) as books, pytest.raises(TryLater) as caught:
        books.ledger().balances()
    assert caught.value.after == 60.0
    assert not caught.value.uncertain


def test_an_expired_token_is_renewed_once_and_the_call_repeated() -> None:
    def answer(asked: Any) -> tuple[int, Any]:
        if asked.token == "first":
            return 401, gateway("3200", "message=AuthenticationFailed; errorCode=003200; statusCode=401", "x")
        return 200, {"QueryResponse": {}, "time": "2026-11-20T10:00:00.000-08:00"}

    with quickbooks(answer) as books:
        assert books.ledger().find(Kind.INVOICE, ["1001"]) == []
    assert books.tokens.renewals == ["first"]
    assert [a.token for a in books.asked] == ["first", "second"]


def test_a_token_that_is_refused_again_means_reconnect_and_is_never_quoted() -> None:
    body = gateway(
        "3200", "message=AuthenticationFailed; errorCode=003200; statusCode=401", f"Token expired: {TOKEN}"
    )
    with quickbooks(lambda asked: (401, body)) as books, pytest.raises(Reconnect) as caught:
        books.ledger().accounts()
    assert len(books.asked) == 2
    told = f"{caught.value} {caught.value.words} {caught.value!r} {caught.value.__context__!r}"
    assert TOKEN not in told
    assert "eyJ" not in told


def test_the_other_user_of_a_stale_document_is_not_named() -> None:
    body = fault(
        "5010",
        "Stale Object Error",
        "Stale Object Error : You and Ann Lee were working on this at the same time.",
    )
    with quickbooks(lambda asked: (400, body)) as books, pytest.raises(OutOfDate) as caught:
        books.ledger().accounts()
    assert "Ann" not in str(caught.value) + caught.value.words


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"Token expired: {TOKEN}", "eyJ"),
        (f"access_token={TOKEN} was wrong", "eyJ"),
        ("Authorization: Bearer short-token", "short-token"),
        ("You and Ann Lee were working on this", "Ann"),
        ("Sent to ann.lee@example.com already", "ann.lee"),
    ],
)
def test_words_are_scrubbed(text: str, secret: str) -> None:
    assert secret not in faults.scrub(text)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("The name is too long.", "QuickBooks refuses this: The name is too long."),
        (
            "Make sure all your transactions have a VAT rate before you save.",
            'Make one called "Out of scope"',
        ),
        ("Make sure all your transactions have a GST/HST code before you save.", "or use notes-only plans."),
    ],
)
def test_a_business_refusal_is_told_in_words_that_help(said: str, told: str) -> None:
    body = fault("6000", "A business validation error has occurred", f"Business Validation Error: {said}")
    with quickbooks(lambda asked: (400, body)) as books, pytest.raises(Refused) as caught:
        books.ledger().accounts()
    assert told in str(caught.value)
    assert said in caught.value.words


def test_two_names_at_once_is_only_a_reason_to_wait() -> None:
    detail = "Business Validation Error: You can only add or edit one name at a time."
    body = fault("6000", "A business validation error", detail)
    with quickbooks(lambda asked: (400, body)) as books, pytest.raises(TryLater):
        books.ledger().accounts()


def test_a_lost_answer_to_a_read_is_not_uncertain_and_a_refused_connection_neither() -> None:
    with quickbooks(lambda asked: (200, None)) as books, pytest.raises(TryLater) as caught:
        books.ledger().accounts()
    assert not caught.value.uncertain
    assert books.meter.calls[0].status == 0
    with pytest.raises(TryLater) as caught:  # the server is gone
        books.ledger().accounts()
    assert not caught.value.uncertain


def test_the_meter_sees_compressed_bytes_operation_and_reference() -> None:
    page = {
        "QueryResponse": {"Account": [{"Id": str(n), "Name": "Account"} for n in range(500)]},
        "time": "x",
    }
    home = {"Preferences": {"CurrencyPrefs": {"HomeCurrency": {"value": "USD"}}}}
    with quickbooks(lambda asked: (200, home if asked.path == "preferences" else page)) as books:
        books.ledger().accounts()
    call = books.meter.calls[-1]
    assert call.operation == "query Account"
    assert not call.writes
    assert call.reference == "1-tid"
    assert 0 < call.bytes_in < 3000  # 500 accounts are over 15,000 bytes unpacked


def test_the_table_in_the_documentation_is_the_table_in_the_code() -> None:
    page = (ROOT / "docs/platforms/quickbooks.md").read_text()
    table = page.split("## When QuickBooks says no")[1].split("## Webhooks")[0]
    told = {
        int(code): row.split("|")[2]
        for row in table.splitlines()
        if row.startswith("| ") and "|" in row[2:]
        for code in re.findall(r"\b\d{3,5}\b", re.sub(r"HTTP \w+|\(\d+\)", "", row.split("|")[1]))
    }
    known = {code: error.__name__ for code, (error, _) in faults.VERDICTS.items()}
    assert set(told) == {*known, 6000}
    for code, name in known.items():
        assert name in told[code], code


def test_a_write_that_never_left_is_certain_not_to_have_happened() -> None:
    draft = NoteDraft(Kind.INVOICE, "1", "Reminder", "")
    with quickbooks(lambda asked: (200, None)) as books, pytest.raises(TryLater) as caught:
        books.ledger().add_note(draft, "n-1")
    assert caught.value.uncertain  # it was received, and the answer lost
    with pytest.raises(TryLater) as caught:  # the server is gone: nobody received it
        books.ledger().add_note(draft, "n-1")
    assert not caught.value.uncertain


def test_a_password_file_never_replaces_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with quickbooks(lambda asked: (200, {"QueryResponse": {}, "time": "x"})) as books:
        books.ledger().find(Kind.INVOICE, ["1001"])
    assert [a.token for a in books.asked] == ["first"]


@pytest.mark.parametrize("status", [302, 307])
def test_no_token_follows_a_redirect(status: int) -> None:
    with quickbooks(lambda asked: (status, "moved")) as books, pytest.raises(PlatformError):
        books.ledger().find(Kind.INVOICE, ["1001"])
    assert len(books.asked) == 1
