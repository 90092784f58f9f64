"""Consents and tokens of both ledgers: what was granted to whom, and when it ends or is taken back.

QuickBooks: one company per consent; the refresh token's value changes once a day (or always, by switch).
Xero: a token belongs to a user and reaches every organization that user connected; refresh tokens always change, and
the old one may be retried for 30 minutes. Times are real seconds (plus `skip`), whatever the books' clock pretends.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal

from joserfc import jwt
from joserfc.jwk import RSAKey

from sandbox.organization import Platform

DEFAULTS: dict[str, Any] = {
    "quickbooks.access_seconds": 3600,
    "quickbooks.refresh_seconds": 8726400,
    "quickbooks.hard_end_seconds": 157680000,
    "quickbooks.refresh_rotation": "daily",  # daily | always
    "quickbooks.old_refresh_token": "dead",  # dead | lives_a_day
    "quickbooks.reuse_revokes_family": False,
    "xero.access_seconds": 1800,
    "xero.refresh_seconds": 60 * 86400,
    "xero.grace_seconds": 1800,
    "xero.reuse_revokes_family": False,
    "code_seconds": 300,
}
DAY = 86400


@dataclass(frozen=True, slots=True)
class User:
    """Someone who can sign in at the ledger."""

    subject: str
    email: str
    given_name: str
    family_name: str
    email_verified: bool = True

    @property
    def name(self) -> str:
        return f"{self.given_name} {self.family_name}"


USERS = (
    User("1182d6ec-2a1f-4aa3-af3f-bb3b95db45a1", "robin@harbourbooks.example", "Robin", "Hale"),
    User("2c93a7de-51b0-4c4e-9a40-6f0f3c7cc0b2", "sam@harbourbooks.example", "Sam", "Okafor"),
    User("3f0b8e1c-7d52-4f3b-8a2d-0f5c9d1e77c3", "casey@unproven.example", "Casey", "Dunn", email_verified=False),
)  # fmt: skip


@cache
def signing_key() -> RSAKey:
    """One key per process: making one takes a moment."""
    return RSAKey.generate_key(2048, {"kid": "sandbox-1"})


class Denied(Exception):
    """An OAuth error: `error` as in RFC 6749, with the description the ledger gives (may be "")."""

    def __init__(self, error: str, description: str = "") -> None:
        super().__init__(error)
        self.error, self.description = error, description


class BadToken(Exception):
    """`reason`: missing, garbage, expired or revoked. `token` is what was sent."""

    def __init__(self, reason: Literal["missing", "garbage", "expired", "revoked"], token: str = "") -> None:
        super().__init__(reason)
        self.reason, self.token = reason, token


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling: the user, the companies this token reaches now, the scopes, the app."""

    user: User
    companies: frozenset[str]
    scopes: frozenset[str]
    token: str
    client_id: str


@dataclass(slots=True)
class Consent:
    """One "Allow": the family of all tokens that come from it. `id` is Xero's authEventId."""

    id: str
    platform: Platform
    user: User
    client_id: str
    scopes: frozenset[str]
    companies: tuple[str, ...]
    at: float
    nonce: str = ""
    revoked: bool = False
    refresh_value: str = ""
    refresh_made: float = 0.0


@dataclass(slots=True)
class Code:
    consent: str
    redirect_uri: str
    challenge: str
    expires: float
    used: bool = False


@dataclass(slots=True)
class Secret:
    """An access or refresh token. `replaced` is when a newer refresh token took its place (0: it is the newest)."""

    consent: str
    expires: float
    replaced: float = 0.0
    hard_end: float = 0.0


@dataclass(slots=True)
class Connection:
    """Xero: one organization that a user has connected to an app."""

    id: str
    consent: str
    user: User
    client_id: str
    tenant: str
    created: datetime
    updated: datetime


