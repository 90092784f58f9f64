"""What stands open: overdue, paid in part, over the limit, too much on one customer, money on account."""

from __future__ import annotations

import datetime as dt

from connector.domain.aging import days_overdue
from connector.domain.findings.facts import (
    Evidence,
    Finding,
    Receivables,
    by_currency,
    days,
    is_overdue,
    name,
)
from connector.domain.money import Money
from connector.domain.policy import Policy, minor
from connector.domain.receivables import CreditNote, Invoice, Payment

CONCENTRATED = 0.25  # of all that is owed in a currency
CROWD = 5  # customers who owe something, before one can be "much of it"


def overdue(receivables: Receivables, policy: Policy, today: dt.date) -> list[Finding]:
    """Open invoices whose due date has passed, less what money on account covers."""
    late = [i for i in receivables.open() if is_late(receivables, i, policy, today)]
    findings = []
    for currency, invoices in by_currency(late).items():
        oldest = receivables.due(invoices[0])
        owed = {i.id: receivables.owed(i, today) for i in invoices}
        sum_ = Money(sum(owed.values()), currency)
        late_by = days(days_overdue(oldest, today))
        oldest_name = name(invoices[0])
        if len(invoices) == 1:
            text = f"{sum_} is overdue on invoice {oldest_name}, {late_by} past its due date."
        else:
            text = f"{sum_} is overdue on {len(invoices)} invoices; the oldest, {oldest_name}, fell due {late_by} ago."
        if there := sum(i.balance for i in invoices) - sum_.minor:
            text = f"Beside {Money(there, currency)} on account, {text}"
        evidence = tuple(Evidence(i.id, receivables.due(i), owed[i.id]) for i in invoices)
        findings.append(Finding("overdue", oldest + dt.timedelta(1), evidence, currency, text))
    return findings


def is_late(receivables: Receivables, invoice: Invoice, policy: Policy, today: dt.date) -> bool:
    """Overdue, and with enough of it open to say so."""
    if not is_overdue(receivables, invoice, policy, today):
        return False
    owed = receivables.owed(invoice, today)
    return owed > 0 and owed >= minor(policy.findings.minimum_balance, invoice.currency)


def partly_paid(receivables: Receivables, policy: Policy, today: dt.date) -> list[Finding]:
    """Open invoices on which some money came, but not all. A credit note alone is no part-payment."""
    short = [i for i in receivables.missing(today) if i.balance < i.total]
    if not short:
        return []
    came = receivables.received(today)
    received = {
        i.id: [Evidence(i.id, date, amount) for date, amount in came[i.id]] for i in short if i.id in came
    }
    credited: dict[str, int] = {}
    for credit in receivables.credits:
        for part in () if credit.void else credit.allocations:
            credited[part.invoice_id] = credited.get(part.invoice_id, 0) + part.amount
    parts: dict[str, list[Evidence]] = {}
    for invoice in short:
        unexplained = invoice.total - invoice.balance - credited.get(invoice.id, 0)
        if invoice.id in received:
            parts[invoice.id] = sorted(received[invoice.id], key=lambda e: (e.date, e.amount))
        elif unexplained > 0:  # the ledger says so without saying when
            parts[invoice.id] = [Evidence(invoice.id, invoice.date, unexplained)]
    partly = [i for i in short if i.id in parts]
    findings = []
    for currency, invoices in by_currency(partly).items():
        evidence = sorted(
            (e for i in invoices for e in parts[i.id]), key=lambda e: (e.date, e.invoice, e.amount)
        )
        paid = Money(sum(e.amount for e in evidence), currency)
        whole = Money(sum(i.total for i in invoices), currency)
        rest = Money(sum(i.balance for i in invoices), currency)
        if len(invoices) == 1:
            where = f"invoice {name(invoices[0])}"
        else:
            where = f"{len(invoices)} invoices"
        text = f"{paid} of {whole} was paid on {where}; {rest} is still open."
        findings.append(Finding("partly_paid", evidence[0].date, tuple(evidence), currency, text))
    return findings


