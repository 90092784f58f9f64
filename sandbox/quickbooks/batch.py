"""Batches: up to 30 independent operations in one request; each has its own outcome, the whole is always 200."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sandbox.quickbooks import faults, native, reading, schema, writes
from sandbox.quickbooks.faults import Fault
from sandbox.quickbooks.native import Json
from sandbox.quickbooks.writes import Switch

if TYPE_CHECKING:
    from sandbox.ledger import Ledger

LARGEST = 30
MOST_OBJECTS = 1000
_CONTROL = {"bId", "operation", "optionsData"}


def run(ledger: Ledger, body: Mapping[str, Any], switch: Switch, *, keyed: bool) -> list[Json]:
    """The outcomes. `keyed`: the request has a request id, which makes each bId at most 10 characters long.

    Raises Fault for the batch as a whole.
    """
    items = body.get("BatchItemRequest")
    if not isinstance(items, list) or not items:
        raise faults.missing("BatchItemRequest")
    if len(items) > LARGEST:
        raise faults.business(f"A batch can have at most {LARGEST} items; this one has {len(items)}.")
    for item in items:
        if not isinstance(item, Mapping):
            raise faults.malformed("BatchItemRequest must be a list of objects")
        if not native.given(item, "bId"):
            raise faults.missing("bId")
        if keyed and len(str(item["bId"])) > 10:
            raise faults.too_long("bId", 10, len(str(item["bId"])))
    outcomes = _within_limit([_outcome(ledger, item, switch) for item in items])
    if switch("batch_order", "given") == "shuffled":
        random.Random(len(items)).shuffle(outcomes)
    return outcomes


def _within_limit(outcomes: list[Json]) -> list[Json]:
    """All queries of a batch together return at most 1,000 objects; later ones come back cut short."""
    left = MOST_OBJECTS
    for outcome in outcomes:
        response = outcome.get("QueryResponse", {})
        for name, rows in response.items():
            if isinstance(rows, list):
                response[name] = rows[:left]
                response["maxResults"] = len(response[name])
                left -= len(response[name])
    return outcomes


def _outcome(ledger: Ledger, item: Mapping[str, Any], switch: Switch) -> Json:
    try:
        return _perform(ledger, item, switch) | {"bId": item["bId"]}
    except Fault as fault:
        return {"Fault": fault.body(), "bId": item["bId"]}


def _perform(ledger: Ledger, item: Mapping[str, Any], switch: Switch) -> Json:
    if "Query" in item:
        return {"QueryResponse": reading.run_query(ledger, str(item["Query"]))}
    names = [key for key in item if key not in _CONTROL]
    operation = str(item.get("operation", "")).lower()
    if len(names) != 1 or operation not in ("create", "update", "delete"):
        raise faults.unsupported()
    name = schema.entity_named(names[0])
    if name is None:
        raise faults.unknown_property(
            names[0], "BatchItemRequest", ["bId", "operation", "optionsData", "Query"]
        )
    params = {"operation": operation}
    if item.get("optionsData") == "void":
        params = {"operation": "update", "include": "void"} if name == "Payment" else {"operation": "void"}
    body = item[names[0]]
    if not isinstance(body, Mapping):
        raise faults.malformed(f"{name} must be an object")
    return writes.post(ledger, name, dict(body), params, switch)
