"""The first run, one page: reading → two questions → clearing account → what Forbear sees → go live.

Everything here can be done later and in any order; until "go live" nothing leaves.
"""

from __future__ import annotations

import datetime as dt

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from connector import db
from connector.connecting import connections
from connector.platforms import PlatformError, find
from connector.practice import settings
from connector.reviewing import overview
from web import aged, charts
from web.pages import blueprint
from web.pages.settings import not_live_yet
from web.sign_in import config, engine, need, role_in

STEPS = ("Connect", "Read the books", "Two questions", "See what Forbear sees", "Go live")


@blueprint.get("/organizations/<connection_id>/start")
def start(connection_id: str) -> str:
    role = role_in(connection_id)
    with db.reading(engine()) as tx:
        connection = connections.get(tx, connection_id)
        today = connections.today(connection, config())
        decided = settings.load(tx, connection_id)
        main = connection.home_currency
        sums = aged.of_organizations(tx, {connection_id: today}, {connection_id: main})[connection_id]
        _, worth = overview.pressing(tx, connection_id, 1)
        drafts = overview.waiting(tx, [connection_id])[connection_id].proposed
        overdue = overview.overdue_customers(tx, connection_id, today - dt.timedelta(1))
    answered = decided.income_basis is not None and decided.sales_tax_basis is not None
    read = connection.last_sync_at is not None
    done = [True, read, answered, read and connection.last_review_on is not None, decided.live]
    return render_template(
        "start.html",
        organization=connection,
        platform=find(connection.platform, config()),
        role=role,
        today=today,
        settings=decided,
        steps=[
            (name, ok, not ok and all(done[:n])) for n, (name, ok) in enumerate(zip(STEPS, done, strict=True))
        ],
        aged=sums,
        worth=worth,
        drafts=drafts,
        overdue=overdue,
        bar=charts.aging_bar,
        blocked=not_live_yet(decided, connection),
        chased=settings.chased_twice(decided, connection, find(connection.platform, config()).label),
    )


@blueprint.get("/organizations/<connection_id>/accounts")
def accounts(connection_id: str) -> str | Response:
    """The live chart of accounts, to choose where plans pass through. Asks the ledger now."""
    need(connection_id, "configure")
    try:
        found = connections.open_ledger(engine(), config(), connection_id).accounts()
    except PlatformError as problem:
        flash(str(problem), "look")
        return redirect(url_for("pages.settings_page", connection_id=connection_id))
    with db.reading(engine()) as tx:
        connection = connections.get(tx, connection_id)
        decided = settings.load(tx, connection_id)
    return render_template(
        "accounts.html",
        organization=connection,
        platform=find(connection.platform, config()),
        settings=decided,
        accounts=sorted(found, key=lambda a: (not a.usable_for_clearing, a.code, a.name)),
        origin="start" if request.args.get("from") == "start" else "",
    )
