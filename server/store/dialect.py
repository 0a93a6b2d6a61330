"""The statements that SQLite and PostgreSQL share but SQLAlchemy keeps per dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_ignore(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows whose key is not there yet."""
    if rows:
        connection.execute(_insert_ignore(connection.dialect.name, table), rows)


def insert_earliest(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert whole rows; of two with the same primary key the one with the smaller `stamp` stays."""
    if rows:
        connection.execute(_upsert(connection.dialect.name, table, is_earlier=True), rows)


def upsert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert whole rows (every column named), replacing those with the same primary key."""
    if rows:
        connection.execute(_upsert(connection.dialect.name, table), rows)


@cache
def _insert_ignore(dialect: str, table: Table) -> Any:
    return _insert(dialect, table).on_conflict_do_nothing()


@cache
def _upsert(dialect: str, table: Table, *, is_earlier: bool = False) -> Any:
    statement = _insert(dialect, table)
    keys = [column.name for column in table.primary_key]
    changed = {name: statement.excluded[name] for name in table.c.keys() if name not in keys}  # noqa: SIM118
    earlier = statement.excluded.stamp < table.c.stamp if is_earlier else None
    return statement.on_conflict_do_update(index_elements=keys, set_=changed, where=earlier)


def _insert(dialect: str, table: Table) -> Any:
    return (postgresql if dialect == "postgresql" else sqlite).insert(table)
