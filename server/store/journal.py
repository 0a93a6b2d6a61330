"""The journal as a table: appending under the node's lock, reading behind a cursor."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any

from sqlalchemy import Connection, Row, Select, select, update
from zstandard import ZstdError

from server.store import bodies
from server.store.dialect import insert_ignore
from server.store.identity import StoreMovedError
from server.store.tables import cursor as cursors
from server.store.tables import journal, node
from sync.clock import tick
from sync.journal import Entry, Fact, Hashed, Head, Kind, hashed, seal_hashed

KEYS_PER_QUERY = 500
BRANCH = "~"
"""Between an epoch and the name of its branch in the column `epoch`."""
ROWS_AT_ONCE = 64

# The hot path speaks to the driver: for a single arrival SQLAlchemy's statements cost more than theirs.
_COLUMNS = {
    "position": "int8",
    "origin": "text",
    "epoch": "text",
    "seq": "int8",
    "hash": "bytea",
    "stamp": "int8",
    "kind": "text",
    "project_id": "int4",
    "key": "bytea",
    "payload_hash": "bytea",
    "detail": "bytea",
    "codec": "int8",
    "size": "int8",
    "body": "bytea",
    "previous": "bytea",
}


@dataclass(frozen=True, slots=True)
class Record:
    """A journal entry as readers behind a cursor meet it. origin: the node it came in at. detail is b"" once erased."""

    position: int
    origin: str
    stamp: int
    kind: Kind
    project_id: int
    detail: bytes
    body: bytes


def lock(connection: Connection) -> None:
    """Wait for whoever appends; nobody else does until this transaction ends. Raises StoreMovedError."""
    _Driver(connection).lock()


def append(
    connection: Connection, facts: Sequence[Fact], stamps: Iterator[int] | None = None
) -> list[int | None]:
    """Append the facts that are new; return for each fact its position, None for an exact repeat.

    Inside the caller's transaction; durable when that commits. Appenders take turns on the node's row, which makes
    `seq` and `position` dense in any number of processes. stamps: to give instead of the clock's.
    """
    return append_hashed(connection, list(map(hashed, facts)), stamps)


def append_hashed(
    connection: Connection, facts: Sequence[Hashed], stamps: Iterator[int] | None = None
) -> list[int | None]:
    """Do what `append` does, for facts whose payload is hashed already."""
    run = _Driver(connection)
    origin, epoch, position, seq, end, stamp = run.lock()
    fresh, places = _leave_out_known(connection, facts, position)
    if not fresh:
        return places
    head = Head(origin, epoch, seq, end, stamp)
    entries = list(seal_hashed(head, fresh, stamps or _stamps(stamp)))
    run.insert(_rows(connection, position, entries))
    last = entries[-1]
    run.move_end(position + len(entries), last.seq, last.hash, last.stamp)
    return places


@dataclass(frozen=True, slots=True)
class Foreign:
    """An entry of another node, or of an epoch that is over, on its way into the journal.

    epoch: as the journal has it, with the branch. follows: whether the one before it in its log is the one of this log
    that was added last.
    """

    entry: Entry
    epoch: str
    follows: bool


def take_in(connection: Connection, entries: Sequence[Foreign]) -> None:
    """Add entries as they are. Where this node's own log ends does not move, nor does its clock."""
    run = _Driver(connection)
    _, _, position, seq, end, stamp = run.lock()
    rows = [
        (*row[:2], one.epoch, *row[3:-1], None if one.follows else one.entry.previous)
        for one, row in zip(entries, _rows(connection, position, [one.entry for one in entries]), strict=True)
    ]
    run.insert(rows)
    run.move_end(position + len(rows), seq, end, stamp)


def _rows(connection: Connection, position: int, entries: Sequence[Entry]) -> list[tuple[object, ...]]:
    """Return the rows of entries behind `position`, each following the one before it in its log."""
    facts = [entry.fact for entry in entries]
    packed = bodies.pack(connection, [(fact.project_id, fact.form_id, fact.body) for fact in facts])
    return [
        (
            place,
            entry.origin,
            entry.epoch,
            entry.seq,
            entry.hash,
            entry.stamp,
            fact.kind.value,
            fact.project_id,
            fact.key,
            entry.payload_hash,
            fact.detail or None,
            codec,
            len(fact.body),
            body if fact.detail else None,
            None,
        )
        for place, (entry, fact, (codec, body)) in enumerate(
            zip(entries, facts, packed, strict=True), position + 1
        )
    ]


