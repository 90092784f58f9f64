"""What QuickBooks says when it says no: codes, sentences and the three shapes of a fault body.

The ordinary shape is `{"Fault": {"Error": [...], "type": ...}, "time": ...}`. The gateway in front of it
(tokens, permissions) answers in lower case, and throttling comes as JSON or as XML.
"""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape, quoteattr


class Fault(Exception):
    """QuickBooks refuses. `status` is the HTTP status of the answer that carries it."""

    def __init__(
        self, code: str, message: str, detail: str, *, status: int = 400, kind: str = "ValidationFault"
    ) -> None:
        super().__init__(f"{code} {message}: {detail}")
        self.code, self.message, self.detail = code, message, detail
        self.status, self.kind = status, kind

    def body(self) -> dict[str, Any]:
        """The value of the key `Fault`."""
        error = {"Message": self.message, "Detail": self.detail, "code": self.code, "element": ""}
        return {"Error": [error], "type": self.kind}


def unsupported(detail: str = "Operation is not supported.") -> Fault:
    return Fault("500", "Unsupported Operation", detail)


def not_found() -> Fault:
    """Missing, deleted or inactive: the text does not tell which."""
    return Fault(
        "610",
        "Object Not Found",
        "Object Not Found : Something you're trying to use has been made inactive. "
        "Check the fields with accounts, customers, items, vendors or employees.",
    )


def unlinkable(detail: str) -> Fault:
    return Fault("620", "Transaction cannot be linked", f"Transaction cannot be linked : {detail}")


def unknown_property(name: str, owner: str, known: list[str]) -> Fault:
    listed = ",".join(f'"{k}"' for k in known)
    return Fault(
        "2010",
        "Request has invalid or unsupported property",
        f'Property Name:Unrecognized field "{name}" (class com.intuit.schema.finance.v3.{owner}), not marked '
        f"as ignorable ({len(known)} known properties: {listed}) specified is unsupported or invalid",
    )


def malformed(detail: str) -> Fault:
    return Fault("2010", "Request has invalid or unsupported property", f"Property Name:{detail}")


def missing(name: str) -> Fault:
    return Fault(
        "2020",
        "Required param missing, need to supply the required value for the API",
        f"Required parameter {name} is missing in the request",
    )


def bad_id(value: object) -> Fault:
    return Fault("2030", "Invalid ID", f"Invalid ID. Id should be a valid number. Supplied value:{value}")


def too_long(name: str, limit: int, length: int, *, least: int = 0) -> Fault:
    return Fault(
        "2050",
        "String length is either shorter or longer than supported by specification",
        f"String length specified does not match the supported length. Min:{least} Max:{limit} supported. "
        f"Supplied length:{length} ({name})",
    )


def bad_number(name: str, value: object) -> Fault:
    return Fault("2080", "Invalid Number", f"Invalid Number : {name}. Supplied value:{value}")


def bad_payment_amount(detail: str) -> Fault:
    return Fault("2240", "Invalid payment amount", f"Invalid payment amount : {detail}")


def no_income_account(item: str) -> Fault:
    return Fault("2390", "Account needed for sales transactions", f"Item {item} has no income account.")


def bad_reference(what: str, value: object) -> Fault:
    return Fault(
        "2500", "Invalid Reference Id", f"Invalid Reference Id : {what} element id {value} not found"
    )


def query_syntax(detail: str) -> Fault:
    return Fault("4000", "Error parsing query", f"QueryParserError: {detail}")


def query_invalid(detail: str) -> Fault:
    return Fault("4001", "Invalid query", f"QueryValidationError: {detail}")


def stale(other: str) -> Fault:
    """Names the other user, as QuickBooks does: an application must not show or log this text."""
    return Fault(
        "5010",
        "Stale Object Error",
        f"Stale Object Error : You and {other} were working on this at the same time. "
        f"{other} finished before you did, so your work was not saved.",
    )


def no_feature(detail: str) -> Fault:
    return Fault("5030", "Feature Not Supported Error", f"Feature Not Supported Error : {detail}")


