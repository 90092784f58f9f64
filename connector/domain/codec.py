"""Frozen records as plain JSON values and back: policies, plans and facts that we keep for years.

Loading tolerates keys that it does not know, so that an older installation can read a newer record, and
refuses a value of the wrong kind with the field's name.
"""

from __future__ import annotations

import datetime as dt
import math
import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import cache
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
    """The record back from `to_json`. Missing keys take the default. Raises WrongValue."""
    if not isinstance(data, dict):
        raise WrongValue(name, "should be a group of settings, not a single value.")
    hints = _hints(cls)  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for f in fields(cls):  # type: ignore[arg-type]
        where = f"{name}.{f.name}" if name else f.name
        if f.name in data:
            values[f.name] = _read(hints[f.name], data[f.name], where)
        elif f.default is MISSING and f.default_factory is MISSING:
            raise WrongValue(where, "is missing.")
    try:
        return cls(**values)
    except WrongValue as wrong:
        raise WrongValue(f"{name}.{wrong.field}" if name else wrong.field, wrong.sentence) from None


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _read(kind: Any, value: Any, name: str) -> Any:
    if kind in (object, Any):
        return value
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        return _read(next(k for k in typing.get_args(kind) if k is not types.NoneType), value, name)
    if origin in (tuple, frozenset):
        if not isinstance(value, list | tuple):
            raise WrongValue(name, "should be a list.")
        inner = typing.get_args(kind)[0]
        return origin(_read(inner, v, f"{name}[{n}]") for n, v in enumerate(value, 1))
    if origin is dict:
        if not isinstance(value, dict):
            raise WrongValue(name, "should be a group of named values.")
        return {str(k): _read(typing.get_args(kind)[1], v, f"{name}.{k}") for k, v in value.items()}
    if is_dataclass(kind):
        return from_json(kind, value, name)  # type: ignore[arg-type]
    return _scalar(kind, value, name)


def _scalar(kind: Any, value: Any, name: str) -> Any:
    if kind is bool or kind is int:
        if type(value) is not kind:
            raise WrongValue(
                name, "should be yes or no." if kind is bool else f"should be a whole number, not {value!r}."
            )
        return value
    if kind is float:  # shares and chances; a record with money has none (a test looks)
        if type(value) not in (int, float) or not math.isfinite(value):
            raise WrongValue(name, f"should be a number, not {value!r}.")
        return float(value)
    if kind is Decimal:
        if isinstance(value, float | bool):
            raise WrongValue(name, "should be a number written as text, such as 25.00.")
        try:
            number = Decimal(value)
        except (InvalidOperation, TypeError, ValueError):
            raise WrongValue(name, f"should be a number such as 25.00, not {value!r}.") from None
        if not number.is_finite():
            raise WrongValue(name, f"should be a number such as 25.00, not {value!r}.")
        return number
    if not isinstance(value, str):
        raise WrongValue(name, f"should be text, not {value!r}.")
    if kind in (dt.date, dt.datetime):
        try:
            return kind.fromisoformat(value)
        except ValueError:
            raise WrongValue(name, f"should be a date such as 2026-11-21, not {value!r}.") from None
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        try:
            return kind(value)
        except ValueError:
            raise WrongValue(name, f"should be one of {', '.join(kind)}, not {value!r}.") from None
    return value
