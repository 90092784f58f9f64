"""QuickBooks's query language: text → `Statement`, and what a comparison means for each kind of property.

    SELECT * | count(*) FROM Entity [WHERE c AND c ...] [ORDERBY p [ASC|DESC], ...]
    [STARTPOSITION n] [MAXRESULTS n]

There is no OR, no GROUP BY, no JOIN. Strings stand in single quotes with `\\'`. Text that does not fit the
grammar is fault 4000; a statement that fits but asks for the impossible is fault 4001.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.quickbooks import faults

PACIFIC = ZoneInfo("America/Los_Angeles")
DEFAULT_PAGE, LARGEST_PAGE = 100, 1000

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>'(?:\\.|[^'\\])*')
    | (?P<number>-?\d+(?:\.\d+)?)(?![\w.])
    | (?P<word>[A-Za-z_][\w.]*)
    | (?P<sign><=|>=|[=<>(),*])
    )""",
    re.VERBOSE | re.DOTALL,
)
_OPERATORS = {"=", "<", ">", "<=", ">="}


@dataclass(frozen=True, slots=True)
class Condition:
    """`path operator values`; one value for all operators but IN."""

    path: str
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    entity: str
    count: bool = False
    conditions: tuple[Condition, ...] = ()
    order: tuple[tuple[str, bool], ...] = ()  # (path, descending)
    start: int = 1
    size: int = DEFAULT_PAGE


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int

    def says(self, *words: str) -> bool:
        return self.kind in ("word", "sign") and self.text.upper() in words


def parse(text: str) -> Statement:
    """Read one statement. Raises Fault 4000 (grammar) or 4001 (page limits)."""
    return _Parser(text).statement()


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = list(_tokens(text))
        self.at = 0

    def statement(self) -> Statement:
        self._expect("SELECT")
        count = self._columns()
        self._expect("FROM")
        entity = self._word("an entity name")
        conditions: list[Condition] = []
        if self._accept("WHERE"):
            conditions.append(self._condition())
            while self._accept("AND"):
                conditions.append(self._condition())
        order = self._order()
        start, size = 1, DEFAULT_PAGE
        while self._next.kind != "end":
            if self._accept("STARTPOSITION"):
                start = self._whole(1, None)
            elif self._accept("MAXRESULTS"):
                size = self._whole(1, LARGEST_PAGE)
            else:
                raise self._unexpected("<EOF>", "AND", "ORDERBY", "STARTPOSITION", "MAXRESULTS")
        return Statement(entity, count, tuple(conditions), order, start, size)

    def _columns(self) -> bool:
        """True for count(*). A list of properties is accepted; whole objects come back all the same."""
        count = False
        while True:
            if self._accept("COUNT"):
                self._expect("(")
                self._expect("*")
                self._expect(")")
                count = True
            elif not self._accept("*"):
                self._word("a property, * or count(*)")
            if not self._accept(","):
                return count

    def _condition(self) -> Condition:
        path = self._word("a property")
        if self._accept("IN"):
            self._expect("(")
            values = [self._literal()]
            while self._accept(","):
                values.append(self._literal())
            self._expect(")")
            return Condition(path, "IN", tuple(values))
        if self._accept("LIKE"):
            return Condition(path, "LIKE", (self._literal(),))
        if self._next.text not in _OPERATORS:
            raise self._unexpected(*sorted(_OPERATORS), "IN", "LIKE")
        operator = self._take().text
        return Condition(path, operator, (self._literal(),))

    def _order(self) -> tuple[tuple[str, bool], ...]:
        if self._accept("ORDER"):
            self._expect("BY")
        elif not self._accept("ORDERBY"):
            return ()
        order: list[tuple[str, bool]] = []
        while True:
            path = self._word("a property")
            descending = self._accept("DESC")
            if not descending:
                self._accept("ASC")
            order.append((path, descending))
            if not self._accept(","):
                return tuple(order)

    def _literal(self) -> str:
        token = self._take()
        if token.kind == "string":
            return re.sub(r"\\(.)", r"\1", token.text[1:-1], flags=re.DOTALL)
        if token.kind == "number" or token.says("TRUE", "FALSE"):
            return token.text
        self.at -= 1
        raise self._unexpected("<STRING>", "<NUMBER>", "true", "false")

    def _whole(self, least: int, most: int | None) -> int:
        token = self._take()
        try:
            value = int(token.text)
        except ValueError:
            self.at -= 1
            raise self._unexpected("<INTEGER>")
        if value < least:
            raise faults.query_invalid(f"value {value} is too small. Min allowed value is {least}")
        if most is not None and value > most:
            raise faults.query_invalid(f"value {value} is too large. Max allowed value is {most}")
        return value

    @property
    def _next(self) -> _Token:
        return self.tokens[self.at]

    def _take(self) -> _Token:
        token = self._next
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def _accept(self, word: str) -> bool:
        if self._next.says(word):
            self._take()
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            raise self._unexpected(word)

    def _word(self, expected: str) -> str:
        if self._next.kind != "word":
            raise self._unexpected(expected)
        return self._take().text

    def _unexpected(self, *expected: str) -> faults.Fault:
        token = self._next
        shown = token.text if token.kind != "end" else "<EOF>"
        return faults.query_syntax(
            f'Encountered " "{shown}" "" at line 1, column {token.column}. '
            f"Was expecting one of: {' '.join(expected)}"
        )


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    stripped = text.rstrip()
    while at < len(stripped):
        match = _TOKEN.match(stripped, at)
        if match is None:
            raise faults.query_syntax(
                f"Lexical error at line 1, column {at + 1}. Encountered: {stripped[at : at + 10]!r}"
            )
        kind = str(match.lastgroup)
        tokens.append(_Token(kind, match.group(kind), match.start(kind) + 1))
        at = match.end()
    tokens.append(_Token("end", "", len(text) + 1))
    return tokens


