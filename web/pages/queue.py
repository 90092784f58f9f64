"""What waits for the person: drafts to approve, writes that a ledger refused, to-dos that only a person can do."""

from __future__ import annotations

from flask import abort, flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from connector import audit, books, connections, db, jobs, outbox, people, plans, todos
from connector.domain.writes import NoteDraft
from connector.platforms import find
from web.pages import blueprint
from web.sign_in import config, engine, need, role_in

SHOWN = 50  # drafts of one client; the rest follows as these are decided


@blueprint.get("/queue")
def queue() -> str:
    drafts, failed, tasks = [], [], []
    chosen = request.args.get("organization", "")
    if chosen:
        role_in(chosen)
    with db.reading(engine()) as tx:
        roles = people.connections_of(tx, g.person.id)
        mine = {id: connections.get(tx, id) for id in roles}
        for id, connection in mine.items():
            if chosen and id != chosen:
                continue
            waiting = plans.of_connection(tx, id, states=("proposed",), limit=SHOWN)
            names = {c.id: c.name for c in books.customers(tx, id, ids=[p.plan.customer_id for p in waiting])}
            drafts += [(connection, p, names.get(p.plan.customer_id, p.plan.customer_id)) for p in waiting]
            failed += [
                (connection, w, find(connection.platform, config()), isinstance(w.draft, NoteDraft))
                for w in outbox.failures(tx, id)
            ]
            tasks += [(connection, t, find(connection.platform, config())) for t in todos.waiting(tx, id)]
    drafts.sort(key=lambda d: (d[1].created_at, d[1].id))
    return render_template(
        "queue.html",
        drafts=drafts,
        failed=failed,
        tasks=tasks,
        mine=mine,
        roles=roles,
        chosen=chosen,
        here="queue",
    )


def _write(write_id: int) -> outbox.Write:
    with db.reading(engine()) as tx:
        try:
            write = outbox.get(tx, write_id)
        except LookupError:
            abort(404)
    need(write.connection_id, "act")
    return write


@blueprint.post("/writes/<int:write_id>/retry")
def retry(write_id: int) -> Response:
    """Put a refused write back: it is looked up in the ledger before it is tried again."""
    write = _write(write_id)
    if write.state == "failed":
        with db.transaction(engine()) as tx:
            outbox.retry(tx, write_id, who=g.person.name, now=db.now())
        jobs.wake_deliver(config(), write.connection_id)
    flash(
        "It will be looked up in the ledger, then tried once more. If it is refused again, it comes back.",
        "good",
    )
    return redirect(url_for("pages.queue"))


@blueprint.post("/writes/<int:write_id>/keep")
def keep(write_id: int) -> Response:
    """A refused note stays in Forbear only: the ledger never gets it, and nothing else changes."""
    write = _write(write_id)
    if not isinstance(write.draft, NoteDraft):
        abort(400, "Only a note can be kept here. A document belongs to its plan: end the plan instead.")
    if write.state == "failed":
        with db.transaction(engine()) as tx:
            outbox.cancel(tx, write_id, db.now())
            audit.record(
                tx,
                who=g.person.name,
                what="kept a refused note in Forbear only",
                connection_id=write.connection_id,
                subject=f"write {write_id}",
                why=write.error,
                now=db.now(),
            )
        jobs.wake_deliver(config(), write.connection_id)
        flash("The note stays here. The ledger does not have it; nothing else changed.", "good")
    return redirect(url_for("pages.queue"))


@blueprint.post("/todos/<int:todo_id>/done")
def done(todo_id: int) -> Response:
    with db.reading(engine()) as tx:
        try:
            todo = todos.get(tx, todo_id)
        except LookupError:
            abort(404)
    need(todo.connection_id, "act")
    with db.transaction(engine()) as tx:
        todos.finish(tx, todo_id, who=g.person.name, now=db.now())
    flash("Off the list.", "good")
    return redirect(url_for("pages.queue"))
