"""What people do in a ledger in a busy year: one random change after another, each as the ledger allows it."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sandbox import acts
from sandbox.chart import no_tax_code
from sandbox.documents import CreditNote, Customer, Deposit, DepositLine, Invoice, Line, Link, Ref, Refund
from sandbox.ledger import Ledger
from sandbox.refusals import Refusal

Act = Callable[[], object]


class Changes:
    """Random changes to one company's books. `chance` decides everything."""

    def __init__(self, books: Ledger, chance: random.Random) -> None:
        self.books, self.chance = books, chance
        self.home = books.organization.home_currency
        self.refused = 0
        self.done: dict[str, int] = {}
        self._customers = [c.id for c in books.customers]
        self._invoices = [i.id for i in books.invoices]
        self._payments = [p.id for p in books.payments]
        self._credits = [c.id for c in books.credit_notes]
        self._advances = [a.id for a in books.advances]
        self._journals: list[str] = []
        self._deposits: list[str] = []
        self._refunds: list[str] = []
        common: list[tuple[int, Act]] = [
            (22, self.bill),
            (2, self.bill_nothing),
            (16, self.pay),
            (4, self.pay_on_account),
            (2, self.pay_several),
            (5, self.credit),
            (2, self.credit_later),
            (3, self.apply_credit),
            (4, self.apply_money),
            (3, self.void_invoice),
            (2, self.delete_invoice),
            (4, self.take_back_payment),
            (2, self.delete_credit),
            (5, self.move_due_date),
            (3, self.change_total),
            (3, self.change_words),
            (2, self.email),
            (1, self.refund),
            (1, self.take_back_refund),
            (3, self.new_customer),
            (3, self.edit_customer),
            (1, self.merge),
        ]
        own: list[tuple[int, Act]] = (
            [(2, self.journal), (1, self.delete_journal), (1, self.deposit), (1, self.delete_deposit)]
            if books.organization.platform == "quickbooks"
            else [(3, self.unallocate), (2, self.draft), (1, self.approve)]
        )
        self._weights = [weight for weight, _ in common + own]
        self._acts = [act for _, act in common + own]

    def one(self) -> None:
        """One change that the ledger accepted; what it refuses is another person's mistake, and they go on."""
        while True:
            [act] = self.chance.choices(self._acts, self._weights)
            try:
                with self.books.lock:
                    act()
            except (Refusal, _Nothing):
                self.refused += 1
                continue
            name = getattr(act, "__name__", "")
            self.done[name] = self.done.get(name, 0) + 1
            return

    # ---- who and what

    def _pick(self, ids: list[str], table: Any) -> Any:
        """A record that is still there, rather a recent one."""
        if not ids:
            raise _Nothing
        recent = ids[-60:] if self.chance.random() < 0.6 else ids
        found = table.get(self.chance.choice(recent))
        if found is None:
            raise _Nothing
        return found

    def _customer(self) -> Customer:
        found: Customer = self._pick(self._customers, self.books.customers)
        if not found.active:
            raise _Nothing
        return found

    def _invoice(self) -> Invoice:
        found: Invoice = self._pick(self._invoices, self.books.invoices)
        return found

    def _some(self, most: int) -> int:
        if most < 1:
            raise _Nothing
        return most if self.chance.random() < 0.4 else self.chance.randint(1, most)

    def _keep_money(self, made: list[Any]) -> None:
        for record in made:
            (self._advances if type(record).__name__ == "Advance" else self._payments).append(record.id)

    # ---- sales

    def bill(self) -> None:
        day = self.books.today()
        made = acts.bill(
            self.books,
            customer=self._customer().id,
            net=self.chance.randint(100, 200_000),
            day=day,
            due=day + timedelta(days=self.chance.choice([7, 14, 30, 60])),
            taxed=self.chance.random() < 0.7,
        )
        self._invoices.append(made.id)

    def bill_nothing(self) -> None:
        """A sample, free of charge."""
        self._invoices.append(acts.bill(self.books, customer=self._customer().id, net=0).id)

    def draft(self) -> None:
        line = Line(
            net=5_000, account=self.books.account_by_role("sales").id, tax_code=no_tax_code(self.books)
        )
        made = Invoice(customer=self._customer().id, date=self.books.today(), lines=[line], status="draft")
        self._invoices.append(self.books.add_invoice(made).id)

    def approve(self) -> None:
        invoice = self._invoice()
        if invoice.status != "draft":
            raise _Nothing
        self.books.edit(Ref("invoice", invoice.id), status="open")

    def void_invoice(self) -> None:
        acts.void(self.books, Ref("invoice", self._invoice().id))

    def delete_invoice(self) -> None:
        self.books.delete(Ref("invoice", self._invoice().id))

    def move_due_date(self) -> None:
        """Xero does not move its time of change when the invoice is partly paid."""
        invoice = self._invoice()
        ref = Ref("invoice", invoice.id)
        hidden = self.books.organization.platform == "xero" and 0 < invoice.balance < invoice.total
        due = self.books.today() + timedelta(days=self.chance.randint(1, 90))
        self.books.edit(ref, bump=not hidden, due=due)

    def change_total(self) -> None:
        invoice = self._invoice()
        acts.edit(self.books, Ref("invoice", invoice.id), {"total": self.chance.randint(1_000, 90_000)})

    def change_words(self) -> None:
        invoice, n = self._invoice(), self.chance.randint(1, 10**6)
        field = "private_note" if self.books.organization.platform == "quickbooks" else "reference"
        acts.edit(self.books, Ref("invoice", invoice.id), {field: f"Order {n}", "number": f"N-{n}"})

    def email(self) -> None:
        self.books.mark_emailed(Ref("invoice", self._invoice().id), "ap@example.org")

    # ---- money

    def pay(self) -> None:
        invoice = self._invoice()
        day = self.books.today() + timedelta(days=self.chance.choice([0, 0, 0, 20]))  # some are post-dated
        self._keep_money(
            acts.pay(self.books, invoice=invoice.id, amount=self._some(invoice.balance), day=day)
        )

    def pay_on_account(self) -> None:
        self._keep_money(acts.pay(self.books, customer=self._customer().id, amount=self._some(60_000)))

    def pay_several(self) -> None:
        """All that a customer owes in one go."""
        self._keep_money(acts.pay(self.books, customer=self._customer().id))

    def apply_money(self) -> None:
        if self.books.organization.platform == "quickbooks":
            source = Ref("payment", self._pick(self._payments, self.books.payments).id)
        else:
            source = Ref("advance", self._pick(self._advances, self.books.advances).id)
        waiting = self.books.find(source)
        invoice = self._open_invoice_of(waiting.customer)
        if not waiting.balance:
            raise _Nothing
        acts.apply_money(self.books, source=source, invoice=invoice.id)

    def _open_invoice_of(self, customer: str) -> Invoice:
        mine = [i for i in self.books.documents_of(customer, "invoice") if i.balance]
        if not mine:
            raise _Nothing
        found: Invoice = self.chance.choice(mine)
        return found

    def take_back_payment(self) -> None:
        ref = Ref("payment", self._pick(self._payments, self.books.payments).id)
        if self.chance.random() < 0.5:
            self.books.delete(ref)
        elif self.books.organization.platform == "quickbooks" and self.chance.random() < 0.5:
            links: list[Link] = self.books.payments[ref.id].links
            if not links:
                raise _Nothing
            self.books.edit(ref, links=links[:-1])  # the last line is unticked
        else:
            acts.void(self.books, ref)

    def refund(self) -> None:
        if self.books.organization.platform == "quickbooks":
            source: Any = self._pick(self._credits, self.books.credit_notes)
        elif self.chance.random() < 0.5 and self._advances:
            source = self._pick(self._advances, self.books.advances)
        else:
            source = self._pick(self._credits, self.books.credit_notes)
        kind = "credit_note" if isinstance(source, CreditNote) else "advance"
        made = Refund(
            source=Ref(kind, source.id),
            customer=source.customer,
            date=self.books.today(),
            amount=self._some(source.balance),
            currency=source.currency,
            rate=source.rate,
        )
        self._refunds.append(self.books.add_refund(made).id)

    def take_back_refund(self) -> None:
        self.books.delete(Ref("refund", self._pick(self._refunds, self.books.refunds).id))

    # ---- credit

    def credit(self) -> None:
        invoice = self._invoice()
        made = acts.credit(self.books, invoice=invoice.id, amount=self._some(invoice.balance))
        self._credits.append(made.id)

    def credit_later(self) -> None:
        line = Line(
            net=self._some(9_000),
            account=self.books.account_by_role("sales").id,
            tax_code=no_tax_code(self.books),
            description="Returned goods",
        )
        made = CreditNote(customer=self._customer().id, date=self.books.today(), lines=[line])
        self._credits.append(self.books.add_credit_note(made).id)

    def apply_credit(self) -> None:
        note = self._pick(self._credits, self.books.credit_notes)
        if not note.balance:
            raise _Nothing
        acts.apply_credit(self.books, credit_note=note.id, invoice=self._open_invoice_of(note.customer).id)

    def delete_credit(self) -> None:
        acts.void(self.books, Ref("credit_note", self._pick(self._credits, self.books.credit_notes).id))

    def unallocate(self) -> None:
        source = self.chance.choice(["credit_note", "advance"])
        ids, table = (
            (self._credits, self.books.credit_notes)
            if source == "credit_note"
            else (self._advances, self.books.advances)
        )
        given = self.books.allocations_from(Ref(source, self._pick(ids, table).id))
        if not given:
            raise _Nothing
        self.books.deallocate(self.chance.choice(given).id)

    # ---- QuickBooks' other ways to touch receivables

    def journal(self) -> None:
        made = acts.journal(
            self.books,
            customer=self._home_customer().id,
            amount=self.chance.choice([-1, 1]) * self._some(5_000),
        )
        self._journals.append(made.id)

    def delete_journal(self) -> None:
        self.books.delete(Ref("journal", self._pick(self._journals, self.books.journals).id))

    def deposit(self) -> None:
        account, bank = (self.books.account_by_role(role).id for role in ("receivable", "bank"))
        line = DepositLine(amount=self._some(3_000), account=account, customer=self._home_customer().id)
        made = Deposit(date=self.books.today(), account=bank, lines=[line])
        self._deposits.append(self.books.add_deposit(made).id)

    def delete_deposit(self) -> None:
        self.books.delete(Ref("deposit", self._pick(self._deposits, self.books.deposits).id))

    def _home_customer(self) -> Customer:
        found = self._customer()
        if found.currency not in ("", self.home):
            raise _Nothing
        return found

    # ---- customers

    def new_customer(self) -> None:
        other = {"USD": "CAD", "NZD": "AUD"}.get(self.home, "EUR")
        currency = other if self.chance.random() < 0.2 else ""
        name = f"Customer {self.chance.randint(1, 10**9)}"
        self._customers.append(acts.add_customer(self.books, name=name, currency=currency).id)

    def edit_customer(self) -> None:
        customer = self._pick(self._customers, self.books.customers)
        changed: dict[str, Any] = self.chance.choice(
            [
                {"email": f"ap{self.chance.randint(1, 999)}@example.org"},
                {"phone": f"0{self.chance.randint(10**8, 10**9)}"},
                {"name": f"Renamed {self.chance.randint(1, 10**9)}"},
                {"active": not customer.active},
            ]
        )
        if customer.merged_into:
            raise _Nothing
        self.books.edit(Ref("customer", customer.id), **changed)

    def merge(self) -> None:
        loser, survivor = self._customer(), self._customer()
        if loser.id == survivor.id or loser.currency != survivor.currency:
            raise _Nothing
        self.books.merge_customers(loser.id, survivor.id)


class _Nothing(Exception):
    """There is nothing to do this to just now."""
