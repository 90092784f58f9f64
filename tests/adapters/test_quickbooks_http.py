"""QuickBooks' own traps, over HTTP against the pretend one: retries, races, journals, currencies, closed books."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from connector.contact.guarding import unexplained
from connector.domain.receivables import Document, Kind, Status
from connector.domain.writes import CreditDraft, DueDateDraft, InvoiceDraft, LinkDraft, NoteDraft, RemoveDraft
from connector.platforms import Clearing, OutOfDate, Reconnect, Refused, TryLater
from sandbox import books
from sandbox.documents import Customer, Deposit, DepositLine, Ref
from sandbox.faults import Fault
from tests.adapters.conftest import COMPANY, TODAY, Connected, Office
from tests.adapters.quickbooks_scripted import Answer, Asked, quickbooks
from tests.adapters.test_contract import (
    a_credit,
    a_link,
    a_marker,
    balances_of,
    documents,
    installments,
    mirrored,
)


@pytest.fixture
def harbour(office: Office) -> Connected:
    """The small company on QuickBooks."""
    return office.connect("quickbooks", office.add("quickbooks"))


@pytest.fixture
def abroad(office: Office) -> Connected:
    """The small company in the United Kingdom, with a customer in euros and one in yen."""
    data = copy.deepcopy(COMPANY)
    data["company"] |= {"id": "abroad", "country": "GB", "home_currency": "GBP", "timezone": "Europe/London"}
    for record in [*data["customers"], *data["invoices"], *data["payments"], *data["credits"]]:
        record["currency"] = "GBP"
    data["customers"] += [
        {"id": "c4", "name": "Quai Ouest", "currency": "EUR"},
        {"id": "c5", "name": "Kobe Marine", "currency": "JPY"},
    ]
    for n, (customer, currency) in enumerate([("c4", "EUR"), ("c5", "JPY")], 4):
        data["invoices"].append(
            {
                "id": f"i1{n}", "number": f"200{n}", "customer_id": customer, "issue_date": "2026-10-01",
                "due_date": "2026-10-31", "currency": currency, "total_cents": 123400, "kind": "invoice",
            }
        )  # fmt: skip
    return office.connect("quickbooks", office.world.add(books.load(data, "quickbooks", office.world.clock)))


def switch(harbour: Connected, **switches: Any) -> None:
    for name, value in switches.items():
        harbour.office.world.set_switch(f"quickbooks.{name}", value)


def after_an_hour(harbour: Connected) -> None:
    harbour.office.world.clock.advance(hours=1)


def test_the_ledger_says_that_the_address_is_proven(harbour: Connected) -> None:
    assert harbour.grant.identity is not None
    assert harbour.grant.identity.email_verified is True


# Calls and races


@pytest.mark.parametrize("variant", ["json", "xml"])
def test_throttling_in_either_form_means_wait(harbour: Connected, variant: str) -> None:
    harbour.office.world.faults.add(Fault(action="status", status=429, variant=variant))
    with pytest.raises(TryLater) as caught:
        harbour.open().balances()
    assert caught.value.code == "3001"
    assert caught.value.after == 60.0


@pytest.mark.parametrize(
    ("status", "variant", "error"),
    [
        (200, "json", Refused),
        (200, "nested", Refused),
        (200, "empty_errors", TryLater),
        (400, "no_code", Refused),
        (400, "word_code", Refused),
        (400, "lowercase", Refused),
        (403, "json", Reconnect),
        (500, "html", TryLater),
        (503, "html", TryLater),
        (503, "empty", TryLater),
        (500, "fault", TryLater),
    ],
)
def test_no_fault_is_taken_for_an_answer(
    harbour: Connected, status: int, variant: str, error: type[Exception]
) -> None:
    harbour.office.world.faults.add(Fault(action="status", status=status, variant=variant))
    with pytest.raises((TryLater, Refused, Reconnect, OutOfDate)) as caught:
        harbour.open().accounts()
    if not (variant in ("json", "nested") and status == 200):
        assert type(caught.value) is error


def test_a_refused_token_is_renewed_once_in_the_middle_of_a_write(harbour: Connected) -> None:
    clearing = harbour.open().clearing(None, TODAY)
    harbour.office.world.grants.skip += 4000  # seconds: the access token has ended
    credit = harbour.open().create_credit(a_credit(harbour, clearing), "PP-0007-1-credit")
    assert credit.total == 85000
    assert harbour.access.renewals == 1
    assert len(harbour.open().find(Kind.CREDIT, ["1001-P1C"])) == 1


def test_a_batch_whose_answer_was_lost_is_replayed_and_not_repeated(harbour: Connected) -> None:
    drafts = installments(harbour, harbour.open().clearing(None, TODAY))
    harbour.office.world.faults.add(Fault(action="drop", when="after", path="/batch"))
    with pytest.raises(TryLater) as caught:
        harbour.open().create_invoices(drafts, "PP-0007-1-inst")
    assert caught.value.uncertain
    made = documents(harbour.open().create_invoices(drafts, "PP-0007-1-inst"))
    assert [d.number for d in made] == ["1001-P1.1", "1001-P1.2", "1001-P1.3"]
    assert len(harbour.open().find(Kind.INVOICE, [d.number for d in drafts])) == 3


def test_a_forgotten_request_id_ends_at_the_number(harbour: Connected) -> None:
    """The requestid's memory is unverified: then the number says that the document is there."""
    clearing = harbour.open().clearing(None, TODAY)
    harbour.open().create_credit(a_credit(harbour, clearing), "PP-0007-1-credit")
    switch(harbour, request_ids="forget")
    with pytest.raises(OutOfDate) as caught:
        harbour.open().create_credit(a_credit(harbour, clearing), "PP-0007-1-credit")
    assert caught.value.code == "6140"
    (found,) = harbour.open().find(Kind.CREDIT, ["1001-P1C"])
    assert found.marker == a_marker("credit")


