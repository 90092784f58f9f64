"""Everything that could make a reminder wrong or unkind, gathered from the stores and, at the last look, the ledger."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector import db
from connector.connecting.connections import Connection as Organization
from connector.contact import holds, reminders
from connector.contact.holds import Hold, Promise
from connector.domain import dunning, promises, shares
from connector.domain.dunning import Contact, Guard
from connector.domain.receivables import PULLED_ONLY, CreditNote, Customer, Invoice, Payment, Status
from connector.mirroring import books, completeness
from connector.planning import plans
from connector.planning.plans import Record
from connector.practice import settings
from connector.practice.settings import Settings


@dataclass(frozen=True, slots=True)
class Told:
    """What is on record about some customers beside their documents, by customer, read for all of them at once.

    `kin` are the other customers who are the same people: a customer's sub-customers, those above, and each other.
    """

    holds: Mapping[str, Sequence[Hold]] = field(default_factory=dict)
    promises: Mapping[str, Sequence[Promise]] = field(default_factory=dict)
    differences: Mapping[str, Sequence[completeness.Difference]] = field(default_factory=dict)
    kin: Mapping[str, Sequence[str]] = field(default_factory=dict)


def told(tx: Connection, connection_id: str, customer_ids: Collection[str], today: dt.date) -> Told:
    """Read it, with the holds of the customers' kin; a few queries however many customers there are."""
    kin = books.families(tx, connection_id, customer_ids)
    everybody = {*customer_ids, *(other for others in kin.values() for other in others)}
    rests: dict[str, list[Hold]] = {}
    for hold in holds.active(tx, connection_id, today=today, among=everybody):
        rests.setdefault(hold.customer_id, []).append(hold)
    named: dict[str, list[Promise]] = {}
    for promise in holds.promised(tx, connection_id, among=customer_ids):
        named.setdefault(promise.customer_id, []).append(promise)
    apart: dict[str, list[completeness.Difference]] = {}
    only = next(iter(customer_ids)) if len(customer_ids) == 1 else None
    for difference in completeness.differences(tx, connection_id, only):
        apart.setdefault(difference.customer_id, []).append(difference)
    return Told(rests, named, apart, kin)


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
    told: Told = Told()
    fresh: bool = False  # the ledger said so a moment ago
    # Money and credits of other records with the same e-mail address, where the ledger was asked for them.
    twins: Mapping[str, tuple[Sequence[Payment], Sequence[CreditNote]]] = field(default_factory=dict)

    @property
    def kin(self) -> Sequence[str]:
        """The other customers who are the same people."""
        return self.told.kin.get(self.customer.id, ())

    @property
    def rests(self) -> Sequence[Hold]:
        """The holds on the customer and on their invoices."""
        return self.told.holds.get(self.customer.id, ())

    @property
    def country(self) -> str:
        return country_of(self.customer, self.organization, self.decided)


def country_of(customer: Customer, organization: Organization, decided: Settings) -> str:
    """Where the customer is; the organization's country where nobody knows."""
    return customer.country or home(organization, decided)


def home(organization: Organization, decided: Settings) -> str:
    """Where customers are of whom nobody knows."""
    return decided.policy.country or organization.country


def resting(scene: Scene) -> dict[str, str]:
    """Invoices that nobody is reminded of now, each with why and what releases it. The others are not concerned."""
    today = scene.today
    numbers = {i.id: i.number or i.id for i in scene.invoices}
    found: dict[str, str] = {}
    for hold in scene.rests:
        if hold.invoice_id:
            number = numbers.get(hold.invoice_id, hold.invoice_id)
            release = "when the dispute is closed" if hold.reason == "disputed" else "when the hold is lifted"
            found[hold.invoice_id] = f"Invoice {number}: {hold.words}. It goes on {release}."
    grace = scene.decided.policy.reminders.promise_grace_days
    for invoice in scene.invoices:
        expected = invoice.expected_payment
        if expected and invoice.balance and expected > invoice.due:
            _rest(found, invoice.id, numbers, expected, grace, today, "is expected on")
    for promise in _pending(scene):
        if promise.invoice_id:
            _rest(found, promise.invoice_id, numbers, promise.promised_on, grace, today, "is promised for")
    return _waiting_week(scene) | found


