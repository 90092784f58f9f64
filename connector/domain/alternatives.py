"""The same money in other lengths, side by side: what each costs in all, and how likely it is kept to the end.

The chance is an estimate and is called so: no record of kept and broken plans stands behind it. The plan is
replayed on this customer's own last year, from each of its months in turn: what they could have spared (their
part-payments on overdue invoices, and the policy's share of all their other payments) against what the plan asks
for. One end of the range wants every payment on time; the other lets one payment be a month behind.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from connector.domain import money
from connector.domain.calendar import due_dates
from connector.domain.installments import draft_rows
from connector.domain.plan import BadPlan, Installment, Plan
from connector.domain.policy import PlanPolicy
from connector.domain.rails import rows_within
from connector.domain.receivables import Invoice, Payment

MONTH = 30  # days
MONTHS = 12
FEWEST = 4  # months of history below which nothing is said
STEP = 5  # percent: a finer figure would pretend to know more


@dataclass(frozen=True, slots=True)
class Chance:
    """Percent, in steps of five: `low` when every payment comes on time, `high` with one a month behind."""

    low: int
    high: int
    months: int  # of history behind it

    @property
    def words(self) -> str:
        kept = f"{self.low} %" if self.low == self.high else f"{self.low} to {self.high} %"
        return f"kept to the end: {kept} (an estimate)"


@dataclass(frozen=True, slots=True)
class Alternative:
    """`count` payments beside a deposit, the largest of them `each`; `total` with interest. Minor units."""

    count: int
    each: int
    until: dt.date
    total: int
    interest: int
    chance: Chance | None  # None: too little history to say


def alternatives(
    plan: Plan,
    policy: PlanPolicy,
    country: str,
    *,
    invoices: Sequence[Invoice],
    payments: Iterable[Payment],
    today: dt.date,
) -> list[Alternative]:
    """Up to three lengths, shortest first: this one, a shorter and a longer one that the policy allows.

    `invoices` and `payments` are all of the customer's. The deposit and the terms stay as they are.
    """
    terms, beside = plan.terms, int(bool(plan.terms.deposit))
    count, spread = len(plan.rows) - beside, plan.principal - terms.deposit
    most = max(rows_within(policy.hard_cap_months, terms.rhythm), len(plan.rows))
    most = min(most, spread // max(1, policy.minimum(spread, plan.currency)) or 1)
    wanted = {max(1, count - max(1, count // 3)), count, min(max(count, most), count + max(1, count // 3))}
    months = spare(invoices, payments, plan.currency, policy, today)
    found = []
    for number in sorted(wanted):
        rows = plan.rows if number == count else _rows(plan, number + beside, country)
        if rows:
            found.append(
                Alternative(
                    count=number,
                    each=max(r.total for r in rows[beside:]),
                    until=rows[-1].due,
                    total=sum(r.total for r in rows),
                    interest=sum(r.interest for r in rows),
                    chance=chance(rows, months, today),
                )
            )
    return found


def _rows(plan: Plan, number: int, country: str) -> tuple[Installment, ...]:
    terms = plan.terms
    try:
        return draft_rows(
            plan.principal,
            due_dates(plan.rows[0].nominal, terms.rhythm, number, country),
            method=terms.method,
            annual_percent=terms.annual_percent,
            flat_percent=terms.flat_percent,
            start=plan.drafted_on,
            rhythm=terms.rhythm,
            deposit=terms.deposit,
            step=money.step(plan.currency, plan.principal, terms.deposit),
        )
    except BadPlan:
        return ()


def spare(
    invoices: Sequence[Invoice],
    payments: Iterable[Payment],
    currency: str,
    policy: PlanPolicy,
    today: dt.date,
) -> list[int]:
    """What could be spared in each of the last months (of thirty days), oldest first; at most MONTHS of them.

    The customer's first invoice or payment in the currency begins the history. Minor units.
    """
    known = {i.id: i for i in invoices if i.currency == currency}
    mine = [p for p in payments if p.currency == currency and not p.void and p.date <= today]
    begun = min([*(i.date for i in known.values()), *(p.date for p in mine)], default=today)
    months = [0] * max(0, min(MONTHS, (today - begun).days // MONTH))
    for payment in mine:
        month = (today - payment.date).days // MONTH
        if month >= len(months):
            continue
        parts = 0
        for part in payment.allocations:
            invoice = known.get(part.invoice_id)
            if invoice and payment.date > invoice.due and 0 < part.amount < invoice.total:
                parts += part.amount
        months[-1 - month] += parts + int((payment.amount - parts) * policy.affordable_share / 100)
    return months


def chance(rows: Sequence[Installment], months: Sequence[int], today: dt.date) -> Chance | None:
    """How likely `rows` are kept by somebody who could spare `months`. None below FEWEST months."""
    if len(months) < FEWEST:
        return None
    last = max((r.due - today).days // MONTH for r in rows)
    asked = [sum(r.total for r in rows if (r.due - today).days // MONTH <= m) for m in range(last + 1)]
    behind = [0, *asked[:-1]]
    on_time = sum(_covers(months, start, asked) for start in range(len(months)))
    late = sum(_covers(months, start, [*behind, asked[-1]]) for start in range(len(months)))
    low, high = (100 * (n + 1) / (len(months) + 2) for n in (on_time, late))  # never surely, never surely not
    return Chance(int(low // STEP) * STEP, -int(-high // STEP) * STEP, len(months))


def _covers(months: Sequence[int], start: int, asked: Sequence[int]) -> bool:
    """Whether what is spared from month `start` on (the months in turn, again from the first) keeps pace."""
    saved = 0
    for n, wanted in enumerate(asked):
        saved += months[(start + n) % len(months)]
        if saved < wanted:
            return False
    return True
