"""Copying rows from one store into another, whichever databases they are, and proving that they are the same.

Used by backups and by the move to another database.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Table, func, insert, inspect, select

from server.progress import Advance, Report
from server.store.tables import METADATA, STATE, form_draft_test, node, sessions

PAGE = 100
"""Rows in memory at once: a record may have megabytes."""

EVERYTHING = tuple(METADATA.sorted_tables)
KEPT = tuple(table for table in EVERYTHING if table not in STATE and table not in (sessions, form_draft_test))
"""What a backup keeps: all but what is derived from it, who is signed in, and what was sent to test drafts."""


class StoreNotEmptyError(Exception):
    """Records are only put where there are none."""


class CopyDiffersError(Exception):
    """What was read back is not what was written."""


def refuse_unless_empty(connection: Connection) -> None:
    """Raise StoreNotEmptyError when this database holds a store, or tables of something else."""
    tables = inspect(connection).get_table_names()
    if node.name in tables:
        if connection.execute(select(node.c.id)).first() is not None:
            raise StoreNotEmptyError("There are records already. Choose an empty database or data directory.")
    elif tables:
        raise StoreNotEmptyError("The database holds tables of something else. Choose an empty one.")


def copy_rows(source: Connection, target: Connection, tables: Sequence[Table], report: Report) -> None:
    """Add all rows of these tables to the target's, which are empty, and read them back.

    Within the transactions of the caller, who must see one state of the source. Raises CopyDiffersError.
    """
    rows = count_rows(source, tables)
    copied, compared = report("copying rows", rows), report("comparing rows", rows)
    for table in tables:
        for page in _pages(source, table):
            target.execute(insert(table), [dict(row._mapping) for row in page])  # noqa: SLF001
            copied(len(page))
    for table in tables:
        if digest_rows(source, table, lambda _: None) != digest_rows(target, table, compared):
            raise CopyDiffersError(f"The copy of the table “{table.name}” differs from it. Nothing was kept.")


def count_rows(connection: Connection, tables: Sequence[Table]) -> int:
    """Return how many rows these tables have together."""
    return sum(connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables)


def digest_rows(connection: Connection, table: Table, advance: Advance) -> int:
    """Return a digest of the rows: the same in whatever order and database they are."""
    total = 0
    for page in _pages(connection, table):
        total += sum(map(_digest, page))
        advance(len(page))
    return total % 2**256


def _pages(connection: Connection, table: Table) -> Iterator[Sequence[Row[Any]]]:
    return connection.execute(select(table).execution_options(yield_per=PAGE)).partitions()


def _digest(row: Row[Any]) -> int:
    sha256 = hashlib.sha256()
    for value in row:
        kind, content = _plain(value)
        sha256.update(struct.pack(">cQ", kind, len(content)) + content)
    return int.from_bytes(sha256.digest())


def _plain(value: object) -> tuple[bytes, bytes]:
    match value:
        case None:
            return b"-", b""
        case str():
            return b"s", value.encode()
        case int():
            return b"i", str(int(value)).encode()
        case bytes():
            return b"b", value
    raise TypeError(f"no column holds a {type(value).__name__}")
