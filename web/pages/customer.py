"""One customer: what they owe, their story, what was noticed and the documents that prove it, the draft, and
whether reminders rest. What was learned on a call is noted here: a promise, a dispute, a rest."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from flask import abort, render_template
from sqlalchemy.engine import Connection as Transaction
from werkzeug.wrappers import Response

from connector import db
from connector.connecting import connections
from connector.contact import credit_limits, holds, reminders
from connector.domain import terms
from connector.domain.receivables import Customer, Payment
from connector.mirroring import books, completeness
from connector.planning import plans
from connector.platforms import find
from connector.practice import settings
from connector.record import audit
from connector.reviewing import current
from web import aged, words
from web.pages import blueprint, story, talking
from web.pages.customer_acts import AT, LEARNED, REASONS, back_to
from web.sign_in import config, engine, role_in

LATEST = 12
KINDS = ("reliable", "forgetful", "squeezed", "chronic", "disputing", "not_enough_data")


@blueprint.get(AT)
def customer(connection_id: str, customer_id: str) -> str | Response:
    role = role_in(connection_id)
    with db.reading(engine()) as tx:
        connection = connections.get(tx, connection_id)
        today = connections.today(connection, config())
        picture = books.of_customer(tx, connection_id, customer_id)
        if picture is None:
            abort(404)
        if picture.customer.id != customer_id:  # merged away: what we keep went along
            return back_to(connection_id, picture.customer.id)
        mine = plans.of_customer(tx, connection_id, customer_id)
        messages = current.worded(tx, connection_id, reminders.of_customer(tx, connection_id, customer_id))
        promises = holds.promised(tx, connection_id, customer_id)
        conclusion = current.of_customer(tx, connection_id, customer_id)
        decided = settings.load(tx, connection_id)
        kept = _kept(tx, connection_id, customer_id, today)
    open_now = sorted((i for i in picture.invoices if i.balance), key=lambda i: (i.due, i.number))
    sums = aged.of_invoices(open_now, today)
    numbers = {i.id: i.number for i in picture.invoices}
    unapplied = _unapplied(picture.payments)
    return render_template(
        "customer.html",
        organization=connection,
        platform=find(connection.platform, config()),
        role=role,
        today=today,
        customer=picture.customer,
        settings=decided,
        conclusion=conclusion,
        open_now=open_now,
        unapplied=unapplied,
        talk=talking.points(
            conclusion, open_now, numbers, decided.policy.plan, unapplied=bool(unapplied), today=today
        ),
        segments=[(s, *words.kind(s)) for s in KINDS],
        recent=picture.payments[: -LATEST - 1 : -1],
        numbers=numbers,
        aged=sums,
        reasons=REASONS,
        plans=[p for p in mine if p.state not in ("cancelled", "withdrawn")],
        covered=plans.planned(mine),
        messages=messages[::-1],
        promises=promises,
        line=story.time_line(picture, mine, messages, promises, today),
        entries=story.entries(picture, mine, messages, promises, today, connection.timezone),
        terms=terms.suggestions(
            picture.customer,
            conclusion.kind if conclusion else "",
            {code: of.total for code, of in sums.items()},
            today,
            connection.home_currency,
        ),
        **_habits(picture, today),
        **kept,
    )


def _kept(tx: Transaction, connection_id: str, customer_id: str, today: dt.date) -> dict[str, Any]:
    """What people said and found about the customer."""
    noted = f"customer {customer_id}"
    return {
        "holds": holds.active(tx, connection_id, customer_id, today=today),
        "differences": completeness.differences(tx, connection_id, customer_id),
        "limit": credit_limits.entered(tx, connection_id, [customer_id]).get(customer_id),
        "ledger_limit": _ledger_limit(books.customer(tx, connection_id, customer_id)),
        "notes": audit.of_connection(tx, connection_id, subject=noted, what=LEARNED, limit=LATEST),
    }


def _habits(picture: books.Receivables, today: dt.date) -> dict[str, Any]:
    """How late they pay against their own habit, and in which parts."""
    found, partly = story.lates(picture, today), _parts(picture, today)
    usual = story.normal(found)
    return {
        "habit": story.habit(found, usual) if found else None,
        "habit_words": story.habit_sentence(found, usual),
        "lates": found[-story.DOTS :],
        "part_payments": partly,
        "most_paid": max((p[1] for p in partly), default=1),
    }


def _ledger_limit(customer: Customer | None) -> int | None:
    return customer.credit_limit if customer else None


def _unapplied(payments: Iterable[Payment]) -> dict[str, int]:
    """Money not matched to an invoice, currency → minor units."""
    found: dict[str, int] = {}
    for payment in payments:
        if payment.unapplied and not payment.void:
            found[payment.currency] = found.get(payment.currency, 0) + payment.unapplied
    return found


def _parts(picture: books.Receivables, today: dt.date) -> list[tuple[dt.date, int, int, str, str]]:
    """(day, paid, of, number, currency) of the part-payments on overdue invoices in the last half year."""
    by_id = {i.id: i for i in picture.invoices}
    found = []
    for payment in picture.payments:
        for part in payment.allocations:
            invoice = by_id.get(part.invoice_id)
            recent = today - payment.date < dt.timedelta(days=183)
            if invoice is None or payment.void or not recent:
                continue
            if payment.date > invoice.due and 0 < part.amount < invoice.total:
                found.append((payment.date, part.amount, invoice.total, invoice.number, invoice.currency))
    return sorted(found)[-6:]
