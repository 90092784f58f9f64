"""One QuickBooks company's books, opened: every question and write of the port.

A write's answer carries the whole object, so nothing is read again unless the answer lacks what is asked.
Each create, update and delete carries a `requestid`: QuickBooks replays its first answer for the same one.
"""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from functools import wraps
from typing import ParamSpec, TypeVar

from adapters.quickbooks import clearing, drafts, facts, faults, rows, settlement, translate
from adapters.quickbooks.pull import ODD, Puller
from adapters.quickbooks.retry_key import request_id
from adapters.quickbooks.transport import BATCH_REQUEST_ID, Json, Transport, item_error
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
)

BATCH = 30  # operations in one call

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _understood(read: Callable[_P, _R]) -> Callable[_P, _R]:
    """Of a record that was asked for by name: here a guess is worse than an error."""

    @wraps(read)
    def asked(*given: _P.args, **named: _P.kwargs) -> _R:
        try:
            return read(*given, **named)
        except ODD as problem:
            raise Refused(
                "QuickBooks answered a record that Forbear cannot read. Please report this.",
                code="UNREADABLE_RECORD",
                words=faults.scrub(str(problem)),
            ) from None

    return asked


class QuickBooksLedger:
    """See `connector.platforms.Ledger`. Not shared between threads."""

    freezes_settled = False

    def __init__(self, transport: Transport, realm: str, address: Callable[[str, str], str]) -> None:
        """`address`: the page of an entity and id in QuickBooks, "" where none is known."""
        self._transport, self._realm, self._address = transport, realm, address
        self._home = ""
        self._facts: Organization | None = None
        self._accounts_of_items: dict[str, tuple[str, str]] = {}  # item → account, its name
        self._sources: dict[str, Json] = {}
        self._pair: clearing.Pair | None = None  # what `standing` read, for the question that follows it

    # Facts

    @_understood
    def organization(self, *, reminders: bool = True) -> Organization:
        company = _entity(self._transport.get("CompanyInfo", self._realm), "CompanyInfo")
        preferences = _entity(self._transport.get("Preferences"), "Preferences")
        return self._organization(company, preferences)

    def _organization(self, company: Json, preferences: Json) -> Organization:
        found = facts.organization(self._realm, company, preferences)
        self._home, self._facts = found.home_currency, found
        return found

    def home(self) -> str:
        """The company's own currency, asked once."""
        if not self._home:
            preferences = _entity(self._transport.get("Preferences"), "Preferences")
            try:
                self._home = facts.home_currency(preferences, "")
            except ValueError:  # QuickBooks names it only where several currencies are in use
                self._home = self.organization().home_currency
        return self._home

    # Reading

    def pull(self, cursor: Cursor | None, kinds: frozenset[Kind] | None = None) -> Iterator[Batch]:
        puller = Puller(self._transport, self.home, cursor, kinds)
        self._home = puller.home  # a document that is read next needs it
        yield from puller.run()

    @_understood
    def document(self, kind: Kind, id: str) -> Document | None:
        raw = self._read(kind, id)
        return None if raw is None else self._document(kind, raw)

    @_understood
    def find(self, kind: Kind, numbers: Sequence[str]) -> list[Document]:
        field = "PaymentRefNum" if kind is Kind.PAYMENT else "DocNumber"
        found = rows.by_ids(self._transport, drafts.ENTITIES[kind], field, list(dict.fromkeys(numbers)))
        documents = [self._document(kind, raw) for raw in found]
        return [d for d in documents if d.status is not Status.VOID]

    @_understood
    def find_together(
        self, customer_id: str, numbers: Mapping[Kind, Sequence[str]], made: Sequence[Document] = ()
    ) -> list[Document]:
        """The customer's payments come with them: they alone say what is set against what. One call for all."""
        wanted = {kind: list(dict.fromkeys(given)) for kind, given in numbers.items() if given}
        questions = [
            (drafts.ENTITIES[kind], rows.any_of("DocNumber", given)) for kind, given in wanted.items()
        ]
        *found, payments = rows.several(self._transport, [*questions, _of_customer("Payment", customer_id)])
        documents = [
            self._document(kind, raw, payments)
            for kind, each in zip(wanted, found, strict=True)
            for raw in each
        ]
        return [d for d in documents if d.status is not Status.VOID]

    @_understood
    def standing(
        self, customer_id: str, invoices: Mapping[str, str], numbers: Mapping[Kind, Sequence[str]]
    ) -> Standing:
        """One batch of queries. It also brings the clearing account and item, for `clearing`."""
        wanted = {kind: list(dict.fromkeys(given)) for kind, given in numbers.items() if given}
        companies, preferences, sources, payments, credits, accounts, items, *bearing = rows.several(
            self._transport,
            [
                ("CompanyInfo", ""),
                ("Preferences", ""),
                ("Invoice", rows.any_of("Id", list(invoices))),
                _of_customer("Payment", customer_id),
                _of_customer("CreditMemo", customer_id),
                *clearing.QUESTIONS,
                *((drafts.ENTITIES[kind], rows.any_of("DocNumber", given)) for kind, given in wanted.items()),
            ],
        )
        told = companies and preferences
        organization = self._organization(companies[0], preferences[0]) if told else self.organization()
        self._pair = clearing.Pair(accounts, items)
        self._sources |= {translate.id_of(raw): raw for raw in sources}
        taken = {
            (kind, document.number)
            for kind, found in zip(wanted, bearing, strict=True)
            for raw in found
            if (document := self._document(kind, raw, payments)).status is not Status.VOID
        }
        money, open_credits = self._open_money(payments, credits)
        return Standing(
            organization,
            tuple(self._document(Kind.INVOICE, raw, payments) for raw in sources),
            tuple(money),
            tuple(open_credits),
            frozenset(taken),
        )

    @_understood
    def customer(self, id: str) -> Customer | None:
        raw = self._read(Kind.CUSTOMER, id)
        if raw is None:
            return None
        days = self._terms_of(raw)
        return translate.customer(raw, self._currency(raw), days, with_balance=True)

    def _terms_of(self, raw: Json) -> dict[str, int]:
        term = translate.ref(raw, "SalesTermRef")
        found = rows.by_ids(self._transport, "Term", "Id", [term]) if term else []
        return translate.days_of_terms(found)

    @_understood
    def customer_money(
        self, id: str, *, invoices: bool = True
    ) -> tuple[list[Invoice], list[Payment], list[CreditNote]]:
        """Open invoices, unapplied payments and open credit memos; a call for each.

        Credit that stands in a journal entry or deposit cannot be asked for by customer: a pull brings it.
        """
        _, of_customer = _of_customer("Invoice", id)
        open_ = self._all("Invoice", f"{of_customer} AND Balance > '0'") if invoices else ()
        found = [translate.invoice(raw, self._currency(raw)) for raw in open_]
        return found, *self._open_money(
            self._all("Payment", of_customer), self._all("CreditMemo", of_customer)
        )

    def _open_money(
        self, payments_: Iterable[Json], credits_: Iterable[Json]
    ) -> tuple[list[Payment], list[CreditNote]]:
        """What of one customer's payments and credit memos is set against nothing yet."""
        joined = settlement.Joined()
        payments: list[Payment] = []
        for raw in payments_:
            settled = settlement.settlement(raw, self._currency(raw))
            joined.add(raw, settled)
            payment = translate.payment(raw, self._currency(raw), settled.money)
            if payment and payment.unapplied:
                payments.append(payment)
        credits = [
            translate.credit(raw, self._currency(raw), joined.of_credit(translate.id_of(raw)))
            for raw in credits_
        ]
        return payments, [c for c in credits if c.remaining]

    def pay_link(self, invoice_id: str) -> str:
        found = self._transport.get("Invoice", invoice_id, include="invoiceLink")
        return translate.inner(found, "Invoice", "InvoiceLink")

    def balances(self) -> dict[str, dict[str, int]]:
        home = self.home()
        found: dict[str, dict[str, int]] = {}
        for raw in self._all("Customer"):
            with suppress(*ODD):  # what cannot be read, the pull sets aside, and ours has no equal here
                customer = translate.customer(raw, home, {}, with_balance=True)
                if customer.ledger_balance is not None:
                    found[customer.id] = customer.ledger_balance
        return found

    def open_invoices(self) -> dict[str, dict[str, int]]:
        """A call for every thousand that are open. A count(*) alone could not name the customer."""
        found: dict[str, dict[str, int]] = {}
        home = self.home()
        seen = set()  # one may come twice when rows move between two pages
        for raw in self._all("Invoice", "Balance > '0'"):
            with suppress(*ODD):
                invoice = translate.invoice(raw, home)
                if invoice.id not in seen:
                    seen.add(invoice.id)
                    counts = found.setdefault(invoice.customer_id, {})
                    counts[invoice.currency] = counts.get(invoice.currency, 0) + 1
        return found

    @_understood
    def accounts(self) -> list[Account]:
        home = self.home()
        return [facts.account(raw, home) for raw in self._all("Account")]

    def _all(self, entity: str, where: str = "") -> Iterator[Json]:
        for page in rows.pages(self._transport, entity, where):
            yield from page

    def _read(self, kind: Kind, id: str) -> Json | None:
        """One record as QuickBooks has it now; None when it is deleted or was never there."""
        entity, _, own = id.rpartition(":")
        entity = entity or drafts.ENTITIES[kind]
        try:
            raw = _entity(self._transport.get(entity, own.split("/")[0]), entity)
        except OutOfDate:
            return None
        if translate.is_deleted(raw):
            return None
        if kind is Kind.INVOICE and ":" not in id:
            self._sources[id] = raw
        return raw

    def _currency(self, raw: Mapping[str, object]) -> str:
        return translate.ref(raw, "CurrencyRef") or self.home()

    def _document(self, kind: Kind, raw: Json, payments: Sequence[Json] = ()) -> Document:
        """`payments`: those of its customer, where they were just read."""
        currency = self._currency(raw)
        return translate.document(
            kind,
            raw,
            self._home or currency,
            self._links(kind, raw, currency, payments),
            self._accounts_behind(raw),
            self.deep_link(kind, translate.id_of(raw)),
        )

    def _links(self, kind: Kind, raw: Json, home: str, known: Sequence[Json]) -> list[Link]:
        id = translate.id_of(raw)
        if kind is Kind.PAYMENT:
            return settlement.links_of_payment(raw, home)
        if kind is Kind.INVOICE:
            ids = settlement.linked_payments(raw)
            payments = [payment for payment in known if translate.id_of(payment) in ids]
            others = sorted(set(ids) - {translate.id_of(payment) for payment in payments})
            payments += rows.by_ids(self._transport, "Payment", "Id", others)
            return settlement.links_of_invoice(id, payments, home)
        if not translate.is_applied(raw):
            return []
        theirs = known or self._all(*_of_customer("Payment", translate.customer_id(raw)))
        return settlement.links_of_credit(id, theirs, home)

    def _accounts_behind(self, raw: Json) -> dict[str, tuple[str, str]]:
        """Where the items of a document post, for lines whose answer does not name the account."""
        unknown = sorted(translate.items_without_account(raw) - set(self._accounts_of_items))
        for item in rows.by_ids(self._transport, "Item", "Id", unknown):
            behind = translate.reference(item, "IncomeAccountRef")
            self._accounts_of_items[translate.id_of(item)] = behind
        return self._accounts_of_items

    # Writing

    def clearing(self, account: str | None, today: date, known: Clearing | None = None) -> Clearing:
        """`standing` brought account and item along, so they are looked at again."""
        organization = self._facts or self.organization()
        pair, self._pair = self._pair, None  # it answers once: what is made meanwhile must be seen
        return clearing.find_or_create(self._transport, account, organization, today, pair)

    def create_credit(self, draft: CreditDraft, key: str) -> Document:
        source = self._source(draft.source_invoice_id)
        body = drafts.credit_memo(draft, source, self._beside_tax(draft, source))
        answer = self._transport.create("CreditMemo", body, request_id(key))
        return self._written(Kind.CREDIT, answer)

    def _beside_tax(self, draft: CreditDraft, source: Json) -> str:
        """The tax code for the untaxed part of a credit that takes back a share of tax; "" where it has none.

        QuickBooks computes tax itself: the tax of a whole invoice comes back the same, a share is worked out
        from the invoice's own rates. Raises Refused where they do not allow that.
        """
        if not draft.tax or drafts.returns(draft, source):
            return ""
        taxed = drafts.taxed_part(draft, source)
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

    def create_invoices(self, drafts_: Sequence[InvoiceDraft], key: str) -> list[Document | PlatformError]:
        if len(drafts_) == 1:
            one = request_id(key, drafts_[0].number)
            try:
                answer = self._transport.create("Invoice", self._invoice(drafts_[0]), one)
            except (Refused, OutOfDate) as problem:
                return [problem]
            return [self._written(Kind.INVOICE, answer)]
        outcomes: list[Document | PlatformError] = []
        for n in range(0, len(drafts_), BATCH):
            part = drafts_[n : n + BATCH]
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
        return drafts.invoice(draft, self._source(draft.source_invoice_id))

    def _source(self, invoice_id: str) -> Json:
        """The invoice that a plan is for, read once; {} when it is gone."""
        if invoice_id and invoice_id not in self._sources:
            self._sources[invoice_id] = self._read(Kind.INVOICE, invoice_id) or {}
        return self._sources.get(invoice_id, {})

    def _written(self, kind: Kind, answer: Json) -> Document:
        try:
            return self._document(kind, _entity(answer, drafts.ENTITIES[kind]))
        except ODD:
            raise faults.unusable(f"{kind} answer", writes=True) from None

    def link(self, draft: LinkDraft, key: str) -> str:
        body = drafts.link(draft, self._source(draft.invoice_id))
        answer = self._transport.create("Payment", body, request_id(key))
        return _made(answer, "Payment")

    def add_note(self, draft: NoteDraft, key: str) -> str:
        answer = self._transport.create("Attachable", drafts.note(draft), request_id(key))
        return _made(answer, "Attachable")

    def notes(self, kind: Kind, id: str) -> list[str]:
        found = sorted(self._attachables(kind, id), key=drafts.created)
        return [note for raw in found if (note := translate.text(raw, "Note"))]

    def _attachables(self, kind: Kind, id: str) -> Iterator[Json]:
        entity = drafts.ENTITIES[kind]
        return self._all(
            "Attachable",
            f"AttachableRef.EntityRef.Type = {rows.quoted(entity)}"
            f" AND AttachableRef.EntityRef.value = {rows.quoted(id)}",
        )

    def attach(self, draft: AttachmentDraft, key: str) -> str:
        content_type = mimetypes.guess_type(draft.filename)[0] or "application/octet-stream"
        answer = self._transport.upload(
            drafts.attachment(draft, content_type),
            draft.filename,
            base64.b64decode(draft.content),
            content_type,
            request_id(key),
        )
        given = answer.get("AttachableResponse")
        if not isinstance(given, list) or not given:
            raise faults.unusable("upload without answer", writes=True)
        return _made(given[0], "Attachable")

    def attachments(self, kind: Kind, id: str) -> dict[str, str]:
        files = (
            (translate.text(raw, "FileName"), translate.id_of(raw)) for raw in self._attachables(kind, id)
        )
        return {name: own for name, own in files if name}

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
        body = drafts.due_date(raw, draft.due.isoformat(), draft.note)
        moved = self._written(Kind.INVOICE, self._transport.update("Invoice", body, request_id(key)))
        if moved.due != draft.due:  # seen in closed periods: success is answered, and nothing happens
            raise Refused(
                "QuickBooks answered without moving the due date; the invoice's period is probably closed. "
                "Keep the new date as a note instead.",
                code="6210",
            )
        return moved

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
        self._transport.delete("Payment", drafts.version(raw), request_id(key))

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
        body = drafts.version(raw)
        answer = self._transport.update("Invoice", body, request_id(key), operation="void")
        if not translate.is_void(_entity(answer, "Invoice")):  # a wrong void can look like success
            raise faults.unusable("invoice not voided", writes=True)

    def _delete_credit(self, draft: RemoveDraft, key: str) -> None:
        raw = self._read(Kind.CREDIT, draft.document_id)
        if raw is None:
            return
        _must_be_ours(raw)
        answer = self._transport.delete("CreditMemo", drafts.version(raw), request_id(key))
        if not translate.is_deleted(_entity(answer, "CreditMemo")):
            raise faults.unusable("credit memo not deleted", writes=True)

    def _must_read(self, kind: Kind, id: str) -> Json:
        raw = self._read(kind, id)
        if raw is None:
            raise OutOfDate("This was deleted in QuickBooks. Look at the plan again.", code="610")
        return raw

    def deep_link(self, kind: Kind, id: str) -> str:
        entity, _, own = id.rpartition(":")
        return self._address(entity or drafts.ENTITIES[kind], own.split("/")[0])


def _of_customer(entity: str, customer_id: str) -> tuple[str, str]:
    return entity, f"CustomerRef = {rows.quoted(customer_id)}"


def _entity(answer: Json, name: str) -> Json:
    found = answer.get(name)
    if not isinstance(found, dict):
        raise faults.unusable(f"answer without {name}", writes=name not in ("CompanyInfo", "Preferences"))
    return found


def _made(answer: Json, name: str) -> str:
    """The id of what a write made. Without one nobody knows what happened."""
    try:
        return translate.id_of(_entity(answer, name))
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
