"""Dropping what was erased: payloads out of the journal, files out of the blobs, and old pages out of SQLite's log.

Done over again until it is finished, whatever it was cut off by.
"""

from __future__ import annotations

from sqlalchemy import Engine

from server.exports.prepared import forget
from server.store import dropping, journal
from server.store.blobs import Blobs
from server.store.engine import reading, writing


def sweep(engine: Engine, blobs: Blobs) -> bool:
    """Drop what is to be dropped. False when some is still in SQLite's log, because somebody reads from it."""
    with reading(engine) as connection:
        positions = dropping.list_dropping(connection)
        if not positions:
            return True
        forget(blobs.scratch)
        files = dropping.files_of(connection, positions)
        used = dropping.used_elsewhere(connection, files, positions)
        seen = journal.head_position(connection)
    for sha256 in sorted(files)[:1]:
        blobs.has(sha256)  # an S3 that does not answer is not waited for with the journal locked
    with writing(engine) as connection:
        journal.lock(connection)  # nobody names a blob between the look and its end
        gone = files - used - dropping.used_elsewhere(connection, files - used, positions, after=seen)
        dropping.remember_blobs(connection, gone)
        for sha256 in gone:
            blobs.delete(sha256)
        dropping.forget_payloads(connection, positions)
    if not dropping.empty_log(engine):
        return False
    with writing(engine) as connection:
        dropping.finish(connection, positions)
    return True
