"""Random people, random ids, random bytes: what leaks, and what ends in an answer of ours that begins with 5."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from random import Random
from typing import Any

from flask import Flask
from sqlalchemy.engine import Engine

import web
from connector import config, db
from tests.security import tenants as practices
from webhooks.signature import sign

KEY = "webhook-key-of-the-fuzz"
NOWHERE = "http://127.0.0.1:9"
PIECES = (
    b"{", b"}", b"[", b"]", b'"', b":", b",", b"null", b"true", b"1e999", b"-0", b"\xff\xfe", b"\x00", b"events", b'"tenantId"',
    b'"eventNotifications"', b'"dataChangeEvent"', b'"type":"qbo.invoice.created.v1"', b"\\ud800", b"9" * 400, b" " * 50,
)  # fmt: skip


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


def requests(count: int) -> dict[str, Any]:
    """Signed and unsigned webhook bodies, callbacks, queries and forms. 503 while a ledger is away is an answer."""
    chance = Random(8)
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        settings, engine, app = _installation(folder)
        tenant = practices.make(engine, settings, app)[0]
        person, stranger = tenant.people["configure"], app.test_client()
        rules = [
            r for r in app.url_map.iter_rules() if r.endpoint != "static" and "GET" in (r.methods or set())
        ]
        for n in range(count):
            if n % 2:
                body = b"".join(chance.choices(PIECES, k=chance.randint(0, 30)))
                platform, header = chance.choice(
                    (("xero", "x-xero-signature"), ("quickbooks", "intuit-signature"))
                )
                signature = sign(body, KEY) if chance.random() < 0.9 else _text(chance)
                answer = stranger.post(f"/webhooks/{platform}", data=body, headers={header: signature})
            else:
                rule = chance.choice(rules)
                path = "".join(
                    chance.choice([*tenant.ids.get(part, ["xero"]), "0", "%00", "..", "a" * 300])
                    if dynamic
                    else part
                    for dynamic, part in rule._trace
                    if part != "|"
                )
                names = chance.sample(
                    ["q", "organization", "code", "state", "error", "realmId", "next", "page", "id_token"], 3
                )
                client = chance.choice((person, stranger))
                answer = client.get(path, query_string={name: _text(chance) for name in names})
            if answer.status_code >= 500 and answer.status_code != 503:
                bad += 1
                print("5xx:", answer.status_code, answer.request.path[:80])
        engine.dispose()
    return {"fuzz_cases": count, "fuzz_5xx": bad}


def _text(chance: Random) -> str:
    alphabet = "aA0 '\"<>{}%&=+-@\\/\t\u202e\u00e9\U0001f4a5"
    return "".join(chance.choices(alphabet, k=chance.randint(0, 40)))


if __name__ == "__main__":
    print(tenants(200), requests(1000), Path.cwd())
