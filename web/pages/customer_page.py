"""The bookkeeper's side of the customer's own page: answers and what follows, settings, preview, addresses, effect."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import Response as Plain
from flask import abort, flash, g, redirect, render_template, request, url_for
from sqlalchemy.engine import Connection as Transaction
from werkzeug.wrappers import Response

from connector import (
    answering,
    books,
    connections,
    customer_answers,
    customer_effect,
    customer_links,
    customer_view,
    db,
    settings,
    waking,
)
from connector.customer_answers import Answer, File
from connector.domain.page_policy import PagePolicy
from connector.domain.page_words import words
from connector.platforms import find
from web.customer import pages as theirs
from web.pages import blueprint
from web.pages.settings import keep_policy
from web.sign_in import config, engine, need, role_in

NUMBERS = (
    "link_days", "promise_days", "broken_promises", "plans_alone_months", "answer_days", "holdout_percent",
)  # fmt: skip
SWITCHES = ("on", "plans_alone", "business_only")
ACTS = {
    "promise": (("accept", "Accept the day"), ("decline", "Not that day")),
    "plan": (("done", "Say only this"),),
    "wish": (("done", "Answered"),),
    "dispute": (("lift", "Settled: reminders go on"), ("keep", "Answered: let it rest")),
    "call": (("done", "Called back"),),
    "change": (("done", "Answered"),),
    "data": (("done", "Answered"),),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One answer for a page: whose it is, and the files that came with it."""

    answer: Answer
    organization: connections.Connection
    customer: str
    files: list[File]

    @property
    def acts(self) -> tuple[tuple[str, str], ...]:
        return ACTS.get(self.answer.kind, ()) if self.answer.state == customer_answers.WAITS else ()

    @property
    def reason(self) -> str:
        """What the customer chose as wrong, in the bookkeeper's words."""
        chosen = self.answer.data.get("reason", "")
        return words("en-US").lines.get(f"reason_{chosen}", "")


def entries(tx: Transaction, found: list[Answer]) -> list[Entry]:
    organizations = {a.connection_id: connections.get(tx, a.connection_id) for a in found}
    files = customer_answers.files_of(tx, [a.id for a in found])
    made = []
    for answer in found:
        customer = books.customer(tx, answer.connection_id, answer.customer_id)
        name = customer.name if customer else answer.customer_id
        made.append(Entry(answer, organizations[answer.connection_id], name, files.get(answer.id, [])))
    return made


def waiting(tx: Transaction, connection_ids: list[str]) -> list[Entry]:
    """What waits in the queue: a plan that a customer asked for stands among the drafts."""
    found = [a for a in customer_answers.waiting(tx, connection_ids) if a.kind != "plan" or not a.plan]
    return entries(tx, found)


def of_customer(tx: Transaction, connection_id: str, customer_id: str) -> list[Entry]:
    return entries(tx, customer_answers.of_customer(tx, connection_id, customer_id)[:12])


@blueprint.app_context_processor
def _for_templates() -> dict[str, Any]:
    """Partials ask for answers themselves, so that the pages they stand in need not know of them."""

    def answers(connection_ids: list[str], customer_id: str = "") -> list[Entry]:
        with db.reading(engine()) as tx:
            if customer_id:
                return of_customer(tx, connection_ids[0], customer_id)
            return waiting(tx, connection_ids)

    def addresses(connection_id: str, customer_id: str) -> list[customer_links.Link]:
        with db.reading(engine()) as tx:
            return customer_links.of_customer(tx, connection_id, customer_id)[:8]

    return {"customer_answers": answers, "customer_addresses": addresses, "now": db.now}


# ---------------------------------------------------------------- answers


def _answer(answer_id: int, role: str) -> Answer:
    with db.reading(engine()) as tx:
        try:
            found = customer_answers.get(tx, answer_id)
        except LookupError:
            abort(404)
    need(found.connection_id, role)
    return found


@blueprint.post("/answers/<int:answer_id>/settle")
def settle_answer(answer_id: int) -> Response:
    """One press: what follows from an answer, and what the customer reads about it."""
    found = _answer(answer_id, "act")
    act = request.form.get("act", "")
    if act not in dict(ACTS.get(found.kind, ())):
        abort(400, "Choose one of the buttons.")
    with db.reading(engine()) as tx:
        today = connections.today(connections.get(tx, found.connection_id), config())
    try:
        with db.transaction(engine()) as tx:
            answering.settle(
                tx,
                found,
                act,
                who=g.person.name,
                now=db.now(),
                today=today,
                reply=request.form.get("reply", ""),
                contact=g.person.name,
            )
        flash("Done. The customer's page says so.", "good")
        waking.review(config(), found.connection_id)
    except ValueError as wrong:
        flash(f"Nothing was changed, because of the words to the customer. {wrong}", "look")
    if request.form.get("from") == "queue":
        return redirect(url_for("pages.queue"))
    return redirect(
        url_for("pages.customer", connection_id=found.connection_id, customer_id=found.customer_id)
    )


@blueprint.get("/answers/files/<int:file_id>")
def answer_file(file_id: int) -> Plain:
    """A customer's file, only ever as a download: no browser opens it here."""
    with db.reading(engine()) as tx:
        try:
            about, content = customer_answers.file(tx, file_id)
        except LookupError:
            abort(404)
    role_in(about.connection_id)
    answer = Plain(content, mimetype="application/octet-stream")
    answer.headers.set("Content-Disposition", "attachment", filename=about.name)
    answer.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


# ---------------------------------------------------------------- settings and effect


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
            "latest": entries(tx, customer_answers.latest(tx, connection_id, 20)),
        }
    return render_template(
        "customer_page_settings.html",
        organization=connection,
        platform=find(connection.platform, config()),
        role=role,
        settings=current,
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
    percent = values["holdout_percent"]
    if percent != before.holdout_percent:  # another share is another measurement
        values["holdout_since"] = today if percent else None
    return replace(before, **values)  # type: ignore[arg-type]


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


def _to_settings(connection_id: str) -> Response:
    return redirect(url_for("pages.customer_page", connection_id=connection_id))


# ---------------------------------------------------------------- one customer


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
            page = settings.load(tx, connection_id).policy.page
            if not page.on:
                flash("Switch the customer's page on in its settings first.", "look")
                return redirect(
                    url_for("pages.customer", connection_id=connection_id, customer_id=customer_id)
                )
            _, made = customer_links.make(
                tx,
                config(),
                connection_id,
                customer_id,
                known[revoked].documents if revoked else open_,
                origin="person",
                who=g.person.name,
                now=now,
                days=page.link_days,
            )
    flash(
        f"The address, shown only now: {made}" if made else "That address shows nothing any more.",
        "good",
    )
    return redirect(url_for("pages.customer", connection_id=connection_id, customer_id=customer_id))
