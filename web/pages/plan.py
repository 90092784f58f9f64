"""One plan: amount, schedule, what changes in the books, the words, approve; afterwards progress and proof."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import abort, flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from connector import books, connections, db, drafting, jobs, judging, outbox, plans, proving, settings
from connector.connections import Connection
from connector.domain.calendar import Rhythm, due_dates
from connector.domain.installments import Change, edit_rows
from connector.domain.money import split, to_minor
from connector.domain.plan import BadPlan, Plan
from connector.domain.policy import PlanPolicy
from connector.domain.progress import Pace, Progress, RowProgress, RowState
from connector.domain.propose import Wish
from connector.domain.rails import rows_within
from connector.domain.receivables import Kind
from connector.domain.writes import Draft
from connector.platforms import Platform, find
from web.pages import blueprint
from web.sign_in import config, engine, need, role_in
from web.words import many

WRITTEN = ("running", "broken", "finished")
EVERY = {"month": "a month", "2weeks": "every two weeks", "week": "a week"}


def _plan(plan_id: str) -> plans.Record:
    """The plan, if the person may see its organization; 404 tells nobody which of the two it is not."""
    with db.reading(engine()) as tx:
        try:
            found = plans.get(tx, plan_id)
        except LookupError:
            abort(404)
    role_in(found.connection_id)
    return found


@blueprint.get("/plans/<plan_id>")
def plan(plan_id: str) -> str:
    """The draft while it waits for a yes, then the running plan; `?version=new` shows a renegotiation."""
    found = _plan(plan_id)
    new_version = found.draft is not None and request.args.get("version") == "new"
    if found.state == "proposed" or new_version:
        return _draft_page(found)
    return _running_page(found)


def _around(found: plans.Record, connection: Connection, today: dt.date) -> dict[str, Any]:
    return {
        "organization": connection,
        "platform": find(connection.platform, config()),
        "role": role_in(found.connection_id),
        "today": today,
        "plan": found,
    }


@dataclass(frozen=True, slots=True)
class Alternative:
    """The same money in another number of payments."""

    count: int
    each: int
    until: dt.date


def _draft_page(found: plans.Record) -> str:
    with db.reading(engine()) as tx:
        connection = connections.get(tx, found.connection_id)
        today = connections.today(connection, config())
        platform = find(connection.platform, config())
        preview = drafting.preview(tx, found.id, today=today, credit_word=platform.credit_word)
        picture = books.of_customer(tx, found.connection_id, found.plan.customer_id)
        policy = settings.load(tx, found.connection_id).policy.plan
        decided = settings.load(tx, found.connection_id)
    if picture is None:
        abort(404)
    shown = preview.plan
    most = max(rows_within(policy.hard_cap_months, shown.terms.rhythm), len(shown.rows))
    return render_template(
        "plan_draft.html",
        customer=picture.customer,
        preview=preview,
        shown=shown,
        settings=decided,
        policy=policy,
        most=most,
        usual=rows_within(policy.soft_cap_months, shown.terms.rhythm),
        every=EVERY[shown.terms.rhythm],
        alternatives=_alternatives(shown, policy, most, picture.customer.country or connection.country),
        counts=_counts(preview.drafts, platform),
        left_out=[
            i
            for i in picture.invoices
            if i.balance and not i.marker and i.id not in {s.invoice_id for s in shown.sources}
        ],
        **_around(found, connection, today),
    )


def _alternatives(shown: Plan, policy: PlanPolicy, most: int, country: str) -> list[Alternative]:
    """Up to three lengths: this one, a shorter and a longer one that the policy still allows."""
    count, total = len(shown.rows), shown.principal
    most = min(most, total // max(1, policy.minimum(total, shown.currency)) or 1)
    wanted = {max(1, count - max(1, count // 3)), count, min(max(count, most), count + max(1, count // 3))}
    found = []
    for n in sorted(wanted):
        dates = due_dates(shown.rows[0].nominal, shown.terms.rhythm, n, country)
        found.append(Alternative(n, max(split(total, n)), dates[-1].adjusted))
    return found


def _counts(drafts: tuple[Draft, ...], platform: Platform) -> str:
    """1 credit memo, 6 invoices and 3 notes."""
    kinds: dict[str, int] = {}
    for one in drafts:
        kinds[type(one).__name__] = kinds.get(type(one).__name__, 0) + 1
    named = (
        ("CreditDraft", platform.credit_word),
        ("InvoiceDraft", "invoice"),
        ("NoteDraft", "note"),
        ("AttachmentDraft", "attachment"),
        ("DueDateDraft", "due date"),
    )
    said = [many(kinds[k], word) for k, word in named if k in kinds]
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}" if said else "nothing"


def _not_begun(found: plans.Record) -> Progress:
    """A plan that the ledger does not have (yet, or any more): nothing is matched to it."""
    rows = tuple(
        RowProgress(r.n, r.due, r.principal, r.interest, r.principal, RowState.OPEN)
        for r in found.installments
    )
    return Progress(Pace.ON_TRACK, rows)


def _running_page(found: plans.Record) -> str:
    with db.reading(engine()) as tx:
        connection = connections.get(tx, found.connection_id)
        today = connections.today(connection, config())
        picture = books.of_customer(tx, found.connection_id, found.plan.customer_id)
        writes = [w for w in outbox.of_plan(tx, found.id) if w.plan_version == found.plan.version]
        versions = plans.versions(tx, found.id)
    if picture is None:
        abort(404)
    ids = {row.n: row.invoice_id for row in found.installments if row.invoice_id}
    stands = judging.stand(found.plan, ids, picture.invoices, picture.payments, picture.credits, today)
    if found.state not in WRITTEN:
        stands = _not_begun(found)
    by_id = {i.id: i for i in picture.invoices}
    rows = [
        (row, next(r for r in stands.rows if r.n == row.n), by_id.get(row.invoice_id or ""))
        for row in found.installments
    ]
    upcoming = next((row for row, stand, _ in rows if stand.open), None)
    return render_template(
        "plan.html",
        customer=picture.customer,
        stands=stands,
        rows=rows,
        upcoming=upcoming,
        total=sum(row.amount for row in found.installments),
        left=sum(r.open for r in stands.rows),
        writes=writes,
        versions=versions,
        proof=proving.load(found.proof),
        opened={"CreditDraft": Kind.CREDIT, "InvoiceDraft": Kind.INVOICE},
        **_around(found, connection, today),
    )


# ---------------------------------------------------------------- changing a draft


@blueprint.post("/plans/<plan_id>/change")
def change(plan_id: str) -> Response:
    """Draft anew with other terms: how much or how many, how often, the first date, split or notes."""
    found = _plan(plan_id)
    need(found.connection_id, "act")
    try:
        wish = _wish(found.draft or found.plan)
        with db.transaction(engine()) as tx:
            today = connections.today(connections.get(tx, found.connection_id), config())
            if found.draft is not None:
                drafting.renegotiation(
                    tx, plan_id, who=g.person.name, why="", now=db.now(), today=today, wish=wish or Wish()
                )
            else:
                drafting.redraft(
                    tx,
                    plan_id,
                    wish=wish,
                    mode=request.form.get("mode", str(found.plan.mode)),
                    revision=int(request.form.get("revision", found.revision)),
                    who=g.person.name,
                    now=db.now(),
                    today=today,
                )
    except (plans.PlanProblem, plans.EditedMeanwhile) as problem:
        flash(str(problem), "look")
    except (ValueError, InvalidOperation):
        flash("Nothing was changed. Write whole numbers of payments and amounts such as 1490.00.", "look")
    return _to(found)


def _wish(shown: Plan) -> Wish | None:
    """What the form asks for; whichever of amount and number was changed counts."""
    form = request.form
    count = int(form["installments"]) if form.get("installments") else None
    if form.get("choose"):
        count = int(form["choose"])
    elif form.get("each") and form["each"].strip() != form.get("was_each", ""):
        each = to_minor(Decimal(form["each"].replace(",", "").strip()), shown.currency)
        if each < 1:
            raise ValueError("an amount above zero")
        count = -(-shown.principal // each)
    every = Rhythm(form["every"]) if form.get("every") else None
    first = dt.date.fromisoformat(form["first"]) if form.get("first") else None
    if "mode" in form and not (count or every or first):
        count, every, first = len(shown.rows), shown.terms.rhythm, shown.rows[0].nominal
    return Wish(installments=count, rhythm=every, first=first) if count or every or first else None


@blueprint.post("/plans/<plan_id>/rows")
def rows(plan_id: str) -> Response:
    """Change single rows: a date, an amount. Rows that were not changed share the rest."""
    found = _plan(plan_id)
    need(found.connection_id, "act")
    shown = found.draft or found.plan
    if found.state != "proposed" and found.draft is None:
        flash("This plan runs. Renegotiate it to change what is left.", "look")
        return _to(found)
    try:
        changes: dict[int, Change] = {}
        for row in shown.rows:
            due = dt.date.fromisoformat(request.form.get(f"due{row.n}") or row.due.isoformat())
            text = request.form.get(f"amount{row.n}", "").replace(",", "").strip()
            amount = to_minor(Decimal(text), shown.currency) if text else row.total
            if due != row.due or amount != row.total:
                changes[row.n] = Change(
                    due if due != row.due else None, amount if amount != row.total else None
                )
        if changes:
            made = edit_rows(
                shown.rows,
                changes,
                method=shown.terms.method,
                annual_percent=shown.terms.annual_percent,
                start=shown.drafted_on,
                currency=shown.currency,
            )
            edited = replace(shown, rows=made, terms=replace(shown.terms, rows_edited=True))
            with db.transaction(engine()) as tx:
                plans.edit(
                    tx,
                    plan_id,
                    edited,
                    revision=int(request.form.get("revision", found.revision)),
                    who=g.person.name,
                    now=db.now(),
                )
    except (BadPlan, plans.PlanProblem, plans.EditedMeanwhile) as problem:
        flash(str(problem), "look")
    except (ValueError, InvalidOperation):
        flash("Nothing was changed. Write dates as 2026-11-30 and amounts as 1490.00.", "look")
    return _to(found)


# ---------------------------------------------------------------- deciding


@blueprint.post("/plans/<plan_id>/approve")
def approve(plan_id: str) -> Response:
    """Approve and wake the writing. Safe to press twice: the second finds it approved.

    Only what was on the page is approved: a draft that changed meanwhile is shown again.
    """
    revision = request.form.get("revision", type=int)

    def step(tx: Any, id: str, **said: Any) -> None:
        now = plans.get(tx, id)
        pressed_twice = now.state in plans.ACTIVE and now.draft is None
        plans.approve(tx, id, revision=None if pressed_twice else revision, **said)

    return _act(plan_id, step, "Approved. Writing it now; this page follows.")


@blueprint.post("/plans/<plan_id>/cancel")
def cancel(plan_id: str) -> Response:
    """End a plan, or turn a draft down."""
    found = _plan(plan_id)
    if found.state == "proposed":
        said = "Not now: the draft is put aside, and will not come back for the same balances."
    else:
        said = "The plan is ended. What was written today is being removed again."
    return _act(plan_id, plans.cancel, said, why=request.form.get("why", "").strip()[:500])


@blueprint.post("/plans/<plan_id>/pause")
def pause(plan_id: str) -> Response:
    """Rest a plan, or go on with it. Nothing is posted, so nothing is asked."""
    found = _plan(plan_id)
    need(found.connection_id, "act")
    going_on = found.paused_at is not None
    try:
        with db.transaction(engine()) as tx:
            (plans.resume if going_on else plans.pause)(tx, plan_id, who=g.person.name, now=db.now())
            books.note_changed(tx, found.connection_id, [found.plan.customer_id], db.now())
        flash("The plan goes on." if going_on else "The plan rests: no reminder, and never late.", "good")
        jobs.wake_review(config(), found.connection_id)
    except (plans.PlanProblem, plans.EditedMeanwhile) as problem:
        flash(str(problem), "look")
    return _to(found)


@blueprint.post("/plans/<plan_id>/renegotiate")
def renegotiate(plan_id: str) -> Response:
    """Draft a new version for what is still open; the old one counts until the new one is approved."""
    found = _plan(plan_id)
    need(found.connection_id, "act")
    why = request.form.get("why", "").strip()[:500]
    try:
        wish = _wish(found.plan) or Wish()
        with db.transaction(engine()) as tx:
            today = connections.today(connections.get(tx, found.connection_id), config())
            drafting.renegotiation(
                tx, plan_id, who=g.person.name, why=why, now=db.now(), today=today, wish=wish
            )
    except (plans.PlanProblem, plans.EditedMeanwhile) as problem:
        flash(str(problem), "look")
        return _to(found)
    except (ValueError, InvalidOperation):
        flash("Nothing was changed. Write a whole number of payments.", "look")
        return _to(found)
    return redirect(url_for("pages.plan", plan_id=plan_id, version="new"))


@blueprint.post("/plans/<plan_id>/accepted")
def accepted(plan_id: str) -> Response:
    """Record the customer's yes: who, how, when, and to which text."""
    found = _plan(plan_id)
    need(found.connection_id, "act")
    by, how = request.form.get("by", "").strip()[:200], request.form.get("how", "")
    if not by or how not in ("phone", "e-mail", "signed"):
        flash("Write who said yes, and choose how.", "look")
        return _to(found)
    with db.transaction(engine()) as tx:
        today = connections.today(connections.get(tx, found.connection_id), config())
        text = drafting.preview(tx, plan_id, today=today).agreement.sha256
        plans.record_acceptance(
            tx,
            plan_id,
            accepted_by=by,
            how=how,
            on=today,
            document_hash=text,
            who=g.person.name,
            now=db.now(),
        )
    flash("Their yes is recorded with the text of the agreement.", "good")
    return _to(found)


def _act(plan_id: str, step: Callable[..., object], sentence: str, **more: str) -> Response:
    found = _plan(plan_id)
    need(found.connection_id, "act")
    try:
        with db.transaction(engine()) as tx:
            today = connections.today(connections.get(tx, found.connection_id), config())
            step(tx, plan_id, who=g.person.name, now=db.now(), today=today, **more)
        jobs.wake_deliver(config(), found.connection_id)
        flash(sentence, "good")
    except (plans.PlanProblem, plans.EditedMeanwhile) as problem:
        flash(str(problem), "look")
    return redirect(url_for("pages.plan", plan_id=plan_id))


def _to(found: plans.Record) -> Response:
    """Back to where the person was: the draft, or the new version of a running plan."""
    version = "new" if found.draft is not None else None
    return redirect(url_for("pages.plan", plan_id=found.id, version=version))
