"""Xero's records to ours and our drafts to Xero's. Pure; with `rows`, the only file with Xero's field names.

Sources: Xero's OpenAPI 16.1.0 and its pages on invoices, credit notes, payments and history.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import cache, lru_cache
from typing import Any

import msgspec
from babel.core import get_global

from adapters.xero import rows
from connector.domain.money import to_decimal, to_minor
from connector.domain.receivables import (
    Allocation,
    CreditNote,
    Customer,
    Document,
    Invoice,
    Kind,
    Line,
    Link,
    Organization,
    Payment,
    Status,
)
from connector.domain.writes import CreditDraft, InvoiceDraft, LinkDraft
from connector.platforms import Account, Clearing

ZERO_ID = "00000000-0000-0000-0000-000000000000"
NOTE_LIMIT = 2500  # characters of one history record, by the present page …
OLD_NOTE_LIMIT = 250  # … and by an older one
_OFF_AUSTRALIAN_RETURN = "BASEXCLUDED"
_NO_TAX = frozenset({"", "NONE", _OFF_AUSTRALIAN_RETURN})  # these keep an amount off every return


class Unusable(ValueError):
    """A row says something that we must not guess about. `str()` names the field, not its value's owner."""


# ---------------------------------------------------------------- values

_MS_DATE = re.compile(r"^/Date\((-?\d+)(?:([+-])(\d\d)(\d\d))?\)/$")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def moment(text: str | None) -> dt.datetime | None:
    """`/Date(1539993600000+0000)/` or ISO 8601 (UTC unless it says otherwise) as an aware UTC moment."""
    if not text:
        return None
    if match := _MS_DATE.match(text):
        return _EPOCH + dt.timedelta(milliseconds=int(match[1]))
    found = dt.datetime.fromisoformat(text)
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)


@lru_cache(maxsize=4096)  # a page names few different days many times
def day(text: str | None) -> dt.date | None:
    """A calendar date: Xero writes it as midnight of that date, without a zone of its own."""
    if not text:
        return None
    if match := _MS_DATE.match(text):
        at = _EPOCH + dt.timedelta(milliseconds=int(match[1]))
        if match[2]:  # the offset says whose midnight it was
            shift = dt.timedelta(hours=int(match[3]), minutes=int(match[4]))
            at += shift if match[2] == "+" else -shift
        return at.date()
    return dt.date.fromisoformat(text[:10])


def version(changed: dt.datetime | None, *more: object) -> str:
    """When a record last changed, and `more` that Xero may change without moving that moment.

    What an update compares with what was approved; equal means unchanged, nothing else may be read from it.
    """
    return " ".join([changed.isoformat(timespec="milliseconds") if changed else "", *map(str, more)])


def _minor(amount: Decimal | None, currency: str) -> int:
    return to_minor(amount, currency) if amount else 0


def _must(value: Any, field: str) -> Any:
    if value is None or value == "":
        raise Unusable(f"{field} is missing")
    return value


def _whole(amount: Decimal | None, field: str, currency: str) -> int:
    """An amount that decides what is owed: one that is missing is not zero."""
    return to_minor(_must(amount, field), currency)


def yes(value: Any) -> bool:
    """A yes or no that some answers write as text."""
    return str(value).lower() == "true"


