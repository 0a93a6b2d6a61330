"""Purge: a post drops what its centre has had for so many days, form by form; by default never.

Safe is what the centre says that it covers, has said so for that long, and of whose files it says that it has them. Records
about which something is open stay, as do those that people decided about and those that entity lists come from.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from server.node import Node
from server.projection import CURSOR
from server.relay.messages import Head
from server.store import dropping, journal, logs, marks, peers, posts, purges, requests
from server.store.engine import reading, writing
from server.store.purges import Record, Safe
from server.store.submissions import FormKey

DAY_MS = 86_400_000
AT_ONCE = 200

log = logging.getLogger("chapar.relay")


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge came to, or would. files: dropped with them. waiting: whose files the centre has yet to confirm."""

    records: int = 0
    files: int = 0
    waiting: int = 0


def purge(node: Node, now_ms: int, *, dry_run: bool = False) -> Purged:
    """Drop what may go by now (ms since 1970), or tell what would. Cut off at any point, it may be done again."""
    total = Purged()
    with reading(node.engine) as connection:
        policies = purges.list_policies(connection)
    for form, after_days in sorted(policies.items()):
        after: str | None = ""
        while after is not None:
            with reading(node.engine) as connection:
                safe = _safe(connection, now_ms - after_days * DAY_MS)
                settled = purges.list_settled(connection, form, after, AT_ONCE)
                ready, waiting = _ready(connection, form, settled, safe)
            files = 0
            if ready and not dry_run:
                files = _drop(node, form, ready, safe)
            total = Purged(total.records + len(ready), total.files + files, total.waiting + waiting)
            after = settled[-1] if len(settled) == AT_ONCE else None
    return total


def list_unsure(connection: Connection, now_ms: int, limit: int) -> list[str]:
    """Return files of records that could go if the centre has them, to be asked for."""
    found: set[str] = set()
    for form, after_days in purges.list_policies(connection).items():
        safe = _safe(connection, now_ms - after_days * DAY_MS)
        for record in _settled(connection, form):
            if len(found) >= limit:
                return sorted(found)[:limit]
            if record.files and not purges.list_kept(connection, record.positions, safe):
                found |= record.files - purges.list_held(connection, record.files)
    return sorted(found)[:limit]


def note_held(connection: Connection, head: Head) -> int:
    """Keep which files the centre says to have and to lack; return how many entries that it lacks were purged."""
    purges.note_held(connection, head.held, [sha256 for sha256, _ in head.asked])
    unsendable = purges.count_asked(connection, head.again)
    if unsendable:
        log.warning("the centre asks for %d entries that were purged here", unsendable)
    return unsendable


def _settled(connection: Connection, form: FormKey) -> Iterator[Record]:
    after = ""
    while some := purges.list_settled(connection, form, after, AT_ONCE):
        yield from purges.read_records(connection, form, some)
        after = some[-1]


def _ready(
    connection: Connection, form: FormKey, roots: Collection[str], safe: Safe
) -> tuple[list[Record], int]:
    """Those of these records that may go, and how many wait for the centre to confirm their files."""
    ready, waiting = [], 0
    for record in purges.read_records(connection, form, roots):
        if purges.list_kept(connection, record.positions, safe):
            continue
        if record.files <= purges.list_held(connection, record.files):
            ready.append(record)
        else:
            waiting += 1
    return ready, waiting


def _drop(node: Node, form: FormKey, ready: Collection[Record], safe: Safe) -> int:
    """Drop these records if nothing came of them meanwhile; return how many files went."""
    with writing(node.engine) as connection:
        journal.lock(connection)
        if journal.cursor(connection, CURSOR) != journal.head_position(connection):
            return 0
        roots = {record.root_id for record in ready}
        still = purges.still_settled(connection, form, roots)
        records = [one for one in _ready(connection, form, still, safe)[0] if one in ready]
        files = frozenset[str]().union(*(record.files for record in records))
        positions = {position for record in records for position in record.positions}
        gone = files - dropping.used_elsewhere(connection, files, positions)
        purges.purge(connection, form, records)
        dropping.remember_blobs(connection, gone)
    with writing(node.engine) as connection:
        journal.lock(connection)  # nobody names a blob between the look and its end
        gone -= dropping.used_elsewhere(connection, gone, ())
        for sha256 in gone:
            node.blobs.delete(sha256)
    return len(gone)


def _safe(connection: Connection, until_ms: int) -> Safe:
    """What the centre has by its own word, and said so by then (ms since 1970)."""
    centre = posts.find_centre(connection)
    met = peers.find_peer(connection, centre.origin) if centre else None
    if centre is None or met is None:
        return Safe({}, frozenset())
    said = {
        log: max((one.last for one in ranges if one.first == 1), default=0)
        for log, ranges in met.said.items()
    }
    known = marks.read_until(connection, centre.origin, until_ms)
    forked = {log for log, chains in logs.read_chains(connection).items() if len(chains.branches) > 1}
    until = {log: min(last, said.get(log, 0)) for log, last in known.items() if log not in forked}
    again = requests.read(connection, centre.origin).again
    return Safe(until, frozenset((origin, epoch, seq) for origin, epoch, seq, _ in again))
