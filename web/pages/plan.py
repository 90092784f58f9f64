"""One plan: amount, schedule, what changes in the books, the words, approve; afterwards progress and proof.

What is changed on a draft is in plan_terms, what is decided about a plan in plan_steps.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from sqlalchemy.engine import Connection as Transaction
from werkzeug.wrappers import Response

from connector import db
from connector.connecting import connections
from connector.connecting.connections import Connection
from connector.domain.alternatives import alternatives
from connector.domain.installments import settlement_yearly_percent, yearly_percent
from connector.domain.policy import Mode
from connector.domain.progress import Pace, Payoff, Progress, RowProgress, RowState, write_off
from connector.domain.rails import rows_within
from connector.domain.receivables import Kind
from connector.domain.writes import Draft
from connector.mirroring import books
from connector.planning import ending, plans, previewing
from connector.platforms import Platform, find
from connector.practice import settings
from connector.reviewing import judging
from connector.writing import outbox, proving
from web.pages import blueprint
from web.sign_in import config, engine, role_in
from web.words import many

WRITTEN = ("running", "broken", "finished")
EVERY = {"month": "a month", "2weeks": "every two weeks", "week": "a week"}


def seen(plan_id: str) -> plans.Record:
    """The plan, if the person may see its organization; 404 tells nobody which of the two it is not."""
    with db.reading(engine()) as tx:
        try:
            found = plans.get(tx, plan_id)
        except LookupError:
            abort(404)
    role_in(found.connection_id)
    return found


@blueprint.get("/plans/<plan_id>")
def plan(plan_id: str) -> str | Response:
    """The draft while it waits for a yes, then the running plan; `?version=new` shows a renegotiation."""
    found = seen(plan_id)
    if found.state == "withdrawn":
        return _overtaken(found)
    new_version = found.draft is not None and request.args.get("version") == "new"
    if found.state == "proposed" or new_version:
        return _draft_page(found)
    return _running_page(found)


def _overtaken(found: plans.Record) -> Response:
    """On from a draft that the books have overtaken: to the one in its place, or else to the customer."""
    connection_id, customer_id = found.connection_id, found.plan.customer_id
    with db.reading(engine()) as tx:
        mine = plans.of_customer(tx, connection_id, customer_id)
    standing = [p for p in mine if p.state == "proposed"]
    if standing:
        flash("The books moved on since that draft; this one took its place.", "look")
        return redirect(url_for("pages.plan", plan_id=standing[-1].id))
    flash("The books moved on since that draft, and it was taken back.", "look")
    return redirect(url_for("pages.customer", connection_id=connection_id, customer_id=customer_id))


def back_to(found: plans.Record) -> Response:
    """Back to where the person was: the draft, or the new version of a running plan."""
    version = "new" if found.draft is not None else None
    return redirect(url_for("pages.plan", plan_id=found.id, version=version))


def _around(found: plans.Record, connection: Connection, today: dt.date) -> dict[str, Any]:
    return {
        "organization": connection,
        "platform": find(connection.platform, config()),
        "role": role_in(found.connection_id),
        "today": today,
        "plan": found,
    }


def _draft_page(found: plans.Record) -> str:
    with db.reading(engine()) as tx:
        connection = connections.get(tx, found.connection_id)
        today = connections.today(connection, config())
        platform = find(connection.platform, config())
        preview = previewing.preview(tx, found.id, today=today, credit_word=platform.credit_word)
        picture = books.of_customer(tx, found.connection_id, found.plan.customer_id)
        policy = settings.load(tx, found.connection_id).policy.plan
        decided = settings.load(tx, found.connection_id)
    if picture is None:
        abort(404)
    shown = preview.plan
    taken = {s.invoice_id for s in shown.sources} | {w.invoice_id for w in shown.waivers}
    left_out = [i for i in picture.invoices if i.balance and not i.marker and i.id not in taken]
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
        alternatives=alternatives(
            shown,
            policy,
            picture.customer.country or connection.country,
            invoices=picture.invoices,
            payments=picture.payments,
            today=today,
        ),
        counts=_counts(preview.drafts, platform),
        beside=bool(shown.terms.deposit),
        yearly=yearly_percent(shown.principal, shown.rows, shown.drafted_on),
        discount_yearly=settlement_yearly_percent(shown.rows, today, shown.terms.settlement_percent),
        left_out=left_out,
        fees=[i for i in left_out if i.balance == i.total and i.currency == shown.currency],
        **_around(found, connection, today),
    )


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
        percent = _asked_discount(found)
        due = _payoff(tx, found, today, percent)
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
        due=due,
        percent=percent,
        off=write_off(found.plan, stands) if due else None,
        total=sum(row.amount for row in found.installments),
        left=sum(r.open for r in stands.rows),
        came=sum(r.paid - r.credited + r.interest_paid for r in stands.rows),
        credited=sum(r.credited for r in stands.rows),
        coming={r.n: _to_come(r, today) for r in stands.rows},
        writes=writes,
        versions=versions,
        proof=proving.load(found.proof),
        opened={"CreditDraft": Kind.CREDIT, "InvoiceDraft": Kind.INVOICE},
        **_around(found, connection, today),
    )


def _to_come(row: RowProgress, today: dt.date) -> int:
    """What the row still brings if the plan is kept; interest on what was paid early is never charged."""
    if row.due <= today:
        return row.open + row.interest_open
    return row.open + (row.interest if row.state not in (RowState.PAID, RowState.GONE) else 0)


def _asked_discount(found: plans.Record) -> Decimal:
    """`?settle=5`: what a discount would come to; without it, what the agreement promises."""
    try:
        asked = Decimal(request.args["settle"].strip().replace(",", "."))
        return asked if 0 <= asked < 100 else Decimal(0)
    except (KeyError, InvalidOperation):
        return found.plan.terms.settlement_percent if found.plan.mode is Mode.SPLIT else Decimal(0)


def _payoff(tx: Transaction, found: plans.Record, today: dt.date, percent: Decimal) -> Payoff | None:
    """What settles the plan today; None when it does not run."""
    try:
        return ending.payoff(tx, found.id, today=today, percent=percent)
    except plans.PlanProblem:
        return None
