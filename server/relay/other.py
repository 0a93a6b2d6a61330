"""The node on the other side: what it may get, and what is kept of what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass

import orjson
from sqlalchemy import Connection

from server.relay import taking
from server.relay.messages import Head
from server.relay.scope import Scope
from server.store import identity, logs, marks, mentions, peers, posts, requests
from server.store.logs import Chain
from server.store.requests import Requests
from sync.journal import FIRST_KINDS
from sync.logs import MAIN, SAID_BYTES, Chains, Have, join, lacking


@dataclass(frozen=True, slots=True)
class Other:
    """The node on the other side. is_up: this node is a post of it. forms: it may have these only, None for all."""

    origin: str
    public_key: bytes
    is_up: bool
    forms: frozenset[str] | None = None


def scope_of(connection: Connection, other: Other) -> Scope:
    """Return what the other side may get."""
    known = peers.find_peer(connection, other.origin)
    kinds = FIRST_KINDS.union(known.kinds if known else ())
    if other.is_up:
        below = (one for peer in peers.list_peers(connection) for one in (*peer.below, *peer.former))
        direct = (post.origin for post in posts.list_posts(connection) if post.origin)
        own, _ = logs.own_log(connection)
        return Scope(other.origin, frozenset({own[0], *direct, *below}), is_up=True, kinds=kinds)
    family = frozenset({other.origin, *(known.below if known else ())})
    return Scope(other.origin, family, is_up=False, forms=other.forms, kinds=kinds)


def list_below(connection: Connection) -> tuple[list[str], list[str]]:
    """Return the origins of the posts below this node and of those below them; and of those that were."""
    direct = {post.origin: post.revoked_at is None for post in posts.list_posts(connection) if post.origin}
    below = [origin for origin, is_known in direct.items() if is_known]
    former = [origin for origin, is_known in direct.items() if not is_known]
    for met in peers.list_peers(connection):
        (below if direct.get(met.origin) else former).extend(met.below)
        former += met.former
    return below, former


def note_told(connection: Connection, other: Other, head: Head) -> None:
    """Keep what a node says of itself when it says all that it holds.

    That is what it knows and lacks, and which posts are below it. One that goes on under another epoch may have lost
    what it was sent apart: it is owed that again.
    """
    if not head.is_whole:
        return
    met = peers.find_peer(connection, other.origin)
    if met and met.epoch and met.epoch != head.epoch:
        mentions.owe_again(connection, other.origin)
    asked = Requests([sha256 for sha256, _ in head.asked], head.again, head.sure)
    requests.keep(connection, other.origin, asked)
    peers.note(connection, other.origin, kinds=orjson.dumps(head.kinds).decode(), epoch=head.epoch)
    if not other.is_up:
        direct = {post.origin for post in posts.list_posts(connection) if post.origin}
        peers.note_below(connection, other.origin, head.below, head.former, direct)


def note_marks(connection: Connection, other: Other, said: Have, now_ms: int, *, is_whole: bool) -> None:
    """Keep since when the node above has what was collected at or below this one."""
    family = scope_of(connection, other).family
    known = {name: ranges for name, ranges in said.items() if name[0] in family}
    marks.note(connection, other.origin, known, now_ms, is_whole=is_whole)


def look_at_own(connection: Connection, said: Have) -> None:
    """Go on anew if a peer holds more of our log than we wrote, or something else."""
    own, end = logs.own_log(connection)
    chain = Chain(connection, own, MAIN, Chains({MAIN: [end]}))
    for one in said.get(own, ()):
        known = chain.hash_at(one.last)
        if one.last > end.last or (known and known[:SAID_BYTES] != one.hash[:SAID_BYTES]):
            taking.note_fork(connection, own, MAIN, one.last)
            identity.begin_epoch(connection)
            return


def settle_waiting(connection: Connection, other: Other) -> None:
    """Note that nothing of another node waits any more where all that it said to hold is covered here."""
    known = peers.find_peer(connection, other.origin)
    if known is None or not known.waiting:
        return
    have = logs.read_have(connection)
    if not any(any(lacking(join(said), join(have.get(log, ())))) for log, said in known.said.items()):
        peers.note(connection, other.origin, waiting=0)
