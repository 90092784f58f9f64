"""One customer: what they owe, what was noticed and the documents that prove it, the draft, and whether reminders rest."""

from __future__ import annotations

from flask import abort, flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from connector import books, conclusions, connections, db, drafting, holds, plans, reminders
from connector.platforms import find
from web.aged import aged
from web.pages import blueprint
from web.sign_in import config, engine, need, role_in

REASONS = {
    "disputed": "They dispute it",
    "insolvency": "Insolvency",
    "breathing_space": "Breathing space",
    "opt_out": "They asked for no messages",
    "data_request": "Data request",
    "deceased": "Bereavement",
    "manual": "Another reason",
}


@blueprint.get("/organizations/<connection_id>/customers/<customer_id>")
def customer(connection_id: str, customer_id: str) -> str:
    role = role_in(connection_id)
    with db.reading(engine()) as tx:
        connection = connections.get(tx, connection_id)
        today = connections.today(connection, config())
        who = books.customer(tx, connection_id, customer_id)
        whole = books.of_customer(tx, connection_id, customer_id)
        if who is None or whole is None:
            abort(404)
        context = {
            "conclusion": conclusions.of_customer(tx, connection_id, customer_id),
            "plans": plans.of_customer(tx, connection_id, customer_id),
            "holds": holds.active(tx, connection_id, customer_id, today=today),
            "messages": reminders.of_customer(tx, connection_id, customer_id),
        }
    open_now = sorted((i for i in whole.invoices if i.balance), key=lambda i: (i.due, i.number))
    recent = sorted(whole.payments, key=lambda p: (p.date, p.id), reverse=True)[:12]
    return render_template(
        "customer.html",
        organization=connection,
        platform=find(connection.platform, config()),
        role=role,
        today=today,
        customer=who,
        open_now=open_now,
        recent=recent,
        numbers={i.id: i.number for i in whole.invoices},
        aged=aged(open_now, today),
        reasons=REASONS,
        **context,
    )


@blueprint.post("/organizations/<connection_id>/customers/<customer_id>/draft")
def draft(connection_id: str, customer_id: str) -> Response:
    """Draft a plan for the chosen invoices, oldest first; none chosen means all that are overdue."""
    need(connection_id, "act")
    with db.reading(engine()) as tx:
        today = connections.today(connections.get(tx, connection_id), config())
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
        return redirect(url_for("pages.customer", connection_id=connection_id, customer_id=customer_id))
    return redirect(url_for("pages.plan", plan_id=plan.id))


@blueprint.post("/organizations/<connection_id>/customers/<customer_id>/hold")
def hold(connection_id: str, customer_id: str) -> Response:
    need(connection_id, "act")
    with db.transaction(engine()) as tx:
        if lifted := request.form.get("lift"):
            known = {
                str(h.id): h.id for h in holds.active(tx, connection_id, customer_id, today=db.now().date())
            }
            if lifted not in known:
                abort(404)
            holds.lift(tx, known[lifted], who=g.person.name, now=db.now())
            flash("Reminders may go out again.", "good")
        else:
            reason = request.form.get("reason", "manual")
            if reason not in REASONS:
                abort(400, "Choose a reason from the list.")
            holds.put(
                tx,
                connection_id,
                customer_id,
                reason,
                invoice_id=request.form.get("invoice") or None,
                note=request.form.get("note", "").strip()[:500],
                who=g.person.name,
                now=db.now(),
            )
            flash("Reminders rest until you lift this.", "good")
    return redirect(url_for("pages.customer", connection_id=connection_id, customer_id=customer_id))
