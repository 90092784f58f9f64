"""What the customer sees and sends. Reading needs the address only; sending needs the form's own token beside it."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import Any, NoReturn

import sqlalchemy as sa
from flask import abort, redirect, render_template, request
from sqlalchemy.engine import Connection as Transaction
from werkzeug.wrappers import Response

from connector import db, waking
from connector.connecting import connections
from connector.customer_page import (
    agreeing,
    answering,
    customer_answers,
    customer_files,
    customer_links,
    customer_view,
)
from connector.customer_page.answering import Wrong
from connector.customer_page.customer_answers import From
from connector.customer_page.customer_links import Link
from connector.customer_page.customer_view import View
from connector.planning import agreements, plans, printing
from connector.planning.plans import EditedMeanwhile, PlanProblem
from web.customer import MEGABYTES, blueprint, forms, limits, style
from web.sign_in import config, engine

FRESH = dt.timedelta(minutes=5)  # an older mirror is asked for news before the page is made
PATIENCE = 1.2  # seconds that a reader waits for it
SEEN_EVERY = dt.timedelta(minutes=10)


@blueprint.get("/c/<token>")
def page(token: str) -> str | Response:
    link = _link(token)
    looking = _look_again(link)
    shown = _view(link)
    _seen(link)
    return _page(token, link, shown, looking=looking)


@blueprint.route("/c/<path:rest>", methods=["GET", "POST"])
def nothing(rest: str) -> str:
    """No other address below is anything."""
    _missed()


@blueprint.get("/c/<token>/agreement-<plan_id>.pdf")
def agreement(token: str, plan_id: str) -> Response:
    """The agreement of a plan that this address shows, to keep; `?of=new` of terms that were agreed to meanwhile."""
    link = _link(token)
    shown = _view(link)
    plan = {p.record.id: p.record.plan for p in shown.plans}.get(plan_id)
    if request.args.get("of") == "new":
        plan = {o.record.id: o.plan for o in shown.offered if o.agreed}.get(plan_id)
    if plan is None:
        _missed()
    with db.reading(engine()) as tx:
        record = plans.get(tx, plan_id)
        agreed = agreements.agreed(tx, record, plan)
        theirs = agreed != agreements.ours(tx, record, plan)
    lang = shown.words.variant if theirs else "en"
    answer = Response(
        printing.agreement(agreed, shown.today, lang=lang.partition("-")[0]), mimetype="application/pdf"
    )
    answer.headers["Content-Disposition"] = f"attachment; filename={plan_id}.pdf"
    return answer


@blueprint.post("/c/<token>/<act>")
def send(token: str, act: str) -> str | Response | tuple[str, int]:
    if act in STEPS:
        return _step(token, act)
    if act not in ACTS:
        _missed()
    now, link = db.now(), _link(token)
    try:
        with db.transaction(engine()) as tx:
            shown = _view_in(tx, link)
            whence = forms.whence(link, shown)
            if customer_answers.sent(tx, whence.key) is None:
                if customer_answers.count_since(tx, link.id, now - dt.timedelta(days=1)) >= answering.A_DAY:
                    raise Wrong("wrong_many")
                ACTS[act](tx, shown, whence, now)
    except (Wrong, PlanProblem) as wrong:
        return _again(token, wrong, act)
    except EditedMeanwhile:  # the bookkeeper was at it just then
        return _again(token, Wrong("wrong_changed"), act)
    except sa.exc.IntegrityError:
        pass  # the same form, sent twice at the same moment: one of them counted
    waking.review(config(), link.connection_id)
    waking.tell(config(), link.connection_id)
    if act in ("agree", "accept"):
        waking.deliver(config(), link.connection_id)
    return redirect(f"/c/{token}#told", 303)


# ---------------------------------------------------------------- what each form says


def _promise(tx: Transaction, shown: View, whence: From, now: dt.datetime) -> None:
    invoice_id = forms.field("invoice")
    doc = shown.named(invoice_id)
    currency = doc.currency if doc else (shown.documents[0].currency if shown.documents else "USD")
    amount = forms.amount("amount", currency) if forms.field("amount") else None
    answering.promise(tx, shown, whence, forms.day("day"), amount, invoice_id, now)


def _agree(tx: Transaction, shown: View, whence: From, now: dt.datetime) -> None:
    forms.signed()
    chosen = agreeing.offer(tx, shown, forms.count(), forms.day("first"))
    agreeing.agree(tx, shown, whence, chosen, name=forms.field("name"), read=forms.field("read"), now=now)


def _accept(tx: Transaction, shown: View, whence: From, now: dt.datetime) -> None:
    forms.signed()
    agreeing.accept(
        tx, shown, whence, forms.field("plan"), name=forms.field("name"), read=forms.field("read"), now=now
    )


def _wish(tx: Transaction, shown: View, whence: From, now: dt.datetime) -> None:
    agreeing.wish(tx, shown, whence, forms.amount("amount", forms.currency(shown)), forms.field("note"), now)


def _dispute(tx: Transaction, shown: View, whence: From, now: dt.datetime) -> None:
    sent = request.files.get("file")
    content = sent.read(customer_files.LARGEST + 1) if sent and sent.filename else b""
    if len(content) > customer_files.LARGEST:
        abort(413)
    file = (sent.filename or "", content) if sent and content else None
    answering.dispute(
        tx, shown, whence, forms.field("invoice"), forms.field("reason"), forms.field("note"), file, now
    )


def _call(tx: Transaction, shown: View, whence: From, now: dt.datetime) -> None:
    answering.call(tx, shown, whence, forms.field("reach"), forms.field("when"), now)


def _change(tx: Transaction, shown: View, whence: From, now: dt.datetime) -> None:
    answering.change(tx, shown, whence, forms.field("plan"), forms.field("what"), forms.field("note"), now)


def _stop(tx: Transaction, shown: View, whence: From, now: dt.datetime) -> None:
    answering.stop(tx, shown, whence, now)


def _data(tx: Transaction, shown: View, whence: From, now: dt.datetime) -> None:
    answering.data(tx, shown, whence, forms.field("what"), forms.field("note"), now)


ACTS: dict[str, Callable[[Transaction, View, From, dt.datetime], None]] = {
    "promise": _promise, "agree": _agree, "accept": _accept, "wish": _wish, "dispute": _dispute, "call": _call, "change": _change,
    "stop": _stop, "data": _data,
}  # fmt: skip


# ---------------------------------------------------------------- on the way to a plan


def _step(token: str, act: str) -> str | tuple[str, int]:
    """Plans to choose from, or the text of one: nothing is stored yet."""
    link = _link(token)
    try:
        with db.reading(engine()) as tx:
            shown = _view_in(tx, link)
            forms.whence(link, shown)
            return STEPS[act](tx, token, link, shown)
    except (Wrong, PlanProblem) as wrong:
        return _again(token, wrong, act)


def _offers(tx: Transaction, token: str, link: Link, shown: View) -> str:
    monthly = forms.amount("amount", forms.currency(shown))
    first = forms.day("first") if forms.field("first") else None
    return render_template(
        "customer_page/offers.html",
        offers=agreeing.offers(tx, shown, monthly, first),
        balance=sum(d.open for d in shown.spreadable),
        asked=forms.field("amount"),
        **_around(token, link, shown),
    )


def _terms(tx: Transaction, token: str, link: Link, shown: View) -> str:
    chosen = agreeing.offer(tx, shown, forms.count(), forms.day("first"))
    return render_template(
        "customer_page/terms.html",
        act="agree",
        fields={"count": chosen.count, "first": chosen.plan.rows[0].nominal},
        waits=bool(chosen.waits),
        text=agreeing.text_of(shown, chosen.plan),
        **_around(token, link, shown),
    )


def _offered(tx: Transaction, token: str, link: Link, shown: View) -> str:
    """The text of a draft that the bookkeeper shows."""
    found = next((o for o in shown.offered if o.record.id == forms.field("plan") and not o.agreed), None)
    if found is None:
        raise Wrong("wrong_choice")
    if not found.stands:
        raise Wrong("wrong_changed")
    return render_template(
        "customer_page/terms.html",
        act="accept",
        fields={"plan": found.record.id},
        waits=not found.alone,
        text=agreeing.text_of(shown, found.plan),
        **_around(token, link, shown),
    )


STEPS = {"offers": _offers, "terms": _terms, "offered": _offered}


# ---------------------------------------------------------------- around


def preview(shown: View) -> str:
    """The same page for the bookkeeper: nothing can be sent from it."""
    return render_template(
        "customer_page/page.html", looking=False, wrong="", at="", **_around("", None, shown)
    )


def _page(
    token: str, link: Link, shown: View, *, looking: bool = False, wrong: str = "", at: str = ""
) -> str:
    return render_template(
        "customer_page/page.html", looking=looking, wrong=wrong, at=at, **_around(token, link, shown)
    )


def _around(token: str, link: Link | None, shown: View) -> dict[str, Any]:
    zone = connections.zone(shown.organization.timezone)
    read_at = shown.organization.last_sync_at
    synced = read_at.astimezone(zone) if read_at else None
    page_policy = shown.decided.policy.page
    return {
        "v": shown,
        "w": shown.words,
        "say": shown.words.say,
        "style": style(page_policy.color),
        "base": f"/c/{token}",
        "form": (lambda: customer_links.form_token(config(), link.id)) if link else None,
        "until": link.expires_at.astimezone(zone).date() if link else None,
        "synced": synced,
        "as_of": (shown.today if config().today else synced.date()) if synced else shown.today,
        "tomorrow": shown.today + dt.timedelta(days=1),
        "latest": shown.today + dt.timedelta(days=page_policy.promise_days),
        "reasons": answering.REASONS,
        "times": answering.TIMES,
        "changes": answering.CHANGES,
        "rights": answering.DATA,
        "megabytes": MEGABYTES,
        "date": dt.date.fromisoformat,
    }


def _again(token: str, wrong: Wrong | PlanProblem, act: str) -> tuple[str, int]:
    """The page once more, with what is missing on top."""
    link = _link(token)
    shown = _view(link)
    name = wrong.name if isinstance(wrong, Wrong) else "offers_none"
    most = shown.words.sums(shown.totals) if shown.totals else ""
    said = shown.words.say(name, most=most, person=shown.person)
    at = {"offers": "spread", "terms": "spread", "agree": "spread", "wish": "spread"}.get(act, act)
    return _page(token, link, shown, wrong=said, at=at), 422


def _link(token: str) -> Link:
    with db.reading(engine()) as tx:
        link = customer_links.find(tx, config(), token, db.now())
    if link is None:
        _missed()
    return link


def _missed() -> NoReturn:
    """Not an address of ours, or not any more: the same words whatever the reason."""
    if limits().misses.exceeded(request.remote_addr):
        abort(429)
    abort(404)


def _view(link: Link) -> View:
    with db.reading(engine()) as tx:
        return _view_in(tx, link)


def _view_in(tx: Transaction, link: Link) -> View:
    try:
        return customer_view.view(tx, config(), link.connection_id, link.customer_id, link.documents, link)
    except LookupError:
        _missed()


def _look_again(link: Link) -> bool:
    """Ask for news when the mirror is old, and wait a moment for it. True: still being asked for."""
    with db.reading(engine()) as tx:
        before = connections.get(tx, link.connection_id)
    if before.status != "connected" or (before.last_sync_at and db.now() - before.last_sync_at < FRESH):
        return False
    waking.sync(config(), link.connection_id, first=True)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        time.sleep(0.1)
        with db.reading(engine()) as tx:
            if connections.get(tx, link.connection_id).last_sync_at != before.last_sync_at:
                return False
    return True


def _seen(link: Link) -> None:
    now = db.now()
    if link.last_seen_at is None or now - link.last_seen_at > SEEN_EVERY:
        with db.transaction(engine()) as tx:
            customer_links.seen(tx, link.id, now)
