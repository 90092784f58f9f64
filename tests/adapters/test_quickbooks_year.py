"""A busy year in a pretend QuickBooks, swept again and again: the mirror ends up as a fresh look at everything."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest

from connector.domain.receivables import Kind
from sandbox import acts
from sandbox.documents import Deposit, DepositLine, Ref
from sandbox.ledger import Ledger
from sandbox.refusals import Refusal
from tests.adapters.conftest import Connected, Office
from tests.adapters.test_contract import mirrored


def act(books: Ledger, chance: random.Random, *, odd: bool) -> None:
    """One thing that a customer or a bookkeeper does; the ledger may refuse it. `odd`: merges and deposits too."""
    customers = [c.id for c in books.customers if c.active]
    invoices = [i for i in books.invoices if i.live]
    some, day = chance.choice(invoices), books.clock.today()
    what = chance.random()
    if what < 0.3:
        net = chance.randint(1_000, 90_000)
        acts.bill(books, customer=chance.choice(customers), net=net, day=day, due=day + timedelta(days=30))
    elif what < 0.48:
        acts.pay(books, invoice=some.id, amount=chance.randint(1, max(1, some.balance)))
    elif what < 0.54:
        acts.pay(books, customer=some.customer, amount=chance.randint(1, 60_000))
    elif what < 0.62:
        acts.credit(books, invoice=some.id, amount=chance.randint(1, max(1, some.balance)))
    elif what < 0.67:
        acts.void(books, Ref("invoice", some.id))
    elif what < 0.72:
        books.delete(Ref("payment", chance.choice(list(books.payments)).id))
    elif what < 0.76:
        books.void(Ref("payment", chance.choice(list(books.payments)).id))
    elif what < 0.80:
        waiting = [p for p in books.payments if p.live and p.unapplied]
        if waiting:
            acts.apply_money(books, source=Ref("payment", chance.choice(waiting).id), invoice=some.id)
    elif what < 0.84:
        notes = [c for c in books.credit_notes if c.live and c.balance]
        if notes:
            acts.apply_credit(books, credit_note=chance.choice(notes).id, invoice=some.id)
    elif what < 0.88:
        books.edit(Ref("invoice", some.id), due=day + timedelta(days=chance.randint(1, 90)))
    elif what < 0.92:
        acts.journal(books, customer=chance.choice(customers), amount=chance.choice([-1, 1]) * 4_000)
    elif what < 0.94 and odd:
        account, bank = books.account_by_role("receivable").id, books.account_by_role("bank").id
        line = DepositLine(amount=1_500, account=account, customer=chance.choice(customers))
        books.add_deposit(Deposit(date=day, account=bank, lines=[line]))
    elif what < 0.96 and len(books.journals):
        books.delete(Ref("journal", chance.choice(list(books.journals)).id))
    elif what < 0.985 or not odd:
        acts.add_customer(books, name=f"Customer {chance.randint(1, 10**9)}")
    elif len(customers) > 3:
        loser, survivor = chance.sample(customers, 2)
        books.merge_customers(loser, survivor)


@pytest.fixture
def harbour(office: Office) -> Connected:
    office.world.clock.set_today(date(2025, 11, 21))
    return office.connect("quickbooks", office.add("quickbooks"))


@pytest.mark.parametrize(("seed", "odd"), [(1, True), (2, True), (3, False), (4, False)])
def test_after_a_year_the_mirror_equals_a_fresh_look(harbour: Connected, seed: int, odd: bool) -> None:
    chance = random.Random(seed)
    mirror = mirrored(harbour.open())
    done = 0
    for _ in range(60):  # sixty times six days
        for _ in range(chance.randint(0, 8)):
            try:
                act(harbour.pretend, chance, odd=odd)
                done += 1
            except Refusal:
                continue
        harbour.office.world.clock.advance(days=6, seconds=chance.randint(0, 3))
        if chance.random() < 0.8:  # the other webhooks and sweeps are lost
            kinds = chance.choice([None, frozenset({chance.choice(list(Kind))})])
            mirror.store(harbour.open().pull(mirror.cursor, kinds))
    mirror.store(harbour.open().pull(mirror.cursor))
    fresh = mirrored(harbour.open())
    assert done > 150
    for kind in Kind:
        assert mirror.records[kind] == fresh.records[kind], kind
    if odd:  # the pretend ledger leaves deposits and merged journals out of a customer's own balance
        return
    theirs = {id: sums["USD"] for id, sums in harbour.open().balances().items() if sums.get("USD")}
    assert fresh.net() == theirs