def _said(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _id(value: str | None) -> str:
    return str(_must(value, "the id"))


def _contact_id(contact: rows.ContactRef | None) -> str:
    return str(_must(contact.ContactID if contact else None, "Contact"))


@cache
def _zones() -> dict[str, str]:
    """Xero's time zones are Windows' names in capitals without blanks and dots; CLDR maps those to IANA."""
    names = {re.sub(r"[ .-]", "", k).upper(): v for k, v in get_global("windows_zone_mapping").items()}
    return {"KAMCHATKASTANDARDTIME": "Asia/Kamchatka", "MIDATLANTICSTANDARDTIME": "Etc/GMT+2"} | names


def timezone(name: str | None) -> str:
    """The IANA name; "UTC" for a zone that nobody knows."""
    return _zones().get((name or "").upper(), "UTC")


# ---------------------------------------------------------------- from Xero


def organization(row: msgspec.Raw, reminders_on: bool | None) -> Organization:
    o = rows.read(row, rows.Organisation)
    locks = [d for d in (day(o.PeriodLockDate), day(o.EndOfYearLockDate)) if d]
    return Organization(
        id=o.OrganisationID or "",
        name=o.Name or "",
        country=o.CountryCode or "",
        home_currency=_must(o.BaseCurrency, "BaseCurrency"),
        timezone=timezone(o.Timezone),
        sales_tax_basis_hint=o.SalesTaxBasis or None,
        closed_until=max(locks) if locks else None,
        auto_apply_credits=False,  # Xero leaves a credit where it is until somebody allocates it
        reminders_on=reminders_on,
        is_demo=yes(o.IsDemoCompany),
        short_code=o.ShortCode or "",
        plan=o.Class or "",
    )


def reminders_on(row: msgspec.Raw) -> bool | None:
    enabled = rows.read(row, rows.Reminder).Enabled
    return None if enabled is None else yes(enabled)


def customer(row: msgspec.Raw, home_currency: str = "") -> Customer:
    """A contact. Its balance is in the organization's own currency; "" leaves it out."""
    c = rows.read(row, rows.Contact)
    owed = c.Balances.AccountsReceivable if c.Balances else None
    balance = None
    if home_currency:
        balance = {home_currency: _minor(owed.Outstanding if owed else None, home_currency)}
    return Customer(
        id=_must(c.ContactID, "ContactID"),
        name=c.Name or "",
        email=c.EmailAddress or "",
        phone=_phone(c.Phones or []),
        currency=c.DefaultCurrency or "",
        country=_country(c.Addresses or []),
        active=c.ContactStatus not in ("ARCHIVED", "GDPRREQUEST"),
        merged_into=c.MergedToContactID or "",
        erasure_requested=c.ContactStatus == "GDPRREQUEST",
        is_person=False if c.CompanyNumber else None,
        terms_days=_terms_days(c.PaymentTerms),
        ledger_balance=balance,
        updated_at=moment(c.UpdatedDateUTC),
    )


def contact_outstanding(row: msgspec.Raw, home_currency: str) -> tuple[str, int]:
    """(contact id, what Xero says it owes in the organization's own currency)."""
    found = customer(row, home_currency)
    return found.id, (found.ledger_balance or {})[home_currency]


def _phone(phones: list[rows.Phone]) -> str:
    for wanted in ("MOBILE", "DEFAULT", "DDI", "OFFICE"):
        for p in phones:
            if p.PhoneType == wanted and _said(p.PhoneNumber):
                parts = map(_said, (p.PhoneCountryCode, p.PhoneAreaCode, p.PhoneNumber))
                return " ".join(part for part in parts if part)
    return ""


def _country(addresses: list[rows.Address]) -> str:
    """Two letters as they stand; Xero takes any text here, and a guess would choose a wrong law."""
    for address in addresses:
        text = _said(address.Country).strip()
        if len(text) == 2 and text.isalpha():
            return text.upper()
    return ""


def _terms_days(terms: rows.Terms | None) -> int | None:
    """Only "days after the bill date" is a number of days; the other kinds depend on the month."""
    sales = terms.Sales if terms else None
    days = str(sales.Day) if sales and sales.Type == "DAYSAFTERBILLDATE" else ""
    return int(days) if days.isdigit() else None


RECEIVABLE = "ACCREC"
CREDIT = "ACCRECCREDIT"
INVOICE_PAYMENT = "ACCRECPAYMENT"
_CUSTOMER_MONEY = ("RECEIVE-OVERPAYMENT", "AROVERPAYMENT", "RECEIVE-PREPAYMENT", "ARPREPAYMENT")
_MARKER = re.compile(r"\bplan=(?:PP|LF)-\d+ v=\d+ ")


def _status(document: rows.Document, total: int, open_: int) -> Status:
    if document.Status in ("DRAFT", "SUBMITTED"):
        return Status.DRAFT
    if document.Status == "VOIDED":
        return Status.VOID
    if document.Status == "PAID":
        return Status.PAID
    if document.Status == "AUTHORISED":
        return Status.PARTLY_PAID if 0 < open_ < total else Status.OPEN
    raise Unusable(f"Status {document.Status!r} is not known")


@dataclass(frozen=True, slots=True)
class Gone:
    """A record that was deleted: Xero may still list it, the books no longer have it."""

    id: str


class NotOurs:
    """A record of the suppliers' side, or a refund: not a receivable and not money received."""


def invoice(row: msgspec.Raw) -> Invoice | Gone | NotOurs:
    """A sales invoice; a voided one keeps its total and owes nothing.

    Like all readers here: raises msgspec.ValidationError for a field of another type, and ValueError
    (Unusable) for a field that is missing or that we must not guess about.
    """
    i = rows.read(row, rows.Invoice)
    if i.Type != RECEIVABLE:
        return NotOurs()
    return Gone(_id(i.InvoiceID)) if i.Status == "DELETED" else _invoice(i)


def _invoice(i: rows.Invoice) -> Invoice:
    currency = _must(i.CurrencyCode, "CurrencyCode")
    total, due_amount = _whole(i.Total, "Total", currency), _minor(i.AmountDue, currency)
    status = _status(i, total, due_amount)
    if status in (Status.OPEN, Status.PARTLY_PAID):
        _must(i.AmountDue, "AmountDue")
    date = _date(i)
    due = day(i.DueDateString or i.DueDate) or date  # a draft may have none yet
    changed = moment(i.UpdatedDateUTC)
    return Invoice(
        id=_id(i.InvoiceID),
        number=i.InvoiceNumber or "",
        customer_id=_contact_id(i.Contact),
        date=date,
        due=due,
        currency=currency,
        total=total,
        balance=due_amount if status in (Status.OPEN, Status.PARTLY_PAID) else 0,
        status=status,
        tax=_minor(i.TotalTax, currency),
        rate=_rate(i),
        marker=marker(i.Reference),
        reference=i.Reference or "",
        expected_payment=day(i.ExpectedPaymentDate),
        emailed=yes(i.SentToContact),  # absent when false
        version=version(changed, due, due_amount),
        updated_at=changed,
    )


def set_against(row: msgspec.Raw) -> set[str]:
    """Which other lists changed together with this invoice: those of the credits set against it."""
    i = rows.read(row, rows.Invoice)
    lists = {"CreditNotes": i.CreditNotes, "Overpayments": i.Overpayments, "Prepayments": i.Prepayments}
    return {name for name, records in lists.items() if records}


def _date(document: rows.Document) -> dt.date:
    found: dt.date = _must(day(document.DateString or document.Date), "Date")
    return found


_RATE_DIGITS = Context(prec=16)


def _rate(document: rows.Document) -> str | None:
    """Xero says how many foreign units one home unit buys; we say what one foreign unit costs."""
    rate = document.CurrencyRate
    return format(_RATE_DIGITS.divide(Decimal(1), rate).normalize(), "f") if rate else None


def marker(reference: str | None) -> str:
    """Our machine marker, when the reference is one."""
    return reference if reference and _MARKER.match(reference) else ""


def _allocations(given: list[rows.Allocation] | None, currency: str) -> tuple[Allocation, ...]:
    return tuple(
        Allocation(
            invoice_id=_must(a.Invoice.InvoiceID if a.Invoice else None, "Allocation.Invoice"),
            amount=_minor(a.AppliedAmount if a.Amount is None else a.Amount, currency),
            date=day(a.Date),
            id=a.AllocationID or "",
        )
        for a in given or []
        if not yes(a.IsDeleted)
    )


def _remaining(c: rows.Credit, currency: str) -> int:
    """What is left of a credit. Only one that nobody can use any more may leave it out."""
    if c.RemainingCredit is None and c.Status == "AUTHORISED":
        raise Unusable("RemainingCredit is missing")
    return _minor(c.RemainingCredit, currency)


def credit_note(row: msgspec.Raw) -> CreditNote | Gone | NotOurs:
    """A credit note to a customer. A draft counts as void: it reduces nothing."""
    c = rows.read(row, rows.Credit)
    if c.Type != CREDIT:
        return NotOurs()
    return Gone(_id(c.CreditNoteID)) if c.Status == "DELETED" else _credit_note(c)


def _credit_note(c: rows.Credit) -> CreditNote:
    currency = _must(c.CurrencyCode, "CurrencyCode")
    total, remaining = _whole(c.Total, "Total", currency), _remaining(c, currency)
    void = _status(c, total, remaining) in (Status.VOID, Status.DRAFT)
    changed = moment(c.UpdatedDateUTC)
    return CreditNote(
        id=_id(c.CreditNoteID),
        number=c.CreditNoteNumber or "",
        customer_id=_contact_id(c.Contact),
        date=_date(c),
        currency=currency,
        total=total,
        remaining=0 if void else remaining,
        allocations=() if void else _allocations(c.Allocations, currency),
        void=void,
        marker=marker(c.Reference),
        version=version(changed),
        updated_at=changed,
    )


def advance(row: msgspec.Raw) -> Payment | Gone | NotOurs:
    """An over- or prepayment: money received that is set against invoices later."""
    c = rows.read(row, rows.Credit)
    if c.Type not in _CUSTOMER_MONEY:
        return NotOurs()
    id = _id(c.OverpaymentID or c.PrepaymentID or c.ID)
    if c.Status == "DELETED":
        return Gone(id)
    currency = _must(c.CurrencyCode, "CurrencyCode")
    total, remaining = _whole(c.Total, "Total", currency), _remaining(c, currency)
    void = _status(c, total, remaining) is Status.VOID
    changed = moment(c.UpdatedDateUTC)
    return Payment(
        id=id,
        customer_id=_contact_id(c.Contact),
        date=_date(c),
        currency=currency,
        amount=total,
        unapplied=0 if void else remaining,
        allocations=() if void else _allocations(c.Allocations, currency),
        flavor="overpayment" if "OVERPAYMENT" in c.Type else "prepayment",
        void=void,
        reference=c.Reference or "",
        version=version(changed),
        updated_at=changed,
    )


def payment(
    row: msgspec.Raw, home: str, currencies: Mapping[str, str], customers: Mapping[str, str] | None = None
) -> Payment | Gone | NotOurs:
    """A payment of one sales invoice, in the invoice's currency and of its customer.

    Lists may leave out both: `currencies` knows the one by invoice id, for all that is not in `home`, and
    `customers` the other.
    """
    p = rows.read(row, rows.Payment)
    if p.PaymentType != INVOICE_PAYMENT:
        return NotOurs()
    id = _id(p.PaymentID)
    if p.Status == "DELETED":
        return Gone(id)
    if p.Status != "AUTHORISED":
        raise Unusable(f"Status {p.Status!r} is not known")
    target = p.Invoice or rows.InvoiceRef()
    invoice_id = _id(target.InvoiceID)
    currency = target.CurrencyCode or currencies.get(invoice_id, home)
    amount = _whole(p.Amount, "Amount", currency)
    date: dt.date = _must(day(p.Date), "Date")
    changed = moment(p.UpdatedDateUTC)
    return Payment(
        id=id,
        customer_id=(customers or {}).get(invoice_id) or _contact_id(target.Contact),
        date=date,
        currency=currency,
        amount=amount,
        unapplied=0,
        allocations=(Allocation(invoice_id, amount, date, id),),
        reference=p.Reference or "",
        version=version(changed),
        updated_at=changed,
    )


@dataclass(frozen=True, slots=True)
class Paid:
    """What a payment says about the invoice it pays, and what must be asked for: its currency, its customer."""

    invoice_id: str
    foreign: bool
    nameless: bool


def paid(row: msgspec.Raw) -> Paid | None:
    """The sales invoice that a payment pays or, when deleted, paid."""
    p = rows.read(row, rows.Payment)
    target = p.Invoice
    if p.PaymentType != INVOICE_PAYMENT or target is None or not target.InvoiceID:
        return None
    foreign = not target.CurrencyCode and p.CurrencyRate not in (None, 1)
    return Paid(target.InvoiceID, foreign, nameless=not (target.Contact and target.Contact.ContactID))


def invoice_document(row: msgspec.Raw, url: Callable[[Kind, str], str]) -> Document | None:
    """An invoice in full, with its lines and what is set against it; None for a deleted one or a bill."""
    i = rows.read(row, rows.Invoice)
    if i.Type != RECEIVABLE or i.Status == "DELETED":
        return None
    fact = _invoice(i)

    def link(kind: str, id: str | None, amount: Decimal | None, link_id: str = "") -> Link:
        return Link(kind, _id(id), _minor(amount, fact.currency), link_id)

    links = [
        link("payment", p.PaymentID, p.Amount, p.PaymentID or "")
        for p in i.Payments or []
        if p.Status != "DELETED"
    ]
    links += [link("credit", c.CreditNoteID or c.ID, c.AppliedAmount) for c in i.CreditNotes or []]
    links += [link("payment", o.OverpaymentID or o.ID, o.AppliedAmount) for o in i.Overpayments or []]
    links += [link("payment", p.PrepaymentID or p.ID, p.AppliedAmount) for p in i.Prepayments or []]
    flags = {"cis": i.CISDeduction, "discount": yes(i.IsDiscounted), "repeating": i.RepeatingInvoiceID}
    return Document(
        kind=Kind.INVOICE,
        id=fact.id,
        number=fact.number,
        customer_id=fact.customer_id,
        date=fact.date,
        due=fact.due,
        currency=fact.currency,
        total=fact.total,
        balance=fact.balance,
        tax=fact.tax,
        status=fact.status,
        lines=_lines(i, fact.currency),
        links=tuple(links),
        marker=fact.marker,
        rate=fact.rate,
        version=fact.version,
        url=url(Kind.INVOICE, fact.id),
        flags=frozenset(name for name, present in flags.items() if present),
    )


def credit_document(row: msgspec.Raw, url: Callable[[Kind, str], str]) -> Document | None:
    """A credit note in full; `balance` is what can still be set against invoices."""
    c = rows.read(row, rows.Credit)
    if c.Type != CREDIT or c.Status == "DELETED":
        return None
    fact = _credit_note(c)
    return Document(
        kind=Kind.CREDIT,
        id=fact.id,
        number=fact.number,
        customer_id=fact.customer_id,
        date=fact.date,
        due=None,
        currency=fact.currency,
        total=fact.total,
        balance=fact.remaining,
        tax=_minor(c.TotalTax, fact.currency),
        status=_status(c, fact.total, fact.remaining),
        lines=_lines(c, fact.currency),
        links=tuple(Link("invoice", a.invoice_id, a.amount, a.id) for a in fact.allocations),
        marker=fact.marker,
        rate=_rate(c),
        version=fact.version,
        url=url(Kind.CREDIT, fact.id),
    )


def payment_document(fact: Payment, url: Callable[[Kind, str], str]) -> Document:
    """A payment, over- or prepayment as a document: its links are what it pays."""
    status = Status.VOID if fact.void else Status.OPEN if fact.unapplied else Status.PAID
    return Document(
        kind=Kind.PAYMENT,
        id=fact.id,
        number="",
        customer_id=fact.customer_id,
        date=fact.date,
        due=None,
        currency=fact.currency,
        total=fact.amount,
        balance=fact.unapplied,
        tax=0,
        status=status,
        links=tuple(Link("invoice", a.invoice_id, a.amount, a.id) for a in fact.allocations),
        version=fact.version,
        url=url(Kind.PAYMENT, fact.id),
    )


def _lines(document: rows.Document, currency: str) -> tuple[Line, ...]:
    """`LineAmount` is net, except where the document's amounts include tax."""
    inclusive = document.LineAmountTypes == "Inclusive"
    lines = []
    for item in document.LineItems or []:
        tax = _minor(item.TaxAmount, currency)
        amount = _minor(item.LineAmount, currency)
        lines.append(
            Line(
                account_id=item.AccountCode or item.AccountID or "",
                description=item.Description or "",
                net=amount - tax if inclusive else amount,
                tax=tax,
                tax_code=item.TaxType or "",
                item_id=item.ItemCode or "",
            )
        )
    return tuple(lines)


_CLEARING_TYPES = ("CURRENT", "CURRLIAB")


def account(row: msgspec.Raw) -> Account:
    a = rows.read(row, rows.Account)
    active = a.Status == "ACTIVE"
    why_not = ""
    if not active:
        why_not = "it is archived or deleted"
    elif a.SystemAccount:
        why_not = "Xero keeps it for itself"
    elif a.Type not in _CLEARING_TYPES:
        why_not = "it is not a current asset or current liability account"
    return Account(
        id=a.Code
        or _must(a.AccountID, "AccountID"),  # documents name an account by its code, where it has one
        code=a.Code or "",
        name=a.Name or "",
        type=a.Type or "",
        usable_for_clearing=not why_not,
        why_not=why_not,
        active=active,
    )


def clearing(found: Account, tax_code: str) -> Clearing:
    return Clearing(account_id=found.id, code=found.code, name=found.name, tax_code=tax_code)


NO_TAX_CODE = "NONE"


def off_return_code(tax_rates: list[msgspec.Raw]) -> str:
    """The tax type that is on no return. Australia's own where the books have it: there NONE is reported."""
    known = {r.TaxType for r in (rows.read(row, rows.TaxRate) for row in tax_rates) if r.Status != "DELETED"}
    return _OFF_AUSTRALIAN_RETURN if _OFF_AUSTRALIAN_RETURN in known else NO_TAX_CODE


_REMARK = "Note"


def history(records: list[msgspec.Raw]) -> list[str]:
    """What people and we wrote about a document, newest last; not what Xero notes by itself."""
    found = [rows.read(record, rows.History) for record in records]
    found.sort(key=lambda r: moment(r.DateUTC) or _EPOCH)
    remarks = [r for r in found if (r.Changes or _REMARK) == _REMARK or _MARKER.search(r.Details or "")]
    return [r.Details for r in remarks if r.Details]


def online(row: msgspec.Raw) -> str:
    return _said(rows.read(row, rows.Online).OnlineInvoiceUrl)


def attachment_id(row: msgspec.Raw) -> str:
    return rows.read(row, rows.Attachment).AttachmentID or ""


def attached(row: msgspec.Raw) -> list[msgspec.Raw]:
    """The files that a whole document names."""
    return rows.read(row, rows.WithFiles).Attachments or []


def attachment_name(row: msgspec.Raw) -> str:
    return rows.read(row, rows.Attachment).FileName or ""


def carried_out(row: msgspec.Raw) -> bool:
    """Whether one element of a write took effect, where the ledger answers each element by itself.

    `ValidationErrors` alone do not say so: Xero's own example of a success carries some.
    """
    o = rows.read(row, rows.Outcome)
    return not (
        (o.StatusAttributeString or "").upper() == "ERROR"
        or yes(o.HasErrors)
        or yes(o.HasValidationErrors)
        or ZERO_ID in (o.InvoiceID, o.CreditNoteID, o.AllocationID, o.AccountID)
    )


def number_of(row: msgspec.Raw) -> str:
    """The invoice number that one element of a write names, also a failed one."""
    return _said(rows.read(row, rows.Outcome).InvoiceNumber)


def allocation(row: msgspec.Raw) -> tuple[str, str]:
    """(allocation id or "", invoice id) of a freshly made allocation."""
    a = rows.read(row, rows.Allocation)
    return a.AllocationID or "", (a.Invoice.InvoiceID or "") if a.Invoice else ""


# ---------------------------------------------------------------- to Xero


def _number(amount: int, currency: str) -> float:
    """Minor units as the JSON number that Xero wants; the SDK writes no decimals. Up to fifteen digits print exactly."""
    return float(to_decimal(amount, currency))


def _posting(draft: CreditDraft | InvoiceDraft) -> dict[str, Any]:
    """One line to one account. Without a taxing code the whole document is NoTax; with one the amount
    includes the tax, because a draft's amount is what the customer pays."""
    text = draft.description
    if draft.message and draft.message not in text:
        text = f"{text}\n{draft.message}" if text else draft.message
    line: dict[str, Any] = {
        "Description": text[:4000],
        "Quantity": 1,
        "UnitAmount": _number(draft.amount, draft.currency),
        "AccountID" if _is_guid(draft.account_id) else "AccountCode": draft.account_id,
    }
    if draft.tax_code:
        line["TaxType"] = draft.tax_code
    if isinstance(draft, CreditDraft) and draft.tax:  # to the cent, whatever Xero would round it to
        line["TaxAmount"] = _number(draft.tax, draft.currency)
    return {
        "Contact": {"ContactID": draft.customer_id},  # any other field here would edit the contact itself
        "Date": draft.date.isoformat(),
        "LineAmountTypes": "NoTax" if draft.tax_code in _NO_TAX else "Inclusive",
        "CurrencyCode": draft.currency,
        "Reference": draft.marker,
        "Status": "AUTHORISED",
        "LineItems": [line],
    }


def _is_guid(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text))


