"""The tables, for SQLite and PostgreSQL alike.

`journal` and `node` hold the facts; `users` and `sessions` belong to this node alone; everything else is state,
derived from the journal by `server.projection` and rebuildable from it. State leads its keys with `project_id`.
SQLModel tables do not validate: rows are written by this package only, from values checked at the edge.
"""

from __future__ import annotations

from sqlmodel import SQLModel

from server.store.tables import accounts, facts, forms, submissions

__all__ = ["accounts", "facts", "forms", "submissions"]

# Statements are written over these (SQLAlchemy Core); the classes above say what the columns hold.
node = SQLModel.metadata.tables["node"]
journal = SQLModel.metadata.tables["journal"]
cursor = SQLModel.metadata.tables["cursor"]
project = SQLModel.metadata.tables["project"]
form = SQLModel.metadata.tables["form"]
form_version = SQLModel.metadata.tables["form_version"]
form_media = SQLModel.metadata.tables["form_media"]
submission = SQLModel.metadata.tables["submission"]
revision = SQLModel.metadata.tables["revision"]
conflict = SQLModel.metadata.tables["conflict"]
attachment = SQLModel.metadata.tables["attachment"]
quarantine = SQLModel.metadata.tables["quarantine"]
app_user = SQLModel.metadata.tables["app_user"]
users = SQLModel.metadata.tables["users"]
sessions = SQLModel.metadata.tables["sessions"]

STATE = (
    project,
    form,
    form_version,
    form_media,
    submission,
    revision,
    conflict,
    attachment,
    quarantine,
    app_user,
    cursor,
)
"""What `server.projection` derives from the journal, and may delete to derive it again."""
