"""What a ledger checks before it changes anything: names, numbers, accounts, dates, currencies, amounts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sandbox.documents import (
    Account,
    Customer,
    Journal,
    Line,
    Sale,
)
from sandbox.holdings import Holdings
from sandbox.refusals import (
    DuplicateName,
    DuplicateNumber,
    InactiveAccount,
    InactiveCustomer,
    NotFound,
    Refusal,
    Unbalanced,
    UnknownAccount,
    WrongAccountType,
    WrongAmount,
    WrongCurrency,
)


class Checking(Holdings):
    """Each check raises the refusal that says why not; `_prepare_` also fills what was left out."""

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