def credit_body(draft: CreditDraft) -> dict[str, Any]:
    note = {"Type": CREDIT, "CreditNoteNumber": draft.number, **_posting(draft)}
    return {"CreditNotes": [note]}


def invoice_element(draft: InvoiceDraft) -> dict[str, Any]:
    """Marked as not sent: Xero's own reminders go out only for invoices that were."""
    return {
        "Type": RECEIVABLE,
        "InvoiceNumber": draft.number,
        "DueDate": draft.due.isoformat(),
        "SentToContact": False,
        **_posting(draft),
    }


def link_body(draft: LinkDraft) -> dict[str, Any]:
    amount = _number(draft.amount, draft.currency)
    allocation = {
        "Invoice": {"InvoiceID": draft.invoice_id},
        "Amount": amount,
        "Date": draft.date.isoformat(),
    }
    return {"Allocations": [allocation]}


def notes_body(text: str, mark: str, limit: int) -> dict[str, Any]:
    """History records of at most `limit` characters each; `mark` ends the last, to find the note again by."""
    whole = text if not mark or mark in text else f"{text}\n{mark}"
    if len(whole) > NOTE_LIMIT:  # beyond what any ledger keeps: cut the text, never the mark
        whole = f"{text[: NOTE_LIMIT - len(mark) - 2]}…\n{mark}"
    return {"HistoryRecords": [{"Details": part} for part in _parts(whole, limit)]}


