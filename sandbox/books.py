"""Reads a `books/1` file (JSON Lines, plain or gzip, one company per line) into companies of either platform.

Amounts in the file are hundredths of the currency's unit whatever the currency. A wrong key is refused with the line
and the field; unknown keys are ignored; missing ones mean that the source has nothing.
"""

from __future__ import annotations

import gc
import gzip
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import cycle
from pathlib import Path
from typing import Any

from sandbox.chart import no_tax_code, standard_tax_code
from sandbox.clock import Clock
from sandbox.documents import (
    Advance,
    CreditNote,
    Customer,
    Invoice,
    Line,
    Link,
    Payment,
    Ref,
    TaxCode,
    Terms,
)  # fmt: skip
from sandbox.ledger import Ledger
from sandbox.money import exponent
from sandbox.organization import RULES, Organization, Platform, Rules
from sandbox.refusals import Refusal

ZONES = {
    "US": "America/New_York", "CA": "America/Toronto", "GB": "Europe/London", "NZ": "Pacific/Auckland",
    "AU": "Australia/Sydney", "IT": "Europe/Rome", "IE": "Europe/Dublin", "ZA": "Africa/Johannesburg",
}  # fmt: skip
CURRENCY_COUNTRIES = {
    "USD": "US", "CAD": "CA", "GBP": "GB", "NZD": "NZ", "AUD": "AU", "EUR": "IE", "ZAR": "ZA",
}  # fmt: skip


_UNITS = (1, 10, 100, 1000)  # minor units in one unit, by exponent


class WrongBooks(Exception):
    """The file cannot be used; `str()` names the line and the field."""


def read(
    path: Path | str, clock: Clock, platforms: Sequence[Platform] = ("quickbooks", "xero")
) -> list[Ledger]:
    """All companies of a file, on the given platforms in turn. Raises WrongBooks."""
    ledgers = []
    turn = cycle(platforms)
    for number, line in enumerate(_lines(Path(path)), 1):
        if line.strip():
            ledgers.append(load(_parse(line, number), next(turn), clock, where=f"line {number}"))
    if not ledgers:
        raise WrongBooks(f"{path} holds no company. Give a file of format books/1.")
    return ledgers


def _lines(path: Path) -> Iterator[str]:
    try:
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        text = raw.decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise WrongBooks(
            f"{path} cannot be read ({error}). Give a file of format books/1, plain or gzip."
        ) from None
    yield from text.splitlines()


def _parse(line: str, number: int) -> dict[str, Any]:
    try:
        found = json.loads(line, parse_float=Decimal)
    except ValueError as error:
        raise WrongBooks(f"line {number}: not JSON ({error}).") from None
    if not isinstance(found, dict):
        raise WrongBooks(f"line {number}: a company must be a JSON object.")
    return found


class _Fields:
    """One JSON object with its place in the file, so that a refusal can name the field."""

    def __init__(self, data: Any, where: str) -> None:
        if not isinstance(data, dict):
            raise WrongBooks(f"{where}: must be an object.")
        self.data, self.where = data, where

    def wrong(self, key: str, must: str) -> WrongBooks:
        return WrongBooks(
            f"{self.where}.{key}: is {json.dumps(self.data.get(key), default=str)[:60]}, must be {must}."
        )

    def text(self, key: str, default: str | None = None) -> str:
        value = self.data.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
            raise self.wrong(key, "a text")
        return str(value)

    def cents(self, key: str, default: int | None = None) -> int:
        value = self.data.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wrong(key, "a whole number of hundredths")
        return value

    def day(self, key: str, default: date | None = None) -> date:
        value = self.data.get(key)
        if value is None and default is not None:
            return default
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            raise self.wrong(key, "a date as 2026-11-21") from None

    def currency(self, key: str, default: str = "") -> str:
        value = self.text(key, default)
        if len(value) != 3 or not value.isalpha() or not value.isupper():
            raise self.wrong(key, "a currency as USD")
        return value

    def rows(self, key: str) -> list[_Fields]:
        value = self.data.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(key, "a list")
        return [_Fields(row, f"{self.where}.{key}[{n}]") for n, row in enumerate(value)]


def load(data: dict[str, Any], platform: Platform, clock: Clock, *, where: str = "company") -> Ledger:
    """One parsed company as books of `platform`. Raises WrongBooks."""
    top = _Fields(data, where)
    if data.get("format") != "books/1":
        raise top.wrong("format", '"books/1"')
    if "company" not in data:
        raise WrongBooks(f"{where}.company: is missing.")
    return _Loading(top, platform, clock).run()


