"""Entries whose payload is not here as it was sealed, and the audits that find them; both wait to be mended by a peer."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from server.store import bodies
from server.store.dialect import insert_ignore
from server.store.journal import BRANCH, head_position
from server.store.submissions import chunks
from server.store.tables import audit, journal, lost
from sync.journal import Entry, Fact
from sync.logs import Log

NEVER = {
    "read_ms": 0,
    "compared_ms": 0,
    "entries": 0,
    "damaged": 0,
    "differing": 0,
    "vanished": 0,
    "mended": 0,
}

Asked = tuple[str, str, int, str]
"""origin, epoch, seq, and the first 16 hex digits of the hash: which branch of a fork."""
HASH_CHARS = 16


@dataclass(frozen=True, slots=True)
class Audit:
    """As the table `audit` has it."""

    read_ms: int
    compared_ms: int
    entries: int
    damaged: int
    differing: int
    vanished: int
    mended: int


def name_of(entry: Entry) -> Asked:
    """Return what an entry is asked for by."""
    return entry.origin, entry.epoch, entry.seq, entry.hash.hex()[:HASH_CHARS]


def note(connection: Connection, positions: Collection[int]) -> int:
    """Keep that the payloads of these entries are lost; return of how many it was not known."""
    known = _known(connection, positions)
    now_ms = time.time_ns() // 1_000_000
    rows = [{"position": one, "noticed_ms": now_ms} for one in sorted(set(positions) - known)]
    insert_ignore(connection, lost, rows)
    return len(rows)


def count(connection: Connection) -> int:
    """Return how many payloads are lost."""
    return int(connection.execute(select(func.count()).select_from(lost)).scalar_one())


def list_positions(connection: Connection) -> set[int]:
    """Return the positions of the entries whose payloads are lost."""
    return set(connection.execute(select(lost.c.position)).scalars())


def list_asked(connection: Connection, limit: int) -> list[Asked]:
    """Return up to `limit` entries whose payloads are lost, for a peer to send again."""
    columns = (journal.c.origin, journal.c.epoch, journal.c.seq, journal.c.hash)
    joined = select(*columns).join(lost, lost.c.position == journal.c.position)
    rows = connection.execute(joined.order_by(lost.c.position).limit(limit)).all()
    return [
        (row.origin, row.epoch.partition(BRANCH)[0], row.seq, bytes(row.hash).hex()[:HASH_CHARS])
        for row in rows
    ]


def find(connection: Connection, entries: Sequence[Entry]) -> Iterator[tuple[int, Entry]]:
    """Yield those of these entries whose payloads are lost, each with its position."""
    if not connection.execute(select(lost.c.position).limit(1)).first():
        return
    by_log: dict[Log, dict[int, list[Entry]]] = {}
    for entry in entries:
        by_log.setdefault((entry.origin, entry.epoch), {}).setdefault(entry.seq, []).append(entry)
    for (origin, _), by_seq in by_log.items():
        for some in chunks(by_seq):
            query = select(journal.c.position, journal.c.seq, journal.c.hash)
            joined = query.join(lost, lost.c.position == journal.c.position)
            mine = (journal.c.origin == origin, journal.c.seq.in_(some))
            for row in connection.execute(joined.where(*mine)).all():
                for entry in by_seq[row.seq]:
                    if entry.hash == bytes(row.hash):
                        yield row.position, entry


def mend(connection: Connection, position: int, fact: Fact) -> None:
    """Put a payload back in its place."""
    [(codec, body)] = bodies.pack(connection, [(fact.project_id, fact.form_id, fact.body)])
    whole = {"detail": fact.detail, "codec": codec, "size": len(fact.body), "body": body, "key": fact.key}
    connection.execute(update(journal).where(journal.c.position == position).values(**whole))
    forget(connection, [position])
    note_audit(connection, mended=read_audit(connection).mended + 1)


def forget(connection: Connection, positions: Collection[int]) -> None:
    """Wait no more for these payloads."""
    for some in chunks(positions):
        connection.execute(delete(lost).where(lost.c.position.in_(some)))


def read_audit(connection: Connection) -> Audit:
    """Return what the audits came to so far."""
    row = connection.execute(select(*(audit.c[name] for name in NEVER))).first()
    return Audit(**(dict(row._mapping) if row else NEVER))  # noqa: SLF001


def note_wanting(connection: Connection) -> None:
    """Keep that something of a range was missing, and how many positions are empty by now."""
    here = connection.execute(select(func.count()).select_from(journal)).scalar_one()
    seen = {"differing": read_audit(connection).differing + 1, "vanished": head_position(connection) - here}
    note_audit(connection, **seen)


def note_audit(connection: Connection, **seen: Any) -> None:
    """Keep what an audit came to: columns of its row."""
    insert_ignore(connection, audit, [{"id": 1} | NEVER])
    connection.execute(update(audit).values(**seen))


def _known(connection: Connection, positions: Collection[int]) -> set[int]:
    found: set[int] = set()
    for some in chunks(positions):
        found.update(connection.execute(select(lost.c.position).where(lost.c.position.in_(some))).scalars())
    return found
