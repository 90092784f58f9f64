"""The two accounting answers, the clearing account, going live, and the policy in sentences."""

from __future__ import annotations

from collections.abc import Callable
from decimal import InvalidOperation

from flask import flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from connector import db, waking
from connector.connecting import connections
from connector.domain.codec import WrongValue
from connector.domain.policy import Policy
from connector.platforms import PlatformError, find
from connector.practice import invitations, people, settings
from web import policy_form
from web.pages import blueprint, rehearsing
from web.sign_in import config, engine, need, role_in


@blueprint.get("/organizations/<connection_id>/settings")
def settings_page(connection_id: str) -> str:
    return _page(connection_id)


@blueprint.post("/organizations/<connection_id>/settings/try")
def try_policy(connection_id: str) -> str:
    """The settings with what this policy would do tomorrow. Nothing is kept."""
    return _page(connection_id, tried=True)


def _page(connection_id: str, tried: bool = False) -> str:
    role = role_in(connection_id)
    with db.reading(engine()) as tx:
        connection = connections.get(tx, connection_id)
        current = settings.load(tx, connection_id)
        policy, problem = rehearsing.asked(current) if tried else (current.policy, "")
        team = people.members(tx, connection_id)
        invited = invitations.open_ones(tx, connection_id, db.now()) if people.may(role, "configure") else []
        today = connections.today(connection, config())
        seen = rehearsing.preview(tx, connection, current, policy, problem) if tried else None
    return render_template(
        "settings.html",
        organization=connection,
        platform=find(connection.platform, config()),
        role=role,
        settings=current,
        policy=policy,
        groups=policy_form.GROUPS,
        team=team,
        invited=invited,
        blocked=not_live_yet(current, connection),
        preview=seen,
        today=today,
        tab="settings",
    )


def not_live_yet(current: settings.Settings, connection: connections.Connection) -> list[str]:
    """What must be decided before anything may leave."""
    left = []
    if current.income_basis is None or current.sales_tax_basis is None:
        left.append("Answer the two accounting questions.")
    left.append(settings.chased_twice(current, connection, find(connection.platform, config()).label))
    if connection.last_sync_at is None:
        left.append("Wait for the first reading of the books.")
    return [sentence for sentence in left if sentence]


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
        waking.review(config(), connection_id, all_customers=True)
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
        left = not_live_yet(current, connections.get(tx, connection_id))
        if live and left:
            flash("Not live yet. " + " ".join(left), "look")
            return _back(connection_id)
        if "live" in request.form:
            settings.set_live(tx, connection_id, live, who=g.person.name, now=db.now())
    if "live" in request.form:
        flash("Live: reminders may leave." if live else "Preview: nothing leaves.", "good")
        waking.review(config(), connection_id, all_customers=True)
    return _back(connection_id)


@blueprint.post("/organizations/<connection_id>/settings/policy")
def save_policy(connection_id: str) -> Response:
    need(connection_id, "configure")
    keep_policy(
        connection_id,
        lambda before: policy_form.read(request.form, before),
        "The policy is kept. It counts from the next review.",
    )
    return _back(connection_id)


def keep_policy(connection_id: str, read: Callable[[Policy], Policy], kept: str) -> None:
    """Store what `read` makes of the policy and the form, and say `kept`; or say why nothing was changed."""
    with db.reading(engine()) as tx:
        current = settings.load(tx, connection_id)
    try:
        policy = read(current.policy)
        with db.transaction(engine()) as tx:
            settings.save_policy(
                tx,
                connection_id,
                policy,
                revision=int(request.form.get("revision", -1)),
                who=g.person.name,
                now=db.now(),
            )
        flash(kept, "good")
        waking.review(config(), connection_id, all_customers=True)
    except WrongValue as wrong:
        flash(
            f"Nothing was changed. {wrong.field.rpartition('.')[2].replace('_', ' ').capitalize()}: {wrong.sentence}",
            "look",
        )
    except (ValueError, InvalidOperation):
        flash("Nothing was changed: write numbers, without letters.", "look")
    except settings.EditedMeanwhile as meanwhile:
        flash(str(meanwhile), "look")


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
    """To the page that asked: the first-run guide or the settings."""
    page = "pages.start" if request.form.get("from") == "start" else "pages.settings_page"
    return redirect(url_for(page, connection_id=connection_id))
