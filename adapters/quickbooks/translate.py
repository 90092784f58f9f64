"""QuickBooks' records to ours, pure. Its field names occur here, in settlement.py and in drafts.py only.

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
)

Raw = Mapping[str, Any]
PACIFIC = ZoneInfo("America/Los_Angeles")  # QuickBooks' own clock; a time without an offset means this one
_VOIDED = "voided"
_MARKER = re.compile(r"plan=\S+ v=\d+ role=\S+(?: n=\d+)? src=\S+ h=\S+")


def ref(raw: Raw, name: str) -> str:
    """The id of a reference field, "" when absent."""
    value = raw.get(name)
    return str(value.get("value") or "") if isinstance(value, Mapping) else ""


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
    if not text(raw, "PrivateNote").strip().lower().startswith(_VOIDED):
        return False
    amounts = (raw.get("TotalAmt"), raw.get("Balance"), raw.get("UnappliedAmt"))
    return not any(Decimal(a) for a in amounts if a is not None)


def marker_of(raw: Raw) -> str:
    """Our marker, when we wrote this document: the private note begins with it, or did before a void."""
    note = text(raw, "PrivateNote").strip()
    if not note:
        return ""
    if note.lower().startswith(_VOIDED):
        note = note[len(_VOIDED) :].lstrip(" -:,.\n\t")
    ours = _MARKER.match(note)
    return ours[0] if ours else ""


def days_of_terms(terms: Sequence[Raw]) -> dict[str, int]:
    """Days until due, by the id of the payment terms; terms tied to a day of the month have none."""
    return {id_of(t): int(t["DueDays"]) for t in terms if t.get("DueDays") is not None}


def customer(raw: Raw, home: str, terms: Mapping[str, int], *, with_balance: bool) -> Customer:
    """`terms`: days by the id of the payment terms. `with_balance`: only when read for its own sake.

    A customer is not reported as changed when its balance is: a balance kept from a pull would go stale.
    """
    currency = currency_of(raw, home)
    balance = raw.get("Balance")
    return Customer(
        id=id_of(raw),
        name=text(raw, "DisplayName") or text(raw, "FullyQualifiedName") or text(raw, "CompanyName"),
        email=inner(raw, "PrimaryEmailAddr", "Address"),
        phone=inner(raw, "PrimaryPhone", "FreeFormNumber") or inner(raw, "Mobile", "FreeFormNumber"),
        currency=currency,
        country=_country(inner(raw, "BillAddr", "Country")),
        active=raw.get("Active") is not False,
        parent_id=ref(raw, "ParentRef"),
        terms_days=terms.get(ref(raw, "SalesTermRef")),
        ledger_balance={currency: money(balance, currency)} if with_balance and balance is not None else None,
        updated_at=updated_at(raw),
    )


def _country(text: str) -> str:
    return text.strip().upper() if len(text.strip()) == 2 else ""


def invoice(raw: Raw, home: str) -> Invoice:
    currency = currency_of(raw, home)
    total = money(required(raw, "TotalAmt"), currency)
    balance = money(required(raw, "Balance"), currency)
    issued = day(required(raw, "TxnDate"))
    detail = raw.get("TxnTaxDetail")
    emailed = raw.get("EmailStatus")
    return Invoice(
        id=id_of(raw),
        number=text(raw, "DocNumber"),
        customer_id=customer_id(raw),
        date=issued,
        due=day(raw["DueDate"]) if raw.get("DueDate") else issued,
        currency=currency,
        total=total,
        balance=balance,
        status=_status(raw, total, balance),
        tax=amount(detail, "TotalTax", currency) if isinstance(detail, Mapping) else 0,
        rate=_rate(raw, currency, home),
        marker=marker_of(raw),
        note=text(raw, "PrivateNote"),
        emailed=None if emailed is None else emailed == "EmailSent",
        pay_link=text(raw, "InvoiceLink"),
        version=str(raw.get("SyncToken", "")),
        updated_at=updated_at(raw),
    )


def customer_id(raw: Raw) -> str:
    return ref(raw, "CustomerRef") or str(required(raw, "CustomerRef"))


def _status(raw: Raw, total: int, balance: int) -> Status:
    if balance == 0:
        return Status.VOID if total == 0 and is_void(raw) else Status.PAID
    return Status.PARTLY_PAID if 0 < balance < total else Status.OPEN


def _rate(raw: Raw, currency: str, home: str) -> str | None:
    rate = raw.get("ExchangeRate")
    return str(rate) if rate is not None and (currency != home or Decimal(rate) != 1) else None


def payment(raw: Raw, home: str, allocations: Sequence[Allocation]) -> Payment | None:
    """Money received; None for a Payment without money, which only joins a credit to an invoice."""
    currency = currency_of(raw, home)
    total = money(required(raw, "TotalAmt"), currency)
    unapplied = amount(raw, "UnappliedAmt", currency)
    void = is_void(raw)
    if total == 0 and unapplied == 0 and not void:
        return None
    return Payment(
        id=id_of(raw),
        customer_id=customer_id(raw),
        date=day(required(raw, "TxnDate")),
        currency=currency,
        amount=total,
        unapplied=unapplied,
        allocations=tuple(allocations),
        void=void,
        marker=marker_of(raw),
        reference=text(raw, "PaymentRefNum"),
        version=str(raw.get("SyncToken", "")),
        updated_at=updated_at(raw),
    )


def credit(raw: Raw, home: str, allocations: Sequence[Allocation]) -> CreditNote:
    """`allocations` come from the Payments that join it to invoices; a credit memo does not list them."""
    currency = currency_of(raw, home)
    total = money(required(raw, "TotalAmt"), currency)
    remaining = raw.get("RemainingCredit", raw.get("Balance"))
    return CreditNote(
        id=id_of(raw),
        number=text(raw, "DocNumber"),
        customer_id=customer_id(raw),
        date=day(required(raw, "TxnDate")),
        currency=currency,
        total=total,
        remaining=money(remaining, currency),
        allocations=tuple(allocations),
        void=total == 0 and is_void(raw),
        marker=marker_of(raw),
        version=str(raw.get("SyncToken", "")),
        updated_at=updated_at(raw),
    )


def is_applied(raw: Raw) -> bool:
    """Whether some of a credit memo is used, so that its allocations must be looked for."""
    remaining = raw.get("RemainingCredit", raw.get("Balance"))
    return remaining is None or Decimal(remaining) != Decimal(raw.get("TotalAmt") or 0)


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
    accounts_of_items: Mapping[str, str] | None = None,
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
    detail = raw.get("TxnTaxDetail")
    return Document(
        kind=kind,
        id=id_of(raw),
        number=text(raw, "PaymentRefNum" if kind is Kind.PAYMENT else "DocNumber"),
        customer_id=customer_id(raw),
        date=day(required(raw, "TxnDate")),
        due=day(raw["DueDate"]) if kind is Kind.INVOICE and raw.get("DueDate") else None,
        currency=currency,
        total=total,
        balance=balance,
        tax=amount(detail, "TotalTax", currency) if isinstance(detail, Mapping) else 0,
        status=Status.VOID if total == 0 and is_void(raw) else _status(raw, total, balance),
        lines=tuple(_lines(raw.get("Line") or [], currency, accounts_of_items or {})),
        links=tuple(links),
        marker=marker_of(raw),
        note=text(raw, "PrivateNote"),
        rate=_rate(raw, currency, home),
        version=str(raw.get("SyncToken", "")),
        url=url,
        flags=frozenset(_flags(raw)),
    )


def _lines(lines: Sequence[Raw], currency: str, accounts_of_items: Mapping[str, str]) -> Iterator[Line]:
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
            account = detail.get("ItemAccountRef")
            name = text(account, "name") if isinstance(account, Mapping) else ""
            posted_to = ref(detail, "ItemAccountRef") or accounts_of_items.get(item, "")
            yield Line(posted_to, description, net, 0, ref(detail, "TaxCodeRef"), item, name)


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
