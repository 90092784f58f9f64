"""STEP 2: run the rules over the books and store what follows. No network, nothing leaves.

books → findings, assessments, balances, where each plan stands → drafted plans → reminders that are due or
held. A part of the customers at a time, each part in one transaction (`looking`). A night goes through many
organizations at once and looks only where something else can follow than the night before (`domain.stillness`).
Predictions learn from all customers of a book; they are made anew when something happened in it, and each week.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from connector import db
from connector.connecting import connections
from connector.connecting.connections import Connection as Organization
from connector.contact import contacts
from connector.domain import fingerprint
from connector.domain.expected import monday
from connector.domain.on_account import Held
from connector.domain.policy import Policy
from connector.domain.prediction import outlook
from connector.domain.prediction.model import fit
from connector.domain.prediction.record import Record
from connector.domain.receivables import Kind
from connector.mirroring import books, bookwide
from connector.mirroring.books import Key
from connector.planning import plan_rows
from connector.practice import settings
from connector.practice.settings import Settings
from connector.record import audit
from connector.reviewing import ageing, conclusions, expecting, full_pass, looking, messages, track_record
from connector.reviewing.conclusions import Conclusion, Prediction, Woken
from connector.reviewing.looking import Circle
from connector.reviewing.looking import Reviewed as Reviewed

PART = 200  # customers in one transaction
TOGETHER = 50  # organizations whose predictions are stored in one
CODE = tuple(f"connector.{name}" for name in ("domain", "mirroring", "contact", "planning", "reviewing"))
SMALL = 5_000  # invoices of a book that is read as a whole for the sake of one new invoice


def review(
    engine: Engine,
    connection_id: str,
    *,
    now: dt.datetime,
    today: dt.date,
    customer_ids: Collection[str] | None = None,
) -> Reviewed:
    """Look at these customers, or at all. `today` is the organization's day. Safe to run twice."""
    total = look(engine, connection_id, now=now, today=today, customer_ids=customer_ids)
    if customer_ids is None:
        predict(engine, connection_id, today=today)
    else:
        predict_new(engine, connection_id, customer_ids, today=today)
    return total


def look(
    engine: Engine,
    connection_id: str,
    *,
    now: dt.datetime,
    today: dt.date,
    customer_ids: Collection[str] | None = None,
) -> Reviewed:
    """A review without the predictions."""
    with db.reading(engine) as tx:
        [circle] = _circles(tx, {connection_id: today}, now).values()
        survivor = books.survivors(tx, connection_id)
        if customer_ids is None:
            circle = replace(circle, known=_at_once(tx, circle))
            wanted = set(conclusions.every(tx, connection_id)) - survivor.keys()
        else:
            circle = replace(circle, ahead=False)
            wanted = {survivor.get(id, id) for id in customer_ids}
        gone = conclusions.gone(tx, connection_id, customer_ids)
    total = _look_at(engine, {connection_id: circle}, {(connection_id, id) for id in wanted}, now)
    if survivor or gone:
        with db.transaction(engine) as tx:
            conclusions.forget_merged(tx, connection_id, survivor, today)
            conclusions.forget(tx, connection_id, gone, today)
    return total


def night(engine: Engine, days: Mapping[str, dt.date], *, now: dt.datetime) -> Reviewed:
    """A new day of some organizations, each with the day that it is there: look at whom it may change.

    What is stored and read afterwards is what a review of everybody would leave (tests hold the two together).
    """
    total = look_by_night(engine, days, now=now)
    with db.reading(engine) as tx:
        learning = to_learn(tx, days)
    learn(engine, {id: days[id] for id in learning})
    return total


def look_by_night(engine: Engine, days: Mapping[str, dt.date], *, now: dt.datetime) -> Reviewed:
    """A night without the predictions."""
    with db.reading(engine) as tx:
        circles = _circles(tx, days, now)
        owing = ageing.standing(tx, circles)
        survivors = {id: books.survivors(tx, id) for id in books.merging(tx, circles)}
        woken = _woken(tx, circles, owing)
    judge = {(id, survivors.get(id, {}).get(who, who)) for id, who in woken.judge}
    total = _look_at(engine, circles, judge, now)
    total += _look_at(engine, circles, woken.message - judge, now, messages.look)
    with db.transaction(engine, repeatable=True) as tx:
        still = {key: each for key, each in owing.items() if key not in judge}
        ageing.keep(tx, circles, still)
        for connection_id, survivor in survivors.items():
            conclusions.forget_merged(tx, connection_id, survivor, days[connection_id])
    return total


