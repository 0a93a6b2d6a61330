"""Taking the payloads of entries out of the journal, and their files out of the blobs; headers and hashes stay."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, delete, func, literal, or_, select, update

from server.store.dialect import insert_ignore
from server.store.engine import BUSY_TIMEOUT_MS
from server.store.files import files_in
from server.store.submissions import chunks
from server.store.tables import dropped_blob, erasing, journal
from sync.journal import Kind

LOG_WAIT_MS = 50


def drop(connection: Connection, positions: Iterable[int]) -> None:
    """Have the payloads of these entries dropped, at once or after the next start."""
    insert_ignore(connection, erasing, [{"position": position} for position in sorted(positions)])


def list_dropping(connection: Connection) -> list[int]:
    """Return the positions of the entries that are to be dropped."""
    return list(connection.execute(select(erasing.c.position).order_by(erasing.c.position)).scalars())


def files_of(connection: Connection, positions: Sequence[int]) -> set[str]:
    """Return the SHA-256 of the blobs that these entries name."""
    found: set[str] = set()
    for some in chunks(positions):
        details = connection.execute(select(journal.c.detail).where(journal.c.position.in_(some))).scalars()
        for detail in map(orjson.loads, filter(None, details)):
            found |= files_in(detail)
    return found


def used_elsewhere(
    connection: Connection, files: Collection[str], positions: Collection[int], after: int = 0
) -> set[str]:
    """Return which of these blobs any other entry behind the position `after` names. Reads all of them."""
    used: set[str] = set()
    for some in chunks(files):
        named = or_(*(_holds(connection, sha256.encode()) for sha256 in some))
        rows = connection.execute(
            select(journal.c.position, journal.c.detail).where(
                journal.c.position > after, journal.c.kind != Kind.ERASURE, named
            )
        )
        for row in rows:
            if row.position not in positions:
                used.update(sha256 for sha256 in some if sha256.encode() in row.detail)
    return used


def forget_payloads(connection: Connection, positions: Sequence[int]) -> None:
    """Drop the payloads of these entries, and of those that are the same facts by another way."""
    for some in chunks(positions):
        same = select(journal.c.key).where(journal.c.position.in_(some), journal.c.key.is_not(None))
        mine = or_(journal.c.position.in_(some), journal.c.key.in_(same))
        connection.execute(update(journal).where(mine).values(detail=None, body=None))


def remember_blobs(connection: Connection, files: Iterable[str]) -> None:
    """Say that these blobs are deleted."""
    insert_ignore(connection, dropped_blob, [{"sha256": sha256} for sha256 in sorted(files)])


def list_dropped_blobs(connection: Connection, files: Iterable[str]) -> set[str]:
    """Return which of these blobs were ever deleted."""
    found: set[str] = set()
    for some in chunks(files):
        found.update(
            connection.execute(select(dropped_blob.c.sha256).where(dropped_blob.c.sha256.in_(some))).scalars()
        )
    return found


def finish(connection: Connection, positions: Sequence[int]) -> None:
    """Say that nothing of these entries is left."""
    for some in chunks(positions):
        connection.execute(delete(erasing).where(erasing.c.position.in_(some)))


def empty_log(engine: Engine) -> bool:
    """Empty SQLite's write-ahead log, which holds what was before; False while somebody still reads from it.

    PostgreSQL overwrites by itself, in time, what is gone.
    """
    if engine.dialect.name != "sqlite":
        return True
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        run = connection.exec_driver_sql
        _, pages, copied = run("PRAGMA wal_checkpoint(PASSIVE)").one()
        if pages != copied:
            return False
        run(f"PRAGMA busy_timeout={LOG_WAIT_MS}")  # who writes waits as long
        busy: int = run("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
        run(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    return not busy


def _holds(connection: Connection, text: bytes) -> Any:
    is_sqlite = connection.dialect.name == "sqlite"
    find = func.instr if is_sqlite else func.pg_catalog.position
    return find(journal.c.detail, literal(text)) > 0
