"""A bundle as files: what a courier may read, then messages that only the receiver opens.

A file is one line of JSON, filled up with spaces to HEADER_BYTES, then messages of the relay, each with its length before
it as 4 bytes. Every file stands for itself, and so does every message in it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

import orjson

HEADER_BYTES = 512
VERSION = 1
MESSAGE_BYTES_MAX = 64_000_000


class BundleError(Exception):
    """A file is no bundle, not for this node, or not all of it is as it was written. Never holds what it says."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a courier reads.

    sender, receiver: origins. written_at: a date. part: from 1. entries, files: in this part.
    """

    sender: str
    receiver: str
    written_at: str
    part: int = 1
    parts: int = 1
    messages: int = 0
    entries: int = 0
    files: int = 0


_PLAIN = Header("", "", "")


class BundleWriter:
    """Writes messages into a file, and into further ones beside it when one is full.

    size_max: of a file, but each has one message at least; 0 for one file. Files have their names once all are whole.
    """

    def __init__(self, path: Path, header: Header, size_max: int) -> None:
        self._path = path
        self._size_max = size_max
        self._header = header
        self._parts: list[tuple[Path, Header]] = []
        self._file: IO[bytes] | None = None

    def has_room(self, count: int) -> bool:
        """Whether a message of so many bytes goes into the present file."""
        return self._file is not None and not 0 < self._size_max < self._file.tell() + 4 + count

    def begin_part(self) -> None:
        """Go on in a new file."""
        self._end_part()
        self._header = replace(self._header, part=len(self._parts) + 1, messages=0, entries=0, files=0)
        path = self._path.with_name(f".{self._path.name}.{self._header.part}")
        path.unlink(missing_ok=True)  # left by a power cut, or a stick that was pulled out
        self._file = path.open("xb")
        path.chmod(0o600)
        self._file.write(b" " * HEADER_BYTES)

    def add(self, message: bytes, entries: int = 0, files: int = 0) -> None:
        """Add a sealed message to the present file, that brings so many entries and ends so many files."""
        assert self._file is not None, "begin_part comes first"
        self._file.write(struct.pack(">I", len(message)) + message)
        self._header = replace(
            self._header,
            messages=self._header.messages + 1,
            entries=self._header.entries + entries,
            files=self._header.files + files,
        )

    def finish(self) -> list[tuple[Path, Header]]:
        """Make all files durable; return where they are and what a courier reads of them.

        Raises FileExistsError rather than take the place of a file.
        """
        self._end_part()
        written = []
        targets = [self._target(header) for _, header in self._parts]
        for target in targets:
            refuse_existing(target)
        for (path, header), target in zip(self._parts, targets, strict=True):
            header = replace(header, parts=len(self._parts))
            with path.open("r+b") as file:
                file.write(_line(header))
                file.flush()
                os.fsync(file.fileno())
            path.replace(target)
            written.append((target, header))
        return written

    def give_up(self) -> None:
        """Leave nothing behind."""
        with suppress(OSError):  # what is still to be written has no room
            self._end_part()
        for path, _ in self._parts:
            path.unlink(missing_ok=True)

    def _end_part(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            self._parts.append((Path(file.name), self._header))
            file.close()

    def _target(self, header: Header) -> Path:
        return numbered(self._path, header.part) if len(self._parts) > 1 else self._path


def numbered(path: Path, number: int) -> Path:
    """Return the name of one of several files that were asked for under one name."""
    return path.with_name(f"{path.stem}-{number:03}{path.suffix}")


def refuse_existing(path: Path) -> None:
    """Raise FileExistsError when something has this name."""
    if path.exists():
        raise FileExistsError(f"{path} is there already. Choose another name.")


def read_header(path: Path) -> Header:
    """Return what a courier reads. Raises BundleError."""
    try:
        with path.open("rb") as file:
            line = file.read(HEADER_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from None
    try:
        said = orjson.loads(line)
        kind, version = said.pop("chapar"), said.pop("version")
        if kind != "bundle":
            raise BundleError(f"{path} is no bundle.")
        if version != VERSION:
            raise BundleError(f"{path} is a bundle of version {version}; this software reads {VERSION}.")
        header = Header(**said)
        if any(type(value) is not type(getattr(_PLAIN, name)) for name, value in asdict(header).items()):
            raise BundleError(f"{path} is no bundle.")
        return header
    except (ValueError, TypeError, KeyError, AttributeError):
        raise BundleError(f"{path} is no bundle.") from None


def iter_messages(path: Path) -> Iterator[bytes]:
    """Yield the sealed messages of a file. Raises BundleError when it is cut off or its disk fails."""
    with path.open("rb") as file:
        file.seek(HEADER_BYTES)
        while message := _read_message(path, file):
            yield message


def _read_message(path: Path, file: IO[bytes]) -> bytes:
    """Return the next message, b"" at the end. Only what the stick does wrong is told as the bundle's."""
    try:
        size = file.read(4)
        (count,) = struct.unpack(">I", size.ljust(4, b"\0"))
        message = file.read(count) if count <= MESSAGE_BYTES_MAX else b""
    except OSError as error:
        raise _unreadable(path, error) from None
    if size and (len(size) < 4 or count == 0 or len(message) < count):
        raise BundleError(f"{path} is cut off or damaged.")
    return message


def _unreadable(path: Path, error: OSError) -> BundleError:
    return BundleError(f"{path} cannot be read ({error.strerror or type(error).__name__}).")


def _line(header: Header) -> bytes:
    line = orjson.dumps({"chapar": "bundle", "version": VERSION, **asdict(header)})
    assert len(line) < HEADER_BYTES, "numbers and names of nodes have an end"
    return line.ljust(HEADER_BYTES - 1) + b"\n"
