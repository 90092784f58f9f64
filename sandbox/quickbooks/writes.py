"""Creating, updating, voiding, deleting and sending, with QuickBooks's own way of doing each.

A full update clears what it leaves out. A sparse one merges top-level fields, and a `Line` array in it
replaces all lines. An update that changes nothing leaves SyncToken and LastUpdatedTime as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from sandbox import refusals
from sandbox.documents import CreditNote, Invoice, Record, Ref
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
    schema,
    terms,
)
from sandbox.quickbooks.entities import ENTITIES, NAMES, Entity, find
from sandbox.quickbooks.faults import Fault
from sandbox.quickbooks.native import Json
from sandbox.quickbooks.query import PACIFIC
from sandbox.refusals import Refusal

if TYPE_CHECKING:
    from sandbox.ledger import Ledger

Switch = Callable[[str, Any], Any]  # (name without "quickbooks.", default) → how it is set
_UNCHANGING = {"id", "version", "created", "updated", "status", "settled", "unapplied", "emailed_at"}
_COMPUTED = {"flags", "late_fee_of", "expected"}
_DELETABLE = {"Invoice", "CreditMemo", "Payment", "Deposit", "JournalEntry", "RefundReceipt", "Attachable"}


def today(ledger: Ledger) -> date:
    """The server's date, which a transaction without a date gets: Pacific, whatever the company's zone."""
    return ledger.clock.today(str(PACIFIC))


def post(ledger: Ledger, name: str, body: Json, params: Mapping[str, str], switch: Switch) -> Json:
    """One POST to an entity: create, update, void or delete. Returns the whole answer without its time.

    Raises Fault.
    """
    check_subscription(ledger)
    operation = params.get("operation", "").lower()
    include = params.get("include", "").lower()
    if name == "Preferences":
        schema.check(name, body)
        return {name: company.update_preferences(ledger, body)}
    entity = ENTITIES.get(name)
    if entity is None or name in ("TaxCode", "CompanyInfo"):
        raise faults.unsupported()
    schema.check(name, body, strings_are_numbers=switch("strings_as_decimals", "accept") == "accept")
    with _as_faults(ledger, name):
        if operation == "delete":
            return {name: _delete(ledger, entity, body)}
        if operation == "void" or (operation == "update" and include == "void" and name == "Payment"):
            return _void(ledger, entity, operation, body)
        if operation not in ("", "create", "update"):
            raise faults.unsupported()
        with _numbers_relaxed(ledger, include == "allowduplicatedocnum"):
            record = _save(ledger, entity, body, switch)
        answer = entity.render(ledger, record)
        if include == "invoicelink" and name == "Invoice":
            answer = with_link(ledger, record, answer)
        return {name: answer}


def check_subscription(ledger: Ledger) -> None:
    """A company that no longer pays can be read, not written. Raises Fault 6190."""
    if not ledger.organization.active:
        raise faults.subscription_ended()


@contextmanager
def _numbers_relaxed(ledger: Ledger, relaxed: bool) -> Iterator[None]:
    rules = ledger.organization.rules
    before, rules.unique_numbers = rules.unique_numbers, rules.unique_numbers and not relaxed
    try:
        yield
    finally:
        rules.unique_numbers = before


# ---- create and update -------------------------------------------------------------------------------------


def _save(ledger: Ledger, entity: Entity, body: Json, switch: Switch) -> Any:
    if not native.given(body, "Id"):
        return _create(ledger, entity, body, switch)
    before = find(ledger, entity, native.text(body, "Id"))
    _check_token(ledger, before, body)
    if native.flag(body, "sparse"):
        body = _merged(entity.render(ledger, before), body)
    try:
        return _update(ledger, entity, before, body, switch)
    except refusals.LockedPeriod:
        if switch("closed_period", "fault") == "silent":
            return before
        raise


def _check_token(ledger: Ledger, before: Record, body: Mapping[str, Any]) -> None:
    if not native.given(body, "SyncToken"):
        raise faults.missing("SyncToken")
    if str(body["SyncToken"]) != str(before.version):
        raise faults.stale("Casey Bookkeeper")


def _merged(current: Json, body: Json) -> Json:
    """A sparse body over what is there. Without a `Line` array of its own it keeps none: lines stay as they are."""
    kept = {k: v for k, v in current.items() if k != "Line"}
    return kept | {k: v for k, v in body.items() if v is not None}


def _read(ledger: Ledger, entity: Entity, body: Json, before: Any, switch: Switch) -> Any:
    """The neutral record a full body describes."""
    day = before.date if before is not None and hasattr(before, "date") else today(ledger)
    match entity.name:
        case "Invoice":
            return sales.read_invoice(ledger, body, day, before)
        case "CreditMemo":
            return sales.read_credit_memo(ledger, body, day, before)
        case "Payment":
            return receipts.read_payment(ledger, body, day, before)
        case "Deposit":
            return receipts.read_deposit(ledger, body, day, before)
        case "JournalEntry":
            return receipts.read_journal(ledger, body, day, before)
        case "Customer":
            return customers.read_customer(ledger, body, before)
        case "Account":
            return accounts.read_account(ledger, body, before)
        case "Item":
            income_only = switch("item_account", "any") == "income"
            return accounts.read_item(ledger, body, before, income_only=income_only)
        case "Term":
            return terms.read_term(body)
        case "Attachable":
            return attachables.read(ledger, body)
    raise faults.unsupported()


def _create(ledger: Ledger, entity: Entity, body: Json, switch: Switch) -> Any:
    if entity.name == "RefundReceipt":
        return refunds.create(ledger, body, today(ledger))
    record = _read(ledger, entity, body, None, switch)
    return add(ledger, entity, record)


def add(ledger: Ledger, entity: Entity, record: Any) -> Any:
    """Put a new record into the books."""
    if entity.kind == "term":
        return terms.add_term(ledger, record)
    by_hand = (
        isinstance(record, Invoice | CreditNote) and not record.number and company.numbers_by_hand(ledger)
    )
    made = getattr(ledger, f"add_{entity.kind}")(record)
    if by_hand:
        with ledger.quietly():
            ledger.edit(Ref(entity.kind, made.id), bump=False, number="")
    return made


def _update(ledger: Ledger, entity: Entity, before: Any, body: Json, switch: Switch) -> Any:
    after = _read(ledger, entity, body, before, switch)
    if entity.kind == "term":
        return _update_term(ledger, before, after)
    after.extra = before.extra | after.extra
    changes = {
        f.name: getattr(after, f.name)
        for f in fields(after)
        if f.name not in _UNCHANGING | _COMPUTED and f.name not in _kept_by_ledger(entity)
    }
    if entity.kind == "deposit" and changes.pop("lines") != before.lines:
        raise faults.unsupported("The lines of a deposit cannot be changed: delete it and make another.")
    if entity.render(ledger, replace(before, **changes)) == entity.render(ledger, before):
        return before
    return ledger.edit(Ref(entity.kind, before.id), **changes)


def _kept_by_ledger(entity: Entity) -> set[str]:
    """Fields the API has no say in."""
    return {
        "payment": {"deposit", "batch", "reconciled"},
        "journal": {"customer", "receivable"},
        "account": {"role", "system", "takes_payments", "tax_code", "currency"},
        "customer": {"merged_into", "gdpr_requested", "tax_code"},
        "attachment": {"content"},
        "item": {"code"},
    }.get(entity.kind, set())


def _update_term(ledger: Ledger, before: terms.Term, after: terms.Term) -> terms.Term:
    changed = False
    for name in ("name", "days", "active", "day_of_month", "due_next_month_days"):
        if getattr(before, name) != getattr(after, name):
            setattr(before, name, getattr(after, name))
            changed = True
    if changed:
        before.version += 1
        before.updated = ledger.clock.stamp()
        terms.terms_table(ledger).put(before)
    return before


# ---- void, delete, send ------------------------------------------------------------------------------------


def _addressed(ledger: Ledger, entity: Entity, body: Json) -> Any:
    if not native.given(body, "Id"):
        raise faults.missing("Id")
    record = find(ledger, entity, native.text(body, "Id"))
    _check_token(ledger, record, body)
    return record


def _delete(ledger: Ledger, entity: Entity, body: Json) -> Json:
    if entity.name not in _DELETABLE:
        raise faults.unsupported()
    record = _addressed(ledger, entity, body)
    if entity.name == "RefundReceipt":
        refunds.delete(ledger, record)
    else:
        ledger.delete(Ref(entity.kind, record.id))
    return {"domain": "QBO", "status": "Deleted", "Id": record.id}


def _void(ledger: Ledger, entity: Entity, operation: str, body: Json) -> Json:
    """Wrong shapes of void look like success on some entities, as the real service does."""
    if entity.name == "JournalEntry":
        return {"BatchItemResponse": []}
    if (entity.name, operation) not in (("Invoice", "void"), ("Payment", "update")):
        raise faults.unsupported()
    record = _addressed(ledger, entity, body)
    voided = ledger.void(Ref(entity.kind, record.id))
    return {entity.name: entity.render(ledger, voided)}


def send(ledger: Ledger, name: str, id: str, address: str) -> Json:
    """E-mail a document to `address`, or to the one on it. Raises Fault 610 or 6000."""
    check_subscription(ledger)
    entity = ENTITIES.get(name)
    if entity is None or name not in ("Invoice", "CreditMemo"):
        raise faults.unsupported()
    document = find(ledger, entity, id)
    if not (address or document.email):
        raise faults.business("The email address is missing. Enter an email address before you send.")
    if not document.live:
        raise faults.business("A voided transaction cannot be sent.")
    return {name: entity.render(ledger, ledger.mark_emailed(Ref(entity.kind, id), address))}


def with_link(ledger: Ledger, invoice: Invoice, body: Json) -> Json:
    """The pay link: only with QuickBooks Payments, online payment on the invoice, and an e-mail address."""
    kept = invoice.extra.get("quickbooks", {})
    online = any(
        native.flag(kept, f"AllowOnline{way}Payment") or native.flag(body, f"AllowOnline{way}Payment")
        for way in ("", "CreditCard", "ACH")
    )
    if not (online and invoice.email and company.takes_online_payments(ledger)):
        return body
    return body | {
        "InvoiceLink": f"https://connect.intuit.com/t/sandbox-{ledger.organization.id}-{invoice.id}"
    }


# ---- refusals of the ledger in QuickBooks's words ----------------------------------------------------------


@contextmanager
def _as_faults(ledger: Ledger, name: str) -> Iterator[None]:
    try:
        yield
    except Refusal as refusal:
        raise as_fault(refusal, name) from refusal


def as_fault(refusal: Refusal, name: str) -> Fault:
    """The native fault of a refusal met while saving an entity called `name`."""
    facts = refusal.facts
    match refusal:
        case refusals.NotFound() | refusals.InactiveAccount() | refusals.InactiveCustomer():
            return faults.not_found()
        case refusals.StaleVersion():
            return faults.stale("Casey Bookkeeper")
        case refusals.LockedPeriod():
            return faults.closed_period()
        case refusals.DuplicateNumber():
            return faults.duplicate_number(str(facts["number"]), name, str(facts["id"]))
        case refusals.DuplicateName():
            return faults.duplicate_name(_OWNERS.get(name, "Another customer, vendor or employee"))
        case refusals.UnknownAccount():
            return faults.bad_reference("Accounts", facts.get("account"))
        case refusals.WrongAccountType():
            return faults.wrong_account_type(str(refusal))
        case refusals.DepositedPayment():
            return faults.deposited()
        case refusals.OverAllocation():
            return faults.business(_over(facts))
        case _:
            return faults.business(str(refusal))


def _over(facts: Mapping[str, Any]) -> str:
    document = facts.get("document")
    what = NAMES.get(document.kind, document.kind) if document else "transaction"
    return f"The amount applied is more than the balance that is open on the {what}."


_OWNERS = {"Account": "Another account", "Item": "Another product or service", "Term": "Another term"}
