"""The papers about one customer: the evidence pack, the demand letter, and their data as a person."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping

from flask import abort, flash, g, render_template, request
from sqlalchemy.engine import Connection as Transaction
from werkzeug.wrappers import Response

from connector import db, waking
from connector.connecting import connections
from connector.contact import demanding, evidence, sheets
from connector.domain.demand import Demand
from connector.mirroring import books
from connector.record import personal
from web.pages import blueprint
from web.pages.customer_acts import AT, back_to, today_of
from web.sign_in import config, engine, need, role_in

_TYPES = {"pdf": "application/pdf", "txt": "text/plain; charset=utf-8", "json": "application/json"}


@blueprint.get(f"{AT}/evidence.<kind>")
def evidence_file(connection_id: str, customer_id: str, kind: str) -> Response:
    """Everything on record about the customer: pdf, txt or json."""
    role_in(connection_id)
    if kind not in _TYPES:
        abort(404)
    today = today_of(connection_id)
    try:
        with db.reading(engine()) as tx:
            pack = evidence.pack(tx, connection_id, customer_id, today=today)
    except LookupError:
        abort(404)
    if kind == "pdf":
        return _file(sheets.pdf(evidence.title(pack), evidence.blocks(pack), today), "evidence.pdf")
    if kind == "txt":
        return _file(evidence.text(pack), "evidence.txt")
    return _file(json.dumps(pack, indent=1, ensure_ascii=False), "evidence.json")


@blueprint.get(f"{AT}/demand")
def demand(connection_id: str, customer_id: str) -> str:
    """The letter as it would be, with what to look at before signing; or why there is none now."""
    role = role_in(connection_id)
    drawn, why_not = None, ""
    with db.reading(engine()) as tx:
        connection = connections.get(tx, connection_id)
        customer = books.customer(tx, connection_id, customer_id)
        if customer is None:
            abort(404)
        today = connections.today(connection, config())
        try:
            drawn = _draw_up(tx, connection_id, customer_id, today, request.args)
        except demanding.NoDemand as no:
            why_not = str(no)
    return render_template(
        "demand.html",
        organization=connection,
        customer=customer,
        role=role,
        drawn=drawn,
        why_not=why_not,
        individual=request.args.get("individual", ""),
        alone=request.args.get("alone", ""),
        today=today,
    )


@blueprint.post(f"{AT}/demand")
def take_demand(connection_id: str, customer_id: str) -> Response:
    """The file to sign. Nothing is sent; that somebody took it stands in the record."""
    need(connection_id, "act")
    try:
        with db.transaction(engine()) as tx:
            today = connections.today(connections.get(tx, connection_id), config())
            drawn = _draw_up(tx, connection_id, customer_id, today, request.form)
            demanding.taken(tx, connection_id, customer_id, drawn, who=g.person.name, now=db.now())
    except demanding.NoDemand as no:
        flash(str(no), "look")
        return back_to(connection_id, customer_id, "pages.demand")
    if request.form.get("as") == "txt":
        return _file(drawn.text, "demand-letter.txt")
    return _file(
        sheets.pdf(drawn.title, drawn.blocks, today, paper=drawn.paper, lang=drawn.variant[:2]),
        "demand-letter.pdf",
    )


def _draw_up(
    tx: Transaction, connection_id: str, customer_id: str, today: dt.date, asked: Mapping[str, str]
) -> Demand:
    """The letter as `asked` chose it; both the page and the file read its answers. Raises NoDemand, LookupError."""
    return demanding.draw_up(
        tx,
        connection_id,
        customer_id,
        today=today,
        now=db.now(),
        individual={"yes": True, "no": False}.get(asked.get("individual", "")),
        alone=asked.get("alone") == "yes",
    )


@blueprint.get(f"{AT}/personal.json")
def personal_file(connection_id: str, customer_id: str) -> Response:
    need(connection_id, "configure")
    today = today_of(connection_id)
    try:
        with db.reading(engine()) as tx:
            found = personal.export(tx, connection_id, customer_id, today=today)
    except LookupError:
        abort(404)
    return _file(json.dumps(found, indent=1, ensure_ascii=False), "personal-data.json")


@blueprint.post(f"{AT}/personal")
def erase_personal(connection_id: str, customer_id: str) -> Response:
    """Erase for good; the customer's name, written by hand, is the confirmation."""
    need(connection_id, "configure")
    with db.transaction(engine()) as tx:
        customer = books.customer(tx, connection_id, customer_id)
        if customer is None:
            abort(404)
        if request.form.get("name", "").strip() != customer.name:
            flash("Nothing was erased: write the customer's name exactly as it is above.", "look")
            return back_to(connection_id, customer_id)
        personal.erase(tx, connection_id, customer_id, who=g.person.name, now=db.now())
    flash(f"Erased. {personal.KEPT}", "good")
    waking.review(config(), connection_id)
    return back_to(connection_id, customer_id)


def _file(content: str | bytes, name: str) -> Response:
    return Response(
        content,
        content_type=_TYPES[name.rpartition(".")[2]],
        headers={"Content-Disposition": f"attachment; filename={name}"},
    )
