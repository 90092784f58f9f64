"""The documents of a company's books, in neutral words. Data only; `ledger` creates and changes them.

Amounts are whole minor units of the document's currency. `rate` is home units for one foreign unit (QuickBooks'
ExchangeRate; Xero's CurrencyRate is 1/rate). Dates are calendar dates in the organization's zone; `created` and
`updated` are aware UTC. `version` counts changes from 0 (QuickBooks' SyncToken). `extra` holds platform-only
fields, untouched by the ledger. Read freely; change only through `Ledger`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

Kind = Literal[
    "customer", "account", "item", "tax_code", "invoice", "credit_note", "payment", "advance",
    "deposit", "journal", "refund", "attachment",
]  # fmt: skip
Status = Literal["draft", "submitted", "open", "void", "deleted"]  # "paid" is derived: open with balance 0
ONE = Decimal(1)
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Ref(NamedTuple):
    """Points at one record of one company: Ref("invoice", "147")."""

    kind: str
    id: str


@dataclass(slots=True, kw_only=True)
class Record:
    """What everything in the books has. Leave `id` empty to be given one."""

    id: str = ""
    version: int = 0
    created: datetime = NEVER
    updated: datetime = NEVER
    extra: dict[str, Any] = field(default_factory=dict)


AccountType = Literal[
    "bank", "receivable", "undeposited", "current_asset", "fixed_asset", "payable", "current_liability",
    "tax", "long_liability", "equity", "income", "other_income", "cost_of_sales", "expense", "other_expense",
]  # fmt: skip
PROFIT_AND_LOSS = frozenset({"income", "other_income", "cost_of_sales", "expense", "other_expense"})


@dataclass(slots=True, kw_only=True)
class Account(Record):
    """`role` marks accounts the ledger itself posts to: receivable, undeposited, bank, sales, tax, late_fees,
    interest, discounts, bad_debts, rounding, realized_gain. `system` ones cannot be archived or used on lines."""

    name: str
    type: AccountType
    code: str = ""
    role: str = ""
    system: bool = False
    active: bool = True
    currency: str = ""  # "" = home
    takes_payments: bool = False  # Xero's EnablePaymentsToAccount
    tax_code: str = ""  # default tax code id


@dataclass(slots=True, kw_only=True)
class TaxCode(Record):
    """`rate` is a percentage. `taxable` False: off the tax return altogether (NON, NONE)."""

    name: str
    rate: Decimal = Decimal(0)
    taxable: bool = True
    active: bool = True
    account: str = ""  # liability account id; "" = the account with role tax


@dataclass(slots=True, kw_only=True)
class Item(Record):
    name: str
    income_account: str  # account id
    code: str = ""
    description: str = ""
    type: str = "service"  # service | inventory | non_inventory
    unit_price: int | None = None  # home currency
    taxable: bool = False
    tax_code: str = ""
    active: bool = True


@dataclass(slots=True, kw_only=True)
class Terms:
    """Payment terms. `basis`: days after the invoice date, or Xero's three other forms by name."""

    days: int
    basis: str = "after_invoice_date"  # after_month_end | of_current_month | of_following_month
    name: str = ""


@dataclass(slots=True, kw_only=True)
class Customer(Record):
    """A QuickBooks Customer or a Xero Contact. `parent` makes it a sub-customer. `gdpr_requested` is Xero's."""

    name: str
    email: str = ""
    phone: str = ""
    company_name: str = ""
    first_name: str = ""
    last_name: str = ""
    number: str = ""
    address: dict[str, str] = field(default_factory=dict)  # line1, city, region, postal_code, country
    currency: str = ""  # "" = home
    terms: Terms | None = None
    tax_code: str = ""
    credit_limit: int | None = None
    notes: str = ""
    active: bool = True
    gdpr_requested: bool = False
    parent: str = ""
    merged_into: str = ""


@dataclass(slots=True, kw_only=True)
class Line:
    """One line. `net` excludes tax. `account` "" = description only (net and tax must be 0).

    A discount line is a line with negative `net` on the discounts account.
    """

    net: int
    account: str = ""
    tax: int = 0
    tax_code: str = ""
    id: str = ""
    description: str = ""
    item: str = ""
    quantity: Decimal | None = None
    unit_price: Decimal | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Sale(Record):
    """What invoices and credit notes share. `total` = Σ line net + tax; `settled` is kept by the ledger."""

    customer: str
    date: date
    lines: list[Line] = field(default_factory=list)
    number: str = ""
    currency: str = ""  # "" = the customer's, else home
    rate: Decimal = ONE
    status: Status = "open"
    reference: str = ""
    private_note: str = ""
    customer_memo: str = ""
    tax_mode: str = "exclusive"  # exclusive | inclusive | none: how amounts were entered
    email: str = ""
    emailed_at: datetime | None = None
    settled: int = 0

    @property
    def net(self) -> int:
        return sum(line.net for line in self.lines)

    @property
    def tax(self) -> int:
        return sum(line.tax for line in self.lines)

    @property
    def total(self) -> int:
        return sum(line.net + line.tax for line in self.lines)

    @property
    def live(self) -> bool:
        """Whether it posts: not a draft, not void, not deleted."""
        return self.status == "open"

    @property
    def balance(self) -> int:
        """Still open: of an invoice what is owed, of a credit note what is left to apply. 0 unless live."""
        return self.total - self.settled if self.status == "open" else 0


