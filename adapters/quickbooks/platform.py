"""QuickBooks Online as a platform: consent, tokens, and opening one company's books."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import requests

from adapters.oauth import TIMEOUT, Provider
from adapters.quickbooks import faults
from adapters.quickbooks.ledger import QuickBooksLedger
from adapters.quickbooks.transport import Transport
from connector.config import Config, LedgerApp
from connector.platforms import (
    Access,
    Gate,
    Grant,
    OpenGate,
    OrganizationRef,
    PlatformError,
    Reconnect,
    Refused,
    Token,
    TryLater,
)

SCOPE = "com.intuit.quickbooks.accounting openid profile email"
_PAGES = {
    "Customer": "customerdetail?nameId=",
    "Invoice": "invoice?txnId=",
    "CreditMemo": "creditmemo?txnId=",
    "Payment": "recvpayment?txnId=",
    "JournalEntry": "journal?txnId=",
    "Deposit": "deposit?txnId=",
    "RefundReceipt": "refundreceipt?txnId=",
}
_SITES = {
    "quickbooks.api.intuit.com": "https://app.qbo.intuit.com",
    "sandbox-quickbooks.api.intuit.com": "https://app.sandbox.qbo.intuit.com",
}


class QuickBooksPlatform:
    """See `connector.platforms.Platform`."""

    name = "quickbooks"
    label = "QuickBooks"
    credit_word = "credit memo"

    def __init__(self, app: LedgerApp) -> None:
        self._app = app
        # Intuit's documents do not list a nonce among the id token's claims.
        self._provider = Provider(app, label=self.label, nonce_required=False)

    def authorization_url(self, *, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        return self._provider.authorization_url(
            redirect_uri=redirect_uri, scope=SCOPE, state=state, nonce=nonce, verifier=verifier
        )

    def exchange(self, answer: Mapping[str, str], *, redirect_uri: str, nonce: str, verifier: str) -> Grant:
        """The callback names the company (`realmId`) outside the signed part, so it is checked twice:
        against the id token where that names one, and by opening the company with the new token."""
        given = self._provider.exchange(answer, redirect_uri=redirect_uri, verifier=verifier)
        realm = answer.get("realmId", "")
        claims = self._provider.claims(given, nonce=nonce)
        if not realm.isalnum() or str(claims.get("realmid") or realm) != realm:
            raise Refused("QuickBooks did not say which company to connect. Press Connect to try again.")
        token = self._provider.token(given)
        organization = OrganizationRef(realm, self._name(realm, token))
        return Grant(token, self._provider.identity(given, claims), (organization,))

    def _name(self, realm: str, token: Token) -> str:
        fallback = f"QuickBooks company {realm}"
        books = Transport(self._app.api_url, realm, _Fixed(token.access_token), OpenGate())
        try:
            company = books.get("CompanyInfo", realm).get("CompanyInfo")
        except Reconnect:
            raise Refused(
                "QuickBooks gave no permission for this company. Press Connect and choose the company again."
            ) from None
        except PlatformError:
            return fallback  # the first sync brings the name
        return str(company.get("CompanyName") or fallback) if isinstance(company, dict) else fallback

    def refresh(self, token: Token) -> Token:
        return self._provider.refresh(token)

    def revoke(self, token: Token, organization: OrganizationRef) -> None:
        """End the permission at Intuit: its own JSON form, not the form of RFC 7009. Already ended is done."""
        url = self._provider.endpoint("revocation_endpoint")
        try:
            answer = requests.post(
                url,
                json={"token": token.refresh_token},
                headers={"Accept": "application/json"},
                auth=(self._app.client_id, self._app.client_secret),
                timeout=TIMEOUT,
                allow_redirects=False,
            )
        except requests.RequestException as problem:
            raise faults.lost(problem, writes=True) from None
        if answer.status_code == 401:
            raise Refused(
                "QuickBooks does not know this app. Whoever runs Forbear must check the client id and "
                "client secret in the settings.",
                code="401",
            )
        if answer.status_code >= 429:
            raise TryLater("QuickBooks could not end the permission right now.", code=str(answer.status_code))

    def organizations(self, token: Token) -> list[OrganizationRef]:
        """QuickBooks cannot say: one permission reaches one company, named when it was given."""
        return []

    def open(
        self, organization: OrganizationRef, access: Access, gate: Gate, timezone: str = "UTC"
    ) -> QuickBooksLedger:
        transport = Transport(self._app.api_url, organization.external_id, access, gate)
        return QuickBooksLedger(transport, organization.external_id, self._page)

    def _page(self, entity: str, id: str) -> str:
        """The page in QuickBooks; it opens in the company that the browser is signed in to."""
        site = _SITES.get(urlsplit(self._app.api_url).hostname or "", self._app.api_url)
        return f"{site}/app/{_PAGES[entity]}{id}" if entity in _PAGES else ""


class _Fixed:
    """A token that is too new to need renewing."""

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self) -> str:
        return self._token

    def renew(self, rejected: str) -> str:
        raise Reconnect("QuickBooks does not accept the new permission. Press Connect to try again.")


def platform(config: Config) -> QuickBooksPlatform:
    """The entry point that pyproject.toml names."""
    return QuickBooksPlatform(config.quickbooks)
