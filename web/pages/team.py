"""People and roles of one organization: invite by a link, change a role, take it away.

An invitation is a link for one person (`connector.practice.invitations`). Whoever opens it signs in with their own
ledger account; Forbear sends no mail and keeps no password.
"""

from __future__ import annotations

from flask import abort, flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from connector import db
from connector.connecting import connections
from connector.practice import invitations, people
from connector.practice.invitations import NotUsable
from connector.record import audit
from web.pages import blueprint
from web.sign_in import config, engine, need


@blueprint.post("/organizations/<connection_id>/people/invite")
def invite(connection_id: str) -> str:
    """Show a link for one role; nothing is sent. It is shown this once: only its hash is kept."""
    need(connection_id, "configure")
    role = request.form.get("role", "")
    if role not in people.ROLES:
        abort(400, "Choose a role from the list.")
    with db.transaction(engine()) as tx:
        connection = connections.get(tx, connection_id)
        secret = invitations.make(tx, connection_id, role, by=g.person, now=db.now())
    link = config().public_url + url_for("pages.invited", token=secret)
    return render_template("invite.html", organization=connection, link=link, role=role)


@blueprint.post("/organizations/<connection_id>/people/withdraw")
def withdraw_invitation(connection_id: str) -> Response:
    """Take a link back that nobody has used."""
    need(connection_id, "configure")
    with db.transaction(engine()) as tx:
        invitations.withdraw(
            tx, connection_id, request.form.get("invitation", ""), who=g.person.name, now=db.now()
        )
    flash("The link gives nothing any more.", "good")
    return redirect(url_for("pages.settings_page", connection_id=connection_id))


@blueprint.get("/invited/<token>")
def invited(token: str) -> str | tuple[str, int]:
    """Where the link leads: what it gives, and a button. Looking does not use it up."""
    try:
        with db.reading(engine()) as tx:
            found = invitations.find(tx, token, db.now())
            name = connections.get(tx, found.connection_id).organization
    except NotUsable as why:
        return _not_usable(why)
    return render_template(
        "invited.html", token=token, role=found.role, organization_name=name, by=found.made_by
    )


@blueprint.post("/invited/<token>")
def join(token: str) -> Response | tuple[str, int]:
    try:
        with db.transaction(engine()) as tx:
            found = invitations.use(tx, token, g.person, db.now())
    except NotUsable as why:
        return _not_usable(why)
    return redirect(url_for("pages.organization", connection_id=found.connection_id))


def _not_usable(why: NotUsable) -> tuple[str, int]:
    return render_template("message.html", title="This invitation cannot be used", text=str(why)), 400


@blueprint.post("/organizations/<connection_id>/people/<int:person_id>")
def change_role(connection_id: str, person_id: int) -> Response:
    """Change a person's role, or take it away. The last one who may configure stays."""
    need(connection_id, "configure")
    role = request.form.get("role", "")
    with db.transaction(engine()) as tx:
        team = {p.id: (p, r) for p, r in people.members(tx, connection_id)}
        if person_id not in team or role not in (*people.ROLES, "none"):
            abort(404)
        person, before = team[person_id]
        others = [id for id, (_, r) in team.items() if r == "configure" and id != person_id]
        if before == "configure" and role != "configure" and not others:
            flash("Somebody must be left who may configure. Invite another person first.", "look")
            return redirect(url_for("pages.settings_page", connection_id=connection_id))
        if role == "none":
            people.ungrant(tx, person_id, connection_id)
        else:
            people.grant(tx, person_id, connection_id, role, by=g.person.name, now=db.now())
        audit.record(
            tx,
            who=g.person.name,
            what=f"changed what {person.name} may do",
            connection_id=connection_id,
            before={"role": before},
            after={"role": None if role == "none" else role},
            now=db.now(),
        )
    flash(
        f"{person.name} may now {role}." if role != "none" else f"{person.name} no longer has access.", "good"
    )
    if person_id == g.person.id and role == "none":
        return redirect("/")
    return redirect(url_for("pages.settings_page", connection_id=connection_id))