@dataclass
class Grants:
    """All consents. `switch` reads a setting (see DEFAULTS)."""

    switch: Callable[[str, Any], Any]
    consents: dict[str, Consent] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    access: dict[str, Secret] = field(default_factory=dict)
    refresh: dict[str, Secret] = field(default_factory=dict)
    connections: dict[str, Connection] = field(default_factory=dict)
    skip: float = 0.0  # seconds that tests skipped
    key: RSAKey = field(default_factory=signing_key)
    lock: Any = field(default_factory=threading.RLock, repr=False)

    def now(self) -> float:
        return time.time() + self.skip

    def setting(self, platform: str, name: str) -> Any:
        return self.switch(f"{platform}.{name}", DEFAULTS[f"{platform}.{name}"])

    # ---- consent -------------------------------------------------------------------------------------------

    def allow(
        self, platform: Platform, user: User, client_id: str, scopes: frozenset[str], companies: tuple[str, ...],
        redirect_uri: str, challenge: str = "", nonce: str = "",
    ) -> str:  # fmt: skip
        """The user said yes: an authorization code, good once."""
        with self.lock:
            consent = Consent(
                str(uuid.uuid4()), platform, user, client_id, scopes, companies, self.now(), nonce
            )
            self.consents[consent.id] = consent
            for tenant in companies if platform == "xero" else ():
                self._connect(consent, tenant)
            code = secrets.token_urlsafe(32)
            seconds = self.switch("code_seconds", DEFAULTS["code_seconds"])
            self.codes[code] = Code(consent.id, redirect_uri, challenge, self.now() + seconds)
            return code

    def _connect(self, consent: Consent, tenant: str) -> None:
        moment = datetime.now(UTC)
        for known in self.connections.values():
            if (known.user, known.client_id, known.tenant) == (consent.user, consent.client_id, tenant):
                known.consent, known.updated = consent.id, moment
                return
        made = Connection(
            str(uuid.uuid4()), consent.id, consent.user, consent.client_id, tenant, moment, moment
        )
        self.connections[made.id] = made

    def exchange(
        self, platform: Platform, code: str, client_id: str, redirect_uri: str, verifier: str
    ) -> Consent:
        """Take a code. Raises Denied("invalid_grant") when used, late, foreign, or for another address."""
        with self.lock:
            found = self.codes.get(code)
            consent = self.consents.get(found.consent) if found else None
            if (
                found is None
                or consent is None
                or (consent.platform, consent.client_id) != (platform, client_id)
            ):
                raise Denied("invalid_grant")
            if found.used:
                if self.setting(platform, "reuse_revokes_family"):
                    consent.revoked = True
                raise Denied("invalid_grant")
            if found.expires <= self.now() or found.redirect_uri != redirect_uri:
                raise Denied("invalid_grant")
            if found.challenge and found.challenge != _s256(verifier):
                raise Denied("invalid_grant")
            found.used = True
            return consent

    # ---- tokens --------------------------------------------------------------------------------------------

    def issue(self, consent: Consent, issuer: str) -> tuple[str, str]:
        """(access token, refresh token) of a consent: the refresh token's value by the rotation in force."""
        with self.lock:
            platform, now = consent.platform, self.now()
            access = self._access_token(consent, issuer)
            self.access[access] = Secret(consent.id, now + self.setting(platform, "access_seconds"))
            return access, self._refresh_token(consent)

    def _access_token(self, consent: Consent, issuer: str) -> str:
        if consent.platform == "quickbooks":
            return "eyJlbmMiOiJBMTI4Q0JDLUhTMjU2IiwiYWxnIjoiZGlyIn0.." + secrets.token_urlsafe(96)
        now = int(self.now())
        claims = {
            "nbf": now, "exp": now + self.setting("xero", "access_seconds"), "iss": issuer,
            "aud": f"{issuer}/resources", "client_id": consent.client_id, "sub": consent.user.subject,
            "authentication_event_id": consent.id, "jti": uuid.uuid4().hex, "scope": sorted(self._scopes(consent)),
        }  # fmt: skip
        return self.sign(claims)

    def _refresh_token(self, consent: Consent) -> str:
        platform, now = consent.platform, self.now()
        lifetime = self.setting(platform, "refresh_seconds")
        daily = platform == "quickbooks" and self.setting(platform, "refresh_rotation") == "daily"
        if daily and consent.refresh_value and now - consent.refresh_made < DAY:
            self.refresh[consent.refresh_value].expires = now + lifetime
            return consent.refresh_value
        hard_end = (
            consent.at + self.setting("quickbooks", "hard_end_seconds") if platform == "quickbooks" else 0
        )
        value = ("AB1" if platform == "quickbooks" else "") + secrets.token_urlsafe(36)
        if consent.refresh_value:
            self.refresh[consent.refresh_value].replaced = now
        self.refresh[value] = Secret(consent.id, now + lifetime, hard_end=hard_end)
        consent.refresh_value, consent.refresh_made = value, now
        return value

    def refreshed(self, platform: Platform, value: str, client_id: str) -> Consent:
        """The consent behind a refresh token. Raises Denied("invalid_grant") when it is dead."""
        with self.lock:
            found = self.refresh.get(value)
            consent = self.consents.get(found.consent) if found else None
            words = "Incorrect or invalid refresh token" if platform == "quickbooks" else ""
            if (
                found is None
                or consent is None
                or (consent.platform, consent.client_id) != (platform, client_id)
            ):
                raise Denied("invalid_grant", words)
            now = self.now()
            if consent.revoked or found.expires <= now or (found.hard_end and found.hard_end <= now):
                raise Denied("invalid_grant", words)
            if found.replaced and now - found.replaced >= self._grace(platform):
                if self.setting(platform, "reuse_revokes_family"):
                    consent.revoked = True
                raise Denied("invalid_grant", words)
            return consent

    def _grace(self, platform: Platform) -> float:
        if platform == "xero":
            return float(self.setting("xero", "grace_seconds"))
        return DAY if self.setting("quickbooks", "old_refresh_token") == "lives_a_day" else 0.0

    def caller(self, platform: Platform, authorization: str) -> Caller:
        """Who sends this Authorization header. Raises BadToken."""
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise BadToken("missing")
        with self.lock:
            found = self.access.get(token)
            consent = self.consents.get(found.consent) if found else None
            if found is None or consent is None or consent.platform != platform:
                raise BadToken("garbage", token)
            if consent.revoked:
                raise BadToken("revoked", token)
            if found.expires <= self.now():
                raise BadToken("expired", token)
            return Caller(
                consent.user, self._companies(consent), self._scopes(consent), token, consent.client_id
            )

    def _companies(self, consent: Consent) -> frozenset[str]:
        if consent.platform == "quickbooks":
            return frozenset(consent.companies)
        return frozenset(c.tenant for c in self.connections_of(consent.user, consent.client_id))

    def _scopes(self, consent: Consent) -> frozenset[str]:
        """Xero adds up the scopes of a user's consents; QuickBooks has those of this one."""
        if consent.platform == "quickbooks":
            return consent.scopes
        same = (consent.user, consent.client_id)
        earlier = [
            c.scopes
            for c in self.consents.values()
            if c.platform == "xero" and not c.revoked and (c.user, c.client_id) == same and c.at <= consent.at
        ]
        return frozenset().union(consent.scopes, *earlier)

    def connections_of(self, user: User, client_id: str) -> list[Connection]:
        return [c for c in self.connections.values() if (c.user, c.client_id) == (user, client_id)]

    # ---- taking back ---------------------------------------------------------------------------------------

    def revoke(self, platform: Platform, value: str, client_id: str) -> bool:
        """Revoke by any token of the family; Xero drops all connections of that user to the app. False: unknown."""
        with self.lock:
            found = self.refresh.get(value) or self.access.get(value)
            consent = self.consents.get(found.consent) if found else None
            if (
                consent is None
                or (consent.platform, consent.client_id) != (platform, client_id)
                or consent.revoked
            ):
                return False
            if platform == "quickbooks":
                consent.revoked = True
                return True
            for other in self.consents.values():
                if (other.platform, other.user, other.client_id) == (platform, consent.user, client_id):
                    other.revoked = True
            for connection in self.connections_of(consent.user, client_id):
                del self.connections[connection.id]
            return True

    def disconnect(self, platform: Platform, company: str) -> int:
        """Someone inside the ledger removed the app from a company; how many permissions ended.

        QuickBooks: the tokens die. Xero: they live on and still refresh, only the organization is gone.
        """
        with self.lock:
            if platform == "xero":
                gone = [c.id for c in self.connections.values() if c.tenant == company]
                for id in gone:
                    del self.connections[id]
                return len(gone)
            ended = [c for c in self.consents.values() if company in c.companies and not c.revoked]
            for consent in ended:
                consent.revoked = True
            return len(ended)

    def connected(self, platform: Platform, company: str) -> bool:
        """Whether any app may read the company now: only then are there webhooks."""
        with self.lock:
            if platform == "xero":
                return any(c.tenant == company for c in self.connections.values())
            return any(company in c.companies and not c.revoked for c in self.consents.values())

    def expire(self, platform: Platform, *, refresh: bool = False) -> None:
        """End all access tokens of a platform now (and all refresh tokens)."""
        with self.lock:
            for table in (self.access, self.refresh) if refresh else (self.access,):
                for secret in table.values():
                    if self.consents[secret.consent].platform == platform:
                        secret.expires = 0.0

    # ---- signing -------------------------------------------------------------------------------------------

    def sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256", "kid": "sandbox-1"}, claims, self.key, algorithms=["RS256"])

    def public_key(self) -> dict[str, Any]:
        return {**self.key.as_dict(private=False), "use": "sig", "alg": "RS256", "kid": "sandbox-1"}

    def __getstate__(self) -> dict[str, Any]:
        left_out = ("switch", "key", "lock")
        kept = {k: v for k, v in vars(self).items() if k not in left_out}
        return {**kept, "key": self.key.as_dict(private=True)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.key = RSAKey.import_key(state["key"])
        self.lock = threading.RLock()
        self.switch = lambda name, default: default


def _s256(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode("ascii", "replace")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
