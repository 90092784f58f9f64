"""One policy for many clients: the firm's sentences, who differs and in what, and what they would do next."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from decimal import InvalidOperation

from flask import abort, flash, g, redirect, render_template, request, url_for
from sqlalchemy.engine import Connection as Transaction
from werkzeug.wrappers import Response

from connector import db, waking
from connector.connecting import connections
from connector.connecting.connections import Connection
from connector.domain.codec import WrongValue
from connector.domain.policy import Policy
from connector.practice import people, settings
from connector.practice.settings import Settings
from web import policy_form
from web.pages import blueprint, rehearsing
from web.sign_in import config, engine
from web.words import many


@dataclass(frozen=True, slots=True)
class Client:
    """`differs`: where its policy is not the firm's, in words. `ticked`: the form speaks of it."""

    connection: Connection
    settings: Settings
    differs: list[str]
    ticked: bool


@blueprint.get("/policy")
def policy() -> str | Response:
    return _page()


@blueprint.post("/policy/try")
def try_for_many() -> str | Response:
    """The page with what these sentences would do at the ticked clients; `start` goes on after so many of them.
    Nothing is kept."""
    return _page(tried=True)


def _page(tried: bool = False) -> str | Response:
    with db.reading(engine()) as tx:
        mine = _mine(tx)
        if not mine:
            return redirect(url_for("sign_in.account"))
        firm = _firm([s for _, s in mine])
        differs = {c.id: policy_form.deviations(s.policy, firm) for c, s in mine}
        ticked = set(request.form.getlist("client")) if tried else {id for id, d in differs.items() if not d}
        chosen = [(c, s) for c, s in mine if c.id in ticked]
        start = request.form.get("start", "0")
        begin = int(start) if start.isascii() and start.isdecimal() and len(start) < 6 else 0
        found = rehearsing.across(tx, chosen, begin, request.form.get("so_far", "")) if tried else None
    shown = rehearsing.asked(replace(mine[0][1], policy=firm))[0] if tried else firm
    return render_template(
        "policy.html",
        groups=policy_form.GROUPS,
        policy=shown,
        clients=[Client(c, s, differs[c.id], c.id in ticked) for c, s in mine],
        tried=found,
        here="settings",
    )


def _mine(tx: Transaction) -> list[tuple[Connection, Settings]]:
    """The organizations that the person may configure."""
    roles = people.connections_of(tx, g.person.id)
    found = [
        (connections.get(tx, id), settings.load(tx, id))
        for id, role in roles.items()
        if people.may(role, "configure")
    ]
    return sorted(found, key=lambda pair: pair[0].organization.casefold())


def _firm(decided: list[Settings]) -> Policy:
    """The policy that most clients have is the firm's."""
    return Counter(s.policy for s in decided).most_common(1)[0][0]


@blueprint.post("/policy")
def save_for_many() -> Response:
    """Save for the chosen clients; a client that cannot take it is named and left as it was."""
    chosen = set(request.form.getlist("client"))
    with db.reading(engine()) as tx:
        mine = _mine(tx)
    if chosen - {c.id for c, _ in mine}:
        abort(404)
    if not chosen:
        flash("Nothing was changed: choose at least one client below.", "look")
        return redirect(url_for("pages.policy"))
    try:
        with db.transaction(engine()) as tx:
            for connection, before in mine:
                if connection.id in chosen:
                    settings.save_policy(
                        tx,
                        connection.id,
                        policy_form.read(request.form, before.policy),
                        revision=before.revision,
                        who=g.person.name,
                        now=db.now(),
                    )
    except WrongValue as wrong:
        flash(f"Nothing was changed: {wrong.sentence}", "look")
        return redirect(url_for("pages.policy"))
    except (ValueError, InvalidOperation):
        flash("Nothing was changed: write numbers, without letters.", "look")
        return redirect(url_for("pages.policy"))
    except settings.EditedMeanwhile as meanwhile:
        flash(str(meanwhile), "look")
        return redirect(url_for("pages.policy"))
    for id in chosen:
        waking.review(config(), id, all_customers=True)
    flash(
        f"Saved for {many(len(chosen), 'client')}. Running plans keep what they were approved under.", "good"
    )
    return redirect(url_for("pages.policy"))
