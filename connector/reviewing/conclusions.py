"""What a review concluded about customers: findings with their history, an assessment, predictions.

A finding stays open while it is seen; once it is gone it is closed and kept. Everything here can be rebuilt
from the books by another review.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector import bulk, db
from connector.db import assessments, customers, findings, invoices, predictions
from connector.domain import assessment, codec
from connector.domain.assessment import NOT_ENOUGH
from connector.domain.findings import Evidence, Finding, Share
from connector.domain.prediction.outlook import Outlook
from connector.record import audit

Key = tuple[str, str]  # connection, customer
SLOW = dt.timedelta(minutes=30)  # by which the clocks of two machines may differ
FEW = 500  # ids that one statement is given


@dataclass(frozen=True, slots=True)
class Balance:
    """One currency of one customer. `buckets` by the due dates in the ledger, `contract` by the original ones."""

    currency: str
    open: int
    overdue: int
    unapplied: int
    buckets: dict[str, int]
    contract: dict[str, int]


@dataclass(frozen=True, slots=True)
class Override:
    """A person's own judgement of a customer. It stands until it is taken back."""

    segment: str
    reason: str
    who: str
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class Conclusion:
    """One customer as of the last review. `priority` orders customers, highest first.

    `segment` is what the books say; `kind` is what counts, a person's override first. `changes` say what would
    change the segment, `path` how to go on: wait, none, nudge, plan, stricter_terms, dispute_desk or talk.
    Although nothing happens, `judge_on` is the first day that may bring another conclusion, and `next_on` the first that
    may bring that or another message. `judged_on` is the day from which everything is counted, and `looked_on` the one
    from which the words of a message are, where the conclusion is known to hold longer (`as_of`).
    """

    customer_id: str
    findings: tuple[Finding, ...] = ()
    segment: str = NOT_ENOUGH
    reasons: tuple[str, ...] = ()
    priority: float = 0.0
    balances: tuple[Balance, ...] = ()
    as_of: dt.date | None = None
    changes: tuple[str, ...] = ()
    path: str = ""
    override: Override | None = None
    judge_on: dt.date | None = field(default=None, compare=False)
    next_on: dt.date | None = field(default=None, compare=False)
    judged_on: dt.date | None = field(default=None, compare=False)
    looked_on: dt.date | None = field(default=None, compare=False)

    @property
    def kind(self) -> str:
        return self.override.segment if self.override else self.segment


@dataclass(frozen=True, slots=True)
class Prediction:
    """One open invoice. Chances from 0 to 1; `basis` says what they rest on: history, pooled or none."""

    invoice_id: str
    late: float | None = None
    late_30: float | None = None
    expected_payment: dt.date | None = None
    basis: str = "none"
    earliest: dt.date | None = None  # four of five are expected between these two
    latest: dt.date | None = None
    stays_open: float | None = None  # part-paid: the chance to be open a year after the first part


def prediction(outlook: Outlook) -> Prediction:
    """As stored and exported."""
    return Prediction(
        outlook.invoice_id,
        outlook.late,
        outlook.late_30,
        outlook.expected,
        outlook.basis,
        outlook.earliest,
        outlook.latest,
        outlook.stays_open,
    )


def store(
    tx: Connection,
    connection_id: str,
    concluded: Collection[Conclusion],
    *,
    today: dt.date,
    now: dt.datetime,
    rules: str = "",
) -> None:
    """Replace what was concluded about these customers. A person's override stays. `rules`: see `to_review`."""
    found = {(connection_id, c.customer_id): c for c in concluded}
    store_of(tx, found, today={connection_id: today}, now=now, rules={connection_id: rules})


def before(tx: Connection, keys: Collection[Key]) -> dict[Key, Any]:
    """What was concluded last about customers of any organizations, as stored."""
    a = assessments.c
    if (one := _of_one(keys)) is not None:
        rows = tx.execute(_BEFORE, one)
    else:
        query = sa.select(a.connection_id, a.customer_id, *(a[name] for name in _SAID))
        rows = tx.execute(query.select_from(db.of_these(tx, assessments, keys)))
    return {(row.connection_id, row.customer_id): row for row in rows}


def said_of(tx: Connection, keys: Collection[Key]) -> dict[Key, Any]:
    """Of what `before` says the little that a message rests on."""
    a = assessments.c
    query = sa.select(a.connection_id, a.customer_id, a.segment, a.data, a.judge_on)
    rows = tx.execute(query.select_from(db.of_these(tx, assessments, keys))).all()
    return {(row.connection_id, row.customer_id): row for row in rows}


