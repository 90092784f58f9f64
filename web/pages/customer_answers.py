"""What customers answered on their own page, for the bookkeeper: in the queue and on the customer's page, one press each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Response as Plain
from flask import abort, flash, g, redirect, request, url_for
from sqlalchemy.engine import Connection as Transaction
from werkzeug.wrappers import Response

from connector import db, waking
from connector.connecting import connections
from connector.customer_page import answering, customer_answers, customer_files
from connector.customer_page.customer_answers import Answer
from connector.customer_page.customer_files import File
from connector.domain.page_words import words
from connector.mirroring import books
from web.pages import blueprint
from web.sign_in import config, engine, need, role_in

ACTS = {
    "promise": (("accept", "Accept the day"), ("decline", "Not that day")),
    "plan": (("done", "Say only this"),),
    "wish": (("done", "Answered"),),
    "dispute": (("lift", "Settled: reminders go on"), ("keep", "Answered: let it rest")),
    "call": (("done", "Called back"),),
    "change": (("done", "Answered"),),
    "data": (("done", "Answered"),),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One answer for a page: whose it is, and the files that came with it."""

    answer: Answer
    organization: connections.Connection
    customer: str
    files: list[File]

    @property
    def acts(self) -> tuple[tuple[str, str], ...]:
        return ACTS.get(self.answer.kind, ()) if self.answer.state == customer_answers.WAITS else ()

    @property
    def reason(self) -> str:
        """What the customer chose as wrong, in the bookkeeper's words."""
        chosen = self.answer.data.get("reason", "")
        return words("en-US").lines.get(f"reason_{chosen}", "")


def entries(tx: Transaction, found: list[Answer]) -> list[Entry]:
    organizations = {a.connection_id: connections.get(tx, a.connection_id) for a in found}
    files = customer_files.of_answers(tx, [a.id for a in found])
    made = []
    for answer in found:
        customer = books.customer(tx, answer.connection_id, answer.customer_id)
        name = customer.name if customer else answer.customer_id
        made.append(Entry(answer, organizations[answer.connection_id], name, files.get(answer.id, [])))
    return made


def waiting(tx: Transaction, connection_ids: list[str]) -> list[Entry]:
    """What waits in the queue beside the drafts."""
    return entries(tx, customer_answers.beside_drafts(tx, connection_ids))


def of_customer(tx: Transaction, connection_id: str, customer_id: str) -> list[Entry]:
    return entries(tx, customer_answers.of_customer(tx, connection_id, customer_id)[:12])


@blueprint.app_context_processor
def _for_templates() -> dict[str, Any]:
    """Partials ask for answers themselves, so that the pages they stand in need not know of them."""

    def answers(connection_ids: list[str], customer_id: str = "") -> list[Entry]:
        with db.reading(engine()) as tx:
            if customer_id:
                return of_customer(tx, connection_ids[0], customer_id)
            return waiting(tx, connection_ids)

    return {"customer_answers": answers}


def _answer(answer_id: int, role: str) -> Answer:
    with db.reading(engine()) as tx:
        try:
            found = customer_answers.get(tx, answer_id)
        except LookupError:
            abort(404)
    need(found.connection_id, role)
    return found


@blueprint.post("/answers/<int:answer_id>/settle")
def settle_answer(answer_id: int) -> Response:
    """One press: what follows from an answer, and what the customer reads about it."""
    found = _answer(answer_id, "act")
    act = request.form.get("act", "")
    if act not in dict(ACTS.get(found.kind, ())):
        abort(400, "Choose one of the buttons.")
    with db.reading(engine()) as tx:
        today = connections.today(connections.get(tx, found.connection_id), config())
    try:
        with db.transaction(engine()) as tx:
            answering.settle(
                tx,
                found,
                act,
                who=g.person.name,
                now=db.now(),
                today=today,
                reply=request.form.get("reply", ""),
                contact=g.person.name,
            )
        flash("Done. The customer's page says so.", "good")
        waking.review(config(), found.connection_id)
    except ValueError as wrong:
        flash(f"Nothing was changed, because of the words to the customer. {wrong}", "look")
    if request.form.get("from") == "queue":
        return redirect(url_for("pages.queue"))
    return redirect(
        url_for("pages.customer", connection_id=found.connection_id, customer_id=found.customer_id)
    )


@blueprint.get("/answers/files/<int:file_id>")
def answer_file(file_id: int) -> Plain:
    """A customer's file, only ever as a download: no browser opens it here."""
    with db.reading(engine()) as tx:
        try:
            about, content = customer_files.get(tx, file_id)
        except LookupError:
            abort(404)
    role_in(about.connection_id)
    answer = Plain(content, mimetype="application/octet-stream")
    answer.headers.set("Content-Disposition", "attachment", filename=about.name)
    answer.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer
