"""The facts of a message: its sums and dates must be those of the books, and an overdue one must say where to turn."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from functools import cache

from connector.domain.wording_context import Context
from connector.domain.wording_text import Sentence, plain, sentences
from connector.domain.wording_tone import Tone

_CODE = r"(?:[A-Z]{2}[A-Z$]|[$€£¥]|US\$|A\$|NZ\$)"
_NUMBER = r"\d{1,3}(?:[.,'\u00a0\u202f ]\d{3})+(?:[.,]\d{1,3})?|\d+(?:[.,]\d{1,3})?"
_AMOUNT = re.compile(rf"(?<![\w.,-])(?:{_CODE}\s?(?P<a>{_NUMBER})|(?P<b>{_NUMBER})\s?{_CODE})(?![\w])")
_DIGIT = re.compile(r"\d")
_ISO = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")


def missing(text: str, context: Context, tone: Tone) -> Iterator[tuple[str, str, str]]:
    """What the text should say and does not, as (rule, why, suggestion)."""
    read = plain(text)
    needed = tone.groups["needed"]
    if context.contact and plain(context.contact) not in read:
        yield (
            "missing_contact",
            f"It does not say whom to ask ({context.contact}).",
            "Put the person to ask near the top.",
        )
    for number in context.numbers:
        if number and plain(number) not in read:
            yield (
                "missing_invoice",
                f"It does not name invoice {number}.",
                "Name each invoice with its sum and date.",
            )
    if not context.overdue:
        return
    if not needed["help"].search(read):
        yield (
            "missing_help",
            "It does not say where to turn with questions.",
            "Add “Questions: name, e-mail”.",
        )
    if not needed["dispute"].search(read):
        yield (
            "missing_dispute",
            "It leaves no way to say that the invoice is wrong.",
            "Add “If something is not right with an invoice, tell us and we will look into that first.”",
        )
    if context.offers_plan and not needed["plan"].search(read):
        yield (
            "missing_plan",
            "From this step on the customer should hear that a plan is possible.",
            "Add “If money is tight, tell us what you can manage; we can usually agree a plan.”",
        )


def wrong(text: str, context: Context, tone: Tone) -> Iterator[tuple[str, Sentence, str, str, str]]:
    """Sums and dates that the books do not know, and dates to pay by that have passed."""
    for part in sentences(text):
        if not _DIGIT.search(part.original):
            continue
        if context.amounts is not None:
            for found in amounts(part.original):
                if not any(value in context.amounts for value in found[1]):
                    yield (
                        "wrong_amount",
                        part,
                        found[0],
                        f"{found[0]} is not a sum that the books show for this customer.",
                        "Use the fields for sums: they are filled in from the books.",
                    )
        for words, day in dates(part, tone):
            yield from _wrong_date(part, words, day, context, tone)


def _wrong_date(
    part: Sentence, words: str, day: dt.date, context: Context, tone: Tone
) -> Iterator[tuple[str, Sentence, str, str, str]]:
    before = part.plain[: part.plain.find(words)][-30:]
    by = re.search(tone.groups["needed"]["deadline"].pattern + r"\s*(?:\w+,? )?$", before)
    if context.today and by and day < context.today:
        why = f"It asks for something by {day}, which has passed."
        yield "past_deadline", part, words, why, "Name a day that is still to come."
    elif context.dates is not None and day not in context.dates:
        known = context.today is not None and day > context.today
        if not known:
            why = f"{day} is not a date that the books show for these invoices."
            yield (
                "wrong_date",
                part,
                words,
                why,
                "Use the fields for dates: they are filled in from the books.",
            )


def amounts(text: str) -> Iterator[tuple[str, frozenset[Decimal]]]:
    """Every sum with a currency, as written, and what it may mean (1.234 is 1234 here and 1.234 there)."""
    for found in _AMOUNT.finditer(text):
        yield found[0].strip(), _readings(found["a"] or found["b"])


def _readings(number: str) -> frozenset[Decimal]:
    bare = re.sub(r"[\s'\u00a0\u202f]", "", number)
    readings = set()
    for thousands, point in ((",", "."), (".", ",")):
        try:
            readings.add(Decimal(bare.replace(thousands, "").replace(point, ".")))
        except InvalidOperation:
            continue
    return frozenset(readings)


def dates(part: Sentence, tone: Tone) -> Iterator[tuple[str, dt.date]]:
    """Every full date: 2026-08-31, August 31, 2026, 31 August 2026, 31 de agosto de 2026, 31. August 2026."""
    for found in _ISO.finditer(part.plain):
        yield from _day(found[0], int(found[1]), int(found[2]), int(found[3]))
    for pattern in _named_months(tone.months):
        for found in pattern.finditer(part.plain):
            number = tone.months.index(found["m"]) + 1
            yield from _day(found[0], int(found["y"]), number, int(found["d"]))


@cache
def _named_months(months: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    month = "|".join(months)
    day_first = rf"\b(?P<d>\d{{1,2}})(?:\.|st|nd|rd|th|er)? (?:de |of )?(?P<m>{month})\.?,? (?:de |del )?(?P<y>\d{{4}})\b"
    month_first = rf"\b(?P<m>{month}) (?P<d>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<y>\d{{4}})\b"
    return re.compile(day_first), re.compile(month_first)


def _day(words: str, year: int, month: int, day: int) -> Iterator[tuple[str, dt.date]]:
    try:
        yield words, dt.date(year, month, day)
    except ValueError:
        return
