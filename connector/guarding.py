"""Everything that could make a reminder wrong or unkind, gathered from the stores and, at the last look, the ledger."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector import books, completeness, db, holds, plans, reminders
from connector.connections import Connection as Organization
from connector.domain import dunning, promises
from connector.domain.dunning import Contact, Guard
from connector.domain.receivables import CreditNote, Customer, Invoice, Payment, Status
from connector.plans import Record
from connector.settings import Settings

LISTED_ONLY = (
    "deposit",
    "journal",
    "refund",
)  # money that no ledger lists by customer: only a pull brings it


@dataclass(frozen=True, slots=True)
class Scene:
    """One customer as the books have it: by the mirror, or with what the ledger said a moment ago laid over it."""

    organization: Organization
    decided: Settings
    customer: Customer
    invoices: Sequence[Invoice]
    payments: Sequence[Payment]
    credits: Sequence[CreditNote]
    records: Sequence[Record]
    now: dt.datetime
    today: dt.date
    fresh: bool = False  # the ledger said so a moment ago

    @property
    def country(self) -> str:
        """Where the customer is; the organization's country where nobody knows."""
        return self.customer.country or self.decided.policy.country or self.organization.country


def family(tx: Connection, connection_id: str, customer: Customer) -> list[str]:
    """The other customers who are the same people: a customer's sub-customers, their parent and each other."""
    c = db.customers.c
    root = customer.parent_id or customer.id
    query = sa.select(c.id).where(
        c.connection_id == connection_id, sa.or_(c.id == root, c.parent_id == root), c.id != customer.id
    )
    return sorted(tx.scalars(query))


def resting(tx: Connection, scene: Scene) -> dict[str, str]:
    """Invoices that nobody is reminded of now, each with why and what releases it. The others are not concerned."""
    connection_id, today = scene.organization.id, scene.today
    numbers = {i.id: i.number or i.id for i in scene.invoices}
    found: dict[str, str] = {}
    for hold in holds.active(tx, connection_id, scene.customer.id, today=today):
        if hold.invoice_id:
            number = numbers.get(hold.invoice_id, hold.invoice_id)
            release = "when the dispute is closed" if hold.reason == "disputed" else "when the hold is lifted"
            found[hold.invoice_id] = f"Invoice {number}: {hold.words}. It goes on {release}."
    grace = scene.decided.policy.reminders.promise_grace_days
    for invoice in scene.invoices:
        expected = invoice.expected_payment
        if expected and invoice.balance and expected > invoice.due:
            _rest(found, invoice.id, numbers, expected, grace, today, "is expected on")
    for promise in _pending(tx, scene):
        if promise.invoice_id:
            _rest(found, promise.invoice_id, numbers, promise.promised_on, grace, today, "is promised for")
    return found


def _rest(
    found: dict[str, str],
    id: str,
    numbers: dict[str, str],
    on: dt.date,
    grace: int,
    today: dt.date,
    words: str,
) -> None:
    until = on + dt.timedelta(grace)
    if today <= until and id not in found:
        number = numbers.get(id, id)
        found[id] = (
            f"Payment of invoice {number} {words} {on}. It goes on after {until} if the money is not there."
        )


def _pending(tx: Connection, scene: Scene) -> Iterable[promises.Promise]:
    grace = scene.decided.policy.reminders.promise_grace_days
    for kept in holds.promised(tx, scene.organization.id, scene.customer.id):
        promise = holds.judgeable(kept)
        if promises.state(promise, scene.invoices, scene.payments, scene.today, grace) == promises.PENDING:
            yield promise


