"""Consent, tokens and sign-in with any OpenID Connect ledger, on Authlib (OAuth 2.0, RFC 6749, 7636, 8414).

Every address comes from the ledger's discovery document. Nothing here refreshes by itself: one refresh at a
time per connection is the business of `connector.connecting.connections`. No message ever holds a token or a secret.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from adapters import waiting
from connector.config import LOCAL_HOSTS, LedgerApp
from connector.platforms import Identity, Reconnect, Refused, Token, TryLater

TIMEOUT = (5, 30)  # seconds to connect, to answer
_DOCUMENT_LIFE = 24 * 3600  # seconds; both ledgers ask apps not to fetch discovery for every call
_CLOCK_SKEW = 120  # seconds that the ledger's clock and ours may differ

_documents: dict[str, tuple[float, dict[str, Any]]] = {}
_documents_lock = threading.Lock()


class Provider:
    """One ledger's sign-in. Stateless, safe to share between threads.

    `label` is the ledger's name as a bookkeeper reads it. `nonce_required` is False only where the ledger is
    not known to return the nonce; one that is returned is checked either way.
    """

    def __init__(self, app: LedgerApp, *, label: str, nonce_required: bool = True) -> None:
        self.app, self.label, self.nonce_required = app, label, nonce_required

    def endpoint(self, name: str) -> str:
        """An address of the discovery document, e.g. "token_endpoint": https, like what the settings name.
        Raises TryLater, Refused."""
        address = self._document(self.app.discovery_url).get(name)
        if not isinstance(address, str) or not address:
            raise Refused(
                f"{self.label}'s sign-in document names no {name}. "
                f"Check the discovery address in the settings: {self.app.discovery_url}."
            )
        parts = urlsplit(address)
        if parts.scheme != "https" and parts.hostname not in LOCAL_HOSTS:
            raise Refused(
                f"{self.label}'s sign-in document names a {name} without https. Nothing was sent there."
            )
        return address

    def _offers(self, list_name: str, word: str) -> bool:
        """Whether a list of the discovery document names `word`."""
        named = self._document(self.app.discovery_url).get(list_name)
        return isinstance(named, list) and word in named

    def authorization_url(
        self,
        *,
        redirect_uri: str,
        scope: str,
        state: str,
        nonce: str,
        verifier: str,
        **more: str,
    ) -> str:
        """The consent page, with PKCE (S256) where the ledger offers it. Raises TryLater, Refused."""
        address = self.endpoint("authorization_endpoint")
        method = "S256" if self._offers("code_challenge_methods_supported", "S256") else None
        with self._client(redirect_uri=redirect_uri, scope=scope, code_challenge_method=method) as client:
            url, _ = client.create_authorization_url(
                address, state=state, nonce=nonce, code_verifier=verifier, **more
            )
        return str(url)

    def exchange(self, answer: Mapping[str, str], *, redirect_uri: str, verifier: str) -> dict[str, Any]:
        """The callback's query → the token endpoint's answer, as it came. Raises Refused, TryLater.

        The caller has compared `state` before. `verifier` travels only where PKCE was offered.
        """
        if error := answer.get("error"):
            raise Refused(
                f"{self.label} was not connected, because permission was not given. "
                "Nothing was changed. To try again, press Connect and then Allow."
                if error == "access_denied"
                else f"{self.label} did not start the connection ({_word(error)}). Press Connect to try again.",
                code=_word(error),
            )
        if not answer.get("code"):
            raise Refused(f"{self.label} sent no permission code. Press Connect to try again.")
        offered = self._offers("code_challenge_methods_supported", "S256")
        pkce = {"code_verifier": verifier} if offered else {}
        url = self.endpoint("token_endpoint")
        with self._client(redirect_uri=redirect_uri) as client:
            return self._ask(
                lambda: client.fetch_token(
                    url,
                    grant_type="authorization_code",
                    code=answer["code"],
                    headers={"Accept": "application/json"},
                    **pkce,
                ),
                spent=Refused(
                    f"This permission from {self.label} was already used or is too old. "
                    "Press Connect to get a new one.",
                    code="invalid_grant",
                ),
            )

    def refresh(self, token: Token) -> Token:
        """A new access token, with whatever refresh token the ledger answers.

        Raises Reconnect when the permission has ended; TryLater (`uncertain`, because the ledger may have
        changed the refresh token without our hearing) when there was no usable answer.
        """
        url = self.endpoint("token_endpoint")
        with self._client() as client:
            answer = self._ask(
                lambda: client.refresh_token(
                    url, refresh_token=token.refresh_token, headers={"Accept": "application/json"}
                ),
                spent=Reconnect(
                    f"{self.label} no longer accepts our permission: it was withdrawn, has ended, or was "
                    "replaced. Press Reconnect; your plans and history stay as they are.",
                    code="invalid_grant",
                ),
            )
        return self.token(answer, before=token)

    def token(self, answer: Mapping[str, Any], before: Token | None = None) -> Token:
        """A token endpoint's answer as a Token; unknown fields are ignored. Raises Refused, TryLater."""
        access = answer.get("access_token")
        refresh = answer.get("refresh_token") or (before.refresh_token if before else "")
        if not isinstance(access, str) or not access or not isinstance(refresh, str) or not refresh:
            raise Refused(
                f"{self.label} gave no lasting permission. Press Connect again and allow access to the books."
            )
        now = datetime.now(UTC)
        ends = _seconds(answer.get("x_refresh_token_expires_in"))
        hard_end = _seconds(answer.get("x_refresh_token_hard_expires_in"))
        lasts = [s for s in (ends, hard_end) if s]
        return Token(
            access_token=access,
            refresh_token=refresh,
            expires_at=now + timedelta(seconds=_seconds(answer.get("expires_in")) or 1800),
            refresh_expires_at=now + timedelta(seconds=min(lasts)) if lasts else None,
            scope=_scopes(answer.get("scope")) or (before.scope if before else ""),
        )

    def claims(self, answer: Mapping[str, Any], *, nonce: str) -> dict[str, Any]:
        """The checked claims of the id token: RS256 by the ledger's own keys, iss, aud, exp, nonce.

        Raises Refused when anything is wrong, or when the answer has no id token.
        """
        id_token = answer.get("id_token")
        if not isinstance(id_token, str) or not id_token:
            raise Refused(f"{self.label} did not say who signed in. Press Connect to try again.")
        try:
            try:
                decoded = jwt.decode(id_token, self._keys(), algorithms=["RS256"])
            except JoseError:
                decoded = jwt.decode(id_token, self._keys(fresh=True), algorithms=["RS256"])
            id_claims: Any = CodeIDToken
            claims = id_claims(
                decoded.claims,
                decoded.header,
                options={
                    "iss": {"essential": True, "value": self.endpoint("issuer")},
                    "aud": {"essential": True, "value": self.app.client_id},
                    "sub": {"essential": True},
                },
                params={
                    "nonce": nonce if self.nonce_required or "nonce" in decoded.claims else None,
                    "client_id": self.app.client_id,
                },
            )
            claims.validate(leeway=_CLOCK_SKEW)
        except (JoseError, ValueError) as problem:
            raise Refused(
                f"{self.label}'s sign-in could not be verified, so nothing was connected. "
                "Press Connect to try again; if it happens again, check this computer's clock.",
                code=type(problem).__name__,
            ) from None
        return dict(claims)

    def identity(self, answer: Mapping[str, Any], claims: Mapping[str, Any]) -> Identity:
        """Who signed in: the id token's issuer and subject, with name and e-mail as the ledger has them.

        E-mail and name come from the claims, or from the userinfo address where the claims lack them; a
        ledger that does not answer there leaves them empty. Raises Refused when userinfo is about another
        person.
        """
        known = dict(claims)
        if not known.get("email"):
            told = self._userinfo(str(answer.get("access_token", "")))
            if told and told.get("sub") != claims["sub"]:
                raise Refused(f"{self.label}'s sign-in contradicts itself. Press Connect to try again.")
            known = {**told, **claims}
        verified = known.get("email_verified", known.get("emailVerified"))
        name = known.get("name") or " ".join(
            str(part)
            for part in (
                known.get("given_name") or known.get("givenName"),
                known.get("family_name") or known.get("familyName"),
            )
            if part
        )
        return Identity(
            issuer=str(claims["iss"]),
            subject=str(claims["sub"]),
            email=str(known.get("email") or ""),
            email_verified=None if verified is None else str(verified).lower() == "true",
            name=str(name),
        )

    def _userinfo(self, access_token: str) -> dict[str, Any]:
        try:
            answer = requests.get(
                self.endpoint("userinfo_endpoint"),
                headers={"Authorization": f"Bearer {access_token}", "Accept": "application/json"},
                timeout=TIMEOUT,
                allow_redirects=False,
            )
            body = answer.json() if answer.status_code == 200 else {}
        except (requests.RequestException, ValueError, Refused):
            body = {}
        return body if isinstance(body, dict) else {}

    def _client(self, **options: Any) -> Any:  # Authlib's session carries no types
        """A session that proves who we are in the header, unless the ledger takes it in the form alone."""
        session: Any = OAuth2Session
        methods = "token_endpoint_auth_methods_supported"
        form = self._offers(methods, "client_secret_post") and not self._offers(
            methods, "client_secret_basic"
        )
        return session(
            client_id=self.app.client_id,
            client_secret=self.app.client_secret,
            token_endpoint_auth_method="client_secret_post" if form else "client_secret_basic",
            default_timeout=TIMEOUT,
            **options,
        )

    def _ask(self, call: Callable[[], Any], *, spent: Exception) -> dict[str, Any]:
        """One call of the token endpoint. `spent` is what an `invalid_grant` means to the caller."""
        try:
            return dict(call())
        except OAuthError as problem:
            if problem.error in ("invalid_grant", "access_denied"):
                raise spent from None
            if problem.error in ("invalid_client", "unauthorized_client"):
                raise Refused(
                    f"{self.label} does not know this app. Whoever runs Forbear must check the client id "
                    "and client secret in the settings.",
                    code=_word(problem.error),
                ) from None
            if problem.error in ("temporarily_unavailable", "server_error", "slow_down"):
                raise TryLater(
                    f"{self.label}'s sign-in is not available right now.", code=_word(problem.error)
                ) from None
            raise Refused(
                f"{self.label} refused the permission ({_word(problem.error)}). Press Connect to try again.",
                code=_word(problem.error),
            ) from None
        except requests.HTTPError as problem:
            status = problem.response.status_code
            if status == 401:
                raise Refused(
                    f"{self.label} does not know this app. Whoever runs Forbear must check the client id "
                    "and client secret in the settings.",
                    code="401",
                ) from None
            raise TryLater(
                f"{self.label}'s sign-in is not available right now.",
                after=waiting.seconds(problem.response.headers.get("Retry-After")),
                uncertain=status >= 500,
                code=str(status),
            ) from None
        except (requests.RequestException, ValueError):
            raise TryLater(f"{self.label}'s sign-in gave no usable answer.", uncertain=True) from None

    def _keys(self, fresh: bool = False) -> KeySet:
        document: Any = self._document(self.endpoint("jwks_uri"), fresh=fresh)
        return KeySet.import_key_set(document)

    def _document(self, url: str, fresh: bool = False) -> dict[str, Any]:
        """A public JSON document of the ledger, fetched once a day and shared by all threads."""
        with _documents_lock:
            fetched, document = _documents.get(url, (0.0, {}))
            if document and not fresh and time.monotonic() - fetched < _DOCUMENT_LIFE:
                return document
            try:
                answer = requests.get(url, headers={"Accept": "application/json"}, timeout=TIMEOUT)
                answer.raise_for_status()
                body = answer.json()
            except (requests.RequestException, ValueError):
                if document and not fresh:  # an old copy is better than no sign-in
                    return document
                raise TryLater(f"{self.label}'s sign-in is not available right now.") from None
            if not isinstance(body, dict):
                raise TryLater(f"{self.label}'s sign-in is not available right now.")
            _documents[url] = (time.monotonic(), body)
            return body


def forget_documents() -> None:
    """Drop the cached discovery documents and keys: for tests, whose ledgers come and go."""
    with _documents_lock:
        _documents.clear()


def _seconds(value: Any) -> int:
    """A number of seconds, 0 when there is none; a nonsensically long time counts as ten years."""
    try:
        return min(max(0, int(value)), 10 * 365 * 24 * 3600)
    except (TypeError, ValueError):
        return 0


def _scopes(value: Any) -> str:
    """What was allowed, words with blanks between; some ledgers answer a list of them."""
    return " ".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _word(value: Any) -> str:
    """An error word for a message: the ledger's, unless it is not a plain word."""
    text = str(value or "")
    return text if text.isascii() and text.replace("_", "").isalnum() and len(text) <= 40 else "unknown"
