"""What is decided about a plan: approve, end, rest, renegotiate, settle early, make due at once, propose a write-off.

The customer's yes is recorded here, and the agreement handed over.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import flash, g, redirect, request, url_for
from sqlalchemy.engine import Connection as Transaction
from werkzeug.wrappers import Response

from connector import db, waking
from connector.connecting import connections
from connector.domain.agreement import Agreement
from connector.mirroring import books
from connector.planning import agreements, ending, plans, printing, renegotiating
from connector.platforms import find
from web.pages import blueprint
from web.pages.plan import back_to, seen
from web.pages.plan_terms import wish
from web.sign_in import config, engine, need
from web.words import money


@blueprint.post("/plans/<plan_id>/approve")
def approve(plan_id: str) -> Response:
    """Approve and wake the writing. Safe to press twice: the second finds it approved.

    Only what was on the page is approved: a draft that changed meanwhile is shown again.
    """
    revision = request.form.get("revision", type=int)

    def step(tx: Transaction, id: str, **said: Any) -> None:
        now = plans.get(tx, id)
        pressed_twice = now.state in plans.ACTIVE and now.draft is None
        plans.approve(tx, id, revision=None if pressed_twice else revision, **said)

    return _act(plan_id, step, "Approved. Writing it now; this page follows.")


@blueprint.post("/plans/<plan_id>/cancel")
def cancel(plan_id: str) -> Response:
    """End a plan, or turn a draft down."""
    found = seen(plan_id)
    if found.state == "proposed":
        said = "Not now: the draft is put aside, and will not come back for the same balances."
    else:
        said = "The plan is ended. What was written today is being removed again."
    answer = _act(plan_id, plans.cancel, said, why=_why())
    waking.review(config(), found.connection_id)
    return answer


@blueprint.post("/plans/<plan_id>/pause")
def pause(plan_id: str) -> Response:
    """Rest a plan, or go on with it. Nothing is posted, so nothing is asked."""
    found = seen(plan_id)
    need(found.connection_id, "act")
    going_on = found.paused_at is not None
    try:
        with db.transaction(engine()) as tx:
            (plans.resume if going_on else plans.pause)(tx, plan_id, who=g.person.name, now=db.now())
            books.note_changed(tx, found.connection_id, [found.plan.customer_id], db.now())
        flash("The plan goes on." if going_on else "The plan rests: no reminder, and never late.", "good")
        waking.review(config(), found.connection_id)
    except (plans.PlanProblem, plans.EditedMeanwhile) as problem:
        flash(str(problem), "look")
    return back_to(found)


@blueprint.post("/plans/<plan_id>/renegotiate")
def renegotiate(plan_id: str) -> Response:
    """Draft a new version for what is still open; the old one counts until the new one is approved."""
    found = seen(plan_id)
    need(found.connection_id, "act")
    try:
        asked = wish(found.plan, fresh=True)
        with db.transaction(engine()) as tx:
            today = connections.today(connections.get(tx, found.connection_id), config())
            renegotiating.renegotiation(
                tx, plan_id, who=g.person.name, why=_why(), now=db.now(), today=today, wish=asked
            )
    except (plans.PlanProblem, plans.EditedMeanwhile) as problem:
        flash(str(problem), "look")
        return back_to(found)
    except (ValueError, InvalidOperation):
        flash("Nothing was changed. Write a whole number of payments.", "look")
        return back_to(found)
    return redirect(url_for("pages.plan", plan_id=plan_id, version="new"))


@blueprint.post("/plans/<plan_id>/settle")
def settle(plan_id: str) -> Response:
    """Grant the discount that the page worked out: a credit against what is due last."""
    need(seen(plan_id).connection_id, "act")
    try:
        percent = Decimal(request.form.get("percent", "").strip())
        if not percent.is_finite():
            raise InvalidOperation
    except InvalidOperation:
        flash("Write the discount in percent, such as 5.", "look")
        return back_to(seen(plan_id))

    def step(tx: Transaction, id: str, **said: Any) -> str:
        due = ending.settle_early(tx, id, percent, **said)
        paid = money(due.to_pay, plans.get(tx, id).plan.currency)
        return f"The discount is granted. {paid} settles the plan; record the payment in the ledger as usual."

    return _act(plan_id, step, why=_why())


@blueprint.post("/plans/<plan_id>/accelerate")
def accelerate(plan_id: str) -> Response:
    """After a default everything open falls due today; no entry results."""
    need(seen(plan_id).connection_id, "act")
    if not _why():
        flash("Write why the plan ends: the note on each invoice states it.", "look")
        return back_to(seen(plan_id))

    def step(tx: Transaction, id: str, **said: Any) -> None:
        connection = connections.get(tx, plans.get(tx, id).connection_id)
        renegotiating.accelerate(tx, id, credit_word=find(connection.platform, config()).credit_word, **said)

    return _act(plan_id, step, "All that is open is due today. Nothing is posted.", why=_why())


@blueprint.post("/plans/<plan_id>/write-off")
def write_off(plan_id: str) -> Response:
    """Put what is unpaid before the accountant, with the tax inside it. Nothing is written off here."""

    def step(tx: Transaction, id: str, **said: Any) -> str:
        off, currency = ending.propose_write_off(tx, id, **said), plans.get(tx, id).plan.currency
        gross, tax = money(off.gross, currency), money(off.tax, currency)
        return f"Proposed to the accountant: {gross}, with {tax} of tax inside it. It stands in the queue."

    return _act(plan_id, step, why=_why())


def _why() -> str:
    return request.form.get("why", "").strip()[:500]


def _act(plan_id: str, step: Callable[..., object], sentence: str = "", **more: str) -> Response:
    """Take the step and wake the writing; without a sentence, the step's own answer is said."""
    found = seen(plan_id)
    need(found.connection_id, "act")
    try:
        with db.transaction(engine()) as tx:
            today = connections.today(connections.get(tx, found.connection_id), config())
            answer = step(tx, plan_id, who=g.person.name, now=db.now(), today=today, **more)
        waking.deliver(config(), found.connection_id)
        flash(sentence or str(answer), "good")
    except (plans.PlanProblem, plans.EditedMeanwhile) as problem:
        flash(str(problem), "look")
    return redirect(url_for("pages.plan", plan_id=plan_id))


