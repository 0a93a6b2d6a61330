"""What people said of the days of forms, as state."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date, time
from typing import Any

from sqlalchemy import Connection, select

from server.store.dialect import insert_ignore
from server.store.journal import Record
from server.store.submissions import FormKey, of_form
from server.store.tables import day_said
from sync.days import Days, Said, order


def project_days(connection: Connection, record: Record, detail: Mapping[str, Any]) -> None:
    """Derive the row of what was said from its entry."""
    names = ("form_id", "day", "is_open", "closes_at", "offset_min", "question", "reason", "actor_name")
    row = {name: detail[name] for name in names} | {
        "project_id": record.project_id,
        "id": hashlib.sha256(record.detail + record.stamp.to_bytes(8)).hexdigest()[:32],
        "stamp": record.stamp,
    }
    insert_ignore(connection, day_said, [row])


def read_days(connection: Connection, form: FormKey) -> Days:
    """Return all that was said of a form's days."""
    rows = connection.execute(select(day_said).where(*of_form(day_said, form)))
    return order(
        Said(
            row.stamp,
            row.id,
            date.fromisoformat(row.day) if row.day else None,
            row.is_open,
            time.fromisoformat(row.closes_at) if row.closes_at else None,
            row.offset_min,
            row.question,
        )
        for row in rows
    )
