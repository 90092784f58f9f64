"""The GET endpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.documents import Ref
from sandbox.xero import contacts, errors, rows, settings
from sandbox.xero.envelope import Json, moment, pagination
from sandbox.xero.idempotency import Reply
from sandbox.xero.lists import (
    LARGEST_PAGE,
    PAGE_SIZE,
    Query,
    page_of,
    select,
    since_header,
)
from sandbox.xero.organisation import currencies, organisation_row
from sandbox.xero.request import Call
from sandbox.xero.where import Fields, QueryProblem, Reader, compile_order, compile_where, sorted_by

_SUMMARY_DROPS = ("Payments", "HasAttachments", "LineItems", "CISDeduction")
_EARLIEST_PAGE = 1


Find = Callable[[Call, str], Any]
"""How one record is found by what stands in the address. Raises Refused (404)."""


@dataclass(frozen=True, slots=True)
class Listing:
    """How one kind of record is listed and shown."""

    kind: str  # Invoice
    plural: str  # Invoices
    row: Callable[[Call, Any, bool], Json]  # (call, record, with line items)


def _invoice(call: Call, found: Any, lines: bool) -> Json:
    return rows.invoice_row(call.ledger, found, lines=lines, places=call.places)


def _credit_note(call: Call, found: Any, lines: bool) -> Json:
    return rows.credit_note_row(call.ledger, found, lines=lines, places=call.places)


def _advance(call: Call, found: Any, lines: bool) -> Json:
    return rows.advance_row(call.ledger, found, lines=lines, places=call.places)


def _payment(call: Call, found: Any, lines: bool) -> Json:
    return rows.payment_row(call.ledger, found, strings=call.switch("batch_strings"))


def _contact(call: Call, found: Any, lines: bool) -> Json:
    row = contacts.contact_row(call.ledger, found, call.today, summary=call.flag("summaryOnly"))
    if not lines:
        for name in ("ContactPersons", "PaymentTerms", "MergedToContactID"):
            row.pop(name, None)
    return row


INVOICES = Listing("Invoice", "Invoices", _invoice)
CREDIT_NOTES = Listing("CreditNote", "CreditNotes", _credit_note)
PAYMENTS = Listing("Payment", "Payments", _payment)
CONTACTS = Listing("Contact", "Contacts", _contact)
OVERPAYMENTS = Listing("Overpayment", "Overpayments", _advance)
PREPAYMENTS = Listing("Prepayment", "Prepayments", _advance)


def list_of(listing: Listing) -> Callable[[Call], Reply]:
    """The GET endpoint of a whole list."""
    return lambda call: _list(call, listing)


def _list(call: Call, listing: Listing) -> Reply:
    summary = call.flag("summaryOnly")
    page, size = _page(call, forced=summary or call.listed("Statuses") is not None)
    try:
        found = select(call.ledger, _query(call, listing, paged=page is not None))
    except QueryProblem as problem:
        raise errors.bad_query(str(problem)) from None
    if page is None:
        return call.reply(listing.plural, [listing.row(call, record, False) for record in found])
    shown = [listing.row(call, record, not summary) for record in page_of(found, page, size)]
    if summary and listing is INVOICES:
        shown = [{name: value for name, value in row.items() if name not in _SUMMARY_DROPS} for row in shown]
    return call.reply(listing.plural, shown, pagination=pagination(page, size, len(found)))


def _page(call: Call, forced: bool) -> tuple[int | None, int]:
    arguments = call.request.args
    try:
        size = int(arguments.get("pageSize", PAGE_SIZE))
        page = int(arguments["page"]) if "page" in arguments else None
    except ValueError:
        raise errors.bad_request("page and pageSize must be whole numbers.") from None
    if size < 1 or (page is not None and page < _EARLIEST_PAGE):
        raise errors.bad_request("page and pageSize count from 1.")
    return (1 if page is None and forced else page), min(size, LARGEST_PAGE)


def _query(call: Call, listing: Listing, paged: bool) -> Query:
    arguments = call.request.args
    try:
        since = since_header(call.request.headers.get("If-Modified-Since"))
    except (ValueError, TypeError):
        raise errors.Refused(412, b"", errors.PLAIN) from None
    kind = listing.kind
    numbers = call.listed("InvoiceNumbers") if kind == "Invoice" else None
    return Query(
        kind=kind,
        where=arguments.get("where", ""),
        order=arguments.get("order", ""),
        since=since,
        inclusive=call.switch("modified_since_inclusive"),
        ids=_lower(call.listed("IDs")),
        numbers=numbers,
        contacts=_lower(call.listed("ContactIDs")),
        statuses=call.listed("Statuses"),
        search=arguments.get("searchTerm", ""),
        app=call.caller.client_id if call.flag("createdByMyApp") else None,
        archived=kind != "Contact" or call.flag("includeArchived"),
        deleted_payments=call.switch("deleted_payments_listed"),
        paged=paged,
        fast_only=call.switch("refuse_slow_queries"),
    )


def _lower(ids: frozenset[str] | None) -> frozenset[str] | None:
    return None if ids is None else frozenset(identity.lower() for identity in ids)


# single records


def one_of(listing: Listing, find: Find) -> Callable[..., Reply]:
    """The GET endpoint of a single record."""
    return lambda call, identity: call.reply(listing.plural, [_shown(call, listing, find(call, identity))])


def _shown(call: Call, listing: Listing, record: Any) -> Json:
    row = listing.row(call, record, True)
    ref = record_ref(listing.kind, record)
    files = call.ledger.attachments_of(ref) if ref in rows.attached(call.ledger) else []
    if files:
        row["Attachments"] = [attachment_row(call, ref, found) for found in files]
    return row


def record_ref(kind: str, record: Any) -> Ref:
    name = {"Invoice": "invoice", "CreditNote": "credit_note", "Payment": "payment", "Contact": "customer"}
    return Ref(name.get(kind, "advance"), record.id)


def find_invoice(call: Call, identity: str) -> Any:
    """An invoice by id or number. Raises Refused (404)."""
    return call.ledger.invoices.get(identity.lower()) or _by_number(call, "invoice", identity)


def find_credit_note(call: Call, identity: str) -> Any:
    """A credit note by id or number. Raises Refused (404)."""
    return call.ledger.credit_notes.get(identity.lower()) or _by_number(call, "credit_note", identity)


def find_payment(call: Call, identity: str) -> Any:
    """A payment or refund by id. Raises Refused (404)."""
    found = call.ledger.payments.get(identity.lower()) or call.ledger.refunds.get(identity.lower())
    return found or _missing(call)


def find_contact(call: Call, identity: str) -> Any:
    """A contact by id or number. Raises Refused (404)."""
    found = call.ledger.customers.get(identity.lower())
    return found or next((c for c in call.ledger.customers if c.number == identity), None) or _missing(call)


def find_advance(kind: str) -> Callable[[Call, str], Any]:
    """How to find an overpayment or a prepayment by id. Raises Refused (404)."""

    def find(call: Call, identity: str) -> Any:
        found = call.ledger.advances.get(identity.lower())
        return found if found is not None and found.type == kind else _missing(call)

    return find


def _by_number(call: Call, kind: str, number: str) -> Any:
    found = call.ledger.by_number(kind, number)
    return found[-1] if found else _missing(call)


def _missing(call: Call) -> Any:
    raise call.not_found()


# settings


def organisation(call: Call) -> Reply:
    ledger = call.ledger
    created = min((account.created for account in ledger.accounts), default=call.world.clock.now())
    return call.reply("Organisations", [organisation_row(ledger.organization, created)])


def accounts(call: Call) -> Reply:
    found = [
        settings.account_row(call.ledger, account) for account in call.ledger.accounts.by_change(_since(call))
    ]
    return call.reply("Accounts", _filtered(call, found, "Account"))


def account(call: Call, identity: str) -> Reply:
    found = call.ledger.accounts.get(identity.lower()) or _missing(call)
    return call.reply("Accounts", [settings.account_row(call.ledger, found)])


def tax_rates(call: Call) -> Reply:
    found = [settings.tax_rate_row(code) for code in call.ledger.tax_codes]
    return call.reply("TaxRates", _filtered(call, found, "TaxRate"))


def currency_list(call: Call) -> Reply:
    found = [{"Code": code, "Description": code} for code in currencies(call.ledger.organization)]
    return call.reply("Currencies", found)


def branding_themes(call: Call) -> Reply:
    return call.reply("BrandingThemes", settings.branding_themes(call.ledger))


def users(call: Call) -> Reply:
    return call.reply("Users", [settings.user_row(call.ledger, call.caller.user)])


def reminder_settings(call: Call) -> Reply:
    return call.reply("InvoiceReminders", [{"Enabled": call.ledger.organization.own_reminders}])


def _since(call: Call) -> Any:
    try:
        return since_header(call.request.headers.get("If-Modified-Since"))
    except (ValueError, TypeError):
        raise errors.Refused(412, b"", errors.PLAIN) from None


def _filtered(call: Call, found: list[Json], kind: str) -> list[Json]:
    """`where` and `order` over short lists, straight on their rows."""
    names = {name for row in found for name in row}
    fields: Fields = {name.lower(): _reader(name) for name in names}
    try:
        where = compile_where(call.request.args.get("where"), fields, kind)
        keys = compile_order(call.request.args.get("order"), fields, kind)
        kept = [row for row in found if where.matches(row)]
        return sorted_by(kept, keys, fields) if keys else kept
    except QueryProblem as problem:
        raise errors.bad_query(str(problem)) from None


def _reader(name: str) -> Reader:
    return lambda row: row.get(name)


# what hangs on a document


def batch_payments(call: Call) -> Reply:
    found = rows.batches(call.ledger)
    since = _since(call)
    return call.reply(
        "BatchPayments",
        [
            rows.batch_row(call.ledger, batch, members, call.switch("batch_strings"))
            for batch, members in found.items()
            if since is None or max(payment.updated for payment in members) >= since
        ],
    )


def batch_payment(call: Call, identity: str) -> Reply:
    members = rows.batches(call.ledger).get(identity.lower()) or _missing(call)
    return call.reply(
        "BatchPayments",
        [rows.batch_row(call.ledger, identity.lower(), members, call.switch("batch_strings"))],
    )


def history_of(kind: str, find: Find) -> Callable[..., Reply]:
    """GET .../History, newest first."""

    def view(call: Call, identity: str) -> Reply:
        notes = call.ledger.notes(history_ref(kind, find(call, identity)))
        return call.reply("HistoryRecords", [note_row(note) for note in reversed(notes)])

    return view


def history_ref(kind: str, record: Any) -> Ref:
    if kind == "Payment" and not hasattr(record, "links"):
        return Ref("refund", record.id)
    return record_ref(kind, record)


def note_row(note: Any) -> Json:
    """One line of a document's history."""
    return {
        "Changes": note.change,
        "DateUTCString": note.at.replace(microsecond=0, tzinfo=None).isoformat(),
        "DateUTC": moment(note.at),
        "User": note.user or "System Generated",
        "Details": note.text,
    }


