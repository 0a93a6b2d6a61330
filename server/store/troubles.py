"""What an error of the store means: whether the same may succeed at once, and what the log says of it."""

from __future__ import annotations

import logging
import sqlite3
import time

from sqlalchemy.exc import (
    DatabaseError,
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

STORE_TROUBLE = (
    OperationalError,
    InterfaceError,
    InternalError,
    PoolTimeoutError,
    OSError,  # of blobs in S3 too
    MemoryError,
)
"""The database's or the machine's trouble: nothing is wrong with what was to be stored."""

PASSING_CLASSES = frozenset({"08", "40", "57"})
TOO_MANY_CONNECTIONS = "53300"
NOT_ALLOWED = "42501"
SILENT_S = 60.0
UNTRUSTED_CODES = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY})


def is_passing(error: Exception) -> bool:
    """Return whether the same transaction may well succeed a moment later.

    PostgreSQL stopped or lost the connection, another transaction was in the way, or too many are connected.
    Source: PostgreSQL's error classes 08, 40, 57; psycopg gives no code to what happens to the connection itself.
    """
    if not isinstance(error, (OperationalError, InterfaceError)):
        return False
    if (code := _sqlite_code(error)) is not None:
        return code & 0xFF == sqlite3.SQLITE_BUSY
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state is None or state[:2] in PASSING_CLASSES or state == TOO_MANY_CONNECTIONS


def is_untrusted(error: DBAPIError) -> bool:
    """Return whether SQLite's open files are not to be used again.

    What was opened while the disk could not be written stays read-only, and what failed to be written or fsynced is
    best read again from the disk.
    """
    code = _sqlite_code(error)
    return code is not None and code & 0xFF in UNTRUSTED_CODES


def describe(error: Exception) -> str:
    """Return one line for the log: what failed, without values of a statement."""
    cause = getattr(error, "orig", None) or error
    return f"{type(cause).__name__}: {(str(cause).splitlines() or [''])[0]}"


def is_of_sqlite(error: DBAPIError) -> bool:
    """Return whether SQLite says it, of its own files."""
    return _sqlite_code(error) is not None


def is_unusable(error: DBAPIError) -> bool:
    """Return whether the database, its address or its owner is to be mended, not a statement of ours.

    SQLite calls a file that is damaged, or none of its own, by the general name; psycopg refuses unknown words of an
    address before it asks any server, so without a code.
    """
    if isinstance(error, ProgrammingError):
        return getattr(error.orig, "sqlstate", "") in {NOT_ALLOWED, None}
    return (
        isinstance(error, (OperationalError, InterfaceError, InternalError)) or type(error) is DatabaseError
    )


class Trouble:
    """Says in a log what fails, and not each time: the log may lie on the disk that is full."""

    def __init__(self, log: logging.Logger, what: str) -> None:
        self._log = log
        self._what = what
        self._said: dict[str, float] = {}

    def say(self, error: Exception) -> None:
        """Say it, unless it was said within a minute. What nobody expected is told by its traceback, without its text.

        Such a text may quote an answer.
        """
        is_known = isinstance(error, STORE_TROUBLE) or (isinstance(error, DBAPIError) and is_unusable(error))
        text = describe(error) if is_known else type(error).__name__
        if self._said.get(text, 0.0) < time.monotonic():
            self._said = {text: time.monotonic() + SILENT_S}
            self._log.error("%s: %s", self._what, text, exc_info=None if is_known else error)


def _sqlite_code(error: DBAPIError) -> int | None:
    return getattr(error.orig, "sqlite_errorcode", None)
