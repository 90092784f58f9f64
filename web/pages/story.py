"""A customer's story as charts: one time line, and how late they pay against their own habit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

from markupsafe import Markup

from connector.contact.contacts import HEARD
from connector.contact.holds import Promise
from connector.contact.reminders import REACHED, Reminder
from connector.domain.receivables import CreditNote, Invoice, Payment, Status
from connector.mirroring.books import Receivables
from connector.planning.plans import Record
from web import charts, words
from web.charts import Bar, Late, Mark

MONTHS = dt.timedelta(days=200)  # what the time line shows without being asked
MOST = 9  # invoices on the time line
DOTS = 30
ENTRIES = 60
ENOUGH = 5  # paid invoices before anybody speaks of a habit


def settled(picture: Receivables) -> dict[str, list[tuple[dt.date, int]]]:
    """Invoice → (day, amount) of everything set against it by live payments and credits, by day."""
    found: dict[str, list[tuple[dt.date, int]]] = {}
    sources: list[Payment | CreditNote] = [*picture.payments, *picture.credits]
    for source in sources:
        if not source.void:
            for part in source.allocations:
                found.setdefault(part.invoice_id, []).append((part.date or source.date, part.amount))
    return {id: sorted(parts) for id, parts in found.items()}


def lates(picture: Receivables, today: dt.date) -> list[Late]:
    """Days after the due date, per invoice, oldest due first: paid ones when they were, open ones so far."""
    paid = settled(picture)
    found = []
    for invoice in sorted(picture.invoices, key=lambda i: (i.due, i.id)):
        if invoice.status in (Status.VOID, Status.DRAFT) or invoice.marker:
            continue
        if invoice.balance > 0:
            if invoice.due < today:
                found.append(Late(invoice.number, invoice.due, (today - invoice.due).days, still=True))
        elif invoice.id in paid:
            found.append(Late(invoice.number, invoice.due, (paid[invoice.id][-1][0] - invoice.due).days))
    return found


def normal(found: Sequence[Late]) -> tuple[int, int] | None:
    """The customer's own normal: where the middle 8 in 10 of their paid invoices lie; None from too few."""
    days = [item.days for item in found if not item.still]
    if len(days) < ENOUGH:
        return None
    tenths = quantiles(days, n=10, method="inclusive")
    return round(tenths[0]), round(tenths[-1])


def habit_sentence(found: Sequence[Late], usual: tuple[int, int] | None) -> str:
    """What the habit chart shows, in words."""
    if usual is None:
        paid = sum(not item.still for item in found)
        return f"{words.many(paid, 'paid invoice')} so far. No habit can be told from so few."
    text = f"Their own normal: {_days(usual[0])} to {_days(usual[1])}, 8 in 10 invoices."
    outside = [item for item in found if item.still and item.days > usual[1]]
    if outside:
        text += f" {words.many(len(outside), 'open invoice')} {'is' if len(outside) == 1 else 'are'} later than that."
    return text


def _days(days: int) -> str:
    if days == 0:
        return "on the day"
    return f"{words.days(abs(days))} {'late' if days > 0 else 'early'}"


def habit(found: Sequence[Late], usual: tuple[int, int] | None) -> Markup:
    """The chart, wide and narrow; the page shows the one that fits."""
    sentence = habit_sentence(found, usual)
    wide = charts.habit(found[-DOTS:], usual, sentence, more="wide-only")
    return wide + charts.habit(found[-12:], usual, sentence, width=340, more="narrow-only")


