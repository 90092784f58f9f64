"""What follows from an answer on the customer's own page: at once within the policy, else when a person says so.

Nothing here is harsher than silence: an answer rests reminders about its documents, never more is owed by it, and
what is written into the ledger goes the way of every plan. Reasons of health or family are neither asked nor used.
How a customer comes to a plan is in `agreeing`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy.engine import Connection

from connector.contact import contacts, holds
from connector.customer_page import customer_answers, customer_files, offering
from connector.customer_page.customer_answers import CUSTOMER, DONE, WAITS, Answer, From
from connector.customer_page.customer_view import Doc, View
from connector.domain import wording
from connector.domain.wording_context import Context
from connector.mirroring import books

FARTHEST = dt.timedelta(days=365)
A_DAY = 12  # answers through one address
NOTE = 1000  # characters of free words
REASONS = ("amount", "goods", "paid", "unknown", "double", "other")
TIMES = ("any", "morning", "afternoon", "evening")
CHANGES = ("later", "smaller", "other")
DATA = ("copy", "correct", "erase")


class Wrong(ValueError):
    """What was sent cannot be used. `name` is the page's sentence about it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


# ---------------------------------------------------------------- a date


def promise(
    tx: Connection,
    view: View,
    whence: From,
    day: dt.date,
    amount: int | None,
    invoice_id: str,
    now: dt.datetime,
) -> Answer:
    """The customer names a day for one document or all of them. `amount` is minor units; the oldest come first."""
    if view.quiet:
        raise Wrong("wrong_choice")
    if not view.today < day <= view.today + FARTHEST:
        raise Wrong("wrong_day")
    parts = _parts(_meant(view, invoice_id), amount)
    page = view.decided.policy.page
    named = {d.id for d, _ in parts if d.rests == "promise"}
    soon = day <= view.today + dt.timedelta(days=page.promise_days)
    alone = soon and view.broken < page.broken_promises and not named
    if alone:
        _promise(tx, whence, day, [(d.id, part, d.currency) for d, part in parts], now)
    else:
        rest(tx, view, whence, [d for d, _ in parts], now)
    hear(tx, view, whence, "replied" if alone else "extension_asked", now)
    data = {
        "day": day.isoformat(),
        "by": view.by.isoformat(),
        "parts": [[d.id, d.number, part, d.currency] for d, part in parts],
    }
    return customer_answers.keep(
        tx,
        whence,
        "promise",
        state=DONE if alone else WAITS,
        data=data,
        now=now,
        invoice_id=invoice_id or None,
    )


def _meant(view: View, invoice_id: str) -> list[Doc]:
    if invoice_id:
        doc = view.named(invoice_id)
        found = [doc] if doc else []
    else:
        found = [d for d in view.documents if d.rests != "dispute"]
    if not found:
        raise Wrong("wrong_invoice")
    return found


def _parts(docs: Sequence[Doc], amount: int | None) -> list[tuple[Doc, int | None]]:
    """What of each document is promised; None: all of it. An amount goes to the oldest first."""
    if amount is None:
        return [(d, None) for d in docs]
    first = docs[0].currency
    found: list[tuple[Doc, int | None]] = []
    for doc in (d for d in docs if d.currency == first):
        if amount > 0:
            found.append((doc, min(amount, doc.open) if amount < doc.open else None))
            amount -= doc.open
    if amount > 0:
        raise Wrong("wrong_amount")
    return found


def _promise(
    tx: Connection,
    whence: From,
    day: dt.date,
    parts: Sequence[tuple[str, int | None, str]],
    now: dt.datetime,
    who: str = CUSTOMER,
) -> None:
    for invoice_id, part, currency in parts:
        holds.promise(
            tx,
            whence.connection_id,
            whence.customer_id,
            day,
            who=who,
            now=now,
            invoice_id=invoice_id,
            amount=part,
            currency=currency if part else "",
        )


# ---------------------------------------------------------------- something is wrong, talk, change


def dispute(
    tx: Connection,
    view: View,
    whence: From,
    invoice_id: str,
    reason: str,
    note: str,
    file: tuple[str, bytes] | None,
    now: dt.datetime,
) -> Answer:
    """One document rests until a person has answered; the others do not. `file` is (name, content)."""
    doc = view.named(invoice_id)
    if doc is None:
        raise Wrong("wrong_invoice")
    if reason not in REASONS:
        raise Wrong("wrong_reason")
    kind = customer_files.type_of(file[1]) if file else None
    if file and kind is None:
        raise Wrong("wrong_file")
    holds.put(
        tx,
        whence.connection_id,
        whence.customer_id,
        "disputed",
        who=CUSTOMER,
        now=now,
        invoice_id=doc.id,
        note="Said on their page",
    )
    hear(tx, view, whence, "replied", now, doc.id)
    data = {
        "reason": reason,
        "note": note.strip()[:NOTE],
        "number": doc.number,
        "by": view.by.isoformat(),
    }
    answer = customer_answers.keep(tx, whence, "dispute", state=WAITS, data=data, now=now, invoice_id=doc.id)
    if file and kind:
        customer_files.keep(tx, answer, customer_files.safe_name(file[0]), kind, file[1], now)
    return answer


