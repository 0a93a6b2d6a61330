"""Room on the disks: how much there is, when an operator is told, and what is kept free for texts.

When a disk fills up, large files are refused first, so that the records themselves go on coming in.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

WARN_PERCENT = (70, 85, 95)
MEGABYTE = 1_000_000
RESERVE_PERCENT = 2
RESERVE_BYTES_MIN = 64 * MEGABYTE
RESERVE_BYTES_MAX = 1000 * MEGABYTE
RESERVE_PERCENT_MAX = 10
"""Of a disk so small that RESERVE_BYTES_MIN would be most of it."""
LOOKED_AT_BYTES = MEGABYTE
"""Who writes much looks at the room that is left after so many."""
TEXTS_BYTES_MIN = 16 * MEGABYTE
"""What one submission may need: twice the largest XML, for the spool, the log and the table."""


class NoRoomError(OSError):
    """What is left on a disk is kept for texts."""

    def __init__(self) -> None:
        super().__init__(errno.ENOSPC, "the rest of the disk is kept for texts")


@dataclass(frozen=True, slots=True)
class Room:
    """A file system as this account may use it. name: `data` or `blobs`."""

    name: str
    path: Path
    free_bytes: int
    total_bytes: int

    @property
    def used_percent(self) -> float:
        """How full it is, 0 to 100; what only root may write to counts as used."""
        return 100 * (1 - self.free_bytes / self.total_bytes)

    @property
    def reached_percent(self) -> float:
        """The highest mark that is reached, 0 below all: of WARN_PERCENT, and where files begin to be refused."""
        refusing = 100 * (1 - reserve_bytes(self.total_bytes) / self.total_bytes)
        return max((mark for mark in (*WARN_PERCENT, refusing) if self.used_percent >= mark), default=0.0)

    @property
    def takes_media(self) -> bool:
        """Whether more is free than is kept for texts."""
        return self.free_bytes > reserve_bytes(self.total_bytes)

    @property
    def takes_texts(self) -> bool:
        """Whether a submission without files finds room."""
        return self.free_bytes >= min(TEXTS_BYTES_MIN, reserve_bytes(self.total_bytes) // 2)

    def summary(self) -> str:
        """How full it is, in a sentence."""
        free = f"{self.free_bytes // MEGABYTE:,} MB are free"
        return f"the disk of {self.path} is {self.used_percent:.0f} % full, {free}"

    def advice(self) -> str:
        """What to do about a disk that is filling up."""
        if not self.takes_texts:
            return "Nothing more can be stored. Free some now, or move the data to a larger disk."
        if not self.takes_media:
            return "Photos and other files are refused, texts still come in. Free some now, or move the data."
        return "Free some, or plan a larger disk."


def reserve_bytes(total_bytes: int) -> int:
    """Return what is kept for texts on a disk of this size."""
    wanted = min(max(total_bytes * RESERVE_PERCENT // 100, RESERVE_BYTES_MIN), RESERVE_BYTES_MAX)
    return min(wanted, total_bytes * RESERVE_PERCENT_MAX // 100)


def measure(data: Path, blobs: Path | None = None) -> list[Room]:
    """Return the room of the data directory and, where it is another file system, of the blobs' folder.

    Raises OSError.
    """
    rooms = [_room("data", data)]
    if blobs is not None and blobs.stat().st_dev != data.stat().st_dev:
        rooms.append(_room("blobs", blobs))
    return rooms


def spare_for_texts(folders: Sequence[Path]) -> None:
    """Raise NoRoomError when one of these is on a disk whose rest is kept for texts. Takes microseconds."""
    for folder in folders:
        if not _room("", folder).takes_media:
            raise NoRoomError


def _room(name: str, path: Path) -> Room:
    found = os.statvfs(path)
    # As df counts: what only root may still write is not there for us.
    usable = found.f_blocks - found.f_bfree + found.f_bavail
    return Room(name, path, found.f_bavail * found.f_frsize, max(usable * found.f_frsize, 1))
