"""A small ledger in memory that keeps real double entry, so that a test can see what a write did to the books.

It can be killed at any call, before or after the call took effect, drop the answer, forget its retry keys,
refuse, or be changed by somebody else. Amounts are minor units; debits positive.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from connector.domain.receivables import (
    Allocation,
    CreditNote,
    Customer,
    Document,
    Invoice,
    Kind,
    Line,
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

CLEARING = "1190"
HARBOR = Organization("books-1", "Harbor Supply", "US", "USD", "America/New_York")


class Killed(BaseException):
    """The worker is gone: nothing that would run after a kill -9 may run because of this."""


@dataclass
class FakeLedger:
    freezes_settled = False
    facts: Organization = HARBOR
    customers: dict[str, Customer] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)
    received: dict[str, Payment] = field(default_factory=dict)
    remarks: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    keys: dict[str, object] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    pay_links: dict[str, str] = field(default_factory=dict)  # by invoice
    fault_at: int | None = None  # the number of the call that goes wrong, counted from 0
    fault: str = ""  # killed_before | killed_after | dropped_before | dropped_after | limited
    refuse: dict[str, PlatformError] = field(default_factory=dict)  # by method name, until taken out
    after_call: Callable[[str], None] | None = None  # what else happens in the books after a call
    tax_surprise: int = 0  # tax that the ledger adds to new documents by itself
    frozen_dates: bool = False
    owed_without_credits: bool = False  # so `standing` takes it that nothing is unapplied
    unique_numbers: bool = True  # QuickBooks may be set to allow the same number twice

    # ---------------------------------------------------------------- the organization's own bookkeeping

    def an_invoice(
        self,
        id: str,
        customer_id: str,
        date: dt.date,
        due: dt.date,
        net: int,
        tax: int = 0,
        number: str = "",
        currency: str = "USD",
    ) -> Document:
        self.customers.setdefault(customer_id, Customer(customer_id, f"Customer {customer_id}"))
        self.documents[id] = Document(
            kind=Kind.INVOICE,
            id=id,
            number=number or id,
            customer_id=customer_id,
            date=date,
            due=due,
            currency=currency,
            total=net + tax,
            balance=net + tax,
            tax=tax,
            status=Status.OPEN,
            lines=(Line("Sales", "Goods", net, tax),),
            version="1",
        )
        return self.documents[id]

    def pay(self, invoice_id: str | None, amount: int, date: dt.date, customer_id: str = "") -> None:
        """A customer pays; without an invoice the money is unapplied."""
        id = f"p{len(self.received) + 1}"
        allocations: tuple[Allocation, ...] = ()
        if invoice_id:
            invoice = self.documents[invoice_id]
            customer_id = invoice.customer_id
            self._settle(invoice_id, amount, Link("payment", id, amount, id))
            allocations = (Allocation(invoice_id, amount, date),)
        unapplied = 0 if invoice_id else amount
        self.received[id] = Payment(id, customer_id, date, "USD", amount, unapplied, allocations)

    def trial_balance(self) -> dict[str, int]:
        """Accrual: every account, from the documents and payments as they stand."""
        accounts: Counter[str] = Counter()
        for d in self.documents.values():
            if d.status is Status.VOID:
                continue
            sign = 1 if d.kind is Kind.INVOICE else -1
            accounts["AR"] += sign * d.total
            accounts["Tax"] -= sign * d.tax
            for line in d.lines:
                accounts[line.account_id] -= sign * line.net
        for p in self.received.values():
            accounts["Bank"] += p.amount
            accounts["AR"] -= p.amount
        return {name: amount for name, amount in sorted(accounts.items()) if amount}

    def live(self, kind: Kind, marker: str = "") -> list[Document]:
        return [
            d
            for d in self.documents.values()
            if d.kind is kind and d.status is not Status.VOID and marker in d.marker
        ]

    def _settle(self, id: str, amount: int, link: Link) -> None:
        old = self.documents[id]
        if amount > old.balance:
            raise Refused("That is more than is open.", code="OVER_ALLOCATION")
        balance = old.balance - amount
        status = Status.PAID if not balance else Status.PARTLY_PAID
        self._keep(replace(old, balance=balance, status=status, links=(*old.links, link)))

    def _keep(self, document: Document) -> Document:
        version = str(int(document.version or "0") + 1)
        self.documents[document.id] = replace(document, version=version)
        return self.documents[document.id]

    # ---------------------------------------------------------------- faults

    def _call(self, name: str, do: Callable[[], object]) -> object:
        number = len(self.calls)
        self.calls.append(name)
        fault = self.fault if number == self.fault_at else ""
        if fault == "killed_before":
            raise Killed(name)
        if fault == "dropped_before":
            raise TryLater("The connection dropped.", uncertain=True)
        if fault == "limited":
            raise TryLater("Too many calls.", after=30)
        if name in self.refuse:
            raise self.refuse[name]
        answer = do()
        if self.after_call:
            self.after_call(name)
        if fault == "killed_after":
            raise Killed(name)
        if fault == "dropped_after":
            raise TryLater("The connection dropped.", uncertain=True)
        return answer

    def _once(self, key: str, do: Callable[[], object]) -> object:
        if key not in self.keys:
            self.keys[key] = do()
        return self.keys[key]

    # ---------------------------------------------------------------- the port

    def organization(self, *, reminders: bool = True) -> Organization:
        self._call("organization", lambda: None)
        return self.facts

    def pull(self, cursor: Cursor | None, kinds: frozenset[Kind] | None = None) -> Iterator[Batch]:
        self._call("pull", lambda: None)
        yield Batch(
            customers=tuple(self.customers.values()),
            invoices=tuple(_as_invoice(d) for d in self.documents.values() if d.kind is Kind.INVOICE),
            payments=tuple(self.received.values()),
            credits=tuple(_as_credit(d) for d in self.documents.values() if d.kind is Kind.CREDIT),
            cursor={"at": len(self.calls)},
            complete=frozenset(Kind),
        )

    def document(self, kind: Kind, id: str) -> Document | None:
        self._call("document", lambda: None)
        return self.documents.get(id)

    def find(self, kind: Kind, numbers: Sequence[str]) -> list[Document]:
        self._call("find", lambda: None)
        return [d for d in self.live(kind) if d.number in numbers]

    def find_together(
        self, customer_id: str, numbers: Mapping[Kind, Sequence[str]], made: Sequence[Document] = ()
    ) -> list[Document]:
        self._call("find_together", lambda: None)
        return [d for kind, given in numbers.items() for d in self.live(kind) if d.number in given]

    def standing(
        self, customer_id: str, invoices: Mapping[str, str], numbers: Mapping[Kind, Sequence[str]]
    ) -> Standing:
        """One call; whatever refuses `organization` or `customer_money` refuses it too."""
        for part in ("organization", "customer_money"):
            if part in self.refuse:
                raise self.refuse[part]
        self._call("standing", lambda: None)
        mine = [
            d for d in self.documents.values() if d.customer_id == customer_id and d.status is not Status.VOID
        ]
        money = () if self.owed_without_credits else tuple(self.received.values())
        credits = [d for d in mine if d.kind is Kind.CREDIT and d.balance and not self.owed_without_credits]
        return Standing(
            self.facts,
            tuple(self.documents[id] for id in invoices if id in self.documents),
            tuple(p for p in money if p.customer_id == customer_id and p.unapplied and p.flavor != "journal"),
            tuple(map(_as_credit, credits)),
            frozenset(
                (kind, d.number)
                for kind, given in numbers.items()
                for d in self.live(kind)
                if d.number in given
            ),
        )

    def customer(self, id: str) -> Customer | None:
        self._call("customer", lambda: None)
        return self.customers.get(id)

    def pay_link(self, invoice_id: str) -> str:
        return str(self._call("pay_link", lambda: self.pay_links.get(invoice_id, "")))

    def customer_money(
        self, id: str, *, invoices: bool = True
    ) -> tuple[list[Invoice], list[Payment], list[CreditNote]]:
        self._call("customer_money", lambda: None)
        mine = [d for d in self.documents.values() if d.customer_id == id and d.status is not Status.VOID]
        return (
            [_as_invoice(d) for d in mine if d.kind is Kind.INVOICE and d.balance],
            [
                p
                for p in self.received.values()
                if p.customer_id == id and p.unapplied and p.flavor != "journal"
            ],
            [_as_credit(d) for d in mine if d.kind is Kind.CREDIT and d.balance],
        )

    def open_invoices(self) -> dict[str, dict[str, int]]:
        self._call("open_invoices", lambda: None)
        found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for d in self.documents.values():
            if d.kind is Kind.INVOICE and d.status is not Status.VOID and d.balance:
                found[d.customer_id][d.currency] += 1
        return found

    def balances(self) -> dict[str, dict[str, int]]:
        self._call("balances", lambda: None)
        found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for d in self.documents.values():
            if d.status is not Status.VOID:
                found[d.customer_id][d.currency] += d.balance if d.kind is Kind.INVOICE else -d.balance
        for p in self.received.values():
            found[p.customer_id][p.currency] -= p.unapplied
        return {customer: dict(by_currency) for customer, by_currency in found.items()}

    def accounts(self) -> list[Account]:
        self._call("accounts", lambda: None)
        return [Account("1190", CLEARING, "Payment plan clearing", "CURRENT", True)]

    def clearing(self, account: str | None, today: dt.date, known: Clearing | None = None) -> Clearing:
        self._call("clearing", lambda: None)
        return Clearing("1190", CLEARING, "Payment plan clearing")

    def create_credit(self, draft: CreditDraft, key: str) -> Document:
        def create() -> Document:
            self._number_free(Kind.CREDIT, draft.number)
            return self._create(draft, Kind.CREDIT, None)

        answer = self._call("create_credit", lambda: self._once(key, create))
        assert isinstance(answer, Document)
        return self.documents[answer.id]

    def create_invoices(self, drafts: Sequence[InvoiceDraft], key: str) -> list[Document | PlatformError]:
        assert len(key) <= 50

        def one(draft: InvoiceDraft) -> Document | PlatformError:
            try:
                self._number_free(Kind.INVOICE, draft.number)
                if error := self.refuse.get(draft.number):
                    raise error
                return self._create(draft, Kind.INVOICE, draft.due)
            except PlatformError as error:
                return error

        answer = self._call("create_invoices", lambda: self._once(key, lambda: [one(d) for d in drafts]))
        assert isinstance(answer, list)
        return answer

    def _number_free(self, kind: Kind, number: str) -> None:
        if self.unique_numbers and any(d.number == number for d in self.live(kind)):
            raise OutOfDate("A document with this number exists.", code="DUPLICATE")

    def _create(self, draft: CreditDraft | InvoiceDraft, kind: Kind, due: dt.date | None) -> Document:
        closed = self.facts.closed_until
        if closed and draft.date <= closed:
            raise Refused("The books are closed.", code="PERIOD_LOCKED", words="account period has closed")
        document = Document(
            kind=kind,
            id=f"{kind[0]}{len(self.documents) + 1}",
            number=draft.number,
            customer_id=draft.customer_id,
            date=draft.date,
            due=due,
            currency=draft.currency,
            total=draft.amount + self.tax_surprise,
            balance=draft.amount + self.tax_surprise,
            tax=self.tax_surprise,
            status=Status.OPEN,
            lines=(Line(draft.account_id, draft.description, draft.amount, self.tax_surprise),),
            marker=draft.marker,
            version="0",
        )
        return self._keep(document)

    def link(self, draft: LinkDraft, key: str) -> str:
        def create() -> str:
            link_id = f"l{len(self.keys) + 1}"
            credit = self.documents[draft.credit_id]
            if draft.amount > credit.balance:
                raise Refused("The credit is used up.", code="OVER_ALLOCATION")
            self._settle(
                draft.invoice_id, draft.amount, Link("credit", draft.credit_id, draft.amount, link_id)
            )
            self._settle(
                draft.credit_id, draft.amount, Link("invoice", draft.invoice_id, draft.amount, link_id)
            )
            return link_id

        answer = self._call("link", lambda: self._once(key, create))
        assert isinstance(answer, str)
        return answer

    def add_note(self, draft: NoteDraft, key: str) -> str:
        def add() -> None:
            self.remarks[draft.document_id].append(draft.text)
            self._keep(self.documents[draft.document_id])

        self._call("add_note", add)  # like Xero's history: no retry key protects it
        return f"n{len(self.remarks[draft.document_id])}"

    def notes(self, kind: Kind, id: str) -> list[str]:
        self._call("notes", lambda: None)
        return list(self.remarks[id])

    def attach(self, draft: AttachmentDraft, key: str) -> str:
        self._call("attach", lambda: None)
        return "a1"

    def attachments(self, kind: Kind, id: str) -> dict[str, str]:
        return {}

    def move_due_date(self, draft: DueDateDraft, key: str) -> Document:
        def move() -> None:
            old = self.documents[draft.invoice_id]
            if draft.version != old.version:
                raise OutOfDate("Somebody changed the invoice.", code="STALE")
            if self.frozen_dates and old.links:
                raise Refused("The ledger does not let an app edit this.", code="DOC_HAS_ALLOCATIONS")
            self._keep(replace(old, due=draft.due))

        self._call("move_due_date", move)
        return self.documents[draft.invoice_id]

    def send(self, draft: SendDraft, key: str) -> None:
        self._call("send", lambda: None)

    def remove(self, draft: RemoveDraft, key: str) -> None:
        self._call("remove", lambda: self._remove(draft))

    def _remove(self, draft: RemoveDraft) -> None:
        if draft.what == "link":
            for id, other in ((draft.document_id, draft.credit_id), (draft.credit_id, draft.document_id)):
                old = self.documents[id]
                gone = sum(x.amount for x in old.links if x.link_id == draft.link_id)
                links = tuple(x for x in old.links if x.link_id != draft.link_id)
                balance = old.balance + gone
                status = Status.OPEN if balance == old.total else Status.PARTLY_PAID
                self._keep(replace(old, balance=balance, status=status, links=links))
                assert other
            return
        old = self.documents[draft.document_id]
        closed = self.facts.closed_until
        if closed and old.date <= closed:
            raise Refused("The books are closed.", code="PERIOD_LOCKED")
        if old.links:
            raise Refused("Money is set against it.", code="DOC_HAS_ALLOCATIONS")
        self._keep(replace(old, status=Status.VOID, balance=0))

    def deep_link(self, kind: Kind, id: str) -> str:
        return f"https://ledger.example/{kind}/{id}"


def _as_invoice(d: Document) -> Invoice:
    return Invoice(
        id=d.id,
        number=d.number,
        customer_id=d.customer_id,
        date=d.date,
        due=d.due or d.date,
        currency=d.currency,
        total=d.total,
        balance=d.balance,
        status=d.status,
        tax=d.tax,
        marker=d.marker,
        version=d.version,
    )


def _as_credit(d: Document) -> CreditNote:
    allocations = tuple(Allocation(x.id, x.amount, d.date, x.link_id) for x in d.links)
    return CreditNote(
        d.id,
        d.number,
        d.customer_id,
        d.date,
        d.currency,
        d.total,
        d.balance,
        allocations,
        d.status is Status.VOID,
        d.marker,
        d.version,
    )
