"""The contract gate: whatever a test makes us send to a ledger is held against that ledger's own schema.

Xero: its OpenAPI document, unknown properties refused. QuickBooks: Intuit's XSD, by names, types, enumerations and
what may repeat. A test that causes a request outside the contract fails, whatever else it asserts. The schemas lie
outside the repository; `tests/test_contract_gate.py` says so where they are missing, and fails on CI.
"""

from __future__ import annotations

import base64
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

SHARED = Path(__file__).parent.parent.parent / "shared"
XERO_SPEC = SHARED / "contracts/xero-openapi/xero_accounting.yaml"
QUICKBOOKS_XSD = SHARED / "contracts/qbo-xsd"
_XERO_ROOT = "/xero/api.xro/2.0"
_QUICKBOOKS_ROOT = re.compile(r"^/quickbooks/v3/company/[^/]+/(?P<rest>.*)$")


@dataclass(frozen=True, slots=True)
class Sent:
    """One request as it arrived at the pretend ledger."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]  # lower-case names
    body: bytes

    @property
    def is_json(self) -> bool:
        return "json" in self.headers.get("content-type", "") and bool(self.body)


def violations(sent: Sent) -> list[str]:
    """What of a request is outside its ledger's contract; [] for requests to anything else."""
    if sent.path.startswith(_XERO_ROOT + "/"):
        return _xero(sent) if XERO_SPEC.exists() else []
    if match := _QUICKBOOKS_ROOT.match(sent.path):
        return _quickbooks(sent, match["rest"]) if QUICKBOOKS_XSD.exists() else []
    return []


# ---------------------------------------------------------------- Xero


def _xero(sent: Sent) -> list[str]:
    from openapi_core.testing import MockRequest

    from tests.sandbox.xero_office import contract

    if sent.body and not sent.is_json:
        return []  # a file
    request = MockRequest(
        "https://api.xero.com",
        sent.method.lower(),
        "/api.xro/2.0" + sent.path.removeprefix(_XERO_ROOT),
        args=dict(sent.query),
        headers={
            name: sent.headers.get(name, "")
            for name in ("xero-tenant-id", "authorization", "idempotency-key", "if-modified-since")
            if name in sent.headers
        },
        data=sent.body,
        content_type="application/json",
    )
    return [_words(problem) for problem in contract(strict=True).unmarshal_request(request).errors]


def _words(problem: Exception) -> str:
    inner = getattr(problem, "schema_errors", None) or getattr(problem.__cause__, "schema_errors", None) or ()
    return f"{str(problem)[:300]} {'; '.join(str(each.message)[:200] for each in inner)}"


# ---------------------------------------------------------------- QuickBooks

_X = "{http://www.w3.org/2001/XMLSchema}"


@dataclass
class _Type:
    """A type of the XSD. `scalar`: its simple content; `words`: its enumeration."""

    base: str = ""
    elements: dict[str, tuple[str, bool]] = field(default_factory=dict)  # name → (type, may repeat)
    attributes: dict[str, str] = field(default_factory=dict)
    scalar: str = ""
    words: frozenset[str] = frozenset()
    open: bool = False  # takes any entity


@dataclass
class _Schema:
    types: dict[str, _Type] = field(default_factory=dict)
    entities: dict[str, str] = field(default_factory=dict)  # element name → type
    groups: dict[str, _Type] = field(default_factory=dict)

    def members(self, name: str) -> tuple[dict[str, tuple[str, bool]], dict[str, str], str, bool]:
        """Elements, attributes, simple content and openness of a type with all it inherits."""
        elements: dict[str, tuple[str, bool]] = {}
        attributes: dict[str, str] = {}
        scalar, open_ = "", False
        while name in self.types:
            one = self.types[name]
            elements = {**one.elements, **elements}
            attributes = {**one.attributes, **attributes}
            scalar, open_ = scalar or one.scalar, open_ or one.open
            name = one.base
        return elements, attributes, scalar, open_


@cache
def _schema() -> _Schema:
    schema = _Schema()
    roots = [ET.parse(path).getroot() for path in sorted(QUICKBOOKS_XSD.glob("*.xsd"))]
    for root in roots:
        for node in root:
            name = node.get("name", "")
            if node.tag == f"{_X}group":
                schema.groups[name] = _collect(node, schema)
    for root in roots:
        for node in root:
            name = node.get("name", "")
            if node.tag == f"{_X}element":
                schema.entities[name] = node.get("type", "")
            elif node.tag == f"{_X}complexType":
                schema.types[name] = _collect(node, schema)
            elif node.tag == f"{_X}simpleType":
                schema.types[name] = _simple(node)
    return schema


