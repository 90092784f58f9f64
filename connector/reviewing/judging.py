"""One customer's books, judged for one day: findings, balances and where plans stand. Pure; shared with replay."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from connector.domain import aging, assessment, findings, plan_writes, progress, stillness
from connector.domain.aging import Debt
from connector.domain.findings import Event, Receivables, Share
from connector.domain.plan import Plan
from connector.domain.plan_words import interest_number
from connector.domain.policy import Mode, Policy
from connector.domain.progress import Progress
from connector.domain.receivables import CreditNote, Customer, Invoice, Payment, Status
from connector.reviewing.conclusions import Balance, Conclusion


def judge(
    customer: Customer,
    invoices: Sequence[Invoice],
    payments: Sequence[Payment],
    credits: Sequence[CreditNote],
    policy: Policy,
    today: dt.date,
    *,
    country: str = "",
    running: Iterable[tuple[Plan, Progress]] = (),
    contract: Mapping[str, Sequence[Debt]] | None = None,
    events: Sequence[Event] = (),
    book: Mapping[str, Share] | None = None,
    ahead: bool = True,
) -> Conclusion:
    """What the books say about one customer on `today`, of what `receivables` wants to know; `contract` as `concluded`.

    `ahead`: with the day on which it can be different, else that is the next one.
    """
    money = (invoices, payments, credits)
    known = receivables(
        customer, *money, policy, today, country=country, running=running, events=events, book=book
    )
    found = concluded(known, policy, today, contract=contract)
    if not ahead or events:
        return found
    return replace(found, next_on=stillness.next_change(known, policy, today))


def receivables(
    customer: Customer,
    invoices: Sequence[Invoice],
    payments: Sequence[Payment],
    credits: Sequence[CreditNote],
    policy: Policy,
    today: dt.date,
    *,
    country: str = "",
    running: Iterable[tuple[Plan, Progress]] = (),
    events: Iterable[Event] = (),
    book: Mapping[str, Share] | None = None,
) -> Receivables:
    """What one customer is judged by on `today`.

    `running` are the plans that count, as they stand; `events` what was said or happened beside the documents;
    `book` what all customers owe, by currency.
    """
    agreed: dict[str, dt.date] = {}
    for plan, stands in running:
        if plan.mode is Mode.NOTES:
            agreed |= plan_writes.next_dates(plan, {r.n: r.open for r in stands.rows})
    return Receivables(
        customer=customer,
        invoices=tuple(invoices),
        payments=tuple(payments),
        credits=tuple(credits),
        agreed=agreed,
        country=customer.country or policy.country or country,
        events=tuple(e for e in events if e.date <= today),
        book=book or {},
    )


def concluded(
    known: Receivables,
    policy: Policy,
    today: dt.date,
    *,
    contract: Mapping[str, Sequence[Debt]] | None = None,
) -> Conclusion:
    """What the books say about one customer on `today`. It may be different on the next day, until somebody has asked
    `stillness`."""
    found = tuple(findings.detect(known, policy, today))
    assessed = assessment.assess(known, policy, today)
    return Conclusion(
        customer_id=known.customer.id,
        findings=found,
        balances=balances(known.invoices, known.payments, known.credits, today, contract),
        segment=assessed.segment,
        reasons=assessed.reasons,
        changes=assessed.changes,
        path=assessed.path,
        priority=assessed.priority,
        as_of=today,
        next_on=today + dt.timedelta(1),
    )


def balances(
    invoices: Sequence[Invoice],
    payments: Iterable[Payment],
    credits: Iterable[CreditNote],
    today: dt.date,
    contract: Mapping[str, Sequence[Debt]] | None = None,
) -> tuple[Balance, ...]:
    """What is open, overdue and unapplied per currency. Overdue is strictly after the due date, as in the ledger."""
    by_due = aging.buckets(aging.debts(invoices), today)
    by_contract = aging.buckets(aging.debts(invoices, contract), today) if contract else by_due
    unapplied: dict[str, int] = {}
    for payment in payments:
        if not payment.void and payment.unapplied:
            unapplied[payment.currency] = unapplied.get(payment.currency, 0) + payment.unapplied
    for credit in credits:
        if not credit.void and credit.remaining:
            unapplied[credit.currency] = unapplied.get(credit.currency, 0) + credit.remaining
    none = dict.fromkeys(aging.BUCKETS, 0)
    result = []
    for currency in sorted({*by_due, *unapplied}):
        row = by_due.get(currency, none)
        open_ = sum(row.values())
        result.append(
            Balance(
                currency=currency,
                open=open_,
                overdue=open_ - row["current"],
                unapplied=unapplied.get(currency, 0),
                buckets=dict(row),
                contract=dict(by_contract.get(currency, none)),
            )
        )
    return tuple(result)


def owed(invoices: Iterable[Invoice]) -> dict[str, Share]:
    """What all customers together owe, by currency."""
    open_: dict[str, int] = {}
    who: dict[str, set[str]] = {}
    for invoice in invoices:
        if invoice.balance > 0 and invoice.status in (Status.OPEN, Status.PARTLY_PAID):
            open_[invoice.currency] = open_.get(invoice.currency, 0) + invoice.balance
            who.setdefault(invoice.currency, set()).add(invoice.customer_id)
    return {currency: Share(amount, len(who[currency])) for currency, amount in open_.items()}


def stand(
    plan: Plan,
    invoice_ids: Mapping[int, str],
    invoices: Iterable[Invoice],
    payments: Iterable[Payment],
    credits: Iterable[CreditNote],
    today: dt.date,
) -> Progress:
    """Where a plan stands by the books; `invoice_ids` are its installments' by row number."""
    by_id = {i.id: i for i in invoices}
    ours = {i.number: i for i in by_id.values() if i.marker} if plan.interest else {}
    numbers = {r.n: interest_number(plan, r.n) for r in plan.rows if r.interest}
    return progress.progress(
        plan,
        today,
        installments={n: by_id[id] for n, id in invoice_ids.items() if id in by_id},
        interest={n: ours[number] for n, number in numbers.items() if number in ours},
        sources={
            s.invoice_id: by_id[s.invoice_id]
            for s in (*plan.sources, *plan.originals)
            if s.invoice_id in by_id
        },
        payments=payments,
        credits=credits,
    )
