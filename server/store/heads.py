"""Heads of logs that their origins signed: the furthest of each."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, select

from server.store.dialect import upsert
from server.store.tables import signed_head
from sync.logs import Log


@dataclass(frozen=True, slots=True)
class SignedHead:
    """Entry `seq` of a log has this hash, by its origin's word. signature: of what `server.relay.heads` says."""

    origin: str
    epoch: str
    seq: int
    hash: bytes
    signature: bytes


def keep(connection: Connection, one: SignedHead) -> None:
    """Keep a head instead of what was kept of its log."""
    upsert(connection, signed_head, [asdict(one)])


def find(connection: Connection, log: Log) -> SignedHead | None:
    """Return the furthest head of a log, None when none was signed."""
    return next((one for one in list_heads(connection, log[0]) if one.epoch == log[1]), None)


def list_heads(connection: Connection, origin: str) -> list[SignedHead]:
    """Return the furthest head of each log of an origin."""
    query = select(signed_head).where(signed_head.c.origin == origin).order_by(signed_head.c.epoch)
    return [
        SignedHead(row.origin, row.epoch, row.seq, bytes(row.hash), bytes(row.signature))
        for row in connection.execute(query)
    ]
