"""One Xero organization's books, opened: the port's questions and writes, each in as few calls as it takes."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, TypeVar

import msgspec

from adapters.xero import answers, bodies, clearing, documents, facts, faults, rows, translate
from adapters.xero.owed import Owed
from adapters.xero.pull import Pull, ask, every_row
from adapters.xero.transport import Transport
from connector.domain.receivables import (
    CreditNote,
    Customer,
    Document,
    Invoice,
    Kind,
    Link,
    Organization,
    Payment,
    Status,
)
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
from connector.platforms import (
    Account,
    Batch,
    Clearing,
    Cursor,
    OutOfDate,
    PlatformError,
    Refused,
    Standing,
    TryLater,
)

DOCUMENTS_IN_ONE_CALL = 50  # Xero's advice for one request
NUMBERS_IN_ONE_CALL = 40  # so that the address stays short

_Found = TypeVar("_Found")
_ReadDocument = Callable[[msgspec.Raw, Callable[[Kind, str], str]], Document | None]
_OPEN = (Status.OPEN, Status.PARTLY_PAID)


class XeroLedger:
    """See `connector.platforms.Ledger`. `web` is where Xero's own pages are."""

    freezes_settled = True

    def __init__(self, transport: Transport, web: str) -> None:
        self._transport, self._web = transport, web
        self._facts: Organization | None = None
        self._owed = Owed(transport)
        self._names: dict[str, str] = {}  # of accounts without a code, by Xero's id

    # ------------------------------------------------------------ reads

    def organization(self, *, reminders: bool = True) -> Organization:
        reminders_on = self._reminders_on() if reminders else None
        self._facts = self._read_facts(reminders_on)
        return self._facts

    def _reminders_on(self) -> bool | None:
        """Whether Xero reminds by itself; None where it does not say."""
        try:
            found = ask(self._transport, "InvoiceReminders", "get_invoice_reminders")
            if found.InvoiceReminders:
                return answers.understood(facts.reminders_on, found.InvoiceReminders[0])
        except PlatformError as problem:  # not every plan has reminders; None says that we do not know
            if not isinstance(problem, Refused | OutOfDate) and not faults.lacks_scope(problem):
                raise
        return None

    def _read_facts(self, reminders_on: bool | None = None) -> Organization:
        found = ask(self._transport, "Organisation", "get_organisations")
        return answers.understood(
            facts.organization, answers.one(found.Organisations, "organization"), reminders_on
        )

    def _known_facts(self) -> Organization:
        """The facts without the reminders, read once."""
        if self._facts is None:
            self._facts = self._read_facts()
        return self._facts

    def pull(self, cursor: Cursor | None, kinds: frozenset[Kind] | None = None) -> Iterator[Batch]:
        home = (cursor or {}).get("home") or self._known_facts().home_currency
        pull = Pull(self._transport, home)
        if cursor is None or "since" not in cursor:
            return pull.everything(cursor)
        return pull.changes(cursor, kinds)

    def document(self, kind: Kind, id: str) -> Document | None:
        if kind is Kind.INVOICE:
            found = self._get("Invoices", "get_invoice", id)
            invoice = self._first(found.Invoices if found else None, documents.invoice_document)
            return self._with_link_ids(invoice) if invoice else None
        if kind is Kind.CREDIT:
            found = self._get("CreditNotes", "get_credit_note", id)
            return self._first(found.CreditNotes if found else None, documents.credit_document)
        if kind is Kind.PAYMENT:
            fact = self._payment(id)
            return documents.payment_document(fact, self.deep_link) if fact else None
        return None

    def _with_link_ids(self, invoice: Document) -> Document:
        """An invoice names the credit notes on it, and only those name the allocation that undoing needs."""
        links = []
        for link in invoice.links:
            if link.kind == "credit" and not link.link_id:
                credit = self.document(Kind.CREDIT, link.id)
                ids = (
                    {each.amount: each.link_id for each in credit.links if each.id == invoice.id}
                    if credit
                    else {}
                )
                link = replace(link, link_id=ids.get(link.amount, ""))
            links.append(link)
        return replace(invoice, links=tuple(links))

    def _payment(self, id: str) -> Payment | None:
        """Xero keeps payments, overpayments and prepayments apart; an id is of one of them."""
        if found := self._get("Payments", "get_payment", id):
            home = self._known_facts().home_currency
            made = answers.understood(translate.payment, answers.one(found.Payments, "payment"), home, {})
            return made if isinstance(made, Payment) else None
        for name, method in (("Overpayments", "get_overpayment"), ("Prepayments", "get_prepayment")):
            if found := self._get(name, method, id):
                other = answers.understood(translate.advance, answers.one(getattr(found, name), "payment"))
                return other if isinstance(other, Payment) else None
        return None

    def find(self, kind: Kind, numbers: Sequence[str]) -> list[Document]:
        wanted = list(dict.fromkeys(numbers))
        found: list[Document] = []
        if kind is Kind.INVOICE:
            plain = [number for number in wanted if "," not in number]  # a comma would end a number there
            for part in _parts(plain, NUMBERS_IN_ONE_CALL):
                rows_found = self._all("Invoices", "get_invoices", invoice_numbers=part)
                found += self._documents(rows_found, documents.invoice_document)
            for number in (number for number in wanted if "," in number):
                rows_found = self._all("Invoices", "get_invoices", where=f"InvoiceNumber=={_quoted(number)}")
                found += self._documents(rows_found, documents.invoice_document)
        elif kind is Kind.CREDIT:
            for number in wanted:  # Xero's filter takes OR for ids only
                where = f"CreditNoteNumber=={_quoted(number)}"
                rows_found = self._all("CreditNotes", "get_credit_notes", where=where)
                found += self._documents(rows_found, documents.credit_document)
        return [d for d in found if d.number in wanted and d.status != "void"]

    def find_together(
        self, customer_id: str, numbers: Mapping[Kind, Sequence[str]], made: Sequence[Document] = ()
    ) -> list[Document]:
        """Invoices by their numbers; credit notes only where those invoices do not show them used up.

        A credit note that is set against invoices in full can be neither edited nor voided in Xero, so what it
        was when it was made still stands. Several others can be named by their customer only: Xero's filter
        knows no list of numbers.
        """
        invoices = self.find(Kind.INVOICE, numbers.get(Kind.INVOICE, ()))
        used_up = [d for d in map(_set_against(invoices), made) if d.kind is Kind.CREDIT and not d.balance]
        wanted = set(numbers.get(Kind.CREDIT, ())) - {d.number for d in used_up}
        if len(wanted) > 1:
            theirs = self._all("CreditNotes", "get_credit_notes", where=_of_contact(customer_id))
            credits = self._documents(theirs, documents.credit_document)
            found = [d for d in credits if d.number in wanted and d.status != "void"]
        else:
            found = self.find(Kind.CREDIT, sorted(wanted))
        return [*used_up, *found, *invoices]

    def standing(
        self, customer_id: str, invoices: Mapping[str, str], numbers: Mapping[Kind, Sequence[str]]
    ) -> Standing:
        """The customer's open invoices, and what Xero says they owe: three calls where the two agree.

        Where they do not, something stands against nothing yet, and the three lists that can hold it are read.
        No number is looked for: Xero refuses one that is taken.
        """
        organization = self.organization(reminders=False)
        rows_found = self._all("Invoices", "get_invoices", **_open_of(customer_id))
        found = self._documents(rows_found, documents.invoice_document)
        open_ = [d for d in found if d.customer_id == customer_id and d.status in _OPEN]
        by_id = {d.id: d for d in open_}
        read = [by_id.get(id) or self.document(Kind.INVOICE, id) for id in invoices]
        customer = self.customer(customer_id)
        home = organization.home_currency
        owed = (customer.ledger_balance or {}).get(home) if customer else None
        payments: list[Payment] = []
        credits: list[CreditNote] = []
        if owed != sum(d.balance for d in open_) or any(d.currency != home for d in open_):
            _, payments, credits = self.customer_money(customer_id, invoices=False)
        return Standing(
            organization, tuple(d for d in read if d), tuple(payments), tuple(credits), customer=customer
        )

    def customer(self, id: str) -> Customer | None:
        found = self._get("Contacts", "get_contact", id)
        if found is None or not found.Contacts:
            return None
        return answers.understood(translate.customer, found.Contacts[0], self._known_facts().home_currency)

    def customer_money(
        self, id: str, *, invoices: bool = True
    ) -> tuple[list[Invoice], list[Payment], list[CreditNote]]:
        open_invoices = self._all("Invoices", "get_invoices", **_open_of(id)) if invoices else ()
        found = [answers.understood(translate.invoice, row) for row in open_invoices]
        theirs = _of_contact(id)
        money = [
            answers.understood(translate.advance, row)
            for name, method in (("Overpayments", "get_overpayments"), ("Prepayments", "get_prepayments"))
            for row in self._all(name, method, where=theirs)
        ]
        notes = self._all("CreditNotes", "get_credit_notes", where=f'{theirs} AND Status=="AUTHORISED"')
        credits = [answers.understood(translate.credit_note, row) for row in notes]
        return (
            [i for i in found if isinstance(i, Invoice) and i.customer_id == id and i.balance],
            [p for p in money if isinstance(p, Payment) and p.customer_id == id and p.unapplied],
            [c for c in credits if isinstance(c, CreditNote) and c.customer_id == id and c.remaining],
        )

    def pay_link(self, invoice_id: str) -> str:
        found = self._get("OnlineInvoice", "get_online_invoice", invoice_id)
        return (
            answers.understood(documents.online, found.OnlineInvoices[0])
            if found and found.OnlineInvoices
            else ""
        )

    def balances(self) -> dict[str, dict[str, int]]:
        return self._owed.balances(self._known_facts().home_currency)

    def open_invoices(self) -> dict[str, dict[str, int]]:
        return self._owed.open_invoices()

    def accounts(self) -> list[Account]:
        return clearing.every_account(self._transport)

    def notes(self, kind: Kind, id: str) -> list[str]:
        resource = _HISTORY[kind]
        found = self._get(f"{resource.plural}/History", f"get_{resource.method}_history", id)
        return answers.understood(documents.history, found.HistoryRecords or []) if found else []

    def deep_link(self, kind: Kind, id: str) -> str:
        """Xero's page of the record; it opens in the right organization once the facts are known."""
        path = _PAGES[kind] + id
        code = self._facts.short_code if self._facts else ""
        if not code:
            return self._web + path
        return f"{self._web}/organisationlogin/default.aspx?shortcode={code}&redirecturl={path}"

    # ------------------------------------------------------------ writes

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
        for n, part in enumerate(_parts(list(drafts), DOCUMENTS_IN_ONE_CALL), 1):
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
        resource = _HISTORY[draft.kind]
        answer = self._transport.write(
            f"PUT {resource.plural}/History",
            f"create_{resource.method}_history",
            draft.document_id,
            body=bodies.notes_body(draft.text, draft.marker, limit),
            key=key,
        )
        answers.elements(answer, "HistoryRecords")

    def attach(self, draft: AttachmentDraft, key: str) -> str:
        resource = _HISTORY[draft.kind]
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

    def attachments(self, kind: Kind, id: str) -> dict[str, str]:
        """The document itself names its files: the list of attachments would need a consent of its own."""
        resource = _HISTORY[kind]
        found = self._get(resource.plural, f"get_{resource.method}", id)
        document = (getattr(found, resource.plural) or [None])[0] if found else None
        files = answers.understood(documents.attached, document) if document else []
        return {
            answers.understood(documents.attachment_name, f): answers.understood(documents.attachment_id, f)
            for f in files
        }

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

    # ------------------------------------------------------------ answers

    def _get(self, name: str, method: str, id: str) -> rows.Envelope | None:
        """One record by its id; None when Xero has none."""
        try:
            return ask(self._transport, name, method, id)
        except OutOfDate as problem:
            if problem.code == "NOT_FOUND":
                return None
            raise

    def _all(self, name: str, method: str, **query: Any) -> Iterator[msgspec.Raw]:
        return every_row(self._transport, name, method, **query)

    def _documents(self, found: Iterable[msgspec.Raw], read: _ReadDocument) -> list[Document]:
        made = [answers.understood(read, row, self.deep_link) for row in found]
        return [self._named(document) for document in made if document]

    def _first(self, found: list[msgspec.Raw] | None, read: _ReadDocument) -> Document | None:
        made = answers.understood(read, found[0], self.deep_link) if found else None
        return self._named(made) if made else None

    def _named(self, document: Document) -> Document:
        """Lines tell an account by its code, or by Xero's id where it has none: nobody knows that by sight."""
        bare = {line.account_id for line in document.lines if bodies.is_guid(line.account_id)}
        if not bare:
            return document
        if bare - self._names.keys():
            names = {account.id: account.name for account in self.accounts()}
            self._names |= {id: names.get(id, "") for id in bare}
        lines = (replace(x, account_name=self._names.get(x.account_id, "")) for x in document.lines)
        return replace(document, lines=tuple(lines))

    def _made(self, answer: faults.Answer, found: list[msgspec.Raw], read: _ReadDocument) -> Document:
        """The document that a write answered. One that cannot be read was written all the same."""
        try:
            made = self._first(found, read)
        except Refused:
            made = None
        if made is None:
            raise faults.unreadable_answer(answer, writes=True)
        return made


