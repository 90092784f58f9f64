"""The policy as sentences with fields, for one client and for many. Adding a setting is one line here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from connector.domain.policy import Policy, load


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence around one field of the policy."""

    part: str
    field: str
    before: str
    after: str

    @property
    def name(self) -> str:
        return f"{self.part}.{self.field}"

    def value(self, policy: Policy) -> Any:
        return getattr(getattr(policy, self.part), self.field)


GROUPS: tuple[tuple[str, tuple[Sentence, ...]], ...] = (
    (
        "When to look closer",
        (
            Sentence("findings", "grace_days", "Up to", "days late, Forbear says nothing."),
            Sentence("findings", "minimum_balance", "Balances below", "are left alone."),
        ),
    ),
    (
        "Plans",
        (
            Sentence("plan", "propose_after_days", "Draft a plan once an invoice is", "days overdue, over all that is late by then."),
            Sentence("plan", "installments", "Where nothing shows what they can pay, draft", "payments."),
            Sentence("plan", "first_payment_days", "The first payment is due within", "days."),
            Sentence("plan", "minimum_payment", "No payment is smaller than", "in the invoice's currency."),
            Sentence("plan", "soft_cap_months", "Plans usually end within", "months."),
            Sentence("plan", "approval_cap_months", "With a reason they may take", "months,"),
            Sentence("plan", "hard_cap_months", "and never more than", "months."),
            Sentence("plan", "tolerance_days", "A payment counts as on time up to", "days after its date,"),
            Sentence("plan", "tolerance_amount", "and when it is at most", "short."),
            Sentence("plan", "broken_after_days", "A payment missing for", "days breaks the plan, and a person looks."),
        ),
    ),
    (
        "Reminders",
        (
            Sentence("reminders", "per_week", "Write to a customer at most", "times in seven days,"),
            Sentence("reminders", "from_hour", "from", "o'clock, their time,"),
            Sentence("reminders", "to_hour", "until", "o'clock, and never on a holiday."),
            Sentence("reminders", "promise_grace_days", "Rest while a promise runs, and", "days after its date."),
            Sentence("reminders", "proposal_rest_days", "Rest while a drafted plan waits for your answer, for", "days; then go on and offer a plan."),
            Sentence("reminders", "max_sync_age_hours", "Nothing leaves when the books were last read more than", "hours ago."),
        ),
    ),
    (
        "The record",
        (
            Sentence("record", "keep_years", "Messages, answers, promises and the record's words go after", "years; amounts and dates stay."),
        ),
    ),
)  # fmt: skip
SENTENCES = tuple(s for _, group in GROUPS for s in group)


def read(form: Mapping[str, str], current: Policy) -> Policy:
    """The current policy with what the form says. Raises WrongValue, or ValueError for what is no number."""
    data: dict[str, Any] = current.to_json()
    for sentence in SENTENCES:
        if (text := form.get(sentence.name)) is not None:
            decimal = isinstance(sentence.value(current), Decimal)
            data[sentence.part][sentence.field] = str(Decimal(text.strip())) if decimal else int(text)
    return load(data)


def deviations(policy: Policy, firm: Policy) -> list[str]:
    """Where a client's policy differs from the firm's, in words."""
    return [
        f"{s.before} {s.value(policy)} {s.after}".rstrip(",")
        for s in SENTENCES
        if s.value(policy) != s.value(firm)
    ]
