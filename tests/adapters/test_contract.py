"""THE CONTRACT: the same questions to every platform, over HTTP, on the same small company.

Harbour Supplies (see conftest.COMPANY): Rose owes 850.00 on 1001 and 340.00 on 1002 and has 40.00 of credit left;
O'Neill paid 1003, left 50.00 on account and owes 99.99 on 1004; today is 2026-11-21.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from connector import platforms
from connector.domain.receivables import Document, Kind, Status
from connector.domain.writes import (
    AttachmentDraft,
    CreditDraft,
    DueDateDraft,
    InvoiceDraft,
    LinkDraft,
    NoteDraft,
    RemoveDraft,
    SendDraft,
    marker,
)
from connector.platforms import (
    Batch,
    Clearing,
    Ledger,
    OutOfDate,
    PlatformError,
    Reconnect,
    Refused,
    TryLater,
)
from sandbox import books
from sandbox.faults import Fault
from tests.adapters.conftest import COMPANY, TODAY, Connected, Office, as_json
from tests.adapters.dialects import Said, speak

DIGEST = "9c01aa42"


class Mirror:
    """What a sync would keep: the newest record of each id."""

    def __init__(self) -> None:
        self.records: dict[Kind, dict[str, Any]] = {kind: {} for kind in Kind}
        self.cursor: Any = None

    def store(self, batches: Iterable[Batch]) -> Mirror:
        seen: dict[Kind, set[str]] = defaultdict(set)
        for batch in batches:
            assert not batch.unreadable
            for kind, id in batch.removed:
                for known in [k for k in self.records[kind] if k == id or k.startswith(f"{id}/")]:
                    del self.records[kind][known]
            for kind, records in (
                (Kind.CUSTOMER, batch.customers),
                (Kind.INVOICE, batch.invoices),
                (Kind.PAYMENT, batch.payments),
                (Kind.CREDIT, batch.credits),
            ):
                for record in records:
                    self.records[kind][record.id] = record
                    seen[kind].add(record.id)
            if batch.cursor is not None:
                self.cursor = batch.cursor
            for kind in batch.complete:
                self.records[kind] = {id: r for id, r in self.records[kind].items() if id in seen[kind]}
        return self

    def numbered(self, number: str) -> Any:
        return next(i for i in self.records[Kind.INVOICE].values() if i.number == number)

    def net(self) -> dict[str, int]:
        """What each customer owes by this mirror: open invoices less money and credit on account."""
        found: dict[str, int] = defaultdict(int)
        for invoice in self.records[Kind.INVOICE].values():
            if invoice.status in (Status.OPEN, Status.PARTLY_PAID):
                found[invoice.customer_id] += invoice.balance
        for payment in self.records[Kind.PAYMENT].values():
            if not payment.void:
                found[payment.customer_id] -= payment.unapplied
        for credit in self.records[Kind.CREDIT].values():
            if not credit.void:
                found[credit.customer_id] -= credit.remaining
        return {customer: amount for customer, amount in found.items() if amount}


def mirrored(ledger: Ledger) -> Mirror:
    return Mirror().store(ledger.pull(None))


def a_marker(role: str, n: int | None = None) -> str:
    return marker("PP-0007", 1, role, "147", DIGEST, n)


def a_credit(books: Connected, clearing: Clearing, **changes: Any) -> CreditDraft:
    values: dict[str, Any] = {
        "number": "1001-P1C",
        "customer_id": books.customer("Rose & Daughters"),
        "date": TODAY,
        "currency": "USD",
        "amount": 85000,
        "account_id": clearing.account_id,
        "description": "Balance of invoice 1001 moved to payment plan PP-0007",
        "message": "Reschedules the balance of invoice 1001.",
        "marker": a_marker("credit"),
        "item_id": clearing.item_id,
        "tax_code": clearing.tax_code,
        "source_invoice_id": books.invoice("1001"),
    }
    return CreditDraft(**(values | changes))


def installments(
    books: Connected, clearing: Clearing, amounts: tuple[int, ...] = (28333, 28333, 28334)
) -> list[InvoiceDraft]:
    return [
        InvoiceDraft(
            number=f"1001-P1.{n}",
            customer_id=books.customer("Rose & Daughters"),
            date=TODAY,
            due=TODAY + timedelta(days=30 * n),
            currency="USD",
            amount=amount,
            account_id=clearing.account_id,
            description=f"Installment {n} of {len(amounts)}, invoice 1001",
            message="Not a tax invoice.",
            marker=a_marker("inst", n),
            item_id=clearing.item_id,
            tax_code=clearing.tax_code,
            source_invoice_id=books.invoice("1001"),
        )
        for n, amount in enumerate(amounts, 1)
    ]


def a_link(books: Connected, credit: Document) -> LinkDraft:
    return LinkDraft(
        credit_id=credit.id,
        invoice_id=books.invoice("1001"),
        customer_id=books.customer("Rose & Daughters"),
        date=TODAY,
        currency="USD",
        amount=85000,
        marker=a_marker("link"),
    )


def documents(outcomes: list[Document | PlatformError]) -> list[Document]:
    for outcome in outcomes:
        assert isinstance(outcome, Document), outcome
    return [o for o in outcomes if isinstance(o, Document)]


def balances_of(books: Connected) -> dict[str, int]:
    """The trial balance, by account, as the ledger itself has it."""
    found = books.office.ask(f"companies/{books.pretend.organization.id}/trial-balance?basis=accrual")
    return {a["name"]: a["balance"] for a in found["accounts"] if a["balance"]}


# Connecting


def test_consent_brings_token_identity_and_organization(connected: Connected) -> None:
    grant = connected.grant
    assert [o.name for o in grant.organizations] == ["Harbour Supplies"]
    assert grant.identity is not None
    assert grant.identity.email == "robin@harbourbooks.example"
    assert grant.identity.email_verified in (True, None)  # QuickBooks says so, Xero does not say
    assert grant.identity.name == "Robin Hale"
    assert grant.identity.subject
    assert grant.identity.issuer.startswith("http")


def test_a_token_never_shows_in_text(connected: Connected) -> None:
    token = connected.grant.token
    assert token.access_token not in repr(connected.grant)
    assert token.refresh_token not in repr(connected.grant)


def test_a_denied_consent_is_refused_in_plain_words(connected: Connected) -> None:
    answer = connected.office.consent(
        connected.platform, [connected.pretend.organization.id], decision="deny"
    )
    assert answer["state"] == "s-1"
    with pytest.raises(Refused, match="permission"):
        connected.office.exchange(connected.platform, answer)


def test_a_code_works_once(connected: Connected) -> None:
    answer = connected.office.consent(connected.platform, [connected.pretend.organization.id])
    connected.office.exchange(connected.platform, answer)
    with pytest.raises(Refused):
        connected.office.exchange(connected.platform, answer)


def test_a_refreshed_token_opens_the_books(connected: Connected) -> None:
    connected.access.now = connected.platform.refresh(connected.access.now)
    assert connected.open().organization().name == "Harbour Supplies"


def test_an_expired_token_is_renewed_in_the_middle_of_work(connected: Connected) -> None:
    ledger = connected.open()
    ledger.organization()
    connected.office.world.grants.skip += 4000  # seconds
    assert ledger.find(Kind.INVOICE, ["1001"])[0].number == "1001"
    assert connected.access.renewals == 1


def test_after_disconnecting_only_reconnecting_helps(connected: Connected) -> None:
    connected.platform.revoke(connected.access.now, connected.organization)
    with pytest.raises(Reconnect):
        connected.open().find(Kind.INVOICE, ["1001"])
    connected.platform.revoke(connected.access.now, connected.organization)  # twice does no harm


def test_a_dead_refresh_token_means_reconnect(connected: Connected) -> None:
    connected.office.world.grants.skip += 200 * 86400  # seconds
    with pytest.raises(Reconnect) as caught:
        connected.platform.refresh(connected.access.now)
    assert connected.access.now.refresh_token not in str(caught.value) + caught.value.words


# Reading


def test_the_facts_of_the_organization(connected: Connected) -> None:
    facts = connected.open().organization()
    assert (facts.id, facts.name) == (connected.pretend.organization.id, "Harbour Supplies")
    assert (facts.country, facts.home_currency) == ("US", "USD")
    assert facts.timezone == "America/New_York"
    assert facts.closed_until is None


def test_the_closing_date_is_a_fact(connected: Connected) -> None:
    connected.act("close", until="2026-09-30")
    assert connected.open().organization().closed_until == date(2026, 9, 30)


def test_a_first_pull_mirrors_the_books_to_the_cent(connected: Connected) -> None:
    mirror = mirrored(connected.open())
    invoice = mirror.numbered("1001")
    assert (invoice.total, invoice.balance, invoice.tax) == (115000, 85000, 15000)
    assert (invoice.date, invoice.due) == (date(2026, 8, 1), date(2026, 8, 31))
    assert invoice.status is Status.PARTLY_PAID
    assert invoice.currency == "USD"
    assert mirror.numbered("1003").status is Status.PAID
    assert mirror.numbered("1004").status is Status.OPEN
    rose, oneill = connected.customer("Rose & Daughters"), connected.customer("O'Neill Boats")
    assert mirror.net() == {rose: 85000 + 34000 - 4000, oneill: 9999 - 5000}
    assert mirror.records[Kind.CUSTOMER][oneill].name == "O'Neill Boats"
    assert mirror.records[Kind.CUSTOMER][oneill].email == "pay@oneill.example"


SMALL_PAGES = {
    "quickbooks": {"adapters.quickbooks.rows.PAGE": 2, "adapters.quickbooks.pull.REST": 1},
    "xero": {"adapters.xero.pull.PAGE_SIZE": 1},
}


def test_a_first_reading_may_stop_after_any_page_and_another_process_goes_on(
    connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = mirrored(connected.open())
    for name, size in SMALL_PAGES[connected.platform.name].items():
        monkeypatch.setattr(name, size)
    stops, brought, cursor = 0, list[Batch](), None
    while not brought or not brought[-1].complete:
        for batch in connected.open().pull(cursor):
            brought.append(batch)
            if batch.cursor is not None:
                break
        cursor = json.loads(json.dumps(brought[-1].cursor, sort_keys=True))  # as a database may keep it
        stops += 1
    assert stops > 8
    assert Mirror().store(brought).records == at_once.records
    invoices = [i.number for batch in brought for i in batch.invoices]
    assert sorted(invoices) == ["1001", "1002", "1003", "1004"]
    assert brought[-1].complete == frozenset(Kind)
    connected.act("edit", kind="invoice", id=connected.invoice("1004"), changes={"due": "2026-12-24"})
    changed = Mirror().store(connected.open().pull(cursor))
    assert changed.numbered("1004").due == date(2026, 12, 24)


def test_the_mirror_adds_up_to_the_ledgers_own_balances(connected: Connected) -> None:
    mirror = mirrored(connected.open())
    theirs = {id: sums["USD"] for id, sums in connected.open().balances().items() if sums.get("USD")}
    assert theirs == mirror.net()
    counted: dict[str, dict[str, int]] = {}
    for invoice in mirror.records[Kind.INVOICE].values():
        if invoice.balance:
            of = counted.setdefault(invoice.customer_id, {"USD": 0})
            of["USD"] += 1
    assert connected.open().open_invoices() == counted != {}


def test_a_credit_names_what_it_settled(connected: Connected) -> None:
    mirror = mirrored(connected.open())
    (credit,) = mirror.records[Kind.CREDIT].values()
    assert (credit.total, credit.remaining) == (10000, 4000)
    assert [(a.invoice_id, a.amount) for a in credit.allocations] == [(connected.invoice("1002"), 6000)]


def test_money_is_never_counted_twice(connected: Connected) -> None:
    mirror = mirrored(connected.open())
    payments = mirror.records[Kind.PAYMENT].values()
    assert sum(p.amount for p in payments if not p.void) == 30000 + 30050
    paid: dict[str, int] = defaultdict(int)
    for record in [*payments, *mirror.records[Kind.CREDIT].values()]:
        for allocation in record.allocations:
            paid[allocation.invoice_id] += allocation.amount
    for invoice in mirror.records[Kind.INVOICE].values():
        assert invoice.total - paid[invoice.id] == invoice.balance


def test_a_quiet_sweep_brings_nothing_and_costs_little(connected: Connected) -> None:
    mirror = mirrored(connected.open())
    connected.office.world.clock.advance(hours=1)
    connected.meter.calls.clear()
    before = dict(mirror.records[Kind.INVOICE])
    mirror.store(connected.open().pull(mirror.cursor))
    assert mirror.records[Kind.INVOICE] == before
    assert len(connected.meter.calls) <= 3


def test_a_part_payment_arrives_with_its_invoice(connected: Connected) -> None:
    mirror = mirrored(connected.open())
    connected.office.world.clock.advance(hours=1)
    connected.act("pay", invoice=connected.invoice("1004"), amount=5000)
    mirror.store(connected.open().pull(mirror.cursor))
    assert mirror.numbered("1004").balance == 4999
    assert mirror.numbered("1004").status is Status.PARTLY_PAID
    assert sum(p.amount for p in mirror.records[Kind.PAYMENT].values()) == 30000 + 30050 + 5000


def test_a_voided_invoice_arrives_as_void(connected: Connected) -> None:
    mirror = mirrored(connected.open())
    connected.office.world.clock.advance(hours=1)
    connected.act("void", kind="invoice", id=connected.invoice("1004"))
    mirror.store(connected.open().pull(mirror.cursor))
    assert mirror.numbered("1004").status is Status.VOID
    assert mirror.numbered("1004").balance == 0


def test_a_mirror_kept_by_changes_equals_a_fresh_one(connected: Connected) -> None:
    mirror = mirrored(connected.open())
    rose, oneill = connected.customer("Rose & Daughters"), connected.customer("O'Neill Boats")
    clock = connected.office.world.clock
    clock.advance(hours=1)
    connected.act("bill", customer=rose, net=20000, number="1005")
    connected.act("pay", customer=rose, amount=90000)
    mirror.store(connected.open().pull(mirror.cursor))
    clock.advance(hours=1)
    connected.act("credit", invoice=connected.invoice("1004"), amount=1000)
    connected.act("bill", customer=oneill, net=5000, number="1006")
    clock.advance(minutes=1)
    connected.act("void", kind="invoice", id=connected.invoice("1006"))
    mirror.store(connected.open().pull(mirror.cursor))
    fresh = mirrored(connected.open())
    for kind in Kind:
        assert mirror.records[kind] == fresh.records[kind], kind


def test_one_document_in_full(connected: Connected) -> None:
    document = connected.open().document(Kind.INVOICE, connected.invoice("1001"))
    assert document is not None
    assert (document.number, document.customer_id) == ("1001", connected.customer("Rose & Daughters"))
    assert (document.total, document.balance, document.tax) == (115000, 85000, 15000)
    assert document.due == date(2026, 8, 31)
    assert [line.net for line in document.lines] == [100000]
    assert [(link.kind, link.amount) for link in document.links] == [("payment", 30000)]


def test_a_document_that_is_not_there_is_none(connected: Connected) -> None:
    missing = "0a0b0c0d-0000-4000-8000-00000000000a" if connected.platform.name == "xero" else "987654"
    assert connected.open().document(Kind.INVOICE, missing) is None
    assert connected.open().customer(missing) is None


def test_documents_are_found_by_number_and_only_by_the_whole_number(connected: Connected) -> None:
    found = connected.open().find(Kind.INVOICE, ["1001", "1002", "10", "it's \\ odd"])
    assert sorted(d.number for d in found) == ["1001", "1002"]
    assert connected.open().find(Kind.CREDIT, ["nothing"]) == []


def test_what_a_customer_owes_right_now(connected: Connected) -> None:
    connected.meter.calls.clear()
    invoices, payments, credits = connected.open().customer_money(connected.customer("Rose & Daughters"))
    assert len(connected.meter.calls) == {"quickbooks": 1, "xero": 4}[connected.platform.name]
    assert {i.number: i.balance for i in invoices} == {"1001": 85000, "1002": 34000}
    assert payments == []
    assert [c.remaining for c in credits] == [4000]
    invoices, payments, credits = connected.open().customer_money(connected.customer("O'Neill Boats"))
    assert [i.number for i in invoices] == ["1004"]
    assert [p.unapplied for p in payments] == [5000]
    assert credits == []


def test_what_a_plan_stands_on_comes_in_one_go_as_it_would_one_by_one(connected: Connected) -> None:
    rose = connected.customer("Rose & Daughters")
    asked = {connected.invoice(number): number for number in ("1001", "1002")}
    connected.meter.calls.clear()
    stands = connected.open().standing(
        rose, asked, {Kind.CREDIT: ["1001-P1C"], Kind.INVOICE: ["1001-P1.1", "1004"]}
    )
    assert (
        len(connected.meter.calls) == {"quickbooks": 1, "xero": 6}[connected.platform.name]
    )  # with 40.00 open
    ledger = connected.open()
    assert as_json(stands.organization) == as_json(ledger.organization(reminders=False))
    one_by_one = [ledger.document(Kind.INVOICE, id) for id in asked]
    assert [as_json(_without_link_ids(d)) for d in stands.invoices] == [
        as_json(_without_link_ids(d)) for d in one_by_one
    ]
    _, payments, credits = ledger.customer_money(rose, invoices=False)
    assert (list(stands.payments), list(stands.credits)) == (payments, credits)
    assert [c.remaining for c in credits] == [4000]
    refused_by_ledger = connected.platform.name == "xero"  # so nobody looks
    assert stands.taken == (frozenset() if refused_by_ledger else {(Kind.INVOICE, "1004")})


def test_whoever_has_nothing_unapplied_costs_no_more_questions(connected: Connected) -> None:
    """Xero's own figure of a customer says so; a credit that nobody set against anything gives it away."""
    ledger, quiet = connected.open(), connected.customer("Quiet Quay")
    [draft] = installments(connected, ledger.clearing(None, TODAY), (28333,))
    [theirs] = documents(ledger.create_invoices([replace(draft, customer_id=quiet)], "k1"))
    connected.meter.calls.clear()
    stands = connected.open().standing(quiet, {theirs.id: theirs.number}, {})
    assert len(connected.meter.calls) == {"quickbooks": 1, "xero": 3}[connected.platform.name]
    assert ([d.id for d in stands.invoices], stands.payments, stands.credits) == ([theirs.id], (), ())
    assert stands.customer is None or (stands.customer.id, stands.customer.active) == (quiet, True)


