"""Fees, interest and discounts from a person's yes to the ledger: each event at most once, each with a way back.

`offered` works out what may be charged by the mirror. `approve` stores the charge and its intents; the delivery looks
at the invoice once more (`still`) before anything is written. `waive` takes a charge back with its reason.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from connector import db
from connector.connecting import connections
from connector.contact import charges, guarding, holds
from connector.contact.charges import Charge
from connector.domain import charges as rules
from connector.domain import free_words, late_interest
from connector.domain.charges import Charged, Offer
from connector.domain.late_interest import Regime
from connector.domain.plan_words import document_number
from connector.domain.policy import ChargePolicy
from connector.domain.receivables import Invoice, Kind, Status
from connector.domain.writes import (
    CreditDraft,
    Draft,
    InvoiceDraft,
    LinkDraft,
    RemoveDraft,
    fingerprint,
    marker,
)
from connector.mirroring import books
from connector.planning import plan_records
from connector.platforms import OutOfDate, Refused
from connector.practice import settings
from connector.record import audit
from connector.writing import outbox
from connector.writing.perform import Performer

_SUFFIX = {rules.LATE_FEE: "F", rules.INTEREST: "I", rules.FIXED_SUM: "S", rules.DISCOUNT: "D"}


class ChargeProblem(Exception):
    """What was asked of a charge cannot be done; `str()` says why and what to do."""


# ---------------------------------------------------------------- what may be charged


def offered(tx: Connection, connection_id: str, customer_id: str, *, today: dt.date) -> list[Offer]:
    """Everything that could be charged or granted to one customer now, oldest invoice first. No network."""
    picture = books.of_customer(tx, connection_id, customer_id)
    if picture is None:
        return []
    connection = connections.get(tx, connection_id)
    policy = settings.load(tx, connection_id).policy
    charged = [
        Charged(c.kind, c.invoice_id, c.until)
        for c in charges.of_customer(tx, connection_id, customer_id)
        if c.state != "withdrawn"
    ]
    found: list[Offer] = []
    for invoice in sorted(picture.invoices, key=lambda i: (i.due, i.id)):
        around = rules.Around(
            picture.customer,
            picture.payments,
            picture.credits,
            charged,
            policy.country or connection.country,
            _rests(tx, connection_id, picture, invoice, today),
        )
        found += rules.offers(invoice, around, policy.charges, today)
    return found


def regime(country: str, policy: ChargePolicy) -> Regime | None:
    """The law of a country with its rates, also those that the bookkeeper entered; None where none is on file."""
    found = late_interest.REGIMES.get(country.upper().partition("-")[0])
    code = late_interest.regime_code(country)
    own = [(r.start, r.percent, r.source) for r in policy.own_rates if r.regime == code]
    return found.with_own(own) if found else None


def _rests(
    tx: Connection, connection_id: str, picture: books.Receivables, invoice: Invoice, today: dt.date
) -> list[str]:
    """Why nothing is charged on this invoice now: a hold, a dispute, a promise, a plan."""
    customer_id = picture.customer.id
    found = [
        f"On hold: {hold.words}."
        for hold in holds.active(tx, connection_id, customer_id, today=today)
        if hold.invoice_id in (None, invoice.id)
    ]
    found += [
        f"A payment is promised for {promise.promised_on}."
        for promise in guarding.still_promised(tx, connection_id, picture, today)
        if promise.invoice_id in (None, invoice.id)
    ]
    if invoice.id in plan_records.planned(plan_records.of_customer(tx, connection_id, customer_id)):
        found.append("The invoice is in a payment plan.")
    return found


# ---------------------------------------------------------------- a person's yes


def approve(
    tx: Connection,
    connection_id: str,
    customer_id: str,
    key: str,
    amount: int,
    *,
    who: str,
    now: dt.datetime,
    today: dt.date,
    why: str = "",
) -> Charge:
    """Store one charge and lay out its writes. `amount` is what the person saw. The same event twice is one charge.

    Raises ChargeProblem when it may not be charged, or is another sum by now.
    """
    offer = next((o for o in offered(tx, connection_id, customer_id, today=today) if o.key == key), None)
    if offer is None:
        if done := charges.of_event(tx, connection_id, customer_id, key):
            return done
        raise ChargeProblem("This is not due any more. Look at the customer again.")
    if offer.why_not:
        raise ChargeProblem(" ".join(offer.why_not))
    if offer.amount != amount:
        raise ChargeProblem(f"It is {offer.money} by now. Look at it again, then approve it.")
    connection = connections.get(tx, connection_id)
    closed = connection.facts.closed_until if connection.facts else None
    if closed and today <= closed:
        raise ChargeProblem(f"The books are closed to {closed}; a charge must be dated after it.")
    try:
        charge_id = charges.add(tx, connection_id, customer_id, offer, who=who, now=now)
    except IntegrityError:
        raise ChargeProblem("Somebody approved this a moment ago. Look at the customer again.") from None
    number = _number(tx, connection_id, customer_id, offer)
    charges.change(tx, charge_id, number=number)
    policy = settings.load(tx, connection_id).policy.charges
    drafts = _drafts(charge_id, number, offer, policy, customer_id, today)
    outbox.lay_out(tx, connection_id, f"{charges.BATCH}{charge_id}", drafts, now=now)
    audit.record(
        tx,
        who=who,
        what=f"approved a charge: {charges.WORDS[offer.kind].lower()}",
        connection_id=connection_id,
        subject=f"customer {customer_id}",
        why=why or offer.rule,
        after={"amount": offer.amount, "currency": offer.invoice.currency, "number": number},
        now=now,
    )
    return charges.get(tx, charge_id)


def _number(tx: Connection, connection_id: str, customer_id: str, offer: Offer) -> str:
    """1001-F1: the document's number; the first that nothing in the mirror or the outbox uses."""
    picture = books.of_customer(tx, connection_id, customer_id)
    taken = {i.number for i in picture.invoices} | {c.number for c in picture.credits} if picture else set()
    taken |= charges.numbers(tx, connection_id)
    n = 1
    stem = offer.invoice.number or offer.invoice.id
    while (number := document_number(stem, f"-{_SUFFIX[offer.kind]}{n}")) in taken:
        n += 1
    return number


