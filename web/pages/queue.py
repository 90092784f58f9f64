"""What waits for the person: drafts to approve, plans under way that somebody must look at, writes that a ledger refused,
to-dos that only a person can do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from flask import abort, flash, g, redirect, render_template, request, url_for
from sqlalchemy.engine import Connection as Transaction
from werkzeug.wrappers import Response

from connector import db, waking
from connector.connecting import connections
from connector.connecting.connections import Connection
from connector.contact import reminders
from connector.domain.writes import NoteDraft
from connector.mirroring import books
from connector.planning import plan_records, plans, todos
from connector.platforms import Platform, find
from connector.practice import people
from connector.record import audit
from connector.reviewing import overview
from connector.writing import outbox
from web.pages import blueprint
from web.sign_in import config, engine, need, role_in

SHOWN = 50  # drafts of one client; the rest follows as these are decided
LISTED = 100  # drafts of all clients together


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that waits. `key` names it in the address, so that it can be linked to: plan-PP-0007, write-12."""

    key: str
    connection: Connection
    plan: plans.Record | None = None
    customer: str = ""
    write: outbox.Write | None = None
    todo: todos.Todo | None = None

    @property
    def platform(self) -> Platform:
        return find(self.connection.platform, config())

    @property
    def today(self) -> dt.date:
        return connections.today(self.connection, config())

    @property
    def note(self) -> NoteDraft | None:
        draft = self.write.draft if self.write else None
        return draft if isinstance(draft, NoteDraft) else None


@blueprint.get("/queue")
def queue() -> str:
    """A list, and beside it the one that is looked at: `item` in the address, or the first."""
    chosen = request.args.get("organization", "")
    if chosen:
        role_in(chosen)
    with db.reading(engine()) as tx:
        roles = people.connections_of(tx, g.person.id)
        mine = {id: connections.get(tx, id) for id in roles}
        wanted = {id: c for id, c in mine.items() if chosen in ("", id)}
        counts = overview.waiting(tx, wanted)
        drafts, looks, failed, tasks = [], [], [], []
        for id, connection in wanted.items():
            if counts[id].proposed:
                waiting = plans.of_connection(tx, id, states=("proposed",), limit=SHOWN)
                drafts += _named(tx, connection, waiting)
            if counts[id].looks:
                looks += _named(tx, connection, plan_records.that_need_a_look(tx, id))
            if counts[id].failed:
                failed += [Item(f"write-{w.id}", connection, write=w) for w in outbox.failures(tx, id)]
            if counts[id].todos:
                tasks += [Item(f"todo-{t.id}", connection, todo=t) for t in todos.waiting(tx, id)]
        drafts.sort(key=lambda d: (d.plan.created_at, d.plan.id) if d.plan else ())
        shown = [*drafts[:LISTED], *looks, *failed, *tasks]
        asked = request.args.get("item", "")
        item = next((i for i in shown if i.key == asked), shown[0] if shown else None)
        document = _document(tx, item) if item and item.todo else None
    return render_template(
        "queue.html",
        drafts=drafts[:LISTED],
        to_approve=sum(c.proposed for c in counts.values()),
        looks=looks,
        failed=failed,
        tasks=tasks,
        item=item,
        asked=bool(item and item.key == asked),
        gone=bool(asked and not (item and item.key == asked)),
        document=document,
        mine=mine,
        roles=roles,
        chosen=chosen,
        here="queue",
    )


def _named(tx: Transaction, connection: Connection, waiting: Sequence[plans.Record]) -> list[Item]:
    ids = [p.plan.customer_id for p in waiting]
    names = {c.id: c.name for c in books.customers(tx, connection.id, ids=ids)}
    return [
        Item(f"plan-{p.id}", connection, plan=p, customer=names.get(p.plan.customer_id, p.plan.customer_id))
        for p in waiting
    ]


def _document(tx: Transaction, item: Item) -> tuple[str, str] | None:
    """(kind, id) of the ledger's page on which a to-do without an address of its own is done."""
    assert item.todo
    if item.todo.plan:
        return "invoice", plans.get(tx, item.todo.plan).plan.sources[0].invoice_id
    return ("customer", item.todo.customer_id) if item.todo.customer_id else None


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
            write = outbox.retry(tx, write_id, who=g.person.name, now=db.now())
        waking.deliver(config(), write.connection_id)
    if write.state == "cancelled":
        flash("The plan went on without it, so nothing is written.", "look")
        return redirect(url_for("pages.queue"))
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
            if write.reminder_id:  # as if it were said: else the next review would have it written again
                today = connections.today(connections.get(tx, write.connection_id), config())
                reminders.reached(tx, write.reminder_id, "noted", today, db.now())
            audit.record(
                tx,
                who=g.person.name,
                what="kept a refused note in Forbear only",
                connection_id=write.connection_id,
                subject=f"write {write_id}",
                why=write.error,
                now=db.now(),
            )
        waking.deliver(config(), write.connection_id)
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
