"""Who settled what. QuickBooks says it only in the lines of its Payments; this reads them, pure.

A Payment's line names a document and an amount, both for what is settled (an invoice) and for what settles
(a credit memo, a journal line). Which credit met which invoice is not said: credits fill the invoices in
line order, money takes the rest. TotalAmt = unapplied + charges − credits (contract 3.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from adapters.quickbooks import shapes
from adapters.quickbooks.translate import (
    Raw,
    amount,
    currency_of,
    day,
    id_of,
    minor,
    named,
    ref,
    required,
    text,
    updated_at,
)
from connector.domain.receivables import Allocation, Link, Payment, builder

_Allocation = builder(Allocation)
Source = tuple[str, str]  # a document that settles: ("CreditMemo", "68")
_SOURCES = ("CreditMemo", "Deposit")
_CHARGES = ("Invoice", "Expense", "Check", "CreditCardCredit")


@dataclass(frozen=True, slots=True)
class Settlement:
    """What one Payment did: `money` on invoices, `credits` of other documents on invoices.

    `used` is how much of each document went in, also on what is no invoice (a refund by check); negative for
    a journal line that was paid.
    """

    money: tuple[Allocation, ...]
    credits: dict[Source, tuple[Allocation, ...]]
    used: dict[Source, int]


@dataclass(slots=True)
class _Open:
    """A settled document of one Payment, with the part that no credit has filled yet."""

    kind: str
    id: str
    left: int


def settlement(raw: Raw | shapes.Payment, home: str) -> Settlement:
    """Tell money from credit in one Payment's lines."""
    payment = shapes.read(raw, shapes.Payment)
    currency = named(payment.CurrencyRef) or home
    when = day(payment.TxnDate) if payment.TxnDate else None
    linked = list(_linked(payment, currency))
    if all(kind == "Invoice" for kind, _, _ in linked):  # nearly every one: no need to tell sides
        return Settlement(tuple(_Allocation(id, share, when) for _, id, share in linked if share > 0), {}, {})
    charges, sources = _sides(payment, linked, currency)
    credits: dict[Source, tuple[Allocation, ...]] = {}
    used: dict[Source, int] = {}
    for charge in charges:
        if charge.kind == "JournalEntry":
            used[charge.kind, charge.id] = used.get((charge.kind, charge.id), 0) - charge.left
    for source, share in sources:
        used[source] = used.get(source, 0) + share
        given = tuple(_fill(charges, share, when, str(payment.Id or "")))
        credits[source] = credits.get(source, ()) + given
    paid = tuple(Allocation(c.id, c.left, when) for c in charges if c.kind == "Invoice" and c.left > 0)
    return Settlement(paid, credits, used)


def _sides(
    payment: shapes.Payment, linked: Iterable[tuple[str, str, int]], currency: str
) -> tuple[list[_Open], list[tuple[Source, int]]]:
    charges: list[_Open] = []
    sources: list[tuple[Source, int]] = []
    journals: list[tuple[str, int]] = []
    for kind, id, share in linked:
        if kind == "JournalEntry":
            journals.append((id, share))
        elif kind in _SOURCES:
            sources.append(((kind, id), share))
        elif kind in _CHARGES:
            charges.append(_Open(kind, id, share))
    # A journal line may owe or be owed; the Payment's own sum tells which.
    applied = minor(payment.TotalAmt, currency) - minor(payment.UnappliedAmt, currency)
    missing = applied - sum(c.left for c in charges) + sum(share for _, share in sources)
    for id, share in journals:
        if missing >= share:
            charges.append(_Open("JournalEntry", id, share))
            missing -= share
        else:
            sources.append((("JournalEntry", id), share))
            missing += share
    return charges, sources


def _linked(payment: shapes.Payment, currency: str) -> Iterator[tuple[str, str, int]]:
    for line in payment.Line or ():
        for link in line.LinkedTxn or ():
            yield str(link.TxnType or ""), str(link.TxnId), minor(line.Amount, currency)


def _fill(charges: list[_Open], share: int, when: Any, payment_id: str) -> Iterator[Allocation]:
    for charge in charges:
        part = min(share, charge.left)
        if part > 0:
            charge.left -= part
            share -= part
            if charge.kind == "Invoice":
                yield Allocation(charge.id, part, when, payment_id)


