"""Reading many records: queries of a thousand in the order of their ids, without a gap.

QuickBooks pages by position only. When an earlier row vanishes between two pages, everything moves up and
one row would be skipped unseen. So each page begins with a row that the page before ended with; if it does
not, rows have moved and we step back until it does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from adapters.quickbooks import faults, shapes
from adapters.quickbooks.transport import Json, Transport, exactly
from connector.platforms import Refused, TryLater

PAGE = 1000  # rows, the most that QuickBooks gives
IDS = 300  # ids in one IN list; keeps the statement short enough for any gateway
_STEP_BACK = PAGE // 2
_BOTH = "Active IN (true,false)"  # without it, inactive names are left out
NOT_IN_EVERY_EDITION = ("JournalEntry", "Deposit", "RefundReceipt")
NAME_LISTS = ("Customer", "Account", "Item", "Term")
COMPANY = ("CompanyInfo", "Preferences")  # one of each


class Row(NamedTuple):
    """One record as it came. `record`: in its shape, or a dict where it has none or does not fit."""

    id: str
    record: Any
    raw: Any

    def text(self) -> str:
        """The record's own JSON, for one that must be set aside."""
        if isinstance(self.raw, msgspec.Raw):
            return bytes(self.raw).decode("utf-8", "replace")
        return json.dumps(self.raw, default=str, ensure_ascii=False)


_Read = TypeVar("_Read")
_Page = Callable[[int], list[tuple[str, _Read]]]  # the rows from a position on, each with its id


def quoted(value: str) -> str:
    """A string in QuickBooks' query language."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def any_of(field: str, values: Sequence[str]) -> str:
    return f"{field} IN ({', '.join(quoted(v) for v in values)})"


def count(transport: Transport, entity: str, where: str = "") -> tuple[int, str]:
    """How many matching records there are, and the ledger's own time."""
    answer = transport.query(_counting(entity, where))
    return _total(answer), str(answer.get("time", ""))


def counts(transport: Transport, entities: Sequence[str]) -> tuple[dict[str, int | None], str]:
    """How many records of each kind there are, and the ledger's own time before it counted.

    One call for all kinds; where the ledger takes no queries in a batch, one call each. None: this edition
    of QuickBooks does not have the kind, which is no reason to go without the others.
    """
    items = [{"bId": str(n), "Query": _counting(entity)} for n, entity in enumerate(entities, 1)]
    found: dict[str, int | None] = {}
    time = ""
    try:
        answers, time = transport.batch(items)
    except Refused:
        answers = []
    by_id = {str(item.get("bId")): item for item in answers}
    for n, entity in enumerate(entities, 1):
        try:
            found[entity] = _total(by_id.get(str(n), {}))
        except TryLater:
            try:
                found[entity], now = count(transport, entity)
            except Refused:
                if entity not in NOT_IN_EVERY_EDITION:
                    raise
                found[entity] = None
            else:
                time = time or now
    return found, time


def _total(answer: Json) -> int:
    given = answer.get("QueryResponse")
    if not isinstance(given, dict) or "totalCount" not in given:
        raise faults.unusable("count without totalCount", writes=False)
    return int(given["totalCount"])


def _counting(entity: str, where: str = "") -> str:
    return f"SELECT count(*) FROM {entity}{_where(entity, where)}"  # noqa: S608 (not SQL; values are quoted)


def _where(entity: str, where: str = "") -> str:
    parts = [part for part in (where, _BOTH if entity in NAME_LISTS else "") if part]
    return f" WHERE {' AND '.join(parts)}" if parts else ""


def pages(transport: Transport, entity: str, where: str = "") -> Iterator[list[Json]]:
    """Every matching record, in pages, inactive names too. A record may come twice when rows moved meanwhile."""

    def page(start: int) -> list[tuple[str, Json]]:
        return [
            (str(raw.get("Id")), raw) for raw in _plain(transport, _selecting(entity, where, start), entity)
        ]

    for found in _once(page, None):
        yield [raw for _, raw in found]


