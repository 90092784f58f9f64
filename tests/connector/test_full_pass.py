"""All customers at once: what is concluded from columns is what is concluded of each by themselves."""

import datetime as dt
from random import Random

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from connector import db
from connector.domain.glance import Glance
from connector.domain.policy import Policy
from connector.domain.receivables import Allocation, CreditNote, Customer, Invoice, Payment, Status
from connector.mirroring import books, books_file, bookwide, mirror
from connector.platforms import Batch
from connector.reviewing import conclusions, full_pass, judging
from tests.judgement.answer_key import CASES

TODAY = dt.date(2026, 11, 20)
# Days late of a customer's n-th invoice, when so many are `left`; None is never paid.
HABITS = (
    lambda chance, n, left: chance.randint(-10, 2),
    lambda chance, n, left: chance.choice([0, 3, 4, 5, 17, 18]),
    lambda chance, n, left: chance.randint(0, 60),
    lambda chance, n, left: 0 if n < 12 else 25,
    lambda chance, n, left: 45 if n < 8 else 0,
    lambda chance, n, left: 0 if n < 15 else None,
    lambda chance, n, left: None if chance.random() < 0.3 else 12,
    lambda chance, n, left: 40 if left % 12 in (1, 2, 3, 4) else 0,  # a season
    lambda chance, n, left: None if left == 2 else 6,  # and that one is large
)


