"""Fees, interest and discounts around one customer, each posted by a press; and an organization's rules for them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import abort, flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from connector import db, waking
from connector.connecting import connections
from connector.contact import charges, charging
from connector.domain import charges as rules
from connector.domain.codec import WrongValue
from connector.domain.late_interest import regime_code
from connector.domain.policy import load
from connector.mirroring import books
from connector.platforms import find
from connector.practice import settings
from web.pages import blueprint
from web.pages.customer_acts import AT, back_to, today_of
from web.sign_in import config, engine, need, role_in

STATES = {
    "approved": "Waits to be written",
    "posted": "✓ In the ledger",
    "failed": "✕ Refused by the ledger",
    "waiving": "Being taken back",
    "waived": "Waived",
    "withdrawn": "Not charged",
}


@blueprint.get(f"{AT}/charges")
def customer_charges(connection_id: str, customer_id: str) -> str:
    role = role_in(connection_id)
    with db.reading(engine()) as tx:
        connection = connections.get(tx, connection_id)
        today = connections.today(connection, config())
        picture = books.of_customer(tx, connection_id, customer_id)
        if picture is None:
            abort(404)
        policy = settings.load(tx, connection_id).policy
        offers = charging.offered(tx, connection_id, customer_id, today=today)
        kept = charges.of_customer(tx, connection_id, customer_id)
    said = [(i, rules.early_said(i, picture.payments, policy.charges, today)) for i in picture.invoices]
    return render_template(
        "charges.html",
        organization=connection,
        platform=find(connection.platform, config()),
        customer=picture.customer,
        role=role,
        offers=offers,
        kept=kept[::-1],
        early=[(i, words) for i, words in said if words],
        words=charges.WORDS,
        states=STATES,
        today=today,
    )


@blueprint.post(f"{AT}/charges")
def approve_charge(connection_id: str, customer_id: str) -> Response:
    """Approve one charge as it was shown, or waive one with a reason."""
    need(connection_id, "act")
    today = today_of(connection_id)
    try:
        with db.transaction(engine()) as tx:
            if waived := request.form.get("waive", ""):
                mine = {str(c.id): c.id for c in charges.of_customer(tx, connection_id, customer_id)}
                if waived not in mine:
                    abort(404)
                why = request.form.get("why", "")
                charging.waive(tx, mine[waived], who=g.person.name, why=why, now=db.now(), today=today)
            else:
                charging.approve(
                    tx,
                    connection_id,
                    customer_id,
                    request.form.get("key", ""),
                    int(request.form.get("amount", "0")),
                    who=g.person.name,
                    now=db.now(),
                    today=today,
                )
    except charging.ChargeProblem as problem:
        flash(str(problem), "look")
    except ValueError:
        abort(400, "Press one of the buttons shown.")
    else:
        flash("Waived." if waived else "Approved. It is written and read back within a minute.", "good")
        waking.deliver(config(), connection_id)
    return back_to(connection_id, customer_id, "pages.customer_charges")


@blueprint.get("/organizations/<connection_id>/charges")
def charge_rules(connection_id: str) -> str:
    role = role_in(connection_id)
    with db.reading(engine()) as tx:
        connection = connections.get(tx, connection_id)
        decided = settings.load(tx, connection_id)
        kept = charges.of_connection(tx, connection_id, 30)
    country = decided.policy.country or connection.country
    return render_template(
        "charge_rules.html",
        organization=connection,
        platform=find(connection.platform, config()),
        settings=decided,
        role=role,
        kept=kept,
        states=STATES,
        country=country,
        regime=charging.regime(country, decided.policy.charges),
        tab="settings",
    )


@blueprint.post("/organizations/<connection_id>/charges")
def save_charge_rules(connection_id: str) -> Response:
    """Keep the rules, or one rate that somebody looked up."""
    need(connection_id, "configure")
    with db.reading(engine()) as tx:
        decided = settings.load(tx, connection_id)
        country = decided.policy.country or connections.get(tx, connection_id).country
    try:
        policy = load(_with_form(decided.policy.to_json(), country))
        with db.transaction(engine()) as tx:
            revision = int(request.form.get("revision", -1))
            settings.save_policy(
                tx, connection_id, policy, revision=revision, who=g.person.name, now=db.now()
            )
    except WrongValue as wrong:
        flash(f"Nothing was changed: {wrong.sentence}", "look")
    except (ValueError, InvalidOperation):
        flash("Nothing was changed: write numbers with a point, such as 2.50, and no letters.", "look")
    except settings.EditedMeanwhile as meanwhile:
        flash(str(meanwhile), "look")
    else:
        flash("Kept. It counts from now on.", "good")
    return redirect(url_for("pages.charge_rules", connection_id=connection_id))


def _with_form(data: dict[str, Any], country: str) -> dict[str, Any]:
    """The policy with what the form says. Raises ValueError, InvalidOperation for what is no number."""
    form, kept = request.form, data["charges"]
    if "rate_from" in form:
        start = dt.date.fromisoformat(form["rate_from"]).isoformat()
        regime = regime_code(country)
        rate = {
            "regime": regime,
            "start": start,
            "percent": str(Decimal(form["rate_percent"])),
            "source": form["rate_source"],
        }
        same = [r for r in kept["own_rates"] if (r["regime"], r["start"]) != (regime, start)]
        kept["own_rates"] = [*same, rate]
        return data
    kept["clause"] = form.get("clause", "").strip()[:300]
    for name in ("fee_amount", "fee_percent", "annual_percent", "early_percent"):
        kept[name] = str(Decimal(form.get(name, "0").strip() or "0"))
    cap = form.get("cap", "").strip()
    kept["cap"] = str(Decimal(cap)) if cap else None
    for name in ("fee_after_days", "early_days"):
        kept[name] = int(form.get(name, "0"))
    for name in ("early_by_itself", "early_reduces_tax"):
        kept[name] = name in form
    for kind in ("late_fee", "interest", "early"):
        kept[kind] = {
            field: form.get(f"{kind}.{field}", "").strip() for field in ("account", "item", "tax_code")
        }
    return data
