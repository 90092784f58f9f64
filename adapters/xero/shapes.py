"""The shapes of Xero's records: the fields that we use, each of which may be missing or null.

Rows are decoded one by one: an unknown field, enum or type elsewhere cannot spoil a page, and a row that
cannot be read is set aside alone. Strict are ids, amounts and days, which nobody may guess; what is only told
may be anything. Source: Xero's OpenAPI 16.1.0 and the samples it publishes.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

import msgspec


class Row(msgspec.Struct, kw_only=True, gc=False):
    """A record of Xero."""


class Paging(Row):
    pageCount: Any = None
    itemCount: Any = None


class Envelope(Row):
    """What every answer comes in; the rows stay undecoded until each is read by itself."""

    Status: Any = None
    DateTimeUTC: str | None = None
    at: datetime | None = None  # not Xero's: when it answered, by its own clock
    pagination: Paging | None = None
    Invoices: list[msgspec.Raw] | None = None
    CreditNotes: list[msgspec.Raw] | None = None
    Payments: list[msgspec.Raw] | None = None
    Overpayments: list[msgspec.Raw] | None = None
    Prepayments: list[msgspec.Raw] | None = None
    Contacts: list[msgspec.Raw] | None = None
    Accounts: list[msgspec.Raw] | None = None
    TaxRates: list[msgspec.Raw] | None = None
    BrandingThemes: list[msgspec.Raw] | None = None
    Organisations: list[msgspec.Raw] | None = None
    InvoiceReminders: list[msgspec.Raw] | None = None
    HistoryRecords: list[msgspec.Raw] | None = None
    OnlineInvoices: list[msgspec.Raw] | None = None
    Allocations: list[msgspec.Raw] | None = None
    Attachments: list[msgspec.Raw] | None = None

    @property
    def says_nothing(self) -> bool:
        """Neither Xero's envelope nor any list."""
        return all(getattr(self, name) is None for name in self.__struct_fields__ if name != "at")


class Term(Row):
    Day: Any = None
    Type: Any = None


class Terms(Row):
    Sales: Term | None = None


class Owed(Row):
    Outstanding: Decimal | None = None


class Balances(Row):
    AccountsReceivable: Owed | None = None


class Phone(Row):
    PhoneType: Any = None
    PhoneNumber: Any = None
    PhoneAreaCode: Any = None
    PhoneCountryCode: Any = None


class Address(Row):
    Country: Any = None


class Contact(Row):
    ContactID: str | None = None
    ContactStatus: str | None = None
    Name: str | None = None
    EmailAddress: str | None = None
    MergedToContactID: str | None = None
    DefaultCurrency: str | None = None
    PaymentTerms: Terms | None = None
    Balances: Balances | None = None
    Phones: list[Phone] | None = None
    Addresses: list[Address] | None = None
    CompanyNumber: str | None = None
    UpdatedDateUTC: str | None = None


class ContactRef(Row):
    ContactID: str | None = None


class LineItem(Row):
    Description: str | None = None
    AccountCode: str | None = None
    AccountID: str | None = None
    TaxType: str | None = None
    TaxAmount: Decimal | None = None
    LineAmount: Decimal | None = None
    ItemCode: str | None = None


class Applied(Row):
    """A payment, credit note, over- or prepayment as an invoice lists it."""

    PaymentID: str | None = None
    CreditNoteID: str | None = None
    OverpaymentID: str | None = None
    PrepaymentID: str | None = None
    ID: str | None = None
    Amount: Decimal | None = None
    AppliedAmount: Decimal | None = None
    Status: str | None = None


class InvoiceRef(Row):
    InvoiceID: str | None = None
    CurrencyCode: str | None = None
    Contact: ContactRef | None = None


class Allocation(Row):
    AllocationID: str | None = None
    Amount: Decimal | None = None
    AppliedAmount: Decimal | None = None  # so in older answers
    Date: str | None = None
    Invoice: InvoiceRef | None = None
    IsDeleted: Any = None


