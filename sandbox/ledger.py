"""One company's books: every operation a user, an app or a bookkeeper can do, with the refusals of a real ledger.

Read through the tables (`ledger.invoices["147"]`, `ledger.invoices.by_change(since)`); write through the methods.
Hold `ledger.lock` (re-entrant) around reading several things that must agree, or read-then-write.
Each method validates everything before it changes anything, stamps what it changed, and tells `listeners`.
Postings and reports are derived, never stored: see `posting` and `reports`.
"""

from __future__ import annotations

import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from sandbox import allocating
from sandbox.chart import open_books
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
    Line,
    Link,
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
    DepositedPayment,
    DuplicateName,
    DuplicateNumber,
    Frozen,
    InactiveAccount,
    InactiveCustomer,
    NotFound,
    NotOpen,
    OverAllocation,
    ReconciledPayment,
    Refusal,
    StaleVersion,
    Unbalanced,
    UnknownAccount,
    WrongAccountType,
    WrongAmount,
    WrongCurrency,
)
from sandbox.tables import Table

Listener = Callable[[Organization, str, str, str], None]  # (organization, kind, id, verb)
S = TypeVar("S", Invoice, CreditNote)
LIST_KINDS = frozenset({"customer", "account", "item", "tax_code", "attachment"})


class Ledger:
    """Verbs told to listeners: created, updated, deleted, voided, merged, emailed."""

    def __init__(self, organization: Organization, clock: Clock, *, chart: bool = True) -> None:
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
        self._balances: dict[tuple[str, str], int] = defaultdict(int)
        self._stamp: datetime | None = None
        self._muted = False
        if chart:
            with self.quietly():
                open_books(self)

    # ---- reading -------------------------------------------------------------------------------------------

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
        return self._balances[(customer, currency or self.organization.home_currency)]

    def balances(self, customer: str) -> dict[str, int]:
        """Currency → what the customer owes, net; currencies that are settled are left out."""
        return {c: v for (who, c), v in self._balances.items() if who == customer and v}

    def family_balance(self, customer: str, currency: str = "") -> int:
        """With sub-customers (QuickBooks' BalanceWithJobs)."""
        children = [c.id for c in self.customers if c.parent == customer]
        return self.balance(customer, currency) + sum(self.family_balance(c, currency) for c in children)

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
        return [a for a in self.attachments if ref in a.refs]

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

    # ---- lists ---------------------------------------------------------------------------------------------

    def add_customer(self, customer: Customer) -> Customer:
        """Raises DuplicateName (active customers only), NotFound (parent)."""
        with self.lock:
            self._check_name(customer)
            if customer.parent:
                self.customers[customer.parent]
            customer.currency = customer.currency or self.organization.home_currency
            self._insert("customer", customer)
            self._take_name(customer)
            return customer

    def add_account(self, account: Account) -> Account:
        """Raises DuplicateName (by name or code)."""
        with self.lock:
            self._check_account_names(account)
            self._insert("account", account)
            if account.role:
                self._roles.setdefault(account.role, account.id)
            return account

    def add_item(self, item: Item) -> Item:
        """Raises UnknownAccount, InactiveAccount, WrongAccountType (receivable, payable or bank), DuplicateName."""
        with self.lock:
            self._check_line_account(item.income_account, use="item")
            if any(i.active and i.name.casefold() == item.name.casefold() for i in self.items):
                raise DuplicateName(f"An item is already called {item.name}.", name=item.name)
            self._insert("item", item)
            return item

    def add_tax_code(self, code: TaxCode) -> TaxCode:
        with self.lock:
            self._insert("tax_code", code)
            return code

    def merge_customers(self, loser: str, survivor: str) -> Customer:
        """The loser's history moves to the survivor; the loser is inactive and points at it."""
        with self.lock:
            gone, stays = self.customers[loser], self.customers[survivor]
            if loser == survivor or gone.currency != stays.currency:
                raise WrongCurrency(
                    "Only customers of the same currency can be merged.", source=loser, target=survivor
                )
            for ref in list(self._by_customer.pop(loser, {})):
                document = self.find(ref)
                self._discount(document)
                document.customer = survivor
                self._by_customer[survivor][ref] = None
                self._count(document)
                self._touch(ref.kind, document)
            for customer in self.customers:
                if customer.parent == loser:
                    customer.parent = survivor
            self._names.pop(gone.name.strip().casefold(), None)
            gone.active, gone.merged_into = False, survivor
            self._touch("customer", gone)
            self._touch("customer", stays)
            self.deletions.append(Deletion(ref=Ref("customer", loser), at=gone.updated, into=survivor))
            self._tell("customer", survivor, "merged")
            return stays

    # ---- documents -----------------------------------------------------------------------------------------

    def add_invoice(self, invoice: Invoice) -> Invoice:
        """Post (or draft) a sales invoice. Missing number, currency, due date and line ids are filled.

        Raises LockedPeriod, DuplicateNumber, UnknownAccount, InactiveAccount, WrongAccountType,
        InactiveCustomer, WrongAmount (negative total, or deposit over total), NotFound (customer).
        """
        with self.lock:
            self._prepare_sale("invoice", invoice)
            if invoice.due is None:
                terms = self.customers[invoice.customer].terms
                invoice.due = invoice.date + timedelta(days=terms.days if terms else 30)
            if not 0 <= invoice.deposit <= max(invoice.total, 0):
                raise WrongAmount("The deposit is more than the invoice.", deposit=invoice.deposit)
            invoice.settled = invoice.deposit
            self._enter("invoice", invoice)
            if self.organization.rules.auto_apply_payments and invoice.live:
                allocating.apply_waiting_payments(self, invoice)
            if self.organization.rules.auto_apply_credits and invoice.live:
                allocating.apply_waiting_credits(self, invoice.customer, invoice.currency)
            return invoice

    def add_credit_note(self, note: CreditNote) -> CreditNote:
        """As `add_invoice`. With `auto_apply_credits` it settles the customer's oldest open invoices at once."""
        with self.lock:
            self._prepare_sale("credit_note", note)
            note.settled = 0
            self._enter("credit_note", note)
            if self.organization.rules.auto_apply_credits and note.live:
                allocating.apply_waiting_credits(self, note.customer, note.currency)
            return note

    def add_payment(self, payment: Payment) -> Payment:
        """Money received, with its links. Raises OverAllocation, WrongCustomer, WrongCurrency, LockedPeriod,
        NotOpen, NotFound, WrongAmount (negative), UnknownAccount, WrongAccountType (not a place for money)."""
        with self.lock:
            self._prepare_money(payment, default_role=self._money_role())
            if payment.amount < 0 or any(link.amount <= 0 for link in payment.links):
                raise WrongAmount("Amounts of a payment cannot be negative.", amount=payment.amount)
            allocating.check_links(self, payment)
            payment.unapplied = payment.amount
            self._enter("payment", payment)
            allocating.link(self, payment)
            return payment

    def add_advance(self, advance: Advance) -> Advance:
        """Record an overpayment or prepayment. Raises as `add_payment`."""
        with self.lock:
            self._prepare_money(advance, default_role="bank")
            if advance.amount <= 0:
                raise WrongAmount("The amount must be more than zero.", amount=advance.amount)
            self._enter("advance", advance)
            return advance

    def add_refund(self, refund: Refund) -> Refund:
        """Give money back from a credit note, an advance or an unapplied payment. Raises as `add_payment`."""
        with self.lock:
            source = self.find(refund.source)
            refund.customer, refund.currency = source.customer, source.currency
            self._prepare_money(refund, default_role="bank")
            if refund.amount <= 0:
                raise WrongAmount("The amount must be more than zero.", amount=refund.amount)
            allocating.check_room(self, refund.source, refund.amount)
            self._enter("refund", refund)
            allocating.allocate(self, refund.source, Ref("refund", refund.id), refund.amount, refund.date)
            return refund

    def add_deposit(self, deposit: Deposit) -> Deposit:
        """Bring payments to the bank. Raises DepositedPayment, WrongAccountType, LockedPeriod, NotFound."""
        with self.lock:
            self._prepare_money(deposit, default_role="bank")
            undeposited = self.account_by_role("undeposited").id
            for line in deposit.lines:
                if not line.payment:
                    self._check_line_account(line.account, use="deposit", allow_receivable=True)
                    continue
                payment = self.payments[line.payment]
                if payment.deposit:
                    raise DepositedPayment("The payment is in another deposit.", deposit=payment.deposit)
                if payment.account != undeposited or not payment.live:
                    raise WrongAccountType(
                        "The payment is not in undeposited funds.", account=payment.account
                    )
                line.amount = line.amount or payment.amount
            self._enter("deposit", deposit)
            for line in deposit.lines:
                if line.payment:
                    self.payments[line.payment].deposit = deposit.id
            return deposit

    def add_journal(self, journal: Journal) -> Journal:
        """Raises Unbalanced, WrongAmount (under two lines), WrongAccountType (more than one receivable line),
        WrongCustomer (receivable line without customer), LockedPeriod, UnknownAccount."""
        with self.lock:
            self._prepare_journal(journal)
            self._enter("journal", journal)
            return journal

    def edit(
        self, ref: Ref, *, expected_version: int | None = None, bump: bool = True, **changes: Any
    ) -> Any:
        """Change fields of any record; the values as the dataclass has them. A change of nothing changes nothing.

        For a payment, `links=[…]` replaces all its allocations. `status="open"` approves a draft. `bump=False`
        leaves version and update time alone (Xero does that for some fields).
        Raises NotFound, StaleVersion, NotOpen (void or deleted), LockedPeriod (old or new date), Frozen,
        OverAllocation (total under what is settled), DepositedPayment, DuplicateNumber, DuplicateName and
        what creating raises.
        """
        with self.lock:
            record = self.find(ref)
            self.check_version(ref, expected_version)
            changed = {k: v for k, v in changes.items() if getattr(record, k) != v}
            if not changed:
                return record
            if isinstance(record, Payment):
                self._edit_payment(record, changed)
            elif isinstance(record, Journal):
                self._edit_journal(record, changed)
            elif isinstance(record, Sale):
                self._edit_sale(ref, record, changed)
            elif ref.kind in LIST_KINDS:
                self._edit_listed(ref, record, changed)
            else:
                self.organization.check_open(record.date, changed.get("date", record.date))
                _set(record, changed)
            if bump:
                self._touch(ref.kind, record)
            else:
                self._changed(ref.kind, record)
            self._tell(ref.kind, ref.id, "updated")
            return record

    def void(self, ref: Ref, *, expected_version: int | None = None) -> Any:
        """Cancel but keep. Its postings vanish from its own date. QuickBooks frees what was allocated; Xero refuses.

        Raises NotFound, StaleVersion, LockedPeriod, NotOpen (already void), Frozen, DepositedPayment.
        """
        with self.lock:
            return self._cancel(ref, "void", expected_version)

    def delete(self, ref: Ref, *, expected_version: int | None = None) -> Any:
        """Remove (QuickBooks) or mark deleted (Xero: drafts, payments, advances). The record is returned.

        Raises as `void`; NotOpen for records that cannot be deleted (list entries).
        """
        with self.lock:
            return self._cancel(ref, "deleted", expected_version)

    # ---- settling ------------------------------------------------------------------------------------------

    def allocate(self, source: Ref, target: Ref, amount: int, day: date | None = None) -> Allocation:
        """Set a credit note, advance, journal credit or unapplied payment against an invoice, directly (Xero).

        The date defaults to, and is never before, the later of both documents. Raises OverAllocation,
        WrongCustomer, WrongCurrency, NotOpen, LockedPeriod, WrongAmount, NotFound.
        """
        with self.lock:
            if amount <= 0:
                raise WrongAmount("The amount must be more than zero.", amount=amount)
            giver, taker = self.find(source), self.find(target)
            allocating.check_pair(self, source, giver, target, taker)
            allocating.check_room(self, source, amount)
            allocating.check_room(self, target, amount)
            day = max(day or giver.date, giver.date, taker.date)
            self.organization.check_open(day)
            made = allocating.allocate(self, source, target, amount, day)
            allocating.touch_both(self, made)
            return made

    def deallocate(self, allocation: str) -> Allocation:
        """Undo one allocation. Raises NotFound, LockedPeriod."""
        with self.lock:
            if allocation not in self.allocations:
                raise NotFound(f"There is no allocation {allocation}.", kind="allocation", id=allocation)
            found = self.allocations[allocation]
            self.organization.check_open(found.date)
            allocating.release(self, found)
            allocating.touch_both(self, found)
            return found

    # ---- notes, mail ---------------------------------------------------------------------------------------

    def add_note(self, ref: Ref, text: str, *, user: str = "", change: str = "Note") -> Note:
        """Append to a record's history. Raises no webhook and bumps no version, as on both ledgers."""
        with self.lock:
            self.find(ref)
            note = Note(id=self._new_id("note"), at=self._now(), user=user, text=text, change=change)
            self._notes[ref].append(note)
            return note

    def add_attachment(self, attachment: Attachment) -> Attachment:
        """Attach a note or file. Raises NotFound for a document that is not there, WrongAmount when empty."""
        with self.lock:
            if not attachment.note and not attachment.file_name:
                raise WrongAmount("There must be a note or a file.")
            for ref in attachment.refs:
                self.find(ref)
            self._insert("attachment", attachment)
            return attachment

    def mark_emailed(self, ref: Ref, address: str = "") -> Any:
        """Record that the document was sent now."""
        with self.lock:
            document = self.find(ref)
            document.email = address or document.email
            document.emailed_at = self._now()
            self._touch(ref.kind, document)
            self._tell(ref.kind, ref.id, "emailed")
            return document

    # ---- for loaders and the platform layers ---------------------------------------------------------------

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

    def check_version(self, ref: Ref, expected: int | None) -> None:
        """Raises StaleVersion unless `expected` is None or current."""
        record = self.find(ref)
        if expected is not None and expected != record.version:
            raise StaleVersion(
                f"{ref.kind} {ref.id} has changed since version {expected}.",
                kind=ref.kind, id=ref.id, version=record.version,
            )  # fmt: skip

    @property
    def stamped(self) -> datetime | None:
        """The moment of the surrounding `at`, if any."""
        return self._stamp

    # ---- inside --------------------------------------------------------------------------------------------

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
            self._balances[(document.customer, document.currency)] += sign * owed

    def _discount(self, document: Any) -> None:
        self._count(document, -1)

    def _check_name(self, customer: Customer) -> None:
        if not customer.name.strip():
            raise WrongAmount("A customer needs a name.")
        taken = self._names.get(customer.name.strip().casefold())
        if customer.active and self.organization.rules.unique_names and taken not in (None, customer.id):
            raise DuplicateName(f"Another customer is called {customer.name}.", name=customer.name, id=taken)

    def _take_name(self, customer: Customer) -> None:
        if customer.active:
            self._names[customer.name.strip().casefold()] = customer.id

    def _check_account_names(self, account: Account) -> None:
        for other in self.accounts:
            if other.id == account.id or not other.active:
                continue
            if other.name.casefold() == account.name.casefold() or (
                account.code and other.code == account.code
            ):
                raise DuplicateName(
                    f"Another account is called {account.name}.", name=account.name, id=other.id
                )

    def _check_account(self, id: str) -> Account:
        account = self.accounts.get(id)
        if account is None:
            raise UnknownAccount(f"There is no account {id}.", account=id)
        if not account.active:
            raise InactiveAccount(f"The account {account.name} is archived.", account=id)
        return account

    def _check_line_account(self, id: str, *, use: str, allow_receivable: bool = False) -> None:
        account = self._check_account(id)
        forbidden = {"bank", "payable", "undeposited"} | (set() if allow_receivable else {"receivable"})
        if account.type in forbidden or (account.system and account.type == "tax"):
            raise WrongAccountType(
                f"The account {account.name} cannot be used here.", account=id, type=account.type, use=use
            )

    def _check_customer(self, id: str) -> Customer:
        customer = self.customers[id]
        if not customer.active:
            raise InactiveCustomer(f"{customer.name} is not active.", customer=id)
        return customer

    def _prepare_sale(self, kind: str, sale: Sale) -> None:
        organization = self.organization
        customer = self._check_customer(sale.customer)
        organization.check_open(sale.date)
        sale.currency = sale.currency or customer.currency
        self._check_currency(sale.currency, sale.rate)
        self._check_lines(sale.lines)
        if sale.total < 0:
            raise WrongAmount("The total cannot be negative.", total=sale.total)
        sale.number = sale.number or self.next_number(kind)
        self._check_number(kind, sale.number, sale.id)

    def _check_number(self, kind: str, number: str, own: str) -> None:
        if not self.organization.rules.unique_numbers:
            return
        for other in self.by_number(kind, number):
            if other.id != own and other.status not in ("deleted",):
                raise DuplicateNumber(f"The number {number} is already used.", number=number, id=other.id)

    def _check_lines(self, lines: list[Line]) -> None:
        for position, line in enumerate(lines, 1):
            if line.account:
                self._check_line_account(line.account, use="line")
            elif line.net or line.tax:
                raise UnknownAccount("A line with an amount needs an account.", account="")
            if line.tax_code and line.tax_code not in self.tax_codes:
                raise NotFound(f"There is no tax code {line.tax_code}.", kind="tax_code", id=line.tax_code)
            if not line.id:
                line.id = self._new_id("line") if self.organization.platform == "xero" else str(position)

    def _check_currency(self, currency: str, rate: Decimal) -> None:
        home = self.organization.home_currency
        if currency != home and not self.organization.multicurrency:
            raise WrongCurrency("This company keeps books in one currency.", source=currency, target=home)
        if rate <= 0 or (currency == home and rate != 1):
            raise WrongAmount("The exchange rate is not possible.", rate=rate)

    def _money_role(self) -> str:
        return "undeposited" if "undeposited" in self._roles else "bank"

    def _prepare_money(self, document: Any, default_role: str) -> None:
        self.organization.check_open(document.date)
        customer = getattr(document, "customer", "")
        if customer:
            self._check_customer(customer)
        home = self.organization.home_currency
        document.currency = document.currency or (self.customers[customer].currency if customer else home)
        self._check_currency(document.currency, document.rate)
        document.account = document.account or self.account_by_role(default_role).id
        account = self._check_account(document.account)
        if account.type not in ("bank", "undeposited", "current_asset") and not account.takes_payments:
            raise WrongAccountType(
                f"Money cannot be received on {account.name}.",
                account=account.id, type=account.type, use="payment",
            )  # fmt: skip

    def _prepare_journal(self, journal: Journal) -> None:
        self.organization.check_open(journal.date)
        if len(journal.lines) < 2:
            raise WrongAmount("A journal needs two lines.")
        if sum(line.amount for line in journal.lines):
            raise Unbalanced("Debits and credits differ.", difference=sum(x.amount for x in journal.lines))
        journal.currency = journal.currency or self.organization.home_currency
        self._check_currency(journal.currency, journal.rate)
        open_items = [
            x for x in journal.lines if self._check_account(x.account).type in ("receivable", "payable")
        ]
        if len(open_items) > 1:
            raise WrongAccountType("A journal may have one receivable or payable line.", use="journal")
        for position, line in enumerate(journal.lines):
            line.id = line.id or str(position)
        journal.customer, journal.receivable = "", 0
        if open_items:
            if not open_items[0].customer:
                raise Refusal("A line on the receivable account needs a customer.")
            journal.customer = self._check_customer(open_items[0].customer).id
            journal.receivable = open_items[0].amount

    def _edit_listed(self, ref: Ref, record: Record, changed: dict[str, Any]) -> None:
        trial = replace(record, **changed)
        if isinstance(record, Customer) and isinstance(trial, Customer):
            self._check_name(trial)
            if "currency" in changed and self._by_customer.get(record.id):
                raise WrongCurrency(
                    "The currency of a customer with documents is fixed.", source="", target=""
                )
            self._names.pop(record.name.strip().casefold(), None)
            _set(record, changed)
            self._take_name(record)
            return
        if isinstance(record, Account) and isinstance(trial, Account):
            if record.system and not trial.active:
                raise WrongAccountType(
                    "A system account cannot be archived.", account=record.id, use="archive"
                )
            self._check_account_names(trial)
        if isinstance(record, Item) and "income_account" in changed:
            self._check_line_account(changed["income_account"], use="item")
        _set(record, changed)

    def _edit_sale(self, ref: Ref, sale: Sale, changed: dict[str, Any]) -> None:
        if sale.status in ("void", "deleted"):
            raise NotOpen(f"{ref.kind} {sale.number} is {sale.status}.", document=ref, status=sale.status)
        self.organization.check_open(sale.date)
        trial = replace(sale, **changed)
        self._prepare_sale(ref.kind, trial)
        settled = bool(self._by_target.get(ref) or self._by_source.get(ref))
        if settled and ("currency" in changed or trial.status != "open"):
            raise Frozen("Payments or credits are allocated to it.", document=ref, fields=sorted(changed))
        money = any(getattr(trial, f) != getattr(sale, f) for f in ("date", "rate", "net", "tax", "tax_mode"))
        if settled and money and self.organization.rules.freeze_allocated:
            raise Frozen("Payments or credits are allocated to it.", document=ref, fields=sorted(changed))
        if "deposit" in changed:
            changed["settled"] = sale.settled - getattr(sale, "deposit", 0) + changed["deposit"]
        if trial.total < changed.get("settled", sale.settled):
            raise OverAllocation(
                "More is already settled than the new total.",
                open=trial.total,
                amount=sale.settled,
                document=ref,
            )
        if "number" in changed:
            self._numbers[(ref.kind, sale.number)].remove(sale.id)
            self._numbers[(ref.kind, changed["number"])].append(sale.id)
        self._refile(ref, sale, changed)

    def _refile(self, ref: Ref, document: Any, changed: dict[str, Any]) -> None:
        self._discount(document)
        self._by_customer[document.customer].pop(ref, None)
        _set(document, changed)
        if document.customer:
            self._by_customer[document.customer][ref] = None
        self._count(document)

    def _edit_payment(self, payment: Payment, changed: dict[str, Any]) -> None:
        ref = Ref("payment", payment.id)
        if not payment.live:
            raise NotOpen(f"Payment {payment.id} is {payment.status}.", document=ref, status=payment.status)
        self.organization.check_open(payment.date, changed.get("date", payment.date))
        moving = {"amount", "account", "date", "currency", "rate", "customer"} & set(changed)
        if payment.deposit and moving:
            raise DepositedPayment("The payment is in a deposit.", deposit=payment.deposit)
        if payment.reconciled and moving:
            raise ReconciledPayment("The payment is reconciled with the bank.")
        if not moving and "links" not in changed:
            _set(payment, changed)
            return
        before = {f: getattr(payment, f) for f in changed}
        links: list[Link] = changed.get("links", payment.links)
        old_links = payment.links
        allocating.unlink(self, payment)
        try:
            self._refile(ref, payment, {**changed, "links": links})
            self._prepare_money(payment, default_role=self._money_role())
            allocating.check_links(self, payment)
        except Refusal:
            self._refile(ref, payment, {**before, "links": old_links})
            allocating.link(self, payment)
            raise
        self._refile(ref, payment, {"unapplied": payment.amount})
        allocating.link(self, payment)

    def _edit_journal(self, journal: Journal, changed: dict[str, Any]) -> None:
        ref = Ref("journal", journal.id)
        if not journal.live:
            raise NotOpen(f"Journal {journal.id} is {journal.status}.", document=ref, status=journal.status)
        self.organization.check_open(journal.date)
        trial = replace(journal, **changed)
        self._prepare_journal(trial)
        if journal.settled and (trial.customer, trial.receivable) != (journal.customer, journal.receivable):
            raise Frozen("Payments or credits are allocated to it.", document=ref, fields=sorted(changed))
        self._refile(ref, journal, {**changed, "customer": trial.customer, "receivable": trial.receivable})

    def _cancel(self, ref: Ref, status: str, expected_version: int | None) -> Any:
        document = self.find(ref)
        self.check_version(ref, expected_version)
        if ref.kind in LIST_KINDS - {"attachment"}:
            raise NotOpen("Entries of a list are made inactive, never deleted.", document=ref, status="open")
        if ref.kind == "attachment":
            return self._forget(ref, document)
        rules = self.organization.rules
        gone = document.status in ("void", "deleted")
        if gone and (status == "void" or rules.keep_deleted):
            raise NotOpen(
                f"{ref.kind} {ref.id} is already {document.status}.", document=ref, status=document.status
            )
        self.organization.check_open(document.date)
        self._check_cancellable(ref, document)
        allocating.free(self, ref)
        self._discount(document)
        document.status = status
        if ref.kind == "deposit":
            for line in document.lines:
                if line.payment:
                    self.payments[line.payment].deposit = ""
        if status == "deleted" and not rules.keep_deleted:
            return self._forget(ref, document)
        self._touch(ref.kind, document)
        self._tell(ref.kind, ref.id, "voided" if status == "void" else "deleted")
        return document

    def _check_cancellable(self, ref: Ref, document: Any) -> None:
        if getattr(document, "deposit", "") and ref.kind == "payment":
            raise DepositedPayment("The payment is in a deposit.", deposit=document.deposit)
        if getattr(document, "reconciled", False):
            raise ReconciledPayment("The payment is reconciled with the bank.")
        own = ref.kind in (
            "payment",
            "refund",
        )  # their allocations are what they are made of, and go with them
        used = not own and (self._by_target.get(ref) or self._by_source.get(ref))
        if used and not self.organization.rules.void_frees_allocations:
            raise Frozen("Payments or credits are allocated to it.", document=ref, fields=[])

    def _forget(self, ref: Ref, document: Any) -> Any:
        document.status = "deleted" if hasattr(document, "status") else None
        self.table(ref.kind).remove(ref.id)
        self.revision += 1
        if getattr(document, "customer", ""):
            self._by_customer[document.customer].pop(ref, None)
        if isinstance(document, Sale):
            self._numbers[(ref.kind, document.number)].remove(document.id)
            if not self._numbers[(ref.kind, document.number)]:
                del self._numbers[(ref.kind, document.number)]
        document.updated = self._now()
        self.deletions.append(Deletion(ref=ref, at=document.updated))
        self._tell(ref.kind, ref.id, "deleted")
        return document

    def __getstate__(self) -> dict[str, Any]:
        left_out = ("lock", "listeners", "revision_cache")
        return {k: v for k, v in vars(self).items() if k not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.lock, self.listeners, self.revision_cache = threading.RLock(), [], {}


def _set(record: Any, changed: dict[str, Any]) -> None:
    known = {f.name for f in fields(record)}
    for name, value in changed.items():
        if name not in known:
            raise AttributeError(name)
        setattr(record, name, value)
