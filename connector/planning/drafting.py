"""Draft a plan because a person asks, and change a draft as they wish. Nothing leaves.

A draft knows its mode, its rows and its reasons, all from our mirror. What the policy drafts by itself is in
`policy_drafts`, what a draft would do to the books in `previewing`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlalchemy.engine import Connection

from connector.connecting import connections
from connector.connecting.connections import Connection as Organization
from connector.contact.holds import Hold
from connector.domain import free_words, plan_words, propose, rails, refusals
from connector.domain.plan import BadPlan, Plan, Waiver
from connector.domain.policy import Mode
from connector.domain.propose import Wish
from connector.domain.receivables import Invoice, Status
from connector.mirroring import books
from connector.planning import objections, plans
from connector.planning.plans import PlanProblem, Record
from connector.practice import settings
from connector.practice.settings import Settings
from connector.reviewing import conclusions

LIVE = (Status.OPEN, Status.PARTLY_PAID)


def propose_plan(
    tx: Connection,
    connection_id: str,
    customer_id: str,
    invoice_ids: Collection[str] = (),
    *,
    who: str,
    now: dt.datetime,
    today: dt.date,
    wish: Wish | None = None,
    mode: str = "",
) -> Record:
    """Draft a plan over these invoices (none named: all that are overdue, of one currency), and store it.

    `mode` is "split", "notes" or "" for what the books allow. Raises PlanProblem, LookupError.
    """
    picture = books.of_customer(tx, connection_id, customer_id)
    if picture is None:
        raise LookupError(f"There is no customer {customer_id} in these books. Sync, or check the id.")
    chosen = _chosen(tx, connection_id, picture, invoice_ids, today)
    plan = draft(tx, connection_id, picture, chosen, today, wish, mode)
    bad = rails.problems(plan, today, settings.load(tx, connection_id).policy.plan)
    if bad:
        raise PlanProblem(bad[0].code, " ".join(b.sentence for b in bad))
    return plans.add(tx, connection_id, plan, who=who, now=now)


def sketch(
    tx: Connection,
    connection_id: str,
    customer_id: str,
    invoice_ids: Collection[str],
    *,
    today: dt.date,
    wish: Wish,
    but: str = "",
) -> Plan:
    """The plan that `propose_plan` would store, not stored and not held against the rails; as if there were no plan
    `but`. Raises PlanProblem, LookupError."""
    picture = books.of_customer(tx, connection_id, customer_id)
    if picture is None:
        raise LookupError(f"There is no customer {customer_id} in these books. Sync, or check the id.")
    chosen = _chosen(tx, connection_id, picture, invoice_ids, today)
    return draft(tx, connection_id, picture, chosen, today, wish, but=but)


def _chosen(
    tx: Connection,
    connection_id: str,
    picture: books.Receivables,
    invoice_ids: Collection[str],
    today: dt.date,
) -> list[Invoice]:
    by_id = {i.id: i for i in picture.invoices}
    if invoice_ids:
        for invoice_id in invoice_ids:
            if invoice_id not in by_id:
                raise LookupError(
                    f"Customer {picture.customer.id} has no invoice {invoice_id}. Give the ledger's id of one."
                )
        return [by_id[i] for i in dict.fromkeys(invoice_ids)]
    taken = plans.planned(plans.of_customer(tx, connection_id, picture.customer.id))
    late = [
        i
        for i in picture.invoices
        if i.status in LIVE and i.balance > 0 and i.due < today and not i.marker and i.id not in taken
    ]
    if not late:
        raise PlanProblem(
            "NO_INVOICE",
            f"{picture.customer.name} has no overdue invoice outside a plan. Name the invoices to plan.",
        )
    currency = min(late, key=lambda i: i.due).currency
    return [i for i in late if i.currency == currency]


def draft(
    tx: Connection,
    connection_id: str,
    picture: books.Receivables,
    chosen: Sequence[Invoice],
    today: dt.date,
    wish: Wish | None = None,
    mode: str = "",
    but: str = "",
    records: Sequence[Record] | None = None,
    organization: Organization | None = None,
    decided: Settings | None = None,
    rests: Sequence[Hold] | None = None,
    segment: str | None = None,
    made: propose.Proposal | None = None,
) -> Plan:
    """The plan over these invoices, in the mode that the books allow; as if there were no plan `but`. Not stored.

    What the caller has read already may be given: the customer's plans and holds, the organization, what was decided,
    and what kind of payer they are; or what was `made` by `proposal` of all that.
    Raises PlanProblem.
    """
    decided = decided or settings.load(tx, connection_id)
    organization = organization or connections.get(tx, connection_id)
    if made is None:
        kind = _kind(tx, connection_id, picture.customer.id) if segment is None else segment
        made = proposal(decided, organization, picture, chosen, today, wish, kind)
    shared = books.shared_numbers(tx, connection_id, {i.id: i.number for i in made.invoices})
    plan = Plan(
        id="",
        version=1,
        customer_id=picture.customer.id,
        currency=made.currency,
        mode=Mode.NOTES,
        sources=tuple(replace(s, shared=s.invoice_id in shared) for s in propose.sources(made.invoices)),
        rows=made.rows,
        drafted_on=today,
        terms=made.terms,
        reasons=made.reasons,
    )
    facts = objections.facts(
        tx,
        connection_id,
        picture.customer.id,
        [i.id for i in made.invoices],
        today,
        but,
        picture=picture,
        plans=records,
        organization=organization,
        decided=decided,
        rests=rests,
    )
    # What a person says of the customer is kept with the draft; approval then refuses, and says what to do.
    limits = None if plan.terms.private_person else plan
    choice = refusals.choose_mode(facts, wanted=mode or decided.policy.plan.mode, plan=limits)
    if mode and choice.mode != mode:
        first = choice.refused[Mode(mode)][0]
        raise PlanProblem(first.code, first.sentence)
    if choice.mode is None:
        first = choice.refused[Mode.NOTES][0]
        raise PlanProblem(first.code, first.sentence)
    reasons = plan.reasons if choice.mode is Mode.SPLIT else (*plan.reasons, choice.why)
    return replace(plan, mode=choice.mode, reasons=reasons)


def _kind(tx: Connection, connection_id: str, customer_id: str) -> str:
    """What kind of payer they were at the last review, a person's word first; "" before it."""
    key = (connection_id, customer_id)
    said = conclusions.before(tx, [key]).get(key)
    return conclusions.judged_otherwise(said) or (said.segment if said else "")