class _Driver:
    """The driver's own cursor inside a transaction of SQLAlchemy's."""

    def __init__(self, connection: Connection) -> None:
        self._cursor = connection.connection.cursor()
        self._is_postgresql = connection.dialect.name == "postgresql"

    def lock(self) -> tuple[str, str, int, int, bytes, int]:
        """Wait for whoever appends, and return where the log ends: origin, epoch, position, seq, hash, stamp.

        Raises StoreMovedError.
        """
        self._cursor.execute(_LOCK + " FOR UPDATE" if self._is_postgresql else _LOCK)
        origin, epoch, position, seq, end, stamp, moved_to = self._cursor.fetchone()  # type: ignore[misc]
        if moved_to:
            raise StoreMovedError(moved_to)
        return origin, epoch, position, seq, bytes(end), stamp

    def known(self, keys: Sequence[bytes]) -> set[bytes]:
        """Return those of these keys that are there."""
        if self._is_postgresql:
            self._cursor.execute(f"{_KNOWN} = ANY(%b::bytea[])", [keys])
        else:
            self._cursor.execute(f"{_KNOWN} IN ({', '.join('?' * len(keys))})", keys)
        return {bytes(key) for (key,) in self._cursor.fetchall()}

    def insert(self, rows: Sequence[Sequence[object]]) -> None:
        """Add entries, many by one statement.

        PostgreSQL takes one row of arrays in a third of the time; SQLite lets other threads in at each statement, who
        may take long to give Python back.
        """
        if self._is_postgresql:
            self._cursor.execute(_INSERT_ARRAYS, [list(column) for column in zip(*rows, strict=True)])
            return
        start = 0
        while start < len(rows):
            some = rows[start : start + ROWS_AT_ONCE]
            self._cursor.execute(_insert(len(some)), [value for row in some for value in row])
            start += len(some)

    def move_end(self, position: int, seq: int, end: bytes, stamp: int) -> None:
        """Say where the log ends now."""
        self._cursor.execute(
            _MOVE_END.replace("?", "%s") if self._is_postgresql else _MOVE_END, (position, seq, end, stamp)
        )


_LOCK = "SELECT origin, epoch, position, seq, hash, stamp, moved_to FROM node"
_KNOWN = "SELECT key FROM journal WHERE key"
_MOVE_END = "UPDATE node SET position = ?, seq = ?, hash = ?, stamp = ?"
_INTO = f"INSERT INTO journal ({', '.join(_COLUMNS)})"
_ROW = f"({', '.join('?' * len(_COLUMNS))})"
_INSERT_ARRAYS = f"{_INTO} SELECT * FROM unnest({', '.join(f'%b::{kind}[]' for kind in _COLUMNS.values())})"  # noqa: S608


@cache
def _insert(rows: int) -> str:
    return f"{_INTO} VALUES {', '.join([_ROW] * rows)}"


_POSITION, _ORIGIN = select(node.c.position), select(node.c.origin)


def head_position(connection: Connection) -> int:
    """Return the position of the newest entry, 0 when there is none."""
    return int(connection.execute(_POSITION).scalar_one())


def chain_hash(connection: Connection, position: int) -> bytes:
    """Return the chain hash of the entry at this position. Raises NoResultFound when there is none."""
    return bytes(
        connection.execute(select(journal.c.hash).where(journal.c.position == position)).scalar_one()
    )


def origin(connection: Connection) -> str:
    """Return this node's identity."""
    return str(connection.execute(_ORIGIN).scalar_one())


def read_after(
    connection: Connection, position: int, limit: int, bytes_max: int | None = None
) -> list[Record]:
    """Return up to `limit` entries after `position`, in order; at least one, then those within `bytes_max`."""
    if bytes_max is not None:
        limit = _within(connection, position, limit, bytes_max)
    return _records(connection, _RECORD.where(journal.c.position > position).limit(limit))


def read_entries(connection: Connection, positions: Sequence[int]) -> dict[int, Record]:
    """Return the entries at these few positions, by position."""
    found = _records(connection, _RECORD.where(journal.c.position.in_(positions)))
    return {record.position: record for record in found}


def _records(connection: Connection, query: Select[Any]) -> list[Record]:
    unpack = bodies.unpacker(connection)
    return [
        Record(
            row.position,
            row.origin,
            row.stamp,
            Kind(row.kind),
            row.project_id,
            row.detail or b"",
            unpack(row.codec, row.body),
        )
        for row in connection.execute(query).all()
    ]


