"""How far a plan is: money matched to its installments, its pace, and what a person must look at.

Split: each installment is an invoice, and the ledger says what is open on it. Notes: whatever was settled on
the plan's invoices since the snapshot pays the rows in their order. Amounts are minor units.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from connector.domain.installments import settlement_discount, written_off_tax
from connector.domain.money import Money, step
from connector.domain.plan import Installment, Plan, Source, open_by_source
from connector.domain.plan_words import credit_number
from connector.domain.policy import Mode
from connector.domain.receivables import CreditNote, Invoice, Payment, Status


class RowState(StrEnum):
    """`LATE` is past the due date and the tolerance; `GONE` is no longer in the ledger."""

    OPEN = "open"
    PARTLY_PAID = "partly_paid"
    PAID = "paid"
    LATE = "late"
    GONE = "gone"


class Pace(StrEnum):
    ON_TRACK = "on_track"
    LATE = "late"
    BROKEN = "broken"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Matched:
    """Part of one payment or credit that went to a row. `days_after` its due date; negative is early."""

    id: str
    date: dt.date
    amount: int
    days_after: int
    is_credit: bool = False


@dataclass(frozen=True, slots=True)
class RowProgress:
    """One row. `open`, `paid` and `lost` are principal; interest is billed and settled on invoices of its own.

    `lost` is what the ledger asks for no more although nobody settled it: the document is gone, voided or was made
    smaller. It is never `paid`.
    """

    n: int
    due: dt.date
    principal: int
    interest: int
    open: int
    state: RowState
    matched: tuple[Matched, ...] = ()
    interest_open: int = 0  # earned by today and not settled
    interest_paid: int = 0
    lost: int = 0

    @property
    def paid(self) -> int:
        """Settled, by money or by credits."""
        return self.principal - self.open - self.lost

    @property
    def credited(self) -> int:
        """The part of `paid` that is known to be credits."""
        return min(self.paid, sum(m.amount for m in self.matched if m.is_credit))


@dataclass(frozen=True, slots=True)
class Progress:
    """`next` is the first row that is not paid. `attention` are sentences: the ledger was changed by hand."""

    pace: Pace
    rows: tuple[RowProgress, ...]
    attention: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """The plan's own state: running, finished or broken."""
        return {Pace.FINISHED: "finished", Pace.BROKEN: "broken"}.get(self.pace, "running")

    @property
    def open(self) -> int:
        return sum(r.open for r in self.rows)

    @property
    def paid(self) -> int:
        return sum(r.paid for r in self.rows)

    @property
    def next(self) -> RowProgress | None:
        return next((r for r in self.rows if r.state not in (RowState.PAID, RowState.GONE)), None)

    @property
    def late(self) -> tuple[RowProgress, ...]:
        return tuple(r for r in self.rows if r.state is RowState.LATE)


def progress(
    plan: Plan,
    today: dt.date,
    *,
    installments: Mapping[int, Invoice] | None = None,
    sources: Mapping[str, Invoice] | None = None,
    interest: Mapping[int, Invoice] | None = None,
    payments: Iterable[Payment] = (),
    credits: Iterable[CreditNote] | None = None,
) -> Progress:
    """Where the plan stands today, by what the books say.

    `installments` are a split's invoices by row number, `interest` the interest invoices by row number,
    `sources` the plan's own invoices by ledger id; a document that is missing there is gone from the ledger.
    `credits` are all of the customer's, or None where nobody looked: then the plan's own is not missed.
    """
    known = None if credits is None else tuple(credits)
    settlements = _settlements(payments, known or ())
    billed = interest or {}
    if plan.mode is Mode.SPLIT:
        rows, attention = _split_rows(plan, today, installments or {}, settlements)
    else:
        rows, attention = _notes_rows(plan, today, sources or {}, settlements)
    rows = [_with_interest(r, billed.get(r.n), today) for r in rows]
    if plan.mode is Mode.SPLIT and sources is not None:
        attention += _unsettled(plan, sources, known)
    return Progress(_pace(plan, rows, today), tuple(rows), tuple(attention))


_Settlements = dict[str, list[tuple[dt.date, str, int, bool]]]  # invoice id → (date, id, amount, is credit)


def _settlements(payments: Iterable[Payment], credits: Iterable[CreditNote]) -> _Settlements:
    found: _Settlements = {}
    for payment in payments:
        for part in () if payment.void else payment.allocations:
            entry = (part.date or payment.date, payment.id, part.amount, False)
            found.setdefault(part.invoice_id, []).append(entry)
    for credit in credits:
        for part in () if credit.void else credit.allocations:
            entry = (part.date or credit.date, credit.id, part.amount, True)
            found.setdefault(part.invoice_id, []).append(entry)
    for entries in found.values():
        entries.sort()
    return found


