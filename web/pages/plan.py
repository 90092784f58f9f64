"""One plan: amount, schedule, what changes in the books, the words, approve; afterwards progress and proof."""

from __future__ import annotations

from flask import abort, flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from connector import books, connections, db, drafting, jobs, outbox, plans
from connector.domain.calendar import Rhythm
from connector.domain.propose import Wish
from connector.platforms import find
from web.pages import blueprint
from web.sign_in import config, engine, need, role_in


def _plan(plan_id: str) -> plans.Record:
    """The plan, if the person may see its organization; 404 tells nobody which of the two it is not."""
    with db.reading(engine()) as tx:
        try:
            found = plans.get(tx, plan_id)
        except LookupError:
            abort(404)
    role_in(found.connection_id)
    return found


@blueprint.get("/plans/<plan_id>")
def plan(plan_id: str) -> str:
    found = _plan(plan_id)
    with db.reading(engine()) as tx:
        connection = connections.get(tx, found.connection_id)
        today = connections.today(connection, config())
        context = {
            "customer": books.customer(tx, found.connection_id, found.plan.customer_id),
            "writes": outbox.of_plan(tx, plan_id),
            "versions": plans.versions(tx, plan_id),
            "preview": drafting.preview(
                tx, plan_id, today=today, credit_word=find(connection.platform, config()).credit_word
            )
            if found.state == "proposed"
            else None,
        }
    return render_template(
        "plan_draft.html" if found.state == "proposed" else "plan.html",
        organization=connection,
        platform=find(connection.platform, config()),
        role=role_in(found.connection_id),
        today=today,
        plan=found,
        **context,
    )


@blueprint.post("/plans/<plan_id>/change")
def change(plan_id: str) -> Response:
    """Draft anew with other terms: how many payments, how often, split or notes."""
    found = _plan(plan_id)
    need(found.connection_id, "act")
    with db.reading(engine()) as tx:
        today = connections.today(connections.get(tx, found.connection_id), config())
    try:
        count = int(request.form.get("installments") or 0) or None
        every = request.form.get("every")
        with db.transaction(engine()) as tx:
            drafting.redraft(
                tx,
                plan_id,
                wish=Wish(installments=count, rhythm=Rhythm(every) if every else None)
                if count or every
                else None,
                mode=request.form.get("mode", ""),
                revision=int(request.form.get("revision", found.revision)),
                who=g.person.name,
                now=db.now(),
                today=today,
            )
    except (plans.PlanProblem, plans.EditedMeanwhile) as problem:
        flash(str(problem), "look")
    except ValueError:
        flash("Write the number of payments as a whole number.", "look")
    return redirect(url_for("pages.plan", plan_id=plan_id))


@blueprint.post("/plans/<plan_id>/approve")
def approve(plan_id: str) -> Response:
    """Approve and wake the writing. Safe to press twice: the second finds it approved."""
    return _act(plan_id, plans.approve, "Approved. Writing it now; this page follows.")


@blueprint.post("/plans/<plan_id>/cancel")
def cancel(plan_id: str) -> Response:
    return _act(plan_id, plans.cancel, "The plan is ended. What was written today is being removed again.")


def _act(plan_id: str, step, sentence: str) -> Response:  # type: ignore[no-untyped-def]
    found = _plan(plan_id)
    need(found.connection_id, "act")
    with db.reading(engine()) as tx:
        today = connections.today(connections.get(tx, found.connection_id), config())
    try:
        with db.transaction(engine()) as tx:
            step(tx, plan_id, who=g.person.name, now=db.now(), today=today)
        jobs.wake_deliver(config(), found.connection_id)
        flash(sentence, "good")
    except (plans.PlanProblem, plans.EditedMeanwhile) as problem:
        flash(str(problem), "look")
    return redirect(url_for("pages.plan", plan_id=plan_id))
