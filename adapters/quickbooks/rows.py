"""Reading many records: queries of a thousand in the order of their ids, without a gap.

QuickBooks pages by position only. When an earlier row vanishes between two pages, everything moves up and
one row would be skipped unseen. So each page begins with a row that the page before ended with; if it does
not, rows have moved and we step back until it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adapters.quickbooks import faults
from adapters.quickbooks.transport import Json, Transport
from connector.platforms import Refused, TryLater

PAGE = 1000  # rows, the most that QuickBooks gives
IDS = 300  # ids in one IN list; keeps the statement short enough for any gateway
_STEP_BACK = PAGE // 2
_BOTH = "Active IN (true,false)"  # without it, inactive names are left out
NOT_IN_EVERY_EDITION = ("JournalEntry", "Deposit", "RefundReceipt")
NAME_LISTS = ("Customer", "Account", "Item", "Term")


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


def pages(
    transport: Transport, entity: str, where: str = "", expected: int | None = None
) -> Iterator[list[Json]]:
    """Every matching record, in pages, inactive names too. `expected`: how many there should be, if known.

    A record may come twice when rows moved meanwhile. Raises TryLater when pages and count keep
    contradicting each other.
    """
    done = 0
    for _ in range(3):
        done = 0
        for page in _once(transport, entity, where, expected):
            done += len(page)
            yield page
        if expected is None or done >= expected:
            return
        expected, _time = count(transport, entity, where)  # some were deleted meanwhile, or were skipped
        if done >= expected:
            return
    raise faults.unusable(f"{entity}: {done} rows of {expected}", writes=False)


def _once(transport: Transport, entity: str, where: str, expected: int | None) -> Iterator[list[Json]]:
    start, done = 1, 0
    known: set[str] = set()  # the ids of the page before
    while True:
        page = _page(transport, entity, where, start)
        ids = [str(row.get("Id")) for row in page]
        if known and start > 1 and (not ids or ids[0] not in known):
            start = max(1, start - _STEP_BACK)
            continue
        new = [row for row, id in zip(page, ids, strict=True) if id not in known]
        done += len(new)
        if new:
            yield new
        if not new or done == expected or (len(page) < PAGE and (expected is None or done > expected)):
            return
        known = set(ids)
        start += len(page) - 1


def _page(transport: Transport, entity: str, where: str, start: int) -> list[Json]:
    answer = transport.query(
        f"SELECT * FROM {entity}{_where(entity, where)} ORDERBY Id STARTPOSITION {start} MAXRESULTS {PAGE}"  # noqa: S608
    )
    rows = answer.get("QueryResponse", {}).get(entity)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def by_ids(transport: Transport, entity: str, field: str, values: Sequence[str]) -> list[Json]:
    """The records whose `field` is one of `values`."""
    found: list[Json] = []
    for n in range(0, len(values), IDS):
        for page in pages(transport, entity, any_of(field, values[n : n + IDS])):
            found += page
    return list({str(row.get("Id")): row for row in found}.values())
