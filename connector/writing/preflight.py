"""Right before a plan's first write: ask the ledger everything that could stand against it, then lay out its writes.

Nothing is written while anything stands against the plan (domain/refusals.py, asked of the ledger itself and not
of our mirror). The clearing account, which may have to be created, is asked for last.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy.engine import Connection

from connector import db
from connector.domain import page_words, plan_writes, rails
from connector.domain import refusals as rules
from connector.domain.letters import variant_for
from connector.domain.plan import Plan
from connector.domain.plan_words import Words
from connector.domain.plan_writes import Attachment, WriteSet
from connector.domain.policy import Mode
from connector.domain.receivables import PULLED_ONLY, CreditNote, Document, Kind, Line, Payment
from connector.domain.refusals import Facts, Refusal
from connector.mirroring import books
from connector.planning import agreements, objections, plans, printing, todos
from connector.planning.plans import Record
from connector.platforms import Clearing, Refused, Standing
from connector.practice import settings
from connector.writing import outbox, proving
from connector.writing.perform import Performer, Taken

CLEARING_LASTS = dt.timedelta(days=1)  # how long a ledger's word for the clearing account is believed


def ask(p: Performer, record: Record) -> tuple[str, Sequence[Document]]:
    """Ask, and lay out the writes where nothing stands against the plan.

    Returns why not, "" when they are laid out, and the plan's invoices as they stand now.
    """
    plan, today = record.plan, p.today()
    facts, waived = _facts(p, plan, today)
    found = rules.refusals(facts, plan.mode, plan) + rules.changed(plan, facts.invoices)
    plan, fees, unfit = _with_fees(plan, facts, waived)
    found += unfit
    with db.reading(p.engine) as tx:
        decided = settings.load(tx, p.connection_id)
        agreed = agreements.agreed(tx, record)
    found += rails.problems(plan, today, decided.policy.plan)  # days may have passed since the approval
    if found:
        sentences = [f.sentence for f in found]
        if any(f.code == "BALANCE_CHANGED" for f in found) and (written := _written_before(p, plan)):
            sentences = [written]
        return " ".join(dict.fromkeys(sentences)), ()
    clearing: Clearing | None = None
    known: Clearing | None = None
    unseen = False
    if plan.mode is Mode.SPLIT:
        try:
            known = _known_clearing(decided, p.clock())
            clearing = p.ledger.clearing(_chosen(decided), today, known)
        except Refused as refusal:
            return _unusable(refusal), ()
        with db.reading(p.engine) as tx:
            if occupied := settings.occupied(tx, p.connection_id, clearing):
                return occupied, ()
            unseen = _chosen(decided) is not None and settings.unseen(tx, p.connection_id, clearing)
    words = Words(p.credit_word, facts.organization.country)
    where = plan_writes.Books(words)
    sentence, address = _page(p, record, facts)
    attachment: Attachment | None = None
    if clearing:
        where = plan_writes.Books(
            words, clearing.account_id, clearing.item_id, clearing.tax_code, clearing.form
        )
    elif plan.mode is Mode.NOTES:
        movable, by_hand = _dates(p, facts, decided.policy.plan.move_due_date)
        where = plan_writes.Books(words, movable=movable, by_hand=by_hand)
        pdf = printing.agreement(agreed, today, foot=sentence)
        attachment = Attachment(f"{plan.id}-v{plan.version}.pdf", base64.b64encode(pdf).decode())
    laid = plan_writes.approve(
        plan, where, posted_on=today, approved_by=record.approved_by, attachment=attachment
    )
    if address:
        laid = plan_writes.with_page(laid, sentence, address)
    with db.transaction(p.engine) as tx:
        still(tx, record)
        if clearing and clearing is not known:
            settings.clearing_confirmed(tx, p.connection_id, decided.clearing, clearing, p.clock())
        before = proving.starting(tx, p.connection_id, plan.customer_id, (*facts.invoices, *fees))
        plans.begun(tx, plan.id, posted_on=today, proof=before, now=p.clock())
        _lay_out(tx, p, record, laid)
        if clearing and unseen:
            _ask_to_look(tx, p, record, clearing)
    return "", facts.invoices


def _ask_to_look(tx: Connection, p: Performer, record: Record, clearing: Clearing) -> None:
    """A person chose an account that was there before, and the ledger does not tell us what stands on it."""
    name = f"{clearing.code} {clearing.name}".strip()
    todos.ask(
        tx,
        p.connection_id,
        f"clearing {clearing.account_id} at zero",
        f"Look in the ledger whether account {name} stood at zero before plan {record.id}: Forbear may not read "
        "that there. If it did not, choose another clearing account in the settings before the next plan.",
        now=p.clock(),
        plan_id=record.id,
    )


def _written_before(p: Performer, plan: Plan) -> str:
    """What to say when this very plan stands in the ledger although we know of no write: a backup was restored."""
    standing = p.ledger.find_together(plan.customer_id, plan_writes.numbers(plan))
    mine = [d.number for d in standing if d.marker.startswith(f"plan={plan.id} v={plan.version} ")]
    if not mine:
        return ""
    return (
        f"The ledger already holds {', '.join(sorted(mine))} of this very plan, so a backup from before they were "
        "written was restored. They stand as they were agreed: turn this draft down, and follow them in the ledger."
    )


def _chosen(decided: settings.Settings) -> str | None:
    return None if decided.clearing == settings.AUTO else decided.clearing


def _known_clearing(decided: settings.Settings, now: dt.datetime) -> Clearing | None:
    """The clearing account as the ledger confirmed it, while that was not long ago."""
    seen = decided.clearing_seen_at
    return decided.clearing_found if seen and dt.timedelta() <= now - seen <= CLEARING_LASTS else None


def unfit_clearing(p: Performer) -> str:
    """Why the clearing account cannot serve any more, asked anew; "" when it can. Makes no account."""
    with db.reading(p.engine) as tx:
        decided = settings.load(tx, p.connection_id)
    if decided.clearing_found is None:
        return ""
    try:
        p.ledger.clearing(decided.clearing_found.account_id, p.today())
    except Refused as refusal:
        return _unusable(refusal)
    return ""


def _unusable(refusal: Refused) -> str:
    return f"The clearing account cannot be used: {refusal}"


def _page(p: Performer, record: Record, facts: Facts) -> tuple[str, str]:
    """The sentence and the address of the customer's own page for this plan; "" where there is none."""
    if p.page is None:
        return "", ""
    plan = record.plan
    documents = [s.invoice_id for s in (plan.originals or plan.sources)]
    with db.transaction(p.engine) as tx:
        address = p.page.address(
            tx, p.connection_id, plan.customer_id, documents, origin="plan", now=p.clock()
        )
        policy = settings.load(tx, p.connection_id).policy
    country = facts.customer.country or policy.country or facts.organization.country
    variant = variant_for(facts.customer.language, policy.letters.language, country)
    return (page_words.words(variant).say("letter", link=address), address) if address else ("", "")


