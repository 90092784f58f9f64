"""Facts as the books state them: customers, invoices, payments, credits. Frozen, ledger-neutral.

Every amount is a whole number of minor units of the record's `currency`. Every date is a calendar date
in the organization's time zone. `id` is the ledger's own id. Nothing here says "paid" or "late" beyond
what the ledger states; readers derive that for a day of their own.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, fields, make_dataclass
from enum import StrEnum
from typing import Any, TypeVar


class Kind(StrEnum):
    """The kinds of record a ledger hands out and our mirror keeps."""

    CUSTOMER = "customer"
    INVOICE = "invoice"
    PAYMENT = "payment"
    CREDIT = "credit"


class Status(StrEnum):
    """Where a document stands in the ledger. `DRAFT` has not been posted and owes nothing."""

    DRAFT = "draft"
    OPEN = "open"
    PARTLY_PAID = "partly_paid"
    PAID = "paid"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class Organization:
    """What the ledger says about the business whose books these are. None means: the ledger did not say."""

    id: str
    name: str
    country: str  # ISO 3166 alpha-2, "" when unknown
    home_currency: str
    timezone: str  # IANA name
    sales_tax_basis_hint: str | None = None  # the ledger's own word; never an answer by itself
    income_basis_hint: str | None = None
    closed_until: dt.date | None = None  # last closed day: nothing may be dated on or before it
    auto_apply_credits: bool | None = None  # the ledger would apply our credit to some invoice by itself
    reminders_on: bool | None = None  # the ledger sends reminders of its own
    short_code: str = ""  # for deep links
    plan: str = ""  # the ledger's own word for the edition or price plan that the client has


@dataclass(frozen=True, slots=True)
class Customer:
    """Who owes, as the ledger knows them. "" and None mean that it does not say; `credit_limit` is in their currency."""

    id: str
    name: str
    email: str = ""
    phone: str = ""
    currency: str = ""
    country: str = ""
    language: str = ""
    active: bool = True
    parent_id: str = ""  # a sub-customer's parent
    merged_into: str = ""
    erasure_requested: bool = False  # the ledger marks a data-protection request
    is_person: bool | None = None  # consumer or sole trader, where known
    terms_days: int | None = None
    credit_limit: int | None = None
    ledger_balance: dict[str, int] | None = None  # the ledger's own figure, currency → minor units
    updated_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Invoice:
    """A sales invoice: `total` was asked for, with its `tax`; `balance` of it is still open."""

    id: str
    number: str
    customer_id: str
    date: dt.date
    due: dt.date
    currency: str
    total: int
    balance: int
    status: Status
    tax: int = 0
    rate: str | None = None  # home units for one foreign unit, a decimal number
    marker: str = ""  # our machine marker, when we wrote this document
    reference: str = ""
    note: str = ""  # the ledger's internal note field, verbatim
    expected_payment: dt.date | None = None
    emailed: bool | None = None
    pay_link: str = ""
    version: str = ""  # what an update must quote: SyncToken, UpdatedDateUTC
    updated_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Allocation:
    """Part of a payment or credit set against one invoice."""

    invoice_id: str
    amount: int
    date: dt.date | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Payment:
    """Money received. `flavor` keeps apart what the ledgers keep apart."""

    id: str
    customer_id: str
    date: dt.date
    currency: str
    amount: int
    unapplied: int
    allocations: tuple[Allocation, ...] = ()
    # payment | overpayment | prepayment | deposit | journal | refund | unmatched (money of this customer that
    # somebody booked as something else than the payment of an invoice: it lowers nothing that is owed)
    flavor: str = "payment"
    void: bool = False
    marker: str = ""
    reference: str = ""
    version: str = ""
    updated_at: dt.datetime | None = None


# Flavors of money that no ledger lists by customer: only a pull brings it
PULLED_ONLY = ("deposit", "journal", "refund", "unmatched")


@dataclass(frozen=True, slots=True)
class CreditNote:
    """Reduces what is owed: QuickBooks calls it a credit memo."""

    id: str
    number: str
    customer_id: str
    date: dt.date
    currency: str
    total: int
    remaining: int
    allocations: tuple[Allocation, ...] = ()
    void: bool = False
    marker: str = ""
    version: str = ""
    updated_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a document as posted: where its net and tax went."""

    account_id: str
    description: str
    net: int
    tax: int = 0
    tax_code: str = ""
    item_id: str = ""
    account_name: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """One settlement between two documents, seen from one of them."""

    kind: str  # invoice | credit | payment
    id: str
    amount: int
    link_id: str = ""  # what undoing it needs: QuickBooks' payment id, Xero's allocation id


@dataclass(frozen=True, slots=True)
class Document:
    """One ledger document read back in full: the proof of a write, and the snapshot before one."""

    kind: Kind
    id: str
    number: str
    customer_id: str
    date: dt.date
    due: dt.date | None
    currency: str
    total: int
    balance: int  # open amount of an invoice, remaining credit of a credit note
    tax: int
    status: Status
    lines: tuple[Line, ...] = ()
    links: tuple[Link, ...] = ()
    marker: str = ""
    note: str = ""
    rate: str | None = None
    version: str = ""
    url: str = ""  # deep link into the ledger, "" where none is known
    flags: frozenset[str] = field(default_factory=frozenset)  # e.g. retainage, cis, autopay, inventory


Record = TypeVar("Record")


def builder(record: type[Record]) -> type[Record]:
    """Called like `record` it makes the same in half the time, for whoever makes them by the thousand.

    A frozen class sets every field in a roundabout way. Its unfrozen twin has the same layout in memory: it is
    filled, and then declared to be the record. Not for fields with a default factory.
    """

    def declare(self: Any) -> None:
        self.__class__ = record

    columns = [(f.name, f.type, field(default=f.default)) for f in fields(record)]  # type: ignore[arg-type]
    more = {"__post_init__": declare}
    twin: Any = make_dataclass(record.__name__, columns, namespace=more, slots=True, eq=False, repr=False)
    return twin  # type: ignore[no-any-return]
