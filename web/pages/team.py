"""People and roles of one organization: invite by a link, change a role, take it away.

An invitation is a signed link that holds the organization and the role. Whoever opens it signs in with their own
ledger account; Forbear sends no mail and keeps no password.
"""

from __future__ import annotations

from flask import abort, current_app, flash, g, redirect, render_template, request, url_for
from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer
from werkzeug.wrappers import Response

from connector import audit, connections, db, people
from web.pages import blueprint
from web.sign_in import config, engine, need

GOOD_FOR = 3 * 86_400  # seconds


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="invitation")


@blueprint.post("/organizations/<connection_id>/people/invite")
def invite(connection_id: str) -> str:
    """Show a link for one role; nothing is sent."""
    need(connection_id, "configure")
    role = request.form.get("role", "")
    if role not in people.ROLES:
        abort(400, "Choose a role from the list.")
    token = _signer().dumps({"connection": connection_id, "role": role, "by": g.person.id})
    with db.transaction(engine()) as tx:
        connection = connections.get(tx, connection_id)
        audit.record(
            tx,
            who=g.person.name,
            what=f"made an invitation to {role}",
            connection_id=connection_id,
            now=db.now(),
        )
    link = config().public_url + url_for("pages.invited", token=token)
    return render_template("invite.html", organization=connection, link=link, role=role)


@blueprint.get("/invited/<token>")
def invited(token: str) -> str | tuple[str, int]:
    """Where the link leads: what it gives, and a button."""
    found = _read(token)
    if isinstance(found, str):
        return render_template("message.html", title="This invitation cannot be used", text=found), 400
    return render_template(
        "invited.html", token=token, role=found[1], organization_name=found[0].organization
    )


@blueprint.post("/invited/<token>")
def join(token: str) -> Response | tuple[str, int]:
    found = _read(token)
    if isinstance(found, str):
        return render_template("message.html", title="This invitation cannot be used", text=found), 400
    connection, role = found
    with db.transaction(engine()) as tx:
        has = people.role(tx, g.person.id, connection.id)
        if not people.may(has, role):  # an invitation never takes a right away
            people.grant(tx, g.person.id, connection.id, role, by="invitation", now=db.now())
            audit.record(
                tx,
                who=g.person.name,
                what=f"joined, to {role}",
                connection_id=connection.id,
                now=db.now(),
            )
    return redirect(url_for("pages.organization", connection_id=connection.id))


def _read(token: str) -> tuple[connections.Connection, str] | str:
    """The organization and the role; or a sentence that says why not."""
    try:
        said = _signer().loads(token, max_age=GOOD_FOR)
    except SignatureExpired:
        return "It was good for three days. Ask for a new one."
    except BadSignature:
        return "The link is not complete, or was changed. Copy all of it, or ask for a new one."
    with db.reading(engine()) as tx:
        inviter = people.role(tx, said["by"], said["connection"])
        if not people.may(inviter, "configure"):
            return "Whoever made it may no longer invite. Ask for a new one."
        return connections.get(tx, said["connection"]), said["role"]


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
