"""The OpenID provider of both ledgers: discovery, keys, consent page, tokens, revocation, user info, connections.

Paths follow the real ones below each platform's prefix. Error bodies are the ledgers' own.
"""

from __future__ import annotations

import json
import uuid
from typing import Any
from urllib.parse import urlencode, urlsplit

import flask
from flask import Blueprint, Response, g, render_template, request

from sandbox.grants import USERS, BadToken, Caller, Consent, Denied, User
from sandbox.organization import Platform
from sandbox.world import World

OPENID = frozenset({"openid", "profile", "email"})
QUICKBOOKS_SCOPES = OPENID | {
    "phone", "address", "com.intuit.quickbooks.accounting", "com.intuit.quickbooks.payment",
}  # fmt: skip
_WRITABLE = (
    "invoices",
    "payments",
    "banktransactions",
    "manualjournals",
    "contacts",
    "settings",
    "attachments",
)
_REPORTS = ("aged", "balancesheet", "banksummary", "budgetsummary", "executivesummary", "profitandloss", "trialbalance", "taxreports")  # fmt: skip
XERO_SCOPES = (
    OPENID
    | {"offline_access", "accounting.journals.read"}
    | {f"accounting.{name}{part}" for name in _WRITABLE for part in ("", ".read")}
    | {f"accounting.reports.{name}.read" for name in _REPORTS}
)
LOCAL = frozenset({"localhost"})
NO_STORE = {"Cache-Control": "no-cache, no-store", "Pragma": "no-cache"}


class BadRequest(Exception):
    """The authorize request cannot even be answered by a redirect; `str()` is shown to the user."""


def quickbooks(world: World) -> Blueprint:
    """To be mounted at /quickbooks."""
    pages = Blueprint("quickbooks_oauth", __name__)

    def discovery() -> Response:
        base = request.host_url.rstrip("/") + "/quickbooks"
        return flask.jsonify(
            issuer=f"{base}/op/v1", authorization_endpoint=f"{base}/connect/oauth2",
            token_endpoint=f"{base}/oauth2/v1/tokens/bearer",
            userinfo_endpoint=f"{base}/v1/openid_connect/userinfo",
            revocation_endpoint=f"{base}/v2/oauth2/tokens/revoke", jwks_uri=f"{base}/op/v1/jwks",
            response_types_supported=["code"], subject_types_supported=["public"],
            id_token_signing_alg_values_supported=["RS256"],
            scopes_supported=["openid", "email", "profile", "address", "phone"],
            token_endpoint_auth_methods_supported=["client_secret_post", "client_secret_basic"],
            claims_supported=["aud", "exp", "iat", "iss", "realmid", "sub"],
        )  # fmt: skip

    pages.add_url_rule("/.well-known/openid_configuration", view_func=discovery)
    pages.add_url_rule("/.well-known/openid_sandbox_configuration", "sandbox_discovery", discovery)
    pages.add_url_rule("/op/v1/jwks", "jwks", lambda: _keys(world))
    pages.add_url_rule(
        "/connect/oauth2", "authorize", lambda: _authorize(world, "quickbooks"), methods=["GET", "POST"]
    )

    @pages.post("/oauth2/v1/tokens/bearer")
    def token() -> Response:
        g.operation = "token"
        return _token(world, "quickbooks")

    @pages.post("/v2/oauth2/tokens/revoke")
    def revoke() -> Response:
        g.operation = "revoke"
        try:
            client = _client(world, "quickbooks")
            value = json.loads(request.get_data() or b"{}").get("token", "")
        except (Denied, ValueError, AttributeError):
            return _error("invalid_client", "", 401)
        known = world.grants.revoke("quickbooks", str(value), client)
        return Response("", 200) if known else _error("invalid_request", "", 400)

    @pages.get("/v1/openid_connect/userinfo")
    def userinfo() -> Response:
        try:
            caller = world.authenticate("quickbooks", request)
        except BadToken:
            return Response("", 401, {"WWW-Authenticate": 'Bearer realm="Intuit", error="invalid_token"'})
        return flask.jsonify(_intuit_user(caller))

    return pages


