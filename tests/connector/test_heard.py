"""What was heard of a customer between two nights reaches the findings, and a new invoice its prediction.

On the books as either ledger hands them out: a payment's parts dated (QuickBooks) or by the payment (Xero).
"""

import datetime as dt

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from connector import db
from connector.connecting import connections
from connector.contact import contacts, holds
from connector.domain.receivables import Allocation, Customer, Invoice, Organization, Payment, Status
from connector.mirroring import mirror
from connector.platforms import Batch
from connector.reviewing import conclusions, review

pytestmark = pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
TODAY = dt.date(2026, 11, 20)
NOW = dt.datetime(2026, 11, 20, 9, tzinfo=dt.UTC)


def month(n: int) -> dt.date:
    return dt.date(2026, n, 3)


@pytest.fixture(params=["quickbooks", "xero"])
def book(request: pytest.FixtureRequest, store: Engine) -> tuple[Engine, str]:
    """Ada paid seven invoices a day early, and has one that is 70 days overdue."""
    dated = request.param == "quickbooks"
    facts = Organization("1", "Acme", "US", "USD", "UTC")
    invoices = [
        Invoice(f"{n}", f"10{n}", "ada", month(n), month(n) + dt.timedelta(29), "USD", 90_000, 0, Status.PAID)
        for n in range(1, 8)
    ]
    payments = [
        Payment(f"p{i.id}", "ada", day, "USD", 90_000, 0, (Allocation(i.id, 90_000, day if dated else None),))
        for i in invoices
        for day in [i.due - dt.timedelta(1)]
    ]
    due = TODAY - dt.timedelta(70)
    invoices.append(Invoice("8", "108", "ada", month(9), due, "USD", 90_000, 90_000, Status.OPEN))
    with db.transaction(store) as tx:
        row = {"id": "acme", "platform": request.param, "external_id": "1", "organization": "Acme"}
        more = {"status": "connected", "country": "US", "home_currency": "USD", "created_at": NOW}
        tx.execute(sa.insert(db.connections).values(**row, **more, facts=connections.dump_facts(facts)))
        people = (Customer("ada", "Ada", currency="USD"),)
        mirror.store(tx, "acme", Batch(people, tuple(invoices), tuple(payments)), 1)
    review.review(store, "acme", now=NOW, today=TODAY)
    return store, "acme"


def reviewed(book: tuple[Engine, str]) -> conclusions.Conclusion:
    """Ada after the review that a note or a webhook brings about."""
    engine, id = book
    review.review(engine, id, now=NOW, today=TODAY, customer_ids=["ada"])
    with db.reading(engine) as tx:
        [ada] = conclusions.of_connection(tx, id)
    return ada


def kinds(ada: conclusions.Conclusion) -> set[str]:
    return {f.kind for f in ada.findings}


def hear(book: tuple[Engine, str], what: str, *days: int) -> None:
    with db.transaction(book[0]) as tx:
        for ago in days:
            on, now = TODAY - dt.timedelta(ago), NOW - dt.timedelta(ago)
            contacts.hear(tx, book[1], "ada", what, on=on, who="Ann", now=now)


def test_a_reply_ends_the_silence(book: tuple[Engine, str]) -> None:
    assert "silent" in kinds(reviewed(book))
    hear(book, "replied", 2)
    assert "silent" not in kinds(reviewed(book))


def test_asking_twice_for_time_is_a_finding(book: tuple[Engine, str]) -> None:
    hear(book, "extension_asked", 20)
    assert "asks_for_time" not in kinds(reviewed(book))  # once is only polite
    hear(book, "extension_asked", 4)
    assert "asks_for_time" in kinds(reviewed(book))


def test_a_payment_that_came_back_is_a_finding_and_a_reason(book: tuple[Engine, str]) -> None:
    hear(book, "bounced", 3)
    ada = reviewed(book)
    assert "bounced" in kinds(ada)
    assert "1 payment came back from the bank." in ada.reasons


@pytest.mark.parametrize("invoice", ["8", None])
def test_a_dispute_of_an_invoice_or_of_everything_is_for_the_dispute_desk(
    book: tuple[Engine, str], invoice: str | None
) -> None:
    engine, id = book
    with db.transaction(engine) as tx:
        holds.put(tx, id, "ada", "disputed", who="Ann", now=NOW, invoice_id=invoice)
    ada = reviewed(book)
    assert "disputed" in kinds(ada)
    assert (ada.segment, ada.path) == ("disputing", "dispute_desk")


def test_a_new_invoice_has_its_prediction_before_the_night(book: tuple[Engine, str]) -> None:
    engine, id = book
    due = TODAY + dt.timedelta(29)
    new = Invoice("9", "109", "ada", TODAY, due, "USD", 90_000, 90_000, Status.OPEN)
    with db.transaction(engine) as tx:
        mirror.store(tx, id, Batch(invoices=(new,)), 2)
        before = conclusions.predicted(tx, id)
    reviewed(book)
    with db.reading(engine) as tx:
        found = conclusions.predicted(tx, id)
    assert found == before | {"9": found["9"]}
    assert found["9"].basis == "history"
    assert found["9"].earliest is not None
    assert TODAY < found["9"].earliest <= due


def test_of_a_large_book_the_customer_alone_is_read(
    book: tuple[Engine, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review, "SMALL", 5)
    engine, id = book
    new = Invoice("9", "109", "ada", TODAY, TODAY + dt.timedelta(29), "USD", 500, 500, Status.OPEN)
    young = Invoice("n", "1", "new", TODAY, TODAY + dt.timedelta(29), "USD", 500, 500, Status.OPEN)
    with db.transaction(engine) as tx:
        mirror.store(tx, id, Batch((Customer("new", "New"),), (new, young)), 2)
    review.review(engine, id, now=NOW, today=TODAY, customer_ids=["ada", "new"])
    with db.reading(engine) as tx:
        found = conclusions.predicted(tx, id)
    assert found["9"].basis == "history"
    assert found["n"].basis == "none"
    assert found["n"].late == pytest.approx(0.45, abs=0.1)  # the documented prior


def test_a_whole_review_concludes_what_a_single_one_does(book: tuple[Engine, str]) -> None:
    engine, id = book
    for heard in ((), (3,)):
        hear(book, "bounced", *heard)
        single = reviewed(book)
        review.review(engine, id, now=NOW, today=TODAY)
        with db.reading(engine) as tx:
            assert conclusions.of_connection(tx, id) == [single]
    assert "bounced" in kinds(single)