def _without_link_ids(document: Document | None) -> Document:
    """Xero's lists do not say them; only undoing needs them."""
    assert document is not None
    return replace(document, links=tuple(replace(link, link_id="") for link in document.links))


def test_documents_of_several_kinds_are_found_together(connected: Connected) -> None:
    ledger = connected.open()
    clearing = ledger.clearing(None, TODAY)
    ledger.create_credit(a_credit(connected, clearing), "k1")
    ledger.create_credit(a_credit(connected, clearing, number="1002-P1C", amount=100), "k2")
    rose = connected.customer("Rose & Daughters")
    connected.meter.calls.clear()
    found = connected.open().find_together(
        rose, {Kind.CREDIT: ["1001-P1C", "1002-P1C", "none"], Kind.INVOICE: ["1001", "none"]}
    )
    assert len(connected.meter.calls) == {"quickbooks": 1, "xero": 2}[connected.platform.name]
    assert sorted((d.kind, d.number, d.balance) for d in found) == [
        (Kind.CREDIT, "1001-P1C", 85000),
        (Kind.CREDIT, "1002-P1C", 100),
        (Kind.INVOICE, "1001", 85000),
    ]
    assert [(link.kind, link.amount) for d in found if d.number == "1001" for link in d.links] == [
        ("payment", 30000)
    ]


