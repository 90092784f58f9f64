"""Every operation of the HTTP surface, as the product describes it itself, with values that its types allow.

Schemathesis draws the cases from `/openapi.json`; ids of a real practice, its form token and values near to sense are
put among what it may draw, so that cases come further than the first look-up. An answer of 500 and more (503 while a
ledger is away is an answer), one that takes `LONGEST` of CPU time, and one whose status the description does not
know are reported.
"""

from __future__ import annotations

import copy
import itertools
import random
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

_SENDERS = itertools.count()
LONGEST = 5.0  # seconds of CPU; a page takes hundredths
LEAVING = ("sign_in.leave.post", "connect.disconnect.post")  # after those there is nothing left to try
NEAR = (
    "", "0", "1", "-1", "1e9", "99999999999999999999", "0.005", "NaN", "Infinity", "2026-12-01", "2026-02-30", "9999-12-31", "0001-01-01",
    "split", "notes", "month", "on", "keep", "reset", "read", "act", "configure", "USD", "{{ 7*7 }}", "{customer", "=1+1", "\u0000",
    "\u0661\u0662", "//x.example", "xero", "quickbooks", "pdf", "html", "a" * 5000,
)  # fmt: skip


def troubles(
    client: FlaskClient, ids: dict[str, list[str]], csrf: str, *, examples: int, seed: int = 8
) -> Iterator[str]:
    """ "" for each case that was answered well, else what was wrong. `examples` of each operation."""
    limits = settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    for operation in _operations(client, ids, csrf):
        said: list[str] = []
        kept = random.getstate()  # drawing leaves the process's own randomness as it was
        try:
            seeded(seed)(limits(given(operation.as_strategy())(_trying(client, said))))()
        finally:
            random.setstate(kept)
        yield from said


def _trying(client: FlaskClient, said: list[str]) -> Callable[[Any], None]:
    def tried(case: Any) -> None:
        said.append(_sent(client, case))

    return tried


def _operations(client: FlaskClient, ids: dict[str, list[str]], csrf: str) -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tool's own dependencies
        import schemathesis
    described = client.get("/openapi.json").get_json()
    for result in schemathesis.openapi.from_dict(_nearer(described, ids, csrf)).get_all_operations():
        operation = result.ok()
        if operation.definition.raw["operationId"] not in LEAVING:
            yield operation


def _nearer(described: dict[str, Any], ids: dict[str, list[str]], csrf: str) -> dict[str, Any]:
    """The description with our ids and values among what each string may be."""
    near = copy.deepcopy(described)
    every = [id for several in ids.values() for id in several]
    for operations in near["paths"].values():
        for operation in operations.values():
            operation.pop("security", None)  # the client is signed in
            for part in operation["parameters"]:
                known = ids.get(part["name"], []) if part["in"] == "path" else [*NEAR, *every]
                if part["schema"]["type"] == "string" and part["in"] != "header" and known:
                    known = [value for value in known if part["in"] == "query" or value]
                    part["schema"] = {"anyOf": [{"enum": known}, part["schema"]]}
            for body in operation.get("requestBody", {"content": {}})["content"].values():
                for name, schema in body["schema"].get("properties", {}).items():
                    if "contentMediaType" not in schema:
                        known = [csrf] if name == "csrf" else [*NEAR, *every]
                        body["schema"]["properties"][name] = {"enum": known}
                if "csrf" in body["schema"].get("properties", {}):
                    body["schema"]["required"] = ["csrf"]
    return near


def _sent(client: FlaskClient, case: Any) -> str:
    path = case.path
    for name, value in (case.path_parameters or {}).items():
        path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
    given = {"query_string": dict(case.query or {}), "headers": _ascii(case.headers or {})}
    if isinstance(case.body, bytes | str):
        given["data"] = case.body
    elif isinstance(case.body, dict) and case.media_type != "application/json":
        given["data"] = {name: _field(value) for name, value in case.body.items()}
    elif case.media_type == "application/json":
        given["json"] = case.body if isinstance(case.body, dict | list | int | float | bool) else None
    began = time.process_time()
    n = next(
        _SENDERS
    )  # each from an address of its own: what a limit for one sender refuses would not be tried
    sender = {"REMOTE_ADDR": f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"}
    answer = client.open(path, method=case.method, environ_overrides=sender, **given)
    spent = time.process_time() - began
    what = f"{answer.status_code} {case.method} {case.path} {str(given)[:300]}"
    if answer.status_code >= 500 and answer.status_code != 503:
        return what
    if spent > LONGEST:
        return f"{spent:.1f} s: {what}"
    known = case.operation.definition.raw["responses"]
    return "" if str(answer.status_code) in known else f"not described: {what}"


def _field(value: Any) -> Any:
    return value if isinstance(value, str | bytes | int | float) else str(value)


def _ascii(headers: Any) -> dict[str, str]:
    """What a header can hold on the way."""
    plain = {name: str(value).encode("ascii", "ignore").decode() for name, value in headers.items()}
    return {name: "".join(c for c in value if c.isprintable()) for name, value in plain.items()}
