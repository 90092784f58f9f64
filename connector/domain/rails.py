"""The rails of a plan: which rows cannot be accepted at all, and which a person must look at twice.

The limits are the policy's; the reasons of their defaults: docs/accounting.md, "Schedules" and "Law".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import pairwise

from connector.domain.calendar import Rhythm, add_months
from connector.domain.installments import has_large_end, yearly_percent
from connector.domain.money import Money
from connector.domain.plan import Installment, Plan
from connector.domain.policy import Mode, PlanPolicy
from connector.domain.refusals import Refusal

LONGEST = 60  # rows; a year of weeks, and some


def problems(
    plan: Plan, today: dt.date, policy: PlanPolicy, closed_until: dt.date | None = None
) -> list[Refusal]:
    """What is wrong with the rows themselves; a plan with any of these is not accepted."""
    if not plan.rows:
        return [Refusal("NO_INSTALLMENTS", "A plan needs at least one installment. Choose how many.")]
    found = []
    if len(plan.rows) > LONGEST:
        found.append(
            Refusal(
                "TOO_MANY_INSTALLMENTS",
                f"{len(plan.rows)} installments are too many; the most is {LONGEST}. Choose fewer.",
            )
        )
    found += _amounts(plan) + _dates(plan, today, policy, closed_until) + _interest(plan, policy)
    if plan.terms.settlement_percent and plan.mode is Mode.SPLIT and not policy.discount_account:
        found.append(
            Refusal(
                "NO_DISCOUNT_ACCOUNT",
                "The plan promises a discount for settling early, and no account for discounts is named. "
                "Name it in the settings, or take the discount out.",
            )
        )
    return found


def _amounts(plan: Plan) -> list[Refusal]:
    found = []
    for row in plan.rows:
        if row.principal < 1 or row.interest < 0:
            found.append(
                Refusal(
                    "ROW_NOT_POSITIVE",
                    f"Installment {row.n} is for {Money(row.total, plan.currency)}. It must be more than zero.",
                )
            )
    asked, owed = Money(plan.principal, plan.currency), Money(plan.balance, plan.currency)
    if plan.principal > plan.balance:
        found.append(
            Refusal("AMOUNT_OVER_BALANCE", f"The plan asks for {asked}, but only {owed} is open. Lower it.")
        )
    elif plan.principal < plan.balance:
        found.append(
            Refusal(
                "SUM", f"The plan covers {asked} of the {owed} that is open. Raise a row to cover it all."
            )
        )
    return found


def _dates(plan: Plan, today: dt.date, policy: PlanPolicy, closed_until: dt.date | None) -> list[Refusal]:
    found = []
    if closed_until and today <= closed_until:
        found.append(
            Refusal("PERIOD_LOCKED", f"Books are closed to {closed_until}; the plan must be dated after it.")
        )
    if plan.rows[0].due < today:
        found.append(
            Refusal(
                "PAST_DATE",
                f"Installment 1 is due {plan.rows[0].due}, which has passed. Choose a later date.",
            )
        )
    for before, row in pairwise(plan.rows):
        if row.due <= before.due:
            found.append(
                Refusal(
                    "DATES_NOT_RISING",
                    f"Installment {row.n} is due {row.due}, not after the one before it. Choose a later date.",
                )
            )
    if plan.rows[-1].nominal > add_months(today, policy.hard_cap_months):
        found.append(
            Refusal(
                "TOO_LONG",
                f"The plan ends {plan.rows[-1].due}; the policy allows {policy.hard_cap_months} months. "
                "Choose fewer installments or a shorter rhythm.",
            )
        )
    return found


def _interest(plan: Plan, policy: PlanPolicy) -> list[Refusal]:
    if plan.interest == 0:
        return []
    rules = policy.interest
    if not rules.clause.strip() or rules.cap is None:
        return [
            Refusal(
                "INTEREST_NOT_ALLOWED",
                "Interest needs the clause of the contract that allows it, and its cap, in the settings. "
                "Record them, or drop the interest.",
            )
        ]
    yearly = plan.terms.annual_percent or yearly_percent(plan.principal, plan.rows, plan.drafted_on)
    if yearly > rules.cap:
        return [
            Refusal(
                "INTEREST_OVER_CAP",
                f"The plan costs the customer {yearly} % a year; the cap is {rules.cap} %. Lower the interest.",
            )
        ]
    return []


def cautions(plan: Plan, today: dt.date, policy: PlanPolicy) -> list[Refusal]:
    """What a person should see and confirm before approving; nothing here forbids the plan."""
    if not plan.rows:
        return []
    found = []
    ends = plan.rows[-1].nominal
    for months, code, words in (
        (policy.approval_cap_months, "OVER_APPROVAL_CAP", "Write down why this customer needs that long."),
        (policy.soft_cap_months, "OVER_SOFT_CAP", "Approve it only when you mean to."),
    ):
        if ends > add_months(today, months):
            found.append(Refusal(code, f"The plan runs longer than {months} months. {words}"))
            break
    if has_large_end(plan.rows):
        found.append(Refusal("LARGE_END", "The last installment is more than twice the others."))
    minimum = policy.minimum(plan.balance, plan.currency)
    if min(r.total for r in plan.rows) < minimum:
        found.append(
            Refusal(
                "BELOW_MINIMUM", f"An installment is below the minimum of {Money(minimum, plan.currency)}."
            )
        )
    if (plan.rows[0].nominal - today).days > policy.first_payment_days:
        found.append(
            Refusal("LATE_START", f"The first payment is more than {policy.first_payment_days} days away.")
        )
    if plan.interest:
        yearly = plan.terms.annual_percent or yearly_percent(plan.principal, plan.rows, plan.drafted_on)
        if yearly > policy.interest.warn_above:
            found.append(Refusal("INTEREST_HIGH", f"The plan costs the customer {yearly} % a year."))
    return found


def risen(rows: Sequence[Installment], agreed: Sequence[int]) -> tuple[Installment, int] | None:
    """The first of the new rows that asks for more than was agreed in its place, and how much that was.

    `agreed` are the amounts of the old rows that are still to pay, in order; a row beyond them is held against the
    largest. What is paid already, a deposit above all, is no measure for what follows.
    """
    for n, row in enumerate(rows):
        was = agreed[n] if n < len(agreed) else max(agreed)
        if row.total > was:
            return row, was
    return None


def rows_within(months: int, rhythm: Rhythm) -> int:
    """How many installments of this rhythm fit into so many months."""
    return {Rhythm.MONTHLY: months, Rhythm.TWO_WEEKLY: months * 26 // 12, Rhythm.WEEKLY: months * 52 // 12}[
        rhythm
    ]


def approves_itself(plan: Plan, today: dt.date, policy: PlanPolicy) -> bool:
    """Small, short, free of interest and without cautions other than none: the policy may let it through."""
    return (
        policy.auto_approve_up_to > 0
        and Money(plan.total, plan.currency).decimal <= policy.auto_approve_up_to
        and plan.interest == 0
        and not plan.waivers
        and plan.rows[-1].nominal <= add_months(today, policy.auto_approve_months)
        and not cautions(plan, today, policy)
        and not problems(plan, today, policy)
    )
