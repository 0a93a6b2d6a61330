"""The cleaning log."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Index, Integer, Table, Text

from server.store.tables.columns import METADATA, column, key

cleaning_entry = Table(
    "cleaning_entry",
    METADATA,
    key("project_id", Integer),
    key("form_id"),
    key("instance_id"),
    key("id"),
    column("position", BigInteger),
    column("stamp", BigInteger),
    column("batch"),
    column("kind"),
    column("version"),
    column("cell", Text),
    column("old", Text),
    column("new", Text),
    column("base", Text),
    column("reason", Text),
    column("check_id"),
    column("supersedes", Text),
    column("undoes"),
    column("remarks", Text),
    column("actor_id", BigInteger),
    column("actor_name"),
    Index("cleaning_entry_page", "project_id", "form_id", "stamp", "id"),
    Index("cleaning_entry_batch", "project_id", "form_id", "batch"),
)
"""One entry of the log; see `sync.cleaning.Entry`. instance_id: any of the submission's.

version: the form version that `cell` is named in. old: the clean answer that its author saw. batch: names what was
entered as one. check_id: the check that found it, "" when none did. remarks: JSON, other columns of a log that was
imported.
"""

recode = Table(
    "recode",
    METADATA,
    key("project_id", Integer),
    key("form_id"),
    key("name"),
    column("edit", Text),
    column("personal", Boolean),
    column("is_kept", Boolean),
    column("stamp", BigInteger),
    column("actor_id", BigInteger),
    column("actor_name"),
)
"""A change to many records that is kept, to be made again to what arrives later.

edit: JSON, as `server.cleaning.bulk_edit.Edit`. personal: whether its author may see all answers. is_kept: False
once it was given up. stamp: of the fact that says so.
"""
