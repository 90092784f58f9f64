"""The proof of a write: what the ledger has now against what was meant, and what the accounts did.

Signs are those of a trial balance: debits positive, credits negative. Amounts are minor units.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from connector.domain.installments import rounded
from connector.domain.money import Money
from connector.domain.receivables import CreditNote, Document, Kind, Line, Payment, Status
from connector.domain.writes import CreditDraft, Draft, InvoiceDraft, LinkDraft

RECEIVABLE, TAX, CLEARING, BANK = "Receivable", "Tax", "Clearing", "Bank"
UNKNOWN_CREDIT = "?"


# 1. Documents: read back and compare


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in the ledger that is not as it was meant."""

    number: str
    field: str
    expected: object
    found: object
    sentence: str


def compare(
    drafts: Iterable[Draft], documents: Iterable[Document], *, just_written: bool = False
) -> list[Difference]:
    """How the ledger's documents differ from the drafts of credit notes and invoices; [] is the proof.

    `just_written`: nothing may be set against the new invoices yet (the ledger may have applied a credit of
    its own to them, I10).
    """
    by_number: dict[str, list[Document]] = defaultdict(list)
    for document in documents:
        if document.status is not Status.VOID:
            by_number[document.number].append(document)
    found: list[Difference] = []
    for draft in drafts:
        if isinstance(draft, CreditDraft | InvoiceDraft):
            kind = Kind.CREDIT if isinstance(draft, CreditDraft) else Kind.INVOICE
            live = [d for d in by_number[draft.number] if d.kind is kind]
            if len(live) != 1:
                words = "is not in the ledger" if not live else f"is in the ledger {len(live)} times"
                found.append(
                    Difference(
                        draft.number, "documents", 1, len(live), f"{draft.number} {words}; it should be once."
                    )
                )
            else:
                found += _differences(draft, live[0], just_written)
    return found


def _differences(
    draft: CreditDraft | InvoiceDraft, document: Document, just_written: bool
) -> list[Difference]:
    # Interest and fees carry a code of their own: their tax is in the amount or on top of it.
    interest = " role=int " in draft.marker or " role=fee " in draft.marker
    tax = document.tax if interest else 0
    on_top = tax if document.total != draft.amount else 0
    inside = draft.tax if isinstance(draft, CreditDraft) else 0
    pairs: list[tuple[str, object, object]] = [
        ("customer", draft.customer_id, document.customer_id),
        ("date", draft.date, document.date),
        ("currency", draft.currency, document.currency),
        ("total", draft.amount + on_top, document.total),
        ("tax", tax + inside, document.tax),
        ("marker", draft.marker, document.marker),
    ]
    if isinstance(draft, InvoiceDraft):
        pairs.append(("due date", draft.due, document.due))
    if just_written:
        pairs.append(("open amount", document.total, document.balance))
    where = {line.account_id for line in document.lines if line.net} - {""}
    if where and draft.account_id:
        pairs.append(("account", draft.account_id, next(iter(where)) if len(where) == 1 else sorted(where)))
    return [
        Difference(draft.number, field, expected, found, _sentence(draft, field, expected, found))
        for field, expected, found in pairs
        if expected != found
    ]


def _sentence(draft: CreditDraft | InvoiceDraft, field: str, expected: object, found: object) -> str:
    if isinstance(expected, int) and isinstance(found, int):
        expected, found = Money(expected, draft.currency), Money(found, draft.currency)
    if field == "tax":
        return f"{draft.number}: tax came back as {found} instead of {expected}."
    return f"{draft.number}: the {field} is {found or 'empty'}; it should be {expected}."


def settled(documents: Iterable[Document], invoice_ids: Iterable[str]) -> list[Difference]:
    """The plan's own invoices must be at zero once their credit note is applied (I6)."""
    by_id = {d.id: d for d in documents}
    found = []
    for invoice_id in invoice_ids:
        document = by_id.get(invoice_id)
        if document is None:
            sentence = "An invoice of the plan is no longer in the ledger."
            found.append(Difference(invoice_id, "documents", 1, 0, sentence))
        elif document.balance:
            rest = Money(document.balance, document.currency)
            sentence = f"Invoice {document.number} still has {rest} open; the credit should have settled it."
            found.append(Difference(document.number, "open amount", 0, document.balance, sentence))
    return found


def used_up(drafts: Iterable[Draft], documents: Iterable[Document]) -> list[Difference]:
    """Credits of which something is left although their links are made: the ledger took less (I6)."""
    numbers = {d.number for d in drafts if isinstance(d, CreditDraft)}
    return [
        Difference(
            d.number,
            "open amount",
            0,
            d.balance,
            f"{d.number} still has {Money(d.balance, d.currency)} left; its invoice should have taken all of it.",
        )
        for d in documents
        if d.kind is Kind.CREDIT and d.number in numbers and d.balance and d.status is not Status.VOID
    ]