def xero(world: World) -> Blueprint:
    """To be mounted at /xero."""
    pages = Blueprint("xero_oauth", __name__)

    @pages.get("/.well-known/openid-configuration")
    def discovery() -> Response:
        base = request.host_url.rstrip("/") + "/xero"
        return flask.jsonify(
            issuer=base, authorization_endpoint=f"{base}/identity/connect/authorize",
            token_endpoint=f"{base}/connect/token", userinfo_endpoint=f"{base}/connect/userinfo",
            revocation_endpoint=f"{base}/connect/revocation",
            jwks_uri=f"{base}/.well-known/openid-configuration/jwks",
            end_session_endpoint=f"{base}/connect/endsession",
            response_types_supported=["code"], subject_types_supported=["public"],
            grant_types_supported=["authorization_code", "client_credentials", "refresh_token"],
            id_token_signing_alg_values_supported=["RS256"], code_challenge_methods_supported=["plain", "S256"],
            scopes_supported=sorted(XERO_SCOPES), response_modes_supported=["form_post", "query", "fragment"],
            token_endpoint_auth_methods_supported=["client_secret_basic", "client_secret_post"],
            claims_supported=["sub", "name", "email", "given_name", "family_name", "preferred_username"],
        )  # fmt: skip

    pages.add_url_rule("/.well-known/openid-configuration/jwks", "jwks", lambda: _keys(world))
    pages.add_url_rule(
        "/identity/connect/authorize", "authorize", lambda: _authorize(world, "xero"), methods=["GET", "POST"]
    )

    @pages.post("/connect/token")
    def token() -> Response:
        g.operation = "token"
        return _token(world, "xero")

    @pages.post("/connect/revocation")
    def revoke() -> Response:
        g.operation = "revoke"
        try:
            client = _client(world, "xero")
        except Denied as denied:
            return _error(denied.error, "", 400)
        world.grants.revoke("xero", request.form.get("token", ""), client)
        return Response("", 200)  # RFC 7009: also for a token nobody knows

    @pages.get("/connect/userinfo")
    def userinfo() -> Response:
        try:
            user = world.authenticate("xero", request).user
        except BadToken:
            return Response("", 401, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        return flask.jsonify(_xero_user(user))

    @pages.get("/connections")
    @pages.get("/Connections")
    def connections() -> Response:
        g.operation = "GET connections"
        caller = _xero_caller(world)
        if isinstance(caller, Response):
            return caller
        event = request.args.get("authEventId")
        found = world.grants.connections_of(caller.user, caller.client_id)
        rows = [
            {
                "id": c.id, "authEventId": c.consent, "tenantId": c.tenant, "tenantType": "ORGANISATION",
                "tenantName": world.companies[c.tenant].organization.name,
                "createdDateUtc": f"{c.created:%Y-%m-%dT%H:%M:%S.%f}0",
                "updatedDateUtc": f"{c.updated:%Y-%m-%dT%H:%M:%S.%f}0",
            }
            for c in found
            if event in (None, c.consent) and c.tenant in world.companies
        ]  # fmt: skip
        return flask.jsonify(rows)

    @pages.delete("/connections/<id>")
    @pages.delete("/Connections/<id>")
    def disconnect(id: str) -> Response:
        g.operation = "DELETE connections"
        caller = _xero_caller(world)
        if isinstance(caller, Response):
            return caller
        own = {c.id for c in world.grants.connections_of(caller.user, caller.client_id)}
        if id in own:
            del world.grants.connections[id]
            return Response(status=204)
        known = {c.tenant for c in world.grants.connections.values()} | set(world.grants.consents)
        if id in known:  # a tenantId or an authEventId instead of the connection's own id
            return _problem(403, "Forbidden", "AuthenticationUnsuccessful")
        return _problem(404, "Not Found", "The connection cannot be found")

    return pages


def _problem(status: int, title: str, detail: str) -> Response:
    answer = flask.jsonify(
        Type=None, Title=title, Status=status, Detail=detail, Instance=str(uuid.uuid4()), Extensions={}
    )
    answer.status_code = status
    return answer


def _xero_caller(world: World) -> Caller | Response:
    try:
        return world.authenticate("xero", request)
    except BadToken as bad:
        moment = f"{world.clock.now():%m/%d/%Y %H:%M:%S}"
        expired = bad.reason == "expired"
        detail = f"TokenExpired: token expired at {moment}" if expired else "AuthenticationUnsuccessful"
        return _problem(401, "Unauthorized", detail)


def _keys(world: World) -> Response:
    return flask.jsonify(keys=[world.grants.public_key()])


# ---- consent ---------------------------------------------------------------------------------------------------


def _authorize(world: World, platform: Platform) -> Response:
    given = request.form if request.method == "POST" else request.args
    try:
        _check_addressee(world, platform, given.get("client_id", ""), given.get("redirect_uri", ""))
    except BadRequest as bad:
        page = render_template("refused.html", platform=platform, why=str(bad))
        return Response(page, 400, content_type="text/html; charset=utf-8")
    state = given.get("state", "")
    scopes = frozenset(given.get("scope", "").split())
    known = QUICKBOOKS_SCOPES if platform == "quickbooks" else XERO_SCOPES
    if given.get("response_type") != "code":
        return _back(given, error="unsupported_response_type", state=state)
    if not scopes or not scopes <= known:
        more = {"error_description": "Invalid scope for client"} if platform == "xero" else {}
        return _back(given, error="invalid_scope", state=state, **more)
    if given.get("code_challenge") and given.get("code_challenge_method") != "S256":
        return _back(given, error="invalid_request", state=state)
    if request.method == "GET":
        return _ask(world, platform, scopes)
    return _answer(world, platform, scopes, state)


def _check_addressee(world: World, platform: Platform, client_id: str, address: str) -> None:
    app = world.apps[platform]
    if client_id != app.client_id:
        raise BadRequest("This app is not known here. Check the client id.")
    if app.redirect_uris:
        if address not in app.redirect_uris:
            raise BadRequest("The redirect address is not registered for this app.")
        return
    parts = urlsplit(address)
    if parts.scheme == "https" and parts.hostname and not _is_address(parts.hostname):
        return
    if parts.scheme == "http" and parts.hostname in LOCAL and not parts.query:
        return
    raise BadRequest(
        "The redirect address must be https, or http://localhost while developing; an IP address is refused."
    )


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _ask(world: World, platform: Platform, scopes: frozenset[str]) -> Response:
    companies = sorted((x.organization for x in world.on(platform)), key=lambda o: o.name)
    page = render_template(
        "consent.html", platform=platform, companies=companies, users=USERS, asked=request.args,
        scopes=sorted(scopes), needs_company=_needs_company(platform, scopes),
    )  # fmt: skip
    headers = {"X-Frame-Options": "DENY", "Content-Security-Policy": "frame-ancestors 'none'", **NO_STORE}
    return Response(page, content_type="text/html; charset=utf-8", headers=headers)


def _needs_company(platform: Platform, scopes: frozenset[str]) -> bool:
    """Signing in alone asks for no company."""
    return any(s.startswith(("com.intuit", "accounting.")) for s in scopes)


def _answer(world: World, platform: Platform, scopes: frozenset[str], state: str) -> Response:
    form = request.form
    if form.get("decision") != "allow":
        return _back(form, error="access_denied", state=state)
    user = next((u for u in USERS if u.subject == form.get("user")), USERS[0])
    companies = tuple(c for c in form.getlist("company") if world.ledger(platform, c))
    if platform == "quickbooks":
        companies = companies[:1]
    if _needs_company(platform, scopes) and not companies:
        return _back(form, error="access_denied", state=state)
    code = world.grants.allow(
        platform, user, form["client_id"], scopes, companies, form["redirect_uri"],
        form.get("code_challenge", ""), form.get("nonce", ""),
    )  # fmt: skip
    more = {"realmId": companies[0]} if platform == "quickbooks" and companies else {}
    if platform == "xero":
        more["scope"] = " ".join(sorted(scopes))
    return _back(form, code=code, state=state, **more)


def _back(given: Any, **answer: str) -> Response:
    query = urlencode({k: v for k, v in answer.items() if v or k == "state"})
    joint = "&" if "?" in given["redirect_uri"] else "?"
    return Response("", 302, {"Location": f"{given['redirect_uri']}{joint}{query}"})


# ---- tokens ----------------------------------------------------------------------------------------------------


def _client(world: World, platform: Platform) -> str:
    """The authenticated app, by Basic header or form fields. Raises Denied("invalid_client")."""
    given = request.authorization
    if given is not None and given.type == "basic":
        id, secret = str(given.username or ""), str(given.password or "")
    else:
        id, secret = request.form.get("client_id", ""), request.form.get("client_secret", "")
    app = world.apps[platform]
    if (id, secret) != (app.client_id, app.client_secret):
        raise Denied("invalid_client")
    return id


def _token(world: World, platform: Platform) -> Response:
    form, grants = request.form, world.grants
    try:
        client = _client(world, platform)
        if form.get("grant_type") == "authorization_code":
            consent = grants.exchange(
                platform,
                form.get("code", ""),
                client,
                form.get("redirect_uri", ""),
                form.get("code_verifier", ""),
            )
        elif form.get("grant_type") == "refresh_token":
            consent = grants.refreshed(platform, form.get("refresh_token", ""), client)
        else:
            raise Denied("unsupported_grant_type")
    except Denied as denied:
        status = 401 if denied.error == "invalid_client" and platform == "quickbooks" else 400
        return _error(denied.error, denied.description, status)
    fresh = form.get("grant_type") == "authorization_code"
    body = (_intuit_token if platform == "quickbooks" else _xero_token)(world, consent, fresh)
    answer = flask.jsonify(body)
    answer.headers.extend(NO_STORE)
    if platform == "quickbooks":
        answer.headers["intuit_tid"] = f"1-{uuid.uuid4().hex[:8]}-{uuid.uuid4().hex[:24]}"
    return answer


def _intuit_token(world: World, consent: Consent, fresh: bool) -> dict[str, Any]:
    grants = world.grants
    issuer = request.host_url.rstrip("/") + "/quickbooks/op/v1"
    access, refresh = grants.issue(consent, issuer)
    found: dict[str, Any] = {
        "token_type": "bearer", "access_token": access,
        "expires_in": int(grants.setting("quickbooks", "access_seconds")), "refresh_token": refresh,
        "x_refresh_token_expires_in": int(grants.setting("quickbooks", "refresh_seconds")),
    }  # fmt: skip
    if request.headers.get("x-include-refresh-token-hard-expires-in", "").lower() == "true":
        found["x_refresh_token_hard_expires_in"] = int(grants.refresh[refresh].hard_end - grants.now())
    if fresh and "openid" in consent.scopes:
        now = int(grants.now())
        claims: dict[str, Any] = {
            "sub": consent.user.subject, "aud": [consent.client_id], "auth_time": int(consent.at), "iss": issuer,
            "exp": now + 3600, "iat": now,
        }  # fmt: skip
        if consent.companies:
            claims["realmid"] = consent.companies[0]
        if consent.nonce and world.switch("quickbooks.id_token_nonce", False):
            claims["nonce"] = consent.nonce
        found["id_token"] = grants.sign(claims)
    return found


def _xero_token(world: World, consent: Consent, fresh: bool) -> dict[str, Any]:
    grants, user = world.grants, consent.user
    issuer = request.host_url.rstrip("/") + "/xero"
    access, refresh = grants.issue(consent, issuer)
    found: dict[str, Any] = {
        "access_token": access, "expires_in": int(grants.setting("xero", "access_seconds")),
        "token_type": "Bearer", "scope": " ".join(sorted(consent.scopes)),
    }  # fmt: skip
    if "openid" in consent.scopes:
        now = int(grants.now())
        claims: dict[str, Any] = {
            "nbf": now, "exp": now + 300, "iss": issuer, "aud": consent.client_id, "iat": now,
            "auth_time": int(consent.at), "sub": user.subject, "xero_userid": user.subject,
            "global_session_id": uuid.uuid4().hex, **_xero_user(user),
        }  # fmt: skip
        if consent.nonce and fresh:
            claims["nonce"] = consent.nonce
        found["id_token"] = grants.sign(claims)
    if "offline_access" in consent.scopes:
        found["refresh_token"] = refresh
    return found


def _intuit_user(caller: Caller) -> dict[str, Any]:
    user, scopes = caller.user, caller.scopes
    found: dict[str, Any] = {"sub": user.subject}
    if "email" in scopes:
        found |= {"email": user.email, "emailVerified": user.email_verified}
    if "profile" in scopes:
        found |= {"givenName": user.given_name, "familyName": user.family_name}
    if "phone" in scopes:
        found |= {"phoneNumber": "+1 5555550123", "phoneNumberVerified": False}
    return found


def _xero_user(user: User) -> dict[str, Any]:
    return {
        "sub": user.subject, "preferred_username": user.email, "email": user.email, "given_name": user.given_name,
        "family_name": user.family_name, "name": user.name,
    }  # fmt: skip


def _error(error: str, description: str, status: int) -> Response:
    body = {"error": error}
    if description:
        body["error_description"] = description
    answer = flask.jsonify(body)
    answer.status_code = status
    answer.headers.extend(NO_STORE)
    return answer
