"""Kinds of keys that several tables have."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer

ROWID = BigInteger().with_variant(Integer, "sqlite")


def rowid() -> Column[int]:
    """A dense key that the committing writer gives: SQLite's own row id, no database sequence."""
    return Column("position", ROWID, primary_key=True, autoincrement=False)
