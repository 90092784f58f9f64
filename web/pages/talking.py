"""What to say on a call: open questions that fit the findings, what the policy allows, what is better left unsaid.

Rules, not a script: each finding brings at most one question, offer or caution, in the order of the findings,
so that two customers get the same list only when the same things were noticed about them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from connector.domain.findings import Finding
from connector.domain.policy import PlanPolicy
from connector.domain.receivables import Invoice
from connector.reviewing.conclusions import Conclusion
from web.words import days, money

MOST = 4  # questions; nobody reads a longer list during a call


@dataclass(frozen=True, slots=True)
class Talk:
    """Each a list of short sentences: what to ask, what may be offered, what not to say."""

    ask: tuple[str, ...]
    offer: tuple[str, ...]
    avoid: tuple[str, ...]


# finding → (question, caution); "{n}" is the number of the invoice that proves it first
_SAID: Mapping[str, tuple[str, str]] = {
    "unapplied": (
        "“We have a payment of yours that we could not match. Which invoice was it for?”",
        "Asking for money that may be here already: match the payment first.",
    ),
    "disputed": (
        "“What would make invoice {n} right for you?”",
        "Asking for the disputed sum. Speak about the rest only if they do.",
    ),
    "bounced": (
        "“A payment came back from the bank. Is there a better day or another way?”",
        "Taking the payment again without their word.",
    ),
    "broken_promise": (
        "“We had noted a day for invoice {n}. What came in between?”",
        "“You promised.” Say the date and the sum instead.",
    ),
    "asks_for_time": ("“Which day is realistic, even if it is further off?”", ""),
    "kept_back": (
        "“You leave the same share of each invoice open. Is that a retention or a deduction, and until when?”",
        "Reminding of that share before they have answered: it may be agreed.",
    ),
    "shrinking_payments": (
        "“What you send has become smaller each time. What could you manage each month without it hurting?”",
        "Pressing for the full sum at once: parts are coming.",
    ),
    "repeatedly_short": (
        "“Invoices come in a little short. Is something being deducted that we should know of?”",
        "Pressing for the full sum at once: parts are coming.",
    ),
    "partly_paid": (
        "“Thank you for the part on invoice {n}. What could you manage each month without it hurting?”",
        "Pressing for the full sum at once: parts are coming.",
    ),
    "slowing": ("“You used to pay sooner. Has something changed on your side, or in how our invoices reach you?”", ""),
    "first_miss": ("“This is unlike you. Did invoice {n} reach the right person?”", "Anything that sounds like a habit: it is their first."),
    "details_changed": ("“Do our invoices reach the right person and address?”", ""),
    "silent": ("“Is there somebody else whom we should speak with about invoices?”", ""),
    "over_credit_limit": ("“What do you expect to order in the coming weeks?”", "Agreeing to further deliveries on account during this call."),
    "concentration": ("", "How much of the money outstanding is theirs."),
    "overdue": ("“Is anything missing or wrong with invoice {n}?”", ""),
}  # fmt: skip
_ALWAYS = "Credit files, lawyers, other customers."
_WHEN = "“Is there a day in the month when money usually comes in?”"
_TIGHT = {"shrinking_payments", "partly_paid", "asks_for_time", "bounced"}


def points(
    conclusion: Conclusion | None,
    open_now: Sequence[Invoice],
    numbers: Mapping[str, str],
    plan: PlanPolicy,
    *,
    unapplied: bool,
    today: dt.date,
) -> Talk:
    """For one customer. `numbers` are all their invoices' by id; `plan` is what the policy allows."""
    found = sorted(conclusion.findings if conclusion else (), key=_urgency)
    kind = conclusion.kind if conclusion else ""
    kinds = {f.kind for f in found} | ({"unapplied"} if unapplied else set())
    ask, avoid = _said(found, numbers)
    if kinds & _TIGHT or kind == "squeezed":
        ask.append(_WHEN)
    if not ask and open_now:
        ask.append(f"“Is anything missing or wrong with invoice {open_now[0].number}?”")
    avoid.append(_ALWAYS)
    return Talk(
        tuple(dict.fromkeys(ask))[:MOST],
        tuple(_offers(kinds, kind, found, [i for i in open_now if i.due < today] or open_now, plan)),
        tuple(dict.fromkeys(avoid)),
    )


def _urgency(finding: Finding) -> int:
    order = list(_SAID)
    return order.index(finding.kind) if finding.kind in order else len(order)


def _said(found: Iterable[Finding], numbers: Mapping[str, str]) -> tuple[list[str], list[str]]:
    ask, avoid = [], []
    for finding in found:
        question, caution = _SAID.get(finding.kind, ("", ""))
        first = finding.evidence[0].invoice if finding.evidence else ""
        if question and ("{n}" not in question or first in numbers):
            ask.append(question.replace("{n}", numbers.get(first, "")))
        if caution:
            avoid.append(caution)
    return ask, avoid


def _offers(
    kinds: set[str], kind: str, found: Iterable[Finding], owed: Sequence[Invoice], plan: PlanPolicy
) -> list[str]:
    """What the policy lets the caller offer without asking anybody."""
    thanks = [f"Thanks: {f.text}" for f in found if f.kind in ("recovered", "kept_plan")][:1]
    if not owed:
        return [*thanks, "Nothing is open, so there is nothing to offer."]
    if kind == "disputing" or "disputed" in kinds:
        return [
            *thanks,
            "Reminders for the disputed invoice rest from now on.",
            "A copy of the order or the delivery note.",
        ]
    if kind in ("reliable", "forgetful") and not kinds & _TIGHT:
        return [
            *thanks,
            "A copy of the invoice, sent to whoever pays.",
            "A friendly note some days before the due date.",
        ]
    free = not (plan.interest.annual_percent or plan.interest.flat_percent)
    most = max(1, plan.soft_cap_months)
    currency = owed[0].currency
    each = -(-sum(i.balance for i in owed if i.currency == currency) // most)
    allowed = [
        f"Up to {most} monthly payments, about {money(each, currency)} each{', no interest' if free else ''}.",
        f"The first payment up to {days(plan.first_payment_days)} from now.",
    ]
    if plan.approval_cap_months > most:
        allowed.append(f"With a reason: up to {plan.approval_cap_months} months.")
    if kind == "chronic":
        allowed.append("Shorter terms for new orders, once this is settled.")
    return [*thanks, *allowed]