def over_credit_limit(receivables: Receivables, policy: Policy, today: dt.date) -> list[Finding]:
    """More is open, less what is unapplied, than the credit limit in the customer's own currency."""
    customer = receivables.customer
    if customer.credit_limit is None or not customer.currency:
        return []
    invoices = [i for i in receivables.open() if i.currency == customer.currency]
    owed = sum(i.balance for i in invoices) - unapplied_money(receivables, today).get(customer.currency, 0)
    if owed <= customer.credit_limit:
        return []
    running, since = 0, today
    for invoice in sorted(invoices, key=lambda i: (i.date, i.due, i.number, i.id)):
        running += invoice.balance
        if running > customer.credit_limit:
            since = invoice.date
            break
    evidence = tuple(Evidence(i.id, i.date, i.balance) for i in invoices)
    text = (
        f"{Money(owed, customer.currency)} is owed, over the credit limit of "
        f"{Money(customer.credit_limit, customer.currency)}."
    )
    return [Finding("over_credit_limit", since, evidence, customer.currency, text)]


def concentration(receivables: Receivables, policy: Policy, today: dt.date) -> list[Finding]:
    """One customer owes much of everything that is owed. A fact about the book, not a fault of the customer.

    Their money on account is taken off; what others have there is not known here, so the share is rather too small.
    """
    findings = []
    for currency, invoices in by_currency(receivables.missing(today)).items():
        whole, owed = receivables.book.get(currency), sum([receivables.owed(i, today) for i in invoices])
        if whole is None or not is_much(owed, whole.open, whole.customers):
            continue
        evidence = tuple(Evidence(i.id, receivables.due(i), receivables.owed(i, today)) for i in invoices)
        percent = owed * 100 // whole.open
        text = f"{Money(owed, currency)}, {percent} % of all that is owed to you in {currency}, is with this one customer."
        findings.append(Finding("concentration", max(i.date for i in invoices), evidence, currency, text))
    return findings


def is_much(owed: int, whole: int, customers: int) -> bool:
    """Whether what one of so many `customers` owes is much of the `whole`."""
    return customers >= CROWD and owed >= CONCENTRATED * whole


def unapplied(receivables: Receivables, policy: Policy, today: dt.date) -> list[Finding]:
    """Money came or a credit was given that is set against no invoice, while invoices are open."""
    open_ = by_currency(receivables.open())
    findings = []
    for currency, amount in sorted(unapplied_money(receivables, today).items()):
        if amount < max(1, minor(policy.findings.minimum_balance, currency)) or currency not in open_:
            continue
        evidence = sorted(
            [
                Evidence("", p.date, p.unapplied)
                for p in receivables.payments
                if _counts(p, currency, today) and p.unapplied
            ]
            + [
                Evidence("", c.date, c.remaining)
                for c in receivables.credits
                if _counts(c, currency, today) and c.remaining
            ],
            key=lambda e: (e.date, e.amount),
        )
        text = f"{Money(amount, currency)} is on account and not set against any invoice; apply it before reminding{_enough(receivables, currency, today)}."
        findings.append(Finding("unapplied", evidence[0].date, tuple(evidence), currency, text))
    return findings


def _enough(receivables: Receivables, currency: str, today: dt.date) -> str:
    """What the money on account comes to, where it is all, or all that has fallen due."""
    missing = [i for i in receivables.missing(today) if i.currency == currency]
    if not missing:
        return ": it covers all that is open"
    due = any(receivables.due(i) < today for i in receivables.open() if i.currency == currency)
    return ": it covers all that is due" if due and all(receivables.due(i) >= today for i in missing) else ""


def unapplied_money(receivables: Receivables, today: dt.date) -> dict[str, int]:
    """By currency: payments and credits up to `today` that are set against nothing."""
    if ("unapplied", today) in receivables.memory:
        return dict(receivables.memory["unapplied", today])
    found: dict[str, int] = {}
    for payment in receivables.payments:
        if payment.unapplied and _counts(payment, payment.currency, today):
            found[payment.currency] = found.get(payment.currency, 0) + payment.unapplied
    for credit in receivables.credits:
        if _counts(credit, credit.currency, today):
            found[credit.currency] = found.get(credit.currency, 0) + credit.remaining
    found = {currency: amount for currency, amount in found.items() if amount > 0}
    receivables.memory["unapplied", today] = dict(found)
    return found


def _counts(record: Payment | CreditNote, currency: str, today: dt.date) -> bool:
    return not record.void and record.currency == currency and record.date <= today
