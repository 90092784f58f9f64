"""Remove what Forbear wrote: for one plan, or for a whole organization, with a look at it first."""

from __future__ import annotations

from flask import abort, flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from connector import db, waking
from connector.connecting import connections
from connector.mirroring import books
from connector.planning import ending, plans
from connector.platforms import find
from web.pages import blueprint
from web.sign_in import config, engine, need, role_in


@blueprint.get("/organizations/<connection_id>/remove")
def remove(connection_id: str) -> str:
    """What would leave the ledger and what would stay; `?plan=PP-0001` for one plan."""
    role = role_in(connection_id)
    with db.reading(engine()) as tx:
        connection = connections.get(tx, connection_id)
        today = connections.today(connection, config())
        found = ending.removals(tx, connection_id, today=today, plan_ids=request.args.getlist("plan"))
        ids = {r.plan.plan.customer_id for r in found}
        names = {c.id: c.name for c in books.customers(tx, connection_id, ids)} if ids else {}
    one = request.args.get("plan", "")
    if one and not found:
        abort(404)
    return render_template(
        "remove.html",
        organization=connection,
        platform=find(connection.platform, config()),
        role=role,
        needed="act" if one else "configure",
        removals=found,
        names=names,
        one=one,
        fingerprint=fingerprint,
        today=today,
    )


@blueprint.post("/organizations/<connection_id>/remove")
def removed(connection_id: str) -> Response:
    """Do what the page showed. A plan that changed since is left alone, and the page is shown again."""
    one = request.form.get("plan", "")
    need(connection_id, "act" if one else "configure")
    shown = set(request.form.getlist("shown"))
    try:
        with db.transaction(engine()) as tx:
            today = connections.today(connections.get(tx, connection_id), config())
            found = ending.removals(tx, connection_id, today=today, plan_ids=[one] if one else ())
            if {fingerprint(r) for r in found} != shown:
                flash("Something changed since this page was shown. Look at it again.", "look")
                return redirect(url_for("pages.remove", connection_id=connection_id, plan=one or None))
            for removal in found:
                plans.cancel(tx, removal.plan.id, who=g.person.name, why="removed", now=db.now(), today=today)
        waking.deliver(config(), connection_id)
        waking.review(config(), connection_id)
        flash("It is being removed; each plan's page follows.", "good")
    except (plans.PlanProblem, plans.EditedMeanwhile) as problem:
        flash(str(problem), "look")
    if one:
        return redirect(url_for("pages.plan", plan_id=one))
    return redirect(url_for("pages.plan_list", connection_id=connection_id))


def fingerprint(removal: ending.Removal) -> str:
    """What the person saw of one plan: its revision, and whether its documents leave or stay."""
    return f"{removal.plan.id} {removal.plan.revision} {len(removal.taken_back)} {bool(removal.stays)}"
