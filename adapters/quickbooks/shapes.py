"""The shapes of the records that a pull reads by the thousand: the fields that we keep, each of which may be missing.

A page is decoded row by row into these, which skips four fifths of its text. A row that does not fit is set aside
alone, with its own text. Rare records and single documents are read as plain dicts (see `translate`).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeVar

import msgspec


class Row(msgspec.Struct, kw_only=True, gc=False):
    """A record of QuickBooks. Amounts are read from the text of the number, never through a float.

    Strict are ids, amounts and days, which nobody may guess; what is only told, or asked about, may be anything.
    """


class Ref(Row):
    value: str | int | None = None


class Meta(Row):
    LastUpdatedTime: Any = None


class TaxDetail(Row):
    TotalTax: Decimal | None = None


class Email(Row):
    Address: Any = None


class Phone(Row):
    FreeFormNumber: Any = None


class Address(Row):
    Country: Any = None


class Linked(Row):
    TxnId: str | int | None = None
    TxnType: Any = None


class Settling(Row):
    """A line of a Payment."""

    Amount: Decimal | None = None
    LinkedTxn: list[Linked] | None = None


class Record(Row):
    """What all four have."""

    Id: str | int | None = None
    SyncToken: str | int | None = None
    MetaData: Meta | None = None
    CurrencyRef: Ref | None = None


class Customer(Record):
    DisplayName: Any = None
    FullyQualifiedName: Any = None
    CompanyName: Any = None
    PrimaryEmailAddr: Email | None = None
    PrimaryPhone: Phone | None = None
    Mobile: Phone | None = None
    BillAddr: Address | None = None
    Active: Any = None
    ParentRef: Ref | None = None
    SalesTermRef: Ref | None = None
    Balance: Decimal | None = None
    CreditLimit: Decimal | None = None


class Transaction(Record):
    TxnDate: str | None = None
    CustomerRef: Ref | None = None
    TotalAmt: Decimal | None = None
    PrivateNote: Any = None


class Invoice(Transaction):
    DocNumber: Any = None
    DueDate: str | None = None
    Balance: Decimal | None = None
    TxnTaxDetail: TaxDetail | None = None
    EmailStatus: Any = None
    ExchangeRate: Decimal | None = None
    InvoiceLink: Any = None


class Payment(Transaction):
    UnappliedAmt: Decimal | None = None
    PaymentRefNum: Any = None
    Line: list[Settling] | None = None


class CreditMemo(Transaction):
    DocNumber: Any = None
    Balance: Decimal | None = None
    RemainingCredit: Decimal | None = None


SHAPES: dict[str, type[Record]] = {
    "Customer": Customer,
    "Invoice": Invoice,
    "Payment": Payment,
    "CreditMemo": CreditMemo,
}


class _Lists(Row):
    Customer: list[msgspec.Raw] | None = None
    Invoice: list[msgspec.Raw] | None = None
    Payment: list[msgspec.Raw] | None = None
    CreditMemo: list[msgspec.Raw] | None = None
    Fault: Any = None
    fault: Any = None


class _Answer(Row):
    QueryResponse: _Lists | None = None
    Fault: Any = None
    fault: Any = None


_answers = msgspec.json.Decoder(_Answer)
_rows = {entity: msgspec.json.Decoder(shape) for entity, shape in SHAPES.items()}
_R = TypeVar("_R", bound=Record)


def listed(body: bytes, entity: str) -> list[msgspec.Raw] | None:
    """The undecoded rows in the answer to a query; None when it is no such answer, or holds a fault."""
    try:
        answer = _answers.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    found = answer.QueryResponse
    if found is None or answer.Fault or answer.fault or found.Fault or found.fault:
        return None
    rows: list[msgspec.Raw] | None = getattr(found, entity)
    return rows or []


def decode(row: msgspec.Raw, entity: str) -> Record:
    """Raises msgspec.DecodeError for a row that does not fit."""
    return _rows[entity].decode(row)


def read(raw: Mapping[str, Any] | Record, shape: type[_R]) -> _R:
    """A record that came as a dict in the shape that the translation reads. Raises msgspec.ValidationError."""
    return raw if isinstance(raw, shape) else msgspec.convert(raw, shape)
