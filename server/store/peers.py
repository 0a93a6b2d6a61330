"""Nodes that this one relays with: when they were met, how far they are, what they said."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, select, update

from server.store.dialect import insert_ignore
from server.store.tables import peer
from sync.logs import Have, list_have, unlist_have

NEVER = {
    "said": "[]",
    "below": "[]",
    "former": "[]",
    "forms": None,
    "contact_ms": 0,
    "tried_ms": 0,
    "error": "",
    "clock_ms": 0,
    "waiting": 0,
    "received_bytes": 0,
    "sent_bytes": 0,
    "kinds": "[]",
    "epoch": "",
    "refused": 0,
    "unsendable": 0,
    "unproven": 0,
    "inexact": 0,
    "alarm": "",
}


@dataclass(frozen=True, slots=True)
class Peer:
    """As the table `peer` has it, read. contact_ms: 0 when it was never met."""

    origin: str
    said: Have
    below: Sequence[str]
    former: Sequence[str]
    forms: frozenset[str] | None
    contact_ms: int
    tried_ms: int
    error: str
    clock_ms: int
    waiting: int
    received_bytes: int
    sent_bytes: int
    kinds: Sequence[str]
    epoch: str
    refused: int
    unsendable: int
    unproven: int
    inexact: int
    alarm: str


def list_peers(connection: Connection) -> list[Peer]:
    """Return every node that was met, or tried."""
    return [_peer(row) for row in connection.execute(select(peer).order_by(peer.c.origin))]


def find_peer(connection: Connection, origin: str) -> Peer | None:
    """Return what is known of a node, None when it was never met."""
    row = connection.execute(select(peer).where(peer.c.origin == origin)).first()
    return _peer(row) if row else None


def note(connection: Connection, origin: str, **seen: Any) -> None:
    """Keep what was seen of a node: columns of its row."""
    noted = update(peer).where(peer.c.origin == origin).values(**seen)
    if connection.execute(noted).rowcount == 0:
        insert_ignore(connection, peer, [NEVER | {"origin": origin}])
        connection.execute(noted)


def note_said(connection: Connection, origin: str, said: Have) -> None:
    """Keep what a node said that it holds."""
    note(connection, origin, said=orjson.dumps(list_have(said)).decode())


def note_bytes(connection: Connection, origin: str, received: int, sent: int) -> None:
    """Add to what went to and fro."""
    bytes_of = peer.c.received_bytes + received, peer.c.sent_bytes + sent
    note(connection, origin, received_bytes=bytes_of[0], sent_bytes=bytes_of[1])


def note_inexact(connection: Connection, origin: str, frames: int) -> None:
    """Add to the frames for a node that did not read back exactly."""
    if frames:
        note(connection, origin, inexact=peer.c.inexact + frames)


def note_below(
    connection: Connection,
    origin: str,
    below: Collection[str],
    former: Collection[str],
    direct: Collection[str],
) -> None:
    """Keep which posts are below a node, and which were; none that is this node's own, or below another."""
    taken = set(direct).union(*(one.below for one in list_peers(connection) if one.origin != origin))
    kept = {"below": set(below) - taken, "former": set(former) - set(below) - taken}
    note(connection, origin, **{name: orjson.dumps(sorted(some)).decode() for name, some in kept.items()})


def note_refused(connection: Connection, origin: str, refused: int, unproven: int) -> None:
    """Add to the entries that a node sent and may not write, and to those that were taken on its word alone."""
    note(connection, origin, refused=peer.c.refused + refused, unproven=peer.c.unproven + unproven)


def _peer(row: Any) -> Peer:
    values = {name: getattr(row, name) for name in Peer.__slots__}
    forms = None if row.forms is None else frozenset(orjson.loads(row.forms))
    said = unlist_have(orjson.loads(row.said))
    lists = {name: orjson.loads(getattr(row, name)) for name in ("below", "former", "kinds")}
    return Peer(**values | lists | {"said": said, "forms": forms})
