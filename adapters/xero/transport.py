"""xero-python as transport, and nothing else of it: no models, no hidden retry, no shared token, no debug.

What its own layers would do, as measured: resend a PUT up to three times, sleep through a 429, hand one
tenant another's token, and lose a whole page to one unknown word.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
import urllib3
import xero_python.accounting
import xero_python.api_client
from xero_python.exceptions import ApiException, ApiSSLException

from adapters.xero import faults
from adapters.xero.faults import Answer
from connector.platforms import Access, Call, Gate

sdk: Any = xero_python  # it carries no types

TIMEOUT = (5, 60)  # seconds to connect, to answer; the SDK silently ignores a float
KEY_LIMIT = 128  # characters of an idempotency key
_LIMIT_HEADERS = {
    "minute": "x-minlimit-remaining",
    "day": "x-daylimit-remaining",
    "appminute": "x-appminlimit-remaining",
}
_NOT_SENT = (urllib3.exceptions.ConnectTimeoutError, urllib3.exceptions.NewConnectionError)


class Transport:
    """Calls to one organization's books. Not for sharing between threads."""

    def __init__(self, api_url: str, tenant: str, access: Access, gate: Gate) -> None:
        self._tenant, self._access, self._gate = tenant, access, gate
        self._token = ""
        # The SDK's configurations are copies of one template, with one token object in all of them: not in ours.
        configuration = sdk.api_client.Configuration()
        configuration.oauth2_token = sdk.api_client.configuration.OAuth2Token()
        client = sdk.api_client.ApiClient(configuration, oauth2_token_getter=self._token_for_sdk)
        client.user_agent = "Forbear"
        client.set_default_header("Accept-Encoding", "gzip")
        client.rest_client.pool_manager.connection_pool_kw["retries"] = urllib3.Retry(
            total=0, redirect=0, respect_retry_after_header=False, raise_on_status=False
        )
        self._api: Any = sdk.accounting.AccountingApi(client, base_url=f"{api_url}/api.xro/2.0")

    def read(
        self, operation: str, method: str, *path: str, since: datetime | None = None, **query: Any
    ) -> Answer:
        """Call one reading method of the SDK. `since` is the If-Modified-Since moment, aware."""
        if since is not None:
            query["if_modified_since"] = since.replace(microsecond=0)  # Xero reads whole seconds
        return self._call(operation, method, path, query, writes=False, sent=0)

    def write(
        self, operation: str, method: str, *path: str, body: Any, key: str | None, **query: Any
    ) -> Answer:
        """Call one writing method with a body of plain values. `key` None: the call takes none (DELETE)."""
        if key is not None:
            query["idempotency_key"] = key[:KEY_LIMIT]
        size = len(body) if isinstance(body, bytes) else len(msgspec.json.encode(body))
        arguments = (*path, body) if body is not None else path
        return self._call(operation, method, arguments, query, writes=True, sent=size)

    def _call(
        self,
        operation: str,
        method: str,
        arguments: tuple[Any, ...],
        query: dict[str, Any],
        *,
        writes: bool,
        sent: int,
    ) -> Answer:
        """Perform it; renew the token once after a 401. Raises the port's errors for all but 2xx."""

        def ask() -> Any:
            return getattr(self._api, method)(
                self._tenant, *arguments, _preload_content=False, _request_timeout=TIMEOUT, **query
            )

        self._token = self._access.token()
        answer = self._once(operation, ask, writes, sent)
        if faults.token_expired(answer):
            self._token = self._access.renew(self._token)
            answer = self._once(operation, ask, writes, sent)
        if answer.status == 304 and not writes:  # nothing changed since the moment that was named
            return replace(answer, body=b"{}")
        if not 200 <= answer.status < 300:
            raise faults.translate(answer, writes=writes)
        return answer

    def _once(self, operation: str, ask: Callable[[], Any], writes: bool, sent: int) -> Answer:
        self._gate.before(operation, writes=writes)
        started = time.monotonic()

        def tell(answer: Answer | None, received: int) -> None:
            self._gate.after(
                Call(
                    operation=operation,
                    writes=writes,
                    status=answer.status if answer else 0,
                    bytes_in=received,
                    bytes_out=sent,
                    seconds=time.monotonic() - started,
                    reference=answer.reference if answer else "",
                    retry_after=answer.retry_after if answer else None,
                    limits=_limits(answer) if answer else {},
                )
            )

        try:
            response = self._send(ask)
            answer = Answer(
                status=response.status,
                headers={name.lower(): value for name, value in response.headers.items()},
                body=response.data,
            )
        except (ApiSSLException, urllib3.exceptions.HTTPError, OSError) as problem:
            tell(None, 0)
            if isinstance(problem, ApiSSLException) or _never_sent(problem):
                raise faults.not_delivered() from None
            raise faults.no_answer(writes=writes) from None
        tell(answer, response.tell())
        return answer

    def _send(self, ask: Callable[[], Any]) -> Any:
        """The urllib3 response, also of a refusal. Its body may still be on the way."""
        try:
            return ask()
        except ApiException as problem:
            if problem.http_resp is None:
                raise
            return problem.http_resp.urllib3_response

    def _token_for_sdk(self) -> dict[str, Any]:
        """Without `expires_at` the SDK never refreshes by itself; an extra key would be a TypeError."""
        return {
            "access_token": self._token,
            "scope": [],
            "expires_in": 1800,
            "token_type": "Bearer",
        }


def _never_sent(problem: Exception) -> bool:
    """MaxRetryError wraps what stopped the one attempt that we allow."""
    return isinstance(getattr(problem, "reason", problem), _NOT_SENT)


def _limits(answer: Answer) -> dict[str, int]:
    found = {}
    for window, header in _LIMIT_HEADERS.items():
        value = answer.headers.get(header, "")
        if value.strip().isdigit():
            found[window] = int(value)
    return found
