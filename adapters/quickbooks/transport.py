"""python-quickbooks as transport: it builds the addresses, everything that can go wrong is ours.

The SDK's own request method has no time limit, loses fault codes, quotes tokens in errors and turns money
into floats. `_Books` replaces that one method; the addresses, content types and minor version stay the SDK's.
One object per opened ledger: tokens of two companies never meet.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import requests
from quickbooks.client import QuickBooks

from adapters import waiting
from adapters.quickbooks import faults, shapes
from connector.platforms import Access, Call, Gate, PlatformError

MINOR_VERSION = 75
TIMEOUT = (5, 125)  # seconds to connect, to answer; QuickBooks itself cuts a request at 120
BATCH_REQUEST_ID = 36

Json = dict[str, Any]
exactly = msgspec.json.Decoder(float_hook=Decimal).decode  # exact amounts, never a float
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Session:
    """The SDK's session seam: one connection pool, a time limit, the budget before and the meter after."""

    def __init__(self, access: Access, gate: Gate) -> None:
        self.access_token = ""
        self.access, self.gate = access, gate
        self._http = requests.Session()
        self._http.headers.update({"User-Agent": "Forbear", "Accept-Encoding": "gzip"})

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str],
        params: Mapping[str, Any],
        data: Any,
        files: Any = None,
    ) -> requests.Response:
        operation, writes = describe(method, url, params, data)
        self.gate.before(operation, writes=writes)
        started = time.monotonic()
        answer: requests.Response | None = None
        try:
            answer = self._http.request(
                method,
                url,
                headers=headers,
                params=params,
                data=data,
                files=files,
                timeout=TIMEOUT,
                allow_redirects=False,  # a redirect would carry the token elsewhere
                auth=lambda prepared: prepared,  # or a .netrc entry would replace the token
            )
            return answer
        except requests.RequestException as problem:
            raise faults.lost(problem, writes=writes) from None
        finally:
            self.gate.after(_call(operation, writes, answer, time.monotonic() - started, data))

    def close(self) -> None:
        self._http.close()


def _call(operation: str, writes: bool, answer: requests.Response | None, seconds: float, data: Any) -> Call:
    if answer is None:
        return Call(operation, writes, 0, 0, len(data or b""), seconds)
    return Call(
        operation,
        writes,
        answer.status_code,
        bytes_in=_wire_bytes(answer),
        bytes_out=len(answer.request.body or b""),
        seconds=seconds,
        reference=_reference(answer),
        retry_after=waiting.seconds(answer.headers.get("Retry-After")),
    )


def _reference(answer: requests.Response) -> str:
    """What Intuit's support asks for; documented with a line below, seen with a hyphen."""
    return answer.headers.get("intuit_tid") or answer.headers.get("Intuit-Tid") or ""


def _wire_bytes(answer: requests.Response) -> int:
    try:
        return int(answer.raw.tell())  # compressed, as it travelled
    except (AttributeError, OSError, ValueError):
        return len(answer.content)


def describe(method: str, url: str, params: Mapping[str, Any], data: Any) -> tuple[str, bool]:
    """What a call does, in words without data, and whether it can change the books."""
    path = re.sub(r"^.*?/company/[^/]+/", "", url).split("?")[0].split("/")
    what = path[0]
    if what == "query":
        entity = re.search(rb"(?i)\bfrom\s+(\w+)", data if isinstance(data, bytes) else str(data).encode())
        return f"query {entity[1].decode() if entity else ''}".strip(), False
    if what == "batch":
        return "batch", not (isinstance(data, bytes) and b'"operation"' not in data)
    words = [method, what] + [p for p in path[1:] if p.isalpha()]
    if params.get("include") == "void":
        words.append("void")
    elif params.get("operation"):
        words.append(str(params["operation"]))
    return " ".join(words), method == "POST"


class _Books(QuickBooks):
    """The SDK's client with our request method in place of its own."""

    def make_request(
        self,
        request_type: str,
        url: str,
        request_body: Any = None,
        content_type: str = "application/json",
        params: Mapping[str, Any] | None = None,
        file_path: str | None = None,
        file_bytes: bytes | None = None,
        request_id: str | None = None,
        files: Any = None,
    ) -> Json:
        """One call and what it answered. Raises the port's four errors."""
        answer, writes = self.call(
            request_type, url, request_body, content_type, params, request_id=request_id, files=files
        )
        return parse(answer, writes=writes)

    def call(
        self,
        request_type: str,
        url: str,
        request_body: Any = None,
        content_type: str = "application/json",
        params: Mapping[str, Any] | None = None,
        *,
        request_id: str | None = None,
        files: Any = None,
    ) -> tuple[requests.Response, bool]:
        """One call, repeated once with a newer token after a 401: the answer as it came, and whether it writes."""
        session: Any = self.session
        query = {**(params or {}), "minorversion": self.minorversion}
        if request_id:
            query["requestid"] = request_id
        data = request_body.encode() if isinstance(request_body, str) else request_body or None
        session.access_token = session.access.token()
        for renewed in (False, True):
            headers = {
                "Accept": "application/json",
                "Authorization": f"Bearer {session.access_token}",
            }
            if files is None and request_type == "POST":
                headers["Content-Type"] = content_type
            answer = session.request(request_type, url, headers=headers, params=query, data=data, files=files)
            if answer.status_code != 401 or renewed:
                break
            session.access_token = session.access.renew(session.access_token)
        return answer, describe(request_type, url, query, data)[1]


