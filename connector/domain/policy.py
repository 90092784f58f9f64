"""Every setting of a bookkeeper as frozen records with defaults; what cannot be used is refused with a sentence.

Amounts here are decimals in whole units of whatever currency a plan is in (25.00 means 25.00 EUR for a plan
in EUR, 25 for one in JPY); `minor` turns them into minor units. Percentages are decimals (5 is 5 %).
The reasons of the defaults: docs/accounting.md, "Schedules", "Law" and "Contact".
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any, ClassVar

from connector.domain import codec, money
from connector.domain.calendar import Rhythm
from connector.domain.codec import WrongValue
from connector.domain.page_policy import PagePolicy


class Mode(StrEnum):
    """How a plan goes into the books (docs/accounting.md, "Which way"). `MIRROR` is always refused."""

    SPLIT = "split"
    NOTES = "notes"
    MIRROR = "mirror"


class Method(StrEnum):
    """How principal and interest spread over the installments (docs/accounting.md, "Schedules")."""

    EQUAL = "equal"  # no interest: the balance in equal parts
    FLAT = "flat"  # a flat charge, total in equal parts
    EQUAL_PRINCIPAL = "equal_principal"  # simple interest on the declining balance
    ANNUITY = "annuity"  # equal payments, simple interest on the declining balance


class Basis(StrEnum):
    """The accountant's answer to "cash or accrual?"; `UNKNOWN` until answered."""

    ACCRUAL = "accrual"
    CASH = "cash"
    NONE = "none"  # sales tax only: the organization charges none
    UNKNOWN = "unknown"


def _check(good: bool, field: str, sentence: str) -> None:
    if not good:
        raise WrongValue(field, sentence)


@lru_cache(maxsize=1024)  # asked for each of many invoices, about a few amounts
def minor(amount: Decimal, currency: str) -> int:
    """A policy amount in minor units of `currency`, half up: 25.00 → 2500 USD, 25 JPY, 25000 KWD."""
    return int(Decimal(amount).scaleb(money.exponent(currency)).quantize(Decimal(1), ROUND_HALF_UP))


@dataclass(frozen=True, slots=True)
class InterestPolicy:
    """Interest and fees on plans. Off until the bookkeeper records the clause of the contract and the cap."""

    clause: str = ""  # where the customer agreed to interest, e.g. "Terms of 2025-01, section 7"
    annual_percent: Decimal = Decimal(0)
    flat_percent: Decimal = Decimal(0)
    warn_above: Decimal = Decimal(18)  # percent a year
    cap: Decimal | None = None  # percent a year; nothing above it can be approved

    def __post_init__(self) -> None:
        for field in ("annual_percent", "flat_percent", "warn_above"):
            _check(0 <= getattr(self, field) <= 100, field, "should be between 0 and 100 percent.")
        _check(self.cap is None or 0 <= self.cap <= 100, "cap", "should be between 0 and 100 percent.")
        charged = self.annual_percent > 0 or self.flat_percent > 0
        _check(
            not charged or bool(self.clause.strip()),
            "clause",
            "Interest needs the clause of the contract that allows it. Write down where it is, or set the interest to 0.",
        )
        _check(
            not charged or self.cap is not None,
            "cap",
            "Interest needs the highest yearly rate that is allowed. Set it, or set the interest to 0.",
        )
        _check(
            self.cap is None or self.annual_percent <= self.cap,
            "annual_percent",
            f"is above the cap of {self.cap} percent a year. Lower the rate.",
        )