def time_line(
    picture: Receivables,
    plans: Sequence[Record],
    messages: Sequence[Reminder],
    promises: Sequence[Promise],
    today: dt.date,
) -> Markup | None:
    """The last months on one line: invoices, payments, contacts, promises, and what a plan would bring."""
    shown = _shown(picture.invoices, settled(picture), today)
    if not shown:
        return None
    bars = [_bar(invoice, settled(picture).get(invoice.id, []), today) for invoice in shown]
    ahead = [
        Mark(row.due, "soon")
        for plan in plans
        if plan.state in ("proposed", "approved", "running")
        for row in plan.installments
        if row.open and row.due >= today
    ]
    contact = [Mark(m.reached_on, "talk") for m in messages if m.state in REACHED and m.reached_on]
    contact += [Mark(m.due_on, "talk") for m in messages if m.level == HEARD]
    contact += [Mark(p.promised_on, "promise") for p in promises]
    first = max(min(b.start for b in bars), today - MONTHS)
    last = today + dt.timedelta(days=75 if ahead else 30)
    rows = [("Contact, promises", [m for m in contact if m.day >= first])] if contact else []
    if ahead:
        rows.append(("Plan", [m for m in ahead if m.day <= last]))
    sentence = " ".join(f"{b.label}: {b.words}." for b in bars)
    wide = charts.time_line(bars, rows, first, today, last, sentence, more="wide-only")
    few = bars[-6:]
    first = max(min(b.start for b in few), today - dt.timedelta(days=120))
    return wide + charts.time_line(few, rows, first, today, last, sentence, width=340, more="narrow-only")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the story as a list. `what` is a short word for the kind of thing, `text` a sentence."""

    day: dt.date
    what: str
    text: str


def entries(
    picture: Receivables,
    plans: Sequence[Record],
    messages: Sequence[Reminder],
    promises: Sequence[Promise],
    today: dt.date,
    timezone: str,
) -> list[Entry]:
    """What the time line shows, and what does not fit on it, as sentences, the latest first.

    Days are the organization's, whose `timezone` it is.
    """
    first, found = today - MONTHS, []
    invoices = {i.id: i for i in picture.invoices}
    for invoice in picture.invoices:
        if invoice.status not in (Status.VOID, Status.DRAFT):
            amount = words.amount(invoice.total, invoice.currency)
            found.append(
                Entry(
                    invoice.date,
                    "Invoice",
                    f"{invoice.number} of {amount}, due {words.day(invoice.due, today)}",
                )
            )
    for id, parts in settled(picture).items():
        if invoice_ := invoices.get(id):
            left = invoice_.total
            for day, amount_ in parts:
                left -= amount_
                rest = "paid in full" if left <= 0 else f"{words.amount(left, invoice_.currency)} left"
                found.append(
                    Entry(
                        day,
                        "Payment",
                        f"{words.amount(amount_, invoice_.currency)} on {invoice_.number}, {rest}",
                    )
                )
    found += [
        Entry(m.reached_on, "Message", m.level.replace("_", " ").capitalize())
        for m in messages
        if m.state in REACHED and m.reached_on
    ]
    for promise in promises:
        amount = f"{words.amount(promise.amount, promise.currency)} " if promise.amount else ""
        found.append(
            Entry(
                promise.recorded_at.date(), "Promise", f"{amount}by {words.day(promise.promised_on, today)}"
            )
        )
    for plan in plans:
        if plan.approved_at:
            found.append(
                Entry(
                    words.local_date(plan.approved_at, timezone),
                    "Plan",
                    f"{plan.id}: {words.many(len(plan.installments), 'payment')} agreed",
                )
            )
    return sorted((e for e in found if e.day >= first), key=lambda e: e.day, reverse=True)[:ENTRIES]


def _shown(
    invoices: Sequence[Invoice], paid: dict[str, list[tuple[dt.date, int]]], today: dt.date
) -> list[Invoice]:
    """The open ones first of all, then the latest paid, in the order they were issued."""
    live = [i for i in invoices if i.status not in (Status.VOID, Status.DRAFT)]
    recent = sorted(
        (i for i in live if not i.balance and paid.get(i.id) and paid[i.id][-1][0] > today - MONTHS),
        key=lambda i: i.date,
    )
    open_ = sorted((i for i in live if i.balance), key=lambda i: i.date)[-MOST:]
    room = max(0, MOST - len(open_))
    return sorted([*(recent[-room:] if room else []), *open_], key=lambda i: (i.date, i.number))


def _bar(invoice: Invoice, parts: Sequence[tuple[dt.date, int]], today: dt.date) -> Bar:
    left, marks = invoice.total, []
    for day, amount in parts:
        left -= amount
        marks.append(Mark(day, "full" if left <= 0 else "half"))
    until = parts[-1][0] if parts and not invoice.balance else today
    if invoice.balance:
        came = sum(amount for _, amount in parts)
        paid = f"paid {words.amount(came, invoice.currency)}, " if came else ""
        said = f"{paid}{words.amount(invoice.balance, invoice.currency)} open"
    else:
        late = (until - invoice.due).days
        said = "paid on time" if late <= 0 else f"{words.days(late)} late"
    return Bar(
        invoice.number,
        words.amount(invoice.total, invoice.currency),
        invoice.date,
        invoice.due,
        until,
        tuple(marks),
        said,
    )
