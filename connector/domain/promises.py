"""Promises to pay: pending, kept or broken, judged from the books alone, with the policy's grace."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from connector.domain.policy import Policy
from connector.domain.receivables import Invoice, Payment, Status
from connector.domain.trifles import is_trifle, largest

PENDING, KEPT, BROKEN = "pending", "kept", "broken"


@dataclass(frozen=True, slots=True)
class Promise:
    """The customer named a day. `invoice_id` "": for all that is open; `amount` None: the whole of it."""

    made_on: dt.date
    promised_on: dt.date
    invoice_id: str = ""
    amount: int | None = None
    currency: str = ""


def state(
    promise: Promise,
    invoices: Iterable[Invoice],
    payments: Iterable[Payment],
    today: dt.date,
    policy: Policy,
) -> str:
    """KEPT as soon as the money is in the books but for a trifle, BROKEN once the day and its grace are over without it.

    Money counts from the day on which the promise was made. A promise for one invoice is kept by what was set
    against that invoice, by what is set against none yet, or by nothing being open on it; any other, and one for a
    document that was voided or is gone, by all money of the customer that came.
    """
    last = promise.promised_on + dt.timedelta(policy.reminders.promise_grace_days)
    paid = [p for p in payments if not p.void and promise.made_on <= p.date <= min(last, today)]
    named = next((i for i in invoices if i.id == promise.invoice_id and i.status is not Status.VOID), None)
    if named is not None:
        spare = sum(p.unapplied for p in paid if p.currency == named.currency)
        came = sum(a.amount for p in paid for a in p.allocations if a.invoice_id == named.id) + spare
        kept = named.balance <= spare or is_trifle(named, policy.plan)
    else:
        came = sum(p.amount for p in paid if promise.currency in ("", p.currency))
        due = [i for i in invoices if i.balance > 0 and i.due <= promise.promised_on]
        missing = {i.currency: 0 for i in due}
        for invoice in due:
            missing[invoice.currency] += 0 if is_trifle(invoice, policy.plan) else invoice.balance
        for payment in paid:
            missing[payment.currency] = missing.get(payment.currency, 0) - payment.unapplied
        kept = promise.amount is None and all(amount <= 0 for amount in missing.values())
    if promise.amount is not None:
        kept = kept or came + largest(promise.amount, promise.currency, policy.plan) >= promise.amount
    if kept:
        return KEPT
    return BROKEN if today > last else PENDING
