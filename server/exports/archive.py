"""An export as one stream: a zip with every table and the files, or the form's own table alone.

The tables are written to unnamed files on disk, so that a failure is still an answer and a slow client holds no
transaction open; files are read from the blobs while the client takes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from zipfile import ZIP_STORED, ZipFile

from server.exports.gathering import Gathered, gather
from server.exports.making import etag_of
from server.exports.options import PLAIN, Options
from server.exports.past import seen_by
from server.exports.scope import open_scope
from server.exports.sinks import Output, ZipSink
from server.exports.writers import csv
from server.exports.writing import MEDIA, write_documents, write_tables
from server.node import Node
from server.store.blobs import Blobs
from server.store.engine import reading

CHUNK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Download:
    """A finished export. etag: equal for equal bytes. chunks: None when the caller has these bytes already."""

    etag: str
    chunks: Iterator[bytes] | None


def download_zip(
    node: Node,
    project_id: int,
    form_id: str,
    options: Options = PLAIN,
    *,
    media: bool = True,
    documents: bool = False,
    known: Iterable[str] = (),
) -> Download:
    """Return a form's tables, and on request files, as a zip; known: ETags of what the caller has.

    documents: with manifest and codebook. The same state gives the same bytes. Raises Problem 404.1, OSError, and
    those of a filter.
    """

    def write(found: Gathered, spool: _Spool) -> Iterator[bytes]:
        archive = ZipFile(spool, "w")
        sink = ZipSink(archive)
        write_tables(found, sink, node.settings.data / "tmp")
        if documents:
            write_documents(found, sink)
        return _zip_chunks(found, sink, archive, spool, node.blobs)

    return _download(node, project_id, form_id, options, ["zip", media, documents], media, known, write)


def download_table(
    node: Node, project_id: int, form_id: str, options: Options = PLAIN, *, known: Iterable[str] = ()
) -> Download:
    """Return a form's own table, without its repeats, as CSV; see `download_zip`."""

    def write(found: Gathered, spool: _Spool) -> Iterator[bytes]:
        csv.write(found.frames[0], Output(spool))
        return _table_chunks(found, spool)

    return _download(node, project_id, form_id, options, ["csv"], False, known, write)


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


def _download(
    node: Node,
    project_id: int,
    form_id: str,
    options: Options,
    shape: list[object],
    media: bool,
    known: Iterable[str],
    write: Callable[[Gathered, _Spool], Iterator[bytes]],
) -> Download:
    folder = node.settings.data / "tmp"
    with seen_by(node, project_id, form_id, options) as seen, reading(seen.engine) as connection:
        scope = open_scope(connection, seen, project_id, form_id, options, now=node)
        etag = f'"{etag_of(connection, scope, shape)}"'
        if etag in known:
            return Download(etag, None)
        found = gather(connection, scope, folder, media=media)
    try:
        return Download(etag, write(found, _Spool(folder)))
    except BaseException:
        found.close()
        raise


def _table_chunks(found: Gathered, spool: _Spool) -> Iterator[bytes]:
    with closing(found), closing(spool):
        yield from spool.drain()


def _zip_chunks(
    found: Gathered, sink: ZipSink, archive: ZipFile, spool: _Spool, blobs: Blobs
) -> Iterator[bytes]:
    with closing(found), closing(spool):
        for one in found.media():
            yield from spool.drain()
            try:
                chunks = blobs.stream(one.sha256)
            except FileNotFoundError:  # erased since
                continue
            with sink.open(f"{MEDIA}/{one.path}", ZIP_STORED) as output:
                for chunk in chunks:
                    output.write(chunk)
                    yield from spool.drain()
        archive.close()
        yield from spool.drain()
