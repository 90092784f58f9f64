"""Each night only those customers are looked at about whom something else may be said; the outcome is the same."""

from __future__ import annotations

import datetime as dt
from random import Random

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from connector import db
from connector.connecting import connections
from connector.contact import contacts, reminders, reminding
from connector.domain import fingerprint, reminder_words
from connector.domain.policy import FindingPolicy, Policy
from connector.domain.receivables import Allocation, Customer, Invoice, Organization, Payment, Status
from connector.mirroring import books, mirror
from connector.platforms import Batch
from connector.practice import settings
from connector.reviewing import conclusions, current, review

START = dt.date(2026, 1, 5)
NOW = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
EVERY_ONE, SOME = "looks-at-everyone", "looks-at-some"
DAYS = {"judged_on", "as_of", "reviewed_at", "judge_on", "next_on"}


@pytest.fixture
def both(engine: Engine) -> Engine:
    with db.transaction(engine) as tx:
        for id in (EVERY_ONE, SOME):
            facts = Organization(id, "Both", "US", "USD", "UTC")
            tx.execute(
                sa.insert(db.connections).values(
                    id=id, platform="xero", external_id=id, organization="Both", country="US", home_currency="USD",
                    facts=connections.dump_facts(facts), created_at=NOW, last_sync_at=NOW,
                )
            )  # fmt: skip
    return engine


def store(engine: Engine, batch: Batch) -> None:
    with db.transaction(engine) as tx:
        for id in (EVERY_ONE, SOME):
            books.note_changed(tx, id, mirror.store(tx, id, batch, 1), NOW)


def look(engine: Engine, today: dt.date) -> tuple[int, int]:
    """How many customers each of the two looked at."""
    counts = []
    for id in (EVERY_ONE, SOME):
        if id == EVERY_ONE:
            counts.append(review.look(engine, id, now=NOW, today=today).customers)
        else:
            counts.append(review.look_by_night(engine, {id: today}, now=NOW).customers)
        with db.transaction(engine) as tx:
            books.reviewed(tx, id, books.changed(tx, id))
            tx.execute(
                sa.update(db.connections).where(db.connections.c.id == id).values(last_review_on=today)
            )
    return counts[0], counts[1]


def everything(engine: Engine, id: str) -> dict[str, list[object]]:
    """All that a review stores, as anybody reads it: days are counted up to the last review (`current`).

    Without the days of the last look and the rows' own numbers, and without the words of findings that are closed.
    """
    but = {"id", "number", "plan", "connection_id", "updated_at"}
    found: dict[str, list[object]] = {}
    with db.reading(engine) as tx:
        for table, unread in (
            (db.findings, {"seen_on", "since", "evidence", "text"}),
            (db.assessments, DAYS | {"rules", "balances", "reasons", "data"}),
            (db.reminders, {"text"}),
            (db.plans, set()),
        ):
            columns = [c for c in table.c if c.name not in but | unread]
            ours = reminders.OURS if table is db.reminders else sa.true()
            rows = tx.execute(sa.select(*columns).where(table.c.connection_id == id, ours))
            found[table.name] = sorted(tuple(map(repr, row)) for row in rows)
        found["concluded"] = list(current.of_connection(tx, id))
        told = current.worded(tx, id, reminders.of_connection(tx, id))
        found["told"] = sorted((r.customer_id, r.level, r.cycle, r.text) for r in told)
    return found


class Trade:
    """Twelve customers; every few days something happens to some of them."""

    def __init__(self) -> None:
        self.chance = Random(5)
        self.customers = [Customer(f"c{n:02}", f"Customer {n}", currency="USD") for n in range(12)]
        self.open: list[Invoice] = []
        self.count = 0

    def of_a_day(self, day: dt.date) -> Batch:
        invoices, payments = [], []
        for _ in range(self.chance.randint(0, 2)):
            self.count += 1
            n, who = self.count, self.customers[min(self.chance.randint(0, 19), 11)]
            new = Invoice(
                f"i{n}", f"{n}", who.id, day, day + dt.timedelta(14), "USD", 500 * n, 500 * n, Status.OPEN
            )
            self.open.append(new)
            invoices.append(new)
        for invoice in list(self.open):
            if self.chance.random() < 0.25:
                self.open.remove(invoice)
                n = len(payments)
                paid = (Allocation(invoice.id, invoice.balance),)
                made = Payment(f"p{day}-{n}", invoice.customer_id, day, "USD", invoice.balance, 0, paid)
                payments.append(made)
                values = (invoice.id, invoice.number, invoice.customer_id, invoice.date, invoice.due)
                invoices.append(Invoice(*values, "USD", invoice.total, 0, Status.PAID))
        return Batch(invoices=tuple(invoices), payments=tuple(payments))