# 2. Accounts: what moved, per period, on both bases


@dataclass(frozen=True, slots=True)
class Applied:
    """Money or a credit set against an invoice. `credit_id` "" is money; "?" a credit that we have not read."""

    invoice_id: str
    amount: int
    date: dt.date
    credit_id: str = ""


@dataclass(frozen=True, slots=True)
class EffectRow:
    """One account in one period ("2026-11"; "" is the sum of all), before and after the plan."""

    basis: str  # accrual | cash
    account: str
    period: str
    before: int
    after: int

    @property
    def change(self) -> int:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Effect:
    """What a plan does to the accounts. Zeros are kept: they are the point."""

    currency: str
    rows: tuple[EffectRow, ...]
    early_income: int = 0  # what a cash report would show as income before any money came
    early_tax: int = 0

    def totals(self, basis: str) -> list[EffectRow]:
        """One row per account over all periods."""
        return [r for r in self.rows if r.basis == basis and not r.period]

    def periods(self, basis: str) -> list[EffectRow]:
        """One row per account and month."""
        return [r for r in self.rows if r.basis == basis and r.period]

    @property
    def neutral(self) -> bool:
        """No revenue, tax, receivable or any other account moved on the accrual basis, in any period."""
        return all(r.change == 0 for r in self.rows if r.basis == "accrual")

    def only_waives(self, amount: int) -> bool:
        """On accrual nothing moved but a waived fee: off the receivable, and off the income and tax it was charged as."""
        moved = {r.account: r.change for r in self.totals("accrual") if r.change}
        income = {a: c for a, c in moved.items() if a not in (RECEIVABLE, CLEARING, BANK)}
        return moved == {RECEIVABLE: -amount} | income and sum(income.values()) == amount > 0

    @property
    def named(self) -> tuple[str, ...]:
        """What has to be said aloud although the books are filed on accrual (I12)."""
        if not (self.early_income or self.early_tax):
            return ()
        income, tax = Money(self.early_income, self.currency), Money(self.early_tax, self.currency)
        return (
            f"Income recognized early on a cash report: {income}, with tax of {tax}. "
            "The credit counts as payment there.",
        )


def effect(
    before: Sequence[Document],
    applied_before: Sequence[Applied],
    written: Sequence[Document],
    applied_after: Sequence[Applied],
    *,
    clearing: frozenset[str],
    currency: str,
    always: Sequence[str] = (),
) -> Effect:
    """The ledger effect of `written` documents and `applied_after` links on top of what was there.

    `clearing` are the ids of the clearing account and its item: lines there are no income. `always` names
    accounts to show even when nothing ever touched them (late fees, interest).
    """
    rows: list[EffectRow] = []
    early = {"income": 0, "tax": 0}
    lines = [line for d in [*before, *written] for line in d.lines]
    books = Accounts(clearing, {n.account_id: n.account_name for n in lines if n.account_name})
    for basis in ("accrual", "cash"):
        old = _balances(before, applied_before, books, cash=basis == "cash")
        new = _balances([*before, *written], [*applied_before, *applied_after], books, cash=basis == "cash")
        fixed = [RECEIVABLE, TAX, CLEARING, BANK, *always]
        income = sorted({a for a, _ in new} | {a for a, _ in old})
        accounts = list(dict.fromkeys([RECEIVABLE, *(a for a in income if a not in fixed), *fixed[1:]]))
        periods = sorted({p for _, p in new} | {p for _, p in old})
        for account in accounts:
            months = [(p, old.get((account, p), 0), new.get((account, p), 0)) for p in periods]
            total = EffectRow(basis, account, "", sum(m[1] for m in months), sum(m[2] for m in months))
            rows += [EffectRow(basis, account, *m) for m in months] + [total]
            if basis == "cash" and account == TAX:
                early["tax"] = -total.change
            elif basis == "cash" and account not in (RECEIVABLE, CLEARING, BANK):
                early["income"] -= total.change
    return Effect(currency, tuple(rows), early["income"], early["tax"])


Balances = dict[tuple[str, str], int]  # (account, "2026-11") → movement