def business(detail: str) -> Fault:
    return Fault(
        "6000",
        "A business validation error has occurred while processing your request",
        f"Business Validation Error: {detail}",
    )


def amount_mismatch(supplied: object) -> Fault:
    text = "Amount calculation incorrect in the request"
    return Fault("6070", text, f"{text} : Amount is not equal to UnitPrice * Qty. Supplied value:{supplied}")


def duplicate_number(number: str, kind: str, id: str) -> Fault:
    return Fault(
        "6140",
        "Duplicate Document Number Error",
        "Duplicate Document Number Error : You must specify a different number. This number has already been "
        f"used. DocNumber={number} is assigned to TxnType={kind} with TxnId={id}",
    )


def subscription_ended() -> Fault:
    return Fault(
        "6190",
        "Invalid Company Status",
        "Subscription period has ended or canceled or there was a billing problem : You can't add data to "
        "QuickBooks Online because your trial or subscription period ended.",
    )


def closed_period() -> Fault:
    return Fault(
        "6210",
        "Account Period Closed, Cannot Update Through Services API",
        "The account period has closed and the account books cannot be updated through through the QBO "
        "Services API. Please use the QBO website to make these changes.",
    )


def duplicate_name(what: str = "Another customer, vendor or employee") -> Fault:
    return Fault(
        "6240",
        "Duplicate Name Exists Error",
        f"The name supplied already exists. : {what} is already using this name. "
        "Please use a different name.",
    )


def wrong_account_type(detail: str) -> Fault:
    return Fault("6430", "Invalid account type used", f"Invalid account type used : {detail}")


def deposited() -> Fault:
    return Fault(
        "6540",
        "Deposited Transaction cannot be changed",
        "Deposited Transaction cannot be changed : This transaction has been deposited. If you want to change "
        "or delete it, you must edit the deposit it appears on and remove it first.",
    )


def system_failure(status: int = 500) -> Fault:
    text = "An application error has occurred while processing your request"
    return Fault("10000", text, f"System Failure Error: {text}", status=status, kind="SystemFault")


def gateway(name: str, code: str, status: int, detail: str | None, kind: str) -> dict[str, Any]:
    """The lower-case body of Intuit's gateway."""
    error = {
        "message": f"message={name}; errorCode=00{code}; statusCode={status}",
        "detail": detail,
        "code": code,
        "element": None,
    }
    empty = dict.fromkeys(
        ["warnings", "intuitObject", "report", "requestId", "queryResponse", "batchItemResponse"], None
    )
    rest: dict[str, Any] = {"attachableResponse": [], "syncErrorResponse": None, "cdcresponse": []}
    return {**empty, "fault": {"error": [error], "type": kind}, **rest}


def unauthorized(token: str) -> dict[str, Any]:
    """The 401. It quotes the access token, as Intuit does: an application must never log this body."""
    return gateway("AuthenticationFailed", "3200", 401, f"Token expired: {token}", "AUTHENTICATION")


def forbidden() -> dict[str, Any]:
    """The 403: another company's token, the other key set, or a user who disconnected."""
    return gateway("ApplicationAuthorizationFailed", "3100", 403, None, "AUTHORIZATION")


def throttled() -> Fault:
    return Fault(
        "3001",
        "message=ThrottleExceeded; errorCode=003001; statusCode=429",
        "You have exceeded the limit of requests for this company. Please wait and try again.",
        status=429,
        kind="SERVICE",
    )


def xml(fault: Fault, time: str) -> str:
    """A fault in the XML that QuickBooks sends now and then, whatever the request accepts."""
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
        f'<IntuitResponse xmlns="http://schema.intuit.com/finance/v3" time={quoteattr(time)}>'
        f"<Fault type={quoteattr(fault.kind)}><Error code={quoteattr(fault.code)}>"
        f"<Message>{escape(fault.message)}</Message><Detail>{escape(fault.detail)}</Detail>"
        "</Error></Fault></IntuitResponse>"
    )
