"""Consent and tokens, as an app meets them: walked over HTTP like a browser."""

from __future__ import annotations

import base64
import hashlib

import pytest
import requests
from joserfc import jwt
from joserfc.jwk import KeySet

from sandbox.organization import Platform
from sandbox.server import Server
from sandbox.world import World
from tests.sandbox.conftest import (
    APP,
    PATHS,
    REDIRECT,
    TOKENS,
    a_company,
    answer,
    ask,
    connect,
    redeem,
)

REALM = "9130000000000001"
TENANT = "5d7e0000-0000-4000-a000-000000000001"
COMPANIES = {"quickbooks": REALM, "xero": TENANT}
DISCOVERY = {
    "quickbooks": "/quickbooks/.well-known/openid_configuration",
    "xero": "/xero/.well-known/openid-configuration",
}
BOTH: tuple[Platform, ...] = ("quickbooks", "xero")


@pytest.fixture(autouse=True)
def companies(world: World) -> None:
    for platform in BOTH:
        a_company(world, platform)


def bearer(token: dict[str, str]) -> dict[str, str]:
    return {"Authorization": f"Bearer {token['access_token']}"}


def refresh(server: Server, platform: Platform, value: str) -> requests.Response:
    return redeem(server, platform, grant_type="refresh_token", refresh_token=value)


@pytest.mark.parametrize("platform", BOTH)
def test_consent_gives_a_checked_identity_and_tokens(server: Server, platform: Platform) -> None:
    found = requests.get(server.url + DISCOVERY[platform], timeout=120).json()
    token = connect(server, platform, COMPANIES[platform], nonce="n-1")
    keys = KeySet.import_key_set(requests.get(found["jwks_uri"], timeout=120).json())
    claims = jwt.decode(token["id_token"], keys, algorithms=["RS256"]).claims
    assert claims["iss"] == found["issuer"]
    assert claims["aud"] == (["sandbox-app"] if platform == "quickbooks" else "sandbox-app")
    assert claims.get("nonce") == ("n-1" if platform == "xero" else None)
    assert claims.get("realmid") == (REALM if platform == "quickbooks" else None)
    assert token["expires_in"] == (3600 if platform == "quickbooks" else 1800)
    user = requests.get(found["userinfo_endpoint"], headers=bearer(token), timeout=120).json()
    assert user["sub"] == claims["sub"]
    assert user["email"] == "robin@harbourbooks.example"


@pytest.mark.parametrize("platform", BOTH)
def test_denying_comes_back_without_a_code(server: Server, platform: Platform) -> None:
    back = answer(server, platform, ask(server, platform), "deny")
    assert back == {"error": "access_denied", "state": "state-1"}


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:8000/callback", "http://example.org/cb", "https://203.0.113.9/cb", "javascript:x", ""],
)
def test_a_redirect_address_that_is_not_allowed_is_never_followed(
    server: Server, platform: Platform, address: str
) -> None:
    page = ask(server, platform, redirect_uri=address)
    assert page.status_code == 400
    assert "redirect address" in page.text


def test_a_registered_address_must_match_exactly(server: Server, world: World) -> None:
    world.apps["xero"].redirect_uris = (REDIRECT,)
    assert ask(server, "xero").status_code == 200
    assert ask(server, "xero", redirect_uri=REDIRECT + "/").status_code == 400


@pytest.mark.parametrize(
    ("platform", "scope"), [("xero", "openid accounting.transactions"), ("quickbooks", "openid everything")]
)
def test_an_unknown_scope_is_refused(server: Server, platform: Platform, scope: str) -> None:
    page = ask(server, platform, scope=scope)
    assert page.status_code == 302
    assert "error=invalid_scope" in page.headers["Location"]


@pytest.mark.parametrize("platform", BOTH)
def test_a_code_works_once_for_its_own_address_and_its_own_app(server: Server, platform: Platform) -> None:
    def a_code() -> str:
        return answer(server, platform, ask(server, platform))["code"]

    def exchange(code: str, **more: str) -> requests.Response:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, **more}
        return redeem(server, platform, **form)

    code = a_code()
    assert exchange(code, redirect_uri=REDIRECT + "2").json()["error"] == "invalid_grant"
    assert exchange(code).status_code == 200
    again = exchange(code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    wrong = requests.post(
        server.url + TOKENS[platform], auth=("sandbox-app", "wrong"), timeout=120,
        data={"grant_type": "authorization_code", "code": a_code(), "redirect_uri": REDIRECT},
    )  # fmt: skip
    assert wrong.status_code in (400, 401)
    assert wrong.json() == {"error": "invalid_client"}


def test_a_code_dies_of_old_age(server: Server, world: World) -> None:
    code = answer(server, "xero", ask(server, "xero"))["code"]
    world.grants.skip += 301
    late = redeem(server, "xero", grant_type="authorization_code", code=code, redirect_uri=REDIRECT)
    assert late.json()["error"] == "invalid_grant"


@pytest.mark.parametrize("platform", BOTH)
def test_pkce_is_honored(server: Server, platform: Platform) -> None:
    verifier = "v" * 50
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    for given, status in (("w" * 50, 400), ("", 400), (verifier, 200)):
        page = ask(server, platform, code_challenge=challenge, code_challenge_method="S256")
        code = answer(server, platform, page)["code"]
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT,
            "code_verifier": given,
        }
        assert redeem(server, platform, **form).status_code == status


