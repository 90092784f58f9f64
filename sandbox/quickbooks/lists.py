"""The name lists, both ways: customers, accounts, items, terms and tax codes.

Entries of a list are never deleted: `Active: false` hides them and frees their name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from sandbox.documents import Account, AccountType, Customer, Item, Record, TaxCode, Terms
from sandbox.quickbooks import faults, native
from sandbox.quickbooks.native import Json
from sandbox.tables import Table

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

_CUSTOMER_KEPT = [
    "Title",
    "MiddleName",
    "Suffix",
    "AlternatePhone",
    "Mobile",
    "Fax",
    "WebAddr",
    "ShipAddr",
    "BillAddr",
    "PrintOnCheckName",
    "Taxable",
    "Job",
    "BillWithParent",
    "SalesTermRef",
    "PaymentMethodRef",
    "CustomerTypeRef",
    "ResaleNum",
    "CustomField",
    "PreferredDeliveryMethod",
    "Source",
    "ParentRef",
]
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


def _kept(body: Mapping[str, Any], names: list[str]) -> Json:
    return {name: body[name] for name in names if native.given(body, name)}


def check_name(name: str) -> str:
    """A list entry's name. Raises Fault 6000 for a colon, tab or line end in it."""
    if any(sign in name for sign in ":\t\n\r"):
        raise faults.business("The name cannot contain a colon, a tab or a new line.")
    return name.strip()


# ---- customers ---------------------------------------------------------------------------------------------


def render_customer(ledger: Ledger, customer: Customer) -> Json:
    currency = customer.currency
    shown = native.shown_name(customer)
    body = native.head(customer)
    body |= {
        "GivenName": customer.first_name,
        "FamilyName": customer.last_name,
        "CompanyName": customer.company_name,
        "DisplayName": shown,
        "FullyQualifiedName": native.full_name(ledger, customer),
        "PrintOnCheckName": shown,
        "Active": customer.active,
        "Taxable": False,
        "Job": bool(customer.parent),
        "BillWithParent": False,
        "Balance": native.total(ledger.balance(customer.id, currency), currency),
        "BalanceWithJobs": native.total(family_balance(ledger, customer.id, currency), currency),
        "CurrencyRef": native.currency_ref(currency),
        "PreferredDeliveryMethod": "Print",
        "Notes": customer.notes,
        "AcctNum": customer.number,
    }
    if customer.email:
        body["PrimaryEmailAddr"] = {"Address": customer.email}
    if customer.phone:
        body["PrimaryPhone"] = {"FreeFormNumber": customer.phone}
    if customer.address:
        body["BillAddr"] = _address(customer.address)
    if customer.terms:
        body["SalesTermRef"] = {"value": term_for(ledger, customer.terms).id}
    if customer.credit_limit is not None:
        body["CreditLimit"] = native.total(customer.credit_limit, currency)
    body |= customer.extra.get("quickbooks", {})
    if customer.parent:
        body["ParentRef"] = {"value": customer.parent}
        body["Level"] = native.full_name(ledger, customer).count(":")
    return native.without_empty(body)


def _address(address: Mapping[str, str]) -> Json:
    names = {
        "Line1": "line1",
        "City": "city",
        "CountrySubDivisionCode": "region",
        "PostalCode": "postal_code",
        "Country": "country",
    }
    return {theirs: address[ours] for theirs, ours in names.items() if address.get(ours)}


def _read_address(body: Mapping[str, Any]) -> dict[str, str]:
    sent = body.get("BillAddr") or {}
    names = {
        "line1": "Line1",
        "city": "City",
        "region": "CountrySubDivisionCode",
        "postal_code": "PostalCode",
        "country": "Country",
    }
    return {ours: str(sent[theirs]) for ours, theirs in names.items() if sent.get(theirs)}


def children(ledger: Ledger) -> dict[str, list[str]]:
    """Parent id → ids of its sub-customers; worked out once per state of the books."""
    cached = ledger.revision_cache.get("quickbooks children")
    if cached is None or cached[0] != ledger.revision:
        tree: dict[str, list[str]] = {}
        for customer in ledger.customers:
            if customer.parent:
                tree.setdefault(customer.parent, []).append(customer.id)
        cached = ledger.revision_cache["quickbooks children"] = (ledger.revision, tree)
    found: dict[str, list[str]] = cached[1]
    return found


