"""What plans may charge and grant: interest with its clause and cap, and the accounts that both go to."""

from __future__ import annotations

from decimal import InvalidOperation
from typing import Any

from flask import flash, g, redirect, request, url_for
from werkzeug.wrappers import Response

from connector import db, waking
from connector.domain import policy as rules
from connector.domain.codec import WrongValue
from connector.practice import settings
from web.pages import blueprint
from web.sign_in import config, engine, need

OWN = ("clause", "annual_percent", "flat_percent", "warn_above", "cap")  # of the policy's interest
ACCOUNTS = (
    "interest_account",
    "interest_item",
    "interest_tax_code",
    "discount_account",
    "discount_item",
    "discount_tax_code",
    "settlement_discount_percent",
    "deposit_percent",
    "method",
)


@blueprint.post("/organizations/<connection_id>/settings/plan-charges")
def save_plan_charges(connection_id: str) -> Response:
    """Keep what the form says; what cannot be is refused as a whole, with its sentence."""
    need(connection_id, "configure")
    form = request.form
    try:
        with db.transaction(engine()) as tx:
            data: dict[str, Any] = settings.load(tx, connection_id).policy.to_json()
            plan = data["plan"]
            for name in OWN:
                if (text := form.get(name)) is not None:
                    plan["interest"][name] = text.strip() or {"clause": "", "cap": None}.get(name, "0")
            for name in ACCOUNTS:
                if (text := form.get(name)) is not None:
                    plan[name] = text.strip() or ("0" if name.endswith("percent") else "")
            plan["discount_reduces_tax"] = form.get("discount_reduces_tax") == "1"
            settings.save_policy(
                tx,
                connection_id,
                rules.load(data),
                revision=int(form.get("revision", -1)),
                who=g.person.name,
                now=db.now(),
            )
        flash("Kept. It counts for plans from now on; agreed plans stay as they are.", "good")
        waking.review(config(), connection_id, all_customers=True)
    except WrongValue as wrong:
        flash(f"Nothing was changed: {wrong.sentence}", "look")
    except (ValueError, InvalidOperation):
        flash("Nothing was changed: write percentages as numbers.", "look")
    except settings.EditedMeanwhile as meanwhile:
        flash(str(meanwhile), "look")
    return redirect(url_for("pages.settings_page", connection_id=connection_id) + "#plan-charges")
