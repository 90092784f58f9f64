"""The mirror: stored in bulk, read back exactly, and who changed is known exactly."""

import datetime as dt
from dataclasses import FrozenInstanceError, replace

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from connector import db
from connector.contact import credit_limits
from connector.domain.receivables import (
    Allocation,
    CreditNote,
    Customer,
    Document,
    Invoice,
    Kind,
    Payment,
    Status,
)
from connector.mirroring import books, mirror
from connector.mirroring.book_rows import PART, maker
from connector.platforms import Batch

NOON = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)
ADA = Customer(
    id="58",
    name="Ada & Söhne – 木村",
    email="ada@example.org",
    phone="+1 555 0100",
    currency="USD",
    country="US",
    language="en",
    active=False,
    parent_id="7",
    is_person=True,
    terms_days=30,
    credit_limit=500_000,
    ledger_balance={"USD": 85_000, "EUR": -1},
    updated_at=NOON,
)
INVOICE = Invoice(
    id="147",
    number="1001",
    customer_id="58",
    date=dt.date(2026, 8, 1),
    due=dt.date(2026, 8, 31),
    currency="USD",
    total=120_000,
    balance=85_000,
    status=Status.PARTLY_PAID,
    tax=9_000,
    rate="1.2345678901",
    marker="plan=PP-0001",
    reference="PO 9",
    note="line one\nline two",
    expected_payment=dt.date(2026, 12, 1),
    emailed=True,
    pay_link="https://pay.example/1",
    version="3",
    updated_at=NOON.replace(microsecond=123456),
)
PAYMENT = Payment(
    id="201",
    customer_id="58",
    date=dt.date(2026, 9, 15),
    currency="USD",
    amount=40_000,
    unapplied=5_000,
    allocations=(Allocation("147", 35_000, dt.date(2026, 9, 15), "x1"), Allocation("148", 0)),
    flavor="overpayment",
    reference="wire",
    version="1",
    updated_at=NOON,
)
CREDIT = CreditNote(
    id="301",
    number="CN-1",
    customer_id="58",
    date=dt.date(2026, 9, 20),
    currency="USD",
    total=1_000,
    remaining=400,
    allocations=(Allocation("147", 600, None, "link-9"),),
    marker="m",
    version="2",
)
ALL = Batch(customers=(ADA,), invoices=(INVOICE,), payments=(PAYMENT,), credits=(CREDIT,))


def put(store: Engine, connection_id: str, batch: Batch, seen: int = 1) -> set[str]:
    with db.transaction(store) as tx:
        return mirror.store(tx, connection_id, batch, seen)


def test_every_field_comes_back_as_the_ledger_stated_it(store: Engine, connected: str) -> None:
    assert put(store, connected, ALL) == {"58"}
    with db.reading(store) as tx:
        assert books.of_customer(tx, connected, "58") == books.Receivables(
            ADA, (INVOICE,), (PAYMENT,), (CREDIT,)
        )
        assert books.customer(tx, connected, "58") == ADA
        assert books.invoice(tx, connected, "147") == INVOICE
        assert books.payments(tx, connected, "58") == [PAYMENT]
        assert books.credits(tx, connected) == [CREDIT]
        assert books.counts(tx, connected) == dict.fromkeys(Kind, 1)


def test_what_has_nothing_to_say_comes_back_empty(store: Engine, connected: str) -> None:
    bare = Customer(id="1", name="")
    put(store, connected, Batch(customers=(bare,)))
    with db.reading(store) as tx:
        assert books.customers(tx, connected) == [bare]
        assert books.of_customer(tx, connected, "2") is None
        assert books.invoice(tx, connected, "2") is None


def test_the_same_page_again_changes_nobody(store: Engine, connected: str) -> None:
    put(store, connected, ALL)
    assert put(store, connected, ALL) == set()
    assert put(store, connected, ALL, seen=2) == set()


@pytest.mark.parametrize(
    "batch",
    [
        Batch(customers=(replace(ADA, email="new@example.org"),)),
        Batch(customers=(replace(ADA, ledger_balance=None),)),
        Batch(invoices=(replace(INVOICE, balance=0, status=Status.PAID),)),
        Batch(invoices=(replace(INVOICE, updated_at=NOON),)),
        Batch(payments=(replace(PAYMENT, void=True),)),
        Batch(payments=(replace(PAYMENT, allocations=PAYMENT.allocations[:1]),)),
        Batch(credits=(replace(CREDIT, allocations=()),)),
        Batch(removed=((Kind.PAYMENT, "201"),)),
    ],
)
def test_whoever_a_change_concerns_is_named(batch: Batch, store: Engine, connected: str) -> None:
    put(store, connected, ALL)
    assert put(store, connected, batch) == {"58"}
    with db.reading(store) as tx:
        now = books.of_customer(tx, connected, "58")
    assert now is not None
    for record in (*batch.customers, *batch.invoices, *batch.payments, *batch.credits):
        assert record in (now.customer, *now.invoices, *now.payments, *now.credits)


