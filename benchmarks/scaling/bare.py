"""The least a durable webhook receiver can do: a bare Flask route that checks the signature and inserts one row."""

from __future__ import annotations

import os
import sqlite3
import threading

from flask import Flask, request

from webhooks.signature import valid

app = Flask(__name__)
_kept = sqlite3.connect(os.environ["BARE_DATABASE"], check_same_thread=False)
_kept.executescript(
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS inbox (body BLOB)"
)
_turn = threading.Lock()  # SQLite has one writer; waiting in Python is far cheaper than in SQLite


@app.post("/webhooks/xero")
def receive() -> tuple[str, int]:
    body = request.get_data()
    if not valid(body, request.headers.get("x-xero-signature", ""), os.environ["FORBEAR_XERO_WEBHOOK_KEY"]):
        return "", 401
    with _turn, _kept:
        _kept.execute("INSERT INTO inbox (body) VALUES (?)", (body,))
    return "", 200
