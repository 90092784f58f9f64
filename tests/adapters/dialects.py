"""The same pretend ledgers, speaking as other servers may that keep to the same contract.

A dialect stands before the sandbox's door, and says the same with other words: amounts as text,
null instead of nothing, another order, fewer optional fields, other spellings of headers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

from sandbox.server import Server

Say = Callable[["Said"], None]


class Said:
    """One exchange: change `query` before it is answered (`body` is None then), `body` and `headers` after."""

    def __init__(self, method: str, path: str, query: dict[str, str], body: Any = None) -> None:
        self.method, self.path, self.query, self.body = method, path, query, body
        self.status = ""
        self.headers: list[tuple[str, str]] = []


class Dialect:
    """A WSGI application around the sandbox's own. Signing in stays as it is."""

    def __init__(self, inner: Any, ask: Sequence[Say], say: Sequence[Say], numbers: type) -> None:
        self.inner, self.ask, self.say, self.numbers = inner, ask, say, numbers

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if "/v3/company/" not in path and "/api.xro/" not in path:
            return self.inner(environ, start_response)  # type: ignore[no-any-return]
        said = Said(environ["REQUEST_METHOD"], path, dict(parse_qsl(environ.get("QUERY_STRING", ""))))
        for change in self.ask:
            change(said)
        environ["QUERY_STRING"] = urlencode(said.query)
        environ.pop("HTTP_ACCEPT_ENCODING", None)  # so that there is something to read
        heard: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], _: Any = None) -> Callable[[bytes], None]:
            heard[:] = [status, headers]
            return lambda data: None

        raw = said.status.encode() or b"".join(self.inner(environ, start))
        if said.status:  # answered by the dialect itself
            start_response(said.status, [("Content-Type", "text/plain"), ("Content-Length", str(len(raw)))])
            return [raw]
        said.status, said.headers = heard
        if self.say and "json" in dict(said.headers).get("Content-Type", ""):
            said.body = json.loads(raw, parse_float=self.numbers)
            for change in self.say:
                change(said)
            raw = json.dumps(said.body).encode()
            said.headers = [h for h in said.headers if h[0].lower() != "content-length"]
            said.headers.append(("Content-Length", str(len(raw))))
        start_response(said.status, said.headers)
        return [raw]


def speak(server: Server, ask: Sequence[Say] = (), say: Sequence[Say] = (), numbers: type = float) -> None:
    """Let a running sandbox speak a dialect from now on. `numbers`: what an amount with a point is."""
    server.app.wsgi_app = Dialect(server.app.wsgi_app, ask, say, numbers)  # type: ignore[method-assign]


def every(body: Any, change: Callable[[dict[str, Any]], None]) -> None:
    """Change every object of an answer, from inside out."""
    if isinstance(body, list):
        for part in body:
            every(part, change)
    elif isinstance(body, dict):
        for part in list(body.values()):
            every(part, change)
        change(body)
