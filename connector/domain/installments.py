"""Schedule mathematics (docs/accounting.md, "Schedules"): what each row asks for, to the minor unit.

What the customer sees is split first; then the principal; interest is what remains. Amounts are minor
units, percentages decimals (5 is 5 %), interest is simple and never compounds.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import pairwise

from connector.domain import money
from connector.domain.calendar import DueDate, Rhythm, add_months
from connector.domain.plan import BadPlan, Installment, Source, portions
from connector.domain.policy import Method

BAD_DEPOSIT = "The deposit must be more than zero, less than the balance, and leave at least one installment."


def rounded(value: Fraction | Decimal) -> int:
    """Half up, away from zero: the one rounding rule of every amount here."""
    exact = Fraction(value)
    whole = (2 * abs(exact) + 1) // 2
    return int(whole) if exact >= 0 else -int(whole)


def counts_months(start: dt.date, dates: Sequence[DueDate], rhythm: Rhythm) -> bool:
    """Whether each period is one month at r/12; otherwise the actual days over 365 count."""
    return rhythm is Rhythm.MONTHLY and dates[0].nominal == add_months(start, 1)


def _periods(start: dt.date, dates: Sequence[DueDate], rhythm: Rhythm) -> list[Fraction]:
    """Each row's period as a part of a year."""
    if counts_months(start, dates, rhythm):
        return [Fraction(1, 12)] * len(dates)
    days = [start, *(d.adjusted for d in dates)]
    return [Fraction((b - a).days, 365) for a, b in pairwise(days)]


def _rows(
    dates: Sequence[DueDate], principals: Sequence[int], interests: Sequence[int]
) -> tuple[Installment, ...]:
    return tuple(
        Installment(n, d.nominal, d.adjusted, p, i)
        for n, (d, p, i) in enumerate(zip(dates, principals, interests, strict=True), 1)
    )


def _split(principal: int, count: int) -> list[int]:
    if principal < count:
        raise BadPlan(
            "TOO_MANY_INSTALLMENTS",
            f"The balance cannot be spread over {count} installments: some would be empty. Choose fewer.",
        )
    return money.split(principal, count)


def _under(totals: Sequence[int], principals: Sequence[int]) -> list[int]:
    """`principals` with no part above its total; what is too much moves to the latest rows that have room."""
    parts = [min(t, p) for t, p in zip(totals, principals, strict=True)]
    spare = sum(principals) - sum(parts)
    for k in reversed(range(len(parts))):
        room = min(spare, totals[k] - parts[k])
        parts[k] += room
        spare -= room
    return parts


def draft_rows(
    principal: int,
    dates: Sequence[DueDate],
    *,
    method: Method = Method.EQUAL,
    annual_percent: Decimal = Decimal(0),
    flat_percent: Decimal = Decimal(0),
    start: dt.date,
    rhythm: Rhythm = Rhythm.MONTHLY,
    deposit: int = 0,
    step: int = 1,
) -> tuple[Installment, ...]:
    """The rows of a plan over `principal` with these due dates, in multiples of `step` (see money.step).

    `start` is the day from which interest counts. A deposit is the whole first row, free of interest; the
    rest follows on the other dates and its interest counts from the deposit's due date. Raises BadPlan.
    """
    if not dates:
        raise BadPlan("NO_INSTALLMENTS", "A plan needs at least one installment. Choose how many.")
    if step > 1:
        rows = draft_rows(
            principal // step,
            dates,
            method=method,
            annual_percent=annual_percent,
            flat_percent=flat_percent,
            start=start,
            rhythm=rhythm,
            deposit=deposit // step,
        )
        return _times(rows, step)
    if deposit:
        if not 0 < deposit < principal or len(dates) < 2:
            raise BadPlan("DEPOSIT", BAD_DEPOSIT)
        rest = draft_rows(
            principal - deposit,
            dates[1:],
            method=method,
            annual_percent=annual_percent,
            flat_percent=flat_percent,
            start=dates[0].nominal,
            rhythm=rhythm,
        )
        return _rows(dates, [deposit, *(r.principal for r in rest)], [0, *(r.interest for r in rest)])
    principals = _split(principal, len(dates))
    if method is Method.EQUAL:
        return _rows(dates, principals, [0] * len(dates))
    if method is Method.FLAT:
        charge = rounded(Fraction(flat_percent) * principal / 100)
        totals = money.split(principal + charge, len(dates))
        return _rows(dates, principals, [t - p for t, p in zip(totals, principals, strict=True)])
    periods = _periods(start, dates, rhythm)
    if method is Method.ANNUITY:
        principals = _annuity_principals(principal, annual_percent, periods)
    return _rows(dates, principals, _declining(principals, annual_percent, periods))


def _times(rows: Iterable[Installment], step: int) -> tuple[Installment, ...]:
    return tuple(replace(r, principal=r.principal * step, interest=r.interest * step) for r in rows)


def _declining(principals: Sequence[int], annual_percent: Decimal, periods: Sequence[Fraction]) -> list[int]:
    """Each period's simple interest on the principal still open at its beginning."""
    open_ = sum(principals)
    interests = []
    for part, period in zip(principals, periods, strict=True):
        interests.append(rounded(open_ * Fraction(annual_percent) / 100 * period))
        open_ -= part
    return interests


