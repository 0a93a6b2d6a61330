"""Opening the store: one SQLAlchemy engine, SQLite in the data directory or PostgreSQL by URL."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event, inspect
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from migrations import HEAD
from server.store.troubles import is_untrusted

BUSY_TIMEOUT_MS = 30_000
TRUSTED_S = 1.0
"""So long a connection to PostgreSQL is used again unasked; whoever finds it lost tries again, or is told to."""
WAL_PAGES = 8_000
"""So long may SQLite's log grow before somebody who commits copies it, 32 MB; at rest it is copied long before."""
POOL_SIZE = 40
POOL_SIZE_MIN = 8
SILENCE = {
    "connect_timeout": 5,
    "tcp_user_timeout": 15_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
}
"""How long PostgreSQL may answer no packet: without it, who waits for one that lost its power waits for ever."""


class StoreUnusableError(Exception):
    """A database that this software cannot use: a newer one wrote it, or it cannot hold every text."""


class ClosingPool(QueuePool):
    """A pool that, once disposed of, closes also what threads at work give back to it later."""

    _is_over = False

    def dispose(self) -> None:
        """Close what nobody uses."""
        self._is_over = True
        super().dispose()

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        super()._do_return_conn(record)
        if self._is_over:
            super().dispose()


def open_engine(data: Path, database_url: str = "", workers: int = 1) -> Engine:
    """Return the engine of the store: `database_url`, or `chapar.sqlite` in `data`. Creates no tables.

    workers: processes that share what PostgreSQL allows of connections, 100 unless it is told otherwise.
    """
    pool_size = max(POOL_SIZE_MIN, POOL_SIZE // workers)
    if database_url:
        engine = create_engine(
            database_url,
            connect_args={
                "prepare_threshold": None,  # pgbouncer in transaction mode gives each one another server
                **SILENCE,
            },
            poolclass=ClosingPool,
            pool_size=pool_size,
            max_overflow=8,
            hide_parameters=True,
        )
        event.listen(engine, "checkin", _note_use)
        event.listen(engine, "checkout", partial(_look_whether_it_lives, engine.dialect))
        return engine
    engine = create_engine(
        URL.create(
            "sqlite", database=str(sqlite_file(data))
        ),  # as it is: a folder may have `?` or `%` in its name
        connect_args={"check_same_thread": False},
        poolclass=ClosingPool,
        pool_size=pool_size,
        max_overflow=8,
        hide_parameters=True,  # parameters are answers; errors are logged
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def sqlite_file(data: Path) -> Path:
    """Return where SQLite has its database."""
    return data / "chapar.sqlite"


def open_to_look(data: Path, database_url: str = "") -> Engine:
    """Return an engine of the store as it is, to read from only: neither it nor its files are changed."""
    if database_url:
        return open_engine(data, database_url)
    file = sqlite_file(data).absolute()
    # Where nobody can write, SQLite cannot make the index of its log; without a log it needs none, if it is told.
    may_change = os.access(data, os.W_OK) or file.with_name(f"{file.name}-wal").exists()
    options = {"uri": "true", "mode": "ro"} | ({} if may_change else {"immutable": "1"})
    url = URL.create("sqlite", database=f"file:{quote(os.fsencode(file))}", query=options)
    engine = create_engine(url, hide_parameters=True)
    event.listen(engine, "connect", _prepare_to_look)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def migrate(engine: Engine) -> None:
    """Bring the schema up to date; a no-op, and a quick one, when it is. Raises StoreUnusableError."""
    with engine.connect() as connection:
        revision = schema_revision(connection)
        if revision == HEAD:
            return
        if revision is not None and revision > HEAD:
            raise StoreUnusableError(
                f"The store's schema is {revision}, newer than this software's {HEAD}. Use the software that wrote it."
            )
        _refuse_other_encodings(connection)
        from alembic import command  # a third of what a command imports, and seldom needed
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", "migrations:")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def schema_revision(connection: Connection) -> str | None:
    """Return which migration the schema is at; None for an empty store."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def _refuse_other_encodings(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
        if encoding != "UTF8":
            raise StoreUnusableError(
                f"The database's encoding is {encoding}, which cannot hold every name and answer. "
                "Make one with ENCODING 'UTF8' TEMPLATE template0."
            )


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: takes SQLite's write lock at once, commits (and fsyncs) at the end.

    Errors of the driver come out as SQLAlchemy's. When SQLite's files failed, every connection is opened again.
    """
    with _connected(engine) as connection, connection.begin():
        yield connection


@contextmanager
def deriving(engine: Engine) -> Iterator[Connection]:
    """The same for what can be derived again: it is durable with the next transaction that is, and never in part.

    Sources: SQLite's `PRAGMA synchronous`, of a log in order; PostgreSQL's asynchronous commit.
    """
    with _connected(engine) as connection:
        if engine.dialect.name == "postgresql":
            with connection.begin():
                connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
                yield connection
            return
        cursor = connection.connection.cursor()
        cursor.execute("PRAGMA synchronous=NORMAL")
        try:
            with connection.begin():
                yield connection
        finally:
            cursor.execute("PRAGMA synchronous=FULL")


def checkpoint(engine: Engine) -> None:
    """Copy SQLite's log into the database file, as far as nobody reads what was before: at rest, when none waits."""
    if engine.dialect.name == "sqlite":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")


@contextmanager
def _connected(engine: Engine) -> Iterator[Connection]:
    """A connection that will write."""
    driver = engine.dialect.loaded_dbapi
    try:
        with engine.connect().execution_options(chapar_writes=True) as connection:
            yield connection
    except (DBAPIError, driver.Error) as error:
        known = error if isinstance(error, DBAPIError) else _wrapped(engine, error)
        if is_untrusted(known):
            engine.dispose()
        raise known from error.__cause__


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads, and sees one state of the store from begin to end."""
    options = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


def _wrapped(engine: Engine, error: Exception) -> DBAPIError:
    """An error of the driver's own cursor (`server.store.journal`) as SQLAlchemy's."""
    driver = engine.dialect.loaded_dbapi
    wrapped = DBAPIError.instance(None, None, error, driver.Error, dialect=engine.dialect)
    assert isinstance(wrapped, DBAPIError), "errors of a driver are wrapped as such"
    return wrapped


def _note_use(_dbapi: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
    record.info["used_s"] = time.monotonic()


def _look_whether_it_lives(
    dialect: Dialect, dbapi: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object
) -> None:
    """Have the pool open another connection when the server is gone from one that nobody used for a while.

    SQLAlchemy's own way asks at each use, which takes as long as a statement.
    """
    if time.monotonic() - record.info.get("used_s", 0) > TRUSTED_S:
        try:
            dialect.do_ping(dbapi)
        except dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error


def _prepare_sqlite(dbapi: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    raw: Any = dbapi
    raw.isolation_level = None  # SQLAlchemy says BEGIN below; the driver must not
    cursor = raw.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # NORMAL lost acknowledged rows in a power-cut test
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        f"wal_autocheckpoint={WAL_PAGES}",
        "foreign_keys=ON",
        "temp_store=MEMORY",
        "secure_delete=ON",  # what is erased leaves the file; nothing on the hot path is ever deleted
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _prepare_to_look(dbapi: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    raw: Any = dbapi
    raw.isolation_level = None
    raw.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get("chapar_writes"):
        # By the driver: SQLAlchemy's way costs 0.1 ms, at each commit.
        connection.connection.cursor().execute("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql("BEGIN")
