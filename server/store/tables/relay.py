"""What this node holds of the logs of others, and what it must remember so that each gets what is its own.

Kept by backups; nothing of it can be derived from the journal alone.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Index, Integer, LargeBinary, Table, Text

from server.store.tables.columns import METADATA, ROWID, column, key, optional

log_range = Table(
    "log_range",
    METADATA,
    key("origin"),
    key("epoch"),
    key("branch"),
    key("first", BigInteger),
    column("last", BigInteger),
    column("hash", LargeBinary),
)
"""Entries `first` to `last` of a log are here, or were said to be not for this node. hash: of `last`.

Ranges of one branch do not touch. What this node wrote in its present epoch is in `node` instead.
"""

fork = Table(
    "fork",
    METADATA,
    key("origin"),
    key("epoch"),
    key("branch"),
    column("seq", BigInteger),
    column("stamp", BigInteger),
)
"""Two entries of one name were seen: somebody copied or set back a store, and it went on twice.

branch: what was learnt of later, "" when only a peer told that its chain differs. seq: where it was noticed. stamp:
by this node's clock.
"""

signed_head = Table(
    "signed_head",
    METADATA,
    key("origin"),
    key("epoch"),
    column("seq", BigInteger),
    column("hash", LargeBinary),
    column("signature", LargeBinary),
)
"""The furthest head of a log that its origin signed: entry `seq` has this hash."""

mention = Table(
    "mention",
    METADATA,
    key("position", BigInteger),
    key("name"),
    column("project_id", Integer),
    column("origin"),
    column("is_receipt", Boolean),
    Index("mention_name", "project_id", "name"),
)
"""An entry is about a record. origin: of the entry. is_receipt: it brought the record, or part of it.

Of what this node itself received there is none: nobody asks.
"""

due = Table(
    "due",
    METADATA,
    key("origin"),
    key("position", BigInteger),
)
"""An entry that was passed over as not for the node `origin`, and is for it now: it is sent apart."""

peer = Table(
    "peer",
    METADATA,
    key("origin"),
    column("said", Text),
    column("below"),
    column("former", Text, default="[]"),
    optional("forms"),
    column("contact_ms", BigInteger),
    column("tried_ms", BigInteger),
    column("error"),
    column("clock_ms", BigInteger),
    column("waiting", Integer),
    column("received_bytes", BigInteger),
    column("sent_bytes", BigInteger),
    column("kinds", Text, default="[]"),
    column("epoch", default=""),
    column("refused", BigInteger, default=0),
    column("unproven", BigInteger, default=0),
    column("inexact", BigInteger, default=0),
    column("alarm", default=""),
    column("unsendable", BigInteger, default=0),
)
"""What is known of a node that this one relays with; for people and bundles, nothing that counts follows from it.

said: JSON, what it last said that it holds (`sync.logs.list_have`). below: JSON, the posts below it. forms: JSON,
those it was allowed when it was last spoken to, NULL for all. error: why the last try failed, "" when it did not.
clock_ms: how far its clock is ahead. former: as below, of those that left it. kinds: JSON, those of entries that it
knows beyond the first. epoch: that it wrote under, "" where it did not say. unsendable: entries that it asked for
and that were dropped here. refused: entries that it sent and may not write. unproven: entries of this node's own
that it gave back and proved by no head. inexact: frames for it that did not read back exactly. alarm: "unsigned" when it signs its heads no more, "false" when a head was
not signed by who it says, else "". waiting: records that it had and this node had not. Times since 1970.
"""

wanted = Table(
    "wanted",
    METADATA,
    key("sha256"),
    column("size", BigInteger),
)
"""A file that an entry of another node names, and that is not known to be here. size: 0 where it is not said."""

asked = Table(
    "asked",
    METADATA,
    key("origin"),
    key("sha256"),
)
"""A file that the node `origin` lacked when it last said all that it holds."""

asked_again = Table(
    "asked_again",
    METADATA,
    key("origin"),
    key("log_origin"),
    key("epoch"),
    key("seq", BigInteger),
    key("hash"),
)
"""An entry whose payload the node `origin` lacked when it last said all that it holds. hash: as in
`server.store.lost`."""

unsure = Table(
    "unsure",
    METADATA,
    key("origin"),
    key("sha256"),
)
"""A file of which the node `origin` asked in its last bundle whether it is here."""

lost = Table(
    "lost",
    METADATA,
    key("position", ROWID, autoincrement=False),
    column("noticed_ms", BigInteger),
)
"""An entry whose payload is not here as it was sealed, and not erased either: it is asked for. noticed_ms: since 1970.
"""

audit = Table(
    "audit",
    METADATA,
    key("id", Integer),
    column("read_ms", BigInteger),
    column("compared_ms", BigInteger),
    column("entries", BigInteger),
    column("damaged", BigInteger),
    column("differing", BigInteger),
    column("vanished", BigInteger),
    column("mended", BigInteger),
)
"""What this node's audits came to; one row. Times since 1970, 0 for never; counts since the store was made.

read_ms: when it last read its journal through, of so many `entries`. compared_ms: when it last held its logs
against the centre's. damaged: payloads found so. differing: ranges of which something was missing. vanished:
positions in the journal that are empty since then. mended: payloads put back.
"""

purge_policy = Table(
    "purge_policy",
    METADATA,
    key("project_id", Integer),
    key("form_id"),
    column("after_days", Integer),
)
"""After so many days at the centre this node drops the records of a form; without a row never."""

purged = Table(
    "purged",
    METADATA,
    key("position", ROWID, autoincrement=False),
    column("project_id", Integer),
    column("form_id"),
    column("instance_id"),
    column("at_ms", BigInteger),
    Index("purged_instance", "project_id", "form_id", "instance_id"),
)
"""An entry whose payload this node has dropped because its centre has it. instance_id: of the record it was of."""

held_file = Table(
    "held_file",
    METADATA,
    key("sha256"),
)
"""A file that the centre said to have, of a record that may be dropped here."""

mark = Table(
    "mark",
    METADATA,
    key("receiver"),
    key("origin"),
    key("epoch"),
    key("last", BigInteger),
    column("at_ms", BigInteger),
)
"""By `at_ms` (since 1970) it was known here that `receiver` covers a log from its start to `last`."""
