"""On which day what is concluded about a customer can next be different, although nothing happens.

A customer who has paid everything stays as they are until an invoice leaves one of the windows that findings and
assessment look through. One who owes passes marks: a due date, the end of a grace, so many days late. Between two
marks nothing but the count of days grows, which whoever looks counts anew; a nightly review leaves them alone.
Whoever something was said of may be another one every day.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Iterator
from itertools import chain, pairwise
from math import ceil
from operator import attrgetter
from statistics import median

from connector.domain import assessment
from connector.domain.assessment import RECENTLY, Habits, Tally, tally
from connector.domain.calendar import next_business_day
from connector.domain.findings import habits
from connector.domain.findings.facts import Receivables
from connector.domain.findings.habits import GRACE, HABIT, LONGEST_HOLIDAY, PAST, SLOWER, Paid, record
from connector.domain.findings.owed import is_late
from connector.domain.findings.said import SILENCE
from connector.domain.policy import Policy
from connector.domain.receivables import CreditNote, Invoice, Payment, Status
from connector.domain.trifles import is_trifle

NEVER = dt.date.max
A_YEAR = 365
# Days after a due date on which a customer who was ever late may look different: a season (assessment), the
# year's mean (assessment), and what a recovery is measured against (findings).
_SEASON = (assessment.SEASON[0], assessment.SEASON[1] + 1)
RECOVERY = 541
AFTER_LATE = (*_SEASON, A_YEAR + 1, RECOVERY)
AHEAD = 28  # days that whoever owes is left alone at the longest
MISSED = (8, 731)  # days after a due date: a first miss, and the last day that counts before one
_PART = 181  # days after which a payment in part no longer counts (findings)


def next_change(receivables: Receivables, policy: Policy, today: dt.date, before: dt.date = NEVER) -> dt.date:
    """The first day after `today` that may bring another conclusion; NEVER when none does. Of whoever owes, `before`
    if there is none until then: no need to look further than to a day on which they are looked at anyway.

    How much of what is open is overdue is no other conclusion: it is counted every night (`reviewing.ageing`).
    """
    live = [i for i in receivables.invoices if i.status not in (Status.VOID, Status.DRAFT)]
    if receivables.events or receivables.agreed:
        return today + dt.timedelta(1)
    if any(i.balance > 0 for i in live):
        return _while_owing(receivables, live, policy, today, before)
    received = receivables.received(today)
    windows = [RECENTLY + 1]
    if any(p.late for p in record(receivables, policy, today)):
        windows += AFTER_LATE
    days = {i.due + dt.timedelta(n) for i in live for n in windows}
    if any(len(parts) > 1 for parts in received.values()):
        days |= {i.date + dt.timedelta(A_YEAR + 1) for i in live}
    days.update(_dated(receivables, live, today))
    return min((day for day in days if day > today), default=NEVER)


def _dated(receivables: Receivables, live: list[Invoice], today: dt.date) -> Iterator[dt.date]:
    """The days ahead of the documents themselves: what is dated ahead counts from then on."""
    documents: list[Payment | CreditNote] = [*receivables.payments, *receivables.credits]
    yield from (one.date for one in (*live, *documents) if one.date > today)
    parts = chain.from_iterable(document.allocations for document in documents)
    yield from (part.date for part in parts if part.date and part.date > today)


def _while_owing(
    receivables: Receivables, live: list[Invoice], policy: Policy, today: dt.date, before: dt.date
) -> dt.date:
    tomorrow, open_ = today + dt.timedelta(1), receivables.open()
    spare = any(p.unapplied for p in receivables.payments if not p.void)
    spare = spare or any(c.remaining for c in receivables.credits if not c.void)
    ours = any(c.marker for c in receivables.credits)
    if spare or ours or len(open_) < sum(i.balance > 0 for i in live):
        return tomorrow  # money that waits to be matched, or a document of which the balance does not say all
    paid = record(receivables, policy, today)
    missed = [i for i in open_ if not is_trifle(i, policy.plan)]
    days = {min(before, today + dt.timedelta(AHEAD)), *_dated(receivables, live, today)}
    days.update(_of_due_dates(receivables, open_, policy, today))
    days.update(_of_parts(receivables, open_, live, today))
    days.update(_of_habits(receivables, paid, missed, today))
    days.update(_of_silence(receivables, missed, today))
    until = min(day for day in days if day > today)
    return _other_habits(paid, _coming(receivables, missed, paid), today, until)


def _of_due_dates(
    receivables: Receivables, open_: list[Invoice], policy: Policy, today: dt.date
) -> Iterator[dt.date]:
    """When something is overdue in a currency in which nothing is, in the ledger's count and in ours."""
    known = {i.currency for i in open_ if is_late(receivables, i, policy, today)}
    for invoice in open_:
        if invoice.currency not in known:
            due = receivables.due(invoice)
            yield due + dt.timedelta(1)
            business = next_business_day(due, receivables.country)
            yield business + dt.timedelta(policy.findings.grace_days + 1)


def _of_parts(
    receivables: Receivables, open_: list[Invoice], live: list[Invoice], today: dt.date
) -> Iterator[dt.date]:
    """When payments in part leave the windows of the detectors that look at them."""
    received = receivables.received(today)
    came = [day for i in open_ for day, _ in received.get(i.id, ())]
    if len(came) >= HABIT:
        yield from (day + dt.timedelta(_PART) for day in came)
        yield from (receivables.due(i) + dt.timedelta(1) for i in open_ if i.id in received)
    if sum(i.balance > 0 or len(received[i.id]) > 1 for i in live if i.id in received) >= HABIT:
        since = today - dt.timedelta(A_YEAR + 1)
        yield from (i.date + dt.timedelta(A_YEAR + 1) for i in live if i.date > since)


