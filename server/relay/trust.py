"""What a node below may say: what was collected at or below it, and what this node itself wrote and has lost.

Logs are chains of hashes, which their origin does not sign: what stands in one is the word of who brings it. So the node
above is believed in everything, a post in what can be its own. What it may not say is left out, and the rest is taken.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from server.relay.scope import FROM_ABOVE
from server.store import identity, journal, peers, posts
from sync.frames import Sent, Skip
from sync.journal import Entry
from sync.logs import MAIN

log = logging.getLogger("chapar.relay")


@dataclass(frozen=True, slots=True)
class Sifted:
    """What of a message is taken. strangers: origins of which the sender has nothing to say."""

    items: Sequence[Sent | Skip]
    strangers: frozenset[str] = frozenset()


def sift(connection: Connection, sender: str, items: Sequence[Sent | Skip]) -> Sifted:
    """Leave out what the post `sender` may not say, and raise the alarm.

    An entry of its own log that only the node above may write is covered, since nobody else will send it. Nothing of
    another post's log is: that post may still have it to send.
    """
    family, own = family_of(connection, sender), journal.origin(connection)
    epochs = {item.entry.epoch for item in items if isinstance(item, Sent) and item.entry.origin == own}
    mine = {epoch for epoch in epochs if identity.is_own(connection, epoch)}
    sifted: list[Sent | Skip] = []
    strangers: set[str] = set()
    refused = 0
    for item in items:
        match item:
            case Sent(entry) if entry.origin == own and entry.epoch in mine:
                sifted.append(item)
            case Sent(entry) if entry.origin in family and entry.fact.kind in FROM_ABOVE:
                sifted.append(Skip(entry.origin, entry.epoch, MAIN, entry.seq, entry.seq, entry.hash))
                refused += 1
            case Sent(Entry(origin)) | Skip(origin) if origin in family:
                sifted.append(item)
            case Sent(Entry(origin)) | Skip(origin):
                strangers.add(origin)
                refused += 1
    if refused:
        peers.note_refused(connection, sender, refused)
        log.warning("%d entries were refused: the post %s may not write them", refused, sender)
    return Sifted(sifted, frozenset(strangers))


def family_of(connection: Connection, post: str) -> frozenset[str]:
    """Return the origins of which a post brings what was written: its own, of those below it, and of those that were.

    What these still had to send when they left is known there alone; a post of this node's own speaks for itself.
    """
    direct = {one.origin for one in posts.list_posts(connection) if one.origin and one.origin != post}
    return frozenset({post, *_below(connection, post)}) - direct


def _below(connection: Connection, post: str) -> Iterator[str]:
    met = peers.find_peer(connection, post)
    if met is not None:
        yield from met.below
        yield from met.former
