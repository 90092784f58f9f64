"""What is asked of one QuickBooks company's books."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import wraps
from typing import ParamSpec, TypeVar

from adapters.quickbooks import bodies, clearing, facts, faults, rows, settlement, translate
from adapters.quickbooks.pull import ODD, Puller
from adapters.quickbooks.transport import Json, Transport
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
from connector.platforms import Account, Batch, Cursor, OutOfDate, Refused, Standing

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


class QuickBooksReading:
    """The half of `connector.platforms.Ledger` that only reads. Not shared between threads."""

    def __init__(self, transport: Transport, realm: str, address: Callable[[str, str], str]) -> None:
        """`address`: the page of an entity and id in QuickBooks, "" where none is known."""
        self._transport, self._realm, self._address = transport, realm, address
        self._home = ""
        self._facts: Organization | None = None
        self._accounts_of_items: dict[str, tuple[str, str]] = {}  # item → account, its name
        self._days_of_terms: dict[str, int] | None = None  # of all terms, once a customer with one was read
        self._sources: dict[str, Json] = {}
        self._pair: clearing.Pair | None = None  # what `standing` read, for the question that follows it

    @_understood
    def organization(self, *, reminders: bool = True) -> Organization:
        company = record_in(self._transport.get("CompanyInfo", self._realm), "CompanyInfo")
        preferences = record_in(self._transport.get("Preferences"), "Preferences")
        return self._organization(company, preferences)

    def _organization(self, company: Json, preferences: Json) -> Organization:
        found = facts.organization(self._realm, company, preferences)
        self._home, self._facts = found.home_currency, found
        return found

    def home(self) -> str:
        """The company's own currency, asked once."""
        if not self._home:
            preferences = record_in(self._transport.get("Preferences"), "Preferences")
            try:
                self._home = facts.home_currency(preferences, "")
            except ValueError:  # QuickBooks names it only where several currencies are in use
                self._home = self.organization().home_currency
        return self._home

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
        found = rows.by_ids(self._transport, bodies.ENTITIES[kind], field, list(dict.fromkeys(numbers)))
        documents = [self._document(kind, raw) for raw in found]
        return [d for d in documents if d.status is not Status.VOID]

    @_understood
    def find_together(
        self, customer_id: str, numbers: Mapping[Kind, Sequence[str]], made: Sequence[Document] = ()
    ) -> list[Document]:
        """The customer's payments come with them: they alone say what is set against what. One call for all."""
        wanted = {kind: list(dict.fromkeys(given)) for kind, given in numbers.items() if given}
        questions = [
            (bodies.ENTITIES[kind], rows.any_of("DocNumber", given)) for kind, given in wanted.items()
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
                *((bodies.ENTITIES[kind], rows.any_of("DocNumber", given)) for kind, given in wanted.items()),
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
        if self._days_of_terms is None and translate.ref(raw, "SalesTermRef"):
            self._days_of_terms = translate.days_of_terms(list(self._all("Term")))
        return translate.customer(raw, self._currency(raw), self._days_of_terms or {}, with_balance=True)

    @_understood
    def customer_money(
        self, id: str, *, invoices: bool = True
    ) -> tuple[list[Invoice], list[Payment], list[CreditNote]]:
        """One batch of queries.

        Credit that stands in a journal entry or deposit cannot be asked for by customer: a pull brings it.
        """
        _, theirs = _of_customer("Invoice", id)
        questions = [_of_customer("Payment", id), _of_customer("CreditMemo", id)]
        if invoices:
            questions.append(("Invoice", f"{theirs} AND Balance > '0'"))
        payments, credits, *open_ = rows.several(self._transport, questions)
        found = [translate.invoice(raw, self._currency(raw)) for given in open_ for raw in given]
        return found, *self._open_money(payments, credits)

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

    def notes(self, kind: Kind, id: str) -> list[str]:
        found = sorted(self._attachables(kind, id), key=bodies.created)
        return [note for raw in found if (note := translate.text(raw, "Note"))]

    def attachments(self, kind: Kind, id: str) -> dict[str, str]:
        files = (
            (translate.text(raw, "FileName"), translate.id_of(raw)) for raw in self._attachables(kind, id)
        )
        return {name: own for name, own in files if name}

    def _attachables(self, kind: Kind, id: str) -> Iterator[Json]:
        entity = bodies.ENTITIES[kind]
        return self._all(
            "Attachable",
            f"AttachableRef.EntityRef.Type = {rows.quoted(entity)}"
            f" AND AttachableRef.EntityRef.value = {rows.quoted(id)}",
        )

    def deep_link(self, kind: Kind, id: str) -> str:
        entity, _, own = id.rpartition(":")
        return self._address(entity or bodies.ENTITIES[kind], own.split("/")[0])

    def _all(self, entity: str, where: str = "") -> Iterator[Json]:
        for page in rows.pages(self._transport, entity, where):
            yield from page

    def _read(self, kind: Kind, id: str) -> Json | None:
        """One record as QuickBooks has it now; None when it is deleted or was never there."""
        entity, _, own = id.rpartition(":")
        entity = entity or bodies.ENTITIES[kind]
        try:
            raw = record_in(self._transport.get(entity, own.split("/")[0]), entity)
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


def _of_customer(entity: str, customer_id: str) -> tuple[str, str]:
    return entity, f"CustomerRef = {rows.quoted(customer_id)}"


def record_in(answer: Json, name: str) -> Json:
    found = answer.get(name)
    if not isinstance(found, dict):
        raise faults.unusable(f"answer without {name}", writes=name not in ("CompanyInfo", "Preferences"))
    return found
