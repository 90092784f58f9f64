"""One customer: what they owe, their story, what was noticed and the documents that prove it, the draft, and
whether reminders rest. What was learned on a call is noted here: a promise, a dispute, a rest."""

from __future__ import annotations

import datetime as dt

from flask import abort, flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from connector import db, waking
from connector.connecting import connections
from connector.contact import credit_limits, holds, reminders
from connector.domain import terms
from connector.domain.receivables import Customer
from connector.mirroring import books, completeness
from connector.planning import drafting, plans
from connector.platforms import find
from connector.practice import settings
from connector.record import audit
from connector.reviewing import conclusions, current
from web import aged, typed, words
from web.pages import blueprint, story, talking
from web.sign_in import config, engine, need, role_in

REASONS = {
    "manual": "Another reason",
    "disputed": "They dispute it",
    "insolvency": "Insolvency",
    "breathing_space": "Breathing space",
    "opt_out": "They asked for no messages",
    "data_request": "Data request",
    "deceased": "Bereavement",
}
LATEST = 12
KINDS = ("reliable", "forgetful", "squeezed", "chronic", "disputing", "not_enough_data")


@blueprint.get("/organizations/<connection_id>/customers/<customer_id>")
def customer(connection_id: str, customer_id: str) -> str | Response:
    role = role_in(connection_id)
    with db.reading(engine()) as tx:
        connection = connections.get(tx, connection_id)
        today = connections.today(connection, config())
        picture = books.of_customer(tx, connection_id, customer_id)
        if picture is None:
            abort(404)
        if picture.customer.id != customer_id:  # merged away: what we keep went along
            return _back(connection_id, picture.customer.id)
        mine = plans.of_customer(tx, connection_id, customer_id)
        messages = current.worded(tx, connection_id, reminders.of_customer(tx, connection_id, customer_id))
        promises = holds.promised(tx, connection_id, customer_id)
        conclusion = current.of_customer(tx, connection_id, customer_id)
        decided = settings.load(tx, connection_id)
        context = {
            "conclusion": conclusion,
            "holds": holds.active(tx, connection_id, customer_id, today=today),
            "differences": completeness.differences(tx, connection_id, customer_id),
            "settings": decided,
            "limit": credit_limits.entered(tx, connection_id, [picture.customer.id]).get(picture.customer.id),
            "ledger_limit": _ledger_limit(books.customer(tx, connection_id, picture.customer.id)),
            "notes": [
                e
                for e in audit.of_connection(
                    tx, connection_id, subject=f"customer {customer_id}", limit=LATEST
                )
                if e.what == "noted what was learned"
            ],
        }
    open_now = sorted((i for i in picture.invoices if i.balance), key=lambda i: (i.due, i.number))
    found = story.lates(picture, today)
    usual = story.normal(found)
    partly = _parts(picture, today)
    numbers = {i.id: i.number for i in picture.invoices}
    unapplied = sum(p.unapplied for p in picture.payments if not p.void)
    talk = talking.points(
        conclusion,
        open_now,
        numbers,
        decided.policy.plan,
        unapplied=bool(unapplied),
        today=today,
    )
    return render_template(
        "customer.html",
        organization=connection,
        platform=find(connection.platform, config()),
        role=role,
        today=today,
        customer=picture.customer,
        open_now=open_now,
        unapplied=unapplied,
        talk=talk,
        segments=[(s, *words.kind(s)) for s in KINDS],
        recent=sorted(picture.payments, key=lambda p: (p.date, p.id), reverse=True)[:LATEST],
        numbers=numbers,
        aged=aged.of_invoices(open_now, today),
        reasons=REASONS,
        plans=[p for p in mine if p.state not in ("cancelled", "withdrawn")],
        covered=plans.planned(mine),
        messages=messages[::-1],
        promises=promises,
        line=story.time_line(picture, mine, messages, promises, today),
        entries=story.entries(picture, mine, messages, promises, today),
        habit=story.habit(found, usual) if found else None,
        habit_words=story.habit_sentence(found, usual),
        lates=found[-story.DOTS :],
        part_payments=partly,
        terms=terms.suggestions(
            picture.customer,
            getattr(context["conclusion"], "kind", ""),
            {code: sums.total for code, sums in aged.of_invoices(open_now, today).items()},
            today,
            connection.home_currency,
        ),
        most_paid=max((p[1] for p in partly), default=1),
        **context,
    )


def _ledger_limit(customer: Customer | None) -> int | None:
    return customer.credit_limit if customer else None


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


@blueprint.post("/organizations/<connection_id>/customers/<customer_id>/draft")
def draft(connection_id: str, customer_id: str) -> Response:
    """Draft a plan for the chosen invoices, oldest first; none chosen means all that are overdue."""
    need(connection_id, "act")
    today = _today(connection_id)
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
        return _back(connection_id, customer_id)
    except LookupError:
        abort(404)
    return redirect(url_for("pages.plan", plan_id=plan.id))


