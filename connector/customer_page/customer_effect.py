"""What the customer's page and contact do, as shares with their ranges: measured here, never claimed."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from connector.connecting import connections
from connector.customer_page import customer_answers, customer_links
from connector.customer_page.customer_links import Link
from connector.domain import shares
from connector.domain.page_policy import PagePolicy
from connector.domain.receivables import Invoice
from connector.domain.shares import Difference, Share
from connector.mirroring import books

# Days after the due date: others have heard from us by then, the hold-out share just begins to
PAID_WITHIN = 10
_ORIGINS = {"reminder": "reminder", "plan": "documents of a plan", "person": "made by hand"}
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Row:
    """Customers who got letters of one kind: how many opened one, and how many answered through one."""

    label: str
    opened: Share
    answered: Share


def by_wording(tx: Connection, connection_id: str) -> list[Row]:
    """By what carried the address: the reminder's level, a plan's documents, or a person."""
    return _rows(tx, connection_id, lambda link: link.level.replace("_", " ") or _ORIGINS[link.origin])


def by_weekday(tx: Connection, connection_id: str) -> list[Row]:
    """By the day of the week on which it went out, in the organization's zone."""
    zone = connections.zone(connections.get(tx, connection_id).timezone)
    rows = _rows(tx, connection_id, lambda link: WEEKDAYS[link.created_at.astimezone(zone).weekday()])
    return sorted(rows, key=lambda r: WEEKDAYS.index(r.label))


def _rows(tx: Connection, connection_id: str, label: Callable[[Link], str]) -> list[Row]:
    """A customer counts once for each kind, however many letters they got: their answers are no independent cases."""
    answered = customer_answers.answered_links(tx, connection_id)
    groups: dict[str, dict[str, tuple[bool, bool]]] = defaultdict(dict)
    for link in customer_links.of_connection(tx, connection_id):
        opened, told = groups[label(link)].get(link.customer_id, (False, False))
        said = link.id in answered
        groups[label(link)][link.customer_id] = (opened or link.first_seen_at is not None, told or said)
    return [
        Row(
            name,
            shares.counted(opened for opened, _ in customers.values()),
            shares.counted(told for _, told in customers.values()),
        )
        for name, customers in sorted(groups.items())
    ]


@dataclass(frozen=True, slots=True)
class Effect:
    """Customers whose first invoice since the beginning was paid within ten days of its due date, in both groups."""

    contacted: Share
    waited: Share
    difference: Difference | None


def of_holdout(tx: Connection, connection_id: str, page: PagePolicy, today: dt.date) -> Effect | None:
    """None where no share waits. One invoice for each customer: those of one customer are no independent cases."""
    if not page.holdout_percent or page.holdout_since is None:
        return None
    settled: dict[str, dt.date] = {}
    for invoice_id, day, _ in books.settlements(tx, connection_id):
        settled[invoice_id] = day
    first: dict[str, Invoice] = {}
    for invoice in sorted(books.invoices(tx, connection_id), key=lambda i: (i.due, i.id)):
        over = invoice.due + dt.timedelta(PAID_WITHIN) < today
        if invoice.due >= page.holdout_since and over and not invoice.marker and invoice.total > 0:
            first.setdefault(invoice.customer_id, invoice)
    groups: dict[bool, list[bool]] = {True: [], False: []}
    for customer_id, invoice in first.items():
        last = settled.get(invoice.id)
        paid = invoice.balance == 0 and last is not None and (last - invoice.due).days <= PAID_WITHIN
        groups[shares.held_out(connection_id, customer_id, page.holdout_percent)].append(paid)
    contacted, waited = shares.counted(groups[False]), shares.counted(groups[True])
    return Effect(contacted, waited, shares.difference(contacted, waited))
