"""The facts of this node, its identity, and how far readers have come."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from server.store.tables.keys import rowid


class Node(SQLModel, table=True):
    """This node's identity and the end of its log; locked by whoever appends. One row.

    place: a hash of the machine and the database that hold this store, "" until it was first opened; another one
    means that this is a copy. moved_to: where the records went, "" while they are here. secret: signs what any
    process of this node must know as its own.
    """

    __tablename__ = "node"
    id: int = Field(primary_key=True)
    origin: str
    epoch: str
    position: int = Field(sa_type=BigInteger)
    seq: int = Field(sa_type=BigInteger)
    hash: bytes
    stamp: int = Field(sa_type=BigInteger)
    place: str = ""
    moved_to: str = ""
    secret: str = ""


class Journal(SQLModel, table=True):
    """Every fact, in the order this node learnt it. detail and body are NULL once erased.

    epoch: with `~` and the name of the branch where that is not the main one (`sync.logs`). previous: the hash of the
    entry before it in its log, NULL when that is the one of this log that was learnt last before it.
    codec: how the body is compressed, see `server.store.bodies`. size: of the body as received, in bytes.
    """

    __tablename__ = "journal"
    __table_args__ = (UniqueConstraint("origin", "epoch", "seq"), Index("journal_key", "key"))
    position: int = Field(sa_column=rowid())
    origin: str
    epoch: str
    seq: int = Field(sa_type=BigInteger)
    hash: bytes
    stamp: int = Field(sa_type=BigInteger)
    kind: str
    project_id: int
    key: bytes | None
    payload_hash: bytes
    detail: bytes | None
    codec: int | None = Field(sa_type=BigInteger)
    size: int = Field(sa_type=BigInteger)
    body: bytes | None = Field(sa_type=LargeBinary)
    previous: bytes | None = Field(default=None, sa_type=LargeBinary)


class Dictionary(SQLModel, table=True):
    """What bodies were compressed with; kept for ever, at this node alone. id: from the content."""

    __tablename__ = "dictionary"
    __table_args__ = (Index("dictionary_form", "project_id", "form_id", "stamp"),)
    id: int = Field(sa_column=Column("id", BigInteger, primary_key=True, autoincrement=False))
    project_id: int
    form_id: str
    stamp: int = Field(sa_type=BigInteger)
    data: bytes = Field(sa_type=LargeBinary)


class Cursor(SQLModel, table=True):
    """How far a reader of the journal has come."""

    __tablename__ = "cursor"
    name: str = Field(primary_key=True)
    position: int = Field(sa_type=BigInteger)
