"""Accounts, tax rates, branding themes and users in Xero's words."""

from __future__ import annotations

import uuid
from typing import get_args

from sandbox.chart import standard_tax_code
from sandbox.documents import Account, AccountType, TaxCode
from sandbox.grants import User
from sandbox.ledger import Ledger
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


def account_row(ledger: Ledger, account: Account) -> Json:
    """One account as GET /Accounts shows it."""
    home = ledger.organization.home_currency
    kind = account.extra.get("Type", _TYPES[account.type][0])
    bank = kind == "BANK"
    return without_nulls(
        {
            "AccountID": account.id,
            "Code": account.code or None,
            "Name": account.name,
            "Status": "ACTIVE" if account.active else "ARCHIVED",
            "Type": kind,
            "TaxType": default_tax(ledger, account),
            "Description": account.extra.get("Description"),
            "Class": family(account),
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


def default_tax(ledger: Ledger, account: Account) -> str:
    """The TaxType that a line on this account gets when it names none."""
    if account.tax_code:
        return account.tax_code
    return standard_tax_code(ledger) if account.type in ("income", "other_income") else "NONE"


def family(account: Account) -> str:
    """Xero's Class: ASSET, EQUITY, EXPENSE, LIABILITY or REVENUE."""
    return _TYPES[account.type][1]


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


def branding_themes(ledger: Ledger) -> list[Json]:
    """Two themes: the standard one and one for installment requests."""
    created = moment(min(account.created for account in ledger.accounts))
    return [
        {
            "BrandingThemeID": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{ledger.organization.id}/theme/{name}")),
            "Name": name,
            "Type": "INVOICE",
            "SortOrder": order,
            "CreatedDateUTC": created,
        }
        for order, name in enumerate(("Standard", "Instalment request"))
    ]


def user_row(ledger: Ledger, user: User) -> Json:
    """The connected user, all that this organisation has."""
    return {
        "UserID": user.subject,
        "EmailAddress": user.email,
        "FirstName": user.given_name,
        "LastName": user.family_name,
        "UpdatedDateUTC": moment(min(account.created for account in ledger.accounts)),
        "IsSubscriber": True,
        "OrganisationRole": "STANDARD",
    }