@dataclass(frozen=True, slots=True)
class _Part:
    """What one Payment did with one source."""

    customer: str
    given: tuple[Allocation, ...]
    used: int


@dataclass(slots=True)
class Joined:
    """What the Payments seen so far say about credit memos, journal entries and deposits."""

    _parts: dict[Source, dict[str, _Part]] = field(default_factory=dict)  # by the Payment's id

    def __bool__(self) -> bool:
        return bool(self._parts)

    def kept(self) -> list[list[Any]]:
        """As plain JSON, for a reading that goes on later."""
        return [
            [*source, payment, part.customer, part.used, [_as_json(a) for a in part.given]]
            for source, payments in self._parts.items()
            for payment, part in payments.items()
        ]

    @classmethod
    def of(cls, kept: Iterable[Sequence[Any]]) -> Joined:
        """What `kept` gave."""
        joined = cls()
        for kind, id, payment, customer, used, given in kept:
            part = _Part(customer, tuple(map(_from_json, given)), used)
            joined._parts.setdefault((kind, id), {})[payment] = part
        return joined

    def add(self, raw: Raw | shapes.Payment, settled: Settlement) -> None:
        """Note one Payment, once or again; harmless for one that settles with money alone."""
        if not settled.used:
            return
        payment = shapes.read(raw, shapes.Payment)
        for source, used in settled.used.items():
            part = _Part(named(payment.CustomerRef), settled.credits.get(source, ()), used)
            self._parts.setdefault(source, {})[str(payment.Id)] = part

    def of_credit(self, id: str) -> list[Allocation]:
        """A credit memo's allocations, oldest Payment first."""
        parts = self._parts.get(("CreditMemo", id), {}).values()
        return sorted((a for part in parts for a in part.given), key=_age)

    def of_line(self, kind: str, id: str, customer: str) -> tuple[tuple[Allocation, ...], int]:
        """A journal's or deposit's allocations for one customer, and how much of it is used."""
        parts = [p for p in self._parts.get((kind, id), {}).values() if p.customer == customer]
        given = sorted((a for part in parts for a in part.given), key=_age)
        return tuple(given), sum(part.used for part in parts)


def _as_json(a: Allocation) -> list[Any]:
    return [a.invoice_id, a.amount, a.date.isoformat() if a.date else None, a.id]


def _from_json(given: Sequence[Any]) -> Allocation:
    invoice_id, share, date, id = given
    return Allocation(invoice_id, share, day(date) if date else None, id)


def _age(allocation: Allocation) -> tuple[str, int, str]:
    return (str(allocation.date), len(allocation.id), allocation.id)


def receivable_lines(
    entity: str, raw: Raw, home: str, receivables: AbstractSet[str], joined: Joined
) -> list[Payment]:
    """A journal entry's or deposit's effect on receivables: one record for each customer it names.

    Lowering what is owed is a positive amount, raising it a negative one. The first keeps the id
    "JournalEntry:12", further customers add "/2", "/3". `receivables`: the ids of the receivable accounts.
    A deposit line that names a customer and another account may be a payment that was booked as income: it
    changes no balance, and comes with the id "Deposit:7/u1" so that nobody is reminded who has paid.
    """
    currency = currency_of(raw, home)
    effects: dict[str, int] = {}
    for line in raw.get("Line") or []:
        for customer, effect in _effect(line, currency, receivables):
            effects[customer] = effects.get(customer, 0) + effect
    found: list[Payment] = []
    for n, (customer, effect) in enumerate(effects.items(), 1):
        given, used = joined.of_line(entity, id_of(raw), customer)
        found.append(
            Payment(
                id=f"{entity}:{id_of(raw)}" + (f"/{n}" if n > 1 else ""),
                customer_id=customer,
                date=day(required(raw, "TxnDate")),
                currency=currency,
                amount=effect,
                unapplied=effect - used,
                allocations=given,
                flavor="journal" if entity == "JournalEntry" else "deposit",
                reference=text(raw, "DocNumber"),
                version=str(raw.get("SyncToken", "")),
                updated_at=updated_at(raw),
            )
        )
    return [*found, *_unmatched(raw, currency, receivables)] if entity == "Deposit" else found