def history(chance: Random, who: str) -> tuple[list[Invoice], list[Payment], list[CreditNote]]:
    """One customer's invoices and money; one in four has something that columns do not show."""
    invoices, payments, credits = list[Invoice](), list[Payment](), list[CreditNote]()
    habit, odd = chance.choice(HABITS), chance.random() < 0.25
    step, parted = chance.choice([7, 30, 30, 45]), chance.random() < 0.3
    count, nearly = chance.choice([0, 1, 3, 9, 16, 16, 30]), chance.random() < 0.2
    for n in range(count):
        issued = TODAY - dt.timedelta(step * (count - n) + chance.randint(0, 6))
        late, paid = habit(chance, n, count - n), 0
        due = issued + dt.timedelta(chance.choice([0, 14, 30]))
        total = chance.randint(1, 9) * (400_000 if late is None and count - n == 2 else 10_000)
        currency, id = "EUR" if chance.random() < 0.1 else "USD", f"{who}-{n}"
        shares = [total // 3, total - total // 3] if parted and chance.random() < 0.8 else [total]
        if nearly and chance.random() < 0.6:  # all but a trifle, or a little more than one
            trifle = chance.choice([1, 60, 100, 101])
            shares = [*shares[:-1], shares[-1] - trifle, trifle][: len(shares) + chance.randint(0, 1)]
        for k, amount in enumerate(shares if late is not None else []):
            day = max(issued, due + dt.timedelta(late + 10 * k * k))
            if day <= TODAY:
                own = day if chance.random() < 0.8 else None
                payments.append(
                    Payment(f"p{id}-{k}", who, day, currency, amount, 0, (Allocation(id, amount, own),))
                )
                paid += amount
        status = Status.PAID if paid == total else Status.PARTLY_PAID if paid else Status.OPEN
        invoices.append(Invoice(id, f"N{n}", who, issued, due, currency, total, total - paid, status))
    if odd and invoices:
        add_something_odd(chance, who, invoices, payments, credits)
    return invoices, payments, credits


def add_something_odd(chance: Random, who: str, invoices: list, payments: list, credits: list) -> None:
    one, far = invoices[0], TODAY + dt.timedelta(20)
    match chance.randrange(9):
        case 0:
            payments.append(Payment(f"s{who}", who, TODAY, "USD", 5_000, 5_000))
        case 1:
            credits.append(CreditNote(f"c{who}", "C1", who, TODAY, "USD", 3_000, 3_000))
        case 2:
            part = (Allocation(one.id, one.total),)
            payments.append(Payment(f"v{who}", who, one.due, one.currency, one.total, 0, part, void=True))
        case 3:
            invoices.append(Invoice(f"m{who}", "PP", who, one.date, one.due, "USD", 900, 900, Status.OPEN, marker="plan=PP-0001"))  # fmt: skip
        case 4:
            invoices.append(Invoice(f"f{who}", "F", who, far, far, "USD", 900, 900, Status.OPEN))
        case 5:
            invoices.append(Invoice(f"x{who}", "X", who, one.date, one.due, "USD", 900, 0, Status.VOID))
        case 6:
            invoices.append(Invoice(f"n{who}", "N", who, one.date, one.due, "USD", -900, -900, Status.OPEN))
        case 7:
            payments.append(Payment(f"w{who}", who, far, "USD", 700, 0, (Allocation(one.id, 700),)))
        case 8:  # closed without a word of how
            invoices.append(Invoice(f"z{who}", "Z", who, one.date, one.due, "USD", 900, 0, Status.PAID))


def assert_as_still(at_once: dict, each: dict) -> None:
    """Who owes nothing is left alone as long; who owes is looked at by themselves on the next day."""
    for id, conclusion in at_once.items():
        if any(b.open for b in conclusion.balances):
            assert conclusion.next_on <= each[id].next_on
        else:
            assert conclusion.next_on == each[id].next_on


def both(engine: Engine, connection_id: str, policy: Policy, today: dt.date) -> tuple[dict, dict]:
    with db.reading(engine) as tx:
        rows = bookwide.rows(tx, connection_id, today)
        at_once = {c.customer_id: c for c in full_pass.conclude(tx, connection_id, rows, policy, today, country="US")}  # fmt: skip
        book = conclusions.owed(tx, connection_id)
        each = [
            judging.judge(p.customer, p.invoices, p.payments, p.credits, policy, today, country="US", book=book)
            for p in books.each_customer(tx, connection_id)
        ]  # fmt: skip
    return at_once, {c.customer_id: c for c in each}


def organization(engine: Engine, id: str) -> str:
    with db.transaction(engine) as tx:
        moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        made = {"id": id, "platform": "json", "external_id": id, "status": "connected", "created_at": moment}
        tx.execute(sa.insert(db.connections).values(organization=id, **made))
    return id


def test_a_whole_book_is_judged_as_each_customer_is(store: Engine) -> None:
    chance = Random(1)
    people, batch = [], ([], [], [])
    for n in range(160):
        who = f"c{n}"
        limit = 50_000 if chance.random() < 0.1 else None
        country = chance.choice(["", "", "GB"])
        merged = f"c{n - 1}" if chance.random() < 0.03 else ""
        people.append(Customer(who, f"Customer {n}", currency="USD", country=country, credit_limit=limit, merged_into=merged))  # fmt: skip
        for kept, made in zip(batch, history(chance, who), strict=True):
            kept.extend(made)
    stranger = next(i for i in batch[0] if i.customer_id != "c9")  # c9 pays an invoice of somebody else
    batch[1].append(Payment("other", "c9", TODAY, "USD", 500, 0, (Allocation(stranger.id, 500),)))
    organization(store, "whole")
    with db.transaction(store) as tx:
        mirror.store(tx, "whole", Batch((*people,), *map(tuple, batch)), 1)
    for today in (TODAY, TODAY + dt.timedelta(60)):
        at_once, each = both(store, "whole", Policy(), today)
        assert at_once.keys() == each.keys()
        for id, said in each.items():
            assert at_once[id] == said, id
        assert_as_still(at_once, each)
    kinds = {f.kind for c in each.values() for f in c.findings}
    assert len(kinds) >= 8  # the book has something to say
    assert {c.segment for c in each.values()} >= {"reliable", "forgetful", "squeezed", "chronic"}


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_the_answer_key_is_judged_alike(store: Engine) -> None:
    for case in CASES:
        known = books_file.known_on(books_file.read_line(case.books().line()), case.today)
        organization(store, case.name)
        batch = Batch(*map(tuple, (known.customers, known.invoices, known.payments, known.credits)))
        with db.transaction(store) as tx:
            mirror.store(tx, case.name, batch, 1)
        at_once, each = both(store, case.name, Policy(), case.today)
        assert at_once == each, case.name
        assert_as_still(at_once, each)


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_nobody_who_keeps_a_share_back_is_overlooked(store: Engine) -> None:
    """4 % of three invoices, which is not short and not open for long: no other screen looks closer because of it."""
    organization(store, "kept")
    invoices, payments = [], []
    for n, left in enumerate([0, 0, 0, 4_000, 4_000, 4_000]):
        due = TODAY - dt.timedelta(7 * (6 - n))
        status = Status.PARTLY_PAID if left else Status.PAID
        invoices.append(Invoice(str(n), f"N{n}", "c", due, due, "USD", 100_000, left, status))
        came = 100_000 - left
        payments.append(Payment(str(n), "c", due, "USD", came, 0, (Allocation(str(n), came, due),)))
    with db.transaction(store) as tx:
        batch = Batch((Customer("c", "C", currency="USD"),), tuple(invoices), tuple(payments))
        mirror.store(tx, "kept", batch, 1)
    at_once, each = both(store, "kept", Policy(), TODAY)
    assert "kept_back" in {f.kind for f in each["c"].findings}
    assert (each["c"].segment, at_once["c"]) == ("reliable", each["c"])


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_nobody_who_is_slowing_is_overlooked(store: Engine) -> None:
    """On time eight times, then 8, 12 and 30 days late: only two of the three are ten days late."""
    organization(store, "slower")
    invoices, payments = [], []
    for n, late in enumerate([0] * 8 + [8, 12, 30]):
        due = TODAY - dt.timedelta(30 * (11 - n) + 30)
        when = due + dt.timedelta(late)
        invoices.append(Invoice(str(n), f"N{n}", "c", due, due, "USD", 900, 0, Status.PAID))
        payments.append(Payment(str(n), "c", when, "USD", 900, 0, (Allocation(str(n), 900, when),)))
    with db.transaction(store) as tx:
        batch = Batch((Customer("c", "C", currency="USD"),), tuple(invoices), tuple(payments))
        mirror.store(tx, "slower", batch, 1)
    at_once, each = both(store, "slower", Policy(), TODAY)
    assert [f.kind for f in each["c"].findings] == ["slowing"]
    assert at_once["c"] == each["c"]


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_nobody_who_begins_short_each_time_lately_is_overlooked(store: Engine) -> None:
    """In full six times, then three times in two parts, all of it on time: less often short than not in a year."""
    organization(store, "shorter")
    invoices, payments = [], []
    for n in range(9):
        due = TODAY - dt.timedelta(30 * (9 - n))
        invoices.append(
            Invoice(str(n), f"N{n}", "c", due - dt.timedelta(30), due, "USD", 900, 0, Status.PAID)
        )
        for k, (early, amount) in enumerate([(20, 500), (1, 400)] if n >= 6 else [(1, 900)]):
            when = due - dt.timedelta(early)
            parts = (Allocation(str(n), amount, when),)
            payments.append(Payment(f"{n}-{k}", "c", when, "USD", amount, 0, parts))
    with db.transaction(store) as tx:
        batch = Batch((Customer("c", "C", currency="USD"),), tuple(invoices), tuple(payments))
        mirror.store(tx, "shorter", batch, 1)
    at_once, each = both(store, "shorter", Policy(), TODAY)
    assert [f.text for f in each["c"].findings] == ["Their last 3 payments all began short of the invoice."]
    assert at_once["c"] == each["c"]


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_a_big_one_that_is_late_weighs_the_same_at_once(store: Engine) -> None:
    """More than half of the year's money, but only for one of the two twice as much as any other invoice."""
    organization(store, "big")
    people, invoices, payments = [], [], []
    for who, big in (("some", 1100), ("most", 1300)):
        people.append(Customer(who, who, currency="USD"))
        for n, (ago, total) in enumerate([(300, 600), (250, 100), (200, 200), (40, big)]):
            id, due = f"{who}{n}", TODAY - dt.timedelta(ago)
            open_ = total if total == big else 0
            status = Status.OPEN if open_ else Status.PAID
            invoices.append(Invoice(id, id, who, due, due, "USD", total * 100, open_ * 100, status))
            if not open_:
                parts = (Allocation(id, total * 100, due),)
                payments.append(Payment(id, who, due, "USD", total * 100, 0, parts))
    with db.transaction(store) as tx:
        mirror.store(tx, "big", Batch(tuple(people), tuple(invoices), tuple(payments)), 1)
    at_once, each = both(store, "big", Policy(), TODAY)
    assert {id: c.segment for id, c in each.items()} == {"some": "forgetful", "most": "squeezed"}
    assert at_once == each


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_few_customers_need_a_closer_look(store: Engine) -> None:
    organization(store, "calm")
    invoices, payments = [], []
    for n in range(60):
        for k in range(10):
            day, id = TODAY - dt.timedelta(30 * k + 40), f"{n}-{k}"
            late = 2 if n % 2 else 9
            invoices.append(Invoice(id, id, f"c{n}", day, day + dt.timedelta(14), "USD", 900, 0, Status.PAID))
            when = day + dt.timedelta(14 + late)
            payments.append(Payment(id, f"c{n}", when, "USD", 900, 0, (Allocation(id, 900, when),)))
    people = tuple(Customer(f"c{n}", "C") for n in range(60))
    with db.transaction(store) as tx:
        mirror.store(tx, "calm", Batch(people, tuple(invoices), tuple(payments)), 1)
        rows = bookwide.rows(tx, "calm", TODAY)
    assert not Glance(rows, [""] * 60, Policy(), TODAY).closer.any()
