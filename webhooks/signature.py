"""The one check that makes a webhook believable. Both ledgers sign alike; only the header's name differs."""

from __future__ import annotations

import base64
import hashlib
import hmac


def sign(body: bytes, key: str) -> str:
    """base64(HMAC-SHA256(raw body, key)), the key taken as the literal string the ledger's portal shows."""
    return base64.b64encode(hmac.digest(key.encode(), body, hashlib.sha256)).decode()


def valid(body: bytes, given: str, key: str) -> bool:
    """Is `given` the signature of exactly these bytes? In constant time; never true for an empty key."""
    return bool(key) and hmac.compare_digest(sign(body, key).encode(), given.strip().encode())
