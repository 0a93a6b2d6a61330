"""Bytes on their way in, before anybody knows whether they are kept."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import IO, Self

from server.disk import LOOKED_AT_BYTES, spare_for_texts

MEMORY_BYTES = 1 << 16
UPLOADS_BYTES_MAX = 32 << 20
"""Of all uploads in memory: fifty tablets may send a hundred small photos each, which wait for the last."""


class Allowance:
    """Bytes that may be held at once, whoever holds them."""

    def __init__(self, bytes_max: int) -> None:
        self._left = bytes_max
        self._lock = Lock()

    def take(self, count: int) -> bool:
        """Take so many; False when so many are not left."""
        with self._lock:
            if count > self._left:
                return False
            self._left -= count
            return True

    def give_back(self, count: int) -> None:
        """Let others take so many."""
        with self._lock:
            self._left += count


_in_memory = Allowance(UPLOADS_BYTES_MAX)


class Upload:
    """Bytes on their way in: in memory first, then hashed as they come, in a file that vanishes by itself.

    sparing: folders on disks that it must not fill up.
    """

    def __init__(self, folder: Path, sparing: Sequence[Path] = ()) -> None:
        self._folder = folder
        self._sparing = sparing
        self._looked_at = 0
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self.size = 0

    def write(self, chunk: bytes | bytearray) -> None:
        """Add bytes. Raises OSError when the disk is full, NoRoomError when the rest of it is kept for texts."""
        if self._sparing and self.size >= self._looked_at:
            spare_for_texts(self._sparing)
            self._looked_at += LOOKED_AT_BYTES
        self.size += len(chunk)
        if self._file is None:
            if self.size <= MEMORY_BYTES and _in_memory.take(len(chunk)):
                self._memory += chunk
                return
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
            self._file.write(self._memory)
            self._hash = hashlib.sha256(self._memory)
            self._forget()
        self._file.write(chunk)
        self._hash.update(chunk)

    @property
    def sha256(self) -> str:
        """The digest, as hex, of what was written."""
        done = self._hash if self._file else hashlib.sha256(self._memory)
        return done.hexdigest()

    def rewound(self) -> IO[bytes]:
        """The bytes from the start, as a file."""
        if self._file is None:
            return BytesIO(self._memory)
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Drop the bytes."""
        self._forget()
        if self._file:
            self._file.close()

    def _forget(self) -> None:
        _in_memory.give_back(len(self._memory))
        self._memory = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()
