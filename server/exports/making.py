"""An export as one file on disk: a zip, or what the format itself puts into one file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from zipfile import ZipFile

import orjson
from sqlalchemy import Connection

from server.exports.gathering import Gathered, gather
from server.exports.names import safe_name
from server.exports.options import Options
from server.exports.pages import MediaFile
from server.exports.past import seen_by
from server.exports.scope import Scope, open_scope
from server.exports.sinks import Output, ZipSink
from server.exports.writing import MEDIA, write_documents, write_tables, write_whole
from server.node import Node
from server.progress import Report, unseen
from server.store import journal
from server.store.blobs import Blobs
from server.store.engine import reading

LAYOUT = 6
"""Goes into the ETag: raise it when the same state gives other bytes."""


def file_name(form_id: str, options: Options, *, media: bool) -> str:
    """Return what a person's file is called: `FORM.xlsx`, `FORM.parquet.zip`; `FORM.zip` with the media."""
    ending = (
        "zip"
        if media
        else options.format.value
        if options.format.is_one_file
        else f"{options.format.value}.zip"
    )
    return f"{safe_name(form_id)}.{ending}"


def make(
    node: Node,
    project_id: int,
    form_id: str,
    options: Options,
    path: Path,
    *,
    media: bool = False,
    report: Report = unseen,
) -> None:
    """Write an export to `path`: the tables with codebook and manifest, and on request the files.

    The same state and options give the same bytes. Raises Problem 404.1, OSError, and those of a filter.
    """
    with seen_by(node, project_id, form_id, options) as seen, reading(seen.engine) as connection:
        scope = open_scope(connection, seen, project_id, form_id, options, now=node)
        found = gather(connection, scope, node.settings.data / "tmp", media=media, report=report)
    path.write_bytes(b"")
    with closing(found):
        write_file(found, path, node.blobs, media=media, report=report)


def write_file(
    found: Gathered, path: Path, blobs: Blobs, *, media: bool = False, report: Report = unseen
) -> None:
    """Write what was gathered into an empty file, on disk when this returns. Raises FileNotFoundError without one."""
    with path.open("r+b") as file:
        if found.scope.options.format.is_one_file and not media:
            write_whole(found, Output(file, path.parent), path.parent)
        else:
            with ZipFile(Output(file, path.parent), "w") as archive:  # type: ignore[call-overload]
                _write(found, archive, blobs, path.parent, report)
        file.flush()
        os.fsync(file.fileno())


def etag_of(connection: Connection, scope: Scope, shape: list[object]) -> str:
    """Return what is equal for equal bytes: the journal's state says all, for whatever is exported follows from it.

    shape: what else was asked for.
    """
    chain = journal.chain_hash(connection, scope.cut_off).hex()
    parts = [LAYOUT, scope.project_id, scope.form_id, scope.cut_off, chain, scope.options.as_json(), shape]
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:32]


def _write(found: Gathered, archive: ZipFile, blobs: Blobs, folder: Path, report: Report) -> None:
    sink = ZipSink(archive)
    write_tables(found, sink, folder, report)
    write_documents(found, sink)
    _write_media(sink, found.media(), blobs)


def _write_media(sink: ZipSink, media: Iterable[MediaFile], blobs: Blobs) -> None:
    for one in media:
        try:
            chunks = blobs.stream(one.sha256)
        except FileNotFoundError:  # erased since
            continue
        with sink.open(f"{MEDIA}/{one.path}", is_packed=True) as output:
            for chunk in chunks:
                output.write(chunk)
