"""Our drafts as Xero wants them: plain bodies for the SDK. Pure."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from adapters.xero.facts import OFF_AUSTRALIAN_RETURN
from adapters.xero.translate import (
    CREDIT,
    RECEIVABLE,
)
from connector.domain.money import to_decimal
from connector.domain.writes import CreditDraft, InvoiceDraft, LinkDraft

NOTE_LIMIT = 2500  # characters of one history record, by the present page …
OLD_NOTE_LIMIT = 250  # … and by an older one
_NO_TAX = frozenset({"", "NONE", OFF_AUSTRALIAN_RETURN})  # these keep an amount off every return


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
        "AccountID" if is_guid(draft.account_id) else "AccountCode": draft.account_id,
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


def is_guid(text: str) -> bool:
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
        **({"BrandingThemeID": draft.form} if draft.form else {}),
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
