"""A fitted model as bytes and back, so that a book is learned from once a week and not every night.

Kept is what was learned; the history that it answers about is read anew each time. A fingerprint of this
package's own source goes with it: a model that other code made is not read, it is fitted again.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import types
import typing
import zlib
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

import numpy as np

from connector.domain import fingerprint
from connector.domain.prediction.features import FAR, Facts, History
from connector.domain.prediction.model import Model, fit
from connector.domain.prediction.outlook import Outlook, answers

REFIT_DAYS = 7
REFIT_SHARE = 0.05  # of the settled invoices: so many new ones, and the book says something new
PACKAGE = "connector.domain.prediction"
_ITS_HISTORY = ("facts", "day")


def outlooks(
    kept: bytes | None, history: History, ids: Sequence[str], today: dt.date
) -> tuple[dict[str, Outlook], bytes | None]:
    """What everything open at the end of `today` can expect, and the model to keep for the next time.

    `ids` are the rows' invoices. The kept model answers while it is good enough; it is fitted again after a
    week, when many invoices were settled since, or when the code is another.
    """
    if not (history.settled == FAR).any():
        return {}, kept
    day, settled = today.toordinal(), int((history.settled < FAR).sum())
    model = _load(kept, history, day, settled) if kept else None
    if model is None:
        model = fit(history, day)
        kept = _dump(model, settled)
    return answers(model, ids), kept


def _dump(model: Model, settled: int) -> bytes:
    arrays: list[Any] = []
    told = {
        f.name: _plain(getattr(model, f.name), arrays) for f in fields(model) if f.name not in _ITS_HISTORY
    }
    head = {"code": fingerprint.of_source(PACKAGE), "day": model.day, "settled": settled, "model": told}
    head["arrays"] = [[a.dtype.str, a.shape] for a in arrays]
    text = json.dumps(head, separators=(",", ":")).encode()
    body = b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)
    return zlib.compress(len(text).to_bytes(4, "big") + text + body)


def _load(kept: bytes, history: History, day: int, settled: int) -> Model | None:
    try:
        raw = zlib.decompress(kept)
    except zlib.error:
        return None
    end = 4 + int.from_bytes(raw[:4], "big")
    head = json.loads(raw[4:end])
    age, new = day - head["day"], abs(settled - head["settled"])
    if (
        head["code"] != fingerprint.of_source(PACKAGE)
        or not 0 <= age < REFIT_DAYS
        or new > REFIT_SHARE * head["settled"]
    ):
        return None
    arrays = []
    for dtype, shape in head["arrays"]:
        size = np.dtype(dtype).itemsize * math.prod(shape)
        arrays.append(np.frombuffer(raw[end : end + size], dtype).reshape(shape))
        end += size
    hints = typing.get_type_hints(Model)
    parts = {name: _typed(hints[name], value, arrays) for name, value in head["model"].items()}
    return Model(facts=Facts(history), day=day, **parts)


def _plain(value: Any, arrays: list[Any]) -> Any:
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return len(arrays) - 1
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name), arrays) for f in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(v, arrays) for v in value]
    return value.item() if isinstance(value, np.generic) else value


def _typed(kind: Any, value: Any, arrays: list[Any]) -> Any:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _typed(inner[0], value, arrays)
    if origin is np.ndarray:
        return arrays[value]
    if origin is tuple:
        kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else inner
        return tuple(_typed(k, v, arrays) for k, v in zip(kinds, value, strict=True))
    if is_dataclass(kind):
        hints = _hints(typing.cast(type, kind))
        return kind(**{name: _typed(hints[name], v, arrays) for name, v in value.items()})  # type: ignore[operator]
    return value


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)
