"""The text of a reminder: what, how much, since when, how to pay and whom to ask come first; then one request.

Rules of tone (docs/accounting.md, "Contact"): assume oversight, offer options, no threat, no guilt, no false urgency. The words
are data (`letters`); every text passes `wording.check` with the `context` given here, or it is held.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from connector.domain.dunning import Open, Reminder
from connector.domain.letters import BACKLOG, Letters, fill, letters, variant_for
from connector.domain.money import Money
from connector.domain.policy import OwnText
from connector.domain.wording_context import Context

OLD = 30  # days overdue from which a first word is one about a backlog


@dataclass(frozen=True, slots=True)
class Sender:
    """In whose name the reminder speaks, and where the customer turns."""

    organization: str
    person: str
    reply: str  # e-mail address or telephone number; "" asks to reply to the message
    how_to_pay: str = ""  # e.g. "Bank transfer to … with the invoice number"
    country: str = ""  # whose spelling the message uses
    language: str = ""  # variant of the letters; "" follows the country
    own: tuple[OwnText, ...] = ()  # the bookkeeper's texts


def text(
    reminder: Reminder,
    customer_name: str,
    sender: Sender,
    today: dt.date,
    *,
    segment: str = "",
    language: str = "",
) -> str:
    """The whole message. `segment` is the customer's, `language` the customer's own where the ledger knows it.

    A level of the policy's own that has no words here gets those of `check`. Raises letters.BadText.
    """
    words = words_of(sender, language)
    fields = _fields(reminder, customer_name, sender, words)
    lines = [_line(d, words, today) for d in reminder.listed]
    if len(reminder.listed) > 1:
        lines.append(fill(words.lines["total"], fields))
    if sender.how_to_pay:
        lines.append(fill(words.lines["how_to_pay"], {"how_to_pay": sender.how_to_pay.rstrip(".")}))
    lines.append(fill(words.lines["questions"], fields))
    body = words.body(reminder.level, variant_of(reminder, segment, today))
    lines += ["", fill(body, fields)]
    if fields["received"]:
        lines.append(fill(words.lines["thanks"], fields))
    if any(d.due <= today for d in reminder.listed):
        if reminder.offers_plan:
            lines.append(words.lines["plan"])
        lines += [words.lines["dispute"], words.lines["crossed"]]
    greeting = fill(words.lines["greeting"], fields)
    close = list(dict.fromkeys((sender.person, sender.organization)))
    return "\n".join([greeting, "", *lines, "", *close])


def variant_of(reminder: Reminder, segment: str, today: dt.date) -> str:
    """Which words of the level: a debt that is old when it is first spoken of begins softly, whoever owes it."""
    oldest = min((d.due for d in reminder.listed), default=today)
    if reminder.first and (today - oldest).days > OLD:
        return BACKLOG
    return segment


def words_of(sender: Sender, language: str = "") -> Letters:
    """The letters that a customer gets, with the bookkeeper's own texts in them."""
    return letters(variant_for(language, sender.language, sender.country)).with_own(sender.own)


def context(
    reminder: Reminder,
    customer_name: str,
    sender: Sender,
    today: dt.date,
    *,
    language: str = "",
    enabled: Iterable[str] = (),
) -> Context:
    """What the text of this reminder must and may say, for the wording check."""
    amounts = {Money(d.amount, d.invoice.currency).decimal for d in reminder.listed}
    for sums in (_totals(reminder), _received(reminder)):
        amounts |= {Money(a, c).decimal for c, a in sums.items()}
    return Context(
        language=words_of(sender, language).variant,
        overdue=any(d.due < today for d in reminder.listed),
        offers_plan=reminder.offers_plan,
        enabled=frozenset(enabled),
        names=(customer_name, sender.organization, sender.person),
        today=today,
        amounts=frozenset(amounts),
        dates=frozenset(d.due for d in reminder.listed),
        numbers=tuple(d.invoice.number for d in reminder.listed),
        contact=sender.person,
    )


def day(date: dt.date) -> str:
    """A date as agreements write it: 31 August 2026."""
    return f"{date.day} {date:%B %Y}"


def _fields(reminder: Reminder, customer_name: str, sender: Sender, words: Letters) -> dict[str, str]:
    oldest = reminder.listed[0]
    received = _received(reminder)
    return {
        "customer": customer_name,
        "organization": sender.organization,
        "person": sender.person,
        "reply": sender.reply or words.lines["reply"],
        "number": oldest.invoice.number or oldest.invoice.id,
        "amount": words.money(Money(oldest.amount, oldest.invoice.currency)),
        "due": words.day(oldest.due),
        "total": words.sums(_totals(reminder)),
        "received": words.sums(received) if received else "",
    }


@dataclass(frozen=True, slots=True)
class Line:
    """One document as a message names it. `n` is the installment's number."""

    number: str
    amount: Money
    due: dt.date
    n: int | None = None

    def text(self, words: Letters, today: dt.date) -> str:
        late = (today - self.due).days
        name = "invoice" if self.n is None else "installment"
        if late > 0:
            name += "_late_one" if late == 1 else "_late"
        fields = {
            "number": self.number,
            "amount": words.money(self.amount),
            "due": words.day(self.due),
            "days": str(late),
            "n": str(self.n),
        }
        return fill(words.lines[name], fields)


def counted(text: str, named: Iterable[Line], words: Letters, then: dt.date, today: dt.date) -> str:
    """A text that was written `then`, with the days late as of `today`."""
    lines = text.split("\n")
    for line in named:
        was, now = line.text(words, then), line.text(words, today)
        for at, old in enumerate(lines):
            if old == was or old.startswith(f"{was} "):
                lines[at] = now + old.removeprefix(was)
                break
    return "\n".join(lines)


def _line(document: Open, words: Letters, today: dt.date) -> str:
    invoice = document.invoice
    named = Line(
        invoice.number or invoice.id,
        Money(document.amount, invoice.currency),
        document.due,
        document.installment,
    )
    line = named.text(words, today)
    return f"{line} {fill(words.lines['link'], {'link': invoice.pay_link})}" if invoice.pay_link else line


def _totals(reminder: Reminder) -> Mapping[str, int]:
    sums: dict[str, int] = {}
    for document in reminder.listed:
        sums[document.invoice.currency] = sums.get(document.invoice.currency, 0) + document.amount
    return sums


def _received(reminder: Reminder) -> Mapping[str, int]:
    sums: dict[str, int] = {}
    for document in {d.invoice.id: d for d in reminder.listed}.values():
        invoice = document.invoice
        paid = invoice.total - invoice.balance if document.paid is None else document.paid
        if paid > 0:
            sums[invoice.currency] = sums.get(invoice.currency, 0) + paid
    return sums