# ---------------------------------------------------------------- the agreement


@blueprint.get("/plans/<plan_id>/agreement.<form>")
def agreement(plan_id: str, form: str) -> Response:
    """The written agreement to hand over, as `pdf` or `txt`: of the version shown, `?version=new` for a draft."""
    found = seen(plan_id)
    with db.reading(engine()) as tx:
        agreed = _agreed(tx, found, request.args.get("version") == "new")
        today = connections.today(connections.get(tx, found.connection_id), config())
    name = f"{found.id}-v{_version(found, request.args.get('version') == 'new')}"
    if form == "pdf":
        return _file(printing.agreement(agreed, today), "application/pdf", f"{name}.pdf")
    text = f"{agreed.text}\nFingerprint of this text: {agreed.sha256}\n"
    return _file(text.encode(), "text/plain; charset=utf-8", f"{name}.txt")


def _file(content: bytes, kind: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(content, content_type=kind, headers=headers)


def _agreed(tx: Transaction, found: plans.Record, new: bool) -> Agreement:
    return agreements.agreed(tx, found, found.draft if new and found.draft else found.plan)


def _version(found: plans.Record, new: bool) -> int:
    return (found.draft if new and found.draft else found.plan).version


def _ours(tx: Transaction, plan_id: str) -> Agreement:
    """What a person read out or handed over: our words, whatever was accepted on the customer's page before."""
    record = plans.get(tx, plan_id)
    return agreements.ours(tx, record, record.draft or record.plan)


@blueprint.post("/plans/<plan_id>/accepted")
def accepted(plan_id: str) -> Response:
    """Record the customer's yes: who, how, when, and to which text."""
    found = seen(plan_id)
    need(found.connection_id, "act")
    by, how = request.form.get("by", "").strip()[:200], request.form.get("how", "")
    if not by or how not in ("phone", "e-mail", "signed"):
        flash("Write who said yes, and choose how.", "look")
        return back_to(found)
    try:
        with db.transaction(engine()) as tx:
            today = connections.today(connections.get(tx, found.connection_id), config())
            on = dt.date.fromisoformat(request.form.get("on") or today.isoformat())
            if on > today:
                raise ValueError("a day to come")
            plans.record_acceptance(
                tx,
                plan_id,
                accepted_by=by,
                how=how,
                on=on,
                document_hash=_ours(tx, plan_id).sha256,
                who=g.person.name,
                now=db.now(),
            )
        flash("Their yes is recorded with the text of the agreement.", "good")
    except ValueError:
        flash(
            "Nothing was recorded. Write the day of their yes as year-month-day; it cannot lie ahead.", "look"
        )
    return back_to(found)
