"""Late fees, interest and early-payment discounts around one invoice: worked out and shown, each with its rule.

Nothing here is ever posted by itself (but a discount that was earned, where the policy says so). Rules are those of
docs/accounting.md: a charge is a document of its own with its own account and tax code, simple interest, never on a
charge, never while a plan, promise, dispute or hold stands. This is no legal advice.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from connector.domain import late_interest, policy
from connector.domain.late_interest import NoRate, Span
from connector.domain.money import Money, step
from connector.domain.policy import ChargePolicy, Ledgered
from connector.domain.receivables import CreditNote, Customer, Invoice, Payment, Status

LATE_FEE, INTEREST, FIXED_SUM, DISCOUNT = "late_fee", "interest", "fixed_sum", "discount"
UNMATCHED = (
    "Money or credit of the customer is not matched to an invoice. Match it first: it may have been on time."
)
WARN_ABOVE = Decimal(18)  # percent a year from which agreed interest is unusual (US)


@dataclass(frozen=True, slots=True)
class Charged:
    """What was charged on an invoice before and still stands. `until`: interest is charged up to that day."""

    kind: str
    invoice_id: str
    until: dt.date | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """One charge or discount that a person may approve. `key` names the event: it can be posted once.

    `amount` is minor units of the invoice's currency. `rule` says why so much, `spans` is the table behind
    interest. With any `why_not` it cannot be approved; `cautions` are shown beside the button.
    """

    kind: str
    key: str
    invoice: Invoice
    amount: int
    rule: str
    until: dt.date
    spans: tuple[Span, ...] = ()
    tax: int = 0  # the share of a discount that tax follows
    why_not: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()

    @property
    def money(self) -> Money:
        return Money(self.amount, self.invoice.currency)


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around an invoice: the customer, what was paid, what was charged, and what forbids charging."""

    customer: Customer
    payments: Sequence[Payment]
    credits: Sequence[CreditNote]
    charged: Sequence[Charged]
    country: str  # of the organization: whose law it claims by
    rests: Collection[str] = ()  # sentences: plan, promise, dispute, hold


def target(rules: ChargePolicy, kind: str) -> Ledgered:
    """The account and tax code of this kind of charge."""
    return {LATE_FEE: rules.late_fee, DISCOUNT: rules.early}.get(kind, rules.interest)


def offers(invoice: Invoice, around: Around, rules: ChargePolicy, today: dt.date) -> list[Offer]:
    """Everything that may be charged or granted on this invoice today. Documents that we wrote have none."""
    if invoice.marker or invoice.status not in (Status.OPEN, Status.PARTLY_PAID) or invoice.balance <= 0:
        return []
    found = [*_discount(invoice, around, rules, today)]
    if (today - invoice.due).days > 0:
        found += _late_fee(invoice, around, rules, today)
        found += _interest(invoice, around, rules, today)
    return found


def _before(around: Around, kind: str, invoice: Invoice) -> list[Charged]:
    return [c for c in around.charged if c.kind == kind and c.invoice_id == invoice.id]


def unmatched(payments: Iterable[Payment], credits: Iterable[CreditNote]) -> bool:
    """Whether money or credit of the customer, in any currency, is matched to nothing: it may have been on time.

    A credit that we wrote was no money, and is set against its invoice within the same minute.
    """
    return any(p.unapplied > 0 for p in payments if not p.void) or any(
        c.remaining > 0 for c in credits if not c.void and not c.marker
    )


def _why_not(around: Around, rules: ChargePolicy, kind: str) -> tuple[str, ...]:
    reasons = list(around.rests) if kind != DISCOUNT else []
    if kind != DISCOUNT and unmatched(around.payments, around.credits):
        reasons.append(UNMATCHED)
    if around.customer.is_person and kind != DISCOUNT:
        reasons.append("The customer is a person: fees and interest to consumers are not charged from here.")
    if not target(rules, kind).account:
        reasons.append("Name the account for it in the settings first; Forbear does not guess one.")
    return tuple(reasons)