def judged_otherwise(before: Any | None) -> str:
    """The kind that a person chose, by what `before` said; "" where nobody did."""
    chosen = ((before.data or {}).get("override") or {}) if before else {}
    return str(chosen.get("segment", ""))


def store_of(
    tx: Connection,
    concluded: Mapping[Key, Conclusion],
    *,
    today: Mapping[str, dt.date],
    now: dt.datetime,
    rules: Mapping[str, str],
    known: Mapping[Key, Any] | None = None,
) -> None:
    """The same for customers of any organizations. `known` is what `before` said a moment ago."""
    known = before(tx, concluded) if known is None else known
    _store_findings(tx, {key: c.findings for key, c in concluded.items()}, today)
    new, other, same = list[dict[str, Any]](), list[dict[str, Any]](), list[dict[str, Any]]()
    for (connection_id, _), c in concluded.items():
        old, day = known.get((connection_id, c.customer_id)), today[connection_id]
        override = {"override": old.data["override"]} if old and (old.data or {}).get("override") else {}
        said = {
            "segment": c.segment,
            "reasons": list(c.reasons),
            "priority": c.priority,
            "balances": [{name: getattr(b, name) for name in _BALANCE} for b in c.balances],
            "data": {"changes": list(c.changes), "path": c.path, **override},
            "judge_on": c.judge_on,
            "next_on": c.next_on,
            "rules": rules[connection_id],
            "overdue": max((b.overdue for b in c.balances if b.open), default=None),
            "findings": len(c.findings),
        }
        key = {"connection_id": connection_id, "customer_id": c.customer_id}
        seen = {**key, "judged_on": day, "as_of": day, "reviewed_at": now}
        if old is None:
            new.append(seen | said)
        elif all(getattr(old, name) == value for name, value in said.items()):
            same.append(seen)
        else:
            other.append(seen | said)
    bulk.insert(tx, assessments, new)
    for rows in (other, same):
        bulk.update(tx, assessments, ("connection_id", "customer_id"), rows)


# Made once: building a statement takes several times as long as running it for one customer.
_MINE = sa.and_(
    assessments.c.connection_id == sa.bindparam("connection"),
    assessments.c.customer_id == sa.bindparam("customer"),
)
_BALANCE = tuple(f.name for f in fields(Balance))
_SAID = (
    *("segment", "reasons", "priority", "balances", "data", "judge_on", "next_on", "rules", "overdue"),
    "findings",
)
_BEFORE = sa.select(
    assessments.c.connection_id, assessments.c.customer_id, *(assessments.c[n] for n in _SAID)
).where(_MINE)
_STILL = sa.select(findings).where(
    findings.c.connection_id == sa.bindparam("connection"),
    findings.c.customer_id == sa.bindparam("customer"),
    findings.c.closed_on.is_(None),
)


def _of_one(keys: Collection[Key]) -> dict[str, str] | None:
    """The parameters for statements about one customer, if it is one."""
    for connection_id, customer_id in keys if len(keys) == 1 else ():
        return {"connection": connection_id, "customer": customer_id}
    return None


def every(tx: Connection, connection_id: str) -> list[str]:
    """All customers of an organization."""
    return list(tx.scalars(sa.select(customers.c.id).where(customers.c.connection_id == connection_id)))


def looked_at(
    tx: Connection, next_on: Mapping[Key, dt.date], *, today: Mapping[str, dt.date], now: dt.datetime
) -> None:
    """The messages of these customers were looked at, and what is concluded about them still holds."""
    rows = [
        {
            "connection_id": key[0],
            "customer_id": key[1],
            "as_of": today[key[0]],
            "reviewed_at": now,
            "next_on": day,
        }
        for key, day in next_on.items()
    ]
    bulk.update(tx, assessments, ("connection_id", "customer_id"), rows)


@dataclass(frozen=True, slots=True)
class Woken:
    """Customers about whom something else may follow: another conclusion (`judge`), or only another message."""

    judge: set[Key] = field(default_factory=set)
    message: set[Key] = field(default_factory=set)


