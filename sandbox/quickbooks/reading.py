"""Answering queries and change data capture from the books, without walking or sorting everything each time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from sandbox.quickbooks import company, faults, native, query, refunds, schema
from sandbox.quickbooks.entities import ENTITIES, Entity, order_of_id, singleton
from sandbox.quickbooks.native import Json
from sandbox.quickbooks.query import Condition, Statement

if TYPE_CHECKING:
    from sandbox.ledger import Ledger

CDC_LIMIT = 1000
CDC_DAYS = 30
_NOT_CAPTURED = {"journalcode", "timeactivity", "taxagency", "taxcode", "taxrate"}
_UPDATED = "MetaData.LastUpdatedTime"


def run_query(ledger: Ledger, text: str) -> Json:
    """The value of `QueryResponse`. Raises Fault 4000 or 4001."""
    statement = query.parse(text)
    name = schema.entity_named(statement.entity)
    if name is None:
        raise faults.query_invalid(f"invalid context declaration: {statement.entity}")
    if name == "ExchangeRate":
        return _exchange_rates(ledger, statement)
    one = singleton(ledger, name)
    if one is not None:
        return {"totalCount": 1} if statement.count else _page(name, [one], 1)
    entity = ENTITIES[name]
    rows = matching(ledger, entity, _canonical(entity, statement))
    if statement.count:
        return {"totalCount": len(rows)}
    chosen = rows[statement.start - 1 : statement.start - 1 + statement.size]
    return _page(name, [entity.render(ledger, row) for row in chosen], statement.start)


def _page(name: str, bodies: list[Json], start: int) -> Json:
    return {name: bodies, "startPosition": start, "maxResults": len(bodies)} if bodies else {}


def _exchange_rates(ledger: Ledger, statement: Statement) -> Json:
    wanted = {c.path.lower(): c.values[0] for c in statement.conditions if c.operator == "="}
    day = wanted.get("asofdate", ledger.today().isoformat())[:10]
    if "sourcecurrencycode" not in wanted:
        return {}
    rate = company.render_rate(ledger, wanted["sourcecurrencycode"], datetime.fromisoformat(day).date())
    return _page("ExchangeRate", [rate], 1)


def _canonical(entity: Entity, statement: Statement) -> Statement:
    """With Intuit's spelling of each property. Raises Fault 4001."""
    conditions = tuple(
        replace(c, path=schema.property_kind(entity.name, c.path)[0]) for c in statement.conditions
    )
    order = tuple((schema.property_kind(entity.name, path)[0], desc) for path, desc in statement.order)
    return replace(statement, conditions=conditions, order=order)


def matching(ledger: Ledger, entity: Entity, statement: Statement) -> Sequence[Any]:
    """All records that fit, in the statement's order. Remembered until the books change."""
    plain = not statement.conditions and not entity.hides(ledger)
    if plain and statement.order in ((), (("Id", True),)):
        return _Reversed(entity.table(ledger).in_order())
    if plain and statement.order == (("Id", False),):
        return entity.table(ledger).in_order()
    key = (entity.name, statement.conditions, statement.order)
    remembered = ledger.revision_cache.get("quickbooks queries")
    if remembered is None or remembered[0] != ledger.revision:
        remembered = ledger.revision_cache["quickbooks queries"] = (ledger.revision, {})
    answers: dict[Any, list[Any]] = remembered[1]
    if key not in answers or entity.kind == "term":
        fitting = _fitting(ledger, entity, statement.conditions)
        answers[key] = _sorted(ledger, entity, fitting, statement.order)
    return answers[key]


