"""Replies kept for about six minutes under their Idempotency-Key, errors included."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from sandbox.xero.errors import bad_request, key_reused

KEPT_SECONDS = 6 * 60
LONGEST_KEY = 128


@dataclass(frozen=True, slots=True)
class Reply:
    """A finished answer, ready to be given again."""

    status: int
    body: bytes
    content_type: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Kept:
    fingerprint: bytes
    reply: Reply
    until: float


@dataclass(slots=True)
class KeptReplies:
    """What one organisation's requests were answered, by key. Use it under the organisation's lock."""

    kept: dict[str, _Kept] = field(default_factory=dict)

    def find(self, key: str, fingerprint: bytes, now: float) -> Reply | None:
        """The earlier reply to the very same request, if it is still kept.

        Raises Refused (400) when the key belongs to another request or is too long.
        """
        if len(key) > LONGEST_KEY:
            raise bad_request("Idempotency Key exceeds the maximum length of 128 characters.")
        kept = self.kept.get(key)
        if kept is None or kept.until <= now:
            return None
        if kept.fingerprint != fingerprint:
            raise key_reused(key)
        return kept.reply

    def keep(self, key: str, fingerprint: bytes, reply: Reply, now: float) -> None:
        """Remember `reply` for six minutes from `now` (seconds)."""
        for old in [name for name, kept in self.kept.items() if kept.until <= now]:
            del self.kept[old]
        self.kept[key] = _Kept(fingerprint, reply, now + KEPT_SECONDS)


def fingerprint(method: str, url: str, body: bytes) -> bytes:
    """What makes two requests the same one."""
    return hashlib.sha256(b"\0".join((method.encode(), url.encode(), body))).digest()
