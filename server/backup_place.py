"""Where a backup is written: whether the place is there, and has room."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from sqlalchemy.exc import OperationalError

from server.disk import NoRoomError, spare_for_texts
from server.node import Node
from server.progress import Advance, Report

Look = Callable[[], object]
"""Called before more is written."""


def choose_target(to: Path, made_at: datetime, data: Path) -> Path:
    """Return the file to write: `to`, or a name with the time in the folder `to`.

    A name without an ending is a folder's: its disk may not be mounted. Raises FileNotFoundError, FileExistsError,
    OSError where it lies in the data directory.
    """
    target = to / f"chapar-{made_at:%Y%m%dT%H%M%SZ}.zip" if to.is_dir() else to
    folder = target.parent if target.suffix else target
    if not folder.is_dir():
        raise FileNotFoundError(
            f"There is no folder {folder}. Mount its disk, or name a folder, or a file.zip in one."
        )
    if target.resolve().is_relative_to(data.resolve()):
        raise OSError(f"A backup in {data} would be lost together with it. Use another disk.")
    if target.exists():
        raise FileExistsError(f"{target} is there already. Choose another name.")
    return target


def room_kept(node: Node, folder: Path) -> Look:
    """Return what raises NoRoomError once the rest of a disk that the node stores on is kept for texts."""
    places = [node.settings.data, *([node.blobs.folder] if node.blobs.folder else [])]
    if folder.stat().st_dev not in {place.stat().st_dev for place in places}:
        return lambda: None
    return partial(spare_for_texts, [folder])


def looking(report: Report, look: Look) -> Report:
    """Report, and look whenever there was something to report."""

    def begin(what: str, total: int) -> Advance:
        advance = report(what, total)

        def go_on(more: int) -> None:
            look()
            advance(more)

        return go_on

    return begin


@contextmanager
def room_told(folder: Path) -> Iterator[None]:
    """Tell in a sentence that there is no room in the folder, whoever noticed."""
    try:
        yield
    except NoRoomError:
        raise OSError(
            f"What is left on the disk of {folder} is kept for records. Use another disk."
        ) from None
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise OSError(
                f"The disk of {folder} takes no file this large (FAT32: 4 GB). Use another."
            ) from None
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise OSError(f"There is no room for the backup in {folder}. Use another disk.") from None
    except OperationalError as error:
        if getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_FULL:
            raise
        raise OSError(f"There is no room for the backup in {folder}. Use another disk.") from None
