"""Projects and forms as they are published."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, Table, Text

from server.store.tables.columns import METADATA, column, key

project = Table(
    "project",
    METADATA,
    key("id", Integer),
    column("name"),
)

form = Table(
    "form",
    METADATA,
    key("project_id", Integer),
    key("form_id"),
    column("name"),
    column("version"),
    column("created_stamp", BigInteger),
    column("updated_stamp", BigInteger),
)
"""A form in its current version."""

form_state = Table(
    "form_state",
    METADATA,
    key("project_id", Integer),
    key("form_id"),
    column("state"),
    column("stamp", BigInteger),
)
"""Whether a form is closing or closed; a form without a row is open. stamp: of the fact that says so."""

form_version = Table(
    "form_version",
    METADATA,
    key("project_id", Integer),
    key("form_id"),
    key("version"),
    column("name"),
    column("md5"),
    column("sha256"),
    column("marks", Text),
    column("sheet_sha256"),
    column("sheet_name"),
    column("renames", Text),
    column("position", BigInteger),
    column("stamp", BigInteger),
)
"""A published version; the XForm's bytes stay in the journal at `position`.

renames: JSON, path in the version before → path here.
"""

form_media = Table(
    "form_media",
    METADATA,
    key("project_id", Integer),
    key("form_id"),
    key("name"),
    column("sha256"),
    column("md5"),
    column("size", BigInteger),
    column("stamp", BigInteger),
)
"""A file that a form reads (a list, an image); changing it makes no new version."""