def test_a_retry_with_fewer_drafts_is_not_answered_by_the_first_try(harbour: Connected) -> None:
    clearing = harbour.open().clearing(None, TODAY)
    one, two, three = installments(harbour, clearing)
    first = documents(harbour.open().create_invoices([one, two], "PP-0007-1-inst"))
    (second,) = documents(harbour.open().create_invoices([three], "PP-0007-1-inst"))
    assert second.number == "1001-P1.3"
    assert second.id not in {d.id for d in first}


def test_batch_answers_in_any_order_find_their_drafts(harbour: Connected) -> None:
    switch(harbour, batch_order="shuffled")
    amounts = tuple(range(1001, 1013))
    made = documents(
        harbour.open().create_invoices(
            installments(harbour, harbour.open().clearing(None, TODAY), amounts), "PP-0007-1-inst"
        )
    )
    assert [d.total for d in made] == list(amounts)


def test_amounts_are_sent_as_numbers(harbour: Connected) -> None:
    switch(harbour, strings_as_decimals="refuse")
    clearing = harbour.open().clearing(None, TODAY)
    credit = harbour.open().create_credit(a_credit(harbour, clearing, amount=33333333333), "k")
    assert credit.total == 33333333333


def test_a_plan_follows_its_invoice_in_location_class_mail_and_ways_to_pay(harbour: Connected) -> None:
    asked: list[Any] = []
    source = {
        "Id": "147",
        "DepartmentRef": {"value": "3"},
        "ARAccountRef": {"value": "84"},
        "BillEmail": {"Address": "ap@rose.example"},
        "AllowOnlineACHPayment": True,
        "Line": [{"DetailType": "SalesItemLineDetail", "SalesItemLineDetail": {"ClassRef": {"value": "7"}}}]
        * 2,
    }

    def answer(request: Asked) -> Answer:
        asked.append(request)
        if request.method == "GET":
            return 200, {"Invoice": source}
        if request.path == "query":
            return 200, {"QueryResponse": {}}
        body = request.json
        key = "Payment" if "TotalAmt" in body else "Invoice" if "DueDate" in body else "CreditMemo"
        return 200, {key: body | {"Id": "9", "TotalAmt": 283.33, "Balance": 283.33}}

    clearing = Clearing("91", "", "Clearing", "11", "NON")
    with quickbooks(answer) as server:
        ledger = server.ledger()
        ledger.create_credit(a_credit(harbour, clearing), "c")
        ledger.create_invoices(installments(harbour, clearing)[:1], "i")
    credit, invoice = [a.json for a in asked if a.method == "POST" and "DocNumber" in a.body]
    for body in (credit, invoice):
        assert (body["DepartmentRef"], body["ARAccountRef"]) == ({"value": "3"}, {"value": "84"})
        assert body["Line"][0]["SalesItemLineDetail"]["ClassRef"] == {"value": "7"}
    assert invoice["BillEmail"] == {"Address": "ap@rose.example"}
    assert invoice["AllowOnlineACHPayment"] is True
    assert invoice["AllowIPNPayment"] is False
    assert "BillEmail" not in credit
    assert len([a for a in asked if a.path == "invoice/" + harbour.invoice("1001")]) == 1