class _Loading:
    def __init__(self, top: _Fields, platform: Platform, clock: Clock) -> None:
        self.top, self.platform = top, platform
        company = _Fields(top.data["company"], f"{top.where}.company")
        self.ledger = Ledger(_organization(company, top, platform), clock)
        self.customers: dict[str, str] = {}
        self.invoices: dict[str, Invoice] = {}
        self.sales = self.ledger.account_by_role("sales").id
        self.late_fees = self.ledger.account_by_role("late_fees").id
        self.no_tax = no_tax_code(self.ledger)
        self.tax_codes: dict[Decimal, str] = {}
        self.goods, _, self.fee_item = (item.id for item in self.ledger.items.in_order()[:3])
        self.closed_until = self.ledger.organization.closed_until

    def run(self) -> Ledger:
        ledger, organization = self.ledger, self.ledger.organization
        rules = organization.rules
        kept = (rules.unique_numbers, rules.link_touches_documents, rules.unique_names)
        rules.unique_numbers = rules.link_touches_documents = rules.unique_names = False
        organization.closed_until = None
        collecting = gc.isenabled()
        gc.disable()  # hundreds of thousands of new objects, none of them garbage
        try:
            with ledger.quietly():
                self._customers()
                self._timeline()
                self._states()
                self._events()
        finally:
            rules.unique_numbers, rules.link_touches_documents, rules.unique_names = kept
            organization.closed_until = self.closed_until
            if collecting:
                gc.enable()
        return ledger

    def _customers(self) -> None:
        for row in self.top.rows("customers"):
            key = row.text("id")
            if key in self.customers:
                raise row.wrong("id", "unique")
            days, limit = row.data.get("terms_days"), row.data.get("credit_limit")
            if days is not None and (not isinstance(days, int) or isinstance(days, bool)):
                raise row.wrong("terms_days", "a whole number")
            home = self.ledger.organization.home_currency
            name = row.text("name")
            if self.ledger.customer_by_name(name):
                name = f"{name} ({key[:6]})"
            customer = Customer(
                name=name, email=row.text("email", ""), currency=row.currency("currency", home),
                terms=None if days is None else Terms(days=days, name=row.text("terms_code", f"Net {days}")),
                credit_limit=None if limit is None else row.cents("credit_limit"),
                address={"country": row.text("country", "")}, extra={"source_id": key},
            )  # fmt: skip
            created = row.day("created", date(2000, 1, 1))
            with self.ledger.at(_moment(created)):
                self.customers[key] = self.ledger.add_customer(customer).id

    def _timeline(self) -> None:
        """Everything in the order of its dates, so that ids and update times look like real books."""
        acts: list[tuple[date, int, int, _Fields]] = []
        for order, (key, day) in enumerate(
            (("invoices", "issue_date"), ("credits", "date"), ("payments", "date"))
        ):
            acts += [(row.day(day), order, n, row) for n, row in enumerate(self.top.rows(key))]
        enter = (self._invoice, self._credit, self._payment)
        late: list[tuple[date, int, int, _Fields]] = []
        for act in sorted(acts, key=lambda a: a[:3]):
            if act[1] and self._waits(act[3]):
                late.append(act)  # money that came before its invoice
            else:
                self._enter(act, enter)
        for act in late:
            self._enter(act, enter)

    def _enter(self, act: tuple[date, int, int, _Fields], enter: Any) -> None:
        day, order, n, row = act
        try:
            with self.ledger.at(_moment(day, n)):
                enter[order](row, day)
        except Refusal as refusal:
            raise WrongBooks(f"{row.where}: {refusal}") from None

    def _waits(self, row: _Fields) -> bool:
        return any(a.text("invoice_id") not in self.invoices for a in row.rows("allocations"))

    def _customer(self, row: _Fields) -> Customer:
        key = row.text("customer_id")
        if key not in self.customers:
            raise row.wrong("customer_id", "the id of a customer of this company")
        return self.ledger.customers[self.customers[key]]

    def _minor(self, row: _Fields, key: str, currency: str) -> int:
        minor, rest = divmod(row.cents(key) * _UNITS[exponent(currency)], 100)
        if rest:
            raise row.wrong(key, f"a whole number of {currency}'s smallest unit")
        return minor

    def _invoice(self, row: _Fields, day: date) -> None:
        key, customer = row.text("id"), self._customer(row)
        if key in self.invoices:
            raise row.wrong("id", "unique")
        kind = row.text("kind", "invoice")
        if kind not in ("invoice", "late_fee"):
            raise row.wrong("kind", "invoice or late_fee")
        currency = row.currency("currency", customer.currency)
        total = self._minor(row, "total_cents", currency)
        lines = [self._line(line, currency, kind) for line in row.rows("lines")]
        if lines and sum(x.net + x.tax for x in lines) != total:
            raise row.wrong("total_cents", f"the sum of its lines, {sum(x.net + x.tax for x in lines)}")
        if not lines:
            words = "Late payment fee" if kind == "late_fee" else "Goods supplied"
            lines = [self._sale_line(total, 0, words, kind)]
        parent = row.data.get("parent_id")
        invoice = Invoice(
            customer=customer.id, number=row.text("number", ""), date=day, due=row.day("due_date", day), lines=lines,
            currency=currency, late_fee_of=self.invoices[parent].id if parent in self.invoices else "",
            email=customer.email, extra={"source_id": key},
        )  # fmt: skip
        if currency != self.ledger.organization.home_currency:
            invoice.rate = Decimal(str(row.data.get("rate") or 1))
        self.invoices[key] = self.ledger.add_invoice(invoice)

    def _line(self, row: _Fields, currency: str, kind: str) -> Line:
        net = self._minor(row, "net_cents", currency)
        tax = self._minor(row, "tax_cents", currency) if row.data.get("tax_cents") is not None else 0
        return self._sale_line(net, tax, row.text("description", "Goods supplied"), kind)

    def _sale_line(self, net: int, tax: int, words: str, kind: str) -> Line:
        fee = kind == "late_fee"
        return Line(
            net=net, tax=tax, description=words, tax_code=self._tax_code(net, tax) if tax else self.no_tax,
            account=self.late_fees if fee else self.sales, item=self.fee_item if fee else self.goods,
        )  # fmt: skip

    def _tax_code(self, net: int, tax: int) -> str:
        """The code of this rate; made on first sight when it is not the organization's own."""
        rate = (Decimal(tax) * 100 / Decimal(net)).quantize(Decimal("0.1")) if net else Decimal(0)
        if rate not in self.tax_codes:
            own = standard_tax_code(self.ledger)
            if own == "TAX" or rate == Decimal(self.ledger.organization.tax_rate):
                self.tax_codes[rate] = own
            else:
                code = TaxCode(name=f"{rate}%", rate=rate)
                self.tax_codes[rate] = self.ledger.add_tax_code(code).id
        return self.tax_codes[rate]

    def _credit(self, row: _Fields, day: date) -> None:
        customer = self._customer(row)
        currency = row.currency("currency", customer.currency)
        total = self._minor(row, "total_cents", currency)
        note = CreditNote(
            customer=customer.id, date=day, currency=currency, number=row.text("number", ""),
            lines=[self._sale_line(total, 0, "Credit", "invoice")], extra={"source_id": row.text("id", "?")},
        )  # fmt: skip
        self.ledger.add_credit_note(note)
        allocations = self._allocations(row, currency)
        source = Ref("credit_note", note.id)
        if self.platform == "xero":
            for target, amount in allocations.items():
                self.ledger.allocate(source, target, amount, day)
        elif allocations:
            links = [Link(target, amount) for target, amount in allocations.items()]
            links.append(Link(source, sum(allocations.values())))
            self.ledger.add_payment(
                Payment(customer=customer.id, date=day, amount=0, currency=currency, links=links)
            )

    def _allocations(self, row: _Fields, currency: str) -> dict[Ref, int]:
        found: dict[Ref, int] = defaultdict(int)
        for allocation in row.rows("allocations"):
            invoice = self.invoices.get(allocation.text("invoice_id"))
            if invoice is None:
                raise allocation.wrong("invoice_id", "the id of an invoice of this company")
            found[Ref("invoice", invoice.id)] += self._minor(allocation, "amount_cents", currency)
        if any(amount <= 0 for amount in found.values()):
            raise row.wrong("allocations", "more than zero each")
        return dict(found)

    def _payment(self, row: _Fields, day: date) -> None:
        """QuickBooks: one payment with many lines. Xero: one payment per invoice under one reference, and an
        overpayment for what is left."""
        customer = self._customer(row)
        currency = row.currency("currency", customer.currency)
        amount = self._minor(row, "amount_cents", currency)
        allocations = self._allocations(row, currency)
        left = amount - sum(allocations.values())
        if left < 0:
            raise row.wrong("amount_cents", "at least the sum of its allocations")
        key = row.text("id", "?")
        more: dict[str, Any] = {"currency": currency, "extra": {"source_id": key}}
        foreign = currency != self.ledger.organization.home_currency
        if foreign:
            more["rate"] = Decimal(str(row.data.get("rate") or 1))
        if self.platform == "quickbooks":
            links = [Link(ref, part) for ref, part in allocations.items()]
            self.ledger.add_payment(
                Payment(
                    customer=customer.id, date=day, amount=amount, links=links, reference=key[:12], **more
                )
            )
            return
        for ref, part in allocations.items():
            batch = key if len(allocations) > 1 else ""
            payment = Payment(
                customer=customer.id, date=day, amount=part, links=[Link(ref, part)], reference=key[:12],
                batch=batch, **more,
            )  # fmt: skip
            self.ledger.add_payment(payment)
        if left:
            self.ledger.add_advance(
                Advance(
                    type="overpayment", customer=customer.id, date=day, amount=left, reference=key[:12], **more
                )
            )  # fmt: skip

    def _states(self) -> None:
        """Disputes and collections as a bookkeeper would leave them: flags here, words in memo or history."""
        for row in self.top.rows("invoices"):
            states = row.rows("state")
            if not states:
                continue
            invoice = self.invoices[row.text("id")]
            for state in states:
                self._state(invoice, state, invoice.date)

    def _state(self, invoice: Invoice, state: _Fields, issued: date) -> None:
        day, what = state.day("date", issued), state.text("what")
        ref = Ref("invoice", invoice.id)
        with self.ledger.at(_moment(day)):
            if what == "voided":
                self._void(ref)
                return
            invoice.flags.append((day, what))
            words = f"{what.replace('_', ' ').capitalize()} on {day}."
            self.ledger.add_note(ref, words, user="Bookkeeper")
            if self.platform == "quickbooks" and what != "dispute_closed":
                invoice.private_note = f"{invoice.private_note}\n{words}".strip()

    def _void(self, ref: Ref) -> None:
        if self.platform == "xero":
            for allocation in self.ledger.allocations_to(ref):
                if allocation.source.kind == "payment":
                    self._keep_as_overpayment(self.ledger.payments[allocation.source.id])
                else:
                    self.ledger.deallocate(allocation.id)
        self.ledger.void(ref)

    def _keep_as_overpayment(self, payment: Payment) -> None:
        self.ledger.delete(Ref("payment", payment.id))
        self.ledger.add_advance(
            Advance(
                type="overpayment", customer=payment.customer, date=payment.date, amount=payment.amount,
                currency=payment.currency, rate=payment.rate, reference=payment.reference, extra=payment.extra,
            )
        )  # fmt: skip

    def _events(self) -> None:
        """Promises, replies and the like: notes in the history of the invoice, or else of the customer."""
        for row in self.top.rows("events"):
            day, type_ = row.day("date"), row.text("type")
            invoice = self.invoices.get(str(row.data.get("invoice_id") or ""))
            words = type_.replace("_", " ").capitalize()
            if row.data.get("promised"):
                words += f": payment promised for {row.day('promised')}"
            ref = Ref("invoice", invoice.id) if invoice else Ref("customer", self._customer(row).id)
            with self.ledger.at(_moment(day)):
                self.ledger.add_note(ref, f"{words}.", user="Bookkeeper")


