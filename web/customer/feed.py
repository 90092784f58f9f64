"""News for the bookkeeper's feed reader: that a customer answered and where to look. No name, no amount, no words."""

from __future__ import annotations

from flask import Response, abort, render_template, request

from connector import db
from connector.connecting import connections
from connector.customer_page import customer_answers, customer_links
from web.customer import blueprint, limits
from web.sign_in import config, engine

ENTRIES = 50


@blueprint.get("/feed/<token>")
def feed(token: str) -> Response:
    """Atom (RFC 4287). The address is the permission, so it ends like any other."""
    now = db.now()
    with db.reading(engine()) as tx:
        link = customer_links.find(tx, config(), token, now, kind=customer_links.FEED)
        if link is None:
            if limits().misses.exceeded(request.remote_addr):
                abort(429)
            abort(404)
        organization = connections.get(tx, link.connection_id)
        answers = customer_answers.latest(tx, link.connection_id, ENTRIES)
    page = render_template(
        "customer_page/feed.xml",
        link=link,
        organization=organization,
        answers=answers,
        updated=answers[0].at if answers else link.created_at,
        base=config().public_url,
    )
    return Response(page, mimetype="application/atom+xml")
