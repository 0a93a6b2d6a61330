"""Where the files of an export go, each with its size and SHA-256: into a zip or a folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from server.disk import LOOKED_AT_BYTES, spare_for_texts

LEVEL = 1
"""A third of the time of zlib's default, for a quarter more bytes."""


@dataclass(frozen=True, slots=True)
class Written:
    """A finished file. size: in bytes."""

    name: str
    size: int
    sha256: str


class Writable(Protocol):
    """Takes bytes."""

    def write(self, chunk: bytes, /) -> int:
        """Write all of it."""


class Output:
    """A file being written, which cannot be read or sought in. sparing: a folder on a disk that it must not fill up."""

    closed = False

    def __init__(self, file: Writable, sparing: Path | None = None) -> None:
        self._file = file
        self._sparing = sparing
        self._looked_at = 0
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, chunk: bytes) -> int:
        """Write all of it. Raises OSError when the disk is full, or its rest is kept for texts."""
        if self._sparing and self._size >= self._looked_at:
            spare_for_texts([self._sparing])
            self._looked_at += LOOKED_AT_BYTES
        self._hash.update(chunk)
        self._size += len(chunk)
        self._file.write(chunk)
        return len(chunk)

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._size

    def flush(self) -> None:
        """Nothing waits here."""

    def written(self, name: str) -> Written:
        """Return what became of it."""
        return Written(name, self._size, self._hash.hexdigest())


class Sink(Protocol):
    """Takes files one after the other. files: those that are finished."""

    files: list[Written]

    def open(self, name: str, *, is_packed: bool = False) -> AbstractContextManager[Output]:
        """Open a file for as long as the block lasts. is_packed: to compress it again would gain nothing."""


class FolderSink:
    """Files in a folder, on disk when the block ends."""

    def __init__(self, folder: Path) -> None:
        self.files: list[Written] = []
        self._folder = folder

    @contextmanager
    def open(self, name: str, *, is_packed: bool = False) -> Iterator[Output]:  # noqa: ARG002
        """Open a file for as long as the block lasts."""
        with (self._folder / name).open("wb") as file:
            output = Output(file)
            yield output
            file.flush()
            os.fsync(file.fileno())
        self.files.append(output.written(name))


class ZipSink:
    """Entries of a zip that are the same on every machine and every day."""

    def __init__(self, archive: ZipFile) -> None:
        self.files: list[Written] = []
        self._archive = archive

    @contextmanager
    def open(self, name: str, *, is_packed: bool = False) -> Iterator[Output]:
        """Open an entry for as long as the block lasts."""
        entry = ZipInfo(name, (1980, 1, 1, 0, 0, 0))
        entry.compress_type = ZIP_STORED if is_packed else ZIP_DEFLATED
        entry._compresslevel = LEVEL  # type: ignore[attr-defined]  # noqa: SLF001  (public from Python 3.13)
        entry.create_system = 3
        entry.external_attr = 0o600 << 16
        with self._archive.open(entry, "w", force_zip64=True) as file:
            output = Output(file)
            yield output
        self.files.append(output.written(name))