def test_an_item_that_may_not_post_to_a_liability_is_a_reason_to_ask(harbour: Connected) -> None:
    switch(harbour, item_account="income")
    with pytest.raises(Refused) as caught:
        harbour.open().clearing(None, TODAY)
    assert caught.value.code == "6430"


def test_a_clearing_account_that_was_switched_off_is_refused(harbour: Connected) -> None:
    clearing = harbour.open().clearing(None, TODAY)
    harbour.pretend.edit(Ref("account", clearing.account_id), active=False)
    with pytest.raises(Refused, match="inactive"):
        harbour.open().clearing(None, TODAY)


def test_another_clearing_account_gets_an_item_of_its_own(harbour: Connected) -> None:
    first = harbour.open().clearing(None, TODAY)
    other = next(a for a in harbour.open().accounts() if a.usable_for_clearing and a.id != first.account_id)
    second = harbour.open().clearing(other.id, TODAY)
    assert second.account_id == other.id
    assert second.item_id != first.item_id
    assert harbour.open().clearing(None, TODAY) == first


# What only QuickBooks has


def test_a_journal_entry_on_receivables_is_mirrored_and_unmirrored(harbour: Connected) -> None:
    rose = harbour.customer("Rose & Daughters")
    mirror = mirrored(harbour.open())
    owed = mirror.net()[rose]
    after_an_hour(harbour)
    (journal,) = harbour.act("journal", customer=rose, amount=-12000)
    mirror.store(harbour.open().pull(mirror.cursor))
    assert mirror.net()[rose] == owed - 12000
    assert mirrored(harbour.open()).records == mirror.records
    after_an_hour(harbour)
    harbour.act("delete", kind="journal", id=journal["id"])
    mirror.store(harbour.open().pull(mirror.cursor))
    assert mirror.net()[rose] == owed


def test_a_deposit_line_on_receivables_is_money_on_account(harbour: Connected) -> None:
    oneill = harbour.customer("O'Neill Boats")
    mirror = mirrored(harbour.open())
    owed = mirror.net()[oneill]
    after_an_hour(harbour)
    receivable = harbour.pretend.account_by_role("receivable").id
    bank = harbour.pretend.account_by_role("bank").id
    line = DepositLine(amount=2500, account=receivable, customer=oneill)
    harbour.pretend.add_deposit(Deposit(date=TODAY, account=bank, lines=[line]))
    mirror.store(harbour.open().pull(mirror.cursor))
    assert mirror.net()[oneill] == owed - 2500
    assert "deposit" in {p.flavor for p in mirror.records[Kind.PAYMENT].values()}


