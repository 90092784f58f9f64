"""A QuickBooks that says exactly what a test tells it to, over HTTP: for answers the sandbox never gives."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from adapters.quickbooks.ledger import QuickBooksLedger
from adapters.quickbooks.transport import Transport
from connector.platforms import Call, OpenGate, Reconnect

Answer = tuple[int, Any]  # status and body: text, or anything for JSON; None hangs up without an answer


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str  # below /v3/company/<realm>/
    query: Mapping[str, str]
    token: str
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Tokens:
    """An Access whose tokens run out as the test wants."""

    fresh: list[str] = field(default_factory=lambda: ["first", "second"])
    renewals: list[str] = field(default_factory=list)

    def token(self) -> str:
        return self.fresh[0]

    def renew(self, rejected: str) -> str:
        self.renewals.append(rejected)
        if len(self.fresh) < 2:
            raise Reconnect("The permission has ended.")
        self.fresh.pop(0)
        return self.fresh[0]


class Meter(OpenGate):
    """Remembers every call."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def after(self, call: Call) -> None:
        self.calls.append(call)


@dataclass
class Scripted:
    """The running server; `asked` is what came, `ledger` opens its only company."""

    address: str
    asked: list[Asked] = field(default_factory=list)
    tokens: Tokens = field(default_factory=Tokens)
    meter: Meter = field(default_factory=Meter)

    def ledger(self, realm: str = "9130") -> QuickBooksLedger:
        transport = Transport(self.address, realm, self.tokens, self.meter)
        return QuickBooksLedger(transport, realm, lambda entity, id: "")


@contextmanager
def quickbooks(answer: Callable[[Asked], Answer]) -> Iterator[Scripted]:
    """Serve `answer` until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.answer = answer
    server.scripted = Scripted(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.scripted
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    answer: Callable[[Asked], Answer]
    scripted: Scripted


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"  # a new connection for each call: nothing stays open after a test
    server: _Server

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("utf-8", "replace")
        asked = Asked(
            self.command,
            parts.path.split("/company/", 1)[-1].split("/", 1)[-1],
            {k: v[0] for k, v in parse_qs(parts.query).items()},
            self.headers.get("Authorization", "").removeprefix("Bearer "),
            body,
        )
        self.server.scripted.asked.append(asked)
        status, content = self.server.answer(asked)
        if content is None:
            self.close_connection = True
            return
        text = content if isinstance(content, str) else json.dumps(content)
        data = gzip.compress(text.encode())
        self.send_response(status)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("intuit_tid", "1-tid")
        if status in (302, 307):
            self.send_header("Location", self.path)
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # who waited too long has gone
            self.wfile.write(data)

    do_GET = do_POST = _handle

    def log_message(self, format: str, *args: Any) -> None:
        return
