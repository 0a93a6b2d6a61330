"""What SQLite and PostgreSQL share but SQLAlchemy keeps per dialect: statements of many rows, texts left as they come.

PostgreSQL gets the rows as one row of arrays: to read and plan the statement takes it longer than to do it for a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Any

from sqlalchemy import Column, Connection, Table, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

Rows = Sequence[Mapping[str, Any]]


class undecoded(GenericFunction[Any]):  # noqa: N801  (SQL functions have such names)
    """A text as SQLite has it, in bytes: orjson would encode again what was just decoded. From PostgreSQL a string."""

    inherit_cache = True


@compiles(undecoded)
def _as_it_comes(element: undecoded, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(undecoded, "sqlite")
def _as_bytes(element: undecoded, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **options)} AS BLOB)"


def insert_ignore(connection: Connection, table: Table, rows: Rows) -> None:
    """Insert the rows whose key is not there yet. All name the same columns."""
    _write(connection, table, rows, "ON CONFLICT DO NOTHING")


def insert_earliest(connection: Connection, table: Table, rows: Rows) -> None:
    """Insert whole rows; of two with the same primary key the one with the smaller `stamp` stays."""
    _upsert_where(connection, table, rows, "<")


def upsert_latest(connection: Connection, table: Table, rows: Rows) -> None:
    """Insert whole rows; of two with the same primary key the one with the greater `stamp` stays."""
    _upsert_where(connection, table, rows, ">")


def upsert(connection: Connection, table: Table, rows: Rows) -> None:
    """Insert whole rows (every column named), each key once, replacing those with the same primary key."""
    _write(connection, table, rows, _replace(table))


def _upsert_where(connection: Connection, table: Table, rows: Rows, stamp: str) -> None:
    """Insert the rows whose stamp is smaller or greater (`<`, `>`) than that of those with the same primary key."""
    keys = table.primary_key.columns.keys()
    ordered = sorted(rows, key=lambda row: row["stamp"], reverse=stamp == "<")
    chosen = list({tuple(row[name] for name in keys): row for row in ordered}.values())
    where = f" WHERE excluded.stamp {stamp} {table.name}.stamp"
    _write(connection, table, chosen, _replace(table) + where)


def _write(connection: Connection, table: Table, rows: Rows, on_conflict: str) -> None:
    """Insert rows by the driver's own means: SQLAlchemy's take longer for a row than the database does.

    A column of type Text, as JSON has, may be given as UTF-8: SQLite would encode again what was just decoded.
    """
    if not rows:
        return
    names = tuple(rows[0])
    if connection.dialect.name == "postgresql":
        columns = tuple(_plain(table.c[name], [row[name] for row in rows]) for name in names)
        connection.exec_driver_sql(_insert_arrays(table, names) + on_conflict, columns)
    else:
        connection.exec_driver_sql(_insert_named(table, names) + on_conflict, list(map(dict, rows)))


def _plain(column: Column[Any], values: list[Any]) -> list[Any]:
    """A list holds values of one type, and an enumeration is another than its text."""
    if isinstance(column.type, Text):
        return [value.decode() if isinstance(value, bytes) else value for value in values]
    return [value.value if isinstance(value, Enum) else value for value in values]


@cache
def _insert_named(table: Table, names: tuple[str, ...]) -> str:
    places = ", ".join(
        f"CAST(:{name} AS TEXT)" if isinstance(table.c[name].type, Text) else f":{name}" for name in names
    )
    return f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({places}) "  # noqa: S608


@cache
def _insert_arrays(table: Table, names: tuple[str, ...]) -> str:
    from sqlalchemy.dialects import postgresql  # SQLite's nodes need it never, and it is large

    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    kinds = (table.c[name].type.compile(dialect) for name in names)
    arrays = ", ".join(f"%b::{kind}[]" for kind in kinds)
    return f"INSERT INTO {table.name} ({', '.join(names)}) SELECT * FROM unnest({arrays}) "  # noqa: S608


@cache
def _replace(table: Table) -> str:
    keys = table.primary_key.columns.keys()
    changed = (f"{name} = excluded.{name}" for name in table.c.keys() if name not in keys)  # noqa: SIM118
    return f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {', '.join(changed)}"