def test_a_deposit_booked_as_income_is_seen_until_it_is_gone(harbour: Connected) -> None:
    oneill = harbour.customer("O'Neill Boats")
    mirror = mirrored(harbour.open())
    owed = mirror.net()
    after_an_hour(harbour)
    sales, bank = harbour.pretend.account_by_role("sales").id, harbour.pretend.account_by_role("bank").id
    line = DepositLine(amount=9999, account=sales, customer=oneill)
    deposit = harbour.pretend.add_deposit(Deposit(date=TODAY, account=bank, lines=[line]))
    mirror.store(harbour.open().pull(mirror.cursor))
    seen = [p for p in mirror.records[Kind.PAYMENT].values() if p.flavor == "unmatched"]
    assert [(p.customer_id, p.amount, p.unapplied) for p in seen] == [(oneill, 9999, 0)]
    assert mirror.net() == owed
    assert unexplained(mirror.records[Kind.INVOICE].values(), seen) == 9999  # just what an invoice asks for
    assert unexplained(mirror.records[Kind.INVOICE].values(), [replace(seen[0], amount=9998)]) == 0
    assert mirror.records == mirrored(harbour.open()).records
    after_an_hour(harbour)
    harbour.pretend.delete(Ref("deposit", deposit.id))
    mirror.store(harbour.open().pull(mirror.cursor))
    assert "unmatched" not in {p.flavor for p in mirror.records[Kind.PAYMENT].values()}


def test_sub_customers_and_inactive_ones_are_mirrored(harbour: Connected) -> None:
    rose = harbour.customer("Rose & Daughters")
    harbour.pretend.add_customer(Customer(name="Rose: Berth 4", parent=rose))
    harbour.pretend.edit(Ref("customer", harbour.customer("Quiet Quay")), active=False)
    customers = mirrored(harbour.open()).records[Kind.CUSTOMER].values()
    assert {c.parent_id for c in customers} == {"", rose}
    assert [c.name.startswith("Quiet Quay") for c in customers if not c.active] == [True]


def test_a_merged_customers_history_follows(harbour: Connected) -> None:
    mirror = mirrored(harbour.open())
    rose, quiet = harbour.customer("Rose & Daughters"), harbour.customer("Quiet Quay")
    after_an_hour(harbour)
    harbour.act("merge", loser=rose, survivor=quiet)
    mirror.store(harbour.open().pull(mirror.cursor))
    fresh = mirrored(harbour.open())
    assert rose not in fresh.net()
    assert fresh.net()[quiet] == 85000 + 34000 - 4000
    assert mirror.net() == fresh.net()


def test_a_deleted_payment_gives_the_invoice_its_balance_back(harbour: Connected) -> None:
    mirror = mirrored(harbour.open())
    paid = next(p for p in mirror.records[Kind.PAYMENT].values() if p.amount == 30000)
    after_an_hour(harbour)
    harbour.act("delete", kind="payment", id=paid.id)
    mirror.store(harbour.open().pull(mirror.cursor))
    assert mirror.numbered("1001").balance == 115000
    assert paid.id not in mirror.records[Kind.PAYMENT]


def test_a_payment_that_leaves_its_invoice_unannounced_brings_it_all_the_same(harbour: Connected) -> None:
    """Whether QuickBooks reports the invoice too is unverified."""
    mirror = mirrored(harbour.open())
    harbour.pretend.organization.rules.link_touches_documents = False
    after_an_hour(harbour)
    harbour.act("pay", invoice=harbour.invoice("1004"), amount=5000)
    harbour.meter.calls.clear()
    mirror.store(harbour.open().pull(mirror.cursor))
    assert mirror.numbered("1004").balance == 4999
    assert len(harbour.meter.calls) <= 2


def test_one_changed_invoice_costs_one_call_and_a_quiet_sweep_one(harbour: Connected) -> None:
    mirror = mirrored(harbour.open())
    after_an_hour(harbour)
    harbour.act("bill", customer=harbour.customer("Quiet Quay"), net=100, number="1007")
    harbour.meter.calls.clear()
    mirror.store(harbour.open().pull(mirror.cursor))
    assert mirror.numbered("1007").balance == 115
    assert [c.operation for c in harbour.meter.calls] == ["GET cdc"]
    after_an_hour(harbour)
    harbour.meter.calls.clear()
    mirror.store(harbour.open().pull(mirror.cursor))
    assert [c.operation for c in harbour.meter.calls] == ["GET cdc"]


