"""Practices that know nothing of each other, in one installation: what each may see, and a way to try everything.

Every text of a practice holds its own canary word. `probe` sends random requests of random people with random ids
and reports each answer that shows, and each request that changes, what belongs to somebody else.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.engine import Engine
from werkzeug.routing import Rule

from connector import db
from connector.config import Config
from connector.connecting import connections
from connector.customer_page import customer_answers, customer_files
from connector.domain.receivables import Customer, Invoice, Organization, Status
from connector.mirroring import mirror
from connector.planning import todos
from connector.platforms import Batch, Identity
from connector.practice import people
from connector.record import audit
from connector.reviewing import review

NOW = dt.datetime(2026, 11, 18, 15, 0, tzinfo=dt.UTC)
TODAY = dt.date(2026, 11, 18)
WORDS = ("Albatross", "Bellbird", "Cassowary")
SHARED_ID = "77"  # a customer and an invoice id that every ledger happens to use


@dataclass
class Tenant:
    """One organization with one person for each role, and every id that leads to something of it."""

    word: str
    connection_id: str
    ids: dict[str, list[str]] = field(default_factory=dict)
    people: dict[str, FlaskClient] = field(default_factory=dict)
    csrf: dict[str, str] = field(default_factory=dict)


def make(engine: Engine, config: Config, app: Flask) -> list[Tenant]:
    """One tenant for each word, with customers, invoices, plans, writes, tasks and a log."""
    return [_tenant(engine, app, word) for word in WORDS]


def _tenant(engine: Engine, app: Flask, word: str) -> Tenant:
    id = _plain(word)
    tenant = Tenant(word, id)
    facts = Organization(f"ext-{id}", f"{word} Supply", "US", "USD", "America/New_York")
    with db.transaction(engine) as tx:
        tx.execute(
            sa.insert(db.connections).values(
                id=id, platform="xero", external_id=f"ext-{_plain(word)}", organization=f"{word} Supply", country="US",
                home_currency="USD", timezone="America/New_York", created_at=NOW, last_sync_at=NOW,
                facts=connections.dump_facts(facts),
            )
        )  # fmt: skip
        mirror.store(tx, id, _books(word), 1)
    review.review(engine, id, now=NOW, today=TODAY)
    with db.transaction(engine) as tx:
        todos.ask(tx, id, "call", f"{word}: call them", now=NOW)
        number = tx.scalar(sa.select(sa.func.min(db.plans.c.number)).where(db.plans.c.connection_id == id))
        for position, state in enumerate(("failed", "done")):
            tx.execute(
                sa.insert(db.writes).values(
                    connection_id=id, plan=number, plan_version=1, batch=f"PP-{number:04} v1", position=position,
                    kind="note", key=f"{word}-{state}", state=state, error=f"{word} says no",
                    payload={"kind": "invoice", "document_id": SHARED_ID, "text": f"{word} note", "marker": word},
                    created_at=NOW, updated_at=NOW,
                )
            )  # fmt: skip
        _answered(tx, id, word)
        audit.record(tx, who=f"{word} Owner", what="settings", now=NOW, connection_id=id, subject=word)
    tenant.ids = _ids(engine, id)
    tenant.ids["person_id"] = []
    for role in people.ROLES:
        tenant.people[role], tenant.csrf[role] = _signed_in(engine, app, id, role, word)
    with db.reading(engine) as tx:
        tenant.ids["person_id"] = [str(person.id) for person, _ in people.members(tx, id)]
    return tenant


def _answered(tx: Any, id: str, word: str) -> None:
    """A customer disputed an invoice on their own page, and sent a file."""
    link = sa.insert(db.customer_links).values(
        connection_id=id, customer_id=SHARED_ID, digest=_plain(word), documents=[SHARED_ID], origin="person",
        created_at=NOW, expires_at=NOW + dt.timedelta(days=9999),
    )  # fmt: skip
    whence = customer_answers.From(
        id, SHARED_ID, tx.execute(link).inserted_primary_key[0], _plain(word), "", ""
    )
    data = {"reason": "other", "note": f"{word} is wrong", "number": word, "by": "2026-11-20"}
    answer = customer_answers.keep(
        tx, whence, "dispute", state="waits", data=data, now=NOW, invoice_id=SHARED_ID
    )
    customer_files.keep(tx, answer, f"{word}.pdf", "application/pdf", f"%PDF-{word}".encode(), NOW)


def _plain(word: str) -> str:
    """An id that does not hold the word, so that a typed id can be shown again without being a leak."""
    return hashlib.sha256(word.encode()).hexdigest()[:12]


def _books(word: str) -> Batch:
    customers, invoices = [], []
    for n, id in enumerate((SHARED_ID, f"c{_plain(word)}")):
        customers.append(Customer(id, f"{word} Customer {n}", email=f"{word}{n}@x.example", currency="USD"))
        invoices.append(
            Invoice(
                id=SHARED_ID if n == 0 else f"i{_plain(word)}", number=f"{word}-{n}", customer_id=id,
                date=dt.date(2026, 7, 1), due=dt.date(2026, 7, 31), currency="USD", total=90_000, balance=90_000,
                status=Status.OPEN, note=f"{word} note",
            )
        )  # fmt: skip
    return Batch(customers=tuple(customers), invoices=tuple(invoices))


def _ids(engine: Engine, connection_id: str) -> dict[str, list[str]]:
    """What each kind of id in an address may be, by the name of its place there."""

    def column(tx: Any, wanted: Any) -> list[str]:
        return [
            str(x) for x in tx.scalars(sa.select(wanted).where(wanted.table.c.connection_id == connection_id))
        ]

    with db.reading(engine) as tx:
        found = {
            "connection_id": [connection_id],
            "customer_id": column(tx, db.customers.c.id),
            "plan_id": [f"PP-{int(n):04}" for n in column(tx, db.plans.c.number)],
            "write_id": column(tx, db.writes.c.id),
            "todo_id": column(tx, db.todos.c.id),
            "reminder_id": column(tx, db.reminders.c.id),
            "answer_id": column(tx, db.customer_answers.c.id),
            "file_id": column(tx, db.customer_files.c.id),
            "invoice": column(tx, db.invoices.c.id),
            "record_id": column(tx, db.invoices.c.id),
        }
    assert all(found[name] for name in ("customer_id", "plan_id", "write_id", "todo_id"))
    return found


def _signed_in(
    engine: Engine, app: Flask, connection_id: str, role: str, word: str
) -> tuple[FlaskClient, str]:
    with db.transaction(engine) as tx:
        identity = Identity(
            "https://issuer.example", f"{word}-{role}", f"{role}@{word}.example", True, f"{word} {role}"
        )
        person = people.sign_in(tx, identity, db.now())
        people.grant(tx, person.id, connection_id, role, by="test", now=db.now())
        key = people.start_session(tx, person.id, db.now())
    client = app.test_client()
    with client.session_transaction() as session:
        session["key"], session["csrf"] = key, "token-of-this-test"
    return client, "token-of-this-test"


# ---------------------------------------------------------------- trying

# Parts of addresses that lead to nobody's records by themselves. Whoever has a token is who it was made for.
WORDS_IN_ADDRESSES = ("filename", "platform", "name", "kind", "form", "act", "rest", "token")


@dataclass(frozen=True, slots=True)
class Leak:
    who: str
    method: str
    path: str
    what: str


def probe(
    engine: Engine, app: Flask, tenants: list[Tenant], count: int, seed: int, only: tuple[str, ...] = ()
) -> Iterator[Leak | None]:
    """`count` random requests; each yields None when it was well, else what came through."""
    chance = Random(seed)
    rules = [r for r in app.url_map.iter_rules() if r.endpoint not in ("static", "sign_in.leave")]
    rules = [r for r in rules if not only or r.endpoint in only]
    before = {t.word: _kept(engine, t.connection_id) for t in tenants}
    for _ in range(count):
        mine = chance.choice(tenants)
        role = chance.choice(people.ROLES)
        others = [t for t in tenants if t is not mine]
        yield from _one(mine, role, others, chance.choice(rules), chance)
    for tenant in tenants:
        if _kept(engine, tenant.connection_id) != before[tenant.word]:
            yield Leak("?", "?", "?", f"something of {tenant.word} was changed")


def _one(mine: Tenant, role: str, others: list[Tenant], rule: Rule, chance: Random) -> Iterator[Leak | None]:
    victim = chance.choice(others)
    posted = "POST" in (rule.methods or set())
    path, foreign = _address(rule, mine, victim, chance, only_foreign=posted)
    values = _values(victim, chance)
    client = mine.people[role]
    # Each from an address of its own: what the limit for one sender refuses would not be tried.
    sender = {"REMOTE_ADDR": f"10.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(256)}"}
    if posted:
        data = {"csrf": mine.csrf[role], **values}
        answer = client.post(path, data=data, environ_overrides=sender)
    else:
        answer = client.get(path, query_string=values, environ_overrides=sender)
    text = (answer.get_data(as_text=True) + str(answer.headers)).lower()
    who = f"{mine.word} {role}"
    shown = [t.word for t in others if t.word.lower() in text]
    if shown:
        yield Leak(who, rule.endpoint, path, f"shows {', '.join(shown)}")
    elif foreign and answer.status_code not in (302, 303, 400, 403, 404, 405, 415):
        yield Leak(who, rule.endpoint, path, f"answers {answer.status_code} to an id of {victim.word}")
    elif answer.status_code == 500:
        yield Leak(who, rule.endpoint, path, "answers 500")
    else:
        yield None


def _address(
    rule: Rule, mine: Tenant, victim: Tenant, chance: Random, *, only_foreign: bool
) -> tuple[str, bool]:
    """The rule's address with random ids, and whether any of them belongs to the victim alone."""
    names = sorted(rule.arguments)
    chosen = {}
    foreign = False
    must = chance.choice(names) if names else ""
    for name in names:
        pool = chance.choice([mine, victim]).ids if name != must and not only_foreign else victim.ids
        if not only_foreign and name == must and chance.random() < 0.3:
            pool = mine.ids
        options = pool.get(name) or ["xero", "quickbooks", "nowhere"]
        chosen[name] = chance.choice([*options, *options, *options, "0", "999999", "../" + options[0]])
        foreign |= name in victim.ids and chosen[name] in set(victim.ids[name]) - set(mine.ids.get(name, []))
    path = "".join(chosen[part] if dynamic else part for dynamic, part in rule._trace if part != "|")
    return path, foreign