def to_review(tx: Connection, circles: Mapping[str, tuple[dt.date, str]]) -> Woken:
    """The customers about whom this day may bring something else, though none of their records changed.

    By organization its day, and a fingerprint of everything that its customers have in common: what was concluded
    by another one is worth another look. No two organizations have the same.
    """
    c, a = customers.c, assessments.c
    same = sa.and_(a.connection_id == c.connection_id, a.customer_id == c.id)
    days: dict[dt.date, list[str]] = defaultdict(list)
    for id, (today, _) in circles.items():
        days[today].append(id)
    woken = Woken()
    for today, ids in days.items():
        rules = [circles[id][1] for id in ids]
        holds = sa.func.coalesce(
            sa.and_(a.as_of <= today, a.judge_on > today, db.among(tx, a.rules, rules)), sa.false()
        )
        still = sa.and_(holds, a.next_on > today)
        query = (
            sa.select(c.connection_id, c.id, holds)
            .select_from(customers.outerjoin(assessments, same))
            .where(db.among(tx, c.connection_id, ids), c.merged_into == "")
            .where(sa.func.coalesce(still, sa.false()).is_(sa.false()))
        )
        for connection_id, id, judged in tx.execute(query).all():
            (woken.message if judged else woken.judge).add((connection_id, id))
    return woken


def overtaken(tx: Connection, circles: Mapping[str, tuple[dt.date, str]], owing: Collection[Key]) -> Woken:
    """The customers to whom something happened on our side since they were looked at: a reminder reached them, a plan
    was answered. And the parents of others, of those who are `owing`. `circles` as `to_review`.

    What bears another moment than the look and is hardly older counts, too: another machine's clock may be slow.
    """
    a, c, ids, woken = assessments.c, customers.c, list(circles), Woken()
    if tx.dialect.name == "sqlite":
        since: Any = sa.func.strftime("%Y-%m-%d %H:%M:%f", a.reviewed_at, f"-{SLOW.seconds} seconds")
    else:
        since = sa.cast(a.reviewed_at, sa.DateTime(timezone=True)) - sa.literal(SLOW, sa.Interval())
    for table in (db.reminders, db.plans):
        same = sa.and_(a.connection_id == table.c.connection_id, a.customer_id == table.c.customer_id)
        moment = table.c.updated_at
        later = sa.and_(same, moment > since, moment != a.reviewed_at)
        query = sa.select(a.connection_id, a.customer_id, a.as_of, a.judge_on, a.rules)
        query = query.select_from(assessments.join(table, later)).where(db.among(tx, a.connection_id, ids))
        for connection_id, id, as_of, judge_on, rules in tx.execute(query).all():
            today, known = circles[connection_id]
            holds = judge_on is not None and as_of <= today < judge_on and rules == known
            message = holds and table is db.reminders
            (woken.message if message else woken.judge).add((connection_id, id))
    parents = sa.select(c.connection_id, c.parent_id).where(
        db.among(tx, c.connection_id, ids), c.parent_id != ""
    )
    woken.judge.update({(row[0], row[1]) for row in tx.execute(parents.distinct())} & set(owing))
    return woken


def forget_merged(tx: Connection, connection_id: str, away: Collection[str], today: dt.date) -> None:
    """Customers who live on as another one (`away`) are not concluded about by themselves any more."""
    c, a = customers.c, assessments.c
    same = sa.and_(a.connection_id == c.connection_id, a.customer_id == c.id)
    merged = sa.select(a.customer_id).join(customers, same)
    merged = merged.where(c.connection_id == connection_id, c.merged_into != "")
    forget(tx, connection_id, [id for id in tx.scalars(merged) if id in away], today)


def gone(tx: Connection, connection_id: str, among: Collection[str] | None = None) -> list[str]:
    """Customers whom something is concluded about, and who left the books; `among`: of these alone, where few."""
    c, a = customers.c, assessments.c
    same = sa.and_(a.connection_id == c.connection_id, a.customer_id == c.id)
    left = sa.select(a.customer_id).outerjoin(customers, same)
    left = left.where(a.connection_id == connection_id, c.id.is_(None))
    if among is not None and len(among) <= FEW:
        left = left.where(a.customer_id.in_(sorted(among)))
    return list(tx.scalars(left))


def forget(tx: Connection, connection_id: str, ids: Sequence[str], today: dt.date) -> None:
    """Conclude nothing about these customers any more: what was found is closed."""
    if ids:
        a = assessments.c
        _store_findings(tx, {(connection_id, id): () for id in ids}, {connection_id: today})
        tx.execute(sa.delete(assessments).where(a.connection_id == connection_id, a.customer_id.in_(ids)))