def test_an_invoice_that_moves_concerns_both_customers(store: Engine, connected: str) -> None:
    put(store, connected, ALL)
    assert put(store, connected, Batch(invoices=(replace(INVOICE, customer_id="59"),))) == {"58", "59"}


def test_a_record_repeated_on_one_page_counts_with_its_last_word(store: Engine, connected: str) -> None:
    put(store, connected, Batch(invoices=(INVOICE, replace(INVOICE, balance=1))))
    with db.reading(store) as tx:
        assert [i.balance for i in books.invoices(tx, connected)] == [1]


@pytest.mark.parametrize(
    ("batch", "lost"),
    [
        (Batch(payments=(PAYMENT,)), set()),
        (Batch(payments=(replace(PAYMENT, allocations=(Allocation("147", 36_000),)),)), set()),
        (Batch(payments=(replace(PAYMENT, allocations=(Allocation("147", 34_999),)),)), {"147"}),
        (Batch(payments=(replace(PAYMENT, allocations=(Allocation("150", 35_000),)),)), {"147"}),
        (Batch(credits=(replace(CREDIT, allocations=()),)), {"147"}),
        (Batch(removed=((Kind.PAYMENT, "201"),)), {"147"}),
    ],
)
def test_invoices_that_lost_money_are_known(
    batch: Batch, lost: set[str], store: Engine, connected: str
) -> None:
    put(store, connected, ALL)
    unsettled: set[str] = set()
    with db.transaction(store) as tx:
        mirror.store(tx, connected, batch, 1, unsettled=unsettled)
    assert unsettled == lost


def test_removing_takes_the_allocations_and_the_parts_of_a_split_entry(store: Engine, connected: str) -> None:
    parts = [replace(PAYMENT, id=id) for id in ("JournalEntry:12", "JournalEntry:12/2", "JournalEntry:123")]
    put(store, connected, Batch(payments=tuple(parts)))
    put(store, connected, Batch(removed=((Kind.PAYMENT, "JournalEntry:12"),)))
    with db.reading(store) as tx:
        assert [p.id for p in books.payments(tx, connected)] == ["JournalEntry:123"]
        left = tx.scalars(sa.select(db.allocations.c.source_id).distinct()).all()
    assert left == ["JournalEntry:123"]


def test_a_record_removed_and_present_on_one_page_is_present(store: Engine, connected: str) -> None:
    put(store, connected, ALL)
    put(store, connected, Batch(payments=(PAYMENT,), removed=((Kind.PAYMENT, "201"),)))
    with db.reading(store) as tx:
        assert books.payments(tx, connected) == [PAYMENT]


def test_a_complete_pull_drops_what_it_did_not_bring(store: Engine, connected: str) -> None:
    put(store, connected, ALL, seen=1)
    put(store, connected, Batch(invoices=(replace(INVOICE, id="148", customer_id="60"),)), seen=1)
    put(store, connected, Batch(customers=(ADA,), invoices=(INVOICE,)), seen=2)
    with db.transaction(store) as tx:
        assert mirror.remove_unseen(tx, connected, {Kind.CUSTOMER, Kind.INVOICE}, 2) == {"60"}
        assert [i.id for i in books.invoices(tx, connected)] == ["147"]
        assert books.payments(tx, connected) == [PAYMENT]


def test_organizations_never_see_each_others_books(store: Engine, connected: str) -> None:
    with db.transaction(store) as tx:
        tx.execute(
            sa.insert(db.connections).values(id="other", platform="json", external_id="2", created_at=NOON)
        )
    put(store, connected, ALL)
    put(store, "other", Batch(customers=(replace(ADA, name="Elsewhere"),)))
    with db.transaction(store) as tx:
        assert [c.name for c in books.customers(tx, "other")] == ["Elsewhere"]
        assert books.invoices(tx, "other") == []
        assert books.payments(tx, "other") == []
        assert books.of_customer(tx, connected, "58") is not None


