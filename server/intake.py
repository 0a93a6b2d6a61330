"""The corridor behind every door: what arrived becomes journal entries, committed and fsynced before the answer.

Doors (OpenRosa, REST, later the relay) make an `Arrival`; a `Writer` commits whatever waits in one transaction.
Reading answers, joining revisions and everything else happens later, in `server.projection`.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum

from sqlalchemy import Connection, Engine

from server.receiving import Arrival, facts_of
from server.store import dropping, form_states, journal
from server.store.blobs import Blobs
from server.store.engine import writing
from server.store.troubles import Trouble, is_passing
from sync.journal import Fact

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


def record(engine: Engine, arrivals: Sequence[Arrival], blobs: Blobs | None = None) -> list[Outcome]:
    """Commit the arrivals in one transaction; durable when this returns. What is new of a closed form waits.

    blobs: where their files were put; None when they bring none that is new. Raises BlobGoneError. Tried again for
    RETRY_S when the trouble passes, also when nobody knows whether the commit took place: then all are repeats.
    """
    ends, pause_s = time.monotonic() + RETRY_S, 0.05
    while True:
        try:
            return _record_once(engine, arrivals, blobs)
        except Exception as error:
            if not is_passing(error) or time.monotonic() > ends:
                raise
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, PAUSE_S_MAX)


def _record_once(engine: Engine, arrivals: Sequence[Arrival], blobs: Blobs | None) -> list[Outcome]:
    arrivals = list(arrivals)
    facts = [facts_of(arrival) for arrival in arrivals]
    with writing(engine) as connection:
        journal.lock(connection)  # from here on nobody closes or opens a form, or deletes a blob
        for index in _of_closed_forms(connection, arrivals, facts):
            arrivals[index] = replace(arrivals[index], reason=CLOSED)
            facts[index] = facts_of(arrivals[index])
        if blobs:
            files = {file.sha256 for arrival in arrivals for file in arrival.files}
            if not all(map(blobs.has, dropping.list_dropped_blobs(connection, files))):
                raise BlobGoneError
        places = journal.append(connection, [fact for some in facts for fact in some])
    outcomes: list[Outcome] = []
    start = 0
    for arrival, some in zip(arrivals, facts, strict=True):
        new = any(place is not None for place in places[start : start + len(some)])
        start += len(some)
        outcomes.append(outcome_of(arrival, is_new=new))
    return outcomes


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
        self._waiting: queue.SimpleQueue[tuple[Arrival, object] | None] = queue.SimpleQueue()
        self._queue_max = queue_max
        self._bytes = 0
        self._trouble = Trouble(log, "arrivals cannot be committed")
        self._began_s: float | None = None
        self.commit_s = 0.0
        self._thread = threading.Thread(target=self._run, name="writer")
        self._thread.start()

    def submit(self, arrival: Arrival, ticket: object) -> None:
        """Queue an arrival. Raises QueueFullError."""
        if self._bytes > QUEUED_BYTES_MAX or self._waiting.qsize() >= self._queue_max:
            raise QueueFullError
        self._waiting.put((arrival, ticket))
        self._bytes += len(arrival.xml)  # only a bound: two threads may lose a count, a commit sets it right

    @property
    def waiting(self) -> int:
        """How many arrivals wait."""
        return self._waiting.qsize()

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
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch = [first]
            stop = False
            while len(batch) < BATCH_MAX and not stop and not self._waiting.empty():
                following = self._waiting.get_nowait()
                if following is None:
                    stop = True
                else:
                    batch.append(following)
            self._commit(batch)
            if stop:
                return

    def _commit(self, batch: list[tuple[Arrival, object]]) -> None:
        self._began_s = began_s = time.monotonic()
        outcomes = self._record([arrival for arrival, _ in batch])
        self._began_s, self.commit_s = None, time.monotonic() - began_s
        if self._waiting.empty():
            self._bytes = 0
        else:
            self._bytes -= sum(len(arrival.xml) for arrival, _ in batch)
        self._deliver([(ticket, outcome) for (_, ticket), outcome in zip(batch, outcomes, strict=True)])

    def _record(self, arrivals: Sequence[Arrival]) -> Sequence[Outcome | Exception]:
        """Commit together or, where that fails, each by itself: a disk too full for one may take the others.

        Whatever failed is not acknowledged, and the writer lives on.
        """
        try:
            return record(self._engine, arrivals, self._blobs)
        except Exception as error:  # noqa: BLE001
            self._trouble.say(error)
            if len(arrivals) == 1 or is_passing(error):
                return [error] * len(arrivals)
            return [outcome for arrival in arrivals for outcome in self._record([arrival])]


def _of_closed_forms(
    connection: Connection, arrivals: Sequence[Arrival], facts: Sequence[Sequence[Fact]]
) -> list[int]:
    """Return which arrivals are of a closed form; what repeats a stored record, or brings files for it, is not."""
    closed = form_states.list_closed(connection)
    keys = {
        index: some[0].key
        for index, (arrival, some) in enumerate(zip(arrivals, facts, strict=True))
        if (arrival.project_id, arrival.header.form_id) in closed and not arrival.reason
    }
    stored = journal.list_known(connection, [key for key in keys.values() if key])
    return [index for index, key in keys.items() if key not in stored]
