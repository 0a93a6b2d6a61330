"""The power goes: what the disk holds at that instant has everything acknowledged, and is whole.

The server runs on a file system in an image. It is held still, and the image is copied while nothing is being written
to it: what nobody has fsynced is in memory only, and missing from the copy.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from pathlib import Path

import pytest
from child import Child, prepare, started
from conftest import wait_for
from faulty import FSYNC, SOMETIMES, failing, run
from load import Load, check_all_there

from server.settings import Settings

SOAK_CUTS = 50
CUTS_PER_SERVER = 5
MEGABYTES = 256


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    run("mount", "-o", "loop", image, folder)
    try:
        yield folder
    finally:
        run("umount", folder)


@contextmanager
def disk(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield an empty ext4 and the image it is in."""
    image = folder / "image"
    with image.open("wb") as file:
        file.truncate(MEGABYTES << 20)
    run("mkfs.ext4", "-q", image)
    with mounted(image, folder / "disk") as mount:
        yield mount, image


def copy_at_rest(image: Path, mount: Path, copy: Path) -> None:
    """Copy an image as it is at one instant."""
    device = Path(run("findmnt", "-n", "-o", "SOURCE", mount)).name
    wait_for(lambda: _copied_between_writes(Path(f"/sys/block/{device}/stat"), image, copy), timeout_s=120)


def _copied_between_writes(stat: Path, image: Path, copy: Path) -> bool:
    before = stat.read_text()
    shutil.copyfile(image, copy)
    return before == stat.read_text() and before.split()[8] == "0"  # in flight


def processes_of(child: Child) -> list[int]:
    """The server and those it started."""
    children = Path(f"/proc/{child.process.pid}/task").glob("*/children")
    return [child.process.pid, *(int(pid) for path in children for pid in path.read_text().split())]


def power_cuts(tmp_path: Path, cuts: int) -> None:
    chance = random.Random(cuts)
    done = 0
    with disk(tmp_path) as (mount, image):
        settings = Settings(data=mount / "data")
        load = Load(prepare(settings), pause_s=0.02, insists=True)
        while done < cuts:
            with started(settings) as child, load.running(child):
                for _ in range(min(CUTS_PER_SERVER, cuts - done)):
                    cut_once(child, load, image, mount, chance)
                    done += 1
                    # A figure, not a check.
                    print(f"cut {done}: {len(load.acknowledged)} acknowledged")  # noqa: T201
                child.kill()


def cut_once(child: Child, load: Load, image: Path, mount: Path, chance: random.Random) -> None:
    """Let the power go once, sometimes while some calls to fsync fail; the server itself goes on afterwards."""
    copy = image.with_name("copy")
    known = len(load.acknowledged)
    hurting = failing(child, FSYNC, "EIO", SOMETIMES) if chance.random() < 0.3 else nullcontext()
    with hurting:
        wait_for(lambda: len(load.acknowledged) > known + 5, timeout_s=120)
        time.sleep(chance.uniform(0, 0.5))
    with held(child):
        copy_at_rest(image, mount, copy)
        acknowledged = list(load.acknowledged)
    with mounted(copy, image.with_name("restored")) as restored:
        with closing(sqlite3.connect(restored / "data" / "chapar.sqlite")) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        check_all_there(Settings(data=restored / "data"), acknowledged)


@contextmanager
def held(child: Child) -> Iterator[None]:
    with ExitStack() as stack:
        for pid in processes_of(child):
            os.kill(pid, signal.SIGSTOP)
            stack.callback(os.kill, pid, signal.SIGCONT)
        yield


def test_a_power_cut_under_load_loses_nothing_that_was_acknowledged(tmp_path):
    power_cuts(tmp_path, 1)


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("CHAPAR_SOAK"), reason="long; CHAPAR_SOAK=1 runs it")
def test_many_power_cuts_under_load_lose_nothing_that_was_acknowledged(tmp_path):
    power_cuts(tmp_path, SOAK_CUTS)
