"""Accounts, tax rates and currencies in Xero's words."""

from __future__ import annotations

from decimal import Decimal
from typing import get_args

from sandbox.documents import Account, AccountType, TaxCode
from sandbox.xero.envelope import Json, decimal, moment, without_nulls

# our word -> (Xero's type, Xero's class)
_TYPES: dict[str, tuple[str, str]] = {
    "bank": ("BANK", "ASSET"),
    "receivable": ("CURRENT", "ASSET"),
    "undeposited": ("CURRENT", "ASSET"),
    "current_asset": ("CURRENT", "ASSET"),
    "fixed_asset": ("FIXED", "ASSET"),
    "payable": ("CURRLIAB", "LIABILITY"),
    "current_liability": ("CURRLIAB", "LIABILITY"),
    "tax": ("CURRLIAB", "LIABILITY"),
    "long_liability": ("TERMLIAB", "LIABILITY"),
    "equity": ("EQUITY", "EQUITY"),
    "income": ("REVENUE", "REVENUE"),
    "other_income": ("OTHERINCOME", "REVENUE"),
    "cost_of_sales": ("DIRECTCOSTS", "EXPENSE"),
    "expense": ("EXPENSE", "EXPENSE"),
    "other_expense": ("OVERHEADS", "EXPENSE"),
}
_OURS: dict[str, AccountType] = {
    "BANK": "bank",
    "CURRENT": "current_asset",
    "INVENTORY": "current_asset",
    "PREPAYMENT": "current_asset",
    "FIXED": "fixed_asset",
    "NONCURRENT": "fixed_asset",
    "CURRLIAB": "current_liability",
    "PAYG": "current_liability",
    "LIABILITY": "long_liability",
    "TERMLIAB": "long_liability",
    "EQUITY": "equity",
    "REVENUE": "income",
    "SALES": "income",
    "OTHERINCOME": "other_income",
    "DIRECTCOSTS": "cost_of_sales",
    "EXPENSE": "expense",
    "DEPRECIATN": "expense",
    "OVERHEADS": "other_expense",
}
_SYSTEM = {"receivable": "DEBTORS", "payable": "CREDITORS", "tax": "GST"}
_SYSTEM_ROLES = {"rounding": "ROUNDING", "realized_gain": "REALISEDCURRENCYGAIN"}
# Tax kinds that Xero's rates report under, by rate code; anything else is an ordinary sale
_REPORTED = {"NONE": "NONE", "BASEXCLUDED": "BASEXCLUDED", "ZERORATED": "OUTPUT", "OUTPUT2": "OUTPUT"}

assert set(_TYPES) == set(get_args(AccountType))  # noqa: S101


def account_row(account: Account, home: str) -> Json:
    """One account as GET /Accounts shows it."""
    kind, family = _TYPES[account.type]
    if "Type" in account.extra:
        kind = account.extra["Type"]
    bank = kind == "BANK"
    return without_nulls(
        {
            "AccountID": account.id,
            "Code": account.code or None,
            "Name": account.name,
            "Status": "ACTIVE" if account.active else "ARCHIVED",
            "Type": kind,
            "TaxType": account.tax_code or "NONE",
            "Description": account.extra.get("Description"),
            "Class": family,
            "SystemAccount": system_name(account) or None,
            "EnablePaymentsToAccount": account.takes_payments,
            "ShowInExpenseClaims": False,
            "BankAccountNumber": account.extra.get("BankAccountNumber", "") if bank else None,
            "BankAccountType": "BANK" if bank else None,
            "CurrencyCode": (account.currency or home) if bank else None,
            "ReportingCode": "",
            "HasAttachments": False,
            "UpdatedDateUTC": moment(account.updated),
            "AddToWatchlist": False,
        }
    )


def system_name(account: Account) -> str:
    """Xero's SystemAccount word, "" for an ordinary account."""
    if not account.system:
        return ""
    return _SYSTEM.get(account.type) or _SYSTEM_ROLES.get(account.role, "HISTORICAL")


def our_type(xero: str) -> AccountType | None:
    """Our account type for Xero's, None when Xero has no such type."""
    return _OURS.get(xero)


def tax_rate_row(code: TaxCode) -> Json:
    """One tax rate as GET /TaxRates shows it."""
    rate = decimal(code.rate, 4)
    components = [{"Name": code.name, "Rate": rate, "IsCompound": False, "IsNonRecoverable": False}]
    return {
        "Name": code.name,
        "TaxType": code.id,
        "ReportTaxType": _REPORTED.get(code.id, "OUTPUT" if code.rate else "NONE"),
        "CanApplyToAssets": True,
        "CanApplyToEquity": True,
        "CanApplyToExpenses": not code.rate,
        "CanApplyToLiabilities": True,
        "CanApplyToRevenue": True,
        "DisplayTaxRate": rate,
        "EffectiveRate": rate,
        "Status": "ACTIVE" if code.active else "ARCHIVED",
        "TaxComponents": components if code.rate else [],
    }


def percentage(code: TaxCode | None) -> Decimal:
    """The rate in percent; 0 without a code."""
    return code.rate if code else Decimal(0)