def read(transport: Transport, entity: str, expected: int) -> Iterator[list[Row]]:
    """All records of a kind, in pages. `expected`: how many there should be.

    A record may come twice when rows moved meanwhile. Raises TryLater when pages and count keep
    contradicting each other.
    """

    def page(start: int) -> list[tuple[str, Row]]:
        return [(row.id, row) for row in _rows(transport, _selecting(entity, "", start), entity)]

    for _ in range(3):
        done = 0
        for found in _once(page, expected):
            done += len(found)
            yield [row for _, row in found]
        if done >= expected:
            return
        expected, _time = count(transport, entity)  # some were deleted meanwhile, or were skipped
        if done >= expected:
            return
    raise faults.unusable(f"{entity}: {done} rows of {expected}", writes=False)


def _once(page: _Page[_Read], expected: int | None) -> Iterator[list[tuple[str, _Read]]]:
    start, done = 1, 0
    known: set[str] = set()  # the ids of the page before
    while True:
        found = page(start)
        if known and start > 1 and (not found or found[0][0] not in known):
            start = max(1, start - _STEP_BACK)
            continue
        new = [row for row in found if row[0] not in known]
        done += len(new)
        if new:
            yield new
        if not new or done == expected or (len(found) < PAGE and (expected is None or done > expected)):
            return
        known = {id for id, _ in found}
        start += len(found) - 1


def _selecting(entity: str, where: str, start: int) -> str:
    return f"SELECT * FROM {entity}{_where(entity, where)} ORDERBY Id STARTPOSITION {start} MAXRESULTS {PAGE}"  # noqa: S608


def _plain(transport: Transport, statement: str, entity: str) -> list[Json]:
    found = (transport.query(statement).get("QueryResponse") or {}).get(entity)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def _rows(transport: Transport, statement: str, entity: str) -> list[Row]:
    if entity not in shapes.SHAPES:
        return [plain(raw) for raw in _plain(transport, statement, entity)]
    found: list[Row] = []
    for raw in transport.rows(statement, entity):
        try:
            record: Any = shapes.decode(raw, entity)
            id = record.Id
        except msgspec.DecodeError:
            record = exactly(raw)
            if not isinstance(record, dict):
                continue
            id = record.get("Id")
        found.append(Row(str(id), record, raw))
    return found


def plain(raw: Json) -> Row:
    """A record that came as a dict."""
    return Row(str(raw.get("Id", "")), raw, raw)


def several(transport: Transport, questions: Sequence[tuple[str, str]]) -> list[list[Json]]:
    """The records of several questions (entity, condition), each with its own list; one call where it may be.

    All queries of a batch bring at most a thousand records together, and a ledger may refuse one of them, or
    all: what was not answered in full is asked alone. Only of the company itself nothing is brought then.
    """
    items = [
        {
            "bId": str(n),
            "Query": f"SELECT * FROM {entity}" if entity in COMPANY else _selecting(entity, where, 1),  # noqa: S608
        }
        for n, (entity, where) in enumerate(questions)
    ]
    try:
        answers, _ = transport.batch(items)
    except Refused:
        answers = []
    answered = {str(item.get("bId")): item.get("QueryResponse") for item in answers}
    found: list[list[Json] | None] = []
    for n, (entity, _) in enumerate(questions):
        given = answered.get(str(n))
        listed = given.get(entity, []) if isinstance(given, dict) else None
        found.append([row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else None)
    whole = sum(len(listed) for listed in found if listed) < PAGE
    result: list[list[Json]] = []
    for listed, (entity, where) in zip(found, questions, strict=True):
        alone = entity not in COMPANY and (listed is None or not whole)
        result.append(_all(transport, entity, where) if alone else listed or [])
    return result


def by_ids(transport: Transport, entity: str, field: str, values: Sequence[str]) -> list[Json]:
    """The records whose `field` is one of `values`."""
    found: list[Json] = []
    for n in range(0, len(values), IDS):
        found += _all(transport, entity, any_of(field, values[n : n + IDS]))
    return found


def _all(transport: Transport, entity: str, where: str) -> list[Json]:
    """Every matching record, each once."""
    found = (row for page in pages(transport, entity, where) for row in page)
    return list({str(row.get("Id")): row for row in found}.values())
