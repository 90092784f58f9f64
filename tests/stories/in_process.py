"""The sandbox without sockets, for lives by the thousand: both SDKs and urllib3 as they are, each call handed over.

What happens on a real socket is tested elsewhere (the crash matrix, the killed worker, the adapters' own tests).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import RemoteDisconnected
from io import BytesIO
from typing import Any
from urllib.parse import unquote, urlsplit

from urllib3 import HTTPConnectionPool, HTTPResponse
from urllib3._collections import HTTPHeaderDict
from urllib3.connection import HTTPConnection

from sandbox.server import Server


@contextmanager
def handed_over(server: Server) -> Iterator[None]:
    """Until the end, calls to this server's address run in the thread that makes them."""

    class Inside(HTTPConnection):
        asked: dict[str, Any]

        def request(self, method: str, url: str, body: Any = None, headers: Any = None, **how: Any) -> None:  # type: ignore[override]
            if self.port != server.port:
                super().request(method, url, body, headers, **how)
                return
            self.asked = {"method": method, "url": url, "body": body, "headers": headers or {}, "how": how}

        def getresponse(self) -> HTTPResponse:  # type: ignore[override]
            if self.port != server.port:
                return super().getresponse()
            asked, how = self.asked, self.asked["how"]
            status, given, content = _answer(server, asked)
            code, _, reason = status.partition(" ")
            return HTTPResponse(
                body=BytesIO(content),
                headers=HTTPHeaderDict(given),
                status=int(code),
                version=11,
                reason=reason,
                preload_content=how.get("preload_content", True),
                decode_content=how.get("decode_content", True),
                request_method=asked["method"],
                request_url=asked["url"],
            )

    before = HTTPConnectionPool.ConnectionCls
    HTTPConnectionPool.ConnectionCls = Inside  # type: ignore[assignment,misc]
    try:
        yield
    finally:
        HTTPConnectionPool.ConnectionCls = before  # type: ignore[misc]


def _answer(server: Server, asked: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    """Status line, headers and body, as the sandbox's door gives them."""
    started: list[Any] = []
    try:
        parts = server.app(
            _environ(server, asked), lambda status, headers, info=None: started.extend((status, headers))
        )
        content = b"".join(parts)
    except ConnectionResetError:  # a fault dropped the connection
        raise RemoteDisconnected("Remote end closed connection without response") from None
    return started[0], started[1], content


def _environ(server: Server, asked: dict[str, Any]) -> dict[str, Any]:
    parts, body = urlsplit(asked["url"]), asked["body"] or b""
    if hasattr(body, "read"):
        body = body.read()
    if isinstance(body, str):
        body = body.encode()
    environ = {
        "REQUEST_METHOD": asked["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(parts.path).encode().decode("latin-1"),
        "QUERY_STRING": parts.query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(server.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": f"127.0.0.1:{server.port}",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body),
        "wsgi.errors": BytesIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in asked["headers"].items():
        key = name.upper().replace("-", "_")
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        if key != "CONTENT_LENGTH":
            environ["CONTENT_TYPE" if key == "CONTENT_TYPE" else f"HTTP_{key}"] = text
    return environ
