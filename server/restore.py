"""Restoring a backup into an empty place, under a new epoch.

Files first, then the facts in one transaction: what was cut off before holds nothing and may be done over, what was
cut off after is a store that derives its state by itself.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Engine

from server import projection
from server.backup import Backup, Manifest, opened_backup
from server.node import Node, lock_data
from server.progress import Report
from server.settings import Settings
from server.store import identity, journal
from server.store.blobs import Blobs
from server.store.copying import KEPT, copy_rows, refuse_unless_empty
from server.store.engine import migrate, open_engine, reading, writing
from server.sweeping import sweep


def restore(settings: Settings, path: Path, report: Report) -> Manifest:
    """Put a backup into the store that the settings name, and derive its state.

    Raises BackupError, StoreNotEmptyError, DataDirectoryInUseError, OSError.
    """
    with lock_data(settings.data), opened_backup(path) as backup:
        blobs = Blobs(settings.data, settings.blobs)
        blobs.check()
        engine = open_engine(settings.data, settings.database_url)
        try:
            with reading(engine) as connection:
                refuse_unless_empty(connection)
            migrate(engine)
            _copy(backup, engine, blobs, settings.data / "tmp", report)
            _derive(Node(settings, engine, blobs), report)
            sweep(engine, blobs)
        finally:
            engine.dispose()
        return backup.manifest


def _copy(backup: Backup, target: Engine, blobs: Blobs, scratch: Path, report: Report) -> None:
    with TemporaryDirectory(prefix="restore-", dir=scratch) as folder:
        engine = backup.open_facts(Path(folder), report)
        try:
            with reading(engine) as facts:
                for chunks in backup.iter_files(facts, report):
                    with blobs.open_upload() as upload:
                        for chunk in chunks:
                            upload.write(chunk)
                        blobs.keep(upload)
                with writing(target) as connection:
                    refuse_unless_empty(connection)
                    copy_rows(facts, connection, KEPT, report)
                    identity.begin_epoch(connection)
        finally:
            engine.dispose()


def _derive(node: Node, report: Report) -> None:
    with reading(node.engine) as connection:
        entries = journal.head_position(connection)
    advance, before = report("deriving the state", entries), 0
    while (position := projection.step(node.engine, node.schemas)) is not None:
        advance(position - before)
        before = position
