"""Which logs are here and how far: the ranges of those of others, and where this node's own ends."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from server.store.dialect import insert_ignore
from server.store.journal import BRANCH
from server.store.submissions import chunks
from server.store.tables import fork, journal, log_range, node
from sync.journal import BrokenChainError, Entry, Head
from sync.logs import MAIN, SAID_BYTES, Chains, Have, Log, Range, points

_OWN_LOG = select(node.c.origin, node.c.epoch, node.c.seq, node.c.hash)


def own_log(connection: Connection) -> tuple[Log, Range]:
    """Return this node's present log; its range ends at 0 before the first entry."""
    row = connection.execute(_OWN_LOG).one()
    return (row.origin, row.epoch), Range(1, row.seq, bytes(row.hash))


def read_chains(connection: Connection, only: Collection[Log] | None = None) -> dict[Log, Chains]:
    """Return the ranges of every log that is here, this node's own first."""
    log, own = own_log(connection)
    found: dict[Log, Chains] = {}
    if own.last and (only is None or log in only):
        found[log] = Chains({MAIN: [own]})
    query = select(log_range).order_by(*log_range.primary_key.columns)
    if only is not None:
        query = query.where(log_range.c.origin.in_({origin for origin, _ in only}))
    for row in connection.execute(query):
        chains = found.setdefault((row.origin, row.epoch), Chains())
        chains.ranges.setdefault(row.branch, []).append(Range(row.first, row.last, bytes(row.hash)))
    return found


def read_have(connection: Connection, doubted: Collection[Log] = (), heard: Have | None = None) -> Have:
    """Return what this node says that it holds. doubted: logs of which a peer has another chain; of these more.

    heard: what that peer says; where a range of it ends, it may be a chain of ours that it has.
    """
    forked = {(row.origin, row.epoch) for row in connection.execute(select(fork.c.origin, fork.c.epoch))}
    said: dict[Log, list[Range]] = {}
    for log, chains in read_chains(connection).items():
        ways = [Chain(connection, log, branch, chains) for branch in chains.branches]
        whole = [(way, way.with_main(one)) for way in ways for one in chains.ranges.get(way.branch, ())]
        if log in doubted or log in forked:
            ends = {one.last for one in (heard or {}).get(log, ())}
            ranges = [point for way, one in whole for point in points(one, way.hash_at, ends)]
        else:
            ranges = [one for _, one in whole]
        said[log] = [Range(one.first, one.last, one.hash[:SAID_BYTES]) for one in ranges]
    return said


class Chain:
    """One chain of a log as it is stored: a branch, and below its first entry the main one."""

    def __init__(self, connection: Connection, log: Log, branch: str, chains: Chains) -> None:
        self._connection = connection
        self._log = log
        self.branch = branch
        self._chains = chains
        self._starts = min((one.first for one in chains.ranges.get(branch, ())), default=0) if branch else 0

    def hash_at(self, seq: int) -> bytes | None:
        """Return the hash of the entry with this seq, None where it is not known."""
        branch = self.branch if seq >= self._starts else MAIN
        if (known := self._chains.hash_at(branch, seq)) is not None:
            return known
        near = self._rows(branch, seq)
        if seq in near:
            return bytes(near[seq].hash)
        return bytes(near[seq + 1].previous) if seq + 1 in near and near[seq + 1].previous else None

    def with_main(self, one: Range) -> Range:
        """Return a range of this branch together with the one of the main branch that it goes on from."""
        near = self._rows(self.branch, one.first - 1) if self.branch else {}
        before = near[one.first].previous if one.first in near else None
        if before is None or self.hash_at(one.first - 1) != bytes(before):
            return one
        mains = self._chains.ranges.get(MAIN, ())
        first = min(
            (main.first for main in mains if main.first < one.first <= main.last + 1), default=one.first
        )
        return Range(first, one.last, one.hash)

    def _rows(self, branch: str, seq: int) -> dict[int, Any]:
        """What is stored of the entry with this seq and the next."""
        return {
            row.seq: row
            for row in self._connection.execute(
                select(journal.c.seq, journal.c.hash, journal.c.previous).where(
                    *of_log(self._log, branch), journal.c.seq.in_([seq, seq + 1])
                )
            )
        }