def _marker(charge_id: int, role: str, invoice_id: str, day: dt.date, amount: int) -> str:
    return marker(f"LF-{charge_id:04d}", 1, role, invoice_id, fingerprint([(day, amount)]))


def _drafts(
    charge_id: int, number: str, offer: Offer, policy: ChargePolicy, customer_id: str, today: dt.date
) -> list[Draft]:
    to, invoice = rules.target(policy, offer.kind), offer.invoice
    words = f"{charges.WORDS[offer.kind]}, invoice {invoice.number}. {offer.rule}"
    if offer.kind != rules.DISCOUNT:
        return [
            InvoiceDraft(
                number=number,
                customer_id=customer_id,
                date=today,
                due=today,
                currency=invoice.currency,
                amount=offer.amount,
                account_id=to.account,
                description=words,
                message=f"{charges.WORDS[offer.kind]} on invoice {invoice.number}.",
                marker=_marker(charge_id, "fee", invoice.id, today, offer.amount),
                item_id=to.item,
                tax_code=to.tax_code,
                source_invoice_id=invoice.id,
            )
        ]
    credit = CreditDraft(
        number=number,
        customer_id=customer_id,
        date=today,
        currency=invoice.currency,
        amount=offer.amount,
        account_id=to.account,
        description=words,
        message=f"{charges.WORDS[offer.kind]} on invoice {invoice.number}.",
        marker=_marker(charge_id, "early", invoice.id, today, offer.amount),
        item_id=to.item,
        tax_code=to.tax_code,
        source_invoice_id=invoice.id,
        tax=offer.tax,
    )
    return [credit, _link(charge_id, number, invoice.id, credit)]


def _link(charge_id: int, number: str, invoice_id: str, credit: CreditDraft) -> LinkDraft:
    return LinkDraft(
        credit_id=f"@{number}",
        invoice_id=invoice_id,
        customer_id=credit.customer_id,
        date=credit.date,
        currency=credit.currency,
        amount=credit.amount,
        marker=_marker(charge_id, "early-link", invoice_id, credit.date, credit.amount),
    )


def grant_earned(
    tx: Connection,
    connection_id: str,
    customer_id: str,
    policy: ChargePolicy,
    *,
    now: dt.datetime,
    today: dt.date,
) -> int:
    """Approve the discounts that were earned, where the policy says that they need no person. Returns how many."""
    if not (policy.early_percent and policy.early_by_itself):
        return 0
    granted = 0
    for offer in offered(tx, connection_id, customer_id, today=today):
        if offer.kind == rules.DISCOUNT and not offer.why_not:
            approve(
                tx,
                connection_id,
                customer_id,
                offer.key,
                offer.amount,
                who="the policy",
                now=now,
                today=today,
            )
            granted += 1
    return granted


# ---------------------------------------------------------------- into the ledger


