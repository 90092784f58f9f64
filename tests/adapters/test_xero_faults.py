"""Each row of the table in docs/platforms/xero.md: what Xero answers → what to do next."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapters.xero import answers, clearing, faults, ledger
from adapters.xero.faults import Answer, refused_element, token_expired, translate
from connector.platforms import OutOfDate, Reconnect, Refused, TryLater
from tests.conftest import ROOT


def answer(status: int, body: Any = b"", **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {"xero-correlation-id": "c-1"} | named, raw)


def validation(*texts: str) -> dict[str, Any]:
    errors = [{"Message": text} for text in texts]
    return {
        "ErrorNumber": 10,
        "Type": "ValidationException",
        "Message": "A validation exception occurred",
        "Elements": [{"InvoiceID": "0", "ValidationErrors": errors}],
    }


@pytest.mark.parametrize(
    ("text", "error", "code"),
    [
        ("Invoice # must be unique.", OutOfDate, "ALREADY_EXISTS"),
        ("Please enter a unique Name.", OutOfDate, "ALREADY_EXISTS"),
        ("Payment amount exceeds the amount outstanding on this document", OutOfDate, "BALANCE_CHANGED"),
        ("Payments can only be made against Authorised documents", OutOfDate, "STATUS_CHANGED"),
        ("Invoice not of valid status for modification", OutOfDate, "STATUS_CHANGED"),
        ("Idempotency Key: PP-1 is used with a different request.", OutOfDate, "KEY_REUSED"),
        (
            "An existing Credit Note with the specified CreditNoteID could not be found",
            OutOfDate,
            "NOT_FOUND",
        ),
        (
            "This document cannot be edited as it has a payment or credit note allocated to it.",
            Refused,
            "DOC_HAS_ALLOCATIONS",
        ),
        (
            "The document date cannot be before the end of year lock date, currently set at 31/03/2026",
            Refused,
            "PERIOD_LOCKED",
        ),
        ("The document date cannot be before the period lock date", Refused, "PERIOD_LOCKED"),
        ("Account code '850' is not a valid code for this document.", Refused, "CLEARING_INVALID"),
        (
            "Account code '850' has been archived, or has been deleted. Each line item must reference a valid "
            "account.",
            Refused,
            "CLEARING_INVALID",
        ),
        (
            "The contact with the specified contact details has been archived. The contact must be un-archived "
            "before creating new invoices or credit notes.",
            Refused,
            "CUSTOMER_INACTIVE",
        ),
        ("Users Organisation is not subscribed to currency NZD", Refused, "FOREIGN_CURRENCY"),
        ("Email address must be valid.", Refused, "EMAIL_REFUSED"),
        ("One or more line items must be specified", Refused, "VALIDATION"),
    ],
)
def test_each_validation_message_says_what_to_do_next(text: str, error: type[Exception], code: str):
    problem = translate(answer(400, validation(text)), writes=True)
    assert type(problem) is error
    assert (problem.code, problem.words, problem.reference) == (code, text, "c-1")
    assert str(problem)
    assert "{" not in str(problem)


def test_a_closed_period_names_its_day():
    text = "The document date cannot be before the end of year lock date, currently set at 31 March 2026."
    assert "closed to 31 March 2026;" in str(refused_element([text]))


def test_a_message_on_a_line_counts_too():
    body = {"Elements": [{"LineItems": [{"ValidationErrors": [{"Message": "Invoice # must be unique."}]}]}]}
    assert translate(answer(400, body), writes=True).code == "ALREADY_EXISTS"


@pytest.mark.parametrize(
    "body",
    [b"", b"Bad Request", b"<html>", b"[]", {"Message": "odd"}, {"Elements": "x"}, {"Elements": [None, 7]}],
)
def test_a_400_of_any_other_shape_still_needs_a_person(body: Any):
    problem = translate(answer(400, body), writes=True)
    assert type(problem) is Refused


EXPIRED = {
    "Type": None,
    "Title": "Unauthorized",
    "Status": 401,
    "Detail": "TokenExpired: token expired at 01/23/2026 18:21:16",
    "Instance": "eac0fd6e",
    "Extensions": {},
}


def test_an_expired_token_may_be_renewed_and_a_missing_scope_may_not():
    assert token_expired(answer(401, EXPIRED))
    assert token_expired(answer(401, b""))
    assert not token_expired(answer(401, EXPIRED, www_authenticate="insufficent_scope"))
    assert not token_expired(answer(401, EXPIRED, www_authenticate='Bearer error="insufficient_scope"'))
    assert not token_expired(answer(403, EXPIRED))


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (answer(401, EXPIRED), "TOKEN_REFUSED"),
        (answer(401, {"Detail": "AuthenticationUnsuccessful"}), "TOKEN_REFUSED"),
        (answer(401, b"", www_authenticate="insufficent_scope"), "SCOPE_MISSING"),
        (answer(403, {"Detail": "AuthorizationUnsuccessful"}), "SCOPE_MISSING"),
        (answer(403, {"Detail": "AuthenticationUnsuccessful"}), "DISCONNECTED"),
        (answer(403, {"title": "Forbidden", "detail": "AuthenticationUnsuccessful"}), "DISCONNECTED"),
        (answer(403, b""), "DISCONNECTED"),
    ],
)
def test_a_lost_permission_asks_for_a_reconnect(given: Answer, code: str):
    problem = translate(given, writes=False)
    assert (type(problem), problem.code) == (Reconnect, code)
    assert "Reconnect" in str(problem)


def test_a_firewalls_page_is_no_word_about_our_permission():
    problem = translate(answer(403, b"<html>Request blocked</html>"), writes=False)
    assert (type(problem), problem.code) == (TryLater, "HTTP_403")


@pytest.mark.parametrize(
    ("window", "retry_after", "code", "after"),
    [
        ("minute", "27", "LIMIT_MINUTE", 27.0),
        ("day", "66975", "LIMIT_DAY", 66975.0),
        ("appminute", "5", "LIMIT_APPMINUTE", 5.0),
        ("concurrent", None, "LIMIT_CONCURRENT", None),
        ("somethingnew", "soon", "LIMIT", None),
        ("minute", "2.5", "LIMIT_MINUTE", 2.5),
        ("minute", "Sat, 21 Nov 2020 07:28:00 GMT", "LIMIT_MINUTE", 0.0),  # long past
    ],
)
def test_each_limit_says_how_long_to_wait(
    window: str, retry_after: str | None, code: str, after: float | None
):
    headers = {"x_rate_limit_problem": window} | ({"retry_after": retry_after} if retry_after else {})
    problem = translate(answer(429, b"", **headers), writes=True)
    assert isinstance(problem, TryLater)
    assert (problem.code, problem.after, problem.uncertain) == (code, after, False)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_an_outage_is_waited_out_and_a_write_is_looked_up_first(status: int):
    read = translate(answer(status, b"The Xero API is temporarily unavailable"), writes=False)
    written = translate(answer(status, b"<html>"), writes=True)
    assert isinstance(read, TryLater)
    assert isinstance(written, TryLater)
    assert (read.uncertain, written.uncertain) == (False, True)


def test_an_organization_that_is_offline_says_so():
    assert "organization is offline" in str(
        translate(answer(503, b"The Organisation is offline"), writes=False)
    )


@pytest.mark.parametrize(
    ("status", "error"), [(404, OutOfDate), (409, OutOfDate), (412, Refused), (405, Refused), (501, Refused)]
)
def test_the_other_numbers(status: int, error: type[Exception]):
    assert (
        type(translate(answer(status, b"The resource you're looking for cannot be found"), writes=True))
        is error
    )


def test_the_table_in_the_documentation_is_the_table_in_the_code():
    page = (ROOT / "docs/platforms/xero.md").read_text()
    table = page.split("## When Xero says no")[1].split("## Webhooks")[0]
    told = set(re.findall(r"`([A-Z_]+)…?`", table))
    in_code = {
        module: {
            word
            for word in re.findall(r'"([A-Z_]{6,})"', Path(module.__file__ or "").read_text())
            if not word.startswith(("LIMIT", "HTTP"))
        }
        for module in (faults, ledger, answers, clearing)
    }
    named = {word for word in told if not word.startswith(("LIMIT", "HTTP"))}
    assert in_code[faults] <= named
    assert named <= set().union(*in_code.values())


def test_no_token_survives_in_what_is_kept():
    token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"
    problem = translate(answer(400, {"Message": f"token Bearer {token} and {token} refused"}), writes=False)
    assert token not in f"{problem} {problem.words} {problem!r}"
    assert "[token]" in problem.words


def test_the_reason_may_stand_on_what_the_document_holds():
    element = {
        "ValidationErrors": [],
        "Contact": {"ValidationErrors": [{"Message": "The contact is archived."}]},
        "LineItems": [{"Tracking": [{"ValidationErrors": [{"Message": "Tracking is not active."}]}]}],
    }
    problem = translate(answer(400, {"Elements": [element]}), writes=True)
    assert problem.words == "The contact is archived. Tracking is not active."
