"""What this node holds of the logs of others, and what it must remember so that each gets what is its own.

Kept by backups; nothing of it can be derived from the journal alone.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Text
from sqlmodel import Field, SQLModel

from server.store.tables.keys import rowid


class LogRange(SQLModel, table=True):
    """Entries `first` to `last` of a log are here, or were said to be not for this node. hash: of `last`.

    Ranges of one branch do not touch. What this node wrote in its present epoch is in `node` instead.
    """

    __tablename__ = "log_range"
    origin: str = Field(primary_key=True)
    epoch: str = Field(primary_key=True)
    branch: str = Field(primary_key=True)
    first: int = Field(primary_key=True, sa_type=BigInteger)
    last: int = Field(sa_type=BigInteger)
    hash: bytes


class Fork(SQLModel, table=True):
    """Two entries of one name were seen: somebody copied or set back a store, and it went on twice.

    branch: what was learnt of later, "" when only a peer told that its chain differs. seq: where it was noticed.
    stamp: by this node's clock.
    """

    __tablename__ = "fork"
    origin: str = Field(primary_key=True)
    epoch: str = Field(primary_key=True)
    branch: str = Field(primary_key=True)
    seq: int = Field(sa_type=BigInteger)
    stamp: int = Field(sa_type=BigInteger)


class SignedHead(SQLModel, table=True):
    """The furthest head of a log that its origin signed: entry `seq` has this hash."""

    __tablename__ = "signed_head"
    origin: str = Field(primary_key=True)
    epoch: str = Field(primary_key=True)
    seq: int = Field(sa_type=BigInteger)
    hash: bytes
    signature: bytes


class Mention(SQLModel, table=True):
    """An entry is about a record. origin: of the entry. is_receipt: it brought the record, or part of it.

    Of what this node itself received there is none: nobody asks.
    """

    __tablename__ = "mention"
    __table_args__ = (Index("mention_name", "project_id", "name"),)
    position: int = Field(primary_key=True, sa_type=BigInteger)
    name: str = Field(primary_key=True)
    project_id: int
    origin: str
    is_receipt: bool


class Due(SQLModel, table=True):
    """An entry that was passed over as not for the node `origin`, and is for it now: it is sent apart."""

    __tablename__ = "due"
    origin: str = Field(primary_key=True)
    position: int = Field(primary_key=True, sa_type=BigInteger)


class Peer(SQLModel, table=True):
    """What is known of a node that this one relays with; for people and bundles, nothing that counts follows from it.

    said: JSON, what it last said that it holds (`sync.logs.list_have`). below: JSON, the posts below it. forms: JSON,
    those it was allowed when it was last spoken to, NULL for all. error: why the last try failed, "" when it did not.
    clock_ms: how far its clock is ahead. former: as below, of those that left it. kinds: JSON, those
    of entries that it knows beyond the first. epoch: that it wrote under, "" where it did not say. unsendable: entries that it asked for and
    that were dropped here. refused: entries that it sent and may
    not write. unproven: entries of this node's own that it gave back and proved by no head. alarm: "unsigned" when it
    signs its heads no more, "false" when a head was not signed by who it says, else "". waiting: records that it had and this node had not. Times since 1970.
    """

    __tablename__ = "peer"
    origin: str = Field(primary_key=True)
    said: str = Field(sa_type=Text)
    below: str
    former: str = Field(default="[]", sa_type=Text)
    forms: str | None
    contact_ms: int = Field(sa_type=BigInteger)
    tried_ms: int = Field(sa_type=BigInteger)
    error: str
    clock_ms: int = Field(sa_type=BigInteger)
    waiting: int
    received_bytes: int = Field(sa_type=BigInteger)
    sent_bytes: int = Field(sa_type=BigInteger)
    kinds: str = Field(default="[]", sa_type=Text)
    epoch: str = ""
    refused: int = Field(default=0, sa_type=BigInteger)
    unproven: int = Field(default=0, sa_type=BigInteger)
    alarm: str = ""
    unsendable: int = Field(default=0, sa_type=BigInteger)


class Wanted(SQLModel, table=True):
    """A file that an entry of another node names, and that is not known to be here. size: 0 where it is not said."""

    __tablename__ = "wanted"
    sha256: str = Field(primary_key=True)
    size: int = Field(sa_type=BigInteger)


class Asked(SQLModel, table=True):
    """A file that the node `origin` lacked when it last said all that it holds."""

    __tablename__ = "asked"
    origin: str = Field(primary_key=True)
    sha256: str = Field(primary_key=True)


class AskedAgain(SQLModel, table=True):
    """An entry whose payload the node `origin` lacked when it last said all that it holds. hash: as in `server.store.lost`."""

    __tablename__ = "asked_again"
    origin: str = Field(primary_key=True)
    log_origin: str = Field(primary_key=True)
    epoch: str = Field(primary_key=True)
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    hash: str = Field(primary_key=True)


class Unsure(SQLModel, table=True):
    """A file of which the node `origin` asked in its last bundle whether it is here."""

    __tablename__ = "unsure"
    origin: str = Field(primary_key=True)
    sha256: str = Field(primary_key=True)


class Lost(SQLModel, table=True):
    """An entry whose payload is not here as it was sealed, and not erased either: it is asked for. noticed_ms: since 1970."""

    __tablename__ = "lost"
    position: int = Field(sa_column=rowid())
    noticed_ms: int = Field(sa_type=BigInteger)


class Audit(SQLModel, table=True):
    """What this node's audits came to; one row. Times since 1970, 0 for never; counts since the store was made.

    read_ms: when it last read its journal through, of so many `entries`. compared_ms: when it last held its logs against
    the centre's. damaged: payloads found so. differing: ranges of which something was missing. vanished: positions
    in the journal that are empty since then. mended: payloads put back.
    """

    __tablename__ = "audit"
    id: int = Field(primary_key=True)
    read_ms: int = Field(sa_type=BigInteger)
    compared_ms: int = Field(sa_type=BigInteger)
    entries: int = Field(sa_type=BigInteger)
    damaged: int = Field(sa_type=BigInteger)
    differing: int = Field(sa_type=BigInteger)
    vanished: int = Field(sa_type=BigInteger)
    mended: int = Field(sa_type=BigInteger)


class PurgePolicy(SQLModel, table=True):
    """After so many days at the centre this node drops the records of a form; without a row never."""

    __tablename__ = "purge_policy"
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    after_days: int


class Purged(SQLModel, table=True):
    """An entry whose payload this node has dropped because its centre has it. instance_id: of the record it was of."""

    __tablename__ = "purged"
    __table_args__ = (Index("purged_instance", "project_id", "form_id", "instance_id"),)
    position: int = Field(sa_column=rowid())
    project_id: int
    form_id: str
    instance_id: str
    at_ms: int = Field(sa_type=BigInteger)


class HeldFile(SQLModel, table=True):
    """A file that the centre said to have, of a record that may be dropped here."""

    __tablename__ = "held_file"
    sha256: str = Field(primary_key=True)


class Mark(SQLModel, table=True):
    """By `at_ms` (since 1970) it was known here that `receiver` covers a log from its start to `last`."""

    __tablename__ = "mark"
    receiver: str = Field(primary_key=True)
    origin: str = Field(primary_key=True)
    epoch: str = Field(primary_key=True)
    last: int = Field(primary_key=True, sa_type=BigInteger)
    at_ms: int = Field(sa_type=BigInteger)