def test_looking_at_some_concludes_what_looking_at_everyone_does(both: Engine) -> None:
    trade = Trade()
    store(both, Batch(customers=tuple(trade.customers)))
    day, everyone, some = START, 0, 0
    for turn in range(40):
        day += dt.timedelta(trade.chance.choice([1, 1, 2, 5, 9] if turn < 30 else [20, 45, 100]))
        if turn < 30 or turn == 35:
            store(both, trade.of_a_day(day))
        looked = look(both, day)
        everyone, some = everyone + looked[0], some + looked[1]
        if turn % 3 == 0 or turn >= 30:
            assert everything(both, SOME) == everything(both, EVERY_ONE), day
    assert everyone == 12 * 40
    assert some < everyone * 0.7


def test_a_new_policy_looks_at_everyone_again(both: Engine) -> None:
    store(both, Batch(customers=tuple(Trade().customers)))
    assert look(both, START) == (12, 12)
    assert look(both, START + dt.timedelta(1)) == (12, 0)
    with db.transaction(both) as tx:
        settings.save_policy(
            tx, SOME, Policy(findings=FindingPolicy(grace_days=9)), revision=0, who="J. Doe", now=NOW
        )
    assert look(both, START + dt.timedelta(2)) == (12, 12)
    assert look(both, START + dt.timedelta(3)) == (12, 0)