def proposal(
    decided: Settings,
    organization: Organization,
    picture: books.Receivables,
    chosen: Sequence[Invoice],
    today: dt.date,
    wish: Wish | None,
    segment: str = "",
) -> propose.Proposal:
    """Rows and terms over the chosen invoices, by the policy, the wish and how they pay. Raises PlanProblem."""
    policy = decided.policy
    country = policy.country or picture.customer.country or organization.country
    try:
        return propose.propose(
            chosen,
            policy.plan,
            today,
            country,
            invoices=picture.invoices,
            payments=picture.payments,
            wish=wish,
            segment=segment,
        )
    except BadPlan as bad:
        raise PlanProblem(bad.code, bad.sentence) from None


def redraft(
    tx: Connection,
    plan_id: str,
    *,
    revision: int,
    who: str,
    now: dt.datetime,
    today: dt.date,
    wish: Wish | None = None,
    mode: str = "",
) -> Record:
    """Draft a proposed plan anew over the same invoices, by the books and answers of today.

    Why it came back is no longer said once the draft holds what changed in its invoices, and nothing that we know
    stands against it.
    Raises PlanProblem, EditedMeanwhile when it is no longer at `revision`.
    """
    record = plans.get(tx, plan_id)
    if record.state != "proposed":
        instead = " Renegotiate it to change what is left." if record.state in ("running", "broken") else ""
        raise PlanProblem(
            "NOT_PROPOSED", f"Plan {plan_id} is {record.state} and cannot be drafted anew.{instead}"
        )
    picture = books.of_customer(tx, record.connection_id, record.plan.customer_id)
    if picture is None:
        raise LookupError(f"The customer of plan {plan_id} is no longer in the books.")
    by_id = {i.id: i for i in picture.invoices}
    chosen = [by_id[s.invoice_id] for s in record.plan.sources if s.invoice_id in by_id]
    chosen = [i for i in chosen if i.balance > 0 and i.status in LIVE]
    if not chosen:
        raise PlanProblem("NOT_OPEN", f"Nothing is open on the invoices of plan {plan_id}. Cancel it.")
    wish = as_said(wish, record.plan)
    plan = draft(tx, record.connection_id, picture, chosen, today, wish, mode, but=plan_id)
    plan = replace(plan, waivers=record.plan.waivers)
    bad = rails.problems(plan, today, settings.load(tx, record.connection_id).policy.plan)
    if bad:
        raise PlanProblem(bad[0].code, " ".join(b.sentence for b in bad))
    drawn = plans.edit(tx, plan_id, plan, revision=revision, who=who, now=now)
    then, there = ([replace(s, version="") for s in p.sources] for p in (record.plan, plan))
    if then == there or not drawn.attention or objections.refusals(tx, plan_id, today):
        return drawn
    plans.attend(tx, plan_id, "", now)
    return plans.get(tx, plan_id)


