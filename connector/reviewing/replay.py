"""What Forbear would have said on an earlier day, from a books file: only what was known then counts."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from connector.domain import codec, on_account
from connector.domain.findings import Event
from connector.domain.policy import Policy
from connector.domain.prediction import outlook
from connector.domain.prediction.history import history, learnable
from connector.domain.prediction.model import fit
from connector.domain.receivables import CreditNote, Invoice, Payment
from connector.mirroring import books_file
from connector.mirroring.books_file import CompanyLine, Known
from connector.record import export
from connector.reviewing import conclusions, judging


def replay(path: Path, days: Sequence[dt.date], policy: Policy | None = None) -> list[dict[str, Any]]:
    """One export for each of `days`, in their order. Raises WrongBooks."""
    companies = list(books_file.companies(path))
    return [
        {
            "as_of": day.isoformat(),
            "connections": [company(c, day, policy or Policy()) for c in companies],
        }
        for day in days
    ]


def company(books: CompanyLine, day: dt.date, policy: Policy) -> dict[str, Any]:
    """One company as it would have been judged at the end of `day`."""
    known = books_file.known_on(books, day)
    covered = on_account.of_book(known.invoices, known.payments, known.credits, day)
    columns, ids = history(*learnable(known.invoices, known.payments, known.credits, covered), day)
    model = fit(columns, day.toordinal())
    outlooks = outlook.answers(model, ids) | outlook.there(known.invoices, covered)
    predicted = {id: conclusions.prediction(o) for id, o in outlooks.items()}
    invoices: dict[str, list[Invoice]] = _by_customer(known.invoices)
    payments: dict[str, list[Payment]] = _by_customer(known.payments)
    credits: dict[str, list[CreditNote]] = _by_customer(known.credits)
    events = _events(books, known)
    book = judging.owed(known.invoices)
    customers = []
    for customer in known.customers:
        conclusion = judging.judge(
            customer,
            invoices.get(customer.id, []),
            payments.get(customer.id, []),
            credits.get(customer.id, []),
            policy,
            day,
            country=known.organization.country,
            events=events.get(customer.id, ()),
            book=book,
        )
        held = ["disputed"] if _disputed(known, invoices.get(customer.id, [])) else []
        customers.append(export.customer(customer, conclusion, conclusion.balances, held))
    return {
        "id": books.company.id,
        "platform": "books",
        "organization": books.company.name,
        "external_id": books.company.id,
        "status": "connected",
        "as_of": day.isoformat(),
        "customers": customers,
        "invoices": [export.invoice(i, predicted.get(i.id)) for i in known.invoices],
        "expected": {
            currency: [{"week": week.isoformat(), "amount": amount} for week, amount in weeks]
            for currency, weeks in outlook.expected_weeks(known.invoices, outlooks, day, held=covered).items()
        },
        "record": codec.to_json(model.record),
        "plans": [],
        "reminders": [],
        "writes": [],
    }


# What a books file calls the things that findings look at; other words are left alone.
_KINDS = {
    "promise": "promise",
    "extension_asked": "extension_asked",
    "replied": "replied",
    "disputed": "disputed",
    "dispute_closed": "dispute_closed",
    "bounced": "bounced",
    "payment_bounced": "bounced",
    "payment_failed": "bounced",
    "payment_returned": "bounced",
}


def _events(books: CompanyLine, known: Known) -> dict[str, list[Event]]:
    """By customer: what had been said or had happened by the day, from events and from invoices' states."""
    invoices = {i.id: i for i in known.invoices}
    currencies = {c.id: c.currency for c in known.customers}
    found: dict[str, list[Event]] = defaultdict(list)
    for event in known.events:
        invoice = invoices.get(event.invoice_id or "")
        customer = invoice.customer_id if invoice else event.customer_id
        if kind := _KINDS.get(event.type):
            currency = invoice.currency if invoice else currencies.get(customer or "", "")
            amount = None if event.amount_cents is None else books_file.minor(event.amount_cents, currency)
            found[customer or ""].append(
                Event(kind, event.date, event.invoice_id or "", event.promised, amount)
            )
    for row in books.invoices:
        for state in row.state or [] if row.id in invoices else []:
            if state.date <= known.day and (kind := _KINDS.get(state.what)):
                found[row.customer_id].append(Event(kind, state.date, row.id))
    return found


def _disputed(known: Known, invoices: Iterable[Invoice]) -> bool:
    return any(i.id in known.disputed and i.balance > 0 for i in invoices)


def _by_customer(records: Iterable[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for record in records:
        found[record.customer_id].append(record)
    return found