def _waiting_week(scene: Scene) -> dict[str, str]:
    """Invoices of a customer in the hold-out share: nobody writes about them before a week after their due date."""
    page = scene.decided.policy.page
    since = page.holdout_since
    if since is None or not shares.held_out(scene.organization.id, scene.customer.id, page.holdout_percent):
        return {}
    found = {}
    for invoice in scene.invoices:
        until = invoice.due + dt.timedelta(shares.WAITS)
        if invoice.balance > 0 and not invoice.marker and invoice.due >= since and scene.today < until:
            found[invoice.id] = (
                f"Invoice {invoice.number or invoice.id}: this customer belongs to the share whose contact waits a "
                f"week, so that its effect can be measured. It goes on {until}."
            )
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


def _pending(scene: Scene) -> Iterable[promises.Promise]:
    policy = scene.decided.policy
    for kept in scene.told.promises.get(scene.customer.id, ()):
        promise = holds.judgeable(kept)
        if promises.state(promise, scene.invoices, scene.payments, scene.today, policy) == promises.PENDING:
            yield promise


def still_promised(
    tx: Connection, connection_id: str, picture: books.Receivables, today: dt.date
) -> list[Promise]:
    """The promises of one customer whose day and grace are not over, and that are not kept yet."""
    policy = settings.load(tx, connection_id).policy
    return [
        kept
        for kept in holds.promised(tx, connection_id, picture.customer.id)
        if promises.state(holds.judgeable(kept), picture.invoices, picture.payments, today, policy)
        == promises.PENDING
    ]


def guard(tx: Connection, scene: Scene) -> Guard:
    """What the guard of the domain asks for. Money that came under the name of the customer's kin holds, too."""
    connection_id, customer, decided = scene.organization.id, scene.customer, scene.decided
    unapplied = _unapplied(scene.payments, scene.credits)
    payments = list(scene.payments)
    family = [found for other in scene.kin if (found := books.of_customer(tx, connection_id, other))]
    for theirs in family:
        payments += theirs.payments
        for currency, amount in _unapplied(theirs.payments, theirs.credits).items():
            unapplied[currency] = unapplied.get(currency, 0) + max(0, amount)
    told = scene.told.differences.get(customer.id, ())
    differences = {d.currency: (d.theirs, d.ours) for d in told}
    if scene.fresh:
        differences |= _difference(scene, family)
    reasons = {
        h.reason
        for id in (customer.id, *scene.kin)
        for h in scene.told.holds.get(id, ())
        if not h.invoice_id and (id == customer.id or h.reason not in ("disputed", "manual"))
    }
    if customer.erasure_requested:
        reasons.add("data_request")
    whole = [p.promised_on for p in _pending(scene) if not p.invoice_id]
    synced = scene.organization.last_sync_at
    return Guard(
        live=decided.live,
        ledger_reminders_on=_ledger_reminders(scene.organization, decided),
        hours_since_sync=(scene.now - synced).total_seconds() / 3600 if synced else None,
        unapplied=unapplied,
        same_address=_of_same_address(tx, scene) if scene.fresh else {},
        payments=tuple(payments),
        ledger_balance={code: theirs for code, (theirs, _) in differences.items()} or None,
        mirrored_balance={code: ours for code, (_, ours) in differences.items()},
        unmatched_deposit=unexplained(scene.invoices, payments),
        open_invoices={d.currency: (d.their_invoices, d.our_invoices) for d in told},
        holds=frozenset(reasons),
        promised_for=max(whole, default=None),
        plan_proposed_on=plans.waits_since(scene.records),
        writing=any(r.state == "approved" or r.progress in plans.UNDER_WAY for r in scene.records),
    )