def call(tx: Connection, view: View, whence: From, reach: str, when: str, now: dt.datetime) -> Answer:
    reach = reach.strip()[:120]
    if len(reach) < 5:
        raise Wrong("wrong_contact")
    hear(tx, view, whence, "replied", now)
    data = {"reach": reach, "when": when if when in TIMES else "any", "by": view.by.isoformat()}
    return customer_answers.keep(tx, whence, "call", state=WAITS, data=data, now=now)


def change(
    tx: Connection, view: View, whence: From, plan_id: str, what: str, note: str, now: dt.datetime
) -> Answer:
    """Ask for a change of a running plan, or of one that is shown for a yes.

    The plan's documents rest until the day by which a person answers.
    """
    shown = {p.record.id: p.record for p in view.plans if not p.waits}
    shown |= {o.record.id: o.record for o in view.offered if not o.agreed}
    if plan_id not in shown or what not in CHANGES:
        raise Wrong("wrong_choice")
    record, ids = shown[plan_id], offering.documents(shown[plan_id])
    rest(tx, view, whence, [d for d in view.documents if d.id in ids], now)
    hear(tx, view, whence, "extension_asked", now)
    data = {"what": what, "note": note.strip()[:NOTE], "by": view.by.isoformat()}
    return customer_answers.keep(tx, whence, "change", state=WAITS, data=data, now=now, plan_id=record.id)


def stop(tx: Connection, view: View, whence: From, now: dt.datetime) -> Answer:
    """No more messages: at once, for the whole customer, until a person lifts it on their word."""
    holds.put(tx, whence.connection_id, whence.customer_id, "opt_out", who=CUSTOMER, now=now)
    books.note_changed(tx, whence.connection_id, [whence.customer_id], now)
    return customer_answers.keep(tx, whence, "stop", state=DONE, data={}, now=now)


def data(tx: Connection, view: View, whence: From, what: str, note: str, now: dt.datetime) -> Answer:
    """A right of the person: copy, correction, deletion. While deletion is asked for, nothing is sent."""
    if what not in DATA:
        raise Wrong("wrong_choice")
    if what == "erase":
        holds.put(tx, whence.connection_id, whence.customer_id, "data_request", who=CUSTOMER, now=now)
        books.note_changed(tx, whence.connection_id, [whence.customer_id], now)
    said = {"what": what, "note": note.strip()[:NOTE], "by": (view.today + dt.timedelta(days=30)).isoformat()}
    return customer_answers.keep(tx, whence, "data", state=WAITS, data=said, now=now)


def rest(tx: Connection, view: View, whence: From, docs: Sequence[Doc], now: dt.datetime) -> None:
    """Until a person has answered, at the latest on the day that the page names."""
    for doc in docs:
        holds.put(
            tx,
            whence.connection_id,
            whence.customer_id,
            "manual",
            who=CUSTOMER,
            now=now,
            invoice_id=doc.id,
            until=view.by,
            note="Asked on their page",
        )


def hear(tx: Connection, view: View, whence: From, what: str, now: dt.datetime, invoice_id: str = "") -> None:
    """A signal for the judgement and the time line, without any free words."""
    contacts.hear(
        tx,
        whence.connection_id,
        whence.customer_id,
        what,
        on=view.today,
        who=CUSTOMER,
        now=now,
        invoice_id=invoice_id,
        note="On their page",
    )
    books.note_changed(tx, whence.connection_id, [whence.customer_id], now)


# ---------------------------------------------------------------- a person settles it


def settle(
    tx: Connection,
    answer: Answer,
    act: str,
    *,
    who: str,
    now: dt.datetime,
    today: dt.date,
    reply: str = "",
    contact: str = "",
) -> None:
    """The one press that follows from an answer: accept, decline, lift (a dispute), keep (it resting), or done.

    `reply` is what the customer reads. Raises ValueError with a sentence when its words may not go out.
    """
    reply = reply.strip()[:NOTE]
    if objections := wording.check(reply, Context(names=(contact,))) if reply else ():
        raise ValueError(
            f"{objections[0].why} It says: “{objections[0].sentence}” {objections[0].suggestion}"
        )
    id, customer_id = answer.connection_id, answer.customer_id
    if answer.state != WAITS:
        return
    if answer.kind == "promise" and act == "accept" and answer.data:  # {}: their personal data was erased
        parts = [(p[0], p[2], p[3]) for p in answer.data["parts"]]
        whence = From(id, customer_id, answer.link_id, "", "", "")
        _promise(tx, whence, dt.date.fromisoformat(answer.data["day"]), parts, now, who)
    for hold in holds.active(tx, id, customer_id, today=today):
        asked = hold.reason == "manual" and hold.set_by == CUSTOMER
        objected = hold.reason == "disputed" and hold.invoice_id == answer.invoice_id
        if (asked and answer.kind != "dispute") or (objected and answer.kind == "dispute" and act == "lift"):
            holds.lift(tx, hold.id, who=who, now=now)
        if answer.kind == "data" and hold.reason == "data_request" and act == "done":
            holds.lift(tx, hold.id, who=who, now=now)
    books.note_changed(tx, id, [customer_id], now)
    customer_answers.settle(tx, answer.id, who=who, now=now, what=f"settled: {answer.words}", reply=reply)
