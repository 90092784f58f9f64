"""How a customer has really paid: how much in a period, with its range, how often, and on which days.

The affordable amount (docs/accounting.md, "Schedules") is a heuristic, called that on the page, always shown
with its evidence and open to the bookkeeper's change.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from statistics import median, median_high, median_low

from connector.domain.calendar import Rhythm
from connector.domain.money import Money
from connector.domain.policy import PlanPolicy
from connector.domain.receivables import Invoice, Payment

PARTS, PAID = 180, 365  # days for which a payment in part, and any, shows what the customer can manage
FEWEST_MONTHS = 3  # with payments, before they show a usual month
FEWEST_DAYS = 6  # on which money came, before they show a rhythm
LATELY = 90  # days since the last of them, after which a rhythm is history
NOTICE = 2  # days that a customer has before the first payment, and a bookkeeper before that
_GAPS = {Rhythm.WEEKLY: (6, 8), Rhythm.TWO_WEEKLY: (12, 16), Rhythm.MONTHLY: (26, 35)}
EACH = {Rhythm.MONTHLY: "month", Rhythm.WEEKLY: "week", Rhythm.TWO_WEEKLY: "fortnight"}
_PERIODS_A_MONTH = {
    Rhythm.MONTHLY: Fraction(1),
    Rhythm.WEEKLY: Fraction(12, 52),
    Rhythm.TWO_WEEKLY: Fraction(12, 26),
}


@dataclass(frozen=True, slots=True)
class Affordable:
    """What the customer seems able to pay each period, from `low` to `high` (minor units), and what shows it."""

    amount: int
    low: int
    high: int
    reason: str

    @property
    def at_most(self) -> Affordable:
        """The upper end, for who pays reliably."""
        if self.high <= self.amount:
            return self
        return replace(
            self, amount=self.high, reason=f"{self.reason} They pay reliably: the upper end of that."
        )


def affordable(
    invoices: Sequence[Invoice],
    payments: Iterable[Payment],
    currency: str,
    rhythm: Rhythm,
    policy: PlanPolicy,
    today: dt.date,
) -> Affordable | None:
    """What the customer seems able to pay per period, or None when nothing shows it.

    The smaller of two: the median of the last up to six periods with part-payments on overdue invoices (within
    180 days), and the policy's share of what all their other payments come to in a usual month (within a year, at
    least three months with any).
    """
    known = {i.id: i for i in invoices if i.currency == currency}
    parts: dict[str, int] = {}
    months: dict[int, int] = {}
    count = 0
    for payment in payments:
        age = (today - payment.date).days
        if payment.void or payment.currency != currency or not 0 <= age <= PAID:
            continue
        other = payment.amount
        for part in payment.allocations:
            invoice = known.get(part.invoice_id)
            if invoice and payment.date > invoice.due and 0 < part.amount < invoice.total:
                other -= part.amount
                if age <= PARTS:
                    period = _period(payment.date, rhythm)
                    parts[period] = parts.get(period, 0) + part.amount
                    count += 1
        if other > 0:
            month = payment.date.year * 12 + payment.date.month
            months[month] = months.get(month, 0) + other
    shown = list[tuple[Fraction, Fraction, Fraction, str]]()
    if parts:
        latest = [Fraction(parts[p]) for p in sorted(parts)[-6:]]
        why = f"based on {count} part-payment{'s' if count != 1 else ''}"
        shown.append((median(latest), min(latest), max(latest), why))
    if len(months) >= FEWEST_MONTHS:
        share = Fraction(policy.affordable_share) / 100 * _PERIODS_A_MONTH[rhythm]
        usual, low, high = (m * share for m in _usual_month(months))
        why = f"{policy.affordable_share} % of what they pay in a usual month"
        shown.append((usual, low, high, why))
    shown = [s for s in shown if int(s[0]) > 0]
    if not shown:
        return None
    middle, lowest, highest, why = min(shown)
    return _said(int(middle), int(lowest), int(highest), currency, rhythm, why)


def _said(amount: int, low: int, high: int, currency: str, rhythm: Rhythm, why: str) -> Affordable:
    between = f" (from {Money(low, currency)} to {Money(high, currency)})" if low < high else ""
    text = f"About {Money(amount, currency)} a {EACH[rhythm]} seems manageable{between}, {why}; an estimate."
    return Affordable(amount, low, high, text)


def _usual_month(months: Mapping[int, int]) -> tuple[Fraction, Fraction, Fraction]:
    """(middle, low, high) of a month's money, from the first month with any to the last.

    Three months at a time, so that who pays once a quarter is not thought to pay as much each month; the median of
    these, so that one large payment counts little, and never above the mean, so that long gaps count. Low and high
    leave three of them out at either end, in which one payment may stand; of few, there is no range.
    """
    each = [months.get(m, 0) for m in range(min(months), max(months) + 1)]
    threes = sorted(sum(each[n : n + FEWEST_MONTHS]) for n in range(len(each) - 2))
    middle = Fraction(median_low(threes) + median_high(threes), 2 * FEWEST_MONTHS)
    middle = min(middle, Fraction(sum(each), len(each)))
    if len(threes) <= 2 * FEWEST_MONTHS:
        return middle, middle, middle
    low, high = (Fraction(threes[n], FEWEST_MONTHS) for n in (FEWEST_MONTHS, -1 - FEWEST_MONTHS))
    return middle, min(low, middle), max(high, middle)


def _period(date: dt.date, rhythm: Rhythm) -> str:
    if rhythm is Rhythm.MONTHLY:
        return f"{date:%Y-%m}"
    weeks = date.toordinal() // (14 if rhythm is Rhythm.TWO_WEEKLY else 7)
    return f"{weeks:08d}"


@dataclass(frozen=True, slots=True)
class PayDays:
    """The days of the last year on which money came, which follow a `rhythm`: three quarters of the gaps do."""

    days: tuple[dt.date, ...]
    rhythm: Rhythm

    def first(self, today: dt.date, within: int) -> dt.date:
        """Their usual day, where the next `within` days have it: a weekday, or a day of the month. Else the last."""
        last = today + dt.timedelta(within)
        usual = Counter(map(self._mark, self.days))
        ahead = [today + dt.timedelta(n) for n in range(min(NOTICE, within), within + 1)]
        best = max(ahead, key=lambda d: (usual[self._mark(d)], d))
        return best if 2 * usual[self._mark(best)] >= len(self.days) else last

    def _mark(self, day: dt.date) -> int:
        return day.day if self.rhythm is Rhythm.MONTHLY else day.weekday()


def pay_days(payments: Iterable[Payment], currency: str, today: dt.date) -> PayDays | None:
    """None: their payments follow no rhythm that a plan could keep, or too few show one."""
    came = (p.date for p in payments if not p.void and p.currency == currency and p.amount > 0)
    days = tuple(sorted({day for day in came if 0 <= (today - day).days <= PAID}))
    if len(days) < FEWEST_DAYS or (today - days[-1]).days > LATELY:
        return None
    gaps = [(later - earlier).days for earlier, later in pairwise(days)]
    for rhythm, (least, most) in _GAPS.items():
        if 4 * sum(least <= gap <= most for gap in gaps) >= 3 * len(gaps):
            return PayDays(days, rhythm)
    return None
