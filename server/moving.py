"""Moving a store to another database: every row of every table, compared, in one transaction; all of it or nothing.

Files stay where they are. The copy goes on under a new epoch, so that nothing breaks even if both are written to; the
store that was left takes nothing more in, since nobody would look for it there.
"""

from __future__ import annotations

from sqlalchemy.engine import make_url

from server.node import lock_data, open_node
from server.progress import Report
from server.settings import Settings
from server.store import identity, journal
from server.store.chain import verify_journal
from server.store.copying import EVERYTHING, copy_rows, count_rows, refuse_unless_empty
from server.store.engine import migrate, open_engine, reading, sqlite_file, writing


def copy_store(settings: Settings, database_url: str, report: Report, *, keep: bool = False) -> int:
    """Copy the store into an empty database ("": SQLite in the data directory); return how many rows it has.

    keep: leave this one in use; the two go apart from here. Raises StoreNotEmptyError, CopyDiffersError,
    BrokenChainError, DataDirectoryInUseError.
    """
    with lock_data(settings.data):
        source = open_node(settings)
        target = open_engine(settings.data, database_url)
        try:
            with reading(target) as connection:
                refuse_unless_empty(connection)
            migrate(target)
            with writing(source.engine) as here:
                journal.lock(here)  # servers elsewhere wait, and then learn that it has moved
                with reading(source.engine) as still:  # they may go on to derive state
                    with writing(target) as there:
                        copy_rows(still, there, EVERYTHING, report)
                        verify_journal(there, report)
                        identity.begin_epoch(there)
                    rows = count_rows(still, EVERYTHING)
                if not keep:
                    identity.move_away(here, describe(settings, database_url))
                return rows
        finally:
            target.dispose()
            source.close()


def reopen_store(settings: Settings) -> None:
    """Take a store into use again that was left."""
    engine = open_engine(settings.data, settings.database_url)
    try:
        with lock_data(settings.data), writing(engine) as connection:
            identity.move_away(connection, "")
    finally:
        engine.dispose()


def describe(settings: Settings, database_url: str) -> str:
    """Return where a store is, without a password."""
    if not database_url:
        return str(sqlite_file(settings.data))
    return make_url(database_url).render_as_string(hide_password=True)
