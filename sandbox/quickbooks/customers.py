"""Customers, both ways, and what documents ask of theirs. Never deleted: `Active: false` hides and frees the name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sandbox.documents import Customer
from sandbox.quickbooks import faults, native, terms
from sandbox.quickbooks.native import Json

if TYPE_CHECKING:
    from sandbox.ledger import Ledger

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
        body["SalesTermRef"] = {"value": terms.term_for(ledger, customer.terms).id}
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
    name = native.check_name(native.text(body, "DisplayName") or composed)
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
        terms=terms.terms_of(ledger, term) if term else None,
        credit_limit=limit,
        notes=native.text(body, "Notes"),
        active=body.get("Active") not in (False, "false"),
        parent=parent,
        extra={"quickbooks": native.kept(body, _CUSTOMER_KEPT)},
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
