"""The formal demand letter: drawn up from the books for a person to check and sign, never sent by itself.

It holds what the law of the supported countries asks for: both parties and the date, each invoice with its dates, what was paid, principal,
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
from connector.domain.late_interest import regime_code
from connector.domain.letters import ENGLISH, Letters, fill, letters, variant_for
from connector.domain.money import Money
from connector.domain.receivables import Invoice

DAYS = 14
PROTOCOL_DAYS = 30  # Pre-Action Protocol for Debt Claims, England and Wales
STEPS = (
    "collection",
    "court",
    "cutoff",
)  # a step of the policy's ladder allows to name it; nothing else is announced


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
    language: str = ""  # the customer's own, where the ledger knows it
    chosen: str = ""  # the policy's; "" follows the country
    clause: str = ""  # where fees or interest were agreed
    agreed_interest: bool = False  # by that clause, not by law


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
    words = _words(parties)
    extras = [o for c in claimed for o in c.extras]
    principal = sum(c.invoice.balance for c in claimed)
    last = deadline(today, parties.country, parties.individual)
    by_deadline = words.day(last)
    fields = {
        "organization": parties.creditor,
        "customer": parties.customer,
        "person": parties.person,
        "reply": parties.reply or words.demand["reply"],
        "how_to_pay": parties.how_to_pay or words.demand["as_invoiced"],
        "today": words.day(today),
        "deadline": by_deadline,
        "principal": words.money(Money(principal, currency)),
        "total": words.money(Money(principal + sum(o.amount for o in extras), currency)),
    }

    def say(name: str, **more: str) -> str:
        return fill(words.demand[name], fields | more)

    def heading(name: str) -> Block:
        return Block(say(name), heading=True)

    allowed = [say(step) for step in STEPS if step in steps]
    blocks = [
        Block(say("from")),
        Block(say("to")),
        Block(fields["today"]),
        heading("subject"),
        Block(say("dear")),
        Block(say("intro")),
        heading("open"),
        Block(rows=_table(claimed, words)),
        heading("sums"),
        Block(rows=_sums(principal, extras, words, currency)),
        *_bases(extras, parties, words),
        *_daily(claimed, words, currency),
        heading("pay"),
        Block(say("how")),
        heading("wrong"),
        Block(say("object")),
        Block(say("plan")),
        *(_protocol() if protocol(parties.country, parties.individual) else ()),
        heading("next"),
        Block(say("steps", steps=words.demand["or"].join(allowed)) if allowed else say("person")),
        Block(say("enclosed")),
        Block(say("closing")),
        Block("______________________________"),
        Block(say("signed") if parties.person != parties.creditor else parties.creditor),
    ]
    return Demand(
        title=say("title"),
        deadline=last,
        variant=words.variant,
        paper="us-letter" if parties.country.upper()[:2] in ("US", "CA") else "a4",
        blocks=tuple(blocks),
        cautions=_cautions(parties),
    )


def _words(parties: Parties) -> Letters:
    """The customer's or the policy's language; English where it has no words for this letter, or by the protocol."""
    found = letters(variant_for(parties.language, parties.chosen, parties.country))
    english = found.variant.startswith("en")
    if letters(ENGLISH).demand.keys() - found.demand.keys() or (
        protocol(parties.country, parties.individual) and not english
    ):
        return letters(ENGLISH)
    return found


def _table(claimed: Sequence[Claimed], words: Letters) -> tuple[tuple[str, ...], ...]:
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
    return (tuple(words.demand["head"].split("|")), *rows)


def _sums(
    principal: int, extras: Sequence[Offer], words: Letters, currency: str
) -> tuple[tuple[str, ...], ...]:
    def row(name: str, amount: int) -> tuple[str, ...]:
        return words.demand[name], words.money(Money(amount, currency))

    by_kind: dict[str, int] = {}
    for offer in extras:
        by_kind[offer.kind] = by_kind.get(offer.kind, 0) + offer.amount
    listed = [row(kind, amount) for kind, amount in by_kind.items()]
    none = [] if listed else [tuple(words.demand["none"].split("|"))]
    total = principal + sum(by_kind.values())
    return (("", words.demand["amount"]), row("invoices", principal), *listed, *none, row("total", total))


def _bases(extras: Sequence[Offer], parties: Parties, words: Letters) -> list[Block]:
    """For each kind what it rests on, the clause or the law; then each invoice with its sum, days and rates."""
    law = words.demand.get(f"law_{regime_code(parties.country)}", "")
    found = []
    for kind in dict.fromkeys(o.kind for o in extras):
        agreed = kind == charges.LATE_FEE or (kind == charges.INTEREST and parties.agreed_interest)
        by_law = "fixed_by_law" if kind == charges.FIXED_SUM else "interest_by_law"
        rule = fill(words.demand["agreed" if agreed else by_law], {"clause": parties.clause, "law": law})
        lines = [fill(words.demand["basis"], {"name": words.demand[kind], "rule": rule})]
        lines += [_on_invoice(offer, words) for offer in extras if offer.kind == kind]
        found.append(Block("\n".join(lines)))
    return found


def _on_invoice(offer: Offer, words: Letters) -> str:
    spans = [
        fill(
            words.demand["span"],
            {
                "days": str(span.days),
                "open": words.money(Money(span.open, offer.invoice.currency)),
                "percent": f"{span.rate.normalize():f}".replace(".", words.decimal),
            },
        )
        for span in offer.spans
    ]
    fields = {"number": offer.invoice.number, "amount": words.money(offer.money), "spans": " ".join(spans)}
    return fill(words.demand["on_invoice"], fields).strip()


def _daily(claimed: Sequence[Claimed], words: Letters, currency: str) -> list[Block]:
    each = Decimal(0)
    for c in claimed:
        for offer in c.extras:
            if offer.spans:
                each += Decimal(c.invoice.balance) * offer.spans[-1].rate / 36500
    if not each:
        return []
    amount = int(each.quantize(Decimal(1), ROUND_HALF_UP))
    return [Block(fill(words.demand["further"], {"amount": words.money(Money(amount, currency))}))]


def _protocol() -> list[Block]:
    return [
        Block(
            "This letter follows the Pre-Action Protocol for Debt Claims. You have 30 days to answer with the Reply "
            "Form; if you ask for time to get advice, we wait for it. Free advice is listed in the Information Sheet. "
            "Enclosed for you: the Information Sheet, the Reply Form and the Standard Financial Statement."
        )
    ]


def _cautions(parties: Parties) -> tuple[str, ...]:
    """What the person who signs should look at. Sources: docs/accounting.md, "Law"."""
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