def _simple(node: ET.Element) -> _Type:
    restriction = node.find(f"{_X}restriction")
    if restriction is None:
        return _Type(scalar="xs:string")
    words = frozenset(e.get("value", "") for e in restriction.findall(f"{_X}enumeration"))
    return _Type(scalar=restriction.get("base", "xs:string"), words=words)


def _collect(node: ET.Element, schema: _Schema) -> _Type:
    """Everything that may stand in a type, choices and groups included."""
    made = _Type()
    for part in node.iter():
        if part.tag == f"{_X}extension":
            if _in_simple_content(node, part):
                made.scalar = part.get("base", "")
            else:
                made.base = part.get("base", "")
        elif part.tag == f"{_X}attribute":
            made.attributes[part.get("name", "")] = part.get("type", "xs:string")
        elif part.tag == f"{_X}element":
            repeats = part.get("maxOccurs", "1") != "1"
            if ref := part.get("ref"):
                if ref == "IntuitObject":
                    made.open = True
                else:
                    made.elements[ref] = (schema.entities.get(ref, ref), repeats)
            else:
                made.elements[part.get("name", "")] = (part.get("type", ""), repeats)
        elif part.tag == f"{_X}group" and part.get("ref"):
            made.elements |= schema.groups[part.get("ref", "")].elements
    return made


def _in_simple_content(node: ET.Element, extension: ET.Element) -> bool:
    return any(extension in content for content in node.iter(f"{_X}simpleContent"))


def _quickbooks(sent: Sent, rest: str) -> list[str]:
    if not sent.is_json:
        return []  # a query's text, a file, or nothing
    try:
        body = json.loads(sent.body)
    except ValueError:
        return ["the body is not JSON"]
    if rest == "batch":
        items = body.get("BatchItemRequest", []) if isinstance(body, dict) else []
        found = [] if items else ["batch: no BatchItemRequest"]
        for n, item in enumerate(items):
            found += list(_judge(item, "BatchItemRequest", f"BatchItemRequest[{n}]"))
        return found
    resource = rest.split("/")[0].lower()
    for name, type_ in _schema().entities.items():
        if name.lower() == resource:
            return list(_judge(body, type_, name))
    return [f"Intuit's schema has no entity {resource!r}"]


def _judge(value: Any, type_: str, path: str) -> Iterator[str]:
    schema = _schema()
    if type_.startswith("xs:") or not type_:
        yield from _judge_scalar(value, type_ or "xs:string", path)
        return
    elements, attributes, scalar, open_ = schema.members(type_)
    words = schema.types[type_].words if type_ in schema.types else frozenset()
    if type_ not in schema.types:
        yield f"{path}: the schema does not say what a {type_} is"
    elif words:
        if value not in words:
            yield f"{path}: {value!r} is none of {type_}'s words"
    elif scalar and not attributes and not isinstance(value, dict):
        yield from _judge(value, scalar, path)
    elif not isinstance(value, dict):
        yield f"{path}: a {type_} is an object, not {value!r}"
    else:
        if scalar:
            elements = {**elements, "value": (scalar, False)}
        for name, inner in value.items():
            at = f"{path}.{name}"
            if name in elements:
                yield from _judge_element(inner, *elements[name], at)
            elif name in attributes:
                yield from _judge(inner, attributes[name], at)
            elif open_ and name in schema.entities:
                yield from _judge(inner, schema.entities[name], at)
            else:
                yield f"{at}: a {type_} has no such field"


def _judge_element(value: Any, type_: str, repeats: bool, path: str) -> Iterator[str]:
    if value is None:
        yield f"{path}: null"
    elif repeats and isinstance(value, list):
        for n, each in enumerate(value):
            yield from _judge(each, type_, f"{path}[{n}]")
    elif repeats != isinstance(value, list):
        yield f"{path}: {'must' if repeats else 'may not'} be a list"
    else:
        yield from _judge(value, type_, path)


def _is_day(value: Any) -> bool:
    with suppress(TypeError, ValueError):
        return bool(date.fromisoformat(value))
    return False


