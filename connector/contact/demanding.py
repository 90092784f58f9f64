"""A demand letter for one customer from the mirror: refused while anything speaks against it, never sent.

A person signs it. That it was drawn up stands in the record; that it was sent is for the person to note (a contact
by letter counts against the caps).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy.engine import Connection

from connector.connecting import connections
from connector.contact import charges, guarding, holds, reminding
from connector.domain import charges as rules
from connector.domain import demand, free_words
from connector.domain.demand import Claimed, Demand
from connector.domain.policy import ChargePolicy, Ledgered
from connector.domain.receivables import Invoice, Status
from connector.mirroring import books
from connector.planning import plan_records
from connector.practice import settings
from connector.record import audit

FRESH_HOURS = 24


class NoDemand(Exception):
    """No demand letter may go to this customer now; `str()` says why, sentence by sentence."""


def against(
    tx: Connection, connection_id: str, customer_id: str, *, today: dt.date, now: dt.datetime
) -> list[str]:
    """Why no demand letter may be drawn up now; [] when it may."""
    picture = books.of_customer(tx, connection_id, customer_id)
    if picture is None:
        return ["The customer is not in the books."]
    found = [f"On hold: {h.words}." for h in holds.active(tx, connection_id, customer_id, today=today)]
    found += [
        f"A payment is promised for {p.promised_on}."
        for p in guarding.still_promised(tx, connection_id, picture, today)
    ]
    records = plan_records.of_customer(tx, connection_id, customer_id)
    found += [f"Plan {r.id} is {r.state}." for r in records if r.state in ("approved", "running")]
    found += [
        f"Plan {r.id} is proposed. Approve it, or turn it down, first."
        for r in records
        if r.state == "proposed"
    ]
    if picture.customer.erasure_requested:
        found.append("The ledger marks a data-protection request.")
    if any(p.unapplied for p in picture.payments if not p.void) or any(
        c.remaining for c in picture.credits if not c.void
    ):
        found.append("Money or credit of the customer is not matched to an invoice. Match it first.")
    synced = connections.get(tx, connection_id).last_sync_at
    if synced is None or now - synced > dt.timedelta(hours=FRESH_HOURS):
        found.append(f"The books were not read within the last {FRESH_HOURS} hours. Sync first.")
    found += free_words.problems(settings.load(tx, connection_id).policy)
    if not any(i.balance > 0 and i.due < today for i in picture.invoices):
        found.append("Nothing is overdue.")
    return list(dict.fromkeys(found))


def draw_up(
    tx: Connection,
    connection_id: str,
    customer_id: str,
    *,
    today: dt.date,
    now: dt.datetime,
    individual: bool | None = None,
    currency: str = "",
    alone: bool = False,
) -> Demand:
    """The letter about all that is overdue, in one currency (the one in which most is overdue, unless named).

    `individual` overrides what the ledger says of the customer; `alone` asks for the invoices without fees and interest.
    Raises NoDemand, LookupError.
    """
    if reasons := against(tx, connection_id, customer_id, today=today, now=now):
        raise NoDemand(" ".join(reasons))
    picture = books.of_customer(tx, connection_id, customer_id)
    if picture is None:
        raise LookupError(f"No customer {customer_id} is in the books.")
    connection = connections.get(tx, connection_id)
    policy = settings.load(tx, connection_id).policy
    sender = reminding.sender(connection, policy)
    overdue = [
        i
        for i in picture.invoices
        if i.balance > 0 and i.due < today and i.status in (Status.OPEN, Status.PARTLY_PAID)
    ]
    chosen = currency or _largest(overdue)
    person = picture.customer.is_person if individual is None else individual
    country = policy.country or connection.country
    around = rules.Around(
        replace(picture.customer, is_person=person),
        picture.payments,
        picture.credits,
        [
            rules.Charged(c.kind, c.invoice_id, c.until)
            for c in charges.of_customer(tx, connection_id, customer_id)
            if c.state != "withdrawn"
        ],
        country,
    )
    paid, rule = _paid(picture), _claimable(policy.charges)
    claimed = [
        Claimed(i, paid.get(i.id, 0), () if alone else _offers(i, around, rule, today))
        for i in overdue
        if i.currency == chosen
    ]
    parties = demand.Parties(
        creditor=sender.organization,
        customer=picture.customer.name,
        person=sender.person,
        reply=sender.reply,
        how_to_pay=sender.how_to_pay.rstrip("."),
        country=country,
        individual=bool(person),
        language=picture.customer.language,
        chosen=policy.letters.language,
        clause=policy.charges.clause,
        agreed_interest=bool(policy.charges.annual_percent),
    )
    return demand.demand(parties, claimed, today, free_words.announced(policy))


def _largest(overdue: Iterable[Invoice]) -> str:
    """The currency in which most is overdue; no rate of exchange is asked."""
    sums: dict[str, int] = {}
    for invoice in overdue:
        sums[invoice.currency] = sums.get(invoice.currency, 0) + invoice.balance
    return max(sorted(sums), key=lambda code: sums[code])


def _offers(
    invoice: Invoice, around: rules.Around, policy: ChargePolicy, today: dt.date
) -> tuple[rules.Offer, ...]:
    """The fee and the interest that may be asked for beside the invoice."""
    found = rules.offers(invoice, around, policy, today)
    return tuple(o for o in found if o.kind != rules.DISCOUNT and not o.why_not)


def taken(
    tx: Connection, connection_id: str, customer_id: str, drawn: Demand, *, who: str, now: dt.datetime
) -> None:
    """Somebody took the letter to sign it: that stands in the record."""
    audit.record(
        tx,
        who=who,
        what="drew up a demand letter",
        connection_id=connection_id,
        subject=f"customer {customer_id}",
        after={"deadline": drawn.deadline.isoformat()},
        now=now,
    )


def _claimable(policy: ChargePolicy) -> ChargePolicy:
    """A letter may claim what no account in the ledger is named for yet."""
    somewhere = Ledgered("claimed")
    return replace(policy, late_fee=somewhere, interest=somewhere)


def _paid(picture: books.Receivables) -> dict[str, int]:
    found: dict[str, int] = {}
    for payment in picture.payments:
        for part in payment.allocations if not payment.void else ():
            found[part.invoice_id] = found.get(part.invoice_id, 0) + part.amount
    return found
