"""What one company's books hold and how it is found again: tables, indexes, balances, history, stamps, listeners."""

from __future__ import annotations

import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any, TypeVar

from sandbox.clock import Clock
from sandbox.documents import (
    Account,
    Advance,
    Allocation,
    Attachment,
    CreditNote,
    Customer,
    Deletion,
    Deposit,
    Invoice,
    Item,
    Journal,
    Note,
    Payment,
    Record,
    Ref,
    Refund,
    Sale,
    TaxCode,
)
from sandbox.organization import Organization
from sandbox.refusals import (
    StaleVersion,
    UnknownAccount,
)
from sandbox.tables import Table

Listener = Callable[[Organization, str, str, str], None]  # (organization, kind, id, verb)
LIST_KINDS = frozenset({"customer", "account", "item", "tax_code", "attachment"})
T = TypeVar("T")


class Holdings:
    """The reading half of a ledger, and the filing that its writing half relies on."""

    def __init__(self, organization: Organization, clock: Clock) -> None:
        self.organization = organization
        self.clock = clock
        self.lock = threading.RLock()
        self.listeners: list[Listener] = []
        self.customers: Table[Customer] = Table("customer")
        self.accounts: Table[Account] = Table("account")
        self.items: Table[Item] = Table("item")
        self.tax_codes: Table[TaxCode] = Table("tax_code")
        self.invoices: Table[Invoice] = Table("invoice")
        self.credit_notes: Table[CreditNote] = Table("credit_note")
        self.payments: Table[Payment] = Table("payment")
        self.advances: Table[Advance] = Table("advance")
        self.refunds: Table[Refund] = Table("refund")
        self.deposits: Table[Deposit] = Table("deposit")
        self.journals: Table[Journal] = Table("journal")
        self.attachments: Table[Attachment] = Table("attachment")
        self._tables: dict[str, Table[Any]] = {t.kind: t for t in vars(self).values() if isinstance(t, Table)}
        self.allocations: dict[str, Allocation] = {}
        self.deletions: list[Deletion] = []
        self.revision = 0  # rises with every change: reports are cached against it
        self.revision_cache: dict[Any, tuple[int, Any]] = {}
        self._notes: dict[Ref, list[Note]] = defaultdict(list)
        self._counters: dict[str, int] = defaultdict(int)
        self._numbers: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._names: dict[str, str] = {}
        self._roles: dict[str, str] = {}
        self._by_customer: dict[str, dict[Ref, None]] = defaultdict(dict)
        self._by_source: dict[Ref, dict[str, Allocation]] = defaultdict(dict)
        self._by_target: dict[Ref, dict[str, Allocation]] = defaultdict(dict)
        self._by_via: dict[str, dict[str, Allocation]] = defaultdict(dict)
        self._balances: dict[str, dict[str, int]] = defaultdict(dict)
        self._stamp: datetime | None = None
        self._muted = False

    def table(self, kind: str) -> Table[Any]:
        """The table of a kind: table("invoice") is `invoices`."""
        return self._tables[kind]

    def find(self, ref: Ref) -> Any:
        """The record. Raises NotFound."""
        return self.table(ref.kind)[ref.id]

    def today(self) -> date:
        """Today in the organization's time zone."""
        return self.clock.today(self.organization.timezone)

    def balance(self, customer: str, currency: str = "") -> int:
        """What the customer owes in one currency (default home), net of unapplied money and credits."""
        return self._balances.get(customer, {}).get(currency or self.organization.home_currency, 0)

    def balances(self, customer: str) -> dict[str, int]:
        """Currency → what the customer owes, net; currencies that are settled are left out."""
        return {c: owed for c, owed in self._balances.get(customer, {}).items() if owed}

    def children(self, customer: str) -> list[str]:
        """Ids of its sub-customers."""
        return self.cached("children", self._families).get(customer, [])

    def family_balance(self, customer: str, currency: str = "") -> int:
        """With sub-customers (QuickBooks' BalanceWithJobs)."""
        owed = self.balance(customer, currency)
        return owed + sum(self.family_balance(child, currency) for child in self.children(customer))

    def cached(self, key: Any, build: Callable[[], T]) -> T:
        """What `build` gives, kept until the books change. Do not change it."""
        with self.lock:
            found = self.revision_cache.get(key)
            if found is None or found[0] != self.revision:
                found = (self.revision, build())
                self.revision_cache[key] = found
            kept: T = found[1]
            return kept

    def documents_of(self, customer: str, *kinds: str) -> list[Any]:
        """The customer's documents, in order of entry; of these kinds, or all that touch receivables."""
        refs = self._by_customer.get(customer, {})
        return [self.find(ref) for ref in refs if not kinds or ref.kind in kinds]

    def by_number(self, kind: str, number: str) -> list[Any]:
        """Invoices or credit notes with this number, void and deleted ones included; often one, or none."""
        table = self.table(kind)
        return [table[id] for id in self._numbers.get((kind, number), []) if id in table]

    def account_by_role(self, role: str) -> Account:
        """The account the ledger posts to for a role (see Account). Raises UnknownAccount."""
        if role not in self._roles:
            raise UnknownAccount(f"There is no account with the role {role}.", account=role)
        return self.accounts[self._roles[role]]

    def account_by_code(self, code: str) -> Account | None:
        """Xero names accounts by code."""
        return next((a for a in self.accounts if a.code == code and code), None)

    def customer_by_name(self, name: str) -> Customer | None:
        """The active customer of this name, ignoring case."""
        id = self._names.get(name.strip().casefold())
        return self.customers[id] if id else None

    def allocations_from(self, source: Ref) -> list[Allocation]:
        """Where a payment, credit note, advance or journal went, oldest first."""
        return list(self._by_source.get(source, {}).values())

    def allocations_to(self, target: Ref) -> list[Allocation]:
        """What settled an invoice (or journal), oldest first."""
        return list(self._by_target.get(target, {}).values())

    def allocations_via(self, payment: str) -> list[Allocation]:
        """All allocations a QuickBooks payment made, its own money and the credits it bridges."""
        return list(self._by_via.get(payment, {}).values())

    def notes(self, ref: Ref) -> list[Note]:
        """History of a record, oldest first."""
        return list(self._notes.get(ref, []))

    def attachments_of(self, ref: Ref) -> list[Attachment]:
        return self.cached("attached", self._attached).get(ref, [])

    def deleted_since(self, since: datetime, kind: str = "") -> list[Deletion]:
        """Records gone since a moment, oldest first."""
        return [d for d in self.deletions if d.at >= since and (not kind or d.ref.kind == kind)]

    def next_number(self, kind: str) -> str:
        """The next automatic document number, and takes it. QuickBooks counts invoices and credits together."""
        organization = self.organization
        while True:
            if organization.platform == "quickbooks":
                self._counters["number"] = max(self._counters["number"], 1000) + 1
                number = str(self._counters["number"])
            else:
                self._counters["number " + kind] += 1
                prefix = {"invoice": "INV-", "credit_note": "CN-"}.get(kind, "")
                number = f"{prefix}{self._counters['number ' + kind]:04d}"
            if (kind, number) not in self._numbers:
                return number

    @contextmanager
    def at(self, moment: datetime) -> Iterator[None]:
        """Stamp what happens inside as if it were then (aware UTC): for histories."""
        before, self._stamp = self._stamp, moment
        try:
            yield
        finally:
            self._stamp = before

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Tell nobody: for loading."""
        before, self._muted = self._muted, True
        try:
            yield
        finally:
            self._muted = before

    @property
    def stamped(self) -> datetime | None:
        """The moment of the surrounding `at`, if any."""
        return self._stamp

    def check_version(self, ref: Ref, expected: int | None) -> None:
        """Raises StaleVersion unless `expected` is None or current."""
        record = self.find(ref)
        if expected is not None and expected != record.version:
            raise StaleVersion(
                f"{ref.kind} {ref.id} has changed since version {expected}.",
                kind=ref.kind, id=ref.id, version=record.version,
            )  # fmt: skip

    def _now(self) -> datetime:
        return self._stamp or self.clock.stamp()

    def _tell(self, kind: str, id: str, verb: str) -> None:
        if not self._muted:
            for listener in self.listeners:
                listener(self.organization, kind, id, verb)

    def _new_id(self, kind: str) -> str:
        if self.organization.platform == "xero":
            self._counters["id"] += 1
            return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.organization.id}/{self._counters['id']}"))
        counter = (
            kind if kind in LIST_KINDS else "transaction"
        )  # QuickBooks numbers all transactions together
        self._counters[counter] += 1
        return str(self._counters[counter])

    def _insert(self, kind: str, record: Record) -> None:
        record.id = record.id or self._new_id(kind)
        record.created = record.updated = self._now()
        record.version = 0
        self._changed(kind, record)
        self._tell(kind, record.id, "created")

    def _changed(self, kind: str, record: Record) -> None:
        self.revision += 1
        self.table(kind).put(record)

    def _touch(self, kind: str, record: Record) -> None:
        record.version += 1
        record.updated = self._now()
        self._changed(kind, record)

    def _enter(self, kind: str, document: Any) -> None:
        """File a new document under its customer and number, and count its balance."""
        document.id = document.id or self._new_id(kind)
        customer = getattr(document, "customer", "")
        if customer:
            self._by_customer[customer][Ref(kind, document.id)] = None
        if isinstance(document, Sale):
            self._numbers[(kind, document.number)].append(document.id)
        self._count(document)
        self._insert(kind, document)

    def _count(self, document: Any, sign: int = 1) -> None:
        """Add the document's open part to the customer's balance."""
        if isinstance(document, Invoice):
            owed = document.balance
        elif isinstance(document, CreditNote | Payment | Advance):
            owed = -document.balance
        elif isinstance(document, Journal):
            owed = document.balance if document.receivable > 0 else -document.balance
        else:
            return
        if owed:
            balances = self._balances[document.customer]
            balances[document.currency] = balances.get(document.currency, 0) + sign * owed

    def _discount(self, document: Any) -> None:
        self._count(document, -1)

    def _families(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for customer in self.customers:
            if customer.parent:
                found[customer.parent].append(customer.id)
        return found

    def _attached(self) -> dict[Ref, list[Attachment]]:
        found: dict[Ref, list[Attachment]] = defaultdict(list)
        for attachment in self.attachments:
            for ref in attachment.refs:
                found[ref].append(attachment)
        return found

    def __getstate__(self) -> dict[str, Any]:
        left_out = ("lock", "listeners", "revision_cache")
        return {k: v for k, v in vars(self).items() if k not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.lock, self.listeners, self.revision_cache = threading.RLock(), [], {}
