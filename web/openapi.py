"""The whole HTTP surface as OpenAPI 3.1, read from the routing table and the views: nothing is listed by hand.

Addresses, methods and parts of addresses are the routing table's; the fields of forms and queries are those that a
view, or a function of ours that it calls, asks for by name. It serves tools that try every address
(`tests/security/test_fuzz.py`), and whoever reviews the installation.
"""

from __future__ import annotations

import ast
import inspect
import mimetypes
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import version
from typing import Any

from flask import Blueprint, Flask, Response, current_app, jsonify
from werkzeug.routing import IntegerConverter, Rule

import webhooks
from web import sign_in

blueprint = Blueprint("openapi", __name__)

FORM = "application/x-www-form-urlencoded"
UPLOAD = "multipart/form-data"
TEXT = {"type": "string"}
WORDS = {
    200: "The page",
    302: "Onward: to the page that shows what came of it, or to sign in",
    303: "Onward: to the page that shows what came of it",
    400: "Not understood; a sentence says why",
    401: "Not signed, or not with the key that is set",
    403: "The person's role does not allow it",
    404: "Nothing here, or another practice's",
    413: "Too large",
    422: "A field is missing or not understood; the form says which",
    429: "Too many from one address",
    503: "The database or the ledger is away; try again",
}
Operation = dict[str, Any]


@blueprint.get("/openapi.json")
def served() -> Response:
    """This description."""
    return jsonify(describe(current_app))


def describe(app: Flask) -> dict[str, Any]:
    """Every address but the static files."""
    paths: dict[str, dict[str, Operation]] = {}
    for rule in sorted(app.url_map.iter_rules(), key=lambda r: r.rule):
        if rule.endpoint == "static":
            continue
        if rule.endpoint == "webhooks.receive":
            paths |= _webhooks(rule)
            continue
        operations = paths.setdefault(re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), {})
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            operations[method.lower()] = _operation(app, rule, method)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Forbear",
            "version": version("forbear"),
            "summary": "Pages for people, deliveries from ledgers, and a customer's page. There is no other API.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": app.config["SESSION_COOKIE_NAME"]}
            }
        },
    }


def _operation(app: Flask, rule: Rule, method: str) -> Operation:
    view = inspect.unwrap(app.view_functions[rule.endpoint])
    asked = _asked(view)
    parts = [
        {"name": name, "in": "path", "required": True, "schema": _part(rule._converters[name])}
        for name in sorted(rule.arguments)
    ]
    queries = [{"name": name, "in": "query", "schema": TEXT} for name in sorted(asked["args"])]
    described: Operation = {
        "operationId": f"{rule.endpoint}.{method.lower()}",
        "tags": [rule.endpoint.partition(".")[0]],
        "parameters": parts + queries,
        "responses": _responses(rule, method),
    }
    if said := inspect.getdoc(view):
        described["summary"] = " ".join(said.partition("\n\n")[0].split())
    if not rule.endpoint.startswith((*sign_in.OPEN, "customer.")):
        described["security"] = [{"session": []}]
    if method == "POST":
        described["requestBody"] = _body(rule, asked)
    return described


def _part(converter: object) -> dict[str, Any]:
    if isinstance(converter, IntegerConverter):
        return {"type": "integer", "minimum": 0, "maximum": converter.max}
    return {"type": "string", "pattern": "^[^/]+$"}


def _body(rule: Rule, asked: Mapping[str, set[str]]) -> dict[str, Any]:
    fields = {name: TEXT for name in sorted(asked["form"]) if "*" not in name}
    if not rule.endpoint.startswith("customer."):
        fields["csrf"] = TEXT | {"description": "From the page that shows the form"}
    schema: dict[str, Any] = {"type": "object", "properties": fields, "additionalProperties": TEXT}
    numbered = {_pattern(name): TEXT for name in sorted(asked["form"]) if "*" in name}
    if numbered:
        schema["patternProperties"] = numbered
    if not asked["files"]:
        return {"content": {FORM: {"schema": schema}}}
    files = {name: TEXT | {"contentMediaType": "application/octet-stream"} for name in asked["files"]}
    return {"content": {UPLOAD: {"schema": schema | {"properties": fields | files}}}}


def _pattern(name: str) -> str:
    return "^" + re.escape(name).replace(r"\*", ".+") + "$"


def _responses(rule: Rule, method: str) -> dict[str, Any]:
    kind = mimetypes.guess_type(rule.rule)[0] or "text/html"
    codes = [200, 302, 400, 403, 404, 503] + ([303, 413, 422] if method == "POST" else [])
    if rule.endpoint.startswith(("customer.", "sign_in.", "connect.")):
        codes += [429]
    found: dict[str, Any] = {}
    for code in sorted(set(codes)):
        found[str(code)] = {"description": WORDS[code]}
        if code == 200:
            found[str(code)]["content"] = {kind: {}}
    return found


def _webhooks(rule: Rule) -> dict[str, dict[str, Operation]]:
    """One address for each ledger that can deliver."""
    found = {}
    for platform, header in webhooks.signature_headers().items():
        signed = {"name": header, "in": "header", "schema": TEXT, "description": "Over the raw body"}
        found[rule.rule.replace("<platform>", platform)] = {
            "post": {
                "operationId": f"{rule.endpoint}.{platform}",
                "tags": ["webhooks"],
                "summary": "A ledger's news. 200 only when it is stored.",
                "parameters": [signed],
                "requestBody": {"content": {"application/json": {"schema": {}}}},
                "responses": {str(code): {"description": WORDS[code]} for code in (200, 401, 413, 429, 503)},
            }
        }
    return found


# ---------------------------------------------------------------- what a view asks of a request


@cache
def _asked(view: Callable[..., Any]) -> Mapping[str, set[str]]:
    """Names read from `request.args`, `.form` and `.files`; `*` stands where a name is made up of a number."""
    found: dict[str, set[str]] = {"args": set(), "form": set(), "files": set()}
    for function in _reached(view, set()):
        for kind, name in _read(_tree(function)):
            found[kind].add(name)
    return found


def _reached(function: Callable[..., Any], seen: set[Callable[..., Any]]) -> Iterator[Callable[..., Any]]:
    """The function and those of the pages that it calls, however deep."""
    if function in seen:
        return
    seen.add(function)
    yield function
    for node in ast.walk(_tree(function)):
        called = None
        if isinstance(node, ast.Name):
            called = function.__globals__.get(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = function.__globals__.get(node.value.id)
            called = getattr(module, node.attr, None) if inspect.ismodule(module) else None
        if inspect.isfunction(called) and called.__module__.partition(".")[0] == "web":
            yield from _reached(inspect.unwrap(called), seen)


@cache
def _tree(function: Callable[..., Any]) -> ast.AST:
    return ast.parse(textwrap.dedent(inspect.getsource(function)))


def _read(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            if node.func.attr in ("get", "getlist"):
                yield from _named(node.func.value, node.args[0])
        elif isinstance(node, ast.Subscript):
            yield from _named(node.value, node.slice)


def _named(fields: ast.AST, name: ast.AST) -> Iterator[tuple[str, str]]:
    if not isinstance(fields, ast.Attribute) or fields.attr not in ("args", "form", "files"):
        return
    if not isinstance(fields.value, ast.Name) or fields.value.id != "request":
        return
    if isinstance(name, ast.Constant) and isinstance(name.value, str):
        yield fields.attr, name.value
    elif isinstance(name, ast.JoinedStr):
        pieces = [str(p.value) if isinstance(p, ast.Constant) else "*" for p in name.values]
        yield fields.attr, "".join(pieces)
