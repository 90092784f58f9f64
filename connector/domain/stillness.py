"""On which day what is concluded about a customer can next be different, although nothing happens.

A customer who has paid everything stays as they are until an invoice leaves one of the windows that findings and
assessment look through. One who owes passes marks: a due date, the end of a grace, so many days late. Between two
marks nothing but the count of days grows, which whoever looks counts anew; a nightly review leaves them alone.
Whoever something was said of may be another one every day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from itertools import pairwise
from math import ceil
from operator import attrgetter
from statistics import median

from connector.domain import assessment
from connector.domain.assessment import RECENTLY
from connector.domain.calendar import next_business_day
from connector.domain.findings import habits
from connector.domain.findings.facts import Receivables
from connector.domain.findings.habits import GRACE, HABIT, LONGEST_HOLIDAY, PAST, SLOWER, Paid, record
from connector.domain.findings.owed import is_late
from connector.domain.findings.said import SILENCE
from connector.domain.policy import Policy
from connector.domain.receivables import CreditNote, Invoice, Payment, Status

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


def next_change(receivables: Receivables, policy: Policy, today: dt.date) -> dt.date:
    """The first day after `today` that may bring another conclusion; NEVER when none does."""
    live = [i for i in receivables.invoices if i.status not in (Status.VOID, Status.DRAFT)]
    if receivables.events or receivables.agreed:
        return today + dt.timedelta(1)
    if any(i.balance > 0 for i in live):
        return _while_owing(receivables, live, policy, today)
    received = receivables.received(today)
    windows = [RECENTLY + 1]
    if any(p.late for p in record(receivables, today)):
        windows += AFTER_LATE
    days = {i.due + dt.timedelta(n) for i in live for n in windows}
    if any(len(parts) > 1 for parts in received.values()):
        days |= {i.date + dt.timedelta(A_YEAR + 1) for i in live}
    days.update(_dated(receivables, live))
    return min((day for day in days if day > today), default=NEVER)


def _dated(receivables: Receivables, live: list[Invoice]) -> Iterator[dt.date]:
    """The days of the documents themselves: what is dated ahead counts from then on."""
    yield from (i.date for i in live)
    documents: list[Payment | CreditNote] = [*receivables.payments, *receivables.credits]
    for document in documents:
        yield document.date
        yield from (part.date for part in document.allocations if part.date)


def _while_owing(receivables: Receivables, live: list[Invoice], policy: Policy, today: dt.date) -> dt.date:
    tomorrow, open_ = today + dt.timedelta(1), receivables.open()
    spare = any(p.unapplied for p in receivables.payments if not p.void)
    spare = spare or any(c.remaining for c in receivables.credits if not c.void)
    ours = any(c.marker for c in receivables.credits)
    if spare or ours or len(open_) < sum(i.balance > 0 for i in live):
        return tomorrow  # money that waits to be matched, or a document of which the balance does not say all
    paid = record(receivables, today)
    days = {today + dt.timedelta(AHEAD), *_dated(receivables, live)}
    days.update(_of_due_dates(receivables, open_, policy, today))
    days.update(_of_parts(receivables, open_, live, today))
    days.update(_of_habits(receivables, paid, open_, today))
    days.update(_of_silence(receivables, open_, today))
    until = min(day for day in days if day > today)
    return _other_habits(paid, _coming(receivables, open_, paid), today, until)


def _of_due_dates(
    receivables: Receivables, open_: list[Invoice], policy: Policy, today: dt.date
) -> Iterator[dt.date]:
    """When something is overdue, in the ledger's count and in ours; the second in a currency in which nothing is."""
    known = {i.currency for i in open_ if is_late(receivables, i, policy, today)}
    for invoice in open_:
        due = receivables.due(invoice)
        yield due + dt.timedelta(1)
        if invoice.currency not in known:
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
    if sum(i.balance > 0 or len(received[i.id]) > 1 for i in live if i.id in received) >= HABIT:
        yield from (i.date + dt.timedelta(A_YEAR + 1) for i in live)


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
    late = [p for p in paid if p.late > SLOWER or p.settled is None]
    slow = len(paid) + len(coming) >= HABIT + PAST and len(late) + len(coming) >= HABIT
    growing = any(p.settled is None and (slow or p.late < 2 * assessment.SERIOUS) for p in paid)
    windows = (RECENTLY + 1, A_YEAR + 1, *_SEASON)
    leaving = {p.due + dt.timedelta(days) for p in paid for days in windows}
    now = _kind(paid, today, slow)
    for ahead in range(1, (until - today).days):
        day = today + dt.timedelta(ahead)
        begun = [p._replace(late=(day - p.due).days) for first, p in coming if first <= day]
        if not growing and not begun and day not in leaving:
            continue
        then = [p if p.settled else p._replace(late=(day - p.due).days) for p in paid]
        if _kind(sorted([*then, *begun], key=attrgetter("due")), day, slow) != now:
            return day
    return until


def _kind(paid: list[Paid], today: dt.date, slow: bool) -> tuple[str, str, bool]:
    """What of the habits is more than a count: segment, way to go on, whether they are slowing."""
    seen = assessment.habits_of(paid, today)
    segment = assessment.judge(seen)[0]
    return segment, assessment.path(segment, seen), slow and habits.slower(paid, today) is not None
