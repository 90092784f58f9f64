"""Findings: facts about one customer that a bookkeeper would want to know, with their evidence. No forecasts.

`detect` asks each detector in turn. A detector gets the customer's receivables, the policy and today, and
returns findings per currency; add one to `DETECTORS`. The same facts give the same findings in any order.

facts (what is looked at) → owed (what stands open) · habits (how invoices were paid) · said (what happened beside the documents)
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from connector.domain.findings import habits, owed, said
from connector.domain.findings.facts import Event, Evidence, Finding, Receivables, Share, is_overdue
from connector.domain.policy import Policy

Detector = Callable[[Receivables, Policy, dt.date], list[Finding]]

DETECTORS: tuple[Detector, ...] = (
    owed.overdue,
    owed.partly_paid,
    said.broken_promise,
    said.disputed,
    said.bounced,
    said.asks_for_time,
    said.details_changed,
    said.silent,
    habits.repeatedly_short,
    habits.kept_back,
    habits.shrinking_payments,
    habits.slowing,
    habits.first_miss,
    owed.over_credit_limit,
    owed.concentration,
    owed.unapplied,
    habits.recovered,
    said.kept_plan,
)

# These look at what is open and what was paid on it, and at nothing else.
OF_OPEN: tuple[Detector, ...] = (
    owed.overdue,
    owed.partly_paid,
    habits.shrinking_payments,
    owed.over_credit_limit,
    owed.concentration,
)


def detect(receivables: Receivables, policy: Policy, today: dt.date) -> list[Finding]:
    """All findings about this customer today, the most pressing kinds first."""
    return [f for detector in DETECTORS for f in detector(receivables, policy, today)]


__all__ = [
    "DETECTORS",
    "OF_OPEN",
    "Detector",
    "Event",
    "Evidence",
    "Finding",
    "Receivables",
    "Share",
    "detect",
    "is_overdue",
]