def _is_moment(value: Any) -> bool:
    with suppress(TypeError, ValueError):
        return bool(datetime.fromisoformat(value))
    return False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_SCALARS: dict[str, Callable[[Any], bool]] = {
    "xs:string": lambda v: isinstance(v, str),
    "xs:anyURI": lambda v: isinstance(v, str),
    "xs:boolean": lambda v: isinstance(v, bool),
    "xs:decimal": _is_number,
    "xs:double": _is_number,
    "xs:float": _is_number,
    "xs:int": lambda v: type(v) is int,
    "xs:integer": lambda v: type(v) is int,
    "xs:long": lambda v: type(v) is int,
    "xs:positiveInteger": lambda v: type(v) is int and v > 0,
    "xs:nonNegativeInteger": lambda v: type(v) is int and v >= 0,
    "xs:date": _is_day,
    "xs:dateTime": _is_moment,
}


def _judge_scalar(value: Any, type_: str, path: str) -> Iterator[str]:
    fits = _SCALARS.get(type_)
    if fits is None:
        yield f"{path}: the gate does not know {type_}"
    elif not fits(value):
        yield f"{path}: {value!r} is no {type_.removeprefix('xs:')}"


# ---------------------------------------------------------------- recording


class Recorder:
    """Stands before every sandbox that a test starts in this process, and reads what those of its children wrote
    down in `file`."""

    def __init__(self, file: Path) -> None:
        self.sent: list[Sent] = []
        self._file, self._read = file, 0

    def by_children(self) -> list[Sent]:
        """What reached sandboxes in other processes since this was asked last."""
        if not self._file.exists():
            return []
        with self._file.open("rb") as lines:
            lines.seek(self._read)
            found = []
            for line in lines:
                if not line.endswith(b"\n"):
                    break  # it is being written
                self._read += len(line)
                one = json.loads(line)
                query = tuple(parse_qsl(one["query"], keep_blank_values=True))
                body = base64.b64decode(one["body"])
                found.append(Sent(one["method"], one["path"], query, one["headers"], body))
        return found

    def before(self, inner: Any) -> Any:
        def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            length = int(environ.get("CONTENT_LENGTH") or 0)
            body = environ["wsgi.input"].read(length) if length else b""
            if length:
                environ["wsgi.input"] = BytesIO(body)
            headers = {
                k.removeprefix("HTTP_").replace("_", "-").lower(): v
                for k, v in environ.items()
                if k.startswith("HTTP_") or k == "CONTENT_TYPE"
            }
            query = tuple(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
            self.sent.append(
                Sent(environ["REQUEST_METHOD"], environ.get("PATH_INFO", ""), query, headers, body)
            )
            found: Iterable[bytes] = inner(environ, start_response)
            return found

        return application


@pytest.fixture(scope="session", autouse=True)
def sent_to_ledgers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    import sandbox.server as server

    file = tmp_path_factory.mktemp("sent") / "to-children.jsonl"
    recorder, plain = Recorder(file), server.application

    def recorded(*given: Any, **more: Any) -> Any:
        app = plain(*given, **more)
        app.wsgi_app = recorder.before(app.wsgi_app)
        return app

    server.application = recorded  # type: ignore[assignment]
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SANDBOX_RECORD", str(file))
        yield recorder
    server.application = plain
    left = _outside(recorder.by_children())  # of processes that outlived the last test
    assert not left, "outside the contract:\n" + "\n".join(left)


@pytest.fixture(autouse=True)
def contract_gate(request: pytest.FixtureRequest, sent_to_ledgers: Recorder) -> Iterator[None]:
    """Fails a test that made us send what a ledger's contract does not know.

    The sandbox's own tests are left out: they send wrong requests on purpose.
    """
    sent_to_ledgers.sent.clear()
    yield
    sent = [*sent_to_ledgers.sent, *sent_to_ledgers.by_children()]
    if "sandbox" in request.node.path.parts:
        return
    found = _outside(sent)
    assert not found, "outside the contract:\n" + "\n".join(found)


def _outside(requests: Iterable[Sent]) -> list[str]:
    """What is wrong with them, each different request looked at once."""
    once = {(sent.method, sent.path, sent.query, sent.body): sent for sent in requests}
    return [f"{sent.method} {sent.path}: {words}" for sent in once.values() for words in violations(sent)]
