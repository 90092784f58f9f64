"""The two accounting answers, the clearing account, going live, and the policy in sentences."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from flask import flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from connector import connections, db, jobs, people, settings
from connector.domain.codec import WrongValue
from connector.domain.policy import load as load_policy
from connector.platforms import PlatformError, find
from web.pages import blueprint
from web.sign_in import config, engine, need, role_in

# The sentences of the policy page: (part, field, before, after, unit). Adding a setting is one line here.
SENTENCES = (
    ("plan", "propose_after_days", "Draft a plan when an invoice is", "overdue.", "days"),
    ("plan", "installments", "Where nothing shows what a customer can pay, draft", "payments.", ""),
    ("plan", "first_payment_days", "The first payment is due within", "of the agreement.", "days"),
    ("plan", "minimum_payment", "No payment is smaller than", "(in the invoice's currency).", ""),
    ("plan", "soft_cap_months", "Plans are usually no longer than", ".", "months"),
    ("plan", "hard_cap_months", "and never longer than", ".", "months"),
    ("plan", "tolerance_days", "A payment that comes", "after its date still counts as kept.", "days"),
    ("plan", "broken_after_days", "A payment missing for", "breaks the plan, and a person looks.", "days"),
    ("reminders", "per_week", "A customer gets at most", "a week, whatever they owe.", "messages"),
    (
        "reminders",
        "max_sync_age_hours",
        "Nothing leaves when the books were last read more than",
        "ago.",
        "hours",
    ),
)


@blueprint.get("/organizations/<connection_id>/settings")
def settings_page(connection_id: str) -> str:
    role = role_in(connection_id)
    with db.reading(engine()) as tx:
        connection = connections.get(tx, connection_id)
        current = settings.load(tx, connection_id)
        team = people.members(tx, connection_id)
    return render_template(
        "settings.html",
        organization=connection,
        platform=find(connection.platform, config()),
        role=role,
        settings=current,
        sentences=[
            (p, f, a, b, unit, getattr(getattr(current.policy, p), f)) for p, f, a, b, unit in SENTENCES
        ],
        team=team,
        blocked=_not_live_yet(current, connection),
        tab="settings",
    )


def _not_live_yet(current: settings.Settings, connection: connections.Connection) -> list[str]:
    """What must be decided before anything may leave."""
    left = []
    if current.income_basis is None or current.sales_tax_basis is None:
        left.append("Answer the two accounting questions.")
    known = connection.facts.reminders_on if connection.facts else None
    if known:
        left.append(
            f"Switch off {connection.platform.title()}'s own reminders, so that nobody is asked twice."
        )
    elif known is None and current.ledger_reminders is None:
        left.append("Say whether the ledger sends reminders of its own.")
    return left


@blueprint.post("/organizations/<connection_id>/settings/answers")
def save_answers(connection_id: str) -> Response:
    need(connection_id, "configure")
    income, tax = request.form.get("income_basis") or None, request.form.get("sales_tax_basis") or None
    if income in (None, "accrual", "cash") and tax in (None, "accrual", "cash", "none"):
        with db.transaction(engine()) as tx:
            settings.answer(
                tx, connection_id, income_basis=income, sales_tax_basis=tax, who=g.person.name, now=db.now()
            )
        flash("Your answers are kept, with your name and today's date.", "good")
    else:
        flash("Choose one of the answers shown.", "look")
    return _back(connection_id)


@blueprint.post("/organizations/<connection_id>/settings/clearing")
def save_clearing(connection_id: str) -> Response:
    need(connection_id, "configure")
    with db.transaction(engine()) as tx:
        settings.set_clearing(
            tx,
            connection_id,
            request.form.get("clearing", "").strip() or "auto",
            who=g.person.name,
            now=db.now(),
        )
    flash("Kept. The account is checked in the ledger before the next plan is written.", "good")
    return _back(connection_id)


@blueprint.post("/organizations/<connection_id>/settings/live")
def save_live(connection_id: str) -> Response:
    need(connection_id, "configure")
    live = request.form.get("live") == "1"
    with db.transaction(engine()) as tx:
        if said := request.form.get("ledger_reminders"):
            settings.set_ledger_reminders(tx, connection_id, said, who=g.person.name, now=db.now())
        current = settings.load(tx, connection_id)
        left = _not_live_yet(current, connections.get(tx, connection_id))
        if live and left:
            flash("Not live yet. " + " ".join(left), "look")
            return _back(connection_id)
        if "live" in request.form:
            settings.set_live(tx, connection_id, live, who=g.person.name, now=db.now())
    if "live" in request.form:
        flash("Live: reminders may leave." if live else "Preview: nothing leaves.", "good")
        jobs.wake_review(config(), connection_id)
    return _back(connection_id)


@blueprint.post("/organizations/<connection_id>/settings/policy")
def save_policy(connection_id: str) -> Response:
    need(connection_id, "configure")
    with db.reading(engine()) as tx:
        current = settings.load(tx, connection_id)
    data: dict[str, Any] = current.policy.to_json()
    try:
        for part, field, *_ in SENTENCES:
            if (text := request.form.get(f"{part}.{field}")) is not None:
                old = getattr(getattr(current.policy, part), field)
                data[part][field] = text.strip() if isinstance(old, Decimal) else int(text)
        policy = load_policy(data)
        with db.transaction(engine()) as tx:
            settings.save_policy(
                tx,
                connection_id,
                policy,
                revision=int(request.form.get("revision", -1)),
                who=g.person.name,
                now=db.now(),
            )
        flash("The policy is kept. It counts from the next review.", "good")
        jobs.wake_review(config(), connection_id)
    except WrongValue as wrong:
        flash(f"Nothing was changed: {wrong}", "look")
    except (ValueError, InvalidOperation):
        flash("Nothing was changed: write whole numbers, without letters.", "look")
    except settings.EditedMeanwhile as meanwhile:
        flash(str(meanwhile), "look")
    return _back(connection_id)


@blueprint.post("/organizations/<connection_id>/settings/look")
def look_in_ledger(connection_id: str) -> Response:
    """Find or make the clearing account now, so that the first plan has no surprise."""
    need(connection_id, "configure")
    try:
        found = settings.find_clearing(engine(), config(), connection_id, who=g.person.name)
        flash(f"Plans pass through {found.code or ''} {found.name}.".replace("  ", " "), "good")
    except PlatformError as error:
        flash(str(error), "look")
    return _back(connection_id)


def _back(connection_id: str) -> Response:
    return redirect(url_for("pages.settings_page", connection_id=connection_id))
