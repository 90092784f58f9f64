"""Lists of records: filtered, ordered and cut into pages without walking the books for each page.

The filtered list is kept until the books change, so the pages of one pull cost one walk.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

from sandbox.documents import Advance, Customer, Invoice, Payment, Ref, Refund, Sale
from sandbox.ledger import Ledger
from sandbox.xero import contacts, rows
from sandbox.xero.where import (
    EVERYTHING,
    Fields,
    QueryProblem,
    Where,
    compile_order,
    compile_where,
    sorted_by,
)

PAGE_SIZE = 100
LARGEST_PAGE = 1000
SLOW_FROM = 100_000
_KEPT_LISTS = 32
_FAST_ORDERS = frozenset({"updateddateutc", "date"})
_FAST_FILTERS = frozenset(
    {"status", "contact.contactid", "contact.name", "contact.contactnumber", "reference", "invoicenumber"}
    | {"invoiceid", "creditnoteid", "creditnotenumber", "paymentid", "invoice.invoiceid", "contactid", "name"}
    | {"date", "duedate", "type", "amountdue", "amountpaid", "paymenttype", "updateddateutc", "emailaddress"}
    | {"prepaymentid", "overpaymentid", "contactstatus", "accountnumber"}
)


@dataclass(frozen=True, slots=True)
class Query:
    """What a list request asks for. Hashable: equal queries over unchanged books share one list."""

    kind: str  # Invoice, CreditNote, Payment, Contact, Overpayment, Prepayment
    where: str = ""
    order: str = ""
    since: dt.datetime | None = None
    inclusive: bool = True
    ids: frozenset[str] | None = None
    numbers: frozenset[str] | None = None
    contacts: frozenset[str] | None = None
    statuses: frozenset[str] | None = None
    search: str = ""
    app: str | None = None
    archived: bool = True
    deleted_payments: bool = True
    paged: bool = True
    fast_only: bool = True


def select(ledger: Ledger, query: Query) -> list[Any]:
    """All records that `query` asks for, in its order. Do not change the list. Raises QueryProblem."""
    revision, lists = ledger.revision_cache.get("xero lists", (-1, {}))
    if revision != ledger.revision:
        lists = {}
        ledger.revision_cache["xero lists"] = (ledger.revision, lists)
    if query not in lists:
        if len(lists) >= _KEPT_LISTS:
            lists.pop(next(iter(lists)))
        lists[query] = _select(ledger, query)
    found: list[Any] = lists[query]
    return found


def page_of(found: list[Any], page: int, size: int) -> list[Any]:
    """The rows of one page, counted from 1."""
    return found[(page - 1) * size : page * size]


def since_header(text: str | None) -> dt.datetime | None:
    """If-Modified-Since to the second, UTC when it names no zone. Raises ValueError when it is no time."""
    if not text:
        return None
    try:
        # datetime.fromisoformat knows no more than six decimals
        moment = dt.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.strip()))
    except ValueError:
        moment = parsedate_to_datetime(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return moment.astimezone(dt.UTC).replace(microsecond=0)


def _select(ledger: Ledger, query: Query) -> list[Any]:
    fields = FIELDS[query.kind](ledger)
    where = compile_where(query.where, fields, query.kind)
    keys = compile_order(query.order, fields, query.kind)
    everything = _in_order_of_change(ledger, query.kind)
    if query.fast_only and len(everything) > SLOW_FROM:
        _refuse_slow(query, where, keys)
    candidates = _candidates(ledger, query, where, everything)
    found = [row for row in candidates if _wanted(row, query, fields) and where.matches(row)]
    return sorted_by(found, keys, fields) if keys else found


def _refuse_slow(query: Query, where: Where, keys: list[tuple[str, bool]]) -> None:
    identity = f"{query.kind.lower()}id"
    if not where.fields <= _FAST_FILTERS or (where.uses_or and not where.fields <= {identity}):
        raise QueryProblem("The filter is not optimised and this organisation has more than 100,000 records.")
    if any(name not in _FAST_ORDERS | {identity} for name, _ in keys):
        raise QueryProblem("The order is not optimised and this organisation has more than 100,000 records.")
    if not query.paged and query.since is None and where is EVERYTHING and query.ids is None:
        raise QueryProblem("More than 100,000 records would be returned; use paging.")


def _in_order_of_change(ledger: Ledger, kind: str) -> list[Any]:
    """All records of a kind by (UpdatedDateUTC, id)."""
    if kind == "Invoice":
        return ledger.invoices.by_change()
    if kind == "CreditNote":
        return ledger.credit_notes.by_change()
    if kind == "Contact":
        return ledger.customers.by_change()
    if kind == "Payment":
        if not ledger.refunds:
            return ledger.payments.by_change()
        return _by_change([*ledger.payments.by_change(), *ledger.refunds.by_change()])
    return [advance for advance in ledger.advances.by_change() if advance.type == kind.lower()]


def _candidates(ledger: Ledger, query: Query, where: Where, everything: list[Any]) -> Iterable[Any]:
    """As few records as an index can tell, in order of change and changed since `query.since`."""
    narrowed = _narrowed(ledger, query, where)
    pool = everything if narrowed is None else _by_change(narrowed)
    if query.since is None:
        return pool
    since = query.since if query.inclusive else query.since + dt.timedelta(seconds=1)
    return pool[_first_from(pool, since) :]


def _narrowed(ledger: Ledger, query: Query, where: Where) -> list[Any] | None:
    tables = _tables(ledger, query.kind)
    ids = query.ids
    exact = where.equals.get(f"{query.kind.lower()}id")
    if ids is None and isinstance(exact, str):
        ids = frozenset({exact.lower()})
    if ids is not None:
        return [row for id in ids for table in tables if (row := table.get(id)) is not None]
    kind = {"Invoice": "invoice", "CreditNote": "credit_note"}.get(query.kind)
    numbers = query.numbers
    number = where.equals.get(f"{query.kind.lower()}number")
    if numbers is None and isinstance(number, str):
        numbers = frozenset({number})
    if numbers is not None and kind:
        return [row for number in numbers for row in ledger.by_number(kind, number)]
    return _narrowed_by_owner(ledger, query, where)


def _narrowed_by_owner(ledger: Ledger, query: Query, where: Where) -> list[Any] | None:
    if query.kind == "Payment":
        invoice = where.equals.get("invoice.invoiceid")
        if isinstance(invoice, str) and invoice in ledger.invoices:
            customer = ledger.invoices[invoice].customer
            return [*ledger.documents_of(customer, "payment", "refund")]
        return None
    if query.kind == "Contact":
        return None
    owners = query.contacts
    exact = where.equals.get("contact.contactid")
    if owners is None and isinstance(exact, str):
        owners = frozenset({exact.lower()})
    if owners is None:
        return None
    kinds = {"Invoice": "invoice", "CreditNote": "credit_note"}.get(query.kind, "advance")
    found = [row for owner in owners for row in ledger.documents_of(owner, kinds)]
    return [row for row in found if not isinstance(row, Advance) or row.type == query.kind.lower()]


def _tables(ledger: Ledger, kind: str) -> list[Any]:
    tables: dict[str, list[Any]] = {
        "Invoice": [ledger.invoices],
        "CreditNote": [ledger.credit_notes],
        "Payment": [ledger.payments, ledger.refunds],
        "Contact": [ledger.customers],
    }
    return tables.get(kind, [ledger.advances])


def _wanted(row: Any, query: Query, fields: Fields) -> bool:
    """The filters that have parameters of their own."""
    if query.contacts is not None and getattr(row, "customer", "") not in query.contacts:
        return False
    if query.numbers is not None and getattr(row, "number", "") not in query.numbers:
        return False
    if query.statuses is not None and fields["status"](row) not in query.statuses:
        return False
    if query.app is not None and row.extra.get("app") != query.app:
        return False
    if not query.archived and isinstance(row, Customer) and contacts.status(row) == "ARCHIVED":
        return False
    if not query.deleted_payments and isinstance(row, Payment | Refund) and not row.live:
        return False
    return not query.search or _mentions(row, query.search.casefold())


def _mentions(row: Any, text: str) -> bool:
    texts = (getattr(row, name, "") for name in ("number", "reference", "name", "email"))
    return any(text in found.casefold() for found in texts)


def _by_change(found: Iterable[Any]) -> list[Any]:
    return sorted(found, key=lambda row: (row.updated, row.id))


def _first_from(pool: list[Any], since: dt.datetime) -> int:
    low, high = 0, len(pool)
    while low < high:
        middle = (low + high) // 2
        if pool[middle].updated < since:
            low = middle + 1
        else:
            high = middle
    return low


# what may be asked of each kind


def _sale_fields(ledger: Ledger) -> dict[str, Callable[[Any], Any]]:
    def amount(read: Callable[[Any], int]) -> Callable[[Any], Decimal]:
        return lambda row: rows.money(read(row), row.currency)

    return {
        "status": rows.status,
        "date": lambda row: row.date,
        "reference": lambda row: row.reference,
        "currencycode": lambda row: row.currency,
        "currencyrate": rows.currency_rate,
        "updateddateutc": lambda row: row.updated,
        "contact.contactid": lambda row: row.customer,
        "contact.name": lambda row: ledger.customers[row.customer].name,
        "contact.contactnumber": lambda row: ledger.customers[row.customer].number or None,
        "total": amount(lambda row: row.total if isinstance(row, Sale) else row.amount),
        "remainingcredit": amount(lambda row: row.balance),
    }


def _invoice_fields(ledger: Ledger) -> Fields:
    def settled(what: int) -> Callable[[Invoice], Decimal]:
        return lambda row: rows.money(rows.settled(ledger, row)[what] or 0, row.currency)  # type: ignore[arg-type]

    return _sale_fields(ledger) | {
        "type": lambda row: "ACCREC",
        "invoiceid": lambda row: row.id,
        "invoicenumber": lambda row: row.number,
        "duedate": lambda row: row.due,
        "expectedpaymentdate": lambda row: row.expected,
        "amountdue": lambda row: rows.money(rows.amount_due(row), row.currency),
        "amountpaid": settled(0),
        "amountcredited": settled(1),
        "subtotal": lambda row: rows.money(row.net, row.currency),
        "totaltax": lambda row: rows.money(row.tax, row.currency),
        "senttocontact": lambda row: bool(row.extra.get("SentToContact") or row.emailed_at),
        "hasattachments": lambda row: Ref("invoice", row.id) in rows.attached(ledger),
        "fullypaidondate": lambda row: rows.settled(ledger, row).last if rows.status(row) == "PAID" else None,
    }


def _credit_note_fields(ledger: Ledger) -> Fields:
    return _sale_fields(ledger) | {
        "type": lambda row: "ACCRECCREDIT",
        "creditnoteid": lambda row: row.id,
        "creditnotenumber": lambda row: row.number,
        "remainingcredit": lambda row: rows.money(rows.amount_due(row), row.currency),
    }


def _advance_fields(kind: str) -> Callable[[Ledger], Fields]:
    return lambda ledger: (
        _sale_fields(ledger)
        | {"type": lambda row: f"RECEIVE-{kind.upper()}", f"{kind.lower()}id": lambda row: row.id}
    )


def _payment_fields(ledger: Ledger) -> Fields:
    def invoice(row: Payment | Refund) -> str | None:
        target = rows.target_of(row)
        return target.id if target else None

    def number(row: Payment | Refund) -> str | None:
        target = rows.target_of(row)
        return getattr(ledger.find(target), "number", None) if target else None

    def account(row: Payment | Refund) -> Any:
        return ledger.accounts.get(row.account) or ledger.account_by_role("bank")

    return {
        "paymentid": lambda row: row.id,
        "status": lambda row: "AUTHORISED" if row.live else "DELETED",
        "paymenttype": lambda row: rows.payment_type(ledger, row),
        "date": lambda row: row.date,
        "amount": lambda row: rows.money(row.amount, row.currency),
        "reference": lambda row: row.reference,
        "isreconciled": lambda row: isinstance(row, Payment) and row.reconciled,
        "updateddateutc": lambda row: row.updated,
        "invoice.invoiceid": invoice,
        "invoice.invoicenumber": number,
        "invoice.contact.contactid": lambda row: row.customer,
        "account.accountid": lambda row: account(row).id,
        "account.code": lambda row: account(row).code,
        "batchpaymentid": lambda row: rows.batch_id(ledger, row) if getattr(row, "batch", "") else None,
    }


def _contact_fields(ledger: Ledger) -> Fields:
    return {
        "contactid": lambda row: row.id,
        "contactstatus": contacts.status,
        "name": lambda row: row.name,
        "emailaddress": lambda row: row.email or None,
        "contactnumber": lambda row: row.number or None,
        "accountnumber": lambda row: row.extra.get("AccountNumber"),
        "firstname": lambda row: row.first_name or None,
        "lastname": lambda row: row.last_name or None,
        "iscustomer": lambda row: bool(ledger.documents_of(row.id, "invoice")),
        "issupplier": lambda row: False,
        "updateddateutc": lambda row: row.updated,
        "status": contacts.status,
    }


FIELDS: Mapping[str, Callable[[Ledger], Fields]] = {
    "Invoice": _invoice_fields,
    "CreditNote": _credit_note_fields,
    "Payment": _payment_fields,
    "Contact": _contact_fields,
    "Overpayment": _advance_fields("Overpayment"),
    "Prepayment": _advance_fields("Prepayment"),
}
