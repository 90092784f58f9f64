"""Changing a plan that waits for a yes: its terms, single rows, a fee that is waived."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal, InvalidOperation

from flask import flash, g, request
from werkzeug.wrappers import Response

from connector import db
from connector.connecting import connections
from connector.domain.calendar import Rhythm
from connector.domain.installments import Change, edit_rows
from connector.domain.plan import BadPlan, Plan
from connector.domain.policy import Method
from connector.domain.propose import Wish
from connector.planning import drafting, plans, renegotiating
from web import typed
from web.pages import blueprint
from web.pages.plan import back_to, seen
from web.sign_in import config, engine, need


@blueprint.post("/plans/<plan_id>/change")
def change(plan_id: str) -> Response:
    """Draft anew with other terms: amounts, dates, deposit, interest, discount, split or notes."""
    found = seen(plan_id)
    need(found.connection_id, "act")
    try:
        asked = wish(found.draft or found.plan)
        with db.transaction(engine()) as tx:
            today = connections.today(connections.get(tx, found.connection_id), config())
            if found.draft is not None:
                renegotiating.renegotiation(
                    tx,
                    plan_id,
                    who=g.person.name,
                    why="",
                    now=db.now(),
                    today=today,
                    wish=asked,
                    revision=int(request.form.get("revision", found.revision)),
                )
            else:
                drafting.redraft(
                    tx,
                    plan_id,
                    wish=asked,
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
    return back_to(found)


def wish(shown: Plan, *, fresh: bool = False) -> Wish:
    """What the form asks for; what it leaves out stays as shown. Raises ValueError, InvalidOperation.

    `fresh`: for what is left of a running plan, dates begin anew and no deposit stays.
    """
    form, terms = request.form, shown.terms
    deposit = 0 if fresh else terms.deposit
    if "deposit" in form:
        deposit = _minor(form["deposit"] or "0", shown.currency)
    every = Rhythm(form["every"]) if form.get("every") else terms.rhythm
    first = None if fresh else shown.rows[0].nominal
    if form.get("first"):
        first = dt.date.fromisoformat(form["first"])
    return Wish(
        installments=_count(shown, deposit),
        rhythm=every,
        first=first,
        deposit=deposit,
        annual_percent=_interest(shown),
        settlement_percent=_percent("settlement", terms.settlement_percent),
        private_person=form["who"] == "person" if "who" in form else None,
        legal_sign_off=form["legal"].strip()[:100] if "legal" in form else None,
    )


def _count(shown: Plan, deposit: int) -> int:
    """How many payments beside the deposit; whichever of amount and number was changed counts."""
    form = request.form
    if form.get("choose"):
        return int(form["choose"])
    if form.get("each") and form["each"].strip() != form.get("was_each", ""):
        each = _minor(form["each"], shown.currency)
        if each < 1:
            raise ValueError("an amount above zero")
        return -(-(shown.principal - deposit) // each)
    if form.get("installments"):
        return int(form["installments"])
    return len(shown.rows) - bool(shown.terms.deposit)


def _interest(shown: Plan) -> Decimal | None:
    """Percent a year; None leaves a flat charge as the policy has it."""
    kept = None if shown.terms.method is Method.FLAT else shown.terms.annual_percent
    if kept is None and not request.form.get("percent", "").strip():
        return None
    return _percent("percent", kept or Decimal(0))


def _percent(name: str, kept: Decimal) -> Decimal:
    """A field in percent; empty means none, and a page without the field leaves what is kept."""
    text = request.form.get(name)
    return kept if text is None else Decimal(text.strip().replace(",", ".") or "0")


def _minor(text: str, currency: str) -> int:
    """Zero and less have sentences of their own further on."""
    text = text.strip()
    if text[:1] in ("-", "\N{MINUS SIGN}"):
        return -_minor(text[1:], currency)
    return typed.amount(text, currency) if text.strip("0.,") else 0


@blueprint.post("/plans/<plan_id>/rows")
def rows(plan_id: str) -> Response:
    """Change single rows: a date, an amount. Rows that were not changed share the rest."""
    found = seen(plan_id)
    need(found.connection_id, "act")
    shown = found.draft or found.plan
    if found.state != "proposed" and found.draft is None:
        flash("This plan runs. Renegotiate it to change what is left.", "look")
        return back_to(found)
    try:
        changes: dict[int, Change] = {}
        for row in shown.rows:
            due = dt.date.fromisoformat(request.form.get(f"due{row.n}") or row.due.isoformat())
            text = request.form.get(f"amount{row.n}", "").strip()
            amount = _minor(text, shown.currency) if text else row.total
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
        flash("Nothing was changed. Write dates as year-month-day and amounts as 1490.00.", "look")
    return back_to(found)


@blueprint.post("/plans/<plan_id>/waive")
def waive(plan_id: str) -> Response:
    """Take a fee back with the plan, with its reason; `charge` takes a waiver out again."""
    found = seen(plan_id)
    need(found.connection_id, "act")
    revision = request.form.get("revision", default=found.revision, type=int)
    try:
        with db.transaction(engine()) as tx:
            if charged := request.form.get("charge"):
                drafting.charge_after_all(
                    tx, plan_id, charged, revision=revision, who=g.person.name, now=db.now()
                )
                said = "The fee stays as it is."
            else:
                drafting.waive(
                    tx,
                    plan_id,
                    request.form.get("fee", ""),
                    why=request.form.get("why", "")[:200],
                    revision=revision,
                    who=g.person.name,
                    now=db.now(),
                )
                said = "The fee is credited when the plan is approved."
        flash(said, "good")
    except (plans.PlanProblem, plans.EditedMeanwhile) as problem:
        flash(str(problem), "look")
    except LookupError:
        flash("Choose the fee to waive.", "look")
    return back_to(found)
