"""Reading many records: queries of a thousand in the order of their ids, without a gap.

QuickBooks pages by position only. When an earlier row vanishes between two pages, everything moves up and
one row would be skipped unseen. So each page begins with a row that the page before ended with; if it does
not, rows have moved and we step back until it does, or begin anew. A ledger whose rows come in another order
each time would keep us going for ever: after some steps that is an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, TypeVar

import msgspec

from adapters.quickbooks import faults, shapes
from adapters.quickbooks.transport import Json, Transport, exactly
from connector.platforms import Refused, TryLater

PAGE = 1000  # rows, the most that QuickBooks gives
IDS = 300  # ids in one IN list; keeps the statement short enough for any gateway
_PATIENCE = 10 * PAGE  # rows back, beside twice the way to the furthest: more than vanishing rows explain
_READINGS = 3  # of one kind, whose pages and count contradict each other
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


@dataclass(slots=True)
class Place:
    """How far the reading of one kind has come: with it another process can go on."""

    expected: int | None = None  # rows that there should be
    start: int = 1  # the position from which the next page is asked for
    done: int = 0  # rows so far
    known: list[str] = field(default_factory=list)  # the ids of the page before
    ended: bool = False
    readings: int = 1  # this one and those before, which brought too little

    def kept(self) -> dict[str, Any]:
        """As plain JSON."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @classmethod
    def of(cls, kept: dict[str, Any]) -> Place:
        """A place that was kept. One where the last reading ended in vain begins anew."""
        place = cls(**kept)
        vain = place.ended and place.readings >= _READINGS and place.done < (place.expected or 0)
        return cls(place.expected) if vain else place


def pages(transport: Transport, entity: str, where: str = "") -> Iterator[list[Json]]:
    """Every matching record, in pages, inactive names too. A record may come twice when rows moved meanwhile."""

    def page(start: int) -> list[tuple[str, Json]]:
        return [
            (str(raw.get("Id")), raw) for raw in _plain(transport, _selecting(entity, where, start), entity)
        ]

    for found in _once(page, Place()):
        yield [raw for _, raw in found]


def read(transport: Transport, entity: str, place: Place) -> Iterator[list[Row]]:
    """All records of a kind that `place` leaves, in pages; with each, `place` says where to go on after it.

    A record may come twice when rows moved meanwhile. Raises TryLater when pages and count keep
    contradicting each other.
    """

    def page(start: int) -> list[tuple[str, Row]]:
        return [(row.id, row) for row in _rows(transport, _selecting(entity, "", start), entity)]

    while True:
        for found in _once(page, place):
            yield [row for _, row in found]
        if place.done >= (place.expected or 0):
            return
        place.expected, _time = count(transport, entity)  # some were deleted meanwhile, or were skipped
        if place.done >= place.expected:
            return
        if place.readings >= _READINGS:
            raise faults.unusable(f"{entity}: {place.done} rows of {place.expected}", writes=False)
        place.start, place.done, place.known, place.ended = 1, 0, [], False
        place.readings += 1


def _once(page: _Page[_Read], place: Place) -> Iterator[list[tuple[str, _Read]]]:
    back, furthest = 0, place.start  # positions
    while not place.ended:
        found = page(place.start)
        known = set(place.known)
        if known and place.start > 1 and not _goes_on(found, known):
            back += PAGE // 2
            if back > 2 * furthest + _PATIENCE:
                raise faults.unordered()
            place.start = max(1, place.start - PAGE // 2)
            if place.start == 1:
                place.done, place.known = 0, []
            continue
        furthest = max(furthest, place.start)
        new = [row for row in found if row[0] not in known]
        place.done += len(new)
        enough = place.expected is None or place.done > place.expected
        place.ended = not new or place.done == place.expected or (len(found) < PAGE and enough)
        place.known = [id for id, _ in found]
        place.start += len(found) - 1
        if new:
            yield new


def _goes_on(found: list[tuple[str, _Read]], known: set[str]) -> bool:
    """Whether the page begins within the one before, and all that it repeats comes before what it adds."""
    repeats = [id in known for id, _ in found]
    return bool(repeats) and repeats[0] and not any(repeats[sum(repeats) :])


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
