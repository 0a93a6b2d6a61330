"""The whole journal against its chain of hashes, and against where the node says that it ends."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, select

from server.progress import Report
from server.store import journal
from server.store.tables import node
from sync.journal import BrokenChainError, Entry, Head, verify


def node_head(connection: Connection) -> Head:
    """Return where this node's own log ends."""
    row = connection.execute(select(node.c.origin, node.c.epoch, node.c.seq, node.c.hash, node.c.stamp)).one()
    return Head(row.origin, row.epoch, row.seq, bytes(row.hash), row.stamp)


def verify_journal(connection: Connection, report: Report) -> None:
    """Check every entry. Raises BrokenChainError at the first that is missing, altered or out of place."""
    end, entries = node_head(connection), journal.head_position(connection)
    advance = report("checking the journal", entries)
    ends: dict[tuple[str, str], Head] = {}
    positions = 0

    def seen() -> Iterator[Entry]:
        nonlocal positions
        for entry in journal.iter_entries(connection):
            log = (entry.origin, entry.epoch)
            ends[log] = Head(*log, entry.seq, entry.hash, entry.stamp)
            positions += 1
            yield entry
            advance(1)

    verify(seen())
    last = ends.get((end.origin, end.epoch), Head(end.origin, end.epoch))
    if positions != entries or (last.seq, last.hash) != (end.seq, end.hash):
        raise BrokenChainError(last, "is not where the node says that its log ends")
