"""Reads books files: `books/1`, JSON Lines, optionally gzip, one company per line; the rows below are its keys.

Money in the file is hundredths of the currency's unit whatever the currency; here it becomes whole minor
units. Nothing in the file says "paid" or "late": `known_on` derives balances for a day from what was dated
on or before it.
"""

from __future__ import annotations

import datetime as dt
import gzip
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from connector.domain import money
from connector.domain.receivables import (
    Allocation,
    CreditNote,
    Customer,
    Invoice,
    Organization,
    Payment,
    Status,
)

FORMAT = "books/1"


class WrongBooks(Exception):
    """A books file cannot be used. `str()` names the line, the field and what is wrong with it."""


class CompanyRow(msgspec.Struct, frozen=True):
    id: str
    name: str
    home_currency: str
    as_of: dt.date | None = None
    country: str | None = None
    timezone: str | None = None
    basis: str | None = None
    closed_until: dt.date | None = None
    first_date: dt.date | None = None
    last_date: dt.date | None = None
    genuine: bool | None = None
    source: str | None = None
    notes: str | None = None


class CustomerRow(msgspec.Struct, frozen=True):
    id: str
    name: str
    currency: str | None = None
    country: str | None = None
    terms_days: int | None = None
    email: str | None = None
    credit_limit: int | None = None  # hundredths
    created: dt.date | None = None


class LineRow(msgspec.Struct, frozen=True):
    net_cents: int = 0
    tax_cents: int = 0
    description: str | None = None


class StateRow(msgspec.Struct, frozen=True):
    date: dt.date
    what: str


class InvoiceRow(msgspec.Struct, frozen=True):
    id: str
    customer_id: str
    issue_date: dt.date
    due_date: dt.date
    total_cents: int
    number: str | None = None
    terms_days: int | None = None
    currency: str | None = None
    kind: str | None = None
    parent_id: str | None = None
    lines: list[LineRow] | None = None
    state: list[StateRow] | None = None


class AllocationRow(msgspec.Struct, frozen=True):
    invoice_id: str
    amount_cents: int


class PaymentRow(msgspec.Struct, frozen=True):
    id: str
    customer_id: str
    date: dt.date
    amount_cents: int
    currency: str | None = None
    allocations: list[AllocationRow] | None = None
    unapplied_cents: int | None = None


class CreditRow(msgspec.Struct, frozen=True):
    id: str
    customer_id: str
    date: dt.date
    total_cents: int
    currency: str | None = None
    allocations: list[AllocationRow] | None = None


class EventRow(msgspec.Struct, frozen=True):
    """Something that happened with a customer: a promise, an extension asked for, a dispute closed …"""

    type: str
    date: dt.date
    customer_id: str | None = None
    invoice_id: str | None = None
    promised: dt.date | None = None
    amount_cents: int | None = None


class CompanyLine(msgspec.Struct, frozen=True):
    """One line of the file as written."""

    format: str
    company: CompanyRow
    customers: list[CustomerRow] = []
    invoices: list[InvoiceRow] = []
    payments: list[PaymentRow] | None = None
    credits: list[CreditRow] | None = None
    events: list[EventRow] | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """The books as they stood at the end of one day: nothing dated later is in here."""

    day: dt.date
    organization: Organization
    customers: tuple[Customer, ...]
    invoices: tuple[Invoice, ...]
    payments: tuple[Payment, ...]
    credits: tuple[CreditNote, ...]
    events: tuple[EventRow, ...]
    disputed: frozenset[str]  # ids of invoices in dispute that day


def companies(path: Path) -> Iterator[CompanyLine]:
    """Every company of a books file, one at a time. Raises WrongBooks at the first wrong line."""
    seen: set[str] = set()
    for number, line in _lines(path):
        company = read_line(line, number)
        if company.company.id in seen:
            raise WrongBooks(f"Line {number}, field company.id: {company.company.id!r} is in the file twice.")
        seen.add(company.company.id)
        yield company
    if not seen:
        raise WrongBooks(f"{path.name} holds no company. A books file has one company on each line.")


