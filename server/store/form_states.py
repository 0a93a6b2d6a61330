"""Whether a form is open, closing or closed, as facts say it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, and_, or_, select, update

from server.store.dialect import insert_ignore
from server.store.journal import Record
from server.store.tables import form_state as table


class FormState(StrEnum):
    """As ODK Central names them. closing: off the tablets' lists, still taken. closed: what comes waits."""

    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


_CLOSED = f"SELECT project_id, form_id FROM {table.name} WHERE state = '{FormState.CLOSED}'"  # noqa: S608  (no input)


def list_states(connection: Connection, project_id: int) -> dict[str, FormState]:
    """Return the state of each form of a project of which a fact tells; the others are open."""
    rows = connection.execute(select(table.c.form_id, table.c.state).where(table.c.project_id == project_id))
    return {form_id: FormState(state) for form_id, state in rows}


def list_closed(connection: Connection) -> set[tuple[int, str]]:
    """Return (project_id, form_id) of the forms that are closed; asked of the driver, since each commit asks."""
    cursor = connection.connection.cursor()
    cursor.execute(_CLOSED)
    return {(project_id, form_id) for project_id, form_id in cursor.fetchall()}


def find_state(connection: Connection, project_id: int, form_id: str) -> FormState:
    """Return the state of a form."""
    return list_states(connection, project_id).get(form_id, FormState.OPEN)


def project_state(connection: Connection, record: Record, detail: Mapping[str, Any]) -> None:
    """Derive a form's state from its entry: the newest fact holds, in whatever order they come."""
    key = {"project_id": record.project_id, "form_id": detail["form_id"]}
    said = {"state": detail["state"], "stamp": record.stamp}
    insert_ignore(connection, table, [key | said])
    is_older = or_(
        table.c.stamp < record.stamp, and_(table.c.stamp == record.stamp, table.c.state < detail["state"])
    )
    of_form = (table.c[name] == value for name, value in key.items())
    connection.execute(update(table).where(*of_form, is_older).values(**said))
