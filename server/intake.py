"""The corridor behind every door: what arrived becomes journal entries, committed and fsynced before the answer.

Doors (OpenRosa, REST, later the relay) make an `Arrival`; a `Writer` commits whatever waits in one transaction.
Reading answers, joining revisions and everything else happens later, in `server.projection`.
"""

from __future__ import annotations

import hashlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum

import orjson
from sqlalchemy import Connection, Engine

from forms import instance
from forms.errors import InstanceError
from forms.header import Header, read_header
from server.store import dropping, form_states, journal
from server.store.blobs import Blobs
from server.store.engine import writing
from server.store.troubles import Trouble, is_passing
from sync.journal import Fact, Kind

CLOSED = "The form is closed. Open it, and the record is taken up."
BATCH_MAX = 256
QUEUED_BYTES_MAX = 64_000_000
RETRY_S = 10.0
"""How long what passes by itself (a database that restarts, a deadlock) is waited for; Collect waits a minute."""
PAUSE_S_MAX = 1.0
COMMIT_S_MAX = 60.0

log = logging.getLogger("chapar.intake")


@dataclass(frozen=True, slots=True)
class Sender:
    """Who brought it: the account (None when none is known), its name, the tablet, and the door."""

    submitter_id: int | None
    submitter_name: str
    device_id: str
    door: str


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that came along and is already durable among the blobs."""

    name: str
    sha256: str
    size: int
    content_type: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request's worth of a submission. reason: why it goes to quarantine, "" when it does not.

    xml: exactly as received; empty when it was too large and lies among the blobs as `oversize`.
    released_from: the position of the quarantine entry that this arrival takes up again.
    """

    project_id: int
    header: Header
    xml: bytes
    files: tuple[StoredFile, ...]
    sender: Sender
    received_at: datetime
    reason: str = ""
    oversize: StoredFile | None = None
    released_from: int | None = None


class Outcome(Enum):
    """What became of an arrival."""

    STORED = "stored"
    REPEAT = "repeat"
    QUARANTINED = "quarantined"


class QueueFullError(Exception):
    """More arrivals wait than may; the client should come again in a few seconds."""


Deliver = Callable[[Sequence[tuple[object, Outcome | Exception]]], None]


def examine(
    project_id: int,
    xml: bytes,
    files: Sequence[StoredFile],
    sender: Sender,
    is_known: Callable[[int, str], bool],
    form_id: str | None = None,
) -> Arrival:
    """Return the arrival for these bytes: for the journal, or for quarantine with the reason.

    is_known: whether a form of that project was ever published. form_id: the only form this door takes, or None.
    """
    received_at = datetime.now(UTC)
    try:
        header = read_header(xml)
    except InstanceError as error:
        return Arrival(
            project_id, Header("", "", None), xml, tuple(files), sender, received_at, reason=str(error)
        )
    reason = ""
    if not is_known(project_id, header.form_id):
        reason = "No form with this ID was ever published here. Publish it, and the record is taken up."
    elif form_id is not None and header.form_id != form_id:
        reason = "The XML names another form than the address it was sent to."
    if header.instance_id is None:
        header = Header(
            header.form_id,
            header.version,
            instance.stable_instance_id(xml),
            header.deprecated_id,
            header.encrypted,
        )
    return Arrival(project_id, header, xml, tuple(files), sender, received_at, reason)


def oversize(project_id: int, whole: StoredFile, files: Sequence[StoredFile], sender: Sender) -> Arrival:
    """Return the arrival for an instance too large to read, already among the blobs as `whole`."""
    reason = f"The XML has {whole.size} bytes, more than this server reads."
    header = Header("", "", None)
    return Arrival(project_id, header, b"", tuple(files), sender, datetime.now(UTC), reason, oversize=whole)


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


def facts_of(arrival: Arrival) -> list[Fact]:
    """Return the facts that an arrival is: the record first, then each file."""
    digest = arrival.oversize.sha256 if arrival.oversize else hashlib.sha256(arrival.xml).hexdigest()
    header = arrival.header
    place = (str(arrival.project_id), header.form_id, header.instance_id or "", digest)
    common = {
        "form_id": header.form_id,
        "instance_id": header.instance_id,
        "digest": digest,
        "submitter_id": arrival.sender.submitter_id,
        "submitter_name": arrival.sender.submitter_name,
        "device_id": arrival.sender.device_id,
        "door": arrival.sender.door,
        "received_at": arrival.received_at.isoformat(timespec="milliseconds"),
    }
    if arrival.reason:
        detail = common | {
            "version": header.version,
            "reason": arrival.reason,
            "oversize": arrival.oversize and _file(arrival.oversize),
            "files": [_file(file) for file in arrival.files],
        }
        key = _key(Kind.QUARANTINE, *place, *(f"{file.name}:{file.sha256}" for file in arrival.files))
        return [Fact(Kind.QUARANTINE, arrival.project_id, key, orjson.dumps(detail), arrival.xml)]
    submission = common | {"version": header.version, "deprecated_id": header.deprecated_id}
    if arrival.released_from is not None:
        submission["released_from"] = arrival.released_from
    return [
        Fact(
            Kind.SUBMISSION,
            arrival.project_id,
            _key(Kind.SUBMISSION, *place),
            orjson.dumps(submission),
            arrival.xml,
            header.form_id,
        ),
        *(
            Fact(
                Kind.ATTACHMENT,
                arrival.project_id,
                _key(Kind.ATTACHMENT, *place, file.name, file.sha256),
                orjson.dumps(common | _file(file)),
            )
            for file in arrival.files
        ),
    ]


def _file(file: StoredFile) -> dict[str, str | int]:
    return {
        "name": file.name,
        "sha256": file.sha256,
        "size": file.size,
        "content_type": file.content_type,
    }


def _key(*parts: str) -> bytes:
    """32 bytes that are equal for equal parts; no part can run into the next."""
    return hashlib.sha256(orjson.dumps(parts)).digest()
