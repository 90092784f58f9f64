"""Frozen records as plain JSON values and back: policies, plans and facts that we keep for years.

Loading tolerates keys that it does not know, so that an older installation can read a newer record, and
refuses a value of the wrong kind with the field's name.
"""

from __future__ import annotations

import datetime as dt
import math
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import cache, partial
from typing import Any, TypeVar

T = TypeVar("T")


class WrongValue(ValueError):
    """A value cannot be used. `field` is its dotted name; `sentence` says what is wrong and what to do."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(f"{field}: {sentence}" if field else sentence)
        self.field = field
        self.sentence = sentence


_PLAIN = frozenset((str, int, bool, float, type(None)))  # most values of most records


@cache
def _names(kind: type) -> tuple[str, ...] | None:
    """Of the fields of a record; None for anything else."""
    return tuple(f.name for f in fields(kind)) if is_dataclass(kind) else None


def to_json(value: Any) -> Any:
    """Plain JSON values: dates as ISO text, decimals as text (never float), enums as their word."""
    if type(value) in _PLAIN:
        return value
    if (names := _names(type(value))) is not None:  # type: ignore[arg-type]
        return {name: to_json(getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, frozenset):
        return sorted(to_json(v) for v in value)
    if isinstance(value, tuple | list):
        return [to_json(v) for v in value]
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, StrEnum | Decimal):
        return str(value)
    return value


def from_json(cls: type[T], data: Any, name: str = "") -> T:
    """The record back from `to_json`. Missing keys take the default. Raises WrongValue, below `name`."""
    return _named(name, _reader(cls), data)  # type: ignore[no-any-return, arg-type]


Reader = Callable[[Any], Any]  # raises WrongValue with the name of a field below the value, or none


def _named(name: str, read: Reader, value: Any) -> Any:
    try:
        return read(value)
    except WrongValue as wrong:
        dot = "." if name and wrong.field and not wrong.field.startswith("[") else ""
        raise WrongValue(f"{name}{dot}{wrong.field}", wrong.sentence) from None


@cache  # what a kind of value needs is found out once: plans are read by the hundred
def _reader(kind: Any) -> Reader:
    if kind in (object, Any):
        return lambda value: value
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        some = _reader(next(k for k in typing.get_args(kind) if k is not types.NoneType))
        return lambda value: None if value is None else some(value)
    if origin in (tuple, frozenset):
        return _list_reader(origin, _reader(typing.get_args(kind)[0]))
    if origin is dict:
        return _dict_reader(_reader(typing.get_args(kind)[1]))
    if is_dataclass(kind):
        return _record_reader(kind)  # type: ignore[arg-type]
    if kind is bool or kind is int:
        return partial(_whole, kind)
    if kind in (dt.date, dt.datetime):
        return partial(_moment, kind)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return partial(_word, kind)
    return {float: _share, Decimal: _decimal}.get(kind, _text)


def _list_reader(made: Callable[[Iterable[Any]], Any], inner: Reader) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise WrongValue("", "should be a list.")
        return made(_named(f"[{n}]", inner, each) for n, each in enumerate(value, 1))

    return read


def _dict_reader(inner: Reader) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise WrongValue("", "should be a group of named values.")
        return {str(k): _named(str(k), inner, v) for k, v in value.items()}

    return read


def _record_reader(cls: type) -> Reader:
    hints = typing.get_type_hints(cls)
    known = [
        (f.name, _reader(hints[f.name]), f.default is MISSING and f.default_factory is MISSING)
        for f in fields(cls)
    ]

    def read(data: Any) -> Any:
        if not isinstance(data, dict):
            raise WrongValue("", "should be a group of settings, not a single value.")
        values = {}
        for name, inner, wanted in known:
            if name in data:
                values[name] = _named(name, inner, data[name])
            elif wanted:
                raise WrongValue(name, "is missing.")
        return cls(**values)

    return read


def _whole(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        what = "should be yes or no." if kind is bool else f"should be a whole number, not {value!r}."
        raise WrongValue("", what)
    return value


def _share(value: Any) -> float:
    """Shares and chances; a record with money has none (a test looks)."""
    if type(value) not in (int, float) or not math.isfinite(value):
        raise WrongValue("", f"should be a number, not {value!r}.")
    return float(value)


def _decimal(value: Any) -> Decimal:
    if isinstance(value, float | bool):
        raise WrongValue("", "should be a number written as text, such as 25.00.")
    try:
        number = Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        raise WrongValue("", f"should be a number such as 25.00, not {value!r}.") from None
    if not number.is_finite():
        raise WrongValue("", f"should be a number such as 25.00, not {value!r}.")
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise WrongValue("", f"should be text, not {value!r}.")
    return value


def _moment(kind: type[dt.date], value: Any) -> dt.date:
    text = _text(value)
    try:
        return kind.fromisoformat(text)
    except ValueError:
        raise WrongValue("", f"should be a date such as 2026-11-21, not {value!r}.") from None


def _word(kind: type[StrEnum], value: Any) -> StrEnum:
    text = _text(value)
    try:
        return kind(text)
    except ValueError:
        raise WrongValue("", f"should be one of {', '.join(kind)}, not {value!r}.") from None
