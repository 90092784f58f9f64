"""Creating and changing sales invoices and credit notes: Xero's life cycle, frozen fields and line items."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.documents import CreditNote, Invoice, Ref, Sale, Status
from sandbox.xero import errors, rows
from sandbox.xero.contact_changes import contact_for
from sandbox.xero.elements import (
    NOT_EDITABLE,
    Perform,
    carry_out,
    check_open,
    date,
    identity,
    number,
    several,
    text,
)
from sandbox.xero.envelope import Json
from sandbox.xero.errors import Invalid
from sandbox.xero.idempotency import Reply
from sandbox.xero.lines import MODES, lines_of
from sandbox.xero.organisation import currencies
from sandbox.xero.request import Call

_OURS: dict[str, Status] = {"DRAFT": "draft", "SUBMITTED": "submitted", "AUTHORISED": "open"}
_NEXT = {
    "DRAFT": {"DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"},
    "SUBMITTED": {"SUBMITTED", "DRAFT", "AUTHORISED", "DELETED"},
    "AUTHORISED": {"AUTHORISED", "VOIDED"},
    "PAID": {"PAID", "VOIDED"},
}
# what may still change once money or credit is on the document
_NEVER_FROZEN = frozenset({"number", "reference", "due", "extra", "lines"})
_QUIET = frozenset({"due", "extra"})
_EXTRAS = ("Url", "BrandingThemeID", "SentToContact")
_LONGEST = 255


@dataclass(frozen=True, slots=True)
class SaleKind:
    """The words in which invoices and credit notes differ."""

    kind: str
    word: str
    plural: str
    type: str
    id_field: str
    number_field: str
    row: Callable[..., Json]


INVOICE = SaleKind("invoice", "Invoice", "Invoices", "ACCREC", "InvoiceID", "InvoiceNumber", rows.invoice_row)
CREDIT_NOTE = SaleKind(
    "credit_note", "Credit Note", "CreditNotes", "ACCRECCREDIT", "CreditNoteID", "CreditNoteNumber", rows.credit_note_row
)  # fmt: skip


def save(kind: SaleKind) -> Callable[..., Reply]:
    """PUT creates; POST creates, or updates what its ID or number names; POST to a document updates that one."""

    def view(call: Call, identity: str = "") -> Reply:
        elements = call.elements(kind.plural)
        if identity:
            found = call.ledger.table(kind.kind).get(identity.lower())
            same = found or next(iter(call.ledger.by_number(kind.kind, identity)), None)
            if same is None:
                raise call.not_found()
            elements = [{**elements[0], kind.id_field: same.id}]
        taken: set[str] = set()
        return carry_out(
            call, kind.plural, kind.id_field, elements, lambda element: _prepare(call, kind, element, taken)
        )

    return view


def _prepare(call: Call, kind: SaleKind, element: Json, taken: set[str]) -> Perform:
    if call.request.method == "POST":
        existing = _existing(call, kind, element)
        if existing is not None:
            return _prepare_update(call, kind, existing, element)
    return _prepare_new(call, kind, element, taken)


def _existing(call: Call, kind: SaleKind, element: Json) -> Any:
    """The document that a POST means. Raises Invalid for an id that is not there."""
    by_id = identity(element, kind.id_field)
    if by_id:
        found = call.ledger.table(kind.kind).get(by_id)
        if found is None:
            raise Invalid(f"An existing {kind.word} with the specified {kind.id_field} could not be found")
        return found
    same = call.ledger.by_number(kind.kind, text(element, kind.number_field, _LONGEST) or "\0")
    return next((sale for sale in same if sale.status != "deleted"), None)


# new documents


def _prepare_new(call: Call, kind: SaleKind, element: Json, taken: set[str]) -> Perform:
    _check_type(kind, element)
    wanted = str(element.get("Status") or "DRAFT")
    if wanted not in _OURS:
        raise Invalid(f"{kind.word} not of valid status for creation")
    contact = contact_for(call, element.get("Contact"))
    mode = _mode(element.get("LineAmountTypes") or "Exclusive")
    currency = _currency(call, element, contact.currency)
    lines = lines_of(call, kind.kind, several(element, "LineItems"), mode, currency, [])
    day = date(element, "Date") or call.today
    due = date(element, "DueDate")
    if wanted != "DRAFT" and not lines:
        raise Invalid("One or more line items must be specified")
    if wanted == "AUTHORISED" and due is None and kind is INVOICE:
        raise Invalid("The Due Date must be specified for an approved invoice.")
    check_open(call, day)
    if sum(line.net + line.tax for line in lines) < 0:
        raise Invalid("The document total cannot be negative.")
    named = text(element, kind.number_field, _LONGEST)
    if named:
        _check_number(call, kind, named, "", taken)
        taken.add(named)
    extra = {name: element[name] for name in _EXTRAS if element.get(name) is not None}
    rate, sent = _rate(call, element, currency)
    common: dict[str, Any] = {
        "date": day,
        "lines": lines,
        "number": named,
        "currency": currency,
        "rate": rate,
        "status": _OURS[wanted],
        "reference": text(element, "Reference", _LONGEST),
        "tax_mode": mode,
        "extra": {**extra, **sent, "app": call.caller.client_id},
    }
    expected = date(element, "ExpectedPaymentDate")

    def perform() -> Json:
        common["customer"] = contact.settle()
        made: Sale
        if kind is INVOICE:
            made = call.ledger.add_invoice(Invoice(**common, due=due or day, expected=expected))
        else:
            made = call.ledger.add_credit_note(CreditNote(**common))
        call.ledger.add_note(
            Ref(kind.kind, made.id), "Received through the Xero API from Sandbox app", change="Created"
        )
        return kind.row(call.ledger, made, places=call.places)

    return perform


def _check_type(kind: SaleKind, element: Json) -> None:
    given = element.get("Type")
    if given in ("ACCPAY", "ACCPAYCREDIT"):
        raise errors.not_implemented("This organisation keeps no purchases.")
    if given != kind.type:
        raise Invalid(f"A valid Type must be specified for the {kind.word}.")


def _check_number(call: Call, kind: SaleKind, named: str, own: str, taken: set[str]) -> None:
    others = [s for s in call.ledger.by_number(kind.kind, named) if s.id != own and s.status != "deleted"]
    if named in taken or (others and call.ledger.organization.rules.unique_numbers):
        raise Invalid(f"{kind.word} # must be unique.")


def _mode(words: Any) -> str:
    if words not in MODES:
        raise Invalid(f"The LineAmountTypes '{words}' is not valid.")
    return MODES[words]


def _currency(call: Call, element: Json, fallback: str) -> str:
    code = str(element.get("CurrencyCode") or fallback)
    if code not in currencies(call.ledger.organization):
        raise Invalid(f"Users Organisation is not subscribed to currency {code}")
    return code


def _rate(call: Call, element: Json, currency: str) -> tuple[Decimal, Json]:
    """Home units for one foreign unit, and Xero's inverse as it was sent."""
    if currency == call.ledger.organization.home_currency:
        return Decimal(1), {}
    sent = number(element, "CurrencyRate")
    if sent is None:
        of_the_day = call.ledger.organization.extra.get("rates", {}).get(currency, "1")
        return Decimal(of_the_day), {}
    if sent <= 0:
        raise Invalid("The CurrencyRate must be greater than zero.")
    return 1 / sent, {"CurrencyRate": sent}


