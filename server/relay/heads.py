"""Signed heads: how far a node has written its log, in its own hand, so that others can show it again.

Who brings an entry is believed as far as `server.relay.trust` says. A head proves more: what its origin had written by
then, also when the origin has lost it since.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Mapping

from sqlalchemy import Connection

from server.relay.keys import Keys, KeysError, verify
from server.relay.messages import Head, Signed
from server.relay.other import Other
from server.relay.taking import note_fork
from server.store import heads, journal, logs, peers
from server.store.heads import SignedHead
from server.store.logs import Chain
from sync.logs import MAIN, Have

UNSIGNED, FALSE = "unsigned", "false"

log = logging.getLogger("chapar.relay")


def sign_own(connection: Connection, keys: Keys) -> Signed:
    """Return where this node's log ends, signed."""
    (origin, epoch), end = logs.own_log(connection)
    return _said(origin, epoch, end.last, end.hash, keys.sign(_text(origin, epoch, end.last, end.hash)))


def list_lost(connection: Connection, origin: str, said: Have) -> list[Signed]:
    """Return the heads that a node signed beyond all that it says to hold: they prove what it lost."""
    found = heads.list_heads(connection, origin)
    ends = {log: max((known.last for known in ranges), default=0) for log, ranges in said.items()}
    lost = [one for one in found if one.seq > ends.get((origin, one.epoch), 0)]
    return [_said(one.origin, one.epoch, one.seq, one.hash, one.signature) for one in lost]


def note(connection: Connection, own_key: bytes, other: Other, head: Head) -> None:
    """Keep the heads in a message; raise the alarm where one is false or missing, or contradicts what is known.

    own_key: this node's public key.
    """
    says_all = head.is_whole and head.have is not None
    if not head.signed and not says_all:
        return
    keys = {journal.origin(connection): own_key, other.origin: other.public_key}
    had = {one.epoch for one in heads.list_heads(connection, other.origin)}
    is_missing = says_all and had and all(said[0] != other.origin for said in head.signed)
    alarm = UNSIGNED if is_missing else ""
    for said in head.signed:
        if (one := _verified(said, keys)) is None:
            alarm = FALSE
        else:
            _keep(connection, one)
    if alarm:
        log.warning("%s: the head of a log is %s", other.origin, alarm)
    if alarm or says_all:
        peers.note(connection, other.origin, alarm=alarm)


def _verified(said: Signed, keys: Mapping[str, bytes]) -> SignedHead | None:
    """The head, None when it is not signed by its origin, or by nobody whose key is known."""
    origin, epoch, seq, digest, signature = said
    try:
        one = SignedHead(origin, epoch, seq, bytes.fromhex(digest), bytes.fromhex(signature))
        verify(keys[origin], _text(origin, epoch, seq, one.hash), one.signature)
    except (KeyError, KeysError, ValueError):
        return None
    return one


def _keep(connection: Connection, one: SignedHead) -> None:
    """Keep the head if it is the furthest. Two that differ, or one that is not on the chain here, are a fork."""
    name = (one.origin, one.epoch)
    known = heads.find(connection, name)
    differs = known is not None and known.seq == one.seq and known.hash != one.hash
    if differs or any(_is_contradicted(connection, some) for some in (one, known) if some):
        note_fork(connection, name, MAIN, one.seq)
    if known is None or known.seq < one.seq:
        heads.keep(connection, one)


def _is_contradicted(connection: Connection, one: SignedHead) -> bool:
    """Whether every chain of this log that is here has another entry in the head's place."""
    name = (one.origin, one.epoch)
    chains = logs.read_chains(connection, {name}).get(name)
    if chains is None or one.seq == 0:
        return False
    ways = (Chain(connection, name, branch, chains) for branch in chains.branches)
    return all(way.hash_at(one.seq) not in {None, one.hash} for way in ways)


def _said(origin: str, epoch: str, seq: int, digest: bytes, signature: bytes) -> Signed:
    return origin, epoch, seq, digest.hex(), signature.hex()


def _text(origin: str, epoch: str, seq: int, digest: bytes) -> bytes:
    return f"chapar head\n{origin}\n{epoch}\n".encode() + struct.pack(">Q", seq) + digest
