"""A year of customers who pay as customers do, in the pretend ledger, booked as late as bookkeepers book.

What happened (when money left the customer) and what the ledger shows (when somebody entered it, and how) are kept
apart, so that every message can be judged by the truth.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from sandbox import acts
from sandbox.documents import Advance, Payment, Ref
from sandbox.ledger import Ledger
from sandbox.refusals import Refusal

# Days after the due date on which they pay, and how often: prompt, forgetful, squeezed, chronic.
KINDS = {
    "prompt": (0.45, -6, 0),
    "forgetful": (0.25, 3, 14),
    "squeezed": (0.2, 10, 45),
    "chronic": (0.1, 25, 70),
}
COUNTRIES = (("US", 0.7), ("DE", 0.12), ("AU", 0.1), ("FR", 0.08))
EVERY = 30  # days between two invoices of a customer
TERMS = 14


def company(customers: int, seed: int) -> dict[str, Any]:
    """The empty books of a company with this many customers (books/1)."""
    random = Random(f"company {seed}")
    return {
        "format": "books/1",
        "company": {
            "id": f"contact-{seed}",
            "name": "Harbor Supply",
            "country": "US",
            "home_currency": "USD",
            "timezone": "America/New_York",
        },
        "customers": [
            {
                "id": f"c{n}",
                "name": f"Customer {n}",
                "currency": "USD",
                "email": f"c{n}@example.com",
                "country": random.choices([c for c, _ in COUNTRIES], [w for _, w in COUNTRIES])[0],
            }
            for n in range(customers)
        ],
        "invoices": [],
        "payments": [],
    }


@dataclass
class World:
    """`paid` is the truth: customer → money that left them and that no invoice shows as settled yet."""

    ledger: Ledger
    random: Random
    today: dt.date
    kind: dict[str, str] = field(default_factory=dict)
    coming: dict[dt.date, list[Callable[[], None]]] = field(default_factory=lambda: defaultdict(list))
    paid: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    refused: int = 0

    @classmethod
    def of(cls, ledger: Ledger, today: dt.date, seed: int) -> World:
        random = Random(f"world {seed}")
        made = cls(ledger, random, today)
        for customer in ledger.customers.in_order():
            names, weights = list(KINDS), [w for w, _, _ in KINDS.values()]
            made.kind[customer.id] = random.choices(names, weights)[0]
            first = today + dt.timedelta(random.randrange(EVERY))
            made._later(first, lambda id=customer.id: made._bill(id))
        return made

    def _later(self, day: dt.date, what: Callable[[], None]) -> None:
        self.coming[max(day, self.today)].append(what)

    def happen(self, share: float = 1.0) -> None:
        """Do what the day brings; with a share, only that part of it and the rest at the next call."""
        due = self.coming.pop(self.today, [])
        self.random.shuffle(due)
        now, rest = due[: round(len(due) * share)], due[round(len(due) * share) :]
        if rest:
            self.coming[self.today] = rest
        for what in now:
            try:
                what()
            except Refusal:
                self.refused += 1

    def _bill(self, customer: str) -> None:
        self._later(self.today + dt.timedelta(EVERY), lambda: self._bill(customer))
        amount = self.random.randrange(5_000, 400_000)
        due = self.today + dt.timedelta(TERMS)
        invoice = acts.bill(self.ledger, customer=customer, net=amount, day=self.today, due=due, taxed=False)
        _, first, last = KINDS[self.kind[customer]]
        day = due + dt.timedelta(self.random.randint(first, last))
        if self.kind[customer] == "squeezed" and self.random.random() < 0.6:
            part = invoice.total * self.random.randint(20, 60) // 100
            self._later(day, lambda: self._pay(customer, invoice.id, part))
            rest = invoice.total - part
            later = day + dt.timedelta(self.random.randint(10, 40))
            self._later(later, lambda: self._pay(customer, invoice.id, rest))
        else:
            self._later(day, lambda: self._pay(customer, invoice.id, invoice.total))

    def _pay(self, customer: str, invoice: str, amount: int) -> None:
        """The money leaves the customer today; it is in the ledger up to five days later, in one of four ways."""
        self.paid[customer] += amount
        seen = self.today + dt.timedelta(self.random.choice([0, 0, 1, 1, 2, 3, 4, 5]))
        way = self.random.choices(["applied", "unapplied", "post-dated", "ahead"], [0.7, 0.16, 0.07, 0.07])[0]
        if way == "ahead":  # entered at once, dated when the money will be there
            self._later(self.today, lambda: self._enter(customer, invoice, amount, matched=False, ahead=3))
        else:
            self._later(
                seen,
                lambda: self._enter(
                    customer,
                    invoice,
                    amount,
                    matched=way == "applied",
                    ahead=2 if way == "post-dated" else 0,
                ),
            )

    def _enter(self, customer: str, invoice: str, amount: int, *, matched: bool, ahead: int) -> None:
        day = self.today + dt.timedelta(ahead)
        if matched:
            acts.pay(self.ledger, invoice=invoice, amount=amount, day=day)
            self.paid[customer] -= amount
            return
        source = self._unmatched(customer, amount, day)
        match = max(day, self.today) + dt.timedelta(self.random.randint(1, 6))
        self._later(match, lambda: self._match(source, customer, invoice, amount))

    def _unmatched(self, customer: str, amount: int, day: dt.date) -> Ref:
        if self.ledger.organization.platform == "quickbooks":
            made = self.ledger.add_payment(
                Payment(customer=customer, date=day, amount=amount, currency="USD")
            )
            return Ref("payment", made.id)
        kept = self.ledger.add_advance(
            Advance(type="prepayment", customer=customer, date=day, amount=amount, currency="USD")
        )
        return Ref("advance", kept.id)

    def _match(self, source: Ref, customer: str, invoice: str, amount: int) -> None:
        acts.apply_money(self.ledger, source=source, invoice=invoice, amount=amount)
        self.paid[customer] -= amount

    # ---------------------------------------------------------------- the truth

    def visible(self, customer: str) -> int:
        """Money of the customer that the ledger shows and no invoice has: asking for it would chase a payer."""
        found = 0
        for document in self.ledger.documents_of(customer, "payment", "advance", "credit_note"):
            if document.status == "void":
                continue
            found += getattr(document, "unapplied", 0) or getattr(document, "balance", 0)
        return found

    def balance(self, invoice: str) -> int:
        return self.ledger.invoices[invoice].balance