@dataclass(frozen=True, slots=True)
class PlanPolicy:
    """The rails of a plan."""

    mode: str = ""  # "" lets the books decide; "split" or "notes" is the connection's own default
    installments: int = 3  # where nothing shows what the customer can pay
    rhythm: Rhythm = Rhythm.MONTHLY
    method: Method = Method.EQUAL
    propose_after_days: int = 30  # days overdue before a plan is drafted
    minimum_payment: Decimal = Decimal("25.00")
    minimum_share: Decimal = Decimal(5)  # percent of the balance; the larger of the two minimums counts
    soft_cap_months: int = 6
    approval_cap_months: int = 8  # longer than the soft cap needs a person's explicit approval
    hard_cap_months: int = 12
    first_payment_days: int = 7
    deposit_percent: Decimal = Decimal(0)
    affordable_share: Decimal = Decimal(25)  # percent of the median monthly receipts
    tolerance_days: int = 3  # an installment paid this many days after its due date was still kept
    tolerance_amount: Decimal = Decimal("1.00")  # short by no more than this counts as paid
    broken_after_days: int = 10  # an installment open this long after its due date breaks the plan
    grace_days: int = 5  # business days to cure, as the agreement states
    settlement_discount_percent: Decimal = Decimal(0)
    auto_approve_up_to: Decimal = Decimal(0)  # 0: every plan is approved by a person
    auto_approve_months: int = 3
    move_due_date: bool = False  # notes mode: also move the invoice's own due date to the next installment
    interest: InterestPolicy = InterestPolicy()
    interest_account: str = ""  # the ledger's id or code; "" leaves billing interest to a person
    interest_item: str = ""  # QuickBooks: the product or service in front of that account
    interest_tax_code: str = ""
    discount_account: str = ""  # settlement discounts; "" refuses them
    discount_item: str = ""
    discount_tax_code: str = ""
    discount_reduces_tax: bool = False  # only where local rules let tax follow the price

    def __post_init__(self) -> None:
        _check(self.mode in ("", "split", "notes"), "mode", "should be split, notes, or left open.")
        _check(1 <= self.installments <= 60, "installments", "should be between 1 and 60.")
        for field in ("minimum_share", "deposit_percent", "affordable_share", "settlement_discount_percent"):
            _check(0 <= getattr(self, field) <= 100, field, "should be between 0 and 100 percent.")
        for field in ("minimum_payment", "tolerance_amount", "auto_approve_up_to"):
            _check(0 <= getattr(self, field) <= 10**9, field, "should be zero or more.")
        for field in (
            "tolerance_days",
            "broken_after_days",
            "grace_days",
            "first_payment_days",
            "propose_after_days",
        ):
            _check(0 <= getattr(self, field) <= 365, field, "should be between 0 and 365 days.")
        _check(
            1 <= self.soft_cap_months <= self.approval_cap_months <= self.hard_cap_months <= 60,
            "hard_cap_months",
            "The three lengths should rise: usual length, length with approval, longest length (at most 60 months).",
        )
        _check(
            self.broken_after_days >= self.tolerance_days,
            "broken_after_days",
            "should not be shorter than the tolerance in days.",
        )

    def minimum(self, balance: int, currency: str) -> int:
        """The smallest installment for this balance, in minor units: max(minimum_payment, minimum_share)."""
        share = (balance * self.minimum_share / 100).quantize(Decimal(1), ROUND_HALF_UP)
        return min(balance, max(minor(self.minimum_payment, currency), int(share)))


@dataclass(frozen=True, slots=True)
class FindingPolicy:
    """When a fact becomes a finding."""

    grace_days: int = 0  # calendar days after the due date before an invoice counts as overdue
    minimum_balance: Decimal = Decimal(0)  # smaller open balances are no finding

    def __post_init__(self) -> None:
        _check(0 <= self.grace_days <= 90, "grace_days", "should be between 0 and 90 days.")
        _check(self.minimum_balance >= 0, "minimum_balance", "should be zero or more.")


@dataclass(frozen=True, slots=True)
class Step:
    """One level of the ladder, `days` after the due date (negative: before it)."""

    level: str
    days: int
    offers_plan: bool = False
    needs_person: bool = False  # a draft for a person to send
    task_only: bool = False  # no message: a person reviews

    def __post_init__(self) -> None:
        _check(bool(self.level.strip()), "level", "needs a name.")
        _check(-60 <= self.days <= 365, "days", "should be between 60 days before and 365 days after.")


INVOICE_LADDER = (
    Step("friendly", -3),
    Step("due", 0),
    Step("check", 3),
    Step("direct", 7, offers_plan=True),
    Step("firm", 14, offers_plan=True),
    Step("final", 30, offers_plan=True, needs_person=True),
    Step("review", 60, needs_person=True, task_only=True),
)
INSTALLMENT_LADDER = (
    Step("installment_friendly", -3),
    Step("installment_due", 0),
    Step("installment_missed", 2),
    Step("installment_cure", 5),
    Step("installment_review", 10, needs_person=True, task_only=True),
)