def _late_fee(invoice: Invoice, around: Around, rules: ChargePolicy, today: dt.date) -> list[Offer]:
    late = (today - invoice.due).days
    if late <= rules.fee_after_days or _before(around, LATE_FEE, invoice):
        return []
    share = _whole(Decimal(invoice.balance) * rules.fee_percent / 100, invoice)
    amount = policy.minor(rules.fee_amount, invoice.currency) + share
    if amount <= 0:
        return []
    parts = []
    if rules.fee_amount:
        fixed = Money(policy.minor(rules.fee_amount, invoice.currency), invoice.currency)
        parts.append(f"{fixed}")
    if rules.fee_percent:
        parts.append(f"{_percent(rules.fee_percent)} of the {Money(invoice.balance, invoice.currency)} open")
    rule = f"{' plus '.join(parts)}, once, {late} days after the due date. Agreed in: {rules.clause}."
    return [
        Offer(
            LATE_FEE,
            f"{LATE_FEE}:{invoice.id}",
            invoice,
            amount,
            rule,
            today,
            why_not=_why_not(around, rules, LATE_FEE),
        )
    ]


def _interest(invoice: Invoice, around: Around, rules: ChargePolicy, today: dt.date) -> list[Offer]:
    """Agreed interest where the contract has it; otherwise what the law grants where its table is on file."""
    before = _before(around, INTEREST, invoice)
    since = max((c.until for c in before if c.until), default=invoice.due)
    settled = settlements(invoice, around.payments, around.credits)
    why_not = _why_not(around, rules, INTEREST)
    key = f"{INTEREST}:{invoice.id}:{since}"
    if rules.annual_percent:
        spans = tuple(_agreed(invoice, settled, since, today, rules))
        amount = _sum(spans, invoice)
        rule = (
            f"{_percent(rules.annual_percent)} a year, simple, actual days of 365. Agreed in: {rules.clause}."
        )
        cautions = (
            (f"More than {WARN_ABOVE} % a year is unusual; check the law of the place.",)
            if rules.annual_percent > WARN_ABOVE
            else ()
        )
        return [Offer(INTEREST, key, invoice, amount, rule, today, spans, 0, why_not, cautions)] * bool(
            amount
        )
    try:
        own = [
            (r.start, r.percent, r.source)
            for r in rules.own_rates
            if late_interest.regime_code(around.country) == r.regime
        ]
        claim = late_interest.claim(
            around.country,
            invoice.currency,
            invoice.due,
            invoice.total,
            settled,
            today,
            since=since,
            own=own,
        )
    except NoRate:
        return []
    cautions = (
        "Only between businesses, and only where the contract has no remedy of its own. No legal advice.",
    )
    law = claim.regime.name
    found = []
    if claim.interest:
        rule = f"{law}: reference rate plus 8 points, simple, from the day after the due date."
        found.append(
            Offer(INTEREST, key, invoice, claim.interest, rule, today, claim.spans, 0, why_not, cautions)
        )
    if claim.fixed and not _before(around, FIXED_SUM, invoice):
        rule = f"{law}: fixed sum for a debt of this size, once for each invoice."
        key = f"{FIXED_SUM}:{invoice.id}"
        found.append(Offer(FIXED_SUM, key, invoice, claim.fixed, rule, today, (), 0, why_not, cautions))
    return found


def _agreed(
    invoice: Invoice,
    settled: Sequence[tuple[dt.date, int]],
    since: dt.date,
    today: dt.date,
    rules: ChargePolicy,
) -> Iterable[Span]:
    days = sorted({since, today, *(day for day, _ in settled if since < day < today)})
    for start, end in zip(days, days[1:], strict=False):
        owed = invoice.total - sum(amount for day, amount in settled if day <= start)
        if owed > 0:
            yield Span(start, (end - start).days, owed, rules.annual_percent, rules.clause)


