"""Accounts and items, both ways. Never deleted: `Active: false` hides them and frees their name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sandbox.documents import Account, AccountType, Item
from sandbox.quickbooks import faults, native
from sandbox.quickbooks.native import Json

if TYPE_CHECKING:
    from sandbox.ledger import Ledger

# Our type → Intuit's type, its usual subtype, and the classification.
_ACCOUNT_TYPES: dict[AccountType, tuple[str, str, str]] = {
    "bank": ("Bank", "Checking", "Asset"),
    "receivable": ("Accounts Receivable", "AccountsReceivable", "Asset"),
    "undeposited": ("Other Current Asset", "UndepositedFunds", "Asset"),
    "current_asset": ("Other Current Asset", "OtherCurrentAssets", "Asset"),
    "fixed_asset": ("Fixed Asset", "OtherFixedAssets", "Asset"),
    "payable": ("Accounts Payable", "AccountsPayable", "Liability"),
    "current_liability": ("Other Current Liability", "OtherCurrentLiabilities", "Liability"),
    "tax": ("Other Current Liability", "GlobalTaxPayable", "Liability"),
    "long_liability": ("Long Term Liability", "OtherLongTermLiabilities", "Liability"),
    "equity": ("Equity", "OpeningBalanceEquity", "Equity"),
    "income": ("Income", "SalesOfProductIncome", "Revenue"),
    "other_income": ("Other Income", "OtherMiscellaneousIncome", "Revenue"),
    "cost_of_sales": ("Cost of Goods Sold", "SuppliesMaterialsCogs", "Expense"),
    "expense": ("Expense", "OtherMiscellaneousServiceCost", "Expense"),
    "other_expense": ("Other Expense", "OtherMiscellaneousExpense", "Expense"),
}
_OUR_TYPES: dict[str, AccountType] = {
    **{names[0]: ours for ours, names in reversed(_ACCOUNT_TYPES.items())},
    "Other Current Asset": "current_asset",
    "Other Current Liability": "current_liability",
    "Other Asset": "fixed_asset",
    "Credit Card": "current_liability",
}
_SUBTYPES: dict[str, AccountType] = {names[1]: ours for ours, names in _ACCOUNT_TYPES.items()}
_ITEM_TYPES = {"service": "Service", "inventory": "Inventory", "non_inventory": "NonInventory"}

_ITEM_KEPT = [
    "Sku",
    "PurchaseDesc",
    "PurchaseCost",
    "ExpenseAccountRef",
    "AssetAccountRef",
    "TrackQtyOnHand",
    "QtyOnHand",
    "InvStartDate",
]
_ACCOUNT_KEPT = ["Description", "AccountType", "AccountSubType", "SubAccount", "ParentRef"]


def render_account(ledger: Ledger, account: Account, balance: int = 0) -> Json:
    """`balance`: of the account on the accrual basis, home currency minor units, with the sign of its side."""
    kind, subtype, classification = _ACCOUNT_TYPES[account.type]
    currency = account.currency or ledger.organization.home_currency
    shown = native.shown_name(account)
    body = native.head(account)
    body |= {
        "Name": shown,
        "SubAccount": False,
        "FullyQualifiedName": shown,
        "Active": account.active,
        "Classification": classification,
        "AccountType": kind,
        "AccountSubType": subtype,
        "AcctNum": account.code,
        "CurrentBalance": native.total(balance, currency),
        "CurrentBalanceWithSubAccounts": native.total(balance, currency),
        "CurrencyRef": native.currency_ref(currency),
    }
    return native.without_empty(body | account.extra.get("quickbooks", {}))


def read_account(ledger: Ledger, body: Mapping[str, Any], before: Account | None) -> Account:
    """The neutral account of a full body. Raises Fault 2020 or 6430."""
    name = native.check_name(native.text(body, "Name"))
    if not name:
        raise faults.missing("Name")
    kind, subtype = native.text(body, "AccountType"), native.text(body, "AccountSubType")
    if not kind and not subtype:
        raise faults.missing("AccountType")
    ours = _OUR_TYPES.get(kind) if kind else _SUBTYPES.get(subtype)
    if kind and subtype in _SUBTYPES and _ACCOUNT_TYPES[_SUBTYPES[subtype]][0] == kind:
        ours = _SUBTYPES[subtype]
    if ours is None or ours in ("tax", "undeposited") and before is None:
        raise faults.wrong_account_type(f"{kind or subtype} is not a type of account that can be added.")
    kept = native.kept(body, _ACCOUNT_KEPT)
    kept["AccountType"], kept["AccountSubType"] = (
        kind or _ACCOUNT_TYPES[ours][0],
        subtype or _ACCOUNT_TYPES[ours][1],
    )
    return Account(
        name=name.removesuffix(" (deleted)"),
        type=ours,
        code=native.text(body, "AcctNum"),
        active=body.get("Active") not in (False, "false"),
        extra={"quickbooks": kept},
    )


def render_item(ledger: Ledger, item: Item) -> Json:
    shown = native.shown_name(item)
    body = native.head(item)
    home = ledger.organization.home_currency
    body |= {
        "Name": shown,
        "Description": item.description,
        "Active": item.active,
        "FullyQualifiedName": shown,
        "Taxable": item.taxable,
        "UnitPrice": native.total(item.unit_price or 0, home),
        "Type": _ITEM_TYPES[item.type],
        "IncomeAccountRef": native.account_ref(ledger, item.income_account),
        "PurchaseCost": 0,
        "TrackQtyOnHand": False,
    }
    if item.tax_code:
        body["SalesTaxCodeRef"] = {"value": item.tax_code}
    return native.without_empty(body | item.extra.get("quickbooks", {}))


def read_item(ledger: Ledger, body: Mapping[str, Any], before: Item | None, *, income_only: bool) -> Item:
    """The neutral item of a full body. Raises Fault 2020, 2500, 6240 or 6430.

    `income_only`: whether the account behind it must be an income account. QuickBooks's own advice for
    retainers says no; for the API nobody has confirmed it.
    """
    name = native.check_name(native.text(body, "Name")).removesuffix(" (deleted)")
    if not name:
        raise faults.missing("Name")
    kinds = {theirs: ours for ours, theirs in _ITEM_TYPES.items()}
    kind = kinds.get(native.text(body, "Type") or "Service")
    if kind is None:
        raise faults.no_feature(f"Items of type {body['Type']} are not available.")
    account = native.reference(body, "IncomeAccountRef")
    if not account:
        raise faults.missing("IncomeAccountRef")
    found = ledger.accounts.get(account)
    if found is None:
        raise faults.bad_reference("Accounts", account)
    if income_only and found.type not in ("income", "other_income"):
        raise faults.wrong_account_type("The income account of an item must be an income account.")
    active = body.get("Active") not in (False, "false")
    if active:
        _check_item_name(ledger, name, before)
    return Item(
        name=name,
        income_account=account,
        description=native.text(body, "Description"),
        type=kind,
        unit_price=native.minor(body, "UnitPrice", ledger.organization.home_currency),
        taxable=native.flag(body, "Taxable"),
        tax_code=native.reference(body, "SalesTaxCodeRef"),
        active=active,
        code=before.code if before else "",
        extra={"quickbooks": native.kept(body, _ITEM_KEPT)},
    )


def _check_item_name(ledger: Ledger, name: str, before: Item | None) -> None:
    for other in ledger.items:
        if other.active and other.name.casefold() == name.casefold() and other is not before:
            raise faults.duplicate_name("Another product or service")