def test_a_credit_that_its_invoice_used_up_is_not_asked_for_again(connected: Connected) -> None:
    ledger = connected.open()
    clearing = ledger.clearing(None, TODAY)
    credit = ledger.create_credit(a_credit(connected, clearing), "k1")
    rose = connected.customer("Rose & Daughters")
    wanted = {Kind.CREDIT: ["1001-P1C"], Kind.INVOICE: ["1001"]}
    for linked, calls in ((False, 2), (True, 1)):
        if linked:
            ledger.link(a_link(connected, credit), "k2")
        connected.meter.calls.clear()
        found = connected.open().find_together(rose, wanted, [credit])
        assert len(connected.meter.calls) == (1 if connected.platform.name == "quickbooks" else calls)
        by_number = {d.number: d for d in found}
        left = 0 if linked else 85000
        assert (by_number["1001"].balance, by_number["1001-P1C"].balance) == (left, left)
        links = [(x.kind, x.id, x.amount) for x in by_number["1001-P1C"].links]
        assert links == ([("invoice", connected.invoice("1001"), 85000)] if linked else [])


def test_one_customer(connected: Connected) -> None:
    customer = connected.open().customer(connected.customer("O'Neill Boats"))
    assert customer is not None
    assert (customer.name, customer.email) == ("O'Neill Boats", "pay@oneill.example")


