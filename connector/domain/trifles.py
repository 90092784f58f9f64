"""What is too little to be missed: a cent left open, a rounding, a small fee that a bank kept.

The bookkeeper's own line is drawn in the policy (`PlanPolicy.tolerance_amount`, 1.00 at first: "short by no more than
this counts as paid"). It holds for an invoice as for an installment. So that a small invoice of which much is open is
no trifle, it is also at most a twentieth of the invoice, which is where a short payment begins (`findings.habits`).
"""

from __future__ import annotations

from connector.domain.policy import PlanPolicy, minor
from connector.domain.receivables import Invoice

SHORT = 95  # of a hundred: less was a short payment


def largest(total: int, currency: str, policy: PlanPolicy) -> int:
    """The most, in minor units, that may be open on an invoice over `total` and yet count as paid."""
    return max(0, min(minor(policy.tolerance_amount, currency), total * (100 - SHORT) // 100))


def is_trifle(invoice: Invoice, policy: PlanPolicy) -> bool:
    """Whether something is open, and it is too little to be missed."""
    return 0 < invoice.balance <= largest(invoice.total, invoice.currency, policy)
