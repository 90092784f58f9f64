"""In front of the pages: a delivery is verified and stored without what a browser's request needs.

A routed, signed-in, guarded request costs several times what storing a delivery does, and bursts of deliveries come
by the thousand; so they are taken off before. Everything else goes on to the pages untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException
from werkzeug.wsgi import get_input_stream

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PREFIX = "/webhooks/"


@dataclass(frozen=True, slots=True)
class Posted:
    """What somebody sent. `refused`: the status for a body that is too long or was cut off on the way, else 0."""

    platform: str
    body: bytes
    sender: str
    refused: int
    _environ: dict[str, Any]

    def header(self, name: str) -> str:
        """ "" for one that is not there."""
        return str(self._environ.get(f"HTTP_{name.upper().replace('-', '_')}", ""))


class Front:
    """A WSGI application around another one."""

    def __init__(
        self,
        pages: WSGIApplication,
        answer: Callable[[Posted], int],
        platforms: Collection[str],
        longest: int,
    ) -> None:
        self._pages, self._answer, self._longest = pages, answer, longest
        self._paths = {f"{PREFIX}{name}": name for name in platforms}

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        platform = self._paths.get(environ["PATH_INFO"]) if environ["REQUEST_METHOD"] == "POST" else None
        if platform is None:
            return self._pages(environ, start)
        body, refused = b"", 0
        try:
            body = get_input_stream(environ, max_content_length=self._longest).read()
        except HTTPException as problem:
            refused = problem.code or 400
        status = HTTPStatus(
            self._answer(Posted(platform, body, environ.get("REMOTE_ADDR", ""), refused, environ))
        )
        # No body, no type and no cookie: Xero's check fails a receiver that sends any.
        start(f"{status.value} {status.phrase}", [("Content-Length", "0")])
        return []