def attachment_row(call: Call, ref: Ref, found: Any) -> Json:
    """One file of a document."""
    folder = {"invoice": "Invoices", "credit_note": "CreditNotes", "customer": "Contacts"}[ref.kind]
    base = call.request.url_root.rstrip("/") + call.request.path.split("/api.xro/")[0]
    return {
        "AttachmentID": found.id,
        "FileName": found.file_name,
        "Url": f"{base}/api.xro/2.0/{folder}/{ref.id}/Attachments/{found.file_name}",
        "MimeType": found.mime_type,
        "ContentLength": len(found.content),
        "IncludeOnline": found.include_on_send,
    }


def attachments_of(kind: str, find: Find) -> Callable[..., Reply]:
    """GET .../Attachments."""

    def view(call: Call, identity: str) -> Reply:
        ref = record_ref(kind, find(call, identity))
        return call.reply(
            "Attachments", [attachment_row(call, ref, a) for a in call.ledger.attachments_of(ref)]
        )

    return view


def attachment_content(kind: str, find: Find) -> Callable[..., Reply]:
    """GET .../Attachments/{file name or id}: the file itself."""

    def view(call: Call, identity: str, name: str) -> Reply:
        for found in call.ledger.attachments_of(record_ref(kind, find(call, identity))):
            if name in (found.file_name, found.id):
                return Reply(200, found.content, found.mime_type)
        raise call.not_found()

    return view


def online_invoice(call: Call, identity: str) -> Reply:
    """The address where the customer sees the invoice; drafts have none."""
    invoice = find_invoice(call, identity)
    if invoice.status == "draft":
        raise errors.validation(
            [
                {
                    "InvoiceID": invoice.id,
                    "ValidationErrors": errors.problems(["Online invoices need an approved invoice."]),
                }
            ]
        )
    short = invoice.id.replace("-", "")
    return call.reply("OnlineInvoices", [{"OnlineInvoiceUrl": f"https://in.xero.com/{short}"}])