class Document(Row):
    """What invoices, credit notes, over- and prepayments have in common."""

    Type: str | None = None
    Status: str | None = None
    Contact: ContactRef | None = None
    Date: str | None = None
    DateString: str | None = None
    Reference: str | None = None
    CurrencyCode: str | None = None
    CurrencyRate: Decimal | None = None
    LineAmountTypes: str | None = None
    LineItems: list[LineItem] | None = None
    TotalTax: Decimal | None = None
    Total: Decimal | None = None
    UpdatedDateUTC: str | None = None
    CISDeduction: Decimal | None = None


class Invoice(Document, kw_only=True):
    InvoiceID: str | None = None
    InvoiceNumber: str | None = None
    DueDate: str | None = None
    DueDateString: str | None = None
    ExpectedPaymentDate: str | None = None
    AmountDue: Decimal | None = None
    AmountPaid: Decimal | None = None
    AmountCredited: Decimal | None = None
    SentToContact: Any = None
    IsDiscounted: Any = None
    RepeatingInvoiceID: str | None = None
    Payments: list[Applied] | None = None
    CreditNotes: list[Applied] | None = None
    Overpayments: list[Applied] | None = None
    Prepayments: list[Applied] | None = None


class Credit(Document, kw_only=True):
    """A credit note, overpayment or prepayment: money or a claim that can still be set against invoices."""

    CreditNoteID: str | None = None
    CreditNoteNumber: str | None = None
    OverpaymentID: str | None = None
    PrepaymentID: str | None = None
    ID: str | None = None
    RemainingCredit: Decimal | None = None
    Allocations: list[Allocation] | None = None


class Payment(Row):
    PaymentID: str | None = None
    PaymentType: str | None = None
    Status: str | None = None
    Date: str | None = None
    Amount: Decimal | None = None
    CurrencyRate: Decimal | None = None
    Reference: str | None = None
    UpdatedDateUTC: str | None = None
    Invoice: InvoiceRef | None = None


class Organisation(Row):
    OrganisationID: str | None = None
    Name: str | None = None
    BaseCurrency: str | None = None
    CountryCode: str | None = None
    Timezone: str | None = None
    SalesTaxBasis: str | None = None
    PeriodLockDate: str | None = None
    EndOfYearLockDate: str | None = None
    ShortCode: str | None = None
    Class: str | None = None


class Account(Row):
    AccountID: str | None = None
    Code: str | None = None
    Name: str | None = None
    Type: str | None = None
    Status: str | None = None
    SystemAccount: str | None = None


class TaxRate(Row):
    TaxType: str | None = None
    Status: str | None = None


class BrandingTheme(Row):
    BrandingThemeID: str | None = None
    Name: str | None = None


class History(Row):
    Changes: str | None = None
    Details: str | None = None
    DateUTC: str | None = None


class Reminder(Row):
    Enabled: Any = None


class Online(Row):
    OnlineInvoiceUrl: Any = None


class Attachment(Row):
    AttachmentID: str | None = None
    FileName: str | None = None


class WithFiles(Row):
    """Any document that is read by its id names its files."""

    Attachments: list[msgspec.Raw] | None = None


class Outcome(Row):
    """How one element of a write fared, when the ledger answers each by itself."""

    StatusAttributeString: str | None = None
    HasErrors: Any = None
    HasValidationErrors: Any = None
    InvoiceID: str | None = None
    InvoiceNumber: Any = None
    CreditNoteID: str | None = None
    AllocationID: str | None = None
    AccountID: str | None = None


_Shape = TypeVar("_Shape", bound=Row)


@cache
def _decoder(shape: Any) -> Any:
    return msgspec.json.Decoder(shape)


def envelope(body: bytes) -> Envelope:
    """Raises msgspec.DecodeError when the body is not such an envelope."""
    return read(body, Envelope)


def read(row: bytes | msgspec.Raw, shape: type[_Shape]) -> _Shape:
    """Raises msgspec.DecodeError (msgspec.ValidationError for a field of another type)."""
    found: _Shape = _decoder(shape).decode(row)
    return found


def payment(row: bytes | msgspec.Raw | Payment) -> Payment:
    """Like `read`, of one that may have been read before."""
    return row if isinstance(row, Payment) else read(row, Payment)