_Look = Callable[[Connection, Mapping[str, Circle], Collection[Key], dt.datetime], Reviewed]


def _look_at(
    engine: Engine,
    circles: Mapping[str, Circle],
    wanted: Collection[Key],
    now: dt.datetime,
    look: _Look = looking.look,
) -> Reviewed:
    total, rest = Reviewed(), iter(sorted(wanted))
    while part := list(islice(rest, PART)):
        together = db.transaction(engine, repeatable=True)
        with bookwide.without_collecting(), together as tx, audit.at_the_end(tx), plan_rows.together(tx):
            total += look(tx, circles, part, now)
    return total


def _circles(tx: Connection, days: Mapping[str, dt.date], now: dt.datetime) -> dict[str, Circle]:
    organizations, decided = connections.some(tx, days), settings.of(tx, days)
    speaking, related = _speaking(tx, days), _related(tx, days)
    return {
        one.id: Circle(
            one,
            decided[one.id],
            days[one.id],
            _rules(one, decided[one.id], now),
            known={},
            spoken=one.id in speaking or one.id in related,
            speaking=frozenset(speaking.get(one.id, ())),
        )
        for one in organizations
    }


def _related(tx: Connection, connection_ids: Collection[str]) -> set[str]:
    """The organizations with customers who belong together, or of whom the ledger's balance is another one."""
    c, d = db.customers.c, db.differences.c
    related = sa.select(c.connection_id).where(
        db.among(tx, c.connection_id, connection_ids), c.parent_id != ""
    )
    apart = sa.select(d.connection_id).where(db.among(tx, d.connection_id, connection_ids))
    return {id for query in (related, apart) for id in tx.scalars(query.distinct())}


def _speaking(tx: Connection, connection_ids: Collection[str]) -> dict[str, set[str]]:
    """The customers with something on record that every day may make something else of, by organization."""
    h, p, r = db.holds.c, db.promises.c, db.reminders.c
    ways = (
        (h, h.lifted_at.is_(None)),
        (p, p.withdrawn_at.is_(None)),
        (r, r.level == contacts.HEARD),
    )
    found: dict[str, set[str]] = {}
    for c, counts in ways:
        mine = db.among(tx, c.connection_id, connection_ids)
        for connection_id, customer_id in tx.execute(
            sa.select(c.connection_id, c.customer_id).where(mine, counts)
        ):
            found.setdefault(connection_id, set()).add(customer_id)
    return found


def _woken(tx: Connection, circles: Mapping[str, Circle], owing: Mapping[Key, ageing.Standing]) -> Woken:
    """Whom this day may change, or who was changed since they were looked at."""
    named = {id: (circle.today, circle.rules) for id, circle in circles.items()}
    aged, overtaken = conclusions.to_review(tx, named), conclusions.overtaken(tx, named, owing)
    speaking = {(id, who) for id, circle in circles.items() for who in circle.speaking}
    changed = books.changed_of(tx, circles) | ageing.shifted(tx, circles, owing)
    judge = aged.judge | overtaken.judge | changed | speaking
    return Woken(judge, (aged.message | overtaken.message) - judge)


def to_learn(tx: Connection, days: Mapping[str, dt.date]) -> list[str]:
    """The organizations in whose books something happened since predictions learned from them, or in another week."""
    c, t = db.connections.c, db.track_records.c
    learned = sa.select(c.id, c.news_at, t.as_of).outerjoin(db.track_records, t.connection_id == c.id)
    return [
        row.id
        for row in tx.execute(learned.where(db.among(tx, c.id, days)).order_by(c.id))
        if row.news_at is not None or row.as_of is None or row.as_of < monday(days[row.id])
    ]


def _at_once(tx: Connection, circle: Circle) -> dict[str, Conclusion]:
    """What the books alone say of every customer. Who changes meanwhile is looked at again (`books.changed`)."""
    id, country = circle.organization.id, circle.organization.country
    rows = bookwide.rows(tx, id, circle.today)
    found = full_pass.conclude(tx, id, rows, circle.decided.policy, circle.today, country=country)
    return {c.customer_id: c for c in found}


