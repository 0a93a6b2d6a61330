"""Taking in what another node sent: entries as they are, in any order, any number of times.

Nothing that is sealed is ever refused or replaced: of two entries of one name both are kept, and an alarm is raised.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import orjson
from sqlalchemy import Connection

from server.store import identity, journal, logs, lost
from server.store.dialect import insert_ignore
from server.store.files import files_in
from server.store.journal import Foreign
from server.store.tables import wanted
from sync.clock import tick
from sync.frames import Payload, Sent, Skip
from sync.journal import Entry
from sync.logs import MAIN, Chains, Log, Range

log = logging.getLogger("chapar.relay")


def take(connection: Connection, items: Sequence[Sent | Skip]) -> int:
    """Take entries in, and what is said not to be for this node; return how many entries are new.

    Inside the caller's transaction; durable when that commits. items: checked against their hashes, as
    `sync.frames.unpack` does.
    """
    journal.lock(connection)
    _give_up_own(connection, items)
    own, _ = logs.own_log(connection)
    seqs: dict[Log, set[int]] = {}
    for item in items:
        near = (item.entry.seq - 1, item.entry.seq, item.entry.seq + 1) if isinstance(item, Sent) else ()
        seqs.setdefault(log_of(item), set()).update(near)
    chains = logs.read_chains(connection, seqs.keys())
    for name, around in seqs.items():
        logs.load_window(connection, name, chains.setdefault(name, Chains()), around)
    fresh: list[Foreign] = []
    bare = {item.entry.hash for item in items if isinstance(item, Sent) and item.payload is Payload.PURGED}
    for item in items:
        name = log_of(item)
        known = chains[name]
        if isinstance(item, Skip):
            if name != own:
                _cover(connection, name, known, item)
            continue
        entry, branch = item.entry, MAIN
        if not known.goes_on(entry):
            if (branch_here := known.find(entry)) is not None:
                if name != own:
                    known.cover(branch_here, Range(entry.seq, entry.seq, entry.hash))
                continue
            branch = known.place(entry)
            if branch not in known.ranges and branch != MAIN:
                note_fork(connection, name, branch, entry.seq)
            if known.is_torn(branch, entry.seq):
                logs.tear(connection, name, branch, entry)
        known.add(branch, entry)
        epoch = logs.stored_epoch(name, branch)
        follows = bool(fresh) and (fresh[-1].entry.hash, fresh[-1].epoch) == (entry.previous, epoch)
        fresh.append(Foreign(_with_form(entry), epoch, follows))
    if fresh:
        end = journal.head_position(connection)
        journal.take_in(connection, fresh)
        lost.note(connection, [end + number for number, one in enumerate(fresh, 1) if one.entry.hash in bare])
        insert_ignore(connection, wanted, list(_files_of(fresh)))
    for name in seqs.keys() - {own}:
        logs.write_ranges(connection, name, chains[name])
    return len(fresh)


def note_fork(connection: Connection, name: Log, branch: str, seq: int) -> None:
    """Raise the alarm that a log goes on twice, once for each branch."""
    if logs.note_fork(connection, name, branch, seq, tick(0, time.time_ns() // 1_000_000)):
        log.warning(
            "two entries have the name %s/%s/%d: a store was copied or set back, and went on twice",
            *name,
            seq,
        )


def _give_up_own(connection: Connection, items: Sequence[Sent | Skip]) -> None:
    """Begin a new epoch if somebody else went on with ours; both branches are kept."""
    own, end = logs.own_log(connection)
    mine = [item.entry for item in items if isinstance(item, Sent) and log_of(item) == own]
    chains = Chains({MAIN: [end]})
    logs.load_window(connection, own, chains, {entry.seq for entry in mine})
    strange = next((entry for entry in mine if chains.find(entry) is None), None)
    if strange is not None:
        note_fork(connection, own, MAIN, strange.seq)
        identity.begin_epoch(connection)


def _cover(connection: Connection, name: Log, chains: Chains, skip: Skip) -> None:
    branch = chains.place_skip(skip.last, skip.hash)
    if branch not in chains.ranges and branch != MAIN:
        note_fork(connection, name, branch, skip.last)
    chains.cover(branch, Range(skip.first, skip.last, skip.hash))


def _with_form(entry: Entry) -> Entry:
    """The entry with the form by which its body is compressed."""
    if entry.fact.form_id or not entry.fact.body or not entry.fact.detail:
        return entry
    form_id = orjson.loads(entry.fact.detail).get("form_id", "")
    return replace(entry, fact=replace(entry.fact, form_id=form_id))


def _files_of(fresh: Sequence[Foreign]) -> Iterator[dict[str, Any]]:
    """The files that entries name, each once."""
    sizes: dict[str, int] = {}
    for one in fresh:
        if b'sha256"' in one.entry.fact.detail:
            detail = orjson.loads(one.entry.fact.detail)
            sizes.update(dict.fromkeys(files_in(detail), detail.get("size") or 0))
    for sha256, size in sorted(sizes.items()):
        yield {"sha256": sha256, "size": size}


def log_of(item: Sent | Skip) -> Log:
    """Return the log that an item is of."""
    of = item if isinstance(item, Skip) else item.entry
    return of.origin, of.epoch
