"""An export into a folder: whole files under their names, or the files that were there before."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from server.exports.disclosure import Risk
from server.exports.gathering import Gathered, gather
from server.exports.names import safe_name
from server.exports.options import PLAIN, Options
from server.exports.pages import MediaFile
from server.exports.past import seen_by
from server.exports.scope import open_scope
from server.exports.sinks import FolderSink
from server.exports.writing import MEDIA, write_documents, write_tables
from server.node import Node
from server.progress import Report, unseen
from server.store.blobs import Blobs
from server.store.engine import reading


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file with a table. rows: without the header."""

    name: str
    rows: int


@dataclass(frozen=True, slots=True)
class Export:
    """What an export wrote. cut_off: position in the journal up to which it tells.

    media: how many files. media_gone: how many are known but no longer among the blobs.
    risks: of an export for a recipient.
    """

    files: tuple[ExportedFile, ...]
    cut_off: int
    media: int = 0
    media_gone: int = 0
    risks: tuple[Risk, ...] = ()


def export_form(
    node: Node,
    project_id: int,
    form_id: str,
    out: Path,
    options: Options = PLAIN,
    *,
    media: bool = False,
    report: Report = unseen,
) -> Export:
    """Write a form's submissions into `out` (made if missing), as `docs/exports.md` says.

    media: with the files that the exported fields name. Other files in `out` are left alone. Raises Problem 404.1,
    OSError, and those of a filter.
    """
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".export-", dir=out) as staging:
        with seen_by(node, project_id, form_id, options) as seen, reading(seen.engine) as connection:
            scope = open_scope(connection, seen, project_id, form_id, options, now=node)
            found = gather(connection, scope, Path(staging), media=media, report=report)
        with closing(found):
            export = _write(found, node.blobs, Path(staging), report)
        _publish(Path(staging), out)
    return export


def _write(found: Gathered, blobs: Blobs, folder: Path, report: Report) -> Export:
    sink = FolderSink(folder)
    frames = write_tables(found, sink, folder, report)
    if found.scope.options.format.is_one_file:
        tables = [ExportedFile(sink.files[0].name, sum(one.rows for one in frames))]
    else:
        tables = [ExportedFile(file.name, one.rows) for file, one in zip(sink.files, frames, strict=True)]
    write_documents(found, sink, f"{safe_name(found.scope.form_id)}.")
    written, gone = _write_media(blobs, found.media(), folder / MEDIA)
    return Export(tuple(tables), found.scope.cut_off, written, gone, tuple(found.risks))


def _write_media(blobs: Blobs, media: Iterable[MediaFile], folder: Path) -> tuple[int, int]:
    """Copy the blobs that are still here; return how many are, and how many are not."""
    written = gone = 0
    for one in media:
        try:
            chunks = blobs.stream(one.sha256)
        except FileNotFoundError:
            gone += 1
            continue
        path = folder / one.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
            _sync(file)
        written += 1
    return written, gone


def _publish(staging: Path, out: Path) -> None:
    """Give the finished files their names, tables last."""
    for path in sorted(staging.rglob("*"), key=lambda path: (-len(path.parts), path)):
        target = out / path.relative_to(staging)
        if path.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    for folder in {out, *(path for path in (out / MEDIA).rglob("*") if path.is_dir())}:
        handle = os.open(folder, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
