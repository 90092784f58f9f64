"""Many rows in one statement: a night writes a few things about thousands of customers.

PostgreSQL gets them as one JSON text, which costs a tenth of a statement for each row; SQLite, which has no way to go
between it and us, is as quick with one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection

Row = Mapping[str, Any]


def update(tx: Connection, table: sa.Table, by: Sequence[str], rows: Sequence[Row], where: str = "") -> None:
    """Set each row's other columns where those of `by` are as it says, and `where` (SQL, of the table's own columns)
    holds. All rows have the same columns."""
    if not rows:
        return
    names = tuple(rows[0])
    if tx.dialect.name == "sqlite":
        tx.execute(_one_by_one(table, tuple(by), names, where), [_marked(by, row) for row in rows])
    else:
        tx.exec_driver_sql(_updating(table, tuple(by), names, where), (_json(rows),))


def insert(tx: Connection, table: sa.Table, rows: Sequence[Row], *, unless_there: bool = False) -> None:
    """Add these rows; `unless_there` leaves out any that a unique key forbids. All have the same columns."""
    if not rows:
        return
    if tx.dialect.name == "sqlite":
        tx.execute(sa.insert(table).prefix_with("OR IGNORE") if unless_there else sa.insert(table), rows)
    else:
        tx.exec_driver_sql(_inserting(table, tuple(rows[0]), unless_there), (_json(rows),))


def _json(rows: Sequence[Row]) -> str:
    return msgspec.json.encode(rows).decode()


def _marked(by: Sequence[str], row: Row) -> dict[str, Any]:
    return {f"by_{name}" if name in by else name: value for name, value in row.items()}


@lru_cache(maxsize=64)
def _one_by_one(table: sa.Table, by: tuple[str, ...], names: tuple[str, ...], where: str) -> sa.Update:
    same = [table.c[name] == sa.bindparam(f"by_{name}") for name in by]
    set_: dict[str, Any] = {name: sa.bindparam(name) for name in names if name not in by}
    return sa.update(table).where(*same, *([sa.text(where)] if where else [])).values(set_)


@lru_cache(maxsize=64)
def _updating(table: sa.Table, by: tuple[str, ...], names: tuple[str, ...], where: str) -> str:
    set_ = ", ".join(f'"{name}" = new."{name}"' for name in names if name not in by)
    same = [f'{table.name}."{name}" = new."{name}"' for name in by]
    found = " AND ".join([*same, *([f"({where})"] if where else [])])
    return f"UPDATE {table.name} SET {set_} FROM {_given(table, names)} WHERE {found}"  # noqa: S608 - names of ours


@lru_cache(maxsize=64)
def _inserting(table: sa.Table, names: tuple[str, ...], unless_there: bool) -> str:
    listed = ", ".join(f'"{name}"' for name in names)
    sql = f"INSERT INTO {table.name} ({listed}) SELECT {listed} FROM {_given(table, names)}"  # noqa: S608 - names of ours
    return f"{sql} ON CONFLICT DO NOTHING" if unless_there else sql


def _given(table: sa.Table, names: Sequence[str]) -> str:
    """The rows of one JSON text as a table; what JSON calls null is NULL."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    typed = ", ".join(f'"{name}" {table.c[name].type.compile(dialect)}' for name in names)
    return f"json_to_recordset(CAST(%s AS json)) AS new({typed})"
