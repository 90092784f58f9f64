"""How a customer pays, seen over several invoices. Below a handful of invoices there is no habit to speak of.

Trends are facts to show, not forecasts: on real books "getting slower" says almost nothing about the next
invoice (docs/judgement.md). What is disputed, covered by unapplied money, or ours (installments) is left out.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import partial
from operator import attrgetter
from statistics import median
from typing import Any, NamedTuple

from connector.domain.calendar import next_business_day
from connector.domain.findings.facts import Evidence, Finding, Receivables, by_currency, days, name
from connector.domain.money import Money
from connector.domain.on_account import Part, covered
from connector.domain.policy import Policy
from connector.domain.receivables import Invoice, Status
from connector.domain.trifles import SHORT, is_trifle, largest

GRACE = 3  # days after the due date (or the business day after it) that nobody should call late
LONGEST_HOLIDAY = 14  # days in a row without a business day, at the very most
HABIT = 3  # invoices that make a habit
PAST = 6  # earlier invoices that make "their usual"
SLOWER = 7  # days later than usual
KEPT_BACK = (201, 2000)  # a tenth of an invoice is the most that is kept back by agreement; and rounding
ALIKE = Fraction(1, 200)  # shares of an invoice that are the same but for rounding and tax rates
_GRACE, _WEEK, _CLEAR = dt.timedelta(GRACE), dt.timedelta(7), dt.timedelta(GRACE + LONGEST_HOLIDAY)
_NO_TRIFLE = 100 // (100 - SHORT)  # a payment of more than this part of the invoice is none (`trifles`)


class Paid(NamedTuple):  # made by the hundred: a frozen dataclass takes three times as long
    """One invoice that is due or settled: `late` are days after its due day (0 within grace, never negative).

    `settled` is None while it is open, and then `late` counts up to today.
    """

    invoice: Invoice
    due: dt.date
    settled: dt.date | None
    late: int


_paid: Callable[[tuple[Invoice, dt.date, dt.date | None, int]], Paid] = partial(tuple.__new__, Paid)


def record(receivables: Receivables, policy: Policy, today: dt.date) -> list[Paid]:
    """Every invoice that shows how this customer pays, by due date; the order of payments does not matter.

    An invoice counts once its due day (and grace) has passed, or it is settled: on the day from which no more than a
    trifle was open (`trifles`), or than the share that they leave open each time (`kept_back_of`). Money on account
    counts as if it were matched, on the day it came (`on_account`). An invoice closed by credits alone shows nothing.
    """
    key = ("record", today, policy.plan.tolerance_amount)
    if key in receivables.memory:
        return list(receivables.memory[key])
    received, rest = receivables.received(today), receivables.disputed(today)
    ours = {p.invoice_id for c in receivables.credits if c.marker and not c.void for p in c.allocations}
    held, agreed = receivables.held(today), receivables.agreed
    kept = kept_back_of(receivables, policy, today)
    found = []
    for invoice in sorted(receivables.invoices, key=_place(receivables)):
        id, total, status = invoice.id, invoice.total, invoice.status
        dead = (status is not Status.PAID and status in _DEAD) or total <= 0
        if dead or invoice.marker or id in rest or id in ours or invoice.date > today:
            continue
        due = agreed.get(id, invoice.due) if agreed else invoice.due
        parts, settled, balance = received.get(id), None, invoice.balance
        if held and (cover := held.get(id)):
            parts = _with_held(parts, cover)
            balance -= covered(cover)
        if balance <= 0 and parts and len(parts) == 1:
            settled = parts[0][0]
        elif balance == 0 and parts and parts[-1][1] * _NO_TRIFLE > total and id not in kept:
            settled = parts[-1][0]
        else:
            most = kept.get(id) or largest(total, invoice.currency, policy.plan)
            if balance <= most:
                if not parts:
                    continue
                settled = _settled(parts, most - balance)
        late = 0
        if (gap := (settled or today) - due) > _GRACE:
            late = gap.days if gap > _CLEAR else days_late(due, settled or today, receivables.country)
        if settled or late:
            found.append(_paid((invoice, due, settled, late)))
    receivables.memory[key] = tuple(found)
    return found


def _with_held(parts: list[tuple[dt.date, int]] | None, cover: Iterable[Part]) -> list[tuple[dt.date, int]]:
    """What was paid on an invoice, with what is on account for it."""
    return sorted([*(parts or ()), *((p.day, p.amount) for p in cover if not p.given)])


def _settled(parts: list[tuple[dt.date, int]], spare: int) -> dt.date:
    """The day of the last receipt without which more than a trifle is open; `spare` may be missing."""
    for day, amount in reversed(parts[1:]):
        if amount > spare:
            return day
        spare -= amount
    return parts[0][0]


def days_late(due: dt.date, end: dt.date, country: str) -> int:
    """Days after the due date; 0 within the grace that follows it, or the business day after it."""
    days = (end - due).days
    if days <= GRACE:
        return 0
    if days <= GRACE + LONGEST_HOLIDAY:
        return days if end > next_business_day(due, country) + _GRACE else 0
    return days


_DEAD = (Status.VOID, Status.DRAFT)
# By due date. Names come last, so that two names never decide what two amounts could.
_by_due = attrgetter("due", "date", "total", "balance", "number", "id")


def _place(receivables: Receivables) -> Callable[[Invoice], Any]:
    return (lambda i: (receivables.due(i), *_by_due(i))) if receivables.agreed else _by_due


def kept_back_of(receivables: Receivables, policy: Policy, today: dt.date) -> dict[str, int]:
    """Invoice id → what they left open of it when they paid: at most a tenth, and the same share HABIT times or more.

    Who is short of money is not short by the same share each time. A retention is agreed (a tenth of each payment at
    most: FAR 32.103; VOB/B § 17 (6) no. 1), as are a discount or a tax that the customer has to withhold.
    """
    key = ("kept back", today, policy.plan.tolerance_amount)
    if key in receivables.memory:
        return dict(receivables.memory[key])
    held = receivables.held(today)
    received, found = receivables.received(today), list[tuple[Fraction, str, int]]()
    for invoice in receivables.invoices:
        parts, balance = received.get(invoice.id), invoice.balance
        if held and (cover := held.get(invoice.id)):
            parts, balance = _with_held(parts, cover), balance - covered(cover)
        if not parts or (balance <= 0 and len(parts) == 1) or invoice.status in _DEAD:
            continue
        total = invoice.total
        left = total - _soon(parts)
        if left <= 0 or left * KEPT_BACK[1] > total * KEPT_BACK[0] or invoice.marker:
            continue
        if left > largest(total, invoice.currency, policy.plan):
            found.append((Fraction(left, total), invoice.id, left))
    found.sort()
    kept = dict[str, int]()
    for first, last in zip(found, found[HABIT - 1 :], strict=False):
        if last[0] - first[0] <= ALIKE:
            kept |= {id: left for share, id, left in found if first[0] <= share <= last[0]}
    receivables.memory[key] = dict(kept)
    return kept


def kept_back(receivables: Receivables, policy: Policy, today: dt.date) -> list[Finding]:
    """The same share of each invoice stays open: a habit or an agreement to ask about, no sign of trouble."""
    kept, received = kept_back_of(receivables, policy, today), receivables.received(today)
    findings, held = [], receivables.held(today)
    mine = [i for i in receivables.missing(today) if i.id in kept] if kept else []
    for currency, invoices in by_currency(mine).items():
        shown = [
            Evidence(i.id, _with_held(received.get(i.id), held.get(i.id, ()))[0][0], kept[i.id])
            for i in invoices
        ]
        shown.sort(key=lambda e: (e.date, e.invoice))
        share = (
            f"{100 * sum(kept[i.id] for i in invoices) / sum(i.total for i in invoices):.1f}".removesuffix(
                ".0"
            )
        )
        open_ = Money(sum(receivables.owed(i, today) for i in invoices), currency)
        text = (
            f"They leave the same share of their invoices open, {share} % each time, {open_} so far: "
            "a retention, a discount or a tax withheld? Ask before reminding of it."
        )
        since = shown[min(HABIT, len(shown)) - 1].date
        findings.append(Finding("kept_back", since, tuple(shown), currency, text))
    return findings


def _soon(parts: Sequence[tuple[dt.date, int]]) -> int:
    """What came within a week of the first payment."""
    first, soon = parts[0]
    if len(parts) > 1:
        last = first + _WEEK
        soon = sum([amount for date, amount in parts if date <= last])
    return soon


def repeatedly_short(receivables: Receivables, policy: Policy, today: dt.date) -> list[Finding]:
    """The first payment on an invoice is less than the invoice, and the rest does not follow soon: more often than not
    in a year, or each time lately."""
    received = receivables.received(today)
    findings = []
    for currency, invoices in by_currency(_a_year(receivables, today)).items():
        short, whole = list[Evidence](), list[dt.date]()
        for invoice in invoices:
            parts = received.get(invoice.id, [])
            if not parts:
                continue
            first, soon = parts[0][0], _soon(parts)
            if soon * 100 < invoice.total * SHORT and (invoice.balance > 0 or len(parts) > 1):
                short.append(Evidence(invoice.id, first, soon))
            else:
                whole.append(first)
        lately = [e for e in short if e.date > max(whole, default=dt.date.min)]
        often = len(short) > len(whole)
        shown = sorted(short if often else lately, key=lambda e: (e.date, e.invoice))
        if len(shown) >= HABIT:
            last = f"{len(shown)} of their last {len(short) + len(whole)} payments"
            text = f"{last if often else f'Their last {len(shown)} payments all'} began short of the invoice."
            since = shown[HABIT - 1].date
            findings.append(Finding("repeatedly_short", since, tuple(shown), currency, text))
    return findings


def shrinking_payments(receivables: Receivables, policy: Policy, today: dt.date) -> list[Finding]:
    """Each part-payment on what is overdue is smaller than the one before: three or more, the last well below the first."""
    findings = []
    received = receivables.received(today)
    missed = [i for i in receivables.missing(today) if i.id in received and not is_trifle(i, policy.plan)]
    for currency, invoices in by_currency(missed).items():
        parts: dict[dt.date, list[Evidence]] = {}
        for invoice in invoices:
            for date, amount in received[invoice.id]:
                if (today - date).days <= 180 and receivables.due(invoice) < today:
                    parts.setdefault(date, []).append(Evidence(invoice.id, date, amount))
        run: list[tuple[dt.date, int]] = []
        for date in sorted(parts):
            amount = sum(e.amount for e in parts[date])
            run = [*run, (date, amount)] if run and amount < run[-1][1] else [(date, amount)]
        if len(run) >= 3 and run[-1][1] * 10 <= run[0][1] * 8:
            evidence = tuple(
                e for date, _ in run for e in sorted(parts[date], key=lambda e: (e.invoice, e.amount))
            )
            first, last = Money(run[0][1], currency), Money(run[-1][1], currency)
            text = (
                f"Their part-payments are getting smaller: {len(run)} in a row, from {first} down to {last}."
            )
            findings.append(Finding("shrinking_payments", run[2][0], evidence, currency, text))
    return findings


def slowing(receivables: Receivables, policy: Policy, today: dt.date) -> list[Finding]:
    """Their latest invoices took clearly longer than their own usual: at least ten days, on most of them."""
    found = slower(record(receivables, policy, today), today)
    if found is None:
        return []
    usual, now, those = found
    evidence = tuple(Evidence(p.invoice.id, p.settled or today, p.invoice.total) for p in those)
    before = "on time" if usual < 1 else f"about {days(round(usual))} late"
    text = f"They used to pay {before}; lately it is about {days(round(now))} late."
    return [Finding("slowing", those[0].due + dt.timedelta(1), evidence, those[0].invoice.currency, text)]


def slower(paid: list[Paid], today: dt.date) -> tuple[float, float, list[Paid]] | None:
    """(usual days late, days late of the latest, those that are slower), or None: they pay as they used to."""
    recent, past = latest(paid, today)
    if len(recent) < HABIT or len(past) < PAST:
        return None
    usual, now = median(p.late for p in past), median(p.late for p in recent)
    those = [p for p in recent if p.late > usual + SLOWER]
    if now < usual + 10 or len(those) < HABIT or len(those) * 3 < len(recent) * 2:
        return None
    return usual, now, those


def first_miss(receivables: Receivables, policy: Policy, today: dt.date) -> list[Finding]:
    """A customer who always paid on time has one invoice overdue."""
    paid = record(receivables, policy, today)
    missed = [p for p in paid if p.settled is None and p.late > 7]
    if len(missed) != 1:
        return []
    since = today - dt.timedelta(730)
    before = [p for p in paid if p.due >= since and p.settled is not None]
    if len(before) < 5 or any(p.late for p in before):
        return []
    invoice = missed[0].invoice
    evidence = (Evidence(invoice.id, missed[0].due, receivables.owed(invoice, today)),)
    text = f"Their first miss: invoice {name(invoice)} is {days(missed[0].late)} late, after {len(before)} paid on time."
    return [Finding("first_miss", missed[0].due + dt.timedelta(1), evidence, invoice.currency, text)]


def recovered(receivables: Receivables, policy: Policy, today: dt.date) -> list[Finding]:
    """They were more than a month late with several invoices, and have paid the latest ones on time."""
    paid = record(receivables, policy, today)
    run: list[Paid] = []
    while paid and paid[-1].late == 0 and paid[-1].settled:
        run.insert(0, paid.pop())
    bad = [p for p in paid if p.late > 30 and (today - p.due).days <= 540]
    still = any(p.settled is None for p in paid)
    if len(run) < 4 or (run[-1].due - run[0].due).days < 60 or len(bad) < 2 or still:
        return []
    evidence = tuple(Evidence(p.invoice.id, p.settled or today, p.invoice.total) for p in run)
    text = f"They are back on track: the last {len(run)} invoices were paid on time."
    return [Finding("recovered", run[3].settled or today, evidence, run[0].invoice.currency, text)]


def latest(paid: list[Paid], today: dt.date) -> tuple[list[Paid], list[Paid]]:
    """(recent, earlier): due in the last 120 days, and at least the last three. By due date alone."""
    cut = bisect_left(paid, today - dt.timedelta(120), key=attrgetter("due"))
    cut = min(cut, max(0, len(paid) - HABIT))
    while cut > 0 and paid[cut - 1].due == paid[cut].due:
        cut -= 1
    return paid[cut:], paid[:cut]


def _a_year(receivables: Receivables, today: dt.date) -> list[Invoice]:
    since = today - dt.timedelta(365)
    of_it = [i for i in receivables.invoices if since <= i.date <= today]
    return [i for i in of_it if i.status not in _DEAD and not i.marker]
