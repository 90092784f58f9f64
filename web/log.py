"""What the web process writes down: one line for each request, by the name of its page, never by its address.

An address may hold a consent's code or an organization's id of somebody who is not signed in. gunicorn's own
words go the same way as ours.
"""

from __future__ import annotations

import logging
import secrets
import time
from typing import Any

from flask import Flask, Response, g, request
from gunicorn import glogging

from connector import logs

log = logging.getLogger(__name__)
QUIET = ("static", "health.process", "health.parts", "health.metrics")


def follow(app: Flask) -> None:
    """Give every request an id that its jobs carry on, and write one line when it is answered."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    logs.begin(request=secrets.token_hex(6))
    g.began = time.monotonic()


def _end(response: Response) -> Response:
    if request.endpoint not in QUIET:
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


class Gunicorn(glogging.Logger):
    """gunicorn's logger, with our lines instead of its own."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)  # type: ignore[no-untyped-call]
        logs.configure()
        self.error_log.handlers.clear()
        self.error_log.propagate = True