class _Reversed(Sequence[Any]):
    """A long list from its end, without copying it."""

    def __init__(self, rows: list[Any]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            start, stop, _ = at.indices(len(self._rows))
            last = len(self._rows) - 1
            return [self._rows[last - i] for i in range(start, stop)]
        return self._rows[-1 - at]


def _fitting(ledger: Ledger, entity: Entity, conditions: Sequence[Condition]) -> list[Any]:
    tests: list[tuple[str, Callable[[Any], bool]]] = []
    for condition in conditions:
        _, kind = schema.property_kind(entity.name, condition.path)
        tests.append((condition.path, query.test(condition, kind)))
    if entity.listed and not any(path == "Active" for path, _ in tests):
        tests.insert(0, ("Active", bool))
    return [
        record
        for record in _candidates(ledger, entity, conditions)
        if entity.visible(ledger, record)
        and all(_fits(entity.value(ledger, record, path), test) for path, test in tests)
    ]


def _fits(value: Any, test: Callable[[Any], bool]) -> bool:
    return any(test(one) for one in value) if isinstance(value, list) else test(value)


def _candidates(ledger: Ledger, entity: Entity, conditions: Sequence[Condition]) -> Iterable[Any]:
    """Fewer than all records, where an index of the books helps; every condition is still tested."""
    table = entity.table(ledger)
    for condition in conditions:
        exact = condition.operator in ("=", "IN")
        if exact and condition.path == "Id":
            found = (table.get(id) for id in dict.fromkeys(condition.values))
            return [record for record in found if record is not None]
        if exact and condition.path == "CustomerRef" and entity.kind != "deposit":
            return [d for id in dict.fromkeys(condition.values) for d in ledger.documents_of(id, entity.kind)]
        if exact and condition.path == "DocNumber" and entity.kind in ("invoice", "credit_note"):
            return [d for n in dict.fromkeys(condition.values) for d in ledger.by_number(entity.kind, n)]
    since = [c for c in conditions if c.path == _UPDATED and c.operator in (">", ">=", "=")]
    if since:
        return table.by_change(query.instant_of(since[0]))
    return table.in_order()


def _sorted(
    ledger: Ledger, entity: Entity, rows: list[Any], order: tuple[tuple[str, bool], ...]
) -> list[Any]:
    rows.sort(key=order_of_id, reverse=not order)
    for path, descending in reversed(order):
        if path == "Id":
            rows.sort(key=order_of_id, reverse=descending)
        else:
            rows.sort(key=lambda row: _sortable(entity.value(ledger, row, path)), reverse=descending)
    return rows


def _sortable(value: Any) -> tuple[bool, Any]:
    return (value is not None, value.casefold() if isinstance(value, str) else value or 0)


# ---- change data capture -----------------------------------------------------------------------------------


def captured(ledger: Ledger, names: str, since_text: str, *, beyond: str, now: datetime) -> Json:
    """The value of `CDCResponse`'s one element.

    `beyond`: what to do with a moment more than 30 days ago: "honor" (as seen in 2020), "clamp" or "fail".
    Raises Fault 4001 for an entity that is not captured or a moment that cannot be read.
    """
    try:
        since = query.instant(since_text)
    except ValueError:
        raise faults.query_invalid(f"invalid changedSince: {since_text}")
    oldest = now - timedelta(days=CDC_DAYS)
    if since < oldest and beyond == "fail":
        raise faults.query_invalid(f"changedSince must be within the last {CDC_DAYS} days.")
    if since < oldest and beyond == "clamp":
        since = oldest
    blocks: list[Json] = []
    left = CDC_LIMIT
    for name in filter(None, (part.strip() for part in names.split(","))):
        known = schema.entity_named(name) or ""
        if known in ("CompanyInfo", "Preferences"):
            blocks.append({})
            continue
        entity = ENTITIES.get(known)
        if entity is None or name.lower() in _NOT_CAPTURED:
            raise faults.query_invalid(f"Entity {name} is not supported for change data capture")
        bodies = list(islice(_changes(ledger, entity, since), left))
        left -= len(bodies)
        blocks.append(_page(entity.name, bodies, 1))
    return {"QueryResponse": blocks}


def _changes(ledger: Ledger, entity: Entity, since: datetime) -> Iterable[Json]:
    """Live ones by time of change, then the deleted ones."""
    for record in entity.table(ledger).by_change(since):
        if entity.visible(ledger, record):
            yield entity.render(ledger, record)
    for deletion in ledger.deleted_since(since, entity.kind):
        if refunds.concealed(ledger, deletion):
            continue
        yield {
            "domain": "QBO",
            "status": "Deleted",
            "Id": deletion.ref.id,
            "MetaData": {"LastUpdatedTime": native.stamp(deletion.at.astimezone(UTC))},
        }
