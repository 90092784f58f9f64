"""Suggestions on a customer's terms: deposit, shorter terms, cash on delivery for a time. Never applied by itself.

Reaching a credit limit is read as a call for help before it is read as a risk; a customer in a short squeeze keeps
their terms, because tightening them makes the squeeze worse (docs/accounting.md, "Schedules").
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from connector.domain.money import Money
from connector.domain.receivables import Customer

NEAR = 90  # percent of the limit from which it is worth a word
DEPOSIT_PERCENT = 30  # of the next order (practitioners ask for 20 to 30 up front)
SHORT_TERMS = 14  # days
TRIAL_DAYS = 90  # how long a change of terms stands before somebody looks again


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One thing to consider. `kind`: talk, deposit, shorter_terms, cash_on_delivery, keep."""

    kind: str
    what: str
    why: str


def suggestions(
    customer: Customer, segment: str, open_: Mapping[str, int], today: dt.date, home_currency: str = ""
) -> list[Suggestion]:
    """What to consider for this customer today; [] when their terms need no thought.

    `open_` is what they owe, currency → minor units; `segment` the kind of payer.
    """
    currency = customer.currency or home_currency
    used, limit = open_.get(currency, 0), customer.credit_limit
    over = limit is not None and limit > 0 and used > limit
    near = limit is not None and limit > 0 and not over and used * 100 >= limit * NEAR
    if not (over or near or segment == "chronic"):
        return []
    because = _limit_words(used, limit or 0, currency) if over or near else ""
    until = today + dt.timedelta(TRIAL_DAYS)
    found = []
    if over or near:
        found.append(
            Suggestion(
                "talk",
                "Speak with them before the next delivery, and offer a plan for what is overdue.",
                f"{because} Reaching the limit is often a call for help.",
            )
        )
    if segment == "squeezed":
        found.append(
            Suggestion(
                "keep",
                "Leave the terms as they are for now.",
                "The trouble looks temporary; tighter terms would make it worse.",
            )
        )
        return found
    if over:
        found.append(
            Suggestion(
                "deposit",
                f"Ask for {DEPOSIT_PERCENT} % of the next order in advance, until what is open is below the limit.",
                because,
            )
        )
    if segment == "chronic":
        if customer.terms_days is None or customer.terms_days > SHORT_TERMS:
            now = f"instead of {customer.terms_days}" if customer.terms_days is not None else "from now on"
            found.append(
                Suggestion(
                    "shorter_terms",
                    f"Give {SHORT_TERMS} days to pay {now}, until {until}; then look again.",
                    "They have been paying late for a long time.",
                )
            )
        if over:
            found.append(
                Suggestion(
                    "cash_on_delivery",
                    f"Deliver against payment until {until}, or until what is open is below the limit.",
                    f"{because} They have been paying late for a long time.",
                )
            )
    return found


def _limit_words(used: int, limit: int, currency: str) -> str:
    sums = f"{Money(used, currency)} of a limit of {Money(limit, currency)}"
    return f"{sums} is open." if used > limit else f"{sums} is used."
