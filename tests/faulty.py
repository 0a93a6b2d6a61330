"""Hurting a running server: system calls that fail, small disks, files that nothing can be written to.

What a machine does not allow is a reason to skip.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from child import Child
from conftest import wait_for

FSYNC = "fsync,fdatasync"
SOMETIMES = "7+7"
"""In each thread every seventh; a commit that makes as many calls would fail for ever."""


def run(*command: str | Path) -> str:
    """Run a command of the system and return what it says; skip the test when it may not or cannot."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    if done.returncode:
        pytest.skip(f"{command[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


@contextmanager
def failing(child: Child, calls: str, error: str, when: str = "1+") -> Iterator[None]:
    """Have system calls of a server fail while the block lasts. when: as strace says it, which of them in each thread."""
    pid = child.process.pid
    try:
        tracer = subprocess.Popen(
            [
                *("strace", "-f", "-qq", "-o", os.devnull, "-p", str(pid), "-e", f"trace={calls}"),
                *("-e", f"inject={calls}:error={error}:when={when}"),
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    try:
        wait_for(lambda: _is_traced(pid) or tracer.poll() is not None)
        if tracer.poll() is not None and tracer.stderr:
            pytest.skip(tracer.stderr.read())
        yield
    finally:
        tracer.terminate()
        tracer.communicate()


def _is_traced(pid: int) -> bool:
    states = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status")]
    return all("TracerPid:\t0\n" not in state for state in states)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """Have a file system of this size there while the block lasts."""
    folder.mkdir(exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", folder)
    try:
        yield
    finally:
        run("umount", "-l", folder)


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """Let nothing be written below it while the block lasts, not even by root, nor through files already open.

    All but the index that SQLite maps into memory: a process that writes there is ended by the kernel.
    """
    paths = [folder, *(path for path in folder.rglob("*") if not path.name.endswith("-shm"))]
    try:
        run("chattr", "+i", *paths)
        yield
    finally:
        run("chattr", "-i", *paths)


def fill(folder: Path, left_bytes: int) -> None:
    """Leave so much of the disk free."""
    ballast = folder / "ballast"
    ballast.unlink(missing_ok=True)
    with ballast.open("wb") as file:
        for more in range(100):  # who writes there meanwhile takes some of it
            found = os.statvfs(folder)
            with suppress(OSError):
                os.posix_fallocate(
                    file.fileno(), 0, found.f_bavail * found.f_frsize - left_bytes - more * 4096
                )
                return
    raise AssertionError("the disk could not be filled")


def empty(folder: Path) -> None:
    """Give the room back."""
    (folder / "ballast").unlink()