# changes


def _prepare_update(call: Call, kind: SaleKind, sale: Sale, element: Json) -> Perform:
    ref = Ref(kind.kind, sale.id)
    now = rows.status(sale)
    wanted = str(element.get("Status") or now)
    if wanted not in _NEXT.get(now, ()):
        raise Invalid(f"{kind.word} not of valid status for modification")
    check_open(call, sale.date)
    used = bool(call.ledger.allocations_to(ref) or call.ledger.allocations_from(ref))
    if wanted in ("VOIDED", "DELETED"):
        if used:
            raise Invalid(NOT_EDITABLE)
        cancel = call.ledger.void if wanted == "VOIDED" else call.ledger.delete

        def perform_cancel() -> Json:
            cancel(ref)
            return kind.row(call.ledger, sale, places=call.places)

        return perform_cancel
    changes = _changes(call, kind, sale, element, wanted)
    changed = {name for name, value in changes.items() if getattr(sale, name) != value}
    if used:
        _check_frozen(sale, changes, changed)
    bump = not (used and changed <= _QUIET and not call.switch("frozen_dates_bump"))
    contact = contact_for(call, element["Contact"]) if element.get("Contact") else None
    if used and contact and contact.id != sale.customer:
        raise Invalid(NOT_EDITABLE)

    def perform() -> Json:
        if contact:
            changes["customer"] = contact.settle()
        call.ledger.edit(ref, bump=bump, **changes)
        return kind.row(call.ledger, sale, places=call.places)

    return perform


