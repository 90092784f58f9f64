"""STEP 1 against a tiny ledger: what is pulled, what is stored with it, and what an interruption leaves."""

import datetime as dt

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from connector import config, db, leases
from connector.connecting import connections
from connector.contact import contacts, holds
from connector.domain.receivables import Kind
from connector.mirroring import books, inbox, sync
from connector.mirroring.inbox import Change
from connector.platforms import OutOfDate, Reconnect, Refused, TryLater
from tests.connector.json_ledger import Ledgers

NOON = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)


def run(store: Engine, installation: config.Config, connection_id: str, *, full: bool = False) -> sync.Synced:
    done = sync.sync(store, installation, connection_id, full=full)
    assert done is not None
    return done


def connection(store: Engine, connection_id: str) -> connections.Connection:
    with db.reading(store) as tx:
        return connections.get(tx, connection_id)


@pytest.fixture
def books_of_three(ledgers: Ledgers) -> Ledgers:
    for id in ("1", "2", "3"):
        ledgers.customer(id)
        ledgers.invoice(f"i{id}", id, 10_000)
    ledgers.payment("p1", "1", 4_000, ("i1", 4_000))
    return ledgers


def test_the_first_sync_brings_everything_and_says_who_the_organization_is(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    done = run(store, installation, connected)
    assert done.full
    assert done.changed == {"1", "2", "3"}
    assert (done.records[Kind.CUSTOMER], done.records[Kind.INVOICE], done.records[Kind.PAYMENT]) == (3, 3, 1)
    now = connection(store, connected)
    assert (now.organization, now.timezone, now.home_currency) == ("Harbor Supply", "America/New_York", "USD")
    assert now.facts is not None
    assert now.facts.country == "US"
    assert now.cursor == {"at": 7}
    assert now.last_sync_at is not None
    assert now.last_full_at == now.last_sync_at
    assert now.progress is None


def test_the_next_sync_brings_what_changed_and_names_only_whom_it_concerns(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    run(store, installation, connected)
    books_of_three.invoice("i2", "2", 10_000, 2_500)
    books_of_three.remove("payment", "p1")
    done = run(store, installation, connected)
    assert not done.full
    assert done.changed == {"1", "2"}
    with db.reading(store) as tx:
        assert [i.balance for i in books.invoices(tx, connected, "2")] == [2_500]
        assert books.payments(tx, connected) == []
        assert set(books.changed(tx, connected)) == {"1", "2", "3"}
    assert run(store, installation, connected).changed == set()


def test_a_sync_notes_that_contact_details_changed(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    books_of_three.customer("1", email="pat@brook.example")
    run(store, installation, connected)
    books_of_three.customer("1", email="pat@elsewhere.example")
    run(store, installation, connected)
    run(store, installation, connected)
    with db.reading(store) as tx:
        [heard] = contacts.heard(tx, connected)
    assert (heard.customer_id, heard.what) == ("1", "details_changed")


def test_many_events_become_one_pull_of_the_kinds_they_name(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    run(store, installation, connected)
    with db.transaction(store) as tx:
        events = [Change("json", "books-1", Kind.CUSTOMER, "1", "updated", NOON, f"e{n}") for n in range(50)]
        inbox.record(tx, events, NOON)
    books_of_three.set(calls=[])
    assert run(store, installation, connected).events == 50
    assert books_of_three.calls() == ["pull customer"]
    with db.reading(store) as tx:
        assert inbox.pending(tx, connected) == []


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_an_edit_that_an_event_tells_and_no_list_shows_is_read_by_its_number(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    for id in ("1", "2"):
        books_of_three.invoice(f"i{id}", id, 10_000, 0, updated_at="2026-11-20T09:00:00+00:00")
    run(store, installation, connected)
    for id in ("1", "2"):
        books_of_three.edit_unseen("invoice", f"i{id}", due="2026-12-24")
    events = [  # the second one is of the change that we know
        Change("json", "books-1", Kind.INVOICE, "i1", "updated", NOON, "e1"),
        Change(
            "json", "books-1", Kind.INVOICE, "i2", "updated", NOON.replace(day=20, hour=9, second=50), "e2"
        ),
        Change("json", "books-1", Kind.INVOICE, "a supplier's", "updated", NOON, "e3"),
    ]
    with db.transaction(store) as tx:
        inbox.record(tx, events, NOON)
    books_of_three.set(calls=[])
    assert run(store, installation, connected).changed == {"1"}
    assert books_of_three.calls() == ["pull invoice", "find i1", "document i1"]
    with db.reading(store) as tx:
        due = {i.id: i.due for i in books.invoices(tx, connected)}
    assert (due["i1"], due["i2"]) == (dt.date(2026, 12, 24), dt.date(2026, 10, 1))


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_one_invoice_that_cannot_be_read_keeps_no_other_news_waiting(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    for id in ("1", "2"):
        books_of_three.invoice(f"i{id}", id, 10_000, 6_000, updated_at="2026-11-20T09:00:00+00:00")
    run(store, installation, connected)
    for id in ("1", "2"):
        books_of_three.edit_unseen("invoice", f"i{id}", due="2026-12-24")
    books_of_three.set(unreadable={"invoice:i1": "the total is not a number"})
    books_of_three.remove("payment", "p1")  # so i1 is to be read again
    with db.transaction(store) as tx:
        told = [Change("json", "books-1", Kind.INVOICE, f"i{n}", "updated", NOON, f"e{n}") for n in (1, 2)]
        inbox.record(tx, [*told, Change("json", "books-1", Kind.PAYMENT, "p1", "deleted", NOON, "e3")], NOON)
    run(store, installation, connected)
    with db.reading(store) as tx:
        assert {i.id: i.due for i in books.invoices(tx, connected)}["i2"] == dt.date(2026, 12, 24)
        assert [(p.record_id, p.verb) for p in inbox.pending(tx, connected)] == [("i1", inbox.UNSETTLED)]
    books_of_three.set(unreadable={})
    run(store, installation, connected)
    with db.reading(store) as tx:
        assert {i.id: i.due for i in books.invoices(tx, connected)}["i1"] == dt.date(2026, 12, 24)
        assert inbox.pending(tx, connected) == []


def test_a_pull_is_narrowed_to_what_webhooks_named() -> None:
    def pending(*kinds: Kind | None) -> list[inbox.Pending]:
        return [inbox.Pending(n, kind, "1", "updated", NOON) for n, kind in enumerate(kinds)]

    assert sync.narrowed(pending(Kind.CUSTOMER, Kind.CUSTOMER)) == {Kind.CUSTOMER}
    assert sync.narrowed(pending(Kind.INVOICE, Kind.CUSTOMER)) == {Kind.INVOICE, Kind.CUSTOMER}
    assert sync.narrowed(pending(Kind.INVOICE, None)) is None
    assert sync.narrowed([]) is None


def test_a_customer_that_only_a_document_names_is_asked_for(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    run(store, installation, connected)
    books_of_three.customer("4", "Four Winds")
    books_of_three.invoice("i4", "4", 700)
    with db.transaction(store) as tx:
        inbox.record(tx, [Change("json", "books-1", Kind.INVOICE, "i4", "created", NOON, "e1")], NOON)
    books_of_three.set(calls=[])
    run(store, installation, connected)
    assert books_of_three.calls() == ["pull invoice", "customer 4"]
    with db.reading(store) as tx:
        known = books.customer(tx, connected, "4")
    assert known is not None
    assert known.name == "Four Winds"


def test_a_customer_named_by_a_sync_that_failed_is_asked_for_by_the_next(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    run(store, installation, connected)
    books_of_three.customer("9", "Newcomer")
    books_of_three.invoice("i9", "9", 500)
    event = Change("json", "books-1", Kind.INVOICE, "i9", "created", NOON, "e9")
    with db.transaction(store) as tx:
        inbox.record(tx, [event], db.now())
    books_of_three.fail(
        "TryLater", after_calls=1
    )  # the pull goes well, the question for the customer does not
    with pytest.raises(TryLater):
        run(store, installation, connected)
    with db.reading(store) as tx:
        assert books.customer(tx, connected, "9") is None

    run(store, installation, connected)

    with db.reading(store) as tx:
        newcomer = books.customer(tx, connected, "9")
    assert newcomer is not None
    assert newcomer.name == "Newcomer"


def hold(store: Engine, connection_id: str, customer_id: str) -> None:
    with db.transaction(store) as tx:
        holds.put(tx, connection_id, customer_id, "opt_out", who="Robin", now=NOON)


def held(tx: sa.engine.Connection) -> list[str]:
    return list(tx.scalars(sa.select(db.holds.c.customer_id)))


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
@pytest.mark.parametrize("told", [True, False])
def test_what_we_keep_of_a_customer_follows_a_merge_that_the_ledger_does_not_spell_out(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers, told: bool
) -> None:
    run(store, installation, connected)
    hold(store, connected, "1")
    books_of_three.remove("customer", "1")
    if told:  # by an event, of a customer without documents
        books_of_three.remove("invoice", "i1")
        books_of_three.remove("payment", "p1")
        events = [("2", "merged", "e1"), ("1", "deleted", "e1:1")]
        with db.transaction(store) as tx:
            changes = [
                Change("json", "books-1", Kind.CUSTOMER, id, verb, NOON, key) for id, verb, key in events
            ]
            inbox.record(tx, changes, NOON)
    else:
        books_of_three.invoice("i1", "2", 10_000)
        books_of_three.payment("p1", "2", 4_000, ("i1", 4_000))
    done = run(store, installation, connected)
    assert ("2" in done.changed) is not told
    with db.reading(store) as tx:
        assert held(tx) == ["2"]
        assert "2" in books.changed(tx, connected)


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_what_we_keep_follows_two_merges_told_at_once(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    run(store, installation, connected)
    hold(store, connected, "1")
    for id in ("1", "2"):
        books_of_three.remove("customer", id)
        books_of_three.remove("invoice", f"i{id}")
    books_of_three.remove("payment", "p1")
    events = [
        ("2", "merged", "e1"),
        ("1", "deleted", "e1:1"),
        ("3", "merged", "e2"),
        ("2", "deleted", "e2:2"),
    ]
    with db.transaction(store) as tx:
        told = [Change("json", "books-1", Kind.CUSTOMER, id, verb, NOON, key) for id, verb, key in events]
        inbox.record(tx, told, NOON)
    run(store, installation, connected)
    with db.reading(store) as tx:
        assert held(tx) == ["3"]


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_nothing_follows_a_customer_that_only_lost_its_documents(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    run(store, installation, connected)
    hold(store, connected, "1")
    books_of_three.invoice("i1", "2", 10_000)
    books_of_three.payment("p1", "2", 4_000, ("i1", 4_000))
    run(store, installation, connected)
    with db.reading(store) as tx:
        assert held(tx) == ["1"]


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_nothing_follows_a_customer_whose_documents_went_two_ways(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    books_of_three.invoice("i9", "1", 500)
    run(store, installation, connected)
    hold(store, connected, "1")
    books_of_three.remove("customer", "1")
    run(store, installation, connected)  # a first look sees the one, the next the other
    books_of_three.invoice("i1", "2", 10_000)
    books_of_three.payment("p1", "2", 4_000, ("i1", 4_000))
    books_of_three.edit_unseen("invoice", "i9", customer_id="3")
    run(store, installation, connected)
    with db.reading(store) as tx:
        assert held(tx) == ["1"]


def test_a_merge_whose_documents_the_ledger_does_not_report_is_read_in_full(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    run(store, installation, connected)
    hold(store, connected, "1")
    books_of_three.remove("customer", "1")
    books_of_three.edit_unseen("invoice", "i1", customer_id="2")
    books_of_three.edit_unseen("payment", "p1", customer_id="2")
    done = run(store, installation, connected)
    assert done.changed >= {"2"}
    with db.reading(store) as tx:
        assert {i.id for i in books.invoices(tx, connected, "2")} == {"i1", "i2"}
        assert held(tx) == ["2"]
    books_of_three.remove("customer", "3")  # what it owed is gone with it
    books_of_three.remove("invoice", "i3")
    books_of_three.set(calls=[])
    run(store, installation, connected)
    assert books_of_three.calls().count("page") == 0


def test_a_sweep_that_had_to_read_a_kind_in_full_removes_what_is_gone_and_nothing_else(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    run(store, installation, connected)
    books_of_three.remove("invoice", "i3", silently=True)
    books_of_three.remove("customer", "3", silently=True)
    books_of_three.set(in_full=["invoice"])

    done = run(store, installation, connected)

    assert not done.full
    assert done.changed == {"3"}
    with db.reading(store) as tx:
        assert {i.id for i in books.invoices(tx, connected)} == {"i1", "i2"}
        assert {c.id for c in books.customers(tx, connected)} == {
            "1",
            "2",
            "3",
        }  # that list was not read whole
        assert {p.id for p in books.payments(tx, connected)} == {"p1"}


def test_an_invoice_whose_payment_was_deleted_is_read_again_where_the_ledger_does_not_say(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    books_of_three.invoice("i1", "1", 10_000, 6_000)
    books_of_three.payment("p2", "2", 500, ("i2", 500))
    books_of_three.invoice("i2", "2", 10_000, 9_500)
    books_of_three.payment("p3", "3", 10_000, ("i3", 10_000))
    run(store, installation, connected)
    with books_of_three.state() as s:  # i1 goes up without being reported; i3 is deleted along
        s["records"]["invoice:i1"][1]["balance"] = 10_000
    books_of_three.remove("payment", "p1")
    books_of_three.remove("payment", "p2")
    books_of_three.invoice("i2", "2", 10_000)
    books_of_three.remove("payment", "p3")
    books_of_three.remove("invoice", "i3", silently=True)
    books_of_three.set(calls=[])
    assert run(store, installation, connected).changed == {"1", "2", "3"}
    assert books_of_three.calls() == ["pull all", "document i1", "document i3"]
    with db.reading(store) as tx:
        assert {i.id: i.balance for i in books.invoices(tx, connected)} == {"i1": 10_000, "i2": 10_000}


def test_an_invoice_that_lost_its_payment_is_read_again_even_when_that_sync_could_not_finish(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    books_of_three.invoice("i1", "1", 10_000, 6_000)
    run(store, installation, connected)
    with books_of_three.state() as s:  # i1 goes up without being reported
        s["records"]["invoice:i1"][1]["balance"] = 10_000
    books_of_three.remove("payment", "p1")
    books_of_three.fail("TryLater", "The line is dead.", after_calls=1)
    with pytest.raises(TryLater):
        run(store, installation, connected)
    with db.reading(store) as tx:
        assert books.payments(tx, connected) == []
        assert books.invoice(tx, connected, "i1").balance == 6_000
    assert run(store, installation, connected).changed >= {"1"}
    with db.reading(store) as tx:
        assert books.invoice(tx, connected, "i1").balance == 10_000
    books_of_three.set(calls=[])
    run(store, installation, connected)
    assert "document i1" not in books_of_three.calls()


def test_a_first_sync_that_the_ledger_lets_resume_goes_on_where_it_stopped(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    books_of_three.set(resumable=True, unreadable={"customer:1": "no name"})
    books_of_three.fail("TryLater", "Wait.", after_calls=4)  # organization, pull, two pages
    with pytest.raises(TryLater):
        run(store, installation, connected)
    assert connection(store, connected).cursor == {"began": 7, "page": 3}
    books_of_three.remove("invoice", "i3", silently=True)
    books_of_three.set(calls=[])
    done = run(store, installation, connected)
    assert done.full
    assert books_of_three.calls() == ["pull all", "page"]
    assert connection(store, connected).last_full_at is not None
    with db.reading(store) as tx:
        assert {c.id for c in books.customers(tx, connected)} == {"2", "3"}
        assert [i.id for i in books.invoices(tx, connected)] == ["i1", "i2"]
        assert [one.id for one in sync.set_aside(tx, connected)] == ["1"]


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_what_changes_while_a_first_reading_goes_on_in_parts_comes_with_the_pull_after_it(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    books_of_three.set(resumable=True)
    part = sync.sync(store, installation, connected, pages=2)  # both pages of customers
    assert part is not None
    assert part.unfinished
    books_of_three.customer("1", name="Renamed")
    with db.transaction(store) as tx:
        inbox.record(tx, [Change("json", "books-1", Kind.CUSTOMER, "1", "updated", NOON, "e1")], NOON)
    assert run(store, installation, connected).full
    with db.reading(store) as tx:
        assert [p.record_id for p in inbox.pending(tx, connected)] == ["1"]  # so somebody looks again
    run(store, installation, connected)
    with db.reading(store) as tx:
        assert books.customer(tx, connected, "1").name == "Renamed"
        assert inbox.pending(tx, connected) == []


def test_a_full_sync_drops_what_the_ledger_lost_without_saying_so(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    run(store, installation, connected)
    books_of_three.remove("invoice", "i3", silently=True)
    run(store, installation, connected)
    with db.reading(store) as tx:
        assert len(books.invoices(tx, connected)) == 3
    done = run(store, installation, connected, full=True)
    assert done.changed == {"3"}
    with db.reading(store) as tx:
        assert [i.id for i in books.invoices(tx, connected)] == ["i1", "i2"]


def test_an_interrupted_first_sync_starts_again_and_drops_what_vanished_between(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    with db.transaction(store) as tx:  # the organization is known already, so the first call is the pull
        tx.execute(sa.update(db.connections).values(facts_at=db.now()))
    ledger = connections.open_ledger(store, installation, connected)
    pages = ledger.pull(None)

    class Broken:
        def pull(self, *_: object) -> object:
            yield from (next(pages) for _ in range(4))
            raise TryLater("The ledger does not answer.", after=30)

    with pytest.raises(TryLater):
        sync.sync(store, installation, connected, ledger=Broken())  # type: ignore[arg-type]
    half = connection(store, connected)
    assert half.cursor is None
    assert half.last_sync_at is None
    assert half.progress is not None
    assert half.progress["error"] == "The ledger does not answer."
    assert half.retry_at is not None
    with db.reading(store) as tx:
        assert books.invoices(tx, connected) != []
        assert books.changed(tx, connected) != {}
    books_of_three.remove("invoice", "i1", silently=True)
    run(store, installation, connected)
    with db.reading(store) as tx:
        assert [i.id for i in books.invoices(tx, connected)] == ["i2", "i3"]
    assert connection(store, connected).retry_at is None


def test_events_that_arrive_during_a_failed_pull_stay_pending(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    run(store, installation, connected)
    with db.transaction(store) as tx:
        inbox.record(tx, [Change("json", "books-1", Kind.INVOICE, "i1", "updated", NOON, "e1")], NOON)
    books_of_three.fail("TryLater", "Wait.", after=7)
    with pytest.raises(TryLater):
        run(store, installation, connected)
    with db.reading(store) as tx:
        assert len(inbox.pending(tx, connected)) == 1


def test_a_lost_permission_changes_the_status_and_keeps_the_books(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    run(store, installation, connected)
    books_of_three.fail("Reconnect", "Harbor Supply withdrew the permission. Press Reconnect.")
    with pytest.raises(Reconnect):
        run(store, installation, connected)
    now = connection(store, connected)
    assert now.status == "needs_reconnecting"
    assert now.status_reason == "Harbor Supply withdrew the permission. Press Reconnect."
    with db.reading(store) as tx:
        assert len(books.invoices(tx, connected)) == 3
    with pytest.raises(Reconnect):
        run(store, installation, connected)


def test_a_refusal_is_kept_for_the_bookkeeper(
    store: Engine, installation: config.Config, connected: str, ledgers: Ledgers
) -> None:
    ledgers.fail("Refused", "This company has no receivables module.")
    with pytest.raises(Refused):
        run(store, installation, connected)
    now = connection(store, connected)
    assert now.status == "connected"
    assert now.progress is not None
    assert now.progress["error"] == "This company has no receivables module."


def test_a_cursor_that_is_too_old_leads_to_reading_everything(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    run(store, installation, connected)
    books_of_three.fail("OutOfDate", "Changes are kept for 30 days.")
    assert run(store, installation, connected).full
    books_of_three.fail("OutOfDate", "Never.")
    books_of_three.fail("OutOfDate", "Never.")
    with pytest.raises(OutOfDate):
        run(store, installation, connected, full=True)


def test_a_disconnect_stops_a_pull_between_two_pages(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    ledger = connections.open_ledger(store, installation, connected)

    class Interrupted:
        organization = ledger.organization

        def pull(self, *_: object) -> object:
            pages = ledger.pull(None)
            yield next(pages)
            connections.disconnect(store, installation, connected)
            yield from pages

    with pytest.raises(Reconnect):
        sync.sync(store, installation, connected, ledger=Interrupted())  # type: ignore[arg-type]
    assert connection(store, connected).status == "disconnected"
    with db.reading(store) as tx:
        assert books.invoices(tx, connected) == []


def test_only_one_process_pulls_an_organization(
    store: Engine, installation: config.Config, connected: str, ledgers: Ledgers
) -> None:
    with leases.hold(store, sync.lease_name(connected)):
        assert sync.sync(store, installation, connected) is None
    assert ledgers.get("calls") == []


def test_a_record_that_cannot_be_read_is_set_aside_and_the_rest_goes_on(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    books_of_three.set(unreadable={"invoice:i2": "the total is not a number"})
    assert run(store, installation, connected).set_aside == 1
    with db.reading(store) as tx:
        assert [i.id for i in books.invoices(tx, connected)] == ["i1", "i3"]
        [one] = sync.set_aside(tx, connected)
    assert (one.kind, one.id, one.reason) == (Kind.INVOICE, "i2", "the total is not a number")
    assert '"total": 10000' in one.raw
    books_of_three.set(unreadable={})
    books_of_three.invoice("i2", "2", 10_000)
    run(store, installation, connected)
    with db.reading(store) as tx:
        assert sync.set_aside(tx, connected) == []
        assert len(books.invoices(tx, connected)) == 3


def test_a_record_set_aside_that_vanished_is_forgotten_by_a_full_sync(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    books_of_three.set(unreadable={"invoice:i2": "the total is not a number"})
    run(store, installation, connected)
    books_of_three.remove("invoice", "i2", silently=True)
    run(store, installation, connected, full=True)
    with db.reading(store) as tx:
        assert sync.set_aside(tx, connected) == []


def test_the_bookkeeper_sees_how_far_it_is(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    said: list[str] = []
    sync.sync(store, installation, connected, say=said.append)
    assert said == [
        "customers: 2 of 3",
        "customers: 3 of 3",
        "invoices: 2 of 3",
        "invoices: 3 of 3",
        "payments: 1 of 1",
    ]


def test_a_disconnect_made_inside_the_ledger_is_noticed_within_a_day(
    store: Engine, installation: config.Config, connected: str, books_of_three: Ledgers
) -> None:
    run(store, installation, connected)
    with db.transaction(store) as tx:
        tx.execute(sa.update(db.connections).values(facts_at=db.now() - dt.timedelta(hours=21)))
    books_of_three.fail("Reconnect", "The organization ended our permission. Press Reconnect.")
    with pytest.raises(Reconnect):
        run(store, installation, connected)
    assert books_of_three.get("calls")[-1].startswith("organization")
    assert connection(store, connected).status == "needs_reconnecting"
