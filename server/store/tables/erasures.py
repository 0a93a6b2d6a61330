"""What was erased for good, and what of it is still to be dropped."""

from __future__ import annotations

from sqlalchemy import Integer, Table

from server.store.tables.columns import METADATA, ROWID, key

erased = Table(
    "erased",
    METADATA,
    key("project_id", Integer),
    key("form_id"),
    key("name"),
)
"""A name that never comes back: an instanceID of a form or, with form_id "", the SHA-256 of bytes."""

dropped_blob = Table(
    "dropped_blob",
    METADATA,
    key("sha256"),
)
"""A blob that was deleted here. Whoever found it there just before, and names it just after, must send it again."""

erasing = Table(
    "erasing",
    METADATA,
    key("position", ROWID, autoincrement=False),
)
"""An entry of the journal whose payload and files are to be dropped."""
