"""How Xero writes its replies: pretty-printed JSON with CRLF, dates as `/Date(ms+0000)/`, fixed decimals.

Money has 2 decimals, quantities 4, currency rates 6. A calendar date is midnight UTC of that day.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import msgspec

Json = dict[str, Any]

ZERO_GUID = "00000000-0000-0000-0000-000000000000"
JSON_TYPE = "application/json; charset=utf-8"
PROVIDER_NAME = "Sandbox app"

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_EPOCH = dt.date(1970, 1, 1)
_EPOCH_MOMENT = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)
_SCALES = tuple(Decimal(1).scaleb(-places) for places in range(11))


def encode(value: Any) -> bytes:
    """`value` as Xero prints JSON: two spaces, CRLF. Decimals keep the places they have."""
    # A line break inside a text is written as \n by JSON, so every raw one is the printer's.
    return msgspec.json.format(_ENCODER.encode(value), indent=2).replace(b"\n", b"\r\n")


def envelope(key: str, rows: Sequence[Any], now: dt.datetime, **extra: Any) -> Json:
    """The wrapper around every successful reply; `extra` (pagination, Warnings) comes before the rows."""
    return {
        "Id": str(uuid.uuid4()),
        "Status": "OK",
        "ProviderName": PROVIDER_NAME,
        "DateTimeUTC": f"/Date({milliseconds(now)})/",
        **{name: value for name, value in extra.items() if value is not None},
        key: rows,
    }


def milliseconds(moment: dt.datetime) -> int:
    """Milliseconds since 1970 of an aware moment."""
    return (moment - _EPOCH_MOMENT) // _MILLISECOND


def day(value: dt.date) -> str:
    """A calendar date as Xero states it: midnight UTC in milliseconds."""
    return f"/Date({(value - _EPOCH).days * 86_400_000}+0000)/"


def day_string(value: dt.date) -> str:
    """The same date in words that need no arithmetic, as in DateString."""
    return f"{value.isoformat()}T00:00:00"


def moment(value: dt.datetime) -> str:
    """An aware moment in milliseconds."""
    return f"/Date({milliseconds(value)}+0000)/"


def moment_string(value: dt.datetime) -> str:
    """An aware moment to the second, as in UpdatedDateUTCString."""
    return value.astimezone(dt.UTC).replace(microsecond=0).isoformat()


def decimal(value: Decimal | int, places: int = 2) -> Decimal:
    """`value` with exactly `places` decimals, halves away from zero."""
    return Decimal(value).quantize(_SCALES[places], rounding=ROUND_HALF_UP)


def pagination(page: int, page_size: int, total: int) -> Json:
    """The counters of a paged list."""
    return {"page": page, "pageSize": page_size, "pageCount": -(-total // page_size), "itemCount": total}


def without_nulls(fields: Mapping[str, Any]) -> Json:
    """Unset fields are absent in Xero's replies."""
    return {name: value for name, value in fields.items() if value is not None}