def _changes(call: Call, kind: SaleKind, sale: Sale, element: Json, wanted: str) -> Json:
    """The fields that the request states, in the ledger's words."""
    changes: Json = {}
    if wanted in _OURS:
        changes["status"] = _OURS[wanted]
    if kind.number_field in element:
        changes["number"] = text(element, kind.number_field, _LONGEST) or sale.number
        _check_number(call, kind, changes["number"], sale.id, set())
    if "Reference" in element:
        changes["reference"] = text(element, "Reference", _LONGEST)
    extra = {name: element[name] for name in _EXTRAS if element.get(name) is not None}
    if element.get("CurrencyCode") or element.get("CurrencyRate"):
        changes["currency"] = _currency(call, element, sale.currency)
        rate, sent = _rate(call, element, changes["currency"])
        if sent or changes["currency"] != sale.currency:
            changes["rate"], extra = rate, {**extra, **sent}
    if any(sale.extra.get(name) != value for name, value in extra.items()):
        changes["extra"] = {**sale.extra, **extra}
    _change_dates(call, kind, sale, element, changes, wanted)
    _change_lines(call, kind, sale, element, changes, wanted)
    return changes


def _change_dates(call: Call, kind: SaleKind, sale: Sale, element: Json, changes: Json, wanted: str) -> None:
    day = date(element, "Date")
    if day is not None:
        check_open(call, day)
        changes["date"] = day
    if kind is not INVOICE:
        return
    for name, field in (("DueDate", "due"), ("ExpectedPaymentDate", "expected")):
        found: dt.date | None = date(element, name)
        if found is not None:
            changes[field] = found
    approving = wanted == "AUTHORISED" and sale.status != "open"
    if approving and changes.get("due") is None and getattr(sale, "due", None) is None:
        raise Invalid("The Due Date must be specified for an approved invoice.")


def _change_lines(call: Call, kind: SaleKind, sale: Sale, element: Json, changes: Json, wanted: str) -> None:
    mode = _mode(element["LineAmountTypes"]) if element.get("LineAmountTypes") else sale.tax_mode
    currency = changes.get("currency", sale.currency)
    sent = several(element, "LineItems") if element.get("LineItems") is not None else None
    if sent is None and (mode, currency) != (sale.tax_mode, sale.currency):
        sent = [rows.line_row(call.ledger, line, sale.currency, sale.tax_mode, 4) for line in sale.lines]
        for row in sent:
            row.pop("TaxAmount", None)
    if sent is not None:
        changes["lines"] = lines_of(call, kind.kind, sent, mode, currency, sale.lines)
        changes["tax_mode"] = mode
    if wanted != "DRAFT" and not changes.get("lines", sale.lines):
        raise Invalid("One or more line items must be specified")


def _check_frozen(sale: Sale, changes: Json, changed: set[str]) -> None:
    """Raises Invalid when a part or fully paid document would change in more than its words."""
    if not changed <= _NEVER_FROZEN:
        raise Invalid(NOT_EDITABLE)
    if "lines" in changed:
        before = [(line.id, line.net, line.tax, line.tax_code, line.quantity) for line in sale.lines]
        after = [(line.id, line.net, line.tax, line.tax_code, line.quantity) for line in changes["lines"]]
        if before != after:
            raise Invalid(NOT_EDITABLE)
