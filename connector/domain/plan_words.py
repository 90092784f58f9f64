"""The exact words on a plan's documents and notes, and the documents' numbers (docs/accounting.md)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count

from connector.domain.money import to_decimal
from connector.domain.plan import Installment, Plan, Source, Waiver
from connector.domain.regions import region

NUMBER_LENGTH = 21  # QuickBooks' DocNumber; Xero allows more
NOTE_LENGTH = 250  # Xero's history notes
_LISTED = 8  # invoice numbers that a sentence lists before it counts the others


@dataclass(frozen=True, slots=True)
class Words:
    """How this organization's ledger and country speak: credit memo or credit note, installment or instalment."""

    credit: str  # "credit memo", "credit note"
    country: str = ""

    @property
    def installment(self) -> str:
        return region(self.country).installment


def document_number(original: str, suffix: str) -> str:
    """`original` with `suffix`, at most 21 characters: 1001 → 1001-P1.2.

    Of an original longer than twelve characters the last twelve stay, with two characters of its hash; fewer
    stay where the suffix needs the room. Two originals with the same end so keep different numbers.
    """
    room = NUMBER_LENGTH - len(suffix)
    if len(original) <= min(12, room):
        return original + suffix
    digits = int(hashlib.sha256(original.encode()).hexdigest(), 16)
    letters = "0123456789abcdefghijklmnopqrstuvwxyz"
    check = letters[digits % 36] + letters[digits // 36 % 36]
    return original[-min(12, room - 2) :] + check + suffix


def stems(sources: Sequence[Source]) -> dict[str, str]:
    """What each invoice's document numbers begin with: its number; with its id where it has none or shares it."""
    times = Counter(s.number for s in sources)
    names = {}
    for source in sources:
        if times[source.number] == 1 and source.number and not source.shared:
            names[source.invoice_id] = source.number
        else:
            names[source.invoice_id] = f"{source.number}.{source.invoice_id}".lstrip(".")
    return names


def first_source(sources: Iterable[Source]) -> Source:
    """The source that pooled installments are named after: the one that fell due first."""
    return min(sources, key=lambda s: (s.contract_due, s.date, s.number, s.invoice_id))


def originals(plan: Plan) -> tuple[Source, ...]:
    """The invoices that the customer knows. A renegotiated plan still speaks of the first version's invoices."""
    return plan.originals or plan.sources


def _stem(plan: Plan) -> str:
    return stems(originals(plan))[first_source(originals(plan)).invoice_id]


def credit_number(plan: Plan, source: Source) -> str:
    """The credit note that settles `source`; a renegotiated plan has one for all its sources."""
    stem = _stem(plan) if plan.supersedes is not None else stems(plan.sources)[source.invoice_id]
    return document_number(stem, f"-P{plan.version}C")


def installment_number(plan: Plan, n: int) -> str:
    return document_number(_stem(plan), f"-P{plan.version}.{n}")


def interest_number(plan: Plan, n: int) -> str:
    return document_number(_stem(plan), f"-P{plan.version}.{n}i")


def discount_number(plan: Plan) -> str:
    return document_number(_stem(plan), f"-P{plan.version}D")


def waiver_number(plan: Plan, waiver: Waiver) -> str:
    """LF-1001-W; a later attempt has a number of its own (-W2), because a voided one may not be used again."""
    attempt = plan.version + waiver.earlier
    return document_number(waiver.number, "-W" if attempt == 1 else f"-W{attempt}")


def next_version(taken: Iterable[str], sources: Sequence[Source]) -> int:
    """The first version whose document numbers are free, given all numbers in use (voided ones included).

    A plan on an invoice that had a cancelled plan before must not meet the numbers of that one.
    """
    used, names = frozenset(taken), stems(sources).values()
    for version in count(1):
        credits = {document_number(name, f"-P{version}C") for name in names}
        rows = tuple(document_number(name, f"-P{version}.1").removesuffix("1") for name in names)
        if credits.isdisjoint(used) and not any(number.startswith(rows) for number in used):
            break
    return version


def named(sources: Sequence[Source]) -> str:
    """ "invoice 1001", "invoices 1001 and 1002", "12 invoices (1001 to 1040)"."""
    numbers = [s.number or s.invoice_id for s in sources]
    if len(numbers) == 1:
        return f"invoice {numbers[0]}"
    if len(numbers) <= _LISTED:
        return f"invoices {', '.join(numbers[:-1])} and {numbers[-1]}"
    return f"{len(numbers)} invoices ({numbers[0]} to {numbers[-1]})"


def _sale(sources: Sequence[Source]) -> str:
    """Where the sale and its tax were documented."""
    if not any(s.tax for s in sources):
        return f"The sale is documented on {_dated(sources)}."
    return f"Tax was charged on {_dated(sources)}."


def _dated(sources: Sequence[Source]) -> str:
    if len(sources) == 1:
        return f"{named(sources)} dated {sources[0].date}"
    return named(sources)


def installment_description(plan: Plan, row: Installment, words: Words) -> str:
    """The line of an installment invoice."""
    return f"{words.installment} request {row.n} of {len(plan.rows)} for {named(originals(plan))}. Not a tax invoice."


def installment_message(plan: Plan, row: Installment, words: Words) -> str:
    """What the customer reads on an installment invoice."""
    return (
        f"{installment_description(plan, row, words)} {_sale(originals(plan))} "
        "Please do not record it as a new purchase."
    )


def credit_description(plan: Plan, sources: Sequence[Source], words: Words) -> str:
    return (
        f"Balance of {named(sources)} moved to payment plan {plan.id}. "
        f"Not a {words.credit} for VAT/GST/sales tax."
    )


def credit_message(sources: Sequence[Source], words: Words) -> str:
    """What a customer would read on the credit note, should anyone send it."""
    return (
        f"Reschedules the balance of {named(sources)}; it does not reduce the price. "
        f"This is not a {words.credit} for VAT/GST/sales tax."
    )


def interest_description(plan: Plan, row: Installment, words: Words) -> str:
    return (
        f"Interest with {words.installment.lower()} {row.n} of {len(plan.rows)} of payment plan {plan.id} "
        f"({named(originals(plan))})"
    )


def waiver_description(number: str, reason: str) -> str:
    return f"Fee on {number} waived: {reason}" if reason else f"Fee on {number} waived"


def money_text(minor: int, currency: str) -> str:
    """An amount as notes write it: 297.50, with thousands apart."""
    return f"{to_decimal(minor, currency):,}"


def schedule_text(plan: Plan) -> str:
    """The payments in a few words: "3 x 297.50 from 2026-12-21", or each with its date while that stays short."""
    totals = [r.total for r in plan.rows]
    amounts = [money_text(t, plan.currency) for t in totals]
    if len(set(totals)) == 1:
        return f"{len(totals)} x {amounts[0]} {plan.currency} from {plan.rows[0].due}"
    if len(totals) <= 4:
        rows = ", ".join(f"{a} on {r.due}" for a, r in zip(amounts, plan.rows, strict=True))
        return f"{rows} ({plan.currency})"
    return (
        f"{len(totals)} payments, {money_text(plan.total, plan.currency)} {plan.currency} in all, "
        f"from {plan.rows[0].due} to {plan.rows[-1].due}"
    )


def plan_note(plan: Plan, posted_on: object, approved_by: str) -> str:
    """The note on each invoice of an approved plan, at most 250 characters."""
    by = approved_by if len(approved_by) <= 40 else approved_by[:39] + "…"
    several = f" for {named(plan.sources)}" if len(plan.sources) > 1 else ""
    return _short(
        f"{posted_on} Payment plan {plan.id} v{plan.version}{several}: {schedule_text(plan)} (approved by {by})."
    )


def cancel_note(plan: Plan, today: object) -> str:
    return _short(f"{today} Payment plan {plan.id} v{plan.version} cancelled; the invoice is due as before.")


def _short(text: str) -> str:
    return text if len(text) <= NOTE_LENGTH else text[: NOTE_LENGTH - 1] + "…"
