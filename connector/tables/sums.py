"""Sums that pages show, kept by the database itself: whoever writes a row, in whatever way, moves its sum with it.

A process of an older version that still runs, a bulk load and an erasure keep them right without knowing of them.
The triggers are made by the migration that made these tables (0014); `connector.reviewing.overview` reads them.
"""

from __future__ import annotations

import sqlalchemy as sa

from connector.tables.columns import Text, count, metadata, money, of

__all__ = (
    "open_days",
    "tallies",
)

open_days = sa.Table(  # what is open, by the day on which it fell or falls due
    "open_days",
    metadata,
    of(primary=True),
    sa.Column("currency", Text, primary_key=True),
    sa.Column("due", sa.Date, primary_key=True),
    count("invoices"),
    money("amount"),
)

tallies = sa.Table(  # how many: reminders held by what holds them, plans by their state
    "tallies",
    metadata,
    of(primary=True),
    sa.Column("what", Text, primary_key=True),  # held | plans
    sa.Column("name", Text, primary_key=True),
    count("n"),
)
