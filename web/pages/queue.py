"""What waits for the person: drafts to approve, writes that a ledger refused, to-dos that only a person can do."""

from __future__ import annotations

from flask import abort, flash, g, redirect, render_template, url_for
from werkzeug.wrappers import Response

from connector import books, connections, db, jobs, outbox, people, plans
from web.pages import blueprint
from web.sign_in import config, engine, need


@blueprint.get("/queue")
def queue() -> str:
    drafts, failed, tasks = [], [], []
    with db.reading(engine()) as tx:
        for connection_id in people.connections_of(tx, g.person.id):
            connection = connections.get(tx, connection_id)
            waiting = plans.of_connection(tx, connection_id, states=("proposed",))
            names = {
                c.id: c.name
                for c in books.customers(tx, connection_id, ids=[p.plan.customer_id for p in waiting])
            }
            drafts += [(connection, p, names.get(p.plan.customer_id, p.plan.customer_id)) for p in waiting]
            failed += [(connection, w) for w in outbox.failures(tx, connection_id)]
            tasks += [(connection, t) for t in plans.open_todos(tx, connection_id)]
    return render_template("queue.html", drafts=drafts, failed=failed, tasks=tasks, here="queue")


@blueprint.post("/writes/<int:write_id>/retry")
def retry(write_id: int) -> Response:
    """Put a refused write back: it is looked up in the ledger before it is tried again."""
    with db.reading(engine()) as tx:
        try:
            write = outbox.get(tx, write_id)
        except LookupError:
            abort(404)
    need(write.connection_id, "act")
    with db.transaction(engine()) as tx:
        outbox.retry(tx, write_id, who=g.person.name, now=db.now())
    jobs.wake_deliver(config(), write.connection_id)
    flash("It will be looked up in the ledger, then tried once more.", "good")
    return redirect(url_for("pages.queue"))


@blueprint.post("/todos/<int:todo_id>/done")
def done(todo_id: int) -> Response:
    with db.reading(engine()) as tx:
        try:
            todo = plans.todo(tx, todo_id)
        except LookupError:
            abort(404)
    need(todo.connection_id, "act")
    with db.transaction(engine()) as tx:
        plans.finish_todo(tx, todo_id, who=g.person.name, now=db.now())
    return redirect(url_for("pages.queue"))
