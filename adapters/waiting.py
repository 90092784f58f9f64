"""How long a ledger asks us to wait: `Retry-After` as a number of seconds or as a date (RFC 9110, 10.2.3)."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MOST = 7 * 24 * 3600.0  # seconds: a ledger that says more has made a mistake, and we would never come back


def seconds(header: str | None) -> float | None:
    """Seconds from now, neither negative nor above a week; None when nothing, or nothing sensible, was said."""
    text = (header or "").strip()
    try:
        said = float(text)
    except ValueError:
        at = moment(text)
        said = (at - datetime.now(UTC)).total_seconds() if at else math.nan
    return min(max(0.0, said), MOST) if math.isfinite(said) else None


def moment(header: str | None) -> datetime | None:
    """A date of an HTTP header (`Date`, `Retry-After`) as an aware moment; None when it is not one."""
    try:
        found = parsedate_to_datetime(header or "")
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
