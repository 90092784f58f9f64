"""What happened beside the documents: promises, requests, disputes, silence, returned payments, kept plans."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from statistics import median

from connector.domain.findings.facts import Event, Evidence, Finding, Receivables, days, name, spoken
from connector.domain.findings.habits import record
from connector.domain.money import Money
from connector.domain.policy import Policy
from connector.domain.receivables import Invoice, Status
from connector.domain.trifles import largest

RECENT = 180  # days after which a broken promise or a request is history
RETURNED = 120
SILENCE = 45  # days overdue without a payment or a word
MOVED = 60  # days for which changed contact details are news
NO_WORD = ("bounced", "dispute_closed", "details_changed")  # nobody spoke with us
PRAISED = 60  # days for which a kept plan is worth saying


def broken_promises(receivables: Receivables, policy: Policy, today: dt.date) -> list[tuple[Event, int, str]]:
    """Promises whose day, with the policy's grace, has passed without the money: (promise, missing, currency).

    What counts is money received from the day of the promise on: on the invoice that it named, or of a named sum from
    the customer at all. Who promised everything and named neither pays all that is due by then.
    """
    promises = receivables.said("promise")
    if not promises:
        return []
    received = receivables.received(today)
    invoices = {i.id: i for i in receivables.invoices}
    found = []
    for event in promises:
        last = (event.promised or event.date) + dt.timedelta(policy.reminders.promise_grace_days)
        if event.promised is None or today <= last or (today - event.promised).days > RECENT:
            continue
        invoice = invoices.get(event.invoice_id)
        if invoice is None and event.amount is None:
            came, wanted, currency = _everything(receivables, event, last, today)
        elif invoice is None:
            came = sum(p.amount for p in receivables.payments if not p.void and event.date <= p.date <= last)
            wanted, currency = event.amount or 0, receivables.customer.currency
        else:
            came = sum(amount for date, amount in received.get(invoice.id, ()) if event.date <= date <= last)
            before = sum(amount for date, amount in received.get(invoice.id, ()) if date < event.date)
            came += _on_account(receivables, event, last, invoice.currency)
            wanted = min(event.amount if event.amount is not None else invoice.total, invoice.total - before)
            currency = invoice.currency
            if not invoice.balance and came < wanted and not received.get(invoice.id):
                continue  # closed by a credit: nothing was left to pay
        if came + largest(wanted, currency, policy.plan) < wanted:
            found.append((event, wanted - came, currency))
    return found


def _on_account(receivables: Receivables, promise: Event, last: dt.date, currency: str) -> int:
    """What came since the promise and is not matched yet: it may be what was promised."""
    return sum(
        p.unapplied
        for p in receivables.payments
        if p.unapplied > 0 and not p.void and p.currency == currency and promise.date <= p.date <= last
    )


def _everything(
    receivables: Receivables, promise: Event, last: dt.date, today: dt.date
) -> tuple[int, int, str]:
    """(came, wanted, currency) of a promise to pay all that was due by its day, up to the `last` day that counts.

    In the customer's currency, or else in the first in which too little came. Money that was not applied counts.
    """
    received = receivables.received(today)
    came: dict[str, int] = {}
    wanted: dict[str, int] = {}
    for invoice in receivables.invoices:
        late = receivables.due(invoice) > (promise.promised or last)
        if late or invoice.status in (Status.VOID, Status.DRAFT):
            continue
        parts = [(date, amount) for date, amount in received.get(invoice.id, ()) if date >= promise.date]
        in_time = sum(amount for date, amount in parts if date <= last)
        open_ = max(0, invoice.balance) + sum(amount for _, amount in parts)
        came[invoice.currency] = came.get(invoice.currency, 0) + in_time
        wanted[invoice.currency] = wanted.get(invoice.currency, 0) + open_
    for currency in came:
        came[currency] += _on_account(receivables, promise, last, currency)
    own = receivables.customer.currency
    short = sorted((c != own, c) for c in wanted if came[c] < wanted[c])
    return (came[short[0][1]], wanted[short[0][1]], short[0][1]) if short else (0, 0, own)


def broken_promise(receivables: Receivables, policy: Policy, today: dt.date) -> list[Finding]:
    """A day the customer named has passed without the money, and something is still open."""
    open_ = {i.id for i in receivables.missing(today)}
    findings: dict[str, list[tuple[Event, int]]] = {}
    for event, missing, currency in broken_promises(receivables, policy, today):
        if event.invoice_id in open_ or (not event.invoice_id and open_):
            findings.setdefault(currency, []).append((event, missing))
    result = []
    for currency, broken in sorted(findings.items()):
        promised = [e.promised or e.date for e, _ in broken]
        evidence = tuple(Evidence(e.invoice_id, e.promised or e.date, missing) for e, missing in broken)
        if len(broken) == 1:
            text = f"They promised to pay by {spoken(promised[0])}, and the money did not come."
        else:
            text = f"{len(broken)} promises to pay were not kept, the last one for {spoken(max(promised))}."
        result.append(Finding("broken_promise", min(promised) + dt.timedelta(1), evidence, currency, text))
    return result


def disputed(receivables: Receivables, policy: Policy, today: dt.date) -> list[Finding]:
    """Open invoices that the customer disputes. Never to be reminded of."""
    since = receivables.disputed(today)
    findings: dict[str, list[Invoice]] = {}
    for invoice in receivables.open():
        if invoice.id in since:
            findings.setdefault(invoice.currency, []).append(invoice)
    result = []
    for currency, invoices in sorted(findings.items()):
        evidence = tuple(Evidence(i.id, since[i.id], i.balance) for i in invoices)
        sum_ = Money(sum(i.balance for i in invoices), currency)
        where = f"invoice {name(invoices[0])}" if len(invoices) == 1 else f"{len(invoices)} invoices"
        text = f"{sum_} on {where} is in dispute; settle that before asking for money."
        result.append(Finding("disputed", min(since[i.id] for i in invoices), evidence, currency, text))
    return result


def bounced(receivables: Receivables, policy: Policy, today: dt.date) -> list[Finding]:
    """A payment came back."""
    back = [e for e in receivables.said("bounced") if 0 <= (today - e.date).days <= RETURNED]
    if not back:
        return []
    currencies = {i.id: i.currency for i in receivables.invoices}
    currency = currencies.get(back[-1].invoice_id, receivables.customer.currency)
    evidence = tuple(Evidence(e.invoice_id, e.date, e.amount or 0) for e in back)
    many = "A payment" if len(back) == 1 else f"{len(back)} payments"
    text = f"{many} came back from the bank, the last on {spoken(back[-1].date)}."
    return [Finding("bounced", back[0].date, evidence, currency, text)]


def asks_for_time(receivables: Receivables, policy: Policy, today: dt.date) -> list[Finding]:
    """They asked for more time, more than once. Once is only polite."""
    asked = [e for e in receivables.said("extension_asked") if 0 <= (today - e.date).days <= RECENT]
    if len(asked) < 2 or not receivables.missing(today):
        return []
    balances = {i.id: i for i in receivables.invoices}
    evidence = tuple(
        Evidence(e.invoice_id, e.date, balances[e.invoice_id].balance if e.invoice_id in balances else 0)
        for e in asked
    )
    text = f"They asked for more time {len(asked)} times since {spoken(asked[0].date)}."
    return [Finding("asks_for_time", asked[1].date, evidence, receivables.missing(today)[0].currency, text)]


def details_changed(receivables: Receivables, policy: Policy, today: dt.date) -> list[Finding]:
    """E-mail or telephone changed, in the ledger or by word of mouth, while something is overdue."""
    moved = [e for e in receivables.said("details_changed") if 0 <= (today - e.date).days <= MOVED]
    if not moved:
        return []
    late = [p.invoice for p in record(receivables, policy, today) if p.settled is None and p.late > 0]
    if not late:
        return []
    currency = late[0].currency
    mine = [i for i in late if i.currency == currency]
    evidence = tuple(Evidence(i.id, i.due, receivables.owed(i, today)) for i in mine)
    owed = Money(sum(e.amount for e in evidence), currency)
    text = f"Their contact details changed on {spoken(moved[-1].date)}, while {owed} is overdue. Check that letters reach them."
    return [Finding("details_changed", moved[-1].date, evidence, currency, text)]


def silent(receivables: Receivables, policy: Policy, today: dt.date) -> list[Finding]:
    """Long overdue, and since the due date no payment of any kind and not a word, for longer than is usual for them."""
    overdue = [p for p in record(receivables, policy, today) if p.settled is None and p.late]
    waiting = [p for p in overdue if p.late >= SILENCE]
    if not waiting:
        return []
    came = sorted({p.date for p in receivables.payments if not p.void and p.date <= today})
    gaps = [(later - earlier).days for earlier, later in pairwise(came)]
    usual = 2 * median(gaps) if len(gaps) >= 3 else 0
    heard = came[-1:] + [e.date for e in receivables.events if e.kind not in NO_WORD]
    quiet_from = max([waiting[0].due, *heard])
    quiet = (today - quiet_from).days
    if quiet < max(SILENCE, usual):
        return []
    currency = waiting[0].invoice.currency
    late = [p for p in overdue if p.invoice.currency == currency]
    evidence = tuple(Evidence(p.invoice.id, p.due, receivables.owed(p.invoice, today)) for p in late)
    owed = Money(sum(e.amount for e in evidence), currency)
    text = f"No payment and no word on record for {days(quiet)}, while {owed} is overdue."
    since = quiet_from + dt.timedelta(round(max(SILENCE, usual)))
    return [Finding("silent", since, evidence, currency, text)]


def kept_plan(receivables: Receivables, policy: Policy, today: dt.date) -> list[Finding]:
    """They kept an installment plan to its end."""
    kept = [e for e in receivables.said("plan_kept") if 0 <= (today - e.date).days <= PRAISED]
    if not kept:
        return []
    currencies = {i.id: i.currency for i in receivables.invoices}
    last = kept[-1]
    evidence = tuple(Evidence(e.invoice_id, e.date, e.amount or 0) for e in kept)
    currency = currencies.get(last.invoice_id, receivables.customer.currency)
    return [
        Finding(
            "kept_plan",
            last.date,
            evidence,
            currency,
            f"They kept their installment plan to the end on {spoken(last.date)}.",
        )
    ]
