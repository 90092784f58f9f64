"""What was owed by age at the end of each past week: kept, because working it out walks over all invoices.

Weeks end on Sundays. A review of all customers adds the weeks that are missing; today's column is always
worked out from the books as they are (`overview.aged`).
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector import db
from connector.domain import aging
from connector.mirroring import books

WEEKS = 26
Week = tuple[dt.date, dict[str, int]]  # its last day, bucket → minor units


def sundays(today: dt.date, weeks: int = WEEKS) -> list[dt.date]:
    """The last days of the `weeks` whole weeks before `today`, oldest first."""
    last = today - dt.timedelta(days=today.isoweekday() % 7 or 7)
    return [last - dt.timedelta(weeks=back) for back in reversed(range(weeks))]


def missing(tx: Connection, connection_id: str, today: dt.date) -> list[dict[str, Any]]:
    """The weeks that are not kept yet, worked out. Walks over all invoices: read outside a writing transaction."""
    c = db.aging_weeks.c
    wanted = sundays(today)
    kept = set(tx.scalars(sa.select(c.day).where(c.connection_id == connection_id).distinct()))
    days = [day for day in wanted if day not in kept]
    if not days:
        return []
    invoices = books.invoices(tx, connection_id)
    settlements = books.settlements(tx, connection_id)
    back = (wanted[-1] - days[0]).days // 7 + 1
    coming = wanted[-1] + dt.timedelta(weeks=1)  # the week that runs: its column is today's, not kept
    return [
        {"connection_id": connection_id, "day": day, "currency": currency, "buckets": buckets}
        for currency, weekly in aging.weekly(invoices, settlements, coming, back + 1).items()
        for day, buckets in weekly
        if day in days
    ]


def keep(tx: Connection, weeks: list[dict[str, Any]]) -> None:
    """Keep what `missing` worked out; a week that somebody kept meanwhile is replaced."""
    c = db.aging_weeks.c
    for week in weeks:
        tx.execute(
            sa.delete(db.aging_weeks).where(
                c.connection_id == week["connection_id"],
                c.day == week["day"],
                c.currency == week["currency"],
            )
        )
    if weeks:
        tx.execute(sa.insert(db.aging_weeks), weeks)


def of_connection(tx: Connection, connection_id: str, today: dt.date) -> dict[str, list[Week]]:
    """The kept weeks per currency, oldest first."""
    c = db.aging_weeks.c
    query = (
        sa.select(c.currency, c.day, c.buckets)
        .where(c.connection_id == connection_id, c.day.in_(sundays(today)))
        .order_by(c.day)
    )
    found: dict[str, list[Week]] = {}
    for currency, day, buckets in tx.execute(query):
        found.setdefault(currency, []).append((day, buckets))
    return found
