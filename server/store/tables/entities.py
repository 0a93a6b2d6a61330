"""Entity lists: what forms declare, what was done to entities, and what they are."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Index, Integer, Table, Text

from server.store.tables.columns import METADATA, column, key, optional

dataset = Table(
    "dataset",
    METADATA,
    key("project_id", Integer),
    key("name"),
    column("created_stamp", BigInteger),
    column("label_withheld", Boolean),
    column("list_digest"),
)
"""An entity list, as some form declares it.

label_withheld: some form makes labels of restricted answers. list_digest: sum of the digests of its listed
entities, so that it changes when the list does, and is the same whatever order they came in.
"""

dataset_property = Table(
    "dataset_property",
    METADATA,
    key("project_id", Integer),
    key("dataset"),
    key("name"),
    column("stamp", BigInteger),
    column("place", Integer),
    column("withheld", Boolean),
)
"""A property of the list's entities. withheld: some form saves a restricted answer to it.

stamp, place: of the form version that first declared it, and where there; the order of columns.
"""

entity = Table(
    "entity",
    METADATA,
    key("project_id", Integer),
    key("dataset"),
    key("uuid"),
    column("version", Integer),
    column("label", Text),
    column("data", Text),
    optional("conflict"),
    column("pending", Boolean),
    column("created_stamp", BigInteger),
    optional("updated_stamp", BigInteger),
    optional("deleted_stamp", BigInteger),
    optional("creator_id", BigInteger),
    column("creator_name"),
    column("current", Text),
    Index("entity_page", "project_id", "dataset", "created_stamp", "uuid"),
)
"""What an entity is now. data: JSON, property → text shown. current: JSON, of the newest version.

pending: what creates it is not here. deleted_stamp: NULL when it is listed.
"""

entity_write = Table(
    "entity_write",
    METADATA,
    key("project_id", Integer),
    key("digest"),
    key("place", Integer),
    column("dataset"),
    column("uuid"),
    column("deed"),
    column("form_id"),
    column("instance_id"),
    column("deprecated_id"),
    column("stamp", BigInteger),
    column("origin"),
    column("base", Integer),
    optional("trunk", Integer),
    column("branch"),
    column("label", Text),
    column("data", Text),
    column("seen", Text),
    column("resolves", Boolean),
    column("fault"),
    optional("actor_id", BigInteger),
    column("actor_name"),
    column("position", BigInteger),
    Index("entity_write_entity", "project_id", "dataset", "uuid"),
    Index("entity_write_instance", "project_id", "form_id", "instance_id"),
    Index("entity_write_deprecated", "project_id", "form_id", "deprecated_id"),
)
"""One change of an entity, by a record (form_id) or by a person (""); see `sync.entity_write.Write`.

A record of a form with entities has at least one row, of deed `none` when it changes none: an edit takes back what
the record it edits did. uuid: "" then. data, seen: JSON.
"""

listed = Table(
    "listed",
    METADATA,
    key("project_id", Integer),
    key("dataset"),
    key("post"),
    key("uuid"),
    column("version", Integer),
    column("label", Text),
    column("data", Text),
    column("seen", Text),
    column("is_listed", Boolean),
    column("position", BigInteger),
    column("stamp", BigInteger),
)
"""What a centre told a post of an entity that the post cannot derive by itself. post: its origin.

data: JSON, property → text. seen: JSON, of each origin the stamp of the last write in it. is_listed: False when it
left the post's list. position, stamp: of the entry that told it.
"""
