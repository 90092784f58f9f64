"""What a person says or does about one customer, by one press each: a draft, a rest, a promise, what was heard, a step
let go, a limit, a kind. Each can be taken back, and the customer is looked at again at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

from flask import abort, flash, g, redirect, request, url_for
from sqlalchemy.engine import Connection as Transaction
from werkzeug.wrappers import Response

from connector import db, waking
from connector.connecting import connections
from connector.contact import contacts, credit_limits, holds, reminders
from connector.domain.receivables import Customer
from connector.mirroring import books
from connector.planning import drafting, plans
from connector.record import audit
from connector.reviewing import conclusions
from web import typed, words
from web.pages import blueprint
from web.sign_in import config, engine, need

AT = "/organizations/<connection_id>/customers/<customer_id>"
LEARNED = "noted what was learned"  # in the record
REASONS = {
    "manual": "Another reason",
    "disputed": "They dispute it",
    "insolvency": "Insolvency",
    "breathing_space": "Breathing space",
    "opt_out": "They asked for no messages",
    "data_request": "Data request",
    "deceased": "Bereavement",
}
SAID = {
    "extension_asked": "asked for more time",
    "replied": "replied",
    "bounced": "payment came back",
    "details_changed": "contact details changed",
}


@blueprint.post(f"{AT}/draft")
def draft(connection_id: str, customer_id: str) -> Response:
    """Draft a plan for the chosen invoices, oldest first; none chosen means all that are overdue."""
    need(connection_id, "act")
    today = today_of(connection_id)
    try:
        with db.transaction(engine()) as tx:
            plan = drafting.propose_plan(
                tx,
                connection_id,
                customer_id,
                request.form.getlist("invoice"),
                who=g.person.name,
                now=db.now(),
                today=today,
            )
    except plans.PlanProblem as problem:
        flash(str(problem), "look")
        return back_to(connection_id, customer_id)
    except LookupError:
        abort(404)
    return redirect(url_for("pages.plan", plan_id=plan.id))


@blueprint.post(f"{AT}/hold")
def hold(connection_id: str, customer_id: str) -> Response:
    """Let reminders rest, or end a rest. Both can be taken back, so neither asks first."""
    need(connection_id, "act")
    today = today_of(connection_id)
    if lifted := request.form.get("lift"):
        with about(connection_id, customer_id) as tx:
            known = {str(h.id): h.id for h in holds.active(tx, connection_id, customer_id, today=today)}
            if lifted not in known:
                abort(404)
            holds.lift(tx, known[lifted], who=g.person.name, now=db.now())
        flash("Reminders may go out again.", "good")
    else:
        reason = request.form.get("reason", "manual")
        if reason not in REASONS:
            abort(400, "Choose a reason from the list.")
        until = _day_in("until")
        invoice_id = _invoice_in(connection_id, customer_id)
        with about(connection_id, customer_id) as tx:
            holds.put(
                tx,
                connection_id,
                customer_id,
                reason,
                invoice_id=invoice_id,
                until=until,
                note=request.form.get("note", "").strip()[:500],
                who=g.person.name,
                now=db.now(),
            )
        flash("Reminders rest. You can end that with one press below.", "good")
    return back_to(connection_id, customer_id)


@blueprint.post(f"{AT}/promise")
def promise(connection_id: str, customer_id: str) -> Response:
    """The customer named a day: reminders rest until then, and Forbear looks whether it was kept."""
    need(connection_id, "act")
    if withdrawn := request.form.get("withdraw"):
        with about(connection_id, customer_id) as tx:
            known = {str(p.id): p.id for p in holds.promised(tx, connection_id, customer_id)}
            if withdrawn not in known:
                abort(404)
            holds.withdraw_promise(tx, known[withdrawn], who=g.person.name, now=db.now())
        flash("The promise is taken off.", "good")
    else:
        day = _day_in("day")
        if day is None or day < today_of(connection_id):
            flash("Write the day that the customer named; it cannot have passed.", "look")
            return back_to(connection_id, customer_id)
        invoice_id = _invoice_in(connection_id, customer_id)
        with db.reading(engine()) as tx:
            invoice = books.invoice(tx, connection_id, invoice_id) if invoice_id else None
            currency = invoice.currency if invoice else connections.get(tx, connection_id).home_currency
        try:
            text = request.form.get("amount", "").strip()
            amount = typed.amount(text, currency) if text else None
        except ValueError:
            flash("Write the amount as a number such as 1200.00, or leave it empty.", "look")
            return back_to(connection_id, customer_id)
        with about(connection_id, customer_id) as tx:
            holds.promise(
                tx,
                connection_id,
                customer_id,
                day,
                invoice_id=invoice_id,
                amount=amount,
                currency=currency if amount else "",
                who=g.person.name,
                now=db.now(),
            )
        flash("Noted. Reminders rest until that day.", "good")
    return back_to(connection_id, customer_id)


@blueprint.post(f"{AT}/kind")
def kind(connection_id: str, customer_id: str) -> Response:
    """A person knows the customer better, or leaves the judgement to the books again. Either can be taken back."""
    need(connection_id, "act")
    segment = request.form.get("kind", "")
    reason = request.form.get("reason", "").strip()[:500]
    try:
        with about(connection_id, customer_id) as tx:
            conclusions.override(
                tx,
                connection_id,
                customer_id,
                segment or None,
                reason=reason,
                who=g.person.name,
                now=db.now(),
            )
    except ValueError:
        flash("Nothing was changed: choose a kind, and write one line of reason.", "look")
        return back_to(connection_id, customer_id)
    except LookupError:
        abort(404)
    label = words.kind(segment)[1].lower()
    flash(
        f"Seen as {label} from now on, until you leave it to the books again."
        if segment
        else "The books decide again.",
        "good",
    )
    return back_to(connection_id, customer_id)


@blueprint.post(f"{AT}/note")
def note(connection_id: str, customer_id: str) -> Response:
    """What was learned on a call, in one field; it stays with the customer and in the record."""
    need(connection_id, "act")
    text = request.form.get("note", "").strip()[:1000]
    with db.transaction(engine()) as tx:
        _known(tx, connection_id, customer_id)
        if text:
            audit.record(
                tx,
                who=g.person.name,
                what=LEARNED,
                connection_id=connection_id,
                subject=f"customer {customer_id}",
                why=text,
                now=db.now(),
            )
            flash("Noted.", "good")
    return back_to(connection_id, customer_id)


@blueprint.post(f"{AT}/heard")
def heard(connection_id: str, customer_id: str) -> Response:
    """One press for what was heard, or for a call or letter by hand; it is dated today."""
    need(connection_id, "act")
    what, today = request.form.get("what", ""), today_of(connection_id)
    note = request.form.get("note", "").strip()[:500]
    with about(connection_id, customer_id) as tx:
        _known(tx, connection_id, customer_id)
        if what in SAID:
            contacts.hear(
                tx, connection_id, customer_id, what, on=today, note=note, who=g.person.name, now=db.now()
            )
            flash(f"Noted: {SAID[what]}.", "good")
        elif what in contacts.CHANNELS:
            contacts.record(
                tx, connection_id, customer_id, what, on=today, note=note, who=g.person.name, now=db.now()
            )
            flash("Noted. It counts as one of this week's contacts.", "good")
        else:
            abort(400, "Press one of the buttons shown.")
    return back_to(connection_id, customer_id)


@blueprint.post(f"{AT}/release")
def release(connection_id: str, customer_id: str) -> Response:
    """A person lets a step go that waits for one; everything else that holds it still does."""
    need(connection_id, "act")
    with about(connection_id, customer_id) as tx:
        mine = {str(r.id): r.id for r in reminders.of_customer(tx, connection_id, customer_id)}
        wanted = request.form.get("reminder", "")
        if wanted not in mine:
            abort(404)
        reminders.release(tx, mine[wanted], who=g.person.name, now=db.now())
    flash("Let go. It leaves in the next hours it may, if nothing else holds it.", "good")
    return back_to(connection_id, customer_id)


@blueprint.post(f"{AT}/limit")
def limit(connection_id: str, customer_id: str) -> Response:
    """A credit limit that a person knows of, before the ledger's; or back to the ledger's."""
    need(connection_id, "act")
    try:
        with about(connection_id, customer_id) as tx:
            customer = _known(tx, connection_id, customer_id)
            if request.form.get("back"):
                credit_limits.take_back(tx, connection_id, customer_id, who=g.person.name, now=db.now())
                done = "Taken back. The ledger's limit counts, where it has one."
            else:
                currency = customer.currency or connections.get(tx, connection_id).home_currency
                amount = typed.amount(request.form.get("amount", ""), currency)
                credit_limits.enter(
                    tx, connection_id, customer_id, amount, currency, who=g.person.name, now=db.now()
                )
                done = "Kept. It counts before the ledger's own until you take it back."
        flash(done, "good")
    except ValueError:
        flash("Nothing was changed: write the limit as a number above zero, such as 5000.", "look")
    return back_to(connection_id, customer_id)


@contextmanager
def about(connection_id: str, customer_id: str) -> Iterator[Transaction]:
    """What a person says about a customer is stored, and the customer is looked at again at once."""
    with db.transaction(engine()) as tx:
        yield tx
        books.note_changed(tx, connection_id, [customer_id], db.now())
    waking.review(config(), connection_id)


def today_of(connection_id: str) -> dt.date:
    """The organization's own day."""
    with db.reading(engine()) as tx:
        return connections.today(connections.get(tx, connection_id), config())


def back_to(connection_id: str, customer_id: str, page: str = "pages.customer") -> Response:
    return redirect(url_for(page, connection_id=connection_id, customer_id=customer_id))


def _known(tx: Transaction, connection_id: str, customer_id: str) -> Customer:
    customer = books.customer(tx, connection_id, customer_id)
    if customer is None:
        abort(404)
    return customer


def _day_in(field: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(request.form.get(field, ""))
    except ValueError:
        return None


def _invoice_in(connection_id: str, customer_id: str) -> str | None:
    """The invoice that the form names, if it is this customer's."""
    wanted = request.form.get("invoice")
    if not wanted:
        return None
    with db.reading(engine()) as tx:
        found = books.invoice(tx, connection_id, wanted)
    if found is None or found.customer_id != customer_id:
        abort(404)
    return found.id
