"""Lost payloads: who lost one asks for the entry again, and whoever has it whole sends it, if it is for the asker."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from sqlalchemy import Connection, select

from server import projection
from server.relay.choosing import read_sent
from server.relay.scope import Scope
from server.store import forms, logs, lost
from server.store.lost import HASH_CHARS, Asked
from server.store.tables import journal
from sync.frames import Payload, Sent, Skip
from sync.journal import Entry, hash_header, hash_payload

ASKED_MAX = 64


def answer(connection: Connection, scope: Scope, asked: Collection[Asked]) -> Iterator[Sent]:
    """Yield those of the entries that are asked for again which are here as they were sealed, and for the asker."""
    for origin, epoch, seq, digest in asked:
        chains = logs.read_chains(connection, {(origin, epoch)}).get((origin, epoch))
        branches = [logs.stored_epoch((origin, epoch), one) for one in (chains.branches if chains else ())]
        mine = (journal.c.origin == origin, journal.c.epoch.in_(branches), journal.c.seq == seq)
        columns = (journal.c.position, journal.c.kind, journal.c.detail, journal.c.hash)
        rows = connection.execute(select(*columns).where(*mine, scope.candidates(origin))).all()
        rows = [row for row in rows if bytes(row.hash).hex()[:HASH_CHARS] == digest]
        chosen = scope.choose(connection, origin, rows)
        for sent in read_sent(connection, [row.position for row in rows if row.position in chosen]):
            if sent.payload is not Payload.PURGED and is_whole(sent):
                yield sent


def mend(connection: Connection, schemas: forms.Schemas, items: Sequence[Sent | Skip]) -> int:
    """Put payloads back that are lost here and stand in these items; return how many. In the caller's transaction."""
    brought = {item.entry.hash: item for item in items if isinstance(item, Sent)}
    mended: list[int] = []
    for position, entry in list(lost.find(connection, [one.entry for one in brought.values()])):
        sent = brought[entry.hash]
        if sent.payload is Payload.WHOLE:
            lost.mend(connection, position, entry.fact)
            mended.append(position)
        elif sent.payload is Payload.ERASED:
            lost.forget(connection, [position])
    projection.project_again(connection, schemas, mended)
    return len(mended)


def without_damage(items: Sequence[Sent | Skip]) -> list[Sent | Skip]:
    """Return what of these items may travel: of an entry whose payload is damaged the header alone."""
    found: list[Sent | Skip] = []
    for item in items:
        if isinstance(item, Skip) or is_whole(item):
            found.append(item)
        elif _is_sealed(item.entry):
            bare = replace(item.entry.fact, detail=b"", body=b"")
            found.append(Sent(replace(item.entry, fact=bare), Payload.PURGED))
    return found


def is_whole(sent: Sent) -> bool:
    """Whether an entry is as it was sealed; one without payload is if its header is."""
    fact = sent.entry.fact
    is_right = hash_payload(fact.detail, fact.body) == sent.entry.payload_hash
    return (sent.payload is not Payload.WHOLE or is_right) and _is_sealed(sent.entry)


def _is_sealed(entry: Entry) -> bool:
    head = (entry.origin, entry.epoch, entry.seq, entry.previous, entry.fact.kind, entry.stamp)
    return hash_header(*head, entry.payload_hash) == entry.hash