def _sum(spans: Iterable[Span], invoice: Invoice) -> int:
    return _whole(sum((Decimal(s.open) * s.rate * s.days / 36500 for s in spans), Decimal(0)), invoice)


def settlements(
    invoice: Invoice, payments: Iterable[Payment], credits: Iterable[CreditNote]
) -> list[tuple[dt.date, int]]:
    """What lowered the debt, by day. What the books do not explain counts from the invoice's date: the least debt."""
    settling: list[Payment | CreditNote] = [*payments, *credits]
    found = [
        (a.date or p.date, a.amount)
        for p in settling
        if not p.void
        for a in p.allocations
        if a.invoice_id == invoice.id
    ]
    unexplained = invoice.total - invoice.balance - sum(amount for _, amount in found)
    return sorted([*found, (invoice.date, unexplained)] if unexplained > 0 else found)


# ---------------------------------------------------------------- paying early


def _discount(invoice: Invoice, around: Around, rules: ChargePolicy, today: dt.date) -> list[Offer]:
    """A discount that was earned: enough money came in time, and no more than the discount is open."""
    if not rules.early_percent or _before(around, DISCOUNT, invoice):
        return []
    full = early_amount(invoice, rules)
    if invoice.balance > full or not earned(invoice, around.payments, rules):
        return []
    last = early_until(invoice, rules)
    rule = (
        f"{_percent(rules.early_percent)} of {Money(invoice.total, invoice.currency)} for payment by {last}; "
        f"{Money(invoice.total - invoice.balance, invoice.currency)} came in time."
    )
    tax = 0
    if rules.early_reduces_tax and invoice.total:
        tax = _whole(Decimal(invoice.balance) * invoice.tax / invoice.total, invoice)
    return [
        Offer(
            DISCOUNT,
            f"{DISCOUNT}:{invoice.id}",
            invoice,
            invoice.balance,
            rule,
            today,
            tax=tax,
            why_not=_why_not(around, rules, DISCOUNT),
        )
    ]


def early_until(invoice: Invoice, rules: ChargePolicy) -> dt.date:
    """The last day on which paying earns the discount."""
    return invoice.date + dt.timedelta(rules.early_days)


def early_amount(invoice: Invoice, rules: ChargePolicy) -> int:
    """The discount for paying all of it early, in minor units."""
    return _whole(Decimal(invoice.total) * rules.early_percent / 100, invoice)


def earned(invoice: Invoice, payments: Iterable[Payment], rules: ChargePolicy) -> bool:
    """Whether money that covers all but the discount was received in time. A credit note is no payment."""
    last = early_until(invoice, rules)
    came = sum(
        a.amount
        for p in payments
        if not p.void and p.date <= last
        for a in p.allocations
        if a.invoice_id == invoice.id
    )
    return came > 0 and came >= invoice.total - early_amount(invoice, rules)


def early_said(invoice: Invoice, payments: Iterable[Payment], rules: ChargePolicy, today: dt.date) -> str:
    """What is to say about the discount on an open invoice: offered, or taken though it was not earned; "" nothing."""
    if not rules.early_percent or invoice.marker or invoice.balance <= 0:
        return ""
    full, last = early_amount(invoice, rules), early_until(invoice, rules)
    if today <= last and invoice.balance == invoice.total:
        pays = Money(invoice.total - full, invoice.currency)
        return f"{_percent(rules.early_percent)} off until {last}: {pays} settles it."
    if invoice.balance == full and not earned(invoice, payments, rules):
        return f"The discount was taken, but the money came after {last}. {Money(full, invoice.currency)} stays open."
    return ""


def _percent(value: Decimal) -> str:
    return f"{value.normalize():f} %"


def _whole(amount: Decimal, invoice: Invoice) -> int:
    """Rounded half up to what the ledger keeps of the invoice's currency (`money.step`)."""
    unit = step(invoice.currency, invoice.total, invoice.balance)
    return int((amount / unit).quantize(Decimal(1), ROUND_HALF_UP)) * unit
