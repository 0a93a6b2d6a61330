"""The thread that makes recodes again to what arrives: a fact of its own each time, so it is no part of the projection."""

from __future__ import annotations

import logging
import threading
import time

from server import recoding
from server.node import Node
from server.store.troubles import Trouble

LOOK_S = 1.0

log = logging.getLogger("chapar.recodes")


class Following:
    """Looks every second for records that recodes have not seen; at work for half of the time, since tablets wait."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._stopped = threading.Event()
        self._trouble = Trouble(log, "recodes are not made; trying again")
        self._thread = threading.Thread(target=self._run, name="recodes")
        self._thread.start()

    def close(self) -> None:
        """Stop after the records at hand; the rest waits in the journal."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(LOOK_S):
            try:
                began = time.monotonic()
                while recoding.follow(self._node) and not self._stopped.wait(time.monotonic() - began):
                    began = time.monotonic()
            except Exception as error:  # noqa: BLE001  (a thread that ends tells nobody)
                self._trouble.say(error)