def _parts(text: str, limit: int) -> list[str]:
    """Cut at line ends where there are any. The last line stays whole when it is short enough."""
    parts, rest = [], text
    while len(rest) > limit:
        cut = rest.rfind("\n", 1, limit + 1)
        cut = cut if cut > 0 else limit
        parts.append(rest[:cut])
        rest = rest[cut:].removeprefix("\n")
    return [*parts, rest]


def due_date_body(invoice_id: str, due: dt.date) -> dict[str, Any]:
    return {"Invoices": [{"InvoiceID": invoice_id, "DueDate": due.isoformat()}]}


def invoice_status_body(invoice_id: str, draft: bool) -> dict[str, Any]:
    """Take an invoice back: a draft is deleted, a posted one voided."""
    return {"Invoices": [{"InvoiceID": invoice_id, "Status": "DELETED" if draft else "VOIDED"}]}


def credit_status_body(credit_id: str, draft: bool) -> dict[str, Any]:
    return {"CreditNotes": [{"CreditNoteID": credit_id, "Status": "DELETED" if draft else "VOIDED"}]}


def account_body(code: str, name: str, tax_code: str) -> dict[str, Any]:
    return {
        "Code": code,
        "Name": name,
        "Type": "CURRENT",
        "TaxType": tax_code,
        "EnablePaymentsToAccount": False,
        "Description": "Payment plans move balances through here; it nets to zero.",
    }
