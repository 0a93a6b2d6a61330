"""The corridor behind every door: what arrived becomes journal entries, committed and fsynced before the answer.

Doors (OpenRosa, REST, later the relay) make an `Arrival`; a `Writer` commits whatever waits in one transaction.
Reading answers, joining revisions and everything else happens later, in `server.projection`.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice
from typing import Self

from sqlalchemy import Connection, Engine

from server.receiving import Arrival, facts_of
from server.store import dropping, form_states, journal
from server.store.blobs import Blobs
from server.store.engine import writing
from server.store.troubles import Trouble, is_passing
from sync import journal as journal_entries

CLOSED = "The form is closed. Open it, and the record is taken up."
BATCH_MAX = 256
QUEUED_BYTES_MAX = 64_000_000
RETRY_S = 10.0
"""How long what passes by itself (a database that restarts, a deadlock) is waited for; Collect waits a minute."""
PAUSE_S_MAX = 1.0
COMMIT_S_MAX = 60.0

log = logging.getLogger("chapar.intake")


class Outcome(Enum):
    """What became of an arrival."""

    STORED = "stored"
    REPEAT = "repeat"
    QUARANTINED = "quarantined"


class QueueFullError(Exception):
    """More arrivals wait than may; the client should come again in a few seconds."""


Deliver = Callable[[Sequence[tuple[object, Outcome | Exception]]], None]


class BlobGoneError(Exception):
    """A file was deleted, because the record it was known from was erased, while this one came in: send it again."""


@dataclass(frozen=True, slots=True)
class Hashed:
    """An arrival and the facts that it is, hashed before it waits: the writer's time is short, and everybody's."""

    arrival: Arrival
    facts: list[journal_entries.Hashed]

    @classmethod
    def of(cls, arrival: Arrival) -> Self:
        """Hash an arrival."""
        return cls(arrival, list(map(journal_entries.hashed, facts_of(arrival))))


def record(engine: Engine, arrivals: Sequence[Arrival], blobs: Blobs | None = None) -> list[Outcome]:
    """Commit the arrivals as `commit` does."""
    return commit(engine, list(map(Hashed.of, arrivals)), blobs)


def commit(engine: Engine, arrivals: Sequence[Hashed], blobs: Blobs | None = None) -> list[Outcome]:
    """Commit the arrivals in one transaction; durable when this returns. What is new of a closed form waits.

    blobs: where their files were put; None when they bring none that is new. Raises BlobGoneError. Tried again for
    RETRY_S when the trouble passes, also when nobody knows whether the commit took place: then all are repeats.
    """
    ends, pause_s = time.monotonic() + RETRY_S, 0.05
    while True:
        try:
            return _commit_once(engine, arrivals, blobs)
        except Exception as error:
            if not is_passing(error) or time.monotonic() > ends:
                raise
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, PAUSE_S_MAX)


def _commit_once(engine: Engine, arrivals: Sequence[Hashed], blobs: Blobs | None) -> list[Outcome]:
    arrivals = list(arrivals)
    with writing(engine) as connection:
        for index in _of_closed_forms(connection, arrivals):
            arrivals[index] = Hashed.of(replace(arrivals[index].arrival, reason=CLOSED))
        if blobs and (files := {file.sha256 for one in arrivals for file in one.arrival.files}):
            journal.lock(connection)  # from here on nobody deletes a blob
            if not all(map(blobs.has, dropping.list_dropped_blobs(connection, files))):
                raise BlobGoneError
        places = iter(journal.append_hashed(connection, [fact for one in arrivals for fact in one.facts]))
    given = [list(islice(places, len(one.facts))) for one in arrivals]
    return [
        outcome_of(one.arrival, is_new=any(place is not None for place in some))
        for one, some in zip(arrivals, given, strict=True)
    ]


def outcome_of(arrival: Arrival, *, is_new: bool) -> Outcome:
    """Return what became of an arrival that is durable. is_new: any of its facts was."""
    return Outcome.QUARANTINED if arrival.reason else Outcome.STORED if is_new else Outcome.REPEAT


class Writer:
    """The one thread that commits arrivals: whatever waits, up to 256, in one transaction, without a timer.

    deliver: called in the writer's thread with (ticket, outcome or error) of each arrival, once it is durable or has
    failed. commit_s: how long the last commit took.
    """

    def __init__(self, engine: Engine, blobs: Blobs, queue_max: int, deliver: Deliver) -> None:
        self._engine = engine
        self._blobs = blobs
        self._deliver = deliver
        self._waiting: deque[tuple[Hashed, object]] = deque()
        self._goes_on: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._queue_max = queue_max
        self._bytes = 0
        self._trouble = Trouble(log, "arrivals cannot be committed")
        self._began_s: float | None = None
        self.commit_s = 0.0
        self._thread = threading.Thread(target=self._run, name="writer")
        self._thread.start()

    def submit(self, arrival: Arrival, ticket: object) -> None:
        """Queue an arrival; `wake` must follow. Raises QueueFullError."""
        if self._bytes > QUEUED_BYTES_MAX or len(self._waiting) >= self._queue_max:
            raise QueueFullError
        self._waiting.append((Hashed.of(arrival), ticket))
        self._bytes += len(arrival.xml)  # only a bound: two threads may lose a count, a commit sets it right

    def wake(self) -> None:
        """Have what was queued committed."""
        self._goes_on.put(True)

    @property
    def waiting(self) -> int:
        """How many arrivals wait."""
        return len(self._waiting)

    @property
    def waiting_bytes(self) -> int:
        """How many bytes of XML wait."""
        return self._bytes

    @property
    def works(self) -> bool:
        """Whether the thread lives and is not stuck in a commit."""
        began_s = self._began_s
        return self._thread.is_alive() and (began_s is None or time.monotonic() - began_s < COMMIT_S_MAX)

    def close(self) -> None:
        """Commit what waits, then stop."""
        self._goes_on.put(False)
        self._thread.join()

    def _run(self) -> None:
        goes_on = True
        while goes_on:
            goes_on = self._goes_on.get()
            while self._waiting:
                self._commit([self._waiting.popleft() for _ in range(min(BATCH_MAX, len(self._waiting)))])

    def _commit(self, batch: Sequence[tuple[Hashed, object]]) -> None:
        self._began_s = began_s = time.monotonic()
        outcomes = self._record([arrival for arrival, _ in batch])
        self._began_s, self.commit_s = None, time.monotonic() - began_s
        if self._waiting:
            self._bytes -= sum(len(one.arrival.xml) for one, _ in batch)
        else:
            self._bytes = 0
        self._deliver([(ticket, outcome) for (_, ticket), outcome in zip(batch, outcomes, strict=True)])

    def _record(self, arrivals: Sequence[Hashed]) -> Sequence[Outcome | Exception]:
        """Commit together or, where that fails, each by itself: a disk too full for one may take the others.

        Whatever failed is not acknowledged, and the writer lives on.
        """
        try:
            return commit(self._engine, arrivals, self._blobs)
        except Exception as error:  # noqa: BLE001
            self._trouble.say(error)
            if len(arrivals) == 1 or is_passing(error):
                return [error] * len(arrivals)
            return [outcome for arrival in arrivals for outcome in self._record([arrival])]


def _of_closed_forms(connection: Connection, arrivals: Sequence[Hashed]) -> list[int]:
    """Return which arrivals are of a closed form; what repeats a stored record, or brings files for it, is not."""
    closed = form_states.list_closed(connection)
    if not closed:
        return []
    keys = {
        index: one.facts[0][0].key
        for index, one in enumerate(arrivals)
        if (one.arrival.project_id, one.arrival.header.form_id) in closed and not one.arrival.reason
    }
    stored = journal.list_known(connection, [key for key in keys.values() if key])
    return [index for index, key in keys.items() if key not in stored]
