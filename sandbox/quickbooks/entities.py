"""The catalog: each QuickBooks entity, where its records are, how it is rendered and what queries compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox import money, reports
from sandbox.documents import PROFIT_AND_LOSS, Account, Record
from sandbox.quickbooks import (
    accounts,
    attachables,
    company,
    customers,
    faults,
    native,
    receipts,
    refunds,
    sales,
    terms,
)
from sandbox.quickbooks.native import Json
from sandbox.tables import Table

if TYPE_CHECKING:
    from sandbox.ledger import Ledger

Getter = Callable[["Ledger", Any], Any]


@dataclass(frozen=True, slots=True)
class Entity:
    """`columns` holds the properties a query can compare without rendering; others are read from the JSON."""

    name: str
    kind: str  # the ledger's word for its table
    render: Callable[[Ledger, Any], Json]
    columns: dict[str, Getter] = field(default_factory=dict)
    listed: bool = False  # a name list: inactive entries hide, nothing is ever deleted

    def table(self, ledger: Ledger) -> Table[Any]:
        return terms.terms_table(ledger) if self.kind == "term" else ledger.table(self.kind)

    def visible(self, ledger: Ledger, record: Any) -> bool:
        """Not a merged customer, not the credit note behind a refund receipt."""
        if self.kind == "credit_note":
            return record.id not in refunds.hidden(ledger)
        return not getattr(record, "merged_into", "")

    def hides(self, ledger: Ledger) -> bool:
        """Whether some records of the table may be invisible."""
        return self.listed or (self.kind == "credit_note" and bool(refunds.hidden(ledger)))

    def value(self, ledger: Ledger, record: Any, path: str) -> Any:
        """A property's value for comparing and sorting; a list of values for AttachableRef."""
        getter = self.columns.get(path)
        if getter is not None:
            return getter(ledger, record)
        found: Any = self.render(ledger, record)
        for part in path.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return found.get("value", found.get("Address")) if isinstance(found, dict) else found


def _second(moment: datetime) -> datetime:
    """Answers show whole seconds, so queries compare whole seconds."""
    return moment.replace(microsecond=0)


def _shown_total(sale: Any) -> Decimal:
    return money.to_decimal(0 if sale.status == "void" else sale.total, sale.currency)


_STAMPS: dict[str, Getter] = {
    "Id": lambda ledger, r: r.id,
    "MetaData.CreateTime": lambda ledger, r: _second(r.created),
    "MetaData.LastUpdatedTime": lambda ledger, r: _second(r.updated),
}
_SALE: dict[str, Getter] = {
    **_STAMPS,
    "DocNumber": lambda ledger, r: r.number or None,
    "TxnDate": lambda ledger, r: r.date,
    "CustomerRef": lambda ledger, r: r.customer,
    "CurrencyRef": lambda ledger, r: r.currency,
    "TotalAmt": lambda ledger, r: _shown_total(r),
    "Balance": lambda ledger, r: money.to_decimal(r.balance, r.currency),
    "DueDate": lambda ledger, r: r.due,
}
_PAYMENT: dict[str, Getter] = {
    **_STAMPS,
    "TxnDate": lambda ledger, r: r.date,
    "CustomerRef": lambda ledger, r: r.customer,
    "CurrencyRef": lambda ledger, r: r.currency,
    "PaymentRefNum": lambda ledger, r: r.reference or None,
    "DepositToAccountRef": lambda ledger, r: r.account,
    "TotalAmt": lambda ledger, r: money.to_decimal(0 if r.status == "void" else r.amount, r.currency),
}
_DATED: dict[str, Getter] = {**_STAMPS, "TxnDate": lambda ledger, r: r.date}
_NAMED: dict[str, Getter] = {
    **_STAMPS,
    "Active": lambda ledger, r: r.active,
    "Name": lambda ledger, r: native.shown_name(r),
}


def _account(ledger: Ledger, account: Account) -> Json:
    """With its balance, debit positive as QuickBooks shows it; accounts of the profit and loss show 0."""
    if account.type in PROFIT_AND_LOSS:
        return accounts.render_account(ledger, account)
    return accounts.render_account(ledger, account, reports.trial_balance(ledger).get(account.id, 0))


_ALL = (
    Entity("Invoice", "invoice", sales.render_invoice, _SALE),
    Entity("CreditMemo", "credit_note", sales.render_credit_memo, _SALE),
    Entity("Payment", "payment", receipts.render_payment, _PAYMENT),
    Entity("Deposit", "deposit", receipts.render_deposit, _DATED),
    Entity("JournalEntry", "journal", receipts.render_journal, _DATED),
    Entity("RefundReceipt", "refund", refunds.render, _DATED),
    Entity(
        "Customer",
        "customer",
        customers.render_customer,
        {**_NAMED, "DisplayName": lambda ledger, r: native.shown_name(r)},
        listed=True,
    ),
    Entity("Item", "item", accounts.render_item, _NAMED, listed=True),
    Entity("Account", "account", _account, _NAMED, listed=True),
    Entity("Term", "term", terms.render_term, _NAMED, listed=True),
    Entity("TaxCode", "tax_code", terms.render_tax_code, _NAMED, listed=True),
    Entity("Attachable", "attachment", attachables.render, attachables.COLUMNS | _STAMPS),
)
ENTITIES = {entity.name: entity for entity in _ALL}
BY_PATH = {entity.name.lower(): entity for entity in _ALL}
NAMES = {entity.kind: entity.name for entity in _ALL}


def singleton(ledger: Ledger, name: str) -> Json | None:
    """The entities there is exactly one of."""
    if name == "CompanyInfo":
        return company.render_company(ledger)
    return company.render_preferences(ledger) if name == "Preferences" else None


def find(ledger: Ledger, entity: Entity, id: str) -> Any:
    """The record. Raises Fault 2030 (not an id) or 610 (not there)."""
    if not id.isdigit() and entity.name != "TaxCode":
        raise faults.bad_id(id)
    record = entity.table(ledger).get(id)
    if record is None or not entity.visible(ledger, record):
        raise faults.not_found()
    return record


def order_of_id(record: Record) -> tuple[int, str]:
    """Ids count up; the two pseudo tax codes are words."""
    return (int(record.id), "") if record.id.isdigit() else (0, record.id)