# Writing


def test_the_clearing_account_is_found_again(connected: Connected) -> None:
    first = connected.open().clearing(None, TODAY)
    second = connected.open().clearing(None, TODAY)
    assert first == second
    assert first.account_id
    account = next(a for a in connected.open().accounts() if a.id == first.account_id)
    assert account.usable_for_clearing
    assert account.active


def test_an_account_that_cannot_serve_is_refused_with_the_reason(connected: Connected) -> None:
    wrong = next(a for a in connected.open().accounts() if not a.usable_for_clearing)
    assert wrong.why_not
    with pytest.raises(Refused, match=r"\w"):
        connected.open().clearing(wrong.id, TODAY)
    with pytest.raises(Refused):
        connected.open().clearing("no such account", TODAY)


def test_a_whole_plan_moves_not_one_cent(connected: Connected) -> None:
    ledger = connected.open()
    clearing = ledger.clearing(None, TODAY)
    owed = mirrored(ledger).net()
    before = balances_of(connected)
    credit = ledger.create_credit(a_credit(connected, clearing), "PP-0007-1-credit")
    assert (credit.total, credit.balance, credit.tax) == (85000, 85000, 0)
    assert credit.marker == a_marker("credit")
    plan = documents(ledger.create_invoices(installments(connected, clearing), "PP-0007-1-inst"))
    assert [(d.number, d.total, d.balance, d.tax) for d in plan] == [
        ("1001-P1.1", 28333, 28333, 0),
        ("1001-P1.2", 28333, 28333, 0),
        ("1001-P1.3", 28334, 28334, 0),
    ]
    assert [d.marker for d in plan] == [a_marker("inst", n) for n in (1, 2, 3)]
    assert [d.due for d in plan] == [TODAY + timedelta(days=30 * n) for n in (1, 2, 3)]
    link_id = ledger.link(a_link(connected, credit), "PP-0007-1-link")

    fresh = connected.open()
    source = fresh.document(Kind.INVOICE, connected.invoice("1001"))
    assert source is not None
    assert (source.balance, source.status) == (0, Status.PAID)
    assert ("credit", credit.id, 85000, link_id) in [
        (x.kind, x.id, x.amount, x.link_id) for x in source.links
    ]
    spent = fresh.document(Kind.CREDIT, credit.id)
    assert spent is not None
    assert spent.balance == 0
    assert [(x.kind, x.id, x.amount) for x in spent.links] == [("invoice", source.id, 85000)]
    assert [line.account_id for line in spent.lines] == [clearing.account_id]
    installment = fresh.document(Kind.INVOICE, plan[0].id)
    assert installment is not None
    assert [(line.account_id, line.net, line.tax) for line in installment.lines] == [
        (clearing.account_id, 28333, 0)
    ]
    assert balances_of(connected) == before
    mirror = mirrored(fresh)
    assert mirror.net() == owed
    assert {i.marker for i in mirror.records[Kind.INVOICE].values() if i.marker} == {d.marker for d in plan}