@blueprint.post("/organizations/<connection_id>/customers/<customer_id>/hold")
def hold(connection_id: str, customer_id: str) -> Response:
    """Let reminders rest, or end a rest. Both can be taken back, so neither asks first."""
    need(connection_id, "act")
    today = _today(connection_id)
    if lifted := request.form.get("lift"):
        with db.transaction(engine()) as tx:
            known = {str(h.id): h.id for h in holds.active(tx, connection_id, customer_id, today=today)}
            if lifted not in known:
                abort(404)
            holds.lift(tx, known[lifted], who=g.person.name, now=db.now())
            books.note_changed(tx, connection_id, [customer_id], db.now())
        flash("Reminders may go out again.", "good")
    else:
        reason = request.form.get("reason", "manual")
        if reason not in REASONS:
            abort(400, "Choose a reason from the list.")
        until = _day_in("until")
        invoice_id = _invoice_in(connection_id, customer_id)
        with db.transaction(engine()) as tx:
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
            books.note_changed(tx, connection_id, [customer_id], db.now())
        flash("Reminders rest. You can end that with one press below.", "good")
    waking.review(config(), connection_id)
    return _back(connection_id, customer_id)


@blueprint.post("/organizations/<connection_id>/customers/<customer_id>/promise")
def promise(connection_id: str, customer_id: str) -> Response:
    """The customer named a day: reminders rest until then, and Forbear looks whether it was kept."""
    need(connection_id, "act")
    if withdrawn := request.form.get("withdraw"):
        with db.transaction(engine()) as tx:
            known = {str(p.id): p.id for p in holds.promised(tx, connection_id, customer_id)}
            if withdrawn not in known:
                abort(404)
            holds.withdraw_promise(tx, known[withdrawn], who=g.person.name, now=db.now())
            books.note_changed(tx, connection_id, [customer_id], db.now())
        flash("The promise is taken off.", "good")
    else:
        day = _day_in("day")
        if day is None or day < _today(connection_id):
            flash("Write the day that the customer named; it cannot have passed.", "look")
            return _back(connection_id, customer_id)
        invoice_id = _invoice_in(connection_id, customer_id)
        with db.transaction(engine()) as tx:
            currency = connections.get(tx, connection_id).home_currency
            invoice = books.invoice(tx, connection_id, invoice_id) if invoice_id else None
            currency = invoice.currency if invoice else currency
            try:
                text = request.form.get("amount", "").strip()
                amount = typed.amount(text, currency) if text else None
            except ValueError:
                flash("Write the amount as a number such as 1200.00, or leave it empty.", "look")
                return _back(connection_id, customer_id)
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
            books.note_changed(tx, connection_id, [customer_id], db.now())
        flash("Noted. Reminders rest until that day.", "good")
    waking.review(config(), connection_id)
    return _back(connection_id, customer_id)


@blueprint.post("/organizations/<connection_id>/customers/<customer_id>/kind")
def kind(connection_id: str, customer_id: str) -> Response:
    """A person knows the customer better, or leaves the judgement to the books again. Either can be taken back."""
    need(connection_id, "act")
    segment = request.form.get("kind", "")
    reason = request.form.get("reason", "").strip()[:500]
    now = db.now()
    try:
        with db.transaction(engine()) as tx:
            conclusions.override(
                tx, connection_id, customer_id, segment or None, reason=reason, who=g.person.name, now=now
            )
            books.note_changed(tx, connection_id, [customer_id], now)
    except ValueError:
        flash("Nothing was changed: choose a kind, and write one line of reason.", "look")
        return _back(connection_id, customer_id)
    except LookupError:
        abort(404)
    label = words.kind(segment)[1].lower()
    flash(
        f"Seen as {label} from now on, until you leave it to the books again."
        if segment
        else "The books decide again.",
        "good",
    )
    waking.review(config(), connection_id)
    return _back(connection_id, customer_id)


@blueprint.post("/organizations/<connection_id>/customers/<customer_id>/note")
def note(connection_id: str, customer_id: str) -> Response:
    """What was learned on a call, in one field; it stays with the customer and in the record."""
    need(connection_id, "act")
    text = request.form.get("note", "").strip()[:1000]
    with db.transaction(engine()) as tx:
        if books.customer(tx, connection_id, customer_id) is None:
            abort(404)
        if text:
            audit.record(
                tx,
                who=g.person.name,
                what="noted what was learned",
                connection_id=connection_id,
                subject=f"customer {customer_id}",
                why=text,
                now=db.now(),
            )
            flash("Noted.", "good")
    return _back(connection_id, customer_id)


def _today(connection_id: str) -> dt.date:
    with db.reading(engine()) as tx:
        return connections.today(connections.get(tx, connection_id), config())


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


def _back(connection_id: str, customer_id: str) -> Response:
    return redirect(url_for("pages.customer", connection_id=connection_id, customer_id=customer_id))