def family_balance(ledger: Ledger, id: str, currency: str) -> int:
    """What a customer and all its sub-customers owe."""
    below = children(ledger).get(id, ())
    return ledger.balance(id, currency) + sum(family_balance(ledger, child, currency) for child in below)


def read_customer(ledger: Ledger, body: Mapping[str, Any], before: Customer | None) -> Customer:
    """The neutral customer of a full body."""
    parts = ("Title", "GivenName", "MiddleName", "FamilyName", "Suffix")
    composed = " ".join(filter(None, (native.text(body, part) for part in parts)))
    name = check_name(native.text(body, "DisplayName") or composed)
    if not name:
        raise faults.missing("DisplayName")
    if before and not before.active:
        name = name.removesuffix(" (deleted)")
    _check_other_lists(ledger, name)
    parent = native.reference(body, "ParentRef")
    if parent:
        _check_parent(ledger, parent, before)
    currency = currency_of(ledger, body, before.currency if before else "")
    if before and currency != before.currency:
        raise faults.business("The currency of a customer cannot be changed.")
    term = native.reference(body, "SalesTermRef")
    limit = native.minor(body, "CreditLimit", currency)
    return Customer(
        name=name,
        email=native.text(body.get("PrimaryEmailAddr") or {}, "Address"),
        phone=native.text(body.get("PrimaryPhone") or {}, "FreeFormNumber"),
        company_name=native.text(body, "CompanyName"),
        first_name=native.text(body, "GivenName"),
        last_name=native.text(body, "FamilyName"),
        number=native.text(body, "AcctNum"),
        address=_read_address(body),
        currency=currency,
        terms=terms_of(ledger, term) if term else None,
        credit_limit=limit,
        notes=native.text(body, "Notes"),
        active=body.get("Active") not in (False, "false"),
        parent=parent,
        extra={"quickbooks": _kept(body, _CUSTOMER_KEPT)},
    )


def _check_other_lists(ledger: Ledger, name: str) -> None:
    """Customers, vendors and employees share one name space; the sandbox keeps the others as bare names."""
    others = ledger.organization.extra.get("other_names", ())
    if name.casefold() in {str(other).casefold() for other in others}:
        raise faults.duplicate_name()


def _check_parent(ledger: Ledger, parent: str, before: Customer | None) -> None:
    depth, at = 1, parent
    while at:
        customer = ledger.customers.get(at)
        if customer is None:
            raise faults.bad_reference("Customer", parent)
        if before and at == before.id:
            raise faults.business("A customer cannot be its own parent.")
        depth, at = depth + 1, customer.parent
    if depth > 5:
        raise faults.business("Sub-customers can be at most 4 levels deep.")


def live_customer(ledger: Ledger, body: Mapping[str, Any]) -> Customer:
    """The active customer a document names. Raises Fault 2020, 2500 or 610."""
    id = native.reference(body, "CustomerRef")
    if not id:
        raise faults.missing("CustomerRef")
    customer = ledger.customers.get(id)
    if customer is None or customer.merged_into:
        raise faults.bad_reference("Names", id)
    if not customer.active:
        raise faults.not_found()
    return customer


def currency_of(ledger: Ledger, body: Mapping[str, Any], default: str) -> str:
    """The currency a body asks for. Raises Fault 6000 when the company or customer does not have it."""
    organization = ledger.organization
    wanted = native.reference(body, "CurrencyRef") or default or organization.home_currency
    if wanted != organization.home_currency and not organization.multicurrency:
        raise faults.business("This company does not use multiple currencies.")
    if default and wanted != default:
        raise faults.business("The currency of the transaction must be the currency of the customer.")
    return wanted


# ---- accounts and items ------------------------------------------------------------------------------------


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
    name = check_name(native.text(body, "Name"))
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
    kept = _kept(body, _ACCOUNT_KEPT)
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
    name = check_name(native.text(body, "Name")).removesuffix(" (deleted)")
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
        extra={"quickbooks": _kept(body, _ITEM_KEPT)},
    )


def _check_item_name(ledger: Ledger, name: str, before: Item | None) -> None:
    for other in ledger.items:
        if other.active and other.name.casefold() == name.casefold() and other is not before:
            raise faults.duplicate_name("Another product or service")


# ---- terms and tax codes -----------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Term(Record):
    """Payment terms as QuickBooks lists them; the ledger itself knows only the days of a customer's terms."""

    name: str
    days: int = 0
    active: bool = True
    day_of_month: int = 0  # DATE_DRIVEN
    due_next_month_days: int = 0


