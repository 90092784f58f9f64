"""The sample companies: two wholesale food suppliers and two small cash-basis firms, invented here, always the same.

Everything follows from `trade` and a fixed seed, relative to the clock's today. Each habit is a story a bookkeeper
would recognize; only sizes and small delays vary at random.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from heapq import heappop, heappush

from sandbox import acts
from sandbox.books import own_rules
from sandbox.chart import no_tax_code, standard_tax_code
from sandbox.clock import Clock
from sandbox.documents import (
    Advance,
    CreditNote,
    Customer,
    Deposit,
    DepositLine,
    Invoice,
    Item,
    Line,
    Payment,
    Ref,
    Terms,
)
from sandbox.ledger import Ledger
from sandbox.money import half_up
from sandbox.organization import Organization
from sandbox.trade import AMERICAN, CATERING, GOODS, JOINERY, NEW_ZEALAND, Buyer

SEED = 1001
Act = tuple[date, int, Callable[[], None]]


def sample_companies(clock: Clock) -> list[Ledger]:
    """QuickBooks: an accrual and a cash-basis company in the United States. Xero: New Zealand, Great Britain."""
    quickbooks = Organization(
        id="9341450000000001", platform="quickbooks", name="Harbor Street Bakery Supply", home_currency="USD",
        legal_name="Harbor Street Bakery Supply LLC", country="US", timezone="America/New_York", tax_rate="8.25",
        email="accounts@harborstreet.example",
    )  # fmt: skip
    catering = Organization(
        id="9341450000000002", platform="quickbooks", name="Dunmore Catering", home_currency="USD",
        legal_name="Dunmore Catering Co", country="US", timezone="America/Chicago", tax_rate="8.25",
        income_basis="cash", tax_basis="cash", email="office@dunmore.example",
    )  # fmt: skip
    xero = Organization(
        id="6c1f7b3e-2a54-4c1e-a7d0-3f5b9e2c8a01", platform="xero", name="Cook Strait Wholesale Foods",
        legal_name="Cook Strait Wholesale Foods Limited", home_currency="NZD", country="NZ",
        timezone="Pacific/Auckland", tax_name="GST", tax_rate="15", email="accounts@cookstrait.example",
    )  # fmt: skip
    joinery = Organization(
        id="6c1f7b3e-2a54-4c1e-a7d0-3f5b9e2c8a02", platform="xero", name="Wharfside Joinery",
        legal_name="Wharfside Joinery Ltd", home_currency="GBP", country="GB", timezone="Europe/London",
        tax_name="VAT", tax_rate="20", income_basis="cash", tax_basis="cash", email="office@wharfside.example",
    )  # fmt: skip
    wanted = ((quickbooks, AMERICAN), (catering, CATERING), (xero, NEW_ZEALAND), (joinery, JOINERY))
    return [_Story(organization, buyers, clock).told() for organization, buyers in wanted]


@dataclass(slots=True)
class _Person:
    """A buyer in the books, and what the stories need to remember about it."""

    buyer: Buyer
    id: str
    orders: int = 0


class _Story:
    """One company's two years."""

    def __init__(self, organization: Organization, buyers: tuple[Buyer, ...], clock: Clock) -> None:
        organization.rules = own_rules(organization.platform)
        self.ledger = Ledger(organization, clock)
        self.buyers = buyers
        self.today = self.ledger.today()
        self.random = random.Random(f"{SEED} {organization.name}")
        self.quickbooks = organization.platform == "quickbooks"
        self.acts: list[Act] = []
        self.planned = 0
        self.number = 2000
        self.goods: list[Item] = []

    def told(self) -> Ledger:
        ledger = self.ledger
        opened = self.today - timedelta(days=760)
        with ledger.quietly(), ledger.at(_moment(opened)):
            self._stock()
        people = [self._person(buyer) for buyer in self.buyers]
        for person in people:
            self._orders(person)
        if self.quickbooks:
            self._banking()
        with ledger.quietly():
            while self.acts:  # acts plan further acts (a payment follows its invoice)
                day, order, act = heappop(self.acts)
                with ledger.at(_moment(day, order)):
                    act()
        return ledger

    def _plan(self, day: date, act: Callable[[], None]) -> None:
        if day <= self.today:
            self.planned += 1
            heappush(self.acts, (day, self.planned, act))

    # ---- setting up ----------------------------------------------------------------------------------------

    def _stock(self) -> None:
        sales = self.ledger.account_by_role("sales").id
        home_taxed = self.ledger.organization.country != "US"
        for n, (name, price, taxable) in enumerate(GOODS, 1):
            item = Item(
                name=name, code=f"P{n:02}", description=name, income_account=sales, type="non_inventory",
                unit_price=price, taxable=taxable or home_taxed,
            )  # fmt: skip
            self.goods.append(self.ledger.add_item(item))

    def _person(self, buyer: Buyer) -> _Person:
        slug = "".join(c for c in buyer.name.lower() if c.isalnum())
        joined = self.today - timedelta(days=buyer.months * 30 + 5)
        foreign = {"USD": "CAD", "NZD": "AUD"}.get(self.ledger.organization.home_currency, "EUR")
        following = not self.quickbooks and buyer.terms == 20
        customer = Customer(
            name=buyer.name, company_name=buyer.name, email=f"accounts@{slug}.example",
            phone=f"+1 555 01{self.random.randrange(100):02}" if self.quickbooks else "",
            currency=foreign if buyer.habit == "abroad" else "",
            terms=Terms(
                days=buyer.terms, name=f"Net {buyer.terms}",
                basis="of_following_month" if following else "after_invoice_date",
            ),
            credit_limit=1500000 if buyer.habit == "big" else None,
            address={"country": self.ledger.organization.country},
        )  # fmt: skip
        with self.ledger.quietly(), self.ledger.at(_moment(joined)):
            return _Person(buyer, self.ledger.add_customer(customer).id)

    def _orders(self, person: _Person) -> None:
        """Plan every order of a buyer; each one, when it happens, plans how it is paid."""
        buyer = person.buyer
        if buyer.habit == "example":
            self._example(person)
        day = self.today - timedelta(days=buyer.months * 30 - self.random.randrange(buyer.every))
        last = self.today - timedelta(days=150 if buyer.habit in ("left", "example") else 1)
        while day <= last:
            if self._in_season(buyer.habit, day):
                weekday = day - timedelta(days=max(0, day.weekday() - 4))
                self._plan(weekday, lambda d=weekday: self._order(person, d))  # type: ignore[misc]
            day += timedelta(days=buyer.every + self.random.randrange(-2, 3))
        if buyer.habit == "left":
            self._plan(self.today - timedelta(days=60), lambda: self._archive(person))

    def _in_season(self, habit: str, day: date) -> bool:
        southern = self.ledger.organization.country == "NZ"
        winter = day.month in ((6, 7, 8) if southern else (11, 12, 1, 2))
        summer = day.month in ((12, 1, 2) if southern else (5, 6, 7, 8))
        return {"seasonal_winter": winter, "seasonal_summer": summer}.get(habit, True)

    def _archive(self, person: _Person) -> None:
        self.ledger.edit(Ref("customer", person.id), active=False)

    # ---- selling -------------------------------------------------------------------------------------------

    def _next_number(self) -> str:
        self.number += 1
        return self._numbered(str(self.number))

    def _numbered(self, number: str) -> str:
        return number if self.quickbooks else f"INV-{number}"

    def _lines(self, buyer: Buyer) -> list[Line]:
        taxed, untaxed = standard_tax_code(self.ledger), no_tax_code(self.ledger)
        rate = Decimal(self.ledger.organization.tax_rate)
        lines = []
        for item in self.random.sample(self.goods, buyer.lines):
            units = max(1, round(buyer.units * self.random.uniform(0.6, 1.5)))
            net = units * (item.unit_price or 0)
            taxable = item.taxable and buyer.habit != "abroad"
            lines.append(
                Line(
                    net=net, tax=half_up(net * rate / 100) if taxable else 0, tax_code=taxed if taxable else untaxed,
                    account=item.income_account, item=item.id, description=item.description,
                    quantity=Decimal(units), unit_price=Decimal(item.unit_price or 0) / 100,
                )
            )  # fmt: skip
        return lines

    def _order(self, person: _Person, day: date) -> None:
        buyer, ledger = person.buyer, self.ledger
        person.orders += 1
        invoice = Invoice(
            customer=person.id, number=self._next_number(), date=day, due=self._due(buyer, day), lines=self._lines(buyer),
            rate=Decimal({"CAD": "0.72", "AUD": "1.09"}.get(ledger.customers[person.id].currency, "1")),
            reference=f"PO {self.random.randrange(1000, 9999)}" if buyer.lines == 3 else "",
            customer_memo="Thank you for your order." if self.quickbooks else "",
            email=ledger.customers[person.id].email, emailed_at=_moment(day, 1),
        )  # fmt: skip
        ledger.add_invoice(invoice)
        getattr(self, f"_{buyer.habit}")(person, invoice)

    def _due(self, buyer: Buyer, day: date) -> date:
        if not self.quickbooks and buyer.terms == 20:
            return (day.replace(day=1) + timedelta(days=32)).replace(day=20)
        return day + timedelta(days=buyer.terms)

    def _pays(self, invoice: Invoice, day: date, amount: int | None = None) -> None:
        """Plan a payment; banks are shut at the weekend."""
        day = max(day, invoice.date)
        day += timedelta(days=max(0, 7 - day.weekday()) if day.weekday() > 4 else 0)

        def pay() -> None:
            left = min(amount or invoice.balance, invoice.balance)
            if left:
                acts.pay(self.ledger, invoice=invoice.id, amount=left, day=day, reference=self._reference())

        self._plan(day, pay)

    def _reference(self) -> str:
        number = self.random.randrange(10000, 99999)
        return f"Check {number}" if self.quickbooks else f"Transfer {number}"

    def _notes(self, kind: str, id: str, day: date, text: str) -> None:
        self._plan(day, lambda: _ignore(self.ledger.add_note(Ref(kind, id), text, user="Robin Hale")))

    def _age(self, invoice: Invoice) -> int:
        return (self.today - invoice.date).days

    # ---- habits: how an invoice of such a buyer is paid --------------------------------------------------------

    def _late_by(self, invoice: Invoice, least: int, most: int) -> None:
        self._pays(invoice, (invoice.due or invoice.date) + timedelta(days=self.random.randint(least, most)))

    def _steady(self, person: _Person, invoice: Invoice) -> None:
        self._late_by(invoice, -4, 2)

    def _early(self, person: _Person, invoice: Invoice) -> None:
        self._late_by(invoice, -14, -6)

    def _month_end(self, person: _Person, invoice: Invoice) -> None:
        """Pays by statement: everything due by the last Friday of the month, in one remittance."""
        end = ((invoice.due or invoice.date).replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(
            days=1
        )
        friday = end - timedelta(days=(end.weekday() - 4) % 7)

        def remit() -> None:
            due = [d for d in self.ledger.documents_of(person.id, "invoice") if d.balance and d.due <= friday]
            if due:
                acts.pay(
                    self.ledger, customer=person.id, amount=sum(d.balance for d in due), day=friday,
                    reference=self._reference(),
                )  # fmt: skip

        self._plan(friday, remit)

    def _forgetful(self, person: _Person, invoice: Invoice) -> None:
        """Pays the day it is reminded, always in full."""
        self._late_by(invoice, 5, 10)

    def _slow(self, person: _Person, invoice: Invoice) -> None:
        """Three to five weeks late, every time; never lost a cent."""
        self._late_by(invoice, 22, 36)

    def _seasonal_winter(self, person: _Person, invoice: Invoice) -> None:
        self._late_by(invoice, -1, 5)

    _seasonal_summer = _seasonal_winter
    _big = _steady

    def _new(self, person: _Person, invoice: Invoice) -> None:
        self._late_by(invoice, 0, 6)

    def _left(self, person: _Person, invoice: Invoice) -> None:
        self._late_by(invoice, 0, 12)

    def _abroad(self, person: _Person, invoice: Invoice) -> None:
        self._late_by(invoice, 3, 12)

    def _chronic(self, person: _Person, invoice: Invoice) -> None:
        """Two to three months late from the first day, and the last ones not at all."""
        due = invoice.due or invoice.date
        if self._age(invoice) > 160 or person.orders % 3 == 0:
            self._pays(invoice, due + timedelta(days=self.random.randint(58, 95)))
        for reminder in (14, 35):
            self._notes(
                "invoice",
                invoice.id,
                due + timedelta(days=reminder),
                "Called about this invoice. No date given.",
            )

    def _squeezed(self, person: _Person, invoice: Invoice) -> None:
        """On time for long; since five months in parts, and the parts shrink."""
        age, due = self._age(invoice), invoice.due or invoice.date
        if age > 165:
            self._late_by(invoice, -2, 3)
            return
        first = Decimal(max(22, min(70, (age - 20) * 70 // 145))) / 100
        part = half_up(invoice.total * first)
        self._pays(invoice, due + timedelta(days=self.random.randint(4, 9)), part)
        if age > 110:
            self._pays(invoice, due + timedelta(days=38), half_up(invoice.total * first / 2))
            self._pays(invoice, due + timedelta(days=61))

    def _first_miss(self, person: _Person, invoice: Invoice) -> None:
        """Never late in two years; the invoice that fell due last month is still open."""
        if not 34 <= self._age(invoice) <= 75:
            self._late_by(invoice, -5, 0)

    def _broken_promise(self, person: _Person, invoice: Invoice) -> None:
        """Promised twice for the same invoice; neither day brought money."""
        age, due = self._age(invoice), invoice.due or invoice.date
        if age > 100:
            self._late_by(invoice, 2, 12)
        elif age > 60:
            for asked, promised in ((6, 14), (17, 24)):
                day = due + timedelta(days=promised)
                self._notes(
                    "invoice", invoice.id, due + timedelta(days=asked), f"Promised to pay in full on {day}."
                )

    def _disputing(self, person: _Person, invoice: Invoice) -> None:
        """A delivery came damaged; one invoice has been argued about since."""
        if not 45 <= self._age(invoice) < 73:
            self._late_by(invoice, -2, 4)
            return
        day = invoice.date + timedelta(days=6)

        def dispute() -> None:
            words = "Disputed: two cases arrived damaged. Waiting for the driver's report."
            invoice.flags.append((day, "disputed"))
            self.ledger.add_note(Ref("invoice", invoice.id), words, user="Robin Hale")
            if self.quickbooks:
                self.ledger.edit(Ref("invoice", invoice.id), private_note=words)

        self._plan(day, dispute)

    def _on_account(self, person: _Person, invoice: Invoice) -> None:
        """Pays round sums ahead of the paperwork: money waits that belongs to no invoice yet."""
        age = self._age(invoice)
        if age > 40:
            self._late_by(invoice, -3, 3)
        elif age > 18:

            def ahead() -> None:
                self._unapplied(person.id, 25000)

            self._plan(invoice.date + timedelta(days=10), ahead)

    def _unapplied(self, customer: str, amount: int) -> None:
        if self.quickbooks:
            self.ledger.add_payment(
                Payment(customer=customer, date=self._day_now(), amount=amount, reference=self._reference())
            )
        else:
            self.ledger.add_advance(
                Advance(
                    type="overpayment", customer=customer, date=self._day_now(), amount=amount,
                    reference=self._reference(),
                )
            )  # fmt: skip

    def _day_now(self) -> date:
        return (self.ledger.stamped or _moment(self.today)).date()

    def _returns(self, person: _Person, invoice: Invoice) -> None:
        """Sends stale stock back now and then: a credit note, then the rest in full."""
        if person.orders % 4 == 0:
            day = invoice.date + timedelta(days=5)
            self._plan(day, lambda: _ignore(self._credit(invoice, day)))
        self._late_by(invoice, -3, 3)

    def _credit(self, invoice: Invoice, day: date) -> CreditNote:
        return acts.credit(self.ledger, invoice=invoice.id, amount=invoice.total // 5, day=day)

    def _late_fee(self, person: _Person, invoice: Invoice) -> None:
        """Late enough, often enough, to be charged for it; pays the goods and leaves the fee."""
        late = person.orders % 3 == 0 and self._age(invoice) > 80
        due = invoice.due or invoice.date
        if late:
            day = due + timedelta(days=15)
            self._plan(
                day, lambda: self._fee(invoice, day, 2500, f"LF-{invoice.number.removeprefix('INV-')}")
            )
        self._late_by(invoice, 25 if late else 0, 30 if late else 5)

    def _fee(self, invoice: Invoice, day: date, amount: int, number: str, terms: int = 14) -> None:
        line = Line(
            net=amount, account=self.ledger.account_by_role("late_fees").id, tax_code=no_tax_code(self.ledger),
            description=f"Late payment fee for invoice {invoice.number}",
        )  # fmt: skip
        self.ledger.add_invoice(
            Invoice(
                customer=invoice.customer, number=number, date=day, due=day + timedelta(days=terms), lines=[line],
                late_fee_of=invoice.id,
            )
        )  # fmt: skip

    def _example(self, person: _Person, invoice: Invoice | None = None) -> None:
        """Invoice 1001: 1,000.00 + 150.00 tax, 300.00 received, a late fee of 50.00; else an ordinary customer."""
        if invoice is not None:
            self._late_by(invoice, 0, 8)
            return
        issued = self.today - timedelta(days=112)
        self._plan(issued, lambda: self._first_of_example(person, issued))

    def _first_of_example(self, person: _Person, issued: date) -> None:
        line = Line(
            net=100000, tax=15000, account=self.ledger.account_by_role("sales").id, item=self.goods[0].id,
            tax_code=standard_tax_code(self.ledger), description="Opening stock for the new counter",
        )  # fmt: skip
        invoice = Invoice(
            customer=person.id, number=self._numbered("1001"), date=issued, due=issued + timedelta(days=30), lines=[line],
            email=self.ledger.customers[person.id].email, emailed_at=_moment(issued, 1),
        )  # fmt: skip
        self.ledger.add_invoice(invoice)
        paid = self.today - timedelta(days=62)
        self._plan(paid, lambda: _ignore(acts.pay(self.ledger, invoice=invoice.id, amount=30000, day=paid)))
        charged = self.today - timedelta(days=65)
        self._plan(charged, lambda: self._fee(invoice, charged, 5000, "LF-1001"))

    # ---- the bank ------------------------------------------------------------------------------------------

    def _banking(self) -> None:
        """QuickBooks: on the first of each month the waiting payments are deposited; the last weeks still wait."""
        day = (self.today - timedelta(days=700)).replace(day=1)
        while day < self.today - timedelta(days=20):
            self._plan(day, lambda d=day: self._deposit(d))  # type: ignore[misc]
            day = (day + timedelta(days=32)).replace(day=1)

    def _deposit(self, day: date) -> None:
        home = self.ledger.organization.home_currency
        waiting = [
            p for p in self.ledger.payments
            if p.live and p.amount and not p.deposit and p.currency == home and p.date < day
        ]  # fmt: skip
        if waiting:
            lines = [DepositLine(amount=p.amount, payment=p.id) for p in waiting]
            bank = self.ledger.account_by_role("bank").id
            self.ledger.add_deposit(Deposit(date=day, account=bank, lines=lines))


def _moment(day: date, n: int = 0) -> datetime:
    return datetime.combine(day, time(20), UTC) + timedelta(seconds=n % 3600)


def _ignore(_: object) -> None:
    """A callback's answer that nobody needs."""