def _split_rows(
    plan: Plan, today: dt.date, installments: Mapping[int, Invoice], settlements: _Settlements
) -> tuple[list[RowProgress], list[str]]:
    rows, attention = [], []
    for row in plan.rows:
        invoice = installments.get(row.n)
        if invoice is None or invoice.status is Status.VOID:
            what = "is no longer in the ledger" if invoice is None else "was voided in the ledger"
            attention.append(f"Installment {row.n} {what}. Draft the plan again for what is still owed.")
            rows.append(_row(plan, row, 0, (), today, lost=row.principal))
            continue
        if invoice.total != row.principal:
            attention.append(
                f"Installment {row.n} was changed to {Money(invoice.total, plan.currency)} in the ledger; "
                f"the plan says {Money(row.principal, plan.currency)}. Draft the plan again."
            )
        matched = tuple(
            Matched(id, date, amount, (date - row.due).days, is_credit)
            for date, id, amount, is_credit in settlements.get(invoice.id, ())
        )
        open_ = max(0, min(invoice.balance, row.principal))
        rows.append(_row(plan, row, open_, matched, today, lost=max(0, row.principal - invoice.total)))
    return rows, attention


def _notes_rows(
    plan: Plan, today: dt.date, sources: Mapping[str, Invoice], settlements: _Settlements
) -> tuple[list[RowProgress], list[str]]:
    attention: list[str] = []
    pool, lost = 0, 0
    entries: list[tuple[dt.date, str, int, bool]] = []
    for source in plan.sources:
        invoice = sources.get(source.invoice_id)
        if invoice is None or invoice.status is Status.VOID:
            what = "is no longer in the ledger" if invoice is None else "was voided in the ledger"
            attention.append(f"Invoice {source.number} {what}. Draft the plan again for what is still owed.")
            continue
        if invoice.total != source.total or invoice.balance > source.balance:
            attention.append(f"Invoice {source.number} was changed in the ledger. Draft the plan again.")
        less = max(0, source.total - invoice.total)
        settled = max(0, source.balance - invoice.balance - less)
        pool += settled
        lost += min(less, source.balance - settled)
        entries += _latest(settlements.get(source.invoice_id, ()), settled)
    entries.sort()
    stays = plan.principal - lost  # a smaller invoice shortens the plan from its end
    rows = []
    for row in plan.rows:
        asked = min(max(0, stays), row.principal)
        stays -= asked
        paid = min(pool, asked)
        pool -= paid
        matched = _take(entries, paid, row.due)
        rows.append(_row(plan, row, asked - paid, matched, today, lost=row.principal - asked))
    return rows, attention


def _latest(
    entries: Iterable[tuple[dt.date, str, int, bool]], amount: int
) -> list[tuple[dt.date, str, int, bool]]:
    """The last of the settlements that make up `amount`: those that came after the plan's snapshot."""
    found = []
    for date, id, size, is_credit in reversed(list(entries)):
        take = min(size, amount)
        if take:
            found.append((date, id, take, is_credit))
        amount -= take
    return found


def _take(entries: list[tuple[dt.date, str, int, bool]], amount: int, due: dt.date) -> tuple[Matched, ...]:
    """Use up the first `amount` of the settlements, oldest first."""
    matched = []
    while amount and entries:
        date, id, size, is_credit = entries.pop(0)
        take = min(size, amount)
        matched.append(Matched(id, date, take, (date - due).days, is_credit))
        amount -= take
        if size > take:
            entries.insert(0, (date, id, size - take, is_credit))
    return tuple(matched)


def _row(
    plan: Plan, row: Installment, open_: int, matched: tuple[Matched, ...], today: dt.date, *, lost: int
) -> RowProgress:
    asked = row.principal - lost
    if asked <= 0:
        state = RowState.GONE
    elif open_ <= min(plan.terms.tolerance_amount, asked - 1):  # never the whole of a tiny row
        state = RowState.PAID
    elif today > row.due + dt.timedelta(plan.terms.tolerance_days):
        state = RowState.LATE
    else:
        state = RowState.PARTLY_PAID if open_ < asked else RowState.OPEN
    return RowProgress(row.n, row.due, row.principal, row.interest, open_, state, matched, lost=lost)


