"""QuickBooks' records to ours, pure. Its field names occur here, in settlement.py and in bodies.py only.

Money comes in as whole numbers or Decimals (never floats) in the document's own currency. QuickBooks leaves
out what is empty, `CurrencyRef` too where a company has one currency: then it is the `home` currency.
There is no status field: it is derived as the contract says. A record that lacks what we must know raises
ValueError, and the ledger sets it aside.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from adapters.quickbooks import shapes
from connector.domain.money import exponent, to_minor
from connector.domain.receivables import (
    Allocation,
    CreditNote,
    Customer,
    Document,
    Invoice,
    Kind,
    Line,
    Link,
    Payment,
    Status,
    builder,
)

_Invoice, _Payment = builder(Invoice), builder(Payment)
Raw = Mapping[str, Any]
PACIFIC = ZoneInfo("America/Los_Angeles")  # QuickBooks' own clock; a time without an offset means this one
_VOIDED = "voided"
_MARKER = re.compile(r"plan=\S+ v=\d+ role=\S+(?: n=\d+)? src=\S+ h=\S+")


def ref(raw: Raw, name: str) -> str:
    """The id of a reference field, "" when absent."""
    value = raw.get(name)
    return str(value.get("value") or "") if isinstance(value, Mapping) else ""


def reference(raw: Raw, name: str) -> tuple[str, str]:
    """The id and the name of a reference field, "" for what is absent."""
    value = raw.get(name)
    return ref(raw, name), text(value, "name") if isinstance(value, Mapping) else ""


def money(value: Any, currency: str) -> int:
    """A QuickBooks amount in minor units. Raises ValueError for one that is missing or not exact."""
    if type(value) is Decimal:
        return to_minor(value, currency)
    if type(value) is int:
        return int(value * 10 ** exponent(currency))
    if isinstance(value, str):
        return to_minor(Decimal(value), currency)
    raise ValueError("an amount is missing")


def amount(raw: Raw, name: str, currency: str) -> int:
    """An amount that QuickBooks may leave out when it is zero."""
    value = raw.get(name)
    return 0 if value is None else money(value, currency)


def required(raw: Raw, name: str) -> Any:
    value = raw.get(name)
    if value is None or value == "":
        raise ValueError(f"QuickBooks gave no {name}")
    return value


def text(raw: Raw, name: str) -> str:
    value = raw.get(name)
    return value if isinstance(value, str) else ""


def inner(raw: Raw, name: str, key: str) -> str:
    value = raw.get(name)
    return text(value, key) if isinstance(value, Mapping) else ""


def id_of(raw: Raw) -> str:
    return str(required(raw, "Id"))


@lru_cache(maxsize=4096)
def day(text: str) -> date:
    return date.fromisoformat(text[:10])


def moment(text: str) -> datetime | None:
    """A QuickBooks time as aware UTC; one without an offset is Pacific time."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    if read.tzinfo is UTC:
        return read
    return (read if read.tzinfo else read.replace(tzinfo=PACIFIC)).astimezone(UTC)


def updated_at(raw: Raw) -> datetime | None:
    return moment(inner(raw, "MetaData", "LastUpdatedTime"))


def currency_of(raw: Raw, home: str) -> str:
    return ref(raw, "CurrencyRef") or home


def is_deleted(raw: Raw) -> bool:
    return text(raw, "status").lower() == "deleted"


def is_void(raw: Raw) -> bool:
    """QuickBooks voids by turning all amounts to zero and putting "Voided" before the private note."""
    return _voided(raw.get("PrivateNote"), raw.get("TotalAmt"), raw.get("Balance"), raw.get("UnappliedAmt"))


def _voided(note: Any, *amounts: Any) -> bool:
    if not note or not isinstance(note, str) or not note.strip().lower().startswith(_VOIDED):
        return False
    return not any(Decimal(a) for a in amounts if a is not None)


def marker_of(raw: Raw) -> str:
    """Our marker, when we wrote this document: the private note begins with it, or did before a void."""
    return _marker(raw.get("PrivateNote"))