def test_another_version_looks_at_everyone_again(both: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    store(both, Batch(customers=tuple(Trade().customers[:1])))
    look(both, START)
    of_now = fingerprint.of_source
    for n, part in enumerate(("connector.domain", "connector.contact", "connector.planning"), 1):
        assert look(both, START + dt.timedelta(2 * n)) == (1, 0)
        changed = {part: "changed"}
        monkeypatch.setattr(fingerprint, "of_source", lambda p, changed=changed: changed.get(p) or of_now(p))
        assert look(both, START + dt.timedelta(2 * n + 1)) == (1, 1)


def test_what_a_person_hears_of_a_quiet_customer_is_found_the_next_night(both: Engine) -> None:
    store(both, Batch(customers=tuple(Trade().customers)))
    look(both, START)
    with db.transaction(both) as tx:
        for id in (EVERY_ONE, SOME):
            contacts.hear(tx, id, "c03", "bounced", on=START, who="J. Doe", now=NOW)
    assert look(both, START + dt.timedelta(1)) == (12, 1)
    assert everything(both, SOME) == everything(both, EVERY_ONE)
    with db.reading(both) as tx:
        found = conclusions.of_customer(tx, SOME, "c03")
    assert found is not None
    assert [f.kind for f in found.findings] == ["bounced"]


def test_the_night_after_a_webhook_looks_once_and_then_leaves_alone(both: Engine) -> None:
    open_ = Invoice("i1", "1", "c00", START, START + dt.timedelta(60), "USD", 500, 500, Status.OPEN)
    store(both, Batch(customers=tuple(Trade().customers)))
    look(both, START)
    store(both, Batch(invoices=(open_,)))
    review.review(both, SOME, now=NOW, today=START, customer_ids=["c00"])
    with db.transaction(both) as tx:
        books.reviewed(tx, SOME, books.changed(tx, SOME))
    looked = [look(both, START + dt.timedelta(n))[1] for n in range(1, 8)]
    assert looked == [1, 0, 0, 0, 0, 0, 0]
    assert everything(both, SOME) == everything(both, EVERY_ONE)


def test_a_merged_customer_is_no_longer_judged_alone(both: Engine) -> None:
    old = Invoice("i1", "1", "c00", START, START, "USD", 500, 500, Status.OPEN)
    store(both, Batch(customers=tuple(Trade().customers), invoices=(old,)))
    look(both, START + dt.timedelta(40))
    merged = Customer("c00", "Customer 0", currency="USD", merged_into="c01", active=False)
    store(both, Batch(customers=(merged,)))
    look(both, START + dt.timedelta(41))
    with db.reading(both) as tx:
        assert conclusions.of_customer(tx, SOME, "c00") is None
        survivor = conclusions.of_customer(tx, SOME, "c01")
        still = tx.scalars(sa.select(db.findings.c.customer_id).where(db.findings.c.closed_on.is_(None)))
        assert set(still) == {"c01"}
    assert survivor is not None
    assert survivor.balances[0].overdue == 500


def test_a_quiet_customer_was_looked_at_as_late_as_the_whole_review(both: Engine) -> None:
    store(both, Batch(customers=(Customer("c00", "Customer 0"),)))
    look(both, START)
    with db.transaction(both) as tx:
        tx.execute(sa.update(db.connections).values(last_review_on=START + dt.timedelta(9)))
        found = conclusions.of_customer(tx, SOME, "c00")
    assert found is not None
    assert found.as_of == START + dt.timedelta(9)


def test_a_message_waits_for_a_day_of_the_week_although_nobody_looks_at_its_customer(both: Engine) -> None:
    who = Customer("c00", "Customer 0", currency="USD")
    open_ = Invoice("i1", "1", "c00", START, dt.date(2026, 1, 5), "USD", 500, 500, Status.OPEN)
    store(both, Batch(customers=(who,), invoices=(open_,)))
    looked = []
    for day in range(12, 24):  # Monday the 12th to Friday the 23rd; messages leave from Tuesday to Thursday
        looked.append(look(both, dt.date(2026, 1, day))[1])
        assert everything(both, SOME) == everything(both, EVERY_ONE), day
        with db.reading(both) as tx:
            [told] = reminders.of_connection(tx, SOME)
        waits = any("other days" in because for because in told.held_because)
        assert waits == (dt.date(2026, 1, day).weekday() not in (1, 2, 3)), day
    assert looked.count(0) >= 5


def test_what_is_overdue_grows_although_nobody_looks_at_its_customer(both: Engine) -> None:
    who = Customer("c00", "Customer 0", currency="USD")
    old = Invoice("i1", "1", "c00", START, dt.date(2025, 12, 1), "USD", 500, 500, Status.OPEN)
    next_ = Invoice("i2", "2", "c00", START, dt.date(2026, 1, 12), "USD", 700, 700, Status.OPEN)
    store(both, Batch(customers=(who,), invoices=(old, next_)))
    looked = [look(both, dt.date(2026, 1, day))[1] for day in (8, 9, 12, 13)]
    assert looked == [1, 1, 1, 0]  # before the due date, and on it, a reminder speaks of it
    assert everything(both, SOME) == everything(both, EVERY_ONE)
    a = db.assessments.c
    with db.reading(both) as tx:
        assert tx.scalar(sa.select(a.overdue).where(a.connection_id == SOME)) == 1200


def a_late_payer(engine: Engine) -> None:
    who = Customer("c00", "Customer 0", currency="USD")
    open_ = Invoice("i1", "1", "c00", START, START, "USD", 500, 500, Status.OPEN)
    store(engine, Batch(customers=(who,), invoices=(open_,)))


def test_a_reminder_that_left_by_a_slower_clock_wakes_its_customer(both: Engine) -> None:
    a_late_payer(both)
    look(both, dt.date(2026, 1, 14))
    assert look(both, dt.date(2026, 1, 15))[1] == 0
    with db.transaction(both) as tx:
        for id in (EVERY_ONE, SOME):
            [due] = reminders.of_connection(tx, id)
            moment = NOW - dt.timedelta(minutes=3)
            reminders.reached(tx, due.id, "noted", dt.date(2026, 1, 15), moment)
    assert look(both, dt.date(2026, 1, 16))[1] == 1


def test_after_a_message_left_the_next_is_looked_for_and_nobody_is_judged_again(both: Engine) -> None:
    a_late_payer(both)
    look(both, dt.date(2026, 1, 14))
    with db.transaction(both) as tx:
        for id in (EVERY_ONE, SOME):
            [due] = reminders.of_connection(tx, id)
            reminders.reached(tx, due.id, "noted", dt.date(2026, 1, 14), NOW + dt.timedelta(hours=1))
    for day in range(15, 27):  # until the next message is due
        look(both, dt.date(2026, 1, day))
        assert everything(both, SOME) == everything(both, EVERY_ONE), day
    a, today = db.assessments.c, dt.date(2026, 1, 26)
    with db.reading(both) as tx:
        query = sa.select(a.judged_on, a.as_of, a.judge_on, a.next_on).where(a.connection_id == SOME)
        judged_on, as_of, judge_on, next_on = tx.execute(query).one()
        assert [r.state for r in reminders.of_connection(tx, SOME)] == ["noted", "held"]  # in preview
    assert judged_on < as_of <= today < next_on <= judge_on


def test_a_message_is_worded_for_the_kind_of_customer_that_a_person_chose(both: Engine) -> None:
    a_late_payer(both)
    look(both, dt.date(2026, 1, 15))
    with db.transaction(both) as tx:
        [before] = reminders.of_connection(tx, SOME)
        conclusions.override(tx, SOME, "c00", "chronic", reason="Always late", who="J. Doe", now=NOW)
        books.note_changed(tx, SOME, ["c00"], NOW)
    look(both, dt.date(2026, 1, 16))
    with db.reading(both) as tx:
        [after] = reminders.of_connection(tx, SOME)
        organization, decided = connections.get(tx, SOME), settings.load(tx, SOME)
        words = reminding.sender(organization, decided.policy)
    body = reminder_words.words_of(words).body(after.level, "chronic")
    assert body.split("{")[0] in after.text
    assert body.split("{")[0] not in before.text


def test_a_clock_that_goes_back_leaves_no_reason_of_a_later_day(both: Engine) -> None:
    a_late_payer(both)
    for day in (15, 16, 15):  # Thursday, then Friday, on which nothing leaves, then Thursday again
        look(both, dt.date(2026, 1, day))
        assert everything(both, SOME) == everything(both, EVERY_ONE), day
