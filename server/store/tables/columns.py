"""What the columns of all tables have in common."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, ColumnElement, Integer, MetaData, String, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import SchemaItem
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import TypeEngine

METADATA = MetaData()
ROWID = BigInteger().with_variant(Integer, "sqlite")
"""A dense key that the committing writer gives: SQLite's own row id, no database sequence."""

Kind = TypeEngine[Any] | type[TypeEngine[Any]]


class Json(Text):
    """JSON that comes as it is stored, as bytes from SQLite: a string would be decoded only to be encoded again."""

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """What is asked for."""
        return undecoded(column)


class undecoded(GenericFunction[Any]):  # noqa: N801  (SQL functions have such names)
    """A text that the driver need not decode."""

    type = Text()
    inherit_cache = True


@compiles(undecoded)
def _as_it_comes(element: undecoded, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(undecoded, "sqlite")
def _as_bytes(element: undecoded, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **options)} AS BLOB)"


def key(name: str, kind: Kind = String, **options: Any) -> Column[Any]:
    """A column of the primary key."""
    return Column(name, kind, primary_key=True, **options)


def column(name: str, kind: Kind = String, *items: SchemaItem, **options: Any) -> Column[Any]:
    """A column that is never NULL."""
    return Column(name, kind, *items, nullable=False, **options)


def optional(name: str, kind: Kind = String, **options: Any) -> Column[Any]:
    """A column that may be NULL."""
    return Column(name, kind, **options)
