"""Random people, random ids, random bytes: what leaks, and what ends in an answer of ours that begins with 5."""

from __future__ import annotations

import datetime as dt
import json
import os
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.engine import Engine

import web
from benchmarks.scaling import surface
from connector import config, db
from connector.mirroring import books_file
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


def requests(examples: int, odd: int, seed: int = 8) -> dict[str, Any]:
    """`examples` of each operation of the described surface, and `odd` webhook bodies, signed and not, and books
    files: what ends in a 5xx, in an error that nobody meant, or takes too long. 503 while a ledger is away is an
    answer. `fuzz_memory_growth`: over the second half of the odd ones, this process's memory by what it was."""
    chance = Random(seed)
    said: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        settings, engine, app = _installation(folder)
        tenant = practices.make(engine, settings, app)[0]
        app.testing = False
        person, csrf, stranger = tenant.people["configure"], tenant.csrf["configure"], app.test_client()
        for n in range(odd):
            if n == odd // 2:
                half = _resident()
            began = time.process_time()
            try:
                said.append(_books(chance) if n % 3 == 0 else _deliver(stranger, chance))
            except Exception as problem:
                said.append(f"{type(problem).__name__} in case {n}")
            if (spent := time.process_time() - began) > surface.LONGEST:
                said[-1] = f"{spent:.1f} s in case {n}"
        growth = round(_resident() / half, 3)
        said += surface.troubles(person, tenant.ids, csrf, examples=examples, seed=seed)
        engine.dispose()
    bad = [what for what in said if what]
    for what in bad:
        print("bad:", what)
    return {"fuzz_cases": len(said), "fuzz_5xx": len(bad), "fuzz_memory_growth": growth}


def _resident() -> int:
    """KB of memory that this process has."""
    told = Path("/proc/self/status").read_text()
    return int(told.partition("VmRSS:")[2].split()[0])


def _deliver(client: FlaskClient, chance: Random) -> str:
    body = b"".join(chance.choices(PIECES, k=chance.randint(0, 30)))
    platform, header = chance.choice((("xero", "x-xero-signature"), ("quickbooks", "intuit-signature")))
    signature = sign(body, KEY) if chance.random() < 0.9 else _text(chance).encode("ascii", "ignore").decode()
    return _judged(client.post(f"/webhooks/{platform}", data=body, headers={header: signature.strip()}))


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


if __name__ == "__main__":
    print(tenants(200), requests(3, 300))