def still(tx: Connection, record: Record) -> None:
    """Raises Taken when the plan moved on while we asked the ledger: what we saw may be another worker's writing."""
    if plans.get(tx, record.id).revision != record.revision:
        raise Taken


def _dates(p: Performer, facts: Facts, wanted: bool) -> tuple[frozenset[str], frozenset[str]]:
    """Notes mode: the invoices whose due date we may move, and those that only a person can move.

    An invoice of a closed period is neither: its date stays for everybody.
    """
    closed = facts.organization.closed_until
    open_ = [d for d in facts.invoices if closed is None or d.date > closed]
    frozen = {d.id for d in open_ if p.ledger.freezes_settled and (d.links or d.balance != d.total)}
    return frozenset(d.id for d in open_ if wanted and d.id not in frozen), frozenset(frozen)


def _with_fees(
    plan: Plan, facts: Facts, read: Mapping[str, Document]
) -> tuple[Plan, list[Document], list[Refusal]]:
    """Waived fees go back to the account and tax code that they were charged on: read from the fee itself.

    One credit line can do that only for a fee of one account and one code; for others a person makes the credit.
    """
    waivers, fees, found = [], [], []
    for waiver in plan.waivers:
        fee = read.get(waiver.invoice_id)
        lines = [line for line in fee.lines if line.net] if fee else []
        if fee is None or fee.customer_id != facts.customer.id or fee.balance != waiver.amount:
            sentence = f"The fee on {waiver.number} is not open with that amount any more. Review the waiver."
            found.append(Refusal("BALANCE_CHANGED", sentence))
        elif not _one_line_returns(fee, lines):
            sentence = (
                f"The fee on {waiver.number} has several accounts or tax codes, or none that the ledger tells. "
                "Credit it in the ledger itself, then take the waiver out of the plan."
            )
            found.append(Refusal("WAIVER_TAX", sentence))
        else:
            line = lines[0]
            fees.append(fee)
            waivers.append(
                replace(
                    waiver,
                    account_id=line.account_id,
                    item_id=line.item_id,
                    tax_code=line.tax_code,
                    tax=fee.tax,
                )
            )
    return replace(plan, waivers=tuple(waivers)), fees, found