def _with_interest(row: RowProgress, invoice: Invoice | None, today: dt.date) -> RowProgress:
    if invoice is None:
        return replace(row, interest_open=row.interest if row.due <= today else 0)
    if invoice.status is Status.VOID:
        return row
    return replace(row, interest_open=invoice.balance, interest_paid=max(0, invoice.total - invoice.balance))


def _unsettled(plan: Plan, sources: Mapping[str, Invoice], credits: Sequence[CreditNote] | None) -> list[str]:
    """A split's own invoices must stay as they are, settled by its credit note; those that its first version was about,
    too, where the books of them were given."""
    mark = f"plan={plan.id} v={plan.version} role=credit "
    numbers = {credit_number(plan, s) for s in plan.sources}  # somebody may write before our mark
    ours = [c for c in credits or () if c.marker.startswith(mark) or c.number in numbers]
    credited = sum(c.total for c in ours if not c.void)
    found = []
    now = {s.invoice_id for s in plan.sources}
    first = [s for s in plan.originals if s.invoice_id in sources and s.invoice_id not in now]
    for source in (*plan.sources, *first):
        invoice = sources.get(source.invoice_id)
        if invoice is None or invoice.status is Status.VOID:
            what = "is no longer in the ledger" if invoice is None else "was voided in the ledger"
            found.append(
                f"Invoice {source.number} {what}, and its installments still ask for it. End the plan, or draft it "
                "again for what is still owed."
            )
        elif invoice.balance > 0:
            what, then = "taken off it", "Set it against the invoice again"
            standing = [c for c in ours if not c.void and _is_for(c, source, plan)]
            if credits is not None and source.invoice_id in now and not standing:
                what, then = "deleted or voided", "End the plan, and draft it again"
            found.append(
                f"Invoice {source.number} is open again with {Money(invoice.balance, plan.currency)}: "
                f"the plan's credit was {what}. {then}; until then the same sum is asked for twice."
            )
    if credits is not None and not found and credited != plan.balance:
        found.append(
            f"The plan's credit is {Money(credited, plan.currency)} in the ledger, and was "
            f"{Money(plan.balance, plan.currency)}: the clearing account no longer comes to zero. Put it right there, "
            "or end the plan and draft it again."
        )
    return found


def _is_for(credit: CreditNote, source: Source, plan: Plan) -> bool:
    return credit.number == credit_number(plan, source) or f" src={source.invoice_id} " in credit.marker


def _pace(plan: Plan, rows: Iterable[RowProgress], today: dt.date) -> Pace:
    rows = [r for r in rows if r.state is not RowState.GONE]
    if rows and all(r.state is RowState.PAID for r in rows):
        return Pace.FINISHED
    late = [r for r in rows if r.state is RowState.LATE]
    if any(today > r.due + dt.timedelta(plan.terms.broken_after_days) for r in late):
        return Pace.BROKEN
    return Pace.LATE if late else Pace.ON_TRACK


@dataclass(frozen=True, slots=True)
class Payoff:
    """What settles a plan today (I18): principal + interest − discount = to_pay. Later interest never exists."""

    principal: int
    interest: int
    discount: int

    @property
    def to_pay(self) -> int:
        return self.principal + self.interest - self.discount


def payoff(now: Progress, currency: str, discount_percent: Decimal = Decimal(0)) -> Payoff:
    """The early payoff: unpaid principal, interest earned so far, less an agreed discount on the principal."""
    interest = sum(r.interest_open for r in now.rows)
    discount = settlement_discount(now.open, discount_percent, 0, 0, step=step(currency, now.open)).gross
    return Payoff(now.open, interest, discount)


@dataclass(frozen=True, slots=True)
class WriteOff:
    """A proposal to the accountant: `tax` is relief only where its conditions are met, else all is bad debt."""

    gross: int
    net: int
    tax: int


def write_off(plan: Plan, now: Progress) -> WriteOff:
    """What is unpaid, with the tax of the original invoices that is inside it (I19)."""
    unpaid: dict[str, int] = {}
    by_id: dict[str, Source] = {s.invoice_id: s for s in plan.sources}
    for parts in open_by_source(plan, {r.n: r.open for r in now.rows}):
        for source, amount in parts:
            unpaid[source.invoice_id] = unpaid.get(source.invoice_id, 0) + amount
    tax = sum(written_off_tax(a, by_id[id].tax, by_id[id].total) for id, a in unpaid.items())
    return WriteOff(now.open, now.open - tax, tax)
