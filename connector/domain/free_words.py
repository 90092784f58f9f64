"""The words outside the letters that a bookkeeper writes freely and customers read: asked at save and before they leave.

How to pay and whom to ask, a clause that a fee is based on, the reason of a waived fee (its credit states it), what the
customer's page says of calls and help. The rules are those of the wording check, without what a whole letter needs.
"""

from __future__ import annotations

from collections.abc import Iterator

from connector.domain import wording
from connector.domain.codec import WrongValue
from connector.domain.policy import Policy
from connector.domain.wording_context import Context


def announced(policy: Policy) -> frozenset[str]:
    """What a message may announce because a step of the policy does it: a step called "fee" charges one."""
    ladders = (*policy.reminders.invoice_ladder, *policy.reminders.installment_ladder)
    return frozenset(step.level for step in ladders)


def unfit(
    words: str, language: str = "", enabled: frozenset[str] = frozenset(), *, formal: bool = False
) -> str:
    """Why customers may not read these words, as one sentence; "" when they may. `formal`: it names a contract."""
    found = wording.check(words, Context(language, enabled=enabled)) if words.strip() else ()
    if formal:
        found = tuple(o for o in found if o.rule != "legal" and o.kind != "fee")
    if not found:
        return ""
    return f"Customers would read “{found[0].sentence}” {found[0].why} {found[0].suggestion}"


def refuse(before: Policy, after: Policy) -> None:
    """Raises WrongValue when the new policy says something to customers that may not be said, and did not before."""
    known = {(field, words) for field, _, words in _said(before)}
    enabled = announced(after)
    for field, language, words in _said(after):
        formal = field.endswith("clause")
        if (field, words) not in known and (why := unfit(words, language, enabled, formal=formal)):
            raise WrongValue(field, why)


def problems(policy: Policy) -> list[str]:
    """What the policy says to customers beside its letters and may not say, as sentences."""
    enabled = announced(policy)
    return [
        why
        for field, language, words in _said(policy)
        if field != "letters.own"
        and (why := unfit(words, language, enabled, formal=field.endswith("clause")))
    ]


def _said(policy: Policy) -> Iterator[tuple[str, str, str]]:
    """Each text with its field and the language that is known of it."""
    chosen = policy.letters
    for field in ("person", "reply", "how_to_pay"):
        yield f"letters.{field}", chosen.language, getattr(chosen, field)
    for own in chosen.own:
        yield "letters.own", own.language, own.text
    yield "plan.interest.clause", "", policy.plan.interest.clause
    yield "charges.clause", "", policy.charges.clause
    yield "page.call_hours", "", policy.page.call_hours
    for source in policy.page.help:
        yield "page.help", "", f"{source.name} {source.reach}"