def test_the_same_key_never_makes_a_second_document(connected: Connected) -> None:
    clearing = connected.open().clearing(None, TODAY)
    first = connected.open().create_credit(a_credit(connected, clearing), "PP-0007-1-credit")
    again = connected.open().create_credit(a_credit(connected, clearing), "PP-0007-1-credit")
    assert first.id == again.id
    drafts = installments(connected, clearing)
    one = documents(connected.open().create_invoices(drafts, "PP-0007-1-inst"))
    two = documents(connected.open().create_invoices(drafts, "PP-0007-1-inst"))
    assert [d.id for d in one] == [d.id for d in two]
    assert len(connected.open().find(Kind.INVOICE, [d.number for d in drafts])) == 3


def test_our_own_writes_come_back_as_what_we_know_already(connected: Connected) -> None:
    """So that an event which a ledger raises for them changes nothing."""
    ledger = connected.open()
    mirror = mirrored(ledger)
    clearing = ledger.clearing(None, TODAY)
    credit = ledger.create_credit(a_credit(connected, clearing), "credit-1")
    ledger.link(a_link(connected, credit), "link-1")
    made = documents(ledger.create_invoices(installments(connected, clearing), "inst-1"))
    mirror.store(connected.open().pull(mirror.cursor))
    for document in made:
        echo = mirror.records[Kind.INVOICE][document.id]
        told = (echo.number, echo.total, echo.balance, echo.due, echo.status, echo.marker, echo.version)
        assert told == (
            *(document.number, document.total, document.balance, document.due),
            *(document.status, document.marker, document.version),
        )
    assert mirror.numbered("1001").balance == 0
    assert [c.remaining for c in mirror.records[Kind.CREDIT].values() if c.number == "1001-P1C"] == [0]


