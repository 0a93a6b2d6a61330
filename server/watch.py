"""The thread that looks at what fails slowly: disks that fill up, and a clock that is set.

It tells once when a mark is crossed, and again only after there was clearly more room in between.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from server import disk
from server.disk import Room
from server.store.troubles import Trouble

EVERY_S = 10.0
CALM_PERCENT = 2
"""How far below a mark the disk must fall before the mark is told again."""
CLOCK_STEP_S = 2.0

log = logging.getLogger("chapar.watch")


class Disks:
    """What was last told about each disk."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def look(self, room: Room) -> None:
        """Log a mark that is newly crossed, once."""
        told, reached = self._told.get(room.name, 0.0), room.reached_percent
        if reached > told:
            level = logging.WARNING if room.takes_media else logging.ERROR
            log.log(level, "%s. %s", room.summary(), room.advice())
        elif room.used_percent > told - CALM_PERCENT:
            reached = told
        self._told[room.name] = reached


class Clock:
    """The wall clock against one that nobody sets."""

    def __init__(self) -> None:
        self._ahead_s = time.time() - _steady_s()

    def look(self) -> float:
        """Return by how many seconds the wall clock was set since the last look; 0.0 when it ran on."""
        ahead_s = time.time() - _steady_s()
        step_s, self._ahead_s = ahead_s - self._ahead_s, ahead_s
        return step_s if abs(step_s) >= CLOCK_STEP_S else 0.0


class Watch:
    """Looks every ten seconds until closed. stepped: called when the clock was set."""

    def __init__(self, data: Path, blobs: Path | None, stepped: Callable[[], object]) -> None:
        self._folders = data, blobs
        self._stepped = stepped
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        disks, clock = Disks(), Clock()
        trouble = Trouble(log, "the data directory cannot be looked at")
        while True:
            try:
                for room in disk.measure(*self._folders):
                    disks.look(room)
            except OSError as error:
                trouble.say(error)
            if self._stopped.wait(EVERY_S):
                return
            if step_s := clock.look():
                log.warning(
                    "the system clock was set by %+.0f s. Stamps go on rising; set it by NTP or a clock module",
                    step_s,
                )
                self._stepped()


def _steady_s() -> float:
    """Seconds that also pass while the machine sleeps, where the system counts them."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
