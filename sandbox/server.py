"""One process, one port: both ledgers' faces, the company pages, the control interface, and the log of all calls."""

from __future__ import annotations

import gzip
import importlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Response

from sandbox import control, oauth
from sandbox.faults import Fault
from sandbox.organization import Platform
from sandbox.pages import company_pages
from sandbox.world import Call, World

log = logging.getLogger(__name__)
PLATFORMS: tuple[Platform, ...] = ("quickbooks", "xero")
MOST_BYTES = 16 * 1024 * 1024
StartResponse = Callable[..., Any]
Environ = dict[str, Any]


def application(world: World) -> flask.Flask:
    """The Flask app of a world, wrapped in `Door`."""
    here = Path(__file__).resolve().parent
    app = flask.Flask(
        "sandbox", root_path=str(here), instance_path=str(here / "pages"), template_folder="pages/templates",
        static_folder="pages/static",
    )  # fmt: skip
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.register_blueprint(oauth.quickbooks(world), url_prefix="/quickbooks")
    app.register_blueprint(oauth.xero(world), url_prefix="/xero")
    for platform in PLATFORMS:
        face = importlib.import_module(f"sandbox.{platform}")
        app.register_blueprint(face.blueprint(world), url_prefix=f"/{platform}")
    app.register_blueprint(control.blueprint(world), url_prefix="/control")
    app.register_blueprint(company_pages(world))

    @app.after_request
    def remember(response: flask.Response) -> flask.Response:
        flask.request.environ["sandbox.operation"] = flask.g.get("operation", "")
        flask.request.environ["sandbox.company"] = flask.g.get("company", "")
        return response

    app.wsgi_app = Door(app, world, app.wsgi_app)  # type: ignore[method-assign]
    return app


class Door:
    """Every request passes here: faults strike, answers are zipped when asked, and each call is written down."""

    def __init__(self, app: flask.Flask, world: World, inner: Callable[..., Iterable[bytes]]) -> None:
        self.app, self.world, self.inner = app, world, inner

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        platform = path.split("/", 2)[1] if path.startswith(("/quickbooks/", "/xero/")) else ""
        began, at = time.perf_counter(), self.world.clock.now()
        body = self._body(environ)
        fault = self._strike(platform, environ, path, body) if platform else None
        status, headers, answer = self._run(environ, fault)
        plain = len(answer)
        zipped = self._wants_gzip(environ, headers, answer)
        if zipped:
            answer = gzip.compress(answer, compresslevel=6, mtime=0)
            headers = [h for h in headers if h[0].lower() != "content-length"]
            headers += [
                ("Content-Encoding", "gzip"),
                ("Vary", "Accept-Encoding"),
                ("Content-Length", str(len(answer))),
            ]
        if platform:
            query = environ.get("QUERY_STRING", "")
            self.world.calls.append(
                Call(
                    at=at, method=environ["REQUEST_METHOD"], path=path + (f"?{query}" if query else ""),
                    operation=environ.get("sandbox.operation") or f"{environ['REQUEST_METHOD']} {path}",
                    platform=platform, company=environ.get("sandbox.company", ""), status=int(status[:3]),
                    bytes_in=len(body), bytes_out=len(answer), bytes_plain=plain, gzip=zipped,
                    seconds=time.perf_counter() - began,
                    fault=f"{fault.action} {fault.when}" if fault else "",
                )
            )  # fmt: skip
        if fault and fault.action == "drop":
            self._drop(environ)
        start_response(status, headers)
        return [answer]

    @staticmethod
    def _body(environ: Environ) -> bytes:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if not length or length > MOST_BYTES:
            return b""
        body: bytes = environ["wsgi.input"].read(length)
        environ["wsgi.input"] = BytesIO(body)
        return body

    def _strike(self, platform: str, environ: Environ, path: str, body: bytes) -> Fault | None:
        company = environ.get("HTTP_XERO_TENANT_ID", "")
        if platform == "quickbooks" and "/company/" in path:
            company = path.split("/company/", 1)[1].split("/", 1)[0]
        return self.world.faults.strike(platform, environ["REQUEST_METHOD"], path, company, body)

    def _run(self, environ: Environ, fault: Fault | None) -> tuple[str, list[tuple[str, str]], bytes]:
        if fault and fault.seconds:
            time.sleep(fault.seconds)
        if fault and fault.when == "before" and fault.action == "drop":
            return "000 dropped", [], b""
        if fault and fault.when == "before" and fault.action in ("status", "body"):
            return self._faulty(environ, fault)
        seen: list[Any] = []

        def start(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None
        ) -> Callable[[bytes], None]:
            seen[:] = [status, headers]
            return lambda data: None

        parts = self.inner(environ, start)
        try:
            answer = b"".join(parts)
        finally:
            close = getattr(parts, "close", None)
            if close:
                close()
        if fault and fault.when == "after" and fault.action in ("status", "body"):
            return self._faulty(environ, fault)
        return seen[0], seen[1], answer

    def _faulty(self, environ: Environ, fault: Fault) -> tuple[str, list[tuple[str, str]], bytes]:
        if fault.action == "body":
            response = Response(fault.body, 200, content_type=fault.content_type)
        else:
            platform = environ["PATH_INFO"].split("/", 2)[1]
            face = importlib.import_module(f"sandbox.{platform}")
            with self.app.request_context(environ):
                response = face.fault_response(fault.status, fault.variant)
        answer = response.get_data()
        return response.status, list(response.headers.items()), answer

    @staticmethod
    def _wants_gzip(environ: Environ, headers: list[tuple[str, str]], answer: bytes) -> bool:
        accepted = environ.get("HTTP_ACCEPT_ENCODING", "").lower()
        coded = any(name.lower() == "content-encoding" for name, _ in headers)
        return len(answer) > 200 and "gzip" in accepted and not coded

    @staticmethod
    def _drop(environ: Environ) -> None:
        """Cut the connection without an answer."""
        connection: socket.socket | None = environ.get("werkzeug.socket")
        if connection is not None:
            connection.shutdown(socket.SHUT_RDWR)
        raise ConnectionResetError("dropped on purpose")


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # as the ledgers answer; werkzeug still ends the connection each time

    def log(self, type: str, message: str, *args: Any) -> None:
        log.debug(message, *args)

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        self.close_connection = True


class Server:
    """A running sandbox: `Server(world).start()`; `.url` is its address. Port 0 picks a free one."""

    def __init__(self, world: World, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.world = world
        self.app = application(world)
        self._server: BaseWSGIServer = make_server(
            host, port, self.app, threaded=True, request_handler=_Handler
        )
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="sandbox", daemon=True
        )
        self.port: int = self._server.server_port
        self.url = f"http://{host}:{self.port}"

    def start(self) -> Server:
        self.world.delivery.start()
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join(timeout=5)
        self._server.server_close()
        self.world.delivery.stop()

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