@pytest.mark.parametrize("platform", platforms.names())
def test_a_currency_without_cents_is_read_and_written_in_its_own_units(office: Office, platform: str) -> None:
    text = re.sub(r'(_cents": [1-9]\d*)', r"\g<1>00", json.dumps(COMPANY))  # hundredths, also of a yen
    data = json.loads(text.replace('"USD"', '"JPY"'))
    data["company"] |= {"id": "kyoto", "country": "JP", "timezone": "Asia/Tokyo"}
    kyoto = office.connect(platform, office.world.add(books.load(data, platform, office.world.clock)))
    ledger = kyoto.open()
    assert ledger.organization().home_currency == "JPY"
    mirror = mirrored(ledger)
    assert (mirror.numbered("1001").total, mirror.numbered("1001").balance) == (115000, 85000)
    rose = kyoto.customer("Rose & Daughters")
    assert ledger.balances()[rose] == {"JPY": mirror.net()[rose]} == {"JPY": 85000 + 34000 - 4000}
    clearing = ledger.clearing(None, TODAY)
    drafts = [replace(d, currency="JPY") for d in installments(kyoto, clearing)]
    made = documents(ledger.create_invoices(drafts, "inst-1"))
    assert [d.total for d in made] == [28333, 28333, 28334]
    ours = [i for i in kyoto.pretend.invoices if i.number.startswith("1001-P1")]
    assert sum(i.total for i in ours) == 85000


def test_one_bad_draft_does_not_sink_the_others(connected: Connected) -> None:
    clearing = connected.open().clearing(None, TODAY)
    good, taken, also = installments(connected, clearing)
    connected.act("bill", customer=connected.customer("Quiet Quay"), net=100, number=taken.number)
    outcomes = connected.open().create_invoices([good, taken, also], "PP-0007-1-inst")
    assert [type(o) for o in outcomes] == [Document, OutOfDate, Document]


