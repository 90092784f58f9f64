"""What is written beside a document: history notes, files, and the invoice sent by e-mail."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from sandbox.documents import Attachment, Invoice, Ref
from sandbox.xero import errors
from sandbox.xero.elements import Perform, carry_out, text
from sandbox.xero.envelope import Json, moment, moment_string
from sandbox.xero.errors import Invalid
from sandbox.xero.idempotency import Reply
from sandbox.xero.organisation import plan
from sandbox.xero.reading import attachment_row, find_invoice, history_ref, record_ref
from sandbox.xero.request import Call

_SENDABLE = ("submitted", "open")
_MAILS_A_DAY = {"DEMO": 0, "TRIAL": 20}
_MAILS_A_DAY_PAYING = 1000
_MOST_FILES = 10


def add_notes(kind: str, find: Callable[[Call, str], Any]) -> Callable[..., Reply]:
    """PUT .../History: several notes at once, never edited or deleted."""

    def view(call: Call, identity: str) -> Reply:
        ref = history_ref(kind, find(call, identity))
        limit = int(call.switch("note_limit"))

        def prepare(element: Json) -> Perform:
            details = element.get("Details")
            if not details:
                raise Invalid("The Details of a note must be specified.")
            words = text(element, "Details", limit)

            def perform() -> Json:
                note = call.ledger.add_note(ref, words)
                return {
                    "DateUTCString": moment_string(note.at).partition("+")[0],
                    "DateUTC": moment(note.at),
                    "Details": note.text,
                    "ValidationErrors": [],
                }

            return perform

        return carry_out(call, "HistoryRecords", "HistoryRecordID", call.elements("HistoryRecords"), prepare)

    return view


def attach(kind: str, find: Callable[[Call, str], Any]) -> Callable[..., Reply]:
    """PUT or POST .../Attachments/{file name}: the body is the file."""

    def view(call: Call, identity: str, name: str) -> Reply:
        ref = record_ref(kind, find(call, identity))
        content = call.request.get_data()
        if not content:
            raise errors.bad_request("The attachment is empty.")
        if len(call.ledger.attachments_of(ref)) >= _MOST_FILES:
            raise errors.bad_request("A document can have no more than 10 attachments.")
        made = call.ledger.add_attachment(
            Attachment(
                file_name=name,
                mime_type=call.request.mimetype or "application/octet-stream",
                content=content,
                refs=[ref],
                include_on_send=call.flag("IncludeOnline"),
            )
        )
        change = f"Attached the file {name} through the Xero API using Sandbox app"
        call.ledger.add_note(ref, change, change="Attached a file")
        return call.reply("Attachments", [attachment_row(call, ref, made)])

    return view


def send_email(call: Call, identity: str) -> Reply:
    """POST /Invoices/{id}/Email: 204, or 400 when it may not be sent or the day's limit is reached."""
    invoice: Invoice = find_invoice(call, identity)
    mails: dict[tuple[str, dt.date], int] = call.world.memory("xero").setdefault("mails", {})
    organization = call.ledger.organization
    today = (organization.id, call.world.clock.now().date())
    problem = _unsendable(call, invoice)
    if mails.get(today, 0) >= _MAILS_A_DAY.get(plan(organization), _MAILS_A_DAY_PAYING):
        problem = "The daily email limit of this organisation has been reached."
    if problem:
        raise errors.validation([{"InvoiceID": invoice.id, "ValidationErrors": errors.problems([problem])}])
    mails[today] = mails.get(today, 0) + 1
    ref = Ref("invoice", invoice.id)
    customer = call.ledger.customers[invoice.customer]
    call.ledger.mark_emailed(ref, customer.email)
    call.ledger.add_note(ref, f"This invoice has been sent to {customer.email}.", change="Invoice sent")
    return Reply(204, b"", errors.PLAIN)


def _unsendable(call: Call, invoice: Invoice) -> str:
    if invoice.status not in _SENDABLE:
        return "Only submitted, approved and paid invoices can be emailed."
    if not call.ledger.customers[invoice.customer].email:
        return "The contact has no email address."
    return ""
