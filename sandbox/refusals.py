"""Why the ledger says no. The platform layers turn each into the native fault of their ledger.

`str()` is a plain sentence; attributes carry what a native message needs.
"""

from __future__ import annotations

from datetime import date
from typing import Any


class Refusal(Exception):
    """The ledger will not do this. Nothing was changed."""

    def __init__(self, sentence: str, **facts: Any) -> None:
        super().__init__(sentence)
        self.facts = facts


class NotFound(Refusal):
    """No such document. Facts: `kind`, `id`."""


class StaleVersion(Refusal):
    """Someone else changed it since. Facts: `kind`, `id`, `version` (the current one)."""


class LockedPeriod(Refusal):
    """The date is on or before the closing or lock date."""

    def __init__(self, day: date, lock: date, which: str) -> None:
        super().__init__(f"The books are closed to {lock}; {day} is not open.", day=day, lock=lock)
        self.day, self.lock, self.which = day, lock, which  # which: "period" | "year_end"


class OverAllocation(Refusal):
    """More than is open on one side. Facts: `open` (minor units), `amount`, `document` (Ref)."""


class DuplicateNumber(Refusal):
    """The document number is taken. Facts: `number`, `id` (who has it)."""


class DuplicateName(Refusal):
    """The name is taken. Facts: `name`, `id`."""


class UnknownAccount(Refusal):
    """No such account. Facts: `account`."""


class InactiveAccount(Refusal):
    """The account is archived. Facts: `account`."""


class WrongAccountType(Refusal):
    """This type of account cannot be used here. Facts: `account`, `type`, `use`."""


class InactiveCustomer(Refusal):
    """The customer is archived or merged away. Facts: `customer`."""


class Frozen(Refusal):
    """Payments or credits are allocated to it. Facts: `document` (Ref), `fields`."""


class NotOpen(Refusal):
    """Draft, void or deleted. Facts: `document` (Ref), `status`."""


class WrongCustomer(Refusal):
    """The two documents belong to different customers. Facts: `source`, `target`."""


class WrongCurrency(Refusal):
    """The two documents have different currencies. Facts: `source`, `target`."""


class DepositedPayment(Refusal):
    """The payment is in a bank deposit: remove the deposit first. Facts: `deposit`."""


class ReconciledPayment(Refusal):
    """The payment is matched to the bank statement."""


class WrongAmount(Refusal):
    """Negative, zero where not allowed, or lines that do not add up. Facts vary."""


class Unbalanced(Refusal):
    """Debits and credits differ. Facts: `difference`."""
