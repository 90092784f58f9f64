"""The bookkeeper's settings of the customer's own page, what the page did so far, and news of answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation

from flask import abort, flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from connector import db
from connector.connecting import connections
from connector.customer_page import customer_answers, customer_effect, customer_links, notices
from connector.domain.page_policy import PagePolicy
from connector.platforms import find
from connector.practice import settings
from web.pages import blueprint
from web.pages.customer_answers import entries
from web.pages.settings import keep_policy
from web.sign_in import config, engine, need, role_in

NUMBERS = (
    "link_days", "promise_days", "broken_promises", "plans_alone_months", "answer_days", "holdout_percent",
)  # fmt: skip
SWITCHES = ("on", "plans_alone", "business_only")


@blueprint.get("/organizations/<connection_id>/customer-page")
def customer_page(connection_id: str) -> str:
    role = role_in(connection_id)
    with db.reading(engine()) as tx:
        connection = connections.get(tx, connection_id)
        today = connections.today(connection, config())
        current = settings.load(tx, connection_id)
        feeds = customer_links.of_connection(tx, connection_id, customer_links.FEED)
        context = {
            "wordings": customer_effect.by_wording(tx, connection_id),
            "weekdays": customer_effect.by_weekday(tx, connection_id),
            "effect": customer_effect.of_holdout(tx, connection_id, current.policy.page, today),
            "own_address": notices.address(tx, g.person.id) if config().smtp_url else "",
            "told": notices.wanted(tx, connection_id, g.person.id),
            "latest": entries(tx, customer_answers.latest(tx, connection_id, 20)),
        }
    return render_template(
        "customer_page_settings.html",
        organization=connection,
        platform=find(connection.platform, config()),
        role=role,
        settings=current,
        mails=bool(config().smtp_url),
        page=current.policy.page,
        public=customer_links.is_public(config()),
        feeds=[f for f in feeds if f.works(db.now())],
        today=today,
        tab="settings",
        **context,
    )


@blueprint.post("/organizations/<connection_id>/customer-page")
def save_customer_page(connection_id: str) -> Response:
    need(connection_id, "configure")
    with db.reading(engine()) as tx:
        today = connections.today(connections.get(tx, connection_id), config())
    keep_policy(
        connection_id,
        lambda before: replace(before, page=_read(request.form, before.page, today)),
        "Kept. Addresses that are out already follow it, too.",
    )
    return _to_settings(connection_id)


def _read(form: Mapping[str, str], before: PagePolicy, today: dt.date) -> PagePolicy:
    values: dict[str, object] = {name: int(form.get(name, getattr(before, name))) for name in NUMBERS}
    values |= {name: form.get(name) == "yes" for name in SWITCHES}
    amount = Decimal(form.get("plans_alone_up_to", str(before.plans_alone_up_to)).strip())
    if not amount.is_finite():
        raise InvalidOperation
    values |= {
        "plans_alone_up_to": amount,
        "color": form.get("color", before.color).strip(),
        "call_hours": form.get("call_hours", before.call_hours).strip(),
    }
    return replace(before, **values).measured_from(before, today)  # type: ignore[arg-type]


@blueprint.post("/organizations/<connection_id>/customer-page/feed")
def customer_feed(connection_id: str) -> Response:
    """Make the news feed's address, in place of an earlier one; or end it."""
    need(connection_id, "configure")
    now, made = db.now(), ""
    with db.transaction(engine()) as tx:
        old = customer_links.of_connection(tx, connection_id, customer_links.FEED)
        customer_links.revoke(tx, [f.id for f in old], who=g.person.name, now=now)
        if request.form.get("end") != "yes":
            _, made = customer_links.make(
                tx,
                config(),
                connection_id,
                "",
                [],
                origin="person",
                who=g.person.name,
                now=now,
                days=customer_links.FEED_DAYS,
                kind=customer_links.FEED,
            )
    flash(
        f"Give this address to your feed reader; it is shown only now: {made}"
        if made
        else "The feed is off.",
        "good",
    )
    return _to_settings(connection_id)


@blueprint.post("/organizations/<connection_id>/customer-page/e-mail")
def customer_notices(connection_id: str) -> Response:
    """E-mails about answers to the person who presses, or no more of them."""
    need(connection_id, "act")
    on = request.form.get("on") == "yes"
    with db.transaction(engine()) as tx:
        if on and not (config().smtp_url and notices.address(tx, g.person.id)):
            abort(400, "No e-mail can be sent to you from here.")
        notices.switch(tx, connection_id, g.person.id, on, who=g.person.name, now=db.now())
    flash("You get an e-mail when a customer answers." if on else "No more e-mails about answers.", "good")
    return _to_settings(connection_id)


def _to_settings(connection_id: str) -> Response:
    return redirect(url_for("pages.customer_page", connection_id=connection_id))
