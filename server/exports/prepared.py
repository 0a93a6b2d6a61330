"""Finished exports kept for a day, so that a download can go on where it was cut, and the same one is made once.

`ID.export` is the file, `ID.json` what is known of it, `ID.lock` held by whoever makes it. Processes share them.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

import orjson

KEPT_S = 86_400
FOLDER = "exports"


@dataclass(frozen=True, slots=True)
class Job:
    """An export that is made, or was. id: the same for the same bytes. name: of the file, for people.

    state: running, finished, failed. doing, done, total: how far it is. detail, code: why it failed, and the number of that
    problem. size: in bytes.
    """

    id: str
    project_id: int
    form_id: str
    personal: bool
    name: str
    state: str = "running"
    doing: str = ""
    done: int = 0
    total: int = 0
    detail: str = ""
    code: float = 0
    size: int = 0


class Prepared:
    """The exports of one node. scratch: its folder for what is not kept."""

    def __init__(self, scratch: Path) -> None:
        self._folder = scratch / FOLDER

    def find(self, job_id: str) -> Job | None:
        """Return what is known of an export; one whose maker died is unknown, to be asked for again."""
        job = self._read(job_id)
        if job and job.state == "running" and not self._is_locked(job_id):
            job = self._read(job_id)  # its maker may have finished just now
            return None if job and job.state == "running" else job
        is_gone = job is not None and job.state == "finished" and not self.file(job_id).exists()
        return None if is_gone else job

    def file(self, job_id: str) -> Path:
        """Return where the finished file is."""
        return self._path(job_id, "export")

    def new_part(self) -> Path:
        """Return an empty file to write into: made before anything is read, so that `forget` finds it."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._folder / f"{uuid4().hex}.part"
        path.touch(0o600)
        return path

    @contextmanager
    def making(self, job_id: str) -> Iterator[bool]:
        """Be the one who makes it while the block lasts; False when somebody else is."""
        with self._path(job_id, "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def tell(self, job: Job) -> None:
        """Say how it stands."""
        new = self._folder / f"{uuid4().hex}.new"
        new.write_bytes(orjson.dumps(asdict(job)))
        new.replace(self._path(job.id, "json"))

    def keep(self, job: Job, part: Path) -> None:
        """Take a finished file in. Raises FileNotFoundError when it was forgotten meanwhile."""
        part.replace(self.file(job.id))
        self.tell(job)

    def clear(self) -> None:
        """Drop what is old."""
        old = time.time() - KEPT_S
        for path in self._folder.glob("*"):
            if path.stat().st_mtime < old:
                path.unlink(missing_ok=True)

    def make_way(self) -> bool:
        """Drop every finished export, for the disk is full; False when there was none."""
        finished = list(self._folder.glob("*.export"))
        for path in finished:
            path.unlink(missing_ok=True)
        return bool(finished)

    def _path(self, job_id: str, ending: str) -> Path:
        return self._folder / f"{job_id}.{ending}"

    def _read(self, job_id: str) -> Job | None:
        try:
            return Job(**orjson.loads(self._path(job_id, "json").read_bytes()))
        except FileNotFoundError:
            return None

    def _is_locked(self, job_id: str) -> bool:
        with self.making(job_id) as is_mine:
            return not is_mine


def forget(scratch: Path) -> None:
    """Drop every prepared export, also those being made: what they hold was erased. `server.sweeping` calls it."""
    for path in (scratch / FOLDER).glob("*"):
        if path.suffix in (".export", ".part"):
            path.unlink(missing_ok=True)
