"""An export as one stream: a zip with every table and the files, or the form's own table alone.

The tables are written to unnamed files on disk within one short transaction, so that a failure is still an answer
and a slow client holds no transaction open; files are read from the blobs while the client takes them.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import orjson
from sqlalchemy import Connection

from server.exports.folder import MEDIA
from server.exports.pages import MediaFile, Page, Scope, iter_pages, open_scope
from server.exports.rows import csv_bytes
from server.node import Node
from server.store import journal
from server.store.blobs import Blobs
from server.store.engine import reading

CHUNK_BYTES = 1 << 18
LAYOUT = 2
"""Goes into the ETag: raise it when the same state gives other bytes."""


@dataclass(frozen=True, slots=True)
class Download:
    """A finished export. etag: equal for equal bytes. chunks: None when the caller has these bytes already."""

    etag: str
    chunks: Iterator[bytes] | None


def download_zip(
    node: Node, project_id: int, form_id: str, *, personal: bool, media: bool, known: Iterable[str] = ()
) -> Download:
    """Return a form's tables, and on request files, as a zip; known: ETags of what the caller has.

    The same state gives the same bytes. Raises Problem 404.1, OSError.
    """
    node.catch_up()
    with reading(node.engine) as connection:
        scope = open_scope(connection, node, project_id, form_id, personal=personal)
        etag = _etag(connection, scope, "zip", personal, media)
        if etag in known:
            return Download(etag, None)
        folder = node.settings.data / "tmp"
        spool = _Spool(folder)
        archive = ZipFile(spool, "w")
        wanted = _write_tables(connection, scope, archive, folder, media=media)
    return Download(etag, _zip_chunks(archive, spool, wanted, node.blobs))


def download_table(
    node: Node, project_id: int, form_id: str, *, personal: bool, known: Iterable[str] = ()
) -> Download:
    """Return a form's own table, without its repeats, as CSV; see `download_zip`."""
    node.catch_up()
    with reading(node.engine) as connection:
        scope = open_scope(connection, node, project_id, form_id, personal=personal)
        etag = _etag(connection, scope, "csv", personal, False)
        if etag in known:
            return Download(etag, None)
        spool = _Spool(node.settings.data / "tmp")
        for chunk in _csv_chunks(scope, iter_pages(connection, scope, media=False)):
            spool.write(chunk)
    return Download(etag, _table_chunks(spool))


class _Spool:
    """Bytes in, the same bytes out: an unseekable file to whoever writes."""

    def __init__(self, folder: Path) -> None:
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115

    def write(self, chunk: bytes) -> int:
        return self._file.write(chunk)

    def close(self) -> None:
        self._file.close()

    def flush(self) -> None:
        self._file.flush()

    def drain(self) -> Iterator[bytes]:
        """Yield what was written since the last time."""
        self._file.seek(0)
        while chunk := self._file.read(CHUNK_BYTES):
            yield chunk
        self._file.seek(0)
        self._file.truncate()


def _etag(connection: Connection, scope: Scope, *options: object) -> str:
    """The journal's state says all: whatever is exported follows from it."""
    chain = journal.chain_hash(connection, scope.cut_off)
    parts = [LAYOUT, scope.project_id, scope.form_id, scope.cut_off, chain.hex(), *options]
    return f'"{hashlib.sha256(orjson.dumps(parts)).hexdigest()[:32]}"'


def _csv_chunks(scope: Scope, pages: Iterator[Page]) -> Iterator[bytes]:
    yield csv_bytes([scope.tables[0].header])
    for page in pages:
        yield csv_bytes(page.rows[0])


def _table_chunks(spool: _Spool) -> Iterator[bytes]:
    with closing(spool):
        yield from spool.drain()


def _write_tables(
    connection: Connection, scope: Scope, archive: ZipFile, folder: Path, *, media: bool
) -> BinaryIO:
    """Write the CSVs into the archive; return the list of the files that are to follow.

    A zip takes one entry after the other: repeats wait on disk until the form's own table is complete.
    """
    wanted = TemporaryFile(dir=folder)  # noqa: SIM115
    with ExitStack() as stack:
        inner = [stack.enter_context(TemporaryFile(dir=folder)) for _ in scope.tables[1:]]
        for file, table in zip(inner, scope.tables[1:], strict=True):
            file.write(csv_bytes([table.header]))
        with _entry(archive, scope.file_name(scope.tables[0])) as entry:
            entry.write(csv_bytes([scope.tables[0].header]))
            for page in iter_pages(connection, scope, media=media):
                entry.write(csv_bytes(page.rows[0]))
                for file, rows in zip(inner, page.rows[1:], strict=True):
                    file.write(csv_bytes(rows))
                wanted.writelines(orjson.dumps([one.path, one.sha256]) + b"\n" for one in page.media)
        for file, table in zip(inner, scope.tables[1:], strict=True):
            file.seek(0)
            with _entry(archive, scope.file_name(table)) as entry:
                shutil.copyfileobj(file, entry, CHUNK_BYTES)
    wanted.seek(0)
    return wanted


def _zip_chunks(archive: ZipFile, spool: _Spool, wanted: BinaryIO, blobs: Blobs) -> Iterator[bytes]:
    with wanted, closing(spool):
        for line in wanted:
            yield from spool.drain()
            yield from _media_chunks(archive, spool, MediaFile(*orjson.loads(line)), blobs)
        archive.close()
        yield from spool.drain()


def _media_chunks(archive: ZipFile, spool: _Spool, one: MediaFile, blobs: Blobs) -> Iterator[bytes]:
    try:
        chunks = blobs.stream(one.sha256)
    except FileNotFoundError:  # erased since
        return
    with _entry(archive, f"{MEDIA}/{one.path}", ZIP_STORED) as entry:
        for chunk in chunks:
            entry.write(chunk)
            yield from spool.drain()


def _entry(archive: ZipFile, name: str, compression: int = ZIP_DEFLATED) -> BinaryIO:
    """Open an entry whose header is the same on every machine and every day."""
    entry = ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.compress_type = compression
    entry.create_system = 3
    entry.external_attr = 0o600 << 16
    return archive.open(entry, "w", force_zip64=True)  # type: ignore[return-value]