def read_line(line: bytes | str, number: int = 1) -> CompanyLine:
    """One company from one line, checked. Raises WrongBooks naming `number` and the field."""
    try:
        company = msgspec.json.decode(line, type=CompanyLine)
    except msgspec.ValidationError as wrong:
        sentence, _, path = str(wrong).partition(" - at `$")
        field = path.rstrip("`").lstrip(".") or "the whole line"
        missing = re.search(r"missing required field `(\w+)`", sentence)
        if missing:
            field = missing[1] if field == "the whole line" else f"{field}.{missing[1]}"
            sentence = "is missing"
        raise WrongBooks(f"Line {number}, field {field}: {sentence}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise WrongBooks(f"Line {number} is not JSON: {wrong}.") from None
    if company.format != FORMAT:
        raise WrongBooks(
            f"Line {number}, field format: {company.format!r} is not a format that Forbear reads; it reads {FORMAT!r}."
        )
    for field, problem in _problems(company):
        raise WrongBooks(f"Line {number}, field {field}: {problem}.")
    return company


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    if not path.is_file():
        raise WrongBooks(f"There is no file {path}. Check the name.")
    try:
        with path.open("rb") as probe:
            zipped = probe.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except (OSError, EOFError) as wrong:
        raise WrongBooks(f"{path.name} cannot be read: {wrong}. Is the file whole?") from None


def _problems(books: CompanyLine) -> Iterator[tuple[str, str]]:
    """What no type can say: ids that lead nowhere, doubles, amounts that do not add up."""
    if not re.fullmatch("[A-Z]{3}", books.company.home_currency):
        yield "company.home_currency", f"{books.company.home_currency!r} is not a currency code such as USD"
    if books.company.basis not in (None, "accrual", "cash", "unknown"):
        yield "company.basis", f"{books.company.basis!r} is not accrual, cash or unknown"
    customers = {c.id for c in books.customers}
    invoices = {i.id for i in books.invoices}
    groups: tuple[tuple[str, Sequence[Any]], ...] = (
        ("customers", books.customers),
        ("invoices", books.invoices),
        ("payments", books.payments or []),
        ("credits", books.credits or []),
    )
    for name, rows in groups:
        ids: set[str] = set()
        for n, row in enumerate(rows):
            if row.id in ids:
                yield f"{name}[{n}].id", f"{row.id!r} is there twice"
            ids.add(row.id)
            currency = getattr(row, "currency", None)
            if currency is not None and not re.fullmatch("[A-Z]{3}", currency):
                yield f"{name}[{n}].currency", f"{currency!r} is not a currency code such as USD"
            customer = getattr(row, "customer_id", None)
            if customer is not None and customer not in customers:
                yield f"{name}[{n}].customer_id", f"no customer has the id {customer!r}"
    for n, invoice in enumerate(books.invoices):
        yield from _amount(books, f"invoices[{n}].total_cents", invoice.total_cents, invoice)
    settled: dict[str, int] = defaultdict(int)
    money_rows = [
        ("payments", n, r, r.amount_cents, "amount_cents") for n, r in enumerate(books.payments or [])
    ]
    money_rows += [("credits", n, r, r.total_cents, "total_cents") for n, r in enumerate(books.credits or [])]  # type: ignore[misc]
    for name, n, row, amount, word in money_rows:
        yield from _amount(books, f"{name}[{n}].{word}", amount, row)
        allocated = 0
        for m, allocation in enumerate(row.allocations or []):
            field = f"{name}[{n}].allocations[{m}]"
            if allocation.invoice_id not in invoices:
                yield f"{field}.invoice_id", f"no invoice has the id {allocation.invoice_id!r}"
            yield from _amount(books, f"{field}.amount_cents", allocation.amount_cents, row)
            allocated += allocation.amount_cents
            settled[allocation.invoice_id] += allocation.amount_cents
        if allocated > amount:
            yield f"{name}[{n}].allocations", f"they add up to {allocated}, more than the {amount} there is"
    for n, invoice in enumerate(books.invoices):
        if settled[invoice.id] > invoice.total_cents:
            yield (
                f"invoices[{n}].total_cents",
                f"{settled[invoice.id]} is allocated to an invoice of {invoice.total_cents}",
            )


def _amount(
    books: CompanyLine, field: str, cents: int, row: InvoiceRow | PaymentRow | CreditRow
) -> Iterator[tuple[str, str]]:
    currency = row.currency or books.company.home_currency
    if cents < 0:
        yield field, f"{cents} is negative"
    elif money.exponent(currency) < 2 and cents % 10 ** (2 - money.exponent(currency)):
        yield field, f"{cents} hundredths is finer than {currency} has"


def minor(cents: int, currency: str) -> int:
    """Hundredths of the unit, as the file has them, in minor units: 5000 hundredths of a yen are 50 yen."""
    shift = money.exponent(currency) - 2
    scale: int = 10 ** abs(shift)
    return cents * scale if shift >= 0 else cents // scale


def known_on(books: CompanyLine, day: dt.date) -> Known:
    """What the books said at the end of `day`.

    A payment dated later, or its allocation to an invoice issued later, is not known yet: until then the
    money is unapplied.
    """
    home = books.company.home_currency
    issued = {i.id: i for i in books.invoices if i.issue_date <= day}
    settled: dict[str, int] = defaultdict(int)
    payments, credits = [], []
    for row in books.payments or []:
        if row.date <= day:
            currency = row.currency or home
            allocations = _allocations(row, issued, settled, currency)
            amount = minor(row.amount_cents, currency)
            unapplied = amount - sum(a.amount for a in allocations)
            payments.append(
                Payment(row.id, row.customer_id, row.date, currency, amount, unapplied, allocations)
            )
    for credit in books.credits or []:
        if credit.date <= day:
            currency = credit.currency or home
            allocations = _allocations(credit, issued, settled, currency)
            total = minor(credit.total_cents, currency)
            remaining = total - sum(a.amount for a in allocations)
            credits.append(
                CreditNote(
                    credit.id,
                    credit.id,
                    credit.customer_id,
                    credit.date,
                    currency,
                    total,
                    remaining,
                    allocations,
                )
            )
    invoices = tuple(_invoice(row, settled[row.id], day, home) for row in issued.values())
    active = {i.customer_id for i in invoices} | {p.customer_id for p in payments}
    company = books.company
    return Known(
        day=day,
        organization=Organization(
            id=company.id,
            name=company.name,
            country=company.country or "",
            home_currency=home,
            timezone=company.timezone or "UTC",
            closed_until=company.closed_until,
        ),
        customers=tuple(
            _customer(c, home)
            for c in books.customers
            if c.id in active or c.created is None or c.created <= day
        ),
        invoices=invoices,
        payments=tuple(payments),
        credits=tuple(credits),
        events=tuple(e for e in books.events or [] if e.date <= day),
        disputed=frozenset(_in_dispute(books, issued, day)),
    )


def _allocations(
    row: PaymentRow | CreditRow, issued: dict[str, InvoiceRow], settled: dict[str, int], currency: str
) -> tuple[Allocation, ...]:
    found = []
    for n, allocation in enumerate(row.allocations or []):
        if allocation.invoice_id in issued:
            amount = minor(allocation.amount_cents, currency)
            settled[allocation.invoice_id] += amount
            found.append(Allocation(allocation.invoice_id, amount, row.date, f"{row.id}-{n}"))
    return tuple(found)


def _invoice(row: InvoiceRow, settled: int, day: dt.date, home: str) -> Invoice:
    currency = row.currency or home
    total = minor(row.total_cents, currency)
    void = _last_state(row, day, {"voided"}) == "voided"
    balance = 0 if void else total - settled
    status = (
        Status.VOID
        if void
        else Status.PAID
        if balance == 0
        else Status.OPEN
        if balance == total
        else Status.PARTLY_PAID
    )
    return Invoice(
        id=row.id,
        number=row.number or row.id,
        customer_id=row.customer_id,
        date=row.issue_date,
        due=row.due_date,
        currency=currency,
        total=total,
        balance=balance,
        status=status,
        tax=minor(sum(line.tax_cents for line in row.lines or []), currency),
    )


def _in_dispute(books: CompanyLine, issued: dict[str, InvoiceRow], day: dt.date) -> Iterator[str]:
    said = {row.id: [(s.date, s.what) for s in row.state or []] for row in issued.values()}
    for event in books.events or []:
        if event.invoice_id in said:
            said[event.invoice_id].append((event.date, event.type))
    for invoice_id, words in said.items():
        opened = max((d for d, what in words if what == "disputed" and d <= day), default=None)
        closed = max((d for d, what in words if what == "dispute_closed" and d <= day), default=None)
        if opened and not (closed and closed >= opened):
            yield invoice_id


def _last_state(row: InvoiceRow, day: dt.date, words: set[str]) -> str:
    """The latest of `words` that was said about the invoice by `day`, "" when none was."""
    said = sorted(
        (s.date, n, s.what) for n, s in enumerate(row.state or []) if s.date <= day and s.what in words
    )
    return said[-1][2] if said else ""


def _customer(row: CustomerRow, home: str) -> Customer:
    currency = row.currency or home
    return Customer(
        id=row.id,
        name=row.name,
        email=row.email or "",
        currency=currency,
        country=row.country or "",
        terms_days=row.terms_days,
        credit_limit=None if row.credit_limit is None else minor(row.credit_limit, currency),
    )
