"""What a review concluded, counted to the day for which it is known to hold.

A review leaves a customer alone while nothing but the count of days would be another one (`domain.stillness`). Whoever
looks gets it as if the customer had been looked at: findings, reasons and sums are counted anew from the books, and so
are the days in the words of a reminder. Nothing is stored.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from sqlalchemy.engine import Connection

from connector.connecting import connections
from connector.contact import reminders, reminding
from connector.contact.reminders import Reminder
from connector.domain import reminder_words
from connector.domain.money import Money
from connector.mirroring import books
from connector.practice import settings
from connector.reviewing import conclusions, judging
from connector.reviewing.conclusions import Conclusion

_DAYS = ("judge_on", "next_on", "judged_on", "looked_on")


def of_connection(tx: Connection, connection_id: str) -> list[Conclusion]:
    """Every reviewed customer, the most pressing first."""
    return _counted(tx, connection_id, conclusions.of_connection(tx, connection_id))


def of_customers(tx: Connection, connection_id: str, customer_ids: Collection[str]) -> list[Conclusion]:
    """These customers, the most pressing first."""
    return _counted(tx, connection_id, conclusions.of_customers(tx, connection_id, customer_ids))


def of_customer(tx: Connection, connection_id: str, customer_id: str) -> Conclusion | None:
    """None before the first review."""
    return next(iter(of_customers(tx, connection_id, [customer_id])), None)


def _counted(tx: Connection, connection_id: str, found: list[Conclusion]) -> list[Conclusion]:
    behind = {c.customer_id: c for c in found if is_behind(c) and any(b.open for b in c.balances)}
    if not behind:
        return found
    organization, decided = connections.get(tx, connection_id), settings.load(tx, connection_id)
    book = conclusions.owed(tx, connection_id)
    counted = {}
    for picture in books.each_customer(tx, connection_id, behind, brief=True):
        known = behind[picture.customer.id]
        anew = judging.judge(
            picture.customer,
            picture.invoices,
            picture.payments,
            picture.credits,
            decided.policy,
            known.as_of or dt.date.min,
            country=organization.country,
            book=book,
            ahead=False,
        )
        kept = {name: getattr(known, name) for name in ("override", *_DAYS)}
        counted[picture.customer.id] = replace(anew, **kept)
    made = [counted.get(c.customer_id, c) for c in found]
    return sorted(made, key=lambda c: (-c.priority, c.customer_id))


def is_behind(conclusion: Conclusion) -> bool:
    """Whether it is counted from an earlier day than the one for which it holds."""
    then, now = conclusion.judged_on, conclusion.as_of
    return then is not None and now is not None and then < now


def worded(tx: Connection, connection_id: str, found: Iterable[Reminder]) -> list[Reminder]:
    """These reminders, with the days counted to the last review in those that did not leave yet."""
    messages = list(found)
    waiting = {r.customer_id for r in messages if r.state in reminders.OPEN}
    behind = (
        {c.customer_id: c for c in conclusions.of_customers(tx, connection_id, waiting) if is_behind(c)}
        if waiting
        else {}
    )
    if not behind:
        return messages
    organization, decided = connections.get(tx, connection_id), settings.load(tx, connection_id)
    who = reminding.sender(organization, decided.policy)
    language = {c.id: c.language for c in books.customers(tx, connection_id, behind)}

    def anew(reminder: Reminder) -> Reminder:
        known = behind.get(reminder.customer_id)
        if (
            known is None
            or known.looked_on is None
            or known.as_of is None
            or reminder.state not in reminders.OPEN
        ):
            return reminder
        words = reminder_words.words_of(who, language.get(reminder.customer_id, ""))
        text = reminder_words.counted(reminder.text, _lines(reminder), words, known.looked_on, known.as_of)
        return replace(reminder, text=text)

    return [anew(r) for r in messages]


def _lines(reminder: Reminder) -> Sequence[reminder_words.Line]:
    found = []
    for about in reminder.invoices:
        _, _, n = about.key.partition("#")
        money, number = Money(about.amount, about.currency), about.number or about.invoice_id
        found.append(reminder_words.Line(number, money, about.due, int(n) if n else None))
    return found
