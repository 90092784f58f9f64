"""The books come out the same from a ledger that says the same in another dialect (see `dialects`)."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import format_datetime
from typing import Any

import pytest

from adapters.xero.values import moment
from connector.domain.receivables import Kind
from tests.adapters.conftest import TODAY, Office
from tests.adapters.dialects import Said, Say, every, speak
from tests.adapters.test_contract import (
    Mirror,
    a_credit,
    a_link,
    balances_of,
    documents,
    installments,
    mirrored,
)


def null_for_nothing(said: Said) -> None:
    def change(part: dict[str, Any]) -> None:
        part |= {name: None for name, value in part.items() if value in ([], "", {})}

    every(said.body, change)


def more_than_we_know(said: Said) -> None:
    every(said.body, lambda part: part.update(Novelty={"Kind": ["NEW", 1.5, None]}, status2="FRESH"))


def backwards(said: Said) -> None:
    """Fields in another order, the answers of a batch and of a write too."""

    def change(part: dict[str, Any]) -> None:
        turned = dict(reversed(part.items()))
        part.clear()
        part |= turned

    every(said.body, change)
    if "BatchItemResponse" in said.body:
        said.body["BatchItemResponse"].reverse()
    if said.method == "PUT" and said.path.endswith("/Invoices"):
        said.body["Invoices"].reverse()


def headers_in_another_case(said: Said) -> None:
    said.headers = [(name.replace("_", "-").upper(), value) for name, value in said.headers]


def a_clock_in_the_header_alone(said: Said) -> None:
    told = moment(said.body.pop("DateTimeUTC", None))
    if told:  # else the machine's own time would stand there, which a pretend ledger need not have
        said.headers = [*said.headers, ("Date", format_datetime(told, usegmt=True))]


def yes_and_no_as_text(said: Said) -> None:
    def change(part: dict[str, Any]) -> None:
        part |= {name: str(value).lower() for name, value in part.items() if isinstance(value, bool)}

    every(said.body, change)


def payments_that_name_an_invoice_alone(said: Said) -> None:
    for payment in said.body.get("Payments") or []:
        payment["Invoice"] = {"InvoiceID": payment["Invoice"]["InvoiceID"]}


def without_a_word_of_pages(said: Said) -> None:
    said.body.pop("pagination", None)


def one_page_for_all(said: Said) -> None:
    if "page" in said.query:
        said.query["page"] = "1"


def no_order_but_its_own(said: Said) -> None:
    if "order" in said.query and said.path.rsplit("/", 1)[1] in ("Contacts", "Overpayments", "Prepayments"):
        said.status = "400 BAD REQUEST"


BOTH = (null_for_nothing, more_than_we_know, backwards, headers_in_another_case)
XERO = (yes_and_no_as_text, payments_that_name_an_invoice_alone, a_clock_in_the_header_alone)


@dataclass(frozen=True)
class Spoken:
    """What a ledger does differently, all at once."""

    platform: str
    ask: tuple[Say, ...] = ()
    say: tuple[Say, ...] = ()
    numbers: type = float


SPOKEN = {
    "quickbooks": Spoken("quickbooks", say=BOTH, numbers=str),
    "xero": Spoken("xero", say=(*BOTH, *XERO), numbers=str),
    "xero, plainer": Spoken("xero", (one_page_for_all, no_order_but_its_own), (without_a_word_of_pages,)),
}


@pytest.mark.parametrize("spoken", SPOKEN.values(), ids=SPOKEN)
def test_the_books_and_a_plan_come_out_the_same(office: Office, spoken: Spoken) -> None:
    books = office.connect(spoken.platform, office.add(spoken.platform))
    plain = mirrored(books.open())
    before = balances_of(books)
    speak(office.server, spoken.ask, spoken.say, spoken.numbers)

    ledger = books.open()
    heard = mirrored(ledger)
    assert told(heard) == told(plain)
    assert ledger.organization().home_currency == "USD"
    assert ledger.open_invoices() == ledger_counts(heard)

    clearing = ledger.clearing(None, TODAY)
    credit = ledger.create_credit(a_credit(books, clearing), "PP-0007-1-credit")
    plan = documents(ledger.create_invoices(installments(books, clearing), "PP-0007-1-inst"))
    assert [d.number for d in plan] == ["1001-P1.1", "1001-P1.2", "1001-P1.3"]
    assert ledger.link(a_link(books, credit), "PP-0007-1-link")
    assert balances_of(books) == before

    heard.store(ledger.pull(heard.cursor, frozenset(Kind)))
    assert heard.net() == plain.net()
    assert heard.numbered("1001").balance == 0


def told(mirror: Mirror) -> dict[Kind, Any]:
    return {kind: dict(sorted(records.items())) for kind, records in mirror.records.items()}


def ledger_counts(mirror: Mirror) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for invoice in mirror.records[Kind.INVOICE].values():
        if invoice.balance:
            counts = found.setdefault(invoice.customer_id, {})
            counts[invoice.currency] = counts.get(invoice.currency, 0) + 1
    return found
