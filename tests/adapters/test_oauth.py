"""Sign-in over HTTP: an id token is believed only when everything about it is right, and nothing leaks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from adapters import oauth
from adapters.quickbooks.platform import QuickBooksPlatform
from connector.config import LedgerApp
from connector.platforms import Reconnect, Refused, Token, TryLater
from tests.adapters.quickbooks_scripted import Answer, Asked, Scripted, quickbooks

KEY = RSAKey.generate_key(2048, {"kid": "k1"})
OTHER = RSAKey.generate_key(2048, {"kid": "k1"})
REDIRECT = "https://forbear.example/connect/callback"


class Provider:
    """A scripted OpenID provider; a test changes its documents and answers."""

    def __init__(self) -> None:
        self.base = ""
        self.pkce: list[str] = ["S256"]
        self.keys = [KEY]
        self.answer: Answer = (200, {})
        self.userinfo: Answer = (200, {"sub": "u-1", "email": "robin@example.com", "emailVerified": True})
        self.company: Answer = (200, {})
        self.broken = False
        self.more: dict[str, Any] = {}  # of the discovery document

    def __call__(self, asked: Asked) -> Answer:
        path = asked.path.rpartition("/")[2]
        if self.broken:
            return 503, "<html>down</html>"
        if path == "discovery":
            return 200, {
                "issuer": "https://ledger.example/op",
                "authorization_endpoint": "https://ledger.example/consent",
                "token_endpoint": f"{self.base}/token",
                "userinfo_endpoint": f"{self.base}/userinfo",
                "jwks_uri": f"{self.base}/jwks",
                "code_challenge_methods_supported": self.pkce,
                **self.more,
            }
        if path == "jwks":
            return 200, {"keys": [k.as_dict(private=False) for k in self.keys]}
        if "companyinfo/" in asked.path:
            return self.company
        if path == "userinfo":
            return self.userinfo
        return self.answer


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def server(provider: Provider) -> Iterator[Scripted]:
    oauth.forget_documents()
    with quickbooks(provider) as server:
        provider.base = server.address
        yield server


def sign_in(server: Scripted, **options: Any) -> oauth.Provider:
    app = LedgerApp("app-id", "app-secret", "", f"{server.address}/discovery", server.address)
    return oauth.Provider(app, label="Ledger", **options)


def id_token(key: Any = KEY, alg: str = "RS256", **changes: Any) -> dict[str, Any]:
    claims = {
        "iss": "https://ledger.example/op",
        "aud": ["app-id"],
        "sub": "u-1",
        "iat": int(time.time()),
        "exp": int(time.time()) + 300,
        "nonce": "n-1",
    } | changes
    claims = {k: v for k, v in claims.items() if v is not None}
    return {"access_token": "at", "id_token": jwt.encode({"alg": alg, "kid": "k1"}, claims, key)}


def test_a_right_id_token_names_who_signed_in(server: Scripted) -> None:
    ledger = sign_in(server)
    claims = ledger.claims(id_token(), nonce="n-1")
    identity = ledger.identity(id_token(), claims)
    assert (identity.issuer, identity.subject) == ("https://ledger.example/op", "u-1")
    assert (identity.email, identity.email_verified) == ("robin@example.com", True)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example"},
        {"aud": ["another-app"]},
        {"aud": ["app-id", "another-app"]},  # shared with another app, and not said for whom
        {"exp": 1_700_000_000},
        {"nonce": "another browser"},
        {"nonce": None},
        {"sub": None},
        {"iat": None},
        {"key": OTHER},
        {"key": OctKey.import_key("app-secret-app-secret-app-secret"), "alg": "HS256"},
    ],
)
def test_a_wrong_id_token_connects_nobody(server: Scripted, changes: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="could not be verified"):
        sign_in(server).claims(id_token(**changes), nonce="n-1")


def test_no_id_token_connects_nobody(server: Scripted) -> None:
    with pytest.raises(Refused):
        sign_in(server).claims({"access_token": "at"}, nonce="n-1")


def test_a_nonce_is_checked_even_where_it_is_not_required(server: Scripted) -> None:
    ledger = sign_in(server, nonce_required=False)
    assert ledger.claims(id_token(nonce=None), nonce="n-1")["sub"] == "u-1"
    with pytest.raises(Refused):
        ledger.claims(id_token(nonce="another browser"), nonce="n-1")


def test_keys_that_the_ledger_changed_are_fetched_again(server: Scripted, provider: Provider) -> None:
    ledger = sign_in(server)
    ledger.claims(id_token(), nonce="n-1")
    provider.keys = [OTHER]
    assert ledger.claims(id_token(key=OTHER), nonce="n-1")["sub"] == "u-1"


def test_user_info_about_somebody_else_is_refused(server: Scripted, provider: Provider) -> None:
    provider.userinfo = (200, {"sub": "u-2", "email": "eve@example.com"})
    ledger = sign_in(server)
    with pytest.raises(Refused, match="contradicts"):
        ledger.identity(id_token(), ledger.claims(id_token(), nonce="n-1"))


def test_without_user_info_the_sign_in_still_works(server: Scripted, provider: Provider) -> None:
    provider.userinfo = (500, "")
    ledger = sign_in(server)
    identity = ledger.identity(id_token(), ledger.claims(id_token(), nonce="n-1"))
    assert (identity.subject, identity.email, identity.email_verified) == ("u-1", "", None)


def test_the_consent_page_gets_pkce_only_where_it_is_offered(server: Scripted, provider: Provider) -> None:
    def query() -> dict[str, list[str]]:
        oauth.forget_documents()
        url = sign_in(server).authorization_url(
            redirect_uri=REDIRECT, scope="openid books", state="s-1", nonce="n-1", verifier="v" * 64
        )
        assert url.startswith("https://ledger.example/consent?")
        return parse_qs(urlsplit(url).query)

    offered = query()
    assert offered["code_challenge_method"] == ["S256"]
    assert offered["code_challenge"][0] != "v" * 64
    assert (offered["state"], offered["nonce"], offered["scope"]) == (["s-1"], ["n-1"], ["openid books"])
    provider.pkce = []
    assert "code_challenge" not in query()


def test_a_code_is_exchanged_with_basic_auth_and_the_verifier(server: Scripted, provider: Provider) -> None:
    provider.answer = (
        200,
        {"access_token": "at", "refresh_token": "rt", "expires_in": 3600, "new_field": {"a": 1}},
    )
    ledger = sign_in(server)
    answer = ledger.exchange({"code": "c-1", "state": "s"}, redirect_uri=REDIRECT, verifier="v" * 64)
    token = ledger.token(answer)
    assert (token.access_token, token.refresh_token) == ("at", "rt")
    sent = parse_qs(server.asked[-1].body)
    assert sent["grant_type"] == ["authorization_code"]
    assert sent["code_verifier"] == ["v" * 64]
    assert "client_secret" not in sent


def test_a_ledger_that_takes_the_secret_in_the_form_alone_gets_it_there(
    server: Scripted, provider: Provider
) -> None:
    provider.more = {
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
        "code_challenge_methods_supported": None,
    }
    provider.answer = (200, {"access_token": "at", "refresh_token": "rt", "scope": ["books", "openid"]})
    ledger = sign_in(server)
    token = ledger.token(ledger.exchange({"code": "c-1"}, redirect_uri=REDIRECT, verifier="v" * 64))
    sent = parse_qs(server.asked[-1].body)
    assert sent["client_secret"] == ["app-secret"]
    assert "code_verifier" not in sent
    assert token.scope == "books openid"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((400, {"error": "invalid_grant", "error_description": "Token invalid"}), Reconnect),
        ((401, {"error": "invalid_client"}), Refused),
        ((400, {"error": "invalid_client"}), Refused),
        ((500, "<html></html>"), TryLater),
        ((503, ""), TryLater),
        ((429, "slow down"), TryLater),
        ((200, "no json"), TryLater),
        ((200, None), TryLater),
        ((200, {"token_type": "bearer"}), Refused),
    ],
)
def test_a_refresh_that_fails_says_what_to_do(
    server: Scripted, provider: Provider, answer: Answer, error: type[Exception]
) -> None:
    provider.answer = answer
    token = Token("old-access-token", "old-refresh-token", oauth.datetime.now(oauth.UTC))
    with pytest.raises((Reconnect, Refused, TryLater)) as caught:
        sign_in(server).refresh(token)
    assert type(caught.value) is error
    assert "old-" not in f"{caught.value} {caught.value.words} {caught.value.__cause__}"


def test_a_lost_refresh_is_uncertain(server: Scripted, provider: Provider) -> None:
    """The ledger may have changed the refresh token without our hearing."""
    provider.answer = (200, None)
    with pytest.raises(TryLater) as caught:
        sign_in(server).refresh(Token("a", "r", oauth.datetime.now(oauth.UTC)))
    assert caught.value.uncertain


def test_a_refresh_keeps_the_old_refresh_token_when_none_comes(server: Scripted, provider: Provider) -> None:
    provider.answer = (
        200,
        {"access_token": "at2", "expires_in": 3600, "x_refresh_token_expires_in": 8726400},
    )
    token = sign_in(server).refresh(Token("a", "r", oauth.datetime.now(oauth.UTC), scope="books"))
    assert (token.access_token, token.refresh_token, token.scope) == ("at2", "r", "books")
    assert token.refresh_expires_at is not None


@pytest.mark.parametrize(("hard_end", "days"), [(86_400 * 3, 3), (157_680_000, 101), ("soon", 101)])
def test_the_nearer_end_of_a_permission_counts_and_unknown_fields_do_no_harm(
    server: Scripted, provider: Provider, hard_end: object, days: int
) -> None:
    provider.answer = (
        200,
        {
            "access_token": "at2",
            "refresh_token": "rt2",
            "expires_in": 3600,
            "x_refresh_token_expires_in": 8726400,
            "x_refresh_token_hard_expires_in": hard_end,
            "authentication_event_id": {"new": ["in", 2027]},
        },
    )
    began = oauth.datetime.now(oauth.UTC)
    token = sign_in(server).refresh(Token("a", "r", began))
    assert (token.access_token, token.refresh_token) == ("at2", "rt2")
    assert token.refresh_expires_at is not None
    assert round((token.refresh_expires_at - began).total_seconds() / 86_400) == days


def test_discovery_is_fetched_once_and_survives_an_outage(server: Scripted, provider: Provider) -> None:
    for _ in range(3):
        sign_in(server).endpoint("token_endpoint")
    assert [a.path.rpartition("/")[2] for a in server.asked] == ["discovery"]
    provider.broken = True
    assert sign_in(server).endpoint("token_endpoint")
    oauth.forget_documents()
    with pytest.raises(TryLater):
        sign_in(server).endpoint("token_endpoint")


def test_a_missing_address_is_told_to_whoever_runs_forbear(server: Scripted) -> None:
    with pytest.raises(Refused, match="discovery"):
        sign_in(server).endpoint("no_such_endpoint")


def test_no_secret_goes_where_a_document_points_without_https(server: Scripted, provider: Provider) -> None:
    provider.more = {"token_endpoint": "http://ledger.example/token", "jwks_uri": "file:///etc/passwd"}
    for name in provider.more:
        with pytest.raises(Refused, match="without https"):
            sign_in(server).endpoint(name)


def test_an_odd_error_word_is_not_repeated(server: Scripted) -> None:
    with pytest.raises(Refused) as caught:
        sign_in(server).exchange(
            {"error": "<script>alert(1)</script>"}, redirect_uri=REDIRECT, verifier="v" * 64
        )
    assert "script" not in str(caught.value)


@pytest.mark.parametrize(
    ("realmid", "company", "match"),
    [
        ("9999", (200, {"CompanyInfo": {"CompanyName": "Somebody Else"}}), "which company"),
        (None, (403, {"Fault": {"Error": [{"Message": "No", "code": "3100"}]}}), "no permission"),
    ],
)
def test_a_forged_company_in_the_callback_is_refused(
    server: Scripted, provider: Provider, realmid: str | None, company: Answer, match: str
) -> None:
    """QuickBooks names the company outside the signed part of its answer."""
    token = id_token(realmid=realmid)
    provider.answer = (200, token | {"refresh_token": "rt", "expires_in": 3600})
    provider.company = company
    app = LedgerApp("app-id", "app-secret", "", f"{server.address}/discovery", server.address)
    with pytest.raises(Refused, match=match):
        QuickBooksPlatform(app).exchange(
            {"code": "c-1", "realmId": "1111"}, redirect_uri=REDIRECT, nonce="n-1", verifier="v" * 64
        )


def test_every_request_has_a_time_limit(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    send = requests.Session.send

    def watch(self: Any, request: Any, **options: Any) -> Any:
        seen.append(options.get("timeout"))
        return send(self, request, **options)

    monkeypatch.setattr(requests.Session, "send", watch)
    ledger = sign_in(server)
    ledger.identity(id_token(), ledger.claims(id_token(), nonce="n-1"))
    with pytest.raises(Refused):
        ledger.refresh(Token("a", "r", oauth.datetime.now(oauth.UTC)))
    assert len(seen) == 4
    assert None not in seen