def _organization(company: _Fields, top: _Fields, platform: Platform) -> Organization:
    home = company.currency("home_currency")
    country = company.text("country", "") or CURRENCY_COUNTRIES.get(home, "US")
    basis = company.text("basis", "accrual")
    if basis not in ("accrual", "cash", "unknown"):
        raise company.wrong("basis", "accrual, cash or unknown")
    key = company.text("id")
    cash = basis == "cash"
    taxed = any(
        isinstance(line, dict) and line.get("tax_cents")
        for row in top.rows("invoices")
        for line in row.data.get("lines") or []
    )
    closed = company.data.get("closed_until")
    return Organization(
        id=external_id(key, platform), platform=platform, name=company.text("name"), home_currency=home,
        country=country, timezone=company.text("timezone", ZONES.get(country, "UTC")),
        income_basis="cash" if cash else "accrual",
        tax_basis=("cash" if cash else "accrual") if taxed else "none",
        tax_rate="15" if taxed else "0", tax_name="GST" if country in ("NZ", "AU", "CA") else "VAT",
        closed_until=company.day("closed_until") if closed else None,
        rules=own_rules(platform), extra={"source_id": key, "as_of": company.text("as_of", "")},
    )  # fmt: skip


def own_rules(platform: Platform) -> Rules:
    """A company's own copy of its platform's switches."""
    return Rules(**{name: getattr(RULES[platform], name) for name in Rules.__slots__})


def external_id(key: str, platform: Platform) -> str:
    """The realmId or tenantId of a company from elsewhere: always the same for the same one."""
    digest = hashlib.sha256(f"{platform}/{key}".encode()).hexdigest()
    if platform == "quickbooks":
        return "91" + str(int(digest[:16], 16) % 10**14).zfill(14)
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-a{digest[17:20]}-{digest[20:32]}"


def _moment(day: date, n: int = 0) -> datetime:
    """Some time of the working day, later for later rows."""
    return datetime.combine(day, time(9), UTC) + timedelta(seconds=n % 28800)
