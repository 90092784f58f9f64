"""The record: who did what, when and why, for people and for Forbear itself."""

from __future__ import annotations

from flask import g, render_template, request

from connector import audit, connections, db, people
from web.pages import blueprint
from web.sign_in import engine, role_in


@blueprint.get("/record")
def record() -> str:
    chosen = request.args.get("organization", "")
    if chosen:
        role_in(chosen)
    with db.reading(engine()) as tx:
        mine = {c: connections.get(tx, c) for c in people.connections_of(tx, g.person.id)}
        entries = [
            e for c in mine if not chosen or c == chosen for e in audit.of_connection(tx, c, limit=200)
        ]
    entries.sort(key=lambda e: e.at, reverse=True)
    return render_template("record.html", entries=entries[:300], mine=mine, chosen=chosen, here="record")
