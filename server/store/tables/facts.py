"""The facts of this node, its identity, and how far readers have come."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, Table, UniqueConstraint

from server.store.tables.columns import METADATA, ROWID, column, key, optional

node = Table(
    "node",
    METADATA,
    key("id", Integer),
    column("origin"),
    column("epoch"),
    column("position", BigInteger),
    column("seq", BigInteger),
    column("hash", LargeBinary),
    column("stamp", BigInteger),
    column("place", default=""),
    column("moved_to", default=""),
    column("secret", default=""),
)
"""This node's identity and the end of its log; locked by whoever appends. One row.

place: a hash of the machine and the database that hold this store, "" until it was first opened; another one means
that this is a copy. moved_to: where the records went, "" while they are here. secret: signs what any process of
this node must know as its own.
"""

journal = Table(
    "journal",
    METADATA,
    key("position", ROWID, autoincrement=False),
    column("origin"),
    column("epoch"),
    column("seq", BigInteger),
    column("hash", LargeBinary),
    column("stamp", BigInteger),
    column("kind"),
    column("project_id", Integer),
    optional("key", LargeBinary),
    column("payload_hash", LargeBinary),
    optional("detail", LargeBinary),
    optional("codec", BigInteger),
    column("size", BigInteger),
    optional("body", LargeBinary),
    optional("previous", LargeBinary),
    UniqueConstraint("origin", "epoch", "seq"),
    Index("journal_key", "key"),
)
"""Every fact, in the order this node learnt it. detail and body are NULL once erased.

epoch: with `~` and the name of the branch where that is not the main one (`sync.logs`). previous: the hash of the
entry before it in its log, NULL when that is the one of this log that was learnt last before it. codec: how the
body is compressed, see `server.store.bodies`. size: of the body as received, in bytes.
"""

dictionary = Table(
    "dictionary",
    METADATA,
    key("id", BigInteger, autoincrement=False),
    column("project_id", Integer),
    column("form_id"),
    column("stamp", BigInteger),
    column("data", LargeBinary),
    Index("dictionary_form", "project_id", "form_id", "stamp"),
)
"""What bodies were compressed with; kept for ever, at this node alone. id: from the content."""

cursor = Table(
    "cursor",
    METADATA,
    key("name"),
    column("position", BigInteger),
)
"""How far a reader of the journal has come."""