def _of_habits(
    receivables: Receivables, paid: list[Paid], open_: list[Invoice], today: dt.date
) -> Iterator[dt.date]:
    """When a recovery, or a first miss, is measured against other invoices."""
    if all(p.settled is not None for p in paid):
        yield from (p.due + dt.timedelta(RECOVERY) for p in paid if p.late > assessment.SERIOUS)
        yield from (begins(receivables, i) for i in open_)
    before = [p for p in paid if p.settled is not None and (today - p.due).days < MISSED[1]]
    if late := [p.due for p in before if p.late]:
        yield max(late) + dt.timedelta(MISSED[1])
    elif len(before) >= 5:
        yield sorted(p.due for p in before)[-5] + dt.timedelta(MISSED[1])
        yield from (max(begins(receivables, i), receivables.due(i) + dt.timedelta(MISSED[0])) for i in open_)


def begins(receivables: Receivables, invoice: Invoice) -> dt.date:
    """The first day on which an open invoice is late (`habits.days_late`)."""
    due = receivables.due(invoice)
    business = next_business_day(due, receivables.country)
    return min(business + dt.timedelta(GRACE + 1), due + dt.timedelta(GRACE + LONGEST_HOLIDAY + 1))


def _of_silence(receivables: Receivables, open_: list[Invoice], today: dt.date) -> Iterator[dt.date]:
    """When nothing was heard for longer than is usual, as `said.silent` counts from the oldest invoice on."""
    own = [receivables.due(i) for i in open_ if not i.marker and i.total > 0]
    if not own:
        return
    came = sorted({p.date for p in receivables.payments if not p.void and p.date <= today})
    gaps = [(later - earlier).days for earlier, later in pairwise(came)]
    usual = 2 * median(gaps) if len(gaps) >= 3 else 0
    yield max([min(own), *came[-1:]]) + dt.timedelta(ceil(max(SILENCE, usual)))


def _coming(receivables: Receivables, open_: list[Invoice], paid: list[Paid]) -> list[tuple[dt.date, Paid]]:
    """What is open and not late yet: the first day on which it is, and how it is counted then."""
    known = {p.invoice.id for p in paid}
    return [
        (begins(receivables, i), Paid(i, receivables.due(i), None, 0))
        for i in open_
        if i.id not in known and not i.marker and i.total > 0
    ]


def _other_habits(
    paid: list[Paid], coming: list[tuple[dt.date, Paid]], today: dt.date, until: dt.date
) -> dt.date:
    """The first day before `until` on which the growing days late, or an invoice that is no longer recent, make
    another kind of payer; else `until`."""
    if (until - today).days < 2:
        return until
    late = [p for p in habits.latest(paid, today)[0] if p.late > SLOWER or p.settled is None]
    slow = len(paid) + len(coming) >= HABIT + PAST and len(late) + len(coming) >= HABIT
    growing = any(p.settled is None and (slow or p.late < 2 * assessment.SERIOUS) for p in paid)
    leaving = set[dt.date]()
    for days in (dt.timedelta(n) for n in (RECENTLY + 1, A_YEAR + 1, *_SEASON)):
        first, last = (bisect_left(paid, day - days, key=attrgetter("due")) for day in (today, until))
        leaving.update(p.due + days for p in paid[first:last])
    settled, waiting = _Settled(paid), [p for p in paid if p.settled is None]
    now = settled.kind(waiting, today, slow)
    for ahead in range(1, (until - today).days):
        day = today + dt.timedelta(ahead)
        begun = [p._replace(late=(day - p.due).days) for first, p in coming if first <= day]
        if not growing and not begun and day not in leaving:
            continue
        then = [p._replace(late=(day - p.due).days) for p in waiting]
        if settled.kind([*then, *begun], day, slow) != now:
            return day
    return until


class _Settled:
    """What is paid of a record: it stays as it is while the days late of the rest grow, so it is counted once."""

    def __init__(self, paid: list[Paid]) -> None:
        self.paid = [p for p in paid if p.settled is not None]
        self.known: dict[int, tuple[Tally, Tally]] = {}

    def kind(self, rest: list[Paid], day: dt.date, slow: bool) -> tuple[str, str, bool]:
        """What of the habits is more than a count: segment, way to go on, whether they are slowing."""
        seen = self.habits(rest, day)
        segment = assessment.judge(seen)[0]
        slowing = slow and habits.slower(self.whole(rest), day) is not None
        return segment, assessment.path(segment, seen), slowing

    def habits(self, rest: list[Paid], day: dt.date) -> Habits:
        """As `assessment.habits_of` the whole."""
        since = day - dt.timedelta(RECENTLY)
        cut = bisect_left(self.paid, since, key=attrgetter("due"))
        if cut not in self.known:
            self.known[cut] = tally(self.paid[cut:]), tally(self.paid[:cut])
        recent, earlier = self.known[cut]
        recent += tally([p for p in rest if p.due >= since])
        earlier += tally([p for p in rest if p.due < since])
        if recent.serious:  # how much money that is must be seen
            return assessment.habits_of(self.whole(rest), day)
        waits = max((p.late for p in rest), default=0)
        return Habits(recent, earlier, waits, False, lambda: self._seasonal(rest, day))

    def _seasonal(self, rest: list[Paid], day: dt.date) -> bool:
        return assessment.habits_of(self.whole(rest), day).seasonal()

    def whole(self, rest: list[Paid]) -> list[Paid]:
        return sorted([*self.paid, *rest], key=attrgetter("due"))