class _Resource:
    """How the SDK names what belongs to one kind of record."""

    def __init__(self, plural: str, method: str) -> None:
        self.plural, self.method = plural, method


_HISTORY = {
    Kind.INVOICE: _Resource("Invoices", "invoice"),
    Kind.CREDIT: _Resource("CreditNotes", "credit_note"),
    Kind.CUSTOMER: _Resource("Contacts", "contact"),
    Kind.PAYMENT: _Resource("Payments", "payment"),
}
_PAGES = {
    Kind.INVOICE: "/AccountsReceivable/View.aspx?InvoiceID=",
    Kind.CREDIT: "/AccountsReceivable/ViewCreditNote.aspx?creditNoteID=",
    Kind.CUSTOMER: "/Contacts/View.aspx?contactID=",
    Kind.PAYMENT: "/Bank/ViewTransaction.aspx?bankTransactionID=",
}


def _open_of(contact_id: str) -> dict[str, Any]:
    """The question for a customer's open invoices."""
    return {"contact_i_ds": [contact_id], "statuses": ["AUTHORISED"]}


def _set_against(invoices: Sequence[Document]) -> Callable[[Document], Document]:
    """A credit note as these invoices show it: what of it is set against them, and what is left."""

    def seen(credit: Document) -> Document:
        ids = {link.id: link.link_id for link in credit.links}
        links = tuple(
            Link("invoice", d.id, link.amount, ids.get(d.id, ""))
            for d in invoices
            for link in d.links
            if (link.kind, link.id) == ("credit", credit.id)
        )
        left = credit.total - sum(link.amount for link in links)
        return replace(credit, balance=left, links=links, status=Status.OPEN if left else Status.PAID)

    return seen


def _of_contact(id: str) -> str:
    return f'Contact.ContactID==guid("{id}")'


def _parts(items: list[Any], size: int) -> list[list[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
