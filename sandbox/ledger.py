"""One company's books: every operation a user, an app or a bookkeeper can do, with the refusals of a real ledger.

Read through the tables (`ledger.invoices["147"]`, `ledger.invoices.by_change(since)`); write through the methods.
Hold `ledger.lock` (re-entrant) around reading several things that must agree, or read-then-write.
Each method validates everything before it changes anything, stamps what it changed, and tells `listeners`.
Postings and reports are derived, never stored: see `posting` and `reports`.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

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
    Note,
    Payment,
    Ref,
    Refund,
    Sale,
    TaxCode,
)
from sandbox.editing import Editing
from sandbox.holdings import LIST_KINDS
from sandbox.organization import Organization
from sandbox.refusals import (
    DepositedPayment,
    DuplicateName,
    NotFound,
    WrongAccountType,
    WrongAmount,
    WrongCurrency,
)


class Ledger(Editing):
    """Verbs told to listeners: created, updated, deleted, voided, merged, emailed.

    Reading is in `holdings`, checks in `checking`, the inside of changes in `editing` and `allocating`.
    """

    def __init__(self, organization: Organization, clock: Clock, *, chart: bool = True) -> None:
        super().__init__(organization, clock)
        if chart:
            with self.quietly():
                open_books(self)

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
                if self.organization.rules.merge_touches_documents:
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
            made = allocating.allocate(
                self, refund.source, Ref("refund", refund.id), refund.amount, refund.date
            )
            allocating.touch_source(self, made)
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
                self._edit_money(record, changed)
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