def _marker(note: Any) -> str:
    if not note or not isinstance(note, str):
        return ""
    note = note.strip()
    if note.lower().startswith(_VOIDED):
        note = note[len(_VOIDED) :].lstrip(" -:,.\n\t")
    ours = _MARKER.match(note)
    return ours[0] if ours else ""


def days_of_terms(terms: Sequence[Raw]) -> dict[str, int]:
    """Days until due, by the id of the payment terms; terms tied to a day of the month have none."""
    return {id_of(t): int(t["DueDays"]) for t in terms if t.get("DueDays") is not None}


# ---- records as a pull reads them, from their shape or from a dict


def named(ref: shapes.Ref | None) -> str:
    """The id that a reference names, "" when there is none."""
    return str(ref.value) if ref is not None and ref.value else ""


def _given(value: Any, name: str) -> Any:
    if value is None or value == "":
        raise ValueError(f"QuickBooks gave no {name}")
    return value


def _words(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _called(said: Any, issued: date) -> str:
    """An invoice's number, or its day where it has none: that tells it apart for people, as no id of theirs does."""
    return _words(str(said) if type(said) is int else said) or issued.isoformat()


def minor(value: Decimal | None, currency: str) -> int:
    """An amount that QuickBooks may leave out when it is zero."""
    return to_minor(value, currency) if value else 0


def _changed_at(record: shapes.Record) -> datetime | None:
    meta = record.MetaData
    said = _words(meta.LastUpdatedTime) if meta is not None else ""
    return moment(said) if said else None


def _version(record: shapes.Record) -> str:
    return "" if record.SyncToken is None else str(record.SyncToken)


def terms_ref(raw: Raw | shapes.Customer) -> str:
    """The id of a customer's payment terms, "" when it has none of its own."""
    return named(shapes.read(raw, shapes.Customer).SalesTermRef)


def customer(
    raw: Raw | shapes.Customer, home: str, terms: Mapping[str, int], *, with_balance: bool
) -> Customer:
    """`terms`: days by the id of the payment terms. `with_balance`: only when read for its own sake.

    A customer is not reported as changed when its balance is: a balance kept from a pull would go stale.
    """
    c = shapes.read(raw, shapes.Customer)
    currency = named(c.CurrencyRef) or home
    known = with_balance and c.Balance is not None
    return Customer(
        id=str(_given(c.Id, "Id")),
        name=_words(c.DisplayName) or _words(c.FullyQualifiedName) or _words(c.CompanyName),
        email=_words(c.PrimaryEmailAddr.Address) if c.PrimaryEmailAddr else "",
        phone=_number(c.PrimaryPhone) or _number(c.Mobile),
        currency=currency,
        country=_country(_words(c.BillAddr.Country) if c.BillAddr else ""),
        active=c.Active is not False,
        parent_id=named(c.ParentRef),
        terms_days=terms.get(named(c.SalesTermRef)),
        credit_limit=minor(c.CreditLimit, currency)
        if c.CreditLimit
        else None,  # 0 is how "none" is kept, too
        ledger_balance={currency: minor(c.Balance, currency)} if known else None,
        updated_at=_changed_at(c),
    )


def _number(phone: shapes.Phone | None) -> str:
    return _words(phone.FreeFormNumber) if phone else ""


def _country(text: str) -> str:
    return text.strip().upper() if len(text.strip()) == 2 else ""


def invoice(raw: Raw | shapes.Invoice, home: str) -> Invoice:
    i = shapes.read(raw, shapes.Invoice)
    currency = named(i.CurrencyRef) or home
    total = minor(_given(i.TotalAmt, "TotalAmt"), currency)
    balance = minor(_given(i.Balance, "Balance"), currency)
    issued = day(_given(i.TxnDate, "TxnDate"))
    note, emailed = i.PrivateNote, i.EmailStatus
    return _Invoice(
        id=str(_given(i.Id, "Id")),
        number=_called(i.DocNumber, issued),
        customer_id=named(i.CustomerRef) or str(_given(None, "CustomerRef")),
        date=issued,
        due=day(i.DueDate) if i.DueDate else issued,
        currency=currency,
        total=total,
        balance=balance,
        status=_status(total, balance, balance == 0 == total and _voided(note)),
        tax=minor(i.TxnTaxDetail.TotalTax, currency) if i.TxnTaxDetail is not None else 0,
        rate=_rate(i.ExchangeRate, currency, home),
        marker=_marker(note),
        note=_words(note),
        emailed=None if emailed is None else emailed == "EmailSent",
        pay_link=_words(i.InvoiceLink),
        version=_version(i),
        updated_at=_changed_at(i),
    )


def customer_id(raw: Raw) -> str:
    return ref(raw, "CustomerRef") or str(required(raw, "CustomerRef"))


def _status(total: int, balance: int, void: bool) -> Status:
    if balance == 0:
        return Status.VOID if void else Status.PAID
    return Status.PARTLY_PAID if 0 < balance < total else Status.OPEN


def _rate(rate: Any, currency: str, home: str) -> str | None:
    return str(rate) if rate is not None and (currency != home or Decimal(rate) != 1) else None


def payment(raw: Raw | shapes.Payment, home: str, allocations: Sequence[Allocation]) -> Payment | None:
    """Money received; None for a Payment without money, which only joins a credit to an invoice."""
    p = shapes.read(raw, shapes.Payment)
    currency = named(p.CurrencyRef) or home
    total = minor(_given(p.TotalAmt, "TotalAmt"), currency)
    unapplied = minor(p.UnappliedAmt, currency)
    void = total == 0 and _voided(p.PrivateNote, p.UnappliedAmt)
    if total == 0 and unapplied == 0 and not void:
        return None
    return _Payment(
        id=str(_given(p.Id, "Id")),
        customer_id=named(p.CustomerRef) or str(_given(None, "CustomerRef")),
        date=day(_given(p.TxnDate, "TxnDate")),
        currency=currency,
        amount=total,
        unapplied=unapplied,
        allocations=tuple(allocations),
        void=void,
        marker=_marker(p.PrivateNote),
        reference=_words(p.PaymentRefNum),
        version=_version(p),
        updated_at=_changed_at(p),
    )


def credit(raw: Raw | shapes.CreditMemo, home: str, allocations: Sequence[Allocation]) -> CreditNote:
    """`allocations` come from the Payments that join it to invoices; a credit memo does not list them."""
    c = shapes.read(raw, shapes.CreditMemo)
    currency = named(c.CurrencyRef) or home
    total = minor(_given(c.TotalAmt, "TotalAmt"), currency)
    return CreditNote(
        id=str(_given(c.Id, "Id")),
        number=_words(c.DocNumber),
        customer_id=named(c.CustomerRef) or str(_given(None, "CustomerRef")),
        date=day(_given(c.TxnDate, "TxnDate")),
        currency=currency,
        total=total,
        remaining=minor(_given(_left(c), "RemainingCredit"), currency),
        allocations=tuple(allocations),
        void=total == 0 and _voided(c.PrivateNote, c.Balance),
        marker=_marker(c.PrivateNote),
        version=_version(c),
        updated_at=_changed_at(c),
    )


def _left(credit: shapes.CreditMemo) -> Decimal | None:
    return credit.Balance if credit.RemainingCredit is None else credit.RemainingCredit


def credited(raw: Raw | shapes.CreditMemo) -> str:
    """The id of the customer that a credit memo is for. Raises ValueError when it names none."""
    c = shapes.read(raw, shapes.CreditMemo)
    return named(c.CustomerRef) or str(_given(None, "CustomerRef"))


def own_id(raw: Raw | shapes.Record) -> str:
    """A record's own id. Raises ValueError when it has none."""
    return str(_given(raw.Id, "Id")) if isinstance(raw, shapes.Record) else id_of(raw)


def is_applied(raw: Raw | shapes.CreditMemo) -> bool:
    """Whether some of a credit memo is used, so that its allocations must be looked for."""
    c = shapes.read(raw, shapes.CreditMemo)
    left = _left(c)
    return left is None or left != (c.TotalAmt or 0)


# ---- rare records and single documents


def refund(raw: Raw, home: str) -> Payment:
    """Money given back over the counter: it never touched a receivable."""
    currency = currency_of(raw, home)
    return Payment(
        id=f"RefundReceipt:{id_of(raw)}",
        customer_id=customer_id(raw),
        date=day(required(raw, "TxnDate")),
        currency=currency,
        amount=-money(required(raw, "TotalAmt"), currency),
        unapplied=0,
        flavor="refund",
        void=is_void(raw),
        reference=text(raw, "DocNumber"),
        version=str(raw.get("SyncToken", "")),
        updated_at=updated_at(raw),
    )


def document(
    kind: Kind,
    raw: Raw,
    home: str,
    links: Sequence[Link] = (),
    accounts_of_items: Mapping[str, tuple[str, str]] | None = None,
    url: str = "",
) -> Document:
    """One document in full. `accounts_of_items`: where an item posts, for answers that do not say it."""
    currency = currency_of(raw, home)
    total = money(required(raw, "TotalAmt"), currency)
    if kind is Kind.INVOICE:
        balance = money(required(raw, "Balance"), currency)
    elif kind is Kind.CREDIT:
        balance = money(raw.get("RemainingCredit", raw.get("Balance")), currency)
    else:
        balance = amount(raw, "UnappliedAmt", currency)
    detail, issued = raw.get("TxnTaxDetail"), day(required(raw, "TxnDate"))
    number = text(raw, "PaymentRefNum" if kind is Kind.PAYMENT else "DocNumber")
    return Document(
        kind=kind,
        id=id_of(raw),
        number=_called(raw.get("DocNumber"), issued) if kind is Kind.INVOICE else number,
        customer_id=customer_id(raw),
        date=issued,
        due=day(raw["DueDate"]) if kind is Kind.INVOICE and raw.get("DueDate") else None,
        currency=currency,
        total=total,
        balance=balance,
        tax=amount(detail, "TotalTax", currency) if isinstance(detail, Mapping) else 0,
        status=Status.VOID if total == 0 and is_void(raw) else _status(total, balance, void=False),
        lines=tuple(_lines(raw.get("Line") or [], currency, accounts_of_items or {})),
        links=tuple(links),
        marker=marker_of(raw),
        note=text(raw, "PrivateNote"),
        rate=_rate(raw.get("ExchangeRate"), currency, home),
        version=str(raw.get("SyncToken", "")),
        url=url,
        flags=frozenset(_flags(raw)),
    )


def _lines(
    lines: Sequence[Raw], currency: str, accounts_of_items: Mapping[str, tuple[str, str]]
) -> Iterator[Line]:
    for line in lines:
        kind = line.get("DetailType")
        net = amount(line, "Amount", currency)
        description = text(line, "Description")
        if kind == "GroupLineDetail" and isinstance(group := line.get("GroupLineDetail"), Mapping):
            yield from _lines(group.get("Line") or [], currency, accounts_of_items)
        elif kind == "DiscountLineDetail":
            detail = line.get("DiscountLineDetail") or {}
            yield Line(ref(detail, "DiscountAccountRef"), description or "Discount", -net)
        elif kind == "SalesItemLineDetail":
            detail = line.get("SalesItemLineDetail") or {}
            item = ref(detail, "ItemRef")
            account, name = reference(detail, "ItemAccountRef")
            if not account:
                account, name = accounts_of_items.get(item, ("", ""))
            yield Line(account, description, net, 0, ref(detail, "TaxCodeRef"), item, name)


def items_without_account(raw: Raw) -> set[str]:
    """The items of lines whose account the answer does not name."""
    found = set()
    for line in raw.get("Line") or []:
        detail = line.get("SalesItemLineDetail")
        if isinstance(detail, Mapping) and ref(detail, "ItemRef") and not ref(detail, "ItemAccountRef"):
            found.add(ref(detail, "ItemRef"))
    return found


def _flags(raw: Raw) -> Iterator[str]:
    if raw.get("TxnRetainageDetail"):
        yield "retainage"
    if raw.get("LessCIS"):
        yield "cis"
    if raw.get("ScheduledPaymentId"):
        yield "autopay"
    kinds = {line.get("DetailType") for line in raw.get("Line") or []}
    if "DiscountLineDetail" in kinds:
        yield "discount"
    if "GroupLineDetail" in kinds:
        yield "bundle"
