"""An organization's data: what is held, all of it as a file, and erasing it for good."""

from __future__ import annotations

import json

from flask import Response, flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from connector import db
from connector.connecting import connections
from connector.platforms import find
from connector.practice import settings
from connector.record import erasure, export
from web.pages import blueprint
from web.sign_in import config, engine, need, role_in


@blueprint.get("/organizations/<connection_id>/data")
def data(connection_id: str) -> str:
    role = role_in(connection_id)
    with db.reading(engine()) as tx:
        connection = connections.get(tx, connection_id)
        held = erasure.held(tx, connection_id)
        decided = settings.load(tx, connection_id)
    return render_template(
        "data.html",
        organization=connection,
        platform=find(connection.platform, config()),
        settings=decided,
        role=role,
        held=held,
        tab="settings",
    )


@blueprint.get("/organizations/<connection_id>/data.json")
def data_json(connection_id: str) -> Response:
    """Everything that is held and concluded, in the shape of `forbear export`."""
    need(connection_id, "configure")
    with db.reading(engine()) as tx:
        found = export.export(tx, [connection_id], today=lambda c: connections.today(c, config()))
    return Response(
        json.dumps(found, ensure_ascii=False, indent=1),
        content_type="application/json; charset=utf-8",
        headers={"Content-Disposition": f"attachment; filename=forbear-{connection_id}.json"},
    )


@blueprint.post("/organizations/<connection_id>/data/erase")
def erase(connection_id: str) -> AnyResponse:
    """For good, so the name is typed. Refused while connected; erased for everybody who could see it."""
    need(connection_id, "configure")
    with db.reading(engine()) as tx:
        name = connections.get(tx, connection_id).organization
    if " ".join(request.form.get("name", "").split()).casefold() != " ".join(name.split()).casefold():
        flash(f"Nothing was erased: type the name as it stands here, {name}.", "look")
        return redirect(url_for("pages.data", connection_id=connection_id))
    try:
        with db.transaction(engine()) as tx:
            erasure.erase(tx, connection_id, who=g.person.name, now=db.now())
    except erasure.StillConnected as why:
        flash(str(why), "look")
        return redirect(url_for("pages.data", connection_id=connection_id))
    flash(f"Forbear's data of {name} is erased. The documents in the ledger are as they were.", "good")
    return redirect(url_for("sign_in.account"))