@pytest.mark.parametrize("beyond", ["honor", "clamp", "fail"])
def test_after_two_months_everything_is_read_again(harbour: Connected, beyond: str) -> None:
    switch(harbour, cdc_beyond_30_days=beyond)
    mirror = mirrored(harbour.open())
    harbour.act("pay", invoice=harbour.invoice("1004"), amount=5000)
    harbour.act("void", kind="invoice", id=harbour.invoice("1002"))
    harbour.office.world.clock.advance(days=61)
    mirror.store(harbour.open().pull(mirror.cursor))
    assert mirror.records == mirrored(harbour.open()).records


def test_over_a_thousand_changes_are_not_cut(harbour: Connected) -> None:
    mirror = mirrored(harbour.open())
    after_an_hour(harbour)
    quiet = harbour.customer("Quiet Quay")
    for n in range(1100):
        harbour.pretend.add_invoice(an_invoice_of(harbour, quiet, f"B{n}"))
    harbour.act("void", kind="invoice", id=harbour.invoice("1002"))
    mirror.store(harbour.open().pull(mirror.cursor))
    fresh = mirrored(harbour.open())
    assert len(fresh.records[Kind.INVOICE]) == 1104
    assert mirror.records == fresh.records


def an_invoice_of(harbour: Connected, customer: str, number: str) -> Any:
    from sandbox.documents import Invoice, Line

    sales = harbour.pretend.account_by_role("sales").id
    return Invoice(customer=customer, date=TODAY, number=number, lines=[Line(net=100, account=sales)])


def test_automatic_credit_application_is_told_and_shows_on_the_credit(harbour: Connected) -> None:
    clearing = harbour.open().clearing(None, TODAY)
    harbour.pretend.organization.rules.auto_apply_credits = True
    assert harbour.open().organization().auto_apply_credits is True
    credit = harbour.open().create_credit(a_credit(harbour, clearing), "PP-0007-1-credit")
    again = harbour.open().document(Kind.CREDIT, credit.id)
    assert again is not None
    assert again.balance == 0
    assert sum(link.amount for link in again.links) == 85000


# Currencies and taxes


def test_each_currency_is_counted_in_its_own_units(abroad: Connected) -> None:
    mirror = mirrored(abroad.open())
    assert (mirror.numbered("2004").currency, mirror.numbered("2004").total) == ("EUR", 123400)
    assert (mirror.numbered("2005").currency, mirror.numbered("2005").total) == ("JPY", 1234)
    balances = abroad.open().balances()
    assert balances[abroad.customer("Quai Ouest")] == {"EUR": 123400}
    assert balances[abroad.customer("Kobe Marine")] == {"JPY": 1234}


@pytest.mark.parametrize("known", ["Out of scope", "No VAT", "Exempt"])
def test_outside_the_us_a_plan_is_on_no_tax_return(abroad: Connected, known: str) -> None:
    """By the company's own code for that, or without any tax: never by one that counts as turnover."""
    abroad.pretend.tax_codes["4"].name = known
    ledger = abroad.open()
    facts = ledger.organization()
    assert (facts.country, facts.home_currency, facts.timezone) == ("GB", "GBP", "Europe/London")
    clearing = ledger.clearing(None, TODAY)
    assert clearing.tax_code == ("" if known == "Exempt" else "4")
    before = balances_of(abroad)
    credit = ledger.create_credit(a_credit(abroad, clearing, currency="GBP"), "PP-0007-1-credit")
    assert (credit.total, credit.tax, credit.currency) == (85000, 0, "GBP")
    drafts = [
        InvoiceDraft(**{f: getattr(d, f) for f in d.__slots__} | {"currency": "GBP"})
        for d in installments(abroad, clearing)
    ]
    assert [d.tax for d in documents(ledger.create_invoices(drafts, "PP-0007-1-inst"))] == [0, 0, 0]
    ledger.link(
        LinkDraft(
            **{f: getattr(a_link(abroad, credit), f) for f in LinkDraft.__slots__} | {"currency": "GBP"}
        ),
        "l",
    )
    assert balances_of(abroad) == before


# Closed books and undoing


