"""One QuickBooks company's books, opened: what is asked of them (`reading`), and here each write of the port.

A write's answer carries the whole object, so nothing is read again unless the answer lacks what is asked.
Each create, update and delete carries a `requestid`: QuickBooks replays its first answer for the same one.
"""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Sequence
from datetime import date

from adapters.quickbooks import bodies, clearing, faults, translate
from adapters.quickbooks.pull import ODD
from adapters.quickbooks.reading import QuickBooksReading, record_in
from adapters.quickbooks.retry_key import request_id
from adapters.quickbooks.transport import BATCH_REQUEST_ID, Json, item_error
from connector.domain.receivables import Document, Kind
from connector.domain.writes import (
    AttachmentDraft,
    CreditDraft,
    DueDateDraft,
    InvoiceDraft,
    LinkDraft,
    NoteDraft,
    RemoveDraft,
    SendDraft,
)
from connector.platforms import Clearing, OutOfDate, PlatformError, Refused

BATCH = 30  # operations in one call


class QuickBooksLedger(QuickBooksReading):
    """See `connector.platforms.Ledger`."""

    freezes_settled = False

    def clearing(self, account: str | None, today: date, known: Clearing | None = None) -> Clearing:
        """`standing` brought account and item along, so they are looked at again."""
        organization = self._facts or self.organization()
        pair, self._pair = self._pair, None  # it answers once: what is made meanwhile must be seen
        return clearing.find_or_create(self._transport, account, organization, today, pair)

    def create_credit(self, draft: CreditDraft, key: str) -> Document:
        source = self._source(draft.source_invoice_id)
        body = bodies.credit_memo(draft, source, self._beside_tax(draft, source))
        answer = self._transport.create("CreditMemo", body, request_id(key))
        return self._written(Kind.CREDIT, answer)

    def _beside_tax(self, draft: CreditDraft, source: Json) -> str:
        """The tax code for the untaxed part of a credit that takes back a share of tax; "" where it has none.

        QuickBooks computes tax itself: the tax of a whole invoice comes back the same, a share is worked out
        from the invoice's own rates. Raises Refused where they do not allow that.
        """
        if not draft.tax or bodies.returns(draft, source):
            return ""
        taxed = bodies.taxed_part(draft, source)
        organization = self._facts or self.organization()
        code = clearing.off_return_code(self._transport, organization)
        taxes = draft.tax_code not in ("", code)
        if taxed is None or not taxes or (taxed != draft.amount - draft.tax and not code):
            raise Refused(
                "A share of the invoice's tax cannot be credited exactly at its rates and under the tax code for "
                "discounts. Let discounts not reduce tax in the settings, or credit the invoice in QuickBooks.",
                code="TAX_MISMATCH",
            )
        return code

    def create_invoices(self, drafts: Sequence[InvoiceDraft], key: str) -> list[Document | PlatformError]:
        if len(drafts) == 1:
            one = request_id(key, drafts[0].number)
            try:
                answer = self._transport.create("Invoice", self._invoice(drafts[0]), one)
            except (Refused, OutOfDate) as problem:
                return [problem]
            return [self._written(Kind.INVOICE, answer)]
        outcomes: list[Document | PlatformError] = []
        for n in range(0, len(drafts), BATCH):
            part = drafts[n : n + BATCH]
            try:
                outcomes += self._create_batch(part, key)
            except PlatformError as problem:
                if not outcomes:
                    raise
                outcomes += [problem] * len(part)
        return outcomes

    def _create_batch(self, part: Sequence[InvoiceDraft], key: str) -> list[Document | PlatformError]:
        """One outcome per draft. The items are independent, and their answers come in any order."""
        items = [
            {"bId": str(n), "operation": "create", "Invoice": self._invoice(draft)}
            for n, draft in enumerate(part, 1)
        ]
        one = request_id(key, *(draft.number for draft in part), limit=BATCH_REQUEST_ID)
        answers, _ = self._transport.batch(items, one)
        by_id = {str(item.get("bId")): item for item in answers}
        outcomes: list[Document | PlatformError] = []
        for n in range(1, len(part) + 1):
            item = by_id.get(str(n), {})
            problem = item_error(item)
            if problem is None and not isinstance(item.get("Invoice"), dict):
                problem = faults.unusable("batch item without an answer", writes=True)
            outcomes.append(problem or self._written(Kind.INVOICE, item))
        return outcomes

    def _invoice(self, draft: InvoiceDraft) -> Json:
        return bodies.invoice(draft, self._source(draft.source_invoice_id))

    def _source(self, invoice_id: str) -> Json:
        """The invoice that a plan is for, read once; {} when it is gone."""
        if invoice_id and invoice_id not in self._sources:
            self._sources[invoice_id] = self._read(Kind.INVOICE, invoice_id) or {}
        return self._sources.get(invoice_id, {})

    def _written(self, kind: Kind, answer: Json) -> Document:
        try:
            return self._document(kind, record_in(answer, bodies.ENTITIES[kind]))
        except ODD:
            raise faults.unusable(f"{kind} answer", writes=True) from None

    def link(self, draft: LinkDraft, key: str) -> str:
        body = bodies.link(draft, self._source(draft.invoice_id))
        answer = self._transport.create("Payment", body, request_id(key))
        return _made(answer, "Payment")

    def add_note(self, draft: NoteDraft, key: str) -> str:
        answer = self._transport.create("Attachable", bodies.note(draft), request_id(key))
        return _made(answer, "Attachable")

    def attach(self, draft: AttachmentDraft, key: str) -> str:
        content_type = mimetypes.guess_type(draft.filename)[0] or "application/octet-stream"
        answer = self._transport.upload(
            bodies.attachment(draft, content_type),
            draft.filename,
            base64.b64decode(draft.content),
            content_type,
            request_id(key),
        )
        given = answer.get("AttachableResponse")
        if not isinstance(given, list) or not given:
            raise faults.unusable("upload without answer", writes=True)
        return _made(given[0], "Attachable")

    def move_due_date(self, draft: DueDateDraft, key: str) -> Document:
        """The user's own private note stays in front; ours goes behind it, or nowhere when it is full."""
        raw = self._must_read(Kind.INVOICE, draft.invoice_id)
        if str(raw.get("SyncToken")) != draft.version:
            if _moved(raw, draft):  # our own earlier attempt
                return self._document(Kind.INVOICE, raw)
            raise OutOfDate(
                "The invoice was changed in QuickBooks since this was approved. Look at it again.",
                code="5010",
            )
        body = bodies.due_date(raw, draft.due.isoformat(), draft.note)
        moved = self._written(Kind.INVOICE, self._transport.update("Invoice", body, request_id(key)))
        if moved.due != draft.due:  # seen in closed periods: success is answered, and nothing happens
            raise Refused(
                "QuickBooks answered without moving the due date; the invoice's period is probably closed. "
                "Keep the new date as a note instead.",
                code="6210",
            )
        return moved

    def _must_read(self, kind: Kind, id: str) -> Json:
        raw = self._read(kind, id)
        if raw is None:
            raise OutOfDate("This was deleted in QuickBooks. Look at the plan again.", code="610")
        return raw

    def send(self, draft: SendDraft, key: str) -> None:
        """QuickBooks takes no `requestid` here: after an uncertain answer a person must look."""
        self._transport.send(draft.invoice_id)

    def remove(self, draft: RemoveDraft, key: str) -> None:
        if draft.what == "link":
            self._unlink(draft, key)
        elif draft.what == "invoice":
            self._void_invoice(draft, key)
        else:
            self._delete_credit(draft, key)

    def _unlink(self, draft: RemoveDraft, key: str) -> None:
        raw = self._read(Kind.PAYMENT, draft.link_id)
        if raw is None:
            return
        payment = translate.payment(raw, self._currency(raw), ())
        # A link of ours whose invoice was voided, or whose credit was deleted, holds credit; never money.
        if payment is not None and (payment.amount or not payment.marker):
            raise Refused("This is a real payment, not a link that Forbear made. It stays as it is.")
        self._transport.delete("Payment", bodies.version(raw), request_id(key))

    def _void_invoice(self, draft: RemoveDraft, key: str) -> None:
        raw = self._read(Kind.INVOICE, draft.document_id)
        if raw is None or translate.is_void(raw):
            return
        _must_be_ours(raw)
        invoice = translate.invoice(raw, self._currency(raw))
        if invoice.balance != invoice.total:
            raise Refused(
                f"Something was already paid or credited on invoice {invoice.number}, so it is not voided. "
                "Renegotiate the plan instead."
            )
        body = bodies.version(raw)
        answer = self._transport.update("Invoice", body, request_id(key), operation="void")
        if not translate.is_void(record_in(answer, "Invoice")):  # a wrong void can look like success
            raise faults.unusable("invoice not voided", writes=True)

    def _delete_credit(self, draft: RemoveDraft, key: str) -> None:
        raw = self._read(Kind.CREDIT, draft.document_id)
        if raw is None:
            return
        _must_be_ours(raw)
        answer = self._transport.delete("CreditMemo", bodies.version(raw), request_id(key))
        if not translate.is_deleted(record_in(answer, "CreditMemo")):
            raise faults.unusable("credit memo not deleted", writes=True)


def _made(answer: Json, name: str) -> str:
    """The id of what a write made. Without one nobody knows what happened."""
    try:
        return translate.id_of(record_in(answer, name))
    except ODD:
        raise faults.unusable(f"{name} without an id", writes=True) from None


def _moved(raw: Json, draft: DueDateDraft) -> bool:
    note = translate.text(raw, "PrivateNote")
    return raw.get("DueDate") == draft.due.isoformat() and (not draft.note or draft.note in note)


def _must_be_ours(raw: Json) -> None:
    if not translate.marker_of(raw):
        raise Refused(
            "Forbear removes only what it wrote itself, and this document does not carry its mark. "
            "Remove it in QuickBooks if you want to."
        )