def predict(engine: Engine, connection_id: str, *, today: dt.date) -> int:
    """Predict every open invoice anew from the whole of the organization's books. Returns how many.

    With it comes how right that would have been over the last twelve months (`track_record`).
    """
    return learn(engine, {connection_id: today})


def learn(engine: Engine, days: Mapping[str, dt.date]) -> int:
    """`predict` for some organizations, each with the day that it is there: from its own books alone, stored together."""
    count, waiting = 0, dict[str, _Learned]()
    for connection_id, today in days.items():
        with db.reading(engine) as tx:
            news = books.news(tx, connection_id)
            owing, account = books.on_account(tx, connection_id, today)
            columns, ids = bookwide.history(tx, connection_id, today, account)
        model = fit(columns, today.toordinal())
        answers = outlook.answers(model, ids) | outlook.there(owing, account)
        found = [conclusions.prediction(o) for o in answers.values()]
        waiting[connection_id] = _Learned(news, account, found, model.record)
        count += len(found)
        if len(waiting) == TOGETHER or len(found) > SMALL:
            _keep_learned(engine, waiting, days)
            waiting = {}
    _keep_learned(engine, waiting, days)
    return count


@dataclass(frozen=True, slots=True)
class _Learned:
    """Of one organization."""

    news: dt.datetime | None
    account: Held
    found: list[Prediction]
    record: Record


def _keep_learned(engine: Engine, learned: Mapping[str, _Learned], days: Mapping[str, dt.date]) -> None:
    if not learned:
        return
    on = {id: days[id] for id in learned}
    with db.transaction(engine, repeatable=True) as tx:
        conclusions.store_predictions(tx, {id: each.found for id, each in learned.items()}, on)
        track_record.keep(tx, {id: each.record for id, each in learned.items()}, on)
        said = {id: {p.invoice_id: p for p in each.found} for id, each in learned.items()}
        expecting.keep(tx, said, {id: each.account for id, each in learned.items()}, on)
        for id, each in learned.items():
            books.learned(tx, id, each.news)


def predict_new(engine: Engine, connection_id: str, customer_ids: Collection[str], *, today: dt.date) -> int:
    """Predict these customers' open invoices that the last whole review did not know yet. Returns how many.

    From the whole of a small book. From a larger one's customers by themselves: what the book would add is the
    documented prior until the next whole review.
    """
    with db.reading(engine) as tx:
        if track_record.of_connection(tx, connection_id) is None:
            return 0  # a whole review is still to come
        new = conclusions.unpredicted(tx, connection_id, customer_ids, today)
        if not new:
            return 0
        if books.counts(tx, connection_id)[Kind.INVOICE] <= SMALL:
            owing, account = books.on_account(tx, connection_id, today)
            columns, ids = bookwide.history(tx, connection_id, today, account)
            found = outlook.learn(columns, ids, today) | outlook.there(owing, account)
        else:
            found = {}
            for one in books.each_customer(tx, connection_id, set(new.values()), brief=True):
                found |= outlook.outlooks(one.invoices, one.payments, one.credits, today)
    said = [conclusions.prediction(found[id]) for id in new if id in found]
    with db.transaction(engine, repeatable=True) as tx:
        conclusions.add_predictions(tx, connection_id, said, today=today)
    return len(said)


@lru_cache(maxsize=1024)
def _policy_text(policy: Policy) -> str:
    """Most organizations of a practice have the same few."""
    return json.dumps(policy.to_json(), sort_keys=True)


def _rules(organization: Organization, decided: Settings, now: dt.datetime) -> str:
    """A fingerprint of everything beside a customer's own records that a review rests on."""
    read = organization.last_sync_at
    fresh = dt.timedelta(hours=decided.policy.reminders.max_sync_age_hours)
    known = [
        [fingerprint.of_source(package) for package in CODE],
        organization.id,
        organization.organization,
        organization.country,
        connections.dump_facts(organization.facts) if organization.facts else None,
        read is not None and now - read <= fresh,
        _policy_text(decided.policy),
        [decided.live, decided.ledger_reminders, decided.income_basis and decided.income_basis.value,
         decided.sales_tax_basis and decided.sales_tax_basis.value],
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]