@dataclass(frozen=True, slots=True)
class ReminderPolicy:
    """The reminder ladder and the caps on contact (docs/accounting.md, "Contact")."""

    invoice_ladder: tuple[Step, ...] = INVOICE_LADDER
    installment_ladder: tuple[Step, ...] = INSTALLMENT_LADDER
    per_day: int = 1  # messages to one customer, all channels
    per_week: int = 2  # in any seven days
    weekdays: frozenset[int] = frozenset({1, 2, 3})  # Monday is 0
    from_hour: int = 9  # customer time
    to_hour: int = 11
    promise_grace_days: int = 2
    proposal_rest_days: int = 7  # a proposed plan rests reminders this long; then they go on and offer it
    max_sync_age_hours: int = 24
    email: bool = False  # through the ledger's own send call; otherwise notes only

    def __post_init__(self) -> None:
        for field in ("invoice_ladder", "installment_ladder"):
            ladder: tuple[Step, ...] = getattr(self, field)
            days = [s.days for s in ladder]
            _check(
                days == sorted(set(days)), field, "Each step should come at least a day after the one before."
            )
            _check(len({s.level for s in ladder}) == len(ladder), field, "Each step needs its own name.")
        _check(0 <= self.per_day <= 1, "per_day", "should be 0 or 1: at most one message a day.")
        _check(0 <= self.per_week <= 7, "per_week", "should be between 0 and 7.")
        _check(
            bool(self.weekdays) and self.weekdays <= set(range(5)) | {5, 6},
            "weekdays",
            "Choose at least one day; Monday is 0 and Sunday is 6.",
        )
        _check(
            8 <= self.from_hour < self.to_hour <= 21,
            "to_hour",
            "Messages may leave between 8:00 and 21:00; the end should be after the beginning.",
        )
        _check(0 <= self.promise_grace_days <= 30, "promise_grace_days", "should be between 0 and 30 days.")
        _check(0 <= self.proposal_rest_days <= 30, "proposal_rest_days", "should be between 0 and 30 days.")
        _check(1 <= self.max_sync_age_hours <= 72, "max_sync_age_hours", "should be between 1 and 72 hours.")


@dataclass(frozen=True, slots=True)
class OwnText:
    """A bookkeeper's words for one level and segment in one language variant ("en-GB"); see `letters`."""

    language: str
    level: str
    segment: str
    text: str

    def __post_init__(self) -> None:
        _check(bool(self.text.strip()), "text", "is empty. Write something, or take the text out.")
        _check(len(self.text) <= 2000, "text", "should be at most 2,000 characters.")


@dataclass(frozen=True, slots=True)
class Ledgered:
    """Where a charge goes: the ledger's id or code of the account, the item in front of it where the ledger needs
    one (QuickBooks), and the tax code. No account: nothing of that kind is ever posted."""

    account: str = ""
    item: str = ""
    tax_code: str = ""


@dataclass(frozen=True, slots=True)
class OwnRate:
    """A reference rate for interest by law that the bookkeeper looked up: of which law, from which day."""

    regime: str  # "UK" or "EU"
    start: dt.date
    percent: Decimal
    source: str

    def __post_init__(self) -> None:
        _check(self.regime in ("UK", "EU"), "regime", "should be UK or EU.")
        _check(0 <= self.percent <= 50, "percent", "should be between 0 and 50 percent.")
        _check(bool(self.source.strip()), "source", "Say where the rate is written.")