_RECORD = select(
    journal.c.position,
    journal.c.origin,
    journal.c.stamp,
    journal.c.kind,
    journal.c.project_id,
    journal.c.detail,
    journal.c.codec,
    journal.c.body,
).order_by(journal.c.position)


def _within(connection: Connection, position: int, limit: int, bytes_max: int) -> int:
    """How many of the next entries have bodies of at most `bytes_max` together; at least one."""
    sizes: Iterable[int] = connection.execute(
        select(journal.c.size).where(journal.c.position > position).order_by(journal.c.position).limit(limit)
    ).scalars()
    return max(1, sum(total <= bytes_max for total in accumulate(sizes)))


def read_bodies(connection: Connection, positions: Iterable[int]) -> dict[int, bytes]:
    """Return the bodies at these positions, by position; b"" where erased."""
    found: dict[int, bytes] = {}
    wanted, unpack = list(positions), bodies.unpacker(connection)
    for start in range(0, len(wanted), KEYS_PER_QUERY):
        some = wanted[start : start + KEYS_PER_QUERY]
        rows = connection.execute(
            select(journal.c.position, journal.c.codec, journal.c.body).where(journal.c.position.in_(some))
        ).all()
        found.update({row.position: unpack(row.codec, row.body) for row in rows})
    return found


def read_entry(connection: Connection, position: int) -> Record:
    """Return the entry at this position. Raises LookupError when there is none."""
    records = read_after(connection, position - 1, 1)
    if not records or records[0].position != position:
        raise LookupError(f"no journal entry at position {position}")
    return records[0]


def read_by_key(connection: Connection, key: bytes) -> Record:
    """Return the entry of a fact. Raises LookupError when there is none."""
    place = connection.execute(select(journal.c.position).where(journal.c.key == key)).scalar()
    if place is None:
        raise LookupError("no journal entry with this key")
    return read_entry(connection, place)


def entry_of(connection: Connection, row: Row[Any], previous: bytes) -> Entry:
    """Return a whole row of the journal as the entry that it is. A body that cannot be read is b""."""
    try:
        body = bodies.unpack(connection, row.codec, row.body)
    except ZstdError:
        body = b""  # altered, as its hash will say
    key = None if row.key is None else bytes(row.key)
    fact = Fact(Kind(row.kind), row.project_id, key, bytes(row.detail or b""), body)
    epoch = row.epoch.partition(BRANCH)[0]
    place = (row.origin, epoch, row.seq, bytes(previous), bytes(row.hash), row.stamp)
    return Entry(*place, bytes(row.payload_hash), fact)


def list_known(connection: Connection, keys: Sequence[bytes]) -> set[bytes]:
    """Return those of these keys whose fact is in the journal."""
    run, known = _Driver(connection), set[bytes]()
    for start in range(0, len(keys), KEYS_PER_QUERY):
        some = keys[start : start + KEYS_PER_QUERY]
        known |= run.known(some)
    return known


def cursor(connection: Connection, name: str) -> int:
    """Return how far this reader has come, 0 when it never read."""
    return connection.execute(select(cursors.c.position).where(cursors.c.name == name)).scalar() or 0


def advance(connection: Connection, name: str, seen: int, position: int) -> bool:
    """Move a reader's cursor from `seen` to `position`; False when another process moved it first."""
    if seen == 0:
        insert_ignore(connection, cursors, [{"name": name, "position": 0}])
    moved = connection.execute(
        update(cursors).where(cursors.c.name == name, cursors.c.position == seen).values(position=position)
    )
    return moved.rowcount == 1


def _leave_out_known(
    connection: Connection, facts: Sequence[Hashed], position: int
) -> tuple[list[Hashed], list[int | None]]:
    known = list_known(connection, [fact.key for fact, _ in facts if fact.key is not None])
    fresh: list[Hashed] = []
    places: list[int | None] = []
    for fact, payload_hash in facts:
        if fact.key is not None and fact.key in known:
            places.append(None)
            continue
        if fact.key is not None:
            known.add(fact.key)
        fresh.append((fact, payload_hash))
        places.append(position + len(fresh))
    return fresh, places


def _stamps(last: int) -> Iterator[int]:
    while True:
        last = tick(last, time.time_ns() // 1_000_000)
        yield last
