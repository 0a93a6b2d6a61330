"""How many exports one process makes at once: each reads a whole form, and tablets must be heard meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from server.problems import Problem

RUNNING_MAX = 4
RETRY_AFTER_S = 10

_free = threading.BoundedSemaphore(RUNNING_MAX)


@contextmanager
def one_of_few() -> Iterator[None]:
    """Be one of them while the block lasts. Raises Problem 503.1 when there are enough."""
    if not _free.acquire(blocking=False):
        raise Problem(
            503.1,
            f"{RUNNING_MAX} exports are being made. Ask again when one is finished.",
            headers=(("Retry-After", str(RETRY_AFTER_S)),),
        )
    try:
        yield
    finally:
        _free.release()