def override(
    tx: Connection,
    connection_id: str,
    customer_id: str,
    segment: str | None,
    *,
    reason: str,
    who: str,
    now: dt.datetime,
) -> None:
    """A person judges the customer otherwise, or (None) leaves it to the books again.

    Raises ValueError for an unknown segment or a missing reason, with a sentence; LookupError before the
    first review.
    """
    if segment is not None and segment not in assessment.SEGMENTS:
        raise ValueError(f"{segment!r} is no kind of customer; there are {', '.join(assessment.SEGMENTS)}.")
    if segment is not None and not reason.strip():
        raise ValueError("Write down why you see this customer otherwise.")
    here = sa.and_(assessments.c.connection_id == connection_id, assessments.c.customer_id == customer_id)
    row = tx.execute(sa.select(assessments).where(here)).one_or_none()
    if row is None:
        raise LookupError(f"Customer {customer_id} has not been reviewed yet.")
    data = dict(row.data or {})
    before = data.pop("override", None)
    if segment is not None:
        data["override"] = codec.to_json(Override(segment, reason.strip(), who, now))
    tx.execute(sa.update(assessments).where(here).values(data=data))
    audit.record(
        tx,
        who=who,
        what="judged a customer otherwise" if segment else "left the judgement to the books",
        connection_id=connection_id,
        subject=f"customer {customer_id}",
        why=reason,
        before=before,
        after=data.get("override"),
        now=now,
    )


def _shown(evidence: Evidence) -> dict[str, Any]:
    return {"invoice": evidence.invoice, "date": evidence.date.isoformat(), "amount": evidence.amount}


def _store_findings(
    tx: Connection, seen: Mapping[Key, Iterable[Finding]], today: Mapping[str, dt.date]
) -> None:
    if (one := _of_one(seen)) is not None:
        still = tx.execute(_STILL, one)
    else:
        query = sa.select(findings).select_from(db.of_these(tx, findings, seen))
        still = tx.execute(query.where(findings.c.closed_on.is_(None)))
    open_ = {(row.connection_id, row.customer_id, row.kind, row.key): row for row in still}
    new, changed = [], []
    for (connection_id, customer_id), found in seen.items():
        day = today[connection_id]
        for position, finding in enumerate(found):
            values = {
                "position": position,
                "since": finding.since,
                "evidence": [_shown(e) for e in finding.evidence],
                "text": finding.text,
            }
            old = open_.pop((connection_id, customer_id, finding.kind, finding.currency), None)
            if old is None:
                new.append(
                    {
                        "connection_id": connection_id,
                        "customer_id": customer_id,
                        "kind": finding.kind,
                        "key": finding.currency,
                        "opened_on": day,
                        "seen_on": day,
                        **values,
                    }
                )
            elif any(getattr(old, name) != value for name, value in values.items()):
                changed.append({"id": old.id, "seen_on": day, **values})
    bulk.update(tx, findings, ("id",), changed)
    bulk.insert(tx, findings, new)
    if open_:
        gone: dict[dt.date, list[int]] = defaultdict(list)
        for row in open_.values():
            gone[today[row.connection_id]].append(row.id)
        for day, ids in gone.items():
            tx.execute(sa.update(findings).where(findings.c.id.in_(ids)).values(closed_on=day))


def of_connection(tx: Connection, connection_id: str) -> list[Conclusion]:
    """Every reviewed customer, the most pressing first."""
    return _conclusions(tx, connection_id, None)


def of_customer(tx: Connection, connection_id: str, customer_id: str) -> Conclusion | None:
    """None before the first review."""
    return next(iter(_conclusions(tx, connection_id, [customer_id])), None)


def of_customers(tx: Connection, connection_id: str, customer_ids: Collection[str]) -> list[Conclusion]:
    """These customers, the most pressing first."""
    return _conclusions(tx, connection_id, customer_ids)


def _conclusions(
    tx: Connection, connection_id: str, customer_ids: Collection[str] | None
) -> list[Conclusion]:
    query = sa.select(assessments).where(assessments.c.connection_id == connection_id)
    open_ = sa.select(findings).where(
        findings.c.connection_id == connection_id, findings.c.closed_on.is_(None)
    )
    if customer_ids is not None:
        query = query.where(assessments.c.customer_id.in_(list(customer_ids)))
        open_ = open_.where(findings.c.customer_id.in_(list(customer_ids)))
    found: dict[str, list[Finding]] = defaultdict(list)
    c = db.connections.c
    last = tx.scalar(sa.select(c.last_review_on).where(c.id == connection_id))
    for row in tx.execute(open_.order_by(findings.c.customer_id, findings.c.position)):
        found[row.customer_id].append(_finding(row))
    return [
        Conclusion(
            customer_id=row.customer_id,
            findings=tuple(found[row.customer_id]),
            segment=row.segment,
            reasons=tuple(row.reasons or ()),
            priority=row.priority,
            balances=tuple(codec.from_json(Balance, b) for b in row.balances or ()),
            as_of=_holds_for(row, last),
            judge_on=row.judge_on,
            next_on=row.next_on,
            judged_on=row.judged_on or row.as_of,
            looked_on=row.as_of,
            changes=tuple((row.data or {}).get("changes", ())),
            path=(row.data or {}).get("path", ""),
            override=codec.from_json(Override, row.data["override"])
            if (row.data or {}).get("override")
            else None,
        )
        for row in sorted(tx.execute(query), key=lambda row: (-row.priority, row.customer_id))
    ]


