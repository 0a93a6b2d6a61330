"""Choosing what to send: what the receiver lacks by its own word, and is to get.

Nothing is remembered of a receiver that counts: whatever it says, everything follows from it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from server.relay.scope import Scope
from server.store import journal, logs, mentions, purges
from server.store.logs import Chain
from server.store.tables import journal as entries
from sync.frames import Payload, Sent, Skip
from sync.journal import GENESIS, Kind
from sync.logs import Chains, Have, Log, Range, held, lacking

PAGE = 256
WHOLE_PAGE = 16
DUE_MAX = 100

_HEADER = (
    entries.c.position,
    entries.c.seq,
    entries.c.kind,
    entries.c.detail,
    entries.c.hash,
    entries.c.previous,
)


def choose(connection: Connection, scope: Scope, said: Have) -> Iterator[Sent | Skip]:
    """Yield what the receiver lacks that says this of what it holds, log by log, in order of seq."""
    for log, chain, first, last in _gaps(connection, scope, said):
        yield from _between(connection, scope, log, chain, first, last, said.get(log, ()))


def read_due(connection: Connection, scope: Scope, limit: int = DUE_MAX) -> dict[int, Sent]:
    """Return by position what the receiver passed over as not for it, and is now to get; up to `limit` of it."""
    if scope.is_up:
        return {}
    positions = mentions.list_due(connection, scope.family, limit)
    found = zip(positions, read_sent(connection, positions), strict=True)
    return {position: sent for position, sent in found if sent.entry.fact.kind in scope.kinds}


def count_waiting(connection: Connection, scope: Scope, said: Have) -> int:
    """Return how many records are here that the receiver lacks that says this, and is to get."""
    count = 0
    for log, chain, first, last in _gaps(connection, scope, said):
        mine = (*logs.of_log(log, chain.branch), scope.candidates(log[0]), entries.c.seq.between(first, last))
        query = select(func.count()).select_from(entries).where(*mine, entries.c.kind == Kind.SUBMISSION)
        count += int(connection.execute(query).scalar_one())
    return count


def list_doubted(connection: Connection, said: Have) -> set[Log]:
    """Return the logs of which a peer that says this holds a chain that differs from ours."""
    return {
        log
        for log, chains in logs.read_chains(connection).items()
        if log in said and not _is_known(connection, log, chains, said)
    }


def _is_known(connection: Connection, log: Log, chains: Chains, said: Have) -> bool:
    """Whether each range that the peer says agrees with one of our chains, or may; of a fork, if it tells of each."""
    ways = [Chain(connection, log, branch, chains) for branch in chains.branches]
    agrees = all(any(not held([one], way.hash_at, is_forked=False)[1] for way in ways) for one in said[log])
    is_forked = len(ways) > 1
    return agrees and (not is_forked or all(held(said[log], way.hash_at, is_forked=True)[0] for way in ways))


def _gaps(connection: Connection, scope: Scope, said: Have) -> Iterator[tuple[Log, Chain, int, int]]:
    """What of each of our chains, from seq to seq, who says this does not hold."""
    own, _ = logs.own_log(connection)
    found = logs.read_chains(connection)
    if scope.is_up:  # what is said here of records goes behind the records, which may have come from below
        found = dict(sorted(found.items(), key=lambda one: (one[0][0] == own[0], one[0] == own)))
    for log, chains in found.items():
        if log[0] in scope.strangers:
            continue
        for branch in chains.branches:
            chain = Chain(connection, log, branch, chains)
            theirs, _ = held(said.get(log, ()), chain.hash_at, is_forked=len(chains.branches) > 1)
            for first, last in lacking(chains.ranges.get(branch, ()), theirs):
                yield log, chain, first, last


def _between(
    connection: Connection,
    scope: Scope,
    log: Log,
    chain: Chain,
    first: int,
    last: int,
    said: Sequence[Range],
) -> Iterator[Sent | Skip]:
    """What is for the receiver of entries first to last, and the places of what is not.

    What it does not know yet is left uncovered: it gets that once it does. said: of this log. Of a fork it may cover
    these places on another chain, and need not hear of ours.
    """

    def skip(until: int) -> Iterator[Skip]:
        if told >= until or any(one.first <= told + 1 and until <= one.last for one in said):
            return
        if scope.may_skip(log[0]) and (digest := chain.hash_at(until)):
            yield Skip(*log, chain.branch, told + 1, until, digest)

    told = seen = first - 1
    mine = (*logs.of_log(log, chain.branch), scope.candidates(log[0]), entries.c.seq <= last)
    while True:
        query = select(*_HEADER).where(*mine, entries.c.seq > seen).order_by(entries.c.seq).limit(PAGE)
        rows = connection.execute(query).all()
        chosen = scope.choose(connection, log[0], rows)
        wanted = [row for row in rows if row.position in chosen]
        for start in range(0, len(wanted), WHOLE_PAGE):
            some = wanted[start : start + WHOLE_PAGE]
            for sent in read_sent(connection, [row.position for row in some]):
                yield from skip(sent.entry.seq - 1)
                if sent.entry.fact.kind in scope.kinds:
                    yield sent
                told = sent.entry.seq
        if len(rows) < PAGE:
            break
        seen = rows[-1].seq
    yield from skip(last)


def read_sent(connection: Connection, positions: Sequence[int]) -> Iterator[Sent]:
    """Yield the entries at these positions, in this order, as they are sent."""
    rows = connection.execute(select(entries).where(entries.c.position.in_(positions))).all()
    bare = purges.list_bare(connection, [row.position for row in rows if not row.detail])
    last: Row[Any] | None = None
    for row in sorted(rows, key=lambda row: positions.index(row.position)):
        follows = last and (last.origin, last.epoch, last.seq + 1) == (row.origin, row.epoch, row.seq)
        previous = row.previous or (last.hash if last and follows else _before(connection, row))
        without = Payload.PURGED if row.position in bare else Payload.ERASED
        yield Sent(journal.entry_of(connection, row, previous), Payload.WHOLE if row.detail else without)
        last = row


def _before(connection: Connection, row: Row[Any]) -> bytes:
    """The hash of the entry before this one, which is here."""
    if row.seq == 1:
        return GENESIS
    same = (entries.c.origin == row.origin, entries.c.epoch == row.epoch, entries.c.seq == row.seq - 1)
    return bytes(connection.execute(select(entries.c.hash).where(*same)).scalar_one())
