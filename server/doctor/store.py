"""The database: whether it is of this version, is whole, and keeps what it says it keeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, select
from sqlalchemy.exc import DatabaseError

from migrations import HEAD
from server.doctor.findings import Check, Finding
from server.settings import MEGABYTE
from server.store.engine import schema_revision
from server.store.tables import node

POSTGRESQL_MIN = 140_000
LOG_BYTES_MAX = 200 * MEGABYTE
ON = frozenset({"on"})
DAMAGED = (
    "Stop the server, keep a copy of the data directory, restore the newest backup (`chapar restore`), and look for "
    "what broke it: the disk, a copy made while it ran, a network file system."
)
EMPTY = (
    "Is it the right one? Where there were records, restore the newest backup (`chapar restore`): `chapar serve` would "
    "begin a new node that knows no tablet."
)
SAFE = {
    "fsync": ON,
    "full_page_writes": ON,
    "synchronous_commit": ON | {"local", "remote_write", "remote_apply"},
}
"""What PostgreSQL must be set to, so that a 201 means what it says."""


def check_schema(connection: Connection) -> Iterator[Finding]:
    """Look whether the schema is this software's."""
    check = Check("store")
    revision = schema_revision(connection)
    if revision == HEAD:
        version = ".".join(map(str, connection.dialect.server_version_info or ()))
        yield check.fine(f"{connection.dialect.name} {version}, schema {revision}")
    elif revision is None:
        yield check.broken("the database is empty", EMPTY)
    elif revision < HEAD:
        yield check.broken(
            f"its schema is {revision}, this software's is {HEAD}",
            "Stop the server, make a backup, start this version: it brings the schema up to date.",
        )
    else:
        yield check.broken(
            f"its schema is {revision}, newer than this software's {HEAD}", "Use the software that wrote it."
        )


def check_moved(connection: Connection) -> Iterator[Finding]:
    """Look whether the records went elsewhere."""
    target = connection.execute(select(node.c.moved_to)).scalar()
    if target:
        yield Check("store").broken(
            f"its records were moved to {target}", "Use that store; this one takes nothing any more."
        )


def check_database(connection: Connection, data: Path, *, quick: bool) -> Iterator[Finding]:
    """Ask the database whether it is whole and set safely."""
    if connection.dialect.name == "postgresql":
        return _postgresql(connection)
    return _sqlite(connection, data, "quick_check" if quick else "integrity_check")


def _sqlite(connection: Connection, data: Path, pragma: str) -> Iterator[Finding]:
    check = Check("sqlite")
    try:
        faults = list(connection.exec_driver_sql(f"PRAGMA {pragma}(10)").scalars())
    except DatabaseError as error:
        faults = [str(error.orig)]
    if faults == ["ok"]:
        yield check.fine(f"{pragma} finds nothing")
    else:
        yield check.broken(
            f"{pragma} finds {faults[0].splitlines()[-1]}",
            DAMAGED,
        )
    log = data / "chapar.sqlite-wal"
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        yield check.warning(
            f"its write-ahead log has {log.stat().st_size // MEGABYTE:,} MB",
            "Something has been reading for very long (a copy, a tool with an open transaction). End it.",
        )


def _postgresql(connection: Connection) -> Iterator[Finding]:
    check = Check("postgresql")

    def show(name: str) -> str:
        return str(connection.exec_driver_sql(f"SHOW {name}").scalar_one())

    found = []
    if int(show("server_version_num")) < POSTGRESQL_MIN:
        found.append(check.broken(f"it is {show('server_version')}", "Use PostgreSQL 14 or newer."))
    if (encoding := show("server_encoding")) != "UTF8":
        do = "Names are stored as UTF-8. Make a database with ENCODING 'UTF8' and move there."
        found.append(check.broken(f"its encoding is {encoding}", do))
    for name, safe in SAFE.items():
        if (value := show(name)) not in safe:
            do = f"Set {name} to on: what was acknowledged could be lost."
            found.append(check.broken(f"{name} is {value}", do))
    yield from found or [check.fine("it keeps what it commits")]