def test_a_merged_customers_history_follows_the_survivor(store: Engine, connected: str) -> None:
    old = Customer(id="57", name="Ada old", merged_into="56", active=False)
    older = Customer(id="56", name="Ada older", merged_into="58", active=False)
    theirs = replace(INVOICE, id="90", customer_id="57", date=dt.date(2025, 1, 1), balance=500)
    put(store, connected, ALL)
    assert put(store, connected, Batch(customers=(old, older), invoices=(theirs,))) >= {"58"}
    with db.reading(store) as tx:
        [whole] = books.each_customer(tx, connected)
        assert whole.customer == ADA
        assert [i.id for i in whole.invoices] == ["90", "147"]
        assert books.of_customer(tx, connected, "57") == whole
        assert books.open_balances(tx, connected) == {"58": {"USD": 85_000 + 500 - 5_000 - 400}}


def test_customers_merged_in_a_ring_stay_themselves(store: Engine, connected: str) -> None:
    one, two = Customer(id="1", name="A", merged_into="2"), Customer(id="2", name="B", merged_into="1")
    put(store, connected, Batch(customers=(one, two)))
    with db.reading(store) as tx:
        assert [r.customer.id for r in books.each_customer(tx, connected)] == ["1", "2"]


def test_open_balances_count_money_not_yet_set_against_anything(store: Engine, connected: str) -> None:
    void = replace(PAYMENT, id="202", void=True, unapplied=99_999)
    draft = replace(INVOICE, id="149", status=Status.DRAFT, balance=77_777)
    euros = replace(INVOICE, id="150", currency="EUR", balance=300)
    refund = replace(PAYMENT, id="203", amount=-200, unapplied=-200, flavor="journal", allocations=())
    paid_up = replace(INVOICE, id="151", customer_id="61", balance=0, status=Status.PAID)
    put(store, connected, ALL)
    put(store, connected, Batch(invoices=(draft, euros, paid_up), payments=(void, refund)))
    with db.reading(store) as tx:
        owed = books.open_balances(tx, connected)
    assert owed == {"58": {"USD": 85_000 - 5_000 - 400 + 200, "EUR": 300}}


def test_open_invoices_come_by_due_date(store: Engine, connected: str) -> None:
    later = replace(INVOICE, id="1", due=dt.date(2026, 12, 1))
    paid = replace(INVOICE, id="2", balance=0, status=Status.PAID)
    put(store, connected, Batch(invoices=(later, INVOICE, paid)))
    with db.reading(store) as tx:
        assert [i.id for i in books.invoices(tx, connected, "58", open_only=True)] == ["147", "1"]
        assert [i.id for i in books.invoices(tx, connected, ids={"1", "2"})] == ["2", "1"]


def test_settlements_are_dated_by_the_allocation_or_by_its_payment(store: Engine, connected: str) -> None:
    put(store, connected, ALL)
    put(store, connected, Batch(payments=(replace(PAYMENT, id="202", void=True),)))
    with db.reading(store) as tx:
        assert books.settlements(tx, connected) == [
            ("147", dt.date(2026, 9, 15), 35_000),
            ("148", dt.date(2026, 9, 15), 0),
            ("147", dt.date(2026, 9, 20), 600),
        ]


def test_more_customers_than_one_part_all_come_once(store: Engine, connected: str) -> None:
    many = tuple(Customer(id=f"c{n}", name=f"N{n}") for n in range(PART * 2 + 3))
    owed = tuple(replace(INVOICE, id=f"i{n}", customer_id=f"c{n}") for n in range(len(many)))
    put(store, connected, Batch(customers=many, invoices=owed))
    assert put(store, connected, Batch(customers=many, invoices=owed), seen=2) == set()
    with db.reading(store) as tx:
        seen = {r.customer.id: [i.id for i in r.invoices] for r in books.each_customer(tx, connected)}
    assert seen == {f"c{n}": [f"i{n}"] for n in range(len(many))}


def test_a_document_just_written_is_in_the_mirror_at_once(store: Engine, connected: str) -> None:
    put(store, connected, ALL)
    written = Document(
        Kind.INVOICE,
        "500",
        "1001-P1",
        "58",
        dt.date(2026, 11, 21),
        dt.date(2026, 12, 21),
        "USD",
        28_333,
        28_333,
        0,
        Status.OPEN,
        marker="plan=PP-0001 n=1",
        version="0",
    )
    settled = replace(
        written, id="147", number="1001", balance=0, total=120_000, status=Status.PAID, version="4"
    )
    note = replace(written, kind=Kind.CREDIT, id="301", number="CN-1", total=1_000, balance=0)
    with db.transaction(store) as tx:
        assert mirror.put_document(tx, connected, written) == {"58"}
        mirror.put_document(tx, connected, settled)
        mirror.put_document(tx, connected, note)
        assert mirror.put_document(tx, connected, replace(written, kind=Kind.PAYMENT)) == set()
        made, old = books.invoice(tx, connected, "500"), books.invoice(tx, connected, "147")
        [credit] = books.credits(tx, connected)
    assert made is not None
    assert old is not None
    assert (made.due, made.total, made.marker) == (dt.date(2026, 12, 21), 28_333, "plan=PP-0001 n=1")
    assert (old.balance, old.status, old.version, old.reference) == (0, Status.PAID, "4", "PO 9")
    assert (credit.remaining, credit.allocations) == (0, CREDIT.allocations)


