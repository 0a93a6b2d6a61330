"""All checks of a node, from the outside in; each that cannot go on says so itself, and the rest goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from server.doctor import environment, facts, files, machine, store
from server.doctor.findings import Check, Finding, Level
from server.node import find_serving_url
from server.progress import Report
from server.settings import Settings
from server.store.blobs import Blobs
from server.store.engine import open_to_look, reading
from server.store.tables import node
from server.store.troubles import describe
from sync.clock import to_datetime


def examine(settings: Settings, report: Report, *, quick: bool) -> Iterator[Finding]:
    """Yield what is found, fine or not. quick: without reading the whole journal and every blob."""
    yield from environment.check_settings(settings, os.environ)
    data = settings.data
    if not data.is_dir():
        yield Check("directory").broken(f"there is no {data}", "Name the data directory with --data.")
        return
    blobs = None if settings.blobs else data / "blobs"
    yield from machine.check_directory(data)
    yield from machine.check_disk(data, blobs)
    yield from machine.check_fsync(data)
    yield from machine.check_open_files()
    if not settings.database_url and not (data / "chapar.sqlite").exists():
        yield Check("store").broken(f"there is no store in {data}", "`chapar serve` makes one.")
        return
    engine = open_to_look(data, settings.database_url)
    try:
        yield from _examine_store(settings, engine, report, quick=quick)
    finally:
        engine.dispose()


def _examine_store(settings: Settings, engine: Engine, report: Report, *, quick: bool) -> Iterator[Finding]:
    found = list(_look(engine, "store", store.check_schema))
    yield from found
    if found[0].level is not Level.FINE:
        return
    yield from _look(engine, "store", store.check_moved)
    serves = find_serving_url(settings.data) is not None
    yield from _look(engine, "database", lambda one: store.check_database(one, settings.data, quick=quick))
    yield from _look(engine, "clock", lambda one: machine.check_clock(_newest(one), datetime.now(UTC)))
    if not quick:
        yield from _look(engine, "journal", lambda one: facts.check_journal(one, report))
    yield from _look(engine, "state", lambda one: facts.check_state(one, serves=serves))
    yield from _look(engine, "audit", facts.check_lost)
    yield from _look(engine, "quarantine", facts.check_waiting)
    if not settings.blobs and not (settings.data / "blobs").is_dir():
        yield Check("blobs").broken(f"there is no {settings.data / 'blobs'}", "Bring it from a backup.")
        return
    blobs = Blobs(settings.data, settings.blobs)
    yield from _guarded("blobs", files.check_blobs(engine, blobs, report, quick=quick))


def _look(engine: Engine, name: str, check: Callable[[Connection], Iterator[Finding]]) -> Iterator[Finding]:
    """Look at one state of the store."""

    def findings() -> Iterator[Finding]:
        with reading(engine) as connection:
            yield from check(connection)

    return _guarded(name, findings())


def _guarded(name: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """Yield the findings, and one more when the look cannot go on."""
    try:
        yield from findings
    except SQLAlchemyError as error:
        if type(error) is DatabaseError:  # so SQLite calls a file that is damaged, or is none of its own
            yield Check(name).broken(f"the database is damaged: {describe(error)}", store.DAMAGED)
            return
        yield Check(name).broken(
            f"the database cannot be read: {describe(error)}",
            "Look whether it runs, at CHAPAR_DATABASE_URL, at the disk (`dmesg`) and at who owns the files.",
        )
    except ValueError:
        yield Check(name).broken(
            "an entry of the journal cannot be read", "Run without --quick: `journal` says what it is."
        )


def _newest(connection: Connection) -> datetime | None:
    stamp = connection.execute(select(node.c.stamp)).scalar()
    return to_datetime(stamp) if stamp else None
