"""The quarantine: what came in and could not be read, until somebody looks or its form is published."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import orjson
from sqlalchemy import Connection, delete, select, update

from server.store.dialect import insert_ignore
from server.store.journal import Record
from server.store.submissions import chunks
from server.store.tables import quarantine as table
from server.store.tables import revision

EARLY = "Its form has not arrived here yet. It is taken up when it does."


@dataclass(frozen=True, slots=True)
class Quarantined:
    """What waits in quarantine. position: of its journal entry."""

    position: int
    reason: str
    form_id: str
    version: str
    instance_id: str
    size: int
    stamp: int
    released: bool


def list_quarantined(
    connection: Connection, project_id: int, form_id: str | None = None
) -> list[Quarantined]:
    """Return what waits in quarantine (of one form, if named), oldest first; released entries left out."""
    names = [field.name for field in fields(Quarantined)]
    query = select(*(table.c[name] for name in names)).where(
        table.c.project_id == project_id, table.c.released.is_(False)
    )
    if form_id is not None:
        query = query.where(table.c.form_id == form_id)
    return [Quarantined(*row) for row in connection.execute(query.order_by(table.c.position))]


def row_of(record: Record, detail: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of `quarantine` for an entry."""
    oversize = detail["oversize"]
    return {
        "position": record.position,
        "project_id": record.project_id,
        "reason": detail["reason"],
        "form_id": detail["form_id"],
        "version": detail["version"],
        "instance_id": detail["instance_id"] or "",
        "digest": detail["digest"],
        "size": oversize["size"] if oversize else len(record.body),
        "stamp": record.stamp,
        "released": False,
    }


def row_of_early(record: Record, detail: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of `quarantine` for an entry that came by relay before the form that it is of."""
    return {
        "position": record.position,
        "project_id": record.project_id,
        "reason": EARLY,
        "form_id": detail["form_id"],
        "version": detail["version"],
        "instance_id": detail["instance_id"],
        "digest": detail.get("digest", ""),
        "size": len(record.body),
        "stamp": record.stamp,
        "released": False,
    }


def list_early(connection: Connection, project_id: int, form_id: str) -> list[int]:
    """Return the positions of the entries that wait for this form."""
    waiting = (table.c.project_id == project_id, table.c.form_id == form_id, table.c.reason == EARLY)
    return list(connection.execute(select(table.c.position).where(*waiting)).scalars())


def drop(connection: Connection, positions: Iterable[int]) -> None:
    """Take rows out."""
    for some in chunks(positions):
        connection.execute(delete(table).where(table.c.position.in_(some)))


def keep(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows, as `row_of` makes them; those whose bytes are a record already are released."""
    insert_ignore(connection, table, rows)
    for some in chunks(row["digest"] for row in rows):
        known = select(revision.c.digest).where(
            revision.c.project_id == table.c.project_id, revision.c.digest.in_(some)
        )
        is_known = (table.c.digest.in_(known), table.c.reason != EARLY)
        connection.execute(update(table).where(*is_known).values(released=True))


def set_aside(connection: Connection, record: Record, reason: str) -> None:
    """Make an entry that cannot be projected visible in the quarantine."""
    row = {
        "position": record.position,
        "project_id": record.project_id,
        "reason": reason,
        "form_id": "",  # so that nothing takes it up again
        "version": "",
        "instance_id": _named(record.detail),
        "digest": hashlib.sha256(record.body).hexdigest(),
        "size": len(record.body),
        "stamp": record.stamp,
        "released": False,
    }
    keep(connection, [row])


def _named(detail: bytes) -> str:
    """The instanceID in the detail of an entry that may be anything."""
    try:
        found = orjson.loads(detail)
    except orjson.JSONDecodeError:
        return ""
    return str(found.get("instance_id") or "") if isinstance(found, dict) else ""


def release(connection: Connection, released: Sequence[Record]) -> None:
    """Take up what waited for these entries: the same bytes, however often they came."""
    for record in released:
        waited = (table.c.digest == hashlib.sha256(record.body).hexdigest(), table.c.reason != EARLY)
        connection.execute(
            update(table).where(table.c.project_id == record.project_id, *waited).values(released=True)
        )