def _annuity_principals(principal: int, annual_percent: Decimal, periods: Sequence[Fraction]) -> list[int]:
    """What an equal payment leaves for the principal in each row; the last row takes the rest."""
    rate = Fraction(annual_percent) / 100
    worth, growth = Fraction(0), Fraction(1)
    for period in periods:  # equals P·m/(1−(1+m)⁻ⁿ) when all periods are alike
        growth *= 1 + rate * period
        worth += 1 / growth
    payment = rounded(principal / worth)
    open_, parts = principal, []
    for period in periods[:-1]:
        parts.append(payment - rounded(open_ * rate * period))
        open_ -= parts[-1]
    parts.append(open_)
    if min(parts) < 1:
        raise BadPlan(
            "ROW_NOT_POSITIVE",
            "With this interest an equal payment would leave nothing for the balance. Choose fewer installments.",
        )
    return parts


def has_large_end(rows: Sequence[Installment]) -> bool:
    """The last row is more than twice the largest other: a person must approve that explicitly."""
    return len(rows) > 1 and rows[-1].total > 2 * max(r.total for r in rows[:-1])


def affordable_count(principal: int, affordable: int) -> int:
    """How many installments of at most `affordable`: 850.00 at 300.00 → 3."""
    if affordable < 1:
        raise ValueError("an affordable amount is more than zero")
    return -(-principal // affordable)


@dataclass(frozen=True, slots=True)
class Change:
    """A person's edit of one row; None leaves the value. `amount` is what the customer pays; in a plan with
    interest on the declining balance it is the principal, and the interest follows from it."""

    due: dt.date | None = None
    amount: int | None = None


def edit_rows(
    rows: Sequence[Installment],
    changes: Mapping[int, Change],
    *,
    method: Method,
    annual_percent: Decimal = Decimal(0),
    start: dt.date,
    currency: str,
) -> tuple[Installment, ...]:
    """The rows after a person's changes (by row number), still adding up to the same sum.

    Rows without a changed amount share what is left equally, odd units last; with none of those the changed
    amounts must add up themselves. A changed date is taken as it is. Raises BadPlan.
    """
    typed = [c.amount for c in changes.values() if c.amount is not None]
    step = money.step(currency, *typed, *(x for r in rows for x in (r.principal, r.interest)))
    if step > 1:
        smaller = [replace(r, principal=r.principal // step, interest=r.interest // step) for r in rows]
        asked = {
            n: replace(c, amount=None if c.amount is None else c.amount // step) for n, c in changes.items()
        }
        return _times(_edited(smaller, asked, method, annual_percent, start, currency, step), step)
    return _edited(rows, changes, method, annual_percent, start, currency)


def _edited(
    rows: Sequence[Installment],
    changes: Mapping[int, Change],
    method: Method,
    annual_percent: Decimal,
    start: dt.date,
    currency: str,
    step: int = 1,
) -> tuple[Installment, ...]:
    """`edit_rows` with amounts in multiples of `step`."""
    unknown = set(changes) - {r.n for r in rows}
    if unknown:
        raise BadPlan(
            "NO_SUCH_ROW", f"There is no installment {min(unknown)}. The plan has {len(rows)} of them."
        )
    dates = [_moved(r, changes.get(r.n)) for r in rows]
    principal, interest = sum(r.principal for r in rows), sum(r.interest for r in rows)
    by_balance = method in (Method.EQUAL_PRINCIPAL, Method.ANNUITY)
    whole = principal if by_balance else principal + interest
    fixed = {n: c.amount for n, c in changes.items() if c.amount is not None}
    amounts = _absorb(whole, [r.n for r in rows], fixed, currency, step)
    if by_balance:
        return _rows(dates, amounts, _declining(amounts, annual_percent, _periods_of(start, dates, rows)))
    principals = _under(amounts, money.split_weighted(principal, amounts))
    if min(principals) < 1:
        raise BadPlan(
            "ROW_NOT_POSITIVE", "An installment would pay nothing of the balance. Change its amount."
        )
    return _rows(dates, principals, [a - p for a, p in zip(amounts, principals, strict=True)])


def _moved(row: Installment, change: Change | None) -> DueDate:
    if change is None or change.due is None:
        return DueDate(row.nominal, row.due)
    return DueDate(change.due, change.due)


def _periods_of(start: dt.date, dates: Sequence[DueDate], rows: Sequence[Installment]) -> list[Fraction]:
    """Months stay months while no date was changed; edited dates make the plan irregular (actual/365)."""
    untouched = [DueDate(r.nominal, r.due) for r in rows] == list(dates)
    return _periods(start, dates, Rhythm.MONTHLY if untouched else Rhythm.WEEKLY)


def _absorb(
    whole: int, numbers: Sequence[int], fixed: Mapping[int, int], currency: str, step: int
) -> list[int]:
    for n, amount in fixed.items():
        if amount < 1:
            raise BadPlan("ROW_NOT_POSITIVE", f"Installment {n} must be more than zero.")
    rest, free = whole - sum(fixed.values()), [n for n in numbers if n not in fixed]
    if not free and rest:
        raise BadPlan(
            "SUM",
            f"The rows add up to {money.Money((whole - rest) * step, currency)}; the plan is for "
            f"{money.Money(whole * step, currency)}. Change a row, or leave one open to take the rest.",
        )
    if free and rest < len(free):
        raise BadPlan(
            "AMOUNT_OVER_BALANCE",
            f"The changed rows leave too little of {money.Money(whole * step, currency)} for the others. Lower one of them.",
        )
    shares = dict(zip(free, money.split(rest, len(free)), strict=True)) if free else {}
    return [fixed.get(n, shares.get(n, 0)) for n in numbers]


def yearly_percent(principal: int, rows: Sequence[Installment], start: dt.date) -> Decimal:
    """What the plan costs the customer a year, in percent to one decimal: the nominal rate with monthly periods
    that makes the payments worth the principal on `start` (days over 365). 0 where there is no interest.

    5 % flat over three months is far above 5 % a year; this is the figure to show beside it.
    """
    if sum(r.total for r in rows) <= principal:
        return Decimal("0.0")
    years = [max((r.due - start).days, 1) / 365 for r in rows]

    def excess(monthly: float) -> float:
        worth = sum(r.total / float((1 + monthly) ** (12 * y)) for r, y in zip(rows, years, strict=True))
        return worth - principal

    low, high = 0.0, 1.0
    while excess(high) > 0:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return Decimal(low * 1200).quantize(Decimal("0.1"), ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Discount:
    """A price reduction: `gross` is what the customer no longer owes, `net` and `tax` its two parts."""

    gross: int
    net: int
    tax: int


def settlement_discount(
    amount: int,
    percent: Decimal,
    invoice_tax: int,
    invoice_total: int,
    *,
    reduces_tax: bool = True,
    step: int = 1,
) -> Discount:
    """`percent` off the unpaid principal, rounded once to multiples of `step`, with its share of the invoice's tax.

    5 % of 566.67 at 150.00 tax in 1,150.00 → 28.33 = 24.63 + 3.70. Where local rules do not let tax follow
    the price (`reduces_tax` False), all of it is discount.
    """
    gross = rounded(Fraction(percent) * amount / 100 / step) * step
    share = Fraction(gross * invoice_tax, invoice_total) if reduces_tax and invoice_total else Fraction(0)
    tax = rounded(share / step) * step
    return Discount(gross, gross - tax, tax)


def skipped_discount_percent(
    percent: Decimal, discount_days: int, net_days: int, year: int = 365, *, compounded: bool = False
) -> Decimal:
    """What not taking an early-payment discount costs a year: 2/10 net 30 → 37.2 % (44.6 % compounded)."""
    gain, times = percent / (100 - percent), Decimal(year) / (net_days - discount_days)
    value = (1 + gain) ** times - 1 if compounded else gain * times
    return (value * 100).quantize(Decimal("0.1"), ROUND_HALF_UP)


def embedded_tax(sources: Iterable[Source], principals: Sequence[int]) -> list[int]:
    """The sources' own tax that is inside each row's principal (bad-debt relief, I19).

    The tax of what is still unpaid is unpaid × tax ÷ total of each source, rounded; a row holds the
    difference that it makes: 110.87 → 73.91 → 36.96 → 0 gives 36.96, 36.95, 36.96.
    """
    sources = tuple(sources)
    by_id = {s.invoice_id: s for s in sources}
    unpaid = {s.invoice_id: s.balance for s in sources}

    def tax_of(invoice_id: str) -> int:
        source = by_id[invoice_id]
        return rounded(Fraction(unpaid[invoice_id] * source.tax, source.total)) if source.total else 0

    taxes = []
    for parts in portions(sources, principals):
        before = sum(tax_of(s.invoice_id) for s, _ in parts)
        for source, amount in parts:
            unpaid[source.invoice_id] -= amount
        taxes.append(before - sum(tax_of(s.invoice_id) for s, _ in parts))
    return taxes


def written_off_tax(unpaid: int, invoice_tax: int, invoice_total: int) -> int:
    """The tax inside an unpaid rest: 566.67 of an invoice with 150.00 in 1,150.00 → 73.91."""
    return rounded(Fraction(unpaid * invoice_tax, invoice_total)) if invoice_total else 0


def deposit_amount(principal: int, percent: Decimal) -> int:
    """`percent` of the principal, rounded up to a whole minor unit."""
    return int((principal * percent / 100).to_integral_value(ROUND_CEILING))


def settlement_yearly_percent(rows: Sequence[Installment], start: dt.date, percent: Decimal) -> Decimal:
    """What a settlement discount costs the creditor a year when all is paid on `start` and not by the schedule."""
    principal = sum(r.principal for r in rows)
    owed_days = sum(r.principal * max((r.due - start).days, 0) for r in rows)
    days = round(owed_days / principal) if principal else 0
    return skipped_discount_percent(percent, 0, days) if percent and days else Decimal("0.0")