@dataclass(slots=True, kw_only=True)
class Invoice(Sale):
    """A sales invoice. `deposit` was received with it (QuickBooks) and lowers the balance at once."""

    due: date | None = None
    expected: date | None = None  # Xero's ExpectedPaymentDate
    deposit: int = 0
    deposit_account: str = ""
    late_fee_of: str = ""  # the invoice this late fee belongs to
    flags: list[tuple[date, str]] = field(default_factory=list)  # (day, "disputed" …): not visible by API


@dataclass(slots=True, kw_only=True)
class CreditNote(Sale):
    """A credit note or credit memo: `balance` is what is left to apply."""


class Link(NamedTuple):
    """One line of a QuickBooks payment: `amount` (positive) of the open item `ref` (invoice, credit_note, journal)."""

    ref: Ref
    amount: int


@dataclass(slots=True, kw_only=True)
class Payment(Record):
    """Money received from a customer, or with `amount` 0 the bridge between credits and invoices.

    `links` are its lines as sent. `unapplied` = amount + Σ credit links − Σ invoice links (and refunds of it).
    `account`: where the money went; "" = undeposited funds (QuickBooks) or the bank (Xero).
    """

    customer: str
    date: date
    amount: int
    currency: str = ""
    rate: Decimal = ONE
    account: str = ""
    links: list[Link] = field(default_factory=list)
    reference: str = ""
    method: str = ""
    private_note: str = ""
    status: Status = "open"
    unapplied: int = 0
    deposit: str = ""  # id of the bank deposit that holds it
    batch: str = ""  # Xero: several payments of one remittance
    reconciled: bool = False

    @property
    def live(self) -> bool:
        return self.status == "open"

    @property
    def balance(self) -> int:
        return self.unapplied if self.status == "open" else 0


@dataclass(slots=True, kw_only=True)
class Advance(Record):
    """Xero's overpayment or prepayment: money received that waits for an invoice. `balance` = remaining credit."""

    type: Literal["overpayment", "prepayment"]
    customer: str
    date: date
    amount: int
    currency: str = ""
    rate: Decimal = ONE
    account: str = ""  # bank
    reference: str = ""
    status: Status = "open"
    settled: int = 0
    lines: list[Line] = field(default_factory=list)

    @property
    def live(self) -> bool:
        return self.status == "open"

    @property
    def balance(self) -> int:
        return self.amount - self.settled if self.status == "open" else 0


@dataclass(slots=True, kw_only=True)
class Refund(Record):
    """Money given back: uses up a credit note, an advance or an unapplied payment (`source`)."""

    source: Ref
    customer: str
    date: date
    amount: int
    currency: str = ""
    rate: Decimal = ONE
    account: str = ""
    reference: str = ""
    status: Status = "open"

    @property
    def live(self) -> bool:
        return self.status == "open"


@dataclass(slots=True, kw_only=True)
class DepositLine:
    """A payment brought to the bank, or (without `payment`) other money on `account`."""

    amount: int
    payment: str = ""
    account: str = ""
    customer: str = ""


@dataclass(slots=True, kw_only=True)
class Deposit(Record):
    """QuickBooks: moves payments from undeposited funds to a bank account and locks them."""

    date: date
    account: str
    lines: list[DepositLine] = field(default_factory=list)
    currency: str = ""
    rate: Decimal = ONE
    private_note: str = ""
    status: Status = "open"

    @property
    def live(self) -> bool:
        return self.status == "open"

    @property
    def total(self) -> int:
        return sum(line.amount for line in self.lines)


@dataclass(slots=True, kw_only=True)
class JournalLine:
    """`amount`: debit positive, credit negative. A line on the receivable account needs the customer."""

    account: str
    amount: int
    customer: str = ""
    description: str = ""
    id: str = ""


@dataclass(slots=True, kw_only=True)
class Journal(Record):
    """A journal entry: at most one line on the receivable account. That line is an open item: `receivable` > 0
    is owed like an invoice, < 0 can be applied like a credit; `settled` (positive) is how much of it is used."""

    date: date
    lines: list[JournalLine] = field(default_factory=list)
    number: str = ""
    currency: str = ""
    rate: Decimal = ONE
    private_note: str = ""
    status: Status = "open"
    customer: str = ""  # of the receivable line; set by the ledger
    receivable: int = 0  # set by the ledger
    settled: int = 0

    @property
    def live(self) -> bool:
        return self.status == "open"

    @property
    def balance(self) -> int:
        return abs(self.receivable) - self.settled if self.status == "open" else 0


@dataclass(slots=True, kw_only=True)
class Allocation:
    """`amount` of a `source` (payment, credit_note, advance, journal) set against a `target` (invoice, journal).

    `via`: the QuickBooks payment that made it ("" = made directly). A credit may also be turned into unapplied
    money of a payment (target kind "payment").
    """

    id: str
    source: Ref
    target: Ref
    amount: int
    date: date
    created: datetime
    sequence: int  # order of making, for cumulative rounding
    via: str = ""


@dataclass(slots=True, kw_only=True)
class Note:
    """A line of a document's history (Xero) or activity. Never edited or deleted."""

    id: str
    at: datetime
    user: str
    text: str
    change: str = "Note"


@dataclass(slots=True, kw_only=True)
class Attachment(Record):
    """A note or file attached to documents (QuickBooks' Attachable, Xero's attachment)."""

    note: str = ""
    file_name: str = ""
    mime_type: str = ""
    content: bytes = b""
    refs: list[Ref] = field(default_factory=list)
    include_on_send: bool = False


@dataclass(slots=True, kw_only=True)
class Deletion:
    """That a record existed and is gone. `into`: the survivor, after a merge."""

    ref: Ref
    at: datetime
    into: str = ""
