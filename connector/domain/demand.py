"""The formal demand letter: drawn up from the books for a person to check and sign, never sent by itself.

It holds what accounting.md 5 lists: both parties and the date, each invoice with its dates, what was paid, principal,
interest and fees apart with their basis, the total and what each further day adds, how to pay, a calendar deadline,
how to object or ask for a plan and whom, only steps that the policy really takes, and what is enclosed.
This is no legal advice.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from connector.domain import charges
from connector.domain.charges import Offer
from connector.domain.letters import Letters, letters, variant_for
from connector.domain.money import Money
from connector.domain.receivables import Invoice
from connector.domain.regions import spelled

DAYS = 14
PROTOCOL_DAYS = 30  # Pre-Action Protocol for Debt Claims, England and Wales
_STEPS = {  # what a step of the policy's ladder allows to say; nothing else is announced
    "collection": "pass the account to a collection firm",
    "court": "ask a court to decide",
    "cutoff": "supply only against payment in advance",
}


@dataclass(frozen=True, slots=True)
class Parties:
    """Who writes to whom. Addresses may be empty: the person who signs writes them in."""

    creditor: str
    customer: str
    person: str
    reply: str
    how_to_pay: str
    country: str  # of the creditor
    individual: bool = False  # the customer is a person or a sole trader


@dataclass(frozen=True, slots=True)
class Claimed:
    """One open invoice with what was paid on it (minor units) and what is claimed beside it."""

    invoice: Invoice
    paid: int
    extras: tuple[Offer, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, a heading (`heading`), or a table (`rows`, the first is its head)."""

    text: str = ""
    heading: bool = False
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Demand:
    """The letter in blocks, and `text` with the same words."""

    title: str
    deadline: dt.date
    variant: str
    paper: str
    blocks: tuple[Block, ...]
    cautions: tuple[str, ...]

    @property
    def text(self) -> str:
        parts = []
        for block in self.blocks:
            parts.append("\n".join("  ".join(row) for row in block.rows) if block.rows else block.text)
        return "\n\n".join(parts) + "\n"


def deadline(today: dt.date, country: str, individual: bool) -> dt.date:
    """The calendar day by which an answer is asked for."""
    return today + dt.timedelta(PROTOCOL_DAYS if protocol(country, individual) else DAYS)


def protocol(country: str, individual: bool) -> bool:
    """Whether the letter follows the Pre-Action Protocol for Debt Claims."""
    return individual and country.upper().partition("-")[0] == "GB"


def demand(
    parties: Parties, claimed: Sequence[Claimed], today: dt.date, steps: Collection[str] = ()
) -> Demand:
    """The letter for these invoices, all in one currency. `steps` are the levels of the policy's ladder.

    Raises ValueError without an invoice, or with two currencies.
    """
    currencies = {c.invoice.currency for c in claimed}
    if len(currencies) != 1:
        raise ValueError("a demand letter is about open invoices in one currency")
    [currency] = currencies
    words = _words(parties.country)
    last = deadline(today, parties.country, parties.individual)
    principal = sum(c.invoice.balance for c in claimed)
    extras = [o for c in claimed for o in c.extras]
    total = principal + sum(o.amount for o in extras)

    def money(amount: int) -> str:
        return words.money(Money(amount, currency))

    blocks = [
        Block(f"From: {parties.creditor}"),
        Block(f"To: {parties.customer}"),
        Block(words.day(today)),
        Block("Request for payment of overdue invoices", heading=True),
        Block(f"Dear {parties.customer},"),
        Block(
            f"we supplied goods or services to you and invoiced them as listed below. By our books {money(principal)} "
            f"of these invoices is open on {words.day(today)}. We ask you to pay {money(total)} by {words.day(last)}."
        ),
        Block("What is open", heading=True),
        Block(rows=_table(claimed, words)),
        Block("How the sum is made up", heading=True),
        Block(rows=_sums(principal, extras, total, words, currency)),
        *[Block(f"{_name(o)} on invoice {o.invoice.number}: {o.rule}") for o in extras],
        *_daily(claimed, words, currency),
        Block("How to pay", heading=True),
        Block(
            f"{parties.how_to_pay or 'As on the invoices'}. Please give the invoice numbers with your payment."
        ),
        Block("If something is wrong, or if it is difficult", heading=True),
        Block(
            f"If you do not agree with an invoice, or if you paid in the last few days, please tell {parties.person} "
            f"({parties.reply or 'by replying to this letter'}) by {words.day(last)}; we will look into that first."
        ),
        Block(
            "If you cannot pay it in one sum, tell us what you can manage. We can usually agree a plan in "
            + spelled("installments", parties.country)
            + "."
        ),
        *(_protocol(parties) if protocol(parties.country, parties.individual) else ()),
        Block("What happens next", heading=True),
        Block(_next(steps, words.day(last))),
        Block("Enclosed: a statement of your account and copies of the invoices named above."),
        Block("Yours sincerely,"),
        Block("______________________________"),
        Block(
            f"{parties.person}, for {parties.creditor}"
            if parties.person != parties.creditor
            else parties.creditor
        ),
    ]
    return Demand(
        title=f"Request for payment, {parties.customer}",
        deadline=last,
        variant=words.variant,
        paper="us-letter" if parties.country.upper()[:2] in ("US", "CA") else "a4",
        blocks=tuple(blocks),
        cautions=_cautions(parties),
    )


