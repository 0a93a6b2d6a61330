"""An export into a folder: whole files under their names, or the files that were there before."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from sqlalchemy import Connection

from server.exports.pages import MediaFile, Scope, iter_pages, open_scope
from server.exports.rows import csv_bytes
from server.node import Node
from server.store.blobs import Blobs
from server.store.engine import reading

MEDIA = "media"


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A CSV. rows: without the header."""

    name: str
    rows: int


@dataclass(frozen=True, slots=True)
class Export:
    """What an export wrote. cut_off: position in the journal up to which it tells.

    media: how many files. media_gone: how many are known but no longer among the blobs.
    """

    files: tuple[ExportedFile, ...]
    cut_off: int
    media: int = 0
    media_gone: int = 0


def export_form(
    node: Node, project_id: int, form_id: str, out: Path, *, personal: bool = False, media: bool = False
) -> Export:
    """Write a form's submissions into `out` (made if missing), as `docs/exports.md` says.

    personal: with the fields flagged P, S or G. media: with the files that the exported fields name.
    Other files in `out` are left alone. Raises Problem 404.1, OSError.
    """
    node.catch_up()
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".export-", dir=out) as staging, reading(node.engine) as connection:
        scope = open_scope(connection, node, project_id, form_id, personal=personal)
        export = _write(connection, scope, node.blobs, Path(staging), media=media)
        _publish(Path(staging), out)
    return export


def _write(connection: Connection, scope: Scope, blobs: Blobs, folder: Path, *, media: bool) -> Export:
    names = [scope.file_name(table) for table in scope.tables]
    counts = [0] * len(names)
    written = gone = 0
    with ExitStack() as stack:
        files = [stack.enter_context((folder / name).open("wb")) for name in names]
        for file, table in zip(files, scope.tables, strict=True):
            file.write(csv_bytes([table.header]))
        for page in iter_pages(connection, scope, media=media):
            for place, rows in enumerate(page.rows):
                files[place].write(csv_bytes(rows))
                counts[place] += len(rows)
            here = _write_media(blobs, page.media, folder / MEDIA)
            written, gone = written + here, gone + len(page.media) - here
        for file in files:
            _sync(file)
    return Export(tuple(map(ExportedFile, names, counts)), scope.cut_off, written, gone)


def _write_media(blobs: Blobs, media: Iterable[MediaFile], folder: Path) -> int:
    """Copy the blobs that are still here; return how many."""
    written = 0
    for one in media:
        try:
            chunks = blobs.stream(one.sha256)
        except FileNotFoundError:
            continue
        path = folder / one.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
            _sync(file)
        written += 1
    return written


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