def as_said(wish: Wish | None, before: Plan) -> Wish:
    """What was said of the customer stays said, unless the wish says otherwise."""
    asked, terms = wish or Wish(), before.terms
    person = terms.private_person if asked.private_person is None else asked.private_person
    signed = terms.legal_sign_off if asked.legal_sign_off is None else asked.legal_sign_off
    return replace(asked, private_person=person, legal_sign_off=signed)


def waive(
    tx: Connection, plan_id: str, invoice_id: str, *, why: str, revision: int, who: str, now: dt.datetime
) -> Record:
    """Let a plan that waits for approval also take a fee back, with the reason that its credit will state.

    The fee's account, item and tax are read from the ledger right before it is written. Raises PlanProblem.
    """
    record = plans.get(tx, plan_id)
    plan = record.draft or record.plan
    if not why.strip():
        raise PlanProblem("NO_REASON", "Say why the fee is waived; the credit states it.")
    if unfit := free_words.unfit(why):
        raise PlanProblem("WORDS", unfit)
    picture = books.of_customer(tx, record.connection_id, plan.customer_id)
    fee = next((i for i in picture.invoices if i.id == invoice_id), None) if picture else None
    if fee is None:
        raise LookupError(f"The customer of plan {plan_id} has no invoice {invoice_id}. Check the id.")
    if fee.status is not Status.OPEN or fee.balance != fee.total or fee.currency != plan.currency:
        raise PlanProblem(
            "NOT_OPEN",
            f"Only a fee that is open in full, in {plan.currency}, can be waived; {fee.number} is not.",
        )
    if fee.id in {s.invoice_id for s in plan.sources} | {w.invoice_id for w in plan.waivers}:
        raise PlanProblem("ALREADY_PLANNED", f"{fee.number} is in the plan already.")
    waiver = Waiver(fee.id, fee.number, fee.balance, "", why.strip(), tax=fee.tax)
    taken = {c.number for c in picture.credits} if picture else set()
    while plan_words.waiver_number(plan, waiver) in taken:
        waiver = replace(waiver, earlier=waiver.earlier + 1)
    return plans.edit(
        tx,
        plan_id,
        replace(plan, waivers=(*plan.waivers, waiver)),
        revision=revision,
        who=who,
        why=why,
        now=now,
    )


def charge_after_all(
    tx: Connection, plan_id: str, invoice_id: str, *, revision: int, who: str, now: dt.datetime
) -> Record:
    """Take a waiver out of a plan that waits for approval. Raises PlanProblem, EditedMeanwhile."""
    record = plans.get(tx, plan_id)
    plan = record.draft or record.plan
    kept = tuple(w for w in plan.waivers if w.invoice_id != invoice_id)
    return plans.edit(tx, plan_id, replace(plan, waivers=kept), revision=revision, who=who, now=now)
