"""The small change of QuickBooks's JSON: times with the Pacific offset, money literals, references, text.

Money goes out both as whole numbers and with decimals, as the real service does: amounts of lines keep their
decimals (`100.00`), computed totals lose them when they are whole (`100`, `0`). Empty fields are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sandbox import money
from sandbox.documents import Record
from sandbox.quickbooks import faults
from sandbox.quickbooks.query import PACIFIC

if TYPE_CHECKING:
    from sandbox.documents import Customer
    from sandbox.ledger import Ledger

Json = dict[str, Any]

CURRENCY_NAMES = {
    "AUD": "Australian Dollar",
    "CAD": "Canadian Dollar",
    "CHF": "Swiss Franc",
    "EUR": "Euro",
    "GBP": "British Pound Sterling",
    "INR": "Indian Rupee",
    "JPY": "Japanese Yen",
    "NZD": "New Zealand Dollar",
    "USD": "United States Dollar",
}


@lru_cache(maxsize=65_536)
def _pacific(moment: datetime) -> str:
    return moment.astimezone(PACIFIC).isoformat(timespec="seconds")


def stamp(moment: datetime) -> str:
    """Whole seconds with the Pacific offset."""
    return _pacific(moment.replace(microsecond=0))


def stamp_now(moment: datetime) -> str:
    """The `time` of an answer: milliseconds with the Pacific offset."""
    return moment.astimezone(PACIFIC).isoformat(timespec="milliseconds")


def amount(minor: int, currency: str) -> Decimal:
    """Money with the decimals of its currency: 100.00."""
    return money.to_decimal(minor, currency)


def total(minor: int, currency: str) -> Decimal | int:
    """Money without decimals when it is whole: 100, 0, 337.50."""
    whole, rest = divmod(minor, 10 ** money.exponent(currency))
    return money.to_decimal(minor, currency) if rest else whole


def number(value: Decimal) -> Decimal | int:
    """A plain number: 1, 0.5."""
    if value == int(value):
        return int(value)
    return Decimal(f"{value.normalize():f}")


def home(minor: int, currency: str, rate: Decimal, home_currency: str) -> int:
    """An amount in the company's own currency, minor units."""
    if currency == home_currency:
        return minor
    return money.to_minor(money.to_decimal(minor, currency) * rate, home_currency)


def meta(record: Record) -> Json:
    return {"CreateTime": stamp(record.created), "LastUpdatedTime": stamp(record.updated)}


def head(record: Record) -> Json:
    """What every entity starts with."""
    return {
        "domain": "QBO",
        "sparse": False,
        "Id": record.id,
        "SyncToken": str(record.version),
        "MetaData": meta(record),
    }


def currency_ref(currency: str) -> Json:
    return {"value": currency, "name": CURRENCY_NAMES.get(currency, currency)}


def full_name(ledger: Ledger, customer: Customer) -> str:
    """QuickBooks's FullyQualifiedName: "Freeman Sporting Goods:55 Twin Lane"."""
    name = shown_name(customer)
    parent = ledger.customers.get(customer.parent) if customer.parent else None
    return f"{full_name(ledger, parent)}:{name}" if parent else name


def shown_name(record: Any) -> str:
    """A name as lists show it: an inactive one carries a suffix, which frees the name."""
    name: str = record.name
    return name if record.active else f"{name} (deleted)"


def customer_ref(ledger: Ledger, id: str) -> Json:
    customer = ledger.customers.get(id)
    return {"value": id, "name": full_name(ledger, customer)} if customer else {"value": id}


def account_ref(ledger: Ledger, id: str) -> Json:
    account = ledger.accounts.get(id)
    return {"value": id, "name": shown_name(account)} if account else {"value": id}


def without_empty(body: Mapping[str, Any]) -> Json:
    """Absent is null: empty text and None are left out; empty lists and zeros stay."""
    return {key: value for key, value in body.items() if value is not None and value != ""}


# Reading requests.


def given(body: Mapping[str, Any], name: str) -> bool:
    """Whether the request says anything about `name`: absent, null and "" say nothing."""
    return body.get(name) not in (None, "")


def reference(body: Mapping[str, Any], name: str) -> str:
    """The id inside a reference, "" when it is not given."""
    ref = body.get(name)
    return str(ref.get("value") or "") if isinstance(ref, Mapping) else ""


def decimal(body: Mapping[str, Any], name: str) -> Decimal | None:
    """A number of the request, None when absent. Raises Fault 2080."""
    if not given(body, name):
        return None
    try:
        return Decimal(str(body[name]))
    except InvalidOperation:
        raise faults.bad_number(name, body[name])


def minor(body: Mapping[str, Any], name: str, currency: str) -> int | None:
    """An amount of the request in minor units, rounded half up as QuickBooks does; None when absent."""
    value = decimal(body, name)
    return None if value is None else money.to_minor(value, currency)


def day(body: Mapping[str, Any], name: str) -> date | None:
    """A date of the request (a date-time is cut to its date); None when absent."""
    return date.fromisoformat(str(body[name])[:10]) if given(body, name) else None


def text(body: Mapping[str, Any], name: str) -> str:
    return str(body[name]) if given(body, name) else ""


def flag(body: Mapping[str, Any], name: str) -> bool:
    return body.get(name) in (True, "true")


def kept(body: Mapping[str, Any], names: list[str]) -> Json:
    """Those of `names` that the request gives, as sent: fields the ledger has no use for."""
    return {name: body[name] for name in names if given(body, name)}


def check_name(name: str) -> str:
    """A list entry's name. Raises Fault 6000 for a colon, tab or line end in it."""
    if any(sign in name for sign in ":\t\n\r"):
        raise faults.business("The name cannot contain a colon, a tab or a new line.")
    return name.strip()
