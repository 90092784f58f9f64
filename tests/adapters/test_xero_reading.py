"""Reading a pretend Xero over HTTP: facts, everything, what changed, and what cannot be read."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.xero import pull as pulling
from adapters.xero.transport import Transport
from connector.domain.receivables import Kind, Status
from connector.platforms import Batch, Cursor, Ledger, TryLater
from sandbox import acts
from sandbox.documents import Invoice, Line, Ref
from sandbox.faults import Fault
from tests.adapters.xero_books import HARBOUR, Xero, xero


@pytest.fixture
def ledgers(tmp_path: Path) -> Iterator[Xero]:
    with xero(tmp_path) as running:
        yield running


def bill(running: Xero, customer: str, net: int, due: date = date(2026, 10, 20), number: str = "") -> str:
    """An invoice of 20 September with GST; its id."""
    return acts.bill(
        running.books,
        customer=running.customer(customer),
        net=net,
        day=date(2026, 9, 20),
        due=due,
        number=number,
    ).id


def pull(ledger: Ledger, cursor: Cursor | None = None, kinds: frozenset[Kind] | None = None) -> list[Batch]:
    return list(ledger.pull(cursor, kinds))


def test_the_facts_of_an_organization(ledgers: Xero):
    ledgers.books.organization.closed_until = date(2026, 6, 30)
    ledgers.books.organization.own_reminders = True
    found = ledgers.open().organization()
    assert (found.id, found.name, found.country, found.home_currency) == (
        HARBOUR,
        "Harbour Bikes",
        "NZ",
        "NZD",
    )
    assert (found.timezone, found.closed_until) == ("Pacific/Auckland", date(2026, 6, 30))
    assert (found.reminders_on, found.auto_apply_credits) == (True, False)


def test_where_an_invoice_is_seen_and_paid_online(ledgers: Xero):
    made = bill(ledgers, "Kea Couriers", 100_000)
    assert ledgers.open().pay_link(made).startswith("https://in.xero.com/")
    assert ledgers.open().pay_link("00000000-0000-0000-0000-000000000001") == ""


def test_reminders_that_xero_does_not_tell_are_unknown(ledgers: Xero):
    for status, variant in ((404, ""), (403, "scope")):
        ledgers.world.faults.add(
            Fault(action="status", status=status, variant=variant, path="/InvoiceReminders", times=1)
        )
        assert ledgers.open().organization().reminders_on is None


def test_everything_comes_once_with_its_money(ledgers: Xero):
    first = bill(ledgers, "Kea Couriers", 100_000, number="INV-1")
    acts.pay(ledgers.books, invoice=first, amount=15_000)
    second = bill(ledgers, "Tui School", 40_000, number="INV-2")
    acts.credit(ledgers.books, invoice=second, amount=6_000)
    acts.pay(ledgers.books, customer=ledgers.customer("Tui School"), amount=50_000)

    batches = pull(ledgers.open())

    invoices = {i.number: i for b in batches for i in b.invoices}
    assert (invoices["INV-1"].total, invoices["INV-1"].balance, invoices["INV-1"].tax) == (
        115_000,
        100_000,
        15_000,
    )
    assert invoices["INV-1"].status is Status.PARTLY_PAID
    assert invoices["INV-2"].status is Status.PAID
    payments = [p for b in batches for p in b.payments]
    assert sorted((p.flavor, p.amount, p.unapplied) for p in payments) == [
        ("overpayment", 10_000, 10_000),
        ("payment", 15_000, 0),
        ("payment", 40_000, 0),
    ]
    (credit,) = [c for b in batches for c in b.credits]
    assert (credit.total, credit.remaining) == (6_000, 0)
    assert [(a.invoice_id, a.amount) for a in credit.allocations] == [(second, 6_000)]
    customers = {c.name: c for b in batches for c in b.customers}
    assert (customers["Kea Couriers"].terms_days, customers["Sydney Fit-outs"].currency) == (30, "AUD")
    assert batches[-1].complete == frozenset(Kind)
    assert all(b.cursor for b in batches)
    assert not [u for b in batches for u in b.unreadable]


def test_a_quiet_sweep_takes_three_calls_and_brings_nothing(ledgers: Xero):
    bill(ledgers, "Kea Couriers", 100_000)
    ledgers.world.clock.advance(seconds=600)
    ledger = ledgers.open()
    cursor = pull(ledger)[-1].cursor
    ledgers.world.clock.advance(seconds=600)
    seen_in_turn = set()
    for _ in range(4):
        mark = len(ledgers.meter.calls)
        batches = pull(ledger, cursor)
        calls = ledgers.meter.since(mark)
        assert len(calls) == 3
        assert calls[:2] == ["GET Invoices", "GET Payments"]
        seen_in_turn.add(calls[2])
        assert not [r for b in batches for r in (*b.customers, *b.invoices, *b.payments, *b.credits)]
        cursor = batches[-1].cursor
        ledgers.world.clock.advance(seconds=600)
    assert seen_in_turn == {"GET CreditNotes", "GET Overpayments", "GET Prepayments", "GET Contacts"}


def test_a_payment_and_its_invoice_come_with_one_sweep_of_three_calls(ledgers: Xero):
    invoice = bill(ledgers, "Kea Couriers", 100_000, number="INV-1")
    ledger = ledgers.open()
    cursor = pull(ledger)[-1].cursor
    ledgers.world.clock.advance(seconds=600)
    acts.pay(ledgers.books, invoice=invoice, amount=15_000)
    mark = len(ledgers.meter.calls)

    batches = pull(ledger, cursor)

    assert len(ledgers.meter.since(mark)) == 3
    assert [(i.id, i.balance) for b in batches for i in b.invoices] == [(invoice, 100_000)]
    assert [(p.amount, p.allocations[0].invoice_id) for b in batches for p in b.payments] == [
        (15_000, invoice)
    ]


def test_a_webhook_for_an_invoice_reads_invoices_and_payments_only(ledgers: Xero):
    bill(ledgers, "Kea Couriers", 100_000)
    ledger = ledgers.open()
    cursor = pull(ledger)[-1].cursor
    for kind, calls in (
        (Kind.INVOICE, ["GET Invoices", "GET Payments"]),
        (Kind.CUSTOMER, ["GET Contacts"]),
        (Kind.CREDIT, ["GET Invoices", "GET CreditNotes"]),
        (Kind.PAYMENT, ["GET Invoices", "GET Payments", "GET Overpayments", "GET Prepayments"]),
    ):
        ledgers.world.clock.advance(seconds=600)
        mark = len(ledgers.meter.calls)
        cursor = pull(ledger, cursor, frozenset({kind}))[-1].cursor
        assert ledgers.meter.since(mark) == calls


def test_a_credit_on_a_changed_invoice_is_read_in_the_same_sweep(ledgers: Xero):
    invoice = bill(ledgers, "Kea Couriers", 100_000)
    ledger = ledgers.open()
    cursor = pull(ledger)[-1].cursor
    ledgers.world.clock.advance(seconds=600)
    acts.credit(ledgers.books, invoice=invoice, amount=5_000)
    mark = len(ledgers.meter.calls)

    batches = pull(ledger, cursor)

    assert ledgers.meter.since(mark) == ["GET Invoices", "GET Payments", "GET CreditNotes"]
    assert [c.total for b in batches for c in b.credits] == [5_000]


def test_deleted_payments_leave_and_voided_invoices_stay_as_void(ledgers: Xero):
    paid = bill(ledgers, "Kea Couriers", 100_000)
    void = bill(ledgers, "Tui School", 20_000)
    (payment,) = acts.pay(ledgers.books, invoice=paid)
    ledger = ledgers.open()
    cursor = pull(ledger)[-1].cursor
    ledgers.world.clock.advance(seconds=600)
    ledgers.books.delete(Ref("payment", payment.id))
    acts.void(ledgers.books, Ref("invoice", void))

    batches = pull(ledger, cursor)

    assert (Kind.PAYMENT, payment.id) in [r for b in batches for r in b.removed]
    found = {i.id: i for b in batches for i in b.invoices}
    assert (found[paid].status, found[paid].balance) == (Status.OPEN, 115_000)
    assert (found[void].status, found[void].balance) == (Status.VOID, 0)


def test_a_deleted_payment_that_no_list_shows_frees_its_invoice_at_once_and_leaves_with_a_full_pull(
    ledgers: Xero,
):
    ledgers.world.set_switch("xero.deleted_payments_listed", False)
    paid = bill(ledgers, "Kea Couriers", 100_000)
    (payment,) = acts.pay(ledgers.books, invoice=paid)
    ledger = ledgers.open()
    cursor = pull(ledger)[-1].cursor
    ledgers.world.clock.advance(seconds=600)
    ledgers.books.delete(Ref("payment", payment.id))

    batches = pull(ledger, cursor)

    assert [(i.id, i.balance) for b in batches for i in b.invoices] == [(paid, 115_000)]
    assert not [r for b in batches for r in b.removed]
    whole = pull(ledger)
    assert not [p for b in whole for p in b.payments]
    assert whole[-1].complete == frozenset(Kind)


def test_a_payment_whose_invoice_xero_did_not_list_brings_the_invoice_all_the_same(ledgers: Xero):
    invoice = bill(ledgers, "Kea Couriers", 100_000)
    ledgers.books.organization.rules.link_touches_documents = False
    ledgers.world.clock.advance(seconds=600)
    ledger = ledgers.open()
    cursor = pull(ledger)[-1].cursor
    ledgers.world.clock.advance(seconds=600)
    acts.pay(ledgers.books, invoice=invoice, amount=15_000)
    mark = len(ledgers.meter.calls)

    batches = pull(ledger, cursor)

    assert ledgers.meter.since(mark) == ["GET Invoices", "GET Payments", "GET Invoices"]
    assert [(i.id, i.balance) for b in batches for i in b.invoices] == [(invoice, 100_000)]


def test_a_thorough_sweep_finds_a_due_date_that_xeros_time_of_change_hides(ledgers: Xero):
    invoice = bill(ledgers, "Kea Couriers", 100_000)
    acts.pay(ledgers.books, invoice=invoice, amount=15_000)
    ledgers.world.clock.advance(days=2)
    ledger = ledgers.open()
    cursor = pull(ledger)[-1].cursor
    ledgers.world.clock.advance(days=2)
    with ledgers.books.quietly():
        ledgers.books.edit(Ref("invoice", invoice), bump=False, due=date(2026, 12, 24))
    usual = pull(ledger, cursor)
    assert not [i for b in usual for i in b.invoices]

    thorough = pull(ledger, usual[-1].cursor, frozenset(Kind))

    assert [(i.id, i.due) for b in thorough for i in b.invoices] == [(invoice, date(2026, 12, 24))]


def test_a_thorough_sweep_finds_it_on_an_invoice_paid_in_full_that_was_due_of_late(ledgers: Xero):
    paid = {day: bill(ledgers, "Kea Couriers", 100_000) for day in ("2026-10-20", "2026-10-19")}
    for day, invoice in paid.items():
        ledgers.books.edit(Ref("invoice", invoice), date=date(2026, 9, 20), due=date.fromisoformat(day))
        acts.pay(ledgers.books, invoice=invoice, amount=115_000)
    ledgers.world.clock.advance(days=2)
    ledger = ledgers.open()
    cursor = pull(ledger)[-1].cursor
    ledgers.world.clock.advance(days=1)

    thorough = pull(ledger, cursor, frozenset(Kind))

    found = [(i.id, i.status, i.due) for b in thorough for i in b.invoices]
    assert found == [(paid["2026-10-20"], Status.PAID, date(2026, 10, 20))]  # 35 days before 24 November


def many_invoices(ledgers: Xero, count: int) -> None:
    sales = ledgers.books.account_by_role("sales").id
    customer = ledgers.customer("Kea Couriers")
    with ledgers.books.quietly():
        for n in range(count):
            line = Line(net=10_000 + n, account=sales, tax_code="NONE")
            ledgers.books.add_invoice(
                Invoice(customer=customer, date=date(2026, 9, 20), number=f"B-{n:05d}", lines=[line])
            )


def test_a_long_list_is_read_in_the_fewest_pages_and_nothing_slips_between_them(ledgers: Xero):
    many_invoices(ledgers, 2_300)
    ledger = ledgers.open()
    everything = {i.id for i in ledgers.books.invoices}
    seen: list[str] = []
    edited = iter(sorted(everything))
    for batch in ledger.pull(None):
        seen += [i.id for i in batch.invoices]
        if batch.what == "invoices":  # someone edits while we read: in Xero's own order rows would move
            for _ in range(5):
                ledgers.books.edit(Ref("invoice", next(edited)), reference="touched")
    assert set(seen) == everything
    assert len(seen) == len(everything)
    calls = [call.operation for call in ledgers.meter.calls]
    assert calls.count("GET Invoices") == 3
    assert (
        len(calls) == 1 + 1 + 3 + 1 + 1 + 1 + 1
    )  # organization, contacts, invoices, and one page for each other


def test_a_pull_that_stopped_goes_on_at_its_page(ledgers: Xero):
    many_invoices(ledgers, 2_300)
    ledger = ledgers.open()
    first: list[Batch] = []
    for batch in ledger.pull(None):
        first.append(batch)
        if len([b for b in first if b.what == "invoices"]) == 2:
            break
    mark = len(ledgers.meter.calls)

    rest = pull(ledgers.open(gate=ledgers.meter), first[-1].cursor)

    assert ledgers.meter.since(mark)[:2] == ["GET Invoices", "GET Payments"]
    numbers = {i.number for b in [*first, *rest] for i in b.invoices}
    assert len(numbers) == 2_300
    assert rest[-1].complete == frozenset(Kind)
    assert "since" in rest[-1].cursor


def test_a_list_that_always_says_it_shrank_is_read_three_times_and_no_more(
    ledgers: Xero, monkeypatch: pytest.MonkeyPatch
):
    asked, told = iter(range(1000, 0, -1)), pulling.paging
    monkeypatch.setattr(pulling, "PAGE_SIZE", 2)
    monkeypatch.setattr(pulling, "paging", lambda found: (told(found)[0], next(asked)))
    batches = pull(ledgers.open())
    assert batches[-1].complete == frozenset(Kind)
    names = [c.name for b in batches for c in b.customers]
    assert {name: names.count(name) for name in names} == dict.fromkeys(names, 3)


def test_progress_tells_how_far_a_list_is(ledgers: Xero):
    many_invoices(ledgers, 1_200)
    told = [(b.done, b.expected) for b in pull(ledgers.open()) if b.what == "invoices"]
    assert told == [(1000, 1200), (1200, 1200)]


ODD_PAGE = """{
  "Id": "1", "Status": "OK", "DateTimeUTC": "/Date(1795200000000)/",
  "pagination": {"page": 1, "pageSize": 1000, "pageCount": 1, "itemCount": 3},
  "Invoices": [
    {"Type": "ACCREC", "InvoiceID": "good", "InvoiceNumber": "INV-1", "Status": "AUTHORISED",
     "Contact": {"ContactID": "c"}, "Date": "/Date(1795132800000+0000)/", "DueDate": "/Date(1795132800000+0000)/",
     "CurrencyCode": "NZD", "Total": 10.00, "AmountDue": 10.00, "NewField": {"deep": [1, null]},
     "LineAmountTypes": "SOMETHING_NEW", "SentToContact": null, "BrandingThemeID": 7},
    {"Type": "ACCREC", "InvoiceID": "odd", "Status": "FROZEN", "Contact": {"ContactID": "c"}, "CurrencyCode": "NZD",
     "Total": 10.00, "AmountDue": 10.00, "Date": "/Date(1795132800000+0000)/"},
    "not a record"
  ]
}"""


def test_a_row_that_cannot_be_read_is_set_aside_and_the_rest_goes_on(ledgers: Xero):
    ledger = ledgers.open()
    ledgers.world.faults.add(
        Fault(action="body", body=ODD_PAGE, content_type="application/json", path="/Invoices", times=1)
    )

    batches = pull(ledger)

    assert [i.id for b in batches for i in b.invoices] == ["good"]
    odd, none = [u for b in batches for u in b.unreadable]
    assert (odd.kind, odd.id, odd.reason) == (Kind.INVOICE, "odd", "Invoices: Status 'FROZEN' is not known")
    assert '"FROZEN"' in odd.raw
    assert (none.id, none.raw) == ("", '"not a record"')
    assert batches[-1].complete == frozenset(Kind)


@pytest.mark.parametrize("body", ["<html>Please log in</html>", "", "[]", '{"Invoices": 7}'])
def test_an_answer_that_is_not_xeros_is_waited_out(ledgers: Xero, body: str):
    ledger = ledgers.open()
    ledgers.world.faults.add(Fault(action="body", body=body, path="/Invoices"))
    with pytest.raises(TryLater):
        pull(ledger)


def test_foreign_money_keeps_its_currency(ledgers: Xero):
    invoice = bill(ledgers, "Sydney Fit-outs", 100_000)
    ledgers.books.edit(Ref("invoice", invoice), rate=Decimal("1.10"))
    acts.pay(ledgers.books, invoice=invoice, amount=15_000)

    batches = pull(ledgers.open())

    (found,) = [i for b in batches for i in b.invoices]
    (payment,) = [p for b in batches for p in b.payments]
    assert (found.currency, payment.currency, payment.amount) == ("AUD", "AUD", 15_000)


def test_one_document_in_full(ledgers: Xero):
    invoice = bill(ledgers, "Kea Couriers", 100_000, number="INV-1")
    (payment,) = acts.pay(ledgers.books, invoice=invoice, amount=15_000)
    credit = acts.credit(ledgers.books, invoice=invoice, amount=5_000)
    ledger = ledgers.open()

    found = ledger.document(Kind.INVOICE, invoice)
    assert (found.number, found.total, found.balance, found.tax) == ("INV-1", 115_000, 95_000, 15_000)
    assert [(line.net, line.tax, line.account_id) for line in found.lines] == [(100_000, 15_000, "200")]
    assert {(link.kind, link.id, link.amount) for link in found.links} == {
        ("payment", payment.id, 15_000),
        ("credit", credit.id, 5_000),
    }
    note = ledger.document(Kind.CREDIT, credit.id)
    assert [(link.id, link.amount) for link in note.links] == [(invoice, 5_000)]
    assert note.links[0].link_id
    money = ledger.document(Kind.PAYMENT, payment.id)
    assert (money.total, money.balance, money.links[0].id) == (15_000, 0, invoice)


def test_an_account_without_a_code_is_called_by_its_name(ledgers: Xero):
    sales = ledgers.open().document(Kind.INVOICE, bill(ledgers, "Kea Couriers", 100_000)).lines[0]
    (account,) = [a for a in ledgers.books.accounts if a.code == sales.account_id]
    ledgers.books.edit(Ref("account", account.id), code="")
    ids = [bill(ledgers, "Kea Couriers", 100_000) for _ in range(2)]
    ledger, mark = ledgers.open(), len(ledgers.meter.calls)

    lines = [line for id in ids for line in ledger.document(Kind.INVOICE, id).lines]

    assert [(line.account_id, line.account_name) for line in lines] == [(account.id, account.name)] * 2
    assert ledgers.meter.since(mark) == ["GET Invoices", "GET Accounts", "GET Invoices"]


def test_an_overpayment_is_found_by_its_id_too(ledgers: Xero):
    (advance,) = acts.pay(ledgers.books, customer=ledgers.customer("Tui School"), amount=5_000)
    found = ledgers.open().document(Kind.PAYMENT, advance.id)
    assert (found.total, found.balance) == (5_000, 5_000)


def test_what_is_not_there_is_none(ledgers: Xero):
    ledger = ledgers.open()
    nobody = "11111111-2222-4333-8444-555555555555"
    for kind in (Kind.INVOICE, Kind.CREDIT, Kind.PAYMENT):
        assert ledger.document(kind, nobody) is None
    assert ledger.customer(nobody) is None
    assert ledger.find(Kind.INVOICE, ["INV-404"]) == []
    assert ledger.find(Kind.CREDIT, ["CN-404"]) == []
    assert ledger.find(Kind.INVOICE, []) == []


def test_documents_are_found_by_number_and_dead_ones_are_not(ledgers: Xero):
    alive = bill(ledgers, "Kea Couriers", 100_000, number="INV-1-P1.1")
    dead = bill(ledgers, "Kea Couriers", 100_000, number="INV-1-P1.2")
    acts.void(ledgers.books, Ref("invoice", dead))
    ledger = ledgers.open()
    found = ledger.find(Kind.INVOICE, ["INV-1-P1.1", "INV-1-P1.2", "INV-1-P1.3"])
    assert [(d.id, d.number, len(d.lines)) for d in found] == [(alive, "INV-1-P1.1", 1)]
    odd = bill(ledgers, "Kea Couriers", 100_000, number='A,1 "x"')
    assert [d.id for d in ledger.find(Kind.INVOICE, ['A,1 "x"', "A", "1"])] == [odd]
    credit = acts.credit(ledgers.books, invoice=alive, amount=5_000)
    assert [d.id for d in ledger.find(Kind.CREDIT, [credit.number, 'quote " and \\'])] == [credit.id]


def test_everything_open_of_one_customer(ledgers: Xero):
    kea, tui = ledgers.customer("Kea Couriers"), ledgers.customer("Tui School")
    first = bill(ledgers, "Kea Couriers", 100_000)
    paid = bill(ledgers, "Kea Couriers", 20_000)
    acts.pay(ledgers.books, invoice=paid)
    bill(ledgers, "Tui School", 70_000)
    acts.pay(ledgers.books, customer=tui, amount=100_000)
    credit = acts.credit(ledgers.books, invoice=first, amount=5_000)
    (allocation,) = ledgers.books.allocations_from(Ref("credit_note", credit.id))
    ledgers.books.deallocate(allocation.id)
    ledger = ledgers.open()

    invoices, payments, credits = ledger.customer_money(kea)

    assert [(i.id, i.balance) for i in invoices] == [(first, 115_000)]
    assert payments == []
    assert [(c.id, c.remaining) for c in credits] == [(credit.id, 5_000)]
    _, payments, _ = ledger.customer_money(tui)
    assert [(p.flavor, p.unapplied) for p in payments] == [("overpayment", 19_500)]


def test_xeros_own_balances_by_customer_and_currency(ledgers: Xero):
    kea, tui, sydney = (ledgers.customer(n) for n in ("Kea Couriers", "Tui School", "Sydney Fit-outs"))
    first = bill(ledgers, "Kea Couriers", 100_000)
    acts.pay(ledgers.books, invoice=first, amount=15_000)
    acts.pay(ledgers.books, customer=tui, amount=5_000)
    bill(ledgers, "Sydney Fit-outs", 30_000)

    found = ledgers.open().balances()

    assert found[kea] == {"NZD": 100_000}
    assert found[tui] == {"NZD": -5_000}
    assert found[sydney] == {"AUD": ledgers.books.invoices.get(last_invoice(ledgers)).balance}


def test_the_proof_reads_open_invoices_once_and_goes_on_past_one_that_cannot_be_read(ledgers: Xero):
    kea = ledgers.customer("Kea Couriers")
    for _ in range(2):
        bill(ledgers, "Kea Couriers", 100_000)
    ledger = ledgers.open()
    mark = len(ledgers.meter.calls)
    assert (ledger.balances()[kea], ledger.open_invoices()[kea]) == ({"NZD": 230_000}, {"NZD": 2})
    assert ledgers.meter.since(mark).count("GET Invoices") == 1
    assert ledger.open_invoices()[kea] == {"NZD": 2}
    assert ledgers.meter.since(mark).count("GET Invoices") == 2  # a later question is asked anew

    ledgers.world.faults.add(
        Fault(action="body", body=ODD_PAGE, content_type="application/json", path="/Invoices", times=1)
    )
    assert ledger.balances()[kea] == {"NZD": 230_000}
    assert ledger.open_invoices() == {"c": {"NZD": 1}}


def test_an_open_invoice_that_slips_to_the_next_page_is_counted_once(
    ledgers: Xero, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pulling, "PAGE_SIZE", 1)
    aud = [bill(ledgers, "Sydney Fit-outs", 10_000) for _ in range(2)]
    ledger = ledgers.open()
    read = pulling.every_row  # someone edits what was read, so that Xero's own order would bring it again

    def all_rows(transport: Transport, name: str, method: str, **query: object):
        for row in read(transport, name, method, **query):
            yield row
            if name == "Invoices":
                ledgers.books.edit(Ref("invoice", aud[0]), reference="touched")
                yield row

    monkeypatch.setattr("adapters.xero.owed.every_row", all_rows)
    sydney = ledgers.customer("Sydney Fit-outs")
    counted = ledger.balances()[sydney], ledger.open_invoices()[sydney]
    owed = sum(i.balance for i in ledgers.books.invoices)
    assert counted == ({"AUD": owed}, {"AUD": 2})
    assert ledger.open_invoices()[sydney] == {"AUD": 2}


def last_invoice(ledgers: Xero) -> str:
    return list(ledgers.books.invoices)[-1].id


def test_a_customer_and_where_it_went(ledgers: Xero):
    kea, tui = ledgers.customer("Kea Couriers"), ledgers.customer("Tui School")
    bill(ledgers, "Kea Couriers", 100_000)
    ledger = ledgers.open()
    found = ledger.customer(kea)
    assert (found.name, found.email, found.ledger_balance) == (
        "Kea Couriers",
        "kea.couriers@example.com",
        {"NZD": 115_000},
    )
    ledgers.books.merge_customers(kea, tui)
    merged = ledger.customer(kea)
    assert (merged.active, merged.merged_into) == (False, tui)
    customers = {c.id: c for b in pull(ledger) for c in b.customers}
    assert customers[kea].merged_into == tui


def test_accounts_and_links_into_xero(ledgers: Xero):
    ledger = ledgers.open()
    usable = {a.type for a in ledger.accounts() if a.usable_for_clearing}
    assert usable <= {"CURRENT", "CURRLIAB"}
    assert any(a.why_not for a in ledger.accounts())
    plain = ledger.deep_link(Kind.INVOICE, "abc")
    assert plain.endswith("/AccountsReceivable/View.aspx?InvoiceID=abc")
    ledger.organization()
    assert "shortcode=" in ledger.deep_link(Kind.INVOICE, "abc")
