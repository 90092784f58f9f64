"""The `where` and `order` texts of a list request, compiled to functions over one row.

The grammar is the one that accounting integrations meet: comparisons joined by AND/OR (also `&&`, `||`),
brackets, `=` and `==`, `DateTime(2026, 11, 21)`, `DateTime.Parse("...")`, `guid("...")`, `null`, `true`,
`Name.Contains("x")` and its like. Field names are case-insensitive and dotted (`Contact.ContactID`).
"""

from __future__ import annotations

import datetime as dt
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Row = Any
Reader = Callable[[Row], Any]
Fields = Mapping[str, Reader]
"""What may be asked of a row: field name in lower case -> how to read it. Reads give str, Decimal, bool,
date, aware datetime or None."""


class QueryProblem(ValueError):
    """The text cannot be understood; `str()` is the sentence for the caller."""


@dataclass(frozen=True, slots=True)
class Where:
    """A compiled filter. `matches(row)` answers it.

    `equals` holds what every matching row must have (the comparisons joined by AND at the top), so that a
    list may start from an index. `fields` are all the names used, lower case; `uses_or` says whether OR is
    among the joins.
    """

    matches: Callable[[Row], bool]
    equals: dict[str, Any] = field(default_factory=dict)
    fields: frozenset[str] = frozenset()
    uses_or: bool = False


EVERYTHING = Where(matches=lambda row: True)

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<number>-?\d+(?:\.\d+)?[mMdD]?)
    | (?P<operator>==|!=|<>|>=|<=|=|>|<|&&|\|\||!)
    | (?P<mark>[(),.])
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    )""",
    re.VERBOSE,
)

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_CHANGES: dict[str, Callable[[str], str]] = {"tolower": str.lower, "toupper": str.upper, "trim": str.strip}
_TEXT_TESTS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda text, part: part in text,
    "startswith": str.startswith,
    "endswith": str.endswith,
}


def compile_where(text: str | None, fields: Fields, kind: str) -> Where:
    """The filter that `text` states over rows of `kind`; no text matches everything.

    Raises QueryProblem when the text has an unknown field or cannot be parsed.
    """
    if not text or not text.strip():
        return EVERYTHING
    return _Parser(_tokens(text), fields, kind).parse()


def compile_order(text: str | None, fields: Fields, kind: str) -> list[tuple[str, bool]]:
    """`order` as (field name in lower case, descending) pairs. Raises QueryProblem on an unknown field."""
    keys = []
    for part in filter(None, (p.strip() for p in (text or "").split(","))):
        name, _, direction = part.partition(" ")
        if name.lower() not in fields:
            raise QueryProblem(f"No property or field '{name}' exists in type '{kind}'")
        if direction.strip().upper() not in ("", "ASC", "DESC"):
            raise QueryProblem(f"Unexpected order direction '{direction.strip()}'")
        keys.append((name.lower(), direction.strip().upper() == "DESC"))
    return keys


def sorted_by(rows: list[Row], keys: list[tuple[str, bool]], fields: Fields) -> list[Row]:
    """`rows` in the asked order; rows without a value come first, as in the ledger's own lists."""
    for name, descending in reversed(keys):
        read = fields[name]
        rows = sorted(rows, key=lambda row: _sortable(read(row)), reverse=descending)  # noqa: B023
    return rows


def _sortable(value: Any) -> tuple[bool, Any]:
    return (False, "") if value is None else (True, value.lower() if isinstance(value, str) else value)


def _tokens(text: str) -> list[tuple[str, str, int]]:
    found = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise QueryProblem(f"Syntax error '{text[at:].strip()[0]}' (at index {at})")
        kind = match.lastgroup or ""
        found.append((kind, match.group(kind), match.start(kind)))
        at = match.end()
    return [*found, ("end", "", len(text))]


@dataclass(frozen=True, slots=True)
class _Value:
    """One side of a comparison: how to read it, and the literal or the field name that it came from."""

    read: Reader
    name: str = ""
    literal: bool = False


