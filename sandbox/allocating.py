"""Setting payments and credits against invoices: who may settle what, and undoing it.

Internal to the ledger (called under its lock, after its checks of dates). Sources give: payments (their unapplied
money), credit notes, advances, journals with a receivable credit. Targets take: invoices, journals with a
receivable debit, refunds, and payments (a credit that becomes unapplied money).
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from sandbox.documents import Advance, Allocation, CreditNote, Invoice, Journal, Link, Payment, Ref
from sandbox.refusals import NotOpen, OverAllocation, Refusal, WrongCurrency, WrongCustomer

if TYPE_CHECKING:
    from sandbox.holdings import Holdings
    from sandbox.ledger import Ledger


def is_claim(document: Any) -> bool:
    """Whether it is owed by the customer (else it is a credit)."""
    return isinstance(document, Invoice) or (isinstance(document, Journal) and document.receivable > 0)


def check_room(ledger: Holdings, ref: Ref, amount: int) -> None:
    """Raises NotOpen or OverAllocation unless `amount` is still open on the document."""
    document = ledger.find(ref)
    if not document.live:
        raise NotOpen(f"{ref.kind} {ref.id} is {document.status}.", document=ref, status=document.status)
    if amount > document.balance:
        raise OverAllocation(
            f"Only {document.balance} is open on {ref.kind} {ref.id}, not {amount} (minor units).",
            open=document.balance, amount=amount, document=ref,
        )  # fmt: skip


def check_pair(ledger: Holdings, source: Ref, giver: Any, target: Ref, taker: Any) -> None:
    """Raises WrongCustomer, WrongCurrency, or Refusal when the roles are reversed."""
    if is_claim(giver) or not is_claim(taker):
        raise Refusal(f"A {source.kind} cannot be set against a {target.kind}.", source=source, target=target)
    _check_same(ledger, giver, taker, source, target)


def _check_same(ledger: Holdings, one: Any, other: Any, source: Ref, target: Ref) -> None:
    if one.customer != other.customer and not _same_family(ledger, one.customer, other.customer):
        raise WrongCustomer("The documents belong to different customers.", source=source, target=target)
    if one.currency != other.currency:
        raise WrongCurrency(
            "The documents have different currencies.", source=one.currency, target=other.currency
        )


def _same_family(ledger: Holdings, one: str, other: str) -> bool:
    if not ledger.organization.rules.family_allocations:
        return False

    def head(id: str) -> str:
        while ledger.customers[id].parent:
            id = ledger.customers[id].parent
        return id

    return head(one) == head(other)


def check_links(ledger: Holdings, payment: Payment) -> None:
    """Raises unless every link of the payment fits and the whole does not spend more than there is."""
    given = payment.amount
    asked: dict[Ref, int] = {}
    for link in payment.links:
        asked[link.ref] = asked.get(link.ref, 0) + link.amount
    for ref, amount in asked.items():
        document = ledger.find(ref)
        if not isinstance(document, Invoice | CreditNote | Journal):
            raise Refusal(f"A payment cannot be linked to a {ref.kind}.", source=ref, target=ref)
        _check_same(ledger, payment, document, Ref("payment", payment.id), ref)
        check_room(ledger, ref, amount)
        given += -amount if is_claim(document) else amount
    if given < 0:
        raise OverAllocation(
            "The payment settles more than it and its credits are worth.",
            open=given + sum(asked.values()), amount=sum(asked.values()), document=Ref("payment", payment.id),
        )  # fmt: skip


def link(ledger: Holdings, payment: Payment) -> None:
    """Make the allocations of a checked payment: credits settle the invoices first, then its own money."""
    own = Ref("payment", payment.id)
    credits = {x.ref: 0 for x in payment.links if not is_claim(ledger.find(x.ref))}
    for x in payment.links:
        if x.ref in credits:
            credits[x.ref] += x.amount
    for claim in [x for x in payment.links if x.ref not in credits]:
        open_part = claim.amount
        for ref, left in credits.items():
            amount = min(left, open_part)
            if amount:
                allocate(ledger, ref, claim.ref, amount, payment.date, via=payment.id)
                credits[ref] -= amount
                open_part -= amount
        if open_part:
            allocate(ledger, own, claim.ref, open_part, payment.date, via=payment.id)
    for ref, left in credits.items():
        if left:
            allocate(ledger, ref, own, left, payment.date, via=payment.id)
    for linked in payment.links:
        _touch(ledger, linked.ref)


def unlink(ledger: Holdings, payment: Payment) -> None:
    """Undo all allocations the payment made."""
    for allocation in reversed(ledger.allocations_via(payment.id)):
        release(ledger, allocation)
    for linked in payment.links:
        _touch(ledger, linked.ref)


def allocate(ledger: Holdings, source: Ref, target: Ref, amount: int, day: date, via: str = "") -> Allocation:
    """Make one allocation, unchecked, dated `day` or the later date of both documents."""
    giver, taker = ledger.find(source), ledger.find(target)
    ledger._counters["allocation"] += 1
    sequence = ledger._counters["allocation"]
    made = Allocation(
        id=ledger._new_id("allocation") if ledger.organization.platform == "xero" else f"a{sequence}",
        source=source, target=target, amount=amount, date=max(day, giver.date, taker.date),
        created=ledger._now(), sequence=sequence, via=via,
    )  # fmt: skip
    ledger.allocations[made.id] = made
    ledger._by_source[source][made.id] = made
    ledger._by_target[target][made.id] = made
    if via:
        ledger._by_via[via][made.id] = made
    _use(ledger, giver, amount)
    _use(ledger, taker, amount, taking=True)
    ledger.revision += 1
    return made


def release(ledger: Holdings, allocation: Allocation) -> None:
    """Undo one allocation, unchecked."""
    del ledger.allocations[allocation.id]
    del ledger._by_source[allocation.source][allocation.id]
    del ledger._by_target[allocation.target][allocation.id]
    if allocation.via:
        del ledger._by_via[allocation.via][allocation.id]
    _use(ledger, ledger.find(allocation.source), -allocation.amount)
    _use(ledger, ledger.find(allocation.target), -allocation.amount, taking=True)
    ledger.revision += 1


def _use(ledger: Holdings, document: Any, amount: int, *, taking: bool = False) -> None:
    ledger._discount(document)
    if isinstance(document, Payment):
        document.unapplied += amount if taking else -amount
    elif isinstance(document, Invoice | CreditNote | Advance | Journal):
        document.settled += amount
    ledger._count(document)


def touch_both(ledger: Holdings, allocation: Allocation) -> None:
    touch_source(ledger, allocation)
    _touch(ledger, allocation.target)


def touch_source(ledger: Holdings, allocation: Allocation) -> None:
    """Less of it is left now: its version, time of change and webhook say so."""
    _touch(ledger, allocation.source)


def _touch(ledger: Holdings, ref: Ref) -> None:
    rules = ledger.organization.rules
    document = ledger.find(ref)
    if rules.link_touches_documents:
        ledger._touch(ref.kind, document)
    else:
        ledger._changed(ref.kind, document)
    if rules.link_announces_documents:
        ledger._tell(ref.kind, ref.id, "updated")


def free(ledger: Holdings, ref: Ref) -> None:
    """Undo everything a document takes part in, before it is voided or deleted."""
    document = ledger.find(ref)
    if isinstance(document, Payment):
        unlink(ledger, document)
    for allocation in [*ledger.allocations_to(ref), *ledger.allocations_from(ref)]:
        release(ledger, allocation)
        other = allocation.source if allocation.target == ref else allocation.target
        if allocation.via and ledger.payments.get(allocation.via) is not document:
            payment = ledger.payments[allocation.via]
            _drop_link(ledger, payment, ref)
            other = Ref("payment", payment.id)
        if other.kind != "refund":
            _touch(ledger, other)


def _drop_link(ledger: Holdings, payment: Payment, gone: Ref) -> None:
    """A voided invoice frees its payments; a vanished credit leaves the invoices it settled open again."""
    payment.links = [x for x in payment.links if x.ref != gone]
    settled: dict[Ref, int] = {}
    for allocation in ledger.allocations_via(payment.id):
        for ref in (allocation.source, allocation.target):
            settled[ref] = settled.get(ref, 0) + allocation.amount
    payment.links = [Link(x.ref, settled[x.ref]) for x in payment.links if settled.get(x.ref)]


def apply_waiting_credits(ledger: Ledger, customer: str, currency: str) -> None:
    """QuickBooks' automatic credit application: oldest due invoices first, by payments of zero it makes itself."""
    for note in ledger.documents_of(customer, "credit_note"):
        claims = [d for d in ledger.documents_of(customer, "invoice") if d.balance and d.currency == currency]
        left, links = (note.balance if note.currency == currency else 0), []
        for invoice in sorted(claims, key=lambda d: (d.due, d.date)):
            amount = min(left, invoice.balance)
            if amount:
                links.append(Link(Ref("invoice", invoice.id), amount))
                left -= amount
        if links:
            used = sum(x.amount for x in links)
            links.append(Link(Ref("credit_note", note.id), used))
            day = max(ledger.today(), note.date)
            ledger.add_payment(
                Payment(
                    customer=customer, date=day, amount=0, currency=currency, rate=note.rate, links=links,
                    private_note="Created by QB Online to link credits to charges.",
                )
            )  # fmt: skip


def apply_waiting_payments(ledger: Ledger, invoice: Invoice) -> None:
    """QuickBooks' automatic payment application: unapplied money settles a new invoice."""
    for payment in ledger.documents_of(invoice.customer, "payment"):
        amount = min(payment.balance, invoice.balance)
        if amount and payment.currency == invoice.currency:
            link_ = Link(Ref("invoice", invoice.id), amount)
            ledger.edit(Ref("payment", payment.id), links=[*payment.links, link_])
