"""What people said of the days of forms."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Integer, Table, Text

from server.store.tables.columns import METADATA, column, key

day_said = Table(
    "day_said",
    METADATA,
    key("project_id", Integer),
    key("form_id"),
    key("id"),
    column("stamp", BigInteger),
    column("day"),
    column("is_open", Boolean),
    column("closes_at"),
    column("offset_min", Integer),
    column("question"),
    column("reason", Text),
    column("actor_name"),
)
"""One thing said; see `sync.days.Said`. day: ISO 8601, "" for a rule. closes_at: `21:00`, "" to close no more."""
