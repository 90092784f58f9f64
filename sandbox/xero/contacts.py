"""Contacts in Xero's words, with what each owes."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sandbox.documents import Customer, Invoice, Terms
from sandbox.ledger import Ledger
from sandbox.xero.envelope import Json, moment, without_nulls
from sandbox.xero.rows import money

TERM_TYPES = {
    "after_invoice_date": "DAYSAFTERBILLDATE",
    "after_month_end": "DAYSAFTERBILLMONTH",
    "of_current_month": "OFCURRENTMONTH",
    "of_following_month": "OFFOLLOWINGMONTH",
}
TERM_BASES = {xero: ours for ours, xero in TERM_TYPES.items()}
_PHONES = ("DDI", "DEFAULT", "FAX", "MOBILE")


def status(customer: Customer) -> str:
    """ACTIVE, ARCHIVED or GDPRREQUEST."""
    if customer.gdpr_requested:
        return "GDPRREQUEST"
    return "ACTIVE" if customer.active else "ARCHIVED"


def contact_row(ledger: Ledger, customer: Customer, today: dt.date, *, summary: bool = False) -> Json:
    """One contact. A summary leaves out the balances, persons, groups and terms.

    Which fields a summary drops is not documented for contacts; these are the costly ones.
    """
    documents = ledger.documents_of(customer.id, "invoice", "credit_note", "advance", "journal")
    row = without_nulls(
        {
            "ContactID": customer.id,
            "ContactStatus": status(customer),
            "Name": customer.name,
            "ContactNumber": customer.number or None,
            "AccountNumber": customer.extra.get("AccountNumber"),
            "FirstName": customer.first_name or None,
            "LastName": customer.last_name or None,
            "EmailAddress": customer.email,
            "BankAccountDetails": "",
            "Addresses": _addresses(customer),
            "Phones": _phones(customer),
            "UpdatedDateUTC": moment(customer.updated),
            "IsSupplier": False,
            "IsCustomer": any(isinstance(found, Invoice) for found in documents),
            "DefaultCurrency": customer.currency or None,
            "MergedToContactID": customer.merged_into or None,
            "HasAttachments": False,
            "HasValidationErrors": False,
        }
    )
    if summary:
        return row
    row["ContactGroups"] = []
    row["ContactPersons"] = customer.extra.get("ContactPersons", [])
    if customer.terms:
        row["PaymentTerms"] = {
            "Sales": {"Day": customer.terms.days, "Type": TERM_TYPES[customer.terms.basis]}
        }
    if documents:
        code = customer.currency or ledger.organization.home_currency
        row["Balances"] = {"AccountsReceivable": _receivable(documents, code, today)}
    return row


def _receivable(documents: list[Any], code: str, today: dt.date) -> Json:
    """Outstanding and overdue, raw across currencies.

    Credits that wait to be used lower what is outstanding, not what is overdue.
    """
    outstanding = overdue = 0
    for document in documents:
        due = getattr(document, "due", None)
        if due is not None:
            outstanding += document.balance
            overdue += document.balance if due < today else 0
        elif getattr(document, "receivable", 0) > 0:
            outstanding += document.balance
        else:
            outstanding -= document.balance
    return {"Outstanding": money(outstanding, code), "Overdue": money(overdue, code)}


def terms_of(body: Json) -> Terms | None:
    """The sales terms that a request states, if any. Raises KeyError or ValueError for terms that do not exist."""
    sales = (body.get("PaymentTerms") or {}).get("Sales")
    if not sales:
        return None
    return Terms(days=int(sales["Day"]), basis=TERM_BASES[sales["Type"]])


def _addresses(customer: Customer) -> list[Json]:
    if "Addresses" in customer.extra:
        return list(customer.extra["Addresses"])
    at = customer.address
    filled = {
        "AddressType": "POBOX",
        "AddressLine1": at.get("line1", ""),
        "City": at.get("city", ""),
        "Region": at.get("region", ""),
        "PostalCode": at.get("postal_code", ""),
        "Country": at.get("country", ""),
    }
    empty = dict.fromkeys(("City", "Region", "PostalCode", "Country"), "")
    return [{"AddressType": "STREET", **empty}, filled]


def _phones(customer: Customer) -> list[Json]:
    return [
        {
            "PhoneType": kind,
            "PhoneNumber": customer.phone if kind == "DEFAULT" else "",
            "PhoneAreaCode": "",
            "PhoneCountryCode": "",
        }
        for kind in _PHONES
    ]