def test_a_due_date_in_a_closed_period_is_refused_loudly_and_when_silent(harbour: Connected) -> None:
    id = harbour.invoice("1001")
    harbour.act("close", until="2026-09-30")
    seen = harbour.open().document(Kind.INVOICE, id)
    assert seen is not None
    draft = DueDateDraft(id, date(2026, 12, 21), seen.version, "Agreed", a_marker("date"))
    with pytest.raises(Refused, match="closed"):
        harbour.open().move_due_date(draft, "d-1")
    switch(harbour, closed_period="silent")
    with pytest.raises(Refused, match="closed"):
        harbour.open().move_due_date(draft, "d-2")


def test_a_link_may_be_dated_today_for_an_invoice_of_a_closed_period(harbour: Connected) -> None:
    ledger = harbour.open()
    clearing = ledger.clearing(None, TODAY)
    harbour.act("close", until="2026-09-30")
    credit = ledger.create_credit(a_credit(harbour, clearing), "PP-0007-1-credit")
    assert ledger.link(a_link(harbour, credit), "PP-0007-1-link")


def test_the_users_private_note_stays_in_front(harbour: Connected) -> None:
    id = harbour.invoice("1002")
    harbour.pretend.edit(Ref("invoice", id), private_note="Ring before noon")
    seen = harbour.open().document(Kind.INVOICE, id)
    assert seen is not None
    draft = DueDateDraft(
        id, date(2026, 12, 21), seen.version, "2026-11-21 Plan PP-0007 agreed", a_marker("date")
    )
    moved = harbour.open().move_due_date(draft, "d-1")
    assert moved.note == "Ring before noon\n2026-11-21 Plan PP-0007 agreed"
    assert moved.due == date(2026, 12, 21)
    assert moved.marker == ""
    again = harbour.open().move_due_date(draft, "d-1b")  # our own earlier attempt, its answer lost
    assert again.version == moved.version


def test_a_full_private_note_is_left_alone(harbour: Connected) -> None:
    id = harbour.invoice("1002")
    harbour.pretend.edit(Ref("invoice", id), private_note="x" * 3990)
    seen = harbour.open().document(Kind.INVOICE, id)
    assert seen is not None
    draft = DueDateDraft(
        id, date(2026, 12, 21), seen.version, "2026-11-21 Plan PP-0007 agreed", a_marker("date")
    )
    assert harbour.open().move_due_date(draft, "d-1").note == "x" * 3990


def test_only_what_we_wrote_is_removed(harbour: Connected) -> None:
    before = balances_of(harbour)
    with pytest.raises(Refused, match="mark"):
        harbour.open().remove(RemoveDraft("invoice", harbour.invoice("1004"), a_marker("cancel")), "u-1")
    payment = next(iter(harbour.pretend.payments)).id
    with pytest.raises(Refused, match="real payment"):
        harbour.open().remove(
            RemoveDraft("link", harbour.invoice("1001"), a_marker("cancel"), link_id=payment), "u-2"
        )
    assert balances_of(harbour) == before


def test_an_installment_that_was_paid_on_is_not_voided(harbour: Connected) -> None:
    ledger = harbour.open()
    made = documents(ledger.create_invoices(installments(harbour, ledger.clearing(None, TODAY)), "k"))
    harbour.act("pay", invoice=made[0].id, amount=100)
    with pytest.raises(Refused, match="already paid"):
        harbour.open().remove(RemoveDraft("invoice", made[0].id, a_marker("cancel")), "u-1")


def test_a_voided_document_of_ours_still_carries_its_mark(harbour: Connected) -> None:
    ledger = harbour.open()
    made = documents(ledger.create_invoices(installments(harbour, ledger.clearing(None, TODAY)), "k"))
    ledger.remove(RemoveDraft("invoice", made[0].id, a_marker("cancel")), "u-1")
    void = harbour.open().document(Kind.INVOICE, made[0].id)
    assert void is not None
    assert (void.status, void.total, void.marker) == (Status.VOID, 0, a_marker("inst", 1))


