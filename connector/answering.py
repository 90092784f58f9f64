"""What follows from an answer on the customer's own page: at once within the policy, else when a person says so.

Nothing here is harsher than silence: an answer rests reminders about its documents, never more is owed by it, and
what is written into the ledger goes the way of every plan. Reasons of health or family are neither asked nor used.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from connector import audit, books, contacts, customer_answers, drafting, holds, plans
from connector.customer_answers import CUSTOMER, DONE, WAITS, Answer, From
from connector.customer_view import Doc, View
from connector.domain import offers as rules
from connector.domain import page_words, rails, wording
from connector.domain.agreement import Agreement
from connector.domain.calendar import Rhythm
from connector.domain.offers import Asker
from connector.domain.plan import Plan
from connector.domain.propose import Wish
from connector.plans import PlanProblem, Record

FARTHEST = dt.timedelta(days=365)
FIRST_WITHIN = dt.timedelta(days=62)
A_DAY = 12  # answers through one address
LARGEST_FILE = 5_000_000
NOTE = 1000  # characters of free words
REASONS = ("amount", "goods", "paid", "unknown", "double", "other")
TIMES = ("any", "morning", "afternoon", "evening")
CHANGES = ("later", "smaller", "other")
DATA = ("copy", "correct", "erase")
POLICY = "the policy, with the customer's yes"


class Wrong(ValueError):
    """What was sent cannot be used. `name` is the page's sentence about it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class Offer:
    """One plan to choose. `waits` are the bookkeeper's reasons to look first; () when it is agreed with the yes."""

    count: int
    first: dt.date
    plan: Plan
    waits: tuple[str, ...]


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
        _rest(tx, view, whence, [d for d, _ in parts], now)
    _hear(tx, view, whence, "replied" if alone else "extension_asked", now)
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


# ---------------------------------------------------------------- spread it


def offers(tx: Connection, view: View, monthly: int, first: dt.date | None = None) -> list[Offer]:
    """Plans for somebody who can manage `monthly` minor units; [] when none stays within the rails."""
    docs = view.spreadable
    if not docs:
        return []
    policy, balance = view.decided.policy.plan, sum(d.open for d in docs)
    most = rules.consumer_most(view.country) if view.customer.is_person else None
    found = []
    for count in rules.counts(balance, docs[0].currency, monthly, policy, most):
        try:
            found.append(offer(tx, view, count, first))
        except (PlanProblem, Wrong):
            continue
    return found


def offer(tx: Connection, view: View, count: int, first: dt.date | None = None) -> Offer:
    """One plan of `count` monthly payments, not stored. Raises PlanProblem, Wrong."""
    if first is not None and not view.today <= first <= view.today + FIRST_WITHIN:
        raise Wrong("wrong_day")
    docs = view.spreadable
    if not docs or not 1 <= count <= rails.LONGEST:
        raise Wrong("wrong_choice")
    wish = Wish(installments=count, rhythm=Rhythm.MONTHLY, first=first)
    ids, ours = [d.id for d in docs], _draft_of_ours(tx, view, docs)
    plan = drafting.sketch(
        tx,
        view.organization.id,
        view.customer.id,
        ids,
        today=view.today,
        wish=wish,
        but=ours.id if ours else "",
    )
    policy = view.decided.policy
    if rails.problems(plan, view.today, policy.plan):
        raise Wrong("wrong_choice")
    asker = Asker(view.country, view.customer.is_person)
    return Offer(
        count, plan.rows[0].due, plan, tuple(rules.waits(plan, asker, policy.page, policy.plan, view.today))
    )


def text_of(view: View, plan: Plan) -> Agreement:
    """What the customer would agree to, in their language."""
    parties = page_words.Parties(
        view.organization.organization,
        view.customer.name,
        view.person,
        view.decided.policy.letters.how_to_pay,
    )
    return page_words.agreement(plan, parties, view.words)


def agree(
    tx: Connection, view: View, whence: From, chosen: Offer, *, name: str, read: str, now: dt.datetime
) -> Answer:
    """The customer says yes to a plan whose text has the fingerprint `read`.

    Stored with exact text, name, time, address and agent. Approved where nothing makes it wait. Raises Wrong when
    the text is no longer the one that was read.
    """
    name = name.strip()[:100]
    if not name:
        raise Wrong("wrong_name")
    agreed = text_of(view, chosen.plan)
    if agreed.sha256 != read:
        raise Wrong("wrong_changed")
    data = {
        "name": name,
        "text": agreed.text,
        "sha256": agreed.sha256,
        "language": view.words.variant,
        "at": now.isoformat(),
        "address": whence.address,
        "agent": whence.agent,
        "count": chosen.count,
        "total": chosen.plan.total,
        "currency": chosen.plan.currency,
        "by": view.by.isoformat(),
        "waits": list(chosen.waits),
    }
    record = _stored(tx, view, chosen, agreed, name, now)
    approved = False
    if record is not None and not chosen.waits:
        try:
            plans.approve(tx, record.id, who=POLICY, now=now, today=view.today)
            approved = True
        except PlanProblem as problem:
            data["waits"] = [problem.sentence]
    if not approved:
        _rest(tx, view, whence, view.spreadable, now)
    _hear(tx, view, whence, "replied" if approved else "extension_asked", now)
    return customer_answers.keep(
        tx,
        whence,
        "plan",
        state=DONE if approved else WAITS,
        data=data,
        now=now,
        plan_id=record.id if record else None,
    )


