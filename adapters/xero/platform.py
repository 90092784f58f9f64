"""Xero as a provider of ledgers: consent, tokens, which organizations, and opening one."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec
import requests

from adapters.oauth import TIMEOUT, Provider
from adapters.xero import faults
from adapters.xero.ledger import XeroLedger
from adapters.xero.transport import Transport
from connector.config import Config
from connector.platforms import Access, Gate, Grant, Ledger, OrganizationRef, Refused, Token

# Granular scopes; `accounting.settings` (not only .read) so that the clearing account can be made.
SCOPES = (
    "openid profile email offline_access "
    "accounting.invoices accounting.payments accounting.contacts accounting.settings"
)
_ORGANISATION = "ORGANISATION"  # the other kind of tenant is an accounting practice: no books


class _Connection(msgspec.Struct):
    """A row of /connections. Disconnecting needs its own `id`, nothing else will do."""

    id: str
    tenantId: str
    tenantType: str | None = None
    tenantName: str | None = None


class Xero:
    """See `connector.platforms.Platform`."""

    name = "xero"
    label = "Xero"
    credit_word = "credit note"

    def __init__(self, config: Config) -> None:
        self._api_url = config.xero.api_url
        self._provider = Provider(config.xero, label=self.label)

    def authorization_url(self, *, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        return self._provider.authorization_url(
            redirect_uri=redirect_uri, scope=SCOPES, state=state, nonce=nonce, verifier=verifier
        )

    def exchange(self, answer: Mapping[str, str], *, redirect_uri: str, nonce: str, verifier: str) -> Grant:
        given = self._provider.exchange(answer, redirect_uri=redirect_uri, verifier=verifier)
        claims = self._provider.claims(given, nonce=nonce)
        token = self._provider.token(given)
        # The access token names the consent; asking for it lists only what was chosen this time.
        consent = _consent(token.access_token)
        organizations = self._connections(token, consent) if consent else []
        if not organizations:
            organizations = self._connections(token)
        if not organizations:
            raise Refused(
                "No organization was chosen in Xero, so nothing was connected. "
                "Press Connect again and choose at least one."
            )
        return Grant(token, self._provider.identity(given, claims), tuple(organizations))

    def refresh(self, token: Token) -> Token:
        return self._provider.refresh(token)

    def revoke(self, token: Token, organization: OrganizationRef) -> None:
        """End our connection to this one organization; the person's other ones go on."""
        ref = organization.connection_ref or self._connection_of(token, organization.external_id)
        if not ref:
            return  # already ended inside Xero
        answer = self._ask("DELETE", f"/connections/{ref}", token)
        if answer.status != 404 and not 200 <= answer.status < 300:
            raise faults.translate(answer, writes=True)

    def organizations(self, token: Token) -> list[OrganizationRef]:
        return self._connections(token)

    def open(
        self, organization: OrganizationRef, access: Access, gate: Gate, timezone: str = "UTC"
    ) -> Ledger:
        """`timezone` is not needed: Xero writes calendar dates of the organization, not moments."""
        return XeroLedger(
            Transport(self._api_url, organization.external_id, access, gate), _web(self._api_url)
        )

    def _connection_of(self, token: Token, tenant: str) -> str:
        for known in self._connections(token):
            if known.external_id == tenant:
                return known.connection_ref
        return ""

    def _connections(self, token: Token, consent: str = "") -> list[OrganizationRef]:
        answer = self._ask("GET", "/connections", token, {"authEventId": consent} if consent else {})
        if answer.status != 200:
            raise faults.translate(answer, writes=False)
        try:
            found = msgspec.json.decode(answer.body, type=list[_Connection])
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise faults.unreadable_answer(answer, writes=False) from None
        return [
            OrganizationRef(row.tenantId, row.tenantName or row.tenantId, row.id)
            for row in found
            if (row.tenantType or _ORGANISATION).upper() == _ORGANISATION
        ]

    def _ask(
        self, method: str, path: str, token: Token, query: Mapping[str, str] | None = None
    ) -> faults.Answer:
        headers = {"Authorization": f"Bearer {token.access_token}", "Accept": "application/json"}
        try:
            answer = requests.request(
                method, self._api_url + path, params=query, headers=headers, timeout=TIMEOUT
            )
        except requests.ConnectTimeout:
            raise faults.not_delivered() from None
        except requests.RequestException:
            raise faults.no_answer(writes=method != "GET") from None
        lowered = {name.lower(): value for name, value in answer.headers.items()}
        return faults.Answer(answer.status_code, lowered, answer.content)


def _consent(access_token: str) -> str:
    """The `authentication_event_id` inside Xero's access token, "" where there is none.

    Only a filter for a list that Xero guards itself, so the token's signature need not be checked here.
    """
    try:
        part = access_token.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return str(claims.get("authentication_event_id") or "")
    except (IndexError, ValueError, AttributeError, msgspec.DecodeError):
        return ""


def _web(api_url: str) -> str:
    """Where Xero's own pages are; a pretend ledger serves its pages below its own address."""
    return "https://go.xero.com" if urlsplit(api_url).hostname == "api.xero.com" else api_url