def load_window(connection: Connection, log: Log, chains: Chains, seqs: Iterable[int]) -> None:
    """Add what is stored of these entries, on any branch, to the chains of their log."""
    epochs = {stored_epoch(log, branch): branch for branch in chains.branches}
    columns = (journal.c.epoch, journal.c.seq, journal.c.hash, journal.c.previous)
    for some in chunks(seqs):
        is_dense = some[-1] - some[0] < 2 * len(some)  # most messages are; to bind many numbers takes long
        near = journal.c.seq.between(some[0], some[-1]) if is_dense else journal.c.seq.in_(some)
        mine = (journal.c.origin == log[0], journal.c.epoch.in_(epochs), near)
        for row in connection.execute(select(*columns).where(*mine)):
            branch = epochs[row.epoch]
            chains.here.setdefault(branch, {})[row.seq] = bytes(row.hash)
            if row.previous:
                chains.before.setdefault(branch, {})[row.seq] = bytes(row.previous)


def write_ranges(connection: Connection, log: Log, chains: Chains) -> None:
    """Keep the ranges of a log instead of what was known of it."""
    names = dict(zip(("origin", "epoch"), log, strict=True))
    connection.execute(delete(log_range).where(*(log_range.c[name] == text for name, text in names.items())))
    rows = [
        names | {"branch": branch, "first": one.first, "last": one.last, "hash": one.hash}
        for branch, ranges in chains.ranges.items()
        for one in ranges
    ]
    if rows:
        connection.execute(insert(log_range), rows)


def tear(connection: Connection, log: Log, branch: str, entry: Entry) -> None:
    """Have the entry after this one name it: this one was lost, and is added anew elsewhere."""
    after = (*of_log(log, branch), journal.c.seq == entry.seq + 1)
    connection.execute(update(journal).where(*after).values(previous=entry.hash))


def note_fork(connection: Connection, log: Log, branch: str, seq: int, stamp: int) -> bool:
    """Keep that two entries of one name were seen, or (MAIN) that a peer told of it; False when it is known."""
    mine = (fork.c.origin == log[0], fork.c.epoch == log[1])
    known = set(connection.execute(select(fork.c.branch).where(*mine)).scalars())
    if branch in known or (known and branch == MAIN):
        return False
    connection.execute(delete(fork).where(*mine, fork.c.branch == MAIN))
    row = {"origin": log[0], "epoch": log[1], "branch": branch, "seq": seq, "stamp": stamp}
    insert_ignore(connection, fork, [row])
    return True


def of_log(log: Log, branch: str) -> tuple[ColumnElement[bool], ...]:
    """Return what selects the entries of one branch in the journal."""
    return (journal.c.origin == log[0], journal.c.epoch == stored_epoch(log, branch))


def stored_epoch(log: Log, branch: str) -> str:
    """Return what the journal has in its column `epoch`."""
    return f"{log[1]}{BRANCH}{branch}" if branch else log[1]


def list_apart(connection: Connection) -> set[bytes]:
    """Return the hashes of the entries that do not follow what was added before them of their log."""
    return set(
        map(
            bytes, connection.execute(select(journal.c.hash).where(journal.c.previous.is_not(None))).scalars()
        )
    )


def verify_ranges(connection: Connection) -> None:
    """Check entries that came apart against those they came apart from. Raises BrokenChainError."""
    before = journal.alias()
    met = (before.c.origin == journal.c.origin, before.c.epoch == journal.c.epoch)
    torn = select(journal.c.origin, journal.c.epoch, journal.c.seq).where(
        *met, before.c.seq == journal.c.seq - 1, journal.c.previous != before.c.hash
    )
    for row in connection.execute(torn):
        raise BrokenChainError(Head(row.origin, row.epoch, row.seq), "does not follow the one before it")
    ends = select(log_range.c.origin, log_range.c.epoch, log_range.c.last).where(
        journal.c.origin == log_range.c.origin,
        journal.c.epoch == log_range.c.epoch,
        log_range.c.branch == MAIN,
        journal.c.seq == log_range.c.last,
        journal.c.hash != log_range.c.hash,
    )
    for row in connection.execute(ends):
        raise BrokenChainError(Head(*row), "is not where its log was said to end")
