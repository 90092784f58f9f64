"""Draft plans: because the policy sees a customer in need of one, or because a person asks. Nothing leaves.

A draft knows its mode, its rows, its reasons, and what it would do to the books, all from our mirror.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.engine import Connection

from connector import audit, books, connections, objections, outbox, plans, settings, todos
from connector.connections import Connection as Organization
from connector.domain import plan_words, plan_writes, proof, propose, rails, refusals
from connector.domain.agreement import Agreement, Parties, agreement
from connector.domain.plan import BadPlan, Plan, Waiver
from connector.domain.plan_words import Words
from connector.domain.policy import Mode
from connector.domain.proof import Effect
from connector.domain.propose import Wish
from connector.domain.receivables import Invoice, Status
from connector.domain.refusals import Facts, ModeChoice, Refusal
from connector.domain.writes import Draft
from connector.plans import PlanProblem, Record
from connector.settings import Settings

LIVE = (Status.OPEN, Status.PARTLY_PAID)


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
    plan = _draft(tx, connection_id, picture, chosen, today, wish, mode)
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
    return _draft(tx, connection_id, picture, chosen, today, wish, but=but)


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


def _draft(
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
) -> Plan:
    decided = decided or settings.load(tx, connection_id)
    organization = organization or connections.get(tx, connection_id)
    policy = decided.policy
    country = policy.country or picture.customer.country or organization.country
    try:
        made = propose.propose(
            chosen,
            policy.plan,
            today,
            country,
            invoices=picture.invoices,
            payments=picture.payments,
            wish=wish,
        )
    except BadPlan as bad:
        raise PlanProblem(bad.code, bad.sentence) from None
    plan = Plan(
        id="",
        version=1,
        customer_id=picture.customer.id,
        currency=made.currency,
        mode=Mode.NOTES,
        sources=propose.sources(made.invoices),
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
    )
    # What a person says of the customer is kept with the draft; approval then refuses, and says what to do.
    limits = None if plan.terms.private_person else plan
    choice = refusals.choose_mode(facts, wanted=mode or policy.plan.mode, plan=limits)
    if mode and choice.mode != mode:
        first = choice.refused[Mode(mode)][0]
        raise PlanProblem(first.code, first.sentence)
    if choice.mode is None:
        first = choice.refused[Mode.NOTES][0]
        raise PlanProblem(first.code, first.sentence)
    reasons = plan.reasons if choice.mode is Mode.SPLIT else (*plan.reasons, choice.why)
    return replace(plan, mode=choice.mode, reasons=reasons)


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

    Raises PlanProblem, EditedMeanwhile when it is no longer at `revision`.
    """
    record = plans.get(tx, plan_id)
    if record.draft is not None:
        raise PlanProblem("NOT_PROPOSED", f"Plan {plan_id} is running. Renegotiate it instead.")
    picture = books.of_customer(tx, record.connection_id, record.plan.customer_id)
    if picture is None:
        raise LookupError(f"The customer of plan {plan_id} is no longer in the books.")
    by_id = {i.id: i for i in picture.invoices}
    chosen = [by_id[s.invoice_id] for s in record.plan.sources if s.invoice_id in by_id]
    chosen = [i for i in chosen if i.balance > 0 and i.status in LIVE]
    if not chosen:
        raise PlanProblem("NOT_OPEN", f"Nothing is open on the invoices of plan {plan_id}. Cancel it.")
    wish = _as_said(wish, record.plan)
    plan = _draft(tx, record.connection_id, picture, chosen, today, wish, mode, but=plan_id)
    plan = replace(plan, waivers=record.plan.waivers)
    bad = rails.problems(plan, today, settings.load(tx, record.connection_id).policy.plan)
    if bad:
        raise PlanProblem(bad[0].code, " ".join(b.sentence for b in bad))
    return plans.edit(tx, plan_id, plan, revision=revision, who=who, now=now)


def _as_said(wish: Wish | None, before: Plan) -> Wish:
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
    waiver = Waiver(fee.id, fee.number, fee.balance, "", why.strip())
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


# ---------------------------------------------------------------- by policy


def draft_by_policy(
    tx: Connection,
    organization: Organization,
    decided: Settings,
    picture: books.Receivables,
    records: Sequence[Record],
    *,
    now: dt.datetime,
    today: dt.date,
) -> int:
    """Draft what the policy wants for one customer, and keep earlier drafts true. Returns how many are new.

    `records` are the customer's plans. One plan for each currency; never for an invoice in a plan; never again
    what a person turned down.
    """
    connection_id, policy = organization.id, decided.policy
    records = _refresh(tx, organization, decided, picture, records, now, today)
    if any(r.state == "proposed" for r in records):
        return 0
    taken = plans.planned(records)
    drafted = 0
    for group in propose.candidates(picture.invoices, policy.plan, today, taken).values():
        if any(_turned_down(r, group) for r in records):
            continue
        try:
            plan = _draft(
                tx,
                connection_id,
                picture,
                group,
                today,
                records=records,
                organization=organization,
                decided=decided,
            )
        except PlanProblem:
            continue  # what stands against it is on the customer's page; there is nothing to propose
        if len(plan.rows) < 2 or rails.problems(plan, today, policy.plan):
            continue  # one payment is a later due date, not a plan: a reminder does for that
        record = plans.add(tx, connection_id, plan, who=audit.SYSTEM, now=now)
        drafted += 1
        if rails.approves_itself(record.plan, today, policy.plan):
            plans.approve(tx, record.id, who="the policy", now=now, today=today)
    return drafted


