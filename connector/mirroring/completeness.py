"""The completeness proof: each customer's open balance, and how many invoices are open, against the ledger's own.

Two mistakes can cancel out in a sum of money; they hardly do in the count as well. A difference is named per customer, shown on the page, and holds reminders to that customer until it is gone.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter, defaultdict
from dataclasses import dataclass, fields

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection as Transaction
from sqlalchemy.engine import Engine

from connector import db
from connector.config import Config
from connector.connecting import connections
from connector.mirroring import books, sync
from connector.platforms import Ledger

log = logging.getLogger(__name__)

Key = tuple[str, str]  # customer, currency
set_aside = sync.set_aside  # the other thing that is missing from the mirror, and known to be


@dataclass(frozen=True, slots=True)
class Difference:
    """What our mirror and the ledger do not agree on about one customer: the open balance in minor units, the
    number of open invoices, or both."""

    customer_id: str
    currency: str
    ours: int
    theirs: int
    first_seen_at: dt.datetime
    seen_at: dt.datetime
    our_invoices: int = 0
    their_invoices: int = 0


def compare(
    engine: Engine, config: Config, connection_id: str, ledger: Ledger | None = None
) -> list[Difference]:
    """Compare the mirror with the ledger, keep the outcome, return the differences that are left.

    A document may change between our last pull and the ledger's figures. So a difference counts only when
    it survives one more pull and one more look. Raises the four errors.
    """
    ledger = ledger or connections.open_ledger(engine, config, connection_id, patience=sync.PATIENCE)
    found = _look(engine, connection_id, ledger)
    if found:
        sync.sync(engine, config, connection_id, thorough=True, ledger=ledger)
        found = _look(engine, connection_id, ledger)
    with db.transaction(engine) as tx:
        _keep(tx, connection_id, found, db.now())
        return differences(tx, connection_id)


@dataclass(frozen=True, slots=True)
class _Standing:
    """One customer in one currency."""

    balance: int = 0
    invoices: int = 0


_Apart = dict[Key, tuple[_Standing, _Standing]]  # ours, theirs


def _look(engine: Engine, connection_id: str, ledger: Ledger) -> _Apart:
    theirs = _standings(ledger.balances(), ledger.open_invoices())
    with db.reading(engine) as tx:
        ours = _standings(books.open_balances(tx, connection_id), books.open_invoices(tx, connection_id))
    nothing = _Standing()
    both = {key: (ours.get(key, nothing), theirs.get(key, nothing)) for key in ours.keys() | theirs.keys()}
    apart = {key: (here, there) for key, (here, there) in both.items() if here != there}
    if not apart:
        return apart
    with db.reading(engine) as tx:
        return _without_payers(apart, _paid_for_others(tx, connection_id))


def _paid_for_others(tx: Transaction, connection_id: str) -> list[tuple[str, str, str, int]]:
    """What a customer's money or credit settled of another's invoices: (who paid, whose invoice, currency, amount)."""
    a, i = db.allocations.c, db.invoices.c
    both = db.allocations.join(db.invoices, sa.and_(i.connection_id == a.connection_id, i.id == a.invoice_id))
    query = (
        sa.select(a.customer_id, i.customer_id, i.currency, sa.func.sum(a.amount))
        .select_from(both)
        .where(a.connection_id == connection_id, a.customer_id != i.customer_id)
        .group_by(a.customer_id, i.customer_id, i.currency)
    )
    last = books.survivors(tx, connection_id)
    return [
        (last.get(payer, payer), last.get(owner, owner), code, int(minor))
        for payer, owner, code, minor in tx.execute(query)
    ]


def _without_payers(apart: _Apart, paid: list[tuple[str, str, str, int]]) -> _Apart:
    """Without what is apart only because the ledger keeps a head office's payment of a branch's invoice in the balance
    of the head office, where the branch goes on owing it. No contract says which way QuickBooks does it, so both are
    right; but only where it explains to the cent everybody whom these payments tie together."""
    moved: Counter[Key] = Counter()
    tied: dict[Key, set[Key]] = defaultdict(set)
    for payer, owner, code, minor in paid:
        one, other = (payer, code), (owner, code)
        moved[one] -= minor
        moved[other] += minor
        tied[one].add(other)
        tied[other].add(one)

    def explained(key: Key) -> bool:
        here, there = apart.get(key, (_Standing(), _Standing()))
        return there == _Standing(here.balance + moved[key], here.invoices)

    left = dict(apart)
    seen: set[Key] = set()
    for key in apart:
        if key in seen or key not in tied:
            continue
        group, new = {key}, {key}
        while new:
            new = {k for one in new for k in tied[one]} - group
            group |= new
        seen |= group
        if all(explained(k) for k in group):
            left = {k: v for k, v in left.items() if k not in group}
    return left


def _standings(
    balances: dict[str, dict[str, int]], invoices: dict[str, dict[str, int]]
) -> dict[Key, _Standing]:
    open_, count = _flat(balances), _flat(invoices)
    return {key: _Standing(open_.get(key, 0), count.get(key, 0)) for key in open_.keys() | count.keys()}


def _flat(balances: dict[str, dict[str, int]]) -> dict[Key, int]:
    return {(id, code): minor for id, sums in balances.items() for code, minor in sums.items() if minor}


def _keep(tx: Transaction, connection_id: str, found: _Apart, now: dt.datetime) -> None:
    before = {(d.customer_id, d.currency) for d in differences(tx, connection_id)}
    c = db.differences.c
    for customer_id, currency in before - found.keys():
        tx.execute(
            sa.delete(db.differences).where(
                c.connection_id == connection_id, c.customer_id == customer_id, c.currency == currency
            )
        )
    insert = (postgresql if tx.dialect.name == "postgresql" else sqlite).insert(db.differences)
    for (customer_id, currency), (ours, theirs) in found.items():
        row = {
            "connection_id": connection_id,
            "customer_id": customer_id,
            "currency": currency,
            "first_seen_at": now,
            **(now_apart := _columns(ours, theirs, now)),
        }
        tx.execute(
            insert.values(row).on_conflict_do_update(
                index_elements=["connection_id", "customer_id", "currency"],
                set_=now_apart,
            )
        )
    # Holds follow from differences: whoever got one or lost one is looked at again.
    books.note_changed(tx, connection_id, {id for id, _ in before ^ found.keys()}, now)
    tx.execute(
        sa.update(db.connections).where(db.connections.c.id == connection_id).values(last_proof_at=now)
    )


def _columns(ours: _Standing, theirs: _Standing, now: dt.datetime) -> dict[str, object]:
    return {
        "ours": ours.balance,
        "theirs": theirs.balance,
        "our_invoices": ours.invoices,
        "their_invoices": theirs.invoices,
        "seen_at": now,
    }


def differences(tx: Transaction, connection_id: str, customer_id: str | None = None) -> list[Difference]:
    """What the last comparison left, largest first; of one customer when named."""
    c = db.differences.c
    columns = [c[f.name] for f in fields(Difference)]
    query = sa.select(*columns).where(c.connection_id == connection_id)
    if customer_id is not None:
        query = query.where(c.customer_id == customer_id)
    found = [Difference(*row) for row in tx.execute(query)]
    return sorted(found, key=lambda d: (-abs(d.ours - d.theirs), d.customer_id, d.currency))