def _values(victim: Tenant, chance: Random) -> dict[str, str]:
    """Fields that pages and forms know, filled with the victim's ids."""
    fields = {
        "organization": victim.connection_id, "q": "Customer", "invoice": chance.choice(victim.ids["invoice"]),
        "customer": chance.choice(victim.ids["customer_id"]), "plan": chance.choice(victim.ids["plan_id"]),
        "realmId": f"ext-{victim.connection_id}", "tenantId": f"ext-{victim.connection_id}", "connection": victim.connection_id,
        "reason": "manual", "revision": "0", "live": "1", "income_basis": "cash", "next": "//elsewhere.example",
    }  # fmt: skip
    return {name: fields[name] for name in chance.sample(sorted(fields), chance.randint(0, 5))}


def _kept(engine: Engine, connection_id: str) -> str:
    """A digest of everything that is kept about an organization."""
    digest = hashlib.sha256()
    with db.reading(engine) as tx:
        for table in db.metadata.sorted_tables:
            if "connection_id" in table.c:
                rows = tx.execute(sa.select(table).where(table.c.connection_id == connection_id)).all()
                digest.update(json.dumps(sorted(map(str, rows))).encode())
        row = tx.execute(sa.select(db.connections).where(db.connections.c.id == connection_id)).one()
        digest.update(str(row).encode())
    return digest.hexdigest()
