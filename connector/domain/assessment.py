"""What kind of payer a customer is today, why, what would change that, and how to go on.

Two questions, each answered low, mild or severe from the record of due invoices: how have the latest invoices
been paid (`recent`), and how the ones before (`past`)?

| recent \\ past | low      | mild      | severe    |
| low           | reliable | reliable  | forgetful |
| mild          | forgetful | forgetful | forgetful |
| severe        | squeezed | squeezed  | chronic   |

What is recent (due in the last 120 days) depends on due dates alone, and each answer can only get worse with a
later payment. So paying later never improves an assessment, and paying on time never worsens it. The book's other customers play no part.
A person may override the segment with a reason; the facts stay beside it.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from connector.domain.aging import days_overdue
from connector.domain.findings.facts import Receivables, days
from connector.domain.findings.habits import GRACE, HABIT, Paid, record
from connector.domain.findings.said import RECENT, broken_promises
from connector.domain.money import Money, exponent
from connector.domain.policy import Policy

NOT_ENOUGH = "not_enough_data"
SEGMENTS = (NOT_ENOUGH, "reliable", "forgetful", "squeezed", "chronic", "disputing")
LOW, MILD, SEVERE = range(3)
RECENTLY = 120  # days: what fell due since then is recent
SERIOUS = 30  # days late
OUTSTANDING = 2  # times the largest other invoice
_TABLE = (
    ("reliable", "reliable", "forgetful"),
    ("forgetful", "forgetful", "forgetful"),
    ("squeezed", "squeezed", "chronic"),
)
PATHS = {
    NOT_ENOUGH: "wait",
    "reliable": "none",
    "forgetful": "nudge",
    "squeezed": "plan",
    "chronic": "stricter_terms",
    "disputing": "dispute_desk",
}
# How much acting is thought to help, from 0 to 1. A judgement, not a measurement: a friendly word moves the
# forgetful most, a plan helps the squeezed, the chronic rarely change, and a dispute needs an answer first.
_HELPS = {
    NOT_ENOUGH: 0.4,
    "reliable": 0.3,
    "forgetful": 0.6,
    "squeezed": 0.8,
    "chronic": 0.4,
    "disputing": 0.5,
}


@dataclass(frozen=True, slots=True)
class Assessment:
    """`path` is how to go on: wait, none, nudge, plan, stricter_terms, dispute_desk or talk."""

    segment: str
    reasons: tuple[str, ...]
    changes: tuple[str, ...]  # what would change it
    path: str
    priority: float


@dataclass(frozen=True, slots=True)
class Tally:
    """Some invoices in a nutshell: all that severity and reasons rest on."""

    count: int = 0
    late: int = 0  # how many
    serious: int = 0  # how many more than SERIOUS days
    sum: int = 0  # of days late, each at most twice SERIOUS
    worst: int = 0  # days late
    open: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.count + other.count,
            self.late + other.late,
            self.serious + other.serious,
            self.sum + other.sum,
            max(self.worst, other.worst),
            self.open + other.open,
        )


@dataclass(frozen=True, slots=True)
class Habits:
    """How somebody pays, counted. `waiting` is the longest that something is overdue now, 0 for nothing."""

    recent: Tally  # due in the last RECENTLY days
    earlier: Tally
    waiting: int
    stuck: bool
    seasonal: Callable[[], bool]  # asked only where it matters

    @property
    def whole(self) -> Tally:
        return self.recent + self.earlier


NO_HABITS = Habits(Tally(), Tally(), 0, stuck=False, seasonal=lambda: False)


def assess(receivables: Receivables, policy: Policy, today: dt.date) -> Assessment:
    """The customer on `today`. Nothing may be dated later."""
    paid = record(receivables, policy, today)
    broken = [e for e, _, _ in broken_promises(receivables, policy, today) if (today - e.date).days <= RECENT]
    back = [e for e in receivables.said("bounced") if 0 <= (today - e.date).days <= RECENT]
    habits = habits_of(paid, today)
    dispute = _disputing(receivables, paid, today)
    segment, reasons, changes = judge(habits, dispute=dispute, broken=len(broken), back=len(back))
    return Assessment(segment, reasons, changes, path(segment, habits), priority(receivables, segment, today))


def path(segment: str, habits: Habits) -> str:
    """How to go on."""
    waits = habits.recent.open + habits.earlier.open > 0
    if segment == NOT_ENOUGH:
        return "talk" if waits else "wait"
    return "nudge" if segment == "reliable" and waits else PATHS[segment]


def tally(paid: Sequence[Paid]) -> Tally:
    late = [p.late for p in paid if p.late]
    return Tally(
        len(paid),
        len(late),
        sum(1 for day in late if day > SERIOUS),
        sum(min(day, 2 * SERIOUS) for day in late),
        max(late, default=0),
        sum(1 for p in paid if p.settled is None),
    )


def habits_of(paid: Sequence[Paid], today: dt.date) -> Habits:
    """From the record, by due date."""
    since = today - dt.timedelta(RECENTLY)
    cut = bisect_left(paid, since, key=attrgetter("due"))
    recent, earlier = paid[cut:], paid[:cut]
    past = earlier if len(earlier) >= HABIT else paid
    return Habits(
        tally(recent),
        tally(earlier),
        max((p.late for p in paid if p.settled is None), default=0),
        _stuck(recent, paid, today),
        lambda: _seasonal(past, today),
    )


def judge(
    habits: Habits, *, dispute: str = "", broken: int = 0, back: int = 0
) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """(segment, reasons, what would change it). `dispute` is why this is one; `broken` promises, payments that
    came `back`."""
    if dispute:
        return "disputing", (dispute,), ("The dispute is settled, and the rest is paid on time.",)
    recent, earlier, whole = habits.recent, habits.earlier, habits.whole
    if (settled := whole.count - whole.open) < HABIT:
        many = ("No invoice has", "Only 1 invoice has", "Only 2 invoices have")[settled]
        more = [f"{_many(whole.open)} overdue, but that alone shows no habit."] if whole.open else []
        return (
            NOT_ENOUGH,
            (f"{many} been paid in full so far; three make a first judgement.", *more),
            ("Three or more paid invoices.",),
        )
    before = now = severity(earlier if earlier.count >= HABIT else whole)
    if recent.count:
        missing = max(0, HABIT - recent.count)
        eked_out = recent + Tally(missing) if missing else recent
        now = max(severity(eked_out), SEVERE if habits.stuck else LOW)
        if missing and before == SEVERE:
            now = SEVERE  # too few to show a change
    reasons = [_how("latest", recent)] if recent.count else []
    if earlier.count:
        reasons.append(_how("earlier", earlier))
    if habits.waiting > 14 or broken or back:
        now = max(now, MILD)
    if whole.open and broken + back >= 2:
        now = SEVERE
    if broken:
        reasons.append(f"{_times(broken, 'promise')} to pay not kept.")
    if back:
        reasons.append(f"{_times(back, 'payment')} came back from the bank.")
    if now == SEVERE and before == SEVERE and habits.seasonal():
        before = MILD
        reasons.append(
            "They were as slow at this time last year and on time in between: a season, not a habit."
        )
    segment = _TABLE[now][before]
    return segment, tuple(reasons), _changes(segment, bool(whole.open))


def severity(of: Tally) -> int:
    """LOW, MILD or SEVERE for how late some invoices were. Grows with each of them and with nothing else.

    Severe: a third of them (two at least) more than 30 days late, or 20 days late on the average (60 at most for
    each). Mild: a third late, 5 days on the average, or one more than 30 days late.
    """
    mean = of.sum / of.count
    if (of.serious >= 2 and 3 * of.serious >= of.count) or mean >= 20:
        return SEVERE
    return MILD if of.serious or 3 * of.late >= of.count or mean >= 5 else LOW


def _stuck(recent: Sequence[Paid], paid: Sequence[Paid], today: dt.date) -> bool:
    """Half of a year's money is seriously late: small ones paid and the big one open is no good sign.

    An invoice weighs as much as it is larger than the year's mean in its currency. Only what is `OUTSTANDING` times
    as much as any other invoice counts, so that one late invoice of somebody who has one a year is no alarm; by
    amounts, not by how many there are, so that one more invoice on time can never raise it.
    """
    serious = [p.invoice for p in recent if p.late > SERIOUS]
    if not serious:
        return False
    others = [p.invoice for p in paid[: len(paid) - len(recent)]]
    others += [p.invoice for p in recent if p.late <= SERIOUS]
    year = [p.invoice for p in paid if (today - p.due).days <= 365]
    weight = 0.0
    for currency in sorted({i.currency for i in serious}):
        late = sum(i.total for i in serious if i.currency == currency)
        if late >= OUTSTANDING * max((i.total for i in others if i.currency == currency), default=0):
            same = [i.total for i in year if i.currency == currency]
            weight += late * len(same) / sum(same)
    return 2 * weight >= len(year)


SEASON = (245, 485)  # days ago: these months, a year before


def _seasonal(past: Sequence[Paid], today: dt.date) -> bool:
    since, until = SEASON
    between = [p for p in past if not since <= (today - p.due).days <= until]
    return season(len(past) - len(between), tally(between), all_paid=all(p.settled is not None for p in past))


def season(in_season: int, between: Tally, *, all_paid: bool) -> bool:
    """Slow in these months a year ago, on time in the others, and all of it paid in the end."""
    return in_season >= 2 and between.count >= HABIT and all_paid and severity(between) == LOW


def _disputing(receivables: Receivables, paid: Sequence[Paid], today: dt.date) -> str:
    """Why this is a dispute rather than a matter of money, or "": at least half of what is overdue is disputed."""
    rest = receivables.disputed(today)
    per: dict[str, int] = {}
    for invoice in receivables.open():
        if invoice.id in rest:
            per[invoice.currency] = per.get(invoice.currency, 0) + invoice.balance
    for currency, amount in sorted(per.items()):
        waiting = (p.invoice for p in paid if p.settled is None and p.invoice.currency == currency)
        other = sum(receivables.owed(i, today) for i in waiting)
        if amount >= other:
            else_ = "what else is overdue is no more than that" if other else "nothing else is overdue"
            return f"{Money(amount, currency)} is in dispute; {else_}."
    return ""


def priority(receivables: Receivables, segment: str, today: dt.date) -> float:
    """Money at risk times the chance that acting helps, in whole units of money; 0.0 when nothing is at risk.

    At risk is of each open balance: nothing before it is due, then a share that rises evenly from a tenth on
    the first day to the whole after 90 days; money on account comes off first. Foreign currency counts in home
    money where the invoice carries a rate.
    """
    owed = [
        (receivables.due(i), receivables.owed(i, today), i.currency, float(i.rate or 1))
        for i in receivables.open()
    ]
    return at_risk(owed, segment, today)


Owed = tuple[dt.date, int, str, float]  # due, minor units, currency, rate


def at_risk(owed: Iterable[Owed], segment: str, today: dt.date) -> float:
    """The priority, from what is open in the order of `Receivables.open`."""
    total = 0.0
    for due, minor, currency, rate in owed:
        late = days_overdue(due, today)
        if late > GRACE:
            risk = min(1.0, 0.1 + 0.9 * late / 90)
            total += minor / 10 ** exponent(currency) * rate * risk
    return round(total * _HELPS[segment], 2)


def _how(which: str, paid: Tally) -> str:
    if paid.count == 1:
        late = f"was late, by {days(paid.worst)}{', and is still open' if paid.open else ''}"
        return f"The {which} invoice {late if paid.late else 'was on time'}."
    of = f"Of the {which} {paid.count} invoices,"
    if not paid.late:
        return f"{of} all were on time."
    still = f", {paid.open} of them still open" if paid.open else ""
    return f"{of} {paid.late} {'was' if paid.late == 1 else 'were'} late, by up to {days(paid.worst)}{still}."


def _many(count: int) -> str:
    return "1 invoice is" if count == 1 else f"{count} invoices are"


def _times(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count} {what}s"


def _changes(segment: str, waiting: bool) -> tuple[str, ...]:
    open_ = ("What is overdue is paid.",) if waiting else ()
    more = {
        "reliable": ("Several invoices in a row more than a few days late.",),
        "forgetful": ("The next invoices are paid on time.",),
        "squeezed": (
            "The next three invoices are paid on time, or a plan is kept.",
            "More months like the last ones.",
        ),
        "chronic": ("Four months of paying on time.",),
    }
    return (*open_, *more[segment])
