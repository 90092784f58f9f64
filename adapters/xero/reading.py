"""What is asked of one Xero organization's books, each question in as few calls as it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from adapters.xero import answers, bodies, clearing, documents, facts, faults, shapes, translate
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
from connector.platforms import Account, Batch, Cursor, OutOfDate, PlatformError, Refused, Standing

NUMBERS_IN_ONE_CALL = 40  # so that the address stays short

ReadDocument = Callable[[msgspec.Raw, Callable[[Kind, str], str]], Document | None]
_OPEN = (Status.OPEN, Status.PARTLY_PAID)


@dataclass(frozen=True, slots=True)
class Resource:
    """How the SDK names what belongs to one kind of record."""

    plural: str
    method: str


RESOURCES = {
    Kind.INVOICE: Resource("Invoices", "invoice"),
    Kind.CREDIT: Resource("CreditNotes", "credit_note"),
    Kind.CUSTOMER: Resource("Contacts", "contact"),
    Kind.PAYMENT: Resource("Payments", "payment"),
}
_PAGES = {
    Kind.INVOICE: "/AccountsReceivable/View.aspx?InvoiceID=",
    Kind.CREDIT: "/AccountsReceivable/ViewCreditNote.aspx?creditNoteID=",
    Kind.CUSTOMER: "/Contacts/View.aspx?contactID=",
    Kind.PAYMENT: "/Bank/ViewTransaction.aspx?bankTransactionID=",
}


class XeroReading:
    """The half of `connector.platforms.Ledger` that only reads. `web` is where Xero's own pages are."""

    def __init__(self, transport: Transport, web: str) -> None:
        self._transport, self._web = transport, web
        self._facts: Organization | None = None
        self._owed = Owed(transport)
        self._names: dict[str, str] = {}  # of accounts without a code, by Xero's id

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
            for part in parts(plain, NUMBERS_IN_ONE_CALL):
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
        resource = RESOURCES[kind]
        found = self._get(f"{resource.plural}/History", f"get_{resource.method}_history", id)
        return answers.understood(documents.history, found.HistoryRecords or []) if found else []

    def attachments(self, kind: Kind, id: str) -> dict[str, str]:
        """The document itself names its files: the list of attachments would need a consent of its own."""
        resource = RESOURCES[kind]
        found = self._get(resource.plural, f"get_{resource.method}", id)
        document = (getattr(found, resource.plural) or [None])[0] if found else None
        files = answers.understood(documents.attached, document) if document else []
        return {
            answers.understood(documents.attachment_name, f): answers.understood(documents.attachment_id, f)
            for f in files
        }

    def deep_link(self, kind: Kind, id: str) -> str:
        """Xero's page of the record; it opens in the right organization once the facts are known."""
        path = _PAGES[kind] + id
        code = self._facts.short_code if self._facts else ""
        if not code:
            return self._web + path
        return f"{self._web}/organisationlogin/default.aspx?shortcode={code}&redirecturl={path}"

    def _get(self, name: str, method: str, id: str) -> shapes.Envelope | None:
        """One record by its id; None when Xero has none."""
        try:
            return ask(self._transport, name, method, id)
        except OutOfDate as problem:
            if problem.code == "NOT_FOUND":
                return None
            raise

    def _all(self, name: str, method: str, **query: Any) -> Iterator[msgspec.Raw]:
        return every_row(self._transport, name, method, **query)

    def _documents(self, found: Iterable[msgspec.Raw], read: ReadDocument) -> list[Document]:
        made = [answers.understood(read, row, self.deep_link) for row in found]
        return [self._named(document) for document in made if document]

    def _first(self, found: list[msgspec.Raw] | None, read: ReadDocument) -> Document | None:
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


def parts(items: list[Any], size: int) -> list[list[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


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


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
