"""What the columns of all tables have in common."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Integer, MetaData, String
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

METADATA = MetaData()
ROWID = BigInteger().with_variant(Integer, "sqlite")
"""A dense key that the committing writer gives: SQLite's own row id, no database sequence."""

Kind = TypeEngine[Any] | type[TypeEngine[Any]]


def key(name: str, kind: Kind = String, **options: Any) -> Column[Any]:
    """A column of the primary key."""
    return Column(name, kind, primary_key=True, **options)


def column(name: str, kind: Kind = String, *items: SchemaItem, **options: Any) -> Column[Any]:
    """A column that is never NULL."""
    return Column(name, kind, *items, nullable=False, **options)


def optional(name: str, kind: Kind = String, **options: Any) -> Column[Any]:
    """A column that may be NULL."""
    return Column(name, kind, **options)
