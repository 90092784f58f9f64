"""Other terms for a plan that runs: new rows for what is still open, or everything at once after a default."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from sqlalchemy.engine import Connection

from connector.connecting import connections
from connector.domain import plan_writes, propose
from connector.domain.plan_words import Words
from connector.domain.policy import Mode
from connector.domain.propose import Wish
from connector.mirroring import books
from connector.planning import drafting, objections, plans, todos
from connector.planning.plans import PlanProblem, Record
from connector.practice import settings
from connector.writing import outbox


def renegotiation(
    tx: Connection,
    plan_id: str,
    *,
    who: str,
    why: str,
    now: dt.datetime,
    today: dt.date,
    wish: Wish,
    revision: int | None = None,
) -> Record:
    """Propose new rows for what is still open of a running or broken plan.

    Raises PlanProblem, EditedMeanwhile when a `revision` is given and the plan is no longer at it.
    A split's next version credits its own open installments; in notes mode the invoices stay the sources.
    """
    record = plans.get(tx, plan_id)
    if record.state not in ("running", "broken"):
        raise PlanProblem(
            "NOT_RUNNING", f"Plan {plan_id} is {record.state}; only a running plan can be renegotiated."
        )
    picture = books.of_customer(tx, record.connection_id, record.plan.customer_id)
    if picture is None:
        raise LookupError(f"The customer of plan {plan_id} is no longer in the books.")
    by_id = {i.id: i for i in picture.invoices}
    old = record.plan
    if old.mode is Mode.SPLIT:
        documents = objections.installments(record, picture.invoices)
        sources = plan_writes.renegotiation_sources(old, documents)
        todos.ask_about_lost(
            tx, record, documents, "The new terms leave it out. If it is still owed, bill it again", now
        )
    else:
        sources = propose.sources([by_id[s.invoice_id] for s in old.sources if s.invoice_id in by_id])
        sources = tuple(s for s in sources if s.balance > 0)
    if not sources:
        raise PlanProblem("NOT_OPEN", f"Nothing is open on plan {plan_id} any more.")
    invoices = [by_id[s.invoice_id] for s in sources]
    wish = drafting.as_said(wish, record.draft or old)
    wish = replace(wish, rhythm=wish.rhythm or old.terms.rhythm)  # as agreed, until somebody says otherwise
    why = why or (plans.why_of(tx, record.draft) if record.draft else "")  # other terms, the same reason
    decided, organization = settings.load(tx, record.connection_id), connections.get(tx, record.connection_id)
    made = drafting.proposal(decided, organization, picture, invoices, today, wish)
    plan = replace(
        old,
        sources=sources,
        originals=old.originals or old.sources if old.mode is Mode.SPLIT else old.originals,
        rows=made.rows,
        terms=made.terms,
        waivers=record.draft.waivers if record.draft else (),
        drafted_on=today,
        reasons=(why, *made.reasons) if why else made.reasons,
    )
    return plans.renegotiate(tx, plan_id, plan, who=who, why=why, now=now, revision=revision)


def accelerate(
    tx: Connection,
    plan_id: str,
    *,
    who: str,
    why: str,
    now: dt.datetime,
    today: dt.date,
    credit_word: str = "credit note",
) -> Record:
    """After a default everything that is open falls due today: due dates move, nothing is posted (I15).

    Only a split has dates of its own in the ledger. Raises PlanProblem.
    """
    record = plans.get(tx, plan_id)
    if record.state not in ("running", "broken") or record.plan.mode is not Mode.SPLIT:
        raise PlanProblem(
            "NOT_RUNNING", f"Plan {plan_id} is {record.state}; only a running split can fall due at once."
        )
    picture = books.of_customer(tx, record.connection_id, record.plan.customer_id)
    documents = objections.installments(record, picture.invoices if picture else ())
    # A document with money set against it keeps its date on some ledgers; a person gets that as a to-do.
    movable = frozenset(d.id for d in documents.values() if d.balance == d.total)
    connection = connections.get(tx, record.connection_id)
    where = plan_writes.Books(Words(credit_word, connection.country), movable=movable)
    laid = plan_writes.accelerate(record.plan, documents, where, today=today, why=why)
    plans.accelerated(tx, plan_id, who=who, why=why, now=now)
    batch = f"{record.batch} accelerate"
    outbox.lay_out(
        tx,
        record.connection_id,
        batch,
        laid.drafts,
        now=now,
        plan=plans.number_of(plan_id),
        version=record.plan.version,
    )
    for n, task in enumerate(laid.tasks):
        todos.ask(tx, record.connection_id, f"{batch} task {n}", task, now=now, plan_id=plan_id)
    return plans.get(tx, plan_id)
