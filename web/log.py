"""What the web process writes down: one line for each request, by the name of its page, never by its address.

An address may hold a consent's code or an organization's id of somebody who is not signed in. gunicorn's own
words go the same way as ours.
"""

from __future__ import annotations

import logging
import secrets
import time
from contextlib import ExitStack
from typing import Any

from flask import Flask, Response, g, request
from gunicorn import glogging

from connector import logs, tracing

log = logging.getLogger(__name__)
QUIET = ("static", "health.process", "health.parts", "health.metrics")


def follow(app: Flask) -> None:
    """Give every request an id that its jobs carry on, and write one line when it is answered."""
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_over)


def _begin() -> None:
    logs.begin(request=secrets.token_hex(6))
    g.began = time.monotonic()
    g.span = ExitStack()
    if request.endpoint not in QUIET:
        g.span.enter_context(tracing.span(f"{request.method} {request.endpoint}", kind="SERVER"))


def _end(response: Response) -> Response:
    if request.endpoint not in QUIET:
        tracing.note(status=response.status_code)
        log.info(
            "answered",
            extra=logs.facts(
                page=request.endpoint or "none",
                method=request.method,
                status=response.status_code,
                ms=round(1000 * (time.monotonic() - g.began), 1) if "began" in g else None,
            ),
        )
    return response


def _over(_error: BaseException | None) -> None:
    if "span" in g:
        g.span.close()


class Gunicorn(glogging.Logger):
    """gunicorn's logger, with our lines instead of its own."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)  # type: ignore[no-untyped-call]
        logs.configure()
        self.error_log.handlers.clear()
        self.error_log.propagate = True