def guard(tx: Connection, scene: Scene, kin: Sequence[str] = ()) -> Guard:
    """What the guard of the domain asks for. `kin` are the other customers who are the same people: money that
    came under their name holds, too."""
    connection_id, customer, decided = scene.organization.id, scene.customer, scene.decided
    unapplied = _unapplied(scene.payments, scene.credits)
    payments = list(scene.payments)
    for other in kin:
        theirs = books.of_customer(tx, connection_id, other)
        if theirs:
            payments += theirs.payments
            for currency, amount in _unapplied(theirs.payments, theirs.credits).items():
                unapplied[currency] = unapplied.get(currency, 0) + max(0, amount)
    differences = {
        d.currency: (d.theirs, d.ours) for d in completeness.differences(tx, connection_id, customer.id)
    }
    if scene.fresh:
        differences |= _difference(scene)
    reasons = {
        h.reason
        for id in (customer.id, *kin)
        for h in holds.active(tx, connection_id, id, today=scene.today)
        if not h.invoice_id and (id == customer.id or h.reason not in ("disputed", "manual"))
    }
    if customer.erasure_requested:
        reasons.add("data_request")
    whole = [p.promised_on for p in _pending(tx, scene) if not p.invoice_id]
    synced = scene.organization.last_sync_at
    return Guard(
        live=decided.live,
        ledger_reminders_on=_ledger_reminders(scene.organization, decided),
        hours_since_sync=(scene.now - synced).total_seconds() / 3600 if synced else None,
        unapplied=unapplied,
        payments=tuple(payments),
        ledger_balance={code: theirs for code, (theirs, _) in differences.items()} or None,
        mirrored_balance={code: ours for code, (_, ours) in differences.items()},
        holds=frozenset(reasons),
        promised_for=max(whole, default=None),
        plan_proposed_on=plans.waits_since(scene.records),
        writing=any(r.state == "approved" or r.progress in plans.UNDER_WAY for r in scene.records),
    )


def _difference(scene: Scene) -> dict[str, tuple[int, int]]:
    """Where the ledger's own balance of the customer, read with the documents, is not what they add up to."""
    if scene.customer.ledger_balance is None:
        return {}
    ours = {code: -amount for code, amount in _unapplied(scene.payments, scene.credits).items()}
    for invoice in scene.invoices:
        if invoice.status not in (Status.DRAFT, Status.VOID):
            ours[invoice.currency] = ours.get(invoice.currency, 0) + invoice.balance
    theirs = scene.customer.ledger_balance
    return {
        code: (theirs.get(code, 0), ours.get(code, 0))
        for code in theirs.keys() | ours.keys()
        if theirs.get(code, 0) != ours.get(code, 0)
    }


def _unapplied(payments: Iterable[Payment], credits: Iterable[CreditNote]) -> dict[str, int]:
    found: dict[str, int] = {}
    for payment in payments:
        if not payment.void:
            found[payment.currency] = found.get(payment.currency, 0) + payment.unapplied
    for credit in credits:
        if not credit.void:
            found[credit.currency] = found.get(credit.currency, 0) + credit.remaining
    return found


def _ledger_reminders(organization: Organization, decided: Settings) -> bool | None:
    told = organization.facts.reminders_on if organization.facts else None
    return told if told is not None else {"on": True, "off": False}.get(decided.ledger_reminders or "")


def crowded(tx: Connection, scene: Scene, own: Sequence[Contact], kin: Sequence[str]) -> list[str]:
    """Why the caps let nothing leave, counted over the customer and everybody who is the same people."""
    others = [
        c for id in kin for c in reminders.contacts(reminders.of_customer(tx, scene.organization.id, id))
    ]
    return dunning.caps([*own, *others], scene.decided.policy.reminders, scene.today)


def refreshed(
    scene: Scene,
    customer: Customer,
    money: tuple[Sequence[Invoice], Sequence[Payment], Sequence[CreditNote]],
) -> Scene:
    """The scene with what the ledger said a moment ago. What it no longer calls open is settled.

    Of the mirrored money stay the payments that are spent or dated ahead, and what no ledger lists by customer.
    """
    open_, unspent, credits = money
    fresh = {i.id: i for i in open_}
    invoices = [
        fresh.pop(i.id)
        if i.id in fresh
        else replace(i, balance=0, status=Status.PAID)
        if i.balance > 0
        else i
        for i in scene.invoices
    ]
    known = {p.id for p in unspent}
    kept = [
        p
        for p in scene.payments
        if p.id not in known and (not p.unapplied or p.date > scene.today or p.flavor in LISTED_ONLY)
    ]
    return replace(
        scene,
        fresh=True,
        customer=customer,
        invoices=[*invoices, *fresh.values()],
        payments=[*kept, *unspent],
        credits=[*(c for c in scene.credits if not c.remaining), *credits],
    )
