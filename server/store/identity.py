"""Who this node is: its origin, its epoch, and the place where its store lies.

An entry is named by (origin, epoch, seq), and no such name may ever be given twice. So a store that is found in
another place than before (a copied data directory, a restored dump, a database that failed over) starts a new epoch;
old entries keep theirs.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import DBAPIError

from server.store.dialect import insert_ignore
from server.store.tables import log_range, node
from sync.journal import GENESIS
from sync.logs import MAIN

MACHINE = (Path("/etc/machine-id"), Path("/sys/firmware/devicetree/base/serial-number"))
"""The second one tells two Raspberry Pis with copies of one SD card apart."""

EPOCH_CHARS = 8
"""Half an epoch."""

# A dump that is read in again is another database; a standby that takes over starts another timeline, and may lack
# what was committed last.
_POSTGRESQL = """
SELECT system_identifier, oid, substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)
FROM pg_control_system(), pg_database WHERE datname = current_database()
"""


class StoreMovedError(Exception):
    """The records of this store were moved; what came in here would be missing there."""

    def __init__(self, moved_to: str) -> None:
        super().__init__(
            f"The records that were here are now in {moved_to}. Use that store, or take this one into use again "
            "with `chapar db reopen`: it keeps what it has, and the two go apart."
        )


def create_node(connection: Connection) -> None:
    """Give this store an identity if it has none."""
    if connection.execute(select(node.c.id)).first() is None:
        key = secrets.token_hex(32)
        row = {"origin": str(uuid.uuid4()), "epoch": _new_epoch(key), "hash": GENESIS, "secret": key}
        connection.execute(insert(node).values(id=1, position=0, seq=0, stamp=0, **row))


def settle(connection: Connection) -> None:
    """Begin a new epoch if this store is a copy of the one that was last opened. Raises StoreMovedError."""
    found = connection.execute(select(node.c.place, node.c.moved_to, node.c.secret)).one()
    if found.moved_to:
        raise StoreMovedError(found.moved_to)
    here = _place(connection)
    if not found.place:
        connection.execute(update(node).values(place=here))
    elif here and found.place != here:
        begin_epoch(connection)
    if not found.secret:
        connection.execute(update(node).values(secret=secrets.token_hex(32)))


def begin_epoch(connection: Connection) -> None:
    """Go on here under a new epoch, whose first entry has the number 1."""
    columns = (node.c.origin, node.c.epoch, node.c.seq, node.c.hash, node.c.secret)
    ended = connection.execute(select(*columns)).one()
    if ended.seq:
        row = {"origin": ended.origin, "epoch": ended.epoch, "branch": MAIN, "first": 1, "last": ended.seq}
        insert_ignore(connection, log_range, [row | {"hash": ended.hash}])
    here = {"place": _place(connection), "moved_to": ""}
    connection.execute(update(node).values(epoch=_new_epoch(ended.secret), seq=0, hash=GENESIS, **here))


def is_own(connection: Connection, epoch: str) -> bool:
    """Whether this node began this epoch, as far as it can tell: also one that it has forgotten since."""
    here = connection.execute(select(node.c.origin, node.c.epoch, node.c.secret)).one()
    known = select(log_range.c.first).where(log_range.c.origin == here.origin, log_range.c.epoch == epoch)
    is_made = hmac.compare_digest(epoch.encode(), _epoch(here.secret, epoch[:EPOCH_CHARS]).encode())
    return is_made or epoch == here.epoch or connection.execute(known.limit(1)).first() is not None


def move_away(connection: Connection, target: str) -> None:
    """Say where the records went, "" when they are in use here again."""
    connection.execute(update(node).values(moved_to=target))


def secret(connection: Connection) -> bytes:
    """Return what the processes of this node sign with. It never leaves them."""
    return str(connection.execute(select(node.c.secret)).scalar_one()).encode()


def _new_epoch(key: str) -> str:
    return _epoch(key, secrets.token_hex(EPOCH_CHARS // 2))


def _epoch(key: str, chosen: str) -> str:
    """An epoch in 16 hex digits: what was drawn, and then what only this node can make of it."""
    return chosen + hmac.digest(key.encode(), f"epoch\n{chosen}".encode(), "sha256").hex()[:EPOCH_CHARS]


def _place(connection: Connection) -> str:
    """Return what is another one for every copy of the store, "" when the database does not tell."""
    if connection.dialect.name == "postgresql":
        try:
            with connection.begin_nested():
                facts = [str(fact) for fact in connection.exec_driver_sql(_POSTGRESQL).one()]
        except DBAPIError:
            return ""
    else:
        facts = [str(Path(connection.engine.url.database or "").stat().st_ino)]
        for path in MACHINE:
            with suppress(OSError):
                facts.append(path.read_text().strip("\x00\n "))
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()
