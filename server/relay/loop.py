"""The relay of a post by itself: a thread that meets the centre when there is something to tell, and now and then."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable

from server.node import Node
from server.problems import Problem
from server.publishing import release_waiting
from server.relay import auditing, purging
from server.relay.auditing import Due
from server.relay.session import RelayError
from server.store import journal, posts
from server.store.engine import reading
from server.store.troubles import Trouble

LOOK_S = 2.0
BETWEEN_PAGES_S = 0.01
PURGE_EVERY_MS = 3_600_000
RETRY_S, RETRY_S_MAX = 5.0, 300.0

log = logging.getLogger("chapar.relay")


class Relaying:
    """Meets the centre from when this node is a post. taken: called when entries came in."""

    def __init__(self, node: Node, taken: Callable[[], object]) -> None:
        self._node = node
        self._taken = taken
        self._stopped = threading.Event()
        self._purged_ms = 0
        self._trouble = Trouble(log, "the relay")
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End soon; a meeting that is cut off goes on where it was."""
        self._stopped.set()
        self._thread.join(LOOK_S)

    def _run(self) -> None:
        failures = 0
        while not self._stopped.is_set():
            try:
                if self._is_post():
                    self._meet()
                self._purge()
                self._read_through()
                failures = 0
                self._wait()
            except (RelayError, Problem) as error:
                failures += 1
                log.log(
                    logging.WARNING if failures == 1 else logging.INFO, "the relay stands still: %s", error
                )
            except Exception as error:  # noqa: BLE001  (a thread that ends tells nobody)
                failures += 1
                self._trouble.say(error)
            if failures:
                pause_s = min(RETRY_S * 2 ** (failures - 1), RETRY_S_MAX)
                self._stopped.wait(pause_s * random.uniform(0.5, 1.5))  # noqa: S311  (posts come one after the other)

    def _meet(self) -> None:
        from server.relay.client import relay  # who is no post needs neither HTTP client nor libsodium

        met = relay(self._node, audit=self._is_due().compare)
        if met.taken or met.mended:
            self._taken()
            release_waiting(self._node)

    def _purge(self) -> None:
        now_ms = time.time_ns() // 1_000_000
        if now_ms - self._purged_ms >= PURGE_EVERY_MS:
            purging.purge(self._node, now_ms)
            self._purged_ms = now_ms

    def _read_through(self) -> None:
        """Once a day hold what is stored against its hashes, slowly."""
        if self._is_due().read:
            auditing.read_through(self._node.engine, lambda: not self._stopped.wait(BETWEEN_PAGES_S))

    def _is_due(self) -> Due:
        with reading(self._node.engine) as connection:
            return auditing.list_due(connection, time.time_ns() // 1_000_000)

    def _wait(self) -> None:
        """Until something new is here, or it is time to ask."""
        ends, seen = time.monotonic() + self._node.settings.relay_every_s, self._position()
        while time.monotonic() < ends and not self._stopped.wait(LOOK_S):
            if self._position() != seen:
                return

    def _position(self) -> int:
        with reading(self._node.engine) as connection:
            return journal.head_position(connection)

    def _is_post(self) -> bool:
        with reading(self._node.engine) as connection:
            centre = posts.find_centre(connection)
        return bool(centre and centre.url)