def _words(country: str) -> Letters:
    """Dates and sums as the country writes them in English; the letter itself is in English."""
    found = letters(variant_for("", "", country))
    return found if found.variant.startswith("en") else letters("en-GB")


def _table(claimed: Sequence[Claimed], words: Letters) -> tuple[tuple[str, ...], ...]:
    head = ("Invoice", "Of", "Due", "Total", "Paid", "Credited", "Open")
    rows = []
    for c in sorted(claimed, key=lambda c: (c.invoice.due, c.invoice.number)):
        i = c.invoice
        credited = max(0, i.total - i.balance - c.paid)
        figures = (i.total, c.paid, credited, i.balance)
        rows.append(
            (
                i.number or i.id,
                words.day(i.date),
                words.day(i.due),
                *(words.money(Money(f, i.currency)) for f in figures),
            )
        )
    return (head, *rows)


def _sums(
    principal: int, extras: Sequence[Offer], total: int, words: Letters, currency: str
) -> tuple[tuple[str, ...], ...]:
    def row(name: str, amount: int) -> tuple[str, str]:
        return name, words.money(Money(amount, currency))

    by_kind: dict[str, int] = {}
    for offer in extras:
        by_kind[_name(offer)] = by_kind.get(_name(offer), 0) + offer.amount
    listed = [row(name, amount) for name, amount in by_kind.items()]
    none = [] if listed else [("Interest and fees", "none")]
    return (("", "Amount"), row("Invoices", principal), *listed, *none, row("Total", total))


def _name(offer: Offer) -> str:
    return {
        charges.INTEREST: "Interest",
        charges.FIXED_SUM: "Fixed sum by law",
        charges.LATE_FEE: "Late fee",
    }[offer.kind]


def _daily(claimed: Sequence[Claimed], words: Letters, currency: str) -> list[Block]:
    each = Decimal(0)
    for c in claimed:
        for offer in c.extras:
            if offer.spans:
                each += Decimal(c.invoice.balance) * offer.spans[-1].rate / 36500
    if not each:
        return []
    amount = int(each.quantize(Decimal(1), ROUND_HALF_UP))
    return [Block(f"Each further day adds {words.money(Money(amount, currency))} of interest.")]


def _protocol(parties: Parties) -> list[Block]:
    return [
        Block(
            "This letter follows the Pre-Action Protocol for Debt Claims. You have 30 days to answer with the Reply "
            "Form; if you ask for time to get advice, we wait for it. Free advice is listed in the Information Sheet. "
            "Enclosed for you: the Information Sheet, the Reply Form and the Standard Financial Statement."
        )
    ]


def _next(steps: Collection[str], last: str) -> str:
    allowed = [words for step, words in _STEPS.items() if step in steps]
    if not allowed:
        return (
            f"If we have not heard from you by {last}, a person here looks at the account again. We tell you in "
            "writing before we take any step."
        )
    return (
        f"If we have not heard from you by {last}, we intend to {' or to '.join(allowed)}. We would rather find a "
        "solution with you before that."
    )


def _cautions(parties: Parties) -> tuple[str, ...]:
    """What the person who signs should look at. Sources: accounting.md 5."""
    code = parties.country.upper().partition("-")[0]
    found = ["Check the sums, add both addresses, enclose the statement and the invoices, then sign."]
    if code == "GB" and not parties.individual:
        found.append(
            "For a person or a sole trader in England and Wales, draw it up for an individual (30 days, protocol)."
        )
    if code == "US":
        found.append(
            "Collection law differs by state and may cover your own debts (California: up to 500,000 USD)."
        )
    if code in ("AU", "NZ"):
        found.append("The regulators' guideline on debt collection applies to creditors themselves.")
    return (*found, "This is no legal advice.")
