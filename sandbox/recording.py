"""A file of every request that reached the pretend ledgers, for whoever checks what was sent to them."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

Application = Any  # a WSGI application
_BOOKS = ("/quickbooks/v3/company/", "/xero/api.xro/2.0/")


def recorded(inner: Application, path: Path) -> Application:
    """`inner`, with each request on the books appended to `path` as one line of JSON before it is answered.

    {"method", "path", "query", "headers": {lower-case name: value}, "body": base64}. Tokens are left out. Several
    processes may write to one file.
    """
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.get("PATH_INFO", "").startswith(_BOOKS):
            os.write(file, json.dumps(_request(environ)).encode() + b"\n")  # whole: the file is for appending
        answer: Iterable[bytes] = inner(environ, start_response)
        return answer

    return application


def _request(environ: dict[str, Any]) -> dict[str, Any]:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body: bytes = environ["wsgi.input"].read(length) if length else b""
    if length:
        environ["wsgi.input"] = BytesIO(body)
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") or name == "CONTENT_TYPE"
    }
    if "authorization" in headers:
        headers["authorization"] = "Bearer -"
    return {
        "method": environ["REQUEST_METHOD"],
        "path": environ["PATH_INFO"],
        "query": environ.get("QUERY_STRING", ""),
        "headers": headers,
        "body": base64.b64encode(body).decode(),
    }
