"""How the relay stands, for people: each node that this one relays with, what waits, alarms. No names of records."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, select

from server.relay.choosing import count_waiting
from server.relay.scope import Scope
from server.store import journal, lost, peers, posts, purges
from server.store.peers import Peer
from server.store.tables import fork, wanted


def describe(connection: Connection) -> dict[str, Any]:
    """Return {origin, centre, posts, forks, audit, recordsPurged, filesWanted}; centre is None at what is no post."""
    own = journal.origin(connection)
    known = {one.origin: one for one in peers.list_peers(connection)}
    centre = posts.find_centre(connection)
    above = None
    if centre:
        met = known.get(centre.origin)
        below = {post.origin for post in posts.list_posts(connection) if post.origin}
        scope = Scope(centre.origin, frozenset({own, *below}), is_up=True)
        waiting = count_waiting(connection, scope, met.said if met else {})
        name = {"name": centre.name, "origin": centre.origin, "url": centre.url}
        above = name | _met(met) | {"recordsWaiting": waiting}
    forks = [
        {"origin": row.origin, "epoch": row.epoch, "seq": row.seq, "noticedAt": _iso(row.stamp >> 16)}
        for row in connection.execute(select(fork).order_by(fork.c.stamp))
    ]
    return {
        "origin": own,
        "centre": above,
        "posts": [
            {"name": post.name, "origin": post.origin, "revoked": post.revoked_at is not None}
            | _met(known.get(post.origin or ""))
            | {"forks": sum(one["origin"] == post.origin for one in forks)}
            for post in posts.list_posts(connection)
        ],
        "forks": forks,
        "audit": _audit(connection),
        "recordsPurged": purges.count_purged(connection),
        "filesWanted": int(connection.execute(select(func.count()).select_from(wanted)).scalar_one()),
    }


def _audit(connection: Connection) -> dict[str, Any]:
    """What the audits came to: when they were made, and counts since the store was made; lost: what lacks now."""
    done = lost.read_audit(connection)
    return {
        "readAt": _iso(done.read_ms) if done.read_ms else None,
        "comparedAt": _iso(done.compared_ms) if done.compared_ms else None,
        "readAgeS": round(time.time() - done.read_ms / 1000, 1) if done.read_ms else -1,
        "entries": done.entries,
        "damaged": done.damaged,
        "differing": done.differing,
        "mended": done.mended,
        "lost": lost.count(connection),
    }


def _met(peer: Peer | None) -> dict[str, Any]:
    """What was seen of a node. recordsWaiting: what it said that it had for us."""
    return {
        "lastContact": _iso(peer.contact_ms) if peer and peer.contact_ms else None,
        "contactAgeS": round(time.time() - peer.contact_ms / 1000, 1) if peer and peer.contact_ms else -1,
        "lastTry": _iso(peer.tried_ms) if peer and peer.tried_ms else None,
        "error": peer.error if peer else "",
        "clockAheadS": round(peer.clock_ms / 1000, 1) if peer else 0.0,
        "recordsWaiting": peer.waiting if peer else 0,
        "receivedBytes": peer.received_bytes if peer else 0,
        "sentBytes": peer.sent_bytes if peer else 0,
        "below": list(peer.below) if peer else [],
        "refused": peer.refused if peer else 0,
        "unsendable": peer.unsendable if peer else 0,
        "unproven": peer.unproven if peer else 0,
        "inexact": peer.inexact if peer else 0,
        "alarm": peer.alarm if peer else "",
    }


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")
