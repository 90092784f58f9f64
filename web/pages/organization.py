"""One organization: what is owed by age, customers worth a look, plans, what was written and what was held."""

from __future__ import annotations

import datetime as dt
from collections import Counter

from flask import flash, redirect, render_template, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response

from connector import (
    books,
    completeness,
    conclusions,
    connections,
    db,
    jobs,
    outbox,
    plans,
    reminders,
    settings,
)
from connector.connections import Connection
from connector.domain import aging
from connector.domain.receivables import Invoice
from connector.platforms import find
from web import charts
from web.aged import Aged, aged
from web.pages import blueprint
from web.sign_in import config, engine, need, role_in
from web.words import many, money

WEEKS = 26


@blueprint.get("/organizations/<connection_id>")
def organization(connection_id: str) -> str:
    role = role_in(connection_id)
    with db.reading(engine()) as tx:
        connection = connections.get(tx, connection_id)
        today = connections.today(connection, config())
        everything = books.invoices(tx, connection_id)
        owed = aged(everything, today)
        history = aging.weekly(everything, books.settlements(tx, connection_id), today, WEEKS)
        concluded = conclusions.of_connection(tx, connection_id)
        names = {c.id: c.name for c in books.customers(tx, connection_id)}
        running = plans.of_connection(tx, connection_id)
        differences = completeness.differences(tx, connection_id)
        context = {
            "held": Counter(
                r
                for m in reminders.of_connection(tx, connection_id, states=("held",))
                for r in m.held_because
            ),
            "written": outbox.of_connection(tx, connection_id, limit=8),
            "failed": outbox.failures(tx, connection_id),
            "set_aside": completeness.set_aside(tx, connection_id),
            "settings": settings.load(tx, connection_id),
        }
    main = connection.home_currency
    ranked = sorted(concluded, key=lambda c: (-c.priority, names.get(c.customer_id, "")))
    return render_template(
        "organization.html",
        organization=connection,
        role=role,
        platform=find(connection.platform, config()),
        today=today,
        aged=owed,
        main=main,
        plans=running,
        plan_states=Counter(p.state for p in running),
        waiting=[p for p in running if p.state == "proposed"],
        worth=[c for c in ranked if c.findings][:12],
        more=max(0, sum(bool(c.findings) for c in ranked) - 12),
        names=names,
        differences=differences,
        chart=_chart(history[main], main, today) if history.get(main) else None,
        opening=_opening(connection, running, owed, main),
        tab="overview",
        **context,
    )


def _opening(
    connection: Connection, running: list[plans.Record], aged: dict[str, Aged], main: str
) -> tuple[str, str]:
    waiting = sum(p.state == "proposed" for p in running)
    first = (
        f"{many(waiting, 'plan')} {'waits' if waiting == 1 else 'wait'} for your yes."
        if waiting
        else "Nothing waits for you."
    )
    rest = []
    for currency, a in sorted(aged.items(), key=lambda item: item[0] != main):
        rest.append(f"{money(a.overdue, currency)} of {money(a.total, currency)} is overdue.")
    if not rest:
        rest.append(
            "Nothing is open." if connection.last_sync_at else "The books are being read for the first time."
        )
    return first, " ".join(rest)


def _chart(weekly: list[tuple[dt.date, dict[str, int]]], main: str, today: dt.date) -> Markup:
    weeks = []
    month = None
    for day, row in weekly:
        weeks.append((day.strftime("%b") if day.month != month else "", Aged.of(row).buckets))
        month = day.month
    now = Aged.of(weekly[-1][1])
    sentence = f"{money(now.overdue, main)} overdue of {money(now.total, main)} on {today}."
    return charts.aging_columns(weeks, main, sentence)


@blueprint.post("/organizations/<connection_id>/read-now")
def read_now(connection_id: str) -> Response:
    need(connection_id, "act")
    jobs.wake_sync(config(), connection_id)
    flash("Reading the books now.", "good")
    return redirect(url_for("pages.organization", connection_id=connection_id))


@blueprint.get("/organizations/<connection_id>/customers")
def customers(connection_id: str) -> str:
    """Every customer with something open, by name or by what is overdue; `q` narrows it."""
    role_in(connection_id)
    asked = request.args.get("q", "").strip().lower()
    with db.reading(engine()) as tx:
        connection = connections.get(tx, connection_id)
        today = connections.today(connection, config())
        names = {c.id: c.name for c in books.customers(tx, connection_id)}
        open_of: dict[str, list[Invoice]] = {}
        for invoice in books.invoices(tx, connection_id, open_only=True):
            open_of.setdefault(invoice.customer_id, []).append(invoice)
    rows = [
        (c, name, aged(open_of.get(c, []), today))
        for c, name in names.items()
        if (asked in name.lower() if asked else c in open_of)
    ]
    rows.sort(key=lambda r: (-max((a.overdue for a in r[2].values()), default=0), r[1]))
    return render_template(
        "customers.html",
        organization=connection,
        rows=rows[:200],
        count=len(rows),
        asked=asked,
        tab="customers",
    )


@blueprint.get("/organizations/<connection_id>/plans")
def plan_list(connection_id: str) -> str:
    role_in(connection_id)
    with db.reading(engine()) as tx:
        connection = connections.get(tx, connection_id)
        found = plans.of_connection(tx, connection_id)
        names = {
            c.id: c.name for c in books.customers(tx, connection_id, ids=[p.plan.customer_id for p in found])
        }
    return render_template("plans.html", organization=connection, plans=found, names=names, tab="plans")


@blueprint.get("/organizations/<connection_id>/written")
def written(connection_id: str) -> str:
    """All that Forbear wrote or means to write, and all that it held back, with the reason."""
    role_in(connection_id)
    with db.reading(engine()) as tx:
        connection = connections.get(tx, connection_id)
        writes = outbox.of_connection(tx, connection_id, limit=300)
        messages = reminders.of_connection(tx, connection_id)
        names = {c.id: c.name for c in books.customers(tx, connection_id)}
    return render_template(
        "written.html",
        organization=connection,
        platform=find(connection.platform, config()),
        writes=writes,
        messages=messages,
        names=names,
        tab="written",
    )