def parse(answer: requests.Response, *, writes: bool) -> Json:
    """The answer's body with exact decimals. Raises the port's error for any fault in any shape."""
    raw = answer.content
    try:
        body = exactly(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        body = None
    if isinstance(body, dict):
        # The byte search keeps a page of a thousand rows from being walked for a fault it does not have.
        said = list(faults.found(body)) if b'"Fault"' in raw or b'"fault"' in raw else []
        if not said and answer.ok:
            if not body.get("time"):  # where the next sweep starts: the ledger's clock, or else ours
                body["time"] = (waiting.moment(answer.headers.get("Date")) or datetime.now(UTC)).isoformat()
            return body
    else:
        said = faults.in_text(raw)
    raise faults.error(
        said,
        status=answer.status_code,
        writes=writes,
        reference=_reference(answer),
        retry_after=waiting.seconds(answer.headers.get("Retry-After")),
    )


def _saying(what: str, answer: Json) -> Json:
    """An answer that is silent about what was asked is none: taken for "nothing", a change or a payment were missed."""
    if what not in answer:
        raise faults.unusable(f"an answer without {what}", writes=False)
    return answer


class Transport:
    """One company's calls: plain dicts in, parsed answers out. Every method may raise the four errors."""

    def __init__(self, api_url: str, realm: str, access: Access, gate: Gate) -> None:
        self._session = Session(access, gate)
        client: Any = _Books  # the SDK carries no types
        self._books = client(company_id=realm, minorversion=MINOR_VERSION)
        self._books.api_url_v3 = f"{api_url}/v3"
        self._books.session = self._session
        self._company = f"{api_url}/v3/company/{realm}"

    def get(self, entity: str, id: str = "", **params: str) -> Json:
        answer: Json = (
            self._books.get_single_object(entity, id, params=params)
            if id
            else self._books.get(f"{self._company}/{entity.lower()}", params=params)
        )
        return answer

    def query(self, statement: str) -> Json:
        answer: Json = self._books.query(statement)
        return _saying("QueryResponse", answer)

    def rows(self, statement: str, entity: str) -> list[msgspec.Raw]:
        """The rows that a query brings, undecoded: a page holds a million bytes of what nobody reads."""
        answer, _ = self._books.call("POST", f"{self._company}/query", statement, "application/text")
        if answer.status_code == 200 and (found := shapes.listed(answer.content, entity)) is not None:
            return found
        given = _saying("QueryResponse", parse(answer, writes=False))["QueryResponse"]  # raises for any fault
        rows = given.get(entity) if isinstance(given, dict) else None
        return [msgspec.Raw(_encode(row)) for row in rows] if isinstance(rows, list) else []

    def changes(self, entities: Sequence[str], since: str) -> Json:
        answer: Json = self._books.change_data_capture(",".join(entities), since)
        return _saying("CDCResponse", answer)

    def create(self, entity: str, body: Json, key: str) -> Json:
        answer: Json = self._books.create_object(entity, _encode(body), request_id=key)
        return answer

    def update(self, entity: str, body: Json, key: str, **params: str) -> Json:
        answer: Json = self._books.update_object(entity, _encode(body), request_id=key, params=params)
        return answer

    def delete(self, entity: str, body: Json, key: str) -> Json:
        answer: Json = self._books.delete_object(entity, _encode(body), request_id=key)
        return answer

    def batch(self, items: Sequence[Json], key: str = "") -> tuple[list[Json], str]:
        """Up to 30 independent operations; their answers in any order, faults inside; the ledger's time."""
        body = _encode({"BatchItemRequest": list(items)})
        answer = self._books.post(f"{self._company}/batch", body, request_id=key or None)
        given = answer.get("BatchItemResponse")
        if not isinstance(given, list):
            raise faults.unusable("batch without items", writes=b'"operation"' in body)
        return [item for item in given if isinstance(item, dict)], str(answer.get("time", ""))

    def send(self, invoice_id: str) -> Json:
        answer: Json = self._books.post(
            f"{self._company}/invoice/{invoice_id}/send", content_type="application/octet-stream"
        )
        return answer

    def upload(self, metadata: Json, filename: str, content: bytes, content_type: str, key: str) -> Json:
        files = {
            "file_metadata_01": ("metadata.json", _encode(metadata), "application/json"),
            "file_content_01": (filename, content, content_type),
        }
        answer: Json = self._books.post(f"{self._company}/upload", files=files, request_id=key)
        return answer


def item_error(item: Mapping[str, Any]) -> PlatformError | None:
    """The error of one batch item, or None when it went through."""
    said = list(faults.found(item))
    return faults.error(said, status=400, writes=True) if said else None