def test_a_taken_number_alone_is_out_of_date_too(connected: Connected) -> None:
    clearing = connected.open().clearing(None, TODAY)
    draft = installments(connected, clearing)[0]
    connected.act("bill", customer=connected.customer("Quiet Quay"), net=100, number=draft.number)
    (outcome,) = connected.open().create_invoices([draft], "PP-0007-1-inst-1")
    assert isinstance(outcome, OutOfDate)


def test_forty_invoices_in_few_calls(connected: Connected) -> None:
    clearing = connected.open().clearing(None, TODAY)
    ledger = connected.open()
    connected.meter.calls.clear()
    made = documents(
        ledger.create_invoices(installments(connected, clearing, (1000,) * 40), "PP-0007-1-inst")
    )
    assert [d.number for d in made] == [f"1001-P1.{n}" for n in range(1, 41)]
    assert len([c for c in connected.meter.calls if c.writes]) <= 2


def test_a_closed_period_is_refused(connected: Connected) -> None:
    clearing = connected.open().clearing(None, TODAY)
    connected.act("close", until="2026-11-30")
    with pytest.raises(Refused, match="(?i)closed|lock"):
        connected.open().create_credit(a_credit(connected, clearing), "PP-0007-1-credit")
    assert connected.open().find(Kind.CREDIT, ["1001-P1C"]) == []


def test_a_lost_answer_is_uncertain_and_the_document_is_found(connected: Connected) -> None:
    clearing = connected.open().clearing(None, TODAY)
    connected.office.world.faults.add(Fault(action="drop", when="after", contains="1001-P1C"))
    with pytest.raises(TryLater) as caught:
        connected.open().create_credit(a_credit(connected, clearing), "PP-0007-1-credit")
    assert caught.value.uncertain
    (found,) = connected.open().find(Kind.CREDIT, ["1001-P1C"])
    assert found.marker == a_marker("credit")
    assert (found.total, found.balance) == (85000, 85000)


def test_an_outage_asks_for_patience(connected: Connected) -> None:
    connected.office.world.faults.add(Fault(action="status", status=503, times=2))
    ledger = connected.open()
    with pytest.raises(TryLater) as caught:
        ledger.find(Kind.INVOICE, ["1001"])
    assert not caught.value.uncertain
    assert str(caught.value).endswith(".")


def test_too_many_calls_ask_to_wait_a_named_time(connected: Connected) -> None:
    connected.office.world.faults.add(Fault(action="status", status=429))
    with pytest.raises(TryLater) as caught:
        connected.open().find(Kind.INVOICE, ["1001"])
    assert caught.value.after is not None
    assert caught.value.after > 0


def test_a_dropped_read_can_be_repeated(connected: Connected) -> None:
    connected.office.world.faults.add(Fault(action="drop"))
    with pytest.raises(TryLater) as caught:
        connected.open().find(Kind.INVOICE, ["1001"])
    assert not caught.value.uncertain
    assert len(connected.open().find(Kind.INVOICE, ["1001"])) == 1


def test_an_answer_that_is_silent_about_what_was_asked_is_none(connected: Connected) -> None:
    """Taken for "nothing", a change would be lost, and money that waits to be matched overlooked."""
    mirror = mirrored(connected.open())

    def silent(said: Said) -> None:
        said.body = {}

    speak(connected.office.server, say=[silent])
    with pytest.raises(TryLater):
        list(connected.open().pull(mirror.cursor))
    with pytest.raises(TryLater):
        connected.open().customer_money(mirror.numbered("1004").customer_id)


def test_notes_stand_beside_the_document(connected: Connected) -> None:
    id = connected.invoice("1001")
    ledger = connected.open()
    assert ledger.notes(Kind.INVOICE, id) == []
    before = ledger.document(Kind.INVOICE, id)
    first = ledger.add_note(NoteDraft(Kind.INVOICE, id, "Reminder 1 sent", a_marker("note", 1)), "n-1")
    second = ledger.add_note(NoteDraft(Kind.INVOICE, id, "Reminder 2 sent", a_marker("note", 2)), "n-2")
    assert first
    assert second
    found = connected.open().notes(Kind.INVOICE, id)
    assert [text for text in found if "Reminder" in text] == found
    assert len(found) == 2
    assert "Reminder 1 sent" in found[0]
    assert "Reminder 2 sent" in found[1]
    assert a_marker("note", 2) in found[1]
    after = connected.open().document(Kind.INVOICE, id)
    assert before is not None
    assert after is not None
    assert (after.note, after.balance, after.due) == (before.note, before.balance, before.due)


def test_a_long_note_is_cut_and_keeps_its_mark(connected: Connected) -> None:
    id = connected.invoice("1001")
    connected.open().add_note(NoteDraft(Kind.INVOICE, id, "x" * 5000, a_marker("note")), "n-1")
    (text,) = connected.open().notes(Kind.INVOICE, id)
    assert text.startswith("xxx")
    assert a_marker("note") in text