@pytest.mark.parametrize("platform", BOTH)
def test_an_app_may_authenticate_in_the_form(server: Server, platform: Platform) -> None:
    code = answer(server, platform, ask(server, platform))["code"]
    form = {"client_id": APP[0], "client_secret": APP[1], "grant_type": "authorization_code", "code": code}
    found = requests.post(server.url + TOKENS[platform], data={**form, "redirect_uri": REDIRECT}, timeout=120)
    assert found.status_code == 200


def test_the_intuit_refresh_token_keeps_its_value_for_a_day_then_the_old_one_is_dead(
    server: Server, world: World
) -> None:
    first = connect(server, "quickbooks", REALM)["refresh_token"]
    assert refresh(server, "quickbooks", first).json()["refresh_token"] == first
    world.grants.skip += 86401
    second = refresh(server, "quickbooks", first).json()["refresh_token"]
    assert second != first
    stale = refresh(server, "quickbooks", first)
    assert stale.status_code == 400
    assert stale.json() == {
        "error": "invalid_grant", "error_description": "Incorrect or invalid refresh token",
    }  # fmt: skip
    assert refresh(server, "quickbooks", second).status_code == 200


def test_the_intuit_refresh_token_may_change_every_time_and_reuse_may_end_the_family(
    server: Server, world: World
) -> None:
    world.set_switch("quickbooks.refresh_rotation", "always")
    world.set_switch("quickbooks.reuse_revokes_family", True)
    first = connect(server, "quickbooks", REALM)["refresh_token"]
    second = refresh(server, "quickbooks", first).json()["refresh_token"]
    assert second != first
    assert refresh(server, "quickbooks", first).status_code == 400
    assert refresh(server, "quickbooks", second).status_code == 400


def test_the_hard_end_is_told_when_asked_and_ends_everything(server: Server, world: World) -> None:
    token = connect(server, "quickbooks", REALM)["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": token}
    headers = {"x-include-refresh-token-hard-expires-in": "true"}
    found = requests.post(
        server.url + TOKENS["quickbooks"], data=form, auth=APP, headers=headers, timeout=120
    )
    assert found.json()["x_refresh_token_hard_expires_in"] in (157680000, 157679999, 157679998)
    for _ in range(61):
        world.grants.skip += 30 * 86400
        answered = refresh(server, "quickbooks", token)
        if answered.status_code != 200:
            break
        token = answered.json()["refresh_token"]
    assert world.grants.skip >= 157680000


def test_the_xero_refresh_token_always_changes_with_half_an_hour_of_grace(
    server: Server, world: World
) -> None:
    first = connect(server, "xero", TENANT)["refresh_token"]
    second = refresh(server, "xero", first).json()["refresh_token"]
    assert second != first
    assert refresh(server, "xero", first).status_code == 200
    world.grants.skip += 1801
    dead = refresh(server, "xero", first)
    assert (dead.status_code, dead.json()) == (400, {"error": "invalid_grant"})


def test_a_refresh_token_dies_unused(server: Server, world: World) -> None:
    token = connect(server, "xero", TENANT)["refresh_token"]
    world.grants.skip += 60 * 86400 + 1
    assert refresh(server, "xero", token).status_code == 400


def test_without_offline_access_xero_gives_no_refresh_token(server: Server) -> None:
    token = connect(server, "xero", TENANT, scope="openid accounting.contacts")
    assert "refresh_token" not in token


def test_access_tokens_end_and_the_reason_is_told_apart(server: Server, world: World) -> None:
    token = connect(server, "xero", TENANT)
    url = server.url + "/xero/connections"
    assert requests.get(url, headers=bearer(token), timeout=120).status_code == 200
    world.grants.skip += 1801
    ended = requests.get(url, headers=bearer(token), timeout=120)
    assert ended.status_code == 401
    assert ended.json()["Detail"].startswith("TokenExpired: token expired at ")
    garbage = requests.get(url, headers={"Authorization": "Bearer x"}, timeout=120)
    assert garbage.json()["Detail"] == "AuthenticationUnsuccessful"