def test_a_customer_that_changes_during_a_review_is_reviewed_again(store: Engine, connected: str) -> None:
    with db.transaction(store) as tx:
        books.note_changed(tx, connected, {"58", "59"}, NOON)
        seen = books.changed(tx, connected)
        books.note_changed(tx, connected, {"58"}, NOON + dt.timedelta(seconds=1))
        books.reviewed(tx, connected, seen)
        assert set(books.changed(tx, connected)) == {"58"}


def test_who_judges_gets_the_same_books_without_words_and_versions(store, connected):
    paid = replace(INVOICE, id="148", number="1002", balance=0, status=Status.PAID)
    money = Payment(
        id="9", customer_id="58", date=dt.date(2026, 9, 1), currency="USD", amount=155_000, unapplied=0,
        allocations=(Allocation("148", 120_000, None, "b"), Allocation("147", 35_000, None, "a")),
        reference="check 7", version="2", updated_at=NOON,
    )  # fmt: skip
    with db.transaction(store) as tx:
        mirror.store(tx, connected, Batch(customers=(ADA,), invoices=(INVOICE, paid), payments=(money,)), 1)
        [brief] = books.each_customer(tx, connected, ["58"], brief=True)
        [whole] = books.each_customer(tx, connected, ["58"])
    wordless = {"rate": None, "reference": "", "note": "", "expected_payment": None, "emailed": None}
    bare = replace(paid, **wordless, pay_link="", version="", updated_at=None)
    assert whole.invoices == (INVOICE, paid)
    assert whole.payments == (money,)
    assert brief.invoices == (INVOICE, bare)
    assert brief.payments == (replace(money, reference="", version="", updated_at=None),)


def test_many_customers_of_many_organizations_look_as_each_by_themselves(store, connected):
    other, bare, kin = "another", Customer(id="1", name=""), replace(ADA, id="59", parent_id="58")
    with db.transaction(store) as tx:
        tx.execute(
            sa.insert(db.connections).values(id=other, platform="json", external_id=other, created_at=NOON)
        )
        credit_limits.enter(tx, connected, "58", 7_700, "USD", who="J. Doe", now=NOON)
    put(store, connected, Batch((*ALL.customers, bare, kin), ALL.invoices, ALL.payments, ALL.credits))
    put(store, other, ALL)
    keys = [(id, who) for id in (connected, other) for who in ("58", "1", "59", "none")]
    with db.reading(store) as tx:
        found = books.pictures(tx, keys)
        alone = {
            (id, each.customer.id): each
            for id in (connected, other)
            for each in books.each_customer(tx, id, brief=True)
        }
    assert found == alone
    assert found[connected, "58"].customer.credit_limit == 7_700
    assert found[other, "58"].customer.credit_limit == 500_000


def test_the_parts_of_a_payment_come_in_the_ledgers_order_each_with_its_payment(store, connected):
    day = dt.date(2026, 9, 1)
    first, second = Allocation("147", 300, day, "a"), Allocation("147", 200, None, "b")
    split = Payment("1", "58", day, "USD", 500, 0, (first, second))
    spare = Payment("2", "58", day, "USD", 700, 700)
    put(store, connected, Batch((ADA,), (INVOICE,), (split, spare)))
    n = db.allocations.c.n
    with db.transaction(store) as tx:
        for was, now in ((0, 5), (1, 0)):  # as if the ledger's first had come later
            tx.execute(sa.update(db.allocations).where(n == was).values(n=now))
        [picture] = books.pictures(tx, [(connected, "58")]).values()
        assert picture.payments == (replace(split, allocations=(second, first)), spare)
        assert books.payments(tx, connected, "58") == list(picture.payments)


def test_a_record_made_in_bulk_is_the_record():
    make = maker(Customer, "id", "name")
    [made, _] = make(["58", "59"], ["Ada", "Bea"])
    assert made == Customer("58", "Ada")
    assert hash(made) == hash(Customer("58", "Ada"))
    with pytest.raises(FrozenInstanceError):
        made.name = "Bea"