def _one_line_returns(fee: Document, lines: Sequence[Line]) -> bool:
    """Whether a credit of one line takes back all of the fee, its tax under its own code."""
    ways = {(x.account_id, x.item_id, x.tax_code) for x in lines}
    if len(ways) != 1 or not lines[0].account_id or (fee.tax and not lines[0].tax_code):
        return False
    return sum(x.net for x in lines) == fee.total - fee.tax


def _lay_out(tx: Connection, p: Performer, record: Record, laid: WriteSet) -> None:
    plan = record.plan
    outbox.lay_out(
        tx,
        p.connection_id,
        record.batch,
        laid.drafts,
        now=p.clock(),
        plan=plans.number_of(plan.id),
        version=plan.version,
    )
    for n, task in enumerate(laid.tasks):
        key = f"{record.batch} task {n}"
        todos.ask(
            tx,
            p.connection_id,
            key,
            task,
            now=p.clock(),
            plan_id=plan.id,
            customer_id=plan.customer_id,
            link=p.ledger.deep_link(Kind.INVOICE, laid.about[n]) if laid.about else "",
        )


def _unapplied(p: Performer, plan: Plan, stands: Standing) -> tuple[int, tuple[tuple[str, int], ...]]:
    """The customer's money that is set against nothing yet; and that of those above a sub-customer, by name.

    A ledger's own figure of what is owed may not count it: where our books know of some, its lists are asked. What
    is booked in journals and deposits no list of a customer's shows: there the last sweep counts.
    """
    with db.reading(p.engine) as tx:
        known = books.payments(tx, p.connection_id, plan.customer_id)
        ours = books.credits(tx, p.connection_id, plan.customer_id)
        customer = books.customer(tx, p.connection_id, plan.customer_id)
        above = books.parents(tx, p.connection_id, customer) if customer else []
        names = {id: parent.name for id in above if (parent := books.customer(tx, p.connection_id, id))}
    booked = [x for x in known if x.flavor in PULLED_ONLY]
    listed = [x for x in known if x.flavor not in PULLED_ONLY]
    payments: Sequence[Payment] = stands.payments
    credits: Sequence[CreditNote] = stands.credits
    spare, currency = objections.spare, plan.currency
    if not spare(payments, credits, currency) and spare(listed, ours, currency):
        _, payments, credits = p.ledger.customer_money(plan.customer_id, invoices=False)
    found = spare(payments, credits, currency) + max(0, spare(booked, (), currency))
    theirs = []
    for id in above:  # a head office's money may well be for its branch
        _, payments, credits = p.ledger.customer_money(id, invoices=False)
        if (money := spare(payments, credits, currency)) > 0:
            theirs.append((names.get(id, "A customer above"), money))
    return found, tuple(theirs)


def _facts(p: Performer, plan: Plan, today: dt.date) -> tuple[Facts, dict[str, Document]]:
    """Read now, from the ledger: the organization, the plan's invoices, the customer's open money.

    Beside them the fees to be waived, by id. What numbers are free is remembered.
    """
    asked = {s.invoice_id: s.number for s in plan.sources}
    numbers = plan_writes.numbers(plan)
    stands = p.ledger.standing(
        plan.customer_id, asked | {w.invoice_id: w.number for w in plan.waivers}, numbers
    )
    p.free.update({(kind, number) for kind, given in numbers.items() for number in given} - stands.taken)
    documents = [d for d in stands.invoices if d.id in asked]
    ids = [s.invoice_id for s in plan.sources]
    unapplied, above = _unapplied(p, plan, stands)
    with db.reading(p.engine) as tx:
        customer = books.customer(tx, p.connection_id, plan.customer_id)
        if customer is None:
            raise LookupError(f"customer {plan.customer_id} left the books")
        if now := stands.customer:
            customer = replace(customer, active=now.active, erasure_requested=now.erasure_requested)
        facts = Facts(
            organization=stands.organization,
            answers=settings.load(tx, p.connection_id).answers,
            customer=customer,
            invoices=tuple(documents),
            today=today,
            unapplied=unapplied,
            above=above,
            holds=objections.holds_on(tx, p.connection_id, plan.customer_id, ids, today),
            planned=objections.covering(plans.of_customer(tx, p.connection_id, plan.customer_id), but=plan.id)
            | objections.marked_elsewhere(tx, p.connection_id, documents),
        )
    return facts, {d.id: d for d in stands.invoices if d.id not in asked}