def test_revoking_at_intuit_takes_json_and_ends_the_family(server: Server) -> None:
    token = connect(server, "quickbooks", REALM)
    url = server.url + "/quickbooks/v2/oauth2/tokens/revoke"
    form = requests.post(url, data={"token": token["refresh_token"]}, auth=APP, timeout=120)
    assert form.status_code != 200
    done = requests.post(url, json={"token": token["refresh_token"]}, auth=APP, timeout=120)
    assert done.status_code == 200
    assert refresh(server, "quickbooks", token["refresh_token"]).status_code == 400
    assert (
        requests.post(url, json={"token": token["refresh_token"]}, auth=APP, timeout=120).status_code == 400
    )


def test_revoking_at_xero_ends_all_connections_of_the_user(server: Server, world: World) -> None:
    a_company(world, "xero", "5d7e0000-0000-4000-a000-000000000002", "Second Bakery")
    token = connect(server, "xero", TENANT)
    connect(server, "xero", "5d7e0000-0000-4000-a000-000000000002")
    url = server.url + "/xero/connect/revocation"
    assert (
        requests.post(url, data={"token": token["refresh_token"]}, auth=APP, timeout=120).status_code == 200
    )
    assert world.grants.connections == {}
    assert refresh(server, "xero", token["refresh_token"]).status_code == 400


def test_one_xero_token_reaches_every_organization_the_user_connected(server: Server, world: World) -> None:
    second = "5d7e0000-0000-4000-a000-000000000002"
    a_company(world, "xero", second, "Second Bakery")
    url = server.url + "/xero/connections"
    first = connect(server, "xero", TENANT)
    both = connect(server, "xero", TENANT, second)
    rows = requests.get(url, headers=bearer(first), timeout=120).json()
    assert {r["tenantId"] for r in rows} == {TENANT, second}
    assert {r["tenantName"] for r in rows} == {"Corner Bakery", "Second Bakery"}
    claims = jwt.decode(both["access_token"], world.grants.key, algorithms=["RS256"]).claims
    event = claims["authentication_event_id"]
    only = requests.get(url, params={"authEventId": event}, headers=bearer(first), timeout=120).json()
    assert {r["authEventId"] for r in only} == {event}
    gone = rows[0]
    wrong = requests.delete(f"{url}/{gone['tenantId']}", headers=bearer(first), timeout=120)
    assert wrong.status_code == 403
    done = requests.delete(f"{url}/{gone['id']}", headers=bearer(first), timeout=120)
    assert (done.status_code, done.content) == (204, b"")
    assert requests.delete(f"{url}/{gone['id']}", headers=bearer(first), timeout=120).status_code == 404
    left = requests.get(server.url + "/xero/Connections", headers=bearer(first), timeout=120).json()
    assert [r["tenantId"] for r in left] == [rows[1]["tenantId"]]


def test_a_disconnect_inside_xero_leaves_the_token_refreshing_and_inside_intuit_kills_it(
    server: Server, world: World
) -> None:
    xero, quickbooks = connect(server, "xero", TENANT), connect(server, "quickbooks", REALM)
    for id in (TENANT, REALM):
        requests.post(server.url + "/control/tokens", json={"disconnect": id}, timeout=120)
    renewed = refresh(server, "xero", xero["refresh_token"])
    assert renewed.status_code == 200
    assert (
        requests.get(server.url + "/xero/connections", headers=bearer(renewed.json()), timeout=120).json()
        == []
    )
    assert refresh(server, "quickbooks", quickbooks["refresh_token"]).status_code == 400


def test_a_second_user_can_be_chosen_and_one_has_no_verified_address(server: Server, world: World) -> None:
    users = requests.get(server.url + "/control/users", timeout=120).json()
    unproven = next(u for u in users if not u["email_verified"])
    page = ask(server, "quickbooks")
    back = answer(server, "quickbooks", page, user=[unproven["subject"]])
    token = redeem(
        server, "quickbooks", grant_type="authorization_code", code=back["code"], redirect_uri=REDIRECT
    ).json()
    url = server.url + "/quickbooks/v1/openid_connect/userinfo"
    assert requests.get(url, headers=bearer(token), timeout=120).json()["emailVerified"] is False


@pytest.mark.parametrize("platform", BOTH)
def test_the_consent_page_cannot_be_framed_or_kept(server: Server, platform: Platform) -> None:
    page = ask(server, platform, state='"><script>alert(1)</script>')
    assert page.headers["X-Frame-Options"] == "DENY"
    assert "no-store" in page.headers["Cache-Control"]
    assert "<script>" not in page.text
    assert PATHS[platform] in page.text