def test_a_note_on_a_credit_memo_and_on_a_customer(harbour: Connected) -> None:
    ledger = harbour.open()
    clearing = ledger.clearing(None, TODAY)
    credit = ledger.create_credit(a_credit(harbour, clearing), "PP-0007-1-credit")
    rose = harbour.customer("Rose & Daughters")
    for kind, id in ((Kind.CREDIT, credit.id), (Kind.CUSTOMER, rose)):
        ledger.add_note(NoteDraft(kind, id, "Plan agreed", a_marker("note")), f"n-{id}")
        assert ledger.notes(kind, id) == [f"Plan agreed\n{a_marker('note')}"]
    with pytest.raises(Refused):
        ledger.add_note(NoteDraft(Kind.INVOICE, "987654", "Lost", a_marker("note")), "n-x")


def test_a_plan_of_forty_on_a_ledger_that_limits_is_never_half_known(harbour: Connected) -> None:
    """The second batch is throttled: the first thirty are told as made, the rest as to be tried again."""
    drafts = installments(harbour, harbour.open().clearing(None, TODAY), (1000,) * 40)
    harbour.office.world.faults.add(Fault(action="status", status=429, path="/batch", skip=1))
    outcomes = harbour.open().create_invoices(drafts, "PP-0007-1-inst")
    assert [type(o) for o in outcomes] == [Document] * 30 + [TryLater] * 10
    assert all(o.uncertain for o in outcomes if isinstance(o, TryLater))


def test_voiding_an_invoice_sets_its_credit_free(harbour: Connected) -> None:
    mirror = mirrored(harbour.open())
    after_an_hour(harbour)
    harbour.act("void", kind="invoice", id=harbour.invoice("1002"))
    mirror.store(harbour.open().pull(mirror.cursor))
    (credit,) = mirror.records[Kind.CREDIT].values()
    assert (credit.remaining, credit.allocations) == (10000, ())
    assert mirror.records == mirrored(harbour.open()).records


def test_voiding_an_invoice_sets_its_money_free_also_where_the_payment_is_not_reported(
    harbour: Connected,
) -> None:
    mirror = mirrored(harbour.open())
    harbour.pretend.organization.rules.link_touches_documents = False
    after_an_hour(harbour)
    harbour.act("void", kind="invoice", id=harbour.invoice("1001"))
    harbour.meter.calls.clear()
    mirror.store(harbour.open().pull(mirror.cursor))
    assert [c.operation for c in harbour.meter.calls] == ["GET cdc", "query Payment"]
    freed = [p for p in mirror.records[Kind.PAYMENT].values() if p.amount == 30000]
    assert [(p.amount, p.unapplied, p.allocations) for p in freed] == [(30000, 30000, ())]
    assert mirror.net() == mirrored(harbour.open()).net()


def test_a_changed_credit_keeps_all_its_allocations(harbour: Connected) -> None:
    mirror = mirrored(harbour.open())
    after_an_hour(harbour)
    credit = next(iter(harbour.pretend.credit_notes)).id
    harbour.act("apply_credit", credit_note=credit, invoice=harbour.invoice("1001"), amount=1500)
    mirror.store(harbour.open().pull(mirror.cursor))
    assert mirror.records == mirrored(harbour.open()).records
    (kept,) = mirror.records[Kind.CREDIT].values()
    assert [a.amount for a in kept.allocations] == [6000, 1500]


@pytest.fixture(autouse=True)
def _no_token_in_any_log(caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest) -> Iterator[None]:
    caplog.set_level("DEBUG")
    yield
    books = request.node.funcargs.get("harbour") or request.node.funcargs.get("abroad")
    if books is not None:
        assert books.access.now.access_token not in caplog.text
        assert books.access.now.refresh_token not in caplog.text


def test_credit_draft_fields_reach_the_document(harbour: Connected) -> None:
    ledger = harbour.open()
    clearing = ledger.clearing(None, TODAY)
    draft = a_credit(harbour, clearing)
    assert isinstance(draft, CreditDraft)
    credit = ledger.create_credit(draft, "PP-0007-1-credit")
    assert (credit.date, credit.customer_id, credit.number) == (TODAY, draft.customer_id, "1001-P1C")
    (line,) = credit.lines
    assert (line.account_id, line.description, line.net) == (clearing.account_id, draft.description, 85000)
    assert credit.note == draft.marker