def _of_same_address(tx: Connection, scene: Scene) -> dict[str, int]:
    """Unmatched money of other records with the same e-mail address: often one customer entered twice, and paid under
    the other name. Only for a message that is about to leave; by the mirror where the ledger was not asked."""
    found: dict[str, int] = {}
    for id in same_address(tx, scene):
        if (theirs := books.of_customer(tx, scene.organization.id, id)) is None:
            continue
        payments, credits = scene.twins.get(id, (theirs.payments, theirs.credits))
        if id in scene.twins:  # no ledger lists these by customer
            payments = [*payments, *(p for p in theirs.payments if p.flavor in PULLED_ONLY)]
        for currency, amount in _unapplied(payments, credits).items():
            found[currency] = found.get(currency, 0) + max(0, amount)
    return found


def same_address(tx: Connection, scene: Scene) -> Sequence[str]:
    """The other records that bear this customer's e-mail address, by id."""
    c, customer = db.customers.c, scene.customer
    if not customer.email:
        return ()
    same = sa.select(c.id).where(
        c.connection_id == scene.organization.id,
        sa.func.lower(c.email) == customer.email.lower(),
        c.id.notin_([customer.id, *scene.kin]),
    )
    return tx.scalars(same.order_by(c.id)).all()


def unexplained(invoices: Iterable[Invoice], payments: Iterable[Payment]) -> int:
    """Money that came under the customer's name, was booked as something else, and is just what an invoice before
    it, or all of them together, still asks for. Minor units; 0 when there is none."""
    open_ = [i for i in invoices if i.balance > 0 and i.status not in (Status.DRAFT, Status.VOID)]
    found = 0
    for payment in payments:
        if payment.flavor == "unmatched" and not payment.void:
            asked = [i for i in open_ if i.currency == payment.currency and i.date <= payment.date]
            if payment.amount in {*(i.balance for i in asked), sum(i.balance for i in asked)}:
                found += payment.amount
    return found


def _difference(scene: Scene, family: Sequence[books.Receivables]) -> dict[str, tuple[int, int]]:
    """Where the ledger's own balance of the customer, read with the documents, is not what they add up to.

    What a head office paid on a branch's invoice may lower either's balance: both are in order (`completeness`).
    """
    if scene.customer.ledger_balance is None:
        return {}
    ours = {code: -amount for code, amount in _unapplied(scene.payments, scene.credits).items()}
    for invoice in scene.invoices:
        if invoice.status not in (Status.DRAFT, Status.VOID):
            ours[invoice.currency] = ours.get(invoice.currency, 0) + invoice.balance
    theirs, across = scene.customer.ledger_balance, _across(scene, family)
    return {
        code: (there, here)
        for code in theirs.keys() | ours.keys()
        if (there := theirs.get(code, 0)) != (here := ours.get(code, 0)) and there != here + across[code]
    }


def _across(scene: Scene, family: Sequence[books.Receivables]) -> Counter[str]:
    """By how much more the customer would owe if each payment and credit counted for whoever gave it alone."""
    mine, found = {i.id for i in scene.invoices}, Counter[str]()
    kin = {i.id for theirs in family for i in theirs.invoices}

    def count(given: Iterable[Payment | CreditNote], whose: Collection[str], sign: int) -> None:
        for each in given:
            if not each.void:
                found[each.currency] += sign * sum(
                    a.amount for a in each.allocations if a.invoice_id in whose
                )

    for theirs in family:
        count((*theirs.payments, *theirs.credits), mine, 1)
    count((*scene.payments, *scene.credits), kin, -1)
    return found


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


def crowded(tx: Connection, scene: Scene, own: Sequence[Contact]) -> list[str]:
    """Why the caps let nothing leave, counted over the customer and everybody who is the same people."""
    since = dict.fromkeys(scene.kin, scene.today - dt.timedelta(7))
    others = reminders.contacts(reminders.that_count(tx, scene.organization.id, since))
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
    links = {i.id: i.pay_link for i in scene.invoices}  # no list tells them
    fresh = {i.id: replace(i, pay_link=i.pay_link or links.get(i.id, "")) for i in open_}
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
        if p.id not in known and (not p.unapplied or p.date > scene.today or p.flavor in PULLED_ONLY)
    ]
    return replace(
        scene,
        fresh=True,
        customer=customer,
        invoices=[*invoices, *fresh.values()],
        payments=[*kept, *unspent],
        credits=[*(c for c in scene.credits if not c.remaining), *credits],
    )
