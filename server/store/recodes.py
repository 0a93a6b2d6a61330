"""Recodes that are kept, as state: the newest fact about a name holds, in whatever order they come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import orjson
from sqlalchemy import Connection, and_, or_, select, update

from server.store.dialect import insert_ignore
from server.store.journal import Record
from server.store.submissions import FormKey, of_form
from server.store.tables import cursor, recode
from server.store.tables import journal as entries
from sync.journal import Kind

CURSOR = "recodes"
"""How far the node has made its recodes to what arrived since the first of them."""
REVISIONS = (Kind.SUBMISSION, Kind.DECISION)


@dataclass(frozen=True, slots=True)
class StoredRecode:
    """See `server.store.tables.cleaning.recode`. edit: JSON."""

    name: str
    edit: str
    personal: bool
    stamp: int
    actor_id: int
    actor_name: str


def project_recode(connection: Connection, record: Record, detail: Mapping[str, Any]) -> None:
    """Derive the row of a recode from its entry."""
    key = {"project_id": record.project_id, "form_id": detail["form_id"], "name": detail["name"]}
    said = {
        "edit": orjson.dumps(detail["edit"]).decode(),
        "personal": detail["personal"],
        "is_kept": detail["is_kept"],
        "stamp": record.stamp,
        "actor_id": detail["actor_id"],
        "actor_name": detail["actor_name"],
    }
    insert_ignore(connection, recode, [key | said])
    is_older = or_(
        recode.c.stamp < record.stamp, and_(recode.c.stamp == record.stamp, recode.c.edit < said["edit"])
    )
    of_name = (recode.c[column] == value for column, value in key.items())
    connection.execute(update(recode).where(*of_name, is_older).values(**said))
    insert_ignore(connection, cursor, [{"name": CURSOR, "position": record.position}])


def next_arrivals(
    connection: Connection, seen: int, end: int, limit: int
) -> tuple[int, dict[FormKey, dict[str, None]]]:
    """Return how far the next revisions after `seen` reach, up to `end`, and the names of their records, by form."""
    columns = (entries.c.position, entries.c.project_id, entries.c.detail)
    query = select(*columns).where(
        entries.c.position > seen, entries.c.position <= end, entries.c.kind.in_(REVISIONS)
    )
    rows = connection.execute(query.order_by(entries.c.position).limit(limit)).all()
    names: dict[FormKey, dict[str, None]] = {}
    for row in rows:
        detail = orjson.loads(row.detail or b"{}")
        if "form_id" in detail:
            names.setdefault((row.project_id, detail["form_id"]), {})[detail["instance_id"]] = None
    return (rows[-1].position if len(rows) == limit else end), names


def list_recodes(connection: Connection, form: FormKey) -> list[StoredRecode]:
    """Return the recodes that are kept, by name."""
    names = [one.name for one in fields(StoredRecode)]
    query = select(*(recode.c[name] for name in names)).where(*of_form(recode, form), recode.c.is_kept)
    return [StoredRecode(*row) for row in connection.execute(query.order_by(recode.c.name))]
