"""Retry keys as QuickBooks takes them: one per company and intent, of limited length."""

from __future__ import annotations

import hashlib

LIMIT = 50  # characters; 36 for a batch


def request_id(key: str, *parts: str, limit: int = LIMIT) -> str:
    """`key` as a `requestid`. With `parts`, another set of parts is another id.

    QuickBooks replays the first answer whatever the body, so a retry with fewer drafts needs its own id.
    """
    if not parts and len(key) <= limit and key.isascii():
        return key
    digest = hashlib.sha256("\n".join([key, *parts]).encode()).hexdigest()[:16]
    head = "".join(c for c in key if c.isascii() and (c.isalnum() or c in "-_."))
    return f"{head[: limit - 17]}-{digest}"
