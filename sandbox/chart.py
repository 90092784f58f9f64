"""The charts of accounts a new company starts with, one per platform."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from sandbox.documents import Account, AccountType, Item, TaxCode

if TYPE_CHECKING:
    from sandbox.ledger import Ledger

# code, name, type, role, system
_QUICKBOOKS: list[tuple[str, str, AccountType, str, bool]] = [
    ("", "Checking", "bank", "bank", False),
    ("", "Accounts Receivable (A/R)", "receivable", "receivable", True),
    ("", "Undeposited Funds", "undeposited", "undeposited", True),
    ("", "Inventory Asset", "current_asset", "inventory", False),
    ("", "Sales Tax Payable", "tax", "tax", True),
    ("", "Opening Balance Equity", "equity", "", True),
    ("", "Sales of Product Income", "income", "sales", False),
    ("", "Services", "income", "services", False),
    ("", "Late Fee Income", "other_income", "late_fees", False),
    ("", "Interest Earned on Accounts", "other_income", "interest", False),
    ("", "Discounts given", "income", "discounts", False),
    ("", "Bad Debts", "expense", "bad_debts", False),
    ("", "Exchange Gain or Loss", "other_expense", "realized_gain", True),
    ("", "Rounding", "other_expense", "rounding", False),
]
_XERO: list[tuple[str, str, AccountType, str, bool]] = [
    ("090", "Business Bank Account", "bank", "bank", False),
    ("200", "Sales", "income", "sales", False),
    ("210", "Delivery Income", "income", "services", False),
    ("260", "Late Fee Income", "other_income", "late_fees", False),
    ("270", "Interest Income", "other_income", "interest", False),
    ("290", "Discounts Allowed", "expense", "discounts", False),
    ("404", "Bad Debts", "expense", "bad_debts", False),
    ("497", "Bank Revaluations", "expense", "", True),
    ("499", "Realised Currency Gains", "expense", "realized_gain", True),
    ("610", "Accounts Receivable", "receivable", "receivable", True),
    ("630", "Inventory", "current_asset", "inventory", False),
    ("820", "Sales Tax", "tax", "tax", True),
    ("860", "Rounding", "current_liability", "rounding", True),
    ("960", "Retained Earnings", "equity", "", True),
]


def open_books(ledger: Ledger) -> None:
    """Accounts, tax codes and items of a new company, by its platform, country and tax rate."""
    organization = ledger.organization
    quickbooks = organization.platform == "quickbooks"
    for code, name, type_, role, system in _QUICKBOOKS if quickbooks else _XERO:
        ledger.add_account(Account(code=code, name=name, type=type_, role=role, system=system))
    rate = Decimal(organization.tax_rate)
    if quickbooks and organization.country == "US":
        ledger.add_tax_code(TaxCode(id="TAX", name="TAX", rate=rate))
        ledger.add_tax_code(TaxCode(id="NON", name="NON", taxable=False))
    elif quickbooks:
        ledger.add_tax_code(TaxCode(id="2", name=f"{organization.tax_name} {rate:f}%", rate=rate))
        ledger.add_tax_code(TaxCode(id="3", name="Zero-rated"))
        ledger.add_tax_code(TaxCode(id="4", name="Out of scope", taxable=False))
    else:
        ledger.add_tax_code(
            TaxCode(id="OUTPUT2", name=f"{rate:f}% ({organization.tax_name} on Income)", rate=rate)
        )
        ledger.add_tax_code(TaxCode(id="ZERORATEDOUTPUT", name="Zero Rated Income"))
        ledger.add_tax_code(TaxCode(id="EXEMPTOUTPUT", name="Exempt Income"))
        if organization.country == "AU":
            ledger.add_tax_code(TaxCode(id="BASEXCLUDED", name="BAS Excluded", taxable=False))
        ledger.add_tax_code(TaxCode(id="NONE", name="No Tax", taxable=False))
    sales, services = ledger.account_by_role("sales").id, ledger.account_by_role("services").id
    taxable = rate > 0
    ledger.add_item(
        Item(name="Goods", code="GOODS", income_account=sales, taxable=taxable, type="non_inventory")
    )
    ledger.add_item(Item(name="Delivery", code="DELIVERY", income_account=services, taxable=taxable))
    late = ledger.account_by_role("late_fees").id
    ledger.add_item(Item(name="Late fee", code="LATEFEE", income_account=late))


def standard_tax_code(ledger: Ledger) -> str:
    """Id of the code that carries the organization's rate; the off-return code when it has none."""
    rate = Decimal(ledger.organization.tax_rate)
    for code in ledger.tax_codes:
        if code.taxable and code.active and code.rate == rate and rate:
            return code.id
    return no_tax_code(ledger)


def no_tax_code(ledger: Ledger) -> str:
    """Id of the code that is off the tax return: NON, NONE or Out of scope."""
    return next(code.id for code in ledger.tax_codes if not code.taxable)