def still(p: Performer, batch: str) -> bool:
    """Whether an approved charge may be written now: its invoice has the balance that the person saw, and no money of
    the customer waits to be matched.

    Otherwise the charge is withdrawn, and offered anew as it is then. A batch that was begun goes on: its writes are
    looked up before they are repeated.
    """
    charge_id = batch.removeprefix(charges.BATCH)
    if not charge_id.isdigit():
        return True  # a way back: nothing stands against it
    with db.reading(p.engine) as tx:
        charge = charges.get(tx, int(charge_id))
        balance = charges.balance_seen(tx, charge.id)
        begun = any(w.attempts for w in outbox.of_batch(tx, p.connection_id, batch))
    if begun:
        return True
    try:
        why = _against(p, charge, balance)
    except (Refused, OutOfDate) as problem:  # of this invoice alone: nothing else waits for it
        why = str(problem)
    if not why:
        return True
    with db.transaction(p.engine) as tx:
        outbox.drop(tx, p.connection_id, batch, p.clock())
        charges.change(tx, charge.id, state="withdrawn", why=why)
        books.note_changed(tx, p.connection_id, [charge.customer_id], p.clock())
    p.say(f"{charge.what}: {why}")
    return False


def _against(p: Performer, charge: Charge, balance: int) -> str:
    """Why the charge may not be written now, by the ledger; "" when it may."""
    document = p.ledger.document(Kind.INVOICE, charge.invoice_id)
    if document is None or document.status is Status.VOID or document.balance != balance:
        return "The invoice changed in the ledger before it was charged."
    if charge.kind == rules.DISCOUNT:
        return ""
    _, payments, credits = p.ledger.customer_money(charge.customer_id)
    if rules.unmatched(payments, credits):
        return rules.UNMATCHED
    return free_words.unfit(charge.rule, formal=True)


# ---------------------------------------------------------------- the way back


def waive(tx: Connection, charge_id: int, *, who: str, why: str, now: dt.datetime, today: dt.date) -> Charge:
    """Take a charge back: what is not written yet never is; what is written gets a credit note to the same account
    and tax code, set against it. A discount's credit is taken off again. Twice is harmless.

    Raises ChargeProblem, also without a reason.
    """
    charge = charges.get(tx, charge_id)
    if not why.strip():
        raise ChargeProblem("Write down why; it stays on record.")
    if charge.state in ("waiving", "waived", "withdrawn"):
        return charge
    writes = outbox.of_batch(tx, charge.connection_id, charge.batch)
    if not any(w.attempts for w in writes):
        outbox.drop(tx, charge.connection_id, charge.batch, now)
    else:
        if charge.state == "approved":
            raise ChargeProblem("It is being written just now. Try again in a minute.")
        for write in writes:
            if write.state != "done":  # the ledger refused it
                outbox.cancel(tx, write.id, now)
        if done := [w for w in writes if w.state == "done"]:
            drafts = _back(tx, charge, done, today)
            outbox.lay_out(tx, charge.connection_id, f"{charge.batch} back", drafts, now=now)
    charges.change(tx, charge_id, state="waived", waived_by=who, waived_at=now, why=why.strip())
    audit.record(
        tx,
        who=who,
        what=f"waived a charge: {charges.WORDS[charge.kind].lower()}",
        connection_id=charge.connection_id,
        subject=f"customer {charge.customer_id}",
        why=why.strip(),
        before={"amount": charge.amount, "currency": charge.currency, "number": charge.number},
        now=now,
    )
    return charges.get(tx, charge_id)


def _back(tx: Connection, charge: Charge, done: Sequence[outbox.Write], today: dt.date) -> list[Draft]:
    if charge.kind == rules.DISCOUNT:
        return [
            RemoveDraft(
                "link" if isinstance(w.draft, LinkDraft) else "credit",
                charge.invoice_id if isinstance(w.draft, LinkDraft) else str(w.external_id),
                _marker(charge.id, f"undo-{w.role}", charge.invoice_id, today, charge.amount),
                link_id=str(w.external_id) if isinstance(w.draft, LinkDraft) else "",
                credit_id=str(done[0].external_id) if isinstance(w.draft, LinkDraft) else "",
            )
            for w in reversed(done)
        ]
    [write] = done
    posted = books.invoice(tx, charge.connection_id, str(write.external_id))
    draft = write.draft
    if posted is None or not isinstance(draft, InvoiceDraft):
        raise ChargeProblem("The charge is not in the books yet. Sync, then try again.")
    if posted.balance != posted.total:
        raise ChargeProblem(
            f"Money is set against {charge.number} already. Credit it in the ledger, where that money can be moved."
        )
    number = document_number(charge.number, "-W")
    credit = CreditDraft(
        number=number,
        customer_id=charge.customer_id,
        date=today,
        currency=charge.currency,
        amount=posted.total,
        account_id=draft.account_id,
        description=f"Waives {charge.number}: {charges.WORDS[charge.kind].lower()}",
        message=f"Waives {charge.number}.",
        marker=_marker(charge.id, "waive", posted.id, today, posted.total),
        item_id=draft.item_id,
        tax_code=draft.tax_code,
        source_invoice_id=posted.id,
        tax=posted.tax,
    )
    return [credit, _link(charge.id, number, posted.id, credit)]
