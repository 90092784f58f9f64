"""The bookkeeper's own texts: one level, kind of customer and language at a time, as a real customer would read it."""

from __future__ import annotations

from dataclasses import dataclass

from flask import abort, flash, g, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from connector import db, waking
from connector.connecting import connections
from connector.contact import texts
from connector.domain.letters import FIELDS, letters, variant_for, variants
from connector.platforms import find
from connector.practice import settings
from web.pages import blueprint
from web.sign_in import config, engine, need, role_in

KINDS = {
    "default": "Everybody else",
    "backlog": "An old debt, first word",
    "reliable": "Reliable",
    "forgetful": "Forgetful",
    "squeezed": "Squeezed",
    "chronic": "Chronic",
    "disputing": "Disputing",
    "not_enough_data": "Not enough data",
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which text the page is about, and on whom it is tried."""

    level: str
    segment: str
    variant: str
    customer: str


@blueprint.get("/organizations/<connection_id>/texts")
def texts_page(connection_id: str) -> str:
    return _page(connection_id, request.args)


def _page(connection_id: str, asked: MultiDict[str, str], text: str | None = None) -> str:
    role = role_in(connection_id)
    with db.reading(engine()) as tx:
        connection = connections.get(tx, connection_id)
        current = settings.load(tx, connection_id)
        today = connections.today(connection, config())
        people = texts.candidates(tx, connection_id)
        chosen = _chosen(asked, current, connection, [c.id for c in people])
        kept, own = texts.of_level(current.policy, chosen.variant, chosen.level, chosen.segment)
        shown = kept if text is None else text.replace("\r\n", "\n")
        tried = texts.attempt(
            tx,
            connection_id,
            chosen.customer,
            chosen.variant,
            chosen.level,
            chosen.segment,
            shown,
            today=today,
        )
    return render_template(
        "texts.html",
        organization=connection,
        platform=find(connection.platform, config()),
        role=role,
        settings=current,
        tab="settings",
        chosen=chosen,
        text=shown,
        own=own,
        changed=shown != kept,
        shipped=texts.shipped_text(chosen.variant, chosen.level, chosen.segment),
        tried=tried,
        levels=[s.level for s in texts.steps(current.policy)],
        kinds=KINDS,
        languages={v: letters(v).language for v in variants()},
        people=people,
        fields=FIELDS,
        mine={(t.level, t.segment, t.language) for t in current.policy.letters.own},
    )


def _chosen(
    asked: MultiDict[str, str],
    current: settings.Settings,
    connection: connections.Connection,
    people: list[str],
) -> Chosen:
    levels = [s.level for s in texts.steps(current.policy)]
    usual = variant_for("", current.policy.letters.language, current.policy.country or connection.country)
    level, segment = asked.get("level", "check"), asked.get("segment", "default")
    variant, customer = asked.get("language", usual), asked.get("customer", "")
    if level not in levels or segment not in KINDS or variant not in variants():
        level, segment, variant = levels[0], "default", usual
    return Chosen(level, segment, variant, customer if customer in people else (people or [texts.SAMPLE])[0])


@blueprint.post("/organizations/<connection_id>/texts")
def save_text(connection_id: str) -> str | Response:
    """Try, keep or reset: the button says which. What may not be sent is not kept, and stays in the field."""
    asked, doing = request.form, request.form.get("do", "try")
    if doing == "try":
        role_in(connection_id)
        return _page(connection_id, asked, asked.get("text", ""))
    need(connection_id, "configure")
    with db.reading(engine()) as tx:
        connection = connections.get(tx, connection_id)
        current = settings.load(tx, connection_id)
        people = [c.id for c in texts.candidates(tx, connection_id)]
    chosen = _chosen(asked, current, connection, people)
    where = (chosen.variant, chosen.level, chosen.segment)
    try:
        with db.transaction(engine()) as tx:
            if doing == "reset":
                texts.reset(tx, connection_id, *where, who=g.person.name, now=db.now())
            elif doing == "keep":
                today = connections.today(connection, config())
                texts.keep(
                    tx,
                    connection_id,
                    chosen.customer,
                    *where,
                    asked.get("text", ""),
                    who=g.person.name,
                    now=db.now(),
                    today=today,
                )
            else:
                abort(400, "Press one of the buttons shown.")
    except texts.NotKept as no:
        flash(str(no), "look")
        return _page(connection_id, asked, asked.get("text", ""))
    except settings.EditedMeanwhile as meanwhile:
        flash(str(meanwhile), "look")
        return _page(connection_id, asked, asked.get("text", ""))
    flash(
        "The shipped text counts again." if doing == "reset" else "Your text is kept. It counts from now on.",
        "good",
    )
    waking.review(config(), connection_id, all_customers=True)
    address = url_for(
        "pages.texts_page",
        connection_id=connection_id,
        level=chosen.level,
        segment=chosen.segment,
        language=chosen.variant,
        customer=chosen.customer,
    )
    return redirect(address)
