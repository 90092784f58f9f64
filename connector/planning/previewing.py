"""What a page shows before anybody approves a plan: what it would write, and what that would move. No network."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

from sqlalchemy.engine import Connection

from connector.connecting import connections
from connector.domain import plan_words, plan_writes, proof, rails, refusals
from connector.domain.agreement import Agreement, agreement
from connector.domain.plan import Plan
from connector.domain.plan_words import Words
from connector.domain.policy import Mode
from connector.domain.proof import Effect
from connector.domain.refusals import Facts, ModeChoice, Refusal
from connector.domain.writes import Draft
from connector.mirroring import books
from connector.planning import agreements, objections, plans
from connector.practice import settings


@dataclass(frozen=True, slots=True)
class Preview:
    """What a page shows before anybody approves."""

    plan: Plan
    refusals: tuple[Refusal, ...]  # with any of these the plan cannot be approved
    cautions: tuple[Refusal, ...]  # a person should see and mean these
    choice: ModeChoice
    drafts: tuple[Draft, ...]
    tasks: tuple[str, ...]
    effect: Effect
    agreement: Agreement
    message: str  # what the customer reads on the first installment; "" in notes mode
    alternatives: tuple[Plan, ...]  # the same plan in each other mode that is offered


def preview(tx: Connection, plan_id: str, *, today: dt.date, credit_word: str = "credit note") -> Preview:
    """What the plan (or its draft) would write and move, computed from the mirror. No network."""
    record = plans.get(tx, plan_id)
    plan = record.draft or record.plan
    connection = connections.get(tx, record.connection_id)
    decided = settings.load(tx, record.connection_id)
    picture = books.of_customer(tx, record.connection_id, plan.customer_id)
    if picture is None:
        raise LookupError(f"The customer of plan {plan_id} is no longer in the books.")
    facts = objections.of_draft(tx, record.connection_id, plan, today, picture)
    words = Words(credit_word, connection.country)
    laid = _laid(plan, words, decided, today)
    written, links = proof.as_documents(laid.drafts)
    waived = {w.invoice_id for w in plan.waivers}
    before = [*facts.invoices, *(objections.document(i) for i in picture.invoices if i.id in waived)]
    applied = proof.applied(before, picture.payments, picture.credits)
    return Preview(
        plan=plan,
        refusals=tuple(objections.refusals(tx, plan_id, today)),
        cautions=tuple(rails.cautions(plan, today, decided.policy.plan)),
        choice=refusals.choose_mode(facts, wanted=str(plan.mode), plan=plan),
        drafts=laid.drafts,
        tasks=laid.tasks,
        effect=proof.effect(
            before,
            applied,
            written,
            links,
            clearing=frozenset({_clearing(decided)[0], _clearing(decided)[1]} - {""}),
            currency=plan.currency,
        ),
        agreement=agreement(plan, agreements.parties(connection, picture, decided)),
        message=plan_words.installment_message(plan, plan.rows[0], words) if plan.mode is Mode.SPLIT else "",
        alternatives=_alternatives(facts, plan),
    )


def _clearing(decided: settings.Settings) -> tuple[str, str]:
    """The clearing account and item; a stand-in until the ledger has confirmed one."""
    found = decided.clearing_found
    return (found.account_id, found.item_id) if found else ("clearing", "")


def _laid(plan: Plan, words: Words, decided: settings.Settings, today: dt.date) -> plan_writes.WriteSet:
    account, item = _clearing(decided)
    where = plan_writes.Books(words, account, item)
    return plan_writes.approve(plan, where, posted_on=today, approved_by="you")


def _alternatives(facts: Facts, plan: Plan) -> tuple[Plan, ...]:
    offered = refusals.choose_mode(facts, plan=plan).offered
    return tuple(replace(plan, mode=mode) for mode in offered if mode is not plan.mode)