def _stored(
    tx: Connection, view: View, chosen: Offer, agreed: Agreement, name: str, now: dt.datetime
) -> Record | None:
    """The plan as a proposal with the customer's yes. None: a person is at a draft of their own; it stays."""
    docs = view.spreadable
    ours = _draft_of_ours(tx, view, docs)
    if ours is not None:
        untouched = {audit.SYSTEM: 1, CUSTOMER: 2}  # the customer's own carries their yes
        if ours.revision != untouched.get(ours.created_by):
            return None
        plans.withdraw(tx, ours.id, now=now)
    record = drafting.propose_plan(
        tx,
        view.organization.id,
        view.customer.id,
        [d.id for d in docs],
        who=CUSTOMER,
        now=now,
        today=view.today,
        wish=Wish(installments=chosen.count, rhythm=Rhythm.MONTHLY, first=chosen.plan.rows[0].nominal),
    )
    if [(r.due, r.total) for r in record.plan.rows] != [(r.due, r.total) for r in chosen.plan.rows]:
        raise Wrong("wrong_changed")
    return plans.record_acceptance(
        tx,
        record.id,
        accepted_by=name,
        how="customer page",
        on=view.today,
        document_hash=agreed.sha256,
        who=CUSTOMER,
        now=now,
        text=agreed.text,
    )


def _draft_of_ours(tx: Connection, view: View, docs: Sequence[Doc]) -> Record | None:
    """A draft over some of these documents that waits for approval already."""
    ids = {d.id for d in docs}
    for record in plans.of_customer(tx, view.organization.id, view.customer.id):
        if record.state == "proposed" and ids & {s.invoice_id for s in record.plan.sources}:
            return record
    return None


def wish(tx: Connection, view: View, whence: From, monthly: int, note: str, now: dt.datetime) -> Answer:
    """None of the plans fits: what would, for a person to answer. `monthly` is minor units."""
    docs = view.spreadable
    if not docs:
        raise Wrong("wrong_choice")
    if not 0 < monthly <= sum(d.open for d in docs):
        raise Wrong("wrong_amount")
    _rest(tx, view, whence, docs, now)
    _hear(tx, view, whence, "extension_asked", now)
    data = {
        "monthly": monthly,
        "currency": docs[0].currency,
        "note": note.strip()[:NOTE],
        "by": view.by.isoformat(),
    }
    return customer_answers.keep(tx, whence, "wish", state=WAITS, data=data, now=now)


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
    kind = type_of(file[1]) if file else None
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
    _hear(tx, view, whence, "replied", now, doc.id)
    data = {
        "reason": reason,
        "note": note.strip()[:NOTE],
        "number": doc.number,
        "by": view.by.isoformat(),
    }
    answer = customer_answers.keep(tx, whence, "dispute", state=WAITS, data=data, now=now, invoice_id=doc.id)
    if file and kind:
        customer_answers.keep_file(tx, answer, _file_name(file[0]), kind, file[1], now)
    return answer


def call(tx: Connection, view: View, whence: From, reach: str, when: str, now: dt.datetime) -> Answer:
    reach = reach.strip()[:120]
    if len(reach) < 5:
        raise Wrong("wrong_contact")
    _hear(tx, view, whence, "replied", now)
    data = {"reach": reach, "when": when if when in TIMES else "any", "by": view.by.isoformat()}
    return customer_answers.keep(tx, whence, "call", state=WAITS, data=data, now=now)


def change(
    tx: Connection, view: View, whence: From, plan_id: str, what: str, note: str, now: dt.datetime
) -> Answer:
    """Ask for a change of a running plan. The plan's documents rest until the day by which a person answers."""
    found = next((p for p in view.plans if p.record.id == plan_id and not p.waits), None)
    if found is None or what not in CHANGES:
        raise Wrong("wrong_choice")
    record = found.record
    ids = {row.invoice_id for row in record.installments} | {s.invoice_id for s in record.plan.sources}
    _rest(tx, view, whence, [d for d in view.documents if d.id in ids], now)
    _hear(tx, view, whence, "extension_asked", now)
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


def _rest(tx: Connection, view: View, whence: From, docs: Sequence[Doc], now: dt.datetime) -> None:
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


def _hear(
    tx: Connection, view: View, whence: From, what: str, now: dt.datetime, invoice_id: str = ""
) -> None:
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


# ---------------------------------------------------------------- files


def type_of(content: bytes) -> str | None:
    """The type by what is in the file, never by its name; None for one that we do not take."""
    if content.startswith(b"%PDF-"):
        return "application/pdf"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content[4:8] == b"ftyp" and content[8:12] in (b"heic", b"heix", b"mif1", b"heim"):
        return "image/heic"
    return None


def _file_name(name: str) -> str:
    """Letters, digits and a few signs: what a path or a header could misread is gone."""
    base = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join(c if c.isalnum() or c in " ._-" else "_" for c in base).strip(" .")
    return kept[-80:] or "file"


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
    if objections := wording.check(reply, wording.Context(names=(contact,))) if reply else ():
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