def _balances(
    documents: Sequence[Document], applied: Sequence[Applied], accounts: Accounts, *, cash: bool
) -> Balances:
    book: Balances = defaultdict(int)

    def post(account: str, date: dt.date, amount: int) -> None:
        if amount:
            book[account, f"{date:%Y-%m}"] += amount

    by_id = {d.id: d for d in documents}
    for document in documents:
        sign = 1 if document.kind is Kind.INVOICE else -1
        for account, amount in _segments(document, accounts):
            if not cash or account == CLEARING:
                post(account, document.date, -sign * amount)
                post(RECEIVABLE, document.date, sign * amount)
    used: dict[str, int] = defaultdict(int)  # how much of each document has been settled so far
    for one in sorted(applied, key=lambda a: a.date):
        if one.credit_id not in by_id:  # money, or a credit whose own entry we have not read
            post("Other credits" if one.credit_id else BANK, one.date, one.amount)
            post(RECEIVABLE, one.date, -one.amount)
        if cash:  # income and tax are recognized now, in proportion to what is settled
            for id, sign in ((one.invoice_id, 1), (one.credit_id, -1)):
                if id in by_id:
                    for account, share in _settle(by_id[id], used, one.amount, accounts):
                        post(account, one.date, -sign * share)
                        post(RECEIVABLE, one.date, sign * share)
    return book


@dataclass(frozen=True, slots=True)
class Accounts:
    """Which ids are the clearing account or its item, and what the other accounts are called."""

    clearing: frozenset[str]
    names: Mapping[str, str]

    def of(self, line: Line) -> str:
        if line.account_id in self.clearing or line.item_id in self.clearing:
            return CLEARING
        return line.account_name or self.names.get(line.account_id) or line.account_id or "Income"


def _segments(document: Document, accounts: Accounts) -> list[tuple[str, int]]:
    """The document's amounts by account, tax last; what the lines do not explain counts as income."""
    segments = [(accounts.of(line), line.net) for line in document.lines]
    rest = document.total - document.tax - sum(line.net for line in document.lines)
    if rest:
        segments.append(("Income", rest))
    return [*segments, (TAX, document.tax)]


def _settle(
    document: Document, used: dict[str, int], amount: int, accounts: Accounts
) -> list[tuple[str, int]]:
    """The income and tax inside the next `amount` of a document, by cumulative rounding over all settlements.

    Clearing lines were recognized when they were posted.
    """
    start, used[document.id] = used[document.id], used[document.id] + amount
    shares, reached = [], 0

    def share_of(settled_: int, part: int) -> int:
        return rounded(Fraction(settled_ * part, document.total)) if document.total else 0

    for account, size in _segments(document, accounts):
        low, reached = reached, reached + size
        now = share_of(used[document.id], reached) - share_of(used[document.id], low)
        then = share_of(start, reached) - share_of(start, low)
        if account != CLEARING:
            shares.append((account, now - then))
    return shares


def as_documents(drafts: Iterable[Draft]) -> tuple[list[Document], list[Applied]]:
    """Drafts as the documents and links that they will become, for the preview before approval."""
    documents: list[Document] = []
    links: list[Applied] = []
    for draft in drafts:
        if isinstance(draft, LinkDraft):
            links.append(Applied(draft.invoice_id, draft.amount, draft.date, draft.credit_id))
        elif isinstance(draft, CreditDraft | InvoiceDraft):
            credit = isinstance(draft, CreditDraft)
            documents.append(
                Document(
                    kind=Kind.CREDIT if credit else Kind.INVOICE,
                    id=f"@{draft.number}",
                    number=draft.number,
                    customer_id=draft.customer_id,
                    date=draft.date,
                    due=None if isinstance(draft, CreditDraft) else draft.due,
                    currency=draft.currency,
                    total=draft.amount,
                    balance=draft.amount,
                    tax=draft.tax if isinstance(draft, CreditDraft) else 0,
                    status=Status.OPEN,
                    lines=(Line(draft.account_id, draft.description, _net(draft), item_id=draft.item_id),),
                    marker=draft.marker,
                )
            )
    return documents, links


def _net(draft: CreditDraft | InvoiceDraft) -> int:
    return draft.amount - (draft.tax if isinstance(draft, CreditDraft) else 0)


def applied(
    invoices: Sequence[Document], payments: Iterable[Payment], credits: Iterable[CreditNote]
) -> list[Applied]:
    """What was set against these invoices so far, from our mirror of the books.

    What total and balance say was settled but no allocation explains counts as an unknown credit on the
    invoice's own date.
    """
    ids = {i.id for i in invoices}
    found = [
        Applied(a.invoice_id, a.amount, a.date or p.date)
        for p in payments
        if not p.void
        for a in p.allocations
        if a.invoice_id in ids
    ]
    found += [
        Applied(a.invoice_id, a.amount, a.date or c.date, c.id)
        for c in credits
        if not c.void
        for a in c.allocations
        if a.invoice_id in ids
    ]
    for invoice in invoices:
        known = sum(a.amount for a in found if a.invoice_id == invoice.id)
        gap = invoice.total - invoice.balance - known
        if gap > 0:
            found.append(Applied(invoice.id, gap, invoice.date, UNKNOWN_CREDIT))
    return found
