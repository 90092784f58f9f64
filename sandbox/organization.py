"""Whose books these are: facts, lock dates, and the switches in which the two ledgers differ."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Literal

from sandbox.refusals import LockedPeriod

Platform = Literal["quickbooks", "xero"]
Basis = Literal["accrual", "cash"]


@dataclass(slots=True, kw_only=True)
class Rules:
    """Ledger behavior that differs by platform or that a user can switch. Change freely in tests."""

    unique_numbers: bool = True  # a second document of a kind with the same number is refused
    unique_names: bool = True  # two active customers may not share a name
    auto_apply_credits: bool = False  # QuickBooks: a credit settles open invoices by itself
    auto_apply_payments: bool = False  # QuickBooks: a new invoice takes the customer's unapplied payments
    freeze_allocated: bool = False  # Xero: amounts and dates cannot change once something is allocated
    void_frees_allocations: bool = True  # QuickBooks; Xero refuses to void instead
    keep_deleted: bool = False  # Xero keeps deleted documents with a status; QuickBooks forgets them
    family_allocations: bool = True  # a parent's payment may settle a sub-customer's invoice
    link_touches_documents: bool = True  # allocating changes version and update time of both documents
    link_announces_documents: bool = True  # and raises their webhooks too
    merge_touches_documents: bool = True  # what moves to the surviving customer counts as changed


RULES: dict[Platform, Rules] = {
    "quickbooks": Rules(),
    "xero": Rules(
        freeze_allocated=True, void_frees_allocations=False, keep_deleted=True, family_allocations=False
    ),
}


@dataclass(slots=True, kw_only=True)
class Organization:
    """`id` is the realmId or tenantId. `tax_basis` "none": not registered for sales tax."""

    id: str
    platform: Platform
    name: str
    home_currency: str
    country: str = "US"
    timezone: str = "America/New_York"
    legal_name: str = ""
    email: str = ""
    income_basis: Basis = "accrual"
    tax_basis: Literal["accrual", "cash", "none"] = "accrual"
    tax_name: str = "Sales tax"
    tax_rate: str = "0"  # percent, of the standard tax code
    multicurrency: bool = True
    closed_until: date | None = None  # BookCloseDate, PeriodLockDate
    year_closed_until: date | None = None  # Xero's EndOfYearLockDate
    own_reminders: bool = False  # the ledger's own reminders are on
    active: bool = True  # False: subscription ended
    rules: Rules = field(default_factory=Rules)
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rules = replace(self.rules)  # a switch turned in one company's books is turned in no other's

    def check_open(self, *days: date) -> None:
        """Raises LockedPeriod when a day is on or before a lock date."""
        for day in days:
            if self.year_closed_until and day <= self.year_closed_until:
                raise LockedPeriod(day, self.year_closed_until, "year_end")
            if self.closed_until and day <= self.closed_until:
                raise LockedPeriod(day, self.closed_until, "period")