def _unmatched(raw: Raw, currency: str, receivables: AbstractSet[str]) -> Iterator[Payment]:
    received: dict[str, int] = {}
    for line in raw.get("Line") or []:
        detail = line.get("DepositLineDetail")
        if not isinstance(detail, dict) or line.get("LinkedTxn") or ref(detail, "AccountRef") in receivables:
            continue
        if customer := _depositor(detail):
            received[customer] = received.get(customer, 0) + amount(line, "Amount", currency)
    for n, (customer, sum_) in enumerate(received.items(), 1):
        yield Payment(
            id=f"Deposit:{id_of(raw)}/u{n}",
            customer_id=customer,
            date=day(required(raw, "TxnDate")),
            currency=currency,
            amount=sum_,
            unapplied=0,
            flavor="unmatched",
            reference=text(raw, "DocNumber"),
            version=str(raw.get("SyncToken", "")),
            updated_at=updated_at(raw),
        )


def _depositor(detail: Raw) -> str:
    """The customer that a deposit line names, "" when it names none."""
    entity = detail.get("Entity")
    if not isinstance(entity, dict) or str(entity.get("type", "customer")).lower() != "customer":
        return ""
    return str(entity.get("value") or "")


def _effect(line: Raw, currency: str, receivables: AbstractSet[str]) -> Iterator[tuple[str, int]]:
    journal, deposit = line.get("JournalEntryLineDetail"), line.get("DepositLineDetail")
    if isinstance(journal, dict) and ref(journal, "AccountRef") in receivables:
        entity = journal.get("Entity")
        if isinstance(entity, dict) and str(entity.get("Type", "Customer")).lower() == "customer":
            share = amount(line, "Amount", currency)
            yield ref(entity, "EntityRef"), share if journal.get("PostingType") == "Credit" else -share
    elif isinstance(deposit, dict) and ref(deposit, "AccountRef") in receivables and _depositor(deposit):
        yield _depositor(deposit), amount(line, "Amount", currency)


def linked_payments(raw: Raw) -> list[str]:
    """The ids of the Payments that an invoice names as settling it; it says no amounts."""
    return [str(link.get("TxnId")) for link in raw.get("LinkedTxn") or [] if link.get("TxnType") == "Payment"]


def links_of_invoice(invoice_id: str, payments: Iterable[Raw], home: str) -> list[Link]:
    """What settled one invoice: money, and credit through a Payment (whose id undoes it)."""
    found: list[Link] = []
    for raw in payments:
        settled, payment_id = settlement(raw, home), id_of(raw)
        found += [
            Link("payment", payment_id, a.amount, payment_id)
            for a in settled.money
            if a.invoice_id == invoice_id
        ]
        for (kind, id), given in settled.credits.items():
            word, source = ("credit", id) if kind == "CreditMemo" else ("payment", f"{kind}:{id}")
            found += [Link(word, source, a.amount, payment_id) for a in given if a.invoice_id == invoice_id]
    return found


def links_of_credit(credit_id: str, payments: Iterable[Raw], home: str) -> list[Link]:
    """The invoices that one credit memo settled."""
    return [
        Link("invoice", a.invoice_id, a.amount, id_of(raw))
        for raw in payments
        for a in settlement(raw, home).credits.get(("CreditMemo", credit_id), ())
    ]


def links_of_payment(raw: Raw, home: str) -> list[Link]:
    """The invoices that one Payment settled, with its money or with a credit it joined."""
    settled, payment_id = settlement(raw, home), id_of(raw)
    given = [*settled.money, *(a for shares in settled.credits.values() for a in shares)]
    return [Link("invoice", a.invoice_id, a.amount, payment_id) for a in given]


def documents_in(raw: Raw) -> Iterator[tuple[str, str]]:
    """The documents that a Payment's lines name: ("Invoice", "67")."""
    for line in raw.get("Line") or []:
        for link in line.get("LinkedTxn") or []:
            yield str(link.get("TxnType")), str(link.get("TxnId"))
