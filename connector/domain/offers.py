"""Plans to choose from on the customer's own page: within the bookkeeper's rails, and what waits for a person.

The rails of consumer credit (docs/accounting.md, "Law") bind here most of all: nobody asks the customer whether they buy as
a person, so a plan that a consumer could not be given is never agreed without somebody looking.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from connector.domain import rails
from connector.domain.calendar import Rhythm, add_months
from connector.domain.money import Money
from connector.domain.page_policy import PagePolicy
from connector.domain.plan import Plan
from connector.domain.policy import PlanPolicy
from connector.domain.rails import rows_within
from connector.domain.regions import region

CHOICES = 3


def counts(
    balance: int, currency: str, monthly: int, policy: PlanPolicy, most: int | None = None
) -> list[int]:
    """How many payments to offer, ascending, for somebody who can manage `monthly` (minor units of `currency`).

    The fewest that stay within it, and up to two near it: one payment fewer, and longer ones. Never more than the
    policy's usual length (`most` lowers that), never payments below its minimum. [] when not even that fits.
    """
    minimum = policy.minimum(balance, currency)
    longest = min(rows_within(policy.soft_cap_months, Rhythm.MONTHLY), most or rails.LONGEST)
    longest = min(longest, balance // minimum if minimum else longest)
    if longest < 1 or monthly < 1:
        return []
    fits = min(-(-balance // monthly), longest)
    near = [fits, fits + 1, fits - 1, fits + 2, fits - 2]
    found = [n for n in dict.fromkeys(near) if 2 <= n <= longest][:CHOICES]
    return sorted(found) or ([1] if longest == 1 else [])


def consumer_most(country: str) -> int | None:
    """The most payments that this country lets a consumer have without more ado; None: no such limit."""
    return region(country).consumer_max_installments


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: `is_person` as the ledger knows it, None where it does not."""

    country: str
    is_person: bool | None


def waits(plan: Plan, asker: Asker, page: PagePolicy, policy: PlanPolicy, today: dt.date) -> list[str]:
    """Why this plan is not agreed at once, for the bookkeeper; [] when policy and rails let it through."""
    found = []
    if not page.plans_alone:
        found.append("The settings let no plan through without a person.")
    found += [p.sentence for p in rails.problems(plan, today, policy)]
    found += [c.sentence for c in rails.cautions(plan, today, policy)]
    if plan.interest:
        found.append("It carries interest, which a person must offer.")
    if plan.waivers:
        found.append("It waives a fee.")
    if Money(plan.total, plan.currency).decimal > page.plans_alone_up_to:
        found.append(f"It is for more than {page.plans_alone_up_to} {plan.currency}.")
    if plan.rows and plan.rows[-1].nominal > add_months(today, page.plans_alone_months):
        found.append(f"It runs longer than {page.plans_alone_months} months.")
    found += _consumer(plan, asker, page, today)
    return found


def _consumer(plan: Plan, asker: Asker, page: PagePolicy, today: dt.date) -> Sequence[str]:
    if asker.is_person is False:
        return ()
    rules = region(asker.country)
    most, months = rules.consumer_max_installments, rules.consumer_max_months
    if page.business_only:
        return ("The ledger does not say that the customer is a company.",)
    if rules.consumer_needs_legal_review:
        return (f"Plans for consumers need a legal review here ({rules.source}).",)
    if most is not None and len(plan.rows) > most:
        return (f"More than {most} payments may be consumer credit here ({rules.source}).",)
    if months is not None and plan.rows and plan.rows[-1].due > add_months(today, months):
        return (f"Longer than {months} months may be consumer credit here ({rules.source}).",)
    return ()