class _Parser:
    def __init__(self, tokens: list[tuple[str, str, int]], fields: Fields, kind: str) -> None:
        self.tokens = tokens
        self.at = 0
        self.fields = fields
        self.kind = kind
        self.used: set[str] = set()
        self.uses_or = False

    def parse(self) -> Where:
        test, equals = self.either()
        if self.peek()[0] != "end":
            self.fail()
        return Where(test, equals, frozenset(self.used), self.uses_or)

    # grammar, loosest first

    def either(self) -> tuple[Callable[[Row], bool], dict[str, Any]]:
        test, equals = self.both()
        while self.take_word("or", "||"):
            self.uses_or = True
            test, equals = _any(test, self.both()[0]), {}
        return test, equals

    def both(self) -> tuple[Callable[[Row], bool], dict[str, Any]]:
        test, equals = self.single()
        while self.take_word("and", "&&"):
            other, more = self.single()
            test, equals = _all(test, other), equals | more
        return test, equals

    def single(self) -> tuple[Callable[[Row], bool], dict[str, Any]]:
        if self.take_word("not", "!"):
            test, _ = self.single()
            return (lambda row: not test(row)), {}
        if self.peek()[1] == "(":
            self.next()
            inside = self.either()
            self.expect(")")
            return inside
        return self.comparison()

    def comparison(self) -> tuple[Callable[[Row], bool], dict[str, Any]]:
        left = self.value()
        kind, sign, _ = self.peek()
        if kind != "operator" or sign not in _COMPARE:
            read = left.read
            return (lambda row: read(row) is True), {}
        self.next()
        right = self.value()
        equals = {}
        if sign in ("=", "==") and left.name and right.literal:
            equals = {left.name: right.read(None)}
        return _compare(_COMPARE[sign], left.read, right.read), equals

    # values

    def value(self) -> _Value:
        kind, text, _ = self.next()
        if kind == "string":
            literal = re.sub(r"\\(.)", r"\1", text[1:-1])
            return _Value(lambda row: literal, literal=True)
        if kind == "number":
            number = Decimal(text.rstrip("mMdD"))
            return _Value(lambda row: number, literal=True)
        if kind != "word":
            self.at -= 1
            self.fail()
        word = text.lower()
        if word in ("true", "false", "null"):
            constant = {"true": True, "false": False, "null": None}[word]
            return _Value(lambda row: constant, literal=True)
        if word == "guid":
            return self.guid()
        if word == "datetime":
            return self.datetime()
        return self.field(text)

    def guid(self) -> _Value:
        (found,) = self.arguments("string")
        identity = found.strip().lower()
        return _Value(lambda row: identity, literal=True)

    def datetime(self) -> _Value:
        moment: dt.datetime
        if self.peek()[1] == ".":
            self.next()
            if self.next()[1].lower() != "parse":
                self.fail()
            (text,) = self.arguments("string")
            try:
                moment = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
            except ValueError:
                raise QueryProblem(f"String '{text}' was not recognized as a valid DateTime.") from None
        else:
            parts = [int(part) for part in self.arguments("number")]
            try:
                moment = dt.datetime(*parts)  # type: ignore[arg-type] # noqa: DTZ001
            except (TypeError, ValueError):
                raise QueryProblem(
                    "Year, Month, and Day parameters describe an un-representable DateTime."
                ) from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=dt.UTC)
        return _Value(lambda row: moment, literal=True)

    def arguments(self, kind: str) -> list[str]:
        self.expect("(")
        found = []
        while self.peek()[0] == kind:
            text = self.next()[1]
            found.append(text[1:-1] if kind == "string" else text)
            if self.peek()[1] == ",":
                self.next()
        self.expect(")")
        if not found:
            self.fail()
        return found

    def field(self, first: str) -> _Value:
        names = [first]
        while self.peek()[1] == ".":
            self.next()
            name = self.next()[1]
            if self.peek()[1] == "(":
                return self.call(".".join(names), name)
            names.append(name)
        path = ".".join(names)
        return _Value(self.reader(path), name=path.lower())

    def call(self, path: str, method: str) -> _Value:
        read = self.reader(path)
        lower = method.lower()
        if lower in _CHANGES:
            self.expect("(")
            self.expect(")")
            read = _changed(read, _CHANGES[lower])
            if self.peek()[1] != ".":
                return _Value(read)
            self.next()
            lower = self.next()[1].lower()
        if lower not in _TEXT_TESTS:
            raise QueryProblem(f"No applicable method '{method}' exists in type 'String'")
        (part,) = self.arguments("string")
        test = _TEXT_TESTS[lower]
        return _Value(lambda row: test(read(row) or "", part))

    def reader(self, path: str) -> Reader:
        name = path.lower()
        if name not in self.fields:
            raise QueryProblem(f"No property or field '{path}' exists in type '{self.kind}'")
        self.used.add(name)
        return self.fields[name]

    # tokens

    def peek(self) -> tuple[str, str, int]:
        return self.tokens[self.at]

    def next(self) -> tuple[str, str, int]:
        token = self.tokens[self.at]
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def take_word(self, *words: str) -> bool:
        if self.peek()[1].lower() in words and self.peek()[0] in ("word", "operator"):
            self.next()
            return True
        return False

    def expect(self, mark: str) -> None:
        if self.peek()[1] != mark:
            self.fail()
        self.next()

    def fail(self) -> None:
        raise QueryProblem(f"Syntax error (at index {self.peek()[2]})")


def _any(one: Callable[[Row], bool], other: Callable[[Row], bool]) -> Callable[[Row], bool]:
    return lambda row: one(row) or other(row)


def _all(one: Callable[[Row], bool], other: Callable[[Row], bool]) -> Callable[[Row], bool]:
    return lambda row: one(row) and other(row)


def _changed(read: Reader, change: Callable[[str], str]) -> Reader:
    return lambda row: change(read(row) or "")


def _compare(compare: Callable[[Any, Any], bool], left: Reader, right: Reader) -> Callable[[Row], bool]:
    ordering = compare not in (operator.eq, operator.ne)

    def test(row: Row) -> bool:
        a, b = _alike(left(row), right(row))
        if ordering and (a is None or b is None):
            return False
        try:
            return compare(a, b)
        except TypeError:
            raise QueryProblem("Operator incompatible with operand types") from None

    return test


def _alike(a: Any, b: Any) -> tuple[Any, Any]:
    """Bring a date and a moment onto one scale: dates count as midnight UTC."""
    if isinstance(a, dt.date) and not isinstance(a, dt.datetime):
        a = dt.datetime(a.year, a.month, a.day, tzinfo=dt.UTC)
    if isinstance(b, dt.date) and not isinstance(b, dt.datetime):
        b = dt.datetime(b.year, b.month, b.day, tzinfo=dt.UTC)
    return a, b
