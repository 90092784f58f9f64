"""Line items as requests state them, turned into lines of the books."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox.documents import Account, Line
from sandbox.money import exponent, to_minor
from sandbox.xero.elements import account_named, identity, number, several, text
from sandbox.xero.envelope import Json, decimal
from sandbox.xero.errors import Invalid
from sandbox.xero.request import Call
from sandbox.xero.settings import default_tax

MODES = {"Exclusive": "exclusive", "Inclusive": "inclusive", "NoTax": "none"}
LONGEST_DESCRIPTION = 4000
MOST_TRACKING = 2
_HUNDRED = Decimal(100)


def lines_of(
    call: Call, kind: str, elements: list[Json], mode: str, currency: str, before: list[Line]
) -> list[Line]:
    """The lines that a request states. A known LineItemID keeps that line and what is not stated of it.

    Raises Invalid with everything that is wrong with any of them.
    """
    known = {line.id: line for line in before}
    made: list[Line] = []
    messages: list[str] = []
    for element in elements:
        try:
            made.append(_line(call, kind, element, mode, currency, known))
        except Invalid as invalid:
            messages.extend(message for message in invalid.messages if message not in messages)
    if messages:
        raise Invalid(*messages)
    return made


def _line(call: Call, kind: str, element: Json, mode: str, currency: str, known: dict[str, Line]) -> Line:
    old = known.get(identity(element, "LineItemID"))
    description = text(element, "Description", LONGEST_DESCRIPTION)
    if old is not None and "Description" not in element:
        description = old.description
    if kind == "credit_note" and (element.get("DiscountRate") or element.get("DiscountAmount")):
        raise Invalid("Discounts cannot be applied to credit notes.")
    if len(several(element, "Tracking")) > MOST_TRACKING:
        raise Invalid("No more than two tracking categories can be used on a line.")
    quantity, unit, amount = _amount(call, element, old, currency)
    account = _account(call, element, old, amount)
    line = Line(net=0, description=description, id=old.id if old else "", extra=_extra(element, old))
    if account is None:
        return line
    code = str(element.get("TaxType") or (old.tax_code if old else "") or default_tax(call.ledger, account))
    if code not in call.ledger.tax_codes:
        raise Invalid(
            f"The TaxType code '{code}' does not exist or cannot be used for this type of transaction."
        )
    total = to_minor(amount, currency)
    line.account, line.tax_code, line.quantity, line.unit_price = account.id, code, quantity, unit
    line.tax = _tax(call, element, amount, mode, code, currency)
    line.net = total - line.tax if mode == "inclusive" else total
    return line


def _amount(
    call: Call, element: Json, old: Line | None, currency: str
) -> tuple[Decimal | None, Decimal | None, Decimal]:
    """Quantity, unit amount, and what the line comes to before tax is added."""
    quantity = number(element, "Quantity")
    unit = number(element, "UnitAmount")
    stated = number(element, "LineAmount")
    if old is not None and old.account:
        quantity = old.quantity if quantity is None else quantity
        if unit is None and (stated is None or old.unit_price is not None):
            unit = old.unit_price
    if unit is None and stated is None:
        return None, None, Decimal(0)
    quantity = Decimal(1) if quantity is None else quantity
    if quantity < 0:
        raise Invalid("The quantity cannot be negative.")
    if unit is None:
        unit = (stated or Decimal(0)) / (quantity or 1)
    unit = decimal(unit, call.places if call.places == 4 else max(2, exponent(currency)))
    places = max(2, exponent(currency))
    amount = quantity * unit
    rate, off = number(element, "DiscountRate"), number(element, "DiscountAmount")
    amount -= amount * rate / _HUNDRED if rate else off or Decimal(0)
    amount = decimal(amount, places)
    if stated is not None and "UnitAmount" in element and decimal(stated, places) != amount:
        raise Invalid(f"The line total {stated} does not match the expected line total {amount}")
    return quantity, unit, amount


def _account(call: Call, element: Json, old: Line | None, amount: Decimal) -> Account | None:
    named = element.get("AccountCode") or element.get("AccountID")
    account = account_named(call.ledger, element) if named else None
    if not named and old is not None and old.account:
        account = call.ledger.accounts[old.account]
    elif not named:
        if amount:
            raise Invalid("Account code or ID must be specified.")
        return None
    if account is None or account.type == "bank" or account.system:
        raise Invalid(f"Account code '{named or ''}' is not a valid code for this document.")
    if not account.active:
        raise Invalid(
            f"Account code '{account.code}' has been archived, or has been deleted. "
            "Each line item must reference a valid account."
        )
    return account


def _tax(call: Call, element: Json, amount: Decimal, mode: str, code: str, currency: str) -> int:
    if mode == "none":
        return 0
    stated = number(element, "TaxAmount")
    if stated is not None:
        return to_minor(stated, currency)
    rate = call.ledger.tax_codes[code].rate
    tax = amount * rate / (_HUNDRED + rate if mode == "inclusive" else _HUNDRED)
    return to_minor(tax.quantize(Decimal(1).scaleb(-exponent(currency)), rounding=ROUND_HALF_UP), currency)


def _extra(element: Json, old: Line | None) -> dict[str, Any]:
    extra = dict(old.extra) if old else {}
    for name in ("Tracking", "ItemCode", "DiscountRate", "DiscountAmount"):
        if element.get(name):
            extra[name] = element[name]
    return extra
