"""The slots that were planned."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, Table, Text

from server.store.tables.columns import METADATA, column, key

slot_plan = Table(
    "slot_plan",
    METADATA,
    key("project_id", Integer),
    key("form_id"),
    column("plan", Text),
    column("stamp", BigInteger),
    column("actor_name"),
)
"""The plan of a form, as the newest fact says it. plan: JSON, as `server.slots` writes it."""