def _holds_for(row: Any, last: dt.date | None) -> dt.date | None:
    """The last day for which the conclusion is known to hold: a whole review leaves quiet customers alone."""
    if last is None or row.next_on is None or row.as_of is None or last <= row.as_of:
        return row.as_of  # type: ignore[no-any-return]
    return min(last, row.next_on - dt.timedelta(1))  # type: ignore[no-any-return]


def _finding(row: Any) -> Finding:
    evidence = tuple(codec.from_json(Evidence, e) for e in row.evidence or ())
    return Finding(row.kind, row.since, evidence, row.key, row.text)


def owed(tx: Connection, connection_id: str) -> dict[str, Share]:
    """What all customers together owe, by currency."""
    return owed_of(tx, [connection_id]).get(connection_id, {})


def owed_of(tx: Connection, connection_ids: Collection[str]) -> dict[str, dict[str, Share]]:
    """The same of several organizations."""
    query = (
        sa.select(
            invoices.c.connection_id,
            invoices.c.currency,
            sa.func.sum(invoices.c.balance).label("open"),
            sa.func.count(sa.distinct(invoices.c.customer_id)).label("customers"),
        )
        .where(
            db.among(tx, invoices.c.connection_id, connection_ids),
            invoices.c.balance > 0,
            invoices.c.status.in_(["open", "partly_paid"]),
        )
        .group_by(invoices.c.connection_id, invoices.c.currency)
    )
    found: dict[str, dict[str, Share]] = defaultdict(dict)
    for row in tx.execute(query):
        found[row.connection_id][row.currency] = Share(int(row.open), row.customers)
    return found


def store_predictions(
    tx: Connection, found: Mapping[str, Collection[Prediction]], days: Mapping[str, dt.date]
) -> None:
    """Replace all predictions of these organizations."""
    tx.execute(sa.delete(predictions).where(db.among(tx, predictions.c.connection_id, found)))
    _insert_predictions(tx, found, days)


def add_predictions(
    tx: Connection, connection_id: str, found: Collection[Prediction], *, today: dt.date
) -> None:
    """Beside those that there are."""
    c = predictions.c
    ids = [p.invoice_id for p in found]
    tx.execute(sa.delete(predictions).where(c.connection_id == connection_id, c.invoice_id.in_(ids)))
    _insert_predictions(tx, {connection_id: found}, {connection_id: today})


def _insert_predictions(
    tx: Connection, found: Mapping[str, Collection[Prediction]], days: Mapping[str, dt.date]
) -> None:
    rows = [
        {
            "connection_id": connection_id,
            "invoice_id": p.invoice_id,
            "late": p.late,
            "late_30": p.late_30,
            "expected_payment": p.expected_payment,
            "basis": p.basis,
            "earliest": p.earliest,
            "latest": p.latest,
            "stays_open": p.stays_open,
            "as_of": days[connection_id],
        }
        for connection_id, mine in found.items()
        for p in mine
    ]
    bulk.insert(tx, predictions, rows)


def unpredicted(
    tx: Connection, connection_id: str, customer_ids: Collection[str], today: dt.date
) -> dict[str, str]:
    """Invoice → customer of what these customers have open without a prediction; our own installments get none."""
    i, p = invoices.c, predictions.c
    same = sa.and_(p.connection_id == i.connection_id, p.invoice_id == i.id)
    query = (
        sa.select(i.id, i.customer_id)
        .select_from(invoices.outerjoin(predictions, same))
        .where(
            i.connection_id == connection_id,
            i.customer_id.in_(list(customer_ids)),
            i.balance > 0,
            i.status.in_(["open", "partly_paid"]),
            i.marker == "",
            i.date <= today,
            p.invoice_id.is_(None),
        )
    )
    return {row.id: row.customer_id for row in tx.execute(query)}


def predicted(tx: Connection, connection_id: str) -> dict[str, Prediction]:
    """Predictions by invoice id."""
    query = sa.select(predictions).where(predictions.c.connection_id == connection_id)
    return {
        row.invoice_id: Prediction(
            row.invoice_id,
            row.late,
            row.late_30,
            row.expected_payment,
            row.basis,
            row.earliest,
            row.latest,
            row.stays_open,
        )
        for row in tx.execute(query)
    }