@dataclass(frozen=True, slots=True)
class ChargePolicy:
    """Fees, interest and discounts around an invoice. Nothing is charged unless a clause or a law allows it."""

    clause: str = ""  # where the customer agreed to fees or interest, e.g. "Terms of 2025-01, section 7"
    fee_amount: Decimal = Decimal(0)  # once for each invoice, in its currency
    fee_percent: Decimal = Decimal(0)  # of what is open, once, on top of fee_amount
    fee_after_days: int = 14  # days overdue
    annual_percent: Decimal = Decimal(0)  # agreed interest; takes the place of interest by law
    cap: Decimal | None = None  # percent a year that the place allows; nothing above it can be saved
    late_fee: Ledgered = Ledgered()
    interest: Ledgered = Ledgered()  # agreed interest, interest by law and its fixed sum
    own_rates: tuple[OwnRate, ...] = ()
    early_percent: Decimal = Decimal(0)  # off the total …
    early_days: int = 10  # … when the money came within so many days of the invoice's date
    early: Ledgered = Ledgered()
    early_reduces_tax: bool = False  # only where local rules let tax follow the price
    early_by_itself: bool = False  # the policy approves a discount that was earned

    def __post_init__(self) -> None:
        for field in ("fee_percent", "annual_percent", "early_percent"):
            _check(0 <= getattr(self, field) <= 50, field, "should be between 0 and 50 percent.")
        _check(0 <= self.fee_amount <= 10**6, "fee_amount", "should be zero or more.")
        for field in ("fee_after_days", "early_days"):
            _check(0 <= getattr(self, field) <= 365, field, "should be between 0 and 365 days.")
        charged = self.fee_amount or self.fee_percent or self.annual_percent
        _check(
            not charged or bool(self.clause.strip()),
            "clause",
            "A fee or interest needs the clause of the contract that allows it. Write down where it is.",
        )
        _check(
            not self.annual_percent or self.cap is not None,
            "cap",
            "Interest needs the highest yearly rate that is allowed. Set it, or set the interest to 0.",
        )
        _check(
            self.cap is None or self.annual_percent <= self.cap,
            "annual_percent",
            f"is above the cap of {self.cap} percent a year. Lower the rate.",
        )


@dataclass(frozen=True, slots=True)
class LetterPolicy:
    """In whose name reminders speak, and in which words."""

    person: str = ""  # whom to ask; "" is the organization itself
    reply: str = ""  # e-mail address or telephone number
    how_to_pay: str = ""  # e.g. "Bank transfer to … with the invoice number"
    language: str = (
        ""  # variant for customers whose language the ledger does not tell; "" follows the country
    )
    own: tuple[OwnText, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordPolicy:
    """How long what is kept about people stays (seven years in New Zealand, five to seven elsewhere)."""

    FEWEST: ClassVar[int] = 3
    keep_years: int = 7

    def __post_init__(self) -> None:
        _check(self.FEWEST <= self.keep_years <= 30, "keep_years", "should be between 3 and 30 years.")


@dataclass(frozen=True, slots=True)
class Answers:
    """What the accountant answered once for an organization. Unanswered means notes only."""

    income_basis: Basis = Basis.UNKNOWN
    sales_tax_basis: Basis = Basis.UNKNOWN

    @property
    def known(self) -> bool:
        return Basis.UNKNOWN not in (self.income_basis, self.sales_tax_basis)

    @property
    def cash(self) -> bool:
        return Basis.CASH in (self.income_basis, self.sales_tax_basis)


@dataclass(frozen=True, slots=True)
class Policy:
    """All settings of one organization."""

    plan: PlanPolicy = PlanPolicy()
    findings: FindingPolicy = FindingPolicy()
    reminders: ReminderPolicy = ReminderPolicy()
    letters: LetterPolicy = LetterPolicy()
    page: PagePolicy = PagePolicy()  # the customer's own page
    charges: ChargePolicy = ChargePolicy()
    record: RecordPolicy = RecordPolicy()
    country: str = ""  # overrides the organization's country for holidays and legal rails

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `load` reads them back."""
        data: dict[str, Any] = codec.to_json(self)
        return data


def load(data: Mapping[str, Any]) -> Policy:
    """A policy from plain JSON values. Missing keys take their default, unknown keys are left alone.

    Raises WrongValue, whose `field` is the dotted name ("plan.soft_cap_months") and whose `sentence` is for
    the bookkeeper.
    """
    return _loaded(json.dumps(dict(data)))


@lru_cache(maxsize=256)
def _loaded(text: str) -> Policy:
    """Policies are frozen, and most organizations share a few: one for each text."""
    return codec.from_json(Policy, json.loads(text))
