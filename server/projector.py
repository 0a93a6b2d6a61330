"""Who brings the state up to the journal: a thread of the server and, while much waits, a process of its own.

At rest a post needs one process. Under load the thread would take the time of those who answer tablets: Python runs
one thread at a time. So as soon as much waits, a process of its own takes over, with less right to the processor than
they have. Whoever runs, a step counts only if nobody else moved the cursor meanwhile.
"""

from __future__ import annotations

import logging
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO

import orjson
from sqlalchemy import Engine

from server import garbage, logs
from server.projection import join, lag, step
from server.settings import Settings
from server.store import forms
from server.store.blobs import Blobs
from server.store.engine import checkpoint, open_engine
from server.store.troubles import Trouble

POLL_S = 0.25
GATHER_S = 0.1
"""Between small steps: one costs about the same for one entry as for a few, and who answers tablets waits for it."""
IDLE_S = 120.0
"""How long the process of its own stays when nothing waits."""
START_S = 5.0
"""How long the thread leaves everything to a process that has yet to start."""
RETRY_S = 60.0
JOIN_S = 1.0
CLOSE_S = 5.0
MANY = 64
"""So many entries waiting are work for a process of its own."""
NICENESS = 5

BEHIND = "state cannot follow the journal; trying again"

log = logging.getLogger("chapar.projection")

Step = Callable[[], int | None]


class Projector:
    """The thread that projects soon after each commit, and looks by itself for what other processes wrote.

    Beside it another joins submissions of very many revisions: that can take minutes, and nobody else waits for it.
    sweep: called after each projection, to drop what turned out to be erased.
    """

    def __init__(
        self, engine: Engine, schemas: forms.Schemas, settings: Settings, sweep: Callable[[], object]
    ) -> None:
        self._step: Step = lambda: step(engine, schemas)
        self._lag: Callable[[], int] = lambda: lag(engine)
        self._sweep = sweep
        self._checkpoint = partial(checkpoint, engine)
        self._settings = settings
        self._helper: Helper | None = None
        self._awake = threading.Event()
        self._stopped = threading.Event()
        self._trouble = Trouble(log, BEHIND)
        self._thread = threading.Thread(target=self._run, name="projector")
        self._thread.start()
        self._join: Callable[[], object] = lambda: join(engine, schemas)
        self._joiner = threading.Thread(target=self._run_joiner, name="joiner", daemon=True)
        self._joiner.start()

    def wake(self) -> None:
        """Say that there are new entries."""
        self._awake.set()

    def close(self) -> None:
        """Stop after the step at hand; what is left waits in the journal."""
        self._stopped.set()
        self._awake.set()
        self._thread.join()
        self._joiner.join(CLOSE_S)  # it has nothing half done: a join is written as one
        if self._helper is not None:
            self._helper.close()

    def _run(self) -> None:
        has_written = True
        while not self._stopped.is_set():
            is_awake = self._awake.wait(POLL_S)
            self._awake.clear()
            self._stopped.wait(GATHER_S)
            try:
                self._project()
                self._sweep()
                if has_written and not is_awake:
                    self._checkpoint()
                has_written = is_awake
            except Exception as error:  # noqa: BLE001
                self._trouble.say(error)

    def _run_joiner(self) -> None:
        """Join what waits, at work for a fifth of the time."""
        trouble = Trouble(log, BEHIND)
        pause = JOIN_S
        while not self._stopped.wait(pause):
            began = time.monotonic()
            try:
                self._join()
            except Exception as error:  # noqa: BLE001
                trouble.say(error)
            pause = max(JOIN_S, 4 * (time.monotonic() - began))

    def _project(self) -> None:
        while not self._stopped.is_set() and not self._is_left_to_helper():
            if self._step() is None:
                return
            self._stopped.wait(GATHER_S)

    def _is_left_to_helper(self) -> bool:
        if self._helper is not None and not self._helper.has_ended():
            return self._helper.takes_over()
        if self._lag() < MANY or (self._helper is not None and self._helper.has_just_failed()):
            return False
        self._helper = Helper(self._settings)
        return True


class Helper:
    """The process of its own: ends by itself when idle, and when its standard input closes."""

    def __init__(self, settings: Settings) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "server.projector"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the server
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders, self._answers = self._process.stdin, self._process.stdout
        self._is_ready = False
        self._started = time.monotonic()
        self._orders.write(orjson.dumps(settings, default=str) + b"\n")  # no argument: it may hold a password
        self._orders.flush()

    def takes_over(self) -> bool:
        """Whether it is at work, or will be in a moment."""
        if not self._is_ready and _has_come(self._answers, 0):
            self._is_ready = bool(self._answers.readline())
        return self._is_ready or time.monotonic() - self._started < START_S

    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def has_just_failed(self) -> bool:
        """Whether it ended for want of something, a short time ago."""
        return bool(self._process.returncode) and time.monotonic() - self._started < RETRY_S

    def close(self) -> None:
        """Have it end after the step at hand."""
        self._orders.close()
        self._process.wait()
        self._answers.close()


def _has_come(stream: IO[bytes], patience_s: float) -> bool:
    """Whether something can be read, or the other side is gone. select() takes no number of a file above 1,023."""
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    return bool(poll.poll(patience_s * 1000))


def main(orders: BinaryIO) -> None:
    """Project until nothing has waited for a while, or the server is gone."""
    told = orjson.loads(orders.readline())
    settings = Settings(**told | {"data": Path(told["data"])})
    logs.to_standard_error(settings.log_level, settings.log_format)
    engine = open_engine(settings.data, settings.database_url)
    schemas = forms.Schemas(Blobs(settings.data, settings.blobs))
    garbage.search_seldom()
    os.nice(NICENESS)  # not before: work piles up while it starts
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    trouble = Trouble(log, BEHIND)
    idle_since = time.monotonic()
    while time.monotonic() - idle_since < IDLE_S:
        if _has_come(orders, GATHER_S):
            break
        try:
            before = 0
            while (reached := step(engine, schemas)) is not None:
                idle_since = time.monotonic()
                if reached - before < MANY:
                    time.sleep(GATHER_S)
                before = reached
        except Exception as error:  # noqa: BLE001
            trouble.say(error)
    engine.dispose()


if __name__ == "__main__":
    main(sys.stdin.buffer)
