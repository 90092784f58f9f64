"""gunicorn's threads, of which none waits for ever for a sender.

A thread that has begun to read a request reads until it is whole: a telephone that lost its network in the middle of
an upload, or somebody who sends one byte a minute, would keep it for good, and sixteen of those everything.
A proxy that takes requests in before it hands them on (nginx does) keeps such senders away from us altogether.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

HEAD, BODY = 10.0, 20.0  # seconds: from the first byte to the end of the headers; from there to the body's
UPLOAD = 60.0  # below a customer's address, where a telephone sends a photograph


class Worker(ThreadWorker):
    """Ends the reading of what did not come in time; what is being answered is left alone."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)  # type: ignore[no-untyped-call]
        self._until: dict[Any, float] = {}  # connection → when its thread has read for long enough

    def handle(self, conn: Any) -> Any:
        self._until[conn] = time.monotonic() + HEAD
        try:
            return super().handle(conn)  # type: ignore[no-untyped-call]
        finally:
            self._until.pop(conn, None)

    def handle_request(self, req: Any, conn: Any) -> Any:
        self._until[conn] = time.monotonic() + (UPLOAD if req.path.startswith("/c/") else BODY)
        return super().handle_request(req, conn)  # type: ignore[no-untyped-call]

    def murder_pending(self) -> None:
        """Called by gunicorn's loop at every turn, at least once a second."""
        super().murder_pending()  # type: ignore[no-untyped-call]
        now = time.monotonic()
        for conn, until in list(self._until.items()):
            if until < now:
                with suppress(OSError):  # gone meanwhile
                    conn.sock.shutdown(socket.SHUT_RD)  # a thread that reads there gets the end