def instant(text: str) -> datetime:
    """A query's date-time as UTC. Without an offset it is Pacific local time, whatever the company's zone.

    Raises ValueError.
    """
    read = datetime.fromisoformat(text)
    if read.tzinfo is None:
        read = read.replace(tzinfo=PACIFIC)
    return read.astimezone(UTC)


def _boolean(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


def _folded(text: str) -> str:
    return text.casefold()


def _id(text: str) -> str:
    return text


_READERS: dict[str, Callable[[str], Any]] = {
    "id": _id,
    "text": _folded,
    "boolean": _boolean,
    "date": lambda text: date.fromisoformat(text[:10]),
    "datetime": instant,
    "number": Decimal,
}


def test(condition: Condition, kind: str) -> Callable[[Any], bool]:
    """A function that says whether a property's value fits.

    Values arrive as str (id, text), bool, date, aware datetime, Decimal or int, None when absent; None fits
    nothing. Raises Fault 4001 for an operator or literal that the kind of property does not allow.
    """
    if condition.operator == "LIKE":
        return _like(condition, kind)
    if kind == "id" and condition.operator not in ("=", "IN"):
        raise faults.query_invalid(
            f"operator {condition.operator} is not supported for property {condition.path}"
        )
    try:
        wanted = [_READERS[kind](value) for value in condition.values]
    except (ValueError, KeyError, InvalidOperation):
        raise faults.query_invalid(
            f"invalid value for property {condition.path}: {', '.join(condition.values)}"
        )
    one = wanted[0]
    fold = kind == "text"
    comparisons: dict[str, Callable[[Any], bool]] = {
        "=": lambda value: bool(value == one),
        "<": lambda value: bool(value < one),
        ">": lambda value: bool(value > one),
        "<=": lambda value: bool(value <= one),
        ">=": lambda value: bool(value >= one),
        "IN": lambda value: value in wanted,
    }
    compare = comparisons[condition.operator]
    return lambda value: value is not None and compare(value.casefold() if fold else value)


def _like(condition: Condition, kind: str) -> Callable[[Any], bool]:
    if kind not in ("text", "id"):
        raise faults.query_invalid(f"operator LIKE is not supported for property {condition.path}")
    if kind == "id":
        raise faults.query_invalid(f"operator LIKE is not supported for property {condition.path}")
    parts = (re.escape(part) for part in condition.values[0].split("%"))
    pattern = re.compile(".*".join(parts), re.IGNORECASE | re.DOTALL)
    return lambda value: value is not None and pattern.fullmatch(value) is not None


def instant_of(condition: Condition) -> datetime:
    """The moment a condition on a date-time names, UTC. Raises Fault 4001."""
    try:
        return instant(condition.values[0])
    except ValueError:
        raise faults.query_invalid(f"invalid value for property {condition.path}: {condition.values[0]}")
