"""One Xero organization's books, opened: what is asked of them (`reading`), and here each write of the port."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec

from adapters.xero import answers, bodies, clearing, documents, faults
from adapters.xero.reading import RESOURCES, ReadDocument, XeroReading, parts
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
from connector.platforms import Clearing, OutOfDate, PlatformError, Refused, TryLater

DOCUMENTS_IN_ONE_CALL = 50  # Xero's advice for one request


class XeroLedger(XeroReading):
    """See `connector.platforms.Ledger`."""

    freezes_settled = True

    def clearing(self, account: str | None, today: date, known: Clearing | None = None) -> Clearing:
        """Xero takes no document on an account that was archived or deleted, so a known one is not asked for."""
        return known or clearing.find_or_create(self._transport, account, self._known_facts().country)

    def create_credit(self, draft: CreditDraft, key: str) -> Document:
        answer = self._transport.write(
            "PUT CreditNotes",
            "create_credit_notes",
            body=bodies.credit_body(draft),
            key=key,
            summarize_errors="false",
        )
        return self._made(answer, answers.elements(answer, "CreditNotes"), documents.credit_document)

    def create_invoices(self, drafts: Sequence[InvoiceDraft], key: str) -> list[Document | PlatformError]:
        outcomes: list[Document | PlatformError] = []
        for n, part in enumerate(parts(list(drafts), DOCUMENTS_IN_ONE_CALL), 1):
            answer = self._transport.write(
                "PUT Invoices",
                "create_invoices",
                body={"Invoices": [bodies.invoice_element(draft) for draft in part]},
                key=key if n == 1 else f"{key}-{n}",
                summarize_errors="false",
            )
            outcomes += self._outcomes(answer, [draft.number for draft in part])
        return outcomes

    def _outcomes(self, answer: faults.Answer, numbers: list[str]) -> list[Document | PlatformError]:
        """One for each number that was sent. A failed element stands among the good ones.

        Xero answers them in the order they were sent; where every element names itself, its name decides.
        """
        elements = answers.opened(answer).Invoices or []
        if len(elements) != len(numbers):
            raise faults.unreadable_answer(answer, writes=True)
        named = {answers.understood(documents.number_of, row): row for row in elements}
        if named.keys() == set(numbers):
            elements = [named[number] for number in numbers]
        outcomes: list[Document | PlatformError] = []
        for row in elements:
            if wrong := answers.problem(row, answer.reference):
                outcomes.append(wrong)
            else:
                try:
                    outcomes.append(self._made(answer, [row], documents.invoice_document))
                except TryLater as unread:
                    outcomes.append(unread)
        return outcomes

    def link(self, draft: LinkDraft, key: str) -> str:
        answer = self._transport.write(
            "PUT CreditNotes/Allocations",
            "create_credit_note_allocation",
            draft.credit_id,
            body=bodies.link_body(draft),
            key=key,
            summarize_errors="false",
        )
        for row in answers.elements(answer, "Allocations"):
            link_id, invoice_id = answers.understood(documents.allocation, row)
            if link_id and invoice_id == draft.invoice_id:
                return link_id
        # Some answers leave the id out; the credit note has it.
        credit = self.document(Kind.CREDIT, draft.credit_id)
        for each in credit.links if credit else ():
            if each.id == draft.invoice_id and each.amount == draft.amount:
                return each.link_id
        raise faults.unreadable_answer(answer, writes=True)

    def add_note(self, draft: NoteDraft, key: str) -> str:
        """A history record, with our marker as its last line, by which `notes` finds it again."""
        try:
            self._write_note(draft, bodies.NOTE_LIMIT, key)
        except Refused:
            if len(draft.text) + len(draft.marker) < bodies.OLD_NOTE_LIMIT:
                raise
            self._write_note(draft, bodies.OLD_NOTE_LIMIT, f"{key}-short")  # in several records
        return draft.marker  # Xero gives a note no id

    def _write_note(self, draft: NoteDraft, limit: int, key: str) -> None:
        resource = RESOURCES[draft.kind]
        answer = self._transport.write(
            f"PUT {resource.plural}/History",
            f"create_{resource.method}_history",
            draft.document_id,
            body=bodies.notes_body(draft.text, draft.marker, limit),
            key=key,
        )
        answers.elements(answer, "HistoryRecords")

    def attach(self, draft: AttachmentDraft, key: str) -> str:
        resource = RESOURCES[draft.kind]
        try:
            answer = self._transport.write(
                f"PUT {resource.plural}/Attachments",
                f"create_{resource.method}_attachment_by_file_name",
                draft.document_id,
                draft.filename,
                body=base64.b64decode(draft.content),
                key=key,
            )
        except PlatformError as problem:
            if faults.lacks_scope(problem):  # a missing extra must not stop the whole connection
                raise Refused(
                    "This connection may not attach files in Xero. The plan stands without the attachment.",
                    code="SCOPE_MISSING",
                    reference=problem.reference,
                ) from None
            raise
        made = answers.elements(answer, "Attachments")
        return answers.understood(documents.attachment_id, made[0]) if made else ""

    def move_due_date(self, draft: DueDateDraft, key: str) -> Document:
        """Only a live invoice with something open. Xero says whether a part-paid one may be edited."""
        now = self.document(Kind.INVOICE, draft.invoice_id)
        if now is None or now.status in ("void", "paid"):
            raise OutOfDate(
                "The invoice was paid, voided or deleted in Xero meanwhile. Forbear reads it again.",
                code="STATUS_CHANGED",
            )
        if now.due != draft.due:
            if draft.version and now.version != draft.version:
                raise OutOfDate(
                    f"Invoice {now.number} was changed in Xero since it was last read. Review it again.",
                    code="BALANCE_CHANGED",
                )
            now = self._move(now, draft, key)
        if draft.note and not any(draft.note in note for note in self.notes(Kind.INVOICE, draft.invoice_id)):
            note = NoteDraft(Kind.INVOICE, draft.invoice_id, draft.note, draft.marker)
            self.add_note(note, f"{key}-note")
        return now

    def _move(self, now: Document, draft: DueDateDraft, key: str) -> Document:
        try:
            answer = self._transport.write(
                "POST Invoices",
                "update_invoice",
                draft.invoice_id,
                body=bodies.due_date_body(draft.invoice_id, draft.due),
                key=key,
            )
            return self._made(answer, answers.elements(answer, "Invoices"), documents.invoice_document)
        except PlatformError as problem:
            if problem.code in ("DOC_HAS_ALLOCATIONS", "STATUS_CHANGED") and now.links:
                raise Refused(
                    "Xero does not let an app edit this. Open the invoice in Xero and set its due date to "
                    f"{draft.due.isoformat()}: {now.url}",
                    code="DOC_HAS_ALLOCATIONS",
                    words=problem.words,
                    reference=problem.reference,
                ) from None
            raise

    def send(self, draft: SendDraft, key: str) -> None:
        try:
            self._transport.write("POST Invoices/Email", "email_invoice", draft.invoice_id, body={}, key=key)
        except Refused as problem:  # also the daily limit of e-mails comes as a plain 400
            raise Refused(
                "Xero did not send the e-mail: the customer's address is missing or wrong, the invoice is not "
                "approved, or today's number of e-mails is used up. Nothing was sent.",
                code="EMAIL_REFUSED",
                words=problem.words,
                reference=problem.reference,
            ) from None

    def remove(self, draft: RemoveDraft, key: str) -> None:
        if draft.what == "link":
            self._unlink(draft)
        elif draft.what == "invoice":
            now = self.document(Kind.INVOICE, draft.document_id)
            if now is not None and now.status != "void":
                body = bodies.invoice_status_body(now.id, now.status == "draft")
                self._take_back("Invoices", "update_invoice", now, body, key)
        elif draft.what == "credit":
            now = self.document(Kind.CREDIT, draft.document_id)
            if now is not None and now.status != "void":
                body = bodies.credit_status_body(now.id, now.status == "draft")
                self._take_back("CreditNotes", "update_credit_note", now, body, key)
        else:
            raise ValueError(f"nothing is called {draft.what!r}")

    def _take_back(self, name: str, method: str, now: Document, body: dict[str, Any], key: str) -> None:
        if now.links:
            raise Refused(
                f"{now.number} has a payment or credit on it in Xero, so it cannot be voided. "
                f"Take that off first: {now.url}",
                code="DOC_HAS_ALLOCATIONS",
            )
        answer = self._transport.write(f"POST {name}", method, now.id, body=body, key=key)
        answers.elements(answer, name)

    def _unlink(self, draft: RemoveDraft) -> None:
        credit = self.document(Kind.CREDIT, draft.credit_id)
        for link in credit.links if credit else ():
            if link.link_id == draft.link_id or (not draft.link_id and link.id == draft.document_id):
                self._transport.write(
                    "DELETE CreditNotes/Allocations",
                    "delete_credit_note_allocations",
                    draft.credit_id,
                    link.link_id,
                    body=None,
                    key=None,
                )

    def _made(self, answer: faults.Answer, found: list[msgspec.Raw], read: ReadDocument) -> Document:
        """The document that a write answered. One that cannot be read was written all the same."""
        try:
            made = self._first(found, read)
        except Refused:
            made = None
        if made is None:
            raise faults.unreadable_answer(answer, writes=True)
        return made
