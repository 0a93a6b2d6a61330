"""Entity lists: what forms declare, what was done to entities, and what they are."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Text
from sqlmodel import Field, SQLModel


class Dataset(SQLModel, table=True):
    """An entity list, as some form declares it.

    label_withheld: some form makes labels of restricted answers. list_digest: sum of the digests of its listed
    entities, so that it changes when the list does, and is the same whatever order they came in.
    """

    __tablename__ = "dataset"
    project_id: int = Field(primary_key=True)
    name: str = Field(primary_key=True)
    created_stamp: int = Field(sa_type=BigInteger)
    label_withheld: bool
    list_digest: str


class DatasetProperty(SQLModel, table=True):
    """A property of the list's entities. withheld: some form saves a restricted answer to it.

    stamp, place: of the form version that first declared it, and where there; the order of columns.
    """

    __tablename__ = "dataset_property"
    project_id: int = Field(primary_key=True)
    dataset: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    stamp: int = Field(sa_type=BigInteger)
    place: int
    withheld: bool


class Entity(SQLModel, table=True):
    """What an entity is now. data: JSON, property → text shown. current: JSON, of the newest version.

    pending: what creates it is not here. deleted_stamp: NULL when it is listed.
    """

    __tablename__ = "entity"
    __table_args__ = (Index("entity_page", "project_id", "dataset", "created_stamp", "uuid"),)
    project_id: int = Field(primary_key=True)
    dataset: str = Field(primary_key=True)
    uuid: str = Field(primary_key=True)
    version: int
    label: str = Field(sa_type=Text)
    data: str = Field(sa_type=Text)
    conflict: str | None
    pending: bool
    created_stamp: int = Field(sa_type=BigInteger)
    updated_stamp: int | None = Field(sa_type=BigInteger)
    deleted_stamp: int | None = Field(sa_type=BigInteger)
    creator_id: int | None = Field(sa_type=BigInteger)
    creator_name: str
    current: str = Field(sa_type=Text)


class EntityWrite(SQLModel, table=True):
    """One change of an entity, by a record (form_id) or by a person (""); see `sync.entity_write.Write`.

    A record of a form with entities has at least one row, of deed `none` when it changes none: an edit takes back
    what the record it edits did. uuid: "" then. data, seen: JSON.
    """

    __tablename__ = "entity_write"
    __table_args__ = (
        Index("entity_write_entity", "project_id", "dataset", "uuid"),
        Index("entity_write_instance", "project_id", "form_id", "instance_id"),
        Index("entity_write_deprecated", "project_id", "form_id", "deprecated_id"),
    )
    project_id: int = Field(primary_key=True)
    digest: str = Field(primary_key=True)
    place: int = Field(primary_key=True)
    dataset: str
    uuid: str
    deed: str
    form_id: str
    instance_id: str
    deprecated_id: str
    stamp: int = Field(sa_type=BigInteger)
    origin: str
    base: int
    trunk: int | None
    branch: str
    label: str = Field(sa_type=Text)
    data: str = Field(sa_type=Text)
    seen: str = Field(sa_type=Text)
    resolves: bool
    fault: str
    actor_id: int | None = Field(sa_type=BigInteger)
    actor_name: str
    position: int = Field(sa_type=BigInteger)


class Listed(SQLModel, table=True):
    """What a centre told a post of an entity that the post cannot derive by itself. post: its origin.

    data: JSON, property → text. seen: JSON, of each origin the stamp of the last write in it. is_listed: False when it
    left the post's list. position, stamp: of the entry that told it.
    """

    __tablename__ = "listed"
    project_id: int = Field(primary_key=True)
    dataset: str = Field(primary_key=True)
    post: str = Field(primary_key=True)
    uuid: str = Field(primary_key=True)
    version: int
    label: str = Field(sa_type=Text)
    data: str = Field(sa_type=Text)
    seen: str = Field(sa_type=Text)
    is_listed: bool
    position: int = Field(sa_type=BigInteger)
    stamp: int = Field(sa_type=BigInteger)
