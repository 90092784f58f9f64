"""What requests say, read field by field; and how a list of elements is carried out or refused.

Each element is first prepared (checked, nothing changed) and then carried out. By default one bad element refuses
all; with summarizeErrors=false the good ones are carried out and each row says how it went.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sandbox import refusals
from sandbox.documents import Account
from sandbox.ledger import Ledger
from sandbox.xero import errors
from sandbox.xero.envelope import ZERO_GUID, Json
from sandbox.xero.errors import Invalid
from sandbox.xero.idempotency import Reply
from sandbox.xero.request import Call

Perform = Callable[[], Json]
"""Carries out one prepared element and gives its row."""

NOT_EDITABLE = "This document cannot be edited as it has a payment or credit note allocated to it."
_MS_DATE = re.compile(r"/Date\((-?\d+)(?:[+-]\d{4})?\)/")
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def carry_out(
    call: Call, plural: str, id_field: str, elements: list[Json], prepare: Callable[[Json], Perform]
) -> Reply:
    """Prepare every element, then perform them in order. Raises Refused (400) as the caller asked for it."""
    prepared = [_attempt(lambda element=element: prepare(element)) for element in elements]  # type: ignore[misc]
    bad = [
        element for element, outcome in zip(elements, prepared, strict=True) if isinstance(outcome, Invalid)
    ]
    if bad and call.summarizes:
        raise errors.validation(
            [
                _failed(element, id_field, outcome)
                for element, outcome in zip(elements, prepared, strict=True)
                if isinstance(outcome, Invalid)
            ]
        )
    found = []
    for element, outcome in zip(elements, prepared, strict=True):
        done = outcome if isinstance(outcome, Invalid) else _attempt(outcome)
        if not isinstance(done, Invalid):
            found.append(done | {"StatusAttributeString": "OK"})
        elif call.summarizes:
            raise errors.validation([_failed(element, id_field, done)])
        else:
            found.append(
                _failed(element, id_field, done) | {"StatusAttributeString": "ERROR", "HasErrors": True}
            )
    return call.reply(plural, found)


def _attempt(step: Callable[[], Any]) -> Any:
    try:
        return step()
    except Invalid as invalid:
        return invalid
    except refusals.Refusal as refusal:
        return Invalid(sentence(refusal))


def _failed(element: Json, id_field: str, invalid: Invalid) -> Json:
    sent = str(element.get(id_field))
    return {
        id_field: sent if _GUID.fullmatch(sent) else ZERO_GUID,
        **{name: value for name, value in element.items() if name != id_field},
        "HasValidationErrors": True,
        "ValidationErrors": errors.problems(invalid.messages),
    }


def sentence(refusal: refusals.Refusal) -> str:
    """Xero's words for a refusal of the books."""
    if isinstance(refusal, refusals.LockedPeriod):
        return locked(refusal)
    if isinstance(refusal, refusals.Frozen):
        return NOT_EDITABLE
    if isinstance(refusal, refusals.DuplicateNumber):
        return "Invoice # must be unique."
    if isinstance(refusal, refusals.DuplicateName):
        name = refusal.facts.get("name")
        return (
            f"The contact name {name} is already assigned to another contact. "
            "The contact name must be unique across all active contacts."
        )
    return str(refusal)


def locked(refusal: refusals.LockedPeriod) -> str:
    """The sentence for a date that a lock date closes."""
    which = "end of year lock date" if refusal.which == "year_end" else "period lock date"
    return f"The document date cannot be before the {which}, currently set at {refusal.lock:%d %B %Y}"


def check_open(call: Call, *days: dt.date) -> None:
    """Raises Invalid when a day is locked."""
    try:
        call.ledger.organization.check_open(*days)
    except refusals.LockedPeriod as refusal:
        raise Invalid(locked(refusal)) from None


# fields


def inner(element: Json, name: str) -> Json:
    """An object inside the element, {} when absent. Raises Invalid when it is something else."""
    value = element.get(name)
    if value is not None and not isinstance(value, dict):
        raise Invalid(f"The field {name} must be an object.")
    return value or {}


def several(element: Json, name: str) -> list[Json]:
    """A list of objects, [] when absent. Raises Invalid when it is something else."""
    value = element.get(name)
    if value is not None and not (isinstance(value, list) and all(isinstance(one, dict) for one in value)):
        raise Invalid(f"The field {name} must be a list of objects.")
    return value or []


def text(element: Json, name: str, longest: int) -> str:
    """A text field, "" when absent. Raises Invalid when too long."""
    value = element.get(name)
    value = "" if value is None else str(value)
    if len(value) > longest:
        raise Invalid(f"The field {name} must be a string with a maximum length of {longest}.")
    return value


def date(element: Json, name: str) -> dt.date | None:
    """A calendar date as YYYY-MM-DD (with or without a time) or /Date(ms)/. Raises Invalid when it is none."""
    value = element.get(name)
    if value in (None, ""):
        return None
    match = _MS_DATE.fullmatch(str(value))
    try:
        if match:
            return (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=int(match[1]))).date()
        return dt.date.fromisoformat(str(value)[:10])
    except (ValueError, OverflowError):
        raise Invalid(f"The string '{value}' is not a valid date for {name}.") from None


def number(element: Json, name: str) -> Decimal | None:
    """A number, also one sent as text. Raises Invalid when it is none."""
    value = element.get(name)
    if value is None:
        return None
    try:
        found = Decimal(str(value))
    except ArithmeticError:
        found = Decimal("NaN")
    if isinstance(value, bool) or not found.is_finite():
        raise Invalid(f"The value '{value}' is not a valid number for {name}.")
    return found


def identity(element: Json | None, name: str) -> str:
    """An id in lower case, "" when absent. Raises Invalid for a text that is no GUID."""
    value = (element or {}).get(name)
    if value is None or value == "":
        return ""
    if not _GUID.fullmatch(str(value)):
        raise Invalid(f"The value '{value}' is not a valid GUID for {name}.")
    return "" if str(value) == ZERO_GUID else str(value).lower()


def account_named(ledger: Ledger, element: Json) -> Account | None:
    """The account that AccountID or Code/AccountCode names; None when there is no such account."""
    by_id = identity(element, "AccountID")
    if by_id:
        return ledger.accounts.get(by_id)
    code = str(element.get("AccountCode") or element.get("Code") or "")
    # The active account wins where an archived one had the same code before.
    found = [account for account in ledger.accounts if code and account.code == code]
    return next((account for account in found if account.active), found[0] if found else None)
