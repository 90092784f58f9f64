"""Double entry, derived: what every document posts, on the accrual and on the cash basis.

On the cash basis income, expense and tax lines of an invoice or credit note are recognized in the proportion that is
settled, whether by money OR BY CREDITS (cumulative rounding, so that the last part takes the rest); lines on
balance-sheet accounts are recognized at once. That is what both ledgers do, and why a plan credit on a cash-basis
file pulls income forward. The receivable account takes the other side, so each date balances on either basis.
Amounts are home currency, minor units, debit positive.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from sandbox.documents import PROFIT_AND_LOSS, Advance, Allocation, CreditNote, Invoice, Payment, Ref, Refund
from sandbox.money import exponent, half_up, share

if TYPE_CHECKING:
    from sandbox.ledger import Ledger
    from sandbox.organization import Basis


class Posting(NamedTuple):
    """One side of an entry. `tax_code` is set on the net and tax lines that a tax return would count."""

    date: date
    account: str
    amount: int
    ref: Ref
    customer: str = ""
    tax_code: str = ""
    is_tax: bool = False


class _Part(NamedTuple):
    account: str
    amount: int  # home
    deferred: bool  # on the cash basis: waits for settlement
    tax_code: str
    is_tax: bool


def all_postings(ledger: Ledger, basis: Basis = "accrual") -> Iterator[Posting]:
    """Every posting of the company, in no particular order."""
    for table in (ledger.invoices, ledger.credit_notes):
        for sale in table:
            yield from _sale(ledger, Ref(table.kind, sale.id), sale, basis)
    for payment in ledger.payments:
        yield from _money(ledger, Ref("payment", payment.id), payment, 1)
    for advance in ledger.advances:
        yield from _money(ledger, Ref("advance", advance.id), advance, 1)
    for refund in ledger.refunds:
        yield from _money(ledger, Ref("refund", refund.id), refund, -1)
    for deposit in ledger.deposits:
        yield from _deposit(ledger, Ref("deposit", deposit.id), deposit)
    for journal in ledger.journals:
        yield from _journal(ledger, Ref("journal", journal.id), journal)
    if ledger.organization.multicurrency:
        for allocation in ledger.allocations.values():
            yield from _exchange_difference(ledger, allocation)


def postings_of(ledger: Ledger, ref: Ref, basis: Basis = "accrual") -> list[Posting]:
    """The entry of one document (for an invoice on cash: as far as it is settled)."""
    document = ledger.find(ref)
    if ref.kind in ("invoice", "credit_note"):
        found = list(_sale(ledger, ref, document, basis))
    elif ref.kind in ("payment", "advance", "refund"):
        found = list(_money(ledger, ref, document, -1 if ref.kind == "refund" else 1))
    elif ref.kind == "deposit":
        found = list(_deposit(ledger, ref, document))
    else:
        found = list(_journal(ledger, ref, document))
    for allocation in ledger.allocations_from(ref):
        found += _exchange_difference(ledger, allocation)
    return found


def to_home(ledger: Ledger, amount: int, currency: str, rate: Decimal) -> int:
    """Minor units of `currency` in minor units of the home currency, rounded half up."""
    home = ledger.organization.home_currency
    if currency == home:
        return amount
    return half_up(Decimal(amount).scaleb(exponent(home) - exponent(currency)) * rate)


def _parts(ledger: Ledger, sale: Any) -> list[_Part]:
    """Lines in home currency: cumulative rounding, so that they add up to the total in home currency."""
    parts: list[_Part] = []
    seen = given = 0

    def take(amount: int) -> int:
        nonlocal seen, given
        seen += amount
        upto = to_home(ledger, seen, sale.currency, sale.rate)
        home, given = upto - given, upto
        return home

    tax_account = ledger.account_by_role("tax").id
    for line in sale.lines:
        code = ledger.tax_codes.get(line.tax_code)
        on_return = line.tax_code if code is not None and code.taxable else ""
        if line.net:
            profit_and_loss = ledger.accounts[line.account].type in PROFIT_AND_LOSS
            parts.append(_Part(line.account, take(line.net), profit_and_loss, on_return, False))
        if line.tax:
            account = (code.account if code else "") or tax_account
            parts.append(_Part(account, take(line.tax), True, on_return, True))
    return parts


def _sale(ledger: Ledger, ref: Ref, sale: Any, basis: Basis) -> Iterator[Posting]:
    if not sale.live:
        return
    sign = 1 if isinstance(sale, Invoice) else -1
    receivable = ledger.account_by_role("receivable").id
    parts = _parts(ledger, sale)
    if isinstance(sale, Invoice) and sale.deposit:
        deposit = to_home(ledger, sale.deposit, sale.currency, sale.rate)
        account = sale.deposit_account or ledger.account_by_role("undeposited").id
        yield Posting(sale.date, account, deposit, ref, sale.customer)
        yield Posting(sale.date, receivable, -deposit, ref, sale.customer)
    total = sale.total
    at_once = [p for p in parts if basis == "accrual" or not p.deferred or not total]
    yield from _recognize(sale.date, [(p, p.amount) for p in at_once], sign, receivable, ref, sale.customer)
    if basis == "accrual" or not total:
        return
    waiting = [p for p in parts if p.deferred]
    recognized = [0] * len(waiting)
    settled = 0
    for day, amount in _settlements(ledger, ref, sale):
        settled += amount
        upto = [share(p.amount, settled, total) for p in waiting]
        step = [(p, new - old) for p, new, old in zip(waiting, upto, recognized, strict=True)]
        yield from _recognize(day, step, sign, receivable, ref, sale.customer)
        recognized = upto


def _recognize(
    day: date, amounts: list[tuple[_Part, int]], sign: int, receivable: str, ref: Ref, customer: str
) -> Iterator[Posting]:
    whole = 0
    for part, amount in amounts:
        if amount:
            yield Posting(day, part.account, -sign * amount, ref, customer, part.tax_code, part.is_tax)
            whole += amount
    if whole:
        yield Posting(day, receivable, sign * whole, ref, customer)


def _settlements(ledger: Ledger, ref: Ref, sale: Any) -> Iterator[tuple[date, int]]:
    """(day, amount) of everything that settled the invoice, or used up the credit note."""
    if isinstance(sale, Invoice):
        if sale.deposit:
            yield sale.date, sale.deposit
        made = ledger.allocations_to(ref)
    else:
        made = ledger.allocations_from(ref)
    for allocation in sorted(made, key=lambda a: (a.date, a.sequence)):
        yield allocation.date, allocation.amount


def _money(ledger: Ledger, ref: Ref, document: Any, sign: int) -> Iterator[Posting]:
    if document.live and document.amount:
        amount = sign * to_home(ledger, document.amount, document.currency, document.rate)
        receivable = ledger.account_by_role("receivable").id
        yield Posting(document.date, document.account, amount, ref, document.customer)
        yield Posting(document.date, receivable, -amount, ref, document.customer)


def _deposit(ledger: Ledger, ref: Ref, deposit: Any) -> Iterator[Posting]:
    if not deposit.live:
        return
    undeposited = ledger.account_by_role("undeposited").id
    total = 0
    for line in deposit.lines:
        payment = ledger.payments.get(line.payment)
        if payment:  # at its own rate: that is what stands in undeposited funds
            amount = to_home(ledger, payment.amount, payment.currency, payment.rate)
        else:
            amount = to_home(ledger, line.amount, deposit.currency, deposit.rate)
        total += amount
        yield Posting(deposit.date, undeposited if payment else line.account, -amount, ref, line.customer)
    if total:
        yield Posting(deposit.date, deposit.account, total, ref)


def _journal(ledger: Ledger, ref: Ref, journal: Any) -> Iterator[Posting]:
    if not journal.live:
        return
    seen = given = 0
    for line in journal.lines:
        seen += line.amount
        upto = to_home(ledger, seen, journal.currency, journal.rate)
        yield Posting(journal.date, line.account, upto - given, ref, line.customer)
        given = upto


def _exchange_difference(ledger: Ledger, allocation: Allocation) -> Iterator[Posting]:
    """Realized gain: what the giver was booked at, less what the taker was booked at, for the allocated part."""
    giver, taker = ledger.find(allocation.source), ledger.find(allocation.target)
    if giver.currency == ledger.organization.home_currency or isinstance(taker, Payment):
        return
    difference = _relieved(ledger, allocation, giver, ledger.allocations_from(allocation.source)) - _relieved(
        ledger, allocation, taker, ledger.allocations_to(allocation.target)
    )
    if difference:
        ref = Ref("payment", allocation.via) if allocation.via else allocation.source
        receivable = ledger.account_by_role("receivable").id
        gain = ledger.account_by_role("realized_gain").id
        yield Posting(allocation.date, receivable, difference, ref, giver.customer)
        yield Posting(allocation.date, gain, -difference, ref, giver.customer)


def _relieved(ledger: Ledger, allocation: Allocation, document: Any, its: list[Allocation]) -> int:
    """Home amount of one allocation at the document's own rate, rounded cumulatively over its allocations."""
    if isinstance(document, Payment | Advance | Refund):
        whole = document.amount
    elif isinstance(document, Invoice | CreditNote):
        whole = document.total
    else:
        whole = abs(document.receivable)
    home = to_home(ledger, whole, document.currency, document.rate)
    before = sum(a.amount for a in its if a.sequence < allocation.sequence)
    return share(home, before + allocation.amount, whole) - share(home, before, whole)
