"""Around one customer: what was heard and said by hand, a step let go, the evidence pack, the demand letter, fees and
discounts, and their data as a person."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import Response, abort, flash, g, redirect, render_template, request, url_for
from sqlalchemy.engine import Connection as Transaction
from werkzeug.wrappers import Response as AnyResponse

from connector import db, waking
from connector.connecting import connections
from connector.contact import (
    charges,
    charging,
    contacts,
    credit_limits,
    demanding,
    evidence,
    reminders,
    sheets,
)
from connector.domain import charges as rules
from connector.domain.codec import WrongValue
from connector.domain.late_interest import regime_code
from connector.domain.policy import load
from connector.mirroring import books
from connector.platforms import find
from connector.practice import settings
from connector.record import personal
from web import typed
from web.pages import blueprint
from web.sign_in import config, engine, need, role_in

AT = "/organizations/<connection_id>/customers/<customer_id>"
SAID = {
    "extension_asked": "asked for more time",
    "replied": "replied",
    "bounced": "payment came back",
    "details_changed": "contact details changed",
}


def _today(connection_id: str) -> dt.date:
    with db.reading(engine()) as tx:
        return connections.today(connections.get(tx, connection_id), config())


def _known(tx: Transaction, connection_id: str, customer_id: str) -> None:
    if books.customer(tx, connection_id, customer_id) is None:
        abort(404)


def _back(connection_id: str, customer_id: str, page: str = "pages.customer") -> AnyResponse:
    return redirect(url_for(page, connection_id=connection_id, customer_id=customer_id))


@blueprint.post(f"{AT}/heard")
def heard(connection_id: str, customer_id: str) -> AnyResponse:
    """One press for what was heard, or for a call or letter by hand; it is dated today."""
    need(connection_id, "act")
    what, today = request.form.get("what", ""), _today(connection_id)
    note = request.form.get("note", "").strip()[:500]
    with db.transaction(engine()) as tx:
        _known(tx, connection_id, customer_id)
        if what in SAID:
            contacts.hear(
                tx, connection_id, customer_id, what, on=today, note=note, who=g.person.name, now=db.now()
            )
            flash(f"Noted: {SAID[what]}.", "good")
        elif what in contacts.CHANNELS:
            contacts.record(
                tx, connection_id, customer_id, what, on=today, note=note, who=g.person.name, now=db.now()
            )
            flash("Noted. It counts as one of this week's contacts.", "good")
        else:
            abort(400, "Press one of the buttons shown.")
        books.note_changed(tx, connection_id, [customer_id], db.now())
    waking.review(config(), connection_id)
    return _back(connection_id, customer_id)


@blueprint.post(f"{AT}/release")
def release(connection_id: str, customer_id: str) -> AnyResponse:
    """A person lets a step go that waits for one; everything else that holds it still does."""
    need(connection_id, "act")
    with db.transaction(engine()) as tx:
        mine = {str(r.id): r.id for r in reminders.of_customer(tx, connection_id, customer_id)}
        wanted = request.form.get("reminder", "")
        if wanted not in mine:
            abort(404)
        reminders.release(tx, mine[wanted], who=g.person.name, now=db.now())
        books.note_changed(tx, connection_id, [customer_id], db.now())
    flash("Let go. It leaves in the next hours it may, if nothing else holds it.", "good")
    waking.review(config(), connection_id)
    return _back(connection_id, customer_id)


@blueprint.post(f"{AT}/limit")
def limit(connection_id: str, customer_id: str) -> AnyResponse:
    """A credit limit that a person knows of, before the ledger's; or back to the ledger's."""
    need(connection_id, "act")
    with db.transaction(engine()) as tx:
        customer = books.customer(tx, connection_id, customer_id)
        if customer is None:
            abort(404)
        if request.form.get("back"):
            credit_limits.take_back(tx, connection_id, customer_id, who=g.person.name, now=db.now())
            flash("Taken back. The ledger's limit counts, where it has one.", "good")
        else:
            currency = customer.currency or connections.get(tx, connection_id).home_currency
            try:
                amount = typed.amount(request.form.get("amount", ""), currency)
            except ValueError:
                flash("Nothing was changed: write the limit as a number above zero, such as 5000.", "look")
                return _back(connection_id, customer_id)
            credit_limits.enter(
                tx, connection_id, customer_id, amount, currency, who=g.person.name, now=db.now()
            )
            flash("Kept. It counts before the ledger's own until you take it back.", "good")
        books.note_changed(tx, connection_id, [customer_id], db.now())
    waking.review(config(), connection_id)
    return _back(connection_id, customer_id)


# ---------------------------------------------------------------- files


@blueprint.get(f"{AT}/evidence.<kind>")
def evidence_file(connection_id: str, customer_id: str, kind: str) -> Response:
    """Everything on record about the customer: pdf, txt or json."""
    role_in(connection_id)
    if kind not in _TYPES:
        abort(404)
    today = _today(connection_id)
    try:
        with db.reading(engine()) as tx:
            pack = evidence.pack(tx, connection_id, customer_id, today=today)
    except LookupError:
        abort(404)
    if kind == "pdf":
        return _file(sheets.pdf(evidence.title(pack), evidence.blocks(pack), today), "evidence.pdf")
    if kind == "txt":
        return _file(evidence.text(pack), "evidence.txt")
    return _file(json.dumps(pack, indent=1, ensure_ascii=False), "evidence.json")


_TYPES = {"pdf": "application/pdf", "txt": "text/plain; charset=utf-8", "json": "application/json"}


def _file(content: str | bytes, name: str) -> Response:
    return Response(
        content,
        content_type=_TYPES[name.rpartition(".")[2]],
        headers={"Content-Disposition": f"attachment; filename={name}"},
    )


@blueprint.get(f"{AT}/demand")
def demand(connection_id: str, customer_id: str) -> str:
    """The letter as it would be, with what to look at before signing; or why there is none now."""
    role = role_in(connection_id)
    individual = {"yes": True, "no": False}.get(request.args.get("individual", ""))
    drawn, why_not = None, ""
    with db.reading(engine()) as tx:
        connection = connections.get(tx, connection_id)
        customer = books.customer(tx, connection_id, customer_id)
        if customer is None:
            abort(404)
        today = connections.today(connection, config())
        try:
            drawn = demanding.draw_up(
                tx,
                connection_id,
                customer_id,
                today=today,
                now=db.now(),
                individual=individual,
                alone=request.args.get("alone") == "yes",
            )
        except demanding.NoDemand as no:
            why_not = str(no)
    return render_template(
        "demand.html",
        organization=connection,
        customer=customer,
        role=role,
        drawn=drawn,
        why_not=why_not,
        individual=request.args.get("individual", ""),
        alone=request.args.get("alone", ""),
        today=today,
    )


@blueprint.post(f"{AT}/demand")
def take_demand(connection_id: str, customer_id: str) -> AnyResponse:
    """The file to sign. Nothing is sent; that somebody took it stands in the record."""
    need(connection_id, "act")
    individual = {"yes": True, "no": False}.get(request.form.get("individual", ""))
    try:
        with db.transaction(engine()) as tx:
            today = connections.today(connections.get(tx, connection_id), config())
            drawn = demanding.draw_up(
                tx,
                connection_id,
                customer_id,
                today=today,
                now=db.now(),
                individual=individual,
                alone=request.form.get("alone") == "yes",
            )
            demanding.taken(tx, connection_id, customer_id, drawn, who=g.person.name, now=db.now())
    except demanding.NoDemand as no:
        flash(str(no), "look")
        return _back(connection_id, customer_id, "pages.demand")
    if request.form.get("as") == "txt":
        return _file(drawn.text, "demand-letter.txt")
    return _file(
        sheets.pdf(drawn.title, drawn.blocks, today, paper=drawn.paper, lang=drawn.variant[:2]),
        "demand-letter.pdf",
    )


# ---------------------------------------------------------------- fees, interest, discounts


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


STATES = {
    "approved": "Waits to be written",
    "posted": "✓ In the ledger",
    "failed": "✕ Refused by the ledger",
    "waiving": "Being taken back",
    "waived": "Waived",
    "withdrawn": "Not charged",
}


@blueprint.post(f"{AT}/charges")
def approve_charge(connection_id: str, customer_id: str) -> AnyResponse:
    """Approve one charge as it was shown, or waive one with a reason."""
    need(connection_id, "act")
    today = _today(connection_id)
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
    return _back(connection_id, customer_id, "pages.customer_charges")


# ---------------------------------------------------------------- their data as a person


@blueprint.get(f"{AT}/personal.json")
def personal_file(connection_id: str, customer_id: str) -> Response:
    need(connection_id, "configure")
    today = _today(connection_id)
    try:
        with db.reading(engine()) as tx:
            found = personal.export(tx, connection_id, customer_id, today=today)
    except LookupError:
        abort(404)
    return _file(json.dumps(found, indent=1, ensure_ascii=False), "personal-data.json")


@blueprint.post(f"{AT}/personal")
def erase_personal(connection_id: str, customer_id: str) -> AnyResponse:
    """Erase for good; the customer's name, written by hand, is the confirmation."""
    need(connection_id, "configure")
    with db.transaction(engine()) as tx:
        customer = books.customer(tx, connection_id, customer_id)
        if customer is None:
            abort(404)
        if request.form.get("name", "").strip() != customer.name:
            flash("Nothing was erased: write the customer's name exactly as it is above.", "look")
            return _back(connection_id, customer_id)
        personal.erase(tx, connection_id, customer_id, who=g.person.name, now=db.now())
    flash(f"Erased. {personal.KEPT}", "good")
    waking.review(config(), connection_id)
    return _back(connection_id, customer_id)


# ---------------------------------------------------------------- the organization's rules


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
def save_charge_rules(connection_id: str) -> AnyResponse:
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
