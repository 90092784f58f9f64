"""The text of a reminder: what, how much, since when, how to pay and whom to ask come first; then one request.

Rules of tone are accounting.md 6: assume oversight, offer options, no threat, no guilt, no false urgency.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from connector.domain.dunning import Open, Reminder
from connector.domain.money import Money
from connector.domain.regions import spelled


@dataclass(frozen=True, slots=True)
class Sender:
    """In whose name the reminder speaks, and where the customer turns."""

    organization: str
    person: str
    reply: str  # e-mail address or telephone number
    how_to_pay: str = ""  # e.g. "Bank transfer to … with the invoice number"
    country: str = ""  # whose spelling the message uses


_PLAN = "If money is tight, tell us what you can manage; we can usually agree a plan."
_DISPUTE = "If something is not right with an invoice, tell us and we will look into that first."
_CROSSED = "If you have paid in the meantime, thank you; please disregard this."

_BODIES = {
    "friendly": "This is to let you know that the date is coming up. There is nothing to do if payment is on its way.",
    "due": "This falls due today. There is nothing to do if payment is on its way.",
    "check": "This may have slipped through. Is anything missing on your side: a purchase order, a copy, an approval?",
    "direct": "Could you tell us on which date we can expect the payment?",
    "firm": "This is still open. Please pay it, or choose what suits you: name a date, or agree a plan with us.",
    "final": "We have written about this before and would like to settle it with you. Please call or reply.",
    "installment_friendly": "Your next installment is coming up. There is nothing to do if payment is on its way.",
    "installment_due": "Your installment falls due today. There is nothing to do if payment is on its way.",
    "installment_missed": "We have not seen this installment yet. Do you need a few more days, or is anything missing?",
    "installment_cure": "This installment is still open. Paying it now puts the plan back on track; if that is not possible, "
    "tell us and we will see how to change the plan.",
}


def text(reminder: Reminder, customer_name: str, sender: Sender, today: dt.date) -> str:
    """The whole message. A level of the policy's own that has no words here gets those of `check`."""
    lines = [_line(d, sender, today) for d in reminder.listed]
    lines += _totals(reminder)
    if sender.how_to_pay:
        lines.append(f"How to pay: {sender.how_to_pay}.")
    lines.append(f"Questions: {sender.person}, {sender.reply}.")
    lines += ["", spelled(_BODIES.get(reminder.level, _BODIES["check"]), sender.country)]
    thanks = _thanks(reminder)
    if thanks:
        lines.append(thanks)
    if any(d.due <= today for d in reminder.listed):
        if reminder.offers_plan:
            lines.append(_PLAN)
        lines += [_DISPUTE, _CROSSED]
    return "\n".join([f"Dear {customer_name},", "", *lines, "", sender.person, sender.organization])


def day(date: dt.date) -> str:
    """A date as letters write it: 31 August 2026."""
    return f"{date.day} {date:%B %Y}"


def _line(document: Open, sender: Sender, today: dt.date) -> str:
    invoice = document.invoice
    late = (today - document.due).days
    when = f"due {day(document.due)}"
    if late > 0:
        when += f" ({late} day{'s' if late != 1 else ''} ago)"
    name = f"Invoice {invoice.number or invoice.id}"
    if document.installment is not None:
        word = spelled("Installment", sender.country)
        name = f"{word} {document.installment} of your plan, invoice {invoice.number or invoice.id}"
    link = f" Pay here: {invoice.pay_link}" if invoice.pay_link else ""
    return f"{name}: {Money(document.amount, invoice.currency)}, {when}.{link}"


def _totals(reminder: Reminder) -> list[str]:
    sums: dict[str, int] = {}
    for document in reminder.listed:
        sums[document.invoice.currency] = sums.get(document.invoice.currency, 0) + document.amount
    if len(reminder.listed) < 2:
        return []
    return [f"Together: {' and '.join(str(Money(a, c)) for c, a in sorted(sums.items()))}."]


def _thanks(reminder: Reminder) -> str:
    sums: dict[str, int] = {}
    for document in reminder.listed:
        paid = document.invoice.total - document.invoice.balance
        if paid > 0:
            sums[document.invoice.currency] = sums.get(document.invoice.currency, 0) + paid
    if not sums:
        return ""
    return f"Thank you for the {' and '.join(str(Money(a, c)) for c, a in sorted(sums.items()))} received so far."
