"""What the tables are made of: one set of names for constraints, our column types, and the columns that repeat."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.types import TypeDecorator

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Moment(TypeDecorator[dt.datetime]):
    """A point in time, UTC. Refuses a naive datetime: nobody could say which zone it means."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        return value.astimezone(dt.UTC)

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
Minor = sa.BigInteger()
Text = sa.Text()
Id = sa.Integer()  # SQLite counts up only for INTEGER; 2 billion rows are enough for each of these


def key() -> sa.Column[Any]:
    return sa.Column("id", Id, primary_key=True, autoincrement=True)


def of(*, primary: bool = False, null: bool = False, index: bool = False) -> sa.Column[Any]:
    """The connection a row belongs to: every row about an organization names it."""
    return sa.Column(
        "connection_id",
        sa.ForeignKey("connections.id"),
        primary_key=primary,
        nullable=null,
        index=index or None,
    )


def text(name: str, default: str | None = "") -> sa.Column[Any]:
    """A text column; `default=None` makes it required, "" optional and never NULL."""
    if default is None:
        return sa.Column(name, Text, nullable=False)
    return sa.Column(name, Text, nullable=False, server_default=default)


def flag(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false())


def count(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")


def money(name: str) -> sa.Column[Any]:
    return sa.Column(name, Minor, nullable=False, server_default="0")
