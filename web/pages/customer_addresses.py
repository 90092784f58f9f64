"""The customer's own page, for the bookkeeper: seen as one customer sees it, its addresses, a draft shown for a yes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

from flask import Response as Plain
from flask import abort, flash, g, redirect, request, url_for
from sqlalchemy.engine import Connection as Transaction
from werkzeug.wrappers import Response

from connector import db
from connector.connecting import connections
from connector.customer_page import customer_links, customer_view, offering
from connector.mirroring import books
from connector.planning import plans
from connector.practice import settings
from web.customer import pages as theirs
from web.pages import blueprint
from web.pages.plan import back_to, seen
from web.sign_in import config, engine, need, role_in


@blueprint.app_context_processor
def _for_templates() -> dict[str, Any]:
    def addresses(connection_id: str, customer_id: str) -> list[customer_links.Link]:
        with db.reading(engine()) as tx:
            return customer_links.of_customer(tx, connection_id, customer_id)[:8]

    return {"customer_addresses": addresses, "now": db.now}


@blueprint.get("/organizations/<connection_id>/customers/<customer_id>/page")
def customer_preview(connection_id: str, customer_id: str) -> Plain:
    """The page as this customer sees it, with all that is open. Nothing can be sent from it."""
    role_in(connection_id)
    with db.reading(engine()) as tx:
        try:
            shown = customer_view.view(tx, config(), connection_id, customer_id, None)
        except LookupError:
            abort(404)
    answer = Plain(theirs.preview(shown), mimetype="text/html")
    answer.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src '{g.style_hash}'; base-uri 'none'; frame-ancestors 'none'"
    )
    return answer


@blueprint.post("/organizations/<connection_id>/customers/<customer_id>/addresses")
def customer_address(connection_id: str, customer_id: str) -> Response:
    """Make an address for everything open, or revoke one (or renew it: both)."""
    need(connection_id, "act")
    now, made = db.now(), ""
    revoked = request.form.get("revoke", type=int)
    with db.transaction(engine()) as tx:
        picture = books.of_customer(tx, connection_id, customer_id)
        if picture is None:
            abort(404)
        known = {link.id: link for link in customer_links.of_customer(tx, connection_id, customer_id)}
        if revoked is not None:
            if revoked not in known:
                abort(404)
            customer_links.revoke(tx, [revoked], who=g.person.name, now=now)
        if revoked is None or request.form.get("renew") == "yes":
            open_ = [i.id for i in picture.invoices if i.balance > 0]
            if not settings.load(tx, connection_id).policy.page.on:
                flash("Switch the customer's page on in its settings first.", "look")
                return redirect(
                    url_for("pages.customer", connection_id=connection_id, customer_id=customer_id)
                )
            documents = known[revoked].documents if revoked else open_
            made = _address(tx, connection_id, customer_id, documents, now)
    flash(
        f"The address, shown only now: {made}" if made else "That address shows nothing any more.",
        "good",
    )
    return redirect(url_for("pages.customer", connection_id=connection_id, customer_id=customer_id))


def _address(
    tx: Transaction, connection_id: str, customer_id: str, documents: Collection[str], now: dt.datetime
) -> str:
    """A new address that shows these documents, to be told once."""
    _, made = customer_links.make(
        tx,
        config(),
        connection_id,
        customer_id,
        documents,
        origin="person",
        who=g.person.name,
        now=now,
        days=settings.load(tx, connection_id).policy.page.link_days,
    )
    return made


@blueprint.post("/plans/<plan_id>/offer")
def offer(plan_id: str) -> Response:
    """Show the draft on the customer's page, with an address to send them; or show it no more."""
    found = seen(plan_id)
    need(found.connection_id, "act")
    now, said = db.now(), "The customer's page does not show it any more."
    revision = request.form.get("revision", default=found.revision, type=int)
    try:
        with db.transaction(engine()) as tx:
            if request.form.get("end") == "yes":
                offering.take_back(tx, plan_id, revision=revision, who=g.person.name, now=now)
            else:
                record = offering.offer(
                    tx,
                    plan_id,
                    alone=request.form.get("alone") == "yes",
                    revision=revision,
                    who=g.person.name,
                    now=now,
                    today=connections.today(connections.get(tx, found.connection_id), config()),
                )
                documents = offering.documents(record)
                made = _address(tx, found.connection_id, found.plan.customer_id, documents, now)
                said = f"It stands on their page. Send them this address, shown only now: {made}"
        flash(said, "good")
    except (plans.PlanProblem, plans.EditedMeanwhile) as problem:
        flash(str(problem), "look")
    return back_to(found)
