"""The whole journal against its chain of hashes, and against where the node says that its logs end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sqlalchemy import Connection, select

from server.progress import Report
from server.store import journal, logs, lost
from server.store.tables import journal as entries
from server.store.tables import node
from sync.journal import GENESIS, BrokenChainError, Entry, Head, verify

PAGE = 100


def node_head(connection: Connection) -> Head:
    """Return where this node's own log ends."""
    row = connection.execute(select(node.c.origin, node.c.epoch, node.c.seq, node.c.hash, node.c.stamp)).one()
    return Head(row.origin, row.epoch, row.seq, bytes(row.hash), row.stamp)


def verify_journal(connection: Connection, report: Report) -> None:
    """Check every entry. Raises BrokenChainError at the first that is missing, altered or out of place."""
    end, positions = node_head(connection), journal.head_position(connection)
    advance = report("checking the journal", positions)
    ends: dict[tuple[str, str], Head] = {}
    seen = 0

    def counted() -> Iterator[Entry]:
        nonlocal seen
        for entry in iter_entries(connection):
            ends[entry.origin, entry.epoch] = Head(entry.origin, entry.epoch, entry.seq, entry.hash)
            seen += 1
            yield entry
            advance(1)

    verify(counted(), logs.list_apart(connection))
    last = ends.get((end.origin, end.epoch), Head(end.origin, end.epoch))
    if seen != positions - lost.read_audit(connection).vanished or (last.seq, last.hash) != (
        end.seq,
        end.hash,
    ):
        raise BrokenChainError(last, "is not where the node says that its log ends")
    logs.verify_ranges(connection)


def iter_entries(connection: Connection) -> Iterator[Entry]:
    """Yield every entry in order of position, for `sync.journal.verify`; what is lost and asked for, without payload."""
    hashes: dict[tuple[str, str], bytes] = {}
    unknown = lost.list_positions(connection)
    last = 0
    while page := connection.execute(
        select(entries).where(entries.c.position > last).order_by(entries.c.position).limit(PAGE)
    ).all():
        for row in page:
            entry = journal.entry_of(
                connection, row, row.previous or hashes.get((row.origin, row.epoch), GENESIS)
            )
            if row.position in unknown:
                entry = replace(entry, fact=replace(entry.fact, detail=b"", body=b""))
            yield entry
            hashes[row.origin, row.epoch] = entry.hash
            last = row.position