def _turned_down(record: Record, group: Sequence[Invoice]) -> bool:
    """A person cancelled a plan over the same balances: do not come back with it."""
    return record.state == "cancelled" and {(s.invoice_id, s.balance) for s in record.plan.sources} == {
        (i.id, i.balance) for i in group
    }


def _refresh(
    tx: Connection,
    organization: Organization,
    decided: Settings,
    picture: books.Receivables,
    records: Sequence[Record],
    now: dt.datetime,
    today: dt.date,
) -> list[Record]:
    """Our own untouched drafts follow the books: one that no longer fits is withdrawn. Returns what is left."""
    by_id = {i.id: i for i in picture.invoices}
    left = list(records)
    for record in records:
        untouched = record.created_by == audit.SYSTEM and record.revision == 1
        if record.state != "proposed" or not untouched:
            continue
        still = [
            by_id[s.invoice_id]
            for s in record.plan.sources
            if s.invoice_id in by_id
            and by_id[s.invoice_id].status in LIVE
            and by_id[s.invoice_id].balance > 0
        ]
        same = [(i.id, i.balance) for i in still] == [(s.invoice_id, s.balance) for s in record.plan.sources]
        if same:
            ids = [i.id for i in still]
            who = picture.customer.id
            known = objections.facts(
                tx,
                organization.id,
                who,
                ids,
                today,
                but=record.id,
                picture=picture,
                plans=left,
                organization=organization,
                decided=decided,
            )
            choice = refusals.choose_mode(known, wanted=decided.policy.plan.mode, plan=record.plan)
            same = choice.mode in (None, record.plan.mode)  # the accountant may have answered meanwhile
        if not same or record.plan.rows[0].due < today:
            plans.withdraw(tx, record.id, now=now)
            left.remove(record)
    return left


# ---------------------------------------------------------------- what a page shows


def preview(tx: Connection, plan_id: str, *, today: dt.date, credit_word: str = "credit note") -> Preview:
    """What the plan (or its draft) would write and move, computed from the mirror. No network."""
    record = plans.get(tx, plan_id)
    plan = record.draft or record.plan
    connection = connections.get(tx, record.connection_id)
    decided = settings.load(tx, record.connection_id)
    picture = books.of_customer(tx, record.connection_id, plan.customer_id)
    if picture is None:
        raise LookupError(f"The customer of plan {plan_id} is no longer in the books.")
    ids = [s.invoice_id for s in plan.sources]
    facts = objections.facts(tx, record.connection_id, plan.customer_id, ids, today, but=plan.id)
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
        agreement=agreement(plan, parties(connection, picture, decided)),
        message=plan_words.installment_message(plan, plan.rows[0], words) if plan.mode is Mode.SPLIT else "",
        alternatives=_alternatives(facts, plan),
    )


def agreed(tx: Connection, record: Record, plan: Plan | None = None) -> Agreement:
    """The written agreement of `plan`; without one, of a version that waits for approval, else of the one that counts.

    Where the customer accepted a text on their own page, it is that one.
    """
    if (
        plan is None
        and record.draft is None
        and record.acceptance
        and (text := record.acceptance.get("text"))
    ):
        title, _, rest = text.partition("\n\n")
        return Agreement(
            title, rest.partition("\n\n")[0].partition("\n")[2], text, record.acceptance["document"]
        )
    connection = connections.get(tx, record.connection_id)
    picture = books.of_customer(tx, record.connection_id, record.plan.customer_id)
    decided = settings.load(tx, record.connection_id)
    return agreement(plan or record.draft or record.plan, parties(connection, picture, decided))


def parties(
    connection: connections.Connection, picture: books.Receivables | None, decided: settings.Settings
) -> Parties:
    """Who agrees with whom, as far as the books know."""
    return Parties(
        creditor=connection.organization,
        customer=picture.customer.name if picture else "",
        contact=connection.organization,
        reply="reply to this message",
        country=decided.policy.country or connection.country,
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


# ---------------------------------------------------------------- renegotiation


def renegotiation(
    tx: Connection, plan_id: str, *, who: str, why: str, now: dt.datetime, today: dt.date, wish: Wish
) -> Record:
    """Propose new rows for what is still open of a running or broken plan. Raises PlanProblem.

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
        documents = {
            row.n: objections.document(by_id[row.invoice_id])
            for row in record.installments
            if row.invoice_id in by_id
        }
        sources = plan_writes.renegotiation_sources(old, documents)
    else:
        sources = propose.sources([by_id[s.invoice_id] for s in old.sources if s.invoice_id in by_id])
        sources = tuple(s for s in sources if s.balance > 0)
    if not sources:
        raise PlanProblem("NOT_OPEN", f"Nothing is open on plan {plan_id} any more.")
    invoices = [by_id[s.invoice_id] for s in sources]
    made = _draft_rows(tx, record, picture, invoices, today, _as_said(wish, record.draft or old))
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
    return plans.renegotiate(tx, plan_id, plan, who=who, why=why, now=now)


def _draft_rows(
    tx: Connection,
    record: Record,
    picture: books.Receivables,
    invoices: Sequence[Invoice],
    today: dt.date,
    wish: Wish,
) -> propose.Proposal:
    policy = settings.load(tx, record.connection_id).policy
    country = policy.country or picture.customer.country or connections.get(tx, record.connection_id).country
    try:
        return propose.propose(
            invoices,
            policy.plan,
            today,
            country,
            invoices=picture.invoices,
            payments=picture.payments,
            wish=wish,
        )
    except BadPlan as bad:
        raise PlanProblem(bad.code, bad.sentence) from None


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
    by_id = {i.id: i for i in picture.invoices} if picture else {}
    documents = {
        row.n: objections.document(by_id[row.invoice_id])
        for row in record.installments
        if row.invoice_id in by_id
    }
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
