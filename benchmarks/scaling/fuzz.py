"""Random people, random ids, random bytes: what leaks, and what ends in an answer of ours that begins with 5."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import tempfile
from pathlib import Path
from random import Random
from typing import Any

from flask import Flask
from sqlalchemy.engine import Engine
from werkzeug.routing import Rule

import web
from connector import books_file, config, db
from tests.security import tenants as practices
from webhooks.signature import sign

KEY = "webhook-key-of-the-fuzz"
NOWHERE = "http://127.0.0.1:9"
PIECES = (
    b"{", b"}", b"[", b"]", b'"', b":", b",", b"null", b"true", b"1e999", b"-0", b"\xff\xfe", b"\x00", b"events", b'"tenantId"',
    b'"eventNotifications"', b'"dataChangeEvent"', b'"type":"qbo.invoice.created.v1"', b"\\ud800", b"9" * 400, b" " * 50,
)  # fmt: skip

BOOKS: dict[str, Any] = {
    "format": "books/1",
    "company": {"id": "f", "name": "Fuzz", "country": "US", "home_currency": "USD", "timezone": "UTC", "as_of": "2026-11-18"},
    "customers": [{"id": "c1", "name": "One", "currency": "USD", "terms_days": 30}],
    "invoices": [
        {"id": "i1", "number": "1", "customer_id": "c1", "issue_date": "2026-08-01", "due_date": "2026-08-31",
         "total_cents": 115000, "currency": "USD"},
    ],
    "payments": [
        {"id": "p1", "customer_id": "c1", "date": "2026-09-20", "amount_cents": 30000,
         "allocations": [{"invoice_id": "i1", "amount_cents": 30000}]},
    ],
}  # fmt: skip


def _installation(folder: str) -> tuple[config.Config, Engine, Flask]:
    settings = config.load(
        {
            "FORBEAR_DATA_DIR": folder, "FORBEAR_TODAY": "2026-11-18",
            "FORBEAR_XERO_CLIENT_ID": "app", "FORBEAR_XERO_CLIENT_SECRET": "app-secret",
            "FORBEAR_XERO_WEBHOOK_KEY": KEY, "FORBEAR_QUICKBOOKS_WEBHOOK_TOKEN": KEY,
            **{f"FORBEAR_{n}_{k}": NOWHERE for n in ("QUICKBOOKS", "XERO") for k in ("DISCOVERY_URL", "API_URL")},
        }
    )  # fmt: skip
    os.environ["FORBEAR_DATA_DIR"] = folder
    db.migrate(settings)
    engine = db.engine(settings)
    return settings, engine, web.create_app(settings, engine)


def tenants(count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        settings, engine, app = _installation(folder)
        made = practices.make(engine, settings, app)
        found = list(practices.probe(engine, app, made, count, seed=8))
        engine.dispose()
    for leak in found:
        if leak:
            print(leak)
    return {"tenant_probes": count, "tenant_leaks": sum(1 for leak in found if leak)}


def requests(count: int, seed: int = 8) -> dict[str, Any]:
    """Signed and unsigned webhook bodies, callbacks, queries, every form and books files: what ends in a 5xx, or in
    an error that nobody meant. 503 while a ledger is away is an answer."""
    chance = Random(seed)
    bad: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        settings, engine, app = _installation(folder)
        tenant = practices.make(engine, settings, app)[0]
        app.testing = False
        site = _Site(app, tenant, chance)
        kinds = (site.deliver, site.deliver, site.look, site.look, site.send, _books)
        for n in range(count):
            try:
                said = kinds[n % len(kinds)](chance)
            except Exception as problem:
                said = f"{type(problem).__name__} in case {n}"
            if said:
                bad.append(said)
                print("bad:", said)
        engine.dispose()
    return {"fuzz_cases": count, "fuzz_5xx": len(bad)}


class _Site:
    """An installation with one practice, its owner and a stranger; every address and every form that it has."""

    def __init__(self, app: Flask, tenant: practices.Tenant, chance: Random) -> None:
        self.tenant = tenant
        self.people = (tenant.people["configure"], app.test_client())
        rules = [r for r in app.url_map.iter_rules() if r.endpoint not in ("static", "webhooks.receive")]
        self.seen = [r for r in rules if "GET" in (r.methods or set())]
        leaves = ("sign_in.leave", "connect.disconnect")  # after those there is nothing left to try
        self.sent = [r for r in rules if "POST" in (r.methods or set()) and r.endpoint not in leaves]
        self.fields = sorted(
            self._fields(chance) | {"do", "page", "id_token", "realmId", "code", "state", "error"}
        )

    def _fields(self, chance: Random) -> set[str]:
        """The names of all fields on all pages."""
        found: set[str] = set()
        for rule in self.seen:
            path = self._path(rule, chance, wild=False)
            found |= set(
                re.findall(r'name="([a-z_.0-9-]+)"', self.people[0].get(path).get_data(as_text=True))
            )
        return found - {"csrf"}

    def _path(self, rule: Rule, chance: Random, *, wild: bool = True) -> str:
        odd = ["0", "%00", "..", "a" * 300, "-1", "99999999999999999999"] if wild else []
        return "".join(
            chance.choice([*self.tenant.ids.get(part, ["xero"]), *odd]) if dynamic else part
            for dynamic, part in rule._trace
            if part != "|"
        )

    def _values(self, chance: Random) -> dict[str, str]:
        ids = [id for several in self.tenant.ids.values() for id in several]
        names = chance.sample(self.fields, min(len(self.fields), chance.randint(0, 8)))
        return {name: chance.choice((_text(chance), _value(chance), chance.choice(ids))) for name in names}

    def deliver(self, chance: Random) -> str:
        body = b"".join(chance.choices(PIECES, k=chance.randint(0, 30)))
        platform, header = chance.choice((("xero", "x-xero-signature"), ("quickbooks", "intuit-signature")))
        signature = (
            sign(body, KEY) if chance.random() < 0.9 else _text(chance).encode("ascii", "ignore").decode()
        )
        return _judged(
            self.people[1].post(f"/webhooks/{platform}", data=body, headers={header: signature.strip()})
        )

    def look(self, chance: Random) -> str:
        path = self._path(chance.choice(self.seen), chance)
        return _judged(chance.choice(self.people).get(path, query_string=self._values(chance)))

    def send(self, chance: Random) -> str:
        path = self._path(chance.choice(self.sent), chance)
        values = self._values(chance) | {"csrf": self.tenant.csrf["configure"]}
        return _judged(self.people[0].post(path, data=values))


def _judged(answer: Any) -> str:
    wrong = answer.status_code >= 500 and answer.status_code != 503
    return f"{answer.status_code} {answer.request.method} {answer.request.path[:80]}" if wrong else ""


def _books(chance: Random) -> str:
    """A books file with a few bytes or values changed: read, or refused with a sentence."""
    company = json.loads(json.dumps(BOOKS))
    row = chance.choice(company[chance.choice(("customers", "invoices", "payments"))])
    row[chance.choice([*row, "extra"])] = chance.choice(
        (None, True, -1, 10**30, 0.5, "", "2026-02-30", _text(chance), [], {}, [{}], "c1", {"a": []})
    )
    line = bytearray(json.dumps(company).encode())
    for _ in range(chance.choice((0, 0, 1, 3))):
        line[chance.randrange(len(line))] = chance.randrange(256)
    try:
        read = books_file.read_line(bytes(line))
        books_file.known_on(read, dt.date(2026, 11, 18))
    except books_file.WrongBooks:
        return ""
    return ""


def _text(chance: Random) -> str:
    alphabet = "aA0 '\"<>{}%&=+-@\\/\t\u202e\u00e9\U0001f4a5"
    return "".join(chance.choices(alphabet, k=chance.randint(0, 40)))


def _value(chance: Random) -> str:
    """What a field could mean, or nearly."""
    return chance.choice(
        ("1", "0", "-1", "3", "1e9", "99999999999999999999", "0.005", "NaN", "Infinity", "2026-12-01", "2026-02-30", "9999-12-31",
         "0001-01-01", "split", "notes", "month", "accrual", "on", "{{ 7*7 }}", "{customer", "=1+1", "\x00", "\u0661\u0662",
         "USD", "//x.example", "reset", "keep", "a" * 5000)
    )  # fmt: skip


if __name__ == "__main__":
    print(tenants(200), requests(1000), Path.cwd())