def test_a_file_can_be_attached(connected: Connected) -> None:
    content = base64.b64encode(b"%PDF-1.7 agreement").decode()
    draft = AttachmentDraft(
        Kind.INVOICE, connected.invoice("1001"), "agreement.pdf", content, a_marker("agreement")
    )
    assert connected.open().attach(draft, "a-1")


def test_a_due_date_moves_only_from_the_version_that_was_seen(connected: Connected) -> None:
    id = connected.invoice("1002")
    seen = connected.open().document(Kind.INVOICE, id)
    assert seen is not None
    draft = DueDateDraft(id, date(2026, 12, 21), seen.version, "Agreed with the customer", a_marker("date"))
    moved = connected.open().move_due_date(draft, "d-1")
    assert (moved.total, moved.balance) == (seen.total, seen.balance)
    assert [line.net for line in moved.lines] == [line.net for line in seen.lines]
    assert moved.version != seen.version
    stale = DueDateDraft(id, date(2027, 1, 21), seen.version, "Again", a_marker("date"))
    with pytest.raises(OutOfDate):
        connected.open().move_due_date(stale, "d-2")


def test_the_ledger_sends_the_invoice(connected: Connected) -> None:
    connected.open().send(SendDraft(connected.invoice("1004"), a_marker("send")), "s-1")
    assert mirrored(connected.open()).numbered("1004").emailed is True


def test_a_plan_can_be_taken_back_the_same_day(connected: Connected) -> None:
    ledger = connected.open()
    clearing = ledger.clearing(None, TODAY)
    owed, before = mirrored(ledger).net(), balances_of(connected)
    credit = ledger.create_credit(a_credit(connected, clearing), "PP-0007-1-credit")
    plan = documents(ledger.create_invoices(installments(connected, clearing), "PP-0007-1-inst"))
    link_id = ledger.link(a_link(connected, credit), "PP-0007-1-link")
    source = connected.invoice("1001")
    undo = [
        RemoveDraft("link", source, a_marker("cancel"), link_id=link_id, credit_id=credit.id),
        *(RemoveDraft("invoice", d.id, a_marker("cancel")) for d in plan),
        RemoveDraft("credit", credit.id, a_marker("cancel"), credit_id=credit.id),
    ]
    for n, draft in enumerate(undo):
        connected.open().remove(draft, f"PP-0007-1-undo-{n}")
    assert balances_of(connected) == before
    assert mirrored(connected.open()).net() == owed
    assert connected.open().find(Kind.INVOICE, [d.number for d in plan]) == []
    for n, draft in enumerate(undo):  # a second worker does the same: already gone counts as done
        connected.open().remove(draft, f"PP-0007-1-undo-again-{n}")
    assert balances_of(connected) == before


def test_deep_links_are_addresses_or_empty(connected: Connected) -> None:
    link = connected.open().deep_link(Kind.INVOICE, connected.invoice("1001"))
    assert link == "" or link.startswith("http")


# Apart


def test_two_companies_in_two_threads_never_mix(connected: Connected) -> None:
    name = connected.platform.name
    other = connected.office.connect(name, connected.office.add(name, "Other Company"))
    pairs = [(connected, "Harbour Supplies"), (other, "Other Company")]
    wrong: list[str] = []

    def work(books: Connected, name: str) -> None:
        ledger = books.open()
        for _ in range(12):
            found = ledger.organization().name
            if found != name:
                wrong.append(found)

    threads = [threading.Thread(target=work, args=pair) for pair in pairs for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_another_companys_books_stay_shut(connected: Connected) -> None:
    other = connected.office.add(connected.platform.name, "Other Company")
    intruder = Connected(
        connected.office, connected.platform, other, connected.grant, connected.access, connected.meter
    )
    reference = connected.organization.__class__(other.organization.id, "Other Company")
    ledger = intruder.platform.open(reference, connected.access, connected.meter)
    with pytest.raises(Reconnect):
        ledger.find(Kind.INVOICE, ["1001"])


def test_calls_are_metered_without_customer_data(connected: Connected) -> None:
    ledger = connected.open()
    mirrored(ledger)
    assert connected.meter.calls
    told = as_json([c.__repr__() for c in connected.meter.calls])
    assert "Rose" not in told
    assert connected.access.now.access_token not in told
    for call in connected.meter.calls:
        assert call.status == 200
        assert call.bytes_in > 0
        assert not call.writes


def test_other_offices_do_not_matter(office: Office) -> None:
    """The contract holds for what pyproject.toml lists: at least these two."""
    assert set(platforms.names()) >= {"quickbooks", "xero"}
    with pytest.raises(LookupError, match="sage"):
        platforms.find("sage", office.config)
