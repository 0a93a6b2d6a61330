"""The daily audit: each node reads its journal through, and a post holds its logs against what the centre has of them.

What is compared are hashes over ranges of a log, ever shorter ones where they differ. A node that lacks something in a
short range says no more that it covers it, and so gets it again.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, select

from server.relay.scope import FROM_ABOVE
from server.store import journal, logs, lost
from server.store.engine import reading, writing
from server.store.logs import Chain
from server.store.tables import journal as entries
from sync.journal import GENESIS, hash_payload
from sync.logs import MAIN, Chains, Have, Range, join

DAY_MS = 86_400_000
PAGE = 100
LEAF = 64
"""Of so many entries all are sent again when anything differs."""
PARTS = 16
SPANS_AT_ONCE, SPANS_MAX = 200, 1000
DIGEST_BYTES = 16

Span = tuple[str, str, int, int]
"""origin, epoch, first and last seq."""
Said = tuple[str, str, int, int, str]
"""A span, and the hash over the hashes of its entries."""

log = logging.getLogger("chapar.relay")


@dataclass(frozen=True, slots=True)
class Due:
    """Whether this node is to read its journal through, and to compare its logs with the centre's."""

    read: bool
    compare: bool


def list_due(connection: Connection, now_ms: int) -> Due:
    """Return which audits are due. now_ms: since 1970."""
    done = lost.read_audit(connection)
    return Due(now_ms - done.read_ms >= DAY_MS, now_ms - done.compared_ms >= DAY_MS)


def read_through(engine: Engine, may_go_on: Callable[[], bool] = lambda: True) -> int:
    """Hold every payload against its hash, and note those that are damaged; return of how many it was not known.

    may_go_on: asked now and then; when it says no, nothing counts as done.
    """
    last = seen = new = 0
    while True:
        with reading(engine) as connection:
            query = select(entries).where(entries.c.position > last).order_by(entries.c.position)
            rows = connection.execute(query.limit(PAGE)).all()
            damaged = []
            for row in rows:
                fact = journal.entry_of(connection, row, GENESIS).fact
                if fact.detail and hash_payload(fact.detail, fact.body) != bytes(row.payload_hash):
                    damaged.append(row.position)
        if damaged:
            new += _note(engine, damaged)
        if not rows:
            break
        last, seen = rows[-1].position, seen + len(rows)
        if not may_go_on():
            return new
    with writing(engine) as connection:
        lost.note_audit(connection, read_ms=time.time_ns() // 1_000_000, entries=seen)
    return new


def list_spans(connection: Connection, family: frozenset[str], said: Have) -> list[Span]:
    """Return what of each log of this family both this node and the one that says this cover from its start."""
    return [
        (*name, 1, last)
        for name, chains in logs.read_chains(connection).items()
        if name[0] in family and len(chains.branches) == 1
        for last in [min(_reaches(chains.ranges.get(MAIN, ())), _reaches(said.get(name, ())))]
        if last
    ]


def digest(connection: Connection, span: Span) -> Said:
    """Return a span with the hash over what goes upwards of it."""
    origin, epoch, first, last = span
    mine = (entries.c.origin == origin, entries.c.epoch == epoch, entries.c.seq.between(first, last))
    query = select(entries.c.hash).where(*mine, entries.c.kind.not_in(FROM_ABOVE))
    over = hashlib.sha256()
    for chained in connection.execute(query.order_by(entries.c.seq)).scalars():
        over.update(chained)
    return (*span, over.hexdigest()[: 2 * DIGEST_BYTES])


def list_differing(connection: Connection, said: Sequence[Said]) -> list[Span]:
    """Return the spans of which this node holds something else than who says this."""
    spans = [(one, (one[0], one[1], one[2], one[3])) for one in said[:SPANS_MAX]]
    return [span for one, span in spans if digest(connection, span) != tuple(one)]


def divide(span: Span) -> Iterator[Span]:
    """Yield the parts of a span in which to look for what differs."""
    origin, epoch, first, last = span
    step = max(-(-(last - first + 1) // PARTS), LEAF)
    for start in range(first, last + 1, step):
        yield origin, epoch, start, min(start + step - 1, last)


def is_leaf(span: Span) -> bool:
    """Whether a span is so short that it is sent again."""
    return span[3] - span[2] < LEAF


def give_up(connection: Connection, span: Span) -> None:
    """Say no more that this node covers a span; what is here of it stays, and counts again once it is sent."""
    origin, epoch, first, last = span
    name = (origin, epoch)
    chains = logs.read_chains(connection, {name}).get(name)
    if chains is None or name == logs.own_log(connection)[0]:
        return
    chain = Chain(connection, name, MAIN, chains)
    kept: list[Range] = []
    for one in chains.ranges.get(MAIN, ()):
        if one.last < first or one.first > last:
            kept.append(one)
            continue
        kept += _before(chain, one.first, first - 1)
        if one.last > last:
            kept.append(Range(last + 1, one.last, one.hash))
    logs.write_ranges(connection, name, Chains(chains.ranges | {MAIN: join(kept)}))
    lost.note_wanting(connection)
    log.warning("of %s/%s something is missing between %d and %d: it is asked for again", *span)


def _before(chain: Chain, first: int, last: int) -> list[Range]:
    """What is still covered of a range, up to an entry whose hash is known."""
    for seq in range(last, first - 1, -1):
        if (known := chain.hash_at(seq)) is not None:
            return [Range(first, seq, known)]
    return []


def _reaches(ranges: Sequence[Range]) -> int:
    return max((one.last for one in ranges if one.first == 1), default=0)


def _note(engine: Engine, positions: Sequence[int]) -> int:
    with writing(engine) as connection:
        new = lost.note(connection, positions)
        if new:
            lost.note_audit(connection, damaged=lost.read_audit(connection).damaged + new)
            log.error("the payloads of %d entries are damaged: they are asked for again", new)
    return new
