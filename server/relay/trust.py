"""What a node below may say: what was collected at or below it, and what this node itself wrote and has lost.

Logs are chains of hashes, which their origin does not sign: what stands in one is the word of who brings it. So the node
above is believed in everything, a post in what can be its own. What it may not say is left out, and the rest is taken.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from server.relay import concern
from server.relay.scope import FROM_ABOVE
from server.store import heads, identity, journal, logs, lost, peers, posts
from server.store.logs import Chain
from server.store.lost import Asked
from sync.frames import Sent, Skip
from sync.journal import Entry
from sync.logs import MAIN, Log

log = logging.getLogger("chapar.relay")


@dataclass(frozen=True, slots=True)
class Sifted:
    """What of a message is taken. strangers: origins of which the sender has nothing to say.

    foreign: entries about records of which it has nothing to say, for all that is known yet.
    """

    items: Sequence[Sent | Skip]
    strangers: frozenset[str] = frozenset()
    foreign: frozenset[Asked] = frozenset()


def sift(connection: Connection, sender: str, items: Sequence[Sent | Skip]) -> Sifted:
    """Leave out what the post `sender` may not say, and raise the alarm.

    An entry of its own log that only the node above may write is covered, since nobody else will send it. Nothing of
    another post's log is: that post may still have it to send; nor what is said of a record of which nothing is known to
    have come in at or below the post: it may come yet, and that is taken then. Who calls has caught up with the mentions.
    """
    family, own = family_of(connection, sender), journal.origin(connection)
    returned = [item.entry for item in items if isinstance(item, Sent) and item.entry.origin == own]
    known = _Returned(connection, {(own, entry.epoch) for entry in returned})
    of_family = [item.entry for item in items if isinstance(item, Sent) and item.entry.origin in family]
    about_others = concern.list_foreign(connection, family, of_family)
    sifted: list[Sent | Skip] = []
    foreign: set[Asked] = set()
    strangers: set[str] = set()
    refused = unproven = 0
    for item in items:
        said = item.entry if isinstance(item, Sent) else item
        if isinstance(said, Entry) and known.may_be(said):
            sifted.append(item)
            unproven += known.is_unproven(said)
        elif said.origin not in family:
            strangers.add(said.origin)
            refused += 1
        elif isinstance(said, Entry) and said.fact.kind in FROM_ABOVE:
            sifted.append(Skip(said.origin, said.epoch, MAIN, said.seq, said.seq, said.hash))
            refused += 1
        elif isinstance(said, Entry) and said.hash in about_others:
            foreign.add(lost.name_of(said))
            refused += 1
        else:
            sifted.append(item)
    if refused or unproven:
        peers.note_refused(connection, sender, refused, unproven)
    if refused:
        log.warning("%d entries were refused: the post %s may not write them", refused, sender)
    if unproven:
        log.warning(
            "%d entries of our own were taken back from the post %s on its word alone", unproven, sender
        )
    return Sifted(sifted, frozenset(strangers), frozenset(foreign))


class _Returned:
    """What a post gives back of what this node wrote itself and has lost.

    Where this node has signed a head, it has written nothing beyond; where none is known, the post is taken at its word.
    """

    def __init__(self, connection: Connection, names: set[Log]) -> None:
        own = {name for name in names if identity.is_own(connection, name[1])}
        self._heads = {name: heads.find(connection, name) for name in own}
        chains = logs.read_chains(connection, own) if own else {}
        self._ways = {
            name: [Chain(connection, name, branch, one) for branch in one.branches]
            for name, one in chains.items()
        }

    def may_be(self, entry: Entry) -> bool:
        """Whether an entry may be one that this node wrote."""
        name = (entry.origin, entry.epoch)
        if name not in self._heads:
            return False
        head = self._heads[name]
        if head is None or entry.seq < head.seq or self._is_here(entry):
            return True
        return entry.seq == head.seq and entry.hash == head.hash

    def is_unproven(self, entry: Entry) -> bool:
        """Whether nothing speaks for an entry but the post's word."""
        return self._heads[entry.origin, entry.epoch] is None and not self._is_here(entry)

    def _is_here(self, entry: Entry) -> bool:
        ways = self._ways.get((entry.origin, entry.epoch), ())
        return any(way.hash_at(entry.seq) == entry.hash for way in ways)


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
