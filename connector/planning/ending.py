"""What follows on a written plan: interest as it is earned, early settlement, a write-off proposed.

Interest never exists before it is earned, so default, payoff and renegotiation have nothing to take back
(docs/accounting.md, "A split, line by line"). Nothing here speaks to a ledger: intents are laid out, and the delivery performs them.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy.engine import Connection

from connector.connecting import connections
from connector.domain import plan_writes, progress
from connector.domain.installments import settlement_discount
from connector.domain.money import Money, step
from connector.domain.plan_words import Words, installment_number, named, originals
from connector.domain.policy import Mode, PlanPolicy
from connector.domain.progress import Payoff, Progress, WriteOff
from connector.domain.receivables import CreditNote, Document, Invoice
from connector.domain.writes import CreditDraft, InvoiceDraft, LinkDraft, RemoveDraft
from connector.mirroring import books
from connector.planning import objections, plans, todos
from connector.planning.plans import PlanProblem, Record
from connector.practice import settings
from connector.record import audit
from connector.reviewing import judging
from connector.writing import outbox, undoing


def bill_interest(
    tx: Connection, record: Record, policy: PlanPolicy, *, now: dt.datetime, today: dt.date
) -> int:
    """Lay out the invoices for interest that a running plan has earned by today; returns how many are new (I14).

    Without an account for interest a person gets a to-do for each instead. A paused, broken or finished plan
    earns nothing more.
    """
    plan = record.plan
    if record.state != "running" or record.paused_at is not None or record.progress in plans.UNDER_WAY:
        return 0
    if not plan.interest:
        return 0
    connection = connections.get(tx, record.connection_id)
    account = plan_writes.Account(policy.interest_account, policy.interest_item, policy.interest_tax_code)
    billed = 0
    for row in plan_writes.interest_due(plan, today=today):
        batch = f"{record.batch} interest {row.n}"
        if not policy.interest_account:
            amount = Money(row.interest, plan.currency)
            task = (
                f"Bill {amount} of interest for installment {row.n} of {plan.id}, earned on {row.due}. "
                "Forbear does it by itself once the settings name the account for interest."
            )
            todos.ask(
                tx,
                record.connection_id,
                batch,
                task,
                now=now,
                plan_id=plan.id,
                customer_id=plan.customer_id,
            )
            continue
        draft = plan_writes.interest(plan, row, account, Words("", connection.country), posted_on=today)
        billed += outbox.lay_out(
            tx,
            record.connection_id,
            batch,
            [draft],
            now=now,
            plan=plans.number_of(plan.id),
            version=plan.version,
        )
    return billed


def payoff(tx: Connection, plan_id: str, *, today: dt.date, percent: Decimal = Decimal(0)) -> Payoff:
    """What the customer pays today to be done (I18), by the mirror: principal, interest earned, less a discount.

    Raises PlanProblem when the plan does not run.
    """
    record, stands, _ = _standing(tx, plan_id, today)
    return progress.payoff(stands, record.plan.currency, percent)


def settle_early(
    tx: Connection, plan_id: str, percent: Decimal, *, who: str, why: str, now: dt.datetime, today: dt.date
) -> Payoff:
    """Grant a discount for settling at once: a credit against the last open installments is laid out.

    Where the settings say that tax follows the price, the discount carries its share of the sale's tax;
    otherwise all of it is discount. Raises PlanProblem.
    """
    if not 0 < percent < 100:
        raise PlanProblem("WRONG_PERCENT", "A settlement discount is more than 0 and less than 100 percent.")
    record, stands, documents = _standing(tx, plan_id, today)
    plan = record.plan
    decided = settings.load(tx, record.connection_id)
    policy = decided.policy.plan
    if plan.mode is not Mode.SPLIT:
        raise PlanProblem(
            "NOTES_ONLY",
            f"Plan {plan_id} keeps its invoices as they are. Credit them in the ledger, with their own tax.",
        )
    if not policy.discount_account:
        raise PlanProblem(
            "NO_DISCOUNT_ACCOUNT",
            "Name the account for settlement discounts in the settings first; Forbear does not guess one.",
        )
    batch = _free_batch(tx, record, now)
    sources = originals(plan)
    tax, total = sum(s.tax for s in sources), sum(s.total for s in sources)
    parts = settlement_discount(
        stands.open,
        percent,
        tax,
        total,
        reduces_tax=policy.discount_reduces_tax,
        step=step(plan.currency, stands.open),
    )
    code = policy.discount_tax_code
    if (
        policy.discount_reduces_tax and not parts.tax
    ):  # the sale was not taxed, so nor is what is taken off it
        code = decided.clearing_found.tax_code if decided.clearing_found else ""
    account = plan_writes.Account(policy.discount_account, policy.discount_item, code)
    try:
        laid = plan_writes.discount(plan, documents, parts.gross, account, posted_on=today, tax=parts.tax)
    except ValueError as wrong:
        raise PlanProblem("NOTHING_OPEN", f"Nothing can be discounted on plan {plan_id}: {wrong}.") from None
    outbox.lay_out(
        tx,
        record.connection_id,
        batch,
        laid.drafts,
        now=now,
        plan=plans.number_of(plan_id),
        version=plan.version,
    )
    audit.record(
        tx,
        who=who,
        what="granted a settlement discount",
        connection_id=record.connection_id,
        subject=f"plan {plan_id}",
        why=why,
        after={"percent": str(percent), "amount": parts.gross, "tax": parts.tax},
        now=now,
    )
    return progress.payoff(stands, plan.currency, percent)


def ask_about_lost(tx: Connection, record: Record, invoices: Iterable[Invoice], now: dt.datetime) -> None:
    """A person voided or changed an installment after its plan had ended: nothing follows the plan any more, so ask here.

    Installments that we took back ourselves are no loss: their credit went with them.
    """
    stand = objections.installments(record, invoices)
    if not todos.lost(record, stand):
        return
    undone = outbox.of_batch(tx, record.connection_id, f"{record.batch} undo")
    if not any(isinstance(w.draft, RemoveDraft) and w.state != "cancelled" for w in undone):
        todos.ask_about_lost(tx, record, stand, "If it is still owed, bill it again", now)


def ask_about_credits(
    tx: Connection, record: Record, credits: Iterable[CreditNote], now: dt.datetime
) -> None:
    """A person credited an installment: ask once that the credit went to the right account.

    Both ledgers offer to copy an invoice into a credit; the copy of an installment posts to the clearing account,
    where what the customer no longer owes would be a loss that no report shows (I4).
    """
    plan = record.plan
    numbers = {r.invoice_id: installment_number(plan, r.n) for r in record.installments if r.invoice_id}
    for credit in credits:
        theirs = [] if credit.void or credit.marker else credit.allocations
        for part in theirs:
            if part.invoice_id in numbers:
                what = (
                    f"Credit {credit.number or credit.id} took {Money(part.amount, plan.currency)} off "
                    f"{numbers[part.invoice_id]} in the ledger. Look at its account: what the customer no longer owes "
                    "belongs to sales, discounts or bad debts, and a copy of the installment stands on the clearing "
                    "account, which has to come to zero."
                )
                key = f"{plan.id} credit {credit.id} on {part.invoice_id}"
                todos.ask(
                    tx,
                    record.connection_id,
                    key,
                    what,
                    now=now,
                    plan_id=plan.id,
                    customer_id=plan.customer_id,
                )


def _free_batch(tx: Connection, record: Record, now: dt.datetime) -> str:
    """A name for the discount's writes. One that the ledger refused in whole is given up, and asks anew.

    Raises PlanProblem when the plan has its discount, or may have it.
    """
    for n in itertools.count(1):
        batch = f"{record.batch} discount{'' if n == 1 else f' {n}'}"
        earlier = outbox.of_batch(tx, record.connection_id, batch)
        if not earlier:
            return batch
        if earlier[0].state not in (
            "failed",
            "cancelled",
        ):  # the credit itself; a misread refusal is found again
            raise PlanProblem("ALREADY_DISCOUNTED", f"Plan {record.id} has its settlement discount already.")
        for write in earlier:
            if write.state != "cancelled":
                outbox.cancel(tx, write.id, now)
    raise AssertionError("unreachable")


def propose_write_off(
    tx: Connection, plan_id: str, *, who: str, why: str, now: dt.datetime, today: dt.date
) -> WriteOff:
    """Put what is unpaid before the accountant, with the tax inside it (I19). Forbear writes nothing off.

    Raises PlanProblem when the plan does not run or nothing is open.
    """
    record, stands, _ = _standing(tx, plan_id, today)
    plan = record.plan
    found = progress.write_off(plan, stands)
    if not found.gross:
        raise PlanProblem("NOTHING_OPEN", f"Nothing is open on plan {plan_id}.")
    gross, net, tax = (Money(x, plan.currency) for x in (found.gross, found.net, found.tax))
    what = (
        f"Decide on writing off {gross} of plan {plan.id} ({named(originals(plan))}). If the conditions of tax "
        f"relief are met: {net} to bad debts and {tax} to tax. Otherwise {gross} to bad debts; keep the {tax} "
        "on file for relief later."
    )
    key = f"{record.batch} write-off"
    todos.ask(tx, record.connection_id, key, what, now=now, plan_id=plan.id, customer_id=plan.customer_id)
    audit.record(
        tx,
        who=who,
        what="proposed a write-off",
        connection_id=record.connection_id,
        subject=f"plan {plan_id}",
        why=why,
        after={"gross": found.gross, "net": found.net, "tax": found.tax},
        now=now,
    )
    return found


@dataclass(frozen=True, slots=True)
class Removal:
    """What removing a plan would do. `taken_back`: what leaves the ledger; `stays`: why its documents stay."""

    plan: Record
    taken_back: tuple[str, ...]
    stays: str


def removals(
    tx: Connection, connection_id: str, *, today: dt.date, plan_ids: Collection[str] = ()
) -> list[Removal]:
    """The preview of "remove what Forbear wrote", for these plans or for the whole organization."""
    found = []
    for record in plans.of_connection(tx, connection_id, ("proposed", "approved", "running", "broken")):
        if plan_ids and record.id not in plan_ids:
            continue
        written = [w for w in outbox.of_plan(tx, record.id) if w.state == "done"]
        paid = any(
            row.open < row.principal and row.state != progress.RowState.GONE
            for row in record.installments
            if row.invoice_id
        )
        reason = undoing.stays(record, written, paid, today)
        made = [w.what for w in written if isinstance(w.draft, CreditDraft | InvoiceDraft | LinkDraft)]
        found.append(Removal(record, () if reason else tuple(made), reason))
    return found


def _standing(tx: Connection, plan_id: str, today: dt.date) -> tuple[Record, Progress, dict[int, Document]]:
    """Where a written plan stands by the mirror, and its installments by row number."""
    record = plans.get(tx, plan_id)
    if record.state not in ("running", "broken") or record.progress in plans.UNDER_WAY:
        raise PlanProblem("NOT_RUNNING", f"Plan {plan_id} is {record.state}; it has to run for that.")
    picture = books.of_customer(tx, record.connection_id, record.plan.customer_id)
    if picture is None:
        raise LookupError(f"The customer of plan {plan_id} is no longer in the books.")
    ids = {row.n: row.invoice_id for row in record.installments if row.invoice_id}
    stands = judging.stand(record.plan, ids, picture.invoices, picture.payments, picture.credits, today)
    return record, stands, objections.installments(record, picture.invoices)
