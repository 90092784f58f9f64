"""Creating and changing contacts, directly or by way of the Contact inside an invoice."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.documents import Customer, Ref
from sandbox.refusals import DuplicateName
from sandbox.xero.contacts import contact_row, terms_of
from sandbox.xero.elements import Perform, carry_out, identity, sentence, text
from sandbox.xero.envelope import Json
from sandbox.xero.errors import Invalid
from sandbox.xero.idempotency import Reply
from sandbox.xero.request import Call

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_FIELDS = {
    "Name": ("name", 255),
    "EmailAddress": ("email", 255),
    "FirstName": ("first_name", 255),
    "LastName": ("last_name", 255),
    "ContactNumber": ("number", 50),
}
_STATUSES = {"ACTIVE": True, "ARCHIVED": False}


@dataclass(frozen=True, slots=True)
class Chosen:
    """The contact a document is for. `settle()` makes or changes it as the request says, and gives its id."""

    id: str
    currency: str
    settle: Callable[[], str]


def contact_for(call: Call, element: Any) -> Chosen:
    """The contact that a document names by ContactID, ContactNumber or Name; an unknown name makes a new one.

    Other fields beside a ContactID edit the contact itself, and ContactPersons left out then are dropped.
    Raises Invalid.
    """
    if not isinstance(element, dict) or not any(
        element.get(n) for n in ("ContactID", "ContactNumber", "Name")
    ):
        raise Invalid("A Contact must be specified for this type of transaction")
    found = _existing(call, element)
    home = call.ledger.organization.home_currency
    if found is None:
        changes = _changes(call, element, None)
        return Chosen("", changes.get("currency", home), lambda: _add(call, changes).id)
    if not found.active:
        raise Invalid(
            "The contact with the specified contact details has been archived. "
            "The contact must be un-archived before creating new invoices or credit notes."
        )
    others = set(element) - {"ContactID", "ContactStatus", "HasValidationErrors"}
    if not element.get("ContactID") or not others:
        return Chosen(found.id, found.currency or home, lambda: found.id)
    changes = _changes(call, {"ContactPersons": [], **element}, found)

    def edit() -> str:
        call.ledger.edit(Ref("customer", found.id), **changes)
        return found.id

    return Chosen(found.id, found.currency or home, edit)


def save_contacts(call: Call, identity: str = "") -> Reply:
    """PUT creates; POST creates or updates by ContactID, ContactNumber or Name."""
    elements = call.elements("Contacts")
    if identity:
        same = call.ledger.customers.get(identity.lower())
        if same is None:
            raise call.not_found()
        elements = [{**elements[0], "ContactID": same.id}]
    taken: set[str] = set()
    return carry_out(call, "Contacts", "ContactID", elements, lambda element: _prepare(call, element, taken))


def _prepare(call: Call, element: Json, taken: set[str]) -> Perform:
    existing = _existing(call, element) if call.request.method == "POST" else None
    changes = _changes(call, element, existing)
    name = changes.get("name", existing.name if existing else "")
    if not name:
        raise Invalid("The contact name must be specified.")
    other = call.ledger.customer_by_name(name)
    if changes.get("active", True) and ((other and other is not existing) or name.casefold() in taken):
        raise Invalid(sentence(DuplicateName("", name=name)))
    taken.add(name.casefold())

    def perform() -> Json:
        if existing is None:
            saved = _add(call, changes)
        else:
            saved = call.ledger.edit(Ref("customer", existing.id), **changes)
        return contact_row(call.ledger, saved, call.today)

    return perform


def _add(call: Call, changes: Json) -> Customer:
    made = call.ledger.add_customer(Customer(**changes))
    note = "Received through the Xero API from Sandbox app"
    call.ledger.add_note(Ref("customer", made.id), note, change="Created")
    return made


def _existing(call: Call, element: Json) -> Customer | None:
    by_id = identity(element, "ContactID")
    if by_id:
        found = call.ledger.customers.get(by_id)
        if found is None:
            raise Invalid("An existing Contact with the specified ContactID could not be found")
        return found
    number = text(element, "ContactNumber", 50)
    if number:
        found = next((customer for customer in call.ledger.customers if customer.number == number), None)
        if found is not None:
            return found
    name = text(element, "Name", 255)
    return call.ledger.customer_by_name(name) if name else None


def _changes(call: Call, element: Json, existing: Customer | None) -> Json:
    changes: Json = {}
    for theirs, (ours, longest) in _FIELDS.items():
        if theirs in element:
            changes[ours] = text(element, theirs, longest)
    if changes.get("email") and not _EMAIL.fullmatch(changes["email"]):
        raise Invalid("Email address must be valid.")
    if element.get("ContactStatus"):
        if element["ContactStatus"] not in _STATUSES:
            raise Invalid(f"The ContactStatus '{element['ContactStatus']}' cannot be set.")
        changes["active"] = _STATUSES[element["ContactStatus"]]
    if element.get("DefaultCurrency"):
        changes["currency"] = str(element["DefaultCurrency"])
    try:
        terms = terms_of(element)
    except (KeyError, ValueError, TypeError, AttributeError):
        raise Invalid("The payment terms are not valid.") from None
    if terms:
        changes["terms"] = terms
    extra = {
        name: element[name] for name in ("ContactPersons", "AccountNumber", "Addresses") if name in element
    }
    if extra:
        changes["extra"] = {**(existing.extra if existing else {}), **extra}
    return changes
