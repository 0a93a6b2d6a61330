"""What a node needs of its machine: the data directory, its disk, fsync, open files, a clock."""

from __future__ import annotations

import os
import resource
import stat
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from server import disk
from server.doctor.findings import Check, Finding

FSYNC_S_MAX = 0.25
OPEN_FILES_MIN = 4096
CLOCK_BACK_S_MAX = 60
BUILT_AT = datetime(2026, 11, 1, tzinfo=UTC)
"""No clock is right that says earlier."""


def check_directory(data: Path) -> Iterator[Finding]:
    """Look at who may read and write the data directory."""
    check = Check("directory")
    yield from list(_directory(check, data)) or [check.fine(f"{data} is this account's alone")]


def check_disk(data: Path, blobs: Path | None) -> Iterator[Finding]:
    """Look at the room that is left."""
    check = Check("disk")
    for room in disk.measure(data, blobs if blobs and blobs.exists() else None):
        if not room.takes_media:
            yield check.broken(room.summary(), room.advice())
        elif room.reached_percent:
            yield check.warning(room.summary(), room.advice())
        else:
            yield check.fine(room.summary())


def check_fsync(data: Path) -> Iterator[Finding]:
    """Write and fsync a few bytes in a file that has no name."""
    check = Check("fsync")
    try:
        with tempfile.TemporaryFile(dir=data) as file:
            began_s = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            took_s = time.perf_counter() - began_s
    except OSError as error:
        yield check.broken(
            f"nothing can be written to {data}: {error.strerror}",
            "Look at the disk (`dmesg`), at the mount options, and at who owns the directory.",
        )
        return
    if took_s > FSYNC_S_MAX:
        yield check.warning(
            f"an fsync took {took_s * 1000:.0f} ms",
            "Each group of submissions waits that long. A better SD card or disk helps; no setting does, safely.",
        )
    else:
        yield check.fine(f"an fsync took {took_s * 1000:.1f} ms")


def check_open_files() -> Iterator[Finding]:
    """Look at how many files a process of this account may open."""
    check = Check("open files")
    _, granted = resource.getrlimit(resource.RLIMIT_NOFILE)
    if granted != resource.RLIM_INFINITY and granted < OPEN_FILES_MIN:
        yield check.warning(
            f"a process started here may open {granted} files",
            f"Each tablet holds one. Start the server with at least {OPEN_FILES_MIN} "
            "(LimitNOFILE= in systemd, `ulimit -Hn` in a shell).",
        )
    else:
        yield check.fine(f"{'any number' if granted == resource.RLIM_INFINITY else granted} may be opened")


def check_clock(newest: datetime | None, now: datetime) -> Iterator[Finding]:
    """Hold the system's clock against the newest stamp in the journal, which never runs backwards. No network."""
    check = Check("clock")
    mend = "Set it (`timedatectl`), and keep it by NTP or a clock module."
    if now < BUILT_AT:
        yield check.broken(f"it says {now:%Y-%m-%d}, before this software was made", mend)
    elif newest is not None and (back_s := (newest - now).total_seconds()) > CLOCK_BACK_S_MAX:
        yield check.warning(
            f"it says {now:%Y-%m-%d %H:%M} UTC, but an entry was stamped {newest:%Y-%m-%d %H:%M} UTC, "
            f"{back_s / 3600:,.1f} hours later: it was ahead then, or is behind now",
            f"{mend} Nothing is lost: until that time comes, new entries are stamped just after that one.",
        )
    else:
        yield check.fine(f"it says {now:%Y-%m-%d %H:%M} UTC, after every entry")


def _directory(check: Check, data: Path) -> Iterator[Finding]:
    found = data.stat()
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield check.warning(
            f"other accounts may look into {data}", f"It holds people's answers: chmod 700 {data}"
        )
    for path in sorted(data.glob("chapar.sqlite*")):
        if path.stat().st_uid != found.st_uid:
            yield check.broken(
                f"{path.name} belongs to another account than {data}",
                f"A command was run as root? chown it: chown --reference={data} {path}",
            )
    if not os.access(data, os.R_OK | os.W_OK | os.X_OK):
        yield check.broken(
            f"this account may not use {data}",
            f"Run as the account that owns it (user number {found.st_uid}), or chown it.",
        )
        return
    for path in (data / "blobs", data / "tmp"):
        if path.exists() and not (path.is_dir() and os.access(path, os.R_OK | os.W_OK | os.X_OK)):
            yield check.broken(
                f"this account may not write to {path}",
                f"Records with files are refused. Mount its disk writable, chown it: chown --reference={data} {path}",
            )
