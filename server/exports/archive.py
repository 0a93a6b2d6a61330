"""An export as one stream: a zip with every table and the files, or the form's own table alone.

A thread reads the rows into unnamed files on disk, so that a slow client holds no transaction open; what was read is sent
meanwhile. A reading that fails in the middle breaks the stream off. Files are read from the blobs while the client takes
them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from zipfile import ZipFile

from sqlalchemy import Connection

from server.exports.frames import is_kept_as_csv
from server.exports.gathering import Gathered, prepare, read
from server.exports.limit import one_of_few
from server.exports.making import etag_of
from server.exports.options import CENTRAL, Options
from server.exports.past import seen_by
from server.exports.scope import open_scope
from server.exports.sinks import ZipSink
from server.exports.writers import csv
from server.exports.writing import MEDIA, write_documents
from server.node import Node
from server.store.blobs import Blobs
from server.store.engine import reading

PATIENCE_S = 0.2
"""What is read within this time is whole before the first byte goes out: its errors are answers."""


@dataclass(frozen=True, slots=True)
class Download:
    """An export to be sent. etag: equal for equal bytes. chunks: None when the caller has these bytes already.

    close: to be called when the chunks are not taken to their end; what was read lies on the disk until then.
    """

    etag: str
    chunks: Iterator[bytes] | None = None
    close: Callable[[], None] = lambda: None


def download_zip(
    node: Node,
    project_id: int,
    form_id: str,
    options: Options = CENTRAL,
    *,
    media: bool = True,
    documents: bool = False,
    known: Iterable[str] = (),
) -> Download:
    """Return a form's tables, and on request files, as a zip; known: ETags of what the caller has.

    documents: with manifest and codebook. The same state gives the same bytes. Raises Problem 404.1, OSError, and
    those of a filter, and 503.1 when enough are being made; the chunks may raise the same errors of the store and the disk.
    """

    def send(found: Gathered, whole: Future[None]) -> Iterator[bytes]:
        return _zip_chunks(found, whole, node.blobs, documents=documents)

    return _download(node, project_id, form_id, options, ["zip", media, documents], media, known, send)


def download_table(
    node: Node, project_id: int, form_id: str, options: Options = CENTRAL, *, known: Iterable[str] = ()
) -> Download:
    """Return a form's own table, without its repeats, as CSV; see `download_zip`."""
    return _download(node, project_id, form_id, options, ["csv"], False, known, _table_chunks)


class _Pipe:
    """Bytes in, the same bytes out: an unseekable file to whoever writes."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def write(self, chunk: bytes) -> int:
        self._waiting.append(chunk)
        return len(chunk)

    def flush(self) -> None:
        """Nothing waits for a disk."""

    def drain(self) -> Iterator[bytes]:
        """Yield what was written since the last time."""
        if self._waiting:
            yield b"".join(self._waiting)
            self._waiting.clear()


def _download(
    node: Node,
    project_id: int,
    form_id: str,
    options: Options,
    shape: list[object],
    media: bool,
    known: Iterable[str],
    send: Callable[[Gathered, Future[None]], Iterator[bytes]],
) -> Download:
    with ExitStack() as failing:
        with ExitStack() as transaction:
            transaction.enter_context(one_of_few())
            seen = transaction.enter_context(seen_by(node, project_id, form_id, options))
            connection = transaction.enter_context(reading(seen.engine))
            scope = open_scope(connection, seen, project_id, form_id, options, now=node)
            etag = f'"{etag_of(connection, scope, shape)}"'
            if etag in known:
                return Download(etag)
            found = prepare(connection, scope, node.settings.data / "tmp", media=media)
            failing.callback(found.close)
            whole: Future[None] = Future()
            work = (connection, found, transaction.pop_all(), whole)
            threading.Thread(target=_read, args=work, name="export", daemon=True).start()
        # rows that are shaped by what stands in others come when all were read; a filter's faults are answers
        is_sent_meanwhile = is_kept_as_csv(options) and options.empty_columns and not options.filter
        with suppress(TimeoutError):
            whole.result(PATIENCE_S if is_sent_meanwhile else None)
        if not whole.done():
            found.shape()
        failing.pop_all()
        return Download(etag, send(found, whole), found.close)


def _read(connection: Connection, found: Gathered, transaction: ExitStack, whole: Future[None]) -> None:
    """Read in a thread of its own. Once the client has gone, the files are closed, and it ends by their ValueError."""
    try:
        with transaction:
            read(connection, found)
    except BaseException as error:  # noqa: BLE001  (whoever sends raises it)
        whole.set_exception(error)
    else:
        whole.set_result(None)


def _table_chunks(found: Gathered, whole: Future[None]) -> Iterator[bytes]:
    with closing(found):
        yield from csv.chunks(found.frames[0])
        whole.result()


def _zip_chunks(found: Gathered, whole: Future[None], blobs: Blobs, *, documents: bool) -> Iterator[bytes]:
    pipe = _Pipe()
    with closing(found):
        archive = ZipFile(pipe, "w")  # type: ignore[call-overload]
        sink = ZipSink(archive)
        for one in found.frames:
            with sink.open(f"{one.name}.csv") as output:
                for chunk in csv.chunks(one):
                    output.write(chunk)
                    yield from pipe.drain()
                whole.result()
        if documents:
            write_documents(found, sink)
        for file in found.media():
            yield from pipe.drain()
            try:
                chunks = blobs.stream(file.sha256)
            except FileNotFoundError:  # erased since
                continue
            with sink.open(f"{MEDIA}/{file.path}", is_packed=True) as output:
                for chunk in chunks:
                    output.write(chunk)
                    yield from pipe.drain()
        archive.close()
        yield from pipe.drain()