def terms_table(ledger: Ledger) -> Table[Term]:
    """The company's terms: a few usual ones, and whatever its customers have."""
    table: Table[Term] | None = ledger.organization.extra.get("quickbooks terms")
    if table is None:
        table = ledger.organization.extra["quickbooks terms"] = Table("term")
        for name, days in (("Due on receipt", 0), ("Net 15", 15), ("Net 30", 30), ("Net 60", 60)):
            add_term(ledger, Term(name=name, days=days))
    return table


def add_term(ledger: Ledger, term: Term) -> Term:
    """Raises Fault 6240."""
    table = terms_table(ledger)
    if any(other.active and other.name.casefold() == term.name.casefold() for other in table):
        raise faults.duplicate_name("Another term")
    term.id = str(len(table) + 1)
    term.created = term.updated = ledger.clock.stamp()
    table.put(term)
    return term


def term_for(ledger: Ledger, terms: Terms) -> Term:
    """The list entry of a customer's terms; made when there is none."""
    table = terms_table(ledger)
    for term in table:
        if term.days == terms.days and not term.day_of_month and term.active:
            return term
    return add_term(ledger, Term(name=f"Net {terms.days}", days=terms.days))


def _term(ledger: Ledger, id: str) -> Term:
    term = terms_table(ledger).get(id)
    if term is None:
        raise faults.bad_reference("Term", id)
    if not term.active:
        raise faults.not_found()
    return term


def terms_of(ledger: Ledger, id: str) -> Terms:
    term = _term(ledger, id)
    return Terms(days=term.days, name=term.name)


def term_due(ledger: Ledger, id: str, when: date) -> date:
    """The due date a term gives to a document of `when`."""
    term = _term(ledger, id)
    if not term.day_of_month:
        return when + timedelta(days=term.days)
    due = _day_of(when, term.day_of_month)
    if due <= when or (due - when).days < term.due_next_month_days:
        due = _day_of((when.replace(day=1) + timedelta(days=32)), term.day_of_month)
    return due


def _day_of(month: date, day: int) -> date:
    last = (month.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    return last.replace(day=min(day, last.day))


DEFAULT_DAYS = 30


def default_due(ledger: Ledger, when: date) -> date:
    """By the company's default terms."""
    return when + timedelta(days=DEFAULT_DAYS)


def render_term(ledger: Ledger, term: Term) -> Json:
    body = native.head(term) | {"Name": native.shown_name(term), "Active": term.active}
    if term.day_of_month:
        return body | {
            "Type": "DATE_DRIVEN",
            "DayOfMonthDue": term.day_of_month,
            "DueNextMonthDays": term.due_next_month_days,
        }
    return body | {"Type": "STANDARD", "DueDays": term.days, "DiscountDays": 0, "DiscountPercent": 0}


def read_term(body: Mapping[str, Any]) -> Term:
    """Raises Fault 2020 or 2080."""
    if not native.given(body, "Name"):
        raise faults.missing("Name")
    days, month_day = native.decimal(body, "DueDays"), native.decimal(body, "DayOfMonthDue")
    if days is None and month_day is None:
        raise faults.missing("DueDays")
    if days is not None and not 0 <= days <= 999:
        raise faults.bad_number("DueDays", days)
    if month_day is not None and not 1 <= month_day <= 31:
        raise faults.bad_number("DayOfMonthDue", month_day)
    return Term(
        name=check_name(native.text(body, "Name")).removesuffix(" (deleted)"),
        days=int(days or 0),
        active=body.get("Active") not in (False, "false"),
        day_of_month=int(month_day or 0),
        due_next_month_days=int(native.decimal(body, "DueNextMonthDays") or 0),
    )


def render_tax_code(ledger: Ledger, code: TaxCode) -> Json:
    body = native.head(code) | {
        "Name": code.name,
        "Description": code.name,
        "Active": code.active,
        "Hidden": False,
        "Taxable": code.taxable,
        "TaxGroup": ledger.organization.country != "US",
    }
    if ledger.organization.country != "US":
        rate = {
            "TaxRateRef": {"value": code.id, "name": code.name},
            "TaxTypeApplicable": "TaxOnAmount",
            "TaxOrder": 0,
        }
        body["SalesTaxRateList"] = {"TaxRateDetail": [rate]}
    return body
